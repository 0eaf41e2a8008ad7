//! Ping, and other single messages of ICMP.

use super::super::writer::Writer;
use super::super::{
    Content, Conversation, Families, Nature, Parties, Scope, Script, Service, Upper, Who,
};

pub(super) const PING: Conversation = Conversation {
    code: "ping",
    title: "A ping",
    when_broken: "ping reports 100 % packet loss, while other things may work.",
    protocol: Some(Upper::Icmp),
    server_port: 0,
    helper: None,
    families: Families::Both,
    scope: Scope::Routed,
    router_beside: Who::Server,
    nature: Nature::Service,
    services: &[Service { protocol: 1, ports: (0, 0) }, Service { protocol: 58, ports: (0, 0) }],
    script: ping,
};

pub(super) const MESSAGE: Conversation = Conversation {
    code: "icmp-message",
    title: "An ICMP message, alone",
    when_broken: "It does not arrive.",
    nature: Nature::Mishap,
    services: &[],
    script: message,
    ..PING
};

pub(super) fn echo(parties: &Parties, reply: bool, sequence: u32) -> Content {
    let v4 = parties.client.is_ipv4();
    let kind = match (v4, reply) {
        (true, false) => 8,
        (true, true) => 0,
        (false, false) => 128,
        (false, true) => 129,
    };
    let rest = u32::from(parties.client_port) << 16 | sequence;
    Content::Icmp { kind, code: 0, rest, data: vec![0x42; 56] }
}

fn ping(parties: &Parties) -> Script {
    let mut script = Writer::new();
    write(&mut script, parties);
    script.finish()
}

/// Two requests, each with its reply.
pub(super) fn write(script: &mut Writer, parties: &Parties) {
    let lost = "ping reports 100 % packet loss.";
    for sequence in [1, 2] {
        let (request, reply) = (echo(parties, false, sequence), echo(parties, true, sequence));
        script.step(Who::Client, Who::Server, "echo request", request, lost);
        script.step(Who::Server, Who::Client, "echo reply", reply, lost);
    }
}

fn message(parties: &Parties) -> Script {
    let v4 = parties.client.is_ipv4();
    let (kind, code) = parties.icmp.unwrap_or(if v4 { (8, 0) } else { (128, 0) });
    let rest = u32::from(parties.client_port) << 16 | 1;
    let mut script = Writer::new();
    let content = Content::Icmp { kind, code, rest, data: vec![0; 32] };
    let label = crate::prose::icmp::name(v4, kind, code);
    script.step(Who::Client, Who::Server, &label, content, "It does not arrive.");
    script.finish()
}
