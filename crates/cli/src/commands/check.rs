//! `keepstate check`: rule files, read and judged; nothing is run.

use crate::{exit::Exit, rulesets, terminal::Terminal};
use std::path::PathBuf;

/// Arguments of `keepstate check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rule sets as iptables-save and ip6tables-save print them; `-` is stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    let mut worst = Exit::Clean;
    for path in &arguments.files {
        match rulesets::load(path, None, terminal) {
            Ok(_) => {}
            // A file that cannot be read weighs more than one that can and is wrong.
            Err(Exit::Usage) => worst = Exit::Usage,
            Err(exit) if worst == Exit::Clean => worst = exit,
            Err(_) => {}
        }
    }
    worst
}
