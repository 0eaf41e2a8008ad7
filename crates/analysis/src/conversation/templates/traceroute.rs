//! traceroute in its three kinds: probes that routers throw away when their hops are used up, and say so;
//! then one that reaches the host.

use super::super::writer::{Tcp, Writer, datagram};
use super::super::{About, Content, Conversation, Need, Parties, Script, Service, Upper, Who};
use keepstate_packet::tcp::{ACK, RST, SYN};

pub(super) const UDP: Conversation = Conversation {
    code: "traceroute-udp",
    title: "traceroute with UDP, as Linux has it",
    when_broken: "traceroute prints * * * for every hop.",
    protocol: Some(Upper::Udp),
    server_port: 33_434,
    services: &[Service { protocol: 17, ports: (33_434, 33_534) }],
    script: udp,
    ..super::tcp::SERVICE
};

pub(super) const ICMP: Conversation = Conversation {
    code: "traceroute-icmp",
    title: "traceroute with echo requests, as Windows has it (tracert, mtr)",
    when_broken: "mtr shows the last host and no hop before it, or nothing at all.",
    protocol: Some(Upper::Icmp),
    server_port: 0,
    services: &[Service { protocol: 1, ports: (0, 0) }, Service { protocol: 58, ports: (0, 0) }],
    script: icmp,
    ..UDP
};

pub(super) const TCP: Conversation = Conversation {
    code: "traceroute-tcp",
    title: "traceroute with SYNs (tcptraceroute)",
    when_broken: "tcptraceroute shows the service and no hop before it.",
    protocol: Some(Upper::Tcp),
    server_port: 443,
    services: &[Service { protocol: 6, ports: (443, 443) }],
    script: tcp,
    ..UDP
};

const HOP_LOST: &str = "The routers' word that a probe has used up its hops does not arrive: traceroute \
     prints * * * where they are.";
const PROBE_LOST: &str = "The probe does not leave: traceroute prints nothing but * * *.";
const END_LOST: &str = "The host's answer does not arrive: traceroute goes on to its last hop and never \
     says that it has reached the host.";

/// Two probes with their hops; each is thrown away by the router, who says so.
fn hops(script: &mut Writer, parties: &Parties, mut probe: impl FnMut(u16) -> (String, Content)) {
    let (kind, code) = if parties.client.is_ipv4() { (11, 0) } else { (3, 0) };
    for hop in [2, 3] {
        let (label, content) = probe(u16::from(hop));
        let label = format!("{label}, {hop} hops");
        let at = script.step(Who::Client, Who::Server, &label, content, PROBE_LOST);
        script.at_once().hops(hop).ends_at_router();
        let error = Content::Error { kind, code, rest: 0, about: About::Step(at) };
        script.step(Who::Router, Who::Client, "time exceeded", error, HOP_LOST);
        script.needs(Need::Delivered(at));
    }
}

fn udp(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let probe = |hop: u16| {
        let port = parties.server_port.wrapping_add(hop);
        let content = datagram((parties.client_port, port), Who::Client, &[b'@'; 32]);
        (format!("UDP to port {port}"), content)
    };
    hops(&mut script, parties, probe);
    let (label, content) = probe(4);
    let at = script.step(Who::Client, Who::Server, &label, content, PROBE_LOST);
    script.at_once();
    let (kind, code) = if parties.client.is_ipv4() { (3, 3) } else { (1, 4) };
    let error = Content::Error { kind, code, rest: 0, about: About::Step(at) };
    script.step(Who::Server, Who::Client, "port unreachable", error, END_LOST);
    script.needs(Need::Delivered(at));
    script.finish()
}

fn icmp(parties: &Parties) -> Script {
    let v4 = parties.client.is_ipv4();
    let (request, reply) = if v4 { (8, 0) } else { (128, 129) };
    let echo = |kind: u8, hop: u16| {
        let rest = u32::from(parties.client_port) << 16 | u32::from(hop);
        Content::Icmp { kind, code: 0, rest, data: vec![0x42; 32] }
    };
    let mut script = Writer::new();
    hops(&mut script, parties, |hop| (String::from("echo request"), echo(request, hop)));
    let at = script.step(Who::Client, Who::Server, "echo request", echo(request, 4), PROBE_LOST);
    script.at_once();
    script.step(Who::Server, Who::Client, "echo reply", echo(reply, 4), END_LOST);
    script.needs(Need::Delivered(at));
    script.finish()
}

fn tcp(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let flow = |hop: u16| Tcp::new(parties.client_port.wrapping_add(hop), parties.server_port);
    hops(&mut script, parties, |hop| (String::from("SYN"), flow(hop).at(Who::Client, SYN, &[], 0)));
    let mut last = flow(4);
    let syn = last.segment(Who::Client, SYN, &[]);
    let at = script.step(Who::Client, Who::Server, "SYN", syn, PROBE_LOST);
    script.at_once();
    let answer = last.segment(Who::Server, SYN | ACK, &[]);
    let answered = script.step(Who::Server, Who::Client, "SYN-ACK", answer, END_LOST);
    script.needs(Need::Delivered(at));
    let reset = last.at(Who::Client, RST, &[], 0);
    let lost = "The server keeps a connection in its backlog that nobody wants.";
    script.step(Who::Client, Who::Server, "RST", reset, lost);
    script.needs(Need::Delivered(answered));
    script.finish()
}
