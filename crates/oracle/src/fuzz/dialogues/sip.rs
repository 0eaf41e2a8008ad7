//! SIP dialogues (RFC 3261) over UDP and TCP: registrations, calls with their media, changes of
//! media, calls that come in at a registered contact, and what goes wrong with all of them.

mod messages;

use super::Messages;
use super::datagrams::datagram;
use super::stream::Stream;
use crate::fuzz::draft::Draft;
use crate::fuzz::flow::{Flow, address};
use crate::fuzz::random::Random;
use keepstate_packet::Address;

/// The methods that the helper knows, answers by the hundred of their code, and everything else.
pub(crate) const MESSAGES: Messages = Messages {
    helper: "sip",
    kinds: &[
        "INVITE", "UPDATE", "ACK", "PRACK", "BYE", "REGISTER", "1xx", "2xx", "3xx", "4xx", "5xx",
        "6xx", "other",
    ],
    kind,
};

fn kind(payload: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(payload.get(..16)?).to_uppercase();
    let known = MESSAGES.kinds.iter().find(|kind| match text.strip_prefix("SIP/2.0 ") {
        Some(code) => kind.ends_with("xx") && code.starts_with(&kind[..1]),
        None => text.starts_with(**kind),
    });
    Some(known.copied().unwrap_or("other"))
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let mut flow = Flow::new(random, &[5060]);
    if random.chance(40) {
        flow.ports[0] = 5060;
    }
    let tcp = random.chance(40);
    let mut dialogue = Dialogue {
        cseq: random.pick(&[0, 1, 1, 2, 100, u32::MAX]),
        ports: [0; 2].map(|_: u16| media_port(random)),
        speaker: 0,
        seen: [None; 2],
        random,
        flow,
        tcp,
        turns: Vec::new(),
    };
    for end in 0..2 {
        if dialogue.random.chance(50) {
            dialogue.seen[end] = Some(dialogue.translated());
        }
    }
    for _ in 0..=dialogue.random.below(2) {
        match dialogue.random.below(10) {
            0..4 => dialogue.registration(),
            4..9 => dialogue.call(),
            _ => dialogue.chatter(),
        }
    }
    let Dialogue { random, turns, .. } = dialogue;
    if tcp { over_tcp(random, flow, turns) } else { over_udp(random, flow, turns) }
}

/// What comes next.
enum Turn {
    /// An end says something.
    Say(usize, Vec<u8>),
    /// A packet of a stream of media.
    Media(Flow, usize),
    /// A connection to a contact, and what its opener says there.
    Incoming(Flow, Vec<u8>),
}

fn over_udp(random: &mut Random, flow: Flow, turns: Vec<Turn>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for turn in turns {
        let (flow, end, payload) = match turn {
            Turn::Say(end, text) => (flow, end, text),
            Turn::Media(flow, end) => (flow, end, vec![0x80; 40]),
            Turn::Incoming(flow, text) => (flow, 0, text),
        };
        drafts.push(datagram(random, flow, end, &payload));
        if random.chance(4) {
            drafts.push(datagram(random, flow, end, &payload));
        }
    }
    drafts
}

/// Every end's messages one by one, or some together in one segment.
fn over_tcp(random: &mut Random, flow: Flow, turns: Vec<Turn>) -> Vec<Draft> {
    let mut stream = Stream::open(random, flow);
    let mut waiting: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
    for turn in turns {
        match turn {
            Turn::Say(end, text) => {
                waiting[end].extend(text);
                if stream.random.chance(75) {
                    let text = std::mem::take(&mut waiting[end]);
                    stream.say(end, &text);
                }
            }
            Turn::Media(flow, end) => {
                let media = datagram(stream.random, flow, end, &[0x80; 40]);
                stream.drafts.push(media);
            }
            Turn::Incoming(flow, text) => {
                let mut incoming = Stream::open(stream.random, flow);
                incoming.say(0, &text);
                incoming.close();
                let drafts = incoming.drafts;
                stream.drafts.extend(drafts);
            }
        }
    }
    for (end, text) in waiting.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        stream.say(end, text);
    }
    if stream.random.chance(30) {
        stream.close();
    }
    stream.drafts
}

/// Few ports, so that calls meet, and those of contacts.
fn media_port(random: &mut Random) -> u16 {
    let port = match random.below(12) {
        0 => random.pick(&[5060, 5070]),
        1 => random.pick(&[65_530, 65_532]),
        _ => 4000 + 2 * random.below(5) as u16,
    };
    if random.chance(10) { port + 1 } else { port }
}

/// What the two ends of a signalling connection say.
struct Dialogue<'r> {
    random: &'r mut Random,
    flow: Flow,
    tcp: bool,
    /// Number of the last request.
    cseq: u32,
    /// Where each end wants its media.
    ports: [u16; 2],
    /// Who speaks.
    speaker: usize,
    /// What the other end takes each of them for, where somebody translates its address.
    seen: [Option<Address>; 2],
    turns: Vec<Turn>,
}

impl Dialogue<'_> {
    /// The number of the next request, sometimes that of the last one again.
    fn next_cseq(&mut self) -> u32 {
        let step = u32::from(self.random.chance(88));
        self.cseq = self.cseq.wrapping_add(step);
        self.cseq
    }

    /// REGISTER, perhaps refused at first, its answer, calls that come in, and the end of it.
    fn registration(&mut self) {
        let own = self.flow.ports[0];
        let port = self.random.pick(&[own, own, own, 5060, 5070, self.ports[0]]);
        for _ in 0..=self.random.below(2) {
            let lives = self.random.pick(&["3600", "60", "60", "0", "1", "4294967296", "17179870"]);
            self.register(port, lives);
            if self.random.chance(20) {
                let code = self.random.pick(&[401, 407, 423, 100]);
                self.registered(port, lives, code);
                self.register(port, lives);
            }
            let code = self.random.pick(&[200, 200, 200, 200, 202, 100, 302, 404, 503]);
            if self.random.chance(90) {
                self.registered(port, lives, code);
            }
            if self.random.chance(60) {
                self.incoming(port);
            }
        }
    }

    /// A call to a contact, from the registrar or somebody else.
    fn incoming(&mut self, port: u16) {
        let random = &mut *self.random;
        let family = self.flow.family;
        let from = if random.chance(75) {
            self.flow.addresses[1]
        } else {
            address(family, self.flow.sides[1], 1 + random.below(2) as u8)
        };
        let to_port = if random.chance(92) { port } else { port ^ 1 };
        let from_port = if random.chance(50) { 5060 } else { 1024 + random.below(4) as u16 };
        let flow = Flow {
            addresses: [from, self.flow.addresses[0]],
            sides: [self.flow.sides[1], self.flow.sides[0]],
            ports: [from_port, to_port],
            family,
        };
        let home = std::mem::replace(&mut self.flow, flow);
        let text = if self.random.chance(15) {
            self.register_text(from_port, "60")
        } else {
            self.invite_text(0, "INVITE")
        };
        self.flow = home;
        self.turns.push(Turn::Incoming(flow, text));
    }

    /// INVITE and what follows it, up to the end of the call.
    fn call(&mut self) {
        let caller = usize::from(self.random.chance(25));
        let rings = self.random.below(3);
        let invite = self.invite(caller, "INVITE");
        for _ in 0..rings {
            let code = self.random.pick(&[100, 180, 183, 183]);
            self.answer(1 - caller, code, invite, "INVITE");
            if self.random.chance(20) {
                let prack = self.invite(caller, "PRACK");
                self.answer(1 - caller, 200, prack, "PRACK");
            }
            if self.random.chance(30) {
                self.media();
            }
        }
        let code = self.random.pick(&[200, 200, 200, 200, 299, 302, 404, 486, 500, 603]);
        self.answer(1 - caller, code, invite, "INVITE");
        if self.random.chance(85) {
            self.acknowledge(caller, invite);
        }
        for _ in 0..self.random.below(3) {
            self.media();
        }
        if self.random.chance(40) {
            self.change(caller);
        }
        if self.random.chance(50) {
            let who = self.random.below(2);
            self.bye(who);
        }
        if self.random.chance(20) {
            self.media();
        }
    }

    /// Other media, by INVITE or UPDATE.
    fn change(&mut self, caller: usize) {
        let who = if self.random.chance(70) { caller } else { 1 - caller };
        if self.random.chance(70) {
            self.ports[who] = media_port(self.random);
        }
        let method = self.random.pick(&["INVITE", "INVITE", "UPDATE"]);
        let number = self.invite(who, method);
        let code = self.random.pick(&[200, 200, 200, 100, 488, 491]);
        let number = if self.random.chance(90) { number } else { number.wrapping_sub(1) };
        self.answer(1 - who, code, number, method);
        if method == "INVITE" && self.random.chance(80) {
            self.acknowledge(who, number);
        }
        for _ in 0..self.random.below(3) {
            self.media();
        }
    }

    /// RTP or RTCP to one of the ends, from the other or from elsewhere.
    fn media(&mut self) {
        let to = self.random.below(2);
        let offset = self.random.pick(&[0, 0, 0, 1, 2, 3]);
        let host = if self.random.chance(80) {
            self.flow.addresses[1 - to]
        } else {
            self.other_host(1 - to)
        };
        let target =
            if self.random.chance(85) { self.flow.addresses[to] } else { self.other_host(to) };
        let flow = Flow {
            family: self.flow.family,
            addresses: [host, target],
            ports: [
                self.source_of_media(1 - to, offset),
                (self.ports[to] & !1).saturating_add(offset),
            ],
            sides: [self.flow.sides[1 - to], self.flow.sides[to]],
        };
        self.turns.push(Turn::Media(flow, 0));
        if self.random.chance(40) {
            self.turns.push(Turn::Media(flow, 1));
        }
    }

    /// Where media come from: half of them from where the others are wanted (RFC 4961).
    fn source_of_media(&mut self, end: usize, offset: u16) -> u16 {
        match self.random.chance(50) {
            true => (self.ports[end] & !1).saturating_add(offset),
            false => 6000 + self.random.below(3) as u16,
        }
    }

    fn other_host(&mut self, end: usize) -> Address {
        address(self.flow.family, self.flow.sides[end], 1 + self.random.below(2) as u8)
    }
}
