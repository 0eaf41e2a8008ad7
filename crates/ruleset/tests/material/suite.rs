//! The cases of iptables' own suite (shared test material) for the matches and targets that are here.
#![allow(dead_code, reason = "each test uses a part of it")]

use keepstate_packet::Family;
use keepstate_ruleset::matches::MATCHES;
use keepstate_ruleset::targets::TARGETS;

/// A line of a file, for one chain and one family.
pub(crate) struct Case {
    pub(crate) place: String,
    pub(crate) family: Family,
    pub(crate) table: String,
    pub(crate) chain: String,
    pub(crate) rule: String,
    pub(crate) saved: String,
    pub(crate) fails: bool,
    /// That is what the legacy tools print; those with nftables print something else.
    pub(crate) legacy_only: bool,
    /// The legacy tools have it in another way.
    pub(crate) legacy_differs: bool,
}

/// Rules that iptables-restore refuses (a word that begins with `-` and holds a `t`), while the
/// iptables command, which the suite calls, takes them.
const COMMAND_ONLY: [&str; 1] = ["-ptcp -s1.2.3.4 -d5.6.7.8/32 -ieth0 -oeth1 -jACCEPT"];

/// Rules that iptables 1.8.9 saves wrongly: with an option lost that inverts the whole range, or its whole
/// match; 1.8.11 and its suite are right.
pub(crate) const MENDED_SINCE: &[&str] = &[
    "-p icmp -m icmp --icmp-type 255/255",
    "-p udp -m udp ! --sport :",
    "-p udp -m udp ! --dport :",
    "-p esp -m esp ! --espspi :",
    "-p ipcomp -m ipcomp ! --ipcompspi :",
    "-m ah ! --ahspi :",
    "-m frag ! --fragid :",
];

fn families(file: &str, all: bool) -> Option<(&str, &'static [Family])> {
    let stem = file.strip_suffix(".t")?;
    let (name, families): (_, &[Family]) = if let Some(name) = stem.strip_prefix("libxt_") {
        (name, &[Family::V4, Family::V6])
    } else if let Some(name) = stem.strip_prefix("libipt_") {
        (name, &[Family::V4])
    } else if let Some(name) = stem.strip_prefix("libip6t_") {
        (name, &[Family::V6])
    } else {
        (stem, &[Family::V4, Family::V6])
    };
    let known = MATCHES.iter().any(|one| one.name == name)
        || TARGETS.iter().any(|one| one.name == name)
        || matches!(name, "standard" | "iptables");
    ((known || all) && !stem.starts_with("libebt") && !stem.starts_with("libarpt"))
        .then_some((name, families))
}

fn cases(file: &str, text: &str, families: &[Family]) -> Vec<Case> {
    let (mut cases, mut chains, mut table) = (Vec::new(), String::from("INPUT"), "filter");
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with(['#', '@', '%']) {
            continue;
        } else if let Some(list) = line.strip_prefix(':') {
            chains = list.into();
        } else if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else {
            let columns: Vec<&str> = line.split(';').collect();
            let [rule, saved, result, ..] = columns.as_slice() else { continue };
            if COMMAND_ONLY.contains(rule) {
                continue;
            }
            // What a further pair of columns says of the legacy tools is not what is printed here.
            let (saved, legacy_only) = match columns.as_slice() {
                [_, _, _, "LEGACY", "NOMATCH"] => (saved, true),
                [_, _, _, "LEGACY", otherwise] => (otherwise, false),
                _ => (saved, false),
            };
            for family in families {
                for chain in chains.split(',') {
                    cases.push(Case {
                        place: format!("{file}:{}", number + 1),
                        family: *family,
                        table: table.into(),
                        chain: chain.into(),
                        rule: (*rule).into(),
                        saved: if *saved == "=" { (*rule).into() } else { (*saved).into() },
                        fails: *result != "OK",
                        legacy_only,
                        legacy_differs: columns.get(3) == Some(&"LEGACY"),
                    });
                }
            }
        }
    }
    cases
}

/// The cases of the matches and targets that are here.
pub(crate) fn all_cases() -> Option<Vec<Case>> {
    cases_of(false)
}

/// Those, or all there are.
pub(crate) fn cases_of(every: bool) -> Option<Vec<Case>> {
    let folder = super::folder("suites/iptables-1.8.11")?;
    let mut files: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().collect();
    files.sort_by_key(|file| file.file_name());
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().into_string().ok()?;
        if let Some((_, families)) = families(&name, every) {
            let text = std::fs::read_to_string(file.path()).ok()?;
            all.extend(cases(&name, &text, families));
        }
    }
    Some(all)
}

impl Case {
    /// A file with its rule alone.
    pub(crate) fn source(&self) -> String {
        format!("*{}\n-A {} {}\nCOMMIT\n", self.table, self.chain, self.rule)
    }
}
