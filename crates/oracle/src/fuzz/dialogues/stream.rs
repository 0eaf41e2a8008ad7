//! A TCP connection on which two ends talk, as generators of dialogues need it.

use crate::fuzz::draft::{Body, Draft, Segment, TCP};
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN};

/// A connection that was opened, and all that was said so far.
pub(super) struct Stream<'r> {
    pub(super) random: &'r mut Random,
    pub(super) flow: Flow,
    next: [u32; 2],
    pub(super) drafts: Vec<Draft>,
}

impl<'r> Stream<'r> {
    /// Opens a connection; end 0 is the client.
    pub(super) fn open(random: &'r mut Random, flow: Flow) -> Self {
        let next = [random.word(), random.word()];
        let mut stream = Self { random, flow, next, drafts: Vec::new() };
        stream.segment(0, SYN, b"");
        stream.segment(1, SYN | ACK, b"");
        stream.segment(0, ACK, b"");
        stream
    }

    /// A connection of its own, such as a datagram has announced: opened, used and ended.
    pub(super) fn alone(random: &'r mut Random, flow: Flow) -> Vec<Draft> {
        let mut stream = Stream { random, flow, next: [0; 2], drafts: Vec::new() };
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
        if self.random.chance(8) {
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

    fn draft(&mut self, flow: Flow, next: &mut [u32; 2], end: usize, flags: u8, payload: &[u8]) {
        let segment = Segment {
            source_port: flow.ports[end],
            destination_port: flow.ports[1 - end],
            sequence: next[end],
            acknowledgment: if flags & ACK != 0 { next[1 - end] } else { 0 },
            flags,
            window: 29_200,
            payload: payload.to_vec(),
            ..Segment::default()
        };
        next[end] =
            next[end].wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        let network = flow.network(end, self.random);
        self.drafts.push(Draft::new(flow.sides[end], network, TCP, Body::Tcp(segment)));
    }
}
