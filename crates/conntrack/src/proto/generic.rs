//! Protocols without a tracker of their own: two addresses and the protocol make the connection.

use super::{Outcome, Record, Seen};

pub(super) fn packet(seen: &Seen<'_>, _: &mut Record<'_>) -> Outcome {
    Outcome::accept(seen.sysctls.timeouts.generic)
}
