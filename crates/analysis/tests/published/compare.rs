//! Two matrices of pairs of addresses, held against each other.

use keepstate_analysis::algebra::rows::Values;

/// Pairs as products: sources, destinations.
pub(crate) type Products = Vec<(Values, Values)>;

/// Classes of addresses, and the pairs that are open.
pub(crate) struct Matrix {
    pub(crate) classes: Vec<Values>,
    pub(crate) pairs: Products,
}

/// Addresses that are of one class in both.
pub(crate) struct Joint {
    /// One of them.
    pub(crate) first: u128,
    pub(crate) values: Values,
}

/// Where the two differ.
pub(crate) struct Compared {
    pub(crate) joint: Vec<Joint>,
    /// From and to, by number in `joint`.
    pub(crate) only_first: Vec<(usize, usize)>,
    pub(crate) only_second: Vec<(usize, usize)>,
}

impl Compared {
    pub(crate) fn of(one: &Matrix, other: &Matrix) -> Self {
        let mut joint = Vec::new();
        for mine in &one.classes {
            for theirs in &other.classes {
                let values = both(mine, theirs);
                joint.extend(
                    values.first().map(|(low, _)| Joint { first: *low, values: values.clone() }),
                );
            }
        }
        let [open, others] = [one, other].map(|matrix| Grid::of(&matrix.pairs, &joint));
        let (mut only_first, mut only_second) = (Vec::new(), Vec::new());
        for from in 0..joint.len() {
            for to in 0..joint.len() {
                match (open.is_open(from, to), others.is_open(from, to)) {
                    (true, false) => only_first.push((from, to)),
                    (false, true) => only_second.push((from, to)),
                    _ => {}
                }
            }
        }
        Self { joint, only_first, only_second }
    }
}

/// Which products a class is a source, and a destination of.
struct Grid {
    sources: Vec<Vec<bool>>,
    destinations: Vec<Vec<bool>>,
}

impl Grid {
    fn of(products: &Products, joint: &[Joint]) -> Self {
        let has = |values: &Values, number: u128| {
            let at = values.partition_point(|(_, high)| *high < number);
            values.get(at).is_some_and(|(low, _)| *low <= number)
        };
        let row = |one: &Joint| products.iter().map(|(from, _)| has(from, one.first)).collect();
        let column = |one: &Joint| products.iter().map(|(_, to)| has(to, one.first)).collect();
        Self {
            sources: joint.iter().map(row).collect(),
            destinations: joint.iter().map(column).collect(),
        }
    }

    fn is_open(&self, from: usize, to: usize) -> bool {
        self.sources[from].iter().zip(&self.destinations[to]).any(|(from, to)| *from && *to)
    }
}

/// The numbers that are in both; both are in order.
fn both(one: &Values, other: &Values) -> Values {
    let mut common = Vec::new();
    let (mut at, mut there) = (0, 0);
    while let (Some((low, high)), Some((from, to))) = (one.get(at), other.get(there)) {
        let (begin, end) = (*low.max(from), *high.min(to));
        if begin <= end {
            common.push((begin, end));
        }
        match high <= to {
            true => at += 1,
            false => there += 1,
        }
    }
    common
}

/// How many pairs there are, and how many of them are pairs of the others, too. The products of a set are apart.
pub(crate) fn counted(products: &Products, others: &Products) -> (u128, u128) {
    let size = |values: &Values| values.iter().map(|(low, high)| high - low + 1).sum::<u128>();
    let mut counts = (0, 0);
    for (from, to) in products {
        counts.0 += size(from) * size(to);
        for (others_from, others_to) in others {
            counts.1 += size(&both(from, others_from)) * size(&both(to, others_to));
        }
    }
    counts
}
