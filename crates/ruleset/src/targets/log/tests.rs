//! What the kernel wrote of packets of every kind, whole, cut and contradicting themselves.

use crate::evaluate::{AddressType, HostFacts, LogLine, Stores, TableState, Traversal, evaluate};
use crate::syntax::iptables_save::parse;
use alloc::vec::Vec;
use keepstate_conntrack::{Hook, Sysctls, table::Template};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed};

#[derive(Debug)]
struct Nowhere;

impl HostFacts for Nowhere {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }
}

fn logged(bytes: &[u8]) -> Vec<LogLine> {
    let rules = "*raw\n-A PREROUTING -j LOG --log-prefix \"ours: \" --log-tcp-sequence \
                 --log-tcp-options --log-ip-options --log-level 6\nCOMMIT\n";
    let mut packet = Parsed::new(bytes).unwrap();
    let ruleset = parse(rules, packet.family).unwrap();
    let sysctls = Sysctls { max: 16, ..Sysctls::default() };
    let mut connections = keepstate_conntrack::Table::new([1, 2], sysctls);
    let mut log = Vec::new();
    let eth0 = InterfaceName::new("eth0");
    let mut traversal = Traversal {
        now: Instant(0),
        hook: Hook::Prerouting,
        in_interface: eth0.as_ref(),
        out_interface: None,
        packet: &mut packet,
        bytes: &mut bytes.to_vec(),
        link: LinkInfo {
            source: Some([2, 0, 0, 0, 0, 1]),
            destination: Some([2, 0, 0, 0, 0, 2]),
            ..LinkInfo::default()
        },
        mark: 7,
        secmark: 0,
        priority: 0,
        tracked: None,
        template: &mut Template::default(),
        conntrack: &mut connections,
        host: &Nowhere,
        stores: &mut Stores::default(),
        unknown: None,
        log: &mut log,
    };
    let table = &ruleset.tables[0];
    evaluate(table, &mut TableState::new(table), &mut traversal, &mut ());
    log
}

#[test]
fn lines_are_those_of_the_kernel() {
    let mut count = 0;
    for row in include_str!("lines.tsv").lines().filter(|row| !row.starts_with('#')) {
        let (packet, line) = row.split_once('\t').unwrap();
        let bytes: Vec<u8> = (0..packet.len() / 2)
            .map(|at| u8::from_str_radix(&packet[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let ours = logged(&bytes);
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0].text, line, "{packet}");
        count += 1;
    }
    assert!(count > 60);
}
