//! Ranges of types and codes of ICMP, ICMPv6 and IGMP messages, which `ip` and `ip6` share.

use crate::explain::range;
use crate::extension::{Arguments, Given, values};
use crate::matches::icmp::Name;
use crate::model::Inverted;
use alloc::{format, string::String};
use core::fmt::Write;

/// Types and codes, each from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Messages {
    /// Types.
    pub kinds: (u8, u8),
    /// Codes.
    pub codes: (u8, u8),
}

/// IGMP has types alone.
pub const IGMP: &[Name] = &[
    ("membership-query", 0x11, 0, 0),
    ("membership-report-v1", 0x12, 0, 0),
    ("membership-report-v2", 0x16, 0, 0),
    ("membership-report-v3", 0x22, 0, 0),
    ("leave-group", 0x17, 0, 0),
];

impl Messages {
    /// Reads `TYPE[:TYPE][/CODE[:CODE]]` or a name, which may be shortened. `what` the protocol is
    /// called; IGMP has no codes.
    #[allow(clippy::option_option, reason = "not given, or given wrongly")]
    pub fn parse(
        arguments: &mut Arguments<'_>,
        id: u8,
        (what, names): (&str, &[Name]),
    ) -> Option<Option<Inverted<Self>>> {
        let Some(given) = arguments.option(id) else { return Some(None) };
        let found = match named(given, names) {
            Ok(Some((_, kind, low, high))) => {
                Some(Self { kinds: (*kind, *kind), codes: (*low, *high) })
            }
            Ok(None) => Self::numbered(&given.value, what == "IGMP"),
            Err((first, second)) => {
                let says =
                    format!("Ambiguous {what} type `{}': `{first}' or `{second}'?", given.value);
                arguments.wrong(given, "one type alone", says);
                return None;
            }
        };
        match found {
            Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
            None => {
                let says = format!("Unknown {what} type `{}'", given.value);
                arguments.wrong(given, &format!("a type of {what}"), says);
                None
            }
        }
    }

    fn numbered(text: &str, types_alone: bool) -> Option<Self> {
        let (kinds, codes) = match text.split_once('/') {
            None => (text, None),
            Some(_) if types_alone => return None,
            Some((kinds, codes)) => (kinds, Some(codes)),
        };
        let codes = match codes {
            None if types_alone => (0, 0),
            None => (0, 255),
            Some(codes) => byte_range(codes)?,
        };
        Some(Self { kinds: byte_range(kinds)?, codes })
    }

    /// Whether a message is one of them.
    #[must_use]
    pub fn contains(self, kind: u8, code: u8) -> bool {
        (self.kinds.0..=self.kinds.1).contains(&kind)
            && (self.codes.0..=self.codes.1).contains(&code)
    }

    fn name(self, names: &'static [Name]) -> Option<&'static str> {
        let same = |(_, kind, low, high): &&Name| {
            self.kinds == (*kind, *kind) && self.codes == (*low, *high)
        };
        names.iter().find(same).map(|(name, ..)| *name)
    }

    /// Appends it with a blank before it.
    pub fn print(self, out: &mut String, names: &'static [Name]) {
        if let Some(name) = self.name(names) {
            let _ = write!(out, " {name}");
            return;
        }
        values::print_range(out, self.kinds.0, self.kinds.1);
        if !core::ptr::eq(names, IGMP) {
            let mut codes = String::new();
            values::print_range(&mut codes, self.codes.0, self.codes.1);
            let _ = write!(out, "/{}", codes.trim_start());
        }
    }

    /// In words: ` echo-request`, ` type 3 code 1`.
    #[must_use]
    pub fn words(self, names: &'static [Name]) -> String {
        match self.name(names) {
            Some(name) => String::from(name),
            None if self.codes == (0, 255) || core::ptr::eq(names, IGMP) => {
                format!("type {}", range(self.kinds.0, self.kinds.1))
            }
            None => format!(
                "type {} code {}",
                range(self.kinds.0, self.kinds.1),
                range(self.codes.0, self.codes.1)
            ),
        }
    }
}

/// The name that the value begins; two that it may be.
fn named<'a>(given: &Given, names: &'a [Name]) -> Result<Option<&'a Name>, (&'a str, &'a str)> {
    let fits = |(name, ..): &&Name| {
        let start = name.get(..given.value.len());
        !given.value.is_empty()
            && start.is_some_and(|start| start.eq_ignore_ascii_case(&given.value))
    };
    let mut all = names.iter().filter(fits);
    match (all.next(), all.next()) {
        (Some(first), Some(second)) => Err((first.0, second.0)),
        (first, _) => Ok(first),
    }
}

/// `N` or `N:N`, in order.
fn byte_range(text: &str) -> Option<(u8, u8)> {
    let byte = |text: &str| values::number(text, 255).map(|value| value as u8);
    let (low, high) = match text.split_once(':') {
        None => (byte(text)?, byte(text)?),
        Some((low, high)) => (byte(low)?, byte(high)?),
    };
    (low <= high).then_some((low, high))
}
