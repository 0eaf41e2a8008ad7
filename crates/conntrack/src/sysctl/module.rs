//! Parameters of the kernel's modules by their own names: `nf_conntrack_ftp.loose` is what stands in
//! `/sys/module/nf_conntrack_ftp/parameters/loose`.

use super::{SysctlError, Sysctls};
use crate::helpers::Instance;

/// Most expectations that a class of a helper may be given, in the kernel and here.
pub const CLASS_EXPECTATIONS_MAX: u32 = 255;

/// The parameters of the helpers' modules, that of SIP apart; defaults are the modules' own.
/// Seconds are reckoned in ticks of the kernel's clock in 32 bits, and wrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    /// `nf_conntrack_ftp.ports`.
    pub ftp_ports: Ports,
    /// `nf_conntrack_ftp.loose`: data connections to and from addresses that are not the speaker's
    /// own are expected too.
    pub ftp_loose: bool,
    /// `nf_conntrack_irc.ports`.
    pub irc_ports: Ports,
    /// `nf_conntrack_irc.max_dcc_channels`: most expected for one connection, 1 to
    /// [`CLASS_EXPECTATIONS_MAX`].
    pub irc_max_dcc_channels: u32,
    /// `nf_conntrack_irc.dcc_timeout`: how long they are waited for, seconds.
    pub irc_dcc_timeout: u32,
    /// `nf_conntrack_sane.ports`.
    pub sane_ports: Ports,
    /// `nf_conntrack_sip.ports`.
    pub sip_ports: Ports,
    /// `nf_conntrack_tftp.ports`.
    pub tftp_ports: Ports,
    /// `nf_conntrack_amanda.master_timeout`: how long a connection lives from each answer on,
    /// seconds.
    pub amanda_master_timeout: u32,
    /// `nf_conntrack_netbios_ns.timeout`: how long answers are waited for, seconds.
    pub netbios_ns_timeout: u32,
    /// `nf_conntrack_snmp.timeout`: how long answers are waited for, seconds.
    pub snmp_timeout: u32,
    /// `nf_conntrack_h323.default_rrq_ttl`: how long a registration lasts that does not say so,
    /// seconds.
    pub h323_default_rrq_ttl: u32,
    /// `nf_conntrack_h323.gkrouted_only`, unless 0: calls to a registered end point are expected from
    /// its gatekeeper only.
    pub h323_gkrouted_only: i32,
    /// `nf_conntrack_h323.callforward_filter`: a forwarded call is not expected when both ends are
    /// reached by the same next hop.
    pub h323_callforward_filter: bool,
}

impl Default for Modules {
    fn default() -> Self {
        Self {
            ftp_ports: Ports::one(21),
            ftp_loose: false,
            irc_ports: Ports::one(6667),
            irc_max_dcc_channels: 8,
            irc_dcc_timeout: 300,
            sane_ports: Ports::one(6566),
            sip_ports: Ports::one(5060),
            tftp_ports: Ports::one(69),
            amanda_master_timeout: 300,
            netbios_ns_timeout: 3,
            snmp_timeout: 30,
            h323_default_rrq_ttl: 300,
            h323_gkrouted_only: 1,
            h323_callforward_filter: true,
        }
    }
}

/// The ports that a module registers its helper for (`ports`), as they are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    list: [u16; Self::MAX],
    count: usize,
}

impl Ports {
    /// Most ports of a module, in the kernel and here.
    pub const MAX: usize = 8;

    /// One port.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        let mut list = [0; Self::MAX];
        list[0] = port;
        Self { list, count: 1 }
    }

    /// The ports, one by one.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = u16> {
        self.list.into_iter().take(self.count)
    }

    /// A list with commas.
    fn parse(text: &str) -> Option<Self> {
        let mut ports = Self { list: [0; Self::MAX], count: 0 };
        for word in text.trim_ascii_end().split(',') {
            *ports.list.get_mut(ports.count)? = unsigned(word)?.try_into().ok()?;
            ports.count += 1;
        }
        Some(ports)
    }
}

/// Where the value of a parameter goes, by its kind.
enum Place<'a> {
    Switch(&'a mut bool),
    /// Any number of 32 bits with a sign, of which it only matters whether it is 0.
    Truth(&'a mut bool),
    /// From 1 to the limit.
    Count(&'a mut u32, u32),
    Unsigned(&'a mut u32),
    Integer(&'a mut i32),
    Ports(&'a mut Ports),
    /// One of these words; whichever it is changes nothing here.
    Word(&'static [&'static str]),
    /// Not to be changed.
    Fixed(i64),
}

impl Modules {
    /// The ports of the module that has this helper; `None` when they are no parameter.
    pub(crate) const fn ports(&self, helper: &str) -> Option<&Ports> {
        match helper.as_bytes() {
            b"ftp" => Some(&self.ftp_ports),
            b"irc" => Some(&self.irc_ports),
            b"sane" => Some(&self.sane_ports),
            b"sip" => Some(&self.sip_ports),
            b"tftp" => Some(&self.tftp_ports),
            _ => None,
        }
    }

    /// Whether two helpers for connections of the same kind would have the same port: of their
    /// modules the kernel refuses the one that comes later.
    fn are_crossed(&self) -> bool {
        let all = || {
            Instance::registered(self).filter_map(|(one, port)| Some((one, one.helper()?, port)))
        };
        all().enumerate().any(|(at, (_, one, port))| {
            all().skip(at + 1).any(|(_, other, others)| {
                let shared = one.families.iter().any(|family| other.families.contains(family));
                (port, one.protocol) == (others, other.protocol) && shared
            })
        })
    }
}

/// Sets a parameter, `MODULE.PARAMETER`.
pub(super) fn set(sysctls: &mut Sysctls, name: &str, value: &str) -> Result<(), SysctlError> {
    let bad = SysctlError::BadValue;
    let unsigned = || unsigned(value).and_then(|value| u32::try_from(value).ok()).ok_or(bad);
    let integer = || number(value).and_then(|value| i32::try_from(value).ok()).ok_or(bad);
    let before = sysctls.modules.clone();
    match place(sysctls, name).ok_or(SysctlError::UnknownName)? {
        Place::Switch(to) => *to = switch(value).ok_or(bad)?,
        Place::Truth(to) => *to = integer()? != 0,
        Place::Count(to, max) => {
            let in_range = Some(unsigned()?).filter(|value| (1..=max).contains(value));
            *to = in_range.ok_or(bad)?;
        }
        Place::Unsigned(to) => *to = unsigned()?,
        Place::Integer(to) => *to = integer()?,
        Place::Ports(to) => *to = Ports::parse(value).ok_or(bad)?,
        Place::Word(known) => {
            known.contains(&value.trim_ascii_end()).then_some(()).ok_or(bad)?;
        }
        Place::Fixed(_) => return Err(SysctlError::ReadOnly),
    }
    if sysctls.modules.are_crossed() {
        sysctls.modules = before;
        return Err(SysctlError::PortTaken);
    }
    Ok(())
}

/// The value of a parameter. A switch is 0 or 1; lists of ports and words are no number.
pub(super) fn value(sysctls: &Sysctls, name: &str) -> Option<i64> {
    Some(match place(&mut sysctls.clone(), name)? {
        Place::Switch(value) | Place::Truth(value) => i64::from(*value),
        Place::Count(value, _) | Place::Unsigned(value) => i64::from(*value),
        Place::Integer(value) => i64::from(*value),
        Place::Fixed(value) => value,
        Place::Ports(_) | Place::Word(_) => return None,
    })
}

fn place<'a>(sysctls: &'a mut Sysctls, name: &str) -> Option<Place<'a>> {
    use Place::{Count, Fixed, Integer, Switch, Truth, Unsigned, Word};
    let (modules, sip) = (&mut sysctls.modules, &mut sysctls.sip);
    Some(match name.strip_prefix("nf_conntrack")? {
        ".acct" => Switch(&mut sysctls.acct),
        ".tstamp" => Switch(&mut sysctls.timestamp),
        ".hashsize" => Fixed(super::BUCKETS),
        ".expect_hashsize" => Fixed(EXPECTATION_BUCKETS),
        "_ftp.ports" => Place::Ports(&mut modules.ftp_ports),
        "_ftp.loose" => Switch(&mut modules.ftp_loose),
        "_irc.ports" => Place::Ports(&mut modules.irc_ports),
        "_irc.max_dcc_channels" => Count(&mut modules.irc_max_dcc_channels, CLASS_EXPECTATIONS_MAX),
        "_irc.dcc_timeout" => Unsigned(&mut modules.irc_dcc_timeout),
        "_sane.ports" => Place::Ports(&mut modules.sane_ports),
        "_tftp.ports" => Place::Ports(&mut modules.tftp_ports),
        "_amanda.master_timeout" => Unsigned(&mut modules.amanda_master_timeout),
        "_amanda.ts_algo" => Word(&["kmp", "bm"]),
        "_netbios_ns.timeout" => Unsigned(&mut modules.netbios_ns_timeout),
        "_snmp.timeout" => Unsigned(&mut modules.snmp_timeout),
        "_h323.default_rrq_ttl" => Unsigned(&mut modules.h323_default_rrq_ttl),
        "_h323.gkrouted_only" => Integer(&mut modules.h323_gkrouted_only),
        "_h323.callforward_filter" => Switch(&mut modules.h323_callforward_filter),
        "_sip.ports" => Place::Ports(&mut modules.sip_ports),
        "_sip.sip_direct_signalling" => Truth(&mut sip.direct_signalling),
        "_sip.sip_direct_media" => Truth(&mut sip.direct_media),
        "_sip.sip_external_media" => Truth(&mut sip.external_media),
        "_sip.sip_timeout" => Unsigned(&mut sip.timeout),
        _ => return None,
    })
}

/// `nf_conntrack.expect_hashsize` of a machine with more than 4 GiB.
const EXPECTATION_BUCKETS: i64 = 1024;

/// Whether a name is that of a parameter of a module.
pub(super) fn is_parameter(name: &str) -> bool {
    let module = name.split_once('.').map(|(module, _)| module);
    module.is_some_and(|module| module == "nf_conntrack" || module.starts_with("nf_conntrack_"))
}

/// A switch as the kernel reads one: by its first character, and `on` and `off` by their second.
fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_bytes() {
        [b'y' | b't' | b'1', ..] | [b'o', b'n', ..] => Some(true),
        [b'n' | b'f' | b'0', ..] | [b'o', b'f', ..] => Some(false),
        _ => None,
    }
}

/// A number without a minus.
fn unsigned(text: &str) -> Option<i64> {
    number(text).filter(|_| !text.starts_with('-'))
}

/// A number as the kernel reads those of modules: a sign, then decimal, hexadecimal after `0x` or
/// octal after `0`, and nothing else but the end of a line.
fn number(text: &str) -> Option<i64> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (sign, text) = match text.as_bytes() {
        [b'-', ..] => (-1, text.get(1..)?),
        [b'+', ..] => (1, text.get(1..)?),
        _ => (1, text),
    };
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, text.get(2..)?),
        [b'0', _, ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| i64::from_str_radix(digits, radix).ok())??.checked_mul(sign)
}
