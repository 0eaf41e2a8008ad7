//! The pcapng format: sections of blocks, each section with its own byte order and interfaces.
//!
//! Blocks that hold no packet are passed over. Lenient where leniency loses nothing: the length
//! repeated at the end of a block is not compared, and a packet of an interface that was never
//! described is passed over.

use super::{Fault, Found, INTERFACES_MAX, RECORD_LENGTH_MAX, Step, input::Input};
use keepstate_packet::{Instant, InterfaceName, link::LinkType};

/// Type of the section header block: the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const INTERFACE_DESCRIPTION: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and length before the body, length after it.
const BLOCK_LENGTH_MIN: u32 = 12;
const BODY: usize = 8;

const OPTION_IF_NAME: u16 = 2;
const OPTION_IF_TSRESOL: u16 = 9;
const OPTION_IF_TSOFFSET: u16 = 14;

#[derive(Debug)]
pub(super) struct Sections {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Time of the last packet that had one.
    last: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    /// Zero: no limit.
    snap_length: u32,
    name: Option<InterfaceName>,
    resolution: Resolution,
    /// Seconds to add to every time.
    offset: i64,
}

/// Length of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// Whole nanoseconds.
    Nanos(u64),
    /// This many ticks to a nanosecond.
    PerNano(u64),
    /// A second over two to this power.
    Binary(u8),
}

impl Resolution {
    const MICROSECOND: Self = Self::Nanos(1000);

    /// From the option's octet: a negative power of ten, or of two with the top bit set.
    const fn new(octet: u8) -> Self {
        let power = octet & 0x7f;
        if octet & 0x80 != 0 {
            return Self::Binary(power);
        }
        if power <= 9 {
            return Self::Nanos(10u64.pow(9 - power as u32));
        }
        match 10u64.checked_pow(power as u32 - 9) {
            Some(ticks) => Self::PerNano(ticks),
            None => Self::PerNano(u64::MAX),
        }
    }

    #[inline]
    fn nanos(self, ticks: u64) -> u64 {
        match self {
            Self::Nanos(nanos) => ticks.saturating_mul(nanos),
            Self::PerNano(count) => ticks / count,
            Self::Binary(power) => {
                let nanos = u128::from(ticks) * 1_000_000_000;
                u64::try_from(nanos >> power.min(127)).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Interface {
    #[inline]
    fn time(&self, ticks: u64) -> Instant {
        let nanos = self.resolution.nanos(ticks);
        if self.offset == 0 {
            return Instant(nanos);
        }
        let shifted = i128::from(nanos) + i128::from(self.offset) * 1_000_000_000;
        Instant(u64::try_from(shifted.max(0)).unwrap_or(u64::MAX))
    }
}

impl Sections {
    pub(super) const fn new() -> Self {
        Self { big_endian: false, interfaces: Vec::new(), last: Instant(0) }
    }

    #[inline]
    pub(super) fn step(&mut self, input: &mut Input) -> Step {
        loop {
            let Some(head) = input.array::<BODY>(0) else {
                return if input.is_at_end() { Step::End } else { Step::Fault(Fault::Cut) };
            };
            let [t0, t1, t2, t3, l0, l1, l2, l3] = head;
            if [t0, t1, t2, t3] == SECTION_HEADER
                && let Some(fault) = self.section(input)
            {
                return Step::Fault(fault);
            }
            let kind = self.word([t0, t1, t2, t3]);
            let length = self.word([l0, l1, l2, l3]);
            if length < BLOCK_LENGTH_MIN {
                return Step::Fault(Fault::Length(u64::from(length)));
            }
            match self.block(input, kind, length as usize) {
                Ok(Some(found)) => return Step::Frame(found),
                Ok(None) => {
                    if !input.skip(u64::from(length)) {
                        return Step::Fault(Fault::Cut);
                    }
                }
                Err(fault) => return Step::Fault(fault),
            }
        }
    }

    /// A section begins: its byte order, and no interfaces yet.
    fn section(&mut self, input: &mut Input) -> Option<Fault> {
        let Some(magic) = input.array::<4>(BODY) else { return Some(Fault::Cut) };
        self.big_endian = u32::from_be_bytes(magic) == BYTE_ORDER_MAGIC;
        self.interfaces.clear();
        None
    }

    /// Reads one block of `length` bytes, header and trailer included.
    #[inline]
    fn block(
        &mut self,
        input: &mut Input,
        kind: u32,
        length: usize,
    ) -> Result<Option<Found>, Fault> {
        if !matches!(kind, INTERFACE_DESCRIPTION | OLD_PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
            return Ok(None);
        }
        if length > RECORD_LENGTH_MAX {
            return Err(Fault::Length(length as u64));
        }
        let block = input.peek(length).ok_or(Fault::Cut)?;
        let body = block.get(BODY..length - 4).unwrap_or(&[]);
        let found = match kind {
            INTERFACE_DESCRIPTION => {
                self.describe(body);
                None
            }
            SIMPLE_PACKET => self.simple(body),
            _ => self.packet(body, kind),
        };
        Ok(found.map(|found| Found { record_length: length, ..found }))
    }

    fn describe(&mut self, body: &[u8]) {
        let Some([l0, l1, _, _, s0, s1, s2, s3]) = body.first_chunk::<8>() else { return };
        if self.interfaces.len() >= INTERFACES_MAX {
            return;
        }
        let mut interface = Interface {
            link_type: LinkType(self.half([*l0, *l1])),
            snap_length: self.word([*s0, *s1, *s2, *s3]),
            name: None,
            resolution: Resolution::MICROSECOND,
            offset: 0,
        };
        let mut rest = body.get(8..).unwrap_or(&[]);
        while let Some(([c0, c1, n0, n1], after)) = rest.split_first_chunk::<4>() {
            let (code, length) = (self.half([*c0, *c1]), usize::from(self.half([*n0, *n1])));
            let value = after.get(..length).unwrap_or(after);
            match code {
                0 => break,
                OPTION_IF_NAME => {
                    let text = std::str::from_utf8(value).unwrap_or("");
                    interface.name = InterfaceName::new(text.trim_end_matches('\0'));
                }
                OPTION_IF_TSRESOL => {
                    if let Some(octet) = value.first() {
                        interface.resolution = Resolution::new(*octet);
                    }
                }
                OPTION_IF_TSOFFSET => {
                    if let Some(octets) = value.first_chunk::<8>() {
                        interface.offset = self.long(*octets);
                    }
                }
                _ => {}
            }
            rest = after.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
        self.interfaces.push(interface);
    }

    /// An enhanced packet block, or its forerunner, whose interface number has two octets.
    #[inline]
    fn packet(&mut self, body: &[u8], kind: u32) -> Option<Found> {
        const HEADER: usize = 20;
        let [i0, i1, i2, i3, h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, o0, o1, o2, o3] =
            *body.first_chunk::<HEADER>()?;
        let number = if kind == OLD_PACKET {
            u32::from(self.half([i0, i1]))
        } else {
            self.word([i0, i1, i2, i3])
        };
        let interface = self.interfaces.get(number as usize)?;
        let ticks =
            u64::from(self.word([h0, h1, h2, h3])) << 32 | u64::from(self.word([l0, l1, l2, l3]));
        let time = interface.time(ticks);
        let found = Found {
            time,
            link_type: interface.link_type,
            interface: interface.name,
            original_length: self.word([o0, o1, o2, o3]),
            offset: BODY + HEADER,
            length: (self.word([c0, c1, c2, c3]) as usize).min(body.len() - HEADER),
            record_length: 0,
        };
        self.last = time;
        Some(found)
    }

    /// A simple packet block: of the first interface, without a time.
    fn simple(&self, body: &[u8]) -> Option<Found> {
        const HEADER: usize = 4;
        let original_length = self.word(*body.first_chunk::<HEADER>()?);
        let interface = self.interfaces.first()?;
        let snap_length = match interface.snap_length {
            0 => u32::MAX,
            length => length,
        };
        Some(Found {
            time: self.last,
            link_type: interface.link_type,
            interface: interface.name,
            original_length,
            offset: BODY + HEADER,
            length: (original_length.min(snap_length) as usize).min(body.len() - HEADER),
            record_length: 0,
        })
    }

    #[inline]
    const fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    #[inline]
    const fn half(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    const fn long(&self, bytes: [u8; 8]) -> i64 {
        if self.big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) }
    }
}
