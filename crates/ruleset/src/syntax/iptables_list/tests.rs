use super::{
    Columns, ROW_BYTES_MAX, ROW_WORDS_MAX, convert, family_of, is_column_head, is_listing, parse,
    read_chain_head, read_column_head, read_row, read_row_under,
};
use crate::diagnostic::code;
use crate::labels::LabelNames;
use crate::model::{Policy, TableName};
use crate::syntax::iptables_save::print_rule;
use alloc::{format, string::String, vec::Vec};
use keepstate_packet::Family;

fn save(line: &str) -> String {
    let row = read_row(line).unwrap_or_else(|| panic!("no row: {line}"));
    assert_eq!(row.unread, Vec::<String>::new(), "{line}");
    row.save_words()
}

#[test]
fn the_row_copied_from_a_web_page_keeps_what_is_left() {
    let row = read_row("ACCEPT     tcp  --             state RELATED,ESTABLISHED ").unwrap();
    assert_eq!(row.target.as_deref(), Some("ACCEPT"));
    assert_eq!((row.source.as_deref(), row.destination.as_deref()), (None, None));
    assert_eq!(row.in_interface, None);
    assert_eq!(row.save_words(), "-p tcp -m state --state RELATED,ESTABLISHED -j ACCEPT");
}

#[test]
fn names_of_vlans_are_interfaces() {
    for (row, rule) in [
        (
            " 476 33317 filter_1012  all      *      eth1.1012  ::/0                 2001:db8::/64",
            "-d 2001:db8::/64 -o eth1.1012 -j filter_1012",
        ),
        (
            " 10 20 ACCEPT all -- eth0.10 eth1.20 0.0.0.0/0 10.0.0.1",
            "-d 10.0.0.1 -i eth0.10 -o eth1.20 -j ACCEPT",
        ),
        (
            "ACCEPT udp -- ns.example.org 10.0.0.1 udp spt:53",
            "-d 10.0.0.1 -p udp -m udp --sport 53 -j ACCEPT",
        ),
    ] {
        assert_eq!(read_row(row).unwrap().save_words(), rule, "{row}");
    }
}

#[test]
fn what_targets_print_of_themselves() {
    for (row, rule) in [
        (
            "LOG all -- anywhere anywhere LOG level warn uid macdecode",
            "-j LOG --log-level warning --log-uid --log-macdecode",
        ),
        ("LOG all -- anywhere anywhere LOG level err", "-j LOG --log-level error"),
        ("CT tcp -- anywhere anywhere CT helper ftp zone 3", "-p tcp -j CT --helper ftp --zone 3"),
        ("CT all -- anywhere anywhere CT notrack", "-j CT --notrack"),
        ("CT all -- anywhere anywhere NOTRACK", "-j NOTRACK"),
        ("CONNSECMARK all -- anywhere anywhere CONNSECMARK restore", "-j CONNSECMARK --restore"),
        ("ACCEPT ipv6-opts -- anywhere anywhere", "-p ipv6-opts -j ACCEPT"),
    ] {
        assert_eq!(save(row), rule, "{row}");
    }
}

/// Left: rows printed by iptables 1.8.9 for the rules at the right.
#[test]
fn rows_of_iptables_become_the_rules_they_were_printed_for() {
    for (row, rule) in [
        (
            "LOG        tcp  --  anywhere             anywhere             tcp dpt:!ssh \
             flags:SYN,RST,ACK/SYN LOG level debug tcp-options prefix \"a b \"",
            "-p tcp -m tcp ! --dport 22 --tcp-flags SYN,RST,ACK SYN -j LOG --log-level debug \
             --log-tcp-options --log-prefix \"a b \"",
        ),
        (
            "LOG        6    --  0.0.0.0/0            0.0.0.0/0            tcp dpt:!22 \
             flags:0x16/0x02 LOG flags 2 level 7 prefix \"a b \"",
            "-p 6 -m tcp ! --dport 22 --tcp-flags SYN,RST,ACK SYN -j LOG --log-tcp-options \
             --log-level 7 --log-prefix \"a b \"",
        ),
        (
            "    0     0 REJECT     6    --  *      *       0.0.0.0/0            0.0.0.0/0    \
             multiport dports  !80,443 reject-with tcp-reset",
            "-p 6 -m multiport ! --dports 80,443 -j REJECT --reject-with tcp-reset",
        ),
        (
            "3        0     0 ACCEPT     icmp --  any    any     anywhere             anywhere  \
             icmp echo-request limit: avg 3/min burst 5",
            "-p icmp -m icmp --icmp-type echo-request -m limit --limit 3/min --limit-burst 5 -j \
             ACCEPT",
        ),
        (
            "MARK       all  --  anywhere   anywhere   mark match ! 0x1/0xff connmark match  0x3 \
             MARK set 0x5",
            "-m mark ! --mark 0x1/0xff -m connmark --mark 0x3 -j MARK --set-mark 0x5",
        ),
        (
            "    0     0 DROP       0    --  eth+   *      !10.0.0.0/8           0.0.0.0/0     \
             ADDRTYPE match dst-type LOCAL limit-in PKTTYPE = broadcast length 0:100",
            "! -s 10.0.0.0/8 -i eth+ -m addrtype --dst-type LOCAL --limit-iface-in -m pkttype \
             --pkt-type broadcast -m length --length 0:100 -j DROP",
        ),
        (
            "           all  --  anywhere             anywhere             TTL match TTL < 5 MAC \
             00:11:22:33:44:55 source IP range 1.2.3.4-1.2.3.9 helper match \"ftp\"",
            "-m ttl --ttl-lt 5 -m mac --mac-source 00:11:22:33:44:55 -m iprange --src-range \
             1.2.3.4-1.2.3.9 -m helper --helper ftp",
        ),
        (
            "CONNMARK   all  --  anywhere  anywhere  ! ctstate INVALID,NEW ctdir ORIGINAL \
             ctstatus ASSURED CONNMARK save",
            "-m conntrack ! --ctstate INVALID,NEW --ctdir ORIGINAL --ctstatus ASSURED -j \
             CONNMARK --save-mark",
        ),
        ("foo        all  --  anywhere             anywhere            [goto] ", "-g foo"),
        ("foo       !6    -f  0.0.0.0/0            0.0.0.0/0           ", "! -p 6 -f -j foo"),
        (
            "CT         6    --  0.0.0.0/0            0.0.0.0/0            tcp dpt:21 CT helper \
             ftp",
            "-p 6 -m tcp --dport 21 -j CT --helper ftp",
        ),
        (
            "CT         17   --  0.0.0.0/0            0.0.0.0/0            udp dpt:54 NOTRACK",
            "-p 17 -m udp --dport 54 -j NOTRACK",
        ),
        (
            "           1    --  0.0.0.0/0            0.0.0.0/0            icmptype 3 code 4",
            "-p 1 -m icmp --icmp-type 3/4",
        ),
        (
            "ACCEPT     58   --  ::/0                 ::/0                 ipv6-icmptype 135 HL \
             match HL == 255",
            "-p 58 -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT",
        ),
        (
            "REJECT     6    --  0.0.0.0/0            0.0.0.0/0            #conn src/24 > 20 \
             connbytes 1000:2000 connbytes mode bytes connbytes direction both reject-with \
             icmp-port-unreachable",
            "-p 6 -m connlimit --connlimit-above 20 --connlimit-mask 24 --connlimit-saddr -m \
             connbytes --connbytes 1000:2000 --connbytes-mode bytes --connbytes-dir both -j REJECT \
             --reject-with icmp-port-unreachable",
        ),
        (
            "ACCEPT     tcp  --  anywhere             anywhere             #conn dst/32 <= 2 ! \
             connbytes 10 connbytes mode avgpkt connbytes direction reply length !40 connlabel ! 5 \
             set",
            "-p tcp -m connlimit --connlimit-upto 2 --connlimit-mask 32 --connlimit-daddr -m \
             connbytes ! --connbytes 10 --connbytes-mode avgpkt --connbytes-dir reply -m length ! \
             --length 40 -m connlabel ! --label 5 --set -j ACCEPT",
        ),
        (
            "CONNMARK   0    --  0.0.0.0/0            0.0.0.0/0            source IP range \
             10.0.0.1-10.0.0.20 destination IP range ! 10.1.0.0-10.1.0.5 CONNMARK save nfmask 0xff \
             ctmask ~0xf0",
            "-m iprange --src-range 10.0.0.1-10.0.0.20 ! --dst-range 10.1.0.0-10.1.0.5 -j CONNMARK \
             --save-mark --nfmask 0xff --ctmask 0xf0",
        ),
        (
            "ACCEPT     tcp      anywhere             2001:db8::/32        tcp dpt:http /* web */",
            "-d 2001:db8::/32 -p tcp -m tcp --dport 80 -m comment --comment \"web\" -j ACCEPT",
        ),
    ] {
        assert_eq!(save(row), rule);
    }
}

#[test]
fn names_in_address_columns_are_owned_up_to() {
    let row = read_row("ACCEPT tcp -- fw.example.org anywhere tcp dpt:smtp").unwrap();
    assert_eq!(row.unresolved, ["fw.example.org"]);
    assert_eq!(row.save_words(), "-p tcp -m tcp --dport 25 -j ACCEPT");
}

#[test]
fn unknown_words_are_kept_and_not_guessed_at() {
    let row = read_row("DROP  all  --  anywhere  anywhere  STRING match \"x\" ALGO").unwrap();
    assert_eq!(row.unread, ["STRING", "match", "\"x\"", "ALGO"]);
}

#[test]
fn heads_of_chains() {
    assert_eq!(
        read_chain_head("Chain INPUT (policy DROP 0 packets, 0 bytes)"),
        Some(("INPUT", Some("DROP")))
    );
    assert_eq!(read_chain_head("Chain foo (2 references)"), Some(("foo", None)));
    assert_eq!(read_chain_head("Chain of command (long)"), None);
    assert!(is_column_head("num   pkts bytes target     prot opt in     out     source"));
    assert!(!is_column_head("ACCEPT     tcp  --  anywhere"));
}

#[test]
fn other_texts_are_no_rows() {
    for text in [
        "",
        "--",
        "-A INPUT -p tcp -j ACCEPT",
        "the tcp -- protocol is nice",
        "tcp      6 431998 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=50804 dport=21",
        "IN=eth0 OUT= SRC=1.2.3.4 DST=2.3.4.5 PROTO=TCP",
    ] {
        assert_eq!(read_row(text), None, "{text}");
    }
}

#[test]
fn rows_are_bounded() {
    let row = |words: usize| format!("ACCEPT all -- anywhere anywhere{}", " x".repeat(words - 5));
    assert!(read_row(&row(ROW_WORDS_MAX)).is_some());
    assert!(read_row(&row(ROW_WORDS_MAX + 1)).is_none());
    let long = |bytes: usize| format!("{:<bytes$}", "ACCEPT all -- anywhere anywhere");
    assert!(read_row_under(&long(ROW_BYTES_MAX), Columns::default()).is_some());
    assert!(read_row_under(&long(ROW_BYTES_MAX + 1), Columns::default()).is_none());
}

#[test]
fn under_a_head_the_columns_are_known() {
    let columns =
        read_column_head(" pkts bytes target     prot opt in     out     source  destination");
    let columns = columns.unwrap();
    assert_eq!(columns, Columns { numbers: false, counters: true, interfaces: true });
    for (row, rule) in [
        // A name that looks like nothing, a chain called as a protocol, a missing target.
        ("1 2 ACCEPT all -- any * 0.0.0.0/0 0.0.0.0/0", "-i any -j ACCEPT"),
        ("1 2 ACCEPT all -- any any anywhere anywhere", "-j ACCEPT"),
        ("1 2 tcp tcp eth0 * ::/0 ::/0", "-i eth0 -p tcp -j tcp"),
        ("1 2 tcp eth0 * ::/0 2001:db8::1", "-d 2001:db8::1 -i eth0 -p tcp"),
        ("1 2 DROP 0 -- * * !0.0.0.0/0 10.0.0.0/8", "! -s 0.0.0.0/0 -d 10.0.0.0/8 -j DROP"),
        (
            "1 2 LOG 0 -- * * 0.0.0.0/0 0.0.0.0/0 /* a  \"b\" */ LOG flags 0 level 4 prefix \"x \"y\"\"",
            "-m comment --comment \"a  \\\"b\\\"\" -j LOG --log-level 4 --log-prefix \"x \\\"y\\\"\"",
        ),
        (
            "1 2 DROP tcp -- * * 0.0.0.0/0 0.0.0.0/0 state NEW tcp dpt:22flags: 0x17/0x02",
            "-p tcp -m state --state NEW -m tcp --dport 22 --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
        ),
    ] {
        assert_eq!(read_row_under(row, columns).unwrap().save_words(), rule, "{row}");
    }
}

const LISTING: &str = "\
$ iptables -t nat -L -n -v
Chain PREROUTING (policy ACCEPT 1 packets, 2 bytes)
 pkts bytes target     prot opt in     out     source               destination
    3   4K DNAT       6    --  eth0   *       0.0.0.0/0            0.0.0.0/0            to:10.0.0.1

$ iptables -L -n
Chain INPUT (policy DROP)
target     prot opt source               destination
ssh        tcp  --  0.0.0.0/0            0.0.0.0/0            tcp dpt:22
and some prose

Chain ssh (2 references)
target     prot opt source               destination
ACCEPT     all  --  192.0.2.0/24         0.0.0.0/0
";

#[test]
fn a_listing_is_a_rule_set_with_notes() {
    assert!(is_listing(LISTING) && !is_listing("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"));
    let faults = parse(LISTING, family_of(LISTING), LabelNames::NONE).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].code, code::LISTING_ROW);
    assert_eq!(
        &LISTING[faults[0].span.start as usize..faults[0].span.end as usize],
        "and some prose"
    );
    let text = LISTING.replace("and some prose", "");
    let listing = parse(&text, Family::V4, LabelNames::NONE).unwrap();
    let notes: Vec<&str> = listing.notes.iter().map(|note| note.text.as_str()).collect();
    let said = ["`4K`", "`in` and `out`", "2 references"];
    assert!(
        notes.len() == said.len() && said.iter().zip(&notes).all(|(said, n)| n.contains(said)),
        "{notes:?}"
    );
    let nat = listing.ruleset.table(TableName::Nat).unwrap();
    assert_eq!(nat.chains[0].rules[0].counters, (3, 4000));
    assert_eq!(nat.chains[0].counters, (1, 2));
    let filter = listing.ruleset.table(TableName::Filter).unwrap();
    assert_eq!(filter.chains[0].policy, Some(Policy::Drop));
    let rule = &filter.chains[0].rules[0];
    assert_eq!(
        print_rule(Family::V4, filter, "INPUT", rule),
        "-A INPUT -p tcp -m tcp --dport 22 -j ssh"
    );
    assert!(text[rule.span.start as usize..rule.span.end as usize].starts_with("ssh   "));
    assert_eq!(
        convert(&text).line_of(&text, 9).map(|line| convert(&text)
            .text
            .lines()
            .nth(line - 1)
            .unwrap()
            .starts_with("-A INPUT")),
        Some(true)
    );
}

#[test]
fn what_a_listing_hides_is_a_fault_at_its_place() {
    let head = "Chain INPUT (policy DROP)\ntarget prot opt source destination\n";
    for (row, at, code) in [
        ("ACCEPT tcp -- fw.example.org anywhere tcp dpt:22", "fw.example.org", code::LISTING_NAME),
        ("ACCEPT tcp -- anywhere anywhere FOO match 1", "FOO", code::LISTING_ROW),
        ("ACCEPT tcp -- state NEW", "ACCEPT tcp -- state NEW", code::LISTING_ROW),
        ("ACCEPT udp -- anywhere anywhere udp dpt:nosuch", "nosuch", code::UNKNOWN_PORT),
        ("NOWHERE udp -- anywhere anywhere", "NOWHERE", code::UNKNOWN_TARGET),
    ] {
        let text = format!("{head}{row}\n");
        let faults = parse(&text, Family::V4, LabelNames::NONE).unwrap_err();
        let span = faults[0].span;
        assert_eq!(faults[0].code, code, "{row}");
        assert_eq!(&text[span.start as usize..span.end as usize], at, "{row}");
    }
}
