//! What rules that people wrote for themselves have shown: advice that does no harm, and packets that are what they are
//! said to be.

use super::findings;
use super::told::{filter, one, text};

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
    assert_eq!(found.len(), 2, "{found:?}");
    for one in &found {
        let named = one.labels.iter().map(|label| text(&source, label.span));
        let named: Vec<&str> = named.collect();
        assert!(named.contains(&"-A STATEFUL -m conntrack --ctstate NEW -j ACCEPT"), "{named:?}");
    }
    assert!(found[1].fix.is_none(), "{found:?}");
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
