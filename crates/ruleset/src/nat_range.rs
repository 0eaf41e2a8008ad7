//! What the targets that translate addresses have in common: to which addresses and ports, and how
//! one of them is chosen. No target itself.
//!
//! Their rules see the first packet of a connection; what they say of it stands in
//! [`keepstate_conntrack::nat`].

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Change;
use crate::evaluate::Traversal;
use crate::explain::{Piece, Pieces, range};
use crate::extension::{Arguments, Given, OptionSpec, flag, names, values};
use crate::packet_set::Field;
use crate::verdict::{Step, Verdict};
use alloc::{format, string::String, vec, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::nat::{Manip, Range};
use keepstate_packet::{Address, Family};

/// `--random`.
pub(crate) const RANDOM: OptionSpec = flag("random", 1);
/// `--random-fully`.
pub(crate) const RANDOM_FULLY: OptionSpec = flag("random-fully", 2);
/// `--persistent`.
pub(crate) const PERSISTENT: OptionSpec = flag("persistent", 3);

/// Sets up the translation of the packet's connection, which ends the walk of the table.
pub(crate) fn set_up(traversal: &mut Traversal<'_>, range: &Range, manip: Manip) -> Step {
    if let Some(conn) = traversal.tracked.and_then(|tracked| tracked.conn) {
        traversal.conntrack.set_up(traversal.now, conn, range, manip);
    }
    Step::Verdict(Verdict::Accept)
}

/// A range of one address, with the ports and the choice of a rule.
pub(crate) fn range_of(address: Address, ports: Option<Ports>, choice: Choice) -> Range {
    with(Range::of_address(address), ports, choice)
}

fn with(range: Range, ports: Option<Ports>, choice: Choice) -> Range {
    Range {
        ports: ports.map(|ports| (ports.first, ports.last)),
        // One that was read and forgotten counts as 0.
        base: ports.and_then(|ports| ports.base),
        random: choice.random || choice.random_fully,
        persistent: choice.persistent,
        ..range
    }
}

/// Ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// First.
    pub first: u16,
    /// Last.
    pub last: u16,
    /// `/BASE`: the port that is translated to the first one; the others keep their distance to it.
    pub base: Option<u16>,
}

impl Ports {
    /// Reads `PORT`, `FIRST-LAST` or `FIRST-LAST/BASE`; one port, and a base, may be named by a
    /// service, of whatever protocol.
    pub(crate) fn parse(arguments: &mut Arguments<'_>, given: &Given, text: &str) -> Option<Self> {
        needs_ports(arguments, given)?;
        let (first, rest) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
        let Some(first) = values::number(first, 65_535) else {
            let port = service(text).filter(|_| !text.starts_with(|c: char| c.is_ascii_digit()));
            let Some(port) = port else { return refuse(arguments, given, text) };
            return Some(Self { first: port, last: port, base: None });
        };
        let first = u16::try_from(first).ok()?;
        let Some(rest) = rest else { return Some(Self { first, last: first, base: None }) };
        let (last, base) = rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)));
        let last = values::number(last, 65_535).and_then(|last| u16::try_from(last).ok());
        let Some(last) = last else { return refuse(arguments, given, rest) };
        if last < first {
            let text = format!("the range {first}-{last} begins above its end");
            let fault = Diagnostic::new(code::RANGE_BACKWARDS, given.value_span, text);
            arguments.fault(fault.help(format!("{last}-{first}")));
            return None;
        }
        let Some(base) = base else { return Some(Self { first, last, base: None }) };
        let number = values::number(base, 65_535).and_then(|base| u16::try_from(base).ok());
        match number.or_else(|| service(base)).filter(|base| *base != 0) {
            Some(base) => Some(Self { first, last, base: Some(base) }),
            None => refuse(arguments, given, base),
        }
    }

    /// The same where a base is read and forgotten, as SNAT and MASQUERADE do: it comes back as 0.
    pub(crate) fn without_base(self) -> Self {
        Self { base: self.base.map(|_| 0), ..self }
    }

    /// Appends it as it is read, without a blank before it.
    pub(crate) fn print(self, out: &mut String) {
        let _ = write!(out, "{}", self.first);
        if self.first != self.last {
            let _ = write!(out, "-{}", self.last);
        }
        if let Some(base) = self.base {
            let _ = write!(out, "/{base}");
        }
    }

    pub(crate) fn says(self) -> String {
        let ports = range(self.first, self.last);
        match self.base.filter(|base| *base != 0) {
            Some(base) => format!("port {ports}, {base} being translated to {}", self.first),
            None => format!("port {ports}"),
        }
    }
}

/// A service of any protocol.
fn service(text: &str) -> Option<u16> {
    names::service_port(text, None)
}

fn refuse<T>(arguments: &mut Arguments<'_>, given: &Given, text: &str) -> Option<T> {
    let why = match text {
        _ if text.contains(':') => format!("`{text}`: a range of ports has a dash here: 1024-2048"),
        "" => String::from("a port (0 to 65535) is missing"),
        _ => format!("`{text}` is no port (0 to 65535), range FIRST-LAST, or service"),
    };
    arguments.fault(Diagnostic::new(code::UNKNOWN_PORT, given.value_span, why));
    None
}

/// Ports need a rule for one protocol, whichever of those with ports; over IPv6 too, ICMP (1) counts
/// as one and ICMPv6 does not. `! -p tcp` will do.
fn needs_ports(arguments: &mut Arguments<'_>, given: &Given) -> Option<()> {
    const WITH_PORTS: [u8; 5] = [1, 6, 17, 33, 132];
    let protocol = arguments.header.protocol.map(|wanted| wanted.value);
    if protocol.is_some_and(|protocol| WITH_PORTS.contains(&protocol)) {
        return Some(());
    }
    let text = format!(
        "ports in `--{}` need `-p tcp`, `-p udp`, `-p sctp` or `-p dccp`",
        given.option.name
    );
    let fault = Diagnostic::new(code::PROTOCOL_NEEDED, given.span, text);
    arguments.fault(fault.help("-p tcp"));
    None
}

/// What becomes of a port where a rule names these, or none: then any may be chosen.
pub(crate) fn writes_of_ports(ports: Option<Ports>, field: Field) -> Change {
    match ports {
        Some(ports) => Change::Among(field, vec![(ports.first.into(), ports.last.into())]),
        None => Change::any(field),
    }
}

/// How one of several is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// `--random`: the port is drawn, with a hash of the connection.
    pub random: bool,
    /// `--random-fully`: the port is drawn without it.
    pub random_fully: bool,
    /// `--persistent`: the same client has the same address each time.
    pub persistent: bool,
}

impl Choice {
    pub(crate) fn parse(arguments: &Arguments<'_>) -> Self {
        let has = |spec: OptionSpec| arguments.option(spec.id).is_some();
        Self { random: has(RANDOM), random_fully: has(RANDOM_FULLY), persistent: has(PERSISTENT) }
    }

    /// Appends each with this before it: ` --` in a rule, ` ` in a listing.
    pub(crate) fn print(self, out: &mut String, before: &str) {
        let flags = [
            (self.random, RANDOM.name),
            (self.random_fully, RANDOM_FULLY.name),
            (self.persistent, PERSISTENT.name),
        ];
        for (_, name) in flags.iter().filter(|(given, _)| *given) {
            let _ = write!(out, "{before}{name}");
        }
    }

    pub(crate) fn explain(self, out: &mut Pieces) {
        let says = match (self.random_fully, self.random, self.persistent) {
            (true, ..) => "The port is drawn at random each time, against guessing.",
            (false, true, _) => {
                "The port is drawn at random, by a hash of the connection and a secret."
            }
            (false, false, true) => "A client keeps the address that it was once given.",
            (false, false, false) => return,
        };
        out.push(Piece::Note(says.into()));
    }
}

/// Addresses, ports or both, and how one of them is chosen (`SNAT`, `DNAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatRange {
    pub(crate) family: Family,
    /// First and last address; none: the address stays.
    pub addresses: Option<(Address, Address)>,
    /// None: any port will do, the old one before others.
    pub ports: Option<Ports>,
    /// How.
    pub choice: Choice,
}

impl NatRange {
    /// What a translation changes.
    pub(crate) fn writes(&self, manip: Manip) -> Vec<Change> {
        let (address, port) = match manip {
            Manip::Source => (Field::Source, Field::SourcePort),
            Manip::Destination => (Field::Destination, Field::DestinationPort),
        };
        let mut writes = vec![Change::Bytes];
        writes.extend(self.addresses.map(|(first, last)| {
            let [first, last] = [first, last].map(|one| u128::from_be_bytes(one.0));
            Change::Among(address, vec![(first, last)])
        }));
        // Without ports the destination's stays; the source's may have to give way.
        if self.ports.is_some() || manip == Manip::Source {
            writes.push(writes_of_ports(self.ports, port));
        }
        writes
    }

    /// Reads `[ADDRESS[-ADDRESS]][:PORTS]`; over IPv6 addresses before a port stand in brackets.
    pub(crate) fn parse(arguments: &mut Arguments<'_>, given: &Given) -> Option<Self> {
        let (addresses, ports) = split(arguments, given)?;
        let ports = match ports {
            None => None,
            Some(text) => Some(Ports::parse(arguments, given, text)?),
        };
        let addresses = match addresses {
            None => None,
            Some(text) => Some(address_range(arguments, given, text)?),
        };
        let choice = Choice::parse(arguments);
        Some(Self { family: arguments.family, addresses, ports, choice })
    }

    /// To what it translates.
    pub(crate) fn range(&self) -> Range {
        with(Range { addresses: self.addresses, ..Range::default() }, self.ports, self.choice)
    }

    /// Appends it as it is read, without a blank before it.
    fn print_range(&self, out: &mut String) {
        let brackets = self.family == Family::V6 && self.ports.is_some();
        if let Some((first, last)) = self.addresses {
            out.push_str(if brackets { "[" } else { "" });
            let _ = write!(out, "{}", first.written(self.family));
            if first != last {
                let _ = write!(out, "-{}", last.written(self.family));
            }
            out.push_str(if brackets { "]" } else { "" });
        }
        if let Some(ports) = self.ports {
            out.push(':');
            ports.print(out);
        }
    }

    pub(crate) fn print(&self, out: &mut String, option: &str) {
        let _ = write!(out, " --{option} ");
        self.print_range(out);
        self.choice.print(out, " --");
    }

    pub(crate) fn list(&self, out: &mut String) {
        out.push_str(" to:");
        self.print_range(out);
        self.choice.print(out, " ");
    }

    /// `10.0.0.1 to 10.0.0.9, port 80`.
    pub(crate) fn says(&self) -> String {
        let address = |one: Address| one.written(self.family);
        let addresses = self.addresses.map(|(first, last)| match first == last {
            true => format!("{}", address(first)),
            false => format!("one of {} to {}", address(first), address(last)),
        });
        match (addresses, self.ports) {
            (Some(addresses), None) => addresses,
            (Some(addresses), Some(ports)) => format!("{addresses}, {}", ports.says()),
            (None, ports) => ports.map(Ports::says).unwrap_or_default(),
        }
    }

    /// Cautions and notes on the range.
    pub(crate) fn explain(&self, out: &mut Pieces) {
        self.choice.explain(out);
        if self.addresses.is_some_and(|(first, last)| first.0 > last.0) {
            out.push(Piece::Caution("The range of addresses begins above its end.".into()));
        }
        explain_lost_base(self.ports, out);
    }
}

/// SNAT and MASQUERADE take a base and forget it: what they save cannot be loaded again.
pub(crate) fn explain_lost_base(ports: Option<Ports>, out: &mut Pieces) {
    if ports.is_some_and(|ports| ports.base == Some(0)) {
        let text = "The base behind the range of ports is not used here, and what iptables-save \
                    prints of it, `/0`, iptables-restore refuses.";
        out.push(Piece::Caution(text.into()));
    }
}

/// Splits a range into what is before the colon and what is behind it.
fn split<'a>(
    arguments: &mut Arguments<'_>,
    given: &'a Given,
) -> Option<(Option<&'a str>, Option<&'a str>)> {
    let text = given.value.as_str();
    let bracketed = text.strip_prefix('[').filter(|_| arguments.family == Family::V6);
    if let Some(rest) = bracketed {
        let Some((addresses, rest)) = rest.split_once(']') else {
            arguments.bad_value(given, "an address: its bracket is not closed");
            return None;
        };
        let ports = rest.split_once(':').map(|(_, ports)| ports);
        let nothing = addresses.is_empty() && ports.is_some();
        return Some(((!nothing).then_some(addresses), ports));
    }
    // One colon stands before ports; an IPv6 address has more.
    Some(match text.split_once(':') {
        Some((addresses, ports)) if !ports.contains(':') => {
            ((!addresses.is_empty()).then_some(addresses), Some(ports))
        }
        _ => (Some(text), None),
    })
}

fn address_range(
    arguments: &mut Arguments<'_>,
    given: &Given,
    text: &str,
) -> Option<(Address, Address)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let family = arguments.family;
    let found = strict_address(first, family).zip(strict_address(last, family));
    if found.is_none() {
        arguments.bad_value(given, "an address, or FIRST-LAST, with a port behind a colon");
    }
    found
}

/// An address as these targets want it: four plain decimal numbers over IPv4.
fn strict_address(text: &str, family: Family) -> Option<Address> {
    match family {
        Family::V4 => {
            text.parse().ok().map(|address: core::net::Ipv4Addr| Address::v4(address.octets()))
        }
        Family::V6 => values::address(text, family),
    }
}

#[cfg(test)]
mod tests;
