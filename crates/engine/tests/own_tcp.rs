//! What the host's own TCP answers to segments that no socket takes, against what Linux 6.18 sent.

mod traffic;

use keepstate_conntrack::Sysctls;
use keepstate_engine::{Engine, Forwarding, Host, Interface, InterfaceIndex, Network, Packet};
use keepstate_packet::checksum::Sum;
use keepstate_packet::tcp::{ACK, FIN, PSH, RST, SYN};
use keepstate_packet::{Address, Family, LinkInfo, PacketType};
use keepstate_ruleset::evaluate::{End, Socket};
use traffic::{START, name, rules, tcp_whole};

const PEER: ([u8; 4], u16) = ([10, 0, 0, 2], 1234);
const HOST: ([u8; 4], u16) = ([10, 0, 0, 1], 99);

fn host() -> Host {
    let mut interface = Interface::new(name("eth0"), 1500);
    let v4 = Network { family: Family::V4, address: Address::v4(HOST.0), prefix: 24 };
    let mut octets = [0; 16];
    (octets[0], octets[15]) = (0xfd, 1);
    let v6 = Network { family: Family::V6, address: Address::v6(octets), prefix: 64 };
    interface.addresses = vec![v4, v6];
    let mut host = Host::new(vec![interface], Forwarding::Router);
    (host.answers_tcp, host.is_declared) = (true, true);
    host
}

fn engine(host: Host) -> Engine {
    Engine::new([1, 2], host, Sysctls::default(), Vec::new())
}

/// What the host answers, in hexadecimal.
fn answer_by(engine: &mut Engine, mut bytes: Vec<u8>, link: LinkInfo) -> Option<String> {
    let interface = Some(InterfaceIndex(0));
    let packet = Packet { bytes: &mut bytes, interface, family: None, link, mark: 0 };
    let disposition = engine.handle_packet(START, packet);
    assert!(disposition.is_delivered());
    let sent = engine.poll_transmit()?;
    assert_eq!((sent.interface, engine.poll_transmit()), (InterfaceIndex(0), None));
    Some(sent.bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn answer(bytes: Vec<u8>) -> Option<String> {
    answer_by(&mut engine(host()), bytes, LinkInfo::default())
}

fn segment(flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    tcp_whole(PEER, HOST, flags, (1000, 2000), options, data)
}

fn with_tos(mut bytes: Vec<u8>, tos: u8) -> Vec<u8> {
    bytes[1] = tos;
    bytes[10..12].fill(0);
    let sum = Sum::ZERO.bytes(&bytes[..20]).checksum();
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn over_ipv4_as_linux_does() {
    const HEAD: &str = "4500002800004000400626ce0a0000010a000002006304d2";
    let timestamps = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7];
    for (what, bytes, expected) in [
        ("SYN", segment(SYN, &[], &[]), "00000000000003e95014000092b00000"),
        ("ACK", segment(ACK, &[], &[]), "000007d000000000500400008ed90000"),
        ("data", segment(ACK | PSH, &[], b"hello"), "000007d000000000500400008ed90000"),
        ("no flag", segment(0, &[], &[]), "00000000000003e85014000092b10000"),
        ("FIN", segment(FIN, &[], &[]), "00000000000003e95014000092b00000"),
        ("data without ACK", segment(PSH, &[], b"hello"), "00000000000003ed5014000092ac0000"),
        ("SYN FIN", segment(SYN | FIN, &[], &[]), "00000000000003ea5014000092af0000"),
        ("SYN ACK", segment(SYN | ACK, &[], &[]), "000007d000000000500400008ed90000"),
        ("options", segment(ACK, &timestamps, &[]), "000007d000000000500400008ed90000"),
    ] {
        assert_eq!(answer(bytes), Some(format!("{HEAD}{expected}")), "{what}");
    }
    // The service class comes back, what the network has to say of congestion does not.
    let marked = answer(with_tos(segment(SYN, &[], &[]), 0xb9));
    let expected = "45b8002800004000400626160a0000010a000002006304d2";
    assert_eq!(marked, Some(format!("{expected}00000000000003e95014000092b00000")));
}

#[test]
fn over_ipv6_as_linux_does_but_for_the_flow_label() {
    let segment = |flags: u8, class: u8| {
        let mut bytes = vec![0x60 | class >> 4, class << 4, 0, 0, 0, 20, 6, 64];
        let [mut peer, mut own] = [[0; 16]; 2];
        (peer[0], peer[15], own[0], own[15]) = (0xfd, 2, 0xfd, 1);
        bytes.extend(peer);
        bytes.extend(own);
        let mut l4 = vec![0x04, 0xd2, 0, 99, 0, 0, 3, 0xe8, 0, 0, 7, 0xd0, 0x50, flags];
        l4.extend([2, 0, 0, 0, 0, 0]);
        let sum = Sum::ZERO.bytes(&peer).bytes(&own).number(20).number(6).bytes(&l4).checksum();
        l4[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes.extend(l4);
        bytes
    };
    const ENDS: &str = "fd000000000000000000000000000001fd000000000000000000000000000002006304d2";
    let expected = |head: &str, rest: &str| Some(format!("{head}000000140640{ENDS}{rest}"));
    let syn = "00000000000003e950140000acae0000";
    assert_eq!(answer(segment(SYN, 0)), expected("6000", syn));
    assert_eq!(answer(segment(SYN, 0xb9)), expected("6b80", syn));
    assert_eq!(answer(segment(ACK, 0)), expected("6000", "000007d00000000050040000a8d70000"));
}

#[test]
fn silence() {
    let signature = [&[1, 1, 19, 18][..], &[0; 16]].concat();
    let mut damaged = segment(ACK, &[], &[]);
    damaged[36] ^= 1;
    for (what, bytes) in [
        ("a reset", segment(RST, &[], &[])),
        ("a wrong checksum", damaged),
        ("a signature", segment(ACK, &signature, &[])),
        ("to all", tcp_whole(PEER, ([10, 0, 0, 255], 99), ACK, (1, 2), &[], &[])),
    ] {
        assert_eq!(answer(bytes), None, "{what}");
    }
    // In a frame to all, whatever address stands in it.
    let link = LinkInfo { packet_type: PacketType::Broadcast, ..LinkInfo::default() };
    assert_eq!(answer_by(&mut engine(host()), segment(SYN, &[], &[]), link), None);
    let mut silent = host();
    silent.answers_tcp = false;
    let answer = answer_by(&mut engine(silent), segment(SYN, &[], &[]), LinkInfo::default());
    assert_eq!(answer, None, "unless it is asked for");
}

#[test]
fn what_a_socket_takes_is_its_own_business() {
    let mut host = host();
    host.sockets.push(Socket {
        protocol: 6,
        local: End { port: Some(99), ..End::default() },
        remote: None,
        uid: None,
        gid: None,
        groups: Vec::new(),
        cgroup: None,
        classid: None,
        is_transparent: false,
        mark: 0,
    });
    let mut engine = engine(host);
    let link = LinkInfo::default();
    assert_eq!(answer_by(&mut engine, segment(SYN, &[], &[]), link), None);
    let other = tcp_whole(PEER, (HOST.0, 98), SYN, (1000, 2000), &[], &[]);
    assert!(answer_by(&mut engine, other, link).is_some());
}

#[test]
fn the_reset_meets_the_rules_of_what_the_host_sends() {
    let source = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                  -A OUTPUT -p tcp -m tcp --sport 98 -j DROP\nCOMMIT\n";
    let mut engine = Engine::new([1, 2], host(), Sysctls::default(), vec![rules(source)]);
    let link = LinkInfo::default();
    let to = |port| tcp_whole(PEER, (HOST.0, port), SYN, (1000, 2000), &[], &[]);
    assert_eq!(answer_by(&mut engine, to(98), link), None);
    assert!(answer_by(&mut engine, to(99), link).is_some());
    // Tracking has seen both, and with them the end of what never was a connection.
    assert_eq!(engine.conntrack().connections(START).len(), 0);
}
