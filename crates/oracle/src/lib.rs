//! The running kernel's netfilter as judge.
//!
//! [`kernel::Kernel`] is a router in a network namespace of its own; [`model::Model`] is the
//! engine with the same interfaces, rules and sysctls. Both take the same packets and give the
//! same kind of [`observation::Observation`]; [`verify`] sets them side by side, [`fuzz`] makes
//! the packets, `shrink` looks for the shortest ones that still differ. [`spec`] runs the cases that
//! people write.
#![forbid(unsafe_code)]

mod attribute;
mod bench;
mod beside;
pub mod compare;
mod ctnetlink;
pub mod describe;
mod follow;
pub mod fuzz;
pub mod kernel;
pub mod logged;
pub mod model;
pub mod namespace;
pub mod nfqueue;
pub mod observation;
pub mod packetdrill;
mod parameters;
mod peers;
mod probe;
pub mod relocate;
mod shrink;
pub mod spec;
pub mod verify;
