//! Sysctls and rules under which scenarios run.

use super::{Area, extensions, random::Random, rules};
use keepstate_conntrack::policy::{Declaration, text};
use keepstate_engine::{Tracking, route::ROUTER_MTU};
use keepstate_packet::Family;

/// Sysctls with the values that scenarios use; the first is the default of a new namespace.
/// Timeouts are so long that none ends while a scenario runs.
pub(crate) const SYSCTLS: &[(&str, &[&str])] = &[
    ("nf_conntrack_tcp_loose", &["1", "0"]),
    ("nf_conntrack_tcp_be_liberal", &["0", "1"]),
    ("nf_conntrack_tcp_ignore_invalid_rst", &["0", "1"]),
    ("nf_conntrack_tcp_max_retrans", &["3", "0", "1", "2", "10", "255"]),
    ("nf_conntrack_checksum", &["1", "0"]),
    ("nf_conntrack_acct", &["0", "1"]),
    ("nf_conntrack_timestamp", &["0", "1"]),
    ("nf_conntrack_events", &["2", "1", "0"]),
    ("nf_conntrack_log_invalid", &["0", "255", "255", "6", "17", "132"]),
    ("nf_conntrack_tcp_timeout_syn_sent", &["120", "60", "1000"]),
    ("nf_conntrack_tcp_timeout_syn_recv", &["60", "77"]),
    ("nf_conntrack_tcp_timeout_established", &["432000", "250", "3600"]),
    ("nf_conntrack_tcp_timeout_fin_wait", &["120", "90", "500"]),
    ("nf_conntrack_tcp_timeout_close_wait", &["60", "61"]),
    ("nf_conntrack_tcp_timeout_last_ack", &["30", "45"]),
    ("nf_conntrack_tcp_timeout_time_wait", &["120", "121"]),
    ("nf_conntrack_tcp_timeout_close", &["10", "40"]),
    ("nf_conntrack_tcp_timeout_max_retrans", &["300", "50", "100000"]),
    ("nf_conntrack_tcp_timeout_unacknowledged", &["300", "70", "100000"]),
    ("nf_conntrack_sctp_timeout_closed", &["10", "40"]),
    ("nf_conntrack_sctp_timeout_cookie_wait", &["3", "35"]),
    ("nf_conntrack_sctp_timeout_cookie_echoed", &["3", "36"]),
    ("nf_conntrack_sctp_timeout_established", &["210", "432000"]),
    ("nf_conntrack_sctp_timeout_shutdown_sent", &["3", "37"]),
    ("nf_conntrack_sctp_timeout_shutdown_recd", &["3", "38"]),
    ("nf_conntrack_sctp_timeout_shutdown_ack_sent", &["3", "39"]),
    ("nf_conntrack_sctp_timeout_heartbeat_sent", &["30", "210"]),
    ("nf_conntrack_udp_timeout", &["30", "35", "-7"]),
    ("nf_conntrack_udp_timeout_stream", &["120", "180", "0"]),
    ("nf_conntrack_gre_timeout", &["30", "36"]),
    ("nf_conntrack_gre_timeout_stream", &["180", "181"]),
    ("nf_conntrack_icmp_timeout", &["30", "33"]),
    ("nf_conntrack_icmpv6_timeout", &["30", "34"]),
    ("nf_conntrack_generic_timeout", &["600", "100"]),
    ("ipfrag_max_dist", &["64", "0", "1", "3", "20", "1000"]),
    // What waits is given up before another scenario uses its identification.
    ("ipfrag_time", &["2"]),
    ("nf_conntrack_frag6_timeout", &["2"]),
];

/// Parameters of modules, drawn when scenarios are about their helper alone: the machine has them
/// but once.
const PARAMETERS: &[(&str, &str, &[&str])] = &[
    ("ftp", "nf_conntrack_ftp.loose", &["1", "1", "0"]),
    ("amanda", "nf_conntrack_amanda.master_timeout", &["77", "1000", "300"]),
    ("sip", "nf_conntrack_sip.sip_direct_signalling", &["0", "1"]),
    ("sip", "nf_conntrack_sip.sip_direct_media", &["0", "0", "1"]),
    ("sip", "nf_conntrack_sip.sip_external_media", &["1", "-1", "0"]),
    ("sip", "nf_conntrack_sip.sip_timeout", &["1000", "90", "17179900"]),
    ("h323", "nf_conntrack_h323.default_rrq_ttl", &["300", "0", "77", "17179870"]),
    ("h323", "nf_conntrack_h323.gkrouted_only", &["1", "0", "-1"]),
    ("h323", "nf_conntrack_h323.callforward_filter", &["Y", "N", "0"]),
];

/// Timeout policies that rules name, for `{f}` inet and inet6: all states of each, since what is left
/// out would be as the sysctls are.
const POLICIES: &str = "\
add timeout tcp-a-{f} {f} tcp syn_sent 50 syn_recv 51 established 1000 fin_wait 52 close_wait 53 \
last_ack 54 time_wait 55 close 56 syn_sent2 57 retrans 58 unacknowledged 59
add timeout tcp-b-{f} {f} tcp syn_sent 500 syn_recv 510 established 3000000 fin_wait 520 \
close_wait 530 last_ack 540 time_wait 550 close 560 syn_sent2 570 retrans 2000 unacknowledged 4000
add timeout udp-a-{f} {f} udp unreplied 61 replied 62
add timeout udplite-a-{f} {f} udplite unreplied 63 replied 64
add timeout sctp-a-{f} {f} sctp closed 70 cookie_wait 71 cookie_echoed 72 established 73 \
shutdown_sent 74 shutdown_recd 75 shutdown_ack_sent 76 heartbeat_sent 77
add timeout icmp-a-{f} {f} icmp timeout 65
add timeout icmpv6-a-{f} {f} icmpv6 timeout 66
add timeout gre-a-{f} {f} gre unreplied 67 replied 68
add timeout generic-a-{f} {f} generic timeout 69
add timeout udp-b-{f} {f} udp unreplied 4294967291 replied 4000000
";

/// The timeout policies that rules can name.
pub(crate) fn policies() -> Vec<Declaration> {
    let families = ["inet", "inet6"].into_iter();
    families.flat_map(|f| text::parse(&POLICIES.replace("{f}", f)).unwrap_or_default()).collect()
}

/// What ways out take that cut: no less, or IPv6 ends.
const MTUS: [u32; 6] = [1280, 1281, 1300, 1400, 1500, 2000];

/// Sysctls, rules and what the links take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name and value; those not named have their defaults.
    pub sysctls: Vec<(String, String)>,
    /// Rule sets for IPv4 and IPv6, iptables-save form; empty for none.
    pub rules: [String; 2],
    /// MTU of both interfaces, bytes.
    pub mtu: u32,
    /// Which packets are tracked.
    pub tracking: Tracking,
}

impl Default for Settings {
    fn default() -> Self {
        let tracking = Tracking::Always;
        Self { sysctls: Vec::new(), rules: Default::default(), mtu: ROUTER_MTU, tracking }
    }
}

impl Settings {
    /// Draws settings for an area.
    pub(crate) fn draw(area: Area, random: &mut Random) -> Self {
        let mut sysctls = Vec::new();
        if random.chance(75) {
            for &(name, values) in SYSCTLS {
                if random.chance(25) {
                    sysctls.push((name.to_owned(), random.pick(values).to_owned()));
                }
            }
        }
        if random.chance(50) {
            for &(_, name, values) in PARAMETERS.iter().filter(|(of, ..)| *of == area.name()) {
                if random.chance(50) {
                    sysctls.push((name.to_owned(), random.pick(values).to_owned()));
                }
            }
        }
        if area == Area::Extensions {
            let rules = extensions::rulesets(random);
            if extensions::is_proxied(&rules) && random.chance(90) {
                // Else a cookie that comes back begins a connection by itself.
                sysctls.retain(|(name, _)| name != "nf_conntrack_tcp_loose");
                sysctls.push(("nf_conntrack_tcp_loose".to_owned(), "0".to_owned()));
            }
            return Self { sysctls, rules, ..Self::default() };
        }
        if area.is_translated_helper() && random.chance(40) {
            // What becomes of a connection is asked of its events, unless it ends as it begins.
            let is_told = |(name, value): &(String, String)| {
                name != "nf_conntrack_events" && !value.starts_with('-')
            };
            sysctls.retain(is_told);
            let rules =
                [Family::V4, Family::V6].map(|family| rules::helped_gateway(random, family));
            return Self { sysctls, rules, ..Self::default() };
        }
        let ruled = matches!(area, Area::Rules | Area::Nat);
        let plain = !ruled && random.chance(if area == Area::All { 40 } else { 80 });
        let dropping = if random.chance(70) { 8 } else { 35 };
        let translates = area == Area::Nat || area == Area::Rules && random.chance(50);
        let mut rules = [Family::V4, Family::V6].map(|family| match (plain, area) {
            (_, Area::Untracked) => rules::perhaps_asking(random, family, dropping),
            (true, Area::All | Area::Fragments) => rules::helpers_only(family),
            // Of a later IPv6 fragment iptables-nft looks for ports in the IPv6 header.
            (_, Area::Fragments) if family == Family::V6 => rules::helpers_only(family),
            (true, _) if area.is_helpers() => rules::helpers_only(family),
            (true, _) => String::new(),
            (false, _) => rules::ruleset(random, family, dropping, translates),
        });
        let cuts = match area {
            Area::Fragments | Area::Untracked => random.chance(50),
            Area::Nat => random.chance(25),
            _ => false,
        };
        if area == Area::Nat {
            if random.chance(30) {
                // So that fragments can come.
                let [_, six] = &mut rules;
                *six = six
                    .lines()
                    .filter(|line| !reads_upper_layer(line))
                    .map(|line| format!("{line}\n"))
                    .collect();
            }
            // One that ends as it begins is not there when the kernel is asked what became of it.
            sysctls.retain(|(_, value)| !value.starts_with('-'));
        }
        let mtu = if cuts { random.pick(&MTUS) } else { ROUTER_MTU };
        let tracking =
            if area == Area::Untracked { Tracking::WhenNeeded } else { Tracking::Always };
        Self { sysctls, rules, mtu, tracking }
    }

    /// Timeouts of one second, with the helpers.
    pub(crate) fn short(random: &mut Random) -> Self {
        let timeouts = SYSCTLS
            .iter()
            .map(|(name, _)| *name)
            .filter(|n| n.contains("_time") && !n.contains("stamp"));
        // Streams of UDP begin after two seconds.
        let with_streams = random.chance(40);
        let sysctls = timeouts
            .filter(|name| !(with_streams && name.contains("_udp_")))
            .filter(|name| random.chance(70) || name.contains("frag"))
            .map(|name| (name.to_owned(), "1".to_owned()))
            .collect();
        let rules = [Family::V4, Family::V6].map(rules::helpers_only);
        Self { sysctls, rules, ..Self::default() }
    }

    /// Whether a rule remembers packets that it has seen, beyond its counters.
    pub(crate) fn has_memory(&self) -> bool {
        self.rules.iter().any(|rules| extensions::has_memory(rules))
    }

    /// Whether what a rule remembers hangs on the ticks of the kernel's clock.
    pub(crate) fn counts_by_ticks(&self) -> bool {
        let names = ["connlimit", "hashlimit", "limit", "recent"];
        // A day has so many ticks that none of them counts.
        let waits = |rule: &str| !rule.contains(" -m limit --limit 1/day");
        let named = |rule: &str| names.iter().any(|name| rule.contains(&format!(" -m {name} ")));
        self.rules.iter().any(|rules| rules.lines().any(|rule| waits(rule) && named(rule)))
    }

    /// Whether a rule puts connections into zones.
    pub(crate) fn has_zones(&self) -> bool {
        self.rules.iter().any(|rules| rules.contains("--zone"))
    }

    /// Whether addresses are translated.
    pub(crate) fn translates(&self) -> bool {
        self.rules.iter().any(|rules| rules.contains("*nat"))
    }

    /// The parameters of modules among [`Self::sysctls`].
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.sysctls.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(|(name, _)| PARAMETERS.iter().any(|(_, known, _)| known == name))
    }

    /// The value of each sysctl of [`SYSCTLS`].
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        SYSCTLS.iter().map(|&(name, values)| {
            let set = self.sysctls.iter().find(|(key, _)| key == name);
            (name, set.map_or(values[0], |(_, value)| value.as_str()))
        })
    }
}

/// Whether a rule looks for an upper-layer header: in what is left of an IPv6 datagram that was not put
/// together iptables-nft looks for it in the IPv6 header.
pub(super) fn reads_upper_layer(rule: &str) -> bool {
    const MATCHES: [&str; 5] = ["tcp", "udp", "multiport", "icmp6", "sctp"];
    let asks = MATCHES.iter().any(|name| rule.contains(&format!(" -m {name} ")));
    asks && !rule.contains(" -j CT --helper ")
}

#[cfg(test)]
mod tests {
    use super::SYSCTLS;

    #[test]
    fn each_sysctl_is_drawn_once() {
        for (at, (name, _)) in SYSCTLS.iter().enumerate() {
            let first = SYSCTLS.iter().position(|(other, _)| other == name);
            assert_eq!(first, Some(at), "{name} is there twice");
        }
    }
}
