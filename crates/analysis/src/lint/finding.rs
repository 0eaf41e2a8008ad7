//! A finding, as data.

use super::Linted;
use crate::algebra::space::Result;
use keepstate_ruleset::diagnostic::Label;
use keepstate_ruleset::model::Span;
use keepstate_ruleset::packet_set::PacketSet;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// True, and no harm: worth a look when the file is tidied.
    Note,
    /// The rules do not do what they seem to be for, or leave something open.
    Warning,
    /// Something does not work at all.
    Error,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Note, Self::Warning, Self::Error];

    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A kind of finding.
pub struct Lint {
    /// Stable name.
    pub code: &'static str,
    /// How much its findings weigh, at most.
    pub severity: Severity,
    /// What it is, a line.
    pub title: &'static str,
    /// Its page, Markdown.
    pub page: &'static str,
    /// Looks for it.
    pub run: fn(&mut Linted<'_>, &mut Vec<Finding>) -> Result<()>,
}

impl std::fmt::Debug for Lint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code)
    }
}

/// Something found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its kind.
    pub lint: &'static Lint,
    /// The rule, or the chain's line.
    pub span: Span,
    /// What it weighs here, where that is less than others of its kind do.
    pub severity: Option<Severity>,
    /// What is found.
    pub text: String,
    /// Other rules that have to do with it.
    pub labels: Vec<Label>,
    /// What shows it: packets, what the rules do with them, numbers.
    pub evidence: Vec<String>,
    /// What to do, where that is no edit or more than one.
    pub help: Option<String>,
    /// What to change.
    pub fix: Option<Fix>,
}

/// A change of the file.
#[derive(Clone, Debug)]
pub struct Fix {
    /// What it does.
    pub text: String,
    /// In the order of the file, apart from each other.
    pub edits: Vec<Edit>,
    /// What may change by it.
    pub expected: Expected,
}

/// Bytes of the file put in the place of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is taken out.
    pub span: Span,
    /// What is put there.
    pub text: String,
}

/// The packets whose fate a fix may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// None.
    Nothing,
    /// None but these; in words.
    Only(PacketSet, &'static str),
}

impl Finding {
    /// A finding at a place; its kind is put in by who asked for it.
    #[must_use]
    pub fn new(span: Span, text: impl Into<String>) -> Self {
        Self {
            lint: &crate::lints::NONE,
            span,
            severity: None,
            text: text.into(),
            labels: Vec::new(),
            evidence: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// How much it weighs: no more than its kind.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity.map_or(self.lint.severity, |own| own.min(self.lint.severity))
    }

    /// The same as a note.
    #[must_use]
    pub fn as_note(mut self) -> Self {
        self.severity = Some(Severity::Note);
        self
    }

    /// The same with another rule.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        if span.end > span.start {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// The same with what shows it.
    #[must_use]
    pub fn evidence(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(text.into());
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// The same with a fix, where there is one.
    #[must_use]
    pub fn fix(mut self, fix: Option<Fix>) -> Self {
        self.fix = fix;
        self
    }
}
