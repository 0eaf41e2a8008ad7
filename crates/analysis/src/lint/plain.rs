//! What is plain: packets as there are, for findings to name, and where a chain stands in the file.

use super::linted::{Form, Linted};
use super::proof::packet_words;
use crate::algebra::Example;
use crate::algebra::space::{Group, Packets, Result, Unknown};
use keepstate_packet::Family;
use keepstate_packet::tcp::{ACK, RST};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Chain, Span, TableName};
use keepstate_ruleset::packet_set::Field;

/// Protocols that people know, beside those that examples like best: IGMP, GRE, ESP, AH, OSPF, SCTP, UDP-Lite.
const KNOWN: [u128; 9] = [2, 6, 17, 47, 50, 51, 89, 132, 136];

/// A packet in words, with what has to hold that no field of it says.
#[must_use]
pub fn words(packet: &Example) -> String {
    let mut words = packet_words(packet);
    for (unknown, says) in &packet.unknowns {
        if let (Unknown::Named(text, 0), true) = (unknown, says) {
            words.push_str(&format!(", of which `-m {text}` holds"));
        }
    }
    words
}

impl Linted<'_> {
    /// The packets that there can be. The resets of REJECT, which are RELATED, are among them.
    pub fn possible(&self) -> Result<Packets> {
        if let Some(known) = self.possible.borrow().as_ref() {
            return Ok(known.clone());
        }
        let mut resets = self.space.none();
        for flags in [RST, RST | ACK] {
            resets = resets.or(&self.within(Field::TcpFlags, flags.into(), flags.into())?)?;
        }
        let answers =
            resets.and(&self.within(Field::Protocol, 6, 6)?)?.and(&self.in_states(ct::RELATED)?)?;
        let possible = self.space.possible_packets()?.or(&answers)?.and(&self.space.every())?;
        *self.possible.borrow_mut() = Some(possible.clone());
        Ok(possible)
    }

    /// The plainest packet of a set: of those that there can be, where there is one; not by the loopback interface,
    /// unless it is from an address that is heard there alone.
    pub fn plainest(&self, packets: &Packets) -> Result<Option<Example>> {
        let mut set = packets.and(&self.space.every())?;
        let own = match self.space.family() {
            Family::V4 => self.within(Field::Source, 0x7f00_0000, 0x7fff_ffff)?,
            Family::V6 => self.within(Field::Source, 1, 1)?,
        };
        let outside = self.outside()?;
        let side = if set.is_within(&own)? { outside.others()? } else { outside };
        let icmp = if self.is_v4() { 1 } else { 58 };
        let ranges: Vec<_> = KNOWN.into_iter().chain([icmp]).map(|one| (one, one)).collect();
        let known = self.space.all_of(Group::Field(Field::Protocol), &ranges)?;
        for liked in [self.possible()?, side, known] {
            let both = set.and(&liked)?;
            if !both.is_empty() {
                set = both;
            }
        }
        self.space.example(&set)
    }

    /// The same in words.
    pub fn example(&self, packets: &Packets) -> Result<Option<String>> {
        Ok(self.plainest(packets)?.as_ref().map(words))
    }

    /// Where a chain stands in the file: where it is declared, in a script where its policy is set, else its first
    /// rule.
    #[must_use]
    pub fn place(&self, table: TableName, chain: &Chain) -> Span {
        if chain.span.end > chain.span.start {
            return chain.span;
        }
        let first = || chain.rules.first().map(|rule| rule.span).unwrap_or_default();
        if self.form != Form::Script {
            return first();
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
        found.unwrap_or_else(first)
    }
}
