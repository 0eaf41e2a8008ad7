//! `LED`: fires a trigger that a lamp of the machine can be bound to. Nothing happens to the packet.
//!
//! Read and printed by the suite and by what iptables says of a rule before the kernel is asked; kernels
//! without lamps do not have it.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued, values};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const ID: u8 = 0;
const DELAY: u8 = 1;
const BLINK: u8 = 2;
const OPTIONS: &[OptionSpec] =
    &[valued("led-trigger-id", ID), valued("led-delay", DELAY), flag("led-always-blink", BLINK)];

const MANUAL: &str = "\
# LED

Makes a trigger for lamps, `netfilter-NAME`, fires it with each packet, and goes on with the next rule. A lamp is
bound to it by `echo netfilter-NAME > /sys/class/leds/LAMP/trigger`. It decides nothing; `keepstate` has no lamps.

`--led-trigger-id NAME`
: The name, of at most 16 bytes. Needed.

`--led-delay MILLISECONDS|inf`
: How long the lamp stays on: 0 (the default) up to 4294967294, or for ever.

`--led-always-blink`
: Lets it blink with each packet even while it is on.

    -A INPUT -p tcp --dport 22 -j LED --led-trigger-id ssh --led-delay 1000
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "LED",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest name in bytes.
const ID_MAX: usize = 16;
/// For ever.
const INFINITE: u32 = u32::MAX;

/// An instance.
#[derive(Debug)]
pub struct Led {
    /// Name behind `netfilter-`.
    pub id: String,
    /// Milliseconds; all ones: for ever.
    pub delay: u32,
    /// `--led-always-blink`.
    pub always_blink: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let id = arguments.required(ID)?;
    if id.value.len() > ID_MAX {
        arguments.bad_value(id, "a name of at most 16 bytes");
        return None;
    }
    let delay = match arguments.option(DELAY) {
        None => 0,
        Some(given) if given.value.eq_ignore_ascii_case("inf") => INFINITE,
        Some(given) => {
            let delay = values::number(&given.value, INFINITE.into());
            let Some(delay) = delay.and_then(|delay| u32::try_from(delay).ok()) else {
                arguments.bad_value(given, "a number of milliseconds (0 to 4294967295) or `inf`");
                return None;
            };
            delay
        }
    };
    let always_blink = arguments.option(BLINK).is_some();
    Some(Box::new(Led { id: id.value.clone(), delay, always_blink }))
}

impl Target for Led {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, _: &mut Traversal<'_>, _: &mut State) -> Step {
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --led-trigger-id \"");
        for c in self.id.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
        let _ = match self.delay {
            0 => Ok(()),
            INFINITE => write!(out, " --led-delay inf"),
            delay => write!(out, " --led-delay {delay}"),
        };
        if self.always_blink {
            out.push_str(" --led-always-blink");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " led-trigger-id:\"{}\"", self.id);
        let _ = match self.delay {
            INFINITE => write!(out, " led-delay:inf"),
            delay => write!(out, " led-delay:{delay}ms"),
        };
        if self.always_blink {
            out.push_str(" led-always-blink");
        }
    }

    fn explain(&self, out: &mut Pieces) {
        let until = match self.delay {
            INFINITE => String::from("for good"),
            delay => format!("for {delay} ms"),
        };
        out.push(Piece::Effect(format!(
            "turns the lamps on, {until}, that are bound to the trigger netfilter-{}, and goes on with \
             the next rule",
            self.id
        )));
        out.push(Piece::Note("It decides nothing, and keepstate has no lamps.".into()));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;
    use keepstate_packet::Family::V4;

    #[test]
    fn texts() {
        check(
            V4,
            "filter",
            "FORWARD",
            &[
                (
                    "-j LED --led-trigger-id foo --led-delay INF --led-always-blink",
                    "-j LED --led-trigger-id \"foo\" --led-delay inf --led-always-blink",
                    " led-trigger-id:\"foo\" led-delay:inf led-always-blink",
                    "=",
                ),
                (
                    "-j LED --led-trigger-id \"a b\"",
                    "=",
                    " led-trigger-id:\"a b\" led-delay:0ms",
                    "=",
                ),
                ("-j LED --led-trigger-id 12345678901234567", "", "", ""),
                ("-j LED --led-trigger-id foo --led-delay 4294967296", "", "", ""),
                ("-j LED --led-trigger-id foo --led-delay -1", "", "", ""),
                ("-j LED --led-delay 1", "", "", ""),
            ],
        );
    }
}
