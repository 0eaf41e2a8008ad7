//! Calls: what session descriptions announce, and when it is forgotten.

use super::sdp::{Media, Medium, Unbelievable};
use super::{Message, SIGNALLING};
use crate::expect::{Refused, Request};
use crate::helping::Helping;
use crate::table::Drop;
use keepstate_packet::udp;

/// INVITE begins with new media, whether a call is made or changed.
pub(super) fn invite(helping: &mut Helping<'_>, message: &Message<'_>) -> Result<(), Drop> {
    forget_media(helping);
    describe(helping, message)?;
    if let Some(numbers) = super::numbers(helping) {
        numbers.invite = message.cseq;
    }
    Ok(())
}

/// The call is over.
pub(super) fn bye(helping: &mut Helping<'_>, _: &Message<'_>) -> Result<(), Drop> {
    forget_media(helping);
    Ok(())
}

/// An answer to INVITE, UPDATE or PRACK: one that is not negative may describe media, one that is
/// ends what the INVITE of the same number began.
pub(super) fn answer(helping: &mut Helping<'_>, message: &Message<'_>) -> Result<(), Drop> {
    if matches!(message.code, 100..=299) {
        return describe(helping, message);
    }
    if super::numbers(helping).is_some_and(|numbers| numbers.invite == message.cseq) {
        forget_media(helping);
    }
    Ok(())
}

/// Expects the media of a session description.
pub(super) fn describe(helping: &mut Helping<'_>, message: &Message<'_>) -> Result<(), Drop> {
    let Some(media) = Media::of(message.text, message.family) else { return Ok(()) };
    for medium in media {
        let medium = medium.map_err(|unbelievable| match unbelievable {
            Unbelievable::Port(port) => helping.refuse(format_args!("wrong port {port}")),
            Unbelievable::NoAddress => helping.refuse("cannot parse SDP message"),
        })?;
        expect_medium(helping, &medium)?;
    }
    Ok(())
}

fn forget_media(helping: &mut Helping<'_>) {
    helping.forget(|request| request.class != SIGNALLING);
}

/// Expects RTP on the even port and RTCP on the odd one (RFC 3550, 11), unless another call's ends
/// share them already.
fn expect_medium(helping: &mut Helping<'_>, medium: &Medium) -> Result<(), Drop> {
    let (Some(tuple), Some(inverse)) = (helping.tuple(), helping.inverse()) else { return Ok(()) };
    let options = &helping.table.sysctls().sip;
    let source = if options.direct_media {
        if medium.address != tuple.source {
            return Ok(());
        }
        Some(inverse.source)
    } else {
        if options.external_media && helping.leaves_alike(medium.address) {
            return Ok(());
        }
        None
    };
    let request = |port| Request {
        class: medium.class,
        of_any_master: true,
        ..Request::new(udp::PROTOCOL, (source, None), (medium.address, port), tuple.family)
    };
    let shared = helping.expected(&request(medium.port).tuple);
    if shared.is_some_and(|(master, helper, class)| {
        master != helping.conn && helper == helping.helper && class == medium.class
    }) {
        return Ok(());
    }
    let (rtp, rtcp) = (request(medium.port & !1), request(medium.port | 1));
    let made = expect(helping, rtp)?;
    expect(helping, rtcp).map(|_| ()).inspect_err(|_| {
        if made {
            helping.withdraw(&rtp);
        }
    })
}

/// Whether it was made now; else it was there already, for other media or another call, and that
/// will do.
fn expect(helping: &mut Helping<'_>, request: Request) -> Result<bool, Drop> {
    match helping.expect(request) {
        Ok(()) => Ok(true),
        Err(Refused::Already) => Ok(false),
        Err(Refused::Clash | Refused::Full) => {
            Err(helping.refuse("cannot add expectation for voice"))
        }
    }
}
