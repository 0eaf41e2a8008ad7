//! `net.netfilter.*` and `net.ipv4.ipfrag_*` by their own names.

pub mod module;

use crate::timeout::Timeout;
use module::Modules;

/// Highest value of a timeout in seconds, and the lowest with its sign turned: what the kernel can
/// hold in jiffies at 250 a second.
pub const TIMEOUT_SECONDS_MAX: u32 = i32::MAX as u32 / 250;

/// The sysctls that tracking reads; defaults are those of a new network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctls {
    /// `nf_conntrack_max`: most connections, 0 for as many as
    /// [`crate::slots::CONNECTIONS_MAX`].
    pub max: u32,
    /// `nf_conntrack_expect_max`: most expectations.
    pub expect_max: u32,
    /// `nf_conntrack_checksum`.
    pub checksum: bool,
    /// `nf_conntrack_acct`.
    pub acct: bool,
    /// `nf_conntrack_timestamp`.
    pub timestamp: bool,
    /// `nf_conntrack_events`.
    pub events: Events,
    /// `nf_conntrack_log_invalid`: the protocol whose INVALID packets are logged, 255 for all of
    /// them, 0 for none.
    pub log_invalid: u8,
    /// `nf_conntrack_tcp_loose`.
    pub tcp_loose: bool,
    /// `nf_conntrack_tcp_be_liberal`.
    pub tcp_be_liberal: bool,
    /// `nf_conntrack_tcp_ignore_invalid_rst`.
    pub tcp_ignore_invalid_rst: bool,
    /// `nf_conntrack_tcp_max_retrans`, 0 to 255.
    pub tcp_max_retrans: u8,
    /// `nf_conntrack_tcp_timeout_*` and the others.
    pub timeouts: Timeouts,
    /// `nf_conntrack_sip.*`.
    pub sip: Sip,
    /// `ipfrag_*` and `nf_conntrack_frag6_*`.
    pub fragments: Fragments,
    /// Parameters of the other helpers' modules.
    pub modules: Modules,
}

/// The parameters of the kernel's module `nf_conntrack_sip`, set as `nf_conntrack_sip.NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sip {
    /// `sip_direct_signalling`: calls come from the registrar only.
    pub direct_signalling: bool,
    /// `sip_direct_media`: media come from the other end of the signalling only, and go to this end.
    pub direct_media: bool,
    /// `sip_external_media`: media that would not come this way are not expected.
    pub external_media: bool,
    /// `sip_timeout`: how long signalling connections live, seconds; reckoned in ticks of the
    /// kernel's clock in 32 bits.
    pub timeout: u32,
}

/// Limits of fragments that wait for others. No high threshold can be set below its low one, nor
/// the other way; nothing else reads the low ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragments {
    /// `net.ipv4.ipfrag_high_thresh`: once more bytes wait, no fragment is taken.
    pub high_thresh: u64,
    /// `net.ipv4.ipfrag_low_thresh`.
    pub low_thresh: u64,
    /// `net.ipv4.ipfrag_time`.
    pub timeout: Timeout,
    /// `net.ipv4.ipfrag_max_dist`: a datagram begins anew when more fragments than these have come
    /// from its sender since its last one; 0 for no limit.
    pub max_dist: u32,
    /// `nf_conntrack_frag6_high_thresh`.
    pub frag6_high_thresh: u64,
    /// `nf_conntrack_frag6_low_thresh`.
    pub frag6_low_thresh: u64,
    /// `nf_conntrack_frag6_timeout`.
    pub frag6_timeout: Timeout,
}

impl Default for Fragments {
    fn default() -> Self {
        const MEBIBYTE: u64 = 1024 * 1024;
        Self {
            high_thresh: 4 * MEBIBYTE,
            low_thresh: 3 * MEBIBYTE,
            timeout: Timeout::seconds(30),
            max_dist: 64,
            frag6_high_thresh: 4 * MEBIBYTE,
            frag6_low_thresh: 3 * MEBIBYTE,
            frag6_timeout: Timeout::seconds(60),
        }
    }
}

/// `nf_conntrack_events`: which connections tell what happens to them. It is asked when a connection
/// is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Events {
    /// 0: those whose events a rule has chosen (`-j CT --ctevents`).
    Chosen = 0,
    /// 1: all.
    All = 1,
    /// 2: all while somebody listens.
    #[default]
    WhenHeard = 2,
}

/// Timeouts, whole seconds up to [`TIMEOUT_SECONDS_MAX`]. One of 0 or less is over at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as its sysctl, nf_conntrack_NAME")]
pub struct Timeouts {
    pub tcp_syn_sent: Timeout,
    /// Both sides have sent a SYN: no sysctl has it, timeout policies do.
    pub tcp_syn_sent2: Timeout,
    pub tcp_syn_recv: Timeout,
    pub tcp_established: Timeout,
    pub tcp_fin_wait: Timeout,
    pub tcp_close_wait: Timeout,
    pub tcp_last_ack: Timeout,
    pub tcp_time_wait: Timeout,
    pub tcp_close: Timeout,
    pub tcp_max_retrans: Timeout,
    pub tcp_unacknowledged: Timeout,
    pub udp: Timeout,
    pub udp_stream: Timeout,
    pub icmp: Timeout,
    pub icmpv6: Timeout,
    pub sctp_closed: Timeout,
    pub sctp_cookie_wait: Timeout,
    pub sctp_cookie_echoed: Timeout,
    pub sctp_established: Timeout,
    pub sctp_shutdown_sent: Timeout,
    pub sctp_shutdown_recd: Timeout,
    pub sctp_shutdown_ack_sent: Timeout,
    pub sctp_heartbeat_sent: Timeout,
    pub gre: Timeout,
    pub gre_stream: Timeout,
    pub generic: Timeout,
}

impl Default for Sysctls {
    fn default() -> Self {
        const fn s(seconds: i64) -> Timeout {
            Timeout::seconds(seconds)
        }
        Self {
            max: 262_144,
            expect_max: 4096,
            checksum: true,
            acct: false,
            timestamp: false,
            events: Events::WhenHeard,
            log_invalid: 0,
            tcp_loose: true,
            tcp_be_liberal: false,
            tcp_ignore_invalid_rst: false,
            tcp_max_retrans: 3,
            timeouts: Timeouts {
                tcp_syn_sent: s(120),
                tcp_syn_sent2: s(120),
                tcp_syn_recv: s(60),
                tcp_established: s(432_000),
                tcp_fin_wait: s(120),
                tcp_close_wait: s(60),
                tcp_last_ack: s(30),
                tcp_time_wait: s(120),
                tcp_close: s(10),
                tcp_max_retrans: s(300),
                tcp_unacknowledged: s(300),
                udp: s(30),
                udp_stream: s(120),
                icmp: s(30),
                icmpv6: s(30),
                sctp_closed: s(10),
                sctp_cookie_wait: s(3),
                sctp_cookie_echoed: s(3),
                sctp_established: s(210),
                sctp_shutdown_sent: s(3),
                sctp_shutdown_recd: s(3),
                sctp_shutdown_ack_sent: s(3),
                sctp_heartbeat_sent: s(30),
                gre: s(30),
                gre_stream: s(180),
                generic: s(600),
            },
            sip: Sip {
                direct_signalling: true,
                direct_media: true,
                external_media: false,
                timeout: 3600,
            },
            fragments: Fragments::default(),
            modules: Modules::default(),
        }
    }
}

/// Where the value of a sysctl goes, by its kind.
enum Place<'a> {
    Switch(&'a mut bool),
    Byte(&'a mut u8),
    Events(&'a mut Events),
    Number(&'a mut u32),
    /// A number of bytes, with the least and the most that it may be.
    Bytes(&'a mut u64, u64, u64),
    Seconds(&'a mut Timeout),
}

impl Sysctls {
    /// Sets one by its kernel name, with or without `net.netfilter.` (dots or slashes) before it.
    /// Values are written as the kernel reads them: decimal, `0x` hexadecimal, or octal after `0`,
    /// white space around them, and whatever follows white space does not count. What is out of its
    /// range is refused as there, nothing is cut to it; timeouts may be negative. A parameter of a
    /// module is `MODULE.PARAMETER`.
    ///
    /// # Errors
    /// [`SysctlError`] when the name is unknown, the value is out of range, or nobody may set it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        if module::is_parameter(name) {
            return module::set(self, name, value);
        }
        if READ_ONLY.contains(&short(name)) {
            return Err(SysctlError::ReadOnly);
        }
        let place = self.place(name).ok_or(SysctlError::UnknownName)?;
        let value = number(value).ok_or(SysctlError::BadValue)?;
        const SECONDS: i64 = TIMEOUT_SECONDS_MAX as i64;
        match (place, value) {
            (Place::Switch(to), (false, value @ 0..=1)) => *to = value == 1,
            (Place::Byte(to), (false, value @ 0..=0xff)) => *to = value as u8,
            (Place::Events(to), (false, value @ 0..=2)) => {
                *to = [Events::Chosen, Events::All, Events::WhenHeard]
                    .into_iter()
                    .find(|events| *events as i64 == value)
                    .unwrap_or_default();
            }
            (Place::Number(to), (false, value)) if value <= i64::from(i32::MAX) => {
                *to = value as u32;
            }
            (Place::Bytes(to, least, most), (false, value))
                if (least..=most).contains(&value.unsigned_abs()) =>
            {
                *to = value.unsigned_abs();
            }
            (Place::Seconds(to), (negative, value @ 0..=SECONDS)) => {
                *to = Timeout::seconds(if negative { -value } else { value });
            }
            _ => return Err(SysctlError::BadValue),
        }
        Ok(())
    }

    /// The value of one as the kernel would print it; `None` when the name is unknown.
    /// `nf_conntrack_count` is the table's: [`crate::Table::count`].
    #[must_use]
    pub fn value(&self, name: &str) -> Option<i64> {
        if module::is_parameter(name) {
            return module::value(self, name);
        }
        if short(name) == "nf_conntrack_buckets" {
            return Some(BUCKETS);
        }
        let mut copy = self.clone();
        Some(match copy.place(name)? {
            Place::Switch(value) => i64::from(*value),
            Place::Byte(value) => i64::from(*value),
            Place::Events(value) => *value as i64,
            Place::Number(value) => i64::from(*value),
            Place::Bytes(value, ..) => i64::try_from(*value).unwrap_or(i64::MAX),
            Place::Seconds(value) => value.as_secs(),
        })
    }

    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        use Place::{Byte, Bytes, Number, Seconds, Switch};
        let (t, f) = (&mut self.timeouts, &mut self.fragments);
        let prefixes = ["net.ipv4.", "net/ipv4/"];
        let ipv4 = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        if let Some(ipfrag) = ipv4.strip_prefix("ipfrag_") {
            return Some(match ipfrag {
                "high_thresh" => Bytes(&mut f.high_thresh, f.low_thresh, u64::MAX),
                "low_thresh" => Bytes(&mut f.low_thresh, 0, f.high_thresh),
                "time" => Seconds(&mut f.timeout),
                "max_dist" => Number(&mut f.max_dist),
                _ => return None,
            });
        }
        Some(match short(name).strip_prefix("nf_conntrack_")? {
            "max" => Number(&mut self.max),
            "expect_max" => Number(&mut self.expect_max),
            "checksum" => Switch(&mut self.checksum),
            "acct" => Switch(&mut self.acct),
            "timestamp" => Switch(&mut self.timestamp),
            "events" => Place::Events(&mut self.events),
            "log_invalid" => Byte(&mut self.log_invalid),
            "tcp_loose" => Switch(&mut self.tcp_loose),
            "tcp_be_liberal" => Switch(&mut self.tcp_be_liberal),
            "tcp_ignore_invalid_rst" => Switch(&mut self.tcp_ignore_invalid_rst),
            "tcp_max_retrans" => Byte(&mut self.tcp_max_retrans),
            "tcp_timeout_syn_sent" => Seconds(&mut t.tcp_syn_sent),
            "tcp_timeout_syn_recv" => Seconds(&mut t.tcp_syn_recv),
            "tcp_timeout_established" => Seconds(&mut t.tcp_established),
            "tcp_timeout_fin_wait" => Seconds(&mut t.tcp_fin_wait),
            "tcp_timeout_close_wait" => Seconds(&mut t.tcp_close_wait),
            "tcp_timeout_last_ack" => Seconds(&mut t.tcp_last_ack),
            "tcp_timeout_time_wait" => Seconds(&mut t.tcp_time_wait),
            "tcp_timeout_close" => Seconds(&mut t.tcp_close),
            "tcp_timeout_max_retrans" => Seconds(&mut t.tcp_max_retrans),
            "tcp_timeout_unacknowledged" => Seconds(&mut t.tcp_unacknowledged),
            "udp_timeout" => Seconds(&mut t.udp),
            "udp_timeout_stream" => Seconds(&mut t.udp_stream),
            "icmp_timeout" => Seconds(&mut t.icmp),
            "icmpv6_timeout" => Seconds(&mut t.icmpv6),
            "sctp_timeout_closed" => Seconds(&mut t.sctp_closed),
            "sctp_timeout_cookie_wait" => Seconds(&mut t.sctp_cookie_wait),
            "sctp_timeout_cookie_echoed" => Seconds(&mut t.sctp_cookie_echoed),
            "sctp_timeout_established" => Seconds(&mut t.sctp_established),
            "sctp_timeout_shutdown_sent" => Seconds(&mut t.sctp_shutdown_sent),
            "sctp_timeout_shutdown_recd" => Seconds(&mut t.sctp_shutdown_recd),
            "sctp_timeout_shutdown_ack_sent" => Seconds(&mut t.sctp_shutdown_ack_sent),
            "sctp_timeout_heartbeat_sent" => Seconds(&mut t.sctp_heartbeat_sent),
            "gre_timeout" => Seconds(&mut t.gre),
            "gre_timeout_stream" => Seconds(&mut t.gre_stream),
            "generic_timeout" => Seconds(&mut t.generic),
            "frag6_high_thresh" => Bytes(&mut f.frag6_high_thresh, f.frag6_low_thresh, u64::MAX),
            "frag6_low_thresh" => Bytes(&mut f.frag6_low_thresh, 0, f.frag6_high_thresh),
            "frag6_timeout" => Seconds(&mut f.frag6_timeout),
            _ => return None,
        })
    }
}

/// Names that are there to be read.
const READ_ONLY: [&str; 2] = ["nf_conntrack_buckets", "nf_conntrack_count"];

/// `nf_conntrack_buckets` of a machine with more than 4 GiB: the index here grows with
/// `nf_conntrack_max`, and what it has of lines is nobody's to set.
const BUCKETS: i64 = 262_144;

/// A name without `net.netfilter.`.
fn short(name: &str) -> &str {
    let prefixes = ["net.netfilter.", "net/netfilter/"];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// A number as the kernel reads one: whether a minus stands before it, and how much it is.
fn number(text: &str) -> Option<(bool, i64)> {
    let text = text.trim_ascii_start();
    let word = text.split(|c: char| c.is_ascii_whitespace()).next()?;
    let plain = word.strip_prefix('-');
    let word = plain.unwrap_or(word);
    let (digits, radix) = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => (word.get(2..)?, 16),
        [b'0', _, ..] => (word.get(1..)?, 8),
        _ => (word, 10),
    };
    let all_digits = digits.bytes().all(|b| b.is_ascii_hexdigit());
    let value = all_digits.then(|| i64::from_str_radix(digits, radix).ok())??;
    Some((plain.is_some(), value))
}

/// Why a sysctl was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// No sysctl of tracking has this name.
    UnknownName,
    /// Not a number in the range of this sysctl.
    BadValue,
    /// It can only be read.
    ReadOnly,
    /// Another helper for connections of the same kind has one of the ports, or it is given twice.
    PortTaken,
}

impl core::fmt::Display for SysctlError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::UnknownName => "no sysctl of connection tracking has this name",
            Self::BadValue => "not a number in the range of this sysctl",
            Self::ReadOnly => "it can only be read",
            Self::PortTaken => "two helpers would have the same port",
        })
    }
}

impl core::error::Error for SysctlError {}

#[cfg(test)]
mod tests;
