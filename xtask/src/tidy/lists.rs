//! Every extension file stands in the one plain list of its kind.

use super::{Breach, tree::Tree};

/// Folder of a kind of extension, and its list.
const LISTS: [(&str, &str); 5] = [
    ("crates/ruleset/src/matches/", "MATCHES"),
    ("crates/ruleset/src/targets/", "TARGETS"),
    ("crates/conntrack/src/proto/", "TRACKERS"),
    ("crates/conntrack/src/helpers/", "HELPERS"),
    ("crates/cli/src/commands/", "enum Command"),
];

/// Files beside the extensions that are none themselves.
const BESIDE: [&str; 4] = ["mod.rs", "tests.rs", "testing.rs", "parse.rs"];

pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (folder, list) in LISTS {
        let path = format!("{folder}mod.rs");
        let Some(index) = tree.file(&path) else { continue };
        let Some(entries) = index.text.split_once(list).map(|(_, after)| after) else {
            breaches.push(Breach::new(path, format!("has no list `{list}`")));
            continue;
        };
        let files = tree.rust().filter_map(|f| f.path.strip_prefix(folder));
        for file in files.filter(|f| !f.contains('/') && !BESIDE.contains(f)) {
            let module = file.trim_end_matches(".rs");
            if !entries.contains(&format!("{module}::")) {
                breaches.push(Breach::new(
                    format!("{folder}{file}"),
                    format!("does not stand in `{list}`"),
                ));
            }
        }
    }
    breaches
}
