use super::*;
use crate::evaluate::{Frame, HostFacts, State, Stores, Traversal};
use crate::kept::{Kept, Variant, ask};
use crate::labels::LabelNames;
use crate::matches::header::FrameHeader;
use crate::model::{NfProto, Rule, TableName};
use crate::syntax::iptables_save::interface_pattern;
use crate::syntax::iptables_save::words::words;
use crate::verdict::Answer;
use alloc::{format, string::String, string::ToString, vec, vec::Vec};
use keepstate_conntrack::{Hook, Sysctls, Table as Connections, table::Template};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo, PacketType, Parsed};

/// A command on tables: what it prints, or its status and what is said of it.
fn command(kept: &mut Kept, line: &str) -> Result<String, (u8, String)> {
    let words = words(line, 0, &mut Vec::new());
    let refused = |refusal: crate::kept::Refusal| {
        let bare = crate::kept::Refusal { faults: Vec::new(), ..refusal };
        let text = bare.text(kept_tool(kept.family), Variant::Nft, None, ("", ""));
        (bare.status, text.lines().next().unwrap_or("").to_string())
    };
    let asked = ask(&words, line, kept.family, Variant::Nft).map_err(refused)?;
    kept.clone().apply(&asked, LabelNames::NONE, true).map_err(refused)?;
    Ok(kept.apply(&asked, LabelNames::NONE, true).unwrap_or_default())
}

fn kept_tool(family: NfProto) -> &'static str {
    family.tool()
}

/// A rule as it is saved, behind its chain.
fn saved(family: NfProto, place: &str, rule: &str) -> Result<String, (u8, String)> {
    let mut kept = Kept::new(family, Variant::Nft);
    command(&mut kept, &format!("{place} {rule}"))?;
    let mut out = String::new();
    for table in kept.order() {
        kept.save(&mut out, table, false);
    }
    let line = out.lines().find_map(|line| line.strip_prefix("-A ")).expect("a rule");
    Ok(line.split_once(' ').expect("more").1.to_string())
}

/// What is saved, or the status and a piece of the text; `=`: as it was given.
type Row = (&'static str, &'static str);

fn check(family: NfProto, place: &str, rows: &[Row]) {
    for (rule, wanted) in rows {
        let wanted = if *wanted == "=" { rule } else { wanted };
        match saved(family, place, rule) {
            Ok(found) => {
                assert_eq!(found, *wanted, "{rule}");
                assert_eq!(saved(family, place, &found).as_ref(), Ok(&found), "{rule}, again");
            }
            Err((status, text)) => {
                let (code, piece) = wanted.split_once(' ').unwrap_or((wanted, ""));
                assert_eq!(status.to_string(), code, "{rule}: {text}");
                assert!(text.contains(piece), "{rule}: {text}");
            }
        }
    }
}

#[test]
fn headers_of_ebtables() {
    let rows = &[
        ("-s 1:2:3:4:5:6", "-s 01:02:03:04:05:06 -j CONTINUE"),
        ("-d ff:ff:ff:ff:ff:ff -s unicast -j DROP", "-s Unicast -d Broadcast -j DROP"),
        ("-d 01:80:c2:00:00:00 -j CONTINUE", "-d BGA -j CONTINUE"),
        ("-p ! ip -i eth+ -o ! eth1 -j RETURN", "! -p IPv4 -i eth+ ! -o eth1 -j RETURN"),
        ("-p LENGTH", "-p Length -j CONTINUE"),
        ("-p 0x88cc", "-p LLDP -j CONTINUE"),
        ("-p ffff", "-p 0xffff -j CONTINUE"),
        ("--logical-in br0 --logical-out br+", "--logical-in br0 --logical-out br+ -j CONTINUE"),
        ("-i + --logical-in + -p ip", "-p IPv4 -j CONTINUE"),
        ("! -i +", "! -i + -j CONTINUE"),
        ("--proto=ARP --in-if a --dst Multicast", "-p ARP -d Multicast -i a -j CONTINUE"),
        ("-p 0x5ff", "2 Sorry, protocols have values above or equal to 0x0600"),
        ("-p foo", "2 Problem with the specified Ethernet protocol 'foo'"),
        ("-p 0x10000", "2 Problem with the specified protocol"),
        ("-s 1:2:3", "2 Problem with specified source mac '1:2:3'"),
        ("-s 1:2:3:4:5:6/0:0:0:0:0:0", "4 RULE_APPEND failed (Invalid argument)"),
        ("-p ip -p arp", "2 Multiple use of same option not allowed"),
        ("-j nochain", "2 Chain 'nochain' does not exist"),
        ("--foo", "2 Unknown argument: '(null)'"),
        ("foo", "2 Bad argument : 'foo'"),
    ];
    check(NfProto::Bridge, "-A FORWARD", rows);
    let output = &[
        ("-i a", "2 Use -i only in INPUT, FORWARD, PREROUTING and BROUTING chains"),
        ("-o a -j ACCEPT", "="),
    ];
    check(NfProto::Bridge, "-A OUTPUT", output);
}

#[test]
fn matches_of_ebtables() {
    let rows = &[
        (
            "-p ip --ip-src 1.2.3.4/24 --ip-tos 10",
            "-p IPv4 --ip-src 1.2.3.0/24 --ip-tos 0x0A -j CONTINUE",
        ),
        (
            "-p IPv4 --ip-proto udp ! --ip-sport 4: -j DROP",
            "-p IPv4 --ip-proto udp ! --ip-sport 4:65535 -j DROP",
        ),
        (
            "-p IPv4 --ip-proto icmp --ip-icmp-type 3/1 -j DROP",
            "-p IPv4 --ip-proto icmp --ip-icmp-type host-unreachable -j DROP",
        ),
        (
            "-p IPv4 --ip-proto icmp ! --ip-icmp-type 1:10 -j DROP",
            "-p IPv4 --ip-proto icmp ! --ip-icmp-type 1:10/0:255 -j DROP",
        ),
        (
            "-p IPv4 --ip-proto igmp --ip-igmp-type 17 -j DROP",
            "-p IPv4 --ip-proto igmp --ip-igmp-type membership-query -j DROP",
        ),
        (
            "-p IPv6 --ip6-src fe80::1/64 --ip6-proto ipv6-icmp --ip6-icmp-type 135/0 -j DROP",
            "-p IPv6 --ip6-src fe80::/64 --ip6-proto ipv6-icmp --ip6-icmp-type 135/0 -j DROP",
        ),
        (
            "-p ARP --arp-op reply ! --arp-mac-src Broadcast -j DROP",
            "-p ARP --arp-op Reply ! --arp-mac-src ff:ff:ff:ff:ff:ff -j DROP",
        ),
        (
            "-p 802_1Q --vlan-id 5 --vlan-prio 3 --vlan-encap ip -j DROP",
            "-p 802_1Q --vlan-id 5 --vlan-encap 0800 -j DROP",
        ),
        (
            "-p Length --802_3-sap 0xA --802_3-type 10 -j DROP",
            "-p Length --802_3-sap 0x0a --802_3-type 0x0010 -j DROP",
        ),
        (
            "--stp-type 0 --stp-root-cost 2: --stp-port :2 -j DROP",
            "--stp-type config --stp-root-cost 2:4294967295 --stp-port 0:2 -j DROP",
        ),
        (
            "--mark ! 5/7 --pkttype-type 3 -j DROP",
            "! --mark 0x5/0x7 --pkttype-type otherhost -j DROP",
        ),
        ("--mark /7 -j DROP", "--mark /0x7 -j DROP"),
        ("--mark 5/4294967295 --pkttype-type 1f -j DROP", "--mark 0x5 --pkttype-type 1f -j DROP"),
        ("-p ! 802_1Q --vlan-id 5 -j DROP", "! -p 802_1Q --vlan-id 5 -j DROP"),
        ("-p ! LENGTH --802_3-sap 7b -j DROP", "! -p Length --802_3-sap 0x7b -j DROP"),
        ("--pkttype-type 254", "2 Problem with specified pkttype class"),
        ("--limit 20000/m -j DROP", "--limit 333/sec --limit-burst 5 -j DROP"),
        (
            "--log --log-ip --log-prefix \"a b\" --nflog -j DROP",
            "--log-level notice --log-prefix \"a b\" --log-ip --nflog-group 1 -j DROP",
        ),
        (
            "--among-src 2:2:3:4:5:6=1.2.3.4,1:2:3:4:5:7 -j DROP",
            "--among-src 1:2:3:4:5:7,2:2:3:4:5:6=1.2.3.4 -j DROP",
        ),
        ("! --among-dst 2:2:3:4:5:6, -j DROP", "! --among-dst 2:2:3:4:5:6 -j DROP"),
        ("--ip-src 1.2.3.4", "4 Invalid argument"),
        ("-p ! ip --ip-src 1.2.3.4", "4 Invalid argument"),
        ("-p ip --ip-sport 5", "4 Invalid argument"),
        ("-p ip --ip-proto tcp --ip-sport 2:1", "2 invalid portrange (min > max)"),
        ("-p ip --ip-proto icmp --ip-icmp-type echo-re", "2 Ambiguous ICMP type"),
        ("--802_3-sap 1", "2 For 802.3 DSAP/SSAP filtering the protocol must be LENGTH"),
        ("--limit ! 5/s", "2 Unexpected `!' after --limit"),
        ("--stp-port 2:1", "2 Bad --stp-port-range"),
        ("-p 802_1Q --vlan-id 4095", "2 Invalid --vlan-id range ('4095')"),
        ("--log-prefix 123456789012345678901234567890", "2 Prefix too long"),
        ("--mark foo", "2 Bad mark value 'foo'"),
        ("--among-src 2:2", "2 Invalid MAC address '2:2'"),
    ];
    check(NfProto::Bridge, "-A INPUT", rows);
}

#[test]
fn targets_of_both() {
    let nat = &[
        (
            "-j dnat --to-destination 1:2:3:4:5:6",
            "-j dnat --to-dst 01:02:03:04:05:06 --dnat-target ACCEPT",
        ),
        ("-j redirect --redirect-target DROP", "="),
        ("-j redirect", "-j redirect "),
        (
            "-p ARP -j arpreply --arpreply-target DROP",
            "-p ARP -j arpreply --arpreply-mac 00:00:00:00:00:00",
        ),
        ("-j arpreply", "4 Invalid argument"),
        ("-j snat --to-src 1:2:3:4:5:6", "4 Invalid argument"),
        ("-j dnat", "2 You must specify proper arguments"),
        ("-j dnat --to-dst 1:2:3:4:5:6 --dnat-target FOO", "2 Illegal --dnat-target target"),
        ("-p ARP -j arpreply ! --arpreply-target ACCEPT", "2 cannot be inverted"),
    ];
    check(NfProto::Bridge, "-t nat -A PREROUTING", nat);
    let post = &[(
        "-j snat --snat-arp --to-src 1:2:3:4:5:6",
        "-j snat --to-src 01:02:03:04:05:06 --snat-arp --snat-target ACCEPT",
    )];
    check(NfProto::Bridge, "-t nat -A POSTROUTING", post);
    let broute = &[("-j redirect --redirect-target DROP", "=")];
    check(NfProto::Bridge, "-t broute -A BROUTING", broute);
    let filter = &[
        ("-j mark --set-mark 5", "-j mark --mark-set 0x5 --mark-target ACCEPT"),
        ("-j mark --mark-xor 0xff --mark-target CONTINUE", "="),
        ("-j mark", "2 You must specify some option"),
        ("-j dnat --to-dst 1:2:3:4:5:6", "4 Invalid argument"),
    ];
    check(NfProto::Bridge, "-A FORWARD", filter);
    let arp = &[
        ("-j mangle -d 1.2.3.4 --mangle-ip-d 1.2.3.5", "="),
        (
            "-j mangle --mangle-ip-s 1.2.3.4 --mangle-target ACCEPT",
            "-j mangle --mangle-ip-s 1.2.3.4",
        ),
        (
            "-j mangle --mangle-mac-d 1:2:3:4:5:6 --mangle-ip-s 1.2.3.4 --mangle-target DROP",
            "-j mangle --mangle-ip-s 1.2.3.4 --mangle-mac-d 01:02:03:04:05:06 --mangle-target DROP",
        ),
        ("-j MARK --set-mark 0x10", "-j MARK --set-mark 10"),
        ("-j MARK --or-mark 17", "="),
        ("-j CLASSIFY --set-class 1:ffff", "="),
        ("-j mangle", "4 Invalid argument"),
        (
            "-j mangle --mangle-ip-s 1.2.3.4 --mangle-target RETURN",
            "2 bad target for --mangle-target",
        ),
        ("-j CLASSIFY", "2 CLASSIFY: option \"--set-class\" must be specified"),
    ];
    check(NfProto::Arp, "-A OUTPUT", arp);
}

#[test]
fn headers_of_arptables() {
    let rows = &[
        ("-s 192.168.0.1", "="),
        ("-s ! 0.0.0.0", "! -s 0.0.0.0"),
        ("-j DROP -i lo", "="),
        ("-i + -j ACCEPT", "-j ACCEPT"),
        ("--destination-mac 11:22:33:44:55:66 -i lo", "-i lo --dst-mac 11:22:33:44:55:66"),
        ("! --src-mac Multicast", "! --src-mac 01:00:00:00:00:00/01:00:00:00:00:00"),
        (
            "--src-mac ! 01:02:03:04:05:06 --h-length ! 6 --opcode ! Request --h-type ! Ethernet --proto-type ! ipv4",
            "! --src-mac 01:02:03:04:05:06 ! --h-length 6 ! --opcode 1 ! --h-type 0x1 ! --proto-type 0x800",
        ),
        ("--h-type 0x10", "="),
        ("--proto-type 10/10", "--proto-type 0xa/0xa"),
        ("-l 7", "2 Only harware address length of 6 is supported currently."),
        ("--opcode foo", "2 Problem with specified opcode"),
        ("-o lo", "2 Can't use -o with INPUT"),
        ("-m tcp", "2 unknown option \"-m\""),
        ("-s 1.1.1.1 -s 2.2.2.2", "2 multiple -s flags not allowed"),
        ("! -s 0.0.0.0/0", "4 RULE_APPEND failed (Invalid argument): rule in chain INPUT"),
    ];
    check(NfProto::Arp, "-A INPUT", rows);
}

#[test]
fn listings() {
    let mut kept = Kept::new(NfProto::Bridge, Variant::Nft);
    for line in ["-N foo -P DROP", "-A INPUT -s 1:2:3:4:5:6 --log -j foo -c 5 6", "-A foo -p ARP"] {
        command(&mut kept, line).expect(line);
    }
    assert_eq!(
        command(&mut kept, "-L --Ln --Lc").as_deref(),
        Ok("Bridge table: filter\n\n\
            Bridge chain: INPUT, entries: 1, policy: ACCEPT\n\
            1 -s 01:02:03:04:05:06 --log-level notice -j foo , pcnt = 5 -- bcnt = 6\n\n\
            Bridge chain: FORWARD, entries: 0, policy: ACCEPT\n\n\
            Bridge chain: OUTPUT, entries: 0, policy: ACCEPT\n\n\
            Bridge chain: foo, entries: 1, policy: RETURN\n\
            1 -p ARP -j CONTINUE , pcnt = 0 -- bcnt = 0\n")
    );
    let mut out = String::new();
    kept.save(&mut out, TableName::Filter, true);
    assert_eq!(
        out,
        "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:foo DROP\n\
         [5:6] -A INPUT -s 01:02:03:04:05:06 --log-level notice -j foo\n\
         [0:0] -A foo -p ARP -j CONTINUE\n"
    );
    let rules = parse(&out, NfProto::Bridge).expect("its own text");
    assert_eq!(print(&rules, true), out);
    let mut kept = Kept::new(NfProto::Arp, Variant::Nft);
    command(&mut kept, "-A INPUT --opcode Request -s 10.0.0.0/8 -j DROP -c 123456 7")
        .expect("a rule");
    let line = "-j DROP -i any -o any -s 10.0.0.0/8 --opcode Request , pcnt=123K -- bcnt=7 \n";
    let wanted = format!("Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n{line}");
    assert_eq!(command(&mut kept, "-L INPUT -v"), Ok(wanted));
    let wanted = "Chain INPUT (policy ACCEPT)\n1 -j DROP -s 10.0.0.0/8 --opcode 1\n";
    assert_eq!(command(&mut kept, "-L INPUT -n --line-numbers").as_deref(), Ok(wanted));
    assert_eq!(command(&mut kept, "-v -A OUTPUT").as_deref(), Ok("-i * -o *\n"));
}

#[test]
fn commands_of_ebtables_alone() {
    let mut kept = Kept::new(NfProto::Bridge, Variant::Nft);
    let mut run = |line: &str| command(&mut kept, line).map(|out| out.lines().count());
    for line in ["-A INPUT --mark 1", "-A INPUT --mark 2 -c 4 4", "-A INPUT --mark 3", "-A INPUT"] {
        assert_eq!(run(line), Ok(0), "{line}");
    }
    assert_eq!(run("-C INPUT 7 8 --mark 1"), Ok(0));
    assert_eq!(run("-C INPUT 2:3 +1 -1"), Ok(0));
    assert_eq!(run("-D INPUT 4"), Ok(0));
    assert_eq!(run("--check INPUT --mark 3"), Ok(0));
    assert_eq!(run("--check INPUT --mark 4").map_err(|refused| refused.0), Err(1));
    let no_policy = Err((2, "ebtables v1.8.11 (nf_tables): Wrong policy 'FOO'".into()));
    assert_eq!(run("-P INPUT FOO"), no_policy);
    assert_eq!(run("-P INPUT RETURN").map_err(|refused| refused.0), Err(2));
    assert_eq!(run("-D INPUT 0").map_err(|refused| refused.0), Err(2));
    assert_eq!(run("-A INPUT -L").map_err(|refused| refused.0), Err(2));
    let mut out = String::new();
    kept.save(&mut out, TableName::Filter, true);
    let rules: Vec<&str> = out.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(
        rules,
        [
            "[7:8] -A INPUT --mark 0x1 -j CONTINUE",
            "[5:3] -A INPUT --mark 0x2 -j CONTINUE",
            "[1:18446744073709551615] -A INPUT --mark 0x3 -j CONTINUE"
        ]
    );
    command(&mut kept, "--init-table").expect("no more rules");
    assert_eq!(kept.rule_count(), 0);
}

#[test]
fn whose_file_it_is() {
    assert_eq!(
        family_of("# Generated by ebtables-save v1.8.9 (nf_tables)\n*filter\n"),
        Some(NfProto::Bridge)
    );
    assert_eq!(family_of("# Generated by arptables-save v1\n*filter\n"), Some(NfProto::Arp));
    assert_eq!(family_of("*broute\n:BROUTING ACCEPT\n"), Some(NfProto::Bridge));
    assert_eq!(family_of("# Generated by iptables-save v1\n*filter\n"), None);
    let faults = parse("*mangle\n:INPUT ACCEPT\n-A INPUT\n", NfProto::Bridge).unwrap_err();
    assert!(faults.len() >= 2, "{faults:?}");
}

#[derive(Debug)]
struct NoHost;

impl HostFacts for NoHost {
    fn address_type(
        &self,
        _: Family,
        _: Address,
        _: Option<InterfaceName>,
    ) -> crate::evaluate::AddressType {
        crate::evaluate::AddressType::Unicast
    }
}

/// Whether the matches of a rule are met by a frame of this EtherType from 02:00:00:00:00:01 to
/// 02:00:00:00:00:02.
fn met(rule: &str, ethertype: u16, tag: Option<u16>, bytes: &[u8]) -> bool {
    let text = format!("*filter\n-A FORWARD {rule}\n");
    let rules = parse(&text, NfProto::Bridge).unwrap_or_else(|faults| panic!("{rule}: {faults:?}"));
    let chains = rules.tables[0].chains.iter();
    let rule: &Rule = chains.flat_map(|chain| &chain.rules).next().expect("a rule");
    let mut parsed = Parsed::new(&crate::matches::testing::ipv4(17, &[0; 8])).expect("a packet");
    let (from, to) = (InterfaceName::new("p1"), InterfaceName::new("p2"));
    let bridge = InterfaceName::new("br0");
    let frame = Frame {
        ethertype,
        tag,
        logical_in: bridge.as_ref(),
        logical_out: bridge.as_ref(),
        ..Frame::default()
    };
    let mut bytes = bytes.to_vec();
    let mut traversal = Traversal {
        now: Instant(0),
        hook: Hook::Forward,
        in_interface: from.as_ref(),
        out_interface: to.as_ref(),
        packet: &mut parsed,
        bytes: &mut bytes,
        link: LinkInfo {
            source: Some([2, 0, 0, 0, 0, 1]),
            destination: Some([2, 0, 0, 0, 0, 2]),
            packet_type: PacketType::OtherHost,
            segment: 0,
        },
        frame: Some(frame),
        mark: 5,
        secmark: 0,
        priority: 0,
        traced: false,
        verified: false,
        unfinished: &mut None,
        tracked: None,
        template: &mut Template::default(),
        conntrack: &mut Connections::new([1, 2], Sysctls { max: 64, ..Sysctls::default() }),
        host: &NoHost,
        stores: &mut Stores::new(7),
        log: &mut Vec::new(),
        unknown: None,
    };
    rule.matches.iter().all(|one| one.matches(&mut traversal, &mut State::default()) == Answer::Yes)
}

#[test]
fn frames_meet_matches() {
    let ip = crate::matches::testing::ipv4(17, &[0, 53, 0, 80, 0, 8, 0, 0]);
    for (rule, wanted) in [
        ("-p IPv4 -s 2:0:0:0:0:1 -d Unicast", true),
        ("-p ! IPv4", false),
        ("-d Multicast", false),
        ("--logical-in br+ ! --logical-out br0", false),
        ("-p IPv4 --ip-src 10.0.0.0/8 --ip-proto udp --ip-sport 53 --ip-dport ! 81", true),
        ("-p IPv4 --ip-proto tcp", false),
        ("--mark 0x5 --pkttype-type otherhost", true),
        ("--mark /0x2", false),
        ("--among-src 2:0:0:0:0:1=10.0.0.1", true),
        ("--among-src 2:0:0:0:0:1=10.0.0.2", false),
        ("! --among-dst 2:0:0:0:0:3", true),
    ] {
        assert_eq!(met(rule, 0x0800, None, &ip), wanted, "{rule}");
    }
    assert!(met("-p 802_1Q --vlan-id 42 --vlan-encap ip", 0x0800, Some(42), &ip));
    assert!(!met("-p IPv4", 0x0800, Some(42), &ip));
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1];
    arp.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    for (rule, wanted) in [
        ("-p ARP --arp-op Request --arp-ip-src 10.0.0.1 --arp-mac-src 2:0:0:0:0:1", true),
        ("-p ARP --arp-ip-dst ! 10.0.0.0/8", false),
        ("-p ARP --arp-gratuitous", false),
        ("-p ARP ! --arp-gratuitous --arp-htype 1 --arp-ptype 0x800", true),
    ] {
        assert_eq!(met(rule, 0x0806, None, &arp), wanted, "{rule}");
    }
    let mut bpdu = vec![0x42, 0x42, 3, 0, 0, 0, 0, 1];
    bpdu.extend([0x80, 0, 2, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0x80, 1, 2, 0, 0, 0, 0, 8, 0x80, 2]);
    bpdu.extend([0, 1, 0, 20, 0, 2, 0, 15]);
    for (rule, wanted) in [
        // A byte too early, as the kernel reads them.
        ("--stp-type config --stp-flags 0 --stp-root-prio 384", true),
        ("--stp-type tcn", false),
        ("--stp-root-addr 0:2:0:0:0:0 --stp-root-cost 150994944 --stp-sender-prio 1920", true),
        ("--stp-root-prio 32768", false),
        ("--stp-sender-addr 1:2:0:0:0:0 --stp-port 2176 --stp-msg-age 512:", true),
        ("-p Length --802_3-sap 0x42", true),
    ] {
        assert_eq!(met(rule, 38, None, &bpdu), wanted, "{rule}");
    }
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 0x20, 0x04];
    assert!(met("-p Length --802_3-type 0x2004", 8, None, &snap));
    assert!(!met("-p Length --802_3-type 0x2005", 8, None, &snap));
}

#[test]
fn the_header_is_the_first_match() {
    let rules =
        parse("*filter\n-A INPUT -p ARP --mark 1 -j DROP\n", NfProto::Bridge).expect("a file");
    let rule = &rules.tables[0].chains[0].rules[0];
    assert!(matches!(FrameHeader::of(&rule.matches), Some(FrameHeader::Ethernet(_))));
    let bare = parse("*filter\n-A INPUT --mark 1 -j DROP\n", NfProto::Bridge).expect("a file");
    assert_eq!(FrameHeader::of(&bare.tables[0].chains[0].rules[0].matches), None);
}

/// Found by fuzzing: what was printed had no name at all.
#[test]
fn no_interface_is_called_by_a_byte_of_zero() {
    let text = "*filter\n-A FORWARD -i \0\0 -j DROP\nCOMMIT\n";
    assert!(parse(text, NfProto::Bridge).is_err());
    assert!(interface_pattern("a\0").is_none());
}
