//! Packets that the filter itself makes.

use crate::route::InterfaceIndex;
use alloc::vec::Vec;

/// A packet to send: REJECT's answer, an ICMP error of the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Way out.
    pub interface: InterfaceIndex,
    /// From the IP header on.
    pub bytes: Vec<u8>,
}
