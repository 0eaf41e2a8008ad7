//! What the person at the other end wants to see: colours, warnings.

use keepstate_analysis::render::{self, WIDTH_MAX, WIDTH_MIN};
use keepstate_datapath::sys::terminal;
use std::fmt::{self, Display};
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Standard output takes colours.
    pub(crate) color: bool,
    /// Standard error takes colours.
    color_stderr: bool,
    quiet: bool,
}

impl Terminal {
    pub(crate) fn new(color: Color, quiet: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colored = |is_terminal: bool| match color {
            Color::Auto => is_terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        Self {
            color: colored(std::io::stdout().is_terminal()),
            color_stderr: colored(std::io::stderr().is_terminal()),
            quiet,
        }
    }

    /// How wide answers are printed: COLUMNS, where somebody says it; else as the terminal is.
    pub(crate) fn page(&self) -> render::Style {
        let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let has = || terminal::columns(std::io::stdout().as_fd()).map(usize::from);
        let width = said.or_else(has).unwrap_or(render::Style::default().width);
        render::Style { width: width.clamp(WIDTH_MIN, WIDTH_MAX), color: self.color }
    }

    /// `text` in a style, when standard output takes colours.
    pub(crate) fn paint<T: Display>(&self, style: Style, text: T) -> Painted<T> {
        Painted { style: self.color.then_some(style), text }
    }

    /// `-q`.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// An error: always shown, on stderr.
    pub(crate) fn error(&self, text: impl Display) {
        let style = self.color_stderr.then_some(Style::Red);
        eprintln!("keepstate: {} {text}", Painted { style, text: "error:" });
    }

    /// A warning: on stderr, unless `-q`.
    pub(crate) fn warning(&self, text: impl Display) {
        if !self.quiet {
            let style = self.color_stderr.then_some(Style::Yellow);
            eprintln!("keepstate: {} {text}", Painted { style, text: "warning:" });
        }
    }

    /// How far long work is: over the line before, on a terminal only, unless `-q`.
    pub(crate) fn progress(&self, text: impl Display) {
        if !self.quiet && std::io::stderr().is_terminal() {
            eprint!("\r{text}");
        }
    }

    /// Counts: on stderr, unless `-q`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

/// Text with a style, or without one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.style {
            None => return self.text.fmt(f),
            Some(Style::Bold) => 1,
            Some(Style::Dim) => 2,
            Some(Style::Red) => 31,
            Some(Style::Green) => 32,
            Some(Style::Yellow) => 33,
            Some(Style::Cyan) => 36,
        };
        write!(f, "\x1b[{code}m")?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}
