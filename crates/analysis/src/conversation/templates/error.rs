//! ICMP errors: about a query, and about nothing.

use super::super::writer::{Writer, datagram};
use super::super::{
    About, Content, Conversation, Nature, Need, Parties, Script, Service, Upper, Who,
};

pub(super) const ABOUT_QUERY: Conversation = Conversation {
    code: "icmp-error",
    title: "An ICMP error about a UDP query",
    when_broken: "Programs wait for their timeout where they could have failed at once.",
    protocol: Some(Upper::Udp),
    server_port: 53,
    services: &[
        Service { protocol: 17, ports: (53, 53) },
        Service { protocol: 1, ports: (0, 0) },
        Service { protocol: 58, ports: (0, 0) },
    ],
    script: about_query,
    ..super::tcp::SERVICE
};

pub(super) const ABOUT_NOTHING: Conversation = Conversation {
    code: "stray-icmp-error",
    title: "An ICMP error about a connection that does not exist",
    when_broken: "Nobody waits for it.",
    protocol: Some(Upper::Icmp),
    server_port: 443,
    nature: Nature::Attack,
    services: &[],
    script: about_nothing,
    ..super::tcp::SERVICE
};

fn about_query(parties: &Parties) -> Script {
    let v4 = parties.client.is_ipv4();
    let query = datagram((parties.client_port, parties.server_port), Who::Client, &[b'?'; 40]);
    let mut script = Writer::new();
    let lost = "The query does not reach its server.";
    let about = script.step(Who::Client, Who::Server, "UDP query", query, lost);
    script.ends_at_router();
    let (kind, code) = parties.icmp.unwrap_or(if v4 { (3, 1) } else { (1, 3) });
    let error = Content::Error { kind, code, rest: 0, about: About::Step(about) };
    let label = crate::prose::icmp::name(v4, kind, code);
    let lost = "The client is not told, and waits for its own timeout instead of failing at once.";
    script.step(Who::Router, Who::Client, &label, error, lost);
    script.needs(Need::Delivered(about));
    script.finish()
}

fn about_nothing(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let (kind, code) = if parties.client.is_ipv4() { (3, 1) } else { (1, 0) };
    let error = Content::Error { kind, code, rest: 0, about: About::Nothing };
    let label = "host unreachable, stray";
    script.step(Who::Router, Who::Client, label, error, "Nobody waits for it.");
    script.unwanted();
    script.finish()
}
