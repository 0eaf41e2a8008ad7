//! The command on the example captures: what a session of real programs must give.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn keepstate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepstate"));
    command.args(arguments).current_dir(root()).output().expect("keepstate")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn lines(arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["replay", "--format", "jsonl"];
    all.extend(arguments);
    let output = text(&keepstate(&all));
    output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

const GATEWAY: &[&str] =
    &["--rules", "examples/rules/gateway.rules", "--rules", "examples/rules/gateway-v6.rules"];

fn gateway(capture: &'static str) -> Vec<Value> {
    lines(&[GATEWAY, &[capture]].concat())
}

fn of_state<'a>(lines: &'a [Value], state: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["state"] == state).collect()
}

#[test]
fn both_data_connections_of_an_ftp_session_are_expected() {
    for (capture, family, line) in
        [("examples/captures/ftp.pcap", "ipv4", 16), ("examples/captures/ftp-v6.pcap", "ipv6", 14)]
    {
        let lines = gateway(capture);
        let (summary, packets) = lines.split_last().expect("a summary");
        assert!(packets.iter().all(|packet| packet["verdict"] == "accept"), "{capture}");
        assert!(packets.iter().all(|packet| packet["hook"] == "POSTROUTING"), "{capture}");
        for (number, packet) in packets.iter().enumerate() {
            assert_eq!(packet["packet"], number);
            assert_eq!(packet["out"].as_array().map(Vec::len), Some(1));
        }
        assert_eq!(of_state(packets, "NEW").len(), 1);
        let related = of_state(packets, "RELATED");
        assert_eq!(related.len(), 2, "{capture}: one passive, one active");
        for packet in related {
            assert_eq!(packet["rule"]["table"], "filter");
            assert_eq!(packet["rule"]["chain"], "FORWARD");
            assert_eq!(packet["rule"]["number"], 3);
            assert_eq!(packet["rule"]["line"], line);
        }
        let summary = &summary["summary"];
        assert_eq!(summary["packets"], packets.len());
        assert_eq!(summary["connections"]["created"], 3);
        assert_eq!(summary["connections"]["expected"], 2);
        let rules = summary["rules"].as_array().expect("rules");
        let third = rules.iter().find(|rule| {
            rule["family"] == family && rule["chain"] == "FORWARD" && rule["number"] == 3
        });
        assert_eq!(third.expect("the rule")["packets"], 2);
    }
}

#[test]
fn without_the_helper_the_data_connections_are_refused() {
    let rules =
        std::fs::read_to_string(root().join("examples/rules/gateway.rules")).expect("rules");
    let without: String = rules
        .lines()
        .filter(|line| !line.contains("-j CT"))
        .map(|line| format!("{line}\n"))
        .collect();
    let file = std::env::temp_dir().join(format!("keepstate-replay-{}.rules", std::process::id()));
    std::fs::write(&file, without).expect("a file");
    let path = file.display().to_string();
    let plain = lines(&["--rules", &path, "examples/captures/ftp.pcap"]);
    assert!(of_state(&plain, "RELATED").is_empty());
    assert!(plain.iter().any(|line| line["verdict"] == "reject"));
    let assigned =
        lines(&["--rules", &path, "--helpers", "tcp:21:ftp", "examples/captures/ftp.pcap"]);
    assert_eq!(of_state(&assigned, "RELATED").len(), 2);
    std::fs::remove_file(&file).expect("our own file");
}

#[test]
fn reject_answers_and_a_router_says_when_the_ttl_ends() {
    let lines = gateway("examples/captures/mix.pcap");
    let rejected: Vec<_> = lines.iter().filter(|line| line["verdict"] == "reject").collect();
    let chains: Vec<_> = rejected.iter().map(|line| line["rule"]["chain"].clone()).collect();
    assert_eq!(chains, ["FORWARD", "FORWARD", "from-inside"]);
    for line in &rejected {
        assert_eq!(line["generated"].as_array().map(Vec::len), Some(1));
        assert_eq!(line["out"].as_array().map(Vec::len), Some(0));
    }
    let ttl = lines.iter().find(|line| line["reason"] == "ttl-exceeded").expect("a short ping");
    assert_eq!(ttl["verdict"], "drop");
    assert_eq!(ttl["rule"], Value::Null);
    let answer = ttl["generated"][0]["bytes"].as_str().expect("an answer");
    assert_eq!(&answer[40..44], "0b00", "ICMP time exceeded");
    let late = lines.iter().filter(|line| line["reason"] == "icmp-error-untracked").count();
    assert_eq!(late, 2, "errors about packets that were rejected here");
}

#[test]
fn the_table_is_printed_as_conntrack_prints_it() {
    let mut arguments = vec!["replay", "-q", "--conntrack"];
    arguments.extend(GATEWAY);
    arguments.push("examples/captures/ftp.pcap");
    let output = text(&keepstate(&arguments));
    let control = output.lines().find(|line| line.contains(" dport=21 ")).expect("the session");
    assert!(control.starts_with("ipv4     2 tcp      6 "), "{control}");
    assert!(control.contains(" TIME_WAIT src=192.0.2.10 dst=198.51.100.20 "), "{control}");
    assert!(control.ends_with("[ASSURED] mark=0 helper=ftp use=3"), "{control}");
    assert_eq!(output.lines().count(), 3);
}

#[test]
fn events_come_with_the_time_of_the_packet() {
    let output = text(&keepstate(&[
        "replay",
        "-q",
        "--events",
        "--helpers",
        "default",
        "examples/captures/ftp.pcap",
    ]));
    let kinds: Vec<_> = output.lines().filter_map(|line| line.split_once('\t')).collect();
    assert_eq!(kinds.iter().filter(|(_, line)| line.starts_with("    [NEW] tcp")).count(), 3);
    let states = ["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "LAST_ACK", "TIME_WAIT"];
    for state in states {
        assert!(kinds.iter().any(|(_, line)| line.contains(state)), "{state}");
    }
    assert!(kinds.iter().all(|(time, _)| time.starts_with('[') && time.contains('.')));
}

#[test]
fn what_is_written_holds_every_packet_and_why() {
    let file = std::env::temp_dir().join(format!("keepstate-replay-{}.pcapng", std::process::id()));
    let path = file.display().to_string();
    let mut arguments = vec!["replay", "-q", "--write", &path];
    arguments.extend(GATEWAY);
    arguments.push("examples/captures/mix.pcap");
    text(&keepstate(&arguments));
    let written = std::fs::read(&file).expect("a capture");
    for comment in [
        "filter:from-inside:2 ACCEPT ct=NEW",
        "filter:FORWARD:6 REJECT ct=NEW",
        "made by the filter: filter:FORWARD:6 REJECT ct=NEW",
        "filter:FORWARD:2 DROP ct=INVALID reason=icmp-error-untracked",
    ] {
        let found = written.windows(comment.len()).any(|bytes| bytes == comment.as_bytes());
        assert!(found, "{comment}");
    }
    let again = lines(&[&path]);
    let original = lines(&["examples/captures/mix.pcap"]);
    let count = |lines: &[Value]| lines.last().expect("a summary")["summary"]["packets"].as_u64();
    let made = 4;
    assert_eq!(count(&again), count(&original).map(|count| count + made));
    std::fs::remove_file(&file).expect("our own file");
}

#[test]
fn wireshark_reads_what_is_written() {
    let file = std::env::temp_dir().join(format!("keepstate-tshark-{}.pcapng", std::process::id()));
    let path = file.display().to_string();
    text(&keepstate(&["replay", "-q", "--write", &path, "examples/captures/ftp.pcap"]));
    let tshark = Command::new("tshark")
        .args(["-r", &path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment"])
        .output();
    let Ok(tshark) = tshark else {
        println!("skipped: needs tshark");
        std::fs::remove_file(&file).expect("our own file");
        return;
    };
    std::fs::remove_file(&file).expect("our own file");
    let output = text(&tshark);
    assert_eq!(output.lines().next(), Some("eth0\tACCEPT ct=NEW"));
    assert_eq!(output.lines().count(), 53);
}

#[test]
fn a_host_sees_its_own_packets_leave_and_others_arrive() {
    let lines = lines(&["--local", "198.51.100.20", "examples/captures/ftp.pcap"]);
    let (_, packets) = lines.split_last().expect("a summary");
    let hooks: Vec<_> = packets.iter().map(|packet| packet["hook"].clone()).collect();
    assert_eq!(hooks[0], "INPUT");
    assert_eq!(hooks[1], "POSTROUTING");
    assert!(packets.iter().all(|packet| packet["verdict"] == "accept"));
}

#[test]
fn a_declared_gateway_routes_and_answers_as_the_real_one_did() {
    let lines = lines(&["--host", "examples/gateway.toml", "examples/captures/mix.pcap"]);
    let interfaces: Vec<_> =
        lines.iter().take(2).map(|line| line["out"][0]["interface"].clone()).collect();
    assert_eq!(interfaces, ["eth1", "eth0"], "the query, then its answer");
    let at = lines.iter().position(|line| line["reason"] == "ttl-exceeded").expect("a short ping");
    let ours = lines[at]["generated"][0]["bytes"].as_str().expect("an answer");
    // The next packet of the capture is what the real gateway answered; as its own packet it comes
    // from an address of this host, which a router does not take from a wire.
    assert_eq!(lines[at + 1]["reason"], "martian");
    let capture = std::fs::read(root().join("examples/captures/mix.pcap")).expect("a capture");
    let unhex = |hex: &str| {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(digit).collect::<Vec<u8>>()
    };
    let icmp = &unhex(ours)[20..];
    assert!(capture.windows(icmp.len()).any(|bytes| bytes == icmp), "{ours}");
    assert!(ours[24..32] == *"c0000201", "from 192.0.2.1");
}

#[test]
fn a_host_file_is_read_strictly() {
    let file = std::env::temp_dir().join(format!("keepstate-host-{}.toml", std::process::id()));
    for (text, word) in [
        ("forwarding = \"sideways\"", "sideways"),
        ("", "at least one"),
        ("[[interface]]\nname = \"eth 0\"", "eth 0"),
        ("[[interface]]\nname = \"eth0\"\naddresses = [\"1.2.3.4/33\"]", "/33"),
        ("[[interface]]\nname = \"eth0\"\n[[route]]\nto = \"::/0\"\ninterface = \"x\"", "x"),
        ("[[interface]]\nname = \"eth0\"\nmtuu = 3", "mtuu"),
    ] {
        std::fs::write(&file, text).expect("a file");
        let path = file.display().to_string();
        let output = keepstate(&["replay", "--host", &path, "examples/captures/ftp.pcap"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(errors.contains(word), "{text}: {errors}");
    }
    std::fs::remove_file(&file).expect("our own file");
}

#[test]
fn exit_statuses() {
    let status = |arguments: &[&str]| keepstate(arguments).status.code();
    assert_eq!(status(&["check", "examples/rules/gateway.rules"]), Some(0));
    assert_eq!(status(&["check", "examples/record.sh"]), Some(1));
    assert_eq!(status(&["check", "examples/rules/no-such-file"]), Some(2));
    assert_eq!(status(&["check"]), Some(2));
    assert_eq!(status(&["replay", "examples/captures/ftp.pcap"]), Some(0));
    assert_eq!(status(&["replay", "examples/rules/gateway.rules"]), Some(2));
    assert_eq!(
        status(&["replay", "--rules", "examples/record.sh", "examples/captures/ftp.pcap"]),
        Some(2)
    );
    assert_eq!(
        status(&["replay", "--sysctl", "nf_conntrack_nonsense=1", "examples/captures/ftp.pcap"]),
        Some(2)
    );
    assert_eq!(
        status(&["replay", "--sysctl", "nf_conntrack_tcp_loose=0", "examples/captures/ftp.pcap"]),
        Some(0)
    );
    assert_eq!(
        status(&["replay", "--local", "10.0.0.0/33", "examples/captures/ftp.pcap"]),
        Some(2)
    );
    assert_eq!(status(&["run", "examples/no-such-file.toml"]), Some(2));
}

#[test]
fn a_cut_capture_is_read_up_to_the_cut_with_a_warning() {
    let whole = std::fs::read(root().join("examples/captures/ftp.pcap")).expect("a capture");
    let file = std::env::temp_dir().join(format!("keepstate-cut-{}.pcap", std::process::id()));
    std::fs::write(&file, &whole[..whole.len() - 1]).expect("a file");
    let output = keepstate(&["replay", &file.display().to_string()]);
    std::fs::remove_file(&file).expect("our own file");
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("warning:") && errors.contains("cut short"), "{errors}");
    assert!(text(&output).contains("packets      52 "));
}

#[test]
fn what_is_logged_of_a_packet_stands_in_its_object() {
    const ANSWER: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n\r\n";
    const HEADERS: [u8; 28] = [
        69, 0, 0, 73, 0, 1, 0, 0, 64, 17, 70, 110, 10, 0, 0, 1, 198, 51, 100, 1, 19, 196, 19, 196,
        0, 53, 0, 0,
    ];
    let packet = [&HEADERS[..], ANSWER].concat();
    let length = u32::try_from(packet.len()).expect("short").to_le_bytes();
    let raw_ip = 101_u8;
    let file =
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, raw_ip, 0, 0, 0];
    let capture = [&file[..], &[0; 8], &length, &length, &packet].concat();
    let path = std::env::temp_dir().join(format!("keepstate-drop-{}.pcap", std::process::id()));
    std::fs::write(&path, capture).expect("a file");
    let name = path.display().to_string();
    let rules = path.with_extension("rules");
    std::fs::write(&rules, "*raw\n-A PREROUTING -j LOG --log-prefix \"a \\\"b\\\" \"\nCOMMIT\n")
        .expect("a file");
    let quiet = lines(&["--helpers", "default", &name]);
    let told = lines(&["--helpers", "default", "--events", &name]);
    let rules_name = rules.display().to_string();
    let by_rule = lines(&["--helpers", "default", "--rules", &rules_name, &name, &name]);
    std::fs::remove_file(&path).expect("our own file");
    std::fs::remove_file(&rules).expect("our own file");
    let text = |line: &Value, number: usize| {
        line["log"][number]["text"].as_str().expect("a log line").to_owned()
    };
    assert_eq!(quiet.len(), 2, "the packet and the summary");
    assert_eq!(quiet[0]["reason"], "helper-dropped");
    assert!(text(&quiet[0], 0).starts_with("nf_ct_sip: dropping packet: "), "{quiet:?}");
    assert_eq!(told[0], quiet[0]);
    assert_eq!(by_rule.len(), 3, "two packets and the summary");
    for line in &by_rule[..2] {
        assert!(text(line, 0).starts_with("a \"b\" IN=eth0 OUT= MAC= SRC=10.0.0.1 "), "{line}");
        assert_eq!(line["log"][0]["level"], 4);
        assert!(text(line, 1).starts_with("nf_ct_sip: "), "{line}");
    }
}
