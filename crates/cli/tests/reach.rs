//! `keepstate reach`: exit statuses, JSON, pictures, and what is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn reach(words: &[&str]) -> Output {
    keepstate(&[&["reach"], words].concat())
}

fn keepstate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepstate"))
        .args(words)
        .current_dir(root())
        .output()
        .expect("keepstate")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const GATEWAY: [&str; 2] = ["--rules", "examples/rules/gateway.rules"];
const MASQUERADE: [&str; 4] =
    ["--rules", "examples/rules/masquerade.rules", "--host", "examples/masquerade.toml"];

fn with<'w>(first: &[&'w str], more: &[&'w str]) -> Vec<&'w str> {
    first.iter().chain(more).copied().collect()
}

#[test]
fn the_status_says_whether_something_is_open() {
    for (words, status, beginning) in [
        (with(&GATEWAY, &["192.0.2.7", "203.0.113.9:443"]), 0, "OPEN  tcp/443"),
        (with(&GATEWAY, &["192.0.2.7", "203.0.113.9:23"]), 1, "CLOSED  tcp/23"),
        (with(&GATEWAY, &["--service", "icmp", "192.0.2.7", "203.0.113.9"]), 0, "POSSIBLE  icmp"),
        (with(&GATEWAY, &["internet", "host:22"]), 1, "CLOSED  tcp/22"),
        (with(&GATEWAY, &["host", "192.0.2.7:25"]), 0, "OPEN  tcp/25"),
        (with(&MASQUERADE, &["internet", "192.168.1.9:80"]), 1, "CLOSED  tcp/80"),
        (with(&MASQUERADE, &["192.168.1.9", "203.0.113.1:80"]), 0, "OPEN  tcp/80"),
        (with(&MASQUERADE, &["--spoofing"]), 1, "Spoofing protection"),
    ] {
        let output = reach(&words);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(status), "{words:?}\n{said}");
        assert!(said.starts_with(beginning), "{words:?}\n{said}");
        assert!(!said.contains("the engine says otherwise"), "{said}");
    }
}

/// A host that forwards nothing; rules of it name a set that no file gives.
const HOST: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                    -A INPUT -m set --match-set guests src -j DROP\n\
                    -A INPUT -p udp -m udp --sport 53 --dport 20001:65535 -j ACCEPT\n\
                    -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";

#[test]
fn a_host_is_asked_for_itself_and_what_hangs_on_a_set_is_possible() {
    let file = std::env::temp_dir().join(format!("keepstate-host-{}.rules", std::process::id()));
    std::fs::write(&file, HOST).unwrap();
    let file_name = file.to_str().unwrap();
    let output = reach(&["--rules", file_name]);
    let told = reach(&["--rules", file_name, "any", "host:22"]);
    let trace = keepstate(&[
        "trace",
        "--rules",
        file_name,
        "--local",
        "192.0.2.1",
        "--packet",
        "tcp 10.0.0.5:4000 > 192.0.2.1:22 syn in eth0",
    ]);
    std::fs::remove_file(&file).unwrap();
    let said = text(&output);
    assert!(said.contains("possible  tcp/22\n            from  10.0.0.0/8"), "{said}");
    assert!(said.contains("possible  udp/20001-65535\n            from  any"), "{said}");
    assert!(!said.contains("open  "), "{said}");
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(notes.contains(":5:29-34: note[KS0406]: set guests is not given"), "{notes}");
    let said = text(&told);
    assert!(said.contains("where not `-m set --match-set guests src`"), "{said}");
    assert_eq!(trace.status.code(), Some(0));
    let notes = String::from_utf8_lossy(&trace.stderr);
    assert!(notes.contains("taken to be empty"), "{notes}");
    assert!(text(&trace).contains("ACCEPT"), "{}", text(&trace));
}

#[test]
fn what_does_not_fit_is_said_and_refused() {
    for (words, wanted) in [
        (with(&GATEWAY, &["nowhere", "192.0.2.1:22"]), "nowhere: want an address"),
        (with(&GATEWAY, &["any", "2001:db8::1"]), "want a service such as"),
        (with(&GATEWAY, &["--service", "gre/5"]), "gre has no ports"),
        (with(&GATEWAY, &["--spoofing"]), "say what is behind each interface"),
        (with(&GATEWAY, &["class:zz", "any:22"]), "no such class"),
        (with(&GATEWAY, &["--interface", "eth0", "any", "any:22"]), "want IFACE=NETWORK"),
    ] {
        let output = reach(&words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}\n{said}");
        assert!(said.contains(wanted), "{words:?}\n{said}");
    }
}

#[test]
fn json_has_classes_cells_and_packets() {
    let output = reach(&with(&GATEWAY, &["--format", "json", "--service", "tcp/443"]));
    let answers: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let matrix = &answers[0]["matrices"][0];
    assert_eq!(matrix["from"].as_array().map(Vec::len), Some(2));
    assert_eq!(matrix["from"][1]["addresses"], "192.0.2.0/24");
    let cells = matrix["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 2);
    for cell in cells {
        assert_eq!((&cell["from"], &cell["open"]), (&"b".into(), &"certain".into()), "{cell}");
        assert_eq!(cell["witness"]["confirmed"], true, "{cell}");
        let last = cell["witness"]["rules"].as_array().and_then(|rules| rules.last());
        assert_eq!(last.map(|rule| &rule["line"]), Some(&20.into()), "{cell}");
    }
}

#[test]
fn pictures_are_drawn_to_stdout_and_to_files() {
    let output = reach(&with(&GATEWAY, &["--service", "tcp/443", "--graph", "-"]));
    assert!(text(&output).starts_with("digraph \"tcp/443\" {"), "{}", text(&output));
    let path = std::env::temp_dir().join(format!("keepstate-reach-{}.svg", std::process::id()));
    let name = path.display().to_string();
    let output = reach(&with(&GATEWAY, &["--service", "tcp/443", "--graph", &name]));
    assert_eq!(output.status.code(), Some(0));
    let svg = std::fs::read_to_string(&path).expect("a picture");
    std::fs::remove_file(&path).expect("removed");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains("192.0.2.0/24"), "{svg}");
}

#[test]
fn explain_draws_chains() {
    const FILE: &str = "examples/rules/gateway.rules";
    let output = keepstate(&["explain", "--chain", "FORWARD", "--graph", "-", FILE]);
    assert!(text(&output).starts_with("digraph \"filter FORWARD\" {"), "{}", text(&output));
    for (words, wanted) in [
        (vec!["explain", "--graph=-", "--chain=NOWHERE", FILE], "no such chain"),
        (vec!["explain", FILE, "--graph", "-"], "--graph OUT --chain [TABLE:]CHAIN FILE"),
    ] {
        let output = keepstate(&words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}\n{said}");
        assert!(said.contains(wanted), "{words:?}\n{said}");
    }
}
