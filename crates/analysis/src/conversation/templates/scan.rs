//! A port scan, as nmap(1) has its kinds; and single segments of any flags.

use super::super::writer::{Tcp, Writer};
use super::super::{Content, Conversation, Nature, Need, Parties, Script, Segment, Who};
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN, URG};

pub(super) const SYNS: Conversation = Conversation {
    code: "scan-syn",
    title: "A port scan with SYNs: an open port, a closed one, one that is silent",
    when_broken: "Nothing: it is to learn little.",
    server_port: 22,
    nature: Nature::Attack,
    services: &[],
    script: syns,
    ..super::tcp::SERVICE
};

pub(super) const FINS: Conversation = Conversation {
    code: "scan-fin",
    title: "A port scan with FINs (nmap -sF): closed ports answer, open ones do not",
    script: fins,
    ..SYNS
};

pub(super) const NULL: Conversation = Conversation {
    code: "scan-null",
    title: "A port scan with segments without flags (nmap -sN)",
    script: null,
    ..SYNS
};

pub(super) const XMAS: Conversation = Conversation {
    code: "scan-xmas",
    title: "A port scan with FIN, PSH and URG (nmap -sX)",
    script: xmas,
    ..SYNS
};

pub(super) const ACKS: Conversation = Conversation {
    code: "scan-ack",
    title: "A port scan with ACKs (nmap -sA): a reset comes back from what no filter stops",
    script: acks,
    ..SYNS
};

pub(super) const LONE: Conversation = Conversation {
    code: "lone-segment",
    title: "A lone TCP segment",
    when_broken: "It does not reach the server.",
    script: lone,
    ..SYNS
};

const PROBE_LOST: &str = "The probe does not reach the host, and whoever scans hears nothing.";
const ANSWER_LOST: &str = "Whoever scans is told nothing: the port looks filtered.";

/// The reset of a host that knows no such connection (RFC 9293, 3.10.7.1).
fn refusal(probe: &Segment) -> Content {
    let length = u32::from(probe.flags & SYN != 0) + u32::from(probe.flags & FIN != 0);
    let (flags, sequence, acknowledgment) = match probe.flags & ACK {
        0 => (RST | ACK, 0, probe.sequence.wrapping_add(length)),
        _ => (RST, probe.acknowledgment, 0),
    };
    Content::Tcp(Segment {
        source_port: probe.destination_port,
        destination_port: probe.source_port,
        sequence,
        acknowledgment,
        flags,
        data: Vec::new(),
    })
}

fn syns(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let flow = |n: u16| {
        let port = parties.server_port.wrapping_add(n);
        Tcp::new(parties.client_port.wrapping_add(n), port)
    };
    let mut open = flow(0);
    let syn = open.segment(Who::Client, SYN, &[]);
    let at = script.step(Who::Client, Who::Server, "SYN, open port", syn, PROBE_LOST);
    script.at_once();
    let answer = open.segment(Who::Server, SYN | ACK, &[]);
    let answered = script.step(Who::Server, Who::Client, "SYN-ACK", answer, ANSWER_LOST);
    script.needs(Need::Delivered(at));
    let reset = open.at(Who::Client, RST, &[], 0);
    script.step(Who::Client, Who::Server, "RST", reset, PROBE_LOST);
    script.needs(Need::Delivered(answered));
    probe(&mut script, &flow(1), SYN, "SYN, closed port");
    let silent = flow(2).at(Who::Client, SYN, &[], 0);
    script.step(Who::Client, Who::Server, "SYN, silent port", silent, PROBE_LOST);
    script.at_once();
    script.finish()
}

/// A probe to a closed port, and the answer.
fn probe(script: &mut Writer, flow: &Tcp, flags: u8, label: &str) {
    let content = flow.at(Who::Client, flags, &[], 0);
    let refusal = match &content {
        Content::Tcp(segment) => refusal(segment),
        other => other.clone(),
    };
    let at = script.step(Who::Client, Who::Server, label, content, PROBE_LOST);
    script.at_once();
    script.step(Who::Server, Who::Client, "RST", refusal, ANSWER_LOST);
    script.needs(Need::Delivered(at));
}

fn odd(parties: &Parties, flags: u8) -> Script {
    let mut script = Writer::new();
    let flow = Tcp::new(parties.client_port, parties.server_port);
    let label = format!("{}, port {}", crate::prose::tcp::flags(flags), parties.server_port);
    probe(&mut script, &flow, flags, &label);
    script.finish()
}

fn fins(parties: &Parties) -> Script {
    odd(parties, FIN)
}

fn null(parties: &Parties) -> Script {
    odd(parties, 0)
}

fn xmas(parties: &Parties) -> Script {
    odd(parties, FIN | PSH | URG)
}

fn acks(parties: &Parties) -> Script {
    odd(parties, ACK)
}

fn lone(parties: &Parties) -> Script {
    let tcp = Tcp::new(parties.client_port, parties.server_port);
    let flags = parties.flags.unwrap_or(ACK);
    let mut script = Writer::new();
    let label = crate::prose::tcp::flags(flags);
    let lost = "It does not reach the server.";
    script.step(Who::Client, Who::Server, &label, tcp.at(Who::Client, flags, &[], 0), lost);
    script.finish()
}
