//! One packet in, one disposition out. Does no I/O and reads no clock: packets, the time and the
//! seed are arguments; what it wants to send or say is polled.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;

mod answer;
pub mod bridge;
pub mod cause;
pub mod command;
pub mod defrag;
mod duplicate;
pub mod engine;
pub mod event;
mod facts;
mod forward;
mod helped;
pub mod hooks;
mod options;
mod own;
mod receive;
pub mod recorder;
mod reject;
pub mod route;
mod routing;
mod rules;
mod synproxy;
pub mod tracking;
pub mod transmit;
mod walk;

pub use cause::Cause;
pub use command::{Command, CommandError, Reply};
pub use engine::{
    BATCH_MAX, Disposition, Engine, Output, Packet, PolicyOrRule, UnknownMatch, Verdict,
};
pub use event::{Event, Timer};
pub use recorder::Recorder;
pub use route::{Forwarding, Host, Interface, InterfaceIndex, IpsecPolicy, Network, Route, Routed};
pub use tracking::Tracking;
pub use transmit::{Origin, Transmit};
