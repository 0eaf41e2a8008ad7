//! A part of a rule set, as `iptables-restore -n` adds it to what is there: its rules may speak of chains that stand
//! elsewhere.

use super::file::{File, Section};
use super::words::Word;
use crate::diagnostic::{Diagnostic, code, nearest};
use crate::labels::LabelNames;
use crate::model::{ChainIndex, Ruleset, TableName, builtin_name};
use crate::standard;
use crate::targets::TARGETS;
use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use keepstate_packet::Family;

/// A part of a rule set.
#[derive(Debug)]
pub struct Part {
    /// Its rules. The chains that stand elsewhere have those only that the part adds to them.
    pub ruleset: Ruleset,
    /// Each chain that stands elsewhere, where the part first speaks of it.
    pub notes: Vec<Diagnostic>,
    /// Their names.
    pub elsewhere: Vec<String>,
}

/// Reads a file that may be a part of a rule set.
///
/// # Errors
/// As [`parse_with`](super::parse_with); a file without a chain that stands elsewhere is none.
pub fn parse_part(
    source: &str,
    family: Family,
    labels: &LabelNames,
) -> Result<Part, Vec<Diagnostic>> {
    let mut file = File::new(source, family, labels);
    file.may_be_part = true;
    file.read();
    if !file.faults.is_empty() {
        return Err(file.faults);
    }
    let elsewhere: Vec<String> = file.elsewhere.iter().map(|word| word.text.clone()).collect();
    let note = |word: &Word| {
        let text = format!("the chain `{}` stands elsewhere: what it does is not known", word.text);
        Diagnostic::new(code::UNKNOWN_TARGET, word.span, text)
    };
    let notes = file.elsewhere.iter().map(note).collect();
    let ruleset = Ruleset { family, tables: file.tables, of_commands: false };
    if elsewhere.is_empty() { Err(Vec::new()) } else { Ok(Part { ruleset, notes, elsewhere }) }
}

/// Beginnings of chain names of programs that let files of others add rules to theirs.
const KEPT_BY_PROGRAMS: [&str; 3] = ["ufw-", "ufw6-", "DOCKER-USER"];

impl Section {
    /// The chain of this name; of a part, that of one that stands elsewhere.
    pub(super) fn chain_or_elsewhere(&mut self, word: &Word) -> Option<ChainIndex> {
        if let Some(at) = self.index.get(&word.text) {
            return Some(*at);
        }
        if !self.may_be_part || !self.may_stand_elsewhere(&word.text) {
            return None;
        }
        let at = self.add_chain(&word.text, word.span, &mut Vec::new())?;
        self.elsewhere.push(word.clone());
        Some(at)
    }

    /// What is missing: the line of a chain; that of one that may stand elsewhere would empty it there.
    pub(super) fn declaration(&self, word: &Word) -> String {
        match self.may_stand_elsewhere(&word.text) {
            true => String::from(
                "its chain may stand elsewhere: iptables-save on the host of this file prints all of them",
            ),
            false => format!(":{} - [0:0]", word.text),
        }
    }

    /// Whether a chain that the file does not declare may be one that is there already: the file declares none
    /// of the chains that every table has, or a program is known for chains of this name.
    pub(super) fn may_stand_elsewhere(&self, name: &str) -> bool {
        let builtin = TableName::Mangle.hooks().iter().any(|hook| builtin_name(*hook) == name);
        if builtin || name.starts_with(['-', '!']) {
            return false;
        }
        if KEPT_BY_PROGRAMS.iter().any(|known| name.starts_with(known)) {
            return true;
        }
        let of_its_own = self.table.chains.iter().any(|chain| chain.hook.is_none());
        let has_builtin = self
            .table
            .chains
            .iter()
            .any(|chain| chain.hook.is_some() && chain.span.end > chain.span.start);
        let known = TARGETS.iter().map(|one| one.name);
        let known = known.chain(standard::STANDARD.iter().map(|(name, _)| *name));
        let known = known.chain(self.index.keys().map(String::as_str));
        of_its_own && !has_builtin && nearest(name, known).is_none()
    }
}

/// The table that has the built-in chains of which the lines of a table speak.
pub(super) fn table_of(source: &str) -> Option<TableName> {
    let chain = |line: &str| -> Option<String> {
        let name = match line.strip_prefix(':') {
            Some(rest) => rest,
            None => ["-A ", "-I "].iter().find_map(|command| line.strip_prefix(command))?,
        };
        name.split_whitespace().next().map(Into::into)
    };
    let lines = source.lines().take_while(|line| *line != "COMMIT" && !line.starts_with('*'));
    let named: BTreeSet<String> = lines.filter_map(chain).collect();
    let all = TableName::Mangle.hooks().iter().map(|hook| builtin_name(*hook));
    let built_in: Vec<&str> = all.filter(|name| named.contains(*name)).collect();
    let has =
        |table: TableName, name: &str| table.hooks().iter().any(|hook| builtin_name(*hook) == name);
    let tables = [TableName::Filter, TableName::Nat, TableName::Mangle];
    let fits = |table: &TableName| built_in.iter().all(|name| has(*table, name));
    tables.into_iter().find(fits).filter(|_| !named.is_empty())
}
