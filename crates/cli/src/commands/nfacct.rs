//! `keepstate nfacct`, and a link called `nfacct`: the accounting objects of the rule store, with the words of
//! nfacct(8). They are kept in its file `nfacct`, as `nfacct list` prints them. Nothing is counted there.

use super::iptables::FILES;
use crate::{
    exit::Exit,
    store::{LockError, Locked, STORE_OPTION, Store, Wait},
    terminal::Terminal,
};
use keepstate_datapath::clock::SystemClock;
use keepstate_ruleset::{
    matches::nfacct::{Account, AccountUnfit, Accounts, Quota, Unit, cut},
    syntax::{iptables_save, nfacct},
};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, Read},
    path::PathBuf,
    time::Duration,
};

const HELP: &str = "Words:\n  \
    list [reset] [xml|json]\n  \
    add NAME [byte|packet QUOTA]\n  \
    delete NAME\n  \
    get NAME [reset] [xml|json]\n  \
    flush    what no rule names\n  \
    restore  what `list` printed, from stdin\n\n\
    Before the words:\n  \
    --rule-store DIR  the rule store; else KEEPSTATE_RULE_STORE=DIR in the environment, else\n                    \
    $XDG_STATE_HOME/keepstate/rules or ~/.local/state/keepstate/rules\n\n\
    A link to this program called nfacct is this verb.";

// Arguments of `keepstate nfacct`; what it does is said where the verbs are listed.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The words of the real command, behind the option below
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The file of the store.
const FILE: &str = "nfacct";
/// Largest text that is restored, in bytes.
const RESTORE_MAX: u64 = 64 << 20;
/// How long a change waits for another one.
const PATIENCE: Duration = Duration::from_secs(60);
/// The version whose words these are.
const VERSION: &str = "1.0.2";
const BUSY: &str = "error: Device or resource busy";
const NONE: &str = "error: No such file or directory";

pub(crate) fn verb(arguments: &Arguments, terminal: &Terminal) -> Exit {
    run(&arguments.words, terminal)
}

pub(crate) fn run(words: &[String], terminal: &Terminal) -> Exit {
    let (store, words) = match words {
        [option, path, rest @ ..] if option == STORE_OPTION => (Some(PathBuf::from(path)), rest),
        _ => (None, words),
    };
    match answer(store, words) {
        Ok(Ok(text)) => {
            print!("{text}");
            Exit::Familiar(0)
        }
        Ok(Err(says)) => {
            eprintln!("nfacct v{VERSION}: {says}");
            Exit::Familiar(1)
        }
        Err(error) => {
            terminal.error(error);
            Exit::Familiar(1)
        }
    }
}

/// The objects of the store.
pub(super) fn read(store: &Store) -> io::Result<Accounts> {
    let mut accounts = Accounts::default();
    nfacct::load(&mut accounts, &store.read(FILE)?).map_err(|fault| {
        io::Error::other(format!(
            "line {} of `{FILE}` in the rule store: {}",
            fault.line, fault.text
        ))
    })?;
    Ok(accounts)
}

/// What is printed, or what the real tool says.
type Said = Result<String, String>;

fn answer(named: Option<PathBuf>, words: &[String]) -> io::Result<Said> {
    let store = Store::locate(named.as_deref())?;
    let locked = match store.lock(Wait::AtMost(PATIENCE)) {
        Ok(locked) => locked,
        Err(LockError::Held) => return Err(io::Error::other("another change does not end")),
        Err(LockError::Io(error)) => return Err(error),
    };
    let before = read(&store)?;
    let mut accounts = before.clone();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = carry_out(&locked, &mut accounts, &words)?;
    if said.is_ok() && accounts != before {
        locked.write(FILE, &nfacct::print_all(&accounts))?;
    }
    Ok(said)
}

fn carry_out(locked: &Locked<'_>, accounts: &mut Accounts, words: &[&str]) -> io::Result<Said> {
    const COMMANDS: [&str; 8] =
        ["list", "add", "delete", "get", "flush", "restore", "version", "help"];
    let Some((command, rest)) = words.split_first() else {
        return Ok(Err("no command".into()));
    };
    // As far as it is a beginning; the first one counts.
    let known = COMMANDS.iter().find(|known| !command.is_empty() && known.starts_with(command));
    Ok(match (known.copied(), rest) {
        (Some("list"), how) => shown(accounts, None, how),
        (Some("add"), [name, quota @ ..]) => add(accounts, name, quota),
        (Some("get"), [name, how @ ..]) => match accounts.named(cut(name)) {
            Some(_) => shown(accounts, Some(cut(name)), how),
            None => Err(NONE.into()),
        },
        (Some("delete"), [name]) => {
            let name = cut(name);
            match accounts.named(name) {
                None => Err(NONE.into()),
                Some(_) if in_use(locked.store())?.contains(name) => Err(BUSY.into()),
                Some(_) => {
                    accounts.retain(|other| other != name);
                    Ok(String::new())
                }
            }
        }
        (Some("add" | "get" | "delete"), []) => Err("missing object name".into()),
        (Some("delete"), _) => Err("too many arguments".into()),
        (Some("flush"), _) => {
            let used = in_use(locked.store())?;
            accounts.retain(|name| used.contains(name));
            Ok(String::new())
        }
        (Some("restore"), _) => {
            let mut text = String::new();
            io::stdin().take(RESTORE_MAX + 1).read_to_string(&mut text)?;
            if text.len() as u64 > RESTORE_MAX {
                return Err(io::Error::other(format!("longer than {RESTORE_MAX} bytes")));
            }
            let restored = nfacct::load(accounts, &text).map(|()| String::new());
            restored.map_err(|fault| format!("line {}: {}", fault.line, fault.text))
        }
        (Some("version"), _) => Ok(format!("nfacct v{VERSION} (keepstate)\n")),
        (Some(_), _) => Ok(format!("{HELP}\n")),
        (None, _) => Err(format!("Unknown command: {command}")),
    })
}

fn add(accounts: &mut Accounts, name: &str, words: &[&str]) -> Said {
    let quota = match words {
        [] => None,
        [unit, rest @ ..] => {
            let unit = match *unit {
                "byte" => Unit::Bytes,
                "packet" => Unit::Packets,
                _ => return Err("argument must \"byte\" or \"packet\"".into()),
            };
            let most = match rest {
                [] => return Err("missing quota value".into()),
                [most] => most,
                _ => return Err("too many arguments".into()),
            };
            // The digits it begins with, and 0 without any, as the real tool takes it.
            let end = most.find(|c: char| !c.is_ascii_digit()).unwrap_or(most.len());
            let most = most[..end].parse().unwrap_or(if end == 0 { 0 } else { u64::MAX });
            Some(Quota { most, unit, reached: false })
        }
    };
    match accounts.add(name, Account { quota, ..Account::default() }) {
        Ok(()) => Ok(String::new()),
        Err(AccountUnfit::Exists) => Err(BUSY.into()),
        Err(AccountUnfit::Full) => Err("error: No space left on device".into()),
    }
}

/// All or one of them, and then set back where that is asked.
fn shown(accounts: &mut Accounts, only: Option<&str>, words: &[&str]) -> Said {
    let is = |word: &&str, whole: &str| !word.is_empty() && whole.starts_with(*word);
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    if let Some(word) =
        words.iter().find(|word| !["reset", "xml", "json"].iter().any(|w| is(word, w)))
    {
        return Err(format!("unknown argument `{word}'"));
    }
    let all: Vec<_> = accounts.iter().filter(|(name, _)| wanted(name)).collect();
    let mut out = String::new();
    if words.iter().any(|word| is(word, "json")) {
        json(&mut out, &all);
    } else if words.iter().any(|word| is(word, "xml")) {
        out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<nfacct>\n");
        for (name, account) in all {
            let (packets, bytes) = (account.packets, account.bytes);
            let _ = writeln!(
                out,
                "<obj><name>{name}</name><pkts>{packets:020}</pkts><bytes>{bytes:020}</bytes></obj>"
            );
        }
        out.push_str("</nfacct>\n");
    } else {
        all.iter().for_each(|(name, account)| nfacct::print(&mut out, name, account));
    }
    if words.iter().any(|word| is(word, "reset")) {
        for (_, account) in accounts.iter_mut().filter(|(name, _)| wanted(name)) {
            (account.packets, account.bytes) = (0, 0);
            account.quota.iter_mut().for_each(|quota| quota.reached = false);
        }
    }
    Ok(out)
}

fn json(out: &mut String, all: &[(&str, &Account)]) {
    let now = SystemClock::start().now().0 / 1_000_000_000;
    let _ = write!(out, "{{ \"timestamp\" : {now}, \n  \"nfacct_counters\" : [\n");
    for (at, (name, account)) in all.iter().enumerate() {
        let _ = write!(out, "  {{ \"pkts\" : {}, \"bytes\" : {}, ", account.packets, account.bytes);
        if let Some(quota) = account.quota {
            let unit = if quota.unit == Unit::Bytes { "byte" } else { "packet" };
            let _ = write!(
                out,
                "\"quota\" : {}, \"mode\" = \"{unit}\", \"overquota\" = {}, ",
                quota.most,
                u8::from(quota.reached)
            );
        }
        let comma = if at + 1 < all.len() { "," } else { "" };
        let _ = writeln!(out, "\"name\" : \"{name}\" }}{comma}");
    }
    out.push_str("] }\n");
}

/// The objects that rules of the store name.
fn in_use(store: &Store) -> io::Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for (file, family) in FILES {
        // Rules that cannot be read name nothing here; their own commands tell of them.
        if let Ok(ruleset) = iptables_save::parse(&store.read(file)?, family) {
            used.extend(ruleset.needs().accounts.into_iter().map(|one| one.name.into()));
        }
    }
    Ok(used)
}
