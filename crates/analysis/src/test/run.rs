//! Plays a test: a filter from an empty table on, its packets in order, and what was expected of each.

use super::dialogue::{self, Dialogue};
use super::expect::Expectation;
use super::judge;
use super::mutate::Shift;
use super::observe::{Observed, Sent, observe};
use super::setup::towards;
use super::told::{FailureTold, Missed, TestTold};
use super::{Conversation, Fate, Item, Setup, Suite, Test, What};
use crate::conversation::Fed;
use crate::trace::notation::{APART, Way, Written};
use crate::trace::{PacketTold, Tracer};
use keepstate_engine::{Engine, InterfaceIndex, Packet};
use keepstate_packet::{Family, Instant, LinkInfo, Parsed};
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{Ruleset, Span, TableName};
use keepstate_ruleset::syntax::iptables_save;

/// When the first packet comes: 2023-11-14 22:13:20 UTC.
const BEGIN: Instant = Instant(1_700_000_000_000_000_000);
/// Packets of a test whose ways can be told.
const TOLD_MAX: usize = 1_000_000;

/// A filter for tests.
#[derive(Debug)]
pub struct Bench {
    engine: Engine,
    /// The same again, where something translates destinations: it is asked where connections go.
    probe: Option<Engine>,
}

impl Bench {
    /// The filter of a setup, with these rules in place of its own of the same family.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn new(setup: &Setup, instead: Option<(&str, Family)>) -> Result<Self, String> {
        let changed = || -> Result<Option<Ruleset>, String> {
            let parse = |(source, family)| {
                iptables_save::parse(source, family)
                    .map_err(|_| "the rules cannot be read".to_owned())
            };
            instead.map(parse).transpose()
        };
        let engine = setup.engine(changed()?)?;
        let translates = |family| {
            let nat =
                engine.ruleset(family).and_then(|ruleset: &Ruleset| ruleset.table(TableName::Nat));
            let rules =
                nat.into_iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
            rules.count() > 0
        };
        let probe = match translates(Family::V4) || translates(Family::V6) {
            true => Some(setup.engine(changed()?)?),
            false => None,
        };
        Ok(Self { engine, probe })
    }

    /// The filter itself.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Plays a test: what was expected and did not come.
    pub fn play(&mut self, test: &Test, shift: Shift) -> Vec<Failure> {
        let mut play = Play::new(self, shift, false);
        play.test(test);
        play.failures
    }

    /// Whether all that was expected has come.
    pub fn passes(&mut self, test: &Test, shift: Shift) -> bool {
        let mut play = Play::new(self, shift, true);
        play.test(test);
        play.failures.is_empty()
    }

    /// Plays lines, and says what became of the last time of each.
    pub(super) fn watch(&mut self, items: &[Item]) -> Vec<Watched> {
        let mut play = Play::new(self, Shift::Same, false);
        let mut all = Vec::new();
        for item in items {
            play.now = play.now.plus(item.wait);
            let mut last = None;
            for _ in 0..item.times {
                last = Some(match &item.what {
                    What::Packet(written, _) => {
                        Watched { fate: None, steps: vec![Some(play.written(written))] }
                    }
                    What::Conversation(conversation) => {
                        let (dialogue, _) = play.talk(conversation);
                        Watched { fate: dialogue.fate, steps: dialogue.steps }
                    }
                });
            }
            all.extend(last);
        }
        all
    }
}

/// What became of a line.
#[derive(Debug)]
pub(super) struct Watched {
    /// Of a conversation.
    pub(super) fate: Option<Fate>,
    /// Its packets; `None`: not sent.
    pub(super) steps: Vec<Option<Observed>>,
}

/// Something that was expected and did not come.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The number of the packet, from 0, of all that came to the filter; `None`: it did not come.
    pub packet: Option<usize>,
    /// The line of the test.
    pub item: Span,
    /// The packet in words, where the line does not say it.
    pub label: Option<String>,
    /// What was expected.
    pub expected: String,
    /// Where that stands.
    pub span: Span,
    /// What came instead.
    pub instead: String,
}

/// A test under way.
struct Play<'e> {
    bench: &'e mut Bench,
    shift: Shift,
    now: Instant,
    /// Packets that have come to the filter.
    count: usize,
    /// The same, where they are to be told of.
    fed: Option<Vec<Fed>>,
    failures: Vec<Failure>,
    /// The first failure is enough.
    hasty: bool,
}

/// Plays a test and tells of it; what failed with the ways of its packets.
///
/// # Errors
/// When no filter can be made of what stands around the test.
pub fn run(suite: &Suite, test: &Test) -> Result<TestTold, String> {
    let Some(setup) = suite.setups.get(test.setup) else { return Err("no setup".to_owned()) };
    let mut bench = Bench::new(setup, None)?;
    let mut play = Play::new(&mut bench, Shift::Same, false);
    play.fed = Some(Vec::new());
    play.test(test);
    let (packets, failures, fed) = (play.count, play.failures, play.fed.unwrap_or_default());
    let passed = failures.is_empty();
    let mut told = TestTold {
        name: test.name.clone(),
        line: test.line,
        packets,
        passed,
        failures: Vec::new(),
    };
    if !passed {
        let ways = ways(setup, &failures, fed)?;
        told.failures = tell(&suite.source, failures, &ways);
    }
    Ok(told)
}

/// The ways of the packets that failures are about: all come again, and those are told of.
fn ways(
    setup: &Setup,
    failures: &[Failure],
    fed: Vec<Fed>,
) -> Result<Vec<(usize, PacketTold)>, String> {
    let mut engine = setup.engine(None)?;
    let mut tracer =
        Tracer::new(setup.rules.iter().map(|text| (text.family, text.source.as_str())));
    let mut ways = Vec::new();
    let last = failures.iter().filter_map(|failure| failure.packet).max();
    for (number, mut one) in fed.into_iter().enumerate() {
        if last.is_none_or(|last| number > last) {
            break;
        }
        let Fed { now, interface, link, mark, .. } = one;
        let packet = Packet { bytes: &mut one.bytes, interface, family: None, link, mark };
        let told = tracer.packet(&mut engine, now, packet);
        if failures.iter().any(|failure| failure.packet == Some(number)) {
            ways.push((number, told));
        }
    }
    Ok(ways)
}

/// Failures, those of one packet together.
fn tell(source: &str, failures: Vec<Failure>, ways: &[(usize, PacketTold)]) -> Vec<FailureTold> {
    let lines = Lines::of(source);
    let mut all: Vec<FailureTold> = Vec::new();
    let mut last = None;
    for failure in failures {
        let missed = Missed { expected: failure.expected, instead: failure.instead };
        let key = (failure.packet, failure.item, failure.label.clone());
        if let (true, Some(told)) = (last.as_ref() == Some(&key), all.last_mut()) {
            told.missed.push(missed);
            continue;
        }
        last = Some(key);
        let item = failure.item.start as usize..failure.item.end as usize;
        let text = source.get(item).unwrap_or("");
        let way = ways.iter().find(|(number, _)| Some(*number) == failure.packet);
        all.push(FailureTold {
            line: lines.line_at(failure.span.start),
            text: text.split("->").next().unwrap_or(text).trim().to_owned(),
            packet: failure.label,
            missed: vec![missed],
            trace: way.map(|(_, told)| told.clone()),
        });
    }
    all
}

impl<'e> Play<'e> {
    fn new(bench: &'e mut Bench, shift: Shift, hasty: bool) -> Self {
        bench.engine.restart();
        Self { bench, shift, now: BEGIN, count: 0, fed: None, failures: Vec::new(), hasty }
    }

    fn test(&mut self, test: &Test) {
        for item in &test.items {
            self.now = self.now.plus(item.wait);
            for _ in 0..item.times {
                match &item.what {
                    What::Packet(written, expected) => self.packet(item, written, expected),
                    What::Conversation(conversation) => self.conversation(item, conversation),
                }
                if self.hasty && !self.failures.is_empty() {
                    return;
                }
            }
        }
    }

    fn packet(&mut self, item: &Item, written: &Written, expected: &[Expectation]) {
        let number = self.count;
        let observed = self.written(written);
        self.judge(item, expected.iter(), &observed, None, Some(number));
    }

    fn written(&mut self, written: &Written) -> Observed {
        let interface = interface(&self.bench.engine, written);
        let sent = Sent { bytes: written.bytes.clone(), interface, mark: written.mark };
        let now = self.now;
        self.now = now.plus(APART);
        let observed = observe(&mut self.bench.engine, now, &sent);
        let Sent { bytes, mark, .. } = sent;
        self.keep([Fed { now, bytes, interface, link: LinkInfo::default(), mark }]);
        observed
    }

    fn keep(&mut self, fed: impl IntoIterator<Item = Fed>) {
        for one in fed {
            self.count += 1;
            if let Some(kept) = self.fed.as_mut().filter(|kept| kept.len() < TOLD_MAX) {
                kept.push(one);
            }
        }
    }

    /// The conversation, and how many packets had come before it.
    fn talk(&mut self, conversation: &Conversation) -> (Dialogue, usize) {
        let before = self.count;
        let Bench { engine, probe } = &mut *self.bench;
        engine.handle_timeout(self.now);
        let mut dialogue = dialogue::play(engine, probe.as_mut(), conversation, self.now);
        let fed = std::mem::take(&mut dialogue.fed);
        if let Some(last) = fed.last() {
            self.now = last.now.plus(APART);
        }
        self.keep(fed);
        (dialogue, before)
    }

    fn conversation(&mut self, item: &Item, conversation: &Conversation) {
        let (dialogue, before) = self.talk(conversation);
        self.judge_fate(item, conversation, &dialogue, before);
        for (number, expectation) in &conversation.packets {
            let index = number.saturating_sub(1);
            let packet = dialogue.numbers.get(index).copied().flatten();
            let packet = packet.map(|number| number + before);
            let label = dialogue.label(index);
            match dialogue.steps.get(index) {
                Some(Some(observed)) => {
                    self.judge(item, std::iter::once(expectation), observed, Some(label), packet);
                }
                _ => {
                    let instead = "it does not come to the filter".to_owned();
                    self.failed(item, packet, Some(label), expectation, instead);
                }
            }
        }
    }

    fn judge_fate(
        &mut self,
        item: &Item,
        conversation: &Conversation,
        dialogue: &Dialogue,
        before: usize,
    ) {
        let Some((wanted, expectation)) = &conversation.fate else { return };
        let holds = match (wanted, dialogue.fate) {
            (_, None) => false,
            // What is half open is broken, too.
            (Fate::Breaks(wanted), Some(Fate::HalfOpen(at))) => *wanted == at,
            (wanted, Some(fate)) => *wanted == fate,
        };
        if holds != expectation.not && dialogue.fate.is_some() {
            return;
        }
        let index = match dialogue.fate {
            Some(Fate::Breaks(at) | Fate::HalfOpen(at)) => at - 1,
            Some(Fate::Passes) | None => 0,
        };
        let came = match dialogue.fate {
            None if dialogue.steps.is_empty() => NOT_SPOKEN.to_owned(),
            None => "nobody knows".to_owned(),
            Some(Fate::Passes) => "passes".to_owned(),
            Some(Fate::Breaks(at)) => format!("breaks at {at}"),
            Some(Fate::HalfOpen(at)) => format!("half-open at {at}"),
        };
        let instead = match dialogue.steps.get(index) {
            Some(Some(observed)) if dialogue.fate != Some(Fate::Passes) => {
                format!("{came}: {}", judge::outcome(observed, &self.bench.engine))
            }
            _ => came,
        };
        let packet = dialogue.numbers.get(index).copied().flatten().map(|number| number + before);
        self.failed(item, packet, Some(dialogue.label(index)), expectation, instead);
    }

    fn judge<'x>(
        &mut self,
        item: &Item,
        expected: impl Iterator<Item = &'x Expectation>,
        observed: &Observed,
        label: Option<String>,
        packet: Option<usize>,
    ) {
        for expectation in expected {
            let instead = match observed.unknown {
                Some(_) => Some(UNKNOWN.to_owned()),
                None => judge::instead(expectation, observed, &self.bench.engine, self.shift),
            };
            if let Some(instead) = instead {
                self.failed(item, packet, label.clone(), expectation, instead);
            }
        }
    }

    fn failed(
        &mut self,
        item: &Item,
        packet: Option<usize>,
        label: Option<String>,
        expectation: &Expectation,
        instead: String,
    ) {
        self.failures.push(Failure {
            packet,
            item: item.span,
            label,
            expected: expectation.text.clone(),
            span: expectation.span,
            instead,
        });
    }
}

const NOT_SPOKEN: &str =
    "it is not spoken through a router: one of its ends is to be the filter's own host";
const UNKNOWN: &str =
    "nobody knows: a match asks for what is neither in the packet nor in the host file";

/// Where a packet comes in; `None`: the host itself sends it.
fn interface(engine: &Engine, written: &Written) -> Option<InterfaceIndex> {
    match written.way {
        Way::Host => None,
        Way::Interface(name) => {
            let interfaces = &engine.host().interfaces;
            let at = interfaces.iter().position(|interface| interface.name == name);
            Some(InterfaceIndex(at.and_then(|at| u16::try_from(at).ok()).unwrap_or(0)))
        }
        Way::Unsaid => {
            let parsed = Parsed::new(&written.bytes).ok()?;
            towards(engine, parsed.family, parsed.source)
        }
    }
}
