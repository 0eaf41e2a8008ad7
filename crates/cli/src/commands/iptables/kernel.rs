//! `--kernel`: this machine's own tool, with the same words.

use crate::{exit::Exit, terminal::Terminal};
use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Becomes the real tool of this name; comes back only where that cannot be.
pub(super) fn run(name: &str, words: &[String], terminal: &Terminal) -> Exit {
    let Some(tool) = find(name) else {
        terminal.error(format_args!(
            "--kernel needs this machine's own {name}, and there is none; it is in the package \
             iptables of most distributions"
        ));
        return Exit::Unavailable;
    };
    let error = Command::new(&tool).args(words).exec();
    terminal.error(format_args!("{}: {error}", tool.display()));
    Exit::Unavailable
}

/// The tool in PATH or where tools of the system are, but no link to this program.
fn find(name: &str) -> Option<PathBuf> {
    let this = env::current_exe().and_then(fs::canonicalize).ok();
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let folders = env::split_paths(&path).chain(system);
    let is_other = |tool: &Path| -> io::Result<bool> {
        let real = fs::canonicalize(tool)?;
        Ok(real.is_file() && Some(&real) != this.as_ref())
    };
    folders.map(|folder| folder.join(name)).find(|tool| is_other(tool).unwrap_or(false))
}
