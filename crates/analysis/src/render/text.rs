//! Text for people: headings, filled paragraphs, experiments as tables.

use super::{Style, WIDTH_MAX, WIDTH_MIN};
use crate::answer::{
    Answer, Cell, ChainTold, Column, Comparison, Experiment, Fact, Outcome, Row, StepShown, Topic,
};
use std::fmt::Write;

pub(super) fn render(answer: &Answer, style: &Style) -> String {
    let mut page = Page::new(style);
    let lines: Vec<&str> = answer.input.trim_end().lines().collect();
    // Of a whole file its beginning tells which it is.
    let shown = if lines.len() > INPUT_LINES_MAX { INPUT_HEAD } else { lines.len() };
    for line in lines.iter().take(shown) {
        // Blanks are columns of a listing: they stay where there is room.
        let line = printable(line);
        match columns(&line) + 4 > page.width {
            true => page.hanging("    ", &line, 6),
            false => page.line(&format!("    {line}")),
        }
    }
    if shown < lines.len() {
        page.line("    ...");
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
        let is_field = |fact: &Fact| matches!(fact, Fact::Field { .. });
        let mut before: Option<&Fact> = None;
        for group in section.facts.chunk_by(|one, other| is_field(one) && is_field(other)) {
            if before.is_some() {
                page.blank();
            }
            match group {
                [fact] if !is_field(fact) => page.fact(fact),
                fields => page.fields(fields),
            }
            before = group.last();
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

/// An input of so many lines is repeated; of a longer one its head.
const INPUT_LINES_MAX: usize = 6;
const INPUT_HEAD: usize = 3;

/// Columns for what a row of a comparison is about.
const TITLE_MIN: usize = 24;
const TITLE_MAX: usize = 56;

/// Columns between the columns of a table.
const GAP: usize = 2;

/// Columns of the table that stands before a rule beside a run.
const TABLE_COLUMN: usize = 9;

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
                    self.command(6, line);
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
        let family = chain.family.map_or_else(String::new, |family| format!("{family} "));
        let name = printable(&format!("{family}{} {}", chain.table, chain.chain));
        let policy = chain.policy.as_ref().map(|policy| format!(" (policy {policy})"));
        let name = self.paint(1, &format!("{name}{}", policy.unwrap_or_default()));
        self.line(&format!("  {name}"));
        self.paragraph("    ", &printable(&chain.purpose.join(" ")));
        let column = chain.rules.iter().map(|rule| rule.numbers().len()).max().unwrap_or(0);
        for rule in &chain.rules {
            let comment = rule.comment.as_ref().map(|text| format!("\"{text}\": "));
            let text = printable(&format!("{}{}", comment.unwrap_or_default(), rule.text));
            self.hanging(&format!("    {:>column$}  ", rule.numbers()), &text, column + 6);
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
        let mut before = "";
        for fact in facts {
            match fact {
                Fact::Field { field, text } => {
                    // What more there is of the same stands below it.
                    let shown = if field == before { "" } else { field };
                    before = field;
                    let text = printable(text);
                    self.hanging(&format!("  {shown:<column$}  "), &text, column + 4);
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
        let room = self.width.saturating_sub(indent);
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            // A word that no line holds, such as a long list of ports, is parted behind its commas.
            let parted = columns(word) > room;
            let pieces =
                if parted { word.split_inclusive(',') } else { word.split_inclusive('\n') };
            for (at, piece) in pieces.enumerate() {
                let blank = usize::from(!empty && at == 0);
                let needed = columns(&line) + columns(piece) + blank;
                if needed > self.width && (!empty || columns(&line) > indent) {
                    self.line(&line);
                    line = " ".repeat(indent);
                } else if blank > 0 {
                    line.push(' ');
                }
                line.push_str(piece);
                empty = false;
            }
        }
        self.line(&line);
    }

    /// A command to be pasted: where it is longer than a line, it goes on behind a backslash.
    fn command(&mut self, indent: usize, command: &str) {
        let mut line = format!("{:indent$}{command}", "");
        // What stands in quotes is one word to the shell.
        if columns(&line) > self.width && !command.contains(['"', '\'']) {
            line = " ".repeat(indent);
            let mut empty = true;
            for word in command.split(' ') {
                if !empty && columns(&line) + columns(word) + " \\".len() >= self.width {
                    self.line(&format!("{line} \\"));
                    line = " ".repeat(indent + 4);
                    empty = true;
                }
                if !empty {
                    line.push(' ');
                }
                line.push_str(word);
                empty = false;
            }
        }
        self.line(&line);
    }

    fn experiment(&mut self, experiment: &Experiment) {
        let title = self.paint(1, &experiment.title);
        self.paragraph("  ", &title);
        self.paragraph("    ", &experiment.scene);
        for rule in &experiment.setting {
            if columns(rule) + 6 <= self.width {
                self.line(&format!("      {rule}"));
                continue;
            }
            let (table, rule) = rule.split_at_checked(TABLE_COLUMN).unwrap_or(("", rule));
            self.hanging(&format!("      {table}"), rule, 6 + TABLE_COLUMN + 2);
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
                self.command(7, line);
            }
        }
        self.blank();
        if !comparison.setting.is_empty() {
            self.paragraph("  ", "Beside each of them in these runs:");
            for line in &comparison.setting {
                self.command(6, line);
            }
            self.blank();
        }
        let (mut cells, mut widths) = fates(comparison, " at ");
        let taken = |widths: &[usize]| widths.iter().map(|width| width + GAP).sum::<usize>();
        if taken(&widths) + 2 + TITLE_MIN > self.width {
            (cells, widths) = fates(comparison, " ");
        }
        let taken = taken(&widths);
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
        let wide = Table::of(experiment, false);
        let mut table = if wide.width() <= self.width { wide } else { Table::of(experiment, true) };
        // A third run that does not fit is told of below the table all the same.
        while table.runs.len() > 2 && table.width() > self.width {
            table.runs.pop();
        }
        let head = self.paint(4, table.head().trim_end());
        self.line(&head);
        for (index, step) in experiment.steps.iter().enumerate() {
            let mut line = table.step(experiment, index);
            for run in &table.runs {
                let text = run.cells.get(index).map_or("", String::as_str);
                let shown = self.colored(text);
                let pad = run.width.saturating_sub(columns(text));
                let _ = write!(line, "{:GAP$}{shown}{:pad$}", "", "");
            }
            if experiment.differs_at == Some(step.number) {
                let is_tight = table.width() > self.width;
                let (from, marked) =
                    if is_tight { (line.trim_end().len(), " <--") } else { (line.len(), MARKED) };
                line.truncate(from);
                line.push_str(marked);
            }
            self.line(&line);
        }
    }

    fn colored(&self, cell: &str) -> String {
        let code = match cell.split_whitespace().last().map(|word| word.trim_start_matches('*')) {
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
                        Some(("decided" | "connection" | "translated:" | "changed:", _)) => {
                            note.clone()
                        }
                        // One that differs in its port only is like the one before.
                        _ if note.starts_with("the filter answers") => {
                            note.chars().filter(|c| !c.is_ascii_digit()).collect()
                        }
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

/// Behind the first packet that fares differently.
const MARKED: &str = "  <--";

/// What cells say where there is little room.
const SHORTER: [(&str, &str); 3] = [
    ("(never sent)", "(not sent)"),
    ("(not seen here)", "(not seen)"),
    ("(no way there)", "(no way)"),
];

/// A conversation under several rule sets, as columns.
struct Table<'a> {
    /// Who sends each packet.
    who: Vec<String>,
    /// Columns of who, of the packet and of the chain.
    widths: [usize; 3],
    runs: Vec<RunShown<'a>>,
}

struct RunShown<'a> {
    name: &'a str,
    cells: Vec<String>,
    width: usize,
}

impl<'a> Table<'a> {
    /// `narrow`: it is named who sends and not to whom, and of later runs no state that is that of the first.
    fn of(experiment: &'a Experiment, narrow: bool) -> Self {
        let steps = &experiment.steps;
        let named = |step: &StepShown| match narrow {
            true => format!("{} >", step.from),
            false => format!("{} > {}", step.from, step.to),
        };
        let who: Vec<String> = steps.iter().map(named).collect();
        let longest =
            |all: &mut dyn Iterator<Item = usize>, least: usize| all.max().unwrap_or(0).max(least);
        let least = if narrow { "chain" } else { "FORWARD" };
        let widths = [
            longest(&mut who.iter().map(|text| columns(text)), 0),
            longest(&mut steps.iter().map(|step| columns(&step.packet)), "packet".len()),
            longest(
                &mut (0..steps.len()).map(|index| chain_of(experiment, index).len()),
                least.len(),
            ),
        ];
        let first = experiment.runs.first();
        let shown = experiment.runs.iter().enumerate().map(|(number, run)| {
            let cells = run.outcomes.iter().enumerate().map(|(index, outcome)| {
                let before = first.and_then(|first| first.outcomes.get(index));
                let same =
                    before.is_some_and(|before| before.sent && before.state == outcome.state);
                let text = cell(outcome, !(narrow && number > 0 && same && outcome.sent));
                let less = SHORTER.iter().find(|(long, _)| narrow && *long == text);
                less.map_or(text, |(_, short)| (*short).to_string())
            });
            let cells: Vec<String> = cells.collect();
            let width = longest(&mut cells.iter().map(|cell| columns(cell)), columns(&run.name));
            RunShown { name: &run.name, cells, width }
        });
        let runs = shown.collect();
        Self { who, widths, runs }
    }

    fn width(&self) -> usize {
        let runs: usize = self.runs.iter().map(|run| run.width + GAP).sum();
        2 + 2 + self.widths.iter().map(|width| width + GAP).sum::<usize>() + runs + MARKED.len()
    }

    fn head(&self) -> String {
        let [who, packet, chain] = self.widths;
        let mut head =
            format!("  {:>2}  {:who$}  {:packet$}  {:chain$}", "#", "", "packet", "chain");
        for run in &self.runs {
            let _ = write!(head, "{:GAP$}{:2$}", "", run.name, run.width);
        }
        head
    }

    fn step(&self, experiment: &Experiment, index: usize) -> String {
        let [who_width, packet_width, chain_width] = self.widths;
        let who = self.who.get(index).map_or("", String::as_str);
        let (number, packet) =
            experiment.steps.get(index).map_or((0, ""), |step| (step.number, step.packet.as_str()));
        let chain = chain_of(experiment, index);
        format!("  {number:>2}  {who:who_width$}  {packet:packet_width$}  {chain:chain_width$}")
    }
}

/// The chain that a step went through, in the first run in which it was sent.
fn chain_of(experiment: &Experiment, index: usize) -> &'static str {
    let outcomes = experiment.runs.iter().filter_map(|run| run.outcomes.get(index));
    outcomes.filter(|outcome| outcome.sent).find_map(|outcome| outcome.chain).unwrap_or("")
}

/// What became of a packet; its state, unless that is known from elsewhere.
fn cell(outcome: &Outcome, state: bool) -> String {
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
    match state {
        true => format!("{:11} {star}{verdict}", outcome.state.unwrap_or("-")),
        false => format!("{star}{verdict}"),
    }
}

/// The cells of a comparison by row, and how wide each column is.
fn fates(comparison: &Comparison, at: &str) -> (Vec<Vec<String>>, Vec<usize>) {
    let row = |row: &Row| row.cells.iter().map(|cell| fate(cell, row.is_attack, at)).collect();
    let cells: Vec<Vec<String>> = comparison.rows.iter().map(row).collect();
    let width = |(index, column): (usize, &Column)| {
        let longest = cells.iter().filter_map(|row| row.get(index)).map(String::len).max();
        longest.unwrap_or(0).max(column.name.len())
    };
    let widths = comparison.columns.iter().enumerate().map(width).collect();
    (cells, widths)
}

/// What became of a conversation, in a cell; `at` stands before the number of the packet.
fn fate(cell: &Cell, is_attack: bool, at: &str) -> String {
    let at = cell.at.map_or(String::new(), |number| format!("{at}{number}"));
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
    notes.extend(outcome.changed.iter().map(|change| format!("changed: {change}")));
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

/// Columns that a text takes: escape sequences of colours take none.
fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '\x1b' {
            chars.by_ref().find(|c| *c == 'm');
        } else {
            count += 1;
        }
    }
    count
}

/// Control characters made visible, so that a pasted line cannot steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
