//! What the targets share: packets, a client and a server with a connection table between them, and
//! what must hold of a table whatever they say.

mod between;
mod limits;

pub use between::{Between, Connection, End};
pub use limits::Limits;

/// Protocol numbers.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;
/// See [`TCP`].
pub const GRE: u8 = 47;

/// TCP flags.
pub const SYN: u8 = 2;
/// See [`SYN`].
pub const PSH: u8 = 8;
/// See [`SYN`].
pub const ACK: u8 = 16;
