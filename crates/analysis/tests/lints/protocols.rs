//! What findings about helpers, protocols and who reaches whom say: what is refused and by whom, and what would mend it.

use super::findings;
use super::told::{filter, one, text};
use keepstate_analysis::conversation::{Fate, Place, Spot, Who, conversation};
use keepstate_analysis::lint::fix::{How, fix};
use keepstate_analysis::lint::played::Bed;
use keepstate_analysis::lint::{Finding, Wanted};
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;

fn raw(rules: &str) -> String {
    format!("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n")
}

fn nat(rules: &str) -> String {
    format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
         {rules}COMMIT\n"
    )
}

fn help(finding: &Finding) -> &str {
    finding.help.as_deref().unwrap_or_default()
}

/// The labels as their text and the line that they stand at.
fn labels<'a>(source: &'a str, finding: &'a Finding) -> Vec<(&'a str, &'a str)> {
    finding.labels.iter().map(|label| (label.text.as_str(), text(source, label.span))).collect()
}

#[test]
fn what_is_announced_on_announced_connections_has_its_rules() {
    let rules = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    for (helper, control, wanted) in [
        ("Q.931", "-p tcp -m tcp --dport 1720", &["Q.931", "H.245"][..]),
        ("RAS", "-p udp -m udp --dport 1719", &["RAS", "Q.931", "H.245"][..]),
    ] {
        let source = raw(&format!("-A PREROUTING {control} -j CT --helper {helper}\n"))
            + &filter(
                ["DROP", "DROP", "ACCEPT"],
                &format!("{rules}-A FORWARD {control} -j ACCEPT\n"),
            );
        let found = one(&source, "related-too-wide");
        for name in wanted {
            for protocol in ["tcp", "udp"] {
                let line = format!(
                    "-A FORWARD -p {protocol} -m {protocol} --dport 1024:65535 -m conntrack --ctstate RELATED -m helper --helper {name} -j ACCEPT"
                );
                assert!(help(&found).lines().any(|one| one == line), "{name}: {found:?}");
            }
        }
    }
}

#[test]
fn the_resets_of_reject_go_on_leaving() {
    let source = raw("-A OUTPUT -p tcp -m tcp --dport 21 -j CT --helper ftp\n")
        + &filter(
            ["DROP", "DROP", "DROP"],
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A INPUT -p tcp -m tcp --dport 113 -j REJECT --reject-with tcp-reset\n\
             -A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A OUTPUT -p tcp -m tcp --dport 21 -j ACCEPT\n",
        );
    let found = findings(&source, "related-too-wide", None);
    assert_eq!(found.len(), 2, "{found:?}");
    let resets = |one: &Finding| {
        help(one).contains("-m tcp --tcp-flags RST RST -m conntrack --ctstate RELATED -j")
    };
    assert!(!resets(&found[0]) && resets(&found[1]), "{found:?}");
    assert!(found[1].fix.is_some(), "{found:?}");
}

#[test]
fn a_port_that_is_open_to_everybody_is_not_opened_by_a_helper() {
    let source = raw("-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n")
        + &filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A FORWARD -p tcp -m multiport --dports 21,22 -j ACCEPT\n",
        );
    let found = one(&source, "related-too-wide");
    assert!(found.evidence[0].contains("0,23` on"), "{found:?}");
    assert!(found.fix.is_some(), "{found:?}");
}

#[test]
fn a_helper_is_proposed_for_the_connections_of_its_rule() {
    let rules = |chain: &str, bounds: &str| {
        format!(
            "-A INPUT -i lo -j ACCEPT\n-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A {chain} {bounds} -p tcp -m tcp --dport 21 -j ACCEPT\n"
        )
    };
    for (chain, bounds, wanted) in [
        ("INPUT", "-s 192.0.2.0/24 -i eth0", "PREROUTING -s 192.0.2.0/24 -i eth0 -p tcp"),
        ("FORWARD", "-d 192.0.2.7/32 -o eth1", "PREROUTING -d 192.0.2.7/32 -p tcp"),
        ("OUTPUT", "-d 192.0.2.7/32 -o eth1", "OUTPUT -d 192.0.2.7/32 -o eth1 -p tcp"),
    ] {
        let mut source = filter(["DROP", "DROP", "DROP"], &rules(chain, bounds));
        if chain != "FORWARD" {
            let other = if chain == "INPUT" { "OUTPUT" } else { "INPUT" };
            let more = format!(
                "-A {other} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n"
            );
            source = source.replace("COMMIT\n", &more);
        }
        let found = findings(&source, "helper-missing", None);
        let [found] = found.as_slice() else { panic!("{chain}: {found:?}\n{source}") };
        let line = format!("-A {wanted} -m tcp --dport 21 -j CT --helper ftp");
        assert!(help(found).contains(&line), "{found:?}");
        assert!(found.fix.is_some(), "{found:?}");
        let fixed = found.fix.as_ref().unwrap().edits[0].text.clone();
        assert!(fixed.contains(&line), "{fixed}");
    }
}

#[test]
fn who_refuses_answers_is_named_and_who_opens() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A FORWARD -i eth0 -o eth1 -p tcp -m tcp --dport 443 -j ACCEPT\n",
    );
    let found = one(&source, "answers-dropped");
    let told = labels(&source, &found);
    assert!(told[0].1.contains("--dport 443"), "{told:?}");
    assert!(found.evidence[1].contains("refused by the policy of FORWARD"), "{found:?}");
    let by_rule = source.replace("--dport 443", "--dport 443 -m conntrack --ctstate NEW").replace(
        "COMMIT",
        "-A FORWARD -i eth1 -j REJECT --reject-with icmp-port-unreachable\nCOMMIT",
    );
    let found = one(&by_rule, "answers-dropped");
    let told = labels(&by_rule, &found);
    assert!(told.iter().any(|(text, line)| *text == "refuses the answer" && line.contains("-i eth1 -j REJECT")), "{told:?}");
    assert!(help(&found).contains("if not, refuse their first packets in FORWARD"), "{found:?}");
}

#[test]
fn what_is_let_in_of_answers_is_told() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n",
    );
    let found = one(&source, "state-rule-missing");
    assert!(!found.text.contains("ESTABLISHED"), "{found:?}");
    assert!(
        found.evidence[0].contains(":443 > ") && found.evidence[0].contains("syn ack"),
        "{found:?}"
    );
    assert!(found.evidence[0].contains("refused by the policy of INPUT"), "{found:?}");
    assert_eq!(found.evidence[1], "such packets are let in tcp to port 22 only");
    // By flags or by source ports answers come in as well.
    for rule in ["-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", "-p tcp -m tcp --sport 443"] {
        let open = source.replace("COMMIT", &format!("-A INPUT {rule} -j ACCEPT\nCOMMIT"));
        assert!(findings(&open, "state-rule-missing", None).is_empty(), "{rule}");
    }
}

#[test]
fn a_way_in_has_a_way_out() {
    let rules = "-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A OUTPUT -o lo -j ACCEPT\n";
    let closed = one(&filter(["DROP", "DROP", "DROP"], rules), "no-way-in");
    assert!(help(&closed).contains("-I OUTPUT -p tcp --sport 22"), "{closed:?}");
    assert!(closed.evidence[0].contains("refused by the policy of INPUT"), "{closed:?}");
    let open = one(&filter(["DROP", "DROP", "ACCEPT"], rules), "no-way-in");
    assert!(!help(&open).contains("OUTPUT"), "{open:?}");
}

/// What a help line advises to put in at the head of chains, carried out.
fn put_in(source: &str, help: &str) -> String {
    let pieces = help.split("; and for the answers: ").filter_map(|one| one.split_once("-I "));
    let lines: String = pieces
        .filter_map(|(_, line)| Some(format!("-I {}ACCEPT\n", line.split_once("ACCEPT")?.0)))
        .collect();
    source.replacen("COMMIT", &format!("{lines}COMMIT"), 1)
}

#[test]
fn what_is_advised_for_a_way_in_lets_ssh_in() {
    let spot = Spot {
        interfaces: ("wlan0".into(), "eth1".into()),
        ports: (Some(40_000), Some(22)),
        ..Spot::new(Place::On(Who::Server), Family::V4)
    };
    let connects = |text: String| {
        let run = Bed { text, spot: spot.clone() }.run(conversation("tcp").unwrap(), |_| {});
        run.unwrap().played.fate == Fate::Passes
    };
    let own = "-A INPUT -i lo -j ACCEPT\n-A INPUT -i wlan0 -p tcp -m conntrack --ctstate ESTABLISHED -m tcp --sport 80 -j ACCEPT\n\
               -A OUTPUT -o lo -j ACCEPT\n-A OUTPUT -o wlan0 -p tcp -m tcp --dport 80 -j ACCEPT\n\
               -A OUTPUT -o wlan0 -p tcp -m tcp --sport 1024:65535 --dport 1024:65535 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    // Answers leave to some ports only, to all of them, to none.
    for (output, wants_more) in [
        (own.to_string(), true),
        (format!("{own}-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"), false),
        ("-A INPUT -p icmp -j ACCEPT\n".into(), true),
    ] {
        let source = filter(["DROP", "DROP", "DROP"], &output);
        let found = one(&source, "no-way-in");
        assert!(!connects(source.clone()), "{source}");
        assert_eq!(help(&found).contains("-I OUTPUT"), wants_more, "{found:?}");
        let opened = put_in(&source, help(&found));
        assert!(connects(opened.clone()), "{opened}");
    }
    // What another table refuses is not let in by this one.
    let refused = raw("-A PREROUTING -i wlan0 -p tcp -m tcp --dport 22 -j DROP\n")
        + &filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A INPUT -i lo -j ACCEPT\n-A INPUT -i eth0 -j DROP\n",
        );
    assert!(findings(&refused, "no-way-in", None).len() == 1);
    let everywhere = refused.replace("-i wlan0 ", "");
    let found = one(&everywhere, "no-way-in");
    assert!(help(&found).contains("rule 1 of PREROUTING in table raw has to let"), "{found:?}");
}

#[test]
fn errors_are_told_of_with_the_rule_that_lets_them_in() {
    let source =
        filter(["DROP", "ACCEPT", "ACCEPT"], "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n");
    let found = one(&source, "state-rule-missing");
    let told =
        found.evidence.iter().any(|one| one.contains("path MTU") && one.contains("type 3/4"));
    assert!(told, "{found:?}");
    assert!(findings(&source, "icmp-errors-blocked", None).is_empty());
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let fixed = fix(&source, None, &Wanted::default(), how).unwrap().text;
    assert_eq!(fixed.matches("RELATED").count(), 1, "{fixed}");
    for code in ["rule-shadowed", "state-rule-missing", "icmp-errors-blocked"] {
        assert!(findings(&fixed, code, None).is_empty(), "{code}: {fixed}");
    }
    // Where answers come in, and where nothing is said of errors that come in anyway.
    let answers = "-A INPUT -p tcp -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT";
    one(&source.replace("COMMIT", answers), "icmp-errors-blocked");
    let errors = source.replace("COMMIT", "-A INPUT -p icmp -j ACCEPT\nCOMMIT");
    let found = one(&errors, "state-rule-missing");
    assert!(!found.evidence.iter().any(|one| one.contains("path MTU")), "{found:?}");
    // What is passed on has a rule of its own.
    let through = source.replace(":FORWARD ACCEPT", ":FORWARD DROP").replace(
        "COMMIT",
        "-A FORWARD -i eth1 -o eth0 -p tcp -j ACCEPT\n-A FORWARD -i eth0 -p tcp -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT",
    );
    let found = one(&through, "icmp-errors-blocked");
    assert!(found.text.starts_with("FORWARD"), "{found:?}");
}

#[test]
fn what_has_to_be_accepted_before_the_rest_is_refused() {
    let rules = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n";
    let four = filter(["ACCEPT", "DROP", "ACCEPT"], rules);
    let found = one(&four, "nothing-refused");
    assert!(help(&found).contains("`:INPUT DROP [0:0]`"), "{found:?}");
    assert!(help(&found).contains("-A INPUT -i lo -j ACCEPT"), "{found:?}");
    assert!(
        help(&found).contains("RELATED,ESTABLISHED") && !help(&found).contains("icmp"),
        "{found:?}"
    );
    let six = format!("# Generated by ip6tables-save v1.8.9\n{four}");
    assert!(help(&one(&six, "nothing-refused")).contains("-p ipv6-icmp -j ACCEPT"));
    let ready = four.replace("COMMIT", "-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT");
    assert_eq!(help(&one(&ready, "nothing-refused")), "a policy of DROP: `:INPUT DROP [0:0]`");
    let script = "ip6tables -P INPUT ACCEPT\nip6tables -A INPUT -p tcp --dport 22 -j ACCEPT\nip6tables -A INPUT -p tcp --dport 443 -j ACCEPT\n";
    let ruleset =
        keepstate_analysis::lint::read::ruleset(script, Family::V6, LabelNames::NONE).unwrap();
    let wanted = Wanted { only: vec!["nothing-refused".into()], ..Default::default() };
    let found = keepstate_analysis::lint::lint(script, &ruleset, None, &wanted).unwrap();
    assert!(help(&found[0]).contains("`ip6tables -P INPUT DROP`"), "{found:?}");
}

#[test]
fn a_rule_that_forwards_everything_inwards_is_the_one_to_change() {
    let source = nat("-A POSTROUTING -o tun0 -j MASQUERADE\n")
        + &filter(
            ["DROP", "ACCEPT", "ACCEPT"],
            "-A INPUT -i lo -j ACCEPT\n-A FORWARD -o tun0 -j ACCEPT\n-A FORWARD -i tun0 -j ACCEPT\n",
        );
    let found = one(&source, "forward-open");
    assert!(
        help(&found).starts_with("in the place of -A FORWARD -i tun0 -j ACCEPT:\n"),
        "{found:?}"
    );
    let told = labels(&source, &found);
    assert!(
        told.contains(&("lets in what comes from there", "-A FORWARD -i tun0 -j ACCEPT")),
        "{told:?}"
    );
    let open = source.replace("-A FORWARD -i tun0 -j ACCEPT\n", "");
    assert!(help(&one(&open, "forward-open")).starts_with("at the end of FORWARD:\n"));
}

#[test]
fn loopback_is_told_of_once() {
    let rules = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n";
    let source = filter(["DROP", "DROP", "DROP"], rules);
    let found = one(&source, "loopback-blocked");
    assert_eq!(
        found.text,
        "programs of this host cannot reach each other: INPUT and OUTPUT refuse what they send by lo"
    );
    assert_eq!(help(&found), "-A INPUT -i lo -j ACCEPT\n-A OUTPUT -o lo -j ACCEPT");
    assert!(
        found.evidence[0].contains("of new connections by lo INPUT lets pass tcp to port 22"),
        "{found:?}"
    );
    assert!(found.evidence[1].contains("OUTPUT lets no new connection pass by lo"), "{found:?}");
    assert_eq!(found.fix.as_ref().unwrap().edits.len(), 2, "{found:?}");
    let half = filter(["DROP", "DROP", "ACCEPT"], rules);
    assert!(one(&half, "loopback-blocked").text.ends_with("INPUT refuses what they send by lo"));
}

#[test]
fn a_source_port_is_trusted_where_no_other_port_is_asked_for() {
    let of = |rules: &str| {
        let all =
            format!("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT {rules} -j ACCEPT\n");
        findings(&filter(["DROP", "DROP", "ACCEPT"], &all), "source-port-trusted", None)
    };
    // Port 22 is open to everybody, others are not.
    let found = of("-p tcp -m tcp --sport 53");
    assert!(found.len() == 1 && found[0].evidence[0].contains("> 192.0.2.1:3306 "), "{found:?}");
    assert_eq!(of("-p udp -m multiport --sports 53,123").len(), 1);
    for rules in [
        "-p tcp -m tcp --sport 513:65535 --dport 25",
        "-p tcp -m tcp --sport 513:65535",
        "-p tcp -m multiport --sports 53,1024:65535",
        "-s 192.0.2.1/32 -p tcp -m tcp --sport 53",
        "-p udp -m udp --sport 67 --dport 68",
    ] {
        assert!(of(rules).is_empty(), "{rules}");
    }
}

#[test]
fn what_is_announced_may_pass_where_nothing_is_refused() {
    let helper = raw("-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n");
    let rules = "-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n";
    let open = helper.clone() + &filter(["DROP", "ACCEPT", "ACCEPT"], rules);
    assert!(findings(&open, "helper-unused", None).is_empty());
    let server = format!("{rules}-A INPUT -p tcp -m tcp --dport 21 -j ACCEPT\n");
    let closed = helper.clone() + &filter(["DROP", "DROP", "ACCEPT"], &server);
    assert_eq!(findings(&closed, "helper-unused", None).len(), 1);
    let related = server.replace("--ctstate ESTABLISHED", "--ctstate RELATED,ESTABLISHED");
    let read = helper + &filter(["DROP", "DROP", "ACCEPT"], &related);
    assert!(findings(&read, "helper-unused", None).is_empty());
}

#[test]
fn the_rule_for_a_translated_port_is_written_out() {
    let closed = filter(["DROP", "DROP", "ACCEPT"], "-A INPUT -i lo -j ACCEPT\n");
    for (rule, wanted) in [
        (
            "-j DNAT --to-destination 192.168.1.10:80",
            "-A FORWARD -d 192.168.1.10 -i eth0 -p tcp --dport 80 -j ACCEPT",
        ),
        (
            "-j DNAT --to-destination 192.168.1.10",
            "-A FORWARD -d 192.168.1.10 -i eth0 -p tcp --dport 8080 -j ACCEPT",
        ),
        ("-j REDIRECT --to-ports 3128", "-A INPUT -p tcp --dport 3128 -j ACCEPT"),
    ] {
        let source =
            nat(&format!("-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 {rule}\n")) + &closed;
        let found = one(&source, "dnat-blocked");
        assert!(help(&found).contains(wanted), "{found:?}");
        assert!(found.evidence[0].contains("refused by the policy of"), "{found:?}");
    }
}

#[test]
fn where_nothing_is_forwarded_nothing_is_masqueraded_inwards() {
    let all = nat("-A POSTROUTING -j MASQUERADE\n");
    let host = all.clone() + &filter(["ACCEPT", "DROP", "ACCEPT"], "");
    assert!(findings(&host, "masquerade-anywhere", None).is_empty());
    let router = all + &filter(["ACCEPT", "ACCEPT", "ACCEPT"], "");
    let found = one(&router, "masquerade-anywhere");
    assert!(found.evidence[0].contains(" in ") && found.evidence[0].contains(" out "), "{found:?}");
}

#[test]
fn a_port_that_is_published_to_some_is_closed_to_others() {
    let source = |bounds: &str| {
        nat(&format!(
            "-A PREROUTING {bounds}-p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.2:5432\n"
        )) + &filter(
            ["ACCEPT", "DROP", "ACCEPT"],
            "-A INPUT -p tcp -m tcp --dport 5432 -j DROP\n-A FORWARD -d 172.17.0.2/32 -p tcp -m tcp --dport 5432 -j ACCEPT\n",
        )
    };
    let all = one(&source(""), "input-bypassed-by-dnat");
    assert!(all.text.starts_with("this rule does not close the port: "), "{all:?}");
    let some = one(&source("-i eth0 "), "input-bypassed-by-dnat");
    assert!(some.text.starts_with("this rule does not close the port to everybody: "), "{some:?}");
}

#[test]
fn what_is_over_a_limit_is_not_what_is_told_of() {
    let source = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:flood - [0:0]\n\
                  -A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -j flood\n\
                  -A flood -m limit --limit 10/sec -j RETURN\n-A flood -j DROP\nCOMMIT\n";
    let found = one(source, "no-way-in");
    assert!(found.evidence[0].contains("refused by the policy of INPUT"), "{found:?}");
}

#[test]
fn what_a_helper_opens_is_the_port_that_was_announced() {
    // The host calls: its own Setup names the port of H.245, the media that are announced are nobody's service.
    let source = raw("-A OUTPUT -p tcp -m tcp --dport 1720 -j CT --helper Q.931\n")
        + &filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
        );
    let found = one(&source, "related-too-wide");
    let told = &found.evidence[0];
    assert!(told.contains("the client writes a message (Setup, H.245 at port 22)"), "{found:?}");
    assert!(told.ends_with(":22"), "{found:?}");
    assert!(found.fix.is_some(), "{found:?}");
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let wanted = Wanted { only: vec!["related-too-wide".into()], ..Wanted::default() };
    let fixed = fix(&source, None, &wanted, how).unwrap().text;
    assert!(findings(&fixed, "related-too-wide", None).is_empty(), "{fixed}");
    // So does what it says to a server of FTP, and what to a gatekeeper of H.323.
    for (helper, control) in [("ftp", "tcp -m tcp --dport 21"), ("RAS", "udp -m udp --dport 1719")]
    {
        let other = source.replace("tcp -m tcp --dport 1720", control).replace("Q.931", helper);
        assert!(one(&other, "related-too-wide").fix.is_some(), "{helper}");
    }
    // Where INPUT refuses what is RELATED nothing is opened.
    let closed = source.replace("RELATED,", "");
    assert!(findings(&closed, "related-too-wide", None).is_empty());
}
