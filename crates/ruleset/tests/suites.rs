//! The cases of iptables' own suite (shared test material) for the matches and targets that are
//! here: a rule with the text it is saved as, or that it is refused.

mod material;

use keepstate_ruleset::needs::Needs;
use keepstate_ruleset::syntax::iptables_save::{Print, parse, print};
use material::Tool;
use material::suite::{Case, MENDED_SINCE, all_cases};

fn expected(case: &Case) -> String {
    format!("-A {} {}", case.chain, case.saved).trim_end().into()
}

/// Whether something has to be there that is in no rule.
fn wants(needs: &Needs) -> bool {
    !needs.sets.is_empty() || !needs.accounts.is_empty()
}

/// What is wrong, if anything.
fn judge(case: &Case) -> Option<String> {
    let source = case.source();
    let ours = parse(&source, case.family);
    let problem = match (ours, case.fails) {
        // There are no sets and accounting objects: the real tool asks the kernel for them, and here they
        // are asked of `needs`.
        (Ok(ruleset), true) if wants(&ruleset.needs()) => None,
        (Ok(_), true) => Some("read, but must be refused".into()),
        (Err(faults), false) => Some(faults[0].render("case", &source)),
        (Err(_), true) => None,
        (Ok(ruleset), false) => {
            let text = print(&ruleset, Print::default());
            let found = text.lines().any(|line| line == expected(case));
            (found == case.legacy_only)
                .then(|| format!("printed as\n{text}instead of\n{}", expected(case)))
        }
    };
    problem.map(|problem| format!("{} ({}): {problem}", case.place, case.rule))
}

#[test]
fn iptables_own_cases() {
    let Some(cases) = all_cases() else { return println!("skipped: no shared test material") };
    let problems: Vec<String> = cases.iter().filter_map(judge).collect();
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
