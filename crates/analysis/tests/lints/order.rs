//! What findings about the order of rules, and about rules that do nothing, say of the others that matter.

use super::findings;
use super::told::{filter, one, text};
use keepstate_analysis::lint::fix::{How, fix};
use keepstate_analysis::lint::{Expected, Wanted};
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;

#[test]
fn who_does_the_work_of_a_rule_that_could_go_is_named() {
    let rules = ":hosts - [0:0]\n-A INPUT -s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j ACCEPT\n\
                 -A INPUT -p tcp -m tcp --dport 25 -j ACCEPT\n-A INPUT -s 192.0.2.0/24 -j hosts\n\
                 -A hosts -p udp -j DROP\n-A hosts -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let found = one(&source, "rule-redundant");
    let line = 1 + source.lines().position(|line| line == "-A hosts -j ACCEPT").unwrap();
    assert_eq!(
        found.text,
        format!("what this rule takes would be accepted by line {line} just the same")
    );
    let [label] = found.labels.as_slice() else { panic!("{found:?}") };
    assert_eq!(text(&source, label.span), "-A hosts -j ACCEPT");
    // By the policy, for a part.
    let rules = "-A INPUT -s 192.0.2.7/32 -j DROP\n-A INPUT -p tcp -m tcp --dport 25 -j DROP\n\
                 -A INPUT -p udp -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    assert!(findings(&source, "rule-redundant", None).iter().all(|one| one.labels.len() == 1));
    let rules = "-A INPUT -s 192.0.2.7/32 -p tcp -j DROP\n-A INPUT -p tcp -m tcp --dport 80 -j DROP\n\
                 -A INPUT -p tcp -m tcp --dport 25 -s 192.0.2.99/32 -j ACCEPT\n-A INPUT -p udp -j ACCEPT\n\
                 -A INPUT -i eth0 -p icmp -j DROP\n-A INPUT -p icmp -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let policy = findings(&source, "rule-redundant", None);
    let labels: Vec<_> = policy[0].labels.iter().map(|label| text(&source, label.span)).collect();
    assert!(labels.contains(&":INPUT DROP [0:0]"), "{policy:?}");
}

#[test]
fn a_rule_that_asks_for_all_is_named_though_others_take_some_first() {
    let rules = "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
                 -A INPUT -s 192.0.2.7/32 -p tcp -m tcp --dport 22 -j ACCEPT\n\
                 -A INPUT -s 192.0.2.0/29 -i eth0 -p tcp -m tcp --dport 22:25 -j ACCEPT\n\
                 -A INPUT -s 192.0.2.0/24 -i eth1 -p tcp -m tcp --dport 20:22 -j ACCEPT\n\
                 -A INPUT -s 192.0.2.0/24 -p tcp -m multiport --dports 22,80 -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let found = findings(&source, "rule-redundant", None);
    let first = &found[0];
    let line = 1 + source.lines().position(|line| line.contains("--dports 22,80")).unwrap();
    assert!(first.text.contains(&format!("by line {line} just the same")), "{found:?}");
    assert!(first.evidence[0].ends_with("some of them by 2 rules between"), "{found:?}");
    let [label] = first.labels.as_slice() else { panic!("{found:?}") };
    assert!(text(&source, label.span).contains("--dports 22,80"));
}

#[test]
fn rules_of_one_line_are_told_apart() {
    let source = "iptables -P INPUT DROP\niptables -A INPUT -s 192.0.2.7,192.0.2.0/24 -p tcp -j ACCEPT\n\
                  iptables -A INPUT -p udp -j ACCEPT\n";
    let found = one(source, "rule-redundant");
    assert!(found.text.ends_with("by another rule of this line just the same"), "{found:?}");
}

#[test]
fn rules_that_do_more_than_decide_are_not_redundant() {
    for also in
        ["recent --set", "limit --limit 5/sec", "quota --quota 1000", "nfacct --nfacct-name x"]
    {
        let rules = format!("-A INPUT -p tcp -m {also} -j ACCEPT\n-A INPUT -p tcp -j ACCEPT\n");
        let source = filter(["DROP", "DROP", "ACCEPT"], &rules);
        assert!(findings(&source, "rule-redundant", None).is_empty(), "{also}");
        let twice = format!("-A INPUT -p tcp -m {also} -j ACCEPT\n").repeat(2);
        let source = filter(["DROP", "DROP", "ACCEPT"], &twice);
        assert!(findings(&source, "duplicate-rule", None).is_empty(), "{also}");
    }
    let log = "-A INPUT -p tcp -j ACCEPT\n-A INPUT -p tcp -j LOG\n-A INPUT -p tcp -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], log);
    assert!(findings(&source, "rule-redundant", None).is_empty());
}

#[test]
fn the_rule_behind_which_nothing_is_left_is_named() {
    let rules =
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j DROP\n";
    for (more, says) in [
        ("-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n", "to have it asked, put it above line"),
        ("-A INPUT -j LOG\n", "to have it asked, put it above line"),
        // Above, a rule that refuses what is refused does nothing either.
        ("-A INPUT -i eth0 -p udp -j DROP\n", "what would be left for it is dropped by line"),
        ("-A INPUT -j REJECT\n", "what it asks for is refused by line"),
        ("-A INPUT -i lo -p tcp -j ACCEPT\n", "what it asks for is accepted by line 5"),
    ] {
        let source = filter(["DROP", "DROP", "ACCEPT"], &format!("{rules}{more}"));
        let found = one(&source, "rule-unreachable");
        let line = 1 + source.lines().position(|line| line == "-A INPUT -j DROP").unwrap();
        assert!(found.text.ends_with(&format!("line {line} takes all that is left")), "{found:?}");
        assert_eq!(text(&source, found.labels[0].span), "-A INPUT -j DROP");
        let said: Vec<&String> = found.evidence.iter().chain(&found.help).collect();
        assert!(said.iter().any(|one| one.starts_with(says)), "{found:?}");
    }
    let open = "-A INPUT -p tcp -j ACCEPT\n-A INPUT -j ACCEPT\n-A INPUT -j DROP\n";
    let found = one(&filter(["DROP", "DROP", "ACCEPT"], open), "rule-unreachable");
    assert!(found.help.unwrap().starts_with("where it was meant to refuse the rest"));
    let two = "-A INPUT -p tcp -j ACCEPT\n-A INPUT ! -p tcp -j ACCEPT\n-A INPUT -s 192.0.2.7/32 -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], two);
    let found = one(&source, "rule-unreachable");
    assert!(found.text.contains("and rules above it take all"), "{found:?}");
    assert_eq!(found.labels.len(), 2, "{found:?}");
}

#[test]
fn a_rule_comes_above_what_a_script_puts_at_the_head_by_being_put_there_later() {
    let source = "iptables -P INPUT DROP\niptables -A INPUT -p tcp --dport 22 -j ACCEPT\n\
                  iptables -I INPUT -j DROP\n";
    let found = one(source, "rule-unreachable");
    let help = found.help.unwrap();
    assert_eq!(
        help,
        "to have it asked, put it in behind line 3, with `-I INPUT`; else take it out"
    );
}

#[test]
fn a_double_of_the_rule_that_takes_all_is_a_double() {
    let rules = ":bans - [0:0]\n-A INPUT -p tcp -j bans\n-A INPUT -p tcp -j ACCEPT\n\
                 -A bans -s 203.0.113.9/32 -j DROP\n-A bans -j RETURN\n-A bans -j RETURN\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let found = one(&source, "duplicate-rule");
    assert_eq!(found.labels[0].span.start as usize, source.find("-A bans -j RETURN").unwrap());
    assert!(findings(&source, "rule-unreachable", None).is_empty());
}

#[test]
fn of_two_rules_with_the_same_match_one_has_to_go() {
    let same = "-A INPUT -i eth1 -j ACCEPT\n-A INPUT -p udp -j ACCEPT\n-A INPUT -i eth1 -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], same);
    let found = one(&source, "shadowed-otherwise");
    assert!(found.text.contains("just what this one asks for"), "{found:?}");
    assert!(found.help.as_ref().unwrap().contains("one of the two has to go"), "{found:?}");
    // A refusal of the rest is not put above what it leaves out.
    let rest = "-A INPUT -i eth1 -p tcp -j ACCEPT\n-A INPUT -i eth1 ! -p tcp -j ACCEPT\n-A INPUT -i eth1 -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rest);
    let found = one(&source, "shadowed-otherwise");
    assert!(found.help.as_ref().unwrap().starts_with("it is meant for what is left"), "{found:?}");
    // One that says the same does not stand in its way.
    let ban = "-A INPUT -s 10.1.2.3/32 -j DROP\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -s 10.1.0.0/16 ! -p tcp -j ACCEPT\n\
               -A INPUT -s 10.1.2.0/24 -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], ban);
    let found = one(&source, "shadowed-otherwise");
    let line = 1 + source.lines().position(|line| line == "-A INPUT -p tcp -j ACCEPT").unwrap();
    let help = found.help.unwrap();
    assert_eq!(help, format!("to have it asked, put it above line {line}; else take it out"));
    let nat = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
               -A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2\n\
               -A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.3\nCOMMIT\n";
    let found = one(nat, "shadowed-otherwise");
    assert!(found.evidence[0].contains("--to-destination 10.0.0.2"), "{found:?}");
    assert!(findings(nat, "rule-shadowed", None).is_empty());
}

#[test]
fn more_rules_than_are_named_still_take_all() {
    let rules: String =
        (0..250).map(|n| format!("-A INPUT -s 203.0.113.{n}/32 -j ACCEPT\n")).collect();
    let rest = "-A INPUT -s 203.0.113.250/31 -j ACCEPT\n-A INPUT -s 203.0.113.252/30 -j ACCEPT\n\
                -A INPUT -s 203.0.113.0/24 -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], &format!("{rules}{rest}"));
    assert!(findings(&source, "never-in-chain", None).is_empty());
    one(&source, "rule-shadowed");
}

#[test]
fn why_packets_do_not_come_to_a_chain_is_named() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
               -A PREROUTING -p udp -m udp --dport 53 -j CT --notrack\nCOMMIT\n";
    let rule = "-A INPUT -p udp -m udp --dport 53 -m conntrack --ctstate NEW -j ACCEPT\n";
    let untracked = format!("{raw}{}", filter(["DROP", "DROP", "ACCEPT"], rule));
    let found = one(&untracked, "never-in-chain");
    assert!(found.evidence[0].ends_with("leaves them untracked, so that none of them is NEW"));
    assert!(text(&untracked, found.labels[0].span).ends_with("--notrack"), "{found:?}");
    let accepted = format!(
        "{raw}{}",
        filter(
            ["DROP", "DROP", "ACCEPT"],
            &format!(
                ":own - [0:0]\n-A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT\n-A INPUT -j own\n{}",
                rule.replace("INPUT", "own")
            )
        )
    );
    let found = one(&accepted, "never-in-chain");
    assert!(found.evidence[0].contains("leaves them untracked"), "{found:?}");
    assert!(text(&accepted, found.labels[0].span).ends_with("--notrack"), "{found:?}");
    let taken = filter(
        ["DROP", "DROP", "ACCEPT"],
        ":ssh - [0:0]\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 22 -j ssh\n\
         -A ssh -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A ssh -s 192.0.2.7/32 -j ACCEPT\n",
    );
    let found = one(&taken, "never-in-chain");
    assert!(found.evidence[0].contains("accepts them before ssh is entered"), "{found:?}");
    assert!(text(&taken, found.labels[0].span).starts_with("-A INPUT -m conntrack"), "{found:?}");
    let dropped = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                   -A PREROUTING -s 10.0.0.0/8 -j DROP\nCOMMIT\n";
    let rule = "-A INPUT -s 10.1.2.3/32 -p tcp -m tcp --dport 22 -j ACCEPT\n";
    let dropped = format!("{dropped}{}", filter(["DROP", "DROP", "ACCEPT"], rule));
    let found = one(&dropped, "never-in-chain");
    assert!(found.evidence[0].ends_with("drops them before they come so far"), "{found:?}");
    let asked = filter(
        ["DROP", "DROP", "ACCEPT"],
        ":services - [0:0]\n-A INPUT -p tcp -j services\n-A services -p udp -m udp --dport 53 -j ACCEPT\n",
    );
    let found = one(&asked, "never-in-chain");
    let says = "the rule that leads to services asks for other packets: for `-p tcp`, and this one for `-p udp`";
    assert_eq!(found.evidence, [says]);
}

#[test]
fn the_rule_that_leaves_all_untracked_is_named_alone() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
               -A PREROUTING -s 203.0.113.7/32 -i in -p udp -m udp --dport 53 -j NOTRACK\n\
               -A PREROUTING -d 203.0.113.7/32 -p udp -m udp --dport 53 -j NOTRACK\nCOMMIT\n";
    let rules = ":dns - [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,UNTRACKED -j ACCEPT\n\
                 -A FORWARD -d 203.0.113.0/25 -o in -j dns\n\
                 -A dns -s 203.0.113.0/25 -d 203.0.113.7/32 -p udp -m conntrack --ctstate NEW -m udp --dport 53 -j ACCEPT\n";
    let source = format!("{raw}{}", filter(["DROP", "DROP", "ACCEPT"], rules));
    let found = one(&source, "never-in-chain");
    assert!(found.evidence[0].starts_with("line 5 leaves them untracked"), "{found:?}");
    let said: Vec<&str> = found.labels.iter().map(|label| label.text.as_str()).collect();
    assert_eq!(said, ["leaves them untracked", "accepts them", "the chain is entered here"]);
}

#[test]
fn what_no_jump_lets_in_is_named_and_a_service_is_not_lost() {
    let rules = |policy, rule: &str| {
        let rules = format!(
            ":inside - [0:0]\n-A FORWARD -d 10.1.0.0/24 -o eth1 -j inside\n\
             -A FORWARD -d 224.0.0.0/4 -o eth1 -j inside\n-A inside {rule}\n"
        );
        one(&filter(["DROP", policy, "ACCEPT"], &rules), "never-in-chain")
    };
    let opens = "-s 10.2.0.0/24 -d 10.9.0.44/32 -p udp -m udp --dport 53 -j ACCEPT";
    let found = rules("DROP", opens);
    let says = "none of the rules that lead to inside asks for such packets: for `-d 10.1.0.0/24` and \
                `-d 224.0.0.0/4`, and this one for `-d 10.9.0.44/32`";
    assert_eq!(found.evidence, [says]);
    let help = found.help.as_deref().unwrap();
    assert!(help.starts_with("if it is wanted, widen a jump to inside, or put"), "{help}");
    assert!(help.ends_with("else take it out") && found.fix.is_none(), "{help}");
    // Where it would open nothing it may go.
    assert!(rules("ACCEPT", opens).fix.is_some());
    assert!(rules("DROP", &opens.replace("ACCEPT", "DROP")).fix.is_some());
}

#[test]
fn established_packets_are_spared_what_does_nothing_with_them() {
    let bans = "-A INPUT -s 198.51.100.0/24 -j DROP\n";
    let hosts: String =
        (1..40).map(|n| format!("-A INPUT -s 203.0.113.{n}/32 -p tcp -j ACCEPT\n")).collect();
    let own = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], &format!("{bans}{hosts}{own}"));
    let found = one(&source, "established-late");
    assert!(found.text.contains("compared with 39 rules"), "{found:?}");
    let wanted = Wanted { only: vec!["established-late".into()], ..Wanted::default() };
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let fixed = fix(&source, None, &wanted, how).unwrap();
    let wanted = filter(["DROP", "DROP", "ACCEPT"], &format!("{bans}{own}{hosts}"));
    assert_eq!((fixed.text, fixed.left.len()), (wanted, 0));
}

#[test]
fn the_lines_that_make_a_set_are_those_of_ipset() {
    let rules: String =
        (1..61).map(|n| format!("-A INPUT -s 203.0.113.{n}/32 -p tcp -j DROP\n")).collect();
    let found = one(&filter(["DROP", "DROP", "ACCEPT"], &rules), "linear-addresses");
    let help = found.help.unwrap();
    let lines: Vec<&str> = help.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "ipset create addresses hash:ip family inet",
            "ipset -exist add addresses 203.0.113.1",
            "ipset -exist add addresses 203.0.113.2",
            "... and so on with the other 58",
            "-A INPUT -p tcp -m set --match-set addresses src -j DROP",
        ]
    );
    let rules: String =
        (1..61).map(|n| format!("-A INPUT -s 2001:db8:{n}::/48 -j DROP\n")).collect();
    let found = one(&filter(["DROP", "DROP", "ACCEPT"], &rules), "linear-addresses");
    let help = found.help.unwrap();
    assert!(help.contains("ipset create addresses6 hash:net family inet6\n"), "{help}");
    // Each with a limit of its own is not one with a limit for all.
    let rules: String = (1..61)
        .map(|n| format!("-A INPUT -s 203.0.113.{n}/32 -m limit --limit 5/sec -j ACCEPT\n"))
        .collect();
    assert!(
        findings(&filter(["DROP", "DROP", "ACCEPT"], &rules), "linear-addresses", None).is_empty()
    );
}

#[test]
fn what_logs_invalid_packets_goes_with_what_drops_them() {
    let rules = "-A INPUT -i eth0 -j ACCEPT\n\
                 -A INPUT -m conntrack --ctstate INVALID -m limit --limit 3/min -j LOG --log-prefix \"invalid \"\n\
                 -A INPUT -m conntrack --ctstate INVALID -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let found = one(&source, "invalid-drop-late");
    let line = 1 + source.lines().position(|line| line.contains("LOG")).unwrap();
    let help = found.help.unwrap();
    assert_eq!(
        help,
        format!("put line {line}, which logs what it drops, and this rule above line {}", line - 1)
    );
}

#[test]
fn rows_say_what_is_not_plain_from_the_chain() {
    let rules = "-A INPUT -p udp -m udp --dport 53 -m conntrack --ctstate NEW -j DROP\n\
                 -A INPUT -p udp -m udp --sport 1024:65535 -j ACCEPT\n";
    let found = one(&filter(["DROP", "DROP", "ACCEPT"], rules), "order-dependent");
    assert!(!found.evidence[0].contains("out none"), "{found:?}");
    assert!(!found.evidence[0].contains("fragment"), "{found:?}");
}

#[test]
fn ports_of_tracked_connections_are_merged_without_a_remark() {
    let rules: String = [25, 80, 443, 993]
        .iter()
        .map(|port| {
            format!("-A INPUT -p tcp -m conntrack --ctstate NEW -m tcp --dport {port} -j ACCEPT\n")
        })
        .collect();
    let found = one(&filter(["DROP", "DROP", "ACCEPT"], &rules), "mergeable-ports");
    assert_eq!(found.fix.unwrap().expected, Expected::Nothing);
}
