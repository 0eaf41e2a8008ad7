//! Verdicts, targets and places in words.

use super::Side;
use super::told::DecidedTold;
use crate::trial::Decided;
use keepstate_ruleset::model::{Policy, builtin_name};
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::targets::Target;
use keepstate_ruleset::verdict::{RejectWith, Verdict};

/// `accept`, `drop`, `reject with tcp-reset`.
pub(crate) fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_string(),
        Verdict::Drop => "drop".to_string(),
        Verdict::Reject(RejectWith::TcpReset) => "reject (TCP reset)".to_string(),
        Verdict::Reject(RejectWith::Icmp(code)) => format!("reject (ICMP 3/{code})"),
        Verdict::Reject(RejectWith::Icmpv6(code)) => format!("reject (ICMPv6 1/{code})"),
        Verdict::Reject(RejectWith::Icmpv6HeaderField(_)) => "reject (ICMPv6 4/0)".to_string(),
        Verdict::Queue(number) => format!("queue {number}"),
        Verdict::Synproxy(_) => "SYNPROXY".to_string(),
    }
}

/// `MARK --set-xmark 0x1/0xffffffff`.
pub(crate) fn target(target: &dyn Target) -> String {
    let mut text = String::from(target.name());
    target.print(&mut text);
    text
}

/// Who decided, in the file of this side.
pub(crate) fn decided(side: &Side, decided: Option<Decided>) -> DecidedTold {
    let ruleset = side.trial.ruleset();
    let found = decided.and_then(|decided| {
        let table = ruleset.table(decided.table)?;
        Some((decided, table, table.chain(decided.at.chain)?))
    });
    let Some((decided, table, chain)) = found else {
        return DecidedTold { place: None, rule: "no table there: ACCEPT".to_string() };
    };
    match chain.rules.get(decided.at.number as usize) {
        Some(rule) => DecidedTold {
            place: side.place(rule.span),
            rule: format!(
                "{}{}",
                of_table(table.name.as_str()),
                print_rule(ruleset.family, table, &chain.name, rule)
            ),
        },
        None => {
            let policy = match chain.policy {
                Some(Policy::Drop) => "DROP",
                Some(Policy::Accept) | None => "ACCEPT",
            };
            let name = chain.hook.map_or(chain.name.as_str(), |hook| builtin_name(hook));
            DecidedTold {
                place: side.place(chain.span),
                rule: format!("{}policy of {name}: {policy}", of_table(table.name.as_str())),
            }
        }
    }
}

/// Which table, where it is not the usual one.
fn of_table(name: &str) -> String {
    if name == "filter" { String::new() } else { format!("(table {name}) ") }
}
