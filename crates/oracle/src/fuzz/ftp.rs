//! FTP dialogues (RFC 959, RFC 2428): a control connection, transfers announced in either way, and
//! the data connections that follow, some not as announced.

use super::draft::{Body, Draft, Segment, TCP};
use super::flow::Flow;
use super::random::Random;
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN};
use keepstate_packet::{Address, Family};

/// A control connection with a state of its own.
struct Dialogue<'r> {
    random: &'r mut Random,
    flow: Flow,
    next: [u32; 2],
    drafts: Vec<Draft>,
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[21]);
    let next = [random.word(), random.word()];
    let mut dialogue = Dialogue { random, flow, next, drafts: Vec::new() };
    let control = dialogue.flow;
    dialogue.segment(control, 0, SYN, b"");
    dialogue.segment(control, 1, SYN | ACK, b"");
    dialogue.segment(control, 0, ACK, b"");
    dialogue.line(1, "220 ready");
    if dialogue.random.chance(50) {
        dialogue.line(0, "USER anonymous");
        dialogue.line(1, "331 password");
        dialogue.line(0, "PASS me@");
        dialogue.line(1, "230 in");
    }
    for _ in 0..=dialogue.random.below(3) {
        dialogue.transfer();
    }
    if dialogue.random.chance(60) {
        dialogue.line(0, "QUIT");
        dialogue.segment(control, 0, FIN | ACK, b"");
        dialogue.segment(control, 1, FIN | ACK, b"");
        dialogue.segment(control, 0, ACK, b"");
    }
    dialogue.drafts
}

impl Dialogue<'_> {
    /// A segment of the control connection; the other end has seen everything before it.
    fn segment(&mut self, flow: Flow, end: usize, flags: u8, payload: &[u8]) {
        let mut next = self.next;
        self.draft(flow, &mut next, end, flags, payload);
        self.next = next;
    }

    fn draft(&mut self, flow: Flow, next: &mut [u32; 2], end: usize, flags: u8, payload: &[u8]) {
        let segment = Segment {
            source_port: flow.ports[end],
            destination_port: flow.ports[1 - end],
            sequence: next[end],
            acknowledgment: if flags & ACK != 0 { next[1 - end] } else { 0 },
            flags,
            window: 29_200,
            payload: payload.to_vec(),
            ..Segment::default()
        };
        next[end] =
            next[end].wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        let network = flow.network(end, self.random);
        self.drafts.push(Draft::new(flow.sides[end], network, TCP, Body::Tcp(segment)));
    }

    /// A line, in one segment or in two, sometimes sent again.
    fn line(&mut self, end: usize, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend(match self.random.below(20) {
            0 => &b"\n"[..],
            1 => b"",
            2 => b"\r",
            _ => b"\r\n",
        });
        let flow = self.flow;
        let cut = self.random.below(bytes.len());
        if self.random.chance(8) {
            self.segment(flow, end, ACK | PSH, &bytes[..cut]);
            self.segment(flow, end, ACK | PSH, &bytes[cut..]);
        } else {
            let before = self.next;
            self.segment(flow, end, ACK | PSH, &bytes);
            if self.random.chance(8) {
                let mut again = before;
                self.draft(flow, &mut again, end, ACK | PSH, &bytes);
            }
        }
        if self.random.chance(50) {
            self.segment(flow, 1 - end, ACK, b"");
        }
    }

    /// Announces a data connection and opens it.
    fn transfer(&mut self) {
        let passive = self.random.chance(50);
        let extended = self.flow.family == Family::V6 || self.random.chance(40);
        let extended = extended ^ self.random.chance(5);
        let listener = usize::from(passive);
        let port = 2000 + self.random.below(20) as u16;
        let mut address = self.flow.addresses[listener];
        if self.random.chance(8) {
            address.0[3] ^= 0x20;
        }
        let text = self.announcement(passive, extended, address, port);
        if passive {
            self.line(0, if extended { "EPSV" } else { "PASV" });
            self.line(1, &text);
        } else {
            self.line(0, &text);
            self.line(1, "200 fine");
        }
        if self.random.chance(85) {
            self.data(listener, port);
        }
        if self.random.chance(50) {
            self.line(1, "226 done");
        }
    }

    fn announcement(&mut self, passive: bool, extended: bool, a: Address, port: u16) -> String {
        let o = a.v4_octets();
        let plain = format!("{},{},{},{},{},{}", o[0], o[1], o[2], o[3], port >> 8, port & 255);
        let d = if self.random.chance(10) { '!' } else { '|' };
        let text = match (passive, extended) {
            (true, true) => format!("229 Entering Extended Passive Mode ({d}{d}{d}{port}{d})"),
            (true, false) => match self.random.below(3) {
                0 => format!("227 Entering Passive Mode ({plain})."),
                1 => format!("227 Entering Passive Mode {plain}"),
                _ => format!("227 =({plain})"),
            },
            (false, true) => {
                let family = if self.flow.family == Family::V4 { 1 } else { 2 };
                let ip = a.ip(self.flow.family);
                format!("EPRT {d}{family}{d}{ip}{d}{port}{d}")
            }
            (false, false) => format!("PORT {plain}"),
        };
        self.spoilt(text)
    }

    /// One character in twenty announcements is wrong, or the case is.
    fn spoilt(&mut self, text: String) -> String {
        match self.random.below(20) {
            0 => {
                let at = self.random.below(text.len());
                let with = self.random.pick(&['0', '9', ',', '|', ' ', '(', ')', 'x', '.']);
                text.char_indices().map(|(n, c)| if n == at { with } else { c }).collect()
            }
            1 => text.to_lowercase(),
            2 => text[..self.random.below(text.len())].to_owned(),
            3 => format!("{text}{text}"),
            _ => text,
        }
    }

    /// The data connection to `listener`, from port 20 when the server opens it.
    fn data(&mut self, listener: usize, port: u16) {
        let control = self.flow;
        let opener = 1 - listener;
        let from = if listener == 0 && self.random.chance(60) { 20 } else { 40_000 };
        let port = if self.random.chance(10) { port ^ 1 } else { port };
        let flow = Flow {
            addresses: [control.addresses[opener], control.addresses[listener]],
            sides: [control.sides[opener], control.sides[listener]],
            ports: [from, port],
            ..control
        };
        let mut next = [self.random.word(), self.random.word()];
        for (end, flags, length) in [(0, SYN, 0), (1, SYN | ACK, 0), (0, ACK, 0)] {
            self.draft(flow, &mut next, end, flags, &vec![b'x'; length]);
        }
        for _ in 0..self.random.below(3) {
            let end = self.random.below(2);
            self.draft(flow, &mut next, end, ACK | PSH, &[b'x'; 100]);
        }
        if self.random.chance(20) {
            self.draft(flow, &mut next, 0, RST | ACK, b"");
        } else if self.random.chance(80) {
            self.draft(flow, &mut next, 0, FIN | ACK, b"");
            self.draft(flow, &mut next, 1, FIN | ACK, b"");
            self.draft(flow, &mut next, 0, ACK, b"");
        }
    }
}
