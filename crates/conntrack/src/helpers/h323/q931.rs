//! The `Q.931` helper: the signalling of calls (H.225.0 in Q.931 messages), with the H.245 that is
//! tunnelled in it.

use super::grammar::h225::USER_INFORMATION;
use super::per::{self, Note};
use super::{Mark, Speech, expect, h245, tpkt};
use crate::CtState;
use crate::expect::Request;
use crate::helpers::{self, Policy};
use crate::helping::Helping;
use crate::table::Drop;
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
        let Some(information) = user_information(message) else { return Ok(false) };
        let Ok(notes) = per::walk(information, &USER_INFORMATION) else { return Ok(false) };
        signalling(helping, information, &notes).map(|()| true)
    })
}

/// The content of the user-user information element, without its own protocol discriminator.
fn user_information(message: &[u8]) -> Option<&[u8]> {
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
                return rest.get(..length)?.get(1..);
            }
            [_, length, rest @ ..] => (usize::from(*length), rest),
            _ => return None,
        };
        elements = elements.get(length..)?;
    }
}

fn signalling(helping: &mut Helping<'_>, message: &[u8], notes: &[Note]) -> Result<(), Drop> {
    let is_tunnelled = |note: &Note| note.mark == Mark::Tunnelled;
    let end = notes.iter().position(is_tunnelled).unwrap_or(notes.len());
    let (body, tunnelled) = notes.split_at(end);
    let Some(speech) = Speech::new(helping, message) else { return Ok(()) };
    if body.iter().any(|note| note.mark == Mark::CallForwarded) {
        announced(body, Mark::AlternativeAddress)
            .map_or(Ok(()), |place| forwarded(helping, &speech, place))?;
    } else {
        announced(body, Mark::H245Address)
            .map_or(Ok(()), |place| control(helping, &speech, place))?;
        h245::channels(helping, message, body)?;
    }
    h245::channels(helping, message, tunnelled)
}

/// The place noted behind a mark.
fn announced(notes: &[Note], mark: Mark) -> Option<&Note> {
    notes.windows(2).find_map(|pair| match pair {
        [note, place] if note.mark == mark => Some(place),
        _ => None,
    })
}

fn control(helping: &mut Helping<'_>, speech: &Speech<'_>, place: &Note) -> Result<(), Drop> {
    let Some(port) = speech.own_port(place) else { return Ok(()) };
    let request = speech.towards_speaker(tcp::PROTOCOL, port);
    expect(helping, Request { assigns: helpers::Instance::usual("H.245"), ..request })
}

/// The other end calls somebody else. Where both are reached by the same next hop, that call does
/// not come along here (`callforward_filter` of the module).
fn forwarded(helping: &mut Helping<'_>, speech: &Speech<'_>, place: &Note) -> Result<(), Drop> {
    let Some((address, port)) = speech.place(place).filter(|(_, port)| *port != 0) else {
        return Ok(());
    };
    let filter = helping.table.sysctls.modules.h323_callforward_filter;
    if filter && helping.shares_next_hop(address) {
        return Ok(());
    }
    let request = speech.to(tcp::PROTOCOL, (address, port));
    expect(helping, Request { assigns: helpers::Instance::usual("Q.931"), ..request })
}
