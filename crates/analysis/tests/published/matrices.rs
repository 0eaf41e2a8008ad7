//! The published service matrices.

use super::compare::{Compared, Matrix};
use super::evidence::Evidence;
use super::sets::{Chain, MATRICES};
use super::{V4, asked, found, here, rules};
use keepstate_analysis::algebra::rows::{Values, tidy};
use keepstate_analysis::reach::{Opener, Reach, around};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The matrices of `matrices.txt`, by name of the rule set and port.
fn read() -> Vec<(String, u16, Matrix)> {
    let source = here("matrices.txt");
    let mut all = Vec::new();
    for section in source.split("\n== ").skip(1) {
        let (head, body) = section.split_once('\n').expect("a head");
        let (name, port) = head.split_once(' ').expect("a name and a port");
        all.push((name.to_string(), port.parse().expect("a port"), matrix(body)));
    }
    all
}

fn matrix(body: &str) -> Matrix {
    let mut classes: BTreeMap<&str, Values> = BTreeMap::new();
    let mut by_destination: BTreeMap<&str, Values> = BTreeMap::new();
    for line in body.lines() {
        if let Some((name, ranges)) = line.split_once(" |-> ") {
            classes.insert(name, values(ranges));
        } else if let Some(pair) = line.strip_prefix('(') {
            let (from, to) = pair.trim_end_matches(')').split_once(',').expect("a pair");
            by_destination.entry(to).or_default().extend(&classes[from]);
        }
    }
    let pairs = by_destination.into_iter().map(|(to, mut sources)| {
        tidy(&mut sources);
        (sources, classes[to].clone())
    });
    Matrix { pairs: pairs.collect(), classes: classes.into_values().collect() }
}

/// `{10.0.0.0 .. 10.255.255.255} u 192.0.2.1`.
fn values(text: &str) -> Values {
    let one = |part: &str| {
        let range = part.trim_matches(['{', '}']).replace(" .. ", "-");
        around::range(&range, V4).unwrap_or_else(|why| panic!("{part}: {why}"))
    };
    let mut values: Values = text.split(" u ").map(one).collect();
    tidy(&mut values);
    values
}

pub(crate) fn told() -> String {
    let mut text = String::from(
        "\n## Service matrices\n\n\
         | rule set | chain | port | classes, theirs | classes, ours | pairs of classes open there alone | here alone |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut differences = String::new();
    for (name, port, theirs) in read() {
        let case = MATRICES.iter().find(|case| case.name == name);
        let case = case.unwrap_or_else(|| panic!("{name} has no rules"));
        let source = here(case.name);
        let ruleset = rules(&source, case.table);
        let around = asked(case.chain, case.networks);
        let reach = Reach::new(&ruleset, around, Opener::Other).expect("sets");
        let ours = found(&reach, port);
        let compared = Compared::of(&theirs, &ours.possible);
        let chain = match case.chain {
            Chain::Forward => "FORWARD",
            Chain::Input => "INPUT",
        };
        let _ = writeln!(
            text,
            "| {name} | {chain} | {port} | {} | {} | {} of {} | {} |",
            theirs.classes.len(),
            ours.possible.classes.len(),
            compared.only_first.len(),
            compared.joint.len() * compared.joint.len(),
            compared.only_second.len(),
        );
        let evidence = Evidence { reach: &reach, source: &source, table: case.table, port };
        assert!(compared.only_second.is_empty(), "{name} {port}: open here alone");
        let as_many = theirs.classes.len() == ours.possible.classes.len();
        assert!(
            as_many || !compared.only_first.is_empty(),
            "{name} {port}: classes without a cause"
        );
        if !compared.only_first.is_empty() {
            let _ = write!(differences, "\n### {name}, port {port}\n\n");
            differences.push_str(&evidence.told(&compared));
        }
    }
    let about = "\nPairs of classes are counted in the classes that tell apart what either tells apart. \
                 Where there are more classes here, the pairs below split them: without those pairs both have the same.\n";
    format!("{text}{about}{differences}")
}
