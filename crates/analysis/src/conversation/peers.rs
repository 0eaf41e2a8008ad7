//! The ends of a conversation, as far as a filter between them can make a difference: each keeps the
//! addresses and ports that it has seen, and answers to those; it acknowledges what came to it, believes a
//! reset that carries just the number it waits for (RFC 5961, 3.2), and answers a segment of no connection
//! with a reset (RFC 9293, 3.10.7.1).

use super::build::{Wire, is_echo, segment};
use super::{Content, Received, Scene, Step, Who};
use keepstate_packet::tcp::{ACK, FIN, RST, SYN, TcpHeader};
use keepstate_packet::{L4, Parsed};
use std::net::IpAddr;

/// An address and a port, or an identifier; port 0 without.
pub type Point = (IpAddr, u16);

/// Where a connection stands, as one of its ends sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was said that opens it; of protocols without connections it stays so.
    Fresh,
    /// It has sent a SYN.
    Called,
    /// It has answered one.
    Answered,
    /// It is open.
    Open,
    /// A reset has ended it.
    Reset,
}

/// What one end knows of one connection.
#[derive(Clone, Debug)]
pub struct View {
    /// Whose.
    pub who: Who,
    /// Protocol.
    pub protocol: u8,
    /// Its own address and port and its peer's, as the script has them.
    pub script: (Point, Point),
    /// The same as they are for it: what it was called at, whom it calls.
    pub seen: (Point, Point),
    /// Where it stands.
    pub state: State,
    /// It has closed its direction.
    pub has_ended: bool,
    /// Its peer has, and it knows.
    pub was_ended: bool,
    /// The number that it waits for.
    receive_next: Option<u32>,
    /// What the peer's numbers have been moved by.
    acknowledged: u32,
    /// The number after its last.
    send_next: u32,
}

/// What all ends know.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    views: Vec<View>,
}

/// Protocol, sender's and receiver's point of a step, as the script has them; `None` for what belongs to
/// no connection of the two.
fn points(step: &Step, scene: &Scene) -> Option<(u8, Point, Point)> {
    if step.between.is_some() || step.from == Who::Router || step.to == Who::Router {
        return None;
    }
    let v4 = scene.addresses.client.is_ipv4();
    let (protocol, source, destination) = match &step.content {
        Content::Tcp(segment) => (6, segment.source_port, segment.destination_port),
        Content::Udp { source_port, destination_port, .. } => (17, *source_port, *destination_port),
        Content::Icmp { kind, rest, .. } => {
            let number = u16::try_from(rest >> 16).unwrap_or(0);
            let number = if is_echo(v4, *kind) { number } else { 0 };
            (if v4 { 1 } else { 58 }, number, number)
        }
        Content::Other { protocol, .. } => (*protocol, 0, 0),
        Content::Error { .. } => return None,
    };
    let from = (scene.addresses.of(step.from), source);
    Some((protocol, from, (scene.addresses.of(step.to), destination)))
}

/// The points that a packet names.
pub(super) fn points_of(parsed: &Parsed) -> (u8, Point, Point) {
    let (source, destination) = match &parsed.l4 {
        L4::Tcp(header) => (header.source_port, header.destination_port),
        L4::Udp(header) | L4::UdpLite(header) => (header.source_port, header.destination_port),
        L4::Icmp(header) if is_echo(true, header.kind) => {
            (header.identifier(), header.identifier())
        }
        L4::Icmpv6(header) if is_echo(false, header.kind) => {
            (header.identifier(), header.identifier())
        }
        _ => (0, 0),
    };
    let ip = |address: keepstate_packet::Address| address.ip(parsed.family);
    let protocol = parsed.protocol;
    (protocol, (ip(parsed.source), source), (ip(parsed.destination), destination))
}

/// The points that a packet names, from its IP header on.
#[must_use]
pub fn points_in(bytes: &[u8]) -> Option<(Point, Point)> {
    let (_, from, to) = points_of(&Parsed::new(bytes).ok()?);
    Some((from, to))
}

impl Peers {
    fn find(&self, who: Who, protocol: u8, own: Point, peer: Point) -> Option<usize> {
        self.views
            .iter()
            .position(|view| (view.who, view.protocol, view.script) == (who, protocol, (own, peer)))
    }

    /// What the ends know.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// Whether a step's sender still has the connection that it belongs to.
    pub(super) fn may_send(&self, step: &Step, scene: &Scene) -> bool {
        let Some((protocol, own, peer)) = points(step, scene) else { return true };
        let view = self.find(step.from, protocol, own, peer).and_then(|at| self.views.get(at));
        let resets = matches!(&step.content, Content::Tcp(segment) if segment.flags & RST != 0);
        view.is_none_or(|view| view.state != State::Reset) || resets
    }

    /// Whom the sender of a step speaks to and from where; `read` is what it has read about that. What it
    /// sends is noted.
    pub(super) fn send(&mut self, step: &Step, scene: &Scene, read: Option<Point>) -> Wire {
        let (from, to) = match step.between {
            Some(between) => between,
            None => (scene.addresses.of(step.from), scene.addresses.of(step.to)),
        };
        let Some((protocol, own, peer)) = points(step, scene) else {
            let (source, destination) = ports(&step.content);
            return Wire {
                source: (from, source),
                destination: (to, destination),
                acknowledged: 0,
            };
        };
        let at = self.find(step.from, protocol, own, peer).unwrap_or_else(|| {
            let called =
                scene.called.filter(|_| (step.from, step.to) == (Who::Client, Who::Server));
            let port = |called: u16| match peer.1 == scene.parties.server_port && called != 0 {
                true => called,
                false => peer.1,
            };
            let called = called.map(|(address, called)| (address, port(called)));
            let dialled = read.or(called).unwrap_or(peer);
            self.views.push(View::new(step.from, protocol, (own, peer), (own, dialled)));
            self.views.len() - 1
        });
        let Some(view) = self.views.get_mut(at) else {
            return Wire { source: own, destination: peer, acknowledged: 0 };
        };
        if step.due.is_waited_for() {
            view.note_sent(&step.content);
        }
        Wire { source: view.seen.0, destination: view.seen.1, acknowledged: view.acknowledged }
    }

    /// What the receiver of a step's packet makes of it.
    pub(super) fn receive(&mut self, step: &Step, scene: &Scene, bytes: &[u8]) -> Received {
        let who = step.ends;
        let Ok(parsed) = Parsed::new(bytes) else { return Received::Astray };
        let (_, from, to) = points_of(&parsed);
        if step.between.is_some() || who == Who::Router {
            return Received::Taken;
        }
        if to.0 != scene.addresses.of(who) {
            return Received::Astray;
        }
        if let Content::Error { .. } = step.content {
            let taken = step.due.is_waited_for() && self.is_about_own(who, parsed.payload(bytes));
            return if taken { Received::Taken } else { Received::Ignored };
        }
        let Some((protocol, peer, own)) = points(step, scene) else { return Received::Taken };
        let at = self.find(who, protocol, own, peer).unwrap_or_else(|| {
            self.views.push(View::new(who, protocol, (own, peer), (to, from)));
            self.views.len() - 1
        });
        let Some(view) = self.views.get_mut(at) else { return Received::Taken };
        if view.seen != (to, from) || view.state == State::Reset && protocol == 6 {
            return if protocol == 6 { Received::Strange } else { Received::Ignored };
        }
        if !step.due.is_waited_for() {
            return Received::Ignored;
        }
        if let (L4::Tcp(header), Content::Tcp(segment)) = (&parsed.l4, &step.content) {
            view.note_received(header, parsed.payload(bytes).len(), segment);
        }
        Received::Taken
    }

    /// Whether an error quotes a packet that this end has sent.
    fn is_about_own(&self, who: Who, message: &[u8]) -> bool {
        let Some((from, to)) = quoted_ends(message) else { return false };
        self.views
            .iter()
            .any(|view| view.who == who && (view.seen.0.0, view.seen.1.0) == (from, to))
    }

    /// A packet that nobody's script has in it reaches an end: what it answers, and whether it ends a
    /// connection there.
    pub(super) fn surprise(&mut self, who: Who, bytes: &[u8]) -> (Option<Vec<u8>>, bool) {
        let Ok(parsed) = Parsed::new(bytes) else { return (None, false) };
        let L4::Tcp(header) = &parsed.l4 else { return (None, false) };
        let (_, from, to) = points_of(&parsed);
        let view = self
            .views
            .iter_mut()
            .find(|view| (view.who, view.protocol, view.seen) == (who, 6, (to, from)));
        match view {
            Some(view) if view.state != State::Reset => {
                let ends = header.flags & RST != 0 && view.believes(header);
                if ends {
                    view.state = State::Reset;
                }
                (None, ends)
            }
            _ => (stranger(to, from, header, parsed.payload(bytes).len()), false),
        }
    }

    /// Connections that are open for one end and not for the other.
    pub(super) fn half_open(&self) -> bool {
        let views = self.views.iter().filter(|view| view.protocol == 6);
        views.clone().any(|view| {
            let turned = (view.script.1, view.script.0);
            let other = views.clone().find(|one| one.who != view.who && one.script == turned);
            let is_open = |view: &View| view.state == State::Open;
            let ended = other.is_some_and(|other| view.has_ended && !other.was_ended);
            is_open(view) && (!other.is_some_and(is_open) || ended)
        })
    }
}

impl View {
    fn new(who: Who, protocol: u8, script: (Point, Point), seen: (Point, Point)) -> Self {
        Self {
            who,
            protocol,
            script,
            seen,
            state: State::Fresh,
            has_ended: false,
            was_ended: false,
            receive_next: None,
            acknowledged: 0,
            send_next: 0,
        }
    }

    fn note_sent(&mut self, content: &Content) {
        let Content::Tcp(segment) = content else { return };
        let length = length(segment.flags, segment.data.len());
        self.send_next = segment.sequence.wrapping_add(length);
        self.state = match (segment.flags & (SYN | ACK | RST), self.state) {
            (flags, _) if flags & RST != 0 => State::Reset,
            (SYN, _) => State::Called,
            (flags, _) if flags == SYN | ACK => State::Answered,
            // Data of a connection that is older than what is told here.
            (_, State::Fresh) if !segment.data.is_empty() => State::Open,
            (_, state) => state,
        };
        self.has_ended |= segment.flags & FIN != 0;
    }

    fn note_received(&mut self, header: &TcpHeader, data: usize, segment: &super::Segment) {
        if header.flags & RST != 0 {
            if self.believes(header) {
                self.state = State::Reset;
            }
            return;
        }
        let end = header.sequence.wrapping_add(length(header.flags, data));
        let planned = segment.sequence.wrapping_add(length(segment.flags, segment.data.len()));
        self.acknowledged = end.wrapping_sub(planned);
        self.receive_next = Some(end);
        self.state = match (header.flags & (SYN | ACK), self.state) {
            (flags, State::Called) if flags == SYN | ACK => State::Open,
            (ACK, State::Answered) => State::Open,
            (ACK, State::Fresh) if data > 0 => State::Open,
            (_, state) => state,
        };
        self.was_ended |= header.flags & FIN != 0;
    }

    /// Whether a reset is one that it believes.
    fn believes(&self, header: &TcpHeader) -> bool {
        match (self.state, self.receive_next) {
            (State::Called, _) => {
                header.flags & ACK != 0 && header.acknowledgment == self.send_next
            }
            (_, Some(next)) => header.sequence == next,
            (_, None) => true,
        }
    }
}

/// What a segment takes up of its sender's numbers.
fn length(flags: u8, data: usize) -> u32 {
    let data = u32::try_from(data).unwrap_or(u32::MAX);
    data.wrapping_add(u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0))
}

/// Source and destination ports of what belongs to no connection.
const fn ports(content: &Content) -> (u16, u16) {
    match content {
        Content::Tcp(segment) => (segment.source_port, segment.destination_port),
        Content::Udp { source_port, destination_port, .. } => (*source_port, *destination_port),
        Content::Icmp { rest, .. } => ((*rest >> 16) as u16, (*rest >> 16) as u16),
        Content::Error { .. } | Content::Other { .. } => (0, 0),
    }
}

/// Sender and receiver of the packet that an ICMP error quotes; `message` is what follows its header.
pub(super) fn quoted_ends(message: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let four = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = message.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::from(octets))
    };
    let sixteen = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = message.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::from(octets))
    };
    match message.first()? >> 4 {
        4 => Some((four(12)?, four(16)?)),
        6 => Some((sixteen(8)?, sixteen(24)?)),
        _ => None,
    }
}

/// What is said to a segment of no connection.
fn stranger(own: Point, from: Point, header: &TcpHeader, data: usize) -> Option<Vec<u8>> {
    if header.flags & RST != 0 {
        return None;
    }
    let (flags, numbers) = match header.flags & ACK {
        0 => (RST | ACK, (0, header.sequence.wrapping_add(length(header.flags, data)))),
        _ => (RST, (header.acknowledgment, 0)),
    };
    let wire = Wire { source: own, destination: from, acknowledged: 0 };
    Some(segment(&wire, flags, numbers))
}
