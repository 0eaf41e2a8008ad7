//! `limit`: so many frames in a time. The bucket is that of iptables' own `limit`.

use crate::evaluate::{State, Traversal};
use crate::explain::Pieces;
use crate::extension::{Arguments, Extension, OptionSpec, valued};
use crate::matches::{Match, limit};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};

const OPTIONS: &[OptionSpec] =
    &[valued("limit", limit::LIMIT).repeated(), valued("limit-burst", limit::BURST).repeated()];

const MANUAL: &str = "\
So many frames in a time, over a token bucket of the rule's own. Above that the rule does not match and
the frame goes on to the next one.

- `--limit N[/second|/minute|/hour|/day]`: the rate; 3/hour if not given, at most 10000/second. The unit
  may be shortened.
- `--limit-burst N`: how many may come at once after a pause; 5 if not given.

    ebtables -A FORWARD -d Broadcast --limit 100/second --limit-burst 200 -j ACCEPT

Mind: the allowance is one for all that reaches the rule. A rule that accepts up to the limit needs one
behind it that drops what is above. There is no `!`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "limit",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Limit(limit::Limit);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let before = arguments.faults.len();
    let read = limit::Limit::read(arguments);
    for fault in arguments.faults.iter_mut().skip(before) {
        let mut all = arguments.given.iter().rev();
        let Some(given) = all.find(|given| given.value_span == fault.span) else { continue };
        let value = &given.value;
        fault.says = Some(match given.option.id {
            limit::LIMIT if fault.text.contains("too fast") => {
                format!("Rate too fast \"{value}\"\n")
            }
            limit::LIMIT => format!("bad rate `{value}'"),
            _ => format!("bad --limit-burst `{value}'"),
        });
    }
    Some(Box::new(Limit(read?)))
}

impl Match for Limit {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn initial(&self) -> State {
        self.0.initial()
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        self.0.matches(traversal, state)
    }

    fn print(&self, out: &mut String) {
        self.0.print_whole(out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain(out);
    }
}
