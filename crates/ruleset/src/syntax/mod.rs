//! The languages rule sets are written in.
