//! A match without parameters: it asks for everything, or for a default.

use crate::algebra::chain::RuleAt;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "parameters-missing",
    severity: Severity::Note,
    title: "a match without parameters, which asks for everything or for a default",
    page: include_str!("parameters_missing.md"),
    run,
};

/// Matches that ask for nothing when they are given nothing, and what they could ask for.
const ASKS_NOTHING: [(&str, &str); 8] = [
    ("tcp", "a port (--dport), or flags"),
    ("udp", "a port (--dport)"),
    ("udplite", "a port (--dport)"),
    ("sctp", "a port (--dport)"),
    ("dccp", "a port (--dport)"),
    ("icmp", "a type (--icmp-type)"),
    ("icmp6", "a type (--icmpv6-type)"),
    ("time", "a time of day"),
];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.rules.iter().filter(|rule| rule.words.target.is_some()) {
        for (name, option, default) in DEFAULTS {
            if written(linted, rule, name).is_some_and(|rest| !rest.contains(option)) {
                found.push(
                    Finding::new(
                        rule.rule.span,
                        format!("`-m {name}` without {option}: {default}"),
                    )
                    .evidence(format!("the rule as it is loaded: {}", rule.words.save()))
                    .help(format!("write what is meant with {option}")),
                );
            }
        }
        for (name, what) in ASKS_NOTHING {
            let empty =
                rule.words.matches.iter().any(|one| one.name == name && one.options.is_empty());
            // Another match of the rule says what is asked for.
            let beside = |other: &str| {
                other == name
                    || ["comment", "state", "conntrack", "limit", "hashlimit"].contains(&other)
            };
            let says = rule.words.matches.iter().any(|one| !beside(&one.name))
                || rule.words.options(&["--ctorigdstport", "--ctorigsrcport"]).next().is_some()
                || rule.words.options(&["--ctrepldstport", "--ctreplsrcport"]).next().is_some();
            if !empty || says || written(linted, rule, name).is_none() || is_paired(linted, rule) {
                continue;
            }
            let mut finding = Finding::new(
                rule.rule.span,
                format!("`-m {name}` asks for nothing here: {what} may have been lost"),
            );
            finding = match linted.example(&rule.matched)? {
                Some(packet) => {
                    finding.evidence(format!(
                        "every {name} packet that fits the rest of the rule fits this, for instance {packet}"
                    ))
                }
                None => finding.evidence("with it and without it the rule asks for the same"),
            };
            found.push(
                finding.help(format!("write {what}; if all is meant, leave `-m {name}` out")),
            );
        }
    }
    Ok(())
}

/// Whether the rule before or behind it is the same for another protocol, and asks for no port either: all are meant.
fn is_paired(linted: &Linted<'_>, rule: &Ruled<'_>) -> bool {
    let beside = [rule.at.number.checked_sub(1), rule.at.number.checked_add(1)];
    let mut rules = beside
        .into_iter()
        .flatten()
        .filter_map(|number| linted.rule(rule.table.name, RuleAt { number, ..rule.at }));
    let ports = ["--dport", "--dports", "--sport", "--sports", "--ports"];
    rules.any(|other| {
        let value = |rule: &Ruled<'_>, name: &str| {
            rule.words.header(name).map(|option| (option.not, option.value().to_string()))
        };
        let same = |name: &&str| value(rule, name) == value(other, name);
        ["-s", "-d", "-i", "-o"].iter().all(same)
            && other.words.header("-p").is_some()
            && !same(&"-p")
            && decision(rule.rule) == decision(other.rule)
            && other.words.options(&ports).next().is_none()
    })
}

/// Matches with a parameter that has a default which few mean.
const DEFAULTS: [(&str, &str, &str); 1] = [("limit", "--limit", "it is 3 an hour")];

/// What a rule says behind `-m NAME`; none where it does not say that.
fn written<'s>(linted: &'s Linted<'_>, rule: &Ruled<'_>, name: &str) -> Option<&'s str> {
    let text = linted.text(rule.rule.span);
    let mut at = 0;
    loop {
        let found = at + text.get(at..)?.find("-m ")?;
        let rest = text.get(found + 3..)?.trim_start();
        if let Some(behind) = rest.strip_prefix(name)
            && (behind.is_empty() || behind.starts_with(char::is_whitespace))
        {
            return Some(behind);
        }
        at = found + 3;
    }
}
