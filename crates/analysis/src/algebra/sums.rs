//! Numbers whose bits are sets of packets.

use super::space::{Packets, Result, Space};

/// The bits of a number, most significant first, and of what it is with another added: 0 where that is less, and all
/// ones where it is more than they hold.
pub(super) fn plus(space: &Space, old: &[Packets], add: i16) -> Result<Vec<Packets>> {
    let amount = add.unsigned_abs();
    let mut carry = space.none();
    let mut new = Vec::with_capacity(old.len());
    for (place, bit) in old.iter().rev().enumerate() {
        let is_set = amount >> place & 1 == 1;
        let flipped = bit.others()?;
        let sum = if is_set { &flipped } else { bit };
        new.push(sum.differ(&carry)?);
        // What is taken away is borrowed from the next bit where this one is not set.
        let over = if add < 0 { &flipped } else { bit };
        carry = if is_set { over.or(&carry)? } else { over.and(&carry)? };
    }
    new.reverse();
    new.iter().map(|bit| if add < 0 { bit.less(&carry) } else { bit.or(&carry) }).collect()
}

/// The bits of a number, most significant first, the same of every packet.
pub(super) fn constant(space: &Space, number: u128, width: u32) -> Vec<Packets> {
    let bit = |place: u32| number >> place & 1 == 1;
    (0..width).rev().map(|place| if bit(place) { space.all() } else { space.none() }).collect()
}
