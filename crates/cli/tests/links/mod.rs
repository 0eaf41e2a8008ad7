//! A machine whose iptables are links to this program.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const KEEPSTATE: &str = env!("CARGO_BIN_EXE_keepstate");

/// A folder with links, and a store.
pub(crate) struct Machine {
    pub(crate) links: PathBuf,
    pub(crate) store: PathBuf,
}

impl Machine {
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        let links = folder.join("links");
        fs::create_dir_all(&links).expect("a folder");
        for family in ["iptables", "ip6tables"] {
            for variant in ["", "-nft", "-legacy"] {
                for tool in ["", "-save", "-restore"] {
                    let link = links.join(format!("{family}{variant}{tool}"));
                    std::os::unix::fs::symlink(KEEPSTATE, link).expect("a link");
                }
            }
        }
        for name in ["arptables", "ebtables"] {
            for tool in ["", "-save", "-restore"] {
                let link = links.join(format!("{name}{tool}"));
                std::os::unix::fs::symlink(KEEPSTATE, link).expect("a link");
            }
        }
        for name in ["nfacct", "iptables-xml"] {
            std::os::unix::fs::symlink(KEEPSTATE, links.join(name)).expect("a link");
        }
        Self { links, store: folder.join("store") }
    }

    pub(crate) fn start(&self, name: &str, words: &[String]) -> Command {
        let mut command = Command::new(self.links.join(name));
        command
            .args(words)
            .env("KEEPSTATE_RULE_STORE", &self.store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, name: &str, words: &[String], input: &str) -> Output {
        let mut child = self.start(name, words).spawn().expect("the link");
        // A command that reads nothing may have ended.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("an end")
    }

    pub(crate) fn saved(&self, tool: &str) -> String {
        String::from_utf8(self.run(&format!("{tool}-save"), &[], "").stdout).expect("a text")
    }
}
