//! A rule of INPUT for packets that are translated and never come there.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, decision, refuses};
use keepstate_conntrack::Hook;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "input-bypassed-by-dnat",
    severity: Severity::Warning,
    title: "a rule of INPUT for packets that are translated and never come there",
    page: include_str!("input_bypassed_by_dnat.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let new = linted.in_states(ct::NEW)?;
    let through = linted.passed(Way::Through).and(&new)?;
    let redirected: Vec<_> = linted
        .with_target(&["DNAT"])
        .filter(|rule| rule.table.name == TableName::Nat && !rule.matched.is_empty())
        .collect();
    let mut published = Vec::new();
    for rule in redirected {
        let packets = rule.matched.and(&through)?;
        if !packets.is_empty() {
            published.push((rule, packets));
        }
    }
    for rule in &linted.rules {
        let input = rule.table.name == TableName::Filter
            && !rule.matched.and(&Way::In.packets(&linted.space)?)?.is_empty()
            && rule.matched.and(&Way::Through.packets(&linted.space)?)?.is_empty();
        let named =
            rule.words.options(&["--dport", "--dports"]).next().is_some_and(|option| !option.not);
        if !input || !named || !rule.is_plain || !decision(rule.rule).is_some_and(refuses) {
            continue;
        }
        for (nat, packets) in &published {
            let both = packets.and(&rule.asked)?;
            if both.is_empty() {
                continue;
            }
            let chain = Hook::Forward;
            // Some may come here all the same: by other interfaces, to other addresses.
            let others = rule.matched.and(&new)?.and(&linted.outside()?)?.less(&nat.matched)?;
            let text = match others.is_empty() {
                true => {
                    "this rule does not close the port: what it is for is translated before, and forwarded"
                }
                false => {
                    "this rule does not close the port to everybody: some of what it is for is translated before, and forwarded"
                }
            };
            let mut finding = Finding::new(rule.rule.span, text)
                .label(nat.rule.span, "sends it to another host or container");
            if let Some(packet) = linted.example(&both)? {
                finding = finding.evidence(format!(
                    "{packet} passes PREROUTING and {}, and never comes to INPUT",
                    keepstate_ruleset::model::builtin_name(chain)
                ));
            }
            found.push(finding.help("refuse it in FORWARD (with Docker: in DOCKER-USER), or publish the port on 127.0.0.1 only"));
            break;
        }
    }
    Ok(())
}
