//! `net.netfilter.*` by their own names.

use core::time::Duration;

/// The sysctls that tracking reads; defaults are those of a new network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctls {
    /// `nf_conntrack_max`: most connections.
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

/// Timeouts, whole seconds.
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
                generic: s(600),
            },
        }
    }
}

impl Sysctls {
    /// Sets one by its kernel name, with or without `net.netfilter.` (dots or slashes) before it.
    ///
    /// # Errors
    /// [`SysctlError`] when the name is unknown or the value is out of the kernel's range.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let _ = (name, value);
        Err(SysctlError::UnknownName)
    }
}

/// Why a sysctl was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// No sysctl of tracking has this name.
    UnknownName,
    /// Not a number in the range of this sysctl.
    BadValue,
}
