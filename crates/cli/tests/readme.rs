//! What the README shows is what its commands print.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each command of the README that ends a paragraph, with the block behind it.
fn shown(readme: &str) -> Vec<(&str, &str)> {
    let mut shown = Vec::new();
    let mut rest = readme;
    while let Some(at) = rest.find("\n\n```\n") {
        let (before, block) = rest.split_at(at);
        let block = &block["\n\n```\n".len()..];
        let end = block.find("```").unwrap_or(block.len());
        let command = before.rsplit('\n').next().and_then(|line| line.strip_prefix("    "));
        shown.extend(command.map(|command| (command, &block[..end])));
        rest = &block[end..];
    }
    shown
}

/// A word that differs from run to run: packets a second.
fn without_speed(line: &str) -> String {
    match line.split_once("bytes), ") {
        Some((before, _)) => before.to_owned(),
        None => line.to_owned(),
    }
}

#[test]
fn commands_print_what_the_readme_shows() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let shown = shown(&readme);
    assert!(shown.len() >= 2, "{shown:?}");
    for (command, block) in shown {
        let words = command.strip_prefix("cargo run --release -- ");
        let words = words.or(command.strip_prefix("keepstate ")).expect(command);
        let output = Command::new(env!("CARGO_BIN_EXE_keepstate"))
            .args(words.split(' '))
            .current_dir(root())
            .output()
            .expect("keepstate");
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).expect("UTF-8");
        let printed: Vec<_> = printed.lines().map(without_speed).collect();
        let mut from = 0;
        // `...` stands for lines left out.
        for line in block.lines().filter(|line| *line != "...") {
            let line = without_speed(line);
            let at = printed[from..].iter().position(|printed| *printed == line);
            from += 1 + at.unwrap_or_else(|| panic!("{command} prints no line\n{line}"));
        }
    }
}
