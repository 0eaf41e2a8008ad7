//! The cases of iptables' own suite (shared test material) for the matches and targets that are
//! here: a rule with the text it is saved as, or that it is refused.

mod material;

use keepstate_packet::Family;
use keepstate_ruleset::matches::MATCHES;
use keepstate_ruleset::syntax::iptables_save::{Print, parse, print};
use keepstate_ruleset::targets::TARGETS;
use material::Tool;

/// A line of a file, for one chain and one family.
struct Case {
    place: String,
    family: Family,
    table: String,
    chain: String,
    rule: String,
    saved: String,
    fails: bool,
}

/// Rules that iptables-restore refuses (a word that begins with `-` and holds a `t`), while the
/// iptables command, which the suite calls, takes them.
const COMMAND_ONLY: [&str; 1] = ["-ptcp -s1.2.3.4 -d5.6.7.8/32 -ieth0 -oeth1 -jACCEPT"];

/// Rules that iptables 1.8.9 saves wrongly (the second one with its match lost); 1.8.11 and its suite
/// are right.
const MENDED_SINCE: [&str; 3] = [
    "-p icmp -m icmp --icmp-type 255/255",
    "-p udp -m udp ! --sport :",
    "-p udp -m udp ! --dport :",
];

fn families(file: &str) -> Option<(&str, &'static [Family])> {
    let stem = file.strip_suffix(".t")?;
    let (name, families): (_, &[Family]) = if let Some(name) = stem.strip_prefix("libxt_") {
        (name, &[Family::V4, Family::V6])
    } else if let Some(name) = stem.strip_prefix("libipt_") {
        (name, &[Family::V4])
    } else if let Some(name) = stem.strip_prefix("libip6t_") {
        (name, &[Family::V6])
    } else {
        (stem, &[Family::V4, Family::V6])
    };
    let known = MATCHES.iter().any(|one| one.name == name)
        || TARGETS.iter().any(|one| one.name == name)
        || matches!(name, "standard" | "iptables");
    (known && !stem.starts_with("libebt") && !stem.starts_with("libarpt"))
        .then_some((name, families))
}

fn cases(file: &str, text: &str, families: &[Family]) -> Vec<Case> {
    let (mut cases, mut chains, mut table) = (Vec::new(), String::from("INPUT"), "filter");
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with(['#', '@', '%']) {
            continue;
        } else if let Some(list) = line.strip_prefix(':') {
            chains = list.into();
        } else if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else {
            let columns: Vec<&str> = line.split(';').collect();
            let [rule, saved, result, ..] = columns.as_slice() else { continue };
            if COMMAND_ONLY.contains(rule) {
                continue;
            }
            for family in families {
                for chain in chains.split(',') {
                    cases.push(Case {
                        place: format!("{file}:{}", number + 1),
                        family: *family,
                        table: table.into(),
                        chain: chain.into(),
                        rule: (*rule).into(),
                        saved: if *saved == "=" { (*rule).into() } else { (*saved).into() },
                        fails: *result != "OK",
                    });
                }
            }
        }
    }
    cases
}

impl Case {
    fn source(&self) -> String {
        format!("*{}\n-A {} {}\nCOMMIT\n", self.table, self.chain, self.rule)
    }

    fn expected(&self) -> String {
        format!("-A {} {}", self.chain, self.saved).trim_end().into()
    }

    /// What is wrong, if anything.
    fn judge(&self) -> Option<String> {
        let source = self.source();
        let ours = parse(&source, self.family);
        let problem = match (ours, self.fails) {
            (Ok(_), true) => Some("read, but must be refused".into()),
            (Err(faults), false) => Some(faults[0].render("case", &source)),
            (Err(_), true) => None,
            (Ok(ruleset), false) => {
                let text = print(&ruleset, Print::default());
                let found = text.lines().any(|line| line == self.expected());
                (!found).then(|| format!("printed as\n{text}instead of\n{}", self.expected()))
            }
        };
        problem.map(|problem| format!("{} ({}): {problem}", self.place, self.rule))
    }
}

fn all_cases() -> Option<Vec<Case>> {
    let folder = material::folder("suites/iptables-1.8.11")?;
    let mut files: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().collect();
    files.sort_by_key(|file| file.file_name());
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().into_string().ok()?;
        if let Some((_, families)) = families(&name) {
            let text = std::fs::read_to_string(file.path()).ok()?;
            all.extend(cases(&name, &text, families));
        }
    }
    Some(all)
}

#[test]
fn iptables_own_cases() {
    let Some(cases) = all_cases() else { return println!("skipped: no shared test material") };
    let problems: Vec<String> = cases.iter().filter_map(Case::judge).collect();
    println!("{} of {} cases as the suite has them", cases.len() - problems.len(), cases.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

/// The same lines, judged by this machine's tools instead of by the suite's own column.
#[test]
fn iptables_own_cases_as_this_machine_has_them() {
    let Some(cases) = all_cases() else { return println!("skipped: no shared test material") };
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let mut problems = Vec::new();
    for case in cases.iter().filter(|case| !case.fails) {
        if MENDED_SINCE.contains(&case.rule.as_str()) {
            continue;
        }
        let source = case.source();
        let theirs = material::restore_and_save(case.family, Tool::Nft, &source, false);
        let ours = parse(&source, case.family).map(|ruleset| print(&ruleset, Print::default()));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours != theirs => {
                problems
                    .push(format!("{}: {}\nours:\n{ours}theirs:\n{theirs}", case.place, case.rule));
            }
            (Err(_), Ok(_)) => problems.push(format!("{}: refused: {}", case.place, case.rule)),
            _ => {}
        }
    }
    println!("{} cases, {} differences", cases.len(), problems.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
