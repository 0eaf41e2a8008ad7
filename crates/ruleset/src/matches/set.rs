//! `set`: whether the packet is in a set of ipset(8). The sets are the engine's
//! ([`crate::sets::ipset`]); the rule holds a name, `src` or `dst` for each part of an element, and
//! what is asked of the element's counters. Shared with the `SET` target.
//!
//! A set with more parts than the rule gives, or of the other family, holds no packet. A packet is
//! counted at the element that it is in before the counters are compared.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued, values};
use crate::matches::Match;
use crate::needs::{Needs, SetUse};
use crate::packet_set::PacketSet;
use crate::sets::ipset::NAME_MAX;
use crate::sets::ipset::packet::{Asked, Compare, DIRECTIONS_MAX, Directions, Fields};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;

const MATCH_SET: u8 = 0;
const RETURN_NOMATCH: u8 = 1;
const UPDATE_COUNTERS: u8 = 2;
const UPDATE_SUBCOUNTERS: u8 = 3;
const PACKETS_EQ: u8 = 4;
const PACKETS_LT: u8 = 5;
const PACKETS_GT: u8 = 6;
const BYTES_EQ: u8 = 7;
const BYTES_LT: u8 = 8;
const BYTES_GT: u8 = 9;
const OPTIONS: &[OptionSpec] = &[
    valued("match-set", MATCH_SET).pair().inverted(),
    valued("set", MATCH_SET).pair().inverted(),
    flag("return-nomatch", RETURN_NOMATCH),
    flag("update-counters", UPDATE_COUNTERS).inverted(),
    flag("update-subcounters", UPDATE_SUBCOUNTERS).inverted(),
    valued("packets-eq", PACKETS_EQ).inverted(),
    valued("packets-lt", PACKETS_LT),
    valued("packets-gt", PACKETS_GT),
    valued("bytes-eq", BYTES_EQ).inverted(),
    valued("bytes-lt", BYTES_LT),
    valued("bytes-gt", BYTES_GT),
];

const MANUAL: &str = "\
# set

Whether addresses, ports, hardware addresses or interfaces of the packet are in a set of ipset(8): one rule
for any number of them.

`! --match-set NAME FLAG[,FLAG...]`
: The set, and for each part of its elements `src` or `dst`, up to six: `src,dst` on a `hash:ip,port`
  is the source address and the destination port. A set with more parts than flags holds no packet; flags
  that are too many are not looked at. In a list of sets, those with more parts are passed over. `--set` is
  an older name of it.

`--return-nomatch`
: Of a set with exceptions (`nomatch`): the exceptions match, and what else is in the set does not.

`! --update-counters`
: Packets are not counted at the element that they are in.

`! --update-subcounters`
: With a list of sets: not at the element of the set in the list.

`! --packets-eq N`, `--packets-lt N`, `--packets-gt N`
: In addition, so many packets were counted at the element, this one among them; fewer; or more.

`! --bytes-eq N`, `--bytes-lt N`, `--bytes-gt N`
: The same for bytes.

    ipset create bad hash:net
    ipset add bad 192.0.2.0/24
    iptables -A INPUT -m set --match-set bad src -j DROP

What is asked of counters holds for every element of a set without counters. The set has to be there before
the rule is.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "set",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// A set as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What the rule says of it, and where.
    pub used: SetUse,
    /// Where the parts of an element are taken from.
    pub directions: Directions,
}

impl Named {
    /// Of an option with two values.
    pub fn parse(arguments: &mut Arguments<'_>, given: &Given) -> Option<Self> {
        let (name, flags) = (&given.value, &given.second);
        if name.len() > NAME_MAX {
            let text = format!("the name of the set is longer than {NAME_MAX} bytes");
            arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
            return None;
        }
        let words: Vec<&str> = flags.split(',').collect();
        if words.len() > DIRECTIONS_MAX {
            let text = format!("more than {DIRECTIONS_MAX} of `src` and `dst`");
            arguments.fault(Diagnostic::new(code::BAD_VALUE, given.second_span, text));
            return None;
        }
        let mut directions = Directions::default();
        for word in words {
            match word {
                "src" => directions.sources |= 1 << directions.count,
                "dst" => {}
                _ => {
                    arguments.unknown_word(
                        word,
                        given.second_span,
                        "`src` or `dst`",
                        ["src", "dst"].into_iter(),
                    );
                    return None;
                }
            }
            directions.count += 1;
        }
        let used =
            SetUse { name: name.as_str().into(), family: arguments.family, span: given.value_span };
        Some(Self { used, directions })
    }

    /// Appends ` NAME FLAGS`.
    pub fn print(&self, out: &mut String) {
        let _ = write!(out, " {} {}", self.used.name, self.flags());
    }

    fn flags(&self) -> String {
        let source = |at: u8| self.directions.sources >> at & 1 != 0;
        let words: Vec<_> =
            (0..self.directions.count).map(|at| if source(at) { "src" } else { "dst" }).collect();
        words.join(",")
    }

    /// In words: `source, destination`.
    #[must_use]
    pub fn ends(&self) -> String {
        self.flags().replace("src", "source").replace("dst", "destination").replace(',', ", ")
    }

    /// The number of the set; `memory` keeps it from the first packet on.
    #[inline]
    pub fn number(&self, traversal: &Traversal<'_>, memory: &mut u64) -> Option<u32> {
        // 1: not looked for yet; else the number and 2.
        if *memory < KEPT {
            *memory = KEPT + u64::from(traversal.stores.sets.find(&self.used.name)?);
        }
        u32::try_from(*memory - KEPT).ok()
    }
}

/// What the memory of a rule that names a set begins with.
pub const UNKNOWN_YET: State = State { credit: 1, last: keepstate_packet::Instant(0) };
const KEPT: u64 = 2;

/// An instance.
#[derive(Debug)]
pub struct SetMatch {
    named: Named,
    inverted: bool,
    asked: Asked,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(MATCH_SET)?;
    for group in [[PACKETS_EQ, PACKETS_LT, PACKETS_GT], [BYTES_EQ, BYTES_LT, BYTES_GT]] {
        if group.iter().any(|id| arguments.option(*id).is_some()) {
            arguments.exclusive(&group)?;
        }
    }
    let named = Named::parse(arguments, given)?;
    let kept = |id| arguments.option(id).is_some_and(|given| given.inverted);
    let asked = Asked {
        directions: named.directions,
        return_nomatch: arguments.option(RETURN_NOMATCH).is_some(),
        keep_counters: kept(UPDATE_COUNTERS),
        keep_subcounters: kept(UPDATE_SUBCOUNTERS),
        packets: compare(arguments, [PACKETS_EQ, PACKETS_LT, PACKETS_GT])?,
        bytes: compare(arguments, [BYTES_EQ, BYTES_LT, BYTES_GT])?,
    };
    Some(Box::new(SetMatch { named, inverted: given.inverted, asked }))
}

fn compare(arguments: &mut Arguments<'_>, [eq, lt, gt]: [u8; 3]) -> Option<Compare> {
    let given = arguments.option(eq).or(arguments.option(lt)).or(arguments.option(gt));
    let Some(given) = given else { return Some(Compare::Any) };
    let value = arguments.number(given, u64::MAX)?;
    Some(match given.option.id {
        id if id == lt => Compare::Lt(value),
        id if id == gt => Compare::Gt(value),
        _ if given.inverted => Compare::Ne(value),
        _ => Compare::Eq(value),
    })
}

/// The word of a comparison, whether it is inverted, and its value.
const fn compared(compare: Compare) -> Option<(&'static str, bool, u64)> {
    match compare {
        Compare::Any => None,
        Compare::Eq(value) => Some(("eq", false, value)),
        Compare::Ne(value) => Some(("eq", true, value)),
        Compare::Lt(value) => Some(("lt", false, value)),
        Compare::Gt(value) => Some(("gt", false, value)),
    }
}

impl SetMatch {
    /// Its options behind the set, each with `dashes` before its name.
    fn write(&self, out: &mut String, dashes: &str) {
        let flags = [
            (self.asked.return_nomatch, "", "return-nomatch"),
            (self.asked.keep_counters, "! ", "update-counters"),
            (self.asked.keep_subcounters, "! ", "update-subcounters"),
        ];
        for (_, not, name) in flags.into_iter().filter(|(given, ..)| *given) {
            let _ = write!(out, " {not}{dashes}{name}");
        }
        for (what, compare) in [("packets", self.asked.packets), ("bytes", self.asked.bytes)] {
            if let Some((how, inverted, value)) = compared(compare) {
                let not = either(inverted, "", "! ");
                let _ = write!(out, " {not}{dashes}{what}-{how} {value}");
            }
        }
    }
}

impl Match for SetMatch {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let Some(number) = self.named.number(traversal, &mut state.credit) else {
            return Answer::Unknown;
        };
        let fields = Fields::of(traversal);
        let found = traversal.stores.sets.test_packet(number, &fields, &self.asked, traversal.now);
        (found.is_some() != self.inverted).into()
    }

    fn initial(&self) -> State {
        UNKNOWN_YET
    }

    fn need(&self, needs: &mut Needs) {
        needs.sets.push(self.named.used.clone());
    }

    fn print(&self, out: &mut String) {
        values::print_option(out, self.inverted, "match-set");
        self.named.print(out);
        self.write(out, "--");
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(either(self.inverted, " match-set", " ! match-set"));
        self.named.print(out);
        self.write(out, "");
    }

    fn fact(&self) -> &'static str {
        "what the set holds (--ipset FILE, as `ipset save` prints it)"
    }

    fn packet_set(&self) -> PacketSet {
        // Counters go on with every packet.
        match (self.asked.packets, self.asked.bytes) != (Compare::Any, Compare::Any) {
            true => PacketSet::Opaque,
            false => PacketSet::named(self),
        }
    }

    fn explain(&self, out: &mut Pieces) {
        let name = &self.named.used.name;
        let verb = either(self.inverted, "is", "is not");
        out.push(Piece::Condition(format!(
            "it {verb} in the set `{name}`, looked up by its {}",
            self.named.ends()
        )));
        for (what, compare) in [("packets", self.asked.packets), ("bytes", self.asked.bytes)] {
            let text = match compare {
                Compare::Any => continue,
                Compare::Eq(value) => format!("{value} {what} were"),
                Compare::Ne(value) => format!("other than {value} {what} were"),
                Compare::Lt(value) => format!("fewer than {value} {what} were"),
                Compare::Gt(value) => format!("more than {value} {what} were"),
            };
            out.push(Piece::Note(format!(
                "The element counts only when {text} counted at it, this packet among them; without \
                 counters in the set it always does."
            )));
        }
        if self.asked.return_nomatch {
            out.push(Piece::Note(
                "Of the set it is the exceptions (nomatch) that match, and not the rest.".into(),
            ));
        }
        if self.asked.keep_counters {
            out.push(Piece::Note("Packets are not counted in the set.".into()));
        } else if self.asked.keep_subcounters {
            out.push(Piece::Note(
                "In a list of sets, packets are counted at the list alone.".into(),
            ));
        }
        out.push(Piece::Note(
            "What is in the set stands in no rule: `ipset list` tells. A set whose elements have more \
             parts than the rule gives holds no packet."
                .into(),
        ));
    }
}
