//! A line of a block of packets: a packet or a conversation, and what is expected of it.

use super::super::dialogue::{family_of, steps_of};
use super::super::expect::{self, Beside, Expectation, Expected, Wrong, length};
use super::super::markdown::{Piece, span};
use super::super::{Conversation, Fate, Setup, TIMES_MAX, What};
use crate::conversation::{self, CLIENT_PORT, LIBRARY, Place, Scene, Spot, TEMPLATES, Who};
use crate::trace::notation::words::{Word, words};
use crate::trace::notation::{Reader, Way, is_protocol};
use keepstate_packet::{Family, Parsed};
use keepstate_ruleset::diagnostic::{Diagnostic, code, nearest};
use std::net::{IpAddr, SocketAddr};

/// A conversation by its name, and the port of its server.
type Named = (&'static conversation::Conversation, u16);

/// Names of conversations: those of the library that are not those of protocols, and those that rules are tried
/// with.
fn names() -> impl Iterator<Item = (&'static str, Named)> {
    let library = LIBRARY.iter().map(|one| (one.code, (*one, one.server_port)));
    let templates = TEMPLATES.iter().map(|one| (one.code, (one.conversation, one.server_port)));
    library.filter(|(code, _)| *code != "tcp").chain(templates)
}

/// A line, and what stands around it.
pub(super) struct Reading<'a> {
    pub(super) setup: &'a Setup,
    pub(super) line: Piece<'a>,
}

impl Reading<'_> {
    /// What the line holds, and how often.
    pub(super) fn item(&self, reader: &mut Reader) -> Result<(What, u32), Diagnostic> {
        let all = words(self.line.text)
            .map_err(|(at, text)| self.told(code::TEST_LINE, plain(at, text)))?;
        let arrow = all.iter().position(|word| word.is("->")).unwrap_or(all.len());
        let (packet, expected) = all.split_at(arrow);
        let expected = expected.get(1..).unwrap_or(&[]);
        if let (Some(arrow), true) = (all.get(arrow), expected.is_empty()) {
            return Err(
                self.told(code::EXPECTATION, Wrong::at(arrow, "nothing stands behind the arrow"))
            );
        }
        let times = self.times(packet)?;
        let named = packet.first().and_then(|word| names().find(|(code, _)| word.is(code)));
        match named {
            Some((_, named)) => {
                let mut conversation = self.conversation(named, packet)?;
                self.fate(&mut conversation, expected)?;
                Ok((What::Conversation(Box::new(conversation)), times))
            }
            None => Ok((self.packet(reader, packet, expected)?, times)),
        }
    }

    fn told(&self, code: keepstate_ruleset::diagnostic::Code, wrong: Wrong) -> Diagnostic {
        let at = self.line.at + wrong.at;
        let fault = Diagnostic::new(code, span(at, at + wrong.length), wrong.text);
        match wrong.help {
            Some(help) => fault.help(help),
            None => fault,
        }
    }

    fn wrong(&self, word: &Word, text: impl Into<String>) -> Diagnostic {
        self.told(code::TEST_LINE, Wrong::at(word, text))
    }

    /// `times=N`; 1 without.
    fn times(&self, packet: &[Word]) -> Result<u32, Diagnostic> {
        let Some(word) = packet.iter().find(|word| is_times(word)) else { return Ok(1) };
        match word.number::<u32>() {
            Ok(times) if (1..=TIMES_MAX).contains(&times) => Ok(times),
            _ => Err(self.wrong(word, format!("{}: want 1 to {TIMES_MAX} times", word.text))),
        }
    }

    fn packet(
        &self,
        reader: &mut Reader,
        packet: &[Word],
        expected: &[Word],
    ) -> Result<What, Diagnostic> {
        // The notation does not know repetitions; places stay as they are.
        let mut text = self.line.text.to_owned();
        for word in packet.iter().filter(|word| is_times(word)) {
            text.replace_range(word.at..word.at + length(word), &" ".repeat(length(word)));
        }
        reader.lines(&text).map_err(|fault| self.unreadable(&fault, packet))?;
        let Some(written) = reader.written().last() else {
            return Err(self.told(code::TEST_LINE, plain(0, "want a packet".to_owned())));
        };
        if let Way::Interface(name) = written.way {
            let interfaces = &self.setup.host.interfaces;
            if !interfaces.iter().any(|interface| interface.name == name) {
                let names: Vec<_> = interfaces.iter().map(|one| one.name.to_string()).collect();
                let text = format!("the host has no interface {name}; it has {}", names.join(", "));
                let word = packet.iter().find(|word| word.text == name.as_str());
                let at = word.map_or(0, |word| word.at);
                return Err(self.told(
                    code::TEST_LINE,
                    Wrong { at, length: name.as_str().len(), text, help: None },
                ));
            }
        }
        let parsed = Parsed::new(&written.bytes).ok();
        let is_v6 = written.bytes.first().is_some_and(|first| first >> 4 == 6);
        let family = if is_v6 { Family::V6 } else { Family::V4 };
        let family = parsed.map_or(family, |parsed| parsed.family);
        let expected = self.expected(expected, family)?;
        Ok(What::Packet(Box::new(written.clone()), expected))
    }

    /// A fault of the notation; what is nearly a conversation is said to be one.
    fn unreadable(&self, fault: &crate::trace::notation::Fault, packet: &[Word]) -> Diagnostic {
        let at = self.line.text.char_indices().nth(fault.column.saturating_sub(1));
        let at = at.map_or(self.line.text.len(), |(at, _)| at);
        let word = packet.iter().find(|word| word.at == at).map_or(1, length);
        let told = self.told(
            code::TEST_LINE,
            Wrong { at, length: word, text: fault.text.clone(), help: None },
        );
        // A word in front that is nothing else was to be a conversation.
        let is_interface = |word: &Word| {
            self.setup.host.interfaces.iter().any(|one| one.name.as_str() == word.text)
        };
        let first = packet.first().filter(|word| !is_interface(word) && !is_protocol(&word.text));
        let near = first
            .and_then(|word| Some((word, nearest(&word.text, names().map(|(code, _)| code))?)));
        match near {
            Some((word, near)) => {
                let wrong = Wrong::at(word, format!("{}: no conversation", word.text));
                self.told(code::TEST_LINE, wrong.help(format!("did you mean `{near}`?")))
            }
            None => told,
        }
    }

    fn expected(&self, words: &[Word], family: Family) -> Result<Vec<Expectation>, Diagnostic> {
        let beside =
            Beside { family, setup: self.setup, line: self.line.text, line_at: self.line.at };
        expect::read(words, beside).map_err(|wrong| self.told(code::EXPECTATION, wrong))
    }

    /// `tcp-client 10.0.0.5 > 192.0.2.1:443 router=ADDRESS data=PORT ...`.
    fn conversation(&self, (of, port): Named, words: &[Word]) -> Result<Conversation, Diagnostic> {
        let [first, client, arrow, server, details @ ..] = words else {
            let last = words.last();
            let name = words.first().map_or(of.code, |word| word.text.as_str());
            let text = format!("want {name} CLIENT[:PORT] > SERVER[:PORT]");
            return Err(last.map_or_else(
                || self.told(code::TEST_LINE, plain(0, text.clone())),
                |word| self.wrong(word, text.clone()),
            ));
        };
        if !arrow.is(">") {
            let text = format!("{}: want `>` between client and server", arrow.text);
            return Err(self.wrong(arrow, text));
        }
        let (from, client_port) = self.end(client)?;
        let (to, server_port) = self.end(server)?;
        if from.is_ipv4() != to.is_ipv4() {
            return Err(self.wrong(server, "the two addresses are of different families"));
        }
        if from == to {
            return Err(self.wrong(server, "client and server have the same address"));
        }
        let spot = Spot {
            client: from,
            server: to,
            ports: (Some(client_port.unwrap_or(CLIENT_PORT)), Some(server_port.unwrap_or(port))),
            ..Spot::new(Place::On(Who::Client), family_of(from))
        };
        let Some(scene) = Scene::new(of, &spot) else {
            let text = format!("{} is not spoken over this family", first.text);
            return Err(self.wrong(first, text));
        };
        let mut conversation = Conversation {
            of,
            client: from,
            server: to,
            router: None,
            parties: scene.parties,
            mark: 0,
            fate: None,
            packets: Vec::new(),
        };
        for word in details.iter().filter(|word| !is_times(word)) {
            self.detail(&mut conversation, word)?;
        }
        Ok(conversation)
    }

    fn end(&self, word: &Word) -> Result<(IpAddr, Option<u16>), Diagnostic> {
        if let Ok(both) = word.text.parse::<SocketAddr>() {
            return Ok((both.ip(), Some(both.port())));
        }
        word.text.parse().map(|address| (address, None)).map_err(|_| {
            let wanted = "want ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT";
            self.wrong(word, format!("{}: {wanted}", word.text))
        })
    }

    fn detail(&self, conversation: &mut Conversation, word: &Word) -> Result<(), Diagnostic> {
        let number = |wrong: (usize, String)| {
            let length = word.value().len();
            let wrong = Wrong { at: wrong.0, length, text: wrong.1, help: None };
            self.told(code::TEST_LINE, wrong)
        };
        match word.name() {
            "router" => {
                let address: Option<IpAddr> = word.value().parse().ok();
                let same = |one: &IpAddr| one.is_ipv4() == conversation.client.is_ipv4();
                conversation.router = Some(address.filter(same).ok_or_else(|| {
                    self.wrong(word, format!("{}: want an address of the same family", word.text))
                })?);
            }
            "data" => conversation.parties.data_port = word.number().map_err(number)?,
            "protocol" => conversation.parties.protocol = word.number().map_err(number)?,
            "mark" => conversation.mark = word.number().map_err(number)?,
            "icmp" => {
                let v4 = conversation.client.is_ipv4();
                let kind = crate::prose::icmp::number(v4, word.value());
                conversation.parties.icmp = Some(kind.ok_or_else(|| {
                    self.wrong(word, format!("{}: want icmp=TYPE/CODE or a name", word.text))
                })?);
            }
            "flags" => {
                let value = word.value().to_uppercase();
                let known = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "ALL", "NONE"];
                if value.is_empty() || value.split(',').any(|flag| !known.contains(&flag)) {
                    return Err(self.wrong(word, format!("{}: want flags=SYN,ACK", word.text)));
                }
                conversation.parties.flags = Some(crate::prose::tcp::bits(&value));
            }
            _ => {
                let text = format!("{}: no word for a conversation", word.text);
                let names = ["router=", "data=", "protocol=", "mark=", "icmp=", "flags=", "times="];
                let text = Wrong::at(word, text).help(format!("there are {}", names.join(" ")));
                return Err(self.told(code::TEST_LINE, text));
            }
        }
        Ok(())
    }

    /// `passes`, `breaks at N`, `never begins`, and behind `;` what is expected of single packets.
    fn fate(&self, conversation: &mut Conversation, words: &[Word]) -> Result<(), Diagnostic> {
        let family = family_of(conversation.client);
        let steps = steps_of(conversation).unwrap_or(0);
        let words = split(words);
        for (index, clause) in words.split(|word| word.is(";")).enumerate() {
            let Some(first) = clause.first() else { continue };
            if let Some(number) = first.text.strip_suffix(':').filter(|_| !first.quoted) {
                let number = number.parse().ok().filter(|number| (1..=steps).contains(number));
                let number: usize = number.ok_or_else(|| {
                    let text =
                        format!("{}: want the number of one of its {steps} packets", first.text);
                    self.told(code::EXPECTATION, Wrong::at(first, text))
                })?;
                let all = self.expected(clause.get(1..).unwrap_or(&[]), family)?;
                if all.is_empty() {
                    let text = format!("{}: nothing is expected of it", first.text);
                    return Err(self.told(code::EXPECTATION, Wrong::at(first, text)));
                }
                conversation.packets.extend(all.into_iter().map(|one| (number, one)));
                continue;
            }
            if index > 0 {
                let text = format!("{}: want NUMBER: behind `;`", first.text);
                return Err(self.told(code::EXPECTATION, Wrong::at(first, text)));
            }
            let (not, rest) = match first.is("not") {
                true => (true, clause.get(1..).unwrap_or(&[])),
                false => (false, clause),
            };
            let (fate, used) = self.first_fate(rest, first, steps)?;
            let last = rest.get(used - 1).unwrap_or(first);
            let (start, end) = (first.at, last.at + length(last));
            let expectation = Expectation {
                not,
                what: Expected::Fate,
                text: self.line.text.get(start..end).unwrap_or("").to_owned(),
                span: span(self.line.at + start, self.line.at + end),
            };
            conversation.fate = Some((fate, expectation));
            let number = match fate {
                Fate::Breaks(number) | Fate::HalfOpen(number) => number,
                Fate::Passes => 1,
            };
            let all = self.expected(rest.get(used..).unwrap_or(&[]), family)?;
            conversation.packets.extend(all.into_iter().map(|one| (number, one)));
        }
        Ok(())
    }

    /// The fate, and how many words it takes.
    fn first_fate(
        &self,
        words: &[Word],
        first: &Word,
        steps: usize,
    ) -> Result<(Fate, usize), Diagnostic> {
        let texts: Vec<&str> = words.iter().take(3).map(|word| word.text.as_str()).collect();
        match texts.as_slice() {
            ["passes", ..] => Ok((Fate::Passes, 1)),
            ["never", "begins", ..] => Ok((Fate::Breaks(1), 2)),
            [word @ ("breaks" | "half-open"), "at", number] => {
                let number: Option<usize> = number.parse().ok();
                match number.filter(|number| (1..=steps).contains(number)) {
                    Some(number) if *word == "breaks" => Ok((Fate::Breaks(number), 3)),
                    Some(number) => Ok((Fate::HalfOpen(number), 3)),
                    None => {
                        let word = words.get(2).unwrap_or(first);
                        let text =
                            format!("{}: want the number of one of its {steps} packets", word.text);
                        Err(self.told(code::EXPECTATION, Wrong::at(word, text)))
                    }
                }
            }
            _ => {
                let word = words.first().unwrap_or(first);
                let text = format!("{}: what a conversation comes to stands first", word.text);
                let help = "there are `passes`, `breaks at N`, `half-open at N`, `never begins`, and `N: ...` for its packet N";
                Err(self.told(code::EXPECTATION, Wrong::at(word, text).help(help)))
            }
        }
    }
}

fn is_times(word: &Word) -> bool {
    !word.quoted && word.text.starts_with("times=")
}

/// Words with each `;` as one of its own.
fn split(words: &[Word]) -> Vec<Word> {
    let mut all = Vec::new();
    for word in words {
        match word.text.strip_suffix(';').filter(|rest| !word.quoted && !rest.is_empty()) {
            Some(rest) => {
                let at = word.at + rest.len();
                all.push(Word { text: rest.to_owned(), at: word.at, quoted: false });
                all.push(Word { text: ";".to_owned(), at, quoted: false });
            }
            None => all.push(word.clone()),
        }
    }
    all
}

fn plain(at: usize, text: String) -> Wrong {
    Wrong { at, length: 1, text, help: None }
}
