//! `tcpmss`: the maximum segment size that the options of a TCP header announce (RFC 9293, 3.7.1).
//!
//! It is not asked whether the segment is a SYN. Without the option `--mss` does not match and
//! `! --mss` does. A header that is cut, or that claims less than 20 bytes or more than there are, is
//! dropped; unlike with `tcp`, a later fragment is taken for a header, too.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either, range};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Family, L4};

const OPTIONS: &[OptionSpec] = &[valued("mss", 0).inverted()];

const MANUAL: &str = "\
Asks for the maximum segment size (MSS) that a TCP segment announces in its options. Only segments that
open a connection (SYN and SYN ACK) announce one.

- `[!] --mss VALUE[:VALUE]`: this size, or one of this range; an end left out is 0 or 65535.

The option is needed, and the rule needs `-p tcp`.

    -p tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 1453:65535 -j TCPMSS --set-mss 1452

Segments without the option never match `--mss` and always match `! --mss`, so an inverted rule should
ask for `--syn`, too. A TCP header that is cut off or contradicts itself is dropped.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "tcpmss",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Bytes of a TCP header without options.
const HEADER_LENGTH: usize = 20;
/// Kind and length of the option.
const MSS: [u8; 2] = [2, 4];

/// An instance.
#[derive(Debug)]
pub struct TcpMss {
    inverted: bool,
    low: u16,
    high: u16,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let protocol = arguments.needs_protocol(&[(6, "tcp")]);
    let given = arguments.required(0)?;
    let (low, high) = arguments.range(given, u16::MAX.into())?;
    protocol?;
    let (low, high) = (u16::try_from(low).ok()?, u16::try_from(high).ok()?);
    Some(Box::new(TcpMss { inverted: given.inverted, low, high }))
}

/// What a match takes for the upper-layer header that does not ask whether there is one. In a later
/// fragment of IPv6 that is the IPv6 header itself, of IPv4 what the fragment carries.
pub(super) fn unasked_header<'b>(traversal: &'b Traversal<'_>) -> &'b [u8] {
    let packet = &*traversal.packet;
    match (packet.family, &packet.l4) {
        (Family::V6, L4::Fragment) => packet.packet(traversal.bytes),
        _ => packet.l4_bytes(traversal.bytes),
    }
}

/// The size that options announce: of the first option of this kind with the right length.
fn announced(mut options: &[u8]) -> Option<u16> {
    while let Some((kind, after)) = options.split_first() {
        if let [a, b, high, low, ..] = options
            && [*a, *b] == MSS
        {
            return Some(u16::from_be_bytes([*high, *low]));
        }
        // No-operation and end-of-list are one byte each; a length of 0 counts as 1.
        let step = if *kind < 2 { 1 } else { after.first().map_or(1, |length| (*length).max(1)) };
        options = options.get(usize::from(step)..).unwrap_or(&[]);
    }
    None
}

impl Match for TcpMss {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let header = unasked_header(traversal);
        let Some(fixed) = header.first_chunk::<HEADER_LENGTH>() else { return Answer::Hotdrop };
        let length = usize::from(fixed[12] >> 4) * 4;
        let Some(options) = header.get(HEADER_LENGTH..length) else { return Answer::Hotdrop };
        let fits = announced(options).is_some_and(|mss| self.low <= mss && mss <= self.high);
        (fits != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "mss");
        values::print_range(out, self.low, self.high);
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " tcpmss match {}{}", either(self.inverted, "", "!"), self.low);
        if self.low != self.high {
            let _ = write!(out, ":{}", self.high);
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let sizes = range(self.low, self.high);
        out.push(Piece::Condition(match self.inverted {
            false => format!("it announces a maximum segment size (MSS) of {sizes} bytes"),
            true => format!(
                "it announces no maximum segment size (MSS), or one that is not {sizes} bytes"
            ),
        }));
        if self.inverted {
            out.push(Piece::Caution(
                "Segments within a connection announce none, so they all match; with `--syn` beside \
                 it only those that open one would."
                    .into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, ipv6, later_fragment};
    use crate::verdict::Answer;
    use alloc::{vec, vec::Vec};
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    (
                        "-p tcp -m tcpmss --mss 0x42",
                        "-p tcp -m tcpmss --mss 66",
                        " tcpmss match 66",
                        "=",
                    ),
                    ("-p tcp -m tcpmss ! --mss 42:50", "=", " tcpmss match !42:50", "="),
                    (
                        "-p tcp -m tcpmss --mss :9",
                        "-p tcp -m tcpmss --mss 0:9",
                        " tcpmss match 0:9",
                        "=",
                    ),
                    (
                        "-p tcp -m tcpmss --mss :",
                        "-p tcp -m tcpmss --mss 0:65535",
                        " tcpmss match 0:65535",
                        "=",
                    ),
                    ("-p tcp -m tcpmss --mss 65536", "", "", ""),
                    ("-p tcp -m tcpmss --mss 9:3", "", "", ""),
                    ("-p tcp -m tcpmss", "", "", ""),
                    ("-m tcpmss --mss 42", "", "", ""),
                    ("! -p tcp -m tcpmss --mss 42", "", "", ""),
                ],
            );
        }
    }

    fn segment(words: u8, options: &[u8]) -> Vec<u8> {
        let mut header = vec![0; 20];
        header[12] = words << 4;
        header.extend(options);
        header
    }

    #[test]
    fn the_first_whole_option_counts() {
        let rule = "-p tcp -m tcpmss --mss 1000:1460";
        let not = "-p tcp -m tcpmss ! --mss 1000:1460";
        for (words, options, fits) in [
            (6, &[2, 4, 5, 180][..], true),
            (7, &[1, 1, 2, 4, 5, 180, 0, 0], true),
            // Not even the end of the list ends it.
            (7, &[0, 8, 3, 2, 4, 5, 180, 0], false),
            (7, &[0, 2, 4, 5, 180, 0, 0, 0], true),
            (7, &[2, 3, 5, 2, 4, 5, 180, 0], true),
            (6, &[2, 4, 5, 181], false),
            (6, &[1, 2, 4, 5], false),
            (7, &[2, 4, 0, 1, 2, 4, 5, 180], false),
            (5, &[], false),
        ] {
            for packet in [ipv4(6, &segment(words, options)), ipv6(6, &segment(words, options))] {
                assert_eq!(answer(rule, &packet), Answer::from(fits), "{options:?}");
                assert_eq!(answer(not, &packet), Answer::from(!fits), "{options:?}");
            }
        }
        for broken in [segment(4, &[]), segment(6, &[2, 4, 5]), vec![0; 19]] {
            assert_eq!(answer(rule, &ipv4(6, &broken)), Answer::Hotdrop);
            assert_eq!(answer(not, &later_fragment(6, &broken)), Answer::Hotdrop);
        }
        let data = segment(6, &[2, 4, 5, 180]);
        assert_eq!(answer(rule, &later_fragment(6, &data)), Answer::Yes);
    }
}
