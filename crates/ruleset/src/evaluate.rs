//! One evaluator, generic over a recorder.

#[cfg(test)]
pub(crate) mod bench;
mod facts;
mod named;
mod state;
mod stores;
#[cfg(test)]
mod tests;
mod trace;
mod unknown;

pub use facts::{
    AddressType, BridgePorts, End, Ends, HostFacts, PolicyDirection, PolicyMode, PortOut,
    ReversePath, Sender, Socket, Transformation,
};
pub use named::Named;
pub use state::{Counters, State, TableState};
pub(crate) use stores::Random;
pub use stores::Stores;
pub use trace::Tracing;
pub use unknown::{Unknown, Would};

use crate::model::{ChainIndex, HeaderMatch, InterfacePattern, Inverted, Jump, Network, Policy};
use crate::model::{Rule, Table};
use crate::targets::nflog;
use crate::verdict::{Answer, Step, Verdict};
use alloc::{boxed::Box, vec::Vec};
use keepstate_conntrack::{self as conntrack, Hook, Tracked, table::Template};
use keepstate_packet::checksum::Unfinished;
use keepstate_packet::ipv6;
use keepstate_packet::{Address, Family, Instant, InterfaceName, L4, LinkInfo, Parsed};

/// A packet on its way through a hook: what rules read and what targets may change.
#[derive(Debug)]
pub struct Traversal<'a> {
    /// Now.
    pub now: Instant,
    /// The hook.
    pub hook: Hook,
    /// `-i`; none for what the host itself sends.
    pub in_interface: Option<&'a InterfaceName>,
    /// `-o`; none before routing and in INPUT.
    pub out_interface: Option<&'a InterfaceName>,
    /// The packet, parsed. A target that rewrites the bytes keeps it true to them.
    pub packet: &'a mut Parsed,
    /// Its bytes from the IP header on.
    pub bytes: &'a mut [u8],
    /// What the link layer says of it.
    pub link: LinkInfo,
    /// The frame that a bridge is looking at; none on the way of IP.
    pub frame: Option<Frame<'a>>,
    /// The packet's mark.
    pub mark: u32,
    /// The packet's security mark, 0 for none.
    pub secmark: u32,
    /// The packet's priority for queueing disciplines (`CLASSIFY`), 0 for none.
    pub priority: u32,
    /// What tracking said; `None` before the conntrack hook and with tracking off.
    pub tracked: Option<&'a Tracked>,
    /// What raw rules decide for tracking.
    pub template: &'a mut Template,
    /// The connection table: matches read it, CONNMARK writes it.
    pub conntrack: &'a mut conntrack::Table,
    /// What the host model knows: which addresses are its own, and what no capture carries.
    pub host: &'a dyn HostFacts,
    /// What rules share by name, and the source of randomness.
    pub stores: &'a mut Stores,
    /// Every rule that the packet matches is written down (`TRACE`).
    pub traced: bool,
    /// Its checksum has been found right, and is not asked for again: also not once a target has changed
    /// it since.
    pub verified: bool,
    /// Its checksum is left to the network card: the host itself has made it.
    pub unfinished: &'a mut Option<Unfinished>,
    /// What LOG, NFLOG and TRACE wrote, oldest first.
    pub log: &'a mut Vec<Logged>,
    /// The first rule of this walk whose match could not be told ([`Answer::Unknown`]), and what
    /// hangs on it.
    pub unknown: Option<Unknown>,
}

impl Traversal<'_> {
    /// After a change to the segment behind the IP header: a checksum that is left to the network card does
    /// not follow.
    #[inline]
    pub(crate) fn segment_changed(&mut self) {
        if let Some(unfinished) = self.unfinished {
            unfinished.begin_again(self.packet, self.bytes);
        }
    }
}

/// What rules of a bridge read of a frame beside its addresses, which are in [`Traversal::link`].
#[derive(Clone, Debug, Default)]
pub struct Frame<'a> {
    /// What the frame carries, behind a tag if it has one: an EtherType, or a length.
    pub ethertype: u16,
    /// The tag control information of its 802.1Q tag.
    pub tag: Option<u16>,
    /// The bridge that it came in at; none for what the host itself sends.
    pub logical_in: Option<&'a InterfaceName>,
    /// The bridge that it leaves by; none before that is known.
    pub logical_out: Option<&'a InterfaceName>,
    /// The address of the bridge.
    pub bridge: Option<[u8; 6]>,
    /// What `arpreply` sends back, oldest first.
    pub answers: Vec<Answered>,
}

/// An answer to an ARP request, for the port that it came in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Source address of the frame.
    pub source: [u8; 6],
    /// Destination address of the frame.
    pub destination: [u8; 6],
    /// The ARP packet.
    pub packet: [u8; keepstate_packet::arp::LENGTH],
}

/// A line of the LOG target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// syslog level, 0 to 7.
    pub level: u8,
    /// The text as the kernel prints it, prefix included.
    pub text: alloc::string::String,
}

/// What rules write of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    /// A line of the log: LOG, TRACE, complaints of tracking.
    Line(LogLine),
    /// A message to listeners: NFLOG.
    Nflog(Box<nflog::Message>),
}

/// A place that a packet passes, for those who write it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// A rule that matches, before its target acts: its chain, and its number from 0.
    Rule(ChainIndex, u32),
    /// The end of a chain that is not built in.
    End(ChainIndex),
    /// The policy of a built-in chain.
    Policy(ChainIndex),
}

/// A rule that was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'r> {
    /// Its chain.
    pub chain: ChainIndex,
    /// Its number, from 0.
    pub number: u32,
    /// The rule.
    pub rule: &'r Rule,
    /// The first match that did not say yes, and what it said: from 1, 0 is the header. `None`: all did.
    pub failed: Option<(u32, Answer)>,
}

/// Follows an evaluation; the unit type records nothing and compiles to nothing.
pub trait Recorder {
    /// A rule was looked at, by the packet as it is now.
    fn rule(&mut self, looked: Looked<'_>, traversal: &Traversal<'_>) {
        let _ = (looked, traversal);
    }
    /// A chain's policy decided.
    fn policy(&mut self, chain: ChainIndex) {
        let _ = chain;
    }
    /// The packet passes a place, as it is now.
    fn passed(&mut self, place: Passed, traversal: &mut Traversal<'_>) {
        let _ = (place, traversal);
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
    /// A match of this rule found the packet to contradict itself ([`Answer::Hotdrop`]).
    Hotdrop {
        /// Chain.
        chain: ChainIndex,
        /// Number from 0.
        rule: u32,
    },
}

/// Most nested jumps; a deeper rule set is refused when it is loaded.
pub const CHAIN_DEPTH_MAX: usize = 256;

/// Walks the built-in chain of the traversal's hook. A table that has none there accepts.
#[inline]
pub fn evaluate<R: Recorder>(
    table: &Table,
    state: &mut TableState,
    traversal: &mut Traversal<'_>,
    recorder: &mut R,
) -> (Verdict, Option<Decision>) {
    let Some(base) = table.builtin(traversal.hook) else { return (Verdict::Accept, None) };
    let mut at = Place::new(table, state, base, 0);
    state.stack.clear();
    loop {
        let step = match at.rules.get(at.number as usize) {
            None => {
                if at.chain != base {
                    recorder.passed(Passed::End(at.chain), traversal);
                    end_of_chain(table, at.chain)
                } else {
                    Step::Return
                }
            }
            Some(rule) => match walk(rule, &at, state, traversal, recorder) {
                Ok(step) => step,
                Err(Hotdrop) => {
                    let decision = Decision::Hotdrop { chain: at.chain, rule: at.number };
                    return (Verdict::Drop, Some(decision));
                }
            },
        };
        match step {
            Step::Continue => at.number += 1,
            Step::Verdict(verdict) => {
                return (verdict, Some(Decision::Rule { chain: at.chain, rule: at.number }));
            }
            Step::Jump(to) => {
                if state.stack.len() >= CHAIN_DEPTH_MAX {
                    // Refused when a file is loaded; tables may be put together otherwise.
                    let decision = Decision::Rule { chain: at.chain, rule: at.number };
                    return (Verdict::Drop, Some(decision));
                }
                state.stack.push((at.chain, at.number + 1));
                at = Place::new(table, state, to, 0);
            }
            Step::Goto(to) => at = Place::new(table, state, to, 0),
            Step::Return => match state.stack.pop() {
                Some((chain, number)) => at = Place::new(table, state, chain, number),
                None => {
                    recorder.passed(Passed::Policy(base), traversal);
                    let length = u64::from(traversal.packet.length);
                    return policy(table, state, base, length, recorder);
                }
            },
        }
    }
}

/// Where the walk stands.
struct Place<'a> {
    chain: ChainIndex,
    rules: &'a [Rule],
    /// Slot of the chain's first rule in the state.
    row: usize,
    /// The rule, from 0.
    number: u32,
}

impl<'a> Place<'a> {
    #[inline]
    fn new(table: &'a Table, state: &TableState, chain: ChainIndex, number: u32) -> Self {
        let rules = table.chain(chain).map_or(&[][..], |chain| &chain.rules);
        Self { chain, rules, row: state.slot(chain, 0), number }
    }
}

/// A match said [`Answer::Hotdrop`].
struct Hotdrop;

/// Header, matches, counters, target of one rule.
#[inline]
fn walk<R: Recorder>(
    rule: &Rule,
    at: &Place<'_>,
    state: &mut TableState,
    traversal: &mut Traversal<'_>,
    recorder: &mut R,
) -> Result<Step, Hotdrop> {
    let looked = |failed| Looked { chain: at.chain, number: at.number, rule, failed };
    if !header_matches(&rule.header, traversal) {
        recorder.rule(looked(Some((0, Answer::No))), traversal);
        return Ok(Step::Continue);
    }
    let slot = at.row.wrapping_add(at.number as usize);
    if let Some(unknown) = &mut traversal.unknown
        && unknown::has_consequences(rule)
    {
        unknown::disturb(unknown);
    }
    if !rule.matches.is_empty()
        && let Err((number, answer)) = ask(rule, state, slot, traversal)
    {
        recorder.rule(looked(Some((number, answer))), traversal);
        return match answer {
            Answer::Hotdrop => Err(Hotdrop),
            Answer::Unknown => {
                unknown::pass_over(rule, (at.chain, at.number, number), traversal);
                Ok(Step::Continue)
            }
            Answer::No | Answer::Yes => Ok(Step::Continue),
        };
    }
    recorder.rule(looked(None), traversal);
    state.count(slot, u64::from(traversal.packet.length));
    recorder.passed(Passed::Rule(at.chain, at.number), traversal);
    Ok(match &rule.target {
        Jump::None => Step::Continue,
        Jump::Jump(chain) => Step::Jump(*chain),
        Jump::Goto(chain) => Step::Goto(*chain),
        Jump::Standard(step) => *step,
        Jump::Target(target) => {
            let mut spare = State::default();
            let memory = state.memory_of(slot).last_mut().unwrap_or(&mut spare);
            let step = target.act(traversal, memory);
            if let (Some(unknown), Step::Continue) = (&mut traversal.unknown, step) {
                unknown::disturb(unknown);
            }
            step
        }
    })
}

/// Asks the matches in order; the number (from 1) and answer of the first that does not match.
#[inline]
fn ask(
    rule: &Rule,
    state: &mut TableState,
    slot: usize,
    traversal: &mut Traversal<'_>,
) -> Result<(), (u32, Answer)> {
    let mut number = 0;
    let mut spare = State::default();
    let mut memory = state.memory_of(slot).iter_mut();
    for one in &rule.matches {
        number += 1;
        let answer = one.matches(traversal, memory.next().unwrap_or(&mut spare));
        if answer == Answer::Unknown {
            let behind = rule.matches.get(number as usize..).unwrap_or_default();
            return Err(unknown::rest(behind, number, traversal));
        }
        if answer != Answer::Yes {
            return Err((number, answer));
        }
    }
    Ok(())
}

/// What follows where a user chain ends: one of ebtables may have a policy.
fn end_of_chain(table: &Table, chain: ChainIndex) -> Step {
    match table.chain(chain).and_then(|chain| chain.policy) {
        None => Step::Return,
        Some(Policy::Accept) => Step::Verdict(Verdict::Accept),
        Some(Policy::Drop) => Step::Verdict(Verdict::Drop),
    }
}

fn policy<R: Recorder>(
    table: &Table,
    state: &mut TableState,
    base: ChainIndex,
    length: u64,
    recorder: &mut R,
) -> (Verdict, Option<Decision>) {
    let Some(chain) = table.chain(base) else { return (Verdict::Accept, None) };
    recorder.policy(base);
    let slot = state.slot(base, u32::try_from(chain.rules.len()).unwrap_or(u32::MAX));
    state.count(slot, length);
    let verdict = match chain.policy {
        Some(Policy::Drop) => Verdict::Drop,
        Some(Policy::Accept) | None => Verdict::Accept,
    };
    (verdict, Some(Decision::Policy { chain: base }))
}

/// Whether the header part of a rule matches.
#[inline]
#[must_use]
pub fn header_matches(header: &HeaderMatch, traversal: &Traversal<'_>) -> bool {
    let packet = &*traversal.packet;
    let network = |wanted: &Option<Inverted<Network>>, address: Address| {
        wanted.is_none_or(|wanted| in_network(&wanted.value, address) != wanted.inverted)
    };
    let interface = |wanted: &Option<Inverted<InterfacePattern>>, name: Option<&InterfaceName>| {
        wanted.is_none_or(|wanted| is_interface(&wanted.value, name) != wanted.inverted)
    };
    let wanted_protocol = |wanted: Inverted<u8>| {
        // Without a protocol it is not another one either.
        protocol(packet, traversal.bytes)
            .is_some_and(|found| (found == wanted.value) != wanted.inverted)
    };
    header.protocol.is_none_or(wanted_protocol)
        && network(&header.source, packet.source)
        && network(&header.destination, packet.destination)
        && interface(&header.in_interface, traversal.in_interface)
        && interface(&header.out_interface, traversal.out_interface)
        && header.fragment.is_none_or(|wanted| is_later_fragment(packet) != wanted.inverted)
}

/// What `-p` compares. With iptables-nft, unlike for tracking, the IPv6 authentication header is a
/// protocol (51) and not an extension header. `None` for a chain of extension headers that is broken.
#[inline]
#[must_use]
pub fn protocol(packet: &Parsed, bytes: &[u8]) -> Option<u8> {
    if packet.family == Family::V4 || !packet.has_options {
        return Some(packet.protocol);
    }
    behind_extension_headers(packet, bytes)
}

#[cold]
fn behind_extension_headers(packet: &Parsed, bytes: &[u8]) -> Option<u8> {
    // Unlike tracking, rules read as far as the segments left in a routing header.
    const SEGMENTS_LEFT_END: usize = 4;
    let packet_bytes = packet.packet(bytes);
    for header in ipv6::ExtensionHeaders::of(packet_bytes) {
        if header.protocol == ipv6::AUTHENTICATION {
            return Some(ipv6::AUTHENTICATION);
        }
        if ipv6::fragment(packet_bytes, &header).is_some_and(|fragment| fragment.offset != 0) {
            break;
        }
        let cut = packet_bytes.len() < header.offset + SEGMENTS_LEFT_END;
        if header.protocol == ipv6::ROUTING && cut {
            return None;
        }
    }
    // Nor is there anything behind a later fragment that begins with a header of the chain.
    let is_lost = packet.l4 == L4::Fragment && ipv6::is_extension_header(packet.protocol);
    (packet.l4 != L4::BrokenChain && !is_lost).then_some(packet.protocol)
}

/// Whether a packet is a second or further fragment: one without an upper-layer header.
#[must_use]
pub fn is_later_fragment(packet: &Parsed) -> bool {
    packet.fragment.is_some_and(|fragment| fragment.offset != 0)
}

/// Whether an address lies in a network.
#[inline]
#[must_use]
pub fn in_network(network: &Network, address: Address) -> bool {
    let [address, wanted, mask] =
        [address, network.address, network.mask].map(|octets| u128::from_ne_bytes(octets.0));
    address & mask == wanted
}

#[inline]
pub(crate) fn is_interface(pattern: &InterfacePattern, name: Option<&InterfaceName>) -> bool {
    let name = name.map_or([0; 16], |name| *name.octets());
    let difference = u128::from_le_bytes(name) ^ u128::from_le_bytes(pattern.name);
    let unread = u32::from(16 - pattern.length.min(16)) * 8;
    difference.checked_shl(unread).unwrap_or(0) == 0
}
