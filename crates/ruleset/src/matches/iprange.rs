//! `iprange`: addresses from one to another, which need not be a network.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Address, Family};

const SOURCE: u8 = 0;
const DESTINATION: u8 = 1;
const OPTIONS: &[OptionSpec] =
    &[valued("src-range", SOURCE).inverted(), valued("dst-range", DESTINATION).inverted()];

const MANUAL: &str = "\
Addresses from one to another, which need not be a network.

- `[!] --src-range FROM[-TO]`: the source address lies between the two, both included.
- `[!] --dst-range FROM[-TO]`: the destination does.

    iptables -A FORWARD -m iprange --src-range 192.168.1.100-192.168.1.199 -j ACCEPT

Mind: a range that begins above its end is empty. Many ranges are better kept in an ipset.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "iprange",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

type Range = Inverted<(Address, Address)>;

/// An instance.
#[derive(Debug)]
pub struct IpRange {
    family: Family,
    source: Option<Range>,
    destination: Option<Range>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.some_option()?;
    let mut range = |id| match arguments.option(id) {
        None => Some(None),
        Some(given) => read(arguments, given).map(Some),
    };
    let (source, destination) = (range(SOURCE)?, range(DESTINATION)?);
    Some(Box::new(IpRange { family: arguments.family, source, destination }))
}

fn read(arguments: &mut Arguments<'_>, given: &Given) -> Option<Range> {
    let (low, high) = given.value.split_once('-').unwrap_or((&given.value, &given.value));
    let whole = |text| values::address(text, arguments.family);
    let Some(value) = whole(low).zip(whole(high)) else {
        let text = format!("`{}` is not a range of addresses", given.value);
        let fault = Diagnostic::new(code::BAD_ADDRESS, given.value_span, text);
        arguments.fault(fault.help(match arguments.family {
            Family::V4 => "192.0.2.10-192.0.2.20",
            Family::V6 => "2001:db8::10-2001:db8::20",
        }));
        return None;
    };
    Some(Inverted { inverted: given.inverted, value })
}

fn fits(range: Option<Range>, address: Address) -> bool {
    range.is_none_or(|range| {
        let (low, high) = range.value;
        (low <= address && address <= high) != range.inverted
    })
}

impl IpRange {
    fn sides(&self) -> [(&'static str, &'static str, Option<Range>); 2] {
        [("src-range", "source", self.source), ("dst-range", "destination", self.destination)]
    }
}

impl Match for IpRange {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = &*traversal.packet;
        (fits(self.source, packet.source) && fits(self.destination, packet.destination)).into()
    }

    fn print(&self, out: &mut String) {
        for (option, _, range) in self.sides() {
            if let Some(range) = range {
                let (low, high) = range.value;
                values::print_option(out, range.inverted, option);
                let _ = write!(out, " {}-{}", low.written(self.family), high.written(self.family));
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        for (_, side, range) in self.sides() {
            if let Some(range) = range {
                let (low, high) = range.value;
                let not = if range.inverted { "! " } else { "" };
                let (low, high) = (low.written(self.family), high.written(self.family));
                let _ = write!(out, " {side} IP range {not}{low}-{high}");
            }
        }
    }

    fn packet_set(&self) -> PacketSet {
        let sides = [(Field::Source, self.source), (Field::Destination, self.destination)];
        let side = |(field, range): (Field, Option<Range>)| {
            let Inverted { inverted, value: (low, high) } = range?;
            let [low, high] = [low, high].map(|address| u128::from_be_bytes(address.0));
            Some(PacketSet::within(field, low, high, inverted))
        };
        PacketSet::All(sides.into_iter().filter_map(side).collect())
    }

    fn explain(&self, out: &mut Pieces) {
        for (_, side, range) in self.sides() {
            if let Some(range) = range {
                let (low, high) = range.value;
                let verb = either(range.inverted, "lies", "does not lie");
                let (low_ip, high_ip) = (low.written(self.family), high.written(self.family));
                out.push(Piece::Condition(format!(
                    "its {side} address {verb} between {low_ip} and {high_ip} (both included)"
                )));
                if low > high {
                    out.push(Piece::Caution(
                        "This range begins above its end and is empty.".into(),
                    ));
                }
            }
        }
    }
}
