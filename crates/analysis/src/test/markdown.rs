//! The parts of a Markdown file that tests are made of: headings, lines of prose, fenced blocks.

use keepstate_ruleset::model::Span;

/// A piece of the text with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'s> {
    pub(super) text: &'s str,
    /// Byte of the file.
    pub(super) at: usize,
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'s> {
    /// A heading: its level and its text.
    Heading(usize, Piece<'s>),
    /// A line of prose.
    Line(Piece<'s>),
    /// A fenced block: what stands behind its fence, and its lines.
    Block { info: Piece<'s>, lines: Vec<Piece<'s>> },
    /// A block without an end: its fence.
    Open(Piece<'s>),
}

impl<'s> Piece<'s> {
    pub(super) fn span(self) -> Span {
        span(self.at, self.at + self.text.len())
    }

    /// Without the blanks around it.
    pub(super) fn trimmed(self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        Self { text: self.text.trim(), at: self.at + start }
    }

    /// What stands behind so many bytes.
    pub(super) fn from(self, at: usize) -> Self {
        Self { text: self.text.get(at..).unwrap_or(""), at: self.at + at.min(self.text.len()) }
    }

    /// The first so many bytes.
    pub(super) fn to(self, at: usize) -> Self {
        Self { text: self.text.get(..at).unwrap_or(self.text), at: self.at }
    }
}

pub(super) fn span(start: usize, end: usize) -> Span {
    let byte = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Span { start: byte(start), end: byte(end) }
}

/// The parts of a text, in order.
pub(super) fn parts(source: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut at = 0;
    let mut open: Option<(usize, char, Piece<'_>, Piece<'_>, Vec<Piece<'_>>)> = None;
    for whole in source.split_inclusive('\n') {
        let line = Piece { text: whole.trim_end_matches(['\n', '\r']), at };
        at += whole.len();
        let bare = line.trimmed();
        if let Some((length, mark, ..)) = open {
            let closes = bare.text.len() >= length && bare.text.chars().all(|c| c == mark);
            if closes {
                if let Some((_, _, _, info, lines)) = open.take() {
                    parts.push(Part::Block { info, lines });
                }
            } else if let Some((.., lines)) = &mut open {
                lines.push(line);
            }
            continue;
        }
        let fence = ['`', '~'].into_iter().find_map(|mark| {
            let length = bare.text.chars().take_while(|c| *c == mark).count();
            (length >= 3).then_some((length, mark))
        });
        if let Some((length, mark)) = fence {
            let info = bare.from(length).trimmed();
            open = Some((length, mark, bare, info, Vec::new()));
            continue;
        }
        let level = line.text.chars().take_while(|c| *c == '#').count();
        let behind = line.from(level);
        if (1..=6).contains(&level) && behind.text.starts_with([' ', '\t']) {
            let mut title = behind.trimmed();
            title.text = title.text.trim_end_matches('#').trim_end();
            parts.push(Part::Heading(level, title));
        } else {
            parts.push(Part::Line(line));
        }
    }
    if let Some((_, _, fence, ..)) = open {
        parts.push(Part::Open(fence));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_lines_and_blocks_have_their_places() {
        let source = "# One #\ntext\n```rules\n# no heading\n````\n``\n```\n####### seven\n#none\n";
        let parts = parts(source);
        let at = |text: &str| source.find(text).expect(text);
        let piece = |text| Piece { text, at: at(text) };
        assert_eq!(
            parts,
            [
                Part::Heading(1, piece("One")),
                Part::Line(piece("text")),
                Part::Block { info: piece("rules"), lines: vec![piece("# no heading")] },
                Part::Line(Piece { text: "``", at: at("``\n```\n") }),
                Part::Open(Piece { text: "```", at: at("```\n#######") }),
            ]
        );
    }
}
