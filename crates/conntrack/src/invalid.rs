//! Why a packet is INVALID: a stable code and the numbers behind it.

/// The reason codes of tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The transport header is cut.
    Short,
    /// A length or an offset contradicts the packet.
    Malformed,
    /// The transport checksum is wrong.
    BadChecksum,
    /// A combination of TCP flags that no sender makes.
    BadFlags,
    /// Sequence number above the window of the receiver.
    SeqOver,
    /// Sequence number of data acknowledged and left behind.
    SeqUnder,
    /// Acknowledges data not seen yet.
    AckOver,
    /// An acknowledgment too old.
    AckUnder,
    /// The flags do not fit the state of the connection.
    InvalidState,
    /// A reset outside of the window.
    InvalidRst,
    /// In mid-stream, and `nf_conntrack_tcp_loose` is 0.
    NotSyn,
    /// An ICMP type that begins no query.
    IcmpUnknown,
    /// An ICMP error about no tracked connection.
    IcmpErrorUntracked,
    /// The tuple is taken.
    NatClash,
    /// The table is full.
    TableFull,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Short,
        Self::Malformed,
        Self::BadChecksum,
        Self::BadFlags,
        Self::SeqOver,
        Self::SeqUnder,
        Self::AckOver,
        Self::AckUnder,
        Self::InvalidState,
        Self::InvalidRst,
        Self::NotSyn,
        Self::IcmpUnknown,
        Self::IcmpErrorUntracked,
        Self::NatClash,
        Self::TableFull,
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Malformed => "malformed",
            Self::BadChecksum => "bad-checksum",
            Self::BadFlags => "bad-flags",
            Self::SeqOver => "seq-over",
            Self::SeqUnder => "seq-under",
            Self::AckOver => "ack-over",
            Self::AckUnder => "ack-under",
            Self::InvalidState => "invalid-state",
            Self::InvalidRst => "invalid-rst",
            Self::NotSyn => "not-syn",
            Self::IcmpUnknown => "icmp-unknown",
            Self::IcmpErrorUntracked => "icmp-error-untracked",
            Self::NatClash => "nat-clash",
            Self::TableFull => "table-full",
        }
    }
}

/// A reason and its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The reason.
    pub reason: Reason,
    /// How far outside of the edge, in bytes of sequence space, where the reason has an edge.
    pub distance: Option<u32>,
    /// The edge itself (a sequence or acknowledgment number), where the reason has one.
    pub edge: Option<u32>,
}

impl Invalid {
    /// A reason without numbers.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, distance: None, edge: None }
    }
}
