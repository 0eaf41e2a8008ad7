//! What is told of a run of tests, as data; [`crate::render::TEST_RENDERERS`] print it.

use crate::trace::PacketTold;
use serde::Serialize;

/// A run of test files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Each file.
    pub files: Vec<FileTold>,
    /// What changed rules have shown, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mutations: Vec<MutationTold>,
}

/// A test file.
#[derive(Clone, Debug, Serialize)]
pub struct FileTold {
    /// Its name.
    pub file: String,
    /// Its tests, in order.
    pub tests: Vec<TestTold>,
}

/// A test.
#[derive(Clone, Debug, Serialize)]
pub struct TestTold {
    /// The headings above it.
    pub name: String,
    /// The line of its heading.
    pub line: u32,
    /// Packets that were sent.
    pub packets: usize,
    /// All that was expected has come.
    pub passed: bool,
    /// What has not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureTold>,
}

/// A packet of which something else was expected.
#[derive(Clone, Debug, Serialize)]
pub struct FailureTold {
    /// The line of the file.
    pub line: u32,
    /// The line itself, without what is expected.
    pub text: String,
    /// Which packet of a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<String>,
    /// What was expected, and what came.
    pub missed: Vec<Missed>,
    /// The way of the packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<PacketTold>,
}

/// Something that was expected and did not come.
#[derive(Clone, Debug, Serialize)]
pub struct Missed {
    /// In the words of the file.
    pub expected: String,
    /// What came instead.
    pub instead: String,
}

/// A rule set that was changed one place at a time.
#[derive(Clone, Debug, Serialize)]
pub struct MutationTold {
    /// Its file.
    pub rules: String,
    /// Changes that were tried, but for those of [`Self::equal`].
    pub mutants: usize,
    /// Of which a test has failed.
    pub killed: usize,
    /// Further changes, which change nothing: that is proven.
    pub equal: usize,
    /// Rules and policies left out, or not changed in every way, beyond [`super::mutate::MUTANTS_MAX`].
    pub left_out: usize,
    /// Changes that no test has noticed.
    pub survivors: Vec<Survivor>,
}

/// A change that no test notices.
#[derive(Clone, Debug, Serialize)]
pub struct Survivor {
    /// The line of the rule or of the chain, in its file.
    pub line: u32,
    /// `filter:INPUT:3`.
    pub place: String,
    /// The rule.
    pub rule: String,
    /// What was changed.
    pub change: String,
    /// The rule as it was run, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// A test that notices it, where one was asked for and found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// The name of a test suggested for an earlier change, which notices this one, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noticed_by: Option<String>,
    /// What was looked for and not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_test: Option<String>,
}

impl Report {
    /// How many tests there are, and how many of them have failed.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let tests = || self.files.iter().flat_map(|file| &file.tests);
        (tests().count(), tests().filter(|test| !test.passed).count())
    }

    /// Changes that no test has noticed.
    #[must_use]
    pub fn survivors(&self) -> usize {
        self.mutations.iter().map(|one| one.survivors.len()).sum()
    }
}
