//! Checksums that a sender left to its network card: the field holds the sum of the pseudo-header,
//! and the card would have added the rest.

use keepstate_packet::checksum::Sum;

/// Finishes such a checksum: everything from `start` is summed, the field (`field` bytes further
/// on) included, and the complement replaces it. Gives what stood there before; `None` when the
/// field is not inside the packet.
pub(crate) fn finish(packet: &mut [u8], start: usize, field: usize) -> Option<[u8; 2]> {
    let covered = packet.get_mut(start..)?;
    let checksum = match Sum::ZERO.bytes(covered).checksum() {
        // Zero would say that there is none (RFC 768); in the other protocols both mean the same.
        0 => 0xffff,
        checksum => checksum,
    };
    let place = covered.get_mut(field..)?.first_chunk_mut::<2>()?;
    Some(std::mem::replace(place, checksum.to_be_bytes()))
}

/// Puts back what [`finish`] replaced.
pub(crate) fn restore(packet: &mut [u8], start: usize, field: usize, before: [u8; 2]) {
    if let Some(place) = packet.get_mut(start + field..).and_then(<[u8]>::first_chunk_mut) {
        *place = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepstate_packet::{
        Parsed,
        checksum::{Verified, verify},
    };

    #[test]
    fn an_offloaded_checksum_is_finished_and_put_back() {
        let mut packet = [
            0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
            0x30, 0x39, 0, 53, 0, 11, 0, 0, b'a', b'b', b'c', // UDP
        ];
        let parsed = Parsed::new(&packet).expect("a packet");
        let pseudo = Sum::pseudo_header(&parsed, 17, 11).folded().to_be_bytes();
        packet[26..28].copy_from_slice(&pseudo);
        let parsed = Parsed::new(&packet).expect("a packet");
        assert_eq!(verify(&parsed, &packet), Verified::Offloaded);
        let before = finish(&mut packet, 20, 6);
        assert_eq!(before, Some(pseudo));
        let parsed = Parsed::new(&packet).expect("a packet");
        assert_eq!(verify(&parsed, &packet), Verified::Valid);
        restore(&mut packet, 20, 6, pseudo);
        assert_eq!(packet[26..28], pseudo);
        assert_eq!(finish(&mut packet, 26, 5), None);
        assert_eq!(finish(&mut packet, 99, 0), None);
    }
}
