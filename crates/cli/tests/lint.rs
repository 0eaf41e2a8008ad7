//! `keepstate lint`: exit statuses, formats, files written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn keepstate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepstate")).args(arguments).output().expect("keepstate")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("keepstate-lint-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("written");
    path
}

fn name(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

const RULES: &str = "\
# mine
*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT  -m conntrack --ctstate RELATED,ESTABLISHED   -j ACCEPT
-A INPUT -p tcp --dport 22 -j ACCEPT
# twice
-A INPUT -p tcp --dport 22 -j ACCEPT
COMMIT
";

#[test]
fn exit_statuses_are_those_of_every_verb() {
    let host = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/rules/host.rules");
    let clean = keepstate(&["lint", host]);
    assert_eq!(clean.status.code(), Some(0), "{}", text(&clean.stdout));
    let path = file("statuses.rules", RULES);
    let found = keepstate(&["lint", name(&path)]);
    assert_eq!(found.status.code(), Some(1));
    let first = text(&found.stdout).lines().next().unwrap_or_default().to_owned();
    assert!(
        first.starts_with(&format!("{}:8:1-36: warning[duplicate-rule]: ", name(&path))),
        "{first}"
    );
    let allowed = keepstate(&["lint", "--allow", "duplicate-rule", name(&path)]);
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed.stdout));
    assert_eq!(keepstate(&["lint", "--severity", "error", name(&path)]).status.code(), Some(0));
    assert_eq!(keepstate(&["lint", "/nowhere.rules"]).status.code(), Some(2));
    let misspelt = keepstate(&["lint", "--only", "duplicate-rul", name(&path)]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(text(&misspelt.stderr).contains("did you mean duplicate-rule?"));
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn fixes_are_shown_and_written_and_the_rest_stays_byte_for_byte() {
    let path = file("fix.rules", RULES);
    let shown = keepstate(&["lint", "--diff", name(&path)]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(text(&shown.stdout).contains("\n--A INPUT -p tcp --dport 22 -j ACCEPT\n"));
    assert_eq!(std::fs::read_to_string(&path).expect("read"), RULES);
    let fixed = keepstate(&["lint", "--fix", name(&path)]);
    assert_eq!(fixed.status.code(), Some(0), "{}", text(&fixed.stdout));
    assert!(text(&fixed.stdout).contains("nothing but that"), "{}", text(&fixed.stdout));
    let wanted = RULES.replacen("# twice\n-A INPUT -p tcp --dport 22 -j ACCEPT\n", "# twice\n", 1);
    assert_eq!(std::fs::read_to_string(&path).expect("read"), wanted);
    assert_eq!(keepstate(&["lint", name(&path)]).status.code(), Some(0));
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn formats_are_json_and_sarif() {
    let path = file("formats.rules", RULES);
    for (format, pointer) in [("json", "/0/code"), ("sarif", "/runs/0/results/0/ruleId")] {
        let printed = keepstate(&["lint", "--format", format, name(&path)]);
        assert_eq!(printed.status.code(), Some(1));
        let value: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("JSON");
        assert_eq!(value.pointer(pointer).and_then(|code| code.as_str()), Some("duplicate-rule"));
    }
    let counted = keepstate(&["lint", "--count", name(&path)]);
    assert_eq!(text(&counted.stdout), "      1 duplicate-rule\n");
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn two_families_are_looked_at_together() {
    let four = file("both.v4", "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n");
    let six = file("both.v6", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n");
    let only = ["lint", "--only", "ipv6-open", "--count"];
    let both = keepstate(&[&only[..], &[name(&four), name(&six)]].concat());
    assert_eq!(text(&both.stdout), "      1 ipv6-open\n");
    let alone = keepstate(&[&only[..], &[name(&six)]].concat());
    assert_eq!(text(&alone.stdout), "");
    for path in [four, six] {
        std::fs::remove_file(path).expect("removed");
    }
}

#[test]
fn a_part_of_a_rule_set_is_looked_over_rule_by_rule_and_not_changed() {
    let rules = "*filter\n:ufw-before-input - [0:0]\n\
                 -A ufw-before-input -m state --state INVALID -j ufw-logging-deny\n\
                 -A ufw-before-input -j DROP\n-A ufw-before-input -j DROP\nCOMMIT\n";
    let path = file("part.rules", rules);
    let output = keepstate(&["lint", name(&path)]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("[deprecated-state]") && !told.contains("--fix"), "{told}");
    assert!(!told.contains("duplicate-rule"), "{told}");
    assert!(text(&output.stderr).contains("`ufw-logging-deny` stands elsewhere"));
    let other = keepstate(&["lint", "--only", "duplicate-rule", name(&path)]);
    assert_eq!(other.status.code(), Some(0), "{}", text(&other.stdout));
    keepstate(&["lint", "--fix", name(&path)]);
    assert_eq!(std::fs::read_to_string(&path).expect("read"), rules);
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn a_script_without_rules_is_not_clean() {
    let path = file("wrapped.sh", "#!/bin/sh\n-A INPUT -j DROP\n");
    let output = keepstate(&["lint", name(&path)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`iptables` has to stand before it"));
    std::fs::remove_file(&path).expect("removed");
}
