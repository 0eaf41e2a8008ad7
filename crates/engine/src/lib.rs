//! One packet in, one disposition out. Does no I/O and reads no clock: packets, the time and the
//! seed are arguments; what it wants to send or say is polled.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cause;
pub mod command;
pub mod engine;
pub mod hooks;
pub mod recorder;
pub mod route;
pub mod transmit;

pub use cause::Cause;
pub use command::{Command, CommandError, Reply};
pub use engine::{
    BATCH_MAX, Disposition, Engine, Event, Output, Packet, PolicyOrRule, Timer, Verdict,
};
pub use recorder::Recorder;
pub use route::{Forwarding, Host, Interface, InterfaceIndex, Network, Route, Routed};
pub use transmit::Transmit;
