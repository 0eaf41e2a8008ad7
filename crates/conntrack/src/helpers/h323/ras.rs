//! The `RAS` helper: discovery of gatekeepers, registration with them, and admission of calls.
//!
//! Its connections live as long as the registration: a confirmation sets their timeout, and so does
//! an unregistration.

use super::grammar::h225::RAS_MESSAGE;
use super::per::{self, Note};
use super::{Mark, Speech, expect};
use crate::expect::Request;
use crate::helpers::{self, Memory, Policy};
use crate::helping::Helping;
use crate::table::Drop;
use crate::timeout::{self, Timeout};
use crate::tuple::Direction;
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
    /// Ports that calls are expected at, of the original direction's sender first; 0 for none.
    ports: [u16; 2],
}

pub(in crate::helpers) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let message = helping.payload();
    let Ok(notes) = per::walk(message, &RAS_MESSAGE) else { return Ok(()) };
    let Some((kind, notes)) = notes.split_first() else { return Ok(()) };
    let Some(speech) = Speech::new(helping, message) else { return Ok(()) };
    match kind.mark {
        Mark::GatekeeperConfirm => gatekeeper(helping, &speech, notes),
        Mark::RegistrationRequest => registration(helping, &speech, notes),
        Mark::RegistrationConfirm => {
            registered(helping, &speech, notes);
            Ok(())
        }
        Mark::UnregistrationRequest => {
            helping.forget(|_| true);
            if let Some(settled) = registration_of(helping) {
                settled.ports = [0; 2];
            }
            helping.live_on(Timeout::of_policy(UNREGISTRATION));
            Ok(())
        }
        Mark::AdmissionConfirm => match place(&speech, notes) {
            Some((address, _)) if address == speech.tuple.destination => Ok(()),
            place => call(helping, &speech, place),
        },
        Mark::LocationConfirm => call(helping, &speech, place(&speech, notes)),
        _ => Ok(()),
    }
}

fn registration_of<'h>(helping: &'h mut Helping<'_>) -> Option<&'h mut Registration> {
    match helping.memory() {
        Some(Memory::Ras(registration)) => Some(registration),
        _ => None,
    }
}

/// The address that a message has.
fn place(speech: &Speech<'_>, notes: &[Note]) -> Option<(Address, u16)> {
    speech.place(notes.first()?)
}

/// Registration goes to another port than discovery.
fn gatekeeper(helping: &mut Helping<'_>, speech: &Speech<'_>, notes: &[Note]) -> Result<(), Drop> {
    let Some(place) = place(speech, notes) else { return Ok(()) };
    let same = place == (speech.tuple.source, speech.tuple.source_port);
    if same || helping.is_expected() {
        return Ok(());
    }
    let request = speech.to(udp::PROTOCOL, place);
    expect(helping, Request { assigns: helpers::Instance::usual("RAS"), ..request })
}

/// Calls come to the first address that is the speaker's own, from the gatekeeper or (with
/// `gkrouted_only` of the module off) from anywhere.
fn registration(
    helping: &mut Helping<'_>,
    speech: &Speech<'_>,
    notes: &[Note],
) -> Result<(), Drop> {
    let modules = &helping.table.sysctls.modules;
    let (gatekeeper_only, default) =
        (modules.h323_gkrouted_only != 0, modules.h323_default_rrq_ttl);
    if let Some(port) = notes.iter().find_map(|note| speech.own_port(note)) {
        let from = gatekeeper_only.then_some(speech.inverse.source);
        let place = (speech.inverse.destination, port);
        let request = Request::new(tcp::PROTOCOL, (from, None), place, speech.inverse.family);
        let assigns = helpers::Instance::usual("Q.931");
        expect(helping, Request { permanent: true, assigns, ..request })?;
        let direction = helping.direction;
        if let Some(settled) = registration_of(helping) {
            *port_of(settled, direction) = port;
        }
    }
    if let Some(settled) = registration_of(helping) {
        settled.time_to_live = time_to_live(notes).unwrap_or(default);
    }
    Ok(())
}

fn registered(helping: &mut Helping<'_>, speech: &Speech<'_>, notes: &[Note]) {
    let direction = helping.direction;
    let Some(settled) = registration_of(helping) else { return };
    settled.time_to_live = time_to_live(notes).unwrap_or(settled.time_to_live);
    let (seconds, port) = (settled.time_to_live, *port_of(settled, direction.invert()));
    if seconds > 0 {
        helping.live_on(Timeout::of_policy(seconds));
        let place = (speech.tuple.destination, port);
        // Linux looks for one that is expected from anywhere.
        let request = Request::new(tcp::PROTOCOL, (None, None), place, speech.tuple.family);
        let is_it = |one: &Request| (one.tuple, one.mask) == (request.tuple, request.mask);
        helping.prolong(is_it, timeout::waited(seconds));
    }
}

fn time_to_live(notes: &[Note]) -> Option<u32> {
    notes.iter().find(|note| note.mark == Mark::TimeToLive).map(|note| note.value)
}

fn port_of(settled: &mut Registration, direction: Direction) -> &mut u16 {
    let [original, reply] = &mut settled.ports;
    match direction {
        Direction::Original => original,
        Direction::Reply => reply,
    }
}

/// A call to somebody whom the gatekeeper knows.
fn call(
    helping: &mut Helping<'_>,
    speech: &Speech<'_>,
    place: Option<(Address, u16)>,
) -> Result<(), Drop> {
    let Some(place) = place else { return Ok(()) };
    let request = speech.to(tcp::PROTOCOL, place);
    let assigns = helpers::Instance::usual("Q.931");
    expect(helping, Request { permanent: true, assigns, ..request })
}
