//! The services that a rule set tells apart: ports that it treats alike are one row.

use super::around;
use super::matrix::{Between, Open};
use super::service::{Service, WITH_PORTS};
use super::sets::{Pairs, Reach};
use crate::algebra::rows::Values;
use crate::algebra::space::{Group, Packets, Result};
use keepstate_packet::{Family, icmp, icmpv6, tcp, udp};
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::packet_set::{Field, PacketSet};
use serde::Serialize;
use std::collections::BTreeSet;

/// Most services that are asked about at once.
pub const SERVICES_MAX: usize = 8_000;

/// Services that are treated alike.
#[derive(Clone, Debug, Serialize)]
pub struct Alike {
    /// What they are.
    #[serde(skip)]
    pub service: Service,
    /// As people write it.
    pub name: String,
    /// Whether anybody can open them for certain, or perhaps.
    pub open: Open,
    /// Who can, to somebody.
    pub from: String,
    /// To whom somebody can.
    pub to: String,
}

impl Reach<'_> {
    /// These services, those that are treated alike together; first those that anybody can open.
    pub(super) fn alike(&self, services: &[Service], between: &Between) -> Result<Vec<Alike>> {
        let among = self.between(between)?;
        let mut rows: Vec<(Service, Open, Packets)> = Vec::new();
        let mut from = 0;
        for service in services {
            // One port of each interval stands for it.
            let first = service.ports.iter().map(|(low, _)| (*low, *low)).collect();
            let one = Service { ports: first, ..service.clone() };
            let pairs = self.pairs(&one, &among)?;
            if rows.last().is_some_and(|(known, ..)| known.protocol != service.protocol) {
                from = rows.len();
            }
            for (open, packets) in by_certainty(pairs)? {
                let same = rows.iter_mut().skip(from).find(|(known, how, same)| {
                    (*how, same) == (open, &packets) && known.icmp == service.icmp
                });
                match same {
                    Some((known, ..)) => join(&mut known.ports, &service.ports),
                    None => rows.push((service.clone(), open, packets)),
                }
            }
        }
        let mut alike = Vec::with_capacity(rows.len());
        for (service, open, packets) in rows {
            let from = self.side(&packets, Field::Source, &between.from)?;
            let to = self.side(&packets, Field::Destination, &between.to)?;
            let name = service.to_string();
            alike.push(Alike { service, name, open, from, to });
        }
        alike.sort_by_key(|row| std::cmp::Reverse(row.open));
        Ok(alike)
    }

    /// The addresses that a set has on one side.
    pub(super) fn side(&self, packets: &Packets, field: Field, among: &Values) -> Result<String> {
        Ok(around::shown(self.family(), &self.values(packets, field)?, among))
    }

    /// The same as numbers.
    pub(super) fn values(&self, packets: &Packets, field: Field) -> Result<Values> {
        let group = Group::Field(field);
        let side = self.space.some_alike(packets, &[group])?;
        let parts = self.space.parts(&side, group).ok_or(crate::algebra::Exhausted)?;
        let mut values: Values = parts.into_iter().flat_map(|(_, values)| values).collect();
        crate::algebra::rows::tidy(&mut values);
        Ok(values)
    }
}

/// The pairs that are open in every case, and those that only may be: a service can have both.
fn by_certainty(pairs: Pairs) -> Result<Vec<(Open, Packets)>> {
    let Pairs { certain, possible, .. } = pairs;
    let perhaps = possible.less(&certain)?;
    if certain.is_empty() && perhaps.is_empty() {
        return Ok(vec![(Open::No, certain)]);
    }
    let both = [(Open::Certain, certain), (Open::Possible, perhaps)];
    Ok(both.into_iter().filter(|(_, packets)| !packets.is_empty()).collect())
}

/// The services that rules may treat otherwise than others.
#[must_use]
pub fn told_apart(ruleset: &Ruleset) -> Vec<Service> {
    let edges = Edges::of(ruleset);
    let of = |protocol: &u8| edges.services(*protocol, ruleset.family);
    edges.protocols.iter().flat_map(of).collect()
}

/// Services by name, ports that follow each other together.
pub(super) fn joined(services: &[Service]) -> Vec<String> {
    let mut all: Vec<Service> = Vec::new();
    for service in services {
        match all.last_mut().filter(|last| last.protocol == service.protocol) {
            Some(last) if service.icmp.is_none() => join(&mut last.ports, &service.ports),
            _ => all.push(service.clone()),
        }
    }
    all.iter().map(ToString::to_string).collect()
}

#[derive(Default)]
struct Edges {
    protocols: BTreeSet<u8>,
    /// First ports of intervals.
    ports: BTreeSet<u16>,
    /// Types and codes.
    icmp: BTreeSet<(u16, u16)>,
}

impl Edges {
    /// Where rules begin and end to treat ports and types otherwise, and the protocols that they name.
    fn of(ruleset: &Ruleset) -> Self {
        let mut edges = Self::default();
        let tables = ruleset.tables.iter().flat_map(|table| &table.chains);
        for rule in tables.flat_map(|chain| &chain.rules) {
            edges.add(&PacketSet::of_rule(rule));
        }
        let icmp = if ruleset.family == Family::V4 { icmp::PROTOCOL } else { icmpv6::PROTOCOL };
        edges.protocols.extend([tcp::PROTOCOL, udp::PROTOCOL, icmp]);
        edges
    }

    fn add(&mut self, set: &PacketSet) {
        match set {
            PacketSet::All(sets) | PacketSet::Any(sets) => {
                sets.iter().for_each(|set| self.add(set))
            }
            PacketSet::In(Field::Protocol, ranges) => {
                let named = ranges.iter().filter(|(low, high)| low == high);
                self.protocols.extend(named.filter_map(|(low, _)| u8::try_from(*low).ok()));
            }
            PacketSet::In(Field::DestinationPort, ranges) => {
                for (low, high) in ranges {
                    let after = high.checked_add(1).and_then(|after| u16::try_from(after).ok());
                    self.ports.extend(u16::try_from(*low).ok().into_iter().chain(after));
                }
            }
            PacketSet::In(Field::Icmp, ranges) => {
                let ends = |(low, high): &(u128, u128)| {
                    Some((u16::try_from(*low).ok()?, u16::try_from(*high).ok()?))
                };
                self.icmp.extend(
                    ranges.iter().filter_map(ends).filter(|(low, high)| low >> 8 == high >> 8),
                );
            }
            _ => {}
        }
    }

    fn services(&self, protocol: u8, family: Family) -> Vec<Service> {
        if WITH_PORTS.contains(&protocol) {
            let starts: BTreeSet<u16> = self.ports.iter().copied().chain([0]).collect();
            let mut ends = starts.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
            let of = |low: &u16| Service::of_ports(protocol, *low, ends.next().unwrap_or(u16::MAX));
            return starts.iter().map(of).collect();
        }
        let is_icmp = matches!(
            (protocol, family),
            (icmp::PROTOCOL, Family::V4) | (icmpv6::PROTOCOL, Family::V6)
        );
        if !is_icmp {
            return vec![Service { protocol, ports: Vec::new(), icmp: None }];
        }
        let echo = Service::parse("icmp", family).ok();
        let named = self.icmp.iter().map(|types| Service {
            protocol,
            ports: Vec::new(),
            icmp: Some(*types),
        });
        let is_echo = |service: &Service| {
            echo.as_ref().is_some_and(|echo| {
                service.icmp.zip(echo.icmp).is_some_and(|(own, echo)| own.0 >> 8 == echo.0 >> 8)
            })
        };
        echo.clone().into_iter().chain(named.filter(|service| !is_echo(service))).collect()
    }
}

/// Adds ports that lie behind the others.
fn join(ports: &mut Vec<(u16, u16)>, more: &[(u16, u16)]) {
    for (low, high) in more {
        match ports.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(*low) => *end = *high,
            _ => ports.push((*low, *high)),
        }
    }
}
