//! A witness: addresses, interfaces, ports and a place for the filter such that a conversation
//! meets the rule.

pub(crate) mod given;

use crate::conversation::{Addresses, Parties, Scope, Spot, Template, Who, gateway, host};
use crate::conversation::{CLIENT_PORT, DATA_PORT};
pub use crate::conversation::{Place, Scene};
use crate::prose;
use crate::rule::words::{OptionWords, RuleWords};
use keepstate_engine::{Host, Network};
use keepstate_packet::{Address, Family, InterfaceName, LinkInfo, PacketType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The hook at which a rule's chain is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Packets that arrive for the host: PREROUTING, INPUT.
    Arriving,
    /// Packets that the host sends: OUTPUT, POSTROUTING.
    Leaving,
    /// Packets that pass through.
    Passing,
}

impl Side {
    /// By the name of a built-in chain.
    #[must_use]
    pub fn of_chain(chain: &str) -> Option<Self> {
        match chain {
            "INPUT" | "PREROUTING" => Some(Self::Arriving),
            "OUTPUT" | "POSTROUTING" => Some(Self::Leaving),
            "FORWARD" => Some(Self::Passing),
            _ => None,
        }
    }
}

/// Builds the scene of a template for a rule; `None` when no packet of it can meet the rule.
#[must_use]
pub fn scene(rule: &RuleWords, side: Side, template: &Template) -> Option<Scene> {
    let place = place(side, template.sender)?;
    let conversation = template.conversation;
    if !conversation.speaks(rule.family)
        || place == Place::Between && conversation.scope == Scope::Link
    {
        return None;
    }
    let addresses = addresses(rule, template)?;
    let interfaces = interfaces(rule, side)?;
    let parties = parties(rule, template, &addresses)?;
    let beside = conversation.router_beside;
    let sides = (template.sender, beside);
    let host = host(place, rule.family, &addresses, &interfaces, sides)?;
    let mut scene = Scene {
        place,
        family: rule.family,
        addresses,
        host,
        interfaces,
        sender: template.sender,
        router_beside: beside,
        parties,
        mark: mark(rule),
        link: link(rule),
        called: None,
        hidden: None,
        is_together: false,
        sets: String::new(),
    };
    given::give(&mut scene, rule);
    Some(scene)
}

/// The conversation whose source no host has.
pub(crate) const SPOOFED: &str = "spoofed-loopback";

fn place(side: Side, sender: Who) -> Option<Place> {
    Some(match (side, sender) {
        (Side::Passing, _) => Place::Between,
        (Side::Arriving, Who::Client) => Place::On(Who::Server),
        (Side::Arriving, Who::Server | Who::Router) => Place::On(Who::Client),
        (Side::Leaving, Who::Client) => Place::On(Who::Client),
        (Side::Leaving, Who::Server) => Place::On(Who::Server),
        (Side::Leaving, Who::Router) => return None,
    })
}

fn addresses(rule: &RuleWords, template: &Template) -> Option<Addresses> {
    let v6 = rule.family == Family::V6;
    let at = |v4: [u8; 4], last: u16| -> IpAddr {
        if v6 {
            let net = u16::from(v4[0]);
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, last))
        } else {
            IpAddr::V4(Ipv4Addr::from(v4))
        }
    };
    let mut out = Addresses {
        client: at([192, 0, 2, 10], 10),
        server: at([198, 51, 100, 20], 20),
        router: at([203, 0, 113, 1], 1),
    };
    if template.conversation.code == SPOOFED {
        // What the rule asks for is what the packet claims.
        return Some(out);
    }
    let source = pick_address(rule, "-s", "--src-range", out.of(template.sender))?;
    let receiver = if template.sender == Who::Client { Who::Server } else { Who::Client };
    let destination = pick_address(rule, "-d", "--dst-range", out.of(receiver))?;
    for (who, address) in [(template.sender, source), (receiver, destination)] {
        match who {
            Who::Client => out.client = address,
            Who::Server => out.server = address,
            Who::Router => out.router = address,
        }
    }
    (out.client != out.server).then_some(out)
}

/// An address that the header option and the range of `iprange` let through.
fn pick_address(rule: &RuleWords, option: &str, range: &str, default: IpAddr) -> Option<IpAddr> {
    let header = rule.header(option);
    let names = [range];
    let ranges: Vec<&OptionWords> = rule.options(&names).collect();
    let mut candidates = vec![default];
    if let Some((address, mask)) = header.and_then(|h| network(h.value())) {
        candidates.extend([blend(default, address, mask), address]);
    }
    for range in &ranges {
        candidates.extend(range.value().split('-').filter_map(|end| end.parse::<IpAddr>().ok()));
    }
    let other = match default {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(100, 64, 9, 9)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x99, 0, 0, 0, 0, 9)),
    };
    candidates.push(other);
    candidates.into_iter().find(|candidate| {
        candidate.is_ipv4() == default.is_ipv4()
            && usable(*candidate)
            && header.is_none_or(|h| in_network(h, *candidate))
            && ranges.iter().all(|range| in_range(range, *candidate))
    })
}

/// The scene of a conversation that a rule of the table nat translates: a gateway with private addresses
/// inside and a public one outside. `None` for rules that do something else, or whose words no packet of
/// the conversation meets.
#[must_use]
pub fn translated(rule: &RuleWords, template: &Template) -> Option<Scene> {
    translated_behind(rule, template, None)
}

/// The same with the inner network behind this interface.
pub(crate) fn translated_behind(
    rule: &RuleWords,
    template: &Template,
    behind: Option<&str>,
) -> Option<Scene> {
    let family = rule.family;
    let interface = |option: &str, default: &str| {
        let named = rule.header(option).filter(|option| !option.not);
        named.map_or(default.to_string(), |option| option.value().replace('+', "0"))
    };
    let conversation = template.conversation;
    let mut spot = match (rule.target_name(), rule.chain.as_str()) {
        ("MASQUERADE" | "SNAT", "POSTROUTING") => {
            let outside = interface("-o", "eth1");
            let inside = if outside == "eth0" { "eth1" } else { "eth0" };
            let inside = behind.unwrap_or(inside);
            let mut spot = Spot::masqueraded(family, inside, &outside)?;
            spot.client = pick_address(rule, "-s", "--src-range", spot.client)?;
            spot.server = pick_address(rule, "-d", "--dst-range", spot.server)?;
            spot.ports.1 = Some(pick_port(rule, &PortSpec::DESTINATION, template.server_port)?);
            spot
        }
        ("DNAT", "PREROUTING") => {
            let outside = interface("-i", "eth0");
            let inside = if outside == "eth1" { "eth0" } else { "eth1" };
            let inside = behind.unwrap_or(inside);
            let mut spot = Spot::forwarded(family, inside, &outside)?;
            let (address, port) = destination_of(rule)?;
            let called = pick_address(rule, "-d", "--dst-range", gateway(family))?;
            let dialled = pick_port(rule, &PortSpec::DESTINATION, template.server_port)?;
            spot.server = address;
            spot.client = pick_address(rule, "-s", "--src-range", spot.client)?;
            spot.called = Some((called, dialled));
            spot.ports.1 = Some(port.unwrap_or(dialled));
            spot
        }
        ("REDIRECT", "PREROUTING") => {
            let mut spot = Spot::new(Place::On(Who::Server), family);
            let dialled = pick_port(rule, &PortSpec::DESTINATION, template.server_port)?;
            let to =
                rule.target_option("--to-ports").and_then(|option| option.value().parse().ok());
            spot.interfaces.0 = interface("-i", "eth0");
            // It leads to the address of the interface that the packet came in on.
            let mut host = Host::endpoint(InterfaceName::new(&spot.interfaces.0)?, Vec::new());
            let own = Network { family, address: Address::from(spot.server), prefix: 24 };
            host.interfaces.iter_mut().for_each(|one| one.addresses = vec![own]);
            spot.host = Some(host);
            spot.called = Some((spot.server, dialled));
            spot.ports.1 = Some(to.unwrap_or(dialled));
            spot
        }
        _ => return None,
    };
    let hidden = match spot.hidden {
        Some(Who::Client) => Some((0, spot.client)),
        Some(_) => Some((1, spot.server)),
        None => None,
    };
    if let (Some(host), Some((at, address))) = (&mut spot.host, hidden) {
        inside_network(host, at, address);
    }
    let scene = Scene::new(conversation, &spot)?;
    let upper = crate::conversation::templates_upper(template, family)?;
    rule.admits_protocol(upper).then_some(scene)
}

/// The scene of a rule about connections that DNAT has led to a server behind this router: the rule sees the
/// server's address and port, the client another one.
#[must_use]
pub fn behind_dnat(rule: &RuleWords, template: &Template) -> Option<Scene> {
    let inside = Spot::forwarded(rule.family, "eth1", "eth0")?.server;
    let server = pick_address(rule, "-d", "--dst-range", inside)?;
    let port = pick_port(rule, &PortSpec::DESTINATION, template.server_port)?;
    let protocol = crate::conversation::templates_upper(template, rule.family)?;
    let protocol = prose::protocol::name(protocol).to_lowercase();
    let to = std::net::SocketAddr::new(server, port).to_string();
    let incoming =
        rule.header("-i").filter(|option| !option.not).map_or("eth0", OptionWords::value);
    let dialled = port.wrapping_add(8000).max(1).to_string();
    let words =
        ["-i", incoming, "-p", &protocol, "-m", &protocol, "--dport", &dialled, "-j", "DNAT"];
    let words: Vec<String> =
        words.into_iter().chain(["--to-destination", &to]).map(String::from).collect();
    let leading = RuleWords::read(rule.family, "nat", "PREROUTING", &words);
    let spoken = crate::conversation::templates_upper(template, rule.family)?;
    translated(&leading, template).filter(|_| rule.admits_protocol(spoken))
}

/// Gives an interface of a gateway an address in the network of this one.
fn inside_network(host: &mut Host, at: usize, address: IpAddr) {
    let (own, family, prefix) = match address {
        IpAddr::V4(address) => {
            // Routers are the first of their network, or the last where that is somebody else.
            let last = if address.octets()[3] == 1 { 254 } else { 1 };
            let own = Ipv4Addr::from_bits(address.to_bits() & !0xff | last);
            (IpAddr::V4(own), Family::V4, 24)
        }
        IpAddr::V6(address) => {
            let last = if address.to_bits() & 0xffff == 1 { 0xfffe } else { 1 };
            let own = Ipv6Addr::from_bits(address.to_bits() & !0xffff | last);
            (IpAddr::V6(own), Family::V6, 64)
        }
    };
    if let Some(interface) = host.interfaces.get_mut(at) {
        interface.addresses = vec![Network { family, address: Address::from(own), prefix }];
    }
}

/// The scene of a rule of DNAT for a client on the server's own network, who calls it at the address that
/// everybody calls.
#[must_use]
pub fn hairpin(rule: &RuleWords, template: &Template) -> Option<Scene> {
    let outside = translated(rule, template).filter(|scene| scene.hidden == Some(Who::Server))?;
    let server = outside.addresses.server;
    let (out, inside) = (&outside.interfaces.0, &outside.interfaces.1);
    let mut spot = Spot::hairpin(rule.family, inside, out)?;
    spot.client = match server {
        IpAddr::V4(address) => {
            let last = if address.octets()[3] == 10 { 11 } else { 10 };
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & !0xff | last))
        }
        IpAddr::V6(address) => {
            let last = if address.to_bits() & 0xffff == 0x10 { 0x11 } else { 0x10 };
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !0xffff | last))
        }
    };
    spot.server = server;
    spot.called = outside.called;
    spot.ports.1 = Some(outside.parties.server_port);
    if let Some(host) = &mut spot.host {
        inside_network(host, 0, server);
    }
    Scene::new(template.conversation, &spot)
}

/// Where DNAT leads: an address, and a port where it says one.
pub(crate) fn destination_of(rule: &RuleWords) -> Option<(IpAddr, Option<u16>)> {
    let text = rule.target_option("--to-destination")?.value();
    let text = text.split(['-', '/']).next().unwrap_or(text);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address, None));
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some((address.ip(), Some(address.port())));
    }
    // An address whose range of ports, or addresses, was cut off above.
    let (address, port) = text.rsplit_once(':')?;
    Some((address.trim_matches(['[', ']']).parse().ok()?, port.parse().ok()))
}

/// Whether hosts send from it and to it.
pub(crate) fn usable(address: IpAddr) -> bool {
    !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
        && match address {
            IpAddr::V4(address) => !address.is_broadcast() && address.octets()[0] != 0,
            IpAddr::V6(_) => true,
        }
}

fn in_network(option: &OptionWords, candidate: IpAddr) -> bool {
    let Some((address, mask)) = network(option.value()) else { return true };
    (blend(candidate, address, mask) == candidate) != option.not
}

fn in_range(option: &OptionWords, candidate: IpAddr) -> bool {
    let value = option.value();
    let (low, high) = value.split_once('-').unwrap_or((value, value));
    match (low.parse::<IpAddr>(), high.parse::<IpAddr>()) {
        (Ok(low), Ok(high)) => (low <= candidate && candidate <= high) != option.not,
        _ => true,
    }
}

/// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1`.
pub(crate) fn network(text: &str) -> Option<(IpAddr, IpAddr)> {
    let text = text.split(',').next().unwrap_or(text);
    let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
    let mask = match (prefix, address) {
        (mask, _) if mask.contains(['.', ':']) => mask.parse().ok()?,
        (prefix, address) => {
            let length: u32 = if prefix.is_empty() { bits } else { prefix.parse().ok()? };
            if length > bits {
                return None;
            }
            match address {
                IpAddr::V4(_) => {
                    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                    IpAddr::V4(Ipv4Addr::from_bits(mask))
                }
                IpAddr::V6(_) => {
                    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                    IpAddr::V6(Ipv6Addr::from_bits(mask))
                }
            }
        }
    };
    (address.is_ipv4() == mask.is_ipv4()).then_some((address, mask))
}

/// `host` with the masked bits of `address`.
fn blend(host: IpAddr, address: IpAddr, mask: IpAddr) -> IpAddr {
    match (host, address, mask) {
        (IpAddr::V4(host), IpAddr::V4(address), IpAddr::V4(mask)) => {
            let bits = address.to_bits() & mask.to_bits() | host.to_bits() & !mask.to_bits();
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        }
        (IpAddr::V6(host), IpAddr::V6(address), IpAddr::V6(mask)) => {
            let bits = address.to_bits() & mask.to_bits() | host.to_bits() & !mask.to_bits();
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        _ => host,
    }
}

/// The interface of the packets of interest, and the other one; a host has the first only.
fn interfaces(rule: &RuleWords, side: Side) -> Option<(String, String)> {
    let (near, far) = match side {
        Side::Arriving => {
            let near = interface(rule, "-i", "eth0", None)?;
            let far = other_than(&near);
            (near, far)
        }
        Side::Leaving => {
            let near = interface(rule, "-o", "eth0", None)?;
            let far = other_than(&near);
            (near, far)
        }
        Side::Passing => passing(rule)?,
    };
    // The loopback is no way to a peer.
    (near != "lo" && far != "lo").then_some((near, far))
}

/// The interfaces of a router that the rule may be asked between: two, unless it names one for both.
fn passing(rule: &RuleWords) -> Option<(String, String)> {
    let near = interface(rule, "-i", "eth0", None)?;
    if let Some(far) = interface(rule, "-o", "eth1", Some(&near)) {
        return Some((near, far));
    }
    let far = interface(rule, "-o", "eth1", None)?;
    let near = interface(rule, "-i", "eth0", Some(&far)).unwrap_or(near);
    Some((near, far))
}

/// An interface that the option lets through, the usual one where it does.
fn interface(rule: &RuleWords, option: &str, usual: &str, taken: Option<&str>) -> Option<String> {
    let option = rule.header(option);
    let pattern = option.map_or("+", OptionWords::value);
    let fits = |name: &str| match pattern.strip_suffix('+') {
        Some(head) => name.starts_with(head),
        None => name == pattern,
    };
    let own = match pattern.strip_suffix('+') {
        Some("") => String::from("eth0"),
        Some(head) => format!("{head}0"),
        None => pattern.to_string(),
    };
    let candidates = [usual, own.as_str(), "eth0", "eth1", "wan0", "lan0"];
    let through =
        |name: &&str| fits(name) != option.is_some_and(|option| option.not) && Some(*name) != taken;
    candidates.into_iter().find(through).map(str::to_string)
}

/// An interface with another name.
fn other_than(name: &str) -> String {
    String::from(if name == "eth1" { "eth0" } else { "eth1" })
}

fn parties(rule: &RuleWords, template: &Template, addresses: &Addresses) -> Option<Parties> {
    let from_client = template.sender == Who::Client;
    let (client_spec, server_spec) = if from_client {
        (PortSpec::SOURCE, PortSpec::DESTINATION)
    } else {
        (PortSpec::DESTINATION, PortSpec::SOURCE)
    };
    let of_interest = template.sender != Who::Router;
    let port = |spec: &PortSpec, default: u16| {
        if of_interest { pick_port(rule, spec, default) } else { Some(default) }
    };
    let icmp = rule
        .options(&["--icmp-type", "--icmpv6-type"])
        .find(|option| !option.not)
        .and_then(|option| prose::icmp::number(rule.family == Family::V4, option.value()));
    let flags = rule
        .options(&["--tcp-flags"])
        .find(|option| !option.not)
        .and_then(|option| option.values.get(1))
        .map(|set| prose::tcp::bits(set));
    let assigns = prose::targets::kind(rule.target.as_ref()) == prose::targets::Kind::Helper;
    let (client_port, server_port, data_port) = if template.helper().is_some() && !assigns {
        // The rule is about what the helper expects; the control connection is as usual.
        (CLIENT_PORT, template.server_port, pick_port(rule, &PortSpec::DESTINATION, DATA_PORT)?)
    } else {
        let client_port = port(&client_spec, CLIENT_PORT)?;
        (client_port, port(&server_spec, template.server_port)?, DATA_PORT)
    };
    // Programs connect from ports above 1023, and not from one that a rule names: that is a service's.
    let is_service = client_port < 1024
        || client_port < EPHEMERAL_MIN && names_one(rule, &client_spec, client_port);
    if of_interest && is_service && !(server_port < 1024 && names_both(rule)) {
        return None;
    }
    Some(Parties {
        client_port,
        server_port,
        data_port,
        server: addresses.server,
        client: addresses.client,
        icmp,
        flags,
        protocol: rule.protocol().unwrap_or(47),
    })
}

/// The first port from which Linux lets programs connect that do not choose one.
const EPHEMERAL_MIN: u16 = 32_768;

/// Whether the rule names this port by itself and not in a range.
fn names_one(rule: &RuleWords, spec: &PortSpec, port: u16) -> bool {
    let port = port.to_string();
    rule.options(spec.options)
        .any(|option| !option.not && option.value().split(',').any(|one| one == port))
}

/// Whether the rule asks for both ports.
fn names_both(rule: &RuleWords) -> bool {
    rule.options(PortSpec::SOURCE.options).next().is_some()
        && rule.options(PortSpec::DESTINATION.options).next().is_some()
}

/// The options that speak of one of the two ports.
struct PortSpec {
    options: &'static [&'static str],
}

impl PortSpec {
    const SOURCE: Self =
        Self { options: &["--sport", "--source-port", "--sports", "--source-ports", "--ports"] };
    const DESTINATION: Self = Self {
        options: &["--dport", "--destination-port", "--dports", "--destination-ports", "--ports"],
    };
}

fn pick_port(rule: &RuleWords, spec: &PortSpec, default: u16) -> Option<u16> {
    let options: Vec<&OptionWords> = rule.options(spec.options).collect();
    let ranges = |option: &OptionWords| -> Vec<(u16, u16)> {
        let number = |text: &str, empty: u16| {
            if text.is_empty() { Some(empty) } else { text.parse().ok() }
        };
        option
            .value()
            .split(',')
            .filter_map(|part| {
                let (low, high) = part.split_once(':').unwrap_or((part, part));
                Some((number(low, 0)?, number(high, u16::MAX)?))
            })
            .collect()
    };
    let mut candidates = vec![default];
    for option in &options {
        candidates.extend(ranges(option).into_iter().flat_map(|(low, high)| [low, high]));
    }
    candidates.extend([443, 22, 53, 40_000, 1, 65_000]);
    candidates.into_iter().find(|port| {
        options.iter().all(|option| {
            let inside = ranges(option).iter().any(|(low, high)| low <= port && port <= high);
            inside != option.not
        })
    })
}

/// The packet mark that `-m mark` asks for.
fn mark(rule: &RuleWords) -> u32 {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    let mark = rule.matches.iter().find(|m| m.name == "mark").and_then(|m| m.options.first());
    let Some(option) = mark else { return 0 };
    let value = option.value().split('/').next().and_then(number).unwrap_or(0);
    match (option.not, value) {
        (false, value) => value,
        (true, 0) => 1,
        (true, _) => 0,
    }
}

fn link(rule: &RuleWords) -> LinkInfo {
    let source = rule.options(&["--mac-source"]).find(|option| !option.not).and_then(|option| {
        let mut octets = [0; 6];
        let mut parts = option.value().split(':');
        for octet in &mut octets {
            *octet = u8::from_str_radix(parts.next()?, 16).ok()?;
        }
        Some(octets)
    });
    let kind = rule.options(&["--pkt-type"]).find(|option| !option.not);
    let packet_type = match kind.map(OptionWords::value) {
        Some("broadcast") => PacketType::Broadcast,
        Some("multicast") => PacketType::Multicast,
        _ => PacketType::Unicast,
    };
    LinkInfo {
        source: source.or(Some([2, 0, 0, 0, 0, 1])),
        destination: Some([2, 0, 0, 0, 0, 2]),
        packet_type,
        segment: 0,
    }
}
