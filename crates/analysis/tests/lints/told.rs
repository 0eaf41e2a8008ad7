//! What findings say beside that there is something: the rules that matter, where it stands, what to do.

use super::findings;
use keepstate_analysis::lint::fix::{How, fix};
use keepstate_analysis::lint::{Finding, Wanted, lint, read};
use keepstate_analysis::render::lint::difference;
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::Span;

pub(super) fn one(source: &str, code: &str) -> Finding {
    let found = findings(source, code, None);
    let [one] = found.as_slice() else { panic!("{code}: {found:?}") };
    one.clone()
}

pub(super) fn text(source: &str, span: Span) -> &str {
    &source[span.start as usize..span.end as usize]
}

pub(super) fn filter(policies: [&str; 3], rules: &str) -> String {
    let [input, forward, output] = policies;
    format!(
        "*filter\n:INPUT {input} [0:0]\n:FORWARD {forward} [0:0]\n:OUTPUT {output} [0:0]\n{rules}COMMIT\n"
    )
}

#[test]
fn the_rule_that_takes_all_by_itself_is_named_alone() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A INPUT -i lo -j ACCEPT\n\
         -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A INPUT -p udp -m udp --dport 123 -j ACCEPT\n\
         -A INPUT -s 192.0.2.7/32 -p udp -m udp --dport 123 -j ACCEPT\n\
         -A INPUT -p udp -m multiport --dports 69,123 -j ACCEPT\n",
    );
    let shadowed = one(&source, "rule-shadowed");
    assert_eq!(shadowed.text, "a rule above takes all that this one asks for");
    let [label] = shadowed.labels.as_slice() else { panic!("{:?}", shadowed.labels) };
    assert_eq!(text(&source, label.span), "-A INPUT -p udp -m udp --dport 123 -j ACCEPT");
    let dead = one(&source, "port-part-dead");
    assert_eq!(dead.labels.len(), 1, "{:?}", dead.labels);
    assert_eq!(text(&source, dead.labels[0].span), text(&source, label.span));
}

#[test]
fn of_several_that_take_packets_the_one_for_plain_ones_comes_first() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A INPUT -i lo -j ACCEPT\n\
         -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A INPUT -m conntrack --ctstate INVALID,UNTRACKED -j DROP\n\
         -A INPUT ! -i lo -p udp -m udp --dport 123 -m conntrack --ctstate NEW -j ACCEPT\n\
         -A INPUT -s 192.0.2.7/32 -p udp -m udp --dport 123 -j ACCEPT\n",
    );
    let shadowed = one(&source, "rule-shadowed");
    let first = text(&source, shadowed.labels[0].span);
    assert!(first.contains("--dport 123"), "{first}");
    let some = shadowed.evidence.last().unwrap();
    assert!(!some.contains("addrtype"), "{some}");
    assert!(some.contains("not of this") && some.contains("dropped"), "{some}");
}

#[test]
fn chains_of_a_script_stand_where_their_policy_is_set_for_the_family() {
    let source = "iptables -P INPUT DROP\niptables -A INPUT -p tcp --dport 22 -j ACCEPT\n\
                  ip6tables -P INPUT DROP\nip6tables -A INPUT -p tcp --dport 22 -j ACCEPT\n";
    for (family, line) in
        [(Family::V4, "iptables -P INPUT DROP"), (Family::V6, "ip6tables -P INPUT DROP")]
    {
        let ruleset = read::ruleset(source, family, LabelNames::NONE).unwrap();
        let wanted = Wanted { only: vec!["loopback-blocked".into()], ..Wanted::default() };
        let found = lint(source, &ruleset, None, &wanted).unwrap();
        assert_eq!(text(source, found[0].span), line);
        let at = source.find(line).unwrap();
        let at = if family == Family::V6 { source.rfind(line).unwrap() } else { at };
        assert_eq!(found[0].span.start as usize, at);
    }
}

#[test]
fn what_accepts_invalid_segments_is_named() {
    let nat = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
               -A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE\nCOMMIT\n";
    let rules = filter(["DROP", "DROP", "ACCEPT"], "-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n");
    let source = format!("{nat}{rules}");
    let found = one(&source, "nat-without-invalid-drop");
    assert_eq!(text(&source, found.labels[0].span), "-A FORWARD -s 10.0.0.0/8 -j ACCEPT");
    assert!(found.evidence[0].contains("tcp 10."), "{:?}", found.evidence);
    let line = 1 + source.lines().position(|line| line.starts_with("-A FORWARD")).unwrap();
    let told = found.fix.unwrap().text;
    assert!(told.ends_with(&format!("before line {line}")), "{told}");
}

#[test]
fn a_network_does_not_speak_with_itself() {
    let source = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
                  -A POSTROUTING -s 192.0.2.0/24 ! -o br0 -j MASQUERADE\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n\
                  :FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -i br0 ! -o br0 -j ACCEPT\nCOMMIT\n";
    let found = one(source, "nat-without-invalid-drop");
    let packet = &found.evidence[0];
    assert!(packet.contains("tcp 192.0.2.") && !packet.contains("> 192.0.2."), "{packet}");
}

#[test]
fn errors_that_pass_need_no_rule_more() {
    let tcp = "-A INPUT -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let errors = "-A INPUT -p icmp -m icmp --icmp-type 3 -j ACCEPT\n";
    let closed = one(&filter(["DROP", "DROP", "ACCEPT"], tcp), "related-tcp-only");
    assert!(closed.help.as_ref().unwrap().contains("-p icmp"), "{closed:?}");
    let open =
        one(&filter(["DROP", "DROP", "ACCEPT"], &format!("{tcp}{errors}")), "related-tcp-only");
    assert!(open.help.as_ref().unwrap().contains("leave RELATED out"), "{open:?}");
}

#[test]
fn a_rule_for_related_alone_is_taken_out_not_opened() {
    let rules = "-A INPUT -p tcp -m conntrack --ctstate RELATED -j ACCEPT\n\
                 -A INPUT -p icmp -m icmp --icmp-type 3 -j ACCEPT\n";
    let found = one(&filter(["DROP", "DROP", "ACCEPT"], rules), "related-tcp-only");
    assert!(found.help.as_ref().unwrap().contains("take the rule out"), "{found:?}");
}

#[test]
fn a_set_of_two_parts_is_asked_with_two() {
    let rules = "-A INPUT -j SET --add-set seen src,dst\n";
    let found = one(&filter(["ACCEPT", "ACCEPT", "ACCEPT"], rules), "set-never-asked");
    assert!(found.help.as_ref().unwrap().contains("--match-set seen src,dst "), "{found:?}");
}

#[test]
fn the_answer_to_an_untracked_syn_is_invalid() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
               -A PREROUTING -p tcp -m tcp --dport 80 -j CT --notrack\nCOMMIT\n";
    let source = format!("{raw}{}", filter(["ACCEPT", "DROP", "ACCEPT"], ""));
    let found = one(&source, "notrack-one-way");
    assert!(found.evidence[0].ends_with("INVALID"), "{found:?}");
}

#[test]
fn two_changes_far_apart_are_two_changes() {
    let lines: Vec<_> = (0..6_000).map(|number| format!("-A INPUT -p {number}\n")).collect();
    let (old, new) = (lines.concat(), lines[1..5_999].concat());
    let shown = difference("rules", &old, &new);
    let gone: Vec<_> = shown.lines().skip(2).filter(|line| line.starts_with('-')).collect();
    assert_eq!(gone, ["--A INPUT -p 0", "--A INPUT -p 5999"]);
}

#[test]
fn a_chain_that_always_refuses_is_a_refusal() {
    let rules = ":refuse - [0:0]\n-A INPUT -i eth0 -j ACCEPT\n-A INPUT -i eth0 -p tcp -j refuse\n\
                 -A refuse -p tcp -j REJECT --reject-with tcp-reset\n-A refuse -j DROP\n";
    let source = filter(["DROP", "DROP", "ACCEPT"], rules);
    let found = one(&source, "shadowed-otherwise");
    assert_eq!(text(&source, found.span), "-A INPUT -i eth0 -p tcp -j refuse");
    assert!(findings(&source, "rule-shadowed", None).is_empty());
    let open = source.replace("-A refuse -j DROP\n", "");
    assert!(findings(&open, "shadowed-otherwise", None).is_empty());
}

#[test]
fn a_helper_reads_nothing_of_what_is_dropped() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
               -A PREROUTING -p udp -m udp --dport 10080 -j CT --helper amanda\nCOMMIT\n";
    let lo = "-A INPUT -i lo -j ACCEPT\n";
    let closed = format!("{raw}{}", filter(["DROP", "DROP", "ACCEPT"], lo));
    assert!(findings(&closed, "helper-too-broad", None).is_empty());
    let server = format!("{lo}-A INPUT -p udp -m udp --dport 10080 -j ACCEPT\n");
    one(&format!("{raw}{}", filter(["DROP", "DROP", "ACCEPT"], &server)), "helper-too-broad");
}

#[test]
fn what_may_be_opened_without_a_helper_is_not_opened_by_it() {
    let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
               -A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n";
    let control = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                   -A FORWARD -p tcp -m tcp --dport 21 -j ACCEPT\n";
    one(&format!("{raw}{}", filter(["DROP", "DROP", "ACCEPT"], control)), "related-too-wide");
    let open =
        format!("{control}-A FORWARD -p tcp -m tcp --sport 0 -j DROP\n-A FORWARD -j ACCEPT\n");
    let open = format!("{raw}{}", filter(["DROP", "DROP", "ACCEPT"], &open));
    assert!(findings(&open, "related-too-wide", None).is_empty());
}

#[test]
fn forwarded_ports_go_on_behind_a_gateway_that_is_closed() {
    let source = format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
         -A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2\n\
         -A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n{}",
        filter(["DROP", "ACCEPT", "ACCEPT"], "-A INPUT -i lo -j ACCEPT\n")
    );
    let found = one(&source, "forward-open");
    assert!(found.help.as_ref().unwrap().contains("--ctstate DNAT -j ACCEPT"), "{found:?}");
}

#[test]
fn packets_that_are_named_are_such_as_there_are() {
    let nat = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
               -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE\nCOMMIT\n";
    let rules = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A INPUT -i lo -j ACCEPT\n-A INPUT -s 10.0.0.0/16 -p icmp -m icmp --icmp-type 0 -j ACCEPT\n",
    );
    // An answer to a ping that nobody sent is INVALID, never NEW: nothing is let in that begins anything.
    let found = findings(&format!("{nat}{rules}"), "spoofed-source", None);
    assert!(
        found.iter().flat_map(|one| &one.evidence).all(|text| !text.contains("NEW")),
        "{found:?}"
    );
    // Nobody knows protocol 0.
    let log = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A INPUT -p tcp -j DROP\n-A INPUT -p udp -j DROP\n-A INPUT -p icmp -j DROP\n-A INPUT -j LOG\n",
    );
    let found = one(&log, "log-without-limit");
    assert!(!found.evidence[0].contains("instance 0 "), "{:?}", found.evidence);
}

#[test]
fn long_lists_of_flags_are_told_by_a_packet() {
    let rules: String =
        ["FIN,SYN FIN,SYN", "SYN,RST SYN,RST", "FIN,RST FIN,RST", "FIN,ACK FIN", "ACK,URG URG"]
            .iter()
            .map(|flags| format!("-A INPUT -p tcp -m tcp --tcp-flags {flags} -j DROP\n"))
            .collect();
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        &format!(
            "{rules}-A INPUT -p tcp -m tcp --dport 25 -j DROP\n-A INPUT -p tcp -m tcp --sport 32768:61000 -j ACCEPT\n"
        ),
    );
    let found = one(&source, "order-dependent");
    assert!(found.evidence.iter().all(|row| row.len() < 260), "{:?}", found.evidence);
}

#[test]
fn states_that_packets_have_are_told() {
    for (asks, says, meant) in [
        ("-p icmp -m icmp --icmp-type 3", "RELATED or INVALID", "--ctstate RELATED,"),
        ("-p icmp -m icmp --icmp-type 0", "ESTABLISHED or INVALID", "--ctstate ESTABLISHED,"),
        ("-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN", "packets INVALID and", "--ctstate INVALID,"),
    ] {
        let rule = format!("-A INPUT {asks} -m conntrack --ctstate NEW -j ACCEPT\n");
        let found = one(&filter(["DROP", "DROP", "ACCEPT"], &rule), "impossible-state");
        assert!(found.evidence[0].contains(says), "{found:?}");
        assert!(found.help.as_ref().unwrap().contains(meant), "{found:?}");
    }
}

#[test]
fn what_no_field_says_is_told_of_a_packet() {
    let source = filter(
        ["DROP", "DROP", "ACCEPT"],
        "-A INPUT -m addrtype --dst-type BROADCAST -j DROP\n\
         -A INPUT -p udp -m udp --dport 123 -j ACCEPT\n\
         -A INPUT -s 192.0.2.7/32 -p udp -m udp --dport 123 -j ACCEPT\n",
    );
    let some = one(&source, "rule-shadowed").evidence.last().unwrap().clone();
    assert!(some.contains("of which `-m addrtype --dst-type BROADCAST` holds: dropped"), "{some}");
}

#[test]
fn the_old_name_of_a_match_goes_from_rules_that_translate_and_log_too() {
    let source = format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
         -A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -m state --state NEW -j DNAT --to-destination 10.0.0.2\nCOMMIT\n{}",
        filter(
            ["DROP", "DROP", "ACCEPT"],
            "-A INPUT -m state ! --state ESTABLISHED -j LOG --log-prefix \"in \"\n"
        )
    );
    let wanted = Wanted { only: vec!["deprecated-state".into()], ..Wanted::default() };
    let how = How { family: Family::V4, labels: LabelNames::NONE, unproven: false };
    let fixed = fix(&source, None, &wanted, how).unwrap();
    assert!(fixed.left.is_empty(), "{:?}", fixed.left);
    assert!(!fixed.text.contains("-m state"), "{}", fixed.text);
}
