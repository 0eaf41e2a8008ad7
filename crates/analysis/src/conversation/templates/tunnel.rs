//! Tunnels, and protocols of which tracking knows nothing but the number.

use super::super::writer::{Writer, datagram};
use super::super::{Content, Conversation, Parties, Script, Service, Upper, Who};
use std::time::Duration;

pub(super) const IPSEC: Conversation = Conversation {
    code: "ipsec",
    title: "A tunnel of IPsec: the keys over UDP 500, the packets in ESP",
    when_broken: "The tunnel says that it is up, and nothing goes through.",
    protocol: Some(Upper::Udp),
    server_port: 500,
    services: &[
        Service { protocol: 17, ports: (500, 500) },
        Service { protocol: 17, ports: (4500, 4500) },
        Service { protocol: 50, ports: (0, 0) },
        Service { protocol: 51, ports: (0, 0) },
    ],
    script: ipsec,
    ..super::tcp::SERVICE
};

pub(super) const WIREGUARD: Conversation = Conversation {
    code: "wireguard",
    title: "A tunnel of WireGuard that is silent for a while",
    when_broken: "The tunnel works until it has been silent for a while; then only one side can wake it.",
    server_port: 51_820,
    services: &[Service { protocol: 17, ports: (51_820, 51_820) }],
    script: wireguard,
    ..IPSEC
};

pub(super) const GRE: Conversation = Conversation {
    code: "gre",
    title: "A tunnel of GRE",
    when_broken: "Nothing goes through the tunnel, or one way only.",
    protocol: Some(Upper::Other(47)),
    server_port: 0,
    services: &[Service { protocol: 47, ports: (0, 0) }],
    script: gre,
    ..IPSEC
};

pub(super) const OTHER: Conversation = Conversation {
    code: "other",
    title: "Packets of another protocol, there and back",
    when_broken: "Nothing of this protocol gets through.",
    protocol: None,
    server_port: 0,
    services: &[Service { protocol: 4, ports: (0, 0) }, Service { protocol: 41, ports: (0, 0) }],
    script: other,
    ..IPSEC
};

const KEYS_LOST: &str = "The two cannot agree on keys: the tunnel is not set up.";
const LOST: &str = "The tunnel is up, and what is sent through it does not arrive.";

/// A packet of ESP: the index that its receiver has given out, a number, and what nobody can read.
fn esp(index: u32, number: u32) -> Content {
    let mut data = index.to_be_bytes().to_vec();
    data.extend(number.to_be_bytes());
    data.resize(100, 0x5a);
    Content::Other { protocol: 50, data }
}

fn ipsec(parties: &Parties) -> Script {
    let ports = (500, parties.server_port);
    let mut script = Writer::new();
    for exchange in ["IKE_SA_INIT", "IKE_AUTH"] {
        for (from, to) in [(Who::Client, Who::Server), (Who::Server, Who::Client)] {
            let content = datagram(ports, from, &[0x2e; 200]);
            script.step(from, to, exchange, content, KEYS_LOST);
        }
    }
    script.step(Who::Client, Who::Server, "ESP", esp(0x1111, 1), LOST);
    script.step(Who::Server, Who::Client, "ESP", esp(0x2222, 1), LOST);
    script.step(Who::Client, Who::Server, "ESP", esp(0x1111, 2), LOST);
    script.finish()
}

fn wireguard(parties: &Parties) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let mut script = Writer::new();
    for round in 0..2 {
        let begin = datagram(ports, Who::Client, &[1; 148]);
        script.step(Who::Client, Who::Server, "handshake initiation", begin, KEYS_LOST);
        if round > 0 {
            script.after(Duration::from_secs(600));
        }
        let response = datagram(ports, Who::Server, &[2; 92]);
        script.step(Who::Server, Who::Client, "handshake response", response, KEYS_LOST);
        let data = datagram(ports, Who::Client, &[4; 128]);
        script.step(Who::Client, Who::Server, "data", data, LOST);
        let data = datagram(ports, Who::Server, &[4; 128]);
        script.step(Who::Server, Who::Client, "data", data, LOST);
    }
    script.finish()
}

fn gre(_parties: &Parties) -> Script {
    // Version 0, what it carries is IPv4; then that.
    let content = |n: u8| {
        let mut data = vec![0, 0, 8, 0];
        data.resize(60, n);
        Content::Other { protocol: 47, data }
    };
    there_and_back("GRE", content)
}

fn other(parties: &Parties) -> Script {
    let label = crate::prose::protocol::name(parties.protocol);
    there_and_back(&label, |n| Content::Other { protocol: parties.protocol, data: vec![n; 48] })
}

fn there_and_back(label: &str, content: impl Fn(u8) -> Content) -> Script {
    let mut script = Writer::new();
    let lost = "Nothing of this protocol gets through.";
    script.step(Who::Client, Who::Server, label, content(0), lost);
    script.step(Who::Server, Who::Client, label, content(0), lost);
    script.step(Who::Client, Who::Server, label, content(0), lost);
    script.finish()
}
