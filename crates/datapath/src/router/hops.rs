//! Where packets to a destination were handed to last: what saves the look-up of route and neighbour.

use super::neighbours::Place;
use keepstate_engine::InterfaceIndex;
use keepstate_packet::{Address, Family};

/// Destinations that are remembered; one takes the place of another.
pub(super) const HOPS_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hop {
    interface: InterfaceIndex,
    family: Family,
    destination: Address,
    place: Place,
}

/// The memory.
#[derive(Debug)]
pub(super) struct Hops {
    all: Vec<Option<Hop>>,
}

impl Hops {
    pub(super) fn new() -> Self {
        Self { all: vec![None; HOPS_MAX] }
    }

    #[inline]
    fn index(interface: InterfaceIndex, destination: Address) -> usize {
        let number = u128::from_ne_bytes(destination.0);
        let folded = (number as u64) ^ ((number >> 64) as u64).rotate_left(23);
        let mixed = (folded ^ u64::from(interface.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize % HOPS_MAX
    }

    #[inline]
    pub(super) fn find(
        &self,
        interface: InterfaceIndex,
        family: Family,
        destination: Address,
    ) -> Option<Place> {
        let hop = self.all.get(Self::index(interface, destination))?.as_ref()?;
        let same =
            hop.destination == destination && hop.interface == interface && hop.family == family;
        same.then_some(hop.place)
    }

    pub(super) fn note(
        &mut self,
        interface: InterfaceIndex,
        family: Family,
        destination: Address,
        place: Place,
    ) {
        if let Some(hop) = self.all.get_mut(Self::index(interface, destination)) {
            *hop = Some(Hop { interface, family, destination, place });
        }
    }
}
