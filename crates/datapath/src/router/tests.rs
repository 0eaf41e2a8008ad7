//! A router between three links in memory, with stations on them.

use super::*;
use crate::memory::Segments;
use crate::run::run;
use keepstate_engine::{Forwarding, Host, Interface, Route};
use keepstate_packet::{InterfaceName, Parsed, arp as words, checksum};

const INSIDE: usize = 0;
const OUTSIDE: usize = 1;
const SECOND: u64 = 1_000_000_000;
const V4: Family = Family::V4;
const V6: Family = Family::V6;

const CLIENT: Hardware = [2, 0, 0, 0, 1, 2];
const GATEWAY: Hardware = [2, 0, 0, 0, 2, 0xfe];
const CLIENT_V4: [u8; 4] = [10, 0, 1, 2];
const FAR_V4: [u8; 4] = [198, 51, 100, 9];
const GATEWAY_V4: [u8; 4] = [10, 0, 2, 254];

fn own(link: usize) -> Hardware {
    [2, 0, 0, 0, link as u8 + 1, 1]
}

fn v6(net: u8, last: u8) -> Address {
    Address::v6([0xfd, 0, 0, 0, 0, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, last])
}

fn network(family: Family, address: Address, prefix: u8) -> Network {
    Network { family, address, prefix }
}

fn host() -> Host {
    let interface = |name, net| Interface {
        addresses: vec![network(V4, Address::v4([10, 0, net, 1]), 24), network(V6, v6(net, 1), 64)],
        ..Interface::new(InterfaceName::new(name).expect("a name"), 1500)
    };
    let interfaces = vec![interface("in", 1), interface("out", 2), interface("dmz", 3)];
    let mut host = Host::new(interfaces, Forwarding::Router);
    host.answers_echo = true;
    let to_all = network(V4, Address::default(), 0);
    let out = InterfaceIndex(OUTSIDE as u16);
    let gateway = Some(Address::v4(GATEWAY_V4));
    host.routes.push(Route { gateway, ..Route::new(to_all, out) });
    host
}

struct Bed {
    engine: Engine,
    router: Router<Segments>,
}

impl Bed {
    fn new() -> Self {
        Self::of(host(), Local::Router, Vec::new())
    }

    fn of(host: Host, local: Local, proxied: Vec<Network>) -> Self {
        let count = host.interfaces.len();
        let port = |link| Port { hardware: own(link), proxied: proxied.clone() };
        let ports = (0..count).map(port).collect();
        let config = Config { ports, local, neighbours: Vec::new(), seed: 1 };
        let engine = Engine::new([1, 2], host, Default::default(), Vec::new());
        let mut bed = Self { engine, router: Router::new(Segments::new(count), config) };
        bed.router.has_announced = true;
        bed
    }

    /// Frames come in now; what leaves until so many seconds later.
    fn pass(&mut self, frames: &[(usize, Vec<u8>)], seconds: u64) -> Vec<(usize, Vec<u8>)> {
        let links = self.router.links_mut();
        let now = links.now();
        for (link, frame) in frames {
            links.queue(now, *link, frame.clone());
        }
        links.last_until(now.plus(Duration::from_nanos(seconds * SECOND + 1)));
        run(&mut self.engine, &mut self.router, &mut ()).expect("memory");
        let sent = std::mem::take(&mut self.router.links_mut().sent);
        sent.into_iter().map(|(_, link, frame, _)| (link, frame)).collect()
    }
}

fn framed(from: Hardware, to: Hardware, packet: &[u8]) -> Vec<u8> {
    let mut frame = outbox::header(from, to, packet).to_vec();
    frame.extend_from_slice(packet);
    frame
}

fn udp(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0];
    packet.extend(source);
    packet.extend(destination);
    checksum::fill_ipv4_header(&mut packet);
    packet.extend([0x30, 0x39, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
    packet
}

fn echo(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 32, 0, 7, 0, 0, 64, 1, 0, 0];
    packet.extend(source);
    packet.extend(destination);
    checksum::fill_ipv4_header(&mut packet);
    let mut message = vec![8, 0, 0, 0, 0, 1, 0, 1, 9, 9, 9, 9];
    let sum = checksum::compute(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    packet.extend(message);
    packet
}

fn reply_of(hardware: Hardware, address: [u8; 4], to: Hardware, asked: [u8; 4]) -> Vec<u8> {
    let (is_request, sender) = (true, asked);
    let heard = Heard { is_request, hardware: to, sender, target: address };
    arp::reply(hardware, &heard).to_vec()
}

#[test]
fn a_packet_goes_to_the_gateway_of_its_route_once_it_is_known() {
    let mut bed = Bed::new();
    let packet = udp(CLIENT_V4, FAR_V4);
    let frames = [(INSIDE, framed(CLIENT, own(INSIDE), &packet))];
    let asked = arp::request(own(OUTSIDE), [10, 0, 2, 1], GATEWAY_V4, None).to_vec();
    assert_eq!(bed.pass(&frames, 0), [(OUTSIDE, asked)]);
    let reply = reply_of(GATEWAY, GATEWAY_V4, own(OUTSIDE), [10, 0, 2, 1]);
    let sent = bed.pass(&[(OUTSIDE, reply)], 0);
    let [(OUTSIDE, frame)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(frame[..14], outbox::header(own(OUTSIDE), GATEWAY, &packet));
    assert_eq!(frame[14 + 8], 63, "the TTL");
    assert_eq!(frame[14 + 12..], packet[12..]);
    // The next one does not wait, and gets rid of what the link layer had appended.
    let mut padded = framed(CLIENT, own(INSIDE), &packet);
    padded.resize(60, 0xee);
    let sent = bed.pass(&[(INSIDE, padded)], 0);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.len(), 14 + packet.len());
}

#[test]
fn the_sender_is_told_of_a_neighbour_that_does_not_answer() {
    let mut bed = Bed::new();
    // The client is known, because it asks first.
    let asks = arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec();
    let sent = bed.pass(&[(INSIDE, asks)], 0);
    assert_eq!(sent, [(INSIDE, reply_of(own(INSIDE), [10, 0, 1, 1], CLIENT, CLIENT_V4))]);
    let packet = udp(CLIENT_V4, [10, 0, 3, 77]);
    let sent = bed.pass(&[(INSIDE, framed(CLIENT, own(INSIDE), &packet))], 4);
    let asked = arp::request(own(2), [10, 0, 3, 1], [10, 0, 3, 77], None).to_vec();
    assert_eq!(sent[..3], vec![(2, asked); 3]);
    let [(INSIDE, error)] = &sent[3..] else { panic!("{sent:?}") };
    assert_eq!(error[..14], outbox::header(own(INSIDE), CLIENT, &error[14..]));
    assert_eq!(error[14 + 12..14 + 16], [10, 0, 1, 1]);
    assert_eq!(error[14 + 20..14 + 22], [3, 1], "host unreachable");
    assert_eq!(error[14 + 28 + 16..14 + 28 + 20], [10, 0, 3, 77]);
    assert_eq!(bed.router.counts().neighbours.failed, 1);
}

#[test]
fn the_sender_over_ipv6_is_told_as_well() {
    let mut bed = Bed::new();
    let (client, nobody) = (v6(1, 2), v6(3, 0x77));
    let asks = discovery::ask(CLIENT, client, v6(1, 1), false);
    let sent = bed.pass(&[(INSIDE, framed(CLIENT, own(INSIDE), &asks))], 0);
    let [(INSIDE, answer)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(answer[14..], discovery::answer(own(INSIDE), Some(client), v6(1, 1), true));
    let mut packet = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
    packet.extend(client.0);
    packet.extend(nobody.0);
    packet.extend([0x30, 0x39, 0, 53, 0, 8, 0, 1]);
    let sent = bed.pass(&[(INSIDE, framed(CLIENT, own(INSIDE), &packet))], 4);
    let asked = discovery::ask(own(2), v6(3, 1), nobody, false);
    let [.., c] = asked[24..40] else { panic!() };
    let asked = framed(own(2), [0x33, 0x33, 0xff, 0, 0, c], &asked);
    assert_eq!(sent[..3], vec![(2, asked); 3]);
    let [(INSIDE, error)] = &sent[3..] else { panic!("{sent:?}") };
    assert_eq!(error[14 + 40..14 + 42], [1, 3], "address unreachable");
    let parsed = Parsed::new(&error[14..]).expect("a packet");
    assert_eq!((parsed.source, parsed.destination), (v6(1, 1), client));
}

#[test]
fn echo_is_answered_and_what_comes_to_all_is_not_forwarded() {
    let mut bed = Bed::new();
    let asks = arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec();
    bed.pass(&[(INSIDE, asks)], 0);
    // The address of another link is the router's own as well.
    for address in [[10, 0, 1, 1], [10, 0, 2, 1]] {
        let request = echo(CLIENT_V4, address);
        let sent = bed.pass(&[(INSIDE, framed(CLIENT, own(INSIDE), &request))], 0);
        let [(INSIDE, reply)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(reply[14 + 12..14 + 20], [address, CLIENT_V4].concat());
        assert_eq!(reply[14 + 20], 0);
        assert_eq!(reply[14 + 24..], request[24..]);
        let parsed = Parsed::new(&reply[14..]).expect("a packet");
        assert_eq!(checksum::verify(&parsed, &reply[14..]), checksum::Verified::Valid);
    }
    let mut wrong = echo(CLIENT_V4, [10, 0, 1, 1]);
    wrong[31] ^= 1;
    assert_eq!(bed.pass(&[(INSIDE, framed(CLIENT, own(INSIDE), &wrong))], 0), []);
    let to_broadcast = echo(CLIENT_V4, [10, 0, 1, 255]);
    assert_eq!(bed.pass(&[(INSIDE, framed(CLIENT, arp::BROADCAST, &to_broadcast))], 0), []);
    // One host's packet in a frame for all: nobody forwards it.
    let packet = udp(CLIENT_V4, [10, 0, 3, 7]);
    assert_eq!(bed.pass(&[(INSIDE, framed(CLIENT, arp::BROADCAST, &packet))], 0), []);
    // A frame to another station.
    assert_eq!(bed.pass(&[(INSIDE, framed(CLIENT, GATEWAY, &packet))], 0), []);
    assert_eq!(bed.router.counts().others, 1);
}

#[test]
fn requests_for_others_are_answered_where_that_is_wanted() {
    let proxied = vec![network(V4, Address::v4([10, 0, 1, 64]), 28), network(V6, v6(1, 0x40), 124)];
    let mut bed = Bed::of(host(), Local::Router, proxied);
    let asks = |target| arp::request(CLIENT, CLIENT_V4, target, None).to_vec();
    let answer = |target| (INSIDE, reply_of(own(INSIDE), target, CLIENT, CLIENT_V4));
    assert_eq!(bed.pass(&[(INSIDE, asks([10, 0, 1, 64]))], 0), [answer([10, 0, 1, 64])]);
    assert_eq!(bed.pass(&[(INSIDE, asks([10, 0, 1, 79]))], 0), [answer([10, 0, 1, 79])]);
    assert_eq!(bed.pass(&[(INSIDE, asks([10, 0, 1, 80]))], 0), []);
    // Who tells of itself is not answered, and a probe is.
    let tells = arp::announcement(CLIENT, [10, 0, 1, 65]).to_vec();
    assert_eq!(bed.pass(&[(INSIDE, tells)], 0), []);
    let probes = arp::request(CLIENT, [0; 4], [10, 0, 1, 65], None).to_vec();
    let sent = bed.pass(&[(INSIDE, probes)], 0);
    assert_eq!(sent, [(INSIDE, reply_of(own(INSIDE), [10, 0, 1, 65], CLIENT, [0; 4]))]);
    let asks = |target| {
        let asks = discovery::ask(CLIENT, v6(1, 2), target, false);
        framed(CLIENT, [0x33, 0x33, 0xff, 0, 0, target.0[15]], &asks)
    };
    let sent = bed.pass(&[(INSIDE, asks(v6(1, 0x4f)))], 0);
    let [(INSIDE, answer)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(answer[14..], discovery::answer(own(INSIDE), Some(v6(1, 2)), v6(1, 0x4f), false));
    assert_eq!(bed.pass(&[(INSIDE, asks(v6(1, 0x50)))], 0), []);
}

#[test]
fn probes_for_own_addresses_are_answered() {
    let mut bed = Bed::new();
    let probe = arp::request(CLIENT, [0; 4], [10, 0, 1, 1], None).to_vec();
    let sent = bed.pass(&[(INSIDE, probe)], 0);
    assert_eq!(sent, [(INSIDE, reply_of(own(INSIDE), [10, 0, 1, 1], CLIENT, [0; 4]))]);
    assert_eq!(bed.router.neighbour_count(), 0, "nobody is at 0.0.0.0");
    // Who says to have an address of the router itself is no neighbour.
    let thief = arp::announcement(CLIENT, [10, 0, 1, 1]).to_vec();
    assert_eq!(bed.pass(&[(INSIDE, thief)], 0), []);
    // Nor is one that does not belong on this link.
    let stranger = arp::request(CLIENT, [10, 0, 2, 9], [10, 0, 1, 1], None).to_vec();
    assert_eq!(bed.pass(&[(INSIDE, stranger)], 0), []);
    assert_eq!(bed.router.neighbour_count(), 0);
}

#[test]
fn a_kernel_that_has_the_addresses_answers_for_them() {
    let mut host = host();
    host.answers_echo = false;
    let mut bed = Bed::of(host, Local::Kernel, Vec::new());
    let asks = arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec();
    let solicits = discovery::ask(CLIENT, v6(1, 2), v6(1, 1), false);
    let solicits = framed(CLIENT, own(INSIDE), &solicits);
    let request = framed(CLIENT, own(INSIDE), &echo(CLIENT_V4, [10, 0, 1, 1]));
    let frames = [(INSIDE, asks), (INSIDE, solicits), (INSIDE, request)];
    assert_eq!(bed.pass(&frames, 0), []);
    assert_eq!(bed.router.neighbour_count(), 2, "but who asks is learned");
}

#[test]
fn a_router_tells_where_it_is() {
    let mut bed = Bed::new();
    bed.router.has_announced = false;
    let sent = bed.pass(&[], 0);
    for (link, net) in [(0, 1), (1, 2), (2, 3)] {
        let told = arp::announcement(own(link), [10, 0, net, 1]).to_vec();
        assert!(sent.contains(&(link, told)));
        let told = discovery::answer(own(link), None, v6(net, 1), true);
        assert!(sent.contains(&(link, framed(own(link), [0x33, 0x33, 0, 0, 0, 1], &told))));
    }
    assert_eq!(sent.len(), 6);
    assert_eq!(bed.pass(&[], 1), []);
}

#[test]
fn unfinished_checksums_are_unfinished_for_the_addresses_that_leave() {
    let mut bed = Bed::new();
    let key = |address| Key { interface: InterfaceIndex(2), family: V4, address };
    bed.router.neighbours.declare(key(Address::v4([10, 0, 3, 9])), GATEWAY);
    let mut packet = udp(CLIENT_V4, [10, 0, 3, 9]);
    let parsed = Parsed::new(&packet).expect("a packet");
    let sum = checksum::Sum::pseudo_header(&parsed, 17, 12).folded().to_be_bytes();
    packet[26..28].copy_from_slice(&sum);
    let mut offload = [0; OFFLOAD_LENGTH];
    offload[0] = offload::NEEDS_CHECKSUM;
    [offload[6], offload[7]] = 34_u16.to_ne_bytes();
    [offload[8], offload[9]] = 6_u16.to_ne_bytes();
    let links = bed.router.links_mut();
    let now = links.now();
    links.queue_offloaded(now, INSIDE, framed(CLIENT, own(INSIDE), &packet), offload);
    run(&mut bed.engine, &mut bed.router, &mut ()).expect("memory");
    let [(_, 2, frame, left)] = &bed.router.links().sent[..] else { panic!() };
    assert_eq!(*left, offload);
    assert_eq!(frame[14 + 26..14 + 28], sum);
}

#[test]
fn a_packet_that_a_device_cuts_into_segments_passes_whole_when_those_fit() {
    let mut bed = Bed::new();
    let key = |address| Key { interface: InterfaceIndex(2), family: V4, address };
    bed.router.neighbours.declare(key(Address::v4([10, 0, 3, 9])), GATEWAY);
    bed.pass(&[(INSIDE, arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec())], 0);
    let large = |size: u16| {
        let mut packet = vec![0x45, 0, 0x20, 0, 0, 1, 0x40, 0, 64, 6, 0, 0];
        packet.extend(CLIENT_V4);
        packet.extend([10, 0, 3, 9]);
        checksum::fill_ipv4_header(&mut packet);
        packet.extend([0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        packet.resize(0x2000, 7);
        let mut offload = [0; OFFLOAD_LENGTH];
        (offload[0], offload[1]) = (offload::NEEDS_CHECKSUM, 1);
        [offload[4], offload[5]] = size.to_ne_bytes();
        [offload[6], offload[7]] = 34_u16.to_ne_bytes();
        [offload[8], offload[9]] = 16_u16.to_ne_bytes();
        (framed(CLIENT, own(INSIDE), &packet), offload)
    };
    let mut pass = |size| {
        let (frame, offload) = large(size);
        let links = bed.router.links_mut();
        let now = links.now();
        links.queue_offloaded(now, INSIDE, frame, offload);
        run(&mut bed.engine, &mut bed.router, &mut ()).expect("memory");
        std::mem::take(&mut bed.router.links_mut().sent)
    };
    let sent = pass(1460);
    let [(_, 2, frame, offload)] = &sent[..] else { panic!("{}", sent.len()) };
    assert_eq!((frame.len(), *offload), (14 + 0x2000, large(1460).1));
    let sent = pass(1461);
    let [(_, INSIDE, error, _)] = &sent[..] else { panic!("{}", sent.len()) };
    assert_eq!(error[14 + 20..14 + 22], [3, 4], "fragmentation needed");
    assert_eq!(error[14 + 26..14 + 28], 1500_u16.to_be_bytes());
}

#[test]
fn a_link_that_goes_down_takes_its_neighbours_along() {
    let mut bed = Bed::new();
    let asks = arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec();
    bed.pass(&[(INSIDE, asks)], 0);
    assert_eq!(bed.router.neighbour_count(), 1);
    bed.router.links_mut().take_down(OUTSIDE);
    bed.pass(&[], 0);
    assert_eq!(bed.router.neighbour_count(), 1);
    bed.router.links_mut().take_down(INSIDE);
    bed.pass(&[], 0);
    assert_eq!(bed.router.neighbour_count(), 0);
}

#[test]
fn no_more_senders_are_told_at_once_than_are_to_be() {
    let mut bed = Bed::new();
    bed.pass(&[(INSIDE, arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec())], 0);
    let each = neighbours::WAITING_MAX;
    let stations = REPORTS_MAX / each + 1;
    let packets = (0..stations * each).map(|number| {
        let packet = udp(CLIENT_V4, [10, 0, 3, 100 + (number / each) as u8]);
        (INSIDE, framed(CLIENT, own(INSIDE), &packet))
    });
    let sent = bed.pass(&packets.collect::<Vec<_>>(), 4);
    assert_eq!(sent.iter().filter(|(link, _)| *link == INSIDE).count(), REPORTS_MAX);
    assert_eq!(bed.router.counts().neighbours.failed, stations as u64);
}

/// Whatever comes in, the router goes on, and its table stays within its bounds.
#[test]
fn hostile_frames_do_no_harm() {
    let mut bed = Bed::new();
    let mut random = 3_u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let seeds = [
        arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec(),
        reply_of(GATEWAY, GATEWAY_V4, own(OUTSIDE), [10, 0, 2, 1]),
        framed(CLIENT, own(INSIDE), &discovery::ask(CLIENT, v6(1, 2), v6(1, 1), false)),
        framed(CLIENT, own(INSIDE), &discovery::answer(CLIENT, Some(v6(1, 1)), v6(1, 2), true)),
        framed(CLIENT, own(INSIDE), &udp(CLIENT_V4, FAR_V4)),
        framed(CLIENT, own(INSIDE), &echo(CLIENT_V4, [10, 0, 1, 1])),
    ];
    for _ in 0..300 {
        let frames: Vec<_> = (0..40)
            .map(|_| {
                let mut frame = seeds[draw(seeds.len() as u64) as usize].clone();
                for _ in 0..draw(4) {
                    let at = draw(frame.len() as u64) as usize;
                    frame[at] = draw(256) as u8;
                }
                frame.truncate(draw(frame.len() as u64 * 2) as usize);
                (draw(3) as usize, frame)
            })
            .collect();
        bed.pass(&frames, draw(3));
        assert!(bed.router.neighbour_count() <= neighbours::NEIGHBOURS_MAX);
    }
    // It still works.
    let asks = arp::request(CLIENT, CLIENT_V4, [10, 0, 1, 1], None).to_vec();
    assert_eq!(bed.pass(&[(INSIDE, asks)], 0).len(), 1);
    assert_eq!(words::LENGTH, 28);
}
