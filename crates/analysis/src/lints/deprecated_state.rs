//! `-m state`, the old name of `-m conntrack --ctstate`.

use crate::algebra::space::Result;
use crate::lint::finding::{Edit, Expected, Finding, Fix, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::lint::proof::by_new_names;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::PacketSet;
use keepstate_ruleset::syntax::iptables_save;
use std::collections::BTreeMap;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "deprecated-state",
    severity: Severity::Note,
    title: "`-m state`, the old name of `-m conntrack --ctstate`",
    page: include_str!("deprecated_state.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let all: Vec<_> = linted.rules.iter().filter(|rule| rule.words.has_match("state")).collect();
    let Some(first) = all.first() else { return Ok(()) };
    if !are_alike(linted, &all) {
        return Ok(());
    }
    let mut edits = Vec::new();
    for rule in &all {
        for (old, new) in [("-m state", "-m conntrack"), ("--state", "--ctstate")] {
            let fix = linted.rewrite(rule, old, new, Expected::Nothing);
            edits.extend(fix.map(|fix| fix.edits).unwrap_or_default());
        }
    }
    edits.sort_by_key(|edit: &Edit| edit.span.start);
    let fix =
        Fix { text: "write `-m conntrack --ctstate`".into(), edits, expected: Expected::Nothing };
    let rules = if all.len() == 1 {
        "rule uses".into()
    } else {
        format!("rules use, {} of them,", all.len())
    };
    found.push(
        Finding::new(
            first.rule.span,
            format!("this {rules} `-m state`, which is an alias of `-m conntrack --ctstate`")
                .replace("this rules", "these rules"),
        )
        .evidence("both ask for the same states: the packet sets are equal")
        .fix(Some(fix).filter(|fix| !fix.edits.is_empty())),
    );
    Ok(())
}

/// Whether the rules ask for the same by the other name: they are read again as they would be written.
fn are_alike(linted: &Linted<'_>, all: &[&Ruled<'_>]) -> bool {
    let mut source = String::new();
    for table in &linted.ruleset.tables {
        source.push_str(&format!("*{}\n", table.name.as_str()));
        for chain in table.chains.iter().filter(|chain| chain.hook.is_none()) {
            source.push_str(&format!(":{} - [0:0]\n", chain.name));
        }
        for rule in all.iter().filter(|rule| rule.table.name == table.name) {
            source.push_str(&format!("{}\n", by_new_names(&rule.line)));
        }
        source.push_str("COMMIT\n");
    }
    let Ok(read) = iptables_save::parse(&source, linted.ruleset.family) else { return false };
    let asks = |table: TableName, chain: &str| {
        let table = read.table(table)?;
        Some(&table.chain(table.chain_named(chain)?)?.rules)
    };
    let mut numbers: BTreeMap<(TableName, &str), usize> = BTreeMap::new();
    all.iter().all(|rule| {
        let number = numbers.entry((rule.table.name, &rule.chain.name)).or_default();
        let new = asks(rule.table.name, &rule.chain.name).and_then(|rules| rules.get(*number));
        *number += 1;
        new.is_some_and(|new| PacketSet::of_rule(new) == PacketSet::of_rule(rule.rule))
    })
}
