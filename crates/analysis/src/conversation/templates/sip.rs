//! A call over SIP (RFC 3261) with sound both ways (RFC 3550): the ports of the sound stand in the session
//! descriptions (RFC 4566) that the two exchange.

use super::super::writer::{Writer, datagram};
use super::super::{Announced, Content, Conversation, Need, Parties, Script, Service, Upper, Who};
use std::net::IpAddr;

pub(super) const CALL: Conversation = Conversation {
    code: "sip",
    title: "A telephone call over SIP with sound both ways",
    when_broken: "The telephone rings and is answered, and one side or both hear nothing.",
    protocol: Some(Upper::Udp),
    server_port: 5060,
    helper: Some("sip"),
    services: &[Service { protocol: 17, ports: (5060, 5060) }],
    script: call,
    ..super::tcp::SERVICE
};

/// The same call with the port announced that is asked for.
pub(super) const ANNOUNCED: Conversation = Conversation { script: announced, ..CALL };

/// Where each hears the sound.
const CALLER_PORT: u16 = 20_000;
const CALLED_PORT: u16 = 30_000;

const SIGNAL_LOST: &str = "The call is not set up: it rings nowhere, or goes on ringing.";
const SOUND_LOST: &str = "The call is up and silent: this side's sound does not arrive, at least until the \
     other side has sent some of its own.";

fn uri(user: &str, address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("sip:{user}@{address}"),
        IpAddr::V6(address) => format!("sip:{user}@[{address}]"),
    }
}

fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// A session description: sound is heard at this address and port.
fn description(address: IpAddr, port: u16) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

/// Where the other side hears, as its description says.
fn read(payload: &[u8]) -> Option<Announced> {
    let text = str::from_utf8(payload).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let port = field("m=audio ")?.split(' ').next()?.parse().ok()?;
    let address = field("c=IN ").and_then(|rest| rest.split(' ').nth(1)?.trim().parse().ok());
    Some((address, port))
}

/// A message; `number` and `method` are those of CSeq.
fn message(parties: &Parties, first: &str, number: u8, method: &str, body: &str) -> Vec<u8> {
    let (client, server) = (parties.client, parties.server);
    let port = parties.client_port;
    let contact = match first.starts_with("SIP/2.0") {
        true => format!("{}:{}", uri("bob", server), parties.server_port),
        false => format!("{}:{port}", uri("alice", client)),
    };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "{first}\r\nVia: SIP/2.0/UDP {}:{port};branch=z9hG4bK{number}\r\nFrom: <{}>;tag=1\r\n\
         To: <{}>;tag=2\r\nCall-ID: 42@{}\r\nCSeq: {number} {method}\r\nContact: <{contact}>\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        literal(client),
        uri("alice", client),
        uri("bob", server),
        literal(client),
        body.len()
    );
    text.into_bytes()
}

fn call(parties: &Parties) -> Script {
    call_at(parties, CALLER_PORT)
}

fn announced(parties: &Parties) -> Script {
    call_at(parties, parties.data_port)
}

/// A call whose caller hears the sound at this port.
fn call_at(parties: &Parties, caller: u16) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let to = uri("bob", parties.server);
    let mut script = Writer::new();
    let signal = |script: &mut Writer, from: Who, first: &str, number, method, body: &str| {
        let content = datagram(ports, from, &message(parties, first, number, method, body));
        let label = first.strip_prefix("SIP/2.0 ").unwrap_or(method).to_string();
        script.step(from, super::super::writer::other(from), &label, content, SIGNAL_LOST)
    };
    let offer = description(parties.client, caller);
    let invite = format!("INVITE {to} SIP/2.0");
    let invited = signal(&mut script, Who::Client, &invite, 1, "INVITE", &offer);
    signal(&mut script, Who::Server, "SIP/2.0 180 Ringing", 1, "INVITE", "");
    let answer = description(parties.server, CALLED_PORT);
    let taken = signal(&mut script, Who::Server, "SIP/2.0 200 OK", 1, "INVITE", &answer);
    signal(&mut script, Who::Client, &format!("ACK {to} SIP/2.0"), 1, "ACK", "");
    // Who is called speaks first.
    for number in 0..2 {
        sound(&mut script, Who::Server, caller, number);
        script.needs(Need::Delivered(invited)).reads(invited, read);
        sound(&mut script, Who::Client, caller, number);
        script.needs(Need::Delivered(taken)).reads(taken, read);
    }
    signal(&mut script, Who::Client, &format!("BYE {to} SIP/2.0"), 2, "BYE", "");
    signal(&mut script, Who::Server, "SIP/2.0 200 OK", 2, "BYE", "");
    script.finish()
}

/// 20 ms of sound.
fn sound(script: &mut Writer, from: Who, caller: u16, number: u8) {
    let mut data = vec![0x80, 0, 0, number, 0, 0, 0, number.wrapping_mul(160), 0, 0, 0, 7];
    data.resize(172, 0x55);
    let content: Content = datagram((caller, CALLED_PORT), from, &data);
    let to = super::super::writer::other(from);
    script.step(from, to, "sound (RTP)", content, SOUND_LOST);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_where_its_writer_hears() {
        let address: IpAddr = "198.51.100.20".parse().unwrap();
        let text = description(address, 30_000);
        assert_eq!(read(text.as_bytes()), Some((Some(address), 30_000)));
        assert_eq!(read(b"SIP/2.0 180 Ringing\r\n\r\n"), None);
    }
}
