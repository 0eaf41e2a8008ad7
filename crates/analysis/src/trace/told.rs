//! What a trace tells, as data.

use serde::Serialize;

/// A packet and its way.
#[derive(Clone, Debug, Serialize)]
pub struct PacketTold {
    /// Its number, from 1.
    pub number: usize,
    /// Seconds since the first one.
    pub seconds: f64,
    /// What its writer says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it came in; `None`: the host itself sends it.
    pub interface: Option<String>,
    /// The packet, as it came.
    pub packet: String,
    /// Its way, in order.
    pub steps: Vec<Step>,
    /// Steps beyond what is kept of one packet.
    #[serde(skip_serializing_if = "is_none")]
    pub steps_left_out: usize,
    /// `accept`, `drop`, `reject`, `queue`, `stolen`, `held`.
    pub verdict: &'static str,
    /// Why it was dropped, when not by a rule: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// What became of it, and who decided.
    pub outcome: String,
    /// As it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<Leaves>,
    /// What rules and tracking wrote into the log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// What happened to connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none(count: &usize) -> bool {
    *count == 0
}

/// A packet on its way out.
#[derive(Clone, Debug, Serialize)]
pub struct Leaves {
    /// By this interface.
    pub interface: String,
    /// The packet.
    pub packet: String,
}

/// A step of the way.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// It enters a hook.
    Hook {
        /// Its name.
        hook: &'static str,
    },
    /// Tracking speaks.
    Tracked(TrackedTold),
    /// A table's chain is walked.
    Table(TableTold),
    /// An end of the packet is translated.
    Translated {
        /// `source` or `destination`.
        end: &'static str,
        /// As it was.
        from: String,
        /// As it is now.
        to: String,
    },
    /// Nothing is translated, and why.
    Untranslated {
        /// Why.
        why: String,
    },
    /// It is routed.
    Routed {
        /// Where to.
        to: String,
    },
    /// Its connection is in the table from now on.
    Confirmed,
    /// The filter or the host makes a packet on account of it.
    Answer(AnswerTold),
}

/// What tracking says.
#[derive(Clone, Debug, Serialize)]
pub struct TrackedTold {
    /// `NEW`, `ESTABLISHED`, ...
    pub state: &'static str,
    /// `original` or `reply`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// The connection; of an INVALID packet the one whose addresses and ports it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionTold>,
    /// Why it is INVALID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<InvalidTold>,
    /// Of a packet that is NEW: which packet before it has announced it, to a helper that is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced: Option<String>,
}

/// A connection.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConnectionTold {
    /// As its first packet was.
    pub original: String,
    /// As the answers are, where that is not just the same turned round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// State of its protocol before the packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_before: Option<&'static str>,
    /// And after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_after: Option<&'static str>,
    /// Its mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// Its helper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// Nothing is left of it behind the packet.
    pub is_gone: bool,
}

/// Why a packet is INVALID.
#[derive(Clone, Debug, Serialize)]
pub struct InvalidTold {
    /// A stable code.
    pub reason: &'static str,
    /// In words, with the numbers.
    pub text: String,
    /// The edge that it is outside of, a sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<u32>,
    /// How far, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<u32>,
    /// The packet that set the edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_by: Option<usize>,
    /// What would have changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<&'static str>,
}

/// The walk through a table's chain.
#[derive(Clone, Debug, Serialize)]
pub struct TableTold {
    /// Table.
    pub table: &'static str,
    /// The chain that it begins in.
    pub chain: &'static str,
    /// The rules looked at, in order.
    pub rules: Vec<RuleTold>,
    /// Rules that did not match and are not told of.
    #[serde(skip_serializing_if = "is_none")]
    pub left_out: usize,
    /// What came of it.
    pub verdict: String,
    /// Who decided.
    pub decided: String,
    /// The packet's mark from then on, where the rules have changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
}

/// A rule that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct RuleTold {
    /// Its chain.
    pub chain: String,
    /// Its number, from 1.
    pub number: u32,
    /// Its line in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The rule.
    pub rule: String,
    /// Whether all its matches said yes.
    pub matched: bool,
    /// The first that did not, and what the packet is instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A packet that the filter or the host makes.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerTold {
    /// The packet, as it is made.
    pub packet: String,
    /// Who makes it.
    pub by: &'static str,
    /// Its own way.
    pub steps: Vec<Step>,
    /// As it leaves; `None` where it does not.
    pub leaves: Option<Leaves>,
}
