//! No new connection can be opened to this host.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lints::refused_somewhere;
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
    let packet = linted.example(&ssh)?.unwrap_or_default();
    let over = if linted.is_v4() { "IPv4" } else { "IPv6" };
    found.push(
        Finding::new(
            linted.place(TableName::Filter, base),
            format!("nobody can open a TCP connection to this host over {over}, not even by ssh"),
        )
        .evidence(format!("{packet} is refused, as is every other"))
        .help("where the host is looked after from afar: -I INPUT -p tcp --dport 22 -j ACCEPT, with -s or -i for those who may"),
    );
    Ok(())
}
