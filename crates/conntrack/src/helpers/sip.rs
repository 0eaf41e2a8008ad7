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
//! Where the connection is translated, its messages are read and said anew piece by piece (`outside`,
//! `calls`); what is read next is read from what is said by then, and places found before do not
//! move with it. A port that a `Via` names beside the sender's own is remembered: answers go there.

mod address;
mod calls;
mod headers;
mod outside;
mod registration;
mod sdp;
mod text;

use super::{Memory, Policy};
use crate::CtState;
use crate::helping::Helping;
use crate::table::Drop;
use crate::timeout::Timeout;
use alloc::borrow::Cow;
use core::ops::Range;
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

/// What is remembered: the numbers of the last requests (`CSeq`), 0 before the first, and the port that
/// senders of requests want to be answered at where that is not the one they send from, 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    invite: u32,
    register: u32,
    answered_at: u16,
}

/// What a message of one method, or an answer to one, does.
type Read = fn(&mut Helping<'_>, &mut Message<'_>) -> Result<(), Drop>;

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

/// A message.
#[derive(Clone, Debug)]
struct Message<'a> {
    /// As it has become.
    told: Cow<'a, [u8]>,
    family: Family,
    /// Number of the request.
    cseq: u32,
    /// Status code of an answer; 0 for a request.
    code: u32,
    /// Bytes by which its packet may still grow.
    room: usize,
}

/// A packet cannot be as long as it would come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooLong;

impl Message<'_> {
    fn text(&self) -> Text<'_> {
        Text(&self.told)
    }

    /// Says something else in the place of a part.
    fn say(&mut self, part: Range<usize>, instead: &str) -> Result<(), TooLong> {
        let there = self.told.get(part.clone()).ok_or(TooLong)?.len();
        self.room = (self.room + there).checked_sub(instead.len()).ok_or(TooLong)?;
        self.told.to_mut().splice(part, instead.bytes());
        Ok(())
    }
}

/// Of a connection over UDP: every datagram is a message.
pub(super) fn help_udp(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let payload = helping.payload();
    match prolong(helping) {
        true => hear(helping, payload, 0).map(|_| ()),
        false => Ok(()),
    }
}

/// Of a connection over TCP: a segment may hold several messages.
pub(super) fn help_tcp(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let payload = helping.payload();
    if helping.state != CtState::Established || !prolong(helping) {
        return Ok(());
    }
    let (mut rest, mut at) = (payload, 0);
    while let Some(Extent { length, body }) = extent(rest) {
        let Some((message, behind)) = rest.split_at_checked(length) else {
            // Linux does not come to shift the numbers then, unless the body alone is longer than what is there.
            helping.shifts = body > rest.len();
            break;
        };
        at += hear(helping, message, at)?;
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

/// How long a message is, and its body.
struct Extent {
    length: usize,
    body: usize,
}

/// That of the message at the start of a segment; `None` when it is not known.
fn extent(bytes: &[u8]) -> Option<Extent> {
    const EMPTY_LINE: &[u8] = b"\r\n\r\n";
    let (body, end) = headers::number(&CONTENT_LENGTH, Text(bytes))?;
    let mut behind = bytes.get(end..)?.windows(EMPTY_LINE.len());
    let head = end + behind.position(|there| there == EMPTY_LINE)? + EMPTY_LINE.len();
    let body = body as usize;
    head.checked_add(body).map(|length| Extent { length, body })
}

/// Reads a message, which stands there in what is said, and says it anew. How long it has become.
fn hear(helping: &mut Helping<'_>, message: &[u8], at: usize) -> Result<usize, Drop> {
    let length = message.len();
    let (family, room) = (helping.packet.family, helping.room());
    let mut message = Message { told: Cow::Borrowed(message), family, cseq: 0, code: 0, room };
    let is_answer = message.text().begins(0, VERSION);
    if is_answer { answer(helping, &mut message) } else { request(helping, &mut message) }?;
    if helping.is_translated() {
        outside::translate(helping, &mut message)?;
    }
    if let Cow::Owned(told) = &message.told {
        helping.say(at..at + length, told)?;
    }
    Ok(message.told.len())
}

fn request(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    outside::remember_port(helping, message);
    let text = message.text();
    let method = METHODS.iter().find(|method| {
        let behind = method.name.len();
        let is_uri = text.at(behind + 1).is_some_and(is_letter);
        text.begins(0, method.name) && text.at(behind) == Some(b' ') && is_uri
    });
    let Some(method) = method else { return Ok(()) };
    (message.cseq, _) = cseq(helping, text)?;
    (method.request)(helping, message)
}

fn answer(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    let text = message.text();
    if text.end() < SHORTEST {
        return Ok(());
    }
    let code = text.number(VERSION.len()).map_or(0, |(code, _)| code);
    if code == 0 {
        return Err(helping.refuse("cannot get code"));
    }
    let (cseq, end) = cseq(helping, text)?;
    let mut answers = METHODS.iter().filter_map(|method| Some((method.name, method.answer?)));
    let Some((_, read)) = answers.find(|(method, _)| text.begins(end + 1, method)) else {
        return Ok(());
    };
    (message.cseq, message.code) = (cseq, code);
    read(helping, message)
}

/// The number of a message, and where it ends.
fn cseq(helping: &mut Helping<'_>, text: Text<'_>) -> Result<(u32, usize), Drop> {
    headers::number(&CSEQ, text).ok_or_else(|| {
        let has_digits = headers::begins_with_digit(&CSEQ, text);
        helping.refuse(if has_digits { "cannot get cseq" } else { "cannot parse cseq" })
    })
}

/// What is remembered.
fn known<'a>(helping: &'a mut Helping<'_>) -> Option<&'a mut Known> {
    match helping.memory() {
        Some(Memory::Sip(known)) => Some(known),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
