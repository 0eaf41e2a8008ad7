//! One packet in, one disposition out. Does no I/O and reads no clock: packets, the time and the
//! seed are arguments; what it wants to send or say is polled.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cause;
pub mod engine;
pub mod hooks;
pub mod route;
pub mod transmit;

pub use cause::Cause;
pub use engine::{Disposition, Engine, Output, Packet, PolicyOrRule, Verdict};
pub use route::{Host, InterfaceIndex};
pub use transmit::Transmit;
