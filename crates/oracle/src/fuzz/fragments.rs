//! Datagrams in pieces: cut evenly or not, in any order, repeated, lost, overlapping, behind options
//! and extension headers, about congestion of two minds, larger than the way out takes.

use super::draft::{Body, Draft, ICMP, ICMPV6, Network, Quote, fold, sum};
use super::random::Random;
use crate::observation::Side;
use keepstate_packet::{Address, Family, Parsed, ipv6};

/// Next header numbers.
const FRAGMENT: u8 = 44;
const HOP_BY_HOP: u8 = 0;
const DESTINATION_OPTIONS: u8 = 60;
const ROUTING: u8 = 43;
const UDP: u8 = 17;
/// Lengths of an IPv4 header without options and of an IPv6 header.
const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;
/// Most pieces of one datagram.
const PIECES_MAX: usize = 24;

/// IPv4 options: copied into every fragment or not.
const OPTIONS: [&[u8]; 5] =
    [&[0x94, 4, 0, 0], &[7, 7, 4, 0, 0, 0, 0, 0], &[1, 1, 1, 0], &[0x88, 4, 1, 2], &[0; 4]];

/// The router's own addresses.
const ROUTER_V4: [u8; 4] = [100, 127, 253, 1];
const ROUTER_V6: [u8; 16] = [0xfd, 0x4d, 0x41, 0x54, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// One piece: offset and bytes of the data, whether more follow.
#[derive(Clone, Debug)]
struct Piece {
    offset: usize,
    data: Vec<u8>,
    more: bool,
}

/// A datagram to be cut.
struct Datagram {
    /// Up to its data, with options or extension headers.
    header: Vec<u8>,
    /// Protocol of the data.
    protocol: u8,
    /// Offset of the field that names what follows the header (IPv6).
    naming: usize,
    data: Vec<u8>,
    identification: u32,
    /// It is for the router itself.
    is_for_router: bool,
    /// How many pieces in a hundred may not be fragmented (IPv4).
    unfragmentable: usize,
    /// How many pieces in a hundred have a congestion codepoint of their own.
    congested: usize,
}

/// Whether a packet is one that the router's own IPv6 looks at: a piece of a datagram for the router
/// itself, which behind INPUT belongs to it and to no filter.
pub(crate) fn is_for_own_ipv6(bytes: &[u8]) -> bool {
    let parsed = Parsed::new(bytes);
    parsed.is_ok_and(|p| {
        p.family == Family::V6 && p.fragment.is_some() && p.destination.0 == ROUTER_V6
    })
}

/// Cuts some of the packets, `percent` in a hundred. The pieces of different packets hardly ever mix
/// in one queue: most have an identification of their own.
pub(crate) fn cut(
    packets: Vec<(Side, Vec<u8>)>,
    percent: usize,
    random: &mut Random,
) -> Vec<(Side, Vec<u8>)> {
    let mut all = Vec::new();
    let mut identification = 0;
    let mut late: Vec<(Side, Vec<u8>)> = Vec::new();
    for (side, packet) in packets {
        identification += u32::from(!random.chance(3));
        let packet = if random.chance(8) { large(&packet, random) } else { packet };
        let chosen = random.chance(percent);
        let datagram = if chosen { Datagram::of(&packet, identification, random) } else { None };
        let Some(datagram) = datagram else {
            all.push((side, packet));
            continue;
        };
        for bytes in datagram.pieces(random) {
            let to = if random.chance(10) { &mut late } else { &mut all };
            to.push((side, bytes));
        }
        if random.chance(4) {
            let error = error(&all, side, random);
            all.extend(error);
        }
        if random.chance(30) {
            all.append(&mut late);
        }
    }
    all.append(&mut late);
    all
}

/// A UDP packet with thousands of bytes and no checksum; any other as it is.
fn large(packet: &[u8], random: &mut Random) -> Vec<u8> {
    let Ok(parsed) = Parsed::new(packet) else { return packet.to_vec() };
    let l4 = parsed.l4_offset as usize;
    if parsed.protocol != UDP || parsed.fragment.is_some() || packet.len() < l4 + 8 {
        return packet.to_vec();
    }
    let length = random.pick(&[1300, 1500, 2999, 4000, 9000]);
    let mut bytes = packet[..l4 + 8].to_vec();
    bytes.extend(random.bytes(length));
    let segment = (8 + length) as u16;
    bytes[l4 + 4..l4 + 6].copy_from_slice(&segment.to_be_bytes());
    bytes[l4 + 6..l4 + 8].fill(0);
    match parsed.family {
        Family::V4 => {
            let whole = (l4 + 8 + length) as u16;
            bytes[2..4].copy_from_slice(&whole.to_be_bytes());
            seal(&mut bytes);
        }
        Family::V6 => {
            let payload = (l4 - HEADER_V6 + 8 + length) as u16;
            bytes[4..6].copy_from_slice(&payload.to_be_bytes());
        }
    }
    bytes
}

/// An ICMP error about a recent packet of whatever kind, so also about a fragment.
fn error(sent: &[(Side, Vec<u8>)], side: Side, random: &mut Random) -> Option<(Side, Vec<u8>)> {
    let (_, last) = sent.last()?;
    let family = Parsed::new(last).ok()?.family;
    let nobody = Address::default();
    let network = Network {
        family,
        source: nobody,
        destination: nobody,
        ttl: 64,
        tos: 0,
        identification: random.half(),
    };
    let (protocol, kind) = match family {
        Family::V4 => (ICMP, random.pick(&[3, 11])),
        Family::V6 => (ICMPV6, random.pick(&[1, 2, 3])),
    };
    let length = random.pick(&[28, 48, 56, 100, 1500]);
    let quote = Quote { back: random.below(3), length, reversed: false };
    let body = Body::Error {
        kind,
        code: random.pick(&[0, 1, 4]),
        rest: [0; 4],
        before: Vec::new(),
        quote,
    };
    let side = if side == Side::A { Side::B } else { Side::A };
    let bytes = Draft::new(side, network, protocol, body).bytes(sent, random);
    // Nobody lives on the links of the router to be told anything.
    let nobody = |address: Address| {
        address.0.starts_with(&ROUTER_V4[..2]) || address.0.starts_with(&ROUTER_V6[..4])
    };
    let parsed = Parsed::new(&bytes).ok()?;
    (!nobody(parsed.source) && !nobody(parsed.destination)).then_some((side, bytes))
}

impl Datagram {
    /// Plain headers only; options and extension headers come now.
    fn of(packet: &[u8], identification: u32, random: &mut Random) -> Option<Self> {
        let parsed = Parsed::new(packet).ok()?;
        let (plain, length) = match parsed.family {
            Family::V4 => (packet[0] == 0x45 && parsed.length as usize == packet.len(), HEADER_V4),
            Family::V6 => (matches!(packet[6], 6 | 17 | 58 | 136), HEADER_V6),
        };
        if !plain || parsed.fragment.is_some() || packet.len() <= length + 8 {
            return None;
        }
        let mut header = packet[..length].to_vec();
        let mut naming = 6;
        let is_for_router = random.chance(3);
        match parsed.family {
            Family::V4 => {
                if random.chance(6) {
                    header.extend(random.pick(&OPTIONS));
                    header[0] = 0x40 | (header.len() / 4) as u8;
                }
                if is_for_router {
                    header[16..20].copy_from_slice(&ROUTER_V4);
                }
            }
            Family::V6 => {
                if random.chance(12) {
                    naming = extend(&mut header, random);
                }
                if is_for_router {
                    header[24..40].copy_from_slice(&ROUTER_V6);
                }
            }
        }
        Some(Self {
            header,
            protocol: parsed.protocol,
            naming,
            data: packet[length..].to_vec(),
            identification,
            is_for_router,
            unfragmentable: random.pick(&[0, 0, 0, 0, 100, 50]),
            congested: random.pick(&[0, 0, 0, 0, 0, 0, 0, 30]),
        })
    }

    /// The fragments, spoilt or not.
    fn pieces(&self, random: &mut Random) -> Vec<Vec<u8>> {
        let mut pieces = cut_data(&self.data, random);
        if random.chance(4) {
            // Twice the same datagram, cut in two ways.
            pieces.extend(cut_data(&self.data, random));
            shuffle(&mut pieces, random);
        }
        spoil(&mut pieces, random);
        if self.is_for_router {
            // It never becomes whole: what a host does with a datagram is not ours to say.
            pieces.retain_mut(|piece| {
                piece.more = true;
                piece.data.truncate(piece.data.len() & !7);
                // Neither is what it does with a beginning that is too short.
                if piece.offset == 0 { piece.data.len() > 20 } else { random.chance(50) }
            });
        }
        pieces.iter().map(|piece| self.fragment(piece, random)).collect()
    }

    fn fragment(&self, piece: &Piece, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.header.clone();
        let four = bytes[0] >> 4 == 4;
        if random.chance(3) {
            bytes[if four { 8 } else { 7 }] = random.pick(&[1, 2, 33]);
        }
        if random.chance(self.congested) {
            let codepoint = random.pick(&[0, 1, 2, 2, 3]);
            bytes[1] |= if four { codepoint } else { codepoint << 4 };
        }
        let units = (piece.offset / 8) as u16;
        if four {
            let length = (bytes.len() + piece.data.len()) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..6].copy_from_slice(&(self.identification as u16).to_be_bytes());
            let alone = u16::from(random.chance(self.unfragmentable)) << 14;
            let flags = units & 0x1fff | u16::from(piece.more) << 13 | alone;
            bytes[6..8].copy_from_slice(&flags.to_be_bytes());
            seal(&mut bytes);
        } else {
            let length = (bytes.len() - HEADER_V6 + 8 + piece.data.len()) as u16;
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
            bytes[self.naming] = FRAGMENT;
            let other = !self.is_for_router && random.chance(2);
            let next = if other { random.pick(&[6, 17, 59, 60]) } else { self.protocol };
            let reserved = if random.chance(3) { random.byte() } else { 0 };
            bytes.extend([next, reserved]);
            let spare = u16::from(reserved & 3) << 1;
            bytes.extend((units << 3 | spare | u16::from(piece.more)).to_be_bytes());
            bytes.extend(self.identification.to_be_bytes());
        }
        bytes.extend(&piece.data);
        bytes
    }
}

/// Puts extension headers behind an IPv6 header; where the field is that names what follows.
fn extend(header: &mut Vec<u8>, random: &mut Random) -> usize {
    let mut naming = 6;
    let chains: [&[u8]; 5] = [
        &[HOP_BY_HOP],
        &[DESTINATION_OPTIONS],
        &[HOP_BY_HOP, DESTINATION_OPTIONS],
        &[ROUTING],
        &[ROUTING, DESTINATION_OPTIONS],
    ];
    for kind in random.pick(&chains) {
        header[naming] = *kind;
        naming = header.len();
        match *kind {
            // No segments left: nobody on the way has to do anything.
            ROUTING => header.extend([0, 0, 0, 0, 0, 0, 0, 0]),
            _ => header.extend([0, 0, 1, 4, 0, 0, 0, 0]),
        }
    }
    naming
}

fn cut_data(data: &[u8], random: &mut Random) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let step = random.pick(&[8, 16, 24, 64, 256, 512, 1280, 1480, 4096, 1 << 16]);
    let mut offset = 0;
    while offset < data.len() {
        let uneven = if random.chance(20) { 8 * (1 + random.below(8)) } else { step };
        let is_last = pieces.len() + 1 == PIECES_MAX;
        let end = if is_last { data.len() } else { (offset + uneven).min(data.len()) };
        pieces.push(Piece { offset, data: data[offset..end].to_vec(), more: end < data.len() });
        offset = end;
    }
    pieces
}

fn shuffle(pieces: &mut [Piece], random: &mut Random) {
    for at in (1..pieces.len()).rev() {
        pieces.swap(at, random.below(at + 1));
    }
}

fn spoil(pieces: &mut Vec<Piece>, random: &mut Random) {
    let at = random.below(pieces.len());
    match random.below(24) {
        0..6 => {}
        6..9 => pieces.reverse(),
        9..12 => pieces.rotate_left(at),
        12 => {
            pieces.remove(at);
        }
        13 | 14 => {
            let again = pieces[at].clone();
            pieces.insert(random.below(pieces.len() + 1), again);
        }
        // Begins in the piece before it.
        15 => pieces[at].offset = pieces[at].offset.saturating_sub(8),
        16 => {
            let length = random.pick(&[0, 1, 7, 8, 9]);
            pieces[at].data.truncate(length);
        }
        17 => pieces[at].more ^= true,
        18 => {
            let anywhere = 8 * random.below(200);
            pieces[at].offset = random.pick(&[65_528, 65_520, anywhere, 60_000]);
        }
        19 => {
            let extra = random.bytes(8);
            pieces[at].data.extend(extra);
        }
        // A small one inside of another, as teardrop sends them.
        20 => {
            let Piece { offset, data, .. } = &pieces[at];
            let inside = 8 * random.below(data.len() / 8 + 1);
            let length = random.pick(&[4, 8, 16, 24]);
            let data = random.bytes(length);
            let drop = Piece { offset: offset + inside, data, more: random.chance(50) };
            pieces.insert(random.below(pieces.len() + 1), drop);
        }
        21 | 22 => shuffle(pieces, random),
        // An end beyond all datagrams.
        _ => {
            let length = random.pick(&[16, 24, 25, 48, 64]);
            let data = random.bytes(length);
            pieces.push(Piece { offset: 65_512, data, more: random.chance(50) });
        }
    }
}

/// Puts the checksum into an IPv4 header.
fn seal(packet: &mut [u8]) {
    let length = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let check = !fold(sum(&packet[..length]));
    packet[10..12].copy_from_slice(&check.to_be_bytes());
}

/// As far as [`renumber`] has to move the next run, for it not to meet what is left of this one.
pub(crate) fn identifications<'a>(packets: impl Iterator<Item = &'a [u8]>) -> u32 {
    let fragments = packets.filter_map(|packet| Parsed::new(packet).ok()?.fragment);
    fragments.map(|fragment| fragment.identification).max().map_or(0, |last| last.wrapping_add(1))
}

/// Moves the identification of a fragment on by `by`: whoever waits for pieces of an earlier run
/// does not take those of this one.
pub(crate) fn renumber(packet: &[u8], by: u32) -> Option<Vec<u8>> {
    let mut bytes = packet.to_vec();
    match packet.first()? >> 4 {
        4 if bytes.len() >= HEADER_V4 => {
            let length = usize::from(bytes[0] & 15) * 4;
            let flags = u16::from_be_bytes([bytes[6], bytes[7]]);
            if flags & 0x3fff == 0 || length < HEADER_V4 || bytes.len() < length {
                return None;
            }
            let old = u16::from_be_bytes([bytes[4], bytes[5]]);
            let right = fold(sum(&bytes[..length])) == 0xffff;
            bytes[4..6].copy_from_slice(&old.wrapping_add(by as u16).to_be_bytes());
            if right {
                seal(&mut bytes);
            }
            Some(bytes)
        }
        6 if bytes.len() >= HEADER_V6 => {
            let mut headers = ipv6::ExtensionHeaders::of(packet);
            let at = headers.find(|header| header.protocol == FRAGMENT)?.offset + 4;
            let old = u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
            bytes[at..at + 4].copy_from_slice(&old.wrapping_add(by).to_be_bytes());
            Some(bytes)
        }
        _ => None,
    }
}
