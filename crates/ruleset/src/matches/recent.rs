//! `recent`: lists of addresses by name, with the times at which each was seen.
//!
//! Source: iptables-extensions(8), and `/proc/net/xt_recent` of Linux. Surprises: the mask of a list is
//! that of its first rule, whatever the others say, and serves the addresses of both families; a packet
//! on its way out has the TTL that it came with, one more than it has by then; `!` before `--update`
//! turns around when the time is noted too; seconds are multiplied by the ticks of a second in 32 bits,
//! so that 17179870 are as good as none; `--reap` takes out one address a packet, the one that was
//! noted least recently, when it is older than `--seconds`.
//!
//! A list holds 100 addresses (`ip_list_tot`); one more takes the place of the one that was noted least
//! recently.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{Named, Sender, State, Stores, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::verdict::Answer;
use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    format,
    string::String,
};
use core::fmt::Write;
use keepstate_packet::{Address, Family, Instant};

const SET: u8 = 0;
const RCHECK: u8 = 1;
const UPDATE: u8 = 2;
const REMOVE: u8 = 3;
const SECONDS: u8 = 4;
const REAP: u8 = 5;
const HITCOUNT: u8 = 6;
const RTTL: u8 = 7;
const NAME: u8 = 8;
/// Both, so that the last one counts.
const SIDE: u8 = 9;
const MASK: u8 = 10;
const OPTIONS: &[OptionSpec] = &[
    flag("set", SET).inverted(),
    flag("rcheck", RCHECK).inverted(),
    flag("update", UPDATE).inverted(),
    flag("remove", REMOVE).inverted(),
    valued("seconds", SECONDS),
    flag("reap", REAP),
    valued("hitcount", HITCOUNT),
    flag("rttl", RTTL),
    valued("name", NAME),
    flag("rsource", SIDE).repeated(),
    flag("rdest", SIDE).repeated(),
    valued("mask", MASK),
];

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "recent",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Its page.
const MANUAL: &str = "\
Keeps lists of addresses with the times at which each was noted, and asks about them. Use it for what \
depends on packets before this one: so many connections in a minute, a knock before a door opens.

One of these says what is done, with the packet's source unless `--rdest` says otherwise:

- `--set`: notes the address and the time; always matches.
- `--rcheck`: matches when the address is in the list.
- `--update`: the same, and where the rule matches the time is noted.
- `--remove`: matches when the address is in the list, and takes it out.

`!` before one turns the answer around. Further:

- `--seconds N`: with `--rcheck` and `--update`, only times of the last N seconds count.
- `--hitcount N`: only when at least N such times are noted, up to 65535.
- `--rttl`: only when the packet has the TTL of the one noted last, against forged sources.
- `--reap`: with `--seconds`, takes an older address out on the way.
- `--name NAME`: the list, `DEFAULT` without it. Rules with the same name share one, also between IPv4 \
and IPv6.
- `--rsource`, `--rdest`: whose address.
- `--mask MASK`: addresses that are alike in these bits are one. The mask of the list's first rule is the \
one that counts.

More than three new ssh connections of one source in a minute are dropped:

    -A INPUT -p tcp --syn --dport 22 -m recent --name ssh --update --seconds 60 --hitcount 4 -j DROP
    -A INPUT -p tcp --syn --dport 22 -m recent --name ssh --set -j ACCEPT

Mind that a list holds 100 addresses; whoever forges sources can push the others out, and with `--update` \
can lock an innocent address out.
";

/// Addresses in a list (`ip_list_tot`).
pub const ENTRIES_MAX: usize = 100;
/// Times kept of an address where no rule asks for more.
const STAMPS: usize = 32;
/// Most that a rule can ask for.
const HITCOUNT_MAX: u32 = 65_535;
/// Octets of a name; what is longer is cut, as by iptables.
const NAME_MAX: usize = 199;
/// Ticks of the kernel's clock in a second, and their length.
const TICKS: u32 = 250;
const NANOSECONDS_A_TICK: u64 = 1_000_000_000 / TICKS as u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Set,
    Check,
    Update,
    Remove,
}

/// An instance.
#[derive(Debug)]
pub struct Recent {
    family: Family,
    operation: Operation,
    inverted: bool,
    /// 0 for any time.
    seconds: u32,
    /// 0 for any number.
    hitcount: u32,
    reap: bool,
    ttl: bool,
    name: String,
    destination: bool,
    mask: [u8; 16],
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    const OPERATIONS: [u8; 4] = [SET, RCHECK, UPDATE, REMOVE];
    let given = arguments.given.iter().find(|given| OPERATIONS.contains(&given.option.id));
    let Some(given) = given else {
        let text = "`recent` needs one of --set, --rcheck, --update, --remove";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    };
    arguments.exclusive(&OPERATIONS)?;
    let operation = match given.option.id {
        SET => Operation::Set,
        RCHECK => Operation::Check,
        UPDATE => Operation::Update,
        _ => Operation::Remove,
    };
    if matches!(operation, Operation::Set | Operation::Remove) {
        only_for_questions(arguments, given)?;
    }
    let seconds = seconds(arguments)?;
    let one = Recent {
        family: arguments.family,
        operation,
        inverted: given.inverted,
        seconds,
        hitcount: hitcount(arguments)?,
        reap: reap(arguments, seconds)?,
        ttl: arguments.option(RTTL).is_some(),
        name: name(arguments)?,
        destination: arguments.option(SIDE).is_some_and(|given| given.option.name == "rdest"),
        mask: mask(arguments)?,
    };
    Some(Box::new(one))
}

/// What goes with `--rcheck` and `--update` only; the kernel refuses the rest.
fn only_for_questions(arguments: &mut Arguments<'_>, operation: &Given) -> Option<()> {
    let mut others = arguments.given.iter();
    let Some(other) = others.find(|given| [SECONDS, HITCOUNT, RTTL].contains(&given.option.id))
    else {
        return Some(());
    };
    if other.option.id == HITCOUNT && values::number(&other.value, u64::MAX) == Some(0) {
        return Some(());
    }
    let text = format!("`--{}` goes with --rcheck and --update only", other.option.name);
    let fault = Diagnostic::new(code::KERNEL_REFUSES, other.span, text);
    arguments.fault(fault.label(operation.span, "it is here"));
    None
}

fn seconds(arguments: &mut Arguments<'_>) -> Option<u32> {
    let Some(given) = arguments.option(SECONDS) else { return Some(0) };
    let found = values::number(&given.value, u32::MAX.into()).filter(|seconds| *seconds > 0);
    if found.is_none() {
        arguments.bad_value(given, "a number of seconds, at least 1");
    }
    u32::try_from(found?).ok()
}

fn hitcount(arguments: &mut Arguments<'_>) -> Option<u32> {
    let Some(given) = arguments.option(HITCOUNT) else { return Some(0) };
    let hits = arguments.number32(given)?;
    if hits > HITCOUNT_MAX {
        let text = format!("no more than {HITCOUNT_MAX} times are kept of an address");
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    Some(hits)
}

fn reap(arguments: &mut Arguments<'_>, seconds: u32) -> Option<bool> {
    let Some(given) = arguments.option(REAP) else { return Some(false) };
    if seconds == 0 {
        let text = "`--reap` needs `--seconds`: it takes out what is older";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, given.span, text));
        return None;
    }
    Some(true)
}

fn name(arguments: &mut Arguments<'_>) -> Option<String> {
    let Some(given) = arguments.option(NAME) else { return Some("DEFAULT".into()) };
    let name = given.value.as_str();
    if matches!(name, "" | "." | "..") || name.contains('/') {
        let text = format!("`{name}` cannot be the name of a file, and the list has one");
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    let end = (0..=NAME_MAX.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    Some(name.get(..end.unwrap_or(0)).unwrap_or(name).into())
}

fn mask(arguments: &mut Arguments<'_>) -> Option<[u8; 16]> {
    let Some(given) = arguments.option(MASK) else { return Some([u8::MAX; 16]) };
    let found = match arguments.family {
        Family::V4 => classful(&given.value),
        Family::V6 => values::address(&given.value, Family::V6),
    };
    if found.is_none() {
        arguments.bad_value(given, "a mask, such as 255.255.255.0 or ffff:ffff::");
    }
    found.map(|address| address.0)
}

/// An IPv4 address of one to four numbers as inet_aton(3) reads it: the last one fills what is left.
fn classful(text: &str) -> Option<Address> {
    let (head, last) =
        text.rsplit_once('.').map_or((None, text), |(head, last)| (Some(head), last));
    let mut bits = 0;
    let mut count = 0;
    for part in head.into_iter().flat_map(|head| head.split('.')) {
        bits = bits << 8 | values::number(part, 255)?;
        count += 1;
    }
    let left = 32_u32.checked_sub(8 * count).filter(|left| *left > 0)?;
    let last = values::number(last, (1 << left) - 1)?;
    Some(Address::v4(u32::try_from(bits << left | last).ok()?.to_be_bytes()))
}

type Key = (Family, [u8; 16]);

/// One list.
#[derive(Clone, Debug)]
pub struct List {
    mask: [u8; 16],
    stamps_max: usize,
    entries: BTreeMap<Key, Entry>,
    /// The addresses by when they were last noted.
    order: BTreeMap<u64, Key>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    ttl: u8,
    turn: u64,
    /// Ticks, the latest last.
    stamps: VecDeque<u64>,
}

impl Entry {
    fn last(&self) -> u64 {
        self.stamps.back().copied().unwrap_or(0)
    }
}

/// Whether a tick comes after another one, as the kernel compares them: in a circle.
const fn is_after(a: u64, b: u64) -> bool {
    (b.wrapping_sub(a)).cast_signed() < 0
}

impl List {
    const fn new(mask: [u8; 16]) -> Self {
        Self { mask, stamps_max: 0, entries: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// A rule asks for so many times of each address. Where that is more than before, the list is begun
    /// anew.
    fn want(&mut self, hitcount: u32) {
        let wanted = match hitcount {
            0 => STAMPS,
            hits => hits.next_power_of_two() as usize,
        };
        if wanted > self.stamps_max {
            self.stamps_max = wanted;
            self.entries.clear();
            self.order.clear();
        }
    }

    /// How many addresses it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.turn);
        }
    }

    /// Notes the time of an address.
    fn note(&mut self, key: Key, ttl: u8, now: u64) {
        if !self.entries.contains_key(&key) && self.entries.len() >= ENTRIES_MAX {
            let oldest = self.order.first_key_value().map(|(_, key)| *key);
            oldest.iter().for_each(|key| self.remove(key));
        }
        let turn = self.next;
        self.next = self.next.wrapping_add(1);
        let entry =
            self.entries.entry(key).or_insert_with(|| Entry { ttl, turn, stamps: VecDeque::new() });
        if entry.turn != turn {
            self.order.remove(&entry.turn);
        }
        (entry.ttl, entry.turn) = (ttl, turn);
        if entry.stamps.len() >= self.stamps_max.max(1) {
            entry.stamps.pop_front();
        }
        entry.stamps.push_back(now);
        self.order.insert(turn, key);
    }

    /// Takes out the address that was noted least recently, if that is before `since`; but not `kept`.
    fn reap(&mut self, since: u64, kept: Option<&Key>) {
        let Some((_, key)) = self.order.first_key_value() else { return };
        let key = *key;
        let last = self.entries.get(&key).map(Entry::last);
        if kept != Some(&key) && last.is_some_and(|last| is_after(since, last)) {
            self.remove(&key);
        }
    }
}

/// The lists, by name.
pub type Lists = Named<List>;

impl Recent {
    /// The place of its list, which is there from now on.
    fn place(&self, lists: &mut Lists) -> usize {
        let place = lists.declare(&self.name, || List::new(self.mask));
        if let Some(list) = lists.at_mut(place) {
            list.want(self.hitcount);
        }
        place
    }

    /// The TTL that the packet came with. One that leaves and is of no socket counts as forwarded, though the
    /// filter made it.
    fn ttl(traversal: &Traversal<'_>) -> u8 {
        let ttl = traversal.packet.ttl;
        let is_made = || matches!(traversal.host.sender(traversal.packet), Some(Sender::Nobody));
        let leaves = traversal.out_interface.is_some();
        let forwarded = leaves && (traversal.in_interface.is_some() || is_made());
        if forwarded { ttl.wrapping_add(1) } else { ttl }
    }

    fn key(&self, traversal: &Traversal<'_>, mask: [u8; 16]) -> Key {
        let packet = &*traversal.packet;
        let address = if self.destination { packet.destination } else { packet.source };
        let bits = u128::from_ne_bytes(address.0) & u128::from_ne_bytes(mask);
        (packet.family, bits.to_ne_bytes())
    }

    /// Asks the list and changes it; whether the rule matches.
    fn ask(&self, list: &mut List, key: Key, ttl: u8, now: Instant) -> bool {
        let now = now.0 / NANOSECONDS_A_TICK;
        let found = list.entries.get(&key).filter(|entry| {
            // A TTL of 0, asked for or noted, is like any other.
            let any = !self.ttl || ttl == 0 || entry.ttl == 0;
            any || entry.ttl == ttl
        });
        let Some(entry) = found else {
            if self.operation == Operation::Set {
                list.note(key, ttl, now);
            }
            return (self.operation == Operation::Set) != self.inverted;
        };
        match self.operation {
            Operation::Set => {
                list.note(key, ttl, now);
                !self.inverted
            }
            Operation::Remove => {
                list.remove(&key);
                !self.inverted
            }
            Operation::Check | Operation::Update => {
                let since = now.wrapping_sub(self.seconds.wrapping_mul(TICKS).into());
                let counts = |stamp: &&u64| self.seconds == 0 || !is_after(since, **stamp);
                let wanted = self.hitcount.max(1) as usize;
                let hits = entry.stamps.iter().rev().filter(counts).take(wanted).count();
                let matched = (hits >= wanted) != self.inverted;
                let noted = self.operation == Operation::Update && matched;
                if self.reap {
                    list.reap(since, noted.then_some(&key));
                }
                if noted {
                    list.note(key, ttl, now);
                }
                matched
            }
        }
    }
}

impl Match for Recent {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    /// The memory holds where the list is, once that is known: its place and 2.
    fn initial(&self) -> State {
        State { credit: 1, ..State::default() }
    }

    fn declare(&self, stores: &mut Stores, _: Family) {
        self.place(&mut stores.recent);
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let place = match state.credit.checked_sub(2) {
            Some(place) => place as usize,
            None => {
                let place = self.place(&mut traversal.stores.recent);
                state.credit = place as u64 + 2;
                place
            }
        };
        let Some(mask) = traversal.stores.recent.at(place).map(|list| list.mask) else {
            return Answer::No;
        };
        let (key, ttl) = (self.key(traversal, mask), Self::ttl(traversal));
        let Some(list) = traversal.stores.recent.at_mut(place) else { return Answer::No };
        self.ask(list, key, ttl, traversal.now).into()
    }

    fn print(&self, out: &mut String) {
        let operation = match self.operation {
            Operation::Set => "set",
            Operation::Check => "rcheck",
            Operation::Update => "update",
            Operation::Remove => "remove",
        };
        values::print_option(out, self.inverted, operation);
        if self.seconds != 0 {
            let _ = write!(out, " --seconds {}", self.seconds.cast_signed());
        }
        if self.reap {
            out.push_str(" --reap");
        }
        if self.hitcount != 0 {
            let _ = write!(out, " --hitcount {}", self.hitcount);
        }
        if self.ttl {
            out.push_str(" --rttl");
        }
        let side = if self.destination { "rdest" } else { "rsource" };
        let mask = Address(self.mask).written(self.family);
        let _ = write!(out, " --name {} --mask {mask} --{side}", self.name);
    }

    fn list(&self, out: &mut String, _: bool) {
        let not = if self.inverted { " !" } else { "" };
        let operation = match self.operation {
            Operation::Set => "SET",
            Operation::Check => "CHECK",
            Operation::Update => "UPDATE",
            Operation::Remove => "REMOVE",
        };
        let _ = write!(out, "{not} recent: {operation}");
        if self.seconds != 0 {
            let _ = write!(out, " seconds: {}", self.seconds.cast_signed());
        }
        if self.reap {
            out.push_str(" reap");
        }
        if self.hitcount != 0 {
            let _ = write!(out, " hit_count: {}", self.hitcount);
        }
        if self.ttl {
            out.push_str(" TTL-Match");
        }
        let side = if self.destination { "dest" } else { "source" };
        let mask = Address(self.mask).written(self.family);
        let _ = write!(out, " name: {} side: {side} mask: {mask}", self.name);
    }

    fn explain(&self, out: &mut Pieces) {
        let side = if self.destination { "destination" } else { "source" };
        let alike = if self.mask == [u8::MAX; 16] {
            String::new()
        } else {
            format!(" (in the bits of {})", Address(self.mask).written(self.family))
        };
        let whose = format!("its {side} address{alike}");
        let name = &self.name;
        let not = if self.inverted { "not " } else { "" };
        let question = || {
            let times = match self.hitcount {
                0 | 1 => String::new(),
                hits => format!(" at least {hits} times"),
            };
            let time = match self.seconds {
                0 => String::new(),
                seconds => format!(" in the last {seconds} seconds"),
            };
            let ttl = if self.ttl { " with the same TTL" } else { "" };
            format!("{whose} was {not}noted in the list `{name}`{times}{time}{ttl}")
        };
        out.push(Piece::Condition(match (self.operation, self.inverted) {
            (Operation::Set, false) => {
                format!("{whose} is noted in the list `{name}`, which always is so")
            }
            (Operation::Set, true) => {
                format!("{whose} could not be noted in the list `{name}`, which never is so")
            }
            (Operation::Check, _) => question(),
            (Operation::Update, _) => format!("{}; if so, it is noted again", question()),
            (Operation::Remove, _) => {
                format!("{whose} is {not}in the list `{name}`, out of which it is taken")
            }
        }));
        if self.reap {
            out.push(Piece::Note(
                "Each packet for which the address is found takes at most one address that is too old \
                 out of the list."
                    .into(),
            ));
        }
        out.push(Piece::Note(format!(
            "A list holds {ENTRIES_MAX} addresses, of IPv4 and IPv6 together; one more takes the place of \
             the one noted least recently. The mask of its first rule goes for all."
        )));
    }
}

#[cfg(test)]
mod tests;
