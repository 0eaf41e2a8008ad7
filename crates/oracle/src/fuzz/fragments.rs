//! Datagrams in pieces: cut evenly or not, in any order, repeated, lost, overlapping.

use super::draft::{fold, sum};
use super::random::Random;
use crate::observation::Side;
use keepstate_packet::{Family, Parsed};

/// Next header number of the IPv6 fragment header.
const FRAGMENT: u8 = 44;
/// Lengths of an IPv4 header without options and of an IPv6 header.
const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;

/// One piece: offset and bytes of the data, whether more follow.
#[derive(Clone, Debug)]
struct Piece {
    offset: usize,
    data: Vec<u8>,
    more: bool,
}

/// Cuts some of the packets, `percent` in a hundred. The pieces of different packets do not mix
/// in one queue: each cut packet has an identification of its own.
pub(crate) fn cut(
    packets: Vec<(Side, Vec<u8>)>,
    percent: usize,
    random: &mut Random,
) -> Vec<(Side, Vec<u8>)> {
    let mut all = Vec::new();
    let mut identification = 0;
    let mut late: Vec<(Side, Vec<u8>)> = Vec::new();
    for (side, packet) in packets {
        match header_of(&packet) {
            Some(header) if random.chance(percent) => {
                identification += 1;
                let mut pieces = pieces(&packet[header..], random);
                spoil(&mut pieces, random);
                for piece in &pieces {
                    let bytes = with_header(&packet[..header], piece, identification, random);
                    let to = if random.chance(10) { &mut late } else { &mut all };
                    to.push((side, bytes));
                }
            }
            _ => all.push((side, packet)),
        }
        if random.chance(30) {
            all.append(&mut late);
        }
    }
    all.append(&mut late);
    all
}

/// Where the data of a packet that can be cut begins: plain headers only.
fn header_of(packet: &[u8]) -> Option<usize> {
    let parsed = Parsed::new(packet).ok()?;
    let plain = match parsed.family {
        Family::V4 => packet[0] == 0x45 && parsed.length as usize == packet.len(),
        Family::V6 => matches!(packet[6], 6 | 17 | 58 | 136),
    };
    let header = if parsed.family == Family::V4 { HEADER_V4 } else { HEADER_V6 };
    (plain && parsed.fragment.is_none() && packet.len() > header + 8).then_some(header)
}

fn pieces(data: &[u8], random: &mut Random) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let step = random.pick(&[8, 16, 24, 64, 256, 512, 1280]);
    let mut offset = 0;
    while offset < data.len() {
        let uneven = if random.chance(20) { 8 * (1 + random.below(8)) } else { step };
        let end = (offset + uneven).min(data.len());
        pieces.push(Piece { offset, data: data[offset..end].to_vec(), more: end < data.len() });
        offset = end;
        if pieces.len() == 24 {
            let data = data[offset..].to_vec();
            if !data.is_empty() {
                pieces.push(Piece { offset, data, more: false });
            }
            break;
        }
    }
    pieces
}

fn spoil(pieces: &mut Vec<Piece>, random: &mut Random) {
    match random.below(20) {
        0..6 => {}
        6..9 => pieces.reverse(),
        9..12 => {
            let by = random.below(pieces.len());
            pieces.rotate_left(by);
        }
        12 => {
            let lost = random.below(pieces.len());
            pieces.remove(lost);
        }
        13 | 14 => {
            let (from, to) = (random.below(pieces.len()), random.below(pieces.len() + 1));
            let again = pieces[from].clone();
            pieces.insert(to, again);
        }
        15 => {
            // Begins in the piece before it.
            let at = random.below(pieces.len());
            pieces[at].offset = pieces[at].offset.saturating_sub(8);
        }
        16 => {
            let at = random.below(pieces.len());
            let length = random.pick(&[0, 1, 7, 8, 9]);
            pieces[at].data.truncate(length);
        }
        17 => {
            let at = random.below(pieces.len());
            pieces[at].more ^= true;
        }
        18 => {
            let at = random.below(pieces.len());
            let anywhere = 8 * random.below(200);
            pieces[at].offset = random.pick(&[65_528, 65_520, anywhere, 60_000]);
        }
        _ => {
            let at = random.below(pieces.len());
            let extra = random.bytes(8);
            pieces[at].data.extend(extra);
        }
    }
}

fn with_header(header: &[u8], piece: &Piece, identification: u32, random: &mut Random) -> Vec<u8> {
    let mut bytes = header.to_vec();
    let ttl = if header[0] >> 4 == 4 { 8 } else { 7 };
    if random.chance(3) {
        bytes[ttl] = random.pick(&[1, 2, 33]);
    }
    let units = (piece.offset / 8) as u16;
    if header[0] >> 4 == 4 {
        let length = (HEADER_V4 + piece.data.len()) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[4..6].copy_from_slice(&(identification as u16).to_be_bytes());
        let flags = units & 0x1fff | u16::from(piece.more) << 13;
        bytes[6..8].copy_from_slice(&flags.to_be_bytes());
        seal(&mut bytes);
    } else {
        let length = (8 + piece.data.len()) as u16;
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        let next = std::mem::replace(&mut bytes[6], FRAGMENT);
        bytes.extend([next, 0]);
        bytes.extend((units << 3 | u16::from(piece.more)).to_be_bytes());
        bytes.extend(identification.to_be_bytes());
    }
    bytes.extend(&piece.data);
    bytes
}

fn seal(header: &mut [u8]) {
    header[10..12].fill(0);
    let check = !fold(sum(&header[..HEADER_V4]));
    header[10..12].copy_from_slice(&check.to_be_bytes());
}

/// Moves the identification of a fragment on by `by`: whoever waits for pieces of an earlier run
/// does not take those of this one.
pub(crate) fn renumber(packet: &[u8], by: u32) -> Option<Vec<u8>> {
    let mut bytes = packet.to_vec();
    if bytes.len() >= HEADER_V4 && bytes[0] == 0x45 {
        let flags = u16::from_be_bytes([bytes[6], bytes[7]]);
        if flags & 0x3fff == 0 {
            return None;
        }
        let old = u16::from_be_bytes([bytes[4], bytes[5]]);
        let right = fold(sum(&bytes[..HEADER_V4])) == 0xffff;
        bytes[4..6].copy_from_slice(&old.wrapping_add(by as u16).to_be_bytes());
        if right {
            seal(&mut bytes);
        }
        return Some(bytes);
    }
    if bytes.len() >= HEADER_V6 + 8 && bytes[0] >> 4 == 6 && bytes[6] == FRAGMENT {
        let at = HEADER_V6 + 4;
        let old = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        bytes[at..at + 4].copy_from_slice(&old.wrapping_add(by).to_be_bytes());
        return Some(bytes);
    }
    None
}
