//! A forwarded service that hosts beside the server cannot reach at the public address.

use crate::algebra::space::{Group, Packets, Result};
use crate::algebra::{Apart, Way};
use crate::conversation::{Fate, Received, Spot, conversation};
use crate::lint::finding::{Expected, Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled};
use crate::lint::played::Bed;
use crate::witness::{destination_of, usable};
use keepstate_conntrack::Hook;
use keepstate_engine::route::Network;
use keepstate_packet::{Address, Family};
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Jump, Ruleset, Span, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use std::net::IpAddr;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "hairpin-missing",
    severity: Severity::Note,
    title: "a forwarded service that hosts beside the server cannot reach at the public address",
    page: include_str!("hairpin_missing.md"),
    run,
};

/// Rules of a file that are tried: each takes two runs.
const TRIED_MAX: usize = 40;

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    let new = linted.in_states(ct::NEW)?.and(&linted.within(Field::Protocol, 6, 6)?)?;
    let forwards = linted.with_target(&["DNAT"]).filter(|rule| {
        rule.chain.hook == Some(Hook::Prerouting)
            && rule.table.name == TableName::Nat
            && rule.words.header("-i").is_none()
            && !rule.matched.is_empty()
    });
    let mut networks: Vec<(Beside, Vec<Missing>)> = Vec::new();
    for rule in forwards.take(TRIED_MAX) {
        let Some((server, port)) = destination_of(&rule.words) else { continue };
        // The first address is taken to be the gateway's.
        let network = Beside::of(server, linted.ruleset.family);
        let from = linted.within(Field::Source, network.low + 2, network.high - 1)?;
        let own = linted.within(Field::Source, network.server, network.server)?;
        let packets =
            rule.matched.and(&new)?.and(&linted.passed(Way::Through))?.and(&from)?.less(&own)?;
        let Some((bed, dialled)) = bed(linted, &packets, server, port)? else { continue };
        let server = (server, port.unwrap_or(dialled));
        let Some(one) = missing(rule, bed, server, &network) else { continue };
        match networks.iter_mut().find(|(known, _)| known.text == network.text) {
            Some((_, all)) => all.push(one),
            None => networks.push((network, vec![one])),
        }
    }
    found.extend(networks.iter().filter_map(|(network, all)| told(linted, network, all)));
    Ok(())
}

/// A forwarded service that does not answer.
struct Missing {
    /// The rule that forwards it.
    span: Span,
    server: IpAddr,
    bed: Bed,
    /// What a run shows.
    evidence: String,
    /// What would mend it.
    line: String,
}

/// The addresses that are asked about.
pub(crate) fn add_addresses(apart: &mut Apart, ruleset: &Ruleset) {
    let Some(table) = ruleset.table(TableName::Nat) else { return };
    let chains = table.chains.iter().filter(|chain| chain.hook == Some(Hook::Prerouting));
    for rule in chains.flat_map(|chain| &chain.rules) {
        let Jump::Target(target) = &rule.target else { continue };
        let writes = target.effect().writes;
        let servers = writes.iter().filter_map(|change| match change {
            Change::Among(Field::Destination, ranges) => ranges.first(),
            _ => None,
        });
        for (server, _) in servers {
            let server = Address(server.to_be_bytes()).ip(ruleset.family);
            let Beside { low, high, server, .. } = Beside::of(server, ruleset.family);
            apart.add_values(&vec![(low + 2, high - 1), (server, server)]);
            apart.add_values(&vec![(low, high)]);
        }
    }
}

/// The network that a server is taken to be on.
struct Beside {
    low: u128,
    high: u128,
    server: u128,
    text: String,
}

impl Beside {
    /// 256 addresses of IPv4, 2^64 of IPv6.
    fn of(server: IpAddr, family: Family) -> Self {
        let number = |address: IpAddr| match address {
            IpAddr::V4(four) => u128::from(u32::from(four)),
            IpAddr::V6(six) => u128::from(six),
        };
        let (server, bits) = (number(server), if family == Family::V4 { 8 } else { 64 });
        let low = server >> bits << bits;
        let text = match family {
            Family::V4 => format!("{}/24", std::net::Ipv4Addr::from(low as u32)),
            Family::V6 => format!("{}/64", std::net::Ipv6Addr::from(low)),
        };
        Self { low, high: low | ((1 << bits) - 1), server, text }
    }

    /// Packets from there, as a formula, where an IPv4 address is the upper 32 of 128 bits.
    fn senders(&self, family: Family) -> PacketSet {
        let (low, high) = match family {
            Family::V4 => (self.low << 96, self.high << 96 | (u128::MAX >> 32)),
            Family::V6 => (self.low, self.high),
        };
        PacketSet::within(Field::Source, low, high, false)
    }
}

/// A gateway with client and server on one link, the client calling what the rule translates; with the port that it
/// calls.
fn bed(
    linted: &Linted<'_>,
    packets: &Packets,
    server: IpAddr,
    port: Option<u16>,
) -> Result<Option<(Bed, u16)>> {
    let outer = outer(linted);
    let inside = inside(linted, packets, &outer)?;
    let Some((name, packets)) = inside else { return Ok(None) };
    let Some(example) = linted.space.example(&packets)? else { return Ok(None) };
    let family = example.family;
    let (client, called) = (example.source.ip(family), example.destination.ip(family));
    let outside = if outer == name { String::from("wan0") } else { outer };
    let Some(mut spot) = Spot::hairpin(family, &name, &outside) else { return Ok(None) };
    if !example.unknowns.is_empty() || ![client, called, server].into_iter().all(usable) {
        return Ok(None);
    }
    spot.client = client;
    spot.server = server;
    spot.called = Some((called, example.destination_port));
    spot.ports = (Some(example.source_port), Some(port.unwrap_or(example.destination_port)));
    let prefix = if family == Family::V4 { 24 } else { 64 };
    let one = match server {
        IpAddr::V4(four) => IpAddr::V4((u32::from(four) & !0xff | 1).into()),
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & !u128::from(u64::MAX) | 1).into()),
    };
    let addresses = [(one, prefix), (called, if family == Family::V4 { 32 } else { 128 })];
    if let Some(host) = &mut spot.host {
        for (interface, (address, prefix)) in host.interfaces.iter_mut().zip(addresses) {
            interface.addresses = vec![Network { family, address: Address::from(address), prefix }];
        }
    }
    Ok(Some((Bed { text: linted.printed(), spot }, example.destination_port)))
}

/// The interface by which connections leave with the gateway's address.
fn outer(linted: &Linted<'_>) -> String {
    let named = |rule: &Ruled<'_>| {
        let option = rule.words.header("-o").filter(|option| !option.not)?;
        (!option.value().ends_with('+')).then(|| option.value().to_string())
    };
    linted
        .with_target(&["MASQUERADE", "SNAT"])
        .find_map(named)
        .unwrap_or_else(|| String::from("wan0"))
}

/// An interface by which packets may come in and go out again, and those that do.
fn inside(
    linted: &Linted<'_>,
    packets: &Packets,
    outer: &str,
) -> Result<Option<(String, Packets)>> {
    let named = linted.space.interfaces().iter().filter_map(|one| match one {
        crate::algebra::space::Interface::Named(name) => Some(name.clone()),
        _ => None,
    });
    let others = [String::from("lan0")];
    for name in named.chain(others).filter(|name| name != outer && name != "lo") {
        let number = linted.space.interface_number(&name);
        let by = |group| linted.space.all_of(group, &[(number, number)]);
        let both = packets.and(&by(Group::In)?)?.and(&by(Group::Out)?)?;
        if !both.is_empty() {
            return Ok(Some((name, both)));
        }
    }
    Ok(None)
}

fn missing(
    rule: &Ruled<'_>,
    bed: Bed,
    (server, port): (IpAddr, u16),
    network: &Beside,
) -> Option<Missing> {
    let run = bed.run(conversation("tcp")?, |_| {})?;
    let at = run.played.fate.at()?;
    // The server answers on its own link, from an address that the client has not called.
    if run.played.steps.get(at)?.received != Received::Strange {
        return None;
    }
    Some(Missing {
        span: rule.rule.span,
        server,
        evidence: format!(
            "run through the engine, with client and server on one link: the client sends {}; the answer, {}, does \
             not come back past here and is from an address that the client has not called",
            run.packet(0),
            run.packet(at)
        ),
        line: format!(
            "-A POSTROUTING -s {} -d {server} -p tcp -m tcp --dport {port} -j MASQUERADE",
            network.text
        ),
        bed,
    })
}

/// One finding for a network, with all servers in it.
fn told(linted: &Linted<'_>, network: &Beside, all: &[Missing]) -> Option<Finding> {
    let (first, others) = all.split_first()?;
    let mut servers: Vec<String> = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for one in all {
        let server = one.server.to_string();
        if !servers.contains(&server) {
            servers.push(server);
        }
        if !lines.contains(&one.line.as_str()) {
            lines.push(&one.line);
        }
    }
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let addresses = if all.len() == 1 { "address that is" } else { "addresses that are" };
    let mut finding = Finding::new(
        first.span,
        format!(
            "hosts in {} cannot reach {} at the {addresses} forwarded",
            network.text,
            crate::lints::and(&servers)
        ),
    );
    for other in others {
        finding = finding.label(other.span, "nor by this one");
    }
    finding = finding.evidence(&first.evidence).help(format!(
        "-t nat {}; or a name server that tells them the inner address",
        lines.join("; -t nat ")
    ));
    let line = lines.join("\n");
    let text = linted.printed_before(TableName::Nat, &line)?;
    let tcp = conversation("tcp")?;
    let mends = |one: &Missing| {
        let mended = one.bed.with(text.clone()).run(tcp, |_| {});
        mended.is_some_and(|mended| mended.played.fate == Fate::Passes)
    };
    if all.iter().all(mends) {
        let rules = if lines.len() == 1 { "that rule" } else { "those rules" };
        let expected = Expected::Only(
            network.senders(linted.ruleset.family),
            "what hosts beside the server send",
        );
        finding = finding
            .evidence(format!(
                "run through the engine with {rules}: the connection is opened, used and closed"
            ))
            .fix(linted.first_of(TableName::Nat, Hook::Postrouting, &line, expected));
    }
    Some(finding)
}
