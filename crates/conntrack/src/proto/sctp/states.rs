//! The state table: state × direction × kind of chunk, to be checked by eye.

use crate::tuple::Direction;
use keepstate_packet::sctp::chunk;

/// The state of an association as an observer between both ends sees it. `repr(u8)`, numbered as
/// ctnetlink numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// No packet yet.
    #[default]
    None = 0,
    /// INIT seen, or the association has ended.
    Closed = 1,
    /// INIT ACK seen.
    CookieWait = 2,
    /// COOKIE ECHO seen.
    CookieEchoed = 3,
    /// COOKIE ACK seen, or a HEARTBEAT that was answered.
    Established = 4,
    /// SHUTDOWN seen, from the side that opened.
    ShutdownSent = 5,
    /// SHUTDOWN seen, from the other side.
    ShutdownRecd = 6,
    /// SHUTDOWN ACK seen.
    ShutdownAckSent = 7,
    /// HEARTBEAT seen, and nothing else before it: another path of an association.
    HeartbeatSent = 8,
}

impl State {
    /// In the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Closed,
        Self::CookieWait,
        Self::CookieEchoed,
        Self::Established,
        Self::ShutdownSent,
        Self::ShutdownRecd,
        Self::ShutdownAckSent,
        Self::HeartbeatSent,
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
            Self::Closed => "CLOSED",
            Self::CookieWait => "COOKIE_WAIT",
            Self::CookieEchoed => "COOKIE_ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "SHUTDOWN_SENT",
            Self::ShutdownRecd => "SHUTDOWN_RECD",
            Self::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            Self::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }
}

/// A chunk as the table knows it: its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// INIT.
    Init = 0,
    /// INIT ACK.
    InitAck = 1,
    /// COOKIE ECHO.
    CookieEcho = 2,
    /// COOKIE ACK.
    CookieAck = 3,
    /// SHUTDOWN.
    Shutdown = 4,
    /// SHUTDOWN ACK.
    ShutdownAck = 5,
    /// SHUTDOWN COMPLETE.
    ShutdownComplete = 6,
    /// ABORT.
    Abort = 7,
    /// ERROR.
    Error = 8,
    /// HEARTBEAT.
    Heartbeat = 9,
    /// HEARTBEAT ACK.
    HeartbeatAck = 10,
    /// DATA: no state changes for it.
    Data = 11,
    /// SACK and all others: no state changes for them.
    Other = 12,
}

impl Kind {
    /// In the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Init,
        Self::InitAck,
        Self::CookieEcho,
        Self::CookieAck,
        Self::Shutdown,
        Self::ShutdownAck,
        Self::ShutdownComplete,
        Self::Abort,
        Self::Error,
        Self::Heartbeat,
        Self::HeartbeatAck,
        Self::Data,
        Self::Other,
    ];

    /// Of a chunk's type.
    #[must_use]
    pub const fn of(kind: u8) -> Self {
        match kind {
            chunk::INIT => Self::Init,
            chunk::INIT_ACK => Self::InitAck,
            chunk::COOKIE_ECHO => Self::CookieEcho,
            chunk::COOKIE_ACK => Self::CookieAck,
            chunk::SHUTDOWN => Self::Shutdown,
            chunk::SHUTDOWN_ACK => Self::ShutdownAck,
            chunk::SHUTDOWN_COMPLETE => Self::ShutdownComplete,
            chunk::ABORT => Self::Abort,
            chunk::ERROR => Self::Error,
            chunk::HEARTBEAT => Self::Heartbeat,
            chunk::HEARTBEAT_ACK => Self::HeartbeatAck,
            chunk::DATA => Self::Data,
            _ => Self::Other,
        }
    }

    /// As RFC 9260 calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::InitAck => "INIT-ACK",
            Self::CookieEcho => "COOKIE-ECHO",
            Self::CookieAck => "COOKIE-ACK",
            Self::Shutdown => "SHUTDOWN",
            Self::ShutdownAck => "SHUTDOWN-ACK",
            Self::ShutdownComplete => "SHUTDOWN-COMPLETE",
            Self::Abort => "ABORT",
            Self::Error => "ERROR",
            Self::Heartbeat => "HEARTBEAT",
            Self::HeartbeatAck => "HEARTBEAT-ACK",
            Self::Data => "DATA",
            Self::Other => "OTHER",
        }
    }
}

/// Where a chunk leads; `None` is INVALID.
#[allow(
    clippy::indexing_slicing,
    reason = "the table has a place for every value of the three enums but the last two kinds"
)]
#[inline]
#[must_use]
pub const fn step(direction: Direction, state: State, kind: Kind) -> Option<State> {
    match kind {
        Kind::Data | Kind::Other => Some(state),
        _ => TABLE[direction as usize][state as usize][kind as usize],
    }
}

const NO: Option<State> = None;
const CL: Option<State> = Some(State::Closed);
const CW: Option<State> = Some(State::CookieWait);
const CE: Option<State> = Some(State::CookieEchoed);
const ES: Option<State> = Some(State::Established);
const SS: Option<State> = Some(State::ShutdownSent);
const SR: Option<State> = Some(State::ShutdownRecd);
const SA: Option<State> = Some(State::ShutdownAckSent);
const HS: Option<State> = Some(State::HeartbeatSent);

/// Direction, state, kind. As the kernel's answers are, so is the table: no INIT revives an
/// association that has ended until the answer to it comes, and only the side that opened echoes.
#[rustfmt::skip]
const TABLE: [[[Option<State>; 11]; 9]; 2] = [
    // Original: INIT INIT-ACK C-ECHO C-ACK SHUTDOWN S-ACK S-COMPLETE ABORT ERROR HEARTBEAT H-ACK
    [
        [CL, CL, CL, CL, CL, SA, CL, CL, CL, HS, CL], // NONE: an association begins here, or a path
        [CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL], // CLOSED
        [CW, CW, CE, CW, CW, CW, CW, CL, CW, CW, CW], // COOKIE_WAIT
        [CE, CE, CE, ES, CE, CE, CE, CL, CE, CE, CE], // COOKIE_ECHOED
        [ES, ES, ES, ES, SS, ES, ES, CL, ES, ES, ES], // ESTABLISHED
        [CL, SS, SS, SS, SS, SA, SS, CL, SS, SS, SS], // SHUTDOWN_SENT
        [CL, SR, SR, SR, SR, SA, SR, CL, SR, SR, SR], // SHUTDOWN_RECD
        [SA, SA, SA, SA, SA, SA, CL, CL, SA, SA, SA], // SHUTDOWN_ACK_SENT
        [CW, CL, CL, CL, CL, SA, CL, CL, CL, HS, HS], // HEARTBEAT_SENT
    ],
    // Reply: INIT INIT-ACK C-ECHO C-ACK SHUTDOWN S-ACK S-COMPLETE ABORT ERROR HEARTBEAT H-ACK
    [
        [NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO], // NONE: a reply begins nothing
        [CL, CW, CL, CL, CL, CL, CL, CL, CL, CL, CL], // CLOSED
        [CW, CW, CE, CW, CW, CW, CW, CL, CW, CW, CW], // COOKIE_WAIT
        [CE, CE, CE, ES, CE, CE, CE, CL, CL, CE, CE], // COOKIE_ECHOED: ERROR is a stale cookie
        [ES, ES, ES, ES, SR, ES, ES, CL, ES, ES, ES], // ESTABLISHED
        [SS, SS, SS, SS, SS, SA, SS, CL, SS, SS, SS], // SHUTDOWN_SENT
        [SR, SR, SR, SR, SR, SA, SR, CL, SR, SR, SR], // SHUTDOWN_RECD
        [SA, SA, SA, SA, SA, SA, CL, CL, SA, SA, SA], // SHUTDOWN_ACK_SENT
        [NO, NO, NO, NO, NO, NO, NO, NO, NO, HS, ES], // HEARTBEAT_SENT: an answer, or one crossing
    ],
];
