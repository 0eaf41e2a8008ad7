//! Timeout policies from files (`--timeout-policy FILE`) and from host and run files, and the rules
//! that name them.

use crate::{
    exit::Exit,
    rulesets::{self, Loaded},
    terminal::Terminal,
};
use keepstate_conntrack::{
    Table,
    policy::{Declaration, Refused, Unfit, check, text},
};
use keepstate_packet::Family;
use keepstate_ruleset::{
    diagnostic::{Diagnostic, code, nearest},
    needs::PolicyUse,
};
use std::path::PathBuf;

/// Reads files: commands of nfct(8), or what `nfct list timeout` prints.
pub(crate) fn read(files: &[PathBuf], terminal: &Terminal) -> Result<Vec<Declaration>, Exit> {
    let mut all = Vec::new();
    for path in files {
        let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let declared = read.and_then(|text| text::parse(&text).map_err(|fault| fault.to_string()));
        all.extend(declared.map_err(|error| {
            terminal.error(format_args!("{}: {error}", path.display()));
            Exit::Usage
        })?);
    }
    Ok(all)
}

/// Reads the commands of a list.
pub(crate) fn of_commands(commands: &[String]) -> Result<Vec<Declaration>, String> {
    let mut all = Vec::new();
    for command in commands {
        all.extend(text::parse(command).map_err(|fault| format!("`{command}`: {}", fault.text))?);
    }
    Ok(all)
}

/// Whether every rule that names a policy can have it; each that cannot is told.
pub(crate) fn check_rules(
    declared: &[Declaration],
    loaded: &[Loaded],
    terminal: &Terminal,
) -> Result<(), Exit> {
    rulesets::check(loaded, terminal, |file| {
        let unfit = |used: &PolicyUse| {
            let fits = check(declared, &used.name, file.ruleset.family, used.protocol);
            fits.err().map(|why| fault(declared, used, why))
        };
        file.ruleset.needs().policies.iter().filter_map(unfit).collect()
    })
}

fn fault(declared: &[Declaration], used: &PolicyUse, why: Unfit) -> Diagnostic {
    let name = used.name.as_str();
    let (code, text) = match why {
        Unfit::Unknown => {
            (code::UNKNOWN_NAME, format!("there is no timeout policy called `{name}`"))
        }
        Unfit::Family(family) => {
            let family = if family == Family::V4 { "IPv4" } else { "IPv6" };
            let text = format!("the timeout policy `{name}` is for connections over {family}");
            (code::KERNEL_REFUSES, text)
        }
        Unfit::Protocol(protocol) => {
            let text = format!("the timeout policy `{name}` is for protocol {protocol}");
            (code::KERNEL_REFUSES, text)
        }
    };
    let fault = Diagnostic::new(code, used.span, text);
    let near = nearest(name, declared.iter().map(|known| known.name.as_str()));
    match near.filter(|_| why == Unfit::Unknown) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help("--timeout-policy FILE declares them, as `nfct list timeout` prints"),
    }
}

/// Makes the policies. What one leaves out is as the sysctls are now.
pub(crate) fn add(
    table: &mut Table,
    declared: &[Declaration],
    terminal: &Terminal,
) -> Result<(), Exit> {
    for one in declared {
        table.add_timeout_policy(one).map_err(|refused| {
            let why = match refused {
                Refused::Taken => "is declared twice",
                Refused::Full => "is one too many",
            };
            terminal.error(format_args!("timeout policy `{}` {why}", one.name.as_str()));
            Exit::Usage
        })?;
    }
    Ok(())
}
