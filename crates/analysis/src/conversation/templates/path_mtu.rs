//! Path MTU discovery: a router on the way cannot pass a packet on and says how large it may be (RFC 1191;
//! RFC 8201), and the sender sends smaller ones.

use super::super::writer::{DATA_LOST, Tcp, Writer};
use super::super::{About, Content, Conversation, Need, Parties, Script, Service, Who};
use keepstate_packet::tcp::ACK;

pub(super) const UP: Conversation = Conversation {
    code: "pmtu",
    title: "A large upload over a path that takes smaller packets only",
    when_broken: "Uploads, mails with attachments and git pushes hang; short things work.",
    services: &[
        Service { protocol: 6, ports: (1, 65535) },
        Service { protocol: 1, ports: (0, 0) },
        Service { protocol: 58, ports: (0, 0) },
    ],
    script: up,
    ..super::tcp::SERVICE
};

pub(super) const DOWN: Conversation = Conversation {
    code: "pmtu-server",
    title: "A large download over a path that takes smaller packets only",
    when_broken: "Web pages hang after the first bytes, for some clients only (those behind a tunnel or \
                  PPPoE); short answers come.",
    router_beside: Who::Client,
    script: down,
    ..UP
};

/// MTU of the narrow link beyond the filter, in bytes.
const NARROW_MTU: u16 = 1400;

const BLACK_HOLE: &str = "A path MTU black hole: the router beyond the filter has thrown the large packet \
     away and its word about it does not arrive, so the sender repeats the same large packet until it gives \
     up. Small things work (the handshake, a short request), and every transfer of size hangs.";

fn up(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    discovery(&mut script, &mut tcp, parties, Who::Client);
    script.finish()
}

fn down(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    script.data(&mut tcp, Who::Client, 100);
    discovery(&mut script, &mut tcp, parties, Who::Server);
    script.finish()
}

fn discovery(script: &mut Writer, tcp: &mut Tcp, parties: &Parties, from: Who) {
    let v4 = parties.client.is_ipv4();
    let to = super::super::writer::other(from);
    let headers = 20 + if v4 { 20 } else { 40 };
    let full = 1500 - headers;
    let large = tcp.at(from, ACK, &vec![b'd'; full], 0);
    let label = format!("ACK, {full} bytes{}", if v4 { ", DF" } else { "" });
    let large_at = script.step(from, to, &label, large.clone(), DATA_LOST);
    script.ends_at_router();
    let (kind, code) = if v4 { (3, 4) } else { (2, 0) };
    let error =
        Content::Error { kind, code, rest: u32::from(NARROW_MTU), about: About::Step(large_at) };
    let label = if v4 { "frag needed" } else { "packet too big" };
    let label = format!("{label}, MTU {NARROW_MTU}");
    let error_at = script.step(Who::Router, from, &label, error, BLACK_HOLE);
    script.needs(Need::Delivered(large_at));
    let small = usize::from(NARROW_MTU) - headers;
    let fitting = tcp.segment(from, ACK, &vec![b'd'; small]);
    let label = format!("ACK, {small} bytes");
    let fitting_at = script.step(from, to, &label, fitting, DATA_LOST);
    script.needs(Need::Delivered(error_at));
    let taken = tcp.segment(to, ACK, &[]);
    script.step(to, from, "ACK", taken, DATA_LOST);
    script.needs(Need::Delivered(fitting_at));
    let label = format!("same {full} bytes again");
    script.step(from, to, &label, large, DATA_LOST);
    script.needs(Need::Lost(error_at)).ends_at_router().perhaps();
}
