//! `iptables -L` in all its forms, beside this machine's own: the rules of iptables' own suite and the
//! shared rule sets, through the nf_tables tool and the legacy one.

mod material;

use keepstate_packet::Family;
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_list::{List, print_list};
use keepstate_ruleset::syntax::iptables_save::{family_of, parse, parse_bytes};
use material::Tool;
use material::suite::{self, MENDED_SINCE};

/// The forms: words for the tool, and the same for us.
fn forms() -> [(&'static str, List); 5] {
    let plain = List::default();
    let numeric = List { numeric: true, ..plain };
    let verbose = List { verbose: true, line_numbers: true, ..numeric };
    [
        ("-L", plain),
        ("-L -n", numeric),
        ("-L -v", List { verbose: true, ..plain }),
        ("-L -n -v --line-numbers", verbose),
        ("-L -n -v -x", List { exact: true, line_numbers: false, ..verbose }),
    ]
}

/// What stands between the listings of a table.
const CUT: &str = "=cut=";

/// The listings of some tables as the tool prints them. Names of addresses are looked up nowhere: the
/// files that hold some are empty there.
fn theirs(
    family: Family,
    tool: Tool,
    rules: &str,
    tables: &[TableName],
) -> Result<Vec<String>, String> {
    let mut script = String::from(
        "for file in hosts networks resolv.conf; do mount --bind /dev/null /etc/$file; done; \
         RESTORE -c || exit 1;",
    );
    for table in tables {
        for (words, _) in forms() {
            script.push_str(&format!("TOOL -t {} {words}; echo {CUT};", table.as_str()));
        }
    }
    let text = material::in_namespace(family, tool, &script, rules)?;
    Ok(text.split(&format!("{CUT}\n")).map(String::from).collect())
}

/// Reports the lines that differ.
fn compare(
    name: &str,
    ruleset: &Ruleset,
    tool: Tool,
    rules: &str,
    problems: &mut Vec<String>,
) -> usize {
    let tables: Vec<TableName> = ruleset.tables.iter().map(|table| table.name).collect();
    let theirs = match theirs(ruleset.family, tool, rules, &tables) {
        Ok(theirs) => theirs,
        Err(error) => {
            problems.push(format!("{name}: they refuse: {}", error.trim()));
            return 0;
        }
    };
    let mut equal = 0;
    let mut theirs = theirs.iter();
    for table in tables {
        for (words, how) in forms() {
            let theirs = theirs.next().map_or("", String::as_str);
            let ours = print_list(ruleset, table, None, how);
            if ours == theirs {
                equal += 1;
                continue;
            }
            let lines = theirs.lines().zip(ours.lines()).filter(|(theirs, ours)| theirs != ours);
            let shown: String = lines
                .take(3)
                .map(|(theirs, ours)| format!("  theirs: {theirs}\n  ours:   {ours}\n"))
                .collect();
            problems.push(format!("{name} {words} -t {}:\n{shown}", table.as_str()));
        }
    }
    equal
}

/// Rules that the tools of version 1.8.9 list in another way than they are; the legacy one keeps
/// `-i +`, any interface, where the other forgets it, and lists a match without options (`eui64`).
fn known(tool: Tool, rule: &str) -> bool {
    let any = ["-i +", "-o +", "-i+", "-o+"];
    let plus = |any: &&str| rule.ends_with(*any) || rule.contains(&format!("{any} "));
    let legacy = rule == "-m eui64" || any.iter().any(plus);
    MENDED_SINCE.contains(&rule) || tool == Tool::Legacy && legacy
}

#[test]
fn rules_of_the_suite_are_listed_as_this_machine_lists_them() {
    let Some(cases) = suite::all_cases() else { return println!("skipped: no shared material") };
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let (mut equal, mut rules, mut problems) = (0, 0, Vec::new());
    for family in [Family::V4, Family::V6] {
        for table in TableName::ALL {
            for tool in [Tool::Nft, Tool::Legacy] {
                let of_table = |case: &&suite::Case| {
                    let here = (case.family, case.table.as_str()) == (family, table.as_str());
                    let differs = case.legacy_differs && tool == Tool::Legacy;
                    here && !case.fails && !differs && !known(tool, &case.rule)
                };
                let lines: Vec<String> = cases
                    .iter()
                    .filter(of_table)
                    .map(|case| format!("-A {} {}\n", case.chain, case.rule))
                    .filter(|line| {
                        let one = format!("*{}\n{line}COMMIT\n", table.as_str());
                        material::restore_and_save(family, tool, &one, false).is_ok()
                    })
                    .collect();
                if lines.is_empty() {
                    continue;
                }
                rules += lines.len();
                let source = format!("*{}\n{}COMMIT\n", table.as_str(), lines.concat());
                let ruleset = parse(&source, family).unwrap();
                let name = format!("{family:?} {}", table.as_str());
                equal += compare(&name, &ruleset, tool, &source, &mut problems);
            }
        }
    }
    println!("{rules} rules, {equal} listings equal, {} different", problems.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn shared_rule_sets_are_listed_as_this_machine_lists_them() {
    let Some(folder) = material::folder("rulesets") else {
        return println!("skipped: no shared test material");
    };
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let (mut equal, mut files, mut problems) = (0, 0, Vec::new());
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns[1] != "iptables-save" || !columns[9].contains("nft=yes") {
            continue;
        }
        let bytes = std::fs::read(folder.join(columns[0])).unwrap();
        let Ok(text) = String::from_utf8(bytes.clone()) else { continue };
        let Ok(ruleset) = parse_bytes(&bytes, family_of(&text)) else { continue };
        files += 1;
        let tool = if files % 2 == 0 { Tool::Nft } else { Tool::Legacy };
        equal += compare(columns[0], &ruleset, tool, &text, &mut problems);
    }
    println!("{files} files, {equal} listings equal, {} different", problems.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}
