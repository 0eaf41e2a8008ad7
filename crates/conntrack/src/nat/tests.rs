use super::*;
use crate::testing::Peers;
use crate::{Sysctls, Table, Zone, table::Template};
use keepstate_packet::{Parsed, checksum};
use std::vec::Vec;

/// A table, and a walk from PREROUTING to POSTROUTING whose rules are ranges.
struct Gateway {
    table: Table,
    now: Instant,
    source: Option<Range>,
    destination: Option<Range>,
    /// The interface whose address connections are given.
    masquerades: Option<u16>,
}

impl Gateway {
    fn new() -> Self {
        let table = Table::new([3, 4], Sysctls::default());
        Self {
            table,
            now: Instant(1_000_000_000_000),
            source: None,
            destination: None,
            masquerades: None,
        }
    }

    fn masking(addresses: (&str, &str), ports: Option<(u16, u16)>) -> Self {
        let addresses = Some((v4(addresses.0), v4(addresses.1)));
        let range = Range { addresses, ports, ..Range::default() };
        Self { source: Some(range), ..Self::new() }
    }

    /// The packet as it leaves; `None` when it is dropped.
    fn send(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = packet.to_vec();
        let mut parsed = Parsed::new(&bytes).expect("an IP packet");
        let template = Template::default();
        let hook = Hook::Prerouting;
        let tracked = self.table.track_in(self.now, hook, &parsed, &bytes, &template);
        let mut tracked = tracked.expect("there is room");
        let hooks = [(hook, self.destination), (Hook::Postrouting, self.source)];
        for (hook, range) in hooks {
            let manip = Manip::at(hook);
            let begins = matches!(tracked.state, CtState::New | CtState::Related)
                && !is_error(&tracked, &parsed);
            if let (Some(conn), Some(interface)) = (tracked.conn, self.masquerades) {
                self.table.set_masqueraded(conn, interface);
            }
            if let (true, Some(conn)) = (begins, tracked.conn)
                && !self.table.is_set_up(conn, manip)
            {
                match range {
                    Some(range) => self.table.set_up(self.now, conn, &range, manip),
                    None => self.table.bind_null(self.now, conn, manip),
                }
            }
            if self.table.translate(hook, &tracked, &mut parsed, &mut bytes).is_err() {
                self.table.discard(self.now, &tracked);
                return None;
            }
        }
        if self.table.confirm(self.now, &mut tracked).is_err() {
            return None;
        }
        let again = Parsed::new(&bytes).expect("an IP packet");
        assert_eq!(again, parsed, "what was parsed is in step");
        assert!(checksum::verify(&parsed, &bytes) != checksum::Verified::Wrong);
        Some(bytes)
    }

    /// Source of the packet as it leaves.
    fn seen(&mut self, packet: &[u8]) -> Option<(Address, u16)> {
        let bytes = self.send(packet)?;
        let parsed = Parsed::new(&bytes).expect("an IP packet");
        let tuple = Tuple::of(&parsed, &bytes).expect("a tuple");
        Some((tuple.source, tuple.source_port))
    }
}

fn v4(text: &str) -> Address {
    let ip: core::net::Ipv4Addr = text.parse().expect("an address");
    Address::v4(ip.octets())
}

fn client(number: u8) -> Peers {
    Peers::new(&std::format!("10.0.0.{number}"), "198.51.100.1")
}

#[test]
fn the_port_stays_where_it_is_free_and_its_class_where_it_is_not() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), None);
    let public = v4("203.0.113.1");
    for (port, class) in [(4000, 1024..=65535), (600, 600..=1023), (123, 1..=511)] {
        assert_eq!(gateway.seen(&client(1).udp((port, 53), b"a")), Some((public, port)));
        let (address, other) = gateway.seen(&client(2).udp((port, 53), b"a")).expect("it leaves");
        assert!(address == public && other != port && class.contains(&other), "{port}: {other}");
        // The same end has the same port to everybody.
        let elsewhere = Peers::new("10.0.0.2", "198.51.100.9");
        assert_eq!(gateway.seen(&elsewhere.udp((port, 53), b"a")), Some((public, other)));
    }
}

#[test]
fn answers_come_back_and_errors_too() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), Some((5000, 5000)));
    let sent = client(1).udp((4000, 53), b"question");
    let left = gateway.send(&sent).expect("it leaves");
    let wire = Peers::new("203.0.113.1", "198.51.100.1");
    let answer = wire.turned().udp((53, 5000), b"answer");
    assert_eq!(gateway.send(&answer), Some(client(1).turned().udp((53, 4000), b"answer")));
    // A third host tells of what it has seen, with the whole packet or eight bytes of it.
    for quoted in [&left[..], &left[..28]] {
        let error = Peers::new("192.0.2.7", "203.0.113.1").icmp(3, 1, 0, quoted);
        let back = gateway.send(&error).expect("it comes back");
        let wanted = Peers::new("192.0.2.7", "10.0.0.1").icmp(3, 1, 0, &sent[..quoted.len()]);
        assert_eq!(back, wanted);
    }
    // Too little of it to be turned back, though enough to be known by.
    let error = Peers::new("192.0.2.7", "203.0.113.1").icmp(3, 1, 0, &left[..24]);
    assert_eq!(gateway.send(&error), None);
}

#[test]
fn an_error_is_summed_up_again_where_its_quote_has_moved_the_sum() {
    // Linux 6.18, with a route recorded in the error: these alone do not arrive.
    for (sums, public, expected) in
        [(false, "203.0.113.1", true), (true, "203.0.113.1", false), (false, "10.0.0.1", false)]
    {
        let mut gateway = Gateway::masking((public, public), Some((5000, 5000)));
        gateway.table = Table::new([3, 4], Sysctls { checksum: sums, ..Sysctls::default() });
        let sent = [
            (client(1).udp((4000, 53), b"question"), 28, expected),
            (client(1).tcp((4000, 80), 2, (1, 0), b""), 40, expected),
            (client(1).tcp((4001, 81), 2, (1, 0), b""), 28, false),
            (client(1).icmp(8, 0, 7 << 16, b"ping"), 28, false),
        ];
        for (packet, length, again) in sent {
            let left = gateway.send(&packet).expect("it leaves");
            let error = Peers::new("192.0.2.7", public).icmp(3, 1, 0, &left[..length]);
            let parsed = Parsed::new(&error).expect("an IP packet");
            let (now, template) = (gateway.now, Template::default());
            let table = &mut gateway.table;
            let tracked = table.track_in(now, Hook::Prerouting, &parsed, &error, &template);
            let tracked = tracked.expect("there is room");
            let found = table.is_summed_up_again(&tracked, &parsed, &error);
            assert_eq!(found, again, "checksum {sums} {public} {parsed:?}");
        }
    }
}

#[test]
fn with_nothing_free_a_connection_is_refused_and_with_something_it_is_found() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), Some((5000, 5003)));
    let mut ports: Vec<u16> = (1..=4)
        .map(|number| {
            gateway.seen(&client(number).tcp((4000, 80), 2, (1, 0), b"")).expect("free").1
        })
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, [5000, 5001, 5002, 5003]);
    assert_eq!(gateway.seen(&client(5).tcp((4000, 80), 2, (1, 0), b"")), None);
    assert_eq!(gateway.table.count(), 4);
    // To another server all of them are free.
    let elsewhere = Peers::new("10.0.0.5", "198.51.100.9");
    assert!(gateway.seen(&elsewhere.tcp((4000, 80), 2, (1, 0), b"")).is_some());
    gateway.table.flush(gateway.now);
    assert_eq!((gateway.table.count(), gateway.table.kept_beside_count()), (0, 0));
    assert!(gateway.seen(&client(5).tcp((4000, 80), 2, (1, 0), b"")).is_some());
}

/// A connection that has ended gives its port to a newer SYN when few ports are left to try.
#[test]
fn an_ended_connection_yields_its_port() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), Some((5000, 5000)));
    let server = Peers::new("198.51.100.1", "203.0.113.1");
    let syn = |number, sequence| client(number).tcp((4000, 80), 2, (sequence, 0), b"");
    assert!(gateway.send(&syn(1, 100)).is_some());
    assert_eq!(gateway.send(&syn(2, 5000)), None, "it is not over");
    for (flags, sequence) in [(0x12, 8), (0x14, 9)] {
        let answer = server.tcp((80, 5000), flags, (sequence, 101), b"");
        assert!(gateway.send(&answer).is_some(), "SYN-ACK and RST");
    }
    assert_eq!(gateway.send(&syn(2, 50)), None, "its numbers are older");
    assert!(gateway.send(&syn(2, 5000)).is_some());
    assert_eq!(gateway.table.count(), 1);
}

#[test]
fn what_is_foretold_is_taken_when_it_could_be_drawn() {
    let outcome = |port: u16| {
        let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), Some((5000, 6000)));
        let tuple = |source: &str, ports: (u16, u16)| Tuple {
            source: v4(source),
            destination: v4("198.51.100.1"),
            source_port: ports.0,
            destination_port: ports.1,
            protocol: 17,
            family: Family::V4,
        };
        let reply = tuple("203.0.113.1", (port, 53)).invert().expect("an answer");
        let original = tuple("10.0.0.1", (4000, 53));
        gateway.table.foretell(&[Outcome { original, reply, changes_source: true }]);
        gateway.seen(&client(1).udp((4000, 53), b"a")).expect("it leaves").1
    };
    assert_eq!((outcome(5777), outcome(5000), outcome(6000)), (5777, 5000, 6000));
    assert!((5000..=6000).contains(&outcome(6001)));
}

#[test]
fn of_several_addresses_the_same_two_ends_have_the_same() {
    let mut chosen = Vec::new();
    for number in 1..=40 {
        let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.6"), None);
        let first = gateway.seen(&client(number).udp((4000, 53), b"a")).expect("it leaves").0;
        let again = gateway.seen(&client(number).udp((4001, 53), b"a")).expect("it leaves").0;
        assert_eq!(first, again);
        chosen.push(first);
    }
    chosen.sort_unstable();
    chosen.dedup();
    assert_eq!(chosen.len(), 6, "all of them serve somebody");
}

#[test]
fn icmp_identifiers_gre_and_protocols_without_ports() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), None);
    let public = v4("203.0.113.1");
    let echo = |number| client(number).icmp(8, 0, 7 << 16 | 1, b"ping");
    assert_eq!(gateway.seen(&echo(1)), Some((public, 7)));
    let (_, other) = gateway.seen(&echo(2)).expect("another identifier");
    assert_ne!(other, 7);
    let wire = Peers::new("198.51.100.1", "203.0.113.1");
    let answer = wire.icmp(0, 0, u32::from(other) << 16 | 1, b"ping");
    let back = client(2).turned().icmp(0, 0, 7 << 16 | 1, b"ping");
    assert_eq!(gateway.send(&answer), Some(back));
    for protocol in [47, 89] {
        let packet = |number| client(number).packet(protocol, &[0, 0, 8, 0, 1, 2, 3, 4]);
        assert_eq!(gateway.seen(&packet(1)), Some((public, 0)));
        assert_eq!(gateway.seen(&packet(2)), None, "there is nothing to tell the two apart by");
    }
    // Too short a GRE header is no header.
    assert_eq!(gateway.send(&client(3).packet(47, &[0, 0, 8, 0])), None);
}

#[test]
fn two_translations_on_one_connection_and_back() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), None);
    let server = v4("10.9.9.9");
    gateway.destination = Some(Range {
        addresses: Some((server, server)),
        ports: Some((8000, 8010)),
        base: Some(80),
        ..Range::default()
    });
    let asked = Peers::new("10.0.0.1", "198.51.100.1");
    let wanted = Peers::new("203.0.113.1", "10.9.9.9");
    let left = gateway.send(&asked.tcp((4000, 85), 2, (1, 0), b"")).expect("it leaves");
    assert_eq!(left, wanted.tcp((4000, 8005), 2, (1, 0), b""));
    let answer = wanted.turned().tcp((8005, 4000), 0x12, (9, 2), b"");
    let back = asked.turned().tcp((85, 4000), 0x12, (9, 2), b"");
    assert_eq!(gateway.send(&answer), Some(back));
}

#[test]
fn masqueraded_connections_end_with_their_interface() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), None);
    for (number, interface) in [(1, Some(1)), (2, Some(1)), (3, None)] {
        gateway.masquerades = interface;
        gateway.send(&client(number).udp((4000, 53), b"a")).expect("it leaves");
    }
    // Later packets change nothing of it.
    gateway.masquerades = Some(1);
    gateway.send(&client(3).udp((4000, 53), b"a")).expect("it leaves");
    let all = gateway.table.connections(gateway.now);
    let (now, table) = (gateway.now, &mut gateway.table);
    assert_eq!(table.forget_masqueraded(now, 0, None), 0);
    assert_eq!(table.forget_masqueraded(now, 1, Some(v4("203.0.113.2"))), 0);
    assert_eq!(table.forget_masqueraded(now, 1, Some(v4("203.0.113.1"))), 2);
    assert_eq!(table.connections(now), [all[2]]);
}

/// Linux 6.18: three packets and 89 bytes of one datagram of 29 bytes and one of 30.
#[test]
fn the_packet_that_leaves_elsewhere_counts_twice() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), None);
    gateway.table.sysctls_mut().acct = true;
    gateway.table.set_events_max(16);
    gateway.masquerades = Some(1);
    gateway.send(&client(1).udp((4000, 9), b"a")).expect("it leaves");
    let again = client(1).udp((4000, 9), b"bb");
    let parsed = Parsed::new(&again).expect("an IP packet");
    let (now, table) = (gateway.now, &mut gateway.table);
    let tracked = table.track_in(now, Hook::Prerouting, &parsed, &again, &Template::default());
    let tracked = tracked.expect("there is room");
    assert!(!table.leaves_elsewhere(now, &tracked, &parsed, 1));
    assert!(table.leaves_elsewhere(now, &tracked, &parsed, 2));
    let events = std::iter::from_fn(|| table.poll_event());
    let counters: Vec<_> = events.filter_map(|event| event.snapshot.counters).collect();
    assert_eq!(counters, [[(3, 89), (0, 0)]]);
}

/// Linux 6.18: a source has one mapping for each number of a zone of both directions.
#[test]
fn the_mapping_of_a_source_is_kept_by_the_zone_of_both_directions() {
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), Some((40_000, 49_999)));
    let range = gateway.source.take().expect("it masks");
    let original = Zone::one(1, Direction::Original);
    let mapped: Vec<u16> = [(original, 69), (original, 53), (Zone::both(1), 443)]
        .into_iter()
        .map(|(zone, port)| {
            let packet = client(1).udp((1024, port), b"a");
            let parsed = Parsed::new(&packet).expect("an IP packet");
            let template = Template { zone, ..Template::default() };
            let (now, table) = (gateway.now, &mut gateway.table);
            let tracked = table.track_in(now, Hook::Prerouting, &parsed, &packet, &template);
            let mut tracked = tracked.expect("there is room");
            let conn = tracked.conn.expect("a connection");
            table.bind_null(now, conn, Manip::Destination);
            table.set_up(now, conn, &range, Manip::Source);
            table.confirm(now, &mut tracked).expect("it is confirmed");
            table.tuple(conn, Direction::Reply).expect("there").destination_port
        })
        .collect();
    assert_eq!(mapped[0], mapped[1]);
    assert_ne!(mapped[0], mapped[2]);
}

#[test]
fn what_is_foretold_has_a_limit() {
    let mut table = Gateway::new().table;
    let tuple = Tuple {
        source: v4("10.0.0.1"),
        destination: v4("10.0.0.2"),
        source_port: 1,
        destination_port: 2,
        protocol: 17,
        family: Family::V4,
    };
    let outcome = Outcome { original: tuple, reply: tuple, changes_source: true };
    table.foretell(&[outcome; FORETOLD_MAX + 1]);
    assert_eq!(table.nat.foretold.len(), FORETOLD_MAX);
}

/// As many connections to one server as there are ports, from as many clients with the same port. Each
/// has another one; nearly all ports serve, and all are there again when the connections have gone.
#[test]
fn ports_run_out_and_come_back() {
    const FREE: usize = 65_536 - 1024;
    let mut gateway = Gateway::masking(("203.0.113.1", "203.0.113.1"), None);
    gateway.table.set_events_max(0);
    for _ in 0..2 {
        let mut seen = std::vec![false; 65_536];
        for number in 0..=u16::MAX {
            let [high, low] = number.to_be_bytes();
            let client = Peers::new(&std::format!("10.9.{high}.{low}"), "198.51.100.1");
            if let Some((_, port)) = gateway.seen(&client.udp((4000, 53), b"")) {
                let before = core::mem::replace(&mut seen[usize::from(port)], true);
                assert!(!before && port >= 1024, "{port}");
            }
        }
        let served = seen.iter().filter(|seen| **seen).count();
        assert_eq!(gateway.table.count(), served);
        // A search ends before it has tried all.
        assert!(served > FREE - FREE / 50, "{served}");
        gateway.table.flush(gateway.now);
        assert_eq!((gateway.table.count(), gateway.table.kept_beside_count()), (0, 0));
    }
}
