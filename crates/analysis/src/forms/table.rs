//! The lines of a rule file around its rules: `*filter` and `COMMIT`.

use crate::answer::{Answer, Topic};

/// A table: its name, what it is for, and when it is asked.
const TABLES: [(&str, &str, &str); 5] = [
    (
        "raw",
        "for what is decided before tracking: exempting packets, zones, helpers, timeout policies",
        "at PREROUTING and OUTPUT with priority -300, before connection tracking (-200)",
    ),
    (
        "mangle",
        "for changing packets and their marks",
        "at all five hooks with priority -150, behind connection tracking",
    ),
    (
        "nat",
        "for translating addresses; only the first packet of a connection is looked up in it",
        "at PREROUTING and OUTPUT with priority -100 (DNAT), at INPUT and POSTROUTING with 100 (SNAT)",
    ),
    (
        "filter",
        "for letting packets through or not",
        "at INPUT, FORWARD and OUTPUT with priority 0",
    ),
    (
        "security",
        "for marks of mandatory access control (SELinux)",
        "at INPUT, FORWARD and OUTPUT with priority 50, behind the filter table",
    ),
];

/// Whether a line is one of these.
#[must_use]
pub fn is_line(line: &str) -> bool {
    line == "COMMIT" || named(line).is_some()
}

fn named(line: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let name = line.strip_prefix('*')?.trim_end();
    TABLES.iter().find(|(table, ..)| *table == name)
}

/// Explains such a line.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let mut answer = Answer::new(input, "iptables-save-table");
    let Some((name, what, when)) = named(line) else {
        answer.say(Topic::Form, "form.commit", "The end of a table in a rule file.");
        answer.say(
            Topic::Effect,
            "table.commit",
            "iptables-restore puts the table into force here, all of it at once: until this line \
             nothing of it has changed, and a fault above it leaves its old rules where they are.",
        );
        return Some(answer);
    };
    answer.say(
        Topic::Form,
        "form.table",
        "The head of a table in a rule file: the lines down to COMMIT are its chains and rules.",
    );
    answer.say(
        Topic::Effect,
        "table.what",
        format!("The table {name} is {what}. It is asked {when}."),
    );
    answer.say(
        Topic::Effect,
        "table.replaced",
        "iptables-restore empties the table before it reads the lines below; with --noflush it adds \
         to what is there.",
    );
    Some(answer)
}
