//! Whether a rule is needed, in a word and in a sentence.

use super::told::{DeciderTold, Need, WhyTold};
use crate::diff::{DecidedTold, RoughlyTold, RowTold, WayTold, WitnessTold, conditions};

/// What a rule asks for that no field of a packet decides.
pub(super) struct Own {
    /// The rule.
    pub(super) rule: String,
    /// How conditions begin of the chains that it leads into.
    pub(super) chains: Vec<String>,
}

/// From what was found of a rule that packets come to.
pub(super) fn conclude(told: &mut WhyTold, own: &Own) {
    let rows = || told.without.iter().flat_map(|way| &way.rows);
    let is_shown = rows().any(|row| shows(row, own));
    let count = count(&told.without);
    told.need = match (count, is_shown) {
        (0, _) => Need::NotNeeded,
        (_, true) => Need::Needed,
        (_, false) => Need::Perhaps,
    };
    told.because = match told.need {
        Need::Needed => needed(&told.without, own),
        Need::Perhaps => {
            let on = rows().find(|row| !row.depends_on.is_empty());
            on.map_or_else(
                || "no packet was found that shows a difference".to_string(),
                |row| format!("it hangs on {}", conditions(&row.depends_on)),
            )
        }
        Need::NotNeeded | Need::NeverReached => instead(told),
    };
}

fn count(without: &[WayTold]) -> usize {
    without.iter().map(|way| way.rows.len() + way.rows_left_out).sum()
}

/// Whether a row shows that the rule is needed: for certain; where conditions hold which no field of a packet
/// decides, its own or those of the chains that it leads into; or on a packet of which an engine says so by itself.
fn shows(row: &RowTold, own: &Own) -> bool {
    // What says the same wherever it stands is of the packet, like a field.
    let is_of_packet = |given: &String| {
        given.starts_with("`-m ") && !given.contains("of what the packet is by then")
    };
    let is_own = |given: &String| {
        is_of_packet(given)
            || given.split('`').nth(1).is_some_and(|text| own.rule.contains(text))
            || own.chains.iter().any(|chain| given.starts_with(chain))
    };
    let is_shown =
        |witness: &WitnessTold| witness.played.is_by_itself || witness.given.iter().all(is_own);
    row.certain || row.witness.as_ref().is_some_and(is_shown)
}

/// The plainest thing that changes, in words.
fn needed(without: &[WayTold], own: &Own) -> String {
    let all = || without.iter().flat_map(|way| way.rows.iter().map(move |row| (way, row)));
    let rows = || all().filter(|(_, row)| shows(row, own));
    let shortest = |row: &(&WayTold, &RowTold)| row.1.packets.len();
    let first = rows().filter(|(_, row)| row.certain && row.what == "verdict").min_by_key(shortest);
    let first =
        first.or_else(|| rows().filter(|(_, row)| row.what == "verdict").min_by_key(shortest));
    let Some((way, row)) = first.or_else(|| rows().next()) else { return String::new() };
    let more = match count(without) - 1 {
        0 => String::new(),
        1 => " (and 1 more row)".to_string(),
        more => format!(" (and {more} more rows)"),
    };
    let same =
        |one: &&RoughlyTold| (one.what, &one.old, &one.new) == (row.what, &row.old, &row.new);
    let change = match row.new.strip_prefix("no ") {
        Some(what) if row.what == "effect" && row.old.starts_with(what) => {
            format!("without it nothing does {}", row.old)
        }
        _ => format!("without it {} -> {}", row.old, row.new),
    };
    if let Some(roughly) = way.roughly.iter().find(same).filter(|one| !one.is_all) {
        let rows = roughly.rows;
        let more = match count(without) - rows {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let packets = shortened(&roughly.packets);
        return format!("{change} for some packets of this kind: {packets} ({rows} rows{more})");
    }
    let given = row.witness.as_ref().filter(|_| !row.certain);
    let given = given.map(|witness| match witness.played.is_by_itself {
        true => format!(", if not all of them: it hangs on {}", conditions(&row.depends_on)),
        false => format!(" where {}", witness.given.join(", ")),
    });
    format!("{change}: {}{}{more}", shortened(&row.packets), given.unwrap_or_default())
}

/// Most characters of the packets that a sentence names.
const PACKETS_MAX: usize = 160;

/// What is too long for a sentence is cut at a word; the rows have it whole.
fn shortened(packets: &str) -> String {
    match packets.char_indices().nth(PACKETS_MAX) {
        None => packets.to_string(),
        Some((end, _)) => {
            let start = packets.get(..end).unwrap_or_default();
            format!("{} ...", start.rsplit_once([' ', ',']).map_or(start, |(start, _)| start))
        }
    }
}

/// Who decides without it.
fn instead(told: &WhyTold) -> String {
    let Some(first) = told.instead.first() else {
        return "it decides nothing and changes nothing".to_string();
    };
    let rules = rules_of(&told.instead).len() + told.instead_left_out;
    let name = named(&first.rule, ": ");
    match rules {
        1 => format!("{name} does the same"),
        rules => format!(
            "what comes behind it does the same with its packets, {rules} rules that decide: first {name}"
        ),
    }
}

/// The rules that have every packet before it.
pub(super) fn shadowed(told: &WhyTold) -> String {
    let rules = rules_of(&told.instead);
    let Some(first) = rules.first() else { return String::new() };
    let name = named(first, " ");
    match rules.len() - 1 + told.instead_left_out {
        0 => format!("{name} has every packet that it would match"),
        more => format!("{name} and {more} more have every packet that it would match"),
    }
}

fn named(rule: &DecidedTold, between: &str) -> String {
    let place = rule.place.as_ref().map(|place| format!("{place}{between}")).unwrap_or_default();
    format!("{place}`{}`", rule.rule)
}

fn rules_of(all: &[DeciderTold]) -> Vec<&DecidedTold> {
    let mut rules: Vec<&DecidedTold> = Vec::new();
    for one in all {
        if !rules.contains(&&one.rule) {
            rules.push(&one.rule);
        }
    }
    rules
}
