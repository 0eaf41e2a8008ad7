//! Text for people: headings, filled paragraphs, experiments as tables.

use super::{Style, WIDTH_MAX, WIDTH_MIN};
use crate::answer::{
    Answer, Cell, ChainTold, Comparison, Experiment, Fact, Outcome, RuleTold, Run, Topic,
};
use std::fmt::Write;

pub(super) fn render(answer: &Answer, style: &Style) -> String {
    let mut page = Page::new(style);
    for line in answer.input.trim_end().lines().take(INPUT_LINES_MAX) {
        page.line(&format!("    {}", printable(line)));
    }
    if let Some(rule) = &answer.rule {
        page.blank();
        page.paragraph("understood as  ", &printable(rule));
    }
    for section in &answer.sections {
        page.heading(section.topic.heading());
        if section.topic == Topic::Fields {
            page.fields(&section.facts);
            continue;
        }
        for (index, fact) in section.facts.iter().enumerate() {
            if index > 0 {
                page.blank();
            }
            page.fact(fact);
        }
    }
    if !answer.assumptions.is_empty() {
        page.heading("Assumed");
        for assumption in &answer.assumptions {
            page.paragraph("  - ", &assumption.text);
        }
    }
    page.out
}

/// Lines of the input that are repeated.
const INPUT_LINES_MAX: usize = 12;

/// Columns for what a row of a comparison is about.
const TITLE_MIN: usize = 24;
const TITLE_MAX: usize = 56;

/// Columns between the columns of a table.
const GAP: usize = 2;

pub(crate) struct Page {
    pub(crate) out: String,
    width: usize,
    color: bool,
}

impl Page {
    pub(crate) fn new(style: &Style) -> Self {
        let width = style.width.clamp(WIDTH_MIN, WIDTH_MAX);
        Self { out: String::new(), width, color: style.color }
    }

    /// Columns.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    pub(crate) fn blank(&mut self) {
        self.out.push('\n');
    }

    pub(crate) fn paint(&self, code: u8, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        let text = self.paint(1, &text.to_uppercase());
        self.line(&text);
    }

    fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Statement { term, text, .. } => match term {
                Some(term) => self.paragraph(&format!("  {term}: "), text),
                None => self.paragraph("  ", text),
            },
            Fact::Paste { text, lines, .. } => {
                self.paragraph("  ", text);
                for line in lines {
                    self.line(&format!("      {line}"));
                }
            }
            Fact::Field { field, text } => self.paragraph(&format!("  {field}  "), text),
            Fact::Chain(chain) => self.chain(chain),
            Fact::Experiment(experiment) => self.experiment(experiment),
            Fact::Comparison(comparison) => self.comparison(comparison),
        }
    }

    /// A chain: what it is for, then its rules by their numbers.
    fn chain(&mut self, chain: &ChainTold) {
        let name = printable(&format!("{} {}", chain.table, chain.chain));
        let policy = chain.policy.as_ref().map(|policy| format!(" (policy {policy})"));
        let name = self.paint(1, &format!("{name}{}", policy.unwrap_or_default()));
        self.line(&format!("  {name}"));
        self.paragraph("    ", &printable(&chain.purpose.join(" ")));
        let numbers = |rule: &RuleTold| match rule.first == rule.last {
            true => rule.first.to_string(),
            false => format!("{}-{}", rule.first, rule.last),
        };
        let column = chain.rules.iter().map(|rule| numbers(rule).len()).max().unwrap_or(0);
        for rule in &chain.rules {
            let comment = rule.comment.as_ref().map(|text| format!("\"{text}\": "));
            let text = printable(&format!("{}{}", comment.unwrap_or_default(), rule.text));
            self.hanging(&format!("    {:>column$}  ", numbers(rule)), &text, column + 6);
        }
    }

    /// Fields in two columns.
    fn fields(&mut self, facts: &[Fact]) {
        let name = |fact: &Fact| match fact {
            Fact::Field { field, .. } => field.chars().count(),
            Fact::Statement { .. }
            | Fact::Paste { .. }
            | Fact::Chain(_)
            | Fact::Experiment(_)
            | Fact::Comparison(_) => 0,
        };
        let column = facts.iter().map(name).filter(|n| *n <= 24).max().unwrap_or(0);
        for fact in facts {
            match fact {
                Fact::Field { field, text } => {
                    self.hanging(&format!("  {field:<column$}  "), text, column + 4);
                }
                Fact::Statement { .. }
                | Fact::Paste { .. }
                | Fact::Chain(_)
                | Fact::Experiment(_)
                | Fact::Comparison(_) => {
                    self.fact(fact);
                }
            }
        }
    }

    /// Filled text behind a head; the lines below are indented by the head's blanks and dashes.
    pub(crate) fn paragraph(&mut self, head: &str, text: &str) {
        let indent = head.chars().take_while(|c| matches!(c, ' ' | '-')).count();
        self.hanging(head, text, indent);
    }

    pub(crate) fn hanging(&mut self, head: &str, text: &str, indent: usize) {
        let mut line = head.to_string();
        let mut empty = true;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let needed = line.chars().count() + word.chars().count() + usize::from(!empty);
            if needed > self.width && (!empty || line.chars().count() > indent) {
                self.line(&line);
                line = " ".repeat(indent);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.line(&line);
    }

    fn experiment(&mut self, experiment: &Experiment) {
        let title = self.paint(1, &experiment.title);
        self.paragraph("  ", &title);
        self.paragraph("    ", &experiment.scene);
        for rule in &experiment.setting {
            self.line(&format!("      {rule}"));
        }
        self.blank();
        self.table(experiment);
        self.footnotes(experiment);
        self.blank();
        self.paragraph("    => ", &experiment.conclusion);
    }

    /// Alternatives by their letters, then a table: a conversation a row.
    fn comparison(&mut self, comparison: &Comparison) {
        for column in comparison.columns.iter().skip(1) {
            self.hanging(&format!("  {}  ", column.name), &column.text, 7);
            for line in &column.lines {
                self.line(&format!("       {line}"));
            }
        }
        self.blank();
        if !comparison.setting.is_empty() {
            self.paragraph("  ", "Beside each of them in these runs:");
            for line in &comparison.setting {
                self.line(&format!("      {line}"));
            }
            self.blank();
        }
        let cells: Vec<Vec<String>> = comparison
            .rows
            .iter()
            .map(|row| row.cells.iter().map(|cell| fate(cell, row.is_attack)).collect())
            .collect();
        let widths: Vec<usize> = comparison
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let longest = cells.iter().filter_map(|row| row.get(index)).map(|text| text.len());
                longest.max().unwrap_or(0).max(column.name.len())
            })
            .collect();
        let taken: usize = widths.iter().map(|width| width + GAP).sum();
        let title = self.width.saturating_sub(taken + 2).clamp(TITLE_MIN, TITLE_MAX);
        let mut head = format!("  {:title$}", "");
        for (column, width) in comparison.columns.iter().zip(&widths) {
            let _ = write!(head, "{:GAP$}{:width$}", "", column.name);
        }
        let head = self.paint(4, head.trim_end());
        self.line(&head);
        for (row, cells) in comparison.rows.iter().zip(&cells) {
            let mut lines = filled(&row.title, title).into_iter();
            let mut line = format!("  {:title$}", lines.next().unwrap_or_default());
            for (text, width) in cells.iter().zip(&widths) {
                let shown = self.colored_fate(text);
                let pad = width.saturating_sub(text.len());
                let _ = write!(line, "{:GAP$}{shown}{:pad$}", "", "");
            }
            self.line(&line);
            for rest in lines {
                self.line(&format!("    {rest}"));
            }
        }
    }

    fn colored_fate(&self, text: &str) -> String {
        match text.split_whitespace().next() {
            Some("BREAKS" | "HALF" | "GETS") => self.paint(31, text),
            Some("passes" | "stopped") => self.paint(32, text),
            _ => text.to_string(),
        }
    }

    fn table(&mut self, experiment: &Experiment) {
        let who: Vec<String> =
            experiment.steps.iter().map(|step| format!("{} > {}", step.from, step.to)).collect();
        let who_width = who.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        let packet_width =
            experiment.steps.iter().map(|step| step.packet.chars().count()).max().unwrap_or(0);
        let mut runs: Vec<(usize, &Run)> = experiment
            .runs
            .iter()
            .map(|run| {
                let cells = run.outcomes.iter().map(|outcome| cell(outcome).chars().count());
                (cells.max().unwrap_or(0).max(run.name.chars().count()), run)
            })
            .collect();
        let packet_width = packet_width.max("packet".len());
        let chains = (0..experiment.steps.len()).map(|index| chain_of(experiment, index).len());
        let chain_width = chains.max().unwrap_or(0).max("FORWARD".len());
        // A third run that does not fit is told of below the table all the same.
        let fixed = 2 + 2 + who_width + packet_width + chain_width + 3 * GAP + "  <--".len();
        while runs.len() > 2
            && fixed + runs.iter().map(|(w, _)| w + GAP).sum::<usize>() > self.width
        {
            runs.pop();
        }
        let mut head = format!(
            "  {:>2}  {:who_width$}  {:packet_width$}  {:chain_width$}",
            "#", "", "packet", "chain"
        );
        for (width, run) in &runs {
            let _ = write!(head, "{:GAP$}{:width$}", "", run.name);
        }
        let head = self.paint(4, head.trim_end());
        self.line(&head);
        for (index, step) in experiment.steps.iter().enumerate() {
            let sender = who.get(index).map_or("", String::as_str);
            let chain = chain_of(experiment, index);
            let mut line = format!(
                "  {:>2}  {sender:who_width$}  {:packet_width$}  {chain:chain_width$}",
                step.number, step.packet
            );
            for (width, run) in &runs {
                let text = run.outcomes.get(index).map(cell).unwrap_or_default();
                let shown = self.colored(&text);
                let pad = width.saturating_sub(text.chars().count());
                let _ = write!(line, "{:GAP$}{shown}{:pad$}", "", "");
            }
            if experiment.differs_at == Some(step.number) {
                let _ = write!(line, "  <--");
            }
            self.line(&line);
        }
    }

    fn colored(&self, cell: &str) -> String {
        let code = match cell.split_whitespace().last() {
            Some("DROP" | "REJECT" | "ASTRAY" | "STRANGE") => 31,
            Some("accept") => 32,
            _ => return cell.to_string(),
        };
        self.paint(code, cell)
    }

    /// What does not fit into a cell: who decided, reasons with numbers, answers, log lines.
    fn footnotes(&mut self, experiment: &Experiment) {
        let mut said: Vec<String> = Vec::new();
        // Who decided, and a mark that stays, are said once a run; of log lines the first is shown.
        let mut decided: Vec<(usize, String)> = Vec::new();
        for (run_index, run) in experiment.runs.iter().enumerate() {
            for (index, outcome) in run.outcomes.iter().enumerate().filter(|(_, o)| o.sent) {
                for note in notes(outcome) {
                    let kind = match note.split_once(' ') {
                        // One line shows what they are like.
                        Some(("log:", _)) => "log:".to_string(),
                        Some(("decided" | "connection" | "translated:", _)) => note.clone(),
                        _ if note.starts_with("the filter answers") => note.clone(),
                        _ => format!("{index} {note}"),
                    };
                    if decided.contains(&(run_index, kind.clone())) {
                        continue;
                    }
                    decided.push((run_index, kind));
                    let number = index + 1;
                    let everywhere = experiment.runs.len() > 1
                        && experiment.runs.iter().all(|run| {
                            run.outcomes.get(index).is_some_and(|o| notes(o).contains(&note))
                        });
                    let head = if everywhere || experiment.runs.len() == 1 {
                        format!("  {number:>2}  ")
                    } else {
                        format!("  {number:>2}  {}: ", run.name)
                    };
                    let text = format!("{head}{note}");
                    if (everywhere && run_index > 0) || said.contains(&text) {
                        continue;
                    }
                    if said.is_empty() {
                        self.blank();
                    }
                    self.hanging(&head, &note, 6);
                    said.push(text);
                }
            }
        }
    }
}

/// The chain that a step went through, in the first run in which it was sent.
fn chain_of(experiment: &Experiment, index: usize) -> &'static str {
    let outcomes = experiment.runs.iter().filter_map(|run| run.outcomes.get(index));
    outcomes.filter(|outcome| outcome.sent).find_map(|outcome| outcome.chain).unwrap_or("")
}

fn cell(outcome: &Outcome) -> String {
    if !outcome.sent {
        return String::from("(never sent)");
    }
    let verdict = match outcome.verdict {
        _ if outcome.received == Some("no-way") => return String::from("(no way there)"),
        Some("accept") if outcome.received == Some("astray") => "ASTRAY",
        Some("accept") if outcome.received == Some("strange") => "STRANGE",
        Some("drop") => "DROP",
        Some("reject") => "REJECT",
        Some(verdict) => verdict,
        None if outcome.received == Some("strange") => return String::from("(not seen) STRANGE"),
        None => return String::from("(not seen here)"),
    };
    let star = if outcome.rule_matched { "*" } else { " " };
    format!("{:11} {star}{verdict}", outcome.state.unwrap_or("-"))
}

/// What became of a conversation, in a cell.
fn fate(cell: &Cell, is_attack: bool) -> String {
    let at = cell.at.map_or(String::new(), |at| format!(" at {at}"));
    match (cell.fate, is_attack) {
        ("passes", false) => String::from("passes"),
        ("passes", true) => String::from("GETS IN"),
        ("breaks" | "half-open", true) => format!("stopped{at}"),
        ("breaks", false) if cell.is_told => format!("refused{at}"),
        ("breaks", false) => format!("BREAKS{at}"),
        ("half-open", false) => format!("HALF OPEN{at}"),
        _ => String::from("unknown"),
    }
}

/// Text in lines of so many columns; the lines after the first are two columns shorter.
fn filled(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let most = if lines.len() == 1 { width } else { width.saturating_sub(2) };
        let Some(last) = lines.last_mut() else { break };
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= most {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

fn notes(outcome: &Outcome) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(reason) = outcome.reason {
        notes.push(match outcome.distance {
            Some(bytes) => format!("{reason}: {bytes} bytes outside"),
            None => reason.to_string(),
        });
    }
    if matches!(outcome.verdict, Some("drop" | "reject"))
        && let Some(decided) = &outcome.decided_by
    {
        notes.push(format!("decided by {decided}"));
    }
    notes.extend(outcome.translated.iter().map(|to| format!("translated: it goes on {to}")));
    notes.extend(outcome.answers.iter().map(|answer| format!("the filter answers: {answer}")));
    notes.extend(outcome.log.iter().map(|line| format!("log: {}", printable(line))));
    if let Some(mark) = outcome.mark {
        notes.push(format!("packet mark 0x{mark:x}"));
    }
    if let Some(mark) = outcome.connmark {
        notes.push(format!("connection mark 0x{mark:x}"));
    }
    notes.extend(outcome.events.iter().cloned());
    notes
}

/// Control characters made visible, so that a pasted line cannot steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
