//! Reads a test file: headings name the tests, blocks and `Key: value` lines say what stands around them, blocks of
//! packets what happens; or the same as TOML, where it is called so. All faults of a file are told, each with its place.

mod line;
mod settings;
mod toml;

use super::markdown::{Part, Piece, parts, span};
use super::setup::Outside;
use super::{FAULTS_MAX, FILE_MAX, Form, ITEMS_MAX, Item, Setup, Suite, TESTS_MAX, Test, What};
use crate::trace::notation::{Reader, duration};
use keepstate_ruleset::diagnostic::{Diagnostic, Lines, code, nearest};
use keepstate_ruleset::model::Span;
use line::Reading;
use settings::Settings;
use std::time::Duration;

/// What may stand behind a fence.
const BLOCKS: [&str; 10] = [
    "packets",
    "rules",
    "rules6",
    "iptables-save",
    "ip6tables-save",
    "host",
    "sysctl",
    "local",
    "ipset",
    "toml",
];

/// Reads a test file, one in TOML where its name ends in `.toml`. `name`: as its reader gave it; paths in the file are
/// relative to it.
///
/// # Errors
/// Every fault, by place.
pub fn read(name: &str, source: &str, outside: &dyn Outside) -> Result<Suite, Vec<Diagnostic>> {
    if source.len() > FILE_MAX {
        let text = format!("the file has {} bytes; at most {FILE_MAX} are read", source.len());
        return Err(vec![Diagnostic::new(code::LIMIT_EXCEEDED, Span::default(), text)]);
    }
    let mut file = File {
        source,
        lines: Lines::of(source),
        faults: Vec::new(),
        sections: vec![Section::default()],
        suite: Suite { name: name.to_owned(), source: source.to_owned(), ..Suite::default() },
        built: Vec::new(),
        outside,
    };
    if Form::of(name) == Form::Toml {
        file.toml();
        return file.finish("there is no test in this file: a table `[[test]]`");
    }
    for part in parts(source) {
        file.part(part);
        if file.faults.len() >= FAULTS_MAX {
            break;
        }
    }
    file.finish("there is no test in this file: a heading, and below it a block `packets`")
}

struct File<'s> {
    source: &'s str,
    lines: Lines,
    faults: Vec<Diagnostic>,
    /// From the file itself down to the last heading.
    sections: Vec<Section<'s>>,
    suite: Suite,
    /// The settings of each of the suite's setups; `None` where they could not be put together.
    built: Vec<(Settings<'s>, Option<usize>)>,
    outside: &'s dyn Outside,
}

#[derive(Default)]
struct Section<'s> {
    level: usize,
    title: Option<Piece<'s>>,
    settings: Settings<'s>,
    test: Option<Open>,
}

/// A test that is being read.
struct Open {
    /// `None`: what stands around it is at fault, and its lines are passed over.
    setup: Option<usize>,
    reader: Reader,
    items: Vec<Item>,
    wait: Duration,
    /// The first block of packets.
    fence: Span,
    /// It has a fault already.
    faulty: bool,
}

impl<'s> File<'s> {
    fn fault(&mut self, span: Span, text: impl Into<String>) -> &mut Diagnostic {
        self.faults.push(Diagnostic::new(code::TEST_FILE, span, text));
        let last = self.faults.len() - 1;
        &mut self.faults[last]
    }

    fn part(&mut self, part: Part<'s>) {
        match part {
            Part::Heading(level, title) => self.heading(level, title),
            Part::Line(line) => self.setting(line),
            Part::Open(fence) => {
                let span = fence.span();
                self.fault(span, "this block does not end: a line with its fence alone closes it");
            }
            Part::Block { info, lines } => self.block(info, &lines),
        }
    }

    fn heading(&mut self, level: usize, title: Piece<'s>) {
        self.close(level);
        let settings = self.sections.last().map(|above| above.settings.clone()).unwrap_or_default();
        self.sections.push(Section { level, title: Some(title), settings, test: None });
    }

    /// Ends the sections of this level and below.
    fn close(&mut self, level: usize) {
        while let Some(section) = self.sections.pop_if(|section| section.level >= level) {
            if let Some(test) = section.test {
                self.test(test, section.title);
            }
        }
        // Below the next heading something else happens.
        if let Some(section) = self.sections.last_mut()
            && let Some(test) = section.test.take()
        {
            let title = section.title;
            self.test(test, title);
        }
    }

    /// Keeps a test that is whole.
    fn test(&mut self, open: Open, title: Option<Piece<'s>>) {
        let Some(title) = title else { return };
        if !open.faulty && !open.items.iter().any(expects) {
            let what = "nothing is expected in this test: `-> accept` behind a packet does it";
            self.fault(open.fence, what);
            return;
        }
        let (Some(setup), false) = (open.setup, open.faulty) else { return };
        if self.suite.tests.len() >= TESTS_MAX {
            self.fault(title.span(), format!("more than {TESTS_MAX} tests in a file"));
            return;
        }
        let above = self.sections.iter().filter(|section| section.level > 1);
        let mut names: Vec<&str> =
            above.filter_map(|one| one.title.map(|title| title.text)).collect();
        names.retain(|name| *name != title.text);
        names.push(title.text);
        let line = self.lines.line_at(title.span().start);
        self.suite.tests.push(Test { name: names.join(" / "), line, setup, items: open.items });
    }

    fn setting(&mut self, line: Piece<'s>) {
        let Some((key, value)) = settings::key(line) else { return };
        if self.is_late(key.span()) {
            return;
        }
        let Some(section) = self.sections.last_mut() else { return };
        if let Err(fault) = section.settings.line(key, value) {
            self.faults.push(fault);
        }
    }

    /// Whether packets stand above already, which is a fault.
    fn is_late(&mut self, span: Span) -> bool {
        let late = self.sections.last().is_some_and(|section| section.test.is_some());
        if late {
            let text = "this stands below the packets that it would be for: put it above them";
            self.fault(span, text);
        }
        late
    }

    fn block(&mut self, info: Piece<'s>, lines: &[Piece<'s>]) {
        let word = info.text.split_whitespace().next().unwrap_or("");
        let first = info.to(word.len());
        match word {
            "packets" => self.packets(first, lines),
            "toml" if info.text != "toml host" => {}
            known if BLOCKS.contains(&known) => {
                if self.is_late(first.span()) {
                    return;
                }
                let at = lines.first().map_or(first.at + word.len(), |line| line.at);
                let end = lines.last().map_or(at, |line| line.at + line.text.len());
                let piece = Piece { text: self.source.get(at..end).unwrap_or(""), at };
                let Some(section) = self.sections.last_mut() else { return };
                if let Err(fault) = section.settings.block(first, piece) {
                    self.faults.push(fault);
                }
            }
            // Blocks of other languages are for people; what is nearly one of ours is not.
            other => {
                if let Some(near) = nearest(other, BLOCKS.into_iter().chain(["conversations"])) {
                    let text = format!("{other}: no block that tests are made of");
                    self.fault(first.span(), text).help = Some(format!("did you mean `{near}`?"));
                }
            }
        }
    }

    fn packets(&mut self, fence: Piece<'s>, lines: &[Piece<'s>]) {
        if self.sections.last().is_none_or(|section| section.title.is_none()) {
            self.fault(fence.span(), "packets stand below a heading, which names their test");
            return;
        }
        let begun = self.sections.last().is_some_and(|section| section.test.is_some());
        if !begun {
            let setup = self.setup(fence);
            let Some(section) = self.sections.last_mut() else { return };
            section.test = Some(Open {
                setup,
                reader: Reader::default(),
                items: Vec::new(),
                wait: Duration::ZERO,
                fence: fence.span(),
                faulty: setup.is_none(),
            });
        }
        let Some(mut open) = self.sections.last_mut().and_then(|section| section.test.take())
        else {
            return;
        };
        if let Some(setup) = open.setup {
            for line in lines {
                if let Err(fault) = packet_line(&self.suite.setups, setup, &mut open, *line) {
                    open.faulty = true;
                    self.faults.push(fault);
                }
                if self.faults.len() >= FAULTS_MAX {
                    break;
                }
            }
        }
        if let Some(section) = self.sections.last_mut() {
            section.test = Some(open);
        }
    }

    /// What stands around a test that begins here, as one of the suite's setups.
    fn setup(&mut self, fence: Piece<'s>) -> Option<usize> {
        let settings = self.sections.last().map(|section| section.settings.clone())?;
        if let Some((_, index)) = self.built.iter().find(|(known, _)| *known == settings) {
            return *index;
        }
        let built = settings.build(&self.suite.name, fence, self.outside, &self.lines);
        let index = match built {
            Ok(setup) => {
                self.suite.setups.push(setup);
                Some(self.suite.setups.len() - 1)
            }
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        };
        self.built.push((settings, index));
        index
    }

    /// `none`: what is said of a file without tests.
    fn finish(mut self, none: &str) -> Result<Suite, Vec<Diagnostic>> {
        self.close(0);
        if self.faults.is_empty() && self.suite.tests.is_empty() {
            self.fault(span(0, self.source.lines().next().map_or(0, str::len)), none);
        }
        if self.faults.is_empty() {
            return Ok(self.suite);
        }
        self.faults.sort_by_key(|fault| fault.span.start);
        self.faults.truncate(FAULTS_MAX);
        Err(self.faults)
    }
}

/// Reads lines of packets for a filter that is there already.
pub(super) fn lines(setup: &Setup, text: &str) -> Result<Vec<Item>, Diagnostic> {
    let mut open = Open {
        setup: Some(0),
        reader: Reader::default(),
        items: Vec::new(),
        wait: Duration::ZERO,
        fence: Span::default(),
        faulty: false,
    };
    let mut at = 0;
    for line in text.split('\n') {
        packet_line(std::slice::from_ref(setup), 0, &mut open, Piece { text: line, at })?;
        at += line.len() + 1;
    }
    Ok(open.items)
}

fn expects(item: &Item) -> bool {
    match &item.what {
        What::Packet(_, expected) => !expected.is_empty(),
        What::Conversation(conversation) => {
            conversation.fate.is_some() || !conversation.packets.is_empty()
        }
    }
}

/// Reads a line of a block of packets.
fn packet_line(
    setups: &[Setup],
    setup: usize,
    open: &mut Open,
    line: Piece<'_>,
) -> Result<(), Diagnostic> {
    let bare = line.trimmed();
    let fault = |span, text: String| Diagnostic::new(code::TEST_LINE, span, text);
    if let Some(time) = bare.text.strip_prefix('+') {
        let time = duration(time).and_then(|time| open.wait.checked_add(time));
        open.wait = time.ok_or_else(|| {
            fault(bare.span(), format!("{}: want +NUMBER and ms, s, min, h or d", bare.text))
        })?;
        return Ok(());
    }
    if bare.text.is_empty() || bare.text.starts_with('#') {
        return Ok(());
    }
    if open.items.len() >= ITEMS_MAX {
        return Err(fault(bare.span(), format!("more than {ITEMS_MAX} lines in a test")));
    }
    let Some(setup) = setups.get(setup) else { return Ok(()) };
    let reading = Reading { setup, line };
    let (what, times) = reading.item(&mut open.reader)?;
    let wait = std::mem::take(&mut open.wait);
    open.items.push(Item { span: bare.span(), wait, times, what });
    Ok(())
}

#[cfg(test)]
mod tests;
