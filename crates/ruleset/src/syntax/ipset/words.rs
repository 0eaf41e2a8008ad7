//! The words of a line of a `save` file.

use alloc::{string::String, vec::Vec};

/// Most bytes of a line, as with ipset(8).
pub const LINE_MAX: usize = 1023;

/// The words of a line. A double quote begins or ends a stretch in which blanks are no end of a word;
/// nothing takes its meaning away. A word of nothing is none, and a word whose quote is not closed is
/// lost, as with ipset(8).
#[must_use]
pub fn of_line(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c' if !quoted => {
                if !word.is_empty() {
                    words.push(core::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() && !quoted {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(of_line("add a 1 comment \"x y\""), ["add", "a", "1", "comment", "x y"]);
        assert_eq!(of_line("  a\t\"\" b\r\n"), ["a", "b"]);
        assert_eq!(of_line("comment \"x \"y\""), ["comment"]);
        assert_eq!(of_line("x\"y z\"w"), ["xy zw"]);
    }
}
