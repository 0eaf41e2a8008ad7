use crate::testing::check;
use keepstate_packet::Family::{V4, V6};

#[test]
fn snat() {
    check(
        V4,
        "nat",
        "POSTROUTING",
        &[
            ("-j SNAT --to-source 1.1.1.1", "=", " to:1.1.1.1", "="),
            (
                "-j SNAT --to 1.1.1.1-1.1.1.10 --random --persistent --random-fully",
                "-j SNAT --to-source 1.1.1.1-1.1.1.10 --random --random-fully --persistent",
                " to:1.1.1.1-1.1.1.10 random random-fully persistent",
                "=",
            ),
            ("-p tcp -j SNAT --to-source :80-90", "=", " to::80-90", "="),
            (
                "-p tcp -j SNAT --to-source 1.1.1.1:10-20/100",
                "-p tcp -j SNAT --to-source 1.1.1.1:10-20/0",
                " to:1.1.1.1:10-20/0",
                "=",
            ),
            ("! -p tcp -j SNAT --to-source 1.1.1.9-1.1.1.1:0", "=", " to:1.1.1.9-1.1.1.1:0", "="),
            ("-j SNAT --to-source 1.1.1.1:80", "", "", ""),
            ("-j SNAT --random", "", "", ""),
            ("-j SNAT --to-source ''", "", "", ""),
        ],
    );
}

#[test]
fn dnat_over_ipv4() {
    check(
        V4,
        "nat",
        "PREROUTING",
        &[
            ("-p tcp -j DNAT --to-destination 1.1.1.1:80", "=", " to:1.1.1.1:80", "="),
            (
                "-p udp -j DNAT --to-destination 1.1.1.1-1.1.1.1:10-20/ftp",
                "-p udp -j DNAT --to-destination 1.1.1.1:10-20/21",
                " to:1.1.1.1:10-20/21",
                "=",
            ),
            (
                "-p tcp -j DNAT --to-destination 1.1.1.1:0x50",
                "-p tcp -j DNAT --to-destination 1.1.1.1:80",
                " to:1.1.1.1:80",
                "=",
            ),
            (
                "-p tcp -j DNAT --to-destination 1.1.1.1:syslog",
                "-p tcp -j DNAT --to-destination 1.1.1.1:514",
                " to:1.1.1.1:514",
                "=",
            ),
            (
                "-p tcp -j DNAT --to-destination 1.1.1.1:10-10/20",
                "-p tcp -j DNAT --to-destination 1.1.1.1:10/20",
                " to:1.1.1.1:10/20",
                "=",
            ),
            ("-p tcp -j DNAT --to-destination :1-65535", "=", " to::1-65535", "="),
            ("-p tcp -j DNAT --to-destination 1.1.1.1:10/20", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1.1:10-20/0", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1.1:90-80", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1.1:080", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1.1:65536", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1.1:", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1.1:80:90", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1", "", "", ""),
            ("-p tcp -j DNAT --to-destination 01.1.1.1", "", "", ""),
            ("-p tcp -j DNAT --to-destination 1.1.1.1-", "", "", ""),
            ("-p udplite -j DNAT --to-destination 1.1.1.1:80", "", "", ""),
            ("-j DNAT --to-destination 1.1.1.1 --random-fully", "", "", ""),
            ("-j DNAT --to-destination [1.1.1.1]", "", "", ""),
        ],
    );
}

#[test]
fn dnat_over_ipv6() {
    check(
        V6,
        "nat",
        "PREROUTING",
        &[
            (
                "-j DNAT --to-destination [dead::beef]",
                "-j DNAT --to-destination dead::beef",
                " to:dead::beef",
                "=",
            ),
            ("-p tcp -j DNAT --to-destination dead::beef:80", "=", " to:dead::beef:80", "="),
            (
                "-p tcp -j DNAT --to-destination [dead::1-dead::2]:80-90/100 --random",
                "=",
                " to:[dead::1-dead::2]:80-90/100 random",
                "=",
            ),
            (
                "-p tcp -j DNAT --to-destination []:80",
                "-p tcp -j DNAT --to-destination :80",
                " to::80",
                "=",
            ),
            ("-j DNAT --to-destination [::1]80", "-j DNAT --to-destination ::1", " to:::1", "="),
            ("-p icmp -j DNAT --to-destination [::1]:80", "=", " to:[::1]:80", "="),
            ("-p icmpv6 -j DNAT --to-destination [::1]:80", "", "", ""),
            ("-j DNAT --to-destination [::1]-[::2]", "", "", ""),
            ("-j DNAT --to-destination [::1", "", "", ""),
            ("-j DNAT --to-destination []", "", "", ""),
            ("-j DNAT --to-destination 1.2.3.4", "", "", ""),
        ],
    );
}

#[test]
fn masquerade_and_redirect() {
    check(
        V4,
        "nat",
        "POSTROUTING",
        &[
            ("-j MASQUERADE", "=", "", "="),
            (
                "-p tcp -j MASQUERADE --to-ports 80-90 --random",
                "=",
                " masq ports: 80-90 random",
                "=",
            ),
            (
                "-p tcp -j MASQUERADE --to-ports 10-20/30 --random-fully",
                "-p tcp -j MASQUERADE --to-ports 10-20/0 --random-fully",
                " masq ports: 10-20/0 random-fully",
                "=",
            ),
            ("-j MASQUERADE --to-ports 80", "", "", ""),
            ("-p tcp -j MASQUERADE --to-ports 80:90", "", "", ""),
            ("-j MASQUERADE --persistent", "", "", ""),
            ("-j REDIRECT", "", "", ""),
        ],
    );
    check(
        V6,
        "nat",
        "OUTPUT",
        &[
            ("-j REDIRECT", "=", "", "="),
            (
                "-p tcp -j REDIRECT --to-ports 010-0x10 --random",
                "-p tcp -j REDIRECT --to-ports 8-16 --random",
                " redir ports 8-16 random",
                "=",
            ),
            ("-p tcp -j REDIRECT --to-ports 22-http", "", "", ""),
            ("-p tcp -j REDIRECT --to-ports 10-20/30", "", "", ""),
            ("-j MASQUERADE", "", "", ""),
        ],
    );
}

#[test]
fn netmap() {
    check(
        V4,
        "nat",
        "INPUT",
        &[
            (
                "-j NETMAP --to 1.2.3.4/255.255.255.0",
                "-j NETMAP --to 1.2.3.0/24",
                " to:1.2.3.0/24",
                "=",
            ),
            (
                "-j NETMAP --to 1.2.3.0/255.0.255.0",
                "-j NETMAP --to 1.2.3.0/32",
                " to:1.2.3.0/32",
                "=",
            ),
            ("-j NETMAP --to 1.2.3.0/300", "-j NETMAP --to 1.2.3.0/32", " to:1.2.3.0/32", "="),
            (
                "-j NETMAP --to 1.2.3.0/4294967040",
                "-j NETMAP --to 1.2.3.0/24",
                " to:1.2.3.0/24",
                "=",
            ),
            ("-j NETMAP --to 1.2.3/32", "-j NETMAP --to 1.2.0.3/32", " to:1.2.0.3/32", "="),
            ("-j NETMAP --to 258", "-j NETMAP --to 0.0.1.2/32", " to:0.0.1.2/32", "="),
            ("-j NETMAP --to 1.2.3.0/4294967296", "", "", ""),
            ("-j NETMAP --to 1.2.3.0/", "", "", ""),
            ("-j NETMAP --to 1.2.3.4.5/8", "", "", ""),
            ("-j NETMAP", "", "", ""),
        ],
    );
    check(
        V6,
        "nat",
        "OUTPUT",
        &[
            ("-j NETMAP --to dead::beef/ffff::", "-j NETMAP --to dead::/16", " to:dead::/16", "="),
            (
                "-j NETMAP --to dead::beef/ffff:0:ffff::",
                "-j NETMAP --to dead::beef/128",
                " to:dead::beef/128",
                "=",
            ),
            ("-j NETMAP --to dead::beef/129", "", "", ""),
        ],
    );
}

#[test]
fn they_stand_in_table_nat_alone() {
    for (chain, rule) in [
        ("OUTPUT", "-j SNAT --to-source 1.1.1.1"),
        ("PREROUTING", "-j SNAT --to-source 1.1.1.1"),
        ("POSTROUTING", "-j DNAT --to-destination 1.1.1.1"),
        ("INPUT", "-j DNAT --to-destination 1.1.1.1"),
        ("INPUT", "-j MASQUERADE"),
    ] {
        assert!(crate::testing::saved(V4, "nat", chain, rule).is_err(), "{chain} {rule}");
    }
    for table in ["filter", "mangle", "raw", "security"] {
        let rule = "-j DNAT --to-destination 1.1.1.1";
        assert!(crate::testing::saved(V4, table, "OUTPUT", rule).is_err(), "{table}");
    }
}
