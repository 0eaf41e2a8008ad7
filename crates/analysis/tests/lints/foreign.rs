//! What rules that people wrote for themselves have shown: advice that does no harm, and packets that are what they are
//! said to be.

use super::findings;
use super::told::{filter, one, text};
use keepstate_analysis::lint::fix::{How, fix};
use keepstate_analysis::lint::{Severity, Wanted, lint, read};
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;

const NAT: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n";

#[test]
fn a_rule_that_would_do_otherwise_is_not_taken_out() {
    for (input, rules, fixed) in [
        ("ACCEPT", "-A INPUT -j DROP\n-A INPUT -i lo -j ACCEPT\n", false),
        ("ACCEPT", "-A INPUT -j ACCEPT\n-A INPUT -s 192.0.2.0/24 -j DROP\n", false),
        ("ACCEPT", "-A INPUT -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n", true),
        ("ACCEPT", "-A INPUT -j REJECT\n-A INPUT -j DROP\n", true),
    ] {
        let found = one(&filter([input, "DROP", "ACCEPT"], rules), "rule-unreachable");
        assert_eq!(found.fix.is_some(), fixed, "{found:?}");
        assert_eq!(found.help.is_none(), fixed, "{found:?}");
    }
}

#[test]
fn the_rule_of_a_chain_that_takes_all_is_named() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        ":STATEFUL - [0:0]\n\
         -A INPUT -j STATEFUL\n\
         -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
         -A INPUT -s 192.0.2.0/24 -j DROP\n\
         -A STATEFUL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A STATEFUL -m conntrack --ctstate NEW -j ACCEPT\n\
         -A STATEFUL -j DROP\n",
    );
    let found = findings(&source, "rule-unreachable", None);
    let [alike, otherwise] = found.as_slice() else { panic!("{found:?}") };
    for one in [alike, otherwise] {
        let named: Vec<&str> = one.labels.iter().map(|label| text(&source, label.span)).collect();
        assert!(named.contains(&"-A STATEFUL -m conntrack --ctstate NEW -j ACCEPT"), "{named:?}");
        assert!(one.fix.is_none(), "{one:?}");
    }
    // What would be let in anyway gains nothing higher up.
    let help = alike.help.as_deref().unwrap();
    assert!(help.starts_with("it matters only where STATEFUL is to let in less"), "{help}");
    let help = otherwise.help.as_deref().unwrap();
    let [goes_on, opens] = [
        "-A STATEFUL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A STATEFUL -m conntrack --ctstate NEW -j ACCEPT",
    ]
    .map(|rule| 1 + source.lines().position(|line| line == rule).unwrap());
    assert!(help.contains(&format!("put it into STATEFUL above line {opens}")), "{help}");
    let shown = &otherwise.evidence[2];
    assert!(shown.starts_with("above line 6 it would get tcp 192.0.2."), "{shown}");
    assert!(shown.ends_with(&format!("accepted by line {goes_on}")), "{shown}");
    // A refusal of all the rest is not put above them.
    let closed = source
        .replace("-A INPUT -s 192.0.2.0/24 -j DROP", "-A INPUT -j dump")
        .replace(":STATEFUL", ":dump - [0:0]\n:STATEFUL")
        .replace("-A STATEFUL -j DROP", "-A STATEFUL -j DROP\n-A dump -j LOG\n-A dump -j DROP");
    let found = findings(&closed, "rule-unreachable", None);
    let help = found[1].help.as_deref().unwrap();
    assert!(!help.contains("put it above"), "{help}");
}

#[test]
fn what_no_packet_comes_to_is_not_put_above_what_it_is_to_leave_alone() {
    let rules = ":STATEFUL - [0:0]\n-A INPUT -j STATEFUL\n\
                 -A INPUT -s 198.51.100.0/24 -i eth1 -j ACCEPT\n-A INPUT -i eth1 -j DROP\n\
                 -A STATEFUL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A STATEFUL -m conntrack --ctstate NEW -j ACCEPT\n-A STATEFUL -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let line = |rule| 1 + source.lines().position(|line| line == rule).unwrap();
    let found = findings(&source, "rule-unreachable", None);
    let [_, drops] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        drops.help.as_deref().unwrap(),
        format!(
            "to have it asked, put it into STATEFUL above line {}; line {}, which accepts some of its packets, has to \
             come with it and stand above it; else take it out",
            line("-A STATEFUL -m conntrack --ctstate NEW -j ACCEPT"),
            line("-A INPUT -s 198.51.100.0/24 -i eth1 -j ACCEPT")
        )
    );
    // No packet of it is one that the other would take.
    assert!(!drops.evidence.iter().any(|one| one.contains("198.51.100.")), "{drops:?}");
    // What passes the chain is not for this hook alone: there it would refuse what is passed on.
    let both = source.replace("-A STATEFUL -j DROP", "-A FORWARD -j STATEFUL\n-A STATEFUL -j DROP");
    let found = findings(&both, "rule-unreachable", None);
    let help = found.last().unwrap().help.as_deref().unwrap();
    let opens = line("-A STATEFUL -m conntrack --ctstate NEW -j ACCEPT");
    assert!(
        help.starts_with(&format!("to have it asked, line {opens} has to let in less")),
        "{help}"
    );
    // Where nothing tells those that go on from those that begin, it may stand above.
    let plain = source
        .replace("-m conntrack --ctstate NEW ", "")
        .replace("-m conntrack --ctstate RELATED,ESTABLISHED", "-p icmp");
    let found = findings(&plain, "rule-unreachable", None);
    let help = found[1].help.as_deref().unwrap();
    assert!(
        help.contains(&format!("put it above line {}; line", line("-A INPUT -j STATEFUL"))),
        "{help}"
    );
    // A sister that takes all of it leaves it nothing anywhere.
    let less =
        source.replace("-A INPUT -i eth1 -j DROP", "-A INPUT -s 198.51.100.7/32 -i eth1 -j DROP");
    let found = findings(&less, "rule-unreachable", None);
    let help = found.last().unwrap().help.as_deref().unwrap();
    assert!(help.contains("asks for all that it asks for, and otherwise"), "{help}");
}

#[test]
fn what_others_open_by_name_is_not_refused_above_them() {
    let rules = |last: &str| {
        let rules = format!(
            ":hosts - [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -j hosts\n\
             -A FORWARD -i br0 -o br0 -j DROP\n-A hosts -s 10.0.0.1/32 -i br0 -o br0 -j ACCEPT\n-A hosts -j {last}\n"
        );
        let source = filter(["DROP", "DROP", "ACCEPT"], &rules);
        let opens = 1 + source.lines().position(|line| line == "-A hosts -j ACCEPT").unwrap_or(0);
        (one(&source, "rule-unreachable"), opens)
    };
    // Behind them it does nothing.
    let (found, _) = rules("DROP");
    assert!(found.evidence.last().unwrap().starts_with("where it takes nothing from"), "{found:?}");
    assert!(found.fix.is_some(), "{found:?}");
    let (found, opens) = rules("ACCEPT");
    let help = found.help.unwrap();
    assert!(help.contains(&format!("put it into hosts above line {opens}")), "{help}");
}

#[test]
fn a_run_of_rules_names_all_who_decide_and_packets_between_hosts() {
    let rules = ":STATEFUL - [0:0]\n-A INPUT -j STATEFUL\n\
                 -A INPUT -s 0.0.0.0/8 -i eth0 -j DROP\n-A INPUT -s 10.0.0.0/8 -i eth0 -j DROP\n\
                 -A INPUT -i eth0 -p icmp -m icmp --icmp-type 3 -j ACCEPT\n\
                 -A INPUT -i eth0 -p icmp -m icmp --icmp-type 8 -j ACCEPT\n\
                 -A STATEFUL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A STATEFUL -m conntrack --ctstate NEW -j ACCEPT\n-A STATEFUL -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let found = findings(&source, "rule-unreachable", None);
    let [bogus, icmp] = found.as_slice() else { panic!("{found:?}") };
    assert!(bogus.evidence[1].starts_with("tcp 10.0.0."), "{bogus:?}");
    assert!(bogus.evidence.iter().all(|one| !one.contains("255.255.255.255")), "{bogus:?}");
    let decides = icmp.labels.iter().filter(|label| label.text.contains("in STATEFUL"));
    let decides: Vec<&str> = decides.map(|label| text(&source, label.span)).collect();
    assert!(decides[0].contains("RELATED,ESTABLISHED") && decides[1].contains("NEW"), "{icmp:?}");
    assert!(icmp.evidence[1].contains("type 3/0") && icmp.evidence[2].contains("type 8/0"));
}

#[test]
fn packets_arrive_without_a_mark() {
    let source = |mark: &str| {
        format!(
            "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m conntrack --ctstate {mark} -j MARK --set-mark 0x2\nCOMMIT\n\
             {NAT}-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n{}",
            filter(
                ["DROP", "DROP", "ACCEPT"],
                "-A FORWARD -i eth0 -o eth1 -m mark --mark 0x2 -j ACCEPT\n\
                 -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
            )
        )
    };
    assert!(findings(&source("NEW"), "nat-without-invalid-drop", None).is_empty());
    one(&source("NEW,INVALID"), "nat-without-invalid-drop");
}

#[test]
fn who_takes_packets_in_an_earlier_table_is_named_alone() {
    let source = format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 0.0.0.0/8 -i eth1 -j DROP\n-A PREROUTING -i eth1 -m recent --update --name x --rsource -j DROP\n\
         -A PREROUTING -d 192.168.0.0/16 -i eth1 -j DROP\nCOMMIT\n{}",
        filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A FORWARD -d 192.168.10.32/32 -i eth1 -p tcp -m tcp --dport 22 -j ACCEPT\n",
        )
    );
    let found = one(&source, "never-in-chain");
    let named: Vec<&str> = found.labels.iter().map(|label| text(&source, label.span)).collect();
    assert_eq!(named, ["-A PREROUTING -d 192.168.0.0/16 -i eth1 -j DROP"]);
    assert!(found.help.as_deref().unwrap().contains("the DNAT to it is missing"), "{found:?}");
}

#[test]
fn what_another_rule_refuses_before_a_chain_is_not_taken_out() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        ":web - [0:0]\n\
         -A INPUT -p tcp -m tcp --dport 443 -j DROP\n\
         -A INPUT -p tcp -j web\n\
         -A web -p tcp -m tcp --dport 80 -j ACCEPT\n\
         -A web -p tcp -m tcp --dport 443 -j ACCEPT\n",
    );
    let found = one(&source, "never-in-chain");
    assert!(found.fix.is_none() && found.help.is_some(), "{found:?}");
}

#[test]
fn a_segment_that_would_be_translated_comes_from_where_it_would_be() {
    let source = format!(
        "{NAT}-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n{}",
        filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n",
        )
    );
    let found = one(&source, "nat-without-invalid-drop");
    assert!(found.evidence[0].starts_with("tcp 172.17.0.10:40000 > "), "{found:?}");
    assert!(found.evidence[0].contains(" in docker0 out "), "{found:?}");
}

#[test]
fn the_port_that_a_helper_opens_is_one_that_no_other_rule_opens() {
    let source = format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n{}",
        filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A FORWARD -p tcp -m multiport --dports 21,22 -j ACCEPT\n",
        )
    );
    let found = one(&source, "related-too-wide");
    assert!(found.evidence[0].ends_with(":23"), "{found:?}");
}

#[test]
fn what_is_to_refuse_new_connections_from_outside_stands_where_it_can() {
    let masquerade = "-A POSTROUTING -o eth0 -j MASQUERADE\n";
    let gateway = |nat: &str, rules: &str| {
        let rules = format!("-A INPUT -i lo -j ACCEPT\n{rules}");
        format!("{NAT}{nat}COMMIT\n{}", filter(["DROP", "ACCEPT", "ACCEPT"], &rules))
    };
    let source = gateway(
        masquerade,
        "-A FORWARD -o eth1 -j ACCEPT\n-A FORWARD -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT\n",
    );
    let found = one(&source, "forward-open");
    let help = found.help.clone().unwrap();
    let line = 1 + source.lines().position(|line| line == "-A FORWARD -o eth1 -j ACCEPT").unwrap();
    assert!(
        help.starts_with(&format!("above line {line}, and what line {} lets in", line + 1)),
        "{help}"
    );
    assert!(found.labels.iter().any(|label| text(&source, label.span).contains("-o eth1")));
    // As it says.
    let moved = "-A FORWARD -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT\n";
    let added = format!("{}\n", help.split_once(":\n").unwrap().1);
    let mended = gateway(masquerade, &format!("{moved}{added}-A FORWARD -o eth1 -j ACCEPT\n"));
    assert!(findings(&mended, "forward-open", None).is_empty(), "{mended}");
    assert!(findings(&mended, "rule-unreachable", None).is_empty(), "{mended}");

    let both = format!("{masquerade}-A POSTROUTING -o eth1 -j MASQUERADE\n");
    let found = one(&gateway(&both, ""), "forward-open");
    assert!(found.help.unwrap().contains("eth0 and eth1"));
    let told = format!("{both}-A PREROUTING -i eth1 -p tcp --dport 80 -j DNAT --to 192.168.1.2\n");
    let found = one(&gateway(&told, ""), "forward-open");
    assert!(found.help.unwrap().ends_with("-A FORWARD -i eth1 -j DROP"));
}

#[test]
fn a_host_that_is_to_speak_no_ipv6_is_not_told_what_that_takes() {
    let off = "-A INPUT -s fe80::/10 -j DROP\n";
    for rules in ["", off, "-A INPUT -i lo -j ACCEPT\n-A OUTPUT -o lo -j ACCEPT\n"] {
        // It is of IPv6 by its comment.
        let head = "# Generated by ip6tables-save v1.8.9 on Thu Jan  1 00:00:00 2026\n";
        let source = format!("{head}{}", filter(["DROP", "DROP", "DROP"], rules));
        for code in ["nd-blocked", "loopback-blocked", "no-way-in", "icmp-errors-blocked"] {
            let found = findings(&source, code, None);
            assert!(found.is_empty(), "{found:?}");
        }
        let some = source.replace("COMMIT", "-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT");
        assert!(!findings(&some, "nd-blocked", None).is_empty());
    }
}

#[test]
fn what_is_open_to_everybody_is_not_all_that_a_host_says_to_itself() {
    let rules = |more: &str| {
        let rules = format!(
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A INPUT -p tcp -m multiport --dports 22,8080 -j ACCEPT\n{more}"
        );
        filter(["DROP", "DROP", "ACCEPT"], &rules)
    };
    let found = one(&rules(""), "loopback-blocked");
    assert!(found.evidence[0].contains(":5432 syn in lo, NEW is refused"), "{found:?}");
    assert!(!found.evidence[0].contains(":8080 syn"), "{found:?}");
    for more in [
        "-A INPUT -s 127.0.0.1/32 -j ACCEPT\n",
        "-A INPUT ! -i eth0 -j ACCEPT\n",
        "-A INPUT -i lo -p tcp -m tcp --dport 5432 -j ACCEPT\n",
        "-A INPUT -p tcp -m tcp --dport 1024:65535 -j ACCEPT\n",
        "-A INPUT -p tcp -m tcp ! --tcp-flags SYN,ACK SYN -j DROP\n-A INPUT -j ACCEPT\n",
        "-A INPUT -m mark --mark 0x8000 -j DROP\n-A INPUT -j ACCEPT\n",
    ] {
        let found = findings(&rules(more), "loopback-blocked", None);
        assert!(found.is_empty(), "{more}: {found:?}");
    }
}

#[test]
fn rules_that_programs_write_are_not_tidied() {
    let source = filter(
        ["ACCEPT", "DROP", "ACCEPT"],
        ":DOCKER - [0:0]\n:DOCKER-ISOLATION-STAGE-1 - [0:0]\n:DOCKER-ISOLATION-STAGE-2 - [0:0]\n:DOCKER-USER - [0:0]\n\
         -A FORWARD -j DOCKER-USER\n\
         -A FORWARD -j DOCKER-ISOLATION-STAGE-1\n\
         -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FORWARD -o docker0 -j DOCKER\n\
         -A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n\
         -A FORWARD -i docker0 -o docker0 -j ACCEPT\n\
         -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2\n\
         -A DOCKER-ISOLATION-STAGE-1 -j RETURN\n\
         -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP\n\
         -A DOCKER-ISOLATION-STAGE-2 -j RETURN\n\
         -A DOCKER-USER -i eth0 -p tcp -m tcp --dport 80 -j DROP\n\
         -A DOCKER-USER -i eth0 -p tcp -m tcp --dport 80 -j DROP\n\
         -A DOCKER-USER -j RETURN\n",
    );
    assert!(findings(&source, "never-in-chain", None).is_empty());
    assert!(findings(&source, "rule-redundant", None).is_empty());
    // Those are the user's own.
    one(&source, "duplicate-rule");
}

#[test]
fn a_service_that_answers_nobody_is_called_so() {
    let rules = |output: &str| {
        format!(
            "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack\nCOMMIT\n{}",
            filter(
                ["DROP", "DROP", "DROP"],
                &format!("-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n{output}")
            )
        )
    };
    let dead = one(
        &rules("-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"),
        "notrack-one-way",
    );
    assert!(dead.evidence[1].ends_with("the service answers nobody"), "{dead:?}");
    let lives = one(&rules("-A OUTPUT -j ACCEPT\n"), "notrack-one-way");
    assert!(lives.evidence[1].ends_with(" is accepted by rule 1 of OUTPUT"), "{lives:?}");
    assert_eq!(lives.severity(), Severity::Note);
    // What is sent to some hosts is accepted whatever it is.
    let known = "-A OUTPUT -d 203.0.113.0/24 -j ACCEPT\n\
                 -A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    for untracked in [false, true] {
        let accept =
            if untracked { "-A OUTPUT -m conntrack --ctstate UNTRACKED -j ACCEPT\n" } else { "" };
        let found = one(&rules(&format!("{known}{accept}")), "notrack-one-way");
        let answer = &found.evidence[1];
        assert!(answer.starts_with("tcp 192.0.2.1:80 > 198.51.100.1:40000 syn ack "), "{answer}");
        assert!(answer.contains("INVALID is refused by the policy of OUTPUT"), "{answer}");
        assert_eq!(found.severity(), Severity::Warning);
        let accept = "-A OUTPUT -p tcp --sport 80 -m conntrack --ctstate UNTRACKED -j ACCEPT";
        assert_eq!(found.help.as_ref().unwrap().contains(accept), !untracked, "{found:?}");
    }
}

#[test]
fn a_note_of_a_kind_of_warnings_is_passed_over_where_warnings_are_wanted() {
    let source = format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack\nCOMMIT\n{}",
        filter(["ACCEPT", "DROP", "ACCEPT"], "")
    );
    let only = vec!["notrack-one-way".into()];
    let ruleset = read::ruleset(&source, Family::V4, LabelNames::NONE).unwrap();
    for (severity, count) in [(Severity::Note, 1), (Severity::Warning, 0)] {
        let wanted = Wanted { only: only.clone(), severity, ..Wanted::default() };
        assert_eq!(lint(&source, &ruleset, None, &wanted).unwrap().len(), count);
    }
}

#[test]
fn a_segment_belongs_to_a_connection_of_hosts_behind_the_translator() {
    let bridge = |snat: &str, more: &str| {
        format!(
            "{NAT}-A POSTROUTING -o br0 -m addrtype --src-type LOCAL -j {snat}\n{more}\
             -A OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.0.2:80\nCOMMIT\n{}",
            filter(
                ["ACCEPT", "ACCEPT", "ACCEPT"],
                "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n"
            )
        )
    };
    let theirs = "-A POSTROUTING -s 192.168.0.0/24 ! -o br0 -j MASQUERADE\n";
    let source = bridge("MASQUERADE", theirs);
    let found = one(&source, "nat-without-invalid-drop");
    assert_eq!(text(&source, found.span), theirs.trim_end());
    assert!(found.evidence[0].contains(" in eth0, INVALID"), "{found:?}");
    assert_eq!(found.severity(), Severity::Warning);
    // Where the host's own are all that is translated, an answer comes from where those lead.
    let source = bridge(
        "SNAT --to-source 192.168.123.7",
        "-A POSTROUTING -s 192.168.0.2/32 -d 192.168.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE\n",
    );
    let found = one(&source, "nat-without-invalid-drop");
    assert!(text(&source, found.span).contains("--src-type LOCAL"), "{found:?}");
    let answer = "tcp 192.168.0.2:80 > 192.168.123.7:40000 ack in br0, INVALID is accepted";
    assert!(found.evidence[0].starts_with(answer), "{found:?}");
    assert!(found.text.contains("that this host itself opens"), "{found:?}");
    assert_eq!(found.severity(), Severity::Note);
}

#[test]
fn what_a_host_sends_to_itself_concerns_nobody_else() {
    let source = format!(
        "{NAT}-A OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.0.2:80\nCOMMIT\n{}",
        filter(
            ["ACCEPT", "ACCEPT", "ACCEPT"],
            "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n"
        )
    );
    assert!(findings(&source, "nat-without-invalid-drop", None).is_empty());
}

#[test]
fn an_answer_comes_to_the_address_that_translation_has_put_there() {
    let source = format!(
        "{NAT}-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j SNAT --to-source 203.0.113.0\nCOMMIT\n{}",
        filter(
            ["ACCEPT", "ACCEPT", "ACCEPT"],
            "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n"
        )
    );
    let found = one(&source, "nat-without-invalid-drop");
    assert!(found.evidence[0].contains(":80 > 203.0.113.0:40000 ack in eth0"), "{found:?}");
}

#[test]
fn a_rule_that_drops_invalid_packets_too_late_is_moved_up() {
    let source = format!(
        "{NAT}-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE\nCOMMIT\n{}",
        filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n-A FORWARD -m state --state INVALID -j DROP\n\
             -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
        )
    );
    let found = one(&source, "nat-without-invalid-drop");
    assert!(found.help.as_ref().unwrap().starts_with("this rule first in FORWARD"), "{found:?}");
    let wanted = Wanted { only: vec!["nat-without-invalid-drop".into()], ..Wanted::default() };
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let fixed = fix(&source, None, &wanted, how).unwrap();
    assert!(fixed.left.is_empty(), "{:?}", fixed.left);
    let forward: Vec<&str> =
        fixed.text.lines().filter(|line| line.starts_with("-A FORWARD")).collect();
    assert_eq!(forward.len(), 3, "{}", fixed.text);
    assert_eq!(forward[0], "-A FORWARD -m state --state INVALID -j DROP");
}

#[test]
fn what_a_host_sends_is_logged_by_its_own_doing() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j LOG\nCOMMIT\n";
    let early = one(raw, "log-without-limit");
    // Tracking has not looked at it.
    assert!(!early.evidence[0].contains("NEW"), "{early:?}");
    assert!(early.evidence[0].contains("this host that sends them: its programs, and who asks"));
    let first = "-A OUTPUT -m conntrack --ctstate NEW -j LOG\n";
    let first = one(&filter(["ACCEPT", "DROP", "ACCEPT"], first), "log-without-limit");
    assert!(
        first.evidence[0].ends_with("its programs decide how many lines that are"),
        "{first:?}"
    );
    let comes =
        one(&filter(["ACCEPT", "DROP", "ACCEPT"], "-A INPUT -j LOG\n"), "log-without-limit");
    assert!(comes.evidence[0].contains("NEW; a sender of 100,000 of them"), "{comes:?}");
}

#[test]
fn what_comes_from_all_hosts_of_a_network_looks_like_it() {
    let rules = "-A INPUT -m addrtype --src-type BROADCAST -j LOG\n";
    let found = one(&filter(["ACCEPT", "DROP", "ACCEPT"], rules), "log-without-limit");
    assert!(found.evidence[0].contains("udp 198.51.100.255:"), "{found:?}");
}

#[test]
fn what_is_masqueraded_inwards_goes_in_by_an_interface_of_the_rules() {
    let rules = "-A INPUT -i eth1 -p tcp -m tcp --dport 3306 -j ACCEPT\n";
    let source = format!(
        "{NAT}-A POSTROUTING -j MASQUERADE\nCOMMIT\n{}",
        filter(["DROP", "ACCEPT", "ACCEPT"], rules)
    );
    let found = one(&source, "masquerade-anywhere");
    let packet = "for instance tcp 198.51.100.1:40000 > 10.0.0.1:80 syn in eth0 out eth1, NEW";
    assert!(found.evidence[0].starts_with(packet), "{found:?}");
}

#[test]
fn the_old_name_is_put_right_wherever_it_stands() {
    let raw = |rules: &str| {
        format!("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n")
    };
    let first = raw(
        "-A PREROUTING -p udp -m udp --dport 53 -j NOTRACK\n-A OUTPUT -p udp -m udp --sport 53 -j NOTRACK\n",
    );
    let source = format!("{first}{}", raw("-A PREROUTING -p tcp -m tcp --dport 80 -j NOTRACK\n"));
    let found = one(&source, "deprecated-notrack");
    assert!(found.evidence[0].starts_with("3 lines with it;"), "{found:?}");
    assert_eq!(found.fix.unwrap().edits.len(), 3);
}

#[test]
fn a_line_of_many_rules_is_not_above_itself() {
    let source = "iptables -P INPUT DROP\niptables -A INPUT -s 192.0.2.7,192.0.2.7 -j ACCEPT\n";
    let found = one(source, "duplicate-rule");
    assert!(
        found.labels.is_empty() && found.text.starts_with("this line is loaded as"),
        "{found:?}"
    );
    let source = "iptables -P INPUT DROP\niptables -A INPUT -m state --state ESTABLISHED -j ACCEPT\n\
                  iptables -A INPUT -s 192.0.2.7,192.0.2.9 -m state --state NEW,ESTABLISHED -j ACCEPT\n";
    one(source, "state-part-dead");
}

#[test]
fn a_prefix_in_single_quotes_is_put_right() {
    let source = "iptables -A INPUT -j LOG --log-prefix 'dropped'\n";
    let fix = one(source, "log-prefix-joined").fix.unwrap();
    assert_eq!(fix.edits[0].text, "--log-prefix 'dropped '");
}

#[test]
fn a_ban_above_what_is_open_to_all_is_in_its_place() {
    let rules = |ban: &str| {
        let rules =
            format!("{ban}-A INPUT -d 198.51.100.0/24 -p tcp -m tcp --dport 80 -j ACCEPT\n");
        filter(["DROP", "DROP", "ACCEPT"], &rules)
    };
    let ban = rules("-A INPUT -s 203.0.113.9/32 -j DROP\n");
    assert!(findings(&ban, "order-dependent", None).is_empty());
    one(&rules("-A INPUT -s 203.0.113.0/24 -j DROP\n"), "order-dependent");
    let lo =
        "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP\n-A INPUT -i lo -j ACCEPT\n";
    let lo = filter(["DROP", "DROP", "ACCEPT"], lo);
    assert!(findings(&lo, "order-dependent", None).is_empty());
}

#[test]
fn a_trusted_port_is_shown_where_no_other_rule_opens_the_way() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A INPUT -p tcp -m tcp --sport 80 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n",
    );
    let found = one(&source, "source-port-trusted");
    assert!(!found.evidence[0].contains(":22 "), "{found:?}");
}

#[test]
fn answers_of_what_is_asked_by_broadcast_are_not_established() {
    let of = |port: u16| {
        let rule = format!("-A INPUT -p udp -m udp --sport {port} -j ACCEPT\n");
        one(&filter(["DROP", "DROP", "ACCEPT"], &rule), "source-port-trusted").help.unwrap()
    };
    assert!(of(137).contains("by broadcast or multicast"), "{}", of(137));
    assert!(!of(53).contains("broadcast"), "{}", of(53));
}

#[test]
fn a_rule_for_all_ports_of_two_protocols_has_lost_none() {
    let of = |more: &str| {
        let rules = format!("-A INPUT -s 192.0.2.7/32 -p tcp -m tcp -j ACCEPT\n{more}");
        findings(&filter(["DROP", "DROP", "ACCEPT"], &rules), "parameters-missing", None).len()
    };
    assert_eq!(of("-A INPUT -s 192.0.2.7/32 -p udp -m udp -j ACCEPT\n"), 0);
    assert_eq!(of("-A INPUT -s 192.0.2.7/32 -p udp -m udp --dport 53 -j ACCEPT\n"), 1);
    assert_eq!(of("-A INPUT -s 192.0.2.8/32 -p udp -m udp -j ACCEPT\n"), 2);
}

#[test]
fn a_port_of_a_list_that_is_decided_otherwise_above_is_said_to_be() {
    let of = |above: &str| {
        let rules = format!(
            "-A INPUT -p tcp -m tcp --dport 80 -j {above}\n-A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\n"
        );
        one(&filter(["DROP", "DROP", "ACCEPT"], &rules), "port-part-dead")
    };
    let found = of("DROP");
    assert_eq!(found.labels[0].text, "packets to it are dropped here");
    assert_eq!(found.evidence[1], "the list says accepted, and above it is dropped");
    let found = of("ACCEPT");
    assert_eq!(found.evidence.len(), 1);
    assert_eq!(found.help.as_deref(), Some("it may be left out of the list"));
}

#[test]
fn a_port_that_a_rule_closes_is_not_the_loopback_interface() {
    let rules = "-A INPUT -p tcp -m tcp --dport 8080 -j DROP\n";
    let open = filter(["ACCEPT", "ACCEPT", "ACCEPT"], rules);
    assert!(findings(&open, "loopback-blocked", None).is_empty());
    one(&filter(["DROP", "ACCEPT", "ACCEPT"], rules), "loopback-blocked");
    let wide = rules.replace("8080", "1024:65535");
    one(&filter(["ACCEPT", "ACCEPT", "ACCEPT"], &wide), "loopback-blocked");
}

#[test]
fn who_refuses_is_pointed_at_where_no_policy_is_written() {
    let source = "iptables -A INPUT -p udp --dport 137 -j DROP\n\
                  iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\niptables -A INPUT -j DROP\n";
    let found = one(source, "no-way-in");
    assert_eq!(text(source, found.span), "iptables -A INPUT -j DROP");
}
