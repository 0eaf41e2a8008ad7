//! `keepstate why`: which rule of which file. Why it is needed is the analysis' business.

use super::diff::write;
use super::replay::check_captures;
use crate::recorded;
use crate::rulesets::{self, Loaded};
use crate::setting::Setting;
use crate::{exit::Exit, terminal::Terminal};
use keepstate_analysis::copy::copy;
use keepstate_analysis::why::{Asked, Need, Place, WhyTold, find, places, render, render_line};
use keepstate_ruleset::model::{Ruleset, TableName};
use std::path::{Path, PathBuf};

/// Arguments of `keepstate why`.
#[derive(clap::Args)]
#[command(after_help = "RULE is FILE:LINE, TABLE:CHAIN:NUMBER, or the rule in quotes:\n  \
    keepstate why /etc/iptables/rules.v4:12\n  \
    keepstate why --rules rules.v4 filter:INPUT:3\n  \
    keepstate why --rules rules.v4 '-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT'\n  \
    keepstate why --rules rules.v4 --all filter")]
pub(crate) struct Arguments {
    #[command(flatten)]
    setting: Setting,
    /// The rule
    #[arg(value_name = "RULE", allow_hyphen_values = true, required_unless_present = "all")]
    rule: Option<String>,
    /// Every rule of the file, a line or two each; of one table where one is named
    #[arg(long, value_name = "TABLE", num_args = 0..=1, default_missing_value = "",
          conflicts_with_all = ["rule", "captures"], requires = "rules")]
    all: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Captures, in order: which of their connections break without the rule
    #[arg(value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: an array with an object a rule
    Json,
}

/// What several rules without need have in common.
const TOGETHER: &str = "
Each rule is asked about by itself: of rules that do each other's work none is
needed, as long as one of them stays. `keepstate diff` tells what changes
without several.
";

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match why(arguments, terminal) {
        Ok(()) => Exit::Clean,
        Err(exit) => exit,
    }
}

fn why(arguments: &Arguments, terminal: &Terminal) -> Result<(), Exit> {
    let path = file(arguments, terminal)?;
    let labels = arguments.setting.labels(terminal)?;
    check_captures(&arguments.captures, terminal)?;
    let load = || rulesets::load_all(std::iter::once((&path, None)), &labels, terminal);
    let mut told = Vec::new();
    let mut wrong = Vec::new();
    for file in load()? {
        match answers(arguments, file, terminal)? {
            Ok(answers) => told.extend(answers),
            Err(why) => wrong.push(why),
        }
    }
    if told.is_empty()
        && let Some(why) = wrong.first()
    {
        terminal.error(why);
        return Err(Exit::Usage);
    }
    let style = terminal.page();
    let text = match (arguments.format, &arguments.all) {
        (Format::Text, None) => {
            told.iter().map(|one| render(one, &style)).collect::<Vec<_>>().join("\n")
        }
        (Format::Text, Some(_)) => {
            let lines: String = told.iter().map(|one| render_line(one, &style)).collect();
            let count = |need| told.iter().filter(|one| one.need == need).count();
            let idle = count(Need::NotNeeded);
            let several = idle > 0 && idle + count(Need::NeverReached) > 1;
            lines + if several { TOGETHER } else { "" }
        }
        (Format::Json, _) => match serde_json::to_string_pretty(&told) {
            Ok(text) => text + "\n",
            Err(error) => {
                terminal.error(error);
                return Err(Exit::Usage);
            }
        },
    };
    write(&text, terminal)
}

/// The rule file, by its option or by what stands before `:LINE`.
fn file(arguments: &Arguments, terminal: &Terminal) -> Result<PathBuf, Exit> {
    match arguments.setting.rule_files().as_slice() {
        [] => {}
        [path] => return Ok(path.clone()),
        _ => {
            terminal.error("one rule file, please");
            return Err(Exit::Usage);
        }
    }
    let words = arguments.rule.as_deref().unwrap_or_default();
    match words.rsplit_once(':') {
        Some((path, line)) if line.parse::<u32>().is_ok() && Path::new(path).exists() => {
            Ok(PathBuf::from(path))
        }
        _ => {
            terminal.error("which file? --rules FILE, or the rule as FILE:LINE");
            Err(Exit::Usage)
        }
    }
}

/// The answers, or why there are none.
fn answers(
    arguments: &Arguments,
    file: Loaded,
    terminal: &Terminal,
) -> Result<Result<Vec<WhyTold>, String>, Exit> {
    let (mut asked, wanted) = match asked(arguments, file) {
        Ok(asked) => asked,
        Err(why) => return Ok(Err(why)),
    };
    if wanted.len() > 1 {
        asked.share();
    }
    let mut told = Vec::new();
    for place in wanted {
        let answer = match arguments.all {
            Some(_) => asked.need(place),
            None => asked.why(place),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let Some(mut answer) = answer else { continue };
        if !arguments.captures.is_empty()
            && let Some(without) = asked.copy_without(place)
        {
            let prepared = || {
                let setting = &arguments.setting;
                setting.with_rules(PathBuf::from(&answer.file)).prepare(terminal)
            };
            let (old, mut new) = (prepared()?, prepared()?);
            new.replace_ruleset(without);
            let recorded = recorded::run(old, new, &arguments.captures, terminal)?;
            answer.recorded = Some(recorded.finish(asked.sides()));
        }
        told.push(answer);
    }
    Ok(Ok(told))
}

/// The rules, and which of them are asked about.
fn asked(arguments: &Arguments, file: Loaded) -> Result<(Asked, Vec<Place>), String> {
    let wanted = match (&arguments.all, &arguments.rule) {
        (Some(table), _) => {
            let is_wanted = |name: &str| table.is_empty() || table == name;
            if !table.is_empty() && !TableName::ALL.iter().any(|known| known.as_str() == table) {
                return Err(format!("--all {table}: no table is called so"));
            }
            let all = places(&file.ruleset).into_iter();
            all.filter(|place| is_wanted(place.table.as_str())).collect()
        }
        (None, Some(words)) => find(&file.ruleset, &file.source, words)
            .map_err(|why| format!("{}: {why}", file.path.display()))?,
        (None, None) => Vec::new(),
    };
    let name = file.path.display().to_string();
    let without = copied(&file)?;
    let asked = Asked::new(&name, &file.source, file.ruleset, without);
    Ok((asked.map_err(|error| error.to_string())?, wanted))
}

/// A second copy of the rules.
pub(super) fn copied(file: &Loaded) -> Result<Ruleset, String> {
    copy(&file.ruleset).map_err(|faults| {
        let fault = faults.first().map_or_else(String::new, |fault| fault.text.clone());
        format!("{}: its rules cannot be read back: {fault}", file.path.display())
    })
}
