//! The keyed hash of tuples.
//!
//! Symmetric: a tuple and its inverse hash alike, so that one entry of the index serves both
//! directions of a connection that is not translated. Each endpoint (address and port, or ICMP
//! identifier) is hashed by itself, the two are added, and the sum is mixed with protocol, family
//! and zone. Every step multiplies 64 by 64 bits with a secret key and folds the 128-bit product
//! (the construction of wyhash): without the keys, which come from the engine's seed, nobody can
//! choose tuples that fall into the same bucket.

use crate::tuple::{Tuple, inverse_type};
use crate::zone::Zone;
use core::hash::Hasher;
use keepstate_packet::{Address, Family};
use siphasher::sip::SipHasher24;

/// The secret keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys([u64; 5]);

impl Keys {
    /// Draws the keys from a seed.
    pub(crate) fn new(seed: [u64; 2]) -> Self {
        let mut state = seed[0] ^ seed[1].rotate_left(32);
        let mut keys = [0; 5];
        for (key, half) in keys.iter_mut().zip(seed.into_iter().cycle()) {
            state = fold(state ^ half, 0x9e37_79b9_7f4a_7c15)
                .wrapping_add(seed[1] ^ 0xd6e8_feb8_6659_fd93);
            // An odd key with high bits set never loses half of the product.
            *key = state | 0x8000_0000_0000_0001;
        }
        Self(keys)
    }

    /// The hash of a tuple in the zone that its direction is in.
    #[inline]
    pub(crate) fn hash(&self, tuple: &Tuple, zone: u16) -> u64 {
        let (source_port, destination_port, kind) = match tuple.icmp_type() {
            None => (tuple.source_port, tuple.destination_port, 0),
            Some(kind) => (tuple.source_port, tuple.source_port, query(tuple, kind)),
        };
        let ends = self.end(tuple.family, &tuple.source, source_port).wrapping_add(self.end(
            tuple.family,
            &tuple.destination,
            destination_port,
        ));
        let rest = u64::from(tuple.protocol)
            | (tuple.family as u64) << 8
            | u64::from(zone) << 16
            | u64::from(kind) << 32;
        fold(ends ^ self.0[3], rest ^ self.0[4])
    }

    /// The hash of the source of an original tuple, in the zone of both directions.
    pub(crate) fn source(&self, tuple: &Tuple, zone: Zone) -> u64 {
        let end = self.end(tuple.family, &tuple.source, tuple.source_port);
        let rest = u64::from(tuple.protocol)
            | (tuple.family as u64) << 8
            | u64::from(zone.id_in_both()) << 16;
        fold(end ^ self.0[4], rest ^ self.0[3])
    }

    /// A number drawn: another one for each `count`. Ports are made of them, which nobody must be able to
    /// tell from the ones before (RFC 6056, 3.3.4): SipHash makes them.
    pub(crate) fn draw(&self, count: u64) -> u16 {
        let mut hasher = SipHasher24::new_with_keys(self.0[2], self.0[4]);
        hasher.write_u64(count);
        hasher.finish() as u16
    }

    #[inline]
    fn end(&self, family: Family, address: &Address, port: u16) -> u64 {
        let ([low, high], _) = address.0.as_chunks::<8>() else { return 0 };
        let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        match family {
            // The second half is zero: the port takes its place.
            Family::V4 => fold(low ^ self.0[0], u64::from(port) ^ self.0[1]),
            Family::V6 => {
                let address = fold(low ^ self.0[0], high ^ self.0[1]);
                fold(address ^ u64::from(port), self.0[2])
            }
        }
    }
}

/// Type and code, the same for a query and its answer.
#[cold]
fn query(tuple: &Tuple, kind: u8) -> u16 {
    let inverse = inverse_type(tuple.protocol, kind).unwrap_or(kind);
    u16::from(kind.max(inverse)) << 8 | tuple.destination_port & 0xff
}

#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tuple() -> impl Strategy<Value = Tuple> {
        let protocol = prop_oneof![Just(1_u8), Just(6), Just(17), Just(58), Just(99)];
        let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
        (any::<[[u8; 16]; 2]>(), any::<[u16; 2]>(), protocol, family).prop_map(
            |(addresses, [source_port, destination_port], protocol, family)| {
                let [source, destination] = addresses.map(|octets| match family {
                    Family::V4 => Address::v4(Address(octets).v4_octets()),
                    Family::V6 => Address(octets),
                });
                Tuple { source, destination, source_port, destination_port, protocol, family }
            },
        )
    }

    proptest! {
        #[test]
        fn a_tuple_and_its_inverse_hash_alike(tuple in tuple(), seed in any::<[u64; 2]>(), zone: u16) {
            let keys = Keys::new(seed);
            if let Some(inverse) = tuple.invert() {
                prop_assert_eq!(keys.hash(&tuple, zone), keys.hash(&inverse, zone));
                prop_assert_eq!(inverse.invert(), Some(tuple));
            }
        }

        #[test]
        fn every_part_counts(tuple in tuple(), seed in any::<[u64; 2]>(), zone: u16, bit in 0_u8..16) {
            let keys = Keys::new(seed);
            let hash = keys.hash(&tuple, zone);
            let mut address = tuple.source;
            let octets = if tuple.family == Family::V4 { 4 } else { 16 };
            address.0[usize::from(bit) % octets] ^= 1;
            let others = [
                Tuple { source: address, ..tuple },
                Tuple { destination: Address(tuple.source.0), source: tuple.source, ..tuple },
                Tuple { source_port: tuple.source_port ^ 1 << bit, ..tuple },
                Tuple { protocol: tuple.protocol ^ 0x80, ..tuple },
            ];
            for other in others.iter().filter(|other| **other != tuple) {
                prop_assert_ne!(keys.hash(other, zone), hash);
            }
            prop_assert_ne!(keys.hash(&tuple, zone ^ 1 << bit), hash);
            prop_assert_ne!(Keys::new([seed[0] ^ 1 << bit, seed[1]]).hash(&tuple, zone), hash);
            prop_assert_ne!(Keys::new([seed[0], seed[1] ^ 1 << bit]).hash(&tuple, zone), hash);
        }
    }

    /// Ports exchanged between the two ends make another connection.
    #[test]
    fn ports_belong_to_their_end() {
        let keys = Keys::new([1, 2]);
        let tuple = Tuple {
            source: Address::v4([10, 0, 0, 1]),
            destination: Address::v4([10, 0, 0, 2]),
            source_port: 1,
            destination_port: 2,
            protocol: 17,
            family: Family::V4,
        };
        let crossed = Tuple { source_port: 2, destination_port: 1, ..tuple };
        assert_ne!(keys.hash(&tuple, 0), keys.hash(&crossed, 0));
    }
}
