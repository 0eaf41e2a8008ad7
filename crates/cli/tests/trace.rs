//! `keepstate trace`: the INVALID story under two rule sets, packet by packet, and what is said of others.

use keepstate_analysis::trace::notation::Reader;
use keepstate_oracle::spec;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepstate"));
    command.arg("trace").args(arguments).current_dir(root()).env_remove("COLUMNS");
    command.output().expect("keepstate")
}

fn trace(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The text without its line breaks, which fall where they may.
fn flowing(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn story(rules: &str, more: &[&str]) -> String {
    let rules = format!("examples/rules/{rules}.rules");
    let fixed =
        ["--host", "examples/masquerade.toml", "--packets", "examples/packets/invalid.packets"];
    trace(&[&["--rules", &rules], &fixed[..], more].concat())
}

const STRAY: [&str; 2] = ["--only", "7"];
const NUMBERS: &str = "INVALID (seq-over): TCP data beyond the window that the receiver has announced. It \
                       begins at 105018, 91,808 bytes beyond 13210, which is as far as \
                       192.168.1.10:40000 has let 203.0.113.80:80 send. Packet #6 set that edge: tcp \
                       192.168.1.10:40000 > 203.0.113.80:80 ACK seq=1019 ack=5018 win=8192.";
const AS_IT_CAME: &str = "It goes on as it came; as a packet of the connection it would have become tcp \
                          203.0.113.80:80 > 192.168.1.10:40000";
const RESET: &str =
    "tcp 198.51.100.7:40000 > 203.0.113.80:80 RST seq=1019 win=0 (the host itself answers";

#[test]
fn behind_an_ordinary_gateway_the_stray_segment_ends_the_connection() {
    let stray = flowing(&story("masquerade", &STRAY));
    for said in [
        NUMBERS,
        AS_IT_CAME,
        "routing to the host itself: the destination is an address of its own",
        "INPUT filter ACCEPT by the policy of INPUT (filter)",
        RESET,
        "=> leaves by eth1 => reaches the host itself",
    ] {
        assert!(stray.contains(said), "{said}\n{stray}");
    }
}

#[test]
fn where_invalid_is_dropped_nobody_hears_of_it() {
    let stray = flowing(&story("masquerade-invalid", &STRAY));
    for said in [
        NUMBERS,
        AS_IT_CAME,
        "filter DROP by rule 1 of INPUT (filter, line 14) 1 yes -m conntrack --ctstate INVALID -j DROP \
         => dropped by rule 1 of INPUT (filter, line 14)",
    ] {
        assert!(stray.contains(said), "{said}\n{stray}");
    }
    let whole = story("masquerade-invalid", &[]);
    assert!(!whole.contains("RST"), "no reset\n{whole}");
    // All other packets fare alike.
    let others = |rules| {
        let text = story(rules, &[]);
        let all: Vec<_> = text.split("\n#").map(str::to_owned).collect();
        let outcome = |one: &String| one.lines().any(|line| line.starts_with("     by eth"));
        all.iter().map(outcome).collect::<Vec<_>>()
    };
    let expected = [true, true, true, true, true, true, false, true];
    assert_eq!(
        (others("masquerade"), others("masquerade-invalid")),
        (expected.into(), expected.into())
    );
}

#[test]
fn what_it_says_would_have_changed_it_would_have() {
    let liberal = ["--only", "7", "--sysctl", "nf_conntrack_tcp_be_liberal=1"];
    let stray = flowing(&story("masquerade", &liberal));
    assert!(stray.contains("ESTABLISHED, reply direction"), "{stray}");
    assert!(stray.contains("by eth0: tcp 203.0.113.80:80 > 192.168.1.10:40000"), "{stray}");
    let loose = |value: &str| {
        let sysctl = format!("nf_conntrack_tcp_loose={value}");
        flowing(&trace(&["--sysctl", &sysctl, "--packet", "tcp 10.0.0.1:1 > 10.9.0.1:2 ack"]))
    };
    assert!(
        loose("0").contains("INVALID (not-syn)") && loose("0").contains("nf_conntrack_tcp_loose=1")
    );
    assert!(loose("1").contains("NEW, original direction"));
}

#[test]
fn json_has_the_same_facts() {
    let text = story("masquerade", &["--format", "json"]);
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let all = all.as_array().expect("an array");
    assert_eq!(all.len(), 8);
    let stray = &all[6];
    let steps = stray["steps"].as_array().expect("steps");
    let step = |name: &str| steps.iter().find(|step| step["step"] == name).expect("the step");
    let invalid = &step("tracked")["invalid"];
    assert_eq!((&invalid["reason"], &invalid["edge"]), (&"seq-over".into(), &13_210.into()));
    assert_eq!((&invalid["distance"], &invalid["set_by"]), (&91_808.into(), &6.into()));
    let answer = step("answer");
    assert_eq!(answer["leaves"]["interface"], "eth1");
    let first = &all[0]["steps"];
    let tracked = first.as_array().expect("steps").iter().find(|step| step["step"] == "tracked");
    assert_eq!(tracked.expect("tracked")["connection"]["state_after"], "SYN_SENT");
    let refused = first.as_array().expect("steps").iter().find(|step| step["table"] == "filter");
    let refused = &refused.expect("filter")["rules"][0];
    assert_eq!((&refused["matched"], &refused["line"]), (&false.into(), &14.into()));
    assert_eq!(refused["refused"], "-m conntrack --ctstate RELATED,ESTABLISHED: the packet is NEW");
}

#[test]
fn rules_that_do_not_match_say_why_and_many_are_folded() {
    let folder = std::env::temp_dir().join(format!("keepstate-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("many.rules");
    let many: String =
        (1..=40).map(|n| format!("-A web -p tcp -m tcp --dport {n} -j DROP\n")).collect();
    let rules = format!(
        "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j MARK --set-xmark 0x7/0xffffffff\n\
         COMMIT\n*filter\n:FORWARD DROP [0:0]\n:web - [0:0]\n-A FORWARD -i eth1 -j ACCEPT\n\
         -A FORWARD -s 10.9.0.0/16 -j ACCEPT\n-A FORWARD -p udp -j ACCEPT\n-A FORWARD -j web\n{many}\
         -A web -m mark --mark 0x7 -p tcp -m tcp --dport 443 -j REJECT --reject-with tcp-reset\nCOMMIT\n"
    );
    std::fs::write(&path, rules).expect("written");
    let path = path.to_str().expect("UTF-8");
    let text = trace(&["--rules", path, "--packet", "tcp 10.0.0.1:1 > 192.0.2.1:443 syn in eth0"]);
    for said in [
        "1 no  -i eth1 -j ACCEPT   [-i: the packet's is eth0]",
        "2 no  -s 10.9.0.0/16 -j ACCEPT   [-s: the packet's is 10.0.0.1]",
        "3 no  -p udp -j ACCEPT   [-p: the packet's is tcp]",
        "4 yes -j web",
        "in web",
        "[-m tcp --dport 1: ports 1 > 443, SYN]",
        "... 37 more that do not match",
        "the packet's mark is 0x7",
        "nothing is left of it behind this packet",
        "as REJECT has it",
        "=> dropped, and its sender told, by rule 41 of web (filter",
    ] {
        assert!(flowing(&text).contains(&flowing(said)), "{said}\n{text}");
    }
    assert!(!text.contains("0x0"), "the answer has no mark\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 96), "within its width\n{text}");
    std::fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn captures_are_traced_with_their_numbers() {
    let rules = ["--rules", "examples/rules/gateway.rules", "--host", "examples/gateway.toml"];
    let text = trace(&[&rules[..], &["examples/captures/ftp.pcap"]].concat());
    assert!(text.contains("helper ftp"), "{text}");
    assert!(text.contains("a helper expects tcp"), "{text}");
    let only = trace(&[&rules[..], &["--only", "3-4", "examples/captures/mix.pcap"]].concat());
    let heads: Vec<_> = only.lines().filter(|line| line.starts_with('#')).collect();
    assert!(matches!(&*heads, [a, b] if a.starts_with("#3 ") && b.starts_with("#4 ")), "{heads:?}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let failed = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let told = failed(&["--packet", "tcp 10.0.0.1:1 > 10.0.0.2:2 sny"]);
    assert!(told.contains("sny: no word for a segment"), "{told}");
    assert!(told.trim_end().ends_with("                                ^"), "{told}");
    let told = failed(&["--packet", "tcp 10.0.0.1:1 > 10.0.0.2:2 syn in eth7"]);
    assert!(told.contains("the host has no interface eth7; it has eth0, eth1"), "{told}");
    assert!(failed(&["--packets", "examples/none"]).contains("examples/none"));
    assert!(failed(&[]).contains("CAPTURE"));
    let told = failed(&["tcp 10.0.0.1:1 > 10.0.0.2:2 syn"]);
    assert!(told.contains("--packet 'tcp 10.0.0.1:1 > 10.0.0.2:2 syn'"), "{told}");
    assert!(failed(&["# none"]).contains("# none: No such file"));
}

/// The notation of `spec/` is read here and by its own tests: to the same bytes.
#[test]
fn packets_are_read_as_the_pages_of_spec_have_them() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("spec")).expect("spec/") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name == "README.md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let cases = spec::parse(&text).expect("cases");
        for case in &cases {
            let lines = case.steps.iter().filter(|step| matches!(step.what, spec::What::Packet(_)));
            let lines = lines.filter_map(|step| text.lines().nth(step.line - 1));
            let mut reader = Reader::default();
            for line in lines {
                let at = path.display();
                reader.lines(line).unwrap_or_else(|fault| panic!("{at}: {fault}"));
            }
            let ours = reader.finish();
            let theirs = spec::packets(case);
            assert_eq!(ours.len(), theirs.len());
            for (ours, (_, theirs)) in ours.iter().zip(&theirs) {
                assert_eq!(&ours.bytes, theirs, "{}: {}", path.display(), case.title);
                count += 1;
            }
        }
    }
    assert!(count > 300, "{count} packets");
}

#[test]
fn a_connection_that_no_helper_expected_is_told_with_the_line_that_announced_it() {
    let root = root();
    let rules = std::fs::read_to_string(root.join("examples/rules/gateway.rules")).expect("rules");
    let without: String = rules
        .lines()
        .filter(|line| !line.contains("-j CT --helper ftp"))
        .map(|line| format!("{line}\n"))
        .collect();
    let path =
        std::env::temp_dir().join(format!("keepstate-announced-{}.rules", std::process::id()));
    std::fs::write(&path, without).expect("written");
    let traced = |rules: &Path| {
        let rules = rules.to_string_lossy();
        flowing(&trace(&["--only", "13", "--rules", &rules, "examples/captures/ftp.pcap"]))
    };
    let text = traced(&path);
    assert!(text.contains("Packet #12 has announced it (`227 Entering Passive Mode"), "{text}");
    let expected = traced(&root.join("examples/rules/gateway.rules"));
    assert!(expected.contains("RELATED") && !expected.contains("has announced"), "{expected}");
    std::fs::remove_file(&path).expect("removed");
}
