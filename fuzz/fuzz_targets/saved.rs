//! Any text as a saved table, and behind a line of `%` any lines as commands of conntrack(8) on it:
//! what the table comes to is written and read back the same.
#![no_main]

use keepstate_conntrack::command::{self, run::Printed};
use keepstate_conntrack::flow::LabelNames;
use keepstate_conntrack::saved::{self, SavedTable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (table, commands) = text.split_once("\n%\n").unwrap_or((text, ""));
    let Ok(contents) = saved::read(table) else { return };
    let mut table = SavedTable::new(contents);
    let names = LabelNames(vec![(1, String::from("one")), (127, String::from("last"))]);
    for line in commands.lines().take(64) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut printed = Printed::default();
        match command::parse(&words, Some(&names), &mut printed.err) {
            Ok(command) => {
                command::run::run(&command, &mut table, Some(&names), None, &mut printed);
            }
            Err(fault) => printed.fail(&fault),
        }
    }
    let text = table.text();
    let again = saved::read(&text).unwrap_or_else(|(line, e)| panic!("line {line}: {e}\n{text}"));
    assert_eq!(again, table.contents(), "{text}");
});
