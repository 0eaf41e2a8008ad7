//! Values of whose bits rules ask some: flags of TCP and marks, in words.

use super::rows::{Values, complement, either_side, list};

/// Which flags have to be set or not, in a few cases or in all but a few; else the numbers.
pub(super) fn flags(values: &Values) -> String {
    let inside = |number: u128| values.iter().any(|(low, high)| (*low..=*high).contains(&number));
    let (own, others): (Vec<u8>, Vec<u8>) = (0..=u8::MAX).partition(|n| inside(u128::from(*n)));
    let own = cases(&own);
    match (own, cases(&others)) {
        (Some(own), Some(others)) if (1..own.len()).contains(&others.len()) => except(&others),
        (Some(own), _) => own.join(" or "),
        (None, Some(others)) => except(&others),
        (None, None) => list(values, |number| format!("{number:#04x}")),
    }
}

fn except(cases: &[String]) -> String {
    format!("not ({})", cases.join(" or "))
}

/// Most cases of flags that are told.
const CASES_MAX: usize = 6;

/// Combinations of flags as cases, each of flags that are set and flags that are not; `None`: they are too many.
fn cases(numbers: &[u8]) -> Option<Vec<String>> {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let fits = |(mask, value): (u8, u8), number: &u8| number & mask == value;
    let mut products: Vec<(u8, u8)> = Vec::new();
    for mask in 0..=u8::MAX {
        let mut values: Vec<u8> = numbers.iter().map(|number| number & mask).collect();
        values.sort_unstable();
        let all = 1_usize << mask.count_zeros();
        let full = values.chunk_by(|one, other| one == other).filter(|same| same.len() == all);
        products.extend(full.filter_map(|same| Some((mask, *same.first()?))));
    }
    products.sort_by_key(|(mask, _)| mask.count_ones());
    let mut left = numbers.to_vec();
    let mut told = Vec::new();
    while !left.is_empty() {
        let new = |product: &&(u8, u8)| left.iter().filter(|one| fits(**product, one)).count();
        // Of those that say as much the first, which says it in fewest words.
        let best = products.iter().rev().max_by_key(new).copied()?;
        if told.len() == CASES_MAX {
            return None;
        }
        left.retain(|number| !fits(best, number));
        let words = NAMES.iter().enumerate().filter_map(|(bit, name)| {
            let bit = 1 << bit;
            match (best.0 & bit != 0, best.1 & bit != 0) {
                (true, true) => Some((*name).to_string()),
                (true, false) => Some(format!("no {name}")),
                (false, _) => None,
            }
        });
        told.push(words.collect::<Vec<_>>().join(" "));
    }
    Some(told)
}

/// A number, a number under a mask, or `not` and one of them where that is all; else the ranges.
pub(super) fn mark(values: &Values) -> String {
    let last = u128::from(u32::MAX);
    let masked = |values: &Values| {
        let (number, mask) = under_mask(values, last)?;
        Some(match mask {
            mask if mask == last => format!("{number:#x}"),
            mask => format!("{number:#x}/{mask:#x}"),
        })
    };
    if let Some(text) = masked(values) {
        return text;
    }
    if let Some(text) = masked(&complement(values, last)) {
        return format!("not {text}");
    }
    either_side(values, last, |low, high| {
        if low == high { format!("{low:#x}") } else { format!("{low:#x} to {high:#x}") }
    })
}

/// The number and the mask that say all of a set of numbers, where they do.
fn under_mask(values: &Values, last: u128) -> Option<(u128, u128)> {
    let (mut set, mut unset) = (last, last);
    let mut count = 0_u128;
    for (low, high) in values {
        // Between the two a bit is fixed where they begin alike.
        let free = u128::BITS - (low ^ high).leading_zeros();
        let alike = u128::MAX.checked_shl(free).unwrap_or(0);
        (set, unset) = (set & low & alike, unset & !low & alike);
        count += high - low + 1;
    }
    let mask = (set | unset) & last;
    (count == 1 << (last & !mask).count_ones()).then_some((set, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_told_with_its_mask() {
        let of = |mask: u128, value: u128| -> Values {
            (0..=0xffff_u128)
                .filter(|high| (high << 16) & mask == value)
                .map(|high| (high << 16, high << 16 | 0xffff))
                .collect()
        };
        assert_eq!(mark(&of(0x00ff_0000, 0x0004_0000)), "0x40000/0xff0000");
        let others = complement(&of(0x00ff_0000, 0x0004_0000), u128::from(u32::MAX));
        assert_eq!(mark(&others), "not 0x40000/0xff0000");
        assert_eq!(mark(&vec![(7, 7)]), "0x7");
        assert_eq!(mark(&vec![(0, 6), (8, u128::from(u32::MAX))]), "not 0x7");
        assert_eq!(mark(&vec![(3, 4), (9, 9)]), "0x3 to 0x4,0x9");
    }

    #[test]
    fn flags_are_told_in_cases() {
        let of = |fits: &dyn Fn(u8) -> bool| -> Values {
            (0..=u8::MAX)
                .filter(|flags| fits(*flags))
                .map(|flags| (flags.into(), flags.into()))
                .collect()
        };
        assert_eq!(flags(&of(&|flags| flags & 0x17 == 0x02)), "no FIN SYN no RST no ACK");
        assert_eq!(flags(&of(&|flags| flags & 0x17 != 0x02)), "not (no FIN SYN no RST no ACK)");
        let either = of(&|flags| flags & 0x17 == 0x02 || flags & 0x04 != 0);
        assert_eq!(flags(&either), "RST or no FIN SYN no ACK");
        let neither = of(&|flags| flags != 0 && flags & 0x06 != 0x06);
        assert_eq!(
            flags(&neither),
            "not (SYN RST or no FIN no SYN no RST no PSH no ACK no URG no ECE no CWR)"
        );
        // What is no matter of few cases is told by number.
        assert!(flags(&of(&|flags| flags.count_ones() % 2 == 1)).starts_with("0x01,0x02,0x04"));
    }
}
