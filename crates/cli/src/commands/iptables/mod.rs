//! `iptables`, `iptables-save`, `iptables-restore`, likewise of ip6tables, arptables and ebtables, by link
//! name or as a verb:
//! the rule store in the place of the kernel. What the words mean and what is printed is the rule
//! set's business ([`keepstate_ruleset::kept`]).

mod kernel;
mod restore;
mod save;
mod xml;

use crate::{
    exit::Exit,
    store::{LockError, Locked, STORE_OPTION, Store, Wait},
    terminal::Terminal,
};
use keepstate_datapath::clock::SystemClock;
use keepstate_packet::Family;
use keepstate_ruleset::{
    kept::{self, Kept, Refusal, VERSION, Variant},
    labels::LabelNames,
    model::{NfProto, Span},
    needs::EstimatorsMade,
    syntax::iptables_save::{self, words::Word},
};
use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

const HELP: &str = "Before the words of iptables(8), iptables-save(8) or iptables-restore(8):\n  \
    --rule-store DIR  the rule store; else KEEPSTATE_RULE_STORE=DIR in the environment, else\n                    \
    $XDG_STATE_HOME/keepstate/rules or ~/.local/state/keepstate/rules\n  \
    --kernel          hand everything to this machine's own tool of that name instead\n\n\
    A link to this program called iptables, ip6tables, iptables-save, iptables-restore, ... (also\n\
    with -nft or -legacy behind iptables), arptables, ebtables, ... is that command.";

// Arguments of `keepstate iptables`; what it does is said where the verbs are listed.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// The words of the real command, behind the options below
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// As what we were called.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// By this name.
    name: String,
    tool: Tool,
    family: NfProto,
    variant: Variant,
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Command,
    Save,
    Restore,
    /// A text to another: `iptables-xml` knows one name only.
    Xml,
}

impl Called {
    /// What a name stands for; `None` for one that is none of iptables' own. `xtables-nft-multi` and
    /// `xtables-legacy-multi` take the name from the next word.
    pub(crate) fn of(name: &str, words: &[String]) -> Option<Self> {
        let multi = match name {
            "xtables-nft-multi" | "xtables-multi" => Some(Variant::Nft),
            "xtables-legacy-multi" => Some(Variant::Legacy),
            _ => None,
        };
        let (own, words) = match multi {
            Some(_) => {
                let (first, rest) = words.split_first()?;
                (first.as_str(), rest)
            }
            None => (name, words),
        };
        let own = match own {
            "main4" => "iptables",
            "save4" => "iptables-save",
            "restore4" => "iptables-restore",
            "main6" => "ip6tables",
            "save6" => "ip6tables-save",
            "restore6" => "ip6tables-restore",
            own => own,
        };
        const FAMILIES: [NfProto; 4] =
            [NfProto::Ipv4, NfProto::Ipv6, NfProto::Arp, NfProto::Bridge];
        let of = |family: NfProto| Some((family, own.strip_prefix(family.tool())?));
        let (family, rest) = FAMILIES.into_iter().find_map(of)?;
        let frames = family.packets().is_none();
        let (variant, rest) = if let Some(rest) = rest.strip_prefix("-legacy") {
            if frames {
                // Those are programs of their own, with files of another form.
                return None;
            }
            (Variant::Legacy, rest)
        } else if let Some(rest) = rest.strip_prefix("-nft") {
            (Variant::Nft, rest)
        } else if frames {
            (Variant::Nft, rest)
        } else {
            (multi.unwrap_or(Variant::Nft), rest)
        };
        let tool = match rest {
            "" => Tool::Command,
            "-save" => Tool::Save,
            "-restore" => Tool::Restore,
            "-xml" if family == NfProto::Ipv4 => Tool::Xml,
            _ => return None,
        };
        Some(Self { name: own.to_owned(), tool, family, variant, words: words.to_vec() })
    }

    /// The name that the real tools give themselves in what they say.
    fn program(&self) -> &'static str {
        match (self.family, self.tool) {
            (family, Tool::Command) => family.tool(),
            (_, Tool::Xml) => "iptables-xml",
            (NfProto::Ipv4, Tool::Save) => "iptables-save",
            (NfProto::Ipv4, Tool::Restore) => "iptables-restore",
            (NfProto::Ipv6, Tool::Save) => "ip6tables-save",
            (NfProto::Ipv6, Tool::Restore) => "ip6tables-restore",
            (NfProto::Arp, Tool::Save) => "arptables-save",
            (NfProto::Arp, Tool::Restore) => "arptables-restore",
            (NfProto::Bridge, Tool::Save) => "ebtables-save",
            (NfProto::Bridge, Tool::Restore) => "ebtables-restore",
        }
    }

    /// The file of the store.
    const fn file(&self) -> &'static str {
        match (self.family, self.variant) {
            (NfProto::Ipv4, Variant::Legacy) => "iptables-legacy",
            (NfProto::Ipv6, Variant::Legacy) => "ip6tables-legacy",
            (family, _) => family.tool(),
        }
    }

    const fn variant_name(&self) -> &'static str {
        match self.variant {
            Variant::Nft => "nf_tables",
            Variant::Legacy => "legacy",
        }
    }

    fn version(&self) -> String {
        let v = if self.program() == "ebtables" { "" } else { "v" };
        format!("{} {v}{VERSION} ({})\n", self.program(), self.variant_name())
    }

    /// Takes our own options from the front.
    fn own_options(&mut self) -> Own {
        let mut own = Own::default();
        while let Some(word) = self.words.first() {
            if word == "--kernel" {
                own.kernel = true;
                self.words.remove(0);
            } else if word == STORE_OPTION && self.words.len() > 1 {
                own.store = Some(self.words.remove(1).into());
                self.words.remove(0);
            } else if let Some(path) = word.strip_prefix("--rule-store=") {
                own.store = Some(path.into());
                self.words.remove(0);
            } else {
                break;
            }
        }
        own
    }
}

/// Our own options.
#[derive(Debug, Default)]
struct Own {
    store: Option<PathBuf>,
    kernel: bool,
}

/// The verb.
pub(super) fn verb(name: &str, arguments: &Arguments, terminal: &Terminal) -> Exit {
    Called::of(name, &arguments.words).map_or(Exit::Usage, |called| run(called, terminal))
}

pub(crate) fn run(mut called: Called, terminal: &Terminal) -> Exit {
    let own = called.own_options();
    if own.kernel {
        return kernel::run(&called.name, &called.words, terminal);
    }
    let store = match Store::locate(own.store.as_deref()) {
        Ok(store) => store,
        Err(error) => {
            terminal.error(error);
            return Exit::Familiar(1);
        }
    };
    let result = match called.tool {
        Tool::Command => command(&called, &store),
        Tool::Save => save::run(&called, &store),
        Tool::Restore => restore::run(&called, &store),
        Tool::Xml => xml::run(&called.words),
    };
    match result {
        Ok(status) => Exit::Familiar(status),
        Err(error) => {
            terminal.error(error);
            Exit::Familiar(1)
        }
    }
}

/// `iptables` itself.
fn command(called: &Called, store: &Store) -> io::Result<u8> {
    let (source, words) = line_of(called.program(), &called.words);
    let refused = |refusal: &Refusal| {
        let place = ("command", source.as_str());
        eprint!("{}", refusal.text(called.program(), called.variant, None, place));
        refusal.status
    };
    let asked = match kept::ask(&words, &source, called.family, called.variant) {
        Ok(asked) => asked,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    if asked.is_version() {
        print(&called.version());
        return Ok(0);
    }
    if asked.is_help() {
        print(&help(called, asked.manuals()));
        return Ok(0);
    }
    eprint!("{}", asked.warnings());
    let labels = label_names();
    if !asked.changes() {
        warn_of_legacy(called, store)?;
        let mut kept = load_with_others(called, store, &source)?;
        return Ok(match kept.apply(&asked, &labels, true) {
            Ok(out) => {
                print(&out);
                0
            }
            Err(refusal) => refused(&refusal),
        });
    }
    let locked = match lock(called, store, asked.wait())? {
        Ok(locked) => locked,
        Err(status) => return Ok(status),
    };
    let mut kept = load_with_others(called, locked.store(), &source)?;
    match kept.apply(&asked, &labels, true) {
        Ok(out) => {
            locked.write(called.file(), &kept.text())?;
            print(&out);
            Ok(0)
        }
        Err(refusal) => Ok(refused(&refusal)),
    }
}

/// The tables of the store.
fn load(called: &Called, store: &Store) -> io::Result<Kept> {
    let text = store.read(called.file())?;
    Kept::read(&text, called.family, called.variant).map_err(|line| {
        io::Error::other(format!("line {line} of `{}` in the rule store is damaged", called.file()))
    })
}

/// The same, with the sets, accounting objects and rate estimators of the store where the text of commands
/// may name some.
fn load_with_others(called: &Called, store: &Store, text: &str) -> io::Result<Kept> {
    let mut kept = load(called, store)?;
    if text.split_whitespace().any(|word| word.ends_with("set") || word.ends_with("SET")) {
        kept = kept.with_sets(super::ipset::read(store, SystemClock::start().now())?);
    }
    if text.contains("nfacct") {
        kept = kept.with_accounts(super::nfacct::read(store)?);
    }
    if ["rateest", "RATEEST"].iter().any(|name| text.contains(name)) {
        kept = kept.with_estimators(estimators(store)?);
    }
    Ok(kept)
}

/// The rate estimators that rules of the store make or ask.
fn estimators(store: &Store) -> io::Result<EstimatorsMade> {
    let mut made = EstimatorsMade::default();
    for (file, family) in FILES {
        // Rules that cannot be read make nothing here; their own commands tell of them.
        if let Ok(ruleset) = iptables_save::parse(&store.read(file)?, family) {
            ruleset.needs().estimators.iter().for_each(|used| made.know(used));
        }
    }
    Ok(made)
}

/// The files of the store that hold rules.
pub(super) const FILES: [(&str, Family); 4] = [
    ("iptables", Family::V4),
    ("ip6tables", Family::V6),
    ("iptables-legacy", Family::V4),
    ("ip6tables-legacy", Family::V6),
];

/// Takes the lock as the variant does: the legacy one waits only when told to.
fn lock<'a>(
    called: &Called,
    store: &'a Store,
    wait: Option<Option<Duration>>,
) -> io::Result<Result<Locked<'a>, u8>> {
    let patience = match (wait, called.variant) {
        (Some(Some(time)), _) => Wait::AtMost(time),
        (Some(None), _) | (None, Variant::Nft) => Wait::Forever,
        (None, Variant::Legacy) => Wait::No,
    };
    match store.lock(patience) {
        Ok(locked) => Ok(Ok(locked)),
        Err(LockError::Io(error)) => Err(error),
        Err(LockError::Held) => {
            let text = match patience {
                Wait::AtMost(time) => format!("Stopped waiting after {}s.", time.as_secs()),
                _ => "Perhaps you want to use the -w option?".to_owned(),
            };
            eprintln!("Another app is currently holding the xtables lock. {text}");
            Ok(Err(4))
        }
    }
}

/// What the nft variant says where the other one has tables as well.
fn warn_of_legacy(called: &Called, store: &Store) -> io::Result<()> {
    if called.family.packets().is_none() {
        return Ok(());
    }
    let other = Called { variant: Variant::Legacy, ..called.clone() };
    if called.variant == Variant::Nft && !store.read(other.file())?.is_empty() {
        let name = called.family.tool();
        let after = if called.tool == Tool::Save { "-save" } else { "" };
        eprintln!("# Warning: {name}-legacy tables present, use {name}-legacy{after} to see them");
    }
    Ok(())
}

/// The words as a line, and where each stands in it.
fn line_of(program: &str, words: &[String]) -> (String, Vec<Word>) {
    let mut line = program.to_owned();
    let mut placed = Vec::with_capacity(words.len());
    for word in words {
        line.push(' ');
        let start = line.len() as u32;
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
        if !word.is_empty() && word.bytes().all(plain) {
            line.push_str(word);
        } else {
            line.push('\'');
            line.push_str(&word.replace(['\n', '\r'], " "));
            line.push('\'');
        }
        let span = Span { start, end: line.len() as u32 };
        placed.push(Word { text: word.clone(), span, quoted: false });
    }
    (line, placed)
}

/// The names of labels, where the real tool has them.
fn label_names() -> LabelNames {
    let text = std::fs::read_to_string("/etc/xtables/connlabel.conf");
    text.map_or_else(|_| LabelNames::default(), |text| LabelNames::parse(&text))
}

/// Whoever reads our output has seen enough when this fails.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn help(called: &Called, manuals: impl Iterator<Item = &'static str>) -> String {
    let name = called.program();
    if called.family.packets().is_none() {
        return frames_help(called, manuals);
    }
    let mut out = format!(
        "{}\nUsage: {name} [-t TABLE] COMMAND [RULE] [OPTION...]\n\n\
         Commands:\n  \
         -A CHAIN RULE            append a rule\n  \
         -C CHAIN RULE            say whether there is such a rule\n  \
         -D CHAIN RULE|NUMBER     delete a rule\n  \
         -I CHAIN [NUMBER] RULE   insert a rule, at the head or before rule NUMBER\n  \
         -R CHAIN NUMBER RULE     replace a rule\n  \
         -L [CHAIN [NUMBER]]      list rules in columns (-v, -n, -x, --line-numbers)\n  \
         -S [CHAIN [NUMBER]]      print rules as commands (-v)\n  \
         -F [CHAIN]               delete all rules\n  \
         -Z [CHAIN [NUMBER]]      set counters to zero\n  \
         -N CHAIN                 make a chain\n  \
         -X [CHAIN]               delete an empty chain that no rule leads to, or all of them\n  \
         -E OLD NEW               rename a chain\n  \
         -P CHAIN ACCEPT|DROP     set the policy of a built-in chain\n  \
         -h, -V                   this help, with -m, -p or -j also theirs; the version\n\n\
         Rules:\n  \
         [!] -s ADDRESS[/MASK][,...]   [!] -d ADDRESS[/MASK][,...]   [!] -p PROTOCOL\n  \
         [!] -i INTERFACE[+]   [!] -o INTERFACE[+]   [!] -f (IPv4: further fragments)\n  \
         -m MATCH [its options]   -j TARGET [its options]   -g CHAIN   -c PACKETS BYTES\n\n\
         The long forms and the other options are those of iptables(8).\n\n{HELP}\n",
        called.version()
    );
    for manual in manuals {
        out.push('\n');
        out.push_str(manual.trim_end());
        out.push('\n');
    }
    out
}

/// The help of arptables and ebtables.
fn frames_help(called: &Called, manuals: impl Iterator<Item = &'static str>) -> String {
    let name = called.program();
    let (commands, rules) = match called.family {
        NfProto::Bridge => (
            "-A CHAIN RULE                 append a rule\n  \
             -C CHAIN [FROM[:TO]] N N      set counters of rules, packets and bytes; +N and -N change them\n  \
             --check CHAIN RULE            say whether there is such a rule\n  \
             -D CHAIN RULE|FROM[:TO]       delete a rule, or some by number\n  \
             -I CHAIN [NUMBER] RULE        insert a rule, at the head or before rule NUMBER\n  \
             -L [CHAIN]                    list rules (--Ln numbers, --Lc counters)\n  \
             -F [CHAIN]                    delete all rules\n  \
             -Z [CHAIN]                    set counters to zero\n  \
             -N CHAIN [-P POLICY]          make a chain\n  \
             -X [CHAIN]                    delete an empty chain that no rule leads to, or all of them\n  \
             -E OLD NEW                    rename a chain\n  \
             -P CHAIN ACCEPT|DROP|RETURN   set the policy of a chain\n  \
             --init-table                  empty the table\n  \
             -h, -V                        this help; the version",
            "[!] -p PROTOCOL   [!] -s ADDRESS[/MASK]   [!] -d ADDRESS[/MASK]\n  \
             [!] -i PORT[+]   [!] -o PORT[+]   [!] --logical-in BRIDGE[+]   [!] --logical-out BRIDGE[+]\n  \
             options of matches   -j TARGET [its options]   -c PACKETS BYTES",
        ),
        _ => (
            "-A CHAIN RULE            append a rule\n  \
             -C CHAIN RULE            say whether there is such a rule\n  \
             -D CHAIN RULE|NUMBER     delete a rule\n  \
             -I CHAIN [NUMBER] RULE   insert a rule, at the head or before rule NUMBER\n  \
             -R CHAIN NUMBER RULE     replace a rule\n  \
             -L [CHAIN [NUMBER]]      list rules (-v, -n, --line-numbers)\n  \
             -S [CHAIN [NUMBER]]      print rules as commands\n  \
             -F [CHAIN]               delete all rules\n  \
             -Z [CHAIN [NUMBER]]      set counters to zero\n  \
             -N CHAIN                 make a chain\n  \
             -X [CHAIN]               delete an empty chain that no rule leads to, or all of them\n  \
             -E OLD NEW               rename a chain\n  \
             -P CHAIN ACCEPT|DROP     set the policy of a built-in chain\n  \
             -h, -V                   this help, with -j also the target's; the version",
            "[!] -s ADDRESS[/MASK]   [!] -d ADDRESS[/MASK]   [!] -i INTERFACE[+]   [!] -o INTERFACE[+]\n  \
             [!] --source-mac ADDRESS[/MASK]   [!] --destination-mac ADDRESS[/MASK]\n  \
             [!] --opcode N[/MASK]   [!] --h-type N[/MASK]   [!] --proto-type N[/MASK]   [!] -l 6\n  \
             -j TARGET [its options]   -c PACKETS BYTES",
        ),
    };
    let mut out = format!(
        "{}\nUsage: {name} [-t TABLE] COMMAND [RULE] [OPTION...]\n\nCommands:\n  {commands}\n\n\
         Rules:\n  {rules}\n\n\
         The long forms and the other options are those of {name}(8).\n\n{HELP}\n",
        called.version()
    );
    for manual in manuals {
        out.push('\n');
        out.push_str(manual.trim_end());
        out.push('\n');
    }
    out
}
