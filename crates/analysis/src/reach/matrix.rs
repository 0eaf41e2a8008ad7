//! The service matrix: who can open a service to whom, by address classes.

use super::around::{self, Toward};
use super::classes::{self, Side, classes};
use super::confirm::confirm;
use super::service::Service;
use super::sets::{Opener, Pairs, Reach};
use super::witness::Witness;
use crate::algebra::rows::Values;
use crate::algebra::space::{Group, Packets, Result};
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::packet_set::Field;
use serde::Serialize;

/// Addresses that are treated alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// `a`, `b`, ...
    pub name: String,
    /// The addresses as people write them.
    pub addresses: String,
    /// From and to, as numbers.
    #[serde(skip)]
    pub values: Values,
}

/// Whether a service can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Open {
    /// In no case.
    No,
    /// In some case: it hangs on what no packet tells, or on the port that the client takes.
    Possible,
    /// In every case, given the interfaces.
    Certain,
}

/// A pair of classes between which a service can be opened.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Who.
    pub from: String,
    /// To whom.
    pub to: String,
    /// How surely, of all the pairs of addresses.
    pub open: Open,
    /// Those of the pairs that are open in every case, where the others are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certain: Option<Part>,
    /// A packet that shows it; one that hangs on something, where not all pairs are certain.
    pub witness: Option<Witness>,
}

/// Some of the pairs of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Source addresses; the name of the class where it is the whole of it.
    pub from: String,
    /// Destination addresses, likewise.
    pub to: String,
    /// Whether they are all the pairs of these addresses.
    pub is_whole: bool,
}

/// Most classes of a matrix whose rows and columns are the same classes; where there are more, sources and
/// destinations have classes of their own, which are fewer.
pub const SQUARE_MAX: usize = 26;

/// The matrix of one service.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// The service.
    pub service: String,
    /// Who; the same classes as [`Self::to`] where [`Self::is_square`] says so.
    pub from: Vec<Class>,
    /// To whom.
    pub to: Vec<Class>,
    /// Whether rows and columns are the same classes.
    pub is_square: bool,
    /// The pairs that are open, row by row.
    pub cells: Vec<Cell>,
    /// A packet that is not let through, where nothing is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Witness>,
}

/// From where to where.
#[derive(Clone, Debug)]
pub struct Between {
    /// Source addresses.
    pub from: Values,
    /// Destination addresses.
    pub to: Values,
    /// What else packets have to be.
    pub among: Packets,
    /// Both are asked about in the same classes.
    pub is_square: bool,
}

/// What is needed to show packets.
#[expect(missing_debug_implementations, reason = "a closure has none")]
pub struct Shown<'s> {
    /// The lines of the rule file.
    pub lines: &'s Lines,
    /// Makes the rule set anew, to run it.
    pub load: &'s dyn Fn() -> Option<Ruleset>,
}

impl Matrix {
    /// The whole in one word: the surest of its cells.
    #[must_use]
    pub fn open(&self) -> Open {
        self.cells.iter().map(|cell| cell.open).max().unwrap_or(Open::No)
    }

    /// Whether every pair of its classes is as open as the surest.
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        let open = self.open();
        let alike = self.cells.iter().filter(|cell| cell.open == open).count();
        open == Open::No || alike == self.from.len() * self.to.len()
    }

    /// The cell of two classes.
    #[must_use]
    pub fn cell(&self, from: &str, to: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.from == from && cell.to == to)
    }

    fn witnesses(&mut self) -> Vec<&mut Witness> {
        let open = self.cells.iter_mut().filter_map(|cell| cell.witness.as_mut());
        open.chain(self.closed.as_mut()).collect()
    }
}

impl Reach<'_> {
    /// All addresses, and all packets.
    #[must_use]
    pub fn everywhere(&self) -> Between {
        let domain = self.around.domain(self.family());
        let every = self.space.every();
        Between { from: domain.clone(), to: domain, among: every, is_square: true }
    }

    /// The matrix of a service.
    pub fn matrix(
        &self,
        service: &Service,
        between: &Between,
        shown: &Shown<'_>,
    ) -> Result<Matrix> {
        let pairs = self.pairs(service, &self.between(between)?)?;
        let (from, to, is_square) = self.classes(&pairs, between)?;
        let of = |field, class: &Class| self.space.all_of(Group::Field(field), &class.values);
        let mut cells = Vec::new();
        let destinations = to.iter().map(|class| of(Field::Destination, class));
        let destinations = destinations.collect::<Result<Vec<_>>>()?;
        for one in &from {
            let source = of(Field::Source, one)?;
            let row = pairs.possible.and(&source)?;
            for (other, destination) in to.iter().zip(&destinations) {
                let possible = row.and(destination)?;
                cells.extend(self.cell(&pairs, (one, other), &possible, shown)?);
            }
        }
        let closed = match cells.is_empty() {
            true => self.witness(&self.plainest(&pairs.asked)?, shown.lines)?,
            false => None,
        };
        let service = service.to_string();
        let mut matrix = Matrix { service, from, to, is_square, cells, closed };
        confirm(&mut matrix.witnesses(), self.family(), shown.load);
        Ok(matrix)
    }

    /// The packets of a question.
    pub fn between(&self, between: &Between) -> Result<Packets> {
        let field = |field, values: &Values| self.space.all_of(Group::Field(field), values);
        field(Field::Source, &between.from)?
            .and(&field(Field::Destination, &between.to)?)?
            .and(&between.among)
    }

    /// The classes of sources and of destinations, and whether they are the same. Addresses are of a class where
    /// the same pairs with them can be open; how surely is said of each pair of classes.
    pub fn classes(
        &self,
        pairs: &Pairs,
        between: &Between,
    ) -> Result<(Vec<Class>, Vec<Class>, bool)> {
        let of = |domain: &Values, side| -> Result<Vec<Class>> {
            let found = classes(&self.space, &pairs.possible, domain, side)?;
            let named = found.into_iter().enumerate().map(|(place, values)| Class {
                name: classes::name(place),
                addresses: around::shown(self.family(), &values, domain),
                values,
            });
            Ok(named.collect())
        };
        if between.is_square {
            let both = of(&between.from, Side::Both)?;
            if both.len() <= SQUARE_MAX {
                return Ok((both.clone(), both, true));
            }
        }
        Ok((of(&between.from, Side::Source)?, of(&between.to, Side::Destination)?, false))
    }

    /// What is open between two classes; `possible`: their pairs, of which either all are possible or none is.
    fn cell(
        &self,
        pairs: &Pairs,
        (from, to): (&Class, &Class),
        possible: &Packets,
        shown: &Shown<'_>,
    ) -> Result<Option<Cell>> {
        // What comes from outside with an address of the host is none of another's.
        let is_one = matches!(from.values.as_slice(), [(low, high)] if low == high);
        let to_host = self.around.local.is_none() && self.around.toward == Toward::Host;
        let is_own = is_one && from.values == to.values && to_host && self.opener == Opener::Other;
        if possible.is_empty() || is_own {
            return Ok(None);
        }
        let certain = pairs.certain.and(possible)?;
        let rest = possible.less(&certain)?;
        let (open, packets) = match rest.is_empty() {
            true => (Open::Certain, pairs.sure.and(possible)?),
            false => (Open::Possible, pairs.passing.and(&rest)?),
        };
        let part = match open == Open::Certain || certain.is_empty() {
            true => None,
            false => Some(self.part(&certain, from, to)?),
        };
        let witness = self.witness(&self.plainest(&packets)?, shown.lines)?;
        let (from, to) = (from.name.clone(), to.name.clone());
        Ok(Some(Cell { from, to, open, certain: part, witness }))
    }

    /// Some of the pairs of two classes.
    fn part(&self, pairs: &Packets, from: &Class, to: &Class) -> Result<Part> {
        let side = |field, class: &Class| -> Result<(Packets, String)> {
            let values = self.values(pairs, field)?;
            let text = match values == class.values {
                true => class.name.clone(),
                false => around::shown(self.family(), &values, &class.values),
            };
            Ok((self.space.all_of(Group::Field(field), &values)?, text))
        };
        let (sources, from) = side(Field::Source, from)?;
        let (destinations, to) = side(Field::Destination, to)?;
        let is_whole = sources.and(&destinations)?.is_within(pairs)?;
        Ok(Part { from, to, is_whole })
    }

    /// Of a set what clients send, and of that what hangs on no unknown, as far as there is any.
    pub(super) fn plainest(&self, packets: &Packets) -> Result<Packets> {
        let mut best = packets.clone();
        let typical = self.typical(packets)?;
        if !typical.is_empty() {
            best = typical;
        }
        let groups: Vec<Group> = self.space.groups().keys().copied().collect();
        let certain = self.space.all_alike(&best, &self.like(&best)?, &groups)?;
        let certain = best.and(&certain)?;
        if !certain.is_empty() {
            best = certain;
        }
        // By an interface that no rule names, if there is one.
        for side in [Group::In, Group::Out] {
            let other = self.space.interface_number("\u{fffd}");
            let plain = best.and(&self.space.all_of(side, &[(other, other)])?)?;
            if !plain.is_empty() {
                best = plain;
            }
        }
        Ok(best)
    }

    /// The packets of the question with the same fields as some of a set.
    fn like(&self, packets: &Packets) -> Result<Packets> {
        let groups: Vec<Group> = self.space.groups().keys().copied().collect();
        self.all().and(&self.space.some_alike(packets, &groups)?)
    }
}
