//! Lines read and printed, faults with their places, limits at their edge. What iptables itself
//! makes of the same lines is compared in `tests/`.

use super::file::Amounts;
use super::words::{WORD_MAX, WORDS_MAX};
use super::*;
use crate::diagnostic::{Code, Diagnostic, code};
use crate::labels::LabelNames;
use crate::matches::comment::COMMENT_MAX;
use crate::model::Jump;
use alloc::{format, string::String, vec, vec::Vec};

fn filter(rules: &str) -> String {
    format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}\nCOMMIT\n")
}

/// The rules of a filter table as they are printed.
fn printed(rules: &str, family: Family) -> Vec<String> {
    let source = filter(rules);
    let ruleset =
        parse(&source, family).unwrap_or_else(|faults| panic!("{}", shown(&faults, &source)));
    let text = print(&ruleset, Print { counters: rules.starts_with('['), ..Print::default() });
    text.lines().filter(|line| line.contains("-A ")).map(Into::into).collect()
}

fn shown(faults: &[Diagnostic], source: &str) -> String {
    faults.iter().map(|fault| fault.render("f", source)).collect()
}

fn faults(source: &str) -> Vec<Diagnostic> {
    parse(source, Family::V4).err().unwrap_or_default()
}

fn codes(rules: &str) -> Vec<Code> {
    faults(&filter(rules)).iter().map(|fault| fault.code).collect()
}

#[test]
fn what_is_printed_for_what_is_written() {
    for (rule, expected) in [
        ("-A INPUT -j ACCEPT", "-A INPUT -j ACCEPT"),
        ("--append INPUT --jump=DROP", "-A INPUT -j DROP"),
        ("-AINPUT -i+ -p6 -jDROP", "-A INPUT -p tcp -j DROP"),
        ("-f4 -A INPUT", "-A INPUT -f"),
        (
            "-A INPUT -s 10.1.2.3/8 -d 1.2.3.4/255.0.255.0",
            "-A INPUT -s 10.0.0.0/8 -d 1.0.3.0/255.0.255.0",
        ),
        ("-A INPUT -p tcp --dport ssh:80", "-A INPUT -p tcp -m tcp --dport 22:80"),
        ("-A INPUT -p tcp ! --sport :99", "-A INPUT -p tcp -m tcp --sport 100:65535"),
        ("-A INPUT -p tcp --syn", "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN"),
        ("-A INPUT --protocol UDP --dpor 53", "-A INPUT -p udp -m udp --dport 53"),
        ("-A INPUT -m state --state est,rel", "-A INPUT -m state --state RELATED,ESTABLISHED"),
        ("-A INPUT -m comment --comment it's", "-A INPUT -m comment --comment \"it\\'s\""),
        ("-A INPUT -m limit --limit 120/minute", "-A INPUT -m limit --limit 2/sec"),
        ("-A INPUT -j LOG --log-level warning", "-A INPUT -j LOG"),
        ("-A INPUT -j REJECT", "-A INPUT -j REJECT --reject-with icmp-port-unreachable"),
        ("[5:6] -A INPUT -j DROP", "[5:6] -A INPUT -j DROP"),
        ("[5:6] -A INPUT -c 7,8 -j DROP", "[7:8] -A INPUT -j DROP"),
    ] {
        assert_eq!(printed(rule, Family::V4), [expected], "{rule}");
    }
}

#[test]
fn lists_become_rules_in_order() {
    let rules =
        printed("-A INPUT -s 10.0.0.1,10.0.0.2 -d 10.1.0.1,10.1.0.2 -m mark --mark 1", Family::V4);
    let rule = |s, d| format!("-A INPUT -s 10.0.0.{s}/32 -d 10.1.0.{d}/32 -m mark --mark 0x1");
    assert_eq!(rules, [rule(1, 1), rule(1, 2), rule(2, 1), rule(2, 2)]);
}

#[test]
fn inserted_rules_go_before() {
    let rules = "-A INPUT -i a\n-I INPUT -i b\n-I INPUT 2 -i c\n-I INPUT 4 -i d\n-I INPUT -s 1.1.1.1,2.2.2.2";
    let printed = printed(rules, Family::V4);
    let order: Vec<&str> = printed.iter().map(|rule| rule.split(' ').nth(3).unwrap()).collect();
    assert_eq!(order, ["2.2.2.2/32", "1.1.1.1/32", "b", "c", "a", "d"]);
    assert_eq!(codes("-I INPUT 2"), [code::NO_COMMAND]);
}

#[test]
fn lines_of_the_other_family_are_passed_over() {
    assert_eq!(
        printed("-6 -A INPUT -s ::1\n-4 -A INPUT -j DROP", Family::V4),
        ["-A INPUT -j DROP"]
    );
    assert_eq!(printed("-A INPUT -s ::1 -6\n-A INPUT -4", Family::V6), ["-A INPUT -s ::1/128"]);
}

#[test]
fn tables_and_chains() {
    let source = "# comment\n\n*security\nCOMMIT\n*filter\n:INPUT DROP [1:2]\n:zeta - [0:0]\n:alpha -\n\
                  -N beta\n-P FORWARD DROP\n-A zeta -g alpha\nCOMMIT\n*raw\n-A OUTPUT -j NOTRACK\nCOMMIT\n";
    let ruleset = parse(source, Family::V4).unwrap();
    let text = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j NOTRACK\nCOMMIT\n\
                *filter\n:INPUT DROP [1:2]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:alpha - [0:0]\n\
                :beta - [0:0]\n:zeta - [0:0]\n-A zeta -g alpha\nCOMMIT\n";
    assert_eq!(print(&ruleset, Print::default()), text);
    let again =
        parse("*filter\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n-A OUTPUT\nCOMMIT\n", Family::V4);
    let again = print(&again.unwrap(), Print::default());
    assert!(again.contains(":INPUT ACCEPT"), "a table opened again begins anew: {again}");
}

#[test]
fn every_fault_of_a_file_is_reported_with_its_place() {
    let source = "*filter\n-A INPUT -p tpc -j ACCEPT\n-A INPUT -m geoip --src-cc CN -j ULOG --ulog-nlgroup 2\n\
                  -A IN -j ACCPET\n*nat\n-A INPUT -j CLUSTERIP --new\nCOMMIT\n";
    let found: Vec<_> = faults(source)
        .iter()
        .map(|fault| (fault.code, &source[fault.span.start as usize..fault.span.end as usize]))
        .collect();
    let expected = [
        (code::UNKNOWN_PROTOCOL, "tpc"),
        (code::MATCH_UNSUPPORTED, "geoip"),
        (code::TARGET_UNSUPPORTED, "ULOG"),
        (code::UNKNOWN_TARGET, "IN"),
        (code::UNKNOWN_TARGET, "ACCPET"),
        (code::COMMIT_MISSING, "*nat"),
        (code::TARGET_UNSUPPORTED, "CLUSTERIP"),
    ];
    assert_eq!(found, expected, "{}", shown(&faults(source), source));
}

#[test]
fn words_that_could_name_a_table() {
    for rule in
        ["-A INPUT -vtfilter", "-t filter -A INPUT", "-A INPUT --tab x", "-A INPUT \"-t\" x"]
    {
        assert_eq!(codes(rule)[0], code::TABLE_OPTION, "{rule}");
    }
    for rule in
        ["-A INPUT -m comment --comment -t", "-A INPUT -i -tap0 -j LOG --log-prefix --table"]
    {
        assert_eq!(printed(rule, Family::V4), [rule]);
    }
    assert_eq!(
        printed("-A INPUT -mlength --length 1", Family::V4),
        ["-A INPUT -m length --length 1"]
    );
}

#[test]
fn what_cannot_stand_in_a_file() {
    for (rule, expected) in [
        ("-A INPUT -n", code::NO_COMMAND),
        ("-A INPUT --line-numbers", code::NO_COMMAND),
        ("-A INPUT -w 5", code::NO_COMMAND),
        ("-N new -j DROP", code::OPTION_CONFLICT),
        ("-P INPUT DROP -i lo", code::OPTION_CONFLICT),
        ("-A INPUT -- -j DROP", code::STRAY_WORD),
        ("-A INPUT -m nosuch -6", code::UNKNOWN_MATCH),
    ] {
        assert_eq!(codes(rule), [expected], "{rule}");
    }
    for rule in ["-A INPUT --", "-A INPUT -v", "-A INPUT ! -4", "-I INPUT 0x1"] {
        assert_eq!(printed(rule, Family::V4), ["-A INPUT"], "{rule}");
    }
}

#[test]
fn help_for_slips_of_names() {
    for (rule, help) in [
        ("-A INPUT -p tcp --dport ntp", "`ntp` is port 123 of another protocol"),
        ("-A INPUT -J ACCEPT", "did you mean `-j`?"),
        ("-A INPUT -j ! RETURN", "where a packet goes cannot be inverted"),
        ("-A INPUT -j --dport", "-j is followed by the name of a chain or target"),
        ("-A INPUT -j MASQUERAD", "did you mean `-j MASQUERADE`?"),
        ("-A INPUT --dport 22 -j DROP", "`--dport` needs `-p tcp` or `-p udp` before it"),
        ("-A INPUT --syn -j DROP", "`--syn` belongs to `-p tcp`, which has to stand before it"),
        ("-A INPUT -m state -ctstate NEW", "did you mean `--ctstate`?"),
        ("-A INPUT -source 10.0.0.1 -j DROP", "did you mean `--source`?"),
    ] {
        let found = faults(&filter(rule));
        assert_eq!(found[0].help.as_deref(), Some(help), "{rule}");
    }
}

#[test]
fn numbers_and_names_as_the_tool_takes_them() {
    for (rule, expected) in [
        ("-A INPUT -s any/0", "-A INPUT"),
        (
            "-A INPUT -m mark --mark 1 -m mark --mar 2",
            "-A INPUT -m mark --mark 0x1 -m mark --mark 0x2",
        ),
        ("-A INPUT -p udp --dport ssh", "-A INPUT -p udp -m udp --dport 22"),
        ("-A INPUT -p udp --dport 053", "-A INPUT -p udp -m udp --dport 53"),
        ("-A INPUT -p tcp --dport 053", "-A INPUT -p tcp -m tcp --dport 43"),
        (
            "-A INPUT -m conntrack --ctorigdstport 09:010",
            "-A INPUT -m conntrack --ctorigdstport 9:10",
        ),
        ("-A INPUT -m conntrack --ctorigdstport tftp", "-A INPUT -m conntrack --ctorigdstport 69"),
        ("-A INPUT -p tcp --tcp-flags SYN, ,", "-A INPUT -p tcp -m tcp --tcp-flags SYN NONE"),
    ] {
        assert_eq!(printed(rule, Family::V4), [expected], "{rule}");
    }
    assert_eq!(codes("-A INPUT -p tcp --dport tftp"), [code::UNKNOWN_PORT]);
    assert_eq!(codes("-A INPUT -p udp --dport 0x50"), [code::UNKNOWN_PORT]);
    assert_eq!(codes("-A INPUT -m conntrack --ctorigsrc 10.1/16"), [code::BAD_ADDRESS]);
    assert_eq!(
        codes("-A INPUT -m connlimit --connlimit-above 1 --connlimit-mask 128"),
        [code::BAD_VALUE]
    );
    assert_eq!(codes("-A INPUT -p tcp -m multiport --dports 7:7"), [code::UNKNOWN_PORT]);
    assert_eq!(codes("-A INPUT -m multiport --dports 7 -p tcp"), [code::PROTOCOL_NEEDED]);
    for (address, expected) in
        [("0/0", None), ("::1:2", Some("::0.1.0.2/128")), ("::1", Some("::1/128"))]
    {
        let expected = expected.map_or("-A INPUT".into(), |one| format!("-A INPUT -s {one}"));
        assert_eq!(printed(&format!("-A INPUT -s {address}"), Family::V6), [expected]);
    }
    for (text, counters) in
        [("[ 1:2x]", "[1:2]"), ("[99999999999999999999:1]", "[18446744073709551615:1]")]
    {
        let source = filter(&format!("{text} -A INPUT"));
        let ruleset = parse(&source, Family::V4).unwrap();
        let text = print(&ruleset, Print { counters: true, ..Print::default() });
        assert!(text.contains(&format!("{counters} -A INPUT")), "{text}");
    }
}

#[test]
fn unknown_is_told_from_not_yet() {
    for (rule, expected) in [
        ("-A INPUT -m geoip", code::MATCH_UNSUPPORTED),
        ("-A INPUT -m hashlimt", code::UNKNOWN_MATCH),
        ("-A INPUT -j ULOG --ulog-nlgroup 2", code::TARGET_UNSUPPORTED),
        ("-A INPUT -j TCPMS", code::UNKNOWN_TARGET),
        ("-A INPUT -m icmp6 --icmpv6-type 1", code::WRONG_FAMILY),
        ("-A INPUT -m LOG", code::UNKNOWN_MATCH),
    ] {
        assert_eq!(codes(rule), [expected], "{rule}");
    }
    let raw = |rule: &str| {
        let source = format!("*raw\n-A PREROUTING {rule}\nCOMMIT\n");
        faults(&source).iter().map(|fault| fault.code).collect::<Vec<_>>()
    };
    assert_eq!(raw("-p udp -j CT --helper RAS"), []);
    assert_eq!(raw("-p udp -j CT --helper h323"), [code::UNKNOWN_NAME]);
    assert_eq!(raw("-p tcp -j CT --helper ftpp"), [code::UNKNOWN_NAME]);
    assert_eq!(raw("-p udp -j CT --helper ftp"), [code::PROTOCOL_NEEDED]);
    assert_eq!(raw("-j CT --timeout x"), [code::PROTOCOL_NEEDED]);
    assert_eq!(raw("! -p tcp -j CT --timeout x"), [code::PROTOCOL_NEEDED]);
    assert_eq!(raw("-p tcp -j CT --timeout x"), []);
}

#[test]
fn what_only_the_kernel_would_refuse() {
    for (source, expected) in [
        (filter("-A INPUT -j REJECT --reject-with tcp-reset"), code::PROTOCOL_NEEDED),
        (filter("-A INPUT -m tcp --dport 1"), code::PROTOCOL_NEEDED),
        (filter("-A INPUT ! -p tcp -m tcp --dport 1"), code::PROTOCOL_NEEDED),
        (filter("-A INPUT -j NOTRACK"), code::WRONG_TABLE),
        (
            filter(":x - [0:0]\n-A OUTPUT -j x\n-A x -m mac --mac-source 1:2:3:4:5:6"),
            code::WRONG_HOOK,
        ),
        (filter("-A OUTPUT -m addrtype --src-type LOCAL --limit-iface-in"), code::WRONG_HOOK),
        (filter("-A INPUT -j FORWARD"), code::JUMP_TO_BUILTIN),
        (filter(":x - [0:0]\n-A INPUT -j x\n-A x -g x"), code::LOOP),
        ("*mangle\n-A INPUT -j REJECT\nCOMMIT\n".into(), code::WRONG_TABLE),
    ] {
        let found = faults(&source);
        assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), [expected], "{source}");
    }
    let many: String = (0..CIRCLES_MAX + 5)
        .map(|n| format!(":c{n} - [0:0]\n-A INPUT -j c{n}\n-A c{n} -j c{n}\n"))
        .collect();
    assert_eq!(codes(&many).len(), CIRCLES_MAX);
    let unreached = ":x - [0:0]\n:y - [0:0]\n-A x -j y\n-A y -j x";
    assert!(codes(unreached).is_empty(), "a circle that nothing leads to is harmless");
}

#[test]
fn limits_at_their_edge() {
    let comment = |length: usize| format!("-A INPUT -m comment --comment {}", "x".repeat(length));
    assert!(codes(&comment(COMMENT_MAX)).is_empty());
    assert_eq!(codes(&comment(COMMENT_MAX + 1)), [code::TOO_LONG]);
    let log = |length: usize| format!("-A INPUT -j LOG --log-prefix {}", "x".repeat(length));
    assert!(codes(&log(WORD_MAX)).is_empty(), "prefixes are cut, not refused");
    assert_eq!(codes(&log(WORD_MAX + 1)), [code::TOO_LONG]);
    let words = |count: usize| format!("-A INPUT{}", " -4".repeat(count - 2));
    assert!(codes(&words(WORDS_MAX)).is_empty());
    assert_eq!(codes(&words(WORDS_MAX + 1)), [code::TOO_LONG]);
    let line = |length: usize| format!("-A INPUT{}-4", " ".repeat(length - 10));
    assert!(codes(&line(LINE_MAX)).is_empty());
    assert_eq!(codes(&line(LINE_MAX + 1)), [code::TOO_LONG]);
    let chain = |length: usize| format!(":{} - [0:0]", "c".repeat(length));
    assert!(codes(&chain(CHAIN_NAME_MAX)).is_empty());
    assert_eq!(codes(&chain(CHAIN_NAME_MAX + 1)), [code::BAD_CHAIN_LINE]);
    let ports = |count: usize| {
        format!("-A INPUT -p tcp -m multiport --ports {}", vec!["1"; count].join(","))
    };
    assert!(codes(&ports(15)).is_empty());
    assert_eq!(codes(&ports(16)), [code::LIMIT_EXCEEDED]);
}

#[test]
fn amounts_at_their_edge() {
    let chains = |count: usize| (0..count).map(|n| format!(":c{n} - [0:0]\n")).collect::<String>();
    assert!(codes(&chains(CHAINS_MAX - 3)).is_empty(), "three are built in");
    assert_eq!(codes(&chains(CHAINS_MAX - 2)), [code::LIMIT_EXCEEDED]);
    let wrong = |count: usize| "-A INPUT -p x\n".repeat(count);
    assert_eq!(codes(&wrong(FAULTS_MAX)).len(), FAULTS_MAX);
    assert_eq!(codes(&wrong(FAULTS_MAX + 5)).len(), FAULTS_MAX);
    // n insertions at the front move n (n - 1) / 2 rules.
    let inserts = |count: usize| "-I INPUT\n".repeat(count);
    assert!(codes(&inserts(20_000)).is_empty());
    assert_eq!(codes(&inserts(20_001)), [code::LIMIT_EXCEEDED]);
    let file = |length: usize| {
        let line = format!("#{}\n", "x".repeat(8190));
        let whole = line.repeat(length / line.len());
        format!("{whole}{}", "#".repeat(length - whole.len()))
    };
    assert!(faults(&file(FILE_MAX)).is_empty());
    assert_eq!(faults(&file(FILE_MAX + 1))[0].code, code::LIMIT_EXCEEDED);
    for (amounts, allowed) in [
        (Amounts { rules: RULES_MAX, matches: MATCHES_MAX, moves: MOVES_MAX }, true),
        (Amounts { rules: RULES_MAX + 1, ..Amounts::default() }, false),
        (Amounts { matches: MATCHES_MAX + 1, ..Amounts::default() }, false),
        (Amounts { moves: MOVES_MAX + 1, ..Amounts::default() }, false),
    ] {
        assert_eq!(amounts.exceeded().is_none(), allowed);
    }
}

#[test]
fn lists_multiply_only_so_far() {
    let addresses = |count: usize| vec!["1.1.1.1"; count].join(",");
    let rules = |s: usize, d: usize| format!("-A INPUT -s {} -d {}", addresses(s), addresses(d));
    assert_eq!(printed(&rules(64, 64), Family::V4).len(), EXPANSION_MAX);
    assert_eq!(codes(&rules(64, 65)), [code::LIMIT_EXCEEDED]);
}

#[test]
fn families_are_recognised() {
    for (source, family) in [
        ("# Generated by ip6tables-save v1.8.9\n*filter\n", Family::V6),
        ("# Generated by iptables-save v1.8.9\n# ip6tables\n*filter\n", Family::V4),
        (
            "# Generated by iptables-save v1.8.9\n*filter\n-A INPUT -s fe80::/10 -j ACCEPT\n",
            Family::V6,
        ),
        (
            "# Generated by ip6tables-save v1.8.9\n*nat\n-A PREROUTING -j DNAT --to-destination 192.0.2.1:80\n",
            Family::V4,
        ),
        ("*nat\n-A PREROUTING -j DNAT --to-destination [2001:db8::1]:80\n", Family::V6),
        ("*filter\n-A INPUT -s fe80::/10 -j ACCEPT\n", Family::V6),
        ("*filter\n-A INPUT -p ipv6-icmp -j ACCEPT\n", Family::V6),
        ("*filter\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\n", Family::V4),
        ("*filter\n:FORWARD DROP [12:34]\n-A INPUT -m comment --comment \"a::b c\"\n", Family::V4),
    ] {
        assert_eq!(family_of(source), family, "{source}");
    }
}

#[test]
fn a_table_that_is_missing_is_the_one_that_has_the_chains() {
    for (source, help) in [
        (":INPUT DROP [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n", Some("*filter")),
        (":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n*filter\nCOMMIT\n", Some("*nat")),
        (":PREROUTING ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", Some("*mangle")),
        ("-A mine -j ACCEPT\n", Some("*filter")),
        ("cat rules\n", None),
    ] {
        assert_eq!(faults(source)[0].help.as_deref(), help, "{source}");
    }
}

#[test]
fn rules_keep_their_place() {
    let source = filter("  [1:2] -A INPUT -j DROP\n-A INPUT");
    let source = source.replace("  [1:2]", "[1:2]  ");
    let ruleset = parse(&source, Family::V4).unwrap();
    let rule = &ruleset.tables[0].chains[0].rules[0];
    let text = &source[rule.span.start as usize..rule.span.end as usize];
    assert_eq!(text, "[1:2]   -A INPUT -j DROP");
    assert_eq!(rule.counters, (1, 2));
    assert!(matches!(rule.target, Jump::Standard(_)));
}

#[test]
fn files_that_are_something_else() {
    for (source, expected) in [
        (
            "Chain INPUT (policy ACCEPT)\ntarget prot opt source\nACCEPT all -- anywhere\n",
            code::OUTSIDE_TABLE,
        ),
        ("*filter\r\nCOMMIT\r\n", code::BAD_BYTE),
        ("*filter\n\0\nCOMMIT\n", code::BAD_BYTE),
        ("*filter\n", code::COMMIT_MISSING),
        ("*filter\nCOMMIT \n", code::STRAY_WORD),
    ] {
        assert_eq!(faults(source)[0].code, expected, "{source}");
    }
    assert_eq!(parse_bytes(b"*filter\n\xff\n", Family::V4).unwrap_err()[0].code, code::BAD_BYTE);
    assert!(faults("").is_empty());
    assert!(faults("*filter\nCOMMIT").is_empty(), "the last line end may be missing");
}

/// As iptables-save 1.8.9 printed the same rules with the same connlabel.conf.
#[test]
fn labels_have_names_where_a_file_gives_them() {
    let names = LabelNames::parse("0 eth0-in\n6 six seven\n14 99\n200 far\n");
    let rule = |label: &str| {
        let source = filter(&format!("-A INPUT -m connlabel ! --label {label} --set"));
        let ruleset = parse_with(&source, Family::V4, &names);
        ruleset
            .map(|ruleset| {
                let text = print(&ruleset, Print::default());
                let line = text.lines().find(|line| line.contains("-A ")).unwrap_or_default();
                line.rsplit_once("! --label ").unwrap_or_default().1.into()
            })
            .map_err(|faults| shown(&faults, &source))
    };
    for (label, expected) in [
        ("eth0-in", "\"eth0-in\" --set"),
        ("0", "\"eth0-in\" --set"),
        ("0x6", "\"six seven\" --set"),
        ("\"six seven\"", "\"six seven\" --set"),
        ("99", "\"99\" --set"),
        ("14", "\"99\" --set"),
        ("5", "\"5\" --set"),
    ] {
        assert_eq!(rule(label), Ok(String::from(expected)), "{label}");
    }
    for (label, expected) in [
        ("six", "no label is called `six`"),
        ("eth0-im", "did you mean `eth0-in`?"),
        ("far", "no label 200"),
    ] {
        assert!(rule(label).is_err_and(|text| text.contains(expected)), "{label}");
    }
    assert!(!codes("-A INPUT -m connlabel --label eth0-in").is_empty(), "no file, no names");
}

#[test]
fn a_part_of_a_rule_set_speaks_of_chains_that_stand_elsewhere() {
    let part = |source: &str| parse_part(source, Family::V4, LabelNames::NONE);
    let ufw = "*filter\n:ufw-before-input - [0:0]\n-A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny\n\
               -A ufw-before-input -j DROP\n-A DOCKER-USER -j RETURN\nCOMMIT\n";
    let read = part(ufw).unwrap();
    assert_eq!(read.elsewhere, ["ufw-logging-deny", "DOCKER-USER"]);
    let place = read.notes[0].span;
    assert_eq!(&ufw[place.start as usize..place.end as usize], "ufw-logging-deny");
    // It is no whole rule set, and a line that declares the chain would empty it.
    let refused = faults(ufw);
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|one| one.help.as_deref().unwrap().contains("may stand elsewhere")));
    for source in [
        // Nothing is missing.
        "*filter\n:a - [0:0]\n-A a -j DROP\nCOMMIT\n",
        // The file has the chains that packets come to first, or a name is a letter off.
        "*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n-A INPUT -j elsewhere\nCOMMIT\n",
        "*filter\n:allowed - [0:0]\n-A allowed -j alowed\nCOMMIT\n",
        "*filter\n:mine - [0:0]\n-A mine -j ACCEPPT\nCOMMIT\n",
        "*filter\n:mine - [0:0]\n-A PREROUTING -j mine\nCOMMIT\n",
    ] {
        assert!(part(source).is_err(), "{source}");
    }
}
