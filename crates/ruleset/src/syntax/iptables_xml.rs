//! iptables-xml(1): what iptables-save prints, as XML. The conversion goes by words and knows no extension.
//! Source: the manual page, and the tool's own output.

use super::iptables_save::words::{self, Word};
use super::iptables_save::{FILE_MAX, LINE_MAX};
use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

/// What its options ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    /// `-c`: rules that ask for the same, one after the other, become one with several actions.
    pub combine: bool,
    /// `-v`: each line as a comment before what becomes of it.
    pub verbose: bool,
}

/// Why the text ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Exit status of the real tool.
    pub status: u8,
    /// Its text.
    pub text: String,
}

/// A chain as it is declared.
struct Chain {
    name: String,
    policy: Option<String>,
    counters: (String, String),
    written: bool,
}

struct Converter {
    how: Form,
    out: String,
    table: Option<String>,
    chains: Vec<Chain>,
    open_chain: Option<String>,
    /// Words that the open rule asks for, and its target.
    open_rule: Option<(Vec<String>, String)>,
}

/// Converts a text: what is printed, and why it ends before the text does.
pub fn convert(source: &str, how: Form) -> (String, Result<(), Stop>) {
    let mut converter = Converter {
        how,
        out: String::from("<iptables-rules version=\"1.0\">\n"),
        table: None,
        chains: Vec::new(),
        open_chain: None,
        open_rule: None,
    };
    let result = converter.whole(source);
    (converter.out, result)
}

fn failed(text: impl Into<String>, status: u8) -> Stop {
    Stop { status, text: text.into() }
}

impl Converter {
    fn whole(&mut self, source: &str) -> Result<(), Stop> {
        if source.len() > FILE_MAX {
            return Err(failed(format!("a file of more than {FILE_MAX} bytes"), 1));
        }
        let mut count = 0;
        for (number, line) in (1..).zip(source.split_inclusive('\n')) {
            let line = line.strip_suffix('\n').unwrap_or(line);
            count = number;
            if line.len() > LINE_MAX {
                return Err(failed(format!("line {number} failed"), 1));
            }
            self.line(line, number)?;
        }
        if self.table.is_some() {
            return Err(failed(format!("COMMIT expected at line {}", count + 1), 1));
        }
        self.out.push_str("</iptables-rules>\n");
        Ok(())
    }

    fn line(&mut self, line: &str, number: usize) -> Result<(), Stop> {
        match (line.chars().next(), self.table.is_some()) {
            (None, _) => return Ok(()),
            (Some('#'), _) => {
                self.comment(line);
                return Ok(());
            }
            _ if self.how.verbose => self.comment(&format!("line {number} {line}")),
            _ => {}
        }
        match (line.chars().next(), self.table.is_some()) {
            (Some('C'), true) if line == "COMMIT" => self.close_table(),
            (Some('*'), open) => {
                if open {
                    self.close_table();
                }
                let name = line.get(1..).unwrap_or("").split([' ', '\t']).next().unwrap_or("");
                self.out.push_str("  <table name=\"");
                escape(&mut self.out, name);
                self.out.push_str("\" >\n");
                self.table = Some(name.into());
            }
            (Some(':'), true) => self.declare(line, number)?,
            (_, true) => self.rule(line, number)?,
            (_, false) => return Err(failed(format!("line {number} failed"), 1)),
        }
        Ok(())
    }

    /// A comment cannot hold two dashes in a row: each has a star before it, and every second a blank.
    fn comment(&mut self, text: &str) {
        self.out.push_str("<!-- ");
        let mut dashes = 0;
        for c in text.chars() {
            if c == '-' {
                dashes += 1;
                self.out.push_str(if dashes % 2 == 0 { " *" } else { "*" });
            }
            self.out.push(c);
        }
        self.out.push_str(" -->\n");
    }

    fn declare(&mut self, line: &str, number: usize) -> Result<(), Stop> {
        let mut words =
            line.get(1..).unwrap_or("").split([' ', '\t']).filter(|word| !word.is_empty());
        let name = words.next().unwrap_or("");
        let Some(policy) = words.next() else {
            let text = format!(
                "{{program}} v{{version}}: {{program}}: line {number} policy invalid\n\
                 Error occurred at line: {number}\nTry `{{program}} -h' or '{{program}} --help' for more \
                 information."
            );
            return Err(failed(text, 2));
        };
        let counters = words.next().and_then(counters);
        self.chains.push(Chain {
            name: name.into(),
            policy: (policy != "-").then(|| policy.into()),
            counters: counters.unwrap_or_else(|| ("0".into(), "0".into())),
            written: false,
        });
        Ok(())
    }

    fn rule(&mut self, line: &str, number: usize) -> Result<(), Stop> {
        let (count, rest) = match line.strip_prefix('[') {
            None => (None, line),
            Some(inner) => match inner.split_once(']') {
                Some((count, rest)) => (counters(&format!("[{count}]")), rest),
                None => {
                    let text = format!(
                        "{{program}} v{{version}}: Bad line {number}: need ]\n\
                         Error occurred at line: {number}\nTry `{{program}} -h' or '{{program}} --help' \
                         for more information."
                    );
                    return Err(failed(text, 2));
                }
            },
        };
        let mut faults = Vec::new();
        let words = words::words(rest, 0, &mut faults);
        let (Some(command), Some(chain)) = (words.first(), words.get(1)) else {
            return Err(failed(format!("line {number} failed - no chain found"), 1));
        };
        if command.text != "-A" || !faults.is_empty() {
            return Err(failed(format!("line {number} failed - no chain found"), 1));
        }
        let words = words.get(2..).unwrap_or(&[]);
        let target = words.iter().position(is_jump).unwrap_or(words.len());
        let (asks, does) = words.split_at(target);
        let asked: Vec<String> = asks.iter().map(|word| word.text.clone()).collect();
        let goal = does.get(1).map_or_else(String::new, |word| word.text.clone());
        let same = self.how.combine
            && self.open_chain.as_ref() == Some(&chain.text)
            && !asked.is_empty()
            && !does.is_empty()
            && self.open_rule.as_ref().is_some_and(|(before, goal)| {
                *before == asked
                    && !goal.is_empty()
                    && !["RETURN", "DROP", "ACCEPT", "QUEUE"].contains(&goal.as_str())
            });
        if same {
            self.out.push_str("<!-- Combine action from next rule -->\n");
        } else {
            self.close_rule();
            self.open_chain(&chain.text);
            self.out.push_str("      <rule ");
            if let Some((packets, bytes)) = count {
                self.out.push_str(&format!("packet-count=\"{packets}\" byte-count=\"{bytes}\" "));
            }
            self.out.push_str(">\n");
            if !asks.is_empty() {
                self.out.push_str("       <conditions>\n");
                self.elements(asks, "match");
                self.out.push_str("       </conditions>\n");
            }
            self.out.push_str("       <actions>\n");
        }
        self.actions(does);
        self.open_rule = Some((asked, goal));
        Ok(())
    }

    /// What a rule asks for, by the match that it belongs to; or what its target is told.
    fn elements(&mut self, words: &[Word], first: &str) {
        let mut element: Option<(String, String)> = None;
        let mut at = 0;
        let mut inverted = false;
        while let Some(word) = words.get(at) {
            at += 1;
            if word.text == "!" && !word.quoted {
                inverted = true;
                continue;
            }
            let Some(name) = option_name(word) else { continue };
            if let Some(module) = words.get(at).filter(|_| matches!(name, "m" | "match")) {
                at += 1;
                self.close_element(element.take());
                element = Some((module.text.clone(), String::new()));
                continue;
            }
            let mut value = String::new();
            // Behind an option `!` is a value of it, unless it stands before another one.
            let ends = |at: usize| {
                let not = words.get(at).is_some_and(|word| word.text == "!" && !word.quoted);
                words.get(if not { at + 1 } else { at }).is_none_or(is_option)
            };
            while let Some(word) = words.get(at).filter(|_| !ends(at)) {
                at += 1;
                if !value.is_empty() {
                    value.push(' ');
                }
                let quote = if word.quoted { "\"" } else { "" };
                value.push_str(&format!("{quote}{}{quote}", word.text));
            }
            let (_, inner) = element.get_or_insert_with(|| (first.into(), String::new()));
            leaf(inner, name, inverted, &value);
            inverted = false;
        }
        self.close_element(element);
    }

    fn close_element(&mut self, element: Option<(String, String)>) {
        let Some((name, inner)) = element else { return };
        if inner.is_empty() {
            self.out.push_str(&format!("        <{name}  />\n"));
        } else {
            self.out.push_str(&format!("        <{name} >\n{inner}        </{name}>\n"));
        }
    }

    fn actions(&mut self, does: &[Word]) {
        let (Some(how), Some(target)) = (does.first(), does.get(1)) else { return };
        if self.chains.iter().any(|chain| chain.name == target.text) {
            let goto = matches!(how.text.as_str(), "-g" | "--goto");
            let kind = if goto { "goto" } else { "call" };
            let name = &target.text;
            self.out
                .push_str(&format!("        <{kind} >\n          <{name} />\n        </{kind}>\n"));
            self.elements(does.get(2..).unwrap_or(&[]), "match");
            return;
        }
        let rest = does.get(2..).unwrap_or(&[]);
        let module = rest.iter().position(|word| matches!(word.text.as_str(), "-m" | "--match"));
        let (own, others) = rest.split_at(module.unwrap_or(rest.len()));
        match own.is_empty() {
            true => self.close_element(Some((target.text.clone(), String::new()))),
            false => self.elements(own, &target.text),
        }
        self.elements(others, "match");
    }

    fn open_chain(&mut self, name: &str) {
        if self.open_chain.as_deref() == Some(name) {
            return;
        }
        // The rules of a chain that is not declared stand in whatever is open; the last is closed by the
        // next table's first, if at all.
        let Some(at) = self.chains.iter().position(|chain| chain.name == name) else { return };
        self.close_chain();
        if let Some(chain) = self.chains.get_mut(at) {
            chain.written = true;
            let head = head(chain);
            self.out.push_str(&format!("{head}>\n"));
        }
        self.open_chain = Some(name.into());
    }

    fn close_rule(&mut self) {
        if self.open_rule.take().is_some() {
            self.out.push_str("       </actions>\n\n      </rule>\n\n");
        }
    }

    fn close_chain(&mut self) {
        if self.open_chain.take().is_some() {
            self.close_rule();
            self.out.push_str("    </chain>\n");
        }
    }

    fn close_table(&mut self) {
        self.close_chain();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for chain in &self.chains {
            if !chain.written && seen.insert(&chain.name) {
                self.out.push_str(&format!("{}/>\n", head(chain)));
            }
        }
        self.chains.clear();
        self.table = None;
        self.out.push_str("  </table>\n");
    }
}

/// A chain's element up to its end.
fn head(chain: &Chain) -> String {
    let mut out = String::from("    <chain name=\"");
    escape(&mut out, &chain.name);
    out.push_str("\" ");
    if let Some(policy) = &chain.policy {
        out.push_str("policy=\"");
        escape(&mut out, policy);
        out.push_str("\" ");
    }
    let (packets, bytes) = &chain.counters;
    out.push_str(&format!("packet-count=\"{packets}\" byte-count=\"{bytes}\" "));
    out
}

/// `[PACKETS:BYTES]`.
fn counters(text: &str) -> Option<(String, String)> {
    let (packets, bytes) = text.strip_prefix('[')?.split(']').next()?.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(packets) && digits(bytes)).then(|| (packets.into(), bytes.into()))
}

fn is_option(word: &Word) -> bool {
    !word.quoted && word.text.len() > 1 && word.text.starts_with('-')
}

/// The name of an option without its dashes.
fn option_name(word: &Word) -> Option<&str> {
    let name = word.text.trim_start_matches('-');
    (is_option(word) && !name.is_empty()).then_some(name)
}

fn is_jump(word: &Word) -> bool {
    !word.quoted && matches!(word.text.as_str(), "-j" | "-g" | "--jump" | "--goto")
}

/// `<NAME >VALUE</NAME>`.
fn leaf(out: &mut String, name: &str, inverted: bool, value: &str) {
    out.push_str(&format!("          <{name} "));
    if inverted {
        out.push_str(" invert=\"1\"");
    }
    if value.is_empty() {
        out.push_str(" />\n");
        return;
    }
    out.push('>');
    escape(out, value);
    out.push_str(&format!("</{name}>\n"));
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}
