//! Neighbours that decide otherwise about packets that both would take, neither being the narrower one.

use crate::algebra::space::Result;
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision, refuses};
use crate::rule::words::OptionWords;
use crate::witness::network;
use keepstate_ruleset::verdict::Verdict;
use std::net::IpAddr;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "order-dependent",
    severity: Severity::Note,
    title: "neighbours whose order decides, neither being the exception of the other",
    page: include_str!("order_dependent.md"),
    run,
};

/// Whether the first says who, and the second what, whoever it is: a ban or a trusted host before what holds for all.
fn is_exception(first: &Ruled<'_>, second: &Ruled<'_>) -> bool {
    let addressed = |rule: &Ruled<'_>| {
        ["-s", "-d"].iter().any(|name| rule.words.header(name).is_some())
            || ["iprange", "mac", "set"].iter().any(|name| rule.words.has_match(name))
    };
    // Who is refused whatever he asks for is refused first.
    let bans = decision(first.rule).is_some_and(refuses)
        && first.words.matches.iter().all(|one| one.name == "comment")
        && matches!(first.words.header.as_slice(), [one] if is_host(one));
    // The host's own packets are let through before all else.
    let lo = [first, second].iter().any(|rule| {
        let mut by = ["-i", "-o"].iter().filter_map(|side| rule.words.header(side));
        by.any(|option| !option.not && option.value() == "lo")
    });
    // What is left over by an interface is refused behind what is let in there.
    let closes = second.words.matches.is_empty()
        && second.words.header.iter().all(|option| ["-i", "-o"].contains(&option.name.as_str()))
        && decision(second.rule).is_some_and(refuses);
    addressed(first) && !addressed(second) || lo || closes || bans
}

/// Whether an option names a single host.
fn is_host(option: &OptionWords) -> bool {
    let single = |mask: IpAddr| match mask {
        IpAddr::V4(mask) => u32::from(mask) == u32::MAX,
        IpAddr::V6(mask) => u128::from(mask) == u128::MAX,
    };
    !option.not
        && ["-s", "-d"].contains(&option.name.as_str())
        && network(option.value()).is_some_and(|(_, mask)| single(mask))
}

/// Longest row that is told, in characters.
const ROW_MAX: usize = 200;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    for pair in linted.rules.windows(2) {
        let [first, second] = pair else { continue };
        let neighbours = first.table.name == second.table.name && first.at.chain == second.at.chain;
        let plain = [first, second].iter().all(|rule| rule.is_plain && !rule.is_opaque);
        // Rules for packets of connections that exist, or of none, are put where they are on purpose.
        let states = [first, second]
            .iter()
            .all(|rule| rule.words.states().is_none_or(|states| states.contains(&"NEW")));
        if !neighbours || !plain || !states || is_exception(first, second) {
            continue;
        }
        let decided = decision(first.rule).zip(decision(second.rule));
        let opposite = decided.is_some_and(|(a, b)| {
            a == Verdict::Accept && refuses(b) || refuses(a) && b == Verdict::Accept
        });
        if !opposite {
            continue;
        }
        let here = &first.reached;
        let (mine, theirs) = (first.asked.and(here)?, second.asked.and(here)?);
        let both = mine.and(&theirs)?;
        if both.is_empty() || mine.is_within(&theirs)? || theirs.is_within(&mine)? {
            continue;
        }
        // What no field decides may never hold for both: of `--path a` and `! --path a` it does not.
        if linted.space.narrowest_of(&first.asked.and(&second.asked)?, |_| true)?.is_empty() {
            continue;
        }
        let mut finding = Finding::new(
            second.rule.span,
            "this rule and the one above it decide otherwise about packets that fit both",
        )
        .label(first.rule.span, "comes first, so it decides");
        let rows = linted.told(&both)?;
        let short = rows.iter().all(|row| row.chars().count() <= ROW_MAX);
        // Long lists of flags and ports say less than one packet.
        let told = if short { rows } else { linted.example(&both)?.into_iter().collect() };
        for row in told {
            finding = finding.evidence(format!("fits both: {row}"));
        }
        found.push(finding);
    }
    Ok(())
}
