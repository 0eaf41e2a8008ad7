//! Who can open what to whom: small rule sets by hand, and random ones whose every cell is asked of the engine.
//!
//! `KEEPSTATE_CHECKS` packets, 40,000 without it; `KEEPSTATE_SEED` begins elsewhere.

#[path = "../algebra/grammar.rs"]
#[expect(dead_code, reason = "packets are drawn otherwise here")]
mod grammar;
mod random;

use keepstate_analysis::graph::Graph;
use keepstate_analysis::reach::ends::{End, Written};
use keepstate_analysis::reach::{
    Answer, Around, Open, Opener, Question, Reach, Service, Shown, Toward, around, in_parts, spoof,
};
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_save;
use std::collections::BTreeMap;

pub(crate) fn ruleset(source: &str, family: Family) -> Ruleset {
    match iptables_save::parse(source, family) {
        Ok(ruleset) => ruleset,
        Err(faults) => panic!("{}", faults[0].render("rules", source)),
    }
}

/// Asks as the command does; `from` and `to` as people write them.
fn ask(source: &str, around: Around, from: &str, to: &str, service: Option<&str>) -> Answer {
    let family = Family::V4;
    let rules = ruleset(source, family);
    let names = ["eth0", "eth1", "docker0"].map(String::from);
    let [from, to] = [from, to].map(|text| Written::parse(text, family, &names).unwrap());
    let words = service.map(|word| Service::parse(word, family).unwrap());
    let services: Vec<_> = words.into_iter().chain(to.service.clone()).collect();
    let toward = if to.end == End::Host { Toward::Host } else { around.toward };
    let opener = if from.end == End::Host { Opener::Host } else { Opener::Other };
    let mut around = Around { toward, ..around };
    for end in [&from, &to] {
        let addresses = end.addresses(&around, family);
        around.asked.extend(addresses);
    }
    let reach = Reach::new(&rules, around, opener).unwrap();
    let lines = Lines::of(source);
    let load = || Some(ruleset(source, family));
    let shown = Shown { lines: &lines, load: &load };
    let all = services.is_empty();
    reach.answer(&Question { from, to, services, all }, &shown).unwrap()
}

/// The one matrix of an answer: classes as text, and the grid of signs.
fn grid(answer: &Answer) -> (Vec<String>, Vec<String>) {
    let [matrix] = answer.matrices.as_slice() else { panic!("{answer:?}") };
    let classes = matrix.from.iter().map(|class| class.addresses.clone()).collect();
    let row = |from: &str| {
        let sign = |to: &str| match matrix.cell(from, to).map(|cell| cell.open) {
            Some(Open::Certain) => '+',
            Some(Open::Possible) => '?',
            Some(Open::No) | None => '.',
        };
        matrix.to.iter().map(|class| sign(&class.name)).collect::<String>()
    };
    (classes, matrix.from.iter().map(|class| row(&class.name)).collect())
}

/// The engine says the same of each packet that is shown.
fn confirmed(answer: &Answer) {
    for matrix in &answer.matrices {
        let shown = matrix
            .cells
            .iter()
            .map(|cell| cell.witness.as_ref())
            .chain([matrix.closed.as_ref()].into_iter().filter(|one| one.is_some()));
        for witness in shown {
            let witness = witness.expect("a packet");
            let hangs = !witness.if_true.is_empty() || !witness.if_false.is_empty();
            assert!(hangs || witness.confirmed == Some(true), "{witness:#?}");
        }
    }
}

const GATEWAY: &str = "\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -s 10.1.0.0/16 -d 192.0.2.0/24 -p tcp --dport 22 -j ACCEPT
-A FORWARD -d 192.0.2.80/32 -p tcp -m multiport --dports 80,443 -j ACCEPT
-A FORWARD -s 10.1.0.0/16 -p udp --dport 53 -m limit --limit 5/sec -j ACCEPT
-A FORWARD -s 10.2.0.0/16 -p tcp --sport 20 -j ACCEPT
-A INPUT -s 10.1.0.5/32 -p tcp --dport 22 -j ACCEPT
COMMIT
";

#[test]
fn classes_are_the_coarsest_that_the_rules_tell_apart() {
    let answer = ask(GATEWAY, Around::default(), "any", "any", Some("tcp/22"));
    confirmed(&answer);
    let (classes, grid) = grid(&answer);
    let named = classes.iter().filter(|text| text.starts_with("10.") || text.starts_with("192."));
    assert_eq!(named.cloned().collect::<Vec<_>>(), ["10.1.0.0/16", "10.2.0.0/16", "192.0.2.0/24"]);
    // The rest first, for it begins first; 10.2.0.0/16 may take the port 20.
    assert_eq!(grid, ["....", "...+", "????", "...."]);
}

#[test]
fn what_hangs_on_more_than_addresses_splits_no_class() {
    let source = "*filter\n:FORWARD DROP [0:0]\n\
        -A FORWARD -s 10.3.0.0/16 -d 192.0.2.0/24 -p tcp --dport 23 -j ACCEPT\n\
        -A FORWARD -s 10.4.0.0/16 -d 192.0.2.0/24 -p tcp --dport 23 -m limit --limit 5/sec -j ACCEPT\n\
        COMMIT\n";
    let answer = ask(source, Around::default(), "any", "any", Some("tcp/23"));
    confirmed(&answer);
    let (classes, grid) = grid(&answer);
    assert_eq!(classes[1..], ["10.3.0.0/16,10.4.0.0/16", "192.0.2.0/24"]);
    assert_eq!(grid, ["...", "..?", "..."]);
    let cell = &answer.matrices[0].cells[0];
    let part = cell.certain.as_ref().expect("some pairs are certain");
    assert_eq!((part.from.as_str(), part.to.as_str()), ("10.3.0.0/16", "c"));
    assert!(part.is_whole);
    // The packet that is shown is one of those that hang on something.
    let witness = cell.witness.as_ref().expect("a packet");
    assert_eq!(witness.if_true, ["(filter FORWARD `limit --limit 5/sec`)"]);
    let text = keepstate_analysis::reach::render(&answer, "gw", &Default::default());
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("in every case from 10.3.0.0/16 to c"), "{text}");
}

#[test]
fn many_classes_are_told_by_source_and_by_destination() {
    let rule = |number: u32| {
        format!(
            "-A FORWARD -s 10.0.{number}.0/24 -d 192.0.2.{number} -p tcp --dport 22 -j ACCEPT\n"
        )
    };
    let rules: String = (0..40).map(rule).collect();
    let source = format!("*filter\n:FORWARD DROP [0:0]\n{rules}COMMIT\n");
    let answer = ask(&source, Around::default(), "any", "any", Some("tcp/22"));
    confirmed(&answer);
    let matrix = &answer.matrices[0];
    assert_eq!((matrix.is_square, matrix.from.len(), matrix.to.len()), (false, 41, 41));
    assert_eq!(matrix.cells.len(), 40);
    let text = keepstate_analysis::reach::render(&answer, "gw", &Default::default());
    assert!(text.contains("     b >  open b\n"), "{text}");
    // A class is named as source or as destination.
    let named = ask(&source, Around::default(), "class:c", "class:c", Some("tcp/22"));
    assert_eq!(named.matrices[0].from[0].addresses, "10.0.1.0/24");
    assert_eq!(named.matrices[0].to[0].addresses, "192.0.2.1");
    assert_eq!(named.open(), Open::Certain);
}

#[test]
fn a_client_may_be_said_to_take_one_port() {
    let around = |ports| Around { source_ports: Some(ports), ..Around::default() };
    let signs =
        |ports| grid(&ask(GATEWAY, around(ports), "10.2.0.1", "192.0.2.9", Some("tcp/9"))).1;
    assert_eq!(signs((20, 20)), ["+"]);
    assert_eq!(signs((10_000, 10_000)), ["."]);
    assert_eq!(signs((20, 21)), ["?"]);
}

#[test]
fn one_question_is_answered_with_the_way() {
    let answer = ask(GATEWAY, Around::default(), "10.1.2.3", "192.0.2.80:443", None);
    confirmed(&answer);
    assert_eq!(answer.open(), Open::Certain);
    let witness = answer.matrices[0].cells[0].witness.as_ref().unwrap();
    assert_eq!(witness.packet, "tcp 10.1.2.3:40000 > 192.0.2.80:443 syn in eth0");
    let decided = witness.decided().unwrap();
    assert_eq!(
        (decided.chain.as_str(), decided.number, decided.line),
        ("FORWARD", Some(3), Some(7))
    );
    let closed = ask(GATEWAY, Around::default(), "10.3.0.1", "192.0.2.9:22", None);
    confirmed(&closed);
    assert_eq!(closed.open(), Open::No);
    let witness = closed.matrices[0].closed.as_ref().unwrap();
    assert_eq!(witness.decided().unwrap().text, "policy of FORWARD");
    let possible = ask(GATEWAY, Around::default(), "10.1.0.1", "192.0.2.9:udp/53", None);
    assert_eq!(possible.open(), Open::Possible);
    let witness = possible.matrices[0].cells[0].witness.as_ref().unwrap();
    assert_eq!(witness.if_true, ["(filter FORWARD `limit --limit 5/sec`)"]);
}

#[test]
fn packets_to_the_hosts_own_addresses_go_through_input() {
    let local = around::ranges("192.0.2.1", Family::V4).unwrap();
    let around = || Around { local: Some(local.clone()), ..Around::default() };
    for (from, to, open) in [
        ("10.1.0.5", "192.0.2.1:22", Open::Certain),
        ("10.1.0.6", "192.0.2.1:22", Open::No),
        ("10.1.0.6", "192.0.2.2:22", Open::Certain),
        ("host", "198.51.100.1:25", Open::Certain),
    ] {
        let answer = ask(GATEWAY, around(), from, to, None);
        confirmed(&answer);
        assert_eq!(answer.open(), open, "{from} {to}");
    }
}

const DOCKER: &str = "\
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 15432 -j DNAT --to-destination 172.17.0.2:5432
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 5432 -j ACCEPT
COMMIT
";

#[test]
fn a_published_port_is_open_though_input_drops_it() {
    let local = around::ranges("192.0.2.1", Family::V4).unwrap();
    let known = Around { local: Some(local), ..Around::default() };
    for (around, to) in [(Around::default(), "host"), (known, "192.0.2.1")] {
        let answer = ask(DOCKER, around.clone(), "internet", &format!("{to}:15432"), None);
        confirmed(&answer);
        assert_eq!(answer.open(), Open::Certain);
        let witness = answer.matrices[0].cells[0].witness.as_ref().unwrap();
        assert_eq!(witness.becomes.as_deref(), Some("172.17.0.2:5432"));
        assert_eq!((witness.way, witness.outgoing.as_deref()), ("through", Some("docker0")));
        let met: Vec<_> = witness
            .rules
            .iter()
            .map(|rule| (rule.table, rule.chain.as_str(), rule.number))
            .collect();
        let expected = [
            ("nat", "PREROUTING", Some(1)),
            ("nat", "DOCKER", Some(2)),
            ("filter", "FORWARD", Some(2)),
            ("filter", "DOCKER", Some(1)),
            ("nat", "POSTROUTING", None),
        ];
        assert_eq!(met, expected);
        let closed = ask(DOCKER, around, "internet", &format!("{to}:5432"), None);
        confirmed(&closed);
        assert_eq!(closed.open(), Open::No, "{to}");
    }
}

#[test]
fn a_masqueraded_source_is_let_out_by_its_interface() {
    let mut around = Around::default();
    around.add("docker0", around::ranges("172.17.0.0/16", Family::V4).unwrap());
    let answer = ask(DOCKER, around.clone(), "172.17.0.9", "198.51.100.7:443", None);
    confirmed(&answer);
    assert_eq!(answer.open(), Open::Certain);
    let answer = ask(DOCKER, around, "198.51.100.7", "203.0.113.7:443", None);
    confirmed(&answer);
    assert_eq!(answer.open(), Open::No, "nothing else comes in by docker0");
}

#[test]
fn services_that_are_treated_alike_are_one_row() {
    let answer = ask(GATEWAY, Around::default(), "any", "any", None);
    let open: Vec<_> = answer
        .services
        .iter()
        .filter(|row| row.open != Open::No)
        .map(|row| (row.name.as_str(), row.open, row.from.as_str()))
        .collect();
    assert!(open.contains(&("tcp/80,443", Open::Certain, "any")), "{open:?}");
    assert!(open.iter().any(|row| row.0 == "tcp/22" && row.1 == Open::Certain), "{open:?}");
    assert!(open.contains(&("udp/53", Open::Possible, "10.1.0.0/16")), "{open:?}");
    let rest: Vec<_> = open.iter().filter(|row| row.2 == "10.2.0.0/16").collect();
    // What is open to some for certain, and to others perhaps, is a row of each.
    let ports = ["tcp/0-79,81-442,444-65535", "tcp/80,443"];
    let wanted = ports.map(|ports| (ports, Open::Possible, "10.2.0.0/16"));
    assert_eq!(rest, wanted.iter().collect::<Vec<_>>());
    let closed: Vec<_> = answer.services.iter().filter(|row| row.open == Open::No).collect();
    let names: Vec<_> = closed.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["icmp echo-request", "udp/0-52,54-65535"]);
}

const SPOOFED: &str = "\
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 ! -s 10.0.0.0/8 -j DROP
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m state --state ESTABLISHED -j ACCEPT
-A FORWARD -i eth0 -j ACCEPT
-A FORWARD -i eth1 -p tcp --dport 443 -j ACCEPT
-A FORWARD -i ppp0 -m limit --limit 1/sec -j ACCEPT
COMMIT
";

#[test]
fn spoofing_protection_is_certified_by_interface() {
    let family = Family::V4;
    let mut networks = Around::default();
    for (name, text) in [
        ("eth0", "10.0.0.0/8"),
        ("eth1", "192.0.2.0/24"),
        ("ppp0", "198.51.100.0/24"),
        ("wan", "0.0.0.0/0"),
    ] {
        networks.add(name, around::ranges(text, family).unwrap());
    }
    let rules = ruleset(SPOOFED, family);
    let lines = Lines::of(SPOOFED);
    let load = || Some(ruleset(SPOOFED, family));
    let shown = Shown { lines: &lines, load: &load };
    let found = spoof::spoofing(&rules, &networks, &[Toward::Beyond], &shown).unwrap();
    let open: Vec<_> = found.iter().map(|one| (one.interface.as_str(), one.open)).collect();
    let expected =
        [("eth0", Open::No), ("eth1", Open::Certain), ("ppp0", Open::Possible), ("wan", Open::No)];
    assert_eq!(open, expected);
    let witness = found[1].witness.as_ref().unwrap();
    assert_eq!(witness.confirmed, Some(true));
    assert!(witness.packet.ends_with("in eth1"), "{}", witness.packet);
    assert_eq!(found[1].from, "all but 192.0.2.0/24");
    // INPUT has no rules and accepts.
    let input =
        spoof::spoofing(&rules, &networks, &[Toward::Beyond, Toward::Host], &shown).unwrap();
    let open: Vec<_> = input.iter().map(|one| one.open).collect();
    assert_eq!(open, [Open::No, Open::Certain, Open::Certain, Open::No]);
}

#[test]
fn a_class_can_be_asked_about_by_its_name() {
    let all = ask(GATEWAY, Around::default(), "any", "any", Some("tcp/22"));
    let answer = ask(GATEWAY, Around::default(), "class:b", "class:d", Some("tcp/22"));
    assert_eq!(answer.matrices[0].from[0].addresses, all.matrices[0].from[1].addresses);
    assert_eq!(answer.open(), Open::Certain);
    assert!(answer.matrices[0].is_uniform());
}

#[test]
fn the_text_has_classes_grid_and_places() {
    let answer = ask(GATEWAY, Around::default(), "any", "any", Some("tcp/22"));
    let text = keepstate_analysis::reach::render(&answer, "gw", &Default::default());
    for part in [
        "OPEN FOR SOME  tcp/22 from any to any",
        "  b  10.1.0.0/16",
        "  from > a b c d",
        "     b   . . . +",
        "FORWARD 2 (gw:6)",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 96), "{text}");
}

#[test]
fn a_matrix_and_a_chain_are_drawn() {
    let answer = ask(GATEWAY, Around::default(), "any", "any", Some("tcp/22"));
    let graph = Graph::of_matrix(&answer.matrices[0]);
    assert_eq!((graph.nodes.len(), graph.edges.len()), (8, 5));
    let dot = graph.dot();
    assert!(dot.contains("n1 -> n7;\n") && dot.contains("n2 -> n4 [style=dashed];"), "{dot}");
    let svg = graph.svg();
    assert_eq!(svg.matches("<path d=\"M").count(), 5 + 1, "arrows, and their head: {svg}");
    assert_eq!(svg.matches("stroke-dasharray").count(), 4);
    let rules = ruleset(DOCKER, Family::V4);
    let graph = Graph::of_chain(&rules, TableName::Filter, "FORWARD").unwrap();
    let titles: Vec<_> = graph.nodes.iter().map(|node| (node.layer, node.title.as_str())).collect();
    assert_eq!(titles, [(0, "FORWARD  policy DROP"), (1, "DOCKER")]);
    assert_eq!(graph.edges[0].from, (0, 2));
    assert!(graph.svg().contains("! -i docker0"), "{}", graph.svg());
    assert!(graph.svg().matches("<text").count() == 2 + 4);
    assert_eq!(Graph::of_chain(&rules, TableName::Filter, "NOWHERE"), None);
}

#[test]
fn chains_that_lead_to_all_behind_them_are_drawn_once_each() {
    const COUNT: usize = 120;
    let mut source = String::from("*filter\n:INPUT ACCEPT [0:0]\n");
    for number in 0..COUNT {
        source.push_str(&format!(":c{number} - [0:0]\n"));
    }
    source.push_str(&format!("-A INPUT -j c{}\n", COUNT - 1));
    for number in 0..COUNT {
        for lower in 0..number {
            source.push_str(&format!("-A c{number} -j c{lower}\n"));
        }
    }
    source.push_str("COMMIT\n");
    let rules = ruleset(&source, Family::V4);
    let graph = Graph::of_chain(&rules, TableName::Filter, "INPUT").unwrap();
    let layers: Vec<usize> = graph.nodes.iter().map(|node| node.layer).collect();
    assert_eq!(layers, (0..=COUNT).collect::<Vec<_>>());
}

#[test]
fn what_a_graph_says_is_escaped() {
    let source = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment \"a <b> & \\\"c\\\"\" -j ACCEPT\nCOMMIT\n";
    let graph = Graph::of_chain(&ruleset(source, Family::V4), TableName::Filter, "INPUT").unwrap();
    assert!(graph.svg().contains("a &lt;b&gt; &amp; "), "{}", graph.svg());
    assert!(graph.dot().contains("\\\\\\\"c"), "{}", graph.dot());
}

/// A protocol with a port, or with types of messages.
type One = (u8, u16, Option<(u16, u16)>);

/// Rows of all services, port by port.
fn by_port(answer: &Answer) -> BTreeMap<One, String> {
    let mut all = BTreeMap::new();
    for row in &answer.services {
        let told = format!("{:?} from {} to {}", row.open, row.from, row.to);
        let ports = row.service.ports.iter().flat_map(|(low, high)| *low..=*high);
        for port in ports.chain(row.service.ports.is_empty().then_some(0)) {
            let known = all.insert((row.service.protocol, port, row.service.icmp), told.clone());
            assert_eq!(known, None, "{row:?}");
        }
    }
    all
}

#[test]
fn services_in_parts_are_told_as_all_at_once() {
    let mut source = String::from("*filter\n:FORWARD DROP [0:0]\n");
    for number in 0..120_u32 {
        let (port, host) = (1 + number * 487 % 60_000, number % 7);
        source.push_str(&format!(
            "-A FORWARD -s 10.0.{host}.0/24 -p tcp -m tcp --dport {port}:{} -j ACCEPT\n",
            port + number % 3
        ));
    }
    source.push_str("-A FORWARD -d 192.0.2.7 -p udp -m udp --dport 53 -j ACCEPT\n");
    source.push_str("-A FORWARD -p icmp -m icmp --icmp-type 8 -j ACCEPT\nCOMMIT\n");
    let rules = ruleset(&source, Family::V4);
    let any = || Written::parse("any", Family::V4, &[]).unwrap();
    let question = Question { from: any(), to: any(), services: Vec::new(), all: true };
    let parts = in_parts(&rules, &Around::default(), Opener::Other, &question).unwrap();
    let whole = ask(&source, Around::default(), "any", "any", None);
    assert!(parts.untold.is_empty() && whole.untold.is_empty());
    assert_eq!(by_port(&parts), by_port(&whole));
    assert!(by_port(&whole).len() > 2 * 65_536);
}
