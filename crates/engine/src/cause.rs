//! Why a packet went no further, other than by a rule.

/// A cause; [`Cause::code`] is the stable code of the command's output.
///
/// That tracking found a packet INVALID is no cause: it drops nothing by itself. Its reason stands
/// in [`keepstate_conntrack::Tracked`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Cut: shorter than the IP header, or than what the IP header claims.
    Short,
    /// The IP header, an option or an extension header contradicts itself.
    Malformed,
    /// Wrong IPv4 header checksum.
    BadChecksum,
    /// A source or destination that no router forwards.
    Martian,
    /// No route to the destination, or a group that this host has not joined.
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
    /// It, or the packet that it quotes, cannot be translated; or it leaves by another interface than
    /// the one whose address its connection was given, which ends with it.
    Untranslatable,
    /// A fragment that overlaps others or contradicts their length; they go with it.
    FragOverlap,
    /// No room for a fragment, or a datagram longer than any may be.
    FragLimit,
    /// The other fragments did not come in time.
    FragTimeout,
}

impl Cause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Short,
        Self::Malformed,
        Self::BadChecksum,
        Self::Martian,
        Self::NoRoute,
        Self::TtlExceeded,
        Self::TooBig,
        Self::HelperDropped,
        Self::NatClash,
        Self::TableFull,
        Self::Untranslatable,
        Self::FragOverlap,
        Self::FragLimit,
        Self::FragTimeout,
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Malformed => "malformed",
            Self::BadChecksum => "bad-checksum",
            Self::Martian => "martian",
            Self::NoRoute => "no-route",
            Self::TtlExceeded => "ttl-exceeded",
            Self::TooBig => "too-big",
            Self::HelperDropped => "helper-dropped",
            Self::NatClash => "nat-clash",
            Self::TableFull => "table-full",
            Self::Untranslatable => "untranslatable",
            Self::FragOverlap => "frag-overlap",
            Self::FragLimit => "frag-limit",
            Self::FragTimeout => "frag-timeout",
        }
    }
}
