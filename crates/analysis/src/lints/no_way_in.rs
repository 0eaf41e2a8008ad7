//! No new connection can be opened to this host.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::decider::Decider;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::answers_dropped::mirrored;
use crate::lints::{is_ipv6_off, refused_somewhere};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "no-way-in",
    severity: Severity::Note,
    title: "no new connection can be opened to this host",
    page: include_str!("no_way_in.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if is_ipv6_off(linted)? {
        return Ok(());
    }
    let new = linted.in_states(ct::NEW)?.and(&linted.within(Field::Protocol, 6, 6)?)?;
    let outside = linted.outside()?;
    let Some((_, _, base)) = linted.base(TableName::Filter, Way::In.hook()) else { return Ok(()) };
    let let_in = linted.passed(Way::In).and(&new)?.and(&outside)?;
    if !let_in.is_empty() || !refused_somewhere(linted, Way::In)? {
        return Ok(());
    }
    let ssh = new
        .and(&linted.within(Field::DestinationPort, 22, 22)?)?
        .and(&outside)?
        .and(&Way::In.packets(&linted.space)?)?;
    let Some(packet) = linted.plainest(&ssh)? else { return Ok(()) };
    let refuser = linted.refuser(Way::In, &packet)?;
    let by = refuser.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
    let mut help = String::from(
        "where the host is looked after from afar: -I INPUT -p tcp --dport 22 -j ACCEPT, with -s or -i for those who may",
    );
    help.push_str(&ahead_of_filter(refuser.as_ref()));
    // A way in without a way out is none: who is let in gets answers, or does not connect.
    let answer = mirrored(&packet);
    let passed = linted.space.widest(&linted.passed(Way::Out))?;
    if !linted.space.contains(&passed, &linted.space.values(&answer)) {
        help.push_str(
            "; and for the answers: -I OUTPUT -p tcp --sport 22 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        );
        help.push_str(&ahead_of_filter(linted.refuser(Way::Out, &answer)?.as_ref()));
    }
    let over = if linted.is_v4() { "IPv4" } else { "IPv6" };
    found.push(
        Finding::new(
            linted.place_or(TableName::Filter, base, refuser.as_ref()),
            format!("nobody can open a TCP connection to this host over {over}, not even by ssh"),
        )
        .decided_by(refuser.as_ref(), "refuses them")
        .evidence(format!(
            "{} is refused{by}, as is the first packet of every other TCP connection from outside",
            crate::lint::plain::words(&packet)
        ))
        .help(help),
    );
    Ok(())
}

/// Says so where a rule of another table refuses: then none of the table filter lets anything through.
fn ahead_of_filter(refuser: Option<&Decider<'_, '_>>) -> String {
    match refuser.and_then(|one| Some((one.rule?.table.name, one.words()))) {
        Some((table, words)) if table != TableName::Filter => {
            format!("; {words} in table {} has to let them through as well", table.as_str())
        }
        _ => String::new(),
    }
}
