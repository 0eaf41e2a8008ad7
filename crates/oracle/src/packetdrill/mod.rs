//! packetdrill scripts about connection tracking, such as the kernel's own: packets of a host and of
//! its peer, and shell commands that look at the connection table in between.
//!
//! packetdrill tests a host's TCP; here both directions are packets that cross a filter, the host's
//! behind `eth0` and its peer's behind `eth1`. System calls are passed over: the script says what
//! they send. Rules of INPUT and OUTPUT become rules of FORWARD for packets from the peer and from
//! the host. Each script runs over IPv4 and IPv6, through the engine and through the kernel; its
//! commands have to succeed, what the host sends has to pass, and both have to say the same of every
//! packet.

mod associations;
mod pattern;
mod rules;
mod run;
mod script;
mod segments;
mod shell;

pub use run::{Fault, run};
