//! A control connection for the tests of what hangs on one: 10.1.0.2:20001 to 10.2.0.2:21.

use crate::helpers::Instance;
use crate::testing::{Peers, Wire};
use crate::tuple::Tuple;
use keepstate_packet::tcp::{ACK, PROTOCOL, PSH, SYN};
use keepstate_packet::{Address, Family};

const CLIENT: u16 = 20_001;
const GREETING: &[u8] = b"220 hi\r\n";
const NAME: &[u8] = b"USER x\r\n";
/// Length of what [`port`] says.
const PORT_LENGTH: u32 = 19;

/// Opens it, up to the first line of each side.
pub(crate) fn control(wire: &mut Wire) -> Tuple {
    control_of(wire, Instance::named("ftp", Family::V4, PROTOCOL))
}

/// Opens it for an instance of the helper.
pub(crate) fn control_of(wire: &mut Wire, helper: Option<Instance>) -> Tuple {
    wire.template.helper = helper;
    let client = Peers::new("10.1.0.2", "10.2.0.2");
    let server = client.turned();
    let packets = [
        client.tcp((CLIENT, 21), SYN, (1000, 0), b""),
        server.tcp((21, CLIENT), SYN | ACK, (9000, 1001), b""),
        client.tcp((CLIENT, 21), ACK, (1001, 9001), b""),
        server.tcp((21, CLIENT), PSH | ACK, (9001, 1001), GREETING),
        client.tcp((CLIENT, 21), PSH | ACK, (1001, 9009), NAME),
    ];
    for packet in packets {
        wire.send(&packet).expect("it arrives");
    }
    wire.template.helper = None;
    Tuple {
        source: Address::v4([10, 1, 0, 2]),
        destination: Address::v4([10, 2, 0, 2]),
        source_port: CLIENT,
        destination_port: 21,
        protocol: PROTOCOL,
        family: Family::V4,
    }
}

/// Announces a port from 1024 to 1033; the first one with 1025, the others in the order of their
/// numbers.
pub(crate) fn port(wire: &mut Wire, port: u16) {
    let line = std::format!("PORT 10,1,0,2,4,{}\r\n", port - 1024);
    assert_eq!(line.len(), PORT_LENGTH as usize);
    let sequence = 1009 + PORT_LENGTH * u32::from(port - 1025);
    let peers = Peers::new("10.1.0.2", "10.2.0.2");
    let packet = peers.tcp((CLIENT, 21), PSH | ACK, (sequence, 9009), line.as_bytes());
    wire.send(&packet).expect("it arrives");
}
