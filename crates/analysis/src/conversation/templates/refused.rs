//! Nobody listens there, and the host says so: a reset over TCP, an ICMP error over UDP.

use super::super::writer::{SYN_LOST, Tcp, Writer, datagram};
use super::super::{About, Content, Conversation, Need, Parties, Script, Service, Upper, Who};
use keepstate_packet::tcp::{ACK, RST, SYN};

pub(super) const RESET: Conversation = Conversation {
    code: "refused",
    title: "A TCP connection that its host refuses with a reset",
    when_broken: "Programs wait for two minutes where they could have said \"connection refused\".",
    server_port: 113,
    services: &[Service { protocol: 6, ports: (1, 65535) }],
    script: reset,
    ..super::tcp::SERVICE
};

pub(super) const UNREACHABLE: Conversation = Conversation {
    code: "refused-udp",
    title: "A UDP query to a port where nobody listens",
    when_broken: "Programs wait for their timeout where they could have failed at once.",
    protocol: Some(Upper::Udp),
    server_port: 99,
    services: &[Service { protocol: 17, ports: (1, 65535) }],
    script: unreachable,
    ..RESET
};

fn reset(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let syn = tcp.segment(Who::Client, SYN, &[]);
    script.step(Who::Client, Who::Server, "SYN", syn, SYN_LOST);
    tcp.server_next = 0;
    let reset = tcp.at(Who::Server, RST | ACK, &[], 0);
    let lost = "The client is not told that nobody listens there: it repeats its SYN and gives up after \
                about two minutes.";
    script.step(Who::Server, Who::Client, "RST-ACK", reset, lost);
    script.finish()
}

fn unreachable(parties: &Parties) -> Script {
    let query = datagram((parties.client_port, parties.server_port), Who::Client, &[b'?'; 40]);
    let mut script = Writer::new();
    let lost = "The query does not reach its server.";
    let about = script.step(Who::Client, Who::Server, "UDP query", query, lost);
    let (kind, code) = if parties.client.is_ipv4() { (3, 3) } else { (1, 4) };
    let error = Content::Error { kind, code, rest: 0, about: About::Step(about) };
    let lost = "The client is not told that nobody listens there and waits for its own timeout.";
    script.step(Who::Server, Who::Client, "port unreachable", error, lost);
    script.needs(Need::Delivered(about));
    script.finish()
}
