//! `keepstate test`: the example kills every mutant and less than the example does not; what failed is told, in
//! every format; what cannot be read is told with its place.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepstate"));
    command.arg("test").args(arguments).current_dir(root()).env_remove("COLUMNS");
    command.output().expect("keepstate")
}

/// Standard output, and the exit status.
fn told(arguments: &[&str]) -> (String, Option<i32>) {
    let output = run(arguments);
    (String::from_utf8(output.stdout).expect("UTF-8"), output.status.code())
}

/// A file for one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        Self::called(name, "t.md", text)
    }

    fn called(name: &str, file: &str, text: &str) -> Self {
        let at = std::env::temp_dir().join(format!("keepstate-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&at).expect("a directory");
        std::fs::write(at.join(file), text).expect("a file");
        Self(at.join(file))
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }

    fn directory(&self) -> &Path {
        self.0.parent().expect("a directory")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.directory());
    }
}

const OFFICE: &str = "examples/tests";

/// What stands above the tests of the example, with whole paths.
fn head() -> String {
    let at = root().join(OFFICE);
    let at = at.canonicalize().expect("the examples");
    format!("# t\nRules: {0}/office.rules\nHost: {0}/office.toml\n", at.display())
}

#[test]
fn the_example_kills_every_mutant() {
    let (text, status) = told(&["--mutate", OFFICE]);
    assert_eq!(status, Some(0), "{text}");
    let counts = text.lines().find(|line| line.contains("mutants")).expect("counts");
    let mut words = counts.split([' ', ',']).filter_map(|word| word.parse::<usize>().ok());
    let (mutants, noticed) = (words.next().expect("a number"), words.next().expect("a number"));
    assert!(counts.contains("none survives") && mutants == noticed && mutants > 100, "{counts}");
}

#[test]
fn without_the_tests_mutants_survive_and_the_suggested_tests_kill_them() {
    let few =
        format!("{}## x\n```packets\nping 192.168.1.10 > 192.168.1.1 -> passes\n```\n", head());
    let file = Scratch::new("few", &few);
    let (text, status) = told(&["--suggest", "--format", "json", &file.path()]);
    assert_eq!(status, Some(1), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mutation = &report["mutations"][0];
    let survivors = mutation["survivors"].as_array().expect("survivors");
    let mutants = mutation["mutants"].as_u64().expect("a number");
    assert!(survivors.len() > 50, "{mutation}");
    assert_eq!(mutation["killed"].as_u64(), mutants.checked_sub(survivors.len() as u64));
    let mut all = few;
    for one in survivors {
        assert!(one["no_test"].is_null(), "{one}");
        if let Some(test) = one["test"].as_str() {
            let _ = writeln!(all, "\n{test}");
        }
    }
    let file = Scratch::new("all", &all);
    let (text, status) = told(&["--mutate", &file.path()]);
    assert!(status == Some(0) && text.contains("none survives"), "{text}\n{all}");
}

/// Two rules and a policy are enough to see every form of a suggestion in TOML.
#[test]
fn tests_in_toml_are_found_in_a_directory_and_suggested_ones_kill_what_survives() {
    let begin = "rules = '''\n*filter\n:FORWARD DROP [0:0]\n\
        -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
        -A FORWARD -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n'''\n\n\
        [[test]]\nname = 'web'\npackets = 'tcp-client 10.0.0.5 > 192.0.2.1:80 -> passes'\n\n";
    let file = Scratch::called("toml", "web.toml", begin);
    std::fs::write(file.directory().join("host.toml"), "# no test\n").expect("a file");
    let directory = file.directory().display().to_string();
    let (text, status) = told(&["--suggest", "--format", "json", &directory]);
    assert_eq!(status, Some(1), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["files"].as_array().map(Vec::len), Some(1), "{report:#}");
    let survivors = report["mutations"][0]["survivors"].as_array().expect("survivors");
    assert!(survivors.len() > 3, "{report:#}");
    let (text, _) = told(&["--mutate", "--format", "junit", &directory]);
    let cases = survivors.len() + 2;
    let head = format!("tests=\"{cases}\" failures=\"{}\">", survivors.len());
    assert!(text.contains(&head) && text.matches("<testcase ").count() == cases, "{text}");
    assert_eq!(text.matches("<failure ").count(), survivors.len(), "{text}");
    let (text, _) = told(&["--mutate", "--format", "tap", &directory]);
    assert!(
        text.starts_with("TAP version 14\n1..2\nok 1 - ") && text.contains("\nnot ok 2 - "),
        "{text}"
    );
    let mut all = begin.to_owned();
    for one in survivors {
        assert!(one["no_test"].is_null(), "{one}");
        if let Some(test) = one["test"].as_str() {
            assert!(test.starts_with("[[test]]"), "{test}");
            let _ = writeln!(all, "{test}");
        }
    }
    std::fs::write(file.directory().join("web.toml"), &all).expect("a file");
    let (text, status) = told(&["--mutate", &directory]);
    assert!(status == Some(0) && text.contains("none survives"), "{text}\n{all}");
}

#[test]
fn each_section_of_the_example_is_needed_for_something() {
    let office = std::fs::read_to_string(root().join(OFFICE).join("office.md")).expect("office.md");
    for part in ["## The inside", "## The world", "## The filter itself", "## INVALID segments"] {
        let from = office.find(part).expect(part);
        let end = office[from + 3..].find("\n## ").map_or(office.len(), |at| from + 3 + at);
        let at = office.find("## The inside").expect("tests");
        let rest = format!("{}{}{}", head(), &office[at..from.max(at)], &office[end..]);
        let file = Scratch::new("part", &rest);
        let (text, status) = told(&["--mutate", &file.path()]);
        assert!(status == Some(1) && !text.contains("none survives"), "without {part}\n{text}");
    }
}

#[test]
fn a_failure_is_told_with_the_way_of_its_packet() {
    let (text, status) = told(&["examples/wanting.md"]);
    assert_eq!(status, Some(1), "{text}");
    for said in [
        "FAILED mail leaves the office (examples/wanting.md:6)",
        "examples/wanting.md:11: tcp-client 192.168.1.10 > 203.0.113.25:25",
        "packet 1 of 8: SYN, client to server",
        "expected  passes",
        "happened  breaks at 1: reject by filter:inside:1",
        "1 yes -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset",
        "examples/wanting.md: 2 tests, 1 failed",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("FAILED the server"), "{text}");
    let (text, status) = told(&["--filter", "server", "examples/wanting.md"]);
    assert!(status == Some(0) && text == "examples/wanting.md: 1 test, all pass\n", "{text}");
    let output = run(&["-q", "--filter", "server", "examples/wanting.md"]);
    assert!(output.stderr.is_empty());
}

#[test]
fn programs_read_it_as_junit_and_tap() {
    let (text, status) = told(&["--format", "junit", "examples/wanting.md"]);
    assert_eq!(status, Some(1));
    let open = |tag: &str| text.matches(&format!("<{tag}")).count();
    assert_eq!(
        (open("testsuites "), open("testsuite "), open("testcase "), open("failure ")),
        (1, 1, 2, 1)
    );
    assert!(text.contains("<testsuites name=\"keepstate\" tests=\"2\" failures=\"1\">"), "{text}");
    assert!(
        text.contains(
            "message=\"expected passes, happened breaks at 1: reject by filter:inside:1\""
        ),
        "{text}"
    );
    assert!(text.contains("192.168.1.10 &gt; 203.0.113.25:25"), "{text}");
    let (text, _) = told(&["--format", "tap", "examples/wanting.md"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        ["TAP version 14", "1..2", "not ok 1 - examples/wanting.md: mail leaves the office"]
    );
    assert_eq!(lines[lines.len() - 1], "ok 2 - examples/wanting.md: the server is published");
    let (text, _) = told(&["--format", "json", "examples/wanting.md"]);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let failure = &report["files"][0]["tests"][0]["failures"][0];
    assert_eq!(failure["missed"][0]["expected"], "passes");
    assert_eq!(failure["trace"]["verdict"], "reject");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_nothing_runs() {
    let text = format!(
        "{}## x\n```packets\ntcp-client 192.168.1.10 > 203.0.113.80 -> pases\n```\n",
        head()
    );
    let file = Scratch::new("wrong", &text);
    let output = run(&[OFFICE, &file.path()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(told.contains("t.md:6:43-47: error[KS0703]: pases: "), "{told}");
    assert!(told.contains("^^^^^") && told.contains(": 1 error"), "{told}");
    for missing in ["/nowhere", "examples/rules"] {
        assert_eq!(run(&[missing]).status.code(), Some(2), "{missing}");
    }
    let output = run(&["--filter", "no such test", OFFICE]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn rules_are_not_changed_while_a_test_fails() {
    let output = run(&["--mutate", "examples/wanting.md"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("only where all tests pass"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("mutants"));
}
