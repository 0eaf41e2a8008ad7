//! What bash has beside POSIX's shell: arrays of words, `+=`, `[[ ... ]]`, `((...))`. Source: bash(1).

use super::{ARRAY, Node, Parser, Piece, Raw, Token, Unreadable, WORDS_MAX, text};
use crate::model::Span;
use alloc::{string::String, vec::Vec};

impl Parser<'_> {
    /// The words in parentheses right behind `NAME=`, as one word that they are joined to by blanks: it falls apart
    /// again where it is not quoted. One with a blank of its own would not.
    pub(super) fn array(&mut self, mut raw: Raw) -> Raw {
        let begins = match raw.pieces.as_slice() {
            [Piece::Text(text, false)] => text.ends_with('='),
            _ => false,
        };
        if !begins || self.token() != Some(&Token::Open) || self.span().start != raw.span.end {
            return raw;
        }
        if let [Piece::Text(text, _)] = raw.pieces.as_mut_slice() {
            let name = text.trim_end_matches(['+', '=']).len();
            text.insert_str(name, ARRAY);
        }
        self.advance();
        loop {
            match self.token() {
                Some(Token::Word(_)) => {
                    let Some(word) = self.word() else { break };
                    let blank = |piece: &Piece| matches!(piece, Piece::Text(text, _) if text.contains([' ', '\t', '\n', '[']));
                    if self.used - self.begun > WORDS_MAX {
                        continue;
                    }
                    text(&mut raw.pieces, ' ', true);
                    match word.pieces.iter().any(blank) || word.pieces.is_empty() {
                        true => raw.pieces.push(Piece::Other),
                        false => raw.pieces.extend(word.pieces),
                    }
                    raw.span.end = word.span.end;
                }
                Some(Token::Close) | None => {
                    self.advance();
                    break;
                }
                Some(_) => drop(self.advance()),
            }
        }
        raw
    }

    /// `[[ ... ]]`: its words, where it is a single test; else that nobody can tell.
    pub(super) fn double_brackets(&mut self, span: Span) -> Result<Node, Unreadable> {
        let mut words = Vec::new();
        let mut is_plain = true;
        let begun = self.used;
        loop {
            let is_last = self.keyword() == Some("]]");
            let is_long = self.used - begun > WORDS_MAX;
            match self.token() {
                None => return Err(("`[[` has no `]]`", span)),
                Some(_) if is_long => {
                    return Err(("`[[` has too many words", span));
                }
                Some(Token::Word(_)) => words.extend(self.word()),
                Some(_) => {
                    is_plain = false;
                    self.advance();
                }
            }
            if is_last {
                break;
            }
        }
        if !is_plain {
            words.truncate(1);
            words.push(Raw { pieces: Vec::from([Piece::Other]), span });
        }
        let is_silenced = self.redirects(false);
        let span = Span { start: span.start, end: self.last.end };
        Ok(Node::Simple { assigned: Vec::new(), words, is_silenced, span })
    }

    /// Whether `((` stands here.
    pub(super) fn is_arithmetic(&mut self) -> bool {
        let at = self.span();
        self.token() == Some(&Token::Open)
            && self.ahead(1) == Some(&Token::Open)
            && self.lexer.tokens.get(1).is_some_and(|(_, next)| next.start == at.end)
    }

    /// `((...))`: what it names may have another value by then.
    pub(super) fn arithmetic(&mut self, span: Span) -> Result<Node, Unreadable> {
        let mut depth = 0_usize;
        loop {
            match self.advance() {
                None => return Err(("a parenthesis is not closed", span)),
                Some((Token::Open, _)) => depth += 1,
                Some((Token::Close, _)) => depth -= 1,
                Some(_) => {}
            }
            if depth == 0 {
                break;
            }
        }
        let inner = self.lexer.source.get(span.start as usize..self.last.end as usize);
        let name = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let names = inner
            .unwrap_or("")
            .split(name)
            .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
        let untold = || Raw { pieces: Vec::from([Piece::Other]), span };
        let assigned = names.map(|name| (String::from(name), untold())).collect();
        let one = Node::Simple { assigned, words: Vec::new(), is_silenced: false, span };
        Ok(Node::Unsure("a calculation", Vec::from([one]), span))
    }
}
