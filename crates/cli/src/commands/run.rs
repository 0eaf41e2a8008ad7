//! `keepstate run`.

use crate::{exit::Exit, terminal::Terminal};

/// Arguments of `keepstate run`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A pasted line, a file, FILE:LINE, or `-` for stdin
    #[arg(value_name = "TEXT|FILE|FILE:LINE|-")]
    what: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    let _ = &arguments.what;
    terminal.error("not in this build");
    Exit::Unavailable
}
