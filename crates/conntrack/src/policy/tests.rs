//! Policies as nfct(8) writes them, and what they do to connections.

use super::*;
use crate::testing::{Peers, Wire};
use alloc::string::ToString;
use core::time::Duration;
use keepstate_packet::tcp::{ACK, SYN};
use std::{format, vec};

const LISTED: &str = ".t1 = {
	.l3proto = 2,
	.l4proto = 6,
	.policy = {
		.SYN_SENT = 120,
		.CLOSE = 10,
	},
};
nfct add timeout u inet6 udp unreplied 5 Replied 6   # as typed
timeout add g inet generic timeout 7
";

#[test]
fn lists_and_commands_are_read() {
    let name = |text| Name::new(text).expect("a name");
    let declared = [
        Declaration {
            name: name("t1"),
            family: Family::V4,
            protocol: 6,
            values: vec![(0, 120), (7, 10)],
        },
        Declaration {
            name: name("u"),
            family: Family::V6,
            protocol: 17,
            values: vec![(0, 5), (1, 6)],
        },
        Declaration {
            name: name("g"),
            family: Family::V4,
            protocol: GENERIC,
            values: vec![(0, 7)],
        },
    ];
    assert_eq!(text::parse(LISTED).expect("it reads"), declared);
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let cases = [
        ("add timeout a inet tcp", "line 1: a policy names at least one state and its seconds"),
        ("\nadd timeout a inet tcp close", "line 2: `close` has no seconds behind it"),
        ("add timeout a inet dccp open 3", "line 1: there are no timeout policies for `dccp`"),
        ("add timeout a ip tcp close 3", "line 1: `ip` is not a family: inet or inet6"),
        ("add timeout a inet udp close 3", "line 1: `CLOSE` is not a state of udp"),
        ("add timeout a inet tcp close x", "line 1: `x` is not a number of seconds"),
        (".a = {\n.l3proto = 2,", "line 2: the last policy has no end"),
        (".a = {\n.l4proto = 6,\n};", "line 3: `a` has no l3proto"),
        (".a = {\n.x = 6,\n};", "line 2: `.x = 6,` means nothing here"),
    ];
    for (text, fault) in cases {
        assert_eq!(text::parse(text).expect_err(text).to_string(), fault);
    }
    let long = format!("add timeout {} inet udp replied 3", "n".repeat(NAME_MAX));
    assert!(text::parse(&long).is_ok());
    assert!(text::parse(&long.replacen('n', "nn", 2)).is_err());
}

fn wire(text: &str) -> Wire {
    let mut wire = Wire::new();
    for declared in text::parse(text).expect("it reads") {
        wire.table.add_timeout_policy(&declared).expect("it is taken");
    }
    wire.template.timeout = wire.table.timeout_policy(&Name::new("p").expect("a name"));
    wire
}

#[test]
fn a_connection_lives_as_its_policy_says() {
    let mut wire = wire("add timeout p inet tcp syn_recv 5 close 1");
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    wire.send(&peers.tcp((1, 2), SYN, (100, 0), b"")).expect("it arrives");
    assert!(wire.listing()[0].contains("tcp      6 120 SYN_SENT"), "{:?}", wire.listing());
    wire.send(&peers.turned().tcp((2, 1), SYN | ACK, (500, 101), b"")).expect("it arrives");
    assert!(wire.listing()[0].contains("tcp      6 5 SYN_RECV"), "{:?}", wire.listing());
    wire.template.timeout = None;
    wire.send(&peers.tcp((1, 2), ACK, (101, 501), b"")).expect("it arrives");
    assert!(
        wire.listing()[0].contains("431999 ESTABLISHED") || wire.listing()[0].contains("432000")
    );
}

#[test]
fn what_a_policy_leaves_out_is_as_the_sysctls_were() {
    let mut wire = wire("add timeout p inet udp replied 77");
    wire.table.sysctls_mut().set("nf_conntrack_udp_timeout", "3").expect("it is set");
    wire.send(&Peers::new("10.1.0.2", "10.2.0.2").udp((1, 2), b"")).expect("it arrives");
    assert!(wire.listing()[0].contains("udp      17 30 "), "{:?}", wire.listing());
}

#[test]
fn one_beyond_the_kernels_ticks_is_over_at_once() {
    let mut wire = wire("add timeout p inet udp unreplied 4294967291");
    wire.send(&Peers::new("10.1.0.2", "10.2.0.2").udp((1, 2), b"")).expect("it arrives");
    assert_eq!(wire.listing().len(), 0);
    assert_eq!(Timeout::of_policy(4_294_967_291).as_duration(), Duration::ZERO);
    assert_eq!(Timeout::of_policy(30), Timeout::seconds(30));
}

#[test]
fn rules_have_policies_of_their_family_and_protocol() {
    let declared = text::parse("add timeout p inet generic timeout 5").expect("it reads");
    let fits = |name, family, protocol| {
        check(&declared, &Name::new(name).expect("a name"), family, protocol)
    };
    assert_eq!(fits("p", Family::V4, 99), Ok(()));
    assert_eq!(fits("p", Family::V4, 33), Ok(()), "DCCP has no tracker any more");
    assert_eq!(fits("p", Family::V4, 6), Err(Unfit::Protocol(GENERIC)));
    assert_eq!(fits("p", Family::V4, 132), Err(Unfit::Protocol(GENERIC)));
    assert_eq!(fits("p", Family::V6, 99), Err(Unfit::Family(Family::V4)));
    assert_eq!(fits("q", Family::V4, 99), Err(Unfit::Unknown));
}

#[test]
fn as_many_as_the_limit() {
    let mut table = Table::new([1, 2], Sysctls::default());
    let mut declared = text::parse("add timeout p inet udp replied 5").expect("it reads").remove(0);
    for number in 0..POLICIES_MAX {
        declared.name = Name::new(&format!("p{number}")).expect("a name");
        assert_eq!(table.add_timeout_policy(&declared), Ok(()));
    }
    assert_eq!(table.add_timeout_policy(&declared), Err(Refused::Taken));
    declared.name = Name::new("one").expect("a name");
    assert_eq!(table.add_timeout_policy(&declared), Err(Refused::Full));
}
