//! Timeout policies: declared in files, named by rules, seen in the listing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("it is written");
    path
}

fn replay(arguments: &[&str], files: &[&Path]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepstate"));
    command.current_dir(root).args(["replay", "-q", "--conntrack"]).args(arguments).args(files);
    command.arg("examples/captures/ftp.pcap").output().expect("keepstate")
}

const RULES: &str = "*raw\n-A PREROUTING -p tcp -j CT --timeout long\nCOMMIT\n";

#[test]
fn connections_live_as_their_policy_says() {
    let rules = file("policy.rules", RULES);
    let policies = file("policies", "nfct add timeout long inet tcp close 777 time_wait 778\n");
    let output = replay(
        &["--clock", "frozen", "--rules"],
        &[&rules, Path::new("--timeout-policy"), &policies],
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("tcp      6 778 TIME_WAIT"), "{text}");
}

#[test]
fn a_host_file_declares_them_too() {
    let rules = file("policy-host.rules", RULES);
    let host = file(
        "policy-host.toml",
        "timeout_policies = [\"add timeout long inet tcp close 777 time_wait 778\"]\n\
         [[interface]]\nname = \"eth0\"\n[[interface]]\nname = \"eth1\"\n\
         [[route]]\nto = \"0.0.0.0/0\"\ninterface = \"eth1\"\n",
    );
    let output = replay(&["--clock", "frozen", "--rules"], &[&rules, Path::new("--host"), &host]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("tcp      6 778 TIME_WAIT"), "{text}");
}

#[test]
fn a_rule_without_its_policy_is_refused_where_it_stands() {
    let rules = file("no-policy.rules", RULES);
    let output = replay(&["--rules"], &[&rules]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no-policy.rules:2:38-41"), "{text}");
    assert!(text.contains("there is no timeout policy called `long`"), "{text}");
    let policies = file("other-policies", "add timeout long inet udp replied 777\n");
    let output = replay(&["--rules"], &[&rules, Path::new("--timeout-policy"), &policies]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the timeout policy `long` is for protocol 17"), "{text}");
}
