//! Why a packet went no further, other than by a rule.

use keepstate_conntrack::Invalid;

/// A cause; [`Cause::code`] is the stable code of the command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Tracking found it INVALID (which drops nothing by itself).
    Invalid(Invalid),
    /// Not a whole IP packet, or a wrong IPv4 header checksum.
    Malformed,
    /// Wrong IPv4 header checksum.
    BadChecksum,
    /// A source or destination that no router forwards.
    Martian,
    /// No route to the destination.
    NoRoute,
    /// TTL or hop limit used up.
    TtlExceeded,
    /// Larger than the MTU of the way out, and not to be fragmented.
    TooBig,
    /// The connection's helper refused it.
    HelperDropped,
    /// Another connection took the tuple.
    NatClash,
    /// The connection table is full.
    TableFull,
}

impl Cause {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid(invalid) => invalid.reason.code(),
            Self::Malformed => "malformed",
            Self::BadChecksum => "bad-checksum",
            Self::Martian => "martian",
            Self::NoRoute => "no-route",
            Self::TtlExceeded => "ttl-exceeded",
            Self::TooBig => "too-big",
            Self::HelperDropped => "helper-dropped",
            Self::NatClash => "nat-clash",
            Self::TableFull => "table-full",
        }
    }
}
