//! Random rule sets: what is said of two classes is asked of the engine for addresses of them.

use super::grammar::{self, Draw};
use super::ruleset;
use keepstate_analysis::reach::matrix::{Class, Matrix};
use keepstate_analysis::reach::{Around, Open, Opener, Reach, Service, Shown, Toward, around};
use keepstate_analysis::trace::notation::Reader;
use keepstate_conntrack::Sysctls;
use keepstate_engine::{
    Engine, Forwarding, Host, Interface, InterfaceIndex, Network, Packet, Route, Verdict,
};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo};
use keepstate_ruleset::diagnostic::Lines;
use std::collections::BTreeMap;

/// All that the grammar's rules can tell apart, but the loopback interface.
const INTERFACES: [&str; 7] = ["eth0", "eth1", "eth10", "eth", "ppp0", "wan", "if0"];

fn number_of(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A router that sends everything out of one interface, or has everything for itself.
fn host(family: Family, out: Option<usize>, own: Option<u128>) -> Host {
    let interfaces =
        INTERFACES.map(|name| Interface::new(InterfaceName::new(name).unwrap(), 65_521));
    let all = Network { family, address: Address::default(), prefix: 0 };
    let width = if family == Family::V4 { 32 } else { 128 };
    let own =
        own.map(|own| Network { family, address: around::address(family, own), prefix: width });
    Host {
        routes: out.map(|out| Route::new(all, InterfaceIndex(out as u16))).into_iter().collect(),
        local: own.into_iter().collect(),
        ..Host::new(interfaces.into(), Forwarding::Router)
    }
}

struct Engines<'s> {
    source: &'s str,
    family: Family,
    through: BTreeMap<usize, Engine>,
}

impl Engines<'_> {
    fn made(&self, host: Host) -> Engine {
        let sysctls = Sysctls { max: 16, ..Sysctls::default() };
        Engine::new([1, 2], host, sysctls, vec![ruleset(self.source, self.family)])
    }

    /// Whether a packet passes; `out`: none for the host itself.
    fn passes(&mut self, packet: &str, to: u128, out: Option<usize>) -> bool {
        let mut reader = Reader::default();
        reader.lines(packet).unwrap_or_else(|fault| panic!("{packet}: {fault}"));
        let mut written = reader.finish().pop().unwrap();
        let incoming =
            INTERFACES.iter().position(|name| packet.ends_with(&format!(" in {name}"))).unwrap();
        let mut run = |engine: &mut Engine| {
            let interface = Some(InterfaceIndex(incoming as u16));
            let link = LinkInfo { source: Some([2, 0, 0, 0, 0, 1]), ..LinkInfo::default() };
            let packet =
                Packet { bytes: &mut written.bytes, interface, family: None, link, mark: 0 };
            engine.handle_packet(Instant(1_000_000_000_000), packet).verdict == Verdict::Accept
        };
        match out {
            None => run(&mut self.made(host(self.family, None, Some(to)))),
            Some(out) => {
                if !self.through.contains_key(&out) {
                    let made = self.made(host(self.family, Some(out), None));
                    self.through.insert(out, made);
                }
                let engine = self.through.get_mut(&out).unwrap();
                engine.restart();
                run(engine)
            }
        }
    }
}

/// An address of a class, its edges often.
fn member(draw: &mut Draw, class: &Class) -> u128 {
    let (low, high) = class.values[draw.below(class.values.len() as u64) as usize];
    match draw.below(4) {
        0 => low,
        1 => high,
        _ => low + u128::from(draw.next()) % (high - low).saturating_add(1),
    }
}

#[test]
fn what_is_said_of_classes_holds_for_their_packets() {
    let wanted = number_of("KEEPSTATE_CHECKS", 40_000);
    let mut seed = number_of("KEEPSTATE_SEED", 1);
    let (mut checks, mut cells) = (0, BTreeMap::<String, u64>::new());
    while checks < wanted {
        let mut draw = Draw::new(seed);
        let family = if draw.one_in(3) { Family::V6 } else { Family::V4 };
        let (source, _) = grammar::ruleset(&mut draw, family);
        let rules = ruleset(&source, family);
        let toward = if draw.one_in(2) { Toward::Host } else { Toward::Beyond };
        let around = Around { toward, ..Around::default() };
        let reach = Reach::new(&rules, around, Opener::Other).expect("sets");
        let lines = Lines::of(&source);
        let load = || Some(ruleset(&source, family));
        let shown = Shown { lines: &lines, load: &load };
        for word in ["tcp/22", "udp/53", "icmp", "gre"] {
            let service = Service::parse(word, family).unwrap();
            let matrix = reach.matrix(&service, &reach.everywhere(), &shown).expect("a matrix");
            for cell in &matrix.cells {
                let witness = cell.witness.as_ref().expect("a packet");
                let hangs = !witness.if_true.is_empty() || !witness.if_false.is_empty();
                assert!(
                    witness.confirmed != Some(false) || hangs,
                    "seed {seed} {witness:#?}\n{source}"
                );
                let ends = |one: &Class| one.values.clone();
                let of = |classes: &[Class], name: &str| {
                    classes.iter().find(|one| one.name == name).map(ends)
                };
                let is_same = of(&matrix.from, &cell.from) == of(&matrix.to, &cell.to);
                if cell.open == Open::Certain && !is_same {
                    assert_eq!(witness.confirmed, Some(true), "seed {seed} {witness:#?}\n{source}");
                }
            }
            let mut engines = Engines { source: &source, family, through: BTreeMap::new() };
            for _ in 0..6 {
                let open = check(&mut draw, &matrix, &mut engines, word, toward, seed, &mut checks);
                *cells.entry(format!("{open:?}")).or_default() += 1;
            }
        }
        seed += 1;
    }
    println!("{checks} packets, cells {cells:?}");
    assert_eq!(cells.len(), 3, "of each kind some: {cells:?}");
}

/// One pair of addresses, by all interfaces: how open it is said to be.
fn check(
    draw: &mut Draw,
    matrix: &Matrix,
    engines: &mut Engines<'_>,
    word: &str,
    toward: Toward,
    seed: u64,
    checks: &mut u64,
) -> Open {
    let family = engines.family;
    let [from, to] = [&matrix.from, &matrix.to]
        .map(|classes| &classes[draw.below(classes.len() as u64) as usize]);
    let (source, destination) = (member(draw, from), member(draw, to));
    if source == destination {
        // An address of the host as source is none of another's.
        return Open::No;
    }
    let open = matrix.cell(&from.name, &to.name).map_or(Open::No, |cell| cell.open);
    let end = |number: u128| around::address(family, number).ip(family);
    let packet = |port: u16, incoming: &str| {
        let (source, destination) = (end(source), end(destination));
        let ends = |port: u16, other: u16| match source {
            std::net::IpAddr::V4(_) => format!("{source}:{port} > {destination}:{other}"),
            std::net::IpAddr::V6(_) => format!("[{source}]:{port} > [{destination}]:{other}"),
        };
        let icmp = if family == Family::V4 { "icmp" } else { "icmpv6" };
        match word {
            "tcp/22" => format!("tcp {} syn in {incoming}", ends(port, 22)),
            "udp/53" => format!("udp {} in {incoming}", ends(port, 53)),
            "icmp" => format!("{icmp} {source} > {destination} echo-request in {incoming}"),
            _ => format!("47 {source} > {destination} in {incoming}"),
        }
    };
    let ports = [1_024, 65_535, 1_024 + draw.below(64_000) as u16, 40_000];
    let outs: Vec<Option<usize>> = match toward {
        Toward::Host => vec![None],
        Toward::Beyond => (0..INTERFACES.len()).map(Some).collect(),
    };
    let (mut any, mut all_by_some) = (false, false);
    for incoming in INTERFACES {
        for out in &outs {
            let mut all = true;
            for port in ports {
                let packet = packet(port, incoming);
                let passes = engines.passes(&packet, destination, *out);
                *checks += 1;
                any |= passes;
                all &= passes;
                assert!(
                    open != Open::No || !passes,
                    "seed {seed}: {packet} passes\n{}",
                    engines.source
                );
            }
            all_by_some |= all;
        }
    }
    let said = format!("seed {seed}: {source:#x} > {destination:#x} {word} {toward:?}");
    assert!(open != Open::Certain || all_by_some, "{said} is not open\n{}", engines.source);
    assert!(open != Open::Certain || any);
    open
}
