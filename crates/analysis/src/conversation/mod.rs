//! Conversations: what hosts say to each other, packet by packet, each step depending on what became
//! of the ones before it.
//!
//! A [`Script`] is a script and no capture: an end answers only what reached it, to the addresses that
//! it saw, so a script run through two rule sets diverges where the rule sets do. [`LIBRARY`] holds the
//! conversations, one file a kind under `templates/`; [`play()`] runs one past a filter.

mod build;
pub mod peers;
mod play;
mod scene;
mod templates;
mod writer;

pub use build::{Wire, build};
pub use play::{
    BROUGHT_MAX, Brought, Fate, Fed, Made, Played, Received, StepPlayed, play, play_from,
    play_script,
};
pub use scene::{CLIENT_PORT, DATA_PORT, Place, Scene, Spot, example, gateway};
pub(crate) use scene::{full, host};
pub(crate) use templates::announced_by;
pub(crate) use templates::upper as templates_upper;
pub use templates::{LIBRARY, TEMPLATES, Template, conversation};

use std::net::IpAddr;
use std::time::Duration;

/// Most steps of a script.
pub const STEPS_MAX: usize = 32;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// It begins.
    Client,
    /// It answers.
    Server,
    /// A router on the way, which speaks ICMP only.
    Router,
}

impl Who {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Router => "router",
        }
    }
}

/// A kind of conversation.
#[derive(Debug)]
pub struct Conversation {
    /// Stable name.
    pub code: &'static str,
    /// What it is, in a few words; the client begins it.
    pub title: &'static str,
    /// How whoever uses it notices that it is broken.
    pub when_broken: &'static str,
    /// Protocol of its first packet; `None`: whichever is asked for.
    pub protocol: Option<Upper>,
    /// Port of the server where nothing else is said; 0 without ports.
    pub server_port: u16,
    /// The conntrack helper that it needs, assigned to the connection to `server_port`.
    pub helper: Option<&'static str>,
    /// Families in which it is spoken.
    pub families: Families,
    /// How far it reaches.
    pub scope: Scope,
    /// On whose side the router is that takes part.
    pub router_beside: Who,
    /// What it is for.
    pub nature: Nature,
    /// Protocols and ports that it stands for.
    pub services: &'static [Service],
    /// Writes the script.
    pub script: fn(&Parties) -> Script,
}

/// Protocols of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, or ICMPv6 over IPv6.
    Icmp,
    /// ICMPv6 only.
    Icmpv6,
    /// Another one, by its number.
    Other(u8),
}

/// Families in which a conversation is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Both.
    Both,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// How far a conversation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere, through routers.
    Routed,
    /// No further than the link: no router passes it on.
    Link,
}

/// What a conversation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// What people use: it is to pass where it is allowed.
    Service,
    /// What goes wrong between honest hosts: a stray segment, half a path, a memory lost.
    Mishap,
    /// What nobody asked for: it is to be stopped.
    Attack,
}

/// A protocol with the ports of its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// IP protocol number.
    pub protocol: u8,
    /// First and last port; 0 and 0 for a protocol without ports.
    pub ports: (u16, u16),
}

/// What a template fills in.
#[derive(Clone, Debug)]
pub struct Parties {
    /// Port of the client; identifier of an echo request.
    pub client_port: u16,
    /// Port of the server.
    pub server_port: u16,
    /// Port of the data connection that a helper reads about.
    pub data_port: u16,
    /// Address that the server announces for a data connection.
    pub server: IpAddr,
    /// Address that the client announces for a data connection.
    pub client: IpAddr,
    /// Type and code of an ICMP message, where the rule names one.
    pub icmp: Option<(u8, u8)>,
    /// Flags of a lone segment, where the rule names some.
    pub flags: Option<u8>,
    /// Protocol, for a conversation of none that is known.
    pub protocol: u8,
}

/// A conversation written down.
#[derive(Clone, Debug)]
pub struct Script {
    /// In order.
    pub steps: Vec<Step>,
}

/// One packet.
#[derive(Clone, Debug)]
pub struct Step {
    /// Sender.
    pub from: Who,
    /// Whom it is for.
    pub to: Who,
    /// Where it ends: with whom it is for, or with a router that throws it away.
    pub ends: Who,
    /// For people: `SYN`, `ACK, 100 bytes`.
    pub label: String,
    /// The packet.
    pub content: Content,
    /// When it is sent at all.
    pub needs: Vec<Need>,
    /// What it means when it does not arrive.
    pub when_lost: &'static str,
    /// How long after the step before, besides the time that packets take.
    pub after: Duration,
    /// What its receiver makes of it.
    pub due: Due,
    /// It takes another way, and does not come past the filter.
    pub is_beside: bool,
    /// Addresses in its header, where they are not those of the two: a group, all, none yet.
    pub between: Option<(IpAddr, IpAddr)>,
    /// Where its sender reads whom to call.
    pub reads: Option<Reads>,
    /// TTL or hop limit; that of the hosts when `None`.
    pub hops: Option<u8>,
}

/// Whom to call, read out of what an earlier step carried.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// Index of that step.
    pub step: usize,
    /// Reads it.
    pub with: fn(&[u8]) -> Option<Announced>,
    /// The number is no port to call: it is repeated in what is sent, from this byte of the payload on.
    pub repeats_at: Option<usize>,
}

/// Where somebody waits for a connection: an address, unless it is that of whoever says so, and a port.
pub type Announced = (Option<IpAddr>, u16);

/// What the receiver of a packet makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It waits for it.
    Awaited,
    /// It waits for it no more than for the other way things may go: a packet sent again, an answer
    /// of one kind or another. Without it the conversation is not broken.
    Perhaps,
    /// It does not wait for it, and does nothing about it: a stray. Whether it comes is nothing to the
    /// conversation.
    Stray,
    /// It does not wait for it either, and it is what the conversation is about: where it does not come,
    /// the conversation is stopped.
    Unwanted,
}

/// What must have happened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The step of this index reached its receiver.
    Delivered(usize),
    /// The step of this index was sent and did not reach its receiver.
    Lost(usize),
}

/// What a packet carries above IP.
#[derive(Clone, Debug)]
pub enum Content {
    /// A segment.
    Tcp(Segment),
    /// A datagram.
    Udp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
        /// Payload.
        data: Vec<u8>,
    },
    /// A query, an answer or neighbour discovery.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Octets 4 to 8.
        rest: u32,
        /// What follows.
        data: Vec<u8>,
    },
    /// An error that quotes the packet of an earlier step.
    Error {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Octets 4 to 8: the MTU of the next hop.
        rest: u32,
        /// What is quoted.
        about: About,
    },
    /// Anything else.
    Other {
        /// Protocol number.
        protocol: u8,
        /// What follows the IP header.
        data: Vec<u8>,
    },
}

/// What an ICMP error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The packet of the step of this index, as it came to the sender of the error.
    Step(usize),
    /// A packet of a connection that does not exist.
    Nothing,
}

/// A TCP segment.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Flags, bit 0 is FIN.
    pub flags: u8,
    /// Payload.
    pub data: Vec<u8>,
}

/// Addresses of those who take part, one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Of the client.
    pub client: IpAddr,
    /// Of the server.
    pub server: IpAddr,
    /// Of the router.
    pub router: IpAddr,
}

impl Addresses {
    /// The address of one of them.
    #[must_use]
    pub const fn of(&self, who: Who) -> IpAddr {
        match who {
            Who::Client => self.client,
            Who::Server => self.server,
            Who::Router => self.router,
        }
    }
}

impl Due {
    /// Whether the receiver waits for such a packet, if it comes.
    #[must_use]
    pub const fn is_waited_for(self) -> bool {
        matches!(self, Self::Awaited | Self::Perhaps)
    }
}

impl Conversation {
    /// Whether it is spoken in a family.
    #[must_use]
    pub const fn speaks(&self, family: keepstate_packet::Family) -> bool {
        use keepstate_packet::Family;
        match self.families {
            Families::Both => true,
            Families::V4 => matches!(family, Family::V4),
            Families::V6 => matches!(family, Family::V6),
        }
    }

    /// Whether it stands for a protocol, and a port where it has ports.
    #[must_use]
    pub fn stands_for(&self, protocol: u8, port: u16) -> bool {
        self.services.iter().any(|service| {
            let (low, high) = service.ports;
            service.protocol == protocol && ((low, high) == (0, 0) || (low..=high).contains(&port))
        })
    }
}

impl Step {
    /// The same with a number in its payload, from this byte on.
    pub(crate) fn with_number(&self, at: usize, number: u16) -> Self {
        let mut step = self.clone();
        let data = match &mut step.content {
            Content::Tcp(segment) => &mut segment.data,
            Content::Udp { data, .. }
            | Content::Icmp { data, .. }
            | Content::Other { data, .. } => data,
            Content::Error { .. } => return step,
        };
        if let Some(field) = data.get_mut(at..at + 2) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        step
    }

    /// A step as plain as steps are: awaited, at once, past the filter.
    #[must_use]
    pub const fn new(from: Who, to: Who, label: String, content: Content) -> Self {
        Self {
            from,
            to,
            ends: to,
            label,
            content,
            needs: Vec::new(),
            when_lost: "",
            after: Duration::ZERO,
            due: Due::Awaited,
            is_beside: false,
            between: None,
            reads: None,
            hops: None,
        }
    }
}
