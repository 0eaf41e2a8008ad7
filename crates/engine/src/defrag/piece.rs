//! A fragment taken apart.

use super::{FRAGMENT_HEADER, Key};
use crate::cause::Cause;
use crate::route::InterfaceIndex;
use keepstate_packet::{Family, L4, Parsed, ipv4, ipv6};

/// A fragment taken apart.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) key: Key,
    /// Without padding, from the IP header on.
    pub(super) packet: &'a [u8],
    /// Where its data begins.
    pub(super) data_at: usize,
    pub(super) fragment_header: Option<FragmentHeader>,
    /// Where its data belongs in the datagram's.
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) unfragmentable: bool,
    /// As it came, padding and all.
    pub(super) frame_length: usize,
    pub(super) interface: Option<InterfaceIndex>,
}

/// Where an IPv6 fragment header stands, and where the field that names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FragmentHeader {
    pub(super) offset: usize,
    pub(super) naming: usize,
}

impl<'a> Piece<'a> {
    /// Takes a fragment apart.
    ///
    /// # Errors
    /// `None` when it is none that can be gathered, or why it is discarded.
    pub(super) fn new(
        parsed: &Parsed,
        bytes: &'a [u8],
        interface: Option<InterfaceIndex>,
    ) -> Result<Self, Option<Cause>> {
        let packet = parsed.packet(bytes);
        let mut piece = match parsed.family {
            Family::V4 => Self::of_v4(parsed, packet),
            Family::V6 => Self::of_v6(parsed, packet),
        }?;
        piece.frame_length = bytes.len();
        piece.interface = interface;
        piece.key.sent = interface.is_none();
        let group_or_link = matches!(parsed.destination.0, [0xff, ..] | [0xfe, 0x80..=0xbf, ..]);
        if parsed.family == Family::V6 && group_or_link {
            piece.key.interface = interface;
        }
        Ok(piece)
    }

    pub(super) fn data(&self) -> &'a [u8] {
        self.packet.get(self.data_at..).unwrap_or(&[])
    }

    /// The codepoint of explicit congestion notification (RFC 3168, 5).
    pub(super) fn congestion(&self) -> u8 {
        let class = match self.key.family {
            Family::V4 => self.packet.get(1).copied(),
            Family::V6 => self.packet.get(1).map(|octet| octet >> 4),
        };
        class.unwrap_or(0) & 3
    }

    fn of_v4(parsed: &Parsed, packet: &'a [u8]) -> Result<Self, Option<Cause>> {
        let fragment = parsed.fragment.ok_or(None)?;
        Ok(Self {
            key: Key { protocol: parsed.protocol, ..Key::new(parsed, fragment.identification) },
            packet,
            data_at: usize::from(parsed.header_length),
            fragment_header: None,
            offset: usize::from(fragment.offset),
            more: fragment.more,
            unfragmentable: ipv4::dont_fragment(packet),
            frame_length: 0,
            interface: None,
        })
    }

    fn of_v6(parsed: &Parsed, packet: &'a [u8]) -> Result<Self, Option<Cause>> {
        // A payload length of zero stands for a jumbo payload (RFC 2675), which has no fragments.
        if packet.get(4..6) == Some(&[0, 0]) {
            return Err(None);
        }
        let mut naming = 6;
        let found = ipv6::ExtensionHeaders::of(packet).find(|header| {
            let is_it = header.protocol == ipv6::FRAGMENT;
            naming = if is_it { naming } else { header.offset };
            is_it
        });
        let header = found.ok_or(Some(Cause::Short))?;
        let data_at = header.offset + FRAGMENT_HEADER;
        let fragment = ipv6::fragment(packet, &header).ok_or(Some(Cause::Short))?;
        if packet.len() < data_at {
            let is_looked_at = fragment.offset != 0 || Self::has_no_upper_layer(parsed);
            return Err(is_looked_at.then_some(Cause::Short));
        }
        let piece = Self {
            key: Key::new(parsed, fragment.identification),
            packet,
            data_at,
            fragment_header: Some(FragmentHeader { offset: header.offset, naming }),
            offset: usize::from(fragment.offset),
            more: fragment.more,
            unfragmentable: false,
            frame_length: 0,
            interface: None,
        };
        if piece.lacks_header(parsed) { Err(None) } else { Ok(piece) }
    }

    /// A first fragment has to hold all headers (RFC 8200, 4.5); Linux lets one go by that does not,
    /// and as well one whose own fragment header is cut behind the offset.
    fn lacks_header(&self, parsed: &Parsed) -> bool {
        let least = match parsed.protocol {
            _ if Self::has_no_upper_layer(parsed) => 0,
            6 => 20,
            17 | 58 => 8,
            _ => 1,
        };
        self.offset == 0 && (parsed.length - parsed.l4_offset) < least
    }

    /// Behind the fragment header its chain ends, or another fragment header says so.
    const fn has_no_upper_layer(parsed: &Parsed) -> bool {
        matches!(parsed.l4, L4::NoNextHeader | L4::BrokenChain | L4::Fragment)
    }
}
