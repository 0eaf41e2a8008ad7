//! Helpers as their modules register them: one for each of the module's ports (`ports=21,2121`),
//! under a name of its own where that is not the usual port.

use crate::helpers::{HELPERS, Helper};
use crate::sysctl::module::{Modules, Ports};
use alloc::{format, string::String};
use core::fmt;
use keepstate_packet::Family;

/// What a module registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Place in [`HELPERS`].
    place: u16,
    /// What stands behind its name.
    number: Option<u16>,
}

/// The name of a helper: `ftp`, `ftp-2121`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// What all instances of the helper are called first.
    pub base: &'static str,
    /// What stands behind that and a dash, for an instance that is not at the usual port.
    pub number: Option<u16>,
}

/// What the instances that are not at the usual port are numbered by.
enum NumberedBy {
    Port,
    /// Place in the list of ports, from 0.
    Place,
}

fn numbered_by(base: &str) -> Option<NumberedBy> {
    match base {
        "ftp" | "sane" => Some(NumberedBy::Port),
        "irc" | "sip" | "tftp" => Some(NumberedBy::Place),
        _ => None,
    }
}

impl Instance {
    /// The helper of this name for connections of this family and protocol (`-j CT --helper NAME`),
    /// for [`Template::helper`](crate::table::Template::helper); `None` when no parameter of a module
    /// can register such a one.
    #[must_use]
    pub fn named(name: &str, family: Family, protocol: u8) -> Option<Self> {
        Self::called(name).find(|one| {
            one.helper().is_some_and(|helper| {
                helper.protocol == protocol && helper.families.contains(&family)
            })
        })
    }

    /// Those of this name, for whatever connections.
    pub fn called(name: &str) -> impl Iterator<Item = Self> {
        let known = Name::parse(name);
        let places = HELPERS.iter().zip(0..).filter_map(move |(helper, place)| {
            let Name { base, number } = known?;
            (helper.name == base).then_some(Self { place, number })
        });
        places.filter(|one| one.is_possible())
    }

    /// The helper at the usual port, of any protocol.
    pub(crate) fn usual(name: &str) -> Option<Self> {
        Self::called(name).find(|one| one.number.is_none())
    }

    /// All that modules with these parameters register, with their ports; those without a port are
    /// left out.
    pub fn registered(modules: &Modules) -> impl Iterator<Item = (Self, u16)> {
        let helpers = HELPERS.iter().zip(0..).filter(|(helper, _)| helper.port != 0);
        helpers.flat_map(move |(helper, place)| {
            let ports = modules.ports(helper.name).copied();
            let ports = ports.unwrap_or(Ports::one(helper.port)).into_iter();
            ports.zip(0..).map(move |(port, at)| {
                let number = match numbered_by(helper.name) {
                    _ if port == helper.port => None,
                    Some(NumberedBy::Place) => Some(at),
                    _ => Some(port),
                };
                (Self { place, number }, port)
            })
        })
    }

    /// Whether modules with these parameters register it.
    #[must_use]
    pub fn is_registered(self, modules: &Modules) -> bool {
        let has_port = self.helper().is_some_and(|helper| helper.port != 0);
        !has_port || Self::registered(modules).any(|(one, _)| one == self)
    }

    /// The parameter that says which instances there are; `None` for helpers without one.
    #[must_use]
    pub fn parameter(self) -> Option<&'static str> {
        Some(match self.helper()?.name {
            "ftp" => "nf_conntrack_ftp.ports",
            "irc" => "nf_conntrack_irc.ports",
            "sane" => "nf_conntrack_sane.ports",
            "sip" => "nf_conntrack_sip.ports",
            "tftp" => "nf_conntrack_tftp.ports",
            _ => return None,
        })
    }

    /// A value of that parameter that registers this instance.
    #[must_use]
    pub fn example(self) -> Option<String> {
        let usual = self.helper()?.port;
        Some(match (self.number, numbered_by(self.helper()?.name)?) {
            (None, _) => format!("{usual}"),
            (Some(port), NumberedBy::Port) => format!("{usual},{port}"),
            (Some(0), NumberedBy::Place) => format!("{}", usual.wrapping_add(1)),
            (Some(place), NumberedBy::Place) => {
                let more = (1..=place).map(|at| format!(",{}", usual.wrapping_add(at)));
                format!("{usual}{}", more.collect::<String>())
            }
        })
    }

    /// What it is an instance of.
    #[must_use]
    pub fn helper(self) -> Option<&'static Helper> {
        HELPERS.get(usize::from(self.place))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> Name {
        Name { base: self.helper().map_or("", |helper| helper.name), number: self.number }
    }

    /// Whether some parameter registers it.
    fn is_possible(self) -> bool {
        let Some(helper) = self.helper() else { return false };
        match (self.number, numbered_by(helper.name)) {
            (None, _) => true,
            (Some(port), Some(NumberedBy::Port)) => port != helper.port,
            (Some(place), Some(NumberedBy::Place)) => usize::from(place) < Ports::MAX,
            (Some(_), None) => false,
        }
    }
}

impl Name {
    /// That of a helper at its usual port.
    #[must_use]
    pub const fn usual(base: &'static str) -> Self {
        Self { base, number: None }
    }

    /// The name of a helper of ours, at its usual port or any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let known = |base: &str| HELPERS.iter().map(|helper| helper.name).find(|of| *of == base);
        if let Some(base) = known(text) {
            return Some(Self::usual(base));
        }
        let (base, digits) = text.rsplit_once('-')?;
        let canonical = digits == "0" || digits.starts_with(|first| matches!(first, '1'..='9'));
        let number = digits.parse().ok().filter(|_| canonical)?;
        Some(Self { base: known(base)?, number: Some(number) })
    }

    /// Whether a text begins with it, as `-m helper` asks.
    #[must_use]
    pub fn begins(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(self.base) else { return false };
        let Some(number) = self.number else { return true };
        let length = number.checked_ilog10().unwrap_or(0) as usize + 1;
        let digits = rest.strip_prefix('-').and_then(|rest| rest.get(..length));
        digits.is_some_and(|digits| digits.parse() == Ok(number))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base)?;
        self.number.map_or(Ok(()), |number| write!(f, "-{number}"))
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        Self::parse(text).as_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests;
