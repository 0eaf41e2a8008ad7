//! The SIP helper (RFC 3261): reads calls and registrations for the media (RFC 4566) and the calls
//! that follow.
//!
//! A datagram is one message; a TCP segment holds any number of whole ones, told apart by their
//! `Content-Length`, and what is not whole at its end is not read. Nothing is remembered from one
//! packet to the next but the numbers of the last INVITE and the last REGISTER. Every packet that
//! carries anything prolongs its connection to `sip_timeout`. As observed on Linux 6.18, including
//! its readers' own ways: methods that go on behind their name, a contact that is looked for on the
//! `m=` lines of the body.
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
    /// Number of the request.
    cseq: u32,
    /// Status code of an answer; 0 for a request.
    code: u32,
}

/// Of a connection over UDP: every datagram is a message.
pub(super) fn help_udp(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let payload = helping.payload();
    match prolong(helping) {
        true => read(helping, Text(payload)),
        false => Ok(()),
    }
}

/// Of a connection over TCP: a segment may hold several messages.
pub(super) fn help_tcp(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let payload = helping.payload();
    if helping.state != CtState::Established || !prolong(helping) {
        return Ok(());
    }
    let mut rest = payload;
    while let Some((message, behind)) = whole_message(rest).and_then(|n| rest.split_at_checked(n)) {
        read(helping, Text(message))?;
        rest = behind;
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

/// Length of the message at the start of a segment; `None` when it is not known.
fn whole_message(bytes: &[u8]) -> Option<usize> {
    const EMPTY_LINE: &[u8] = b"\r\n\r\n";
    let (body, end) = headers::number(&CONTENT_LENGTH, Text(bytes))?;
    let mut behind = bytes.get(end..)?.windows(EMPTY_LINE.len());
    let head = end + behind.position(|there| there == EMPTY_LINE)? + EMPTY_LINE.len();
    head.checked_add(body as usize)
}

/// Reads a message.
fn read(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(), Drop> {
    let is_answer = text.begins(0, VERSION);
    if is_answer { answer(helping, text) } else { request(helping, text) }
}

fn request(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(), Drop> {
    let method = METHODS.iter().find(|method| {
        let behind = method.name.len();
        let is_uri = text.at(behind + 1).is_some_and(is_letter);
        text.begins(0, method.name) && text.at(behind) == Some(b' ') && is_uri
    });
    let Some(method) = method else { return Ok(()) };
    let (cseq, _) = cseq(helping, text)?;
    let family = helping.packet.family;
    (method.request)(helping, &Message { text, family, cseq, code: 0 })
}

fn answer(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(), Drop> {
    if text.end() < SHORTEST {
        return Ok(());
    }
    let code = text.number(VERSION.len()).map_or(0, |(code, _)| code);
    if code == 0 {
        return Err(helping.refuse("cannot get code"));
    }
    let (cseq, end) = cseq(helping, text)?;
    let mut answers = METHODS.iter().filter_map(|method| Some((method.name, method.answer?)));
    let family = helping.packet.family;
    match answers.find(|(method, _)| text.begins(end + 1, method)) {
        Some((_, read)) => read(helping, &Message { text, family, cseq, code }),
        None => Ok(()),
    }
}

/// The number of a message, and where it ends.
fn cseq(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(u32, usize), Drop> {
    headers::number(&CSEQ, text).ok_or_else(|| {
        let has_digits = headers::begins_with_digit(&CSEQ, text);
        helping.refuse(if has_digits { "cannot get cseq" } else { "cannot parse cseq" })
    })
}

/// The numbers that are remembered.
fn numbers<'a>(helping: &'a mut Helping<'_>) -> Option<&'a mut Numbers> {
    match helping.memory() {
        Some(Memory::Sip(numbers)) => Some(numbers),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
