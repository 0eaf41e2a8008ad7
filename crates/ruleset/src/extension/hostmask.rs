//! `ADDRESS[/MASK]` of which the address is kept and printed as it was written.

use super::{Arguments, Given, values};
use crate::model::Network;
use alloc::string::String;
use core::fmt::Write;
use keepstate_packet::{Address, Family};

/// An address as written, and the network that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMask {
    /// As written, with bits beyond the mask.
    pub written: Address,
    /// What is compared.
    pub network: Network,
}

impl HostMask {
    /// Reads a value of an option.
    pub fn parse(arguments: &mut Arguments<'_>, given: &Given) -> Option<Self> {
        let family = arguments.family;
        let first = given.value.split_once('/').map_or(given.value.as_str(), |(first, _)| first);
        let found = values::network(&given.value, family).zip(values::address(first, family));
        if found.is_none() {
            arguments.bad_value(given, "an address, or ADDRESS/MASK");
        }
        found.map(|(network, written)| Self { written, network })
    }

    /// Appends the address, and its mask unless that is of all bits.
    pub fn print(&self, out: &mut String, family: Family) {
        let whole = match family {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        let _ = write!(out, "{}", self.written.written(family));
        let _ = match values::prefix_length(self.network.mask, family) {
            Some(length) if length == whole => Ok(()),
            Some(length) => write!(out, "/{length}"),
            None => write!(out, "/{}", self.network.mask.written(family)),
        };
    }
}
