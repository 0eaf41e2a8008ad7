//! `keepstate lint`: a rule file looked over, each finding with its evidence and, where there is one, a fix.
//!
//! [`Linted`] is a rule set with what the algebra of packet sets says of it, computed once; each entry of
//! [`crate::lints::LINTS`] looks at that and gives [`Finding`]s, which [`render`](crate::render) prints. [`fix`]
//! carries fixes out and [`proof`] says what they change.

pub mod ahead;
pub(crate) mod around;
pub mod decider;
pub mod finding;
pub mod fix;
mod likely;
pub mod linted;
mod owned;
pub mod placed;
pub mod plain;
pub mod played;
pub mod proof;
pub mod read;

pub use finding::{Edit, Expected, Finding, Fix, Lint, Severity};
pub use linted::{Linted, Ruled};

use crate::algebra::Exhausted;
use crate::lints::LINTS;
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_list;

/// Which findings are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Codes that are passed over.
    pub allowed: Vec<String>,
    /// The only codes that are looked for; empty for all.
    pub only: Vec<String>,
    /// The least severity.
    pub severity: Severity,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { allowed: Vec::new(), only: Vec::new(), severity: Severity::Note }
    }
}

impl Wanted {
    /// Whether this kind is.
    #[must_use]
    pub fn wants(&self, lint: &Lint) -> bool {
        let named = |codes: &[String]| codes.iter().any(|code| code == lint.code);
        !named(&self.allowed)
            && (self.only.is_empty() || named(&self.only))
            && lint.severity >= self.severity
    }
}

/// The kind of finding of this code.
#[must_use]
pub fn lint_of(code: &str) -> Option<&'static Lint> {
    LINTS.iter().find(|lint| lint.code == code)
}

/// Looks a rule set over. `source`: the text that it was read from. `beside`: the rule set of the other family
/// that is loaded with it.
///
/// # Errors
/// Its packet sets are too large.
pub fn lint(
    source: &str,
    ruleset: &Ruleset,
    beside: Option<&Ruleset>,
    wanted: &Wanted,
) -> Result<Vec<Finding>, Exhausted> {
    let mut linted = Linted::new(source, ruleset, beside)?;
    let mut all = Vec::new();
    let hidden = hides_interfaces(source, linted.form);
    let known = |lint: &&Lint| {
        (!hidden || OF_ONE_RULE.contains(&lint.code)) && has_tables(&linted, lint.code)
    };
    let all_known: Vec<&Lint> =
        LINTS.iter().filter(|lint| wanted.wants(lint)).filter(known).collect();
    for lint in all_known {
        let mut found = Vec::new();
        (lint.run)(&mut linted, &mut found)?;
        let of_kind = found.into_iter().map(|finding: Finding| Finding { lint, ..finding });
        all.extend(of_kind.filter(|finding| finding.severity() >= wanted.severity));
    }
    owned::leave_out(&linted, &mut all);
    all.sort_by_key(|finding| (finding.span.start, finding.span.end));
    // A line that is loaded as several rules is told once.
    all.dedup_by(|one, before| {
        (one.span, one.lint.code, &one.text) == (before.span, before.lint.code, &before.text)
            && one.span.end > one.span.start
    });
    Ok(all)
}

/// Whether a text is a listing without the columns `in` and `out`: what looks like a rule for all interfaces may be one
/// for a single one, so that nothing can be said of rules together.
#[must_use]
pub fn hides_interfaces(source: &str, form: linted::Form) -> bool {
    let mut heads = source.lines().filter_map(iptables_list::read_column_head);
    form == linted::Form::Listing && heads.any(|columns| !columns.interfaces)
}

/// Whether the tables are there from which a kind argues: a listing shows one of them, and the others may hold
/// anything.
fn has_tables(linted: &Linted<'_>, code: &str) -> bool {
    let needed = FROM_TABLES.iter().find(|(codes, _)| codes.contains(&code));
    let is_there = |table: &TableName| linted.ruleset.table(*table).is_some_and(|one| one.declared);
    linted.form != linted::Form::Listing
        || needed.is_none_or(|(_, tables)| tables.iter().all(is_there))
}

/// Kinds that say what no rule does, or what other tables leave undone, and the tables that could hold it.
const FROM_TABLES: [(&[&str], &[TableName]); 5] = [
    (
        &[
            "connmark-never-saved",
            "mark-never-set",
            "recent-never-asked",
            "recent-never-set",
            "set-never-asked",
        ],
        &[TableName::Raw, TableName::Mangle, TableName::Nat, TableName::Filter],
    ),
    (&["helper-missing", "impossible-state", "related-tcp-only"], &[TableName::Raw]),
    (&["spoofed-source"], &[TableName::Raw, TableName::Mangle]),
    (&["nat-without-invalid-drop"], &[TableName::Mangle, TableName::Filter]),
    (
        &["forward-open", "helper-too-broad", "helper-unused", "ipv6-open", "nothing-refused"],
        &[TableName::Filter],
    ),
];

/// Kinds that hang on the words of a single rule, whatever interface it is for.
pub const OF_ONE_RULE: [&str; 6] = [
    "address-host-bits",
    "deprecated-notrack",
    "deprecated-state",
    "log-prefix-joined",
    "never-matches",
    "time-is-utc",
];
