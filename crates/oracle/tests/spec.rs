//! Every case of `spec/*.md`, through the engine and, where namespaces may be made, through the
//! kernel. `KEEPSTATE_BLESS=1` writes what the engine does into the files instead, to be read
//! before it is committed.

use keepstate_conntrack::invalid::Reason;
use keepstate_engine::Cause;
use keepstate_oracle::namespace;
use keepstate_oracle::spec::{self, Asked, Case, Ran};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Codes that no case shows: the first two say why a segment was passed over that stays
/// ESTABLISHED; two want NAT, one thousands of fragments, one is of fragments that were held, one
/// wants a frame to another host.
const CODES_ELSEWHERE: [&str; 7] = [
    "seq-under",
    "ack-under",
    "nat-clash",
    "untranslatable",
    "frag-limit",
    "frag-timeout",
    "other-host",
];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("spec/")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "md") && !path.ends_with("README.md"))
        .collect();
    files.sort();
    files
}

fn run_file(path: &Path, kernel: bool) -> Vec<(Case, Ran)> {
    let text = fs::read_to_string(path).expect("readable");
    let name = path.file_name().expect("name").to_string_lossy();
    let cases = spec::parse(&text).unwrap_or_else(|f| panic!("spec/{name}:{}: {}", f.line, f.text));
    assert!(!cases.is_empty(), "spec/{name} has no case");
    cases
        .into_iter()
        .map(|case| {
            let ran = spec::run(&case, kernel)
                .unwrap_or_else(|e| panic!("spec/{name}:{}: {}: {e}", case.line, case.title));
            (case, ran)
        })
        .collect()
}

#[test]
fn engine_and_kernel_do_what_is_written() {
    let bless = env::var_os("KEEPSTATE_BLESS").is_some();
    let kernel = namespace::with(|| ()).is_ok();
    if !kernel {
        eprintln!("skipped: the kernel is not asked, no namespace may be made");
    }
    let mut wrong = Vec::new();
    for path in files() {
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        let ran = run_file(&path, kernel);
        for (case, ran) in &ran {
            match &ran.kernel {
                Asked::Whole => {}
                Asked::UpTo(line) => {
                    println!("spec/{name}:{line}: the kernel was asked up to here")
                }
                Asked::Not(why) => {
                    println!("spec/{name}:{}: the kernel was not asked: {why}", case.line);
                }
            }
            for m in &ran.mismatches {
                wrong.push(format!(
                    "spec/{name}:{}: {} ({})\n  written: {}\n  found:   {}",
                    m.line, case.title, m.who, m.expected, m.found
                ));
            }
        }
        if bless {
            let text = fs::read_to_string(&path).expect("readable");
            fs::write(&path, spec::bless(&text, &ran)).expect("writable");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_reason_code_is_shown() {
    let shown: BTreeSet<&str> = files()
        .iter()
        .flat_map(|path| run_file(path, false))
        .flat_map(|(_, ran)| ran.reasons)
        .collect();
    let missing: Vec<&str> = Reason::ALL
        .map(Reason::code)
        .into_iter()
        .chain(Cause::ALL.map(Cause::code))
        .filter(|code| !shown.contains(code) && !CODES_ELSEWHERE.contains(code))
        .collect();
    assert!(missing.is_empty(), "no spec shows {missing:?}");
}
