//! The trackers, one a protocol.
