//! A rule that logs without a limit.

use crate::algebra::Way;
use crate::algebra::space::{Packets, Result, Unknown};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::lint::plain::{words, words_in_raw};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "log-without-limit",
    severity: Severity::Note,
    title: "a rule that logs without a limit",
    page: include_str!("log_without_limit.md"),
    run,
};

const LIMITS: [&str; 6] = ["limit", "hashlimit", "recent", "quota", "statistic", "connlimit"];
/// Those of which it is known what they say of a flood.
const BOUNDS: [&str; 3] = ["limit", "hashlimit", "quota"];

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let limited = |rule: &Ruled<'_>, by: &[&str]| {
        rule.words.matches.iter().any(|one| by.contains(&one.name.as_str()))
    };
    let others: Vec<&str> = LIMITS.into_iter().filter(|name| !BOUNDS.contains(name)).collect();
    let over = over_limits(linted)?;
    for rule in linted.with_target(&["LOG"]).filter(|rule| !rule.matched.is_empty()) {
        let callers: Vec<_> = linted
            .rules
            .iter()
            .filter(|other| {
                other.table.name == rule.table.name
                    && other.rule.target.chains().iter().any(|(to, _)| *to == rule.at.chain)
            })
            .collect();
        let above = linted.chain_rules(rule.table.name, rule.at.chain);
        // A chain whose rules above let go what is too much.
        let guarded = above.take_while(|one| one.at < rule.at).any(|one| limited(one, &others));
        let called = !callers.is_empty() && callers.iter().all(|caller| limited(caller, &LIMITS));
        if limited(rule, &LIMITS) || called || guarded || rule.table.name == TableName::Security {
            continue;
        }
        // A flood that limits above, or before the call of the chain, keep from it is none here.
        let mut flood = rule.matched.and(&over)?;
        if rule.table.name == TableName::Filter {
            flood = linted.real(&flood)?;
        }
        let asks_nat = rule.table.name == TableName::Nat;
        if asks_nat {
            flood = beginnings(linted, rule, &flood)?;
        }
        if flood.is_empty() {
            continue;
        }
        // Where it hangs on what a target writes that is not told, or on what is refused behind it, no packet is named.
        let certain =
            linted.space.narrowest_of(&flood, |unknown| matches!(unknown, Unknown::Written(..)))?;
        let packet = linted.plainest(&unasked(linted, &certain)?)?;
        let text = match asks_nat {
            true => {
                "the first packet of every connection that this rule matches is a line in the log"
            }
            false => "every packet that this rule matches is a line in the log",
        };
        let many = many(linted, &flood, asks_nat)?;
        let said = match rule.table.name {
            TableName::Raw => words_in_raw,
            _ => words,
        };
        let instance =
            packet.map_or_else(String::new, |packet| format!("for instance {}; ", said(&packet)));
        found.push(
            Finding::new(rule.rule.span, text)
                .evidence(format!("{instance}{many}"))
                .help("-m limit --limit 5/minute --limit-burst 10 before -j LOG"),
        );
    }
    Ok(())
}

/// Who decides how many of the packets of a flood there are.
fn many(linted: &Linted<'_>, flood: &Packets, asks_nat: bool) -> Result<String> {
    let strangers = flood.and(&linted.outside()?)?.less(&Way::Out.packets(&linted.space)?)?;
    let answers = flood.and(&linted.in_states(ct::ESTABLISHED)?)?;
    let firsts = if asks_nat { "table nat is asked of first packets only; " } else { "" };
    let many = match (strangers.is_empty(), asks_nat) {
        (false, true) => "who begins 100,000 connections a second writes as many lines",
        (false, false) => "a sender of 100,000 of them a second writes as many lines",
        (true, false) if !answers.is_empty() => {
            "it is this host that sends them: its programs, and who asks them, decide how many lines that are"
        }
        (true, _) => "it is this host that sends them: its programs decide how many lines that are",
    };
    Ok(format!("{firsts}{many}"))
}

/// Those of the packets of a rule in table nat that there may be: each begins a connection.
fn beginnings(linted: &Linted<'_>, rule: &Ruled<'_>, packets: &Packets) -> Result<Packets> {
    let begin = linted.beginning(packets)?;
    if !begin.is_empty() || rule.matched.is_empty() {
        return Ok(begin);
    }
    packets.and(&linted.in_states(ct::NEW | ct::RELATED)?)
}

/// Those that come unasked, if there are any: of connections that are there few are sent by strangers.
fn unasked(linted: &Linted<'_>, packets: &Packets) -> Result<Packets> {
    let new = linted.in_states(ct::NEW | ct::UNTRACKED)?;
    let invalid = linted.in_states(ct::INVALID)?;
    // To the second segment of a connection that nobody began there is nothing but INVALID.
    let second = linted.within(Field::TcpFlags, 0x12, 0x12)?.and(&linted.within(
        Field::Protocol,
        6,
        6,
    )?)?;
    for liked in [new, invalid.and(&second)?, invalid] {
        let both = packets.and(&liked)?;
        if !both.is_empty() {
            return Ok(both);
        }
    }
    Ok(packets.clone())
}

/// Packets of a flood: those of which matches that count say that they are too many.
fn over_limits(linted: &Linted<'_>) -> Result<Packets> {
    let space = &linted.space;
    let mut all = space.every();
    for unknown in space.unknowns() {
        let Unknown::Opaque(place) = unknown else { continue };
        let Some((_, text)) = place.split_once('`') else { continue };
        let name = text.split([' ', '`']).next().unwrap_or_default();
        let Some(variable) = space.known_variable(unknown).filter(|_| BOUNDS.contains(&name))
        else {
            continue;
        };
        let holds = space.variable(variable)?;
        let above = text.contains("--hashlimit-above") || text.contains("! --quota");
        all = if above { all.and(&holds)? } else { all.less(&holds)? };
    }
    Ok(all)
}
