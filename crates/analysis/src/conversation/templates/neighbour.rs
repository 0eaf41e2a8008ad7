//! IPv6 on a link: neighbours (RFC 4861), routers, and who listens to which group (RFC 3810).

use super::super::scene::link_local;
use super::super::writer::Writer;
use super::super::{
    Content, Conversation, Families, Nature, Parties, Scope, Script, Service, Upper, Who,
};
use std::net::{IpAddr, Ipv6Addr};

pub(super) const NEIGHBOUR: Conversation = Conversation {
    code: "neighbour",
    title: "Neighbour discovery: without it no IPv6 packet finds its way on a link",
    when_broken: "IPv6 works for some minutes after boot or not at all: \"destination unreachable: address \
                  unreachable\" for every host of the link, the router among them.",
    protocol: Some(Upper::Icmpv6),
    server_port: 0,
    helper: None,
    families: Families::V6,
    scope: Scope::Link,
    router_beside: Who::Server,
    nature: Nature::Service,
    services: &[Service { protocol: 58, ports: (0, 0) }],
    script: neighbour,
};

pub(super) const FROM_AFAR: Conversation = Conversation {
    code: "neighbour-from-afar",
    title: "Neighbour discovery that somebody beyond a router has sent (hop limit 254)",
    when_broken: "Nothing: it is to be stopped. Hosts ignore it as well (RFC 4861, 7.1).",
    nature: Nature::Attack,
    services: &[],
    script: from_afar,
    ..NEIGHBOUR
};

pub(super) const ROUTER: Conversation = Conversation {
    code: "router-discovery",
    title: "Router discovery: the host asks for routers, and learns its prefix and default route",
    when_broken: "The host has no IPv6 address but its link-local one, and no default route.",
    script: router,
    ..NEIGHBOUR
};

pub(super) const LISTENER: Conversation = Conversation {
    code: "mld",
    title: "Multicast listener discovery: the host says which groups it listens to",
    when_broken: "A switch that counts listeners (snooping) does not pass on multicast any more: neighbour \
                  discovery fails some minutes after the link came up.",
    script: listener,
    ..NEIGHBOUR
};

const LOST: &str = "The neighbour's link address is never learnt: after that not one IPv6 packet goes over \
     the link, whatever else the rules allow.";
const ROUTER_LOST: &str =
    "The host does not learn of its router: no default route, no address of its own.";
const REPORT_LOST: &str = "Switches do not learn that the host listens, and stop passing on what is for the \
     group.";

const ALL_NODES: IpAddr = group(1);
const ALL_ROUTERS: IpAddr = group(2);
const MLD_ROUTERS: IpAddr = group(0x16);

const fn group(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last))
}

const fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(_) => [0; 16],
    }
}

/// The group in which whoever has an address is asked for its link address (RFC 4291, 2.7.1).
fn solicited(address: IpAddr) -> IpAddr {
    let [.., a, b, c] = octets(address);
    let (high, low) = (0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, high, low))
}

fn neighbour(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let (client, server) = (parties.client, parties.server);
    // The target, then the asker's link address.
    let mut asked = octets(server).to_vec();
    asked.extend([1, 1, 2, 0, 0, 0, 0, 1]);
    let solicit = Content::Icmp { kind: 135, code: 0, rest: 0, data: asked };
    script.step(Who::Client, Who::Server, "neighbour solicitation", solicit, LOST);
    script.between(client, solicited(server));
    let mut told = octets(server).to_vec();
    told.extend([2, 1, 2, 0, 0, 0, 0, 2]);
    let advert = Content::Icmp { kind: 136, code: 0, rest: 0x6000_0000, data: told };
    script.step(Who::Server, Who::Client, "neighbour advertisement", advert, LOST);
    script.between(server, client);
    script.finish()
}

fn from_afar(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let mut told = octets(parties.client).to_vec();
    told.extend([2, 1, 2, 0, 0, 0, 0, 9]);
    let advert = Content::Icmp { kind: 136, code: 0, rest: 0x2000_0000, data: told };
    let mut asked = octets(parties.server).to_vec();
    asked.extend([1, 1, 2, 0, 0, 0, 0, 9]);
    let solicit = Content::Icmp { kind: 135, code: 0, rest: 0, data: asked };
    let lost = "It does not get in, as it should not.";
    for (label, content) in [("solicitation", solicit), ("advertisement", advert)] {
        let label = format!("{label}, hop limit 254");
        script.step(Who::Client, Who::Server, &label, content, lost);
        script.at_once().between(parties.client, parties.server).hops(254);
    }
    script.finish()
}

fn router(_parties: &Parties) -> Script {
    let mut script = Writer::new();
    let source_link = |last| vec![1, 1, 2, 0, 0, 0, 0, last];
    let solicit = Content::Icmp { kind: 133, code: 0, rest: 0, data: source_link(1) };
    script.step(Who::Client, Who::Server, "router solicitation", solicit, ROUTER_LOST);
    script.between(link_local(Who::Client), ALL_ROUTERS);
    // Hop limit 64, lifetime 1800 s; then the two timers.
    let mut data = vec![0; 8];
    data.extend(source_link(2));
    let advert = Content::Icmp { kind: 134, code: 0, rest: 0x4000_0708, data };
    script.step(Who::Server, Who::Client, "router advertisement", advert, ROUTER_LOST);
    script.between(link_local(Who::Server), ALL_NODES);
    script.finish()
}

/// An MLD message behind the router alert that it carries (RFC 2711).
fn alerted(kind: u8, rest: u32, body: &[u8]) -> Content {
    let mut data = vec![58, 0, 5, 2, 0, 0, 1, 0, kind, 0, 0, 0];
    data.extend(rest.to_be_bytes());
    data.extend(body);
    Content::Other { protocol: 0, data }
}

fn listener(parties: &Parties) -> Script {
    let mut script = Writer::new();
    // Of any group, answered within 10 s.
    let mut general = vec![0; 16];
    general.extend([0x02, 125, 0, 0]);
    let query = alerted(130, 0x2710_0000, &general);
    script.step(Who::Server, Who::Client, "listener query", query, REPORT_LOST);
    script.at_once().between(link_local(Who::Server), ALL_NODES).hops(1);
    let mut record = vec![4, 0, 0, 0];
    record.extend(octets(solicited(parties.client)));
    let report = alerted(143, 1, &record);
    script.step(Who::Client, Who::Server, "listener report", report, REPORT_LOST);
    script.between(link_local(Who::Client), MLD_ROUTERS).hops(1);
    script.finish()
}
