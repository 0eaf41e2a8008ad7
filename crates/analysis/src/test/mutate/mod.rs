//! Rules changed one place at a time: a change that no test notices is a place that no test looks at.

mod alike;
mod changes;
mod proof;
mod sheet;

pub use sheet::Sheet;

use super::run::Bench;
use super::suggest::{self, Suggested};
use super::told::{MutationTold, Survivor};
use super::{Form, RuleText, Setup, Suite, Test};
use crate::rule::words::RuleWords;
use alike::Alike;
use keepstate_packet::Family;
use keepstate_ruleset::model::{ChainIndex, Policy, Ruleset, TableName};
use keepstate_ruleset::syntax::{iptables_command, iptables_save};
use proof::Proof;
use sheet::What;
use std::collections::BTreeSet;

/// Most changes that are tried of one rule set.
pub const MUTANTS_MAX: usize = 10_000;

/// A rule by table, chain and number from 0.
pub type Place = (TableName, ChainIndex, u32);

/// Where the rules of a changed rule set stood before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Where they stand.
    Same,
    /// This one is gone.
    Dropped(Place),
    /// This one and the next have changed places.
    Swapped(Place),
}

impl Shift {
    /// The place of a rule before the change.
    #[must_use]
    pub fn origin(self, (table, chain, number): Place) -> Place {
        let moved = match self {
            Self::Dropped((t, c, gone)) if (t, c) == (table, chain) && number >= gone => number + 1,
            Self::Swapped((t, c, first)) if (t, c) == (table, chain) && number == first => {
                first + 1
            }
            Self::Swapped((t, c, first)) if (t, c) == (table, chain) && number == first + 1 => {
                first
            }
            _ => number,
        };
        (table, chain, moved)
    }
}

/// A rule set with one change.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The line of the sheet that it is made at.
    at: usize,
    /// The rule; of a policy one past the last.
    of: Place,
    /// The line in the file.
    pub line: u32,
    /// `filter:INPUT:3`.
    pub place: String,
    /// The rule, or the chain.
    pub rule: String,
    /// What is changed.
    pub change: String,
    /// The line in its place; `None`: there is none.
    pub instead: Option<String>,
    /// The rule behind it, where the two change places.
    pub next: Option<String>,
    /// Where the other rules stood.
    pub shift: Shift,
}

/// The changes of a rule set.
#[derive(Debug, Default)]
pub struct Mutants {
    /// In the order of the file.
    pub all: Vec<Mutant>,
    /// Rules and policies of which not all changes, or none, are among them: [`MUTANTS_MAX`].
    pub left_out: usize,
    /// Of neighbours whose order makes no difference, and the like.
    pub equal: usize,
}

/// The changes of a rule set.
#[must_use]
pub fn mutants(ruleset: &Ruleset, text: &RuleText, sheet: &Sheet) -> Mutants {
    let mut found = Mutants::default();
    for (at, line) in sheet.lines.iter().enumerate() {
        let room = MUTANTS_MAX.saturating_sub(found.all.len());
        if room == 0 {
            found.left_out += usize::from(!matches!(line.what, What::Head));
            continue;
        }
        let mut new = match &line.what {
            What::Chain(table, chain) => policy(ruleset, at, (*table, *chain)),
            What::Rule(place) => of_rule(ruleset, text.family, sheet, at, *place, &mut found.equal),
            What::Head => Vec::new(),
        };
        found.left_out += usize::from(new.len() > room);
        new.truncate(room);
        for mutant in &mut new {
            mutant.line = line.line.map_or(0, |line| line + text.lines_before);
        }
        found.all.extend(new);
    }
    found
}

/// The policy of a chain turned round.
fn policy(ruleset: &Ruleset, at: usize, (table, index): (TableName, ChainIndex)) -> Vec<Mutant> {
    let Some(chain) = ruleset.table(table).and_then(|table| table.chain(index)) else {
        return Vec::new();
    };
    // What the file does not say; and elsewhere chains without rules stand there because every chain does.
    let is_said = chain.span.end > chain.span.start;
    if !is_said || table != TableName::Filter && chain.rules.is_empty() {
        return Vec::new();
    }
    let (was, is) = match chain.policy {
        Some(Policy::Accept) => ("ACCEPT", "DROP"),
        Some(Policy::Drop) => ("DROP", "ACCEPT"),
        None => return Vec::new(),
    };
    let line = |policy| format!(":{} {policy} [0:0]", chain.name);
    let end = u32::try_from(chain.rules.len()).unwrap_or(u32::MAX);
    vec![Mutant {
        at,
        of: (table, index, end),
        line: 0,
        place: format!("{}:{}:policy", table.as_str(), chain.name),
        rule: format!(":{} {was}", chain.name),
        change: format!("policy {is} instead of {was}"),
        instead: Some(line(is)),
        next: None,
        shift: Shift::Same,
    }]
}

fn of_rule(
    ruleset: &Ruleset,
    family: Family,
    sheet: &Sheet,
    at: usize,
    place: Place,
    equal: &mut usize,
) -> Vec<Mutant> {
    let (table, index, number) = place;
    let Some(chain) = ruleset.table(table).and_then(|table| table.chain(index)) else {
        return Vec::new();
    };
    let Some(line) = sheet.lines.get(at) else { return Vec::new() };
    let rule = line.text.clone();
    let name = format!("{}:{}:{}", table.as_str(), chain.name, number + 1);
    let new = |change: String, instead, shift| Mutant {
        at,
        of: place,
        line: 0,
        place: name.clone(),
        rule: rule.clone(),
        change,
        instead,
        next: None,
        shift,
    };
    let mut all = vec![new("without the rule".to_owned(), None, Shift::Dropped(place))];
    let words = iptables_command::split(&rule).unwrap_or_default();
    let words = words.get(2..).unwrap_or(&[]);
    let read = RuleWords::read(family, table.as_str(), &chain.name, words);
    let mut known: BTreeSet<String> = BTreeSet::from([rule.clone()]);
    // What cannot be taken apart and put together again is left as it is.
    if sheet.printed(at, &read.save()).as_deref() == Some(rule.as_str()) {
        for change in changes::of(&read) {
            let Some(printed) = sheet.printed(at, &change.rule.save()) else { continue };
            if known.insert(printed.clone()) {
                all.push(new(change.text, Some(printed), Shift::Same));
            }
        }
    }
    if let (Some(one), Some(next)) =
        (chain.rules.get(number as usize), chain.rules.get(number as usize + 1))
    {
        let other = sheet.lines.get(at + 1).map_or("", |line| line.text.as_str());
        if alike::order_matters(one, next, &rule, other) {
            let text = format!("behind the next rule, `{other}`");
            let swapped = new(text, None, Shift::Swapped(place));
            all.push(Mutant { next: Some(other.to_owned()), ..swapped });
        } else {
            *equal += 1;
        }
    }
    all
}

/// Tests that a change of a rule set has to get past.
struct Group<'s> {
    setup: &'s Setup,
    tests: Vec<&'s Test>,
}

/// Changes the rule sets of test files whose tests all pass. `suggest`: tests are looked for that notice what no
/// test does. `progress`: how many changes of how many have been tried.
pub fn mutate(
    suites: &[Suite],
    suggest: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> Vec<MutationTold> {
    let mut texts: Vec<&RuleText> = Vec::new();
    for text in suites.iter().flat_map(|suite| &suite.setups).flat_map(|setup| &setup.rules) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.into_iter().map(|text| of_text(suites, text, suggest, progress)).collect()
}

fn of_text(
    suites: &[Suite],
    text: &RuleText,
    suggest: bool,
    progress: &mut dyn FnMut(usize, usize),
) -> MutationTold {
    let mut told = MutationTold {
        rules: text.name.clone(),
        mutants: 0,
        killed: 0,
        equal: 0,
        left_out: 0,
        survivors: Vec::new(),
    };
    let groups = groups(suites, text);
    let Some(ruleset) = groups.first().and_then(|group| group.setup.ruleset(text.family)) else {
        return told;
    };
    let sheet = Sheet::new(ruleset, &text.source);
    let found = mutants(ruleset, text, &sheet);
    (told.left_out, told.equal) = (found.left_out, found.equal);
    let Some(setup) = groups.first().map(|group| group.setup) else { return told };
    let mut groups: Vec<Group<'_>> = groups;
    let mut proof = Proof::new(ruleset);
    let uses = |suite: &&Suite| suite.setups.iter().any(|setup| setup.rules.contains(text));
    let form = suites.iter().find(uses).map_or(Form::Markdown, |suite| Form::of(&suite.name));
    let mut tests: Vec<Suggested> = Vec::new();
    for (done, mutant) in found.all.iter().enumerate() {
        progress(done, found.all.len());
        let source = sheet.source(mutant);
        let Ok(changed) = iptables_save::parse(&source, text.family) else { continue };
        told.mutants += 1;
        if is_killed(&mut groups, &source, text.family, mutant.shift) {
            told.killed += 1;
            continue;
        }
        let is_equal = Alike::new(ruleset, &changed).are_equal(mutant, &sheet)
            || proof.are_equal(&changed, mutant.of);
        if is_equal {
            told.mutants -= 1;
            told.equal += 1;
            continue;
        }
        let mut survivor = Survivor::of(mutant);
        if suggest {
            let notices = |one: &&Suggested| one.notices(setup, text.family, &source) == Ok(true);
            match tests.iter().find(notices) {
                Some(earlier) => survivor.noticed_by = Some(earlier.name.clone()),
                None => match suggest::test(setup, text.family, mutant, &source) {
                    Ok(test) => {
                        survivor.test = Some(test.text(form));
                        tests.push(test);
                    }
                    Err(why) => survivor.no_test = Some(why),
                },
            }
        }
        told.survivors.push(survivor);
    }
    progress(found.all.len(), found.all.len());
    told
}

impl Survivor {
    /// Of which no test is known.
    fn of(mutant: &Mutant) -> Self {
        Self {
            line: mutant.line,
            place: mutant.place.clone(),
            rule: mutant.rule.clone(),
            change: mutant.change.clone(),
            instead: mutant.instead.clone(),
            test: None,
            noticed_by: None,
            no_test: None,
        }
    }
}

/// Tests by what stands around them, where these rules are a part of it.
fn groups<'s>(suites: &'s [Suite], text: &RuleText) -> Vec<Group<'s>> {
    let mut groups = Vec::new();
    for suite in suites {
        for (index, setup) in suite.setups.iter().enumerate() {
            if setup.rules.contains(text) {
                let tests = suite.tests.iter().filter(|test| test.setup == index).collect();
                groups.push(Group { setup, tests });
            }
        }
    }
    groups
}

/// Whether a test fails under a changed rule set. The test that it was goes to the front: it notices most of the
/// changes of the same rule.
fn is_killed(groups: &mut [Group<'_>], source: &str, family: Family, shift: Shift) -> bool {
    for at in 0..groups.len() {
        let Some(group) = groups.get_mut(at) else { continue };
        let Ok(mut bench) = Bench::new(group.setup, Some((source, family))) else { continue };
        let failed = group.tests.iter().position(|test| !bench.passes(test, shift));
        if let Some(failed) = failed {
            if let Some(first) = group.tests.get_mut(..=failed) {
                first.rotate_right(1);
            }
            groups.swap(0, at);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
