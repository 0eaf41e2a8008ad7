//! Rule files from the disk into the model, with every fault told.

use crate::{exit::Exit, terminal::Terminal};
use keepstate_packet::Family;
use keepstate_ruleset::{
    diagnostic::{Diagnostic, Lines, code},
    labels::LabelNames,
    model::{Jump, Ruleset},
    syntax::{iptables_command::script, iptables_list, iptables_save},
};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Largest rule file that is read, in bytes.
pub(crate) const RULE_FILE_LENGTH_MAX: u64 = 64 << 20;

/// A rule file that was understood.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// As on the command line.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) source: String,
    /// What it says.
    pub(crate) ruleset: Ruleset,
    /// It speaks of chains that stand elsewhere.
    pub(crate) is_part: bool,
}

/// Why a rule file was not taken.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// It cannot be read.
    Unreadable(String),
    /// What is wrong in it.
    Faults {
        /// Each fault as people read it.
        faults: Vec<String>,
        /// What a script leaves behind whose faults are commands that iptables refuses, for a shell goes on
        /// after such a one; empty for anything else.
        left: Vec<Loaded>,
    },
}

/// Reads one file, a listing as `iptables -L` prints it as well as what iptables-save prints. `family`:
/// of what the file is, when the caller knows. What a listing leaves open is told on stderr.
/// Of a script of commands there may be the rules of both families.
pub(crate) fn load(
    path: &Path,
    family: Option<Family>,
    labels: &LabelNames,
    terminal: &Terminal,
) -> Result<Vec<Loaded>, LoadError> {
    let name = path.display().to_string();
    let source = read(path).map_err(|error| LoadError::Unreadable(format!("{name}: {error}")))?;
    if source.starts_with('\u{feff}') {
        let help = format!("help: sed -i '1s/^\\xef\\xbb\\xbf//' {name}");
        let text =
            format!("{name}: begins with a byte order mark, which iptables-restore does not take");
        return Err(LoadError::Unreadable(format!("{text}\n{help}")));
    }
    let source = as_commands(path, &source).unwrap_or(source);
    let told = |faults: Vec<Diagnostic>| -> Vec<String> {
        let lines = Lines::of(&source);
        faults.iter().map(|fault| fault.render_among(&name, &source, &lines)).collect()
    };
    if script::is_script(&source) {
        let Left { rulesets, faults, notes } = of_script(&source, family, labels);
        for note in notes.iter().filter(|_| !terminal.is_quiet()) {
            eprint!("{}", note.render_note(&name, &source));
        }
        let loaded = |ruleset| Loaded {
            path: path.to_owned(),
            source: source.clone(),
            ruleset,
            is_part: false,
        };
        let left = rulesets.into_iter().map(loaded).collect();
        return match faults.is_empty() {
            true => Ok(left),
            false => Err(LoadError::Faults { faults: told(faults), left }),
        };
    }
    let family = family.unwrap_or_else(|| family_of(path, &source));
    let ruleset = if iptables_list::is_listing(&source) {
        iptables_list::parse(&source, family, labels).map(|listing| {
            let notes = listing.notes.iter().filter(|_| !terminal.is_quiet());
            notes.for_each(|note| eprint!("{}", note.render_note(&name, &source)));
            listing.ruleset
        })
    } else {
        iptables_save::parse_with(&source, family, labels)
    };
    let ruleset =
        ruleset.map_err(|faults| LoadError::Faults { faults: told(faults), left: Vec::new() })?;
    Ok(vec![Loaded { path: path.to_owned(), source, ruleset, is_part: false }])
}

/// Reads a file that is a part of a rule set, as `iptables-restore -n` takes it; `None` for anything else. What stands
/// elsewhere is told on stderr.
pub(crate) fn load_part(path: &Path, labels: &LabelNames, terminal: &Terminal) -> Option<Loaded> {
    let source = read(path).ok()?;
    if script::is_script(&source) || iptables_list::is_listing(&source) {
        return None;
    }
    let part = iptables_save::parse_part(&source, family_of(path, &source), labels).ok()?;
    let name = path.display().to_string();
    let notes = part.notes.iter().filter(|_| !terminal.is_quiet());
    notes.for_each(|note| eprint!("{}", note.render_note(&name, &source)));
    Some(Loaded { path: path.to_owned(), source, ruleset: part.ruleset, is_part: true })
}

/// What `iptables -S` prints, as the commands that it says to be; `None` for anything else. Each line stays in its
/// place.
fn as_commands(path: &Path, source: &str) -> Option<String> {
    let is_left = |line: &str| line.trim().is_empty() || line.starts_with('#');
    let is_listed = |line: &str| ["-P ", "-N ", "-A "].iter().any(|head| line.starts_with(head));
    let mut lines = source.lines().filter(|line| !is_left(line)).peekable();
    // A script of such lines does nothing.
    if source.starts_with("#!") || lines.peek().is_none() || !lines.all(is_listed) {
        return None;
    }
    let program = match family_of(path, source) {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    let line = |line: &str| match is_left(line) {
        true => format!("{line}\n"),
        false => format!("{program} {line}\n"),
    };
    Some(source.lines().map(line).collect())
}

/// What a script leaves behind, a rule set for each family that it has commands of; what is wrong with them, and
/// what was taken for granted.
struct Left {
    rulesets: Vec<Ruleset>,
    faults: Vec<Diagnostic>,
    notes: Vec<Diagnostic>,
}

/// Carries out the commands of a script. No rule sets when what they leave cannot be told.
fn of_script(source: &str, family: Option<Family>, labels: &LabelNames) -> Left {
    let script = script::run(source, labels);
    let (mut faults, mut told) = (script.faults, script.told);
    let mut rulesets = Vec::new();
    for (kept, commands) in [script.v4, script.v6].iter().zip(script.commands) {
        let wanted = family.is_none_or(|family| Some(family) == kept.family.packets());
        let only = family.is_some() && family == kept.family.packets();
        if wanted && (commands > 0 || only) {
            match kept.ruleset_of_commands(labels) {
                Ok(ruleset) => rulesets.push(ruleset),
                Err(more) => {
                    told = false;
                    faults.extend(more);
                }
            }
        }
    }
    faults.sort_by_key(|fault| fault.span.start);
    if !told {
        rulesets.clear();
    }
    Left { rulesets, faults, notes: script.notes }
}

/// Reads several files, at most one a family. Whatever is wrong with one of them is wrong usage
/// here: nothing was found out about any packet.
pub(crate) fn load_all<'a>(
    files: impl Iterator<Item = (&'a PathBuf, Option<Family>)>,
    labels: &LabelNames,
    terminal: &Terminal,
) -> Result<Vec<Loaded>, Exit> {
    let mut all: Vec<Loaded> = Vec::new();
    let mut failed = false;
    for (path, family) in files {
        let new = match load(path, family, labels, terminal) {
            Ok(new) => new,
            Err(error) => {
                failed = true;
                match error {
                    LoadError::Unreadable(error) => terminal.error(error),
                    LoadError::Faults { faults, .. } => {
                        faults.iter().for_each(|fault| eprintln!("{fault}"));
                        let count = faults_count(faults.len());
                        terminal.error(format_args!("{}: {count}", path.display()));
                    }
                }
                continue;
            }
        };
        for new in new {
            if let Some(old) = all.iter().find(|old| old.ruleset.family == new.ruleset.family) {
                let (option, name) = match new.ruleset.family {
                    Family::V4 => ("--rules6", "IPv4"),
                    Family::V6 => ("--rules4", "IPv6"),
                };
                terminal.error(format_args!(
                    "{} and {} both look like {name} rules; name one of them with {option}",
                    old.path.display(),
                    new.path.display()
                ));
                return Err(Exit::Usage);
            }
            all.push(new);
        }
    }
    if failed {
        return Err(Exit::Usage);
    }
    Ok(all)
}

/// The first rule that sends copies of packets, in each file, where that is not done: `why`.
pub(crate) fn without_copies(
    loaded: &[Loaded],
    why: &str,
    terminal: &Terminal,
) -> Result<(), Exit> {
    check(loaded, terminal, |file| target_not_run(&file.ruleset, "TEE", why).into_iter().collect())
}

/// The first rule with a target that is read but not run.
fn target_not_run(ruleset: &Ruleset, name: &str, why: &str) -> Option<Diagnostic> {
    let mut rules =
        ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    rules.find_map(|rule| {
        let Jump::Target(target) = &rule.target else { return None };
        if target.name() != name {
            return None;
        }
        let text = format!("{why}: rules with `-j {}` cannot be run", target.name());
        Some(Diagnostic::new(code::TARGET_NOT_RUN, rule.span, text))
    })
}

/// The names of labels that a connlabel.conf gives; none without one.
pub(crate) fn label_names(conf: Option<&Path>, terminal: &Terminal) -> Result<LabelNames, Exit> {
    let Some(path) = conf else { return Ok(LabelNames::default()) };
    let text = read(path).map_err(|error| {
        terminal.error(format_args!("{}: {error}", path.display()));
        Exit::Usage
    })?;
    Ok(LabelNames::parse(&text))
}

/// Tells what is wrong with the rules of each file.
pub(crate) fn check(
    loaded: &[Loaded],
    terminal: &Terminal,
    faults: impl Fn(&Loaded) -> Vec<Diagnostic>,
) -> Result<(), Exit> {
    let mut result = Ok(());
    for file in loaded {
        let (faults, name) = (faults(file), file.path.display().to_string());
        faults.iter().for_each(|fault| eprintln!("{}", fault.render(&name, &file.source)));
        if !faults.is_empty() {
            terminal.error(format_args!("{name}: {}", faults_count(faults.len())));
            result = Err(Exit::Usage);
        }
    }
    result
}

/// `1 error`, `2 errors`.
pub(crate) fn faults_count(count: usize) -> String {
    if count == 1 { "1 error".to_owned() } else { format!("{count} errors") }
}

/// Whose rules a file holds: what its rules can only be, else what its name says, else what its first comment
/// says, else what is usual.
pub(crate) fn family_of(path: &Path, source: &str) -> Family {
    let listing = iptables_list::is_listing(source);
    if listing && iptables_list::family_of(source) == Family::V6 {
        return Family::V6;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let says = |marks: &[&str]| marks.iter().any(|mark| name.contains(mark));
    let by_name = || match (says(&["v6", "ip6", "inet6"]), listing || says(&["v4", "ip4"])) {
        (true, _) => Some(Family::V6),
        (_, true) => Some(Family::V4),
        _ => None,
    };
    let known = iptables_save::family_by_content(source).filter(|_| !listing).or_else(by_name);
    known.unwrap_or_else(|| iptables_save::family_of(source))
}

/// A file's text, or stdin's for `-`.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let count = if path.as_os_str() == "-" {
        io::stdin().take(RULE_FILE_LENGTH_MAX + 1).read_to_end(&mut bytes)?
    } else {
        fs::File::open(path)?.take(RULE_FILE_LENGTH_MAX + 1).read_to_end(&mut bytes)?
    };
    if count as u64 > RULE_FILE_LENGTH_MAX {
        return Err(io::Error::other(format!("longer than {RULE_FILE_LENGTH_MAX} bytes")));
    }
    // Comments of old files are in whatever encoding their author used.
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_outweighs_the_name_and_the_name_a_comment() {
        let family = |name: &str, source: &str| family_of(Path::new(name), source);
        let v6 = "# Generated by ip6tables-save v1.8.11 on Mon\n*filter\nCOMMIT\n";
        let v4 = "# Generated by iptables-save v1.8.11 on Mon\n*filter\nCOMMIT\n";
        assert_eq!(family("rules", v6), Family::V6);
        assert_eq!(family("rules.v4", v6), Family::V4);
        assert_eq!(family("rules.v6", v4), Family::V6);
        let holds = |name: &str, comment: &str, rule: &str| {
            family(name, &format!("{comment}\n-A INPUT {rule} -j ACCEPT\nCOMMIT\n"))
        };
        assert_eq!(holds("rules.v4", v4, "-s fe80::/10"), Family::V6);
        assert_eq!(holds("rules.v6", v6, "-s 192.0.2.0/24"), Family::V4);
        assert_eq!(holds("rules.v6", v4, "-p icmp"), Family::V6);
        assert_eq!(holds("rules", v4, "-p ipv6-icmp -m icmp6 --icmpv6-type 135"), Family::V6);
        // What either tool takes decides nothing.
        assert_eq!(holds("rules.v4", v4, "-p ipv6-icmp"), Family::V4);
        assert_eq!(family("rules.v6", "*filter\nCOMMIT\n"), Family::V6);
        assert_eq!(family("ip6tables", "*filter\nCOMMIT\n"), Family::V6);
        assert_eq!(family("iptables", "*filter\nCOMMIT\n"), Family::V4);
        let head = "Chain INPUT (policy ACCEPT)\ntarget  prot opt source destination\n";
        assert_eq!(family("rules", &format!("{head}ACCEPT all -- ::/0 ::/0\n")), Family::V6);
        assert_eq!(
            family("rules", &format!("{head}ACCEPT all -- anywhere anywhere\n")),
            Family::V4
        );
    }
}
