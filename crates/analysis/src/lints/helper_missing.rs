//! A service is opened that needs a helper, and none is assigned.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lint::linted::decision;
use crate::lints::{refused_somewhere, related_tcp_only::assigned};
use crate::prose::helpers;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "helper-missing",
    severity: Severity::Warning,
    title: "a service is opened that needs a helper, and none is assigned",
    page: include_str!("helper_missing.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let assigned = assigned(linted);
    for (name, number, protocol) in [("ftp", 6_u128, "tcp"), ("tftp", 17, "udp")] {
        let has = assigned
            .iter()
            .any(|one| helpers::named(one).is_some_and(|helper| helper.name == name));
        let Some(helper) = helpers::named(name).filter(|_| !has) else { continue };
        let port = helper.port;
        let new =
            linted.in_states(ct::NEW)?.and(&linted.within(Field::Protocol, number, number)?)?;
        let control =
            new.and(&linted.within(Field::DestinationPort, port.into(), port.into())?)?;
        let data = new.and(&linted.within(Field::DestinationPort, 49_152, 65_535)?)?;
        for way in [Way::In, Way::Through] {
            let opened = linted.passed(way).and(&control)?;
            let wide = linted.passed(way).and(&data)?.and(&linted.outside()?)?;
            if opened.is_empty() || !wide.is_empty() || !refused_somewhere(linted, way)? {
                continue;
            }
            let names = |rule: &&crate::lint::Ruled<'_>| {
                let mut ports = rule
                    .words
                    .options(&["--dport", "--dports"])
                    .flat_map(|option| option.value().split(','));
                decision(rule.rule) == Some(Verdict::Accept)
                    && ports.any(|one| one == port.to_string())
            };
            let mut naming = linted.rules.iter().filter(names);
            let Some(rule) =
                naming.find(|rule| rule.matched.and(&opened).is_ok_and(|both| !both.is_empty()))
            else {
                continue;
            };
            found.push(
                Finding::new(rule.rule.span, format!("{} is let in, its {} are not: the helper {name} is not assigned", name.to_uppercase(), helper.what))
                    .evidence(format!("new connections to port {port} are accepted, new ones to ports 49152 to 65535 are not, and no rule of table raw says CT --helper {name}"))
                    .help(format!("*raw: -A PREROUTING -p {protocol} --dport {port} -j CT --helper {name}"))
            );
            break;
        }
    }
    Ok(())
}
