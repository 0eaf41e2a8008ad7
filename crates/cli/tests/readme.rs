//! What the README shows is what its commands print.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of the README that stand in front of a block, and the block: what the last one prints.
fn shown(readme: &str) -> Vec<(Vec<&str>, &str)> {
    let mut shown = Vec::new();
    let mut rest = readme;
    while let Some(at) = rest.find("\n\n```\n") {
        let (before, block) = rest.split_at(at);
        let block = &block["\n\n```\n".len()..];
        let end = block.find("```").unwrap_or(block.len());
        let lines = before.rsplit('\n').map_while(|line| line.strip_prefix("    "));
        let mut commands: Vec<_> = lines.collect();
        commands.reverse();
        if !commands.is_empty() {
            shown.push((commands, &block[..end]));
        }
        rest = &block[end..];
    }
    shown
}

/// What a command prints where there are the examples and nothing else.
fn printed(command: &str, at: &Path) -> Vec<String> {
    let words = command.strip_prefix("cargo run --release -- ");
    let words = words.or(command.strip_prefix("keepstate ")).expect(command);
    // What stands in quotes is one word.
    let words = words.split('\'').enumerate().flat_map(|(at, part)| match at % 2 {
        0 => part.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    let output = Command::new(env!("CARGO_BIN_EXE_keepstate"))
        .args(words)
        .current_dir(at)
        .env_remove("COLUMNS")
        .output()
        .expect("keepstate");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).expect("UTF-8");
    printed.lines().map(without_speed).collect()
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
    let at = std::env::temp_dir().join(format!("keepstate-readme-{}", std::process::id()));
    std::fs::create_dir(&at).expect("a directory");
    std::os::unix::fs::symlink(root().join("examples"), at.join("examples")).expect("a link");
    for (commands, block) in shown {
        let all: Vec<_> = commands.iter().map(|command| printed(command, &at)).collect();
        let (command, printed) = (commands[commands.len() - 1], &all[all.len() - 1]);
        let mut from = 0;
        // `...` stands for lines left out.
        for line in block.lines().filter(|line| *line != "...") {
            let line = without_speed(line);
            let at = printed[from..].iter().position(|printed| *printed == line);
            from += 1 + at.unwrap_or_else(|| panic!("{command} prints no line\n{line}"));
        }
    }
    std::fs::remove_dir_all(&at).expect("removed");
}
