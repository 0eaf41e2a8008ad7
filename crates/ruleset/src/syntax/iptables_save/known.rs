//! Names of netfilter's extensions that are not here yet, to tell them from misspellings.

/// Matches.
pub(super) const MATCHES: &[&str] = &["geoip"];

/// Targets.
pub(super) const TARGETS: &[&str] = &["CLUSTERIP", "QUEUE", "ULOG"];
