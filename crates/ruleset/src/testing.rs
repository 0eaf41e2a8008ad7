//! What table tests of targets share: a rule's texts, and a packet through a rule.

use crate::evaluate::{AddressType, HostFacts, Logged, Stores, TableState, Traversal, evaluate};
use crate::model::{Jump, Ruleset, builtin_name};
use crate::syntax::iptables_save::{self, Print};
use crate::verdict::Verdict;
use alloc::{format, string::String, vec::Vec};
use keepstate_conntrack::{Hook, Sysctls, Table as Connections, table::Template};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, Parsed};

fn load(family: Family, table: &str, chain: &str, rule: &str) -> Result<Ruleset, String> {
    let source = format!("*{table}\n-A {chain} {rule}\nCOMMIT\n");
    iptables_save::parse(&source, family)
        .map_err(|faults| faults.iter().map(|fault| fault.render("rule", &source)).collect())
}

/// The rule as it is saved, without `-A CHAIN `; or what is wrong with it.
pub(crate) fn saved(
    family: Family,
    table: &str,
    chain: &str,
    rule: &str,
) -> Result<String, String> {
    let text = iptables_save::print(&load(family, table, chain, rule)?, Print::default());
    let start = format!("-A {chain} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    Ok(line.expect("a rule").into())
}

/// What its target prints in a listing, with names and with numbers.
pub(crate) fn listed(family: Family, table: &str, chain: &str, rule: &str) -> [String; 2] {
    let ruleset = load(family, table, chain, rule).expect("a rule");
    let mut rules = ruleset.tables[0].chains.iter().flat_map(|chain| &chain.rules);
    let Some(Jump::Target(target)) = rules.next().map(|rule| &rule.target) else {
        panic!("{rule} has no target")
    };
    [false, true].map(|numeric| {
        let mut out = String::new();
        target.list(&mut out, numeric);
        out
    })
}

/// One row: the rule, what it is saved as (`=`: the same; empty: it is refused), and its listings
/// (`=`: the one with numbers is like the one with names).
pub(crate) type Row = (&'static str, &'static str, &'static str, &'static str);

/// Each row as it says, and what is saved loads again.
pub(crate) fn check(family: Family, table: &str, chain: &str, rows: &[Row]) {
    for (rule, wanted, names, numbers) in rows {
        let found = saved(family, table, chain, rule);
        if wanted.is_empty() {
            assert!(found.is_err(), "{rule} is read as {found:?}");
            continue;
        }
        let wanted = if *wanted == "=" { rule } else { wanted };
        assert_eq!(found.as_deref(), Ok(*wanted), "{rule}");
        let numbers = if *numbers == "=" { names } else { numbers };
        assert_eq!(listed(family, table, chain, rule), [*names, *numbers], "{rule}");
    }
}

#[derive(Debug)]
struct Nowhere;

impl HostFacts for Nowhere {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }
}

/// What has become of a packet.
#[derive(Debug)]
pub(crate) struct After {
    pub(crate) verdict: Verdict,
    pub(crate) bytes: Vec<u8>,
    pub(crate) mark: u32,
    pub(crate) priority: u32,
    pub(crate) log: Vec<Logged>,
}

/// Sends a packet from the IP header on through a rule of a built-in chain. What targets say of the
/// packet has to be what its bytes say.
pub(crate) fn send(table: &str, hook: Hook, rule: &str, packet: &[u8]) -> After {
    let mut parsed = Parsed::new(packet).expect("a packet");
    let ruleset = load(parsed.family, table, builtin_name(hook), rule).expect("a rule");
    let mut bytes = packet.to_vec();
    let interfaces = ["eth0", "eth1"].map(InterfaceName::new);
    // Room to grow, as where rules want it.
    bytes.extend([0; 4]);
    let mut log = Vec::new();
    let mut traversal = Traversal {
        now: Instant(1_000_000_000_000),
        hook,
        in_interface: interfaces[0].as_ref(),
        out_interface: interfaces[1].as_ref(),
        packet: &mut parsed,
        bytes: &mut bytes,
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
        conntrack: &mut Connections::new([1, 2], Sysctls { max: 64, ..Sysctls::default() }),
        host: &Nowhere,
        stores: &mut Stores::default(),
        log: &mut log,
        unknown: None,
    };
    let table = &ruleset.tables[0];
    let (verdict, _) = evaluate(table, &mut TableState::new(table), &mut traversal, &mut ());
    let (mark, priority) = (traversal.mark, traversal.priority);
    bytes.truncate(parsed.length as usize);
    assert_eq!(Parsed::new(&bytes), Ok(parsed), "{rule}: the packet as parsed and its bytes");
    After { verdict, bytes, mark, priority, log }
}
