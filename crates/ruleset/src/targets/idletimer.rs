//! `IDLETIMER`: starts a timer anew, which tells by a file of sysfs when no packet has come for so long.
//! Nothing happens to the packet, and there is no timer here.
//!
//! The kernel makes a file of the label: names that cannot be one are refused, and so is a time whose
//! milliseconds are more than 31 bits. A label is printed as it is, without quotes.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, flag, valued};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;

const TIMEOUT: u8 = 0;
const LABEL: u8 = 1;
const ALARM: u8 = 2;
const OPTIONS: &[OptionSpec] =
    &[valued("timeout", TIMEOUT), valued("label", LABEL), flag("alarm", ALARM)];

const MANUAL: &str = "\
# IDLETIMER

Starts a timer anew with each packet and goes on with the next rule. When no packet has come for so long, the
kernel tells programs that watch `/sys/class/xt_idletimer/timers/LABEL`: so a device finds out that an interface
is idle. It decides nothing; `keepstate` keeps no timer.

`--timeout SECONDS`
: How long, 1 to 2147482.

`--label NAME`
: The name of the timer, of at most 27 bytes (more are cut off); rules with the same name share it.

`--alarm`
: The timer runs while the device sleeps, too.

    -A OUTPUT -o wwan0 -j IDLETIMER --timeout 60 --label wwan0

The first two are needed.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "IDLETIMER",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest label in bytes.
const LABEL_MAX: usize = 27;
/// Longest time in seconds.
const TIMEOUT_MAX: u64 = i32::MAX as u64 / 1000 - 1;

/// An instance.
#[derive(Debug)]
pub struct IdleTimer {
    /// Seconds.
    pub timeout: u64,
    /// Name of the timer.
    pub label: String,
    /// `--alarm`.
    pub alarm: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let (timeout, label) = (arguments.required(TIMEOUT), arguments.required(LABEL));
    let (given, label) = (timeout?, label?);
    let timeout = arguments.number(given, u32::MAX.into())?;
    if !(1..=TIMEOUT_MAX).contains(&timeout) {
        let text = format!("a time of {timeout} s: the kernel takes 1 to {TIMEOUT_MAX}");
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    let label = label_of(arguments, label)?;
    let alarm = arguments.option(ALARM).is_some();
    Some(Box::new(IdleTimer { timeout, label, alarm }))
}

fn label_of(arguments: &mut Arguments<'_>, given: &Given) -> Option<String> {
    /// What every directory of sysfs has, or cannot have as a file.
    const TAKEN: [&str; 6] = ["", ".", "..", "power", "subsystem", "uevent"];
    let mut end = given.value.len().min(LABEL_MAX);
    while !given.value.is_char_boundary(end) {
        end -= 1;
    }
    let label = given.value.get(..end).unwrap_or("");
    if TAKEN.contains(&label) || label.contains('/') {
        let text =
            format!("`{label}` cannot be the name of a timer: the kernel makes a file of it");
        arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
        return None;
    }
    Some(label.into())
}

impl Target for IdleTimer {
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
        let alarm = if self.alarm { " --alarm" } else { "" };
        let _ = write!(out, " --timeout {} --label {}{alarm}", self.timeout, self.label);
    }

    fn list(&self, out: &mut String, _: bool) {
        let alarm = if self.alarm { " alarm" } else { "" };
        let _ = write!(out, " timeout:{} label:{}{alarm}", self.timeout, self.label);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(format!(
            "starts the timer `{}` anew, which tells when no packet has come for {} seconds, and goes on \
             with the next rule",
            self.label, self.timeout
        )));
        out.push(Piece::Note("It decides nothing, and keepstate keeps no timer.".into()));
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
                    "-j IDLETIMER --timeout 2147482 --label foo --alarm",
                    "=",
                    " timeout:2147482 label:foo alarm",
                    "=",
                ),
                (
                    "-j IDLETIMER --timeout 0x10 --label 1234567890123456789012345678",
                    "-j IDLETIMER --timeout 16 --label 123456789012345678901234567",
                    " timeout:16 label:123456789012345678901234567",
                    "=",
                ),
                ("-j IDLETIMER --timeout 2147483 --label foo", "", "", ""),
                ("-j IDLETIMER --timeout 0 --label foo", "", "", ""),
                ("-j IDLETIMER --timeout 1 --label power", "", "", ""),
                ("-j IDLETIMER --timeout 1 --label a/b", "", "", ""),
                ("-j IDLETIMER --timeout 1", "", "", ""),
                ("-j IDLETIMER --label foo", "", "", ""),
            ],
        );
    }
}
