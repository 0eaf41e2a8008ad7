//! One packet of a set: the plainest that there is in it.

use super::rows::Values;
use super::space::{Group, Interface, Packets, Result, STATES, Space, Unknown};
use super::telling::Order;
use keepstate_packet::{Address, Family, Parsed};
use keepstate_ruleset::evaluate;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::packet_set::Field;
use oxidd::{BooleanFunction, util::OptBool};

/// A packet, and what is around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The family.
    pub family: Family,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Upper-layer protocol.
    pub protocol: u8,
    /// Whether it is a second or further fragment.
    pub later_fragment: bool,
    /// Source port, of protocols that have one.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Type and code of ICMP, the type in the upper byte.
    pub icmp: u16,
    /// Flags of TCP.
    pub tcp_flags: u8,
    /// Conntrack state, a bit of [`STATES`].
    pub state: u8,
    /// Packet mark.
    pub mark: u32,
    /// Length in bytes from the IP header on; 0 where nothing asks for it.
    pub length: u32,
    /// Time to live or hop limit; 0 where nothing asks for it.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// The interface that it comes in by.
    pub in_interface: Option<String>,
    /// The interface that it leaves by.
    pub out_interface: Option<String>,
    /// What the unknowns that matter say.
    pub unknowns: Vec<(Unknown, bool)>,
}

/// Addresses that examples have if they can: any host's, and those of documentation for sources and destinations
/// (RFC 5737, RFC 3849, RFC 9637), with some more where rules name those.
pub(super) fn liked_addresses(family: Family) -> [Values; 4] {
    let address = |four: [u8; 4], six: u128| match family {
        Family::V4 => u128::from(u32::from_be_bytes(four)),
        Family::V6 => six,
    };
    let documentation = 0x2001_0db8_u128 << 96;
    let first = address([1, 0, 0, 1], 0x2000_u128 << 112);
    let unicast = address([223, 255, 255, 255], (0x3fff_u128 << 112) | (u128::MAX >> 16));
    let from = address([198, 51, 100, 1], documentation | 1 << 64 | 1);
    let to = address([198, 51, 100, 254], documentation | 1 << 64 | 0xffff);
    let low = address([192, 0, 2, 1], documentation | 1);
    let high = address([192, 0, 2, 254], documentation | 0xffff);
    let others = address([203, 0, 113, 1], 0x3fff_u128 << 112 | 1);
    let last = address([203, 0, 113, 254], 0x3fff_u128 << 112 | 0xffff);
    [vec![(first, unicast)], vec![(from, to)], vec![(low, high)], vec![(others, last)]]
}

impl Space {
    /// The plainest packet of a set; `None` where the set is empty.
    pub fn example(&self, packets: &Packets) -> Result<Option<Example>> {
        let mut set = packets.and(&self.every())?.and(&self.assumed)?;
        if set.is_empty() {
            return Ok(None);
        }
        if self.liked.get().is_none() {
            let liked = self.likes()?;
            let _ = self.liked.set(liked);
        }
        for liked in self.liked.get().into_iter().flatten() {
            let both = set.and(liked)?;
            if !both.is_empty() {
                set = both;
            }
        }
        let Some(cube) = self.in_order(&set)?.pick_cube(|_, _, _| false) else { return Ok(None) };
        Ok(Some(self.of_cube(&cube)))
    }

    /// What is plain, the most important first.
    fn likes(&self) -> Result<Vec<Packets>> {
        let field = |field, low: u128, high: u128| self.all_of(Group::Field(field), &[(low, high)]);
        let among = |field, values: &Values| self.all_of(Group::Field(field), values);
        let [unicast, sources, destinations, others] = liked_addresses(self.family());
        let echo = if self.family() == Family::V4 { 8 } else { 128 };
        Ok(vec![
            field(Field::LaterFragment, 0, 0)?,
            field(Field::State, 0, 0)?,
            field(Field::State, 0, 2)?,
            field(Field::Protocol, 6, 6)?,
            field(Field::Protocol, 17, 17)?,
            field(
                Field::Protocol,
                if self.family() == Family::V4 { 1 } else { 58 },
                if self.family() == Family::V4 { 1 } else { 58 },
            )?,
            // A SYN where it begins something, else what most segments are.
            field(Field::State, 0, 0)?
                .choose(&field(Field::TcpFlags, 2, 2)?, &field(Field::TcpFlags, 16, 16)?)?,
            field(Field::TcpFlags, 2, 2)?,
            field(Field::TcpFlags, 16, 16)?,
            field(Field::Icmp, echo << 8, echo << 8)?,
            among(Field::Source, &unicast)?,
            among(Field::Destination, &unicast)?,
            among(Field::Source, &sources)?,
            among(Field::Destination, &destinations)?,
            among(Field::Source, &others)?,
            among(Field::Destination, &others)?,
            // No address that stands for a network.
            self.odd(Field::Source)?,
            self.odd(Field::Destination)?,
            field(Field::DestinationPort, 80, 80)?,
            field(Field::DestinationPort, 1, 65_535)?,
            field(Field::SourcePort, 40_000, 40_000)?,
            field(Field::SourcePort, 1_024, 65_535)?,
            field(Field::SourcePort, 1, 65_535)?,
            field(Field::Mark, 0, 0)?,
            field(Field::Ttl, 64, 64)?,
            field(Field::Tos, 0, 0)?,
            field(Field::Length, 60, 1_500)?,
        ])
    }

    /// The packets that differ from this one in addresses, ports and interfaces at most, and in what nothing asks
    /// for.
    pub fn like(&self, packet: &Example) -> Result<Packets> {
        let mut all = self.every();
        let state = STATES.iter().position(|(bit, _)| *bit == packet.state).unwrap_or(0);
        for (field, number) in [
            (Field::Protocol, u128::from(packet.protocol)),
            (Field::LaterFragment, packet.later_fragment.into()),
            (Field::Icmp, packet.icmp.into()),
            (Field::TcpFlags, packet.tcp_flags.into()),
            (Field::State, state as u128),
        ] {
            all = all.and(&self.all_of(Group::Field(field), &[(number, number)])?)?;
        }
        Ok(all)
    }

    fn of_cube(&self, cube: &[OptBool]) -> Example {
        let order = self.order();
        let values: Vec<bool> = cube.iter().map(|value| *value == OptBool::True).collect();
        let asked = |group| {
            let (first, count) = order.groups.get(&group).copied().unwrap_or_default();
            (first..first + count)
                .any(|v| cube.get(v as usize).is_some_and(|v| *v != OptBool::None))
        };
        let unknowns = (order.first_unknown..).zip(self.unknowns()).filter_map(
            |(variable, unknown)| match cube.get(variable as usize)? {
                OptBool::None => None,
                OptBool::True => Some((unknown.clone(), true)),
                OptBool::False => Some((unknown.clone(), false)),
            },
        );
        let unknowns = unknowns.collect();
        let mut example = self.of_values(&order, &values, unknowns);
        if !asked(Group::Field(Field::Length)) {
            example.length = 0;
        }
        if !asked(Group::Field(Field::Ttl)) {
            example.ttl = 0;
        }
        example
    }

    fn of_values(&self, order: &Order, values: &[bool], unknowns: Vec<(Unknown, bool)>) -> Example {
        let number = |group| {
            let (first, count) = order.groups.get(&group).copied().unwrap_or_default();
            let number = (first..first + count).fold(0_u128, |number, variable| {
                number << 1 | u128::from(values.get(variable as usize).copied().unwrap_or(false))
            });
            self.plainest(group, number)
        };
        let field = |field| number(Group::Field(field));
        let address = |number: u128| match self.family() {
            Family::V4 => Address((number << 96).to_be_bytes()),
            Family::V6 => Address(number.to_be_bytes()),
        };
        let name = |side| self.interface_name(number(side), side);
        let incoming = name(Group::In);
        // What is passed on leaves by another interface than it came in by, if rules know no difference.
        let outgoing = name(Group::Out).map(|out| match Some(&out) == incoming.as_ref() {
            true => self.beside_interface(out, number(Group::Out)),
            false => out,
        });
        Example {
            family: self.family(),
            source: address(field(Field::Source)),
            destination: address(field(Field::Destination)),
            protocol: field(Field::Protocol) as u8,
            later_fragment: field(Field::LaterFragment) == 1,
            source_port: field(Field::SourcePort) as u16,
            destination_port: field(Field::DestinationPort) as u16,
            icmp: field(Field::Icmp) as u16,
            tcp_flags: field(Field::TcpFlags) as u8,
            state: STATES.get(field(Field::State) as usize).map_or(0, |(bit, _)| *bit),
            mark: field(Field::Mark) as u32,
            length: field(Field::Length) as u32,
            ttl: field(Field::Ttl) as u8,
            tos: field(Field::Tos) as u8,
            in_interface: incoming,
            out_interface: outgoing,
            unknowns,
        }
    }

    /// A name for an interface of this number, of others a usual one.
    fn interface_name(&self, number: u128, side: Group) -> Option<String> {
        match self.interfaces().get(number as usize)? {
            Interface::None => None,
            Interface::Named(name) => Some(name.clone()),
            Interface::Beginning(name) => Some(self.unused(name)),
            Interface::Other => {
                let from = if side == Group::In { 0 } else { 1 };
                let usual = (from..4).map(|at| format!("eth{at}"));
                let fits = |name: &String| self.interface_number(name) == number;
                Some(usual.into_iter().find(fits).unwrap_or_else(|| self.unused("if")))
            }
        }
    }

    /// Another interface that rules do not tell from this one; itself where they tell each from each.
    fn beside_interface(&self, name: String, number: u128) -> String {
        let beginning = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let mut others = (0..16).map(|at| format!("{beginning}{at}"));
        let is_other = |other: &String| *other != name && self.interface_number(other) == number;
        match self.interfaces().get(number as usize) {
            Some(Interface::Beginning(_) | Interface::Other) => {
                others.find(is_other).unwrap_or(name)
            }
            _ => name,
        }
    }

    /// The value of each variable for a packet; unknowns that it does not name are `false`.
    #[must_use]
    pub fn values(&self, packet: &Example) -> Vec<bool> {
        let mut values = vec![false; self.variables() as usize];
        let mut put = |group: Group, number: u128| {
            let number = self.code(group, number);
            let (first, count) = self.groups().get(&group).copied().unwrap_or_default();
            for (at, variable) in (first..first + count).enumerate() {
                let shift = count as usize - 1 - at;
                if let Some(value) = values.get_mut(variable as usize) {
                    *value = number >> shift & 1 == 1;
                }
            }
        };
        let address = |field, address: Address| self.number(field, u128::from_be_bytes(address.0));
        let interface =
            |name: &Option<String>| self.interface_number(name.as_deref().unwrap_or(""));
        put(Group::In, interface(&packet.in_interface));
        put(Group::Out, interface(&packet.out_interface));
        let state = STATES.iter().position(|(bit, _)| *bit == packet.state).unwrap_or(0);
        for (field, number) in [
            (Field::Source, address(Field::Source, packet.source)),
            (Field::Destination, address(Field::Destination, packet.destination)),
            (Field::Protocol, packet.protocol.into()),
            (Field::LaterFragment, packet.later_fragment.into()),
            (Field::SourcePort, packet.source_port.into()),
            (Field::DestinationPort, packet.destination_port.into()),
            (Field::Icmp, packet.icmp.into()),
            (Field::TcpFlags, packet.tcp_flags.into()),
            (Field::State, state as u128),
            (Field::Mark, packet.mark.into()),
            (Field::Length, packet.length.into()),
            (Field::Ttl, packet.ttl.into()),
            (Field::Tos, packet.tos.into()),
        ] {
            put(Group::Field(field), number);
        }
        for (unknown, says) in &packet.unknowns {
            let at = self.known_variable(unknown);
            if let Some(value) = at.and_then(|at| values.get_mut(at as usize)) {
                *value = *says;
            }
        }
        values
    }

    /// A name that begins like this and is none of the others.
    fn unused(&self, beginning: &str) -> String {
        let wanted = self.interface_number(&format!("{beginning}0"));
        let is_free = |name: &String| {
            !self.interfaces().iter().any(|known| match known {
                Interface::Named(own) => own == name,
                Interface::Beginning(own) => {
                    own.len() > beginning.len() && name.starts_with(own.as_str())
                }
                Interface::None | Interface::Other => false,
            })
        };
        let names = (0..10_000).map(|number| format!("{beginning}{number}"));
        names
            .filter(is_free)
            .find(|name| self.interface_number(name) == wanted || beginning != "if")
            .unwrap_or_else(|| format!("{beginning}x"))
    }
}

impl Example {
    /// Whether table nat is asked of it.
    #[must_use]
    pub fn is_first_of_connection(&self) -> bool {
        let announced = (Unknown::FirstOfRelated, true);
        match self.state {
            ct::NEW => true,
            ct::RELATED => self.unknowns.contains(&announced),
            _ => false,
        }
    }

    /// The fields of a packet that came; interfaces and unknowns are left for the caller to say.
    #[must_use]
    pub fn of_packet(parsed: &Parsed, bytes: &[u8], mark: u32, state: u8) -> Self {
        let l4 = parsed.l4_bytes(bytes);
        let word = |at: usize| match l4.get(at..at + 2) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        // As rules see it: where a chain of headers is broken they see none, and such packets are no members.
        let protocol = evaluate::protocol(parsed, bytes).unwrap_or(parsed.protocol);
        let has_ports = matches!(protocol, 6 | 17 | 33 | 132 | 136);
        let tcp_flags = match protocol {
            6 => l4.get(13).copied().unwrap_or(0),
            _ => 0,
        };
        Self {
            family: parsed.family,
            source: parsed.source,
            destination: parsed.destination,
            protocol,
            later_fragment: parsed.fragment.is_some_and(|fragment| fragment.offset != 0),
            source_port: if has_ports { word(0) } else { 0 },
            destination_port: if has_ports { word(2) } else { 0 },
            icmp: if matches!(protocol, 1 | 58) { word(0) } else { 0 },
            tcp_flags,
            state,
            mark,
            length: parsed.length,
            ttl: parsed.ttl,
            tos: parsed.tos,
            in_interface: None,
            out_interface: None,
            unknowns: Vec::new(),
        }
    }
}
