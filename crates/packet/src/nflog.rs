//! Netfilter log messages as captures hold them (link type 239): a header of four octets, then
//! attributes as `linux/netfilter/nfnetlink_log.h` numbers them. Their length and type are in the
//! byte order of the capturing host, which the file does not tell; the values are in network order.

use crate::Family;
use crate::read::{be16, be32, octets};

const PACKET_HEADER: u16 = 1;
const MARK: u16 = 2;
const INTERFACE_IN: u16 = 4;
const INTERFACE_OUT: u16 = 5;
const HARDWARE_ADDRESS: u16 = 8;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;

/// Length of the header before the attributes, in bytes.
pub const HEADER_LENGTH: usize = 4;
/// Most attributes read from one message; Linux writes fewer than thirty.
pub const ATTRIBUTES_MAX: usize = 64;

/// What a netfilter log message tells of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nflog<'a> {
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
        let [family, _version, _, _] = octets(message, 0)?;
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
        let mut read = Self { family, ..Self::default() };
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
            PREFIX => self.prefix = Some(value.strip_suffix(&[0]).unwrap_or(value)),
            PAYLOAD => self.payload = Some((at, value)),
            _ => {}
        }
    }
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
