//! The `RAS` helper: discovery of gatekeepers, registration with them, and admission of calls.
//!
//! Its connections live as long as the registration: a confirmation sets their timeout, and so does
//! an unregistration.

use super::grammar::h225::RAS_MESSAGE;
use super::per::{self, Note};
use super::{Mark, Message, Ports, Speech, expect, expect_outside, marked};
use crate::expect::Request;
use crate::helpers::{self, Memory, Policy};
use crate::helping::Helping;
use crate::table::Drop;
use crate::timeout::{self, Timeout};
use core::time::Duration;
use keepstate_packet::{Address, tcp, udp};

/// Calls of a registered end point.
pub(crate) const POLICY: Policy = Policy { name: "", max: 32, timeout: Duration::from_secs(240) };
/// What a connection has to go on after an unregistration, for the answer.
const UNREGISTRATION: u32 = 30;

/// What was settled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Registration {
    /// Seconds; 0 when nobody has asked.
    time_to_live: u32,
    /// Where calls are expected.
    ports: Ports,
}

pub(in crate::helpers) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let Ok(notes) = per::walk(helping.payload(), &RAS_MESSAGE) else { return Ok(()) };
    let Some((kind, notes)) = notes.split_first() else { return Ok(()) };
    let Some(mut speech) = Speech::new(helping, Message::whole(helping)) else { return Ok(()) };
    let speech = &mut speech;
    match kind.mark {
        Mark::GatekeeperRequest | Mark::LocationRequest => own_address(helping, speech, notes),
        Mark::GatekeeperConfirm => gatekeeper(helping, speech, notes),
        Mark::RegistrationRequest => registration(helping, speech, notes),
        Mark::RegistrationConfirm => registered(helping, speech, notes),
        Mark::UnregistrationRequest => unregistration(helping, speech, notes),
        Mark::AdmissionRequest => admission(helping, speech, notes),
        Mark::AdmissionConfirm => match place(helping, speech, notes) {
            Some((address, _)) if address == speech.tuple.destination => {
                signal_address(helping, speech, notes.first())
            }
            place => call(helping, speech, place),
        },
        Mark::LocationConfirm => {
            let place = place(helping, speech, notes);
            call(helping, speech, place)
        }
        Mark::InfoRequestResponse => {
            own_address(helping, speech, notes)?;
            signal_address(helping, speech, marked(notes, Mark::CallSignalAddress))
        }
        _ => Ok(()),
    }
}

fn registration_of<'h>(helping: &'h mut Helping<'_>) -> Option<&'h mut Registration> {
    match helping.memory() {
        Some(Memory::Ras(registration)) => Some(registration),
        _ => None,
    }
}

/// The ports that are remembered, as they are now.
fn ports_of(helping: &mut Helping<'_>) -> Ports {
    registration_of(helping).map_or_else(Ports::default, |settled| settled.ports)
}

/// The address that a message has.
fn place(helping: &Helping<'_>, speech: &Speech, notes: &[Note]) -> Option<(Address, u16)> {
    speech.place(helping, notes.first()?)
}

/// Says where the speaker listens, as it is seen outside, in the place of the first such address.
fn own_address(helping: &mut Helping<'_>, speech: &mut Speech, notes: &[Note]) -> Result<(), Drop> {
    let own = Some((speech.tuple.source, speech.tuple.source_port));
    let is_own = |place: &&Note| speech.place(helping, place) == own;
    let found = marked(notes, Mark::RasAddress).find(is_own);
    match found.filter(|_| speech.is_translated) {
        Some(place) => speech.say_own(helping, place, speech.inverse.destination_port),
        None => Ok(()),
    }
}

/// Says where the end point that has registered is called, as the receiver sees it, in the place of the
/// first such address. An end point that names its loopback address first is taken to mean that one.
fn signal_address<'n>(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
    places: impl IntoIterator<Item = &'n Note>,
) -> Result<(), Drop> {
    if !speech.is_translated {
        return Ok(());
    }
    let signalling = ports_of(helping).signalling;
    let (port, outside) =
        (signalling.of(helping.direction), signalling.of(helping.direction.invert()));
    let mut first = None;
    for place in places {
        let first = *first.get_or_insert(place);
        let said = speech.place(helping, place);
        if said == Some((speech.tuple.source, port)) {
            let place = if is_loopback(helping, speech, first) { first } else { place };
            return speech.say_own(helping, place, outside);
        }
        if said == Some((speech.tuple.destination, port)) {
            return speech.say(helping, place, (speech.inverse.source, outside));
        }
    }
    Ok(())
}

fn is_loopback(helping: &Helping<'_>, speech: &Speech, place: &Note) -> bool {
    let said = speech.place(helping, place);
    said.is_some_and(|(address, _)| address.v4_octets().first() == Some(&127))
}

/// Registration goes to another port than discovery.
fn gatekeeper(helping: &mut Helping<'_>, speech: &Speech, notes: &[Note]) -> Result<(), Drop> {
    let Some(place) = place(helping, speech, notes) else { return Ok(()) };
    let same = place == (speech.tuple.source, speech.tuple.source_port);
    if same || helping.is_expected() {
        return Ok(());
    }
    let request = speech.to(udp::PROTOCOL, place);
    expect(helping, Request { assigns: helpers::Instance::usual("RAS"), ..request })
}

/// Calls come to the first address that is the speaker's own.
fn registration(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
    notes: &[Note],
) -> Result<(), Drop> {
    let own = |place: &Note| Some((*place, speech.own_port(helping, place)?));
    if let Some((place, port)) = marked(notes, Mark::CallSignalAddress).find_map(own) {
        let first = marked(notes, Mark::CallSignalAddress).next();
        calls(helping, speech, (first, &place), port)?;
    }
    own_address(helping, speech, notes)?;
    let default = helping.table.sysctls.modules.h323_default_rrq_ttl;
    if let Some(settled) = registration_of(helping) {
        settled.time_to_live = time_to_live(notes).unwrap_or(default);
    }
    Ok(())
}

/// Calls come from the gatekeeper or (with `gkrouted_only` of the module off) from anywhere. A loopback
/// address that comes first is not left standing.
fn calls(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
    (first, place): (Option<&Note>, &Note),
    port: u16,
) -> Result<(), Drop> {
    let gatekeeper_only = helping.table.sysctls.modules.h323_gkrouted_only != 0;
    let from = gatekeeper_only.then_some(speech.inverse.source);
    let to = (speech.inverse.destination, port);
    let request = Request::new(tcp::PROTOCOL, (from, None), to, speech.inverse.family);
    let assigns = helpers::Instance::usual("Q.931");
    let request = Request { permanent: true, assigns, ..request };
    let direction = helping.direction;
    if !speech.is_translated {
        expect(helping, request)?;
        if let Some(settled) = registration_of(helping) {
            *settled.ports.signalling.of_mut(direction) = port;
        }
        return Ok(());
    }
    let request = match from {
        Some(_) => request.following(direction.invert()),
        None => request.leading_to(direction.invert(), None),
    };
    let wanted = ports_of(helping).seen_outside(port, direction);
    let Some(outside) = expect_outside(helping, speech, place, request.at_port(wanted))? else {
        return Ok(());
    };
    if let Some(settled) = registration_of(helping) {
        settled.ports.settle(port, outside, direction);
    }
    match first.filter(|first| is_loopback(helping, speech, first)) {
        Some(first) => speech.say_own(helping, first, outside),
        None => Ok(()),
    }
}

fn registered(helping: &mut Helping<'_>, speech: &mut Speech, notes: &[Note]) -> Result<(), Drop> {
    signal_address(helping, speech, marked(notes, Mark::CallSignalAddress))?;
    let direction = helping.direction;
    let Some(settled) = registration_of(helping) else { return Ok(()) };
    settled.time_to_live = time_to_live(notes).unwrap_or(settled.time_to_live);
    let (seconds, port) = (settled.time_to_live, settled.ports.signalling.of(direction.invert()));
    if seconds > 0 {
        helping.live_on(Timeout::of_policy(seconds));
        let place = (speech.tuple.destination, port);
        // Linux looks for one that is expected from anywhere.
        let request = Request::new(tcp::PROTOCOL, (None, None), place, speech.tuple.family);
        let is_it = |one: &Request| (one.tuple, one.mask) == (request.tuple, request.mask);
        helping.prolong(is_it, timeout::waited(seconds));
    }
    Ok(())
}

fn time_to_live(notes: &[Note]) -> Option<u32> {
    notes.iter().find(|note| note.mark == Mark::TimeToLive).map(|note| note.value)
}

fn unregistration(
    helping: &mut Helping<'_>,
    speech: &mut Speech,
    notes: &[Note],
) -> Result<(), Drop> {
    signal_address(helping, speech, marked(notes, Mark::CallSignalAddress))?;
    helping.forget(|_| true);
    if let Some(settled) = registration_of(helping) {
        settled.ports = Ports::default();
    }
    helping.live_on(Timeout::of_policy(UNREGISTRATION));
    Ok(())
}

/// An end point that is called names the address that it has registered; one that calls may name any
/// port of its own.
fn admission(helping: &mut Helping<'_>, speech: &mut Speech, notes: &[Note]) -> Result<(), Drop> {
    if !speech.is_translated {
        return Ok(());
    }
    let signalling = ports_of(helping).signalling;
    let (port, outside) =
        (signalling.of(helping.direction), signalling.of(helping.direction.invert()));
    let own = speech.tuple.source;
    if let Some(place) = marked(notes, Mark::DestCallSignalAddress).next()
        && speech.place(helping, place) == Some((own, port))
    {
        return speech.say_own(helping, place, outside);
    }
    if let Some(place) = marked(notes, Mark::SourceCallSignalAddress).next()
        && let Some((_, port)) = speech.place(helping, place).filter(|said| said.0 == own)
    {
        return speech.say_own(helping, place, port);
    }
    Ok(())
}

/// A call to somebody whom the gatekeeper knows.
fn call(
    helping: &mut Helping<'_>,
    speech: &Speech,
    place: Option<(Address, u16)>,
) -> Result<(), Drop> {
    let Some(place) = place else { return Ok(()) };
    let request = speech.to(tcp::PROTOCOL, place);
    let assigns = helpers::Instance::usual("Q.931");
    expect(helping, Request { permanent: true, assigns, ..request })
}
