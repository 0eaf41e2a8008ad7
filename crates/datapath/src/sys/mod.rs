//! System calls: the only place with unsafe code. Each file wraps one facility of the kernel in a
//! safe type; none decides anything.
#![allow(unsafe_code, reason = "system calls")]

pub mod interface;
pub mod namespace;
pub mod netlink;
pub mod packet;
pub mod raw;
pub mod signal;
pub mod tap;
pub mod terminal;
pub mod tick;
pub mod zone;
