use super::lookup::{Lookup, MarkMap, VerdictMap};
use super::*;
use crate::diagnostic::code;
use crate::evaluate::{AddressType, HostFacts, Stores, TableState, evaluate};
use crate::model::{ChainIndex, HeaderMatch, Jump, Rule, Span, Table};
use crate::syntax::iptables_save::{check, parse};
use crate::verdict::{Step, Verdict};
use alloc::{boxed::Box, vec};
use keepstate_conntrack::{Hook, Sysctls, table::Template};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed};

#[derive(Debug)]
struct Everywhere;

impl HostFacts for Everywhere {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }
}

fn key(address: [u8; 4], port: u16) -> Key {
    let mut key = Key::default();
    key.push(&address).unwrap();
    key.push(&port.to_be_bytes()).unwrap();
    key
}

fn fields() -> Vec<Field> {
    vec![Field::Source(Family::V4), Field::DestinationPort]
}

fn rule(matches: Vec<Box<dyn crate::matches::Match>>, target: Jump) -> Rule {
    let header = HeaderMatch::default();
    Rule { header, matches, target, counters: (0, 0), span: Span::default() }
}

/// Verdict and mark of a UDP packet from an address to a port, in a table whose INPUT is given.
fn walk(table: &Table, source: [u8; 4], port: u16) -> (Verdict, u32) {
    let mut bytes = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    bytes.extend(source);
    bytes.extend([192, 0, 2, 1, 4, 0]);
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 8, 0, 0]);
    let mut packet = Parsed::new(&bytes).unwrap();
    let sysctls = Sysctls { max: 16, ..Sysctls::default() };
    let mut connections = keepstate_conntrack::Table::new([1, 2], sysctls);
    let eth0 = InterfaceName::new("eth0");
    let mut traversal = Traversal {
        now: Instant(0),
        hook: Hook::Input,
        in_interface: eth0.as_ref(),
        out_interface: None,
        packet: &mut packet,
        bytes: &mut bytes.to_vec(),
        link: LinkInfo::default(),
        frame: None,
        mark: 0,
        secmark: 0,
        priority: 0,
        traced: false,
        verified: false,
        unfinished: &mut None,
        tracked: None,
        template: &mut Template::default(),
        conntrack: &mut connections,
        host: &Everywhere,
        stores: &mut Stores::default(),
        unknown: None,
        log: &mut Vec::new(),
    };
    let (verdict, _) = evaluate(table, &mut TableState::new(table), &mut traversal, &mut ());
    (verdict, traversal.mark)
}

fn with_input(chains: &str, rules: Vec<Rule>) -> Table {
    let text = alloc::format!("*filter\n{chains}COMMIT\n");
    let mut table = parse(&text, Family::V4).unwrap().tables.remove(0);
    table.chains[0].rules.splice(0..0, rules);
    table
}

#[test]
fn a_verdict_map_is_walked_by_the_same_evaluator() {
    let mut map = Map::new(fields()).unwrap();
    let web = ChainIndex(3);
    map.insert(key([10, 0, 0, 1], 80), key([10, 0, 0, 1], 80), Step::Jump(web)).unwrap();
    let drop = Step::Verdict(Verdict::Drop);
    map.insert(key([10, 0, 0, 0], 1000), key([10, 0, 0, 255], 2000), drop).unwrap();
    map.insert(key([10, 9, 0, 0], 80), key([10, 9, 255, 255], 80), Step::Goto(web)).unwrap();
    let vmap = rule(Vec::new(), Jump::Target(Box::new(VerdictMap(map))));
    let table = with_input(
        ":INPUT DROP [0:0]\n:web - [0:0]\n-A INPUT -p udp --dport 80 -j ACCEPT\n\
         -A web -s 10.0.0.2 -j ACCEPT\n-A web -s 10.9.9.9 -j RETURN\n",
        vec![vmap],
    );
    let verdict = |source, port| walk(&table, source, port).0;
    assert_eq!(verdict([10, 0, 0, 1], 80), Verdict::Accept, "the jump comes back to the next rule");
    assert_eq!(verdict([10, 9, 9, 9], 80), Verdict::Drop, "the goto does not: policy");
    assert_eq!(verdict([10, 0, 0, 77], 1500), Verdict::Drop);
    assert_eq!(verdict([10, 0, 0, 77], 80), Verdict::Accept, "not in the map: next rule");
}

#[test]
fn jumps_out_of_a_map_count_for_circles() {
    let mut map = Map::new(fields()).unwrap();
    map.insert(key([10, 0, 0, 1], 80), key([10, 0, 0, 1], 80), Step::Jump(ChainIndex(3))).unwrap();
    let vmap = rule(Vec::new(), Jump::Target(Box::new(VerdictMap(map))));
    let mut table = with_input(":INPUT DROP [0:0]\n:web - [0:0]\n-A INPUT -j web\n", Vec::new());
    assert!(check(&table).is_empty());
    table.chains[3].rules.push(vmap);
    let faults = check(&table);
    assert_eq!(faults.iter().map(|fault| fault.code).collect::<Vec<_>>(), [code::LOOP]);
}

#[test]
fn a_statement_in_the_middle_of_a_rule_acts_and_lets_it_go_on() {
    let mut marks = Map::new(vec![Field::Source(Family::V4)]).unwrap();
    let mut one = Key::default();
    one.push(&[10, 0, 0, 1]).unwrap();
    marks.insert(one, one, 7).unwrap();
    let mut ports = Set::new(vec![Field::DestinationPort]).unwrap();
    let mut port = Key::default();
    port.push(&53_u16.to_be_bytes()).unwrap();
    ports.insert(port, port, ()).unwrap();
    let matches: Vec<Box<dyn crate::matches::Match>> =
        vec![Box::new(MarkMap(marks)), Box::new(Lookup { set: ports, inverted: false })];
    let drop = Jump::Standard(Step::Verdict(Verdict::Drop));
    let table = with_input(":INPUT ACCEPT [0:0]\n", vec![rule(matches, drop)]);
    assert_eq!(walk(&table, [10, 0, 0, 1], 53), (Verdict::Drop, 7));
    assert_eq!(walk(&table, [10, 0, 0, 1], 80), (Verdict::Accept, 7), "marked, then refused");
    assert_eq!(walk(&table, [10, 0, 0, 2], 53), (Verdict::Accept, 0), "not in the map: rule ends");
}

#[test]
fn keys_and_elements_have_limits() {
    let field = Field::Source(Family::V6);
    assert!(Set::new(vec![field; 4]).is_ok());
    assert_eq!(Set::new(vec![field; 5]).unwrap_err(), SetError::Key);
    assert!(Set::new(vec![Field::Protocol; FIELDS_MAX]).is_ok());
    assert_eq!(Set::new(vec![Field::Protocol; FIELDS_MAX + 1]).unwrap_err(), SetError::Key);
    assert_eq!(Set::new(Vec::new()).unwrap_err(), SetError::Key);
    let mut set = Set::new(fields()).unwrap();
    let (low, high) = (key([10, 0, 0, 5], 10), key([10, 0, 0, 9], 20));
    assert_eq!(set.insert(high, low, ()), Err(SetError::Element));
    assert_eq!(set.insert(Key::default(), Key::default(), ()), Err(SetError::Element));
    assert_eq!(set.insert(low, high, ()), Ok(()));
    let inside = key([10, 0, 0, 7], 15);
    assert_eq!(set.insert(inside, inside, ()), Err(SetError::Overlap));
    let beside = key([10, 0, 0, 7], 21);
    assert_eq!(set.insert(beside, beside, ()), Ok(()));
}
