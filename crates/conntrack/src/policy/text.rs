//! Timeout policies as text: commands of nfct(8), and what `nfct list timeout` prints.
//!
//! ```text
//! nfct add timeout long inet tcp established 864000 close 5
//! .long = {
//!     .l3proto = 2,
//!     .l4proto = 6,
//!     .policy = {
//!         .ESTABLISHED = 864000,
//!     },
//! };
//! ```
//!
//! A file may hold both, and comments behind `#`.

use super::{Declaration, Name, PROTOCOLS, states};
use alloc::{format, string::String, vec::Vec};
use keepstate_packet::Family;

/// What is wrong with a text, and in which line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl core::error::Error for Fault {}

/// Reads all policies of a text.
///
/// # Errors
/// [`Fault`] with the first thing that is wrong.
pub fn parse(text: &str) -> Result<Vec<Declaration>, Fault> {
    let mut declared = Vec::new();
    let mut listed: Option<Listed> = None;
    let mut number = 0;
    for whole in text.lines() {
        number += 1;
        let at = |text| Fault { line: number, text };
        let line = whole.split('#').next().unwrap_or_default().trim();
        match (&mut listed, line) {
            (_, "") => {}
            (Some(_), "};") => {
                let done = listed.take().map(Listed::finish);
                declared.extend(done.transpose().map_err(at)?);
            }
            (Some(open), line) => open.read(line).map_err(at)?,
            (None, line) => match line.strip_prefix('.').and_then(|l| l.strip_suffix(" = {")) {
                Some(name) => listed = Some(Listed::new(name).map_err(at)?),
                None => declared.push(command(line).map_err(at)?),
            },
        }
    }
    match listed {
        Some(_) => Err(Fault { line: number, text: "the last policy has no end".into() }),
        None => Ok(declared),
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).ok_or_else(|| format!("`{text}` is no name: it has 1 to 31 bytes"))
}

/// `[nfct] add timeout NAME FAMILY PROTOCOL STATE SECONDS ...`, or `timeout add` as older ones have
/// it.
fn command(line: &str) -> Result<Declaration, String> {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.first().is_some_and(|first| *first == "nfct") {
        words.remove(0);
    }
    let (called, family, protocol, rest) = match words.as_slice() {
        ["add", "timeout", called, family, protocol, rest @ ..]
        | ["timeout", "add", called, family, protocol, rest @ ..] => {
            (called, family, protocol, rest)
        }
        _ => {
            let form = "add timeout NAME inet|inet6 PROTOCOL STATE SECONDS ...";
            return Err(format!("`{line}` is not of the form `{form}`"));
        }
    };
    let family = match *family {
        "inet" => Family::V4,
        "inet6" => Family::V6,
        other => return Err(format!("`{other}` is not a family: inet or inet6")),
    };
    let known = PROTOCOLS.iter().find(|(name, ..)| name == protocol);
    let Some((protocol, number, _)) = known else {
        return Err(format!("there are no timeout policies for `{protocol}`"));
    };
    let mut values = Vec::new();
    for pair in rest.chunks(2) {
        let [state, seconds] = pair else {
            return Err(format!("`{}` has no seconds behind it", pair.concat()));
        };
        let upper = state.to_ascii_uppercase();
        values.push(value(*number, protocol, &upper, seconds)?);
    }
    if values.is_empty() {
        return Err("a policy names at least one state and its seconds".into());
    }
    Ok(Declaration { name: name(called)?, family, protocol: *number, values })
}

fn value(number: u8, protocol: &str, state: &str, seconds: &str) -> Result<(u8, u32), String> {
    let place = states(number).iter().position(|(name, _)| *name == state);
    let place = place.and_then(|place| u8::try_from(place).ok());
    let place = place.ok_or_else(|| format!("`{state}` is not a state of {protocol}"))?;
    let seconds = seconds.parse().map_err(|_| format!("`{seconds}` is not a number of seconds"))?;
    Ok((place, seconds))
}

/// A policy of a list that is being read.
struct Listed {
    name: Name,
    family: Option<Family>,
    protocol: Option<u8>,
    values: Vec<(String, String)>,
    inside: bool,
}

impl Listed {
    fn new(text: &str) -> Result<Self, String> {
        let name = name(text)?;
        Ok(Self { name, family: None, protocol: None, values: Vec::new(), inside: false })
    }

    fn read(&mut self, line: &str) -> Result<(), String> {
        match line {
            ".policy = {" if !self.inside => self.inside = true,
            "}," if self.inside => self.inside = false,
            line => {
                let plain = line.strip_prefix('.').and_then(|line| line.strip_suffix(','));
                let pair = plain.and_then(|line| line.split_once(" = "));
                let (key, value) =
                    pair.ok_or_else(|| format!("`{line}` is not `.NAME = VALUE,`"))?;
                match (key, value) {
                    (key, value) if self.inside => self.values.push((key.into(), value.into())),
                    ("l3proto", "2") => self.family = Some(Family::V4),
                    ("l3proto", "10") => self.family = Some(Family::V6),
                    ("l4proto", value) => self.protocol = value.parse().ok(),
                    _ => return Err(format!("`{line}` means nothing here")),
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Declaration, String> {
        let called = self.name.as_str();
        let family = self.family.ok_or_else(|| format!("`{called}` has no l3proto"))?;
        let known =
            self.protocol.and_then(|p| PROTOCOLS.iter().find(|(_, number, _)| *number == p));
        let Some((protocol, number, _)) = known else {
            return Err(format!("`{called}` has no l4proto that policies are for"));
        };
        let values = self.values.iter().map(|(state, v)| value(*number, protocol, state, v));
        let values = values.collect::<Result<_, _>>()?;
        Ok(Declaration { name: self.name, family, protocol: *number, values })
    }
}
