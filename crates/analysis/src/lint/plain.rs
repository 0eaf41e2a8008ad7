//! What is plain: packets as there are, for findings to name, and where a chain stands in the file.

use super::around::is_private;
use super::decider::Decider;
use super::linted::{Form, Linted};
use super::proof::{packet_words, stateless_words};
use crate::algebra::Example;
use crate::algebra::space::{Packets, Result, Unknown};
use keepstate_ruleset::model::{Chain, Span, TableName};
use keepstate_ruleset::packet_set::Field;
use std::net::{IpAddr, Ipv4Addr};

/// The end of an address of a private network that a host may have.
const CLIENT: u8 = 10;
/// The end of an address that stands for all hosts of a network.
const EVERYBODY: u8 = 255;
/// Most pairs of the one address with itself that are passed over.
const ALONE_MAX: usize = 16;

/// A packet in words, with what has to hold that no field of it says.
#[must_use]
pub fn words(packet: &Example) -> String {
    with_unknowns(packet_words(packet), packet)
}

/// The same in table raw, which packets come to before tracking has looked at them: none has a state there.
#[must_use]
pub fn words_in_raw(packet: &Example) -> String {
    with_unknowns(stateless_words(packet), packet)
}

fn with_unknowns(mut words: String, packet: &Example) -> String {
    for (unknown, says) in &packet.unknowns {
        if let (Unknown::Named(text, 0), true) = (unknown, says) {
            words.push_str(&format!(", of which `-m {text}` holds"));
        }
    }
    words
}

/// Whether a packet goes from one host to another, and not to many or from none.
#[must_use]
pub fn is_between_hosts(packet: &Example) -> bool {
    let ends = [packet.source, packet.destination].map(|address| address.ip(packet.family));
    let all = Some(Ipv4Addr::BROADCAST);
    let one = |ip: IpAddr| {
        let v4 = if let IpAddr::V4(ip) = ip { Some(ip) } else { None };
        !ip.is_unspecified() && !ip.is_multicast() && v4 != all
    };
    ends.into_iter().all(one)
}

impl Linted<'_> {
    /// The packets that there can be.
    pub fn possible(&self) -> Result<Packets> {
        if let Some(known) = self.possible.borrow().as_ref() {
            return Ok(known.clone());
        }
        let possible = self.space.possible_packets()?.and(&self.space.every())?;
        *self.possible.borrow_mut() = Some(possible.clone());
        Ok(possible)
    }

    /// The plainest packet of a set: of those that may come there, where there is one, such as fits best what the
    /// rules say of the networks around.
    pub fn plainest(&self, packets: &Packets) -> Result<Option<Example>> {
        let mut set = packets.and(&self.space.every())?;
        for liked in &self.likely()?.liked {
            let both = set.and(liked)?;
            if !both.is_empty() {
                set = both;
            }
        }
        let example = self.between_two(&set)?.map(|example| self.at_loopback(example));
        Ok(example.map(|example| self.for_everybody(self.beside_router(example, &set), packets)))
    }

    /// An address of which a match says that it is one for all hosts of a network looks like one, where such
    /// a packet is among these.
    fn for_everybody(&self, mut example: Example, packets: &Packets) -> Example {
        if !self.is_v4() {
            return example;
        }
        for (kind, is_source) in [("--src-type", true), ("--dst-type", false)] {
            let text = format!("addrtype {kind} BROADCAST");
            let holds = |(unknown, says): &(Unknown, bool)| {
                *says && matches!(unknown, Unknown::Named(one, _) if *one == text)
            };
            if !example.unknowns.iter().any(holds) {
                continue;
            }
            let mut other = example.clone();
            let end = if is_source { &mut other.source } else { &mut other.destination };
            end.0[3] = EVERYBODY;
            if self.space.contains(packets, &self.space.values(&other)) {
                example = other;
            }
        }
        example
    }

    /// The first address of a private network usually is its router's: another of the set will do for the client.
    fn beside_router(&self, example: Example, set: &Packets) -> Example {
        let last = if self.is_v4() { 3 } else { 15 };
        let mut source = example.source;
        if !is_private(source.ip(example.family)) || source.0[last] != 1 {
            return example;
        }
        source.0[last] = CLIENT;
        let other = Example { source, ..example.clone() };
        let fits = self.space.contains(set, &self.space.values(&other));
        if fits && other.source != other.destination { other } else { example }
    }

    /// The plainest packet of a set between two hosts, where there is one.
    pub(super) fn between_two(&self, packets: &Packets) -> Result<Option<Example>> {
        let mut set = packets.clone();
        let mut first = None;
        for _ in 0..ALONE_MAX {
            let Some(mut example) = self.space.example(&set)? else { break };
            let is_loopback = example.source.ip(example.family).is_loopback();
            if example.source != example.destination || is_loopback {
                return Ok(Some(example));
            }
            // Another address that no rule tells from this one will do.
            if let Some(other) = self.space.another(example.destination) {
                example.destination = other;
                return Ok(Some(example));
            }
            let number = crate::reach::around::number(example.family, example.source);
            let both = self.within(Field::Source, number, number)?.and(&self.within(
                Field::Destination,
                number,
                number,
            )?)?;
            set = set.less(&both)?;
            first = first.or(Some(example));
        }
        Ok(first)
    }

    /// A packet from a loopback address came in by the loopback interface, whether rules name it or not.
    fn at_loopback(&self, mut example: Example) -> Example {
        let lo = String::from("lo");
        let own = example.source.ip(example.family).is_loopback();
        let here = example.in_interface.as_ref().map(|name| self.space.interface_number(name));
        if own && example.out_interface.is_none() && here == Some(self.space.interface_number(&lo))
        {
            example.in_interface = Some(lo);
        }
        example
    }

    /// The same in words.
    pub fn example(&self, packets: &Packets) -> Result<Option<String>> {
        Ok(self.plainest(packets)?.as_ref().map(words))
    }

    /// Where a chain stands in the file: where it is declared, in a script where its policy is set, else its first
    /// rule.
    #[must_use]
    pub fn place(&self, table: TableName, chain: &Chain) -> Span {
        let first = || chain.rules.first().map(|rule| rule.span).unwrap_or_default();
        self.declared(table, chain).unwrap_or_else(first)
    }

    /// The same, but where the file does not say a word of the chain itself: at who decides there.
    #[must_use]
    pub fn place_or(
        &self,
        table: TableName,
        chain: &Chain,
        decider: Option<&Decider<'_, '_>>,
    ) -> Span {
        let decides = decider.map(|one| one.span).filter(|span| span.end > span.start);
        self.declared(table, chain).or(decides).unwrap_or_else(|| self.place(table, chain))
    }

    /// Where a chain is declared, or its policy set.
    fn declared(&self, table: TableName, chain: &Chain) -> Option<Span> {
        if chain.span.end > chain.span.start {
            return Some(chain.span);
        }
        if self.form != Form::Script {
            return None;
        }
        let (mut at, mut found) = (0, None);
        for line in self.source.split_inclusive('\n') {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |names: [&str; 2]| {
                let mut pairs = words.windows(2).filter(|pair| names.contains(&pair[0]));
                pairs.next().map(|pair| pair[1])
            };
            // By its name, its path, or a variable such as `$IPT6`.
            let tool = words.iter().find(|word| word.to_ascii_lowercase().contains("ip"));
            let named = tool.is_some_and(|tool| tool.contains('6') != self.is_v4());
            let here = after(["-t", "--table"]).unwrap_or("filter") == table.as_str();
            if named && here && after(["-P", "--policy"]) == Some(&chain.name) {
                let start = at + (line.len() - line.trim_start().len()) as u32;
                found = Some(Span { start, end: at + line.trim_end().len() as u32 });
            }
            at += line.len() as u32;
        }
        found
    }
}
