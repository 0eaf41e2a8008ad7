//! `list:set`: sets in an order. Where a rule asks a list, it asks its sets one after the other.

use super::Error;
use super::change::{Change, Reference, Request};
use super::element::{Element, pack};
use super::entries::Given;
use super::packet::{Asked, Compare, Deed, Directions, Fields};
use super::set::{Index, IpSet};
use super::store::Sets;
use super::types::{Layout, Method};
use alloc::vec::Vec;
use keepstate_packet::{Family, Instant};

/// The neighbour that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Neighbour {
    None,
    Before(u32),
    After(u32),
}

impl IpSet {
    /// The numbers of the sets in a list, with their rows.
    pub(super) fn members(&self, now: Instant) -> Vec<(u32, u32)> {
        match self.kind.method {
            Method::List => self.rows(now).map(|row| (self.element(row).id, row)).collect(),
            Method::Bitmap | Method::Hash => Vec::new(),
        }
    }

    /// The numbers of all sets in a list, those whose time is up among them.
    pub(super) fn all_members(&self) -> impl Iterator<Item = u32> + '_ {
        let rows = match &self.index {
            Index::List(rows) => &rows[..],
            Index::Bitmap(_) | Index::Hash { .. } => &[],
        };
        rows.iter().map(|row| self.element(*row).id)
    }

    fn position(&self, members: &[(u32, u32)], id: u32) -> Option<usize> {
        members.iter().position(|(member, _)| *member == id)
    }

    fn add_member(
        &mut self,
        id: u32,
        neighbour: Neighbour,
        given: &Given,
        exist: bool,
        now: Instant,
    ) -> Result<(), Error> {
        self.collect(now);
        let members = self.members(now);
        let missing = Err(Error::ListReferenceMissing);
        let at = match neighbour {
            Neighbour::None => members.len(),
            Neighbour::Before(other) => match self.position(&members, other) {
                Some(at) if other != id => at,
                _ => return missing,
            },
            Neighbour::After(other) => match self.position(&members, other) {
                Some(at) if other != id => at + 1,
                _ => return missing,
            },
        };
        if let Some(place) = self.position(&members, id) {
            if !exist {
                return Err(Error::ElementExists);
            }
            let row = members.get(place).map_or(0, |(_, row)| *row);
            self.entries.set_given(row, given, now);
            return Ok(());
        }
        let element = Element { id, ..Element::default() };
        let row = self.entries.add(pack(Layout::ListSet, Family::V4, &element).bytes());
        self.entries.set_given(row, given, now);
        if let Index::List(rows) = &mut self.index {
            rows.insert(at.min(rows.len()), row);
        }
        Ok(())
    }

    /// Whether a set is a member, and beside the neighbour named.
    fn has_member(&self, id: u32, neighbour: Neighbour, now: Instant) -> Option<bool> {
        let members = self.members(now);
        let at = self.position(&members, id)?;
        let beside = |at: Option<usize>| at.and_then(|at| members.get(at)).map(|(id, _)| *id);
        Some(match neighbour {
            Neighbour::None => true,
            Neighbour::Before(other) => beside(at.checked_add(1)) == Some(other),
            Neighbour::After(other) => beside(at.checked_sub(1)) == Some(other),
        })
    }
}

impl Sets {
    fn neighbour(&self, request: &Request) -> Result<Neighbour, Error> {
        let number = |name: &str| self.find(name).ok_or(Error::ListReference);
        Ok(match &request.reference {
            None => Neighbour::None,
            Some(Reference::Before(name)) => Neighbour::Before(number(name)?),
            Some(Reference::After(name)) => Neighbour::After(number(name)?),
        })
    }

    /// Adds a set to a list or takes it out.
    pub(super) fn change_list(
        &mut self,
        list: u32,
        request: &Request,
        change: Change,
        now: Instant,
    ) -> Result<(), Error> {
        self.set(list).ok_or(Error::NoSet)?.check_extensions(&request.given)?;
        let id = self.find(&request.set).ok_or(Error::ListName)?;
        if self.set(id).is_some_and(|set| set.kind.method == Method::List) {
            return Err(Error::ListLoop);
        }
        let neighbour = self.neighbour(request)?;
        let set = self.set_mut(list).ok_or(Error::NoSet)?;
        match change {
            Change::Add { exist } => set.add_member(id, neighbour, &request.given, exist, now),
            Change::Del { exist } => match set.has_member(id, neighbour, now) {
                Some(true) => set.remove(&Element { id, ..Element::default() }, now),
                Some(false) => Err(Error::ListReferenceMissing),
                None if neighbour != Neighbour::None => Err(Error::ListReferenceMissing),
                None if exist => Ok(()),
                None => Err(Error::ElementMissing),
            },
        }
    }

    /// Whether a set is in a list.
    pub(super) fn list_holds(&self, list: u32, request: &Request, now: Instant) -> bool {
        let Some(id) = self.find(&request.set) else { return false };
        let Ok(neighbour) = self.neighbour(request) else { return false };
        let holds = self.set(list).and_then(|set| set.has_member(id, neighbour, now));
        holds.unwrap_or(false)
    }

    /// Whether a packet is in a set of the list: the first that it is in decides.
    pub(super) fn test_list(
        &mut self,
        list: u32,
        fields: &Fields,
        asked: &Asked,
        now: Instant,
    ) -> Option<(u32, u32)> {
        let members = self.set(list)?.members(now);
        let inner = Asked {
            packets: Compare::Any,
            bytes: Compare::Any,
            keep_counters: asked.keep_counters || asked.keep_subcounters,
            ..*asked
        };
        for (member, row) in members {
            let Some(found) = self.set_mut(member)?.test_packet(fields, &inner, now) else {
                continue;
            };
            if self.set_mut(list)?.passes(row, asked, fields) {
                return Some((member, found));
            }
        }
        None
    }

    /// Adds the element of a packet to the first set of a list that takes it, or takes it out of the
    /// first that has it.
    pub(super) fn change_list_by_packet(
        &mut self,
        list: u32,
        fields: &Fields,
        directions: Directions,
        deed: Deed,
        now: Instant,
    ) {
        let members = self.set(list).map(|set| set.members(now)).unwrap_or_default();
        for (member, _) in members {
            if self.change_set_by_packet(member, fields, directions, deed, now) {
                return;
            }
        }
    }
}
