//! The options of the rule itself.

use super::options::Main;
use super::rule::{Command, Goal, Place, Reader};
use super::words::Word;
use crate::diagnostic::{Diagnostic, code, nearest};
use crate::extension::{Given, names, values};
use crate::model::{HeaderMatch, InterfacePattern, Inverted, Network, Span};
use alloc::{format, vec::Vec};
use keepstate_packet::Family;

/// Most rules that one line with lists of addresses becomes.
pub const EXPANSION_MAX: usize = 4096;

impl Reader<'_> {
    pub(super) fn main(&mut self, main: Main, given: Given) {
        if self.again(main, &given) {
            return;
        }
        self.line.places.push((main, given.span));
        if self.place == Place::Command && self.of_command(main, &given) {
            return;
        }
        let inverted = given.inverted;
        match main {
            Main::Append => self.line.command = Some(Command::Append(value_word(&given))),
            Main::Insert => {
                let number = self.next_number().unwrap_or(1);
                let number = usize::try_from(number).unwrap_or(usize::MAX);
                self.line.command = Some(Command::Insert(value_word(&given), number));
            }
            Main::NewChain => self.line.command = Some(Command::NewChain(value_word(&given))),
            Main::Policy => {
                let policy =
                    Word { text: given.second.clone(), span: given.second_span, quoted: false };
                self.line.command = Some(Command::Policy(value_word(&given), policy));
            }
            Main::Source => self.line.sources = self.networks(&given),
            Main::Destination => self.line.destinations = self.networks(&given),
            Main::Protocol => self.protocol(&given),
            Main::InInterface => self.line.header.in_interface = self.interface(&given),
            Main::OutInterface => self.line.header.out_interface = self.interface(&given),
            Main::Fragment => self.line.header.fragment = Some(Inverted { inverted, value: () }),
            Main::Jump => self.load_target(value_word(&given)),
            Main::Goto => {
                self.line.goal = Some(Goal::Name { word: value_word(&given), goto: true });
            }
            Main::Match => {
                self.load_match(&given.value, given.value_span);
            }
            Main::SetCounters => self.set_counters(&given),
            Main::Table => {
                let text = "`-t` cannot stand in a file";
                let fault = Diagnostic::new(code::TABLE_OPTION, given.span, text);
                self.report(fault.help("the table is that of the `*NAME` line above"));
            }
            Main::Ipv4 | Main::Ipv6 | Main::Verbose | Main::Modprobe => {}
            _ => {
                let why = if main.is_command() { ELSEWHERE } else { "cannot stand in a file" };
                let text = format!("`--{}` {why}", given.option.name);
                self.fault(code::NO_COMMAND, given.span, text);
                self.next_number();
            }
        }
    }

    /// Reports an option that was there before and can be only once.
    fn again(&mut self, main: Main, given: &Given) -> bool {
        let alone = !matches!(
            main,
            Main::Match
                | Main::Table
                | Main::Numeric
                | Main::Verbose
                | Main::Exact
                | Main::Wait
                | Main::WaitInterval
                | Main::LineNumbers
                | Main::Modprobe
                | Main::Ipv4
                | Main::Ipv6
        );
        let listing = |one: Main| matches!(one, Main::List | Main::ListRules);
        let same = |one: Main| match main {
            Main::Jump | Main::Goto => matches!(one, Main::Jump | Main::Goto),
            Main::Zero if listing(one) => false,
            _ if listing(main) && one == Main::Zero => false,
            _ if main.is_command() => one.is_command(),
            _ => one == main,
        };
        let first = self.line.places.iter().find(|(one, _)| same(*one)).copied();
        if let Some((first, span)) = first.filter(|_| alone) {
            if main.is_command() {
                self.second_command(given, first, span);
            } else {
                self.twice(given, span);
            }
            return true;
        }
        false
    }

    fn networks(&mut self, given: &Given) -> Vec<Inverted<Network>> {
        let inverted = given.inverted;
        let mut networks = Vec::new();
        for text in given.value.split(',') {
            match values::network(text, self.family) {
                Some(value) => networks.push(Inverted { inverted, value }),
                None => {
                    let (message, span) = (format!("`{text}` is not an address"), given.value_span);
                    let help = address_help(text, self.family);
                    let says = match text.split_once('/') {
                        Some((address, mask))
                            if values::network(address, self.family).is_some() =>
                        {
                            format!("invalid mask `{mask}' specified")
                        }
                        Some((address, _)) => format!("host/network `{address}' not found"),
                        None => format!("host/network `{text}' not found"),
                    };
                    let fault = Diagnostic::new(code::BAD_ADDRESS, span, message);
                    self.report(fault.help(help).says(says));
                }
            }
        }
        let other = match given.option.id {
            id if id == Main::Source as u8 => &self.line.destinations,
            _ => &self.line.sources,
        };
        let list = networks.len() > 1 || other.len() > 1;
        if list && (inverted || other.iter().any(|network| network.inverted)) {
            let text = "a list of addresses cannot stand in a rule with `! -s` or `! -d`";
            let fault = Diagnostic::new(code::NOT_INVERTIBLE, given.value_span, text);
            let says = "! not allowed with multiple source or destination IP addresses";
            self.report(
                fault.says(says).help("a user chain with one rule an address, each with -j RETURN"),
            );
        }
        if networks.len() > EXPANSION_MAX {
            let text = format!("{} addresses in a list; at most {EXPANSION_MAX}", networks.len());
            self.fault(code::LIMIT_EXCEEDED, given.value_span, text);
            networks.truncate(1);
        }
        networks
    }

    fn protocol(&mut self, given: &Given) {
        let Some(value) = values::protocol(&given.value) else {
            let text = format!("no protocol is called `{}`", given.value);
            let fault = Diagnostic::new(code::UNKNOWN_PROTOCOL, given.value_span, text);
            let fault = fault.says(format!("unknown protocol \"{}\" specified", given.value));
            let near = nearest(&given.value, names::protocol_names());
            return self.report(match near {
                Some(near) => fault.help(format!("did you mean `-p {near}`?")),
                None => fault,
            });
        };
        if value == 0 {
            if given.inverted {
                let text = "`! -p all` would never match";
                let fault = Diagnostic::new(code::UNKNOWN_PROTOCOL, given.value_span, text);
                self.report(fault.says("rule would never match protocol"));
            }
            return;
        }
        self.line.header.protocol = Some(Inverted { inverted: given.inverted, value });
    }

    fn interface(&mut self, given: &Given) -> Option<Inverted<InterfacePattern>> {
        let Some(value) = interface_pattern(&given.value) else {
            let text = format!("no interface can be called `{}`", given.value);
            let fault = Diagnostic::new(code::BAD_INTERFACE, given.value_span, text);
            self.report(fault.says(match given.value.as_str() {
                "" => "Empty interface is likely to be undesired".into(),
                name => {
                    format!("interface name `{name}' must be shorter than IFNAMSIZ (15)")
                }
            }));
            return None;
        };
        let everything = value.length == 0 && !given.inverted;
        (!everything).then_some(Inverted { inverted: given.inverted, value })
    }

    fn set_counters(&mut self, given: &Given) {
        let packets_bytes = match given.value.split_once(',') {
            Some((packets, bytes)) => packets.parse().ok().zip(bytes.parse().ok()),
            None => {
                let bytes = self.next_word().and_then(|word| word.text.parse().ok());
                given.value.parse().ok().zip(bytes)
            }
        };
        if packets_bytes.is_none() {
            let text = "`--set-counters` takes PACKETS BYTES";
            let fault = Diagnostic::new(code::BAD_COUNTERS, given.span, text);
            self.report(fault.says("-c requires packet and byte counter"));
        }
        self.line.counters = packets_bytes;
    }
}

/// Behind a command that iptables-save never prints. iptables-restore carries them out.
pub(super) const ELSEWHERE: &str = "is not among the commands that iptables-save prints";

/// What is usually wrong with a text that is no address.
fn address_help(text: &str, family: Family) -> &'static str {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    let ip: Option<core::net::IpAddr> = address.parse().ok();
    let digits = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'/');
    match (ip, family) {
        (Some(ip), _) if ip.is_ipv4() != (family == Family::V4) => {
            "the file is for the other family: iptables-save for IPv4, ip6tables-save for IPv6"
        }
        (Some(_), Family::V4) => "the prefix length is 0 to 32, or a mask such as 255.255.255.0",
        (Some(_), Family::V6) => "the prefix length is 0 to 128",
        (None, Family::V4) if text.bytes().all(digits) => {
            "an IPv4 address is four numbers from 0 to 255"
        }
        _ => "write the address itself: host names are not looked up",
    }
}

/// An interface name or, with a `+` at its end, the beginning of one.
#[must_use]
pub fn interface_pattern(text: &str) -> Option<InterfacePattern> {
    if text.is_empty() || text.len() > 15 || text.contains(['"', ' ', '\t', '\0']) {
        return None;
    }
    let beginning = text.strip_suffix('+');
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(beginning.unwrap_or(text).bytes()) {
        *to = from;
    }
    let length = beginning.map_or(16, str::len);
    Some(InterfacePattern { name, length: u8::try_from(length).ok()? })
}

pub(super) fn value_word(given: &Given) -> Word {
    let span: Span = given.value_span;
    Word { text: given.value.clone(), span, quoted: false }
}

/// Without the networks that every address lies in: they are not printed either.
pub(super) fn simplified(header: HeaderMatch) -> HeaderMatch {
    let all = |network: Option<Inverted<Network>>| {
        network.filter(|one| one.inverted || one.value.mask.0 != [0; 16])
    };
    HeaderMatch { source: all(header.source), destination: all(header.destination), ..header }
}
