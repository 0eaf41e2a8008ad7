//! An address asked for and kept: DHCP (RFC 2131) and DHCPv6 (RFC 8415).
//!
//! Most clients of DHCP speak and listen below the filter (packet sockets) until they have an address: no
//! rule of iptables stops that. What is renewed later goes through ordinary sockets, as all of DHCPv6 does.

use super::super::scene::link_local;
use super::super::writer::Writer;
use super::super::{
    Content, Conversation, Families, Nature, Need, Parties, Scope, Script, Service, Upper, Who,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub(super) const DHCP: Conversation = Conversation {
    code: "dhcp",
    title: "An address from DHCP: asked for by broadcast, renewed by unicast",
    when_broken: "The host has no address (169.254...), or loses the one it has after some hours.",
    protocol: Some(Upper::Udp),
    server_port: 67,
    helper: None,
    families: Families::V4,
    scope: Scope::Link,
    router_beside: Who::Server,
    nature: Nature::Service,
    services: &[Service { protocol: 17, ports: (67, 68) }],
    script: dhcp,
};

pub(super) const DHCPV6: Conversation = Conversation {
    code: "dhcpv6",
    title: "An address from DHCPv6: asked for by multicast, answered by unicast",
    when_broken: "The host gets no IPv6 address, or no prefix for the network behind it; DHCPv6 says \
                  nothing but SOLICIT.",
    server_port: 547,
    families: Families::V6,
    services: &[Service { protocol: 17, ports: (546, 547) }],
    script: dhcpv6,
    ..DHCP
};

const BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// All DHCP agents and servers of the link.
const AGENTS: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2));

const ASK_LOST: &str = "The client's question does not reach the server. (Most clients ask through a packet \
     socket, which no rule stops; a server that listens with an ordinary socket does not hear what INPUT \
     drops.)";
const ANSWER_LOST: &str = "The answer is no ESTABLISHED packet, since it does not come from where the \
     question went, and is dropped: a client that listens with an ordinary socket never gets its address. \
     (Most clients listen with a packet socket, which hears it all the same.)";
const RENEW_LOST: &str = "The lease cannot be renewed: the host loses its address when it runs out, or asks \
     all servers anew half a day later.";

/// A message of DHCP, long enough for any server.
fn message(kind: u8, reply: bool) -> Vec<u8> {
    let mut data = vec![if reply { 2 } else { 1 }, 1, 6, 0, 0x12, 0x34, 0x56, 0x78];
    data.resize(236, 0);
    data.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind, 255]);
    data.resize(300, 0);
    data
}

const fn udp(ports: (u16, u16), data: Vec<u8>) -> Content {
    Content::Udp { source_port: ports.0, destination_port: ports.1, data }
}

fn dhcp(parties: &Parties) -> Script {
    let (up, down) = ((68, 67), (67, 68));
    let mut script = Writer::new();
    let discover = udp(up, message(1, false));
    script.step(Who::Client, Who::Server, "DISCOVER to all", discover, ASK_LOST);
    script.between(NO_ADDRESS, BROADCAST);
    let offer = udp(down, message(2, true));
    script.step(Who::Server, Who::Client, "OFFER to all", offer, ANSWER_LOST);
    script.between(parties.server, BROADCAST);
    let request = udp(up, message(3, false));
    script.step(Who::Client, Who::Server, "REQUEST to all", request, ASK_LOST);
    script.between(NO_ADDRESS, BROADCAST);
    let ack = udp(down, message(5, true));
    let bound = script.step(Who::Server, Who::Client, "ACK to all", ack, ANSWER_LOST);
    script.between(parties.server, BROADCAST);
    let renew = udp(up, message(3, false));
    script.step(Who::Client, Who::Server, "REQUEST, 12 h later", renew, RENEW_LOST);
    script.needs(Need::Delivered(bound)).after(Duration::from_secs(12 * 3600));
    let ack = udp(down, message(5, true));
    script.step(Who::Server, Who::Client, "ACK", ack, RENEW_LOST);
    script.finish()
}

fn dhcpv6(_parties: &Parties) -> Script {
    let (client, server) = (link_local(Who::Client), link_local(Who::Server));
    let message = |kind: u8| vec![kind, 0x12, 0x34, 0x56, 0, 1, 0, 4, 0, 3, 0, 1];
    let (up, down) = ((546, 547), (547, 546));
    let mut script = Writer::new();
    for (question, answer) in [(("SOLICIT", 1), ("ADVERTISE", 2)), (("REQUEST", 3), ("REPLY", 7))] {
        let (label, kind) = question;
        let label = format!("{label} to all agents");
        script.step(Who::Client, Who::Server, &label, udp(up, message(kind)), ASK_LOST);
        script.between(client, AGENTS);
        let (label, kind) = answer;
        script.step(Who::Server, Who::Client, label, udp(down, message(kind)), V6_LOST);
        script.between(server, client);
    }
    script.finish()
}

const V6_LOST: &str = "The question went to all agents and the answer comes from one server: tracking takes it \
     for the first packet of another connection (NEW), and a filter that lets in answers only drops it. The \
     host gets no address.";
