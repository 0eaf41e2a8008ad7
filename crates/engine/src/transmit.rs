//! Packets that the filter itself makes, and pieces of datagrams that came in pieces.

use crate::route::InterfaceIndex;
use alloc::{collections::VecDeque, vec::Vec};
use keepstate_packet::Address;

/// Most packets that wait to be polled; what is made beyond is lost and counted.
pub const TRANSMITS_MAX: usize = 1024;

/// What a packet to send is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The filter made it: REJECT's answer, an ICMP error of the router.
    Made,
    /// A copy that `TEE` has made, for this gateway, wherever the copy itself says that it goes.
    Copied(Address),
    /// A piece of what leaves, or all of it: the packet handled completed a datagram that came in
    /// fragments, or had to be cut.
    Forwarded,
}

/// A packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// What it is.
    pub origin: Origin,
    /// Way out.
    pub interface: InterfaceIndex,
    /// Which packet of the batch it answers or completes; 0 after [`crate::Engine::handle_packet`].
    pub answers: u32,
    /// From the IP header on.
    pub bytes: Vec<u8>,
}

/// A bounded queue: what does not fit is counted instead.
#[derive(Debug)]
pub(crate) struct Bounded<T> {
    waiting: VecDeque<T>,
    max: usize,
    lost_count: u64,
}

impl<T> Bounded<T> {
    pub(crate) const fn new(max: usize) -> Self {
        Self { waiting: VecDeque::new(), max, lost_count: 0 }
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.waiting.len() < self.max {
            self.waiting.push_back(item);
        } else {
            self.lost_count += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.waiting.pop_front()
    }

    pub(crate) const fn lost_count(&self) -> u64 {
        self.lost_count
    }
}
