//! GRE (RFC 2784): answered, it is a stream. The keys of PPTP (RFC 2637) are not told apart yet.

use super::{Outcome, Record, Seen};
use crate::conn::CtStatus;
use crate::event::Changes;

pub(super) fn packet(seen: &Seen<'_>, record: &mut Record<'_>) -> Outcome {
    let timeouts = &seen.sysctls.timeouts;
    if !record.entry.is(CtStatus::SEEN_REPLY) {
        return Outcome::accept(timeouts.gre);
    }
    let assured = record.entry.is(CtStatus::ASSURED);
    record.entry.set(CtStatus::ASSURED);
    let changes = if assured { Changes(0) } else { Changes::ASSURED };
    Outcome::Accept { timeout: Some(timeouts.gre_stream), changes }
}
