//! A router on the link says that another one is nearer (RFC 792).

use super::super::writer::{Writer, datagram};
use super::super::{
    About, Content, Conversation, Families, Nature, Need, Parties, Scope, Script, Service, Upper,
    Who,
};
use std::net::IpAddr;

pub(super) const REDIRECT: Conversation = Conversation {
    code: "redirect",
    title: "An ICMP redirect: take that other router",
    when_broken: "Nothing: packets go on by the longer way. Who can send redirects can turn traffic to \
                  himself, so that most hosts ignore them.",
    protocol: Some(Upper::Udp),
    server_port: 53,
    families: Families::V4,
    scope: Scope::Link,
    router_beside: Who::Server,
    nature: Nature::Mishap,
    services: &[Service { protocol: 17, ports: (53, 53) }, Service { protocol: 1, ports: (0, 0) }],
    script: redirect,
    ..super::tcp::SERVICE
};

fn redirect(parties: &Parties) -> Script {
    let query = datagram((parties.client_port, parties.server_port), Who::Client, &[b'?'; 40]);
    let mut script = Writer::new();
    let lost = "The query does not leave.";
    let about = script.step(Who::Client, Who::Server, "UDP query", query, lost);
    // The other router: a neighbour of the client.
    let gateway = match parties.client {
        IpAddr::V4(client) => client.to_bits() & 0xffff_ff00 | 0xfe,
        IpAddr::V6(_) => 0,
    };
    let error = Content::Error { kind: 5, code: 1, rest: gateway, about: About::Step(about) };
    let lost = "Packets go on by the longer way, which is no harm.";
    script.step(Who::Router, Who::Client, "redirect", error, lost);
    script.needs(Need::Delivered(about));
    script.finish()
}
