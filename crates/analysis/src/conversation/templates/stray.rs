//! Segments that do not fit their connection: too far ahead, a guessed reset.
//!
//! Behind a translation the first of them is the beginning of a story: it is INVALID and not translated,
//! so it comes to the gateway itself, whose reset fits the server's connection and ends it.

use super::super::writer::{Tcp, Writer};
use super::super::{Conversation, Nature, Parties, Script, Who};
use keepstate_packet::tcp::{ACK, PSH, RST};

pub(super) const OUT_OF_WINDOW: Conversation = Conversation {
    code: "out-of-window",
    title: "A segment outside the window",
    when_broken: "\"Connection reset by peer\" under load, behind a translation.",
    nature: Nature::Mishap,
    script: out_of_window,
    ..super::tcp::SERVICE
};

pub(super) const RESET: Conversation = Conversation {
    code: "stray-rst",
    title: "A reset that does not fit its connection",
    when_broken: "Nothing: it is to be stopped, and ends no receiver that is careful.",
    nature: Nature::Attack,
    script: stray_reset,
    ..OUT_OF_WINDOW
};

/// How far past the expected byte the stray segment is: more than any window announced here.
const FAR: u32 = 1_000_000;

fn out_of_window(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    script.data(&mut tcp, Who::Client, 100);
    let stray = tcp.at(Who::Server, PSH | ACK, &[b'x'; 100], FAR);
    let label = format!("ACK, {FAR} ahead");
    let lost = "A segment that its receiver has announced no room for: a blind attacker's, a middlebox's, or \
                a sign that the filter has not seen some of the connection. It is dropped before it reaches \
                anybody.";
    script.step(Who::Server, Who::Client, &label, stray, lost);
    script.stray();
    let lost = "The server has been told that its connection is gone, by a reset that fitted it: the client \
                waits for an answer that never comes, and is told \"connection reset by peer\" when it says \
                anything.";
    script.data(&mut tcp, Who::Server, 1200);
    if let Some(step) = script.steps.last_mut() {
        step.when_lost = lost;
    }
    script.finish()
}

fn stray_reset(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    let reset = tcp.at(Who::Server, RST, &[], FAR);
    let lost = "A reset that somebody guesses at, with a sequence number far from what is due, does not reach \
                the client.";
    script.step(Who::Server, Who::Client, &format!("RST, {FAR} ahead"), reset, lost);
    script.unwanted();
    script.finish()
}
