//! The rule sets of the shared test material, where it is: what is found in them, as `docs/lint.md` has it, and that
//! every fix leaves no finding of its kind and changes nothing else, which `diff` says.
//!
//! `KEEPSTATE_WRITE=1` writes the tables of `docs/lint.md`, `KEEPSTATE_ALL=1` takes the largest files, too (minutes),
//! `KEEPSTATE_OUT=FILE` writes all findings as lines of JSON.

use keepstate_analysis::diff::{Comparison, Side};
use keepstate_analysis::lint::fix::{How, fix};
use keepstate_analysis::lint::{Expected, Finding, Severity, Wanted, lint, read};
use keepstate_analysis::lints::LINTS;
use keepstate_analysis::render::lint::{File, difference, json};
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::syntax::iptables_command::script;
use keepstate_ruleset::syntax::{iptables_list, iptables_save};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Files up to so many bytes are taken by every run.
const SMALL: usize = 20_000;
/// Findings that a fix is tried for in each file.
const FIXED_KINDS_MAX: usize = 2;
/// Files up to so many bytes have their fixes tried in every run.
const FIXED_SMALL: usize = 8_000;

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

fn shared() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = ["../shared", "../../shared"].map(|up| root.join(up));
    let found = found.into_iter().find(|path| path.join("rulesets/INDEX.tsv").is_file());
    if found.is_none() {
        println!("skipped: no shared test material (rulesets)");
    }
    found
}

/// A rule set that can be read: of what file, its text, what it says.
struct Read {
    name: String,
    source: String,
    ruleset: Ruleset,
}

#[derive(Default)]
struct Material {
    read: Vec<Read>,
    /// Files of iptables whose faults keep them from being read, and files of nft.
    faulty: usize,
    nft: usize,
}

/// All rule sets: those of the index, and what ferm makes of its tests.
fn material(root: &Path, all: bool) -> Material {
    let mut material = Material::default();
    let index = std::fs::read_to_string(root.join("rulesets/INDEX.tsv")).unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for line in index.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(file), Some(kind)) = (columns.next(), columns.next()) else { continue };
        match kind.starts_with("nft") {
            true => material.nft += 1,
            false => files.push(Path::new("rulesets").join(file)),
        }
    }
    for part in ["misc", "modules", "params", "protocols", "targets", "ipv6"] {
        let directory = root.join("suites/ferm-2.7/test").join(part);
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "result"))
            .filter_map(|path| path.strip_prefix(root).ok().map(Path::to_path_buf))
            .collect();
        found.sort();
        files.extend(found);
    }
    for file in files {
        let Ok(bytes) = std::fs::read(root.join(&file)) else { continue };
        let source = String::from_utf8_lossy(&bytes).into_owned();
        if !all && source.len() > SMALL {
            continue;
        }
        let name = file.display().to_string();
        let before = material.read.len();
        for family in families(&name, &source) {
            let Ok(ruleset) = read::ruleset(&source, family, LabelNames::NONE) else { continue };
            material.read.push(Read { name: name.clone(), source: source.clone(), ruleset });
        }
        material.faulty += usize::from(material.read.len() == before);
    }
    material
}

/// Of what family the rules of a file are; of a script, both of which it has commands of.
fn families(name: &str, source: &str) -> Vec<Family> {
    if script::is_script(source) {
        let script = script::run(source, LabelNames::NONE);
        if !script.faults.is_empty() {
            return Vec::new();
        }
        let counts = script.commands;
        let all = [Family::V4, Family::V6].into_iter().zip(counts);
        return all.filter(|(_, count)| *count > 0).map(|(family, _)| family).collect();
    }
    let head = source.lines().next().unwrap_or_default();
    let six = head.contains("ip6tables-save") || name.contains("ip6tables");
    if iptables_list::is_listing(source) {
        let six = six || iptables_list::family_of(source) == Family::V6;
        return vec![if six { Family::V6 } else { Family::V4 }];
    }
    vec![if six { Family::V6 } else { iptables_save::family_of(source) }]
}

fn found(read: &Read, wanted: &Wanted) -> Option<Vec<Finding>> {
    lint(&read.source, &read.ruleset, None, wanted).ok()
}

/// By kind how many there are, and in how many files.
type Counts = BTreeMap<&'static str, (usize, usize)>;

fn count(material: &Material, out: &mut String, too_large: &mut Vec<String>) -> Counts {
    let mut counts = Counts::new();
    for read in &material.read {
        let Some(findings) = found(read, &Wanted::default()) else {
            too_large.push(read.name.clone());
            continue;
        };
        let mut here: BTreeMap<&'static str, usize> = BTreeMap::new();
        for one in &findings {
            *here.entry(one.lint.code).or_default() += 1;
        }
        for (code, count) in here {
            let entry = counts.entry(code).or_default();
            *entry = (entry.0 + count, entry.1 + 1);
        }
        let file = File { name: &read.name, source: &read.source, findings: &findings };
        let told: Vec<serde_json::Value> = serde_json::from_str(&json(&[file])).unwrap();
        out.extend(told.iter().map(|one| format!("{one}\n")));
    }
    counts
}

fn kinds() -> String {
    let mut table = String::from("| kind | severity | what it is |\n|---|---|---|\n");
    for severity in Severity::ALL.into_iter().rev() {
        for lint in LINTS.iter().filter(|lint| lint.severity == severity) {
            let _ = writeln!(table, "| `{}` | {} | {} |", lint.code, severity.as_str(), lint.title);
        }
    }
    table
}

fn findings_table(all: &Material, counts: &Counts, small: &Counts, too_large: &[String]) -> String {
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(code, (count, _))| (std::cmp::Reverse(*count), **code));
    let sum: usize = counts.values().map(|(count, _)| count).sum();
    let mut table = format!(
        "{sum} findings in {} rule sets. {} more files are not read whole (they are cut off, hang on variables or have \
         commands that iptables refuses: nothing is said of them), {} are of nft, which `lint` does not read.\n",
        all.read.len(),
        all.faulty,
        all.nft
    );
    if !too_large.is_empty() {
        let _ = writeln!(table, "\nToo large for it: {}.", too_large.join(", "));
    }
    table.push_str(
        "\n| kind | findings | rule sets | of them up to 20 kB: findings |\n|---|---|---|---|\n",
    );
    for (code, (count, files)) in rows {
        let small = small.get(code).map_or(0, |(count, _)| *count);
        let _ = writeln!(table, "| `{code}` | {count} | {files} | {small} |");
    }
    let none: Vec<String> = LINTS
        .iter()
        .filter(|lint| !counts.contains_key(lint.code))
        .map(|lint| format!("`{}`", lint.code))
        .collect();
    if !none.is_empty() {
        let _ = writeln!(table, "\nNone of: {}.", none.join(", "));
    }
    table
}

const DOCUMENT: &str = "docs/lint.md";

fn document() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(DOCUMENT);
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// What stands between the marks of a name.
fn block<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("<!-- {name} -->\n")).expect(name);
    rest.split_once(&format!("<!-- end of {name} -->")).expect(name).0
}

fn put(text: &str, name: &str, new: &str) -> String {
    text.replacen(
        &format!("<!-- {name} -->\n{}", block(text, name)),
        &format!("<!-- {name} -->\n{new}"),
        1,
    )
}

#[test]
fn the_kinds_are_those_of_the_document() {
    let (path, text) = document();
    if is_set("KEEPSTATE_WRITE") {
        std::fs::write(path, put(&text, "kinds", &kinds())).unwrap();
    } else {
        assert_eq!(block(&text, "kinds"), kinds(), "KEEPSTATE_WRITE=1 writes {DOCUMENT}");
    }
}

#[test]
fn findings_on_shared_rule_sets_are_those_of_the_document() {
    let Some(root) = shared() else { return };
    let write = is_set("KEEPSTATE_WRITE");
    let mut out = String::new();
    let mut too_large = Vec::new();
    let small = count(&material(&root, false), &mut String::new(), &mut Vec::new());
    if write || is_set("KEEPSTATE_ALL") {
        let all = material(&root, true);
        let counts = count(&all, &mut out, &mut too_large);
        let table = findings_table(&all, &counts, &small, &too_large);
        if let Some(path) = std::env::var_os("KEEPSTATE_OUT") {
            std::fs::write(path, &out).unwrap();
        }
        let (path, text) = document();
        if write {
            std::fs::write(path, put(&text, "findings", &table)).unwrap();
        } else {
            assert_eq!(block(&text, "findings"), table);
        }
        return;
    }
    println!("{small:?}");
    let (_, text) = document();
    for row in block(&text, "findings").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let code = cells[1].trim_matches('`');
        let counted = small.get(code).map_or(0, |(count, _)| *count);
        assert_eq!(cells[4], counted.to_string(), "{code}; KEEPSTATE_WRITE=1 writes {DOCUMENT}");
    }
    let told = |code: &str| block(&text, "findings").contains(&format!("| `{code}` |"));
    assert!(small.keys().all(|code| told(code)), "{small:?}");
}

#[test]
fn fixes_of_shared_rule_sets_leave_nothing_and_change_nothing_else() {
    let Some(root) = shared() else { return };
    let all = is_set("KEEPSTATE_ALL");
    let (mut done, mut left) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for (at, read) in material(&root, all).read.iter().enumerate() {
        if !all && read.source.len() > FIXED_SMALL {
            continue;
        }
        let Some(findings) = found(read, &Wanted::default()) else { continue };
        let fixable = |one: &&Finding| one.fix.is_some();
        let mut codes: Vec<&str> =
            findings.iter().filter(fixable).map(|one| one.lint.code).collect();
        codes.sort_unstable();
        codes.dedup();
        let count = codes.len();
        // Every kind where it is rare, others by turns.
        codes.rotate_left(at % count.max(1));
        let rare = codes.iter().filter(|code| done.get(*code).copied().unwrap_or(0) < 3).count();
        let taken = if all { count } else { rare.clamp(1, FIXED_KINDS_MAX) };
        codes.sort_by_key(|code| done.get(code).copied().unwrap_or(0).min(3));
        for code in codes.into_iter().take(taken) {
            let wanted = Wanted { only: vec![code.into()], ..Wanted::default() };
            left.extend(mended(read, code, &wanted));
            *done.entry(LINTS.iter().find(|l| l.code == code).unwrap().code).or_default() += 1;
        }
    }
    println!("fixed: {done:?}; left, each with its reason: {}", left.len());
    for one in &left {
        println!("left: {one}");
    }
    assert!(done.len() >= 10, "{done:?}");
}

/// Carries out the fixes of a kind; what was left and why.
fn mended(one: &Read, code: &str, wanted: &Wanted) -> Option<String> {
    let place = format!("{} ({code})", one.name);
    let family = one.ruleset.family;
    let how = How { family, labels: LabelNames::NONE, unproven: false };
    let before = found(one, wanted).unwrap();
    let fixed = fix(&one.source, None, wanted, how).unwrap();
    let ruleset = read::ruleset(&fixed.text, family, LabelNames::NONE)
        .unwrap_or_else(|faults| panic!("{place}: {faults:?}"));
    let after = Read { name: one.name.clone(), source: fixed.text.clone(), ruleset };
    let rest: Vec<Finding> =
        found(&after, wanted).unwrap().into_iter().filter(|left| left.fix.is_some()).collect();
    if fixed.left.is_empty() {
        assert!(rest.is_empty(), "{place}: {rest:?}");
    } else {
        // What is left was tried, and is as it was.
        assert!(rest.len() <= before.len(), "{place}");
    }
    let sets = before.iter().filter_map(|found| match &found.fix.as_ref()?.expected {
        Expected::Nothing => None,
        Expected::Only(set, _) => Some(set.clone()),
    });
    let [old, new] = [(&one.source, one), (&after.source, &after)].map(|(source, _)| {
        let ruleset = read::ruleset(source, family, LabelNames::NONE).unwrap();
        Side::new(&place, source, ruleset)
    });
    let Ok(mut compared) = Comparison::new(&old, &new) else {
        return Some(format!("{place}: too large for diff"));
    };
    let mut allowed = compared.space.none();
    for set in sets {
        allowed = allowed.or(&compared.space.packets(&set, "expected").unwrap()).unwrap();
    }
    for (way, differences) in &compared.ways {
        for difference in differences {
            let within = difference.packets.is_within(&allowed).unwrap();
            assert!(within, "{place}, {way:?}: {:?} changes", difference.aspect);
        }
    }
    // Nothing goes but what edits take out.
    let edits = before.iter().filter_map(|found| found.fix.as_ref()).flat_map(|fix| &fix.edits);
    let taken = edits.filter(|edit| edit.span.end > edit.span.start).count();
    let shown = difference("", &one.source, &after.source);
    let gone = shown.lines().skip(2).filter(|line| line.starts_with('-')).count();
    // A second round mends what the first has brought to light.
    assert!(gone <= taken || fixed.done.len() > 1, "{place}: {gone} lines go\n{shown}");
    fixed.left.first().map(|(_, why)| format!("{place}: {why}"))
}
