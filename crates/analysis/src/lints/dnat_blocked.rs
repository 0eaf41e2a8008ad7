//! A translation whose packets are all refused further on.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::rule::words::OptionWords;
use crate::witness::destination_of;
use keepstate_ruleset::model::{TableName, builtin_name};
use keepstate_ruleset::verdict::Verdict;

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
        let refusers = linted.refusers(way, &here)?;
        let above = refusers.iter().find_map(|(refuser, _)| refuser.rule);
        let help = help(linted, rule, (way, above))?;
        let mut finding = Finding::new(
            rule.rule.span,
            "what this rule translates is refused afterwards, all of it",
        );
        for (refuser, both) in refusers {
            if finding.evidence.len() > 1 {
                break;
            }
            let packet = linted.example(&both)?.unwrap_or_default();
            finding = finding
                .decided_by(Some(&refuser), "refuses them")
                .evidence(format!("{packet}: refused by {}", refuser.words()));
        }
        found.push(finding.help(help));
    }
    Ok(())
}

/// The rule that is missing, where the new destination is a single one; above the rule that refuses it.
fn help(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    (way, above): (Way, Option<&Ruled<'_>>),
) -> Result<String> {
    let place = builtin_name(way.hook());
    let protocol = rule.words.header("-p").map_or("tcp", |option| option.value());
    let port = |option: Option<&OptionWords>| Some(option?.value().replace('-', ":"));
    let called = port(rule.words.options(&["--dport"]).next());
    if rule.words.target_name() == "REDIRECT" {
        return Ok(match port(rule.words.target_option("--to-ports")).or(called) {
            Some(port) => {
                format!("accept the new port: -A {place} -p {protocol} --dport {port} -j ACCEPT")
            }
            None => format!("accept the new port in {place}"),
        });
    }
    let Some((server, port)) = destination_of(&rule.words) else {
        return Ok(format!("accept the new destination in {place}"));
    };
    let Some(ports) = ports(rule, port) else {
        return Ok(format!("accept the new destination in {place}"));
    };
    // Who else may reach the server is not asked here.
    let names = ["-i", "-s", "-p"];
    let own = rule.words.header.iter().filter(|option| names.contains(&option.name.as_str()));
    let own: String = own.map(|option| format!("{} ", option.text())).collect();
    let state = match accepts_answers(linted, way)? {
        true => "-m conntrack --ctstate NEW ",
        false => "",
    };
    let where_to = match above.filter(|above| above.chain.hook == Some(way.hook())) {
        Some(above) => format!(", above line {}", linted.line(above.rule.span)),
        None => String::new(),
    };
    Ok(format!(
        "accept the new destination{where_to}: -A {place} -d {server} {own}{ports}{state}-j ACCEPT"
    ))
}

/// The ports that a rule asks for as they are once translated, as words; none where that takes more than one rule.
fn ports(rule: &Ruled<'_>, to: Option<u16>) -> Option<String> {
    let target = rule.words.target_option("--to-destination")?.value();
    let to = to.map(|port| match target.rsplit_once(&format!(":{port}-")) {
        // A range, as matches have it.
        Some((_, last)) => format!("{port}:{}", last.split('/').next().unwrap_or(last)),
        None => port.to_string(),
    });
    if let Some(port) = to {
        return Some(format!("--dport {port} "));
    }
    let mut asked = rule.words.options(&["--dport", "--dports", "--ports"]);
    match (asked.next(), asked.next()) {
        (None, _) => Some(String::new()),
        (Some(one), None) if one.name == "--dport" => Some(format!("{} ", one.text())),
        (Some(one), None) if one.name == "--dports" => {
            Some(format!("-m multiport {} ", one.text()))
        }
        _ => None,
    }
}

/// Whether the rules accept what belongs to connections, wherever it comes from.
fn accepts_answers(linted: &Linted<'_>, way: Way) -> Result<bool> {
    let here = way.packets(&linted.space)?;
    for rule in linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter) {
        let accepts =
            decision(rule.rule) == Some(Verdict::Accept) && rule.words.names_state("ESTABLISHED");
        if accepts && !rule.matched.and(&here)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
