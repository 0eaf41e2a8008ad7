//! `TOS`: changes the TOS byte (RFC 791) or traffic class: clears the bits of a mask, then flips those
//! of a value. The names, which stand for values of RFC 1349, leave the two highest bits alone.
//!
//! A listing with names glues one to the word before it (`TOS setMinimize-Delay`) and has two blanks
//! before it all, as with iptables.

use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::model::TableName;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::rewrite;

const SET: u8 = 0;
const AND: u8 = 1;
const OR: u8 = 2;
const XOR: u8 = 3;
const OPTIONS: &[OptionSpec] =
    &[valued("set-tos", SET), valued("and-tos", AND), valued("or-tos", OR), valued("xor-tos", XOR)];

const MANUAL: &str = "\
# TOS

Changes the type-of-service byte of the IPv4 header, or the traffic class of the IPv6 header, and goes on
with the next rule. It stands in table mangle.

`--set-tos VALUE[/MASK]`
: Clears the bits of MASK (all, without one) and flips those of VALUE.

`--set-tos NAME`
: `Minimize-Delay` (0x10), `Maximize-Throughput` (0x08), `Maximize-Reliability` (0x04), `Minimize-Cost` (0x02)
  or `Normal-Service` (0x00), all with mask 0x3f.

`--and-tos BITS`, `--or-tos BITS`, `--xor-tos BITS`
: Keeps only these bits, sets them, flips them. Saved as `--set-tos` with the mask that does the same.

    -t mangle -A PREROUTING -p tcp --dport 22 -j TOS --set-tos Minimize-Delay

One of them is needed. The byte is read as a code point of six bits and two bits of ECN today (RFC 2474, RFC
3168): `DSCP` sets the first alone. Without a mask this target overwrites the bits of ECN too.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "TOS",
    families: BOTH,
    tables: &[TableName::Mangle],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Mask of the values that have names.
const NAMED: u8 = 0x3f;
/// RFC 1349.
const NAMES: [(u8, &str); 5] = [
    (0x10, "Minimize-Delay"),
    (0x08, "Maximize-Throughput"),
    (0x04, "Maximize-Reliability"),
    (0x02, "Minimize-Cost"),
    (0x00, "Normal-Service"),
];

/// An instance.
#[derive(Debug)]
pub struct Tos {
    /// Bits flipped.
    pub value: u8,
    /// Bits cleared first.
    pub mask: u8,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    arguments.some_option()?;
    arguments.exclusive(&[SET, AND, OR, XOR])?;
    let given = arguments.given.first()?;
    let (value, mask) = if given.option.id == SET {
        set(arguments, given)?
    } else {
        let bits = u8::try_from(arguments.number(given, 255)?).ok()?;
        match given.option.id {
            AND => (0, !bits),
            OR => (bits, bits),
            _ => (bits, 0),
        }
    };
    Some(Box::new(Tos { value, mask }))
}

fn set(arguments: &mut Arguments<'_>, given: &Given) -> Option<(u8, u8)> {
    let named = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(&given.value));
    if let Some((value, _)) = named {
        return Some((*value, NAMED));
    }
    let octet = |text| values::number(text, 255).and_then(|value| u8::try_from(value).ok());
    let found = match given.value.split_once('/') {
        None => octet(&given.value).map(|value| (value, u8::MAX)),
        Some((value, mask)) => octet(value).zip(octet(mask)),
    };
    if found.is_none() && given.value.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let names = NAMES.iter().map(|(_, name)| *name);
        arguments.unknown_word(&given.value, given.value_span, "a type of service", names);
    } else if found.is_none() {
        arguments.bad_value(given, "a number from 0 to 255, VALUE/MASK or a name");
    }
    found
}

impl Tos {
    fn name_of_value(&self) -> Option<&'static str> {
        let mut named = NAMES.iter().filter(|_| self.mask == NAMED);
        named.find(|(value, _)| *value == self.value).map(|(_, name)| *name)
    }
}

impl Target for Tos {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let tos = traversal.packet.tos & !self.mask ^ self.value;
        if tos != traversal.packet.tos {
            rewrite::set_tos(traversal.packet, traversal.bytes, tos);
        }
        Step::Continue
    }

    fn effect(&self) -> Effect {
        let (keep, flip) = (u128::from(!self.mask), u128::from(self.value));
        Effect::change(Vec::from([Change::Bits { field: Field::Tos, keep, flip }, Change::Bytes]))
    }

    fn print(&self, out: &mut String) {
        let _ = write!(out, " --set-tos {:#04x}/{:#04x}", self.value, self.mask);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let (value, mask) = (self.value, self.mask);
        let _ = match self.name_of_value() {
            _ if numeric => write!(out, " TOS set {value:#04x}/{mask:#04x}"),
            Some(name) => write!(out, "  TOS set{name}"),
            None if value == 0 => write!(out, " TOS and {:#04x}", !mask),
            None if value == mask => write!(out, " TOS or {value:#04x}"),
            None if mask == 0 => write!(out, " TOS xor {value:#04x}"),
            None => write!(out, " TOS set {value:#04x}/{mask:#04x}"),
        };
    }

    fn explain(&self, out: &mut Pieces) {
        let (value, mask) = (self.value, self.mask);
        let says = match (self.name_of_value(), mask) {
            (Some(name), _) => format!("sets its type of service to {name} ({value:#04x})"),
            (None, u8::MAX) => format!("sets its TOS byte to {value:#04x}"),
            (None, 0) => format!("flips the bits {value:#04x} of its TOS byte"),
            (None, mask) if value & !mask == 0 => {
                format!("sets the bits {mask:#04x} of its TOS byte to {value:#04x}")
            }
            (None, mask) => format!(
                "clears the bits {mask:#04x} of its TOS byte, then flips the bits {value:#04x}"
            ),
        };
        out.push(Piece::Effect(format!("{says} and goes on with the next rule")));
        if (mask | value) & 3 != 0 {
            out.push(Piece::Caution(
                "The two lowest bits are those of explicit congestion notification today (RFC 3168), \
                 and are changed too."
                    .into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use alloc::format;
    use keepstate_conntrack::Hook;
    use keepstate_packet::{Family::V6, checksum};

    #[test]
    fn texts() {
        let rows = [
            ("-j TOS --set-tos 0", "0x00/0xff", " TOS and 0x00"),
            ("-j TOS --set-tos 255", "0xff/0xff", " TOS or 0xff"),
            ("-j TOS --set-tos 0x10/0x20", "0x10/0x20", " TOS set 0x10/0x20"),
            ("-j TOS --set-tos minimize-delay", "0x10/0x3f", "  TOS setMinimize-Delay"),
            ("-j TOS --set-tos Normal-Service", "0x00/0x3f", "  TOS setNormal-Service"),
            ("-j TOS --and-tos 0x0f", "0x00/0xf0", " TOS and 0x0f"),
            ("-j TOS --or-tos 0x0f", "0x0f/0x0f", " TOS or 0x0f"),
            ("-j TOS --xor-tos 0x0f", "0x0f/0x00", " TOS xor 0x0f"),
            ("-j TOS --xor-tos 0", "0x00/0x00", " TOS and 0xff"),
        ];
        for (rule, saved, names) in rows {
            let found = crate::testing::saved(V6, "mangle", "INPUT", rule);
            assert_eq!(found, Ok(format!("-j TOS --set-tos {saved}")), "{rule}");
            let listed = crate::testing::listed(V6, "mangle", "INPUT", rule);
            assert_eq!(listed, [names.into(), format!(" TOS set {saved}")], "{rule}");
        }
        let refused = ["256", "1/", "/1", "''", "1x", "Minimize", "Normal-Service/0xff", "1/256"];
        for value in refused.map(|value| format!("-j TOS --set-tos {value}")) {
            assert!(crate::testing::saved(V6, "mangle", "INPUT", &value).is_err(), "{value}");
        }
        check(V6, "mangle", "INPUT", &[("-j TOS --or-tos 1 --and-tos 1", "", "", "")]);
        check(V6, "mangle", "INPUT", &[("-j TOS", "", "", "")]);
    }

    #[test]
    fn bits_are_cleared_then_flipped() {
        let mut packet = [0x45, 0x5a, 0, 20, 0, 7, 0, 0, 64, 200, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1];
        checksum::fill_ipv4_header(&mut packet);
        for (option, tos) in [
            ("--set-tos 0x30/0x10", 0x7a),
            ("--and-tos 0x0f", 0x0a),
            ("--or-tos 0x0f", 0x5f),
            ("--xor-tos 0xff", 0xa5),
            ("--set-tos Minimize-Cost", 0x42),
        ] {
            let after = send("mangle", Hook::Output, &format!("-j TOS {option}"), &packet);
            assert_eq!(after.bytes[1], tos, "{option}");
            assert!(checksum::ipv4_header_valid(&after.bytes), "{option}");
        }
    }
}
