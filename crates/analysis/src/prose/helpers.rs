//! Conntrack helpers of Linux: what they watch and what they expect.

use keepstate_conntrack::helpers::{HELPERS as HELPERS_OF_LINUX, Name};
use keepstate_packet::Family;

/// A helper.
#[derive(Debug)]
pub struct HelperProse {
    /// Name, as after `--helper`.
    pub name: &'static str,
    /// Protocol of the connection it watches.
    pub watches: &'static str,
    /// Port it is commonly assigned to.
    pub port: u16,
    /// Protocols of the connections it announces.
    pub expects: &'static [&'static str],
    /// What those are.
    pub what: &'static str,
    /// Whether keepstate has it.
    pub here: bool,
}

/// Helpers of Linux 6.18.
pub const HELPERS: &[HelperProse] = &[
    HelperProse {
        name: "ftp",
        watches: "tcp",
        port: 21,
        expects: &["tcp"],
        what: "data connections, active and passive",
        here: true,
    },
    HelperProse {
        name: "irc",
        watches: "tcp",
        port: 6667,
        expects: &["tcp"],
        what: "DCC transfers, from any source",
        here: true,
    },
    HelperProse {
        name: "sane",
        watches: "tcp",
        port: 6566,
        expects: &["tcp"],
        what: "the data connection of a network scanner",
        here: true,
    },
    HelperProse {
        name: "amanda",
        watches: "udp",
        port: 10_080,
        expects: &["tcp"],
        what: "backup data connections",
        here: true,
    },
    HelperProse {
        name: "Q.931",
        watches: "tcp",
        port: 1720,
        expects: &["tcp", "udp"],
        what: "H.323: H.245 over TCP, RTP and RTCP over UDP",
        here: true,
    },
    HelperProse {
        name: "RAS",
        watches: "udp",
        port: 1719,
        expects: &["tcp", "udp"],
        what: "H.323: call signalling over TCP, another port of the gatekeeper over UDP",
        here: true,
    },
    HelperProse {
        name: "sip",
        watches: "udp",
        port: 5060,
        expects: &["udp", "tcp"],
        what: "signalling, RTP and RTCP streams over UDP",
        here: true,
    },
    HelperProse {
        name: "pptp",
        watches: "tcp",
        port: 1723,
        expects: &["gre"],
        what: "the GRE packets of a call, both ways",
        here: true,
    },
    HelperProse {
        name: "tftp",
        watches: "udp",
        port: 69,
        expects: &["udp"],
        what: "the transfer, which the server sends from another port",
        here: true,
    },
    HelperProse {
        name: "netbios-ns",
        watches: "udp",
        port: 137,
        expects: &["udp"],
        what: "answers to a broadcast query",
        here: true,
    },
    HelperProse {
        name: "snmp",
        watches: "udp",
        port: 161,
        expects: &["udp"],
        what: "answers to a broadcast query",
        here: true,
    },
];

impl HelperProse {
    /// Whether Linux has it for this family.
    #[must_use]
    pub fn serves(&self, family: Family) -> bool {
        HELPERS_OF_LINUX.iter().any(|one| one.name == self.name && one.families.contains(&family))
    }
}

/// The helper of this name, or what an instance of this name is of: `ftp-2121` is `ftp`.
#[must_use]
pub fn named(name: &str) -> Option<&'static HelperProse> {
    let base = Name::parse(name)?.base;
    HELPERS.iter().find(|helper| helper.name == base)
}

/// The helpers that announce connections of this protocol; all of them for `None`.
#[must_use]
pub fn expecting(protocol: Option<&str>) -> Vec<&'static HelperProse> {
    HELPERS
        .iter()
        .filter(|helper| protocol.is_none_or(|protocol| helper.expects.contains(&protocol)))
        .collect()
}

/// The names of the helpers that announce connections of this protocol.
#[must_use]
pub fn names(protocol: Option<&str>) -> Vec<&'static str> {
    expecting(protocol).iter().map(|helper| helper.name).collect()
}
