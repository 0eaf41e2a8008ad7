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
    /// How surely.
    pub open: Open,
    /// A packet that shows it.
    pub witness: Option<Witness>,
}

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
        let mut cells = Vec::new();
        for one in &from {
            for other in &to {
                cells.extend(self.cell(&pairs, one, other, shown)?);
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

    /// The classes of sources and of destinations, and whether they are the same.
    pub fn classes(
        &self,
        pairs: &Pairs,
        between: &Between,
    ) -> Result<(Vec<Class>, Vec<Class>, bool)> {
        let sets = [pairs.certain.clone(), pairs.possible.clone()];
        let of = |domain: &Values, side| -> Result<Vec<Class>> {
            let found = classes(&self.space, &sets, domain, side)?;
            let named = found.into_iter().enumerate().map(|(place, values)| Class {
                name: classes::name(place),
                addresses: around::shown(self.family(), &values, domain),
                values,
            });
            Ok(named.collect())
        };
        if between.is_square {
            let both = of(&between.from, Side::Both)?;
            return Ok((both.clone(), both, true));
        }
        Ok((of(&between.from, Side::Source)?, of(&between.to, Side::Destination)?, false))
    }

    fn cell(
        &self,
        pairs: &Pairs,
        from: &Class,
        to: &Class,
        shown: &Shown<'_>,
    ) -> Result<Option<Cell>> {
        // What comes from outside with an address of the host is none of another's.
        let is_one = from.values == to.values && from.values.iter().all(|(low, high)| low == high);
        let to_host = self.around.local.is_none() && self.around.toward == Toward::Host;
        if is_one && from.values.len() == 1 && to_host && self.opener == Opener::Other {
            return Ok(None);
        }
        let field = |field, values: &Values| self.space.all_of(Group::Field(field), values);
        // The pairs of two classes are alike; the first stands for all.
        let first =
            |class: &Class| class.values.iter().take(1).map(|(low, _)| (*low, *low)).collect();
        let one =
            field(Field::Source, &first(from))?.and(&field(Field::Destination, &first(to))?)?;
        let is = |set: &Packets| -> Result<bool> { Ok(!set.and(&one)?.is_empty()) };
        let (open, packets) = match (is(&pairs.certain)?, is(&pairs.possible)?) {
            (true, _) => (Open::Certain, &pairs.sure),
            (_, true) => (Open::Possible, &pairs.passing),
            (_, false) => return Ok(None),
        };
        let all =
            field(Field::Source, &from.values)?.and(&field(Field::Destination, &to.values)?)?;
        let witness = self.witness(&self.plainest(&packets.and(&all)?)?, shown.lines)?;
        Ok(Some(Cell { from: from.name.clone(), to: to.name.clone(), open, witness }))
    }

    /// Of a set what clients send, and of that what hangs on no unknown, as far as there is any.
    fn plainest(&self, packets: &Packets) -> Result<Packets> {
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
