//! The `H.245` helper: control of the media of a call. It comes with connections that call
//! signalling has announced.

use super::grammar::h245::MESSAGE;
use super::per::{self, Note};
use super::{Both, Mark, Speech, expect, expect_outside, marked, refuse, tpkt};
use crate::CtState;
use crate::expect::{Refused, Request};
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
        let Ok(notes) = per::walk(message.octets(helping), &MESSAGE) else { return Ok(false) };
        let Some(mut speech) = Speech::new(helping, *message) else { return Ok(false) };
        channels(helping, &mut speech, &notes)?;
        *message = speech.message;
        Ok(true)
    })
}

/// What the opening of channels announces.
pub(super) fn channels(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
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
        self::channel(helping, speech, first.mark, channel)?;
    }
    Ok(())
}

fn channel(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
    begin: Mark,
    notes: &[Note],
) -> Result<(), Drop> {
    for place in marked(notes, Mark::Media) {
        media(helping, speech, place)?;
    }
    let separate = begin == Mark::ChannelAck || notes.iter().any(|n| n.mark == Mark::LanStack);
    for place in marked(notes, Mark::SeparateStack).filter(|_| separate) {
        t120(helping, speech, place)?;
    }
    Ok(())
}

/// RTP goes to the even port, RTCP to the odd one next to it, whichever was named.
fn media(helping: &mut Helping<'_>, speech: &mut Speech, place: &Note) -> Result<(), Drop> {
    let Some(port) = speech.own_port(helping, place) else { return Ok(()) };
    let rtp = speech.towards_speaker(udp::PROTOCOL, port & !1);
    let rtcp = speech.towards_speaker(udp::PROTOCOL, port | 1);
    if !speech.is_renamed() {
        expect(helping, rtp)?;
        return expect(helping, rtcp).inspect_err(|_| helping.withdraw(&rtp));
    }
    let direction = helping.direction;
    let own = port & !1;
    let is_free = |both: &Both| [own, 0].contains(&both.of(direction));
    let remembered =
        tpkt::call_of(helping).and_then(|call| call.ports.media.iter().position(is_free));
    let Some(remembered) = remembered else { return Ok(()) };
    let [rtp, rtcp] = [rtp, rtcp].map(|request| request.following(direction.invert()));
    let Some(outside) = expect_pair(helping, &rtp, &rtcp) else { return Ok(()) };
    speech.say_own(helping, place, outside | port & 1).inspect_err(|_| {
        helping.withdraw(&rtp.at_port(outside));
        helping.withdraw(&rtcp.at_port(outside | 1));
    })?;
    let call = tpkt::call_of(helping);
    if let Some(both) = call.and_then(|call| call.ports.media.get_mut(remembered)) {
        *both.of_mut(direction) = own;
        *both.of_mut(direction.invert()) = outside;
    }
    Ok(())
}

/// Expects both at the next ports, from the announced ones on, where both are free. The even one of
/// them. Whatever is not free is expected, so that the search ends soon.
fn expect_pair(helping: &mut Helping<'_>, rtp: &Request, rtcp: &Request) -> Option<u16> {
    let mut port = rtp.tuple.destination_port;
    while port != 0 {
        match helping.expect(rtp.at_port(port)) {
            Err(Refused::Clash) => {}
            Err(Refused::Already | Refused::Full) => return None,
            Ok(()) => {
                let Err(refused) = helping.expect(rtcp.at_port(port | 1)) else {
                    return Some(port);
                };
                helping.withdraw(&rtp.at_port(port));
                if refused != Refused::Clash {
                    return None;
                }
            }
        }
        port = port.wrapping_add(2);
    }
    None
}

/// Any number of T.120 connections.
fn t120(helping: &mut Helping<'_>, speech: &mut Speech, place: &Note) -> Result<(), Drop> {
    let Some(port) = speech.own_port(helping, place) else { return Ok(()) };
    let request = speech.towards_speaker(tcp::PROTOCOL, port);
    let request = Request { permanent: true, ..request };
    if !speech.is_renamed() {
        return expect(helping, request);
    }
    let request = request.following(helping.direction.invert());
    expect_outside(helping, speech, place, request).map(|_| ())
}
