//! What table tests of matches share: a rule's texts, and packets through its matches.

use crate::evaluate::{AddressType, HostFacts, Logged, State, Stores, Traversal};
use crate::explain::{Piece, Pieces};
use crate::model::{Rule, Ruleset};
use crate::syntax::iptables_save::{self, Print};
use crate::verdict::Answer;
use alloc::{format, string::String, vec, vec::Vec};
use keepstate_conntrack::{Hook, Sysctls, Table as Connections, table::Template};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed};

fn load(family: Family, rule: &str) -> Result<Ruleset, String> {
    let source = format!("*filter\n-A INPUT {rule}\nCOMMIT\n");
    iptables_save::parse(&source, family)
        .map_err(|faults| faults.iter().map(|fault| fault.render("rule", &source)).collect())
}

fn rule_of(ruleset: &Ruleset) -> &Rule {
    let mut rules = ruleset.tables[0].chains.iter().flat_map(|chain| &chain.rules);
    rules.next().expect("a rule")
}

/// The rule as it is saved, without `-A INPUT `; or what is wrong with it.
pub(super) fn saved(family: Family, rule: &str) -> Result<String, String> {
    let text = iptables_save::print(&load(family, rule)?, Print::default());
    let line = text.lines().find_map(|line| line.strip_prefix("-A INPUT "));
    Ok(line.expect("a rule").into())
}

/// What its matches print in a listing, with names and with numbers.
pub(super) fn listed(family: Family, rule: &str) -> [String; 2] {
    let ruleset = load(family, rule).expect("a rule");
    [false, true].map(|numeric| {
        let mut out = String::new();
        rule_of(&ruleset).matches.iter().for_each(|one| one.list(&mut out, numeric));
        out
    })
}

/// What its matches say of themselves.
pub(super) fn explained(family: Family, rule: &str) -> Pieces {
    let ruleset = load(family, rule).expect("a rule");
    let mut pieces = Pieces::new();
    rule_of(&ruleset).matches.iter().for_each(|one| one.explain(&mut pieces));
    pieces
}

/// One row: the rule, what it is saved as (`=`: the same; empty: it is refused), and its listings
/// (`=`: the one with numbers is like the one with names).
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str);

/// Each row as it says; what is saved loads again and is saved alike; each condition is a clause.
pub(super) fn check(family: Family, rows: &[Row]) {
    for (rule, wanted, names, numbers) in rows {
        let found = saved(family, rule);
        if wanted.is_empty() {
            assert!(found.is_err(), "{rule} is read as {found:?}");
            continue;
        }
        let wanted = if *wanted == "=" { rule } else { wanted };
        assert_eq!(found.as_deref(), Ok(*wanted), "{rule}");
        assert_eq!(saved(family, wanted).as_deref(), Ok(*wanted), "{rule}, read again");
        let numbers = if *numbers == "=" { names } else { numbers };
        assert_eq!(listed(family, rule), [*names, *numbers], "{rule}");
        for piece in explained(family, rule) {
            let ends = |text: &str| text.ends_with('.');
            match piece {
                Piece::Condition(text) => assert!(!ends(&text), "{text}"),
                Piece::Note(text) | Piece::Caution(text) => assert!(ends(&text), "{text}"),
                Piece::Effect(_) | Piece::Term(_) => {}
            }
        }
    }
}

/// A host of which nothing is known but this.
#[derive(Debug, Default)]
pub(super) struct TestHost {
    pub(super) cpu: Option<u32>,
    pub(super) minutes_west: Option<i32>,
}

impl HostFacts for TestHost {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }

    fn cpu(&self) -> Option<u32> {
        self.cpu
    }

    fn minutes_west(&self) -> Option<i32> {
        self.minutes_west
    }
}

/// The matches of one rule, with their memory.
pub(super) struct Bench {
    ruleset: Ruleset,
    memory: Vec<State>,
    stores: Stores,
    /// The host.
    pub(super) host: TestHost,
    /// The clock.
    pub(super) now: Instant,
    /// The packet's mark.
    pub(super) mark: u32,
}

impl Bench {
    pub(super) fn new(family: Family, rule: &str) -> Self {
        let ruleset = load(family, rule).expect("a rule");
        let memory = rule_of(&ruleset).matches.iter().map(|one| one.initial()).collect();
        let (now, stores) = (Instant(1_000_000_000_000), Stores::new(7));
        Self { ruleset, memory, stores, host: TestHost::default(), now, mark: 0 }
    }

    /// What the matches say of a packet, from its IP header on; the header of the rule is not asked.
    pub(super) fn answer(&mut self, packet: &[u8]) -> Answer {
        let mut parsed = Parsed::new(packet).expect("a packet");
        let interfaces = ["eth0"].map(InterfaceName::new);
        let mut traversal = Traversal {
            now: self.now,
            hook: Hook::Input,
            in_interface: interfaces[0].as_ref(),
            out_interface: None,
            packet: &mut parsed,
            bytes: &mut packet.to_vec(),
            link: LinkInfo::default(),
            frame: None,
            mark: self.mark,
            secmark: 0,
            priority: 0,
            traced: false,
            verified: false,
            unfinished: &mut None,
            tracked: None,
            template: &mut Template::default(),
            conntrack: &mut Connections::new([1, 2], Sysctls { max: 64, ..Sysctls::default() }),
            host: &self.host,
            stores: &mut self.stores,
            log: &mut Vec::new(),
            unknown: None,
        };
        let matches = rule_of(&self.ruleset).matches.iter().zip(&mut self.memory);
        let answers = matches.map(|(one, state)| one.matches(&mut traversal, state));
        answers.into_iter().find(|answer| *answer != Answer::Yes).unwrap_or(Answer::Yes)
    }
}

/// What the first match of a rule says of a datagram, with what rules share, at 250 milliseconds.
pub(super) fn ask_with(rule: &Rule, stores: &mut Stores) -> Answer {
    ask_packet_with(rule, &ipv4(17, &[0; 8]), stores).0
}

/// What the last match of a rule says of a packet then, and what it logs.
pub(super) fn ask_packet_with(
    rule: &Rule,
    packet: &[u8],
    stores: &mut Stores,
) -> (Answer, Vec<Logged>) {
    let mut parsed = Parsed::new(packet).expect("a packet");
    let mut log = Vec::new();
    let mut traversal = Traversal {
        now: Instant(250_000_000),
        hook: Hook::Input,
        in_interface: None,
        out_interface: None,
        packet: &mut parsed,
        bytes: &mut packet.to_vec(),
        link: LinkInfo::default(),
        frame: None,
        mark: 0,
        secmark: 0,
        priority: 0,
        traced: false,
        verified: false,
        unfinished: &mut None,
        tracked: None,
        template: &mut Template::default(),
        conntrack: &mut Connections::new([1, 2], Sysctls { max: 64, ..Sysctls::default() }),
        host: &TestHost::default(),
        stores,
        log: &mut log,
        unknown: None,
    };
    let one = rule.matches.last().expect("a match");
    let answer = one.matches(&mut traversal, &mut one.initial());
    (answer, log)
}

/// What the matches of a rule say of a packet that is the first to come.
pub(super) fn answer(rule: &str, packet: &[u8]) -> Answer {
    let family = Parsed::new(packet).expect("a packet").family;
    Bench::new(family, rule).answer(packet)
}

/// An IPv4 packet around what is given, from 10.0.0.1 to 192.0.2.1.
pub(crate) fn ipv4(protocol: u8, l4: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + l4.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0x12, 0x34, 0, 0, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 1, 192, 0, 2, 1]);
    packet.extend(l4);
    packet
}

/// A later fragment, at byte 8 of its datagram.
pub(super) fn later_fragment(protocol: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(protocol, data);
    packet[7] = 1;
    packet
}

/// An IPv6 packet around what is given, from 2001:db8::1 to 2001:db8::2.
pub(super) fn ipv6(next_header: u8, rest: &[u8]) -> Vec<u8> {
    let [high, low] = (rest.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, high, low, next_header, 64];
    for end in [1, 2] {
        packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
    }
    packet.extend(rest);
    packet
}
