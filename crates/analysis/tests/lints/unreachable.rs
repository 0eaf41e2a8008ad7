//! What is said of rules that no packet comes to: who is to blame, what becomes of their packets, and what helps.

use super::findings;
use super::told::{filter, one, text};

const OPEN: [&str; 3] = ["ACCEPT", "DROP", "ACCEPT"];

fn line(source: &str, rule: &str) -> usize {
    1 + source.lines().position(|line| line == rule).unwrap()
}

#[test]
fn what_lets_all_in_inside_a_chain_is_to_be_narrowed() {
    let rules = ":STATEFUL - [0:0]\n-A INPUT -j STATEFUL\n-A INPUT -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT\n\
                 -A INPUT -j DROP\n\
                 -A STATEFUL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A STATEFUL -m conntrack --ctstate NEW -j ACCEPT\n-A STATEFUL -j DROP\n";
    let source = filter(OPEN, rules);
    let opens = line(&source, "-A STATEFUL -m conntrack --ctstate NEW -j ACCEPT");
    let found = findings(&source, "rule-unreachable", None);
    let last = found.last().unwrap();
    let jump = line(&source, "-A INPUT -j STATEFUL");
    // What is open at port 80 stays open: it is not for the chain to refuse the rest before.
    assert_eq!(
        last.help.as_deref().unwrap(),
        format!(
            "where it was meant to refuse the rest, take lines {opens} and {} out of STATEFUL, so that the rules of \
             INPUT behind line {jump} decide and this one refuses what they leave; else take it out",
            opens + 1
        )
    );
    assert_eq!(
        found[0].help.as_deref().unwrap(),
        format!(
            "it matters only where STATEFUL is to let in less and to leave the rest, which line {} refuses now, to INPUT; \
             else take it out",
            opens + 1
        )
    );
    // It is shown with an interface that there is.
    assert!(last.evidence[1].contains(" in eth0, NEW"), "{last:?}");
    // Where the chain does not refuse the rest, this rule does.
    let other = source.replace("-A STATEFUL -j DROP", "-A STATEFUL -j ACCEPT");
    let found = findings(&other, "rule-unreachable", None);
    assert_eq!(
        found.last().unwrap().help.as_deref().unwrap(),
        format!("where it was meant to refuse the rest, narrow line {opens}; else take it out")
    );
    assert_eq!(
        found[0].help.as_deref().unwrap(),
        "it matters only where STATEFUL is to let in less; else take it out"
    );
    // Others need what the chain lets in and refuses: less is to come to it from here.
    for other in [
        source.replace(
            "-A STATEFUL -m conntrack --ctstate RELATED",
            "-A FORWARD -j STATEFUL\n-A STATEFUL -m conntrack --ctstate RELATED",
        ),
        // Nor is what goes on to be cut off.
        source.replace(
            "-A STATEFUL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A STATEFUL -m conntrack --ctstate NEW",
            "-A STATEFUL",
        ),
        // Nor does it come back from there.
        source.replace("-A INPUT -j STATEFUL", "-A INPUT -g STATEFUL"),
    ] {
        let found = findings(&other, "rule-unreachable", None);
        let said = found.iter().filter_map(|one| one.help.as_deref());
        let narrow = format!("where it was meant to refuse the rest, narrow line {jump}; else");
        assert_eq!(said.filter(|help| help.starts_with(&narrow)).count(), 1, "{found:?}");
    }
    // With no rule between, the chain refuses the rest as this one would.
    let other = source.replace("-A INPUT -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT\n", "");
    let found = one(&other, "rule-unreachable");
    assert_eq!(
        found.help.as_deref().unwrap(),
        format!(
            "where it was meant to refuse the rest, narrow line {}, behind which line {opens} does the same as this \
             rule; in either case take it out",
            opens - 1
        )
    );
}

#[test]
fn what_is_let_in_above_is_told_where_the_rest_is_refused_anyway() {
    let opens = "-A INPUT -s 192.168.0.0/16 -j ACCEPT";
    let rules = format!(
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n{opens}\n-A INPUT -j DROP\n\
         -A INPUT -i eth0 -p tcp -m tcp --dport 5005 -j DROP\n"
    );
    let source = filter(OPEN, &rules);
    let at = line(&source, opens);
    let found = one(&source, "rule-unreachable");
    let told = format!(" in eth0, NEW is accepted by line {at}");
    assert!(
        found.evidence.iter().any(|one| one.starts_with("tcp 192.168.") && one.ends_with(&told)),
        "{found:?}"
    );
    assert_eq!(
        found.help.as_deref().unwrap(),
        format!(
            "to have it asked, put it above line {at}: for its packets that closes what line {at} opens; else take \
             it out"
        )
    );
    let label = found.labels.iter().find(|label| text(&source, label.span) == opens).unwrap();
    assert_eq!(label.text, "accepts what this rule refuses");
    // One that is for the rest leaves the others what they have, and so does one that they are exceptions of.
    for (rest, opens) in [
        ("-A INPUT -i eth0 -j DROP", opens),
        (
            "-A INPUT -s 192.168.0.0/16 -i eth0 -j DROP",
            "-A INPUT -s 192.168.7.0/24 -i eth0 -p tcp -j ACCEPT",
        ),
    ] {
        let rules = format!("{opens}\n-A INPUT -j DROP\n{rest}\n");
        let found = one(&filter(OPEN, &rules), "rule-unreachable");
        assert!(found.fix.is_some() && found.help.is_none(), "{found:?}");
    }
    // Of what it asks for nothing is let in but what goes on.
    let source = source.replace("-s 192.168.0.0/16 -j", "-s 192.168.0.0/16 -i eth1 -j");
    let found = one(&source, "rule-unreachable");
    assert!(found.fix.is_some() && found.help.is_none(), "{found:?}");
}

#[test]
fn what_closes_what_another_rule_opens_is_said_to() {
    let opens = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT";
    let rules = format!(
        "{opens}\n-A INPUT -p udp -m udp --dport 53 -j DROP\n-A INPUT -j DROP\n\
         -A INPUT -i eth0 -p tcp -m tcp --dport 22 -j DROP\n"
    );
    let source = filter(OPEN, &rules);
    let at = line(&source, opens);
    let found = one(&source, "rule-unreachable");
    assert!(
        found.help.as_deref().unwrap().starts_with(&format!(
            "to have it asked, put it above line {at}: for its packets that closes what line {at} opens"
        )),
        "{found:?}"
    );
    assert!(found.labels.iter().any(|label| text(&source, label.span) == opens), "{found:?}");
    assert!(found.evidence[1].ends_with(&format!("is accepted by line {at}")), "{found:?}");
}

#[test]
fn what_another_rule_does_already_is_not_put_higher() {
    // All of it is dropped by a rule above, but for what goes on.
    let rules = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A INPUT -p udp -m udp --dport 53 -j DROP\n-A INPUT -j DROP\n\
                 -A INPUT -i eth0 -p udp -m udp --dport 53 -j DROP\n";
    let found = one(&filter(OPEN, rules), "rule-unreachable");
    assert!(found.fix.is_some(), "{found:?}");
    let last = found.evidence.last().unwrap();
    assert_eq!(last, "what it asks for is dropped by line 6, as far as it comes there");
    // Part of it is refused before that.
    let rules = "-A INPUT -p tcp -m tcp --dport 22 -j DROP\n-A INPUT -s 192.168.0.0/16 -j ACCEPT\n\
                 -A INPUT -j DROP\n-A INPUT -s 192.168.0.0/16 -i eth0 -j ACCEPT\n";
    let found = one(&filter(OPEN, rules), "rule-unreachable");
    let help = found.help.unwrap();
    assert!(
        help.starts_with(
            "to have it asked, put it above line 5: for its packets that opens what line 5 refuses"
        ),
        "{help}"
    );
}

#[test]
fn a_rule_that_a_script_puts_in_at_the_head_is_said_to_come_first() {
    let source = "iptables -P INPUT DROP\niptables -N STATEFUL\n\
                  iptables -A STATEFUL -m state --state ESTABLISHED,RELATED -j ACCEPT\n\
                  iptables -A STATEFUL -m state --state NEW -j ACCEPT\niptables -A STATEFUL -j DROP\n\
                  iptables -A INPUT -i eth0 -s 10.0.0.0/8 -j DROP\n\
                  iptables -A INPUT -i eth0 -s 224.0.0.0/3 -j DROP\n\
                  iptables -A INPUT -i eth0 -s 240.0.0.0/8 -j DROP\n\
                  iptables -I INPUT -j STATEFUL\n";
    let found = one(source, "rule-unreachable");
    assert_eq!(found.evidence[1], "line 9 puts its rule in above this one (-I)");
    assert!(
        found.evidence.iter().any(|one| one.starts_with("in INPUT above the rule of line 9 it")),
        "{found:?}"
    );
    // One of them lies within another.
    assert!(
        found.help.as_deref().unwrap().starts_with(
            "for each but line 8, which asks for nothing that line 7 leaves: to have it asked, put it into STATEFUL \
             above line 4"
        ),
        "{found:?}"
    );
    // The wider one behind leaves it nothing to do either; behind one that opens it does not.
    let turned = source.replace("224.0.0.0/3", "X").replace("240.0.0.0/8", "224.0.0.0/3");
    let found = one(&turned.replace('X', "240.0.0.0/8"), "rule-unreachable");
    assert!(
        found.help.as_deref().unwrap().starts_with("for each but line 7, which asks"),
        "{found:?}"
    );
    let apart = source.replace("240.0.0.0/8", "172.16.0.0/12");
    let found = one(&apart, "rule-unreachable");
    assert!(found.help.as_deref().unwrap().starts_with("for each: to have"), "{found:?}");
}

#[test]
fn a_rule_behind_one_that_takes_all_is_told_of_once() {
    let rules = |before: &str| {
        filter(
            OPEN,
            &format!(
                ":web - [0:0]\n-A INPUT -d 198.51.100.0/24 -j web\n-A web -p tcp -m tcp --dport 80 -j ACCEPT\n\
                 {before}-A web -d 203.0.113.7/32 -p tcp -j DROP\n"
            ),
        )
    };
    let source = rules("-A web -j DROP\n");
    assert!(findings(&source, "never-in-chain", None).is_empty());
    let found = one(&source, "rule-unreachable");
    let help = found.help.as_deref().unwrap();
    assert!(
        help.starts_with("nothing that enters web is what it asks for: for it to be"),
        "{help}"
    );
    let source = rules("");
    assert!(findings(&source, "rule-unreachable", None).is_empty());
    one(&source, "never-in-chain");
}
