//! Sets of packets through the tables of all the hooks that a packet passes.

use super::chain::{self, Current, RuleAt, Walked};
use super::space::{Group, Packets, Result, Space, Unknown};
use keepstate_conntrack::Hook;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::verdict::Verdict;

/// Which hooks a packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// For this host: PREROUTING, INPUT.
    In,
    /// Through it: PREROUTING, FORWARD, POSTROUTING.
    Through,
    /// From it: OUTPUT, POSTROUTING.
    Out,
}

impl Way {
    /// All three.
    pub const ALL: [Self; 3] = [Self::In, Self::Through, Self::Out];

    /// Its hooks, in order.
    #[must_use]
    pub const fn hooks(self) -> &'static [Hook] {
        match self {
            Self::In => &[Hook::Prerouting, Hook::Input],
            Self::Through => &[Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            Self::Out => &[Hook::Output, Hook::Postrouting],
        }
    }

    /// The hook that only this way has.
    #[must_use]
    pub const fn hook(self) -> Hook {
        match self {
            Self::In => Hook::Input,
            Self::Through => Hook::Forward,
            Self::Out => Hook::Output,
        }
    }

    /// The packets that go this way: those with the interfaces that it has.
    pub fn packets(self, space: &Space) -> Result<Packets> {
        let last = (space.interfaces().len() as u128).saturating_sub(1);
        let (none, some) = ([(0, 0)], [(1, last)]);
        let (incoming, outgoing) = match self {
            Self::In => (&some, &none),
            Self::Through => (&some, &some),
            Self::Out => (&none, &some),
        };
        let incoming = space.all_of(Group::In, incoming)?;
        space.every().and(&incoming)?.and(&space.all_of(Group::Out, outgoing)?)
    }
}

/// The tables of a hook with their place, as netfilter sorts them.
pub(crate) fn tables(hook: Hook) -> Vec<TableName> {
    let mut tables: Vec<_> =
        TableName::ALL.into_iter().filter(|table| table.hooks().contains(&hook)).collect();
    tables.sort_by_key(|table| table.priority(hook));
    tables
}

/// Who ends a packet's way, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Never [`Verdict::Accept`].
    pub verdict: Verdict,
    /// The table.
    pub table: TableName,
    /// The hook.
    pub hook: Hook,
    /// The rule, or the policy behind the last one.
    pub at: RuleAt,
}

/// One table at one hook.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The hook.
    pub hook: Hook,
    /// The table.
    pub table: TableName,
    /// The packets that come to it.
    pub entering: Packets,
    /// What its rules do with them.
    pub walked: Walked,
}

/// What becomes of the packets that go one way.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The way.
    pub way: Way,
    /// The tables that were walked, in order.
    pub stages: Vec<Stage>,
    /// The packets that are behind each hook, and what they are by then.
    pub behind: Vec<(Hook, Packets, Current)>,
    /// Those that come to its end, by what they were when they came in.
    pub passed: Packets,
    /// What those are by then.
    pub current: Current,
}

impl Outcome {
    /// The walk of a table at a hook.
    #[must_use]
    pub fn stage(&self, hook: Hook, table: TableName) -> Option<&Stage> {
        self.stages.iter().find(|stage| (stage.hook, stage.table) == (hook, table))
    }

    /// Who may end a packet on this way, in order. Not every one ends some packet.
    #[must_use]
    pub fn fates(&self) -> Vec<Fate> {
        let of = |stage: &Stage| {
            let (hook, table) = (stage.hook, stage.table);
            let ending = stage.walked.verdicts().into_iter();
            ending
                .filter(|(verdict, _)| *verdict != Verdict::Accept)
                .map(move |(verdict, at)| Fate { verdict, table, hook, at })
                .collect::<Vec<_>>()
        };
        self.stages.iter().flat_map(of).collect()
    }

    /// The packets that end so.
    pub fn ended_by(&self, space: &Space, fate: &Fate) -> Result<Packets> {
        match self.stage(fate.hook, fate.table) {
            None => Ok(space.none()),
            Some(stage) => stage.walked.decided(space, fate.verdict, fate.at),
        }
    }

    /// The packets with a verdict other than ACCEPT that is like this one.
    pub fn ended(&self, space: &Space, like: impl Fn(Verdict) -> bool) -> Result<Packets> {
        let mut sum = space.none();
        for stage in &self.stages {
            let ending = |verdict| verdict != Verdict::Accept && like(verdict);
            sum = sum.or(&stage.walked.with_verdict(space, ending)?)?;
        }
        Ok(sum)
    }
}

/// Carries the packets of `entering` through all tables of a rule set on one way.
///
/// Every NEW packet is taken for the first of its connection. One that comes again before there is an answer is NEW as
/// well, but is translated as the first was, whatever table nat would say of it.
pub fn follow(
    space: &mut Space,
    ruleset: &Ruleset,
    way: Way,
    entering: &Packets,
) -> Result<Outcome> {
    space.begin_again();
    let mut outcome = Outcome {
        way,
        stages: Vec::new(),
        behind: Vec::new(),
        passed: entering.and(&way.packets(space)?)?,
        current: Current::default(),
    };
    for hook in way.hooks() {
        let tables = tables(*hook);
        let tracks = matches!(hook, Hook::Prerouting | Hook::Output);
        outcome.current.comes_to(*hook);
        if tracks {
            outcome.current.before_tracking(space)?;
        }
        if *hook == Hook::Forward {
            outcome.current.passed_on(space)?;
        }
        for name in tables {
            if tracks && name != TableName::Raw && outcome.current.is_before_tracking() {
                outcome.current.after_tracking(space)?;
            }
            outcome.table(space, ruleset, *hook, name)?;
        }
        outcome.behind.push((*hook, outcome.passed.clone(), outcome.current.clone()));
    }
    Ok(outcome)
}

impl Outcome {
    fn table(
        &mut self,
        space: &mut Space,
        ruleset: &Ruleset,
        hook: Hook,
        name: TableName,
    ) -> Result<()> {
        let Some((table, base)) =
            ruleset.table(name).and_then(|table| Some((table, table.builtin(hook)?)))
        else {
            return Ok(());
        };
        let asked = match name {
            TableName::Nat => self.first_packets(space)?,
            _ => space.every(),
        };
        let entering = self.passed.and(&asked)?;
        let walked = chain::walk(space, table, base, &entering, &self.current)?;
        let mut passed = self.passed.less(&asked)?;
        if let Some((accepted, current)) = &walked.accepted {
            passed = passed.or(accepted)?;
            self.current = self.current.merge(space, accepted, current)?;
        }
        self.passed = passed;
        self.stages.push(Stage { hook, table: name, entering, walked });
        Ok(())
    }

    /// Table nat is asked of the first packet of a connection. Of a packet that is RELATED it is an unknown:
    /// errors about a connection are none, the first packet of a connection that a helper announced is.
    fn first_packets(&self, space: &mut Space) -> Result<Packets> {
        let new = self.current.in_state(space, ct::NEW)?;
        let related = self.current.in_state(space, ct::RELATED)?;
        let first = space.unknown(Unknown::FirstOfRelated)?;
        new.or(&related.and(&first)?)
    }
}
