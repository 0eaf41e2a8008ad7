//! Which packets findings name: such as come there, between hosts that there may be.
//!
//! What cannot come is left out: what routing refuses (RFC 1812, 5.3.7: sources of nobody, or of the host itself),
//! what no router passes on, what tracking never calls so. Of the rest those are preferred that fit what the rules say
//! of the networks around.

use super::around::{Around, Behind, private};
use super::linted::Linted;
use crate::algebra::Way;
use crate::algebra::rows::Values;
use crate::algebra::space::{Group, Interface, Packets, Result, Unknown};
use crate::reach::around::{number, range, unroutable};
use keepstate_packet::tcp::{CWR, ECE, SYN};
use keepstate_packet::{Address, Family, icmp, icmpv6, sctp, tcp};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::packet_set::Field;
use std::net::IpAddr;
use std::rc::Rc;

/// Protocols that people know, beside those that examples like best: IGMP, GRE, ESP, AH, OSPF, SCTP, UDP-Lite.
const KNOWN: [u128; 9] = [2, 6, 17, 47, 50, 51, 89, 132, 136];
/// DCCP, which is tracked as TCP is.
const DCCP: u8 = 33;
/// The least addresses that are a network; fewer are some of its hosts.
const NETWORK_MIN: u128 = 8;
/// Types of requests, which tracking never calls INVALID: echo, timestamp, information, address mask.
const REQUESTS: [u8; 4] =
    [icmp::ECHO_REQUEST, icmp::TIMESTAMP_REQUEST, 15, icmp::ADDRESS_MASK_REQUEST];
/// The same of ICMPv6: echo, node information; and what is never tracked.
const REQUESTS_V6: [u8; 12] =
    [icmpv6::ECHO_REQUEST, 139, 130, 131, 132, 133, 134, 135, 136, 143, 151, 152];

/// What `-m addrtype` says of packets from or for more than one host.
const MANY: [&str; 4] = [
    "--src-type BROADCAST",
    "--dst-type BROADCAST",
    "--src-type MULTICAST",
    "--dst-type MULTICAST",
];

/// The packets that findings name.
#[derive(Clone, Debug)]
pub(super) struct Likely {
    /// Those that may come there.
    pub real: Packets,
    /// What they are like, the most important first.
    pub liked: Vec<Packets>,
    /// What rules say of the networks around.
    pub around: Around,
}

impl Likely {
    /// By the rules of a file.
    pub(super) fn of(linted: &Linted<'_>) -> Result<Self> {
        let at = Places::of(linted)?;
        let around = Around::of(linted);
        let real = linted
            .possible()?
            .and(&tracked(linted)?)?
            .less(&at.refused(&around)?)?
            .less(&at.stuck()?)?
            .less(&at.marked()?)?;
        let icmp = if linted.is_v4() { icmp::PROTOCOL } else { icmpv6::PROTOCOL };
        let known: Vec<_> = KNOWN.into_iter().chain([icmp.into()]).map(|one| (one, one)).collect();
        let mut liked = vec![
            real.clone(),
            linted.outside()?,
            // What arrives rather than what the host itself sends.
            at.foreign.clone(),
            linted.space.all_of(Group::Field(Field::Protocol), &known)?,
            aliased(linted)?.others()?,
            at.to_many()?,
        ];
        liked.extend(at.consistent(&around)?);
        liked.push(linted.crossing()?);
        liked.extend(at.between(&around)?);
        liked.push(at.checked()?);
        liked.extend(clients(linted)?);
        Ok(Self { real, liked, around })
    }
}

/// What tracking may say of packets, and what it says of none.
fn tracked(linted: &Linted<'_>) -> Result<Packets> {
    let field = |field, number: u8| linted.within(field, number.into(), number.into());
    let protocol = |number: u8| field(Field::Protocol, number);
    // A SYN begins something, or is one again.
    let mut never = linted.syn()?.and(&protocol(tcp::PROTOCOL)?)?;
    let mut known =
        protocol(tcp::PROTOCOL)?.or(&protocol(sctp::PROTOCOL)?)?.or(&protocol(DCCP)?)?;
    let (icmp, requests) = match linted.is_v4() {
        true => (icmp::PROTOCOL, REQUESTS.as_slice()),
        false => (icmpv6::PROTOCOL, REQUESTS_V6.as_slice()),
    };
    known = known.or(&protocol(icmp)?)?;
    for kind in requests {
        let low = u128::from(*kind) << 8;
        let of = linted.within(Field::Icmp, low, low | 0xff)?;
        never = never.or(&of.and(&protocol(icmp)?)?)?;
    }
    // Of protocols without states nothing is out of place.
    let never = never.or(&known.others()?)?.and(&linted.in_states(ct::INVALID)?)?;
    let alone = linted.space.untracked_by_themselves()?.or(&linted.untracked()?)?;
    linted.space.every().and(&alone)?.less(&never)
}

/// Packets by an interface of the name of an alias (`eth0:1`): there is none.
fn aliased(linted: &Linted<'_>) -> Result<Packets> {
    let is_alias = |one: &Interface| matches!(one, Interface::Named(name) if name.contains(':'));
    let numbers: Values = (0_u128..)
        .zip(linted.space.interfaces())
        .filter(|(_, one)| is_alias(one))
        .map(|(number, _)| (number, number))
        .collect();
    let by = |side| linted.space.all_of(side, &numbers);
    by(Group::In)?.or(&by(Group::Out)?)
}

/// Who begins a connection does so from a port that nobody knows.
fn clients(linted: &Linted<'_>) -> Result<Vec<Packets>> {
    let begins = linted.in_states(ct::NEW)?;
    let from = |low, high| linted.within(Field::SourcePort, low, high)?.or(&begins.others()?);
    Ok(vec![from(1024, 65_535)?, from(40_000, 40_000)?])
}

/// Where packets come in and leave.
struct Places<'l, 'a> {
    linted: &'l Linted<'a>,
    /// They came in by some interface, but not the loopback one.
    foreign: Packets,
    /// They are passed on.
    through: Packets,
    /// By the loopback interface, in or out.
    looped: Packets,
    /// Rules tell the loopback interface from others.
    tells_loopback: bool,
}

impl<'l, 'a> Places<'l, 'a> {
    /// Packets that arrive with a mark: it is the rules that give one.
    fn marked(&self) -> Result<Packets> {
        self.linted.within(Field::Mark, 1, u32::MAX.into())?.and(&self.foreign)
    }

    fn of(linted: &'l Linted<'a>) -> Result<Self> {
        let tells_loopback = linted.space.interfaces().contains(&Interface::Named("lo".into()));
        let number = linted.space.interface_number("lo");
        let looped = match tells_loopback {
            true => {
                let by = |group| linted.space.all_of(group, &[(number, number)]);
                by(Group::In)?.or(&by(Group::Out)?)?
            }
            false => linted.space.none(),
        };
        let through = Way::Through.packets(&linted.space)?;
        let foreign = Way::In.packets(&linted.space)?.or(&through)?.less(&looped)?;
        Ok(Self { linted, foreign, through, looped, tells_loopback })
    }

    fn by(&self, field: Field, values: &Values) -> Result<Packets> {
        self.linted.space.all_of(Group::Field(field), values)
    }

    fn named(&self, field: Field, words: &[&str]) -> Result<Packets> {
        let family = self.linted.ruleset.family;
        let values: Values = words.iter().filter_map(|word| range(word, family).ok()).collect();
        self.by(field, &values)
    }

    /// Packets that routing refuses, or the rules in its place.
    fn refused(&self, around: &Around) -> Result<Packets> {
        let v4 = self.linted.is_v4();
        let family = self.linted.ruleset.family;
        let nobody = self.by(Field::Source, &unroutable(family))?;
        let own = self.by(Field::Source, &around.own)?;
        let (loopback, none, every, several) = match family {
            Family::V4 => ("127.0.0.0/8", "0.0.0.0", "255.255.255.255", "224.0.0.0/4"),
            Family::V6 => ("::1", "::", "ff00::/8", "ff00::/8"),
        };
        // Who has no address yet asks everybody.
        let asking =
            self.named(Field::Source, &[none])?.and(&self.named(Field::Destination, &[every])?)?;
        let mut bad = nobody.or(&own)?.less(&asking)?;
        let to_nobody = if v4 { "0.0.0.0/8" } else { "::" };
        bad = bad.or(&self.named(Field::Destination, &[to_nobody, loopback])?)?;
        if !self.tells_loopback {
            // They may come by it.
            let here = self.through.others()?.and(&self.named(Field::Source, &[loopback])?)?;
            bad = bad.less(&here)?;
        }
        bad = bad.or(&self.claims_local()?)?.and(&self.foreign)?;
        if around.checks_sources {
            bad = bad.or(&self.beside(Group::In, &around.elsewhere)?)?;
        }
        // What the host sends.
        let own = Way::Out.packets(&self.linted.space)?;
        bad = bad.or(&own.and(&self.named(Field::Source, &[several, every])?)?)?;
        if self.tells_loopback {
            let here = self.named(Field::Source, &[loopback])?;
            let here = here.or(&self.named(Field::Destination, &[loopback])?)?;
            bad = bad.or(&own.less(&self.looped)?.and(&here)?)?;
        }
        Ok(bad)
    }

    /// Packets of which `-m addrtype` says that an address of this host sent them.
    fn claims_local(&self) -> Result<Packets> {
        let space = &self.linted.space;
        let mut all = space.none();
        for unknown in space.unknowns() {
            let Unknown::Named(text, _) = unknown else { continue };
            let Some(kind) = text.strip_prefix("addrtype ") else { continue };
            let Some(variable) = space.known_variable(unknown) else { continue };
            let holds = space.variable(variable)?;
            match kind {
                "--src-type LOCAL" => all = all.or(&holds)?,
                "! --src-type LOCAL" => all = all.or(&holds.others()?)?,
                _ => {}
            }
        }
        Ok(all)
    }

    /// Packets that are no segments where `-m addrtype` says that they are from or for more than one host.
    fn to_many(&self) -> Result<Packets> {
        let space = &self.linted.space;
        let segments =
            self.by(Field::Protocol, &vec![(tcp::PROTOCOL.into(), tcp::PROTOCOL.into())])?;
        let mut all = space.every();
        for unknown in space.unknowns() {
            let Unknown::Named(text, _) = unknown else { continue };
            let Some(kind) = text.strip_prefix("addrtype ") else { continue };
            let Some(variable) = space.known_variable(unknown) else { continue };
            if MANY.contains(&kind) {
                all = all.less(&space.variable(variable)?.and(&segments)?)?;
            }
        }
        Ok(all)
    }

    /// Packets that are not passed on: by the loopback interface, or between hosts of a link.
    fn stuck(&self) -> Result<Packets> {
        let mut stuck = self.looped.clone();
        if !self.linted.is_v4() {
            let link = ["fe80::/10"];
            let ends =
                self.named(Field::Source, &link)?.or(&self.named(Field::Destination, &link)?)?;
            stuck = stuck.or(&ends)?;
        }
        stuck.and(&self.through)
    }

    /// Packets at one of these interfaces with an address that is not behind it.
    fn beside(&self, side: Group, elsewhere: &[Behind]) -> Result<Packets> {
        let field = if side == Group::In { Field::Source } else { Field::Destination };
        let mut all = self.linted.space.none();
        for (interfaces, addresses) in elsewhere {
            let here = self.linted.space.all_of(side, interfaces)?;
            all = all.or(&here.and(&self.by(field, addresses)?)?)?;
        }
        Ok(all)
    }

    /// Packets that come in where rules expect their source, and leave where they expect their destination.
    fn consistent(&self, around: &Around) -> Result<Vec<Packets>> {
        let mut all = Vec::new();
        let space = &self.linted.space;
        for side in [Group::In, Group::Out] {
            all.push(self.beside(side, &around.elsewhere)?.others()?);
        }
        for (side, field) in [(Group::In, Field::Source), (Group::Out, Field::Destination)] {
            let (mut fitting, mut named) = (space.none(), space.none());
            for (interfaces, addresses) in &around.behind {
                let ours = self.by(field, addresses)?;
                fitting = fitting.or(&ours.and(&space.all_of(side, interfaces)?)?)?;
                named = named.or(&ours)?;
            }
            // What this host sends came in by none.
            let nowhere = space.all_of(side, &[(0, 0)])?;
            all.push(fitting.or(&named.others()?)?.or(&nowhere)?);
            // Where networks inside are known, nothing else is there.
            let (mut inside, outer) = (space.none(), space.all_of(side, &around.outer)?);
            for (interfaces, addresses) in &around.behind {
                if addresses.iter().all(|(low, high)| high - low < NETWORK_MIN) {
                    continue;
                }
                inside = inside.or(&space.all_of(side, interfaces)?)?;
            }
            all.push(fitting.or(&inside.others()?)?.or(&outer)?);
        }
        Ok(all)
    }

    /// Packets between inside and outside.
    fn between(&self, around: &Around) -> Result<Vec<Packets>> {
        let space = &self.linted.space;
        let mut all = Vec::new();
        let loopback = if self.linted.is_v4() { "127.0.0.0/8" } else { "::1" };
        let mut within = self.looped.others()?;
        let here = self.named(Field::Source, &[loopback])?;
        within = within.or(&here.and(&self.named(Field::Destination, &[loopback])?)?)?;
        all.push(within);
        let private = private(self.linted.ruleset.family);
        for (side, field) in [(Group::In, Field::Source), (Group::Out, Field::Destination)] {
            let outer = space.all_of(side, &around.outer)?;
            let nowhere = space.all_of(side, &[(0, 0)])?;
            if !around.outer.is_empty() {
                all.push(self.by(field, &private)?.and(&outer)?.others()?);
            }
            if !around.inner.is_empty() {
                all.push(self.by(field, &around.inner)?.or(&outer)?.or(&nowhere)?);
            }
        }
        if !around.own.is_empty() {
            let here = self.by(Field::Destination, &around.own)?;
            let inward = Way::In.packets(space)?.less(&self.looped)?;
            all.push(here.or(&inward.others()?)?);
            let from = self.by(Field::Source, &around.own)?;
            let outward = Way::Out.packets(space)?.less(&self.looped)?;
            all.push(from.or(&outward.others()?)?);
        }
        Ok(all)
    }

    /// Packets whose way back the kernel finds where they came in.
    fn checked(&self) -> Result<Packets> {
        let space = &self.linted.space;
        let mut all = space.every();
        for unknown in space.unknowns() {
            let Unknown::Named(text, _) = unknown else { continue };
            if !text.starts_with("rpfilter") {
                continue;
            }
            let Some(variable) = space.known_variable(unknown) else { continue };
            let holds = space.variable(variable)?;
            let inverted = text.contains("--invert");
            all = all.and(&if inverted { holds.others()? } else { holds })?;
        }
        Ok(all)
    }
}

impl Linted<'_> {
    /// What findings name.
    pub(super) fn likely(&self) -> Result<Rc<Likely>> {
        if let Some(known) = self.likely.borrow().as_ref() {
            return Ok(Rc::clone(known));
        }
        let likely = Rc::new(Likely::of(self)?);
        *self.likely.borrow_mut() = Some(Rc::clone(&likely));
        Ok(likely)
    }

    /// Whether an address is one of the host, by what the rules say.
    pub fn is_own(&self, address: IpAddr) -> Result<bool> {
        let number = number(self.ruleset.family, Address::from(address));
        let own = &self.likely()?.around.own;
        Ok(address.is_loopback() || own.iter().any(|(low, high)| (low..=high).contains(&&number)))
    }

    /// Those of these packets that come in, or leave, by the interface that leads outside, as far as that can be told,
    /// if there are any.
    pub fn rather_outside(&self, packets: &Packets, side: Group) -> Result<Packets> {
        let likely = self.likely()?;
        let others = self.space.interfaces().iter().position(|one| *one == Interface::Other);
        let unnamed: Values = others.map(|at| (at as u128, at as u128)).into_iter().collect();
        let inside = self.space.all_of(side, &likely.around.inside)?;
        let by = match likely.around.outer.is_empty() {
            true => unnamed,
            false => likely.around.outer.clone(),
        };
        for liked in [self.space.all_of(side, &by)?, inside.others()?] {
            let both = packets.and(&liked)?;
            if !both.is_empty() {
                return Ok(both);
            }
        }
        Ok(packets.clone())
    }

    /// Those of these packets that come in, and leave, by interfaces that rules name, if there are any; the loopback
    /// interface is everywhere.
    pub fn rather_named(&self, packets: &Packets) -> Result<Packets> {
        let lo = Interface::Named("lo".into());
        let numbered = (0..).zip(self.space.interfaces());
        let unnamed = numbered.filter(|(_, one)| **one == Interface::Other || **one == lo);
        let unnamed: Values = unnamed.map(|(at, _)| (at, at)).collect();
        let mut rather = packets.clone();
        for side in [Group::In, Group::Out] {
            let named = rather.less(&self.space.all_of(side, &unnamed)?)?;
            if !self.real(&named)?.is_empty() {
                rather = named;
            }
        }
        Ok(rather)
    }

    /// Those of these packets that came in by the interface that leads outside, where the rules tell which one it is.
    pub fn came_from_outside(&self, packets: &Packets) -> Result<Packets> {
        packets.and(&self.outer(Group::In)?)
    }

    /// Packets that come in, or leave, by an interface behind which rules hide others.
    pub fn outer(&self, side: Group) -> Result<Packets> {
        self.space.all_of(side, &self.likely()?.around.outer)
    }

    /// Those of these packets that may come there.
    pub fn real(&self, packets: &Packets) -> Result<Packets> {
        packets.and(&self.likely()?.real)
    }

    /// Those of these packets that may come there and begin connections: of TCP with a SYN.
    pub fn beginning(&self, packets: &Packets) -> Result<Packets> {
        let protocol = u128::from(tcp::PROTOCOL);
        let segments = self.within(Field::Protocol, protocol, protocol)?;
        let begins = self.syn()?.or(&segments.others()?)?;
        self.real(packets)?.and(&self.in_states(ct::NEW)?)?.and(&begins)
    }

    /// Packets with the flags of a first segment; those of ECN (RFC 3168) may be beside.
    fn syn(&self) -> Result<Packets> {
        let flags = [SYN, SYN | ECE, SYN | CWR, SYN | ECE | CWR].map(u128::from);
        let ranges = flags.map(|flags| (flags, flags));
        self.space.all_of(Group::Field(Field::TcpFlags), &ranges)
    }
}
