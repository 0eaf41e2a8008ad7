//! Who may depend on whom, and what each crate's root must say of itself.

use super::{Breach, tree::Tree};

/// A crate and the crates of the house that it may depend on.
const ARROWS: [(&str, &[&str]); 8] = [
    ("packet", &[]),
    ("conntrack", &["packet"]),
    ("ruleset", &["packet", "conntrack"]),
    ("engine", &["packet", "conntrack", "ruleset"]),
    ("analysis", &["engine", "ruleset", "conntrack", "packet"]),
    ("datapath", &["engine", "packet"]),
    ("oracle", &["engine", "datapath", "ruleset", "conntrack", "packet"]),
    ("cli", &["packet", "conntrack", "ruleset", "engine", "analysis", "datapath", "oracle"]),
];

/// The crates without I/O.
const CORE: [&str; 4] = ["packet", "conntrack", "ruleset", "engine"];

pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let manifests = tree.files.iter().filter_map(|f| {
        let name = f.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        Some((name, f))
    });
    for (name, manifest) in manifests {
        match ARROWS.iter().find(|(n, _)| *n == name) {
            None => breaches.push(Breach::new(
                &manifest.path,
                "a crate that the house does not know: it needs a decision record and an entry here",
            )),
            Some((_, allowed)) => breaches.extend(arrows_of(&manifest.path, &manifest.text, allowed)),
        }
    }
    for (name, _) in ARROWS {
        breaches.extend(root_of(tree, name));
    }
    breaches
}

fn arrows_of(path: &str, manifest: &str, allowed: &[&str]) -> Vec<Breach> {
    let Ok(manifest) = manifest.parse::<toml::Table>() else {
        return vec![Breach::new(path, "not TOML")];
    };
    let sections = ["dependencies", "build-dependencies"];
    let names = sections.iter().filter_map(|s| manifest.get(*s)?.as_table()).flat_map(|t| t.keys());
    names
        .filter_map(|n| n.strip_prefix("keepstate-"))
        .filter(|n| !allowed.contains(n))
        .map(|n| Breach::new(path, format!("an arrow to `{n}` is against the house")))
        .collect()
}

fn root_of(tree: &Tree, name: &str) -> Vec<Breach> {
    let file = if name == "cli" { "main.rs" } else { "lib.rs" };
    let path = format!("crates/{name}/src/{file}");
    let Some(root) = tree.file(&path) else {
        return vec![Breach::new(path, "missing")];
    };
    let mut wanted = Vec::new();
    if CORE.contains(&name) {
        wanted.push("#![no_std]");
    }
    wanted.push(if name == "datapath" {
        "#![deny(unsafe_code)]"
    } else {
        "#![forbid(unsafe_code)]"
    });
    wanted
        .into_iter()
        .filter(|w| !root.text.contains(w))
        .map(|w| Breach::new(&path, format!("must say `{w}`")))
        .collect()
}
