//! Many at once: a flood of SYNs that fills a backlog, a password guesser that comes again and again, pings without
//! end; and who comes beside them.

use super::super::writer::{Tcp, Writer};
use super::super::{Conversation, Nature, Need, Parties, Script, Service, Who};
use keepstate_packet::tcp::{ACK, SYN};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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

pub(super) const CROWD: Conversation = Conversation {
    code: "crowd",
    title: "A connection while somebody else connects again and again",
    when_broken: "Who is to be let in is kept out, because somebody else comes too often.",
    nature: Nature::Service,
    services: &[Service { protocol: 6, ports: (1, 65535) }],
    script: crowd,
    ..ATTEMPTS
};

pub(super) const PINGS: Conversation = Conversation {
    code: "pings",
    title: "One client that pings again and again",
    when_broken: "Nothing: it is to be kept small.",
    nature: Nature::Attack,
    services: &[],
    script: pings,
    ..super::ping::PING
};

pub(super) const PING_CROWD: Conversation = Conversation {
    code: "ping-crowd",
    title: "A ping while somebody else pings again and again",
    when_broken: "ping reports packets lost, because somebody else sends too many.",
    script: ping_crowd,
    ..super::ping::PING
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
/// Between two pings of somebody who sends too many.
const BETWEEN_PINGS: Duration = Duration::from_millis(100);

/// Whoever comes too often: an address of the documentation ranges.
const fn pushy(v4: bool) -> IpAddr {
    match v4 {
        true => IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66)),
        false => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xcb, 0, 0, 0, 0, 0x66)),
    }
}

fn crowd(parties: &Parties) -> Script {
    let mut script = Writer::new();
    for n in 0..QUICK {
        let tcp = Tcp::new(parties.client_port.wrapping_add(n + 1), parties.server_port);
        let syn = tcp.at(Who::Client, SYN, &[], 0);
        script.step(Who::Client, Who::Server, "SYN of somebody else", syn, LOST);
        let other = pushy(parties.server.is_ipv4());
        script.at_once().perhaps().after(Duration::from_secs(1)).between(other, parties.server);
    }
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let begin = script.steps.len();
    script.handshake(&mut tcp);
    if let Some(syn) = script.steps.get_mut(begin) {
        syn.needs.clear();
        syn.when_lost = "This client has done nothing and is not let in: the allowance that all share is \
                         used up by somebody else.";
    }
    script.data(&mut tcp, Who::Client, 100);
    script.finish()
}

fn pings(parties: &Parties) -> Script {
    let mut script = Writer::new();
    for n in 0..u32::from(QUICK) {
        let request = super::ping::echo(parties, false, n + 1);
        let label = format!("echo request {}", n + 1);
        script.step(Who::Client, Who::Server, &label, request, "This one is not answered.");
        script.at_once().after(if n > 0 { BETWEEN_PINGS } else { Duration::ZERO });
    }
    script.finish()
}

fn ping_crowd(parties: &Parties) -> Script {
    let mut script = Writer::new();
    for n in 0..u32::from(QUICK) {
        let request = super::ping::echo(parties, false, n + 1);
        let (from, to) = (Who::Client, Who::Server);
        script.step(from, to, "echo request of somebody else", request, "It is not answered.");
        let other = pushy(parties.server.is_ipv4());
        script.at_once().perhaps().after(BETWEEN_PINGS).between(other, parties.server);
    }
    let begin = script.steps.len();
    super::ping::write(&mut script, parties);
    if let Some(request) = script.steps.get_mut(begin) {
        request.needs.clear();
        request.when_lost = "This client has done nothing and gets no answer: the allowance that all share is \
                             used up by somebody else.";
    }
    script.finish()
}

fn attempts(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let attempt = |script: &mut Writer, n: u16, label: String, after: u64| {
        let tcp = Tcp::new(parties.client_port.wrapping_add(n), parties.server_port);
        let syn = tcp.at(Who::Client, SYN, &[], 0);
        script.step(Who::Client, Who::Server, &label, syn, LOST);
        script.at_once().after(Duration::from_secs(after));
    };
    for n in 0..QUICK {
        attempt(&mut script, n, format!("attempt {}", n + 1), u64::from(n > 0));
    }
    let late = format!("attempt {}, +5 min", QUICK + 1);
    attempt(&mut script, QUICK, late, 300);
    script.finish()
}
