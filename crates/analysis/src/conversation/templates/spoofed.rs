//! Packets with a source that nobody out there has: the loopback network's (RFC 1122, 3.2.1.3).

use super::super::writer::{Tcp, Writer};
use super::super::{Conversation, Families, Nature, Parties, Scope, Script, Who};
use keepstate_packet::tcp::SYN;
use std::net::{IpAddr, Ipv4Addr};

pub(super) const LOOPBACK: Conversation = Conversation {
    code: "spoofed-loopback",
    title: "A packet from outside that claims to come from this host's loopback (127.0.0.1)",
    when_broken: "Nothing: it is to be stopped. Programs that trust 127.0.0.1 would believe it.",
    families: Families::V4,
    scope: Scope::Link,
    nature: Nature::Attack,
    services: &[],
    script: loopback,
    ..super::tcp::SERVICE
};

fn loopback(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let tcp = Tcp::new(parties.client_port, parties.server_port);
    let syn = tcp.at(Who::Client, SYN, &[], 0);
    let lost = "It does not reach the host's programs, as it should not.";
    script.step(Who::Client, Who::Server, "SYN from 127.0.0.1", syn, lost);
    script.between(IpAddr::V4(Ipv4Addr::LOCALHOST), parties.server);
    script.finish()
}
