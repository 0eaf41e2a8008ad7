//! Names looked up: over UDP, and over TCP after an answer that did not fit (RFC 1035, RFC 7766).

use super::super::writer::{Tcp, Writer, datagram};
use super::super::{Conversation, Nature, Need, Parties, Script, Service, Upper, Who};

pub(super) const DNS: Conversation = Conversation {
    code: "dns",
    title: "A name looked up over UDP",
    when_broken: "Looking up a name takes five seconds or more and then fails.",
    protocol: Some(Upper::Udp),
    server_port: 53,
    services: &[Service { protocol: 17, ports: (53, 53) }],
    script: query,
    ..super::tcp::SERVICE
};

pub(super) const TRUNCATED: Conversation = Conversation {
    code: "dns-tcp",
    title: "A name whose answer does not fit into UDP: the truncated answer, then TCP",
    when_broken: "Most names are found; those with long answers (DNSSEC, many addresses) are not.",
    services: &[
        Service { protocol: 17, ports: (53, 53) },
        Service { protocol: 6, ports: (53, 53) },
    ],
    script: truncated,
    ..DNS
};

pub(super) const UNWELCOME: Conversation = Conversation {
    code: "udp-attempt",
    title: "A UDP query, alone",
    when_broken: "The query is not answered.",
    server_port: 99,
    nature: Nature::Mishap,
    services: &[],
    script: unwelcome,
    ..DNS
};

const LOST: &str = "The client waits for an answer that does not come; a resolver tries again and reports a \
     timeout after some seconds.";

/// A header of 12 bytes, then filling.
fn message(parties: &Parties, flags: u16, length: usize) -> Vec<u8> {
    let mut out = parties.client_port.to_be_bytes().to_vec();
    out.extend(flags.to_be_bytes());
    out.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    out.resize(length, b'n');
    out
}

const QUERY: u16 = 0x0100;
const ANSWER: u16 = 0x8180;
/// An answer that says that it is cut short.
const CUT: u16 = 0x8380;

fn query(parties: &Parties) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let mut script = Writer::new();
    for (asked, answered) in [(40, 120), (44, 140)] {
        let query = datagram(ports, Who::Client, &message(parties, QUERY, asked));
        script.step(Who::Client, Who::Server, "UDP query", query, LOST);
        let answer = datagram(ports, Who::Server, &message(parties, ANSWER, answered));
        script.step(Who::Server, Who::Client, "UDP answer", answer, LOST);
    }
    script.finish()
}

fn truncated(parties: &Parties) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let query = datagram(ports, Who::Client, &message(parties, QUERY, 40));
    script.step(Who::Client, Who::Server, "UDP query", query, LOST);
    let answer = datagram(ports, Who::Server, &message(parties, CUT, 60));
    let cut = script.step(Who::Server, Who::Client, "UDP answer, truncated", answer, LOST);
    let mut tcp = Tcp::new(parties.client_port.wrapping_add(1), parties.server_port);
    let begin = script.steps.len();
    script.handshake(&mut tcp);
    if let Some(syn) = script.steps.get_mut(begin) {
        syn.needs = vec![Need::Delivered(cut)];
        syn.when_lost = "The resolver is told that the answer is too long for UDP and cannot ask again \
                         over TCP: this name is not found, while others are.";
    }
    script.data(&mut tcp, Who::Client, 42);
    script.data(&mut tcp, Who::Server, 1300);
    script.close(&mut tcp);
    script.finish()
}

fn unwelcome(parties: &Parties) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let query = datagram(ports, Who::Client, &[b'?'; 40]);
    script.step(Who::Client, Who::Server, "UDP query", query, "The query is not answered.");
    script.finish()
}
