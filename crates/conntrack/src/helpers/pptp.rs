//! The PPTP helper: reads the control connection (RFC 2637) for the call identifiers of the GRE
//! packets that will carry its calls.
//!
//! The client of the control connection is taken for the PNS, its server for the PAC. A call that
//! is connected is expected in both directions, and whichever comes first takes back the other; the
//! identifiers go into the table's key map, which gives the packets of version 1 their source key.
//! One call at a time is remembered: when it is cleared by the server, or the control connection
//! goes, its GRE connection goes with it.
//!
//! As observed on Linux 6.18: one message a segment, where the segment begins; a message that is
//! too short for its kind, or comes in a state that it does not fit, is passed over; nothing is
//! ever dropped.

use super::{Memory, Policy};
use crate::CtState;
use crate::conn::ConnId;
use crate::expect::{Expectation, Request};
use crate::helping::Helping;
use crate::nat::{Following, Manip, Range};
use crate::proto::gre::Mapping;
use crate::table::{Drop, Table};
use crate::tuple::{Direction, Tuple};
use core::time::Duration;
use keepstate_packet::{Instant, L4, gre};

/// Both directions of a call.
pub const POLICY: Policy = Policy { name: "pptp", max: 2, timeout: Duration::from_secs(300) };

/// What is remembered of a control connection.
#[derive(Debug, Default)]
pub(crate) struct Control {
    connection: Connection,
    call: Call,
    pns_call: u16,
    pac_call: u16,
    /// What the PNS chose itself, of a translated control connection: the PAC knows `pns_call`.
    own_pns_call: u16,
    /// Its entries of the key map, that of the original direction first.
    mappings: [Option<Mapping>; 2],
}

/// State of the control connection, as the two ends have agreed on it. In this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Connection {
    #[default]
    None,
    Failed,
    StopRequested,
    StartRequested,
    Established,
}

/// State of its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    None,
    OutgoingRequested,
    OutgoingEstablished,
    IncomingRequested,
    IncomingAccepted,
    IncomingEstablished,
    ClearRequested,
}

/// What a control message says, of those that change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    StartRequest,
    StartReply { ok: bool },
    StopRequest,
    StopReply { ok: bool },
    OutgoingCallRequest { call: u16 },
    OutgoingCallReply { call: u16, peer: u16, ok: bool },
    IncomingCallRequest { call: u16 },
    IncomingCallReply { call: u16, peer: u16, ok: bool },
    IncomingCallConnected { peer: u16 },
    CallClearRequest,
    CallDisconnectNotify,
    WanErrorNotify,
    SetLinkInfo,
}

impl Message {
    /// Where the identifier stands that is translated, in bytes from the start of the body, of those by
    /// which the PAC is told that of the PNS or tells it.
    const fn translated_at(self) -> Option<usize> {
        match self {
            Self::OutgoingCallRequest { .. }
            | Self::IncomingCallReply { .. }
            | Self::CallClearRequest
            | Self::IncomingCallConnected { .. }
            | Self::CallDisconnectNotify
            | Self::WanErrorNotify
            | Self::SetLinkInfo => Some(0),
            Self::OutgoingCallReply { .. } => Some(2),
            Self::StartRequest
            | Self::StartReply { .. }
            | Self::StopRequest
            | Self::StopReply { .. }
            | Self::IncomingCallRequest { .. } => None,
        }
    }
}

/// What follows from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Nothing,
    /// The call is connected.
    Expect,
    /// The call is over.
    Clear,
}

/// Octets of a message before its body.
const HEADER: usize = 12;

pub(super) fn help(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let (CtState::Established, L4::Tcp(_)) = (helping.state, helping.packet.l4) else {
        return Ok(());
    };
    let Some(message) = message(helping.payload(), helping.direction) else { return Ok(()) };
    let Some(Memory::Pptp(control)) = helping.memory() else { return Ok(()) };
    match control.hear(message) {
        None => return Ok(()),
        Some(Follows::Nothing) => {}
        Some(Follows::Expect) => expect_call(helping),
        Some(Follows::Clear) => clear(helping.table, helping.now, helping.conn),
    }
    if helping.is_translated() { translate(helping, message) } else { Ok(()) }
}

/// Translates the call identifier of the PNS: what it chose becomes the port that its control connection
/// has outside.
fn translate(helping: &mut Helping<'_>, message: Message) -> Result<(), Drop> {
    let Some(reply) = helping.tuple_in(Direction::Reply) else { return Ok(()) };
    let direction = helping.direction;
    let Some(Memory::Pptp(control)) = helping.memory() else { return Ok(()) };
    if let Message::OutgoingCallRequest { .. } = message {
        control.own_pns_call = control.pns_call;
        control.pns_call = reply.destination_port;
    }
    let call = match direction {
        Direction::Original => control.pns_call,
        Direction::Reply => control.own_pns_call,
    };
    let Some(at) = message.translated_at() else { return Ok(()) };
    let at = HEADER + at;
    helping.say(at..at + 2, &call.to_be_bytes())
}

/// Reads the message at the beginning of a segment (RFC 2637, 2) that goes in this direction.
fn message(segment: &[u8], direction: Direction) -> Option<Message> {
    const CONTROL: [u8; 2] = [0, 1];
    const MAGIC: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
    let (header, body) = segment.split_first_chunk::<HEADER>()?;
    let [_, _, kind @ .., a, b, c, d, number_high, number, _, _] = header;
    if *kind != CONTROL || [*a, *b, *c, *d] != MAGIC || *number_high != 0 {
        return None;
    }
    let body = Body(body);
    match direction {
        Direction::Original => from_pns(*number, &body),
        Direction::Reply => from_pac(*number, &body),
    }
}

/// What stands behind the type of a message.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    /// `message` when there is as much as its kind has.
    fn of(&self, length: usize, message: Message) -> Option<Message> {
        (self.0.len() >= length).then_some(message)
    }

    fn half(&self, at: usize) -> u16 {
        let octets = self.0.get(at..).and_then(<[u8]>::first_chunk);
        octets.map_or(0, |octets| u16::from_be_bytes(*octets))
    }

    /// Whether the result code, at this place, is 1.
    fn ok(&self, at: usize) -> bool {
        self.0.get(at) == Some(&1)
    }
}

fn from_pns(number: u8, body: &Body<'_>) -> Option<Message> {
    let (call, peer) = (body.half(0), body.half(2));
    match number {
        1 => body.of(144, Message::StartRequest),
        3 => body.of(4, Message::StopRequest),
        7 => body.of(156, Message::OutgoingCallRequest { call }),
        10 => body.of(12, Message::IncomingCallReply { call, peer, ok: body.ok(4) }),
        12 => body.of(4, Message::CallClearRequest),
        _ => None,
    }
}

fn from_pac(number: u8, body: &Body<'_>) -> Option<Message> {
    let (call, peer) = (body.half(0), body.half(2));
    match number {
        2 => body.of(144, Message::StartReply { ok: body.ok(2) }),
        4 => body.of(4, Message::StopReply { ok: body.ok(0) }),
        8 => body.of(20, Message::OutgoingCallReply { call, peer, ok: body.ok(4) }),
        9 => body.of(208, Message::IncomingCallRequest { call }),
        11 => body.of(16, Message::IncomingCallConnected { peer: body.half(0) }),
        13 => body.of(136, Message::CallDisconnectNotify),
        14 => body.of(28, Message::WanErrorNotify),
        15 => body.of(12, Message::SetLinkInfo),
        _ => None,
    }
}

impl Control {
    /// Goes on to the next state; `None` when the message does not fit the present one.
    fn hear(&mut self, message: Message) -> Option<Follows> {
        let established = self.connection == Connection::Established;
        match message {
            Message::StartRequest if self.connection == Connection::None => {
                self.connection = Connection::StartRequested;
            }
            Message::StartReply { ok } if self.connection >= Connection::StartRequested => {
                self.connection = if ok { Connection::Established } else { Connection::Failed };
            }
            Message::StopRequest => self.connection = Connection::StopRequested,
            Message::StopReply { ok } if self.connection <= Connection::StopRequested => {
                self.connection = if ok { Connection::None } else { Connection::Failed };
            }
            Message::OutgoingCallRequest { call } if established => {
                self.call = Call::OutgoingRequested;
                self.pns_call = call;
            }
            Message::OutgoingCallReply { call, peer, ok }
                if established && self.expects_outgoing_reply(peer) =>
            {
                return Some(self.outgoing_reply(call, ok));
            }
            Message::IncomingCallRequest { call } if established => {
                self.call = Call::IncomingRequested;
                self.pac_call = call;
            }
            Message::IncomingCallReply { call, peer, ok } if self.expects_incoming_reply(peer) => {
                self.call = if ok { Call::IncomingAccepted } else { Call::None };
                self.pns_call = if ok { call } else { self.pns_call };
            }
            Message::IncomingCallConnected { peer }
                if established && self.expects_connected(peer) =>
            {
                self.call = Call::IncomingEstablished;
                return Some(Follows::Expect);
            }
            Message::CallClearRequest if established => self.call = Call::ClearRequested,
            Message::CallDisconnectNotify => {
                self.call = Call::None;
                return Some(Follows::Clear);
            }
            Message::WanErrorNotify | Message::SetLinkInfo => {}
            _ => return None,
        }
        Some(Follows::Nothing)
    }

    fn expects_outgoing_reply(&self, peer: u16) -> bool {
        matches!(self.call, Call::OutgoingRequested | Call::OutgoingEstablished)
            && self.pns_call == peer
    }

    fn outgoing_reply(&mut self, call: u16, ok: bool) -> Follows {
        if !ok {
            self.call = Call::None;
            return Follows::Nothing;
        }
        self.call = Call::OutgoingEstablished;
        self.pac_call = call;
        Follows::Expect
    }

    fn expects_incoming_reply(&self, peer: u16) -> bool {
        matches!(self.call, Call::IncomingRequested | Call::IncomingAccepted)
            && self.pac_call == peer
    }

    fn expects_connected(&self, peer: u16) -> bool {
        matches!(self.call, Call::IncomingAccepted | Call::IncomingEstablished)
            && self.pns_call == peer
    }
}

/// Expects GRE in both directions and enters the keys, or does neither.
fn expect_call(helping: &mut Helping<'_>) {
    let (Some(original), Some(reply)) =
        (helping.tuple_in(Direction::Original), helping.tuple_in(Direction::Reply))
    else {
        return;
    };
    let is_translated = helping.is_translated();
    let Some(Memory::Pptp(control)) = helping.memory() else { return };
    let Control { pns_call, pac_call, .. } = *control;
    let (to_pac, to_pns) = if is_translated {
        let own_pns_call = control.own_pns_call;
        (
            translated(&original, [own_pns_call, pac_call], (Direction::Original, pns_call)),
            translated(&reply, [pac_call, pns_call], (Direction::Reply, own_pns_call)),
        )
    } else {
        (request(&original, pns_call, pac_call), request(&reply, pac_call, pns_call))
    };
    if helping.expect(to_pac).is_err() {
        return;
    }
    let both = helping.expect(to_pns).is_ok();
    if both && map_keys(helping.table, helping.conn, [&to_pac.tuple, &to_pns.tuple]) {
        return;
    }
    if both {
        helping.withdraw(&to_pns);
    }
    helping.withdraw(&to_pac);
}

fn request(tuple: &Tuple, source_key: u16, destination_key: u16) -> Request {
    let source = (Some(tuple.source), Some(source_key));
    let destination = (tuple.destination, destination_key);
    let request = Request::new(gre::PROTOCOL, source, destination, tuple.family);
    Request { fulfilled: Some(fulfilled), ..request }
}

/// The same of a translated control connection; `following` has the key that the other side of the
/// translation knows of the PNS.
fn translated(tuple: &Tuple, keys: [u16; 2], following: (Direction, u16)) -> Request {
    let [source_key, destination_key] = keys;
    let (direction, port) = following;
    let following = Some(Following { direction, port, address: None });
    Request { following, fulfilled: Some(follow), ..request(tuple, source_key, destination_key) }
}

/// One direction of a call has begun: the other one is not expected any more.
fn fulfilled(table: &mut Table, now: Instant, conn: ConnId, expectation: &Expectation) {
    let zone = table.zone(conn).unwrap_or_default();
    if let Some(other) = expectation.request.tuple.invert() {
        // It may have been fulfilled before, or never been there.
        let _ = table.delete_expectation(now, &other, zone);
    }
}

/// The same behind translation, where the call goes where its control connection goes.
fn follow(table: &mut Table, now: Instant, conn: ConnId, expectation: &Expectation) {
    let Some(Following { direction, port, .. }) = expectation.request.following else { return };
    let Some(seen) = table.tuple(expectation.master, direction.invert()) else { return };
    let Some(Memory::Pptp(control)) = table.helped.get(&expectation.master) else { return };
    let keys = match direction {
        Direction::Original => [control.pac_call, control.pns_call],
        // What the PNS chose itself is not at hand there on Linux: the other one stays, as a rule.
        Direction::Reply => [0; 2],
    };
    let other = request(&seen, keys[0], keys[1]).tuple;
    let zone = table.zone(conn).unwrap_or_default();
    let _ = table.delete_expectation(now, &other, zone);
    let with_key =
        |of, range: Range| Range { ports: (direction == of).then_some((port, port)), ..range };
    let source = with_key(Direction::Original, Range::of_address(seen.destination));
    table.set_up(now, conn, &source, Manip::Source);
    let destination = with_key(Direction::Reply, Range::of_address(seen.source));
    table.set_up(now, conn, &destination, Manip::Destination);
}

/// Enters the keys of both directions. False when entries about other packets are in the way: what
/// is there stays, unless only the second is in the way; then both go.
fn map_keys(table: &mut Table, conn: ConnId, tuples: [&Tuple; 2]) -> bool {
    let Some(Memory::Pptp(control)) = table.helped.get_mut(&conn) else { return false };
    for (n, (mapping, tuple)) in control.mappings.iter_mut().zip(tuples).enumerate() {
        match mapping {
            None => *mapping = Some(table.gre_keys.insert(tuple)),
            Some(mapping) if mapping.is_about(tuple) => {}
            Some(_) => {
                if n > 0 {
                    unmap_keys(table, conn);
                }
                return false;
            }
        }
    }
    true
}

/// Takes the keys of a control connection out of the map.
pub(crate) fn unmap_keys(table: &mut Table, control: ConnId) {
    if let Some(Memory::Pptp(control)) = table.helped.get_mut(&control) {
        let mappings = control.mappings.iter_mut().filter_map(Option::take);
        mappings.for_each(|mapping| table.gre_keys.remove(&mapping));
    }
}

/// The call is over: its keys, its GRE connection and what is still expected of it go. In the kernel
/// it need not be a connection that this helper has announced.
pub(crate) fn clear(table: &mut Table, now: Instant, conn: ConnId) {
    unmap_keys(table, conn);
    let Some(Memory::Pptp(control)) = table.helped.get(&conn) else { return };
    let (pns_call, pac_call) = (control.pns_call, control.pac_call);
    let zone = table.zone(conn).unwrap_or_default();
    let ways = [(Direction::Original, pns_call, pac_call), (Direction::Reply, pac_call, pns_call)];
    for (direction, source_key, destination_key) in ways {
        let Some(tuple) = table.tuple(conn, direction) else { return };
        let tuple = request(&tuple, source_key, destination_key).tuple;
        match table.find(now, &tuple, zone) {
            Some((call, _)) => {
                table.delete(now, call);
            }
            // Nothing may be expected either.
            None => {
                let _ = table.delete_expectation(now, &tuple, zone);
            }
        }
    }
}

#[cfg(test)]
mod tests;
