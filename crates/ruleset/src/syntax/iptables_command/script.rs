//! A script of `iptables` commands, carried out on tables that are kept: what the tables are like
//! afterwards, what was refused, and what only a shell on the machine itself could tell.

mod words;

use self::words::{braces, test, which};
use super::shell::{self, ARRAY, Link, Node, Piece, Raw, assignment};
use crate::diagnostic::{Diagnostic, code};
use crate::kept::{Kept, Variant, ask};
use crate::labels::LabelNames;
use crate::model::Span;
use crate::syntax::iptables_save::words::Word;
use crate::syntax::iptables_save::{FAULTS_MAX, FILE_MAX};
use alloc::{collections::BTreeMap, format, rc::Rc, string::String, vec::Vec};
use keepstate_packet::Family;

/// Most commands that a script may come to, loops unrolled.
pub const STEPS_MAX: usize = 200_000;
/// Most words that one word may become.
pub const FIELDS_MAX: usize = 65_536;
/// Most bytes of the value of a variable.
pub const VALUE_MAX: usize = 65_536;
/// Most bytes that words may come to, all commands together.
pub const BYTES_MAX: usize = 64 << 20;
/// Most groups in braces of one word.
pub const BRACES_MAX: usize = 32;
/// Most commands that are looked at to say what hangs on one condition.
const LOOKED_AT_MAX: usize = 10_000;
/// How deep functions may call each other.
pub const CALLS_MAX: usize = 16;

/// Options of commands that change nothing where what they name is not there.
const TAKES_AWAY: [&str; 8] =
    ["-C", "--check", "-D", "--delete", "-F", "--flush", "-X", "--delete-chain"];

/// Commands that may name a tool and do not run it.
const SPEAKS_OF: [&str; 8] =
    ["service", "systemctl", "chkconfig", "update-rc.d", "rc-update", "echo", "printf", "logger"];

/// What a script leaves behind.
#[derive(Debug)]
pub struct Script {
    /// The IPv4 tables.
    pub v4: Kept,
    /// The IPv6 tables.
    pub v6: Kept,
    /// How many commands of iptables and ip6tables there were.
    pub commands: [usize; 2],
    /// Commands that the tool refuses, and what cannot be told, by place.
    pub faults: Vec<Diagnostic>,
    /// Whether every fault is a command that the tool refuses: then the tables are what the script leaves
    /// behind all the same, for a shell goes on after it.
    pub told: bool,
    /// What was taken for granted, and commands that had nothing to take away from empty tables, by place:
    /// no faults.
    pub notes: Vec<Diagnostic>,
}

/// Whether a text is a script of commands rather than a file of rules: one of its lines begins with
/// a command, and none is a table of iptables-save.
#[must_use]
pub fn is_script(source: &str) -> bool {
    let mut found = source.starts_with("#!");
    for line in source.lines() {
        let line = line.trim();
        if line.starts_with('*') && crate::kept::table_named(line.get(1..).unwrap_or("")).is_some()
        {
            return false;
        }
        if line.starts_with("Chain ") || line.starts_with("table ") {
            return false;
        }
        let first = line.trim_start_matches("sudo ").split_whitespace().next().unwrap_or("");
        found |= tool_of(first).is_some() || first == "$IPT" || first == "$IPTABLES";
    }
    found
}

/// Carries a script out on empty tables.
#[must_use]
pub fn run(source: &str, labels: &LabelNames) -> Script {
    let mut shell = Shell {
        source,
        labels,
        script: Script {
            v4: Kept::new(Family::V4, Variant::Nft),
            v6: Kept::new(Family::V6, Variant::Nft),
            commands: [0; 2],
            faults: Vec::new(),
            told: true,
            notes: Vec::new(),
        },
        is_asked: false,
        variables: BTreeMap::new(),
        functions: BTreeMap::new(),
        steps: 0,
        bytes: 0,
        calls: 0,
        ended: false,
    };
    if source.len() > FILE_MAX {
        let text = format!("the script has {} bytes; at most {FILE_MAX} are read", source.len());
        shell.script.faults.push(Diagnostic::new(code::LIMIT_EXCEEDED, Span::default(), text));
        shell.script.told = false;
        return shell.script;
    }
    for node in shell::read(source) {
        match node {
            Ok(node) => drop(shell.node(&node)),
            Err((text, span)) => shell.untold(span, text),
        }
        if shell.ended {
            break;
        }
    }
    shell.uncalled();
    shell.nothing_found();
    let mut script = shell.script;
    script.faults.sort_by_key(|fault| (fault.span.start, fault.code));
    script.faults.dedup_by(|a, b| a.span == b.span && a.code == b.code && a.text == b.text);
    script.faults.truncate(FAULTS_MAX);
    script.notes.sort_by_key(|note| (note.span.start, note.code));
    script.notes.dedup_by(|a, b| a.span == b.span && a.text == b.text);
    script.notes.truncate(FAULTS_MAX);
    script
}

/// The family of a program, and what follows its name; `None` for another program.
fn tool_of(program: &str) -> Option<(Family, &str)> {
    let (folder, name) = program.rsplit_once('/').unwrap_or(("", program));
    // A script that starts and stops the service.
    if folder.ends_with("init.d") || folder.ends_with("rc.d") {
        return None;
    }
    let (family, rest) = match name.strip_prefix("ip6tables") {
        Some(rest) => (Family::V6, rest),
        None => (Family::V4, name.strip_prefix("iptables")?),
    };
    let rest = rest.strip_prefix("-nft").or_else(|| rest.strip_prefix("-legacy")).unwrap_or(rest);
    matches!(rest, "" | "-restore" | "-save" | "-apply").then_some((family, rest))
}

/// How a command went, where that can be told.
type Status = Option<bool>;

struct Function {
    body: Rc<[Node]>,
    span: Span,
    called: bool,
}

struct Shell<'a> {
    source: &'a str,
    labels: &'a LabelNames,
    script: Script,
    /// `None` for a value that cannot be told.
    variables: BTreeMap<String, Option<String>>,
    functions: BTreeMap<String, Function>,
    steps: usize,
    bytes: usize,
    calls: usize,
    /// `exit` was met, or a limit.
    ended: bool,
    /// The script asks how the command goes, or throws away what it says: it may be refused.
    is_asked: bool,
}

impl Shell<'_> {
    fn nodes(&mut self, nodes: &[Node]) -> Status {
        let mut status = Some(true);
        for node in nodes {
            if self.ended {
                break;
            }
            status = self.node(node);
        }
        status
    }

    fn node(&mut self, node: &Node) -> Status {
        match node {
            Node::Simple { assigned, words, is_silenced, span } => {
                self.asking(*is_silenced, |shell| shell.simple(assigned, words, *span))
            }
            Node::Group(body) => self.nodes(body),
            Node::Not(inner) => self.asking(true, |shell| shell.node(inner)).map(|status| !status),
            Node::List(first, rest) => self.list(first, rest),
            Node::Case(word, arms, span) => self.choice(word, arms, *span),
            Node::Pipe(parts, span) => {
                self.unsure(parts, "a pipe", *span);
                None
            }
            Node::If(arms, otherwise, span) => self.condition(arms, otherwise, *span),
            Node::For(name, words, body, span) => {
                self.for_each(name, words.as_deref(), body, *span)
            }
            Node::Unsure(what, body, span) => {
                self.unsure(body, what, *span);
                None
            }
            Node::Function(name, body, span) => {
                let function = Function { body: body.clone(), span: *span, called: false };
                self.functions.insert(name.clone(), function);
                Some(true)
            }
        }
    }

    /// Does something while the script asks how it goes.
    fn asking(&mut self, is_asked: bool, what: impl FnOnce(&mut Self) -> Status) -> Status {
        let before = self.is_asked;
        self.is_asked |= is_asked;
        let status = what(self);
        self.is_asked = before;
        status
    }

    fn list(&mut self, first: &Node, rest: &[(Link, Node)]) -> Status {
        let mut status = self.asking(true, |shell| shell.node(first));
        for (at, (link, next)) in rest.iter().enumerate() {
            let wanted = *link == Link::And;
            let is_last = at + 1 == rest.len();
            match status {
                _ if self.ended => break,
                Some(status) if status != wanted => {}
                Some(_) => status = self.asking(!is_last, |shell| shell.node(next)),
                None => {
                    self.unsure(core::slice::from_ref(next), "a condition", span_of(next));
                }
            }
        }
        status
    }

    /// `case`: the first pattern that the word fits. What the script is called with is taken to be `start`
    /// where that is one of the choices, as it is when the rules are set.
    fn choice(&mut self, word: &Raw, arms: &[(Vec<String>, Vec<Node>)], span: Span) -> Status {
        let is_start = |(patterns, _): &&(Vec<String>, Vec<Node>)| {
            patterns.iter().any(|pattern| pattern == "start")
        };
        let known = self.expand(word).ok().map(|fields| {
            let texts: Vec<String> = fields.into_iter().map(|(text, _)| text).collect();
            texts.join(" ")
        });
        if let Some(known) = known {
            let fits = |pattern: &String| pattern_fits(pattern, &known);
            let mut taken = Some(&[][..]);
            for (patterns, body) in arms {
                let says: Vec<_> = patterns.iter().map(fits).collect();
                if says.contains(&Some(true)) {
                    taken = Some(body);
                    break;
                }
                if says.contains(&None) {
                    taken = None;
                    break;
                }
            }
            if let Some(body) = taken {
                return self.nodes(body);
            }
        } else if let Some((_, body)) = arms.iter().find(is_start)
            && is_argument(word)
            && self.calls == 0
        {
            self.note(span, "the script is taken to be called with `start`");
            return self.nodes(body);
        }
        for (_, body) in arms {
            self.unsure(body, "a choice", span);
        }
        None
    }

    fn condition(
        &mut self,
        arms: &[(Vec<Node>, Vec<Node>)],
        otherwise: &[Node],
        span: Span,
    ) -> Status {
        for (at, (condition, body)) in arms.iter().enumerate() {
            match self.asking(true, |shell| shell.nodes(condition)) {
                Some(true) => return self.nodes(body),
                Some(false) => {}
                None => {
                    for (_, body) in arms.get(at..).unwrap_or(&[]) {
                        self.unsure(body, "a condition", span);
                    }
                    self.unsure(otherwise, "a condition", span);
                    return None;
                }
            }
        }
        self.nodes(otherwise)
    }

    fn for_each(&mut self, name: &str, words: Option<&[Raw]>, body: &[Node], span: Span) -> Status {
        let fields = words.and_then(|words| {
            let mut all = Vec::new();
            for raw in words {
                all.extend(self.expand(raw).ok()?.into_iter().map(|(text, _)| text));
                if all.len() > FIELDS_MAX {
                    return None;
                }
            }
            Some(all)
        });
        // What stands for files of this machine is not known.
        let known = fields.filter(|all| !all.iter().any(|text| text.contains(['*', '?'])));
        self.bytes += known.iter().flatten().map(|text| text.len() + 16).sum::<usize>();
        let Some(known) = known else {
            self.unsure(body, "a loop over words that cannot be told", span);
            return None;
        };
        let mut status = Some(true);
        for text in known {
            if self.ended {
                break;
            }
            self.variables.insert(name.into(), Some(text));
            status = self.nodes(body);
            self.step(span);
        }
        status
    }

    /// Names what may or may not be done, when rules or the rest of the script hang on it.
    fn unsure(&mut self, nodes: &[Node], what: &str, span: Span) {
        let mut found = Found::default();
        self.find(nodes, &mut found, 0);
        self.steps += found.looked_at / 16;
        for name in found.assigned {
            self.variables.insert(name, None);
        }
        if found.commands > 0 {
            let text = format!(
                "{what}: whether {} here {} carried out cannot be told",
                count(found.commands, "command"),
                if found.commands == 1 { "is" } else { "are" },
            );
            self.untold(span, &text);
        } else if found.exits {
            // A guard: what makes a script give up is not what it was written for.
            self.note(span, "the script is taken not to end here");
        }
    }

    fn note(&mut self, span: Span, text: &str) {
        if self.script.notes.len() < FAULTS_MAX {
            self.script.notes.push(Diagnostic::new(code::SCRIPT_UNTOLD, span, text));
        }
    }

    fn find(&self, nodes: &[Node], found: &mut Found, depth: usize) {
        for node in nodes {
            found.looked_at += 1;
            if found.looked_at > LOOKED_AT_MAX {
                return;
            }
            match node {
                Node::Simple { assigned, words, .. } => {
                    found.assigned.extend(assigned.iter().map(|(name, _)| name.clone()));
                    found.assigned.extend(words.iter().filter_map(assignment).map(|one| one.0));
                    let first = words.iter().find_map(|raw| self.program(raw));
                    let first = first.unwrap_or_default();
                    found.exits |= matches!(first.as_str(), "exit" | "return");
                    found.commands += usize::from(!SPEAKS_OF.contains(&first.as_str()))
                        * usize::from(words.iter().any(|raw| {
                            self.program(raw).is_some_and(|word| tool_of(&word).is_some())
                        }));
                    if let Some(function) = self.functions.get(&first).filter(|_| depth < 4) {
                        self.find(&function.body, found, depth + 1);
                    }
                }
                Node::List(first, rest) => {
                    self.find(core::slice::from_ref(first), found, depth);
                    rest.iter().for_each(|(_, one)| {
                        self.find(core::slice::from_ref(one), found, depth);
                    });
                }
                Node::Not(inner) => self.find(core::slice::from_ref(inner), found, depth),
                Node::If(arms, otherwise, _) => {
                    for (condition, body) in arms {
                        self.find(condition, found, depth);
                        self.find(body, found, depth);
                    }
                    self.find(otherwise, found, depth);
                }
                Node::Case(_, arms, _) => {
                    arms.iter().for_each(|(_, body)| self.find(body, found, depth));
                }
                Node::Function(_, body, _) => self.find(body, found, depth),
                Node::Pipe(body, _)
                | Node::For(_, _, body, _)
                | Node::Unsure(_, body, _)
                | Node::Group(body) => self.find(body, found, depth),
            }
        }
    }

    /// Functions that hold rules and that nothing here calls.
    fn uncalled(&mut self) {
        let functions = core::mem::take(&mut self.functions);
        for (name, function) in &functions {
            let mut found = Found::default();
            self.find(&function.body, &mut found, 0);
            if !function.called && found.commands > 0 && !self.ended {
                let text = format!(
                    "function {name} is not called here: its {} not carried out",
                    match found.commands {
                        1 => String::from("command is"),
                        more => format!("{more} commands are"),
                    }
                );
                self.untold(function.span, &text);
            }
        }
    }

    /// A script without any command of the tools leaves nothing to be looked at.
    fn nothing_found(&mut self) {
        if self.script.commands == [0, 0] && self.script.faults.is_empty() {
            let end = self.source.lines().next().map_or(0, str::len);
            let span = Span { start: 0, end: u32::try_from(end).unwrap_or(u32::MAX) };
            self.untold(span, "no command of iptables or ip6tables is carried out here");
        }
    }

    fn untold(&mut self, span: Span, text: &str) {
        self.script.told = false;
        if self.script.faults.len() < FAULTS_MAX {
            self.script.faults.push(Diagnostic::new(code::SCRIPT_UNTOLD, span, text));
        }
    }

    fn step(&mut self, span: Span) {
        self.steps += 1;
        let text = if self.ended {
            return;
        } else if self.steps >= STEPS_MAX {
            format!("the script comes to more than {STEPS_MAX} commands")
        } else if self.bytes > BYTES_MAX {
            format!("the words of the script come to more than {BYTES_MAX} bytes")
        } else {
            return;
        };
        self.script.faults.push(Diagnostic::new(code::LIMIT_EXCEEDED, span, text));
        self.script.told = false;
        self.ended = true;
    }

    fn simple(&mut self, assigned: &[(String, Raw)], words: &[Raw], span: Span) -> Status {
        self.step(span);
        for (name, raw) in assigned {
            self.assign(name, raw);
        }
        // A word of an array gets another value.
        if let Some([Piece::Text(text, false), ..]) = words.first().map(|raw| raw.pieces.as_slice())
            && let Some((name, _)) = text.split_once('[').filter(|(name, _)| !name.is_empty())
        {
            self.variables.insert(format!("{name}{ARRAY}"), None);
        }
        let mut fields: Vec<Word> = Vec::new();
        let mut missing: Option<(Span, String)> = None;
        for raw in words {
            match self.expand(raw) {
                Ok(all) => {
                    self.bytes += all.iter().map(|(text, _)| text.len() + 16).sum::<usize>();
                    let word = |(text, quoted)| Word { text, span: raw.span, quoted };
                    fields.extend(all.into_iter().map(word));
                }
                Err(what) => {
                    let named = self.program(raw).filter(|_| fields.is_empty());
                    match named {
                        Some(text) => fields.push(Word { text, span: raw.span, quoted: false }),
                        None => missing = missing.or(Some((raw.span, what))),
                    }
                }
            }
        }
        // What stands before a command.
        while fields.first().is_some_and(|word| {
            matches!(word.text.as_str(), "sudo" | "doas" | "exec" | "command" | "$" | "then" | "do")
        }) {
            fields.remove(0);
        }
        let Some((program, rest)) = fields.split_first() else { return Some(true) };
        if let Some((family, kind)) = tool_of(&program.text) {
            return self.iptables(family, kind, (rest, missing), span);
        }
        self.other(&program.text.clone(), rest, words, missing.is_some(), span)
    }

    /// A command that is none of iptables'.
    fn other(
        &mut self,
        program: &str,
        rest: &[Word],
        words: &[Raw],
        missing: bool,
        span: Span,
    ) -> Status {
        if self.functions.contains_key(program) {
            return self.call(program, rest, missing, span);
        }
        match program {
            "export" | "readonly" | "local" | "declare" | "typeset" => {
                for (name, raw) in words.iter().filter_map(assignment) {
                    self.assign(&name, &raw);
                }
                Some(true)
            }
            "unset" => {
                for word in rest {
                    self.variables.remove(&word.text);
                    self.variables.remove(&format!("{}{ARRAY}", word.text));
                }
                Some(true)
            }
            "exit" => {
                self.ended = true;
                Some(true)
            }
            "true" | ":" | "echo" | "printf" => Some(true),
            "false" => Some(false),
            // What stands behind == in [[ is a pattern.
            "[[" if rest.iter().any(|word| !word.quoted && word.text.contains(['*', '?', '['])) => {
                None
            }
            "[" | "test" | "[[" if !missing => {
                let texts: Vec<&str> = rest.iter().map(|word| word.text.as_str()).collect();
                let texts = texts.strip_suffix(&["]"]).or(texts.strip_suffix(&["]]"]));
                let all: Vec<&str> = rest.iter().map(|word| word.text.as_str()).collect();
                test(texts.unwrap_or(&all))
            }
            "ebtables" | "arptables" => {
                self.untold(span, &format!("commands of {program} are not read"));
                None
            }
            "read" => {
                let names = rest.iter().filter(|word| !word.text.starts_with('-'));
                for word in names {
                    self.variables.insert(word.text.clone(), None);
                    self.variables.insert(format!("{}{ARRAY}", word.text), None);
                }
                None
            }
            _ => self.foreign(program, rest, span),
        }
    }

    /// A command that is not known here.
    fn foreign(&mut self, program: &str, rest: &[Word], span: Span) -> Status {
        let has = |options: &[&str]| rest.iter().any(|word| options.contains(&word.text.as_str()));
        match program {
            "let" => {
                let name = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
                let names = rest.iter().flat_map(|word| word.text.split(name));
                names.for_each(|name| drop(self.variables.insert(name.into(), None)));
            }
            "-A" | "-I" | "-P" | "-N" | "-F" | "-X" => {
                self.untold(span, "this is no command: `iptables` has to stand before it");
            }
            _ if has(&["-A", "-I", "--append", "--insert"]) && has(&["-j", "--jump"]) => {
                self.untold(span, &format!("what `{program}` makes of this rule cannot be told"));
            }
            _ => {}
        }
        None
    }

    fn call(&mut self, name: &str, rest: &[Word], missing: bool, span: Span) -> Status {
        let function = self.functions.get_mut(name)?;
        function.called = true;
        let body = function.body.clone();
        if self.calls >= CALLS_MAX {
            self.untold(span, "functions call each other too deeply");
            return None;
        }
        self.calls += 1;
        let known = |word: Option<&Word>| match (word, missing) {
            (_, true) => None,
            (word, false) => Some(word.map_or_else(String::new, |word| word.text.clone())),
        };
        for at in 0..9 {
            self.variables.insert(format!("{}", at + 1), known(rest.get(at)));
        }
        let status = self.nodes(&body);
        self.calls -= 1;
        status
    }

    fn iptables(
        &mut self,
        family: Family,
        kind: &str,
        (words, missing): (&[Word], Option<(Span, String)>),
        span: Span,
    ) -> Status {
        if kind == "-save" {
            return Some(true);
        }
        if !kind.is_empty() {
            self.untold(span, "what is restored here stands in another file");
            return None;
        }
        let at = usize::from(family == Family::V6);
        if let Some(count) = self.script.commands.get_mut(at) {
            *count += 1;
        }
        if let Some((place, what)) = missing {
            self.untold(place, &what);
            return None;
        }
        let kept = match family {
            Family::V4 => &mut self.script.v4,
            Family::V6 => &mut self.script.v6,
        };
        let asked = ask(words, self.source, family, Variant::Nft);
        let result = asked.and_then(|mut asked| {
            asked.span = span;
            kept.apply(&asked, self.labels, false)
        });
        let Err(refusal) = result else { return Some(true) };
        let says = refusal.says.words("iptables");
        let takes_away = words.iter().any(|word| TAKES_AWAY.contains(&word.text.as_str()));
        if refusal.is_of_what_is_there() && (self.is_asked || takes_away) {
            if !self.is_asked {
                self.note(span, &format!("there is nothing to take away yet: {says}"));
            }
            return Some(false);
        }
        if self.script.faults.len() < FAULTS_MAX {
            if refusal.faults.is_empty() {
                let text = format!("iptables refuses this command: {says}");
                self.script.faults.push(Diagnostic::new(code::COMMAND_REFUSED, span, text));
            }
            self.script.faults.extend(refusal.faults);
        }
        Some(false)
    }

    fn assign(&mut self, name: &str, raw: &Raw) {
        let value = self.expand(raw).ok().map(|fields| {
            let texts: Vec<String> = fields.into_iter().map(|(text, _)| text).collect();
            texts.join(" ")
        });
        self.bytes += value.as_ref().map_or(0, String::len);
        // By its bare name an array is its first word; a plain variable is no array any more.
        match name.strip_suffix(ARRAY) {
            Some(bare) => drop(self.variables.insert(bare.into(), None)),
            None => drop(self.variables.remove(&format!("{name}{ARRAY}"))),
        }
        self.variables.insert(name.into(), value.filter(|text| text.len() <= VALUE_MAX));
    }

    /// The name of a program in a word whose value is known, or that is called as programs are
    /// (`$IPT`).
    fn program(&self, raw: &Raw) -> Option<String> {
        if let Ok(fields) = self.expand(raw) {
            return fields.into_iter().next().map(|(text, _)| text);
        }
        let [Piece::Variable(name, ..)] = raw.pieces.as_slice() else { return None };
        match name.to_ascii_lowercase().as_str() {
            "ipt" | "iptables" | "ipt4" | "iptables_cmd" => Some("iptables".into()),
            "ipt6" | "ip6t" | "ip6tables" | "ip6tables_cmd" => Some("ip6tables".into()),
            _ => None,
        }
    }

    /// The value of a variable, or why it cannot be told.
    fn value(&self, name: &str, default: Option<&String>) -> Result<String, String> {
        Ok(match (self.variables.get(name), default) {
            (Some(Some(value)), Some(default)) if value.is_empty() => default.clone(),
            (Some(Some(value)), _) => value.clone(),
            (None, Some(default)) => default.clone(),
            (Some(None), _) => return Err(format!("the value of `{name}` cannot be told")),
            (None, None) => return Err(format!("`{name}` has no value here")),
        })
    }

    /// The words that a word becomes, each with whether any of it was quoted; or what of it cannot be
    /// told.
    fn expand(&self, raw: &Raw) -> Result<Vec<(String, bool)>, String> {
        let mut fields: Vec<(String, bool)> = Vec::new();
        let mut open: Option<(String, bool)> = None;
        for piece in &raw.pieces {
            let (value, quoted) = match piece {
                Piece::Text(text, quoted) => {
                    let (now, all) = open.get_or_insert_default();
                    now.push_str(text);
                    *all |= *quoted;
                    continue;
                }
                Piece::Variable(name, default, quoted) => {
                    // No words of an array are no word, in quotes as well.
                    if name.ends_with(ARRAY) {
                        open = open.filter(|(text, _)| !text.is_empty());
                    }
                    let value = self.value(name, default.as_ref())?;
                    (value, *quoted)
                }
                Piece::Command(command) => (which(command)?, false),
                Piece::Other => return Err("what a shell makes of this cannot be told".into()),
            };
            if quoted {
                let (now, all) = open.get_or_insert_default();
                now.push_str(&value);
                *all = true;
                continue;
            }
            let blank = |c: char| matches!(c, ' ' | '\t' | '\n');
            if value.starts_with(blank) {
                fields.extend(open.take());
            }
            for (at, part) in value.split(blank).filter(|part| !part.is_empty()).enumerate() {
                if at > 0 {
                    fields.extend(open.take());
                }
                open.get_or_insert_default().0.push_str(part);
            }
            if value.ends_with(blank) {
                fields.extend(open.take());
            }
            if fields.len() > FIELDS_MAX {
                return Err("this becomes too many words".into());
            }
        }
        fields.extend(open);
        let mut out = Vec::new();
        for (text, quoted) in fields {
            if text.len() > VALUE_MAX {
                return Err("this becomes too long a word".into());
            }
            match (quoted, text.contains('{')) {
                (false, true) if text.matches('{').count() > BRACES_MAX => {
                    return Err("this becomes too many words".into());
                }
                (false, true) => out.extend(braces(&text)?.into_iter().map(|text| (text, false))),
                _ => out.push((text, quoted)),
            }
        }
        Ok(out)
    }
}

/// What a part of a script does besides being carried out or not.
#[derive(Default)]
struct Found {
    looked_at: usize,
    commands: usize,
    assigned: Vec<String>,
    exits: bool,
}

/// `$1`: what the script is called with.
fn is_argument(word: &Raw) -> bool {
    let mut pieces = word
        .pieces
        .iter()
        .filter(|piece| !matches!(piece, Piece::Text(text, _) if text.is_empty()));
    matches!(pieces.next(), Some(Piece::Variable(name, None, _)) if name == "1")
        && pieces.next().is_none()
}

/// Whether a word fits a pattern of `case`; `None` for patterns that are more than a word or `*`.
fn pattern_fits(pattern: &str, word: &str) -> Option<bool> {
    match pattern {
        "*" => Some(true),
        _ if pattern.contains(['*', '?', '[', '$', '`']) => None,
        _ => Some(pattern == word),
    }
}

fn span_of(node: &Node) -> Span {
    match node {
        Node::Simple { span, .. }
        | Node::Pipe(_, span)
        | Node::If(_, _, span)
        | Node::For(_, _, _, span)
        | Node::Unsure(_, _, span)
        | Node::Case(_, _, span)
        | Node::Function(_, _, span) => *span,
        Node::List(first, _) | Node::Not(first) => span_of(first),
        Node::Group(body) => body.first().map_or(Span::default(), span_of),
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("the {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests;
