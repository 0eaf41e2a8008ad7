//! The host model: which interfaces and addresses there are, where packets go.

use alloc::vec::Vec;
use keepstate_packet::{Address, Family, InterfaceName};

/// Index into [`Host::interfaces`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceIndex(pub u16);

/// An interface of the host.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Name.
    pub name: InterfaceName,
    /// MTU in bytes.
    pub mtu: u32,
    /// Addresses with their prefix lengths.
    pub addresses: Vec<(Family, Address, u8)>,
}

/// A route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Family.
    pub family: Family,
    /// Destination.
    pub destination: Address,
    /// Prefix length.
    pub prefix: u8,
    /// Way out.
    pub interface: InterfaceIndex,
}

/// How packets that are not for the host go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// By the routes; TTL is decremented, martians are dropped, as a Linux router does.
    Router,
    /// A bump in the wire: out of the other one of two interfaces, unchanged.
    Wire,
    /// Not at all.
    Off,
}

/// The host that the filter stands on.
#[derive(Clone, Debug)]
pub struct Host {
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Forwarding.
    pub forwarding: Forwarding,
    /// Addresses of the host besides those of its interfaces (`--local`), as networks.
    pub local: Vec<(Family, Address, u8)>,
}
