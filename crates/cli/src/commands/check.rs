//! `keepstate check`: rule files, read and judged; nothing is run.

use crate::{
    beside,
    exit::Exit,
    rulesets::{self, LoadError},
    sets,
    terminal::Terminal,
};
use keepstate_ruleset::{
    needs::EstimatorsMade,
    sets::ipset::Sets,
    syntax::{frames, ipset::run::is_save_file},
};
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// Arguments of `keepstate check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rule sets as iptables-save, ip6tables-save, ebtables-save and arptables-save print them, listings as `iptables -L` does, or
    /// scripts of iptables commands; `-` is stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Names of labels (-m connlabel), as in /etc/xtables/connlabel.conf of the machine with the rules
    #[arg(long, value_name = "FILE")]
    connlabel_conf: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    let labels = match rulesets::label_names(arguments.connlabel_conf.as_deref(), terminal) {
        Ok(labels) => labels,
        Err(exit) => return exit,
    };
    let mut worst = Exit::Clean;
    let mut out = io::stdout().lock();
    for path in &arguments.files {
        if let Some(fault) = set_file(path) {
            if let Err(fault) = fault {
                let _ = writeln!(out, "{fault}");
                worst = if worst == Exit::Clean { Exit::Findings } else { worst };
            }
            continue;
        }
        if let Some(faults) = frame_file(path) {
            if !faults.is_empty() {
                let _ = faults.iter().try_for_each(|fault| writeln!(out, "{fault}"));
                let count = rulesets::faults_count(faults.len());
                terminal.note(format_args!("{}: {count}", path.display()));
                worst = if worst == Exit::Clean { Exit::Findings } else { worst };
            }
            continue;
        }
        match rulesets::load(path, None, &labels, terminal) {
            Ok(loaded) => {
                let mut made = EstimatorsMade::default();
                for file in &loaded {
                    let name = path.display().to_string();
                    for fault in beside::estimator_faults(file, &mut made) {
                        let _ = writeln!(out, "{}", fault.render(&name, &file.source));
                        worst = if worst == Exit::Clean { Exit::Findings } else { worst };
                    }
                }
            }
            // A file that cannot be read weighs more than one that can and is wrong.
            Err(LoadError::Unreadable(error)) => {
                terminal.error(error);
                worst = Exit::Usage;
            }
            Err(LoadError::Faults { faults, .. }) => {
                // Whoever closes our output has seen enough; the exit status tells the rest.
                let _ = faults.iter().try_for_each(|fault| writeln!(out, "{fault}"));
                let count = rulesets::faults_count(faults.len());
                terminal.note(format_args!("{}: {count}", path.display()));
                if worst == Exit::Clean {
                    worst = Exit::Findings;
                }
            }
        }
    }
    worst
}

/// What is wrong with a file of ebtables-save or arptables-save; `None` for a file that is none.
fn frame_file(path: &std::path::Path) -> Option<Vec<String>> {
    if path.as_os_str() == "-" {
        return None;
    }
    let text = rulesets::read(path).ok()?;
    let family = frames::family_of(&text)?;
    let name = path.display().to_string();
    let faults = frames::parse(&text, family).err().unwrap_or_default();
    Some(faults.iter().map(|fault| fault.render(&name, &text)).collect())
}

/// What is wrong with a file of `ipset save`; `None` for a file that is none.
fn set_file(path: &std::path::Path) -> Option<Result<(), String>> {
    if path.as_os_str() == "-" {
        return None;
    }
    let text = rulesets::read(path).ok().filter(|text| is_save_file(text))?;
    Some(sets::load(path, &text, &mut Sets::default()))
}
