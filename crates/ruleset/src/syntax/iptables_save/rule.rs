//! A rule line: words become options, options go to the rule, its matches and its target.

use super::known;
use super::options::{self, Found, Main, Owner};
use super::words::Word;
use crate::diagnostic::{Code, Diagnostic, code, nearest};
use crate::extension::{Arguments, Extension, Given, OptionSpec, Value, names, values};
use crate::labels::LabelNames;
use crate::matches::{MATCHES, Match, header::FrameHeader};
use crate::model::{HeaderMatch, Inverted, Network, NfProto, Span, TableName};
use crate::targets::{TARGETS, Target};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

/// What holds for all rules of a file.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Family of the file.
    pub family: Family,
    /// The names of labels.
    pub labels: &'a LabelNames,
    /// As iptables-legacy reads them, where the two differ.
    pub legacy: bool,
    /// `-p` of ebtables.
    pub ethertype: Option<Inverted<u16>>,
}

/// An extension named in a rule, with the options given to it.
#[derive(Debug)]
pub struct Instance<T: 'static> {
    /// Which one.
    pub extension: &'static Extension<T>,
    /// Where it was named or brought in.
    pub span: Span,
    /// Its options.
    pub given: Vec<Given>,
}

impl<T> Instance<T> {
    /// Makes the match or target, and says in which tables it may stand and at which hooks it may
    /// be reached.
    pub fn build(
        &self,
        setting: Setting<'_>,
        (header, matches): (&HeaderMatch, &[Box<dyn Match>]),
        protocol_span: Option<Span>,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<(T, &'static [TableName], &'static [Hook])> {
        let extension = self.extension;
        let mut arguments = Arguments {
            name: extension.name,
            options: extension.options,
            family: setting.family,
            labels: setting.labels,
            legacy: setting.legacy,
            header,
            matches,
            ethertype: setting.ethertype,
            protocol_span,
            span: self.span,
            given: &self.given,
            faults,
            tables: extension.tables,
            hooks: extension.hooks,
        };
        let value = (extension.parse)(&mut arguments)?;
        Some((value, arguments.tables, arguments.hooks))
    }

    pub(in crate::syntax) fn twice(&self, given: &Given) -> Option<Span> {
        let mut same = self.given.iter().filter(|one| one.option.id == given.option.id);
        same.next().filter(|_| !given.option.repeat).map(|one| one.span)
    }
}

/// What `-j` or `-g` names.
#[derive(Debug)]
pub enum Goal {
    /// A chain, or ACCEPT, DROP, RETURN.
    Name {
        /// The name.
        word: Word,
        /// `-g`.
        goto: bool,
    },
    /// A target.
    Target(Instance<Box<dyn Target>>),
    /// Something that was reported already.
    Refused,
}

/// What a line commands.
#[derive(Debug)]
pub enum Command {
    /// `-A CHAIN`.
    Append(Word),
    /// `-I CHAIN NUMBER`, from 1.
    Insert(Word, usize),
    /// `-N CHAIN`.
    NewChain(Word),
    /// `-P CHAIN POLICY`.
    Policy(Word, Word),
    /// `-D CHAIN`, with a number or with a rule.
    Delete(Word, Option<usize>),
    /// `-C CHAIN`.
    Check(Word),
    /// `-R CHAIN NUMBER`.
    Replace(Word, usize),
    /// `-L`, of a chain, of one rule of it.
    List(Option<Word>, Option<usize>),
    /// `-S`, of a chain, of one rule of it.
    ListRules(Option<Word>, Option<usize>),
    /// `-F`, of a chain.
    Flush(Option<Word>),
    /// `-Z`, of a chain, of one rule of it.
    Zero(Option<Word>, Option<usize>),
    /// `-X`, of a chain.
    DeleteChain(Option<Word>),
    /// `-E OLD NEW`.
    RenameChain(Word, Word),
    /// `-C CHAIN` of ebtables: other counters for rules by number, from and to, or for the one that
    /// the rest of the line tells.
    ChangeCounters(Word, Option<(usize, usize)>, [Amount; 2]),
    /// `-D CHAIN FROM:TO`.
    DeleteRange(Word, usize, usize),
    /// `--init-table`.
    InitTable,
    /// `-h`.
    Help,
    /// `-V`.
    Version,
}

/// What becomes of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This.
    Exactly(u64),
    /// So much more.
    Plus(u64),
    /// So much less.
    Minus(u64),
}

impl Amount {
    /// The counter then.
    #[must_use]
    pub const fn of(self, counter: u64) -> u64 {
        match self {
            Self::Exactly(value) => value,
            Self::Plus(value) => counter.wrapping_add(value),
            Self::Minus(value) => counter.wrapping_sub(value),
        }
    }
}

/// What stands beside the rule in a command.
#[derive(Debug, Default)]
pub struct Beside {
    /// `-t`.
    pub table: Option<Word>,
    /// `-v`, how often.
    pub verbose: u32,
    /// `-w`, and how many seconds at most.
    pub wait: Option<Option<u64>>,
    /// `-Z` beside `-L` or `-S`: afterwards.
    pub zero: bool,
    /// `-P` beside `-N` of ebtables.
    pub policy: Option<Word>,
}

/// A rule line that was read.
#[derive(Debug, Default)]
pub struct Line {
    /// What it commands.
    pub command: Option<Command>,
    /// Whose rule it is.
    pub family: NfProto,
    /// Protocol, interfaces, fragment.
    pub header: HeaderMatch,
    /// What rules of arptables and ebtables have beside that.
    pub frame: Option<FrameHeader>,
    /// `-s`, one or more.
    pub sources: Vec<Inverted<Network>>,
    /// `-d`, one or more.
    pub destinations: Vec<Inverted<Network>>,
    /// `-m`.
    pub matches: Vec<Instance<Box<dyn Match>>>,
    /// `-j`, `-g`.
    pub goal: Option<Goal>,
    /// `--set-counters`.
    pub counters: Option<(u64, u64)>,
    /// Where each option of the rule stands.
    pub places: Vec<(Main, Span)>,
    /// What only the line of a command has.
    pub beside: Beside,
}

impl Line {
    /// Where an option of the rule stands.
    #[must_use]
    pub fn place(&self, main: Main) -> Option<Span> {
        self.places.iter().find(|(one, _)| *one == main).map(|(_, span)| *span)
    }
}

/// Reads the words of a rule line.
#[must_use]
pub fn read(words: &[Word], family: Family, faults: &mut Vec<Diagnostic>) -> Line {
    read_in(Place::File, words, family, faults)
}

/// Reads the words of a command, without its name: all that iptables(8) has beside rules.
#[must_use]
pub fn read_command(words: &[Word], family: Family, faults: &mut Vec<Diagnostic>) -> Line {
    read_in(Place::Command, words, family, faults)
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File,
    Command,
}

fn read_in(place: Place, words: &[Word], family: Family, faults: &mut Vec<Diagnostic>) -> Line {
    let line = Line { family: family.into(), ..Line::default() };
    let mut reader = Reader {
        place,
        family,
        words: words.iter(),
        faults,
        line,
        not: None,
        partial: false,
        implied: false,
        ended: false,
    };
    while let Some(word) = reader.words.next() {
        reader.word(word);
    }
    if let Some(not) = reader.not {
        let fault = Diagnostic::new(code::NOT_INVERTIBLE, not, "`!` with nothing behind it");
        reader.report(fault.says("nothing appropriate following !"));
    }
    reader.line
}

pub(super) struct Reader<'a> {
    pub(super) place: Place,
    pub(super) family: Family,
    words: core::slice::Iter<'a, Word>,
    faults: &'a mut Vec<Diagnostic>,
    pub(super) line: Line,
    /// A `!` that waits for its option.
    not: Option<Span>,
    /// An extension is missing: options that are not known may be its.
    partial: bool,
    /// The match of the protocol was brought in.
    implied: bool,
    /// `--` has ended the options.
    ended: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn fault(&mut self, code: Code, span: Span, text: impl Into<String>) {
        self.faults.push(Diagnostic::new(code, span, text));
    }

    pub(super) fn report(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }

    pub(super) fn next_word(&mut self) -> Option<&'a Word> {
        self.words.next()
    }

    pub(super) fn peek(&self) -> Option<&'a Word> {
        self.words.as_slice().first()
    }

    /// Takes the next word if it is a whole number.
    pub(super) fn next_number(&mut self) -> Option<u64> {
        let next = self.words.as_slice().first()?;
        let value = values::number(&next.text, u32::MAX.into())?;
        self.words.next();
        Some(value)
    }

    fn word(&mut self, word: &'a Word) {
        let text = word.text.as_str();
        if text == "!" {
            if self.not.is_some() {
                let text = "a second `!` in a row";
                let fault = Diagnostic::new(code::NOT_INVERTIBLE, word.span, text);
                self.report(fault.says("multiple consecutive ! not allowed"));
            }
            self.not = Some(word.span);
        } else if text == "--" {
            self.ended = true;
        } else if self.ended {
            self.stray(word, "unknown arguments found on commandline");
        } else if let Some(long) = text.strip_prefix("--").filter(|long| !long.is_empty()) {
            self.long(word, long);
        } else if text.len() > 1 && text.starts_with('-') {
            let before = self.faults.len();
            self.short(word);
            // A long option that has lost a dash.
            let name = text.get(1..).unwrap_or("");
            if let Some(fault) = self.faults.get_mut(before).filter(|_| is_long(name)) {
                fault.help = Some(format!("did you mean `--{name}`?"));
            }
        } else if !self.partial {
            self.stray(word, &format!("Bad argument `{}'", word.text));
        }
    }

    fn stray(&mut self, word: &Word, says: &str) {
        self.not = None;
        // Words in a row are one fault.
        let before = self.faults.last_mut().filter(|fault| {
            fault.code == code::STRAY_WORD && fault.span.end.saturating_add(1) == word.span.start
        });
        if let Some(fault) = before {
            fault.span.end = word.span.end;
            fault.text = "these words belong to no option".into();
            return;
        }
        let text = format!("`{}` belongs to no option", word.text);
        let mut fault = Diagnostic::new(code::STRAY_WORD, word.span, text).says(says);
        if let Some(help) = stray_help(&word.text) {
            fault = fault.help(help);
        }
        self.faults.push(fault);
    }

    fn long(&mut self, word: &'a Word, text: &str) {
        let (name, value) = options::split_value(text);
        match self.find(name) {
            Found::One(owner, spec) => self.option(word, owner, spec, value),
            Found::Several(_) | Found::None if self.imply(word) => self.long(word, text),
            Found::Several(all) if !self.partial => {
                let text = format!("`--{name}` may be any of --{}", all.join(", --"));
                let fault = Diagnostic::new(code::AMBIGUOUS_OPTION, word.span, text);
                self.report(fault.says(unknown_option(&word.text)));
                self.not = None;
                self.partial = true;
            }
            Found::None if !self.partial => self.unknown(word, name),
            Found::Several(_) | Found::None => self.not = None,
        }
    }

    fn find(&self, name: &str) -> Found {
        let target = match &self.line.goal {
            Some(Goal::Target(one)) => Some((Owner::Target, one.extension.options)),
            _ => None,
        };
        let matches = self.line.matches.iter().enumerate().rev();
        let matches = matches.map(|(at, one)| (Owner::Match(at), one.extension.options));
        options::find_long(name, self.partial, target.into_iter().chain(matches))
    }

    /// Brings in the match of the rule's protocol, once.
    fn imply(&mut self, word: &Word) -> bool {
        let Some(protocol) = self.line.header.protocol else { return false };
        let Some(name) = protocol_match(protocol.value) else { return false };
        let loaded = self.line.matches.iter().any(|one| one.extension.name == name);
        if loaded || self.implied || self.partial {
            return false;
        }
        self.implied = true;
        self.load_match(name, word.span)
    }

    fn unknown(&mut self, word: &Word, name: &str) {
        self.not = None;
        let mut all: Vec<&'static str> =
            options::OPTIONS.iter().map(|(_, _, spec)| spec.name).collect();
        let matches = self.line.matches.iter();
        all.extend(matches.flat_map(|one| one.extension.options).map(|spec| spec.name));
        if let Some(Goal::Target(one)) = &self.line.goal {
            all.extend(one.extension.options.iter().map(|spec| spec.name));
        }
        let text = format!("no option `--{name}` here");
        let fault = Diagnostic::new(code::UNKNOWN_OPTION, word.span, text);
        let mut fault = fault.says(unknown_option(&word.text));
        if let Some(of) = owner_of(name) {
            fault = fault.help(match of.contains(" or ") {
                true => format!("`--{name}` needs {of} before it"),
                false => format!("`--{name}` belongs to {of}, which has to stand before it"),
            });
        } else if let Some(near) = nearest(name, all.into_iter()) {
            fault = fault.help(format!("did you mean `--{near}`?"));
        }
        self.faults.push(fault);
        self.partial = true;
    }

    fn short(&mut self, word: &'a Word) {
        for (at, letter) in word.text.char_indices().skip(1) {
            let known = options::find_short(letter);
            let Some((main, spec)) = known.filter(|(main, _)| self.has(*main)) else {
                let text = format!("no option `-{letter}`");
                let fault = Diagnostic::new(code::UNKNOWN_OPTION, word.span, text);
                let fault = fault.says(match letter {
                    'f' => "`-f' is not supported in IPv6, use -m frag instead".into(),
                    _ => unknown_option(&format!("-{letter}")),
                });
                let other = match letter.is_ascii_uppercase() {
                    true => letter.to_ascii_lowercase(),
                    false => letter.to_ascii_uppercase(),
                };
                let near = options::find_short(other).filter(|(main, _)| self.has(*main));
                self.report(match near {
                    Some(_) => fault.help(format!("did you mean `-{other}`?")),
                    None => fault,
                });
                self.not = None;
                self.partial = true;
                return;
            };
            if spec.value == Value::None && !main.may_have_value() {
                self.option(word, Owner::Main(main), spec, None);
                continue;
            }
            let joined = word.text.get(at + letter.len_utf8()..).filter(|text| !text.is_empty());
            self.option(word, Owner::Main(main), spec, joined.map(Into::into));
            return;
        }
    }

    fn has(&self, main: Main) -> bool {
        main != Main::Fragment || self.family == Family::V4
    }

    fn option(
        &mut self,
        word: &'a Word,
        owner: Owner,
        spec: &'static OptionSpec,
        joined: Option<String>,
    ) {
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
        if let Some(value) = joined {
            given.value = value;
            let may = matches!(owner, Owner::Main(main) if main.may_have_value());
            if spec.value == Value::None && !may {
                let text = format!("`--{}` takes no value", spec.name);
                return self.fault(code::STRAY_WORD, word.span, text);
            }
        } else if options::value_count(spec) > 0 && !self.value(word, &mut given) {
            return;
        } else if spec.value == Value::Optional {
            self.optional_value(&mut given);
        }
        if spec.value == Value::Two && !self.second_value(word, &mut given) {
            return;
        }
        if let Some(span) = not.filter(|_| !spec.invert) {
            let text = format!("`--{}` cannot be inverted", spec.name);
            let fault = Diagnostic::new(code::NOT_INVERTIBLE, span, text);
            return self.report(fault.says(match owner {
                Owner::Main(main) if main.is_command() => "unexpected '!' flag".into(),
                _ => format!("cannot have ! before {}", short_name(owner, spec)),
            }));
        }
        match owner {
            Owner::Main(main) => self.main(main, given),
            Owner::Match(at) => self.give_match(at, given),
            Owner::Target => self.give_target(given),
        }
    }

    fn value(&mut self, word: &Word, given: &mut Given) -> bool {
        let Some(value) = self.words.next() else {
            let text = format!("`{}` needs a value", word.text);
            let fault = Diagnostic::new(code::VALUE_MISSING, word.span, text);
            self.report(fault.says(format!("option \"{}\" requires an argument", word.text)));
            return false;
        };
        let after = self.words.as_slice().first();
        let quoted = self.place == Place::Command && value.quoted;
        if value.text == "!" && !quoted && given.option.invert && after.is_some() {
            let meant = after.map_or("", |word| word.text.as_str());
            let text = "`!` stands before the option it inverts";
            let fault = Diagnostic::new(code::NOT_INVERTIBLE, value.span, text);
            let fault = fault.says(match given.option.name {
                "protocol" => String::from("unknown protocol \"!\" specified"),
                _ => format!("Bad argument `{meant}'"),
            });
            self.faults.push(fault.help(format!("! {} {meant}", word.text)));
            self.words.next();
            return false;
        }
        given.value.clone_from(&value.text);
        given.value_span = value.span;
        true
    }

    fn optional_value(&mut self, given: &mut Given) {
        if let Some(value) = self.peek().filter(|word| !word.text.starts_with(['-', '!'])) {
            self.words.next();
            given.value.clone_from(&value.text);
            given.value_span = value.span;
        }
    }

    fn second_value(&mut self, word: &Word, given: &mut Given) -> bool {
        let next = self.words.as_slice().first();
        let Some(value) = next.filter(|word| !word.text.starts_with(['-', '!'])) else {
            let text = format!("`{}` needs two values", word.text);
            let fault = Diagnostic::new(code::VALUE_MISSING, word.span, text);
            self.report(fault.says(match given.option.name {
                "policy" => "-P requires a chain and a policy",
                "rename-chain" => "-E requires old-chain-name and new-chain-name",
                _ => "option requires two arguments",
            }));
            return false;
        };
        self.words.next();
        given.second.clone_from(&value.text);
        given.second_span = value.span;
        true
    }

    fn give_match(&mut self, at: usize, given: Given) {
        let Some(instance) = self.line.matches.get_mut(at) else { return };
        match instance.twice(&given) {
            Some(first) => self.twice(&given, first),
            None => instance.given.push(given),
        }
    }

    fn give_target(&mut self, given: Given) {
        let Some(Goal::Target(instance)) = &mut self.line.goal else { return };
        match instance.twice(&given) {
            Some(first) => self.twice(&given, first),
            None => instance.given.push(given),
        }
    }

    pub(super) fn twice(&mut self, given: &Given, first: Span) {
        let text = format!("`--{}` a second time", given.option.name);
        let fault = Diagnostic::new(code::OPTION_CONFLICT, given.span, text);
        let says = match options::short_of(given.option.name) {
            Some(short) => format!("multiple {short} flags not allowed"),
            None => format!("option \"--{}\" can only be used once.\n", given.option.name),
        };
        self.faults.push(fault.label(first, "the first is here").says(says));
    }

    /// `-m NAME`; false when there is no such match or not yet.
    pub(super) fn load_match(&mut self, name: &str, span: Span) -> bool {
        let name = match name {
            "icmpv6" | "ipv6-icmp" => "icmp6",
            other => other,
        };
        let family = self.family;
        // Some differ between the families under one name.
        let mut named = MATCHES.iter().filter(|one| one.name == name).peekable();
        let exists = named.peek().is_some();
        if let Some(extension) = named.find(|one| one.families.contains(&family)) {
            self.line.matches.push(Instance { extension, span, given: Vec::new() });
            return true;
        }
        self.partial = true;
        let known = known::MATCHES.contains(&name);
        let (code, text) = if exists {
            (code::WRONG_FAMILY, format!("match `{name}` is not for {}", tool(family)))
        } else if known {
            (code::MATCH_UNSUPPORTED, format!("match `{name}` is not supported yet"))
        } else {
            (code::UNKNOWN_MATCH, format!("no match is called `{name}`"))
        };
        let says = format!("Couldn't load match `{name}':No such file or directory\n");
        let mut fault = Diagnostic::new(code, span, text).says(says);
        let all = MATCHES.iter().map(|one| one.name).chain(known::MATCHES.iter().copied());
        if let Some(near) = nearest(name, all).filter(|_| !exists && !known) {
            fault = fault.help(format!("did you mean `-m {near}`?"));
        } else if TARGETS.iter().any(|one| one.name == name) {
            fault = fault.help(format!("`{name}` is a target: -j {name}"));
        }
        self.faults.push(fault);
        false
    }

    /// `-j NAME`.
    pub(super) fn load_target(&mut self, word: Word) {
        let name = word.text.as_str();
        let found = TARGETS.iter().find(|one| one.name == name);
        if let Some(extension) = found.filter(|one| one.families.contains(&self.family)) {
            let instance = Instance { extension, span: word.span, given: Vec::new() };
            self.line.goal = Some(Goal::Target(instance));
        } else if found.is_some() {
            let text = format!("target `{name}` is not for {}", tool(self.family));
            self.fault(code::WRONG_FAMILY, word.span, text);
            self.refuse_goal();
        } else if known::TARGETS.contains(&name) {
            let text = format!("target `{name}` is not supported yet");
            self.fault(code::TARGET_UNSUPPORTED, word.span, text);
            self.refuse_goal();
        } else {
            self.line.goal = Some(Goal::Name { word, goto: false });
        }
    }

    fn refuse_goal(&mut self) {
        self.partial = true;
        self.line.goal = Some(Goal::Refused);
    }
}

fn unknown_option(word: &str) -> String {
    format!("unknown option \"{word}\"")
}

/// An option as iptables names it.
fn short_name(owner: Owner, spec: &OptionSpec) -> String {
    let short = match owner {
        Owner::Main(_) => options::short_of(spec.name),
        Owner::Match(_) | Owner::Target => None,
    };
    short.unwrap_or_else(|| format!("--{}", spec.name))
}

/// The tool whose files are of a family.
const fn tool(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables (IPv4)",
        Family::V6 => "ip6tables (IPv6)",
    }
}

/// The match that a protocol brings in.
fn protocol_match(protocol: u8) -> Option<&'static str> {
    match protocol {
        58 => Some("icmp6"),
        135 => Some("mh"),
        _ => names::protocol_name(protocol).filter(|name| {
            MATCHES.iter().any(|one| one.name == *name) || known::MATCHES.contains(name)
        }),
    }
}

/// Whether a long option of any rule is called so.
fn is_long(name: &str) -> bool {
    let has = |options: &[OptionSpec]| options.iter().any(|spec| spec.name == name);
    options::OPTIONS.iter().any(|(.., spec)| spec.name == name && name.len() > 1)
        || MATCHES.iter().any(|one| has(one.options))
        || TARGETS.iter().any(|one| has(one.options))
}

/// Who has an option of this name: `-m NAME` or `-j NAME`, as the help names them.
fn owner_of(option: &str) -> Option<String> {
    let has = |options: &[OptionSpec]| options.iter().any(|spec| spec.name == option);
    let protocol = |name: &str| match name {
        "tcp" | "udp" | "icmp" => format!("`-p {name}`"),
        "icmp6" => String::from("`-p ipv6-icmp`"),
        _ => format!("`-m {name}`"),
    };
    // Of what several protocols have, TCP and UDP are meant.
    let of = |name: &str| MATCHES.iter().any(|one| one.name == name && has(one.options));
    match (of("tcp"), of("udp")) {
        (true, true) => return Some("`-p tcp` or `-p udp`".into()),
        (true, false) => return Some(protocol("tcp")),
        _ => {}
    }
    let mut matches = MATCHES.iter().filter(|one| has(one.options));
    let mut targets = TARGETS.iter().filter(|one| has(one.options));
    matches
        .next()
        .map(|one| protocol(one.name))
        .or_else(|| targets.next().map(|one| format!("`-j {}`", one.name)))
}

/// What is usually wrong where such a word stands alone.
fn stray_help(word: &str) -> Option<&'static str> {
    const STATES: [&str; 5] = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"];
    Some(match word {
        _ if word.ends_with(['\'', '"']) => {
            "words with blanks stand in double quotes: --comment \"two words\""
        }
        _ if word.starts_with(['\u{2013}', '\u{2014}']) => {
            "this dash is a typographic one, as web pages make of `--`: write `-` or `--`"
        }
        _ if word.starts_with(',') || STATES.contains(&word.trim_end_matches(',')) => {
            "a list is joined by commas, without blanks: NEW,ESTABLISHED"
        }
        "iptables" | "ip6tables" | "sudo" => "in a file the name of the command is left out",
        _ if nearest(word, ["COMMIT"].into_iter()).is_some() => "did you mean `COMMIT`?",
        _ => return None,
    })
}
