//! Experiments: a conversation run through the engine with the rule and without it.
//!
//! Nothing here knows what a rule means. Conversations are tried until one meets the rule; what
//! became of each packet is read from the engine.

mod conclude;
mod run;
mod setting;

pub use run::state_name;
pub use run::{Refusal, RuleAt, decided_by, play, run};
pub(crate) use run::{direction_name, verdict_name};
pub use setting::{Setting, kind_of};
pub(crate) use setting::{asking, asks_for_dnat, noted, smaller};

use crate::answer::{Experiment, Outcome, Run, StepShown};
use crate::conversation::{Script, TEMPLATES, Template, Who};
use crate::prose::targets::Kind;
use crate::rule::words::RuleWords;
use crate::witness::{
    Place, SPOOFED, Scene, Side, behind_dnat, scene, translated, translated_behind,
};
use keepstate_packet::Family;
use setting::Variant;
use std::net::IpAddr;

/// Most experiments that one answer shows.
pub const EXPERIMENTS_MAX: usize = 4;

/// What experimenting with a rule came to.
#[derive(Debug, Default)]
pub struct Findings {
    /// Experiments in which the rule matched and made a difference.
    pub telling: Vec<Experiment>,
    /// Experiments that the rule has no part in, though one would expect it to.
    pub untouched: Vec<Experiment>,
    /// Conversations tried.
    pub tried: usize,
    /// Why the engine could not be asked.
    pub refusal: Option<String>,
    /// What was not known of a packet, so that a conversation said nothing.
    pub unknown: Option<String>,
}

/// Tries every conversation on a rule and keeps those that show something new.
#[must_use]
pub fn experiment(rule: &RuleWords, side: Side, context: &Context<'_>) -> Findings {
    let mut findings = Findings::default();
    let mut candidates: Vec<(Vec<&'static str>, Experiment)> = Vec::new();
    for template in templates_for(rule) {
        let scenes = match rule.table.as_str() {
            "nat" => gateways(rule, template, context),
            _ if asks_for_dnat(rule) => behind_dnat(rule, template).into_iter().collect(),
            _ => scene(rule, side, template).into_iter().collect(),
        };
        if scenes.is_empty() {
            continue;
        }
        findings.tried += 1;
        // So many attempts are not told that a large number is come to.
        let lessened = match (template.code, context) {
            ("attempts", Context::Alone) => smaller(rule),
            _ => None,
        };
        match try_scenes(lessened.as_ref().unwrap_or(rule), template, &scenes, context) {
            Ok(Some(shown)) => candidates.push((matched_states(&shown), shown)),
            Ok(None) => {}
            Err(Refusal::Unknown(text)) => findings.unknown = Some(text),
            Err(Refusal::Fault(text)) => {
                findings.refusal = Some(text);
                return findings;
            }
        }
    }
    // What a rule writes down is the same in all of them.
    let shown_max = if kind_of(rule) == Kind::Log { 1 } else { EXPERIMENTS_MAX };
    let mut order = chosen(&candidates);
    if kind_of(rule) == Kind::Log && setting::counts(rule) {
        // How many lines come of it is what it is about.
        let often = |(states, shown): &(Vec<&'static str>, Experiment)| {
            shown.code == "attempts" && !states.is_empty() && shown.differs_at.is_some()
        };
        if let Some(first) = candidates.iter().position(often) {
            order.insert(0, first);
        }
    }
    for index in order.into_iter().take(shown_max) {
        if let Some((_, shown)) = candidates.get(index) {
            findings.telling.push(shown.clone());
        }
    }
    let silent = candidates.into_iter().filter(|(states, _)| states.is_empty());
    findings.untouched.extend(silent.map(|(_, shown)| shown).filter(|e| expected(rule, e.code)));
    findings.untouched.truncate(2);
    findings
}

/// Which experiments to show, in order: for each state in which the rule matched the first that
/// shows it, then the others that show a difference.
fn chosen(candidates: &[(Vec<&'static str>, Experiment)]) -> Vec<usize> {
    let telling = || {
        let telling = |(_, (states, shown)): &(usize, &(Vec<&'static str>, Experiment))| {
            !states.is_empty() && shown.differs_at.is_some()
        };
        candidates.iter().enumerate().filter(telling)
    };
    let mut seen: Vec<&'static str> = Vec::new();
    let mut chosen: Vec<usize> = Vec::new();
    for (index, (states, _)) in telling() {
        if states.iter().any(|state| !seen.contains(state)) {
            seen.extend(states);
            chosen.push(index);
        }
    }
    for (index, _) in telling() {
        if chosen.len() < EXPERIMENTS_MAX && !chosen.contains(&index) {
            chosen.push(index);
        }
    }
    chosen.truncate(EXPERIMENTS_MAX);
    chosen.sort_unstable();
    chosen
}

/// Whether conversations are run for a rule of the table nat.
#[must_use]
pub(crate) fn is_run(rule: &RuleWords) -> bool {
    templates_for(rule).any(|template| translated(rule, template).is_some())
}

/// Shows what the policy of a chain does to conversations that no rule speaks of.
#[must_use]
pub fn policy(family: Family, chain: &str, policy: &str) -> Vec<Experiment> {
    let Some(side) = Side::of_chain(chain) else { return Vec::new() };
    let rule = RuleWords::read(family, "filter", chain, &[]);
    let variants = setting::policies(chain, policy);
    let mut found = Vec::new();
    for code in ["tcp-client", "tcp-server"] {
        let Some(template) = TEMPLATES.iter().find(|template| template.code == code) else {
            continue;
        };
        let Some(scene) = scene(&rule, side, template) else { continue };
        let script = template.script(&scene.parties);
        let runs: Result<Vec<_>, Refusal> = variants
            .iter()
            .map(|variant| Ok((variant, run_variant(&rule, variant, &script, &scene)?)))
            .collect();
        let Ok(runs) = runs else { continue };
        if differs_at(&script, &runs).is_some() {
            let setting = Setting { file: true, ..Setting::default() };
            found.push(shown(&rule, template, &scene, &script, &setting, runs));
        }
    }
    found
}

/// Runs a conversation between given peers past a filter without rules; `None` when a router would
/// not pass it on.
#[must_use]
pub fn conversation(
    code: &str,
    client: IpAddr,
    server: IpAddr,
    ports: (u16, u16),
) -> Option<Experiment> {
    let template = TEMPLATES.iter().find(|template| template.code == code)?;
    let scene = Scene::between(template.conversation, client, server, ports)?;
    let script = template.script(&scene.parties);
    let source = "*filter\nCOMMIT\n";
    let outcomes = run(source, scene.family, None, &script, &scene).ok()?;
    if outcomes.iter().any(|outcome| outcome.verdict != Some("accept")) {
        return None;
    }
    let variant = Variant { name: "state", source: source.to_string(), rule_at: None };
    let rule = RuleWords::read(scene.family, "filter", "FORWARD", &[]);
    let setting = Setting { file: true, ..Setting::default() };
    let mut shown = shown(&rule, template, &scene, &script, &setting, vec![(&variant, outcomes)]);
    shown.title = String::from("A conversation of these two, past a filter without rules");
    shown.conclusion = String::from(
        "The state that --ctstate sees is the packet's: NEW until the first answer, ESTABLISHED \
         from that answer on.",
    );
    Some(shown)
}

/// What is around the rule.
#[derive(Clone, Copy, Debug)]
pub enum Context<'a> {
    /// The rule alone: a chain is put around it.
    Alone,
    /// A rule file and the line of the rule in it, from 1.
    File {
        /// The whole file.
        source: &'a str,
        /// The line.
        line: usize,
    },
}

/// The conversations that can say something about a rule.
fn templates_for(rule: &RuleWords) -> impl Iterator<Item = &'static Template> {
    TEMPLATES.iter().filter(|template| setting::applies(rule, template))
}

/// The states in which the rule matched packets of the first run.
fn matched_states(shown: &Experiment) -> Vec<&'static str> {
    let Some(run) = shown.runs.first() else { return Vec::new() };
    let mut states = Vec::new();
    for outcome in run.outcomes.iter().filter(|outcome| outcome.rule_matched) {
        let state = outcome.state.unwrap_or("-");
        if !states.contains(&state) {
            states.push(state);
        }
    }
    states
}

/// Conversations that people expect such a rule to let through, worth showing when it does not:
/// what `RELATED` next to `-p tcp` leaves out.
fn expected(rule: &RuleWords, code: &str) -> bool {
    let both = rule.names_state("RELATED") && rule.names_state("ESTABLISHED");
    rule.target_name() == "ACCEPT" && both && code == "pmtu" || code == SPOOFED
}

/// Inner interfaces of a rule file that are tried for one that translates.
const INSIDES_MAX: usize = 8;

/// The scenes of a rule that translates: behind the usual interface, then behind those that its file names.
fn gateways(rule: &RuleWords, template: &Template, context: &Context<'_>) -> Vec<Scene> {
    let source = match context {
        Context::File { source, .. } => source,
        Context::Alone => "",
    };
    let mut insides: Vec<String> = Vec::new();
    let mut is_name = false;
    for word in source.split_whitespace() {
        let name = word.replace('+', "0");
        if is_name && name != "lo" && insides.len() < INSIDES_MAX && !insides.contains(&name) {
            insides.push(name);
        }
        is_name = matches!(word, "-i" | "-o");
    }
    let usual = translated(rule, template);
    let others = insides.iter().filter_map(|inside| {
        let scene = translated_behind(rule, template, Some(inside))?;
        (scene.interfaces.0 != scene.interfaces.1).then_some(scene)
    });
    usual.into_iter().chain(others).collect()
}

/// Tries the scenes in order, up to one in which the rule makes a difference; else what the first shows.
fn try_scenes(
    rule: &RuleWords,
    template: &Template,
    scenes: &[Scene],
    context: &Context<'_>,
) -> Result<Option<Experiment>, Refusal> {
    let mut first = None;
    for scene in scenes {
        let Some(shown) = try_template(rule, template, scene, context)? else { continue };
        if shown.differs_at.is_some() {
            return Ok(Some(shown));
        }
        first.get_or_insert(shown);
    }
    Ok(first)
}

/// Runs a template under the variants, with as few rules beside the one in question as make the
/// conversation work.
fn try_template(
    rule: &RuleWords,
    template: &Template,
    scene: &Scene,
    context: &Context<'_>,
) -> Result<Option<Experiment>, Refusal> {
    let script = template.script(&scene.parties);
    let mut best: Option<(usize, Experiment)> = None;
    for setting in setting::settings(rule, template, scene, context) {
        let variants = setting::variants(rule, &setting, context);
        let mut runs = Vec::new();
        for variant in &variants {
            runs.push((variant, run_variant(rule, variant, &script, scene)?));
        }
        let rank = rank(rule, &script, &runs);
        let better = best.as_ref().is_none_or(|(known, _)| rank > *known);
        if better {
            best = Some((rank, shown(rule, template, scene, &script, &setting, runs)));
        }
        if rank == RANK_BEST {
            break;
        }
    }
    Ok(best.map(|(_, experiment)| experiment))
}

fn run_variant(
    rule: &RuleWords,
    variant: &Variant,
    script: &Script,
    scene: &Scene,
) -> Result<Vec<Outcome>, Refusal> {
    run(&variant.source, rule.family, variant.rule_at, script, scene)
}

/// The rule matched, the runs differ, and everything works in the first one.
const RANK_BEST: usize = 4;

fn rank(rule: &RuleWords, script: &Script, runs: &[(&Variant, Vec<Outcome>)]) -> usize {
    let Some((_, first)) = runs.first() else { return 0 };
    let matched = first.iter().any(|outcome| outcome.rule_matched);
    let differs = differs_at(script, runs).is_some();
    let works =
        first.iter().zip(&script.steps).all(|(outcome, _)| !outcome.sent || outcome.passes());
    let accepting = rule.target_name() == "ACCEPT";
    match (matched, differs, works || !accepting) {
        (true, true, true) => RANK_BEST,
        (true, true, false) => 3,
        (true, false, _) => 2,
        (false, _, true) => 1,
        (false, _, false) => 0,
    }
}

/// The first step whose fate is not the same in the first two runs, as an index.
fn differs_at(script: &Script, runs: &[(&Variant, Vec<Outcome>)]) -> Option<usize> {
    let [(_, first), (_, second), ..] = runs else { return None };
    let first_where = |differ: fn(&Outcome, &Outcome) -> bool| {
        (0..script.steps.len()).find(|index| match (first.get(*index), second.get(*index)) {
            (Some(a), Some(b)) => differ(a, b),
            _ => false,
        })
    };
    // What becomes of a packet weighs more than what is written down about it.
    first_where(|a, b| (a.sent, a.verdict, a.received) != (b.sent, b.verdict, b.received))
        .or_else(|| first_where(|a, b| !same_fate(a, b)))
}

fn same_fate(a: &Outcome, b: &Outcome) -> bool {
    (a.sent, a.verdict, a.state, &a.log, a.mark, a.connmark)
        == (b.sent, b.verdict, b.state, &b.log, b.mark, b.connmark)
        && a.answers == b.answers
        && a.translated == b.translated
        && a.changed == b.changed
        && a.events == b.events
}

fn shown(
    rule: &RuleWords,
    template: &Template,
    scene: &Scene,
    script: &Script,
    setting: &Setting,
    runs: Vec<(&Variant, Vec<Outcome>)>,
) -> Experiment {
    let differs = differs_at(script, &runs);
    let last = runs
        .iter()
        .filter_map(|(_, outcomes)| outcomes.iter().rposition(|outcome| outcome.sent))
        .max()
        .map_or(0, |last| last + 1);
    let conclusion = conclude::conclusion(rule, script, &runs, differs);
    let name = |who: Who| who.name().to_string();
    let steps = script.steps.iter().take(last).enumerate().map(|(index, step)| StepShown {
        number: index + 1,
        from: name(step.from),
        to: name(step.to),
        packet: step.label.clone(),
    });
    Experiment {
        code: template.code,
        title: title(template, scene),
        scene: scene.text(),
        setting: setting.shown(rule),
        steps: steps.collect(),
        runs: runs
            .into_iter()
            .map(|(variant, mut outcomes)| {
                outcomes.truncate(last);
                Run { name: variant.name.to_string(), outcomes }
            })
            .collect(),
        differs_at: differs.map(|index| index + 1),
        conclusion,
    }
}

/// Says which role the filter's host has, where it is one of the peers.
fn title(template: &Template, scene: &Scene) -> String {
    if let Some(who) = scene.hidden {
        let title = template.conversation.title;
        return match who {
            Who::Client => {
                format!("{title}, by a client with a private address behind this router")
            }
            _ => format!("{title}, with a server behind this router that is called at its address"),
        };
    }
    match (scene.place, template.code) {
        (Place::On(Who::Client), "tcp-client" | "tcp-server") => {
            String::from("This host opens a TCP connection")
        }
        (Place::On(Who::Server), "tcp-client" | "tcp-server") => {
            String::from("Somebody opens a TCP connection to this host")
        }
        (Place::On(Who::Client), "udp-client" | "udp-server") => {
            String::from("This host asks something over UDP (DNS)")
        }
        (Place::On(Who::Server), "udp-client" | "udp-server") => {
            String::from("Somebody asks this host something over UDP (DNS)")
        }
        (Place::On(Who::Client), "ping-client" | "ping-server") => {
            String::from("This host pings somebody")
        }
        (Place::On(Who::Server), "ping-client" | "ping-server") => {
            String::from("Somebody pings this host")
        }
        _ => template.title.to_string(),
    }
}
