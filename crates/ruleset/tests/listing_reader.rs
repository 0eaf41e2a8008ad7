//! Listings read back: those of the shared material beside the rule files of the same machines, and
//! our own and iptables' own beside the rules that they were printed for.

mod material;

use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::{Code, Diagnostic, code};
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_list::{self, List, Listing, print_list};
use keepstate_ruleset::syntax::iptables_save::{
    Print, family_of, parse, parse_bytes, print, print_rule,
};
use material::{Tool, suite};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What stands in the way of a text that is right: it is not here.
const ABSENT: [Code; 2] = [code::MATCH_UNSUPPORTED, code::TARGET_UNSUPPORTED];

fn read(text: &str) -> Result<Listing, Vec<Diagnostic>> {
    iptables_list::parse(text, iptables_list::family_of(text), LabelNames::NONE)
}

/// A file of the shared rule sets, as text.
fn file(name: &str) -> Option<String> {
    let bytes = std::fs::read(material::folder("rulesets")?.join(name)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names of the shared rule sets of a kind.
fn files(kind: &str) -> Option<Vec<String>> {
    let index: PathBuf = material::folder("rulesets")?.join("INDEX.tsv");
    let index = std::fs::read_to_string(index).ok()?;
    let rows = index.lines().skip(1).map(|line| line.split('\t').collect::<Vec<&str>>());
    Some(rows.filter(|row| row[1] == kind).map(|row| row[0].to_string()).collect())
}

/// Addresses that whoever published a listing has made unreadable, and a range that is empty.
const REFUSED: [(Code, &str); 2] =
    [(code::BAD_ADDRESS, "XX:XX:XX:XX:XX:XX"), (code::RANGE_BACKWARDS, "60000:29")];

#[test]
fn every_shared_listing_is_read_or_refused_for_what_it_hides() {
    let Some(names) = files("iptables-L") else { return println!("skipped: no shared material") };
    let (mut whole, mut rules, mut problems) = (0, 0, Vec::new());
    let mut absent: BTreeMap<String, usize> = BTreeMap::new();
    for name in &names {
        let text = file(name).unwrap();
        assert!(iptables_list::is_listing(&text), "{name}");
        match read(&text) {
            Ok(listing) => {
                whole += 1;
                let chains = listing.ruleset.tables.iter().flat_map(|table| &table.chains);
                rules += chains.map(|chain| chain.rules.len()).sum::<usize>();
            }
            Err(faults) => {
                for fault in faults {
                    let words = &text[fault.span.start as usize..fault.span.end as usize];
                    let known =
                        REFUSED.iter().any(|(code, of)| fault.code == *code && words == *of);
                    if ABSENT.contains(&fault.code) {
                        *absent.entry(fault.text).or_default() += 1;
                    } else if !known {
                        problems.push(fault.render(name, &text));
                    }
                }
            }
        }
    }
    println!("{} listings, {whole} read whole ({rules} rules); not here: {absent:?}", names.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// Listings and the files that the same machines printed at the same time.
const PAIRS: [(&str, &str); 17] = [
    (
        "configs_psa__team_a__iptables.Lnv.2016-01-27",
        "configs_psa__team_a__iptables-save.2016-01-27",
    ),
    (
        "configs_psa__team_a__iptables.Lnv.2016-03-02",
        "configs_psa__team_a__iptables-save.2016-03-02",
    ),
    (
        "configs_psa__team_a__psa1_iptables.Lnv.2015-11-14",
        "configs_psa__team_a__psa1_iptables-save.2015-11-14",
    ),
    (
        "configs_psa__team_a__psa2_iptables.Lnv.2015-11-14",
        "configs_psa__team_a__psa2_iptables-save.2015-11-14",
    ),
    (
        "configs_psa__team_a__psa3_iptables.Lnv.2015-11-14",
        "configs_psa__team_a__psa3_iptables-save.2015-11-14",
    ),
    (
        "configs_psa__team_b__iptables.Lnv.2015-11-19",
        "configs_psa__team_b__iptables-save.2015-11-19",
    ),
    (
        "configs_psa__team_c__iptables.Lnv.2015-12-01",
        "configs_psa__team_c__iptables-save.2015-12-01",
    ),
    ("configs_psa__2016__iptables.Lnv-1.2016-07-07", "configs_psa__2016__iptables-save.2016-07-07"),
    ("config_vsrv__iptables_Lnv.txt", "config_vsrv__iptables-save.txt.derived"),
    ("configs_srvs_ufw__server1-iptables", "configs_srvs_ufw__server1-iptables-save"),
    ("configs_srvs_ufw__server2-iptables", "configs_srvs_ufw__server2-iptables-save"),
    (
        "configs_synology_diskstation_ds414__iptables_Lnv_jun_2015_cleanup",
        "configs_synology_diskstation_ds414__iptables-save_jun_2015_cleanup",
    ),
    (
        "configs_synology_diskstation_ds414__iptables_Lnv_jun_2015_legacyifacerules",
        "configs_synology_diskstation_ds414__iptables-save_jun_2015_legacyifacerules",
    ),
    (
        "configs_synology_diskstation_ds414__iptables_Ln_jun_2015_cleanup",
        "configs_synology_diskstation_ds414__iptables-save_jun_2015_cleanup",
    ),
    (
        "configs_synology_diskstation_ds414__iptables_Ln_jun_2015_legacyifacerules",
        "configs_synology_diskstation_ds414__iptables-save_jun_2015_legacyifacerules",
    ),
    (
        "configs_sqrl_shorewall__2014_sep_iptables-akachan-Lnv",
        "configs_sqrl_shorewall__2014_sep_iptables-saveakachan",
    ),
    (
        "configs_sqrl_shorewall__2015_aug_iptables-Lnv",
        "configs_sqrl_shorewall__2015_aug_iptables-save",
    ),
];

/// A table as iptables-save prints it, without counters; without interfaces where they are not told.
fn rules_of(ruleset: &Ruleset, table: TableName, interfaces: bool) -> Vec<String> {
    let Some(table) = ruleset.table(table) else { return Vec::new() };
    let mut lines = Vec::new();
    for chain in &table.chains {
        lines.push(format!(":{} {:?}", chain.name, chain.policy));
        for rule in &chain.rules {
            let line = print_rule(ruleset.family, table, &chain.name, rule);
            let mut words: Vec<&str> = line.split(' ').collect();
            while let (false, Some(at)) =
                (interfaces, words.iter().position(|word| matches!(*word, "-i" | "-o")))
            {
                let not = at > 0 && words[at - 1] == "!";
                words.drain(at - usize::from(not)..at + 2);
            }
            lines.push(words.join(" "));
        }
    }
    // User chains stand in another order.
    lines.sort_by_key(|line| line.split(' ').nth(1).map(String::from));
    lines
}

fn first_difference(name: &str, theirs: &[String], ours: &[String]) -> String {
    let mut both = theirs.iter().zip(ours).filter(|(theirs, ours)| theirs != ours);
    match both.next() {
        Some((theirs, ours)) => format!("{name}:\n  file:    {theirs}\n  listing: {ours}"),
        None => format!("{name}: {} lines, and {} of the listing", theirs.len(), ours.len()),
    }
}

#[test]
fn listings_have_the_rules_of_the_files_beside_them() {
    let (mut equal, mut rules, mut problems, mut absent) = (0, 0, Vec::new(), Vec::new());
    for (listing, saved) in PAIRS {
        let [listing_text, saved] =
            [listing, saved].map(|name| file(&format!("net-network/{name}")));
        let Some((text, saved)) = listing_text.zip(saved) else {
            return println!("skipped: no shared test material");
        };
        let file = match parse(&saved, family_of(&saved)) {
            Ok(file) => file,
            Err(faults) => {
                let others = faults.iter().find(|fault| !ABSENT.contains(&fault.code));
                problems.extend(others.map(|fault| fault.render(listing, &saved)));
                absent.push(listing);
                continue;
            }
        };
        match read(&text) {
            Ok(read) => {
                let interfaces =
                    !read.notes.iter().any(|note| note.text.contains("`in` and `out`"));
                let [theirs, ours] = [&file, &read.ruleset]
                    .map(|ruleset| rules_of(ruleset, TableName::Filter, interfaces));
                rules += ours.len();
                if theirs == ours {
                    equal += 1;
                } else {
                    problems.push(first_difference(listing, &theirs, &ours));
                }
            }
            Err(faults) => problems.push(faults[0].render(listing, &text)),
        }
    }
    println!("{equal} pairs alike ({rules} lines); matches missing for {absent:?}");
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// Pages of Docker's manual with the listing of a table and the rules that -S prints of it.
#[test]
fn listings_have_the_rules_that_the_same_page_prints_by_s() {
    let Some(names) = files("iptables-L") else { return println!("skipped: no shared material") };
    let (mut equal, mut problems) = (0, Vec::new());
    for name in names.iter().filter(|name| name.starts_with("docker/")) {
        let text = file(name).unwrap();
        let read = read(&text).unwrap();
        for saved in commands(&text) {
            let has = |chain: &str| saved.contains(&format!("-P {chain} "));
            let table = match (has("POSTROUTING"), has("PREROUTING")) {
                (true, _) => TableName::Nat,
                (false, true) => TableName::Raw,
                (false, false) => TableName::Filter,
            };
            // Of raw the page has no listing.
            if read.ruleset.table(table).is_none() && table == TableName::Raw {
                continue;
            }
            let saved = format!("*{}\n{saved}COMMIT\n", table.as_str());
            let file = parse(&saved, Family::V4)
                .unwrap_or_else(|faults| panic!("{}", faults[0].render(name, &saved)));
            let [theirs, ours] =
                [&file, &read.ruleset].map(|ruleset| rules_of(ruleset, table, true));
            if theirs == ours {
                equal += 1;
            } else {
                problems.push(first_difference(name, &theirs, &ours));
            }
        }
    }
    println!("{equal} tables alike");
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// The runs of lines that -S has printed.
fn commands(text: &str) -> Vec<String> {
    let mut runs = vec![String::new()];
    for line in text.lines() {
        let last = runs.last_mut().unwrap();
        if ["-P ", "-N ", "-A "].iter().any(|start| line.starts_with(start)) {
            last.push_str(line);
            last.push('\n');
        } else if !last.is_empty() {
            runs.push(String::new());
        }
    }
    runs.retain(|run| run.starts_with("-P "));
    runs
}

/// Our listing of a rule set, read back and printed: what the rule set itself prints.
fn there_and_back(name: &str, ruleset: &Ruleset, problems: &mut Vec<String>) {
    let how = List { verbose: true, numeric: true, exact: true, ..List::default() };
    let program = if ruleset.family == Family::V4 { "iptables" } else { "ip6tables" };
    let mut text = String::new();
    for table in ruleset.tables.iter().filter(|table| table.declared) {
        let table = table.name;
        text.push_str(&format!("# {program} -t {} -L -n -v -x\n", table.as_str()));
        text.push_str(&print_list(ruleset, table, None, how));
        text.push('\n');
    }
    if text.is_empty() {
        return;
    }
    match read(&text) {
        Ok(listing) => {
            let how = Print { counters: true, ..Print::default() };
            let [wanted, found] = [ruleset, &listing.ruleset].map(|ruleset| print(ruleset, how));
            if wanted != found {
                let mut lines = wanted.lines().zip(found.lines());
                let first = lines.find(|(wanted, found)| wanted != found);
                problems.push(format!("{name}: {first:?}"));
            }
            let notes = listing.notes.iter().map(|note| note.render(name, &text));
            problems.extend(notes.take(1));
        }
        Err(faults) => {
            // The name of hashlimit's table is in no listing.
            let told = |fault: &&Diagnostic| !fault.text.contains("`--hashlimit-name`");
            problems.extend(faults.iter().filter(told).take(3).map(|f| f.render(name, &text)));
        }
    }
}

#[test]
fn our_listings_of_the_shared_rule_sets_read_back() {
    let Some(names) = files("iptables-save") else {
        return println!("skipped: no shared material");
    };
    let (mut count, mut rules, mut problems) = (0, 0, Vec::new());
    for name in names {
        let Some(text) = file(&name) else { continue };
        let Ok(ruleset) = parse_bytes(text.as_bytes(), family_of(&text)) else { continue };
        count += 1;
        let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
        rules += chains.map(|chain| chain.rules.len()).sum::<usize>();
        there_and_back(&name, &ruleset, &mut problems);
    }
    println!("{count} files, {rules} rules, {} problems", problems.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn our_listings_of_the_rules_of_the_suite_read_back() {
    let Some(cases) = suite::all_cases() else { return println!("skipped: no shared material") };
    let (mut count, mut problems) = (0, Vec::new());
    for case in cases.iter().filter(|case| !case.fails && !says_less(&case.rule)) {
        let Ok(ruleset) = parse(&case.source(), case.family) else { continue };
        count += 1;
        let name = format!("{} ({})", case.place, case.rule);
        there_and_back(&name, &ruleset, &mut problems);
    }
    println!("{count} rules, {} problems", problems.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// Rules of which not even a listing with -n and -v says everything.
fn says_less(rule: &str) -> bool {
    // All ports of DCCP and any number of segments are not listed, and no different from none.
    let nothing = ["-m dccp --dport :", "--rt-segsleft :", "-m eui64"];
    // The name of its table is not listed; nor what the mask was made of.
    let lost = ["-m hashlimit", "-j HMARK --hmark-tuple"];
    nothing.iter().any(|end| rule.ends_with(end)) || lost.iter().any(|part| rule.contains(part))
}

/// What the tool lists, and what it saves, of some lines.
fn listed_and_saved(
    family: Family,
    table: &str,
    lines: &[String],
) -> Result<(String, String), String> {
    let source = format!("*{table}\n{}COMMIT\n", lines.concat());
    let script = format!("RESTORE && TOOL -t {table} -L -n -v -x && echo =cut= && SAVE -t {table}");
    let text = material::in_namespace(family, Tool::Nft, &script, &source)?;
    let (listed, saved) = text.split_once("=cut=\n").ok_or("no listing")?;
    let saved =
        saved.lines().filter(|line| line.starts_with("-A ")).map(|line| format!("{line}\n"));
    Ok((listed.into(), saved.collect()))
}

/// Judges lines that the tool takes: how many they are. Where they do not come back, each half of them.
fn judge(family: Family, table: &str, lines: &[String], problems: &mut Vec<String>) -> usize {
    let halves = || {
        let (left, right) = lines.split_at(lines.len() / 2);
        [left, right].into_iter().filter(|half| half.len() < lines.len() && !half.is_empty())
    };
    let Ok((listed, saved)) = listed_and_saved(family, table, lines) else {
        return halves().map(|half| judge(family, table, half, problems)).sum();
    };
    let program = if family == Family::V4 { "iptables" } else { "ip6tables" };
    let text = format!("# {program} -t {table} -L -n -v -x\n{listed}");
    let converted = iptables_list::convert(&text);
    let rules: Vec<String> = converted
        .text
        .lines()
        .filter_map(|line| Some(format!("{}\n", &line[line.find("-A ")?..])))
        .collect();
    let again = listed_and_saved(family, table, &rules);
    if converted.faults.is_empty() && again.as_ref().is_ok_and(|(_, again)| *again == saved) {
        return lines.len();
    }
    let [line] = lines else {
        return halves().map(|half| judge(family, table, half, problems)).sum();
    };
    let row = listed.lines().find(|row| row.trim_start().starts_with('0')).unwrap_or("");
    let again = match again {
        Ok((_, again)) => again,
        Err(error) => error,
    };
    problems.push(format!("{table} {}\n  {row}\n  -> {}  {again}\n", line.trim(), rules.concat()));
    1
}

#[test]
fn rows_of_the_tool_become_the_rules_that_it_has() {
    let Some(cases) = suite::cases_of(true) else { return println!("skipped: no shared material") };
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let (mut count, mut problems) = (0, Vec::new());
    for family in [Family::V4, Family::V6] {
        for table in TableName::ALL {
            let table = table.as_str();
            let lines: Vec<String> = cases
                .iter()
                .filter(|case| (case.family, case.table.as_str()) == (family, table))
                .filter(|case| !case.fails && !says_less(&case.rule))
                .filter(|case| !suite::MENDED_SINCE.contains(&case.rule.as_str()))
                .map(|case| format!("-A {} {}\n", case.chain, case.rule))
                .collect();
            count += judge(family, table, &lines, &mut problems);
        }
    }
    println!("{count} rules, {} problems", problems.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}
