//! A service is opened that needs a helper, and none is assigned.

use crate::algebra::Way;
use crate::algebra::space::Result;
use crate::conversation::{Conversation, Fate, LIBRARY, announced_by};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lint::played::Bed;
use crate::lints::{any_of, refused_somewhere, related_tcp_only::assigned};
use crate::prose::helpers::{self, HelperProse};
use keepstate_conntrack::Hook;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{TableName, builtin_name};
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

/// Helpers without which what they are for does not work past rules that are closed. Telephones (SIP) find their
/// way without one, and often better.
const NEEDED: [&str; 5] = ["ftp", "tftp", "amanda", "sane", "pptp"];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let assigned = assigned(linted);
    let has = |name: &str| {
        assigned.iter().any(|one| helpers::named(one).is_some_and(|helper| helper.name == name))
    };
    let family = linted.ruleset.family;
    let lacking = NEEDED.iter().filter(|name| !has(name)).filter_map(|name| helpers::named(name));
    for helper in lacking.filter(|helper| helper.serves(family)) {
        let number = if helper.watches == "tcp" { 6 } else { 17 };
        let port = u128::from(helper.port);
        let control = linted
            .in_states(ct::NEW)?
            .and(&linted.within(Field::Protocol, number, number)?)?
            .and(&linted.within(Field::DestinationPort, port, port)?)?;
        for way in [Way::In, Way::Through, Way::Out] {
            let opened = linted.passed(way).and(&control)?;
            if opened.is_empty() || !refused_somewhere(linted, way)? {
                continue;
            }
            let mut naming = linted.rules.iter().filter(|rule| names(rule, helper.port));
            let meets =
                |rule: &&Ruled<'_>| rule.matched.and(&opened).is_ok_and(|both| !both.is_empty());
            let Some(rule) = naming.find(meets) else { continue };
            let here = rule.matched.and(&opened)?;
            let Some(spot) = linted.spot(way, &here)? else { continue };
            let bed = Bed { text: linted.printed(), spot };
            if let Some(finding) = told(linted, (way, rule), helper, &bed) {
                found.push(finding);
                break;
            }
        }
    }
    Ok(())
}

/// Whether a rule lets a port in by name.
fn names(rule: &Ruled<'_>, port: u16) -> bool {
    let names = ["--dport", "--dports"];
    let mut ports = rule.words.options(&names).flat_map(|option| option.value().split(','));
    decision(rule.rule) == Some(Verdict::Accept) && ports.any(|one| one == port.to_string())
}

/// The conversations that a helper is needed for.
fn needing(helper: &HelperProse) -> Vec<&'static Conversation> {
    let mut all = announced_by(helper.name).to_vec();
    // Clients ask for passive mode, whatever becomes of the other.
    all.retain(|one| one.code != "ftp-active");
    if all.is_empty() {
        return LIBRARY.iter().copied().filter(|one| one.helper == Some(helper.name)).collect();
    }
    all
}

/// What does not work without the helper, if anything, and with it.
fn told(
    linted: &Linted<'_>,
    (way, rule): (Way, &Ruled<'_>),
    helper: &HelperProse,
    bed: &Bed,
) -> Option<Finding> {
    // Its control connection works, and what that announces does not come.
    let (what, run, at) = needing(helper).into_iter().find_map(|one| {
        let run = bed.run(one, |_| {})?;
        let at =
            run.played.fate.at().filter(|at| run.script.steps.get(*at).is_some_and(is_data))?;
        Some((one, run, at))
    })?;
    let name = helper.name;
    // What the host itself opens does not come past PREROUTING.
    let hook = if way == Way::Out { Hook::Output } else { Hook::Prerouting };
    let line = format!(
        "-A {0} {1}-p {2} -m {2} --dport {3} -j CT --helper {name}",
        builtin_name(hook),
        bounds(linted, rule, way),
        helper.watches,
        helper.port
    );
    let what_else =
        if name == "ftp" { "its data connections in passive mode" } else { helper.what };
    let mut finding = Finding::new(
        rule.rule.span,
        format!(
            "{} is let {}, and not {what_else}: the helper {name} is not assigned",
            name.to_uppercase(),
            match way {
                Way::In => "in",
                Way::Through => "through",
                Way::Out => "out",
            }
        ),
    )
    .evidence(format!(
        "run through the engine ({}): {} is not accepted, and no rule of table raw says CT --helper {name}",
        what.code,
        run.packet(at)
    ));
    let mended = linted.printed_before(TableName::Raw, &line).map(|text| bed.with(text));
    let passes = mended
        .and_then(|bed| bed.run(what, |_| {}))
        .is_some_and(|run| run.played.fate == Fate::Passes);
    if passes {
        let expected = Expected::Only(any_of(&[rule]), "connections with the helper");
        finding = finding
            .evidence("run through the engine with the helper assigned: it passes")
            .help(format!("in table raw: {line}"))
            .fix(linted.first_of(TableName::Raw, hook, &line, expected));
    } else {
        let chains: &[Way] = if way == Way::Through { &[way] } else { &[Way::In, Way::Out] };
        let related = chains.iter().map(|way| {
            format!(
                "-A {} -m conntrack --ctstate RELATED -m helper --helper {name} -j ACCEPT",
                builtin_name(way.hook())
            )
        });
        let related: Vec<String> = related.collect();
        finding = finding.help(format!(
            "in table raw: {line}; in filter, with ESTABLISHED:\n{}",
            related.join("\n")
        ));
    }
    Some(finding)
}

/// Who speaks with whom and by which interface, as a rule names it, in words for one that reads the same connections.
fn bounds(linted: &Linted<'_>, rule: &Ruled<'_>, way: Way) -> String {
    let side = if way == Way::Out { "-o" } else { "-i" };
    // Table raw comes before translation.
    let translated = linted.with_target(&["DNAT", "REDIRECT", "NETMAP", "TPROXY"]).next().is_some();
    let names = ["-s", "-d", side];
    let named = rule.words.header.iter().filter(|option| {
        names.contains(&option.name.as_str()) && !(translated && option.name == "-d")
    });
    named.map(|option| format!("{} ", option.text())).collect()
}

/// Whether a step is one of what the helper announces.
fn is_data(step: &crate::conversation::Step) -> bool {
    step.reads.is_some()
        || step.label.starts_with("data")
        || step.label.starts_with("block")
        || step.label == "GRE"
}
