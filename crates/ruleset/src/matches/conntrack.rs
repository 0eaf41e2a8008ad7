//! `conntrack`: what connection tracking knows of the packet and its connection.
//!
//! A packet without a connection (INVALID, UNTRACKED, before tracking) is judged by its state
//! alone: the other conditions count as met when `--ctstate` is given and met, and as unmet when
//! it is not given.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either, or_list, range};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, names, valued, values};
use crate::matches::Match;
use crate::model::{Inverted, Network};
use crate::needs::Needs;
use crate::packet_set::{Field, PacketSet};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::{ConnId, CtState, CtStatus, Direction, Tracked, Tuple};
use keepstate_packet::{Address, Family};

const STATE: u8 = 0;
const PROTOCOL: u8 = 1;
const ORIGINAL_SOURCE: u8 = 2;
const STATUS: u8 = 6;
const EXPIRE: u8 = 7;
const DIRECTION: u8 = 8;
const ORIGINAL_SOURCE_PORT: u8 = 9;
const OPTIONS: &[OptionSpec] = &[
    valued("ctstate", STATE).inverted(),
    valued("ctproto", PROTOCOL).inverted(),
    valued("ctorigsrc", ORIGINAL_SOURCE).inverted(),
    valued("ctorigdst", ORIGINAL_SOURCE + 1).inverted(),
    valued("ctreplsrc", ORIGINAL_SOURCE + 2).inverted(),
    valued("ctrepldst", ORIGINAL_SOURCE + 3).inverted(),
    valued("ctstatus", STATUS).inverted(),
    valued("ctexpire", EXPIRE).inverted(),
    valued("ctdir", DIRECTION),
    valued("ctorigsrcport", ORIGINAL_SOURCE_PORT).inverted(),
    valued("ctorigdstport", ORIGINAL_SOURCE_PORT + 1).inverted(),
    valued("ctreplsrcport", ORIGINAL_SOURCE_PORT + 2).inverted(),
    valued("ctrepldstport", ORIGINAL_SOURCE_PORT + 3).inverted(),
];

const MANUAL: &str = "\
What connection tracking knows of the packet and of its connection. All that is given must hold.

- `[!] --ctstate STATE[,STATE...]`: the state of the packet: `NEW`, `ESTABLISHED`, `RELATED`, `INVALID`
  or `UNTRACKED`; and `SNAT`, `DNAT`: the connection's source or destination is translated.
- `[!] --ctproto PROTOCOL`: the connection's protocol, by name or number.
- `[!] --ctorigsrc ADDRESS[/MASK]`: the source address of the connection's first packet.
- `[!] --ctorigdst ADDRESS[/MASK]`: its destination address.
- `[!] --ctreplsrc ADDRESS[/MASK]`: the source address of the answers.
- `[!] --ctrepldst ADDRESS[/MASK]`: their destination address.
- `[!] --ctorigsrcport PORT[:PORT]`: the source port of the first packet.
- `[!] --ctorigdstport PORT[:PORT]`: its destination port.
- `[!] --ctreplsrcport PORT[:PORT]`: the source port of the answers.
- `[!] --ctrepldstport PORT[:PORT]`: their destination port.
- `[!] --ctstatus STATUS[,STATUS...]`: at least one of `EXPECTED` (announced by a helper), `SEEN_REPLY`
  (both ends have spoken), `ASSURED` (not thrown out when the table is full), `CONFIRMED` (its first
  packet has got through); `NONE` asks for nothing.
- `[!] --ctexpire SECONDS[:SECONDS]`: the time until the connection would be forgotten.
- `--ctdir ORIGINAL|REPLY`: the packet goes the way of the first one, or that of the answers.

    iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT

Mind: ESTABLISHED says that packets were seen both ways, not that a TCP handshake is done; `NEW` may be
any first packet, a TCP segment without SYN as well. A packet without a connection is judged by its
state alone: with `--ctstate` the rest counts as met, without it as not met.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "conntrack",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// INVALID.
pub const INVALID: u8 = 1 << 0;
/// NEW.
pub const NEW: u8 = 1 << 1;
/// RELATED.
pub const RELATED: u8 = 1 << 2;
/// ESTABLISHED.
pub const ESTABLISHED: u8 = 1 << 3;
/// UNTRACKED.
pub const UNTRACKED: u8 = 1 << 4;
/// The source is translated.
pub const SNAT: u8 = 1 << 5;
/// The destination is translated.
pub const DNAT: u8 = 1 << 6;

/// The states in the order of printing.
pub const STATES: [(u8, &str); 7] = [
    (INVALID, "INVALID"),
    (NEW, "NEW"),
    (RELATED, "RELATED"),
    (ESTABLISHED, "ESTABLISHED"),
    (UNTRACKED, "UNTRACKED"),
    (SNAT, "SNAT"),
    (DNAT, "DNAT"),
];

const STATUSES: [(u32, &str); 5] = [
    (0, "NONE"),
    (CtStatus::EXPECTED.0, "EXPECTED"),
    (CtStatus::SEEN_REPLY.0, "SEEN_REPLY"),
    (CtStatus::ASSURED.0, "ASSURED"),
    (CtStatus::CONFIRMED.0, "CONFIRMED"),
];

/// Status bits of a connection whose source or destination is translated, as the kernel numbers
/// them.
const STATUS_SNAT: u32 = 1 << 4;
const STATUS_DNAT: u32 = 1 << 5;

/// Names of the four addresses and of the four ports: original source and destination, reply
/// source and destination.
const ENDS: [(&str, Direction, &str); 4] = [
    ("ctorigsrc", Direction::Original, "source"),
    ("ctorigdst", Direction::Original, "destination"),
    ("ctreplsrc", Direction::Reply, "source"),
    ("ctrepldst", Direction::Reply, "destination"),
];

/// An instance.
#[derive(Debug)]
pub struct Conntrack {
    /// `--ctstate`: bits such as [`NEW`].
    pub state: Option<Inverted<u8>>,
    /// `--ctproto`.
    pub protocol: Option<Inverted<u8>>,
    /// `--ctorigsrc`, `--ctorigdst`, `--ctreplsrc`, `--ctrepldst`.
    pub addresses: [Option<Inverted<Network>>; 4],
    /// `--ctorigsrcport`, `--ctorigdstport`, `--ctreplsrcport`, `--ctrepldstport`.
    pub ports: [Option<Inverted<(u16, u16)>>; 4],
    /// `--ctstatus`: at least one of these bits.
    pub status: Option<Inverted<u32>>,
    /// `--ctexpire`: seconds left, from and to.
    pub expire: Option<Inverted<(u32, u32)>>,
    /// `--ctdir`.
    pub direction: Option<Direction>,
    family: Family,
    /// Only `--ctstate` is given, and neither SNAT nor DNAT: no connection has to be looked at.
    state_only: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    arguments.some_option()?;
    let (mut state, mut protocol, mut status, mut expire, mut direction) =
        (None, None, None, None, None);
    let (mut addresses, mut ports) = ([None; 4], [None; 4]);
    for given in arguments.given {
        let inverted = given.inverted;
        match given.option.id {
            STATE => {
                let value = parse_states(arguments, given, &STATES)?;
                state = Some(Inverted { inverted, value });
            }
            PROTOCOL => {
                protocol = Some(Inverted { inverted, value: parse_protocol(arguments, given)? })
            }
            STATUS => {
                let value = parse_status(arguments, given)?;
                status = Some(Inverted { inverted, value });
            }
            EXPIRE => {
                let (low, high) = arguments.range(given, u32::MAX.into())?;
                let value = (u32::try_from(low).ok()?, u32::try_from(high).ok()?);
                expire = Some(Inverted { inverted, value });
            }
            DIRECTION => direction = Some(parse_direction(arguments, given)?),
            id if id >= ORIGINAL_SOURCE_PORT => {
                let value = arguments.ports(given, None)?;
                let at = usize::from(id - ORIGINAL_SOURCE_PORT);
                if let Some(slot) = ports.get_mut(at) {
                    *slot = Some(Inverted { inverted, value });
                }
            }
            id => {
                let value = parse_address(arguments, given)?;
                let at = usize::from(id - ORIGINAL_SOURCE);
                if let Some(slot) = addresses.get_mut(at) {
                    *slot = Some(Inverted { inverted, value });
                }
            }
        }
    }
    let nat = state.is_some_and(|state: Inverted<u8>| state.value & (SNAT | DNAT) != 0);
    let state_only = arguments.given.len() == 1 && state.is_some() && !nat;
    let family = arguments.family;
    Some(Box::new(Conntrack {
        state,
        protocol,
        addresses,
        ports,
        status,
        expire,
        direction,
        family,
        state_only,
    }))
}

/// Reads a list of states, each of which may be shortened.
pub(super) fn parse_states(
    arguments: &mut Arguments<'_>,
    given: &Given,
    possible: &[(u8, &'static str)],
) -> Option<u8> {
    let mut bits = 0;
    for word in given.value.split(',') {
        let upper = word.to_ascii_uppercase();
        let found = possible.iter().find(|(_, name)| !word.is_empty() && name.starts_with(&upper));
        let Some((bit, _)) = found else {
            let names = possible.iter().map(|(_, name)| *name);
            arguments.unknown_word(word, word_span(given, word), "a state", names);
            return None;
        };
        bits |= bit;
    }
    Some(bits)
}

/// Where a word of a comma list stands, as far as the list has no quotes.
fn word_span(given: &Given, word: &str) -> crate::model::Span {
    let whole = given.value_span;
    let start = (word.as_ptr() as usize).wrapping_sub(given.value.as_ptr() as usize);
    let plain = (whole.end.saturating_sub(whole.start)) as usize == given.value.len();
    match (plain && start <= given.value.len(), u32::try_from(start), u32::try_from(word.len())) {
        (true, Ok(start), Ok(length)) if length > 0 => {
            let start = whole.start.saturating_add(start);
            crate::model::Span { start, end: start.saturating_add(length) }
        }
        _ => whole,
    }
}

fn parse_protocol(arguments: &mut Arguments<'_>, given: &Given) -> Option<u8> {
    match values::protocol(&given.value) {
        Some(0) => {
            let text = "no connection has protocol 0";
            arguments.fault(Diagnostic::new(code::UNKNOWN_PROTOCOL, given.value_span, text));
            None
        }
        Some(value) => Some(value),
        None => {
            let names = names::protocol_names();
            let text = format!("no protocol is called `{}`", given.value);
            let fault = Diagnostic::new(code::UNKNOWN_PROTOCOL, given.value_span, text);
            arguments.fault(match crate::diagnostic::nearest(&given.value, names) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
            None
        }
    }
}

fn parse_status(arguments: &mut Arguments<'_>, given: &Given) -> Option<u32> {
    let mut bits = 0;
    for word in given.value.split(',') {
        let upper = word.to_ascii_uppercase();
        let found = STATUSES.iter().find(|(_, name)| !word.is_empty() && name.starts_with(&upper));
        let Some((bit, _)) = found else {
            let names = STATUSES.iter().map(|(_, name)| *name);
            arguments.unknown_word(word, word_span(given, word), "a connection status", names);
            return None;
        };
        bits |= bit;
    }
    Some(bits)
}

fn parse_direction(arguments: &mut Arguments<'_>, given: &Given) -> Option<Direction> {
    match given.value.to_ascii_uppercase().as_str() {
        "ORIGINAL" => Some(Direction::Original),
        "REPLY" => Some(Direction::Reply),
        _ => {
            let names = ["ORIGINAL", "REPLY"].into_iter();
            arguments.unknown_word(&given.value, given.value_span, "a direction", names);
            None
        }
    }
}

/// Here the address is kept, and printed, as it was written, not masked.
fn parse_address(arguments: &mut Arguments<'_>, given: &Given) -> Option<Network> {
    let network = values::network(&given.value, arguments.family);
    let first = given.value.split('/').next().unwrap_or("");
    let address = values::whole_address(first, arguments.family);
    let Some((network, address)) = network.zip(address) else {
        let text = format!("`{}` is not an address", given.value);
        arguments.fault(Diagnostic::new(code::BAD_ADDRESS, given.value_span, text));
        return None;
    };
    Some(Network { address, mask: network.mask })
}

/// The bit of a packet's state; INVALID where tracking has not been.
#[inline]
#[must_use]
pub fn state_bit(tracked: Option<&Tracked>) -> u8 {
    match tracked.map(|tracked| tracked.state) {
        Some(CtState::Established) => ESTABLISHED,
        Some(CtState::New) => NEW,
        Some(CtState::Related) => RELATED,
        Some(CtState::Untracked) => UNTRACKED,
        Some(CtState::Invalid) | None => INVALID,
    }
}

/// Packets in one of these states, SNAT and DNAT not among them.
pub(super) fn states_set(wanted: Inverted<u8>) -> PacketSet {
    let found = [NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED].into_iter();
    let found = found.filter(|state| (wanted.value & state != 0) != wanted.inverted);
    let ranges = found.map(|state| (u128::from(state), u128::from(state))).collect();
    PacketSet::among(Field::State, ranges, false)
}

/// Names of states.
#[must_use]
pub fn state_names(bits: u8) -> Vec<&'static str> {
    STATES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
}

impl Conntrack {
    fn state_fits(&self, traversal: &Traversal<'_>, conn: Option<ConnId>) -> bool {
        let Some(wanted) = self.state else { return true };
        let mut found = state_bit(traversal.tracked);
        if wanted.value & (SNAT | DNAT) != 0 {
            let status = conn.and_then(|conn| traversal.conntrack.status(conn));
            let status = status.unwrap_or_default().0;
            found |= if status & STATUS_SNAT != 0 { SNAT } else { 0 };
            found |= if status & STATUS_DNAT != 0 { DNAT } else { 0 };
        }
        (wanted.value & found != 0) != wanted.inverted
    }

    fn conn_fits(&self, traversal: &Traversal<'_>, conn: ConnId) -> Option<bool> {
        let table = &*traversal.conntrack;
        let direction = traversal.tracked.and_then(|tracked| tracked.direction)?;
        let original = table.tuple(conn, Direction::Original)?;
        let reply = table.tuple(conn, Direction::Reply)?;
        let status = || table.status(conn).unwrap_or_default().0;
        let seconds = || {
            let left = table.remaining(traversal.now, conn).unwrap_or_default().as_secs();
            u32::try_from(left).unwrap_or(u32::MAX)
        };
        Some(self.fits(direction, [&original, &reply], status, seconds))
    }

    /// A template has no addresses, no ports and no protocol.
    fn template_fits(&self) -> bool {
        let none = Address([0; 16]);
        let tuple = Tuple {
            source: none,
            destination: none,
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            family: self.family,
        };
        let status = || (CtStatus::TEMPLATE | CtStatus::CONFIRMED).0;
        self.fits(Direction::Original, [&tuple, &tuple], status, || 0)
    }

    fn fits(
        &self,
        direction: Direction,
        [original, reply]: [&Tuple; 2],
        status: impl Fn() -> u32,
        seconds: impl Fn() -> u32,
    ) -> bool {
        let ends = ends(original, reply);
        let addresses = self.addresses.iter().zip(&ends).all(|(wanted, (address, _))| {
            wanted.is_none_or(|wanted| masked_equal(&wanted.value, *address) != wanted.inverted)
        });
        let ports = self.ports.iter().zip(&ends).all(|(wanted, (_, port))| {
            wanted.is_none_or(|wanted| {
                let (low, high) = wanted.value;
                (low..=high).contains(port) != wanted.inverted
            })
        });
        self.direction.is_none_or(|wanted| wanted == direction)
            && addresses
            && self
                .protocol
                .is_none_or(|wanted| (wanted.value == original.protocol) != wanted.inverted)
            && ports
            && self.status.is_none_or(|wanted| (wanted.value & status() != 0) != wanted.inverted)
            && self.expire.is_none_or(|wanted| {
                let (low, high) = wanted.value;
                (low..=high).contains(&seconds()) != wanted.inverted
            })
    }
}

fn ends(original: &Tuple, reply: &Tuple) -> [(Address, u16); 4] {
    [
        (original.source, original.source_port),
        (original.destination, original.destination_port),
        (reply.source, reply.source_port),
        (reply.destination, reply.destination_port),
    ]
}

fn masked_equal(network: &Network, address: Address) -> bool {
    let [address, wanted, mask] =
        [address, network.address, network.mask].map(|octets| u128::from_ne_bytes(octets.0));
    (address ^ wanted) & mask == 0
}

impl Match for Conntrack {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    #[inline]
    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        if self.state_only {
            let found = state_bit(traversal.tracked);
            let fits =
                self.state.is_some_and(|wanted| (wanted.value & found != 0) != wanted.inverted);
            return fits.into();
        }
        let conn = traversal.tracked.and_then(|tracked| tracked.conn);
        if !self.state_fits(traversal, conn) {
            return Answer::No;
        }
        match conn {
            None if traversal.tracked == Some(&Tracked::TEMPLATE) => self.template_fits().into(),
            None => self.state.is_some().into(),
            Some(conn) => self.conn_fits(traversal, conn).unwrap_or(false).into(),
        }
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn print(&self, out: &mut String) {
        if let Some(state) = self.state {
            values::print_option(out, state.inverted, "ctstate");
            let _ = write!(out, " {}", state_names(state.value).join(","));
        }
        if let Some(protocol) = self.protocol {
            values::print_option(out, protocol.inverted, "ctproto");
            let _ = write!(out, " {}", protocol.value);
        }
        for (wanted, (name, ..)) in self.addresses.iter().zip(ENDS) {
            if let Some(wanted) = wanted {
                values::print_option(out, wanted.inverted, name);
                out.push(' ');
                print_address(out, &wanted.value, self.family);
            }
        }
        for (wanted, (name, ..)) in self.ports.iter().zip(ENDS) {
            if let Some(wanted) = wanted {
                values::print_option(out, wanted.inverted, name);
                out.push_str("port");
                values::print_range(out, wanted.value.0, wanted.value.1);
            }
        }
        if let Some(status) = self.status {
            values::print_option(out, status.inverted, "ctstatus");
            let _ = write!(out, " {}", status_names(status.value).join(","));
        }
        if let Some(expire) = self.expire {
            values::print_option(out, expire.inverted, "ctexpire");
            values::print_range(out, expire.value.0, expire.value.1);
        }
        out.push_str(match self.direction {
            None => "",
            Some(Direction::Original) => " --ctdir ORIGINAL",
            Some(Direction::Reply) => " --ctdir REPLY",
        });
    }

    fn list(&self, out: &mut String, numeric: bool) {
        if let Some(state) = self.state {
            list_option(out, state.inverted, "ctstate");
            let _ = write!(out, " {}", state_names(state.value).join(","));
        }
        if let Some(protocol) = self.protocol {
            list_option(out, protocol.inverted, "ctproto");
            let _ = write!(out, " {}", protocol.value);
        }
        for (wanted, (name, ..)) in self.addresses.iter().zip(ENDS) {
            if let Some(wanted) = wanted {
                list_option(out, wanted.inverted, name);
                out.push(' ');
                // Of the address alone: whatever the mask, if it is anywhere.
                if !numeric && wanted.value.address == Address::default() {
                    out.push_str("anywhere");
                } else {
                    print_address(out, &wanted.value, self.family);
                }
            }
        }
        for (wanted, (name, ..)) in self.ports.iter().zip(ENDS) {
            if let Some(wanted) = wanted {
                list_option(out, wanted.inverted, name);
                out.push_str("port");
                values::print_range(out, wanted.value.0, wanted.value.1);
            }
        }
        if let Some(status) = self.status {
            list_option(out, status.inverted, "ctstatus");
            let _ = write!(out, " {}", status_names(status.value).join(","));
        }
        if let Some(expire) = self.expire {
            list_option(out, expire.inverted, "ctexpire");
            values::print_range(out, expire.value.0, expire.value.1);
        }
        out.push_str(match self.direction {
            None => "",
            Some(Direction::Original) => " ctdir ORIGINAL",
            Some(Direction::Reply) => " ctdir REPLY",
        });
    }

    fn packet_set(&self) -> PacketSet {
        match self.state.filter(|_| self.state_only) {
            Some(wanted) => states_set(wanted),
            None => {
                let rest = match self.expire {
                    Some(_) => PacketSet::Opaque,
                    None => PacketSet::named(self),
                };
                // All that it asks for has to hold; of the state more can be said than of the rest.
                let plain = self.state.filter(|wanted| wanted.value & (SNAT | DNAT) == 0);
                match plain {
                    Some(wanted) => PacketSet::All(Vec::from([states_set(wanted), rest])),
                    None => rest,
                }
            }
        }
    }

    fn explain(&self, out: &mut Pieces) {
        if let Some(state) = self.state {
            explain_states(state, out);
        }
        if let Some(protocol) = self.protocol {
            let verb = either(protocol.inverted, "is", "is not");
            let name = names::protocol_name(protocol.value).unwrap_or("of a number without name");
            out.push(Piece::Condition(format!(
                "its connection {verb} {name} ({})",
                protocol.value
            )));
        }
        self.explain_ends(out);
        if let Some(status) = self.status {
            let verb = either(status.inverted, "is", "is not");
            let names = or_list(&status_names(status.value));
            out.push(Piece::Condition(if status.value == 0 {
                let always = either(status.inverted, "never", "always");
                format!("no status is asked for (NONE), which {always} holds")
            } else {
                format!("its connection {verb} {names}")
            }));
        }
        if let Some(expire) = self.expire {
            let verb = either(expire.inverted, "would be", "would not be");
            let seconds = range(expire.value.0, expire.value.1);
            out.push(Piece::Condition(format!(
                "its connection {verb} forgotten in {seconds} seconds if nothing came any more"
            )));
        }
        self.explain_status(out);
        self.explain_absence(out);
        if let Some(direction) = self.direction {
            out.push(Piece::Condition(match direction {
                Direction::Original => "it goes the way of the connection's first packet".into(),
                Direction::Reply => {
                    "it goes against the way of the connection's first packet".into()
                }
            }));
        }
    }
}

impl Conntrack {
    fn explain_status(&self, out: &mut Pieces) {
        let Some(status) = self.status else { return };
        for (bit, name) in STATUSES {
            if status.value & bit != 0 || (bit == 0 && status.value == 0) {
                let means = match name {
                    "NONE" => {
                        "no status at all is asked for, so nothing matches (behind `!`: every packet \
                         of a connection)"
                    }
                    "EXPECTED" => "a conntrack helper announced the connection",
                    "SEEN_REPLY" => "packets were seen in both directions",
                    "ASSURED" => {
                        "the tracker takes the connection for settled (TCP: the handshake is complete; \
                         UDP: a stream, both ways for over two seconds) and does not throw it out \
                         early for want of room"
                    }
                    _ => "the first packet of the connection has survived every hook",
                };
                out.push(Piece::Note(format!("{name}: {means}.")));
            }
        }
    }

    /// What becomes of packets that have no connection to be asked about.
    fn explain_absence(&self, out: &mut Pieces) {
        let asks = self.protocol.is_some()
            || self.addresses.iter().any(Option::is_some)
            || self.ports.iter().any(Option::is_some)
            || self.status.is_some()
            || self.expire.is_some()
            || self.direction.is_some();
        if asks {
            out.push(Piece::Note(match self.state {
                None => {
                    "INVALID and UNTRACKED packets have no connection and never match, inverted \
                         or not."
                        .into()
                }
                Some(_) => {
                    "INVALID and UNTRACKED packets have no connection: of them only the state \
                            is asked, and the other words of this match are passed over."
                        .into()
                }
            }));
        }
    }

    fn explain_ends(&self, out: &mut Pieces) {
        let way = |direction| match direction {
            Direction::Original => "original",
            Direction::Reply => "reply",
        };
        for (wanted, (_, direction, side)) in self.addresses.iter().zip(ENDS) {
            if let Some(wanted) = wanted {
                let mut address = String::new();
                print_address(&mut address, &wanted.value, self.family);
                let verb = either(wanted.inverted, "is", "is not");
                let within = if address.contains('/') { " in" } else { "" };
                let way = way(direction);
                out.push(Piece::Condition(format!(
                    "the {way} {side} address of its connection {verb}{within} {address}"
                )));
            }
        }
        for (wanted, (_, direction, side)) in self.ports.iter().zip(ENDS) {
            if let Some(wanted) = wanted {
                let verb = either(wanted.inverted, "is", "is not");
                let ports = range(wanted.value.0, wanted.value.1);
                let way = way(direction);
                out.push(Piece::Condition(format!(
                    "the {way} {side} port of its connection {verb} {ports}"
                )));
            }
        }
    }
}

/// A whole address is printed without its length here.
fn list_option(out: &mut String, inverted: bool, name: &str) {
    out.push_str(if inverted { " ! " } else { " " });
    out.push_str(name);
}

fn print_address(out: &mut String, network: &Network, family: Family) {
    let whole = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    if values::prefix_length(network.mask, family) == Some(whole) {
        let _ = write!(out, "{}", network.address.written(family));
    } else {
        values::print_network(out, network, family);
    }
}

fn status_names(bits: u32) -> Vec<&'static str> {
    let named = STATUSES.iter().filter(|(bit, _)| bits & bit != 0 || (*bit == 0 && bits == 0));
    named.map(|(_, name)| *name).collect()
}

/// Says what states are asked for, with the words that have articles.
pub(super) fn explain_states(wanted: Inverted<u8>, out: &mut Pieces) {
    let names = state_names(wanted.value);
    let verb = either(wanted.inverted, "is", "is not");
    let means = |name: &'static str| match name {
        "SNAT" => "of a connection whose source is translated (SNAT)",
        "DNAT" => "of a connection whose destination is translated (DNAT)",
        state => state,
    };
    let said: Vec<&str> = names.iter().map(|name| means(name)).collect();
    out.push(Piece::Condition(format!(
        "connection tracking says that it {verb} {}",
        or_list(&said)
    )));
    for name in names {
        out.push(Piece::Term(name));
    }
    let every = INVALID | NEW | RELATED | ESTABLISHED | UNTRACKED;
    if wanted.value & every == every {
        let so = either(
            wanted.inverted,
            "this asks for nothing: it always holds",
            "with all of them ruled out the rule never matches",
        );
        out.push(Piece::Note(format!("Every packet has one of these five states; {so}.")));
    }
}
