//! Instances of helpers for other ports: registered by the parameters of their modules, named by rules,
//! seen in the listing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn rules(name: &str, helper: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = format!("*raw\n-A PREROUTING -p tcp --dport 21 -j CT --helper {helper}\nCOMMIT\n");
    std::fs::write(&path, text).expect("it is written");
    path
}

fn replay(arguments: &[&str], rules: Option<&Path>) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepstate"));
    command.current_dir(root).args(["replay", "-q", "--conntrack", "--clock", "frozen"]);
    command.args(arguments).args(rules.iter().flat_map(|rules| [Path::new("--rules"), *rules]));
    command.arg("examples/captures/ftp.pcap").output().expect("keepstate")
}

#[test]
fn an_instance_that_is_registered_reads_connections_under_its_name() {
    let rules = rules("instance.rules", "ftp-2121");
    let output = replay(&["--sysctl", "nf_conntrack_ftp.ports=21,2121"], Some(&rules));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("helper=ftp-2121"), "{text}");
}

#[test]
fn a_rule_without_its_instance_is_refused_where_it_stands() {
    for (helper, help) in [
        ("ftp-2121", "--sysctl nf_conntrack_ftp.ports=21,2121"),
        ("irc-2", "--sysctl nf_conntrack_irc.ports=6667,6668,6669"),
    ] {
        let rules = rules("no-instance.rules", helper);
        let output = replay(&[], Some(&rules));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("no-instance.rules:2:"), "{text}");
        assert!(text.contains(&format!("the helper `{helper}` is not registered by")), "{text}");
        assert!(text.contains(help), "{text}");
    }
    let usual = rules("no-usual.rules", "ftp");
    let output = replay(&["--sysctl", "nf_conntrack_ftp.ports=2121"], Some(&usual));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("the helper `ftp` is not registered by nf_conntrack_ftp.ports"),
        "{text}"
    );
}

#[test]
fn helpers_are_assigned_to_the_ports_that_are_registered() {
    let ports = |ports: &'static str| ["--helpers", "default", "--sysctl", ports];
    let named = |arguments: [&str; 4], name: &str| {
        let output = replay(&arguments, None);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        text.contains(name)
    };
    assert!(named(ports("nf_conntrack_ftp.ports=21,2121"), "helper=ftp "));
    assert!(!named(ports("nf_conntrack_ftp.ports=2121"), "helper="), "nothing is at port 21");
    let by_hand = ["--helpers", "tcp:21:ftp-2121"];
    let output = replay(&by_hand, None);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the helper `ftp-2121` is not registered by"), "{text}");
    let [first, second] = by_hand;
    let whole = [first, second, "--sysctl", "nf_conntrack_ftp.ports=21,2121"];
    assert!(named(whole, "helper=ftp-2121"));
}
