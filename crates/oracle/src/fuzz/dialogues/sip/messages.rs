//! The messages: each as a good agent writes it, most of the time.

use super::{Dialogue, Turn, media_port};
use crate::fuzz::dialogues::spoilt;
use crate::fuzz::random::Random;
use keepstate_packet::{Address, Family};

/// Numbers of requests that are none.
const ODD_CSEQS: [&str; 8] =
    ["", "x", "-1", "4294967296", "4294967297", "00", "0x10", "18446744073709551616"];

impl Dialogue<'_> {
    pub(super) fn register(&mut self, port: u16, lives: &str) {
        let text = self.register_text(port, lives);
        self.say(0, text);
    }

    pub(super) fn register_text(&mut self, port: u16, lives: &str) -> Vec<u8> {
        self.speaker = 0;
        let number = self.next_cseq();
        let contact = self.contacts(0, port, lives);
        let expires = self.expires(lives);
        let start = format!("REGISTER {} SIP/2.0", self.uri(1, None));
        let [from, to] = self.parties(0);
        let number = self.cseq(number, "REGISTER");
        let headers = vec![self.via(0), from, to, number, contact, expires];
        self.message(start, headers, String::new())
    }

    /// The answer to a REGISTER.
    pub(super) fn registered(&mut self, port: u16, lives: &str, code: u16) {
        self.speaker = 1;
        let number = self.cseq;
        let contact = self.contacts(0, port, lives);
        let expires = self.expires(lives);
        let start = format!("SIP/2.0 {code} Done");
        let [from, to] = self.parties(0);
        let number = self.cseq(number, "REGISTER");
        let headers = vec![self.via(0), from, to, number, contact, expires];
        let text = self.message(start, headers, String::new());
        self.say(1, text);
    }

    /// A request that describes media, with its number.
    pub(super) fn invite(&mut self, end: usize, method: &str) -> u32 {
        let text = self.invite_text(end, method);
        self.say(end, text);
        self.cseq
    }

    pub(super) fn invite_text(&mut self, end: usize, method: &str) -> Vec<u8> {
        let number = self.next_cseq();
        self.request(end, method, number, 85)
    }

    pub(super) fn acknowledge(&mut self, end: usize, number: u32) {
        let text = self.request(end, "ACK", number, 15);
        self.say(end, text);
    }

    pub(super) fn bye(&mut self, end: usize) {
        let number = self.next_cseq();
        let text = self.request(end, "BYE", number, 2);
        self.say(end, text);
        self.answer(1 - end, 200, number, "BYE");
    }

    /// An answer, with a description of media where one may be.
    pub(super) fn answer(&mut self, end: usize, code: u16, number: u32, method: &str) {
        self.speaker = end;
        let percent = match code {
            100 => 5,
            101..300 => 75,
            _ => 10,
        };
        let body = self.body(end, percent);
        let start = match self.random.below(40) {
            0 => format!("SIP/2.0  {code} Well"),
            1 => format!("SIP/2.0 {code}"),
            2 => "SIP/2.0 0 Nothing".to_owned(),
            3 => "SIP/2.0 OK Nothing".to_owned(),
            4 => format!("SIP/2.0 {} Wrapped", u64::from(code) + (1 << 32)),
            _ => format!("SIP/2.0 {code} Well"),
        };
        let contact = self.contacts(end, self.flow.ports[end], "");
        let [from, to] = self.parties(1 - end);
        let headers = vec![self.via(1 - end), from, to, self.cseq(number, method), contact];
        let text = self.message(start, headers, body);
        self.say(end, text);
    }

    /// What no agent would say.
    pub(super) fn chatter(&mut self) {
        let texts: [&[u8]; 12] = [
            b"\r\n\r\n",
            b"\0\0\0\0",
            b"SIP/2.0",
            b"SIP/2.0 20",
            b"SIP/2.0 200\r\n",
            b"INVITE",
            b"INVITE s",
            b"INVITE  s\r\nCSeq: 1\r\n\r\n",
            b"ACKs sip:a SIP/2.0\r\n",
            b"BYE sip:a SIP/2.0\r\nCSeq: 1 BYE\r\nl: 0\r\n\r\n",
            b"OPTIONS sip:a SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            b"register sip:a SIP/2.0\nCSeq: 1 x\nl:0\n\r\n\r\n",
        ];
        for _ in 0..=self.random.below(3) {
            let (end, text) = (self.random.below(2), self.random.pick(&texts));
            self.say(end, text.to_vec());
        }
    }

    fn say(&mut self, end: usize, text: Vec<u8>) {
        let end = if self.random.chance(2) { 1 - end } else { end };
        self.turns.push(Turn::Say(end, text));
    }

    fn request(&mut self, end: usize, method: &str, number: u32, percent: usize) -> Vec<u8> {
        self.speaker = end;
        let body = self.body(end, percent);
        let port = if self.random.chance(30) { Some(self.flow.ports[1 - end]) } else { None };
        let uri = self.uri(1 - end, port);
        let start = match self.random.below(40) {
            0 => format!("{} {uri} SIP/2.0", method.to_lowercase()),
            1 => format!("{method}  {uri} SIP/2.0"),
            2 => format!("{method}S {uri} SIP/2.0"),
            3 => format!("{method} <{uri}> SIP/2.0"),
            4 => format!(" {method} {uri} SIP/2.0"),
            5 => format!("{method} \u{e9} SIP/2.0"),
            _ => format!("{method} {uri} SIP/2.0"),
        };
        let contact = self.contacts(end, self.flow.ports[end], "");
        let [from, to] = self.parties(end);
        let headers = vec![self.via(end), from, to, self.cseq(number, method), contact];
        self.message(start, headers, body)
    }

    fn body(&mut self, end: usize, percent: usize) -> String {
        if self.random.chance(percent) { self.description(end) } else { String::new() }
    }

    /// An address as URIs have it.
    fn host(&mut self, end: usize) -> String {
        let own = match self.seen[end] {
            Some(seen) if end != self.speaker => seen,
            _ => self.flow.addresses[end],
        };
        let shown = match self.random.below(30) {
            0 => return "pbx.example".to_owned(),
            1 => self.other_host(end),
            2 => self.flow.addresses[1 - end],
            3..7 => self.translated(),
            _ => own,
        };
        let text = self.address(shown);
        match (self.flow.family, self.random.below(30)) {
            (Family::V6, 0) | (Family::V4, 1..) => text,
            (Family::V6, _) => format!("[{text}]"),
            (Family::V4, _) => format!("[{text}]"),
        }
    }

    fn address(&mut self, address: Address) -> String {
        let text = address.ip(self.flow.family).to_string();
        match self.random.below(25) {
            0 => text.replace(':', ":0").replace('.', ".0"),
            1 => text.to_uppercase(),
            2 => text.replace(".0.", "..").replace("::", ":0:0:0:0:"),
            3 => format!("{text}x"),
            _ => text,
        }
    }

    pub(super) fn uri(&mut self, end: usize, port: Option<u16>) -> String {
        let user = self.random.pick(&["bob@", "alice@", "", "a;b@", "x@y@", "+49:30@"]);
        let scheme = self.random.pick(&["sip:", "sip:", "sip:", "sip:", "SIP:", "sips:"]);
        let host = self.host(end);
        let port = match (port, self.random.below(25)) {
            (Some(_), 0) => {
                self.random.pick(&[":80", ":65536", ":70000", ":", ":0", ":x"]).to_owned()
            }
            (Some(_), 1) => format!(":{}", u64::from(5060u16) + (1 << 32)),
            (Some(port), 2) => format!(":0{port}"),
            (Some(port), _) => format!(":{port}"),
            (None, _) => String::new(),
        };
        format!("{scheme}{user}{host}{port}")
    }

    fn via(&mut self, end: usize) -> String {
        let transport = if self.tcp { "TCP" } else { "UDP" };
        let host = self.host(end);
        let port = self.random.pick(&[5060, self.flow.ports[end], self.flow.ports[end], 5070]);
        let port = match self.random.below(12) {
            0 => String::new(),
            1 => format!(":{}", self.flow.ports[1 - end]),
            _ => format!(":{port}"),
        };
        let name = self.random.pick(&["Via", "Via", "Via", "v", "VIA", "Vias"]);
        let transport = if self.random.chance(3) { "UDP" } else { transport };
        let mut text = format!("{name}: SIP/2.0/{transport} {host}{port};branch=z9hG4bK");
        for _ in 0..self.random.pick(&[0, 0, 1, 2, 3, 4]) {
            text += &self.way_parameter(end);
        }
        match self.random.below(20) {
            0 => text.push_str(", SIP/2.0/UDP 192.0.2.9"),
            1 => text = format!("{text}\r\n{}", self.via(1 - end)),
            2 => text = text.replace(' ', "  "),
            _ => {}
        }
        text
    }

    /// A parameter of a way (RFC 3261, 20.42; RFC 3581).
    fn way_parameter(&mut self, end: usize) -> String {
        let shown = self.random.pick(&[end, end, 1 - end]);
        let address = match self.random.chance(25) {
            true => self.translated(),
            false => self.flow.addresses[shown],
        };
        let mut address = self.address(address);
        if self.random.chance(if self.flow.family == Family::V6 { 50 } else { 5 }) {
            address = format!("[{address}]");
        }
        let port =
            self.random.pick(&[self.flow.ports[shown], self.flow.ports[shown], 5060, 65_535]);
        match self.random.below(9) {
            0 | 1 => format!(";maddr={address}"),
            2..5 => format!(";received={address}"),
            5 | 6 => format!(";rport={port}"),
            7 => format!(";rport={}", u32::from(port) + (1 << 16)),
            _ => self
                .random
                .pick(&[";rport", ";rport=", ";maddr=", ";received=x", ";ttl=1", ","])
                .to_owned(),
        }
    }

    /// Who calls and who is called, in a request of `end` or the answer to one.
    fn parties(&mut self, end: usize) -> [String; 2] {
        [("From", "f", end), ("To", "t", 1 - end)].map(|(long, short, who)| {
            let name = self.random.pick(&[long, long, long, short]);
            let port = if self.random.chance(60) { Some(self.flow.ports[who]) } else { None };
            let uri = self.uri(who, port);
            match self.random.below(12) {
                0 => String::new(),
                1 => format!("{name}: {uri};tag=1"),
                2 => format!("{name}:\r\n {uri}"),
                3 => format!("{name}: \"A\" <{uri}>, <{uri}>"),
                _ => format!("{name}: <{uri}>;tag=1"),
            }
        })
    }

    /// What addresses of rules may make of one.
    pub(super) fn translated(&mut self) -> Address {
        let random = &mut *self.random;
        match self.flow.family {
            Family::V4 => Address::v4(random.pick(&[
                [203, 0, 113, 1],
                [203, 0, 113, 1],
                [203, 0, 113, 9],
                [10, 1, 0, 7],
                [100, 127, 254, 1],
                [100, 127, 253, 1],
            ])),
            Family::V6 => {
                let text = random.pick(&["2001:c::1", "2001:c::1", "2001:c::9", "fd4d:4154:b::1"]);
                let address: std::net::Ipv6Addr =
                    text.parse().unwrap_or(std::net::Ipv6Addr::LOCALHOST);
                Address::v6(address.octets())
            }
        }
    }

    fn cseq(&mut self, number: u32, method: &str) -> String {
        match self.random.below(50) {
            0 => format!("CSeq: {} {method}", self.random.pick(&ODD_CSEQS)),
            1 => format!("cseq:{number} {method}"),
            2 => format!("CSeq : {number}  {method}"),
            3 => format!("CSeq:\r\n {number} {method}"),
            4 => format!("CSeq: {number} {}", method.to_lowercase()),
            5 => format!("CSeq: {number}"),
            6 => format!("CSeq: {number} {method}X"),
            7 => "X-CSeq: 1".to_owned(),
            8 => format!("CSeqX: {number} {method}"),
            9 => format!("CSeq: {} {method}", u64::from(number) + (1 << 32)),
            _ => format!("CSeq: {number} {method}"),
        }
    }

    fn expires(&mut self, lives: &str) -> String {
        match self.random.below(12) {
            0 => String::new(),
            1 => "Expires:".to_owned(),
            2 => "Expires: never".to_owned(),
            3 => format!("expires \t:\r\n\t{lives}"),
            _ => format!("Expires: {lives}"),
        }
    }

    /// The contacts of `end`: one, several in one header or in several headers, or none.
    fn contacts(&mut self, end: usize, port: u16, lives: &str) -> String {
        let count = self.random.pick(&[1, 1, 1, 1, 2, 3, 0]);
        let mut text = String::new();
        for n in 0..count {
            let separator = match (n, self.random.below(12)) {
                (0, 0) => "m: ",
                (0, 1) => "m:",
                (0, 2) => "Contact:\r\n ",
                (0, 3) => "contact :",
                (0, _) => "Contact: ",
                (_, 0..6) => ", ",
                (_, 6) => ",\r\n ",
                (_, 7) => ",",
                _ => "\r\nContact: ",
            };
            text += separator;
            text += &self.contact(end, port, lives);
        }
        match self.random.below(40) {
            0 => "Contact: *".to_owned(),
            1 => "Contact:".to_owned(),
            _ => text,
        }
    }

    fn contact(&mut self, end: usize, port: u16, lives: &str) -> String {
        let port = if self.random.chance(85) { Some(port) } else { None };
        let uri = self.uri(end, port);
        let transport = match self.random.below(14) {
            0 | 1 => ";transport=udp",
            2 | 3 => ";transport=tcp",
            4 => ";transport=TLS",
            5 => ";transport=",
            6 => ";Transport=UDPx",
            _ => "",
        };
        let expires = match self.random.below(14) {
            0..3 if !lives.is_empty() => format!(";expires={lives}"),
            3 => ";expires=0".to_owned(),
            4 => ";expires=".to_owned(),
            5 => ";expires=x".to_owned(),
            6 => ";expires=0x3c".to_owned(),
            7 => ";EXPIRES=074".to_owned(),
            8 => ";q=0.5".to_owned(),
            _ => String::new(),
        };
        match self.random.below(6) {
            0 => format!("{uri}{transport}{expires}"),
            1 => format!("\"A, b\" <{uri}{transport}>{expires}"),
            2 => format!("<{uri}>{transport}{expires}"),
            _ => format!("<{uri}{transport}>{expires}"),
        }
    }

    /// A session description (RFC 4566) of the media of `end`.
    fn description(&mut self, end: usize) -> String {
        let own = self.flow.addresses[end];
        let network = if self.flow.family == Family::V4 { "IN IP4" } else { "IN IP6" };
        let mut lines =
            vec![self.random.pick(&["v=0", "v=0", "v=0", "v=0", "V=1", "v="]).to_owned()];
        if self.random.chance(95) {
            lines[0] = "v=0".to_owned();
        }
        let owner = match self.random.below(20) {
            0 => String::new(),
            1 => "pbx.example".to_owned(),
            _ => own.ip(self.flow.family).to_string(),
        };
        if !owner.is_empty() {
            lines.push(format!("o=- 1 1 {network} {owner}"));
        }
        lines.push("s=-".to_owned());
        if self.random.chance(85) {
            lines.push(self.connection(end));
        }
        lines.push("t=0 0".to_owned());
        for n in 0..self.random.pick(&[1, 1, 1, 2, 2, 3, 4, 5]) {
            let port = match (n, self.random.chance(90)) {
                (0, true) => self.ports[end],
                (1, true) => self.ports[end].wrapping_add(2),
                _ => media_port(self.random),
            };
            lines.push(medium(self.random, port));
            if self.random.chance(15) {
                lines.push(self.connection(end));
            }
            lines.push("a=rtpmap:0 PCMU/8000".to_owned());
        }
        if self.random.chance(3) {
            let at = self.random.below(lines.len());
            lines.remove(at);
        }
        let end_of_line = self.random.pick(&["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"]);
        lines.iter().map(|line| format!("{line}{end_of_line}")).collect()
    }

    /// Where media are to go: mostly to the own address.
    fn connection(&mut self, end: usize) -> String {
        let shown = match self.random.below(14) {
            0 => self.other_host(end),
            1 => self.other_host(1 - end),
            2..5 => self.translated(),
            _ => self.flow.addresses[end],
        };
        let address = self.address(shown);
        let four = self.flow.family == Family::V4;
        match self.random.below(30) {
            0 => "c=IN IP4 0.0.0.0".to_owned(),
            1 => "c=IN IP6 ::".to_owned(),
            2 => "c=IN IP4 pbx.example".to_owned(),
            3 => "c=".to_owned(),
            4 => format!("c=in ip4 {address}"),
            5 => format!("C=IN IP{} {address}/127", if four { 4 } else { 6 }),
            6 => format!("c=IN  IP{} {address}", if four { 4 } else { 6 }),
            _ => format!("c=IN IP{} {address}", if four { 4 } else { 6 }),
        }
    }

    /// Headers around a body, its length mostly told rightly; some of it spoilt.
    fn message(&mut self, start: String, headers: Vec<String>, body: String) -> Vec<u8> {
        let mut lines = vec![start];
        lines.extend(headers.into_iter().filter(|header| !header.is_empty()));
        lines.push("Max-Forwards: 70".to_owned());
        if self.random.chance(10) {
            let at = 1 + self.random.below(lines.len() - 1);
            let other = 1 + self.random.below(lines.len() - 1);
            lines.swap(at, other);
        }
        if self.random.chance(3) {
            let at = self.random.below(lines.len());
            lines.remove(at);
        }
        for line in &mut lines {
            if self.random.chance(3) {
                *line = spoilt(self.random, std::mem::take(line));
            }
        }
        let length = body.len();
        let told = match self.random.below(40) {
            0 => (length + self.random.below(9)).saturating_sub(4),
            1 => length + 500,
            2 => 0,
            _ => length,
        };
        match self.random.below(30) {
            0 => lines.push(format!("l: {told}")),
            1 => lines.push(format!("Content-Length:\r\n {told}")),
            2 => lines.push(format!("Content-Length: {}", (told as u64) + (1 << 32))),
            3 => {}
            4 => lines.insert(1, format!("Content-length:{told}")),
            _ => lines.push(format!("Content-Length: {told}")),
        }
        let body = if self.random.chance(4) { spoilt(self.random, body) } else { body };
        let mut text = lines.join("\r\n").into_bytes();
        text.extend(b"\r\n\r\n");
        text.extend(body.bytes());
        // What the kernel reads behind the end of a packet is whatever lay there before.
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text
    }
}

fn medium(random: &mut Random, port: u16) -> String {
    let kind = random.pick(&[
        "audio",
        "audio",
        "audio",
        "audio",
        "video",
        "video",
        "image",
        "text",
        "application",
        "Audio",
    ]);
    match random.below(30) {
        0 => format!("m={kind} 0 RTP/AVP 0"),
        1 => format!("m={kind} {} RTP/AVP 0", random.pick(&[1, 1023, 65_535, 65_536, 70_000])),
        2 => format!("m={kind} {} RTP/AVP 0", u64::from(port) + (1 << 32)),
        3 => format!("m={kind}  {port} RTP/AVP 0"),
        4 => format!("m={kind}\t{port} RTP/AVP 0"),
        5 => format!("m={kind} {port}/2 RTP/AVP 0"),
        6 => format!("m={kind} "),
        7 => format!("m= {port}"),
        8 => format!("M={kind} 0{port} RTP/AVP 0"),
        _ => format!("m={kind} {port} RTP/AVP 0"),
    }
}
