//! Why a packet is INVALID, reason by reason.

/// A reason in words.
#[derive(Debug)]
pub struct ReasonProse {
    /// Stable code.
    pub code: &'static str,
    /// In a few words.
    pub short: &'static str,
    /// Protocols that it concerns.
    pub protocols: &'static [u8],
}

/// The reasons of tracking.
pub const REASONS: &[ReasonProse] = &[
    ReasonProse {
        code: "seq-over",
        short: "TCP data beyond the window that the receiver has announced",
        protocols: &[6],
    },
    ReasonProse {
        code: "seq-under",
        short: "TCP data acknowledged and left behind long ago",
        protocols: &[6],
    },
    ReasonProse {
        code: "ack-over",
        short: "an acknowledgment of data that was not seen",
        protocols: &[6],
    },
    ReasonProse { code: "ack-under", short: "an acknowledgment too old", protocols: &[6] },
    ReasonProse { code: "invalid-rst", short: "a reset outside the window", protocols: &[6] },
    ReasonProse {
        code: "invalid-state",
        short: "flags that do not fit the state of the connection, such as a SYN-ACK without a SYN; \
                SCTP chunks that begin nothing, or with another tag than agreed",
        protocols: &[6, 132],
    },
    ReasonProse {
        code: "not-syn",
        short: "mid-stream, with nf_conntrack_tcp_loose=0",
        protocols: &[6],
    },
    ReasonProse {
        code: "bad-flags",
        short: "a combination of flags that no sender makes",
        protocols: &[6],
    },
    ReasonProse {
        code: "icmp-error-untracked",
        short: "an ICMP error about a packet of no known connection",
        protocols: &[1, 58],
    },
    ReasonProse {
        code: "icmp-unknown",
        short: "an ICMP type that begins nothing, such as an echo reply nobody asked for",
        protocols: &[1, 58],
    },
    ReasonProse {
        code: "bad-checksum",
        short: "a wrong transport checksum, while nf_conntrack_checksum=1",
        protocols: &[6, 17, 1, 58, 132, 136],
    },
    ReasonProse {
        code: "short",
        short: "a header cut short",
        protocols: &[6, 17, 1, 58, 132, 136],
    },
    ReasonProse {
        code: "malformed",
        short: "a length that contradicts the packet, or SCTP chunks that cannot stand together",
        protocols: &[6, 17, 1, 58, 132, 136],
    },
];
