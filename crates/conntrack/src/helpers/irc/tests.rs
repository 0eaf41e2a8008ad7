//! Limits and times; what becomes of a line stands in the oracle's recordings.

use super::{Place, offer};
use crate::testing::{Peers, Wire};
use crate::{CtState, Sysctls};
use core::time::Duration;
use keepstate_packet::{
    Family,
    tcp::{ACK, PROTOCOL, PSH, SYN},
};
use std::format;
use std::string::String;

const CLIENT: u16 = 20_001;
const OWN: u32 = 0x0a01_0002;

fn line(port: u32) -> String {
    format!("PRIVMSG b :\x01DCC SEND file {OWN} {port}\x01\r\n")
}

fn peers() -> Peers {
    Peers::new("10.1.0.2", "10.2.0.2")
}

/// An open connection with the helper.
fn wire(sysctls: Sysctls) -> Wire {
    let mut wire = Wire::with(sysctls);
    wire.template.helper = super::super::Instance::named("irc", Family::V4, PROTOCOL);
    let packets = [
        peers().tcp((CLIENT, 6667), SYN, (1000, 0), b""),
        peers().turned().tcp((6667, CLIENT), SYN | ACK, (9000, 1001), b""),
        peers().tcp((CLIENT, 6667), ACK, (1001, 9001), b""),
    ];
    packets.iter().for_each(|packet| assert!(wire.send(packet).is_ok()));
    wire.template.helper = None;
    wire
}

fn say(wire: &mut Wire, lines: impl IntoIterator<Item = String>) {
    let mut sequence = 1001;
    for line in lines {
        let packet = peers().tcp((CLIENT, 6667), PSH | ACK, (sequence, 9001), line.as_bytes());
        wire.send(&packet).expect("it arrives");
        sequence += line.len() as u32;
    }
}

#[test]
fn it_is_only_there_for_ipv4() {
    assert!(super::super::Instance::named("irc", Family::V4, PROTOCOL).is_some());
    assert!(super::super::Instance::named("irc", Family::V6, PROTOCOL).is_none());
}

#[test]
fn anybody_may_take_up_an_offer() {
    let mut wire = wire(Sysctls::default());
    say(&mut wire, [line(2001)]);
    let stranger = Peers::new("203.0.113.7", "10.1.0.2");
    assert_eq!(wire.state(&stranger.tcp((5, 2001), SYN, (1, 0), b"")).0, CtState::Related);
    assert_eq!(wire.state(&stranger.tcp((6, 2001), SYN, (1, 0), b"")).0, CtState::New);
}

#[test]
fn the_oldest_of_max_dcc_channels_gives_way() {
    for max in [1, 8, 255] {
        let mut sysctls = Sysctls::default();
        let value = format!("{max}");
        sysctls.set("nf_conntrack_irc.max_dcc_channels", &value).expect("in range");
        let mut wire = wire(sysctls);
        say(&mut wire, (0..=max).map(|n| line(2000 + n)));
        let expected = wire.table.expectations(wire.now);
        assert_eq!(expected.len(), max as usize);
        assert!(expected.iter().all(|e| e.original.destination_port != 2000));
    }
    for value in ["0", "256", "-1", "x"] {
        assert!(Sysctls::default().set("nf_conntrack_irc.max_dcc_channels", value).is_err());
    }
}

#[test]
fn dcc_timeout_is_how_long_they_wait() {
    for (value, seconds) in [(None, 300), (Some("7"), 7)] {
        let mut sysctls = Sysctls::default();
        if let Some(value) = value {
            sysctls.set("nf_conntrack_irc.dcc_timeout", value).expect("in range");
        }
        let mut wire = wire(sysctls);
        say(&mut wire, [line(2001)]);
        let expected = wire.table.expectations(wire.now);
        assert_eq!(expected.first().and_then(|e| e.timeout), Some(Duration::from_secs(seconds)));
    }
}

#[test]
fn no_line_makes_it_panic() {
    let whole = line(2001);
    let any = |_: &Place| true;
    for end in 0..=whole.len() {
        for from in 0..=end {
            let found = offer(whole.as_bytes().get(from..end).expect("within"), any);
            let is_whole = from == 0 && end == whole.len();
            let told = found.as_ref().map(|place| {
                (place.address, place.port, whole.get(place.text.clone()).expect("within"))
            });
            let text = format!("{OWN} 2001");
            assert_eq!(told, is_whole.then_some((OWN, 2001, text.as_str())), "{from}..{end}");
        }
    }
}
