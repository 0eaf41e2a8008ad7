//! The `Q.931` helper: the signalling of calls (H.225.0 in Q.931 messages), with the H.245 that is
//! tunnelled in it.

use super::grammar::h225::USER_INFORMATION;
use super::per::{self, Note};
use super::{Mark, Message, Speech, expect, expect_outside, h245, marked, tpkt};
use crate::CtState;
use crate::expect::Request;
use crate::helpers::{self, Policy};
use crate::helping::Helping;
use crate::table::Drop;
use crate::tuple::Tuple;
use core::time::Duration;
use keepstate_packet::tcp;

/// Octet 1 of every message (Q.931, 4.2).
const PROTOCOL_DISCRIMINATOR: u8 = 0x08;
/// The information element that holds H323-UserInformation (Q.931, 4.5.30).
const USER_USER: u8 = 0x7e;

/// As many as of H.245, and H.245 itself.
pub(crate) const POLICY: Policy = Policy { name: "", max: 20, timeout: Duration::from_secs(240) };

pub(in crate::helpers) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    if helping.state != CtState::Established {
        return Ok(());
    }
    tpkt::each(helping, |helping, message| {
        let octets = message.octets(helping);
        let Some((start, length)) = user_information(octets) else { return Ok(false) };
        let information = message.part(start, start + length);
        let Ok(notes) = per::walk(information.octets(helping), &USER_INFORMATION) else {
            return Ok(false);
        };
        signalling(helping, information, &notes).map(|()| true)
    })
}

/// Where the content of the user-user information element begins, without its own protocol
/// discriminator, and how long it is.
fn user_information(message: &[u8]) -> Option<(usize, usize)> {
    let [PROTOCOL_DISCRIMINATOR, reference_length, rest @ ..] = message else { return None };
    let [_message_type, rest @ ..] = rest.get(usize::from(*reference_length)..)? else {
        return None;
    };
    let mut elements = match rest {
        [single, rest @ ..] if single & 0x80 != 0 => rest,
        _ => rest,
    };
    loop {
        let length;
        (length, elements) = match elements {
            [USER_USER, high, low, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let content = rest.get(..length)?.get(1..)?;
                return Some((message.len() - rest.len() + 1, content.len()));
            }
            [_, length, rest @ ..] => (usize::from(*length), rest),
            _ => return None,
        };
        elements = elements.get(length..)?;
    }
}

fn signalling(helping: &mut Helping<'_>, message: Message, notes: &[Note]) -> Result<(), Drop> {
    let is_tunnelled = |note: &Note| note.mark == Mark::Tunnelled;
    let end = notes.iter().position(is_tunnelled).unwrap_or(notes.len());
    let (body, tunnelled) = notes.split_at(end);
    let Some(mut speech) = Speech::new(helping, message) else { return Ok(()) };
    let speech = &mut speech;
    if body.iter().any(|note| note.mark == Mark::CallForwarded) {
        marked(body, Mark::AlternativeAddress)
            .next()
            .map_or(Ok(()), |place| forwarded(helping, speech, place))?;
    } else {
        marked(body, Mark::H245Address)
            .next()
            .map_or(Ok(()), |place| control(helping, speech, place))?;
        ends_of_call(helping, speech, body)?;
        h245::channels(helping, speech, body)?;
    }
    h245::channels(helping, speech, tunnelled)
}

fn control(helping: &mut Helping<'_>, speech: &mut Speech, place: &Note) -> Result<(), Drop> {
    let Some(port) = speech.own_port(helping, place) else { return Ok(()) };
    let request = speech.towards_speaker(tcp::PROTOCOL, port);
    let request = Request { assigns: helpers::Instance::usual("H.245"), ..request };
    if !speech.is_renamed() {
        return expect(helping, request);
    }
    let direction = helping.direction;
    let request = request.following(direction.invert());
    let Some(call) = tpkt::call_of(helping) else { return Ok(()) };
    let wanted = call.ports.seen_outside(port, direction);
    let outside = expect_outside(helping, speech, place, request.at_port(wanted))?;
    if let (Some(outside), Some(call)) = (outside, tpkt::call_of(helping)) {
        call.ports.settle(port, outside, direction);
    }
    Ok(())
}

/// Who calls and who is called in a translated Setup: the ends of the connection, as the receiver sees
/// them.
fn ends_of_call(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
    notes: &[Note],
) -> Result<(), Drop> {
    if !speech.is_translated {
        return Ok(());
    }
    let Tuple { source, source_port, destination, destination_port, .. } = speech.inverse;
    let ends = [
        (Mark::DestCallSignalAddress, (source, source_port)),
        (Mark::SourceCallSignalAddress, (destination, destination_port)),
    ];
    for (mark, end) in ends {
        for place in marked(notes, mark) {
            let said = speech.place(helping, place);
            if said.is_some_and(|(address, _)| address != end.0) {
                speech.say(helping, place, end)?;
            }
        }
    }
    Ok(())
}

/// The other end calls somebody else. Where both are reached by the same next hop, that call does
/// not come along here (`callforward_filter` of the module). In the eyes of the other end it goes to
/// the one that says so.
fn forwarded(helping: &mut Helping<'_>, speech: &mut Speech, place: &Note) -> Result<(), Drop> {
    let said = speech.place(helping, place);
    let Some((address, port)) = said.filter(|(_, port)| *port != 0) else { return Ok(()) };
    let filter = helping.table.sysctls.modules.h323_callforward_filter;
    if filter && helping.shares_next_hop(address) {
        return Ok(());
    }
    let assigns = helpers::Instance::usual("Q.931");
    if !speech.is_renamed() {
        let request = speech.to(tcp::PROTOCOL, (address, port));
        return expect(helping, Request { assigns, ..request });
    }
    let request = speech.towards_speaker(tcp::PROTOCOL, port);
    let request = request.leading_to(helping.direction.invert(), Some(address));
    expect_outside(helping, speech, place, Request { assigns, ..request }).map(|_| ())
}
