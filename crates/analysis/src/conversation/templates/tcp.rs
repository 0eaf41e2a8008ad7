//! A TCP service: handshake, data, close.

use super::super::writer::{SYN_LOST, Tcp, Writer};
use super::super::{Conversation, Families, Nature, Parties, Scope, Script, Service, Upper, Who};
use keepstate_packet::tcp::SYN;

pub(super) const SERVICE: Conversation = Conversation {
    code: "tcp",
    title: "A TCP connection: opened, used and closed",
    when_broken: "Programs wait to connect (\"connection timed out\"), or connect and hear nothing.",
    protocol: Some(Upper::Tcp),
    server_port: 443,
    helper: None,
    families: Families::Both,
    scope: Scope::Routed,
    router_beside: Who::Server,
    nature: Nature::Service,
    services: &[Service { protocol: 6, ports: (1, 65535) }],
    script: service,
};

pub(super) const ATTEMPT: Conversation = Conversation {
    code: "attempt",
    title: "A TCP connection attempt, the SYN alone",
    when_broken: "The connection cannot be opened.",
    nature: Nature::Mishap,
    services: &[],
    script: attempt,
    ..SERVICE
};

fn service(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    script.data(&mut tcp, Who::Client, 100);
    script.data(&mut tcp, Who::Server, 1200);
    script.close(&mut tcp);
    script.finish()
}

fn attempt(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let syn = tcp.segment(Who::Client, SYN, &[]);
    script.step(Who::Client, Who::Server, "SYN", syn, SYN_LOST);
    script.finish()
}
