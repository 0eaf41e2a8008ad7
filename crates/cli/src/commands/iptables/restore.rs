//! `iptables-restore`.

use super::{Called, label_names, load_with_others, lock, print};
use crate::store::Store;
use keepstate_ruleset::kept::Restore;
use std::{
    fs::File,
    io::{self, Read},
    time::Duration,
};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What its words say.
#[derive(Debug, Default)]
struct Words {
    how: Restore,
    file: Option<String>,
    wait: Option<Option<Duration>>,
    asks: Option<Asks>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Help,
    Version,
}

const LONG: [(&str, char); 10] = [
    ("counters", 'c'),
    ("verbose", 'v'),
    ("version", 'V'),
    ("test", 't'),
    ("help", 'h'),
    ("noflush", 'n'),
    ("modprobe", 'M'),
    ("table", 'T'),
    ("wait", 'w'),
    ("wait-interval", 'W'),
];

impl Words {
    /// Reads them; what is wrong with them as an error with its status.
    fn read(called: &Called) -> Result<Self, (u8, String)> {
        let wrong = |text: String| {
            let program = called.program();
            (1, format!("{}: {text}\nTry `{program} -h' for more information.", called.name))
        };
        let mut all = Self::default();
        let mut rest = called.words.iter().peekable();
        while let Some(word) = rest.next() {
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let exact = LONG.iter().find(|(one, _)| *one == name);
                let mut near = LONG.iter().filter(|(one, _)| one.starts_with(name));
                let found = exact.or_else(|| near.next().filter(|_| near.next().is_none()));
                match (found, name) {
                    (Some((_, letter)), _) => {
                        let needs = matches!(letter, 'M' | 'T' | 'w' | 'W');
                        let value = value.or_else(|| next_value(*letter, needs, &mut rest));
                        all.take(*letter, value, called)?;
                    }
                    (None, "ipv4" | "ipv6") => {}
                    (None, _) => return Err(wrong(format!("unrecognized option '{word}'"))),
                }
            } else if word.len() > 1 && word.starts_with('-') {
                let letters: Vec<char> = word.chars().skip(1).collect();
                for (at, letter) in letters.iter().enumerate() {
                    if matches!(letter, '4' | '6') {
                        continue;
                    }
                    if !LONG.iter().any(|(_, one)| one == letter) {
                        return Err(wrong(format!("invalid option -- '{letter}'")));
                    }
                    let needs = matches!(letter, 'M' | 'T' | 'w' | 'W');
                    let joined: String = letters.iter().skip(at + 1).collect();
                    let value = match (needs, joined.is_empty()) {
                        (false, _) => None,
                        (true, false) => Some(joined),
                        (true, true) => next_value(*letter, needs, &mut rest),
                    };
                    all.take(*letter, value, called)?;
                    if needs {
                        break;
                    }
                }
            } else if all.file.is_none() {
                all.file = Some(word.clone());
            } else {
                return Err((1, "Unknown arguments found on commandline".into()));
            }
        }
        Ok(all)
    }

    fn take(
        &mut self,
        letter: char,
        value: Option<String>,
        called: &Called,
    ) -> Result<(), (u8, String)> {
        match letter {
            'c' => self.how.counters = true,
            'v' => self.how.verbose = true,
            't' => self.how.test = true,
            'n' => self.how.noflush = true,
            'V' => self.asks = self.asks.or(Some(Asks::Version)),
            'h' => self.asks = self.asks.or(Some(Asks::Help)),
            'T' => {
                let name = value.unwrap_or_default();
                let table = called.family.table_named(&name);
                let text = format!(
                    "{} v{} ({}): table '{name}' does not exist",
                    called.program(),
                    keepstate_ruleset::kept::VERSION,
                    called.variant_name()
                );
                self.how.table = Some(table.ok_or((3, text))?);
            }
            'w' => {
                let seconds = value.as_deref().map(str::parse).transpose();
                let seconds = seconds.map_err(|_| (2, "wait seconds not numeric".to_owned()))?;
                self.wait = Some(seconds.map(Duration::from_secs));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The value behind an option: `-w` and `-W` may do without one.
fn next_value<'a>(
    letter: char,
    needs: bool,
    rest: &mut std::iter::Peekable<impl Iterator<Item = &'a String>>,
) -> Option<String> {
    let optional = matches!(letter, 'w' | 'W');
    let fits = |next: &&String| !optional || next.bytes().all(|b| b.is_ascii_digit());
    if needs { rest.next_if(fits).cloned() } else { None }
}

pub(super) fn run(called: &Called, store: &Store) -> io::Result<u8> {
    let words = match Words::read(called) {
        Ok(words) => words,
        Err((status, text)) => {
            eprintln!("{text}");
            return Ok(status);
        }
    };
    match words.asks {
        Some(Asks::Version) => {
            print(&called.version());
            return Ok(0);
        }
        Some(Asks::Help) => {
            eprint!("{}", help(called));
            return Ok(0);
        }
        None => {}
    }
    let source = match read(words.file.as_deref()) {
        Ok(source) => source,
        Err(error) => {
            let path = words.file.as_deref().unwrap_or("-");
            let error = error.to_string();
            let error = error.split(" (os error").next().unwrap_or("");
            eprintln!("Can't open {path}: {error}");
            return Ok(1);
        }
    };
    let locked = match lock(called, store, words.wait)? {
        Ok(locked) => locked,
        Err(status) => return Ok(status),
    };
    let mut kept = load_with_others(called, locked.store(), &source)?;
    let (out, result) = kept.restore(&source, words.how, &label_names());
    if !words.how.test {
        locked.write(called.file(), &kept.text())?;
    }
    print(&out);
    Ok(match result {
        Ok(()) => 0,
        Err((refusal, line)) => {
            let file = words.file.as_deref().unwrap_or("-");
            let place = (file, source.as_str());
            eprint!("{}", refusal.text(called.program(), called.variant, line, place));
            refusal.status
        }
    })
}

/// The text of the file, or of stdin.
fn read(path: Option<&str>) -> io::Result<String> {
    let mut bytes = Vec::new();
    let count = match path {
        Some(path) => File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?,
        None => io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?,
    };
    if count as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn help(called: &Called) -> String {
    format!(
        "Usage: {} [-c] [-n] [-t] [-v] [-V] [-h] [-T TABLE] [-w [SECONDS]] [FILE]\n  \
         -c, --counters      take the counters of the file\n  \
         -n, --noflush       leave what is there, and add to it\n  \
         -t, --test          read the file, change nothing\n  \
         -T, --table TABLE   take this table of the file only\n  \
         -v, --verbose       say what is done\n  \
         -w, --wait          wait for others who are changing rules\n",
        called.program()
    )
}
