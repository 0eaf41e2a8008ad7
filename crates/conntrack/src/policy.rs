//! Timeout policies (`-j CT --timeout NAME`): the timeouts of a protocol under a name, for the
//! connections that a rule chooses.
//!
//! They are declared as with nfct(8): `nfct add timeout NAME inet tcp established 100` names the
//! states whose timeout is another, and the rest are what the sysctls said when the policy was made.
//! [`text`] reads such commands, and what `nfct list timeout` prints.

pub mod text;

use crate::sysctl::{Sysctls, Timeouts};
use crate::table::Table;
use crate::timeout::Timeout;
use alloc::vec::Vec;
use keepstate_packet::Family;

/// Longest name, bytes.
pub const NAME_MAX: usize = 31;
/// Most policies of a table.
pub const POLICIES_MAX: usize = 1024;
/// The number that stands for every protocol without a tracker of its own.
pub const GENERIC: u8 = 255;

/// The name of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    octets: [u8; NAME_MAX + 1],
}

impl Name {
    /// A name of 1 to [`NAME_MAX`] bytes, none of them NUL.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= NAME_MAX && !text.contains('\0');
        let mut octets = [0; NAME_MAX + 1];
        octets.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        fits.then_some(Self { octets })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.octets.split(|octet| *octet == 0).next().unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }
}

/// A policy as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Name.
    pub name: Name,
    /// Family of the connections that it is for.
    pub family: Family,
    /// Protocol; [`GENERIC`] for those without a tracker.
    pub protocol: u8,
    /// States, as [`states`] numbers them, and their timeouts in seconds.
    pub values: Vec<(u8, u32)>,
}

/// A policy in use.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    name: Name,
    timeouts: Timeouts,
}

/// A state by its name as nfct(8) spells it, and where its timeout is.
pub type State = (&'static str, fn(&mut Timeouts) -> &mut Timeout);

const TCP: &[State] = &[
    ("SYN_SENT", |t| &mut t.tcp_syn_sent),
    ("SYN_RECV", |t| &mut t.tcp_syn_recv),
    ("ESTABLISHED", |t| &mut t.tcp_established),
    ("FIN_WAIT", |t| &mut t.tcp_fin_wait),
    ("CLOSE_WAIT", |t| &mut t.tcp_close_wait),
    ("LAST_ACK", |t| &mut t.tcp_last_ack),
    ("TIME_WAIT", |t| &mut t.tcp_time_wait),
    ("CLOSE", |t| &mut t.tcp_close),
    ("SYN_SENT2", |t| &mut t.tcp_syn_sent2),
    ("RETRANS", |t| &mut t.tcp_max_retrans),
    ("UNACKNOWLEDGED", |t| &mut t.tcp_unacknowledged),
];
const UDP: &[State] = &[("UNREPLIED", |t| &mut t.udp), ("REPLIED", |t| &mut t.udp_stream)];
const GRE: &[State] = &[("UNREPLIED", |t| &mut t.gre), ("REPLIED", |t| &mut t.gre_stream)];
/// The kernel takes the last one too, though nfct(8) has no word for it.
const SCTP: &[State] = &[
    ("CLOSED", |t| &mut t.sctp_closed),
    ("COOKIE_WAIT", |t| &mut t.sctp_cookie_wait),
    ("COOKIE_ECHOED", |t| &mut t.sctp_cookie_echoed),
    ("ESTABLISHED", |t| &mut t.sctp_established),
    ("SHUTDOWN_SENT", |t| &mut t.sctp_shutdown_sent),
    ("SHUTDOWN_RECD", |t| &mut t.sctp_shutdown_recd),
    ("SHUTDOWN_ACK_SENT", |t| &mut t.sctp_shutdown_ack_sent),
    ("HEARTBEAT_SENT", |t| &mut t.sctp_heartbeat_sent),
];
const ICMP: &[State] = &[("TIMEOUT", |t| &mut t.icmp)];
const ICMPV6: &[State] = &[("TIMEOUT", |t| &mut t.icmpv6)];
const OTHERS: &[State] = &[("TIMEOUT", |t| &mut t.generic)];

/// The protocols that policies can be for, by name and number, with their states.
pub const PROTOCOLS: &[(&str, u8, &[State])] = &[
    ("tcp", 6, TCP),
    ("udp", 17, UDP),
    ("udplite", 136, UDP),
    ("icmp", 1, ICMP),
    ("icmpv6", 58, ICMPV6),
    ("gre", 47, GRE),
    ("sctp", 132, SCTP),
    ("generic", GENERIC, OTHERS),
];

/// The states of a protocol; none when policies cannot be for it.
#[must_use]
pub fn states(protocol: u8) -> &'static [State] {
    PROTOCOLS.iter().find(|(_, number, _)| *number == protocol).map_or(&[], |(.., states)| states)
}

/// Why a policy is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The name is taken.
    Taken,
    /// There are [`POLICIES_MAX`].
    Full,
}

/// Why a rule cannot have a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// None has this name.
    Unknown,
    /// It is for the other family.
    Family(Family),
    /// It is for this protocol.
    Protocol(u8),
}

impl Table {
    /// Makes a policy. What it does not name is as the sysctls say now.
    ///
    /// # Errors
    /// [`Refused`] when its name is taken or there are too many.
    pub fn add_timeout_policy(&mut self, declared: &Declaration) -> Result<(), Refused> {
        let Declaration { name, protocol, ref values, .. } = *declared;
        if self.timeout_policy(&name).is_some() {
            return Err(Refused::Taken);
        }
        if self.policies.len() >= POLICIES_MAX {
            return Err(Refused::Full);
        }
        let mut timeouts = self.sysctls.timeouts.clone();
        for (state, seconds) in values {
            if let Some((_, place)) = states(protocol).get(usize::from(*state)) {
                *place(&mut timeouts) = Timeout::of_policy(*seconds);
            }
        }
        self.policies.push(Policy { name, timeouts });
        Ok(())
    }

    /// The policy of this name, for [`Template::timeout`](crate::table::Template::timeout).
    #[must_use]
    pub fn timeout_policy(&self, name: &Name) -> Option<u16> {
        let at = self.policies.iter().position(|policy| policy.name == *name)?;
        u16::try_from(at).ok()
    }
}

/// Whether a rule for this family and protocol can have the policy of this name.
///
/// # Errors
/// [`Unfit`] says why not.
pub fn check(
    declared: &[Declaration],
    name: &Name,
    family: Family,
    protocol: u8,
) -> Result<(), Unfit> {
    let policy = declared.iter().find(|policy| policy.name == *name).ok_or(Unfit::Unknown)?;
    let tracked = if states(protocol).is_empty() { GENERIC } else { protocol };
    if policy.family != family {
        Err(Unfit::Family(policy.family))
    } else if policy.protocol != tracked {
        Err(Unfit::Protocol(policy.protocol))
    } else {
        Ok(())
    }
}

/// The sysctls with the timeouts of a policy in their place.
#[cold]
#[inline(never)]
pub(crate) fn apply(sysctls: &Sysctls, policy: Option<&Policy>) -> Sysctls {
    let timeouts = policy.map_or(&sysctls.timeouts, |policy| &policy.timeouts).clone();
    Sysctls { timeouts, ..sysctls.clone() }
}

#[cfg(test)]
mod tests;
