//! The pages of docs/ that are whole answers are what their commands print.

use std::path::Path;
use std::process::Command;

/// A page: its file, its title, what it is, and the command; `KEEPSTATE_BLESS=1` writes it anew.
const PAGES: [(&str, &str, &str, &str); 3] = [
    (
        "explain.md",
        "A rule set told: a whole answer",
        "What `keepstate explain` says of the rules of an office's gateway: first in short, then chain by chain.",
        "explain examples/rules/office.rules",
    ),
    (
        "trace.md",
        "The way of a packet: a whole answer",
        "What `keepstate trace` says of the packets of a connection through a masquerading gateway, up to a segment \
         that its windows do not admit, and what comes of it.",
        "trace --rules examples/rules/masquerade.rules --host examples/masquerade.toml --packets \
         examples/packets/invalid.packets",
    ),
    (
        "diff.md",
        "What a change of rules changes: a whole answer",
        "What `keepstate diff` says of a gateway without and with the two rules that drop what is INVALID.",
        "diff examples/rules/masquerade.rules examples/rules/masquerade-invalid.rules",
    ),
];

#[test]
fn the_pages_of_whole_answers_are_what_their_commands_print() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (file, title, about, command) in PAGES {
        let output = Command::new(env!("CARGO_BIN_EXE_keepstate"))
            .args(command.split(' '))
            .current_dir(&root)
            .env_remove("COLUMNS")
            .output()
            .expect("keepstate");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        let page = format!(
            "# {title}\n\n{about}\nA test prints it anew.\n\n    keepstate {command}\n\n```\n{}\n```\n",
            printed.trim_end()
        );
        let path = root.join("docs").join(file);
        if std::env::var_os("KEEPSTATE_BLESS").is_some() {
            std::fs::write(&path, &page).expect("written");
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        for (found, wanted) in page.lines().zip(wanted.lines()) {
            assert_eq!(found, wanted, "{file}");
        }
        let accept = "to accept: KEEPSTATE_BLESS=1 cargo test -p keepstate-cli --test pages";
        assert_eq!(page, wanted, "{file}; {accept}");
    }
}
