//! Who is talking to whom: connection tracking as Linux netfilter does it.
//!
//! The walk of a packet: [`Table::track_in`] finds or makes the connection and says the packet's
//! [`CtState`]; [`Table::help`] runs the connection's helper; [`Table::confirm`] puts a new
//! connection into the table when its first packet has survived every hook, and
//! [`Table::discard`] forgets it when it has not.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod beside;
pub mod command;
pub mod complaint;
pub mod confirm;
pub mod conn;
pub mod conncount;
pub mod event;
pub mod expect;
pub mod flow;
mod hash;
pub mod helpers;
mod helping;
mod index;
mod instance;
pub mod invalid;
pub mod listing;
pub mod nat;
pub mod outside;
pub mod policy;
pub mod proto;
pub mod saved;
pub mod seqadj;
pub mod slots;
pub mod synproxy;
pub mod sysctl;
pub mod table;
#[cfg(test)]
mod testing;
pub mod timeout;
pub mod track;
pub mod tuple;
pub mod zone;

pub use conn::{ConnId, CtStatus};
pub use event::Event;
pub use helping::{Care, Ways};
pub use invalid::{Invalid, Reason};
pub use sysctl::Sysctls;
pub use table::Table;
pub use timeout::Timeout;
pub use tuple::{Direction, Tuple};
pub use zone::Zone;

/// Connection state of a packet, as `-m conntrack --ctstate` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtState {
    /// First packet, or further ones before any reply.
    New,
    /// A packet of a connection seen in both directions.
    Established,
    /// First packet of an expected connection, or an ICMP error about a tracked one.
    Related,
    /// Belongs to no connection and can begin none; carries no connection.
    Invalid,
    /// Exempt from tracking.
    Untracked,
}

/// A netfilter hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Hook {
    /// `NF_INET_PRE_ROUTING`.
    Prerouting = 0,
    /// `NF_INET_LOCAL_IN`.
    Input = 1,
    /// `NF_INET_FORWARD`.
    Forward = 2,
    /// `NF_INET_LOCAL_OUT`.
    Output = 3,
    /// `NF_INET_POST_ROUTING`.
    Postrouting = 4,
}

/// What tracking said of one packet: netfilter's `ctinfo` and the connection attached to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// State.
    pub state: CtState,
    /// Direction within the connection; `None` when INVALID or UNTRACKED.
    pub direction: Option<Direction>,
    /// The connection, `None` when INVALID or UNTRACKED.
    pub conn: Option<ConnId>,
    /// Why it is INVALID.
    pub invalid: Option<Invalid>,
}

impl Tracked {
    /// A packet that tracking has not seen or was told to leave alone.
    pub const UNTRACKED: Self =
        Self { state: CtState::Untracked, direction: None, conn: None, invalid: None };

    /// A packet to which a rule has attached a template, until tracking sees it: the template passes
    /// for its connection.
    pub const TEMPLATE: Self = Self {
        state: CtState::New,
        direction: Some(Direction::Original),
        conn: None,
        invalid: None,
    };

    /// What a packet carries that answers this one for its receiver (REJECT): RELATED, the other
    /// way.
    #[must_use]
    pub const fn answered(&self) -> Self {
        match (self.conn, self.direction) {
            (Some(_), Some(direction)) => Self {
                state: CtState::Related,
                direction: Some(direction.invert()),
                conn: self.conn,
                invalid: None,
            },
            _ => Self::UNTRACKED,
        }
    }
}
