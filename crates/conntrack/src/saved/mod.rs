//! A table in a file: read, asked and changed as ctnetlink would, written back.

mod lines;
mod read;
mod write;
mod xml;

pub use lines::{expectation_line, flow_line};
pub use read::{ENTRIES_MAX, ReadError, read};
pub use xml::{expectation_xml, flow_xml};

use crate::CtStatus;
use crate::command::TableKind;
use crate::flow::{Contents, Expected, Flow, Half, Labels, ProtocolInfo, Translation, has_ports};
use crate::helpers::{HELPERS, Policy};
use crate::outside::{Ask, Refusal};
use crate::table::Statistics;
use crate::tuple::{self, Direction, Tuple};
use crate::zone::Zone;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use keepstate_packet::{Address, Family, icmp, icmpv6, sctp, tcp, udp};

/// The longest timeout, seconds: the kernel counts 250 ticks a second in 31 bits.
const TIMEOUT_MAX: u32 = i32::MAX as u32 / 250;

/// The tuple that packets of one direction of a connection have, their zone, and the direction.
type Key = (Tuple, u16, Direction);

/// A table that was saved. No time passes in it.
#[derive(Clone, Debug, Default)]
pub struct SavedTable {
    flows: BTreeMap<u64, Flow>,
    /// Both directions of every connection.
    places: BTreeMap<Key, u64>,
    expected: Vec<Expected>,
    statistics: Vec<Statistics>,
    numbers: u64,
    changed: bool,
}

impl SavedTable {
    /// A table with these contents. Of two connections with the same tuple the first stays.
    #[must_use]
    pub fn new(contents: Contents) -> Self {
        let expected = contents.expected.into_iter().map(normal_expectation).collect();
        let mut table = Self { expected, ..Self::default() };
        for flow in contents.flows.into_iter().map(normal) {
            if let Some(keys) = keys(&flow).filter(|keys| table.is_free(keys, flow.zone())) {
                table.insert(keys, flow);
            }
        }
        table
    }

    /// With what was counted.
    #[must_use]
    pub fn with_statistics(self, statistics: Vec<Statistics>) -> Self {
        Self { statistics, ..self }
    }

    /// Whether it differs from what it was made of.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.changed
    }

    /// What it holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        let flows = self.flows.values().cloned().collect();
        Contents { flows, expected: self.expected.clone() }
    }

    /// Whether neither direction is there already. One that is found in the other direction is in
    /// the way where the zone is the same in both.
    fn is_free(&self, keys: &[Key; 2], zone: Zone) -> bool {
        keys.iter().all(|(tuple, id, _)| {
            let taken = |direction| {
                zone.id_in(direction) == *id && self.places.contains_key(&(*tuple, *id, direction))
            };
            !taken(Direction::Original) && !taken(Direction::Reply)
        })
    }

    fn insert(&mut self, keys: [Key; 2], flow: Flow) {
        self.numbers += 1;
        keys.iter().for_each(|key| {
            self.places.insert(*key, self.numbers);
        });
        self.flows.insert(self.numbers, flow);
    }

    /// Whether the original direction of what is wanted is there already.
    fn has_original(&self, wanted: &Flow) -> bool {
        let (Some(family), Some(protocol)) = (wanted.family, wanted.protocol) else {
            return false;
        };
        let half =
            filled(&wanted.original, protocol).ok().filter(|_| is_described(&wanted.original));
        let tuple = half.and_then(|half| half.tuple(family, protocol));
        tuple.is_some_and(|tuple| self.place(&tuple, wanted.zone()).is_some())
    }

    /// The oldest expectation of a master gives way where it has as many as its helper may have.
    fn make_room(&mut self, master: &Half, policy: &Policy) {
        let of_master = |expected: &Expected| expected.master == *master && expected.class == 0;
        let count = self.expected.iter().filter(|expected| of_master(expected)).count();
        if policy.max != 0
            && count >= policy.max as usize
            && let Some(oldest) = self.expected.iter().position(of_master)
        {
            self.expected.remove(oldest);
        }
    }

    fn place(&self, tuple: &Tuple, zone: Zone) -> Option<u64> {
        let by = |direction| self.places.get(&(*tuple, zone.id_in(direction), direction)).copied();
        by(Direction::Original).or_else(|| by(Direction::Reply))
    }

    fn remove(&mut self, number: u64) {
        let Some(flow) = self.flows.remove(&number) else { return };
        for key in keys(&flow).iter().flatten() {
            self.places.remove(key);
        }
        // A master takes what was expected of it along.
        self.expected.retain(|expected| expected.master != flow.original);
        self.changed = true;
    }
}

/// A connection as a table has it, whatever form it was read in.
fn normal(flow: Flow) -> Flow {
    let (Some(family), Some(protocol)) = (flow.family, flow.protocol) else { return flow };
    Flow {
        original: kept(&flow.original, family, protocol),
        reply: kept(&flow.reply, family, protocol),
        status: Some(flow.status()),
        zone: flow.zone.filter(|id| *id != 0),
        age: flow.age.filter(|_| flow.started.is_none()),
        stopped: None,
        nat: [None; 2],
        ..flow
    }
}

/// An expectation as a table has it: no form that it is read in needs to say all.
fn normal_expectation(expected: Expected) -> Expected {
    let protocol = expected.protocol.unwrap_or(0);
    let of_master = expected.master_protocol.unwrap_or(tcp::PROTOCOL);
    Expected {
        tuple: whole(&expected.tuple, protocol),
        mask: whole(&expected.mask, protocol),
        master: whole(&expected.master, of_master),
        master_protocol: Some(of_master),
        id: None,
        ..expected
    }
}

/// A half with zeros in place of what is not known of it, and nothing that its protocol lacks.
fn whole(half: &Half, protocol: u8) -> Half {
    let zero = Some(Address([0; 16]));
    let addresses = Half {
        source: half.source.or(zero),
        destination: half.destination.or(zero),
        ..Half::default()
    };
    match protocol {
        icmp::PROTOCOL | icmpv6::PROTOCOL => Half {
            icmp_type: half.icmp_type.or(Some(0)),
            icmp_code: half.icmp_code.or(Some(0)),
            icmp_id: half.icmp_id.or(Some(0)),
            ..addresses
        },
        protocol if has_ports(protocol) => Half {
            source_port: half.source_port.or(Some(0)),
            destination_port: half.destination_port.or(Some(0)),
            ..addresses
        },
        _ => addresses,
    }
}

/// Under what a connection is found; `None` when something is missing.
fn keys(flow: &Flow) -> Option<[Key; 2]> {
    let zone = flow.zone();
    let key = |direction| Some((flow.tuple(direction)?, zone.id_in(direction), direction));
    Some([key(Direction::Original)?, key(Direction::Reply)?])
}

impl Ask for SavedTable {
    fn flows(&mut self, table: TableKind) -> Result<Vec<Flow>, Refusal> {
        Ok(match table {
            TableKind::Conntrack => self.flows.values().cloned().collect(),
            TableKind::Expect | TableKind::Dying | TableKind::Unconfirmed => Vec::new(),
        })
    }

    fn zero(&mut self, family: Option<Family>) -> Result<(), Refusal> {
        for flow in self.flows.values_mut() {
            if family.is_none_or(|family| flow.family == Some(family)) {
                flow.counters = flow.counters.map(|counters| counters.map(|_| (0, 0)));
                self.changed = true;
            }
        }
        Ok(())
    }

    fn find(&mut self, tuple: &Tuple, zone: Zone) -> Result<Flow, Refusal> {
        let place = self.place(tuple, zone).ok_or(Refusal::Missing)?;
        self.flows.get(&place).cloned().ok_or(Refusal::Missing)
    }

    fn create(&mut self, wanted: &Flow) -> Result<(), Refusal> {
        check_zones(wanted)?;
        let flow = match created(wanted) {
            // The kernel looks for it before it misses something of a reply that is described.
            Err(Refusal::Invalid)
                if (wanted.original.icmp_type.is_none() || is_described(&wanted.reply))
                    && self.has_original(wanted) =>
            {
                return Err(Refusal::Exists);
            }
            created => created?,
        };
        let keys = keys(&flow).ok_or(Refusal::Invalid)?;
        let [(original, ..), _] = keys;
        let is_there = self.place(&original, flow.zone()).is_some();
        if is_there || !self.is_free(&keys, flow.zone()) {
            return Err(Refusal::Exists);
        }
        if status_is_forbidden(wanted.status()) {
            return Err(Refusal::Busy);
        }
        if self.flows.len() >= ENTRIES_MAX {
            return Err(Refusal::Full);
        }
        // Its time is up as it begins.
        if flow.timeout == Some(0) {
            return Ok(());
        }
        let highest = self.flows.values().filter_map(|flow| flow.id).max();
        let id = highest.unwrap_or(0).wrapping_add(1);
        self.insert(keys, Flow { id: Some(id), ..flow });
        self.changed = true;
        Ok(())
    }

    fn update(&mut self, change: &Flow) -> Result<(), Refusal> {
        if change.family.is_none() {
            return Err(Refusal::Unsupported);
        }
        let tuple = change.tuple(Direction::Original).ok_or(Refusal::Invalid)?;
        let place = self.place(&tuple, change.zone()).ok_or(Refusal::Missing)?;
        if change.nat.iter().any(Option::is_some) {
            return Err(Refusal::Unsupported);
        }
        let flow = self.flows.get_mut(&place).ok_or(Refusal::Missing)?;
        update(flow, change)?;
        let is_over = flow.timeout == Some(0);
        self.changed = true;
        if is_over {
            self.remove(place);
        }
        Ok(())
    }

    fn delete(&mut self, tuple: &Tuple, zone: Zone) -> Result<(), Refusal> {
        let place = self.place(tuple, zone).ok_or(Refusal::Missing)?;
        self.remove(place);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        let numbers: Vec<u64> = self.flows.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.remove(number));
        Ok(())
    }

    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        Ok(self.expected.clone())
    }

    fn expect(&mut self, expected: &Expected) -> Result<(), Refusal> {
        let family = expected.family.ok_or(Refusal::Invalid)?;
        let protocol = expected.protocol.ok_or(Refusal::Invalid)?;
        let of_master = expected.master_protocol.unwrap_or(protocol);
        let master = expected.master.tuple(family, of_master).ok_or(Refusal::Invalid)?;
        let place = self.place(&master, Zone::default()).ok_or(Refusal::Missing)?;
        let master = self.flows.get(&place).ok_or(Refusal::Missing)?;
        let helper = master.helper.clone().ok_or(Refusal::Unsupported)?;
        let tuple = expected.tuple.tuple(family, protocol).ok_or(Refusal::Invalid)?;
        if self.expected.iter().any(|other| other.covers(&tuple)) {
            return Err(Refusal::Exists);
        }
        if self.expected.iter().any(|other| other.covers_under(&tuple, &expected.mask)) {
            return Err(Refusal::Busy);
        }
        let master = master.original;
        let policy = HELPERS.iter().find(|known| known.name == helper);
        let policy = policy.and_then(|helper| helper.policies.first());
        if let Some(policy) = policy {
            self.make_room(&master, policy);
        }
        if self.expected.len() >= ENTRIES_MAX {
            return Err(Refusal::Full);
        }
        let timeout =
            policy.map_or(expected.timeout, |policy| Some(policy.timeout.as_secs() as u32));
        let mask = exact_destination(&expected.mask, family);
        let wanted = Expected { helper: Some(helper), master, timeout, mask, ..expected.clone() };
        self.expected.push(wanted);
        self.changed = true;
        Ok(())
    }

    fn forget(&mut self, tuple: &Tuple) -> Result<(), Refusal> {
        let is = |expected: &Expected| expected.covers(tuple);
        let place = self.expected.iter().position(is).ok_or(Refusal::Missing)?;
        self.expected.remove(place);
        self.changed = true;
        Ok(())
    }

    fn flush_expectations(&mut self) -> Result<(), Refusal> {
        self.changed |= !self.expected.is_empty();
        self.expected.clear();
        Ok(())
    }

    fn statistics(&mut self) -> Vec<Statistics> {
        if self.statistics.is_empty() {
            self.statistics.push(Statistics::default());
        }
        self.statistics.clone()
    }
}

/// Masks of expectations have no say in the destination.
fn exact_destination(mask: &Half, family: Family) -> Half {
    let all = match family {
        Family::V4 => Address::v4([0xff; 4]),
        Family::V6 => Address([0xff; 16]),
    };
    let destination_port = mask.source_port.map(|_| u16::MAX);
    Half { destination: Some(all), destination_port, ..*mask }
}

/// Status that no program may set.
fn status_is_forbidden(status: CtStatus) -> bool {
    [CtStatus::EXPECTED, CtStatus::CONFIRMED, CtStatus::DYING]
        .iter()
        .any(|bit| status.contains(*bit))
}

/// Status bits that a program may set; others that it names are passed over.
const SETTABLE: u32 = CtStatus::SEEN_REPLY.0 | CtStatus::ASSURED.0 | CtStatus::FIXED_TIMEOUT.0;

/// Each zone has to find none before it.
fn check_zones(wanted: &Flow) -> Result<(), Refusal> {
    let mut zone = wanted.zone.unwrap_or(0);
    for one_way in wanted.zone_of.into_iter().flatten() {
        if zone != 0 {
            return Err(Refusal::Invalid);
        }
        zone = one_way;
    }
    Ok(())
}

/// The connection that a request makes.
fn created(wanted: &Flow) -> Result<Flow, Refusal> {
    let (Some(family), Some(protocol)) = (wanted.family, wanted.protocol) else {
        return Err(Refusal::Unsupported);
    };
    let (original, mut reply, protocol) = both_halves(wanted, protocol)?;
    original.tuple(family, protocol).ok_or(Refusal::Invalid)?;
    reply.tuple(family, protocol).ok_or(Refusal::Invalid)?;
    let timeout = wanted.timeout.ok_or(Refusal::Invalid)?.min(TIMEOUT_MAX);
    let mut status = CtStatus(wanted.status().0 & SETTABLE) | CtStatus::CONFIRMED;
    status = status | translate(wanted, &original, &mut reply);
    let nonzero = |zone: Option<u16>| zone.filter(|id| *id != 0);
    let info = match (protocol, wanted.info) {
        (tcp::PROTOCOL, info @ ProtocolInfo::Tcp { .. })
        | (sctp::PROTOCOL, info @ ProtocolInfo::Sctp { .. }) => info,
        (tcp::PROTOCOL, _) => ProtocolInfo::Tcp { state: 0 },
        _ => ProtocolInfo::None,
    };
    Ok(Flow {
        family: Some(family),
        protocol: Some(protocol),
        original: kept(&original, family, protocol),
        reply: kept(&reply, family, protocol),
        status: Some(status),
        timeout: Some(timeout),
        info,
        mark: Some(wanted.mark.unwrap_or(0)),
        zone: nonzero(wanted.zone),
        zone_of: wanted.zone_of.map(nonzero),
        helper: wanted.helper.clone(),
        uses: Some(1),
        labels: wanted.labels,
        ..Flow::default()
    })
}

/// What a table keeps of a half: what its tuple has.
fn kept(half: &Half, family: Family, protocol: u8) -> Half {
    half.tuple(family, protocol).as_ref().map_or(*half, Half::of)
}

/// Both directions, the one that is not described being the other's inverse, and the protocol.
fn both_halves(wanted: &Flow, protocol: u8) -> Result<(Half, Half, u8), Refusal> {
    let (original, reply) = (&wanted.original, &wanted.reply);
    if !is_described(original) {
        // Without ports the reply does not know its protocol, and lends the original none.
        let protocol = if reply.source_port.is_some() { protocol } else { 0 };
        let reply = filled(reply, protocol)?;
        return Ok((reply.inverse(protocol), reply, protocol));
    }
    // Ports of a reply that is not described count as ports all the same: they are 0.
    let of_reply = reply.source_port.or(reply.destination_port);
    let assumed = of_reply.filter(|_| !is_described(reply)).map(|_| 0);
    let known = Half { source_port: original.source_port.or(assumed), ..*original };
    let original = filled(&known, protocol)?;
    if let Some(kind) = original.icmp_type {
        tuple::inverse_type(protocol, kind).ok_or(Refusal::Invalid)?;
    }
    let answers = reply.icmp_type.map_or(original.inverse(protocol), |kind| Half {
        icmp_type: Some(kind),
        ..original.inverse(protocol)
    });
    let reply = if is_described(reply) {
        let Half { icmp_type, icmp_code, icmp_id, .. } = answers;
        filled(&Half { icmp_type, icmp_code, icmp_id, ..*reply }, protocol)?
    } else {
        answers
    };
    if let Some(kind) = reply.icmp_type {
        tuple::inverse_type(protocol, kind).ok_or(Refusal::Invalid)?;
    }
    Ok((original, reply, protocol))
}

fn is_described(half: &Half) -> bool {
    half.source.is_some() || half.destination.is_some()
}

/// A half of which something is said; what of it is not said is zero, but ports cannot be missing
/// altogether.
fn filled(half: &Half, protocol: u8) -> Result<Half, Refusal> {
    let zero = Some(Address([0; 16]));
    let mut out =
        Half { source: half.source.or(zero), destination: half.destination.or(zero), ..*half };
    match protocol {
        icmp::PROTOCOL | icmpv6::PROTOCOL => {
            half.icmp_type.ok_or(Refusal::Invalid)?;
            out.icmp_code = Some(half.icmp_code.unwrap_or(0));
            out.icmp_id = Some(half.icmp_id.unwrap_or(0));
        }
        protocol if has_ports(protocol) => {
            half.source_port.or(half.destination_port).ok_or(Refusal::Invalid)?;
            out.source_port = Some(half.source_port.unwrap_or(0));
            out.destination_port = Some(half.destination_port.unwrap_or(0));
        }
        _ => {}
    }
    Ok(out)
}

/// Sets translation up, as the nat table would.
fn translate(wanted: &Flow, original: &Half, reply: &mut Half) -> CtStatus {
    let [source, destination] = wanted.nat;
    if source.is_none() && destination.is_none() {
        return CtStatus(0);
    }
    // Programs can ask for ports of TCP and UDP only.
    let has_port = matches!(wanted.protocol, Some(tcp::PROTOCOL | udp::PROTOCOL));
    let port = |to: Translation| to.port.filter(|_| has_port);
    let mut status = CtStatus::SRC_NAT_DONE | CtStatus::DST_NAT_DONE;
    if let Some(to) = destination {
        reply.source = to.address.or(reply.source);
        reply.source_port = port(to).or(reply.source_port);
    }
    if let Some(to) = source {
        reply.destination = to.address.or(reply.destination);
        reply.destination_port = port(to).or(reply.destination_port);
    }
    if (reply.source, reply.source_port) != (original.destination, original.destination_port) {
        status = status | CtStatus::DST_NAT;
    }
    if (reply.destination, reply.destination_port) != (original.source, original.source_port) {
        status = status | CtStatus::SRC_NAT;
    }
    status
}

fn update(flow: &mut Flow, change: &Flow) -> Result<(), Refusal> {
    if let Some(timeout) = change.timeout {
        if flow.status().contains(CtStatus::FIXED_TIMEOUT) {
            return Err(Refusal::Forbidden);
        }
        flow.timeout = Some(timeout.min(TIMEOUT_MAX));
    }
    if let Some(status) = change.status {
        let added = CtStatus(status.0 & !flow.status().0);
        if status_is_forbidden(added) {
            return Err(Refusal::Busy);
        }
        flow.status = Some(CtStatus(added.0 & SETTABLE) | flow.status());
    }
    match (change.info, &mut flow.info) {
        (ProtocolInfo::None, _) => {}
        (ProtocolInfo::Tcp { state: new }, ProtocolInfo::Tcp { state }) => *state = new,
        (
            ProtocolInfo::Sctp { state: Some(new), vtags: [Some(_), Some(_)] },
            ProtocolInfo::Sctp { state, vtags },
        ) => {
            *state = Some(new);
            if let ProtocolInfo::Sctp { vtags: given, .. } = change.info {
                *vtags = given;
            }
        }
        (ProtocolInfo::Sctp { .. }, _) => return Err(Refusal::Invalid),
        _ => {}
    }
    flow.mark = change.mark.or(flow.mark);
    if change.labels.is_some() {
        flow.labels = change.labels.filter(|labels| *labels != Labels::default());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
