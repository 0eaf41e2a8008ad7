//! `keepstate why` and `keepstate diff` as people call them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn keepstate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keepstate")).args(words).output().expect("keepstate")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let at = std::env::temp_dir().join(format!("keepstate-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&at).expect("a directory");
    at
}

fn shared(part: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(part);
    if !found.exists() {
        println!("skipped: no shared test material ({part})");
        return None;
    }
    Some(found)
}

const OLD: &str = "*filter\n:INPUT DROP [0:0]\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 21 -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n";

#[test]
fn exit_statuses_say_equal_different_and_unreadable() {
    let at = folder("diff-status");
    let file = |name: &str, text: &str| {
        let path = at.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_string_lossy().into_owned()
    };
    let old = file("old.v4", OLD);
    let split = OLD
        .replace("--dport 80 -j", "--dport 80 ! -s 10.0.0.0/8 -j")
        .replace("COMMIT", "-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT");
    let (split, other) = (file("split.v4", &split), file("other.v4", &OLD.replace("21", "22")));
    let (broken, six) = (file("broken.v4", "*filter\n-A INPUT -j\n"), file("six.v6", OLD));
    for (new, status, text) in [
        (&old, 0, "Proven equal"),
        (&split, 0, "Proven equal"),
        (&other, 1, "accept -> drop"),
        (&broken, 2, ""),
        (&six, 2, ""),
    ] {
        let output = keepstate(&["diff", &old, new]);
        assert_eq!(output.status.code(), Some(status), "{new}: {output:?}");
        assert!(stdout(&output).contains(text), "{new}: {}", stdout(&output));
    }
    let json = keepstate(&["diff", "--format", "json", &old, &other]);
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let rows = told[0]["ways"][0]["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["certain"] == true), "{rows:#?}");
    // The packet of each row can be pasted.
    for row in rows {
        let witness = &row["witness"];
        let command = witness["trace"].as_str().expect("a command");
        let (words, packet) = command.split_once(" --packet '").expect("a packet");
        let mut words: Vec<&str> = words.split(' ').skip(1).collect();
        words.extend(["--packet", packet.trim_end_matches('\'')]);
        let traced = keepstate(&words);
        assert_eq!(traced.status.code(), Some(0), "{traced:?}");
        let told = stdout(&traced);
        assert_eq!(told.contains("let in"), row["old"] == "accept", "{told}");
    }
}

#[test]
fn connections_that_live_on_are_named_with_the_command_that_ends_them() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let capture = examples.join("captures/ftp.pcap");
    if !capture.exists() {
        panic!("the example capture is missing");
    }
    let at = folder("diff-capture");
    let (old, new) = (at.join("old.v4"), at.join("new.v4"));
    let begin = "*filter\n:FORWARD DROP [0:0]\n\
        -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    std::fs::write(&old, format!("{begin}-A FORWARD -j ACCEPT\nCOMMIT\n")).expect("a file");
    std::fs::write(&new, format!("{begin}COMMIT\n")).expect("a file");
    let words = [
        "diff",
        "--format",
        "json",
        &old.to_string_lossy(),
        &new.to_string_lossy(),
        &capture.to_string_lossy(),
    ];
    let output = keepstate(&words);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let recorded = &told[0]["recorded"];
    assert!(recorded["packets"].as_u64() > Some(10), "{recorded:#}");
    assert!(recorded["connections_differing"].as_u64() > Some(0), "{recorded:#}");
    let kept = recorded["kept_alive"].as_array().expect("a list");
    for one in kept {
        let delete = one["delete"].as_str().expect("a command");
        assert!(delete.starts_with("conntrack -D -p "), "{delete}");
    }
}

/// Rules and packets that are enough for a few seconds, unless `KEEPSTATE_ALL` asks for all.
#[test]
fn rules_that_are_not_needed_change_nothing_on_recorded_traffic() {
    let (Some(rules), Some(busy)) =
        (shared("rulesets/Iptables_Semantics"), shared("captures-large/busy-mix.pcap.gz"))
    else {
        return;
    };
    let all = std::env::var_os("KEEPSTATE_ALL").is_some();
    let captures: Vec<PathBuf> = match all {
        true => vec![busy],
        false => {
            let Some(folder) = shared("captures") else { return };
            ["ndpi__ftp.pcap", "arkime__IKEv2.pcap", "arkime__arkime_synthetic.pcap"]
                .map(|name| folder.join(name))
                .into_iter()
                .filter(|path| path.exists())
                .collect()
        }
    };
    let at = folder("why-unneeded");
    for name in [
        "thy__Iptables_Semantics__Examples__Ringofsaturn_com__iptables-save",
        "thy__Iptables_Semantics__Examples__sns.ias.edu__eduroam_iptables-save",
        "thy__Iptables_Semantics__Examples__SQRL_Shorewall__2015_aug_iptables-save-spoofing-protection",
        "thy__Iptables_Semantics__Examples__IPPartEval__gopherproxy.meulie.net__iptables-save",
        "thy__Iptables_Semantics__Examples__IPPartEval__medium-sized-company__iptables-save",
    ] {
        let path = rules.join(name);
        let path = path.to_string_lossy();
        let output = keepstate(&["why", "--rules", &path, "--all", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let told = told.as_array().expect("a list");
        let source = std::fs::read_to_string(&*path).expect("rules");
        let count = source.lines().filter(|line| line.starts_with("-A")).count();
        assert_eq!(told.len(), count, "{name}: a rule without an answer");
        let idle = |one: &&serde_json::Value| {
            one["need"] == "not-needed" || one["need"] == "never-reached"
        };
        let unneeded: Vec<u64> =
            told.iter().filter(idle).filter_map(|one| one["line"].as_u64()).collect();
        println!("{name}: {} of {count} rules are not needed", unneeded.len());
        let step = if all { 1 } else { unneeded.len().div_ceil(2).max(1) };
        for line in unneeded.iter().step_by(step) {
            let kept = source.lines().zip(1..).filter(|(_, at)| at != line);
            let text: String = kept.map(|(text, _)| format!("{text}\n")).collect();
            let new = at.join("new.v4");
            std::fs::write(&new, text).expect("a file");
            let mut words = vec!["diff", "--format", "json", &path];
            let new = new.to_string_lossy();
            words.push(&new);
            let captures: Vec<_> = captures.iter().map(|one| one.to_string_lossy()).collect();
            words.extend(captures.iter().map(|one| &**one));
            let output = keepstate(&words);
            let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(told[0]["equal"], true, "{name}:{line} {:#}", told[0]["ways"]);
            let recorded = &told[0]["recorded"];
            assert_eq!(recorded["packets_differing"], 0, "{name}:{line} {recorded:#}");
            assert!(recorded["packets"].as_u64() > Some(0), "{recorded:#}");
        }
    }
}

/// The page of docs/ holds the whole answer to the question that most people ask: `KEEPSTATE_BLESS=1` writes it
/// anew.
#[test]
fn the_page_about_a_whole_answer_is_what_the_command_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let words = ["why", "examples/rules/host.rules:7"];
    let output = Command::new(env!("CARGO_BIN_EXE_keepstate"))
        .args(words)
        .current_dir(&root)
        .env_remove("COLUMNS")
        .output()
        .expect("keepstate");
    let page = format!(
        "# Why a rule is needed: a whole answer\n\n\
         What `keepstate why` says of the rule that stands in nearly every rule set. A test prints it anew.\n\n    \
         keepstate {}\n\n```\n{}```\n",
        words.join(" "),
        stdout(&output)
    );
    let path = root.join("docs/why.md");
    if std::env::var_os("KEEPSTATE_BLESS").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    for (found, wanted) in page.lines().zip(wanted.lines()) {
        assert_eq!(found, wanted);
    }
    assert_eq!(page, wanted, "to accept: KEEPSTATE_BLESS=1 cargo test -p keepstate-cli --test why");
}
