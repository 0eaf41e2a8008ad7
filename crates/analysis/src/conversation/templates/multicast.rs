//! Names and services found on the link: multicast DNS (RFC 6762).

use super::super::writer::Writer;
use super::super::{
    Content, Conversation, Families, Nature, Parties, Scope, Script, Service, Upper, Who,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const MDNS: Conversation = Conversation {
    code: "mdns",
    title: "A printer or a name looked for on the link (multicast DNS)",
    when_broken: "NAME.local is not found, and printers and televisions do not appear.",
    protocol: Some(Upper::Udp),
    server_port: 5353,
    helper: None,
    families: Families::Both,
    scope: Scope::Link,
    router_beside: Who::Server,
    nature: Nature::Service,
    services: &[Service { protocol: 17, ports: (5353, 5353) }],
    script: look_up,
};

const LOST: &str = "Question and answer both go to the group, so that no answer is ESTABLISHED: a rule has to \
     let in port 5353 of the group. Without, the name is not found.";

fn look_up(parties: &Parties) -> Script {
    let group = match parties.client {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)),
    };
    let udp = |flags: u8, length: usize| {
        let mut data = vec![0, 0, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        data.resize(length, b'n');
        Content::Udp { source_port: 5353, destination_port: 5353, data }
    };
    let mut script = Writer::new();
    let lost = "The question does not reach the others of the link.";
    script.step(Who::Client, Who::Server, "question to the group", udp(0, 40), lost);
    script.between(parties.client, group).hops(255);
    script.step(Who::Server, Who::Client, "answer to the group", udp(0x84, 90), LOST);
    script.between(parties.server, group).hops(255);
    script.finish()
}
