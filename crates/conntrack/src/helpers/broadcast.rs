//! The helpers for queries to everybody on a network: NetBIOS names (RFC 1002) and SNMP (RFC 3416).
//! Answers come from any host there.
//!
//! Nothing is read: a query is a packet of the host itself, to the broadcast address of a network of
//! the interface that it leaves on. The expectation serves until its time is up, once for each host
//! that answers from the helper's port. As observed on Linux 6.18.

use super::{Policy, snmp};
use crate::expect::Request;
use crate::helping::Helping;
use crate::sysctl::module::Modules;
use crate::table::Drop;
use crate::timeout::{Timeout, waited};
use crate::tuple::Direction;
use core::time::Duration;
use keepstate_packet::{Address, udp};

/// Port of the NetBIOS name service.
pub(super) const NETBIOS_NS_PORT: u16 = 137;
/// Port of SNMP agents.
pub(super) const SNMP_PORT: u16 = 161;

/// Answers to NetBIOS queries; `nf_conntrack_netbios_ns.timeout` changes it.
pub const NETBIOS_NS: Policy =
    Policy { name: "netbios-ns", max: 1, timeout: Duration::from_secs(3) };
/// Answers to SNMP queries; `nf_conntrack_snmp.timeout` changes it.
pub const SNMP: Policy = Policy { name: "snmp", max: 1, timeout: Duration::from_secs(30) };

/// The policies that the parameters of the modules ask for.
pub(super) const fn netbios_ns(modules: &Modules) -> Policy {
    Policy { timeout: waited(modules.netbios_ns_timeout), ..NETBIOS_NS }
}

/// See [`netbios_ns`].
pub(super) const fn snmp(modules: &Modules) -> Policy {
    Policy { timeout: waited(modules.snmp_timeout), ..SNMP }
}

pub(super) fn help_netbios_ns(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let seconds = helping.table.sysctls.modules.netbios_ns_timeout;
    help(helping, NETBIOS_NS_PORT, seconds);
    Ok(())
}

pub(super) fn help_snmp(helping: &mut Helping<'_>) -> Result<(), Drop> {
    let seconds = helping.table.sysctls.modules.snmp_timeout;
    help(helping, SNMP_PORT, seconds);
    snmp::help(helping)
}

/// Expects answers from `port`, and lets the connection of the query live as long as they may come.
fn help(helping: &mut Helping<'_>, port: u16, seconds: u32) {
    let Some(prefix) = helping.broadcast_prefix().filter(|prefix| *prefix > 0) else { return };
    let (Direction::Original, Some(reply)) =
        (helping.direction, helping.tuple_in(Direction::Reply))
    else {
        return;
    };
    let place = (reply.destination, reply.destination_port);
    let source = (Some(reply.source), Some(port));
    let mut answers = Request::new(udp::PROTOCOL, source, place, reply.family);
    answers.mask.source = Address::v4(prefix_mask(prefix).to_be_bytes());
    answers.permanent = true;
    // Where it cannot be expected, the query goes on all the same.
    let _ = helping.expect(answers);
    helping.live_on(Timeout::of_policy(seconds));
}

/// The mask of an IPv4 network.
fn prefix_mask(prefix: u8) -> u32 {
    !u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
