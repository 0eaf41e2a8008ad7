//! Lines of other kinds that people paste: what only the host knows is supposed, words that are a letter off are put
//! right, other tools' rules are told in the words of iptables.

use keepstate_analysis::answer::{Answer, Experiment, Fact, Topic};
use keepstate_analysis::explain_text;
use keepstate_analysis::render::{Style, renderer};

fn answer(text: &str) -> Answer {
    explain_text(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first experiment in which the rule makes a difference.
fn telling(answer: &Answer) -> &Experiment {
    answer
        .experiments()
        .find(|experiment| experiment.differs_at.is_some())
        .unwrap_or_else(|| panic!("nothing differs: {}", answer.input))
}

/// The lines of the short answer behind a label.
fn in_short(answer: &Answer, label: &str) -> Vec<String> {
    let short = answer.sections.iter().find(|section| section.topic == Topic::Short);
    let facts = short.map_or(&[][..], |section| &section.facts);
    facts.iter().filter(|fact| fact.code() == label).map(|fact| fact.text().to_string()).collect()
}

#[test]
fn rules_that_ask_what_no_packet_tells_are_run_with_that_given() {
    let answer_of_set = answer("-A INPUT -m set --match-set blacklist src -j DROP");
    assert!(telling(&answer_of_set).conclusion.contains("is dropped; without it, it is accepted"));
    assert!(answer_of_set.assumptions.iter().any(|one| one.text.contains("blacklist")));
    let not = answer("-A INPUT -p tcp -m set ! --match-set friends src,dst -j DROP");
    assert!(not.assumptions.iter().any(|one| one.text.contains("friends is empty")));
    telling(&not);
    let owner = answer("-A OUTPUT -m owner --uid-owner 1000 -p tcp --dport 25 -j REJECT");
    assert!(telling(&owner).conclusion.contains("is rejected"), "{}", telling(&owner).conclusion);
}

#[test]
fn a_rule_about_translated_connections_is_run_behind_a_translation() {
    let answer = answer("-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT");
    let run = telling(&answer);
    assert_eq!(run.differs_at, Some(1), "{run:?}");
    assert!(
        run.setting.iter().any(|line| line.contains("-j DNAT --to-destination")),
        "{:?}",
        run.setting
    );
}

#[test]
fn what_a_rule_writes_into_packets_is_shown() {
    let mss =
        answer("-t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu");
    assert!(telling(&mss).conclusion.contains("1460 becomes 1452"), "{}", telling(&mss).conclusion);
    let ttl = answer("-t mangle -A POSTROUTING -j TTL --ttl-set 65");
    assert!(telling(&ttl).conclusion.contains("hops left"), "{}", telling(&ttl).conclusion);
}

#[test]
fn a_rule_that_counts_beyond_what_is_told_is_tried_with_smaller_numbers() {
    let answer = answer(
        "-A INPUT -p tcp --syn --dport 80 -m connlimit --connlimit-above 20 -j REJECT --reject-with tcp-reset",
    );
    let run = telling(&answer);
    assert_eq!((run.code, run.differs_at), ("attempts", Some(4)), "{}", run.conclusion);
    assert!(answer.assumptions.iter().any(|one| one.about == "numbers"));
}

#[test]
fn answers_of_the_link_are_seen_by_who_has_asked() {
    for (chain, kind, packet) in [
        ("INPUT", 134, "packet 2 (router advertisement"),
        ("INPUT", 136, "packet 2 (neighbour advertisement"),
        ("OUTPUT", 136, "packet 2 (neighbour advertisement"),
        ("INPUT", 135, "packet 1 (neighbour solicitation"),
    ] {
        let line = format!("ip6tables -A {chain} -p ipv6-icmp --icmpv6-type {kind} -j ACCEPT");
        let answer = answer(&line);
        let run = telling(&answer);
        assert!(run.conclusion.contains(packet), "{line}: {}", run.conclusion);
    }
}

#[test]
fn a_letter_that_is_off_is_put_right() {
    for (line, wrong, right) in [
        ("-A INPUT -p tcp --dpotr 22 -j ACCEPT", "--dpotr", "--dport"),
        ("-A INPUT -p tcp --dport 22 -j ACEPT", "ACEPT", "ACCEPT"),
        ("-A INPTU -p tcp --dport 22 -j ACCEPT", "INPTU", "INPUT"),
    ] {
        let answer = answer(line);
        let rule = answer.rule.clone().unwrap_or_default();
        assert!(rule.contains(right) && !rule.contains(wrong), "{line}: {rule}");
        assert_eq!(telling(&answer).differs_at, Some(1), "{line}");
    }
    let own = answer("-A INPUT -p tcp --dport 22 -j LOGDROP");
    assert!(own.fact("why.chain-unknown").is_some());
}

#[test]
fn rules_of_other_tools_are_told() {
    for (line, form, rule) in [
        (
            "nft add rule inet filter input ct state established,related accept",
            "nft-rule",
            "iptables -t filter -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        (
            "tcp dport { 22, 80 } ct state new accept",
            "nft-rule",
            "iptables -t filter -A INPUT -p tcp -m multiport --dports 22,80 -m conntrack --ctstate NEW -j ACCEPT",
        ),
        (
            "ufw allow 22/tcp",
            "frontend-command",
            "iptables -t filter -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
        ),
        (
            "firewall-cmd --permanent --add-service=http",
            "frontend-command",
            "iptables -t filter -A INPUT -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW,UNTRACKED \
             -j ACCEPT",
        ),
    ] {
        let answer = answer(line);
        assert_eq!((answer.form, answer.rule.as_deref()), (form, Some(rule)), "{line}");
        telling(&answer);
    }
}

#[test]
fn messages_of_the_kernel_and_whole_traces() {
    let full = answer("[ 12.3] nf_conntrack: nf_conntrack: table full, dropping packet");
    assert!(full.fact("kernel.table-full").is_some());
    let trace = answer(
        "TRACE: raw:PREROUTING:policy:2 IN=eth0 OUT= SRC=1.2.3.4 DST=5.6.7.8 LEN=60 PROTO=TCP SPT=1 DPT=22 SYN\n\
         TRACE: filter:INPUT:rule:3 IN=eth0 OUT= SRC=1.2.3.4 DST=5.6.7.8 LEN=60 PROTO=TCP SPT=1 DPT=22 SYN\n",
    );
    let end = trace.fact("trace.end").expect("an end").text();
    assert!(end.contains("filter INPUT") && end.contains("rule number 3"), "{end}");
    let options = answer(
        "IN=eth0 OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=60 TTL=64 ID=1 PROTO=TCP SPT=1 DPT=80 SYN OPT \
         (020405B40402080A00000001000000000103030A)",
    );
    let text: Vec<&str> = options.facts().map(Fact::text).collect();
    assert!(
        text.iter().any(|text| text.contains("maximum segment size 1460; SACK permitted")),
        "{text:?}"
    );
}

#[test]
fn the_short_answer_has_what_the_long_one_shows() {
    let answer = answer("ACCEPT     tcp  --             state RELATED,ESTABLISHED ");
    assert_eq!(answer.sections.first().map(|section| section.topic), Some(Topic::Short));
    let does = in_short(&answer, "does");
    assert!(
        does[0].starts_with("accepts when it is TCP and it is RELATED or ESTABLISHED"),
        "{does:?}"
    );
    let without = in_short(&answer, "without it");
    assert!(
        without.iter().any(|text| text.contains("packet 2 (SYN-ACK, ESTABLISHED) is dropped")),
        "{without:?}"
    );
    assert_eq!(in_short(&answer, "either way").len(), 1);
    let instead = in_short(&answer, "instead (a)");
    assert!(instead[0].contains("A name looked up over UDP"), "{instead:?}");
    assert!(instead[0].contains("also stops"), "{instead:?}");
}

#[test]
fn a_rule_set_is_told_in_short() {
    let rules = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n\
                 *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                 -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
                 -A FORWARD -m conntrack --ctstate INVALID -j DROP\n\
                 -A FORWARD -s 10.0.0.0/8 -i eth0 -o eth1 -m limit --limit 5/s -j ACCEPT\nCOMMIT\n";
    let answer = answer(rules);
    let host = in_short(&answer, "to this host");
    assert_eq!(host[0], "tcp to port 22");
    let then = in_short(&answer, "and then");
    assert!(
        then[0].starts_with("packets of connections that exist pass, by INPUT 1 (line 9)"),
        "{then:?}"
    );
    assert_eq!(host.len(), 1);
    let through = in_short(&answer, "through it");
    assert!(through[0].contains("10.0.0.0/8") && through[0].contains("limit"), "{through:?}");
    assert!(then[1].contains("INVALID does not pass, by FORWARD 1 (line 11)"), "{then:?}");
    assert_eq!(in_short(&answer, "from it"), ["everything may begin"]);
    assert!(in_short(&answer, "translated")[0].contains("POSTROUTING 1"));
    // A line that cannot be read takes nothing else with it.
    let broken = rules.replace("--dport 22", "--dport 22 -s no.such.name");
    let broken = explain_text(&broken).expect("told");
    assert!(in_short(&broken, "in part")[0].contains("line 10"));
    assert_eq!(in_short(&broken, "to this host")[0], "nothing may begin");
}

#[test]
fn narrow_terminals_are_kept_to() {
    let text = renderer("text").expect("text is a format");
    for line in [
        "ACCEPT     tcp  --             state RELATED,ESTABLISHED ",
        "-A FORWARD -m state --state INVALID -j DROP",
        "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
        "-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT",
    ] {
        for color in [false, true] {
            let style = Style { width: 80, color };
            for printed in (text.render)(&answer(line), &style).lines() {
                let bare: String =
                    printed.split('\x1b').enumerate().fold(String::new(), |all, (at, part)| {
                        all + if at == 0 {
                            part
                        } else {
                            part.split_once('m').map_or("", |(_, rest)| rest)
                        }
                    });
                assert!(bare.chars().count() <= 80, "{line}: {printed}");
            }
        }
    }
}
