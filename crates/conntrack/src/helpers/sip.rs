//! The SIP helper (RFC 3261): reads calls and registrations for the media (RFC 4566) and the calls
//! that follow.
//!
//! A datagram is one message; a TCP segment holds any number of whole ones, told apart by their
//! `Content-Length`, and what is not whole at its end is not read. Nothing is remembered from one
//! packet to the next but the numbers of the last INVITE and the last REGISTER. Every packet that
//! carries anything prolongs its connection to `sip_timeout`. As observed on Linux 6.18, including
//! what its readers let through: numbers that wrap around, names that go on, a `m=` line that is
//! taken for a contact.
//!
//! Linux remembers the port of a `Via` that is not the sender's own, for its address translation
//! alone.

mod address;
mod calls;
mod headers;
mod registration;
mod sdp;
mod text;

use super::{Memory, Policy};
use crate::CtState;
use crate::helping::Helping;
use crate::table::Drop;
use crate::timeout::Timeout;
use core::time::Duration;
use headers::{CONTENT_LENGTH, CSEQ};
use keepstate_packet::Family;
use text::{Text, is_letter};

/// Classes of expectations.
const SIGNALLING: u8 = 0;
const AUDIO: u8 = 1;
const VIDEO: u8 = 2;
const IMAGE: u8 = 3;

const WAIT: Duration = Duration::from_secs(180);

/// RTP and RTCP in both directions for sound and moving pictures; for the pictures of facsimiles
/// (T.38) as many as one direction has.
pub const POLICIES: [Policy; 4] = [
    Policy { name: "signalling", max: 1, timeout: WAIT },
    Policy { name: "audio", max: 4, timeout: WAIT },
    Policy { name: "video", max: 4, timeout: WAIT },
    Policy { name: "image", max: 2, timeout: WAIT },
];

/// The shortest message that is looked at.
const SHORTEST: usize = b"SIP/2.0 200".len();
/// How answers begin.
const VERSION: &[u8] = b"SIP/2.0 ";

/// Numbers of the last requests (`CSeq`), 0 before the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    invite: u32,
    register: u32,
}

/// What a message of one method, or an answer to one, does.
type Read = fn(&mut Helping<'_>, &Message<'_>) -> Result<(), Drop>;

/// A method, what its requests do and what the answers to them do.
struct Method {
    name: &'static [u8],
    request: Read,
    answer: Option<Read>,
}

const METHODS: [Method; 6] = [
    Method { name: b"INVITE", request: calls::invite, answer: Some(calls::answer) },
    Method { name: b"UPDATE", request: calls::describe, answer: Some(calls::answer) },
    Method { name: b"ACK", request: calls::describe, answer: None },
    Method { name: b"PRACK", request: calls::describe, answer: Some(calls::answer) },
    Method { name: b"BYE", request: calls::bye, answer: None },
    Method {
        name: b"REGISTER",
        request: registration::register,
        answer: Some(registration::answer),
    },
];

/// A message that one of the [`METHODS`] is about.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    text: Text<'a>,
    family: Family,
    /// Number of the request, modulo 2^32.
    cseq: u32,
    /// Status code of an answer, modulo 2^32; 0 for a request.
    code: u32,
}

/// Of a connection over UDP: every datagram is a message.
pub(super) fn help_udp(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let payload = helping.payload();
    match prolong(helping) {
        true => read(helping, Text::new(payload, payload.len())),
        false => Ok(()),
    }
}

/// Of a connection over TCP: a segment may hold several messages.
pub(super) fn help_tcp(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let payload = helping.payload();
    if helping.state != CtState::Established || !prolong(helping) {
        return Ok(());
    }
    let family = helping.packet.family;
    let mut rest = payload;
    while let Some(length) = whole_message(rest, family) {
        read(helping, Text::new(rest, length))?;
        rest = rest.get(length..).unwrap_or(&[]);
    }
    Ok(())
}

/// Has a connection that says something live on. Whether it says enough to be read.
fn prolong(helping: &mut Helping<'_>) -> bool {
    let length = helping.payload().len();
    if length > 0 {
        let seconds = helping.table.sysctls().sip.timeout;
        helping.live_on(Timeout::of_policy(seconds));
    }
    length >= SHORTEST
}

/// Length of the message at the start of a segment; `None` when not all of it is there.
fn whole_message(bytes: &[u8], family: Family) -> Option<usize> {
    const EMPTY_LINE: &[u8] = b"\r\n\r\n";
    let text = Text::new(bytes, bytes.len());
    let (body, place) = CONTENT_LENGTH.number(text, family)?;
    let headers = bytes.get(place.end..)?.windows(EMPTY_LINE.len());
    let head = place.end + headers.clone().position(|there| there == EMPTY_LINE)?;
    // Both are kept in 32 bits.
    let length = ((head + EMPTY_LINE.len()) as u32).wrapping_add(body as u32) as usize;
    (1..=bytes.len()).contains(&length).then_some(length)
}

/// Reads a message.
fn read(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(), Drop> {
    let is_answer = text.begins(0, VERSION);
    if is_answer { answer(helping, text) } else { request(helping, text) }
}

fn request(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(), Drop> {
    let method = METHODS.iter().find(|method| {
        let behind = method.name.len();
        text.has(behind, 2)
            && text.begins(0, method.name)
            && text.at(behind) == b' '
            && is_letter(text.at(behind + 1))
    });
    let Some(method) = method else { return Ok(()) };
    let family = helping.packet.family;
    let (cseq, _) = number_of_request(text, family).ok_or(Drop::Helper)?;
    (method.request)(helping, &Message { text, family, cseq, code: 0 })
}

fn answer(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(), Drop> {
    if !text.has(0, SHORTEST) {
        return Ok(());
    }
    let code = text.number(VERSION.len(), 10).0 as u32;
    if code == 0 {
        return Err(Drop::Helper);
    }
    let family = helping.packet.family;
    let (cseq, end) = number_of_request(text, family).ok_or(Drop::Helper)?;
    let name = end + 1;
    let answers = METHODS.iter().filter_map(|method| Some((method.name, method.answer?)));
    let mut named =
        answers.filter(|(method, _)| text.has(name, method.len()) && text.begins(name, method));
    match named.next() {
        Some((_, read)) => read(helping, &Message { text, family, cseq, code }),
        None => Ok(()),
    }
}

/// The number of the request and where it ends; `None` too when it comes to 0 in 32 bits and does
/// not begin with one.
fn number_of_request(text: Text<'_>, family: Family) -> Option<(u32, usize)> {
    let (number, place) = CSEQ.number(text, family)?;
    let number = number as u32;
    (number != 0 || text.at(place.at) == b'0').then_some((number, place.end))
}

/// The numbers that are remembered.
fn numbers<'a>(helping: &'a mut Helping<'_>) -> Option<&'a mut Numbers> {
    match helping.memory() {
        Some(Memory::Sip(numbers)) => Some(numbers),
        _ => None,
    }
}
