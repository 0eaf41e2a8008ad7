//! What rules ask of sets: the parts of a packet put together into an element.

use super::Budget;
use super::change::{has_ports, host_length, masked, number};
use super::element::{Element, IFACE_LENGTH};
use super::entries::{Given, Marks};
use super::set::{Found, IpSet};
use super::types::{Layout, Part};
use crate::evaluate::{Traversal, is_later_fragment};
use keepstate_packet::{Address, Family, Instant, L4};

/// Most `src` and `dst` that a rule may give.
pub const DIRECTIONS_MAX: usize = 6;

/// Which end of the packet each part of an element is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// One bit a part, the first lowest: set for `src`.
    pub sources: u8,
    /// How many were given.
    pub count: u8,
}

impl Directions {
    const fn is_source(self, part: usize) -> bool {
        self.sources >> part & 1 != 0
    }
}

/// How a counter is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// Not at all.
    #[default]
    Any,
    /// `--packets-eq`.
    Eq(u64),
    /// `! --packets-eq`.
    Ne(u64),
    /// `--packets-lt`.
    Lt(u64),
    /// `--packets-gt`.
    Gt(u64),
}

impl Compare {
    const fn holds(self, value: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Eq(other) => value == other,
            Self::Ne(other) => value != other,
            Self::Lt(other) => value < other,
            Self::Gt(other) => value > other,
        }
    }
}

/// What a rule asks of a set beyond the element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Where the parts are taken from.
    pub directions: Directions,
    /// `--return-nomatch`.
    pub return_nomatch: bool,
    /// `! --update-counters`.
    pub keep_counters: bool,
    /// `! --update-subcounters`.
    pub keep_subcounters: bool,
    /// `--packets-...`.
    pub packets: Compare,
    /// `--bytes-...`.
    pub bytes: Compare,
}

/// What a rule does to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// `--add-set`; with the timeout given, and whether an element that is there begins anew.
    Add {
        /// `--timeout`.
        timeout: Option<u32>,
        /// `--exist`.
        exist: bool,
    },
    /// `--del-set`.
    Del,
}

/// What sets read of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    family: Family,
    source: Address,
    destination: Address,
    /// Protocol, source port and destination port; `None` where they cannot be read.
    ports: Option<(u8, u16, u16)>,
    mark: u32,
    macs: Option<([u8; 6], [u8; 6])>,
    interfaces: [[u8; IFACE_LENGTH]; 2],
    length: u64,
}

impl Fields {
    /// Of the packet of a traversal.
    #[must_use]
    pub fn of(traversal: &Traversal<'_>) -> Self {
        let packet = &*traversal.packet;
        let name = |name: Option<&keepstate_packet::InterfaceName>| {
            name.map_or([0; IFACE_LENGTH], |name| *name.octets())
        };
        Self {
            family: packet.family,
            source: packet.source,
            destination: packet.destination,
            ports: ports(traversal),
            mark: traversal.mark,
            macs: traversal.link.source.zip(traversal.link.destination),
            interfaces: [name(traversal.in_interface), name(traversal.out_interface)],
            length: packet.length.into(),
        }
    }

    const fn address(&self, source: bool) -> Address {
        if source { self.source } else { self.destination }
    }

    const fn mac(&self, source: bool) -> Option<[u8; 6]> {
        match self.macs {
            Some((from, to)) => Some(if source { from } else { to }),
            None => None,
        }
    }
}

/// Protocol and ports: of ICMP type and code stand for both, other protocols have none.
fn ports(traversal: &Traversal<'_>) -> Option<(u8, u16, u16)> {
    const ICMP: u8 = 1;
    const ICMPV6: u8 = 58;
    let packet = &*traversal.packet;
    let protocol = packet.protocol;
    let is_icmp = matches!((packet.family, protocol), (_, ICMP | ICMPV6));
    if packet.l4 == L4::BrokenChain {
        return None;
    }
    if is_later_fragment(packet) {
        let none = packet.family == Family::V6 || has_ports(protocol) || protocol == ICMP;
        return (!none).then_some((protocol, 0, 0));
    }
    let bytes = packet.l4_bytes(traversal.bytes);
    if is_icmp {
        let kind = u16::from_be_bytes(*bytes.first_chunk::<2>()?);
        return Some((protocol, kind, kind));
    }
    if !has_ports(protocol) {
        return Some((protocol, 0, 0));
    }
    let [a, b, c, d] = *bytes.first_chunk::<4>()?;
    Some((protocol, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

impl IpSet {
    /// Whether a packet of this family and a rule with so many parts can be in it at all.
    fn takes(&self, fields: &Fields, directions: Directions) -> bool {
        usize::from(directions.count) >= self.kind.dimension()
            && self.family.is_none_or(|family| family == fields.family)
    }

    /// The element of a packet; `None` where it lacks a part. `changes`: for adding and deleting, a
    /// network is of the longest prefix that the set has.
    fn element_of(&self, fields: &Fields, to: Directions, changes: bool) -> Option<Element> {
        let mut e = Element::default();
        let family = self.laid_out();
        let width = host_length(family);
        for (at, part) in self.kind.parts.iter().enumerate() {
            let source = to.is_source(at);
            match part {
                Part::Ip | Part::Net if at == 0 => e.ip = fields.address(source),
                Part::Ip | Part::Net => e.ip2 = fields.address(source),
                Part::Port => {
                    let (proto, from, to) = fields.ports?;
                    (e.proto, e.port) = (proto, if source { from } else { to });
                }
                Part::Mac => {
                    e.mac = fields.mac(source)?;
                    e.has_mac = true;
                    if e.mac == [0; 6] {
                        return None;
                    }
                }
                Part::Mark => e.mark = fields.mark & self.header.markmask,
                Part::Iface => {
                    let [input, output] = fields.interfaces;
                    e.iface = if source { input } else { output };
                    if e.iface == [0; IFACE_LENGTH] {
                        return None;
                    }
                }
                Part::Set => return None,
            }
        }
        (e.cidr, e.cidr2) = (width, width);
        if changes && let Some(nets) = self.net_lengths() {
            let [first, second] = nets.map(|nets| nets.lengths().next().unwrap_or(width));
            (e.cidr, e.cidr2) = (first, second);
            if self.layout() == Layout::HashIpPortNet {
                (e.cidr, e.cidr2) = (width, first);
            }
            e.ip = masked(e.ip, if self.has_first_net() { e.cidr } else { width }, family);
            e.ip2 = masked(e.ip2, e.cidr2, family);
        }
        self.finish(e)
    }

    fn has_first_net(&self) -> bool {
        self.kind.parts.first() == Some(&Part::Net)
    }

    /// What the type makes of the parts.
    fn finish(&self, mut e: Element) -> Option<Element> {
        match self.layout() {
            Layout::BitmapIp | Layout::BitmapIpMac => e.id = self.place_of_ip(number(e.ip))?,
            Layout::BitmapPort => {
                const TCP: u8 = 6;
                const UDP: u8 = 17;
                if !matches!(e.proto, TCP | UDP) {
                    return None;
                }
                e.id = self.place_of_port(e.port)?;
            }
            Layout::HashIp | Layout::HashIpPort => {
                e.ip = self.stored(e.ip);
                if e.ip == Address::default() {
                    return None;
                }
            }
            Layout::HashNetNet => (e.ip, e.ip2) = (self.stored(e.ip), self.stored(e.ip2)),
            _ => {}
        }
        Some(e)
    }

    /// Whether a packet is in the set as the rule asks; the row it is in.
    pub(super) fn test_packet(
        &mut self,
        fields: &Fields,
        asked: &Asked,
        now: Instant,
    ) -> Option<u32> {
        if !self.takes(fields, asked.directions) {
            return None;
        }
        let e = self.element_of(fields, asked.directions, false)?;
        let mut passed = alloc::vec::Vec::new();
        let found = self.lookup(&e, now, |entries, row| {
            let Some((packets, bytes)) = entries.counters(row) else { return true };
            passed.push(row);
            let (more, longer) = if asked.keep_counters { (0, 0) } else { (1, fields.length) };
            asked.packets.holds(packets.wrapping_add(more))
                && asked.bytes.holds(bytes.wrapping_add(longer))
        });
        if !asked.keep_counters {
            passed.iter().for_each(|row| self.entries.count_packet(*row, fields.length));
        }
        match found? {
            Found::Match(row) => {
                (!(asked.return_nomatch && self.kind.has_nomatch())).then_some(row)
            }
            Found::Nomatch(row) => asked.return_nomatch.then_some(row),
            Found::Unfilled(row) => {
                let given = self.given_by(fields, None);
                let added = self.add_to_bitmap(&e, &given, true, now);
                added.is_ok().then_some(row)
            }
        }
    }

    /// Extensions of what a packet adds: it is counted already.
    fn given_by(&self, fields: &Fields, timeout: Option<u32>) -> Given {
        Given { timeout, packets: Some(1), bytes: Some(fields.length), ..Given::default() }
    }

    /// Adds the element of a packet or takes it out; whether it was.
    pub(super) fn change_by_packet(
        &mut self,
        fields: &Fields,
        directions: Directions,
        deed: Deed,
        now: Instant,
        budget: &mut Budget,
    ) -> bool {
        if !self.takes(fields, directions) {
            return false;
        }
        let Some(e) = self.element_of(fields, directions, true) else { return false };
        match deed {
            Deed::Add { timeout, exist } => {
                let given = self.given_by(fields, timeout);
                self.add(&e, Marks::default(), &given, exist, now, budget).is_ok()
            }
            Deed::Del => {
                let removed = self.remove(&e, now).is_ok();
                budget.elements += usize::from(removed);
                removed
            }
        }
    }

    /// Whether a row is as the rule asks; its counters go on.
    pub(super) fn passes(&mut self, row: u32, asked: &Asked, fields: &Fields) -> bool {
        if !asked.keep_counters {
            self.entries.count_packet(row, fields.length);
        }
        self.entries
            .counters(row)
            .is_none_or(|(packets, bytes)| asked.packets.holds(packets) && asked.bytes.holds(bytes))
    }
}
