//! What rules write onto a connection besides its mark: labels and security contexts.

use crate::conn::ConnId;
use crate::event::Changes;
use crate::table::Table;
use alloc::sync::Arc;

/// How many labels a connection can have.
pub const LABELS_MAX: u16 = 128;

/// Most security contexts that a table keeps; rules name them.
pub const CONTEXTS_MAX: usize = 4096;

impl Table {
    /// Says whether rules use labels: connections that are made while none does have none, ever.
    pub fn set_labels_used(&mut self, used: bool) {
        self.labels_used = used;
    }

    /// The labels of a connection, bit by number; `None` when it has gone or was made while no rule
    /// used any.
    #[must_use]
    pub fn labels(&self, conn: ConnId) -> Option<u128> {
        self.slots.live(conn)?;
        self.slots.cold(conn.slot)?.labels
    }

    /// Gives a connection a label, `number` below [`LABELS_MAX`]. False when it can have none.
    pub fn set_label(&mut self, conn: ConnId, number: u16) -> bool {
        let Some(before) = self.labels(conn).filter(|_| number < LABELS_MAX) else { return false };
        let after = before | 1 << number;
        if after != before {
            if let Some(cold) = self.slots.cold_mut(conn.slot) {
                cold.labels = Some(after);
            }
            self.change(conn, Changes::LABEL);
        }
        true
    }

    /// The mark that stands for a security context; a new one is remembered. `None` when there are
    /// [`CONTEXTS_MAX`] others.
    pub fn secmark_of(&mut self, context: &str) -> Option<u32> {
        let known = self.contexts.iter().position(|known| **known == *context);
        let at = match known {
            Some(at) => at,
            None if self.contexts.len() < CONTEXTS_MAX => {
                self.contexts.push(Arc::from(context));
                self.contexts.len() - 1
            }
            None => return None,
        };
        u32::try_from(at + 1).ok()
    }

    pub(crate) fn context(&self, secmark: u32) -> Option<Arc<str>> {
        self.contexts.get((secmark as usize).checked_sub(1)?).cloned()
    }

    /// The security mark of a connection, 0 for none.
    #[must_use]
    pub fn secmark(&self, conn: ConnId) -> u32 {
        let live = self.slots.live(conn).and_then(|_| self.slots.cold(conn.slot));
        live.map_or(0, |cold| cold.secmark)
    }

    /// Sets the security mark of a connection that has none yet.
    pub fn set_secmark(&mut self, conn: ConnId, secmark: u32) {
        if secmark == 0 || self.slots.live(conn).is_none() {
            return;
        }
        let Some(cold) = self.slots.cold_mut(conn.slot).filter(|cold| cold.secmark == 0) else {
            return;
        };
        cold.secmark = secmark;
        self.change(conn, Changes::SECMARK);
    }

    /// Remembers a change for the end of the packet's walk.
    fn change(&mut self, conn: ConnId, change: Changes) {
        if self.events.is_on()
            && let Some(entry) = self.slots.live_mut(conn)
        {
            entry.pending |= change.0;
        }
    }
}

#[cfg(test)]
mod tests;
