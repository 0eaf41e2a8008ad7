//! The words of a command: which one it is, the options of the program, and the rest.

use super::Fault;
use alloc::{format, string::String, vec::Vec};

/// Commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Verb {
    Create,
    Add,
    Del,
    Test,
    Destroy,
    List,
    Save,
    Restore,
    Flush,
    Rename,
    Swap,
    Help,
    Version,
    Interactive,
}

/// A command's name, its old forms, and how many words it must have.
struct Known {
    verb: Verb,
    name: &'static str,
    short: &'static [&'static str],
    words: usize,
}

const fn known(
    verb: Verb,
    name: &'static str,
    short: &'static [&'static str],
    words: usize,
) -> Known {
    Known { verb, name, short, words }
}

/// In the order in which a shortened word is looked for.
const KNOWN: &[Known] = &[
    known(Verb::Create, "create", &["n", "-N", "--create", "--new"], 2),
    known(Verb::Add, "add", &["-A", "--add"], 2),
    known(Verb::Del, "del", &["-D", "--del"], 2),
    known(Verb::Test, "test", &["-T", "--test"], 2),
    known(Verb::Destroy, "destroy", &["x", "-X", "--destroy"], 0),
    known(Verb::List, "list", &["-L", "--list"], 0),
    known(Verb::Save, "save", &["-S", "--save"], 0),
    known(Verb::Restore, "restore", &["-R", "--restore"], 0),
    known(Verb::Flush, "flush", &["-F", "--flush"], 0),
    known(Verb::Rename, "rename", &["e", "-E", "--rename"], 2),
    known(Verb::Swap, "swap", &["w", "-W", "--swap"], 2),
    known(Verb::Help, "help", &["-h", "-H", "--help"], 0),
    known(Verb::Version, "version", &["-v", "-V", "--version"], 0),
    known(Verb::Interactive, "-", &[], 0),
];

impl Verb {
    fn of(word: &str) -> Option<Self> {
        let exact = |known: &&Known| known.name == word || known.short.contains(&word);
        let begins = |known: &&Known| !word.is_empty() && known.name.starts_with(word);
        let mut all = KNOWN.iter();
        let found = KNOWN.iter().find(exact).or_else(|| all.find(begins));
        found.map(|known| known.verb)
    }

    fn known(self) -> Option<&'static Known> {
        KNOWN.iter().find(|known| known.verb == self)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.known().map_or("", |known| known.name)
    }
}

/// A form of listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Plain,
    /// As commands.
    Save,
    /// XML.
    Xml,
}

/// Options of the program. In a `save` file they stay in force for the lines that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-exist`.
    pub exist: bool,
    /// `-quiet`.
    pub quiet: bool,
    /// `-sorted`.
    pub sorted: bool,
    /// `-name`.
    pub names: bool,
    /// `-terse`.
    pub terse: bool,
    /// `-output`.
    pub output: Option<Output>,
    /// `-file`.
    pub file: Option<String>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Which one.
    pub verb: Verb,
    /// The words behind it.
    pub words: Vec<String>,
}

/// Takes the options out of the words, wherever they stand, and finds the command.
///
/// # Errors
/// What is wrong with the words.
pub fn parse(words: &[String], options: &mut Options) -> Result<Command, Fault> {
    let mut rest: Vec<String> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let plain = word.strip_prefix("--").map_or(word.as_str(), |_| word.get(1..).unwrap_or(""));
        match plain {
            "-!" | "-exist" => options.exist = true,
            "-q" | "-quiet" => options.quiet = true,
            "-s" | "-sorted" => options.sorted = true,
            "-n" | "-name" => options.names = true,
            "-t" | "-terse" => options.terse = true,
            "-r" | "-resolve" => {}
            "-o" | "-output" | "-f" | "-file" => {
                let missing =
                    || Fault::usage(format!("Missing mandatory argument to option {word}"));
                let value = words.next().ok_or_else(missing)?;
                if plain.starts_with("-f") {
                    options.file = Some(value.clone());
                } else {
                    options.output = Some(output(value)?);
                }
            }
            _ => rest.push(word.clone()),
        }
    }
    let Some((first, rest)) = rest.split_first() else {
        return Err(Fault::usage("No command specified."));
    };
    let unknown = || Fault::usage(format!("No command specified: unknown argument {first}"));
    let verb = Verb::of(first).ok_or_else(unknown)?;
    let wanted = verb.known().map_or(0, |known| known.words);
    if rest.len() < wanted {
        let which = if rest.is_empty() { "" } else { "second " };
        let name = verb.name();
        return Err(Fault::usage(format!("Missing {which}mandatory argument to command {name}")));
    }
    let most = match verb {
        Verb::Destroy | Verb::List | Verb::Save | Verb::Flush => 1,
        Verb::Rename | Verb::Swap => 2,
        Verb::Restore => 0,
        _ => usize::MAX,
    };
    if let Some(word) = rest.get(most) {
        return Err(Fault::usage(format!("Unknown argument {word}")));
    }
    Ok(Command { verb, words: rest.to_vec() })
}

fn output(value: &str) -> Result<Output, Fault> {
    match value {
        "plain" => Ok(Output::Plain),
        "save" => Ok(Output::Save),
        "xml" => Ok(Output::Xml),
        _ => Err(Fault::syntax(format_args!("unknown output mode '{value}'"))),
    }
}
