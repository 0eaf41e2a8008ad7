//! Counters (`conntrack -S`). A filter that works on one thread counts as one processor.

use crate::table::Statistics;
use core::fmt;

/// The counters of connections of one processor, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct CpuLine<'a> {
    /// Which processor.
    pub cpu: u32,
    /// What it counted.
    pub statistics: &'a Statistics,
}

impl fmt::Display for CpuLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.statistics;
        write!(f, "cpu={:<4}\t", self.cpu)?;
        // `found`, `search_restart` and `chaintoolong` tell of the kernel's own table: of its search
        // for free ports, its rehashing and its chains. `insert` counts what programs put there, not
        // what packets make.
        let counters = [
            ("found", 0),
            ("invalid", counted.invalid),
            ("insert", 0),
            ("insert_failed", counted.insert_failed),
            ("drop", counted.drop),
            ("early_drop", counted.early_drop),
            ("error", counted.error),
            ("search_restart", 0),
            ("clash_resolve", counted.clash_resolve),
            ("chaintoolong", 0),
        ];
        counters.iter().try_for_each(|(name, count)| write!(f, "{name}={count} "))
    }
}

/// The counters of expectations of one processor, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct ExpectCpuLine<'a> {
    /// Which processor.
    pub cpu: u32,
    /// What it counted.
    pub statistics: &'a Statistics,
}

impl fmt::Display for ExpectCpuLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.statistics;
        write!(f, "cpu={:<4}\t", self.cpu)?;
        write!(f, "expect_new={} ", counted.expect_new)?;
        write!(f, "expect_create={} ", counted.expect_create)?;
        write!(f, "expect_delete={} ", counted.expect_delete)
    }
}
