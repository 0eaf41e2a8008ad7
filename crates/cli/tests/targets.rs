//! What targets hand to others than the log: listeners of NFLOG, programs at queues; traces; and targets
//! that are read and not run.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CAPTURE: &str = "examples/captures/ftp.pcap";

fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("it is written");
    path
}

fn keepstate(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepstate"));
    command.current_dir(root).args(arguments).output().expect("keepstate")
}

/// The lines of a replay of the capture with these rules, the summary left out.
fn replay(name: &str, rules: &str, arguments: &[&str]) -> Vec<Value> {
    let rules = file(name, rules);
    let rules = rules.to_str().expect("text");
    let all = [&["replay", "--format", "jsonl", "--rules", rules], arguments, &[CAPTURE]].concat();
    let output = keepstate(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.pop().expect("a summary")["summary"].is_object());
    lines
}

#[test]
fn what_nflog_rules_hand_on_is_a_capture() {
    let rules = "*mangle\n-A PREROUTING -j MARK --set-mark 7\n\
                 -A PREROUTING -p tcp --syn -j NFLOG --nflog-group 5 --nflog-prefix \"syn \"\n\
                 -A POSTROUTING -p tcp --syn -j NFLOG --nflog-size 20\nCOMMIT\n";
    let capture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nflog.pcapng");
    let path = capture.to_str().expect("text");
    let lines = replay("nflog.rules", rules, &["--nflog", path]);
    let told: Vec<&Value> = lines.iter().filter(|line| !line["nflog"].is_null()).collect();
    assert_eq!(told.len(), 3, "a SYN of each connection");
    let first = &told[0]["nflog"][0];
    assert_eq!(
        (&first["group"], &first["prefix"], &first["mark"]),
        (&5.into(), &"syn ".into(), &7.into())
    );
    assert_eq!((&first["hook"], &first["length"]), (&"PREROUTING".into(), &first["copied"]));
    let second = &told[0]["nflog"][1];
    assert_eq!((&second["group"], &second["copied"]), (&0.into(), &20.into()));
    assert_eq!(second["hook"], "POSTROUTING");
    // What was cut to its header is a packet cut short; the others are whole.
    let again = keepstate(&["replay", "--format", "jsonl", path]);
    let again = String::from_utf8(again.stdout).expect("UTF-8");
    assert_eq!(again.lines().filter(|line| line.contains("\"state\":\"NEW\"")).count(), 3);
    assert_eq!(again.lines().filter(|line| line.contains("\"reason\":\"short\"")).count(), 3);
    let tshark = Command::new("tshark")
        .args(["-r", path, "-T", "fields", "-e", "frame.interface_name", "-e", "nflog.prefix"])
        .args(["-e", "nflog.ifindex_indev", "-e", "nflog.ifindex_outdev", "-e", "ip.src"])
        .args(["-e", "nflog.res_id", "-c", "2"])
        .output();
    let Ok(tshark) = tshark else { return println!("skipped: needs tshark") };
    let text = String::from_utf8(tshark.stdout).expect("UTF-8");
    let (first, second) = text.trim_end().split_once('\n').expect("two lines");
    assert!(first.starts_with("nflog:5\tsyn \t1\t\t"), "{first}");
    assert!(first.ends_with("\t5"), "{first}");
    assert!(second.starts_with("nflog:0\t\t1\t2\t"), "{second}");
}

#[test]
fn a_traced_packet_is_followed_through_all_tables() {
    let rules = "*raw\n-A PREROUTING -p tcp --syn -j TRACE\nCOMMIT\n\
                 *mangle\n-A PREROUTING -j MARK --set-mark 9\nCOMMIT\n\
                 *filter\n:c - [0:0]\n-A FORWARD -p tcp -j c\n-A FORWARD -p tcp --dport 21 -j ACCEPT\n\
                 -A FORWARD -j DROP\n-A c -p udp\nCOMMIT\n";
    let lines = replay("trace.rules", rules, &[]);
    let texts: Vec<&str> = lines[0]["log"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| line["text"].as_str().expect("text"))
        .collect();
    let places: Vec<&str> =
        texts.iter().map(|text| text.split(' ').nth(1).expect("a place")).collect();
    assert_eq!(
        places,
        [
            "raw:PREROUTING:policy:2",
            "mangle:PREROUTING:rule:1",
            "mangle:PREROUTING:policy:2",
            "mangle:FORWARD:policy:1",
            "filter:FORWARD:rule:1",
            "filter:c:return:2",
            "filter:FORWARD:rule:2",
            "mangle:POSTROUTING:policy:1",
        ]
    );
    assert!(
        texts[1].starts_with("TRACE: mangle:PREROUTING:rule:1 IN=eth0 OUT= MAC="),
        "{}",
        texts[1]
    );
    assert!(texts[1].contains(" SEQ=") && texts[1].contains(" OPT (020405B4"), "{}", texts[1]);
    assert!(texts[2].ends_with(" MARK=0x9 ") && !texts[1].contains("MARK="));
    assert!(texts[7].contains("IN=eth0 OUT=eth1 "), "{}", texts[7]);
    assert!(lines[2]["log"].is_null(), "an ACK is not traced");
}

#[test]
fn a_queue_without_a_program_drops_or_lets_pass() {
    let host = "queues = [3]\n[[interface]]\nname = \"eth0\"\naddresses = [\"192.0.2.1/24\"]\n\
                [[route]]\nto = \"0.0.0.0/0\"\ninterface = \"eth0\"\n";
    let host = file("queue.toml", host);
    let host = ["--host", host.to_str().expect("text")];
    for (options, arguments, verdict) in [
        ("--queue-num 3", &[][..], "drop"),
        ("--queue-num 3 --queue-bypass", &[], "accept"),
        ("--queue-num 3", &host, "queue"),
        ("--queue-num 3 --queue-bypass", &host, "queue"),
        ("--queue-num 4", &host, "drop"),
    ] {
        let rules = format!(
            "*mangle\n-A PREROUTING -p tcp --syn -j NFQUEUE {options}\n-A PREROUTING -p tcp --syn -j DROP\n\
             COMMIT\n"
        );
        let lines = replay("queue.rules", &rules, arguments);
        assert_eq!(lines[0]["verdict"], verdict, "{options}");
        if verdict != "accept" {
            assert_eq!(lines[0]["rule"]["number"], 1, "{options}");
            assert_eq!(lines[0]["out"], Value::Array(Vec::new()));
        }
    }
}

#[test]
fn synproxy_takes_a_syn_and_answers_it() {
    let rules =
        "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -j SYNPROXY --mss 1460\nCOMMIT\n";
    let lines = replay("synproxy.rules", rules, &[]);
    assert_eq!(lines[0]["verdict"], "stolen");
    assert_eq!(lines[0]["rule"]["number"], 1);
    let [answer] = &lines[0]["generated"].as_array().expect("a list")[..] else {
        panic!("{}", lines[0])
    };
    assert_eq!(answer["interface"], "eth1", "by the default route");
    let bytes = answer["bytes"].as_str().expect("hex");
    assert_eq!(&bytes[66..68], "12", "SYN and ACK: {bytes}");
}

#[test]
fn copies_are_among_what_is_generated() {
    let rules = "*mangle\n-A PREROUTING -p tcp --syn -j TEE --gateway 100.127.254.2\n\
                 -A OUTPUT -j TEE --gateway 100.127.253.2\nCOMMIT\n";
    let lines = replay("tee.rules", rules, &[]);
    let copied: Vec<&Value> = lines
        .iter()
        .filter(|line| line["generated"].as_array().is_some_and(|all| !all.is_empty()))
        .collect();
    assert_eq!(copied.len(), 3, "a SYN of each connection");
    for line in copied {
        let [copy] = &line["generated"].as_array().expect("a list")[..] else { panic!("{line}") };
        let [out] = &line["out"].as_array().expect("a list")[..] else { panic!("{line}") };
        // The way out is that of the default route, as is the way to the gateway.
        assert_eq!(copy["interface"], "eth1");
        let [copy, out] = [copy, out].map(|sent| sent["bytes"].as_str().expect("hex").to_owned());
        assert_eq!(
            (copy.len(), &copy[24..]),
            (out.len(), &out[24..]),
            "all but the header is the same"
        );
        assert_eq!(&copy[12..14], "40", "it is not to be fragmented");
    }
}

#[test]
fn accounting_objects_and_fingerprints_come_from_files() {
    let objects = file("objects", "{ pkts = 7, bytes = 9 } = syns;\n");
    let objects = objects.to_str().expect("text");
    // What the clients of the capture look like.
    let prints = file("own.os", "*:64:1:60:M*,S,T,N,W*:Here:1::d\n");
    let prints = prints.to_str().expect("text");
    let drop = "*filter\n-A FORWARD -p tcp --syn -m osf --genre Here --ttl 2 -m nfacct --nfacct-name syns \
                -j DROP\nCOMMIT\n";
    let dropped = |arguments: &[&str]| {
        let lines = replay("beside.rules", drop, arguments);
        lines.iter().filter(|line| line["verdict"] == "drop").count()
    };
    assert_eq!(dropped(&["--nfacct", objects]), 0, "without fingerprints nothing matches");
    assert!(dropped(&["--nfacct", objects, "--osf", prints]) > 0);
    let rules = file("beside.rules", drop);
    let rules = rules.to_str().expect("text");
    let refused = keepstate(&["replay", "--rules", rules, "--osf", prints, CAPTURE]);
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2));
    assert!(errors.contains("no accounting object `syns`"), "{errors}");
    let bad =
        keepstate(&["replay", "--rules", rules, "--nfacct", objects, "--osf", rules, CAPTURE]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("beside.rules:1: not WINDOW"));
}

#[test]
fn estimators_are_made_before_they_are_asked() {
    let make =
        "-A FORWARD -j RATEEST --rateest-name a --rateest-interval 1s --rateest-ewmalog 4s\n";
    let ask = "-A FORWARD -m rateest --rateest a --rateest-gt --rateest-pps 1 -j DROP\n";
    let right = file("right.rules", &format!("*filter\n{make}{ask}COMMIT\n"));
    let wrong = file("wrong.rules", &format!("*filter\n{ask}{make}COMMIT\n"));
    for verb in [&["check"][..], &["replay", CAPTURE, "--rules"]] {
        let run = |path: &Path| keepstate(&[verb, &[path.to_str().expect("text")]].concat());
        assert!(run(&right).status.success());
        let refused = run(&wrong);
        assert!(!refused.status.success());
        let said = [refused.stdout, refused.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("wrong.rules:2:33-33"), "{said}");
        assert!(said.contains("no rule before this one makes the rate estimator `a`"), "{said}");
    }
}
