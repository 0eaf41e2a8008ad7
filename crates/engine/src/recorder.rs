//! Follows a packet on its way; the unit type records nothing and compiles to nothing.

use crate::route::{InterfaceIndex, Routed};
use crate::{cause::Cause, engine::Verdict};
use keepstate_conntrack::{Hook, Tracked};
use keepstate_packet::{Family, Parsed};
use keepstate_ruleset::{
    evaluate::{self, Decision},
    model::TableName,
    verdict,
};

/// What happens to one packet, in order. The rules that are looked at arrive through
/// [`evaluate::Recorder`], between [`Recorder::table`] and [`Recorder::table_verdict`].
pub trait Recorder: evaluate::Recorder {
    /// The packet enters a hook.
    fn hook(&mut self, hook: Hook) {
        let _ = hook;
    }
    /// Tracking has spoken.
    fn tracked(&mut self, tracked: &Tracked) {
        let _ = tracked;
    }
    /// A table's chain of this hook is walked.
    fn table(&mut self, family: Family, table: TableName, hook: Hook) {
        let _ = (family, table, hook);
    }
    /// That walk has ended.
    fn table_verdict(
        &mut self,
        table: TableName,
        verdict: verdict::Verdict,
        decision: Option<Decision>,
    ) {
        let _ = (table, verdict, decision);
    }
    /// Where it goes.
    fn routed(&mut self, routed: &Routed) {
        let _ = routed;
    }
    /// The packet's addresses, ports or identifiers have been looked at for translation, and this is what
    /// it is now.
    fn translated(&mut self, hook: Hook, packet: &Parsed, bytes: &[u8]) {
        let _ = (hook, packet, bytes);
    }
    /// The packet's connection is in the table, perhaps since just now.
    fn confirmed(&mut self, tracked: &Tracked) {
        let _ = tracked;
    }
    /// The filter made a packet in answer, `bytes` from the IP header on; its own walk through
    /// OUTPUT and POSTROUTING follows.
    fn answer(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }
    /// The walk of the answer is over: where it leaves, and what it is then; `None` where it does not.
    fn answered(&mut self, leaves: Option<(InterfaceIndex, &[u8])>) {
        let _ = leaves;
    }
    /// The walk is over.
    fn end(&mut self, verdict: Verdict, cause: Option<Cause>) {
        let _ = (verdict, cause);
    }
}

impl Recorder for () {}
