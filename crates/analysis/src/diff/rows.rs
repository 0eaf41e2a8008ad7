//! From sets of packets that differ to rows with a packet each that the engine confirms.

use super::fates::{Aspect, Difference, Value, rule_at};
use super::told::{PlayedTold, RoughlyTold, RowTold, WayTold, WitnessTold};
use super::{Side, words};
use crate::algebra::space::{Group, Packets, Result, Unknown};
use crate::algebra::{Example, Row, Space, Way};
use crate::trace::notation::Reader;
use crate::trial::{Decided, Heard, Ran, histories};
use keepstate_conntrack::Hook;
use keepstate_packet::Parsed;
use keepstate_ruleset::model::{Jump, TableName, builtin_name};
use keepstate_ruleset::verdict::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// Most rows that are told of a way.
pub const ROWS_MAX: usize = 200;
/// Most rows of these that change in one manner, so that others are told, too.
const OF_ONE_MAX: usize = 30;
/// Rows of one manner that are told one by one; of more it is said as well where they all are.
pub(crate) const MANY: usize = 4;
/// How many packets of a row are tried until the engine confirms one.
const TRIES: usize = 4;
/// How many conditions are named that a row hangs on.
const CONDITIONS_MAX: usize = 4;

/// Tells the differences of a way.
pub(crate) fn told(
    space: &mut Space,
    (old, new): (&Side, &Side),
    way: Way,
    differences: &[Difference],
    possible: &Packets,
) -> Result<WayTold> {
    let (rows, roughly) = (Vec::new(), Vec::new());
    let mut writer = Writer { space, old, new, way, possible, rows, left_out: 0, roughly };
    for difference in differences {
        writer.difference(difference)?;
    }
    let Writer { rows, left_out: rows_left_out, roughly, .. } = writer;
    let hooks = way.hooks().iter().map(|hook| builtin_name(*hook)).collect();
    Ok(WayTold { way: name(way), hooks, rows, rows_left_out, roughly })
}

/// The packets of a set in lines, without those that there cannot be; whether there are more.
pub(crate) fn lines(
    space: &Space,
    way: Way,
    packets: &Packets,
    possible: &Packets,
    most: usize,
) -> Result<(Vec<String>, bool)> {
    let (rows, more) = space.some_rows(&space.widest(packets)?, possible, most)?;
    Ok((rows.iter().map(|row| row.on(way).shown(space).to_string()).collect(), more))
}

/// The word for a way.
pub(crate) const fn name(way: Way) -> &'static str {
    match way {
        Way::In => "in",
        Way::Through => "through",
        Way::Out => "out",
    }
}

struct Writer<'a> {
    space: &'a mut Space,
    old: &'a Side,
    new: &'a Side,
    way: Way,
    possible: &'a Packets,
    rows: Vec<RowTold>,
    left_out: usize,
    roughly: Vec<RoughlyTold>,
}

impl Writer<'_> {
    fn difference(&mut self, difference: &Difference) -> Result<()> {
        let before = (self.rows.len(), self.left_out);
        let certain = self.space.narrowest(&difference.packets)?;
        let mut complete = self.write(difference, &certain, true)?;
        let widest = self.space.widest(&difference.packets)?;
        complete &= self.write(difference, &widest.less(&certain)?, false)?;
        let rows = self.rows.len() - before.0 + self.left_out - before.1;
        if rows > MANY {
            let around = self.space.around(&widest, self.possible)?.on(self.way);
            let packets = around.shown(self.space).to_string();
            let is_all = packets == Row::default().shown(self.space).to_string();
            let (what, old, new) = aspect_words(&difference.aspect);
            let and_more = !complete;
            self.roughly.push(RoughlyTold { what, old, new, rows, and_more, is_all, packets });
        }
        Ok(())
    }

    /// Whether these are all rows of the packets.
    fn write(&mut self, difference: &Difference, packets: &Packets, certain: bool) -> Result<bool> {
        if packets.and(self.possible)?.is_empty() {
            return Ok(true);
        }
        let rows = self.space.rows(packets)?;
        let before = self.rows.len();
        let mut told = self.space.none();
        for row in &rows.rows {
            let here = self.space.packets_of(row)?.and(packets)?.and(self.possible)?.less(&told)?;
            if here.is_empty() {
                continue;
            }
            if self.rows.len() >= ROWS_MAX || self.rows.len() - before >= OF_ONE_MAX {
                self.left_out += 1;
                continue;
            }
            told = told.or(&here)?;
            let row = self.row(difference, row, &here, certain)?;
            self.add(row);
        }
        if !rows.complete {
            self.left_out += 1;
        }
        Ok(rows.complete)
    }

    /// What rules do beside is told with what becomes of the packets, where these are the same.
    fn add(&mut self, row: RowTold) {
        let same =
            |known: &&mut RowTold| (&known.packets, known.certain) == (&row.packets, row.certain);
        match self.rows.iter_mut().find(same).filter(|_| row.what == "effect") {
            Some(known) => known.also.push(format!("{} -> {}", row.old, row.new)),
            None => self.rows.push(row),
        }
    }

    fn row(
        &mut self,
        difference: &Difference,
        row: &Row,
        here: &Packets,
        certain: bool,
    ) -> Result<RowTold> {
        let (what, old, new) = aspect_words(&difference.aspect);
        let among = here.and(&difference.packets)?;
        let witness = self.witness(&difference.aspect, &among)?;
        let certain = certain && witness.is_some();
        let depends_on = if certain { Vec::new() } else { self.depends(&among)? };
        let packets = row.on(self.way).shown(self.space).to_string();
        Ok(RowTold { what, old, new, also: Vec::new(), packets, certain, depends_on, witness })
    }

    /// Conditions that no field decides, of a packet of the set.
    fn depends(&self, packets: &Packets) -> Result<Vec<String>> {
        let Some(example) = self.space.example(packets)? else { return Ok(Vec::new()) };
        let open = self.asked(&example, packets)?.into_iter();
        let open = open.filter(|(unknown, _)| !matches!(unknown, Unknown::Named(_, 0)));
        let names: BTreeSet<String> = open.map(|(unknown, _)| unknown_words(&unknown)).collect();
        Ok(names.into_iter().take(CONDITIONS_MAX).collect())
    }

    /// What the unknowns say of a packet of the set that it hangs on.
    fn asked(&self, example: &Example, packets: &Packets) -> Result<Vec<(Unknown, bool)>> {
        let mut all = Vec::new();
        for (unknown, says) in &example.unknowns {
            if self.space.asks(packets, unknown)? {
                all.push((unknown.clone(), *says));
            }
        }
        Ok(all)
    }

    /// A packet of the set of which the engine says what is claimed.
    fn witness(&mut self, aspect: &Aspect, packets: &Packets) -> Result<Option<WitnessTold>> {
        let mut left = packets.clone();
        for _ in 0..TRIES {
            let Some(example) = self.space.example(&left)? else { break };
            let plain = self.plain(&example, packets)?;
            let given = given(&self.asked(&plain, packets)?);
            if let Some(told) = self.tried(aspect, &plain, &given) {
                return Ok(Some(told));
            }
            left = left.less(&self.space.like(&example)?)?;
        }
        Ok(None)
    }

    /// Without the length and the time to live, where any will do.
    fn plain(&self, example: &Example, packets: &Packets) -> Result<Example> {
        let plain = Example { length: 0, ttl: 0, ..example.clone() };
        let bytes = plain.packet().and_then(|packet| bytes_of(&packet));
        let Some((parsed, bytes)) = bytes.and_then(|b| Some((Parsed::new(&b).ok()?, b))) else {
            return Ok(example.clone());
        };
        let is = Example::of_packet(&parsed, &bytes, plain.mark, plain.state);
        let as_sent = Example { length: is.length, ttl: is.ttl, ..plain.clone() };
        let fits = self.space.contains(packets, &self.space.values(&as_sent));
        Ok(if fits { plain } else { example.clone() })
    }

    fn tried(
        &mut self,
        aspect: &Aspect,
        example: &Example,
        given: &[String],
    ) -> Option<WitnessTold> {
        let packet = example.packet()?;
        let bytes = bytes_of(&packet)?;
        if !is_of(&bytes, example) {
            return None;
        }
        let old = self.old.trial.run(self.space, self.way, example, &bytes)?;
        let new = self.new.trial.run(self.space, self.way, example, &bytes)?;
        let (old_by, new_by) = self.confirmed(aspect, (example, &bytes), (&old, &new))?;
        let played = self.played(example, &packet, (&old, &new));
        Some(WitnessTold {
            example: example.clone(),
            trace: trace(self.way, example, &packet, &self.old.name),
            circumstances: example.circumstances(),
            packet,
            played,
            given: given.to_vec(),
            old: words::decided(self.old, old_by),
            new: words::decided(self.new, new_by),
        })
    }

    /// What an engine with each of the rule sets says, which has seen the packets that lead to this one.
    fn played(&mut self, example: &Example, packet: &str, (old, new): (&Ran, &Ran)) -> PlayedTold {
        let mut heard = PlayedTold::default();
        for history in histories(example, packet) {
            let bytes = history.bytes().and_then(|mut bytes| bytes.pop());
            if !bytes.is_some_and(|bytes| is_of(&bytes, example)) {
                continue;
            }
            let before = self.old.trial.confirms(self.space, (self.way, example), &history, old);
            let after = match before {
                Heard::Same => {
                    self.new.trial.confirms(self.space, (self.way, example), &history, new)
                }
                other => other,
            };
            match after {
                Heard::Same => {
                    let of = (self.way, example);
                    let is_by_itself = old.verdict != new.verdict
                        && self.old.trial.shows_by_itself(of, &history, old)
                        && self.new.trial.shows_by_itself(of, &history, new);
                    let before = history.before.into_iter().map(|one| one.text).collect();
                    let is_announced = history.announces;
                    return PlayedTold {
                        is_played: true,
                        before,
                        is_announced,
                        is_by_itself,
                        ..heard
                    };
                }
                Heard::Other => heard.differs = true,
                Heard::Nothing => {}
            }
        }
        heard
    }

    /// Whether both runs show what is claimed; who decided then.
    fn confirmed(
        &self,
        aspect: &Aspect,
        (example, bytes): (&Example, &[u8]),
        (old, new): (&Ran, &Ran),
    ) -> Option<(Option<Decided>, Option<Decided>)> {
        match aspect {
            Aspect::Verdict(one, other) => {
                if (old.verdict, new.verdict) != (*one, *other) {
                    return None;
                }
                let ended = |ran: &Ran| {
                    ran.decided.last().copied().filter(|_| ran.verdict != Verdict::Accept)
                };
                let place = ended(new).or_else(|| ended(old))?;
                let there = |ran: &Ran| ran.decided_in(place.hook, place.table);
                Some((ended(old).or_else(|| there(old)), ended(new).or_else(|| there(new))))
            }
            Aspect::Translation(hook, one, other) => {
                let by = [(self.old, old), (self.new, new)].map(|(side, ran)| {
                    let by = ran.decided_in(*hook, TableName::Nat);
                    (by, by.map_or_else(String::new, |by| target_text(side, by)))
                });
                let [(old_by, old), (new_by, new)] = by;
                (old == *one && new == *other).then_some((old_by, new_by))
            }
            Aspect::Mark(hook, one, other) => {
                let mark =
                    |ran: &Ran| ran.marks.iter().find(|(at, _)| at == hook).map(|(_, mark)| *mark);
                self.values(example.mark, (*one, *other), (mark(old)?, mark(new)?), (old, new))
            }
            Aspect::Ttl(one, other) => {
                let came = Parsed::new(bytes).ok()?.ttl;
                let now = (old.ttl.into(), new.ttl.into());
                self.values(came.into(), (*one, *other), now, (old, new))
            }
            Aspect::Tos(one, other) => {
                let now = (old.tos.into(), new.tos.into());
                self.values(example.tos.into(), (*one, *other), now, (old, new))
            }
            Aspect::Effect(hook, table, text, is_new) => {
                let by = |side: &Side, ran: &Ran| {
                    let all = ran.matched.iter().copied().filter(|by| {
                        (by.hook, by.table) == (*hook, *table) && does(side, *by, text)
                    });
                    let all: Vec<Decided> = all.collect();
                    (all.len(), all.first().copied())
                };
                let ((before, old_by), (after, new_by)) = (by(self.old, old), by(self.new, new));
                let else_by = |ran: &Ran| ran.decided_in(*hook, *table);
                (before != after && (after > before) == *is_new)
                    .then(|| (old_by.or_else(|| else_by(old)), new_by.or_else(|| else_by(new))))
            }
        }
    }
}

impl Writer<'_> {
    /// Whether a field came out as is claimed.
    fn values(
        &self,
        came: u32,
        (one, other): (Value, Value),
        (before, after): (u32, u32),
        (old, new): (&Ran, &Ran),
    ) -> Option<(Option<Decided>, Option<Decided>)> {
        let is = before != after && one.fits(came, before) && other.fits(came, after);
        is.then(|| (last_of(self.old, old), last_of(self.new, new)))
    }
}

/// The last rule with a target that a packet matched.
fn last_of(side: &Side, ran: &Ran) -> Option<Decided> {
    let has_target = |by: &&Decided| {
        let rule = rule_at(side.trial.ruleset(), by.table, by.at);
        rule.is_some_and(|rule| matches!(rule.target, Jump::Target(_)))
    };
    ran.matched.iter().rev().find(has_target).copied()
}

fn target_text(side: &Side, by: Decided) -> String {
    match rule_at(side.trial.ruleset(), by.table, by.at).map(|rule| &rule.target) {
        Some(Jump::Target(target)) => words::target(target.as_ref()),
        _ => String::new(),
    }
}

fn does(side: &Side, by: Decided, text: &str) -> bool {
    target_text(side, by) == text
        || rule_at(side.trial.ruleset(), by.table, by.at).is_some_and(|rule| {
            rule.matches.iter().any(|one| {
                text.strip_prefix("-m ")
                    .is_some_and(|text| crate::algebra::chain::text_of(one.as_ref()) == text)
            })
        })
}

/// The packet that the words are of.
pub(crate) fn bytes_of(packet: &str) -> Option<Vec<u8>> {
    let mut reader = Reader::default();
    reader.lines(packet).ok()?;
    let [written] = reader.finish().try_into().ok()?;
    let written: crate::trace::notation::Written = written;
    Some(written.bytes)
}

/// Whether the bytes are the packet that the algebra speaks of.
fn is_of(bytes: &[u8], example: &Example) -> bool {
    let Ok(parsed) = Parsed::new(bytes) else { return false };
    let is = Example::of_packet(&parsed, bytes, example.mark, example.state);
    let mut wanted = example.clone();
    (wanted.in_interface, wanted.out_interface) = (None, None);
    wanted.unknowns.clear();
    if wanted.length == 0 {
        wanted.length = is.length;
    }
    if wanted.ttl == 0 {
        wanted.ttl = is.ttl;
    }
    // What its protocol has not got nobody looks at.
    let has_ports = matches!(is.protocol, 6 | 17 | 132 | 136) && !is.later_fragment;
    if !has_ports {
        (wanted.source_port, wanted.destination_port) = (is.source_port, is.destination_port);
    }
    if is.protocol != 6 || is.later_fragment {
        wanted.tcp_flags = is.tcp_flags;
    }
    if !matches!(is.protocol, 1 | 58) || is.later_fragment {
        wanted.icmp = is.icmp;
    }
    is == wanted
}

/// What unknowns say, in words; bits of one thing that is written are one number.
fn given(unknowns: &[(Unknown, bool)]) -> Vec<String> {
    let mut written: BTreeMap<&str, u32> = BTreeMap::new();
    let mut all = Vec::new();
    for (unknown, says) in unknowns {
        match unknown {
            Unknown::Written(place, bit) => {
                // A mark has 32 bits; what else is written is told by no number.
                let bit = 31_u32.checked_sub(*bit).map_or(0, |bit| u32::from(*says) << bit);
                *written.entry(place).or_default() |= bit;
            }
            _ => all.push(format!(
                "{} says {}",
                unknown_words(unknown),
                if *says { "yes" } else { "no" }
            )),
        }
    }
    all.extend(written.into_iter().map(|(place, number)| {
        let words = without_number(place);
        match place.contains("MARK") {
            true => format!("{words} writes the mark {number:#x}"),
            false => format!("{words} writes something in its range"),
        }
    }));
    all
}

/// The place of a target that writes, without the how manieth thing it is.
fn without_number(place: &str) -> &str {
    place.rsplit_once(" (").map_or(place, |(place, _)| place)
}

fn unknown_words(unknown: &Unknown) -> String {
    match unknown {
        Unknown::Named(text, 0) => format!("`-m {text}`"),
        Unknown::Named(text, _) => format!("`-m {text}` of what the packet is by then"),
        Unknown::Opaque(place) => place.clone(),
        Unknown::Written(place, _) => format!("what {} writes", without_number(place)),
        Unknown::FirstOfRelated => {
            "whether it begins a connection that a helper announced".to_string()
        }
    }
}

/// What is different, and how it was and is.
fn aspect_words(aspect: &Aspect) -> (&'static str, String, String) {
    let or_none = |text: &String, none: &str| {
        if text.is_empty() { none.to_string() } else { text.clone() }
    };
    match aspect {
        Aspect::Verdict(old, new) => ("verdict", words::verdict(*old), words::verdict(*new)),
        Aspect::Translation(_, old, new) => {
            ("translation", or_none(old, "no translation"), or_none(new, "no translation"))
        }
        Aspect::Mark(hook, old, new) => {
            let behind = format!(" behind {}", builtin_name(*hook));
            ("mark", value("mark", *old) + &behind, value("mark", *new))
        }
        Aspect::Ttl(old, new) => ("ttl", value("TTL", *old), value("TTL", *new)),
        Aspect::Tos(old, new) => ("tos", value("TOS", *old), value("TOS", *new)),
        Aspect::Effect(hook, table, text, is_new) => {
            let place = format!("{} {}", table.as_str(), builtin_name(*hook));
            match is_new {
                true => ("effect", format!("no {text}"), format!("{text} ({place})")),
                false => ("effect", format!("{text} ({place})"), format!("no {text}")),
            }
        }
    }
}

fn value(field: &str, value: Value) -> String {
    match value {
        Value::Is(number) if field == "TTL" => format!("TTL {number}"),
        Value::Is(number) => format!("{field} {number:#x}"),
        Value::AsItCame => format!("{field} as it came"),
        Value::Various => format!("another {field}"),
    }
}

/// The command that tells the way of the packet.
fn trace(way: Way, example: &Example, packet: &str, rules: &str) -> String {
    let length = if example.family == keepstate_packet::Family::V4 { 32 } else { 128 };
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    let (incoming, outgoing) = (name(&example.in_interface), name(&example.out_interface));
    let place = match way {
        Way::In => {
            let own = example.destination.ip(example.family);
            format!("--local {own}/{length} --in {incoming}")
        }
        Way::Through => format!("--in {incoming} --out {outgoing}"),
        Way::Out => {
            let own = example.source.ip(example.family);
            format!("--local {own}/{length} --in {outgoing}")
        }
    };
    format!("keepstate trace --rules {rules} {place} --packet '{packet}'")
}

impl Row {
    /// Without the interface that no packet of the way has.
    pub(crate) fn on(&self, way: Way) -> Self {
        let mut row = self.clone();
        match way {
            Way::In => row.values.remove(&Group::Out),
            Way::Out => row.values.remove(&Group::In),
            Way::Through => None,
        };
        row
    }
}

/// For a hook: which way its own chain lies on.
pub(crate) fn ways_of(hook: Hook) -> &'static [Way] {
    match hook {
        Hook::Prerouting => &[Way::In, Way::Through],
        Hook::Input => &[Way::In],
        Hook::Forward => &[Way::Through],
        Hook::Output => &[Way::Out],
        Hook::Postrouting => &[Way::Through, Way::Out],
    }
}
