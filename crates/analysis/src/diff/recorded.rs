//! Recorded traffic past both rule sets, packet by packet: which connections fare differently; and which of those
//! that stand at the end the new rules would not let begin, but an early rule keeps alive.

use super::told::{AffectedTold, KeptTold, RecordedTold};
use super::{Side, words};
use crate::algebra::RuleAt;
use crate::copy::copy;
use crate::experiment::{state_name, verdict_name};
use crate::trial::Decided;
use keepstate_conntrack::{Direction, Hook, Tuple, Zone};
use keepstate_engine::{Command, Disposition, Engine, InterfaceIndex, Packet, Verdict};
use keepstate_packet::{Family, Instant, LinkInfo, Parsed};
use keepstate_ruleset::evaluate::Decision;
use std::collections::HashMap;
use std::fmt::Write;

/// Most connections that are followed; packets of others are counted.
const CONNECTIONS_MAX: usize = 200_000;
/// Most connections that are told of one by one.
const TOLD_MAX: usize = 100;

/// A packet that was recorded.
#[derive(Clone, Debug)]
struct Kept {
    interface: Option<InterfaceIndex>,
    link: LinkInfo,
    mark: u32,
    bytes: Vec<u8>,
}

impl Kept {
    /// Past an engine.
    fn past(&self, engine: &mut Engine, now: Instant) -> Disposition {
        let mut bytes = self.bytes.clone();
        engine.handle_timeout(now);
        let packet = Packet {
            bytes: &mut bytes,
            interface: self.interface,
            family: None,
            link: self.link,
            mark: self.mark,
        };
        let disposition = engine.handle_packet(now, packet);
        while engine.poll_transmit().is_some() {}
        while engine.poll_event().is_some() {}
        disposition
    }
}

/// The packets between two ends.
#[derive(Debug)]
struct Followed {
    first: Kept,
    /// The new rules have let the first packet pass, as the begin of a connection or of one that was announced.
    begins: bool,
    last: Kept,
    packets: u64,
    differing: u64,
    /// The number of the first that fares differently, and what became of it.
    shown: Option<(u64, [Disposition; 2])>,
}

type Ends = (Family, u8, [([u8; 16], u16); 2]);

/// Two filters that see the same traffic.
#[derive(Debug)]
pub struct Recorded {
    old: Engine,
    new: Engine,
    followed: Vec<Followed>,
    index: HashMap<Ends, usize>,
    packets: u64,
    differing: u64,
    not_followed: u64,
    now: Instant,
}

impl Recorded {
    /// Filters with the old rules and with the new ones.
    #[must_use]
    pub fn new(old: Engine, new: Engine) -> Self {
        Self {
            old,
            new,
            followed: Vec::new(),
            index: HashMap::new(),
            packets: 0,
            differing: 0,
            not_followed: 0,
            now: Instant::default(),
        }
    }

    /// The filter that a source of packets may declare interfaces to; see [`Self::packet`].
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.old
    }

    /// A packet comes, by an interface that the old filter has.
    pub fn packet(&mut self, now: Instant, packet: Packet<'_>) {
        if self.new.host().interfaces.len() != self.old.host().interfaces.len() {
            self.new.set_host(self.old.host().clone());
        }
        let (interface, link, mark) = (packet.interface, packet.link, packet.mark);
        let kept = Kept { interface, link, mark, bytes: packet.bytes.to_vec() };
        self.now = now;
        let number = self.packets;
        self.packets += 1;
        let (old, new) = (kept.past(&mut self.old, now), kept.past(&mut self.new, now));
        let differs = old.verdict != new.verdict;
        self.differing += u64::from(differs);
        let Some(ends) = ends(&kept.bytes) else { return };
        let at = match self.index.get(&ends) {
            Some(at) => *at,
            None if self.followed.len() >= CONNECTIONS_MAX => {
                self.not_followed += 1;
                return;
            }
            None => {
                let (first, last) = (kept.clone(), kept.clone());
                let begins = new.verdict == Verdict::Accept;
                self.index.insert(ends, self.followed.len());
                let new = Followed { first, begins, last, packets: 0, differing: 0, shown: None };
                self.followed.push(new);
                self.followed.len() - 1
            }
        };
        if let Some(followed) = self.followed.get_mut(at) {
            followed.packets += 1;
            followed.differing += u64::from(differs);
            if differs && followed.shown.is_none() {
                followed.shown = Some((number, [old, new]));
            }
            followed.last = kept;
        }
    }

    /// What came of it.
    #[must_use]
    pub fn finish(mut self, sides: (&Side, &Side)) -> RecordedTold {
        let mut told = RecordedTold {
            packets: self.packets,
            packets_differing: self.differing,
            connections: self.followed.len() as u64,
            connections_differing: 0,
            connections_not_followed: self.not_followed,
            affected: Vec::new(),
            kept_alive: Vec::new(),
            kept_alive_count: 0,
            readopted_count: 0,
        };
        for one in &self.followed {
            let Some((number, [old, new])) = &one.shown else { continue };
            told.connections_differing += 1;
            if told.affected.len() < TOLD_MAX {
                told.affected.push(AffectedTold {
                    connection: connection(&one.first.bytes),
                    packets: one.packets,
                    packets_differing: one.differing,
                    first: *number,
                    state: old.tracked.map(|tracked| state_name(tracked.state)),
                    old: verdict_name(old.verdict),
                    old_by: words::decided(sides.0, by(old)),
                    new: verdict_name(new.verdict),
                    new_by: words::decided(sides.1, by(new)),
                });
            }
        }
        self.kept_alive(&mut told);
        told
    }

    /// Connections of the old filter's table that could not begin with the new rules, and live on with them.
    fn kept_alive(&mut self, told: &mut RecordedTold) {
        for family in [Family::V4, Family::V6] {
            let Some(Ok(rules)) = self.new.ruleset(family).map(copy) else { continue };
            let command = Command::ReplaceRuleset(Box::new(rules));
            if self.old.handle_command(self.now, command).is_err() {
                return;
            }
        }
        let (old, new, now) = (&mut self.old, &mut self.new, self.now);
        for one in self.followed.iter().filter(|one| !one.begins) {
            let found = tuple(&one.first.bytes)
                .and_then(|tuple| old.conntrack().find(now, &tuple, Zone::default()));
            let Some((conn, direction)) = found else { continue };
            // What began before the recording has no first packet here.
            if direction != Direction::Original {
                continue;
            }
            let Some(original) = old.conntrack().tuple(conn, Direction::Original) else { continue };
            if one.last.past(old, now).verdict != Verdict::Accept {
                continue;
            }
            new.restart();
            let is_readopted = one.last.past(new, now).verdict == Verdict::Accept;
            told.kept_alive_count += 1;
            told.readopted_count += u64::from(is_readopted);
            if told.kept_alive.len() < TOLD_MAX {
                told.kept_alive.push(KeptTold {
                    connection: connection(&one.first.bytes),
                    delete: delete(&original),
                    is_readopted,
                });
            }
        }
    }
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    Tuple::of(&Parsed::new(bytes).ok()?, bytes)
}

/// The two ends, in one order for both directions.
fn ends(bytes: &[u8]) -> Option<Ends> {
    let parsed = Parsed::new(bytes).ok()?;
    let (source_port, destination_port) = match Tuple::of(&parsed, bytes) {
        Some(tuple) if matches!(tuple.protocol, 6 | 17 | 132 | 136) => {
            (tuple.source_port, tuple.destination_port)
        }
        Some(tuple) if matches!(tuple.protocol, 1 | 58) => (tuple.source_port, tuple.source_port),
        _ => (0, 0),
    };
    let mut both = [(parsed.source.0, source_port), (parsed.destination.0, destination_port)];
    both.sort_unstable();
    Some((parsed.family, parsed.protocol, both))
}

/// `tcp 10.0.0.1:1000 > 192.0.2.1:80`, by its first packet.
fn connection(bytes: &[u8]) -> String {
    match tuple(bytes) {
        Some(tuple) => crate::trace::ends(&tuple),
        None => String::from("packets without ports"),
    }
}

/// The command that takes exactly this connection away.
fn delete(original: &Tuple) -> String {
    let [source, destination] =
        [original.source, original.destination].map(|address| address.ip(original.family));
    let mut out = String::from("conntrack -D");
    if original.family == Family::V6 {
        out.push_str(" -f ipv6");
    }
    let name = keepstate_ruleset::extension::names::protocol_name(original.protocol);
    let name = name.map_or_else(|| original.protocol.to_string(), str::to_owned);
    let _ = write!(out, " -p {name} -s {source} -d {destination}");
    match original.protocol {
        6 | 17 | 132 | 136 => {
            let (from, to) = (original.source_port, original.destination_port);
            let _ = write!(out, " --sport {from} --dport {to}");
        }
        1 | 58 => {
            let of = if original.protocol == 1 { "icmp" } else { "icmpv6" };
            let _ = write!(out, " --{of}-id {}", original.source_port);
        }
        _ => {}
    }
    out
}

/// Who decided about a packet.
fn by(disposition: &Disposition) -> Option<Decided> {
    let by = disposition.rule?;
    let at = match by.decision {
        Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule } => {
            RuleAt { chain, number: rule }
        }
        Decision::Policy { chain } => RuleAt { chain, number: u32::MAX },
    };
    Some(Decided { hook: disposition.hook.unwrap_or(Hook::Forward), table: by.table, at })
}
