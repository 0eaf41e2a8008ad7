//! The packets that open something, and those of them that pass.

use super::around::{self, Around, Toward};
use super::service::{Service, WITH_PORTS};
use crate::algebra::rows::Values;
use crate::algebra::space::{Group, NODES_MAX, Packets, Result, Space, Unknown};
use crate::algebra::way::{Outcome, Way, follow};
use keepstate_conntrack::Hook;
use keepstate_packet::{Family, icmp, icmpv6, sctp, tcp, udp};
use keepstate_ruleset::model::{Jump, Ruleset, TableName};
use keepstate_ruleset::packet_set::Field;

const SOURCE: Group = Group::Field(Field::Source);
const DESTINATION: Group = Group::Field(Field::Destination);
/// Lowest source port of a client (RFC 6056, 3.2).
const CLIENT_PORT_MIN: u16 = 1024;
/// Time to live that a packet begins with on most systems.
pub(super) const TTL: u8 = 64;

/// Who opens something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// Somebody else: what comes in by an interface.
    Other,
    /// The host itself.
    Host,
}

/// What is asked of one way.
#[derive(Debug)]
pub struct Taken {
    /// What its tables do.
    pub outcome: Outcome,
    /// The packets that are routed so.
    pub routed: Packets,
    /// Those of them that come to its end.
    pub passed: Packets,
}

/// Which first packets of connections pass a rule set, from where to where.
#[derive(Debug)]
pub struct Reach<'a> {
    /// The space of the rule set.
    pub space: Space,
    /// The rule set.
    pub ruleset: &'a Ruleset,
    /// What is known of the networks around.
    pub around: Around,
    /// Who opens.
    pub opener: Opener,
    /// The ways that packets may take.
    pub ways: Vec<Taken>,
    /// Those that pass, by whichever way.
    passed: Packets,
    /// All that are routed by one of the ways.
    routed: Packets,
    /// Packets as clients send them.
    typical: Packets,
}

/// The pairs of addresses between which a service can be opened: of each packet source and destination count alone.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Whatever the unknowns say and whichever port the client takes, by some interfaces.
    pub certain: Packets,
    /// In some case.
    pub possible: Packets,
    /// The packets of [`Self::certain`], with their interfaces.
    pub sure: Packets,
    /// The packets of [`Self::possible`].
    pub passing: Packets,
    /// All packets of the question.
    pub asked: Packets,
}

impl<'a> Reach<'a> {
    /// Follows all first packets through a rule set.
    pub fn new(ruleset: &'a Ruleset, around: Around, opener: Opener) -> Result<Self> {
        Self::of_services(ruleset, around, opener, &[])
    }

    /// The same of these services alone, where there are any: what rules do with others can be far more than is
    /// asked.
    pub fn of_services(
        ruleset: &'a Ruleset,
        around: Around,
        opener: Opener,
        services: &[Service],
    ) -> Result<Self> {
        Self::within(ruleset, around, opener, services, NODES_MAX)
    }

    /// The same with at most so many nodes.
    pub(super) fn within(
        ruleset: &'a Ruleset,
        around: Around,
        opener: Opener,
        services: &[Service],
        nodes: usize,
    ) -> Result<Self> {
        let mut space = Space::apart([ruleset], around.apart(ruleset.family), nodes)?;
        let mut plain = plain(&space, &around, opener)?;
        if !services.is_empty() {
            let mut asked = space.none();
            for service in services {
                asked = asked.or(&service.packets(&space)?)?;
            }
            plain = plain.and(&asked)?;
        }
        let ways: &[Way] = match opener {
            Opener::Host => &[Way::Out],
            Opener::Other => &[Way::In, Way::Through],
        };
        let mut outcomes = Vec::new();
        for way in ways {
            outcomes.push(follow(&mut space, ruleset, *way, &plain)?);
        }
        // All unknowns have been met.
        let (mut all, mut all_passed, mut ways) = (space.none(), space.none(), Vec::new());
        for outcome in outcomes {
            let entering = outcome.way.packets(&space)?.and(&plain)?;
            let routing = Routing { space: &space, ruleset, around: &around, outcome: &outcome };
            let routed = routing.routed()?.and(&entering)?;
            let passed = outcome.passed.and(&routed)?;
            all = all.or(&routed)?;
            all_passed = all_passed.or(&passed)?;
            ways.push(Taken { outcome, routed, passed });
        }
        let typical = plain.and(&typical(&space, &around)?)?;
        Ok(Self { space, ruleset, around, opener, ways, passed: all_passed, routed: all, typical })
    }

    /// The family of the packets.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.ruleset.family
    }

    /// Which pairs can open a service; `among` is what more is asked.
    pub fn pairs(&self, service: &Service, among: &Packets) -> Result<Pairs> {
        let asked = service.packets(&self.space)?.and(among)?.and(&self.routed)?;
        self.pairs_of(&asked)
    }

    /// The same of any packets.
    pub fn pairs_of(&self, asked: &Packets) -> Result<Pairs> {
        let space = &self.space;
        let passing = self.passed.and(asked)?;
        let possible = space.some_alike(&passing, &[SOURCE, DESTINATION])?;
        let typical = asked.and(&self.typical)?;
        // By interfaces: all packets that clients send pass. And in each case there is a way out.
        let sides = [Group::In, Group::Out, SOURCE, DESTINATION];
        let mut sure = space.all_alike(&passing, &typical, &sides)?;
        if !sure.is_empty() {
            let left = space.forget(&passing, &[Group::Out])?;
            let stuck = typical.less(&left)?;
            let stuck = space.some_alike(&stuck, &[Group::In, SOURCE, DESTINATION])?;
            sure = sure.less(&stuck)?;
        }
        let certain = space.some_alike(&sure, &[SOURCE, DESTINATION])?;
        let sure = sure.and(&passing)?.and(&typical)?;
        Ok(Pairs { certain, possible, sure, passing, asked: asked.clone() })
    }

    /// Those of the asked packets that pass in some case, and those that pass whatever unknowns say.
    pub fn passing(&self, asked: &Packets) -> Result<(Packets, Packets)> {
        let passing = self.passed.and(asked)?;
        let groups: Vec<Group> = self.space.groups().keys().copied().collect();
        let asked = asked.and(&self.typical)?;
        let sure = self.space.all_alike(&passing, &asked, &groups)?;
        let sure = passing.and(&asked)?.and(&sure)?;
        Ok((passing, sure))
    }

    /// All packets that are routed.
    #[must_use]
    pub const fn all(&self) -> &Packets {
        &self.routed
    }

    /// Those of them that clients send.
    pub fn typical(&self, packets: &Packets) -> Result<Packets> {
        packets.and(&self.typical)
    }
}

/// What routing does with the packets of an outcome.
struct Routing<'r> {
    space: &'r Space,
    ruleset: &'r Ruleset,
    around: &'r Around,
    outcome: &'r Outcome,
}

impl Routing<'_> {
    /// Packets that go this way, by interfaces that fit their addresses.
    fn routed(&self) -> Result<Packets> {
        let Self { space, around, outcome, .. } = *self;
        let destination = |values: &Values| outcome.current.all_of(space, DESTINATION, values);
        let source = |values: &Values| around::of(space, Field::Source, values);
        let (translated, redirected) = self.translated()?;
        let to_host = match (&around.local, around.toward) {
            (Some(own), _) => destination(own)?.or(&redirected)?,
            (None, Toward::Beyond) => redirected,
            (None, Toward::Host) => translated.others()?,
        };
        let routed = match outcome.way {
            Way::In => to_host,
            Way::Through => to_host.others()?.and(&self.forwarded()?)?,
            Way::Out => space.every(),
        };
        routed
            .and(&around.fitting(space, Group::In, source)?)?
            .and(&around.fitting(space, Group::Out, destination)?)?
            .and(&self.asked()?)
    }

    /// Packets that a router passes on: they have time to live left, and do not leave the link that their addresses
    /// are for alone (RFC 4291, 2.5.6).
    fn forwarded(&self) -> Result<Packets> {
        let Self { space, outcome, .. } = *self;
        // That much less one is what it is by now.
        let lasts =
            outcome.current.all_of(space, Group::Field(Field::Ttl), &[(1, u8::MAX.into())])?;
        let lasts = lasts.less(&space.all_of(Group::Field(Field::Ttl), &[(0, 1)])?)?;
        if space.family() == Family::V4 {
            return Ok(lasts);
        }
        let link_local = [(0xfe80_u128 << 112, (0xfec0_u128 << 112) - 1)];
        let from = around::of(space, Field::Source, &link_local.to_vec())?;
        let to = outcome.current.all_of(space, DESTINATION, &link_local)?;
        let mut same = space.none();
        for place in 0..space.interfaces().len() as u128 {
            let here = [(place, place)];
            let both = space.all_of(Group::In, &here)?.and(&space.all_of(Group::Out, &here)?)?;
            same = same.or(&both)?;
        }
        lasts.less(&from.or(&to)?.less(&same)?)
    }

    /// Packets whose destination a rule before routing changes to another host's, and to this host's.
    fn translated(&self) -> Result<(Packets, Packets)> {
        let (mut elsewhere, mut here) = (self.space.none(), self.space.none());
        let Some(stage) = self.outcome.stage(Hook::Prerouting, TableName::Nat) else {
            return Ok((elsewhere, here));
        };
        let table = self.ruleset.table(TableName::Nat);
        for at in stage.walked.rules() {
            let chain = table.and_then(|table| table.chain(at.chain));
            let rule = chain.and_then(|chain| chain.rules.get(at.number as usize));
            let Some(Jump::Target(target)) = rule.map(|rule| &rule.target) else { continue };
            match target.name() {
                "DNAT" | "NETMAP" => {
                    elsewhere = elsewhere.or(&stage.walked.matched(self.space, at)?)?;
                }
                "REDIRECT" => here = here.or(&stage.walked.matched(self.space, at)?)?,
                _ => {}
            }
        }
        Ok((elsewhere, here))
    }

    /// What `-m addrtype` says of local addresses is no unknown here.
    fn asked(&self) -> Result<Packets> {
        let space = self.space;
        let mut says = space.every();
        for unknown in space.unknowns() {
            let Unknown::Named(text, changes) = unknown else { continue };
            let Some(asked) = LocalAsked::parse(text) else { continue };
            let mut answer = space.every();
            for (inverted, field) in asked.0 {
                let local = self.local(field, *changes != 0)?;
                answer = if inverted { answer.less(&local)? } else { answer.and(&local)? };
            }
            let Some(variable) = space.known_variable(unknown) else { continue };
            let other = space.variable(variable)?.differ(&answer)?;
            says = says.less(&other)?;
        }
        Ok(says)
    }

    /// Packets whose address is the host's own, as they came in or as they are by then.
    fn local(&self, field: Field, is_changed: bool) -> Result<Packets> {
        let Self { space, around, outcome, .. } = *self;
        if let Some(own) = &around.local {
            return match is_changed {
                true => outcome.current.all_of(space, Group::Field(field), own),
                false => around::of(space, field, own),
            };
        }
        let is_local = match (outcome.way, field) {
            (Way::Out, _) => field == Field::Source,
            (_, Field::Source) => false,
            (way, _) if is_changed => way == Way::In,
            _ => around.toward == Toward::Host,
        };
        Ok(if is_local { space.every() } else { space.none() })
    }
}

/// The first packets of connections that there can be, as they come in.
fn plain(space: &Space, around: &Around, opener: Opener) -> Result<Packets> {
    let field = |field, low, high| space.all_of(Group::Field(field), &[(low, high)]);
    let is_tcp = field(Field::Protocol, tcp::PROTOCOL.into(), tcp::PROTOCOL.into())?;
    let syn = u128::from(tcp::SYN);
    let is_syn = field(Field::TcpFlags, syn, syn)?;
    let mut plain = space
        .possible_packets()?
        .and(&field(Field::State, 0, 0)?)?
        .and(&field(Field::LaterFragment, 0, 0)?)?
        .and(&field(Field::Mark, 0, 0)?)?
        .and(&is_syn.or(&is_tcp.others()?)?)?;
    let family = space.family();
    let domain = around.domain(family);
    plain = plain.and(&around::of(space, Field::Source, &domain)?)?;
    plain = plain.and(&around::of(space, Field::Destination, &domain)?)?;
    if let Some(ports) = around.source_ports {
        plain = plain.and(&source_ports(space, ports)?)?;
    }
    if let Some(own) = &around.local {
        let from_host = around::of(space, Field::Source, own)?;
        plain = match opener {
            Opener::Host => plain.and(&from_host)?,
            Opener::Other if around.martians => plain,
            Opener::Other => plain.less(&from_host)?,
        };
    }
    Ok(plain)
}

/// What clients send, among the first packets.
fn typical(space: &Space, around: &Around) -> Result<Packets> {
    let field = |field, low, high| space.all_of(Group::Field(field), &[(low, high)]);
    source_ports(space, around.source_ports.unwrap_or((CLIENT_PORT_MIN, u16::MAX)))?
        .and(&bare(space)?)?
        .and(&field(Field::Ttl, TTL.into(), TTL.into())?)?
        .and(&field(Field::Tos, 0, 0)?)
}

/// Packets with nothing behind their headers.
fn bare(space: &Space) -> Result<Packets> {
    let field = |field, value| space.all_of(Group::Field(field), &[(value, value)]);
    let header = if space.family() == Family::V4 { 20 } else { 40 };
    let mut left = space.every();
    let mut bare = space.none();
    for (protocol, length) in [
        (tcp::PROTOCOL, 20),
        (udp::PROTOCOL, 8),
        (udp::PROTOCOL_LITE, 8),
        (icmp::PROTOCOL, 8),
        (icmpv6::PROTOCOL, 8),
    ] {
        let is = field(Field::Protocol, protocol.into())?;
        bare = bare.or(&is.and(&field(Field::Length, header + length)?)?)?;
        left = left.less(&is)?;
    }
    // An INIT of SCTP is a chunk of 20 bytes behind a header of 12.
    let sctp = field(Field::Protocol, sctp::PROTOCOL.into())?;
    bare = bare.or(&sctp.and(&field(Field::Length, header + 32)?)?)?;
    bare.or(&left.less(&sctp)?.and(&field(Field::Length, header)?)?)
}

/// Packets with such a source port, where they have any.
fn source_ports(space: &Space, (low, high): (u16, u16)) -> Result<Packets> {
    let ports = space.all_of(Group::Field(Field::SourcePort), &[(low.into(), high.into())])?;
    let with_ports = WITH_PORTS.map(|protocol| (u128::from(protocol), u128::from(protocol)));
    let has_ports = space.all_of(Group::Field(Field::Protocol), &with_ports)?;
    ports.or(&has_ports.others()?)
}

/// Whether what a match says is known once it is known which addresses are the host's.
pub(super) fn is_answered(text: &str) -> bool {
    LocalAsked::parse(text).is_some()
}

/// A match of `-m addrtype` that asks for nothing but the host's own addresses: which side, and whether inverted.
struct LocalAsked(Vec<(bool, Field)>);

impl LocalAsked {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("addrtype")?.split_ascii_whitespace();
        let mut asked = Vec::new();
        let mut inverted = false;
        while let Some(word) = words.next() {
            let field = match word {
                "!" => {
                    inverted = true;
                    continue;
                }
                "--src-type" => Field::Source,
                "--dst-type" => Field::Destination,
                _ => return None,
            };
            if words.next() != Some("LOCAL") {
                return None;
            }
            asked.push((std::mem::take(&mut inverted), field));
        }
        (!asked.is_empty()).then_some(Self(asked))
    }
}
