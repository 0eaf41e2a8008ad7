//! Which of the timeouts holds.

use super::{Kind, Peer, Record, Seen, State};
use crate::conn::CtStatus;
use crate::sysctl::{Sysctls, Timeouts};
use crate::timeout::Timeout;
use core::time::Duration;

/// Only a connection that has at least this time left is shortened.
pub const SHORTEN_LEFT_MIN: Duration = Duration::from_secs(120);

/// The timeout after a segment that counts.
#[inline]
pub(super) fn of(sysctls: &Sysctls, record: &Record, kind: Kind, state: State) -> Timeout {
    let timeouts = &sysctls.timeouts;
    let usual = of_state(timeouts, state);
    let [original, reply] = &record.peers;
    let last = &record.last;
    if last.retransmissions >= sysctls.tcp_max_retrans && usual > timeouts.tcp_max_retrans {
        timeouts.tcp_max_retrans
    } else if kind == Kind::Rst {
        timeouts.tcp_close
    } else if (original.flags | reply.flags) & Peer::DATA_UNACKNOWLEDGED != 0
        && usual > timeouts.tcp_unacknowledged
    {
        timeouts.tcp_unacknowledged
    } else if last.window == 0 && usual > timeouts.tcp_max_retrans {
        timeouts.tcp_max_retrans
    } else {
        usual
    }
}

const fn of_state(timeouts: &Timeouts, state: State) -> Timeout {
    match state {
        State::Established => timeouts.tcp_established,
        State::None | State::SynSent => timeouts.tcp_syn_sent,
        State::SynSent2 => timeouts.tcp_syn_sent2,
        State::SynRecv => timeouts.tcp_syn_recv,
        State::FinWait => timeouts.tcp_fin_wait,
        State::CloseWait => timeouts.tcp_close_wait,
        State::LastAck => timeouts.tcp_last_ack,
        State::TimeWait => timeouts.tcp_time_wait,
        State::Close => timeouts.tcp_close,
    }
}

/// A FIN or RST was outside of the window. If the other side has closed too, both ends are
/// probably done while the observer is out of step: the timeout to shorten to. Else the attempt is
/// remembered.
pub(super) fn after_lost_close(
    sysctls: &Sysctls,
    seen: &Seen,
    record: &mut Record,
    kind: Kind,
) -> Option<Timeout> {
    let closes = |kind| matches!(kind, Kind::Fin | Kind::Rst);
    let kept =
        !seen.status.contains(CtStatus::ASSURED) || seen.status.contains(CtStatus::FIXED_TIMEOUT);
    if kept || !closes(kind) {
        return None;
    }
    let last = &mut record.last;
    if last.direction != seen.direction && closes(last.kind) {
        return Some(sysctls.timeouts.tcp_unacknowledged);
    }
    last.kind = kind;
    last.direction = seen.direction;
    None
}

/// Whether a connection with `left` until its deadline is lowered to `shorten`
/// ([`super::Outcome::Invalid`]).
#[must_use]
pub fn shortened(left: Duration, shorten: Timeout) -> bool {
    left >= SHORTEN_LEFT_MIN && left > shorten.as_duration()
}
