//! `keepstate explain`: what a pasted text is taken for, and how the answer is printed. What it
//! says is the analysis' business.

use crate::{exit::Exit, graphs, rulesets, terminal::Terminal};
use keepstate_analysis::explain::TEXT_BYTES_MAX;
use keepstate_analysis::graph::Graph;
use keepstate_analysis::render::{RENDERERS, renderer};
use keepstate_analysis::{Answer, Question, Unexplained, explain, explain_line};
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::TableName;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Arguments of `keepstate explain`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    keepstate explain 'ACCEPT     tcp  --             state RELATED,ESTABLISHED'\n  \
    keepstate explain -A FORWARD -m state --state INVALID -j DROP\n  \
    keepstate explain /etc/iptables/rules.v4:12\n  \
    conntrack -L | head -1 | keepstate explain -\n  \
    keepstate explain --chain FORWARD --graph forward.svg /etc/iptables/rules.v4\n  \
    keepstate explain -m hashlimit\n  \
    keepstate explain KS0101")]
pub(crate) struct Arguments {
    /// A pasted line, a file, FILE:LINE, or `-` for stdin (also without arguments)
    #[arg(value_name = "TEXT|FILE|FILE:LINE|-", allow_hyphen_values = true)]
    what: Vec<String>,
    /// How to print the answer
    #[arg(long, value_name = "FORMAT", default_value = "text",
          value_parser = clap::builder::PossibleValuesParser::new(RENDERERS.iter().map(|r| r.name)))]
    format: String,
    /// A rule file to hold a log line against
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Draw a chain of the rule file and all chains that it leads to: a picture where the name ends in .svg,
    /// else in the language of graphviz; `-` is stdout
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// The chain to draw, such as FORWARD or nat:PREROUTING
    #[arg(long, value_name = "[TABLE:]CHAIN")]
    chain: Option<String>,
}

/// Most bytes that are read of a file or of stdin, one more than can be explained.
const BYTES_MAX: u64 = TEXT_BYTES_MAX as u64 + 1;

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    let asked = Asked::of(arguments);
    if asked.graph.is_some() || asked.chain.is_some() {
        return match drawn(&asked, terminal) {
            Ok(()) => Exit::Clean,
            Err(exit) => exit,
        };
    }
    match answer(&asked) {
        Ok(answer) => print(&answer, &asked.format, terminal),
        Err(error) => {
            terminal.error(error);
            Exit::Usage
        }
    }
}

/// What is asked. A pasted rule has options of its own, so all words after the first are taken as
/// they are; ours are picked out of them here. iptables has none of the same name.
struct Asked {
    words: Vec<String>,
    format: String,
    rules: Option<PathBuf>,
    graph: Option<PathBuf>,
    chain: Option<String>,
}

impl Asked {
    fn of(arguments: &Arguments) -> Self {
        let mut asked = Self {
            words: Vec::new(),
            format: arguments.format.clone(),
            rules: arguments.rules.clone(),
            graph: arguments.graph.clone(),
            chain: arguments.chain.clone(),
        };
        let mut words = arguments.what.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (word.as_str(), None),
            };
            let mut value = || value.clone().or_else(|| words.next().cloned());
            match name {
                "--format" => asked.format = value().unwrap_or_default(),
                "--rules" => asked.rules = value().map(PathBuf::from),
                "--graph" => asked.graph = value().map(PathBuf::from),
                "--chain" => asked.chain = value(),
                _ => asked.words.push(word.clone()),
            }
        }
        asked
    }
}

/// Draws a chain of a rule file.
fn drawn(asked: &Asked, terminal: &Terminal) -> Result<(), Exit> {
    let ([file], Some(name), Some(path)) =
        (asked.words.as_slice(), &asked.chain, asked.graph.as_deref())
    else {
        terminal.error("to draw a chain of a rule file: --graph OUT --chain [TABLE:]CHAIN FILE");
        return Err(Exit::Usage);
    };
    let file = PathBuf::from(file);
    let labels = LabelNames::default();
    let loaded = rulesets::load_all([(&file, None)].into_iter(), &labels, terminal)?;
    let (table, chain) = name.split_once(':').unwrap_or(("filter", name));
    let table = TableName::ALL.into_iter().find(|known| known.as_str() == table);
    let graph = table.and_then(|table| {
        loaded.iter().find_map(|file| Graph::of_chain(&file.ruleset, table, chain))
    });
    match graph {
        Some(graph) => graphs::draw(path, &graph, terminal),
        None => {
            terminal.error(format_args!("--chain {name}: the rules have no such chain"));
            Err(Exit::Usage)
        }
    }
}

fn answer(asked: &Asked) -> Result<Answer, String> {
    if renderer(&asked.format).is_none() {
        let known: Vec<&str> = RENDERERS.iter().map(|renderer| renderer.name).collect();
        return Err(format!("no format `{}`; there are {}", asked.format, known.join(", ")));
    }
    let rules = asked.rules.as_deref().map(read_file).transpose()?;
    let about = |text: &str| {
        explain(&Question { text, rules: rules.as_deref() }).map_err(|error| error.to_string())
    };
    match asked.words.as_slice() {
        [] => about(&read_stdin()?),
        [one] if one == "-" => about(&read_stdin()?),
        [one] if Path::new(one).is_file() => about(&read_file(Path::new(one))?),
        [one] => match file_and_line(one) {
            Some((path, line)) => {
                explain_line(&read_file(path)?, line).map_err(|error| at(one, &error))
            }
            None => about(one).map_err(|error| not_there(one).unwrap_or(error)),
        },
        words => about(&keepstate_ruleset::syntax::iptables_command::join(words)),
    }
}

/// For a text that cannot be explained and that reads like the path of a file: what there is to say of that.
fn not_there(text: &str) -> Option<String> {
    let is_line = |line: &str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    let path = match text.rsplit_once(':') {
        Some((path, line)) if is_line(line) => path,
        _ => text,
    };
    if Path::new(path).is_dir() {
        return Some(format!("{path}: a directory; which file of it?"));
    }
    let named = path.contains('/') || Path::new(path).extension().is_some();
    let plain = !path.contains(char::is_whitespace) && !path.starts_with('-');
    (named && plain)
        .then(|| format!("{path}: there is no such file, and as a text it cannot be explained"))
}

fn at(place: &str, error: &Unexplained) -> String {
    format!("{place}: {error}")
}

/// `FILE:LINE`, where there is such a file.
fn file_and_line(text: &str) -> Option<(&Path, usize)> {
    let (path, line) = text.rsplit_once(':')?;
    let path = Path::new(path);
    path.is_file().then_some(path).zip(line.parse().ok())
}

fn read_file(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    read(file).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_stdin() -> Result<String, String> {
    read(std::io::stdin().lock()).map_err(|error| format!("stdin: {error}"))
}

fn read(from: impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn print(answer: &Answer, format: &str, terminal: &Terminal) -> Exit {
    let style = terminal.page();
    let Some(renderer) = renderer(format) else { return Exit::Usage };
    let text = (renderer.render)(answer, &style);
    // A reader that has seen enough (`| head`) is no fault.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Clean
}
