//! Writes down a walk while it is under way.

use crate::experiment::state_name;
use keepstate_conntrack::{CtState, Hook, Tracked};
use keepstate_engine::{Cause, InterfaceIndex, Routed, Verdict, recorder};
use keepstate_packet::{Address, Family, L4, Parsed};
use keepstate_ruleset::evaluate::{self, Decision, Looked, Traversal, header_matches};
use keepstate_ruleset::model::{ChainIndex, HeaderMatch, TableName};
use keepstate_ruleset::verdict::{self, Answer};

/// Most steps that are kept of one packet.
pub const STEPS_MAX: usize = 4096;
/// Most rules that are kept of one walk through a table; beyond them only those that match.
pub const RULES_MAX: usize = 512;

/// Addresses, and ports or what stands in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) family: Family,
    pub(super) source: (Address, Option<u16>),
    pub(super) destination: (Address, Option<u16>),
}

impl Ends {
    pub(super) fn of(packet: &Parsed) -> Self {
        let (source, destination) = match &packet.l4 {
            L4::Tcp(header) => (Some(header.source_port), Some(header.destination_port)),
            L4::Udp(header) | L4::UdpLite(header) => {
                (Some(header.source_port), Some(header.destination_port))
            }
            _ => (None, None),
        };
        Self {
            family: packet.family,
            source: (packet.source, source),
            destination: (packet.destination, destination),
        }
    }
}

/// A step, as it was heard.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    Hook(Hook),
    Tracked(Tracked),
    Table(Family, TableName, Hook),
    Rule(Rule),
    TableVerdict { verdict: verdict::Verdict, decision: Option<Decision>, mark: Option<u32> },
    Translated(Ends),
    Routed(Routed),
    Confirmed,
    Answer(Vec<u8>),
    Answered(Option<(InterfaceIndex, Vec<u8>)>),
}

/// A rule that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) chain: ChainIndex,
    /// From 0.
    pub(super) number: u32,
    /// What did not match.
    pub(super) refused: Option<String>,
}

/// Keeps what it hears.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) heard: Vec<Heard>,
    pub(super) left_out: usize,
    /// Rules kept, and rules left out, of the table that is being walked.
    rules: usize,
    pub(super) rules_left_out: Vec<usize>,
    /// The packet's mark, as last seen, and when the table began.
    mark: u32,
    mark_before: u32,
    /// Those of the packets that wait for the end of an answer's walk.
    marks: Vec<u32>,
}

impl Record {
    pub(super) fn new(mark: u32) -> Self {
        Self { mark, ..Self::default() }
    }

    fn hear(&mut self, heard: Heard) {
        // What ends something is kept, so that what has begun has an end.
        let ends = matches!(heard, Heard::TableVerdict { .. } | Heard::Answered(_));
        if self.heard.len() < STEPS_MAX || ends {
            self.heard.push(heard);
        } else {
            self.left_out += 1;
        }
    }
}

impl evaluate::Recorder for Record {
    fn rule(&mut self, looked: Looked<'_>, traversal: &Traversal<'_>) {
        self.mark = traversal.mark;
        if looked.failed.is_some() && self.rules >= RULES_MAX {
            if let Some(count) = self.rules_left_out.last_mut() {
                *count += 1;
            }
            return;
        }
        self.rules += 1;
        let refused =
            looked.failed.map(|(number, answer)| refused(&looked, number, answer, traversal));
        self.hear(Heard::Rule(Rule { chain: looked.chain, number: looked.number, refused }));
    }

    fn passed(&mut self, _: evaluate::Passed, traversal: &mut Traversal<'_>) {
        self.mark = traversal.mark;
    }
}

impl recorder::Recorder for Record {
    fn hook(&mut self, hook: Hook) {
        self.hear(Heard::Hook(hook));
    }

    fn tracked(&mut self, tracked: &Tracked) {
        self.hear(Heard::Tracked(*tracked));
    }

    fn table(&mut self, family: Family, table: TableName, hook: Hook) {
        (self.rules, self.mark_before) = (0, self.mark);
        self.rules_left_out.push(0);
        self.hear(Heard::Table(family, table, hook));
    }

    fn table_verdict(
        &mut self,
        _: TableName,
        verdict: verdict::Verdict,
        decision: Option<Decision>,
    ) {
        let mark = (self.mark != self.mark_before).then_some(self.mark);
        self.hear(Heard::TableVerdict { verdict, decision, mark });
    }

    fn routed(&mut self, routed: &Routed) {
        self.hear(Heard::Routed(*routed));
    }

    fn translated(&mut self, _: Hook, packet: &Parsed, _: &[u8]) {
        self.hear(Heard::Translated(Ends::of(packet)));
    }

    fn confirmed(&mut self, _: &Tracked) {
        self.hear(Heard::Confirmed);
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.marks.push(std::mem::take(&mut self.mark));
        self.hear(Heard::Answer(bytes.to_vec()));
    }

    fn answered(&mut self, leaves: Option<(InterfaceIndex, &[u8])>) {
        self.mark = self.marks.pop().unwrap_or(0);
        self.hear(Heard::Answered(leaves.map(|(interface, bytes)| (interface, bytes.to_vec()))));
    }

    fn end(&mut self, _: Verdict, _: Option<Cause>) {}
}

/// What did not match, in the words of the rule, and what the packet is instead.
fn refused(looked: &Looked<'_>, number: u32, answer: Answer, traversal: &Traversal<'_>) -> String {
    let Some(at) = (number as usize).checked_sub(1) else {
        return of_header(&looked.rule.header, traversal);
    };
    let Some(one) = looked.rule.matches.get(at) else { return String::new() };
    let mut text = format!("-m {}", one.name());
    let mut options = String::new();
    one.print(&mut options);
    if !options.trim().is_empty() {
        text = format!("{text} {}", options.trim());
    }
    match answer {
        Answer::Unknown => return format!("{text}: nobody knows, {}", one.fact()),
        Answer::Hotdrop => return format!("{text}: the packet contradicts itself, and is dropped"),
        Answer::No | Answer::Yes => {}
    }
    match instead(one.name(), traversal) {
        Some(is) => format!("{text}: {is}"),
        None => text,
    }
}

/// The first part of a rule's header that does not match: each is asked alone.
fn of_header(header: &HeaderMatch, traversal: &Traversal<'_>) -> String {
    let alone = HeaderMatch::default();
    let packet = &*traversal.packet;
    let name = |name: Option<&keepstate_packet::InterfaceName>| {
        name.map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    let parts = [
        (HeaderMatch { protocol: header.protocol, ..alone }, "-p", {
            super::packet::protocol(packet.protocol)
        }),
        (HeaderMatch { source: header.source, ..alone }, "-s", {
            packet.source.ip(packet.family).to_string()
        }),
        (HeaderMatch { destination: header.destination, ..alone }, "-d", {
            packet.destination.ip(packet.family).to_string()
        }),
        (HeaderMatch { in_interface: header.in_interface, ..alone }, "-i", {
            name(traversal.in_interface)
        }),
        (HeaderMatch { out_interface: header.out_interface, ..alone }, "-o", {
            name(traversal.out_interface)
        }),
        (HeaderMatch { fragment: header.fragment, ..alone }, "-f", {
            let later = evaluate::is_later_fragment(packet);
            if later { "a later fragment" } else { "no later fragment" }.to_owned()
        }),
    ];
    let mut parts = parts.into_iter();
    let found = parts.find(|(part, ..)| !header_matches(part, traversal));
    found.map_or_else(String::new, |(_, option, is)| format!("{option}: the packet's is {is}"))
}

/// What the packet is, where the match asks for something that a reader knows by a name.
fn instead(name: &str, traversal: &Traversal<'_>) -> Option<String> {
    let packet = &*traversal.packet;
    match name {
        "conntrack" | "state" => {
            let state = traversal.tracked.map_or(CtState::Untracked, |tracked| tracked.state);
            Some(format!("the packet is {}", state_name(state)))
        }
        "tcp" | "udp" | "multiport" | "udplite" => match &packet.l4 {
            L4::Tcp(header) => Some(format!(
                "ports {} > {}, {}",
                header.source_port,
                header.destination_port,
                crate::prose::tcp::flags(header.flags)
            )),
            L4::Udp(header) | L4::UdpLite(header) => {
                Some(format!("ports {} > {}", header.source_port, header.destination_port))
            }
            _ => None,
        },
        "icmp" | "icmp6" => match &packet.l4 {
            L4::Icmp(header) | L4::Icmpv6(header) => {
                Some(format!("type {} code {}", header.kind, header.code))
            }
            _ => None,
        },
        "mark" => Some(format!("the mark is 0x{:x}", traversal.mark)),
        "ttl" | "hl" => Some(format!("it is {}", packet.ttl)),
        _ => None,
    }
}
