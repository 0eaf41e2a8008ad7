//! Rules in their written form against packets made by hand: verdict, who decided, counters.

use super::*;
use crate::model::{Ruleset, TableName};
use crate::syntax::iptables_save;
use crate::verdict::RejectWith;
use alloc::{format, string::String, string::ToString, vec};
use keepstate_conntrack::{Sysctls, Table as Connections};

#[derive(Debug)]
struct Everywhere;

impl HostFacts for Everywhere {
    fn address_type(&self, _: Family, address: Address, _: Option<InterfaceName>) -> AddressType {
        if address.v4_octets() == [192, 0, 2, 1] {
            AddressType::Local
        } else {
            AddressType::Unicast
        }
    }
}

fn load(text: &str, family: Family) -> Ruleset {
    iptables_save::parse(text, family).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(|fault| fault.render("rules", text)).collect::<String>())
    })
}

/// An IPv4 packet from 10.0.0.1 to 192.0.2.1 around what is given.
fn ipv4(protocol: u8, l4: &[u8]) -> Vec<u8> {
    let length = (20 + l4.len()) as u16;
    let [high, low] = length.to_be_bytes();
    let mut packet = vec![0x45, 0, high, low, 0x12, 0x34, 0, 0, 64, protocol, 0, 0];
    packet.extend([10, 0, 0, 1, 192, 0, 2, 1]);
    packet.extend(l4);
    packet
}

fn tcp(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(source.to_be_bytes());
    segment.extend(destination.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    ipv4(6, &segment)
}

fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(source.to_be_bytes());
    datagram.extend(destination.to_be_bytes());
    datagram.extend([0, 8, 0, 0]);
    ipv4(17, &datagram)
}

fn icmp(kind: u8, code: u8) -> Vec<u8> {
    ipv4(1, &[kind, code, 0, 0, 0, 1, 0, 1])
}

/// A rule set with its state, and a connection table beside it.
struct Bench {
    ruleset: Ruleset,
    state: TableState,
    connections: Connections,
    log: Vec<Logged>,
    now: Instant,
    mark: u32,
    tracked: Option<Tracked>,
    link: LinkInfo,
    hook: Hook,
}

impl Bench {
    fn new(text: &str) -> Self {
        let ruleset = load(text, Family::V4);
        let state = TableState::new(&ruleset.tables[0]);
        let connections = Connections::new([1, 2], Sysctls { max: 64, ..Sysctls::default() });
        Self {
            ruleset,
            state,
            connections,
            log: Vec::new(),
            now: Instant(1_000_000_000_000),
            mark: 0,
            tracked: None,
            link: LinkInfo::default(),
            hook: Hook::Input,
        }
    }

    /// One chain, INPUT, of these rules.
    fn input(rules: &[&str]) -> Self {
        let lines: String = rules.iter().map(|rule| format!("-A INPUT {rule}\n")).collect();
        Self::new(&format!("*filter\n{lines}COMMIT\n"))
    }

    fn walk(&mut self, bytes: &[u8]) -> (Verdict, Option<Decision>) {
        let mut packet = Parsed::new(bytes).unwrap();
        let inward = matches!(self.hook, Hook::Prerouting | Hook::Input | Hook::Forward);
        let [eth0, ppp7] = ["eth0", "ppp7"].map(InterfaceName::new);
        let mut traversal = Traversal {
            now: self.now,
            hook: self.hook,
            in_interface: eth0.as_ref().filter(|_| inward),
            out_interface: ppp7.as_ref().filter(|_| self.hook != Hook::Input),
            packet: &mut packet,
            bytes: &mut bytes.to_vec(),
            link: self.link,
            frame: None,
            mark: self.mark,
            secmark: 0,
            priority: 0,
            traced: false,
            verified: false,
            unfinished: &mut None,
            tracked: self.tracked.as_ref(),
            template: &mut Template::default(),
            conntrack: &mut self.connections,
            host: &Everywhere,
            stores: &mut Stores::default(),
            unknown: None,
            log: &mut self.log,
        };
        let table = &self.ruleset.tables[0];
        let mut recorder = ();
        let mut tracing = Tracing::new(table, &mut recorder);
        let result = evaluate(table, &mut self.state, &mut traversal, &mut tracing);
        self.mark = traversal.mark;
        result
    }

    fn verdict(&mut self, bytes: &[u8]) -> Verdict {
        self.walk(bytes).0
    }

    /// Level and text of what is logged.
    fn lines(&self) -> Vec<(u8, &str)> {
        let line = |logged| match logged {
            &Logged::Line(LogLine { level, ref text }) => (level, text.as_str()),
            Logged::Nflog(message) => panic!("{message:?}"),
        };
        self.log.iter().map(line).collect()
    }

    fn counters(&self, chain: &str) -> &[Counters] {
        self.state.counters(self.ruleset.tables[0].chain_named(chain).unwrap())
    }
}

/// Whether a rule of these words matches a packet: it drops what it matches.
fn drops(rule: &str, bytes: &[u8]) -> bool {
    Bench::input(&[&format!("{rule} -j DROP")]).verdict(bytes) == Verdict::Drop
}

#[test]
fn headers() {
    let packet = tcp(1024, 80, 2);
    for (rule, matches) in [
        ("-s 10.0.0.1", true),
        ("-s 10.0.0.0/255.0.0.255", false),
        ("! -s 10.0.0.0/8", false),
        ("! -s 11.0.0.0/8 -d 192.0.2.0/24", true),
        ("-i eth0", true),
        ("-i eth", false),
        ("-i eth+", true),
        ("! -i eth+", false),
        ("! -i eth1", true),
        ("-p tcp", true),
        ("! -p tcp", false),
        ("-p 17", false),
        ("-f", false),
        ("! -f", true),
    ] {
        assert_eq!(drops(rule, &packet), matches, "{rule}");
    }
}

#[test]
fn an_authentication_header_is_a_protocol_and_a_broken_chain_has_none() {
    let ipv6 = |next: u8, rest: &[u8]| {
        let mut packet = vec![0x60, 0, 0, 0, 0, rest.len() as u8, next, 64];
        packet.extend([0; 32]);
        packet.extend(rest);
        packet
    };
    let mut authenticated = vec![17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    authenticated.extend([0, 1, 0, 2, 0, 8, 0, 0]);
    // Of a later fragment nothing is read, whatever its header names.
    let later = ipv6(44, &[&[51, 0, 3, 0, 0, 0, 0, 1][..], &authenticated].concat());
    let (authenticated, broken) = (ipv6(51, &authenticated), ipv6(60, &[60, 9, 0, 0, 0, 0, 0, 0]));
    for (rule, packet, matches) in [
        ("-p udp", &authenticated, false),
        ("! -p udp", &authenticated, true),
        ("-p ah", &authenticated, true),
        ("-p ah", &later, false),
        ("! -p ah", &later, false),
        ("-p tcp", &broken, false),
        ("! -p tcp", &broken, false),
        ("-m length --length 48", &broken, true),
    ] {
        let mut bench = Bench::input(&[]);
        bench.ruleset = load(&format!("*filter\n-A INPUT {rule} -j DROP\nCOMMIT\n"), Family::V6);
        bench.state = TableState::new(&bench.ruleset.tables[0]);
        assert_eq!(bench.verdict(packet) == Verdict::Drop, matches, "{rule}");
    }
}

#[test]
fn an_interface_that_is_not_there_has_no_name() {
    for (rule, matches) in [("-i eth0", false), ("! -i eth0", true), ("-i +", true)] {
        let mut bench = Bench::new(&format!(
            "*mangle\n:x - [0:0]\n-A OUTPUT -j x\n-A x {rule} -j DROP\nCOMMIT\n"
        ));
        bench.hook = Hook::Output;
        assert_eq!(bench.verdict(&udp(1, 2)) == Verdict::Drop, matches, "{rule}");
    }
}

#[test]
fn transport_headers() {
    let syn = tcp(1024, 80, 2);
    let fin_ack = tcp(80, 1024, 0x11);
    for (rule, packet, matches) in [
        ("-p tcp --dport 80", &syn, true),
        ("-p tcp --dport 81:", &syn, false),
        ("-p tcp ! --dport :79", &syn, true),
        ("-p tcp --sport 1000:2000 --dport 80", &syn, true),
        ("-p tcp --syn", &syn, true),
        ("-p tcp ! --syn", &syn, false),
        ("-p tcp --syn", &fin_ack, false),
        ("-p tcp --tcp-flags FIN,SYN FIN", &fin_ack, true),
        ("-p tcp --tcp-flags ALL FIN", &fin_ack, false),
        ("-p tcp --tcp-option 2", &syn, false),
        ("-p tcp ! --tcp-option 2", &syn, true),
        ("-p udp --dport 53", &udp(1, 53), true),
        ("-p udp --dport 53", &syn, false),
        ("-p tcp -m multiport --dports 1,2,80", &syn, true),
        ("-p tcp -m multiport ! --dports 1,2,80", &syn, false),
        ("-p tcp -m multiport --ports 1000:1030", &syn, true),
        ("-p tcp -m multiport --sports 80", &syn, false),
        ("-p icmp --icmp-type echo-request", &icmp(8, 0), true),
        ("-p icmp --icmp-type any", &icmp(3, 9), true),
        ("-p icmp ! --icmp-type 3/4", &icmp(3, 9), true),
        ("-p icmp --icmp-type host-prohibited", &icmp(3, 10), true),
    ] {
        assert_eq!(drops(rule, packet), matches, "{rule}");
    }
}

#[test]
fn tcp_options_are_walked_by_their_length() {
    let mut packet = tcp(1, 2, 2);
    // NOP, NOP, timestamps, then one whose length byte is missing.
    packet.extend([1, 1, 8, 10, 0, 0, 0, 3, 0, 0, 0, 5]);
    packet[3] += 12;
    packet[32] = 0x80;
    assert!(drops("-p tcp --tcp-option 8", &packet));
    assert!(drops("-p tcp --tcp-option 1", &packet));
    assert!(!drops("-p tcp --tcp-option 3", &packet), "inside of the timestamps");
    packet[32] = 0x40;
    let walk = Bench::input(&["-p tcp --tcp-option 99 -j ACCEPT"]).walk(&packet);
    assert!(
        matches!(walk, (Verdict::Drop, Some(Decision::Hotdrop { .. }))),
        "header below 20 bytes"
    );
}

#[test]
fn cut_headers_and_fragments() {
    let cut = ipv4(6, &[4, 0, 0, 80, 0, 0, 0, 1]);
    assert!(drops("-p tcp --dport 80", &cut), "the port is there");
    assert!(!drops("-p tcp --syn", &cut), "the flags are not");
    assert!(!drops("-p tcp ! --syn", &cut), "nor are they others");
    let hotdrop = |rule: &str, bytes: &[u8]| {
        let (verdict, decision) = Bench::input(&[&format!("{rule} -j ACCEPT")]).walk(bytes);
        (verdict == Verdict::Drop) && matches!(decision, Some(Decision::Hotdrop { .. }))
    };
    assert!(hotdrop("-p icmp --icmp-type 8", &ipv4(1, &[8, 0, 0])));
    assert!(hotdrop("-p tcp -m multiport --dports 80", &ipv4(6, &[4, 0])));
    assert!(hotdrop("-p tcp --tcp-option 5", &cut));
    assert!(hotdrop("-p tcp -m tcp", &cut));
    assert!(hotdrop("-p udp -m udp", &ipv4(17, &[0, 53, 0, 53])));
    let mut later = tcp(1, 80, 2);
    later[7] = 1;
    for rule in ["-p tcp --dport 80", "-p tcp ! --dport 81", "-p tcp --syn"] {
        assert!(drops(rule, &later), "{rule}: what it carries is taken for a header");
    }
    for rule in ["-p tcp --dport 81", "-p tcp ! --syn", "-p tcp -m multiport --dports 80"] {
        assert!(!drops(rule, &later), "{rule}");
    }
    assert!(hotdrop("-p tcp -m tcp", &later), "it could overwrite the flags");
    later[7] = 2;
    assert!(!drops("-p tcp -m tcp", &later), "it is left to the match itself");
    assert!(drops("-p tcp -f", &later) && drops("-f", &later));
}

#[test]
fn values_beside_the_packet() {
    let packet = udp(1, 2);
    for (rule, matches) in [
        ("-m ttl --ttl-eq 64", true),
        ("-m ttl ! --ttl-eq 64", false),
        ("-m ttl --ttl-lt 64", false),
        ("-m ttl --ttl-gt 63", true),
        ("-m length --length 28", true),
        ("-m length ! --length 0:27", true),
        ("-m length --length 29:", false),
        ("-m mark --mark 0x5", true),
        ("-m mark --mark 4/4", true),
        ("-m mark ! --mark 4/4", false),
        ("-m iprange --src-range 10.0.0.0-10.0.0.5", true),
        ("-m iprange ! --dst-range 192.0.2.1-192.0.2.1", false),
        ("-m addrtype --dst-type LOCAL", true),
        ("-m addrtype --src-type LOCAL,UNICAST ! --dst-type UNICAST", true),
        ("-m pkttype --pkt-type unicast", true),
        ("-m pkttype ! --pkt-type multicast", true),
        ("-m mac --mac-source 02:00:00:00:00:01", true),
        ("-m mac ! --mac-source 02:00:00:00:00:01", false),
        ("-m comment --comment x", true),
    ] {
        let mut bench = Bench::input(&[&format!("{rule} -j DROP")]);
        bench.mark = 5;
        bench.link.source = Some([2, 0, 0, 0, 0, 1]);
        assert_eq!(bench.verdict(&packet) == Verdict::Drop, matches, "{rule}");
        bench.link.source = None;
        if rule.starts_with("-m mac") {
            assert_eq!(bench.verdict(&packet), Verdict::Accept, "{rule}: no hardware address");
        }
    }
}

#[test]
fn states() {
    let tracked = |state| Some(Tracked { state, ..Tracked::UNTRACKED });
    let packet = udp(1, 2);
    for (rule, found, matches) in [
        ("-m state --state NEW,ESTABLISHED", tracked(CtState::Established), true),
        ("-m conntrack --ctstate RELATED", tracked(CtState::Established), false),
        ("-m conntrack ! --ctstate RELATED", tracked(CtState::Established), true),
        ("-m conntrack --ctstate INVALID", None, true),
        ("-m conntrack --ctstate UNTRACKED", tracked(CtState::Untracked), true),
        ("-m conntrack --ctstate INVALID", tracked(CtState::Untracked), false),
        // Without a connection the state alone decides, whatever else is asked for.
        ("-m conntrack --ctstate INVALID --ctproto tcp", tracked(CtState::Invalid), true),
        ("-m conntrack --ctproto tcp", tracked(CtState::Invalid), false),
        ("-m conntrack ! --ctproto tcp", tracked(CtState::Invalid), false),
        ("-m connmark ! --mark 1", tracked(CtState::Invalid), false),
        ("-m helper --helper ftp", tracked(CtState::Invalid), false),
        ("-m helper ! --helper ftp", tracked(CtState::Invalid), true),
    ] {
        let mut bench = Bench::input(&[&format!("{rule} -j DROP")]);
        bench.tracked = found;
        assert_eq!(bench.verdict(&packet) == Verdict::Drop, matches, "{rule}");
    }
}

use keepstate_conntrack::CtState;

#[test]
fn connections() {
    let packet = udp(1000, 53);
    for (rule, matches) in [
        ("--ctproto udp", true),
        ("--ctorigsrc 10.0.0.0/8", true),
        ("! --ctorigdst 192.0.2.1", false),
        ("--ctreplsrc 192.0.2.1 --ctrepldst 10.0.0.1", true),
        ("--ctorigsrcport 1000 --ctorigdstport 50:60", true),
        ("--ctreplsrcport 53 ! --ctrepldstport 1000", false),
        ("--ctstatus NONE", false),
        ("--ctstatus SEEN_REPLY", false),
        ("! --ctstatus SEEN_REPLY,ASSURED", true),
        ("--ctdir ORIGINAL", true),
        ("--ctdir REPLY", false),
        ("--ctexpire 0", true),
        ("--ctstate NEW --ctproto udp", true),
        ("--ctstate NEW,SNAT", true),
        ("--ctstate SNAT", false),
    ] {
        let mut bench = Bench::input(&[&format!("-m conntrack {rule} -j DROP")]);
        let parsed = Parsed::new(&packet).unwrap();
        let template = Template::default();
        let found =
            bench.connections.track_in(bench.now, Hook::Prerouting, &parsed, &packet, &template);
        bench.tracked = Some(found.unwrap());
        assert_eq!(bench.verdict(&packet) == Verdict::Drop, matches, "{rule}");
    }
}

#[test]
fn marks_go_to_and_from_the_connection() {
    let packet = udp(1000, 53);
    let mut bench = Bench::input(&[
        "-j MARK --set-mark 0x12",
        "-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff --left-shift-mark 4",
        "-j MARK --set-mark 0",
        "-m connmark --mark 0x20 -j CONNMARK --restore-mark",
        "-j MARK --or-mark 1",
        "-j MARK --xor-mark 3",
        "-j MARK --and-mark 0xfe",
    ]);
    let parsed = Parsed::new(&packet).unwrap();
    let found =
        bench.connections.track_in(bench.now, Hook::Input, &parsed, &packet, &Template::default());
    bench.tracked = Some(found.unwrap());
    bench.walk(&packet);
    assert_eq!(bench.mark, 0x22);
}

#[test]
fn jumps_returns_and_gotos() {
    let mut bench = Bench::new(
        "*filter\n:INPUT DROP [0:0]\n:one - [0:0]\n:two - [0:0]\n:three - [0:0]\n\
         -A INPUT -p udp -j one\n-A INPUT -p udp --dport 1 -j ACCEPT\n-A INPUT -p tcp -g three\n\
         -A INPUT -j ACCEPT\n\
         -A one -g two\n-A one -j DROP\n-A two -p udp --dport 9 -j RETURN\n\
         -A two -p udp --dport 7 -j DROP\n-A three -j RETURN\nCOMMIT\n",
    );
    let rule = |chain: u32, rule| Some(Decision::Rule { chain: ChainIndex(chain), rule });
    assert_eq!(bench.walk(&udp(5, 1)), (Verdict::Accept, rule(0, 1)), "back past the goto");
    assert_eq!(bench.walk(&udp(5, 9)), (Verdict::Accept, rule(0, 3)));
    assert_eq!(bench.walk(&udp(5, 7)), (Verdict::Drop, rule(4, 1)));
    let policy = Some(Decision::Policy { chain: ChainIndex(0) });
    assert_eq!(bench.walk(&tcp(1, 2, 2)), (Verdict::Drop, policy), "a goto does not come back");
    assert_eq!(bench.counters("INPUT"), [(3, 84), (1, 28), (1, 40), (1, 28), (1, 40)]);
    assert_eq!(bench.counters("two"), [(1, 28), (1, 28), (0, 0)]);
}

#[test]
fn a_return_in_a_built_in_chain_is_the_policy() {
    let mut bench = Bench::new("*filter\n:INPUT DROP [0:0]\n-A INPUT -j RETURN\nCOMMIT\n");
    assert_eq!(bench.verdict(&udp(1, 2)), Verdict::Drop);
    assert_eq!(bench.counters("INPUT"), [(1, 28), (1, 28)]);
}

#[test]
fn rejections_carry_their_answer() {
    for (with, answer) in [
        ("", RejectWith::Icmp(3)),
        ("--reject-with icmp-admin-prohibited", RejectWith::Icmp(13)),
        ("--reject-with tcp-reset", RejectWith::TcpReset),
    ] {
        let mut bench = Bench::input(&[&format!("-p tcp -j REJECT {with}")]);
        assert_eq!(bench.verdict(&tcp(1, 2, 2)), Verdict::Reject(answer), "{with}");
    }
}

#[test]
fn a_limit_begins_full_and_fills_with_time() {
    let mut bench = Bench::input(&["-m limit --limit 2/sec --limit-burst 3 -j DROP"]);
    let packet = udp(1, 2);
    let now = |bench: &mut Bench, milliseconds: u64| {
        bench.now = Instant(bench.now.0 + milliseconds * 1_000_000);
        bench.verdict(&packet) == Verdict::Drop
    };
    let at_once = [0; 4].map(|after| now(&mut bench, after));
    assert_eq!(at_once, [true, true, true, false]);
    assert!(!now(&mut bench, 499));
    assert!(now(&mut bench, 1));
    let after_a_pause = [3_600_000, 0, 0, 0].map(|after| now(&mut bench, after));
    assert_eq!(after_a_pause, [true, true, true, false]);
}

#[test]
fn each_limit_has_its_own_bucket() {
    let mut bench = Bench::input(&[
        "-m comment --comment x -m limit --limit 1/day --limit-burst 1 -j DROP",
        "-m limit --limit 1/day --limit-burst 1 -j DROP",
    ]);
    let verdicts = [0; 3].map(|_| bench.verdict(&udp(1, 2)));
    assert_eq!(verdicts, [Verdict::Drop, Verdict::Drop, Verdict::Accept]);
}

#[test]
fn the_recorder_sees_each_rule_and_what_refused_it() {
    #[derive(Default)]
    struct Steps(Vec<String>);
    impl Recorder for Steps {
        fn rule(&mut self, looked: Looked<'_>, _: &Traversal<'_>) {
            let failed = looked.failed.map(|(number, _)| number);
            self.0.push(format!("{}:{} {failed:?}", looked.chain.0, looked.number));
        }
        fn policy(&mut self, chain: ChainIndex) {
            self.0.push(format!("policy {}", chain.0));
        }
    }
    let mut bench = Bench::input(&[
        "-p udp",
        "-p tcp -m tcp --dport 80 -m mark --mark 1",
        "-m ttl --ttl-eq 64",
    ]);
    let bytes = tcp(1, 80, 2);
    let mut packet = Parsed::new(&bytes).unwrap();
    let mut steps = Steps::default();
    let mut traversal = Traversal {
        now: Instant(0),
        hook: Hook::Input,
        in_interface: None,
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
        conntrack: &mut bench.connections,
        host: &Everywhere,
        stores: &mut Stores::default(),
        unknown: None,
        log: &mut bench.log,
    };
    evaluate(&bench.ruleset.tables[0], &mut bench.state, &mut traversal, &mut steps);
    assert_eq!(steps.0, ["0:0 Some(0)", "0:1 Some(2)", "0:2 None", "policy 0"]);
}

#[test]
fn a_traced_packet_leaves_a_line_at_every_place() {
    // As the kernel has them, but for the numbers: there TRACE stood in the raw table.
    for (rules, places) in [
        ("-A INPUT -j TRACE\n-A INPUT -j DROP", "INPUT:policy:2"),
        ("-A INPUT -j TRACE\n-A INPUT -j RETURN", "INPUT:policy:2 INPUT:policy:3"),
        ("-A INPUT -j TRACE\n-A INPUT -i eth0 -j ACCEPT\n-A INPUT -j DROP", "INPUT:rule:2"),
        ("-A INPUT -j TRACE\n-A INPUT -j c\n-A c -j ACCEPT", "INPUT:rule:2 c:return:1"),
        (
            "-A INPUT -j TRACE\n-A INPUT -g c\n-A INPUT -j DROP\n-A c -p tcp\n-A c -p udp -j RETURN",
            "INPUT:rule:2 c:rule:2 INPUT:policy:4",
        ),
        (
            "-A INPUT -j TRACE\n-A INPUT -g c\n-A INPUT -j DROP\n-A c -p udp",
            "INPUT:rule:2 c:rule:1 c:return:2 INPUT:policy:4",
        ),
        (
            "-A INPUT -j TRACE\n-A INPUT -p udp -j c\n-A INPUT -p udp\n-A c -p tcp\n-A c -j LOG",
            "INPUT:rule:2 c:rule:2 LOG c:return:3 INPUT:rule:3 INPUT:policy:4",
        ),
        ("-A INPUT -m comment --comment x -j ACCEPT", ""),
    ] {
        let mut bench = Bench::new(&format!("*filter\n:c - [0:0]\n{rules}\nCOMMIT\n"));
        bench.verdict(&udp(53, 53));
        let packet = "IN=eth0 OUT= MAC= SRC=10.0.0.1 DST=192.0.2.1 LEN=28 TOS=0x00 PREC=0x00 TTL=64 \
                      ID=4660 PROTO=UDP SPT=53 DPT=53 LEN=8 ";
        let line = |place: &str| match place {
            "LOG" => (4, packet.into()),
            place => (4, format!("TRACE: filter:{place} {packet}")),
        };
        let wanted: Vec<(u8, String)> = places.split_whitespace().map(line).collect();
        let found: Vec<(u8, String)> =
            bench.lines().into_iter().map(|(level, text)| (level, text.into())).collect();
        assert_eq!(found, wanted, "{rules}");
    }
}

#[test]
fn log_lines() {
    let mut bench = Bench::input(&[
        "-p tcp -j LOG --log-prefix \"in: \" --log-level 6 --log-tcp-sequence",
        "-p icmp -j LOG",
        "-p udp -j LOG --log-macdecode",
    ]);
    bench.mark = 0x10;
    bench.verdict(&tcp(1024, 80, 0x12));
    bench.mark = 0;
    bench.link.source = Some([2, 0, 0, 0, 0, 1]);
    bench.link.destination = Some([2, 0, 0, 0, 0, 2]);
    let mut error = icmp(3, 4);
    error.extend(udp(7, 9));
    error[3] += 28;
    bench.verdict(&error);
    bench.verdict(&udp(53, 53));
    let lines = bench.lines();
    let address = "SRC=10.0.0.1 DST=192.0.2.1";
    let expected = [
        format!(
            "in: IN=eth0 OUT= MAC= {address} LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=4660 PROTO=TCP \
             SPT=1024 DPT=80 SEQ=1 ACK=0 WINDOW=4096 RES=0x00 ACK SYN URGP=0 MARK=0x10 "
        ),
        format!(
            "IN=eth0 OUT= MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 {address} LEN=56 TOS=0x00 \
             PREC=0x00 TTL=64 ID=4660 PROTO=ICMP TYPE=3 CODE=4 [{address} LEN=28 TOS=0x00 \
             PREC=0x00 TTL=64 ID=4660 PROTO=UDP SPT=7 DPT=9 LEN=8 ] MTU=1 "
        ),
        format!(
            "IN=eth0 OUT= MACSRC=02:00:00:00:00:01 MACDST=02:00:00:00:00:02 MACPROTO=0800 {address} \
             LEN=28 TOS=0x00 PREC=0x00 TTL=64 ID=4660 PROTO=UDP SPT=53 DPT=53 LEN=8 "
        ),
    ];
    assert_eq!(lines.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [6, 4, 4]);
    assert_eq!(lines.iter().map(|(_, text)| text.to_string()).collect::<Vec<_>>(), expected);
}

#[test]
fn raw_rules_decide_for_tracking_and_the_first_one_counts() {
    let ruleset = load(
        "*raw\n-A PREROUTING -p tcp --dport 21 -j CT --helper ftp --zone-orig 7\n\
         -A PREROUTING -j NOTRACK\nCOMMIT\n",
        Family::V4,
    );
    let mut bench = Bench::input(&[]);
    let mut template = |bytes: &[u8]| {
        let mut packet = Parsed::new(bytes).unwrap();
        let mut template = Template::default();
        let mut traversal = Traversal {
            now: Instant(0),
            hook: Hook::Prerouting,
            in_interface: None,
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
            template: &mut template,
            conntrack: &mut bench.connections,
            host: &Everywhere,
            stores: &mut Stores::default(),
            unknown: None,
            log: &mut bench.log,
        };
        let table = ruleset.table(TableName::Raw).unwrap();
        evaluate(table, &mut TableState::new(table), &mut traversal, &mut ());
        template
    };
    let ftp = template(&tcp(5000, 21, 2));
    let named = |name| keepstate_conntrack::helpers::Instance::named(name, Family::V4, 6);
    assert!(!ftp.notrack);
    assert_eq!((ftp.helper, ftp.zone.id, ftp.zone.directions), (named("ftp"), 7, 1));
    assert!(template(&udp(1, 2)).notrack);
}

#[test]
fn the_deepest_chain_that_is_allowed_and_one_deeper() {
    let nested = |depth: usize| {
        let mut text = String::from("*filter\n");
        for at in 0..depth {
            text.push_str(&format!(":c{at} - [0:0]\n"));
        }
        text.push_str("-A INPUT -j c0\n");
        for at in 1..depth {
            text.push_str(&format!("-A c{} -j c{at}\n", at - 1));
        }
        text.push_str(&format!("-A c{} -j DROP\nCOMMIT\n", depth - 1));
        text
    };
    assert_eq!(Bench::new(&nested(CHAIN_DEPTH_MAX)).verdict(&udp(1, 2)), Verdict::Drop);
    let faults = iptables_save::parse(&nested(CHAIN_DEPTH_MAX + 1), Family::V4).unwrap_err();
    assert_eq!(faults[0].code, crate::diagnostic::code::TOO_DEEP);
}
