//! A helper for connections from anyone to anyone.

use crate::algebra::Way;
use crate::algebra::space::{Group, Packets, Result};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::lints::and;
use crate::prose::helpers;
use crate::rule::words::OptionWords;
use keepstate_ruleset::packet_set::Field;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "helper-too-broad",
    severity: Severity::Note,
    title: "a helper for connections from anyone to anyone",
    page: include_str!("helper_too_broad.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    // What is dropped later is read by no helper, and what lo brings has been looked at as it left.
    let mut passed = Vec::new();
    for way in [Way::In, Way::Through] {
        let begins = linted.beginning(&linted.passed(way).and(&linted.outside()?)?)?;
        passed.push((way, begins));
    }
    let mut broad: Vec<(&Ruled<'_>, Packets)> = Vec::new();
    for rule in linted.with_target(&["CT"]).filter(|rule| is_open(rule)) {
        let mut read = linted.space.none();
        for (way, passed) in &passed {
            let here = rule.matched.and(passed)?;
            if !here.is_empty() && is_needed(linted, rule, *way)? {
                read = read.or(&here)?;
            }
        }
        if !read.is_empty() {
            broad.push((rule, read));
        }
    }
    let Some(((first, read), others)) = broad.split_first() else { return Ok(()) };
    let mut helpers: Vec<&str> = Vec::new();
    for helper in broad.iter().filter_map(|(rule, _)| helper(rule)) {
        if !helpers.contains(&helper) {
            helpers.push(helper);
        }
    }
    let text = match helpers.as_slice() {
        [one] => format!("the helper {one} reads connections from everywhere to everywhere"),
        many => {
            format!("the helpers {} read connections from everywhere to everywhere", and(many))
        }
    };
    let mut finding = Finding::new(first.rule.span, text);
    for (other, _) in others {
        finding = finding.label(other.rule.span, "so does this one");
    }
    if let Some(packet) = linted.example(&rather_outwards(linted, read)?)? {
        finding = finding.evidence(format!("for instance {packet}"));
    }
    found.push(
        finding.help(
            "name the servers (-d), or at least the interface of those who are to use it (-i)",
        ),
    );
    Ok(())
}

/// Those of these packets that go from inside to a stranger, if there are any: it is there that a client can be made to
/// announce what it does not want.
fn rather_outwards(linted: &Linted<'_>, read: &Packets) -> Result<Packets> {
    let through = read.and(&Way::Through.packets(&linted.space)?)?;
    let outwards = linted.rather_outside(&through, Group::Out)?;
    let came = linted.came_from_outside(&outwards)?;
    for wanted in [outwards.less(&came)?, outwards] {
        if !wanted.is_empty() {
            return Ok(wanted);
        }
    }
    Ok(read.clone())
}

/// Whether some of what the helper of a rule announces would be refused without it.
fn is_needed(linted: &Linted<'_>, rule: &Ruled<'_>, way: Way) -> Result<bool> {
    let Some(helper) = helper(rule).and_then(helpers::named) else { return Ok(true) };
    let begins = linted.beginning(&way.packets(&linted.space)?.and(&linted.outside()?)?)?;
    let refused = linted.space.narrowest(&linted.ended(way)?)?;
    for name in helper.expects {
        let number = match *name {
            "tcp" => 6,
            "udp" => 17,
            _ => 47,
        };
        let mut announced = begins.and(&linted.within(Field::Protocol, number, number)?)?;
        // Neither end takes a port below for it.
        for field in
            [Field::SourcePort, Field::DestinationPort].into_iter().filter(|_| number != 47)
        {
            announced = announced.and(&linted.within(field, 1024, 65_535)?)?;
        }
        if !announced.and(&refused)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn helper<'r>(rule: &'r Ruled<'_>) -> Option<&'r str> {
    rule.words.target_option("--helper").map(OptionWords::value)
}

/// Whether a rule assigns a helper and asks for nothing but ports.
fn is_open(rule: &Ruled<'_>) -> bool {
    // Those for queries to everybody read what this host itself sends, and nothing else.
    if helper(rule).is_none_or(|helper| matches!(helper, "netbios-ns" | "snmp")) {
        return false;
    }
    let arrives = rule.chain.name != "OUTPUT" && !rule.matched.is_empty();
    let bounded = ["-s", "-d", "-i"].iter().any(|name| rule.words.header(name).is_some());
    let asks = rule
        .words
        .matches
        .iter()
        .any(|one| !["tcp", "udp", "comment", "multiport"].contains(&one.name.as_str()));
    arrives && !bounded && !asks && rule.chain.hook.is_some()
}
