//! PPTP dialogues (RFC 2637): a control connection, calls set up in either way, the GRE packets that
//! carry them, and much that is out of order.

use super::Messages;
use super::stream::Stream;
use crate::fuzz::draft::{Body, Draft};
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;
use keepstate_packet::gre;

/// The control messages, by their numbers from 1 on.
const KINDS: [&str; 15] = [
    "Start-Control-Connection-Request",
    "Start-Control-Connection-Reply",
    "Stop-Control-Connection-Request",
    "Stop-Control-Connection-Reply",
    "Echo-Request",
    "Echo-Reply",
    "Outgoing-Call-Request",
    "Outgoing-Call-Reply",
    "Incoming-Call-Request",
    "Incoming-Call-Reply",
    "Incoming-Call-Connected",
    "Call-Clear-Request",
    "Call-Disconnect-Notify",
    "WAN-Error-Notify",
    "Set-Link-Info",
];

/// What the helper reads.
pub(super) const MESSAGES: Messages = Messages {
    helper: "pptp",
    kinds: &KINDS,
    kind: |payload| {
        let number = usize::from(*payload.get(9)?);
        payload
            .get(2..8)
            .filter(|head| *head == HEAD)
            .and(KINDS.get(number.wrapping_sub(1)).copied())
    },
};

/// A control message, and the magic cookie.
const HEAD: [u8; 6] = [0, 1, 0x1a, 0x2b, 0x3c, 0x4d];
/// Lengths of the messages, by their numbers from 1 on, without the 12 octets before them.
const LENGTHS: [usize; 15] = [144, 144, 4, 4, 4, 8, 156, 20, 208, 12, 16, 4, 136, 28, 12];

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[1723]);
    let mut dialogue = Dialogue { stream: Stream::open(random, flow), calls: [1, 2] };
    dialogue.start();
    for _ in 0..=dialogue.stream.random.below(4) {
        match dialogue.stream.random.below(10) {
            0..3 => dialogue.outgoing_call(),
            3..6 => dialogue.incoming_call(),
            6 => dialogue.anything(),
            7 => dialogue.clear(),
            8 => dialogue.stop(),
            _ => dialogue.start(),
        }
        dialogue.packets();
    }
    if dialogue.stream.random.chance(60) {
        dialogue.clear();
        dialogue.packets();
    }
    if dialogue.stream.random.chance(40) {
        dialogue.stop();
        dialogue.stream.close();
        dialogue.packets();
    }
    dialogue.stream.drafts
}

/// The control connection; end 0 is the PNS, end 1 the PAC.
struct Dialogue<'r> {
    stream: Stream<'r>,
    /// The identifiers that the two ends have given the call.
    calls: [u16; 2],
}

impl Dialogue<'_> {
    fn start(&mut self) {
        self.say(0, 1, &[1, 0]);
        let result = self.result();
        self.say(1, 2, &[1, 0, result, 0]);
    }

    fn stop(&mut self) {
        self.say(0, 3, &[1]);
        let result = self.result();
        self.say(1, 4, &[result]);
    }

    fn outgoing_call(&mut self) {
        self.draw_calls();
        let [pns, pac] = self.calls.map(u16::to_be_bytes);
        self.say(0, 7, &pns);
        let result = self.result();
        self.say(1, 8, &[pac[0], pac[1], pns[0], pns[1], result]);
        if self.stream.random.chance(30) {
            self.say(0, 15, &pac);
        }
    }

    fn incoming_call(&mut self) {
        self.draw_calls();
        let [pns, pac] = self.calls.map(u16::to_be_bytes);
        self.say(1, 9, &pac);
        let result = self.result();
        self.say(0, 10, &[pns[0], pns[1], pac[0], pac[1], result]);
        self.say(1, 11, &pns);
    }

    fn clear(&mut self) {
        let [pns, pac] = self.calls.map(u16::to_be_bytes);
        if self.stream.random.chance(70) {
            self.say(0, 12, &pns);
        }
        self.say(1, 13, &pac);
    }

    /// Any message from anybody.
    fn anything(&mut self) {
        let number = 1 + self.stream.random.below(17) as u8;
        let [pns, pac] = self.calls.map(u16::to_be_bytes);
        let end = self.stream.random.below(2);
        self.say(end, number, &[pac[0], pac[1], pns[0], pns[1], 1]);
    }

    /// Others than before, or just those: few, so that calls meet.
    fn draw_calls(&mut self) {
        if self.stream.random.chance(60) {
            let random = &mut *self.stream.random;
            self.calls = [random.pick(&[0, 1, 1, 2, 3, 0x8000]), random.pick(&[0, 1, 2, 2, 3])];
        }
    }

    /// 1 is well.
    fn result(&mut self) -> u8 {
        if self.stream.random.chance(90) { 1 } else { self.stream.random.pick(&[0, 2, 3, 255]) }
    }

    /// A message that begins with `fields`; sometimes it is cut, longer, left out, somebody
    /// else's, or has another behind it.
    fn say(&mut self, end: usize, number: u8, fields: &[u8]) {
        if self.stream.random.chance(4) {
            return;
        }
        let mut bytes = self.message(number, fields);
        let random = &mut *self.stream.random;
        let end = if random.chance(2) { 1 - end } else { end };
        match random.below(50) {
            0 => bytes.truncate(bytes.len() - 1),
            1 => bytes.truncate(random.below(bytes.len())),
            2 => bytes.extend(random.bytes(30)),
            3 => {
                let at = random.below(12);
                bytes[at] ^= 1 << random.below(8);
            }
            4 => {
                let more = self.message(13, fields);
                bytes.extend(more);
            }
            5 => {
                let at = 12 + random.below(8).min(bytes.len() - 13);
                bytes[at] = random.byte();
            }
            _ => {}
        }
        self.stream.say(end, &bytes);
    }

    fn message(&mut self, number: u8, fields: &[u8]) -> Vec<u8> {
        let length = LENGTHS.get(usize::from(number) - 1).copied().unwrap_or(20);
        let mut bytes = ((length + 12) as u16).to_be_bytes().to_vec();
        bytes.extend(HEAD);
        bytes.extend([0, number, 0, 0]);
        bytes.extend(fields);
        bytes.resize(12 + length, 0);
        bytes
    }

    /// GRE from both ends, most with the other end's identifier.
    fn packets(&mut self) {
        for _ in 0..self.stream.random.below(6) {
            let end = self.stream.random.below(2);
            let call = self.calls[1 - end];
            let random = &mut *self.stream.random;
            let call = if random.chance(12) { random.below(4) as u16 } else { call };
            let bytes = packet(random, call);
            let flow = self.stream.flow;
            let network = flow.network(end, random);
            let draft = Draft::new(flow.sides[end], network, gre::PROTOCOL, Body::Raw(bytes));
            self.stream.drafts.push(draft);
        }
    }
}

/// A packet of version 1 for the end that has given the call this identifier (RFC 2637, 4.1), and
/// some that are none.
fn packet(random: &mut Random, call: u16) -> Vec<u8> {
    let payload = random.below(20);
    let (flags, version) = random.pick(&[(0x30, 1), (0x30, 1), (0x20, 0x81), (0x30, 0x81)]);
    let [high, low] = call.to_be_bytes();
    let mut bytes = vec![flags, version, 0x88, 0x0b, 0, payload as u8, high, low];
    bytes.extend([0; 8]);
    bytes.extend(random.bytes(payload));
    match random.below(30) {
        0 => bytes[1] ^= 1 << random.below(8),
        1 => bytes[2..4].copy_from_slice(&[0x08, 0]),
        2 => bytes[0] = random.byte(),
        3 => bytes.truncate(random.below(12)),
        _ => {}
    }
    bytes
}
