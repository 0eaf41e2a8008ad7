//! Why: explanations that come from the parsed rules and from engine runs.
//!
//! [`explain::explain_text`] takes any text that people paste and gives an [`answer::Answer`];
//! [`render::RENDERERS`] print it. [`recognise`] says what kind of text it is, [`forms`] read the
//! kinds that are no rules, [`rule`] explains rules, [`experiment`] runs the [`conversation`]s
//! that a [`witness`] makes fit, [`narrower`] tries what could
//! stand in a rule's place on them, and [`prose`] holds what is said once per match, target and state.
//! [`mod@test`] runs what people have written down of their own rules, and says what it would not notice.
//! With the [`algebra`] of packet sets, [`lint`] looks a rule file over (each of [`lints`] is a file with its page),
//! [`why`] and [`diff`] compare rule sets, [`reach`] tells who can open what to whom, and [`graph`] draws that and chains.
#![forbid(unsafe_code)]

pub mod algebra;
pub mod answer;
pub mod conversation;
pub mod copy;
pub mod diff;
pub mod experiment;
pub mod explain;
pub mod forms;
pub mod graph;
pub mod lint;
pub mod lints;
pub mod narrower;
pub mod prose;
pub mod reach;
pub mod recognise;
pub mod render;
pub mod rule;
pub mod test;
pub mod trace;
pub mod trial;
pub mod why;
pub mod witness;

pub use answer::Answer;
pub use explain::{Question, Unexplained, explain, explain_line, explain_text};
