//! Conversations: what the peers of a connection say to each other, packet by packet, each step
//! depending on what became of the ones before it.
//!
//! A [`Script`] is a script and no capture: a peer answers only what reached it, so a script run
//! through two rule sets diverges where the rule sets do.

mod build;
mod templates;

pub use build::bytes_of;
pub(crate) use templates::upper as templates_upper;
pub use templates::{Parties, TEMPLATES, Template};

use std::net::IpAddr;

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

/// A conversation.
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
    /// Receiver.
    pub to: Who,
    /// For people: `SYN`, `ACK, 100 bytes`.
    pub label: String,
    /// The packet.
    pub content: Content,
    /// When it is sent at all.
    pub needs: Vec<Need>,
    /// What it means when it does not arrive.
    pub when_lost: &'static str,
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
        /// Index of the step quoted.
        about: usize,
    },
    /// Anything else.
    Other {
        /// Protocol number.
        protocol: u8,
        /// What follows the IP header.
        data: Vec<u8>,
    },
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
