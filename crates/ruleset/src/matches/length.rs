//! `length`: the length of the whole IP packet in bytes, header included.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either, range};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const LENGTH: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("length", LENGTH).inverted()];

const MANUAL: &str = "\
The length of the whole IP packet in bytes, its header included.

- `[!] --length N[:N]`: it is N, or lies between the two, both included; 0 to 65535. `N:` is from N on,
  `:N` up to N.

    iptables -A INPUT -p icmp --icmp-type echo-request -m length --length 1000: -j DROP

Mind: the frame's header does not count. What a network card or the kernel has put together of several
segments has the length of the whole.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "length",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Length {
    low: u32,
    high: u32,
    inverted: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(LENGTH)?;
    let (low, high) = arguments.range(given, 65_535)?;
    let (low, high) = (u32::try_from(low).ok()?, u32::try_from(high).ok()?);
    Some(Box::new(Length { low, high, inverted: given.inverted }))
}

impl Match for Length {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let inside = (self.low..=self.high).contains(&traversal.packet.length);
        (inside != self.inverted).into()
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "length");
        values::print_range(out, self.low, self.high);
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.inverted { "!" } else { "" };
        let _ = write!(out, " length {not}{}", self.low);
        if self.high != self.low {
            let _ = write!(out, ":{}", self.high);
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::within(Field::Length, self.low.into(), self.high.into(), self.inverted)
    }

    fn explain(&self, out: &mut Pieces) {
        let verb = either(self.inverted, "is", "is not");
        let bytes = range(self.low, self.high);
        out.push(Piece::Condition(format!("its length, IP header included, {verb} {bytes} bytes")));
    }
}
