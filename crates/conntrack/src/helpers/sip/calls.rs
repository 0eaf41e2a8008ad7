//! Calls: what session descriptions announce, and when it is forgotten.

use super::headers::{self, CONTENT_LENGTH};
use super::sdp::{self, CONNECTION, Media, Medium, OWNER, Unbelievable, VERSION};
use super::{Message, SIGNALLING, TooLong, outside};
use crate::expect::{Refused, Request};
use crate::helping::Helping;
use crate::table::Drop;
use alloc::string::ToString;
use core::ops::Range;
use keepstate_packet::{Address, udp};

/// INVITE begins with new media, whether a call is made or changed.
pub(super) fn invite(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    forget_media(helping);
    describe(helping, message)?;
    if let Some(known) = super::known(helping) {
        known.invite = message.cseq;
    }
    Ok(())
}

/// The call is over.
pub(super) fn bye(helping: &mut Helping<'_>, _: &mut Message<'_>) -> Result<(), Drop> {
    forget_media(helping);
    Ok(())
}

/// An answer to INVITE, UPDATE or PRACK: one that is not negative may describe media, one that is
/// ends what the INVITE of the same number began.
pub(super) fn answer(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    if matches!(message.code, 100..=299) {
        return describe(helping, message);
    }
    if super::known(helping).is_some_and(|known| known.invite == message.cseq) {
        forget_media(helping);
    }
    Ok(())
}

/// Expects the media of a session description. Where the connection is translated, the description says
/// where they can be reached from outside.
pub(super) fn describe(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    let family = message.family;
    let Some(mut media) = Media::of(message.text(), family) else { return Ok(()) };
    let translated = helping.is_translated();
    let mut address = media.address;
    while let Some(medium) = media.next(message.text()) {
        let medium = medium.map_err(|unbelievable| match unbelievable {
            Unbelievable::Port(port) => helping.refuse(format_args!("wrong port {port}")),
            Unbelievable::NoAddress => helping.refuse("cannot parse SDP message"),
        })?;
        let place = medium.place.start;
        let has_address = medium.has_address;
        let to = expect_medium(helping, message, medium)
            .map_err(|_| helping.refuse("cannot add expectation for voice"))?;
        if translated && has_address {
            let said = say_address(message, place, CONNECTION, to);
            said.map_err(|_| helping.refuse("cannot mangle SDP"))?;
        }
        address = Some(to);
    }
    match address.filter(|_| translated) {
        Some(to) => say_description(message, media.start, to).map_err(|_| Drop::Helper),
        None => Ok(()),
    }
}

fn forget_media(helping: &mut Helping<'_>) {
    helping.forget(|request| request.class != SIGNALLING);
}

/// Says whose description it is and where media are to go.
fn say_description(message: &mut Message<'_>, start: usize, to: Address) -> Result<(), Unsaid> {
    let instead = to.compressed(message.family).to_string();
    let (_, owner) = sdp::address(message.text(), start, OWNER, message.family).ok_or(Unsaid)?;
    message.say(owner, &instead)?;
    if let Some((_, place)) = sdp::address(message.text(), start, CONNECTION, message.family) {
        message.say(place, &instead)?;
    }
    say_length(message)
}

/// Says another address on the next line of a kind that comes before the next medium.
fn say_address(
    message: &mut Message<'_>,
    from: usize,
    line: &[u8],
    to: Address,
) -> Result<(), Unsaid> {
    let (_, place) = sdp::address(message.text(), from, line, message.family).ok_or(Unsaid)?;
    message.say(place, &to.compressed(message.family).to_string())?;
    say_length(message)
}

/// Says another port in the place of a medium's.
fn say_port(message: &mut Message<'_>, place: Range<usize>, port: u16) -> Result<(), Unsaid> {
    message.say(place, &port.to_string())?;
    say_length(message)
}

/// Says how long the description has become.
fn say_length(message: &mut Message<'_>) -> Result<(), Unsaid> {
    let text = message.text();
    let start = sdp::start(text).ok_or(Unsaid)? - VERSION.len();
    let digits = headers::digits(&CONTENT_LENGTH, text).ok_or(Unsaid)?;
    let length = (text.end() - start).to_string();
    Ok(message.say(digits, &length)?)
}

/// A description has no place for what is to be said, or there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unsaid;

impl From<TooLong> for Unsaid {
    fn from(_: TooLong) -> Self {
        Self
    }
}

/// Not expected; the log knows why, as far as it is told of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unexpected;

/// Expects RTP on the even port and RTCP on the odd one (RFC 3550, 11), unless another call's ends
/// share them already. Where media are to go.
///
/// Where another translated connection has announced the same inside, the two can reach each other there:
/// they are told to, and what passes here nevertheless is expected as it comes.
fn expect_medium(
    helping: &mut Helping<'_>,
    message: &mut Message<'_>,
    medium: Medium,
) -> Result<Address, Unexpected> {
    let Medium { class, mut address, mut port, place, .. } = medium;
    let (Some(tuple), Some(inverse)) = (helping.tuple(), helping.inverse()) else {
        return Ok(address);
    };
    let options = &helping.table.sysctls().sip;
    let source = if options.direct_media {
        if address != tuple.source {
            return Ok(address);
        }
        Some(inverse.source)
    } else {
        if options.external_media && helping.leaves_alike(address) {
            return Ok(address);
        }
        None
    };
    let request = |address, port| Request {
        class,
        of_any_master: true,
        ..Request::new(udp::PROTOCOL, (source, None), (address, port), tuple.family)
    };
    let translated = helping.is_translated();
    let (mut is_direct, mut is_shared) = (false, false);
    while let Some(other) = helping.expected(&request(address, port).tuple).filter(|other| {
        (other.helper, other.request.class) == (helping.helper, class)
            && other.master != helping.conn
    }) {
        let inside = outside::inside_of(&other.request);
        let there = (other.request.tuple.destination, other.request.tuple.destination_port);
        is_shared = is_direct || !translated || inside == there;
        if is_shared {
            break;
        }
        is_direct = true;
        (address, port) = inside;
    }
    let (rtp, rtcp) = (request(address, port & !1), request(address, port | 1));
    if is_direct {
        say_port(message, place.clone(), port & !1).map_err(|_| Unexpected)?;
    }
    if is_shared {
        return Ok(address);
    }
    if translated && !is_direct {
        return expect_outside(helping, message, [rtp, rtcp], place);
    }
    let made = expect(helping, rtp)?;
    expect(helping, rtcp).inspect_err(|_| {
        if made {
            helping.withdraw(&rtp);
        }
    })?;
    Ok(address)
}

/// Whether it was made now; else it was there already, for other media or another call, and that
/// will do.
fn expect(helping: &mut Helping<'_>, request: Request) -> Result<bool, Unexpected> {
    match helping.expect(request) {
        Ok(()) => Ok(true),
        Err(Refused::Already) => Ok(false),
        Err(Refused::Clash | Refused::Full) => Err(Unexpected),
    }
}

/// Expects a pair at the address that is seen outside, and at the next pair of ports that is free there.
/// The address, and the message says the port.
fn expect_outside(
    helping: &mut Helping<'_>,
    message: &mut Message<'_>,
    pair: [Request; 2],
    place: Range<usize>,
) -> Result<Address, Unexpected> {
    let first = pair[0].tuple.destination_port;
    let Some(pair) = outside::seen(helping, pair) else { return Err(Unexpected) };
    let address = pair[0].tuple.destination;
    let Some(port) = expect_free_pair(helping, &pair) else {
        helping.refuse("all ports in use for SDP media");
        return Err(Unexpected);
    };
    if port != first && say_port(message, place, port).is_err() {
        helping.refuse("cannot mangle SDP message");
        helping.withdraw(&pair[0].at_port(port));
        helping.withdraw(&pair[1].at_port(port | 1));
        return Err(Unexpected);
    }
    Ok(address)
}

fn expect_free_pair(helping: &mut Helping<'_>, [rtp, rtcp]: &[Request; 2]) -> Option<u16> {
    for port in (rtp.tuple.destination_port..=u16::MAX).step_by(2) {
        let even = rtp.at_port(port);
        match helping.expect(even) {
            Ok(()) => {}
            Err(Refused::Clash) => continue,
            Err(Refused::Already | Refused::Full) => return None,
        }
        match helping.expect(rtcp.at_port(port | 1)) {
            Ok(()) => return Some(port),
            Err(refused) => {
                helping.withdraw(&even);
                if refused != Refused::Clash {
                    return None;
                }
            }
        }
    }
    None
}
