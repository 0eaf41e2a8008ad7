//! What a command asks of one set: ranges and networks taken apart into elements, in the order in
//! which the kernel goes through them.

use super::element::{Element, IFACE_LENGTH};
use super::entries::{Entries, Given, Marks};
use super::set::{Found, IpSet};
use super::types::{Layout, Part};
use super::{Budget, Error};
use alloc::string::String;
use keepstate_packet::{Address, Family, Instant};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

/// An address, a range of them or a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpRange {
    /// The address, or the first one.
    pub from: Address,
    /// The last one of a range.
    pub to: Option<Address>,
    /// Length of a prefix.
    pub cidr: Option<u8>,
}

/// A port or a range of them, with the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortRange {
    /// Protocol.
    pub proto: u8,
    /// The port, or the first one; type and code of an ICMP message.
    pub from: u16,
    /// The last one of a range.
    pub to: Option<u16>,
}

/// Where in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Before the set of this name.
    Before(String),
    /// After it.
    After(String),
}

/// An element as a command names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// First address.
    pub ip: IpRange,
    /// Second address.
    pub ip2: IpRange,
    /// Protocol and port.
    pub port: PortRange,
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Mark.
    pub mark: u32,
    /// Interface, zero padded.
    pub iface: [u8; IFACE_LENGTH],
    /// The interface is a port of a bridge.
    pub physdev: bool,
    /// A set, for lists.
    pub set: String,
    /// Where in the list.
    pub reference: Option<Reference>,
    /// `nomatch`, `wildcard`.
    pub marks: Marks,
    /// Extensions.
    pub given: Given,
    /// It was in a set that is read back: nothing is to be said against it.
    pub trusted: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `add`; with `-exist`, what is there already is overwritten.
    Add {
        /// `-exist`.
        exist: bool,
    },
    /// `del`; with `-exist`, what is not there is no fault.
    Del {
        /// `-exist`.
        exist: bool,
    },
}

/// Whether ports of this protocol are ports.
#[must_use]
pub const fn has_ports(proto: u8) -> bool {
    matches!(proto, TCP | UDP | SCTP | UDPLITE)
}

impl IpSet {
    /// Adds or takes out what a request names. What was changed before a fault stays changed.
    pub(super) fn change(
        &mut self,
        request: &Request,
        change: Change,
        now: Instant,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let mut walk = Walk { set: self, request, change, now, budget };
        match walk.set.layout() {
            Layout::BitmapIp | Layout::BitmapIpMac => walk.bitmap_ip(),
            Layout::BitmapPort => walk.bitmap_port(),
            Layout::HashMac => walk.hash_mac(),
            Layout::ListSet => Err(Error::Invalid),
            _ => {
                let first = walk.first()?;
                walk.hash(first)
            }
        }
    }

    /// Whether a request is in the set; what cannot be in it is not.
    pub(super) fn holds(&self, request: &Request, now: Instant) -> bool {
        let Ok(e) = self.single(request) else { return false };
        let found = self.lookup(&e, now, |_, _| true);
        match found {
            Some(Found::Match(_)) => !(request.marks.nomatch && self.kind.has_nomatch()),
            Some(Found::Nomatch(_)) => request.marks.nomatch,
            Some(Found::Unfilled(_)) => true,
            None => false,
        }
    }

    /// Looks for an element; one with whole addresses where networks are kept is looked for in all of
    /// them, the longest prefixes first. `accept` has the last word on what was found.
    pub(super) fn lookup(
        &self,
        e: &Element,
        now: Instant,
        mut accept: impl FnMut(&Entries, u32) -> bool,
    ) -> Option<Found> {
        let mut accepted = |found: Option<Found>| {
            found.filter(|found| {
                matches!(found, Found::Unfilled(_)) || accept(self.entries(), found.row())
            })
        };
        let nets = self.net_parts();
        let width = host_length(self.laid_out());
        let whole = |e: &Element| {
            nets.iter().all(|part| match part {
                NetPart::First => e.cidr == width,
                NetPart::Second => e.cidr2 == width,
            })
        };
        if nets.is_empty() || !whole(e) {
            return accepted(self.find(e, now).0);
        }
        let [first, second] = self.net_lengths()?;
        for length in first.lengths() {
            let mut masked = *e;
            self.mask(&mut masked, *nets.first()?, length);
            if nets.len() == 1 {
                let (found, alike) = self.find(&masked, now);
                if let Some(found) = accepted(found) {
                    return Some(found);
                }
                // One network with another interface hides the networks around it.
                if alike > 0 && found.is_none() {
                    return None;
                }
                continue;
            }
            for length in second.lengths() {
                let mut both = masked;
                self.mask(&mut both, NetPart::Second, length);
                if let Some(found) = accepted(self.find(&both, now).0) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn mask(&self, e: &mut Element, part: NetPart, length: u8) {
        let family = self.laid_out();
        match part {
            NetPart::First => {
                e.ip = masked(e.ip, length, family);
                e.cidr = length;
            }
            NetPart::Second => {
                e.ip2 = masked(e.ip2, length, family);
                e.cidr2 = length;
            }
        }
    }

    /// Which of its parts are networks.
    pub(super) fn net_parts(&self) -> &'static [NetPart] {
        match self.layout() {
            Layout::HashNet | Layout::HashNetPort | Layout::HashNetIface => &[NetPart::First],
            Layout::HashIpPortNet => &[NetPart::Second],
            Layout::HashNetNet | Layout::HashNetPortNet => &[NetPart::First, NetPart::Second],
            _ => &[],
        }
    }

    /// The element of a request that is no range.
    fn single(&self, request: &Request) -> Result<Element, Error> {
        let mut e = self.plain(request)?;
        match self.layout() {
            Layout::BitmapIp | Layout::BitmapIpMac => {
                e.id = self.place_of_ip(number(request.ip.from)).ok_or(Error::Range)?;
                if let Some(mac) = request.mac {
                    (e.mac, e.has_mac) = (mac, true);
                }
            }
            Layout::BitmapPort => {
                e.id = self.place_of_port(request.port.from).ok_or(Error::Range)?;
            }
            _ => {}
        }
        Ok(e)
    }

    /// What of an address is stored.
    pub(super) fn stored(&self, address: Address) -> Address {
        match (self.header.bitmask, self.header.netmask) {
            (Some(mask), _) => and(address, mask),
            (None, Some(length)) => masked(address, length, self.laid_out()),
            (None, None) => address,
        }
    }

    /// The place of an address in a bitmap.
    pub(super) fn place_of_ip(&self, ip: u32) -> Option<u32> {
        let (first, last) = self.header.range;
        (first..=last).contains(&ip).then(|| (ip - first) / self.hosts())
    }

    /// The place of a port in a bitmap.
    pub(super) fn place_of_port(&self, port: u16) -> Option<u32> {
        let (first, last) = self.header.range;
        (first..=last).contains(&port.into()).then(|| u32::from(port) - first)
    }

    /// The extensions must be those of the set.
    pub(super) fn check_extensions(&self, given: &Given) -> Result<(), Error> {
        let has = self.extensions();
        if given.timeout.is_some() && has.timeout.is_none() {
            return Err(Error::Timeout);
        }
        if (given.packets.is_some() || given.bytes.is_some()) && !has.counters {
            return Err(Error::Counter);
        }
        if given.comment.is_some() && !has.comment {
            return Err(Error::Comment);
        }
        if given.has_skbinfo && !has.skbinfo {
            return Err(Error::Skbinfo);
        }
        Ok(())
    }

    /// The parts of a request, masked, with what cannot be refused; ranges are left alone.
    fn plain(&self, request: &Request) -> Result<Element, Error> {
        let family = self.laid_out();
        let width = host_length(family);
        let parts = self.kind.parts;
        let mut e = Element {
            ip: request.ip.from,
            ip2: request.ip2.from,
            cidr: request.ip.cidr.unwrap_or(width),
            cidr2: request.ip2.cidr.unwrap_or(width),
            mark: request.mark & self.header.markmask,
            mac: request.mac.unwrap_or_default(),
            iface: request.iface,
            physdev: request.physdev,
            ..Element::default()
        };
        let may_be_zero = matches!(self.layout(), Layout::HashNetIface | Layout::HashNetPortNet);
        for part in self.net_parts() {
            let given = match part {
                NetPart::First => request.ip.cidr,
                NetPart::Second => request.ip2.cidr,
            };
            if given.is_some_and(|cidr| cidr > width || cidr == 0 && !may_be_zero) {
                return Err(Error::InvalidCidr);
            }
            let length = given.unwrap_or(width);
            self.mask(&mut e, *part, length);
        }
        if parts.contains(&Part::Port) && self.layout() != Layout::BitmapPort {
            if request.port.proto == 0 {
                return Err(Error::InvalidProto);
            }
            e.proto = request.port.proto;
            let icmp = if family == Family::V4 { ICMP } else { ICMPV6 };
            if has_ports(e.proto) || e.proto == icmp {
                e.port = request.port.from;
            }
        }
        match self.layout() {
            // Elements of a range are not masked again, in the kernel as here.
            _ if request.trusted => {}
            Layout::HashIp | Layout::HashIpPort => e.ip = self.stored(e.ip),
            Layout::HashNetNet => (e.ip, e.ip2) = (self.stored(e.ip), self.stored(e.ip2)),
            _ => {}
        }
        Ok(e)
    }
}

/// One of the networks of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetPart {
    First,
    Second,
}

/// A request on its way through a set.
struct Walk<'a> {
    set: &'a mut IpSet,
    request: &'a Request,
    change: Change,
    now: Instant,
    budget: &'a mut Budget,
}

impl Walk<'_> {
    /// One element.
    fn one(&mut self, e: &Element) -> Result<(), Error> {
        self.budget.spend()?;
        match self.change {
            Change::Add { exist } => {
                let Request { marks, given, .. } = self.request;
                self.set.add(e, *marks, given, exist, self.now, self.budget)
            }
            Change::Del { exist } => match self.set.remove(e, self.now) {
                Err(Error::ElementMissing) if exist => Ok(()),
                Ok(()) => {
                    self.budget.elements += 1;
                    Ok(())
                }
                other => other,
            },
        }
    }

    fn bitmap_ip(&mut self) -> Result<(), Error> {
        let from = number(self.request.ip.from);
        self.set.check_extensions(&self.request.given)?;
        let mut e = self.set.single(self.request)?;
        let range = self.request.ip;
        if range.to.is_none() && range.cidr.is_none() {
            return self.one(&e);
        }
        let (low, high) = addresses(range, from)?;
        let (first, last) = self.set.header.range;
        if low < first || high > last {
            return Err(Error::Range);
        }
        for ip in (low..=high).step_by(self.set.hosts() as usize) {
            e.id = self.set.place_of_ip(ip).ok_or(Error::Range)?;
            self.one(&e)?;
        }
        Ok(())
    }

    fn bitmap_port(&mut self) -> Result<(), Error> {
        let PortRange { from, to, .. } = self.request.port;
        let mut e = self.set.single(self.request)?;
        self.set.check_extensions(&self.request.given)?;
        let to = to.unwrap_or(from);
        let (low, high) = (from.min(to), from.max(to));
        let place = |port| self.set.place_of_port(port).ok_or(Error::Range);
        for id in place(low)?..=place(high)? {
            e.id = id;
            self.one(&e)?;
        }
        Ok(())
    }

    fn hash_mac(&mut self) -> Result<(), Error> {
        self.set.check_extensions(&self.request.given)?;
        let e = self.set.plain(self.request)?;
        if e.mac == [0; 6] {
            return Err(Error::HashElem);
        }
        self.one(&e)
    }

    /// The first element of a request to a hash with addresses.
    fn first(&mut self) -> Result<Element, Error> {
        self.set.check_extensions(&self.request.given)?;
        let e = self.set.plain(self.request)?;
        match self.set.layout() {
            _ if self.request.trusted => Ok(e),
            Layout::HashIp if e.ip == Address::default() => Err(Error::HashElem),
            Layout::HashIpPort if e.ip == Address::default() => Err(Error::Invalid),
            Layout::HashIpMac if e.mac == [0; 6] => Err(Error::HashElem),
            _ => Ok(e),
        }
    }

    fn hash(&mut self, mut e: Element) -> Result<(), Error> {
        let ip = self.request.ip;
        let v4 = self.set.laid_out() == Family::V4;
        let is_net = |part: Option<&Part>| part == Some(&Part::Net);
        let parts = self.set.kind.parts;
        let first_is_net = is_net(parts.first());
        let ranges = v4 && (ip.to.is_some() || (ip.cidr.is_some() && !first_is_net));
        if !ranges {
            return self.ports(&mut e);
        }
        if first_is_net {
            let (mut at, last) = whole_range(ip)?;
            loop {
                let (end, cidr) = block(at, last);
                (e.ip, e.cidr) = (address(at), cidr);
                self.ports(&mut e)?;
                match end.checked_add(1).filter(|_| end < last) {
                    Some(next) => at = next,
                    None => return Ok(()),
                }
            }
        }
        let (low, high) = addresses(ip, number(e.ip))?;
        let step = if self.set.layout() == Layout::HashIp { self.set.hosts() } else { 1 };
        for ip in (low..=high).step_by(step as usize) {
            e.ip = address(ip);
            self.ports(&mut e)?;
        }
        Ok(())
    }

    fn ports(&mut self, e: &mut Element) -> Result<(), Error> {
        let port = self.request.port;
        let Some(to) = port.to.filter(|_| has_ports(e.proto)) else { return self.second(e) };
        for port in port.from.min(to)..=port.from.max(to) {
            e.port = port;
            self.second(e)?;
        }
        Ok(())
    }

    fn second(&mut self, e: &mut Element) -> Result<(), Error> {
        let range = self.request.ip2;
        if range.to.is_none() {
            return self.one(e);
        }
        let (mut at, last) = whole_range(range)?;
        loop {
            let (end, cidr) = block(at, last);
            (e.ip2, e.cidr2) = (address(at), cidr);
            self.one(e)?;
            match end.checked_add(1).filter(|_| end < last) {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
    }
}

/// Bits of an address.
#[must_use]
pub const fn host_length(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// An address of IPv4 as a number.
#[must_use]
pub const fn number(address: Address) -> u32 {
    u32::from_be_bytes(address.v4_octets())
}

/// The address of IPv4 that is this number.
#[must_use]
pub const fn address(number: u32) -> Address {
    Address::v4(number.to_be_bytes())
}

fn and(address: Address, mask: Address) -> Address {
    Address((u128::from_ne_bytes(address.0) & u128::from_ne_bytes(mask.0)).to_ne_bytes())
}

/// An address without the bits behind a prefix.
pub(super) fn masked(address: Address, length: u8, family: Family) -> Address {
    let length = u32::from(length.min(host_length(family)));
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Address((u128::from_be_bytes(address.0) & mask).to_be_bytes())
}

/// First and last address of a range or network, `from` being what is stored of the first.
fn addresses(range: IpRange, from: u32) -> Result<(u32, u32), Error> {
    if let Some(to) = range.to {
        let to = number(to);
        return Ok((from.min(to), from.max(to)));
    }
    match range.cidr {
        Some(0) => Err(Error::InvalidCidr),
        Some(cidr) => {
            let low = number(masked(address(from), cidr, Family::V4));
            Ok((low, low | u32::MAX.checked_shr(cidr.into()).unwrap_or(0)))
        }
        None => Ok((from, from)),
    }
}

/// First and last address of a range that becomes networks.
fn whole_range(range: IpRange) -> Result<(u32, u32), Error> {
    let (from, to) = (number(range.from), range.to.map_or(number(range.from), number));
    let (low, high) = (from.min(to), from.max(to));
    if low == 0 && high == u32::MAX { Err(Error::HashRange) } else { Ok((low, high)) }
}

/// The largest network that begins at an address and ends by `last`: its end and its length.
fn block(from: u32, last: u32) -> (u32, u8) {
    for cidr in 1..32 {
        let rest = u32::MAX >> cidr;
        if from & rest == 0 && from | rest <= last {
            return (from | rest, cidr);
        }
    }
    (from, 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_fewest_networks() {
        let all = |from: u32, last: u32| {
            let mut at = from;
            let mut found = alloc::vec::Vec::new();
            loop {
                let (end, cidr) = block(at, last);
                found.push(cidr);
                match end.checked_add(1).filter(|_| end < last) {
                    Some(next) => at = next,
                    None => return found,
                }
            }
        };
        assert_eq!(all(0x0102_0304, 0x0102_0309), [30, 31]);
        assert_eq!(all(1, 1), [32]);
        assert_eq!(all(0, u32::MAX - 1).len(), 32);
        assert_eq!(all(0xffff_ff00, u32::MAX), [24]);
        assert_eq!(all(0, 0x7fff_ffff), [1]);
    }
}
