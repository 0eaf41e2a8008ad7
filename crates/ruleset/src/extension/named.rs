//! `VALUE[/MASK]` where the value may be a name that files of a machine declare.

use super::{Arguments, Given, values};
use crate::model::Inverted;
use alloc::{format, string::String};
use core::fmt::Write;

/// A number of 32 bits and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Value.
    pub value: u32,
    /// Mask.
    pub mask: u32,
}

/// Reads a value of an option: a number, perhaps with a mask, or one of these names, without.
pub fn parse(
    arguments: &mut Arguments<'_>,
    given: &Given,
    names: &[(u32, &str)],
    what: &str,
) -> Option<Inverted<Named>> {
    let number = |text: &str| {
        let number = values::number(text, u32::MAX.into())?;
        u32::try_from(number).ok()
    };
    let name = names.iter().find(|(_, name)| *name == given.value);
    let found = match (name, given.value.split_once('/')) {
        (Some((value, _)), _) => Some(Named { value: *value, mask: u32::MAX }),
        (None, None) => number(&given.value).map(|value| Named { value, mask: u32::MAX }),
        (None, Some((value, mask))) => {
            number(value).zip(number(mask)).map(|(value, mask)| Named { value, mask })
        }
    };
    let Some(value) = found else {
        let names = names.iter().map(|(_, name)| format!("`{name}`"));
        let names = names.collect::<alloc::vec::Vec<_>>().join(" or ");
        let form = format!("{what}: a number, NUMBER/MASK, or the name {names}");
        arguments.bad_value(given, &form);
        return None;
    };
    Some(Inverted { inverted: given.inverted, value })
}

impl Named {
    /// Appends ` NAME`, ` 0xVALUE` or ` 0xVALUE/0xMASK`.
    pub fn print(&self, out: &mut String, names: &[(u32, &str)]) {
        let _ = match (self.mask, self.name(names)) {
            (u32::MAX, Some(name)) => write!(out, " {name}"),
            (u32::MAX, None) => write!(out, " {:#x}", self.value),
            (mask, _) => write!(out, " {:#x}/{mask:#x}", self.value),
        };
    }

    /// The same for people: `7`, `0 (default)`, `7 (of the bits 0xff)`.
    #[must_use]
    pub fn words(&self, names: &[(u32, &str)]) -> String {
        match (self.mask, self.name(names)) {
            (u32::MAX, Some(name)) => format!("{} ({name})", self.value),
            (u32::MAX, None) => format!("{}", self.value),
            (mask, _) => format!("{:#x} (of the bits {mask:#x})", self.value),
        }
    }

    fn name<'n>(&self, names: &[(u32, &'n str)]) -> Option<&'n str> {
        names.iter().find(|(value, _)| *value == self.value).map(|(_, name)| *name)
    }
}
