//! Which rules go together: who lets in the connections whose later packets a rule carries, and who carries the
//! answers of connections that it lets begin.

use super::told::ReliesTold;
use crate::algebra::space::{Group, Packets, Result};
use crate::algebra::{Row, Space, Way, way};
use crate::diff::{Side, lines, way_name, words};
use crate::trial::Decided;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;

/// Most rules that are named.
const RULES_MAX: usize = 12;
/// Most rows whose ends are exchanged one by one; of more, packets between any ends are taken.
const ROWS_MAX: usize = 60;

/// Fields that packets of one connection do not have in common.
const OF_PACKET: [Field; 7] = [
    Field::State,
    Field::TcpFlags,
    Field::Icmp,
    Field::Length,
    Field::Ttl,
    Field::Tos,
    Field::Mark,
];

/// The way of the answers.
const fn back(way: Way) -> Way {
    match way {
        Way::In => Way::Out,
        Way::Through => Way::Through,
        Way::Out => Way::In,
    }
}

/// For a rule that lets packets of connections pass: the rules that let these connections begin. For one that
/// lets connections begin: the rules that carry what follows.
pub(super) fn relies(
    space: &mut Space,
    side: &Side,
    (way, hits): (Way, &Packets),
    possible: &Packets,
) -> Result<Vec<ReliesTold>> {
    let mut all = Vec::new();
    let later = hits.and(&space.in_state(ct::ESTABLISHED)?)?;
    let new = hits.and(&space.in_state(ct::NEW)?)?;
    for (packets, wanted, is_carrier) in [(later, ct::NEW, false), (new, ct::ESTABLISHED, true)] {
        if packets.and(possible)?.is_empty() {
            continue;
        }
        // A rule for both speaks of connections that it lets begin itself, too.
        let ends = space.without(&space.widest(&packets)?, &OF_PACKET)?;
        let state = space.in_state(wanted)?;
        let same = ends.and(&state)?;
        let answers = space.turned_round(&ends)?.and(&state)?;
        for (way, packets, is_back) in [(way, same, false), (back(way), answers, true)] {
            let how = match (is_carrier, is_back) {
                (false, false) => "lets connections begin whose later packets this rule carries",
                (false, true) => "lets connections begin whose answers this rule carries",
                (true, false) => {
                    "carries the later packets of connections that this rule lets begin"
                }
                (true, true) => "carries the answers of connections that this rule lets begin",
            };
            let how = (how, is_carrier);
            let found = deciders(space, side, (way, &packets), possible, how)?;
            all.extend(found);
        }
    }
    all.truncate(RULES_MAX);
    Ok(all)
}

/// Who lets packets pass, in the table filter; and where nobody does, who does not.
fn deciders(
    space: &mut Space,
    side: &Side,
    (way, packets): (Way, &Packets),
    possible: &Packets,
    (how, carries): (&'static str, bool),
) -> Result<Vec<ReliesTold>> {
    let outcome = way::follow(space, side.trial.ruleset(), way, packets)?;
    let mut all = Vec::new();
    let Some(stage) = outcome.stage(way.hook(), TableName::Filter) else {
        if !outcome.passed.is_empty() {
            let rule = words::decided(side, None);
            all.push(ReliesTold { way: way_name(way), how, carries, rule, packets: String::new() });
        }
        return Ok(all);
    };
    for (verdict, at) in stage.walked.verdicts() {
        if verdict != Verdict::Accept {
            continue;
        }
        let decided = stage.walked.decided(space, verdict, at)?;
        if decided.and(possible)?.is_empty() {
            continue;
        }
        let by = Decided { hook: stage.hook, table: stage.table, at };
        let (lines, more) = lines(space, way, &decided, possible, 1)?;
        let more = if more { ", and more" } else { "" };
        all.push(ReliesTold {
            way: way_name(way),
            how,
            carries,
            rule: words::decided(side, Some(by)),
            packets: lines.join("") + more,
        });
    }
    Ok(all)
}

impl Space {
    fn in_state(&self, bit: u8) -> Result<Packets> {
        let at = crate::algebra::space::STATES.iter().position(|(one, _)| *one == bit).unwrap_or(0);
        self.all_of(Group::Field(Field::State), &[(at as u128, at as u128)])
    }

    /// Packets that differ from those of the set in these fields at most.
    fn without(&self, packets: &Packets, fields: &[Field]) -> Result<Packets> {
        let groups: Vec<Group> = fields.iter().map(|field| Group::Field(*field)).collect();
        self.forget(packets, &groups)?.and(&self.every())
    }

    /// Packets from where those of the set go to where they come from.
    fn turned_round(&self, packets: &Packets) -> Result<Packets> {
        let rows = self.rows(packets)?;
        if !rows.complete || rows.rows.len() > ROWS_MAX {
            return Ok(self.every());
        }
        let mut all = self.none();
        for row in &rows.rows {
            all = all.or(&self.packets_of(&turned(row))?)?;
        }
        Ok(all)
    }
}

/// A row with its ends exchanged; what unknowns say of the answers nobody knows.
fn turned(row: &Row) -> Row {
    let pairs = [
        (Group::In, Group::Out),
        (Group::Field(Field::Source), Group::Field(Field::Destination)),
        (Group::Field(Field::SourcePort), Group::Field(Field::DestinationPort)),
    ];
    let other = |group: &Group| {
        let found = pairs.iter().find_map(|(one, two)| match group {
            group if group == one => Some(*two),
            group if group == two => Some(*one),
            _ => None,
        });
        found.unwrap_or(*group)
    };
    let values = row.values.iter().map(|(group, values)| (other(group), values.clone()));
    Row { values: values.collect(), unknowns: Vec::new() }
}
