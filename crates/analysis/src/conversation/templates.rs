//! The conversations that rules are tried with, one function each, listed in [`TEMPLATES`].

use super::build::STEP_OF_NOTHING;
use super::{Content, Need, Script, Segment, Step, Who};
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN};
use std::net::IpAddr;

/// What a template fills in.
#[derive(Clone, Debug)]
pub struct Parties {
    /// Port of the client; identifier of an echo request.
    pub client_port: u16,
    /// Port of the server.
    pub server_port: u16,
    /// Port of the data connection that a helper reads about.
    pub data_port: u16,
    /// Address that the server announces for a data connection.
    pub server: IpAddr,
    /// Address that the client announces for a data connection.
    pub client: IpAddr,
    /// Type and code of an ICMP message, where the rule names one.
    pub icmp: Option<(u8, u8)>,
    /// Flags of a lone segment, where the rule names some.
    pub flags: Option<u8>,
    /// Protocol, for a conversation of none that is known.
    pub protocol: u8,
}

/// A kind of conversation.
#[derive(Debug)]
pub struct Template {
    /// Stable name.
    pub code: &'static str,
    /// What it tries.
    pub title: &'static str,
    /// Who sends the packets of interest; the filter's rule is to match some of them.
    pub sender: Who,
    /// Protocol of the packets of interest; `None`: that of the rule.
    pub protocol: Option<Upper>,
    /// Port of the server when the rule does not say.
    pub server_port: u16,
    /// The helper that must be assigned to port `server_port` for it to work.
    pub helper: Option<&'static str>,
    /// Writes the script.
    pub script: fn(&Parties) -> Script,
}

/// Protocols of templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, or ICMPv6 over IPv6.
    Icmp,
    /// ICMPv6 only.
    Icmpv6,
}

/// Every conversation, those that people recognise first.
pub const TEMPLATES: &[Template] = &[
    Template {
        code: "tcp-client",
        title: "A TCP connection whose answers the rule sees",
        sender: Who::Server,
        protocol: Some(Upper::Tcp),
        server_port: 443,
        helper: None,
        script: tcp_connection,
    },
    Template {
        code: "tcp-server",
        title: "A TCP connection opened towards the rule",
        sender: Who::Client,
        protocol: Some(Upper::Tcp),
        server_port: 22,
        helper: None,
        script: tcp_connection,
    },
    Template {
        code: "udp-client",
        title: "A UDP query (DNS) whose answer the rule sees",
        sender: Who::Server,
        protocol: Some(Upper::Udp),
        server_port: 53,
        helper: None,
        script: udp_query,
    },
    Template {
        code: "udp-server",
        title: "A UDP query that comes towards the rule",
        sender: Who::Client,
        protocol: Some(Upper::Udp),
        server_port: 53,
        helper: None,
        script: udp_query,
    },
    Template {
        code: "ping-client",
        title: "A ping whose answer the rule sees",
        sender: Who::Server,
        protocol: Some(Upper::Icmp),
        server_port: 0,
        helper: None,
        script: ping,
    },
    Template {
        code: "ping-server",
        title: "A ping that comes towards the rule",
        sender: Who::Client,
        protocol: Some(Upper::Icmp),
        server_port: 0,
        helper: None,
        script: ping,
    },
    Template {
        code: "pmtu",
        title: "An ICMP error about a TCP connection: the path takes smaller packets only",
        sender: Who::Router,
        protocol: Some(Upper::Icmp),
        server_port: 443,
        helper: None,
        script: path_mtu,
    },
    Template {
        code: "icmp-error",
        title: "An ICMP error about a UDP query",
        sender: Who::Router,
        protocol: Some(Upper::Icmp),
        server_port: 53,
        helper: None,
        script: icmp_error,
    },
    Template {
        code: "ftp-active",
        title: "FTP in active mode: the server opens the data connection",
        sender: Who::Server,
        protocol: Some(Upper::Tcp),
        server_port: 21,
        helper: Some("ftp"),
        script: ftp_active,
    },
    Template {
        code: "ftp-passive",
        title: "FTP in passive mode: the client opens the data connection to an announced port",
        sender: Who::Client,
        protocol: Some(Upper::Tcp),
        server_port: 21,
        helper: Some("ftp"),
        script: ftp_passive,
    },
    Template {
        code: "out-of-window",
        title: "A segment outside the window",
        sender: Who::Server,
        protocol: Some(Upper::Tcp),
        server_port: 443,
        helper: None,
        script: out_of_window,
    },
    Template {
        code: "asymmetric",
        title: "A connection of which one direction only comes past here (asymmetric routing)",
        sender: Who::Client,
        protocol: Some(Upper::Tcp),
        server_port: 443,
        helper: None,
        script: asymmetric,
    },
    Template {
        code: "stray-rst",
        title: "A reset that does not fit its connection",
        sender: Who::Server,
        protocol: Some(Upper::Tcp),
        server_port: 443,
        helper: None,
        script: stray_reset,
    },
    Template {
        code: "stray-icmp-error",
        title: "An ICMP error about a connection that does not exist",
        sender: Who::Router,
        protocol: Some(Upper::Icmp),
        server_port: 443,
        helper: None,
        script: stray_icmp_error,
    },
    Template {
        code: "reject-reset",
        title: "A connection attempt that another rule rejects with a reset",
        sender: Who::Server,
        protocol: Some(Upper::Tcp),
        server_port: 113,
        helper: None,
        script: attempt,
    },
    Template {
        code: "reject-error",
        title: "A query that another rule rejects with an ICMP error",
        sender: Who::Server,
        protocol: Some(Upper::Icmp),
        server_port: 99,
        helper: None,
        script: unwelcome_query,
    },
    Template {
        code: "mid-stream",
        title: "A connection whose beginning was not seen",
        sender: Who::Client,
        protocol: Some(Upper::Tcp),
        server_port: 443,
        helper: None,
        script: picked_up,
    },
    Template {
        code: "lone-segment",
        title: "A lone TCP segment with the flags that the rule names",
        sender: Who::Client,
        protocol: Some(Upper::Tcp),
        server_port: 22,
        helper: None,
        script: lone_segment,
    },
    Template {
        code: "neighbour",
        title: "Neighbour discovery: without it no IPv6 packet finds its way on a link",
        sender: Who::Client,
        protocol: Some(Upper::Icmpv6),
        server_port: 0,
        helper: None,
        script: neighbour_discovery,
    },
    Template {
        code: "icmp-message",
        title: "An ICMP message of the type that the rule names",
        sender: Who::Client,
        protocol: Some(Upper::Icmp),
        server_port: 0,
        helper: None,
        script: icmp_message,
    },
    Template {
        code: "other-client",
        title: "Packets of this protocol, there and back",
        sender: Who::Server,
        protocol: None,
        server_port: 0,
        helper: None,
        script: other,
    },
    Template {
        code: "other-server",
        title: "Packets of this protocol, there and back",
        sender: Who::Client,
        protocol: None,
        server_port: 0,
        helper: None,
        script: other,
    },
];

/// First sequence numbers, so that offsets are easy to read.
const CLIENT_ISN: u32 = 1_000;
const SERVER_ISN: u32 = 50_000;

/// A flow of TCP under way: who has sent how much.
struct Tcp {
    client_port: u16,
    server_port: u16,
    client_next: u32,
    server_next: u32,
}

impl Tcp {
    const fn new(client_port: u16, server_port: u16) -> Self {
        Self { client_port, server_port, client_next: CLIENT_ISN, server_next: SERVER_ISN }
    }

    /// The next segment in order.
    fn segment(&mut self, from: Who, flags: u8, data: &[u8]) -> Content {
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
    fn at(&self, from: Who, flags: u8, data: &[u8], ahead: u32) -> Content {
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
struct Writer {
    steps: Vec<Step>,
}

impl Writer {
    const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    fn step(
        &mut self,
        from: Who,
        to: Who,
        label: &str,
        content: Content,
        when_lost: &'static str,
    ) -> usize {
        let last = self.steps.iter().rposition(|step| step.to == from);
        let needs = last.map(Need::Delivered).into_iter().collect();
        self.steps.push(Step { from, to, label: label.to_string(), content, needs, when_lost });
        self.steps.len() - 1
    }

    fn needs(&mut self, needs: Need) {
        if let Some(step) = self.steps.last_mut() {
            step.needs = vec![needs];
        }
    }

    fn handshake(&mut self, tcp: &mut Tcp) {
        let syn = tcp.segment(Who::Client, SYN, &[]);
        self.step(Who::Client, Who::Server, "SYN", syn, SYN_LOST);
        let syn_ack = tcp.segment(Who::Server, SYN | ACK, &[]);
        self.step(Who::Server, Who::Client, "SYN-ACK", syn_ack, SYN_ACK_LOST);
        let ack = tcp.segment(Who::Client, ACK, &[]);
        self.step(Who::Client, Who::Server, "ACK", ack, ACK_LOST);
    }

    fn finish(self) -> Script {
        Script { steps: self.steps }
    }
}

const SYN_LOST: &str = "The connection never begins: the client repeats its SYN and gives up after \
                        about two minutes (\"connection timed out\").";
const SYN_ACK_LOST: &str = "The SYN went out and its answer is thrown away at the client's side: \
                            the client repeats the SYN, the server its SYN-ACK, and the client \
                            gives up after about two minutes (\"connection timed out\").";
const ACK_LOST: &str = "The handshake never completes: the server keeps repeating its SYN-ACK and \
                        never hands the connection to its program, while the client believes it \
                        is connected and waits.";
const DATA_LOST: &str = "The connection is open and dead: this data is repeated until the sender \
                         gives up, after a quarter of an hour with Linux's defaults.";
const FIN_LOST: &str = "The connection cannot be closed properly: its end is repeated and both \
                        sides keep it until they time out.";

fn tcp_connection(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    let request = tcp.segment(Who::Client, PSH | ACK, &[b'q'; 100]);
    script.step(Who::Client, Who::Server, "ACK, 100 bytes", request, DATA_LOST);
    let response = tcp.segment(Who::Server, PSH | ACK, &[b'a'; 1200]);
    script.step(Who::Server, Who::Client, "ACK, 1200 bytes", response, DATA_LOST);
    let fin = tcp.segment(Who::Client, FIN | ACK, &[]);
    script.step(Who::Client, Who::Server, "FIN-ACK", fin, FIN_LOST);
    let fin = tcp.segment(Who::Server, FIN | ACK, &[]);
    script.step(Who::Server, Who::Client, "FIN-ACK", fin, FIN_LOST);
    let ack = tcp.segment(Who::Client, ACK, &[]);
    script.step(Who::Client, Who::Server, "ACK", ack, FIN_LOST);
    script.finish()
}

fn udp_query(parties: &Parties) -> Script {
    let query = |data: &[u8]| Content::Udp {
        source_port: parties.client_port,
        destination_port: parties.server_port,
        data: data.to_vec(),
    };
    let answer = |data: &[u8]| Content::Udp {
        source_port: parties.server_port,
        destination_port: parties.client_port,
        data: data.to_vec(),
    };
    let lost = "The client waits for an answer that does not come; a resolver tries again and \
                reports a timeout after some seconds.";
    let mut script = Writer::new();
    script.step(Who::Client, Who::Server, "UDP query", query(&[b'?'; 40]), lost);
    script.step(Who::Server, Who::Client, "UDP answer", answer(&[b'!'; 120]), lost);
    script.step(Who::Client, Who::Server, "UDP query", query(&[b'?'; 44]), lost);
    script.step(Who::Server, Who::Client, "UDP answer", answer(&[b'!'; 140]), lost);
    script.finish()
}

fn echo(parties: &Parties, reply: bool) -> Content {
    let v4 = parties.client.is_ipv4();
    let kind = match (v4, reply) {
        (true, false) => 8,
        (true, true) => 0,
        (false, false) => 128,
        (false, true) => 129,
    };
    let rest = u32::from(parties.client_port) << 16 | 1;
    Content::Icmp { kind, code: 0, rest, data: vec![0x42; 56] }
}

fn ping(parties: &Parties) -> Script {
    let mut script = Writer::new();
    let lost = "ping reports 100 % packet loss.";
    script.step(Who::Client, Who::Server, "echo request", echo(parties, false), lost);
    script.step(Who::Server, Who::Client, "echo reply", echo(parties, true), lost);
    script.finish()
}

/// MTU of the narrow link beyond the filter, in bytes.
const NARROW_MTU: u16 = 1400;

fn path_mtu(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let v4 = parties.client.is_ipv4();
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    let full = 1500 - 20 - if v4 { 20 } else { 40 };
    let large = tcp.at(Who::Client, ACK, &vec![b'd'; full], 0);
    let label = format!("ACK, {full} bytes, DF");
    let large_at = script.step(Who::Client, Who::Server, &label, large.clone(), DATA_LOST);
    let (kind, code) = if v4 { (3, 4) } else { (2, 0) };
    let error = Content::Error { kind, code, rest: u32::from(NARROW_MTU), about: large_at };
    let label = if v4 { "frag needed" } else { "packet too big" };
    let label = format!("{label}, MTU {NARROW_MTU}");
    let lost = "A path MTU black hole: the router beyond the filter has thrown the large packet \
                away and its word about it does not arrive, so the client repeats the same large \
                packet until it gives up. Small things work (the handshake, a short request), and \
                every transfer of size hangs.";
    let error_at = script.step(Who::Router, Who::Client, &label, error, lost);
    script.needs(Need::Delivered(large_at));
    let small = usize::from(NARROW_MTU) - 20 - if v4 { 20 } else { 40 };
    let fitting = tcp.at(Who::Client, ACK, &vec![b'd'; small], 0);
    script.step(Who::Client, Who::Server, &format!("ACK, {small} bytes"), fitting, DATA_LOST);
    script.needs(Need::Delivered(error_at));
    let label = format!("same {full} bytes again");
    script.step(Who::Client, Who::Server, &label, large, DATA_LOST);
    script.needs(Need::Lost(error_at));
    script.finish()
}

fn icmp_error(parties: &Parties) -> Script {
    let v4 = parties.client.is_ipv4();
    let query = Content::Udp {
        source_port: parties.client_port,
        destination_port: parties.server_port,
        data: vec![b'?'; 40],
    };
    let mut script = Writer::new();
    let lost = "The query does not reach its server.";
    let about = script.step(Who::Client, Who::Server, "UDP query", query, lost);
    let (kind, code) = parties.icmp.unwrap_or(if v4 { (3, 1) } else { (1, 3) });
    let error = Content::Error { kind, code, rest: 0, about };
    let label = crate::prose::icmp::name(v4, kind, code);
    let lost = "The client is not told, and waits for its own timeout instead of failing at once.";
    script.step(Who::Router, Who::Client, &label, error, lost);
    script.needs(Need::Delivered(about));
    script.finish()
}

fn comma_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string().replace('.', ","),
        IpAddr::V6(address) => address.to_string(),
    }
}

/// The announcement of a data port (RFC 959; RFC 2428 for IPv6).
fn announcement(parties: &Parties, passive: bool) -> String {
    let port = parties.data_port;
    let (high, low) = (port >> 8, port & 0xff);
    match (passive, parties.server.is_ipv4()) {
        (true, true) => {
            let address = comma_address(parties.server);
            format!("227 Entering Passive Mode ({address},{high},{low}).")
        }
        (true, false) => format!("229 Entering Extended Passive Mode (|||{port}|)"),
        (false, true) => format!("PORT {},{high},{low}", comma_address(parties.client)),
        (false, false) => format!("EPRT |2|{}|{port}|", comma_address(parties.client)),
    }
}

const FTP_DATA_LOST: &str = "Logging in works and the first listing or transfer hangs: the data \
                             connection is refused its beginning.";

fn ftp_passive(parties: &Parties) -> Script {
    let mut control = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut control);
    say(&mut script, &mut control, Who::Server, "220 FTP server ready");
    let command = if parties.server.is_ipv4() { "PASV" } else { "EPSV" };
    say(&mut script, &mut control, Who::Client, command);
    announce(&mut script, &mut control, parties, true);
    let mut data = Tcp::new(parties.client_port.wrapping_add(1), parties.data_port);
    data_connection(&mut script, &mut data, Who::Client, Who::Server);
    script.finish()
}

fn ftp_active(parties: &Parties) -> Script {
    let mut control = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut control);
    say(&mut script, &mut control, Who::Server, "220 FTP server ready");
    // A helper reads a line only where it has seen the line before it end.
    say(&mut script, &mut control, Who::Client, "USER anonymous");
    say(&mut script, &mut control, Who::Server, "230 logged in");
    announce(&mut script, &mut control, parties, false);
    say(&mut script, &mut control, Who::Server, "200 PORT successful");
    // The server opens: here it is the side with the port 20.
    let mut data = Tcp::new(parties.data_port, 20);
    data.server_next = CLIENT_ISN;
    data_connection(&mut script, &mut data, Who::Server, Who::Client);
    script.finish()
}

/// A line of a control connection.
fn say(script: &mut Writer, control: &mut Tcp, from: Who, line: &str) {
    say_as(script, control, from, line, line);
}

fn say_as(script: &mut Writer, control: &mut Tcp, from: Who, line: &str, label: &str) {
    let to = if from == Who::Client { Who::Server } else { Who::Client };
    let content = control.segment(from, PSH | ACK, format!("{line}\r\n").as_bytes());
    script.step(from, to, label, content, DATA_LOST);
}

/// The line that names the data port.
fn announce(script: &mut Writer, control: &mut Tcp, parties: &Parties, passive: bool) {
    let from = if passive { Who::Server } else { Who::Client };
    let line = announcement(parties, passive);
    let word = line.split(' ').next().unwrap_or("");
    let label = format!("{word} (port {})", parties.data_port);
    say_as(script, control, from, &line, &label);
}

fn data_connection(script: &mut Writer, data: &mut Tcp, from: Who, to: Who) {
    let before = script.steps.len().saturating_sub(1);
    let syn = data.segment(from, SYN, &[]);
    let at = script.step(from, to, "data SYN", syn, FTP_DATA_LOST);
    script.needs(Need::Delivered(before));
    let syn_ack = data.segment(to, SYN | ACK, &[]);
    let answer = script.step(to, from, "data SYN-ACK", syn_ack, FTP_DATA_LOST);
    script.needs(Need::Delivered(at));
    let ack = data.segment(from, ACK, &[]);
    script.step(from, to, "data ACK", ack, FTP_DATA_LOST);
    script.needs(Need::Delivered(answer));
}

/// How far past the expected byte the stray segment is: more than any window announced here.
const FAR: u32 = 1_000_000;

fn out_of_window(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    let request = tcp.segment(Who::Client, PSH | ACK, &[b'q'; 100]);
    script.step(Who::Client, Who::Server, "ACK, 100 bytes", request, DATA_LOST);
    let stray = tcp.at(Who::Server, PSH | ACK, &[b'x'; 100], FAR);
    let label = format!("ACK, {FAR} ahead");
    let lost = "A segment that its receiver has announced no room for: a blind attacker's, a \
                middlebox's, or a sign that the filter has not seen some of the connection. It is \
                dropped before it reaches anybody.";
    script.step(Who::Server, Who::Client, &label, stray, lost);
    let due = tcp.segment(Who::Server, PSH | ACK, &[b'a'; 1200]);
    script.step(Who::Server, Who::Client, "ACK, 1200 bytes", due, DATA_LOST);
    script.finish()
}

fn attempt(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let syn = tcp.segment(Who::Client, SYN, &[]);
    script.step(Who::Client, Who::Server, "SYN", syn, SYN_LOST);
    script.finish()
}

fn unwelcome_query(parties: &Parties) -> Script {
    let query = Content::Udp {
        source_port: parties.client_port,
        destination_port: parties.server_port,
        data: vec![b'?'; 40],
    };
    let mut script = Writer::new();
    script.step(Who::Client, Who::Server, "UDP query", query, "The query is not answered.");
    script.finish()
}

/// The answers take another way: the filter sees what the client sends and nothing else.
fn asymmetric(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    let syn = tcp.segment(Who::Client, SYN, &[]);
    let first = script.step(Who::Client, Who::Server, "SYN", syn, SYN_LOST);
    // The SYN-ACK is sent and not seen here.
    let _ = tcp.segment(Who::Server, SYN | ACK, &[]);
    let lost = "The server's answers take another way, so tracking never sees the handshake and \
                cannot place what the client sends after its SYN: connections over this path \
                cannot be opened at all.";
    let ack = tcp.segment(Who::Client, ACK, &[]);
    script.step(Who::Client, Who::Server, "ACK (no SYN-ACK seen)", ack, lost);
    script.needs(Need::Delivered(first));
    let data = tcp.segment(Who::Client, PSH | ACK, &[b'q'; 100]);
    script.step(Who::Client, Who::Server, "ACK, 100 bytes", data, lost);
    script.needs(Need::Delivered(first));
    script.finish()
}

fn stray_reset(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    let mut script = Writer::new();
    script.handshake(&mut tcp);
    let reset = tcp.at(Who::Server, RST, &[], FAR);
    let lost = "A reset that somebody guesses at, with a sequence number far from what is due, \
                does not reach the client.";
    script.step(Who::Server, Who::Client, &format!("RST, {FAR} ahead"), reset, lost);
    script.finish()
}

fn stray_icmp_error(_parties: &Parties) -> Script {
    let mut script = Writer::new();
    let error = Content::Error { kind: 3, code: 1, rest: 0, about: STEP_OF_NOTHING };
    let lost = "Nobody waits for it.";
    script.step(Who::Router, Who::Client, "host unreachable, stray", error, lost);
    script.finish()
}

fn picked_up(parties: &Parties) -> Script {
    let mut tcp = Tcp::new(parties.client_port, parties.server_port);
    tcp.client_next = 7_000_000;
    tcp.server_next = 9_000_000;
    let mut script = Writer::new();
    let lost = "A connection that is older than the filter's memory of it (after a restart, a \
                flush, a change of route) is cut.";
    let data = tcp.segment(Who::Client, PSH | ACK, &[b'q'; 100]);
    script.step(Who::Client, Who::Server, "ACK (no SYN seen)", data, lost);
    let data = tcp.segment(Who::Server, PSH | ACK, &[b'a'; 500]);
    script.step(Who::Server, Who::Client, "ACK, 500 bytes", data, lost);
    let data = tcp.segment(Who::Client, ACK, &[]);
    script.step(Who::Client, Who::Server, "ACK", data, lost);
    script.finish()
}

fn lone_segment(parties: &Parties) -> Script {
    let tcp = Tcp::new(parties.client_port, parties.server_port);
    let flags = parties.flags.unwrap_or(ACK);
    let mut script = Writer::new();
    let label = crate::prose::tcp::flags(flags);
    let lost = "It does not reach the server.";
    script.step(Who::Client, Who::Server, &label, tcp.at(Who::Client, flags, &[], 0), lost);
    script.finish()
}

fn neighbour_discovery(parties: &Parties) -> Script {
    let octets = |address: IpAddr| match address {
        IpAddr::V6(address) => address.octets().to_vec(),
        IpAddr::V4(_) => vec![0; 16],
    };
    let mut script = Writer::new();
    let lost = "The neighbour's link address is never learnt: after that not one IPv6 packet goes \
                over the link, whatever else the rules allow.";
    let solicit = Content::Icmp { kind: 135, code: 0, rest: 0, data: octets(parties.server) };
    script.step(Who::Client, Who::Server, "neighbour solicitation", solicit, lost);
    let flags = 0x6000_0000;
    let advert = Content::Icmp { kind: 136, code: 0, rest: flags, data: octets(parties.server) };
    script.step(Who::Server, Who::Client, "neighbour advertisement", advert, lost);
    script.finish()
}

fn icmp_message(parties: &Parties) -> Script {
    let v4 = parties.client.is_ipv4();
    let (kind, code) = parties.icmp.unwrap_or(if v4 { (8, 0) } else { (128, 0) });
    let rest = u32::from(parties.client_port) << 16 | 1;
    let mut script = Writer::new();
    let content = Content::Icmp { kind, code, rest, data: vec![0; 32] };
    let label = crate::prose::icmp::name(v4, kind, code);
    script.step(Who::Client, Who::Server, &label, content, "It does not arrive.");
    script.finish()
}

fn other(parties: &Parties) -> Script {
    let content = |n: u8| Content::Other { protocol: parties.protocol, data: vec![n; 48] };
    let mut script = Writer::new();
    let label = crate::prose::protocol::name(parties.protocol);
    let lost = "Nothing of this protocol gets through.";
    script.step(Who::Client, Who::Server, &label, content(0), lost);
    script.step(Who::Server, Who::Client, &label, content(0), lost);
    script.step(Who::Client, Who::Server, &label, content(0), lost);
    script.finish()
}

/// The protocol number of a template's packets of interest; `None`: that of the rule.
#[must_use]
pub(crate) fn upper(template: &Template, family: keepstate_packet::Family) -> Option<u8> {
    let v6 = family == keepstate_packet::Family::V6;
    Some(match template.protocol? {
        Upper::Tcp => 6,
        Upper::Udp => 17,
        Upper::Icmp => {
            if v6 {
                58
            } else {
                1
            }
        }
        Upper::Icmpv6 => 58,
    })
}
