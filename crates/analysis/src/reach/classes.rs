//! Address classes: the coarsest partition of addresses such that those of a class are treated alike, as source and
//! as destination. Read off the diagrams: two destinations are alike where the diagram goes on alike behind them, and
//! two sources where each of these rests says the same of both.

use crate::algebra::rows::{Values, tidy};
use crate::algebra::space::{Exhausted, Group, Packets, Result, Space};
use keepstate_ruleset::packet_set::Field;
use std::collections::{BTreeMap, BTreeSet};

/// Most classes that are told apart.
pub const CLASSES_MAX: usize = 2_000;

const SOURCE: Group = Group::Field(Field::Source);
const DESTINATION: Group = Group::Field(Field::Destination);

/// Which addresses are to be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// By how they are treated as source.
    Source,
    /// By how they are treated as destination.
    Destination,
    /// By both.
    Both,
}

/// The classes of the addresses in `domain`, in the order of their first address. The set asks for nothing but
/// source and destination.
pub fn classes(space: &Space, pairs: &Packets, domain: &Values, side: Side) -> Result<Vec<Values>> {
    let mut labels: Vec<Values> = Vec::new();
    for (rest, destinations) in space.parts(pairs, DESTINATION).ok_or(Exhausted)? {
        if side != Side::Source {
            labels.push(destinations);
        }
        if side != Side::Destination {
            let parts = space.parts(&rest, SOURCE).ok_or(Exhausted)?;
            labels.extend(parts.into_iter().map(|(_, sources)| sources));
        }
    }
    labelled(&labels, domain)
}

/// The classes of the numbers in `domain` by which of the labels they have.
fn labelled(labels: &[Values], domain: &Values) -> Result<Vec<Values>> {
    // At each number which labels begin, and which have ended before it.
    let mut edges: BTreeMap<u128, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (label, values) in labels.iter().chain([domain]).enumerate() {
        for (low, high) in values {
            edges.entry(*low).or_default().0.push(label);
            if let Some(after) = high.checked_add(1) {
                edges.entry(after).or_default().1.push(label);
            }
        }
    }
    let inside = labels.len();
    let mut now: BTreeSet<usize> = BTreeSet::new();
    let mut found: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    let mut classes: Vec<Values> = Vec::new();
    let mut edges = edges.into_iter().peekable();
    while let Some((low, (begun, ended))) = edges.next() {
        for label in ended {
            now.remove(&label);
        }
        now.extend(begun);
        if !now.contains(&inside) {
            continue;
        }
        let high = edges.peek().map_or(u128::MAX, |(next, _)| next - 1);
        let at = *found.entry(now.iter().copied().collect()).or_insert(classes.len());
        if at == CLASSES_MAX {
            return Err(Exhausted);
        }
        match classes.get_mut(at) {
            Some(values) => values.push((low, high)),
            None => classes.push(vec![(low, high)]),
        }
    }
    classes.iter_mut().for_each(tidy);
    Ok(classes)
}

/// The name of a class by its place: a to z, aa to az, ba, ...
#[must_use]
pub fn name(place: usize) -> String {
    let mut name = Vec::new();
    let mut rest = place + 1;
    while rest > 0 {
        rest -= 1;
        name.push(char::from(b'a' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    name.iter().rev().collect()
}

/// The place of a class by its name.
#[must_use]
pub fn place(name: &str) -> Option<usize> {
    let mut number = 0_usize;
    for byte in name.bytes() {
        let letter = byte.checked_sub(b'a').filter(|letter| *letter < 26)?;
        number = number.checked_mul(26)?.checked_add(usize::from(letter) + 1)?;
    }
    number.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_on_behind_z() {
        let names: Vec<_> = [0, 25, 26, 51, 52, 701, 702].map(name).into();
        assert_eq!(names, ["a", "z", "aa", "az", "ba", "zz", "aaa"]);
        assert!((0..1_000).all(|at| place(&name(at)) == Some(at)));
        assert_eq!((place(""), place("A"), place("a1")), (None, None, None));
    }

    #[test]
    fn numbers_with_the_same_labels_are_of_a_class() {
        let labels = [vec![(10, 19), (40, 49)], vec![(15, 44)]];
        let domain = vec![(0, 17), (19, 99)];
        let classes = labelled(&labels, &domain).unwrap();
        let expected: [Values; 4] = [
            vec![(0, 9), (50, 99)],
            vec![(10, 14), (45, 49)],
            vec![(15, 17), (19, 19), (40, 44)],
            vec![(20, 39)],
        ];
        assert_eq!(classes, expected);
    }

    #[test]
    fn more_classes_than_the_most_are_refused() {
        let label = |bit: u32| {
            let has = |number: &u128| number >> bit & 1 == 1;
            (0..4_096).filter(has).map(|number| (number, number)).collect::<Values>()
        };
        let labels: Vec<_> = (0..11).map(label).collect();
        assert!(labelled(&labels, &vec![(0, CLASSES_MAX as u128 - 1)]).is_ok());
        assert!(labelled(&labels, &vec![(0, CLASSES_MAX as u128)]).is_err());
    }
}
