//! RELATED lets in whatever a helper is told to announce.

use crate::algebra::Way;
use crate::algebra::space::{Packets, Result};
use crate::conversation::TEMPLATES;
use crate::experiment;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::Linted;
use crate::lint::linted::{Form, decision};
use crate::lints::related_tcp_only::assigned;
use crate::prose::helpers::{self, HelperProse};
use crate::witness::{Side, scene};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "related-too-wide",
    severity: Severity::Warning,
    title: "RELATED lets in whatever a helper is told to announce",
    page: include_str!("related_too_wide.md"),
    run,
};

/// A port that no helper has any business with.
const PORT: u16 = 22;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let assigned = assigned(linted);
    let known: Vec<&HelperProse> =
        assigned.iter().filter_map(|name| helpers::named(name)).collect();
    let related = linted.in_states(ct::RELATED)?;
    let watched = watched(linted)?;
    for rule in linted.rules.iter().filter(|rule| rule.table.name == TableName::Filter) {
        if decision(rule.rule) != Some(Verdict::Accept)
            || !rule.words.names_state("RELATED")
            || rule.words.has_match("helper")
        {
            continue;
        }
        for helper in &known {
            let number = if helper.expects.contains(&"tcp") { 6 } else { 17 };
            let hole = rule
                .matched
                .and(&related)?
                .and(&linted.within(Field::Protocol, number, number)?)?
                .and(&linted.within(Field::DestinationPort, PORT.into(), PORT.into())?)?
                .and(&watched)?;
            let Some(packet) = linted.example(&hole)? else { continue };
            let mut finding = Finding::new(
                rule.rule.span,
                format!(
                    "RELATED accepts whatever the helper {} is made to announce, to any port",
                    helper.name
                ),
            )
            .evidence(format!("{packet} is accepted by this rule; it announces {}", helper.what));
            if let Some(shown) = demonstrated(linted, rule, helper) {
                finding = finding.evidence(shown);
            }
            let chain = &rule.chain.name;
            let protocol = if number == 6 { "tcp" } else { "udp" };
            let icmp = if linted.is_v4() { "icmp" } else { "ipv6-icmp" };
            found.push(finding.help(format!(
                "in its place: -A {chain} -m conntrack --ctstate ESTABLISHED -j ACCEPT; -A {chain} -p {icmp} -m conntrack \
                 --ctstate RELATED -j ACCEPT; -A {chain} -p {protocol} --dport 1024:65535 -m conntrack --ctstate RELATED -m \
                 helper --helper {} -j ACCEPT",
                helper.name
            )));
            break;
        }
    }
    Ok(())
}

/// The packets of ways that connections go which have a helper.
fn watched(linted: &Linted<'_>) -> Result<Packets> {
    let new = linted.in_states(ct::NEW)?;
    let mut all = linted.space.none();
    for way in [Way::In, Way::Through] {
        let open = linted.passed(way).and(&new)?;
        for rule in linted
            .with_target(&["CT"])
            .filter(|rule| rule.words.target_option("--helper").is_some())
        {
            if !rule.matched.and(&open)?.is_empty() {
                all = all.or(&way.packets(&linted.space)?)?;
            }
        }
    }
    Ok(all)
}

/// A conversation run through the engine with these rules, in which a payload opens the port.
fn demonstrated(
    linted: &Linted<'_>,
    rule: &crate::lint::Ruled<'_>,
    helper: &HelperProse,
) -> Option<String> {
    if linted.form != Form::Save || helper.name != "ftp" {
        return None;
    }
    let side = Side::of_chain(&rule.chain.name)?;
    for code in ["ftp-active", "ftp-passive"] {
        let template = TEMPLATES.iter().find(|template| template.code == code)?;
        let Some(mut scene) = scene(&rule.words, side, template) else { continue };
        scene.parties.data_port = PORT;
        let script = template.script(&scene.parties);
        let Ok(outcomes) =
            experiment::run(linted.source, linted.ruleset.family, None, &script, &scene)
        else {
            continue;
        };
        let opened = script.steps.iter().zip(&outcomes).position(|(step, outcome)| {
            step.label == "data SYN"
                && outcome.verdict == Some("accept")
                && outcome.state == Some("RELATED")
        });
        let told = script.steps.iter().find_map(|step| match &step.content {
            crate::conversation::Content::Tcp(segment) => {
                let text = String::from_utf8_lossy(&segment.data).trim().to_string();
                let announces =
                    text.starts_with("PORT") || text.starts_with("EPRT") || text.starts_with("22");
                (announces && step.label.contains("port")).then_some((step.from.name(), text))
            }
            _ => None,
        });
        if let (Some(_), Some((who, text))) = (opened, told) {
            return Some(format!(
                "run through the engine: the {who} writes `{text}` on its connection to port 21, and the SYN to port {PORT} that follows is RELATED and accepted"
            ));
        }
    }
    None
}
