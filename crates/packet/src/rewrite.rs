//! Rewriting in place, checksums following.
