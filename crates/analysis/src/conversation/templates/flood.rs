//! Many beginnings: a flood of SYNs that fills a backlog, and a password guesser that comes again and again.

use super::super::writer::{Tcp, Writer};
use super::super::{Conversation, Nature, Need, Parties, Script, Who};
use keepstate_packet::tcp::{ACK, SYN};
use std::time::Duration;

pub(super) const SYN_FLOOD: Conversation = Conversation {
    code: "syn-flood",
    title: "A flood of SYNs whose SYN-ACKs nobody acknowledges",
    when_broken: "Nothing: it is to be kept small. Where it passes, the server's backlog fills and others \
                  cannot connect.",
    nature: Nature::Attack,
    services: &[],
    script: flood,
    ..super::tcp::SERVICE
};

pub(super) const ATTEMPTS: Conversation = Conversation {
    code: "attempts",
    title: "One client that connects again and again (a password guesser)",
    when_broken: "Nothing: it is to be slowed down.",
    server_port: 22,
    script: attempts,
    ..SYN_FLOOD
};

const LOST: &str = "This attempt is not let in, and the client waits for its timeout.";

fn flood(parties: &Parties) -> Script {
    let mut script = Writer::new();
    for n in 0..FLOOD {
        let mut tcp = Tcp::new(parties.client_port.wrapping_add(n), parties.server_port);
        let syn = tcp.segment(Who::Client, SYN, &[]);
        let at = script.step(Who::Client, Who::Server, "SYN", syn, LOST);
        script.at_once();
        let answer = tcp.segment(Who::Server, SYN | ACK, &[]);
        script.step(Who::Server, Who::Client, "SYN-ACK", answer, LOST);
        script.needs(Need::Delivered(at)).perhaps();
    }
    script.finish()
}

/// SYNs of the flood; each is answered.
const FLOOD: u16 = 8;
/// Attempts in quick succession.
const QUICK: u16 = 12;

fn attempts(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let attempt = |script: &mut Writer, n: u16, label: String, after: u64| {
        let tcp = Tcp::new(parties.client_port.wrapping_add(n), parties.server_port);
        let syn = tcp.at(Who::Client, SYN, &[], 0);
        script.step(Who::Client, Who::Server, &label, syn, LOST);
        script.at_once().after(Duration::from_secs(after));
    };
    for n in 0..QUICK {
        attempt(&mut script, n, format!("SYN, attempt {}", n + 1), u64::from(n > 0));
    }
    let late = format!("SYN, attempt {}, 5 min later", QUICK + 1);
    attempt(&mut script, QUICK, late, 300);
    script.finish()
}
