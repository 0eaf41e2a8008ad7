//! What REJECT answers, and whether it does.

use crate::answer::{Report, Subject, checksum_right, error, reset};
use crate::routing::Routing;
use alloc::vec::Vec;
use keepstate_packet::Family;
use keepstate_ruleset::verdict::RejectWith;

/// The answer to a rejected packet; `None` when nothing may be answered.
pub(crate) fn answer(
    routing: &Routing,
    subject: &Subject<'_>,
    with: RejectWith,
) -> Option<Vec<u8>> {
    let family = subject.parsed.family;
    match (with, family) {
        (RejectWith::TcpReset, _) => reset(routing, subject),
        (RejectWith::Icmp(code), Family::V4) | (RejectWith::Icmpv6(code), Family::V6) => {
            let report = Report::unreachable(family, code);
            checksum_right(subject).then(|| error(routing, subject, report))?
        }
        (RejectWith::Icmpv6HeaderField(pointer), Family::V6) => {
            error(routing, subject, Report::parameter_problem_v6(0, pointer.into()))
        }
        (RejectWith::Icmp(_), Family::V6)
        | (RejectWith::Icmpv6(_) | RejectWith::Icmpv6HeaderField(_), Family::V4) => None,
    }
}
