//! The matches and watchers of ebtables, one a file. They need no `-m`: their options bring them in.
//! What iptables has under the same name and way of printing is its own file there.

pub mod among;
pub mod arp;
pub mod icmp_ranges;
pub mod ieee802_3;
pub mod ip;
pub mod ip6;
pub mod limit;
pub mod log;
pub mod mark_m;
pub mod nflog;
pub mod pkttype;
pub mod stp;
pub mod vlan;

use crate::extension::Extension;
use crate::matches::Match;
use alloc::boxed::Box;

/// Every match and watcher of ebtables.
pub const MATCHES: &[Extension<Box<dyn Match>>] = &[
    among::EXTENSION,
    arp::EXTENSION,
    ieee802_3::EXTENSION,
    ip::EXTENSION,
    ip6::EXTENSION,
    limit::EXTENSION,
    log::EXTENSION,
    mark_m::EXTENSION,
    nflog::EXTENSION,
    pkttype::EXTENSION,
    stp::EXTENSION,
    vlan::EXTENSION,
];
