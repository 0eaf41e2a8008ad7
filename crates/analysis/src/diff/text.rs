//! A comparison as text.

use super::told::{
    Compared, ConversationTold, DecidedTold, PlayedTold, RecordedTold, RoughlyTold, RowTold,
    WayTold, WitnessTold,
};
use crate::render::Style;
use crate::render::text::{Page, printable};

const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
/// Rows of a way that are printed; all are in the JSON form.
pub(crate) const ROWS_SHOWN: usize = 40;

/// Rows that are printed of many that change in the same manner.
const OF_MANY_SHOWN: usize = 3;
/// Conversations that are told one by one, others that come to the same beside them.
const GROUPS_SHOWN: usize = 8;

/// What the two sides of a comparison are called.
pub(crate) const OLD_NEW: [&str; 2] = ["old", "new"];

/// The comparison for people.
#[must_use]
pub fn render(compared: &Compared, style: &Style) -> String {
    let mut page = Page::new(style);
    let head = format!("{} -> {} ({})", compared.old, compared.new, compared.family);
    let head = page.paint(BOLD, &printable(&head));
    page.line(&head);
    page.blank();
    if compared.equal {
        let text = page.paint(GREEN, "Proven equal");
        page.paragraph(
            "",
            &format!(
                "{text}: every packet that there can be, in every state, fares alike with both: verdict, \
                 answers, translation, marks and what rules do beside."
            ),
        );
    } else {
        for way in &compared.ways {
            self::way(&mut page, way, OLD_NEW);
        }
        if !compared.conversations.is_empty() {
            page.blank();
            page.line("Conversations");
            conversations(&mut page, &compared.conversations, OLD_NEW);
        }
    }
    if let Some(told) = &compared.recorded {
        page.blank();
        page.line("Recorded traffic");
        recorded(&mut page, told, OLD_NEW);
    }
    page.blank();
    page.line("Assumed");
    for text in &compared.assumed {
        page.hanging("  - ", &printable(text), 4);
    }
    page.out
}

/// The rows of one way.
pub(crate) fn way(page: &mut Page, way: &WayTold, sides: [&str; 2]) {
    let name = page.paint(BOLD, &way.way.to_uppercase());
    let hooks = way.hooks.join(", ");
    if way.rows.is_empty() && way.rows_left_out == 0 {
        page.line(&format!("{name} ({hooks}): no difference"));
        return;
    }
    let count = way.rows.len() + way.rows_left_out;
    let rows = if count == 1 { "1 row".to_string() } else { format!("{count} rows") };
    page.line(&format!("{name} ({hooks}): {rows}"));
    let mut shown = Shown::default();
    for row in &way.rows {
        if shown.rows >= ROWS_SHOWN {
            break;
        }
        shown.row(page, way, row, sides);
    }
    let more = count.saturating_sub(shown.rows);
    if more > 0 {
        page.line(&format!("  ... and {more} more (--format json has up to {})", super::ROWS_MAX));
    }
}

/// Rows that are printed.
#[derive(Default)]
struct Shown<'a> {
    rows: usize,
    /// Of those that change in the same manner as many others.
    of_many: Vec<(&'a RoughlyTold, usize)>,
}

impl<'a> Shown<'a> {
    /// A row; of many that change in the same manner the first, behind where all of them are.
    fn row(&mut self, page: &mut Page, way: &'a WayTold, row: &RowTold, sides: [&str; 2]) {
        let same =
            |one: &&RoughlyTold| (one.what, &one.old, &one.new) == (row.what, &row.old, &row.new);
        if let Some(roughly) = way.roughly.iter().find(same) {
            let known = self.of_many.iter().position(|(one, _)| *one == roughly);
            let at = known.unwrap_or_else(|| {
                let more = if roughly.and_more { " and more" } else { "" };
                let change = format!("{} -> {}: {} rows{more}", row.old, row.new, roughly.rows);
                let change = page.paint(color(row), &printable(&change));
                page.hanging("  ", &change, 4);
                page.hanging("       out of  ", &printable(&roughly.packets), 15);
                self.of_many.push((roughly, 0));
                self.of_many.len() - 1
            });
            match self.of_many.get_mut(at) {
                Some((_, count)) if *count < OF_MANY_SHOWN => *count += 1,
                _ => return,
            }
        }
        self.rows += 1;
        if !way.roughly.iter().any(|one| same(&one)) {
            let change = format!("{} -> {}", row.old, row.new);
            let change = page.paint(color(row), &printable(&change));
            page.hanging("  ", &change, 4);
        }
        self::row(page, row, sides);
    }
}

/// What came of recorded traffic.
pub(crate) fn recorded(page: &mut Page, told: &RecordedTold, sides: [&str; 2]) {
    page.paragraph(
        "  ",
        &format!(
            "{} of {} packets have another verdict, in {} of {} connections.",
            told.packets_differing, told.packets, told.connections_differing, told.connections
        ),
    );
    if told.connections_not_followed > 0 {
        let count = told.connections_not_followed;
        page.paragraph("  ", &format!("{count} packets are of connections beyond those followed."));
    }
    for one in told.affected.iter().take(ROWS_SHOWN) {
        let state = one.state.map(|state| format!(", {state}")).unwrap_or_default();
        let change = page.paint(RED, &format!("{} -> {}", one.old, one.new));
        let head = format!(
            "{change}  {}, {} of {} packets, first packet {}{state}",
            printable(&one.connection),
            one.packets_differing,
            one.packets,
            one.first
        );
        page.hanging("  ", &head, 4);
        page.hanging(&label(sides[0]), &decided(&one.old_by), 15);
        page.hanging(&label(sides[1]), &decided(&one.new_by), 15);
    }
    let more = told.connections_differing.saturating_sub(ROWS_SHOWN as u64);
    if more > 0 {
        page.line(&format!("  ... and {more} more connections"));
    }
    if told.kept_alive_count == 0 {
        return;
    }
    page.blank();
    page.paragraph(
        "  ",
        &format!(
            "The new rules would not let {} of the connections that stand at the end begin, but let \
             their packets pass as ESTABLISHED. To end exactly these:",
            told.kept_alive_count
        ),
    );
    for one in told.kept_alive.iter().take(ROWS_SHOWN) {
        page.line(&format!("      {}", one.delete));
    }
    let more = told.kept_alive_count.saturating_sub(ROWS_SHOWN as u64);
    if more > 0 {
        page.line(&format!("      ... and {more} more"));
    }
    if told.readopted_count > 0 {
        page.paragraph(
            "  ",
            &format!(
                "{} of them come back with their next packet: the new rules let a packet from the \
                 middle of a TCP connection begin one (nf_conntrack_tcp_loose=1). Set it to 0, or drop \
                 TCP that is NEW without SYN, before deleting.",
                told.readopted_count
            ),
        );
    }
}

/// What becomes of conversations.
pub(crate) fn conversations(page: &mut Page, all: &[ConversationTold], sides: [&str; 2]) {
    let mut told = vec![false; all.len()];
    let (mut shown, mut between) = (0, "");
    for (at, one) in all.iter().enumerate() {
        if told.get(at).copied().unwrap_or(true) {
            continue;
        }
        if shown >= GROUPS_SHOWN {
            let more = told.iter().filter(|told| !**told).count();
            page.line(&format!("  ... and {more} more (--format json)"));
            return;
        }
        shown += 1;
        let color = if one.breaks { RED } else { GREEN };
        let title = page.paint(color, one.title);
        page.hanging("  ", &format!("{title}; the filter {}", one.place), 4);
        page.hanging(&label(sides[0]), &printable(&one.old), 15);
        page.hanging(&label(sides[1]), &printable(&one.new), 15);
        if one.breaks {
            let noticed = match one.when_broken.contains(one.when_lost) {
                // Nobody misses an attack.
                _ if one.when_broken.starts_with("Nothing") && !one.when_lost.is_empty() => {
                    one.when_lost.to_string()
                }
                true => one.when_broken.to_string(),
                false => format!("{} {}", one.when_lost, one.when_broken),
            };
            page.hanging(&label("noticed"), &printable(&noticed), 15);
        }
        if one.scene != between {
            page.hanging(&label("between"), &printable(&one.scene), 15);
            between = &one.scene;
        }
        // Others that come to the same.
        let mut others = Vec::new();
        for (other, done) in all.iter().zip(&mut told).skip(at) {
            if (other.place, &other.old, &other.new) == (one.place, &one.old, &one.new)
                && other.when_lost == one.when_lost
                && !std::mem::replace(done, true)
                && other.code != one.code
            {
                others.push(other.title);
            }
        }
        if !others.is_empty() {
            page.hanging(&label("likewise"), &others.join("; "), 15);
        }
    }
}

/// A word in front of a text.
fn label(word: &str) -> String {
    format!("{word:>13}  ")
}

fn color(row: &RowTold) -> u8 {
    match (row.certain, row.new.as_str()) {
        (false, _) => YELLOW,
        (true, "accept") => GREEN,
        (true, _) => RED,
    }
}

/// A row behind what changes.
fn row(page: &mut Page, row: &RowTold, sides: [&str; 2]) {
    for also in &row.also {
        page.hanging("         also  ", &printable(also), 15);
    }
    page.hanging("      packets  ", &printable(&row.packets), 15);
    if !row.certain {
        let on = match row.depends_on.is_empty() {
            true => "no packet was found that shows it".to_string(),
            false => format!("depending on: {}", conditions(&row.depends_on)),
        };
        let played = row.witness.as_ref().map(|witness| &witness.played);
        let label = match played.is_some_and(|played| played.is_by_itself) {
            true => "      not all  ",
            false => "      perhaps  ",
        };
        page.hanging(label, &printable(&on), 15);
    }
    if let Some(witness) = &row.witness {
        self::witness(page, witness, sides);
    }
}

fn witness(page: &mut Page, witness: &WitnessTold, sides: [&str; 2]) {
    let packet = format!("{} -> {}", witness.packet, witness.circumstances);
    page.hanging("      such as  ", &printable(&packet), 15);
    played(page, &witness.played);
    if !witness.given.is_empty() && !witness.played.is_by_itself {
        page.hanging("        given  ", &printable(&witness.given.join("; ")), 15);
    }
    page.hanging(&label(sides[0]), &decided(&witness.old), 15);
    page.hanging(&label(sides[1]), &decided(&witness.new), 15);
}

/// Conditions that are named, of several.
const CONDITIONS_SHOWN: usize = 2;

/// Some of the conditions that something hangs on.
pub(crate) fn conditions(all: &[String]) -> String {
    let some: Vec<&str> = all.iter().take(CONDITIONS_SHOWN).map(String::as_str).collect();
    match all.len().saturating_sub(CONDITIONS_SHOWN) {
        0 => some.join("; "),
        more => format!("{}; and {more} more", some.join("; ")),
    }
}

/// The packets that went before it in the engine, or that none did.
fn played(page: &mut Page, played: &PlayedTold) {
    if !played.is_played {
        let text = "its state is given; no packets that lead to it were played";
        page.hanging("        given  ", text, 15);
    } else if !played.before.is_empty() {
        let announced = if played.is_announced { " (FTP, which announces it)" } else { "" };
        let before: Vec<String> = played.before.iter().map(|one| without_numbers(one)).collect();
        let text = format!("{}{announced}", before.join("; "));
        page.hanging("       behind  ", &printable(&text), 15);
    }
}

/// A packet without what no rule asks for: the JSON form has it whole.
fn without_numbers(packet: &str) -> String {
    let is_number =
        |word: &&str| ["seq=", "ack=", "win=", "wscale="].iter().any(|name| word.starts_with(name));
    packet.split(' ').filter(|word| !is_number(word)).collect::<Vec<_>>().join(" ")
}

fn decided(decided: &DecidedTold) -> String {
    let place = decided.place.as_ref().map(|place| format!("{place}  ")).unwrap_or_default();
    printable(&format!("{place}{}", decided.rule))
}
