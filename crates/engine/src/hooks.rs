//! The stages of the hooks, by priority: one list for everything that looks at a packet.
//!
//! Before them all, at priority -400 of PREROUTING and OUTPUT, stands [`crate::defrag`]: what it
//! holds is no packet yet.
//!
//! iptables tables and, later, nftables base chains are entries of the same list; one evaluator
//! serves them all.

use crate::cause::Cause;
use crate::duplicate;
use crate::engine::{PolicyOrRule, UnknownMatch};
use crate::facts::Facts;
use crate::helped;
use crate::recorder::Recorder;
use crate::rules::TableSet;
use crate::synproxy;
use crate::walk::{Stop, Walk};
use alloc::vec::Vec;
use keepstate_conntrack::nat::{self, Manip};
use keepstate_conntrack::table::{Drop, Template};
use keepstate_conntrack::{Care, CtState, Hook, Tracked};
use keepstate_packet::{InterfaceName, checksum};
use keepstate_ruleset::evaluate::{
    Decision, Logged, TableState, Tracing, Traversal, Unknown, evaluate,
};
use keepstate_ruleset::model::{Table, TableName};
use keepstate_ruleset::targets::log;
use keepstate_ruleset::verdict::Verdict;

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Conntrack finds or makes the packet's connection.
    Conntrack,
    /// The table's chain of this hook.
    Table(TableName),
    /// Addresses are translated, of a connection's first packet as the table's chain of this hook has
    /// it.
    Nat,
    /// What stands at the end of the ways in and out, from [`priority::HELPER`] to
    /// [`priority::CONFIRM`]: the connection's helper reads the packet, SYNPROXY completes what it has
    /// opened, sequence numbers are shifted, and a new connection enters the table.
    Leave,
}

/// netfilter's priorities (`enum nf_ip_hook_priorities` of the user-space API).
pub mod priority {
    /// raw.
    pub const RAW: i32 = -300;
    /// conntrack.
    pub const CONNTRACK: i32 = -200;
    /// mangle.
    pub const MANGLE: i32 = -150;
    /// nat, where it is the destination that changes.
    pub const NAT_DESTINATION: i32 = -100;
    /// filter.
    pub const FILTER: i32 = 0;
    /// nat, where it is the source that changes.
    pub const NAT_SOURCE: i32 = 100;
    /// security, as iptables-nft registers its chains (iptables-legacy: 50).
    pub const SECURITY: i32 = 150;
    /// Conntrack helpers.
    pub const HELPER: i32 = 300;
    /// SYNPROXY, just before the last.
    pub const SYNPROXY: i32 = i32::MAX - 1;
    /// Last of all: confirm.
    pub const CONFIRM: i32 = i32::MAX;
}

/// The stages of a hook in the order of their priorities.
#[must_use]
pub const fn stages(hook: Hook) -> &'static [(i32, Stage)] {
    const RAW: (i32, Stage) = (priority::RAW, Stage::Table(TableName::Raw));
    const CONNTRACK: (i32, Stage) = (priority::CONNTRACK, Stage::Conntrack);
    const MANGLE: (i32, Stage) = (priority::MANGLE, Stage::Table(TableName::Mangle));
    const DNAT: (i32, Stage) = (priority::NAT_DESTINATION, Stage::Nat);
    const SNAT: (i32, Stage) = (priority::NAT_SOURCE, Stage::Nat);
    const FILTER: (i32, Stage) = (priority::FILTER, Stage::Table(TableName::Filter));
    const SECURITY: (i32, Stage) = (priority::SECURITY, Stage::Table(TableName::Security));
    const LEAVE: (i32, Stage) = (priority::HELPER, Stage::Leave);
    match hook {
        Hook::Prerouting => &[RAW, CONNTRACK, MANGLE, DNAT],
        Hook::Input => &[MANGLE, FILTER, SNAT, SECURITY, LEAVE],
        Hook::Forward => &[MANGLE, FILTER, SECURITY],
        Hook::Output => &[RAW, CONNTRACK, MANGLE, DNAT, FILTER, SECURITY],
        Hook::Postrouting => &[MANGLE, SNAT, LEAVE],
    }
}

/// Takes a packet through the stages of a hook. Inlined, so that each hook's list is unrolled where
/// it stands; the stages themselves are calls.
#[inline(always)]
pub(crate) fn traverse<R: Recorder>(walk: &mut Walk<'_, R>, hook: Hook) -> Result<(), Stop> {
    walk.hook = Some(hook);
    walk.recorder.hook(hook);
    let tables = walk.rules.as_ref().map_or(TableSet::NONE, |rules| rules.tables_at(hook));
    for (_, stage) in stages(hook) {
        match stage {
            Stage::Table(name) if !tables.contains(*name) => {}
            Stage::Table(name) => table(walk, *name, hook)?,
            Stage::Conntrack if !walk.is_tracking => {}
            Stage::Conntrack => track_in(walk, hook)?,
            Stage::Nat if !tables.has_translation() => {}
            Stage::Nat => nat(walk, hook, tables)?,
            Stage::Leave => leave(walk)?,
        }
    }
    Ok(())
}

#[inline(never)]
fn table<R: Recorder>(walk: &mut Walk<'_, R>, name: TableName, hook: Hook) -> Result<(), Stop> {
    let [in_interface, out_interface] = interfaces(walk);
    let facts = facts(walk, hook);
    let traces = walk.rules.as_ref().is_some_and(|rules| rules.traces());
    let Some((table, state)) = walk.rules.as_deref_mut().and_then(|rules| rules.table(name, hook))
    else {
        return Ok(());
    };
    walk.recorder.table(walk.parsed.family, name, hook);
    let mut traversal = Traversal {
        now: walk.now,
        hook,
        in_interface,
        out_interface,
        packet: walk.parsed,
        bytes: walk.bytes,
        link: walk.link,
        frame: None,
        mark: walk.mark,
        secmark: walk.secmark,
        priority: walk.priority,
        traced: walk.traced,
        verified: walk.verified,
        unfinished: &mut walk.unfinished,
        tracked: match &walk.tracked {
            Some(tracked) => Some(tracked),
            None => yet_to_be_tracked(&walk.template),
        },
        template: &mut walk.template,
        conntrack: walk.conntrack,
        host: &facts,
        stores: walk.stores,
        log: walk.log,
        unknown: None,
    };
    let (verdict, decision) = if traces {
        trace(table, state, &mut traversal, walk.recorder)
    } else {
        evaluate(table, state, &mut traversal, walk.recorder)
    };
    walk.mark = traversal.mark;
    walk.secmark = traversal.secmark;
    walk.priority = traversal.priority;
    walk.traced = traversal.traced;
    walk.verified = traversal.verified;
    let unknown = traversal.unknown;
    walk.recorder.table_verdict(name, verdict, decision);
    if let Some(unknown) = unknown {
        let is_settled = unknown.is_settled(verdict);
        let Unknown { chain, rule, number, .. } = unknown;
        walk.note_unknown(Some(UnknownMatch { table: name, chain, rule, number, is_settled }));
    }
    if !walk.stores.copies.is_empty() {
        duplicate::send(walk);
    }
    end(walk, verdict, decision.map(|decision| PolicyOrRule { table: name, decision }))
}

/// What rules see of a packet before tracking: the template that it was made with, if it was.
#[cold]
fn yet_to_be_tracked(template: &Template) -> Option<&'static Tracked> {
    template.is_proxied.then_some(&Tracked::TEMPLATE)
}

/// What a table's verdict means for the packet.
#[inline]
fn end<R: Recorder>(
    walk: &mut Walk<'_, R>,
    verdict: Verdict,
    decided: Option<PolicyOrRule>,
) -> Result<(), Stop> {
    match verdict {
        Verdict::Accept => {
            // The filter table is what people mean by "the rule that let it through".
            let is_filter = |rule: PolicyOrRule| rule.table == TableName::Filter;
            if !walk.rule.is_some_and(is_filter) || decided.is_some_and(is_filter) {
                walk.rule = decided.or(walk.rule);
            }
            Ok(())
        }
        Verdict::Drop => {
            walk.rule = decided;
            Err(Stop::Rule)
        }
        Verdict::Reject(with) => {
            walk.rule = decided;
            Err(Stop::Reject(with))
        }
        Verdict::Queue(_) => {
            walk.rule = decided;
            Err(Stop::Queue)
        }
        Verdict::Synproxy(announced) => {
            walk.rule = decided;
            synproxy::open(walk, announced)
        }
    }
}

/// Through a table of a rule set with TRACE.
#[cold]
#[inline(never)]
fn trace<R: Recorder>(
    table: &Table,
    state: &mut TableState,
    traversal: &mut Traversal<'_>,
    recorder: &mut R,
) -> (Verdict, Option<Decision>) {
    evaluate(table, state, traversal, &mut Tracing::new(table, recorder))
}

/// Packets that are already tracked, the host's own answers, are left as they are.
#[inline(never)]
fn track_in<R: Recorder>(walk: &mut Walk<'_, R>, hook: Hook) -> Result<(), Stop> {
    if walk.tracked.is_none() {
        if walk.template.zone_is_mark {
            walk.template.zone.id = (walk.mark & 0xffff) as u16;
        }
        let (now, parsed, template) = (walk.now, &*walk.parsed, &walk.template);
        let restarts = walk.conntrack.restarts_count();
        let tracked = match walk.prepared {
            Some(prepared) => {
                walk.conntrack.track_prepared(now, hook, parsed, walk.bytes, template, prepared)
            }
            None => walk.conntrack.track_in(now, hook, parsed, walk.bytes, template),
        };
        let again = walk.conntrack.restarts_count() != restarts;
        walk.verified |= again && hook == Hook::Prerouting && walk.conntrack.sysctls().checksum;
        if walk.conntrack.sysctls().log_invalid != 0 {
            complain_in(walk, hook);
        }
        match tracked {
            Ok(tracked) => walk.tracked = Some(tracked),
            Err(dropped) => return Err(stop(dropped)),
        }
    }
    if let Some(tracked) = &walk.tracked {
        walk.recorder.tracked(tracked);
    }
    Ok(())
}

/// Translates a packet, and sets up the translation of its connection when it is the first of it.
#[inline(never)]
fn nat<R: Recorder>(walk: &mut Walk<'_, R>, hook: Hook, tables: TableSet) -> Result<(), Stop> {
    let Some(tracked) = walk.tracked else { return Ok(()) };
    let Some(conn) = tracked.conn else { return Ok(()) };
    if tracked.state == CtState::Established && !walk.conntrack.is_changed(hook, &tracked) {
        return Ok(());
    }
    let is_error = nat::is_error(&tracked, walk.parsed);
    let may_begin = matches!(tracked.state, CtState::New | CtState::Related) && !is_error;
    let manip = Manip::at(hook);
    if may_begin && !walk.conntrack.is_set_up(conn, manip) {
        if tables.contains(TableName::Nat) {
            table(walk, TableName::Nat, hook)?;
        }
        if !walk.conntrack.is_set_up(conn, manip) {
            walk.conntrack.bind_null(walk.now, conn, manip);
        }
    } else if let (Hook::Postrouting, Some(out), false) = (hook, walk.out, is_error)
        && walk.conntrack.leaves_elsewhere(walk.now, &tracked, walk.parsed, out.0)
    {
        return Err(Stop::Cause(Cause::Untranslatable));
    }
    // Only options leave a header unsealed.
    if hook == Hook::Input
        && walk.parsed.has_options
        && walk.interface != Some(walk.routing.loopback())
        && !checksum::ipv4_header_valid(walk.bytes)
        && walk.conntrack.is_summed_up_again(&tracked, walk.parsed, walk.bytes)
    {
        return Err(Stop::Cause(Cause::Untranslatable));
    }
    let Some(mut unfinished) = walk.unfinished.take() else {
        walk.conntrack.translate(hook, &tracked, walk.parsed, walk.bytes).map_err(stop)?;
        walk.recorder.translated(hook, walk.parsed, walk.bytes);
        return Ok(());
    };
    let before = [walk.parsed.source, walk.parsed.destination];
    walk.conntrack.translate(hook, &tracked, walk.parsed, walk.bytes).map_err(stop)?;
    unfinished.readdress(before, walk.parsed, walk.bytes);
    walk.unfinished = Some(unfinished);
    walk.recorder.translated(hook, walk.parsed, walk.bytes);
    Ok(())
}

/// The host as rules of this hook see it.
#[inline]
const fn facts<'w, R>(walk: &Walk<'w, R>, hook: Hook) -> Facts<'w> {
    let Walk { routing, interface: came, out, made, .. } = *walk;
    Facts { routing, hook, came, out, made }
}

/// Where the packet came in, and where it leaves, as far as that is known.
#[inline]
fn interfaces<'w, R>(walk: &Walk<'w, R>) -> [Option<&'w InterfaceName>; 2] {
    let named = |index| walk.routing.name(index);
    [walk.interface.and_then(named), walk.out.and_then(named)]
}

/// Logs what tracking has to say of a packet on its way in.
#[cold]
#[inline(never)]
fn complain_in<R>(walk: &mut Walk<'_, R>, hook: Hook) {
    complain(walk, hook, interfaces(walk));
}

/// Logs what tracking has to say of a packet that it finds INVALID.
#[cold]
#[inline(never)]
pub(crate) fn complain<R>(
    walk: &mut Walk<'_, R>,
    hook: Hook,
    interfaces: [Option<&InterfaceName>; 2],
) {
    let complaints = walk.conntrack.take_complaints();
    let [in_interface, out_interface] = interfaces;
    let facts = facts(walk, hook);
    let mut lines = Vec::new();
    let traversal = Traversal {
        now: walk.now,
        hook,
        in_interface,
        out_interface,
        packet: walk.parsed,
        bytes: walk.bytes,
        link: walk.link,
        frame: None,
        mark: walk.mark,
        secmark: walk.secmark,
        priority: walk.priority,
        traced: walk.traced,
        verified: false,
        unfinished: &mut None,
        tracked: None,
        template: &mut walk.template,
        conntrack: walk.conntrack,
        host: &facts,
        stores: walk.stores,
        log: &mut lines,
        unknown: None,
    };
    let complained = complaints.lines().map(|complaint| log::complaint(complaint, &traversal));
    walk.log.extend(complained.map(Logged::Line));
}

#[inline(never)]
fn leave<R: Recorder>(walk: &mut Walk<'_, R>) -> Result<(), Stop> {
    let Some(conn) = walk.tracked.as_ref().and_then(|tracked| tracked.conn) else {
        return Ok(());
    };
    let care = walk.conntrack.care(conn);
    if care != Care::default() {
        let is_changed = care.is_helped() && helped::help(walk)?;
        if care.is_proxied() {
            synproxy::complete(walk)?;
        }
        if care.may_shift() {
            adjust(walk)?;
        }
        if is_changed {
            helped::renew(walk);
        }
    }
    confirm(walk)
}

/// Shifts sequence numbers. Those of what the host sends to itself are shifted on the way out alone.
#[cold]
#[inline(never)]
fn adjust<R>(walk: &mut Walk<'_, R>) -> Result<(), Stop> {
    match &walk.tracked {
        Some(tracked)
            if walk.hook != Some(Hook::Input)
                || walk.interface != Some(walk.routing.loopback()) =>
        {
            walk.conntrack.adjust(tracked, walk.parsed, walk.bytes).map_err(stop)
        }
        _ => Ok(()),
    }
}

#[inline]
fn confirm<R: Recorder>(walk: &mut Walk<'_, R>) -> Result<(), Stop> {
    match &mut walk.tracked {
        Some(tracked) if tracked.conn.is_some() => {
            walk.conntrack.confirm(walk.now, tracked).map_err(stop)?;
            let may_be_new = matches!(tracked.state, CtState::New | CtState::Related);
            if may_be_new && !walk.is_answer {
                walk.recorder.confirmed(tracked);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(crate) const fn stop(drop: Drop) -> Stop {
    Stop::Cause(match drop {
        Drop::Helper => Cause::HelperDropped,
        Drop::Malformed => Cause::Malformed,
        Drop::Clash => Cause::NatClash,
        Drop::TableFull => Cause::TableFull,
        Drop::Translation => Cause::Untranslatable,
    })
}
