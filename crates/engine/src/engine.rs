//! The engine: sans-IO.

use crate::{
    cause::Cause,
    route::{Host, InterfaceIndex},
    transmit::Transmit,
};
use alloc::vec::Vec;
use keepstate_conntrack::{Event, Hook, Sysctls, Tracked};
use keepstate_packet::{Instant, LinkInfo};
use keepstate_ruleset::{
    evaluate::Decision,
    model::{Ruleset, TableName},
};

/// A packet going in.
#[derive(Debug)]
pub struct Packet<'a> {
    /// From the IP header on; rewritten in place.
    pub bytes: &'a mut [u8],
    /// Where it came in; `None`: the host itself sends it.
    pub interface: Option<InterfaceIndex>,
    /// What the link layer says of it.
    pub link: LinkInfo,
    /// The packet's mark.
    pub mark: u32,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves, or reaches the host.
    Accept,
    /// It does not.
    Drop,
    /// It does not, and its sender was told.
    Reject,
    /// Given to user space.
    Queue,
    /// Kept by a stage.
    Stolen,
}

/// What a rule decided, or a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyOrRule {
    /// Table.
    pub table: TableName,
    /// Chain and number.
    pub decision: Decision,
}

/// Where the packet leaves: its first `length` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Way out.
    pub interface: InterfaceIndex,
    /// Bytes of the packet.
    pub length: u32,
}

/// One packet's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// Verdict.
    pub verdict: Verdict,
    /// Why, when not by a rule; also the reason of an INVALID packet that went on.
    pub cause: Option<Cause>,
    /// Last hook traversed.
    pub hook: Option<Hook>,
    /// What tracking said; `None` when it was dropped before.
    pub tracked: Option<Tracked>,
    /// What decided.
    pub rule: Option<PolicyOrRule>,
    /// Where it leaves; `None` when dropped or delivered to the host.
    pub output: Option<Output>,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    host: Host,
}

impl Engine {
    /// An engine with an empty connection table. At most one rule set a family.
    #[must_use]
    pub fn new(seed: [u64; 2], host: Host, sysctls: Sysctls, rulesets: Vec<Ruleset>) -> Self {
        let _ = (seed, sysctls, rulesets);
        Self { host }
    }

    /// The host model.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Walks one packet through its hooks.
    pub fn handle_packet(&mut self, now: Instant, packet: Packet<'_>) -> Disposition {
        let _ = (now, packet);
        Disposition {
            verdict: Verdict::Drop,
            cause: None,
            hook: None,
            tracked: None,
            rule: None,
            output: None,
        }
    }

    /// Walks a batch, abreast; the result is that of one by one.
    pub fn handle_batch(
        &mut self,
        now: Instant,
        packets: &mut [Packet<'_>],
        out: &mut Vec<Disposition>,
    ) {
        let _ = (now, packets, out);
    }

    /// Lets time pass: bounded work on connections that have expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// A packet that the engine made.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The oldest event not yet taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
