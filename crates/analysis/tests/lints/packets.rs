//! Packets that findings name are such as come there; and what is one matter is told once.

use crate::findings;
use crate::told::{filter, one, text};
use keepstate_analysis::lint::fix::{How, fix};
use keepstate_analysis::lint::{Wanted, read};
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;

fn nat(rules: &str) -> String {
    format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{rules}COMMIT\n"
    )
}

fn raw(rules: &str) -> String {
    format!("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n")
}

const DROP: [&str; 3] = ["DROP", "DROP", "ACCEPT"];

#[test]
fn nothing_is_passed_on_by_the_loopback_interface() {
    let source = format!(
        "{}{}",
        raw("-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n"),
        filter(DROP, "-A INPUT -i lo -j ACCEPT\n-A FORWARD -p tcp -m tcp --dport 21 -j ACCEPT\n")
    );
    let found = one(&source, "helper-too-broad");
    assert!(found.evidence[0].ends_with("syn in eth0 out eth1, NEW"), "{found:?}");
}

#[test]
fn a_helper_is_shown_with_a_client_inside_and_a_stranger() {
    let source = format!(
        "{}{}{}",
        nat("-A POSTROUTING -s 10.1.0.0/16 -o eth0 -j MASQUERADE\n"),
        raw("-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n"),
        filter(DROP, "-A INPUT -i eth1 -j ACCEPT\n-A FORWARD -i eth1 -j ACCEPT\n")
    );
    let found = one(&source, "helper-too-broad");
    let packet = &found.evidence[0];
    assert!(packet.contains("tcp 10.1.") && packet.contains("in eth1 out eth0"), "{found:?}");
    assert!(!packet.contains("> 10."), "{found:?}");
}

#[test]
fn where_it_is_hidden_is_said_by_the_rule_that_leads_there() {
    let source = format!(
        "{}{}{}",
        nat(":out - [0:0]\n-A POSTROUTING -o eth0 -j out\n-A out -s 10.1.0.0/16 -j MASQUERADE\n"),
        raw("-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n"),
        filter(
            DROP,
            "-A INPUT -i eth1 -j ACCEPT\n-A FORWARD -i eth1 -j ACCEPT\n-A FORWARD -i eth2 -o eth1 -j ACCEPT\n"
        )
    );
    let found = one(&source, "helper-too-broad");
    assert!(found.evidence[0].contains("out eth0"), "{found:?}");
}

#[test]
fn the_first_address_of_a_network_is_its_router_s() {
    let rules =
        "-A FORWARD -d 192.168.0.2/32 -j ACCEPT\n-A FORWARD -s 192.168.0.0/24 -i br0 -j LOG\n";
    let found = one(&filter(DROP, rules), "log-without-limit");
    assert!(!found.evidence[0].contains("tcp 192.168.0.1:"), "{found:?}");
}

#[test]
fn two_interfaces_that_rules_do_not_tell_apart_are_two() {
    let source = filter(DROP, "-A FORWARD -i vif+ -o vif+ -j LOG\n");
    let found = one(&source, "log-without-limit");
    assert!(found.evidence[0].contains("in vif0 out vif1,"), "{found:?}");
    let source = filter(DROP, "-A INPUT -i eth0 -j DROP\n-A FORWARD ! -i eth0 ! -o eth0 -j LOG\n");
    let found = one(&source, "log-without-limit");
    assert!(found.evidence[0].contains("in eth1 out eth2,"), "{found:?}");
}

#[test]
fn a_host_does_not_send_to_itself() {
    // Of all addresses that are told apart only those of one stretch are left.
    let rules = "-A FORWARD ! -s 10.1.0.0/16 -j DROP\n-A FORWARD ! -d 10.1.0.0/16 -j DROP\n-A FORWARD -j LOG\n";
    let found = one(&filter(DROP, rules), "log-without-limit");
    assert!(found.evidence[0].contains("tcp 10.1.0.10:40000 > 10.1."), "{found:?}");
    assert!(!found.evidence[0].contains("> 10.1.0.10:"), "{found:?}");
}

#[test]
fn what_is_forwarded_is_what_begins_connections() {
    let rules = ":bad-tcp - [0:0]\n-A FORWARD -m conntrack --ctstate NEW -p tcp -j bad-tcp\n\
                 -A bad-tcp -p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK -j REJECT --reject-with tcp-reset\n\
                 -A bad-tcp -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP\n";
    let source = format!(
        "{}{}",
        nat(
            "-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.1.10:80\n"
        ),
        filter(DROP, rules)
    );
    let found = one(&source, "dnat-blocked");
    let at: Vec<&str> = found.labels.iter().map(|label| text(&source, label.span)).collect();
    assert_eq!(at, [":FORWARD DROP [0:0]"], "{found:?}");
    let [packet] = found.evidence.as_slice() else { panic!("{found:?}") };
    assert!(
        packet.contains(" syn in eth0 out eth1, NEW: refused by the policy of FORWARD"),
        "{packet}"
    );
}

#[test]
fn nobody_sends_from_an_address_of_the_host() {
    let source = |trusted: &str| {
        format!(
            "{}{}",
            nat("-A POSTROUTING -o eth0 -j SNAT --to-source 198.51.100.7\n"),
            filter(
                DROP,
                &format!(
                    "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -i eth1 -j ACCEPT\n\
                     -A INPUT -s {trusted} -i eth0 -p tcp -j ACCEPT\n"
                )
            )
        )
    };
    assert!(findings(&source("198.51.100.7/32"), "nat-without-invalid-drop", None).is_empty());
    one(&source("198.51.100.9/32"), "nat-without-invalid-drop");
}

#[test]
fn sources_fit_the_side_that_they_come_from() {
    let source = format!(
        "{}{}",
        nat("-A POSTROUTING -s 10.1.0.0/16 -o eth0 -j MASQUERADE\n"),
        filter(
            ["ACCEPT", "ACCEPT", "ACCEPT"],
            "-A FORWARD -i eth1 -j LOG\n-A FORWARD -i eth0 -j LOG\n"
        )
    );
    let found = findings(&source, "log-without-limit", None);
    let [inside, outside] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        inside.evidence[0].contains("tcp 10.1.0.10:40000 > 192.0.2.1:80 syn in eth1 out eth0"),
        "{inside:?}"
    );
    let packet = &outside.evidence[0];
    assert!(
        packet.contains("tcp 198.51.100.1:40000 > 10.1.") && packet.contains("in eth0 out eth1"),
        "{packet}"
    );
}

#[test]
fn what_routing_and_tracking_never_let_come_is_not_logged() {
    for rule in [
        // A loopback address from outside.
        "-A INPUT -s 127.0.0.0/8 -i eth0 -j LOG",
        "-A INPUT -s 224.0.0.0/4 -i eth0 -j LOG",
        // A request is no answer to anything.
        "-A INPUT -p icmp -m icmp --icmp-type 8 -m conntrack --ctstate INVALID -j LOG",
        "-A INPUT -p udp -m conntrack --ctstate INVALID -j LOG",
    ] {
        let source = filter(DROP, &format!("-A INPUT -i lo -j ACCEPT\n{rule}\n"));
        assert!(findings(&source, "log-without-limit", None).is_empty(), "{rule}");
    }
    let icmp = "-A INPUT -p icmp -m conntrack --ctstate INVALID -j LOG\n";
    let found = one(&filter(DROP, icmp), "log-without-limit");
    assert!(found.evidence[0].contains("type 0/0"), "{found:?}");
    // Before routing, they are seen.
    let early = raw("-A PREROUTING -s 127.0.0.0/8 -i eth0 -j LOG\n");
    one(&early, "log-without-limit");
}

#[test]
fn what_limits_above_let_through_is_no_flood() {
    let chain = ":flood - [0:0]\n-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j flood\n\
                 -A flood -m limit --limit 1/sec --limit-burst 4 -j RETURN\n-A flood -j DROP\n\
                 -A INPUT -m conntrack --ctstate NEW ! -p tcp -j DROP\n\
                 -A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP\n";
    let new = format!("{chain}-A INPUT -p tcp -m conntrack --ctstate NEW -j LOG\n");
    assert!(findings(&filter(DROP, &new), "log-without-limit", None).is_empty());
    // What is not limited is: the second segment of a connection that is not there.
    let any = format!("{chain}-A INPUT -p tcp -j LOG\n");
    let found = one(&filter(DROP, &any), "log-without-limit");
    assert!(found.evidence[0].contains("syn ack in eth0, INVALID"), "{found:?}");
    // Above a rate nobody goes on to the rule, or everybody does.
    let hash = |kind: &str, then: &str| {
        let limit = format!(
            "hashlimit {kind} 5/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name a"
        );
        filter(DROP, &format!("-A INPUT -m {limit} -j {then}\n-A INPUT -j LOG\n"))
    };
    assert!(findings(&hash("--hashlimit-above", "DROP"), "log-without-limit", None).is_empty());
    one(&hash("--hashlimit-upto", "ACCEPT"), "log-without-limit");
}

#[test]
fn who_trusts_a_source_is_not_blamed_for_what_passes_anyway() {
    let masks = nat("-A POSTROUTING -s 192.168.1.0/24 -o eth0 -j MASQUERADE\n");
    let trusts = "-A INPUT -s 192.168.1.0/24 -j ACCEPT\n";
    let closed = format!("{masks}{}", filter(DROP, trusts));
    one(&closed, "spoofed-source");
    // A later rule, and the policy.
    let later = format!("{trusts}-A INPUT -i eth0 -j ACCEPT\n");
    assert!(
        findings(&format!("{masks}{}", filter(DROP, &later)), "spoofed-source", None).is_empty()
    );
    let open = filter(["ACCEPT", "DROP", "ACCEPT"], trusts);
    assert!(findings(&format!("{masks}{open}"), "spoofed-source", None).is_empty());
    // What is refused behind it is its doing.
    let partly = format!("{trusts}-A INPUT -p tcp -m tcp --dport 22 -j DROP\n");
    let partly = filter(["ACCEPT", "DROP", "ACCEPT"], &partly);
    let found = one(&format!("{masks}{partly}"), "spoofed-source");
    assert!(found.evidence[0].contains(":22 syn in eth0, NEW"), "{found:?}");
}

#[test]
fn what_comes_out_of_a_tunnel_of_ipsec_is_let_in() {
    let source = format!(
        "{}{}",
        nat("-A POSTROUTING -s 192.168.1.0/24 -o eth0 -j MASQUERADE\n"),
        filter(DROP, "-A INPUT -p esp -j ACCEPT\n-A INPUT -s 192.168.1.0/24 -j ACCEPT\n")
    );
    let found = one(&source, "spoofed-source");
    let told = &found.fix.as_ref().unwrap().text;
    assert!(told.contains("-s 192.168.1.0/24 -m policy --dir in --pol none -j DROP"), "{told}");
    let wanted = Wanted { only: vec!["spoofed-source".into()], ..Wanted::default() };
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let fixed = fix(&source, None, &wanted, how).unwrap();
    assert!(fixed.left.is_empty(), "{:?}", fixed.left);
    assert!(findings(&fixed.text, "spoofed-source", None).is_empty(), "{}", fixed.text);
}

#[test]
fn a_network_hidden_behind_several_interfaces_is_one_finding() {
    let source = format!(
        "{}{}",
        nat(
            "-A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE\n-A POSTROUTING -s 10.8.0.0/24 -o eth1 -j MASQUERADE\n"
        ),
        filter(DROP, "-A INPUT -s 10.8.0.0/24 -j ACCEPT\n")
    );
    let found = one(&source, "spoofed-source");
    assert!(found.text.contains("on eth0 and eth1, interfaces"), "{found:?}");
    assert_eq!(found.fix.unwrap().edits[0].text.lines().count(), 2);
}

#[test]
fn helpers_of_one_list_are_one_finding() {
    let source = format!(
        "{}{}",
        raw("-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n\
             -A PREROUTING -p udp -m udp --dport 69 -j CT --helper tftp\n\
             -A PREROUTING -p tcp -m tcp --dport 2121 -j CT --helper ftp\n"),
        filter(
            DROP,
            "-A INPUT -p tcp -m multiport --dports 21,2121 -j ACCEPT\n-A INPUT -p udp -m udp --dport 69 -j ACCEPT\n"
        )
    );
    let found = one(&source, "helper-too-broad");
    assert_eq!(
        found.text,
        "the helpers ftp and tftp read connections from everywhere to everywhere"
    );
    assert_eq!(found.labels.len(), 2);
}

#[test]
fn a_list_of_ports_in_two_chains_is_one_finding() {
    let rules = |chain: &str| {
        format!(
            "-A {chain} -p tcp -m tcp --dport 80 -j DROP\n-A {chain} -p tcp -m multiport --dports 80,443 -j ACCEPT\n"
        )
    };
    let source = filter(DROP, &format!("{}{}", rules("INPUT"), rules("FORWARD")));
    let found = one(&source, "port-part-dead");
    assert_eq!(found.labels.len(), 2);
    assert!(text(&source, found.labels[1].span).starts_with("-A FORWARD -p tcp -m multiport"));
}

#[test]
fn servers_of_one_network_are_one_finding_with_one_fix() {
    let source = format!(
        "{}{}",
        nat(
            "-A PREROUTING -d 198.51.100.7/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 192.168.1.20\n\
             -A PREROUTING -d 198.51.100.7/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.1.21:80\n\
             -A POSTROUTING -s 192.168.1.0/24 -o eth0 -j MASQUERADE\n"
        ),
        filter(["DROP", "ACCEPT", "ACCEPT"], "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n")
    );
    let found = one(&source, "hairpin-missing");
    assert!(found.text.contains("192.168.1.20 and 192.168.1.21"), "{found:?}");
    let wanted = Wanted { only: vec!["hairpin-missing".into()], ..Wanted::default() };
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let fixed = fix(&source, None, &wanted, how).unwrap();
    assert!(fixed.left.is_empty(), "{:?}", fixed.left);
    assert!(findings(&fixed.text, "hairpin-missing", None).is_empty(), "{}", fixed.text);
    assert!(read::ruleset(&fixed.text, Family::V4, LabelNames::NONE).is_ok());
}

#[test]
fn what_is_translated_is_named_where_it_comes_from() {
    let docker = format!(
        "{}{}",
        nat("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"),
        filter(["ACCEPT", "ACCEPT", "ACCEPT"], "-A FORWARD -i br-a -o br-a -j ACCEPT\n")
    );
    let found = findings(&docker, "nat-without-invalid-drop", None);
    let [input, forward] = found.as_slice() else { panic!("{found:?}") };
    assert!(input.evidence[0].contains(":80 > 192.0.2.1:40000 ack in eth0, INVALID"), "{input:?}");
    let packet = &forward.evidence[0];
    assert!(
        packet.contains("tcp 172.17.0.10:40000 > 192.0.2.1:80 ack in docker0 out eth"),
        "{packet}"
    );
    // What leaves came from somewhere.
    let log = format!(
        "{}{}",
        nat(
            "-A POSTROUTING -s 10.10.10.0/24 -j LOG\n-A POSTROUTING -s 10.10.10.0/24 -o eth0 -j MASQUERADE\n"
        ),
        filter(["ACCEPT", "ACCEPT", "ACCEPT"], "")
    );
    let found = one(&log, "log-without-limit");
    assert!(
        found.evidence[0].contains("tcp 10.10.10.10:40000 > 192.0.2.1:80 syn in eth1 out eth0"),
        "{found:?}"
    );
}
