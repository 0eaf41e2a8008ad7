//! Verdicts and steps. A verdict ends the walk of a packet through a table; a step stays inside
//! its chains and never leaves this crate's evaluator.

/// How a table's walk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The packet goes on to the next stage.
    Accept,
    /// It ends here.
    Drop,
    /// It ends here and the sender is told (`REJECT`).
    Reject(RejectWith),
    /// It ends here: a program that listens to this queue decides (`NFQUEUE`).
    Queue(u16),
    /// It ends here, and the connection is opened in the place of its ends (`SYNPROXY`).
    Synproxy(Announced),
}

/// What `SYNPROXY` answers a client in the name of its server. Small: every verdict has room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Announced {
    mss: u16,
    window_scale: u8,
    /// The bits below.
    given: u8,
}

impl Announced {
    const MSS: u8 = 1 << 0;
    const WINDOW_SCALE: u8 = 1 << 1;
    const SACK_PERMITTED: u8 = 1 << 2;
    const TIMESTAMP: u8 = 1 << 3;
    const ECN: u8 = 1 << 4;

    /// Takes up the client's offer of segments of at most so many bytes (`--mss`).
    #[must_use]
    pub const fn with_mss(self, mss: u16) -> Self {
        Self { mss, given: self.given | Self::MSS, ..self }
    }

    /// Takes up the client's offer to scale windows, by this shift (`--wscale`).
    #[must_use]
    pub const fn with_window_scale(self, window_scale: u8) -> Self {
        Self { window_scale, given: self.given | Self::WINDOW_SCALE, ..self }
    }

    /// Takes up the client's offer of selective acknowledgements, timestamps, congestion notification
    /// (`--sack-perm`, `--timestamp`, `--ecn`).
    #[must_use]
    pub const fn with(self, sack_permitted: bool, timestamp: bool, ecn: bool) -> Self {
        let sack_permitted = if sack_permitted { Self::SACK_PERMITTED } else { 0 };
        let timestamp = if timestamp { Self::TIMESTAMP } else { 0 };
        let ecn = if ecn { Self::ECN } else { 0 };
        Self { given: self.given | sack_permitted | timestamp | ecn, ..self }
    }

    const fn has(self, bit: u8) -> bool {
        self.given & bit != 0
    }

    /// `--mss`, bytes.
    #[must_use]
    pub fn mss(self) -> Option<u16> {
        self.has(Self::MSS).then_some(self.mss)
    }

    /// `--wscale`, a shift.
    #[must_use]
    pub fn window_scale(self) -> Option<u8> {
        self.has(Self::WINDOW_SCALE).then_some(self.window_scale)
    }

    /// `--sack-perm`.
    #[must_use]
    pub const fn sack_permitted(self) -> bool {
        self.has(Self::SACK_PERMITTED)
    }

    /// `--timestamp`.
    #[must_use]
    pub const fn timestamp(self) -> bool {
        self.has(Self::TIMESTAMP)
    }

    /// `--ecn`.
    #[must_use]
    pub const fn ecn(self) -> bool {
        self.has(Self::ECN)
    }
}

const _: () = assert!(size_of::<Step>() <= 8, "a step fits into a register");

/// What `REJECT --reject-with` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectWith {
    /// ICMP destination unreachable with this code.
    Icmp(u8),
    /// ICMPv6 destination unreachable with this code.
    Icmpv6(u8),
    /// ICMPv6 parameter problem, "erroneous header field" (RFC 4443, 3.4): the byte of the packet at
    /// which it begins (`SNPT`, `DNPT`).
    Icmpv6HeaderField(u8),
    /// A TCP reset.
    TcpReset,
}

/// What a rule's target does inside the chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on with the next rule.
    Continue,
    /// Into a user chain, to come back.
    Jump(crate::model::ChainIndex),
    /// Into a user chain, not to come back here.
    Goto(crate::model::ChainIndex),
    /// Back to the caller, or to the policy.
    Return,
    /// Done.
    Verdict(Verdict),
}

/// What a match says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It matches.
    Yes,
    /// It does not.
    No,
    /// It depends on a fact that neither the packet nor the host model holds. The rule is passed
    /// over as if it did not match, and the walk says so.
    Unknown,
    /// The packet contradicts itself (a header that is cut or lies about its length): the walk
    /// ends and the packet is dropped, as netfilter's `hotdrop` does.
    Hotdrop,
}

impl Answer {
    /// Of two conditions that both have to hold: a "no" is one whatever the other would be.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Hotdrop, _) | (_, Self::Hotdrop) => Self::Hotdrop,
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

impl From<bool> for Answer {
    fn from(matched: bool) -> Self {
        if matched { Self::Yes } else { Self::No }
    }
}
