//! Fragments for tests.

use keepstate_packet::{Family, checksum};

/// A piece of a UDP datagram without checksum: its number, offset, length, and whether more follow.
pub(crate) fn piece(family: Family, number: u16, offset: u16, length: u16, more: bool) -> Vec<u8> {
    let mut data = vec![0; usize::from(length)];
    if let (0, Some(header)) = (offset, data.first_chunk_mut::<8>()) {
        *header = [0x10, 0, 0x20, 0, 0, 0, 0, 0];
    }
    let mut bytes = match family {
        Family::V4 => {
            let mut header = vec![0x45, 0];
            header.extend((20 + length).to_be_bytes());
            header.extend(number.to_be_bytes());
            header.extend(((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
            header.extend([64, 17, 0, 0, 10, 0, 0, 1, 198, 51, 100, 2]);
            let sum = checksum::compute(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            header
        }
        Family::V6 => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend((8 + length).to_be_bytes());
            header.extend([44, 64]);
            for subnet in [0xa, 0xb] {
                header.extend([0xfd, 0, 0, subnet, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            }
            header.extend([17, 0]);
            header.extend((offset | u16::from(more)).to_be_bytes());
            header.extend(u32::from(number).to_be_bytes());
            header
        }
    };
    bytes.extend(data);
    bytes
}
