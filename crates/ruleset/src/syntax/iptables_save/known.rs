//! Names of netfilter's extensions that are not here yet, to tell them from misspellings.

/// Matches.
pub const MATCHES: &[&str] = &[
    "ah", "bpf", "cgroup", "cluster", "connbytes", "connlabel", "connlimit", "cpu", "dccp",
    "devgroup", "dscp", "dst", "ecn", "esp", "eui64", "frag", "hashlimit", "hbh", "ipcomp",
    "ipv6header", "ipvs", "mh", "mobility-header", "nfacct", "osf", "owner", "physdev", "policy",
    "quota", "rateest", "realm", "recent", "rpfilter", "rt", "sctp", "set", "socket", "srh",
    "statistic", "string", "tcpmss", "time", "tos", "u32", "udplite",
];

/// Targets.
pub const TARGETS: &[&str] = &[
    "AUDIT", "CHECKSUM", "CLASSIFY", "CLUSTERIP", "CONNSECMARK", "DNAT", "DNPT", "DSCP", "ECN",
    "HL", "HMARK", "IDLETIMER", "LED", "MASQUERADE", "NETMAP", "NFLOG", "NFQUEUE", "QUEUE",
    "RATEEST", "REDIRECT", "SECMARK", "SET", "SNAT", "SNPT", "SYNPROXY", "TCPMSS", "TCPOPTSTRIP",
    "TEE", "TOS", "TPROXY", "TRACE", "TTL", "ULOG",
];

/// Conntrack helpers.
pub const HELPERS: &[&str] = &[
    "amanda", "h323", "irc", "netbios-ns", "pptp", "Q.931", "RAS", "sane", "sip", "snmp", "tftp",
];
