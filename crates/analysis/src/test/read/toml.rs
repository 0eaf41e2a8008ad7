//! A test file in TOML: the settings are keys, each test a table `[[test]]` with `name` and `packets`.

use super::super::markdown::{Piece, span};
use super::File;
use keepstate_ruleset::diagnostic::nearest;
use keepstate_ruleset::model::Span;
use std::ops::Range;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, de::DeString};

/// Keys with the setting of the Markdown form that each is, and the block that holds the same.
const KEYS: [(&str, &str, &str); 8] = [
    ("rules", "Rules", "rules"),
    ("rules6", "Rules6", "rules6"),
    ("host", "Host", "host"),
    ("sysctl", "Sysctl", "sysctl"),
    ("local", "Local", "local"),
    ("sets", "Sets", "ipset"),
    ("tracking", "Tracking", ""),
    ("host-answers", "Host answers", ""),
];
/// The key of the tests, and those that a test has besides.
const TEST: &str = "test";
const NAME: &str = "name";
const PACKETS: &str = "packets";
/// What is told of a text that is not in the file as it is meant.
const ESCAPED: &str = "write it in single quotes ('...' or '''...'''), in which nothing is escaped";

type Entry<'t> = (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>);

impl<'s> File<'s> {
    /// Reads all of it.
    pub(super) fn toml(&mut self) {
        let parsed = DeTable::parse(self.source);
        let table = match &parsed {
            Ok(table) => table.get_ref(),
            Err(error) => {
                let end = self.source.len();
                let place = error.span().unwrap_or(0..end);
                self.fault(placed(place), error.message().trim().to_owned());
                return;
            }
        };
        for (key, value) in in_order(table) {
            if key.get_ref() != TEST {
                self.toml_setting(key, value, &[TEST]);
            }
        }
        let Some(tests) = table.get(TEST) else { return };
        let DeValue::Array(tests) = tests.get_ref() else {
            self.fault(placed(tests.span()), "want tables [[test]]");
            return;
        };
        for test in tests.iter() {
            match test.get_ref() {
                DeValue::Table(table) => self.toml_test(table, placed(test.span())),
                _ => {
                    self.fault(placed(test.span()), "want a table [[test]]");
                }
            }
        }
    }

    fn toml_test(&mut self, table: &DeTable<'_>, span: Span) {
        let Some(name) = table.get(NAME) else {
            self.fault(span, "this test has no name: `name = \"...\"`");
            return;
        };
        let Some(title) = self.toml_text(name) else { return };
        self.heading(2, title);
        for (key, value) in in_order(table) {
            if key.get_ref() != NAME && key.get_ref() != PACKETS {
                self.toml_setting(key, value, &[NAME, PACKETS]);
            }
        }
        let Some(packets) = table.get(PACKETS) else {
            self.fault(title.span(), "this test has no packets: `packets = '''...'''`");
            return;
        };
        let known = self.faults.len();
        let texts = self.toml_texts(packets);
        if self.faults.len() > known {
            return;
        }
        let lines: Vec<Piece<'s>> = texts.into_iter().flat_map(lines).collect();
        let at = packets.span().start;
        let fence = Piece { text: self.source.get(at..at + 1).unwrap_or(""), at };
        self.packets(fence, &lines);
        self.close(2);
    }

    fn toml_setting(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        others: &[&'static str],
    ) {
        let word = &**key.get_ref();
        let Some((_, line, block)) = KEYS.into_iter().find(|(name, ..)| *name == word) else {
            let names = KEYS.into_iter().map(|(name, ..)| name).chain(others.iter().copied());
            let near = nearest(word, names.clone());
            let all = names.collect::<Vec<_>>().join(", ");
            let text = format!("{word}: no key of a test file");
            self.fault(placed(key.span()), text).help = Some(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {all}"),
            });
            return;
        };
        let at = key.span().start;
        for value in self.toml_texts(value) {
            let result = match (self.sections.last_mut(), value.text.contains('\n')) {
                (None, _) => return,
                (Some(section), true) if !block.is_empty() => {
                    section.settings.block(Piece { text: block, at }, value)
                }
                (Some(section), _) => {
                    section.settings.line(Piece { text: line, at }, value.trimmed())
                }
            };
            if let Err(fault) = result {
                self.faults.push(fault);
            }
        }
    }

    /// A text, yes or no, or a list of texts.
    fn toml_texts(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Piece<'s>> {
        match value.get_ref() {
            DeValue::Boolean(yes) => {
                let text = if *yes { "yes" } else { "no" };
                vec![Piece { text, at: value.span().start }]
            }
            DeValue::Array(values) => {
                let texts = values.iter().filter_map(|value| self.toml_text(value));
                texts.collect()
            }
            _ => self.toml_text(value).into_iter().collect(),
        }
    }

    /// A text as it stands in the file.
    fn toml_text(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Piece<'s>> {
        let place = value.span();
        let DeValue::String(text) = value.get_ref() else {
            self.fault(placed(place), "want a text in quotes");
            return None;
        };
        let found = verbatim(self.source, place.clone(), text);
        if found.is_none() {
            let text = "this text is not in the file as it is meant";
            self.fault(placed(place), text).help = Some(ESCAPED.to_owned());
        }
        found
    }
}

/// The keys of a table in the order of the file.
fn in_order<'t>(table: &'t DeTable<'t>) -> Vec<Entry<'t>> {
    let mut all: Vec<Entry<'t>> = table.iter().collect();
    all.sort_by_key(|(key, _)| key.span().start);
    all
}

fn placed(place: Range<usize>) -> Span {
    span(place.start, place.end)
}

/// What stands between quotes, where it is the text itself.
fn verbatim<'s>(source: &'s str, place: Range<usize>, text: &str) -> Option<Piece<'s>> {
    let whole = source.get(place.clone())?;
    ["'''", "\"\"\"", "'", "\""].into_iter().find_map(|quote| {
        let inner = whole.strip_prefix(quote)?.strip_suffix(quote)?;
        // A line end right behind three quotes is none of the text.
        let bare = match quote.len() {
            3 => inner.strip_prefix("\r\n").or_else(|| inner.strip_prefix('\n')).unwrap_or(inner),
            _ => inner,
        };
        let at = place.start + quote.len() + inner.len() - bare.len();
        (bare == text).then_some(Piece { text: bare, at })
    })
}

fn lines(text: Piece<'_>) -> Vec<Piece<'_>> {
    let mut at = text.at;
    let all = text.text.split('\n').map(|line| {
        let piece = Piece { text: line.trim_end_matches('\r'), at };
        at += line.len() + 1;
        piece
    });
    all.collect()
}
