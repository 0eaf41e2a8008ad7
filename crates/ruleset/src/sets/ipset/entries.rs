//! Elements with their extensions: rows of a table that has only the columns its set asks for, so
//! that a million plain addresses are four million bytes.

use alloc::{boxed::Box, vec::Vec};
use keepstate_packet::Instant;

/// Which extensions the elements of a set have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Seconds that an element stays when nothing is said, 0 for ever; `None` without timeouts.
    pub timeout: Option<u32>,
    /// Packets and bytes.
    pub counters: bool,
    /// A text.
    pub comment: bool,
    /// Mark, priority and queue.
    pub skbinfo: bool,
}

impl Extensions {
    /// Bytes of an element as the kernel lays it out: `plain` bytes, then each extension at its
    /// alignment.
    #[must_use]
    pub const fn size(self, plain: u32, align: u32) -> u32 {
        let mut size = plain;
        let mut most = align;
        let columns = [
            (self.counters, 16, 8),
            (self.timeout.is_some(), 8, 8),
            (self.skbinfo, 16, 4),
            (self.comment, 8, 8),
        ];
        let mut at = 0;
        while at < columns.len() {
            #[allow(clippy::indexing_slicing, reason = "a constant array and its own length")]
            let (present, bytes, align) = columns[at];
            if present {
                size = size.next_multiple_of(align) + bytes;
                most = if align > most { align } else { most };
            }
            at += 1;
        }
        size.next_multiple_of(most)
    }
}

/// What `skbinfo` has for an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkbInfo {
    /// Mark and its mask.
    pub mark: (u32, u32),
    /// Priority.
    pub priority: u32,
    /// Hardware queue.
    pub queue: u16,
}

/// What is given with an element that is added; what is not given is the set's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Seconds; 0 for ever.
    pub timeout: Option<u32>,
    /// Nanoseconds beyond the seconds.
    pub timeout_rest: u32,
    /// Packets.
    pub packets: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Text.
    pub comment: Option<Box<str>>,
    /// Mark, priority, queue.
    pub skbinfo: SkbInfo,
    /// Whether any of the three was given.
    pub has_skbinfo: bool,
}

/// Marks of an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// An exception.
    pub nomatch: bool,
    /// The interface is the beginning of names.
    pub wildcard: bool,
}

const NOMATCH: u8 = 1;
const WILDCARD: u8 = 2;
const NANOSECONDS: u64 = 1_000_000_000;

/// The rows.
#[derive(Clone, Debug)]
pub struct Entries {
    width: usize,
    extensions: Extensions,
    keys: Vec<u8>,
    /// Empty while no element has a mark.
    marks: Vec<u8>,
    /// When each goes; 0 for never.
    deadlines: Vec<u64>,
    counters: Vec<(u64, u64)>,
    comments: Vec<Option<Box<str>>>,
    skbinfo: Vec<SkbInfo>,
    free: Vec<u32>,
    rows: u32,
    /// Bytes that comments take in the kernel.
    comment_memory: usize,
    /// No element goes before this.
    earliest: u64,
}

impl Entries {
    /// None, of keys of this width.
    #[must_use]
    pub const fn new(width: usize, extensions: Extensions) -> Self {
        Self {
            width,
            extensions,
            keys: Vec::new(),
            marks: Vec::new(),
            deadlines: Vec::new(),
            counters: Vec::new(),
            comments: Vec::new(),
            skbinfo: Vec::new(),
            free: Vec::new(),
            rows: 0,
            comment_memory: 0,
            earliest: u64::MAX,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows as usize - self.free.len()
    }

    /// Which extensions they have.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// Bytes that comments take in the kernel.
    #[must_use]
    pub const fn comment_memory(&self) -> usize {
        self.comment_memory
    }

    /// The bytes of an element.
    #[inline]
    #[must_use]
    pub fn key(&self, row: u32) -> &[u8] {
        let start = row as usize * self.width;
        self.keys.get(start..start + self.width).unwrap_or(&[])
    }

    /// Changes the bytes of an element.
    pub fn set_key(&mut self, row: u32, key: &[u8]) {
        let start = row as usize * self.width;
        if let Some(to) = self.keys.get_mut(start..start + self.width)
            && key.len() == to.len()
        {
            to.copy_from_slice(key);
        }
    }

    /// A row with everything at its default.
    pub fn add(&mut self, key: &[u8]) -> u32 {
        let row = self.free.pop().unwrap_or(self.rows);
        if row == self.rows {
            self.rows += 1;
            self.keys.resize(self.keys.len() + self.width, 0);
            if !self.marks.is_empty() {
                self.marks.push(0);
            }
            if self.extensions.timeout.is_some() {
                self.deadlines.push(0);
            }
            if self.extensions.counters {
                self.counters.push((0, 0));
            }
            if self.extensions.comment {
                self.comments.push(None);
            }
            if self.extensions.skbinfo {
                self.skbinfo.push(SkbInfo::default());
            }
        }
        self.set_key(row, key);
        row
    }

    /// Takes a row away.
    pub fn remove(&mut self, row: u32) {
        self.set_marks(row, Marks::default());
        self.set_comment(row, None);
        if let Some(counters) = self.counters.get_mut(row as usize) {
            *counters = (0, 0);
        }
        self.free.push(row);
    }

    /// Its marks.
    #[must_use]
    pub fn marks(&self, row: u32) -> Marks {
        let marks = self.marks.get(row as usize).copied().unwrap_or(0);
        Marks { nomatch: marks & NOMATCH != 0, wildcard: marks & WILDCARD != 0 }
    }

    /// Changes its marks.
    pub fn set_marks(&mut self, row: u32, marks: Marks) {
        let bits = u8::from(marks.nomatch) * NOMATCH + u8::from(marks.wildcard) * WILDCARD;
        if bits != 0 && self.marks.is_empty() {
            self.marks.resize(self.rows as usize, 0);
        }
        if let Some(to) = self.marks.get_mut(row as usize) {
            *to = bits;
        }
    }

    /// Sets everything that was given, and the set's defaults for what was not.
    pub fn set_given(&mut self, row: u32, given: &Given, now: Instant) {
        let at = row as usize;
        if let Some(default) = self.extensions.timeout {
            let (seconds, rest) = match given.timeout {
                Some(seconds) => (seconds, given.timeout_rest),
                None => (default, 0),
            };
            self.set_timeout(row, seconds, rest, now);
        }
        if let Some(counters) = self.counters.get_mut(at) {
            // An element that is added again keeps what is not given.
            *counters = (given.packets.unwrap_or(counters.0), given.bytes.unwrap_or(counters.1));
        }
        if let Some(skbinfo) = self.skbinfo.get_mut(at) {
            *skbinfo = given.skbinfo;
        }
        self.set_comment(row, given.comment.clone());
    }

    /// From now on so many seconds, 0 for ever.
    pub fn set_timeout(&mut self, row: u32, seconds: u32, rest: u32, now: Instant) {
        if let Some(deadline) = self.deadlines.get_mut(row as usize) {
            let after = u64::from(seconds) * NANOSECONDS + u64::from(rest);
            *deadline = if after == 0 { 0 } else { now.0.saturating_add(after).max(1) };
            if *deadline != 0 {
                self.earliest = self.earliest.min(*deadline);
            }
        }
    }

    /// Keeps seconds that do not run yet: what stands in the place of the deadline is a duration.
    pub fn set_timeout_waiting(&mut self, row: u32, seconds: u32) {
        if let Some(deadline) = self.deadlines.get_mut(row as usize) {
            *deadline = u64::from(seconds);
        }
    }

    /// What [`Self::set_timeout_waiting`] kept.
    #[must_use]
    pub fn timeout_waiting(&self, row: u32) -> u32 {
        let kept = self.deadlines.get(row as usize).copied().unwrap_or(0);
        u32::try_from(kept).unwrap_or(0)
    }

    fn set_comment(&mut self, row: u32, comment: Option<Box<str>>) {
        const COMMENT_HEAD: usize = 17;
        if let Some(to) = self.comments.get_mut(row as usize) {
            let memory = |text: &Option<Box<str>>| {
                text.as_deref().map_or(0, |text| text.len() + COMMENT_HEAD)
            };
            let comment = comment.filter(|text| !text.is_empty());
            self.comment_memory += memory(&comment);
            self.comment_memory = self.comment_memory.saturating_sub(memory(to));
            *to = comment;
        }
    }

    /// Whether its time is up.
    #[inline]
    #[must_use]
    pub fn is_expired(&self, row: u32, now: Instant) -> bool {
        self.deadlines
            .get(row as usize)
            .is_some_and(|deadline| *deadline != 0 && *deadline <= now.0)
    }

    /// Whether the time of any element can be up.
    #[must_use]
    pub const fn may_expire(&self, now: Instant) -> bool {
        self.earliest <= now.0
    }

    /// Nanoseconds that it stays, 0 for ever; `None` without timeouts.
    #[must_use]
    pub fn remaining(&self, row: u32, now: Instant) -> Option<u64> {
        let deadline = self.deadlines.get(row as usize)?;
        Some(if *deadline == 0 { 0 } else { deadline.saturating_sub(now.0).max(1) })
    }

    /// Packets and bytes.
    #[must_use]
    pub fn counters(&self, row: u32) -> Option<(u64, u64)> {
        self.counters.get(row as usize).copied()
    }

    /// Counts a packet.
    pub fn count_packet(&mut self, row: u32, bytes: u64) {
        if let Some(counters) = self.counters.get_mut(row as usize) {
            *counters = (counters.0.wrapping_add(1), counters.1.wrapping_add(bytes));
        }
    }

    /// Its text.
    #[must_use]
    pub fn comment(&self, row: u32) -> Option<&str> {
        self.comments.get(row as usize)?.as_deref()
    }

    /// Mark, priority, queue.
    #[must_use]
    pub fn skbinfo(&self, row: u32) -> Option<SkbInfo> {
        self.skbinfo.get(row as usize).copied()
    }
}
