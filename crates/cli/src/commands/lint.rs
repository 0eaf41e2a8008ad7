//! `keepstate lint`: rule files looked over. What is found and why is the analysis' business.

use crate::{
    exit::Exit,
    rulesets::{self, LoadError, Loaded},
    terminal::Terminal,
};
use keepstate_analysis::lint::linted::Form;
use keepstate_analysis::lint::{
    Finding, OF_ONE_RULE, Severity, Wanted, fix, hides_interfaces, lint, lint_of,
};
use keepstate_analysis::lints::LINTS;
use keepstate_analysis::render::lint::{self as render, File};
use keepstate_analysis::render::sarif;
use keepstate_ruleset::{diagnostic::nearest, labels::LabelNames, model::Ruleset};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// Arguments of `keepstate lint`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    keepstate lint /etc/iptables/rules.v4 /etc/iptables/rules.v6\n  \
    keepstate lint --severity warning --allow log-without-limit rules.v4\n  \
    keepstate lint --only rule-unreachable --fix rules.v4\n  \
    keepstate explain rule-unreachable")]
pub(crate) struct Arguments {
    /// Rule sets as iptables-save prints them, listings as `iptables -L` does, or scripts of iptables commands;
    /// `-` is stdin. Two files of the two families are looked at as one host's
    #[arg(value_name = "FILE", required_unless_present = "list")]
    files: Vec<PathBuf>,
    /// How to print the findings
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json", "sarif"])]
    format: String,
    /// Pass over findings of this kind (may be repeated)
    #[arg(long, value_name = "CODE", value_parser = code)]
    allow: Vec<String>,
    /// Look for findings of this kind only (may be repeated)
    #[arg(long, value_name = "CODE", value_parser = code)]
    only: Vec<String>,
    /// The least severity: note, warning or error
    #[arg(long, value_name = "SEVERITY", default_value = "note", value_parser = ["note", "warning", "error"])]
    severity: String,
    /// Carry out the fixes, each proven, and write the files
    #[arg(long)]
    fix: bool,
    /// Show what the fixes would change, and write nothing
    #[arg(long, conflicts_with = "fix")]
    diff: bool,
    /// Carry out fixes that change more than they say, too
    #[arg(long)]
    unproven: bool,
    /// How many findings of each kind there are, and nothing else
    #[arg(long)]
    count: bool,
    /// The kinds of findings there are
    #[arg(long)]
    list: bool,
    /// Names of labels (-m connlabel), as in /etc/xtables/connlabel.conf of the machine with the rules
    #[arg(long, value_name = "FILE")]
    connlabel_conf: Option<PathBuf>,
}

/// A kind of finding that there is.
fn code(text: &str) -> Result<String, String> {
    if lint_of(text).is_some() {
        return Ok(text.to_owned());
    }
    let near = nearest(text, LINTS.iter().map(|lint| lint.code));
    let meant = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Err(format!("no finding has this code{meant} (`keepstate lint --list` has all)"))
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    if arguments.list {
        let mut out = io::stdout().lock();
        for lint in LINTS {
            let _ = writeln!(out, "{:24} {:8} {}", lint.code, lint.severity.as_str(), lint.title);
        }
        return Exit::Clean;
    }
    let labels = match rulesets::label_names(arguments.connlabel_conf.as_deref(), terminal) {
        Ok(labels) => labels,
        Err(exit) => return exit,
    };
    let (loaded, mut worst) = load(arguments, &labels, terminal);
    let wanted = Wanted {
        allowed: arguments.allow.clone(),
        only: arguments.only.clone(),
        severity: Severity::ALL
            .into_iter()
            .find(|severity| severity.as_str() == arguments.severity)
            .unwrap_or(Severity::Note),
    };
    if arguments.fix || arguments.diff {
        let exit = mend(arguments, &loaded, &wanted, &labels, terminal);
        return if worst == Exit::Clean { exit } else { worst };
    }
    let mut all: Vec<(String, Vec<Finding>)> = Vec::new();
    for file in &loaded {
        let name = file.path.display().to_string();
        if hides_interfaces(&file.source, Form::of(&file.source)) {
            terminal.note(format_args!(
                "{name}: a listing without interfaces: only what concerns single rules is told (iptables -L -n -v has them)"
            ));
        }
        if file.is_part {
            terminal.note(format_args!(
                "{name}: a part of a rule set: only what concerns single rules is told, and nothing is changed"
            ));
        }
        let wanted = if file.is_part { of_one_rule(&wanted) } else { wanted.clone() };
        match lint(&file.source, &file.ruleset, beside(&loaded, file), &wanted) {
            Ok(mut findings) if file.is_part => {
                // What a fix changes is proven of whole rule sets.
                findings.iter_mut().for_each(|finding| finding.fix = None);
                all.push((name, findings));
            }
            Ok(findings) => all.push((name, findings)),
            Err(exhausted) => {
                terminal.error(format_args!("{name}: {exhausted}"));
                worst = Exit::Usage;
                all.push((name, Vec::new()));
            }
        }
    }
    let files: Vec<File<'_>> = loaded
        .iter()
        .zip(&all)
        .map(|(file, (name, findings))| File { name, source: &file.source, findings })
        .collect();
    print(arguments, &files, terminal);
    let count = all.iter().map(|(_, findings)| findings.len()).sum::<usize>();
    if count > 0 && worst == Exit::Clean { Exit::Findings } else { worst }
}

/// Of the findings that are wanted those that hang on a single rule.
fn of_one_rule(wanted: &Wanted) -> Wanted {
    let is_wanted =
        |code: &&str| wanted.only.is_empty() || wanted.only.iter().any(|one| one == code);
    let only: Vec<String> = OF_ONE_RULE.iter().copied().filter(is_wanted).map(Into::into).collect();
    let allowed = match only.is_empty() {
        true => LINTS.iter().map(|lint| lint.code.to_owned()).collect(),
        false => wanted.allowed.clone(),
    };
    Wanted { allowed, only, severity: wanted.severity }
}

/// The files that can be read, and how it stands with the others.
fn load(arguments: &Arguments, labels: &LabelNames, terminal: &Terminal) -> (Vec<Loaded>, Exit) {
    let mut loaded = Vec::new();
    let mut worst = Exit::Clean;
    for path in &arguments.files {
        match rulesets::load(path, None, labels, terminal) {
            Ok(more) => loaded.extend(more),
            Err(LoadError::Unreadable(error)) => {
                terminal.error(error);
                worst = Exit::Usage;
            }
            // What a script leaves behind that has such faults is not what it is meant to: of that no finding is
            // made.
            Err(LoadError::Faults { faults, .. }) => {
                if path.as_os_str() != "-"
                    && let Some(part) = rulesets::load_part(path, labels, terminal)
                {
                    loaded.push(part);
                    continue;
                }
                faults.iter().for_each(|fault| eprintln!("{fault}"));
                let count = rulesets::faults_count(faults.len());
                let name = path.display();
                terminal.error(format_args!("{name}: {count}: not looked over"));
                worst = Exit::Usage;
            }
        }
    }
    (loaded, worst)
}

/// The only rule set of the other family, where there is one.
fn beside<'a>(loaded: &'a [Loaded], file: &Loaded) -> Option<&'a Ruleset> {
    let of = |other: bool| {
        let family = file.ruleset.family;
        let whole = loaded.iter().filter(|one| !one.is_part);
        whole.filter(move |one| (one.ruleset.family != family) == other)
    };
    match (of(false).count(), of(true).count()) {
        (1, 1) => of(true).next().map(|one| &one.ruleset),
        _ => None,
    }
}

fn print(arguments: &Arguments, files: &[File<'_>], terminal: &Terminal) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in files.iter().flat_map(|file| file.findings) {
        *counts.entry(finding.lint.code).or_default() += 1;
    }
    let count: usize = counts.values().sum();
    let text = match arguments.format.as_str() {
        _ if arguments.count => {
            counts.iter().map(|(code, count)| format!("{count:7} {code}\n")).collect()
        }
        "json" => render::json(files),
        "sarif" => sarif::render(files),
        _ => files.iter().map(|file| render::text(file, &terminal.page())).collect::<String>(),
    };
    // A reader that has seen enough (`| head`) is no fault.
    let _ = io::stdout().write_all(text.as_bytes());
    let (findings, many) = (plural(count, "finding"), plural(files.len(), "rule set"));
    terminal.note(format_args!("{findings} in {many}"));
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// `--fix` and `--diff`.
fn mend(
    arguments: &Arguments,
    loaded: &[Loaded],
    wanted: &Wanted,
    labels: &LabelNames,
    terminal: &Terminal,
) -> Exit {
    let mut worst = Exit::Clean;
    let mut out = io::stdout().lock();
    for file in loaded.iter().filter(|file| !file.is_part) {
        let name = file.path.display().to_string();
        let how = fix::How { family: file.ruleset.family, labels, unproven: arguments.unproven };
        let fixed = match fix::fix(&file.source, beside(loaded, file), wanted, how) {
            Ok(fixed) => fixed,
            Err(exhausted) => {
                terminal.error(format_args!("{name}: {exhausted}"));
                worst = Exit::Usage;
                continue;
            }
        };
        if !fixed.left.is_empty() && worst == Exit::Clean {
            worst = Exit::Findings;
        }
        let told = render::fixed(&name, &fixed, &terminal.page());
        if arguments.diff {
            if fixed.text != file.source {
                let _ =
                    out.write_all(render::difference(&name, &file.source, &fixed.text).as_bytes());
                worst = if worst == Exit::Clean { Exit::Findings } else { worst };
            }
            if !terminal.is_quiet() {
                eprint!("{told}");
            }
            continue;
        }
        let _ = out.write_all(told.as_bytes());
        if fixed.text == file.source {
            continue;
        }
        if file.path.as_os_str() == "-" {
            let _ = out.write_all(fixed.text.as_bytes());
        } else if let Err(error) = fs::write(&file.path, &fixed.text) {
            terminal.error(format_args!("{name}: {error}"));
            worst = Exit::Usage;
        }
    }
    worst
}
