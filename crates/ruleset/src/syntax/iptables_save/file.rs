//! A file: tables, chains, rules.

use super::declared::{read_counters, read_pair, set_policy};
use super::header::simplified;
use super::known;
use super::link::{self, Requirement};
use super::options::Main;
use super::part::table_of;
use super::rule::{self, Command, Goal, Line, Setting};
use super::words::{self, Word, is_of_other_family};
use crate::diagnostic::{Diagnostic, Lines, code, nearest};
use crate::kept::{Kept, Restore, Variant};
use crate::labels::LabelNames;
use crate::matches::{Match, header::FrameHeader};
use crate::model::{
    Chain, ChainIndex, HeaderMatch, Jump, NfProto, Policy, Rule, Ruleset, Span, Table, TableName,
    builtin_name,
};
use crate::standard;
use crate::targets::TARGETS;
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

/// Longest file in bytes.
pub const FILE_MAX: usize = 64 << 20;
/// Longest line in bytes, as in iptables-restore.
pub const LINE_MAX: usize = 10_239;
/// Most rules of a file.
pub const RULES_MAX: usize = 1_000_000;
/// Most matches of all rules of a file: a line with lists of addresses has its matches once a rule.
pub const MATCHES_MAX: usize = 4_000_000;
/// Most rules that `-I` may move out of the way, over a whole file: bounds the work of a file that
/// inserts each rule before all others.
pub const MOVES_MAX: usize = 200_000_000;
/// Most chains of a table.
pub const CHAINS_MAX: usize = 65_536;
/// Most faults that are reported; reading stops there.
pub const FAULTS_MAX: usize = 1000;
/// Longest name of a user chain in bytes.
pub const CHAIN_NAME_MAX: usize = 28;

/// Reads a file.
///
/// # Errors
/// Every fault of the file, by place; nothing is loaded when there is one.
pub fn parse(source: &str, family: Family) -> Result<Ruleset, Vec<Diagnostic>> {
    parse_with(source, family, LabelNames::NONE)
}

/// Reads a file whose rules may name labels.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    source: &str,
    family: Family,
    labels: &LabelNames,
) -> Result<Ruleset, Vec<Diagnostic>> {
    let mut file = File::new(source, family, labels);
    file.read();
    if file.faults.is_empty() {
        return Ok(Ruleset { family, tables: file.tables, of_commands: false });
    }
    let mut faults = file.faults;
    let elsewhere = |fault: &Diagnostic| {
        fault.code == code::NO_COMMAND && fault.text.ends_with(super::header::ELSEWHERE)
    };
    if faults.iter().any(elsewhere) {
        let refused = match carried_out(source, family, labels) {
            Ok(ruleset) => return Ok(ruleset),
            Err(refused) => refused,
        };
        let lines = Lines::of(source);
        let line = |fault: &Diagnostic| lines.line_at(fault.span.start);
        let others: BTreeSet<u32> =
            faults.iter().filter(|fault| elsewhere(fault)).map(line).collect();
        faults.retain(|fault| !others.contains(&line(fault)));
        let known: BTreeSet<u32> = faults.iter().map(line).collect();
        faults.extend(refused.into_iter().filter(|fault| !known.contains(&line(fault))));
    }
    faults.truncate(FAULTS_MAX);
    faults.sort_by_key(|fault| fault.span.start);
    Err(faults)
}

/// A file with commands that iptables-save never prints (`-D`, `-F`, ...), as iptables-restore carries it out
/// on empty tables.
fn carried_out(
    source: &str,
    family: Family,
    labels: &LabelNames,
) -> Result<Ruleset, Vec<Diagnostic>> {
    let mut kept = Kept::new(family, Variant::Nft);
    let how = Restore { counters: true, ..Restore::default() };
    let (refusal, line) = match kept.restore(source, how, labels) {
        (_, Ok(())) => return kept.ruleset_of_commands(labels),
        (_, Err(refused)) => refused,
    };
    if !refusal.faults.is_empty() {
        return Err(refusal.faults);
    }
    let says = refusal.says.words("iptables-restore");
    let text = format!("iptables-restore refuses this line: {says}");
    let start = line.map_or(source.len(), |line| {
        source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
    });
    let length = source.get(start..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
    let span = Span { start: offset(start), end: offset(start + length) };
    Err(Vec::from([Diagnostic::new(code::COMMAND_REFUSED, span, text)]))
}

/// Reads a file whose bytes may not be text.
///
/// # Errors
/// As [`parse`]; bytes that are not UTF-8 are a fault.
pub fn parse_bytes(source: &[u8], family: Family) -> Result<Ruleset, Vec<Diagnostic>> {
    match core::str::from_utf8(source) {
        Ok(source) => parse(source, family),
        Err(error) => {
            let start = offset(error.valid_up_to());
            let span = Span { start, end: start.saturating_add(1) };
            let text = format!("byte {start} of the file is not UTF-8 text");
            Err(Vec::from([Diagnostic::new(code::BAD_BYTE, span, text)]))
        }
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What is bounded over a whole file.
#[derive(Clone, Copy, Default)]
pub(in crate::syntax) struct Amounts {
    pub(in crate::syntax) rules: usize,
    pub(in crate::syntax) matches: usize,
    pub(in crate::syntax) moves: usize,
}

impl Amounts {
    /// What is exceeded.
    pub(in crate::syntax) fn exceeded(self) -> Option<String> {
        if self.rules > RULES_MAX {
            Some(format!("more than {RULES_MAX} rules"))
        } else if self.matches > MATCHES_MAX {
            Some(format!("more than {MATCHES_MAX} matches"))
        } else if self.moves > MOVES_MAX {
            Some(format!("`-I` has moved more than {MOVES_MAX} rules"))
        } else {
            None
        }
    }
}

/// A table being read.
pub(in crate::syntax) struct Section {
    /// `None` for a table that is not supported: it is read for its faults only.
    name: Option<TableName>,
    pub(in crate::syntax) table: Table,
    pub(in crate::syntax) index: BTreeMap<String, ChainIndex>,
    pub(in crate::syntax) requirements: Vec<Requirement>,
    span: Span,
    /// There is no such table: its lines are passed over.
    unknown: bool,
    /// Chains that are not declared may stand elsewhere, and those that do.
    pub(super) may_be_part: bool,
    pub(super) elsewhere: Vec<Word>,
}

pub(super) struct File<'a> {
    source: &'a str,
    family: Family,
    labels: &'a LabelNames,
    pub(super) faults: Vec<Diagnostic>,
    pub(super) tables: Vec<Table>,
    /// Chains that are not declared may stand elsewhere.
    pub(super) may_be_part: bool,
    /// Those that do.
    pub(super) elsewhere: Vec<Word>,
    open: Option<Section>,
    amounts: Amounts,
    /// Nothing further can be made sense of.
    lost: bool,
}

impl<'a> File<'a> {
    pub(super) fn new(source: &'a str, family: Family, labels: &'a LabelNames) -> Self {
        Self {
            source,
            family,
            labels,
            faults: Vec::new(),
            tables: Vec::new(),
            may_be_part: false,
            elsewhere: Vec::new(),
            open: None,
            amounts: Amounts::default(),
            lost: false,
        }
    }

    /// Reads all of it.
    pub(super) fn read(&mut self) {
        let source = self.source;
        if source.len() > FILE_MAX {
            let text = format!("the file has {} bytes; at most {FILE_MAX} are read", source.len());
            return self.faults.push(Diagnostic::new(code::LIMIT_EXCEEDED, Span::default(), text));
        }
        let mut start = 0;
        for line in source.split('\n') {
            self.line(line, start);
            start = start.saturating_add(offset(line.len() + 1));
            if self.faults.len() >= FAULTS_MAX || self.lost {
                break;
            }
        }
        self.end(offset(source.len()));
    }
}

impl File<'_> {
    fn line(&mut self, line: &str, start: u32) {
        let span = Span { start, end: start.saturating_add(offset(line.len())) };
        if line.len() > LINE_MAX {
            let text = format!("a line of {} bytes; at most {LINE_MAX} are read", line.len());
            return self.faults.push(Diagnostic::new(code::TOO_LONG, span, text));
        }
        if let Some(at) = line.find(['\r', '\0']) {
            let at = start.saturating_add(offset(at));
            let text = "a carriage return or NUL byte: not a file of lines that end in LF";
            let place = Span { start: at, end: at.saturating_add(1) };
            self.lost = true;
            let fault = Diagnostic::new(code::BAD_BYTE, place, text);
            return self.faults.push(fault.help("tr -d '\\r' < FILE"));
        }
        match (line.chars().next(), self.open.take()) {
            (None | Some('#'), open) => self.open = open,
            (_, Some(section)) if line == "COMMIT" => self.commit(section),
            (Some('*'), open) => {
                if let Some(section) = open {
                    self.commit_missing(&section, span);
                    self.commit(section);
                }
                self.open_table(line, span);
            }
            (Some(':'), Some(mut section)) => {
                self.chain(&mut section, line, span);
                self.open = Some(section);
            }
            (_, Some(mut section)) => {
                if !section.unknown {
                    self.rule(&mut section, line, span);
                }
                self.open = Some(section);
            }
            (_, None) => self.outside(line, span),
        }
    }

    fn end(&mut self, length: u32) {
        if let Some(section) = self.open.take() {
            if !self.lost && self.faults.len() < FAULTS_MAX {
                self.commit_missing(&section, Span { start: length, end: length });
            }
            self.commit(section);
        }
    }

    fn outside(&mut self, line: &str, span: Span) {
        let last = self.faults.last();
        if last.is_some_and(|fault| fault.code == code::OUTSIDE_TABLE && self.tables.is_empty()) {
            return;
        }
        let fault =
            Diagnostic::new(code::OUTSIDE_TABLE, span, "this line stands outside of a table");
        let listing =
            line.starts_with("Chain ") || line.starts_with("iptables") || line.starts_with("#!");
        self.faults.push(if line.starts_with("table ") && line.ends_with('{') {
            fault.help("this is an nftables rule set, which is not read")
        } else if listing {
            fault.help("this is not an iptables-save file; `iptables-save > FILE` makes one")
        } else if let Some(table) = table_of(self.source.get(span.start as usize..).unwrap_or("")) {
            fault.help(format!("*{}", table.as_str()))
        } else {
            fault
        });
    }

    fn commit_missing(&mut self, section: &Section, span: Span) {
        let text = "the table is not ended by `COMMIT`";
        let fault = Diagnostic::new(code::COMMIT_MISSING, span, text);
        self.faults.push(fault.label(section.span, "it begins here").help("COMMIT"));
    }

    fn open_table(&mut self, line: &str, span: Span) {
        let name = line.get(1..).unwrap_or("").split([' ', '\t']).find(|word| !word.is_empty());
        let name = name.unwrap_or("");
        let known = TableName::ALL.into_iter().find(|table| table.as_str() == name);
        if known.is_none() {
            let fault =
                Diagnostic::new(code::UNKNOWN_TABLE, span, format!("no table is called `{name}`"));
            let all = TableName::ALL.iter().map(|table| table.as_str());
            self.faults.push(match nearest(name, all) {
                Some(near) => fault.help(format!("*{near}")),
                None => fault,
            });
        }
        let hooks = match known {
            Some(name) => name.hooks(),
            None => &[],
        };
        let mut section = Section::new(known, hooks, span, known.is_none());
        section.may_be_part = self.may_be_part;
        self.open = Some(section);
    }

    fn commit(&mut self, section: Section) {
        if section.unknown {
            return;
        }
        self.elsewhere.extend(section.elsewhere);
        self.faults.extend(link::check(&section.table));
        link::check_hooks(&section.table, &section.requirements, &mut self.faults);
        if section.name.is_some() {
            self.tables.retain(|table| table.name != section.table.name);
            self.tables.push(section.table);
        }
    }

    fn chain(&mut self, section: &mut Section, line: &str, span: Span) {
        let faults = &mut self.faults;
        let mut words =
            line.get(1..).unwrap_or("").split([' ', '\t']).filter(|word| !word.is_empty());
        let (name, policy, counters) = (words.next(), words.next(), words.next());
        let Some((name, policy)) = name.zip(policy) else {
            let text = "a chain line is `:NAME POLICY [packets:bytes]`";
            return faults.push(Diagnostic::new(code::BAD_CHAIN_LINE, span, text));
        };
        if section.unknown {
            return;
        }
        section.table.declared = true;
        let at = match section.index.get(name) {
            Some(at) => Some(*at),
            None => section.add_chain(name, span, faults),
        };
        let Some(chain) = at.and_then(|at| section.table.chains.get_mut(at.0 as usize)) else {
            return;
        };
        if chain.hook.is_some() {
            chain.span = span;
            let parsed = counters.map(read_counters);
            if policy != "-" && !set_policy(chain, policy) {
                let text = format!("`{policy}` is no policy of a built-in chain");
                let fault = Diagnostic::new(code::BAD_CHAIN_LINE, span, text);
                faults.push(fault.help(format!(":{name} ACCEPT [0:0]")));
            } else if let Some(None) = parsed {
                faults.push(Diagnostic::new(
                    code::BAD_COUNTERS,
                    span,
                    "counters are `[packets:bytes]`",
                ));
            }
            if policy != "-" {
                chain.counters = parsed.flatten().unwrap_or((0, 0));
            }
        }
    }

    fn rule(&mut self, section: &mut Section, line: &str, span: Span) {
        let (counters, rest) = match line.strip_prefix('[') {
            None => (Some((0, 0)), line),
            Some(inner) => match inner.split_once(']') {
                Some((text, rest)) => (read_pair(text), rest),
                None => (None, ""),
            },
        };
        let Some(counters) = counters else {
            let text = "counters are `[packets:bytes]`";
            return self.faults.push(Diagnostic::new(code::BAD_COUNTERS, span, text));
        };
        let rest_start = span.end.saturating_sub(offset(rest.len()));
        let before = self.faults.len();
        let words = words::words(rest, rest_start, &mut self.faults);
        if self.faults.len() > before {
            return;
        }
        // What stands before the mark of the other family is read, and may be wrong.
        let other = words.iter().position(|word| is_of_other_family(word, self.family));
        let (words, passed_over) = match other.and_then(|at| words.get(..at)) {
            Some([words @ .., not]) if not.text == "!" => (words, true),
            Some(words) => (words, true),
            None => (words.as_slice(), false),
        };
        let line = rule::read(words, self.family, &mut self.faults);
        if passed_over {
            return;
        }
        self.only_of_rules(&line);
        let Some(command) = &line.command else {
            if self.faults.len() == before {
                let text = "the line has no command: -A CHAIN ...";
                self.faults.push(Diagnostic::new(code::NO_COMMAND, span, text));
            }
            return;
        };
        section.table.declared = true;
        match command {
            Command::NewChain(_) | Command::Policy(..) => self.chain_command(section, command),
            Command::Append(word) | Command::Insert(word, _) => {
                let number = match command {
                    Command::Insert(_, number) => Some(*number),
                    _ => None,
                };
                let mut draft = Draft { line: &line, chain: word, number, span, counters, section };
                let mut found = Vec::new();
                let setting = Setting {
                    family: self.family,
                    labels: self.labels,
                    legacy: false,
                    ethertype: None,
                };
                draft.add(setting, &mut self.amounts, &mut found);
                // What lacks an option may only have lost it to a fault reported already.
                let misread = self.faults.len() > before;
                let follows = [code::OPTION_MISSING, code::PROTOCOL_NEEDED];
                found.retain(|fault| !(misread && follows.contains(&fault.code)));
                self.faults.append(&mut found);
                if let Some(text) = self.amounts.exceeded() {
                    self.faults.push(Diagnostic::new(code::LIMIT_EXCEEDED, span, text));
                    self.lost = true;
                }
            }
            // A file's line is refused before it comes to this.
            _ => {}
        }
    }
}

impl File<'_> {
    /// `-N` and `-P`.
    fn chain_command(&mut self, section: &mut Section, command: &Command) {
        match command {
            Command::NewChain(word) => {
                if section.index.contains_key(&word.text) {
                    let text = format!("chain `{}` exists already", word.text);
                    self.faults.push(Diagnostic::new(code::BAD_CHAIN_LINE, word.span, text));
                } else {
                    section.add_chain(&word.text, word.span, &mut self.faults);
                }
            }
            Command::Policy(word, policy) => {
                let at = section.index.get(&word.text);
                let chain = at.and_then(|at| section.table.chains.get_mut(at.0 as usize));
                let fits = chain
                    .is_some_and(|chain| chain.hook.is_some() && set_policy(chain, &policy.text));
                if !fits {
                    let text = "a policy is set as `-P BUILT-IN-CHAIN ACCEPT` or `DROP`";
                    self.faults.push(Diagnostic::new(code::BAD_CHAIN_LINE, policy.span, text));
                }
            }
            _ => {}
        }
    }

    /// `-N` and `-P` take nothing of a rule.
    fn only_of_rules(&mut self, line: &Line) {
        let (command, option) = match &line.command {
            Some(Command::NewChain(_)) => (Main::NewChain, "-N"),
            Some(Command::Policy(..)) => (Main::Policy, "-P"),
            _ => return,
        };
        let passed = [command, Main::Ipv4, Main::Ipv6, Main::Verbose, Main::Modprobe];
        let mut places = line.places.iter().filter(|(main, _)| !passed.contains(main));
        let counters = command == Main::Policy;
        if let Some((_, span)) = places.find(|(main, _)| !(counters && *main == Main::SetCounters))
        {
            let text = format!("an option of a rule beside `{option}`");
            self.faults.push(Diagnostic::new(code::OPTION_CONFLICT, *span, text));
        }
    }
}

impl Section {
    pub(in crate::syntax) fn new(
        name: Option<TableName>,
        hooks: &[Hook],
        span: Span,
        unknown: bool,
    ) -> Self {
        let chains: Vec<Chain> = hooks
            .iter()
            .map(|hook| Chain {
                name: name.unwrap_or(TableName::Filter).chain_at(*hook).into(),
                hook: Some(*hook),
                policy: Some(Policy::Accept),
                counters: (0, 0),
                span: Span::default(),
                rules: Vec::new(),
            })
            .collect();
        let names = (0..).zip(&chains).map(|(at, chain)| (chain.name.clone(), ChainIndex(at)));
        let index = names.collect();
        let table = Table { name: name.unwrap_or(TableName::Filter), chains, declared: false };
        Self {
            name,
            table,
            index,
            requirements: Vec::new(),
            span,
            unknown,
            may_be_part: false,
            elsewhere: Vec::new(),
        }
    }

    pub(in crate::syntax) fn add_chain(
        &mut self,
        name: &str,
        span: Span,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<ChainIndex> {
        let wrong = if name.len() > CHAIN_NAME_MAX {
            Some("is longer than 28 characters")
        } else if name.is_empty() || name.starts_with(['-', '!']) {
            Some("is empty or begins with `-` or `!`")
        } else if name.contains(['"', ' ', '\t']) {
            Some("has a blank or a quote in it, so no rule could name it")
        } else if matches!(name, "ACCEPT" | "DROP" | "RETURN" | "QUEUE") {
            Some("is the name of a target")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let text = format!("the chain name `{name}` {wrong}");
            faults.push(Diagnostic::new(code::BAD_CHAIN_LINE, span, text));
            return None;
        }
        if self.table.chains.len() >= CHAINS_MAX {
            let text = format!("more than {CHAINS_MAX} chains in a table");
            faults.push(Diagnostic::new(code::LIMIT_EXCEEDED, span, text));
            return None;
        }
        let at = ChainIndex(offset(self.table.chains.len()));
        self.index.insert(name.into(), at);
        self.table.chains.push(Chain {
            name: name.into(),
            hook: None,
            policy: None,
            counters: (0, 0),
            span,
            rules: Vec::new(),
        });
        Some(at)
    }
}

/// A rule line on its way into its table.
pub(in crate::syntax) struct Draft<'a> {
    pub(in crate::syntax) line: &'a Line,
    pub(in crate::syntax) chain: &'a Word,
    pub(in crate::syntax) number: Option<usize>,
    pub(in crate::syntax) span: Span,
    pub(in crate::syntax) counters: (u64, u64),
    pub(in crate::syntax) section: &'a mut Section,
}

impl Draft<'_> {
    /// Adds the rules that the line stands for.
    pub(in crate::syntax) fn add(
        &mut self,
        setting: Setting<'_>,
        amounts: &mut Amounts,
        faults: &mut Vec<Diagnostic>,
    ) {
        let chain = self.section.chain_or_elsewhere(self.chain);
        if chain.is_none() {
            let fault = self.no_chain(self.chain);
            faults.push(fault);
        }
        self.interface_direction(faults);
        let count = self.line.sources.len().max(1) * self.line.destinations.len().max(1);
        if count > super::EXPANSION_MAX {
            let text = format!(
                "the lists of addresses make {count} rules of this line; at most {}",
                super::EXPANSION_MAX
            );
            return faults.push(Diagnostic::new(code::LIMIT_EXCEEDED, self.span, text));
        }
        amounts.rules += count;
        amounts.matches += count * self.line.matches.len();
        let mut at = chain.map(|chain| (chain, self.place(chain, faults)));
        let mut rules = Vec::new();
        for (number, header) in self.headers().into_iter().enumerate() {
            // Each rule gets matches of its own; only the first can have something new to report.
            let mut repeated = Vec::new();
            let faults = if number == 0 { &mut *faults } else { &mut repeated };
            rules.extend(self.build(setting, header, chain, number == 0, faults));
        }
        for rule in rules {
            let Some((chain, place)) = &mut at else { break };
            if let Some(chain) = self.section.table.chains.get_mut(chain.0 as usize) {
                let place_now = (*place).min(chain.rules.len());
                amounts.moves += chain.rules.len() - place_now;
                chain.rules.insert(place_now, rule);
                // `-I` puts each further rule of a list before the one before.
                *place = if self.number.is_some() { place_now } else { place_now + 1 };
            }
        }
    }

    fn place(&self, chain: ChainIndex, faults: &mut Vec<Diagnostic>) -> usize {
        let count = self.section.table.chain(chain).map_or(0, |chain| chain.rules.len());
        match self.number {
            None => count,
            Some(number) if number >= 1 && number <= count + 1 => number - 1,
            Some(number) => {
                let text = format!("rule number {number} in a chain of {count} rules");
                faults.push(Diagnostic::new(code::NO_COMMAND, self.chain.span, text));
                count
            }
        }
    }

    fn headers(&self) -> Vec<HeaderMatch> {
        let every = |networks: &[_]| match networks {
            [] => Vec::from([None]),
            networks => networks.iter().copied().map(Some).collect(),
        };
        let mut headers = Vec::new();
        for source in every(&self.line.sources) {
            for destination in every(&self.line.destinations) {
                headers.push(HeaderMatch { source, destination, ..self.line.header });
            }
        }
        headers
    }

    fn build(
        &mut self,
        setting: Setting<'_>,
        header: HeaderMatch,
        chain: Option<ChainIndex>,
        first: bool,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Rule> {
        let mut matches: Vec<Box<dyn Match>> = Vec::new();
        let mut whole = true;
        let setting = match &self.line.frame {
            None => setting,
            Some(frame) => {
                let ethertype = match frame {
                    FrameHeader::Ethernet(header) => header.protocol,
                    FrameHeader::Arp(_) => None,
                };
                if !frame.is_empty() {
                    matches.push(Box::new(frame.clone()));
                }
                Setting { ethertype, ..setting }
            }
        };
        for instance in &self.line.matches {
            let Some((value, tables, hooks)) =
                instance.build(setting, (&header, &[]), self.line.place(Main::Protocol), faults)
            else {
                whole = false;
                continue;
            };
            matches.push(value);
            let extension = instance.extension;
            if first {
                self.require(chain, extension.name, tables, hooks, instance.span, faults);
            }
        }
        let target = self.target(setting, (&header, &matches), chain, first, faults)?;
        let counters = self.line.counters.unwrap_or(self.counters);
        let header = simplified(header);
        whole.then_some(Rule { header, matches, target, counters, span: self.span })
    }

    fn target(
        &mut self,
        setting: Setting<'_>,
        rule: (&HeaderMatch, &[Box<dyn Match>]),
        chain: Option<ChainIndex>,
        first: bool,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Jump> {
        let (word, goto) = match &self.line.goal {
            None => return Some(Jump::None),
            Some(Goal::Refused) => return None,
            Some(Goal::Target(instance)) => {
                let place = self.line.place(Main::Protocol);
                let (value, tables, hooks) = instance.build(setting, rule, place, faults)?;
                let extension = instance.extension;
                if first {
                    self.require(chain, extension.name, tables, hooks, instance.span, faults);
                }
                return Some(Jump::Target(value));
            }
            Some(Goal::Name { word, goto }) => (word, *goto),
        };
        let standard = standard::step(&word.text);
        if let Some(step) = standard.filter(|_| !goto) {
            return Some(Jump::Standard(step));
        }
        let Some(to) = self.section.chain_or_elsewhere(word) else {
            faults.push(self.no_target(word));
            return None;
        };
        if self.section.table.chain(to).is_some_and(|chain| chain.hook.is_some()) {
            let text = format!("`{}` is a built-in chain", word.text);
            faults.push(Diagnostic::new(code::JUMP_TO_BUILTIN, word.span, text));
            return None;
        }
        Some(if goto { Jump::Goto(to) } else { Jump::Jump(to) })
    }

    fn require(
        &mut self,
        chain: Option<ChainIndex>,
        name: &'static str,
        tables: &'static [TableName],
        hooks: &'static [Hook],
        span: Span,
        faults: &mut Vec<Diagnostic>,
    ) {
        let Some(table) = self.section.name else { return };
        if !tables.is_empty() && !tables.contains(&table) {
            let allowed: Vec<_> =
                tables.iter().map(|table| format!("`{}`", table.as_str())).collect();
            let text = format!("`{name}` can stand in {} only", allowed.join(" and "));
            faults.push(Diagnostic::new(code::WRONG_TABLE, span, text));
        } else if let Some(chain) = chain.filter(|_| !hooks.is_empty()) {
            self.section.requirements.push(Requirement { chain, name, hooks, span });
        }
    }

    fn no_chain(&self, word: &Word) -> Diagnostic {
        let text = format!("no chain is called `{}`", word.text);
        let fault = Diagnostic::new(code::UNKNOWN_TARGET, word.span, text);
        let builtin = TableName::Mangle.hooks().iter().any(|hook| builtin_name(*hook) == word.text);
        if let Some(table) = self.section.name.filter(|_| builtin) {
            let hooks = table.hooks().iter().map(|hook| builtin_name(*hook));
            let chains: Vec<&str> = hooks.collect();
            return fault.help(format!("`{}` has {}", table.as_str(), chains.join(", ")));
        }
        match nearest(&word.text, self.section.index.keys().map(String::as_str)) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(self.section.declaration(word)),
        }
    }

    fn no_target(&self, word: &Word) -> Diagnostic {
        let text = format!("no chain or target is called `{}`", word.text);
        let fault = Diagnostic::new(code::UNKNOWN_TARGET, word.span, text);
        let standard = standard::STANDARD.iter().map(|(name, _)| *name);
        let targets = TARGETS.iter().map(|one| one.name).chain(standard);
        let targets = targets.chain(known::TARGETS.iter().copied());
        let chains = self.section.index.keys().map(String::as_str);
        match nearest(&word.text, chains.chain(targets)) {
            _ if word.text == "!" => fault.help("where a packet goes cannot be inverted"),
            _ if word.text.starts_with(['-', '!']) => {
                fault.help("-j is followed by the name of a chain or target")
            }
            Some(near) => fault.help(format!("did you mean `-j {near}`?")),
            None => fault.help(self.section.declaration(word)),
        }
    }

    fn interface_direction(&self, faults: &mut Vec<Diagnostic>) {
        if self.line.family == NfProto::Bridge {
            return self.bridge_direction(faults);
        }
        let (main, option) = match self.chain.text.as_str() {
            "INPUT" | "PREROUTING" => (Main::OutInterface, "-o"),
            "OUTPUT" | "POSTROUTING" => (Main::InInterface, "-i"),
            _ => return,
        };
        if let Some(span) = self.line.place(main) {
            let text = format!("`{option}` has no meaning in {}", self.chain.text);
            let fault = Diagnostic::new(code::INTERFACE_DIRECTION, span, text);
            faults.push(fault.says(format!("Can't use {option} with {}\n", self.chain.text)));
        }
    }
}
