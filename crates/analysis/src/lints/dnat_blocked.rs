//! A translation whose packets are all refused further on.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::rule::words::OptionWords;
use crate::witness::destination_of;
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "dnat-blocked",
    severity: Severity::Warning,
    title: "a translation whose packets are all refused further on",
    page: include_str!("dnat_blocked.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.with_target(&["DNAT", "REDIRECT"]) {
        if rule.table.name != TableName::Nat {
            continue;
        }
        // What the new address is says which way they go.
        let inward = match destination_of(&rule.words) {
            Some((to, _)) => linted.is_own(to)?,
            None => rule.words.target_name() == "REDIRECT",
        };
        let way = if inward { Way::In } else { Way::Through };
        let begins = linted.beginning(&rule.matched)?;
        let here = begins.and(&way.packets(&linted.space)?)?;
        // An address that no rule calls the host's own may be one.
        let passed = begins.and(&linted.passed(Way::In).or(&linted.passed(way))?)?;
        if here.is_empty() || !passed.is_empty() {
            continue;
        }
        let mut finding = Finding::new(
            rule.rule.span,
            "what this rule translates is refused afterwards, all of it",
        );
        for (refuser, both) in linted.refusers(way, &here)? {
            if finding.evidence.len() > 1 {
                break;
            }
            let packet = linted.example(&both)?.unwrap_or_default();
            finding = finding
                .decided_by(Some(&refuser), "refuses them")
                .evidence(format!("{packet}: refused by {}", refuser.words()));
        }
        found.push(finding.help(help(rule, inward)));
    }
    Ok(())
}

/// The rule that is missing, where the new destination is a single one.
fn help(rule: &Ruled<'_>, inward: bool) -> String {
    let place = if inward { "INPUT" } else { "FORWARD" };
    let protocol = rule.words.header("-p").map_or("tcp", |option| option.value());
    let port = |option: Option<&OptionWords>| Some(option?.value().replace('-', ":"));
    let called = port(rule.words.options(&["--dport"]).next());
    if rule.words.target_name() == "REDIRECT" {
        return match port(rule.words.target_option("--to-ports")).or(called) {
            Some(port) => {
                format!("accept the new port: -A {place} -p {protocol} --dport {port} -j ACCEPT")
            }
            None => format!("accept the new port in {place}"),
        };
    }
    match destination_of(&rule.words).map(|(to, port)| (to, port.map(|p| p.to_string()).or(called)))
    {
        Some((server, Some(port))) => format!(
            "accept the new destination: -A {place} -d {server} -p {protocol} --dport {port} -j ACCEPT"
        ),
        _ => format!("accept the new destination in {place}"),
    }
}
