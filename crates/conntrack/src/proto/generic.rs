//! Protocols without a tracker of their own: two addresses and the protocol make the connection.

use super::{Outcome, Record, Seen};
use crate::invalid::Reason;
use keepstate_packet::L4;

pub(super) fn packet(seen: &Seen<'_>, _: &mut Record<'_>) -> Outcome {
    match seen.packet.l4 {
        L4::Short => Outcome::invalid(Reason::Short),
        _ => Outcome::accept(seen.sysctls.timeouts.generic),
    }
}
