//! Names and ranges as a network namespace of Linux 6.18 has them.

use super::*;

const NAMES: [(&str, i64); 28] = [
    ("nf_conntrack_max", 262_144),
    ("nf_conntrack_expect_max", 4096),
    ("nf_conntrack_checksum", 1),
    ("nf_conntrack_acct", 0),
    ("nf_conntrack_timestamp", 0),
    ("nf_conntrack_events", 2),
    ("nf_conntrack_log_invalid", 0),
    ("nf_conntrack_tcp_loose", 1),
    ("nf_conntrack_tcp_be_liberal", 0),
    ("nf_conntrack_tcp_ignore_invalid_rst", 0),
    ("nf_conntrack_tcp_max_retrans", 3),
    ("nf_conntrack_tcp_timeout_syn_sent", 120),
    ("nf_conntrack_tcp_timeout_syn_recv", 60),
    ("nf_conntrack_tcp_timeout_established", 432_000),
    ("nf_conntrack_tcp_timeout_fin_wait", 120),
    ("nf_conntrack_tcp_timeout_close_wait", 60),
    ("nf_conntrack_tcp_timeout_last_ack", 30),
    ("nf_conntrack_tcp_timeout_time_wait", 120),
    ("nf_conntrack_tcp_timeout_close", 10),
    ("nf_conntrack_tcp_timeout_max_retrans", 300),
    ("nf_conntrack_tcp_timeout_unacknowledged", 300),
    ("nf_conntrack_udp_timeout", 30),
    ("nf_conntrack_udp_timeout_stream", 120),
    ("nf_conntrack_icmp_timeout", 30),
    ("nf_conntrack_icmpv6_timeout", 30),
    ("nf_conntrack_gre_timeout", 30),
    ("nf_conntrack_gre_timeout_stream", 180),
    ("nf_conntrack_generic_timeout", 600),
];

#[test]
fn defaults_are_those_of_a_new_namespace() {
    for (name, value) in NAMES {
        assert_eq!(Sysctls::default().value(name), Some(value), "{name}");
    }
    assert_eq!(Sysctls::default().value("nf_conntrack_nothing"), None);
}

#[test]
fn each_is_set_by_any_form_of_its_name_and_alone() {
    for (name, default) in NAMES {
        for prefix in ["", "net.netfilter.", "net/netfilter/"] {
            let mut sysctls = Sysctls::default();
            let value = 1 - default.min(1);
            let full = std::format!("{prefix}{name}");
            assert_eq!(sysctls.set(&full, &std::format!("{value}")), Ok(()), "{full}");
            for (other, default) in NAMES {
                let expected = if other == name { value } else { default };
                assert_eq!(sysctls.value(other), Some(expected), "{other} after {full}");
            }
        }
    }
}

#[test]
fn ranges() {
    let set = |name: &str, value: &str| Sysctls::default().set(name, value);
    let switches = ["checksum", "acct", "timestamp", "tcp_loose", "tcp_be_liberal"];
    for name in switches.map(|name| std::format!("nf_conntrack_{name}")) {
        assert_eq!(set(&name, "1"), Ok(()));
        assert_eq!(set(&name, "2"), Err(SysctlError::BadValue));
    }
    assert_eq!(set("nf_conntrack_tcp_max_retrans", "255"), Ok(()));
    assert_eq!(set("nf_conntrack_tcp_max_retrans", "256"), Err(SysctlError::BadValue));
    assert_eq!(set("nf_conntrack_udp_timeout", "8589934"), Ok(()));
    assert_eq!(set("nf_conntrack_udp_timeout", "8589935"), Err(SysctlError::BadValue));
    assert_eq!(set("nf_conntrack_udp_timeout", "-8589934"), Ok(()));
    assert_eq!(set("nf_conntrack_udp_timeout", "-8589935"), Err(SysctlError::BadValue));
    assert_eq!(set("nf_conntrack_events", "2"), Ok(()));
    assert_eq!(set("nf_conntrack_events", "3"), Err(SysctlError::BadValue));
    assert_eq!(set("nf_conntrack_log_invalid", "255"), Ok(()));
    assert_eq!(set("nf_conntrack_log_invalid", "-0"), Err(SysctlError::BadValue));
    assert_eq!(set("nf_conntrack_buckets", "1024"), Err(SysctlError::ReadOnly));
    assert_eq!(set("net.netfilter.nf_conntrack_count", "0"), Err(SysctlError::ReadOnly));
    assert_eq!(set("nf_conntrack_helper", "1"), Err(SysctlError::UnknownName));
    assert_eq!(set("nf_conntrack_max", "2147483647"), Ok(()));
    assert_eq!(set("nf_conntrack_max", "2147483648"), Err(SysctlError::BadValue));
    assert_eq!(set("nf_conntrack_mx", "1"), Err(SysctlError::UnknownName));
    assert_eq!(set("max", "1"), Err(SysctlError::UnknownName));
}

#[test]
fn numbers_are_read_as_the_kernel_reads_them() {
    let read = |value| {
        let mut sysctls = Sysctls::default();
        sysctls.set("nf_conntrack_udp_timeout", value).ok()?;
        sysctls.value("nf_conntrack_udp_timeout")
    };
    let cases = [
        (" 5 \n", Some(5)),
        ("0x10", Some(16)),
        ("010", Some(8)),
        ("0", Some(0)),
        ("", None),
        ("1x", None),
        ("abc", None),
        ("-1", Some(-1)),
        ("-0x10", Some(-16)),
        ("- 1", None),
        ("5 6", Some(5)),
        ("5\tabc", Some(5)),
        ("5,", None),
        ("18446744073709551621", None),
        ("+1", None),
        ("08", None),
        ("0x", None),
        ("4294967296", None),
    ];
    for (text, value) in cases {
        assert_eq!(read(text), value, "{text:?}");
    }
}

#[test]
fn parameters_of_modules_are_set_by_their_own_names() {
    let parameters = [
        ("nf_conntrack_ftp.loose", 0),
        ("nf_conntrack_irc.max_dcc_channels", 8),
        ("nf_conntrack_irc.dcc_timeout", 300),
        ("nf_conntrack_amanda.master_timeout", 300),
        ("nf_conntrack_netbios_ns.timeout", 3),
        ("nf_conntrack_snmp.timeout", 30),
        ("nf_conntrack_h323.default_rrq_ttl", 300),
        ("nf_conntrack_sip.sip_timeout", 3600),
        ("nf_conntrack.acct", 0),
        ("nf_conntrack.tstamp", 0),
    ];
    for (name, default) in parameters {
        let mut sysctls = Sysctls::default();
        assert_eq!(sysctls.value(name), Some(default), "{name}");
        assert_eq!(sysctls.set(name, "1"), Ok(()), "{name}");
        for (other, default) in parameters {
            let expected = if other == name { 1 } else { default };
            assert_eq!(sysctls.value(other), Some(expected), "{other} after {name}");
        }
        for value in ["", "-1", "99999999999"] {
            assert_eq!(sysctls.set(name, value), Err(SysctlError::BadValue), "{name}={value}");
        }
    }
    for (value, expected) in
        [("Y", Ok(1)), ("n", Ok(0)), ("on", Ok(1)), ("off", Ok(0)), ("x", Err(()))]
    {
        let mut sysctls = Sysctls::default();
        let set = sysctls.set("nf_conntrack_ftp.loose", value).map_err(|_| ());
        let value_is = set.map(|()| sysctls.value("nf_conntrack_ftp.loose").unwrap_or(-1));
        assert_eq!(value_is, expected, "{value}");
    }
    for name in ["nf_conntrack.hashsize", "nf_conntrack.expect_hashsize"] {
        assert!(Sysctls::default().value(name).is_some(), "{name}");
        assert_eq!(Sysctls::default().set(name, "1024"), Err(SysctlError::ReadOnly), "{name}");
    }
    let unknown = Sysctls::default().set("nf_conntrack_ftp.nothing", "1");
    assert_eq!(unknown, Err(SysctlError::UnknownName));
}

/// As the kernel takes and refuses what is written to `/sys/module/*/parameters`.
#[test]
fn numbers_of_modules_are_read_as_the_kernel_reads_them() {
    let read = |name, value| {
        let mut sysctls = Sysctls::default();
        sysctls.set(name, value).ok()?;
        sysctls.value(name)
    };
    for (text, value) in [
        ("5", Some(5)),
        (" 5", None),
        ("5 ", None),
        ("+5", Some(5)),
        ("-0", None),
        ("0x10", Some(16)),
        ("010", Some(8)),
        ("08", None),
        ("0x", None),
        ("5,6", None),
        ("5\n", Some(5)),
        ("4294967295", Some(4_294_967_295)),
        ("4294967296", None),
    ] {
        assert_eq!(read("nf_conntrack_amanda.master_timeout", text), value, "{text:?}");
    }
    for (text, value) in [
        ("-2147483648", Some(1)),
        ("2147483647", Some(1)),
        ("2147483648", None),
        ("-0x10", Some(1)),
        ("-+5", None),
        ("+-5", None),
        ("0", Some(0)),
    ] {
        assert_eq!(read("nf_conntrack_sip.sip_direct_media", text), value, "{text:?}");
    }
    for (text, value) in [("bm", Ok(())), ("fsm", Err(SysctlError::BadValue))] {
        assert_eq!(Sysctls::default().set("nf_conntrack_amanda.ts_algo", text), value, "{text}");
    }
}
