//! Rules by the hundred whose sets stay small.

use super::ground::parse;
use keepstate_analysis::algebra::{Space, Way, way};
use keepstate_packet::Family;
use std::fmt::Write;

/// Hosts with a line each.
const HOSTS: u64 = 400;
/// Services that each of them may use.
const SERVICES: u64 = 60;
/// Nodes for each host and each service: its address, what is asked beside it, its port.
const NODES_EACH: u64 = 24;

#[test]
fn what_is_asked_of_single_hosts_is_settled_with_their_addresses() {
    let mut text = String::from("*filter\n:FORWARD DROP [0:0]\n:lan - [0:0]\n");
    for host in 0..HOSTS {
        let low = host.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let (a, b, c) = (low >> 32 & 0xffff, low >> 16 & 0xffff, low & 0xffff);
        let (high, low) = (host >> 8, host & 0xff);
        let _ = writeln!(
            text,
            "-A FORWARD -s 2001:db8:0:1:0:{a:x}:{b:x}:{c:x}/128 \
             -m mac --mac-source 02:00:00:00:{high:02x}:{low:02x} -j lan"
        );
    }
    for service in 0..SERVICES {
        let port = 1 + service * 997 % 60_000;
        let _ = writeln!(text, "-A lan -p tcp -m tcp --dport {port} -j ACCEPT");
    }
    text.push_str("COMMIT\n");
    let ruleset = parse(&text, Family::V6);
    let mut space = Space::new(Family::V6, [&ruleset]).expect("a space");
    let every = space.every();
    let outcome = way::follow(&mut space, &ruleset, Way::Through, &every).expect("a walk");
    let nodes = outcome.passed.nodes() as u64;
    assert!(nodes < (HOSTS + SERVICES) * NODES_EACH, "{nodes}");
    // In rows each host stands with its own condition.
    let one = space.example(&outcome.passed).expect("sets").expect("a packet");
    let says: Vec<bool> = one.unknowns.iter().map(|(_, says)| *says).collect();
    assert_eq!(says, [true], "{one:?}");
    assert!(space.contains(&outcome.passed, &space.values(&one)));
}
