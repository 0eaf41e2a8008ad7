//! SCTP associations (RFC 9260): two ends that greet, talk, probe their paths, begin anew and part,
//! with every habit that the tracker has to understand. What is wrong on purpose comes later
//! ([`super::mutate`]), except for tags, which only the ends know.

use super::draft::{Body, Chunk, Draft, SCTP, SctpPacket};
use super::flow::{self, Flow};
use super::random::Random;
use keepstate_packet::sctp::chunk::{
    ABORT, COOKIE_ACK, COOKIE_ECHO, DATA, ERROR, HEARTBEAT, HEARTBEAT_ACK, INIT, INIT_ACK, SACK,
    SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE, T_BIT,
};

/// Ports that servers listen on.
const SERVER_PORTS: [u16; 3] = [2905, 38_412, 80];
/// Chunks to throw in; the last ones have no name here (PAD, ASCONF, FORWARD TSN, one unknown).
const CHUNKS: [u8; 18] = [
    DATA,
    INIT,
    INIT_ACK,
    SACK,
    HEARTBEAT,
    HEARTBEAT_ACK,
    ABORT,
    SHUTDOWN,
    SHUTDOWN_ACK,
    ERROR,
    COOKIE_ECHO,
    COOKIE_ACK,
    SHUTDOWN_COMPLETE,
    12,
    0x84,
    0xc0,
    0xc1,
    63,
];

struct Talk<'r> {
    random: &'r mut Random,
    flow: Flow,
    /// The tag that each end wants to see.
    tags: [u32; 2],
    drafts: Vec<Draft>,
}

/// An association, perhaps begun anew, perhaps with another path.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &SERVER_PORTS);
    let tags = [random.word() | 1, random.word() | 1];
    let mut talk = Talk { random, flow, tags, drafts: Vec::new() };
    talk.open();
    talk.talk();
    talk.close();
    for _ in 0..3 {
        if !talk.random.chance(30) {
            break;
        }
        talk.again();
    }
    talk.drafts
}

impl Talk<'_> {
    fn emit(&mut self, end: usize, tag: u32, chunks: Vec<Chunk>) {
        let network = self.flow.network(end, self.random);
        let ports = (self.flow.ports[end], self.flow.ports[1 - end]);
        let body = Body::Sctp(SctpPacket { ports, tag, chunks });
        self.drafts.push(Draft::new(self.flow.sides[end], network, SCTP, body));
    }

    /// Sends chunks as `end` would send them now.
    fn send(&mut self, end: usize, kinds: &[u8]) {
        let chunks = kinds.iter().map(|kind| self.chunk(end, *kind, 0)).collect();
        let first = kinds.first().copied();
        let tag = if first == Some(INIT) { 0 } else { self.tags[1 - end] };
        self.emit(end, tag, chunks);
    }

    fn chunk(&mut self, end: usize, kind: u8, flags: u8) -> Chunk {
        let value = match kind {
            INIT | INIT_ACK => {
                let mut value = self.tags[end].to_be_bytes().to_vec();
                value.extend([0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1]);
                let parameters = self.random.below(3) * 8;
                value.extend(self.random.bytes(parameters));
                value
            }
            DATA => {
                let length = 12 + self.random.pick(&[1, 4, 100]);
                self.random.bytes(length)
            }
            SACK => self.random.bytes(12),
            SHUTDOWN | HEARTBEAT | HEARTBEAT_ACK | ERROR | COOKIE_ECHO => self.random.bytes(8),
            _ => Vec::new(),
        };
        Chunk { kind, flags, length_error: 0, value }
    }

    fn open(&mut self) {
        match self.random.below(100) {
            0..45 => self.handshake(&[0, 1, 2, 3]),
            45..55 => {
                // Repeated, and not answered at once.
                for _ in 0..=self.random.below(3) {
                    self.send(0, &[INIT]);
                }
                self.handshake(&[1, 2, 2, 3]);
            }
            55..63 => self.collision(),
            63..70 => {
                // Some of it does not come this way.
                let lost = self.random.below(4);
                let steps: Vec<usize> = (0..4).filter(|step| *step != lost).collect();
                self.handshake(&steps);
            }
            70..78 => self.path(),
            78..82 => {
                // Nobody listens.
                self.send(0, &[INIT]);
                let abort = self.chunk(1, ABORT, 0);
                let tag = self.tags[0];
                self.emit(1, tag, vec![abort]);
            }
            82..88 => {
                // Something out of the blue.
                let kind = self.random.pick(&CHUNKS);
                let chunk = self.chunk(0, kind, 0);
                let tag = self.random.pick(&[0, 0, self.tags[0], self.tags[1]]);
                self.emit(0, tag, vec![chunk]);
            }
            // In the middle.
            _ => {}
        }
    }

    /// The four packets of an opening, by their numbers.
    fn handshake(&mut self, steps: &[usize]) {
        for step in steps {
            match step {
                0 => self.send(0, &[INIT]),
                1 => self.send(1, &[INIT_ACK]),
                2 if self.random.chance(50) => self.send(0, &[COOKIE_ECHO, DATA]),
                2 => self.send(0, &[COOKIE_ECHO]),
                _ if self.random.chance(50) => self.send(1, &[COOKIE_ACK, SACK]),
                _ => self.send(1, &[COOKIE_ACK]),
            }
        }
    }

    /// Both greet at once (RFC 9260, 5.2), with the same tags or with others in the answers.
    fn collision(&mut self) {
        self.send(0, &[INIT]);
        if self.random.chance(50) {
            self.send(1, &[INIT]);
            self.send(0, &[INIT_ACK]);
        } else {
            self.send(1, &[INIT_ACK]);
            self.send(1, &[INIT]);
            self.send(0, &[INIT_ACK]);
        }
        if self.random.chance(30) {
            let end = self.random.below(2);
            self.tags[end] = self.random.word() | 1;
        }
        for _ in 0..self.random.below(5) {
            let end = self.random.below(2);
            let kind = self.random.pick(&[INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK]);
            self.send(end, &[kind]);
        }
    }

    /// Another path: the same ends from another address, which begin with a probe.
    fn path(&mut self) {
        let before = self.flow;
        let end = self.random.below(2);
        let host = 1 + self.random.below(4) as u8;
        self.flow.addresses[end] = flow::address(before.family, before.sides[end], host);
        for _ in 0..=self.random.below(2) {
            self.send(end, &[HEARTBEAT]);
            if self.random.chance(30) {
                let end = self.random.below(2);
                self.one(end);
            }
            if self.random.chance(15) {
                // Before it is answered the tag of the other way counts as 0.
                let kind = self.random.pick(&CHUNKS);
                let chunk = self.chunk(1 - end, kind, 0);
                self.emit(1 - end, 0, vec![chunk]);
            }
            if self.random.chance(80) {
                self.send(1 - end, &[HEARTBEAT_ACK]);
            }
        }
        if self.random.chance(60) {
            self.send(end, &[DATA]);
            self.send(1 - end, &[SACK]);
        }
        if self.random.chance(40) {
            self.talk();
        }
        if self.random.chance(60) {
            self.flow = before;
        }
    }

    fn talk(&mut self) {
        for _ in 0..self.random.below(12) {
            let end = self.random.below(2);
            match self.random.below(100) {
                0..20 => self.send(end, &[DATA]),
                20..28 => self.send(end, &[SACK, DATA, DATA]),
                28..36 => {
                    self.send(end, &[HEARTBEAT]);
                    self.send(1 - end, &[HEARTBEAT_ACK]);
                }
                36..50 => self.foreign_probe(end),
                50..55 => self.path(),
                55..60 => self.send(end, &[ERROR]),
                60..66 => self.greet_anew(end),
                66..72 => self.send(end, &[COOKIE_ECHO]),
                72..75 => self.send(end, &[COOKIE_ACK]),
                75..85 => self.one(end),
                _ => self.odd(end),
            }
        }
    }

    /// Probes with a tag that was never agreed upon here: the ends have begun anew on another path.
    fn foreign_probe(&mut self, end: usize) {
        let tags = [self.random.word(), self.random.word()];
        let pick = |talk: &mut Self, end: usize| match talk.random.below(3) {
            0 => talk.tags[1 - end],
            _ => tags[end],
        };
        for _ in 0..=self.random.below(3) {
            let way = if self.random.chance(80) { end } else { 1 - end };
            let tag = pick(self, way);
            let kinds: &[u8] = match self.random.below(6) {
                0 => &[HEARTBEAT, HEARTBEAT],
                1 => &[HEARTBEAT, DATA],
                2 => &[DATA, HEARTBEAT],
                3 => &[HEARTBEAT, SACK],
                _ => &[HEARTBEAT],
            };
            let chunks = kinds.iter().map(|kind| self.chunk(way, *kind, 0)).collect();
            self.emit(way, tag, chunks);
        }
        let way = if self.random.chance(85) { 1 - end } else { end };
        let tag = pick(self, way);
        let chunk = self.chunk(way, HEARTBEAT_ACK, 0);
        self.emit(way, tag, vec![chunk]);
        if self.random.chance(50) {
            self.tags = [tags[1], tags[0]];
            self.send(end, &[DATA]);
        }
    }

    /// One end has started again, with another tag, while the other knows the old one.
    fn greet_anew(&mut self, end: usize) {
        self.tags[end] = self.random.word() | 1;
        self.send(end, &[INIT]);
        if self.random.chance(70) {
            self.send(1 - end, &[INIT_ACK]);
            self.send(end, &[COOKIE_ECHO]);
            self.send(1 - end, &[COOKIE_ACK]);
        }
    }

    /// One chunk of any kind, with the tag that is right for it.
    fn one(&mut self, end: usize) {
        let kind = self.random.pick(&CHUNKS);
        match kind {
            ABORT | SHUTDOWN_COMPLETE => self.goodbye(end, kind),
            _ => self.send(end, &[kind]),
        }
    }

    /// One to three chunks of any kind, with one of the tags that could be meant.
    fn odd(&mut self, end: usize) {
        let count = 1 + self.random.below(6) / 3;
        let chunks = (0..count)
            .map(|_| {
                let kind = self.random.pick(&CHUNKS);
                let flags = self.random.pick(&[0, 0, T_BIT, 3]);
                self.chunk(end, kind, flags)
            })
            .collect();
        let other = self.random.word();
        let (theirs, ours) = (self.tags[1 - end], self.tags[end]);
        let tag = self.random.pick(&[theirs, theirs, theirs, ours, 0, other]);
        self.emit(end, tag, chunks);
    }

    fn close(&mut self) {
        let end = self.random.below(2);
        match self.random.below(100) {
            0..45 => {
                self.send(end, &[SHUTDOWN]);
                if self.random.chance(20) {
                    self.talk();
                }
                for _ in 0..self.random.below(3) {
                    let end = self.random.below(2);
                    self.one(end);
                }
                self.send(1 - end, &[SHUTDOWN_ACK]);
                if self.random.chance(15) {
                    self.talk();
                } else if self.random.chance(20) {
                    self.one(1 - end);
                }
                self.goodbye(end, SHUTDOWN_COMPLETE);
            }
            45..70 => self.goodbye(end, ABORT),
            70..78 => {
                self.send(end, &[SHUTDOWN]);
                self.goodbye(1 - end, ABORT);
            }
            78..84 => self.send(end, &[SHUTDOWN_ACK]),
            _ => {}
        }
    }

    /// The last word, with the tag that is right for its T bit, or not.
    fn goodbye(&mut self, end: usize, kind: u8) {
        let reflected = self.random.chance(30);
        let chunk = self.chunk(end, kind, if reflected { T_BIT } else { 0 });
        let right = if reflected { self.tags[end] } else { self.tags[1 - end] };
        let wrong = if reflected { self.tags[1 - end] } else { self.tags[end] };
        let tag = self.random.pick(&[right, right, right, right, wrong, 0]);
        self.emit(end, tag, vec![chunk]);
    }

    /// The same ports again, from either end.
    fn again(&mut self) {
        if self.random.chance(30) {
            self.flow.ports.swap(0, 1);
            self.flow.addresses.swap(0, 1);
            self.flow.sides.swap(0, 1);
            self.tags.swap(0, 1);
        }
        if self.random.chance(70) {
            self.tags = [self.random.word() | 1, self.random.word() | 1];
        }
        self.open();
        self.talk();
        self.close();
    }
}
