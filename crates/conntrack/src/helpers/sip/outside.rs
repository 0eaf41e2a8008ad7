//! What messages of translated connections say: the addresses and ports that the receiver sees.
//!
//! An address is another one outside only where it is, with its port, an end of the connection: whatever
//! else a message names stays. Read from RFC 3261 and RFC 3581 are the parameters of the topmost `Via`.

use super::headers::{self, CONTACT, FROM, TO, Uri, Uris, VIA_TCP, VIA_UDP};
use super::{Message, TooLong};
use crate::conn::ConnId;
use crate::expect::{Expectation, Request};
use crate::helping::Helping;
use crate::nat::{Following, Manip, Range as To};
use crate::table::{Drop, Table};
use crate::tuple::{Direction, Tuple};
use alloc::format;
use alloc::string::{String, ToString};
use core::ops::Range;
use keepstate_packet::{Address, Family, Instant, tcp};

/// The connection in the direction of the packet, as its sender sees it and as its receiver does.
struct Ends {
    inside: Tuple,
    outside: Tuple,
    /// The port that answers are to go to, where that is not the one that requests come from.
    answered_at: Option<u16>,
}

impl Ends {
    fn of(helping: &mut Helping<'_>) -> Option<Self> {
        let answered_at = super::known(helping).map(|known| known.answered_at);
        let (inside, outside) = (helping.tuple()?, helping.inverse()?.invert()?);
        Some(Self { inside, outside, answered_at: answered_at.filter(|port| *port != 0) })
    }

    /// What an end is outside, where it is something else there.
    fn seen(&self, address: Address, port: u16) -> Option<(Address, u16)> {
        let Self { inside, outside, answered_at } = self;
        let seen = if (address, port) == (inside.source, inside.source_port) {
            (outside.source, outside.source_port)
        } else if (address, port) == (inside.destination, inside.destination_port) {
            (outside.destination, answered_at.unwrap_or(outside.destination_port))
        } else {
            return None;
        };
        (seen != (address, port)).then_some(seen)
    }
}

/// Remembers the port that a request over UDP is to be answered at.
pub(super) fn remember_port(helping: &mut Helping<'_>, message: &Message<'_>) {
    let Some(tuple) = helping.tuple() else { return };
    let Some(way) = VIA_UDP.first(message.text(), message.family) else { return };
    if way.address == tuple.source
        && way.port != tuple.source_port
        && let Some(known) = super::known(helping)
    {
        known.answered_at = way.port;
    }
}

/// Has a message name the ends of its connection as its receiver sees them.
pub(super) fn translate(helping: &mut Helping<'_>, message: &mut Message<'_>) -> Result<(), Drop> {
    let Some(ends) = Ends::of(helping) else { return Ok(()) };
    let protocol = helping.packet.protocol;
    if let Err(what) = translate_headers(&ends, message, protocol) {
        helping.refuse(format_args!("cannot mangle {what}"));
        return Err(helping.refuse("cannot NAT SIP message"));
    }
    if let (Direction::Reply, Some(port)) = (helping.direction, ends.answered_at) {
        if protocol == tcp::PROTOCOL {
            return Err(helping.refuse("cannot NAT SIP message"));
        }
        helping.redirect(port);
    }
    Ok(())
}

/// What could not be said, as the log calls it.
type Unsaid = &'static str;

fn translate_headers(ends: &Ends, message: &mut Message<'_>, protocol: u8) -> Result<(), Unsaid> {
    let family = message.family;
    let is_request = !message.text().begins(0, b"SIP/2.0");
    if is_request && let Some(uri) = headers::request_uri(message.text(), family) {
        say_end(ends, message, &uri).map_err(|_| "SIP message")?;
    }
    translate_way(ends, message, is_request, protocol)?;
    let mut contacts = Uris::of(&CONTACT, family);
    while let Some(contact) = contacts.next(message.text()) {
        say_end(ends, message, &contact).map_err(|_| "contact")?;
    }
    for header in [&FROM, &TO] {
        if let Some(uri) = header.first(message.text(), family) {
            say_end(ends, message, &uri).map_err(|_| "SIP from/to")?;
        }
    }
    Ok(())
}

/// The topmost way of a request that the sender has made, or of an answer to one that the receiver has.
fn translate_way(
    ends: &Ends,
    message: &mut Message<'_>,
    is_request: bool,
    protocol: u8,
) -> Result<(), Unsaid> {
    let Ends { inside, outside, .. } = ends;
    let family = message.family;
    let header = if protocol == tcp::PROTOCOL { &VIA_TCP } else { &VIA_UDP };
    let Some(way) = header.first(message.text(), family) else { return Ok(()) };
    let made = match is_request {
        true => (inside.source, inside.source_port),
        false => (inside.destination, inside.destination_port),
    };
    if (way.address, way.port) != made {
        return Ok(());
    }
    let before = message.text().end();
    say_end(ends, message, &way).map_err(|_| "Via header")?;
    let end = way.place.end + message.text().end() - before;
    let text = message.text();
    if let Some((address, place)) = headers::address_parameter(text, end, b"maddr=", family, true)
        && address == inside.source
        && address != outside.source
    {
        message.say(place, &host(outside.source, family)).map_err(|_| "maddr")?;
    }
    let text = message.text();
    if let Some((address, place)) =
        headers::address_parameter(text, end, b"received=", family, false)
        && address == inside.destination
        && address != outside.destination
    {
        let instead = outside.destination.compressed(family).to_string();
        message.say(place, &instead).map_err(|_| "received")?;
    }
    if let Some((number, place)) = headers::number_parameter(message.text(), end, b"rport=")
        && number == u32::from(inside.destination_port)
        && number != u32::from(outside.destination_port)
    {
        message.say(place, &outside.destination_port.to_string()).map_err(|_| "rport")?;
    }
    Ok(())
}

fn say_end(ends: &Ends, message: &mut Message<'_>, uri: &Uri) -> Result<(), TooLong> {
    match ends.seen(uri.address, uri.port) {
        Some(seen) => message.say(uri.place.clone(), &place(seen, message.family)),
        None => Ok(()),
    }
}

/// As URIs have it.
fn host(address: Address, family: Family) -> String {
    match family {
        Family::V4 => address.compressed(family).to_string(),
        Family::V6 => format!("[{}]", address.compressed(family)),
    }
}

fn place((address, port): (Address, u16), family: Family) -> String {
    format!("{}:{port}", host(address, family))
}

/// What is announced, as it is seen outside; it goes to the place that was announced, with the packets that
/// answer this one.
pub(super) fn seen<const N: usize>(
    helping: &Helping<'_>,
    announced: [Request; N],
) -> Option<[Request; N]> {
    let (inside, outside) = (helping.tuple()?, helping.inverse()?.invert()?);
    let direction = helping.direction.invert();
    Some(announced.map(|request| {
        let mut tuple = request.tuple;
        let (address, port) = (Some(tuple.destination), tuple.destination_port);
        if inside.source != outside.source {
            tuple.destination = outside.source;
        }
        let following = Some(Following { direction, address, port });
        Request { tuple, following, fulfilled: Some(reach), ..request }
    }))
}

/// Where what is announced goes to inside; nowhere where it is not translated.
pub(super) fn inside_of(request: &Request) -> (Address, u16) {
    let place = |following: Following| Some((following.address?, following.port));
    request.following.and_then(place).unwrap_or_default()
}

/// Expects calls at a contact that the message names: at the port that its connection has outside, if it is
/// the one that it has inside, or another one where that is taken. The message says where.
pub(super) fn expect(
    helping: &mut Helping<'_>,
    message: &mut Message<'_>,
    calls: Request,
    contact: Range<usize>,
) -> Result<(), Drop> {
    let (Some(ends), Some([calls])) = (Ends::of(helping), seen(helping, [calls])) else {
        return Ok(());
    };
    let inside = inside_of(&calls);
    let own = ends.answered_at.unwrap_or(ends.inside.source_port);
    let first = if inside.1 == own { ends.outside.source_port } else { inside.1 };
    let found = helping.expect_at_some_port(calls.at_port(first));
    // Nobody can call at port 0, where calls are expected all the same.
    let Some(port) = found.filter(|port| *port != 0) else {
        return Err(helping.refuse("all ports in use for SIP"));
    };
    let outside = (calls.tuple.destination, port);
    if outside != inside && message.say(contact, &place(outside, message.family)).is_err() {
        let refused = helping.refuse("cannot mangle packet");
        helping.withdraw(&calls.at_port(port));
        return Err(refused);
    }
    Ok(())
}

/// Sets up an expected connection: it goes to the place that was announced inside. Media that come from a
/// place that is announced, too, seem to come from where that is seen outside; what comes from where its
/// master's packets come from, from where they seem to.
fn reach(table: &mut Table, now: Instant, conn: ConnId, expectation: &Expectation) {
    let Some(following) = expectation.request.following else { return };
    let (address, port) = inside_of(&expectation.request);
    let to = To { ports: Some((port, port)), ..To::of_address(address) };
    table.set_up(now, conn, &to, Manip::Destination);
    let Some(tuple) = table.tuple(conn, Direction::Original) else { return };
    let seen = match expectation.request.class {
        super::SIGNALLING => None,
        _ => table.announced_at(expectation.master, |other| {
            let place = (tuple.source, tuple.source_port);
            let kind = (other.tuple.family, other.tuple.protocol);
            kind == (tuple.family, tuple.protocol) && inside_of(other) == place
        }),
    };
    let master = |direction| table.tuple(expectation.master, direction);
    let from = if let Some(seen) = seen {
        let port = seen.tuple.destination_port;
        To { ports: Some((port, port)), ..To::of_address(seen.tuple.destination) }
    } else {
        let Some(sent) = master(following.direction) else { return };
        let Some(answered) = master(following.direction.invert()) else { return };
        if sent.source != tuple.source {
            return;
        }
        To::of_address(answered.destination)
    };
    table.set_up(now, conn, &from, Manip::Source);
}
