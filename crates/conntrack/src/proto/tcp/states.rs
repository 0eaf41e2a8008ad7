//! The state table: state × direction × kind of segment, to be checked by eye.

use super::Kind;
use crate::tuple::Direction;

/// The state of a connection as an observer between both ends sees it. `repr(u8)`, numbered as
/// ctnetlink numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// No segment yet.
    #[default]
    None = 0,
    /// SYN seen.
    SynSent = 1,
    /// SYN-ACK seen.
    SynRecv = 2,
    /// The handshake is complete, or the connection was picked up in mid-stream.
    Established = 3,
    /// One side has sent FIN.
    FinWait = 4,
    /// That FIN is acknowledged.
    CloseWait = 5,
    /// Both sides have sent FIN.
    LastAck = 6,
    /// The last FIN is acknowledged.
    TimeWait = 7,
    /// Reset.
    Close = 8,
    /// Both sides have sent SYN.
    SynSent2 = 9,
}

impl State {
    /// In the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::SynSent,
        Self::SynRecv,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
        Self::SynSent2,
    ];

    /// By its number; none for a number that no state has.
    #[inline]
    #[must_use]
    pub fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// As `conntrack -L` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        }
    }

    /// Whether a full table may throw the connection out early although it is ASSURED: it is
    /// closing.
    #[must_use]
    pub const fn can_early_drop(self) -> bool {
        match self {
            Self::FinWait | Self::CloseWait | Self::LastAck | Self::TimeWait | Self::Close => true,
            Self::None | Self::SynSent | Self::SynRecv | Self::Established | Self::SynSent2 => {
                false
            }
        }
    }

    /// Whether both ends are done: a SYN may begin anew.
    pub(super) const fn is_over(self) -> bool {
        matches!(self, Self::TimeWait | Self::Close)
    }
}

/// What the table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The state that follows, if everything else is right.
    To(State),
    /// Pass it, remember it, change nothing.
    Ignore,
    /// INVALID.
    Invalid,
}

/// Where a segment of this kind leads.
#[allow(
    clippy::indexing_slicing,
    reason = "the table has a place for every value of the three enums"
)]
#[inline]
#[must_use]
pub const fn step(direction: Direction, state: State, kind: Kind) -> Step {
    TABLE[direction as usize][state as usize][kind as usize]
}

const NO: Step = Step::Invalid;
const IG: Step = Step::Ignore;
const SS: Step = Step::To(State::SynSent);
const SR: Step = Step::To(State::SynRecv);
const ES: Step = Step::To(State::Established);
const FW: Step = Step::To(State::FinWait);
const CW: Step = Step::To(State::CloseWait);
const LA: Step = Step::To(State::LastAck);
const TW: Step = Step::To(State::TimeWait);
const CL: Step = Step::To(State::Close);
const S2: Step = Step::To(State::SynSent2);

/// Direction, state, kind.
#[rustfmt::skip]
const TABLE: [[[Step; 6]; 10]; 2] = [
    // Original: SYN SYN-ACK FIN ACK RST none
    [
        [SS, NO, NO, ES, NO, NO], // NONE: a connection begins here or is picked up
        [SS, NO, NO, NO, CL, NO], // SYN_SENT
        [IG, SR, FW, ES, CL, NO], // SYN_RECV
        [IG, NO, FW, ES, CL, NO], // ESTABLISHED
        [IG, NO, LA, CW, CL, NO], // FIN_WAIT
        [IG, NO, LA, CW, CL, NO], // CLOSE_WAIT
        [IG, NO, LA, TW, CL, NO], // LAST_ACK
        [SS, NO, TW, TW, CL, NO], // TIME_WAIT
        [SS, NO, CL, CL, CL, NO], // CLOSE
        [S2, SR, NO, NO, CL, NO], // SYN_SENT2
    ],
    // Reply: SYN SYN-ACK FIN ACK RST none
    [
        [NO, NO, NO, NO, NO, NO], // NONE: a reply begins nothing
        [S2, SR, NO, IG, CL, NO], // SYN_SENT
        [NO, IG, FW, SR, CL, NO], // SYN_RECV
        [NO, IG, FW, ES, CL, NO], // ESTABLISHED
        [NO, IG, LA, CW, CL, NO], // FIN_WAIT
        [NO, IG, LA, CW, CL, NO], // CLOSE_WAIT
        [NO, IG, LA, TW, CL, NO], // LAST_ACK
        [SS, IG, TW, TW, CL, NO], // TIME_WAIT
        [NO, IG, CL, CL, CL, NO], // CLOSE
        [S2, SR, NO, IG, CL, NO], // SYN_SENT2
    ],
];
