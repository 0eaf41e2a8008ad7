//! `keepstate test`: which files, and how it ends. What a test is and what came of it is the analysis' business.

use crate::{exit::Exit, host, rulesets, terminal::Terminal};
use keepstate_analysis::render::TEST_RENDERERS;
use keepstate_analysis::test::mutate::{MUTANTS_MAX, mutate};
use keepstate_analysis::test::told::{FileTold, Report};
use keepstate_analysis::test::{FILE_MAX, Form, Hosted, Outside, Suite, read, run};
use keepstate_packet::Family;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

const HELP: &str = r#"A test file is Markdown. A heading names a test; above its packets stands what it is for:

  Rules: gateway.rules              a file, from the test file on; or a block ```rules (```rules6)
  Host: gateway.toml                as behind --host of trace; or a block ```host
  Sysctl: nf_conntrack_tcp_loose=0  also Local: ADDRESS/LEN, Sets: FILE, Rules6: FILE,
                                    Tracking: needed, Host answers: yes

  ## A web page from inside

  ```packets
  tcp 10.0.0.5:1234 > 192.0.2.1:80 syn in eth0  -> accept NEW by filter:FORWARD:2 from 198.51.100.7
  +30s
  tcp-client 10.0.0.5 > 192.0.2.1:443           -> passes; 2: ESTABLISHED reply
  ftp-passive 10.0.0.5 > 192.0.2.1              -> breaks at 7
  ping-client 192.0.2.1 > 10.0.0.5              -> never begins by filter:FORWARD:policy
  ```

Packets are written as for trace; conversations by their name, CLIENT[:PORT] > SERVER[:PORT]. What can be
expected, and the rest of the form, the same in TOML too: docs/tests.md. Of a directory every .md file is
read that holds a block of packets, and every .toml file with [[test]]. Without Host the router is that of spec/README.md, private addresses behind eth0.
"#;

/// Arguments of `keepstate test`.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Test files, and directories of them; with --mutate and --suggest rule files as well, which have no tests
    #[arg(value_name = "DIR|FILE", required = true)]
    paths: Vec<PathBuf>,
    /// Only tests whose name holds this text
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Change the rule sets one place at a time and tell which changes no test notices
    #[arg(long)]
    mutate: bool,
    /// The same, with tests that notice them, ready to be pasted
    #[arg(long)]
    suggest: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// JUnit's XML
    Junit,
    /// The Test Anything Protocol
    Tap,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Tap => "tap",
        }
    }
}

/// Most files that are found in directories.
const FILES_MAX: usize = 100_000;
/// How deep directories are looked into.
const DEPTH_MAX: usize = 16;

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match test(arguments, terminal) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn test(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Exit> {
    let wants_mutants = arguments.mutate || arguments.suggest;
    let (mut suites, bare) = suites(&arguments.paths, wants_mutants, terminal)?;
    if let Some(filter) = &arguments.filter {
        for suite in &mut suites {
            suite.tests.retain(|test| test.name.contains(filter));
        }
        suites.retain(|suite| !suite.tests.is_empty());
    }
    if suites.is_empty() && bare.is_empty() {
        let which = arguments.filter.as_ref().map(|filter| format!(" whose name holds {filter:?}"));
        let help = "help: keepstate test --suggest RULES writes tests of a rule file that has none";
        terminal.error(format_args!("there is no test{}\n{help}", which.unwrap_or_default()));
        return Err(Exit::Usage);
    }
    let mut report = Report::default();
    for suite in &suites {
        let tests = suite.tests.iter().map(|test| run::run(suite, test));
        let tests = tests.collect::<Result<_, _>>().map_err(|why| failed(terminal, &why))?;
        report.files.push(FileTold { file: suite.name.clone(), tests });
    }
    let (count, bad) = report.counts();
    suites.extend(bare);
    if wants_mutants && bad == 0 {
        let mut progress = |done: usize, all: usize| {
            terminal.progress(format_args!("{done} of {all} mutants"));
        };
        report.mutations = mutate(&suites, arguments.suggest, &mut progress);
        terminal.progress("\x1b[K");
    }
    print(&report, arguments.format, terminal)?;
    let word = if count == 1 { "test" } else { "tests" };
    terminal.note(format_args!("{count} {word}, {bad} failed"));
    if wants_mutants && bad > 0 {
        terminal.warning("rules are changed only where all tests pass");
    }
    for told in report.mutations.iter().filter(|told| told.left_out > 0) {
        let (rules, left_out) = (&told.rules, told.left_out);
        terminal.warning(format_args!(
            "{rules}: at most {MUTANTS_MAX} mutants are tried, {left_out} rules and policies are left out"
        ));
    }
    Ok(match bad + report.survivors() {
        0 => Exit::Clean,
        _ => Exit::Findings,
    })
}

fn failed(terminal: &Terminal, why: &str) -> Exit {
    terminal.error(why);
    Exit::Usage
}

fn print(report: &Report, format: Format, terminal: &Terminal) -> Result<(), Exit> {
    let style = terminal.page();
    let renderer = TEST_RENDERERS.iter().find(|renderer| renderer.name == format.name());
    let Some(renderer) = renderer else { return Err(failed(terminal, "no such format")) };
    match io::stdout().write_all((renderer.render)(report, &style).as_bytes()) {
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failed(terminal, &error.to_string()))
        }
        _ => Ok(()),
    }
}

/// Reads the files; all faults of all files are told. Then the rule files among them, as suites without a test, where
/// those are of use.
fn suites(
    paths: &[PathBuf],
    takes_rules: bool,
    terminal: &Terminal,
) -> Result<(Vec<Suite>, Vec<Suite>), Exit> {
    let (mut suites, mut bare) = (Vec::new(), Vec::new());
    let mut result = Ok(());
    for path in paths {
        for (file, is_named) in files(path).map_err(|why| failed(terminal, &why))? {
            let name = file.display().to_string();
            let source = match text(&file) {
                Ok(source) => source,
                Err(why) => {
                    result = Err(failed(terminal, &why));
                    continue;
                }
            };
            let begins = match Form::of(&name) {
                Form::Markdown => "```packets",
                Form::Toml => "[[test]]",
            };
            if !is_named && !source.contains(begins) {
                continue;
            }
            let is_bare = takes_rules && is_rule_file(&source, begins);
            let source = if is_bare { around(&file) } else { source };
            match read(&name, &source, &Disk) {
                Ok(suite) if is_bare => bare.push(Suite { tests: Vec::new(), ..suite }),
                Ok(suite) => suites.push(suite),
                Err(faults) => {
                    faults.iter().for_each(|fault| eprintln!("{}", fault.render(&name, &source)));
                    let count = rulesets::faults_count(faults.len());
                    result = Err(failed(terminal, &format!("{name}: {count}")));
                }
            }
        }
    }
    result.map(|()| (suites, bare))
}

/// Whether a file holds rules as iptables-save prints them, and no test.
fn is_rule_file(source: &str, begins: &str) -> bool {
    let is_table = |line: &str| line.starts_with('*') && line.len() > 1;
    !source.contains(begins) && source.lines().any(is_table)
}

/// A test file that names these rules; what it asks for is taken out again.
fn around(rules: &Path) -> String {
    let name = rules.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "Rules: {name}\n\n## Nothing\n\n```packets\ntcp 192.0.2.1:1 > 192.0.2.2:1 syn -> accept\n```\n"
    )
}

/// The file, or the files of the directory that may hold tests, by name; with whether it was named itself.
fn files(path: &Path) -> Result<Vec<(PathBuf, bool)>, String> {
    if !path.is_dir() {
        return Ok(vec![(path.to_owned(), true)]);
    }
    let mut found = Vec::new();
    let mut open = vec![(path.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        let told = |error| format!("{}: {error}", directory.display());
        for entry in std::fs::read_dir(&directory).map_err(told)? {
            let entry = entry.map_err(told)?.path();
            if entry.is_dir() && depth < DEPTH_MAX && !entry.is_symlink() {
                open.push((entry, depth + 1));
            } else if entry.extension().is_some_and(|end| end == "md" || end == "toml")
                && found.len() < FILES_MAX
            {
                found.push((entry, false));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn text(path: &Path) -> Result<String, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut text = String::new();
    let limit = FILE_MAX as u64 + 1;
    let length = match path.as_os_str() == "-" {
        true => io::stdin().lock().take(limit).read_to_string(&mut text),
        false => std::fs::File::open(path)
            .map_err(|error| told(&error))?
            .take(limit)
            .read_to_string(&mut text),
    };
    match length.map_err(|error| told(&error))? {
        length if length > FILE_MAX => Err(told(&format!("longer than {FILE_MAX} bytes"))),
        _ => Ok(text),
    }
}

/// The files beside a test file.
struct Disk;

impl Outside for Disk {
    fn file(&self, from: &str, path: &str) -> Result<(String, String), String> {
        let beside = Path::new(from).parent().unwrap_or(Path::new(""));
        let path = plain(&beside.join(path));
        let name = path.display().to_string();
        let text = rulesets::read(&path).map_err(|error| format!("{name}: {error}"))?;
        Ok((name, text))
    }

    fn host(&self, text: &str) -> Result<Hosted, (Option<Range<usize>>, String)> {
        let described = host::of_text(text)?;
        Ok(Hosted { host: described.host, declared: described.declared })
    }

    fn family(&self, name: &str, text: &str) -> Family {
        rulesets::family_of(Path::new(name), text)
    }
}

/// `a/../b` as `b`, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut plain = PathBuf::new();
    for part in path.components() {
        let back = part == Component::ParentDir
            && matches!(plain.components().next_back(), Some(Component::Normal(_)));
        if back {
            plain.pop();
        } else if part != Component::CurDir {
            plain.push(part);
        }
    }
    plain
}
