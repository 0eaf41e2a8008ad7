//! What rules ask of the host that the filter stands on: facts that are in no packet. The host model
//! answers; what it does not declare is unknown.

use alloc::{string::String, vec::Vec};
use core::fmt::Debug;
use keepstate_conntrack::Hook;
use keepstate_packet::{
    Address, Family, InterfaceName, L4, Parsed, Quoted, icmp, icmpv6, tcp, udp,
};

/// What the host model answers to rules about a packet and its host. `None` is "unknown", which is
/// also what each of them says by itself.
pub trait HostFacts: Debug {
    /// Type of an address as the routing table sees it; with `interface`, as seen from that
    /// interface alone (`--limit-iface-in`, `--limit-iface-out`).
    fn address_type(
        &self,
        family: Family,
        address: Address,
        interface: Option<InterfaceName>,
    ) -> AddressType;

    /// How an answer to this source would leave, when the packet came in on `interface`.
    fn reverse_path(
        &self,
        family: Family,
        source: Address,
        interface: InterfaceName,
    ) -> Option<ReversePath> {
        let _ = (family, source, interface);
        None
    }

    /// MTU of an interface in bytes.
    fn interface_mtu(&self, interface: InterfaceName) -> Option<u32> {
        let _ = interface;
        None
    }

    /// MTU in bytes of the way to an address.
    fn route_mtu(&self, family: Family, address: Address) -> Option<u32> {
        let _ = (family, address);
        None
    }

    /// The group of an interface (`ip link set group`), 0 where none is set.
    fn interface_group(&self, interface: InterfaceName) -> Option<u32> {
        let _ = interface;
        None
    }

    /// The ports of a bridge that the packet passes.
    fn bridge_ports(&self) -> Option<BridgePorts> {
        None
    }

    /// Whose packet this is, on its way out.
    fn sender(&self, packet: &Parsed) -> Option<Sender<'_>> {
        let _ = packet;
        None
    }

    /// The socket that what comes in is for, by the ends of a packet.
    fn receiver(&self, ends: &Ends) -> Option<Option<&Socket>> {
        let _ = ends;
        None
    }

    /// What IPsec has undone (`In`) or is going to do to the packet (`Out`), the innermost
    /// transformation first; nothing where no policy applies.
    fn policy(&self, direction: PolicyDirection, packet: &Parsed) -> Option<&[Transformation]> {
        let _ = (direction, packet);
        None
    }

    /// The realms of the packet's route: that of the source in the upper 16 bits, that of the
    /// destination in the lower ones.
    fn realm(&self, hook: Hook, packet: &Parsed) -> Option<u32> {
        let _ = (hook, packet);
        None
    }

    /// The address that a connection gets which leaves as the packet does (`MASQUERADE`), and the number
    /// of the interface. `None`: there is none.
    fn masquerade(&self, packet: &Parsed) -> Option<(Address, u16)> {
        let _ = packet;
        None
    }

    /// The address of the host at which the packet is taken in that came in for somebody else
    /// (`REDIRECT`): one of the interface that it came in on. `None`: there is none.
    fn own_address(&self, packet: &Parsed) -> Option<Address> {
        let _ = packet;
        None
    }

    /// Whether the packet belongs to a connection of the IPVS load balancer.
    fn is_balanced(&self) -> Option<bool> {
        None
    }

    /// Whether a program listens to a queue (`NFQUEUE`).
    fn listens(&self, queue: u16) -> bool {
        let _ = queue;
        false
    }

    /// Which processor works on packets, where it is always the same one.
    fn cpu(&self) -> Option<u32> {
        None
    }

    /// The time zone that the kernel keeps (`settimeofday(2)`), in minutes west of Greenwich.
    fn minutes_west(&self) -> Option<i32> {
        None
    }
}

/// `addrtype` (iptables-extensions(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum AddressType {
    Unspec,
    Unicast,
    Local,
    Broadcast,
    Anycast,
    Multicast,
    Blackhole,
    Unreachable,
    Prohibit,
    Throw,
    Nat,
    Xresolve,
}

/// How an answer to a packet would leave the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// By a route to somebody else's address.
    Route {
        /// Out of the interface that the packet came in on.
        same: bool,
    },
    /// Nowhere: the source is an address of the host itself.
    Own {
        /// One of the interface that the packet came in on.
        same: bool,
    },
    /// Nowhere: there is no route, or it leads to no single host.
    None,
}

/// The ports of a bridge that a packet passes; neither, when it passes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgePorts {
    /// The port that it came in by.
    pub input: Option<InterfaceName>,
    /// The port that it leaves by, where it is bridged and not routed.
    pub output: PortOut,
}

/// See [`BridgePorts::output`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortOut {
    /// It is not bridged, or not yet on its way out.
    None,
    /// This one.
    Port(InterfaceName),
    /// One of several: the bridge learns which, the host model does not say.
    Several,
}

/// Whose packet it is that leaves the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender<'a> {
    /// No socket's: it is forwarded, or the filter made it.
    Nobody,
    /// The kernel's own: it has a socket that no program has opened.
    Kernel,
    /// A program's.
    Socket(&'a Socket),
}

/// A socket that a program of the host has open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    /// Its IP protocol.
    pub protocol: u8,
    /// Its own end.
    pub local: End,
    /// Its peer's, when it is connected.
    pub remote: Option<End>,
    /// Who owns it: the user.
    pub uid: Option<u32>,
    /// Who owns it: the group.
    pub gid: Option<u32>,
    /// Further groups of its owner.
    pub groups: Vec<u32>,
    /// The control group (version 2) that it was made in, from the root on: `/system.slice/ssh.service`.
    pub cgroup: Option<String>,
    /// Its `net_cls` class (control groups version 1).
    pub classid: Option<u32>,
    /// `IP_TRANSPARENT` is set.
    pub is_transparent: bool,
    /// `SO_MARK`.
    pub mark: u32,
}

/// An end of a socket; what is `None` is anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Family, of one that takes addresses of one family only.
    pub family: Option<Family>,
    /// Address.
    pub address: Option<Address>,
    /// Port.
    pub port: Option<u16>,
}

impl End {
    /// Whether an address and port are this end's.
    #[must_use]
    pub fn holds(&self, family: Family, address: Address, port: Option<u16>) -> bool {
        self.family.is_none_or(|own| own == family)
            && self.address.is_none_or(|own| own == address)
            && (self.port.is_none() || self.port == port)
    }
}

/// Protocol, addresses and ports, seen by the host: `local` is its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Family.
    pub family: Family,
    /// IP protocol.
    pub protocol: u8,
    /// The host's address and port.
    pub local: (Address, Option<u16>),
    /// The other's.
    pub remote: (Address, Option<u16>),
}

impl Ends {
    /// Of a TCP or UDP packet that comes in; `None` for any other.
    #[must_use]
    pub fn of_received(packet: &Parsed) -> Option<Self> {
        let (source, destination) = match packet.l4 {
            L4::Tcp(header) => (header.source_port, header.destination_port),
            L4::Udp(header) => (header.source_port, header.destination_port),
            _ => return None,
        };
        Some(Self {
            family: packet.family,
            protocol: packet.protocol,
            local: (packet.destination, Some(destination)),
            remote: (packet.source, Some(source)),
        })
    }

    /// Of the TCP or UDP packet that an ICMP error is about: the host has sent that one.
    #[must_use]
    pub fn of_error(packet: &Parsed, bytes: &[u8]) -> Option<Self> {
        let is_error = match packet.l4 {
            L4::Icmp(header) => icmp::is_error(header.kind),
            L4::Icmpv6(header) => icmpv6::is_error(header.kind),
            _ => false,
        };
        let quoted = Quoted::of(packet, bytes).filter(|_| is_error)?;
        let (source, destination) = quoted.ports()?;
        matches!(quoted.protocol, tcp::PROTOCOL | udp::PROTOCOL).then_some(Self {
            family: packet.family,
            protocol: quoted.protocol,
            local: (quoted.source, Some(source)),
            remote: (quoted.destination, Some(destination)),
        })
    }

    /// Of a packet that the host sends, of any protocol.
    #[must_use]
    pub fn of_sent(packet: &Parsed) -> Self {
        let ports = match packet.l4 {
            L4::Tcp(header) => Some((header.source_port, header.destination_port)),
            L4::Udp(header) | L4::UdpLite(header) => {
                Some((header.source_port, header.destination_port))
            }
            _ => None,
        };
        Self {
            family: packet.family,
            protocol: packet.protocol,
            local: (packet.source, ports.map(|ports| ports.0)),
            remote: (packet.destination, ports.map(|ports| ports.1)),
        }
    }
}

impl Socket {
    /// Whether packets between these ends are this socket's.
    #[must_use]
    pub fn holds(&self, ends: &Ends) -> bool {
        let holds = |end: &End, (address, port)| end.holds(ends.family, address, port);
        self.protocol == ends.protocol
            && holds(&self.local, ends.local)
            && self.remote.as_ref().is_none_or(|remote| holds(remote, ends.remote))
    }

    /// Whether it is connected, or else waits for anybody.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.remote.is_some()
    }
}

/// Which packets an IPsec policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyDirection {
    /// What has come in under its protection.
    In,
    /// What is to leave under it.
    Out,
}

/// One transformation of an IPsec policy, and the security association that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transformation {
    /// The number that ties associations to the policy.
    pub reqid: u32,
    /// Security parameter index.
    pub spi: u32,
    /// 50 (ESP), 51 (AH) or 108 (IPComp).
    pub protocol: u8,
    /// How.
    pub mode: PolicyMode,
    /// Outer source of a tunnel.
    pub tunnel_source: Address,
    /// Outer destination of a tunnel.
    pub tunnel_destination: Address,
}

/// Modes of IPsec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyMode {
    /// The header stays.
    Transport,
    /// The packet travels in another one.
    Tunnel,
}
