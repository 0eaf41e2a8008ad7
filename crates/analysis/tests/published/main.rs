//! Beside the verified analyser's published results (Diekmann, Hupel, Michaelis, Haslbeck, Carle: "Verified iptables
//! Firewall Analysis and Verification", J. Autom. Reasoning 61, 2018; github.com/diekmann/Iptables_Semantics): its
//! service matrices, its spoofing results, and the simplified firewalls that it makes of rule sets.
//!
//! The matrices with their rule sets stand in `data`. A checkout of that repository in
//! `KEEPSTATE_IPTABLES_SEMANTICS` adds the rule sets of which it has simplified firewalls (files `*.upper` and
//! `*.lower`); without, it is said that they are left out. `KEEPSTATE_WRITE=1` writes `docs/reach-against-fffuu.md`,
//! which is compared otherwise.

mod closures;
mod compare;
mod evidence;
mod matrices;
mod sets;
mod spoofing;

use compare::{Matrix, Products};
use keepstate_analysis::algebra::space::Group;
use keepstate_analysis::reach::classes::{Side, classes};
use keepstate_analysis::reach::{Around, Reach, Service, Toward, around};
use keepstate_packet::{Family, tcp};
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::syntax::{iptables_list, iptables_save};
use sets::Chain;
use std::path::{Path, PathBuf};

const V4: Family = Family::V4;
/// The port that every client takes in the published matrices.
const CLIENT: u16 = 10_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn checkout() -> Option<PathBuf> {
    std::env::var_os("KEEPSTATE_IPTABLES_SEMANTICS").map(PathBuf::from)
}

/// A file that stands in `data` here.
fn here(name: &str) -> String {
    let path = root().join("crates/analysis/tests/published/data").join(name);
    readable(&std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display())))
}

/// A file of their repository: from the checkout, or as the shared test material has it.
fn published(path: &str) -> Option<String> {
    let flat = path.replace('/', "__");
    let shared = ["../shared", "../../shared"]
        .map(|up| root().join(up).join("rulesets/Iptables_Semantics").join(&flat));
    let places = checkout().map(|checkout| checkout.join(path)).into_iter().chain(shared);
    places.into_iter().find_map(|place| std::fs::read(place).ok()).map(|bytes| readable(&bytes))
}

/// A range of ports that ends before it begins, in the rules of 2014: iptables took it then, and it matches nothing.
const NO_PORT: &str = "60000:29";

/// Addresses of hardware are left out of the published files, and some of their forms are no longer taken.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("XX:XX:XX:XX:XX:XX", "02:00:00:00:00:01");
    let text = text.replace(" --days ", " --weekdays ");
    // The line stays, for the numbers of the others.
    let line = |line| if str::contains(line, NO_PORT) { "" } else { line };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// The rules of one table: it looks at one. In others stand forms that iptables no longer takes.
fn rules(source: &str, table: TableName) -> Ruleset {
    read(source, table).unwrap_or_else(|fault| panic!("{fault}"))
}

fn read(source: &str, table: TableName) -> Result<Ruleset, String> {
    let mut inside = iptables_list::is_listing(source);
    let line = |line: &'_ str| {
        if let Some(name) = line.strip_prefix('*') {
            inside = name.trim() == table.as_str();
        }
        // As long as it is, for the places of the others.
        if inside { line.to_string() } else { "#".repeat(line.len()) }
    };
    let lines = source.lines().map(line).collect::<Vec<_>>();
    let source = &(lines.join("\n") + "\n");
    let parsed = match iptables_list::is_listing(source) {
        true => iptables_list::parse(source, V4, &LabelNames::default()).map(|one| one.ruleset),
        false => iptables_save::parse(source, V4),
    };
    let mut ruleset = parsed.map_err(|faults| faults[0].render("", source))?;
    ruleset.tables.retain(|one| one.name == table);
    Ok(ruleset)
}

/// The question that its matrices answer: from the port 10000, whatever the interfaces are; a source is behind its
/// interface, a destination behind any.
fn asked(chain: Chain, networks: &[(&str, &str)]) -> Around {
    let mut around = Around {
        toward: match chain {
            Chain::Input => Toward::Host,
            Chain::Forward => Toward::Beyond,
        },
        source_ports: Some((CLIENT, CLIENT)),
        trusts_routes: false,
        martians: true,
        ..Around::default()
    };
    for (name, text) in networks {
        around
            .read(&format!("{name} = {text}"), V4)
            .unwrap_or_else(|(_, why)| panic!("{name}: {why}"));
    }
    around
}

/// What is found of a service.
struct Found {
    possible: Matrix,
    certain: Products,
}

fn found(reach: &Reach<'_>, port: u16) -> Found {
    let service = Service::of_ports(tcp::PROTOCOL, port, port);
    let pairs = reach.pairs(&service, &reach.space.every()).expect("pairs");
    let domain = vec![(0, around::last(V4))];
    let classes = classes(&reach.space, &pairs.possible, &domain, Side::Both).expect("classes");
    let products = |set| -> Products {
        let parts = reach.space.parts(set, Group::Field(Field::Destination)).expect("parts");
        let split = parts.into_iter().map(|(rest, destinations)| {
            let sources = reach.space.parts(&rest, Group::Field(Field::Source)).expect("parts");
            (sources.into_iter().flat_map(|(_, values)| values).collect(), destinations)
        });
        split.collect()
    };
    let possible = Matrix { classes, pairs: products(&pairs.possible) };
    Found { possible, certain: products(&pairs.certain) }
}

const HEAD: &str = "\
# `reach` beside the verified analyser

Written by `KEEPSTATE_WRITE=1 cargo test --release -p keepstate-analysis --test published`, which compares it otherwise;
what is taken from <https://github.com/diekmann/Iptables_Semantics> (commit e0a2516bd885) stands in
`crates/analysis/tests/published/data`, the rest is read from a checkout in `KEEPSTATE_IPTABLES_SEMANTICS`.

That analyser (fffuu) makes a simpler firewall of a rule set and proves that it lets through at least all packets that
the rules let through (the upper closure), or at most those (the lower one). Its service matrices are read off the upper
closure: TCP from port 10000 to one port, between classes of addresses that it treats alike. On the way it forgets what
its simple firewall has no words for: `-o`, `-i` where interfaces share addresses, `-m recent`, `-m mac`, flags, `-p sctp`. In the
upper closure a rule that accepts then accepts more, and one that drops is left out. `reach` forgets none of it: a pair
of addresses is open where there is a packet between them that passes, by an interface and with answers of the matches
that no packet tells. So what is open here has to be open there; this is asserted for every pair of addresses. What is
open there alone is listed below, each with the rules that close it here, interface by interface, and a packet of which
the engine has said the same.
";

#[test]
fn reach_stands_beside_the_published_results() {
    let mut text = HEAD.to_string();
    text.push_str(&matrices::told());
    text.push_str(&spoofing::told(true));
    let closures = closures::told();
    let path = root().join("docs/reach-against-fffuu.md");
    match closures {
        Some(closures) => {
            text.push_str(&closures);
            if std::env::var_os("KEEPSTATE_WRITE").is_some() {
                std::fs::write(&path, &text).expect("docs");
            }
            let written = std::fs::read_to_string(&path).expect("docs");
            assert_eq!(written, text, "KEEPSTATE_WRITE=1 writes it anew");
        }
        None => {
            println!(
                "skipped: the simplified firewalls (KEEPSTATE_IPTABLES_SEMANTICS names no checkout)"
            );
            let written = std::fs::read_to_string(&path).expect("docs");
            assert!(written.starts_with(&text), "what is said of matrices has changed:\n{text}");
        }
    }
}
