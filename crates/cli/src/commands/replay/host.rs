//! `--host FILE`: the host that the filter stands on, in TOML. What it holds is in the help of
//! `replay`; examples/gateway.toml is one.

use super::Prefix;
use crate::{exit::Exit, policies, terminal::Terminal};
use keepstate_conntrack::policy::Declaration;
use keepstate_engine::{Forwarding, Host, Interface, InterfaceIndex, Network, Route};
use keepstate_packet::InterfaceName;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    forwarding: ForwardingWord,
    #[serde(default)]
    local: Vec<String>,
    #[serde(default)]
    interface: Vec<InterfaceEntry>,
    #[serde(default)]
    route: Vec<RouteEntry>,
    #[serde(default = "default_ttl")]
    default_ttl: u8,
    #[serde(default)]
    timeout_policies: Vec<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ForwardingWord {
    #[default]
    Router,
    Wire,
    Off,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterfaceEntry {
    name: String,
    #[serde(default = "default_mtu")]
    mtu: u32,
    #[serde(default)]
    addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteEntry {
    to: String,
    interface: String,
}

const fn default_ttl() -> u8 {
    64
}

const fn default_mtu() -> u32 {
    1500
}

/// Reads the file.
pub(super) fn load(path: &Path, terminal: &Terminal) -> Result<(Host, Vec<Declaration>), Exit> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let host = text.and_then(|text| {
        let file: File = toml::from_str(&text).map_err(|error| error.to_string())?;
        let declared = policies::of_commands(&file.timeout_policies)?;
        Ok((file.host()?, declared))
    });
    host.map_err(|error| {
        terminal.error(format_args!("{}: {error}", path.display()));
        Exit::Usage
    })
}

impl File {
    fn host(self) -> Result<Host, String> {
        let interfaces: Vec<Interface> =
            self.interface.iter().map(InterfaceEntry::interface).collect::<Result<_, _>>()?;
        if interfaces.is_empty() {
            return Err("a host has at least one [[interface]]".to_owned());
        }
        let routes = self.route.iter().map(|route| route.route(&interfaces));
        Ok(Host {
            routes: routes.collect::<Result<_, _>>()?,
            forwarding: match self.forwarding {
                ForwardingWord::Router => Forwarding::Router,
                ForwardingWord::Wire => Forwarding::Wire,
                ForwardingWord::Off => Forwarding::Off,
            },
            local: networks(&self.local)?,
            default_ttl: self.default_ttl.max(1),
            interfaces,
        })
    }
}

impl InterfaceEntry {
    fn interface(&self) -> Result<Interface, String> {
        let name = super::interface_name(&self.name).map_err(|e| format!("{}: {e}", self.name))?;
        Ok(Interface { name, mtu: self.mtu, addresses: networks(&self.addresses)? })
    }
}

impl RouteEntry {
    fn route(&self, interfaces: &[Interface]) -> Result<Route, String> {
        let index = interfaces.iter().position(|i| i.name.as_str() == self.interface);
        let index = index.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
            format!("route to {}: there is no interface {}", self.to, self.interface)
        })?;
        let destination = self.to.parse::<Prefix>()?.0;
        Ok(Route { destination, interface: InterfaceIndex(index) })
    }
}

fn networks(texts: &[String]) -> Result<Vec<Network>, String> {
    texts.iter().map(|text| text.parse::<Prefix>().map(|prefix| prefix.0)).collect()
}

/// Where packets come in: the interface of this name, else the first one.
pub(super) fn incoming(host: &Host, name: Option<InterfaceName>) -> Option<InterfaceIndex> {
    let at = match name {
        Some(name) => host.interfaces.iter().position(|interface| interface.name == name)?,
        None => 0,
    };
    u16::try_from(at).ok().map(InterfaceIndex)
}

/// Addresses whose packets are the host's own: on a host that does not forward, those of its
/// interfaces, too.
pub(super) fn own_addresses(host: &Host, mut local: Vec<Network>) -> Vec<Network> {
    if host.forwarding == Forwarding::Off {
        let addresses = host.interfaces.iter().flat_map(|interface| &interface.addresses);
        local.extend(addresses.map(|network| Network {
            prefix: match network.family {
                keepstate_packet::Family::V4 => 32,
                keepstate_packet::Family::V6 => 128,
            },
            ..*network
        }));
        local.extend(&host.local);
    }
    local
}
