//! Any bytes: link layer, IP and transport parsing, checksums, rewriting, and the packet inside an
//! ICMP error.
#![no_main]

use keepstate_packet::{Parsed, checksum, link, quoted::Quoted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, frame)) = data.split_first() else { return };
    const LINK_TYPES: [u16; 14] = [0, 1, 9, 12, 14, 50, 101, 104, 108, 113, 228, 229, 239, 276];
    let number = LINK_TYPES[usize::from(kind) % LINK_TYPES.len()];
    if let Ok(found) = link::network_packet(link::LinkType(number), frame) {
        let _ = Parsed::new(found.bytes);
    }
    let Ok(parsed) = Parsed::new(frame) else { return };
    assert!(parsed.length as usize <= frame.len(), "the packet is inside the bytes");
    assert!(
        u64::from(parsed.l4_offset) <= u64::from(parsed.length),
        "so is its upper-layer header"
    );
    let _ = checksum::verify(&parsed, frame);
    if let Some(quoted) = Quoted::of(&parsed, frame) {
        let _ = (quoted.ports(), quoted.icmp());
    }
});
