//! What there is to say of a rule, as data.

use crate::diff::{ConversationTold, DecidedTold, RecordedTold, WayTold};
use serde::Serialize;

/// Whether a rule is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Without it packets fare differently.
    Needed,
    /// Whether any fares differently hangs on what no field of a packet decides.
    Perhaps,
    /// Nothing changes without it: proven.
    NotNeeded,
    /// No packet comes to it that it matches.
    NeverReached,
}

impl Need {
    /// In a word or two.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::Perhaps => "perhaps needed",
            Self::NotNeeded => "not needed",
            Self::NeverReached => "never reached",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct WhyTold {
    /// The file.
    pub file: String,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Table.
    pub table: &'static str,
    /// Chain.
    pub chain: String,
    /// Number in its chain, from 1.
    pub number: u32,
    /// The rule.
    pub rule: String,
    /// Whether it is needed.
    pub need: Need,
    /// Why, in a sentence.
    pub because: String,
    /// The packets that it matches, by way.
    pub matches: Vec<MatchedTold>,
    /// What would change without it.
    pub without: Vec<WayTold>,
    /// Who decides about its packets if it does not: in its place, or before it.
    pub instead: Vec<DeciderTold>,
    /// How many more do.
    pub instead_left_out: usize,
    /// Conversations that fare differently without it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conversations: Vec<ConversationTold>,
    /// Rules that it goes together with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relies: Vec<ReliesTold>,
    /// Who reads what it writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_by: Vec<DecidedTold>,
    /// Narrower forms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub narrower: Vec<NarrowerTold>,
    /// What came of recorded traffic with the rule (old) and without it (new).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedTold>,
    /// What had to be assumed.
    pub assumed: Vec<String>,
}

/// A rule that another goes together with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReliesTold {
    /// The way of its packets.
    pub way: &'static str,
    /// What it does for the other.
    pub how: &'static str,
    /// It carries packets of connections that the other lets begin: the other needs it. Else it is the other way
    /// round.
    pub carries: bool,
    /// The rule.
    #[serde(flatten)]
    pub rule: DecidedTold,
    /// Some of the packets.
    pub packets: String,
}

/// A narrower form of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NarrowerTold {
    /// The rules in its place.
    pub rules: Vec<String>,
    /// What is left out.
    pub what: &'static str,
    /// How many of the conversations that the rule carries pass with it.
    pub carried: usize,
    /// Those that do not.
    pub lost: Vec<String>,
    /// What fares differently by it, in lines; each way before them.
    pub no_longer: Vec<String>,
}

/// Packets that come to a rule and that it matches.
#[derive(Clone, Debug, Serialize)]
pub struct MatchedTold {
    /// `in`, `through` or `out`.
    pub way: &'static str,
    /// The packets, a line each.
    pub packets: Vec<String>,
    /// There are more lines than these.
    pub more: bool,
    /// Where there are: all of the packets fit this, and others may.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub around: String,
}

/// A rule that decides about packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeciderTold {
    /// The way on which it does.
    pub way: &'static str,
    /// The rule.
    #[serde(flatten)]
    pub rule: DecidedTold,
    /// What it does.
    pub verdict: String,
    /// Some of the packets.
    pub packets: String,
}
