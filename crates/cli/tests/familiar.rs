//! The familiar commands by their link names, on a store of their own, by the rules of iptables'
//! own test runner: each line of its tables is appended, has to stand in what iptables-save prints,
//! and is deleted by its own words; then the lines of a chain are restored at once. Skips, saying so,
//! without the shared test material. `KEEPSTATE_IPTABLES_CASES` names another folder of tables.

mod links;

use keepstate_ruleset::syntax::iptables_command::split;
use links::Machine;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Ok,
    Fail,
    NoMatch,
}

struct Case {
    place: String,
    table: String,
    chain: String,
    rule: String,
    saved: String,
    expected: Expected,
    /// Commands of its file that stand before it, to be run once.
    before: Vec<String>,
}

impl Case {
    fn words(&self, command: &str) -> String {
        format!("{command} {} -t {} {}", self.chain, self.table, self.rule)
    }

    fn line(&self) -> String {
        // ebtables says what follows where nothing was said, and the tables leave that out.
        let bridge = self.place.starts_with("libebt_") && !self.saved.contains("-j ");
        let after = if bridge { " -j CONTINUE" } else { "" };
        format!("-A {} {}{after}", self.chain, self.saved.trim_end())
    }
}

fn expected(columns: &[&str], legacy: bool) -> Option<Expected> {
    let read = |text: &str| match text {
        "OK" => Some(Expected::Ok),
        "FAIL" => Some(Expected::Fail),
        "NOMATCH" => Some(Expected::NoMatch),
        _ => None,
    };
    let result = read(columns.get(2)?)?;
    let Some(variant) = columns.get(3).filter(|text| !text.is_empty()) else { return Some(result) };
    if (*variant == "LEGACY") == legacy {
        return Some(result);
    }
    match columns.get(4) {
        Some(other) if !other.is_empty() => read(other),
        _ if result == Expected::Ok => Some(Expected::Fail),
        _ => Some(Expected::Ok),
    }
}

/// The cases of a file, with the commands between them.
fn cases(name: &str, text: &str, legacy: bool) -> Vec<Case> {
    let (mut all, mut chains, mut table, mut before) = (Vec::new(), "", "filter", Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        match line.chars().next() {
            None | Some('#') => {}
            // Helpers and policies of user space are made by a tool of their own, and no case here asks for one.
            Some('@' | '%') if line.starts_with("@nfct ") => {}
            Some('@' | '%') => before.push(line[1..].to_owned()),
            Some(':') => chains = &line[1..],
            Some('*') => table = &line[1..],
            Some(_) => {
                let columns: Vec<&str> = line.split(';').collect();
                let Some(expected) = expected(&columns, legacy) else { continue };
                for chain in chains.split(',') {
                    let saved = if columns[1] == "=" { columns[0] } else { columns[1] };
                    all.push(Case {
                        place: format!("{name}:{number}"),
                        table: table.to_owned(),
                        chain: chain.to_owned(),
                        rule: columns[0].to_owned(),
                        saved: saved.to_owned(),
                        expected,
                        before: std::mem::take(&mut before),
                    });
                }
            }
        }
    }
    all
}

#[derive(Default)]
struct Count {
    right: usize,
    wrong: Vec<String>,
    unsupported: usize,
}

fn line(machine: &Machine, name: &str, line: &str) -> Output {
    machine.run(name, &split(line).expect("words"), "")
}

/// One case as the runner judges it: what is wrong, if anything, or that an extension is not there.
fn judge(machine: &Machine, tool: &str, case: &Case) -> Result<(), String> {
    let added = line(machine, tool, &case.words("-A"));
    let told = String::from_utf8_lossy(&added.stderr).into_owned();
    if !added.status.success() {
        return match case.expected {
            _ if told.contains("is not supported yet") => Err(told),
            Expected::Fail if added.status.code().is_some_and(|code| (1..5).contains(&code)) => {
                Ok(())
            }
            _ => Err(told),
        };
    }
    if case.expected == Expected::Fail {
        let _ = line(machine, tool, &case.words("-D"));
        return Err("taken, but has to be refused".into());
    }
    let found = machine.saved(tool).contains(&format!("\n{}\n", case.line()));
    let problem = match (case.expected, found) {
        (Expected::Ok, false) => Err(format!("not found: {}", case.line())),
        (Expected::NoMatch, true) => Err(format!("found: {}", case.line())),
        _ => Ok(()),
    };
    let deleted = line(machine, tool, &case.words("-D"));
    if !deleted.status.success() {
        let _ = line(machine, tool, &format!("-F {} -t {}", case.chain, case.table));
        return Err(String::from_utf8_lossy(&deleted.stderr).into_owned());
    }
    problem
}

/// Commands that stand before cases, in their place.
fn run_before(machine: &Machine, cases: &[Case]) -> Result<(), String> {
    for command in cases.iter().flat_map(|case| &case.before) {
        let (name, words) = command.split_once(' ').expect("words");
        let ran = line(machine, name, words);
        if !ran.status.success() {
            return Err(format!("{command}: {}", String::from_utf8_lossy(&ran.stderr)));
        }
    }
    Ok(())
}

/// All lines that load, each chain of each table at once.
fn restore(machine: &Machine, tool: &str, cases: &[Case]) -> Result<usize, String> {
    let good = |case: &&Case| case.expected == Expected::Ok;
    let mut tables: Vec<&str> = cases.iter().filter(good).map(|case| case.table.as_str()).collect();
    tables.sort_unstable();
    tables.dedup();
    run_before(machine, cases)?;
    let mut count = 0;
    for table in tables {
        let lines = cases.iter().filter(good).filter(|case| case.table == table);
        let lines: Vec<&Case> = lines.collect();
        let mut input = format!("*{table}\n");
        for case in &lines {
            input.push_str(&format!("-A {} {}\n", case.chain, case.rule));
        }
        input.push_str("COMMIT\n");
        let restored = machine.run(&format!("{tool}-restore"), &[], &input);
        if !restored.status.success() {
            return Err(String::from_utf8_lossy(&restored.stderr).into_owned());
        }
        let saved = machine.saved(tool);
        let mut printed: Vec<&str> =
            saved.lines().skip_while(|line| *line != format!("*{table}")).collect();
        let is_end = |line: &&str| *line == "COMMIT" || line.starts_with("# Completed");
        printed.truncate(printed.iter().position(is_end).unwrap_or(0));
        let mut printed: Vec<&str> =
            printed.into_iter().filter(|line| line.starts_with("-A")).collect();
        let mut wanted: Vec<String> = lines.iter().map(|case| case.line()).collect();
        // Chains are printed one after the other; within one the order is that of the file.
        printed.sort_unstable();
        wanted.sort_unstable();
        if printed != wanted {
            let odd = wanted.iter().find(|line| !printed.contains(&line.as_str()));
            return Err(format!("table {table}: {odd:?} is not printed as it has to be"));
        }
        count += lines.len();
    }
    Ok(count)
}

fn run(tool: &str, name: &str, text: &str, count: &mut Count) {
    let machine = Machine::new(&format!("familiar-{tool}"));
    let all = cases(name, text, tool.ends_with("legacy"));
    let before = count.unsupported + count.wrong.len();
    for case in &all {
        let ran = run_before(&machine, core::slice::from_ref(case));
        match ran.and_then(|()| judge(&machine, tool, case)) {
            Ok(()) => count.right += 1,
            Err(told) if told.contains("is not supported yet") => count.unsupported += 1,
            Err(told) => {
                count.wrong.push(format!("{} {tool} {}: {told}", case.place, case.words("")))
            }
        }
    }
    if before == count.unsupported + count.wrong.len()
        && let Err(told) = restore(&Machine::new(&format!("familiar-{tool}")), tool, &all)
    {
        count.wrong.push(format!("{name} {tool}, restored at once: {told}"));
    }
}

/// The tools that a table of cases is for.
fn tools(name: &str) -> &'static [&'static str] {
    if name.starts_with("libipt_") {
        &["iptables", "iptables-legacy"]
    } else if name.starts_with("libip6t_") {
        &["ip6tables", "ip6tables-legacy"]
    } else if name.starts_with("libarpt_") {
        &["arptables"]
    } else if name.starts_with("libebt_") {
        &["ebtables"]
    } else {
        &["iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy"]
    }
}

#[test]
fn iptables_own_tables_pass_by_link_name() {
    let shared =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/suites/iptables-1.8.11");
    let folder = std::env::var_os("KEEPSTATE_IPTABLES_CASES").map_or(shared, PathBuf::from);
    let Ok(entries) = fs::read_dir(&folder) else {
        return println!("skipped: no shared test material");
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "t"));
    paths.sort();
    let mut total = Count::default();
    let mut frames = Count::default();
    for path in &paths {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("readable");
        let mut count = Count::default();
        for tool in tools(&name) {
            run(tool, &name, &text, &mut count);
        }
        let of_frames = tools(&name).iter().any(|tool| matches!(*tool, "arptables" | "ebtables"));
        let total = if of_frames { &mut frames } else { &mut total };
        total.right += count.right;
        total.unsupported += count.unsupported;
        total.wrong.append(&mut count.wrong);
    }
    for (whose, total) in [("iptables and ip6tables", &total), ("arptables and ebtables", &frames)]
    {
        println!(
            "{whose}: {} right, {} wrong, {} of an extension that is not supported",
            total.right,
            total.wrong.len(),
            total.unsupported
        );
    }
    total.wrong.append(&mut frames.wrong);
    assert!(total.wrong.is_empty(), "{}", total.wrong.join("\n"));
}
