//! What is on the wire.
//!
//! A packet is parsed once ([`Parsed::new`]); everything later reads the parsed value. It holds
//! offsets and copies of the fields that tracking and rules read, and borrows nothing, so the
//! bytes may be rewritten (TTL, NAT) while it is alive; functions that need the bytes take them
//! beside it.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod address;
pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod gre;
pub mod hop_by_hop;
pub mod icmp;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod link;
pub mod nflog;
pub mod parsed;
pub mod quoted;
mod read;
pub mod rewrite;
pub mod sctp;
pub mod tcp;
pub mod time;
pub mod udp;

pub use address::{Address, Family};
pub use link::{
    InterfaceName, LinkInfo, LinkType, NetworkPacket, PacketType, Skipped, network_packet,
};
pub use parsed::{Fragment, L4, Malformed, Parsed};
pub use quoted::Quoted;
pub use time::Instant;
