//! Expectations made from outside, and their limits. What is expected here was asked of Linux 6.18.

use super::*;
use crate::helpers;
use crate::testing::{Peers, Wire};
use crate::{CtState, Sysctls};
use keepstate_packet::Parsed;
use std::vec::Vec;

fn peers() -> Peers {
    Peers::new("10.1.0.2", "198.51.100.7")
}

fn tuple_of(packet: &[u8]) -> Tuple {
    Tuple::of(&Parsed::new(packet).expect("an IP packet"), packet).expect("ports")
}

/// A control connection from this port, and its tuple.
fn master(wire: &mut Wire, port: u16) -> Tuple {
    wire.template.helper = Instance::named("ftp", Family::V4, 6);
    let syn = peers().tcp((port, 21), 0x02, (1, 0), b"");
    wire.send(&syn).expect("room");
    wire.template.helper = None;
    tuple_of(&syn)
}

/// The server's connection to a port of the client, from any port.
fn announcement(master: Tuple, port: u16) -> NewExpectation {
    let tuple = tuple_of(&peers().turned().tcp((0, port), 0x02, (1, 0), b""));
    let mask = Tuple { source_port: 0, ..Request::exact(&tuple) };
    let zone = Zone::default();
    NewExpectation { master, tuple, mask, zone, class: 0, flags: 0 }
}

fn arrives(wire: &mut Wire, ports: (u16, u16)) -> CtState {
    wire.state(&peers().turned().tcp(ports, 0x02, (1, 0), b"")).0
}

#[test]
fn it_serves_once_and_has_the_helper_of_its_master() {
    let mut wire = Wire::new();
    let master = master(&mut wire, 1000);
    wire.table.create_expectation(wire.now, &announcement(master, 400)).expect("made");
    let [shown] = &wire.table.expectations(wire.now)[..] else { panic!("one") };
    assert_eq!((shown.helper, shown.master), (Some(helpers::Name::usual("ftp")), Some(master)));
    assert_eq!(shown.timeout, Some(core::time::Duration::from_secs(300)));
    assert_eq!(shown.announcement.map(|e| (e.flags, e.class)), Some((0, 0)));
    assert_eq!(arrives(&mut wire, (20, 400)), CtState::Related);
    assert_eq!(arrives(&mut wire, (21, 400)), CtState::New);
    assert_eq!(wire.table.expectations(wire.now).len(), 0);
}

#[test]
fn permanent_and_inactive() {
    let mut wire = Wire::new();
    let master = master(&mut wire, 1000);
    let with = |flags| NewExpectation { flags, ..announcement(master, 400) };
    wire.table.create_expectation(wire.now, &with(Announcement::PERMANENT)).expect("made");
    assert_eq!(arrives(&mut wire, (20, 400)), CtState::Related);
    assert_eq!(arrives(&mut wire, (21, 400)), CtState::Related);
    assert_eq!(wire.table.flush_expectations(wire.now, None), 1);
    wire.table.create_expectation(wire.now, &with(Announcement::INACTIVE)).expect("made");
    assert_eq!(arrives(&mut wire, (22, 400)), CtState::New);
    assert_eq!(wire.table.expectations(wire.now).len(), 1);
    wire.table.flush_expectations(wire.now, None);
    wire.table.create_expectation(wire.now, &with(7)).expect("made");
    let shown = wire.table.expectations(wire.now);
    assert_eq!(shown[0].announcement.map(|e| e.flags), Some(3));
    let beyond = wire.table.create_expectation(wire.now, &with(8));
    assert_eq!(beyond, Err(ExpectError::Invalid));
}

#[test]
fn faults_in_the_order_of_the_kernel() {
    let mut wire = Wire::new();
    let first = master(&mut wire, 1000);
    let second = master(&mut wire, 1001);
    let plain = peers().tcp((1002, 21), 0x02, (1, 0), b"");
    wire.send(&plain).expect("room");
    let mut make = |a: NewExpectation| wire.table.create_expectation(wire.now, &a);
    let wanted = announcement(first, 400);
    let nobody = Tuple { source_port: 9, ..first };
    assert_eq!(make(NewExpectation { master: nobody, ..wanted }), Err(ExpectError::NoMaster));
    let unhelped = NewExpectation { master: tuple_of(&plain), ..wanted };
    assert_eq!(make(unhelped), Err(ExpectError::NoHelper));
    assert_eq!(make(NewExpectation { class: 1, ..wanted }), Err(ExpectError::Invalid));
    assert_eq!(make(wanted), Ok(()));
    assert_eq!(make(wanted), Err(ExpectError::Exists));
    assert_eq!(make(NewExpectation { master: nobody, ..wanted }), Err(ExpectError::Exists));
    let mut wide = NewExpectation { master: second, ..wanted };
    wide.tuple.source = Address::v4([192, 0, 2, 1]);
    assert_eq!(make(wide), Ok(()), "another source");
    wide.tuple.source = Address::v4([192, 0, 2, 2]);
    wide.mask.source = Address::default();
    assert_eq!(make(wide), Err(ExpectError::Clash));
    let errnos =
        [ExpectError::NoMaster, ExpectError::Clash, ExpectError::Exists].map(ExpectError::errno);
    assert_eq!(errnos, [2, 16, 17]);
}

#[test]
fn changed_deleted_and_flushed_by_helper() {
    let mut wire = Wire::new();
    let first = master(&mut wire, 1000);
    let wanted = announcement(first, 400);
    wire.table.create_expectation(wire.now, &wanted).expect("made");
    let zone = Zone::default();
    let change = |wire: &mut Wire, seconds| {
        wire.table.change_expectation(wire.now, &wanted.tuple, zone, seconds).expect("there");
        wire.table.expectation(wire.now, &wanted.tuple, zone).and_then(|shown| shown.timeout)
    };
    assert_eq!(change(&mut wire, 20).map(|left| left.as_secs()), Some(20));
    assert_eq!(change(&mut wire, u32::MAX).map(|left| left.as_secs()), Some(17_179_868));
    assert_eq!(change(&mut wire, 0), None, "it is over at once");
    let gone = wire.table.delete_expectation(wire.now, &wanted.tuple, zone);
    assert_eq!(gone, Err(ExpectError::NotFound));
    wire.table.create_expectation(wire.now, &wanted).expect("made");
    let from_anywhere = Tuple { source_port: 77, ..wanted.tuple };
    assert_eq!(wire.table.delete_expectation(wire.now, &from_anywhere, zone), Ok(()));
    wire.table.create_expectation(wire.now, &wanted).expect("made");
    assert_eq!(wire.table.flush_expectations(wire.now, Some("irc")), 0);
    assert_eq!(wire.table.flush_expectations(wire.now, Some("ftp")), 1);
}

/// At `nf_conntrack_expect_max` the next one is refused; one that takes the place of another of its
/// class is not.
#[test]
fn the_edge_of_expect_max() {
    let mut wire = Wire::with(Sysctls { expect_max: 3, ..Sysctls::default() });
    let masters: Vec<Tuple> = (1000..1005).map(|port| master(&mut wire, port)).collect();
    for (master, port) in masters.iter().zip(400..403) {
        wire.table.create_expectation(wire.now, &announcement(*master, port)).expect("room");
    }
    let more = wire.table.create_expectation(wire.now, &announcement(masters[3], 403));
    assert_eq!(more, Err(ExpectError::Full));
    wire.table.create_expectation(wire.now, &announcement(masters[0], 404)).expect("one gave way");
    assert_eq!(wire.table.expectations(wire.now).len(), 3);
    assert_eq!(arrives(&mut wire, (20, 404)), CtState::Related);
    wire.table.create_expectation(wire.now, &announcement(masters[3], 403)).expect("room again");
}
