//! Where packets come from: captures, devices, the clock; every system call of the house.
//!
//! [`run()`] is the one loop: it takes packets from a [`Datapath`], hands them to the engine and
//! sends on what is to leave. A capture ([`replay::Replay`]), a wire between two devices
//! ([`af_packet::Wire`]), a router between several ([`router::Router`]) and [`memory::Memory`] differ
//! in nothing else.
#![deny(unsafe_code)]

pub mod af_packet;
pub mod batch;
pub mod clock;
pub mod memory;
mod offload;
pub mod pcap;
pub mod replay;
pub mod router;
pub mod run;
pub mod sys;

pub use batch::{Batch, Content, Slot};
pub use run::{Datapath, Observer, Outgoing, Received, Seen, run};
