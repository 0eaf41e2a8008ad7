//! Sets of ipset(8) from files (`--ipset FILE`), and the rules that name them.

use crate::{
    exit::Exit,
    rulesets::{self, Loaded},
    terminal::Terminal,
};
use keepstate_packet::{Family, Instant};
use keepstate_ruleset::{
    diagnostic::{Diagnostic, code, nearest},
    needs::{SetUnfit, SetUse},
    sets::ipset::Sets,
    syntax::{ipset::run, iptables_command::join},
};
use std::path::{Path, PathBuf};

/// What files of `ipset save` hold, all in one text.
pub(crate) fn read(files: &[PathBuf], terminal: &Terminal) -> Result<String, Exit> {
    let mut all = String::new();
    for path in files {
        let text = rulesets::read(path).map_err(|error| {
            terminal.error(format_args!("{}: {error}", path.display()));
            Exit::Usage
        })?;
        // Each by itself first, so that a fault has its file and line.
        load(path, &text, &mut Sets::default()).map_err(|fault| {
            terminal.error(fault);
            Exit::Usage
        })?;
        all.push_str(&text);
        all.push('\n');
    }
    Ok(all)
}

/// Puts a file into sets.
pub(crate) fn load(path: &Path, text: &str, sets: &mut Sets) -> Result<(), String> {
    run::load(sets, text, Instant::default(), false)
        .map_err(|fault| format!("{}:{}: {}", path.display(), fault.line, fault.text))
}

/// The sets of a text that was read; their time begins with the first packet.
pub(crate) fn of_text(text: &str, seed: u64, terminal: &Terminal) -> Result<Sets, Exit> {
    let mut sets = Sets::waiting(seed);
    run::load(&mut sets, text, Instant::default(), false).map_err(|fault| {
        terminal.error(format_args!("--ipset: {}", fault.text));
        Exit::Usage
    })?;
    Ok(sets)
}

/// Whether every rule that names a set can have it; each that cannot is told.
pub(crate) fn check_rules(sets: &Sets, loaded: &[Loaded], terminal: &Terminal) -> Result<(), Exit> {
    rulesets::check(loaded, terminal, |file| {
        let unfit = |used: &SetUse| used.check(sets).err().map(|why| fault(sets, used, why));
        file.ruleset.needs().sets.iter().filter_map(unfit).collect()
    })
}

/// Has each set that rules name and no file gives be there without elements, and says so: `instead` is what is said
/// of it.
pub(crate) fn add_missing(
    sets: &mut Sets,
    loaded: &[Loaded],
    instead: &str,
    terminal: &Terminal,
) -> Result<(), Exit> {
    for file in loaded {
        let name = file.path.display().to_string();
        for used in &file.ruleset.needs().sets {
            if !matches!(used.check(sets), Err(SetUnfit::Missing)) {
                continue;
            }
            let family = if used.family == Family::V4 { "inet" } else { "inet6" };
            let create =
                format!("create {} hash:net family {family}", join(&[used.name.to_string()]));
            run::load(sets, &create, Instant::default(), false).map_err(|fault| {
                terminal.error(format_args!("{name}: {}", fault.text));
                Exit::Usage
            })?;
            if !terminal.is_quiet() {
                let text = format!("set {} is not given (--ipset FILE): {instead}", used.name);
                let note = Diagnostic::new(code::UNKNOWN_NAME, used.span, text);
                eprint!("{}", note.render_note(&name, &file.source));
            }
        }
    }
    Ok(())
}

fn fault(sets: &Sets, used: &SetUse, why: SetUnfit) -> Diagnostic {
    let name = &used.name;
    match why {
        SetUnfit::Missing => {
            let text = format!("Set {name} doesn't exist.");
            let fault = Diagnostic::new(code::UNKNOWN_NAME, used.span, text);
            match nearest(name, sets.iter().map(|set| set.name.as_str())) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help("--ipset FILE gives the sets, as `ipset save` prints them"),
            }
        }
        SetUnfit::Family(family) => {
            let family = if family == Family::V4 { "IPv4" } else { "IPv6" };
            let text =
                format!("The protocol family of set {name} is {family}, which is not applicable.");
            Diagnostic::new(code::KERNEL_REFUSES, used.span, text)
        }
    }
}
