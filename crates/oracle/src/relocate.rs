//! Captures made on loopback, moved to where a router would let them pass.
//!
//! Addresses change, the checksums over them follow, also those of what an ICMP error quotes; one
//! that was wrong stays wrong by as much. Addresses that applications write to each other stay.

use keepstate_engine::Network;
use keepstate_packet::{Address, Family, checksum::Change};

/// Addresses of `from` become those of `to`, the bits beyond its prefix the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where addresses are taken from.
    pub from: Network,
    /// Where they go; of the same family.
    pub to: Network,
}

/// Moves the addresses of a packet.
pub(crate) fn relocate(packet: &mut [u8], moves: &[Move]) {
    let Some(header) = Header::at(packet, 0) else { return };
    let Some(change) = header.shift(packet, moves) else { return };
    if !header.begins {
        return;
    }
    let l4 = header.l4;
    match header.protocol {
        6 => follow(packet, l4 + 16, |sum| change.apply(sum)),
        17 | 136 => follow(packet, l4 + 6, |sum| change.apply_udp(sum)),
        58 => follow(packet, l4 + 2, |sum| change.apply(sum)),
        1 if packet.get(l4).is_some_and(|kind| matches!(kind, 3 | 4 | 5 | 11 | 12)) => {
            let before = packet.to_vec();
            let Some(quoted) = Header::at(packet, l4 + 8) else { return };
            if quoted.shift(packet, moves).is_some() {
                let even = before.len() & !1;
                let change = Change::NONE.bytes(&before[l4 + 8..even], &packet[l4 + 8..even]);
                follow(packet, l4 + 2, |sum| change.apply(sum));
            }
        }
        _ => {}
    }
}

/// As much of an IP header as moving needs.
struct Header {
    at: usize,
    family: Family,
    protocol: u8,
    /// Where the upper-layer header is, unless extension headers stand before it.
    l4: usize,
    /// Not a later fragment.
    begins: bool,
}

impl Header {
    fn at(packet: &[u8], at: usize) -> Option<Self> {
        let header = packet.get(at..)?;
        match header.first()? >> 4 {
            4 if header.len() >= 20 => Some(Self {
                at,
                family: Family::V4,
                protocol: header[9],
                l4: at + usize::from(header[0] & 15) * 4,
                begins: u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0,
            }),
            6 if header.len() >= 40 => Some(Self {
                at,
                family: Family::V6,
                protocol: header[6],
                l4: at + 40,
                begins: true,
            }),
            _ => None,
        }
    }

    /// Moves both addresses and lets the checksum of the header follow; `None` when neither moves.
    fn shift(&self, packet: &mut [u8], moves: &[Move]) -> Option<Change> {
        let (first, length) = if self.family == Family::V4 { (12, 4) } else { (8, 16) };
        let range = self.at + first..self.at + first + 2 * length;
        let old = packet[range.clone()].to_vec();
        for address in packet[range.clone()].chunks_mut(length) {
            shift(self.family, address, moves);
        }
        let change = Change::NONE.bytes(&old, &packet[range.clone()]);
        if self.family == Family::V4 {
            follow(packet, self.at + 10, |sum| change.apply(sum));
        }
        (old != packet[range]).then_some(change)
    }
}

fn shift(family: Family, octets: &mut [u8], moves: &[Move]) {
    let mut address = Address::default();
    address.0[..octets.len()].copy_from_slice(octets);
    let is_in = |one: &&Move| one.from.family == family && one.from.contains(address);
    let Some(one) = moves.iter().find(is_in) else { return };
    for (n, octet) in octets.iter_mut().enumerate() {
        let kept = usize::from(one.from.prefix).saturating_sub(n * 8).min(8);
        let mask = 0xff_u8.checked_shr(kept as u32).unwrap_or(0);
        *octet = *octet & mask | one.to.address.0[n] & !mask;
    }
}

fn follow(packet: &mut [u8], at: usize, changed: impl FnOnce(u16) -> u16) {
    if let Some(field) = packet.get_mut(at..at + 2) {
        let sum = changed(u16::from_be_bytes([field[0], field[1]]));
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepstate_packet::{Parsed, checksum};

    fn loopback_to_ten() -> [Move; 1] {
        let network = |first| Network {
            family: Family::V4,
            address: Address::v4([first, 0, 0, 0]),
            prefix: 8,
        };
        [Move { from: network(127), to: network(10) }]
    }

    #[test]
    fn checksums_follow_the_addresses() {
        let mut packet = vec![0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 127, 1, 2, 3, 192, 0, 2, 1];
        packet.extend([0x13, 0x88, 0, 53, 0, 10, 0, 0, 7, 7]);
        checksum::fill(&Parsed::new(&packet).unwrap(), &mut packet);
        relocate(&mut packet, &loopback_to_ten());
        let parsed = Parsed::new(&packet).unwrap();
        assert_eq!(parsed.source, Address::v4([10, 1, 2, 3]));
        assert_eq!(parsed.destination, Address::v4([192, 0, 2, 1]));
        assert!(checksum::ipv4_header_valid(&packet));
        assert_eq!(checksum::verify(&parsed, &packet), checksum::Verified::Valid);
    }

    #[test]
    fn what_is_quoted_moves_as_well() {
        let mut packet = vec![0x45, 0, 0, 56, 0, 1, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2];
        packet.extend([3, 3, 0, 0, 0, 0, 0, 0]);
        packet.extend([0x45, 0, 0, 28, 0, 2, 0, 0, 64, 17, 0, 0, 127, 0, 0, 2, 127, 0, 0, 1]);
        packet.extend([0x13, 0x88, 0, 53, 0, 8, 0, 0]);
        checksum::fill_ipv4_header(&mut packet[28..]);
        checksum::fill(&Parsed::new(&packet).unwrap(), &mut packet);
        relocate(&mut packet, &loopback_to_ten());
        let parsed = Parsed::new(&packet).unwrap();
        assert_eq!(packet[40..44], [10, 0, 0, 2]);
        assert!(checksum::ipv4_header_valid(&packet[28..]));
        assert_eq!(checksum::verify(&parsed, &packet), checksum::Verified::Valid);
    }
}
