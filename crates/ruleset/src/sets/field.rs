//! The fields that keys are made of.

use super::Key;
use crate::evaluate::Traversal;
use crate::matches::conntrack::state_bit;
use crate::matches::multiport;
use keepstate_packet::{Family, InterfaceName};

/// A field of a packet, or of what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `ip saddr`, `ip6 saddr`.
    Source(Family),
    /// `ip daddr`, `ip6 daddr`.
    Destination(Family),
    /// `meta l4proto`.
    Protocol,
    /// `th sport`.
    SourcePort,
    /// `th dport`.
    DestinationPort,
    /// `meta iifname`.
    InInterface,
    /// `meta oifname`.
    OutInterface,
    /// `meta mark`.
    Mark,
    /// `ct state`: one bit of [`crate::matches::conntrack`].
    CtState,
}

impl Field {
    /// As nftables calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source(Family::V4) => "ip saddr",
            Self::Source(Family::V6) => "ip6 saddr",
            Self::Destination(Family::V4) => "ip daddr",
            Self::Destination(Family::V6) => "ip6 daddr",
            Self::Protocol => "meta l4proto",
            Self::SourcePort => "th sport",
            Self::DestinationPort => "th dport",
            Self::InInterface => "meta iifname",
            Self::OutInterface => "meta oifname",
            Self::Mark => "meta mark",
            Self::CtState => "ct state",
        }
    }

    /// Bytes of it in a key.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Source(Family::V4) | Self::Destination(Family::V4) | Self::Mark => 4,
            Self::Source(Family::V6)
            | Self::Destination(Family::V6)
            | Self::InInterface
            | Self::OutInterface => 16,
            Self::SourcePort | Self::DestinationPort => 2,
            Self::Protocol | Self::CtState => 1,
        }
    }

    /// Appends the packet's value to a key; `None` when the packet has none.
    pub(super) fn load(self, traversal: &Traversal<'_>, key: &mut Key) -> Option<()> {
        let packet = &*traversal.packet;
        let address = |family: Family, octets: &[u8; 16], key: &mut Key| {
            if packet.family != family {
                return None;
            }
            match family {
                Family::V4 => key.push(octets.first_chunk::<4>()?),
                Family::V6 => key.push(octets),
            }
        };
        let interface = |name: Option<&InterfaceName>, key: &mut Key| {
            key.push(name.copied().unwrap_or_default().octets())
        };
        let ports = || {
            let later = crate::evaluate::is_later_fragment(packet);
            if later { None } else { multiport::ports(traversal) }
        };
        match self {
            Self::Source(family) => address(family, &packet.source.0, key),
            Self::Destination(family) => address(family, &packet.destination.0, key),
            Self::Protocol => key.push(&[packet.protocol]),
            Self::SourcePort => key.push(&ports()?.0.to_be_bytes()),
            Self::DestinationPort => key.push(&ports()?.1.to_be_bytes()),
            Self::InInterface => interface(traversal.in_interface, key),
            Self::OutInterface => interface(traversal.out_interface, key),
            Self::Mark => key.push(&traversal.mark.to_be_bytes()),
            Self::CtState => key.push(&[state_bit(traversal.tracked)]),
        }
    }
}
