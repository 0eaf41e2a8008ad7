//! Checksums that a sender left to its network card: the field holds the sum of the pseudo-header,
//! and the card would have added the rest.

use crate::batch::{Batch, Unfinished};
use crate::sys::packet::OFFLOAD_LENGTH;
use keepstate_packet::{L4, Parsed, checksum::Sum};

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
pub(crate) const NEEDS_CHECKSUM: u8 = 1;

/// Finishes the checksum of the frame last added, if its sender left it to a device.
pub(crate) fn finish_last(batch: &mut Batch, offload: [u8; OFFLOAD_LENGTH]) {
    let [flags, _, _, _, _, _, start0, start1, field0, field1] = offload;
    if flags & NEEDS_CHECKSUM == 0 {
        return;
    }
    let start = usize::from(u16::from_ne_bytes([start0, start1]));
    let field = usize::from(u16::from_ne_bytes([field0, field1]));
    batch.finish_last(|frame| {
        let before = finish(frame, start, field)?;
        Some(Unfinished { start: start as u32, field: field as u32, before })
    });
}

/// Bytes, from the IP header on, of the longest packet that a device makes of this one, which its
/// sender has left to it to cut into segments; 0 for one that stays whole.
pub(crate) fn segment(offload: [u8; OFFLOAD_LENGTH], packet: &[u8]) -> u16 {
    let [_, kind, _, _, size0, size1, ..] = offload;
    let size = u16::from_ne_bytes([size0, size1]);
    if kind == 0 || size == 0 {
        return 0;
    }
    let Ok(parsed) = Parsed::new(packet) else { return 0 };
    let header = match &parsed.l4 {
        L4::Tcp(header) => header.header_length,
        L4::Udp(_) => 8,
        _ => return 0,
    };
    let headers = parsed.l4_offset + u32::from(header);
    let length = (headers + u32::from(size)).min(parsed.length);
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The sum of a packet's pseudo-header, as it stands in a checksum field that is to be finished, when
/// what is to be summed (`start` bytes from the IP header on) is the packet's own upper layer.
pub(crate) fn pseudo_header(packet: &[u8], start: usize) -> Option<[u8; 2]> {
    let parsed = Parsed::new(packet).ok()?;
    let upper = parsed.length.checked_sub(parsed.l4_offset)?;
    let own = parsed.l4_offset as usize == start && matches!(parsed.l4, L4::Tcp(_) | L4::Udp(_));
    own.then(|| Sum::pseudo_header(&parsed, parsed.protocol, upper).folded().to_be_bytes())
}

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

/// Leaves to a device again to cut a packet into segments and to finish their checksums, if that had
/// been left to it.
pub(crate) fn leave_segmented(offload: [u8; OFFLOAD_LENGTH], packet: &mut [u8]) -> bool {
    let [flags, kind, _, _, _, _, _, _, field0, field1] = offload;
    if kind == 0 || flags & NEEDS_CHECKSUM == 0 {
        return false;
    }
    let Ok(parsed) = Parsed::new(packet) else { return false };
    let start = parsed.l4_offset as usize;
    let Some(sum) = pseudo_header(packet, start) else { return false };
    restore(packet, start, usize::from(u16::from_ne_bytes([field0, field1])), sum);
    true
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
