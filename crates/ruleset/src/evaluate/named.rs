//! What rules share by name. The names come from rules, so there are never more of them than rules.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

/// Things by their names. A place once told stays right for as long as rules declare the name.
#[derive(Clone, Debug)]
pub struct Named<T> {
    places: BTreeMap<Box<str>, usize>,
    things: Vec<Option<Thing<T>>>,
    /// Places that nothing is at.
    free: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Thing<T> {
    thing: T,
    declared: bool,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { places: BTreeMap::new(), things: Vec::new(), free: Vec::new() }
    }
}

impl<T> Named<T> {
    /// The place of a name; what is not there yet is made. A rule of the rule set says this name.
    pub fn declare(&mut self, name: &str, make: impl FnOnce() -> T) -> usize {
        if let Some(place) = self.places.get(name) {
            if let Some(Some(found)) = self.things.get_mut(*place) {
                found.declared = true;
            }
            return *place;
        }
        let new = Some(Thing { thing: make(), declared: true });
        let place = self.free.pop().unwrap_or(self.things.len());
        match self.things.get_mut(place) {
            Some(free) => *free = new,
            None => self.things.push(new),
        }
        self.places.insert(name.into(), place);
        place
    }

    /// A rule says this name, but would not have it made.
    pub fn keep(&mut self, name: &str) {
        let place = self.places.get(name).copied();
        if let Some(Some(found)) = place.and_then(|place| self.things.get_mut(place)) {
            found.declared = true;
        }
    }

    /// The place of a name, if it is there.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// What is at a place.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&T> {
        self.things.get(place)?.as_ref().map(|found| &found.thing)
    }

    /// What is at a place, to be changed.
    pub fn at_mut(&mut self, place: usize) -> Option<&mut T> {
        self.things.get_mut(place)?.as_mut().map(|found| &mut found.thing)
    }

    /// What has a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&T> {
        self.at(self.place(name)?)
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.places.iter().filter_map(|(name, place)| Some((&**name, self.at(*place)?)))
    }

    /// Before rule sets declare anew.
    pub fn undeclare(&mut self) {
        self.things.iter_mut().flatten().for_each(|found| found.declared = false);
    }

    /// Afterwards: what none has declared is forgotten.
    pub fn forget_undeclared(&mut self) {
        for (place, thing) in self.things.iter_mut().enumerate() {
            if thing.as_ref().is_some_and(|found| !found.declared) {
                *thing = None;
                self.free.push(place);
            }
        }
        let things = &self.things;
        self.places.retain(|_, place| things.get(*place).is_some_and(Option::is_some));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_where_they_are_until_no_rule_says_them() {
        let mut named = Named::default();
        let [a, b] = ["a", "b"].map(|name| named.declare(name, || name.len()));
        assert_eq!(named.declare("a", || 7), a);
        assert_eq!((named.at(a), named.named("b")), (Some(&1), Some(&1)));
        named.undeclare();
        named.declare("b", || 9);
        named.forget_undeclared();
        assert_eq!((named.place("a"), named.at(a), named.at(b)), (None, None, Some(&1)));
        assert_eq!(named.declare("c", || 3), a);
        assert_eq!(named.iter().collect::<Vec<_>>(), [("b", &1), ("c", &3)]);
    }
}
