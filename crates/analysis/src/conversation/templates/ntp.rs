//! The time asked for (RFC 5905).

use super::super::writer::{Writer, datagram};
use super::super::{Conversation, Parties, Script, Service, Upper, Who};
use std::time::Duration;

pub(super) const NTP: Conversation = Conversation {
    code: "ntp",
    title: "The time asked for over NTP, every minute",
    when_broken: "The clock drifts: certificates become invalid, logins with tickets fail, weeks later.",
    protocol: Some(Upper::Udp),
    server_port: 123,
    services: &[Service { protocol: 17, ports: (123, 123) }],
    script: poll,
    ..super::tcp::SERVICE
};

const LOST: &str = "No answer comes (\"Reach 0\"), and the clock is not set.";

/// Between two questions: longer than tracking keeps a UDP connection (30 s, 120 s once it is a stream).
const POLL: Duration = Duration::from_secs(256);

fn poll(parties: &Parties) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let packet = |mode: u8| {
        let mut data = vec![mode, 0, 6, 0xec];
        data.resize(48, 0);
        data
    };
    let mut script = Writer::new();
    for number in 0..2 {
        let question = datagram(ports, Who::Client, &packet(0x23));
        script.step(Who::Client, Who::Server, "NTP question", question, LOST);
        if number > 0 {
            script.after(POLL);
        }
        let answer = datagram(ports, Who::Server, &packet(0x24));
        script.step(Who::Server, Who::Client, "NTP answer", answer, LOST);
    }
    script.finish()
}
