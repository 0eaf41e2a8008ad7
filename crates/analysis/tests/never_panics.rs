//! Any text gets an answer or a refusal: real rule sets line by line, real tool output, and texts
//! put together from the words that the recognisers look for.

use keepstate_analysis::render::{RENDERERS, Style};
use keepstate_analysis::{Answer, explain_line, explain_text};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Lines of one file that are explained; a rule set of thousands says nothing new after that.
const LINES_OF_FILE_MAX: usize = 6;

fn shared(part: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let candidates = [root.join("../shared").join(part), root.join("../../shared").join(part)];
    let found = candidates.into_iter().find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: no shared test material ({part})");
    }
    found
}

fn files(root: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// What every answer has to be: printable in every format, in lines that are not empty.
fn check(answer: &Answer) {
    for renderer in RENDERERS {
        let text = (renderer.render)(answer, &Style::default());
        assert!(!text.trim().is_empty());
    }
    assert!(!answer.sections.is_empty(), "{}: nothing said", answer.input);
    for experiment in answer.experiments() {
        for run in &experiment.runs {
            assert_eq!(run.outcomes.len(), experiment.steps.len(), "{}", answer.input);
        }
    }
}

#[test]
fn rules_of_real_rule_sets_are_explained() {
    let Some(root) = shared("rulesets") else { return };
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let (mut explained, mut refused, mut run) = (0, 0, 0);
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    for path in paths {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let mut of_file = 0;
        for line in text.lines() {
            // One rule of each kind is enough: numbers and addresses make no difference.
            let kind: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
            let rule = line.contains("-A ") || line.contains(" -- ");
            if !rule || of_file >= LINES_OF_FILE_MAX || !kinds.insert(kind) {
                continue;
            }
            of_file += 1;
            match explain_text(line) {
                Ok(answer) => {
                    check(&answer);
                    explained += 1;
                    run += usize::from(answer.experiments().next().is_some());
                }
                Err(_) => refused += 1,
            }
        }
    }
    println!("{explained} rules explained, {run} of them with a run, {refused} texts refused");
    assert!(explained > 500, "only {explained} rules explained");
    assert!(run * 3 > explained, "only {run} of {explained} with a run");
}

#[test]
fn whole_rule_sets_are_explained() {
    let Some(root) = shared("rulesets") else { return };
    let mut paths = Vec::new();
    files(&root, &mut paths);
    for path in paths {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(answer) = explain_text(&text) {
            check(&answer);
        }
        // And one rule in the midst of its file, where the file is not too long to run twice.
        if text.len() < 20_000
            && let Some(line) = text.lines().position(|line| line.starts_with("-A "))
            && let Ok(answer) = explain_line(&text, line + 1)
        {
            check(&answer);
        }
    }
}

#[test]
fn what_the_real_tools_print_is_explained() {
    let Some(root) = shared("design/samples") else { return };
    let known = [
        "L.txt",
        "Lx.txt",
        "Lplain.txt",
        "Lvn.txt",
        "ev.txt",
        "ev2.txt",
        "evx.txt",
        "expect.txt",
        "proc.txt",
        "procexpect.txt",
        "save.txt",
        "trace.txt",
        "nfttrace.txt",
        "related_reject.txt",
    ];
    for name in known {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        check(&explain_text(&text).unwrap_or_else(|error| panic!("{name}: {error}")));
        for line in text.lines() {
            if let Ok(answer) = explain_text(line) {
                check(&answer);
            }
        }
    }
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "ACCEPT",
            "DROP",
            "REJECT",
            "LOG",
            "RETURN",
            "tcp",
            "udp",
            "icmp",
            "all",
            "--",
            "-f",
            "!",
            "anywhere",
            "0.0.0.0/0",
            "!10.0.0.0/8",
            "::/0",
            "state",
            "ctstate",
            "RELATED,ESTABLISHED",
            "INVALID",
            "-A",
            "INPUT",
            "FORWARD",
            "OUTPUT",
            "-p",
            "-m",
            "conntrack",
            "--ctstate",
            "--dport",
            "22",
            "1024:",
            ":",
            "-j",
            "-s",
            "-d",
            "-i",
            "lo",
            "eth+",
            "*filter",
            "COMMIT",
            ":INPUT",
            "[0:0]",
            "iptables",
            "sudo",
            "-t",
            "raw",
            "CT",
            "--helper",
            "ftp",
            "Chain",
            "(policy",
            "DROP)",
            "src=1.2.3.4",
            "dst=4.3.2.1",
            "sport=1",
            "dport=2",
            "[UNREPLIED]",
            "[ASSURED]",
            "ESTABLISHED",
            "6",
            "17",
            "431999",
            "IN=eth0",
            "OUT=",
            "SRC=1.2.3.4",
            "DST=2.3.4.5",
            "PROTO=TCP",
            "SPT=1",
            "DPT=2",
            "SYN",
            "TRACE:",
            "raw:PREROUTING:rule:1",
            "proto=6",
            "mask-src=0.0.0.0",
            "/*",
            "*/",
            "\"",
            "limit:",
            "avg",
            "3/min",
            "dpt:ssh",
            "flags:0x17/0x02",
            "tcp-flags",
            "--tcp-flags",
            "SYN",
            "\n",
            "\n",
            "KS0101",
            "-g",
            "--icmp-type",
            "8/0",
            "prefix",
            "`x'",
        ])
        .prop_map(String::from),
        "[ -~]{0,12}",
        "\\PC{0,4}",
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_are_explained_or_refused(text in words()) {
        if let Ok(answer) = explain_text(&text) {
            check(&answer);
        }
        let _ = explain_line(&text, 1);
    }
}
