//! `CLASSIFY`: sets the packet's priority, which queueing disciplines take for the handle of a class.
//!
//! Numbers are hexadecimal, are cut to 16 bits, and end where their digits end, as iptables reads them
//! (`1:2x` is 1:2). The priority is seen by nothing but traffic control.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;

const SET: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("set-class", SET)];

const MANUAL: &str = "\
# CLASSIFY

Sets the priority of the packet and goes on with the next rule: a classful queueing discipline (tc(8)) puts
the packet into the class of this handle. It may be reached from FORWARD, OUTPUT and POSTROUTING.

`--set-class MAJOR:MINOR`
: The handle of the class, both numbers hexadecimal, 16 bits each.

    -t mangle -A POSTROUTING -o eth0 -p tcp --dport 22 -j CLASSIFY --set-class 1:10

It does something only where a queueing discipline with such a class is attached to the way out.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "CLASSIFY",
    families: BOTH,
    tables: &[],
    hooks: &[Hook::Forward, Hook::Output, Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Classify {
    /// Upper half of the priority.
    pub major: u16,
    /// Lower half.
    pub minor: u16,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let given = arguments.required(SET)?;
    let halves = half(&given.value).and_then(|(major, rest)| {
        let (minor, _) = half(rest.strip_prefix(':')?)?;
        Some(Classify { major, minor })
    });
    match halves {
        Some(classify) => Some(Box::new(classify)),
        None => {
            arguments.bad_value(given, "a class: MAJOR:MINOR, both hexadecimal");
            None
        }
    }
}

/// The hexadecimal number at the beginning of a text, cut to 16 bits, and what follows it.
fn half(text: &str) -> Option<(u16, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let negative = text.starts_with('-');
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let significant = digits.trim_start_matches('0');
    let value = match u64::from_str_radix(significant, 16) {
        _ if digits.is_empty() => return None,
        Ok(value) => value,
        Err(_) if significant.is_empty() => 0,
        Err(_) => u64::MAX,
    };
    let value = if negative { value.wrapping_neg() } else { value };
    Some(((value & 0xffff) as u16, rest))
}

impl Target for Classify {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        traversal.priority = u32::from(self.major) << 16 | u32::from(self.minor);
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        let _ = write!(out, " --set-class {:04x}:{:04x}", self.major, self.minor);
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " CLASSIFY set {:x}:{:x}", self.major, self.minor);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Effect(format!(
            "puts it into the class {:x}:{:x} of the way out's queueing discipline, if that has one, \
             and goes on with the next rule",
            self.major, self.minor
        )));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family::V4;

    #[test]
    fn texts() {
        check(
            V4,
            "filter",
            "FORWARD",
            &[
                (
                    "-j CLASSIFY --set-class 1:ABC",
                    "-j CLASSIFY --set-class 0001:0abc",
                    " CLASSIFY set 1:abc",
                    "=",
                ),
                (
                    "-j CLASSIFY --set-class 0x1:-1",
                    "-j CLASSIFY --set-class 0001:ffff",
                    " CLASSIFY set 1:ffff",
                    "=",
                ),
                (
                    "-j CLASSIFY --set-class ffffffff1:10000x",
                    "-j CLASSIFY --set-class fff1:0000",
                    " CLASSIFY set fff1:0",
                    "=",
                ),
                (
                    "-j CLASSIFY --set-class 123456789abcdef12:0",
                    "-j CLASSIFY --set-class ffff:0000",
                    " CLASSIFY set ffff:0",
                    "=",
                ),
                ("-j CLASSIFY --set-class 1", "", "", ""),
                ("-j CLASSIFY --set-class 1:", "", "", ""),
                ("-j CLASSIFY --set-class :1", "", "", ""),
                ("-j CLASSIFY --set-class none", "", "", ""),
                ("-j CLASSIFY", "", "", ""),
            ],
        );
        assert!(
            crate::testing::saved(V4, "filter", "INPUT", "-j CLASSIFY --set-class 1:1").is_err()
        );
    }

    #[test]
    fn it_is_the_priority() {
        let packet = [0x45, 0, 0, 20, 0, 7, 0, 0, 64, 200, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1];
        let after = send("mangle", Hook::Output, "-j CLASSIFY --set-class 12:34", &packet);
        assert_eq!((after.priority, after.mark), (0x0012_0034, 0));
    }
}
