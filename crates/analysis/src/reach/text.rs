//! The answer as text.

use super::answer::Answer;
use super::matrix::{Class, Matrix, Open};
use super::services::Alike;
use super::spoof::Spoofing;
use super::witness::{RuleTold, Witness};
use crate::render::Style;
use crate::render::text::{Page, printable};
use std::fmt::Write;

/// Most pairs of which a packet is shown each; the matrix and JSON have all.
const SHOWN_MAX: usize = 60;

/// Most ranges of addresses that are listed of the class that is the rest.
const LISTED_MAX: usize = 8;

/// Prints an answer. `file`: the name of the rule file, for places in it.
#[must_use]
pub fn render(answer: &Answer, file: &str, style: &Style) -> String {
    let mut text = Text { page: Page::new(style), file };
    for matrix in &answer.matrices {
        text.matrix(answer, matrix);
    }
    if !answer.services.is_empty() {
        text.services(answer);
    }
    if !answer.spoofing.is_empty() {
        text.spoofing(&answer.spoofing);
    }
    text.page.blank();
    text.page.line("Assumed");
    for assumption in &answer.assumptions {
        text.page.hanging("  - ", assumption, 4);
    }
    text.page.out
}

struct Text<'t> {
    page: Page,
    file: &'t str,
}

impl Text<'_> {
    fn matrix(&mut self, answer: &Answer, matrix: &Matrix) {
        if !self.page.out.is_empty() {
            self.page.blank();
        }
        let head = self.verdict(matrix);
        let (from, to) = (&answer.from, &answer.to);
        self.page.hanging(
            &format!("{head}  "),
            &format!("{} from {from} to {to}", matrix.service),
            2,
        );
        if matrix.is_uniform() {
            let shown = matrix.cells.iter().find_map(|cell| cell.witness.as_ref());
            if let Some(witness) = shown.or(matrix.closed.as_ref()) {
                self.page.blank();
                self.way(witness);
            }
            return;
        }
        self.page.blank();
        if matrix.is_square {
            self.classes("", &matrix.from);
        } else {
            self.classes("from", &matrix.from);
            self.classes("to", &matrix.to);
        }
        self.page.blank();
        self.grid(matrix);
        self.page.blank();
        self.pairs(matrix);
    }

    fn verdict(&self, matrix: &Matrix) -> String {
        let (code, word) = match (matrix.open(), matrix.is_uniform()) {
            (Open::Certain, true) => (32, "OPEN"),
            (Open::Certain, false) => (33, "OPEN FOR SOME"),
            (Open::Possible, _) => (33, "POSSIBLE"),
            (Open::No, _) => (31, "CLOSED"),
        };
        self.page.paint(code, word)
    }

    fn classes(&mut self, label: &str, classes: &[Class]) {
        let column = classes.iter().map(|class| class.name.len()).max().unwrap_or(1);
        let width = if label.is_empty() { 0 } else { 6 };
        for (place, class) in classes.iter().enumerate() {
            let label = if place == 0 { label } else { "" };
            let head = format!("  {label:width$}{:column$}  ", class.name);
            let indent = head.len();
            let widest = classes.iter().map(|class| class.values.len()).max();
            let is_rest = classes.len() > 1
                && class.values.len() > LISTED_MAX
                && Some(class.values.len()) == widest;
            let text = if is_rest { "all others" } else { &class.addresses };
            self.page.hanging(&head, &spaced(text), indent);
        }
    }

    fn grid(&mut self, matrix: &Matrix) {
        let names =
            |classes: &[Class]| classes.iter().map(|class| class.name.len()).max().unwrap_or(1);
        let (row, column) = (names(&matrix.from).max(4), names(&matrix.to));
        if row + 4 + matrix.to.len() * (column + 1) > self.page.width() {
            return self.lists(matrix);
        }
        let mut head = format!("  {:>row$} >", "from");
        for class in &matrix.to {
            let _ = write!(head, " {:>column$}", class.name);
        }
        self.page.line(&head);
        for one in &matrix.from {
            let mut line = format!("  {:>row$}  ", one.name);
            for other in &matrix.to {
                let (code, sign) = match matrix.cell(&one.name, &other.name).map(|cell| cell.open) {
                    Some(Open::Certain) => (32, "+"),
                    Some(Open::Possible) => (33, "?"),
                    Some(Open::No) | None => (2, "."),
                };
                let _ = write!(line, " {:>1$}", "", column - 1);
                line.push_str(&self.page.paint(code, sign));
            }
            self.page.line(&line);
        }
        self.page.blank();
        self.page.line("  + open   ? possible   . closed");
    }

    /// Row by row what is open, where a grid would be too wide.
    fn lists(&mut self, matrix: &Matrix) {
        let row = matrix.from.iter().map(|class| class.name.len()).max().unwrap_or(1).max(4);
        for one in &matrix.from {
            let mut head = format!("  {:>row$} >  ", one.name);
            for (open, code, word) in
                [(Open::Certain, 32, "open"), (Open::Possible, 33, "possible")]
            {
                let is = |other: &&Class| {
                    matrix.cell(&one.name, &other.name).is_some_and(|cell| cell.open == open)
                };
                let names: Vec<&str> =
                    matrix.to.iter().filter(is).map(|other| other.name.as_str()).collect();
                if names.is_empty() {
                    continue;
                }
                let text = match names.len() == matrix.to.len() {
                    true => String::from("all"),
                    false => names.join(" "),
                };
                let word = self.page.paint(code, word);
                self.page.hanging(&head, &format!("{word} {text}"), row + 6);
                head = " ".repeat(row + 6);
            }
        }
    }

    /// Of each open pair the rule that lets it through, and a packet.
    fn pairs(&mut self, matrix: &Matrix) {
        for cell in matrix.cells.iter().take(SHOWN_MAX) {
            let Some(witness) = &cell.witness else { continue };
            let decided = witness.decided().map(|rule| self.place(rule)).unwrap_or_default();
            let head = format!("  {} > {}  ", cell.from, cell.to);
            let mut text = format!("{}, let through by {decided}", witness.packet);
            if let Some(becomes) = &witness.becomes {
                let _ = write!(text, ", on its way to {becomes}");
            }
            if witness.incoming.is_some() && witness.outgoing.is_some() {
                let _ = write!(text, ", out {}", witness.outgoing.as_deref().unwrap_or_default());
            }
            text.push_str(&conditions(witness));
            text.push_str(confirmed(witness));
            if let Some(part) = &cell.certain {
                let some = if part.is_whole { "" } else { "for some " };
                let _ = write!(text, "; in every case {some}from {} to {}", part.from, part.to);
            }
            self.page.hanging(&head, &printable(&text), 4);
        }
        if let Some(more) = matrix.cells.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            self.page.line(&format!("  and {more} more (--format json has all)"));
        }
    }

    /// A packet and its way, rule by rule.
    fn way(&mut self, witness: &Witness) {
        let out = witness.outgoing.as_ref().filter(|_| witness.passes);
        let out = out.map(|name| format!(", out {name}")).unwrap_or_default();
        self.page.hanging("  ", &printable(&format!("{}{out}", witness.packet)), 4);
        let mut hook = "";
        for rule in &witness.rules {
            let named = if rule.hook == hook { "" } else { rule.hook };
            hook = rule.hook;
            let head = format!("    {named:11}  {:8}  ", rule.table);
            let text = match rule.number {
                Some(_) => format!("{}  {}", self.place(rule), rule.text),
                None => format!("{}: {}", rule.text, rule.does),
            };
            self.page.hanging(&head, &printable(&text), 27);
        }
        if let Some(becomes) = &witness.becomes {
            self.page.hanging("    ", &format!("its destination becomes {becomes}"), 6);
        }
        let said = format!("{}{}", conditions(witness), confirmed(witness));
        let said = said.trim_start_matches([',', ';', ' ']);
        if !said.is_empty() {
            self.page.hanging("    ", &printable(said), 6);
        }
    }

    /// `FORWARD 3 (FILE:12)`.
    fn place(&self, rule: &RuleTold) -> String {
        let RuleTold { chain, number, line, table, .. } = rule;
        let Some(number) = number else { return format!("the policy of {chain} ({table})") };
        match line {
            Some(line) => format!("{chain} {number} ({}:{line})", self.file),
            None => format!("{chain} {number} ({table})"),
        }
    }

    fn services(&mut self, answer: &Answer) {
        if !self.page.out.is_empty() {
            self.page.blank();
        }
        let way = match answer.is_through {
            true => ", through this host (what is for the host itself: --way in)",
            false => "",
        };
        self.page.line(&format!("All services from {} to {}{way}", answer.from, answer.to));
        let shown: Vec<&Alike> =
            answer.services.iter().filter(|row| row.open != Open::No).collect();
        for row in &shown {
            self.page.blank();
            let (code, word) = match row.open {
                Open::Certain => (32, "open    "),
                Open::Possible | Open::No => (33, "possible"),
            };
            let head = format!("  {}  ", self.page.paint(code, word));
            self.page.hanging(&head, &spaced(&row.name), 12);
            self.page.hanging("            from  ", &spaced(&row.from), 18);
            self.page.hanging("            to    ", &spaced(&row.to), 18);
        }
        let closed: Vec<&str> = answer
            .services
            .iter()
            .filter(|row| row.open == Open::No)
            .map(|row| row.name.as_str())
            .collect();
        if !closed.is_empty() {
            self.page.blank();
            let head = format!("  {}    ", self.page.paint(31, "closed"));
            self.page.hanging(&head, &spaced(&closed.join("; ")), 12);
        }
        if !answer.untold.is_empty() {
            self.page.blank();
            let head = format!("  {}  ", self.page.paint(33, "not told"));
            let text = format!(
                "{}: too many, or too large to be told all at once; --service asks for one",
                answer.untold.join("; ")
            );
            self.page.hanging(&head, &spaced(&text), 12);
        }
    }

    fn spoofing(&mut self, found: &[Spoofing]) {
        if !self.page.out.is_empty() {
            self.page.blank();
        }
        self.page.line("Spoofing protection, by interface");
        let column = found.iter().map(|one| one.interface.len()).max().unwrap_or(0);
        for one in found {
            let (code, word) = match one.open {
                Open::No => (32, "certified    "),
                Open::Possible => (33, "not certified"),
                Open::Certain => (31, "NOT PROTECTED"),
            };
            let head = format!("  {:column$}  {}  ", one.interface, self.page.paint(code, word));
            let text = match one.open {
                Open::No => format!("only sources of {} open connections", one.networks),
                _ => format!("sources that do not belong there pass: {}", one.from),
            };
            self.page.hanging(&head, &spaced(&text), column + 19);
            if let Some(witness) = &one.witness {
                let decided = witness.decided().map(|rule| self.place(rule)).unwrap_or_default();
                let text = format!(
                    "{}, let through by {decided}{}{}",
                    witness.packet,
                    conditions(witness),
                    confirmed(witness)
                );
                let indent = column + 19;
                self.page.hanging(&" ".repeat(indent), &printable(&text), indent + 2);
            }
        }
    }
}

/// What has to be true or false beside the fields.
fn conditions(witness: &Witness) -> String {
    let mut text = String::new();
    for (word, all) in [("where", &witness.if_true), ("where not", &witness.if_false)] {
        if !all.is_empty() {
            let _ = write!(text, "; {word} {}", all.join(", "));
        }
    }
    text
}

const fn confirmed(witness: &Witness) -> &'static str {
    match witness.confirmed {
        Some(true) => "; the engine says the same",
        Some(false) => "; the engine says otherwise",
        None => "; the engine cannot tell without it",
    }
}

/// Lists of addresses and ports with blanks, so that lines can break.
fn spaced(list: &str) -> String {
    list.replace(',', ", ")
}
