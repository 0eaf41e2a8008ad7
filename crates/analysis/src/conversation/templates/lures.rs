//! What a helper can be made to announce: conversations in which the port announced is
//! [`Parties::data_port`], whatever it is. With a port of a service there it is an attack, with the usual one the
//! service that the helper is for.

use super::super::writer::{CLIENT_ISN, SERVER_ISN, Tcp, Writer, datagram};
use super::super::{Announced, Conversation, Families, Need, Parties, Script, Upper, Who};
use super::{ftp, h323, irc, sip, tftp};
use keepstate_packet::tcp::{ACK, PSH, SYN};

#[must_use]
/// The conversations that show what a helper announces; none for one whose announcements name no port: PPTP's are GRE
/// between the two that speak, those of netbios-ns and snmp answers to the port that is asked from.
pub(crate) fn announced_by(helper: &str) -> &'static [&'static Conversation] {
    match helper {
        "ftp" => &[&ftp::ACTIVE, &ftp::PASSIVE],
        "irc" => &[&irc::DCC],
        "sip" => &[&sip::ANNOUNCED],
        "tftp" => &[&tftp::TFTP],
        "sane" => &[&SANE],
        "amanda" => &[&AMANDA],
        "Q.931" => &[&h323::CALL, &h323::CALLER],
        "RAS" => &[&h323::REGISTRATION],
        _ => &[],
    }
}

const SANE: Conversation = Conversation {
    code: "sane",
    title: "A page scanned over the network (SANE)",
    when_broken: "The scanner is found and previews nothing: its data connection is refused.",
    server_port: 6566,
    helper: Some("sane"),
    services: &[],
    script: scan,
    ..super::tcp::SERVICE
};

const AMANDA: Conversation = Conversation {
    code: "amanda",
    title: "A backup by Amanda: the client names the ports that it is fetched from",
    when_broken: "The backup is estimated and not fetched: \"data timeout\".",
    protocol: Some(Upper::Udp),
    server_port: 10_080,
    helper: Some("amanda"),
    families: Families::Both,
    services: &[],
    script: backup,
    ..super::tcp::SERVICE
};

const LOST: &str =
    "What was announced is not reached: the data connection is refused its beginning.";

/// The port in the answer to a start request (SANE network protocol, `SANE_NET_START`).
fn scanner_port(payload: &[u8]) -> Option<Announced> {
    let port: [u8; 2] = payload.get(6..8)?.try_into().ok()?;
    Some((None, u16::from_be_bytes(port)))
}

fn scan(parties: &Parties) -> Script {
    let mut control = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut control);
    // The procedure START of handle 0, and nothing else in the segment.
    let start = control.segment(Who::Client, PSH | ACK, &[0, 0, 0, 7, 0, 0, 0, 0]);
    script.step(Who::Client, Who::Server, "start request", start, LOST);
    let [high, low] = parties.data_port.to_be_bytes();
    let mut answer = vec![0, 0, 0, 0, 0, 0, high, low];
    answer.extend([0, 0, 0x12, 0x34, 0, 0, 0, 0]);
    let answer = control.segment(Who::Server, PSH | ACK, &answer);
    let label = format!("start answer (port {})", parties.data_port);
    let at = script.step(Who::Server, Who::Client, &label, answer, LOST);
    let mut data = Tcp::new(parties.client_port.wrapping_add(1), parties.data_port);
    opened(&mut script, &mut data, Who::Client, at, scanner_port);
    script.finish()
}

/// The port behind `DATA ` in a line of an Amanda client.
fn backup_port(payload: &[u8]) -> Option<Announced> {
    let line = str::from_utf8(payload).ok()?;
    let (_, rest) = line.split_once("DATA ")?;
    Some((None, rest.split([' ', '\n']).next()?.parse().ok()?))
}

fn backup(parties: &Parties) -> Script {
    let ports = (parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let asked = datagram(ports, Who::Client, b"Amanda 2.4 REQ HANDLE 000-00000000 SEQ 1\n");
    script.step(Who::Client, Who::Server, "request", asked, LOST);
    let line = format!(
        "Amanda 2.4 REP HANDLE 000-00000000 SEQ 1\nCONNECT DATA {} MESG 0 INDEX 0\n",
        parties.data_port
    );
    let answer = datagram(ports, Who::Server, line.as_bytes());
    let label = format!("CONNECT DATA (port {})", parties.data_port);
    let at = script.step(Who::Server, Who::Client, &label, answer, LOST);
    let mut data = Tcp::new(parties.client_port.wrapping_add(1), parties.data_port);
    opened(&mut script, &mut data, Who::Client, at, backup_port);
    script.finish()
}

/// A connection to the port that a step has announced.
pub(super) fn opened(
    script: &mut Writer,
    data: &mut Tcp,
    from: Who,
    announced: usize,
    read: fn(&[u8]) -> Option<Announced>,
) {
    let to = super::super::writer::other(from);
    data.client_next = CLIENT_ISN;
    data.server_next = SERVER_ISN;
    let syn = data.segment(from, SYN, &[]);
    let at = script.step(from, to, "data SYN", syn, LOST);
    script.needs(Need::Delivered(announced)).reads(announced, read);
    let syn_ack = data.segment(to, SYN | ACK, &[]);
    let answered = script.step(to, from, "data SYN-ACK", syn_ack, LOST);
    script.needs(Need::Delivered(at));
    let ack = data.segment(from, ACK, &[]);
    script.step(from, to, "data ACK", ack, LOST);
    script.needs(Need::Delivered(answered));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_read_as_the_other_end_reads_them() {
        let line = b"Amanda 2.4 REP HANDLE 0 SEQ 1\nCONNECT DATA 22 MESG 0 INDEX 0\n";
        assert_eq!(backup_port(line), Some((None, 22)));
        assert_eq!(backup_port(b"CONNECT MESG 5\n"), None);
        assert_eq!(scanner_port(&[0, 0, 0, 0, 0, 0, 0xc8, 0x0a, 0]), Some((None, 51_210)));
        assert_eq!(scanner_port(&[0, 0, 0]), None);
    }

    #[test]
    fn every_helper_that_announces_a_port_has_its_conversation() {
        for helper in ["ftp", "irc", "sip", "tftp", "sane", "amanda", "Q.931", "RAS"] {
            let all = announced_by(helper);
            assert!(!all.is_empty(), "{helper}");
            assert!(all.iter().all(|one| one.helper == Some(helper)), "{helper}");
        }
        assert!(announced_by("pptp").is_empty());
    }
}
