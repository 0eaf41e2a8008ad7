//! MASQUERADE of everything that leaves, by any interface.

use crate::algebra::Way;
use crate::algebra::space::{Group, Interface, Packets, Result};
use crate::lint::around::private;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lint::plain::words;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "masquerade-anywhere",
    severity: Severity::Warning,
    title: "MASQUERADE of everything that leaves, by any interface",
    page: include_str!("masquerade_anywhere.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for rule in linted.with_target(&["MASQUERADE"]) {
        let bounded = rule.words.header.iter().any(|option| option.name != "-p");
        let asks = rule.words.matches.iter().any(|one| one.name != "comment");
        let built_in = rule.chain.hook.is_some() && rule.table.name == TableName::Nat;
        if bounded || asks || !built_in || rule.matched.is_empty() {
            continue;
        }
        // Rules above it may take out what goes inwards.
        if !linted.entering(rule).less(&rule.reached)?.is_empty() {
            continue;
        }
        // Where nothing is forwarded, nothing goes inwards.
        let forwarded = rule
            .matched
            .and(&linted.passed(Way::Through))?
            .and(&linted.in_states(ct::NEW)?)?
            .and(&linted.crossing()?)?;
        let Some(packet) = linted.plainest(&rather_inwards(linted, &forwarded)?)? else { continue };
        let inner = packet.out_interface.as_deref().unwrap_or_default();
        let client = packet.source.written(packet.family);
        let finding = Finding::new(
            rule.rule.span,
            "this masquerades what goes inwards as well as what goes out",
        )
        .evidence(format!(
            "for instance {}: where {inner} leads inwards, the host there sees an address of this host in place of {client}",
            words(&packet)
        ));
        found.push(
            finding
                .help("-o and the outer interface, so that only what leaves by it is masqueraded"),
        );
    }
    Ok(())
}

/// Those of these packets that go from outside to hosts inside by interfaces that rules name, as far as that can be
/// told.
fn rather_inwards(linted: &Linted<'_>, packets: &Packets) -> Result<Packets> {
    let space = &linted.space;
    let numbers = (0_u128..).zip(space.interfaces());
    let named: Vec<_> = numbers
        .filter(|(_, one)| matches!(one, Interface::Named(name) if name != "lo"))
        .map(|(number, _)| (number, number))
        .collect();
    let [by_named, to_named] =
        [space.all_of(Group::In, &named)?, space.all_of(Group::Out, &named)?];
    let private = private(linted.ruleset.family);
    let inner = |field| space.all_of(Group::Field(field), &private);
    let mut set = packets.clone();
    // Where a single one is named, the other is one that is not.
    for liked in [
        to_named,
        linted.outer(Group::Out)?.others()?,
        linted.outer(Group::In)?,
        by_named,
        inner(Field::Destination)?,
        inner(Field::Source)?.others()?,
    ] {
        let both = set.and(&liked)?;
        if !both.is_empty() {
            set = both;
        }
    }
    Ok(set)
}
