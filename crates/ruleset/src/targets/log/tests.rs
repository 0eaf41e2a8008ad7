//! What the kernel wrote of packets of every kind, whole, cut and contradicting themselves.

use crate::evaluate::{
    AddressType, HostFacts, LogLine, Logged, Sender, Socket, Stores, TableState, Traversal,
    evaluate,
};
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

/// A host with one program that has a socket for everything.
#[derive(Debug)]
struct Owned(Socket);

impl HostFacts for Owned {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }

    fn sender(&self, _: &Parsed) -> Option<Sender<'_>> {
        Some(Sender::Socket(&self.0))
    }
}

const RULES: &str = "*raw\n-A PREROUTING -j LOG --log-prefix \"ours: \" --log-tcp-sequence \
                     --log-tcp-options --log-ip-options --log-level 6\nCOMMIT\n";

fn logged(rules: &str, host: &dyn HostFacts, bytes: &[u8]) -> Vec<LogLine> {
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
        frame: None,
        mark: 7,
        secmark: 0,
        priority: 0,
        traced: false,
        verified: false,
        unfinished: &mut None,
        tracked: None,
        template: &mut Template::default(),
        conntrack: &mut connections,
        host,
        stores: &mut Stores::default(),
        unknown: None,
        log: &mut log,
    };
    let table = &ruleset.tables[0];
    evaluate(table, &mut TableState::new(table), &mut traversal, &mut ());
    let line = |logged| match logged {
        Logged::Line(line) => line,
        Logged::Nflog(message) => panic!("{message:?}"),
    };
    log.into_iter().map(line).collect()
}

#[test]
fn lines_are_those_of_the_kernel() {
    let mut count = 0;
    for row in include_str!("lines.tsv").lines().filter(|row| !row.starts_with('#')) {
        let (packet, line) = row.split_once('\t').unwrap();
        let bytes: Vec<u8> = (0..packet.len() / 2)
            .map(|at| u8::from_str_radix(&packet[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let ours = logged(RULES, &Nowhere, &bytes);
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0].text, line, "{packet}");
        count += 1;
    }
    assert!(count > 60);
}

#[test]
fn the_owner_stands_before_the_mark() {
    let rules = "*raw\n-A PREROUTING -j LOG --log-uid\nCOMMIT\n";
    let owned = |uid| Owned(Socket { uid, gid: Some(65534), ..Socket::default() });
    let segment = |flags: u8| {
        let mut bytes = [0; 40];
        bytes[..20]
            .copy_from_slice(&[0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        (bytes[32], bytes[33]) = (0x50, flags);
        bytes
    };
    let text = |rules: &str, host: &Owned, bytes: &[u8]| {
        let line = logged(rules, host, bytes).remove(0);
        line.text.split(" URGP=0 ").nth(1).map(alloc::string::String::from)
    };
    let nobody = owned(Some(65534));
    let unknown = owned(None);
    for (rules, host, flags, rest) in [
        (rules, &nobody, 0x02, "UID=65534 GID=65534 MARK=0x7 "),
        (rules, &nobody, 0x12, "MARK=0x7 "),
        (rules, &unknown, 0x02, "MARK=0x7 "),
        (RULES, &nobody, 0x02, "MARK=0x7 "),
    ] {
        assert_eq!(text(rules, host, &segment(flags)).as_deref(), Some(rest), "{flags:#x}");
    }
    // What is cut has none.
    let mut short = segment(2);
    short[3] = 30;
    let cut = &logged(rules, &nobody, &short[..30])[0].text;
    assert!(cut.ends_with("PROTO=TCP INCOMPLETE [10 bytes] "), "{cut}");
}
