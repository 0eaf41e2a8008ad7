//! `SET`: adds what `src` and `dst` say of the packet to a set of ipset(8), takes it out of one, or
//! sets mark, priority and queue of the packet to what a set has for it. The rest as in
//! [`crate::matches::set`]. A hash does not grow for a packet: where its bucket is full, nothing is
//! added. What is added is added with this packet counted.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued};
use crate::matches::set::{Named, UNKNOWN_YET};
use crate::model::TableName;
use crate::needs::Needs;
use crate::packet_set::Field;
use crate::sets::ipset::packet::{Asked, Deed, Fields};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::Hook;

const ADD: u8 = 0;
const DEL: u8 = 1;
const MAP: u8 = 2;
const TIMEOUT: u8 = 3;
const EXIST: u8 = 4;
const MAP_MARK: u8 = 5;
const MAP_PRIO: u8 = 6;
const MAP_QUEUE: u8 = 7;
const OPTIONS: &[OptionSpec] = &[
    // A `!` before these two is read and means nothing.
    valued("add-set", ADD).pair().inverted(),
    valued("del-set", DEL).pair().inverted(),
    valued("map-set", MAP).pair(),
    valued("timeout", TIMEOUT),
    flag("exist", EXIST),
    flag("map-mark", MAP_MARK),
    flag("map-prio", MAP_PRIO),
    flag("map-queue", MAP_QUEUE),
];

const MANUAL: &str = "\
# SET

Puts parts of the packet into a set of ipset(8), or takes them out, and goes on with the next rule; or gives
the packet the mark, priority or queue that a set has for it.

`--add-set NAME FLAG[,FLAG...]`
: Adds an element: `src` or `dst` for each of its parts, as with the match `set`. Where networks are kept,
  the network of the longest prefix that the set has.

`--timeout SECONDS`
: How long what is added stays, 0 to 4294967294 and 0 for ever; without it, as the set says.

`--exist`
: What is in the set already begins anew: its timeout, and its counters.

`--del-set NAME FLAG[,FLAG...]`
: Takes the element out.

`--map-set NAME FLAG[,FLAG...]`
: Looks the packet up in a set with `skbinfo`; in table mangle only, with one at least of these:

`--map-mark`, `--map-prio`, `--map-queue`
: Sets the packet's mark (under its mask), its priority, its hardware queue; the latter two from FORWARD,
  OUTPUT and POSTROUTING.

    ipset create seen hash:ip timeout 600
    iptables -A INPUT -p tcp --dport 23 -j SET --add-set seen src --exist

A set that is full takes nothing more, and neither does a hash whose bucket is full: it grows by commands
only. Nothing tells of it.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "SET",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// What of the packet is set to what a set has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mapped {
    mark: bool,
    priority: bool,
    queue: bool,
}

/// An instance.
#[derive(Debug)]
pub struct SetTarget {
    add: Option<Named>,
    timeout: Option<u32>,
    exist: bool,
    del: Option<Named>,
    map: Option<Named>,
    mapped: Mapped,
}

/// Most seconds of `--timeout`: one more stands for none.
const TIMEOUT_MAX: u64 = u32::MAX as u64 - 1;

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let mut named = |id| match arguments.option(id) {
        None => Some(None),
        Some(given) => Named::parse(arguments, given).map(Some),
    };
    let (add, del, map) = (named(ADD)?, named(DEL)?, named(MAP)?);
    if add.is_none() && del.is_none() && map.is_none() {
        let text = "`SET` needs one of `--add-set`, `--del-set`, `--map-set`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    }
    for id in [TIMEOUT, EXIST] {
        if let Some(given) = arguments.option(id)
            && add.is_none()
        {
            let text = format!("`--{}` goes with `--add-set`", given.option.name);
            arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, given.span, text));
            return None;
        }
    }
    let timeout = match arguments.option(TIMEOUT) {
        None => None,
        Some(given) => u32::try_from(arguments.number(given, TIMEOUT_MAX)?).ok(),
    };
    let mapped = mapped(arguments, map.is_some())?;
    let exist = arguments.option(EXIST).is_some();
    Some(Box::new(SetTarget { add, timeout, exist, del, map, mapped }))
}

/// What `--map-set` is for, and where it can stand.
fn mapped(arguments: &mut Arguments<'_>, map: bool) -> Option<Mapped> {
    const HOOKS: &[Hook] = &[Hook::Forward, Hook::Output, Hook::Postrouting];
    let given = |id| arguments.option(id).is_some();
    let mapped =
        Mapped { mark: given(MAP_MARK), priority: given(MAP_PRIO), queue: given(MAP_QUEUE) };
    let flags = [MAP_MARK, MAP_PRIO, MAP_QUEUE].map(|id| arguments.option(id));
    let first = flags.into_iter().flatten().next();
    match (map, first) {
        (false, None) => return Some(mapped),
        (false, Some(flag)) => {
            let text = format!("`--{}` goes with `--map-set`", flag.option.name);
            arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, flag.span, text));
            return None;
        }
        (true, None) => {
            let text = "`--map-set` needs one of `--map-mark`, `--map-prio`, `--map-queue`";
            arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
            return None;
        }
        (true, Some(_)) => {}
    }
    arguments.tables = &[TableName::Mangle];
    if mapped.priority || mapped.queue {
        arguments.hooks = HOOKS;
    }
    Some(mapped)
}

impl SetTarget {
    /// Its options, each with `dashes` before its name.
    fn write(&self, out: &mut String, dashes: &str) {
        if let Some(add) = &self.add {
            let _ = write!(out, " {dashes}add-set");
            add.print(out);
            if self.exist {
                let _ = write!(out, " {dashes}exist");
            }
            if let Some(timeout) = self.timeout {
                let _ = write!(out, " {dashes}timeout {timeout}");
            }
        }
        if let Some(del) = &self.del {
            let _ = write!(out, " {dashes}del-set");
            del.print(out);
        }
        if let Some(map) = &self.map {
            let _ = write!(out, " {dashes}map-set");
            map.print(out);
        }
        let flags = [
            (self.mapped.mark, "map-mark"),
            (self.mapped.priority, "map-prio"),
            (self.mapped.queue, "map-queue"),
        ];
        for (_, name) in flags.into_iter().filter(|(given, _)| *given) {
            let _ = write!(out, " {dashes}{name}");
        }
    }

    fn named(&self) -> impl Iterator<Item = &Named> {
        [&self.add, &self.del, &self.map].into_iter().flatten()
    }
}

impl Target for SetTarget {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Step {
        let fields = Fields::of(traversal);
        let now = traversal.now;
        // A rule mostly names one set, and keeps its number; where it names more, they are looked up.
        let single = self.named().count() == 1;
        let mut number = |traversal: &Traversal<'_>, named: &Named| {
            let mut spare = UNKNOWN_YET.credit;
            named.number(traversal, if single { &mut state.credit } else { &mut spare })
        };
        if let Some(add) = &self.add
            && let Some(number) = number(traversal, add)
        {
            let deed = Deed::Add { timeout: self.timeout, exist: self.exist };
            traversal.stores.sets.change_by_packet(number, &fields, add.directions, deed, now);
        }
        if let Some(del) = &self.del
            && let Some(number) = number(traversal, del)
        {
            traversal.stores.sets.change_by_packet(number, &fields, del.directions, Deed::Del, now);
        }
        if let Some(map) = &self.map
            && let Some(number) = number(traversal, map)
        {
            let asked = Asked { directions: map.directions, ..Asked::default() };
            let sets = &mut traversal.stores.sets;
            let found = sets.test_packet(number, &fields, &asked, now);
            if let Some(skbinfo) = found.and_then(|found| sets.skbinfo(found)) {
                if self.mapped.mark {
                    let (mark, mask) = skbinfo.mark;
                    traversal.mark = traversal.mark & !mask ^ mark;
                }
                if self.mapped.priority {
                    traversal.priority = skbinfo.priority;
                }
            }
        }
        Step::Continue
    }

    fn initial(&self) -> State {
        UNKNOWN_YET
    }

    fn need(&self, needs: &mut Needs) {
        needs.sets.extend(self.named().map(|named| named.used.clone()));
    }

    fn effect(&self) -> Effect {
        let mut writes = Vec::new();
        if self.map.is_some() && self.mapped.mark {
            writes.push(Change::any(Field::Mark));
        }
        if self.add.is_some() || self.del.is_some() {
            writes.push(Change::Asked("set"));
        }
        Effect::change(writes)
    }

    fn print(&self, out: &mut String) {
        self.write(out, "--");
    }

    fn list(&self, out: &mut String, _: bool) {
        self.write(out, "");
    }

    fn explain(&self, out: &mut Pieces) {
        let mut says: Vec<String> = Vec::new();
        if let Some(add) = &self.add {
            let how_long = match self.timeout {
                None => String::new(),
                Some(0) => String::from(" for ever"),
                Some(seconds) => format!(" for {seconds} seconds"),
            };
            says.push(format!("adds its {} to the set `{}`{how_long}", add.ends(), add.used.name));
        }
        if let Some(del) = &self.del {
            says.push(format!("takes its {} out of the set `{}`", del.ends(), del.used.name));
        }
        if let Some(map) = &self.map {
            let words = [
                (self.mapped.mark, "mark"),
                (self.mapped.priority, "priority"),
                (self.mapped.queue, "hardware queue"),
            ];
            let words: Vec<_> =
                words.into_iter().filter(|(given, _)| *given).map(|(_, word)| word).collect();
            says.push(format!(
                "sets its {} to what the set `{}` has for its {}",
                words.join(" and "),
                map.used.name,
                map.ends()
            ));
        }
        out.push(Piece::Effect(format!("{}, and goes on with the next rule", says.join(", "))));
        if self.add.is_some() {
            let again = if self.exist {
                "What is in the set already begins anew."
            } else {
                "What is in the set already stays as it is: its time is not prolonged (--exist would)."
            };
            out.push(Piece::Note(again.into()));
            out.push(Piece::Note(
                "Whoever can send packets with made-up addresses can fill the set: give it a timeout \
                 and a limit (maxelem)."
                    .into(),
            ));
        }
    }
}
