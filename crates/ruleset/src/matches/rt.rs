//! `rt`: the routing header of IPv6 (RFC 8200, section 4.4). The first one of the chain counts.
//!
//! Addresses and the reserved field can be asked of type 0 only, which RFC 5095 has taken out of use; as
//! with iptables, `--rt-type 0` has to stand before them. A header that claims more than there is is dropped.

use super::ah::extension_header;
use super::frag::{explain_range, fits, inverted32, is_all, list_range, print_range, range32};
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Address, Family, ipv6};

const TYPE: u8 = 0;
const SEGMENTS: u8 = 1;
const LENGTH: u8 = 2;
const RESERVED: u8 = 3;
const ADDRESSES: u8 = 4;
const NOT_STRICT: u8 = 5;
const OPTIONS: &[OptionSpec] = &[
    valued("rt-type", TYPE).inverted(),
    valued("rt-segsleft", SEGMENTS).inverted(),
    valued("rt-len", LENGTH).inverted(),
    flag("rt-0-res", RESERVED),
    valued("rt-0-addrs", ADDRESSES),
    flag("rt-0-not-strict", NOT_STRICT),
];

const MANUAL: &str = "\
Asks for the routing header of an IPv6 packet, by which its sender names stations of its way.

- `[!] --rt-type TYPE`: its type.
- `[!] --rt-segsleft NUMBER[:NUMBER]`: so many stations are still to come.
- `[!] --rt-len LENGTH`: the whole header has this many bytes.
- `--rt-0-res`: the reserved field is zero. This one and the next two go behind `--rt-type 0` only.
- `--rt-0-addrs ADDRESS[,ADDRESS...]`: it has just these addresses, up to 16, in this order.
- `--rt-0-not-strict`: others may stand between and behind them.

Without options every packet with the header matches.

    -m rt --rt-type 0 -j DROP

Mind that the sender's stations may be a way around filters; type 0 has been taken out of use for that
(RFC 5095). Type 4 is segment routing: see the match `srh`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "rt",
    families: &[Family::V6],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most addresses that a rule can name.
const ADDRESSES_MAX: usize = 16;
/// Bytes of a header of type 0 before its addresses.
const HEADER_LENGTH: usize = 8;

/// An instance.
#[derive(Debug)]
pub struct Rt {
    kind: Option<Inverted<u32>>,
    segments: Inverted<(u32, u32)>,
    length: Option<Inverted<u32>>,
    reserved: bool,
    addresses: Vec<Address>,
    strict: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let kind = inverted32(arguments, TYPE)?;
    after_type_0(arguments)?;
    Some(Box::new(Rt {
        kind,
        segments: range32(arguments, SEGMENTS)?,
        length: inverted32(arguments, LENGTH)?,
        reserved: arguments.option(RESERVED).is_some(),
        addresses: addresses(arguments)?,
        strict: arguments.option(NOT_STRICT).is_none(),
    }))
}

/// What goes with type 0 stands behind it, and `--rt-0-not-strict` behind the addresses.
fn after_type_0(arguments: &mut Arguments<'_>) -> Option<()> {
    let (mut zero, mut named) = (false, false);
    for given in arguments.given {
        let missing = match given.option.id {
            TYPE => {
                zero = !given.inverted && values::number(&given.value, u32::MAX.into()) == Some(0);
                continue;
            }
            RESERVED | ADDRESSES if !zero => "--rt-type 0",
            NOT_STRICT if !named => "--rt-0-addrs",
            ADDRESSES => {
                named = true;
                continue;
            }
            _ => continue,
        };
        let text = format!("`--{}` goes behind `{missing}` only", given.option.name);
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, given.span, text));
        return None;
    }
    Some(())
}

fn addresses(arguments: &mut Arguments<'_>) -> Option<Vec<Address>> {
    let mut found = Vec::new();
    let Some(given) = arguments.option(ADDRESSES) else { return Some(found) };
    for (word, span) in arguments.list(given) {
        let Some(address) = values::address(word, Family::V6) else {
            let text = format!("`{word}` is not an IPv6 address");
            arguments.fault(Diagnostic::new(code::BAD_ADDRESS, span, text));
            return None;
        };
        found.push(address);
    }
    if found.len() > ADDRESSES_MAX {
        arguments.bad_value(given, &format!("a list of at most {ADDRESSES_MAX} addresses"));
        return None;
    }
    Some(found)
}

impl Rt {
    /// Whether the addresses of a header of type 0 are those asked for.
    fn addresses_fit(&self, header: &[u8]) -> bool {
        if self.addresses.is_empty() {
            return true;
        }
        let (there, _) = header.get(HEADER_LENGTH..).unwrap_or(&[]).as_chunks::<16>();
        if self.strict {
            return self.addresses.iter().map(|address| &address.0).eq(there);
        }
        let mut there = there.iter();
        self.addresses.iter().all(|wanted| there.any(|found| *found == wanted.0))
    }

    fn written(&self) -> String {
        let words = self.addresses.iter().map(|one| format!("{}", one.written(Family::V6)));
        words.collect::<Vec<_>>().join(",")
    }
}

impl Match for Rt {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let (packet, bytes) = (&*traversal.packet, &*traversal.bytes);
        let at = match extension_header(packet, bytes, ipv6::ROUTING) {
            Ok(Some(at)) => at,
            Ok(None) => return Answer::No,
            Err(()) => return Answer::Hotdrop,
        };
        let rest = packet.packet(bytes).get(at..).unwrap_or(&[]);
        let Some([_, units, kind, segments]) = rest.first_chunk::<4>().copied() else {
            return Answer::Hotdrop;
        };
        let length = (usize::from(units) + 1) * 8;
        let Some(header) = rest.get(..length) else { return Answer::Hotdrop };
        let is = |wanted: Option<Inverted<u32>>, found: usize| {
            wanted.is_none_or(|wanted| (wanted.value as usize == found) != wanted.inverted)
        };
        let fits = is(self.kind, kind.into())
            && fits(self.segments, segments.into())
            && is(self.length, length)
            && (!self.reserved || header.get(4..HEADER_LENGTH) == Some(&[0; 4]))
            && self.addresses_fit(header);
        fits.into()
    }

    fn print(&self, out: &mut String) {
        if let Some(kind) = self.kind {
            values::print_option(out, kind.inverted, "rt-type");
            let _ = write!(out, " {}", kind.value);
        }
        print_range(out, "rt-segsleft", self.segments);
        if let Some(length) = self.length {
            values::print_option(out, length.inverted, "rt-len");
            let _ = write!(out, " {}", length.value);
        }
        if self.reserved {
            out.push_str(" --rt-0-res");
        }
        if !self.addresses.is_empty() {
            let _ = write!(out, " --rt-0-addrs {}", self.written());
        }
        if !self.strict {
            out.push_str(" --rt-0-not-strict");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" rt");
        if let Some(kind) = self.kind {
            let not = either(kind.inverted, "", "!");
            let _ = write!(out, " type:{not}{}", kind.value.cast_signed());
        }
        if !is_all(self.segments) || self.segments.inverted {
            out.push(' ');
            list_range(out, "segsleft", self.segments);
        }
        if let Some(length) = self.length {
            let _ = write!(out, " length:{}{}", either(length.inverted, "", "!"), length.value);
        }
        if self.reserved {
            out.push_str(" reserved");
        }
        if !self.addresses.is_empty() {
            let _ = write!(out, " 0-addrs {}", self.written());
        }
        if !self.strict {
            out.push_str(" 0-not-strict");
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Condition("it has a routing header".into()));
        if let Some(kind) = self.kind {
            let verb = either(kind.inverted, "is", "is not");
            out.push(Piece::Condition(format!("that header {verb} of type {}", kind.value)));
            if kind.value > u8::MAX.into() {
                out.push(Piece::Caution("Types are no larger than 255.".into()));
            }
        }
        explain_range(out, "the number of stations still to come", self.segments);
        if let Some(length) = self.length {
            let verb = either(length.inverted, "is", "is not");
            let text = format!("that header {verb} {} bytes long", length.value);
            out.push(Piece::Condition(text));
        }
        if self.reserved {
            out.push(Piece::Condition("its reserved field is zero".into()));
        }
        if !self.addresses.is_empty() {
            let others = either(self.strict, "perhaps with others between", "and no others");
            let text = format!("it names {} in this order, {others}", self.written());
            out.push(Piece::Condition(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::testing::{answer, check, ipv6};
    use alloc::vec;

    #[test]
    fn texts() {
        let all = "-m rt --rt-type 0 --rt-segsleft 1:2 --rt-len 40 --rt-0-res --rt-0-addrs ::1,::2 \
                   --rt-0-not-strict";
        let listed = " rt type:0 segslefts:1:2 length:40 reserved 0-addrs ::1,::2 0-not-strict";
        let most = "-m rt --rt-type 0 --rt-0-addrs ::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,\
                    ::1,::1,::1";
        let over = "-m rt --rt-type 0 --rt-0-addrs ::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,\
                    ::1,::1,::1,::1";
        check(
            Family::V6,
            &[
                ("-m rt", "=", " rt", "="),
                (all, "=", listed, "="),
                (
                    "-m rt ! --rt-type 1 ! --rt-segsleft 12:23 ! --rt-len 42",
                    "=",
                    " rt type:!1 segslefts:!12:23 length:!42",
                    "=",
                ),
                ("-m rt --rt-type 4294967295", "=", " rt type:-1", "="),
                ("-m rt --rt-segsleft :3", "-m rt --rt-segsleft 0:3", " rt segslefts:0:3", "="),
                (
                    "-m rt ! --rt-segsleft :",
                    "-m rt ! --rt-segsleft 0:4294967295",
                    " rt segslefts:!0:4294967295",
                    "=",
                ),
                (
                    most,
                    "=",
                    " rt type:0 0-addrs ::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,\
                    ::1,::1,::1",
                    "=",
                ),
                (over, "", "", ""),
                ("-m rt --rt-segsleft 4:3", "", "", ""),
                ("-m rt --rt-0-res --rt-type 0", "", "", ""),
                ("-m rt ! --rt-type 0 --rt-0-res", "", "", ""),
                ("-m rt --rt-type 0 --rt-0-not-strict --rt-0-addrs ::1", "", "", ""),
                ("-m rt --rt-type 0 --rt-0-addrs ::1,", "", "", ""),
                ("-m rt --rt-type 0 --rt-0-addrs 1.2.3.4", "", "", ""),
            ],
        );
    }

    /// Of a kind, with so many stations to come, a reserved field, and the addresses `::1` to `::count`.
    fn header(kind: u8, segments: u8, reserved: u8, count: u8) -> Vec<u8> {
        let mut header = vec![17, count * 2, kind, segments, 0, 0, 0, reserved];
        for last in 1..=count {
            header.extend([0; 15]);
            header.push(last);
        }
        ipv6(43, &header)
    }

    /// As Linux answered.
    #[test]
    fn packets() {
        let packets =
            [header(0, 1, 0, 1), header(0, 2, 0, 2), header(0, 0, 0, 3), header(2, 1, 1, 1)];
        let (yes, no) = (Answer::Yes, Answer::No);
        for (rule, wanted) in [
            ("-m rt", [yes, yes, yes, yes]),
            ("-m rt --rt-type 0", [yes, yes, yes, no]),
            ("-m rt ! --rt-type 0", [no, no, no, yes]),
            ("-m rt --rt-type 256", [no, no, no, no]),
            ("-m rt ! --rt-segsleft 1:2", [no, no, yes, no]),
            ("-m rt ! --rt-segsleft :", [no, no, no, no]),
            ("-m rt --rt-len 24", [yes, no, no, yes]),
            ("-m rt --rt-type 0 --rt-0-res", [yes, yes, yes, no]),
            ("-m rt --rt-type 0 --rt-0-addrs ::1", [yes, no, no, no]),
            ("-m rt --rt-type 0 --rt-0-addrs ::1,::2", [no, yes, no, no]),
            ("-m rt --rt-type 0 --rt-0-addrs ::2,::3 --rt-0-not-strict", [no, no, yes, no]),
            ("-m rt --rt-type 0 --rt-0-addrs ::3,::2 --rt-0-not-strict", [no, no, no, no]),
            ("-m rt --rt-type 0 --rt-0-addrs ::1 --rt-0-not-strict", [yes, yes, yes, no]),
        ] {
            let found: Vec<_> = packets.iter().map(|packet| answer(rule, packet)).collect();
            assert_eq!(found, wanted, "{rule}");
        }
        assert_eq!(answer("-m rt --rt-type 0 --rt-0-res", &header(0, 1, 1, 1)), no);
        for cut in [&[17, 2, 0, 1, 0, 0, 0, 0][..], &[17, 0, 0]] {
            assert_eq!(answer("-m rt", &ipv6(43, cut)), Answer::Hotdrop);
        }
        // Behind a later fragment there is no header.
        assert_eq!(
            answer("-m rt", &ipv6(44, &[43, 0, 0, 8, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 0])),
            no
        );
    }
}
