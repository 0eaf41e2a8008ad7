//! Rules in a row that differ in a port only.

use crate::algebra::space::Result;
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Form, Linted, Ruled, decision};
use keepstate_ruleset::packet_set::{Field, PacketSet};

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "mergeable-ports",
    severity: Severity::Note,
    title: "rules in a row that differ in a port only",
    page: include_str!("mergeable_ports.md"),
    run,
};

/// As many are worth a word.
const RUN_MIN: usize = 4;
/// Ports that one multiport holds; a range counts as two.
const PORTS_MAX: usize = 15;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let mut at = 0;
    while let Some(first) = linted.rules.get(at) {
        let Some((rest, port)) = without_port(linted, first) else {
            at += 1;
            continue;
        };
        let mut ports = vec![port];
        let room = |ports: &[String]| {
            ports.iter().map(|p| 1 + usize::from(p.contains(':'))).sum::<usize>()
        };
        while let Some(next) = linted.rules.get(at + ports.len()) {
            let same = next.at.chain == first.at.chain && next.table.name == first.table.name;
            match without_port(linted, next).filter(|(other, _)| same && *other == rest) {
                Some((_, port))
                    if room(&ports) + 1 + usize::from(port.contains(':')) <= PORTS_MAX =>
                {
                    ports.push(port)
                }
                _ => break,
            }
        }
        let all = linted.rules.get(at..at + ports.len()).unwrap_or(&[]);
        if let (true, [first, .., last]) = (ports.len() >= RUN_MIN, all) {
            let merged = rest.replace(HOLE, &format!("-m multiport --dports {}", ports.join(",")));
            let text = format!("{} rules from here on differ in their port only", ports.len());
            found.push(
                Finding::new(first.rule.span, text)
                    .label(last.rule.span, "to here")
                    .evidence(format!("one rule does the same: {merged}"))
                    .fix(fix(linted, all, merged)),
            );
        }
        at += ports.len();
    }
    Ok(())
}

/// iptables-nft compares the bytes behind the header of a later fragment with the port of one rule, and multiport never.
/// Where connections are tracked none comes.
fn later(linted: &Linted<'_>) -> Expected {
    match linted.ruleset.needs().tracking {
        true => Expected::Nothing,
        false => Expected::Only(
            PacketSet::within(Field::LaterFragment, 1, 1, false),
            "fragments behind the first: they have no ports, but single rules read some out of their data",
        ),
    }
}

/// Where the port stood.
const HOLE: &str = "\0";

/// A rule with a hole where its port is; `None` where it asks for more than one, or not only for that.
fn without_port(linted: &Linted<'_>, rule: &Ruled<'_>) -> Option<(String, String)> {
    decision(rule.rule)?;
    if rule.is_opaque
        || rule.matched.is_empty()
        || !linted.is_editable(rule)
        || linted.form != Form::Save
    {
        return None;
    }
    let mut words = rule.words.clone();
    let at = words.matches.iter().position(|m| matches!(m.name.as_str(), "tcp" | "udp"))?;
    let own = words.matches.get_mut(at)?;
    let [option] = own.options.as_slice() else { return None };
    if option.not || option.name != "--dport" || option.value().is_empty() {
        return None;
    }
    let port = option.value().to_string();
    let text = words.save();
    let old = format!("-m {} --dport {port}", words.matches.get(at)?.name);
    Some((text.replacen(&old, HOLE, 1), port))
}

fn fix(linted: &Linted<'_>, rules: &[Ruled<'_>], merged: String) -> Option<Fix> {
    let mut edits = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let span = rule.rule.span;
        let text = linted.text(span);
        // Counters of several rules are those of none.
        let counters = if text.starts_with('[') { "[0:0] " } else { "" };
        edits.push(match number {
            0 => Edit { span, text: format!("{counters}{merged}") },
            _ => Edit { span: linted.whole_line(span), text: String::new() },
        });
    }
    Some(Fix { text: "make them one rule".into(), edits, expected: later(linted) })
}
