//! What an explanation says, as data: facts under headings, and experiments with the numbers the
//! engine gave. Renderers print it and add nothing.

use serde::Serialize;

/// The whole answer to one question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What was asked about, as it was given; cut at [`INPUT_SHOWN_MAX`] bytes.
    pub input: String,
    /// Stable name of the form that was recognised (`iptables-list-row`, `conntrack-line`, ...).
    pub form: &'static str,
    /// The rule in iptables-save form, as it was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Sections in reading order.
    pub sections: Vec<Section>,
    /// What had to be assumed.
    pub assumptions: Vec<Assumption>,
}

/// Most bytes of the input that an answer repeats.
pub const INPUT_SHOWN_MAX: usize = 4096;

/// Facts that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its place in the answer.
    pub topic: Topic,
    /// What there is to say.
    pub facts: Vec<Fact>,
}

/// The headings, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The answer in a few lines, for who has no time.
    Short,
    /// What kind of text this is and what it hides.
    Form,
    /// What is wrong with it.
    Fault,
    /// The fields of a line.
    Fields,
    /// The chains of a rule set.
    Chains,
    /// What the rule matches.
    Matches,
    /// What the words mean that need an article.
    Terms,
    /// What happens to a packet that matches.
    Effect,
    /// Why the rule is needed: engine runs.
    Why,
    /// What could stand in its place, and what that would change: engine runs.
    Narrower,
    /// What follows from what the line says.
    Consequences,
    /// What to mind.
    Mind,
}

impl Topic {
    /// The heading.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Short => "In short",
            Self::Form => "What this is",
            Self::Fault => "What is wrong with it",
            Self::Fields => "Field by field",
            Self::Chains => "Chain by chain",
            Self::Matches => "What it matches",
            Self::Terms => "What the words mean",
            Self::Effect => "What it does",
            Self::Why => "Why it is needed",
            Self::Narrower => "Narrower, or otherwise",
            Self::Consequences => "What follows",
            Self::Mind => "What to mind",
        }
    }
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fact {
    /// A sentence or a few.
    Statement {
        /// Stable name of what is said.
        code: String,
        /// The word it is about; printed before it.
        #[serde(skip_serializing_if = "Option::is_none")]
        term: Option<String>,
        /// The text.
        text: String,
    },
    /// Lines to be pasted.
    Paste {
        /// Stable name.
        code: String,
        /// What they do.
        text: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// A field and its value.
    Field {
        /// As it stands in the line.
        field: String,
        /// What it says.
        text: String,
    },
    /// A chain of a rule set with its rules.
    Chain(Box<ChainTold>),
    /// A conversation run through the engine under two or three rule sets.
    Experiment(Box<Experiment>),
    /// What may stand in place of the rule, tried on the same conversations.
    Comparison(Box<Comparison>),
}

/// A chain in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainTold {
    /// `IPv4` or `IPv6`, where the text has rules for both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<&'static str>,
    /// `filter`, ...
    pub table: String,
    /// `INPUT`, or a user chain.
    pub chain: String,
    /// `ACCEPT` or `DROP`; `None` for a user chain, or where the text does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What it is for and what its rules come to, in sentences.
    pub purpose: Vec<String>,
    /// Its rules in order.
    pub rules: Vec<RuleTold>,
}

/// A rule in words, or neighbours that differ in one clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleTold {
    /// Number of the first in its chain, from 1.
    pub first: usize,
    /// Number of the last.
    pub last: usize,
    /// Line of the first, from 1.
    pub line: u32,
    /// Its comments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What it does and when: `accepts when it is TCP and its destination port is 22`.
    pub text: String,
}

impl RuleTold {
    /// `3`, `4-7`.
    #[must_use]
    pub fn numbers(&self) -> String {
        match self.first == self.last {
            true => self.first.to_string(),
            false => format!("{}-{}", self.first, self.last),
        }
    }
}

/// Something assumed, because the text does not say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// Stable name of what it concerns: `table`, `chain`, `addresses`, `sysctls`, ...
    pub about: &'static str,
    /// The text.
    pub text: String,
}

/// One conversation under several rule sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Experiment {
    /// Stable name of the conversation (`tcp-client`, `ftp-passive`, ...).
    pub code: &'static str,
    /// What is tried.
    pub title: String,
    /// Who takes part, and where the filter stands.
    pub scene: String,
    /// Rules that stand beside the rule in question, in iptables-save form.
    pub setting: Vec<String>,
    /// The conversation, a step a packet.
    pub steps: Vec<StepShown>,
    /// What became of each step, a run a rule set.
    pub runs: Vec<Run>,
    /// The first step whose fate is not the same in the first two runs, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs_at: Option<usize>,
    /// What that means.
    pub conclusion: String,
}

/// A packet of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepShown {
    /// Number from 1.
    pub number: usize,
    /// Who sends it.
    pub from: String,
    /// To whom.
    pub to: String,
    /// `SYN`, `ACK seq 1001`, `227 Entering Passive Mode`, ...
    pub packet: String,
}

/// A conversation under one rule set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// `with the rule`, `without the rule`, ...
    pub name: String,
    /// In the order of the steps.
    pub outcomes: Vec<Outcome>,
}

/// What became of one packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// False when the packet is never sent in this run, because of what became of an earlier one.
    pub sent: bool,
    /// Whether it came to its receiver, who waited for it.
    pub came: bool,
    /// What else became of a packet that the filter did not stop: `strange` (its receiver knows no
    /// such connection), `astray` (it came to somebody else), `no-way` (no router leads to its
    /// address).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<&'static str>,
    /// Last hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<&'static str>,
    /// The chain of the filter table on its way: `INPUT`, `FORWARD`, `OUTPUT`; of a packet that
    /// did not get so far, the last hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<&'static str>,
    /// Its conntrack state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// `original` or `reply`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// `accept`, `drop`, `reject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'static str>,
    /// The rule or the policy that decided, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Whether the rule in question matched it.
    pub rule_matched: bool,
    /// Reason code of an INVALID packet or a drop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// How far outside an edge, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<u32>,
    /// The packet's mark afterwards, when a rule set one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<u32>,
    /// Connection mark afterwards, when it is not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connmark: Option<u32>,
    /// What was translated on its way: `from ADDRESS:PORT`, `to ADDRESS:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated: Option<String>,
    /// What else of it was changed on its way: `its maximum segment size 1460 becomes 1452`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Lines of the LOG target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Packets that the filter made in answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// What tracking did besides: an expectation made, a connection kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// Several rules in the same place, tried on the same conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Stable name.
    pub code: &'static str,
    /// What stands beside them: the policy of their chain, then lines to be pasted.
    pub setting: Vec<String>,
    /// The rule in question, then what is tried in its place.
    pub columns: Vec<Column>,
    /// A conversation each.
    pub rows: Vec<Row>,
}

/// What is tried in the place of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// `this rule`, `(a)`, ...
    pub name: String,
    /// What it is.
    pub text: String,
    /// Its lines, to be pasted.
    pub lines: Vec<String>,
}

/// A conversation under each of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Stable name of the conversation.
    pub code: &'static str,
    /// What it is, and who begins it.
    pub title: String,
    /// It is to be stopped.
    pub is_attack: bool,
    /// What became of it, in the order of the columns.
    pub cells: Vec<Cell>,
}

/// What became of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// `passes`, `breaks`, `half-open`, `unknown`.
    pub fate: &'static str,
    /// At which packet, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
    /// That packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<String>,
    /// The sender of that packet is told.
    pub is_told: bool,
}

impl Outcome {
    /// Whether a packet that was sent got where it was to go: the filter let it pass, or never saw it.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.received.is_none() && matches!(self.verdict, Some("accept") | None)
    }
}

impl Answer {
    /// An answer with nothing in it yet.
    #[must_use]
    pub fn new(input: &str, form: &'static str) -> Self {
        let end =
            (0..=input.len().min(INPUT_SHOWN_MAX)).rev().find(|at| input.is_char_boundary(*at));
        let input = input.get(..end.unwrap_or(0)).unwrap_or("").to_string();
        Self { input, form, ..Self::default() }
    }

    /// Adds a fact under a heading.
    pub fn add(&mut self, topic: Topic, fact: Fact) {
        match self.sections.iter_mut().find(|section| section.topic == topic) {
            Some(section) => section.facts.push(fact),
            None => {
                self.sections.push(Section { topic, facts: vec![fact] });
                self.sections.sort_by_key(|section| section.topic);
            }
        }
    }

    /// Adds a statement.
    pub fn say(&mut self, topic: Topic, code: impl Into<String>, text: impl Into<String>) {
        self.add(topic, Fact::Statement { code: code.into(), term: None, text: text.into() });
    }

    /// Adds a statement about a word, unless that word was spoken of already.
    pub fn define(&mut self, code: impl Into<String>, term: &str, text: impl Into<String>) {
        let code = code.into();
        if self.fact(&code).is_none() {
            let term = Some(term.to_string());
            self.add(Topic::Terms, Fact::Statement { code, term, text: text.into() });
        }
    }

    /// Adds lines to be pasted.
    pub fn paste(
        &mut self,
        topic: Topic,
        code: impl Into<String>,
        text: impl Into<String>,
        lines: Vec<String>,
    ) {
        self.add(topic, Fact::Paste { code: code.into(), text: text.into(), lines });
    }

    /// Adds a field.
    pub fn field(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Topic::Fields, Fact::Field { field: field.into(), text: text.into() });
    }

    /// Adds an assumption, once.
    pub fn assume(&mut self, about: &'static str, text: impl Into<String>) {
        let text = text.into();
        if !self.assumptions.iter().any(|known| known.text == text) {
            self.assumptions.push(Assumption { about, text });
        }
    }

    /// All facts.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.sections.iter().flat_map(|section| &section.facts)
    }

    /// The fact of this code.
    #[must_use]
    pub fn fact(&self, code: &str) -> Option<&Fact> {
        self.facts().find(|fact| fact.code() == code)
    }

    /// The experiments.
    pub fn experiments(&self) -> impl Iterator<Item = &Experiment> {
        self.facts().filter_map(|fact| match fact {
            Fact::Experiment(experiment) => Some(experiment.as_ref()),
            Fact::Statement { .. }
            | Fact::Paste { .. }
            | Fact::Field { .. }
            | Fact::Chain(_)
            | Fact::Comparison(_) => None,
        })
    }
}

impl Fact {
    /// Its stable name; of a field, the field.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Statement { code, .. } | Self::Paste { code, .. } => code,
            Self::Field { field, .. } => field,
            Self::Chain(chain) => &chain.chain,
            Self::Experiment(experiment) => experiment.code,
            Self::Comparison(comparison) => comparison.code,
        }
    }

    /// Its text; of an experiment, the conclusion; of a chain, the first that is said of it; of a
    /// comparison, what is tried last.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Statement { text, .. } | Self::Paste { text, .. } | Self::Field { text, .. } => {
                text
            }
            Self::Chain(chain) => chain.purpose.first().map_or("", String::as_str),
            Self::Experiment(experiment) => &experiment.conclusion,
            Self::Comparison(comparison) => {
                comparison.columns.last().map_or("", |column| column.text.as_str())
            }
        }
    }
}
