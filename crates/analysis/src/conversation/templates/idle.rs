//! A login that is left alone: over lunch, and for longer than the filter remembers it.

use super::super::writer::{DATA_LOST, Tcp, Writer};
use super::super::{Conversation, Nature, Parties, Script, Service, Who};
use keepstate_packet::tcp::ACK;
use std::time::Duration;

const SSH: &[Service] = &[Service { protocol: 6, ports: (22, 22) }];

pub(super) const IDLE: Conversation = Conversation {
    code: "idle",
    title: "An ssh login that has been idle for two hours",
    when_broken: "Logins hang after a pause: what is typed shows nothing (\"broken pipe\" at last).",
    server_port: 22,
    services: SSH,
    script: two_hours,
    ..super::tcp::SERVICE
};

pub(super) const FORGOTTEN: Conversation = Conversation {
    code: "idle-forgotten",
    title: "An ssh login that has been idle for longer than tracking remembers it (six days)",
    when_broken: "A login that was left open over the holidays hangs.",
    nature: Nature::Mishap,
    script: six_days,
    ..IDLE
};

const AFTER_PAUSE: &str = "What is typed after the pause does not arrive: the filter has forgotten the \
     connection, or drops what belongs to it, and ssh hangs until it gives up.";

fn two_hours(parties: &Parties) -> Script {
    idle(parties, Duration::from_secs(2 * 3600))
}

fn six_days(parties: &Parties) -> Script {
    idle(parties, Duration::from_secs(6 * 86_400))
}

fn idle(parties: &Parties, pause: Duration) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    script.say(&mut tcp, Who::Server, "SSH-2.0-OpenSSH_9.2");
    script.say(&mut tcp, Who::Client, "SSH-2.0-OpenSSH_9.6");
    script.data(&mut tcp, Who::Server, 400);
    // What is not acknowledged is not remembered for long (five minutes).
    let taken = tcp.segment(Who::Client, ACK, &[]);
    script.step(Who::Client, Who::Server, "ACK", taken, DATA_LOST);
    let at = script.data(&mut tcp, Who::Client, 36);
    script.after(pause);
    if let Some(step) = script.steps.get_mut(at) {
        let hours = pause.as_secs() / 3600;
        let time = match hours / 24 {
            0 => format!("{hours} h"),
            days => format!("{days} days"),
        };
        step.label = format!("36 bytes, {time} later");
        step.when_lost = AFTER_PAUSE;
    }
    script.data(&mut tcp, Who::Server, 60);
    script.close(&mut tcp);
    script.finish()
}
