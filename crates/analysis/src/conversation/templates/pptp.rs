//! A tunnel over PPTP (RFC 2637): a call is set up over TCP, its packets are GRE in both directions.

use super::super::writer::{Tcp, Writer, other};
use super::super::{Announced, Content, Conversation, Families, Parties, Script, Service, Who};
use keepstate_packet::tcp::{ACK, PSH};

pub(super) const TUNNEL: Conversation = Conversation {
    code: "pptp",
    title: "A tunnel over PPTP: the call over TCP, its packets in GRE",
    when_broken: "The tunnel says \"verifying user name and password\" and fails (error 619 or 806).",
    server_port: 1723,
    helper: Some("pptp"),
    families: Families::V4,
    services: &[
        Service { protocol: 6, ports: (1723, 1723) },
        Service { protocol: 47, ports: (0, 0) },
    ],
    script: tunnel,
    ..super::tcp::SERVICE
};

const CLIENT_CALL: u16 = 0x1001;
const SERVER_CALL: u16 = 0x2002;
const LOST: &str = "The call is set up and its packets do not pass: the tunnel fails while it checks the \
     password.";

/// A control message: its type and what follows, filled up to its length.
fn control(kind: u16, length: usize, fields: &[u16]) -> Vec<u8> {
    let mut out = u16::try_from(length).unwrap_or(0).to_be_bytes().to_vec();
    out.extend([0, 1]);
    out.extend(0x1a2b_3c4d_u32.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend([0, 0]);
    out.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
    out.resize(length, 0);
    out
}

/// Where a call reply repeats the number of the one who has asked.
const PEERS_NUMBER: usize = 14;
/// Where a packet of the tunnel names its call.
const KEY: usize = 6;

/// The number that whoever asks for a call, or grants one, has given it: packets for him are to name it.
fn call_number(message: &[u8]) -> Option<Announced> {
    let octets: [u8; 2] = message.get(12..14)?.try_into().ok()?;
    Some((None, u16::from_be_bytes(octets)))
}

/// A packet of the tunnel for whoever has given it this call number (GRE version 1).
fn gre(call: u16, sequence: u32) -> Content {
    let payload = [0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 4];
    let mut data = vec![0x30, 0x01, 0x88, 0x0b, 0, 8];
    data.extend(call.to_be_bytes());
    data.extend(sequence.to_be_bytes());
    data.extend(payload);
    Content::Other { protocol: 47, data }
}

fn tunnel(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    let messages = [
        (Who::Client, "start request", control(1, 156, &[0x0100])),
        (Who::Server, "start reply", control(2, 156, &[0x0100, 0x0100])),
        (Who::Client, "call request", control(7, 168, &[CLIENT_CALL, 1])),
        (Who::Server, "call reply", control(8, 32, &[SERVER_CALL, CLIENT_CALL, 0x0100])),
    ];
    let mut said: Vec<usize> = Vec::new();
    for (from, label, message) in messages {
        let content = tcp.segment(from, PSH | ACK, &message);
        let at = script.step(from, other(from), label, content, super::super::writer::DATA_LOST);
        if let (Some(asked), "call reply") = (said.last(), label) {
            script.repeats(*asked, call_number, PEERS_NUMBER);
        }
        said.push(at);
    }
    let [.., asked, answered] = said[..] else { return script.finish() };
    for sequence in [0, 1] {
        script.step(Who::Client, Who::Server, "GRE", gre(SERVER_CALL, sequence), LOST);
        script.repeats(answered, call_number, KEY);
        script.step(Who::Server, Who::Client, "GRE", gre(CLIENT_CALL, sequence), LOST);
        script.repeats(asked, call_number, KEY);
    }
    script.finish()
}
