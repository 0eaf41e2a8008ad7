//! `keepstate verify`.

use crate::{exit::Exit, terminal::Terminal};
use std::path::PathBuf;

/// Arguments of `keepstate verify`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Captures
    #[arg(value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    let _ = &arguments.captures;
    terminal.error("not in this build");
    Exit::Unavailable
}
