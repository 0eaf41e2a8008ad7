//! Faults: lost, repeated, reordered packets; fields that no peer would send.

use super::draft::{Body, Chunk, Damage, Draft, SctpPacket, Segment};
use super::random::Random;
use crate::observation::Side;
use keepstate_packet::Family;

/// Distances around every edge of sequence space.
const STEPS: [u32; 10] =
    [1, 2, 1460, 65_534, 65_535, 65_536, 66_000, 1 << 31, (1 << 31) - 1, (1 << 31) + 1];

/// Changes `percent` of the packets, and their order.
pub(crate) fn mutate(drafts: &mut Vec<Draft>, percent: usize, random: &mut Random) {
    if percent == 0 {
        return;
    }
    for draft in drafts.iter_mut() {
        if random.chance(percent) {
            mutate_one(draft, random);
        }
    }
    let mut n = 0;
    while n < drafts.len() {
        if random.chance(percent.div_ceil(3)) {
            match random.below(4) {
                0 => {
                    drafts.remove(n);
                }
                1 => drafts.insert(n, drafts[n].clone()),
                2 => {
                    let later = (n + 1 + random.below(4)).min(drafts.len() - 1);
                    drafts[n..=later].rotate_left(1);
                }
                _ => {
                    let earlier = random.below(n + 1);
                    drafts.insert(n, drafts[earlier].clone());
                }
            }
        }
        n += 1;
    }
}

fn mutate_one(draft: &mut Draft, random: &mut Random) {
    match random.below(20) {
        0 => draft.network.ttl = random.pick(&[0, 1, 2]),
        1 => draft.damage = Some(Damage::Checksum),
        2 => draft.damage = Some(Damage::Cut(random.below(40))),
        3 => draft.damage = Some(Damage::Padded(1 + random.below(20))),
        4 => {
            if draft.network.family == Family::V4 && random.chance(20) {
                draft.damage = Some(Damage::HeaderChecksum);
            }
        }
        5 => {
            draft.network = draft.network.reversed();
            draft.side = if draft.side == Side::A { Side::B } else { Side::A };
        }
        6 => draft.network.tos = random.byte(),
        7 => ip_options(draft, random),
        _ => mutate_body(draft, random),
    }
}

/// IPv4: no-operation, record route, timestamp, router alert; IPv6: destination options.
fn ip_options(draft: &mut Draft, random: &mut Random) {
    match draft.network.family {
        Family::V4 => {
            draft.options = match random.below(3) {
                0 => vec![1, 1, 1, 0],
                1 => vec![0x94, 4, 0, 0],
                _ => vec![1, 7, 7, 8, 0, 0, 0, 0],
            };
        }
        Family::V6 => {
            if draft.first_header.is_none() {
                draft.options = vec![draft.protocol, 0, 1, 4, 0, 0, 0, 0];
                draft.first_header = Some(60);
            }
        }
    }
}

fn mutate_body(draft: &mut Draft, random: &mut Random) {
    match &mut draft.body {
        Body::Tcp(segment) => mutate_segment(segment, random),
        Body::Sctp(packet) => mutate_association(packet, random),
        Body::Udp { ports, length_error, unsummed, .. } => match random.below(4) {
            0 => ports.0 = random.pick(&[0, 1024, 1025, 53]),
            1 => ports.1 = random.pick(&[0, 53, 123]),
            2 => *length_error = random.pick(&[-8, -1, 1, -4, 2000]),
            _ => *unsummed = !*unsummed,
        },
        Body::Icmp { kind, code, rest, .. } => match random.below(3) {
            0 => *kind = random.byte(),
            1 => *code = random.byte(),
            _ => rest[1] = random.below(4) as u8,
        },
        Body::Error { quote, code, .. } => match random.below(3) {
            0 => quote.length = random.below(80),
            1 => quote.reversed = !quote.reversed,
            _ => *code = random.byte(),
        },
        Body::Raw(bytes) => bytes.truncate(random.below(20)),
    }
}

fn mutate_segment(s: &mut Segment, random: &mut Random) {
    let step = random.pick(&STEPS);
    let step = if random.chance(50) { step } else { step.wrapping_neg() };
    match random.below(14) {
        0 => s.flags ^= 1 << random.below(8),
        1 => s.flags = random.byte(),
        2..5 => s.sequence = s.sequence.wrapping_add(step),
        5..8 => s.acknowledgment = s.acknowledgment.wrapping_add(step),
        8 => s.window = random.pick(&[0, 1, 65_535, 1000]),
        9 => s.options = tcp_options(random),
        10 => {
            let length = random.pick(&[0, 1, 100, 1460, 3000]);
            s.payload = random.bytes(length);
        }
        11 => s.offset_error = random.pick(&[-5, -1, 1, 2, 10]),
        12 => s.reserved = random.byte() & 15,
        _ => match random.below(3) {
            0 => s.source_port = random.pick(&[0, 1024, 1025, 1026]),
            1 => s.destination_port = random.pick(&[0, 80, 443]),
            _ => s.acknowledgment = 0,
        },
    }
}

fn mutate_association(packet: &mut SctpPacket, random: &mut Random) {
    let at = random.below(packet.chunks.len());
    let kind = random.below(16) as u8;
    match random.below(12) {
        0 => packet.tag = 0,
        1 => packet.tag ^= 1 << random.below(32),
        2 => packet.ports.0 = random.pick(&[0, 1024, 1025, 1026]),
        3 => packet.ports.1 = random.pick(&[0, 80, 2905]),
        4 => packet.chunks.clear(),
        5 => packet.chunks.reverse(),
        6..9 => {
            let value = random.bytes(8);
            packet.chunks.insert(at, Chunk { kind, flags: 0, length_error: 0, value });
        }
        _ => {
            let Some(chunk) = packet.chunks.get_mut(at) else { return };
            match random.below(5) {
                0 => chunk.kind = kind,
                1 => chunk.flags ^= 1,
                2 => chunk.value.truncate(random.below(20)),
                // No length at all, or one within the chunk's own header.
                3 => chunk.length_error = random.below(4) as i16 - chunk.value.len() as i16 - 4,
                _ => chunk.length_error = random.pick(&[-4, -1, 1, 2, 4, 16, 1000, -20_000]),
            }
        }
    }
}

/// Options in odd places, with bad lengths, cut short.
fn tcp_options(random: &mut Random) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..=random.below(4) {
        match random.below(9) {
            0 => options.push(1),
            1 => options.extend([3, 3, random.pick(&[0, 2, 14, 15, 255])]),
            2 => options.extend([4, 2]),
            3 => {
                let blocks = 1 + random.below(3);
                options.extend([5, 2 + 8 * blocks as u8]);
                options.extend(random.bytes(8 * blocks));
            }
            4 => options.extend([8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
            5 => options.extend([random.byte(), random.pick(&[0, 1, 2, 3, 40, 255])]),
            6 => options.push(0),
            7 => options.extend([3, 4, 7, 0]),
            _ => options.push(random.byte()),
        }
    }
    options.truncate(40);
    options
}
