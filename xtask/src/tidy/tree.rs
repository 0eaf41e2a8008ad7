//! The files of the repository, read once.

use std::fs;
use std::path::Path;

/// A text file: its path from the root with `/`, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Test code, benchmarks and examples: the limits on size and panics do not hold there.
    pub(crate) fn is_test(&self) -> bool {
        let p = &self.path;
        p.ends_with("/tests.rs")
            || p.ends_with("_tests.rs")
            || ["/tests/", "/benches/", "/examples/", "fuzz/"].iter().any(|d| p.contains(d))
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// The tree, in path order.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

const TEXT: [&str; 10] = ["rs", "md", "toml", "sh", "yml", "yaml", "txt", "rules", "list", "run"];
const SKIPPED: [&str; 6] = ["target", ".git", "corpus", "artifacts", "coverage", "captures"];

impl Tree {
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        walk(root, "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|f| f.is_rust())
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }
}

fn walk(directory: &Path, prefix: &str, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if entry.path().is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(&entry.path(), &path, files);
            }
        } else if (TEXT.iter().any(|e| name.ends_with(&format!(".{e}"))) || path == ".ci/run")
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
}
