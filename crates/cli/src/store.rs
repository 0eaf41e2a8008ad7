//! The rule store: a directory that the familiar commands (`iptables`, `ipset`, ...) read and
//! change, as the real ones do with the kernel.
//!
//! One file a family of commands: `iptables` and `ip6tables`, `iptables-legacy` and
//! `ip6tables-legacy`, `sets`. A file that is not there is empty. A change writes the new file
//! beside the old one, has it on the disk, and puts it in its place, so that a reader sees the one
//! or the other whole and whoever is killed leaves the old one. Changes hold the lock on the file
//! `lock` from before they read until after they have written; readers need none. The lock ends
//! with its process, so nothing is ever left locked.

use keepstate_datapath::clock::SystemClock;
use std::{
    env, fs,
    fs::{File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Names the store where the command line does not.
pub(crate) const STORE_VARIABLE: &str = "KEEPSTATE_RULE_STORE";
/// The option that names it.
pub(crate) const STORE_OPTION: &str = "--rule-store";
/// Largest file of a store that is read, in bytes.
pub(crate) const STORE_FILE_MAX: u64 = 256 << 20;
/// How often a lock that is held is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// A store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    directory: PathBuf,
}

/// How long a change waits for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// At most so long.
    AtMost(Duration),
    /// Until the lock is free.
    Forever,
}

/// Why a store was not locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another one has it, and the wait is over.
    Held,
    /// The directory or its lock file cannot be made or opened.
    Io(io::Error),
}

impl Store {
    /// The store of this name, else the one that the environment names, else the user's own.
    pub(crate) fn locate(named: Option<&Path>) -> io::Result<Self> {
        let variable =
            |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let own = || {
            let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
            let state = state.or_else(|| variable("HOME").map(|home| home.join(".local/state")));
            state.map(|state| state.join("keepstate/rules"))
        };
        let directory = named.map(Path::to_owned).or_else(|| variable(STORE_VARIABLE)).or_else(own);
        directory.map(|directory| Self { directory }).ok_or_else(|| {
            io::Error::other(format!(
                "which rule store? {STORE_OPTION} DIR, or {STORE_VARIABLE}=DIR in the environment"
            ))
        })
    }

    /// The text of a file; empty where there is none.
    pub(crate) fn read(&self, name: &str) -> io::Result<String> {
        let path = self.directory.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(told(&path, &error)),
        };
        let mut text = String::new();
        let count = file.take(STORE_FILE_MAX + 1).read_to_string(&mut text);
        let count = count.map_err(|error| told(&path, &error))?;
        if count as u64 > STORE_FILE_MAX {
            return Err(io::Error::other(format!(
                "{}: longer than {STORE_FILE_MAX} bytes",
                path.display()
            )));
        }
        Ok(text)
    }

    /// Makes the store ready for a change; the directory is made where it is not there.
    pub(crate) fn lock(&self, wait: Wait) -> Result<Locked<'_>, LockError> {
        let io = |path: &Path, error: &io::Error| LockError::Io(told(path, error));
        fs::create_dir_all(&self.directory).map_err(|error| io(&self.directory, &error))?;
        let path = self.directory.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| io(&path, &error))?;
        let clock = SystemClock::start();
        loop {
            if wait == Wait::Forever {
                file.lock().map_err(|error| io(&path, &error))?;
                break;
            }
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(io(&path, &error)),
                Err(TryLockError::WouldBlock) => match wait {
                    Wait::AtMost(time) if clock.elapsed() < time => thread::sleep(RETRY),
                    _ => return Err(LockError::Held),
                },
            }
        }
        Ok(Locked { store: self, _file: file })
    }
}

/// A store that nobody else changes until this goes.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    store: &'a Store,
    _file: File,
}

impl Locked<'_> {
    /// The store, to be read.
    pub(crate) const fn store(&self) -> &Store {
        self.store
    }

    /// Puts a new text in the place of a file: all of it or nothing.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.store.directory.join(name);
        let beside = self.store.directory.join(format!("{name}.new"));
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        let placed = written.and_then(|()| fs::rename(&beside, &path));
        let kept = placed.and_then(|()| File::open(&self.store.directory)?.sync_all());
        kept.map_err(|error| told(&path, &error))
    }
}

fn told(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str) -> Store {
        let directory = env::temp_dir().join(format!("keepstate-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        Store { directory }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_there_is_empty() {
        let store = store("written");
        assert_eq!(store.read("iptables").unwrap(), "");
        store.lock(Wait::No).unwrap().write("iptables", "*filter\n").unwrap();
        assert_eq!(store.read("iptables").unwrap(), "*filter\n");
        fs::remove_dir_all(&store.directory).unwrap();
    }

    #[test]
    fn a_second_change_waits_as_long_as_it_is_told_to() {
        let store = store("second");
        let first = store.lock(Wait::No).unwrap();
        assert!(matches!(store.lock(Wait::No), Err(LockError::Held)));
        let time = Duration::from_millis(30);
        assert!(matches!(store.lock(Wait::AtMost(time)), Err(LockError::Held)));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| store.lock(Wait::Forever).is_ok());
            first.write("sets", "create a hash:ip\n").unwrap();
            drop(first);
            assert!(waiting.join().unwrap());
        });
        fs::remove_dir_all(&store.directory).unwrap();
    }

    #[test]
    fn a_change_that_was_cut_short_is_as_if_it_had_not_been() {
        let store = store("cut");
        store.lock(Wait::No).unwrap().write("sets", "whole").unwrap();
        fs::write(store.directory.join("sets.new"), "ha").unwrap();
        assert_eq!(store.read("sets").unwrap(), "whole");
        store.lock(Wait::No).unwrap().write("sets", "x").unwrap();
        assert_eq!(store.read("sets").unwrap(), "x");
        assert!(!store.directory.join("sets.new").exists());
        fs::remove_dir_all(&store.directory).unwrap();
    }
}
