//! `ah`: the authentication header (RFC 4302), which is a protocol of IPv4 and an extension header of
//! IPv6. So IPv4 rules need `-p ah` and ask the SPI alone; IPv6 rules look for the header in the chain,
//! can ask its length and reserved field too, and must not name it by `-p`.
//!
//! A header that is cut is dropped, of IPv6 also by the length it claims, and so is an IPv6 packet whose chain of headers breaks before one is
//! found.

use super::esp::Spis;
use crate::evaluate::{State, Traversal, is_later_fragment};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Family, Parsed, ipv6};

const SPI: u8 = 0;
const LENGTH: u8 = 1;
const RESERVED: u8 = 2;
const OPTIONS4: &[OptionSpec] = &[valued("ahspi", SPI).inverted()];
const OPTIONS6: &[OptionSpec] =
    &[valued("ahspi", SPI).inverted(), valued("ahlen", LENGTH).inverted(), flag("ahres", RESERVED)];

const MANUAL4: &str = "\
Asks for the authentication header of IPsec (RFC 4302) by its security parameters index (SPI).

- `[!] --ahspi SPI[:SPI]`: this SPI, or one of this range. An end left out is 0 or 4294967295.

The rule needs `-p ah`.

    -p ah -m ah --ahspi 500:550 -j ACCEPT

The SPI proves nothing by itself: whether the packet is authentic is for IPsec to say (`-m policy`).
";

const MANUAL6: &str = "\
Asks for an authentication header of IPsec (RFC 4302) among the extension headers of an IPv6 packet.

- `[!] --ahspi SPI[:SPI]`: its security parameters index is this one, or of this range. An end left out
  is 0 or 4294967295.
- `[!] --ahlen LENGTH`: the whole header has this many bytes. 0 stands for any length, inverted or not.
- `--ahres`: its reserved field is zero.

Without options every packet with the header matches.

    -m ah --ahspi 500 -j ACCEPT

Do not add `-p ah`: the header is no upper-layer protocol. A packet whose headers are cut off before it is
clear whether there is one is dropped.
";

/// The entry for IPv4.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ah",
    families: &[Family::V4],
    tables: &[],
    hooks: &[],
    options: OPTIONS4,
    manual: MANUAL4,
    parse: parse4,
};

/// The entry for IPv6.
pub const EXTENSION6: Extension<Box<dyn Match>> = Extension {
    families: &[Family::V6],
    options: OPTIONS6,
    manual: MANUAL6,
    parse: parse6,
    ..EXTENSION
};

/// Bytes of the header without the integrity check value.
const HEADER_LENGTH: usize = 12;

/// An instance of an IPv4 rule.
#[derive(Debug)]
pub struct Ah4(Spis);

/// An instance of an IPv6 rule.
#[derive(Debug)]
pub struct Ah6 {
    spis: Spis,
    /// Bytes of the whole header.
    length: Option<Inverted<u32>>,
    reserved: bool,
}

fn parse4(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.needs_protocol(&[(51, "ah")])?;
    Some(Box::new(Ah4(Spis::parse(arguments, SPI, Spis::ALL)?)))
}

fn parse6(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let spis = Spis::parse(arguments, SPI, Spis::ALL)?;
    let length = match arguments.option(LENGTH) {
        None => None,
        Some(given) => {
            Some(Inverted { inverted: given.inverted, value: arguments.number32(given)? })
        }
    };
    // Not to ask for the length is written as asking for none.
    let length = length.filter(|length| length.value != 0 || length.inverted);
    Some(Box::new(Ah6 { spis, length, reserved: arguments.option(RESERVED).is_some() }))
}

const SUBJECT: &str = "the security parameters index (SPI) of its authentication header";

fn spi(header: &[u8; HEADER_LENGTH]) -> u32 {
    let [_, _, _, _, a, b, c, d, ..] = *header;
    u32::from_be_bytes([a, b, c, d])
}

impl Match for Ah4 {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        if is_later_fragment(traversal.packet) {
            return Answer::No;
        }
        let header = traversal.packet.l4_bytes(traversal.bytes);
        match header.first_chunk::<HEADER_LENGTH>() {
            Some(header) => self.0.fits(spi(header)).into(),
            None => Answer::Hotdrop,
        }
    }

    fn print(&self, out: &mut String) {
        self.0.print("ahspi", out);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" ah ");
        self.0.list(out);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain(SUBJECT, out);
    }
}

/// Where the extension header of this kind begins: `Err` for a chain that breaks before it.
pub(super) fn extension_header(
    packet: &Parsed,
    bytes: &[u8],
    kind: u8,
) -> Result<Option<usize>, ()> {
    // Rules read as far as the segments left in a routing header.
    const SEGMENTS_LEFT_END: usize = 4;
    let bytes = packet.packet(bytes);
    let mut headers = ipv6::ExtensionHeaders::of(bytes);
    for header in headers.by_ref() {
        if header.protocol == ipv6::ROUTING && bytes.len() < header.offset + SEGMENTS_LEFT_END {
            return Err(());
        }
        if header.protocol == kind {
            return Ok(Some(header.offset));
        }
        if ipv6::fragment(bytes, &header).is_some_and(|fragment| fragment.offset != 0) {
            return Ok(None);
        }
    }
    let (next, _) = headers.rest();
    if ipv6::is_extension_header(next) { Err(()) } else { Ok(None) }
}

impl Match for Ah6 {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let (packet, bytes) = (&*traversal.packet, &*traversal.bytes);
        let at = match extension_header(packet, bytes, ipv6::AUTHENTICATION) {
            Ok(Some(at)) => at,
            Ok(None) => return Answer::No,
            Err(()) => return Answer::Hotdrop,
        };
        let rest = packet.packet(bytes).get(at..).unwrap_or(&[]);
        let Some(header) = rest.first_chunk::<HEADER_LENGTH>() else { return Answer::Hotdrop };
        let [_, words, high, low, ..] = *header;
        let length = (u32::from(words) + 2) * 4;
        if length as usize > rest.len() {
            return Answer::Hotdrop;
        }
        let length_fits = self
            .length
            .is_none_or(|wanted| wanted.value == 0 || (wanted.value == length) != wanted.inverted);
        let reserved_fits = !self.reserved || [high, low] == [0, 0];
        (self.spis.fits(spi(header)) && length_fits && reserved_fits).into()
    }

    fn print(&self, out: &mut String) {
        self.spis.print("ahspi", out);
        if let Some(length) = self.length {
            values::print_option(out, length.inverted, "ahlen");
            let _ = write!(out, " {}", length.value);
        }
        if self.reserved {
            out.push_str(" --ahres");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" ah ");
        self.spis.list(out);
        if let Some(length) = self.length {
            let _ = write!(out, "length:{}{}", either(length.inverted, "", "!"), length.value);
        }
        if self.reserved {
            out.push_str(" reserved");
        }
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Condition("it has an authentication header".into()));
        self.spis.explain(SUBJECT, out);
        match self.length {
            Some(length) if length.value != 0 => {
                let verb = either(length.inverted, "is", "is not");
                let text = format!("that header {verb} {} bytes long", length.value);
                out.push(Piece::Condition(text));
            }
            Some(_) => {
                let text = "`! --ahlen 0` has no effect: 0 stands for any length.";
                out.push(Piece::Caution(text.into()));
            }
            None => {}
        }
        if self.reserved {
            out.push(Piece::Condition("that header's reserved field is zero".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, check, ipv4, ipv6, later_fragment};
    use crate::verdict::Answer;
    use alloc::vec;
    use keepstate_packet::Family;

    #[test]
    fn texts_of_ipv4() {
        check(
            Family::V4,
            &[
                ("-p ah -m ah", "=", " ah ", "="),
                ("-p 51 --ahspi 0x3", "-p ah -m ah --ahspi 3", " ah spi:3", "="),
                ("-p ah -m ah ! --ahspi 3:9", "=", " ah spis:!3:9", "="),
                (
                    "-p ah -m ah ! --ahspi :",
                    "-p ah -m ah ! --ahspi 0:4294967295",
                    " ah spis:!0:4294967295",
                    "=",
                ),
                ("-p ah -m ah --ahlen 3", "", "", ""),
                ("-p ah -m ah --ahspi 9:3", "", "", ""),
                ("-m ah --ahspi 3", "", "", ""),
                ("-m ah", "", "", ""),
            ],
        );
    }

    #[test]
    fn texts_of_ipv6() {
        check(
            Family::V6,
            &[
                ("-m ah", "=", " ah ", "="),
                ("-m ah --ahspi :", "-m ah", " ah ", "="),
                ("-m ah ! --ahspi 3", "=", " ah spi:!3", "="),
                (
                    "-m ah ! --ahspi :",
                    "-m ah ! --ahspi 0:4294967295",
                    " ah spis:!0:4294967295",
                    "=",
                ),
                ("-m ah --ahlen 0", "-m ah", " ah ", "="),
                ("-m ah ! --ahlen 0", "=", " ah length:!0", "="),
                ("-m ah --ahlen 4294967295", "=", " ah length:4294967295", "="),
                ("-m ah --ahres", "=", " ah  reserved", "="),
                (
                    "-m ah ! --ahspi 4:9 ! --ahlen 9 --ahres",
                    "=",
                    " ah spis:!4:9length:!9 reserved",
                    "=",
                ),
                ("-m ah ! --ahres", "", "", ""),
                ("-m ah --ahlen 4294967296", "", "", ""),
                ("-m ah --ahspi 4:3", "", "", ""),
                ("-p ah --ahspi 1", "-p ah -m ah --ahspi 1", " ah spi:1", "="),
            ],
        );
    }

    #[test]
    fn in_ipv4_it_is_the_protocol() {
        let packet = ipv4(51, &[6, 4, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1]);
        assert_eq!(answer("-p ah -m ah", &packet), Answer::Yes);
        assert_eq!(answer("-p ah -m ah --ahspi 258", &packet), Answer::Yes);
        assert_eq!(answer("-p ah -m ah ! --ahspi 258", &packet), Answer::No);
        assert_eq!(answer("-p ah -m ah", &ipv4(51, &[0; 11])), Answer::Hotdrop);
        assert_eq!(answer("-p ah -m ah", &later_fragment(51, &[0; 12])), Answer::No);
    }

    #[test]
    fn in_ipv6_it_is_looked_for_in_the_chain() {
        let header = [17, 1, 0, 5, 0, 0, 1, 2, 0, 0, 0, 1];
        let mut chain = vec![51, 0, 1, 4, 0, 0, 0, 0];
        chain.extend(header);
        for packet in [ipv6(51, &header), ipv6(0, &chain)] {
            for (rule, wanted) in [
                ("-m ah", Answer::Yes),
                ("-m ah --ahspi 258 --ahlen 12", Answer::Yes),
                ("-m ah --ahlen 1", Answer::No),
                ("-m ah ! --ahlen 12", Answer::No),
                ("-m ah ! --ahlen 0", Answer::Yes),
                ("-m ah --ahres", Answer::No),
                ("-m ah --ahspi 259:", Answer::No),
            ] {
                assert_eq!(answer(rule, &packet), wanted, "{rule}");
            }
        }
        assert_eq!(answer("-m ah", &ipv6(17, &[0; 8])), Answer::No);
        assert_eq!(answer("-m ah", &ipv6(59, &[])), Answer::No);
        assert_eq!(answer("-m ah", &ipv6(51, &header[..11])), Answer::Hotdrop);
        // It claims 16 bytes of 12, whatever it is asked for.
        let mut longer = header;
        longer[1] = 2;
        assert_eq!(answer("-m ah --ahspi 9", &ipv6(51, &longer)), Answer::Hotdrop);
        // Destination options that are missing, and a routing header that is cut.
        assert_eq!(answer("-m ah", &ipv6(60, &[])), Answer::Hotdrop);
        assert_eq!(answer("-m ah", &ipv6(43, &[17, 0, 0])), Answer::Hotdrop);
        // Behind the header of a later fragment there is none.
        assert_eq!(answer("-m ah", &ipv6(44, &[51, 0, 0, 8, 0, 0, 0, 1])), Answer::No);
    }
}
