//! iptables-restore(8): a file taken table by table, each when its COMMIT comes.

use super::bridge::ends_named;
use super::change::{ask, new_chain_name};
use super::{Kept, Refusal, Says, Table, Variant, policy_named};
use crate::diagnostic::{Diagnostic, code};
use crate::labels::LabelNames;
use crate::model::{NfProto, Policy, Span, TableName};
use crate::syntax::iptables_save::words::{self, Word};
use crate::syntax::iptables_save::{FAULTS_MAX, FILE_MAX, LINE_MAX, RULES_MAX};
use alloc::{format, string::String, vec::Vec};

/// How a file is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restore {
    /// `-c`: with the counters of the file.
    pub counters: bool,
    /// `-n`: what is there stays.
    pub noflush: bool,
    /// `-t`: nothing is changed.
    pub test: bool,
    /// `-T`: this table only.
    pub table: Option<TableName>,
    /// `-v`.
    pub verbose: bool,
}

/// A file on its way.
struct File<'a> {
    kept: &'a mut Kept,
    how: Restore,
    labels: &'a LabelNames,
    source: &'a str,
    /// The table that is open, with what was said since.
    open: Option<TableName>,
    /// The lines of a table that is not wanted are passed over.
    skips: bool,
    before: Vec<Table>,
    out: String,
    rules: usize,
}

impl Kept {
    /// Takes a file. What was committed before a fault stays.
    ///
    /// # Errors
    /// The first fault, with the number of its line where it has one.
    pub fn restore(
        &mut self,
        source: &str,
        how: Restore,
        labels: &LabelNames,
    ) -> (String, Result<(), (Refusal, Option<usize>)>) {
        let untouched = how.test.then(|| self.tables.clone());
        let mut file = File {
            before: self.tables.clone(),
            kept: self,
            how,
            labels,
            source,
            open: None,
            skips: false,
            out: String::new(),
            rules: 0,
        };
        let result = file.whole();
        let (out, before) = (core::mem::take(&mut file.out), core::mem::take(&mut file.before));
        if result.is_err() {
            self.tables = before;
        }
        if let Some(untouched) = untouched {
            self.tables = untouched;
        }
        (out, result)
    }
}

impl File<'_> {
    fn whole(&mut self) -> Result<(), (Refusal, Option<usize>)> {
        if self.source.len() > FILE_MAX {
            let text = format!("a file of more than {FILE_MAX} bytes");
            return Err((Refusal::problem(text), None));
        }
        let (mut start, mut count) = (0, 0);
        for (number, line) in (1..).zip(self.source.split_inclusive('\n')) {
            let text = line.strip_suffix('\n').unwrap_or(line);
            self.line(text, start, number).map_err(|refusal| (refusal, Some(number)))?;
            start += line.len();
            count = number;
        }
        if let Some(table) = self.open.filter(|_| self.kept.family.packets().is_none()) {
            // Files of arptables and ebtables have no COMMIT.
            return self.commit(table).map_err(|refusal| (refusal, None));
        }
        if self.open.is_some() {
            let text = format!("{{program}}: COMMIT expected at line {}", count + 1);
            return Err((Refusal { status: 1, ..bare(text) }, None));
        }
        Ok(())
    }

    fn line(&mut self, line: &str, start: usize, number: usize) -> Result<(), Refusal> {
        if line.len() > LINE_MAX {
            return Err(Refusal::problem("Line too long"));
        }
        match (line.chars().next(), self.open) {
            (None | Some('#'), _) => Ok(()),
            (_, Some(table)) if line == "COMMIT" => self.commit(table),
            (Some('*'), None) => self.table(line, number),
            (Some('*'), Some(table)) if self.kept.family.packets().is_none() => {
                self.commit(table)?;
                self.table(line, number)
            }
            _ if self.skips => Ok(()),
            (Some(':'), Some(table)) => self.chain(line, table, number),
            (_, Some(table)) => self.rule(line, start, table),
            (_, None) => {
                Err(Refusal { status: 1, ..bare(format!("{{program}}: line {number} failed")) })
            }
        }
    }

    fn table(&mut self, line: &str, number: usize) -> Result<(), Refusal> {
        let name = line.get(1..).unwrap_or("").split([' ', '\t']).find(|word| !word.is_empty());
        let name = name.unwrap_or("");
        let Some(table) = self.kept.family.table_named(name) else {
            return Err(Refusal::problem(match self.kept.variant {
                Variant::Nft => {
                    format!("{{program}}: line {number} table name '{name}' invalid")
                }
                Variant::Legacy => format!("{{program}}: unable to initialize table '{name}'"),
            }));
        };
        self.open = Some(table);
        self.skips = self.how.table.is_some_and(|wanted| wanted != table);
        if self.skips {
            return Ok(());
        }
        if self.kept.variant == Variant::Legacy {
            self.kept.touch(table);
        }
        if self.how.noflush {
            return Ok(());
        }
        let verbose = self.how.verbose;
        for chain in self.kept.table(table).map_or(&[][..], |table| &table.chains) {
            if verbose {
                self.out.push_str(&format!("Flushing chain `{}'\n", chain.name));
            }
        }
        match self.kept.variant {
            Variant::Nft => self.kept.tables.retain(|one| one.name != table),
            Variant::Legacy => {
                let table = self.kept.touch(table);
                table.chains.retain(|chain| chain.policy.is_some());
                table.chains.iter_mut().for_each(|chain| chain.rules.clear());
            }
        }
        Ok(())
    }

    fn chain(&mut self, line: &str, table: TableName, number: usize) -> Result<(), Refusal> {
        let mut words =
            line.get(1..).unwrap_or("").split([' ', '\t']).filter(|word| !word.is_empty());
        let Some(name) = words.next() else {
            let text = format!("{{program}}: line {number} chain name invalid");
            return Err(Refusal::problem(text));
        };
        let Some(policy) = words.next() else {
            let text = format!("{{program}}: line {number} policy invalid");
            return Err(Refusal::problem(text));
        };
        if !self.kept.family.is_builtin(table, name) {
            return self.user_chain(name, policy, table, number);
        }
        let counters = words.next().filter(|_| self.how.counters);
        let variant = self.kept.variant;
        let chain = self.kept.touch(table).chain_mut(name);
        let Some(chain) = chain.filter(|_| policy != "-") else { return Ok(()) };
        let counters = match counters {
            None => (0, 0),
            Some(text) => {
                let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
                inner.and_then(super::pair).ok_or_else(|| {
                    Refusal::problem(format!("invalid policy counters for chain '{name}'"))
                })?
            }
        };
        let policy =
            policy_named(policy).ok_or_else(|| bad_policy(variant, name, policy, number))?;
        (chain.policy, chain.counters) = (Some::<Policy>(policy), counters);
        Ok(())
    }

    fn user_chain(
        &mut self,
        name: &str,
        policy: &str,
        table: TableName,
        number: usize,
    ) -> Result<(), Refusal> {
        if policy != "-" && self.kept.variant == Variant::Legacy {
            let text = format!(
                "Can't set policy `{policy}' on `{name}' line {number}: Bad built-in chain name"
            );
            return Err(Refusal { status: 1, ..Refusal::problem(text) });
        }
        let ends = match self.kept.family {
            NfProto::Bridge => ends_named(policy)?,
            _ => None,
        };
        new_chain_name(name, self.kept.family)?;
        self.kept.add_chain(table, name)?;
        let table = self.kept.touch(table);
        if let Some(chain) = table.chain_mut(name) {
            chain.rules.clear();
            chain.ends = ends;
        }
        Ok(())
    }

    fn rule(&mut self, line: &str, start: usize, table: TableName) -> Result<(), Refusal> {
        let (counters, rest) = match line.strip_prefix('[') {
            None => (None, line),
            Some(inner) => match inner.split_once(']') {
                Some((text, rest)) => (super::pair(text), rest),
                None => return Err(Refusal::problem("need ']' in counters")),
            },
        };
        let rest_start = start + (line.len() - rest.len());
        let mut faults = Vec::new();
        let mut words = words::words(rest, offset(rest_start), &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::of_faults(faults, self.source, (self.kept.variant, "", "")));
        }
        let (own, other) = match self.kept.family {
            NfProto::Ipv4 => (["-4", "--ipv4"], ["-6", "--ipv6"]),
            NfProto::Ipv6 => (["-6", "--ipv6"], ["-4", "--ipv4"]),
            NfProto::Arp | NfProto::Bridge => ([""; 2], [""; 2]),
        };
        let is =
            |word: &Word, marks: [&str; 2]| !word.quoted && marks.contains(&word.text.as_str());
        if words.iter().any(|word| is(word, other)) {
            return Ok(());
        }
        words.retain(|word| !is(word, own));
        if self.how.verbose {
            let span = Span::default();
            words.push(Word { text: "-v".into(), span, quoted: false });
        }
        let (family, variant) = (self.kept.family, self.kept.variant);
        let asked = ask(&words, self.source, family, variant)?;
        if let Some(table) = &asked.line.beside.table {
            let tool = self.kept.family.tool();
            let says = match tool {
                "arptables" | "ebtables" => {
                    format!("The -t option cannot be used in {tool}-restore.\n")
                }
                _ => "The -t option cannot be used in iptables-restore.\n".into(),
            };
            let text = "`-t` cannot stand in a file";
            let fault = Diagnostic::new(code::TABLE_OPTION, table.span, text).says(says);
            return Err(Refusal::of_faults(Vec::from([fault]), self.source, (variant, "", "")));
        }
        self.rules += 1;
        if self.rules > RULES_MAX {
            return Err(Refusal::problem(format!("more than {RULES_MAX} rules")));
        }
        let mut asked = asked.in_table(table);
        if self.how.counters && asked.line.counters.is_none() {
            asked.line.counters = counters;
        }
        asked.span = Span { start: offset(start), end: offset(start + line.len()) };
        self.out.push_str(&self.kept.apply(&asked, self.labels, false)?);
        Ok(())
    }

    /// Judges the table whole and puts it beyond taking back.
    fn commit(&mut self, table: TableName) -> Result<(), Refusal> {
        self.open = None;
        if core::mem::take(&mut self.skips) {
            return Ok(());
        }
        let size = self.kept.table(table).map_or(0, Table::size);
        self.kept.works(size.saturating_mul(super::JUDGED))?;
        let mut alone = Kept::new(self.kept.family, self.kept.variant);
        alone.tables.extend(self.kept.table(table).cloned());
        if let Err((mut faults, text)) = alone.stands(self.labels) {
            faults.truncate(FAULTS_MAX);
            let chain = faults.first().map_or("", |fault| chain_at(&text, fault.span));
            let setting = (self.kept.variant, "RULE_APPEND", chain);
            let mut refusal = Refusal::of_faults(faults, &text, setting);
            refusal.faults = Vec::new();
            return Err(refusal);
        }
        self.before.clone_from(&self.kept.tables);
        Ok(())
    }
}

/// The chain of the rule at a place.
fn chain_at(text: &str, span: Span) -> &str {
    let before = text.get(..span.start as usize).unwrap_or("");
    let line = before.rsplit('\n').next().unwrap_or("");
    line.split(' ').skip_while(|word| *word != "-A").nth(1).unwrap_or("")
}

fn bad_policy(variant: Variant, name: &str, policy: &str, number: usize) -> Refusal {
    match variant {
        Variant::Nft => Refusal::answer("Bad policy name"),
        Variant::Legacy => {
            let text =
                format!("Can't set policy `{policy}' on `{name}' line {number}: Bad policy name");
            Refusal { status: 1, ..Refusal::problem(text) }
        }
    }
}

fn bare(text: String) -> Refusal {
    Refusal { says: Says::Bare(text), ..Refusal::problem("") }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
