//! What matches and targets do that cannot be loaded yet: one sentence each, from their manual pages,
//! so that a pasted rule is not left without an answer.

/// Behind "`-m NAME`".
#[must_use]
pub fn of_match(name: &str) -> Option<&'static str> {
    MATCHES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Behind "For a packet that matches, the rule".
#[must_use]
pub fn of_target(name: &str) -> Option<&'static str> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

const MATCHES: &[(&str, &str)] =
    &[("geoip", "asks for the country that an address is registered in (xtables-addons)")];

const TARGETS: &[(&str, &str)] =
    &[("ULOG", "hands a copy of the packet to ulogd, as NFLOG has done since")];
