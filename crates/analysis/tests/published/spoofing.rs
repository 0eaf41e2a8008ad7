//! The published results on spoofing protection.

use super::sets::{SPOOFING, Spoofed};
use super::{asked, here, published, rules};
use keepstate_analysis::reach::spoof::{Spoofing, spoofing};
use keepstate_analysis::reach::{Open, Shown};
use keepstate_ruleset::diagnostic::Lines;
use std::fmt::Write;

const HEAD: &str = "\
\n## Spoofing protection

Certified: no packet with a source that does not belong behind the interface opens a connection when it comes in there.

| rule set | interfaces | certified, theirs | certified, ours | not certified here |
|---|---|---|---|---|
";

/// What is said of the rule sets that stand in `data`, or of the others, as far as they are there.
pub(crate) fn told(stands_here: bool) -> String {
    let (mut table, mut shown) = (HEAD.to_string(), String::new());
    for case in SPOOFING.iter().filter(|case| case.rules.contains('/') != stands_here) {
        let source = if stands_here { Some(here(case.rules)) } else { published(case.rules) };
        match source {
            Some(source) => one(case, &source, (&mut table, &mut shown)),
            None => println!("skipped: {} is not in the checkout", case.rules),
        }
    }
    table + &shown
}

fn one(case: &Spoofed, source: &str, (table, shown): (&mut String, &mut String)) {
    let ruleset = rules(source, case.table);
    let mut around = asked(case.chain, &[]);
    around.source_ports = None;
    around.trusts_routes = true;
    for (name, text, _) in case.interfaces {
        around.read(&format!("{name} = {text}"), super::V4).expect("networks");
    }
    let lines = Lines::of(source);
    let load = || Some(rules(source, case.table));
    let told = Shown { lines: &lines, load: &load };
    let found = spoofing(&ruleset, &around, &[around.toward], &told).expect("sets");
    let count = |of: &dyn Fn(&(&Spoofing, bool)) -> bool| {
        let both = found.iter().zip(case.interfaces.iter().map(|(.., certified)| *certified));
        both.filter(of).count()
    };
    let mut not = Vec::new();
    for (one, (name, _, certified)) in found.iter().zip(case.interfaces) {
        assert_eq!(one.interface, *name);
        let is_certified = one.open == Open::No;
        let why = format!("{}, {name}: {:?} {:?}", case.rules, one.open, one.witness);
        assert!(is_certified || !certified, "theirs alone: {why}");
        assert_eq!(is_certified && !certified, case.better.contains(name), "ours alone: {why}");
        if is_certified {
            continue;
        }
        not.push(*name);
        let witness = one.witness.as_ref().expect("a packet");
        assert_ne!(witness.confirmed, Some(false), "{why}");
        let rule = witness.decided().expect("a rule");
        let _ = writeln!(
            shown,
            "- `{name}` ({}): `{}` passes, by `{}`{}",
            case.name,
            witness.packet,
            rule.text,
            if witness.confirmed == Some(true) { "; the engine says the same" } else { "" },
        );
    }
    let _ = writeln!(
        table,
        "| {} | {} | {} | {} | {} |",
        case.name,
        found.len(),
        count(&|(_, certified)| *certified),
        count(&|(one, _)| one.open == Open::No),
        if not.is_empty() { String::from("none") } else { not.join(", ") },
    );
    if !case.why_better.is_empty() {
        let _ = writeln!(shown, "- certified here alone ({}): {}", case.name, case.why_better);
    }
}
