//! RELATED lets in whatever a helper is told to announce.

use crate::algebra::Way;
use crate::algebra::space::{Group, Packets, Result};
use crate::conversation::{
    Content, Conversation, Fate, LIBRARY, Nature, Upper, announced_by, conversation,
};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lint::played::{Bed, Run};
use crate::lints::states;
use crate::prose::helpers::{self, HelperProse};
use crate::rule::words::{MatchWords, OptionWords, RuleWords};
use keepstate_packet::tcp::SYN;
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

/// Ports that a helper has no business with: of ssh, telnet, mail, portmap and SMB, of SNMP, portmap, names and the log,
/// and of NFS, mDNS and UPnP, for SIP's helper takes none below 1024. Some of them may be open to everybody.
const fn ports_of(lure: &Conversation) -> &'static [u16] {
    match lure.protocol {
        Some(Upper::Udp) if lure.server_port == 5060 => &[2049, 5353, 1900],
        Some(Upper::Udp) if lure.server_port == 69 => &[161, 111, 137, 514],
        _ => &[22, 23, 25, 111, 445],
    }
}
/// Rules of a file that are tried: each takes some runs.
const TRIED_MAX: usize = 40;

/// A helper, and connections that it is assigned to.
struct Watched {
    /// As the rule names it.
    name: String,
    helper: &'static HelperProse,
    way: Way,
    control: Packets,
}

/// What a helper opens by a rule.
struct Hole<'w> {
    watched: &'w Watched,
    bed: Bed,
    lure: &'static Conversation,
    /// The port that is announced.
    port: u16,
    /// The step that is let in.
    at: usize,
    text: String,
}

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let watched = watched(linted)?;
    if watched.is_empty() {
        return Ok(());
    }
    let related = linted.in_states(ct::RELATED)?;
    let rules = linted.rules.iter().filter(|rule| {
        rule.table.name == TableName::Filter
            && decision(rule.rule) == Some(Verdict::Accept)
            && rule.words.names_state("RELATED")
            && !rule.words.has_match("helper")
    });
    for rule in rules.take(TRIED_MAX) {
        if rule.matched.and(&related)?.is_empty() {
            continue;
        }
        if lets_in_anyway(linted, rule, &related)? {
            continue;
        }
        let holes = holes(linted, rule, &watched)?;
        if holes.is_empty() {
            continue;
        }
        let names: Vec<&str> = holes.iter().map(|hole| hole.watched.name.as_str()).collect();
        let text = format!(
            "RELATED accepts whatever the helper{} {} {} made to announce, to any port",
            if names.len() == 1 { "" } else { "s" },
            crate::lints::and(&names),
            if names.len() == 1 { "is" } else { "are" }
        );
        let mut finding = Finding::new(rule.rule.span, text);
        for hole in &holes {
            finding = finding.evidence(hole.text.clone());
        }
        found.push(narrowed(linted, rule, &watched, &holes, finding)?);
    }
    Ok(())
}

/// Whether all connections that a rule lets in as RELATED may be opened without any helper, too.
fn lets_in_anyway(linted: &Linted<'_>, rule: &Ruled<'_>, related: &Packets) -> Result<bool> {
    let state = Group::Field(Field::State);
    // Nobody connects from port 0.
    let first = linted
        .within(Field::Protocol, 6, 6)?
        .and(&linted.within(Field::TcpFlags, SYN.into(), SYN.into())?)?
        .or(&linted.within(Field::Protocol, 17, 17)?)?
        .and(&linted.within(Field::SourcePort, 1, u16::MAX.into())?)?;
    let new = linted
        .space
        .forget(&rule.matched.and(related)?, &[state])?
        .and(&linted.in_states(ct::NEW)?)?
        .and(&first)?;
    let mut passed = linted.space.none();
    for way in Way::ALL {
        passed = passed.or(&linted.passed(way))?;
    }
    Ok(!new.is_empty() && new.is_within(&passed)?)
}

/// The helpers that rules assign, with the connections that are accepted.
fn watched(linted: &Linted<'_>) -> Result<Vec<Watched>> {
    let new = linted.in_states(ct::NEW)?;
    let mut all: Vec<Watched> = Vec::new();
    for rule in linted.with_target(&["CT"]) {
        let Some(name) = rule.words.target_option("--helper") else { continue };
        let Some(helper) = helpers::named(name.value()) else { continue };
        for way in Way::ALL {
            let control = rule.matched.and(&linted.passed(way))?.and(&new)?;
            let known = all.iter().any(|one| one.name == name.value() && one.way == way);
            if !control.is_empty() && !known {
                all.push(Watched { name: name.value().into(), helper, way, control });
            }
        }
    }
    Ok(all)
}

/// What each helper is seen to open by a rule, the first way for each.
fn holes<'w>(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    watched: &'w [Watched],
) -> Result<Vec<Hole<'w>>> {
    let mut holes: Vec<Hole<'w>> = Vec::new();
    for one in watched {
        let passes = !rule.matched.and(&one.way.packets(&linted.space)?)?.is_empty();
        // Of one that goes out a helper may announce what comes in.
        let comes = !rule.matched.and(&Way::In.packets(&linted.space)?)?.is_empty();
        if holes.iter().any(|hole| hole.watched.name == one.name)
            || !(passes || comes && one.way == Way::Out)
        {
            continue;
        }
        let Some(spot) = linted.spot(one.way, &one.control)? else { continue };
        let bed = Bed { text: linted.printed(), spot };
        let without = without(&rule.words).and_then(|rest| linted.printed_with(rule, &rest));
        let without = without.map(|text| bed.with(text));
        'lures: for lure in announced_by(one.helper.name) {
            for port in ports_of(lure) {
                let Some(run) = lured(&bed, lure, *port) else { continue };
                let Some(at) = run.related_by(rule).filter(|at| is_to(&run, *at, *port)) else {
                    continue;
                };
                // Another rule may let it in as well.
                let anyway = without.as_ref().and_then(|bed| lured(bed, lure, *port));
                if anyway.is_some_and(|run| run.related().any(|other| other == at)) {
                    continue;
                }
                let text = told(&run, at, one, *port);
                holes.push(Hole { watched: one, bed, lure, port: *port, at, text });
                break 'lures;
            }
        }
    }
    Ok(holes)
}

/// Whether a step goes to a port, as it was sent.
fn is_to(run: &Run, at: usize, port: u16) -> bool {
    run.script.steps.get(at).is_some_and(|step| match &step.content {
        Content::Tcp(segment) => segment.destination_port == port,
        Content::Udp { destination_port, .. } => *destination_port == port,
        Content::Icmp { .. } | Content::Error { .. } | Content::Other { .. } => false,
    })
}

/// A conversation in which a port of a service is announced.
fn lured(bed: &Bed, lure: &Conversation, port: u16) -> Option<Run> {
    bed.run(lure, |scene| {
        if lure.code == "tftp" {
            // Its answers come to the port that is asked from.
            scene.parties.client_port = port;
        } else {
            scene.parties.data_port = port;
        }
    })
}

fn told(run: &Run, at: usize, watched: &Watched, announced: u16) -> String {
    let port = run.script.steps.first().map_or(0, |step| match &step.content {
        Content::Tcp(segment) => segment.destination_port,
        Content::Udp { destination_port, .. } => *destination_port,
        _ => watched.helper.port,
    });
    let told = match run.said_before(at) {
        Some((who, said)) => {
            format!("the {} writes {said} on its connection to port {port}", who.name())
        }
        None => format!("the client asks port {port} from its port {announced}"),
    };
    format!(
        "run through the engine: {told}, and this, which follows, is RELATED and accepted by this rule: {}",
        run.packet(at)
    )
}

/// The finding with what could stand in the rule's place, where runs show that it serves.
fn narrowed(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    watched: &[Watched],
    holes: &[Hole<'_>],
    finding: Finding,
) -> Result<Finding> {
    let Some(lines) = lines(linted, rule, watched)? else {
        return Ok(finding.help(format!(
            "RELATED in rules of its own: one for ICMP errors (-p {}), and one with -m helper for each helper",
            if linted.is_v4() { "icmp" } else { "ipv6-icmp" }
        )));
    };
    let finding = finding.help(format!("in its place:\n{}", lines.join("\n")));
    let Some(text) = linted.printed_with(rule, &lines) else { return Ok(finding) };
    let mut pass: Vec<&str> = Vec::new();
    for one in watched {
        let Some(spot) = linted.spot(one.way, &one.control)? else { continue };
        let before = Bed { text: linted.printed(), spot };
        let after = before.with(text.clone());
        for service in services(one.helper).into_iter().filter(|service| passes(&before, service)) {
            if !passes(&after, service) {
                return Ok(finding);
            }
            if !pass.contains(&service.code) {
                pass.push(service.code);
            }
        }
    }
    for hole in holes {
        let bed = hole.bed.with(text.clone());
        let run = lured(&bed, hole.lure, hole.port);
        let still = run.is_none_or(|run| run.related().any(|other| other == hole.at));
        if still {
            return Ok(finding.evidence(format!(
                "run through the engine with these, the helper {} still opens port {}: write the ports that are used \
                 into its rule",
                hole.watched.name, hole.port
            )));
        }
    }
    let shown = format!(
        "run through the engine with these: {}, and none of what is shown above is let in",
        match pass.as_slice() {
            [] => String::from("what the file lets through passes as before"),
            [one] => format!("the conversation {one} passes as before"),
            many => format!("the conversations {} pass as before", crate::lints::and(many)),
        }
    );
    let expected = Expected::Only(states(ct::RELATED), "RELATED packets");
    Ok(finding.evidence(shown).fix(linted.replacement(rule, &lines.join("\n"), expected)))
}

/// What a helper is for.
fn services(helper: &HelperProse) -> Vec<&'static Conversation> {
    let of_library = LIBRARY.iter().copied().filter(|one| one.nature == Nature::Service);
    let named = of_library.filter(|one| one.helper == Some(helper.name));
    let mut all: Vec<&'static Conversation> = named.collect();
    for one in announced_by(helper.name) {
        if !all.iter().any(|known| known.code == one.code) {
            all.push(one);
        }
    }
    if helper.watches == "tcp" {
        all.extend(conversation("pmtu"));
    }
    all
}

fn passes(bed: &Bed, service: &Conversation) -> bool {
    bed.run(service, |_| {}).is_some_and(|run| run.played.fate == Fate::Passes)
}

/// The rule without RELATED: none or one. `None` where it asks for more than addresses, interfaces, a protocol and
/// states.
fn without(rule: &RuleWords) -> Option<Vec<String>> {
    let known = ["state", "conntrack", "comment"];
    let plain = rule.matches.iter().all(|one| {
        known.contains(&one.name.as_str())
            && one
                .options
                .iter()
                .all(|o| !o.not && matches!(o.name.as_str(), "--state" | "--ctstate" | "--comment"))
    });
    if !plain || rule.header("-p").is_some_and(|option| option.not) {
        return None;
    }
    let rest: Vec<&str> = rule.states()?.into_iter().filter(|state| *state != "RELATED").collect();
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let mut own = rule.clone();
    for option in own.matches.iter_mut().flat_map(|one| &mut one.options) {
        if option.name != "--comment" {
            option.values = vec![rest.join(",")];
        }
    }
    Some(vec![own.save()])
}

/// The rules that could stand in the place of one: what it accepts but RELATED, ICMP errors, the resets of REJECT where
/// they leave, and what each helper is for; `None` where [`without`] says so.
fn lines(linted: &Linted<'_>, old: &Ruled<'_>, watched: &[Watched]) -> Result<Option<Vec<String>>> {
    let rule = &old.words;
    let Some(mut lines) = without(rule) else { return Ok(None) };
    let admits = |protocol| rule.admits_protocol(protocol);
    let (icmp, number) = if linted.is_v4() { ("icmp", 1) } else { ("ipv6-icmp", 58) };
    if admits(number) {
        lines.push(related(rule, icmp, &[], None));
    }
    let leaves = !old.matched.and(&Way::Out.packets(&linted.space)?)?.is_empty();
    let resets = |one: &Ruled<'_>| {
        one.words.target_option("--reject-with").is_some_and(|with| with.value() == "tcp-reset")
    };
    if leaves && admits(6) && linted.with_target(&["REJECT"]).any(resets) {
        lines.push(related(rule, "tcp", RESETS, None));
    }
    let mut all: Vec<(String, Shape)> = Vec::new();
    for one in watched {
        all.extend(shapes(one.helper).into_iter().map(|shape| (one.name.clone(), shape)));
        for (helper, shape) in assigned_by(one.helper) {
            all.push(((*helper).to_string(), *shape));
        }
    }
    // Of helpers that are not known here it is not known what they announce.
    let unknown =
        linted.with_target(&["CT"]).filter_map(|rule| rule.words.target_option("--helper"));
    for name in unknown.map(|option| option.value()).filter(|name| helpers::named(name).is_none()) {
        all.push((name.to_string(), ("", &[])));
    }
    for (helper, (name, ports)) in all {
        let fits = crate::prose::protocol::number(name).is_none_or(admits);
        let line = related(rule, name, ports, Some(&helper));
        if fits && !lines.contains(&line) {
            lines.push(line);
        }
    }
    Ok(Some(lines))
}

/// The rule with RELATED alone, for a protocol and a helper.
fn related(
    rule: &RuleWords,
    protocol: &str,
    ports: &[(&str, &str)],
    helper: Option<&str>,
) -> String {
    let option = |name: &str, value: &str| OptionWords {
        not: false,
        name: name.into(),
        values: value.split(' ').map(String::from).collect(),
    };
    let mut own = rule.clone();
    if own.header("-p").is_none() && !protocol.is_empty() {
        own.header.push(option("-p", protocol));
    }
    own.matches.retain(|one| one.name == "comment");
    let mut add = |name: &str, options: Vec<OptionWords>| {
        own.matches.push(MatchWords { name: name.into(), options });
    };
    if !ports.is_empty() {
        add(protocol, ports.iter().map(|(name, value)| option(name, value)).collect());
    }
    add("conntrack", vec![option("--ctstate", "RELATED")]);
    if let Some(helper) = helper {
        add("helper", vec![option("--helper", helper)]);
    }
    own.save()
}

/// Protocols and ports of what a helper announces when it does what it is for.
type Shape = (&'static str, &'static [(&'static str, &'static str)]);

/// Ports from 1024 on are those that programs are given and choose.
const HIGH: &[(&str, &str)] = &[("--dport", "1024:65535")];
/// What REJECT answers a segment with.
const RESETS: &[(&str, &str)] = &[("--tcp-flags", "RST RST")];

/// What the helpers announce that a helper assigns to what it announces itself: `-m helper` asks for the helper of the
/// connection in which something was announced.
const fn assigned_by(helper: &HelperProse) -> &'static [(&'static str, Shape)] {
    const CALL: &[(&str, Shape)] = &[("H.245", ("tcp", HIGH)), ("H.245", ("udp", HIGH))];
    const REGISTERED: &[(&str, Shape)] = &[
        ("Q.931", ("tcp", HIGH)),
        ("Q.931", ("udp", HIGH)),
        ("H.245", ("tcp", HIGH)),
        ("H.245", ("udp", HIGH)),
    ];
    match helper.name.as_bytes() {
        b"Q.931" => CALL,
        b"RAS" => REGISTERED,
        _ => &[],
    }
}

/// Of a helper.
fn shapes(helper: &HelperProse) -> Vec<Shape> {
    match helper.name {
        "netbios-ns" => vec![("udp", &[("--sport", "137")])],
        "snmp" => vec![("udp", &[("--sport", "161")])],
        _ => helper
            .expects
            .iter()
            .map(|protocol| match *protocol {
                "gre" => ("gre", &[][..]),
                one => (one, HIGH),
            })
            .collect(),
    }
}
