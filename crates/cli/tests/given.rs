//! What people hand to the answers: forms of rule files, names of files that are not there, files without tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn keepstate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepstate")).args(words).output().expect("keepstate")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file in a folder of its own.
fn file(test: &str, name: &str, bytes: &[u8]) -> PathBuf {
    let at = std::env::temp_dir().join(format!("keepstate-given-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&at).expect("a directory");
    let path = at.join(name);
    std::fs::write(&path, bytes).expect("a file");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

const SAVED: &str = "*filter\n:INPUT DROP [0:0]\n:web - [0:0]\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -j web\n\
    -A web -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n";
const LISTED: &str = "-P INPUT DROP\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n-N web\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -j web\n\
    -A web -p tcp -m tcp --dport 80 -j ACCEPT\n";

#[test]
fn what_iptables_dash_s_prints_is_a_rule_file() {
    let saved = file("listed", "saved", SAVED.as_bytes());
    let listed = file("listed", "listed", LISTED.as_bytes());
    let equal = keepstate(&["diff", text(&saved), text(&listed)]);
    assert_eq!(equal.status.code(), Some(0), "{}{}", stdout(&equal), stderr(&equal));
    let why = keepstate(&["why", &format!("{}:5", text(&listed))]);
    assert!(stdout(&why).contains("Needed: without it accept -> drop"), "{}", stderr(&why));
    let v6 = "-P INPUT DROP\n-A INPUT -s 2001:db8::/32 -j ACCEPT\n";
    let v6 = file("listed", "listed6", v6.as_bytes());
    let checked = keepstate(&["check", text(&v6)]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let wrong = file("listed", "wrong", b"-P INPUT DROP\n-A INPUT -p tcp --dprt 80 -j ACCEPT\n");
    let checked = keepstate(&["check", text(&wrong)]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).contains("wrong:2:"), "the place: {}", stdout(&checked));
}

#[test]
fn a_byte_order_mark_is_named() {
    let marked = file("mark", "rules", format!("\u{feff}{SAVED}").as_bytes());
    let checked = keepstate(&["check", text(&marked)]);
    let told = stdout(&checked) + &stderr(&checked);
    assert!(told.contains("byte order mark"), "{told}");
    let explained = keepstate(&["explain", text(&marked)]);
    assert_eq!(explained.status.code(), Some(0));
    assert!(stdout(&explained).contains("keepstate can load all of it"), "{}", stdout(&explained));
}

#[test]
fn files_that_are_not_there_are_named() {
    for (words, told) in [
        (["explain", "no/such.rules"], "no/such.rules: there is no such file"),
        (["explain", "such.rules:12"], "such.rules: there is no such file"),
        (["explain", env!("CARGO_MANIFEST_DIR")], "a directory"),
    ] {
        let output = keepstate(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(stderr(&output).contains(told), "{words:?}: {}", stderr(&output));
    }
    let saved = file("named", "saved", SAVED.as_bytes());
    let line = format!("{}:99", text(&saved));
    let why = keepstate(&["why", &line]);
    assert!(stderr(&why).contains("saved: no rule stands in line 99"), "{}", stderr(&why));
    let table = keepstate(&["why", "--rules", text(&saved), "--all", "nope"]);
    assert_eq!(table.status.code(), Some(2));
    assert!(stderr(&table).contains("no table is called so"), "{}", stderr(&table));
}

#[test]
fn rules_without_tests_lose_no_mutant() {
    let saved = file("mutants", "saved", SAVED.as_bytes());
    let output = keepstate(&["test", "--mutate", text(&saved)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains(", 0 noticed, "), "{}", stdout(&output));
    let suggested = keepstate(&["test", "--suggest", text(&saved)]);
    assert!(stdout(&suggested).contains("```packets"), "{}", stdout(&suggested));
    let plain = keepstate(&["test", text(&saved)]);
    assert_eq!(plain.status.code(), Some(2), "without --mutate it is no test file");
}

#[test]
fn what_is_for_the_host_itself_is_another_question() {
    // A gateway, for something is said of what passes through.
    let closed = SAVED.replace(":web", ":FORWARD DROP [0:0]\n:web");
    let gateway = closed.replace("COMMIT", "-A FORWARD -i eth0 -j ACCEPT\nCOMMIT");
    let saved = file("through", "saved", gateway.as_bytes());
    let through = keepstate(&["reach", "--rules", text(&saved), "--all"]);
    assert!(stdout(&through).starts_with("All services from any to any, through this host"));
    let into = keepstate(&["reach", "--rules", text(&saved), "--all", "--way", "in"]);
    assert!(!stdout(&into).contains("through this host"), "{}", stdout(&into));
    // A host that forwards nothing is asked about itself.
    let host = file("through", "host", closed.as_bytes());
    let into = keepstate(&["reach", "--rules", text(&host), "--all"]);
    assert!(stdout(&into).contains("tcp/80"), "{}", stdout(&into));
}
