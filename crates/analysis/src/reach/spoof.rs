//! Spoofing protection: whether a packet with a source address that does not belong behind an interface can open a
//! connection when it comes in there.

use super::around::{self, Around, Toward};
use super::confirm::confirm;
use super::matrix::{Open, Shown};
use super::sets::{Opener, Reach};
use super::witness::Witness;
use crate::algebra::rows::complement;
use crate::algebra::space::{Group, Result};
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::packet_set::Field;
use serde::Serialize;

/// What is found of an interface.
#[derive(Clone, Debug, Serialize)]
pub struct Spoofing {
    /// The interface.
    pub interface: String,
    /// The addresses that belong behind it.
    pub networks: String,
    /// Whether a packet from elsewhere passes: [`Open::No`] is protection, certified.
    pub open: Open,
    /// From where packets pass that should not.
    pub from: String,
    /// One of them.
    pub witness: Option<Witness>,
}

/// Asks of each interface whose addresses are known, on all ways that packets may take.
pub fn spoofing(
    ruleset: &Ruleset,
    networks: &Around,
    towards: &[Toward],
    shown: &Shown<'_>,
) -> Result<Vec<Spoofing>> {
    let mut found: Vec<Spoofing> = Vec::new();
    for toward in towards {
        let around = Around { trusts_sources: false, toward: *toward, ..networks.clone() };
        let one = Reach::new(ruleset, around, Opener::Other)?.spoofing(shown)?;
        if found.is_empty() {
            found = one;
            continue;
        }
        for (known, other) in found.iter_mut().zip(one) {
            if other.open > known.open {
                *known = other;
            }
        }
    }
    Ok(found)
}

impl Reach<'_> {
    /// Of sets that were made without trust in sources.
    fn spoofing(&self, shown: &Shown<'_>) -> Result<Vec<Spoofing>> {
        let family = self.family();
        let mut found = Vec::new();
        for (name, values) in &self.around.networks {
            let place = self.space.interface_number(name);
            let here = self.space.all_of(Group::In, &[(place, place)])?;
            let others = complement(values, around::last(family));
            let foreign = around::of(&self.space, Field::Source, &others)?;
            let (passing, sure) = self.passing(&self.all().and(&here)?.and(&foreign)?)?;
            let (open, set) = match (sure.is_empty(), passing.is_empty()) {
                (false, _) => (Open::Certain, &sure),
                (true, false) => (Open::Possible, &passing),
                (true, true) => (Open::No, &passing),
            };
            found.push(Spoofing {
                interface: name.clone(),
                networks: around::shown(family, values, &vec![(0, around::last(family))]),
                open,
                from: self.side(&passing, Field::Source, &self.around.domain(family))?,
                witness: self.witness_by(&self.plainest(set)?, shown.lines, Some(name))?,
            });
        }
        let mut witnesses: Vec<_> =
            found.iter_mut().filter_map(|one| one.witness.as_mut()).collect();
        confirm(&mut witnesses, family, shown.load);
        Ok(found)
    }
}
