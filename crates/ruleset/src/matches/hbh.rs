//! `hbh`: the hop-by-hop options of an IPv6 packet (RFC 8200, section 4.3), and what `dst` shares with it.
//!
//! The options asked for are compared with those there are, in order and from the first one on, padding
//! included; what follows does not matter. A header that claims more than there is is dropped.

use super::ah::extension_header;
use super::frag::inverted32;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::{Inverted, Span};
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Family, ipv6};

const LENGTH: u8 = 0;
const OPTS: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("hbh-len", LENGTH).inverted(), valued("hbh-opts", OPTS)];

const MANUAL: &str = "\
Asks for the hop-by-hop options of an IPv6 packet, which every router on the way may look at.

- `[!] --hbh-len LENGTH`: the whole header has this many bytes.
- `--hbh-opts TYPE[:LENGTH][,TYPE[:LENGTH]...]`: these options, up to 16, in this order and from the
  first one on; each with this many bytes of data, or with any number. Padding is an option too: 0 is one
  byte, 1 is any number.

Without options every packet with the header matches. Router alert (RFC 2711) at the beginning:

    -m hbh --hbh-opts 5:2 -j ACCEPT
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "hbh",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most options that a rule can name.
const OPTIONS_MAX: usize = 16;
/// A length that stands for any.
const ANY: u8 = u8::MAX;
const PAD1: u8 = 0;

/// Which of the two headers with options, and how its match is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) protocol: u8,
    pub(super) says: &'static str,
}

const HOP_BY_HOP: Kind =
    Kind { name: "hbh", protocol: ipv6::HOP_BY_HOP, says: "hop-by-hop options" };

/// An instance, of `dst` as well.
#[derive(Debug)]
pub struct Options {
    kind: Kind,
    /// Bytes of the whole header.
    length: Option<Inverted<u32>>,
    /// Types and lengths, [`ANY`] for any.
    options: Vec<(u8, u8)>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    parse_kind(arguments, HOP_BY_HOP)
}

/// Reads the options, whose identifiers are 0 for the length and 1 for the list.
pub(super) fn parse_kind(arguments: &mut Arguments<'_>, kind: Kind) -> Option<Box<dyn Match>> {
    let length = inverted32(arguments, LENGTH)?;
    let mut options = Vec::new();
    if let Some(given) = arguments.option(OPTS) {
        for (word, span) in arguments.list(given) {
            options.push(option(arguments, word, span)?);
        }
        if options.len() > OPTIONS_MAX {
            arguments.bad_value(given, &format!("a list of at most {OPTIONS_MAX} options"));
            return None;
        }
    }
    Some(Box::new(Options { kind, length, options }))
}

/// `TYPE[:LENGTH]`; of each number only the lowest eight bits count.
fn option(arguments: &mut Arguments<'_>, word: &str, span: Span) -> Option<(u8, u8)> {
    let octet = |text: &str| values::number(text, u64::MAX).map(|number| number as u8);
    let found = match word.split_once(':') {
        None => octet(word).map(|kind| (kind, ANY)),
        Some((kind, length)) => octet(kind).zip(octet(length)),
    };
    if found.is_none() {
        let text = format!("`{word}` is not an option (TYPE or TYPE:LENGTH)");
        arguments.fault(crate::diagnostic::Diagnostic::new(
            crate::diagnostic::code::BAD_VALUE,
            span,
            text,
        ));
    }
    found
}

impl Options {
    /// Whether the options of a header, from the first one on, are those asked for. `rest`: the packet
    /// from there on; `left`: bytes of it that belong to the header.
    fn fit(&self, mut rest: &[u8], mut left: usize) -> bool {
        let mut wanted = self.options.iter();
        while let Some((kind, length)) = wanted.next() {
            let Some(found) = rest.first().filter(|_| left > 0) else { return false };
            if found != kind {
                return false;
            }
            let size = if *found == PAD1 {
                1
            } else {
                let Some(data) = rest.get(1).filter(|_| left > 1) else { return false };
                if *length != ANY && data != length {
                    return false;
                }
                usize::from(*data) + 2
            };
            let (Some(after), Some(over)) = (rest.get(size..), left.checked_sub(size)) else {
                // What reaches beyond the header is taken for the last one only.
                return wanted.as_slice().is_empty();
            };
            (rest, left) = (after, over);
        }
        true
    }

    fn written(&self) -> String {
        let mut out = String::new();
        for (at, (kind, length)) in self.options.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = match *length {
                ANY => write!(out, "{comma}{kind}"),
                length => write!(out, "{comma}{kind}:{length}"),
            };
        }
        out
    }
}

impl Match for Options {
    fn name(&self) -> &'static str {
        self.kind.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let (packet, bytes) = (&*traversal.packet, &*traversal.bytes);
        let at = match extension_header(packet, bytes, self.kind.protocol) {
            Ok(Some(at)) => at,
            Ok(None) => return Answer::No,
            Err(()) => return Answer::Hotdrop,
        };
        let rest = packet.packet(bytes).get(at..).unwrap_or(&[]);
        let Some((head, options)) = rest.split_at_checked(2) else { return Answer::Hotdrop };
        let length = (head.last().map_or(0, |units| usize::from(*units)) + 1) * 8;
        if rest.len() < length {
            return Answer::Hotdrop;
        }
        let length_fits =
            self.length.is_none_or(|wanted| (wanted.value as usize == length) != wanted.inverted);
        (length_fits && self.fit(options, length - 2)).into()
    }

    fn print(&self, out: &mut String) {
        let name = self.kind.name;
        if let Some(length) = self.length {
            values::print_option(out, length.inverted, name);
            let _ = write!(out, "-len {}", length.value);
        }
        if !self.options.is_empty() {
            let _ = write!(out, " --{name}-opts {}", self.written());
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " {}", self.kind.name);
        if let Some(length) = self.length {
            let _ = write!(out, " length:{}{}", either(length.inverted, "", "!"), length.value);
        }
        if !self.options.is_empty() {
            let _ = write!(out, " opts {}", self.written());
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Condition(format!("it has {}", self.kind.says)));
        if let Some(length) = self.length {
            let verb = either(length.inverted, "are", "are not");
            let text = format!("they {verb} {} bytes long, header included", length.value);
            out.push(Piece::Condition(text));
        }
        if !self.options.is_empty() {
            out.push(Piece::Condition(format!(
                "they begin with those of type {} (a length behind a colon), in this order",
                self.written()
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};

    #[test]
    fn texts() {
        let long = "-m hbh ! --hbh-len 42 --hbh-opts 1:2,23:42,4:6,8:10,42,23,4:5";
        let most = "-m hbh --hbh-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";
        check(
            Family::V6,
            &[
                ("-m hbh", "=", " hbh", "="),
                ("-m hbh --hbh-len 0", "=", " hbh length:0", "="),
                (long, "=", " hbh length:!42 opts 1:2,23:42,4:6,8:10,42,23,4:5", "="),
                ("-m hbh --hbh-opts 0x10:256", "-m hbh --hbh-opts 16:0", " hbh opts 16:0", "="),
                ("-m hbh --hbh-opts 255:255", "-m hbh --hbh-opts 255", " hbh opts 255", "="),
                (most, "=", " hbh opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "="),
                ("-m hbh --hbh-opts 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "", "", ""),
                ("-m hbh --hbh-opts 1:", "", "", ""),
                ("-m hbh --hbh-opts 1,,2", "", "", ""),
                ("-m hbh --hbh-opts 5x", "", "", ""),
                ("-m hbh ! --hbh-opts 1", "", "", ""),
                ("-m hbh --hbh-len 5:6", "", "", ""),
            ],
        );
    }

    /// As Linux answered.
    #[test]
    fn packets() {
        let alert = [17, 0, 5, 2, 0, 0, 1, 0];
        let padded = [17, 0, 5, 2, 0, 0, 0, 0];
        let pads = [17, 0, 0, 0, 0, 0, 0, 0];
        let (yes, no) = (Answer::Yes, Answer::No);
        for (rule, wanted) in [
            ("-m hbh", [yes, yes, yes]),
            ("-m hbh --hbh-len 8", [yes, yes, yes]),
            ("-m hbh ! --hbh-len 8", [no, no, no]),
            ("-m hbh --hbh-opts 5", [yes, yes, no]),
            ("-m hbh --hbh-opts 5:3", [no, no, no]),
            ("-m hbh --hbh-opts 5,1", [yes, no, no]),
            ("-m hbh --hbh-opts 5:2,0,0", [no, yes, no]),
            ("-m hbh --hbh-opts 0,0,0,0,0,0", [no, no, yes]),
            ("-m hbh --hbh-opts 0,0,0,0,0,0,0", [no, no, no]),
        ] {
            let found = [alert, padded, pads].map(|header| answer(rule, &ipv6(0, &header)));
            assert_eq!(found, wanted, "{rule}");
        }
        assert_eq!(answer("-m hbh", &ipv6(17, &[0; 8])), no);
    }
}
