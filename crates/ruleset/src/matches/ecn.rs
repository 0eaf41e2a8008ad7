//! `ecn`: explicit congestion notification (RFC 3168), its two bits of the IP header and the flags ECE
//! and CWR of the TCP header.
//!
//! A TCP header of which less than 20 bytes are there does not match, inverted or not. A later fragment
//! is taken for a header.

use super::tcpmss::unasked_header;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const CWR: u8 = 0;
const ECE: u8 = 1;
const ECT: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    flag("ecn-tcp-cwr", CWR).inverted(),
    flag("ecn-tcp-ece", ECE).inverted(),
    valued("ecn-ip-ect", ECT).inverted(),
];

const MANUAL: &str = "\
Asks for the bits of explicit congestion notification (ECN, RFC 3168).

- `[!] --ecn-ip-ect CODEPOINT`: the two bits of the IP header: 0 for a sender that does not take part, 1
  or 2 for one that does (ECT), 3 where a router on the way was congested (CE).
- `[!] --ecn-tcp-ece`: the ECE flag of the TCP header: the receiver tells of congestion; with SYN, its
  sender offers ECN.
- `[!] --ecn-tcp-cwr`: the CWR flag of the TCP header: the sender has slowed down.

At least one of them is needed, and all given have to hold. The TCP flags need `-p tcp`.

    -p tcp -m ecn --ecn-tcp-ece --ecn-tcp-cwr -j LOG
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ecn",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

const HEADER_LENGTH: usize = 20;
const ECE_BIT: u8 = 0x40;
const CWR_BIT: u8 = 0x80;

/// An instance.
#[derive(Debug)]
pub struct Ecn {
    ece: Option<Inverted<()>>,
    cwr: Option<Inverted<()>>,
    ect: Option<Inverted<u8>>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.some_option()?;
    let flag = |id| {
        let given = arguments.option(id);
        given.map(|given| Inverted { inverted: given.inverted, value: () })
    };
    let (ece, cwr) = (flag(ECE), flag(CWR));
    let ect = match arguments.option(ECT) {
        None => None,
        Some(given) => {
            let value = u8::try_from(arguments.number(given, 3)?).ok()?;
            Some(Inverted { inverted: given.inverted, value })
        }
    };
    if ece.is_some() || cwr.is_some() {
        arguments.needs_protocol(&[(6, "tcp")])?;
    }
    Some(Box::new(Ecn { ece, cwr, ect }))
}

impl Ecn {
    fn flags(&self) -> [(&'static str, u8, Option<Inverted<()>>); 2] {
        [("ece", ECE_BIT, self.ece), ("cwr", CWR_BIT, self.cwr)]
    }

    fn flags_fit(&self, found: u8) -> bool {
        let fits = |(_, bit, wanted): (_, u8, Option<Inverted<()>>)| {
            wanted.is_none_or(|wanted| (found & bit != 0) != wanted.inverted)
        };
        self.flags().into_iter().all(fits)
    }
}

impl Match for Ecn {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let bits = traversal.packet.tos & 3;
        if self.ect.is_some_and(|ect| (bits == ect.value) == ect.inverted) {
            return Answer::No;
        }
        if self.ece.is_none() && self.cwr.is_none() {
            return Answer::Yes;
        }
        let header = unasked_header(traversal).first_chunk::<HEADER_LENGTH>();
        header.is_some_and(|header| self.flags_fit(header[13])).into()
    }

    fn print(&self, out: &mut String) {
        for (name, _, wanted) in self.flags() {
            if let Some(wanted) = wanted {
                values::print_option(out, wanted.inverted, "ecn-tcp-");
                out.push_str(name);
            }
        }
        if let Some(ect) = self.ect {
            values::print_option(out, ect.inverted, "ecn-ip-ect");
            let _ = write!(out, " {}", ect.value);
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" ECN match");
        for (name, _, wanted) in self.flags() {
            if let Some(wanted) = wanted {
                let name = name.to_ascii_uppercase();
                let _ = write!(out, " {}{name}", either(wanted.inverted, "", "!"));
            }
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " {}ECT={}", either(ect.inverted, "", "!"), ect.value);
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        if let Some(ect) = self.ect {
            let verb = either(ect.inverted, "are", "are not");
            let meaning = match ect.value {
                0 => "not ECN-capable",
                1 => "ECN-capable, ECT(1)",
                2 => "ECN-capable, ECT(0)",
                _ => "congestion experienced",
            };
            let text = format!("the ECN bits of its IP header {verb} {} ({meaning})", ect.value);
            out.push(Piece::Condition(text));
        }
        for (name, _, wanted) in self.flags() {
            if let Some(wanted) = wanted {
                let name = name.to_ascii_uppercase();
                let verb = either(wanted.inverted, "is", "is not");
                out.push(Piece::Condition(format!("its TCP flag {name} {verb} set")));
            }
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
    fn texts() {
        for family in [Family::V4, Family::V6] {
            check(
                family,
                &[
                    ("-m ecn --ecn-ip-ect 0x3", "-m ecn --ecn-ip-ect 3", " ECN match ECT=3", "="),
                    ("-m ecn ! --ecn-ip-ect 0", "=", " ECN match !ECT=0", "="),
                    ("-p udp -m ecn --ecn-ip-ect 1", "=", " ECN match ECT=1", "="),
                    ("-p tcp -m ecn ! --ecn-tcp-cwr", "=", " ECN match !CWR", "="),
                    (
                        "-p tcp -m ecn --ecn-ip-ect 1 ! --ecn-tcp-cwr --ecn-tcp-ece",
                        "-p tcp -m ecn --ecn-tcp-ece ! --ecn-tcp-cwr --ecn-ip-ect 1",
                        " ECN match ECE !CWR ECT=1",
                        "=",
                    ),
                    ("-m ecn --ecn-ip-ect 4", "", "", ""),
                    ("-m ecn", "", "", ""),
                    ("-m ecn --ecn-tcp-cwr", "", "", ""),
                    ("! -p tcp -m ecn --ecn-tcp-ece", "", "", ""),
                    ("-p udp -m ecn ! --ecn-tcp-ece", "", "", ""),
                    ("-p tcp -m ecn --ecn-tcp-ece ! --ecn-tcp-ece", "", "", ""),
                ],
            );
        }
    }

    #[test]
    fn all_bits_asked_for_have_to_fit() {
        let mut header = vec![0; 20];
        header[13] = 0x42;
        let mut v4 = ipv4(6, &header);
        let mut v6 = ipv6(6, &header);
        v4[1] = 0xfe;
        v6[1] = 0xe0;
        for packet in [&v4, &v6] {
            for (rule, wanted) in [
                ("-m ecn --ecn-ip-ect 2", true),
                ("-m ecn ! --ecn-ip-ect 2", false),
                ("-m ecn --ecn-ip-ect 3", false),
                ("-p tcp -m ecn --ecn-tcp-ece", true),
                ("-p tcp -m ecn --ecn-tcp-ece ! --ecn-tcp-cwr --ecn-ip-ect 2", true),
                ("-p tcp -m ecn --ecn-tcp-ece --ecn-tcp-cwr", false),
                ("-p tcp -m ecn --ecn-tcp-ece ! --ecn-ip-ect 2", false),
            ] {
                assert_eq!(answer(rule, packet), Answer::from(wanted), "{rule}");
            }
        }
        for rule in ["-p tcp -m ecn --ecn-tcp-ece", "-p tcp -m ecn ! --ecn-tcp-cwr"] {
            assert_eq!(answer(rule, &ipv4(6, &header[..19])), Answer::No);
            assert_eq!(answer(rule, &later_fragment(6, &header)), Answer::Yes);
        }
    }
}
