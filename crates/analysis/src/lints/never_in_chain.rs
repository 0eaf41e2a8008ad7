//! A rule that asks for packets that never come to its chain.

use crate::algebra::space::{Group, Packets, Result, STATES};
use crate::algebra::way::{Outcome, Stage};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, entering};
use crate::lints::{and, closing, foremost, lacking, takers, untracks};
use crate::rule::words::OptionWords;
use keepstate_ruleset::model::{ChainIndex, Span, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::Verdict;
use std::collections::BTreeSet;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "never-in-chain",
    severity: Severity::Warning,
    title: "a rule for packets that never come to its chain",
    page: include_str!("never_in_chain.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let every = linted.space.every();
    for rule in &linted.rules {
        if !rule.matched.is_empty() || rule.asked.and(&every)?.is_empty() {
            continue;
        }
        let entering = linted.entering(rule);
        let wanted = rule.asked.and(&entering)?;
        if entering.is_empty() || !(wanted.is_empty() || lacking(linted, rule, &wanted)?) {
            continue;
        }
        // What stands above it takes all: that is said of it already.
        if rule.reached.is_empty() && closing(linted, rule)?.is_some() {
            continue;
        }
        let mut finding = Finding::new(
            rule.rule.span,
            format!("no packet that comes to {} fits this rule", rule.chain.name),
        );
        let table = rule.table.name;
        let mut search = Search {
            linted,
            rule,
            causes: Vec::new(),
            otherwise: None,
            is_before: false,
            is_translated: false,
            to_widen: None,
            seen: BTreeSet::new(),
        };
        let why = match (table, rule.words.states()) {
            (TableName::Nat, Some(_)) => {
                "table nat is asked for the first packet of a connection only, which is NEW, or RELATED where a \
                 helper announced it"
                    .to_string()
            }
            (TableName::Raw, Some(_)) => {
                "table raw comes before tracking: there every packet looks INVALID, or UNTRACKED where a rule \
                 said so"
                    .to_string()
            }
            _ => {
                let wanted = on_its_ways(linted, rule)?;
                let why = search.above((table, rule.at.chain), &wanted)?;
                search.to_widen = search.to_widen.filter(|_| why.is_some());
                match why {
                    Some(why) => why,
                    None => missing(linted, rule, &entering)?,
                }
            }
        };
        finding = search.advised(finding.evidence(why));
        for (span, text) in search.causes.into_iter().take(CAUSES_MAX) {
            finding = finding.label(span, text);
        }
        found.push(finding);
    }
    Ok(())
}

/// Parts of matches by which a chain is chosen, with what they ask for.
const PARTS: &[(&str, Group)] = &[
    ("-p", Group::Field(Field::Protocol)),
    ("-i", Group::In),
    ("-o", Group::Out),
    ("-s", Group::Field(Field::Source)),
    ("-d", Group::Field(Field::Destination)),
    ("--dport", Group::Field(Field::DestinationPort)),
    ("--dports", Group::Field(Field::DestinationPort)),
    ("--sport", Group::Field(Field::SourcePort)),
    ("--sports", Group::Field(Field::SourcePort)),
];

/// Parts of jumps that are named.
const JUMPS_MAX: usize = 3;

/// An option of a rule, of its header or of a match, as it is written.
fn part(rule: &Ruled<'_>, name: &str) -> Option<String> {
    let names = [name];
    let option = rule.words.header(name).or_else(|| rule.words.options(&names).next());
    option.map(|option| format!("`{}`", option.text()))
}

/// What a rule does with packets, in a word.
fn does(rule: &Ruled<'_>) -> &'static str {
    match decision(rule.rule) {
        Some(Verdict::Accept) => "accepts",
        Some(Verdict::Drop) => "drops",
        Some(Verdict::Reject(_)) => "rejects",
        _ => "takes",
    }
}

/// Rules that are named as causes.
const CAUSES_MAX: usize = 3;

/// Looks for where the packets of a rule get lost.
struct Search<'l, 'a> {
    linted: &'l Linted<'a>,
    rule: &'l Ruled<'a>,
    causes: Vec<(Span, String)>,
    /// The line of one of them that decides, and not as the rule does: it is not the rule's fault that it is not asked.
    otherwise: Option<u32>,
    /// It decides in an earlier table.
    is_before: bool,
    /// It decides before destinations are translated, and the rule names one.
    is_translated: bool,
    /// What to do where no jump lets in what the rule is to open.
    to_widen: Option<String>,
    seen: BTreeSet<ChainIndex>,
}

impl<'l, 'a> Search<'l, 'a> {
    fn name(&mut self, rule: &Ruled<'_>, text: impl Into<String>) {
        if !self.causes.iter().any(|(span, _)| *span == rule.rule.span) {
            self.causes.push((rule.rule.span, text.into()));
        }
    }

    fn takes(&mut self, taker: &Ruled<'_>, when: &str) {
        let decided = decision(taker.rule);
        if decided.is_some() && decided != decision(self.rule.rule) {
            self.otherwise = self.otherwise.or(Some(self.linted.line(taker.rule.span)));
        }
        self.name(taker, format!("{} them{when}", does(taker)));
    }

    /// The finding with what to do.
    fn advised(&self, finding: Finding) -> Finding {
        let fix = || self.linted.removal(self.rule, Expected::Nothing);
        match (self.otherwise, &self.to_widen) {
            (Some(line), _) if self.is_before && self.is_translated => finding.help(format!(
                "if it is for a service that is forwarded, the DNAT to it is missing: what it translates comes past \
                 line {line} with the address before; else take it out"
            )),
            (Some(line), _) if self.is_before => finding.help(format!(
                "if it is wanted, line {line} has to let its packets pass; else take it out"
            )),
            (Some(line), _) => finding.help(format!(
                "if it is wanted, its packets have to come here before line {line} decides about them; else take it \
                 out"
            )),
            (None, Some(help)) => finding.help(help.clone()),
            (None, None) => finding.fix(fix()),
        }
    }

    /// Why packets do not come into a chain, in a sentence.
    fn above(
        &mut self,
        (table, chain): (TableName, ChainIndex),
        wanted: &Packets,
    ) -> Result<Option<String>> {
        let own = self.rule.table.chain(chain);
        let Some(own) = own.filter(|_| self.seen.insert(chain)) else { return Ok(None) };
        if own.hook.is_some() {
            return self.before(wanted);
        }
        let leads = |other: &&Ruled<'_>| {
            let to = other.rule.target.chains();
            other.table.name == table && to.iter().any(|(to, _)| *to == chain)
        };
        let callers: Vec<&'l Ruled<'a>> = self.linted.rules.iter().filter(leads).collect();
        let mut why = None;
        for caller in &callers {
            let asked = caller.asked.and(wanted)?;
            if asked.is_empty() {
                continue;
            }
            let here = asked.and(&self.linted.entering(caller))?;
            if here.is_empty() {
                why = self.above((table, caller.at.chain), &asked)?.or(why);
                continue;
            }
            let mut takers = foremost(self.linted, takers(self.linted, caller, &here)?, &here)?;
            if takers.iter().any(|taker| !taker.is_opaque) {
                takers.retain(|taker| !taker.is_opaque);
            }
            if let Some(first) = takers.first() {
                let (line, does) = (self.linted.line(first.rule.span), does(first));
                // It asks for others, and has them: something has made others of them.
                let changed = first.asked.and(&here)?.is_empty();
                let untracked = if changed { self.untracked(&here)? } else { None };
                why = Some(match untracked {
                    Some(why) => format!("{why}; line {line} {does} them"),
                    None => format!("line {line} {does} them before {} is entered", own.name),
                });
            }
            takers.iter().for_each(|taker| self.takes(taker, ""));
            self.name(caller, "the chain is entered here");
        }
        if why.is_none()
            && callers.iter().all(|one| one.asked.and(wanted).is_ok_and(|p| p.is_empty()))
        {
            callers.iter().for_each(|caller| self.name(caller, "the chain is entered here"));
            why = Some(self.not_let_in(&own.name, &callers, wanted)?);
        }
        Ok(why)
    }

    /// What of the rule's match none of the rules lets in that lead to a chain, in a sentence.
    fn not_let_in(
        &mut self,
        chain: &str,
        callers: &[&Ruled<'_>],
        wanted: &Packets,
    ) -> Result<String> {
        let space = &self.linted.space;
        let accepted = self.linted.with_verdict(self.rule.table, Verdict::Accept)?;
        // Where its packets are let in anyway it would open nothing.
        if decision(self.rule.rule) == Some(Verdict::Accept) && !wanted.is_within(&accepted)? {
            let jump = if callers.len() == 1 { "the jump" } else { "a jump" };
            self.to_widen = Some(format!(
                "if it is wanted, widen {jump} to {chain}, or put the rule where its packets come; else take it out"
            ));
        }
        let why = match callers.len() {
            1 => format!("the rule that leads to {chain} asks for other packets"),
            _ => format!("none of the rules that lead to {chain} asks for such packets"),
        };
        let mut let_in = space.none();
        for caller in callers {
            let_in = let_in.or(&caller.asked)?;
        }
        for (name, group) in PARTS {
            if space.some_alike(wanted, &[*group])?.and(&let_in)?.is_empty()
                && let Some(own) = part(self.rule, name)
            {
                let mut theirs: Vec<String> = Vec::new();
                for one in callers.iter().filter_map(|caller| part(caller, name)) {
                    if !theirs.contains(&one) {
                        theirs.push(one);
                    }
                }
                let mut named: Vec<&str> = theirs.iter().map(String::as_str).collect();
                if named.len() > JUMPS_MAX {
                    named.truncate(JUMPS_MAX - 1);
                    named.push("others");
                }
                return Ok(format!("{why}: for {}, and this one for {own}", and(&named)));
            }
        }
        Ok(why)
    }

    /// Why packets do not come to the table of the rule as it asks for them.
    fn before(&mut self, wanted: &Packets) -> Result<Option<String>> {
        let linted = self.linted;
        let mut ending = Vec::new();
        for outcome in linted.outcomes.iter().filter(|outcome| leads_to(outcome, self.rule)) {
            let own = self.rule.table.name;
            for stage in outcome.stages.iter().take_while(|stage| stage.table != own) {
                for (verdict, at) in stage.walked.verdicts() {
                    if verdict == Verdict::Accept {
                        continue;
                    }
                    let ended = stage.walked.decided(&linted.space, verdict, at)?;
                    if !ended.and(wanted)?.is_empty() {
                        ending.push((linted.rule(stage.table, at), ended));
                    }
                }
            }
        }
        if let Some(plain) = linted.plainest(wanted)? {
            let values = linted.space.values(&plain);
            ending.sort_by_key(|(_, ended)| !linted.space.contains(ended, &values));
        }
        // One that takes them in some cases only is named where no other does.
        ending.sort_by_key(|(rule, _)| rule.is_some_and(|rule| rule.is_opaque));
        // Of those with nothing left to themselves the next one would take it.
        let (mut left, mut untold) = (wanted.clone(), wanted.clone());
        let mut enders = Vec::new();
        for (rule, ended) in ending {
            if let Some(rule) = rule.filter(|_| untold.and(&ended).is_ok_and(|own| !own.is_empty()))
            {
                untold = untold.less(&rule.asked)?;
                enders.push(rule);
            }
            left = left.less(&ended)?;
        }
        if !left.is_empty() {
            return self.untracked(&left);
        }
        self.is_before = true;
        let early =
            |rule: &&&Ruled<'_>| matches!(rule.table.name, TableName::Raw | TableName::Mangle);
        self.is_translated = self.rule.table.name == TableName::Filter
            && self.rule.words.header("-d").is_some_and(|option| !option.not)
            && enders.iter().filter(early).count() == enders.len();
        enders.iter().for_each(|rule| self.takes(rule, " before"));
        Ok(enders.first().map(|rule| {
            let line = linted.line(rule.rule.span);
            format!("line {line} {} them before they come so far", does(rule))
        }))
    }

    /// Whether packets have no state that the rule asks for because they are left untracked, in a sentence.
    fn untracked(&mut self, packets: &Packets) -> Result<Option<String>> {
        let states = self.rule.words.states().unwrap_or_default();
        if states.is_empty() || states.contains(&"UNTRACKED") {
            return Ok(None);
        }
        let linted = self.linted;
        let mut left = packets.clone();
        let mut by = Vec::new();
        for other in linted.rules.iter().filter(|other| untracks(other)) {
            if !other.matched.and(&left)?.is_empty() {
                left = left.less(&other.matched)?;
                by.push(other);
            }
        }
        if !left.is_empty() {
            return Ok(None);
        }
        // One that leaves all of them untracked is the cause by itself.
        for other in linted.rules.iter().filter(|other| untracks(other) && !other.is_opaque) {
            if packets.is_within(&other.matched)? {
                by = vec![other];
                break;
            }
        }
        by.iter().for_each(|rule| self.name(rule, "leaves them untracked"));
        Ok(by.first().map(|rule| {
            let line = linted.line(rule.rule.span);
            let states = states.join(" or ");
            format!("line {line} leaves them untracked, so that none of them is {states}")
        }))
    }
}

/// Whether packets may come to a rule on a way.
fn leads_to(outcome: &Outcome, rule: &Ruled<'_>) -> bool {
    let own = |stage: &Stage| stage.table == rule.table.name;
    outcome.stages.iter().any(|stage| own(stage) && stage.walked.rules().contains(&rule.at))
}

/// The packets that a rule asks for, of the ways that its chain lies on.
fn on_its_ways(linted: &Linted<'_>, rule: &Ruled<'_>) -> Result<Packets> {
    let mut all = linted.space.none();
    for outcome in linted.outcomes.iter().filter(|outcome| leads_to(outcome, rule)) {
        all = all.or(&outcome.way.packets(&linted.space)?)?;
    }
    all.and(&rule.asked)?.and(&entering(&linted.space, [linted.ruleset])?)
}

/// What of all that a rule asks for no packet has that comes to its chain.
fn missing(linted: &Linted<'_>, rule: &Ruled<'_>, entering: &Packets) -> Result<String> {
    let chain = &rule.chain.name;
    if let Some(states) = rule.words.states() {
        let bits = STATES.iter().filter(|(_, name)| states.contains(name));
        let bits = bits.fold(0, |bits, (bit, _)| bits | bit);
        if entering.and(&linted.in_states(bits)?)?.is_empty() {
            return Ok(format!("no packet that comes to {chain} is {}", states.join(" or ")));
        }
    }
    let header = PacketSet::of_header(&rule.rule.header);
    let fits = entering.and(&crate::lint::linted::plain(&linted.space, &header)?)?;
    let said = rule.words.header.iter().map(OptionWords::text).collect::<Vec<_>>().join(" ");
    if rule.words.header("-f").is_some_and(|option| !option.not) && linted.ruleset.needs().tracking
    {
        return Ok(
            "fragments are put together before any rule sees them, for connections are tracked"
                .into(),
        );
    }
    if fits.is_empty() {
        return Ok(format!("no packet that comes to {chain} has all of `{said}`"));
    }
    // It has the addresses and interfaces: what is it like otherwise?
    let told = linted.told(&fits)?;
    let more = if told.len() > 1 { ", and others" } else { "" };
    let first = told.first().map(|row| shortened(row));
    Ok(format!("of those with `{said}` there come to {chain}: {}{more}", first.unwrap_or_default()))
}

/// The beginning of a row, up to the end of one of its pieces.
fn shortened(row: &str) -> String {
    if row.chars().count() <= ROW_MAX {
        return row.into();
    }
    let cut = row.char_indices().take(ROW_MAX).filter(|(at, c)| {
        let is_open = row.get(..*at).is_some_and(|before| before.matches('`').count() % 2 == 1);
        *c == ' ' && !is_open
    });
    let end = cut.last().map_or(0, |(at, _)| at);
    format!("{} ...", row.get(..end).unwrap_or_default().trim_end_matches(','))
}

/// Longest row that is told, in characters.
const ROW_MAX: usize = 200;
