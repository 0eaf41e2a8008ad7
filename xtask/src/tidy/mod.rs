//! The house rules as a test. Each rule is a function from the tree to its breaches; a breach names
//! its place and what to do instead.

mod arrows;
mod lists;
mod source;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One breach of a rule.
pub(crate) struct Breach {
    pub(crate) place: String,
    pub(crate) text: String,
}

impl Breach {
    pub(crate) fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Runs every rule and prints the breaches.
pub(crate) fn run(root: &Path) -> ExitCode {
    let breaches = breaches(root);
    for breach in &breaches {
        println!("{}: {}", breach.place, breach.text);
    }
    if breaches.is_empty() {
        println!("tidy: no breach");
        ExitCode::SUCCESS
    } else {
        println!("tidy: {} breaches", breaches.len());
        ExitCode::FAILURE
    }
}

fn breaches(root: &Path) -> Vec<Breach> {
    let tree = tree::Tree::read(root);
    let mut all = arrows::check(&tree);
    all.extend(lists::check(&tree));
    all.extend(source::check(&tree));
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let breaches = super::breaches(&super::root());
        let text: Vec<String> =
            breaches.iter().map(|b| format!("{}: {}", b.place, b.text)).collect();
        assert!(text.is_empty(), "{}", text.join("\n"));
    }
}
