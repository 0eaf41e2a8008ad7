//! A rule set in a few lines: what may begin in which direction, what carries the rest of it, what is translated.
//! It is computed with the sets of packets that come through all tables, not read off the words.

use super::Chain;
use crate::algebra::rows::Row;
use crate::algebra::space::{Exhausted, Group, Packets, STATES, Space};
use crate::algebra::way::{Outcome, Way, follow};
use crate::answer::{Answer, Fact, Topic};
use crate::prose::chains::Makers;
use crate::prose::{list, targets};
use keepstate_conntrack::Hook;
use keepstate_packet::{Family, icmp, icmpv6, tcp};
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Ruleset, TableName, builtin_name};
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::syntax::iptables_command::script;
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::verdict::Verdict;
use std::collections::BTreeMap;

/// Most rules of a rule set whose packet sets are computed for its summary.
pub const RULES_MAX: usize = 3_000;
/// Most nodes of a diagram that are spent on it.
const NODES_MAX: usize = 1 << 20;
/// Lines of packets that are shown of one direction.
const ROWS_MAX: usize = 8;
/// Lines from which on it is looked whether fewer say what does not pass.
const EXCEPT_MIN: usize = 2;
/// Lines of packets within a sentence.
const WITHIN_MAX: usize = 2;
/// Rules that a line names.
const RULES_SHOWN_MAX: usize = 4;
/// Conditions that no packet tells of, as they are named.
const UNKNOWNS_MAX: usize = 4;
/// Translations that are shown.
const TRANSLATIONS_MAX: usize = 8;

/// What is told of a packet that begins something.
const TOLD: [Group; 8] = [
    Group::In,
    Group::Out,
    Group::Field(Field::Protocol),
    Group::Field(Field::Source),
    Group::Field(Field::Destination),
    Group::Field(Field::SourcePort),
    Group::Field(Field::DestinationPort),
    Group::Field(Field::Icmp),
];

/// Adds the summary of a rule set that was loaded.
pub(super) fn add(
    answer: &mut Answer,
    ruleset: &Ruleset,
    source: &str,
    all: &[Chain],
    family: Option<&'static str>,
) {
    let head = family.map_or_else(String::new, |family| format!("{family} "));
    let mut lines: Vec<(String, String)> = Vec::new();
    let count: usize = all.iter().map(|chain| chain.rules.len()).sum();
    let told = (count <= RULES_MAX).then(|| directions(ruleset, source));
    match told {
        Some(Ok(told)) => {
            lines.extend(told.into_iter().map(|(label, text)| (format!("{head}{label}"), text)));
        }
        Some(Err(Exhausted)) | None => lines.push((
            "too large".into(),
            "to be told in a few lines; keepstate reach --rules FILE FROM TO answers single questions"
                .into(),
        )),
    }
    lines.extend(besides(all, &head));
    for (field, text) in lines {
        answer.add(Topic::Short, Fact::Field { field, text });
    }
}

/// Adds what is known of a part of a rule set: not what passes, for that hangs on the rest.
pub(super) fn add_part(answer: &mut Answer, all: &[Chain], elsewhere: &[String]) {
    let mut names: Vec<String> = elsewhere.to_vec();
    let more = names.len().saturating_sub(UNKNOWNS_MAX);
    names.truncate(UNKNOWNS_MAX);
    names.extend((more > 0).then(|| format!("{more} more")));
    let stand = if elsewhere.len() == 1 { "stands" } else { "stand" };
    let text = format!("what passes: {} {stand} elsewhere", list(&names));
    let field = String::from("not told");
    answer.add(Topic::Short, Fact::Field { field, text });
    for (field, text) in besides(all, "") {
        answer.add(Topic::Short, Fact::Field { field, text });
    }
}

/// What is told beside what passes.
fn besides<'a>(all: &'a [Chain], head: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    let translated = translations(all).map(move |text| (format!("{head}translated"), text));
    translated.chain(makers(all).map(move |text| (format!("{head}chains of"), text)))
}

/// What each direction lets begin, and how the rest of a connection fares there.
fn directions(ruleset: &Ruleset, source: &str) -> Result<Vec<(String, String)>, Exhausted> {
    let (lines, is_script) = (&Lines::of(source), script::is_script(source));
    let mut space = Space::with_nodes(ruleset.family, [ruleset], NODES_MAX)?;
    let mut told = Vec::new();
    for (way, label) in
        [(Way::In, "to this host"), (Way::Through, "through it"), (Way::Out, "from it")]
    {
        let whole = space.all_of(Group::Field(Field::LaterFragment), &[(0, 0)])?;
        let entering = space.every().and(&whole)?;
        let outcome = follow(&mut space, ruleset, way, &entering)?;
        let direction = Direction { space: &space, ruleset, lines, outcome: &outcome };
        if direction.share(&way.packets(&space)?)? == Share::None {
            told.push((label.to_string(), "nothing passes".to_string()));
            continue;
        }
        let mut beginnings = direction.beginnings()?;
        if let Some(missing) = missing(ruleset, way, is_script) {
            // Without it everything passes that nothing before it refuses.
            if beginnings == [EVERYTHING] {
                told.push((label.to_string(), format!("not told here: {missing}")));
                continue;
            }
            beginnings.insert(0, format!("as far as is told here ({missing}):"));
        }
        for text in beginnings {
            told.push((label.to_string(), text));
        }
        told.extend(direction.rest()?.map(|text| ("and then".to_string(), text)));
    }
    Ok(told)
}

/// What decides which way packets may go, where the text does not have it.
fn missing(ruleset: &Ruleset, way: Way, is_script: bool) -> Option<String> {
    let hook = match way {
        Way::In => Hook::Input,
        Way::Through => Hook::Forward,
        Way::Out => Hook::Output,
    };
    let table = ruleset.table(TableName::Filter);
    let Some(filter) = table.filter(|filter| filter.declared) else {
        return Some("it has no table filter".into());
    };
    let chain = filter.builtin(hook).and_then(|at| filter.chain(at));
    // Commands are carried out on tables that have all of them.
    let is_there = is_script || chain.is_some_and(super::is_mentioned);
    (!is_there).then(|| format!("its table filter has no {}", builtin_name(hook)))
}

/// What passes where nothing is refused.
const EVERYTHING: &str = "everything may begin";

struct Direction<'a> {
    space: &'a Space,
    ruleset: &'a Ruleset,
    lines: &'a Lines,
    outcome: &'a Outcome,
}

/// How many of a kind of packets pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    None,
    Some,
    All,
}

impl Direction<'_> {
    /// Packets of a state that go this way.
    fn in_state(&self, bits: u8) -> Result<Packets, Exhausted> {
        let at = STATES.iter().position(|(bit, _)| *bit == bits).unwrap_or(0) as u128;
        let state = self.space.all_of(Group::Field(Field::State), &[(at, at)])?;
        let whole = self.space.all_of(Group::Field(Field::LaterFragment), &[(0, 0)])?;
        self.outcome.way.packets(self.space)?.and(&state)?.and(&whole)
    }

    /// The packets that begin something and pass, a line each.
    fn beginnings(&self) -> Result<Vec<String>, Exhausted> {
        let space = self.space;
        let protocol = u128::from(tcp::PROTOCOL);
        let is_tcp = space.all_of(Group::Field(Field::Protocol), &[(protocol, protocol)])?;
        let syn = u128::from(tcp::SYN);
        let is_syn = space.all_of(Group::Field(Field::TcpFlags), &[(syn, syn)])?;
        let new = self.in_state(ct::NEW)?.less(&is_tcp.less(&is_syn)?)?;
        let passed = self.outcome.passed.and(&new)?;
        let told = |packets: &Packets| space.some_alike(packets, &TOLD);
        let possible = told(&passed)?;
        let certain = told(&space.narrowest_of(&passed, |_| true)?.and(&new)?)?;
        let all = told(&new)?;
        if certain == all {
            return Ok(vec![EVERYTHING.into()]);
        }
        if possible.is_empty() {
            return Ok(vec!["nothing may begin".into()]);
        }
        let perhaps = possible.less(&certain)?;
        let mut texts = self.shorter(&certain, &all, perhaps.is_empty())?;
        if !perhaps.is_empty() {
            let on = self.depends_on(&passed)?;
            match self.rows(&perhaps)?.as_slice() {
                [one] => texts.push(format!("{one}, depending on {on}")),
                all => {
                    texts.extend(all.iter().map(|text| format!("{text} (perhaps)")));
                    texts.push(format!("(perhaps: depending on {on})"));
                }
            }
        }
        Ok(texts)
    }

    /// What may begin, in lines; what may not, where nothing hangs on conditions and that takes fewer.
    fn shorter(
        &self,
        passing: &Packets,
        all: &Packets,
        certain: bool,
    ) -> Result<Vec<String>, Exhausted> {
        let texts = self.rows(passing)?;
        if texts.len() < EXCEPT_MIN || !certain {
            return Ok(texts);
        }
        let refused = self.rows(&all.less(passing)?)?;
        if refused.len() * 2 > texts.len() {
            return Ok(texts);
        }
        if let [one] = refused.as_slice() {
            return Ok(vec![format!("everything may begin but {one}")]);
        }
        let head = core::iter::once(String::from("everything may begin but this:"));
        Ok(head.chain(refused).collect())
    }

    /// A set as lines.
    fn rows(&self, packets: &Packets) -> Result<Vec<String>, Exhausted> {
        if packets.is_empty() {
            return Ok(Vec::new());
        }
        let in_way = packets.and(&self.outcome.way.packets(self.space)?)?;
        let found = self.space.rows(&in_way)?;
        let text = |row: &Row| {
            let mut row = row.clone();
            // Which of the two sides there is none of, the direction says.
            let none = match self.outcome.way {
                Way::In => Some(Group::Out),
                Way::Out => Some(Group::In),
                Way::Through => None,
            };
            row.values.retain(|group, _| Some(*group) != none);
            row.shown(self.space).to_string()
        };
        let mut texts: Vec<String> = found.rows.iter().take(ROWS_MAX).map(text).collect();
        let more = found.rows.len().saturating_sub(ROWS_MAX);
        if more > 0 || !found.complete {
            let count = if found.complete { format!("{more} more") } else { "more".into() };
            texts.push(format!("... {count}; keepstate reach --rules FILE tells all"));
        }
        Ok(texts)
    }

    /// The conditions on which it hangs whether packets are in a set.
    fn depends_on(&self, packets: &Packets) -> Result<String, Exhausted> {
        let mut names = Vec::new();
        for unknown in self.space.unknowns() {
            let whatever = self.space.widest_of(packets, |one| one == unknown)?;
            if whatever != *packets {
                names.push(unknown.to_string());
            }
        }
        let more = names.len().saturating_sub(UNKNOWNS_MAX);
        names.truncate(UNKNOWNS_MAX);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        Ok(if names.is_empty() { "what no packet tells".into() } else { list(&names) })
    }

    /// How the packets fare that begin nothing.
    fn rest(&self) -> Result<Option<String>, Exhausted> {
        let established = self.in_state(ct::ESTABLISHED)?;
        let number = match self.ruleset.family {
            Family::V4 => icmp::PROTOCOL,
            Family::V6 => icmpv6::PROTOCOL,
        };
        let field = Group::Field(Field::Protocol);
        let errors = self.space.all_of(field, &[(number.into(), number.into())])?;
        let errors = self.in_state(ct::RELATED)?.and(&errors)?;
        let invalid = self.in_state(ct::INVALID)?;
        let shares = [self.share(&established)?, self.share(&errors)?, self.share(&invalid)?];
        // Where everything passes there is nothing to tell.
        if shares == [Share::All; 3] && self.deciding(&established, true, "ESTABLISHED")?.is_empty()
        {
            return Ok(None);
        }
        let [established_share, errors_share, invalid_share] = shares;
        let mut texts = vec![match established_share {
            Share::All => format!(
                "packets of connections that exist pass{}",
                by(&self.deciding(&established, true, "ESTABLISHED")?)
            ),
            Share::Some => format!(
                "packets of connections that exist pass {}{}",
                self.part(&established)?,
                by(&self.deciding(&established, true, "ESTABLISHED")?)
            ),
            Share::None => String::from("packets of connections that exist do not pass"),
        }];
        texts.push(match errors_share {
            Share::All => format!(
                "ICMP errors about them pass{}",
                by(&self.deciding(&errors, true, "RELATED")?)
            ),
            Share::Some => {
                format!("ICMP errors about them pass {}", self.part(&errors)?)
            }
            Share::None => String::from("ICMP errors about them do not pass"),
        });
        texts.push(match invalid_share {
            Share::All => String::from("INVALID passes"),
            Share::Some => String::from("INVALID passes where rules ask for no state"),
            Share::None => {
                format!("INVALID does not pass{}", by(&self.deciding(&invalid, false, "INVALID")?))
            }
        });
        Ok(Some(texts.join("; ")))
    }

    /// Which of them pass, where that is said in few words: `in eth0,lo`, `but for those in eth1`.
    fn part(&self, packets: &Packets) -> Result<String, Exhausted> {
        let told = |packets: &Packets| self.space.some_alike(packets, &[Group::In, Group::Out]);
        let passed = self.space.narrowest_of(&self.outcome.passed, |_| true)?.and(packets)?;
        let (passing, all) = (told(&passed)?, told(packets)?);
        // Where more than interfaces decides, the same interfaces are on both sides.
        if !told(&packets.less(&passed)?)?.and(&passing)?.is_empty() {
            return Ok("in part".into());
        }
        let texts = self.rows(&passing)?;
        // What passes for certain may be nothing at all.
        if texts.is_empty() {
            return Ok("in part".into());
        }
        let refused = self.rows(&all.less(&passing)?)?;
        let bare = |texts: &[String]| -> Vec<String> {
            texts.iter().map(|text| text.replace("any protocol ", "")).collect()
        };
        Ok(match (texts.len() <= WITHIN_MAX, refused.len() < texts.len()) {
            (_, true) if refused.len() <= WITHIN_MAX => {
                format!("but for those {}", list(&bare(&refused)))
            }
            (true, _) => list(&bare(&texts)),
            (false, _) => "in part".into(),
        })
    }

    fn share(&self, packets: &Packets) -> Result<Share, Exhausted> {
        let passed = self.outcome.passed.and(packets)?;
        Ok(if packets.less(&passed)?.is_empty() {
            Share::All
        } else if passed.is_empty() {
            Share::None
        } else {
            Share::Some
        })
    }

    /// The rules that name a state and decide about such packets.
    fn deciding(
        &self,
        packets: &Packets,
        accept: bool,
        state: &str,
    ) -> Result<Vec<String>, Exhausted> {
        let mut places = Vec::new();
        for stage in &self.outcome.stages {
            let Some(table) = self.ruleset.table(stage.table) else { continue };
            for (verdict, at) in stage.walked.verdicts() {
                if (verdict == Verdict::Accept) != accept {
                    continue;
                }
                let Some(chain) = table.chain(at.chain) else { continue };
                let Some(rule) = chain.rules.get(at.number as usize) else { continue };
                if !print_rule(self.ruleset.family, table, &chain.name, rule).contains(state)
                    || stage.walked.decided(self.space, verdict, at)?.and(packets)?.is_empty()
                {
                    continue;
                }
                let line = self.lines.line(rule.span);
                let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
                places.push(format!("{} {}{line}", chain.name, at.number + 1));
            }
        }
        Ok(places)
    }
}

/// ` by INPUT 2 (line 14)`.
fn by(places: &[String]) -> String {
    let more = places.len().saturating_sub(RULES_SHOWN_MAX);
    let mut shown: Vec<String> = places.iter().take(RULES_SHOWN_MAX).cloned().collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    if shown.is_empty() { String::new() } else { format!(", by {}", list(&shown)) }
}

/// The rules that translate.
fn translations(all: &[Chain]) -> impl Iterator<Item = String> + use<> {
    let mut texts = Vec::new();
    for chain in all.iter().filter(|chain| chain.table == "nat") {
        let mut room = usize::MAX;
        for told in super::groups(&chain.rules, &mut room) {
            let first = chain.rules.get(told.first.wrapping_sub(1));
            if first.is_some_and(|rule| rule.kind() == targets::Kind::Nat) {
                texts.push(format!("{} ({} {})", told.text, chain.name, told.numbers()));
            }
        }
    }
    let more = texts.len().saturating_sub(TRANSLATIONS_MAX);
    texts.truncate(TRANSLATIONS_MAX);
    if more > 0 {
        texts.push(format!("... {more} more"));
    }
    texts.into_iter()
}

/// Whose the chains are, by their names.
fn makers(all: &[Chain]) -> Option<String> {
    let makers = Makers::of(all.iter().map(|chain| chain.name.as_str()));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for chain in all {
        if let Some(maker) = makers.maker(&chain.name) {
            *counts.entry(maker).or_default() += 1;
        }
    }
    let named: Vec<String> =
        counts.iter().map(|(maker, count)| format!("{maker} ({count})")).collect();
    (!named.is_empty()).then(|| list(&named))
}
