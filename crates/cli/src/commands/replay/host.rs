//! `--host FILE`: the host that the filter stands on, in TOML. What it holds is in the help of
//! `replay`; examples/gateway.toml is one.

mod facts;

use super::Prefix;
use crate::{exit::Exit, policies, terminal::Terminal};
use facts::{PolicyEntry, Realm, SocketEntry};
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
    #[serde(default)]
    all_sockets: bool,
    #[serde(default)]
    socket: Vec<SocketEntry>,
    #[serde(default)]
    policy: Vec<PolicyEntry>,
    #[serde(default)]
    queues: Vec<u16>,
    cpu: Option<u32>,
    minutes_west: Option<i32>,
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
    #[serde(default)]
    group: u32,
    #[serde(default)]
    bridge_ports: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteEntry {
    to: String,
    interface: String,
    #[serde(default)]
    realm: Realm,
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
        let mut interfaces: Vec<Interface> =
            self.interface.iter().map(InterfaceEntry::interface).collect::<Result<_, _>>()?;
        for (bridge, entry) in self.interface.iter().enumerate() {
            for port in &entry.bridge_ports {
                enslave(&mut interfaces, bridge, port).map_err(|e| format!("{port}: {e}"))?;
            }
        }
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
            is_declared: true,
            all_sockets: self.all_sockets,
            sockets: self.socket.into_iter().map(SocketEntry::socket).collect::<Result<_, _>>()?,
            policies: self.policy.iter().map(PolicyEntry::policy).collect::<Result<_, _>>()?,
            queues: self.queues,
            cpu: self.cpu,
            minutes_west: self.minutes_west,
            interfaces,
        })
    }
}

/// Makes an interface a port of a bridge.
fn enslave(interfaces: &mut [Interface], bridge: usize, name: &str) -> Result<(), String> {
    let at = interfaces.iter().position(|interface| interface.name.as_str() == name);
    let at = at.ok_or("a bridge port needs an [[interface]] of its own")?;
    let is_bridge = |index: usize| {
        let ports = |one: &Interface| one.bridge.is_some_and(|of| usize::from(of.0) == index);
        interfaces.iter().any(ports)
    };
    if at == bridge || interfaces[bridge].bridge.is_some() || is_bridge(at) {
        return Err("a bridge is no port of a bridge".to_owned());
    }
    let bridge = u16::try_from(bridge).map_err(|_| "too many interfaces")?;
    if interfaces[at].bridge.replace(InterfaceIndex(bridge)).is_some() {
        return Err("it is a port of one bridge only".to_owned());
    }
    Ok(())
}

impl InterfaceEntry {
    fn interface(&self) -> Result<Interface, String> {
        let name = super::interface_name(&self.name).map_err(|e| format!("{}: {e}", self.name))?;
        Ok(Interface {
            addresses: networks(&self.addresses)?,
            group: Some(self.group),
            ..Interface::new(name, self.mtu)
        })
    }
}

impl RouteEntry {
    fn route(&self, interfaces: &[Interface]) -> Result<Route, String> {
        let index = interfaces.iter().position(|i| i.name.as_str() == self.interface);
        let index = index.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
            format!("route to {}: there is no interface {}", self.to, self.interface)
        })?;
        let destination = self.to.parse::<Prefix>()?.0;
        let realm = self.realm.number()?;
        Ok(Route { destination, interface: InterfaceIndex(index), realm })
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
