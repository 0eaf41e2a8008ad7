//! Facts that an explanation of a rule has to hold: said, and run.

use keepstate_analysis::answer::{Experiment, Fact, Outcome, Topic};
use keepstate_analysis::{Answer, Unexplained, explain_text};

/// As copied from a web page: the address columns are lost.
const ROW: &str = "ACCEPT     tcp  --             state RELATED,ESTABLISHED ";

fn explain(text: &str) -> Answer {
    explain_text(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn says(answer: &Answer, code: &str, words: &[&str]) {
    let all: Vec<&str> =
        answer.facts().filter(|fact| fact.code() == code).map(Fact::text).collect();
    assert!(!all.is_empty(), "{}: nothing says {code}", answer.input);
    for word in words {
        assert!(all.iter().any(|text| text.contains(word)), "{code} does not say {word}: {all:?}");
    }
}

fn assumes(answer: &Answer, about: &str) {
    let found = answer.assumptions.iter().any(|assumption| assumption.about == about);
    assert!(found, "{}: {about} is not assumed", answer.input);
}

fn experiment<'a>(answer: &'a Answer, code: &str) -> &'a Experiment {
    answer
        .experiments()
        .find(|experiment| experiment.code == code)
        .unwrap_or_else(|| panic!("{}: no experiment {code}", answer.input))
}

/// Of a step (from 1): state and verdict in the first run and in the second.
type Fate = (Option<&'static str>, Option<&'static str>);

fn fates(experiment: &Experiment, step: usize) -> (Fate, Fate) {
    let fate = |run: usize| {
        let outcome: &Outcome = &experiment.runs[run].outcomes[step - 1];
        (outcome.state, outcome.verdict)
    };
    (fate(0), fate(1))
}

#[test]
fn the_copied_row_is_known_for_what_it_is_and_what_it_hides() {
    let answer = explain(ROW);
    assert_eq!(answer.form, "iptables-list-row");
    assert_eq!(
        answer.rule.as_deref(),
        Some("iptables -t filter -A INPUT -p tcp -m state --state RELATED,ESTABLISHED -j ACCEPT")
    );
    says(&answer, "form.no-interfaces", &["without -v", "no interface columns"]);
    says(&answer, "form.addresses-lost", &["web page"]);
    says(&answer, "form.no-chain", &["which chain and table"]);
    for about in ["interfaces", "addresses", "chain", "sysctls", "helpers", "host"] {
        assumes(&answer, about);
    }
}

#[test]
fn the_copied_row_explains_its_states_as_they_are_next_to_tcp() {
    let answer = explain(ROW);
    says(&answer, "matches", &["TCP", "RELATED", "ESTABLISHED"]);
    says(&answer, "state.established", &["both directions", "handshake", "SYN-ACK"]);
    says(&answer, "state.established.window", &["window", "INVALID"]);
    says(&answer, "state.established.loose", &["nf_conntrack_tcp_loose", "mid-stream"]);
    let related = ["ftp", "irc", "tcp-reset", "OUTPUT", "not match ICMP errors"];
    says(&answer, "state.related.tcp-only-expected", &related);
    says(&answer, "state.related.helpers-by-hand", &["CT --helper"]);
    says(&answer, "target.accept", &["later rules of INPUT", "other tables", "hooks after it"]);
}

#[test]
fn the_copied_row_is_needed_by_clients_from_the_second_packet_on() {
    let answer = explain(ROW);
    let client = experiment(&answer, "tcp-client");
    assert_eq!(client.differs_at, Some(2));
    assert_eq!(
        fates(client, 2),
        ((Some("ESTABLISHED"), Some("accept")), (Some("ESTABLISHED"), Some("drop")))
    );
    assert!(client.runs[0].outcomes[1].rule_matched, "the SYN-ACK is accepted by this rule");
    assert!(client.runs[0].outcomes.iter().all(|outcome| outcome.verdict == Some("accept")));
    assert!(!client.runs[1].outcomes[2].sent, "no ACK to a SYN-ACK that did not arrive");
    assert!(client.conclusion.contains("the policy of INPUT"), "{}", client.conclusion);
}

#[test]
fn the_copied_row_is_needed_by_servers_from_the_third_packet_on() {
    let answer = explain(ROW);
    let server = experiment(&answer, "tcp-server");
    assert_eq!(server.differs_at, Some(3));
    assert_eq!(fates(server, 1).0, (Some("NEW"), Some("accept")));
    assert_eq!(
        fates(server, 3),
        ((Some("ESTABLISHED"), Some("accept")), (Some("ESTABLISHED"), Some("drop")))
    );
}

#[test]
fn related_next_to_tcp_lets_the_data_connection_of_ftp_in_and_no_icmp_error() {
    let answer = explain(ROW);
    let ftp = experiment(&answer, "ftp-active");
    let step = ftp.differs_at.unwrap();
    assert_eq!(ftp.steps[step - 1].packet, "data SYN");
    assert_eq!(
        fates(ftp, step),
        ((Some("RELATED"), Some("accept")), (Some("RELATED"), Some("drop")))
    );
    let unaided = &ftp.runs[2].outcomes[step - 1];
    assert_eq!(ftp.runs[2].name, "with it, no helper");
    assert_eq!((unaided.state, unaided.verdict), (Some("NEW"), Some("drop")));
    let pmtu = experiment(&answer, "pmtu");
    assert_eq!(pmtu.differs_at, None, "the rule has no part in it");
    assert_eq!(fates(pmtu, 5).0, (Some("RELATED"), Some("drop")));
}

#[test]
fn the_copied_row_comes_with_what_to_mind_ready_to_be_pasted() {
    let answer = explain(ROW);
    let lines: Vec<&String> = answer
        .facts()
        .flat_map(|fact| match fact {
            Fact::Paste { lines, .. } => lines.iter().collect(),
            Fact::Comparison(tried) => tried.columns.iter().flat_map(|one| &one.lines).collect(),
            _ => Vec::new(),
        })
        .collect();
    for wanted in [
        "iptables -t raw -A OUTPUT -p tcp --dport 21 -j CT --helper ftp",
        "iptables -A INPUT -p icmp -m conntrack --ctstate RELATED -j ACCEPT",
        "iptables -I INPUT 1 -m conntrack --ctstate INVALID -j DROP",
    ] {
        assert!(lines.iter().any(|line| *line == wanted), "{wanted} not among {lines:?}");
    }
    says(&answer, "mind.place-established", &["near the head"]);
    // What is to be pasted is understood when it is pasted here.
    for line in lines {
        if line.starts_with("iptables") {
            let again = explain(line);
            assert!(again.fact("fault.no-engine").is_none(), "{line}");
        }
    }
}

#[test]
fn icmp_related_is_about_errors_and_keeps_path_mtu_discovery_alive() {
    let answer = explain("-A INPUT -p icmp -m conntrack --ctstate RELATED -j ACCEPT");
    says(&answer, "state.related.here", &["exactly the errors", "icmp-error-untracked"]);
    let pmtu = experiment(&answer, "pmtu");
    assert_eq!(pmtu.differs_at, Some(5));
    assert_eq!(
        fates(pmtu, 5),
        ((Some("RELATED"), Some("accept")), (Some("RELATED"), Some("drop")))
    );
    let [with, without] = &pmtu.runs[..] else { panic!("two runs") };
    assert!(with.outcomes[5].sent && !with.outcomes[7].sent, "smaller packets follow");
    assert!(!without.outcomes[5].sent && without.outcomes[7].sent, "the same one is repeated");
    assert!(pmtu.conclusion.contains("black hole"));
    says(&answer, "mind.pmtu", &["fragmentation needed"]);
}

#[test]
fn dropping_invalid_is_shown_with_reasons_numbers_and_dangers() {
    let answer = explain("-A FORWARD -m state --state INVALID -j DROP");
    says(&answer, "state.invalid.reasons", &["seq-over", "icmp-error-untracked", "bad-flags"]);
    let window = experiment(&answer, "out-of-window");
    let step = window.differs_at.unwrap();
    assert_eq!(
        fates(window, step),
        ((Some("INVALID"), Some("drop")), (Some("INVALID"), Some("accept")))
    );
    let outcome = &window.runs[0].outcomes[step - 1];
    assert_eq!(outcome.reason, Some("seq-over"));
    assert!(outcome.distance.is_some_and(|bytes| bytes > 0), "how many bytes over");
    let asymmetric = experiment(&answer, "asymmetric");
    assert_eq!(asymmetric.differs_at, Some(3), "the SYN-ACK takes another way");
    says(&answer, "mind.invalid-nat", &["connection reset by peer", "RST"]);
    says(&answer, "mind.invalid-asymmetric", &["two paths"]);
}

#[test]
fn reject_and_drop_differ_in_what_the_sender_hears() {
    let answer = explain("-A INPUT -p tcp --dport 113 -j REJECT --reject-with tcp-reset");
    let run = experiment(&answer, "tcp-server");
    assert_eq!(fates(run, 1), ((Some("NEW"), Some("reject")), (Some("NEW"), Some("accept"))));
    assert!(run.runs[0].outcomes[0].answers[0].starts_with("TCP RST"));
    assert_eq!(run.runs[2].name, "with DROP instead");
    assert!(run.runs[2].outcomes[0].answers.is_empty());
}

#[test]
fn on_output_related_tcp_lets_the_resets_of_reject_out() {
    let answer = explain("-A OUTPUT -p tcp -m conntrack --ctstate RELATED -j ACCEPT");
    let run = experiment(&answer, "reject-reset");
    assert!(run.runs[0].outcomes[0].rule_matched, "the reset is RELATED and matches");
    assert!(run.runs[1].outcomes[0].answers[0].contains("not let out"));
}

#[test]
fn assigning_the_helper_is_what_makes_ftp_related() {
    let answer = explain("-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp");
    let run = experiment(&answer, "ftp-passive");
    let step = run.differs_at.unwrap();
    assert_eq!(run.steps[step - 1].packet, "data SYN");
    assert_eq!(fates(run, step), ((Some("RELATED"), Some("accept")), (Some("NEW"), Some("drop"))));
}

#[test]
fn log_goes_on_and_prints_the_line_that_the_engine_made() {
    let rule =
        "-A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -j LOG --log-prefix \"ssh: \"";
    let answer = explain(rule);
    let run = experiment(&answer, "tcp-server");
    let logged = &run.runs[0].outcomes[0];
    assert_eq!(logged.verdict, Some("accept"), "LOG decides nothing");
    assert!(logged.log[0].starts_with("ssh: IN=eth0 OUT= "), "{:?}", logged.log);
    // The line that was made is understood when it is pasted.
    assert_eq!(explain(&logged.log[0]).form, "log-line");
}

#[test]
fn other_targets_show_what_they_change() {
    let notrack = explain("-t raw -A PREROUTING -p udp --dport 53 -j NOTRACK");
    assert_eq!(fates(experiment(&notrack, "udp-server"), 1).0.0, Some("UNTRACKED"));
    let mark = explain("-t mangle -A PREROUTING -p tcp --dport 80 -j MARK --set-mark 5");
    let run = experiment(&mark, "tcp-server");
    assert!(run.runs[0].outcomes[0].log[0].contains("MARK=0x5"));
    let connmark = explain("-t mangle -A PREROUTING -p tcp --dport 80 -j CONNMARK --set-mark 7");
    let run = experiment(&connmark, "tcp-server");
    assert_eq!(run.runs[0].outcomes[1].connmark, Some(7), "the answer's connection has it too");
}

#[test]
fn neighbour_discovery_is_untracked_and_needed() {
    let answer = explain("ip6tables -A INPUT -p ipv6-icmp --icmpv6-type 135 -j ACCEPT");
    let run = experiment(&answer, "neighbour");
    assert_eq!(
        fates(run, 1),
        ((Some("UNTRACKED"), Some("accept")), (Some("UNTRACKED"), Some("drop")))
    );
}

#[test]
fn a_policy_is_run_against_the_other_one() {
    let answer = explain(":INPUT DROP [0:0]");
    assert_eq!(experiment(&answer, "tcp-client").differs_at, Some(2));
    says(&answer, "policy", &["end of the chain"]);
}

#[test]
fn rules_that_cannot_be_loaded_are_explained_by_their_words() {
    let answer = explain("-A INPUT -m hashlimit --hashlimit-upto 3/min -j ACCEPT");
    assert!(answer.sections.iter().any(|section| section.topic == Topic::Fault));
    assert_eq!(answer.experiments().count(), 0);
    let nat = explain("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE");
    says(&nat, "mind.nat-first-packet", &["first packet of a connection"]);
    let run = experiment(&nat, "tcp-server");
    assert_eq!((run.differs_at, run.runs[1].outcomes[1].received), (Some(2), Some("no-way")));
    let there = run.runs[0].outcomes[0].translated.as_deref();
    assert_eq!(there, Some("from 198.51.100.7:40000"));
    let answer = explain("DNAT  tcp  --  anywhere  anywhere  tcp dpt:http to:10.0.0.5:8080");
    says(&answer, "matches", &["its destination port is 80"]);
    says(&answer, "target.dnat", &["10.0.0.5, port 8080"]);
}

#[test]
fn a_command_is_read_with_all_that_people_put_around_it() {
    for text in [
        "sudo iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
        "# iptables -w -I INPUT 1 -p tcp --dport 22 -j ACCEPT   # ssh",
        "$ /sbin/iptables --append INPUT --protocol tcp --dport 22 --jump ACCEPT",
    ] {
        let answer = explain(text);
        assert_eq!(answer.form, "iptables-command", "{text}");
        says(&answer, "matches", &["TCP", "22"]);
    }
}

#[test]
fn what_is_not_known_is_refused_with_a_hint() {
    assert_eq!(explain_text("  \n "), Err(Unexplained::Empty));
    assert_eq!(explain_text("hello world"), Err(Unexplained::Unknown(None)));
    let nft = explain_text("table inet filter { }");
    let Err(Unexplained::Unknown(Some(what))) = nft else { panic!("{nft:?}") };
    assert!(what.starts_with("nftables"), "{what}");
    assert!(Unexplained::Unknown(None).to_string().contains("iptables -L"));
}

#[test]
fn a_negated_state_takes_invalid_packets_and_says_so() {
    let answer = explain("-A INPUT -m conntrack ! --ctstate NEW -j ACCEPT");
    says(&answer, "mind.accepts-invalid", &["INVALID packets as well", "behind `!`"]);
    says(&answer, "state.established.window", &["INVALID instead and matches here"]);
    assert!(answer.fact("mind.invalid-and-nat").is_none(), "it does take INVALID packets");
    let outside = experiment(&answer, "out-of-window");
    let ((state, with), (_, without)) = fates(outside, 5);
    assert_eq!((state, with, without), (Some("INVALID"), Some("accept"), Some("drop")));
    let plain = explain("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT");
    says(&plain, "mind.invalid-and-nat", &["do not match here"]);
    assert!(plain.fact("mind.accepts-invalid").is_none());
}

#[test]
fn what_can_never_match_is_said_to() {
    for (rule, words) in [
        (
            "-A INPUT -m conntrack ! --ctstate NEW,ESTABLISHED,RELATED,INVALID,UNTRACKED -j ACCEPT",
            "the rule never matches",
        ),
        ("-A INPUT -m conntrack --ctstatus NONE -j DROP", "never holds"),
        ("-A INPUT -p tcp --tcp-flags SYN FIN -j DROP", "never happens"),
        ("-t raw -A PREROUTING -m state --state NEW -j NOTRACK", "before tracking"),
        ("-A INPUT -m state --state NEW -m state --state ESTABLISHED -j DROP", "never matches"),
        ("-A INPUT -s 127.0.0.0/8 ! -i lo -j DROP", "as a martian"),
    ] {
        let answer = explain(rule);
        let said = answer.facts().any(|fact| fact.text().contains(words));
        assert!(said, "{rule}: nothing says {words}");
    }
}

#[test]
fn the_match_helper_narrows_what_related_means() {
    let answer =
        explain("-A INPUT -m helper --helper ftp -m conntrack --ctstate RELATED -j ACCEPT");
    says(&answer, "state.related.here", &["that ftp has announced"]);
    let inverted = explain("-A INPUT -m helper ! --helper sip -j DROP");
    says(&inverted, "mind.extension", &["what no helper announced matches"]);
    let expected = explain("-A INPUT -m conntrack --ctstatus EXPECTED -j ACCEPT");
    experiment(&expected, "ftp-active");
}

#[test]
fn flags_of_a_beginning_are_told_from_all_others() {
    let syn = explain("-A INPUT -p tcp --syn -j ACCEPT");
    says(&syn, "note", &["mark the segment that asks for a connection"]);
    let others = explain("-A INPUT -p tcp ! --syn -m state --state NEW -j DROP");
    says(&others, "note", &["every segment but the one that asks"]);
}

#[test]
fn a_rule_that_cannot_be_loaded_is_explained_as_far_as_it_is_known() {
    let answer = explain("-A INPUT -p tcp -m tcp --dport 80 -j ULOG");
    says(&answer, "fault.KS0304", &["`ULOG` is not supported yet"]);
    says(&answer, "matches", &["its destination port is 80"]);
    says(&answer, "target.ulog", &["a copy of the packet to ulogd"]);
    let answer = explain(
        "-A INPUT -p tcp -m geoip --src-cc CN -m tcp --dport 22 -j REJECT --reject-with \
         tcp-reset",
    );
    says(&answer, "matches", &["its destination port is 22", "`-m geoip --src-cc CN`"]);
    says(&answer, "target.reject", &["TCP reset"]);
    says(&answer, "note", &["`-m geoip` asks"]);
}

#[test]
fn tags_of_a_web_page_are_no_part_of_a_row() {
    let answer =
        explain("<tr><td>ACCEPT</td><TD class=x>tcp</TD><td>--</td><td>anywhere&nbsp;</td></tr>");
    assert_eq!(answer.rule.as_deref(), Some("iptables -t filter -A INPUT -p tcp -j ACCEPT"));
    let placeholder = explain("-A INPUT -s <IP> -j ACCEPT");
    says(&placeholder, "fault.KS0402", &["`<IP>`"]);
    for (text, what) in [
        ("ufw status", "ufw"),
        ("firewall-cmd --reload", "firewalld"),
        ("chain input { type filter hook input priority 0; }", "nftables"),
    ] {
        let error = explain_text(text).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn variables_of_a_script_are_assumed_to_be_names() {
    let answer = explain("/sbin/iptables -A INPUT -i $EXTIF -m state --state NEW -j DROP");
    assumes(&answer, "variables");
    assert!(explain(ROW).assumptions.iter().all(|assumption| assumption.about != "variables"));
}

#[test]
fn lines_of_a_file_that_are_no_rules() {
    let source = "*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
    let at = |line| keepstate_analysis::explain_line(source, line).unwrap();
    says(&at(1), "table.what", &["before connection tracking"]);
    says(&at(2), "policy", &["of PREROUTING in the table raw"]);
    assert!(at(2).assumptions.is_empty(), "the file says its table");
    says(&at(3), "table.commit", &["all of it at once"]);
    says(&at(5), "policy", &["of INPUT in the table filter"]);
    assert!(at(5).experiments().next().is_some());
    assert!(explain(":INPUT DROP [0:0]").assumptions.iter().any(|one| one.about == "table"));
}

#[test]
fn what_no_packet_tells_is_said_to_be_unknown() {
    let answer = explain("-A OUTPUT -p tcp --dport 80 -m owner --uid-owner 0 -j DROP");
    says(&answer, "matches", &["the program that sent it belongs to user 0 (root)"]);
    // A sender is supposed for the runs.
    assert!(answer.fact("why.unknown").is_none());
    assumes(&answer, "given");
    let answer = explain("-A FORWARD -m physdev --physdev-is-bridged -j DROP");
    says(&answer, "why.unknown", &["the ports of bridges"]);
}
