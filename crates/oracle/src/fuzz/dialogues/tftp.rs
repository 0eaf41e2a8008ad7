//! TFTP dialogues (RFC 1350, RFC 2347): requests, transfers from another port of the server, errors,
//! and datagrams that are not what they seem.

use super::Messages;
use super::datagrams::Datagrams;
use crate::fuzz::draft::Draft;
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;

/// The opcodes (RFC 1350, 5; RFC 2347).
pub(crate) const MESSAGES: Messages =
    Messages { helper: "tftp", kinds: &["RRQ", "WRQ", "DATA", "ACK", "ERROR", "OACK"], kind };

fn kind(payload: &[u8]) -> Option<&'static str> {
    let opcode = u16::from_be_bytes(*payload.first_chunk()?);
    MESSAGES.kinds.get(usize::from(opcode).checked_sub(1)?).copied()
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[69]);
    let mut dialogue = Datagrams::new(random, flow);
    for _ in 0..=dialogue.random.below(3) {
        let request = request(dialogue.random);
        let asker = usize::from(dialogue.random.chance(8));
        dialogue.say(asker, &request);
        if dialogue.random.chance(25) {
            dialogue.say(asker, &request);
        }
        if dialogue.random.chance(15) {
            dialogue.say(1 - asker, &[0, 5, 0, 1, b'n', b'o', 0]);
        }
        if dialogue.random.chance(85) {
            transfer(&mut dialogue, asker);
        }
    }
    dialogue.drafts
}

fn request(random: &mut Random) -> Vec<u8> {
    let opcode = match random.below(12) {
        0 => random.half().to_be_bytes(),
        1 => random.pick(&[[1, 0], [2, 0], [0, 0], [0, 3], [0, 4], [0, 5], [0, 6], [1, 1]]),
        _ => random.pick(&[[0, 1], [0, 2]]),
    };
    let mut bytes = opcode.to_vec();
    bytes.extend(b"boot/file\0octet\0");
    if random.chance(20) {
        bytes.extend(b"blksize\x001432\0tsize\x000\0");
    }
    let length = if random.chance(10) { random.below(5) } else { bytes.len() };
    bytes.truncate(length);
    bytes
}

/// Blocks and acknowledgments between a new port of the server and the port that asked.
fn transfer(dialogue: &mut Datagrams<'_>, asker: usize) {
    let asked = dialogue.flow;
    let from = 3000 + dialogue.random.below(6) as u16;
    let to = asked.ports[asker] ^ u16::from(dialogue.random.chance(10));
    let flow = Flow {
        addresses: [asked.addresses[1 - asker], asked.addresses[asker]],
        sides: [asked.sides[1 - asker], asked.sides[asker]],
        ports: [from, to],
        ..asked
    };
    for block in 1..=dialogue.random.below(4) as u8 {
        let mut data = vec![0, 3, 0, block];
        data.resize(4 + dialogue.random.pick(&[512, 512, 0, 17]), block);
        dialogue.another(flow, 0, &data);
        if dialogue.random.chance(85) {
            dialogue.another(flow, 1, &[0, 4, 0, block]);
        }
    }
}
