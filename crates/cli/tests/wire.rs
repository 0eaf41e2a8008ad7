//! A bump in the wire, with packets in memory: what passes, what is answered, and where to; and a router
//! whose rules send copies.

use keepstate_conntrack::Sysctls;
use keepstate_datapath::memory::{Memory, Segments};
use keepstate_datapath::router::{Config, Port, Router, neighbours::Key};
use keepstate_datapath::run;
use keepstate_engine::{Engine, Forwarding, Host, Interface, InterfaceIndex, Network};
use keepstate_packet::{Address, Family, Instant, InterfaceName, checksum};
use keepstate_ruleset::syntax::iptables_save;

const INSIDE: InterfaceIndex = InterfaceIndex(0);
const OUTSIDE: InterfaceIndex = InterfaceIndex(1);

const RULES: &str = "\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -i in0 -o out0 -p udp -m udp --dport 53 -j ACCEPT
-A FORWARD -i in0 -p udp -j REJECT --reject-with icmp-port-unreachable
COMMIT
";

fn engine() -> Engine {
    let name = |name| InterfaceName::new(name).expect("a name");
    let rules = iptables_save::parse(RULES, Family::V4).expect("rules");
    let host = Host::wire(name("in0"), name("out0"));
    Engine::new([1, 2], host, Sysctls::default(), vec![rules])
}

/// An Ethernet frame with a UDP packet without a checksum.
fn udp(source: [u8; 4], destination: [u8; 4], ports: [u16; 2]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let mut header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[12..16].copy_from_slice(&source);
    header[16..20].copy_from_slice(&destination);
    let sum = checksum::compute(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    frame.extend(header);
    frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
    frame.extend([0, 8, 0, 0]);
    frame
}

fn pass(engine: &mut Engine, frames: &[(InterfaceIndex, Vec<u8>)]) -> Memory {
    let mut memory = Memory::default();
    for (at, (interface, frame)) in frames.iter().enumerate() {
        memory.queue(Instant(1_000_000 * at as u64), *interface, frame.clone());
    }
    run(engine, &mut memory, &mut ()).expect("memory");
    memory
}

#[test]
fn packets_cross_unchanged_and_answers_come_back() {
    let query = udp([10, 0, 0, 1], [10, 0, 0, 2], [1025, 53]);
    let answer = udp([10, 0, 0, 2], [10, 0, 0, 1], [53, 1025]);
    let unasked = udp([10, 0, 0, 2], [10, 0, 0, 1], [53, 1026]);
    let frames = [(INSIDE, query.clone()), (OUTSIDE, answer.clone()), (OUTSIDE, unasked)];
    let memory = pass(&mut engine(), &frames);
    assert_eq!(
        memory.sent,
        [(Some(OUTSIDE), query[14..].to_vec()), (Some(INSIDE), answer[14..].to_vec())],
        "no TTL is counted down, and what nobody asked for goes nowhere"
    );
}

#[test]
fn a_rejected_packet_is_answered_where_it_came_from() {
    let frames = [(INSIDE, udp([10, 0, 0, 1], [10, 0, 0, 2], [1025, 69]))];
    let memory = pass(&mut engine(), &frames);
    let [(interface, error)] = &memory.sent[..] else { panic!("{:?}", memory.sent) };
    assert_eq!(*interface, Some(INSIDE));
    assert_eq!(error[9], 1, "ICMP");
    assert_eq!(error[16..20], [10, 0, 0, 1]);
    assert_eq!(error[20..22], [3, 3], "port unreachable");
    assert_eq!(error[28..48], frames[0].1[14..34], "with the header that was refused");
}

#[test]
fn what_is_no_ip_passes_whole() {
    let mut arp = vec![0xff; 6];
    arp.extend([2, 0, 0, 0, 0, 1, 8, 6]);
    arp.extend([0; 28]);
    let memory = pass(&mut engine(), &[(INSIDE, arp.clone())]);
    assert_eq!(memory.sent, [(None, arp)]);
}

#[test]
fn a_router_sends_copies_to_their_gateway() {
    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 2];
    let copy = "*mangle\n:PREROUTING ACCEPT [0:0]\n\
                -A PREROUTING -i in0 -j TEE --gateway 10.0.1.9\nCOMMIT\n";
    let rules = iptables_save::parse(copy, Family::V4).expect("rules");
    let interface = |name, octets| Interface {
        addresses: vec![Network { family: Family::V4, address: Address::v4(octets), prefix: 24 }],
        ..Interface::new(InterfaceName::new(name).expect("a name"), 1500)
    };
    let interfaces = vec![interface("in0", [10, 0, 0, 1]), interface("out0", [10, 0, 1, 1])];
    let host = Host::new(interfaces, Forwarding::Router);
    let mut engine = Engine::new([1, 2], host, Sysctls::default(), vec![rules]);
    let there = |last| {
        let address = Address::v4([10, 0, 1, last]);
        (Key { interface: OUTSIDE, family: Family::V4, address }, [2, 0, 0, 0, 1, last])
    };
    let port = Port { hardware: OWN, proxied: Vec::new() };
    let neighbours = vec![there(2), there(9)];
    let config = Config { ports: vec![port.clone(), port], neighbours, ..Config::default() };
    let mut segments = Segments::new(2);
    let packet = udp([10, 0, 0, 7], [10, 0, 1, 2], [1025, 53]);
    segments.queue(Instant(0), 0, packet.clone());
    let mut router = Router::new(segments, config);
    run(&mut engine, &mut router, &mut ()).expect("memory");
    let packets = router.links().sent.iter().filter(|(.., frame, _)| frame[12..14] == [8, 0]);
    let sent: Vec<_> = packets.map(|(_, link, frame, _)| (*link, &frame[..])).collect();
    let [(1, forwarded), (1, copied)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((&forwarded[..6], &copied[..6]), (&there(2).1[..], &there(9).1[..]));
    assert_eq!(forwarded[22], 63, "its TTL");
    // TTL and "don't fragment" are what Linux changes in a copy that is made before routing.
    assert_eq!(
        (copied[20..23].to_vec(), copied[26..].to_vec()),
        (vec![0x40, 0, 63], packet[26..].to_vec())
    );
}
