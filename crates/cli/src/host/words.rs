//! Words that host files and options share.

use keepstate_engine::Network;
use keepstate_packet::{Address, Family, InterfaceName};
use std::net::IpAddr;
use std::str::FromStr;

/// `ADDR` or `ADDR/LEN`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix(pub(crate) Network);

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|_| format!("{address} is no address"))?;
        let (family, longest) = match ip {
            IpAddr::V4(_) => (Family::V4, 32),
            IpAddr::V6(_) => (Family::V6, 128),
        };
        let prefix = match length {
            None => longest,
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= longest)
                .ok_or_else(|| format!("/{length} is no prefix length up to {longest}"))?,
        };
        Ok(Self(Network { family, address: Address::from(ip), prefix }))
    }
}

pub(crate) fn interface_name(text: &str) -> Result<InterfaceName, String> {
    InterfaceName::new(text).ok_or_else(|| {
        "an interface name has 1 to 15 bytes and neither blanks nor slashes".to_owned()
    })
}
