//! Why a rule is needed: what becomes of which packets without it.
//!
//! Only packets that come to the rule and that it matches can fare differently without it. They are followed
//! through the rules with and without this one; where nothing differs, the rules that decide
//! about them instead are named.

mod because;
mod idle;
mod narrower;
mod place;
mod relies;
mod text;
mod told;

pub use place::{NoRule, Place, find, places};
pub use text::{render, render_line};
pub use told::{DeciderTold, MatchedTold, NarrowerTold, Need, ReliesTold, WhyTold};

use crate::algebra::space::{Packets, Result};
use crate::algebra::way::Outcome;
use crate::algebra::{Space, Way, way};
use crate::copy::copy;
use crate::diff::{self, Asking, Changing, Pair, Side, words};
use crate::trial::{Decided, Never};
use because::Own;
use keepstate_conntrack::Hook;
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::model::{ChainIndex, HeaderMatch, Jump, Rule, Ruleset, TableName};
use keepstate_ruleset::packet_set::PacketSet;
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::verdict::{Step, Verdict};

/// Most rules that are named which decide in the place of another.
const INSTEAD_MAX: usize = 8;
/// Most rules that are named which read what another writes.
const READERS_MAX: usize = 24;
/// Most lines that tell which packets a rule matches; of more only half as many are told, and where all are.
const MATCHES_MAX: usize = 6;
/// Most lines that tell what fares differently by a narrower form.
const LINES_MAX: usize = 12;

/// A rule set that is asked about its rules.
#[derive(Debug)]
pub struct Asked {
    with: Side,
    without: Side,
    space: Space,
    possible: Packets,
    changing: Changing,
    /// All packets of each way through the rules, where every rule is asked about.
    shared: Option<Vec<Outcome>>,
}

/// What a rule meets on one way.
struct Met {
    way: Way,
    /// Packets that come to it and that it matches.
    hits: Packets,
}

impl Asked {
    /// For a rule file; `without`: a copy of its rules ([`crate::copy`]).
    ///
    /// # Errors
    /// [`crate::algebra::Exhausted`] where the sets are too large.
    pub fn new(name: &str, source: &str, with: Ruleset, without: Ruleset) -> Result<Self> {
        let with = Side::new(name, source, with);
        let without = Side::new(name, source, without);
        let mut space = Space::new(with.trial.ruleset().family, [with.trial.ruleset()])?;
        space.remember_rules();
        let possible = diff::possible(&space, &[with.trial.ruleset()])?;
        let changing = Changing::of([with.trial.ruleset()]);
        Ok(Self { with, without, space, possible, changing, shared: None })
    }

    /// Many rules will be asked about: all packets are carried through the rules once for all of them, where the
    /// sets are not too large for that.
    pub fn share(&mut self) {
        let mut shared = Vec::new();
        for way in Way::ALL {
            let (space, ruleset) = (&mut self.space, self.with.trial.ruleset());
            let every = space.every();
            let Ok(outcome) = way::follow(space, ruleset, way, &every) else { return };
            shared.push(outcome);
        }
        self.shared = Some(shared);
    }

    /// The rules.
    #[must_use]
    pub fn ruleset(&self) -> &Ruleset {
        self.with.trial.ruleset()
    }

    /// The line of a rule, from 1.
    #[must_use]
    pub fn line(&self, place: Place) -> Option<u32> {
        self.with.line(place.rule(self.ruleset())?.span)
    }

    /// The rules without one; the others keep their numbers.
    #[must_use]
    pub fn copy_without(&self, place: Place) -> Option<Ruleset> {
        let mut without = copy(self.ruleset()).ok()?;
        let rule = place.rule_mut(&mut without)?;
        (rule.header, rule.target) = (HeaderMatch::default(), Jump::None);
        rule.matches = vec![Box::new(Never)];
        Some(without)
    }

    /// The rules with and without, for telling who decided.
    #[must_use]
    pub const fn sides(&self) -> (&Side, &Side) {
        (&self.with, &self.without)
    }

    /// All that there is to say of a rule; `None` where there is none.
    ///
    /// # Errors
    /// [`crate::algebra::Exhausted`] where the sets are too large.
    pub fn why(&mut self, place: Place) -> Result<Option<WhyTold>> {
        let Some(mut told) = self.need(place)? else { return Ok(None) };
        if told.need == Need::NeverReached || idle::why(self.ruleset(), place).is_some() {
            return Ok(Some(told));
        }
        let met = self.met(place)?;
        self.play(place, &met, &mut told)?;
        for one in &met {
            if self.lets_pass(place) {
                let way = (one.way, &one.hits);
                let (space, possible) = (&mut self.space, &self.possible);
                told.relies.extend(relies::relies(space, &self.with, way, possible)?);
            }
        }
        self.readers(place, &mut told);
        Ok(Some(told))
    }

    /// Whether it is needed, and what would change without it; `None` where there is no such rule.
    ///
    /// # Errors
    /// [`crate::algebra::Exhausted`] where the sets are too large.
    pub fn need(&mut self, place: Place) -> Result<Option<WhyTold>> {
        let Some(mut told) = self.begin(place) else { return Ok(None) };
        let met = self.met(place)?;
        for one in &met {
            told.matches.extend(self.matches(one)?);
        }
        if met.iter().all(|one| one.hits.is_empty()) {
            self.never_reached(place, &mut told)?;
            return Ok(Some(told));
        }
        if let Some(why) = idle::why(self.ruleset(), place) {
            (told.need, told.because) = (Need::NotNeeded, why);
            return Ok(Some(told));
        }
        self.take_away(place);
        let without = self.without_it(place, &met, &mut told);
        self.put_back();
        without?;
        let own = self.own_conditions(place, &told.rule);
        because::conclude(&mut told, &own);
        Ok(Some(told))
    }

    /// Conversations with it and without, and with narrower forms.
    fn play(&mut self, place: Place, met: &[Met], told: &mut WhyTold) -> Result<()> {
        let (Ok(with), Some(without)) = (copy(self.ruleset()), self.copy_without(place)) else {
            return Ok(());
        };
        let mut pair = Pair::new(with, without);
        told.conversations = pair.differing(&diff::around(&told.without));
        let forms = narrower::narrower(self.ruleset(), place, &told.conversations, &mut pair);
        for (mut form, ruleset) in forms {
            // The rules behind this one have other numbers there.
            let remembered = self.space.set_aside();
            let no_longer = self.no_longer(met, ruleset);
            self.space.take_up(remembered);
            form.no_longer = no_longer?;
            told.narrower.push(form);
        }
        Ok(())
    }

    /// The packets that fare differently where other rules stand in the place of one.
    fn no_longer(&mut self, met: &[Met], narrow: Ruleset) -> Result<Vec<String>> {
        let new = Side::new("", "", narrow);
        let mut all = Vec::new();
        for met in met {
            let (space, possible) = (&mut self.space, &self.possible);
            let sides = (&self.with, &new);
            for one in diff::of_way(space, sides, met.way, &met.hits, possible)? {
                if let diff::Aspect::Verdict(old, new) = one.aspect {
                    let (lines, _) = diff::lines(space, met.way, &one.packets, possible, 2)?;
                    let (old, new) = (words::verdict(old), words::verdict(new));
                    let way = diff::way_name(met.way);
                    all.extend(lines.iter().map(|line| format!("{way}, {old} -> {new}: {line}")));
                }
            }
        }
        all.truncate(LINES_MAX);
        Ok(all)
    }

    /// Whether the rule itself lets packets pass.
    fn lets_pass(&self, place: Place) -> bool {
        let rule = place.rule(self.ruleset());
        place.table == TableName::Filter
            && rule.is_some_and(|rule| {
                matches!(rule.target, Jump::Standard(Step::Verdict(Verdict::Accept)))
            })
    }

    /// The rules that read what the target writes: marks, helpers.
    fn readers(&self, place: Place, told: &mut WhyTold) {
        let rule = place.rule(self.ruleset());
        let Some(Jump::Target(target)) = rule.map(|rule| &rule.target) else { return };
        let readers: &[&str] = match target.name() {
            "MARK" | "HMARK" | "TPROXY" => &["mark"],
            "CONNMARK" => &["connmark", "mark"],
            "CT" | "NOTRACK" => &["helper", "conntrack", "state"],
            "SET" => &["set"],
            "TOS" | "DSCP" => &["tos", "dscp"],
            "RATEEST" => &["rateest"],
            _ => &[],
        };
        // A helper makes packets RELATED that are not without it; what is not tracked has a state of its own.
        let untracks = target.effect().writes.contains(&Change::Template { untracked: true });
        let state = if untracks { "UNTRACKED" } else { "RELATED" };
        for other in places(self.ruleset()) {
            let Some(rule) = other.rule(self.ruleset()) else { continue };
            let reads_match = rule.matches.iter().any(|one| {
                let is_state = matches!(one.name(), "conntrack" | "state");
                let asks = crate::algebra::chain::text_of(one.as_ref()).contains(state);
                readers.contains(&one.name()) && (asks || !is_state)
            });
            let copies = matches!((&rule.target, target.name()),
                (Jump::Target(other), "MARK" | "CONNMARK") if other.name() == "CONNMARK");
            if (reads_match || copies) && other != place && told.read_by.len() < READERS_MAX {
                let hook = other.table.hooks().first().copied().unwrap_or(Hook::Forward);
                let by = Decided { hook, table: other.table, at: other.at };
                told.read_by.push(words::decided(&self.with, Some(by)));
            }
        }
    }

    fn begin(&self, place: Place) -> Option<WhyTold> {
        let ruleset = self.ruleset();
        let table = ruleset.table(place.table)?;
        let chain = table.chain(place.at.chain)?;
        let rule = place.rule(ruleset)?;
        Some(WhyTold {
            file: self.with.name.clone(),
            line: self.line(place),
            table: place.table.as_str(),
            chain: chain.name.clone(),
            number: place.at.number + 1,
            rule: print_rule(ruleset.family, table, &chain.name, rule),
            need: Need::NeverReached,
            because: String::new(),
            matches: Vec::new(),
            without: Vec::new(),
            instead: Vec::new(),
            instead_left_out: 0,
            conversations: Vec::new(),
            relies: Vec::new(),
            read_by: Vec::new(),
            narrower: Vec::new(),
            recorded: None,
            assumed: diff::assumed(&[ruleset]),
        })
    }

    /// What it matches on each way that leads to it.
    fn met(&mut self, place: Place) -> Result<Vec<Met>> {
        let ruleset = self.with.trial.ruleset();
        let Some(rule) = place.rule(ruleset) else { return Ok(Vec::new()) };
        let is_before_routing = is_before_routing(ruleset, place);
        let asking = Asking { table: place.table, is_before_routing };
        let own = self.changing.widest(&mut self.space, rule, asking)?;
        let mut met = Vec::new();
        for way in ways(ruleset, place) {
            let shared = self.shared.iter().flatten().find(|outcome| outcome.way == way);
            let mut hits = match shared {
                Some(outcome) => hits(&self.space, outcome, place)?,
                None => {
                    let among = own.and(&way.packets(&self.space)?)?;
                    let outcome = way::follow(&mut self.space, ruleset, way, &among)?;
                    hits(&self.space, &outcome, place)?
                }
            };
            if hits.and(&self.possible)?.is_empty() {
                hits = self.space.none();
            }
            met.push(Met { way, hits });
        }
        Ok(met)
    }

    fn matches(&self, met: &Met) -> Result<Option<MatchedTold>> {
        if met.hits.is_empty() {
            return Ok(None);
        }
        let (mut packets, more) =
            diff::lines(&self.space, met.way, &met.hits, &self.possible, MATCHES_MAX)?;
        let mut around = String::new();
        if more {
            packets.truncate(MATCHES_MAX / 2);
            let hits = self.space.widest(&met.hits)?;
            let row = self.space.around(&hits, &self.possible)?.on(met.way);
            around = row.shown(&self.space).to_string();
        }
        Ok(Some(MatchedTold { way: diff::way_name(met.way), packets, more, around }))
    }

    /// Has the rule match nothing, until [`Self::put_back`].
    fn take_away(&mut self, place: Place) {
        self.space.except_rule(Some((place.table, place.at)));
        self.without.trial.take_away(Some((place.table, place.at)));
    }

    fn put_back(&mut self) {
        self.space.except_rule(None);
        self.without.trial.take_away(None);
    }

    fn without_it(&mut self, place: Place, met: &[Met], told: &mut WhyTold) -> Result<()> {
        for one in met.iter().filter(|one| !one.hits.is_empty()) {
            let sides = (&self.with, &self.without);
            let (space, possible) = (&mut self.space, &self.possible);
            let differences = diff::of_way(space, sides, one.way, &one.hits, possible)?;
            let rows = diff::rows_of(space, sides, one.way, &differences, possible)?;
            if rows.rows.is_empty() && rows.rows_left_out == 0 {
                self.instead(place, one, told)?;
            } else {
                told.without.push(rows);
            }
        }
        Ok(())
    }

    /// The rules that decide about its packets when it does not.
    fn instead(&mut self, place: Place, met: &Met, told: &mut WhyTold) -> Result<()> {
        let ruleset = self.without.trial.ruleset();
        let outcome = way::follow(&mut self.space, ruleset, met.way, &met.hits)?;
        let mut found = Vec::new();
        for stage in outcome.stages.iter().filter(|stage| stage.table == place.table) {
            if !stage.walked.rules().contains(&place.at) {
                continue;
            }
            for (verdict, at) in stage.walked.verdicts() {
                let packets = stage.walked.decided(&self.space, verdict, at)?;
                if !packets.is_empty() {
                    let by = Decided { hook: stage.hook, table: stage.table, at };
                    found.push((by, verdict, packets));
                }
            }
        }
        self.deciders(met.way, found, told)
    }

    fn deciders(
        &self,
        way: Way,
        found: Vec<(Decided, Verdict, Packets)>,
        told: &mut WhyTold,
    ) -> Result<()> {
        for (by, verdict, packets) in found {
            if packets.and(&self.possible)?.is_empty() {
                continue;
            }
            if told.instead.len() >= INSTEAD_MAX {
                told.instead_left_out += 1;
                continue;
            }
            let (lines, more) = diff::lines(&self.space, way, &packets, &self.possible, 1)?;
            let mut shown = lines.join("");
            if more {
                shown.push_str(", and more");
            }
            told.instead.push(DeciderTold {
                way: diff::way_name(way),
                rule: words::decided(&self.with, Some(by)),
                verdict: words::verdict(verdict),
                packets: shown,
            });
        }
        Ok(())
    }

    /// Who has its packets before they come to it.
    fn never_reached(&mut self, place: Place, told: &mut WhyTold) -> Result<()> {
        told.need = Need::NeverReached;
        let ruleset = self.with.trial.ruleset();
        let all = ways(ruleset, place);
        if all.is_empty() {
            told.because = format!("no rule leads into the chain {}", told.chain);
            return Ok(());
        }
        let Some(rule) = place.rule(ruleset) else { return Ok(()) };
        let own = self.space.packets(&PacketSet::of_rule(rule), "")?;
        let own = self.space.widest(&own)?;
        for way in all {
            let among = own.and(&way.packets(&self.space)?)?;
            if among.and(&self.possible)?.is_empty() {
                continue;
            }
            let ruleset = self.with.trial.ruleset();
            let outcome = way::follow(&mut self.space, ruleset, way, &among)?;
            let found = deciders_before(&self.space, &outcome, place)?;
            self.deciders(way, found, told)?;
        }
        told.because = if !told.instead.is_empty() {
            because::shadowed(told)
        } else if own.and(&self.possible)?.is_empty() {
            "what it asks for contradicts itself: no packet fits all of it".to_string()
        } else {
            "no packet that it would match comes into its chain".to_string()
        };
        Ok(())
    }

    fn own_conditions(&self, place: Place, rule: &str) -> Own {
        let table = self.ruleset().table(place.table);
        let target = place.rule(self.ruleset()).map(|rule| &rule.target);
        let to = target.into_iter().flat_map(|target| target.chains()).map(|(to, _)| to);
        let chains = table.map(|table| diff::reachable_from(table, to)).unwrap_or_default();
        let begin = |at: &ChainIndex| {
            let chain = table?.chain(*at)?;
            Some(format!("{} {} `", place.table.as_str(), chain.name))
        };
        Own { rule: rule.to_string(), chains: chains.iter().filter_map(begin).collect() }
    }
}

/// The packets that come to a rule on a way and that it matches.
fn hits(space: &Space, outcome: &Outcome, place: Place) -> Result<Packets> {
    let mut hits = space.none();
    for stage in outcome.stages.iter().filter(|stage| stage.table == place.table) {
        hits = hits.or(&stage.walked.matched(space, place.at)?)?;
    }
    Ok(hits)
}

/// The ways on which packets can come to a rule.
fn ways(ruleset: &Ruleset, place: Place) -> Vec<Way> {
    let Some(table) = ruleset.table(place.table) else { return Vec::new() };
    let leads = |hook: &&Hook| diff::reachable(table, **hook).contains(&place.at.chain);
    let hooks: Vec<Hook> = place.table.hooks().iter().filter(leads).copied().collect();
    let is_on = |way: &Way| hooks.iter().any(|hook| diff::ways_of(*hook).contains(way));
    Way::ALL.into_iter().filter(is_on).collect()
}

/// Whether packets come to a rule in PREROUTING.
fn is_before_routing(ruleset: &Ruleset, place: Place) -> bool {
    let table = ruleset.table(place.table);
    table.is_some_and(|table| diff::reachable(table, Hook::Prerouting).contains(&place.at.chain))
}

/// Who decides about packets on the way before a rule, or in its table.
fn deciders_before(
    space: &Space,
    outcome: &Outcome,
    place: Place,
) -> Result<Vec<(Decided, Verdict, Packets)>> {
    let mut found = Vec::new();
    for stage in &outcome.stages {
        let is_own = stage.table == place.table && stage.walked.rules().contains(&place.at);
        for (verdict, at) in stage.walked.verdicts() {
            if is_own || verdict != Verdict::Accept {
                let packets = stage.walked.decided(space, verdict, at)?;
                if !packets.is_empty() {
                    let by = Decided { hook: stage.hook, table: stage.table, at };
                    found.push((by, verdict, packets));
                }
            }
        }
        if is_own {
            break;
        }
    }
    Ok(found)
}

impl Place {
    /// The rule.
    #[must_use]
    pub fn rule(self, ruleset: &Ruleset) -> Option<&Rule> {
        diff::fates::rule_at(ruleset, self.table, self.at)
    }

    fn rule_mut(self, ruleset: &mut Ruleset) -> Option<&mut Rule> {
        let table = ruleset.tables.iter_mut().find(|table| table.name == self.table)?;
        let chain = table.chains.get_mut(self.at.chain.0 as usize)?;
        chain.rules.get_mut(self.at.number as usize)
    }
}
