//! `ipcomp`: the compression parameters index of an IPComp header (RFC 3173), which iptables calls an
//! SPI. It has 16 bits; the option takes 32. `--compres` is read and saved, but the kernel does not look
//! at it, and without `--ipcompspi` index 0 is asked for.

use super::esp::Spis;
use crate::evaluate::{State, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String};

const SPI: u8 = 0;
const RESERVED: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("ipcompspi", SPI).inverted(), flag("compres", RESERVED)];

const MANUAL: &str = "\
Asks for the compression parameters index (CPI) of an IPComp packet (RFC 3173), compressed by IPsec.

- `[!] --ipcompspi CPI[:CPI]`: this index, or one of this range. An end left out is 0 or 4294967295.
- `--compres`: meant to ask for an empty reserved field; Linux ignores it.

The rule needs `-p ipcomp`. Without `--ipcompspi` the index 0 is asked for, which stands for no known
algorithm. Indexes have 16 bits: a number above 65535 is never met.

    -p ipcomp -m ipcomp --ipcompspi 3 -j ACCEPT
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ipcomp",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Bytes of the header.
const HEADER_LENGTH: usize = 4;

/// An instance.
#[derive(Debug)]
pub struct IpComp {
    indexes: Spis,
    reserved: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(108, "ipcomp")])?;
    let indexes = Spis::parse(arguments, SPI, Spis::NONE)?;
    Some(Box::new(IpComp { indexes, reserved: arguments.option(RESERVED).is_some() }))
}

impl Match for IpComp {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        if is_later_fragment(traversal.packet) {
            return Answer::No;
        }
        let header = traversal.packet.l4_bytes(traversal.bytes);
        match header.first_chunk::<HEADER_LENGTH>() {
            Some([_, _, high, low]) => {
                self.indexes.fits(u16::from_be_bytes([*high, *low]).into()).into()
            }
            None => Answer::Hotdrop,
        }
    }

    fn print(&self, out: &mut String) {
        self.indexes.print("ipcompspi", out);
        if self.reserved {
            out.push_str(" --compres");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" comp ");
        self.indexes.list(out);
        if self.reserved {
            out.push_str(" reserved");
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        self.indexes.explain("the compression parameters index (CPI) of its IPComp header", out);
        if self.indexes == Spis::ALL {
            out.push(Piece::Caution(
                "iptables-save prints this rule without its range, which is read back as index 0."
                    .into(),
            ));
        }
        if self.reserved {
            out.push(Piece::Caution(
                "`--compres` has no effect: Linux does not look at it.".into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, ipv6, later_fragment, listed, saved};
    use crate::verdict::Answer;
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    (
                        "-p ipcomp -m ipcomp",
                        "-p ipcomp -m ipcomp --ipcompspi 0",
                        " comp spi:0",
                        "=",
                    ),
                    ("-p ipcomp -m ipcomp ! --ipcompspi 3:5", "=", " comp spis:!3:5", "="),
                    (
                        "-p ipcomp -m ipcomp ! --ipcompspi :",
                        "-p ipcomp -m ipcomp ! --ipcompspi 0:4294967295",
                        " comp spis:!0:4294967295",
                        "=",
                    ),
                    (
                        "-p ipcomp -m ipcomp --compres",
                        "-p ipcomp -m ipcomp --ipcompspi 0 --compres",
                        " comp spi:0 reserved",
                        "=",
                    ),
                    ("-p ipcomp -m ipcomp --ipcompspi 4:3", "", "", ""),
                    ("-p ipcomp -m ipcomp --ipcompspi 4294967296", "", "", ""),
                    ("-m ipcomp --ipcompspi 4", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn a_range_of_all_is_saved_as_what_means_index_0() {
        // As iptables does, to the misfortune of whoever restores it.
        let rule = "-p 108 --ipcompspi :";
        assert_eq!(saved(Family::V4, rule).as_deref(), Ok("-p ipcomp -m ipcomp"));
        assert_eq!(listed(Family::V4, rule), [" comp ", " comp "]);
        assert_eq!(answer(rule, &ipv4(108, &[0, 0, 0, 9])), Answer::Yes);
    }

    #[test]
    fn the_index_has_16_bits_and_the_reserved_field_does_not_count() {
        let header = [17, 0xff, 0, 3];
        for packet in [ipv4(108, &header), ipv6(108, &header)] {
            for (rule, wanted) in [
                ("-p ipcomp -m ipcomp --ipcompspi 3", Answer::Yes),
                ("-p ipcomp -m ipcomp --ipcompspi 3 --compres", Answer::Yes),
                ("-p ipcomp -m ipcomp", Answer::No),
                ("-p ipcomp -m ipcomp ! --ipcompspi 4:", Answer::Yes),
                ("-p ipcomp -m ipcomp --ipcompspi 4:", Answer::No),
            ] {
                assert_eq!(answer(rule, &packet), wanted, "{rule}");
            }
        }
        let rule = "-p ipcomp -m ipcomp --ipcompspi 0";
        assert_eq!(answer(rule, &ipv4(108, &[0; 3])), Answer::Hotdrop);
        assert_eq!(answer(rule, &later_fragment(108, &[0; 3])), Answer::No);
    }
}
