//! `TTL`: sets the TTL of the IPv4 header, or changes it by some. It stays between 0 and 255. The check
//! for a TTL that is used up comes before FORWARD, so what is 0 there still leaves.

use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_packet::{Family, rewrite};

const OPTIONS: &[OptionSpec] =
    &[valued("ttl-set", Hops::SET), valued("ttl-dec", Hops::DEC), valued("ttl-inc", Hops::INC)];

const MANUAL: &str = "\
# TTL

Sets or changes the time to live of IPv4 packets and goes on with the next rule. It stands in table mangle.

`--ttl-set VALUE`
: Sets it, to 0 up to 255.

`--ttl-dec VALUE`
: Takes 1 up to 255 from it; it ends at 0.

`--ttl-inc VALUE`
: Adds 1 up to 255 to it; it ends at 255.

    -t mangle -A POSTROUTING -o eth0 -j TTL --ttl-set 64

A packet in a routing loop goes round until its TTL is used up. Where a rule raises it on each turn, it goes
round for ever: never raise the TTL of packets that leave your own network.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "TTL",
    families: &[Family::V4],
    tables: &[TableName::Mangle],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// What is done to a TTL or hop limit; shared with `HL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hops {
    /// Set.
    Set(u8),
    /// Less by so much.
    Decrement(u8),
    /// More by so much.
    Increment(u8),
}

impl Hops {
    pub(super) const SET: u8 = 0;
    pub(super) const DEC: u8 = 1;
    pub(super) const INC: u8 = 2;

    /// Reads the one option of three.
    pub(super) fn parse(arguments: &mut Arguments<'_>) -> Option<Self> {
        arguments.some_option()?;
        arguments.exclusive(&[Self::SET, Self::DEC, Self::INC])?;
        let given = arguments.given.first()?;
        let value = u8::try_from(arguments.number(given, 255)?).ok()?;
        if value == 0 && given.option.id != Self::SET {
            arguments.bad_value(given, "a number from 1 to 255");
            return None;
        }
        Some(match given.option.id {
            Self::SET => Self::Set(value),
            Self::DEC => Self::Decrement(value),
            _ => Self::Increment(value),
        })
    }

    const fn apply(self, hops: u8) -> u8 {
        match self {
            Self::Set(value) => value,
            Self::Decrement(value) => hops.saturating_sub(value),
            Self::Increment(value) => hops.saturating_add(value),
        }
    }

    pub(super) fn effect(self) -> Effect {
        let write = match self {
            Self::Set(value) => Change::set(Field::Ttl, value.into()),
            Self::Decrement(value) => Change::Plus(Field::Ttl, -i16::from(value)),
            Self::Increment(value) => Change::Plus(Field::Ttl, value.into()),
        };
        Effect::change(Vec::from([write, Change::Bytes]))
    }

    pub(super) fn act(self, traversal: &mut Traversal<'_>) {
        let hops = self.apply(traversal.packet.ttl);
        if hops != traversal.packet.ttl {
            rewrite::set_ttl(traversal.packet, traversal.bytes, hops);
        }
    }

    pub(super) fn print(self, name: &str, out: &mut String) {
        let _ = match self {
            Self::Set(value) => write!(out, " --{name}-set {value}"),
            Self::Decrement(value) => write!(out, " --{name}-dec {value}"),
            Self::Increment(value) => write!(out, " --{name}-inc {value}"),
        };
    }

    pub(super) fn list(self, name: &str, out: &mut String) {
        let _ = match self {
            Self::Set(value) => write!(out, " {name} set to {value}"),
            Self::Decrement(value) => write!(out, " {name} decrement by {value}"),
            Self::Increment(value) => write!(out, " {name} increment by {value}"),
        };
    }

    pub(super) fn explain(self, field: &str, out: &mut Pieces) {
        let says = match self {
            Self::Set(value) => format!("sets its {field} to {value}"),
            Self::Decrement(value) => format!("takes {value} from its {field}, down to 0"),
            Self::Increment(value) => format!("adds {value} to its {field}, up to 255"),
        };
        out.push(Piece::Effect(format!("{says}, and goes on with the next rule")));
        if !matches!(self, Self::Decrement(_)) {
            out.push(Piece::Caution(format!(
                "The {field} ends the turns of a packet in a routing loop; where it is raised on each \
                 turn, they do not end."
            )));
        }
    }
}

/// An instance.
#[derive(Debug)]
pub struct Ttl(pub Hops);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    Some(Box::new(Ttl(Hops::parse(arguments)?)))
}

impl Target for Ttl {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        self.0.act(traversal);
        Step::Continue
    }

    fn effect(&self) -> Effect {
        self.0.effect()
    }

    fn print(&self, out: &mut String) {
        self.0.print("ttl", out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list("TTL", out);
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain("TTL", out);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use alloc::format;
    use keepstate_conntrack::Hook;
    use keepstate_packet::{Family::V4, checksum};

    #[test]
    fn texts() {
        check(
            V4,
            "mangle",
            "FORWARD",
            &[
                ("-j TTL --ttl-set 0", "=", " TTL set to 0", "="),
                ("-j TTL --ttl-inc 0x10", "-j TTL --ttl-inc 16", " TTL increment by 16", "="),
                ("-j TTL --ttl-dec 255", "=", " TTL decrement by 255", "="),
                ("-j TTL --ttl-dec 0", "", "", ""),
                ("-j TTL --ttl-set 256", "", "", ""),
                ("-j TTL", "", "", ""),
                ("-j TTL --ttl-dec 1 --ttl-set 1", "", "", ""),
                ("-j TTL ! --ttl-dec 1", "", "", ""),
            ],
        );
        assert!(crate::testing::saved(V4, "filter", "FORWARD", "-j TTL --ttl-set 1").is_err());
    }

    #[test]
    fn it_ends_at_0_and_255() {
        let mut packet =
            [0x45, 0, 0, 24, 0, 7, 0, 0, 64, 200, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, 1, 2, 3, 4];
        checksum::fill_ipv4_header(&mut packet);
        for (option, ttl) in [
            ("set 9", 9),
            ("set 64", 64),
            ("dec 63", 1),
            ("dec 65", 0),
            ("inc 1", 65),
            ("inc 192", 255),
        ] {
            let rule = format!("-j TTL --ttl-{option}");
            let after = send("mangle", Hook::Forward, &rule, &packet);
            assert_eq!(after.bytes[8], ttl, "{rule}");
            assert!(checksum::ipv4_header_valid(&after.bytes), "{rule}");
        }
    }
}
