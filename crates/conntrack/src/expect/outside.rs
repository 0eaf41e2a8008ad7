//! Expectations made, changed and taken away from outside, as ctnetlink lets user-space helpers do
//! (`conntrack -I expect` and its like).
//!
//! As observed on Linux 6.18: an expectation made so belongs to the helper of its master, whatever
//! helper it names, and waits as long as the policy of that helper says, whatever timeout it names;
//! the connection that fulfils it gets no helper. Only a later change sets its time.

use super::{Expectation, Key, Refused, Request};
use crate::conn::{ConnId, Entry};
use crate::event::{Announcement, Snapshot};
use crate::helpers::{self, Instance};
use crate::table::Table;
use crate::timeout;
use crate::tuple::Tuple;
use crate::zone::Zone;
use alloc::vec::Vec;
use keepstate_packet::Instant;

/// An expectation as somebody outside wants it (`IPCTNL_MSG_EXP_NEW`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewExpectation {
    /// The connection that announces it, by either of its tuples.
    pub master: Tuple,
    /// Tuple of the first packet of the expected connection.
    pub tuple: Tuple,
    /// Which bits of its source address and source port count; the rest of it is not looked at.
    pub mask: Tuple,
    /// Zone of the master, and of the expected connection.
    pub zone: Zone,
    /// Class, an index into the policies of the master's helper.
    pub class: u32,
    /// Flags: the bits of [`Announcement`].
    pub flags: u32,
}

/// Why an expectation cannot be made, changed or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectError {
    /// There is no connection with the master's tuple.
    NoMaster,
    /// No expectation has this tuple.
    NotFound,
    /// The master has no helper.
    NoHelper,
    /// A flag that does not exist, or a class that the master's helper has not.
    Invalid,
    /// An expectation for this tuple is there.
    Exists,
    /// Another expectation could be fulfilled by the same packet.
    Clash,
    /// The limit of the class or of the table is reached.
    Full,
}

impl ExpectError {
    /// The kernel's error number, errno(3).
    #[must_use]
    pub const fn errno(self) -> i32 {
        match self {
            Self::NoMaster | Self::NotFound => 2,
            Self::Clash => 16,
            Self::Exists => 17,
            Self::Invalid => 22,
            Self::Full => 24,
            Self::NoHelper => 95,
        }
    }
}

impl core::fmt::Display for ExpectError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoMaster => "no connection has the tuple of the master",
            Self::NotFound => "no such expectation",
            Self::NoHelper => "the master has no helper",
            Self::Invalid => "no such flag, or no such class of the master's helper",
            Self::Exists => "this is expected already",
            Self::Clash => "another expectation waits for the same packet",
            Self::Full => "as many expectations as there may be",
        })
    }
}

impl core::error::Error for ExpectError {}

impl From<Refused> for ExpectError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Already => Self::Exists,
            Refused::Clash => Self::Clash,
            Refused::Full => Self::Full,
        }
    }
}

impl Table {
    /// Makes an expectation (`NLM_F_CREATE | NLM_F_EXCL`).
    ///
    /// # Errors
    /// [`ExpectError`], in the order in which the kernel finds the faults.
    pub fn create_expectation(
        &mut self,
        now: Instant,
        wanted: &NewExpectation,
    ) -> Result<(), ExpectError> {
        let NewExpectation { master, tuple, mask, zone, class, flags } = wanted;
        if flags & !Announcement::ALL != 0 {
            return Err(ExpectError::Invalid);
        }
        self.expire_expectations(now);
        if self.expected(tuple, *zone).is_some() {
            return Err(ExpectError::Exists);
        }
        let (master, _) = self.find(now, master, *zone).ok_or(ExpectError::NoMaster)?;
        let helper = self.helper_of(master).ok_or(ExpectError::NoHelper)?;
        let class = u8::try_from(*class).map_err(|_| ExpectError::Invalid)?;
        let policy = helpers::policy(helper, class, &self.sysctls.modules);
        let policy = policy.ok_or(ExpectError::Invalid)?;
        let request = Request {
            tuple: *tuple,
            mask: over_source(mask, tuple),
            class,
            permanent: flags & Announcement::PERMANENT != 0,
            inactive: flags & Announcement::INACTIVE != 0,
            of_any_master: false,
            assigns: None,
            following: None,
            fulfilled: None,
        };
        let expectation = Expectation {
            request,
            master,
            helper,
            zone: self.zone(master).unwrap_or_default(),
            deadline: timeout::after(now, policy.timeout),
        };
        Ok(self.expect(now, expectation)?)
    }

    /// Sets how many seconds an expectation has from now on.
    ///
    /// # Errors
    /// [`ExpectError::NotFound`].
    pub fn change_expectation(
        &mut self,
        now: Instant,
        tuple: &Tuple,
        zone: Zone,
        seconds: u32,
    ) -> Result<(), ExpectError> {
        self.expire_expectations(now);
        let key = self.expected(tuple, zone).ok_or(ExpectError::NotFound)?;
        let left = timeout::waited(seconds);
        self.expectations.set_deadline(&key, timeout::after(now, left));
        Ok(())
    }

    /// The expectation that a packet with this tuple would fulfil, inactive ones included.
    #[must_use]
    pub fn expectation(&self, now: Instant, tuple: &Tuple, zone: Zone) -> Option<Snapshot> {
        let key = self.expected(tuple, zone)?;
        let expectation = self.expectations.all.get(&key)?;
        let there = !timeout::expired(expectation.deadline, now);
        there.then(|| self.expectation_snapshot(now, expectation))
    }

    /// Takes away the expectation that a packet with this tuple would fulfil.
    ///
    /// # Errors
    /// [`ExpectError::NotFound`].
    pub fn delete_expectation(
        &mut self,
        now: Instant,
        tuple: &Tuple,
        zone: Zone,
    ) -> Result<(), ExpectError> {
        self.expire_expectations(now);
        let key = self.expected(tuple, zone).ok_or(ExpectError::NotFound)?;
        self.remove_expectation(now, &key);
        Ok(())
    }

    /// Takes away all expectations, or those whose masters have the helper of this name. Returns
    /// how many.
    pub fn flush_expectations(&mut self, now: Instant, helper: Option<&str>) -> usize {
        self.expire_expectations(now);
        let all = self.expectations.all.iter();
        let keys: Vec<Key> = all
            .filter(|(_, e)| {
                helper.is_none_or(|name| self.helper(e.master).is_some_and(|of| of == *name))
            })
            .map(|(key, _)| *key)
            .collect();
        keys.iter().for_each(|key| self.remove_expectation(now, key));
        keys.len()
    }

    pub(super) fn expected(&self, tuple: &Tuple, zone: Zone) -> Option<Key> {
        let found = self.expectations.at(tuple).find(|(_, e)| e.takes(tuple, zone));
        found.map(|(key, _)| *key)
    }

    /// What reads a connection.
    fn helper_of(&self, conn: ConnId) -> Option<Instance> {
        self.slots.live(conn).filter(|entry| entry.has(Entry::HELPED))?;
        self.slots.cold(conn.slot)?.helper
    }
}

/// The mask as it is kept: over the source of `tuple`, everything else exact.
fn over_source(mask: &Tuple, tuple: &Tuple) -> Tuple {
    Tuple { source: mask.source, source_port: mask.source_port, ..Request::exact(tuple) }
}
