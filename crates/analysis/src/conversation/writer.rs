//! Scripts being written.

use super::{Announced, Content, Due, Need, Reads, Script, Segment, Step, Who};
use keepstate_packet::tcp::{ACK, FIN, PSH, SYN};
use std::net::IpAddr;
use std::time::Duration;

/// First sequence numbers, so that offsets are easy to read.
pub(super) const CLIENT_ISN: u32 = 1_000;
pub(super) const SERVER_ISN: u32 = 50_000;

/// A flow of TCP under way: who has sent how much.
pub(super) struct Tcp {
    pub(super) client_port: u16,
    pub(super) server_port: u16,
    pub(super) client_next: u32,
    pub(super) server_next: u32,
}

impl Tcp {
    pub(super) const fn new(client_port: u16, server_port: u16) -> Self {
        Self { client_port, server_port, client_next: CLIENT_ISN, server_next: SERVER_ISN }
    }

    /// The next segment in order.
    pub(super) fn segment(&mut self, from: Who, flags: u8, data: &[u8]) -> Content {
        let content = self.at(from, flags, data, 0);
        let length = u32::try_from(data.len()).unwrap_or(0);
        let length = length + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        match from {
            Who::Server => self.server_next = self.server_next.wrapping_add(length),
            Who::Client | Who::Router => self.client_next = self.client_next.wrapping_add(length),
        }
        content
    }

    /// A segment `ahead` bytes past what is due.
    pub(super) fn at(&self, from: Who, flags: u8, data: &[u8], ahead: u32) -> Content {
        let server = from == Who::Server;
        let (next, other) = if server {
            (self.server_next, self.client_next)
        } else {
            (self.client_next, self.server_next)
        };
        let (source_port, destination_port) = if server {
            (self.server_port, self.client_port)
        } else {
            (self.client_port, self.server_port)
        };
        Content::Tcp(Segment {
            source_port,
            destination_port,
            sequence: next.wrapping_add(ahead),
            acknowledgment: if flags & ACK == 0 { 0 } else { other },
            flags,
            data: data.to_vec(),
        })
    }
}

/// A script being written; a step needs the last step of the other side unless told otherwise.
pub(super) struct Writer {
    pub(super) steps: Vec<Step>,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    pub(super) fn step(
        &mut self,
        from: Who,
        to: Who,
        label: &str,
        content: Content,
        when_lost: &'static str,
    ) -> usize {
        let last = self.steps.iter().rposition(|step| step.ends == from);
        let needs = last.map(Need::Delivered).into_iter().collect();
        let step = Step { needs, when_lost, ..Step::new(from, to, label.to_string(), content) };
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// Changes the last step.
    fn last(&mut self, change: impl FnOnce(&mut Step)) -> &mut Self {
        if let Some(step) = self.steps.last_mut() {
            change(step);
        }
        self
    }

    /// The last step is sent when this has happened, and no sooner.
    pub(super) fn needs(&mut self, need: Need) -> &mut Self {
        self.last(|step| step.needs = vec![need])
    }

    /// The last step is sent whatever has happened.
    pub(super) fn at_once(&mut self) -> &mut Self {
        self.last(|step| step.needs.clear())
    }

    /// The last step waits for so long.
    pub(super) fn after(&mut self, duration: Duration) -> &mut Self {
        self.last(|step| step.after = duration)
    }

    /// Nobody waits for the last step.
    pub(super) fn stray(&mut self) -> &mut Self {
        self.last(|step| step.due = Due::Stray)
    }

    /// Nobody waits for the last step, and it is what all of it is about.
    pub(super) fn unwanted(&mut self) -> &mut Self {
        self.last(|step| step.due = Due::Unwanted)
    }

    /// Without the last step nothing is broken.
    pub(super) fn perhaps(&mut self) -> &mut Self {
        self.last(|step| step.due = Due::Perhaps)
    }

    /// The last step takes another way than past the filter.
    pub(super) fn beside(&mut self) -> &mut Self {
        self.last(|step| step.is_beside = true)
    }

    /// The router throws the last step away.
    pub(super) fn ends_at_router(&mut self) -> &mut Self {
        self.last(|step| step.ends = Who::Router)
    }

    /// The last step is between these addresses.
    pub(super) fn between(&mut self, source: IpAddr, destination: IpAddr) -> &mut Self {
        self.last(|step| step.between = Some((source, destination)))
    }

    /// The sender of the last step reads whom to call out of an earlier one.
    pub(super) fn reads(&mut self, step: usize, with: fn(&[u8]) -> Option<Announced>) -> &mut Self {
        self.last(|last| last.reads = Some(Reads { step, with, repeats_at: None }))
    }

    /// The last step repeats a number of an earlier one, from this byte of its payload on.
    pub(super) fn repeats(
        &mut self,
        step: usize,
        with: fn(&[u8]) -> Option<Announced>,
        at: usize,
    ) -> &mut Self {
        self.last(|last| last.reads = Some(Reads { step, with, repeats_at: Some(at) }))
    }

    /// TTL of the last step.
    pub(super) fn hops(&mut self, hops: u8) -> &mut Self {
        self.last(|step| step.hops = Some(hops))
    }

    pub(super) fn handshake(&mut self, tcp: &mut Tcp) {
        let syn = tcp.segment(Who::Client, SYN, &[]);
        self.step(Who::Client, Who::Server, "SYN", syn, SYN_LOST);
        let syn_ack = tcp.segment(Who::Server, SYN | ACK, &[]);
        self.step(Who::Server, Who::Client, "SYN-ACK", syn_ack, SYN_ACK_LOST);
        let ack = tcp.segment(Who::Client, ACK, &[]);
        self.step(Who::Client, Who::Server, "ACK", ack, ACK_LOST);
    }

    /// Data, labelled with its length.
    pub(super) fn data(&mut self, tcp: &mut Tcp, from: Who, length: usize) -> usize {
        let letter = if from == Who::Client { b'q' } else { b'a' };
        let content = tcp.segment(from, PSH | ACK, &vec![letter; length]);
        let label = format!("ACK, {length} bytes");
        self.step(from, other(from), &label, content, DATA_LOST)
    }

    /// A line of a protocol that is text.
    pub(super) fn say(&mut self, tcp: &mut Tcp, from: Who, line: &str) -> usize {
        self.say_as(tcp, from, line, line)
    }

    /// The same under a shorter name.
    pub(super) fn say_as(&mut self, tcp: &mut Tcp, from: Who, line: &str, label: &str) -> usize {
        let content = tcp.segment(from, PSH | ACK, format!("{line}\r\n").as_bytes());
        self.step(from, other(from), label, content, DATA_LOST)
    }

    /// The end, begun by the client.
    pub(super) fn close(&mut self, tcp: &mut Tcp) {
        let fin = tcp.segment(Who::Client, FIN | ACK, &[]);
        self.step(Who::Client, Who::Server, "FIN-ACK", fin, FIN_LOST);
        let fin = tcp.segment(Who::Server, FIN | ACK, &[]);
        self.step(Who::Server, Who::Client, "FIN-ACK", fin, FIN_LOST);
        let ack = tcp.segment(Who::Client, ACK, &[]);
        self.step(Who::Client, Who::Server, "ACK", ack, FIN_LOST);
    }

    pub(super) fn finish(self) -> Script {
        Script { steps: self.steps }
    }
}

/// The other end.
pub(super) const fn other(who: Who) -> Who {
    match who {
        Who::Client => Who::Server,
        Who::Server | Who::Router => Who::Client,
    }
}

/// A datagram from one end to the other.
pub(super) fn datagram(ports: (u16, u16), from: Who, data: &[u8]) -> Content {
    let (client, server) = ports;
    let (source_port, destination_port) = match from {
        Who::Server => (server, client),
        Who::Client | Who::Router => (client, server),
    };
    Content::Udp { source_port, destination_port, data: data.to_vec() }
}

pub(super) const SYN_LOST: &str = "The connection never begins: the client repeats its SYN and gives up after \
     about two minutes (\"connection timed out\").";
pub(super) const SYN_ACK_LOST: &str = "The SYN went out and its answer is thrown away at the client's side: \
     the client repeats the SYN, the server its SYN-ACK, and the client \
     gives up after about two minutes (\"connection timed out\").";
pub(super) const ACK_LOST: &str = "The handshake never completes: the server keeps repeating its SYN-ACK and \
     never hands the connection to its program, while the client believes it \
     is connected and waits.";
pub(super) const DATA_LOST: &str = "The connection is open and dead: this data is repeated until the sender \
     gives up, after a quarter of an hour with Linux's defaults.";
pub(super) const FIN_LOST: &str = "The connection cannot be closed properly: its end is repeated and both \
     sides keep it until they time out.";
