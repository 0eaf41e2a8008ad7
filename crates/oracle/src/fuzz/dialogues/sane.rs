//! SANE dialogues: requests to a network scanner, its answers, and the data connections whose ports
//! they name.

use super::Messages;
use super::stream::Stream;
use crate::fuzz::draft::Draft;
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;

const START: u32 = 7;

/// What the helper tells apart: a start request, an answer that names a port, one with a fault.
pub(crate) const MESSAGES: Messages = Messages {
    helper: "sane",
    kinds: &["SANE_NET_START", "another request", "status 0", "another status"],
    kind,
};

fn kind(payload: &[u8]) -> Option<&'static str> {
    let [start, other, good, bad] = [0, 1, 2, 3].map(|at| MESSAGES.kinds[at]);
    let word = u32::from_be_bytes(*payload.first_chunk()?);
    Some(match (payload.len(), word) {
        (8, START) => start,
        (8, 1..) => other,
        (_, 0) => good,
        _ => bad,
    })
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[6566]);
    let mut dialogue = Stream::open(random, flow);
    dialogue.say(0, &[0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0, 5, b'u', b's', b'e', b'r', 0]);
    dialogue.say(1, &[0, 0, 0, 0, 1, 0, 0, 3]);
    for _ in 0..=dialogue.random.below(4) {
        let request = request(dialogue.random);
        let end = usize::from(dialogue.random.chance(5));
        dialogue.say(end, &request);
        if dialogue.random.chance(10) {
            dialogue.say(0, &request);
        }
        let port = 2000 + dialogue.random.below(20) as u16;
        let answer = answer(dialogue.random, port);
        let end = usize::from(!dialogue.random.chance(5));
        dialogue.say(end, &answer);
        if dialogue.random.chance(80) {
            data(&mut dialogue, port);
        }
    }
    if dialogue.random.chance(50) {
        dialogue.close();
    }
    dialogue.drafts
}

fn request(random: &mut Random) -> Vec<u8> {
    let code =
        if random.chance(75) { START } else { random.pick(&[0, 6, 8, 9, 0x0700_0000, 0x107]) };
    let mut bytes = code.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, random.byte()]);
    match random.below(12) {
        0 => bytes.truncate(random.below(8)),
        1 => bytes.push(random.byte()),
        2 => bytes.extend(bytes.clone()),
        _ => {}
    }
    bytes
}

fn answer(random: &mut Random, port: u16) -> Vec<u8> {
    let status: u32 = if random.chance(88) { 0 } else { random.pick(&[1, 4, 7, 0x0100_0000]) };
    let mut bytes = status.to_be_bytes().to_vec();
    bytes.extend(if random.chance(92) { [0; 2] } else { random.pick(&[[0, 1], [1, 0], [255; 2]]) });
    bytes.extend(if random.chance(95) { port.to_be_bytes() } else { [0; 2] });
    if random.chance(80) {
        bytes.extend([0, 0, 0x12, 0x34, 0, 0, 0, 0]);
    }
    if random.chance(8) {
        bytes.truncate(random.below(9));
    }
    bytes
}

/// The data connection, from the client.
fn data(dialogue: &mut Stream<'_>, port: u16) {
    let control = dialogue.flow;
    let port = if dialogue.random.chance(10) { port ^ 1 } else { port };
    let flow = Flow { ports: [40_000 + dialogue.random.below(4) as u16, port], ..control };
    dialogue.another(flow);
}
