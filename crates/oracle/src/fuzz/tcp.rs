//! TCP conversations: two ends that open, talk and close as real ones do, with every habit that
//! window tracking has to understand. What is wrong on purpose comes later ([`super::mutate`]),
//! except for segments placed just around the edges of a window, which only the ends know.

use super::draft::{Body, Draft, Segment, TCP};
use super::flow::Flow;
use super::random::Random;
use keepstate_packet::tcp::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};

/// Ports that servers listen on.
const SERVER_PORTS: [u16; 4] = [80, 443, 22, 8080];
/// Windows worth trying.
const WINDOWS: [u16; 10] = [0, 1, 2, 100, 1460, 5840, 16_384, 32_767, 65_535, 29_200];
/// Payload lengths worth trying.
const LENGTHS: [usize; 8] = [0, 1, 2, 10, 100, 536, 1000, 1460];

/// One end.
#[derive(Clone, Debug, Default)]
struct End {
    /// Next sequence number to send.
    next: u32,
    /// What the other end has acknowledged.
    acknowledged: u32,
    /// Next sequence number expected.
    expected: u32,
    window: u16,
    scale: u8,
    offers_scale: bool,
    offers_sack: bool,
    stamps: bool,
    clock: u32,
    finished: bool,
}

struct Talk<'r> {
    random: &'r mut Random,
    flow: Flow,
    ends: [End; 2],
    drafts: Vec<Draft>,
}

/// A conversation, perhaps followed by another between the same ports.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &SERVER_PORTS);
    let mut talk = Talk { random, flow, ends: Default::default(), drafts: Vec::new() };
    talk.draw_ends();
    talk.open();
    talk.talk();
    talk.close();
    for _ in 0..3 {
        if !talk.random.chance(30) {
            break;
        }
        talk.reopen();
    }
    talk.drafts
}

impl Talk<'_> {
    fn draw_ends(&mut self) {
        for end in &mut self.ends {
            let near_wrap = self.random.chance(15);
            let isn = if near_wrap {
                0u32.wrapping_sub(self.random.below(5000) as u32)
            } else {
                self.random.word()
            };
            *end = End {
                next: isn,
                acknowledged: isn,
                expected: 0,
                window: self.random.pick(&WINDOWS),
                scale: self.random.pick(&[0, 0, 1, 2, 7, 7, 8, 10, 14, 15, 200]),
                offers_scale: self.random.chance(60),
                offers_sack: self.random.chance(60),
                stamps: self.random.chance(50),
                clock: self.random.word(),
                finished: false,
            };
        }
    }

    /// Sends a segment as it stands.
    fn emit(&mut self, end: usize, segment: Segment) {
        let network = self.flow.network(end, self.random);
        let segment = Segment {
            source_port: self.flow.ports[end],
            destination_port: self.flow.ports[1 - end],
            ..segment
        };
        let side = self.flow.sides[end];
        self.drafts.push(Draft::new(side, network, TCP, Body::Tcp(segment)));
    }

    /// Sends what `end` would send now.
    fn send(&mut self, end: usize, flags: u8, length: usize) {
        let segment = self.segment(end, flags, length);
        let this = &mut self.ends[end];
        let syn_fin = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        this.next = this.next.wrapping_add(length as u32 + syn_fin);
        this.clock = this.clock.wrapping_add(3);
        this.finished |= flags & FIN != 0;
        self.emit(end, segment);
    }

    fn segment(&mut self, end: usize, flags: u8, length: usize) -> Segment {
        let options = self.options(end, flags);
        let payload = self.random.bytes(length);
        let this = &self.ends[end];
        Segment {
            sequence: this.next,
            acknowledgment: if flags & ACK != 0 { this.expected } else { 0 },
            flags,
            window: this.window,
            options,
            payload,
            ..Segment::default()
        }
    }

    fn options(&self, end: usize, flags: u8) -> Vec<u8> {
        let (this, other) = (&self.ends[end], &self.ends[1 - end]);
        let mut options = Vec::new();
        if flags & SYN != 0 {
            options.extend([2, 4, 5, 0xb4]);
            if this.offers_scale {
                options.extend([1, 3, 3, this.scale]);
            }
            if this.offers_sack {
                options.extend([4, 2, 1, 1]);
            }
        }
        if this.stamps {
            options.extend([1, 1, 8, 10]);
            options.extend(this.clock.to_be_bytes());
            options.extend(other.clock.to_be_bytes());
        }
        options
    }

    /// The other end takes all that `end` has sent.
    fn take(&mut self, end: usize) {
        let next = self.ends[end].next;
        self.ends[end].acknowledged = next;
        self.ends[1 - end].expected = next;
    }

    fn exchange(&mut self, end: usize, flags: u8, length: usize) {
        self.send(end, flags, length);
        self.take(end);
    }

    fn open(&mut self) {
        match self.random.below(100) {
            0..60 => self.handshake(),
            60..66 => {
                // The SYN is sent again before it is answered.
                let again = self.segment(0, SYN, 0);
                self.emit(0, again);
                self.handshake();
            }
            66..72 => {
                // Both ends open at once.
                self.exchange(0, SYN, 0);
                self.exchange(1, SYN, 0);
                let (a, b) = (self.ends[0].next, self.ends[1].next);
                for (end, next) in [(0, a), (1, b)] {
                    self.ends[end].next = next.wrapping_sub(1);
                    self.exchange(end, SYN | ACK, 0);
                }
            }
            72..77 => {
                // Data in the SYN (RFC 7413).
                self.exchange(0, SYN, 20);
                let length = self.random_length().min(100);
                self.exchange(1, SYN | ACK, length);
                self.send(0, ACK, 0);
            }
            77..80 => self.send(0, SYN, 0),
            80..84 => {
                // Only the answers come this way.
                self.ends[1].expected = self.random.word();
                self.exchange(1, SYN | ACK, 0);
                self.send(0, ACK, 0);
            }
            84..88 => {
                self.exchange(0, SYN, 0);
                self.exchange(1, RST | ACK, 0);
            }
            _ => {
                // In the middle.
                let (a, b) = (self.ends[0].next, self.ends[1].next);
                (self.ends[0].expected, self.ends[1].expected) = (b, a);
            }
        }
    }

    fn handshake(&mut self) {
        let ecn = if self.random.chance(10) { ECE | CWR } else { 0 };
        self.exchange(0, SYN | ecn, 0);
        if self.random.chance(5) {
            let early = self.segment(0, ACK, 0);
            self.emit(0, early);
        }
        self.exchange(1, SYN | ACK | ecn & ECE, 0);
        if self.random.chance(90) {
            self.send(0, ACK, 0);
        }
    }

    fn random_length(&mut self) -> usize {
        self.random.pick(&LENGTHS)
    }

    fn talk(&mut self) {
        for _ in 0..self.random.below(14) {
            let end = self.random.below(2);
            match self.random.below(100) {
                0..30 => {
                    let length = self.random_length();
                    self.exchange(end, ACK | PSH, length);
                }
                30..45 => self.send(end, ACK, 0),
                45..52 => self.retransmit(end),
                52..58 => self.burst_with_hole(end),
                58..62 => self.keep_alive(end),
                62..68 => {
                    self.ends[end].window = self.random.pick(&WINDOWS);
                    self.send(end, ACK, 0);
                }
                68..71 => self.exchange(end, ACK | URG | PSH, 1),
                71..92 => self.edge(end),
                92..94 => self.stray_syn(end),
                _ => self.old_acknowledgment(end),
            }
        }
    }

    fn retransmit(&mut self, end: usize) {
        let length = self.random_length();
        let mut segment = self.segment(end, ACK | PSH, length);
        segment.sequence = segment.sequence.wrapping_sub(length as u32);
        for _ in 0..=self.random.below(5) {
            self.emit(end, segment.clone());
        }
    }

    /// A segment is lost: what follows it is acknowledged selectively (RFC 2018).
    fn burst_with_hole(&mut self, end: usize) {
        let hole = self.ends[end].next;
        let lost = self.segment(end, ACK | PSH, 100);
        self.ends[end].next = hole.wrapping_add(100);
        let left = self.ends[end].next;
        let length = self.random_length();
        self.send(end, ACK, length);
        let right = self.ends[end].next;
        let mut duplicate = self.segment(1 - end, ACK, 0);
        duplicate.acknowledgment = hole;
        if self.ends[0].offers_sack {
            duplicate.options.extend([1, 1, 5, 10]);
            duplicate.options.extend(left.to_be_bytes());
            duplicate.options.extend(right.to_be_bytes());
        }
        for _ in 0..=self.random.below(3) {
            self.emit(1 - end, duplicate.clone());
        }
        if self.random.chance(80) {
            self.emit(end, lost);
            self.take(end);
            self.send(1 - end, ACK, 0);
        }
    }

    fn keep_alive(&mut self, end: usize) {
        let length = self.random.below(2);
        let mut probe = self.segment(end, ACK, length);
        probe.sequence = probe.sequence.wrapping_sub(1);
        self.emit(end, probe);
        self.send(1 - end, ACK, 0);
    }

    fn old_acknowledgment(&mut self, end: usize) {
        let length = self.random_length();
        let mut segment = self.segment(end, ACK, length);
        let back = self.random.pick(&[1, 100, 1460, 65_535, 66_000, 70_000]);
        segment.acknowledgment = segment.acknowledgment.wrapping_sub(back);
        self.emit(end, segment);
    }

    fn stray_syn(&mut self, end: usize) {
        let flags = self.random.pick(&[SYN, SYN | ACK]);
        let mut segment = self.segment(end, flags, 0);
        segment.sequence = match self.random.below(4) {
            0 => self.random.word(),
            1 => segment.sequence.wrapping_sub(1),
            2 => segment.sequence.wrapping_add(1_000_000),
            _ => segment.sequence,
        };
        self.emit(end, segment);
        match self.random.below(3) {
            0 => self.send(1 - end, ACK, 0),
            1 => {
                let mut reset = self.segment(end, RST, 0);
                reset.sequence = self.ends[1 - end].expected;
                self.send(1 - end, ACK, 0);
                self.emit(end, reset);
            }
            _ => {}
        }
    }

    /// A segment just at an edge of what the other end may accept.
    fn edge(&mut self, end: usize) {
        let mut flags =
            self.random.pick(&[ACK, ACK, ACK | PSH, ACK | FIN, RST, RST | ACK, ACK, SYN | ACK]);
        if self.random.chance(5) {
            flags = self.random.byte();
        }
        let length = self.random_length();
        let mut segment = self.segment(end, flags, length);
        let (this, other) = (self.ends[end].clone(), self.ends[1 - end].clone());
        let scaled = |end: &End| u32::from(end.window) << end.scale.min(14);
        let window = scaled(&other);
        let near = self.random.pick(&[0, 0, 1, 2, u32::MAX, u32::MAX - 1, length as u32]);
        let edges = [
            this.next,
            this.acknowledged,
            this.acknowledged.wrapping_add(window),
            this.acknowledged.wrapping_add(window).wrapping_sub(length as u32),
            this.acknowledged.wrapping_add(other.window.into()),
            this.next.wrapping_sub(scaled(&this)),
            this.next.wrapping_sub(window),
            this.next.wrapping_sub(window).wrapping_sub(length as u32),
            this.next.wrapping_add(1 << 31),
            this.next.wrapping_sub(65_535),
        ];
        if self.random.chance(70) {
            segment.sequence = self.random.pick(&edges).wrapping_add(near);
        }
        let edges = [
            other.next,
            other.acknowledged,
            other.next.wrapping_sub(scaled(&this)),
            other.next.wrapping_sub(scaled(&other)),
            other.next.wrapping_sub(66_000),
            other.next.wrapping_sub(65_535),
            other.next.wrapping_add(1 << 31),
            0,
        ];
        if self.random.chance(40) {
            segment.acknowledgment = self.random.pick(&edges).wrapping_add(near);
        }
        self.emit(end, segment);
    }

    fn close(&mut self) {
        let end = self.random.below(2);
        match self.random.below(100) {
            0..35 => {
                self.exchange(end, FIN | ACK, 0);
                if self.random.chance(70) {
                    self.send(1 - end, ACK, 0);
                }
                if self.random.chance(30) {
                    self.exchange(1 - end, ACK | PSH, 100);
                    self.send(end, ACK, 0);
                }
                self.exchange(1 - end, FIN | ACK, 0);
                self.send(end, ACK, 0);
                if self.random.chance(20) {
                    self.send(end, ACK, 0);
                }
            }
            35..45 => {
                // Both at once.
                self.send(end, FIN | ACK, 0);
                self.send(1 - end, FIN | ACK, 0);
                self.take(end);
                self.take(1 - end);
                self.send(end, ACK, 0);
                self.send(1 - end, ACK, 0);
            }
            45..60 => self.send(end, RST | ACK, 0),
            60..68 => self.send(end, RST, 0),
            68..78 => {
                self.exchange(end, FIN | ACK, 0);
                self.send(1 - end, RST, 0);
            }
            78..84 => {
                self.exchange(end, FIN | ACK, 0);
                self.send(1 - end, ACK, 0);
            }
            _ => {}
        }
    }

    /// The same ports again: from the old sequence numbers, beyond them, before them, or anew.
    fn reopen(&mut self) {
        let before = [self.ends[0].next, self.ends[1].next];
        if self.random.chance(20) {
            self.flow.ports.swap(0, 1);
            self.flow.addresses.swap(0, 1);
            self.flow.sides.swap(0, 1);
        }
        self.draw_ends();
        if self.random.chance(60) {
            for (end, before) in self.ends.iter_mut().zip(before) {
                let step = self.random.pick(&[1, 0, 100_000, 70_000, 1 << 20, u32::MAX - 1000]);
                end.next = before.wrapping_add(step);
                end.acknowledged = end.next;
            }
        }
        self.open();
        self.talk();
        self.close();
    }
}
