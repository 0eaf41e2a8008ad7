//! `net.netfilter.*` by their own names.

use core::time::Duration;

/// Highest value of a timeout in seconds: what the kernel can hold in jiffies at 250 a second.
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
}

/// Timeouts, whole seconds, 0 to [`TIMEOUT_SECONDS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as its sysctl, nf_conntrack_NAME")]
pub struct Timeouts {
    pub tcp_syn_sent: Duration,
    pub tcp_syn_recv: Duration,
    pub tcp_established: Duration,
    pub tcp_fin_wait: Duration,
    pub tcp_close_wait: Duration,
    pub tcp_last_ack: Duration,
    pub tcp_time_wait: Duration,
    pub tcp_close: Duration,
    pub tcp_max_retrans: Duration,
    pub tcp_unacknowledged: Duration,
    pub udp: Duration,
    pub udp_stream: Duration,
    pub icmp: Duration,
    pub icmpv6: Duration,
    pub gre: Duration,
    pub gre_stream: Duration,
    pub generic: Duration,
}

impl Default for Sysctls {
    fn default() -> Self {
        const fn s(seconds: u64) -> Duration {
            Duration::from_secs(seconds)
        }
        Self {
            max: 262_144,
            expect_max: 4096,
            checksum: true,
            acct: false,
            timestamp: false,
            tcp_loose: true,
            tcp_be_liberal: false,
            tcp_ignore_invalid_rst: false,
            tcp_max_retrans: 3,
            timeouts: Timeouts {
                tcp_syn_sent: s(120),
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
                gre: s(30),
                gre_stream: s(180),
                generic: s(600),
            },
        }
    }
}

/// Where the value of a sysctl goes, by its kind.
enum Place<'a> {
    Switch(&'a mut bool),
    Byte(&'a mut u8),
    Number(&'a mut u32),
    Seconds(&'a mut Duration),
}

impl Sysctls {
    /// Sets one by its kernel name, with or without `net.netfilter.` (dots or slashes) before it.
    /// Values are written as the kernel reads them: decimal, `0x` hexadecimal, or octal after `0`,
    /// white space around them. What the kernel would cut to its range, or take as a negative
    /// timeout, is refused.
    ///
    /// # Errors
    /// [`SysctlError`] when the name is unknown or the value is out of range.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let place = self.place(name).ok_or(SysctlError::UnknownName)?;
        let value = number(value).ok_or(SysctlError::BadValue)?;
        match place {
            Place::Switch(to) if value <= 1 => *to = value == 1,
            Place::Byte(to) if value <= 0xff => *to = value as u8,
            Place::Number(to) if value <= i32::MAX as u32 => *to = value,
            Place::Seconds(to) if value <= TIMEOUT_SECONDS_MAX => {
                *to = Duration::from_secs(u64::from(value));
            }
            _ => return Err(SysctlError::BadValue),
        }
        Ok(())
    }

    /// The value of one as the kernel would print it; `None` when the name is unknown.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<u64> {
        let mut copy = self.clone();
        Some(match copy.place(name)? {
            Place::Switch(value) => u64::from(*value),
            Place::Byte(value) => u64::from(*value),
            Place::Number(value) => u64::from(*value),
            Place::Seconds(value) => value.as_secs(),
        })
    }

    fn place(&mut self, name: &str) -> Option<Place<'_>> {
        use Place::{Byte, Number, Seconds, Switch};
        let prefixes = ["net.netfilter.", "net/netfilter/"];
        let name = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        let t = &mut self.timeouts;
        Some(match name.strip_prefix("nf_conntrack_")? {
            "max" => Number(&mut self.max),
            "expect_max" => Number(&mut self.expect_max),
            "checksum" => Switch(&mut self.checksum),
            "acct" => Switch(&mut self.acct),
            "timestamp" => Switch(&mut self.timestamp),
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
            "gre_timeout" => Seconds(&mut t.gre),
            "gre_timeout_stream" => Seconds(&mut t.gre_stream),
            "generic_timeout" => Seconds(&mut t.generic),
            _ => return None,
        })
    }
}

/// A number as the kernel reads one.
fn number(text: &str) -> Option<u32> {
    let text = text.trim_ascii();
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, radix).ok())?
}

/// Why a sysctl was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// No sysctl of tracking has this name.
    UnknownName,
    /// Not a number in the range of this sysctl.
    BadValue,
}

impl core::fmt::Display for SysctlError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::UnknownName => "no sysctl of connection tracking has this name",
            Self::BadValue => "not a number in the range of this sysctl",
        })
    }
}

impl core::error::Error for SysctlError {}

#[cfg(test)]
mod tests;
