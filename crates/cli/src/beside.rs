//! Accounting objects of nfacct(8) and fingerprints of systems from files (`--nfacct FILE`, `--osf FILE`), rate
//! estimators, and the rules that name them.

use crate::{
    exit::Exit,
    rulesets::{self, Loaded},
    terminal::Terminal,
};
use keepstate_ruleset::{
    diagnostic::{Diagnostic, code, nearest},
    matches::{nfacct::Accounts, osf::Fingerprints},
    needs::{AccountUse, EstimatorUnfit, EstimatorUse, EstimatorsMade},
    syntax::{iptables_command::script, nfacct},
};
use std::path::PathBuf;

/// The accounting objects of all files together.
pub(crate) fn accounts(files: &[PathBuf], terminal: &Terminal) -> Result<Accounts, Exit> {
    let mut accounts = Accounts::default();
    for path in files {
        let text = rulesets::read(path).map_err(|error| {
            terminal.error(format_args!("{}: {error}", path.display()));
            Exit::Usage
        })?;
        nfacct::load(&mut accounts, &text).map_err(|fault| {
            terminal.error(format_args!("{}:{}: {}", path.display(), fault.line, fault.text));
            Exit::Usage
        })?;
    }
    Ok(accounts)
}

/// What all files such as pf.os hold, one after the other, and the fingerprints in it.
pub(crate) fn fingerprints(
    files: &[PathBuf],
    terminal: &Terminal,
) -> Result<(String, Fingerprints), Exit> {
    let (mut all, mut fingerprints) = (String::new(), Fingerprints::default());
    for path in files {
        let text = rulesets::read(path).map_err(|error| {
            terminal.error(format_args!("{}: {error}", path.display()));
            Exit::Usage
        })?;
        fingerprints.load(&text).map_err(|fault| {
            terminal.error(format_args!("{}:{}: {}", path.display(), fault.line, fault.text));
            Exit::Usage
        })?;
        all.push_str(&text);
        all.push('\n');
    }
    Ok((all, fingerprints))
}

/// Whether every rule has the accounting objects and rate estimators that it names; each that has not is
/// told.
pub(crate) fn check_rules(
    accounts: &Accounts,
    loaded: &[Loaded],
    terminal: &Terminal,
) -> Result<(), Exit> {
    rulesets::check(loaded, terminal, |file| {
        let missing = |used: &AccountUse| {
            let there = accounts.named(&used.name).is_some();
            (!there).then(|| account_fault(accounts, used))
        };
        file.ruleset.needs().accounts.iter().filter_map(missing).collect()
    })?;
    let mut before = EstimatorsMade::default();
    let faults: Vec<_> = loaded.iter().map(|file| estimator_faults(file, &mut before)).collect();
    let of = |file: &Loaded| loaded.iter().position(|other| std::ptr::eq(other, file));
    rulesets::check(loaded, terminal, |file| {
        of(file).and_then(|at| faults.get(at)).cloned().unwrap_or_default()
    })
}

fn account_fault(accounts: &Accounts, used: &AccountUse) -> Diagnostic {
    let text = format!("there is no accounting object `{}`", used.name);
    let fault = Diagnostic::new(code::UNKNOWN_NAME, used.span, text);
    match nearest(&used.name, accounts.iter().map(|(name, _)| name)) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help("--nfacct FILE gives the objects, as `nfacct list` prints them"),
    }
}

/// The rules of a file that ask a rate estimator which no rule before them makes, or make one otherwise.
pub(crate) fn estimator_faults(file: &Loaded, before: &mut EstimatorsMade) -> Vec<Diagnostic> {
    let used = file.ruleset.needs().estimators;
    // Commands put rules where they like: what counts is that one makes it.
    if script::is_script(&file.source) {
        used.iter().for_each(|used| before.know(used));
        return Vec::new();
    }
    let wrong = used.iter().filter_map(|used| Some((used, before.take(used).err()?)));
    wrong.map(|(used, why)| estimator_fault(used, why)).collect()
}

fn estimator_fault(used: &EstimatorUse, why: EstimatorUnfit) -> Diagnostic {
    let name = &used.name;
    let fault = |text| Diagnostic::new(code::KERNEL_REFUSES, used.span, text);
    match why {
        EstimatorUnfit::Missing => {
            let text = format!("no rule before this one makes the rate estimator `{name}`");
            let help = format!(
                "-j RATEEST --rateest-name {name} --rateest-interval 250ms --rateest-ewmalog 500ms"
            );
            fault(text).help(help)
        }
        EstimatorUnfit::Otherwise => {
            fault(format!("the rate estimator `{name}` measures with other times already"))
        }
    }
}
