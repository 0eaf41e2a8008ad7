//! What the administrator wrote: rule sets read, evaluated and printed.
//!
//! A file becomes a [`model::Ruleset`] through [`syntax::iptables_save::parse`];
//! [`evaluate::evaluate`] walks a chain for one packet. Every match and every target is one file,
//! listed in [`matches::MATCHES`] or [`targets::TARGETS`].
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;

pub mod diagnostic;
pub mod effect;
pub mod evaluate;
pub mod explain;
pub mod extension;
pub mod kept;
pub mod labels;
pub mod matches;
pub mod model;
pub mod nat_range;
pub mod needs;
pub mod packet_set;
pub mod sets;
pub mod standard;
pub mod syntax;
pub mod targets;
#[cfg(test)]
mod testing;
pub mod verdict;
