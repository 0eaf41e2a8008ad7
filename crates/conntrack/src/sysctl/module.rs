//! Parameters of the kernel's helper modules by their own names: `nf_conntrack_ftp.loose` is what
//! stands in `/sys/module/nf_conntrack_ftp/parameters/loose`.

use super::{SysctlError, TIMEOUT_SECONDS_MAX};
use crate::timeout::Timeout;
use core::time::Duration;

/// Most expectations that a class of a helper may be given, in the kernel and here.
pub const CLASS_EXPECTATIONS_MAX: u32 = 255;

/// The parameters; defaults are the modules' own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    /// `nf_conntrack_ftp.loose`: data connections to and from addresses that are not the speaker's
    /// own are expected too.
    pub ftp_loose: bool,
    /// `nf_conntrack_irc.max_dcc_channels`: most expected for one connection, 1 to
    /// [`CLASS_EXPECTATIONS_MAX`].
    pub irc_max_dcc_channels: u32,
    /// `nf_conntrack_irc.dcc_timeout`: how long they are waited for, whole seconds.
    pub irc_dcc_timeout: Duration,
    /// `nf_conntrack_amanda.master_timeout`: how long a connection lives from each answer on.
    pub amanda_master_timeout: Timeout,
    /// `nf_conntrack_netbios_ns.timeout`: how long answers are waited for, whole seconds.
    pub netbios_ns_timeout: Duration,
    /// `nf_conntrack_snmp.timeout`: how long answers are waited for, whole seconds.
    pub snmp_timeout: Duration,
    /// `nf_conntrack_h323.default_rrq_ttl`: how long a registration lasts that does not say so,
    /// seconds.
    pub h323_default_rrq_ttl: u32,
    /// `nf_conntrack_h323.gkrouted_only`, unless 0: calls to a registered end point are expected from
    /// its gatekeeper only.
    pub h323_gkrouted_only: i32,
    /// `nf_conntrack_h323.callforward_filter`: a forwarded call is not expected when both ends are
    /// reached by the same way.
    pub h323_callforward_filter: bool,
}

impl Default for Modules {
    fn default() -> Self {
        Self {
            ftp_loose: false,
            irc_max_dcc_channels: 8,
            irc_dcc_timeout: Duration::from_secs(300),
            amanda_master_timeout: Timeout::seconds(300),
            netbios_ns_timeout: Duration::from_secs(3),
            snmp_timeout: Duration::from_secs(30),
            h323_default_rrq_ttl: 300,
            h323_gkrouted_only: 1,
            h323_callforward_filter: true,
        }
    }
}

/// Where the value of a parameter goes, by its kind.
enum Place<'a> {
    Switch(&'a mut bool),
    /// From 1 to the limit.
    Count(&'a mut u32, u32),
    Seconds(&'a mut Duration),
    Timeout(&'a mut Timeout),
    Unsigned(&'a mut u32),
    Integer(&'a mut i32),
}

impl Modules {
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let place = self.place(name).ok_or(SysctlError::UnknownName)?;
        let number = || {
            let number = super::number(value).filter(|(negative, _)| !negative);
            number.and_then(|(_, value)| u32::try_from(value).ok()).ok_or(SysctlError::BadValue)
        };
        match place {
            Place::Switch(to) => *to = switch(value).ok_or(SysctlError::BadValue)?,
            Place::Count(to, max) => {
                let in_range = Some(number()?).filter(|value| (1..=max).contains(value));
                *to = in_range.ok_or(SysctlError::BadValue)?;
            }
            Place::Unsigned(to) => *to = number()?,
            Place::Integer(to) => {
                let (negative, value) = super::number(value).ok_or(SysctlError::BadValue)?;
                let value = if negative { -value } else { value };
                *to = i32::try_from(value).map_err(|_| SysctlError::BadValue)?;
            }
            Place::Timeout(to) => {
                let in_range = Some(number()?).filter(|value| *value <= TIMEOUT_SECONDS_MAX);
                *to = Timeout::seconds(in_range.ok_or(SysctlError::BadValue)?.into());
            }
            Place::Seconds(to) => {
                let in_range = Some(number()?).filter(|value| *value <= TIMEOUT_SECONDS_MAX);
                *to = Duration::from_secs(in_range.ok_or(SysctlError::BadValue)?.into());
            }
        }
        Ok(())
    }

    /// A switch is 0 or 1.
    pub(super) fn value(&self, name: &str) -> Option<i64> {
        Some(match self.clone().place(name)? {
            Place::Switch(value) => i64::from(*value),
            Place::Count(value, _) | Place::Unsigned(value) => i64::from(*value),
            Place::Integer(value) => i64::from(*value),
            Place::Seconds(value) => value.as_secs() as i64,
            Place::Timeout(value) => value.as_secs(),
        })
    }

    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        use Place::{Count, Seconds, Switch};
        Some(match name.strip_prefix("nf_conntrack_")? {
            "ftp.loose" => Switch(&mut self.ftp_loose),
            "irc.max_dcc_channels" => Count(&mut self.irc_max_dcc_channels, CLASS_EXPECTATIONS_MAX),
            "irc.dcc_timeout" => Seconds(&mut self.irc_dcc_timeout),
            "amanda.master_timeout" => Place::Timeout(&mut self.amanda_master_timeout),
            "netbios_ns.timeout" => Seconds(&mut self.netbios_ns_timeout),
            "snmp.timeout" => Seconds(&mut self.snmp_timeout),
            "h323.default_rrq_ttl" => Place::Unsigned(&mut self.h323_default_rrq_ttl),
            "h323.gkrouted_only" => Place::Integer(&mut self.h323_gkrouted_only),
            "h323.callforward_filter" => Switch(&mut self.h323_callforward_filter),
            _ => return None,
        })
    }
}

/// Whether a name is that of a parameter kept here.
pub(super) fn is_parameter(name: &str) -> bool {
    const ELSEWHERE: &str = "nf_conntrack_sip.";
    name.starts_with("nf_conntrack_") && name.contains('.') && !name.starts_with(ELSEWHERE)
}

/// A switch as the kernel reads one: by its first character, and `on` and `off` by their second.
fn switch(text: &str) -> Option<bool> {
    match text.trim_ascii().to_ascii_lowercase().as_bytes() {
        [b'y' | b't' | b'1', ..] | [b'o', b'n', ..] => Some(true),
        [b'n' | b'f' | b'0', ..] | [b'o', b'f', ..] => Some(false),
        _ => None,
    }
}
