//! The `H.245` helper: control of the media of a call. It comes with connections that call
//! signalling has announced.

use super::grammar::h245::MESSAGE;
use super::per::{self, Note};
use super::{Mark, Speech, expect, refuse, tpkt};
use crate::CtState;
use crate::expect::Request;
use crate::helpers::Policy;
use crate::helping::Helping;
use crate::table::Drop;
use core::time::Duration;
use keepstate_packet::{tcp, udp};

/// Media of four channels in both directions, and T.120.
pub(crate) const POLICY: Policy = Policy { name: "", max: 18, timeout: Duration::from_secs(240) };

pub(in crate::helpers) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    if helping.state != CtState::Established {
        return Ok(());
    }
    tpkt::each(helping, |helping, message| {
        let Ok(notes) = per::walk(message, &MESSAGE) else { return Ok(false) };
        channels(helping, message, &notes).map(|()| true)
    })
}

/// What the opening of channels announces.
pub(super) fn channels(
    helping: &mut Helping<'_>,
    message: &[u8],
    notes: &[Note],
) -> Result<(), Drop> {
    let is_begin = |note: &Note| matches!(note.mark, Mark::Channel | Mark::ChannelAck);
    let mut rest = notes;
    while let Some(begin) = rest.iter().position(is_begin) {
        let (first, behind) =
            rest.split_at(begin).1.split_first().ok_or_else(|| refuse(helping))?;
        let end = behind.iter().position(is_begin).unwrap_or(behind.len());
        let (channel, next) = behind.split_at(end);
        rest = next;
        self::channel(helping, message, first.mark, channel)?;
    }
    Ok(())
}

fn channel(
    helping: &mut Helping<'_>,
    message: &[u8],
    begin: Mark,
    notes: &[Note],
) -> Result<(), Drop> {
    let Some(speech) = Speech::new(helping, message) else { return Ok(()) };
    for pair in notes.windows(2) {
        if let [Note { mark: Mark::Media, .. }, place] = pair {
            media(helping, &speech, place)?;
        }
    }
    let separate = begin == Mark::ChannelAck || notes.iter().any(|n| n.mark == Mark::LanStack);
    for pair in notes.windows(2) {
        if let [Note { mark: Mark::SeparateStack, .. }, place] = pair
            && separate
        {
            t120(helping, &speech, place)?;
        }
    }
    Ok(())
}

/// RTP goes to the even port, RTCP to the odd one next to it, whichever was named.
fn media(helping: &mut Helping<'_>, speech: &Speech<'_>, place: &Note) -> Result<(), Drop> {
    let Some(port) = speech.own_port(place) else { return Ok(()) };
    let rtp = speech.towards_speaker(udp::PROTOCOL, port & !1);
    let rtcp = speech.towards_speaker(udp::PROTOCOL, port | 1);
    expect(helping, rtp)?;
    expect(helping, rtcp).inspect_err(|_| helping.withdraw(&rtp))
}

/// Any number of T.120 connections.
fn t120(helping: &mut Helping<'_>, speech: &Speech<'_>, place: &Note) -> Result<(), Drop> {
    let Some(port) = speech.own_port(place) else { return Ok(()) };
    let request = speech.towards_speaker(tcp::PROTOCOL, port);
    expect(helping, Request { permanent: true, ..request })
}
