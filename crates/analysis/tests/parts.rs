//! Some words of a rule: what was put in to make it whole is said, and the rest is explained as for a whole one.

use keepstate_analysis::answer::{Answer, Fact, Topic};
use keepstate_analysis::{explain_text, recognise};

fn answer(text: &str) -> Answer {
    explain_text(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn in_short(answer: &Answer, label: &str) -> Vec<String> {
    let short = answer.sections.iter().find(|section| section.topic == Topic::Short);
    let facts = short.map_or(&[][..], |section| &section.facts);
    facts.iter().filter(|fact| fact.code() == label).map(|fact| fact.text().to_string()).collect()
}

#[test]
fn parts_are_made_whole_rules() {
    for (part, rule) in [
        ("-m state --state NEW", "iptables -t filter -A INPUT -m state --state NEW -j ACCEPT"),
        ("--state NEW", "iptables -t filter -A INPUT -m state --state NEW -j ACCEPT"),
        (
            "state RELATED,ESTABLISHED",
            "iptables -t filter -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT",
        ),
        ("ESTABLISHED", "iptables -t filter -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"),
        ("INVALID -j DROP", "iptables -t filter -A INPUT -m conntrack --ctstate INVALID -j DROP"),
        ("INVALID", "iptables -t filter -A INPUT -m conntrack --ctstate INVALID -j DROP"),
        ("--dport 22", "iptables -t filter -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"),
        (
            "! --syn -m state --state NEW",
            "iptables -t filter -A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW -j \
             DROP",
        ),
        ("! -i lo", "iptables -t filter -A INPUT ! -i lo -j DROP"),
        ("-o eth1", "iptables -t filter -A OUTPUT -o eth1 -j ACCEPT"),
        ("-i eth0 -o eth1 -j ACCEPT", "iptables -t filter -A FORWARD -i eth0 -o eth1 -j ACCEPT"),
        ("-o eth0 -j MASQUERADE", "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"),
        (
            "--to-destination 10.0.0.2:80",
            "iptables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.2:80",
        ),
        (
            "--reject-with tcp-reset",
            "iptables -t filter -A INPUT -p tcp -j REJECT --reject-with tcp-reset",
        ),
        (
            "--icmpv6-type 135",
            "ip6tables -t filter -A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
        ),
        (
            "limit: avg 5/min burst 5",
            "iptables -t filter -A INPUT -m limit --limit 5/min -j ACCEPT",
        ),
        (
            "tcp dpt:22 state NEW",
            "iptables -t filter -A INPUT -p tcp -m tcp --dport 22 -m state --state NEW -j ACCEPT",
        ),
        (
            "reject-with icmp-host-prohibited",
            "iptables -t filter -A INPUT -j REJECT --reject-with icmp-host-prohibited",
        ),
    ] {
        let answer = answer(part);
        assert_eq!((answer.form, answer.rule.as_deref()), ("rule-part", Some(rule)), "{part}");
        assert_eq!(in_short(&answer, "taken as").len(), 1, "{part}");
        assert!(answer.assumptions.iter().any(|one| one.about == "chain"), "{part}");
        let named =
            part.contains("-j ") || part.contains("--to-dest") || part.contains("reject-with");
        let assumed = answer.assumptions.iter().any(|one| one.about == "target");
        assert_eq!(assumed, !named, "{part}: a target that was put in is said");
        assert!(answer.experiments().next().is_some(), "{part}: it is run");
    }
}

#[test]
fn what_reads_like_words_of_no_rule_is_none() {
    for text in
        ["hello", "-x", "--nonsense 5", "! !", "a rule of mine", "-", "!", "-A", "tcp/22 open"]
    {
        assert_eq!(recognise::recognise(text), None, "{text}");
    }
    // A page of the manual is asked for by a name alone, too.
    for (name, form) in
        [("MASQUERADE", "manual-page"), ("hashlimit", "manual-page"), ("RETURN", "manual-page")]
    {
        assert_eq!(answer(name).form, form, "{name}");
    }
}

#[test]
fn states_are_told_in_short() {
    let seed = answer("ACCEPT tcp -- anywhere anywhere state RELATED,ESTABLISHED");
    assert!(in_short(&seed, "ESTABLISHED")[0].contains("both directions"));
    assert!(in_short(&seed, "RELATED")[0].contains("helper"), "next to TCP no error is RELATED");
    let all = answer("ACCEPT all -- anywhere anywhere state RELATED,ESTABLISHED");
    assert!(in_short(&all, "RELATED")[0].contains("ICMP error"));
    assert!(
        in_short(&answer("-A INPUT -m state ! --state INVALID -j ACCEPT"), "INVALID").is_empty()
    );
}

#[test]
fn a_rule_for_any_interface_is_run_on_it() {
    for line in [
        "-A INPUT -i eth1 -p udp --dport 53 -j ACCEPT",
        "-A FORWARD -i eth1 -j ACCEPT",
        "-A FORWARD -o eth0 -p tcp --dport 443 -j ACCEPT",
        "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
        "-A FORWARD -i br+ -o eth0 -j DROP",
        "-A OUTPUT -o eth1 -p tcp --dport 25 -j DROP",
        "iptables -t mangle -A PREROUTING -i eth1 -j MARK --set-mark 0x2",
        "-A PREROUTING -i eth1 -m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x1/0xffffffff",
    ] {
        let answer = answer(line);
        let telling = answer.experiments().find(|one| one.differs_at.is_some());
        assert!(telling.is_some(), "{line}: {:?}", answer.fact("why.nothing"));
    }
}

#[test]
fn nobody_connects_from_the_port_of_a_service() {
    let answer = answer("-A INPUT -p tcp --dport 3306 -j DROP");
    let codes: Vec<&str> = answer.experiments().map(|one| one.code).collect();
    assert_eq!(codes, ["tcp-server"], "a client's own port is none that a rule names");
}

#[test]
fn one_half_of_a_pair_is_run_with_the_other() {
    let noting = answer(
        "iptables -A INPUT -p tcp --dport 22 -m state --state NEW -m recent --set --name SSH",
    );
    let run = noting.experiments().find(|one| one.differs_at.is_some()).expect("the pair is run");
    assert_eq!((run.code, run.differs_at), ("attempts", Some(4)), "{}", run.conclusion);
    assert!(
        run.setting
            .iter()
            .any(|line| line.contains("--update --seconds 60 --hitcount 4 --name SSH"))
    );
    let paste = noting.facts().find_map(|fact| match fact {
        Fact::Paste { code, lines, .. } if code == "mind.recent-notes" => Some(lines.clone()),
        _ => None,
    });
    assert!(paste.expect("the other half is to be pasted")[0].ends_with("-j DROP"));
    let restoring = answer("-A PREROUTING -j CONNMARK --restore-mark");
    let run =
        restoring.experiments().find(|one| one.differs_at.is_some()).expect("a mark is kept first");
    assert!(run.setting.iter().any(|line| line.contains("--set-xmark 0x1")), "{:?}", run.setting);
}

#[test]
fn a_row_that_goes_back_is_of_a_chain_of_ones_own() {
    let answer = answer("RETURN     all  --  anywhere             anywhere");
    assert!(in_short(&answer, "does")[0].contains("behind the rule that sent it here"));
    let assumed = answer.assumptions.iter().find(|one| one.about == "chain").expect("it is said");
    assert!(assumed.text.contains("a-chain"), "{}", assumed.text);
    let nat = explain_text("MASQUERADE  all  --  anywhere             anywhere").unwrap();
    let assumed = nat.assumptions.iter().find(|one| one.about == "chain").expect("it is said");
    assert!(!assumed.text.contains("FORWARD"), "{}", assumed.text);
}

#[test]
fn a_gateway_is_found_within_its_file() {
    let source = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                  -A FORWARD -i tun+ -o eth0 -j ACCEPT\n-A FORWARD -i eth0 -d 192.168.1.1 -j ACCEPT\nCOMMIT\n*nat\n\
                  -A POSTROUTING -s 10.8.0.0/24 -o eth0 -j MASQUERADE\n\
                  -A PREROUTING -i eth0 -p tcp -m tcp --dport 25 -j DNAT --to-destination 192.168.1.1:25\nCOMMIT\n";
    for (line, scene) in [(8, "tun0 towards the client"), (9, "192.168.1.1, which is called at")] {
        let answer = keepstate_analysis::explain_line(source, line).expect("a rule");
        let run = answer.experiments().find(|one| one.differs_at.is_some());
        let run = run.unwrap_or_else(|| panic!("{line}: {:?}", answer.fact("why.nothing")));
        assert!(run.scene.contains(scene), "{}", run.scene);
    }
}
