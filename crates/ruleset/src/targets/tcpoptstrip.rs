//! `TCPOPTSTRIP`: overwrites TCP options with padding. A segment without a whole header is dropped. The
//! end of the list does not end the search, and an option without a length is one byte long.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{L4, rewrite, tcp};

const STRIP: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("strip-options", STRIP)];

const MANUAL: &str = "\
# TCPOPTSTRIP

Overwrites options of the TCP header with padding (NOP), so that the other end does not see them, and goes on
with the next rule. It stands in table mangle and needs `-p tcp`.

`--strip-options LIST`
: Kinds of options, 2 to 255, joined by commas, or their names: `mss`, `wscale`, `sack-permitted`, `sack`,
  `timestamp`, `md5`.

    -t mangle -A PREROUTING -p tcp --syn -j TCPOPTSTRIP --strip-options timestamp

What is stripped from a SYN is not agreed on. Stripping from other segments what was agreed on breaks the
connection: timestamps are checked, and with `wscale` stripped on one way only, windows mean different things
to both ends.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "TCPOPTSTRIP",
    families: BOTH,
    tables: &[TableName::Mangle],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const NOP: u8 = 1;
const NAMES: [(&str, u8); 6] =
    [("wscale", 3), ("mss", 2), ("sack-permitted", 4), ("sack", 5), ("timestamp", 8), ("md5", 19)];

/// An instance: the kinds, ascending.
#[derive(Debug)]
pub struct TcpOptStrip(pub Vec<u8>);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let mut kinds = Vec::new();
    if let Some(given) = arguments.option(STRIP) {
        for (word, span) in arguments.list(given) {
            let named = NAMES.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
            let number = || values::number(word, 255).and_then(|kind| u8::try_from(kind).ok());
            let Some(kind) = named.or_else(number).filter(|kind| *kind > NOP) else {
                let text =
                    format!("`{word}` is no kind of a TCP option (2 to 255) and no name of one");
                arguments.fault(Diagnostic::new(code::BAD_VALUE, span, text));
                return None;
            };
            if kinds.contains(&kind) {
                let text = format!("the option {kind} a second time");
                arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, span, text));
                return None;
            }
            kinds.push(kind);
        }
    }
    arguments.needs_protocol(&[(tcp::PROTOCOL, "tcp")])?;
    kinds.sort_unstable();
    Some(Box::new(TcpOptStrip(kinds)))
}

impl TcpOptStrip {
    /// Appends the kinds, with their names or without.
    fn write(&self, out: &mut String, named: bool) {
        for (at, kind) in self.0.iter().enumerate() {
            out.push_str(if at == 0 { " " } else { "," });
            let name = NAMES.iter().find(|(_, known)| named && known == kind);
            let _ = match name {
                Some((name, _)) => write!(out, "{name}"),
                None => write!(out, "{kind}"),
            };
        }
    }
}

impl Target for TcpOptStrip {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let length = match &traversal.packet.l4 {
            L4::Fragment => return Step::Continue,
            L4::Tcp(header) => usize::from(header.header_length),
            _ => return Step::Verdict(Verdict::Drop),
        };
        let whole = length <= traversal.packet.l4_bytes(traversal.bytes).len();
        if !whole || length < tcp::HEADER_LENGTH_MIN {
            return Step::Verdict(Verdict::Drop);
        }
        let mut at = tcp::HEADER_LENGTH_MIN;
        while at + 1 < length {
            let segment = traversal.packet.l4_bytes(traversal.bytes);
            let Some(&[kind, said]) = segment.get(at..at + 2) else { break };
            let taken = if kind <= NOP || said == 0 { 1 } else { usize::from(said) };
            if at + taken > length {
                break;
            }
            if self.0.contains(&kind) {
                for byte in at..at + taken {
                    rewrite::set_l4_bytes(traversal.packet, traversal.bytes, byte, &[NOP]);
                }
            }
            at += taken;
        }
        traversal.segment_changed();
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::Bytes]))
    }

    fn print(&self, out: &mut String) {
        if !self.0.is_empty() {
            out.push_str(" --strip-options");
            self.write(out, false);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        if !self.0.is_empty() {
            out.push_str(" TCPOPTSTRIP options");
            self.write(out, !numeric);
        }
    }

    fn explain(&self, out: &mut Pieces) {
        if self.0.is_empty() {
            out.push(Piece::Effect(
                "strips no TCP option, as none is named, and goes on with the next rule".into(),
            ));
            return;
        }
        let mut kinds = String::new();
        self.write(&mut kinds, true);
        out.push(Piece::Effect(format!(
            "overwrites the TCP options{} with padding, and goes on with the next rule",
            kinds.replace(',', ", ")
        )));
        out.push(Piece::Caution(
            "Stripped from the SYN, an option is not agreed on; stripped from later segments, what was \
             agreed on breaks."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use crate::verdict::Verdict;
    use alloc::vec::Vec;
    use keepstate_conntrack::Hook;
    use keepstate_packet::checksum::{Verified, fill, verify};
    use keepstate_packet::{Family::V4, Parsed};

    #[test]
    fn texts() {
        check(
            V4,
            "mangle",
            "PREROUTING",
            &[
                (
                    "-p tcp -j TCPOPTSTRIP --strip-options md5,mss,010,0x10",
                    "-p tcp -j TCPOPTSTRIP --strip-options 2,8,16,19",
                    " TCPOPTSTRIP options mss,timestamp,16,md5",
                    " TCPOPTSTRIP options 2,8,16,19",
                ),
                ("-p tcp -j TCPOPTSTRIP", "=", "", "="),
                ("-p tcp -j TCPOPTSTRIP --strip-options 1", "", "", ""),
                ("-p tcp -j TCPOPTSTRIP --strip-options 256", "", "", ""),
                ("-p tcp -j TCPOPTSTRIP --strip-options MSS", "", "", ""),
                ("-p tcp -j TCPOPTSTRIP --strip-options 2,mss", "", "", ""),
                ("-p tcp -j TCPOPTSTRIP --strip-options 2,", "", "", ""),
                ("-j TCPOPTSTRIP --strip-options 2", "", "", ""),
            ],
        );
    }

    fn syn(options: &[u8]) -> Vec<u8> {
        let mut packet = Vec::from([0x45, 0, 0, 40 + options.len() as u8, 0, 7, 0, 0, 64, 6, 0, 0]);
        packet.extend([10, 0, 0, 1, 192, 0, 2, 1]);
        let offset = (20 + options.len() as u8) << 2;
        packet.extend([4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, offset, 2, 9, 9, 0, 0, 0, 0]);
        packet.extend(options);
        let parsed = Parsed::new(&packet).unwrap();
        fill(&parsed, &mut packet);
        packet
    }

    #[test]
    fn options_become_padding() {
        let rule = "-p tcp -j TCPOPTSTRIP --strip-options 2,3";
        for (before, after) in [
            ([2, 4, 5, 0xb4, 3, 3, 7, 0], [1, 1, 1, 1, 1, 1, 1, 0]),
            ([0, 2, 4, 5, 5, 1, 4, 2], [0, 1, 1, 1, 1, 1, 4, 2]),
            // One that has no length, one that is longer than the header, one cut after its kind.
            ([2, 0, 2, 9, 3, 3, 7, 2], [1, 0, 2, 9, 3, 3, 7, 2]),
        ] {
            let sent = send("mangle", Hook::Prerouting, rule, &syn(&before));
            assert_eq!(sent.bytes[40..], after);
            let parsed = Parsed::new(&sent.bytes).unwrap();
            assert_eq!(verify(&parsed, &sent.bytes), Verified::Valid);
        }
        let mut packet = syn(&[]);
        packet[32] = 0x60;
        assert_eq!(send("mangle", Hook::Prerouting, rule, &packet).verdict, Verdict::Drop);
    }
}
