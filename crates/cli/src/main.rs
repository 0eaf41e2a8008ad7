//! The command `keepstate`: arguments in, exit status out. What each verb does is in
//! [`commands`]; what it needs to know of the terminal is in [`terminal`].
#![forbid(unsafe_code)]

mod beside;
mod commands;
mod exit;
mod graphs;
mod helpers;
mod host;
mod policies;
mod recorded;
mod report;
mod rulesets;
mod sets;
mod setting;
mod store;
mod terminal;

use clap::Parser;
use commands::Command;
use std::process::ExitCode;
use terminal::{Color, Terminal};

/// A stateful packet filter that tracks connections exactly as Linux netfilter does.
#[derive(Parser)]
#[command(
    name = "keepstate",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 clean, allowed, equal; 1 findings, denied, different; \
                  2 wrong usage or unreadable input; 3 a needed privilege or kernel feature is \
                  missing."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    /// No counts, no warnings: results only
    #[arg(short, long, global = true)]
    quiet: bool,
}

fn main() -> ExitCode {
    // A link named like the familiar command is that command.
    let words: Vec<_> = std::env::args_os().map(|w| w.to_string_lossy().into_owned()).collect();
    let name = words.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let rest = words.get(1..).unwrap_or(&[]);
    if name == "conntrack" {
        return commands::conntrack::run(rest, &Terminal::new(Color::Auto, false)).into();
    }
    if name == "ipset" {
        return commands::ipset::run(rest, &Terminal::new(Color::Auto, false)).into();
    }
    if name == "nfacct" {
        return commands::nfacct::run(rest, &Terminal::new(Color::Auto, false)).into();
    }
    // So is a verb of that name, whose options are its own.
    for (name, rest) in [(Some(name), rest), (rest.first().map(String::as_str), after_first(rest))]
    {
        if let Some(called) = name.and_then(|name| commands::iptables::Called::of(name, rest)) {
            return commands::iptables::run(called, &Terminal::new(Color::Auto, false)).into();
        }
    }
    let arguments = Arguments::parse();
    let terminal = Terminal::new(arguments.color, arguments.quiet);
    arguments.command.run(&terminal).into()
}

fn after_first(words: &[String]) -> &[String] {
    words.get(1..).unwrap_or(&[])
}
