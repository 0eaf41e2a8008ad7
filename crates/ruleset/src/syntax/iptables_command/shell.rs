//! A shell script as far as rules need it: simple commands, assignments, `if`, `for`, functions,
//! lists with `&&`, `||` and `|`. The rest is recognised and kept as what it is, so that nothing is
//! passed over unseen. Source: the shell chapter of POSIX.1-2017.

mod bash;
mod pieces;

pub use self::pieces::{ARRAY, assignment};
use self::pieces::{braced, pattern};

use crate::model::Span;
use alloc::{boxed::Box, collections::VecDeque, rc::Rc, string::String, vec::Vec};

/// How deep constructs may be nested.
pub const DEPTH_MAX: usize = 40;
/// Most words and operators of one construct, which is held whole.
pub const WORDS_MAX: usize = 1 << 19;

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text; whether it stood in quotes.
    Text(String, bool),
    /// `$NAME`, `${NAME}`, `${NAME:-default}`; whether it stood in double quotes.
    Variable(String, Option<String>, bool),
    /// `$(...)` or backquotes.
    Command(String),
    /// Something else that only a shell can tell: arithmetic, other forms of `${...}`.
    Other,
}

/// A word before anything in it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// What it is made of.
    pub pieces: Vec<Piece>,
    /// Where it stands.
    pub span: Span,
}

/// How a command hangs on the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `&&`.
    And,
    /// `||`.
    Or,
}

/// A piece of a script.
#[derive(Clone, Debug)]
pub enum Node {
    /// Assignments and words.
    Simple {
        /// `NAME=value` before the words.
        assigned: Vec<(String, Raw)>,
        /// The command.
        words: Vec<Raw>,
        /// Whether what it says of errors is thrown away.
        is_silenced: bool,
        /// Where it stands.
        span: Span,
    },
    /// One after the other, as the one before went.
    List(Box<Node>, Vec<(Link, Node)>),
    /// `a | b`.
    Pipe(Vec<Node>, Span),
    /// `! command`.
    Not(Box<Node>),
    /// `if`, each condition with its commands, and `else`.
    If(Vec<(Vec<Node>, Vec<Node>)>, Vec<Node>, Span),
    /// `for NAME in WORDS`; `None` without `in`.
    For(String, Option<Vec<Raw>>, Vec<Node>, Span),
    /// `case WORD in`: each choice, its patterns with what they stand for.
    Case(Raw, Vec<(Vec<String>, Vec<Node>)>, Span),
    /// `while`, `until`, `select`, a subshell: what it holds, and its word.
    Unsure(&'static str, Vec<Node>, Span),
    /// `NAME() { ... }`.
    Function(String, Rc<[Node]>, Span),
    /// `{ ...; }`.
    Group(Vec<Node>),
}

/// What cannot be read of a script, and where.
pub type Unreadable = (&'static str, Span);

/// Reads a script, command by command.
#[must_use]
pub const fn read(source: &str) -> Commands<'_> {
    Commands { parser: Parser::new(source), failed: false }
}

/// The commands of a script, each read when it is asked for: no more than one is held. The last item says
/// where it is no script, or nested too deeply.
#[derive(Debug)]
pub struct Commands<'a> {
    parser: Parser<'a>,
    failed: bool,
}

impl Iterator for Commands<'_> {
    type Item = Result<Node, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let node = self.parser.next_command();
        let node = match self.parser.unreadable.take() {
            Some(unreadable) => Some(Err(unreadable)),
            None => node.transpose(),
        };
        self.failed = matches!(node, Some(Err(_)));
        node
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(Vec<Piece>),
    /// `\n` or `;`.
    End,
    /// `;;`.
    CaseEnd,
    And,
    Or,
    Pipe,
    Background,
    Open,
    Close,
    /// `<`, `>`, ...: the word behind it is a file. Whether it is of standard error.
    Redirect(bool),
}

#[derive(Debug)]
struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// Read and not yet used.
    tokens: VecDeque<(Token, Span)>,
    /// The ends of documents that begin on the next line.
    documents: Vec<String>,
    /// A 2 stood before the redirection to come.
    is_of_errors: bool,
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.source.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let there = self.source.get(self.at..).is_some_and(|rest| rest.starts_with(text));
        if there {
            self.at += text.len();
        }
        there
    }

    fn push(&mut self, token: Token, start: usize) {
        let span = Span { start: offset(start), end: offset(self.at) };
        self.tokens.push_back((token, span));
    }

    /// Reads on until there are so many tokens, or the end.
    fn fill(&mut self, count: usize) -> Result<(), Unreadable> {
        while let Some(c) = self.peek().filter(|_| self.tokens.len() < count) {
            let start = self.at;
            match c {
                '\n' => {
                    self.next();
                    self.push(Token::End, start);
                    self.skip_documents();
                }
                ' ' | '\t' | '\r' => drop(self.next()),
                '\\' if self.source.get(start..).is_some_and(|rest| rest.starts_with("\\\n")) => {
                    self.at += 2;
                }
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.next();
                    }
                }
                ';' | '&' | '|' | '(' | ')' | '<' | '>' => self.operator(c, start),
                _ => self.word(start)?,
            }
        }
        Ok(())
    }

    fn operator(&mut self, c: char, start: usize) {
        self.next();
        let token = match c {
            ';' if self.take(";") => Token::CaseEnd,
            ';' => Token::End,
            '&' if self.take("&") => Token::And,
            '&' if self.take(">") => Token::Redirect(true),
            '&' => Token::Background,
            '|' if self.take("|") => Token::Or,
            '|' => Token::Pipe,
            '(' => Token::Open,
            ')' => Token::Close,
            '<' | '>' if self.take("(") => {
                // What another command reads or writes.
                match self.until(start, ')', Some('(')) {
                    Ok(_) => Token::Word(Vec::from([Piece::Other])),
                    Err(_) => Token::Open,
                }
            }
            '<' if self.take("<<") => Token::Redirect(false),
            '<' if self.take("<-") || self.take("<") => {
                while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '-')) {
                    self.next();
                }
                let from = self.at;
                while self.peek().is_some_and(|c| !c.is_whitespace() && !matches!(c, ';' | '|')) {
                    self.next();
                }
                let end = self.source.get(from..self.at).unwrap_or("");
                self.documents.push(end.replace(['"', '\'', '\\'], ""));
                return;
            }
            _ => {
                let _ = self.take(">") || self.take("|") || self.take("&");
                Token::Redirect(core::mem::take(&mut self.is_of_errors))
            }
        };
        self.push(token, start);
    }

    fn skip_documents(&mut self) {
        for end in core::mem::take(&mut self.documents) {
            while self.at < self.source.len() {
                let rest = self.source.get(self.at..).unwrap_or("");
                let line = rest.split_inclusive('\n').next().unwrap_or("");
                self.at += line.len();
                if line.trim() == end {
                    break;
                }
            }
        }
    }

    fn word(&mut self, start: usize) -> Result<(), Unreadable> {
        let mut pieces = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\'' => self.single(&mut pieces)?,
                '"' => self.double(&mut pieces)?,
                '`' | '$' => self.dollar(&mut pieces, false)?,
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(c) => text(&mut pieces, c, true),
                    }
                }
                c => {
                    self.next();
                    text(&mut pieces, c, false);
                }
            }
        }
        // `2>file`: the number belongs to what follows.
        let number = matches!(pieces.as_slice(), [Piece::Text(text, false)]
            if text.bytes().all(|b| b.is_ascii_digit()));
        if number && matches!(self.peek(), Some('<' | '>')) {
            let is_two = |piece: &Piece| matches!(piece, Piece::Text(text, _) if text == "2");
            self.is_of_errors = pieces.first().is_some_and(is_two);
        } else {
            self.push(Token::Word(pieces), start);
        }
        Ok(())
    }

    fn single(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Unreadable> {
        let start = self.at;
        self.next();
        pieces.push(Piece::Text(String::new(), true));
        loop {
            match self.next() {
                None => return Err(self.open_quote(start)),
                Some('\'') => return Ok(()),
                Some(c) => text(pieces, c, true),
            }
        }
    }

    fn double(&mut self, pieces: &mut Vec<Piece>) -> Result<(), Unreadable> {
        let start = self.at;
        self.next();
        pieces.push(Piece::Text(String::new(), true));
        loop {
            match self.peek() {
                None => return Err(self.open_quote(start)),
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('`' | '$') => self.dollar(pieces, true)?,
                Some('\\') => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(c @ ('"' | '\\' | '$' | '`')) => text(pieces, c, true),
                        Some(c) => {
                            text(pieces, '\\', true);
                            text(pieces, c, true);
                        }
                    }
                }
                Some(c) => {
                    self.next();
                    text(pieces, c, true);
                }
            }
        }
    }

    fn open_quote(&self, start: usize) -> Unreadable {
        ("a quote is not closed", Span { start: offset(start), end: offset(start + 1) })
    }

    /// `$...` and backquotes.
    fn dollar(&mut self, pieces: &mut Vec<Piece>, quoted: bool) -> Result<(), Unreadable> {
        let start = self.at;
        if self.take("`") {
            let inner = self.until(start, '`', None)?;
            pieces.push(Piece::Command(inner));
            return Ok(());
        }
        self.next();
        if self.take("((") {
            self.until(start, ')', Some('('))?;
            let _ = self.take(")");
            pieces.push(Piece::Other);
        } else if self.take("(") {
            let inner = self.until(start, ')', Some('('))?;
            pieces.push(Piece::Command(inner));
        } else if self.take("{") {
            let inner = self.until(start, '}', Some('{'))?;
            pieces.push(braced(&inner, quoted));
        } else {
            let special = |c: char| c.is_ascii_digit() || matches!(c, '@' | '*' | '#' | '?' | '$');
            let from = self.at;
            if self.peek().is_some_and(special) {
                self.next();
            } else {
                while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                    self.next();
                }
            }
            let name = self.source.get(from..self.at).unwrap_or("");
            if name.is_empty() {
                text(pieces, '$', quoted);
            } else {
                pieces.push(Piece::Variable(name.into(), None, quoted));
            }
        }
        Ok(())
    }

    /// The text up to a closing character; `open` opens another of the same kind.
    fn until(
        &mut self,
        start: usize,
        close: char,
        open: Option<char>,
    ) -> Result<String, Unreadable> {
        let from = self.at;
        let mut depth = 1_usize;
        while let Some(c) = self.next() {
            if c == '\\' {
                self.next();
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    let end = self.at - c.len_utf8();
                    return Ok(self.source.get(from..end).unwrap_or("").into());
                }
            } else if Some(c) == open {
                depth += 1;
            }
        }
        Err(self.open_quote(start))
    }
}

fn text(pieces: &mut Vec<Piece>, c: char, quoted: bool) {
    match pieces.last_mut() {
        Some(Piece::Text(text, same)) if *same == quoted => text.push(c),
        _ => pieces.push(Piece::Text(String::from(c), quoted)),
    }
}

#[derive(Debug)]
struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
    /// Tokens used so far, those before this command, and where the last of them stands.
    used: usize,
    begun: usize,
    last: Span,
    /// Why there are no further tokens, when that is not the end.
    unreadable: Option<Unreadable>,
    /// What this command prints is thrown away.
    is_output_dropped: bool,
}

impl<'a> Parser<'a> {
    const fn new(source: &'a str) -> Self {
        let lexer = Lexer {
            source,
            at: 0,
            tokens: VecDeque::new(),
            documents: Vec::new(),
            is_of_errors: false,
        };
        let last = Span { start: 0, end: 0 };
        Self {
            lexer,
            depth: 0,
            used: 0,
            begun: 0,
            last,
            unreadable: None,
            is_output_dropped: false,
        }
    }

    /// A command with what hangs on it; `None` at the end.
    fn next_command(&mut self) -> Result<Option<Node>, Unreadable> {
        self.ends();
        if self.token().is_none() {
            return Ok(None);
        }
        if matches!(self.token(), Some(Token::Close | Token::CaseEnd)) {
            return Err(("this word begins or ends nothing here", self.span()));
        }
        self.depth = 1;
        let before = self.used;
        self.begun = before;
        let node = self.list()?;
        match self.used == before {
            true => Err(("this stands where a command has to", self.span())),
            false => Ok(Some(node)),
        }
    }

    /// A token behind the next one.
    fn ahead(&mut self, count: usize) -> Option<&Token> {
        if self.unreadable.is_none() {
            self.unreadable = self.lexer.fill(count + 1).err();
        }
        let usable = self.unreadable.is_none();
        self.lexer.tokens.get(count).filter(|_| usable).map(|(token, _)| token)
    }

    fn token(&mut self) -> Option<&Token> {
        self.ahead(0)
    }

    fn span(&mut self) -> Span {
        let _ = self.token();
        self.lexer.tokens.front().map_or(self.last, |(_, span)| *span)
    }

    /// Goes on behind a token, and gives it.
    fn advance(&mut self) -> Option<(Token, Span)> {
        let _ = self.token();
        let one = self.lexer.tokens.pop_front()?;
        self.used += 1;
        self.last = one.1;
        Some(one)
    }

    /// The word here, taken.
    fn word(&mut self) -> Option<Raw> {
        if !matches!(self.token(), Some(Token::Word(_))) {
            return None;
        }
        match self.advance() {
            Some((Token::Word(pieces), span)) => Some(Raw { pieces, span }),
            _ => None,
        }
    }

    /// The word here, when it is one without quotes and variables.
    fn keyword(&mut self) -> Option<&str> {
        match self.token() {
            Some(Token::Word(pieces)) => match pieces.as_slice() {
                [Piece::Text(text, false)] => Some(text.as_str()),
                _ => None,
            },
            _ => None,
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), Unreadable> {
        if self.keyword() == Some(word) {
            self.advance();
            return Ok(());
        }
        Err(("another word of the shell has to stand here", self.span()))
    }

    fn ends(&mut self) {
        while matches!(self.token(), Some(Token::End | Token::Background)) {
            self.advance();
        }
    }

    /// Commands up to one of these words, which is left.
    fn commands(&mut self, until: &[&str]) -> Result<Vec<Node>, Unreadable> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(("constructs are nested too deeply here", self.span()));
        }
        let mut all = Vec::new();
        loop {
            self.ends();
            let stop = self.keyword().is_some_and(|word| until.contains(&word));
            let closed = matches!(self.token(), Some(Token::Close | Token::CaseEnd));
            if stop || closed || self.token().is_none() {
                self.depth -= 1;
                return Ok(all);
            }
            let before = self.used;
            all.push(self.list()?);
            if self.used == before {
                return Err(("this stands where a command has to", self.span()));
            }
        }
    }

    fn list(&mut self) -> Result<Node, Unreadable> {
        let first = self.pipe()?;
        let mut rest = Vec::new();
        loop {
            let link = match self.token() {
                Some(Token::And) => Link::And,
                Some(Token::Or) => Link::Or,
                _ => break,
            };
            self.advance();
            while self.token() == Some(&Token::End) {
                self.advance();
            }
            rest.push((link, self.pipe()?));
        }
        Ok(if rest.is_empty() { first } else { Node::List(Box::new(first), rest) })
    }

    fn pipe(&mut self) -> Result<Node, Unreadable> {
        let span = self.span();
        let mut all = Vec::from([self.command()?]);
        while self.token() == Some(&Token::Pipe) {
            self.advance();
            while self.token() == Some(&Token::End) {
                self.advance();
            }
            all.push(self.command()?);
        }
        let one = if all.len() == 1 { all.pop() } else { None };
        Ok(one.unwrap_or(Node::Pipe(all, span)))
    }

    fn command(&mut self) -> Result<Node, Unreadable> {
        let span = self.span();
        if self.used - self.begun > WORDS_MAX {
            return Err(("the construct that this is in has too many words", span));
        }
        if self.is_arithmetic() {
            return self.arithmetic(span);
        }
        if self.token() == Some(&Token::Open) {
            self.advance();
            let body = self.commands(&[])?;
            if self.token() != Some(&Token::Close) {
                return Err(("a parenthesis is not closed", span));
            }
            self.advance();
            self.redirects(false);
            return Ok(Node::Unsure("a subshell", body, span));
        }
        let is_function = self.is_function();
        let node = match self.keyword() {
            Some("!") => {
                self.advance();
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(("constructs are nested too deeply here", span));
                }
                let inner = self.command()?;
                self.depth -= 1;
                return Ok(Node::Not(Box::new(inner)));
            }
            Some("if") => self.condition(span)?,
            Some("for") => self.for_each(span)?,
            Some("while" | "until") => {
                self.advance();
                let mut body = self.commands(&["do"])?;
                self.expect("do")?;
                body.extend(self.commands(&["done"])?);
                self.expect("done")?;
                Node::Unsure("a loop", body, span)
            }
            Some("case") => self.case(span)?,
            Some("[[") => return self.double_brackets(span),
            Some("{") => {
                self.advance();
                let body = self.commands(&["}"])?;
                self.expect("}")?;
                Node::Group(body)
            }
            Some("function") => {
                self.advance();
                let name = self.keyword().unwrap_or("").into();
                self.advance();
                return self.function(name, span);
            }
            Some(_) if is_function => {
                let name = self.keyword().unwrap_or("").into();
                self.advance();
                return self.function(name, span);
            }
            _ => return Ok(self.simple(span)),
        };
        self.redirects(false);
        Ok(node)
    }

    fn is_function(&mut self) -> bool {
        // `NAME=()` is an array.
        !self.keyword().is_some_and(|word| word.ends_with('='))
            && self.ahead(1) == Some(&Token::Open)
            && self.ahead(2) == Some(&Token::Close)
    }

    fn function(&mut self, name: String, span: Span) -> Result<Node, Unreadable> {
        if self.token() == Some(&Token::Open) {
            self.advance();
            self.advance();
        }
        while self.token() == Some(&Token::End) {
            self.advance();
        }
        self.expect("{")?;
        let body = self.commands(&["}"])?;
        self.expect("}")?;
        self.redirects(false);
        Ok(Node::Function(name, body.into(), span))
    }

    fn condition(&mut self, span: Span) -> Result<Node, Unreadable> {
        let mut arms = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            self.advance();
            let condition = self.commands(&["then"])?;
            self.expect("then")?;
            let body = self.commands(&["elif", "else", "fi"])?;
            arms.push((condition, body));
            match self.keyword() {
                Some("elif") => {}
                Some("else") => {
                    self.advance();
                    otherwise = self.commands(&["fi"])?;
                    break;
                }
                _ => break,
            }
        }
        self.expect("fi")?;
        Ok(Node::If(arms, otherwise, span))
    }

    fn for_each(&mut self, span: Span) -> Result<Node, Unreadable> {
        self.advance();
        if self.is_arithmetic() {
            let mut body = Vec::from([self.arithmetic(span)?]);
            self.ends();
            self.expect("do")?;
            body.extend(self.commands(&["done"])?);
            self.expect("done")?;
            return Ok(Node::Unsure("a loop", body, span));
        }
        let name = String::from(self.keyword().unwrap_or(""));
        self.advance();
        self.ends();
        let mut words = None;
        if self.keyword() == Some("in") {
            self.advance();
            let mut all = Vec::new();
            while let Some(word) = self.word() {
                all.push(word);
            }
            words = Some(all);
        }
        self.ends();
        self.expect("do")?;
        let body = self.commands(&["done"])?;
        self.expect("done")?;
        Ok(Node::For(name, words, body, span))
    }

    fn case(&mut self, span: Span) -> Result<Node, Unreadable> {
        self.advance();
        let mut arms = Vec::new();
        let Some(word) = self.word() else { return Err(("`case` has no word", span)) };
        self.ends();
        if self.keyword() != Some("in") {
            return Err(("`case` has no `in`", span));
        }
        self.advance();
        loop {
            while matches!(self.token(), Some(Token::End | Token::CaseEnd)) {
                self.advance();
            }
            if self.keyword() == Some("esac") {
                self.advance();
                return Ok(Node::Case(word, arms, span));
            }
            let mut patterns = Vec::new();
            while !matches!(self.token(), None | Some(Token::Close)) {
                if let Some((Token::Word(pieces), _)) = self.advance() {
                    patterns.push(pattern(&pieces));
                }
            }
            if self.token().is_none() {
                return Err(("`case` has no `esac`", span));
            }
            self.advance();
            let body = self.commands(&["esac"])?;
            arms.push((patterns, body));
            if matches!(self.token(), Some(Token::Close)) {
                return Err(("a parenthesis closes nothing", self.span()));
            }
        }
    }

    /// Passes over redirections; says whether errors are thrown away by then.
    fn redirects(&mut self, mut is_silenced: bool) -> bool {
        while let Some(Token::Redirect(of_errors)) = self.token() {
            let of_errors = *of_errors;
            self.advance();
            if let Some(raw) = self.word() {
                let text = pattern(&raw.pieces);
                self.is_output_dropped |= !of_errors && text == "/dev/null";
                let is_dropped = match text.as_str() {
                    "/dev/null" => true,
                    "1" | "-" => self.is_output_dropped || text == "-",
                    _ => false,
                };
                is_silenced |= of_errors && is_dropped;
            }
        }
        is_silenced
    }

    fn simple(&mut self, span: Span) -> Node {
        let (mut assigned, mut words): (Vec<_>, Vec<Raw>) = (Vec::new(), Vec::new());
        let (mut end, mut is_silenced) = (span, false);
        self.is_output_dropped = false;
        loop {
            is_silenced = self.redirects(is_silenced);
            let Some(raw) = self.word() else { break };
            let raw = self.array(raw);
            end = raw.span;
            match assignment(&raw).filter(|_| words.is_empty()) {
                Some(one) => assigned.push(one),
                None => words.push(raw),
            }
        }
        let span = Span { start: span.start, end: end.end };
        Node::Simple { assigned, words, is_silenced, span }
    }
}
