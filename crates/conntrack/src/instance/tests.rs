use super::*;
use crate::helpers::ftp::testing;
use crate::sysctl::{SysctlError, Sysctls};
use crate::testing::Wire;
use crate::zone::Zone;
use std::string::{String, ToString};
use std::vec::Vec;

/// What modules register under these settings, `NAME/PORT`, of the helpers that begin with `base`.
fn names(settings: &[(&str, &str)], base: &str) -> Vec<String> {
    let mut sysctls = Sysctls::default();
    settings.iter().for_each(|(name, value)| sysctls.set(name, value).expect("it is set"));
    let all = Instance::registered(&sysctls.modules).filter(|(one, _)| one.name().base == base);
    all.map(|(one, port)| std::format!("{}/{port}", one.name())).collect()
}

#[test]
fn further_ports_have_names_by_port_or_by_place() {
    assert_eq!(names(&[], "ftp"), ["ftp/21"]);
    assert_eq!(names(&[("nf_conntrack_ftp.ports", "21,2121")], "ftp"), ["ftp/21", "ftp-2121/2121"]);
    assert_eq!(names(&[("nf_conntrack_ftp.ports", "2121")], "ftp"), ["ftp-2121/2121"]);
    assert_eq!(
        names(&[("nf_conntrack_sane.ports", "0x10,6566")], "sane"),
        ["sane-16/16", "sane/6566"]
    );
    let irc = names(&[("nf_conntrack_irc.ports", "7000,6667,7001")], "irc");
    assert_eq!(irc, ["irc-0/7000", "irc/6667", "irc-2/7001"]);
    assert_eq!(
        names(&[("nf_conntrack_tftp.ports", "69,1069")], "tftp"),
        ["tftp/69", "tftp-1/1069"]
    );
    let sip = names(&[("nf_conntrack_sip.ports", "5060,5062")], "sip");
    assert_eq!(sip, ["sip/5060", "sip-1/5062", "sip/5060", "sip-1/5062"], "UDP, then TCP");
}

#[test]
fn ports_are_one_to_eight_and_nobody_elses() {
    let set = |value| Sysctls::default().set("nf_conntrack_ftp.ports", value);
    assert_eq!(set("1,2,3,4,5,6,7,8"), Ok(()));
    for bad in ["1,2,3,4,5,6,7,8,9", "", "21,", ",21", "65536", "-1", "21 ,22", "x"] {
        assert_eq!(set(bad), Err(SysctlError::BadValue), "{bad}");
    }
    for taken in ["21,21", "6667", "1723,21", "5060"] {
        assert_eq!(set(taken), Err(SysctlError::PortTaken), "{taken}");
    }
    assert_eq!(set("69"), Ok(()), "TFTP is UDP's");
    let mut sysctls = Sysctls::default();
    assert_eq!(sysctls.set("nf_conntrack_ftp.ports", "6667"), Err(SysctlError::PortTaken));
    assert_eq!(sysctls, Sysctls::default(), "nothing is kept of what is refused");
    assert_eq!(sysctls.set("nf_conntrack_irc.ports", "6668"), Ok(()));
    assert_eq!(sysctls.set("nf_conntrack_ftp.ports", "6667"), Ok(()), "it is free now");
}

#[test]
fn only_names_that_ports_can_bring_about_are_names() {
    let is_named = |name| Instance::called(name).next().is_some();
    for name in ["ftp", "ftp-0", "ftp-65535", "irc-0", "irc-7", "sip-7", "tftp-3", "sane-1", "RAS"]
    {
        assert!(is_named(name), "{name}");
    }
    for name in [
        "ftp-21",
        "ftp-02121",
        "ftp-65536",
        "ftp-",
        "ftp-+1",
        "irc-8",
        "RAS-1",
        "pptp-1723",
        "-1",
        "",
    ] {
        assert!(!is_named(name), "{name}");
    }
    assert_eq!(Instance::called("sip-1").count(), 2, "UDP and TCP");
    assert!(Instance::named("irc-1", Family::V6, 6).is_none());
    assert!(Instance::named("tftp-1", Family::V6, 6).is_none());
}

#[test]
fn an_example_registers_what_it_is_an_example_for() {
    for name in ["ftp", "ftp-2121", "sane-1", "irc", "irc-0", "irc-3", "sip-7", "tftp-1"] {
        let mut sysctls = Sysctls::default();
        let instance = Instance::called(name).next().expect("a name");
        assert_eq!(instance.is_registered(&sysctls.modules), !name.contains('-'), "{name}");
        let (parameter, example) = (instance.parameter().unwrap(), instance.example().unwrap());
        sysctls.set(parameter, &example).expect("a value");
        assert!(instance.is_registered(&sysctls.modules), "{name}: {parameter}={example}");
    }
    let none = Instance::called("pptp").next().expect("a name");
    assert_eq!((none.parameter(), none.example()), (None, None));
    let inner = Instance::called("H.245").next().expect("a name");
    assert!(inner.is_registered(&Modules::default()), "it is at no port");
}

#[test]
fn a_text_begins_with_a_name_as_a_whole() {
    let begins = |name, text| Name::parse(name).is_some_and(|name| name.begins(text));
    for (name, text, expected) in [
        ("ftp", "ftp", true),
        ("ftp", "ftp-2121", true),
        ("ftp", "ft", false),
        ("ftp-2121", "ftp", false),
        ("ftp-2121", "ftp-2121", true),
        ("ftp-2121", "ftp-21210", true),
        ("ftp-2121", "ftp-212", false),
        ("ftp-2121", "ftp-2122", false),
        ("irc-0", "irc-01", true),
        ("irc-0", "irc-1", false),
    ] {
        assert_eq!(begins(name, text), expected, "{name} in {text}");
        assert_eq!(text.starts_with(&Name::parse(name).unwrap().to_string()), expected);
    }
}

#[test]
fn connections_and_what_they_expect_show_the_name_of_the_instance() {
    let mut wire = Wire::new();
    let ftp_2121 = Instance::named("ftp-2121", Family::V4, 6);
    let master = testing::control_of(&mut wire, ftp_2121);
    let (master, _) = wire.table.find(wire.now, &master, Zone::default()).expect("it is there");
    testing::port(&mut wire, 1025);
    let name = ftp_2121.map(Instance::name);
    assert_eq!(name.map(|name| name.to_string()).as_deref(), Some("ftp-2121"));
    assert_eq!(wire.table.helper(master), name);
    let [expected] = &wire.table.expectations(wire.now)[..] else { panic!("one is expected") };
    assert_eq!(expected.helper, name);
    assert_eq!(wire.table.flush_expectations(wire.now, Some("ftp")), 0);
    assert_eq!(wire.table.flush_expectations(wire.now, Some("ftp-2121")), 1);
}
