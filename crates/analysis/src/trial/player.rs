//! A rule set in an engine of its own: what the evaluator has said of one packet is asked there once more, with
//! routing, tracking and translation, and with the packets before it that make its state.

use super::history::History;
use super::{APART, Assumption, NOW, Ran, assume, assume_nothing, place_of, wrap};
use crate::algebra::space::Unknown;
use crate::algebra::{Example, RuleAt, Space, Way};
use crate::conversation::full;
use keepstate_conntrack::helpers::Instance;
use keepstate_conntrack::nat::Manip;
use keepstate_conntrack::table::Template;
use keepstate_conntrack::{Hook, Sysctls};
use keepstate_engine::{
    Command, Disposition, Engine, Host, InterfaceIndex, Packet, Route, Verdict as Fate,
};
use keepstate_packet::{Family, InterfaceName, LinkInfo, Parsed};
use keepstate_ruleset::evaluate::{State, Traversal};
use keepstate_ruleset::explain::Pieces;
use keepstate_ruleset::matches::Match;
use keepstate_ruleset::matches::conntrack::state_bit;
use keepstate_ruleset::model::{ChainIndex, Ruleset, TableName};
use keepstate_ruleset::packet_set::PacketSet;
use keepstate_ruleset::verdict::{Answer, Verdict};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections that the engine may keep.
const CONNECTIONS_MAX: u32 = 64;
/// Keys the hash of the connection table: the same run every time.
const SEED: [u64; 2] = [0x6b65_6570, 0x7374_6174];
/// No rule is gone.
const NONE: u64 = u64::MAX;

/// An engine with a rule set.
#[derive(Debug)]
pub(super) struct Player {
    engine: Engine,
    assumed: Vec<Assumption>,
    gone: Arc<AtomicU64>,
}

/// A match in front of the others of a rule, which lets nothing come to them while the rule is gone.
#[derive(Debug)]
struct Gate {
    own: u64,
    gone: Arc<AtomicU64>,
}

impl Match for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn matches(&self, _: &mut Traversal<'_>, _: &mut State) -> Answer {
        match self.gone.load(Ordering::Relaxed) == self.own {
            true => Answer::No,
            false => Answer::Yes,
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::EVERY
    }

    fn print(&self, _: &mut String) {}

    fn list(&self, _: &mut String, _: bool) {}

    fn explain(&self, _: &mut Pieces) {}
}

/// What the engine says to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The same as the evaluator.
    Same,
    /// Something else.
    Other,
    /// The packets do not lead to the state, or routing or the link has an opinion of its own.
    Nothing,
}

fn number(table: TableName, at: RuleAt) -> u64 {
    (table as u64) << 56 | u64::from(at.chain.0 & 0xff_ffff) << 32 | u64::from(at.number)
}

impl Player {
    pub(super) fn new(mut ruleset: Ruleset) -> Self {
        let assumed = wrap(&mut ruleset);
        let gone = Arc::new(AtomicU64::new(NONE));
        for table in &mut ruleset.tables {
            for (chain, index) in table.chains.iter_mut().zip(0..) {
                for (rule, number) in chain.rules.iter_mut().zip(0..) {
                    let at = RuleAt { chain: ChainIndex(index), number };
                    let own = self::number(table.name, at);
                    rule.matches.insert(0, Box::new(Gate { own, gone: Arc::clone(&gone) }));
                }
            }
        }
        let host = Host::router(InterfaceName::default(), InterfaceName::default());
        let sysctls = Sysctls { max: CONNECTIONS_MAX, ..Sysctls::default() };
        Self { engine: Engine::new(SEED, host, sysctls, vec![ruleset]), assumed, gone }
    }

    /// One rule is as good as not there; with `None` all are there again.
    pub(super) fn without(&self, rule: Option<(TableName, RuleAt)>) {
        let gone = rule.map_or(NONE, |(table, at)| number(table, at));
        self.gone.store(gone, Ordering::Relaxed);
    }

    /// Whether the packet fares here as the evaluator has said.
    pub(super) fn hears(
        &mut self,
        space: &mut Space,
        (way, example): (Way, &Example),
        (history, bytes): (&History, &[Vec<u8>]),
        ran: &Ran,
    ) -> Heard {
        assume(&self.assumed, space, example);
        let Some(disposition) = self.comes_to(way, example, (history, bytes), ran) else {
            return Heard::Nothing;
        };
        // What a target writes that is not told is another thing here than it was given.
        let written = space.unknowns().iter().any(|one| matches!(one, Unknown::Written(..)));
        // Behind others of its connection, table nat is not asked of it.
        let asked_nat = ran.decided.iter().any(|by| by.table == TableName::Nat);
        let is_later = history.before.len() > history.master && asked_nat;
        match self.is_same(example.family, &disposition, ran) {
            true => Heard::Same,
            false if written || is_later => Heard::Nothing,
            false => Heard::Other,
        }
    }

    /// Whether it fares so where nothing is assumed, whichever rule decides then.
    pub(super) fn shows_by_itself(
        &mut self,
        (way, example): (Way, &Example),
        (history, bytes): (&History, &[Vec<u8>]),
        ran: &Ran,
    ) -> bool {
        assume_nothing(&self.assumed);
        let disposition = self.comes_to(way, example, (history, bytes), ran);
        disposition.is_some_and(|disposition| has_fate(&disposition, ran.verdict))
    }

    /// What becomes of the packet in an engine that has just begun; `None` where it has not the state of the
    /// evaluator's, or where something else than rules decides.
    fn comes_to(
        &mut self,
        way: Way,
        example: &Example,
        (history, bytes): (&History, &[Vec<u8>]),
        ran: &Ran,
    ) -> Option<Disposition> {
        let mut host = host(way, example)?;
        match ran.verdict {
            Verdict::Queue(number) => host.queues.push(number),
            // What it keeps is not of the packet alone.
            Verdict::Synproxy(_) => return None,
            Verdict::Accept | Verdict::Drop | Verdict::Reject(_) => {}
        }
        self.engine.set_host(host);
        self.engine.restart();
        let disposition = self.play(way, example, (history, bytes))?;
        let unknown = disposition.unknown.is_some_and(|unknown| !unknown.is_settled);
        let state = state_bit(disposition.tracked.as_ref());
        // Translated to a broadcast address, a packet that is to be forwarded comes to the host itself.
        let is_way = disposition.hook.is_none_or(|hook| way.hooks().contains(&hook));
        let is_so = disposition.cause.is_none() && !unknown && state == ran.state && is_way;
        is_so.then_some(disposition)
    }

    fn play(
        &mut self,
        way: Way,
        example: &Example,
        (history, bytes): (&History, &[Vec<u8>]),
    ) -> Option<Disposition> {
        let mut now = NOW;
        let (last, earlier) = bytes.split_last()?;
        // Tracking alone sees these, as if no rule had matched them: table nat has had its turn.
        let expectation = history.expectation(bytes);
        for ((bytes, before), at) in earlier.iter().zip(&history.before).zip(0..) {
            if at == history.master
                && let Some(expectation) = expectation
            {
                self.engine.handle_command(now, Command::Expect(expectation)).ok()?;
            }
            now = now.plus(APART);
            let parsed = Parsed::new(bytes).ok()?;
            let comes_in = match way {
                Way::In => !before.is_back,
                Way::Through => true,
                Way::Out => before.is_back,
            };
            let hook = if comes_in { Hook::Prerouting } else { Hook::Output };
            let mut template = Template::default();
            if at < history.master {
                template.helper = Instance::named("ftp", example.family, parsed.protocol);
            }
            let table = self.engine.conntrack_mut();
            let mut tracked = table.track_in(now, hook, &parsed, bytes, &template).ok()?;
            if let Some(conn) = tracked.conn {
                for manip in [Manip::Destination, Manip::Source] {
                    table.bind_null(now, conn, manip);
                }
            }
            table.confirm(now, &mut tracked).ok()?;
        }
        if earlier.len() == history.master
            && let Some(expectation) = expectation
        {
            self.engine.handle_command(now, Command::Expect(expectation)).ok()?;
        }
        let mut bytes = last.clone();
        let interface = (way != Way::Out).then_some(InterfaceIndex(0));
        let link = LinkInfo::default();
        let mark = example.mark;
        let packet = Packet { bytes: &mut bytes, interface, family: None, link, mark };
        let disposition = self.engine.handle_packet(now.plus(APART), packet);
        while self.engine.poll_transmit().is_some() {}
        while self.engine.poll_event().is_some() {}
        Some(disposition)
    }

    fn is_same(&self, family: Family, disposition: &Disposition, ran: &Ran) -> bool {
        if !has_fate(disposition, ran.verdict) {
            return false;
        }
        if ran.verdict == Verdict::Accept {
            return true;
        }
        let ended = ran.decided.last().map(|by| (by.hook, by.table, by.at));
        let by = disposition.rule.and_then(|by| {
            let table = self.engine.ruleset(family)?.table(by.table)?;
            Some((disposition.hook?, by.table, place_of(table, by.decision)))
        });
        by == ended
    }
}

/// Whether what became of a packet is this verdict.
fn has_fate(disposition: &Disposition, verdict: Verdict) -> bool {
    let fate = match verdict {
        Verdict::Accept => Fate::Accept,
        Verdict::Drop => Fate::Drop,
        Verdict::Reject(_) => Fate::Reject,
        Verdict::Queue(_) => Fate::Queue,
        Verdict::Synproxy(_) => Fate::Stolen,
    };
    // REJECT drops without a word what must not be answered (RFC 1122, 3.2.2).
    let is_silent = (fate, disposition.verdict) == (Fate::Reject, Fate::Drop);
    disposition.verdict == fate || is_silent
}

/// A host on which the packet goes this way.
fn host(way: Way, example: &Example) -> Option<Host> {
    let name = |name: &Option<String>| InterfaceName::new(name.as_deref()?);
    let family = example.family;
    let [source, destination] = [example.source, example.destination].map(|one| one.ip(family));
    // What leaves by lo comes in again, and is walked once more.
    let is_lo = |name: &Option<String>| name.as_deref() == Some("lo");
    if source == destination || is_lo(&example.in_interface) || is_lo(&example.out_interface) {
        return None;
    }
    // What a host sends to these leaves by lo, and no router passes them on, whatever is claimed of them.
    let is_own = destination.is_unspecified() || destination.is_loopback();
    let is_of_link =
        destination.is_multicast() || matches!(destination, IpAddr::V4(one) if one.is_broadcast());
    if way != Way::In && is_own || way == Way::Through && is_of_link {
        return None;
    }
    Some(match way {
        Way::In => Host::endpoint(name(&example.in_interface)?, vec![full(family, destination)]),
        Way::Out => Host::endpoint(name(&example.out_interface)?, vec![full(family, source)]),
        Way::Through => {
            let (near, far) = (name(&example.in_interface)?, name(&example.out_interface)?);
            let mut host = Host::router(near, far).undeclared();
            for (address, interface) in [(source, 0), (destination, 1)] {
                host.routes.push(Route::new(full(family, address), InterfaceIndex(interface)));
            }
            host
        }
    })
}
