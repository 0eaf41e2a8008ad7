//! The targets, one a file. ACCEPT, DROP and RETURN are [`crate::model::Jump::Standard`].

use crate::effect::Effect;
use crate::evaluate::{State, Stores, Traversal};
use crate::explain::Pieces;
use crate::extension::Extension;
use crate::needs::Needs;
use crate::verdict::Step;
use alloc::{boxed::Box, string::String, vec::Vec};
use core::any::Any;
use core::fmt::Debug;
use keepstate_packet::Family;

pub mod arptables;
pub mod audit;
pub mod checksum;
pub mod classify;
pub mod connmark;
pub mod connsecmark;
pub mod ct;
pub mod dnat;
pub mod dnpt;
pub mod dscp;
pub mod ebtables;
pub mod ecn;
pub mod hl;
pub mod hmark;
pub mod idletimer;
pub mod led;
pub mod log;
pub mod mark;
pub mod masquerade;
pub mod netmap;
pub mod nflog;
pub mod nfqueue;
pub mod notrack;
pub mod rateest;
pub mod redirect;
pub mod reject;
pub mod secmark;
pub mod set;
pub mod snat;
pub mod snpt;
pub mod synproxy;
pub mod tcpmss;
pub mod tcpoptstrip;
pub mod tee;
pub mod tos;
pub mod tproxy;
pub mod trace;
pub mod ttl;

/// Every target but ACCEPT, DROP and RETURN.
pub const TARGETS: &[Extension<Box<dyn Target>>] = &[
    audit::EXTENSION,
    checksum::EXTENSION,
    classify::EXTENSION,
    connmark::EXTENSION,
    connsecmark::EXTENSION,
    ct::EXTENSION,
    dnat::EXTENSION,
    dnpt::EXTENSION,
    dscp::EXTENSION,
    ecn::EXTENSION,
    hl::EXTENSION,
    hmark::EXTENSION,
    idletimer::EXTENSION,
    led::EXTENSION,
    log::EXTENSION,
    mark::EXTENSION,
    masquerade::EXTENSION,
    netmap::EXTENSION,
    nflog::EXTENSION,
    nfqueue::EXTENSION,
    notrack::EXTENSION,
    rateest::EXTENSION,
    redirect::EXTENSION,
    reject::EXTENSION,
    secmark::EXTENSION,
    set::EXTENSION,
    snat::EXTENSION,
    snpt::EXTENSION,
    synproxy::EXTENSION,
    tcpmss::EXTENSION,
    tcpoptstrip::EXTENSION,
    tee::EXTENSION,
    tos::EXTENSION,
    tproxy::EXTENSION,
    trace::EXTENSION,
    ttl::EXTENSION,
];

/// The `-j` of a rule, unless it names a chain or is ACCEPT, DROP or RETURN.
pub trait Target: Any + Debug + Send + Sync {
    /// Its name, as after `-j`.
    fn name(&self) -> &'static str;
    /// Acts on the packet.
    fn act(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Step;
    /// Steps into chains that [`Self::act`] may take, for judging circles and depth.
    fn steps(&self) -> Vec<Step> {
        Vec::new()
    }
    /// What it does to the fields that matches look at, for analyses that run nothing.
    fn effect(&self) -> Effect {
        Effect::unknown(self.steps())
    }
    /// What its memory is before the first packet. One that remembers anything begins with something
    /// other than the default: where all of a table begin with it, no memory is kept.
    fn initial(&self) -> State {
        State::default()
    }
    /// Adds what it wants of tracking.
    fn need(&self, needs: &mut Needs) {
        let _ = needs;
    }
    /// Has what it shares with other rules made, before any packet comes.
    fn declare(&self, stores: &mut Stores, family: Family) {
        let _ = (stores, family);
    }
    /// Appends its options in iptables-save form, with a blank before each word.
    fn print(&self, out: &mut String);
    /// Appends its options in the form of `iptables -L`, with a blank before each word; with
    /// `numeric`, ports, protocols and the like as numbers (`-n`).
    fn list(&self, out: &mut String, numeric: bool);
    /// Its name in the column `target` of `iptables -L`.
    fn listed_name(&self) -> &'static str {
        self.name()
    }
    /// Says what it does and what to mind.
    fn explain(&self, out: &mut Pieces);
}
