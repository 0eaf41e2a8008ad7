//! The matches, one a file.

use crate::evaluate::{State, Stores, Traversal};
use crate::explain::Pieces;
use crate::extension::Extension;
use crate::needs::Needs;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, string::String};
use core::any::Any;
use core::fmt::Debug;
use keepstate_packet::Family;

pub mod addrtype;
pub mod ah;
pub mod bpf;
pub mod cgroup;
pub mod cluster;
pub mod comment;
pub mod connbytes;
pub mod connlabel;
pub mod connlimit;
pub mod connmark;
pub mod conntrack;
pub mod cpu;
pub mod dccp;
pub mod devgroup;
pub mod dscp;
pub mod dst;
pub mod ebtables;
pub mod ecn;
pub mod esp;
pub mod eui64;
pub mod frag;
pub mod hashlimit;
pub mod hbh;
pub mod header;
pub mod helper;
pub mod hl;
pub mod icmp;
pub mod icmp6;
pub mod ipcomp;
pub mod iprange;
pub mod ipv6header;
pub mod ipvs;
pub mod length;
pub mod limit;
pub mod mac;
pub mod mark;
pub mod mh;
pub mod multiport;
pub mod nfacct;
pub mod osf;
pub mod owner;
pub mod physdev;
pub mod pkttype;
pub mod policy;
pub mod quota;
pub mod rateest;
pub mod realm;
pub mod recent;
pub mod rpfilter;
pub mod rt;
pub mod sctp;
pub mod set;
pub mod socket;
pub mod srh;
pub mod state;
pub mod statistic;
pub mod string;
pub mod tcp;
pub mod tcpmss;
pub mod time;
pub mod tos;
pub mod ttl;
pub mod u32;
pub mod udp;

#[cfg(test)]
pub(crate) mod testing;

/// Every match.
pub const MATCHES: &[Extension<Box<dyn Match>>] = &[
    addrtype::EXTENSION,
    ah::EXTENSION,
    ah::EXTENSION6,
    bpf::EXTENSION,
    cgroup::EXTENSION,
    cluster::EXTENSION,
    comment::EXTENSION,
    connbytes::EXTENSION,
    connlabel::EXTENSION,
    connlimit::EXTENSION,
    connmark::EXTENSION,
    conntrack::EXTENSION,
    cpu::EXTENSION,
    dccp::EXTENSION,
    devgroup::EXTENSION,
    dscp::EXTENSION,
    dst::EXTENSION,
    ecn::EXTENSION,
    esp::EXTENSION,
    eui64::EXTENSION,
    frag::EXTENSION,
    hashlimit::EXTENSION,
    hbh::EXTENSION,
    helper::EXTENSION,
    hl::EXTENSION,
    icmp::EXTENSION,
    icmp6::EXTENSION,
    ipcomp::EXTENSION,
    iprange::EXTENSION,
    ipvs::EXTENSION,
    ipv6header::EXTENSION,
    length::EXTENSION,
    limit::EXTENSION,
    mac::EXTENSION,
    mark::EXTENSION,
    mh::EXTENSION,
    multiport::EXTENSION,
    nfacct::EXTENSION,
    osf::EXTENSION,
    owner::EXTENSION,
    physdev::EXTENSION,
    pkttype::EXTENSION,
    policy::EXTENSION,
    quota::EXTENSION,
    rateest::EXTENSION,
    realm::EXTENSION,
    recent::EXTENSION,
    rpfilter::EXTENSION,
    sctp::EXTENSION,
    set::EXTENSION,
    socket::EXTENSION,
    rt::EXTENSION,
    srh::EXTENSION,
    state::EXTENSION,
    statistic::EXTENSION,
    string::EXTENSION,
    tcp::EXTENSION,
    tcpmss::EXTENSION,
    time::EXTENSION,
    tos::EXTENSION,
    ttl::EXTENSION,
    u32::EXTENSION,
    udp::EXTENSION,
];

/// One `-m` of a rule. A statement in the middle of an nftables rule is one too: it says
/// [`Answer::Yes`] and has an effect, which is why the traversal is mutable here.
pub trait Match: Any + Debug + Send + Sync {
    /// Its name, as after `-m`.
    fn name(&self) -> &'static str;
    /// Whether the packet matches. `state` is this instance's own memory (`limit`).
    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer;
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
    /// What it has to know that no packet carries, as the host file declares it; empty for nothing.
    fn fact(&self) -> &'static str {
        ""
    }
    /// Appends its options in iptables-save form, without ` -m NAME`, with a blank before each
    /// word.
    fn print(&self, out: &mut String);
    /// Appends its options in the form of `iptables -L`, with a blank before each word; with
    /// `numeric`, ports, protocols and the like as numbers (`-n`).
    fn list(&self, out: &mut String, numeric: bool);
    /// Which packets it says yes to, for analyses that run nothing.
    fn packet_set(&self) -> PacketSet {
        PacketSet::Opaque
    }
    /// Says what it looks at and what to mind.
    fn explain(&self, out: &mut Pieces);
}
