//! FTP dialogues (RFC 959, RFC 2428): a control connection, transfers announced in either way, and
//! the data connections that follow, some not as announced.

use super::Messages;
use super::stream::Stream;
use crate::fuzz::draft::Draft;
use crate::fuzz::flow::Flow;
use crate::fuzz::random::Random;
use keepstate_packet::{Address, Family};

/// What announces a data connection.
pub(crate) const MESSAGES: Messages =
    Messages { helper: "ftp", kinds: &["PORT", "EPRT", "227", "229"], kind };

fn kind(payload: &[u8]) -> Option<&'static str> {
    let word = payload.get(..4)?.trim_ascii().to_ascii_uppercase();
    MESSAGES.kinds.iter().copied().find(|kind| word.starts_with(kind.as_bytes()))
}

/// A dialogue.
pub(crate) fn conversation(random: &mut Random) -> Vec<Draft> {
    let flow = Flow::new(random, &[21]);
    let mut dialogue = Dialogue(Stream::open(random, flow));
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
        dialogue.0.close();
    }
    dialogue.0.drafts
}

/// The control connection.
struct Dialogue<'r>(Stream<'r>);

impl<'r> core::ops::Deref for Dialogue<'r> {
    type Target = Stream<'r>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
impl core::ops::DerefMut for Dialogue<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Dialogue<'_> {
    /// A line, its end sometimes wrong.
    fn line(&mut self, end: usize, text: &str) {
        let end_of_line = match self.random.below(20) {
            0 => "\n",
            1 => "",
            2 => "\r",
            _ => "\r\n",
        };
        self.say(end, format!("{text}{end_of_line}").as_bytes());
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
        super::spoilt(self.random, text)
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
        self.another(flow);
    }
}
