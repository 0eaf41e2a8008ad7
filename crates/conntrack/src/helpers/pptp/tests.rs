//! Calls set up, cleared and misused. What is expected here was asked of Linux 6.18.

use crate::helpers;
use crate::testing::{Peers, Wire};
use crate::{CtState, Direction, Hook, Sysctls};
use keepstate_packet::{Family, Parsed};
use std::string::{String, ToString};
use std::vec::Vec;

fn peers() -> Peers {
    Peers::new("10.1.0.2", "198.51.100.7")
}

/// Lengths of the messages, by number, without the header of 12 octets.
const LENGTHS: [usize; 16] = [0, 144, 144, 4, 4, 4, 8, 156, 20, 208, 12, 16, 4, 136, 28, 12];

fn message(number: u8, fields: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from([0, 0, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, number, 0, 0]);
    bytes.extend(fields);
    bytes.resize(12 + LENGTHS[usize::from(number)], 0);
    bytes
}

/// A control connection.
struct Control {
    wire: Wire,
    next: [u32; 2],
}

impl Control {
    /// One whose two ends have agreed on it.
    fn started() -> Self {
        let mut control = Self::open();
        control.say(0, &message(1, &[1, 0]));
        control.say(1, &message(2, &[1, 0, 1]));
        control
    }

    fn open() -> Self {
        let mut control = Self { wire: Wire::with(Sysctls::default()), next: [100, 500] };
        control.wire.template.helper = helpers::Instance::named("pptp", Family::V4, 6);
        for (end, flags) in [(0, 0x02), (1, 0x12), (0, 0x10)] {
            control.segment(end, flags, b"");
            control.next[end] += u32::from(flags & 2 != 0);
        }
        control.wire.template.helper = None;
        control
    }

    fn segment(&mut self, end: usize, flags: u8, payload: &[u8]) {
        let (peers, ports) = [(peers(), (1000, 1723)), (peers().turned(), (1723, 1000))][end];
        let numbers = (self.next[end], if flags & 0x10 != 0 { self.next[1 - end] } else { 0 });
        self.wire.send(&peers.tcp(ports, flags, numbers, payload)).expect("nothing is dropped");
        self.next[end] += payload.len() as u32;
    }

    fn say(&mut self, end: usize, message: &[u8]) {
        self.segment(end, 0x18, message);
    }

    /// Call 7 of the client and call 9 of the server, asked for by the client.
    fn call(&mut self) {
        self.say(0, &message(7, &[0, 7]));
        self.say(1, &message(8, &[0, 9, 0, 7, 1]));
    }

    /// What is expected, as pairs of source and destination key.
    fn expected(&self) -> Vec<(u16, u16)> {
        let all = self.wire.table.expectations(self.wire.now);
        all.iter().map(|e| (e.original.source_port, e.original.destination_port)).collect()
    }

    /// State and direction of GRE from one end, for this call of the other.
    fn gre(&mut self, end: usize, call: u16) -> (CtState, Option<Direction>) {
        self.wire.state(&gre(end, call))
    }

    fn calls(&self) -> Vec<String> {
        let all = self.wire.listing();
        let gre = all.iter().filter(|line| line.contains(" gre "));
        gre.map(ToString::to_string).collect()
    }
}

fn gre(end: usize, call: u16) -> Vec<u8> {
    let [high, low] = call.to_be_bytes();
    let bytes = [0x30, 1, 0x88, 0x0b, 0, 0, high, low, 0, 0, 0, 0];
    [peers(), peers().turned()][end].packet(47, &bytes)
}

const RELATED: (CtState, Option<Direction>) = (CtState::Related, Some(Direction::Original));
const ANSWER: (CtState, Option<Direction>) = (CtState::Established, Some(Direction::Reply));
const NEW: (CtState, Option<Direction>) = (CtState::New, Some(Direction::Original));

#[test]
fn an_outgoing_call() {
    let mut control = Control::started();
    control.call();
    assert_eq!(control.expected(), [(7, 9), (9, 7)]);
    assert_eq!(control.gre(0, 9), RELATED);
    assert_eq!(control.expected(), [], "the other direction is the answer now");
    assert_eq!(control.gre(1, 7), ANSWER);
    assert_eq!(control.gre(0, 10), NEW, "another call");
    let line = &control.calls()[0];
    assert!(
        line.contains("srckey=0x7 dstkey=0x9 src=198.51.100.7 dst=10.1.0.2 srckey=0x9"),
        "{line}"
    );
    assert!(line.starts_with("ipv4     2 gre      47 30 "), "{line}");
}

#[test]
fn an_incoming_call_that_begins_from_the_server() {
    let mut control = Control::started();
    control.say(1, &message(9, &[0, 9]));
    control.say(0, &message(10, &[0, 7, 0, 9, 1]));
    assert_eq!(control.expected(), []);
    control.say(1, &message(11, &[0, 7]));
    assert_eq!(control.gre(1, 7), RELATED);
    assert_eq!(control.gre(0, 9), ANSWER);
}

/// Every message is needed, whole, from the right end, and with the right identifier.
#[test]
fn nothing_is_expected_of_a_call_that_is_not_in_order() {
    type Said = (usize, Vec<u8>);
    let say_all = |messages: &[Said]| {
        let mut control = Control::open();
        messages.iter().for_each(|(end, message)| control.say(*end, message));
        control.expected().len()
    };
    let in_order = [
        (0, message(1, &[1, 0])),
        (1, message(2, &[1, 0, 1])),
        (0, message(7, &[0, 7])),
        (1, message(8, &[0, 9, 0, 7, 1])),
    ];
    assert_eq!(say_all(&in_order), 2);
    for n in 0..in_order.len() {
        let with = |message: &dyn Fn(&mut Said)| {
            let mut messages = in_order.clone();
            message(&mut messages[n]);
            say_all(&messages)
        };
        assert_eq!(
            with(&|m| {
                m.1.pop();
            }),
            0,
            "{n} is cut"
        );
        assert_eq!(with(&|m| m.1.extend([1, 2, 3])), 2, "{n} has something behind it");
        assert_eq!(with(&|m| m.0 = 1 - m.0), 0, "{n} from the other end");
        assert_eq!(with(&|m| m.1[4] = 0), 0, "{n} without the magic cookie");
        assert_eq!(with(&|m| m.1[3] = 2), 0, "{n} is a management message");
        assert_eq!(with(&|m| m.1[8] = 1), 0, "{n} of a type beyond 255");
        assert_eq!(with(&|m| m.1[0] = 77), 2, "the length field of {n} is not read");
    }
    let mut refused = in_order.clone();
    refused[3].1[16] = 2;
    assert_eq!(say_all(&refused), 0, "not connected");
    let mut another = in_order;
    another[3].1[15] = 8;
    assert_eq!(say_all(&another), 0, "another call");
}

#[test]
fn what_is_said_again_is_expected_again() {
    let mut control = Control::started();
    control.call();
    control.say(1, &message(8, &[0, 9, 0, 7, 1]));
    assert_eq!(control.expected(), [(7, 9), (9, 7)]);
    control.gre(0, 9);
    control.say(1, &message(8, &[0, 9, 0, 7, 1]));
    assert_eq!(control.expected(), [(7, 9), (9, 7)]);
    assert_eq!(control.gre(1, 7), ANSWER);
}

/// The keys of the first call are in the way of a second one until it is cleared.
#[test]
fn one_call_at_a_time() {
    let mut control = Control::started();
    control.call();
    control.say(0, &message(7, &[0, 7]));
    control.say(1, &message(8, &[0, 20, 0, 7, 1]));
    assert_eq!(control.expected(), [], "they gave way to what was taken back");
    assert_eq!(control.gre(0, 9), NEW);
    assert!(control.calls()[0].contains("srckey=0x7 dstkey=0x9"), "the key is still known");
    control.say(1, &message(13, &[0, 20]));
    assert_eq!(control.gre(1, 7), NEW, "and now it is not");
    assert!(control.calls()[1].contains("srckey=0x0 dstkey=0x7"));
}

#[test]
fn a_cleared_call_takes_its_connection_with_it() {
    let mut control = Control::started();
    control.call();
    control.gre(0, 9);
    control.say(0, &message(12, &[0, 7]));
    assert_eq!(control.calls().len(), 1, "it was only asked for");
    control.say(1, &message(13, &[0, 9]));
    assert_eq!(control.calls().len(), 0);
    assert_eq!(control.gre(0, 9), NEW);
}

#[test]
fn a_control_connection_that_goes_takes_everything_with_it() {
    let mut control = Control::started();
    control.call();
    control.gre(0, 9);
    control.wire.events();
    let master = control.wire.table.connections(control.wire.now)[0];
    assert!(control.wire.table.delete(control.wire.now, master));
    let kinds: Vec<String> =
        control.wire.events().iter().map(|line| line[..line.len().min(20)].to_string()).collect();
    assert_eq!(kinds, ["[DESTROY] tcp      6", "[DESTROY] gre      4"]);
    assert_eq!((control.wire.table.count(), control.expected().len()), (0, 0));
    assert_eq!(control.gre(0, 9), NEW);
    assert!(control.calls()[0].contains("srckey=0x0 dstkey=0x9"));
}

/// In the kernel the keys go with a connection of the call even when it was never confirmed.
#[test]
fn a_first_packet_that_is_dropped_takes_the_keys_with_it() {
    let mut control = Control::started();
    control.call();
    let tracked = control.wire.track(&gre(0, 9)).expect("room");
    assert_eq!(tracked.state, CtState::Related);
    control.wire.table.discard(control.wire.now, &tracked);
    assert_eq!(control.gre(0, 9), NEW);
    assert!(control.calls()[0].contains("srckey=0x0 dstkey=0x9"));
}

/// A packet whose look-up began before the message that its key is in finds the key.
#[test]
fn in_one_batch_with_its_announcement() {
    let mut control = Control::started();
    control.say(0, &message(7, &[0, 7]));
    let first = gre(0, 9);
    let parsed = Parsed::new(&first).expect("an IP packet");
    let prepared = control.wire.table.prepare(&parsed, &first);
    control.say(1, &message(8, &[0, 9, 0, 7, 1]));
    let Wire { table, now, template, .. } = &mut control.wire;
    let tracked =
        table.track_prepared(*now, Hook::Prerouting, &parsed, &first, template, &prepared);
    assert_eq!(tracked.expect("room").state, CtState::Related);
}
