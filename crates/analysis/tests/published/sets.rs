//! The rule sets, with what its authors say of their interfaces, and what they found.

use keepstate_ruleset::model::TableName;

/// Which chain is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chain {
    Forward,
    Input,
}

/// A rule set whose closures are published.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) rules: &'static str,
    pub(crate) chain: Chain,
    pub(crate) upper: &'static str,
    pub(crate) lower: &'static str,
    pub(crate) networks: Networks,
}

/// By interface the addresses behind it.
pub(crate) type Networks = &'static [(&'static str, &'static str)];

/// A rule set of `data` whose matrices stand in `data/matrices.txt`.
pub(crate) struct Published {
    pub(crate) name: &'static str,
    pub(crate) table: TableName,
    pub(crate) chain: Chain,
    pub(crate) networks: Networks,
}

/// Their assignments of networks to interfaces.
pub(crate) const MATRICES: &[Published] = &[
    Published {
        name: "university-2015-05-15",
        table: TableName::Filter,
        chain: Chain::Forward,
        networks: UNIVERSITY,
    },
    Published {
        name: "storage-2015-06",
        table: TableName::Filter,
        chain: Chain::Input,
        networks: &[LO],
    },
    Published {
        name: "shorewall-2015-08",
        table: TableName::Raw,
        chain: Chain::Forward,
        networks: SQRL,
    },
    Published {
        name: "company",
        table: TableName::Filter,
        chain: Chain::Forward,
        networks: &[LO, ("eth0", "[172.16.2.0/24]")],
    },
    Published {
        name: "factory",
        table: TableName::Filter,
        chain: Chain::Forward,
        networks: &[LO, ("Statistics", "[10.0.0.1/32]")],
    },
    Published {
        name: "demilitarised-zone",
        table: TableName::Filter,
        chain: Chain::Forward,
        networks: &[LO],
    },
];

const LO: (&str, &str) = ("lo", "[127.0.0.0/8]");
const OTHERS: &str = "all_but_those_ips [131.159.14.0/23, 131.159.20.0/23, 192.168.212.0/23, 188.95.233.0/24, \
    188.95.232.192/27, 188.95.234.0/23, 192.48.107.0/24, 188.95.236.0/22, 185.86.232.0/22]";
const UNIVERSITY: Networks = &[
    ("eth0", "[0.0.0.0-255.255.255.255]"),
    ("foo", "[]"),
    ("eth1.96", "[131.159.14.3/25]"),
    ("eth1.108", "[131.159.14.129/26]"),
    ("eth1.109", "[131.159.20.11/24]"),
    ("eth1.110", OTHERS),
    ("eth1.116", "[131.159.15.131/26]"),
    ("eth1.152", "[131.159.15.252/28]"),
    ("eth1.171", "[131.159.15.2/26]"),
    ("eth1.173", "[131.159.21.252/24]"),
    ("eth1.1010", "[131.159.15.227/28]"),
    ("eth1.1011", "[131.159.14.194/27]"),
    ("eth1.1012", "[131.159.14.238/28]"),
    ("eth1.1014", "[131.159.15.217/27]"),
    ("eth1.1016", "[131.159.15.66/26]"),
    ("eth1.1017", "[131.159.14.242/28]"),
    ("eth1.1111", "[192.168.212.4/24]"),
    ("eth1.97", "[188.95.233.2/24]"),
    ("eth1.1019", "[188.95.234.2/23]"),
    ("eth1.1020", "[192.48.107.2/24]"),
    ("eth1.1023", "[188.95.236.2/22]"),
    ("eth1.1025", "[185.86.232.2/22]"),
    ("eth1.1024", OTHERS),
];
/// The same as the theories have it.
const TUM: Networks = &[
    ("eth0", "[192.168.213.4/24]"),
    ("eth1.96", "[131.159.14.3/25]"),
    ("eth1.108", "[131.159.14.129/26]"),
    ("eth1.109", "[131.159.20.11/24]"),
    ("eth1.110", OTHERS),
    ("eth1.116", "[131.159.15.131/26]"),
    ("eth1.152", "[131.159.15.252/28]"),
    ("eth1.171", "[131.159.15.2/26]"),
    ("eth1.173", "[131.159.21.252/24]"),
    ("eth1.1010", "[131.159.15.227/28]"),
    ("eth1.1011", "[131.159.14.194/27]"),
    ("eth1.1012", "[131.159.14.238/28]"),
    ("eth1.1014", "[131.159.15.217/27]"),
    ("eth1.1016", "[131.159.15.66/26]"),
    ("eth1.1017", "[131.159.14.242/28]"),
    ("eth1.1111", "[192.168.212.4/24]"),
    ("eth1.97", "[188.95.233.2/24]"),
    ("eth1.1019", "[188.95.234.2/23]"),
    ("eth1.1020", "[192.48.107.2/24]"),
    ("eth1.1023", "[188.95.236.2/22]"),
    ("eth1.1025", "[185.86.232.2/22]"),
    ("eth1.1024", OTHERS),
];
const SQRL: Networks = &[
    ("ldit", "[10.13.42.136/29]"),
    ("lmd", "[10.13.42.128/29]"),
    ("loben", "[10.13.42.144/28]"),
    ("wg", "[10.13.42.176/28]"),
    ("wt", "[10.13.42.160/28]"),
    ("lup", "all_but_those_ips [192.168.0.0/16, 172.16.0.0/12, 10.0.0.0/8]"),
    LO,
    ("vpriv", "[0.0.0.0/0]"),
    ("vshit", "[0.0.0.0/0]"),
    ("vocb", "[0.0.0.0/0]"),
    ("lua", "[0.0.0.0/0]"),
];

macro_rules! ip {
    ($path:literal) => {
        concat!("thy/Iptables_Semantics/Examples/IPPartEval/", $path)
    };
}

const fn case(
    name: &'static str,
    chain: Chain,
    rules: &'static str,
    (upper, lower): (&'static str, &'static str),
    networks: Networks,
) -> Case {
    Case { name, rules, chain, upper, lower, networks }
}

pub(crate) const CASES: &[Case] = &[
    case(
        "university 2013",
        Chain::Forward,
        ip!("TUM_Net/iptables_20.10.2013"),
        (
            ip!("TUM_Net/iptables_20.10.2013.Ln.FWD.upper"),
            ip!("TUM_Net/iptables_20.10.2013.Ln.FWD.lower"),
        ),
        TUM,
    ),
    case(
        "university 2014",
        Chain::Forward,
        ip!("TUM_Net/iptables_25.07.2014"),
        (
            ip!("TUM_Net/iptables_25.07.2014.Ln.FWD.upper"),
            ip!("TUM_Net/iptables_25.07.2014.Ln.FWD.lower"),
        ),
        TUM,
    ),
    case(
        "university May 2015",
        Chain::Forward,
        ip!("TUM_Net/iptables-save-2015-05-15_15-23-41"),
        (
            ip!("TUM_Net/iptables-save-2015-05-15_15-23-41.Ln.FWD.upper"),
            ip!("TUM_Net/iptables-save-2015-05-15_15-23-41.Ln.FWD.lower"),
        ),
        TUM,
    ),
    case(
        "university September 2015",
        Chain::Forward,
        ip!("TUM_Net/iptables-save-2015-09-03_15-56-50"),
        (
            ip!("TUM_Net/iptables-save-2015-09-03_15-56-50.Ln.FWD.upper"),
            ip!("TUM_Net/iptables-save-2015-09-03_15-56-50.Ln.FWD.lower"),
        ),
        TUM,
    ),
    case(
        "shorewall 2014",
        Chain::Forward,
        ip!("configs_sqrl_shorewall/2014_sep_iptables-saveakachan"),
        (
            ip!("configs_sqrl_shorewall/2014_sep_iptables-saveakachan.Ln.FWD.upper"),
            ip!("configs_sqrl_shorewall/2014_sep_iptables-saveakachan.Ln.FWD.lower"),
        ),
        SQRL,
    ),
    case(
        "shorewall 2015",
        Chain::Forward,
        ip!("configs_sqrl_shorewall/2015_aug_iptables-save-spoofing-protection"),
        (
            ip!("configs_sqrl_shorewall/2015_aug_iptables-save-spoofing-protection.Ln.FWD.upper"),
            ip!("configs_sqrl_shorewall/2015_aug_iptables-save-spoofing-protection.Ln.FWD.lower"),
        ),
        SQRL,
    ),
    case(
        "shorewall 2015",
        Chain::Input,
        ip!("configs_sqrl_shorewall/2015_aug_iptables-save-spoofing-protection"),
        (
            ip!("configs_sqrl_shorewall/2015_aug_iptables-save-spoofing-protection.Ln.INP.upper"),
            ip!("configs_sqrl_shorewall/2015_aug_iptables-save-spoofing-protection.Ln.INP.lower"),
        ),
        SQRL,
    ),
    case(
        "home router",
        Chain::Forward,
        ip!("config_home_user/typical_home_user_iptables-save"),
        (
            ip!("config_home_user/typical_home_user.Ln.FWD.upper"),
            ip!("config_home_user/typical_home_user.Ln.FWD.lower"),
        ),
        &[
            LO,
            ("eth1", "all_but_those_ips [127.0.0.0/8, 192.168.0.0/16, 172.16.0.0/12, 10.0.0.0/8]"),
            ("tun0", "[10.12.0.0/16]"),
            ("eth0.10", "[192.168.10.0/24]"),
            ("eth0.11", "[192.168.11.0/24]"),
            ("eth0.12", "[192.168.12.0/24]"),
            ("eth0.13", "[192.168.13.0/24]"),
            ("eth0.14", "[192.168.14.0/24]"),
            ("eth0.19", "[192.168.19.0/24]"),
            ("eth0.20", "[192.168.20.0/24]"),
            ("eth0.21", "[192.168.21.0/24]"),
            ("eth0.22", "[192.168.22.0/24]"),
            ("eth0.23", "[192.168.23.0/24]"),
            ("eth0.24", "[192.168.24.0/24]"),
        ],
    ),
    case(
        "company",
        Chain::Forward,
        ip!("medium-sized-company/iptables-save"),
        (
            ip!("medium-sized-company/iptables-save.Ln.FWD.upper"),
            ip!("medium-sized-company/iptables-save.Ln.FWD.lower"),
        ),
        &[LO, ("eth0", "[172.16.2.0/24]")],
    ),
    case(
        "company",
        Chain::Input,
        ip!("medium-sized-company/iptables-save"),
        (
            ip!("medium-sized-company/iptables-save.Ln.INP.upper"),
            ip!("medium-sized-company/iptables-save.Ln.INP.lower"),
        ),
        &[LO, ("eth0", "[172.16.2.0/24]")],
    ),
    case(
        "testbed",
        Chain::Forward,
        ip!("config_memphis_testbed/iptables-save"),
        (
            ip!("config_memphis_testbed/iptables.Ln.FWD.upper"),
            ip!("config_memphis_testbed/iptables.Ln.FWD.lower"),
        ),
        &[LO],
    ),
    case(
        "containers",
        Chain::Forward,
        ip!("docker_topos/iptables-save.topos4.1"),
        (
            ip!("docker_topos/iptables-save.Ln.FWD.upper"),
            ip!("docker_topos/iptables-save.Ln.FWD.lower"),
        ),
        &[LO],
    ),
    case(
        "server",
        Chain::Input,
        ip!("config_random_srv/iptables-save"),
        (
            ip!("config_random_srv/iptables.INP.Ln.upper"),
            ip!("config_random_srv/iptables.INP.Ln.lower"),
        ),
        &[LO],
    ),
    case(
        "server with ufw",
        Chain::Input,
        ip!("configs_srvs_ufw/server2-iptables-save"),
        (
            ip!("configs_srvs_ufw/server2-iptables-save.Ln.INP.upper"),
            ip!("configs_srvs_ufw/server2-iptables-save.Ln.INP.lower"),
        ),
        &[LO],
    ),
    case(
        "storage",
        Chain::Input,
        ip!("configs_synology_diskstation_ds414/iptables-save_jun_2015_legacyifacerules"),
        (
            ip!(
                "configs_synology_diskstation_ds414/iptables-save_jun_2015_legacyifacerules.Ln.INP.upper"
            ),
            ip!(
                "configs_synology_diskstation_ds414/iptables-save_jun_2015_legacyifacerules.Ln.INP.lower"
            ),
        ),
        &[("eth0", "[192.168.1.0/24]"), LO],
    ),
    case(
        "cluster",
        Chain::Input,
        ip!("configs_ugent/iptables-save.v1.4.21"),
        (ip!("configs_ugent/iptables.Ln.INP.upper"), ip!("configs_ugent/iptables.Ln.INP.lower")),
        &[
            LO,
            ("eth0", "[192.168.134.0/24]"),
            ("eth1", "[192.168.16.0/24]"),
            ("eth2", "[131.159.15.64/26]"),
            ("virbr0", "[192.168.122.0/24]"),
        ],
    ),
    case(
        "linux.gda.pl",
        Chain::Forward,
        ip!("linux.gda.pl/firewallp.txt"),
        (
            ip!("linux.gda.pl/firewallp.txt.Ln.FWD.upper"),
            ip!("linux.gda.pl/firewallp.txt.Ln.FWD.lower"),
        ),
        &[LO],
    ),
    case(
        "openvpn.eu",
        Chain::Forward,
        ip!("openvpn.eu/iptables-save"),
        (
            ip!("openvpn.eu/iptables-save.Ln.FWD.upper"),
            ip!("openvpn.eu/iptables-save.Ln.FWD.lower"),
        ),
        &[LO, ("eth0", "[192.168.0.0/24]"), ("eth1", "[192.168.2.0/24]")],
    ),
    case(
        "openwrt.org",
        Chain::Forward,
        ip!("openwrt.org/iptables-save-AA.txt_fixed_newline"),
        (
            ip!("openwrt.org/iptables-save-AA.txt_fixed_newline.Ln.FWD.upper"),
            ip!("openwrt.org/iptables-save-AA.txt_fixed_newline.Ln.FWD.lower"),
        ),
        &[
            LO,
            ("eth0", "[192.168.1.0/24]"),
            ("tun0", "[10.8.0.0/24]"),
            ("br-lan", "[192.168.1.0/24]"),
        ],
    ),
    case(
        "pastebin bbWXHaTn",
        Chain::Forward,
        ip!("pastebin.com_bbWXHaTn/iptables-save"),
        (
            ip!("pastebin.com_bbWXHaTn/iptables-save.Ln.FWD.upper"),
            ip!("pastebin.com_bbWXHaTn/iptables-save.Ln.FWD.lower"),
        ),
        &[LO],
    ),
    case(
        "rlworkman.net",
        Chain::Input,
        ip!("rlworkman.net/iptables-save"),
        (
            ip!("rlworkman.net/iptables-save.Ln.INP.upper"),
            ip!("rlworkman.net/iptables-save.Ln.INP.lower"),
        ),
        &[
            LO,
            ("eth0", "[192.168.13.0/24]"),
            ("ppp0", "all_but_those_ips [192.168.13.0/24, 127.0.0.0/8]"),
        ],
    ),
    case(
        "sargon",
        Chain::Input,
        ip!("sargon/iptables-save.txt"),
        (
            ip!("sargon/iptables-save.txt.Ln.INP.upper"),
            ip!("sargon/iptables-save.txt.Ln.INP.lower"),
        ),
        &[LO],
    ),
    case(
        "gopherproxy",
        Chain::Input,
        ip!("gopherproxy.meulie.net/iptables-save"),
        (
            ip!("gopherproxy.meulie.net/iptables-save.Ln.INP.upper"),
            ip!("gopherproxy.meulie.net/iptables-save.Ln.INP.lower"),
        ),
        &[LO],
    ),
];

/// A rule set whose spoofing protection has been judged.
pub(crate) struct Spoofed {
    pub(crate) name: &'static str,
    /// A file of `data`, or with its folders one of the checkout.
    pub(crate) rules: &'static str,
    pub(crate) table: TableName,
    pub(crate) chain: Chain,
    /// Name, addresses, and whether it was certified.
    pub(crate) interfaces: &'static [(&'static str, &'static str, bool)],
    /// Those that are certified here alone, and why.
    pub(crate) better: &'static [&'static str],
    pub(crate) why_better: &'static str,
}

pub(crate) const SPOOFING: &[Spoofed] = &[
    // haskell_tool/test/Suites/GoldenFiles/i8_iptables-save-2015-05-15_15-23-41_cheating
    Spoofed {
        name: "university, 15 May 2015, 15:23",
        rules: "university-2015-05-15",
        table: TableName::Filter,
        chain: Chain::Forward,
        interfaces: &[
            ("eth0", "[0.0.0.0-255.255.255.255]", true),
            ("foo", "[]", false),
            ("eth1.96", "[131.159.14.3/25]", true),
            ("eth1.108", "[131.159.14.129/26]", true),
            ("eth1.109", "[131.159.20.11/24]", true),
            ("eth1.110", OTHERS, true),
            ("eth1.116", "[131.159.15.131/26]", true),
            ("eth1.152", "[131.159.15.252/28]", true),
            ("eth1.171", "[131.159.15.2/26]", true),
            ("eth1.173", "[131.159.21.252/24]", true),
            ("eth1.1010", "[131.159.15.227/28]", true),
            ("eth1.1011", "[131.159.14.194/27]", true),
            ("eth1.1012", "[131.159.14.238/28]", true),
            ("eth1.1014", "[131.159.15.217/27]", true),
            ("eth1.1016", "[131.159.15.66/26]", true),
            ("eth1.1017", "[131.159.14.242/28]", true),
            ("eth1.1111", "[192.168.212.4/24]", true),
            ("eth1.97", "[188.95.233.2/24]", false),
            ("eth1.1019", "[188.95.234.2/23]", true),
            ("eth1.1020", "[192.48.107.2/24]", true),
            ("eth1.1023", "[188.95.236.2/22]", true),
            ("eth1.1025", "[185.86.232.2/22]", true),
            ("eth1.1024", OTHERS, true),
        ],
        better: &[],
        why_better: "",
    },
    // haskell_tool/test/Suites/GoldenFiles/sqrl_2015_aug_iptables-save-spoofing-protection
    Spoofed {
        name: "Shorewall 2015, table raw",
        rules: "shorewall-2015-08",
        table: TableName::Raw,
        chain: Chain::Forward,
        interfaces: &[
            ("ldit", "[10.13.42.136/29]", true),
            ("lmd", "[10.13.42.128/29]", true),
            ("loben", "[10.13.42.144/28]", true),
            ("wg", "[10.13.42.176/28]", true),
            ("wt", "[10.13.42.160/28]", true),
            ("lup", "all_but_those_ips [192.168.0.0/16, 172.16.0.0/12, 10.0.0.0/8]", true),
            ("lo", "[127.0.0.0/8]", false),
            ("vpriv", "[0.0.0.0/0]", true),
            ("vshit", "[0.0.0.0/0]", true),
            ("vocb", "[0.0.0.0/0]", true),
            ("lua", "[0.0.0.0/0]", true),
        ],
        better: &[],
        why_better: "",
    },
    // SNS_IAS_Eduroam_Spoofing.thy
    Spoofed {
        name: "eduroam",
        rules: "eduroam",
        table: TableName::Filter,
        chain: Chain::Input,
        interfaces: &[
            ("wlan0", "all_but_those_ips [131.159.207.206]", true),
            ("lo", "[0.0.0.0/0]", true),
        ],
        better: &[],
        why_better: "",
    },
    // TUM_Spoofing_new3.thy
    Spoofed {
        name: "university, 13 May 2015",
        rules: "thy/Iptables_Semantics/Examples/TUM_Net_Firewall/iptables-save-2015-05-13_10-53-20_cheating",
        table: TableName::Filter,
        chain: Chain::Forward,
        interfaces: &[
            ("eth1.96", "[131.159.14.3/25]", true),
            ("eth1.108", "[131.159.14.129/26]", false),
            ("eth1.109", "[131.159.20.11/24]", false),
            ("eth1.110", OTHERS, false),
            ("eth1.116", "[131.159.15.131/26]", false),
            ("eth1.152", "[131.159.15.252/28]", false),
            ("eth1.171", "[131.159.15.2/26]", false),
            ("eth1.173", "[131.159.21.252/24]", false),
            ("eth1.1010", "[131.159.15.227/28]", false),
            ("eth1.1011", "[131.159.14.194/27]", false),
            ("eth1.1012", "[131.159.14.238/28]", false),
            ("eth1.1014", "[131.159.15.217/27]", false),
            ("eth1.1016", "[131.159.15.66/26]", false),
            ("eth1.1017", "[131.159.14.242/28]", false),
            ("eth1.1111", "[192.168.212.4/24]", false),
            ("eth1.97", "[188.95.233.2/24]", false),
            ("eth1.1019", "[188.95.234.2/23]", false),
            ("eth1.1020", "[192.48.107.2/24]", false),
            ("eth1.1023", "[188.95.236.2/22]", false),
            ("eth1.1025", "[185.86.232.2/22]", false),
            ("eth1.1024", OTHERS, false),
        ],
        better: &[],
        why_better: "",
    },
    // TUM_Spoofing_new3.thy
    Spoofed {
        name: "university, 15 May 2015, 14:14",
        rules: "thy/Iptables_Semantics/Examples/TUM_Net_Firewall/iptables-save-2015-05-15_14-14-46_cheating",
        table: TableName::Filter,
        chain: Chain::Forward,
        interfaces: &[
            ("eth1.96", "[131.159.14.3/25]", true),
            ("eth1.108", "[131.159.14.129/26]", true),
            ("eth1.109", "[131.159.20.11/24]", true),
            ("eth1.110", OTHERS, false),
            ("eth1.116", "[131.159.15.131/26]", true),
            ("eth1.152", "[131.159.15.252/28]", true),
            ("eth1.171", "[131.159.15.2/26]", true),
            ("eth1.173", "[131.159.21.252/24]", true),
            ("eth1.1010", "[131.159.15.227/28]", true),
            ("eth1.1011", "[131.159.14.194/27]", true),
            ("eth1.1012", "[131.159.14.238/28]", true),
            ("eth1.1014", "[131.159.15.217/27]", true),
            ("eth1.1016", "[131.159.15.66/26]", true),
            ("eth1.1017", "[131.159.14.242/28]", true),
            ("eth1.1111", "[192.168.212.4/24]", true),
            ("eth1.97", "[188.95.233.2/24]", false),
            ("eth1.1019", "[188.95.234.2/23]", true),
            ("eth1.1020", "[192.48.107.2/24]", true),
            ("eth1.1023", "[188.95.236.2/22]", true),
            ("eth1.1025", "[185.86.232.2/22]", true),
            ("eth1.1024", OTHERS, false),
        ],
        better: &[],
        why_better: "",
    },
];
