//! Elements in words, as `add`, `del` and `test` take them.

use super::Fault;
use super::command::Verb;
use crate::extension::names;
use crate::sets::ipset::NAME_MAX;
use crate::sets::ipset::change::{IpRange, PortRange, Reference, Request, has_ports, host_length};
use crate::sets::ipset::element::IFACE_LENGTH;
use crate::sets::ipset::types::{Layout, Part, SetType};
use alloc::{format, string::String};
use keepstate_packet::{Address, Family};

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Which addresses may stand in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One address.
    Plain,
    /// An address, a range or a network; with IPv6 one address.
    RangeV4,
    /// A network, with IPv4 a range as well.
    Net,
    /// A range or a network, and no single address.
    Range,
}

/// A decimal, octal or hexadecimal number as strtoull(3) reads it, within limits.
pub(super) fn number(text: &str, min: u64, max: u64) -> Result<u64, Fault> {
    let outside = || Fault::syntax(format_args!("'{text}' is out of range {min}-{max}"));
    let invalid = || Fault::syntax(format_args!("'{text}' is invalid as number"));
    let trimmed = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(rest)) if !rest.is_empty() => (rest, 8),
        _ => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(invalid());
    }
    let value = u64::from_str_radix(digits, radix).map_err(|_| outside())?;
    let value = if negative { value.wrapping_neg() } else { value };
    if (min..=max).contains(&value) { Ok(value) } else { Err(outside()) }
}

/// Splits at the first separator outside brackets; not where one stands at the beginning or the end.
fn split(text: &str, separator: char) -> Option<(&str, &str)> {
    if text.starts_with(separator) || text.ends_with(separator) {
        return None;
    }
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if c == separator && !inside => {
                return Some((text.get(..at)?, text.get(at + c.len_utf8()..)?));
            }
            _ => {}
        }
    }
    None
}

/// What stands in brackets, or the text itself.
fn unbracketed(text: &str) -> Result<&str, Fault> {
    match text.strip_prefix('[') {
        None => Ok(text),
        Some(rest) => rest.strip_suffix(']').ok_or_else(|| {
            Fault::syntax(format_args!("cannot find closing escape character ']' in {text}"))
        }),
    }
}

/// An address as it is commonly written, with octets left out as inet_aton(3) has it, in decimal or
/// octal. Names are not looked up.
pub(super) fn address(text: &str, family: Family) -> Result<Address, Fault> {
    let name = match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let text = unbracketed(text)?;
    let found = match family {
        Family::V4 => address_v4(text),
        Family::V6 => text.parse().ok().map(|a: core::net::Ipv6Addr| Address::v6(a.octets())),
    };
    found.ok_or_else(|| {
        Fault::syntax(format_args!("cannot parse {text}: resolving to {name} address failed"))
    })
}

fn address_v4(text: &str) -> Option<Address> {
    let mut parts = text.split('.').peekable();
    let mut value = 0_u64;
    let mut left = 4_u32;
    while let Some(part) = parts.next() {
        left = left.checked_sub(1)?;
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let octal = part.len() > 1 && part.starts_with('0');
        let number = u64::from_str_radix(part, if octal { 8 } else { 10 }).ok()?;
        if parts.peek().is_some() {
            value = value << 8 | Some(number).filter(|number| *number <= 255)?;
        } else {
            let bits = 8 * (left + 1);
            value = value << bits | Some(number).filter(|number| number >> bits == 0)?;
        }
    }
    u32::try_from(value).ok().map(|value| Address::v4(value.to_be_bytes()))
}

/// An address, a range or a network.
pub(super) fn ip_range(text: &str, family: Family, wanted: Wanted) -> Result<IpRange, Fault> {
    let v6 = family == Family::V6;
    let complaint = match (wanted, v6) {
        (Wanted::Range, _) => "IP/cidr or IP-IP range must be specified",
        (Wanted::Net, true) => "IP address or IP/cidr must be specified",
        _ => "plain IP address must be supplied",
    };
    let refused = || Fault::syntax(format_args!("{complaint}: {text}"));
    let plain = wanted == Wanted::Plain || (v6 && wanted == Wanted::RangeV4);
    if let Some((from, length)) = split(text, '/') {
        let whole = host_length(family);
        let cidr = number(length, 0, 255).and_then(|_| number(length, 0, whole.into()));
        if plain && length != format!("{whole}") {
            return Err(refused());
        }
        let cidr = u8::try_from(cidr?).unwrap_or(whole);
        let from = address(from, family)?;
        return Ok(IpRange { from, to: None, cidr: Some(cidr) });
    }
    if let Some((from, to)) = split(text, '-') {
        if plain || v6 {
            return Err(refused());
        }
        let (from, to) = (address(from, family)?, address(to, family)?);
        return Ok(IpRange { from, to: Some(to), cidr: None });
    }
    if wanted == Wanted::Range {
        return Err(refused());
    }
    Ok(IpRange { from: address(text, family)?, to: None, cidr: None })
}

/// A port by number or name.
fn port(text: &str, protocol: &str, number_of_protocol: u8) -> Result<u16, Fault> {
    let found = number(text, 0, 65_535);
    let fault = match found {
        Ok(value) => return Ok(u16::try_from(value).unwrap_or(0)),
        Err(fault) => fault,
    };
    let name = unbracketed(text)?;
    if let Some(port) = names::service_port(name, Some(number_of_protocol)) {
        return Ok(port);
    }
    let also = match number(protocol, 0, 255) {
        Ok(_) => String::new(),
        Err(fault) => format!("{}\n", fault.text),
    };
    let text = format!("{}\n{also}cannot parse '{text}' as a {protocol} port", fault.text);
    Err(Fault::refused(text))
}

/// A port or a range of them.
fn ports(text: &str, protocol: &str, proto: u8) -> Result<PortRange, Fault> {
    let Some((from, to)) = split(text, '-') else {
        return Ok(PortRange { proto, from: port(text, protocol, proto)?, to: None });
    };
    let (from, to) = (port(from, protocol, proto)?, port(to, protocol, proto)?);
    Ok(PortRange { proto, from, to: Some(to) })
}

/// A protocol by name or number.
fn protocol(text: &str) -> Result<u8, Fault> {
    let by_number = number(text, 0, 255).ok().and_then(|value| u8::try_from(value).ok());
    let by_name = || names::protocol_number(&text.to_ascii_lowercase());
    by_number
        .or_else(by_name)
        .ok_or_else(|| Fault::syntax(format_args!("cannot parse '{text}' as a protocol")))
}

/// Ports of a bitmap: the protocol only helps to find a service.
pub(super) fn bare_ports(text: &str) -> Result<PortRange, Fault> {
    let Some((name, rest)) = split(text, ':') else { return ports(text, "tcp", TCP) };
    let proto = protocol(name)?;
    match proto {
        _ if has_ports(proto) => ports(rest, name, proto),
        // The real tool crashes.
        ICMP | ICMPV6 => Err(Fault::syntax("Only protocols TCP and UDP are valid")),
        _ => pseudo_port(rest, name, proto),
    }
}

fn proto_ports(
    text: &str,
    family: Family,
    elsewhere: &mut Option<String>,
) -> Result<PortRange, Fault> {
    let Some((name, rest)) = split(text, ':') else { return ports(text, "tcp", TCP) };
    let proto = protocol(name)?;
    if has_ports(proto) {
        return ports(rest, name, proto);
    }
    let icmp = |table, word: &str| {
        kind(rest, table).and_then(|from| {
            from.ok_or_else(|| {
                Fault::refused(format!("Cannot parse {rest} as an {word} type/code."))
            })
        })
    };
    let mut only = |word: &str, family: &str| {
        let text = format!("Protocol {word} can be used with family {family} only");
        *elsewhere = Some(Fault::syntax(text).text);
        Ok(PortRange { proto, from: 0, to: None })
    };
    let from = match (proto, family) {
        (ICMP, Family::V4) => icmp(ICMP_NAMES, "ICMP")?,
        (ICMPV6, Family::V6) => icmp(ICMPV6_NAMES, "ICMPv6")?,
        (ICMP, Family::V6) => return only("ICMP", "inet"),
        (ICMPV6, Family::V4) => return only("ICMPv6", "inet6"),
        _ => return pseudo_port(rest, name, proto),
    };
    Ok(PortRange { proto, from, to: None })
}

/// The port of a protocol without ports: 0.
fn pseudo_port(text: &str, protocol: &str, proto: u8) -> Result<PortRange, Fault> {
    if number(text, 0, 65_535) == Ok(0) {
        return Ok(PortRange { proto, from: 0, to: None });
    }
    Err(Fault::syntax(format_args!(
        "Protocol {protocol} can be used with pseudo port value 0 only."
    )))
}

type IcmpName = (&'static str, u8, u8);

/// Names of ICMP messages; where there are two, the first is printed.
pub(super) const ICMP_NAMES: &[IcmpName] = &[
    ("echo-reply", 0, 0),
    ("pong", 0, 0),
    ("network-unreachable", 3, 0),
    ("host-unreachable", 3, 1),
    ("protocol-unreachable", 3, 2),
    ("port-unreachable", 3, 3),
    ("fragmentation-needed", 3, 4),
    ("source-route-failed", 3, 5),
    ("network-unknown", 3, 6),
    ("host-unknown", 3, 7),
    ("network-prohibited", 3, 9),
    ("host-prohibited", 3, 10),
    ("TOS-network-unreachable", 3, 11),
    ("TOS-host-unreachable", 3, 12),
    ("communication-prohibited", 3, 13),
    ("host-precedence-violation", 3, 14),
    ("precedence-cutoff", 3, 15),
    ("source-quench", 4, 0),
    ("network-redirect", 5, 0),
    ("host-redirect", 5, 1),
    ("TOS-network-redirect", 5, 2),
    ("TOS-host-redirect", 5, 3),
    ("echo-request", 8, 0),
    ("ping", 8, 0),
    ("router-advertisement", 9, 0),
    ("router-solicitation", 10, 0),
    ("ttl-zero-during-transit", 11, 0),
    ("ttl-zero-during-reassembly", 11, 1),
    ("ip-header-bad", 12, 0),
    ("required-option-missing", 12, 1),
    ("timestamp-request", 13, 0),
    ("timestamp-reply", 14, 0),
    ("address-mask-request", 17, 0),
    ("address-mask-reply", 18, 0),
];

/// Names of ICMPv6 messages.
pub(super) const ICMPV6_NAMES: &[IcmpName] = &[
    ("no-route", 1, 0),
    ("communication-prohibited", 1, 1),
    ("address-unreachable", 1, 3),
    ("port-unreachable", 1, 4),
    ("packet-too-big", 2, 0),
    ("ttl-zero-during-transit", 3, 0),
    ("ttl-zero-during-reassembly", 3, 1),
    ("bad-header", 4, 0),
    ("unknown-header-type", 4, 1),
    ("unknown-option", 4, 2),
    ("echo-request", 128, 0),
    ("ping", 128, 0),
    ("echo-reply", 129, 0),
    ("pong", 129, 0),
    ("router-solicitation", 133, 0),
    ("router-advertisement", 134, 0),
    ("neighbour-solicitation", 135, 0),
    ("neigbour-solicitation", 135, 0),
    ("neighbour-advertisement", 136, 0),
    ("neigbour-advertisement", 136, 0),
    ("redirect", 137, 0),
];

/// Type and code in one number; nothing where it is neither a name nor two numbers.
fn kind(text: &str, table: &[IcmpName]) -> Result<Option<u16>, Fault> {
    let both = |kind: u8, code: u8| u16::from_be_bytes([kind, code]);
    if let Some((_, kind, code)) = table.iter().find(|(name, ..)| *name == text) {
        return Ok(Some(both(*kind, *code)));
    }
    let Some((kind, code)) = split(text, '/') else { return Ok(None) };
    let byte = |text| number(text, 0, 255).map(|value| u8::try_from(value).unwrap_or(0));
    Ok(Some(both(byte(kind)?, byte(code)?)))
}

fn mac(text: &str) -> Result<[u8; 6], Fault> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    let all = octets.iter_mut().all(|octet| {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()));
        let part = part.filter(|part| part.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = part.and_then(|part| u8::from_str_radix(part, 16).ok());
        value.map(|value| *octet = value).is_some()
    });
    if all && parts.next().is_none() {
        Ok(octets)
    } else {
        Err(Fault::syntax(format_args!("cannot parse '{text}' as ethernet address")))
    }
}

fn iface(text: &str) -> Result<([u8; IFACE_LENGTH], bool), Fault> {
    let (physdev, name) = match text.strip_prefix("physdev:") {
        Some(name) => (true, name),
        None => (false, text),
    };
    let most = IFACE_LENGTH - 1;
    if name.len() > most {
        return Err(Fault::syntax(format_args!(
            "interface name '{name}' is longer than {most} characters"
        )));
    }
    let mut octets = [0; IFACE_LENGTH];
    for (to, from) in octets.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    Ok((octets, physdev))
}

/// The name of a set.
pub(super) fn set_name(text: &str) -> Result<String, Fault> {
    if text.len() > NAME_MAX {
        return Err(Fault::syntax(format_args!(
            "setname '{text}' is longer than {NAME_MAX} characters"
        )));
    }
    Ok(text.into())
}

/// What an element of this type is in words. A protocol of the other family is told in `elsewhere`
/// and does not keep the rest from being read, as with the real tool.
pub(super) fn parse(
    text: &str,
    kind: &SetType,
    family: Family,
    elsewhere: &mut Option<String>,
) -> Result<Request, Fault> {
    let mut request = Request::default();
    if kind.layout == Layout::ListSet {
        member(text, &mut request)?;
        return Ok(request);
    }
    let parts = pieces(text, kind)?;
    for ((at, part), word) in kind.parts.iter().enumerate().zip(parts) {
        let Some(word) = word else { continue };
        let family = if elsewhere.is_some() { Family::V4 } else { family };
        match part {
            Part::Ip | Part::Net if at == 0 => {
                request.ip = ip_range(word, family, first_wanted(kind))?;
            }
            Part::Ip => request.ip2 = ip_range(word, family, Wanted::Plain)?,
            Part::Net => request.ip2 = ip_range(word, family, Wanted::Net)?,
            Part::Port if kind.layout == Layout::BitmapPort => request.port = bare_ports(word)?,
            Part::Port => request.port = proto_ports(word, family, elsewhere)?,
            Part::Mac => request.mac = Some(mac(word)?),
            Part::Mark => {
                let mark = number(word, 0, u32::MAX.into())?;
                request.mark = u32::try_from(mark).unwrap_or(0);
            }
            Part::Iface => (request.iface, request.physdev) = iface(word)?,
            Part::Set => {}
        }
    }
    Ok(request)
}

const fn first_wanted(kind: &SetType) -> Wanted {
    match kind.layout {
        Layout::BitmapIpMac | Layout::HashIpMac => Wanted::Plain,
        Layout::HashNet
        | Layout::HashNetPort
        | Layout::HashNetNet
        | Layout::HashNetPortNet
        | Layout::HashNetIface => Wanted::Net,
        _ => Wanted::RangeV4,
    }
}

/// A word for each part.
fn pieces<'a>(text: &'a str, kind: &SetType) -> Result<[Option<&'a str>; 3], Fault> {
    let (name, dimension) = (kind.name, kind.dimension());
    let (first, second) = split(text, ',').map_or((text, None), |(a, b)| (a, Some(b)));
    let missing =
        |which| Err(Fault::syntax(format_args!("{which} element is missing from {text}.")));
    let Some(second) = second else {
        return if dimension > 1 && !kind.options.optional_mac {
            missing("Second")
        } else {
            Ok([Some(first), None, None])
        };
    };
    if dimension < 2 {
        return Err(Fault::syntax(format_args!(
            "Elem separator in {text}, but settype {name} supports none."
        )));
    }
    let Some((second, third)) = split(second, ',') else {
        return if dimension > 2 {
            missing("Third")
        } else {
            Ok([Some(first), Some(second), None])
        };
    };
    if dimension < 3 {
        return Err(Fault::syntax(format_args!(
            "Two elem separators in {text}, but settype {name} supports one."
        )));
    }
    if split(third, ',').is_some() {
        return Err(Fault::syntax(format_args!(
            "Three elem separators in {text}, but settype {name} supports two."
        )));
    }
    Ok([Some(first), Some(second), Some(third)])
}

/// A set, or the old `SET,before,SET`.
fn member(text: &str, request: &mut Request) -> Result<(), Fault> {
    let Some((set, rest)) = split(text, ',') else {
        request.set = set_name(text.strip_suffix(',').unwrap_or(text))?;
        return Ok(());
    };
    let place = split(rest, ',').and_then(|(where_, other)| match where_ {
        "before" => Some((true, other)),
        "after" => Some((false, other)),
        _ => None,
    });
    let Some((before, other)) = place else {
        return Err(Fault::refused("you must specify elements as setname,[before|after],setname"));
    };
    request.set = set_name(set)?;
    let other = set_name(other)?;
    request.reference =
        Some(if before { Reference::Before(other) } else { Reference::After(other) });
    Ok(())
}

/// What a command does not take, though it can be read: `test` takes one element, and some places one
/// address.
pub(super) fn allowed(
    request: &Request,
    kind: &SetType,
    family: Family,
    verb: Verb,
) -> Result<(), Fault> {
    let family = match (kind.families.is_empty(), family) {
        (true, _) => "unspec",
        (false, Family::V4) => "inet",
        (false, Family::V6) => "inet6",
    };
    let refused = |what: &str| {
        Err(Fault::refused(format!(
            "{what} range is not allowed in command {} with set type {} and family {family}",
            verb.name(),
            kind.name
        )))
    };
    let test = verb == Verb::Test;
    let first_is_net = kind.parts.first() == Some(&Part::Net);
    let one = test && kind.layout != Layout::HashIp;
    let plain = matches!(kind.layout, Layout::BitmapIpMac | Layout::HashIpMac);
    if request.ip.cidr.is_some() && (plain || one && !first_is_net) {
        return refused("IP/CIDR");
    }
    if request.ip.to.is_some() && one {
        return refused("FROM-TO IP");
    }
    if request.port.to.is_some() && one {
        return refused("FROM-TO port");
    }
    if request.ip2.cidr.is_some() && kind.layout == Layout::HashIpPortIp {
        return Err(Fault::refused(
            "There are not allowed options (28) but can't resolve them. It's a bug, please report \
             the problem.",
        ));
    }
    Ok(())
}
