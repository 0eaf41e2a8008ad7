//! `ipv6header`: which extension headers an IPv6 packet has.
//!
//! Without `--soft` it has just those named, and `protocol` stands for anything behind them, so that it has
//! to be named for whatever carries data. Behind a later fragment's header its data are read on as if
//! they were headers; a chain that breaks off within two bytes of a header matches nothing at all.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, flag, names, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Family, ipv6};

const HEADER: u8 = 0;
const SOFT: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("header", HEADER).inverted(), flag("soft", SOFT)];

const MANUAL: &str = "\
Asks which extension headers an IPv6 packet has.

- `[!] --header HEADER[,HEADER...]`: it has just these: `hop` or `hop-by-hop` (0), `dst` or `ipv6-opts` (60),
  `route` or `ipv6-route` (43), `frag` or `ipv6-frag` (44), `auth` or `ah` (51), `esp` (50), `none` or
  `ipv6-nonxt` (59), `prot` or `protocol` (255), which is anything that is no extension header.
- `--soft`: it has at least these; behind `!`, none of them.

Packets with hop-by-hop options, whatever else they have:

    -m ipv6header --header hop --soft -j DROP

Mind that without `--soft` a packet with hop-by-hop options and TCP has `hop,prot`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ipv6header",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const ESP: u8 = 50;
const NONE_BIT: u8 = 0x02;
const PROTOCOL_BIT: u8 = 0x01;
/// Bit, number (255 for the rest), long and short name, in the order in which they are printed.
const HEADERS: [(u8, u8, &str, &str); 8] = [
    (0x80, ipv6::HOP_BY_HOP, "hop-by-hop", "hop"),
    (0x40, ipv6::DESTINATION_OPTIONS, "ipv6-opts", "dst"),
    (0x20, ipv6::ROUTING, "ipv6-route", "route"),
    (0x10, ipv6::FRAGMENT, "ipv6-frag", "frag"),
    (0x08, ipv6::AUTHENTICATION, "ah", "auth"),
    (0x04, ESP, "esp", "esp"),
    (NONE_BIT, ipv6::NO_NEXT_HEADER, "ipv6-nonxt", "none"),
    (PROTOCOL_BIT, 255, "protocol", "prot"),
];

/// An instance.
#[derive(Debug)]
pub struct Ipv6Header {
    headers: u8,
    inverted: bool,
    soft: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(HEADER)?;
    let mut headers = 0;
    for (word, span) in arguments.list(given).into_iter().filter(|(word, _)| !word.is_empty()) {
        let number = names::protocol_number(word);
        let plain = word.bytes().all(|b| b.is_ascii_digit());
        let number = number.or_else(|| word.parse().ok().filter(|_| plain));
        let found = HEADERS.iter().find(|(_, value, long, short)| {
            *long == word || *short == word || number == Some(*value)
        });
        let Some((bit, ..)) = found else {
            let all = HEADERS.iter().flat_map(|(_, _, long, short)| [*short, *long]);
            arguments.unknown_word(word, span, "an extension header", all);
            return None;
        };
        headers |= bit;
    }
    if headers == 0 {
        let text = "`--header` needs the name of a header";
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
        return None;
    }
    let soft = arguments.option(SOFT).is_some();
    Some(Box::new(Ipv6Header { headers, inverted: given.inverted, soft }))
}

/// The headers of a packet, as bits; `None` for a chain that breaks off.
fn headers(packet: &[u8]) -> Option<u8> {
    let [.., next, _] = packet.first_chunk::<8>()?;
    let (mut next, mut at, mut found) = (*next, ipv6::HEADER_LENGTH, 0);
    loop {
        let known = HEADERS.iter().find(|(_, number, ..)| *number == next && *number != 255);
        let Some((bit, ..)) = known else { return Some(found | PROTOCOL_BIT) };
        if next == ipv6::NO_NEXT_HEADER {
            return Some(found | NONE_BIT);
        }
        let [after, units] = *packet.get(at..)?.first_chunk::<2>()?;
        found |= bit;
        let units = usize::from(units);
        at += match next {
            ESP => return Some(found),
            ipv6::FRAGMENT => 8,
            ipv6::AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        next = after;
        if at > packet.len() {
            let behind = ![ESP, ipv6::NO_NEXT_HEADER].contains(&next);
            return Some(if behind { found | PROTOCOL_BIT } else { found });
        }
    }
}

impl Ipv6Header {
    fn written(&self) -> String {
        let named = HEADERS.iter().filter(|(bit, ..)| self.headers & bit != 0);
        named.map(|(_, _, long, _)| *long).collect::<Vec<_>>().join(",")
    }
}

impl Match for Ipv6Header {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let found = headers(traversal.packet.packet(traversal.bytes));
        let Some(found) = found else { return Answer::No };
        let both = found & self.headers;
        match (self.soft, self.inverted) {
            (true, false) => both == self.headers,
            (true, true) => both == 0,
            (false, inverted) => (found == self.headers) != inverted,
        }
        .into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "header");
        let _ = write!(out, " {}", self.written());
        if self.soft {
            out.push_str(" --soft");
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let not = either(self.inverted, "", "!");
        let _ = if numeric {
            write!(out, " ipv6header flags:{not}{:#04X}", self.headers)
        } else {
            write!(out, " ipv6header flags:{not}{}", self.written())
        };
        if self.soft {
            out.push_str(" soft");
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let named = HEADERS.iter().filter(|(bit, ..)| self.headers & bit != 0);
        let words = named.map(|(_, number, long, _)| match number {
            255 => String::from("an upper-layer protocol"),
            number => format!("{long} ({number})"),
        });
        let words = words.collect::<Vec<_>>().join(", ");
        out.push(Piece::Condition(match (self.soft, self.inverted) {
            (true, false) => format!("among its headers are {words}"),
            (true, true) => format!("among its headers is none of {words}"),
            (false, false) => format!("its headers behind the IPv6 header are just {words}"),
            (false, true) => format!("its headers behind the IPv6 header are others than {words}"),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};

    #[test]
    fn texts() {
        let all = "hop-by-hop,ipv6-opts,ipv6-route,ipv6-frag,ah,esp,ipv6-nonxt,protocol";
        let save = format!("-m ipv6header --header {all}");
        assert_eq!(
            crate::matches::testing::saved(
                Family::V6,
                "-m ipv6header --header hop,dst,route,frag,auth,esp,none,prot"
            ),
            Ok(save)
        );
        check(
            Family::V6,
            &[
                (
                    "-m ipv6header --header hop-by-hop --soft",
                    "=",
                    " ipv6header flags:hop-by-hop soft",
                    " ipv6header flags:0x80 soft",
                ),
                (
                    "-m ipv6header ! --header frag,,0",
                    "-m ipv6header ! --header hop-by-hop,ipv6-frag",
                    " ipv6header flags:!hop-by-hop,ipv6-frag",
                    " ipv6header flags:!0x90",
                ),
                (
                    "-m ipv6header --header 255",
                    "-m ipv6header --header protocol",
                    " ipv6header flags:protocol",
                    " ipv6header flags:0x01",
                ),
                ("-m ipv6header --header tcp", "", "", ""),
                ("-m ipv6header --header HOP", "", "", ""),
                ("-m ipv6header --header 0x2b", "", "", ""),
                ("-m ipv6header --header \"\"", "", "", ""),
                ("-m ipv6header --soft", "", "", ""),
            ],
        );
    }

    /// As Linux answered.
    #[test]
    fn packets() {
        let udp = ipv6(17, &[0; 8]);
        let hop = ipv6(0, &[17, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        let later = ipv6(44, &[43, 0, 0, 8, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 0]);
        let (yes, no) = (Answer::Yes, Answer::No);
        for (rule, wanted) in [
            ("--header hop", [no, no, no]),
            ("--header hop,prot", [no, yes, no]),
            ("--header hop --soft", [no, yes, no]),
            ("! --header hop --soft", [yes, no, yes]),
            ("! --header hop", [yes, yes, yes]),
            ("--header prot", [yes, no, no]),
            ("--header frag,route,prot", [no, no, yes]),
            ("! --header frag,hop --soft", [yes, no, no]),
        ] {
            let rule = format!("-m ipv6header {rule}");
            let found = [&udp, &hop, &later].map(|packet| answer(&rule, packet));
            assert_eq!(found, wanted, "{rule}");
        }
        let one = |packet: &[u8]| headers(packet);
        assert_eq!(one(&ipv6(50, &[0, 1, 0, 2])), Some(0x04));
        assert_eq!(one(&ipv6(59, &[])), Some(0x02));
        assert_eq!(one(&ipv6(0, &[59, 0, 1, 4, 0, 0, 0, 0])), Some(0x82));
        assert_eq!(one(&ipv6(44, &[17, 0, 0, 1])), Some(0x11));
        assert_eq!(one(&ipv6(60, &[17, 2, 1, 4, 0, 0, 0, 0])), Some(0x41));
        assert_eq!(one(&ipv6(60, &[17])), None);
    }
}
