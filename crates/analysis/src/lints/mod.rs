//! The kinds of findings, one a file, each with its page beside it. A new one is a file here, its page, and two lines
//! below.

mod address_host_bits;
mod answers_dropped;
mod chain_unused;
mod connmark_never_saved;
mod deprecated_notrack;
mod deprecated_state;
mod dnat_blocked;
mod duplicate_rule;
mod established_late;
mod forward_open;
mod goto_skips_rules;
pub(crate) mod hairpin_missing;
mod helper_missing;
mod helper_too_broad;
mod helper_unused;
mod icmp_errors_blocked;
mod icmp_of_other_family;
mod impossible_state;
mod input_bypassed_by_dnat;
mod interface_alias;
mod interface_star;
mod invalid_drop_late;
mod invalid_drop_one_way;
mod ipv6_open;
mod jump_without_effect;
mod limit_on_drop;
mod limit_without_effect;
mod linear_addresses;
mod log_prefix_joined;
mod log_without_limit;
mod loopback_blocked;
mod loopback_forwarded;
mod mark_never_set;
mod masquerade_anywhere;
mod mergeable_ports;
mod nat_without_invalid_drop;
mod nd_blocked;
mod never_in_chain;
mod never_matches;
mod no_way_in;
mod nothing_refused;
mod notrack_dropped;
mod notrack_one_way;
mod order_dependent;
mod other_rules_hidden;
mod parameters_missing;
mod port_part_dead;
mod recent_never_asked;
mod recent_never_set;
mod related_tcp_only;
mod related_too_wide;
mod return_at_end;
mod return_in_builtin;
mod rule_redundant;
mod rule_shadowed;
mod rule_unreachable;
mod set_never_asked;
mod shadowed_otherwise;
mod source_port_trusted;
mod spoofed_source;
mod state_part_dead;
mod state_rule_missing;
mod time_is_utc;

use crate::algebra::space::{Packets, Result, STATES};
use crate::algebra::{Example, Way};
use crate::lint::finding::{Lint, Severity};
use crate::lint::linted::{Form, Linted, Ruled, decision, refusal, refuses, verdict_word};
use keepstate_ruleset::evaluate::CHAIN_DEPTH_MAX;
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::verdict::Verdict;

/// Every kind, in the order in which fixes are carried out: what is certain to do nothing first.
pub const LINTS: &[Lint] = &[
    never_matches::LINT,
    never_in_chain::LINT,
    impossible_state::LINT,
    rule_unreachable::LINT,
    duplicate_rule::LINT,
    shadowed_otherwise::LINT,
    rule_shadowed::LINT,
    state_part_dead::LINT,
    port_part_dead::LINT,
    rule_redundant::LINT,
    order_dependent::LINT,
    mergeable_ports::LINT,
    chain_unused::LINT,
    jump_without_effect::LINT,
    return_at_end::LINT,
    return_in_builtin::LINT,
    goto_skips_rules::LINT,
    established_late::LINT,
    linear_addresses::LINT,
    log_without_limit::LINT,
    deprecated_state::LINT,
    deprecated_notrack::LINT,
    interface_alias::LINT,
    interface_star::LINT,
    loopback_forwarded::LINT,
    time_is_utc::LINT,
    log_prefix_joined::LINT,
    address_host_bits::LINT,
    nat_without_invalid_drop::LINT,
    icmp_errors_blocked::LINT,
    icmp_of_other_family::LINT,
    nd_blocked::LINT,
    state_rule_missing::LINT,
    answers_dropped::LINT,
    related_tcp_only::LINT,
    helper_unused::LINT,
    helper_too_broad::LINT,
    helper_missing::LINT,
    loopback_blocked::LINT,
    no_way_in::LINT,
    input_bypassed_by_dnat::LINT,
    nothing_refused::LINT,
    forward_open::LINT,
    ipv6_open::LINT,
    masquerade_anywhere::LINT,
    dnat_blocked::LINT,
    recent_never_set::LINT,
    recent_never_asked::LINT,
    mark_never_set::LINT,
    connmark_never_saved::LINT,
    limit_without_effect::LINT,
    limit_on_drop::LINT,
    invalid_drop_late::LINT,
    source_port_trusted::LINT,
    notrack_dropped::LINT,
    notrack_one_way::LINT,
    related_too_wide::LINT,
    spoofed_source::LINT,
    hairpin_missing::LINT,
    invalid_drop_one_way::LINT,
    parameters_missing::LINT,
    set_never_asked::LINT,
    other_rules_hidden::LINT,
];

/// No kind: what a finding has before it is known who made it.
pub(crate) const NONE: Lint =
    Lint { code: "", severity: Severity::Note, title: "", page: "", run: |_, _| Ok(()) };

/// Most rules that are named as those that take another's packets.
const TAKERS_MAX: usize = 200;

/// The rules above one that take packets of a set out of the chain, until none is left.
fn takers<'l, 'a>(
    linted: &'l Linted<'a>,
    rule: &Ruled<'_>,
    wanted: &Packets,
) -> Result<Vec<&'l Ruled<'a>>> {
    let mut left = wanted.clone();
    let mut takers = Vec::new();
    for above in linted.chain_rules(rule.table.name, rule.at.chain) {
        if above.at >= rule.at || left.is_empty() || takers.len() >= TAKERS_MAX {
            break;
        }
        let taken = linted.taken(above)?;
        if !taken.and(&left)?.is_empty() {
            left = left.less(&taken)?;
            takers.push(above);
        }
    }
    Ok(takers)
}

/// The rule above one behind which nothing is left in its chain, and whether it takes all that the chain is entered
/// with by itself.
fn closing<'l, 'a>(
    linted: &'l Linted<'a>,
    rule: &Ruled<'_>,
) -> Result<Option<(&'l Ruled<'a>, bool)>> {
    let mut above = linted.chain_rules(rule.table.name, rule.at.chain);
    let last = above
        .by_ref()
        .take_while(|above| above.at < rule.at)
        .find(|above| linted.behind(above).is_empty());
    let Some(last) = last else { return Ok(None) };
    let alone = !last.is_opaque && linted.entering(rule).is_within(&last.asked)?;
    Ok(Some((last, alone)))
}

/// The rule of the chain that a rule leads to, or of one further on, that decides about the plainest of these packets,
/// and that packet.
fn inside<'l, 'a>(
    linted: &'l Linted<'a>,
    leading: &Ruled<'_>,
    packets: &Packets,
) -> Result<Option<(&'l Ruled<'a>, Example)>> {
    let Some(packet) = linted.plainest(packets)? else { return Ok(None) };
    let values = linted.space.values(&packet);
    let mut chain = match leading.rule.target {
        Jump::Jump(to) | Jump::Goto(to) => to,
        _ => return Ok(None),
    };
    for _ in 0..CHAIN_DEPTH_MAX {
        let mut taking = None;
        for one in linted.chain_rules(leading.table.name, chain) {
            if linted.space.contains(&linted.taken(one)?, &values) {
                taking = Some(one);
                break;
            }
        }
        match taking.map(|one| (one, &one.rule.target)) {
            Some((_, Jump::Jump(to) | Jump::Goto(to))) => chain = *to,
            Some((one, _)) if decision(one.rule).is_some() => {
                return Ok(Some((one, packet)));
            }
            _ => break,
        }
    }
    Ok(None)
}

/// How a rule comes above another, of another chain: what a script puts in at the head is above what it wrote before.
fn into(linted: &Linted<'_>, other: &Ruled<'_>) -> String {
    let (line, chain) = (linted.line(other.rule.span), &other.chain.name);
    let mut words = linted.text(other.rule.span).split_whitespace();
    let is_put_in = words.any(|word| matches!(word, "-I" | "--insert"));
    match linted.form == Form::Script && is_put_in {
        true => format!("put it in behind line {line}, with `-I {chain}`"),
        false => format!("put it into {chain} above line {line}"),
    }
}

/// How a rule comes above another: what a script puts in at the head is above what it wrote before.
fn higher(linted: &Linted<'_>, rule: &Ruled<'_>, other: &Ruled<'_>) -> String {
    let line = linted.line(other.rule.span);
    match linted.form == Form::Script && other.rule.span.start > rule.rule.span.start {
        true => format!("put it in behind line {line}, with `-I {}`", rule.chain.name),
        false => format!("put it above line {line}"),
    }
}

/// Whether rules above do not account for it that packets of a set do not come to a rule, or are not matched by it:
/// then something about the packets is not what it was when they came in.
fn lacking(linted: &Linted<'_>, rule: &Ruled<'_>, wanted: &Packets) -> Result<bool> {
    let mut left = wanted.clone();
    for above in linted.chain_rules(rule.table.name, rule.at.chain) {
        if above.at >= rule.at || left.is_empty() {
            break;
        }
        let hit = above.matched.and(&left)?;
        if !hit.is_empty() && !linted.taken(above)?.and(&hit)?.is_empty() {
            left = left.less(&hit)?;
        }
    }
    Ok(!left.is_empty())
}

/// A rule that others leave nothing to.
struct Shadow<'l, 'a> {
    index: usize,
    /// The rules that take its packets, those that matter most first.
    takers: Vec<&'l Ruled<'a>>,
    /// Whether one of them alone asks for all that it asks for.
    by_one: bool,
    /// Whether it decides.
    decided: bool,
    /// What becomes of its plainest packet, where that is the opposite of what it says.
    otherwise: Option<String>,
    /// Else what becomes of some other, where that is.
    partly: Option<String>,
}

/// The rules that packets come to, none of which they match because others have taken those.
fn shadowed<'l, 'a>(linted: &'l Linted<'a>) -> Result<Vec<Shadow<'l, 'a>>> {
    let mut all = Vec::new();
    for (index, rule) in linted.rules.iter().enumerate() {
        if !rule.matched.is_empty() || rule.reached.is_empty() || rule.asked.is_empty() {
            continue;
        }
        let wanted = rule.asked.and(&linted.entering(rule))?;
        if wanted.is_empty() || lacking(linted, rule, &wanted)? {
            continue;
        }
        if duplicate_rule::is_duplicate(linted, index) {
            continue;
        }
        let takers = foremost(linted, takers(linted, rule, &wanted)?, &wanted)?;
        let mut shadow = Shadow {
            index,
            by_one: takers.len() == 1,
            takers,
            decided: false,
            otherwise: None,
            partly: None,
        };
        let by_chain = match rule.rule.target {
            Jump::Jump(chain) | Jump::Goto(chain) => refusal(rule.table, chain),
            _ => None,
        };
        if let Some(verdict) = decision(rule.rule).or(by_chain) {
            shadow.decided = true;
            fate_of(linted, rule, verdict, &wanted, &mut shadow)?;
        } else if let [first] = shadow.takers.as_slice()
            && translates(rule)
            && translates(first)
            && rule.words.target != first.words.target
            && let Some(packet) = linted.example(&wanted)?
        {
            let does = first.line.split_once(" -j ").map_or("", |(_, does)| does);
            shadow.otherwise = Some(format!("{packet}: `{does}`"));
        }
        all.push(shadow);
    }
    Ok(all)
}

/// Whether a rule gives a connection other addresses or ports, once for all.
fn translates(rule: &Ruled<'_>) -> bool {
    let names = ["DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP"];
    names.contains(&rule.words.target_name())
}

/// What becomes of the packets of a rule that others take, where it is the opposite of what it says.
fn fate_of(
    linted: &Linted<'_>,
    rule: &Ruled<'_>,
    verdict: Verdict,
    wanted: &Packets,
    shadow: &mut Shadow<'_, '_>,
) -> Result<()> {
    for other in linted.verdicts(rule.table) {
        let opposite = refuses(verdict) && other == Verdict::Accept
            || verdict == Verdict::Accept && refuses(other);
        if !opposite || shadow.otherwise.is_some() {
            continue;
        }
        let both = linted.with_verdict(rule.table, other)?.and(wanted)?;
        if both.is_empty() {
            continue;
        }
        let told = |packet: &Example| {
            format!("{}: {}", crate::lint::plain::words(packet), verdict_word(other))
        };
        match linted.plainest(wanted)? {
            Some(plain) if linted.space.contains(&both, &linted.space.values(&plain)) => {
                shadow.otherwise = Some(told(&plain));
            }
            _ => shadow.partly = linted.plainest(&both)?.as_ref().map(told),
        }
    }
    Ok(())
}

/// The rules that take packets, those that matter most first: one that asks for all of them by itself, else the one
/// that takes the plainest of them before the others.
fn foremost<'l, 'a>(
    linted: &Linted<'_>,
    takers: Vec<&'l Ruled<'a>>,
    wanted: &Packets,
) -> Result<Vec<&'l Ruled<'a>>> {
    for taker in takers.iter().rev() {
        let asks_for_all = !taker.is_opaque && wanted.is_within(&taker.asked)?;
        if asks_for_all && wanted.and(&linted.behind(taker))?.is_empty() {
            return Ok(vec![taker]);
        }
    }
    let Some(plain) = linted.plainest(wanted)? else { return Ok(takers) };
    let values = linted.space.values(&plain);
    let (first, rest): (Vec<_>, Vec<_>) =
        takers.into_iter().partition(|taker| linted.space.contains(&taker.matched, &values));
    Ok(first.into_iter().chain(rest).collect())
}

/// Protocols, destination ports and types of packets, in words.
fn ports_told(linted: &Linted<'_>, packets: &Packets) -> Result<String> {
    let groups = [Field::Protocol, Field::DestinationPort, Field::Icmp]
        .map(crate::algebra::space::Group::Field);
    let alike = linted.space.some_alike(packets, &groups)?;
    let told = linted.told(&alike)?;
    let words: Vec<&str> = told.iter().map(String::as_str).collect();
    Ok(and(&words))
}

/// `a`, `a and b`, `a, b and c`.
fn and(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_string(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Whether a rule leaves packets untracked.
pub(crate) fn untracks(rule: &Ruled<'_>) -> bool {
    let target = rule.words.target_name();
    target == "NOTRACK" || target == "CT" && rule.words.target_option("--notrack").is_some()
}

/// What rules ask for, all together.
fn any_of(rules: &[&Ruled<'_>]) -> PacketSet {
    PacketSet::Any(rules.iter().map(|rule| PacketSet::of_header(&rule.rule.header)).collect())
}

/// Whether a host is to speak no IPv6 at all: nothing passes, but by the loopback interface.
fn is_ipv6_off(linted: &Linted<'_>) -> Result<bool> {
    if linted.is_v4() {
        return Ok(false);
    }
    let outside = linted.passed(Way::In).and(&linted.outside()?)?;
    let sent = linted.passed(Way::Out).less(&linted.left_by("lo")?)?;
    Ok(outside.is_empty() && sent.is_empty() && linted.passed(Way::Through).is_empty())
}

/// Whether packets that go a way are refused, by some rule or policy.
fn refused_somewhere(linted: &Linted<'_>, way: Way) -> Result<bool> {
    Ok(!linted.ended(way)?.is_empty())
}

/// Packets in these states, as a formula.
fn states(bits: u8) -> PacketSet {
    let asked = STATES.iter().filter(|(bit, _)| bits & bit != 0);
    let ranges = asked.map(|(bit, _)| (u128::from(*bit), u128::from(*bit))).collect();
    PacketSet::among(Field::State, ranges, false)
}
