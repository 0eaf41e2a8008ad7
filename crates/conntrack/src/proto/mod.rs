//! The trackers, one a protocol.

pub mod tcp;
