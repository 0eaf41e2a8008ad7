//! What Linux 6.18 made of these lines, asked with the client at 10.1.0.2 or fd00:1::2 and the
//! server at 10.2.0.2 or fd00:2::2, each in a connection of its own.

use super::super::HELPERS;
use crate::Tracked;
use crate::table::Drop as Refused;
use crate::testing::{Peers, Wire};
use crate::tuple::Direction::{self, Original, Reply};
use Heard::{Drop, Pass, Port};
use core::time::Duration;
use keepstate_packet::tcp::{ACK, PSH, SYN};
use std::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// The packet passes and nothing is expected.
    Pass,
    /// The helper drops it.
    Drop,
    /// It passes, and a connection to this port of its sender is expected.
    Port(u16),
}

const CLIENT_IPV4: &[(&str, Heard)] = &[
    ("PORT 10,1,0,2,4,1\r\n", Port(1025)),
    ("port 10,1,0,2,4,1\r\n", Port(1025)),
    ("PORT  10,1,0,2,4,1\r\n", Drop),
    ("PORTx 10,1,0,2,4,1\r\n", Port(1025)),
    ("PORT\t10,1,0,2,4,1\r\n", Drop),
    ("PORT 10,1,0,2,4,1\n", Drop),
    ("PORT 10,1,0,2,4,1 \r\n", Drop),
    ("PORT 10,1,0,2,4,1", Drop),
    ("PORT 10,1,0,2,4,1\r", Port(1025)),
    ("PORT 10,1,0,2,4\r\n", Drop),
    ("PORT 10,1,0,2,4,1,5\r\n", Drop),
    ("PORT 10,1,0,2,,1\r\n", Port(1)),
    ("PORT 10,1,0,2,4,\r\n", Port(1024)),
    ("PORT ,10,1,0,2,4,1\r\n", Drop),
    ("PORT 10,1,0,3,4,1\r\n", Pass),
    ("PORT 10,1,0,2,0,0\r\n", Port(0)),
    ("PORT 10,1,0,2,256,1\r\n", Port(1)),
    ("PORT 10,1,0,2,4,257\r\n", Port(1281)),
    ("PORT 10,0,256,2,4,1\r\n", Port(1025)),
    ("PORT 0,2561,0,2,4,1\r\n", Port(1025)),
    ("POR", Drop),
    ("PORT", Drop),
    ("PORT ", Drop),
    ("P", Drop),
    ("port", Drop),
    ("XPORT 10,1,0,2,4,1\r\n", Pass),
    ("NOOP\r\n", Pass),
    ("PO\r\n", Pass),
    ("PORT 10,1,0,2,4,1\r\nNOOP\r\n", Port(1025)),
    ("NOOP\r\nPORT 10,1,0,2,4,1\r\n", Pass),
    ("PORT 010,001,000,002,004,001\r\n", Port(1025)),
    ("PORT 4294967306,1,0,2,4,1\r\n", Port(1025)),
    ("PORT -10,1,0,2,4,1\r\n", Drop),
    ("PORT abc\r\n", Drop),
    ("EPRT |1|10.1.0.2|1025|\r\n", Port(1025)),
    ("eprt |1|10.1.0.2|1025|\r\n", Port(1025)),
    ("EPRT !1!10.1.0.2!1025!\r\n", Port(1025)),
    ("EPRT 1110.1.0.2|1025|\r\n", Drop),
    ("EPRT |2|fd00::2|1025|\r\n", Drop),
    ("EPRT |3|10.1.0.2|1025|\r\n", Drop),
    ("EPRT |1|10.1.0.3|1025|\r\n", Pass),
    ("EPRT |1|10.1.0.2|0|\r\n", Drop),
    ("EPRT |1|10.1.0.2|70000|\r\n", Port(4464)),
    ("EPRT |1|10.1.0.2|65536|\r\n", Drop),
    ("EPRT |1|10.1.0.2|1025\r\n", Drop),
    ("EPRT |1|10.1.0.2|1025|", Port(1025)),
    ("EPRT |1|10.1.0.2|10x25|\r\n", Drop),
    ("EPRT |1|10.1.0|1025|\r\n", Drop),
    ("EPRT |1|10.1.0.2.3|1025|\r\n", Drop),
    ("EPRT |1|10.1.0.2!1025|\r\n", Drop),
    ("EPRT ||10.1.0.2|1025|\r\n", Drop),
    ("EPRT |1|", Drop),
    ("EPRT |1", Drop),
    ("EPRT |", Drop),
    ("EPRT", Drop),
    ("EPR", Drop),
    ("EPRT |1|10.1.0.2||\r\n", Drop),
    ("EPRT \x7f1\x7f10.1.0.2\x7f1025\x7f\r\n", Drop),
    ("EPRT \t1\t10.1.0.2\t1025\t\r\n", Drop),
    ("EPRT |1|10.1.0.2|1025|junk", Port(1025)),
    ("EPRT |1|.1.0.2|1025|\r\n", Pass),
    ("EPRT .1.10.1.0.2.1025.\r\n", Drop),
    ("EPRT |1|10.1.0.2|+25|\r\n", Drop),
];

const SERVER_IPV4: &[(&str, Heard)] = &[
    ("227 Entering Passive Mode (10,2,0,2,4,1).\r\n", Port(1025)),
    ("227 Entering Passive Mode 10,2,0,2,4,1\r\n", Port(1025)),
    ("227 10,2,0,2,4,1x", Port(1025)),
    ("227 10,2,0,2,4,1", Drop),
    ("227 =10,2,0,2,4,1\r\n", Port(1025)),
    ("227 no numbers\r\n", Drop),
    ("227 10,2,0,3,4,1\r\n", Pass),
    ("227 (10,2,0,2,4)\r\n", Drop),
    ("227 (10,2,0,2,4,1,5)\r\n", Drop),
    ("227-10,2,0,2,4,1\r\n", Pass),
    ("227", Drop),
    ("227 ", Drop),
    ("22", Drop),
    ("2", Drop),
    ("227 1 (10,2,0,2,4,1)\r\n", Drop),
    ("227 (10,2,0,2,0,0)\r\n", Port(0)),
    ("227 (10,2,0,2,300,5)\r\n", Port(11269)),
    ("227\r\n", Pass),
    ("227 (010,2,0,2,4,1)\r\n", Port(1025)),
    ("229 Entering Extended Passive Mode (|||1025|)\r\n", Port(1025)),
    ("229 (|||1025|)", Port(1025)),
    ("229 |||1025|\r\n", Drop),
    ("229 (!!!1025!)\r\n", Port(1025)),
    ("229 (111102511)\r\n", Drop),
    ("229 (|||0|)\r\n", Drop),
    ("229 (|||70000|)\r\n", Port(4464)),
    ("229 (|||65536|)\r\n", Drop),
    ("229 (|||1025)\r\n", Drop),
    ("229 (||1025|)\r\n", Drop),
    ("229 (|1||1025|)\r\n", Drop),
    ("229 (|||)\r\n", Drop),
    ("229 (||||)\r\n", Drop),
    ("229 (|||", Drop),
    ("229 (", Drop),
    ("229 ", Drop),
    ("229", Drop),
    ("229 x", Drop),
    ("229-(|||1025|)\r\n", Pass),
    ("229 (|||10 25|)\r\n", Drop),
    ("229 ((|||1025|)\r\n", Drop),
    ("229 (   1025 )\r\n", Drop),
    ("220 hello\r\n", Pass),
    ("229 (|||1025|", Port(1025)),
    ("230 ok\r\n", Pass),
];

const CLIENT_IPV6: &[(&str, Heard)] = &[
    ("PORT 10,1,0,2,4,1\r\n", Pass),
    ("PORT 253,0,0,1,4,1\r\n", Port(1025)),
    ("PORT 253,0,0,2,4,1\r\n", Pass),
    ("EPRT |2|fd00:1::2|1025|\r\n", Port(1025)),
    ("EPRT |2|fd00:1:0::2|1025|\r\n", Port(1025)),
    ("EPRT |2|FD00:1:0:0:0:0:0:2|1025|\r\n", Port(1025)),
    ("EPRT |2|fd00:1::3|1025|\r\n", Pass),
    ("EPRT |1|10.1.0.2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::2%eth0|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0.0.0.2|1025|\r\n", Port(1025)),
    ("EPRT |2|fd00:1:::2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::2|1025\r\n", Drop),
    ("EPRT |2|fd00:1::2\r\n", Drop),
    ("EPRT |2||1025|\r\n", Drop),
    ("EPRT |2|fd00:00001::2|1025|\r\n", Port(1025)),
    ("EPRT |2|fd00:1:0:0:0:0:0:0:2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1:0:0:0:0:0:2:|1025|\r\n", Drop),
    ("EPRT :2:fd00:1::2:1025:\r\n", Drop),
    (" EPRT |2|fd00:1::2|1025|\r\n", Pass),
    ("EPRT |2|::fd00:1|1025|\r\n", Pass),
    ("EPRT |2|fd00:1:0:0:0:0:2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::02|1025|\r\n", Port(1025)),
    ("EPRT |2|0xfd00:1::2|1025|\r\n", Drop),
    ("EPRT |2|fd00:10001::2|1025|\r\n", Drop),
    ("EPRT |2|fd00:0000000000001::2|1025|\r\n", Port(1025)),
    ("EPRT |2|1fd00:1::2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0x2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::|1025|\r\n", Pass),
    ("EPRT |2|::2|1025|\r\n", Pass),
    ("EPRT |2|fd00:1:0:0:0:0:0.0.0.2|1025|\r\n", Port(1025)),
    ("EPRT |2|fd00:1:0:0:0:0:0:0.0.0.2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0.0.0.02|1025|\r\n", Port(1025)),
    ("EPRT |2|fd00:1::0.0.2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0.0.0.256|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0.0.0.2.0|1025|\r\n", Drop),
    ("EPRT |2|fd00::1:0:0:0:0:0:2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1:0:0:0:0:0::2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0:0:0:0:0:2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1:0:0:0:0::0:2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0:2|1025|\r\n", Port(1025)),
    ("EPRT |2|::fd00:1:0:0:0:0:0:2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1:0:0:0:0:0:2::|1025|\r\n", Drop),
    ("EPRT |2|:fd00:1::2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::2:|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::2 |1025|\r\n", Drop),
    ("EPRT |2|fd00:1: :2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::12.2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::g|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::2::|1025|\r\n", Drop),
    ("EPRT |2||1025|\r\n", Drop),
    ("EPRT |2|fd00|1025|\r\n", Drop),
    ("EPRT |2|fd00:1:2|1025|\r\n", Drop),
    ("EPRT |2|::|1025|\r\n", Pass),
    ("EPRT |2|fd00:1::2/64|1025|\r\n", Drop),
    ("EPRT |2|[fd00:1::2]|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::000000000.0.0.2|1025|\r\n", Port(1025)),
    ("EPRT |2|fd00:1::00000000.00000.0000.00002|1025|\r\n", Port(1025)),
    ("EPRT |2|0.0.0.2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::2.|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::.2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0.0.0.0.2|1025|\r\n", Drop),
    ("EPRT |2|fd00:1::0000000000000000000000000002|1025|\r\n", Port(1025)),
];

const SERVER_IPV6: &[(&str, Heard)] = &[
    ("227 Entering Passive Mode (10,2,0,2,4,1).\r\n", Pass),
    ("227 (253,0,0,2,4,1)\r\n", Port(1025)),
    ("229 Entering Extended Passive Mode (|||1025|)\r\n", Port(1025)),
    ("229 (|2||1025|)\r\n", Drop),
    ("229 (|||1025)\r\n", Drop),
];

/// A control connection on which greeting and user name have been said.
struct Control {
    wire: Wire,
    peers: Peers,
    /// Next sequence numbers, client's then server's.
    next: [u32; 2],
}

const CLIENT: u16 = 20_001;

impl Control {
    fn new(client: &str, server: &str) -> Self {
        let mut wire = Wire::new();
        wire.template.helper =
            super::super::Instance::named("ftp", keepstate_packet::Family::V4, 6);
        let peers = Peers::new(client, server);
        let mut control = Self { wire, peers, next: [1000, 9000] };
        control.send(Original, SYN, b"").expect("SYN");
        control.send(Reply, SYN | ACK, b"").expect("SYN-ACK");
        control.send(Original, ACK, b"").expect("ACK");
        control.say(Reply, b"220 hi\r\n").expect("greeting");
        control.say(Original, b"USER x\r\n").expect("user name");
        control
    }

    fn say(&mut self, direction: Direction, line: &[u8]) -> Result<Tracked, Refused> {
        self.send(direction, PSH | ACK, line)
    }

    fn send(&mut self, direction: Direction, flags: u8, data: &[u8]) -> Result<Tracked, Refused> {
        let [client, server] = self.next;
        let taken = data.len() as u32 + u32::from(flags & SYN != 0);
        let packet = match direction {
            Original => {
                self.next[0] += taken;
                self.peers.tcp((CLIENT, 21), flags, (client, server), data)
            }
            Reply => {
                self.next[1] += taken;
                self.peers.turned().tcp((21, CLIENT), flags, (server, client), data)
            }
        };
        self.wire.send(&packet)
    }

    fn heard(&mut self, direction: Direction, line: &[u8]) -> Heard {
        if self.say(direction, line).is_err() {
            return Drop;
        }
        let expected = self.wire.table.expectations(self.wire.now);
        expected.first().map_or(Pass, |e| Port(e.original.destination_port))
    }

    fn expected_ports(&self) -> Vec<u16> {
        let expected = self.wire.table.expectations(self.wire.now);
        expected.iter().map(|e| e.original.destination_port).collect()
    }
}

#[test]
fn lines_are_heard_as_the_kernel_hears_them() {
    let ipv4 = ("10.1.0.2", "10.2.0.2");
    let ipv6 = ("fd00:1::2", "fd00:2::2");
    let tables = [
        (ipv4, Original, CLIENT_IPV4),
        (ipv4, Reply, SERVER_IPV4),
        (ipv6, Original, CLIENT_IPV6),
        (ipv6, Reply, SERVER_IPV6),
    ];
    for ((client, server), direction, table) in tables {
        for (line, heard) in table {
            let mut control = Control::new(client, server);
            assert_eq!(control.heard(direction, line.as_bytes()), *heard, "{direction:?} {line:?}");
        }
    }
}

#[test]
fn what_is_expected_comes_from_the_other_side_and_from_any_port() {
    let mut control = Control::new("10.1.0.2", "10.2.0.2");
    control.say(Original, b"PORT 10,1,0,2,4,1\r\n").expect("it passes");
    let expected = control.wire.table.expectations(control.wire.now);
    let [expectation] = expected.as_slice() else { panic!("{expected:?}") };
    assert_eq!(expectation.helper, Some(crate::helpers::Name::usual("ftp")));
    assert_eq!(expectation.timeout, Some(Duration::from_secs(300)));
    assert_eq!((expectation.original.source_port, expectation.reply.source_port), (0, 0));
    assert_eq!(expectation.reply.destination_port, 65535);
    assert_eq!(expectation.master.map(|master| master.source_port), Some(CLIENT));
}

#[test]
fn a_later_announcement_takes_the_place_of_the_earlier() {
    assert_eq!(HELPERS[0].policies[0].max, 1);
    let mut control = Control::new("10.1.0.2", "10.2.0.2");
    for port in [1, 2, 2, 3] {
        let line = std::format!("PORT 10,1,0,2,4,{port}\r\n");
        control.say(Original, line.as_bytes()).expect("it passes");
        assert_eq!(control.expected_ports(), [1024 + port]);
    }
}

#[test]
fn only_where_a_line_begins() {
    let mut control = Control::new("10.1.0.2", "10.2.0.2");
    control.say(Original, b"NO").expect("it passes");
    assert_eq!(control.heard(Original, b"PORT 10,1,0,2,4,1\r\n"), Pass);
    assert_eq!(control.heard(Original, b"PORT 10,1,0,2,4,1\r\n"), Port(1025));
}

#[test]
fn a_dropped_part_is_read_when_it_is_repeated_whole() {
    let mut control = Control::new("10.1.0.2", "10.2.0.2");
    let next = control.next;
    assert_eq!(control.heard(Original, b"PORT 10,1,"), Drop);
    control.next = next;
    assert_eq!(control.heard(Original, b"PORT 10,1,0,2,4,1\r\n"), Port(1025));
}
