//! The pcap format: one header for the file, one for each packet.

use super::{Fault, Found, RECORD_LENGTH_MAX, Step, input::Input};
use keepstate_packet::{Instant, link::LinkType};

const FILE_HEADER_LENGTH: usize = 24;
const RECORD_HEADER_LENGTH: usize = 16;
/// What the "modified" pcap of old kernels' patches adds to each record's header.
const MODIFIED_EXTRA: usize = 8;

/// The three magic numbers, and what they say of the records.
const MAGICS: [(u32, Variant); 3] = [
    (0xa1b2_c3d4, Variant { nanos_per_tick: 1000, header_length: RECORD_HEADER_LENGTH }),
    (0xa1b2_3c4d, Variant { nanos_per_tick: 1, header_length: RECORD_HEADER_LENGTH }),
    (
        0xa1b2_cd34,
        Variant { nanos_per_tick: 1000, header_length: RECORD_HEADER_LENGTH + MODIFIED_EXTRA },
    ),
];

#[derive(Clone, Copy, Debug)]
struct Variant {
    nanos_per_tick: u64,
    header_length: usize,
}

#[derive(Debug)]
pub(super) struct Classic {
    variant: Variant,
    big_endian: bool,
    link_type: LinkType,
}

impl Classic {
    pub(super) fn new(input: &mut Input) -> Option<Self> {
        let header = input.array::<FILE_HEADER_LENGTH>(0)?;
        let magic = *header.first_chunk()?;
        let find = |magic| MAGICS.iter().find(|(known, _)| *known == magic);
        let (big_endian, variant) = find(u32::from_le_bytes(magic))
            .map(|(_, variant)| (false, *variant))
            .or_else(|| find(u32::from_be_bytes(magic)).map(|(_, variant)| (true, *variant)))?;
        let network = word(*header.last_chunk()?, big_endian);
        input.take(FILE_HEADER_LENGTH);
        // The upper half holds the length of a frame check sequence and reserved bits.
        Some(Self { variant, big_endian, link_type: LinkType((network & 0xffff) as u16) })
    }

    #[inline]
    pub(super) fn step(&mut self, input: &mut Input) -> Step {
        let header_length = self.variant.header_length;
        let Some(header) = input.array::<RECORD_HEADER_LENGTH>(0) else {
            return if input.is_at_end() { Step::End } else { Step::Fault(Fault::Cut) };
        };
        let [s0, s1, s2, s3, t0, t1, t2, t3, c0, c1, c2, c3, o0, o1, o2, o3] = header;
        let word = |bytes| u64::from(word(bytes, self.big_endian));
        let nanos = word([s0, s1, s2, s3])
            .saturating_mul(1_000_000_000)
            .saturating_add(word([t0, t1, t2, t3]) * self.variant.nanos_per_tick);
        let length = word([c0, c1, c2, c3]) as usize;
        if length > RECORD_LENGTH_MAX {
            return Step::Fault(Fault::Length(length as u64));
        }
        if input.peek(header_length + length).is_none() {
            return Step::Fault(Fault::Cut);
        }
        Step::Frame(Found {
            time: Instant(nanos),
            link_type: self.link_type,
            interface: None,
            original_length: word([o0, o1, o2, o3]) as u32,
            offset: header_length,
            length,
            record_length: header_length + length,
        })
    }
}

const fn word(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
