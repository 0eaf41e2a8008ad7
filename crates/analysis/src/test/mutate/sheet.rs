//! A rule set line by line, in the order in which its chains and rules are counted.

use super::{Mutant, Place, Shift};
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{ChainIndex, Policy, Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_save::{self, print_rule};

/// A rule set in lines.
#[derive(Debug)]
pub struct Sheet {
    family: Family,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) what: What,
    /// In the file it comes from.
    pub(super) line: Option<u32>,
}

#[derive(Debug)]
pub(super) enum What {
    /// `*TABLE`, `COMMIT`.
    Head,
    Chain(TableName, ChainIndex),
    Rule(Place),
}

impl Sheet {
    /// Writes a rule set down. `source`: what it was read from.
    #[must_use]
    pub fn new(ruleset: &Ruleset, source: &str) -> Self {
        let places = Lines::of(source);
        let mut lines = Vec::new();
        let head = |text: String| Line { text, what: What::Head, line: None };
        for table in ruleset.tables.iter().filter(|table| table.declared) {
            lines.push(head(format!("*{}", table.name.as_str())));
            for (index, chain) in (0..).map(ChainIndex).zip(&table.chains) {
                let policy = match chain.policy {
                    Some(Policy::Accept) => "ACCEPT",
                    Some(Policy::Drop) => "DROP",
                    None => "-",
                };
                let text = format!(":{} {policy} [0:0]", chain.name);
                let what = What::Chain(table.name, index);
                lines.push(Line { text, what, line: places.line(chain.span) });
            }
            for (index, chain) in (0..).map(ChainIndex).zip(&table.chains) {
                for (number, rule) in (0..).zip(&chain.rules) {
                    let text = print_rule(ruleset.family, table, &chain.name, rule);
                    let what = What::Rule((table.name, index, number));
                    lines.push(Line { text, what, line: places.line(rule.span) });
                }
            }
            lines.push(head("COMMIT".to_owned()));
        }
        Self { family: ruleset.family, lines }
    }

    /// A rule in place of that of a line, as the parser writes it; `None` where it is refused.
    pub(super) fn printed(&self, at: usize, rule: &str) -> Option<String> {
        let What::Rule((table, chain, _)) = self.lines.get(at)?.what else { return None };
        // The chains of its table, and nothing else but the rule.
        let mut alone = format!("*{}\n", table.as_str());
        for line in &self.lines {
            if matches!(line.what, What::Chain(of, _) if of == table) {
                alone.push_str(&line.text);
                alone.push('\n');
            }
        }
        alone.push_str(rule);
        alone.push_str("\nCOMMIT\n");
        let read = iptables_save::parse(&alone, self.family).ok()?;
        let found = read.table(table)?;
        let name = &found.chain(chain)?.name;
        match found.chain(chain)?.rules.as_slice() {
            [one] => Some(print_rule(self.family, found, name, one)),
            _ => None,
        }
    }

    /// The text of a changed rule set.
    #[must_use]
    pub fn source(&self, mutant: &Mutant) -> String {
        let mut texts: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        match (mutant.shift, &mutant.instead) {
            (Shift::Swapped(_), _) if mutant.at + 1 < texts.len() => {
                texts.swap(mutant.at, mutant.at + 1)
            }
            (Shift::Dropped(_), _) => {
                texts.remove(mutant.at);
            }
            (_, Some(instead)) => {
                if let Some(text) = texts.get_mut(mutant.at) {
                    *text = instead;
                }
            }
            _ => {}
        }
        let mut source = texts.join("\n");
        source.push('\n');
        source
    }

    /// The text of the rule set as it is.
    #[must_use]
    pub fn whole(&self) -> String {
        self.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect()
    }
}
