//! Host files: the host that the filter stands on, in TOML. What one holds is in the help of `replay`,
//! and what only a router of live traffic needs in that of `run`; examples/gateway.toml and
//! examples/router are some.

mod facts;
mod links;
mod words;

pub(crate) use links::{Links, OwnTraffic};
pub(crate) use words::{Prefix, interface_name};

use crate::{exit::Exit, policies, terminal::Terminal};
use facts::{PolicyEntry, Realm, SocketEntry};
use keepstate_conntrack::policy::Declaration;
use keepstate_engine::{Forwarding, Host, Interface, InterfaceIndex, Network, Route};
use keepstate_packet::{Address, Family, InterfaceName};
use links::NeighbourEntry;
use serde::Deserialize;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    forwarding: ForwardingWord,
    #[serde(default)]
    local: Vec<Spanned<String>>,
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
    #[serde(default)]
    own_traffic: OwnTraffic,
    #[serde(default)]
    neighbour: Vec<NeighbourEntry>,
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
    name: Spanned<String>,
    mtu: Option<Spanned<u32>>,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
    #[serde(default)]
    group: u32,
    #[serde(default)]
    bridge_ports: Vec<Spanned<String>>,
    hardware: Option<Spanned<String>>,
    #[serde(default)]
    tap: bool,
    #[serde(default)]
    proxy: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteEntry {
    to: Spanned<String>,
    interface: Spanned<String>,
    via: Option<Spanned<String>>,
    #[serde(default)]
    realm: Realm,
}

const fn default_ttl() -> u8 {
    64
}

/// MTU in bytes of an interface of which none is said.
const MTU: u32 = 1500;
/// The smallest MTU that IPv4 works over, in bytes (RFC 791).
const MTU_MIN: u32 = 68;

/// What is wrong with a file, and where.
struct Fault {
    place: Option<Range<usize>>,
    text: String,
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self { place: None, text }
    }
}

impl Fault {
    fn at<T>(spanned: &Spanned<T>, text: impl Into<String>) -> Self {
        Self { place: Some(spanned.span()), text: text.into() }
    }

    /// `FILE:LINE:COLUMN: text`, without the place where there is none.
    fn told(&self, file: &Path, source: &str) -> String {
        let (file, text) = (file.display(), &self.text);
        let Some(place) = &self.place else { return format!("{file}: {text}") };
        let before = source.get(..place.start).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{file}:{line}:{column}: {text}")
    }
}

/// What a host file says.
#[derive(Debug)]
pub(crate) struct Described {
    /// The host.
    pub(crate) host: Host,
    /// Timeout policies.
    pub(crate) declared: Vec<Declaration>,
    /// How a router of live traffic is on its links.
    pub(crate) links: Links,
}

/// Reads the file.
pub(crate) fn load(path: &Path, terminal: &Terminal) -> Result<Described, Exit> {
    let failed = |error: String| {
        terminal.error(error);
        Exit::Usage
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("{}: {error}", path.display())))?;
    parse(&text).map_err(|fault| failed(fault.told(path, &text)))
}

/// Reads what a host file holds: what is wrong with it, and in which bytes where that is known.
pub(crate) fn of_text(text: &str) -> Result<Described, (Option<Range<usize>>, String)> {
    parse(text).map_err(|fault| (fault.place, fault.text))
}

fn parse(text: &str) -> Result<Described, Fault> {
    let file: File = toml::from_str(text)
        .map_err(|error| Fault { place: error.span(), text: error.message().to_owned() })?;
    let declared = policies::of_commands(&file.timeout_policies)?;
    let host = file.host()?;
    let links = Links::of(&file, &host)?;
    Ok(Described { host, declared, links })
}

impl File {
    fn host(&self) -> Result<Host, Fault> {
        let interfaces = self.interfaces()?;
        let routes = self.route.iter().map(|route| route.route(&interfaces));
        let sockets = self.socket.iter().map(SocketEntry::socket);
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
            sockets: sockets.collect::<Result<_, _>>()?,
            policies: self.policy.iter().map(PolicyEntry::policy).collect::<Result<_, _>>()?,
            queues: self.queues.clone(),
            answers_echo: false,
            answers_tcp: false,
            cpu: self.cpu,
            minutes_west: self.minutes_west,
            interfaces,
        })
    }

    fn interfaces(&self) -> Result<Vec<Interface>, Fault> {
        let mut interfaces: Vec<Interface> = Vec::new();
        for entry in &self.interface {
            let interface = entry.interface()?;
            if interfaces.iter().any(|other| other.name == interface.name) {
                let text = format!("there are two interfaces {}", interface.name);
                return Err(Fault::at(&entry.name, text));
            }
            interfaces.push(interface);
        }
        for (bridge, entry) in self.interface.iter().enumerate() {
            for port in &entry.bridge_ports {
                let name = port.get_ref();
                enslave(&mut interfaces, bridge, name)
                    .map_err(|why| Fault::at(port, format!("{name}: {why}")))?;
            }
        }
        if interfaces.is_empty() {
            return Err("a host has at least one [[interface]]".to_owned().into());
        }
        Ok(interfaces)
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
    fn interface(&self) -> Result<Interface, Fault> {
        let name = self.name.get_ref();
        let name = interface_name(name).map_err(|e| Fault::at(&self.name, format!("{name}: {e}")));
        let mtu = match &self.mtu {
            None => MTU,
            Some(mtu) if *mtu.get_ref() >= MTU_MIN => *mtu.get_ref(),
            Some(mtu) => {
                return Err(Fault::at(mtu, format!("an MTU is at least {MTU_MIN} bytes")));
            }
        };
        Ok(Interface {
            addresses: networks(&self.addresses)?,
            group: Some(self.group),
            ..Interface::new(name?, mtu)
        })
    }
}

impl RouteEntry {
    fn route(&self, interfaces: &[Interface]) -> Result<Route, Fault> {
        let interface = interface_of(&self.interface, interfaces)?;
        let destination = network(&self.to)?;
        let gateway = self.via.as_ref().map(|via| gateway(via, destination.family));
        Ok(Route {
            gateway: gateway.transpose()?,
            realm: self.realm.number()?,
            ..Route::new(destination, interface)
        })
    }
}

fn gateway(via: &Spanned<String>, family: Family) -> Result<Address, Fault> {
    match address(via)? {
        (found, address) if found == family => Ok(address),
        _ => Err(Fault::at(via, "the gateway is of another family than the destination")),
    }
}

/// The interface of this name.
fn interface_of(name: &Spanned<String>, interfaces: &[Interface]) -> Result<InterfaceIndex, Fault> {
    let index = interfaces.iter().position(|one| one.name.as_str() == name.get_ref());
    let index = index.and_then(|index| u16::try_from(index).ok()).map(InterfaceIndex);
    index.ok_or_else(|| Fault::at(name, format!("there is no interface {}", name.get_ref())))
}

fn address(text: &Spanned<String>) -> Result<(Family, Address), Fault> {
    let ip: IpAddr = text
        .get_ref()
        .parse()
        .map_err(|_| Fault::at(text, format!("{} is no address", text.get_ref())))?;
    let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
    Ok((family, Address::from(ip)))
}

fn network(text: &Spanned<String>) -> Result<Network, Fault> {
    text.get_ref().parse::<Prefix>().map(|prefix| prefix.0).map_err(|why| Fault::at(text, why))
}

fn networks(texts: &[Spanned<String>]) -> Result<Vec<Network>, Fault> {
    texts.iter().map(network).collect()
}

/// Where packets come in: the interface of this name, else the first one.
pub(crate) fn incoming(host: &Host, name: Option<InterfaceName>) -> Option<InterfaceIndex> {
    let at = match name {
        Some(name) => host.interfaces.iter().position(|interface| interface.name == name)?,
        None => 0,
    };
    u16::try_from(at).ok().map(InterfaceIndex)
}

/// Addresses whose packets are the host's own: on a host that does not forward, those of its
/// interfaces, too.
pub(crate) fn own_addresses(host: &Host, mut local: Vec<Network>) -> Vec<Network> {
    if host.forwarding == Forwarding::Off {
        let addresses = host.interfaces.iter().flat_map(|interface| &interface.addresses);
        local.extend(addresses.map(|network| Network {
            prefix: match network.family {
                Family::V4 => 32,
                Family::V6 => 128,
            },
            ..*network
        }));
        local.extend(&host.local);
    }
    local
}

#[cfg(test)]
mod tests;
