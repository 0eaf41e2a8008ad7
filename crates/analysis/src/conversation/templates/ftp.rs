//! FTP: a control connection that announces the ports of its data connections (RFC 959; RFC 2428 over IPv6).

use super::super::writer::{CLIENT_ISN, Tcp, Writer, other};
use super::super::{Announced, Conversation, Nature, Need, Parties, Script, Service, Who};
use keepstate_packet::tcp::{ACK, FIN, PSH, SYN};
use std::net::IpAddr;

const FTP: &[Service] = &[Service { protocol: 6, ports: (20, 21) }];

pub(super) const ACTIVE: Conversation = Conversation {
    code: "ftp-active",
    title: "FTP in active mode: the server opens the data connection",
    when_broken: "Logging in works, and the first directory listing hangs.",
    server_port: 21,
    helper: Some("ftp"),
    services: FTP,
    script: active,
    ..super::tcp::SERVICE
};

pub(super) const PASSIVE: Conversation = Conversation {
    code: "ftp-passive",
    title: "FTP in passive mode: the client opens the data connection to an announced port",
    script: passive,
    ..ACTIVE
};

pub(super) const LURE: Conversation = Conversation {
    code: "ftp-lure",
    title: "An FTP client is made to announce a port of its host where a service listens (22)",
    when_broken: "Nothing: it is to be stopped. Whoever makes a program behind the filter say a PORT of his \
                  choice (a web page that speaks to port 21 is enough) is let in there.",
    nature: Nature::Attack,
    services: &[],
    script: lure,
    ..ACTIVE
};

const DATA_LOST: &str = "Logging in works and the first listing or transfer hangs: the data connection is \
     refused its beginning.";

fn comma_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string().replace('.', ","),
        IpAddr::V6(address) => address.to_string(),
    }
}

/// The announcement of a data port.
fn announcement(parties: &Parties, from: Who, port: u16) -> String {
    let (high, low) = (port >> 8, port & 0xff);
    match (from, parties.server.is_ipv4()) {
        (Who::Server, true) => {
            let address = comma_address(parties.server);
            format!("227 Entering Passive Mode ({address},{high},{low}).")
        }
        (Who::Server, false) => format!("229 Entering Extended Passive Mode (|||{port}|)"),
        (_, true) => format!("PORT {},{high},{low}", comma_address(parties.client)),
        (_, false) => format!("EPRT |2|{}|{port}|", comma_address(parties.client)),
    }
}

/// Reads an announcement, as the other end does.
fn read(payload: &[u8]) -> Option<Announced> {
    let line = str::from_utf8(payload).ok()?.trim_end();
    if let Some((_, rest)) = line.split_once('|') {
        let mut fields = rest.split('|');
        let (_, address, port) = (fields.next()?, fields.next()?, fields.next()?);
        return Some((address.parse().ok(), port.parse().ok()?));
    }
    let digits = line.find(|c: char| c.is_ascii_digit()).filter(|at| *at > 0).unwrap_or(0);
    let list = line.get(digits..)?.rsplit('(').next()?.trim_end_matches([')', '.']);
    let numbers: Vec<u8> = list.split(',').map_while(|part| part.trim().parse().ok()).collect();
    let [a, b, c, d, high, low] = numbers.get(..6)?.try_into().ok()?;
    Some((Some(IpAddr::from([a, b, c, d])), u16::from_be_bytes([high, low])))
}

fn log_in(script: &mut Writer, control: &mut Tcp) {
    script.handshake(control);
    script.say(control, Who::Server, "220 FTP server ready");
    // A helper reads a line only where it has seen the line before it end.
    script.say(control, Who::Client, "USER anonymous");
    script.say(control, Who::Server, "230 logged in");
}

fn passive(parties: &Parties) -> Script {
    let mut control = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    log_in(&mut script, &mut control);
    let command = if parties.server.is_ipv4() { "PASV" } else { "EPSV" };
    script.say(&mut control, Who::Client, command);
    let at = announce(&mut script, &mut control, parties, Who::Server, parties.data_port);
    let mut data = Tcp::new(parties.client_port.wrapping_add(1), parties.data_port);
    data_connection(&mut script, &mut data, Who::Client, at);
    script.finish()
}

fn active(parties: &Parties) -> Script {
    let mut control = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    log_in(&mut script, &mut control);
    let at = announce(&mut script, &mut control, parties, Who::Client, parties.data_port);
    script.say(&mut control, Who::Server, "200 PORT successful");
    // The server opens: here it is the side with the port 20.
    let mut data = Tcp::new(parties.data_port, 20);
    data.server_next = CLIENT_ISN;
    data_connection(&mut script, &mut data, Who::Server, at);
    script.finish()
}

/// Port of a service on the client's host that the announcement names.
const LURED: u16 = 22;

fn lure(parties: &Parties) -> Script {
    let mut control = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    log_in(&mut script, &mut control);
    let at = announce(&mut script, &mut control, parties, Who::Client, LURED);
    let mut data = Tcp::new(LURED, 20);
    data.server_next = CLIENT_ISN;
    let syn = data.segment(Who::Server, SYN, &[]);
    let lost = "The service at port 22 is not reached, as it should be.";
    script.step(Who::Server, Who::Client, &format!("SYN to port {LURED}"), syn, lost);
    script.needs(Need::Delivered(at)).reads(at, read);
    let syn_ack = data.segment(Who::Client, SYN | ACK, &[]);
    script.step(Who::Client, Who::Server, "SYN-ACK", syn_ack, lost);
    script.finish()
}

/// The line that names the data port.
fn announce(
    script: &mut Writer,
    control: &mut Tcp,
    parties: &Parties,
    from: Who,
    port: u16,
) -> usize {
    let line = announcement(parties, from, port);
    let word = line.split(' ').next().unwrap_or("");
    script.say_as(control, from, &line, &format!("{word} (port {port})"))
}

fn data_connection(script: &mut Writer, data: &mut Tcp, from: Who, announced: usize) {
    let to = other(from);
    let before = script.steps.len().saturating_sub(1);
    let syn = data.segment(from, SYN, &[]);
    let at = script.step(from, to, "data SYN", syn, DATA_LOST);
    script.needs(Need::Delivered(before)).reads(announced, read);
    let syn_ack = data.segment(to, SYN | ACK, &[]);
    let answer = script.step(to, from, "data SYN-ACK", syn_ack, DATA_LOST);
    script.needs(Need::Delivered(at));
    let ack = data.segment(from, ACK, &[]);
    let ack = script.step(from, to, "data ACK", ack, DATA_LOST);
    script.needs(Need::Delivered(answer));
    let listing = data.segment(Who::Server, PSH | ACK, &[b'l'; 400]);
    let listing = script.step(Who::Server, Who::Client, "data, 400 bytes", listing, DATA_LOST);
    script.needs(Need::Delivered(ack));
    let fin = data.segment(Who::Server, FIN | ACK, &[]);
    let fin = script.step(Who::Server, Who::Client, "data FIN", fin, DATA_LOST);
    script.needs(Need::Delivered(listing));
    let last = data.segment(Who::Client, FIN | ACK, &[]);
    let last = script.step(Who::Client, Who::Server, "data FIN", last, DATA_LOST);
    script.needs(Need::Delivered(fin));
    let end = data.segment(Who::Server, ACK, &[]);
    script.step(Who::Server, Who::Client, "data ACK", end, DATA_LOST);
    script.needs(Need::Delivered(last));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_read_as_the_other_end_reads_them() {
        let v4: IpAddr = "192.0.2.10".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        for (line, wanted) in [
            ("PORT 192,0,2,10,200,10\r\n", Some((Some(v4), 51_210))),
            ("227 Entering Passive Mode (192,0,2,10,200,10).\r\n", Some((Some(v4), 51_210))),
            ("229 Entering Extended Passive Mode (|||51210|)\r\n", Some((None, 51_210))),
            ("EPRT |2|2001:db8::1|51210|\r\n", Some((Some(v6), 51_210))),
            ("200 PORT successful\r\n", None),
            ("PORT 192,0,2\r\n", None),
        ] {
            assert_eq!(read(line.as_bytes()), wanted, "{line}");
        }
    }
}
