//! Names of netfilter's extensions that are not here yet, to tell them from misspellings.

/// Matches.
pub(super) const MATCHES: &[&str] = &[
    "dst",
    "eui64",
    "frag",
    "hbh",
    "ipv6header",
    "mh",
    "mobility-header",
    "geoip",
    "nfacct",
    "osf",
    "rateest",
    "rt",
    "srh",
];

/// Targets.
pub(super) const TARGETS: &[&str] = &["CLUSTERIP", "QUEUE", "RATEEST", "ULOG"];
