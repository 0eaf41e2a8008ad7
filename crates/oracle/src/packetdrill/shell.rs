//! The shell commands of scripts, as far as they look at connection tracking or set it up: pipelines
//! of `conntrack`, `iptables`, `sysctl`, `sleep`, `echo`, `grep` and `wc`.

use super::pattern;
use super::rules::{Rules, Wants};
use crate::compare::Counter;
use keepstate_conntrack::command::{self, Verb, run::Form};
use keepstate_conntrack::event::Snapshot;
use keepstate_conntrack::flow::Flow;
use keepstate_conntrack::listing::Kind;
use keepstate_packet::Family;
use std::time::Duration;

/// Whoever a script's commands look at.
pub(super) trait World {
    fn connections(&mut self) -> Result<Vec<Snapshot>, String>;
    /// The lines of `conntrack -E` since the beginning.
    fn events(&mut self) -> Vec<String>;
    fn counters(&mut self) -> Result<Vec<Counter>, String>;
    fn load_rules(&mut self, text: &str) -> Result<(), String>;
    fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), String>;
    fn delete(&mut self, connection: &Snapshot) -> Result<(), String>;
    fn pause(&mut self, duration: Duration);
}

/// Set up what a host has and a filter has not, or nothing at all.
const WITHOUT_EFFECT: [&str; 15] = [
    "modprobe",
    "ip",
    "tc",
    "ethtool",
    "ulimit",
    "set",
    "export",
    "nstat",
    "iptables-save",
    "ip6tables-save",
    ":",
    "true",
    "rm",
    "cat",
    "#",
];

/// What a script's commands have done so far.
#[derive(Debug)]
pub(super) struct Shell {
    family: Family,
    rules: Rules,
}

impl Shell {
    pub(super) fn new(family: Family) -> Self {
        Self { family, rules: Rules::default() }
    }

    /// Runs a command line. Whether its status is 0.
    ///
    /// # Errors
    /// A command that is not understood, or that the world refuses.
    pub(super) fn run(&mut self, world: &mut dyn World, text: &str) -> Result<bool, String> {
        let mut good = true;
        let mut skip = false;
        for (pipeline, joint) in pipelines(&tokens(text)) {
            if !skip && !pipeline.is_empty() {
                good = self.pipeline(world, &pipeline)?;
            }
            skip = match joint {
                Joint::And => !good,
                Joint::Or => good,
                Joint::Then => false,
            };
        }
        Ok(good)
    }

    fn pipeline(&mut self, world: &mut dyn World, commands: &[Command]) -> Result<bool, String> {
        // What the host's own TCP has counted is not there, and so nothing to be said of it.
        let counts = |command: &Command| command.words.first().is_some_and(|word| word == "nstat");
        if commands.first().is_some_and(counts) {
            return Ok(true);
        }
        let mut input = Vec::new();
        let mut good = true;
        for command in commands {
            (good, input) = self.command(world, command, &input)?;
        }
        let negated = commands.first().is_some_and(|command| command.negated);
        Ok(good != negated)
    }

    fn command(
        &mut self,
        world: &mut dyn World,
        command: &Command,
        input: &[String],
    ) -> Result<(bool, Vec<String>), String> {
        let words = self.expanded(&command.words);
        let Some((name, arguments)) = words.split_first() else { return Ok((true, Vec::new())) };
        let done = |()| (true, Vec::new());
        let base = name.rsplit('/').next().unwrap_or(name);
        match base {
            "conntrack" => self.conntrack(world, arguments),
            "grep" => grep(arguments, input),
            "wc" => Ok((true, vec![input.len().to_string()])),
            "sysctl" => sysctl(world, arguments).map(done),
            "echo" => echo(world, arguments, command.output.as_deref()),
            "sleep" => {
                let seconds: f64 = arguments.first().and_then(|n| n.parse().ok()).unwrap_or(0.0);
                world.pause(Duration::try_from_secs_f64(seconds).unwrap_or_default());
                Ok((true, Vec::new()))
            }
            "false" => Ok((false, Vec::new())),
            _ if base.contains("tables") && !WITHOUT_EFFECT.contains(&base) => {
                self.iptables(world, arguments)
            }
            _ if base.ends_with(".sh")
                || base.ends_with(".py")
                || WITHOUT_EFFECT.contains(&base) =>
            {
                Ok(done(()))
            }
            _ => Err(format!("{name}: not a command that is understood")),
        }
    }

    /// The variables that the scripts' surroundings set.
    fn expanded(&self, words: &[String]) -> Vec<String> {
        let (version, xtables) = match self.family {
            Family::V4 => ("ipv4", "iptables"),
            Family::V6 => ("ipv6", "ip6tables"),
        };
        let expand = |word: &String| {
            word.replace("$NFCT_IP_VERSION", version)
                .replace("${xtables}", xtables)
                .replace("$xtables", xtables)
        };
        words.iter().map(expand).collect()
    }

    fn iptables(
        &mut self,
        world: &mut dyn World,
        arguments: &[String],
    ) -> Result<(bool, Vec<String>), String> {
        match self.rules.command(arguments)? {
            Wants::Nothing => Ok((true, Vec::new())),
            Wants::Load => world.load_rules(&self.rules.text()).map(|()| (true, Vec::new())),
            Wants::Print { chain, counters } => {
                let all = world.counters()?;
                Ok((true, self.rules.listing(chain.as_deref(), counters, &all)))
            }
        }
    }

    fn conntrack(
        &self,
        world: &mut dyn World,
        arguments: &[String],
    ) -> Result<(bool, Vec<String>), String> {
        let words = without_addresses(arguments);
        let mut warnings = String::new();
        let command = command::parse(&words, None, &mut warnings)
            .map_err(|fault| format!("conntrack {}: {}", arguments.join(" "), fault.text))?;
        let all = world.connections()?;
        let chosen = |connection: &&Snapshot| command.selects(&Flow::of(connection, 0, 0));
        match command.verb {
            Verb::Event => Ok((true, told(&command, world.events()))),
            Verb::List => {
                let (mut form, mut text) = (Form::new(&command, None, None), String::new());
                for connection in all.iter().filter(chosen) {
                    form.flow(&mut text, &Flow::of(connection, 0, 0), Kind::Listed)
                        .map_err(|error| error.to_string())?;
                }
                text.push_str(form.foot());
                Ok((true, text.lines().map(str::to_owned).collect()))
            }
            Verb::Count => Ok((true, vec![all.len().to_string()])),
            Verb::Delete | Verb::Flush => {
                let flush = command.verb == Verb::Flush;
                let gone: Vec<&Snapshot> = all.iter().filter(|c| flush || chosen(c)).collect();
                let good = flush || !gone.is_empty();
                gone.into_iter().try_for_each(|connection| world.delete(connection))?;
                Ok((good, Vec::new()))
            }
            _ => Err(format!("conntrack {}: not understood", arguments.join(" "))),
        }
    }
}

/// The words of a command without the script's addresses, which are others here.
fn without_addresses(arguments: &[String]) -> Vec<&str> {
    const ADDRESSES: [&str; 10] = [
        "-s",
        "-d",
        "-r",
        "-q",
        "--src",
        "--orig-src",
        "--dst",
        "--orig-dst",
        "--reply-src",
        "--reply-dst",
    ];
    let mut words = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word.split_once('=') {
            _ if ADDRESSES.contains(&word) => drop(rest.next()),
            Some((name, _)) if ADDRESSES.contains(&name) => {}
            _ => words.push(word),
        }
    }
    words
}

/// The events that `-e` wants, of those that there were.
fn told(command: &command::Command, events: Vec<String>) -> Vec<String> {
    let mask = command.events.unwrap_or(command::EventMask::ALL);
    let wants = |line: &String| match line.trim_start() {
        line if line.starts_with("[NEW]") => mask.new,
        line if line.starts_with("[UPDATE]") => mask.updates,
        line if line.starts_with("[DESTROY]") => mask.destroy,
        _ => true,
    };
    events.into_iter().filter(wants).collect()
}

fn sysctl(world: &mut dyn World, arguments: &[String]) -> Result<(), String> {
    let pairs = arguments.iter().filter(|word| !word.starts_with('-'));
    for pair in pairs {
        if let Some((name, value)) = pair.split_once('=') {
            set(world, name, value)?;
        }
    }
    Ok(())
}

/// Settings of connection tracking; those of the host's TCP do nothing here.
fn set(world: &mut dyn World, name: &str, value: &str) -> Result<(), String> {
    let name = name.replace('/', ".");
    match name.strip_prefix("net.netfilter.") {
        Some(name) => world.set_sysctl(name, value),
        None => Ok(()),
    }
}

fn echo(
    world: &mut dyn World,
    words: &[String],
    output: Option<&str>,
) -> Result<(bool, Vec<String>), String> {
    let text = words.join(" ");
    match output.and_then(|path| path.strip_prefix("/proc/sys/")) {
        Some(name) => set(world, name, &text).map(|()| (true, Vec::new())),
        None => Ok((true, vec![text])),
    }
}

fn grep(arguments: &[String], input: &[String]) -> Result<(bool, Vec<String>), String> {
    let (mut pattern, mut letters, mut options) = (None, String::new(), true);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix('-').filter(|_| options) {
            Some("-") => options = false,
            Some("e") => pattern = words.next().cloned(),
            Some(more) if !more.is_empty() && more.chars().all(|c| "qcviEFwoG".contains(c)) => {
                letters.push_str(more);
            }
            _ if pattern.is_none() => pattern = Some(word.clone()),
            _ => return Err(format!("grep {word}: not understood")),
        }
    }
    let has = |letter| letters.contains(letter);
    let fold = |text: &str| if has('i') { text.to_lowercase() } else { text.to_owned() };
    let pattern = fold(&pattern.ok_or("grep without a pattern")?);
    if has('E') && pattern.contains('(') {
        return Err(format!("grep {pattern}: groups are not understood"));
    }
    let finds =
        |line: &&String| pattern::finds(&pattern, &fold(line), has('F'), has('E')) != has('v');
    let found: Vec<String> = input.iter().filter(finds).cloned().collect();
    let good = !found.is_empty();
    Ok((good, if has('c') { vec![found.len().to_string()] } else { found }))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `|`, `&&`, `||`, `;`, `!`, `>`.
    Sign(&'static str),
}

/// A command with its words, and where its output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Command {
    words: Vec<String>,
    output: Option<String>,
    negated: bool,
}

/// What stands behind a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    And,
    Or,
    Then,
}

fn tokens(text: &str) -> Vec<Token> {
    const SIGNS: [(&str, &str); 8] = [
        ("2>&1", ""),
        ("&&", "&&"),
        ("||", "||"),
        ("|", "|"),
        (";", ";"),
        ("\n", ";"),
        ("2>", ">"),
        (">", ">"),
    ];
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            if !token.is_empty() {
                tokens.push(Token::Sign(token));
            }
            rest = &rest[sign.len()..];
        } else if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
        } else {
            let (word, length) = word(rest);
            tokens.push(if word == "!" { Token::Sign("!") } else { Token::Word(word) });
            rest = &rest[length..];
        }
    }
    tokens
}

/// The first word of a text, quotes and escapes taken away, and how long it was.
fn word(text: &str) -> (String, usize) {
    let (mut word, mut quote) = (String::new(), None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() || "|;&>".contains(c) => return (word, at),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), '\\') => word.extend(chars.next().map(|(_, c)| c)),
            (_, c) => word.push(c),
        }
    }
    (word, text.len())
}

fn pipelines(tokens: &[Token]) -> Vec<(Vec<Command>, Joint)> {
    let mut found = Vec::new();
    let (mut pipeline, mut command) = (Vec::new(), Command::default());
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        let joint = match token {
            Token::Word(word) => {
                command.words.push(word.clone());
                continue;
            }
            Token::Sign("!") => {
                command.negated = true;
                continue;
            }
            Token::Sign(">") => {
                if let Some(Token::Word(path)) = tokens.next() {
                    command.output = Some(path.clone());
                }
                continue;
            }
            Token::Sign("|") => {
                pipeline.push(std::mem::take(&mut command));
                continue;
            }
            Token::Sign("&&") => Joint::And,
            Token::Sign("||") => Joint::Or,
            Token::Sign(_) => Joint::Then,
        };
        pipeline.push(std::mem::take(&mut command));
        found.push((std::mem::take(&mut pipeline), joint));
    }
    pipeline.push(command);
    pipeline.retain(|command| !command.words.is_empty());
    found.push((pipeline, Joint::Then));
    found
}

#[cfg(test)]
mod tests;
