//! The way of each packet, step by step, with reasons: what the engine's recorder hears, told in words.
//!
//! [`Tracer::packet`] hands a packet to an engine and tells what became of it; nothing is evaluated here.
//! Why a packet is INVALID is told with the packet before it that set the edge: after each packet the
//! tracker's own record of its connection is compared with what it was.

mod announced;
pub mod notation;
pub(crate) mod packet;
mod record;
mod text;
mod told;
mod windows;

pub use record::{RULES_MAX, STEPS_MAX};
pub use text::render;
pub use told::{
    AnswerTold, ConnectionTold, InvalidTold, Leaves, PacketTold, RuleTold, Step, TableTold,
    TrackedTold,
};

use crate::experiment::{direction_name, state_name, verdict_name};
use announced::Announced;
use keepstate_conntrack::event::EventKind;
use keepstate_conntrack::{ConnId, CtState, Direction, Hook, Tracked, Tuple, Zone};
use keepstate_engine::{
    Cause, Disposition, Engine, Event, InterfaceIndex, Packet, Routed, Verdict,
};
use keepstate_packet::{Family, Instant, Parsed};
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::evaluate::Decision;
use keepstate_ruleset::model::{ChainIndex, TableName, builtin_name};
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::verdict;
pub(crate) use packet::ends;
use packet::line;
use record::{Ends, Heard, Record, Rule};
use std::collections::{BTreeMap, VecDeque};
use windows::Known;

/// Announcements of data connections that are remembered.
const ANNOUNCED_MAX: usize = 64;
/// Most log lines and events that are told of one packet.
const SAID_MAX: usize = 64;

/// Tells of packets that go through an engine.
#[derive(Debug, Default)]
pub struct Tracer {
    /// The lines of each family's rule file.
    lines: Vec<(Family, Lines)>,
    number: usize,
    first: Option<Instant>,
    known: BTreeMap<ConnId, Known>,
    announced: VecDeque<Announced>,
}

/// How the steps of one walk are told.
struct Telling<'a> {
    engine: &'a Engine,
    tracer: &'a Tracer,
    now: Instant,
    heard: std::slice::Iter<'a, Heard>,
    rules_left_out: std::slice::Iter<'a, usize>,
    /// The connection whose addresses and ports the INVALID packet has.
    stranger: Option<(ConnId, Direction)>,
    /// Who makes the answers.
    answers: &'static str,
}

impl Tracer {
    /// For an engine with these rule files.
    #[must_use]
    pub fn new<'s>(sources: impl Iterator<Item = (Family, &'s str)>) -> Self {
        let lines = sources.map(|(family, source)| (family, Lines::of(source))).collect();
        Self { lines, ..Self::default() }
    }

    /// Counts a frame that holds no packet.
    pub const fn pass_over(&mut self) {
        self.number += 1;
    }

    /// Hands a packet to the engine and tells of its way.
    pub fn packet(&mut self, engine: &mut Engine, now: Instant, packet: Packet<'_>) -> PacketTold {
        self.number += 1;
        engine.handle_timeout(now);
        while engine.poll_event().is_some() {}
        while engine.poll_transmit().is_some() {}
        let came = packet.bytes.to_vec();
        let stranger = of_tuple(engine, now, &came);
        let interface = packet.interface;
        let mut record = Record::new(packet.mark);
        let bytes = packet.bytes;
        let packet = Packet { bytes: &mut *bytes, ..packet };
        let disposition = engine.handle_packet_recorded(now, packet, &mut record);
        let mut telling = Telling {
            engine,
            tracer: self,
            now,
            heard: record.heard.iter(),
            rules_left_out: record.rules_left_out.iter(),
            stranger,
            answers: answers(&disposition),
        };
        let steps = telling.steps(&came);
        let leaves = disposition.output.map(|output| Leaves {
            interface: interface_name(engine, output.interface),
            packet: line(bytes.get(..output.length as usize).unwrap_or(bytes)),
        });
        let since = now.since(*self.first.get_or_insert(now));
        let mut told = PacketTold {
            number: self.number,
            seconds: since.as_secs_f64(),
            note: None,
            interface: interface.map(|index| interface_name(engine, index)),
            packet: line(&came),
            steps,
            steps_left_out: record.left_out,
            verdict: verdict_name(disposition.verdict),
            cause: disposition.cause.map(Cause::code),
            outcome: self.outcome(engine, &came, &disposition),
            leaves,
            log: Vec::new(),
            events: Vec::new(),
        };
        self.learn(engine, &record.heard, &told.packet);
        if let Some(announced) = Announced::of(self.number, &came) {
            self.announced.truncate(ANNOUNCED_MAX - 1);
            self.announced.push_front(announced);
        }
        while engine.poll_transmit().is_some() {}
        while let Some(event) = engine.poll_event() {
            say(event, &mut told);
        }
        told
    }

    /// Keeps what the connections that this packet has met are now.
    fn learn(&mut self, engine: &Engine, heard: &[Heard], line: &str) {
        let met = heard.iter().filter_map(|heard| match heard {
            Heard::Tracked(tracked) => tracked.conn,
            _ => None,
        });
        for conn in met {
            match Known::of(engine.conntrack(), conn) {
                Some(now) => {
                    let before = self.known.remove(&conn);
                    self.known.insert(conn, now.after(before, self.number, line));
                }
                None => {
                    self.known.remove(&conn);
                }
            }
        }
        // What has gone is forgotten.
        if self.known.len() > 2 * engine.conntrack().count() + 1024 {
            self.known.retain(|conn, _| engine.conntrack().state(*conn).is_some());
        }
    }

    fn line_of(
        &self,
        engine: &Engine,
        family: Family,
        at: (TableName, ChainIndex, u32),
    ) -> Option<u32> {
        let (table, chain, number) = at;
        let rule =
            engine.ruleset(family)?.table(table)?.chain(chain)?.rules.get(number as usize)?;
        let lines = self.lines.iter().find(|(of, _)| *of == family)?;
        lines.1.line(rule.span)
    }

    /// `rule 2 of FORWARD (filter, line 14)`, `the policy of FORWARD (filter)`.
    fn decider(
        &self,
        engine: &Engine,
        family: Family,
        table: TableName,
        decision: Decision,
    ) -> String {
        let ruleset = engine.ruleset(family);
        let found = ruleset.and_then(|ruleset| ruleset.table(table));
        let name = table.as_str();
        match decision {
            Decision::Rule { chain, rule } | Decision::Hotdrop { chain, rule } => {
                let (chain_name, _) = rule_text(engine, family, (table, chain, rule));
                let line = self.line_of(engine, family, (table, chain, rule));
                let line = line.map_or_else(String::new, |line| format!(", line {line}"));
                format!("rule {} of {chain_name} ({name}{line})", rule + 1)
            }
            Decision::Policy { chain } => {
                let chain = found.and_then(|table| table.chain(chain));
                let chain = chain.map_or("?", |chain| &chain.name);
                format!("the policy of {chain} ({name})")
            }
        }
    }

    /// What became of a packet, and who decided.
    fn outcome(&self, engine: &Engine, came: &[u8], disposition: &Disposition) -> String {
        let family = family_of(came);
        let decided = disposition.rule;
        let by = decided.map(|by| self.decider(engine, family, by.table, by.decision));
        let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
        let unknown = disposition.unknown.filter(|unknown| !unknown.is_settled);
        let unknown = match unknown {
            Some(_) => " (what a match asks for is not known: see `nobody knows` above)",
            None => "",
        };
        let text = match (disposition.verdict, disposition.cause, disposition.hook) {
            (_, Some(cause), _) => format!("dropped: {}", packet::cause(cause)),
            (Verdict::Accept, _, Some(Hook::Input)) => {
                format!("reaches the host itself, let in{by}")
            }
            (Verdict::Accept, ..) => format!("leaves, let through{by}"),
            (Verdict::Drop, ..) => format!("dropped{by}"),
            (Verdict::Reject, ..) => format!("dropped, and its sender told,{by}"),
            (Verdict::Queue, ..) => format!("handed to a program{by}"),
            (Verdict::Stolen, ..) => format!("kept, others are sent in its place,{by}"),
            (Verdict::Held, ..) => {
                "held until the other pieces of its datagram have come".to_owned()
            }
        };
        // Without a table there nobody has decided.
        let text = text.trim_end_matches([',', ' ']).trim_end_matches(", let in");
        format!("{}{unknown}", text.trim_end_matches(", let through"))
    }
}

/// Who answers a packet that ends like this.
const fn answers(disposition: &Disposition) -> &'static str {
    match (disposition.verdict, disposition.cause, disposition.hook) {
        (Verdict::Reject, ..) => "as REJECT has it",
        (_, Some(_), _) => "the router tells the sender",
        (Verdict::Accept, None, Some(Hook::Input)) => {
            "the host itself answers, for no socket of its own takes it"
        }
        (Verdict::Stolen, ..) => "SYNPROXY speaks for the other side",
        _ => "on account of the packet",
    }
}

fn say(event: Event, told: &mut PacketTold) {
    match event {
        Event::Log(line) if told.log.len() < SAID_MAX => told.log.push(line.text),
        Event::Nflog(message) if told.log.len() < SAID_MAX => {
            told.log.push(format!("to NFLOG group {}: {}", message.group, message.prefix));
        }
        Event::Conntrack(event) if told.events.len() < SAID_MAX => {
            let original = ends(&event.snapshot.original);
            match event.kind {
                EventKind::ExpectNew => told.events.push(format!("a helper expects {original}")),
                EventKind::Destroy => told.events.push(format!("the connection ends: {original}")),
                EventKind::New | EventKind::Update | EventKind::ExpectDestroy => {}
            }
        }
        Event::Log(_) | Event::Nflog(_) | Event::Conntrack(_) => {}
    }
}

fn family_of(bytes: &[u8]) -> Family {
    if bytes.first().is_some_and(|first| first >> 4 == 6) { Family::V6 } else { Family::V4 }
}

fn interface_name(engine: &Engine, index: InterfaceIndex) -> String {
    engine.host().interface(index).map_or_else(|| "lo".to_owned(), |one| one.name.to_string())
}

/// The connection that has the addresses and ports of a packet.
fn of_tuple(engine: &Engine, now: Instant, bytes: &[u8]) -> Option<(ConnId, Direction)> {
    engine.conntrack().find(now, &own_tuple(bytes)?, Zone::default())
}

fn own_tuple(bytes: &[u8]) -> Option<Tuple> {
    Tuple::of(&Parsed::new(bytes).ok()?, bytes)
}

/// The name of a rule's chain, and the rule.
fn rule_text(
    engine: &Engine,
    family: Family,
    (table, chain, number): (TableName, ChainIndex, u32),
) -> (String, String) {
    let table = engine.ruleset(family).and_then(|ruleset| ruleset.table(table));
    let found = table.and_then(|table| Some((table, table.chain(chain)?)));
    let Some((table, chain)) = found else { return ("?".to_owned(), String::new()) };
    let rule = chain.rules.get(number as usize);
    let text = rule.map(|rule| print_rule(family, table, &chain.name, rule));
    (chain.name.clone(), text.unwrap_or_default())
}

impl Telling<'_> {
    /// The steps up to the end of this walk, of a packet that came like this.
    fn steps(&mut self, came: &[u8]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut ends = Parsed::new(came).ok().map(|parsed| Ends::of(&parsed));
        let family = family_of(came);
        let mut explained = false;
        while let Some(heard) = self.heard.next() {
            match heard {
                Heard::Hook(hook) => steps.push(Step::Hook { hook: builtin_name(*hook) }),
                Heard::Tracked(tracked) => {
                    let told = self.tracked(tracked, came);
                    steps.push(Step::Tracked(told));
                    if let (None, false, true) = (tracked.conn, explained, self.translates(family))
                    {
                        explained = true;
                        steps.push(Step::Untranslated { why: self.untranslated(tracked) });
                    }
                }
                Heard::Table(family, table, hook) => {
                    steps.push(Step::Table(self.table(*family, *table, *hook)));
                }
                Heard::Translated(now) => {
                    steps.extend(ends.into_iter().flat_map(|before| translated(before, *now)));
                    ends = Some(*now);
                }
                Heard::Routed(routed) => steps.push(Step::Routed { to: self.routed(*routed) }),
                Heard::Confirmed => steps.push(Step::Confirmed),
                Heard::Answer(bytes) => steps.push(Step::Answer(self.answer(bytes))),
                Heard::Answered(_) => break,
                Heard::Rule(_) | Heard::TableVerdict { .. } => {}
            }
        }
        steps
    }

    fn translates(&self, family: Family) -> bool {
        let ruleset = self.engine.ruleset(family);
        ruleset.is_some_and(|ruleset| ruleset.table(TableName::Nat).is_some())
    }

    fn untranslated(&self, tracked: &Tracked) -> String {
        let what = match tracked.state {
            CtState::Invalid => "INVALID is of no connection: table nat is not asked, and",
            _ => "what is not tracked is of no connection: table nat is not asked, and",
        };
        let stranger = self.stranger.and_then(|(conn, direction)| {
            let conntrack = self.engine.conntrack();
            let other = conntrack.tuple(conn, direction.invert())?;
            let own = conntrack.tuple(conn, direction)?;
            // As it would look on its way out.
            let wanted = other.invert()?;
            (wanted != own).then_some(wanted)
        });
        match stranger {
            Some(wanted) => format!(
                "{what} nothing is translated. It goes on as it came; as a packet of the connection \
                 it would have become {}",
                ends(&wanted)
            ),
            None => format!("{what} nothing is translated"),
        }
    }

    fn tracked(&self, tracked: &Tracked, came: &[u8]) -> TrackedTold {
        let conntrack = self.engine.conntrack();
        let invalid = tracked.invalid.filter(|_| tracked.state == CtState::Invalid);
        let found =
            tracked.conn.or(self.stranger.filter(|_| invalid.is_some()).map(|(conn, _)| conn));
        let known = found.and_then(|conn| self.tracer.known.get(&conn));
        let snapshot = found.and_then(|conn| conntrack.snapshot(self.now, conn));
        let connection = match (&snapshot, known) {
            (Some(snapshot), _) => Some(ConnectionTold {
                original: ends(&snapshot.original),
                reply: reply_of(&snapshot.original, &snapshot.reply),
                state_before: known.and_then(|known| known.state),
                state_after: snapshot.protocol_state,
                mark: Some(snapshot.mark).filter(|mark| *mark != 0),
                helper: snapshot.helper.map(|helper| helper.to_string()),
                is_gone: false,
            }),
            (None, Some(known)) => Some(ConnectionTold {
                original: ends(&known.original),
                reply: reply_of(&known.original, &known.reply),
                state_before: known.state,
                is_gone: true,
                ..ConnectionTold::default()
            }),
            // Its first packet was dropped, or has ended it.
            (None, None) => tracked.conn.and_then(|_| own_tuple(came)).map(|own| {
                let own = match tracked.direction {
                    Some(Direction::Reply) => own.invert().unwrap_or(own),
                    _ => own,
                };
                // An error is about the connection of what it quotes.
                let parsed = Parsed::new(came).ok();
                let about = parsed.and_then(|parsed| packet::quoted_ends(&parsed, came));
                let original = about.unwrap_or_else(|| ends(&own));
                ConnectionTold { original, is_gone: true, ..ConnectionTold::default() }
            }),
        };
        let told = invalid.map(|invalid| {
            let direction = self.stranger.map(|(_, direction)| direction);
            windows::told(&invalid, came, known.zip(direction))
        });
        TrackedTold {
            state: state_name(tracked.state),
            direction: tracked.direction.map(direction_name),
            connection,
            invalid: told,
            announced: self.announced(tracked, came),
        }
    }

    /// Of a packet that is NEW: the line that has announced its connection, which nobody expected.
    fn announced(&self, tracked: &Tracked, came: &[u8]) -> Option<String> {
        let mut all = self.tracer.announced.iter().filter(|_| tracked.state == CtState::New);
        let found = all.find(|announced| announced.is_begun_by(came))?;
        Some(format!(
            "Packet #{} has announced it (`{}`), and no helper has read that: with -j CT --helper ftp on the \
             first packet of that connection it would have been RELATED.",
            found.by, found.line
        ))
    }

    fn table(&mut self, family: Family, table: TableName, hook: Hook) -> TableTold {
        let left_out = self.rules_left_out.next().copied().unwrap_or(0);
        let mut told = TableTold {
            table: table.as_str(),
            chain: builtin_name(hook),
            rules: Vec::new(),
            left_out,
            verdict: String::new(),
            decided: String::new(),
            mark: None,
        };
        while let Some(heard) = self.heard.next() {
            match heard {
                Heard::Rule(rule) => told.rules.push(self.rule(family, table, rule)),
                Heard::TableVerdict { verdict, decision, mark } => {
                    told.verdict = verdict_text(*verdict).to_owned();
                    let decided = decision
                        .map(|decision| self.tracer.decider(self.engine, family, table, decision));
                    told.decided = decided.unwrap_or_default();
                    told.mark = *mark;
                    break;
                }
                // Nothing else is heard in between.
                _ => break,
            }
        }
        told
    }

    fn rule(&self, family: Family, table: TableName, rule: &Rule) -> RuleTold {
        let place = (table, rule.chain, rule.number);
        let (chain, text) = rule_text(self.engine, family, place);
        RuleTold {
            chain,
            number: rule.number + 1,
            line: self.tracer.line_of(self.engine, family, place),
            rule: text,
            matched: rule.refused.is_none(),
            refused: rule.refused.clone(),
        }
    }

    fn routed(&self, routed: Routed) -> String {
        match routed {
            Routed::Local => {
                "to the host itself: the destination is an address of its own".to_owned()
            }
            Routed::Out(out) => format!("out by {}", interface_name(self.engine, out)),
            Routed::Dropped(cause) => format!("nowhere: {}", packet::cause(cause)),
            Routed::Unreachable => "nowhere: there is no route, and the sender is told".to_owned(),
        }
    }

    fn answer(&mut self, bytes: &[u8]) -> AnswerTold {
        let stranger =
            std::mem::replace(&mut self.stranger, of_tuple(self.engine, self.now, bytes));
        let before = self.heard.clone();
        let steps = self.steps(bytes);
        self.stranger = stranger;
        // The step that has ended this walk: its way out.
        let count = before.len() - self.heard.len();
        let leaves = match before.as_slice().get(count.wrapping_sub(1)) {
            Some(Heard::Answered(Some((interface, bytes)))) => Some(Leaves {
                interface: interface_name(self.engine, *interface),
                packet: line(bytes),
            }),
            _ => None,
        };
        AnswerTold { packet: line(bytes), by: self.answers, steps, leaves }
    }
}

/// The tuple of the answers where it is not that of the first packet turned round.
fn reply_of(original: &Tuple, reply: &Tuple) -> Option<String> {
    (original.invert().as_ref() != Some(reply)).then(|| ends(reply))
}

fn translated(before: Ends, now: Ends) -> impl Iterator<Item = Step> {
    let told = |end, from, to| {
        (from != to).then(|| Step::Translated {
            end,
            from: packet::end(before.family, from),
            to: packet::end(now.family, to),
        })
    };
    let source = told("source", before.source, now.source);
    source.into_iter().chain(told("destination", before.destination, now.destination))
}

const fn verdict_text(verdict: verdict::Verdict) -> &'static str {
    match verdict {
        verdict::Verdict::Accept => "ACCEPT",
        verdict::Verdict::Drop => "DROP",
        verdict::Verdict::Reject(_) => "REJECT",
        verdict::Verdict::Queue(_) => "NFQUEUE",
        verdict::Verdict::Synproxy(_) => "SYNPROXY",
    }
}
