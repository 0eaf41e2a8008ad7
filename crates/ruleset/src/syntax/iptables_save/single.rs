//! One rule outside of a file, as a command has it.

use super::file::{Amounts, Draft, Section};
use super::link;
use super::rule::{Goal, Line, Setting};
use super::words::Word;
use crate::diagnostic::Diagnostic;
use crate::model::{Chain, Jump, Rule, Span, Table, TableName};
use alloc::vec::Vec;

/// The rules that a line stands for, in a table that holds nothing else.
#[derive(Debug)]
pub struct Single {
    /// With the chain of the rules and the one they lead to.
    pub table: Table,
    /// The chain, in the table.
    pub chain: usize,
    /// Whether it takes the whole table to say that the rules may stand there: they lead into a
    /// chain, or stand in one whose callers are not known here.
    pub open: bool,
}

impl Single {
    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        self.table.chains.get(self.chain).map_or(&[], |chain: &Chain| &chain.rules)
    }
}

/// Makes the rules of a line for a chain. `is_chain` says which user chains there are.
///
/// # Errors
/// What is wrong with the rule.
pub fn read_single(
    line: &Line,
    setting: Setting<'_>,
    table: TableName,
    chain: &Word,
    is_chain: &dyn Fn(&str) -> bool,
) -> Result<Single, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let mut section = Section::new(Some(table), line.family.hooks(table), Span::default(), false);
    if !section.index.contains_key(&chain.text) {
        section.add_chain(&chain.text, chain.span, &mut faults);
    }
    if let Some(Goal::Name { word, .. }) = &line.goal
        && !section.index.contains_key(&word.text)
        && is_chain(&word.text)
    {
        section.add_chain(&word.text, word.span, &mut faults);
    }
    let (first, last) = (line.places.first(), line.places.last());
    let span = Span {
        start: first.map_or(0, |(_, span)| span.start),
        end: last.map_or(0, |(_, span)| span.end),
    };
    let counters = line.counters.unwrap_or((0, 0));
    let mut draft = Draft { line, chain, number: None, span, counters, section: &mut section };
    draft.add(setting, &mut Amounts::default(), &mut faults);
    let at = section.index.get(&chain.text).map_or(0, |at| at.0 as usize);
    let builtin = section.table.chains.get(at).is_some_and(|chain| chain.hook.is_some());
    if builtin && faults.is_empty() {
        link::check_hooks(&section.table, &section.requirements, &mut faults);
    }
    let leads = |rule: &Rule| matches!(rule.target, Jump::Jump(_) | Jump::Goto(_));
    let rules = section.table.chains.get(at).map_or(&[][..], |chain| &chain.rules);
    let open = rules.iter().any(leads) || !builtin && !section.requirements.is_empty();
    if faults.is_empty() {
        Ok(Single { table: section.table, chain: at, open })
    } else {
        Err(faults)
    }
}
