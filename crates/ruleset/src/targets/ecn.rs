//! `ECN` (IPv4 only): changes the bits of explicit congestion notification (RFC 3168), in the IP header
//! and in the TCP header. What is TCP by its protocol but has no whole header is dropped; the data of
//! a further fragment is taken for a header.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, flag, valued};
use crate::model::TableName;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Family, rewrite, tcp};

const REMOVE: u8 = 0;
const CWR: u8 = 1;
const ECE: u8 = 2;
const ECT: u8 = 3;
const OPTIONS: &[OptionSpec] = &[
    flag("ecn-tcp-remove", REMOVE),
    valued("ecn-tcp-cwr", CWR),
    valued("ecn-tcp-ece", ECE),
    valued("ecn-ip-ect", ECT),
];

const MANUAL: &str = "\
# ECN

Works around hosts and routers that mishandle explicit congestion notification (RFC 3168), and goes on with
the next rule. IPv4 only. It stands in table mangle.

`--ecn-tcp-remove`
: Clears ECE and CWR of the TCP header, so that the connection is not offered with ECN. Needs `-p tcp`.

`--ecn-tcp-ece 0|1`, `--ecn-tcp-cwr 0|1`
: Sets or clears one of the two. For experiments. Needs `-p tcp`.

`--ecn-ip-ect 0..3`
: Sets the two bits of the IP header. For experiments.

    -t mangle -A POSTROUTING -p tcp -d 192.0.2.7 -j ECN --ecn-tcp-remove

At least one is needed; `--ecn-tcp-remove` does not go with the two that set one bit.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "ECN",
    families: &[Family::V4],
    tables: &[TableName::Mangle],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance: what each is set to.
#[derive(Debug, Default)]
pub struct Ecn {
    /// ECE of TCP.
    pub ece: Option<bool>,
    /// CWR of TCP.
    pub cwr: Option<bool>,
    /// The two lowest bits of the TOS byte.
    pub ect: Option<u8>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    arguments.some_option()?;
    for pair in [[REMOVE, CWR], [REMOVE, ECE]] {
        if pair.iter().all(|id| arguments.option(*id).is_some()) {
            arguments.exclusive(&pair)?;
        }
    }
    let mut number = |id, max| match arguments.option(id) {
        None => Some(None),
        Some(given) => arguments.number(given, max).map(Some),
    };
    let (cwr, ece, ect) = (number(CWR, 1)?, number(ECE, 1)?, number(ECT, 3)?);
    let removes = arguments.option(REMOVE).is_some();
    let bit = |value: Option<u64>| value.map(|value| value == 1).or(removes.then_some(false));
    let ecn = Ecn { ece: bit(ece), cwr: bit(cwr), ect: ect.and_then(|ect| u8::try_from(ect).ok()) };
    if (ecn.ece.is_some() || ecn.cwr.is_some()) && arguments.protocol() != Some(tcp::PROTOCOL) {
        let text = "`ECN` needs `-p tcp` to change bits of the TCP header";
        let fault = Diagnostic::new(code::PROTOCOL_NEEDED, arguments.span, text);
        arguments.fault(fault.help("-p tcp"));
        return None;
    }
    Some(Box::new(ecn))
}

impl Target for Ecn {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        /// The octet of the flags, from the start of the TCP header.
        const FLAGS_AT: usize = 13;
        if let Some(ect) = self.ect {
            let tos = traversal.packet.tos & !3 | ect;
            if tos != traversal.packet.tos {
                rewrite::set_tos(traversal.packet, traversal.bytes, tos);
            }
        }
        if (self.ece, self.cwr) == (None, None) || traversal.packet.protocol != tcp::PROTOCOL {
            return Step::Continue;
        }
        let segment = traversal.packet.l4_bytes(traversal.bytes);
        let Some(header) = segment.first_chunk::<{ tcp::HEADER_LENGTH_MIN }>() else {
            return Step::Verdict(Verdict::Drop);
        };
        let before = header[FLAGS_AT];
        let bit = |flags: u8, bit: u8, wanted: Option<bool>| match wanted {
            None => flags,
            Some(true) => flags | bit,
            Some(false) => flags & !bit,
        };
        let flags = bit(bit(before, tcp::ECE, self.ece), tcp::CWR, self.cwr);
        if flags != before {
            rewrite::set_tcp_flags(traversal.packet, traversal.bytes, flags);
            traversal.segment_changed();
        }
        Step::Continue
    }

    fn effect(&self) -> Effect {
        let mut writes = Vec::from([Change::Bytes]);
        writes.extend(self.ect.map(|ect| Change::Bits {
            field: Field::Tos,
            keep: 0xfc,
            flip: ect.into(),
        }));
        if (self.ece, self.cwr) != (None, None) {
            writes.push(Change::any(Field::TcpFlags));
        }
        Effect::change(writes)
    }

    fn print(&self, out: &mut String) {
        if let (Some(false), Some(false), None) = (self.ece, self.cwr, self.ect) {
            out.push_str(" --ecn-tcp-remove");
            return;
        }
        for (name, bit) in [("ece", self.ece), ("cwr", self.cwr)] {
            if let Some(bit) = bit {
                let _ = write!(out, " --ecn-tcp-{name} {}", u8::from(bit));
            }
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " --ecn-ip-ect {ect}");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" ECN");
        if let (Some(false), Some(false), None) = (self.ece, self.cwr, self.ect) {
            out.push_str(" TCP remove");
            return;
        }
        for (name, bit) in [("ECE", self.ece), ("CWR", self.cwr)] {
            if let Some(bit) = bit {
                let _ = write!(out, " {name}={}", u8::from(bit));
            }
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " ECT codepoint={ect}");
        }
    }

    fn explain(&self, out: &mut Pieces) {
        let mut does = Vec::new();
        for (name, bit) in [("ECE", self.ece), ("CWR", self.cwr)] {
            if let Some(bit) = bit {
                let verb = if bit { "sets" } else { "clears" };
                does.push(format!("{verb} {name} of its TCP header"));
            }
        }
        if let Some(ect) = self.ect {
            does.push(format!("sets the bits of ECN in its IP header to {ect}"));
        }
        out.push(Piece::Effect(format!("{}, and goes on with the next rule", does.join(" and "))));
        if self.ect.is_some() || self.ece == Some(true) || self.cwr == Some(true) {
            out.push(Piece::Caution(
                "Bits set on the way claim congestion, or the ability to hear of it, that nobody has \
                 told of: for experiments only."
                    .into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use alloc::vec::Vec;
    use keepstate_conntrack::Hook;
    use keepstate_packet::checksum::{Verified, fill, fill_ipv4_header, verify};
    use keepstate_packet::{Family::V4, Parsed};

    #[test]
    fn texts() {
        check(
            V4,
            "mangle",
            "POSTROUTING",
            &[
                ("-p tcp -j ECN --ecn-tcp-remove", "=", " ECN TCP remove", "="),
                (
                    "-p tcp -j ECN --ecn-tcp-cwr 0 --ecn-tcp-ece 0",
                    "-p tcp -j ECN --ecn-tcp-remove",
                    " ECN TCP remove",
                    "=",
                ),
                (
                    "-p tcp -j ECN --ecn-tcp-remove --ecn-ip-ect 2",
                    "-p tcp -j ECN --ecn-tcp-ece 0 --ecn-tcp-cwr 0 --ecn-ip-ect 2",
                    " ECN ECE=0 CWR=0 ECT codepoint=2",
                    "=",
                ),
                ("-j ECN --ecn-ip-ect 3", "=", " ECN ECT codepoint=3", "="),
                ("-j ECN --ecn-ip-ect 4", "", "", ""),
                ("-p tcp -j ECN --ecn-tcp-cwr 2", "", "", ""),
                ("-p tcp -j ECN --ecn-tcp-cwr 1 --ecn-tcp-remove", "", "", ""),
                ("-j ECN --ecn-tcp-remove", "", "", ""),
                ("! -p tcp -j ECN --ecn-tcp-remove", "", "", ""),
                ("-p tcp -j ECN", "", "", ""),
            ],
        );
    }

    fn segment(flags: u8) -> Vec<u8> {
        let mut packet = Vec::from([0x45, 1, 0, 40, 0, 7, 0, 0, 64, 6, 0, 0]);
        packet.extend([10, 0, 0, 1, 192, 0, 2, 1]);
        packet.extend([4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 9, 9, 0, 0, 0, 0]);
        fill_ipv4_header(&mut packet);
        let parsed = Parsed::new(&packet).unwrap();
        fill(&parsed, &mut packet);
        packet
    }

    #[test]
    fn bits_change_and_checksums_follow() {
        for (rule, flags, tos) in [
            ("-p tcp -j ECN --ecn-tcp-remove", 0x02, 1),
            ("-p tcp -j ECN --ecn-tcp-ece 0 --ecn-ip-ect 2", 0x82, 2),
        ] {
            let after = send("mangle", Hook::Postrouting, rule, &segment(0xc2));
            assert_eq!((after.bytes[33], after.bytes[1]), (flags, tos), "{rule}");
            let parsed = Parsed::new(&after.bytes).unwrap();
            assert_eq!(verify(&parsed, &after.bytes), Verified::Valid, "{rule}");
        }
    }

    #[test]
    fn what_has_no_whole_header_is_dropped() {
        let mut packet = segment(0xc2);
        packet.truncate(36);
        packet[3] = 36;
        let after = send("mangle", Hook::Postrouting, "-p tcp -j ECN --ecn-tcp-remove", &packet);
        assert_eq!(after.verdict, crate::verdict::Verdict::Drop);
    }
}
