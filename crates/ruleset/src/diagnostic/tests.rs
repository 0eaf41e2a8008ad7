use super::*;

#[test]
fn every_code_has_a_page_and_stands_once() {
    let codes: Vec<u16> = code::ALL.iter().map(|entry| entry.code.0).collect();
    assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    for entry in code::ALL {
        let page = page(entry.code).unwrap();
        assert!(page.len() > 150 && page.starts_with(entry.title), "{page}");
    }
    assert_eq!(page(Code(9999)), None);
}

#[test]
fn the_examples_of_the_pages_are_refused_for_that_and_loaded() {
    use crate::syntax::iptables_save::parse;
    for entry in code::ALL.iter().filter(|entry| !entry.wrong.is_empty()) {
        let faults = parse(entry.wrong, keepstate_packet::Family::V4).unwrap_err();
        let codes: Vec<Code> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, [entry.code], "{}", entry.wrong);
        let right = parse(entry.right, keepstate_packet::Family::V4);
        assert!(right.is_ok(), "{}: {:?}", entry.right, right.unwrap_err());
    }
}

#[test]
fn a_fault_shows_its_place() {
    let source = "*filter\n-A INPUT -p tpc\nCOMMIT\n";
    let fault =
        Diagnostic::new(code::UNKNOWN_PROTOCOL, Span { start: 20, end: 23 }, "no such protocol")
            .label(Span { start: 0, end: 7 }, "in this table")
            .help("did you mean `-p tcp`?");
    let expected = "rules:2:13-15: error[KS0403]: no such protocol\n  \
                    2 | -A INPUT -p tpc\n    |             ^^^\n  \
                    1 | *filter\n    | ------- in this table\n  \
                    help: did you mean `-p tcp`?\n";
    assert_eq!(fault.render("rules", source), expected);
}

#[test]
fn columns_count_characters_and_long_lines_are_cut() {
    let source = alloc::format!("ä {} ende", "x".repeat(500));
    let start = source.find("ende").unwrap() as u32;
    let fault = Diagnostic::new(code::STRAY_WORD, Span { start, end: start + 4 }, "t");
    let text = fault.render("f", &source);
    assert!(text.starts_with("f:1:504-507: "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() < 200), "{text}");
}

#[test]
fn the_nearest_word() {
    let words = ["conntrack", "connmark", "comment", "limit", "tcp"];
    for (word, near) in [
        ("contrack", Some("conntrack")),
        ("coment", Some("comment")),
        ("limti", Some("limit")),
        ("TCP", Some("tcp")),
        ("tpc", Some("tcp")),
        ("zebra", None),
        ("x", None),
    ] {
        assert_eq!(nearest(word, words.into_iter()), near, "{word}");
    }
}

#[test]
fn lines_are_found_by_their_first_byte() {
    let lines = Lines::of("a\nbc\n\nd");
    let line = |start, end| lines.line(Span { start, end });
    assert_eq!([line(0, 1), line(2, 4), line(3, 4), line(6, 7)].map(Option::unwrap), [1, 2, 2, 4]);
    assert_eq!(line(3, 3), None);
}
