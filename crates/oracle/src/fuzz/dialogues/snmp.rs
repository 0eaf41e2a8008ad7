//! SNMP dialogues (RFC 3416): queries, answers and notifications with the addresses of either end in them,
//! and messages whose encoding is out of the ordinary.

use super::Messages;
use super::datagrams::Datagrams;
use crate::fuzz::draft::Draft;
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;
use keepstate_packet::Address;

/// Identifier octets of the PDUs, the trap of version 1 and one that is none among them.
const PDUS: [u8; 13] =
    [0xa0, 0xa1, 0xa2, 0xa2, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa7, 0xa8, 0xa9];
/// Those of values that are no addresses.
const VALUES: [u8; 16] =
    [2, 4, 6, 0x41, 0x42, 0x43, 0x44, 0x46, 5, 0x80, 0x81, 0x82, 0x45, 0x47, 0x83, 1];

/// What the helpers read.
pub(super) const MESSAGES: [Messages; 2] = [
    Messages { helper: "snmp", kinds: &["query", "answer"], kind },
    Messages { helper: "snmp_trap", kinds: &["notification"], kind: notification },
];

fn kind(payload: &[u8]) -> Option<&'static str> {
    match pdu(payload)? {
        0xa0 | 0xa1 | 0xa3 | 0xa5 => Some("query"),
        0xa2 => Some("answer"),
        _ => None,
    }
}

fn notification(payload: &[u8]) -> Option<&'static str> {
    matches!(pdu(payload)?, 0xa6..=0xa8).then_some("notification")
}

/// The PDU of a message as it is written here when nothing is out of the ordinary.
fn pdu(payload: &[u8]) -> Option<u8> {
    let [0x30, _, 2, 1, _, 4, 6, rest @ ..] = payload else { return None };
    rest.get(6).copied()
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[161, 161, 162]);
    let mut dialogue = Datagrams::new(random, flow);
    if dialogue.random.chance(70) {
        // A query that can be read, so that the answers find their connection.
        dialogue.say(0, &QUERY);
    }
    for _ in 0..=dialogue.random.below(4) {
        let message = message(dialogue.random, &flow);
        let end = usize::from(dialogue.random.chance(60));
        dialogue.say(end, &message);
    }
    dialogue.drafts
}

/// `sysDescr`-like, of version 2c.
const QUERY: [u8; 33] = [
    0x30, 31, 2, 1, 1, 4, 6, b'p', b'u', b'b', b'l', b'i', b'c', 0xa0, 18, 2, 1, 1, 2, 1, 0, 2, 1,
    0, 0x30, 7, 0x30, 5, 6, 1, 0x2b, 5, 0,
];

fn message(random: &mut Random, flow: &Flow) -> Vec<u8> {
    let mut bindings = Vec::new();
    for _ in 0..random.pick(&[0, 1, 1, 1, 2, 3, 8]) {
        let mut binding = element(random, 6, &[0x2b]);
        for _ in 0..random.pick(&[1, 1, 1, 1, 1, 1, 0, 2]) {
            binding.extend(value(random, flow));
        }
        bindings.extend(element(random, 0x30, &binding));
    }
    let mut pdu = Vec::new();
    for _ in 0..3 {
        let length = random.pick(&[1, 1, 1, 2, 4, 0]);
        let number = random.bytes(length);
        pdu.extend(element(random, 2, &number));
    }
    pdu.extend(element(random, 0x30, &bindings));
    let version = random.pick(&[0, 1, 1, 1, 1, 1, 2, 3]);
    let mut content = element(random, 2, &[version]);
    content.extend(element(random, 4, b"public"));
    for _ in 0..random.pick(&[1, 1, 1, 1, 1, 1, 1, 1, 0, 2]) {
        let kind = random.pick(&PDUS);
        content.extend(element(random, kind, &pdu));
    }
    let mut message = element(random, 0x30, &content);
    match random.below(20) {
        0 => message.extend([0; 3]),
        1 if !message.is_empty() => {
            let at = random.below(message.len());
            message[at] = random.pick(&[0, 1, 0x30, 0x80, 0xff, 0x1f]);
        }
        2 => message.truncate(random.below(message.len() + 1)),
        _ => {}
    }
    message
}

fn value(random: &mut Random, flow: &Flow) -> Vec<u8> {
    if random.chance(50) {
        let Address(octets) = flow.addresses[random.below(2)];
        let length = if random.chance(3) { random.below(6) } else { 4 };
        return element(random, 0x40, &octets[..length]);
    }
    let kind = random.pick(&VALUES);
    let is_nothing = matches!(kind, 5 | 0x80..=0x82) && random.chance(80);
    let length = if is_nothing { 0 } else { random.below(6) };
    let content = random.bytes(length);
    element(random, kind, &content)
}

/// Mostly as it should be.
fn element(random: &mut Random, kind: u8, content: &[u8]) -> Vec<u8> {
    let whole = |head: &[u8], tail: &[u8]| [head, content, tail].concat();
    let [high, low] = (content.len() as u16).to_be_bytes();
    let shortest: &[u8] = match content.len() {
        0..0x80 => &[kind, low],
        0x80..0x100 => &[kind, 0x81, low],
        _ => &[kind, 0x82, high, low],
    };
    match random.below(100) {
        0 | 1 => whole(&[kind, 0x80], if random.chance(80) { &[0, 0] } else { &[] }),
        2 => whole(&[kind ^ random.pick(&[0x20, 1, 2, 0x80, 0x40]), low], &[]),
        3 => whole(&[kind, 0x82, high, low], &[]),
        4 => whole(&[kind, 0x83, 0, high, low], &[]),
        5 => whole(&[kind, low.wrapping_add(random.pick(&[1, 255]))], &[]),
        6 => Vec::new(),
        7 => whole(shortest, random.pick(&[&[0][..], &[0, 0], &[5, 0]])),
        _ => whole(shortest, &[]),
    }
}
