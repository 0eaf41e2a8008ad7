//! How answers and runs of tests are printed. A format is a file here and a line in [`RENDERERS`] or
//! [`TEST_RENDERERS`].

mod json;
pub mod lint;
pub mod sarif;
mod suites;
pub(crate) mod text;

use crate::answer::Answer;
use crate::test::told::Report;

/// A format.
#[derive(Debug)]
pub struct Renderer {
    /// As after `--format`.
    pub name: &'static str,
    /// Prints an answer, with a line end.
    pub render: fn(&Answer, &Style) -> String,
}

/// What the reader's side allows.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns, [`WIDTH_MIN`] to [`WIDTH_MAX`].
    pub width: usize,
    /// Escape sequences for bold and colours.
    pub color: bool,
}

/// Narrowest text.
pub const WIDTH_MIN: usize = 60;
/// Widest text.
pub const WIDTH_MAX: usize = 200;

impl Default for Style {
    fn default() -> Self {
        Self { width: 96, color: false }
    }
}

/// Every format.
pub const RENDERERS: &[Renderer] = &[
    Renderer { name: "text", render: text::render },
    Renderer { name: "json", render: json::render },
];

/// A format of a run of tests.
#[derive(Debug)]
pub struct TestRenderer {
    /// As after `--format`.
    pub name: &'static str,
    /// Prints the run, with a line end.
    pub render: fn(&Report, &Style) -> String,
}

/// Every format of a run of tests.
pub const TEST_RENDERERS: &[TestRenderer] = &[
    TestRenderer { name: "text", render: suites::text::render },
    TestRenderer { name: "json", render: suites::json },
    TestRenderer { name: "junit", render: suites::junit::render },
    TestRenderer { name: "tap", render: suites::tap::render },
];

/// The format of this name.
#[must_use]
pub fn renderer(name: &str) -> Option<&'static Renderer> {
    RENDERERS.iter().find(|renderer| renderer.name == name)
}
