//! For the tests of matches that ask the host: one rule, one packet, and a host that knows what the test
//! says.

use super::{
    AddressType, BridgePorts, Ends, HostFacts, PolicyDirection, ReversePath, Sender, Socket, State,
    Stores, TableState, Transformation, Traversal, Unknown, evaluate,
};
use crate::model::Rule;
use crate::syntax::iptables_save::{self, Print};
use crate::verdict::{Answer, Verdict};
use alloc::{format, string::String, vec::Vec};
use keepstate_conntrack::{Hook, Sysctls, Table, table::Template};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed};

/// What the host knows; nothing by itself.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) reverse_path: Option<ReversePath>,
    /// Of eth0 and of eth1.
    pub(crate) groups: Option<[u32; 2]>,
    pub(crate) bridge_ports: Option<BridgePorts>,
    pub(crate) sender: Whose,
    pub(crate) receiver: Option<Option<Socket>>,
    pub(crate) policy: Option<Vec<Transformation>>,
    pub(crate) realm: Option<u32>,
    pub(crate) balanced: Option<bool>,
}

/// [`Sender`], owned.
#[derive(Clone, Debug, Default)]
pub(crate) enum Whose {
    #[default]
    Unknown,
    Nobody,
    Kernel,
    Socket(Socket),
}

impl HostFacts for Known {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }
    fn reverse_path(&self, _: Family, _: Address, _: InterfaceName) -> Option<ReversePath> {
        self.reverse_path
    }
    fn interface_group(&self, name: InterfaceName) -> Option<u32> {
        self.groups.map(|[first, second]| if name.as_str() == "eth0" { first } else { second })
    }
    fn bridge_ports(&self) -> Option<BridgePorts> {
        self.bridge_ports
    }
    fn sender(&self, _: &Parsed) -> Option<Sender<'_>> {
        match &self.sender {
            Whose::Unknown => None,
            Whose::Nobody => Some(Sender::Nobody),
            Whose::Kernel => Some(Sender::Kernel),
            Whose::Socket(socket) => Some(Sender::Socket(socket)),
        }
    }
    fn receiver(&self, _: &Ends) -> Option<Option<&Socket>> {
        self.receiver.as_ref().map(Option::as_ref)
    }
    fn policy(&self, _: PolicyDirection, _: &Parsed) -> Option<&[Transformation]> {
        self.policy.as_deref()
    }
    fn realm(&self, _: Hook, _: &Parsed) -> Option<u32> {
        self.realm
    }
    fn is_balanced(&self) -> Option<bool> {
        self.balanced
    }
}

fn source(table: &str, chain: &str, rule: &str) -> String {
    format!("*{table}\n-A {chain} {rule}\nCOMMIT\n")
}

/// Whether the rule is refused in this chain.
pub(crate) fn refused(table: &str, chain: &str, rule: &str, family: Family) -> bool {
    iptables_save::parse(&source(table, chain, rule), family).is_err()
}

/// A rule as it is saved, without `-A CHAIN`; its one match as `iptables -L -n` lists it, and without
/// `-n`.
pub(crate) fn forms(
    table: &str,
    chain: &str,
    rule: &str,
    family: Family,
) -> (String, String, String) {
    let text = source(table, chain, rule);
    let ruleset = iptables_save::parse(&text, family)
        .unwrap_or_else(|faults| panic!("{}", faults[0].render("rules", &text)));
    let printed = iptables_save::print(&ruleset, Print::default());
    let beginning = format!("-A {chain} ");
    let saved = printed.lines().find_map(|line| line.strip_prefix(&beginning)).unwrap_or_default();
    let rules = || ruleset.tables[0].chains.iter().flat_map(|chain| &chain.rules);
    let list = |numeric| {
        let mut out = String::new();
        rules().for_each(|rule| rule.matches[0].list(&mut out, numeric));
        out.trim_start().into()
    };
    (saved.into(), list(true), list(false))
}

/// Whether a match matches an IPv4 or IPv6 packet; `None` where that is unknown.
pub(crate) fn matched(hook: Hook, rule: &str, bytes: &[u8], known: &Known) -> Option<bool> {
    matched_and_marked(hook, rule, bytes, known).0
}

/// The same, with the mark that the packet has then.
pub(crate) fn matched_and_marked(
    hook: Hook,
    rule: &str,
    bytes: &[u8],
    known: &Known,
) -> (Option<bool>, u32) {
    let mut packet = Parsed::new(bytes).unwrap();
    let text = source("mangle", crate::model::builtin_name(hook), rule);
    let ruleset = iptables_save::parse(&text, packet.family)
        .unwrap_or_else(|faults| panic!("{}", faults[0].render("rules", &text)));
    let rule: &Rule =
        ruleset.tables[0].chains.iter().find_map(|chain| chain.rules.first()).unwrap();
    let (answer, mark) = traverse(hook, &mut packet, bytes, known, |traversal| {
        let answer = rule.matches.last().unwrap().matches(traversal, &mut State::default());
        (answer, traversal.mark)
    });
    let answer = match answer {
        Answer::Yes => Some(true),
        Answer::No => Some(false),
        Answer::Unknown => None,
        Answer::Hotdrop => panic!("{rule:?} drops"),
    };
    (answer, mark)
}

/// How a packet fares with rules of the mangle table, and what was unknown then.
pub(crate) fn walked(
    hook: Hook,
    rules: &[&str],
    bytes: &[u8],
    known: &Known,
) -> (Verdict, Option<Unknown>) {
    let mut packet = Parsed::new(bytes).unwrap();
    let chain = crate::model::builtin_name(hook);
    let lines: String = rules.iter().map(|rule| format!("-A {chain} {rule}\n")).collect();
    let text = format!("*mangle\n{lines}COMMIT\n");
    let ruleset = iptables_save::parse(&text, packet.family)
        .unwrap_or_else(|faults| panic!("{}", faults[0].render("rules", &text)));
    let table = &ruleset.tables[0];
    let mut state = TableState::new(table);
    traverse(hook, &mut packet, bytes, known, |traversal| {
        let (verdict, _) = evaluate(table, &mut state, traversal, &mut ());
        (verdict, traversal.unknown)
    })
}

fn traverse<T>(
    hook: Hook,
    packet: &mut Parsed,
    bytes: &[u8],
    known: &Known,
    work: impl FnOnce(&mut Traversal<'_>) -> T,
) -> T {
    let (inward, outward) = match hook {
        Hook::Prerouting | Hook::Input => (true, false),
        Hook::Forward => (true, true),
        Hook::Output | Hook::Postrouting => (false, true),
    };
    let [first, second] = ["eth0", "eth1"].map(InterfaceName::new);
    let mut traversal = Traversal {
        now: Instant(1_000_000_000_000),
        hook,
        in_interface: first.as_ref().filter(|_| inward),
        out_interface: second.as_ref().filter(|_| outward),
        packet,
        bytes: &mut bytes.to_vec(),
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
        conntrack: &mut Table::new([1, 2], Sysctls { max: 64, ..Sysctls::default() }),
        host: known,
        stores: &mut Stores::default(),
        unknown: None,
        log: &mut Vec::new(),
    };
    work(&mut traversal)
}

/// A UDP datagram.
pub(crate) fn udp4(from: [u8; 4], to: [u8; 4], source: u16, destination: u16) -> Vec<u8> {
    let mut bytes = Vec::from([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
    bytes.extend(from);
    bytes.extend(to);
    bytes.extend(udp(source, destination));
    bytes
}

/// The same over IPv6, from and to addresses of 2001:db8::/64.
pub(crate) fn udp6(from: u8, to: u8, source: u16, destination: u16) -> Vec<u8> {
    let mut bytes = Vec::from([0x60, 0, 0, 0, 0, 8, 17, 64]);
    for last in [from, to] {
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    bytes.extend(udp(source, destination));
    bytes
}

fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes.extend([0, 8, 0, 0]);
    bytes
}
