//! To what a connection may be translated.

use super::Manip;
use crate::tuple::{Tuple, has_ports};
use keepstate_packet::{Address, Family, gre, icmp, icmpv6};

/// Addresses, ports or both, and how one of several is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First and last address; `None`: the address stays.
    pub addresses: Option<(Address, Address)>,
    /// First and last port, ICMP identifier or key of GRE; `None`: any will do, the one that is there
    /// before others.
    pub ports: Option<(u16, u16)>,
    /// The port that becomes the first one; all others keep their distance to it.
    pub base: Option<u16>,
    /// The port is drawn, also where that one could stay which is there.
    pub random: bool,
    /// Which address is chosen depends on the client alone, not on whom it talks to.
    pub persistent: bool,
}

impl Range {
    /// One address, and any port.
    #[must_use]
    pub const fn of_address(address: Address) -> Self {
        Self {
            addresses: Some((address, address)),
            ports: None,
            base: None,
            random: false,
            persistent: false,
        }
    }

    /// Whether the source of a tuple lies in it.
    pub(super) fn holds_source(&self, tuple: &Tuple) -> bool {
        let holds =
            |(first, last): (Address, Address)| (first.0..=last.0).contains(&tuple.source.0);
        self.addresses.is_none_or(holds) && self.holds_port(tuple, Manip::Source)
    }

    /// Whether the port that is changed lies in it; what has no port does.
    pub(super) fn holds_port(&self, tuple: &Tuple, manip: Manip) -> bool {
        let Some((first, last)) = self.ports else { return true };
        port(tuple, manip).is_none_or(|port| (first..=last).contains(&port))
    }

    /// A tuple with an address of the range: of several the one that a hash of both ends leads to, so
    /// that the same two ends always come to the same. It is Linux's, which is the same on every
    /// machine.
    pub(super) fn with_address(&self, tuple: &Tuple, manip: Manip, zone: u16) -> Tuple {
        let mut tuple = *tuple;
        let Some((first, last)) = self.addresses else { return tuple };
        let chosen =
            if first == last { first } else { self.spread((first, last), &tuple, manip, zone) };
        match manip {
            Manip::Source => tuple.source = chosen,
            Manip::Destination => tuple.destination = chosen,
        }
        tuple
    }

    fn spread(
        &self,
        (first, last): (Address, Address),
        tuple: &Tuple,
        manip: Manip,
        zone: u16,
    ) -> Address {
        let count = match tuple.family {
            Family::V4 => 1,
            Family::V6 => 4,
        };
        let words = |address: Address| {
            let (words, _) = address.0.as_chunks::<4>();
            let mut of = [[0; 4]; 4];
            of.iter_mut().zip(words).for_each(|(to, from)| *to = *from);
            of
        };
        let (source, destination) = (words(tuple.source), words(tuple.destination));
        let [first, last] = [words(first), words(last)];
        let seed = match (self.persistent, destination.get(count - 1)) {
            (false, Some(word)) => u32::from_le_bytes(*word) ^ u32::from(zone),
            (true, _) | (_, None) => 0,
        };
        let mut hash = jhash(&source.map(u32::from_le_bytes), seed);
        let mut is_free = false;
        let mut chosen = [[0; 4]; 4];
        let all = chosen.iter_mut().zip(first.iter().zip(&last)).zip(&destination).take(count);
        for ((word, (first, last)), destination) in all {
            let (low, width) = if is_free {
                (0, u32::MAX)
            } else {
                let (low, high) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
                (low, high.wrapping_sub(low).wrapping_add(1))
            };
            let offset = (u64::from(hash) * u64::from(width)) >> 32;
            *word = low.wrapping_add(offset as u32).to_be_bytes();
            is_free |= word != last;
            if !self.persistent {
                // What is being changed is the destination itself, as far as it has been chosen.
                let seen = if manip == Manip::Destination { *word } else { *destination };
                hash ^= u32::from_le_bytes(seen);
            }
        }
        let mut address = Address([0; 16]);
        let (to, _) = address.0.as_chunks_mut::<4>();
        to.iter_mut().zip(chosen).for_each(|(to, word)| *to = word);
        address
    }
}

/// The port of a tuple that is changed: an ICMP identifier is the same both ways. `None` for what has
/// no port.
pub(super) fn port(tuple: &Tuple, manip: Manip) -> Option<u16> {
    match (tuple.protocol, manip) {
        (icmp::PROTOCOL | icmpv6::PROTOCOL, _) => Some(tuple.source_port),
        (protocol, _) if protocol != gre::PROTOCOL && !has_ports(protocol) => None,
        (_, Manip::Source) => Some(tuple.source_port),
        (_, Manip::Destination) => Some(tuple.destination_port),
    }
}

/// A tuple with another port.
pub(super) fn with_port(tuple: &Tuple, manip: Manip, port: u16) -> Tuple {
    match (tuple.protocol, manip) {
        (icmp::PROTOCOL | icmpv6::PROTOCOL, _) | (_, Manip::Source) => {
            Tuple { source_port: port, ..*tuple }
        }
        (_, Manip::Destination) => Tuple { destination_port: port, ..*tuple },
    }
}

/// Bob Jenkins' hash of 32-bit words (lookup3.c, 2006, public domain), of four of them.
fn jhash(words: &[u32; 4], seed: u32) -> u32 {
    const LENGTH: u32 = 16;
    let start = 0xdead_beef_u32.wrapping_add(LENGTH).wrapping_add(seed);
    let mut a = start.wrapping_add(words[0]);
    let mut b = start.wrapping_add(words[1]);
    let mut c = start.wrapping_add(words[2]);
    let step = |x: u32, y: u32, z: u32, by: u32| {
        // x loses y and gets its bits turned in; y gets z.
        (x.wrapping_sub(y) ^ y.rotate_left(by), y.wrapping_add(z))
    };
    (a, c) = step(a, c, b, 4);
    (b, a) = step(b, a, c, 6);
    (c, b) = step(c, b, a, 8);
    (a, c) = step(a, c, b, 16);
    (b, a) = step(b, a, c, 19);
    (c, b) = step(c, b, a, 4);
    a = a.wrapping_add(words[3]);
    let last = |x: u32, y: u32, by: u32| (x ^ y).wrapping_sub(y.rotate_left(by));
    c = last(c, b, 14);
    a = last(a, c, 11);
    b = last(b, a, 25);
    c = last(c, b, 16);
    a = last(a, c, 4);
    b = last(b, a, 14);
    last(c, b, 24)
}
