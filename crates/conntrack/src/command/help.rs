//! What `conntrack -h` prints: what there is to say, from the same lists that options are read by.

use super::options::{LONG, VERBS};
use super::{VERSION, Verb};
use alloc::format;
use alloc::string::String;

const PURPOSE: [(Verb, &str); 12] = [
    (Verb::List, "list the entries of a table"),
    (Verb::Get, "show one entry"),
    (Verb::Create, "make an entry"),
    (Verb::Add, "make an entry, unless it is there"),
    (Verb::Update, "change entries"),
    (Verb::Delete, "forget entries"),
    (Verb::Flush, "forget all entries"),
    (Verb::Event, "print what happens"),
    (Verb::Count, "print how many entries there are"),
    (Verb::Stats, "print counters"),
    (Verb::Version, "print the version whose ways these are"),
    (Verb::Help, "print this"),
];

/// The usage.
pub(super) fn text() -> String {
    let mut out = format!(
        "The connection table from outside, as conntrack(8) {VERSION} shows it.\n\
         Usage: conntrack VERB [TABLE] [OPTIONS]\n       conntrack -R FILE\n\n\
         Tables: conntrack (the default), expect, dying, unconfirmed\n\nVerbs:\n"
    );
    for (verb, purpose) in PURPOSE {
        let letter = VERBS.iter().find(|(_, known, _)| *known == verb).map_or(b'?', |(l, ..)| *l);
        let long = LONG.iter().find(|long| long.letter == u16::from(letter));
        let name = long.map_or("", |long| long.name);
        out.push_str(&format!("  -{}, --{name:<10} {purpose}\n", char::from(letter)));
    }
    out.push_str("  -R, --load-file  run the commands of a file\n\nOptions:\n");
    let options =
        LONG.iter().filter(|long| VERBS.iter().all(|(l, ..)| u16::from(*l) != long.letter));
    for long in options {
        let letter = u8::try_from(long.letter).ok().filter(u8::is_ascii_alphabetic);
        let short =
            letter.map_or_else(|| String::from("    "), |l| format!("-{}, ", char::from(l)));
        out.push_str(&format!("  {short}--{}\n", long.name));
    }
    out.push_str("\nEach protocol of -p has options of its own: see conntrack(8).\n");
    out
}
