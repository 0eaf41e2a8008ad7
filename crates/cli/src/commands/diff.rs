//! `keepstate diff`: which two rule files. What is different between them is the analysis' business.

use super::replay::check_captures;
use super::why::copied;
use crate::recorded;
use crate::rulesets::{self, Loaded};
use crate::setting::Setting;
use crate::{exit::Exit, terminal::Terminal};
use keepstate_analysis::diff::{Compared, Comparison, Pair, Side, render};
use keepstate_packet::Family;
use keepstate_ruleset::model::Ruleset;
use std::io::{self, Write};
use std::path::PathBuf;

/// Arguments of `keepstate diff`.
#[derive(clap::Args)]
#[command(mut_args(without_rules))]
#[command(after_help = "Examples:\n  \
    keepstate diff /etc/iptables/rules.v4 new.v4\n  \
    iptables-save | keepstate diff - new.v4\n\n\
    Exit status: 0 the rule sets are proven equal, 1 they are not, 2 one of them cannot be read.")]
pub(crate) struct Arguments {
    /// The rules as they are: as iptables-save or `iptables -L` prints them, or a script; `-` is stdin
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The rules as they are to be
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Captures, in order: which of their connections fare differently, and which the new rules would not
    /// let begin but keep alive
    #[arg(value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    setting: Setting,
}

/// The two files have places of their own.
fn without_rules(argument: clap::Arg) -> clap::Arg {
    let hidden = matches!(argument.get_id().as_str(), "rules" | "rules4" | "rules6");
    argument.hide(hidden)
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: an array with an object a family
    Json,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match diff(arguments, terminal) {
        Ok(true) => Exit::Clean,
        Ok(false) => Exit::Findings,
        Err(exit) => exit,
    }
}

/// Whether they are equal.
fn diff(arguments: &Arguments, terminal: &Terminal) -> Result<bool, Exit> {
    let labels = arguments.setting.labels(terminal)?;
    if !arguments.setting.rule_files().is_empty() {
        terminal.error("the two rule files stand by themselves: keepstate diff OLD NEW");
        return Err(Exit::Usage);
    }
    check_captures(&arguments.captures, terminal)?;
    let load =
        |path: &PathBuf| rulesets::load_all(std::iter::once((path, None)), &labels, terminal);
    let (old, new) = (load(&arguments.old)?, load(&arguments.new)?);
    let pairs = pairs(old, new, terminal)?;
    let mut compared = Vec::new();
    for (old, new, mut pair) in pairs {
        let told = Comparison::new(&old, &new).and_then(|mut comparison| comparison.told());
        let mut told = told.map_err(|error| {
            terminal.error(error);
            Exit::Usage
        })?;
        told.play(&mut pair);
        if !arguments.captures.is_empty() {
            let prepared =
                |path: &PathBuf| arguments.setting.with_rules(path.clone()).prepare(terminal);
            let (one, other) = (prepared(&arguments.old)?, prepared(&arguments.new)?);
            let recorded = recorded::run(one, other, &arguments.captures, terminal)?;
            told.recorded = Some(recorded.finish((&old, &new)));
        }
        compared.push(told);
    }
    print(&compared, arguments.format, terminal)?;
    Ok(compared.iter().all(|one| one.equal))
}

/// The files by family; a family that one of them has no rules of has empty tables there.
fn pairs(
    mut old: Vec<Loaded>,
    mut new: Vec<Loaded>,
    terminal: &Terminal,
) -> Result<Vec<(Side, Side, Pair)>, Exit> {
    let (names, single) =
        ([&old, &new].map(|files| name_of(files)), old.len() == 1 && new.len() == 1);
    let families = [Family::V4, Family::V6];
    let mut pairs = Vec::new();
    for family in families {
        let take = |files: &mut Vec<Loaded>| {
            let at = files.iter().position(|file| file.ruleset.family == family)?;
            Some(files.swap_remove(at))
        };
        let (one, other) = (take(&mut old), take(&mut new));
        match (&one, &other) {
            (None, None) => continue,
            (Some(_), None) | (None, Some(_)) if single => {
                terminal.error(format_args!(
                    "{} and {} have rules of different families",
                    names[0], names[1]
                ));
                return Err(Exit::Usage);
            }
            _ => {}
        }
        let [one_name, other_name] = &names;
        let empty = || Ruleset { family, tables: Vec::new(), of_commands: false };
        let copy = |file: &Option<Loaded>| {
            let copy = file.as_ref().map_or_else(|| Ok(empty()), copied);
            copy.map_err(|why| {
                terminal.error(why);
                Exit::Usage
            })
        };
        let pair = Pair::new(copy(&one)?, copy(&other)?);
        let side = |file: Option<Loaded>, name: &str| match file {
            Some(file) => Side::new(name, &file.source, file.ruleset),
            None => Side::new(name, "", empty()),
        };
        pairs.push((side(one, one_name), side(other, other_name), pair));
    }
    Ok(pairs)
}

fn name_of(files: &[Loaded]) -> String {
    files.first().map_or_else(String::new, |file| file.path.display().to_string())
}

fn print(compared: &[Compared], format: Format, terminal: &Terminal) -> Result<(), Exit> {
    let text = match format {
        Format::Text => {
            let style = terminal.page();
            let pages: Vec<String> = compared.iter().map(|one| render(one, &style)).collect();
            pages.join("\n")
        }
        Format::Json => match serde_json::to_string_pretty(compared) {
            Ok(text) => text + "\n",
            Err(error) => {
                terminal.error(error);
                return Err(Exit::Usage);
            }
        },
    };
    write(&text, terminal)
}

/// To standard output; whoever has closed it has seen enough.
pub(super) fn write(text: &str, terminal: &Terminal) -> Result<(), Exit> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            terminal.error(error);
            Err(Exit::Usage)
        }
    }
}
