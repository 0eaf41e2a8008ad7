//! RELATED with -p tcp, and no helper that announces TCP connections.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::prose::helpers;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "related-tcp-only",
    severity: Severity::Note,
    title: "RELATED with -p tcp, and no helper that announces TCP connections",
    page: include_str!("related_tcp_only.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in &linted.rules {
        let states =
            rule.words.options(&["--state", "--ctstate"]).next().filter(|option| !option.not);
        let related =
            states.is_some_and(|option| option.value().split(',').any(|one| one == "RELATED"));
        let name = match rule.words.protocol() {
            Some(6) => "tcp",
            Some(17) => "udp",
            _ => continue,
        };
        let accepts =
            decision(rule.rule) == Some(Verdict::Accept) && rule.table.name == TableName::Filter;
        // Of what leaves, resets that REJECT makes are RELATED.
        let leaves = rule.matched.and(&Way::Out.packets(&linted.space)?)?;
        if !related
            || !accepts
            || !leaves.is_empty()
            || rule.matched.is_empty()
            || rule.words.has_match("helper")
        {
            continue;
        }
        let assigned = assigned(linted);
        if assigned
            .iter()
            .any(|helper| helpers::named(helper).is_none_or(|known| known.expects.contains(&name)))
        {
            continue;
        }
        let is_alone = states.is_some_and(|option| option.value() == "RELATED");
        let assign = "; or assign the helper that it was meant for (-j CT --helper), as kernels before 6.0 could by themselves";
        let help = match errors_pass(linted, rule)? {
            // Without its state the rule would accept everything.
            true if is_alone => {
                format!("take the rule out: the errors that are RELATED pass without it{assign}")
            }
            true => {
                format!("leave RELATED out: the errors that are RELATED pass without it{assign}")
            }
            false => format!(
                "for the errors: -p {} -m conntrack --ctstate RELATED -j ACCEPT",
                if linted.is_v4() { "icmp" } else { "ipv6-icmp" }
            ),
        };
        found.push(
            Finding::new(rule.rule.span, format!("RELATED lets nothing in here: no helper is assigned that announces {name} connections"))
                .evidence(format!("RELATED are ICMP errors, which are no {name}, and connections that helpers announce; the file assigns no such helper (-j CT --helper)"))
                .help(help),
        );
    }
    Ok(())
}

/// Whether ICMP errors that tell the path MTU pass where a rule stands.
fn errors_pass(linted: &Linted<'_>, rule: &Ruled<'_>) -> Result<bool> {
    let (protocol, kind) = if linted.is_v4() { (1, 0x0304) } else { (58, 0x0200) };
    let errors = linted
        .within(Field::Protocol, protocol, protocol)?
        .and(&linted.within(Field::Icmp, kind, kind)?)?
        .and(&linted.in_states(ct::RELATED)?)?;
    for way in Way::ALL {
        let here = !rule.matched.and(&way.packets(&linted.space)?)?.is_empty();
        if here && linted.passed(way).and(&errors)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The helpers that rules assign.
pub(super) fn assigned(linted: &Linted<'_>) -> Vec<String> {
    let all = linted.with_target(&["CT"]);
    all.filter_map(|rule| Some(rule.words.target_option("--helper")?.value().to_string())).collect()
}
