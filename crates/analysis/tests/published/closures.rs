//! The simplified firewalls that are published beside rule sets: what is possible here lies within the upper closure,
//! and what the lower one lets through is certain here.

use super::compare::{Compared, counted};
use super::evidence::Evidence;
use super::sets::{CASES, Case, Chain};
use super::{Found, asked, checkout, found, published, read, rules, spoofing};
use keepstate_analysis::reach::{Opener, Reach};
use keepstate_ruleset::model::TableName;
use std::fmt::Write;

const HEAD: &str = "\
\n## Simplified firewalls

Of these rule sets both closures are published as rules. Each is asked the same question as above (their classes are
read off their upper closure); a pair that the lower closure opens has to be certain here, which is asserted, too.

| rule set | chain | port | classes, theirs | classes, ours | possible here, of theirs | certain there, of ours |
|---|---|---|---|---|---|---|
";

/// `None`: there is no checkout.
pub(crate) fn told() -> Option<String> {
    checkout()?;
    let (mut table, mut differences) = (HEAD.to_string(), String::new());
    for case in CASES {
        for port in [22, 80] {
            one(case, port, (&mut table, &mut differences));
        }
    }
    Some(format!("{table}{differences}{}", spoofing::told(false)))
}

fn closure(path: &str, case: &Case, port: u16) -> Found {
    let source = published(path).unwrap_or_else(|| panic!("{path} is not in the checkout"));
    let ruleset = rules(&source, TableName::Filter);
    found(&Reach::new(&ruleset, asked(case.chain, &[]), Opener::Other).expect("sets"), port)
}

fn one(case: &Case, port: u16, (table, differences): (&mut String, &mut String)) {
    let source = published(case.rules).unwrap_or_else(|| panic!("{} is not there", case.rules));
    let ruleset = match read(&source, TableName::Filter) {
        Ok(ruleset) => ruleset,
        Err(fault) => {
            if port == 22 {
                let name = case.name;
                let why = format!(
                    "\n{name} is left out: iptables takes it no longer.\n\n```\n{fault}```\n"
                );
                differences.push_str(&why);
            }
            return;
        }
    };
    let around = asked(case.chain, case.networks);
    let reach = Reach::new(&ruleset, around, Opener::Other).expect("sets");
    let ours = found(&reach, port);
    let (upper, lower) = (closure(case.upper, case, port), closure(case.lower, case, port));
    let chain = match case.chain {
        Chain::Forward => "FORWARD",
        Chain::Input => "INPUT",
    };
    let compared = Compared::of(&upper.possible, &ours.possible);
    let (allowed, possible) = counted(&upper.possible.pairs, &ours.possible.pairs);
    let (certain, surely) = counted(&ours.certain, &lower.possible.pairs);
    let (promised, _) = counted(&lower.possible.pairs, &ours.certain);
    let _ = writeln!(
        table,
        "| {} | {chain} | {port} | {} | {} | {} | {} |",
        case.name,
        upper.possible.classes.len(),
        ours.possible.classes.len(),
        share(possible, allowed),
        share(surely, certain),
    );
    let place = format!("{} {chain} {port}", case.name);
    for (from, to) in &compared.only_second {
        let [from, to] = [from, to].map(|at| compared.joint[*at].first);
        println!("{place}: {from:#x} > {to:#x} is open here alone");
    }
    assert!(compared.only_second.is_empty(), "{place}");
    let as_many = upper.possible.classes.len() == ours.possible.classes.len();
    assert!(as_many || !compared.only_first.is_empty(), "{place}: classes without a cause");
    assert_eq!(surely, promised, "{place}: the lower closure promises more");
    if !compared.only_first.is_empty() {
        let _ = write!(differences, "\n### {}, {chain}, port {port}\n\n", case.name);
        let evidence = Evidence { reach: &reach, source: &source, table: TableName::Filter, port };
        differences.push_str(&evidence.told(&compared));
    }
}

fn share(of: u128, all: u128) -> String {
    match (of, all) {
        (_, 0) => String::from("none open"),
        (of, all) if of == all => String::from("all"),
        (0, _) => String::from("none"),
        (of, all) => match of as f64 / all as f64 * 100.0 {
            share if share > 99.999 => String::from("over 99.999 %"),
            share if share < 0.001 => String::from("under 0.001 %"),
            share => format!("{share:.3} %"),
        },
    }
}
