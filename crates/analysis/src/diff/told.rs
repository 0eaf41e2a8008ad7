//! What a comparison tells, as data.

use crate::algebra::Example;
use crate::conversation::{Conversation, Spot};
use serde::Serialize;

/// Two rule sets compared.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Name of the old file.
    pub old: String,
    /// Name of the new file.
    pub new: String,
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    /// They are proven to treat every packet alike.
    pub equal: bool,
    /// The three ways.
    pub ways: Vec<WayTold>,
    /// Conversations that fare differently.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conversations: Vec<ConversationTold>,
    /// What came of recorded traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedTold>,
    /// What had to be assumed.
    pub assumed: Vec<String>,
}

/// What came of recorded traffic past both.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedTold {
    /// Packets.
    pub packets: u64,
    /// Those with another verdict.
    pub packets_differing: u64,
    /// Connections, by their ends.
    pub connections: u64,
    /// Those with packets that have another verdict.
    pub connections_differing: u64,
    /// Packets of more connections than are followed.
    #[serde(skip_serializing_if = "is_nothing")]
    pub connections_not_followed: u64,
    /// The connections that fare differently, the first of them.
    pub affected: Vec<AffectedTold>,
    /// Connections that the new rules would not let begin, and that live on with them.
    pub kept_alive: Vec<KeptTold>,
    /// How many there are.
    pub kept_alive_count: u64,
    /// How many of these come back by their next packet after they were deleted.
    pub readopted_count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_nothing(count: &u64) -> bool {
    *count == 0
}

/// A connection that fares differently.
#[derive(Clone, Debug, Serialize)]
pub struct AffectedTold {
    /// By its first packet.
    pub connection: String,
    /// Its packets.
    pub packets: u64,
    /// Those with another verdict.
    pub packets_differing: u64,
    /// Number of the first of those, from 0.
    pub first: u64,
    /// The state of that one with the old rules.
    pub state: Option<&'static str>,
    /// What became of that one with the old rules.
    pub old: &'static str,
    /// Who decided.
    pub old_by: DecidedTold,
    /// And with the new ones.
    pub new: &'static str,
    /// Who decided.
    pub new_by: DecidedTold,
}

/// A connection that lives on against the new rules.
#[derive(Clone, Debug, Serialize)]
pub struct KeptTold {
    /// By its first packet.
    pub connection: String,
    /// The command that ends it.
    pub delete: String,
    /// Its next packet begins it anew: it is TCP, and nf_conntrack_tcp_loose picks it up, or a packet that the new
    /// rules let begin a connection.
    pub is_readopted: bool,
}

/// A conversation that one rule set lets pass and the other does not.
#[derive(Clone, Debug, Serialize)]
pub struct ConversationTold {
    /// Which.
    #[serde(skip)]
    pub(crate) conversation: &'static Conversation,
    /// Where it was played.
    #[serde(skip)]
    pub(crate) spot: Spot,
    /// Its stable name.
    pub code: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Where the filter stands.
    pub place: &'static str,
    /// Who takes part.
    pub scene: String,
    /// What becomes of it with the old rules.
    pub old: String,
    /// And with the new ones.
    pub new: String,
    /// It passes with the old rules.
    pub breaks: bool,
    /// With the new rules one end goes on believing in a connection that the other has not.
    pub half_open: bool,
    /// What it means that the packet does not come.
    pub when_lost: &'static str,
    /// How people notice.
    pub when_broken: &'static str,
}

/// What is different on one way.
#[derive(Clone, Debug, Serialize)]
pub struct WayTold {
    /// `in`, `through` or `out`.
    pub way: &'static str,
    /// The hooks that it passes.
    pub hooks: Vec<&'static str>,
    /// The differences.
    pub rows: Vec<RowTold>,
    /// Rows beyond those told.
    #[serde(skip_serializing_if = "is_zero")]
    pub rows_left_out: usize,
    /// What changes in the same manner in many rows, told roughly in one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roughly: Vec<RoughlyTold>,
}

/// Rows that change in the same manner, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoughlyTold {
    /// As of each of the rows.
    pub what: &'static str,
    /// As of each of the rows.
    pub old: String,
    /// As of each of the rows.
    pub new: String,
    /// How many rows they are.
    pub rows: usize,
    /// There may be more of them.
    pub and_more: bool,
    /// Nothing is said of the packets: they are of every kind.
    #[serde(skip)]
    pub(crate) is_all: bool,
    /// All their packets fit this, and other packets may.
    pub packets: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Packets that are treated differently in one manner.
#[derive(Clone, Debug, Serialize)]
pub struct RowTold {
    /// `verdict`, `translation`, `mark`, `ttl`, `tos` or `effect`.
    pub what: &'static str,
    /// What became of them.
    pub old: String,
    /// What becomes of them.
    pub new: String,
    /// What else is different of the same packets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The packets.
    pub packets: String,
    /// Every packet of the row differs, whatever matches say that no packet decides; proven, and seen on the
    /// witness.
    pub certain: bool,
    /// What it hangs on, where it is not certain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// One packet, confirmed by the engine with both rule sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessTold>,
}

/// One packet.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessTold {
    /// The packet.
    #[serde(skip)]
    pub(crate) example: Example,
    /// As `keepstate trace --packet` reads it.
    pub packet: String,
    /// By which interface it leaves, and its state.
    pub circumstances: String,
    /// What an engine with each rule set says of it, which tracks connections itself.
    pub played: PlayedTold,
    /// What matches say of it that no packet decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// Who decides with the old rules.
    pub old: DecidedTold,
    /// And with the new ones.
    pub new: DecidedTold,
    /// The command that tells its way with the old rules.
    pub trace: String,
}

/// What an engine says of a packet, behind the packets that make its state.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PlayedTold {
    /// With either rule set the packet has its state there, and fares as is told. Where not, its state was only
    /// given to the evaluator.
    pub is_played: bool,
    /// Packets that have passed before the rules were loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// These are an FTP connection that has announced the packet's connection.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_announced: bool,
    /// It fares so in engines that have just begun, where matches that no packet decides say what they do then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_by_itself: bool,
    /// An engine in which it has its state says something else.
    #[serde(skip)]
    pub differs: bool,
}

/// A rule or policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecidedTold {
    /// `FILE:LINE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The rule.
    pub rule: String,
}
