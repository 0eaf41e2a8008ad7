//! Who could say what to whom: addresses, ports and conversations at the edges of the rules.

use super::super::Setup;
use super::super::setup::towards;
use super::{PROBES_MAX, Probe};
use crate::conversation::{Conversation, LIBRARY, Upper};
use crate::rule::words::RuleWords;
use crate::witness;
use keepstate_engine::{Engine, InterfaceIndex};
use keepstate_packet::{Address, Family};
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::syntax::iptables_command;
use keepstate_ruleset::syntax::iptables_save::print_rule;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most addresses that are tried with each other.
const ADDRESSES_MAX: usize = 20;
/// Most ports of a server that are tried.
const PORTS_MAX: usize = 10;
/// Conversations that everybody knows.
const PLAIN: [&str; 6] = ["tcp", "dns", "ping", "ftp-passive", "pmtu", "icmp-message"];
/// Those with INVALID packets in them.
const STRAY: [&str; 4] = ["scan-null", "icmp-message", "asymmetric", "out-of-window"];
/// Most conversations of those, and most others, that are tried before packets.
const TALKS_MAX: usize = PROBES_MAX / 3;
/// Rules of the set whose addresses and ports are looked at.
const RULES_MAX: usize = 400;
/// Most times that a line is said before, to use up what a `limit` has.
const BURST_MAX: u32 = 1_000;

pub(super) struct Pool {
    family: Family,
    /// Client, server, the interfaces behind which they are.
    pairs: Vec<(IpAddr, IpAddr)>,
    conversations: Vec<&'static Conversation>,
    /// Those that are tried before others.
    plain: &'static [&'static str],
    client_ports: Vec<u16>,
    server_ports: Vec<u16>,
    icmp: Vec<String>,
    flags: Vec<String>,
    protocol: Option<u8>,
    marks: Vec<String>,
    interfaces: Vec<String>,
    burst: Option<u32>,
}

impl Pool {
    /// `words`: the rule, and what it becomes.
    pub(super) fn new(setup: &Setup, engine: &Engine, family: Family, words: &[RuleWords]) -> Self {
        let others = setup.ruleset(family).map(rules).unwrap_or_default();
        let mut addresses = Vec::new();
        // Those that people know first; what lies just outside of a network behind them.
        words.iter().for_each(|rule| of_rule(rule, true, &mut addresses));
        addresses.extend(hosts(setup, family));
        words.iter().for_each(|rule| of_rule(rule, false, &mut addresses));
        others.iter().for_each(|rule| of_rule(rule, true, &mut addresses));
        others.iter().for_each(|rule| of_rule(rule, false, &mut addresses));
        let v4 = family == Family::V4;
        addresses.retain(|address: &IpAddr| usable(*address) && address.is_ipv4() == v4);
        let addresses = distinct(addresses, ADDRESSES_MAX);
        let destination = ["--dport", "--dports", "--ports"];
        let source = ["--sport", "--sports", "--ports"];
        let mut server_ports = ports(&destination, &mut words.iter());
        server_ports.extend(ports(&source, &mut words.iter()));
        server_ports.push(0);
        server_ports.extend(ports(&destination, &mut others.iter()));
        let mut client_ports = vec![40_000];
        client_ports.extend(ports(&source, &mut words.iter()));
        let protocol = words.iter().find_map(RuleWords::protocol);
        let mut icmp = asked(words, &["--icmp-type", "--icmpv6-type"]);
        // What is tracked besides echo requests, and what is not.
        let more: &[&str] =
            if family == Family::V4 { &["13/0", "17/0", "10/0"] } else { &["128/0", "135/0"] };
        icmp.extend(more.iter().map(|kind| vec![(*kind).to_owned()]));
        let flags = asked(words, &["--tcp-flags"]);
        let marks = asked(words, &["--mark"]);
        let burst = words.iter().flat_map(|rule| {
            rule.options(&["--limit-burst"]).map(|o| o.value().parse().ok()).collect::<Vec<_>>()
        });
        let limited =
            words.iter().any(|rule| rule.has_match("limit") || rule.has_match("hashlimit"));
        Self {
            family,
            pairs: pairs(engine, family, &addresses),
            conversations: conversations(words, protocol, family),
            plain: match words.iter().any(|rule| rule.names_state("INVALID")) {
                true => &STRAY,
                false => &PLAIN,
            },
            client_ports: distinct(client_ports, PORTS_MAX),
            server_ports: distinct(server_ports, PORTS_MAX),
            icmp: distinct(icmp.into_iter().filter_map(|mut values| values.pop()).collect(), 6),
            flags: distinct(flags.into_iter().filter_map(|mut values| values.pop()).collect(), 4),
            protocol,
            marks: distinct(
                marks
                    .into_iter()
                    .flatten()
                    .map(|mark| mark.split('/').next().unwrap_or("").to_owned())
                    .collect(),
                2,
            ),
            interfaces: setup.host.interfaces.iter().map(|one| one.name.to_string()).collect(),
            burst: limited.then(|| burst.flatten().next().unwrap_or(5)),
        }
    }

    /// What is tried, the likely first.
    pub(super) fn probes(&self) -> impl Iterator<Item = Probe> + '_ {
        let is_plain = |one: &&&Conversation| self.plain.contains(&one.code);
        let (plain, others): (Vec<_>, Vec<_>) = self.conversations.iter().partition(is_plain);
        let talks = move |conversations: Vec<&'static Conversation>| {
            self.pairs.iter().flat_map(move |pair| {
                let lines =
                    conversations.clone().into_iter().flat_map(move |one| self.lines(one, *pair));
                lines.map(|line| self.probe(line, true)).collect::<Vec<_>>()
            })
        };
        let packets = self.pairs.iter().flat_map(move |pair| {
            self.packets(*pair).into_iter().map(|line| self.probe(line, false))
        });
        // Conversations are what people read; what is spoofed only packets show.
        talks(plain).take(TALKS_MAX).chain(talks(others).take(TALKS_MAX)).chain(packets)
    }

    fn probe(&self, line: String, is_conversation: bool) -> Probe {
        let times = self.burst.filter(|burst| *burst <= BURST_MAX);
        let before = times.map(|times| format!("{line} times={times}\n"));
        Probe { before, line, is_conversation }
    }

    fn lines(
        &self,
        conversation: &Conversation,
        (client, server): (IpAddr, IpAddr),
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mark = self.marks.first().map(|mark| format!(" mark={mark}")).unwrap_or_default();
        // `tcp` is a packet.
        let code = if conversation.code == "tcp" { "tcp-client" } else { conversation.code };
        let has_ports = conversation.server_port != 0;
        if !has_ports {
            let plain = format!("{code} {client} > {server}");
            match code {
                "icmp-message" => {
                    lines.extend(self.icmp.iter().map(|kind| format!("{plain} icmp={kind}")));
                }
                "other" => {
                    let protocol = self.protocol.unwrap_or(47);
                    lines.push(format!("{plain} protocol={protocol}{mark}"));
                }
                _ => lines.push(format!("{plain}{mark}")),
            }
            return lines;
        }
        for client_port in &self.client_ports {
            for server_port in &self.server_ports {
                let to = match server_port {
                    0 => server.to_string(),
                    port => SocketAddr::new(server, *port).to_string(),
                };
                let from = match client_port {
                    40_000 => client.to_string(),
                    port => SocketAddr::new(client, *port).to_string(),
                };
                let plain = format!("{code} {from} > {to}{mark}");
                match code {
                    "lone-segment" => {
                        lines.extend(
                            self.flags.iter().map(|flags| format!("{plain} flags={flags}")),
                        );
                    }
                    _ => lines.push(plain),
                }
            }
        }
        lines
    }

    /// Packets that come in where their source does not lie.
    fn packets(&self, (from, to): (IpAddr, IpAddr)) -> Vec<String> {
        let mut lines = Vec::new();
        let icmp = if self.family == Family::V4 { "icmp" } else { "icmpv6" };
        for interface in &self.interfaces {
            for port in self.server_ports.iter().take(3) {
                let port = if *port == 0 { 443 } else { *port };
                let ends =
                    format!("{} > {}", SocketAddr::new(from, 40_000), SocketAddr::new(to, port));
                lines.push(format!("{interface} tcp {ends} syn"));
                lines.push(format!("{interface} udp {ends} len=20"));
            }
            lines.push(format!("{interface} {icmp} {from} > {to} echo-request id=1 seq=1"));
        }
        lines
    }
}

/// Ports that rules name, and those beside them.
fn ports(names: &[&str], rules: &mut dyn Iterator<Item = &RuleWords>) -> Vec<u16> {
    let mut found = Vec::new();
    for rule in rules {
        for option in rule.options(names) {
            option.value().split(',').for_each(|part| edges(part, &mut found));
        }
    }
    found
}

/// The values of these options.
fn asked(words: &[RuleWords], names: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for rule in words {
        found.extend(rule.options(names).map(|option| option.values.clone()));
    }
    found
}

fn distinct<T: PartialEq>(all: Vec<T>, most: usize) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in all {
        if kept.len() < most && !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

/// The rules of a set in words.
fn rules(ruleset: &Ruleset) -> Vec<RuleWords> {
    let mut all = Vec::new();
    for table in &ruleset.tables {
        for chain in &table.chains {
            for rule in &chain.rules {
                let text = print_rule(ruleset.family, table, &chain.name, rule);
                let words = iptables_command::split(&text).unwrap_or_default();
                let rest = words.get(2..).unwrap_or(&[]);
                all.push(RuleWords::read(ruleset.family, table.name.as_str(), &chain.name, rest));
                if all.len() >= RULES_MAX {
                    return all;
                }
            }
        }
    }
    all
}

/// Addresses that a rule names; or those beside them: of the other half of a network, and just outside of it.
fn of_rule(rule: &RuleWords, named: bool, addresses: &mut Vec<IpAddr>) {
    for option in rule.header.iter().filter(|option| matches!(option.name.as_str(), "-s" | "-d")) {
        let length = option.value().split_once('/').map(|(_, length)| length.parse::<u32>().ok());
        let Some((base, _)) = witness::network(option.value()) else { continue };
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(Some(longest)).unwrap_or(longest);
        let host = match longest.saturating_sub(length) {
            0 => base,
            1..=3 => add(base, 1),
            _ => add(base, 10),
        };
        if named {
            addresses.push(host);
            continue;
        }
        addresses.extend((length < longest).then(|| flip(host, length)).flatten());
        addresses.extend(length.checked_sub(1).and_then(|bit| flip(host, bit)));
    }
    if !named {
        return;
    }
    for option in rule.options(&["--src-range", "--dst-range"]) {
        addresses.extend(option.value().split('-').filter_map(|end| end.parse::<IpAddr>().ok()));
    }
}

fn add(address: IpAddr, by: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from(address.to_bits().wrapping_add(by)).into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from(address.to_bits().wrapping_add(u128::from(by))).into()
        }
    }
}

/// The address with one bit turned, counted from the first.
fn flip(address: IpAddr, bit: u32) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from(address.to_bits() ^ 1u32.checked_shl(31u32.checked_sub(bit)?)?).into()
        }
        IpAddr::V6(address) => {
            Ipv6Addr::from(address.to_bits() ^ 1u128.checked_shl(127u32.checked_sub(bit)?)?).into()
        }
    })
}

fn usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !address.is_multicast()
                && !address.is_loopback()
                && !v4.is_broadcast()
                && v4.octets()[0] != 0
        }
        IpAddr::V6(_) => {
            !address.is_multicast() && !address.is_loopback() && !address.is_unspecified()
        }
    }
}

/// Somebody far away, neighbours on the host's links, and its own addresses.
fn hosts(setup: &Setup, family: Family) -> Vec<IpAddr> {
    let host = &setup.host;
    let (far, inside) = match family {
        Family::V4 => {
            (Ipv4Addr::new(203, 0, 113, 80).into(), IpAddr::from(Ipv4Addr::new(10, 0, 0, 5)))
        }
        Family::V6 => (
            Ipv6Addr::new(0x2001, 0xdb8, 0x99, 0, 0, 0, 0, 9).into(),
            IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 5, 0, 0, 0, 5)),
        ),
    };
    let mut all = vec![far];
    let longest: u8 = if family == Family::V4 { 32 } else { 128 };
    let own = host.interfaces.iter().flat_map(|one| &one.addresses).chain(&host.local);
    let own: Vec<_> = own.filter(|network| network.family == family).collect();
    for network in &own {
        let address = network.address.ip(family);
        if network.prefix + 5 <= longest {
            all.push(neighbour(address, longest - network.prefix));
        } else if network.prefix + 2 < longest {
            all.extend(flip(address, u32::from(longest) - 2));
        }
    }
    let routed = |address: &IpAddr| {
        host.routes.iter().any(|route| {
            route.destination.family == family
                && route.destination.prefix > 0
                && route.destination.contains(Address::from(*address))
        })
    };
    all.extend(Some(inside).filter(routed));
    all.extend(own.iter().map(|network| network.address.ip(family)));
    all
}

/// The tenth address of a network with so many bits for hosts, or the twentieth where that is `own`.
fn neighbour(own: IpAddr, bits: u8) -> IpAddr {
    let base = match own {
        IpAddr::V4(own) => {
            let mask = u32::MAX.checked_shl(u32::from(bits)).unwrap_or(0);
            IpAddr::from(Ipv4Addr::from(own.to_bits() & mask))
        }
        IpAddr::V6(own) => {
            let mask = u128::MAX.checked_shl(u32::from(bits)).unwrap_or(0);
            IpAddr::from(Ipv6Addr::from(own.to_bits() & mask))
        }
    };
    if add(base, 10) == own { add(base, 20) } else { add(base, 10) }
}

/// Pairs of whom one lies elsewhere than the other.
fn pairs(engine: &Engine, family: Family, addresses: &[IpAddr]) -> Vec<(IpAddr, IpAddr)> {
    let lies: Vec<Option<InterfaceIndex>> =
        addresses.iter().map(|address| towards(engine, family, Address::from(*address))).collect();
    let mut all = Vec::new();
    // Those of the rule stand first: pairs by the sum of their places.
    for sum in 1..2 * addresses.len() {
        for at in 0..=sum.min(addresses.len().saturating_sub(1)) {
            let other = sum - at;
            let (Some(one), Some(two)) = (addresses.get(at), addresses.get(other)) else {
                continue;
            };
            if one != two && lies.get(at) != lies.get(other) && !all.contains(&(*one, *two)) {
                all.push((*one, *two));
            }
        }
    }
    all
}

/// A port or range: its ends and what is beside them.
fn edges(part: &str, ports: &mut Vec<u16>) {
    let (low, high) = part.split_once(':').unwrap_or((part, part));
    let (Some(low), Some(high)) = (low.parse::<u16>().ok(), high.parse::<u16>().ok()) else {
        return;
    };
    ports.extend([low, high]);
    ports.extend([low.checked_sub(1), high.checked_add(1)].into_iter().flatten());
    ports.extend([low.checked_add(1), high.checked_sub(1)].into_iter().flatten());
    ports.retain(|port| *port != 0);
}

/// Conversations in which a rule's protocol is spoken, or all.
fn conversations(
    words: &[RuleWords],
    protocol: Option<u8>,
    family: Family,
) -> Vec<&'static Conversation> {
    let asks = |state: &str| words.iter().any(|rule| rule.names_state(state));
    let everything = protocol.is_none() || asks("INVALID") || asks("RELATED");
    let number = |upper: Upper| match upper {
        Upper::Tcp => 6,
        Upper::Udp => 17,
        Upper::Icmp if family == Family::V4 => 1,
        Upper::Icmp | Upper::Icmpv6 => 58,
        Upper::Other(number) => number,
    };
    let fits = |one: &&'static Conversation| {
        one.speaks(family)
            && (everything || one.protocol.is_none_or(|upper| Some(number(upper)) == protocol))
    };
    LIBRARY.iter().copied().filter(fits).collect()
}
