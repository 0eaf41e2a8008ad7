//! Calls of H.323: the signalling (H.225.0 over TCP) names the port of H.245, H.245 the ports of the sound; and a
//! telephone that tells its gatekeeper (RAS) where it waits for calls. All of it in aligned PER (X.691).

use super::super::writer::{Tcp, Writer, datagram};
use super::super::{Announced, Conversation, Families, Need, Parties, Script, Upper, Who};
use super::lures::opened;
use keepstate_packet::tcp::{ACK, PSH};
use std::net::IpAddr;

pub(super) const CALL: Conversation = Conversation {
    code: "h323",
    title: "A telephone call over H.323: the called names the port of H.245, and both where they hear",
    when_broken: "The telephone rings, is answered, and the call ends or is silent: H.245 or the sound is refused.",
    server_port: 1720,
    helper: Some("Q.931"),
    families: Families::Both,
    services: &[],
    script: call,
    ..super::tcp::SERVICE
};

/// The same from a caller that names the port of H.245 itself.
pub(super) const CALLER: Conversation = Conversation { script: caller, ..CALL };

pub(super) const REGISTRATION: Conversation = Conversation {
    code: "h323-ras",
    title: "A telephone of H.323 tells its gatekeeper where it waits for calls, and is called",
    when_broken: "The telephone is registered and never rings.",
    protocol: Some(Upper::Udp),
    server_port: 1719,
    helper: Some("RAS"),
    families: Families::V4,
    services: &[],
    script: registration,
    ..super::tcp::SERVICE
};

const LOST: &str = "What was announced is not reached: the call is not set up, or is silent.";
/// Where the caller and the called hear; their RTCP is at the ports behind.
const CALLER_PORT: u16 = 20_000;
const CALLED_PORT: u16 = 30_000;

/// The version of H.225.0 that is spoken: `itu-t(0) recommendation(0) h(8) 2250 version(0) 2`.
const VERSION: [u8; 7] = [6, 0, 8, 0x91, 0x4a, 0, 2];
/// The octet of a transport address that says of what family it is; behind it the address and the port.
const CONNECT_AT: usize = 22;
const CHANNEL_AT: usize = 16;
const CHANNEL_ACK_AT: usize = 12;
const REGISTRATION_AT: usize = 13;

/// A message over TCP (TPKT, RFC 1006).
fn packet(message: &[u8]) -> Vec<u8> {
    let mut all = vec![3, 0];
    all.extend(u16::try_from(message.len() + 4).unwrap_or(0).to_be_bytes());
    all.extend(message);
    all
}

/// Call signalling (Q.931), of which no more is said than what is in its user information.
fn signalling(kind: u8, information: &[u8]) -> Vec<u8> {
    let mut message = vec![8, 2, 0, 1, kind, 0x7e];
    message.extend(u16::try_from(information.len() + 1).unwrap_or(0).to_be_bytes());
    message.push(5);
    message.extend(information);
    packet(&message)
}

/// A transport address: how its family is told is another octet in each place.
fn place(six: u8, address: IpAddr, port: u16) -> Vec<u8> {
    let mut all = match address {
        IpAddr::V4(four) => [&[0][..], &four.octets()].concat(),
        IpAddr::V6(address) => [&[six][..], &address.octets()].concat(),
    };
    all.extend(port.to_be_bytes());
    all
}

fn read(payload: &[u8], at: usize) -> Option<Announced> {
    let rest = payload.get(at + 1..)?;
    let (address, rest): (IpAddr, &[u8]) = if *payload.get(at)? == 0 {
        let (four, rest) = rest.split_first_chunk::<4>()?;
        ((*four).into(), rest)
    } else {
        let (six, rest) = rest.split_first_chunk::<16>()?;
        ((*six).into(), rest)
    };
    Some((Some(address), u16::from_be_bytes(*rest.first_chunk()?)))
}

/// Setup, where the caller says so with the place of its H.245.
fn setup(own: Option<(IpAddr, u16)>) -> Vec<u8> {
    let mut all = vec![0, if own.is_some() { 0x40 } else { 0 }];
    all.extend(VERSION);
    if let Some((address, port)) = own {
        all.extend(place(0x30, address, port));
    }
    all.extend([0; 2 + 16 + 1]);
    signalling(5, &all)
}

/// Connect, with the place of H.245.
fn connect(address: IpAddr, port: u16) -> Vec<u8> {
    let mut all = vec![2, 0x40];
    all.extend(VERSION);
    all.extend(place(0x30, address, port));
    all.extend([0; 2 + 16]);
    signalling(7, &all)
}

/// OpenLogicalChannel for G.711, with the place where its sender wants RTCP.
fn channel(address: IpAddr, port: u16) -> Vec<u8> {
    let parameters = [&[4, 0, 1][..], &place(8, address, port)].concat();
    let mut all = vec![3, 0, 0, 0, 0x0c, 0x20, 0x13, 0x80];
    all.push(u8::try_from(parameters.len()).unwrap_or(0));
    all.extend(parameters);
    packet(&all)
}

/// OpenLogicalChannelAck, with the place where its sender hears.
fn channel_ack(address: IpAddr, port: u16) -> Vec<u8> {
    let parameters = [&[8][..], &place(0x10, address, port)].concat();
    let mut all = vec![0x22, 0xc0, 0, 0, 2, 0x80];
    all.push(u8::try_from(parameters.len()).unwrap_or(0));
    all.extend(parameters);
    packet(&all)
}

fn call(parties: &Parties) -> Script {
    let mut call = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let (client, server) = (Who::Client, Who::Server);
    script.handshake(&mut call);
    let segment = call.segment(client, PSH | ACK, &setup(None));
    script.step(client, server, "Setup", segment, LOST);
    let answer = connect(parties.server, parties.data_port);
    let segment = call.segment(server, PSH | ACK, &answer);
    let label = format!("Connect, H.245 at port {}", parties.data_port);
    let connected = script.step(server, client, &label, segment, LOST);
    let mut control = Tcp::new(parties.client_port.wrapping_add(1), parties.data_port);
    let by_signalling = |payload: &[u8]| read(payload, CONNECT_AT);
    opened(&mut script, &mut control, client, connected, by_signalling);
    let segment = control.segment(client, PSH | ACK, &channel(parties.client, CALLER_PORT + 1));
    let asked = script.step(client, server, "OpenLogicalChannel", segment, LOST);
    script.reads(connected, by_signalling);
    let segment = control.segment(server, PSH | ACK, &channel_ack(parties.server, CALLED_PORT));
    let answered = script.step(server, client, "OpenLogicalChannelAck", segment, LOST);
    let sound = datagram((CALLER_PORT, CALLED_PORT), client, b"\x80\0\0\x01");
    script.step(client, server, "RTP", sound, LOST);
    script
        .needs(Need::Delivered(answered))
        .reads(answered, |payload| read(payload, CHANNEL_ACK_AT));
    let heard = datagram((CALLER_PORT + 1, CALLED_PORT + 1), server, b"\x80\xc9\0\x01");
    script.step(server, client, "RTCP", heard, LOST);
    script.needs(Need::Delivered(asked)).reads(asked, |payload| read(payload, CHANNEL_AT));
    script.finish()
}

fn caller(parties: &Parties) -> Script {
    let mut call = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut call);
    let own = Some((parties.client, parties.data_port));
    let segment = call.segment(Who::Client, PSH | ACK, &setup(own));
    let label = format!("Setup, H.245 at port {}", parties.data_port);
    let at = script.step(Who::Client, Who::Server, &label, segment, LOST);
    let mut control = Tcp::new(parties.data_port, 40_007);
    let by_signalling = |payload: &[u8]| read(payload, CONNECT_AT);
    opened(&mut script, &mut control, Who::Server, at, by_signalling);
    script.finish()
}

fn registration(parties: &Parties) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let own = |port| [&[1][..], &place(0, parties.client, port)].concat();
    let mut request = vec![0x0c, 0, 0, 0];
    request.extend(VERSION);
    request.push(0x80);
    request.extend(own(parties.data_port));
    request.extend(own(parties.client_port));
    // A terminal of no known maker.
    request.extend([1, 0, 0x5f, 0xf9, 0xda, 0x15]);
    let label = format!("RegistrationRequest, calls to port {}", parties.data_port);
    let asked = datagram(ports, Who::Client, &request);
    let at = script.step(Who::Client, Who::Server, &label, asked, LOST);
    let mut confirm = vec![0x10, 0, 0, 0];
    confirm.extend(VERSION);
    confirm.extend([0, 0, 0, 0x41]);
    let answer = datagram(ports, Who::Server, &confirm);
    script.step(Who::Server, Who::Client, "RegistrationConfirm", answer, LOST);
    let mut data = Tcp::new(parties.data_port, 40_007);
    opened(&mut script, &mut data, Who::Server, at, |payload| read(payload, REGISTRATION_AT));
    script.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_where_they_are_written() {
        for address in ["192.0.2.7", "2001:db8::7"] {
            let address: IpAddr = address.parse().unwrap();
            let told = Some((Some(address), 51_210));
            assert_eq!(read(&connect(address, 51_210), CONNECT_AT), told);
            assert_eq!(read(&setup(Some((address, 51_210))), CONNECT_AT), told);
            assert_eq!(read(&channel(address, 51_210), CHANNEL_AT), told);
            assert_eq!(read(&channel_ack(address, 51_210), CHANNEL_ACK_AT), told);
        }
        assert_eq!(read(&[0; 5], 0), None);
    }
}
