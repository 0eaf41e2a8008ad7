//! Registrations: REGISTER announces that calls may come in at a contact, its answer for how long.

use super::headers::{self, CONTACT, EXPIRES, Uris};
use super::{Message, SIGNALLING, outside};
use crate::expect::Request;
use crate::helping::Helping;
use crate::table::Drop;
use crate::timeout::waited;

/// What the log says of `expires=` without a number.
const BAD_EXPIRES: &str = "cannot parse expires";

/// Expects calls at the contact of the one who registers, not before they are answered.
pub(super) fn register(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    // Who was called at a contact cannot register one.
    if helping.is_expected() {
        return Ok(());
    }
    let (Some(tuple), Some(inverse)) = (helping.tuple(), helping.inverse()) else { return Ok(()) };
    let text = message.text();
    let Some(contact) = CONTACT.first(text, message.family) else { return Ok(()) };
    if contact.address != tuple.source {
        return Ok(());
    }
    let end = contact.place.end;
    let Some(protocol) = headers::transport(text, end, tuple.protocol) else { return Ok(()) };
    let own = headers::expires(text, end).map_err(|_| helping.refuse(BAD_EXPIRES))?;
    if own.unwrap_or_else(|| expires(message)) != 0 {
        let source = helping.table.sysctls().sip.direct_signalling.then_some(inverse.source);
        let place = (contact.address, contact.port);
        let calls = Request {
            class: SIGNALLING,
            permanent: true,
            inactive: true,
            assigns: Some(helping.helper),
            ..Request::new(protocol, (source, None), place, tuple.family)
        };
        match helping.is_translated() {
            true => outside::expect(helping, message, calls, contact.place)?,
            false => helping.expect_or_drop(calls)?,
        }
    }
    if let Some(known) = super::known(helping) {
        known.register = message.cseq;
    }
    Ok(())
}

/// The answer to the last REGISTER: its contacts say which registration holds, and how long.
pub(super) fn answer(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    let is_late = super::known(helping).is_none_or(|known| known.register != message.cseq);
    if is_late || matches!(message.code, 100..=199) {
        return Ok(());
    }
    if matches!(message.code, 200..=299) && holds(helping, message)? {
        return Ok(());
    }
    helping.forget(|request| request.class == SIGNALLING);
    Ok(())
}

/// Whether one of the contacts is registered on: its expectation serves from now on.
fn holds(helping: &mut Helping<'_>, message: &Message<'_>) -> Result<bool, Drop> {
    let Some(tuple) = helping.tuple() else { return Ok(true) };
    let (text, mut contacts) = (message.text(), Uris::of(&CONTACT, message.family));
    while let Some(contact) = contacts.next(text) {
        if contact.address != tuple.destination {
            continue;
        }
        let end = contact.place.end;
        let Some(protocol) = headers::transport(text, end, tuple.protocol) else { continue };
        let own = headers::expires(text, end).map_err(|_| helping.refuse(BAD_EXPIRES))?;
        let seconds = own.unwrap_or_else(|| expires(message));
        if seconds == 0 {
            return Ok(false);
        }
        let is_it = |request: &Request| {
            let Request { class, tuple, .. } = request;
            let (address, port) = (tuple.destination, tuple.destination_port);
            (*class, tuple.protocol) == (SIGNALLING, protocol)
                && (address, port) == (contact.address, contact.port)
        };
        if helping.prolong(is_it, waited(seconds)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Seconds of the whole message, 0 when it has none.
fn expires(message: &Message<'_>) -> u32 {
    headers::number(&EXPIRES, message.text()).map_or(0, |(seconds, _)| seconds)
}
