//! A file offered over IRC (DCC): a line of the chat names a port where its sender waits for a connection.

use super::super::writer::{CLIENT_ISN, Tcp, Writer};
use super::super::{Announced, Conversation, Families, Need, Parties, Script, Service, Who};
use keepstate_packet::tcp::{ACK, PSH, SYN};
use std::net::{IpAddr, Ipv4Addr};

pub(super) const DCC: Conversation = Conversation {
    code: "irc-dcc",
    title: "A file offered over IRC (DCC SEND): the other side opens a connection to fetch it",
    when_broken: "Chatting works; files that one offers are never fetched.",
    server_port: 6667,
    helper: Some("irc"),
    families: Families::V4,
    services: &[Service { protocol: 6, ports: (6667, 6667) }],
    script: offer,
    ..super::tcp::SERVICE
};

const LOST: &str = "Who wants the file cannot open the connection to fetch it.";

fn read(payload: &[u8]) -> Option<Announced> {
    let line = str::from_utf8(payload).ok()?;
    let (_, rest) = line.split_once("DCC SEND ")?;
    let mut words = rest.split(' ').skip(1);
    let address: u32 = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    Some((Some(IpAddr::V4(Ipv4Addr::from_bits(address))), port))
}

fn offer(parties: &Parties) -> Script {
    let mut chat = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut chat);
    script.say(&mut chat, Who::Client, "NICK alice");
    script.say(&mut chat, Who::Server, ":irc 001 alice :Welcome");
    let number = match parties.client {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(_) => 0,
    };
    let port = parties.data_port;
    let line = format!("PRIVMSG bob :\x01DCC SEND notes.txt {number} {port} 400\x01");
    let label = format!("DCC SEND (port {port})");
    let offered = script.say_as(&mut chat, Who::Client, &line, &label);
    let mut data = Tcp::new(port, parties.client_port.wrapping_add(7));
    data.server_next = CLIENT_ISN;
    let syn = data.segment(Who::Server, SYN, &[]);
    let at = script.step(Who::Server, Who::Client, "data SYN", syn, LOST);
    script.needs(Need::Delivered(offered)).reads(offered, read);
    let syn_ack = data.segment(Who::Client, SYN | ACK, &[]);
    let answered = script.step(Who::Client, Who::Server, "data SYN-ACK", syn_ack, LOST);
    script.needs(Need::Delivered(at));
    let ack = data.segment(Who::Server, ACK, &[]);
    script.step(Who::Server, Who::Client, "data ACK", ack, LOST);
    script.needs(Need::Delivered(answered));
    let file = data.segment(Who::Client, PSH | ACK, &[b'f'; 400]);
    script.step(Who::Client, Who::Server, "data, 400 bytes", file, LOST);
    let taken = data.segment(Who::Server, ACK, &[]);
    script.step(Who::Server, Who::Client, "data ACK", taken, LOST);
    script.finish()
}
