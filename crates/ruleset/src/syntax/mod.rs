//! The languages rule sets are written in.

pub mod iptables_save;
