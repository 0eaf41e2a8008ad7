//! Many rules in a row that differ in an address only.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Form, Linted, Ruled};
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "linear-addresses",
    severity: Severity::Note,
    title: "many rules in a row that differ in an address only",
    page: include_str!("linear_addresses.md"),
    run,
};

/// So many are worth a set.
const RUN_MIN: usize = 50;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut at = 0;
    while let Some(first) = linted.rules.get(at) {
        let mut length = 1;
        for side in ["-s", "-d"] {
            let Some((rest, _)) = without(first, side) else { continue };
            let others = linted.rules.iter().skip(at + 1);
            let alike = |rule: &&Ruled<'_>| {
                rule.at.chain == first.at.chain
                    && rule.table.name == first.table.name
                    && without(rule, side).is_some_and(|(other, _)| other == rest)
            };
            length = 1 + others.take_while(alike).count();
            let all = linted.rules.get(at..at + length).unwrap_or(&[]);
            if let (true, Some(last)) = (length >= RUN_MIN, all.last()) {
                let text = format!("{length} rules from here on differ in their address only");
                found.push(
                    Finding::new(first.rule.span, text)
                        .label(last.rule.span, "to here")
                        .evidence(format!(
                            "a packet that fits none of them is compared with all {length}"
                        ))
                        .help(instead(linted, all, (side, &rest), found.len())),
                );
                break;
            }
            length = 1;
        }
        at += length;
    }
    Ok(())
}

/// The first lines of what makes the set, and the rule that asks it.
fn instead(
    linted: &Linted<'_>,
    all: &[Ruled<'_>],
    (side, rest): (&str, &str),
    before: usize,
) -> String {
    let addresses: Vec<String> =
        all.iter().filter_map(|rule| Some(without(rule, side)?.1)).collect();
    let host = if linted.is_v4() { "/32" } else { "/128" };
    let kind = match addresses.iter().all(|address| address.ends_with(host)) {
        true => "hash:ip",
        false => "hash:net",
    };
    let family = if linted.is_v4() { "inet" } else { "inet6" };
    let mut size = String::new();
    if addresses.len() > SET_MAX {
        size = format!(" maxelem {}", addresses.len().next_power_of_two());
    }
    // Sets of both families are of one name space.
    let base = if linted.is_v4() { "addresses" } else { "addresses6" };
    let is_taken = |name: &str| linted.rules.iter().any(|rule| rule.line.contains(name));
    let mut names = (before + 1..).map(|number| match number {
        1 => base.to_string(),
        _ => format!("{base}-{number}"),
    });
    let name = names.find(|name| !is_taken(name)).unwrap_or_default();
    let ends = if side == "-s" { "src" } else { "dst" };
    // The match stands behind the header, as iptables-save has it.
    let parts: Vec<&str> = rest.split(HOLE).collect();
    let rest = parts.join("").replace("  ", " ");
    let at = [" -m ", " -j ", " -g "].iter().filter_map(|word| rest.find(word)).min();
    let (head, tail) = rest.split_at(at.unwrap_or(rest.len()));
    let mut lines = vec![format!(
        "make the set before the rules are loaded, and one rule of all {}:",
        all.len()
    )];
    lines.push(format!("ipset create {name} {kind} family {family}{size}"));
    for address in addresses.iter().take(SHOWN_MAX) {
        lines.push(format!("ipset -exist add {name} {}", address.trim_end_matches(host)));
    }
    lines.push(format!("... and so on with the other {}", addresses.len() - SHOWN_MAX));
    let table = match all.first().map(|rule| rule.table.name) {
        Some(table) if table != TableName::Filter => format!("-t {} ", table.as_str()),
        _ => String::new(),
    };
    let tool = if linted.is_v4() { "iptables" } else { "ip6tables" };
    let tool = match linted.form {
        Form::Save => String::new(),
        Form::Script | Form::Listing => format!("{tool} {table}"),
    };
    lines.push(format!("{tool}{head} -m set --match-set {name} {ends}{tail}"));
    lines.join("\n")
}

/// Elements that a set holds where it is not said how many.
const SET_MAX: usize = 65_536;
/// Addresses that are written out.
const SHOWN_MAX: usize = 2;
/// Where the address stood.
const HOLE: &str = "\0";

/// A rule with a hole where its address is, and the address; `None` where a set cannot hold it, or each rule counts
/// for itself.
fn without(rule: &Ruled<'_>, side: &str) -> Option<(String, String)> {
    let option = rule.words.header(side).filter(|option| !option.not)?;
    let (_, prefix) = option.value().split_once('/')?;
    prefix.parse::<u8>().ok().filter(|length| *length > 0)?;
    rule.words.target.as_ref()?;
    if rule.is_opaque {
        return None;
    }
    let old = option.text();
    let text = rule.words.save();
    Some((text.replacen(&old, HOLE, 1), option.value().to_string()))
}
