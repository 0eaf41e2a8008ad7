//! Netfilter log messages as captures hold them (link type 239): a header of four octets, then
//! attributes as `linux/netfilter/nfnetlink_log.h` numbers them. Their length and type are in the
//! byte order of the capturing host, which the file does not tell; the values are in network order.

use crate::read::{be16, be32, octets};
use crate::{Family, Instant};
use alloc::vec::Vec;

const PACKET_HEADER: u16 = 1;
const MARK: u16 = 2;
const TIMESTAMP: u16 = 3;
const INTERFACE_IN: u16 = 4;
const INTERFACE_OUT: u16 = 5;
const HARDWARE_ADDRESS: u16 = 8;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;
const HARDWARE_TYPE: u16 = 15;
const HARDWARE_HEADER: u16 = 16;
const HARDWARE_LENGTH: u16 = 17;

/// Length of the header before the attributes, in bytes.
pub const HEADER_LENGTH: usize = 4;
/// Most attributes read from one message; Linux writes fewer than thirty.
pub const ATTRIBUTES_MAX: usize = 64;

/// What a netfilter log message tells of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nflog<'a> {
    /// Group that it was sent to.
    pub group: u16,
    /// Family of the hook; `None` for families other than IP.
    pub family: Option<Family>,
    /// Hook number (`NF_INET_*`: 0 PREROUTING to 4 POSTROUTING).
    pub hook: Option<u8>,
    /// The packet's mark, when not zero.
    pub mark: Option<u32>,
    /// Index of the interface it came in on.
    pub interface_in: Option<u32>,
    /// Index of the interface it leaves by.
    pub interface_out: Option<u32>,
    /// Source hardware address.
    pub source: Option<[u8; 6]>,
    /// Destination hardware address, of a link like Ethernet.
    pub destination: Option<[u8; 6]>,
    /// When the packet came in, in nanoseconds since the epoch (read to the microsecond).
    pub time: Option<Instant>,
    /// The prefix of the rule that logged it, without the final NUL.
    pub prefix: Option<&'a [u8]>,
    /// The packet from the IP header on, and where it begins in the message.
    pub payload: Option<(usize, &'a [u8])>,
}

impl<'a> Nflog<'a> {
    /// From a captured message; `None` when its header is not whole. Attributes end at the first
    /// that does not fit.
    #[must_use]
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let [family, _version, high, low] = octets(message, 0)?;
        let family = match family {
            2 => Some(Family::V4),
            10 => Some(Family::V6),
            _ => None,
        };
        let order = if fits(message, u16::from_le_bytes) || !fits(message, u16::from_be_bytes) {
            u16::from_le_bytes
        } else {
            u16::from_be_bytes
        };
        let group = u16::from_be_bytes([high, low]);
        let mut read = Self { group, family, ..Self::default() };
        for (kind, at, value) in attributes(message, order) {
            read.take(kind, at, value);
        }
        Some(read)
    }

    fn take(&mut self, kind: u16, at: usize, value: &'a [u8]) {
        match kind {
            PACKET_HEADER => self.hook = value.get(2).copied(),
            MARK => self.mark = be32(value, 0),
            INTERFACE_IN => self.interface_in = be32(value, 0),
            INTERFACE_OUT => self.interface_out = be32(value, 0),
            HARDWARE_ADDRESS if be16(value, 0) == Some(6) => self.source = octets(value, 4),
            HARDWARE_HEADER => self.destination = octets(value, 0),
            TIMESTAMP => {
                let field = |at| octets(value, at).map(u64::from_be_bytes);
                let nanoseconds = |seconds: u64, micros: u64| {
                    seconds.checked_mul(1_000_000_000)?.checked_add(micros.checked_mul(1000)?)
                };
                self.time =
                    field(0).zip(field(8)).and_then(|(s, us)| nanoseconds(s, us)).map(Instant);
            }
            PREFIX => self.prefix = Some(value.strip_suffix(&[0]).unwrap_or(value)),
            PAYLOAD => self.payload = Some((at, value)),
            _ => {}
        }
    }
}

impl Nflog<'_> {
    /// Appends the message as the kernel sends it, its lengths and types in little-endian order. What is
    /// longer than an attribute can be, 65,531 bytes, is cut.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (family, protocol) = match self.family {
            Some(Family::V4) => (2, 0x0800_u16),
            Some(Family::V6) => (10, 0x86dd),
            None => (0, 0),
        };
        out.extend([family, 0]);
        out.extend(self.group.to_be_bytes());
        let [high, low] = protocol.to_be_bytes();
        attribute(out, PACKET_HEADER, &[&[high, low, self.hook.unwrap_or(0), 0]]);
        if let Some(prefix) = self.prefix {
            attribute(out, PREFIX, &[prefix, &[0]]);
        }
        let words = [
            (INTERFACE_IN, self.interface_in),
            (INTERFACE_OUT, self.interface_out),
            (MARK, self.mark),
        ];
        for (kind, value) in words {
            if let Some(value) = value {
                attribute(out, kind, &[&value.to_be_bytes()]);
            }
        }
        if let Some(source) = self.source {
            attribute(out, HARDWARE_ADDRESS, &[&[0, 6, 0, 0], &source, &[0, 0]]);
        }
        if let (Some(source), Some(destination)) = (self.source, self.destination) {
            attribute(out, HARDWARE_TYPE, &[&[0, 1]]);
            attribute(out, HARDWARE_LENGTH, &[&[0, 14]]);
            attribute(out, HARDWARE_HEADER, &[&destination, &source, &[high, low]]);
        }
        if let Some(Instant(nanoseconds)) = self.time {
            let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            attribute(out, TIMESTAMP, &[&seconds.to_be_bytes(), &(rest / 1000).to_be_bytes()]);
        }
        if let Some((_, payload)) = self.payload {
            attribute(out, PAYLOAD, &[payload]);
        }
    }
}

/// Longest value of an attribute.
const VALUE_LENGTH_MAX: usize = u16::MAX as usize - 4;

/// Appends an attribute whose value is these parts together.
fn attribute(out: &mut Vec<u8>, kind: u16, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>().min(VALUE_LENGTH_MAX);
    out.extend((length as u16 + 4).to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend(parts.iter().copied().flatten().take(length));
    out.resize(out.len().next_multiple_of(4), 0);
}

type ByteOrder = fn([u8; 2]) -> u16;

/// Whether the attributes, read in this order, reach the end of the message.
fn fits(message: &[u8], order: ByteOrder) -> bool {
    let end = attributes(message, order).last().map(|(_, at, value)| at + value.len());
    end.is_some_and(|end| message.len() < end + 4)
}

/// Type, offset of the value in the message, value.
fn attributes(message: &[u8], order: ByteOrder) -> impl Iterator<Item = (u16, usize, &[u8])> + '_ {
    let mut at = HEADER_LENGTH;
    let next = move || {
        let length = usize::from(order(octets(message, at)?));
        let kind = order(octets(message, at + 2)?) & 0x7fff;
        let value = message.get(at + 4..at.checked_add(length)?)?;
        let begin = at + 4;
        at += length.next_multiple_of(4);
        Some((kind, begin, value))
    };
    core::iter::from_fn(next).take(ATTRIBUTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_as_the_kernel_sends_it() {
        // What a netlink socket of Linux 6.18 got of a rule in FORWARD, mark 7, in the order of the kernel.
        let header = [2, 0, 0, 2];
        let attributes: [(u16, &[u8]); 10] = [
            (1, &[8, 0, 2, 0]),
            (10, &[0x70, 0x20, 0x71, 0]),
            (4, &[0, 0, 0, 2]),
            (5, &[0, 0, 0, 3]),
            (2, &[0, 0, 0, 7]),
            (8, &[0, 6, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0]),
            (15, &[0, 1]),
            (17, &[0, 14]),
            (16, &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]),
            (3, &[0, 0, 0, 0, 0x6b, 0x0b, 0x83, 0x31, 0, 0, 0, 0, 0, 4, 0x48, 0xb2]),
        ];
        let payload = [0x45, 0, 0, 0x21, 0x12];
        let mut kernel = Vec::from(header);
        for (kind, value) in attributes.into_iter().chain([(9, &payload[..])]) {
            kernel.extend((value.len() as u16 + 4).to_le_bytes());
            kernel.extend(kind.to_le_bytes());
            kernel.extend(value);
            kernel.resize(kernel.len().next_multiple_of(4), 0);
        }
        let ours = Nflog {
            group: 2,
            family: Some(Family::V4),
            hook: Some(2),
            mark: Some(7),
            interface_in: Some(2),
            interface_out: Some(3),
            source: Some([2, 0, 0, 0, 0, 1]),
            destination: Some([2, 0, 0, 0, 0, 2]),
            time: Some(Instant(0x6b0b_8331 * 1_000_000_000 + 0x448b2 * 1000)),
            prefix: Some(b"p q"),
            payload: Some((kernel.len() - 8, &payload)),
        };
        let mut written = Vec::new();
        ours.write(&mut written);
        assert_eq!(written, kernel);
        assert_eq!(Nflog::read(&written), Some(ours));
    }

    #[test]
    fn what_fits_no_attribute_is_cut() {
        let long = [7; 70_000];
        let mut written = Vec::new();
        Nflog { payload: Some((0, &long)), ..Nflog::default() }.write(&mut written);
        let read = Nflog::read(&written).unwrap();
        assert_eq!(read.payload.unwrap().1, &long[..VALUE_LENGTH_MAX]);
        assert_eq!((read.family, read.prefix), (None, None));
    }
}
