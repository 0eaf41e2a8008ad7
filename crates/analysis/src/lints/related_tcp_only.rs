//! RELATED with -p tcp, and no helper that announces TCP connections.

use crate::algebra::Way;
use crate::algebra::space::{Group, Packets, Result};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lints::and;
use crate::prose::helpers;
use keepstate_packet::tcp::{self, RST};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{TableName, builtin_name};
use keepstate_ruleset::packet_set::{Field, PacketSet};
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
        if name == "tcp" && rule.matched.is_within(&resets(linted)?)? {
            found.push(of_resets(linted, rule, is_alone)?);
            continue;
        }
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

/// Segments with RST: none of them is the first of a connection.
fn resets(linted: &Linted<'_>) -> Result<Packets> {
    let with: Vec<(u128, u128)> = (0..=u128::from(u8::MAX))
        .filter(|flags| flags & u128::from(RST) != 0)
        .map(|flags| (flags, flags))
        .collect();
    let tcp = u128::from(tcp::PROTOCOL);
    let flags = linted.space.all_of(Group::Field(Field::TcpFlags), &with)?;
    flags.and(&linted.within(Field::Protocol, tcp, tcp)?)
}

/// A rule for the resets that REJECT makes, where those never pass.
fn of_resets(linted: &Linted<'_>, rule: &Ruled<'_>, is_alone: bool) -> Result<Finding> {
    let mut places = Vec::new();
    for way in [Way::In, Way::Through] {
        if !rule.matched.and(&way.packets(&linted.space)?)?.is_empty() {
            places.push(builtin_name(way.hook()));
        }
    }
    let places = and(&places);
    let finding = Finding::new(
        rule.rule.span,
        format!("RELATED lets nothing in here: no segment with RST is RELATED in {places}, for no helper is assigned that announces tcp connections"),
    )
    .evidence(format!(
        "the resets that `-j REJECT --reject-with tcp-reset` makes are RELATED as well: they leave by OUTPUT, and never come to {places}"
    ));
    if !is_alone {
        return Ok(finding.help("leave RELATED out"));
    }
    let expected = Expected::Only(PacketSet::of_header(&rule.rule.header), "no packet there is");
    Ok(match linted.removal(rule, expected) {
        Some(fix) => finding.fix(Some(fix)),
        None => finding.help("take the rule out"),
    })
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
