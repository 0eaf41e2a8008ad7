//! What findings advise has the effect that it is advised for; and what is one matter is one finding.

use super::told::{filter, one, text};
use super::{How, Wanted, findings, fix};
use keepstate_analysis::conversation::{Fate, Place, Spot, conversation};
use keepstate_analysis::lint::played::Bed;
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;

const CLOSED: [&str; 3] = ["DROP", "DROP", "ACCEPT"];
const NAT: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n";

fn fixed(source: &str, code: &str) -> String {
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let wanted = Wanted { only: vec![code.into()], ..Wanted::default() };
    let fixed = fix(source, None, &wanted, how).unwrap();
    assert!(fixed.left.is_empty(), "{:?}", fixed.left);
    fixed.text
}

#[test]
fn a_logged_packet_comes_to_the_rule_on_its_whole_way() {
    let mangle = "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                  :POSTROUTING ACCEPT [0:0]\n-A PREROUTING -m conntrack --ctstate NEW -j MARK --set-xmark 0x2/0xffffffff\n\
                  -A PREROUTING -m mark ! --mark 0x0 -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff\n\
                  -A PREROUTING -m connmark --mark 0x1 -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff\n\
                  COMMIT\n";
    let nat = format!("{NAT}-A POSTROUTING -j LOG --log-prefix \"out \"\nCOMMIT\n");
    let rules = "-A FORWARD -i eth0 -o eth2 -m mark --mark 0x2 -j ACCEPT\n\
                 -A FORWARD -i eth0 -o eth1 -m mark --mark 0x1 -j ACCEPT\n";
    let source = format!("{}{nat}{mangle}", filter(["DROP", "DROP", "DROP"], rules));
    let found = one(&source, "log-without-limit");
    assert!(found.evidence[0].contains("in eth0 out eth2"), "{:?}", found.evidence);
    assert!(found.evidence[0].contains("first packets only"), "{:?}", found.evidence);
    assert!(found.text.contains("first packet of every connection"), "{}", found.text);
}

#[test]
fn resets_are_related_where_this_host_makes_them() {
    let reset = "-p tcp -m conntrack --ctstate RELATED -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG RST,ACK -j ACCEPT\n";
    let source = filter(CLOSED, &format!("-A FORWARD {reset}"));
    let found = one(&source, "related-tcp-only");
    assert!(found.evidence[0].contains("never come to FORWARD"), "{:?}", found.evidence);
    assert_eq!(found.fix.unwrap().text, "take the rule out");
    assert!(!fixed(&source, "related-tcp-only").contains("RELATED"));
    let leaves = filter(["DROP", "DROP", "DROP"], &format!("-A OUTPUT {reset}"));
    assert!(findings(&leaves, "related-tcp-only", None).is_empty());
}

#[test]
fn a_rule_for_a_helper_that_nothing_assigns_is_dead_as_a_whole() {
    let rules = |helper: &str| {
        format!(
            "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
             -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m helper --helper {helper} -j ACCEPT\n"
        )
    };
    let assign = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                  -A PREROUTING -p udp -m udp --dport 5060 -j CT --helper sip\nCOMMIT\n";
    for (helper, says) in [("sip", "no rule assigns"), ("proto_gre", "no helper proto_gre")] {
        let found = one(&filter(CLOSED, &rules(helper)), "state-part-dead");
        assert!(found.text.starts_with("this rule never matches"), "{}", found.text);
        assert!(found.text.contains(says) && found.fix.is_none(), "{}", found.text);
    }
    // Of the family of ICMPv6 there is none of that name to assign.
    let source = filter(CLOSED, &format!("-A INPUT -p ipv6-icmp -j ACCEPT\n{}", rules("irc")));
    let found = one(&source, "state-part-dead");
    assert!(found.text.contains("for IPv4 alone"), "{}", found.text);
    assert!(found.labels.is_empty() && !found.evidence[0].contains("ESTABLISHED"), "{found:?}");
    assert_eq!(found.help.as_deref(), Some("take the rule out"));
    let found = one(&format!("{assign}{}", filter(CLOSED, &rules("sip"))), "state-part-dead");
    assert!(found.fix.unwrap().text.contains("--ctstate RELATED"), "{}", found.text);
}

#[test]
fn the_rule_that_lets_a_translation_through_asks_for_what_the_translation_asks_for() {
    let nat = format!(
        "{NAT}-A PREROUTING -s 198.51.100.0/24 -i eth1 -p tcp -m tcp --dport 24562 -j DNAT --to-destination 192.168.10.64:443\n\
         COMMIT\n"
    );
    let answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let found = one(&format!("{nat}{}", filter(CLOSED, answers)), "dnat-blocked");
    let help = found.help.unwrap();
    let line = "-A FORWARD -d 192.168.10.64 -s 198.51.100.0/24 -i eth1 -p tcp --dport 443 -m conntrack --ctstate NEW -j ACCEPT";
    assert!(help.ends_with(line), "{help}");
    // With it nothing is found any more.
    let mended = format!("{nat}{}", filter(CLOSED, &format!("{answers}{line}\n")));
    assert!(findings(&mended, "dnat-blocked", None).is_empty());
    let refused = filter(["DROP", "ACCEPT", "ACCEPT"], "-A FORWARD -i eth1 -j DROP\n");
    let source = format!("{nat}{refused}");
    let found = one(&source, "dnat-blocked");
    let at = 1 + source.lines().position(|line| line == "-A FORWARD -i eth1 -j DROP").unwrap();
    let help = found.help.unwrap();
    assert!(help.contains(&format!("above line {at}:")) && !help.contains("--ctstate"), "{help}");
}

/// Whether a host on one side of a router is answered by a name server on the other.
fn asks_for_names(rules: &str) -> bool {
    let spot =
        Spot { interfaces: ("in".into(), "out".into()), ..Spot::new(Place::Between, Family::V4) };
    let run = Bed { text: rules.into(), spot }.run(conversation("dns").unwrap(), |_| {});
    run.unwrap().played.fate == Fate::Passes
}

#[test]
fn a_rule_whose_answers_the_other_way_refuses_is_not_moved_alone() {
    let rules = |states: &str| {
        filter(
            ["DROP", "DROP", "DROP"],
            &format!(
                "-A INPUT -i eth0 -j DROP\n-A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT\n{states}"
            ),
        )
    };
    let help = one(&rules(""), "shadowed-otherwise").help.unwrap();
    let wanted = "for the policy of OUTPUT refuses the answers; else take it out";
    assert!(help.ends_with(wanted), "{help}");
    let states = "-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n";
    let help = one(&rules(states), "shadowed-otherwise").help.unwrap();
    assert!(!help.contains("ESTABLISHED"), "{help}");
}

#[test]
fn a_rule_is_not_moved_to_where_its_connections_get_no_answer() {
    let rules = |refuses: &str| {
        filter(
            CLOSED,
            &format!(
                "{refuses}-A FORWARD -i in -j REJECT --reject-with icmp-port-unreachable\n\
                 -A FORWARD -i out -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A FORWARD -i in -o out -p udp -m udp --dport 53 -j ACCEPT\n"
            ),
        )
    };
    let source = rules("-A FORWARD -o in -j REJECT --reject-with icmp-port-unreachable\n");
    let found = one(&source, "shadowed-otherwise");
    let help = found.help.unwrap();
    let line = |start: &str| 1 + source.lines().position(|line| line.starts_with(start)).unwrap();
    let (above, by) = (line("-A FORWARD -i in -j"), line("-A FORWARD -o in"));
    let wanted = format!(
        "to have it asked, put it above line {above}, and above line {by}, which refuses the answers, a rule that \
         accepts what is ESTABLISHED; else take it out"
    );
    assert_eq!(help, wanted);
    // Taken out, the rule above leaves the answers refused; with what is advised they pass.
    let narrow = "-A FORWARD -i in -o out -p udp -m udp --dport 53 -j ACCEPT\n";
    let answers = "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n";
    let wide = "-A FORWARD -i in -j REJECT --reject-with icmp-port-unreachable\n";
    let moved = source.replace(narrow, "").replace(wide, &format!("{narrow}{wide}"));
    let answered = moved.replacen("-A FORWARD", &format!("{answers}-A FORWARD"), 1);
    for (text, passes) in [(source.replace(wide, ""), false), (moved, false), (answered, true)] {
        assert_eq!(asks_for_names(&text), passes, "{text}");
    }
    let help = one(&rules(""), "shadowed-otherwise").help.unwrap();
    assert!(help.contains("put it above line"), "{help}");
}

#[test]
fn a_helper_opens_nothing_where_everything_is_open() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
               -A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n";
    let rules = |forward: &str| {
        let rules =
            format!("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n{forward}");
        format!("{raw}{}", filter(CLOSED, &rules))
    };
    let open = "-A FORWARD -p tcp -m tcp --sport 0 --tcp-flags FIN,SYN,RST,ACK SYN -j DROP\n-A FORWARD -j ACCEPT\n";
    assert!(findings(&rules(open), "helper-too-broad", None).is_empty());
    let narrow = "-A FORWARD -p tcp -m tcp --dport 21 -j ACCEPT\n";
    one(&rules(narrow), "helper-too-broad");
}

#[test]
fn networks_that_are_trusted_on_the_same_side_are_one_finding() {
    let numbers = [1, 2, 3, 4, 5];
    let hidden = |n| format!("-A POSTROUTING -s 192.168.{n}.0/24 -o eth0 -j MASQUERADE\n");
    let trusted = |n| format!("-A FORWARD -s 192.168.{n}.0/24 -j ACCEPT\n");
    let nat: String = numbers.iter().map(hidden).collect();
    let rules: String = numbers.iter().map(trusted).collect();
    let answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let source = format!("{NAT}{nat}COMMIT\n{}", filter(CLOSED, &format!("{answers}{rules}")));
    let found = one(&source, "spoofed-source");
    assert_eq!(
        found.text,
        "192.168.1.0/24, 192.168.2.0/24 and 3 more networks are inside, and FORWARD accepts them as sources on eth0, \
         the outer interface, as well"
    );
    // One that is hidden behind another interface as well is trusted on that one, too.
    let also = "-A POSTROUTING -s 192.168.5.0/24 -o eth1 -j MASQUERADE\nCOMMIT\n*filter";
    let two = findings(&source.replacen("COMMIT\n*filter", also, 1), "spoofed-source", None);
    let [four, other] = two.as_slice() else { panic!("{two:?}") };
    assert!(four.text.contains("2 more networks are inside"), "{}", four.text);
    assert!(other.text.starts_with("192.168.5.0/24 is inside"), "{}", other.text);
    let mended = fixed(&source, "spoofed-source");
    assert_eq!(mended.matches("-A FORWARD -i eth0 -s ").count(), numbers.len(), "{mended}");
    assert!(findings(&mended, "spoofed-source", None).is_empty());
}

#[test]
fn doubles_and_chains_one_behind_the_other_are_one_finding() {
    let double = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n";
    let other = "-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT\n";
    let source = filter(CLOSED, &format!("{}{other}{double}", double.repeat(16)));
    let found = findings(&source, "duplicate-rule", None);
    let [run, alone] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(run.text, "the same rule stands above: these 15 match nothing more");
    assert_eq!(run.labels.len(), 15);
    assert_eq!(text(&source, run.span), double.trim_end());
    assert!(alone.text.ends_with("this one matches nothing more"), "{}", alone.text);
    assert_eq!(fixed(&source, "duplicate-rule"), filter(CLOSED, &format!("{double}{other}")));
    let chains = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:a - [0:0]\n:b - [0:0]\n:c - [0:0]\n\
                  :d - [0:0]\n:used - [0:0]\n:z - [0:0]\n-A INPUT -j used\n-A b -j DROP\n-A used -i lo -j ACCEPT\nCOMMIT\n";
    let found = findings(chains, "chain-unused", None);
    let texts: Vec<&str> = found.iter().map(|one| one.text.as_str()).collect();
    let wanted = [
        "no rule leads to the chains a, b and 2 more: their rule is never asked",
        "no rule leads to the chain z: it has no rules",
    ];
    assert_eq!(texts, wanted);
    let mended = fixed(chains, "chain-unused");
    assert!(!mended.contains("-A b") && mended.contains(":used"), "{mended}");
}

#[test]
fn rules_one_behind_the_other_that_one_rule_cuts_off_are_one_finding() {
    let dead = "-A INPUT -p tcp -m tcp --dport 23 -j DROP\n-A INPUT -p tcp -m tcp --dport 25 -j DROP\n\
                -A INPUT -p udp -m udp --dport 53 -j DROP\n";
    let open = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n";
    let closes = "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n-A INPUT -j DROP\n";
    let source = filter(CLOSED, &format!("{closes}{dead}{open}"));
    let found = findings(&source, "rule-unreachable", None);
    let [run, alone] = found.as_slice() else { panic!("{found:?}") };
    assert!(run.text.starts_with("no packet comes to these 3 rules: "), "{}", run.text);
    assert!(alone.text.starts_with("no packet comes to this rule: "), "{}", alone.text);
    // What is decided in a chain that is called is shown by a packet of the first of them.
    let called = source.replace("-A INPUT -j DROP\n", "-A INPUT -j closed\n-A closed -j DROP\n");
    let called = called.replacen("-A INPUT", ":closed - [0:0]\n-A INPUT", 1);
    assert_eq!(findings(&called, "rule-unreachable", None).len(), 2);
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let wanted = Wanted { only: vec!["rule-unreachable".into()], ..Wanted::default() };
    let text = fix(&source, None, &wanted, how).unwrap().text;
    assert_eq!(text, filter(CLOSED, &format!("{closes}{open}")));
}

#[test]
fn a_rule_for_an_empty_chain_goes_to_the_table_that_counts() {
    // Of two dumps in one file the second replaces the first.
    let once = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.32.0.0/12 -o eth0 -j MASQUERADE\nCOMMIT\n\
                *filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n\
                -A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -i weave -j ACCEPT\nCOMMIT\n";
    let drop = "-A INPUT -m conntrack --ctstate INVALID -j DROP\n";
    let text = fixed(&format!("{once}{once}"), "nat-without-invalid-drop");
    assert_eq!(text, format!("{once}{}{drop}COMMIT\n", once.trim_end_matches("COMMIT\n")));
}
