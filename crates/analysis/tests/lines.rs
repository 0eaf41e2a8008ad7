//! Connection, expectation, log and trace lines: fields, and what follows from them.

use keepstate_analysis::{Answer, Question, explain, explain_line, explain_text};

fn answer(text: &str) -> Answer {
    explain_text(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn says(answer: &Answer, code: &str, word: &str) {
    let text = answer.fact(code).unwrap_or_else(|| panic!("nothing says {code}")).text();
    assert!(text.contains(word), "{code} does not say {word}: {text}");
}

const TCP: &str = "tcp      6 431998 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=50804 dport=21 \
                   packets=5 bytes=274 src=10.0.0.1 dst=10.0.0.2 sport=21 dport=50804 packets=4 \
                   bytes=269 [ASSURED] mark=0 delta-time=1 helper=ftp use=2";

#[test]
fn an_established_connection_says_which_packets_are_established_and_until_when() {
    let answer = answer(TCP);
    assert_eq!(answer.form, "conntrack-line");
    for field in ["tcp 6", "431998", "ESTABLISHED", "[ASSURED]", "mark=0", "helper=ftp", "use=2"] {
        assert!(answer.fact(field).is_some(), "{field}");
    }
    says(&answer, "431998", "4 days 23 h 59 min 58 s");
    says(&answer, "states.replied", "10.0.0.2:50804 > 10.0.0.1:21 and 10.0.0.1:21 > ");
    says(&answer, "states.helper", "RELATED");
    says(&answer, "timeout", "nf_conntrack_tcp_timeout_established");
    says(&answer, "nat.none", "exact inverse");
    says(&answer, "early-drop", "[ASSURED]");
}

#[test]
fn the_command_that_forgets_a_connection_names_it_whole() {
    let pasted = |text: &str| {
        let fact = answer(text);
        let fact = fact.facts().find(|fact| fact.code() == "mind.delete").cloned();
        match fact {
            Some(keepstate_analysis::answer::Fact::Paste { lines, .. }) => lines.join("\n"),
            other => panic!("{text}: {other:?}"),
        }
    };
    let icmp = "icmp 1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=5 src=10.0.0.2 dst=10.0.0.1 \
                type=0 code=0 id=5 mark=0 zone=0 use=1";
    assert_eq!(
        pasted(icmp),
        "conntrack -D -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 5"
    );
    assert!(answer(icmp).fact("states.zone").is_none(), "zone 0 is where everything is");
    let igmp = "unknown  2 597 src=10.0.0.1 dst=224.0.0.1 [UNREPLIED] src=224.0.0.1 dst=10.0.0.1 \
                mark=0 use=1";
    assert_eq!(pasted(igmp), "conntrack -D -p 2 -s 10.0.0.1 -d 224.0.0.1");
    says(&answer(&format!("{TCP} zone=3")), "states.zone", "zone 3");
}

#[test]
fn an_unreplied_connection_is_still_new() {
    let answer = answer(
        "ipv4     2 udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=50692 dport=9999 [UNREPLIED] \
         src=10.0.0.2 dst=10.0.0.1 sport=9999 dport=50692 mark=0 use=1",
    );
    says(&answer, "states.unreplied", "still NEW");
    says(&answer, "timeout", "udp_timeout");
    says(&answer, "early-drop", "Not [ASSURED]");
}

#[test]
fn translation_is_seen_where_the_reply_is_not_the_inverse() {
    let answer = answer(
        "tcp 6 100 SYN_SENT src=192.168.1.5 dst=198.51.100.7 sport=4000 dport=80 [UNREPLIED] \
         src=10.9.9.9 dst=203.0.113.1 sport=8080 dport=4001 use=1",
    );
    says(&answer, "nat.source", "192.168.1.5:4000 goes out as 203.0.113.1:4001");
    says(&answer, "nat.destination", "198.51.100.7:80 goes to 10.9.9.9:8080");
    says(&answer, "mind.half-open", "SYN without an answer");
}

#[test]
fn an_association_is_told_in_the_words_of_sctp() {
    let answer = answer(
        "sctp     132 25 HEARTBEAT_SENT src=10.0.0.7 dst=198.51.100.2 sport=1000 dport=80 [UNREPLIED] \
         src=198.51.100.2 dst=10.0.0.7 sport=80 dport=1000 mark=0 use=1",
    );
    says(&answer, "HEARTBEAT_SENT", "a further path of an association");
    says(&answer, "states.tag", "verification tag");
    says(&answer, "timeout", "nf_conntrack_sctp_timeout_heartbeat_sent");
    says(&answer, "mind.two-words", "not picked up");
}

#[test]
fn an_echo_keeps_its_type_code_and_identifier_in_the_tuples() {
    let answer = answer(
        "icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=77 src=10.0.0.2 dst=10.0.0.1 \
         type=0 code=0 id=77 mark=0 use=1 id=12345",
    );
    assert!(answer.fact("src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=77").is_some());
    assert!(answer.fact("id=12345").is_some());
}

#[test]
fn events_say_what_happened() {
    let new = answer(
        "[1795414544.362072]\t    [NEW] tcp      6 120 SYN_SENT src=10.0.0.2 dst=10.0.0.1 \
         sport=50804 dport=21 [UNREPLIED] src=10.0.0.1 dst=10.0.0.2 sport=21 dport=50804",
    );
    assert_eq!(new.form, "conntrack-event");
    says(&new, "form.connection", "survived every hook");
    let gone = answer(
        "[DESTROY] udp 17 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 \
         sport=2 dport=1",
    );
    assert!(gone.fact("states.replied").is_none(), "a connection that is gone has no packets");
}

#[test]
fn an_expectation_says_who_may_come_and_as_what() {
    let answer = answer(
        "299 proto=6 src=10.0.0.2 dst=10.0.0.1 sport=0 dport=51210 mask-src=255.255.255.255 \
         mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.0.2 master-dst=10.0.0.1 \
         sport=50804 dport=21 class=0 helper=ftp",
    );
    assert_eq!(answer.form, "expect-line");
    says(&answer, "expect.related", "10.0.0.2 (from any port) to 10.0.0.1 port 51210");
    says(&answer, "expect.master", "port 21");
    says(&answer, "expect.same-way", "passive");
    let active = explain_text(
        "299 proto=6 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=40000 mask-src=0.0.0.0 \
         mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.0.2 master-dst=10.0.0.1 \
         sport=50804 dport=21 class=0 helper=ftp",
    )
    .unwrap();
    says(&active, "expect.other-way", "active");
    says(&active, "mind.any-source", "Any source");
}

const LOG: &str = "Nov 23 10:00:00 gw kernel: [12345.678901] web: IN=eth0 OUT= \
                   MAC=02:00:00:00:00:02:02:00:00:00:00:01:08:00 SRC=203.0.113.9 DST=192.0.2.10 \
                   LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID=1234 DF PROTO=TCP SPT=34567 DPT=80 \
                   WINDOW=29200 RES=0x00 SYN URGP=0";

const RULES: &str = "*filter\n:INPUT DROP [0:0]\n\
                     -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
                     -A INPUT -p tcp -m tcp --dport 80 -j LOG --log-prefix \"web: \"\n\
                     -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n";

#[test]
fn a_log_line_of_tracking_or_of_a_helper_is_no_rules() {
    let fields = LOG.split_once(" web: ").unwrap().1;
    let invalid = answer(&format!("nf_ct_proto_6: invalid new {fields}"));
    says(&invalid, "form.log-invalid", "connection tracking (TCP)");
    let helper = answer(&format!("kernel: nf_ct_sip: dropping packet: cannot get code {fields}"));
    says(&helper, "form.log-helper", "the conntrack helper sip");
    says(&helper, "form.log-helper", "`cannot get code`");
    assert!(helper.fact("form.log-prefix").is_none());
    says(&invalid, "log.reason", "invalid-state");
    says(&invalid, "log.invalid", "no rule for NEW, ESTABLISHED or RELATED");
    for answer in [&invalid, &helper] {
        assert!(answer.fact("mind.log-no-verdict").is_none(), "no rule has logged it");
        assert!(answer.fact("log.state").is_none(), "its state is known");
    }
    let seq = answer(
        "nf_ct_proto_6: SEQ is over upper bound 2919 (over the window of the receiver) IN= OUT= \
         SRC=192.0.2.1 DST=198.51.100.2 LEN=52 PROTO=TCP SPT=4242 DPT=80 ACK",
    );
    says(&seq, "log.reason", "seq-over");
    says(&seq, "IN=", "older kernels");
    let passes = answer(&format!("nf_ct_proto_6: challenge-ack ignored {fields}"));
    says(&passes, "log.passes", "passes");
    assert!(passes.fact("log.invalid").is_none());
}

#[test]
fn a_log_line_is_put_together_again_and_held_against_the_rules() {
    let alone = answer(LOG);
    says(&alone, "form.log-prefix", "`web:`");
    says(&alone, "form.log-hook", "INPUT");
    says(&alone, "TTL=52", "12 hops");
    says(&alone, "log.packet", "A TCP segment (SYN) from 203.0.113.9:34567 to 192.0.2.10:80");
    says(&alone, "log.state", "NEW");
    let ruled = explain(&Question { text: LOG, rules: Some(RULES) }).unwrap();
    says(&ruled, "log.rules", "accept at INPUT, decided by rule 3 of INPUT");
    says(&ruled, "log.rule", "Line 4");
    says(&ruled, "log.again", "web: IN=eth0");
}

#[test]
fn a_ttl_that_cannot_be_is_no_distance() {
    let answer = answer("IN=eth0 OUT=eth1 SRC=10.0.0.1 DST=192.0.2.1 LEN=60 TTL=630 PROTO=TCP");
    says(&answer, "TTL=630", "hops left");
}

#[test]
fn a_stray_syn_ack_in_a_log_line_is_invalid() {
    let line = "IN=eth0 OUT= SRC=203.0.113.9 DST=192.0.2.10 LEN=44 TTL=60 ID=0 PROTO=TCP SPT=80 \
                DPT=4000 WINDOW=1 RES=0x00 ACK SYN URGP=0";
    says(&answer(line), "log.state", "INVALID (invalid-state)");
}

#[test]
fn trace_lines_of_all_three_kinds() {
    let legacy =
        answer("TRACE: filter:INPUT:rule:2 IN=eth0 OUT= SRC=1.2.3.4 DST=2.3.4.5 PROTO=TCP");
    says(&legacy, "rule", "rule number 2");
    let xtables = answer(
        " TRACE: 2 cee1add1 filter:INPUT:rule:0x3:ACCEPT  -4 -t filter -A INPUT -p tcp -m tcp \
         --dport 21 -j ACCEPT",
    );
    says(&xtables, "rule", "3 is its handle");
    says(&xtables, "rule.matches", "TCP");
    let nft = answer("trace id cee1add1 ip filter INPUT rule tcp dport 21 accept (verdict accept)");
    says(&nft, "ACCEPT", "goes on");
}

#[test]
fn a_rule_of_a_file_is_run_in_the_midst_of_the_file() {
    let answer = explain_line(RULES, 3).unwrap();
    let client = answer.experiments().find(|e| e.code == "tcp-client").expect("run");
    assert_eq!(client.runs[0].name, "as it is");
    assert_eq!(client.differs_at, Some(2));
    assert!(explain_line(RULES, 99).is_err());
    assert!(explain_line("# nothing\n", 1).is_err());
}

#[test]
fn a_row_of_a_listing_knows_its_chain() {
    let listing = "Chain INPUT (policy ACCEPT)\ntarget     prot opt source   destination\n\n\
                   Chain FORWARD (policy DROP)\ntarget     prot opt source   destination\n\
                   ACCEPT     all  --  anywhere  anywhere   ctstate RELATED,ESTABLISHED\n";
    let answer = explain_line(listing, 6).unwrap();
    assert!(answer.rule.as_deref().is_some_and(|rule| rule.contains("-A FORWARD")));
    says(&answer, "form.file-line", "FORWARD");
}

#[test]
fn a_nat_table_beside_it_does_not_keep_a_rule_from_being_run() {
    let file =
        format!("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n{RULES}");
    let answer = explain_line(&file, 7).unwrap();
    assert!(answer.experiments().any(|e| e.runs[0].name == "as it is" && e.differs_at == Some(2)));
    assert!(answer.assumptions.iter().any(|assumption| assumption.about == "nat-table"));
}

#[test]
fn a_conntrack_command_says_what_it_does_and_what_follows() {
    let answer = answer("sudo conntrack -D -p tcp -s 192.0.2.0/24 --dport 22 --state ESTABLISHED");
    assert_eq!(answer.form, "conntrack-command");
    says(&answer, "form.conntrack-command", "forgets connections");
    says(&answer, "-s 192.0.2.0", "where 255.255.255.0 has ones");
    says(&answer, "effect.conntrack-command", "NEW");
    says(&answer, "effect.status", "1 when nothing does");
    assert!(answer.fact("mind.deletes-all").is_none());
    says(&explain_text("conntrack -D").unwrap(), "mind.deletes-all", "every connection goes");
    says(&explain_text("conntrack -U -m 1 -u ASSURED").unwrap(), "mind.mark-and-status", "-u");
    says(&explain_text("conntrack -U -m 1").unwrap(), "mind.no-family", "-f ipv4");
}

#[test]
fn a_saved_connection_is_a_command_and_no_rule() {
    let answer = answer(
        "-A -t 431998 -u SEEN_REPLY,ASSURED -s 10.0.0.2 -d 10.0.0.1 -r 10.0.0.1 -q 10.0.0.2 -p tcp \
         --sport 50804 --dport 21 --reply-port-src 21 --reply-port-dst 50804 --state ESTABLISHED",
    );
    assert_eq!(answer.form, "conntrack-command");
    says(&answer, "form.conntrack-command", "-o save");
    says(&answer, "-t 431998", "4 days");
    assert!(explain_text("-A INPUT -p tcp -j ACCEPT").unwrap().rule.is_some());
}

#[test]
fn a_refused_conntrack_command_is_told_why() {
    let answer = answer("conntrack -I -s 1.1.1.1 -d 2.2.2.2 -p udp -t 5");
    says(&answer, "fault.conntrack", "you have to specify `--sport' and `--dport'");
    says(&answer, "fault.status", "2");
}

#[test]
fn xml_is_told_as_its_line_is() {
    let xml = "<flow type=\"new\"><meta direction=\"original\"><layer3 protonum=\"2\" \
               protoname=\"ipv4\"><src>10.0.0.2</src><dst>10.0.0.1</dst></layer3><layer4 \
               protonum=\"6\" protoname=\"tcp\"><sport>50804</sport><dport>21</dport></layer4></meta>\
               <meta direction=\"reply\"><layer3 protonum=\"2\" protoname=\"ipv4\">\
               <src>10.0.0.1</src><dst>10.0.0.2</dst></layer3><layer4 protonum=\"6\" \
               protoname=\"tcp\"><sport>21</sport><dport>50804</dport></layer4></meta><meta \
               direction=\"independent\"><state>SYN_SENT</state><timeout>120</timeout>\
               <id>2666957846</id><unreplied/></meta><helper>ftp</helper></flow>";
    let answer = answer(&format!("<?xml version=\"1.0\"?>\n<conntrack>\n{xml}\n</conntrack>"));
    assert_eq!(answer.form, "conntrack-event");
    says(&answer, "form.xml", "XML");
    says(&answer, "states.unreplied", "10.0.0.2:50804 > 10.0.0.1:21");
    says(&answer, "states.helper", "RELATED");
}

#[test]
fn counters_say_what_they_count_and_what_to_do_about_them() {
    let answer = answer(
        "cpu=0   \tfound=0 invalid=5 insert=0 insert_failed=2 drop=2 early_drop=0 error=0 \
         search_restart=0 clash_resolve=9 chaintoolong=0",
    );
    assert_eq!(answer.form, "conntrack-statistics");
    says(&answer, "invalid=5", "INVALID");
    says(&answer, "mind.insert_failed", "DNS");
    says(&answer, "clash_resolve=9", "merged");
    assert!(answer.fact("mind.early_drop").is_none(), "nothing was thrown out");
}
