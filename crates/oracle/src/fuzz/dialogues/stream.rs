//! A TCP connection on which two ends talk, as generators of dialogues need it.

use crate::fuzz::draft::{Body, Draft, Segment, TCP};
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN};

/// How many of a hundred connections have SACK.
const SACK_PERCENT: usize = 50;

/// A connection that was opened, and all that was said so far.
pub(super) struct Stream<'r> {
    pub(super) random: &'r mut Random,
    pub(super) flow: Flow,
    next: [u32; 2],
    /// Both ends acknowledge blocks (RFC 2018).
    sacks: bool,
    pub(super) drafts: Vec<Draft>,
}

impl<'r> Stream<'r> {
    /// Opens a connection; end 0 is the client.
    pub(super) fn open(random: &'r mut Random, flow: Flow) -> Self {
        let next = [random.word(), random.word()];
        let sacks = random.chance(SACK_PERCENT);
        let mut stream = Self { random, flow, next, sacks, drafts: Vec::new() };
        stream.segment(0, SYN, b"");
        stream.segment(1, SYN | ACK, b"");
        stream.segment(0, ACK, b"");
        stream
    }

    /// A connection of its own, such as a datagram has announced: opened, used and ended.
    pub(super) fn alone(random: &'r mut Random, flow: Flow) -> Vec<Draft> {
        let mut stream = Stream { random, flow, next: [0; 2], sacks: false, drafts: Vec::new() };
        stream.another(flow);
        stream.drafts
    }

    /// Closes it from the client's side.
    pub(super) fn close(&mut self) {
        self.segment(0, FIN | ACK, b"");
        self.segment(1, FIN | ACK, b"");
        self.segment(0, ACK, b"");
    }

    /// Something said, in one segment or in two, sometimes sent again.
    pub(super) fn say(&mut self, end: usize, bytes: &[u8]) {
        let cut = self.random.below(bytes.len().max(1));
        if self.sacks && self.random.chance(12) {
            self.say_lost(end, bytes);
        } else if self.random.chance(8) {
            self.segment(end, ACK | PSH, &bytes[..cut]);
            self.segment(end, ACK | PSH, &bytes[cut..]);
        } else {
            let mut before = self.next;
            self.segment(end, ACK | PSH, bytes);
            if self.random.chance(8) {
                self.draft(self.flow, &mut before, end, ACK | PSH, bytes);
            }
        }
        if self.random.chance(50) {
            self.segment(1 - end, ACK, b"");
        }
    }

    /// Something said that does not arrive: what comes behind it is acknowledged by SACK until it is sent
    /// again.
    fn say_lost(&mut self, end: usize, bytes: &[u8]) {
        let mut before = self.next;
        let first = self.next[end];
        self.segment(end, ACK | PSH, bytes);
        let lost = self.next[end];
        self.segment(end, ACK | PSH, b"more\r\n");
        let behind = self.next[end];
        for _ in 0..=self.random.below(2) {
            let mut options = vec![1, 1, 5, 10];
            options.extend(lost.to_be_bytes());
            options.extend(behind.to_be_bytes());
            self.segment(1 - end, ACK, b"");
            if let Some(Body::Tcp(segment)) = self.drafts.last_mut().map(|draft| &mut draft.body) {
                (segment.acknowledgment, segment.options) = (first, options);
            }
        }
        self.draft(self.flow, &mut before, end, ACK | PSH, bytes);
    }

    /// Another connection, such as one that was announced: opened, used and ended.
    pub(super) fn another(&mut self, flow: Flow) {
        let mut next = [self.random.word(), self.random.word()];
        for (end, flags) in [(0, SYN), (1, SYN | ACK), (0, ACK)] {
            self.draft(flow, &mut next, end, flags, b"");
        }
        for _ in 0..self.random.below(3) {
            let end = self.random.below(2);
            self.draft(flow, &mut next, end, ACK | PSH, &[b'x'; 100]);
        }
        if self.random.chance(20) {
            self.draft(flow, &mut next, 0, RST | ACK, b"");
        } else if self.random.chance(80) {
            self.draft(flow, &mut next, 0, FIN | ACK, b"");
            self.draft(flow, &mut next, 1, FIN | ACK, b"");
            self.draft(flow, &mut next, 0, ACK, b"");
        }
    }

    /// A segment; the other end has seen everything before it.
    fn segment(&mut self, end: usize, flags: u8, payload: &[u8]) {
        let mut next = self.next;
        self.draft(self.flow, &mut next, end, flags, payload);
        self.next = next;
    }

    fn options(&self, flags: u8) -> Vec<u8> {
        let permitted = self.sacks && flags & SYN != 0;
        if permitted { vec![2, 4, 5, 0xb4, 4, 2] } else { Vec::new() }
    }

    fn draft(&mut self, flow: Flow, next: &mut [u32; 2], end: usize, flags: u8, payload: &[u8]) {
        let segment = Segment {
            source_port: flow.ports[end],
            destination_port: flow.ports[1 - end],
            sequence: next[end],
            acknowledgment: if flags & ACK != 0 { next[1 - end] } else { 0 },
            flags,
            window: 29_200,
            payload: payload.to_vec(),
            options: self.options(flags),
            ..Segment::default()
        };
        next[end] =
            next[end].wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        let network = flow.network(end, self.random);
        self.drafts.push(Draft::new(flow.sides[end], network, TCP, Body::Tcp(segment)));
    }
}
