//! Words become options, options go to the rule, its matches and its target.
//!
//! A `!` may stand before its option or, as it once did, behind it. ebtables knows the options of all
//! its matches without `-m`; a match stands in the rule where its first option stood.

use super::options;
use crate::diagnostic::{Diagnostic, code, nearest};
use crate::extension::{Extension, Given, OptionSpec, Value};
use crate::matches::ebtables::MATCHES;
use crate::matches::header::FrameHeader;
use crate::matches::header::arp::ArpHeader;
use crate::matches::header::ethernet::EthernetHeader;
use crate::model::{NfProto, Span};
use crate::syntax::iptables_save::options::Main;
use crate::syntax::iptables_save::rule::{Amount, Command, Goal, Instance, Line};
use crate::syntax::iptables_save::words::Word;
use crate::targets::Target;
use alloc::{boxed::Box, format, string::String, vec::Vec};

/// Reads the words of a command or of a line of a file, without the tool's name.
#[must_use]
pub fn read_command(words: &[Word], family: NfProto, faults: &mut Vec<Diagnostic>) -> Line {
    let line = Line { family, ..Line::default() };
    let words = words.iter();
    let mut reader = Reader {
        family,
        words,
        faults,
        line,
        not: None,
        ethernet: EthernetHeader::default(),
        arp: ArpHeader::default(),
    };
    while let Some(word) = reader.words.next() {
        if !reader.word(word) {
            break;
        }
    }
    if let Some(not) = reader.not {
        let fault = Diagnostic::new(code::NOT_INVERTIBLE, not, "`!` with nothing behind it");
        reader.faults.push(fault.says("nothing appropriate following !"));
    }
    let frame = match family {
        NfProto::Bridge => FrameHeader::Ethernet(reader.ethernet),
        _ => FrameHeader::Arp(reader.arp),
    };
    reader.line.frame = Some(frame);
    reader.line
}

/// The targets of a family.
pub(crate) const fn targets(family: NfProto) -> &'static [Extension<Box<dyn Target>>] {
    match family {
        NfProto::Bridge => crate::targets::ebtables::TARGETS,
        _ => crate::targets::arptables::TARGETS,
    }
}

/// Whose option it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Main(Main),
    /// The match with this number in [`MATCHES`].
    Match(usize),
    Target,
}

pub(super) struct Reader<'a> {
    pub(super) family: NfProto,
    words: core::slice::Iter<'a, Word>,
    faults: &'a mut Vec<Diagnostic>,
    line: Line,
    /// A `!` that waits for its option.
    not: Option<Span>,
    pub(super) ethernet: EthernetHeader,
    pub(super) arp: ArpHeader,
}

/// Of values that are read and found wrong the reader goes on; what nobody knows ends the line.
impl<'a> Reader<'a> {
    pub(super) fn is_bridge(&self) -> bool {
        self.family == NfProto::Bridge
    }

    pub(super) fn fault(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }

    pub(super) fn problem(&mut self, span: Span, text: &str, says: impl Into<String>) {
        self.fault(Diagnostic::new(code::BAD_VALUE, span, text).says(says));
    }

    fn word(&mut self, word: &'a Word) -> bool {
        let text = word.text.as_str();
        if text == "!" {
            if self.not.is_some() {
                self.problem(
                    word.span,
                    "a second `!` in a row",
                    "multiple consecutive ! not allowed",
                );
            }
            self.not = Some(word.span);
            return true;
        }
        if let Some(long) = text.strip_prefix("--").filter(|long| !long.is_empty()) {
            let (name, value) = crate::syntax::iptables_save::options::split_value(long);
            return match self.find(name) {
                Some((owner, spec)) => self.option(word, owner, spec, value),
                None => self.unknown(word, name),
            };
        }
        if text.len() > 1 && text.starts_with('-') {
            return self.short(word);
        }
        let says = match self.family {
            NfProto::Bridge => format!("Bad argument : '{text}'"),
            _ => format!("Bad argument `{text}'"),
        };
        let fault =
            Diagnostic::new(code::STRAY_WORD, word.span, format!("`{text}` belongs to no option"));
        self.fault(fault.says(says));
        false
    }

    fn short(&mut self, word: &'a Word) -> bool {
        for (at, letter) in word.text.char_indices().skip(1) {
            let known = options::of(self.family).iter().find(|(short, ..)| *short == letter);
            let Some((_, main, spec)) = known.filter(|_| letter != '\0') else {
                return self.unknown(word, &format!("-{letter}"));
            };
            let joined = word.text.get(at + letter.len_utf8()..).filter(|text| !text.is_empty());
            if spec.value == Value::None && !main.may_have_value() {
                if !self.option(word, Owner::Main(*main), spec, None) {
                    return false;
                }
                continue;
            }
            return self.option(word, Owner::Main(*main), spec, joined.map(Into::into));
        }
        true
    }

    fn all(&self) -> impl Iterator<Item = (Owner, &'static OptionSpec)> + use<> {
        let main =
            options::of(self.family).iter().map(|(_, main, spec)| (Owner::Main(*main), spec));
        let matches = if self.is_bridge() { MATCHES } else { &[] };
        let matches = matches.iter().enumerate();
        let matches = matches
            .flat_map(|(at, one)| one.options.iter().map(move |spec| (Owner::Match(at), spec)));
        let target: &'static [OptionSpec] = match &self.line.goal {
            Some(Goal::Target(one)) => one.extension.options,
            _ => &[],
        };
        main.chain(matches).chain(target.iter().map(|spec| (Owner::Target, spec)))
    }

    /// A long option, which may be shortened to what begins one alone.
    fn find(&self, name: &str) -> Option<(Owner, &'static OptionSpec)> {
        if let Some(found) = self.all().find(|(_, spec)| spec.name == name) {
            return Some(found);
        }
        let mut near = self.all().filter(|(_, spec)| spec.name.starts_with(name));
        let first = near.next()?;
        near.all(|(owner, spec)| (owner, spec.id) == (first.0, first.1.id)).then_some(first)
    }

    fn unknown(&mut self, word: &Word, name: &str) -> bool {
        let says = match self.family {
            NfProto::Bridge => {
                let next = self.words.as_slice().first();
                format!("Unknown argument: '{}'", next.map_or("(null)", |word| word.text.as_str()))
            }
            _ if name.starts_with('-') => format!("unknown option \"{name}\""),
            _ => format!("unknown option \"{}\"", word.text),
        };
        let text = format!("no option `{}` here", word.text);
        let fault = Diagnostic::new(code::UNKNOWN_OPTION, word.span, text).says(says);
        let fault = match nearest(name, self.all().map(|(_, spec)| spec.name)) {
            Some(near) => fault.help(format!("did you mean `--{near}`?")),
            None => match owner_of(name, self.family) {
                Some(of) => fault
                    .help(format!("`--{name}` belongs to `-j {of}`, which has to stand before it")),
                None => fault,
            },
        };
        self.fault(fault);
        false
    }

    fn option(
        &mut self,
        word: &'a Word,
        owner: Owner,
        spec: &'static OptionSpec,
        joined: Option<String>,
    ) -> bool {
        let not = self.not.take();
        let mut given = Given {
            option: spec,
            inverted: not.is_some(),
            span: word.span,
            value: String::new(),
            value_span: word.span,
            second: String::new(),
            second_span: word.span,
        };
        match (joined, spec.value) {
            (Some(value), _) => given.value = value,
            (None, Value::None) => {}
            (None, _) => {
                if !self.value(word, &mut given) {
                    return false;
                }
            }
        }
        if spec.value == Value::Two {
            let Some(second) = self.plain_word() else {
                let text = format!("`{}` needs two values", word.text);
                let says = match owner {
                    Owner::Main(Main::Policy) => "-P requires a chain and a policy",
                    Owner::Main(Main::RenameChain) => {
                        "-E requires old-chain-name and new-chain-name"
                    }
                    _ => "-c requires packet and byte counter",
                };
                self.problem(word.span, &text, says);
                return false;
            };
            (given.second, given.second_span) = (second.text.clone(), second.span);
        }
        if let Some(span) = not.or(given.inverted.then_some(given.span)).filter(|_| !spec.invert) {
            let says = match (owner, self.family) {
                (Owner::Main(main), _) if main.is_command() => "unexpected '!' flag".into(),
                (Owner::Main(main), NfProto::Arp) => {
                    format!("cannot have ! before {}", self.short_name(main))
                }
                (Owner::Main(_), _) => format!("Unexpected `!' before {}", word.text),
                _ => format!("option \"--{}\" cannot be inverted.\n", spec.name),
            };
            let text = format!("`--{}` cannot be inverted", spec.name);
            self.fault(Diagnostic::new(code::NOT_INVERTIBLE, span, text).says(says));
            return true;
        }
        match owner {
            Owner::Main(main) => self.main(main, given),
            Owner::Match(at) => {
                self.give_match(at, given);
                true
            }
            Owner::Target => {
                self.give_target(given);
                true
            }
        }
    }

    fn short_name(&self, main: Main) -> String {
        let all = options::of(self.family).iter();
        let mut same = all.filter(|(_, one, _)| *one == main);
        match same.clone().find(|(short, ..)| *short != '\0') {
            Some((short, ..)) => format!("-{short}"),
            None => same.next().map_or_else(String::new, |(.., spec)| format!("--{}", spec.name)),
        }
    }

    /// The value of an option, and a `!` before it.
    fn value(&mut self, word: &Word, given: &mut Given) -> bool {
        let mut next = self.words.next();
        let intraposed = next.is_some_and(|next| next.text == "!" && !next.quoted);
        let inverts = given.option.invert || self.is_bridge();
        if let Some(value) = next.filter(|_| intraposed && inverts) {
            if given.inverted || !given.option.invert {
                let text = "`!` does not stand here";
                let says = format!("Unexpected `!' after {}", word.text);
                self.fault(Diagnostic::new(code::NOT_INVERTIBLE, value.span, text).says(says));
                return false;
            }
            given.inverted = true;
            next = self.words.next();
        }
        let Some(value) = next else {
            let text = format!("`{}` needs a value", word.text);
            let says = match self.family {
                NfProto::Bridge => "Unknown argument: '(null)'".into(),
                _ => format!("option \"{}\" requires an argument", word.text),
            };
            self.fault(Diagnostic::new(code::VALUE_MISSING, word.span, text).says(says));
            return false;
        };
        (given.value, given.value_span) = (value.text.clone(), value.span);
        true
    }

    /// The next word, unless an option begins there.
    fn plain_word(&mut self) -> Option<Word> {
        let next = self.words.as_slice().first();
        let next = next.filter(|word| !word.text.starts_with(['-', '!'])).cloned();
        if next.is_some() {
            self.words.next();
        }
        next
    }

    fn give_match(&mut self, at: usize, given: Given) {
        let Some(extension) = MATCHES.get(at) else { return };
        let mut there = self.line.matches.iter_mut();
        if let Some(instance) = there.find(|one| one.extension.name == extension.name) {
            instance.given.push(given);
            return;
        }
        let span = given.span;
        self.line.matches.push(Instance { extension, span, given: Vec::from([given]) });
    }

    fn give_target(&mut self, given: Given) {
        let Some(Goal::Target(instance)) = &mut self.line.goal else { return };
        if let Some(first) = instance.twice(&given) {
            let text = format!("`--{}` a second time", given.option.name);
            let says = format!("option \"--{}\" can only be used once.\n", given.option.name);
            let fault = Diagnostic::new(code::OPTION_CONFLICT, given.span, text);
            return self.fault(fault.label(first, "the first is here").says(says));
        }
        instance.given.push(given);
    }

    /// An option of the rule, or a command; false ends the line.
    fn main(&mut self, main: Main, given: Given) -> bool {
        if self.again(main, &given) {
            return true;
        }
        let first_policy = !self.line.places.iter().any(|(one, _)| *one == Main::NewChain);
        self.line.places.push((main, given.span));
        if main.is_command() && (main != Main::Policy || first_policy) {
            return self.command(main, given);
        }
        match main {
            Main::Policy => self.line.beside.policy = Some(value_word(&given)),
            Main::Table => self.line.beside.table = Some(value_word(&given)),
            Main::Verbose => self.line.beside.verbose += 1,
            Main::Jump => self.jump(&value_word(&given)),
            Main::SetCounters => return self.set_counters(&given),
            Main::InInterface => self.line.header.in_interface = self.interface(&given),
            Main::OutInterface => self.line.header.out_interface = self.interface(&given),
            Main::LogicalIn => self.ethernet.logical_in = self.interface(&given),
            Main::LogicalOut => self.ethernet.logical_out = self.interface(&given),
            Main::Source | Main::Destination if self.is_bridge() => self.hardware(main, &given),
            Main::SourceMac | Main::DestinationMac => self.hardware(main, &given),
            Main::Source => self.line.sources = self.networks(&given),
            Main::Destination => self.line.destinations = self.networks(&given),
            Main::Protocol if self.is_bridge() => self.protocol(&given),
            Main::HLength | Main::Opcode | Main::HType | Main::ProtoType => {
                self.masked(main, &given)
            }
            _ => {}
        }
        true
    }

    /// Reports an option that was there before and can be only once.
    fn again(&mut self, main: Main, given: &Given) -> bool {
        let free = matches!(
            main,
            Main::Verbose
                | Main::Numeric
                | Main::Exact
                | Main::LineNumbers
                | Main::Modprobe
                | Main::Concurrent
                | Main::ListCounters
                | Main::ListCommands
                | Main::ListMac2
        );
        let listing = |one: Main| matches!(one, Main::List | Main::ListRules);
        let together = |one: Main| {
            listing(one) && main == Main::Zero
                || listing(main) && one == Main::Zero
                || self.is_bridge() && one == Main::NewChain && main == Main::Policy
        };
        let same = |one: Main| match main.is_command() {
            true => one.is_command() && !together(one),
            false => one == main,
        };
        let first = self.line.places.iter().find(|(one, _)| same(*one)).copied();
        let Some((first, span)) = first.filter(|_| !free) else { return false };
        let (text, says) = match (main.is_command(), self.is_bridge()) {
            (true, true) => ("a second command", "Multiple commands are not allowed".into()),
            (true, false) => (
                "a second command",
                format!("Cannot use {} with {}", self.short_name(main), self.short_name(first)),
            ),
            (false, true) => {
                ("an option a second time", "Multiple use of same option not allowed".into())
            }
            (false, false) => (
                "an option a second time",
                format!("multiple {} flags not allowed", self.short_name(main)),
            ),
        };
        let fault = Diagnostic::new(code::OPTION_CONFLICT, given.span, text);
        self.fault(fault.label(span, "the first is here").says(says));
        true
    }

    fn command(&mut self, main: Main, given: Given) -> bool {
        let chain = || value_word(&given);
        let listed =
            |line: &Line| matches!(line.command, Some(Command::List(..) | Command::ListRules(..)));
        let command = match main {
            Main::Append => Command::Append(chain()),
            Main::NewChain => Command::NewChain(chain()),
            Main::Check => Command::Check(chain()),
            Main::Insert => {
                let number = match self.number_word() {
                    Ok(number) => number.unwrap_or(1),
                    Err(()) => return false,
                };
                Command::Insert(chain(), number)
            }
            Main::Replace => match self.number_word() {
                Ok(Some(number)) => Command::Replace(chain(), number),
                Ok(None) => {
                    self.problem(
                        given.span,
                        "`-R` needs the number of a rule",
                        "-R requires a rule number",
                    );
                    return false;
                }
                Err(()) => return false,
            },
            Main::Delete => match self.delete(chain()) {
                Some(command) => command,
                None => return false,
            },
            Main::ChangeCounters => match self.change_counters(chain()) {
                Some(command) => command,
                None => return false,
            },
            Main::Policy | Main::RenameChain if self.is_bridge() => {
                match self.second_of_bridge(main, &given) {
                    Some(command) => command,
                    None => return false,
                }
            }
            Main::Policy => Command::Policy(chain(), second_word(&given)),
            Main::RenameChain => Command::RenameChain(chain(), second_word(&given)),
            Main::InitTable => Command::InitTable,
            Main::Version => Command::Version,
            Main::Help => {
                // Names of matches and targets may follow.
                self.line.command = Some(Command::Help);
                return false;
            }
            _ => match self.of_chain(main, &given) {
                Some(Command::Zero(..)) if listed(&self.line) => {
                    self.line.beside.zero = true;
                    return true;
                }
                Some(command) => command,
                None => return false,
            },
        };
        let zeroed = matches!(self.line.command, Some(Command::Zero(..)));
        self.line.command = Some(command);
        self.line.beside.zero |= zeroed && listed(&self.line);
        true
    }

    /// `-P CHAIN POLICY` and `-E OLD NEW` of ebtables.
    fn second_of_bridge(&mut self, main: Main, given: &Given) -> Option<Command> {
        let second = self.plain_word();
        let chain = value_word(given);
        match (second, main) {
            (Some(policy), Main::Policy) => Some(Command::Policy(chain, policy)),
            (Some(new), _) => Some(Command::RenameChain(chain, new)),
            (None, Main::Policy) => {
                self.problem(given.span, "`-P` needs a policy", "No policy specified");
                None
            }
            (None, _) => {
                self.problem(given.span, "`-E` needs a new name", "No new chain name specified");
                None
            }
        }
    }

    /// Commands that may name a chain, and some a rule of it.
    fn of_chain(&mut self, main: Main, given: &Given) -> Option<Command> {
        let chain =
            if given.value.is_empty() { self.plain_word() } else { Some(value_word(given)) };
        let numbered = !self.is_bridge() && chain.is_some();
        let numbered = numbered && !matches!(main, Main::Flush | Main::DeleteChain);
        let number = if numbered { self.number_word().ok()? } else { None };
        Some(match main {
            Main::List => Command::List(chain, number),
            Main::ListRules => Command::ListRules(chain, number),
            Main::Flush => Command::Flush(chain),
            Main::Zero => Command::Zero(chain, number),
            _ => Command::DeleteChain(chain),
        })
    }

    /// The number of a rule, from 1, if one follows.
    fn number_word(&mut self) -> Result<Option<usize>, ()> {
        let next = self.words.as_slice().first();
        let negative =
            |text: &str| text.strip_prefix('-').is_some_and(|rest| rest.parse::<u32>().is_ok());
        let found = next.filter(|word| !word.text.starts_with(['-', '!']) || negative(&word.text));
        let Some(word) = found.cloned() else { return Ok(None) };
        self.words.next();
        match word.text.parse() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => {
                let text = format!("`{}` is not the number of a rule: they begin at 1", word.text);
                self.problem(word.span, &text, format!("Invalid rule number `{}'", word.text));
                Err(())
            }
        }
    }

    fn delete(&mut self, chain: Word) -> Option<Command> {
        if !self.is_bridge() {
            return Some(Command::Delete(chain, self.number_word().ok()?));
        }
        let Some(word) = self.plain_word() else { return Some(Command::Delete(chain, None)) };
        match range(&word.text) {
            Some((from, to)) if from == to => Some(Command::Delete(chain, Some(from))),
            Some((from, to)) => Some(Command::DeleteRange(chain, from, to)),
            None => self.no_range(&word),
        }
    }

    fn no_range<T>(&mut self, word: &Word) -> Option<T> {
        let text = format!("`{}` are no numbers of rules", word.text);
        let says = format!("Problem with the specified rule number(s) '{}'", word.text);
        self.problem(word.span, &text, says);
        None
    }

    /// `[FROM[:TO]] PACKETS BYTES`.
    fn change_counters(&mut self, chain: Word) -> Option<Command> {
        let mut words: Vec<Word> = Vec::new();
        let numeric = |text: &str| {
            let text = text.trim_start_matches(['+', '-']);
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b':')
        };
        while words.len() < 3
            && let Some(word) = self.words.as_slice().first().filter(|word| numeric(&word.text))
        {
            words.push(word.clone());
            self.words.next();
        }
        let (numbers, amounts) = match words.as_slice() {
            [packets, bytes] => (None, [packets, bytes]),
            [numbers, packets, bytes] => (Some(numbers), [packets, bytes]),
            _ => {
                let says = "The command -C needs at least 2 arguments";
                self.problem(chain.span, "`-C` needs two counters", says);
                return None;
            }
        };
        let numbers = match numbers {
            None => None,
            Some(word) => match range(&word.text) {
                Some(numbers) => Some(numbers),
                None => return self.no_range(word),
            },
        };
        let [Some(packets), Some(bytes)] = amounts.map(|word| amount(&word.text)) else {
            let says = "The command -C needs at least 2 arguments";
            self.problem(chain.span, "`-C` needs two counters", says);
            return None;
        };
        Some(Command::ChangeCounters(chain, numbers, [packets, bytes]))
    }

    fn jump(&mut self, word: &Word) {
        if word.text == "CONTINUE" {
            return;
        }
        let found = targets(self.family).iter().find(|one| one.name == word.text);
        self.line.goal = Some(match found {
            Some(extension) => {
                Goal::Target(Instance { extension, span: word.span, given: Vec::new() })
            }
            None => Goal::Name { word: word.clone(), goto: false },
        });
    }

    fn set_counters(&mut self, given: &Given) -> bool {
        let number = |text: &str| text.parse::<u64>().ok();
        let second = match self.family {
            NfProto::Bridge => self.plain_word().map(|word| word.text),
            _ => Some(given.second.clone()),
        };
        let Some(second) = second else {
            self.problem(given.span, "`-c` takes two counters", "Option -c needs 2 arguments");
            return false;
        };
        self.line.counters = number(&given.value).zip(number(&second));
        if self.line.counters.is_none() {
            let value = if number(&given.value).is_none() { &given.value } else { &second };
            let says = match self.family {
                NfProto::Bridge => format!("Packet counter '{value}' invalid"),
                _ => "-c packet counter not numeric".into(),
            };
            self.problem(given.span, "`-c` takes PACKETS BYTES", says);
        }
        true
    }
}

/// The target that has an option of this name.
fn owner_of(option: &str, family: NfProto) -> Option<&'static str> {
    let has = |options: &[OptionSpec]| options.iter().any(|spec| spec.name == option);
    targets(family).iter().find(|one| has(one.options)).map(|one| one.name)
}

/// `FROM`, `FROM:TO` or `FROM:`, numbers of rules.
fn range(text: &str) -> Option<(usize, usize)> {
    let number = |text: &str| text.parse().ok().filter(|number: &usize| *number > 0);
    let (from, to) = match text.split_once(':') {
        None => (number(text)?, number(text)?),
        Some((from, "")) => (number(from)?, usize::MAX),
        Some((from, to)) => (number(from)?, number(to)?),
    };
    (from <= to).then_some((from, to))
}

fn amount(text: &str) -> Option<Amount> {
    let number = |text: &str| text.parse().ok();
    match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => number(rest).map(Amount::Plus),
        (_, Some(rest)) => number(rest).map(Amount::Minus),
        _ => number(text).map(Amount::Exactly),
    }
}

fn value_word(given: &Given) -> Word {
    Word { text: given.value.clone(), span: given.value_span, quoted: false }
}

fn second_word(given: &Given) -> Word {
    Word { text: given.second.clone(), span: given.second_span, quoted: false }
}
