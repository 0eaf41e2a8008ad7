//! One command, read and carried out.

use super::refusal::{NO_CHAIN, NO_RULE, Why};
use super::{Chain, Kept, Refusal, Rule, Says, Table, Variant, policy_named};
use crate::diagnostic::{Diagnostic, code};
use crate::labels::LabelNames;
use crate::model::{NfProto, Span, TableName};
use crate::syntax::iptables_save::options::Main;
use crate::syntax::iptables_save::rule::{self, Command, Goal, Line, Setting};
use crate::syntax::iptables_save::words::Word;
use crate::syntax::iptables_save::{CHAIN_NAME_MAX, CHAINS_MAX, Single, print_rule, read_single};
use crate::syntax::{frames, iptables_list};
use crate::targets::TARGETS;
use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

/// A command that was understood.
#[derive(Debug)]
pub struct Asked<'a> {
    pub(super) line: Line,
    pub(super) table: TableName,
    pub(super) source: &'a str,
    /// Where it stands, in a text of several.
    pub span: Span,
    variant: Variant,
}

/// Reads the words of a command, without its name. `source` is what their places are in.
///
/// # Errors
/// What the real tool says before it asks the kernel for anything.
pub fn ask<'a>(
    words: &[Word],
    source: &'a str,
    family: impl Into<NfProto>,
    variant: Variant,
) -> Result<Asked<'a>, Refusal> {
    let family = family.into();
    let span = Span {
        start: words.first().map_or(0, |word| word.span.start),
        end: words.last().map_or(0, |word| word.span.end),
    };
    read(words, source, family, variant).map(|line| {
        let table = line.beside.table.as_ref().and_then(|word| family.table_named(&word.text));
        Asked { table: table.unwrap_or(TableName::Filter), line, source, span, variant }
    })
}

/// Reads the line and judges what the tool judges without the kernel, but not the table's name.
fn read(words: &[Word], source: &str, family: NfProto, variant: Variant) -> Result<Line, Refusal> {
    let mut faults = Vec::new();
    let line = match family.packets() {
        Some(family) => rule::read_command(words, family, &mut faults),
        None => frames::read_command(words, family, &mut faults),
    };
    let other = match family {
        NfProto::Ipv6 => Main::Ipv4,
        _ => Main::Ipv6,
    };
    let mismatch = line.place(other);
    let first = faults.first().map(|fault| fault.span.start);
    if mismatch.is_some_and(|span| first.is_none_or(|first| span.start < first)) {
        return Err(Refusal { says: Says::Nothing, ..Refusal::problem("") });
    }
    if !faults.is_empty() {
        let (what, chain) = match &line.command {
            Some(Command::Append(chain)) => ("RULE_APPEND", chain.text.as_str()),
            Some(Command::Insert(chain, _)) => ("RULE_INSERT", chain.text.as_str()),
            Some(Command::Replace(chain, _)) => ("RULE_REPLACE", chain.text.as_str()),
            _ => ("", ""),
        };
        return Err(Refusal::of_faults(faults, source, (variant, what, chain)));
    }
    let command = match (&line.command, family) {
        (Some(command), _) => command,
        // ebtables alone has nothing to say to nothing.
        (None, NfProto::Bridge) => &Command::Help,
        (None, _) => return Err(Refusal::problem("no command specified")),
    };
    if let Command::NewChain(word) = command {
        new_chain_name(&word.text, family)?;
    }
    if let Command::RenameChain(_, new) = command
        && (new.text.len() > CHAIN_NAME_MAX || new.text.is_empty())
    {
        return Err(too_long(&new.text));
    }
    if family != NfProto::Bridge {
        legal(command, &line)?;
    }
    if let Some(table) = &line.beside.table
        && family.table_named(&table.text).is_none()
    {
        let name = &table.text;
        let says = match variant {
            Variant::Nft => format!("table '{name}' does not exist"),
            Variant::Legacy => format!(
                "can't initialize iptables table `{name}': Table does not exist (do you need to \
                 insmod?)"
            ),
        };
        return Err(Refusal { status: 3, ..Refusal::problem(says) });
    }
    Ok(line)
}

/// What no user chain of a family is called.
pub(super) fn new_chain_name(name: &str, family: NfProto) -> Result<(), Refusal> {
    match family {
        NfProto::Bridge if name.starts_with('-') => {
            Err(Refusal::problem("No chain name specified"))
        }
        NfProto::Bridge if matches!(name, "ACCEPT" | "DROP" | "RETURN" | "CONTINUE") => {
            // The real tool takes it, and no rule can lead there.
            Err(Refusal::problem("chain name may not clash with target name"))
        }
        _ => chain_name(name),
    }
}

/// What no user chain is called.
pub(super) fn chain_name(name: &str) -> Result<(), Refusal> {
    let target = |one: &str| TARGETS.iter().any(|target| target.name == one);
    if let Some(first) = name.chars().next().filter(|c| matches!(c, '-' | '!')) {
        Err(Refusal::problem(format!("chain name not allowed to start with `{first}'")))
    } else if name.len() > CHAIN_NAME_MAX {
        Err(too_long(name))
    } else if matches!(name, "ACCEPT" | "DROP" | "RETURN" | "QUEUE") || target(name) {
        Err(Refusal::problem("chain name may not clash with target name"))
    } else if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(Refusal::problem(format!("Invalid chain name `{name}'")))
    } else if name.contains('"') {
        // The real tools take it, and write a file that they cannot read.
        Err(Refusal::problem(format!("Invalid chain name `{name}'")))
    } else {
        Ok(())
    }
}

fn too_long(name: &str) -> Refusal {
    Refusal::problem(format!("chain name `{name}' too long (must be under 29 chars)"))
}

/// Options that a command does not take.
fn legal(command: &Command, line: &Line) -> Result<(), Refusal> {
    let of_rule = matches!(
        command,
        Command::Append(_)
            | Command::Insert(..)
            | Command::Check(_)
            | Command::Replace(..)
            | Command::Delete(_, None)
    );
    let counted = of_rule && !matches!(command, Command::Delete(..) | Command::Check(_))
        || matches!(command, Command::Policy(..));
    let shows = matches!(command, Command::List(..));
    let illegal = |main: Main| match main {
        Main::Source
        | Main::Destination
        | Main::Protocol
        | Main::InInterface
        | Main::OutInterface
        | Main::Jump
        | Main::Goto
        | Main::Match
        | Main::Fragment => !of_rule,
        Main::SetCounters => !counted,
        Main::Numeric | Main::Exact | Main::LineNumbers => !shows,
        _ => false,
    };
    let helps = matches!(command, Command::Help | Command::Version);
    // `-m` is not an option of the table that this is judged by.
    let wrong = line.places.iter().find(|(main, _)| *main != Main::Match && illegal(*main));
    let Some((main, _)) = wrong.filter(|_| !helps) else { return Ok(()) };
    let name = match main {
        Main::LineNumbers => String::from("--line-numbers"),
        main => {
            let options = crate::syntax::iptables_save::options::OPTIONS;
            let short = options.iter().find(|(_, one, _)| one == main).map_or('?', |one| one.0);
            // A goto is a jump there.
            format!("-{}", if *main == Main::Goto { 'j' } else { short })
        }
    };
    Err(Refusal::problem(format!("Illegal option `{name}' with this command")))
}

impl Asked<'_> {
    /// Whether `-h` was asked, which needs no tables.
    #[must_use]
    pub fn is_help(&self) -> bool {
        matches!(self.line.command, Some(Command::Help))
            || self.line.command.is_none() && self.line.family == NfProto::Bridge
    }

    /// The pages of the matches and targets that the command names.
    pub fn manuals(&self) -> impl Iterator<Item = &'static str> {
        let target = match &self.line.goal {
            Some(Goal::Target(one)) => Some(one.extension.manual),
            _ => None,
        };
        let matches: Vec<_> = self.line.matches.iter().map(|one| one.extension.manual).collect();
        matches.into_iter().chain(target)
    }

    /// Whether `-V` was asked, which needs no tables.
    #[must_use]
    pub const fn is_version(&self) -> bool {
        matches!(self.line.command, Some(Command::Version))
    }

    /// Whether it may change the tables.
    #[must_use]
    pub const fn changes(&self) -> bool {
        let only_shows = matches!(
            self.line.command,
            Some(
                Command::List(..)
                    | Command::ListRules(..)
                    | Command::Check(_)
                    | Command::Help
                    | Command::Version
            )
        );
        !only_shows || self.line.beside.zero
    }

    /// `-w`: to wait for others, and how long at most.
    #[must_use]
    pub fn wait(&self) -> Option<Option<Duration>> {
        self.line.beside.wait.map(|seconds| seconds.map(Duration::from_secs))
    }

    /// Whether options that do nothing any more were given.
    #[must_use]
    pub fn warnings(&self) -> &'static str {
        match self.line.place(Main::WaitInterval) {
            Some(_) => "Ignoring deprecated --wait-interval option.\n",
            None => "",
        }
    }

    /// Puts it into a table, as a file does.
    pub(super) const fn in_table(mut self, table: TableName) -> Self {
        self.table = table;
        self
    }

    pub(super) fn verbose(&self) -> bool {
        self.line.beside.verbose > 0
    }

    pub(super) fn single(
        &self,
        kept: &Kept,
        chain: &Word,
        labels: &LabelNames,
    ) -> Result<Single, Refusal> {
        let legacy = kept.variant == Variant::Legacy;
        let family = kept.family.addresses();
        let setting = Setting { family, labels, legacy, ethertype: None };
        let table = kept.table(self.table);
        let is_chain = |name: &str| {
            table.and_then(|table| table.chain(name)).is_some_and(|chain| chain.policy.is_none())
        };
        // A chain that cannot be is missed later, when the rule itself is right.
        let itself =
            matches!(&self.line.goal, Some(Goal::Name { word, .. }) if word.text == chain.text);
        let unfit =
            !kept.is_chain(self.table, &chain.text) && (itself || chain_name(&chain.text).is_err());
        let placed = Word { text: "missing".into(), ..chain.clone() };
        let placed = if unfit { &placed } else { chain };
        let single = read_single(&self.line, setting, self.table, placed, &is_chain)
            .map_err(|faults| self.refuse(faults, self.source, &chain.text))?;
        kept.sets_fit(single.rules()).map(|()| single)
    }

    /// What the kernel is asked for.
    const fn change(&self) -> &'static str {
        match self.line.command {
            Some(Command::Insert(..)) => "RULE_INSERT",
            Some(Command::Replace(..)) => "RULE_REPLACE",
            _ => "RULE_APPEND",
        }
    }

    fn refuse(&self, mut faults: Vec<Diagnostic>, source: &str, chain: &str) -> Refusal {
        if self.line.family.packets().is_none() {
            // What the tool finds comes before what the kernel finds.
            faults.sort_by_key(|fault| {
                let rank = match (fault.code, &fault.says) {
                    (code::PROTOCOL_NEEDED | code::OPTION_MISSING, Some(_)) => 1,
                    (code::UNKNOWN_TARGET, None) | (_, Some(_)) => 0,
                    (_, None) => 2,
                };
                (rank, fault.span.start)
            });
        }
        let what = self.change();
        if let (Variant::Legacy, Some(Goal::Name { word, goto: true }), Some(first)) =
            (self.variant, &self.line.goal, faults.first())
            && first.code == code::UNKNOWN_TARGET
        {
            let says = format!("goto '{}' is not a chain", word.text);
            return Refusal { faults, ..Refusal::problem(says) };
        }
        Refusal::of_faults(faults, source, (self.variant, what, chain))
    }
}

impl Kept {
    /// Carries a command out and says what is printed. `whole` judges the whole table where the
    /// change may matter to rules elsewhere; without it, that is left to whoever has more commands.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn apply(
        &mut self,
        asked: &Asked<'_>,
        labels: &LabelNames,
        whole: bool,
    ) -> Result<String, Refusal> {
        let Some(command) = &asked.line.command else { return Ok(String::new()) };
        let table = asked.table;
        let all = matches!(
            command,
            Command::DeleteChain(_)
                | Command::RenameChain(..)
                | Command::Flush(_)
                | Command::Zero(..)
        );
        if all {
            self.works(self.table(table).map_or(0, Table::size))?;
        }
        if self.variant == Variant::Legacy && asked.changes() {
            self.touch(table);
        }
        match command {
            Command::Append(chain) | Command::Insert(chain, _) | Command::Replace(chain, _) => {
                self.put(asked, chain, labels, whole)
            }
            Command::Delete(chain, Some(number)) => {
                let count = self.chain_there(table, &chain.text)?.map_or(0, |one| one.rules.len());
                self.works(count.saturating_sub(*number))?;
                let chain = self.chain_there(table, &chain.text)?;
                let rules = chain.map(|chain| &mut chain.rules);
                let Some(rules) = rules.filter(|rules| *number <= rules.len()) else {
                    return Err(Refusal::answer("Index of deletion too big"));
                };
                rules.remove(number - 1);
                Ok(String::new())
            }
            Command::Delete(chain, None) | Command::Check(chain) => {
                self.find(asked, chain, labels, matches!(command, Command::Delete(..)))
            }
            Command::NewChain(chain) => self.new_chain(asked, &chain.text),
            Command::DeleteRange(..) | Command::ChangeCounters(..) | Command::InitTable => {
                self.apply_to_bridge(asked, command, labels)
            }
            Command::DeleteChain(chain) => self.delete_chain(asked, chain.as_ref()),
            Command::RenameChain(old, new) => self.rename(table, &old.text, &new.text),
            Command::Policy(chain, policy) => self.policy(asked, &chain.text, &policy.text),
            Command::Flush(chain) => self.flush(asked, chain.as_ref()),
            Command::Zero(chain, number) => self.zero(asked, chain.as_ref(), *number),
            Command::List(chain, number) => self.list(asked, chain.as_ref(), *number, labels),
            Command::ListRules(chain, number) => {
                self.list_rules(asked, chain.as_ref(), *number, labels)
            }
            Command::Help | Command::Version => Ok(String::new()),
        }
    }

    /// Makes a user chain.
    pub(super) fn add_chain(&mut self, table: TableName, name: &str) -> Result<(), Refusal> {
        let chains = self.table(table).map_or(0, |table| table.chains.len());
        if chains >= CHAINS_MAX {
            return Err(Refusal::problem(format!("more than {CHAINS_MAX} chains in a table")));
        }
        let place = self.table(table).and_then(|table| table.place(name).err());
        // A chain is moved faster than a rule is.
        self.works(place.map_or(0, |at| chains.saturating_sub(at)) / 4)?;
        self.touch(table).add_chain(name);
        Ok(())
    }

    /// Whether a chain is there: built-in ones are, whether their table was made or not.
    pub(super) fn is_chain(&self, table: TableName, name: &str) -> bool {
        let builtin = self.family.is_builtin(table, name);
        builtin || self.table(table).is_some_and(|table| table.chain(name).is_some())
    }

    pub(super) fn chain_for(
        &mut self,
        table: TableName,
        name: &str,
    ) -> Result<&mut Chain, Refusal> {
        if !self.is_chain(table, name) {
            return Err(Refusal::answer(NO_CHAIN));
        }
        self.touch(table).chain_mut(name).ok_or_else(|| Refusal::answer(NO_CHAIN))
    }

    /// The same, without a table being made for it.
    pub(super) fn chain_there(
        &mut self,
        table: TableName,
        name: &str,
    ) -> Result<Option<&mut Chain>, Refusal> {
        if !self.is_chain(table, name) {
            return Err(Refusal::answer(NO_CHAIN));
        }
        let mut tables = self.tables.iter_mut();
        let table = tables.find(|one| one.name == table);
        Ok(table.and_then(|table| table.chain_mut(name)))
    }

    /// `-A`, `-I`, `-R`.
    fn put(
        &mut self,
        asked: &Asked<'_>,
        name: &Word,
        labels: &LabelNames,
        whole: bool,
    ) -> Result<String, Refusal> {
        let single = asked.single(self, name, labels)?;
        let family = self.family;
        let mut rules = texts(&single, family, &name.text, asked.span);
        if !self.is_chain(asked.table, &name.text) {
            return Err(Refusal::answer(NO_CHAIN));
        }
        let chain = self.table(asked.table).and_then(|table| table.chain(&name.text));
        let count = chain.map_or(0, |chain| chain.rules.len());
        match &asked.line.command {
            Some(Command::Insert(_, number)) if *number > count + 1 => {
                return Err(Refusal::answer("Index of insertion too big"));
            }
            Some(Command::Replace(..)) if rules.len() > 1 => {
                let text = "Replacement rule does not specify a unique address";
                return Err(Refusal::problem(text));
            }
            Some(Command::Replace(_, number)) if *number > count => {
                return Err(Refusal::answer("Index of replacement too big"));
            }
            _ => {}
        }
        let moved = match &asked.line.command {
            Some(Command::Insert(_, number)) => count + 1 - number,
            _ => 0,
        };
        self.works(moved)?;
        self.takes(single.rules(), asked.change(), &name.text)?;
        let judged = single.open && whole;
        let before = if judged { Some(self.tables.clone()) } else { None };
        let into = &mut self.chain_for(asked.table, &name.text)?.rules;
        match &asked.line.command {
            Some(Command::Insert(_, number)) => {
                // Each rule of a list goes before the one before it.
                rules.reverse();
                into.splice(number - 1..number - 1, rules);
            }
            Some(Command::Replace(_, number)) => {
                into.splice(number - 1..*number, rules);
            }
            _ => into.extend(rules),
        }
        if let Some(before) = before
            && let Err(refusal) = self.judge(asked, &name.text, labels)
        {
            self.tables = before;
            return Err(refusal);
        }
        Ok(brief(asked, family, &single))
    }

    /// Judges the table that a change was made in.
    fn judge(&self, asked: &Asked<'_>, chain: &str, labels: &LabelNames) -> Result<(), Refusal> {
        let (mut kept, mut text) = (Self::new(self.family, self.variant), String::new());
        kept.tables.extend(self.table(asked.table).cloned());
        let faults = match kept.stands(labels) {
            Ok(()) => return Ok(()),
            Err((faults, of)) => {
                text.push_str(&of);
                faults
            }
        };
        let mut refusal = asked.refuse(faults, &text, chain);
        // Their places are in a text that nobody has seen.
        refusal.faults = Vec::new();
        Err(refusal)
    }

    /// `-D` with a rule, `-C`: every rule that the line stands for has to be there.
    fn find(
        &mut self,
        asked: &Asked<'_>,
        name: &Word,
        labels: &LabelNames,
        delete: bool,
    ) -> Result<String, Refusal> {
        let single = asked.single(self, name, labels)?;
        let chain = self.table(asked.table).and_then(|table| table.chain(&name.text));
        let count = chain.map_or(0, |chain| chain.rules.len());
        self.works(count.saturating_mul(single.rules().len()))?;
        let chain = self.table(asked.table).and_then(|table| table.chain(&name.text));
        let Some(chain) = chain else { return Err(Refusal::answer(NO_RULE)) };
        let mut found: Vec<usize> = Vec::new();
        for rule in texts(&single, self.family, &name.text, asked.span) {
            let mut same = (0..).zip(&chain.rules).filter(|(_, one)| one.text == rule.text);
            let at = same.find(|(at, _)| !delete || !found.contains(at));
            found.push(at.ok_or_else(|| Refusal::answer(NO_RULE))?.0);
        }
        if delete {
            found.sort_unstable();
            let rules = &mut self.chain_for(asked.table, &name.text)?.rules;
            for at in found.into_iter().rev() {
                rules.remove(at);
            }
        }
        Ok(brief(asked, self.family, &single))
    }

    fn delete_chain(&mut self, asked: &Asked<'_>, name: Option<&Word>) -> Result<String, Refusal> {
        let variant = self.variant;
        let Some(table) = self.tables.iter_mut().find(|table| table.name == asked.table) else {
            return match name {
                Some(_) => Err(Refusal::answer(NO_CHAIN)),
                None => Ok(String::new()),
            };
        };
        let called = table.called();
        let busy = |chain: &Chain| {
            let why = match (called.contains(chain.name.as_str()), chain.rules.is_empty()) {
                (true, _) => Why::CALLED,
                (false, false) => Why::FULL,
                (false, true) => return Ok(()),
            };
            let place = format!("chain {}", chain.name);
            Err(Refusal::failed(variant, "CHAIN_DEL", why, &place))
        };
        let mut out = String::new();
        let mut gone = |chain: &Chain| {
            if asked.verbose() {
                out.push_str(&format!("Deleting chain `{}'\n", chain.name));
            }
        };
        match name {
            None => {
                let users = table.chains.iter().filter(|chain| chain.policy.is_none());
                for chain in users {
                    busy(chain)?;
                    gone(chain);
                }
                table.chains.retain(|chain| chain.policy.is_some());
            }
            Some(name) => {
                let Some(chain) = table.chain(&name.text) else {
                    return Err(Refusal::answer(NO_CHAIN));
                };
                if chain.policy.is_some() && variant == Variant::Legacy {
                    return Err(Refusal::answer(super::refusal::INVALID));
                }
                let full = chain.policy.is_some() && !chain.rules.is_empty();
                if full && asked.line.family == NfProto::Bridge {
                    return Err(Refusal::answer("Directory not empty"));
                }
                busy(chain)?;
                gone(chain);
                if chain.policy.is_some() {
                    // A built-in chain is there again when it is next looked at.
                    let chain = table.chain_mut(&name.text);
                    chain.into_iter().for_each(|chain| {
                        (chain.policy, chain.counters) = (policy_named("ACCEPT"), (0, 0));
                    });
                } else {
                    table.chains.retain(|chain| chain.name != name.text);
                }
            }
        }
        Ok(out)
    }

    fn rename(&mut self, table: TableName, old: &str, new: &str) -> Result<String, Refusal> {
        if self.is_chain(table, new) {
            return Err(Refusal::answer("File exists"));
        }
        let found = self.table(table).and_then(|table| table.chain(old));
        if found.is_none_or(|chain| chain.policy.is_some()) {
            return Err(Refusal::answer(NO_CHAIN));
        }
        chain_name(new)?;
        let table = self.touch(table);
        let Ok(at) = table.place(old) else { return Err(Refusal::answer(NO_CHAIN)) };
        let mut chain = table.chains.remove(at);
        chain.name = new.into();
        let at = table.place(new).unwrap_or_else(|at| at);
        table.chains.insert(at, chain);
        for option in [" -j ", " -g "] {
            let (from, to) = (format!("{option}{old}"), format!("{option}{new}"));
            for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
                if let Some(front) = rule.text.strip_suffix(from.as_str()) {
                    rule.text = format!("{front}{to}");
                }
            }
        }
        Ok(String::new())
    }

    fn policy(&mut self, asked: &Asked<'_>, name: &str, policy: &str) -> Result<String, Refusal> {
        if self.family == NfProto::Bridge {
            return self.bridge_policy(asked.table, name, policy);
        }
        if !self.family.is_builtin(asked.table, name) {
            return Err(Refusal::answer("Bad built-in chain name"));
        }
        let Some(policy) = policy_named(policy) else {
            return Err(Refusal::answer("Bad policy name. Run `dmesg' for more information"));
        };
        let chain = self.chain_for(asked.table, name)?;
        chain.policy = Some(policy);
        chain.counters = asked.line.counters.unwrap_or((0, 0));
        Ok(String::new())
    }

    fn flush(&mut self, asked: &Asked<'_>, name: Option<&Word>) -> Result<String, Refusal> {
        self.each_chain(asked, name, "Flushing", |chain| chain.rules.clear())
    }

    pub(super) fn zero(
        &mut self,
        asked: &Asked<'_>,
        name: Option<&Word>,
        number: Option<usize>,
    ) -> Result<String, Refusal> {
        if let (Some(name), Some(number)) = (name, number) {
            let variant = self.variant;
            let chain = self.chain_there(asked.table, &name.text)?;
            return match (chain.and_then(|chain| chain.rules.get_mut(number - 1)), variant) {
                (Some(rule), _) => {
                    rule.counters = (0, 0);
                    Ok(String::new())
                }
                (None, Variant::Nft) => Ok(String::new()),
                (None, Variant::Legacy) => Err(Refusal::answer("Index of counter too big")),
            };
        }
        self.each_chain(asked, name, "Zeroing", |chain| {
            chain.counters = (0, 0);
            chain.rules.iter_mut().for_each(|rule| rule.counters = (0, 0));
        })
    }

    /// Changes one chain or all of them.
    fn each_chain(
        &mut self,
        asked: &Asked<'_>,
        name: Option<&Word>,
        doing: &str,
        change: impl Fn(&mut Chain),
    ) -> Result<String, Refusal> {
        if name.is_some_and(|name| !self.is_chain(asked.table, &name.text)) {
            return Err(Refusal::answer(NO_CHAIN));
        }
        let mut out = String::new();
        let table = self.tables.iter_mut().find(|table| table.name == asked.table);
        for chain in table.into_iter().flat_map(|table| &mut table.chains) {
            if name.is_none_or(|name| name.text == chain.name) {
                change(chain);
                if asked.verbose() {
                    out.push_str(&format!("{doing} chain `{}'\n", chain.name));
                }
            }
        }
        Ok(out)
    }
}

/// The rules of a line as they are kept.
pub(super) fn texts(single: &Single, family: NfProto, chain: &str, span: Span) -> Vec<Rule> {
    let front = format!("-A {chain}");
    let rules = single.rules().iter().map(|rule| {
        let text = match family.packets() {
            Some(family) => print_rule(family, &single.table, chain, rule),
            None => frames::print_rule(family, &single.table, chain, rule),
        };
        let text = text.strip_prefix(front.as_str()).unwrap_or("").into();
        Rule { counters: rule.counters, text, span }
    });
    rules.collect()
}

/// What `-v` tells of the rules.
fn brief(asked: &Asked<'_>, family: NfProto, single: &Single) -> String {
    if !asked.verbose() {
        return String::new();
    }
    let rules = single.rules().iter();
    let Some(family) = family.packets() else {
        return rules.map(|rule| frames::print_brief(family, &single.table, rule)).collect();
    };
    rules.map(|rule| iptables_list::print_brief(family, &single.table, rule)).collect()
}
