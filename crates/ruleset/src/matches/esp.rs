//! `esp`: the security parameters index of an ESP header (RFC 4303). Later fragments have none and
//! never match; a first one that is cut before its sequence number is dropped.

use crate::evaluate::{State, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces, either, range};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const OPTIONS: &[OptionSpec] = &[valued("espspi", 0).inverted()];

const MANUAL: &str = "\
Asks for the security parameters index (SPI) of a packet of IPsec's ESP, the number that names the
security association at its receiver.

- `[!] --espspi SPI[:SPI]`: this SPI, or one of this range. An end left out is 0 or 4294967295.

The rule needs `-p esp`. Without the option every packet with a whole ESP header matches.

    -p esp -m esp --espspi 0x100:0x1ff -j ACCEPT

The SPI is not secret and proves nothing by itself: whether the packet is authentic turns out when it is
decrypted (`-m policy`). ESP in UDP (port 4500) is UDP and not met by this match.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "esp",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Bytes of the header that must be there: SPI and sequence number.
const HEADER_LENGTH: usize = 8;

/// An instance.
#[derive(Debug)]
pub struct Esp(Spis);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(50, "esp")])?;
    Some(Box::new(Esp(Spis::parse(arguments, 0, Spis::ALL)?)))
}

/// A range of security parameters indexes, perhaps behind `!`; shared with `ah` and `ipcomp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spis {
    inverted: bool,
    low: u32,
    high: u32,
}

impl Spis {
    /// Every one.
    pub(super) const ALL: Self = Self { inverted: false, low: 0, high: u32::MAX };
    /// 0 alone.
    pub(super) const NONE: Self = Self { inverted: false, low: 0, high: 0 };

    /// The option with this identifier, or else what is given.
    pub(super) fn parse(arguments: &mut Arguments<'_>, id: u8, absent: Self) -> Option<Self> {
        let Some(given) = arguments.option(id) else { return Some(absent) };
        let (low, high) = arguments.range(given, u32::MAX.into())?;
        let (low, high) = (u32::try_from(low).ok()?, u32::try_from(high).ok()?);
        Some(Self { inverted: given.inverted, low, high })
    }

    pub(super) const fn fits(self, spi: u32) -> bool {
        (self.low <= spi && spi <= self.high) != self.inverted
    }

    const fn is_all(self) -> bool {
        self.low == 0 && self.high == u32::MAX && !self.inverted
    }

    pub(super) fn print(self, name: &str, out: &mut String) {
        if !self.is_all() {
            values::print_option(out, self.inverted, name);
            values::print_range(out, self.low, self.high);
        }
    }

    /// `spi:!5` or `spis:1:5`, without a blank before it.
    pub(super) fn list(self, out: &mut String) {
        let not = either(self.inverted, "", "!");
        let _ = match (self.is_all(), self.low == self.high) {
            (true, _) => Ok(()),
            (_, true) => write!(out, "spi:{not}{}", self.low),
            (_, false) => write!(out, "spis:{not}{}:{}", self.low, self.high),
        };
    }

    pub(super) fn explain(self, what: &str, out: &mut Pieces) {
        if self.is_all() {
            return;
        }
        let verb = either(self.inverted, "is", "is not");
        out.push(Piece::Condition(format!("{what} {verb} {}", range(self.low, self.high))));
        if self.low == 0 && self.high == u32::MAX {
            out.push(Piece::Caution(
                "No number is outside of this range: it never matches.".into(),
            ));
        }
    }
}

impl Match for Esp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        if is_later_fragment(traversal.packet) {
            return Answer::No;
        }
        let header = traversal.packet.l4_bytes(traversal.bytes);
        match header.first_chunk::<HEADER_LENGTH>() {
            Some([a, b, c, d, ..]) => self.0.fits(u32::from_be_bytes([*a, *b, *c, *d])).into(),
            None => Answer::Hotdrop,
        }
    }

    fn print(&self, out: &mut String) {
        self.0.print("espspi", out);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" esp");
        if !self.0.is_all() {
            out.push(' ');
            self.0.list(out);
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain("the security parameters index (SPI) of its ESP header", out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, ipv6, later_fragment};
    use crate::verdict::Answer;
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-p esp -m esp", "=", " esp", "="),
                    ("-p esp -m esp --espspi :", "-p esp -m esp", " esp", "="),
                    ("-p 50 --espspi 0x10", "-p esp -m esp --espspi 16", " esp spi:16", "="),
                    (
                        "-p esp -m esp --espspi 4:",
                        "-p esp -m esp --espspi 4:4294967295",
                        " esp spis:4:4294967295",
                        "=",
                    ),
                    ("-p esp -m esp ! --espspi 0:5", "=", " esp spis:!0:5", "="),
                    (
                        "-p esp -m esp ! --espspi :",
                        "-p esp -m esp ! --espspi 0:4294967295",
                        " esp spis:!0:4294967295",
                        "=",
                    ),
                    ("-p esp -m esp --espspi 4:3", "", "", ""),
                    ("-p esp -m esp --espspi 4294967296", "", "", ""),
                    ("-p esp -m esp --espspi 1:2:3", "", "", ""),
                    ("-p esp -m esp --espspi -1", "", "", ""),
                    ("-m esp", "", "", ""),
                    ("! -p esp -m esp", "", "", ""),
                    ("-p udp -m esp --espspi 1", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn the_index_is_read_where_there_is_a_whole_header() {
        let header = [0, 0, 1, 2, 0, 0, 0, 9];
        for packet in [ipv4(50, &header), ipv6(50, &header)] {
            for (rule, wanted) in [
                ("-p esp -m esp", Answer::Yes),
                ("-p esp -m esp --espspi 258", Answer::Yes),
                ("-p esp -m esp ! --espspi 258", Answer::No),
                ("-p esp -m esp --espspi :257", Answer::No),
                ("-p esp -m esp --espspi 259:", Answer::No),
                ("-p esp -m esp ! --espspi :", Answer::No),
            ] {
                assert_eq!(answer(rule, &packet), wanted, "{rule}");
            }
        }
        let rule = "-p esp -m esp --espspi 0";
        assert_eq!(answer(rule, &ipv4(50, &[0; 7])), Answer::Hotdrop);
        assert_eq!(answer(rule, &ipv6(50, &[0; 7])), Answer::Hotdrop);
        assert_eq!(answer(rule, &later_fragment(50, &[0; 7])), Answer::No);
        assert_eq!(answer(rule, &later_fragment(50, &[0; 8])), Answer::No);
    }
}
