//! What must hold of a table after every packet, and when everything has gone.

use keepstate_conntrack::Table;
use keepstate_conntrack::event::Snapshot;
use keepstate_conntrack::helpers::{HELPERS, Helper, Name};
use keepstate_packet::Instant;

/// Bytes that the log gets of one packet.
const COMPLAINT_MAX: usize = 1024;

/// The limits of a table, and what it said when they were last looked at.
pub struct Limits {
    bytes: usize,
    /// Expectations made and gone.
    expected: (u64, u64),
}

impl Limits {
    /// Those of an empty table.
    pub fn of(table: &Table) -> Self {
        Self { bytes: table.bytes(), expected: (0, 0) }
    }

    /// Holds a table to them.
    pub fn hold(&mut self, table: &Table, now: Instant) {
        let sysctls = table.sysctls();
        assert!(table.count() <= sysctls.max as usize, "nf_conntrack_max holds");
        assert_eq!(table.bytes(), self.bytes, "memory is flat");
        let statistics = table.statistics();
        let expected = (statistics.expect_create, statistics.expect_delete);
        if std::mem::replace(&mut self.expected, expected) == expected {
            return;
        }
        let waiting = expected.0 - expected.1;
        assert!(waiting <= u64::from(sysctls.expect_max), "nf_conntrack_expect_max holds");
        let expected = table.expectations(now);
        assert!(expected.len() as u64 <= waiting, "what is listed is counted");
        for one in &expected {
            let alike = expected.iter().filter(|other| of_one_class(one, other)).count();
            let max = class_max(one);
            assert!(max == 0 || alike <= max, "a class of {:?} has its limit", one.helper);
        }
    }

    /// Takes what a table has to say of one packet to the log.
    pub fn hold_complaints(table: &mut Table) {
        assert!(table.take_complaints().len() <= COMPLAINT_MAX, "a packet is worth few lines");
    }

    /// Holds a table to being empty once its connections are flushed.
    pub fn hold_empty(&self, table: &mut Table, now: Instant) {
        table.flush(now);
        assert_eq!(table.count(), 0, "every connection goes");
        assert_eq!(table.kept_beside_count(), 0, "and what was kept of them");
        let statistics = table.statistics();
        assert_eq!(statistics.expect_create, statistics.expect_delete, "expectations go as well");
        assert_eq!(table.bytes(), self.bytes, "memory is flat");
    }
}

fn of_one_class(one: &Snapshot, other: &Snapshot) -> bool {
    let class = |of: &Snapshot| of.announcement.map(|announcement| announcement.class);
    (one.master, one.helper, class(one)) == (other.master, other.helper, class(other))
}

/// Most expectations of the class of this one for one master, 0 for no limit; the same for all
/// protocols of a helper.
fn class_max(one: &Snapshot) -> usize {
    let is_it = |helper: &&Helper| Some(Name::usual(helper.name)) == one.helper;
    let helper = HELPERS.iter().find(is_it).expect("it was announced by a helper");
    let class = one.announcement.expect("it was announced").class as usize;
    helper.policies[class].max as usize
}
