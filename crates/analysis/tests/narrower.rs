//! What is tried in the place of a rule, and what the runs say about it: the question that began it all and
//! ten lines of the kind that people paste.

use keepstate_analysis::answer::{Cell, Comparison, Fact};
use keepstate_analysis::{Answer, explain_text};

fn explain(text: &str) -> Answer {
    explain_text(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn comparison(answer: &Answer) -> &Comparison {
    let found = answer.facts().find_map(|fact| match fact {
        Fact::Comparison(comparison) => Some(comparison.as_ref()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{}: nothing is tried in its place", answer.input))
}

/// A row as in print: `passes BREAKS:2 HALF:6 told:1`.
fn row(answer: &Answer, code: &str, which: usize) -> String {
    let rows: Vec<_> = comparison(answer).rows.iter().filter(|row| row.code == code).collect();
    let row = rows.get(which).unwrap_or_else(|| panic!("{}: no row {code}", answer.input));
    let cell = |cell: &Cell| match (cell.fate, cell.at) {
        ("passes", _) => String::from("passes"),
        ("breaks", Some(at)) if cell.is_told => format!("told:{at}"),
        ("breaks", Some(at)) => format!("BREAKS:{at}"),
        ("half-open", Some(at)) => format!("HALF:{at}"),
        other => format!("{other:?}"),
    };
    row.cells.iter().map(cell).collect::<Vec<_>>().join(" ")
}

fn rows(line: &str, wanted: &[(&str, &str)]) {
    let answer = explain(line);
    for (code, cells) in wanted {
        assert_eq!(row(&answer, code, 0), *cells, "{line}: {code}");
    }
    let tried = comparison(&answer);
    for (index, column) in tried.columns.iter().enumerate() {
        assert_eq!(column.text.is_empty(), index == 0, "{line}: {}", column.name);
        for command in &column.lines {
            // What is to be pasted is understood when it is pasted here.
            let again = explain(command);
            assert!(again.fact("fault.no-engine").is_none(), "{command}");
        }
    }
    assert!(!answer.assumptions.is_empty(), "{line}: what was assumed is said");
}

#[test]
fn the_seed_question_has_its_alternatives_proven() {
    // This rule, (a) answers, errors and FTP by its helper, (b) answers and errors, (c) no SYN.
    rows(
        "ACCEPT     tcp  --  anywhere             anywhere             state RELATED,ESTABLISHED",
        &[
            ("tcp", "passes passes passes passes"),
            ("dns", "BREAKS:2 passes passes BREAKS:2"),
            ("ping", "BREAKS:2 passes passes BREAKS:2"),
            ("pmtu", "BREAKS:5 passes passes BREAKS:5"),
            ("ftp-active", "passes passes BREAKS:9 BREAKS:9"),
            ("ftp-lure", "passes BREAKS:8 BREAKS:8 BREAKS:8"),
            ("scan-ack", "BREAKS:1 BREAKS:1 BREAKS:1 passes"),
            ("scan-fin", "BREAKS:1 BREAKS:1 BREAKS:1 passes"),
        ],
    );
}

#[test]
fn so_has_the_same_rule_of_a_router_and_of_ipv6() {
    rows(
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        &[
            ("dns", "passes passes passes BREAKS:2"),
            ("pmtu", "passes passes passes BREAKS:5"),
            ("ftp-active", "passes passes BREAKS:9 BREAKS:9"),
            ("ftp-lure", "passes BREAKS:8 BREAKS:8 BREAKS:8"),
        ],
    );
    rows(
        "ip6tables -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT",
        &[("pmtu", "passes passes passes BREAKS:5"), ("ping", "passes passes passes BREAKS:2")],
    );
}

#[test]
fn new_alone_takes_more_than_beginnings() {
    rows(
        "-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT",
        &[
            ("tcp", "passes passes passes"),
            ("mid-stream", "passes HALF:1 HALF:1"),
            ("scan-ack", "passes BREAKS:1 BREAKS:1"),
            ("attempts", "passes passes BREAKS:4"),
            ("crowd", "passes passes passes"),
        ],
    );
}

#[test]
fn dropping_invalid_takes_both_chains_behind_a_translation() {
    let answer = explain("-A FORWARD -m state --state INVALID -j DROP");
    // This rule, (a) both chains, (b) untracked, (c) none.
    assert_eq!(row(&answer, "out-of-window", 0), "passes passes passes passes");
    assert_eq!(row(&answer, "out-of-window", 1), "HALF:6 passes BREAKS:2 HALF:6");
    assert_eq!(row(&answer, "asymmetric", 0), "HALF:3 HALF:3 passes passes");
    assert_eq!(row(&answer, "scan-null", 0), "BREAKS:1 BREAKS:1 BREAKS:1 passes");
    assert_eq!(row(&answer, "stray-icmp-error", 0), "BREAKS:1 BREAKS:1 BREAKS:1 passes");
}

#[test]
fn a_rule_for_flags_is_a_part_of_what_invalid_drops() {
    rows(
        "-A INPUT -p tcp --tcp-flags ALL NONE -j DROP",
        &[
            ("tcp", "passes passes passes"),
            ("scan-null", "BREAKS:1 BREAKS:1 BREAKS:1"),
            ("scan-fin", "passes BREAKS:1 BREAKS:1"),
            ("scan-xmas", "passes BREAKS:1 BREAKS:1"),
            ("scan-ack", "passes passes BREAKS:1"),
        ],
    );
    let answer = explain("-A INPUT -p tcp --tcp-flags ALL NONE -j DROP");
    assert!(answer.fact("mind.scan-flags").is_some());
}

#[test]
fn an_allowance_that_all_share_is_used_up_by_one() {
    let line = "-A INPUT -p tcp --dport 22 --syn -m limit --limit 1/min --limit-burst 3 -j ACCEPT";
    rows(
        line,
        &[
            ("tcp", "passes passes passes"),
            ("attempts", "BREAKS:4 BREAKS:4 passes"),
            ("crowd", "BREAKS:13 passes passes"),
        ],
    );
    let answer = explain(line);
    let counted = answer.experiments().find(|one| one.code == "attempts").expect("it is shown");
    assert!(counted.conclusion.contains("it matched 1 to 3 and 13"), "{}", counted.conclusion);
    assert!(answer.fact("mind.stateless").is_none(), "it asks for a SYN");
}

#[test]
fn so_are_the_pings_of_all() {
    for (line, stops) in [
        ("-A INPUT -p icmp --icmp-type echo-request -m limit --limit 1/s -j ACCEPT", 6),
        ("-A FORWARD -p icmp -m limit --limit 40/min --limit-burst 3 -j ACCEPT", 4),
        ("ip6tables -A INPUT -p ipv6-icmp --icmpv6-type 128 -m limit --limit 9/min -j ACCEPT", 6),
    ] {
        rows(
            line,
            &[
                ("ping", "passes passes passes"),
                ("pings", &format!("BREAKS:{stops} BREAKS:{stops} passes")),
                ("ping-crowd", "BREAKS:13 passes passes"),
            ],
        );
        // Those of a second are larger than what a dozen packets come to.
        let assumed = explain(line).assumptions;
        let is_told = assumed.iter().any(|one| one.text.contains("--limit 3/minute"));
        assert_eq!(is_told, line.contains("1/s"), "{assumed:?}");
    }
    let line = "-A INPUT -p icmp --icmp-type 3/4 -m limit --limit 1/s -j ACCEPT";
    let answer = explain(line);
    assert!(answer.facts().all(|fact| !matches!(fact, Fact::Comparison(_))));
}

#[test]
fn a_list_is_read_after_it_was_written() {
    let line = "-A INPUT -p tcp --dport 22 -m state --state NEW -m recent --update --seconds 60 \
                --hitcount 4 --name SSH -j DROP";
    rows(line, &[("tcp", "passes passes passes"), ("crowd", "passes passes passes")]);
    let answer = explain(line);
    assert!(row(&answer, "attempts", 0).starts_with("BREAKS:4 BREAKS:4"), "the fourth is too much");
    let counted = answer.experiments().find(|one| one.code == "attempts").expect("it is shown");
    assert!(counted.setting.iter().any(|line| line.contains("--set --name SSH")));
    assert!(counted.conclusion.contains("it matched 4 to 12"), "{}", counted.conclusion);
    let said = answer.fact("mind.recent-set").expect("it says so");
    assert!(matches!(said, Fact::Paste { lines, .. } if lines[0].contains("--set --name SSH")));
}

#[test]
fn masquerading_is_shown_and_its_reset_too() {
    let line = "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE";
    rows(
        line,
        &[
            ("tcp", "passes passes passes passes"),
            ("dns", "passes passes passes passes"),
            ("ftp-active", "passes passes passes passes"),
            ("out-of-window", "HALF:6 HALF:6 HALF:6 passes"),
        ],
    );
    let answer = explain(line);
    let run = answer.experiments().next().expect("it is run");
    assert!(run.conclusion.contains("no router out there knows"), "{}", run.conclusion);
    assert!(answer.assumptions.iter().all(|one| one.text != "No address translation."));
}

#[test]
fn a_forwarded_port_is_shown_with_and_without() {
    let line = "iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination \
                10.0.0.5:80";
    let answer = explain(line);
    let run = answer.experiments().next().expect("it is run");
    let outcome = |run_at: usize, step: usize| &run.runs[run_at].outcomes[step];
    assert_eq!(outcome(0, 0).translated.as_deref(), Some("to 10.0.0.5:80"));
    assert_eq!(outcome(0, 1).translated.as_deref(), Some("from 198.51.100.7:8080"));
    assert_eq!(outcome(1, 0).received, Some("astray"), "it comes to the gateway itself");
    assert!(answer.fact("mind.hairpin").is_some());
    // From outside; then from the server's own network, where the rule alone lets the gateway refuse.
    assert_eq!(row(&answer, "tcp", 0), "passes passes passes");
    assert_eq!(row(&answer, "tcp", 1), "told:1 passes BREAKS:2");
    let answer =
        explain("-t nat -A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT --to-ports 3128");
    let run = answer.experiments().next().expect("it is run");
    let translated = run.runs[0].outcomes[0].translated.as_deref();
    assert_eq!(translated, Some("to 198.51.100.20:3128"));
}

#[test]
fn rejecting_everything_belongs_last_and_tells() {
    let line = "-A INPUT -j REJECT --reject-with icmp-host-prohibited";
    let answer = explain(line);
    // By this host; then by others.
    assert_eq!(row(&answer, "tcp", 0), "told:2 passes passes passes");
    assert_eq!(row(&answer, "tcp", 1), "told:1 told:1 told:1 BREAKS:1");
    assert!(answer.fact("mind.reject-told").is_some_and(|fact| fact.text().contains("No route")));
}

#[test]
fn return_in_a_chain_leaves_the_rest_to_its_caller() {
    let answer = explain("-A LOGDROP -s 192.168.1.0/24 -j RETURN");
    // This rule, (a) ACCEPT, (b) none; to a port that INPUT accepts, and to another.
    assert_eq!(row(&answer, "tcp", 0), "passes passes BREAKS:1");
    assert_eq!(row(&answer, "tcp", 1), "BREAKS:1 passes BREAKS:1");
    assert!(answer.experiments().next().is_some_and(|one| one.differs_at.is_some()));
    assert!(answer.assumptions.iter().any(|one| one.about == "caller"));
}

#[test]
fn what_claims_to_come_from_loopback_is_stopped_before_any_rule() {
    let answer = explain("-A INPUT ! -i lo -s 127.0.0.0/8 -j DROP");
    let run = answer.experiments().next().expect("it is shown");
    assert_eq!((run.code, run.differs_at), ("spoofed-loopback", None));
    assert_eq!(run.runs[1].outcomes[0].reason, Some("martian"));
    assert!(run.conclusion.contains("makes no difference"));
}

#[test]
fn neighbour_discovery_takes_all_its_types() {
    let answer = explain(
        "ip6tables -A INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -m hl --hl-eq 255 -j ACCEPT",
    );
    assert_eq!(row(&answer, "neighbour", 0), "passes passes passes passes");
    assert_eq!(row(&answer, "neighbour", 1), "BREAKS:2 passes passes passes");
    assert_eq!(row(&answer, "router-discovery", 0), "BREAKS:2 passes passes passes");
    assert_eq!(row(&answer, "neighbour-from-afar", 0), "BREAKS:1 BREAKS:1 passes passes");
    assert_eq!(row(&answer, "ping", 0), "BREAKS:1 BREAKS:1 BREAKS:1 passes");
}

#[test]
fn the_lines_that_people_paste_most_have_something_in_their_place() {
    for line in [
        "-m state --state NEW",
        "INVALID -j DROP",
        "--tcp-flags ALL NONE",
        "iptables -A INPUT -p tcp ! --syn -m state --state NEW -j DROP",
        "-A INPUT -p tcp --dport 80 -m limit --limit 25/minute --limit-burst 100 -j ACCEPT",
        "-A INPUT -p tcp --dport 22 -m hashlimit --hashlimit-above 5/min --hashlimit-mode srcip --hashlimit-name \
         ssh -j DROP",
        "-A INPUT -p tcp --syn --dport 80 -m connlimit --connlimit-above 20 -j REJECT --reject-with tcp-reset",
        "MASQUERADE  all  --  anywhere             anywhere",
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        "-A INPUT -p tcp -j REJECT --reject-with tcp-reset",
        "-A INPUT -j DROP",
        "RETURN     all  --  anywhere             anywhere",
        "-A INPUT ! -i lo -j DROP",
        "-A INPUT ! -i lo -d 127.0.0.0/8 -j REJECT",
        "-A INPUT ! -i lo -p tcp --dport 3306 -j DROP",
        "-A INPUT -p icmp -j ACCEPT",
        "ip6tables -A INPUT -p icmpv6 -j ACCEPT",
    ] {
        rows(line, &[]);
    }
}

#[test]
fn a_cut_connection_hears_of_it_or_not() {
    // This rule, (a) with a reset, (b) INVALID only, (c) none.
    rows(
        "iptables -A INPUT -p tcp ! --syn -m state --state NEW -j DROP",
        &[
            ("tcp", "passes passes passes passes"),
            ("mid-stream", "HALF:1 told:1 passes passes"),
            ("scan-ack", "BREAKS:1 told:1 passes passes"),
            ("scan-fin", "passes passes BREAKS:1 passes"),
        ],
    );
}

#[test]
fn where_a_masquerade_does_not_apply_is_no_way_out() {
    // This rule, (a) by the outer interface, (b) to a fixed address, (c) without INVALID.
    rows(
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        &[("tcp", "passes passes passes passes"), ("out-of-window", "HALF:6 HALF:6 HALF:6 passes")],
    );
}

#[test]
fn what_counts_is_tried_with_numbers_that_are_come_to() {
    let line = "-A INPUT -p tcp --syn --dport 80 -m connlimit --connlimit-above 20 -j REJECT";
    let answer = explain(line);
    assert!(row(&answer, "attempts", 0).starts_with("told:4"), "{}", row(&answer, "attempts", 0));
    let own = &comparison(&answer).columns[0].lines;
    assert!(own[0].contains("--connlimit-above 20"), "shown as it stands: {own:?}");
}
