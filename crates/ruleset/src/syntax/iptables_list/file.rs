//! Whole listings: as iptables prints them, or as they stand in a web page, between prompts and text.
//!
//! Each row becomes a line of an iptables-save file, which is then read as one, so that rules have one
//! reader; what that finds is told at the row. What a listing does not say is said to be so
//! ([`Listing::notes`]); what it says in words that nobody knows, and names in place of addresses, are
//! faults.

use super::{Columns, ListedRule, read_chain_head, read_column_head, read_row_under};
use crate::diagnostic::{Diagnostic, code};
use crate::labels::LabelNames;
use crate::model::{Ruleset, Span, TableName, builtin_name};
use crate::syntax::iptables_save::{self, FAULTS_MAX, FILE_MAX};
use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Write;
use keepstate_packet::Family;

/// Most notes on a listing.
pub const NOTES_MAX: usize = 100;

/// A listing that was read.
#[derive(Debug)]
pub struct Listing {
    /// The rules; spans are those of the listing.
    pub ruleset: Ruleset,
    /// What the listing leaves open, each at its place.
    pub notes: Vec<Diagnostic>,
}

/// A listing as an iptables-save file.
#[derive(Debug, Default)]
pub struct Converted {
    /// The file.
    pub text: String,
    /// What the listing says that cannot be taken.
    pub faults: Vec<Diagnostic>,
    /// What it leaves open.
    pub notes: Vec<Diagnostic>,
    /// Where each line of the file begins, and what it was made of.
    places: Vec<(u32, Span)>,
    /// References to user chains as the heads say: table, chain, number, place.
    references: Vec<(TableName, String, u32, Span)>,
}

/// Whether a text is a listing: it has the head of a chain, and no line that opens a table.
#[must_use]
pub fn is_listing(source: &str) -> bool {
    let mut lines = source.lines();
    let table = |line: &str| {
        TableName::ALL.iter().any(|name| line.strip_prefix('*') == Some(name.as_str()))
    };
    lines.any(|line| read_chain_head(line).is_some())
        && !source.lines().any(|line| table(line.trim_end()))
}

/// Whose listing it is: the command says, or its addresses do; IPv4 if nothing does.
#[must_use]
pub fn family_of(source: &str) -> Family {
    let mut columns = Columns::default();
    for line in source.lines() {
        if let Some(command) = list_command(line) {
            return command.family;
        }
        if let Some(found) = read_column_head(line) {
            columns = found;
        } else if read_row_under(line, columns).is_some_and(|row| row.v6) {
            return Family::V6;
        }
    }
    Family::V4
}

/// Reads a listing.
///
/// # Errors
/// Every fault, by place.
pub fn parse(
    source: &str,
    family: Family,
    labels: &LabelNames,
) -> Result<Listing, Vec<Diagnostic>> {
    if source.len() > FILE_MAX {
        let text = format!("the listing has {} bytes; at most {FILE_MAX} are read", source.len());
        return Err(Vec::from([Diagnostic::new(code::LIMIT_EXCEEDED, Span::default(), text)]));
    }
    let mut converted = convert(source);
    let mut faults = core::mem::take(&mut converted.faults);
    match iptables_save::parse_with(&converted.text, family, labels) {
        Ok(mut ruleset) if faults.is_empty() => {
            converted.count_references(&ruleset);
            let chains = ruleset.tables.iter_mut().flat_map(|table| &mut table.chains);
            for chain in chains {
                chain.span = converted.place(chain.span);
                for rule in &mut chain.rules {
                    rule.span = converted.place(rule.span);
                }
            }
            let mut notes = converted.notes;
            notes.sort_by_key(|note| note.span.start);
            Ok(Listing { ruleset, notes })
        }
        Ok(_) => Err(faults),
        Err(found) => {
            faults.extend(found.into_iter().map(|fault| converted.told(source, fault)));
            faults.sort_by_key(|fault| fault.span.start);
            faults.truncate(FAULTS_MAX);
            Err(faults)
        }
    }
}

/// Makes an iptables-save file of a listing. Rows are taken as far as they are understood: `faults` and
/// `notes` say how far that is.
#[must_use]
pub fn convert(source: &str) -> Converted {
    let mut reader = Reader::default();
    let mut start = 0;
    for line in source.split('\n') {
        reader.line(line.trim_end_matches('\r'), offset(start));
        start += line.len() + 1;
    }
    reader.finish()
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Converted {
    /// The line of the file (from 1) that was made of a line of the listing (from 1).
    #[must_use]
    pub fn line_of(&self, source: &str, line: usize) -> Option<usize> {
        let before = source.split('\n').take(line.checked_sub(1)?);
        let start: usize = before.map(|line| line.len() + 1).sum();
        let start = offset(start);
        let made = self.places.iter().rposition(|(_, span)| span.start == start);
        made.map(|at| at + 1)
    }

    /// What the line at a span was made of.
    fn place(&self, span: Span) -> Span {
        if span == Span::default() {
            return span;
        }
        let at = self.places.partition_point(|(start, _)| *start <= span.start);
        at.checked_sub(1).and_then(|at| self.places.get(at)).map_or(span, |(_, place)| *place)
    }

    /// A fault of the file as one of the listing: at the same words, where the row has them once.
    fn told(&self, source: &str, fault: Diagnostic) -> Diagnostic {
        let at = |span: Span| {
            let row = self.place(span);
            let text = source.get(row.start as usize..row.end as usize).unwrap_or("");
            let words = self.text.get(span.start as usize..span.end as usize).unwrap_or("");
            let mut found = text.match_indices(words).map(|(at, _)| at);
            match (found.next().filter(|_| !words.is_empty()), found.next()) {
                (Some(at), None) => {
                    let start = row.start.saturating_add(offset(at));
                    Span { start, end: start.saturating_add(offset(words.len())) }
                }
                _ => row,
            }
        };
        let mut told = fault;
        told.span = at(told.span);
        for label in &mut told.labels {
            label.span = at(label.span);
        }
        told
    }

    /// Notes chains into which fewer or more rules lead than their heads say: rows are missing.
    fn count_references(&mut self, ruleset: &Ruleset) {
        for (table, name, said, span) in core::mem::take(&mut self.references) {
            let Some(table) = ruleset.table(table) else { continue };
            let Some(at) = table.chain_named(&name) else { continue };
            let rules = table.chains.iter().flat_map(|chain| &chain.rules);
            let leads = rules.flat_map(|rule| rule.target.chains()).filter(|(to, _)| *to == at);
            let count = offset(leads.count());
            if count != said {
                let text = format!(
                    "the head says {said} references to `{name}`, and {count} are listed: rows are \
                     missing, or those of another command's rules"
                );
                self.note(Diagnostic::new(code::LISTING_OPEN, span, text));
            }
        }
    }

    fn note(&mut self, note: Diagnostic) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }

    fn fault(&mut self, fault: Diagnostic) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// A command of which a listing is the answer.
struct ListCommand {
    family: Family,
    table: Option<String>,
}

/// `[root@fw ~]# iptables -t nat -nvL`, with a prompt before it or without one.
fn list_command(line: &str) -> Option<ListCommand> {
    if line.len() > COMMAND_MAX {
        return None;
    }
    let mut words = line.split_whitespace();
    let family = words.find_map(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        let name = name.trim_end_matches("-nft").trim_end_matches("-legacy");
        match name {
            "iptables" => Some(Family::V4),
            "ip6tables" => Some(Family::V6),
            _ => None,
        }
    })?;
    let mut command = ListCommand { family, table: None };
    let mut list = false;
    while let Some(word) = words.next() {
        let short = word.starts_with('-') && !word.starts_with("--");
        list |= word.starts_with("--list") || short && word.contains('L');
        if word == "-t" || word == "--table" {
            command.table = words.next().map(String::from);
        } else if let Some(name) = word.strip_prefix("--table=") {
            command.table = Some(name.into());
        }
    }
    list.then_some(command)
}

/// Longest line that is looked at as a command, in bytes.
const COMMAND_MAX: usize = 1024;

/// A chain as it stands in the listing.
struct Chain {
    name: String,
    policy: Option<String>,
    counters: (u64, u64),
    span: Span,
    rows: Vec<(ListedRule, Span)>,
    columns: Option<Columns>,
    references: Option<u32>,
}

/// Chains that one command printed.
#[derive(Default)]
struct Block {
    /// As the command before it said, and where.
    table: Option<(TableName, Span)>,
    chains: Vec<Chain>,
    names: BTreeSet<String>,
}

impl Block {
    /// Whether a chain is of another table than the last one: a table has its built-in chains first, in
    /// the order of their hooks, and each chain once.
    fn begins_anew(&self, name: &str, policy: Option<&str>) -> bool {
        let place = |name: &str| {
            TableName::Mangle.hooks().iter().position(|hook| builtin_name(*hook) == name)
        };
        let last = self.chains.last();
        let earlier = last.is_some_and(|last| {
            policy.is_some() && (last.policy.is_none() || place(&last.name) > place(name))
        });
        earlier || self.names.contains(name)
    }
}

#[derive(Default)]
struct Reader {
    out: Converted,
    blocks: Vec<Block>,
    /// A table that a line above named, for the next chain.
    next_table: Option<(TableName, Span)>,
    /// In the rows of a chain: no blank line since its head.
    inside: bool,
    /// The line before was passed over, too.
    passing: bool,
    /// The columns were told to be without interfaces; a counter to be rounded.
    told_columns: bool,
    told_counters: bool,
}

impl Reader {
    fn line(&mut self, line: &str, start: u32) {
        let span = Span { start, end: start.saturating_add(offset(line.len())) };
        let passed = core::mem::take(&mut self.passing);
        if line.trim().is_empty() {
            self.inside = false;
        } else if let Some((name, policy)) = read_chain_head(line) {
            self.chain(line, name, policy, span);
        } else if let Some(columns) = read_column_head(line) {
            self.columns(columns, span);
        } else if let Some((row, columns)) = self.read_row(line) {
            self.row(line, row, columns, span);
        } else if let Some(name) = table_line(line) {
            self.table(&name, span);
        } else if self.inside {
            let text = "this row cannot be read";
            self.out.fault(Diagnostic::new(code::LISTING_ROW, span, text));
        } else {
            self.passing = true;
            if !passed {
                let text =
                    "not a row of a listing: passed over, and what follows it up to the next";
                self.out.note(Diagnostic::new(code::LISTING_OPEN, span, text));
            }
        }
    }

    fn table(&mut self, name: &str, span: Span) {
        self.inside = false;
        match TableName::ALL.into_iter().find(|table| table.as_str() == name) {
            Some(table) => self.next_table = Some((table, span)),
            None => {
                let text = format!("no table is called `{name}`");
                self.out.fault(Diagnostic::new(code::UNKNOWN_TABLE, span, text));
            }
        }
    }

    fn chain(&mut self, line: &str, name: &str, policy: Option<&str>, span: Span) {
        let begins = self.blocks.last().is_none_or(|block| block.begins_anew(name, policy));
        if begins || self.next_table.is_some() {
            let table = self.next_table.take();
            self.blocks.push(Block { table, ..Block::default() });
        }
        let inner = line.split_once(" (").map_or("", |(_, inner)| inner);
        let numbers: Vec<&str> =
            inner.split([' ', ')']).filter(|word| super::is_count(word)).take(2).collect();
        let counters = match (policy, numbers.as_slice()) {
            (Some(_), [packets, bytes]) => (self.counter(packets, span), self.counter(bytes, span)),
            _ => (0, 0),
        };
        let references = policy.is_none().then(|| numbers.first()?.parse().ok()).flatten();
        let Some(block) = self.blocks.last_mut() else { return };
        block.names.insert(name.into());
        block.chains.push(Chain {
            name: name.into(),
            policy: policy.map(String::from),
            counters,
            span,
            rows: Vec::new(),
            columns: None,
            references,
        });
        self.inside = true;
    }

    fn columns(&mut self, columns: Columns, span: Span) {
        let chain = self.blocks.last_mut().and_then(|block| block.chains.last_mut());
        let Some(chain) = chain.filter(|chain| chain.columns.is_none()) else { return };
        chain.columns = Some(columns);
        self.inside = true;
        if !columns.interfaces && !core::mem::replace(&mut self.told_columns, true) {
            let text = "no columns `in` and `out`: a rule for one interface looks like one for all";
            let note = Diagnostic::new(code::LISTING_OPEN, span, text);
            self.out.note(note.help("iptables -L -n -v, or iptables-save, says it"));
        }
    }

    /// The line as a row of the chain it stands in.
    fn read_row(&self, line: &str) -> Option<(ListedRule, Columns)> {
        let columns = self.blocks.last()?.chains.last()?.columns?;
        Some((read_row_under(line, columns)?, columns))
    }

    fn row(&mut self, line: &str, row: ListedRule, columns: Columns, span: Span) {
        let chain = self.blocks.last_mut().and_then(|block| block.chains.last_mut());
        let Some(chain) = chain else { return };
        let expected = offset(chain.rows.len()).saturating_add(1);
        if let Some(number) = row.number.filter(|number| *number != expected) {
            let text =
                format!("rule {number} stands where rule {expected} should: rows are missing");
            self.out.note(Diagnostic::new(code::LISTING_OPEN, span, text));
        }
        self.out.judge(line, &row, columns, span);
        chain.rows.push((row, span));
    }

    /// A counter, whose last digits may be lost.
    fn counter(&mut self, text: &str, span: Span) -> u64 {
        let (value, rounded) = counter(text);
        if rounded && !core::mem::replace(&mut self.told_counters, true) {
            let text = format!("counters are rounded, as `{text}` is: their last digits are lost");
            let note = Diagnostic::new(code::LISTING_OPEN, span, text);
            self.out.note(note.help("iptables -L -v -x prints them to the last digit"));
        }
        value
    }

    fn finish(mut self) -> Converted {
        let mut tables: Vec<(TableName, Span, Vec<Chain>)> = Vec::new();
        for block in core::mem::take(&mut self.blocks) {
            let Some(first) = block.chains.first().map(|chain| chain.span) else { continue };
            let table = match block.table {
                Some((table, _)) => table,
                None => self.infer(&block, first),
            };
            match tables.iter_mut().find(|(name, ..)| *name == table) {
                Some((_, _, chains)) => chains.extend(block.chains),
                None => tables.push((table, first, block.chains)),
            }
        }
        for (table, span, chains) in tables {
            self.write(table, span, chains);
        }
        self.out
    }

    /// The table that has the chains of a block. The listing does not say: it is noted.
    fn infer(&mut self, block: &Block, span: Span) -> TableName {
        const ORDER: [TableName; 5] = [
            TableName::Filter,
            TableName::Nat,
            TableName::Mangle,
            TableName::Raw,
            TableName::Security,
        ];
        let builtin = |chain: &&Chain| chain.policy.is_some();
        let names: Vec<&str> =
            block.chains.iter().filter(builtin).map(|chain| chain.name.as_str()).collect();
        let has = |table: &TableName| {
            names.iter().all(|name| table.hooks().iter().any(|hook| builtin_name(*hook) == *name))
        };
        let all = |table: &TableName| has(table) && table.hooks().len() == names.len();
        let rows = || block.chains.iter().flat_map(|chain| &chain.rows);
        let targets = |of: &[&str]| {
            rows().any(|(row, _)| row.target.as_deref().is_some_and(|name| of.contains(&name)))
        };
        let nat = targets(&["MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"]);
        let mut fitting = ORDER.into_iter();
        let found = if nat && has(&TableName::Nat) {
            TableName::Nat
        } else if let Some(table) = ORDER.into_iter().find(all) {
            table
        } else {
            fitting.find(has).unwrap_or(TableName::Filter)
        };
        let text = format!(
            "the listing does not say of which table it is: taken for `{}`, by its chains",
            found.as_str()
        );
        let note = Diagnostic::new(code::LISTING_OPEN, span, text);
        self.out.note(note.help("iptables -t TABLE -L in a line above it says which"));
        found
    }

    fn write(&mut self, table: TableName, span: Span, chains: Vec<Chain>) {
        self.out.push(&format!("*{}", table.as_str()), span);
        let mut names = BTreeSet::new();
        for chain in &chains {
            if !names.insert(chain.name.as_str()) {
                let text = format!("chain `{}` is listed a second time", chain.name);
                self.out.fault(Diagnostic::new(code::LISTING_ROW, chain.span, text));
                continue;
            }
            if let Some(said) = chain.references {
                self.out.references.push((table, chain.name.clone(), said, chain.span));
            }
            let policy = chain.policy.as_deref().unwrap_or("-");
            let (packets, bytes) = chain.counters;
            self.out.push(&format!(":{} {policy} [{packets}:{bytes}]", chain.name), chain.span);
        }
        for chain in chains {
            for (row, span) in chain.rows {
                let mut line = String::new();
                if let Some((packets, bytes)) = &row.counters {
                    let (packets, bytes) = (self.counter(packets, span), self.counter(bytes, span));
                    let _ = write!(line, "[{packets}:{bytes}] ");
                }
                let _ = write!(line, "-A {} {}", chain.name, row.save_words());
                self.out.push(line.trim_end(), span);
            }
        }
        self.out.push("COMMIT", span);
    }
}

impl Converted {
    fn push(&mut self, line: &str, span: Span) {
        self.places.push((offset(self.text.len()), span));
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Tells what of a row was not understood, or is not there.
    fn judge(&mut self, line: &str, row: &ListedRule, columns: Columns, span: Span) {
        let word = |word: &str| match line.rfind(word) {
            Some(at) => {
                let start = span.start.saturating_add(offset(at));
                Span { start, end: start.saturating_add(offset(word.len())) }
            }
            None => span,
        };
        for name in &row.unresolved {
            let text = format!("`{name}` is a name that stood for an address when this was listed");
            let fault = Diagnostic::new(code::LISTING_NAME, word(name), text);
            self.fault(fault.help("iptables -L -n prints the address"));
        }
        if let Some(first) = row.unread.first() {
            let words = row.unread.join(" ");
            let text = format!("no match or target is known to print `{words}`");
            self.fault(Diagnostic::new(code::LISTING_ROW, word(first), text));
        }
        let lost = match (&row.source, &row.destination) {
            (Some(_), Some(_)) if columns.interfaces && row.in_interface.is_none() => {
                "`in` and `out`"
            }
            (Some(_), Some(_)) => return,
            _ => "its addresses",
        };
        let text = format!("the row has lost {lost}");
        self.fault(Diagnostic::new(code::LISTING_ROW, span, text));
    }
}

/// `Table: nat`, as `service iptables status` prints it, or the command that made the listing.
fn table_line(line: &str) -> Option<String> {
    if let Some(name) = line.trim().strip_prefix("Table: ") {
        return Some(name.trim().to_string());
    }
    list_command(line).map(|command| command.table.unwrap_or_else(|| "filter".into()))
}

/// A counter and whether it is rounded.
fn counter(text: &str) -> (u64, bool) {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..) {
        Some("K") => 1000,
        Some("M") => 1_000_000,
        Some("G") => 1_000_000_000,
        Some("T") => 1_000_000_000_000,
        _ => 1,
    };
    (digits.parse().unwrap_or(u64::MAX).saturating_mul(unit), unit > 1)
}
