//! Frames on the links of a router, at any times: ARP, neighbour discovery, packets for neighbours that
//! are there or not. It goes on, its table keeps its bounds, and what it sends is whole and its own.
//!
//! Input: for each frame the link (bit 7: its ICMPv6 checksum is made right), the time since the one
//! before in units of 50 ms, the length (16 bits, little endian), the frame.
#![no_main]

use keepstate_datapath::memory::Segments;
use keepstate_datapath::router::{Config, Port, Router, arp, discovery, neighbours};
use keepstate_datapath::run;
use keepstate_engine::{Engine, Forwarding, Host, Interface, InterfaceIndex, Network, Route};
use keepstate_packet::checksum::Sum;
use keepstate_packet::{Address, Family, Instant, InterfaceName, Parsed};
use libfuzzer_sys::fuzz_target;

const LINKS: usize = 2;

fuzz_target!(|data: &[u8]| {
    let mut segments = Segments::new(LINKS);
    let (mut rest, mut now) = (data, Instant(0));
    while let Some((&[link, delay, low, high], tail)) = rest.split_first_chunk() {
        now = Instant(now.0 + u64::from(delay) * 50_000_000);
        let length = usize::from(u16::from_le_bytes([low, high])).min(tail.len());
        let mut frame = tail[..length].to_vec();
        if link & 0x80 != 0 {
            seal(&mut frame);
        }
        read(frame.get(14..).unwrap_or(&[]));
        segments.queue(now, usize::from(link & 0x7f) % LINKS, frame);
        rest = &tail[length..];
    }
    segments.last_until(Instant(now.0 + 4_000_000_000));
    let proxied = vec![network(Family::V4, v4(1, 64), 28), network(Family::V6, v6(1, 0x40), 124)];
    let port = |link| Port { hardware: own(link), proxied: proxied.clone() };
    let ports = (0..LINKS).map(port).collect();
    let mut router = Router::new(segments, Config { ports, seed: 1, ..Config::default() });
    let mut engine = Engine::new([1, 2], host(), Default::default(), Vec::new());
    run(&mut engine, &mut router, &mut ()).expect("memory");
    assert!(router.neighbour_count() <= neighbours::NEIGHBOURS_MAX);
    for (_, link, frame, _) in &router.links().sent {
        assert_eq!(frame[6..12], own(*link), "from the router");
        match frame[12..14] {
            [8, 6] => assert!(arp::Heard::read(&frame[14..]).is_some(), "ARP"),
            _ => assert!(Parsed::new(&frame[14..]).is_ok(), "a packet"),
        }
    }
});

/// What is read of a message is said again alike.
fn read(packet: &[u8]) {
    if let Some(heard) = arp::Heard::read(packet) {
        let reply = arp::reply(own(0), &heard);
        let again = arp::Heard::read(&reply[14..]).expect("a reply");
        assert_eq!((again.sender, again.target), (heard.target, heard.sender));
    }
    if let Some(discovery::Heard::Solicitation { sender, target, .. }) =
        discovery::Heard::read(packet)
    {
        let answer = discovery::answer(own(0), sender, target, true);
        // A group that asks is answered in vain.
        if sender.is_none_or(|sender| sender.0[0] != 0xff) {
            assert!(discovery::Heard::read(&answer).is_some());
        }
    }
}

fn seal(frame: &mut [u8]) {
    if frame.len() < 14 + 44 || frame[12..14] != [0x86, 0xdd] {
        return;
    }
    frame[56..58].fill(0);
    let length = (frame.len() - 54) as u16;
    let sum = Sum::ZERO.bytes(&frame[22..54]).number(length).number(58).bytes(&frame[54..]);
    let sum = sum.checksum().to_be_bytes();
    frame[56..58].copy_from_slice(&sum);
}

fn own(link: usize) -> [u8; 6] {
    [2, 0, 0, 0, link as u8 + 1, 1]
}

fn v4(net: u8, last: u8) -> Address {
    Address::v4([10, 0, net, last])
}

fn v6(net: u8, last: u8) -> Address {
    Address::v6([0xfd, 0, 0, 0, 0, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, last])
}

fn network(family: Family, address: Address, prefix: u8) -> Network {
    Network { family, address, prefix }
}

fn host() -> Host {
    let interface = |name, net| Interface {
        addresses: vec![network(Family::V4, v4(net, 1), 24), network(Family::V6, v6(net, 1), 64)],
        ..Interface::new(InterfaceName::new(name).expect("a name"), 1500)
    };
    let interfaces = vec![interface("in", 1), interface("out", 2)];
    let mut host = Host::new(interfaces, Forwarding::Router);
    host.answers_echo = true;
    let to_all = network(Family::V4, Address::default(), 0);
    let gateway = Some(v4(2, 254));
    host.routes.push(Route { gateway, ..Route::new(to_all, InterfaceIndex(1)) });
    host
}
