//! The real rule sets of the shared test material: every one is carried through, and packets drawn from the sets
//! are decided as the sets say.

use super::ground::shared;
use keepstate_analysis::algebra::{Space, Way, way};
use keepstate_packet::Family;
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::syntax::iptables_save;
use std::path::{Path, PathBuf};

/// The rule files below a folder, that the parser takes.
pub(crate) fn rulesets(root: &Path) -> Vec<(PathBuf, Ruleset)> {
    let mut open = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    let read = files.into_iter().filter_map(|path| {
        let source = std::fs::read_to_string(&path).ok()?;
        if !source.lines().any(|line| line.starts_with('*')) {
            return None;
        }
        let six =
            source.contains("icmpv6") || source.contains("ip6tables") || source.contains("::/");
        let family = if six { Family::V6 } else { Family::V4 };
        Some((path, iptables_save::parse(&source, family).ok()?))
    });
    read.collect()
}

#[test]
fn every_real_rule_set_is_carried_through() {
    let Some(root) = shared("rulesets") else { return };
    let only = std::env::var("KEEPSTATE_ONLY").unwrap_or_default();
    let mut count = 0;
    for (path, ruleset) in rulesets(&root) {
        if !path.to_string_lossy().contains(&only) {
            continue;
        }
        let rules: usize = ruleset
            .tables
            .iter()
            .flat_map(|table| &table.chains)
            .map(|chain| chain.rules.len())
            .sum();
        let mut space = Space::new(ruleset.family, [&ruleset]).expect("a space");
        let mut told = String::new();
        for one in Way::ALL {
            let every = space.every();
            let outcome = way::follow(&mut space, &ruleset, one, &every);
            let outcome =
                outcome.unwrap_or_else(|why| panic!("{}: {one:?}: {why}", path.display()));
            // What goes on and what ends are all packets of the way, and no packet does both.
            let ended = outcome.ended(&space, |_| true).expect("ended");
            assert!(outcome.passed.and(&ended).expect("and").is_empty(), "{}", path.display());
            let all = outcome.passed.or(&ended).expect("or");
            assert_eq!(all, one.packets(&space).expect("way"), "{}", path.display());
            told.push_str(&format!(" {one:?} {} nodes", outcome.passed.nodes()));
        }
        count += 1;
        if rules > 500 || !only.is_empty() {
            println!("{rules} rules{told} {}", path.display());
        }
    }
    println!("{count} rule sets");
    assert!(count > 0);
}
