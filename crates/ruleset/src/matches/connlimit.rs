//! `connlimit`: how many connections there are from (or to) the packet's address, or network of that
//! size, in its zone, this one included. What each rule counts is its own.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::needs::Needs;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::conncount::{Key, Standing};
use keepstate_conntrack::{ConnId, CtStatus, Direction, Tuple, Zone};
use keepstate_packet::{Address, Family};

const UPTO: u8 = 0;
const ABOVE: u8 = 1;
const MASK: u8 = 2;
const SADDR: u8 = 3;
const DADDR: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("connlimit-upto", UPTO).inverted(),
    valued("connlimit-above", ABOVE).inverted(),
    valued("connlimit-mask", MASK),
    flag("connlimit-saddr", SADDR),
    flag("connlimit-daddr", DADDR),
];

const MANUAL: &str = "\
How many connections there are from the packet's source address, or from its network: against a
client that opens too many.

- `--connlimit-above N`: more than N connections, this one counted. `! --connlimit-above N` is
  `--connlimit-upto N`.
- `--connlimit-upto N`: at most N.
- `--connlimit-mask LENGTH`: addresses that agree in so many bits count together; 0 to 32, with IPv6 to
  128. All bits, if not given: each address for itself. A mask such as 255.255.255.0 will do.
- `--connlimit-saddr`: the source address counts (so it is if nothing is said).
- `--connlimit-daddr`: the destination address counts.

    iptables -A INPUT -p tcp --syn --dport 22 -m connlimit --connlimit-above 3 -j REJECT

Mind: each rule counts those connections whose packets reach it, each zone apart. It should see new
connections only: an answer has its addresses the other way round.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "connlimit",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct ConnLimit {
    limit: u32,
    /// Up to the limit, rather than above it.
    upto: bool,
    /// Bits of the address that count.
    mask: u8,
    destination: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.option(UPTO).or(arguments.option(ABOVE));
    let Some(given) = given else {
        let text = "`connlimit` needs `--connlimit-above` or `--connlimit-upto`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    };
    for pair in [[UPTO, ABOVE], [SADDR, DADDR]] {
        if pair.iter().all(|id| arguments.option(*id).is_some()) {
            arguments.exclusive(&pair)?;
        }
    }
    let limit = arguments.number32(given)?;
    let mask = match arguments.option(MASK) {
        None => whole(arguments.family),
        Some(given) => length(arguments, given)?,
    };
    Some(Box::new(ConnLimit {
        limit,
        upto: (given.option.id == UPTO) != given.inverted,
        mask,
        destination: arguments.option(DADDR).is_some(),
    }))
}

pub(super) const fn whole(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// A number of bits, or a mask that is one.
pub(super) fn length(arguments: &mut Arguments<'_>, given: &Given) -> Option<u8> {
    let most = whole(arguments.family);
    let bits = values::number(&given.value, most.into()).and_then(|bits| u8::try_from(bits).ok());
    let mask = || {
        let octets = values::whole_address(&given.value, arguments.family)?.0;
        let octets = octets.get(..usize::from(most / 8))?;
        let bits: u32 = octets.iter().map(|octet| octet.leading_ones()).sum();
        let all: u32 = octets.iter().map(|octet| octet.count_ones()).sum();
        let first_zero = octets.iter().position(|octet| *octet != 0xff).unwrap_or(octets.len());
        let rest = octets.get(first_zero + 1..).unwrap_or_default();
        (bits == all && rest.iter().all(|octet| *octet == 0)).then_some(bits as u8)
    };
    let found = bits.or_else(mask);
    if found.is_none() {
        arguments.bad_value(given, &format!("a length of 0 to {most}"));
    }
    found
}

impl ConnLimit {
    fn key(&self, traversal: &Traversal<'_>, rule: u64, zone: u16) -> Key {
        let packet = &*traversal.packet;
        let address = if self.destination { packet.destination } else { packet.source };
        let mask = u128::MAX.checked_shl(128 - u32::from(self.mask)).unwrap_or(0);
        let address = Address((u128::from_be_bytes(address.0) & mask).to_be_bytes());
        Key { rule, address, zone }
    }
}

/// The connection of a packet that tracking did not take for one of it, by its addresses and ports.
fn connection_of(traversal: &Traversal<'_>) -> Option<ConnId> {
    let tuple = Tuple::of(traversal.packet, traversal.bytes)?;
    let found = traversal.conntrack.find(traversal.now, &tuple, Zone::default());
    found.map(|(conn, _)| conn)
}

impl Match for ConnLimit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let own = traversal.tracked.and_then(|tracked| tracked.conn);
        let conn = own.or_else(|| connection_of(traversal));
        let tuple = match own {
            Some(conn) => traversal.conntrack.tuple(conn, Direction::Original),
            // Whichever direction of its connection it has, it counts as one of this direction.
            None => Tuple::of(traversal.packet, traversal.bytes),
        };
        let Some(tuple) = tuple else { return Answer::Hotdrop };
        // A packet that tracking took for none of its connection is in no zone.
        let zone = own.and_then(|conn| traversal.conntrack.zone(conn)).unwrap_or_default();
        let status = conn.and_then(|conn| traversal.conntrack.status(conn)).unwrap_or_default();
        let standing = match status.contains(CtStatus::CONFIRMED) {
            true if status.contains(CtStatus::ASSURED) => Standing::Assured,
            true => Standing::Confirmed,
            false => Standing::New,
        };
        if state.credit <= 1 {
            state.credit = traversal.conntrack.new_count().saturating_add(1);
        }
        let key = self.key(traversal, state.credit, zone.id);
        let now = traversal.now;
        let count = traversal.conntrack.count_connections(now, key, &tuple, zone, standing);
        match count {
            None | Some(0) => Answer::Hotdrop,
            Some(count) => ((count > self.limit as usize) != self.upto).into(),
        }
    }

    fn initial(&self) -> State {
        State { credit: 1, ..State::default() }
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn print(&self, out: &mut String) {
        let which = if self.upto { "upto" } else { "above" };
        let end = if self.destination { "daddr" } else { "saddr" };
        let _ = write!(
            out,
            " --connlimit-{which} {} --connlimit-mask {} --connlimit-{end}",
            self.limit, self.mask
        );
    }

    fn list(&self, out: &mut String, _: bool) {
        let end = if self.destination { "dst" } else { "src" };
        let sign = if self.upto { "<=" } else { ">" };
        let _ = write!(out, " #conn {end}/{} {sign} {}", self.mask, self.limit);
    }

    fn explain(&self, out: &mut Pieces) {
        let amount = if self.upto { "at most" } else { "more than" };
        let way = if self.destination { "to" } else { "from" };
        let whose = match self.mask {
            0 => String::from("anywhere"),
            32 | 128 => String::from("its address"),
            mask => format!("its network of {mask} bits"),
        };
        out.push(Piece::Condition(format!(
            "there are {amount} {} connections {way} {whose}, this one counted",
            self.limit
        )));
        out.push(Piece::Note(
            "Each rule counts the connections whose packets come to it, those of each zone apart. A \
             TCP connection counts until it is closed, not until it is forgotten. Packets of the other \
             direction have the other end's address: the rule should be for new connections only."
                .into(),
        ));
    }
}
