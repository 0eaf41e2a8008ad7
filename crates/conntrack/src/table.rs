//! The connection table.

use crate::conn::ConnId;
use crate::sysctl::Sysctls;
use crate::zone::Zone;
use crate::{Event, Hook, Tracked, event::Snapshot};
use keepstate_packet::{Instant, Parsed};

/// What a rule in the raw table decides for a packet before tracking sees it (`-j CT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// `--notrack`.
    pub notrack: bool,
    /// `--zone`, `--zone-orig`, `--zone-reply`.
    pub zone: Zone,
    /// `--helper`, as an index into [`crate::helpers`]' list.
    pub helper: Option<u16>,
    /// `--ctevents` bits; `None` for all.
    pub event_mask: Option<u32>,
}

/// Why [`Table::confirm`] or [`Table::help`] says that the packet is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// The helper refused the packet.
    Helper,
    /// Somebody else took the tuple meanwhile.
    Clash,
    /// The table is full.
    TableFull,
}

/// The connection table.
#[derive(Debug)]
pub struct Table {
    sysctls: Sysctls,
}

impl Table {
    /// An empty table. `seed` keys the hash and everything drawn at random.
    #[must_use]
    pub fn new(seed: [u64; 2], sysctls: Sysctls) -> Self {
        let _ = seed;
        Self { sysctls }
    }

    /// The sysctls.
    #[must_use]
    pub fn sysctls(&self) -> &Sysctls {
        &self.sysctls
    }

    /// The sysctls, to change them.
    pub fn sysctls_mut(&mut self) -> &mut Sysctls {
        &mut self.sysctls
    }

    /// Conntrack's own hook (priority -200 in PREROUTING and OUTPUT): finds the packet's
    /// connection or makes an unconfirmed one. `Err` when the packet is to be dropped there
    /// (table full).
    ///
    /// # Errors
    /// [`Drop`] when the packet is dropped at this hook.
    pub fn track_in(
        &mut self,
        now: Instant,
        hook: Hook,
        packet: &Parsed,
        bytes: &[u8],
        template: &Template,
    ) -> Result<Tracked, Drop> {
        let _ = (now, hook, packet, bytes, template);
        Ok(Tracked::UNTRACKED)
    }

    /// Runs the connection's helper (priority 300 in INPUT and POSTROUTING).
    ///
    /// # Errors
    /// [`Drop::Helper`] when the helper wants the packet dropped.
    pub fn help(
        &mut self,
        now: Instant,
        tracked: &Tracked,
        packet: &Parsed,
        bytes: &[u8],
    ) -> Result<(), Drop> {
        let _ = (now, tracked, packet, bytes);
        Ok(())
    }

    /// Confirms a new connection whose packet has survived every hook (last in INPUT and
    /// POSTROUTING).
    ///
    /// # Errors
    /// [`Drop`] when it cannot be put into the table.
    pub fn confirm(&mut self, now: Instant, tracked: &Tracked) -> Result<(), Drop> {
        let _ = (now, tracked);
        Ok(())
    }

    /// Forgets the unconfirmed connection of a packet that was dropped.
    pub fn discard(&mut self, tracked: &Tracked) {
        let _ = tracked;
    }

    /// A connection as listings show it; `None` when it has gone.
    #[must_use]
    pub fn snapshot(&self, now: Instant, conn: ConnId) -> Option<Snapshot> {
        let _ = (now, conn);
        None
    }

    /// The mark of a connection; `None` when it has gone. Rules read it once a packet.
    #[must_use]
    pub fn mark(&self, conn: ConnId) -> Option<u32> {
        let _ = conn;
        None
    }

    /// Sets the mark of a connection, confirmed or not (`-j CONNMARK`). A change of a confirmed
    /// one is an UPDATE event.
    pub fn set_mark(&mut self, now: Instant, conn: ConnId, mark: u32) {
        let _ = (now, conn, mark);
    }

    /// The oldest event not yet taken.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
