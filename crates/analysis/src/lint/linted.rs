//! A rule set with what the algebra says of it: by rule the packets that come to it, that it asks for and that it
//! matches, over all ways through the host.

use crate::algebra::chain::RuleAt;
use crate::algebra::places::{self, is_opaque};
use crate::algebra::space::{Group, Interface, NODES_MAX, Packets, Result, STATES, Space};
use crate::algebra::way::{self, Outcome, Stage, Way};
use crate::algebra::{Apart, Row};
use crate::lint::finding::{Edit, Expected, Fix};
use crate::rule::words::RuleWords;
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{Chain, ChainIndex, Jump, Rule, Ruleset, Span, Table, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::syntax::iptables_command::{script, split};
use keepstate_ruleset::syntax::{iptables_list, iptables_save};
use keepstate_ruleset::verdict::{Step, Verdict};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What iptables-save prints.
    Save,
    /// Commands.
    Script,
    /// What `iptables -L` prints: it cannot be changed, only the rules that it tells of.
    Listing,
}

impl Form {
    /// Of a text.
    #[must_use]
    pub fn of(source: &str) -> Self {
        if script::is_script(source) {
            Self::Script
        } else if iptables_list::is_listing(source) {
            Self::Listing
        } else {
            Self::Save
        }
    }
}

/// A rule with its packets.
#[derive(Clone, Debug)]
pub struct Ruled<'a> {
    /// Its table.
    pub table: &'a Table,
    /// Its chain.
    pub chain: &'a Chain,
    /// Where it stands.
    pub at: RuleAt,
    /// Itself.
    pub rule: &'a Rule,
    /// Its line, in iptables-save form.
    pub line: String,
    /// The words of that.
    pub words: RuleWords,
    /// The packets that come to it, on any way.
    pub reached: Packets,
    /// Those of them that it matches.
    pub matched: Packets,
    /// Those that it asks for, whoever comes.
    pub asked: Packets,
    /// Whether what it looks at is as it came in: then `matched` is `reached` and `asked`.
    pub is_plain: bool,
    /// Whether a match of it counts, draws, or looks at what other packets have left behind.
    pub is_opaque: bool,
}

/// A rule file looked over.
pub struct Linted<'a> {
    /// Its text.
    pub source: &'a str,
    /// What the text is.
    pub form: Form,
    /// What it says.
    pub ruleset: &'a Ruleset,
    /// The rules of the other family that are loaded with it.
    pub beside: Option<&'a Ruleset>,
    /// All that packets can be.
    pub space: Space,
    /// What becomes of packets, by way.
    pub outcomes: Vec<Outcome>,
    /// All rules, by table, chain and number.
    pub rules: Vec<Ruled<'a>>,
    lines: Lines,
    by_place: BTreeMap<(TableName, RuleAt), usize>,
    ends: BTreeMap<(TableName, ChainIndex), Packets>,
    /// Lines that several rules share.
    shared: BTreeSet<u32>,
    /// The packets that rules take out of their chains, as far as somebody has asked.
    taken: RefCell<BTreeMap<(TableName, RuleAt), Packets>>,
    /// What there can be, as soon as somebody has asked.
    pub(super) possible: RefCell<Option<Packets>>,
    /// What findings name, the same.
    pub(super) likely: RefCell<Option<std::rc::Rc<super::likely::Likely>>>,
}

impl std::fmt::Debug for Linted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Linted({} rules)", self.rules.len())
    }
}

impl<'a> Linted<'a> {
    /// Looks a rule set over.
    pub fn new(source: &'a str, ruleset: &'a Ruleset, beside: Option<&'a Ruleset>) -> Result<Self> {
        let mut apart = Apart::new(ruleset.family);
        crate::lints::hairpin_missing::add_addresses(&mut apart, ruleset);
        apart.add_values(&super::around::asked(ruleset.family));
        let mut space = Space::apart([ruleset], apart, NODES_MAX)?;
        let every = entering(&space, [ruleset])?;
        let mut outcomes = Vec::new();
        for one in Way::ALL {
            outcomes.push(way::follow(&mut space, ruleset, one, &every)?);
        }
        let mut linted = Self {
            source,
            form: Form::of(source),
            ruleset,
            beside,
            space,
            outcomes,
            rules: Vec::new(),
            lines: Lines::of(source),
            by_place: BTreeMap::new(),
            ends: BTreeMap::new(),
            shared: BTreeSet::new(),
            taken: RefCell::default(),
            possible: RefCell::default(),
            likely: RefCell::default(),
        };
        for table in &ruleset.tables {
            linted.table(table)?;
        }
        Ok(linted)
    }

    fn table(&mut self, table: &'a Table) -> Result<()> {
        let mut seen = BTreeSet::new();
        for (index, chain) in (0..).zip(&table.chains) {
            let index = ChainIndex(index);
            let asked = places::asked(&mut self.space, table, index)?;
            for ((number, rule), asked) in (0..).zip(&chain.rules).zip(asked) {
                let at = RuleAt { chain: index, number };
                let (reached, matched) = (self.reached(table, at)?, self.matched(table, at)?);
                let is_plain = reached.and(&asked)? == matched;
                let line = iptables_save::print_rule(self.ruleset.family, table, &chain.name, rule);
                let words: Vec<String> =
                    split(&line).unwrap_or_default().into_iter().skip(2).collect();
                let family = self.ruleset.family;
                let words = RuleWords::read(family, table.name.as_str(), &chain.name, &words);
                if !seen.insert(rule.span.start) {
                    self.shared.insert(rule.span.start);
                }
                self.by_place.insert((table.name, at), self.rules.len());
                let is_opaque = is_opaque(rule);
                self.rules.push(Ruled {
                    table,
                    chain,
                    at,
                    rule,
                    line,
                    words,
                    reached,
                    matched,
                    asked,
                    is_plain,
                    is_opaque,
                });
            }
            let end = RuleAt { chain: index, number: chain.rules.len() as u32 };
            let reached = self.reached(table, end)?;
            self.ends.insert((table.name, index), reached);
        }
        Ok(())
    }

    /// The packets that come to a rule, on any way.
    fn reached(&self, table: &Table, at: RuleAt) -> Result<Packets> {
        self.over_stages(table, |stage| stage.walked.reached(&self.space, at))
    }

    /// Those of them that it matches.
    fn matched(&self, table: &Table, at: RuleAt) -> Result<Packets> {
        self.over_stages(table, |stage| stage.walked.matched(&self.space, at))
    }

    fn over_stages(
        &self,
        table: &Table,
        of: impl Fn(&Stage) -> Result<Packets>,
    ) -> Result<Packets> {
        let mut sum = self.space.none();
        let stages = self.outcomes.iter().flat_map(|outcome| &outcome.stages);
        for stage in stages.filter(|stage| stage.table == table.name) {
            sum = sum.or(&of(stage)?)?;
        }
        Ok(sum)
    }

    /// The packets with a verdict of a table, whoever of its rules and policies gives it.
    pub fn with_verdict(&self, table: &Table, verdict: Verdict) -> Result<Packets> {
        self.over_stages(table, |stage| {
            stage.walked.with_verdict(&self.space, |one| one == verdict)
        })
    }

    /// The verdicts that packets may get in a table.
    #[must_use]
    pub fn verdicts(&self, table: &Table) -> Vec<Verdict> {
        let mut all: Vec<Verdict> = Vec::new();
        let stages = self.outcomes.iter().flat_map(|outcome| &outcome.stages);
        for stage in stages.filter(|stage| stage.table == table.name) {
            for (verdict, _) in stage.walked.verdicts() {
                if !all.contains(&verdict) {
                    all.push(verdict);
                }
            }
        }
        all
    }

    /// Whether the policies are set elsewhere: commands that set none are carried out on rules that are there.
    #[must_use]
    pub fn policy_is_elsewhere(&self) -> bool {
        let sets = |line: &str| {
            let mut words = line.split_whitespace();
            words.any(|word| matches!(word, "-P" | "--policy"))
        };
        self.form == Form::Script && !self.source.lines().any(sets)
    }

    /// The packets that do not come to the end of a way.
    pub fn ended(&self, way: Way) -> Result<Packets> {
        let every = entering(&self.space, [self.ruleset])?;
        every.and(&way.packets(&self.space)?)?.less(&self.passed(way))
    }

    /// The rule at a place.
    #[must_use]
    pub fn rule(&self, table: TableName, at: RuleAt) -> Option<&Ruled<'a>> {
        self.by_place.get(&(table, at)).and_then(|index| self.rules.get(*index))
    }

    /// The place of a rule among all.
    #[must_use]
    pub fn index(&self, table: TableName, at: RuleAt) -> Option<usize> {
        self.by_place.get(&(table, at)).copied()
    }

    /// The rules of a chain.
    pub fn chain_rules(
        &self,
        table: TableName,
        chain: ChainIndex,
    ) -> impl Iterator<Item = &Ruled<'a>> {
        let first = RuleAt { chain, number: 0 };
        let last = RuleAt { chain, number: u32::MAX };
        let places = self.by_place.range((table, first)..=(table, last));
        places.filter_map(|(_, index)| self.rules.get(*index))
    }

    /// The packets that come to the end of a chain.
    #[must_use]
    pub fn end(&self, table: TableName, chain: ChainIndex) -> Packets {
        self.ends.get(&(table, chain)).cloned().unwrap_or_else(|| self.space.none())
    }

    /// The packets that enter the chain of a rule.
    #[must_use]
    pub fn entering(&self, rule: &Ruled<'_>) -> Packets {
        let first = self.rule(rule.table.name, RuleAt { number: 0, ..rule.at });
        first.map_or_else(|| self.space.none(), |first| first.reached.clone())
    }

    /// The packets that go on behind a rule in its chain.
    #[must_use]
    pub fn behind(&self, rule: &Ruled<'_>) -> Packets {
        let next = RuleAt { number: rule.at.number + 1, ..rule.at };
        match self.rule(rule.table.name, next) {
            Some(next) => next.reached.clone(),
            None => self.end(rule.table.name, rule.at.chain),
        }
    }

    /// The packets that a rule takes out of its chain.
    pub fn taken(&self, rule: &Ruled<'_>) -> Result<Packets> {
        let place = (rule.table.name, rule.at);
        if let Some(known) = self.taken.borrow().get(&place) {
            return Ok(known.clone());
        }
        let taken = rule.matched.less(&self.behind(rule))?;
        self.taken.borrow_mut().insert(place, taken.clone());
        Ok(taken)
    }

    /// What becomes of the packets that go a way.
    #[must_use]
    pub fn outcome(&self, way: Way) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.way == way)
    }

    /// The packets that come to the end of a way.
    #[must_use]
    pub fn passed(&self, way: Way) -> Packets {
        self.outcome(way).map_or_else(|| self.space.none(), |outcome| outcome.passed.clone())
    }

    /// Packets of these states, by [`STATES`]' bits.
    pub fn in_states(&self, bits: u8) -> Result<Packets> {
        let numbers = STATES.iter().enumerate().filter(|(_, (bit, _))| bits & bit != 0);
        let ranges: Vec<_> = numbers.map(|(at, _)| (at as u128, at as u128)).collect();
        self.space.all_of(Group::Field(Field::State), &ranges)
    }

    /// Packets that rules leave untracked: whatever they are, they have no other state.
    pub fn untracked(&self) -> Result<Packets> {
        let mut all = self.space.none();
        for rule in self.rules.iter().filter(|rule| crate::lints::untracks(rule)) {
            all = all.or(&rule.matched)?;
        }
        Ok(all)
    }

    /// Packets with a field in a range; of addresses one that rules name ([`Space::touching`]).
    pub fn within(&self, field: Field, low: u128, high: u128) -> Result<Packets> {
        self.space.all_of(Group::Field(field), &[(low, high)])
    }

    /// Packets that came in by the interface of this name.
    pub fn entered_by(&self, name: &str) -> Result<Packets> {
        let number = self.space.interface_number(name);
        self.space.all_of(Group::In, &[(number, number)])
    }

    /// Packets that leave by the interface of this name, where rules tell it apart; else none.
    pub fn left_by(&self, name: &str) -> Result<Packets> {
        let number = self.space.interface_number(name);
        match self.space.interfaces().contains(&Interface::Named(name.into())) {
            true => self.space.all_of(Group::Out, &[(number, number)]),
            false => Ok(self.space.none()),
        }
    }

    /// Packets that did not come in by the loopback interface, as far as the rules tell it apart.
    pub fn outside(&self) -> Result<Packets> {
        let lo = Interface::Named("lo".into());
        match self.space.interfaces().contains(&lo) {
            true => self.space.every().less(&self.entered_by("lo")?),
            false => Ok(self.space.every()),
        }
    }

    /// A chain of the table filter, where it has rules or a policy other than ACCEPT.
    #[must_use]
    pub fn base(&self, table: TableName, hook: Hook) -> Option<(&'a Table, ChainIndex, &'a Chain)> {
        let table = self.ruleset.table(table)?;
        let index = table.builtin(hook)?;
        Some((table, index, table.chain(index)?))
    }

    /// Rules with a target of this name.
    pub fn with_target<'s>(&'s self, names: &'s [&str]) -> impl Iterator<Item = &'s Ruled<'a>> {
        self.rules.iter().filter(move |rule| names.contains(&rule.words.target_name()))
    }

    /// The text at a place of the file.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.source.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// The line of a rule, from 1; 0 where it has none.
    #[must_use]
    pub fn line(&self, span: Span) -> u32 {
        self.lines.line(span).unwrap_or(0)
    }

    /// Whether rules may be taken out and put in at the lines of this rule: one line for one rule.
    #[must_use]
    pub fn is_editable(&self, rule: &Ruled<'_>) -> bool {
        let span = rule.rule.span;
        let alone = span.end > span.start && !self.shared.contains(&span.start);
        let text = self.text(span);
        let after = self.source.as_bytes().get(span.end as usize);
        let before = self.source.get(..span.start as usize).unwrap_or("");
        let first = before.rsplit('\n').next().unwrap_or("").trim();
        let whole = first.is_empty() && matches!(after, None | Some(b'\n' | b'\r'));
        alone
            && whole
            && match self.form {
                Form::Save => text.trim_start().starts_with(['-', '[']),
                Form::Script => !text.contains(['$', '\\', '`', ';', '|', '&', '{', '\n']),
                Form::Listing => false,
            }
    }

    /// The whole line of a rule, its line end included.
    #[must_use]
    pub fn whole_line(&self, span: Span) -> Span {
        let before = self.source.get(..span.start as usize).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.source.get(span.end as usize..).unwrap_or("");
        let end = rest.find('\n').map_or(self.source.len(), |at| span.end as usize + at + 1);
        Span { start: start as u32, end: end as u32 }
    }

    /// A fix that takes a rule out.
    #[must_use]
    pub fn removal(&self, rule: &Ruled<'_>, expected: Expected) -> Option<Fix> {
        self.is_editable(rule).then(|| Fix {
            text: "take the rule out".into(),
            edits: vec![Edit { span: self.whole_line(rule.rule.span), text: String::new() }],
            expected,
        })
    }

    /// A fix that takes several rules out.
    #[must_use]
    pub fn removals(&self, rules: &[&Ruled<'_>], expected: Expected) -> Option<Fix> {
        let mut edits = Vec::new();
        for rule in rules {
            edits.extend(self.removal(rule, Expected::Nothing)?.edits);
        }
        edits.sort_by_key(|edit| edit.span.start);
        let text = format!("take these {} rules out", edits.len());
        Some(Fix { text, edits, expected })
    }

    /// A fix that puts other words into the line of a rule: the first piece of its text that is `old`.
    #[must_use]
    pub fn rewrite(
        &self,
        rule: &Ruled<'_>,
        old: &str,
        new: &str,
        expected: Expected,
    ) -> Option<Fix> {
        if !self.is_editable(rule) {
            return None;
        }
        let span = rule.rule.span;
        let text = self.text(span);
        let at = text.find(old)?;
        let start = span.start + at as u32;
        let span = Span { start, end: start + old.len() as u32 };
        let told = if new.is_empty() {
            format!("leave `{}` out", old.trim())
        } else {
            format!("write `{}`", new.trim())
        };
        Some(Fix { text: told, edits: vec![Edit { span, text: new.into() }], expected })
    }

    /// A fix that puts a rule, from `-A` on, before another.
    #[must_use]
    pub fn insertion(&self, before: &Ruled<'_>, rule: &str, expected: Expected) -> Option<Fix> {
        if !self.is_editable(before) {
            return None;
        }
        // Commands that come later may put rules at the head of the chain.
        let inserts = |word: &str| matches!(word, "-I" | "--insert");
        if self.form == Form::Script && self.source.split_whitespace().any(inserts) {
            return None;
        }
        let span = before.rule.span;
        let line = self.lines_beside(before, rule)?;
        let at = self.whole_line(span).start;
        let edits = vec![Edit { span: Span { start: at, end: at }, text: line }];
        let text = format!("put `{}` before line {}", one_line(rule), self.line(span));
        Some(Fix { text, edits, expected })
    }

    /// A fix that puts rules, each from `-A` on, in the place of one.
    #[must_use]
    pub fn replacement(&self, old: &Ruled<'_>, rules: &str, expected: Expected) -> Option<Fix> {
        if !self.is_editable(old) {
            return None;
        }
        let text = self.lines_beside(old, rules)?;
        let edits = vec![Edit { span: self.whole_line(old.rule.span), text }];
        let text = match rules.lines().count() {
            1 => format!("put `{rules}` in its place"),
            many => format!("put those {many} rules in its place"),
        };
        Some(Fix { text, edits, expected })
    }

    /// Rules, each from `-A` on, as lines of the file that one of its rules stands in.
    fn lines_beside(&self, like: &Ruled<'_>, rules: &str) -> Option<String> {
        let old = self.text(like.rule.span);
        match self.form {
            Form::Save => {
                // Counters of a new rule are those of none.
                let counters = if old.starts_with('[') { "[0:0] " } else { "" };
                Some(rules.lines().map(|one| format!("{counters}{one}\n")).collect())
            }
            Form::Script => {
                let tool = old.split_whitespace().next().filter(|tool| tool.contains("tables"))?;
                let table = like.table.name.as_str();
                Some(rules.lines().map(|one| format!("{tool} -t {table} {one}\n")).collect())
            }
            Form::Listing => None,
        }
    }

    /// A fix that puts a rule at the end of a chain's rules or, where it has none, before COMMIT.
    #[must_use]
    pub fn first_in(
        &self,
        table: &Table,
        chain: ChainIndex,
        rule: &str,
        expected: Expected,
    ) -> Option<Fix> {
        let first = self.rule(table.name, RuleAt { chain, number: 0 });
        if let Some(first) = first {
            return self.insertion(first, rule, expected);
        }
        if self.form != Form::Save {
            return None;
        }
        let at = self.end_of(table.name)?;
        let edits = vec![Edit { span: Span { start: at, end: at }, text: format!("{rule}\n") }];
        let text = format!("put in `{}`", one_line(rule));
        Some(Fix { text, edits, expected })
    }

    /// Where COMMIT stands behind a table: the last one of that name, which replaces those before it.
    fn end_of(&self, table: TableName) -> Option<u32> {
        let head = format!("*{}", table.as_str());
        let (mut at, mut inside, mut found) = (0, false, None);
        for line in self.source.split_inclusive('\n') {
            let text = line.trim_end();
            inside |= text == head;
            if inside && text == "COMMIT" {
                (inside, found) = (false, Some(at));
            }
            at += line.len() as u32;
        }
        found
    }

    /// The same for the chain of a hook, with its table where the file has none.
    #[must_use]
    pub fn first_of(
        &self,
        table: TableName,
        hook: Hook,
        rule: &str,
        expected: Expected,
    ) -> Option<Fix> {
        if let Some((table, chain, _)) = self.base(table, hook).filter(|(table, ..)| table.declared)
        {
            return self.first_in(table, chain, rule, expected);
        }
        if self.form != Form::Save {
            return None;
        }
        let end = self.source.len() as u32;
        let mut text = String::new();
        if !self.source.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("*{}\n", table.as_str()));
        for hook in table.hooks() {
            let chain = keepstate_ruleset::model::builtin_name(*hook);
            text.push_str(&format!(":{chain} ACCEPT [0:0]\n"));
        }
        text.push_str(&format!("{rule}\nCOMMIT\n"));
        let edits = vec![Edit { span: Span { start: end, end }, text }];
        let text = format!("add table {} with `{rule}`", table.as_str());
        Some(Fix { text, edits, expected })
    }

    /// A set in a few lines for people.
    pub fn told(&self, packets: &Packets) -> Result<Vec<String>> {
        let rows = self.space.rows(packets)?;
        // On a way of its own it goes without saying that a packet goes out by no interface; and where connections are
        // tracked that it is no later fragment.
        let mut way = Way::Through;
        for one in Way::ALL {
            if packets.is_within(&one.packets(&self.space)?)? {
                way = one;
            }
        }
        let whole = self.ruleset.needs().tracking;
        let shown = |row: &Row| {
            let mut row = row.on(way);
            if whole {
                row.values.remove(&Group::Field(Field::LaterFragment));
            }
            row.shown(&self.space).to_string()
        };
        let mut told: Vec<String> = rows.rows.iter().take(TOLD_MAX).map(shown).collect();
        if rows.rows.len() > TOLD_MAX || !rows.complete {
            told.push("and more".into());
        }
        Ok(told)
    }

    /// Whether addresses are of IPv4.
    #[must_use]
    pub fn is_v4(&self) -> bool {
        self.ruleset.family == Family::V4
    }
}

/// Rules as they are told of.
fn one_line(rules: &str) -> String {
    rules.replace('\n', "; ")
}

/// The packets that come to rules: where connections are tracked, fragments are put together before any rule sees
/// them, so that none is a later one.
pub fn entering<const N: usize>(space: &Space, rulesets: [&Ruleset; N]) -> Result<Packets> {
    if rulesets.iter().all(|ruleset| ruleset.needs().tracking) {
        let whole = space.all_of(Group::Field(Field::LaterFragment), &[(0, 0)])?;
        return space.every().and(&whole);
    }
    Ok(space.every())
}

/// Lines of a set that are told.
const TOLD_MAX: usize = 4;

/// What a rule decides by itself, whatever the packet.
#[must_use]
pub fn decision(rule: &Rule) -> Option<Verdict> {
    match &rule.target {
        Jump::Standard(Step::Verdict(verdict)) => Some(*verdict),
        Jump::Target(target) => match target.effect() {
            effect if !effect.writes.is_empty() => None,
            effect => match effect.steps.as_slice() {
                [Step::Verdict(verdict)] => Some(*verdict),
                _ => None,
            },
        },
        Jump::None | Jump::Jump(_) | Jump::Goto(_) | Jump::Standard(_) => None,
    }
}

/// How a chain refuses every packet that enters it; `None` where one may be accepted or come back, or is decided about
/// by a further chain.
#[must_use]
pub fn refusal(table: &Table, chain: ChainIndex) -> Option<Verdict> {
    for rule in &table.chain(chain)?.rules {
        let asks_nothing =
            matches!(PacketSet::of_rule(rule), PacketSet::All(parts) if parts.is_empty());
        match (decision(rule), &rule.target) {
            (Some(verdict), _) if !refuses(verdict) => return None,
            (Some(verdict), _) if asks_nothing => return Some(verdict),
            (Some(_), _) | (None, Jump::None) => {}
            (None, Jump::Target(target)) if matches!(target.name(), "LOG" | "NFLOG") => {}
            (None, _) => return None,
        }
    }
    None
}

/// In a word.
#[must_use]
pub const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accepted",
        Verdict::Drop => "dropped",
        Verdict::Reject(_) => "rejected",
        Verdict::Queue(_) => "queued",
        Verdict::Synproxy(_) => "opened by SYNPROXY",
    }
}

/// Whether a verdict keeps the packet from going on.
#[must_use]
pub const fn refuses(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Drop | Verdict::Reject(_))
}

/// A formula without unknowns as a set; of one with unknowns, more.
pub fn plain(space: &Space, set: &PacketSet) -> Result<Packets> {
    Ok(match set {
        PacketSet::All(sets) => {
            let mut all = space.none().others()?;
            for one in sets {
                all = all.and(&plain(space, one)?)?;
            }
            all
        }
        PacketSet::In(field, ranges) => space.fielded(*field, ranges)?,
        PacketSet::Interface(outward, wanted) => {
            let group = if *outward { Group::Out } else { Group::In };
            space.all_of(group, &space.interface_ranges(wanted))?
        }
        _ => space.none().others()?,
    })
}
