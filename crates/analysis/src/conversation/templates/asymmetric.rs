//! The answers take another way: the filter sees what the client sends and nothing else.

use super::super::writer::{Tcp, Writer};
use super::super::{Conversation, Nature, Parties, Script, Who};
use keepstate_packet::tcp::{ACK, SYN};

pub(super) const ASYMMETRIC: Conversation = Conversation {
    code: "asymmetric",
    title: "A connection of which one direction only comes past here (asymmetric routing)",
    when_broken: "Connections over one of two paths cannot be opened, though ping works.",
    nature: Nature::Mishap,
    script: one_way,
    ..super::tcp::SERVICE
};

const LOST: &str = "The server's answers take another way, so tracking never sees the handshake and cannot \
     place what the client sends after its SYN: connections over this path cannot be opened at all.";

fn one_way(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let syn = tcp.segment(Who::Client, SYN, &[]);
    script.step(Who::Client, Who::Server, "SYN", syn, super::super::writer::SYN_LOST);
    let syn_ack = tcp.segment(Who::Server, SYN | ACK, &[]);
    script.step(Who::Server, Who::Client, "SYN-ACK (another way)", syn_ack, LOST);
    script.beside();
    let ack = tcp.segment(Who::Client, ACK, &[]);
    script.step(Who::Client, Who::Server, "ACK (no SYN-ACK seen)", ack, LOST);
    script.data(&mut tcp, Who::Client, 100);
    if let Some(step) = script.steps.last_mut() {
        step.when_lost = LOST;
    }
    script.finish()
}
