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

/// What `SYNPROXY` answers a client in the name of its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Announced {
    /// `--mss`, bytes; without it, and so on: what the client offers is not taken up.
    pub mss: Option<u16>,
    /// `--wscale`, a shift.
    pub window_scale: Option<u8>,
    /// `--sack-perm`.
    pub sack_permitted: bool,
    /// `--timestamp`.
    pub timestamp: bool,
    /// `--ecn`.
    pub ecn: bool,
}

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
