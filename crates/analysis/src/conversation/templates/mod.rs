//! The conversations, one file a kind, listed in [`LIBRARY`]; and how rules are tried with them,
//! [`TEMPLATES`].

mod asymmetric;
mod dhcp;
mod dns;
mod error;
mod flood;
mod ftp;
mod h323;
mod idle;
mod irc;
mod lures;
mod multicast;
mod neighbour;
mod ntp;
mod path_mtu;
mod ping;
mod pptp;
mod reboot;
mod redirect;
mod refused;
mod scan;
mod sip;
mod spoofed;
mod stray;
mod tcp;
mod tftp;
mod traceroute;
mod tunnel;

pub(crate) use lures::announced_by;

use super::{Conversation, Parties, Script, Upper, Who};
use keepstate_packet::Family;

/// Every conversation, those that people recognise first.
pub const LIBRARY: &[&Conversation] = &[
    &tcp::SERVICE,
    &tcp::ATTEMPT,
    &idle::IDLE,
    &idle::FORGOTTEN,
    &dns::DNS,
    &dns::TRUNCATED,
    &dns::UNWELCOME,
    &ping::PING,
    &ping::MESSAGE,
    &traceroute::UDP,
    &traceroute::ICMP,
    &traceroute::TCP,
    &path_mtu::UP,
    &path_mtu::DOWN,
    &error::ABOUT_QUERY,
    &error::ABOUT_NOTHING,
    &refused::RESET,
    &refused::UNREACHABLE,
    &redirect::REDIRECT,
    &ftp::ACTIVE,
    &ftp::PASSIVE,
    &ftp::LURE,
    &tftp::TFTP,
    &sip::CALL,
    &irc::DCC,
    &pptp::TUNNEL,
    &ntp::NTP,
    &dhcp::DHCP,
    &dhcp::DHCPV6,
    &neighbour::NEIGHBOUR,
    &neighbour::FROM_AFAR,
    &neighbour::ROUTER,
    &neighbour::LISTENER,
    &multicast::MDNS,
    &scan::SYNS,
    &scan::FINS,
    &scan::NULL,
    &scan::XMAS,
    &scan::ACKS,
    &scan::LONE,
    &reboot::RESTARTED,
    &reboot::PICKED_UP,
    &asymmetric::ASYMMETRIC,
    &stray::OUT_OF_WINDOW,
    &stray::RESET,
    &flood::SYN_FLOOD,
    &flood::ATTEMPTS,
    &flood::CROWD,
    &flood::PINGS,
    &flood::PING_CROWD,
    &spoofed::LOOPBACK,
    &tunnel::IPSEC,
    &tunnel::WIREGUARD,
    &tunnel::GRE,
    &tunnel::OTHER,
];

/// The conversation of this code.
#[must_use]
pub fn conversation(code: &str) -> Option<&'static Conversation> {
    LIBRARY.iter().find(|conversation| conversation.code == code).copied()
}

/// A conversation as rules are tried with it: whose packets the rule is to see.
#[derive(Debug)]
pub struct Template {
    /// Stable name.
    pub code: &'static str,
    /// What it tries.
    pub title: &'static str,
    /// Who sends the packets of interest; the filter's rule is to match some of them.
    pub sender: Who,
    /// Protocol of the packets of interest; `None`: that of the rule.
    pub protocol: Option<Upper>,
    /// Port of the server when the rule does not say.
    pub server_port: u16,
    /// The conversation.
    pub conversation: &'static Conversation,
}

impl Template {
    /// A conversation of which a rule sees what `sender` sends.
    #[must_use]
    pub const fn of(conversation: &'static Conversation, sender: Who) -> Self {
        Self { sender, ..of(conversation) }
    }

    /// The helper that must be assigned to the server's port for it to work.
    #[must_use]
    pub const fn helper(&self) -> Option<&'static str> {
        self.conversation.helper
    }

    /// Its script.
    #[must_use]
    pub fn script(&self, parties: &Parties) -> Script {
        (self.conversation.script)(parties)
    }
}

/// The conversations that rules are tried with, in the order in which they are shown.
pub const TEMPLATES: &[Template] = &[
    Template {
        code: "tcp-client",
        title: "A TCP connection whose answers the rule sees",
        sender: Who::Server,
        ..of(&tcp::SERVICE)
    },
    Template {
        code: "tcp-server",
        title: "A TCP connection opened towards the rule",
        server_port: 22,
        ..of(&tcp::SERVICE)
    },
    Template {
        code: "udp-client",
        title: "A UDP query (DNS) whose answer the rule sees",
        sender: Who::Server,
        ..of(&dns::DNS)
    },
    Template {
        code: "udp-server",
        title: "A UDP query that comes towards the rule",
        ..of(&dns::DNS)
    },
    Template {
        code: "ping-client",
        title: "A ping whose answer the rule sees",
        sender: Who::Server,
        ..of(&ping::PING)
    },
    Template {
        code: "ping-server",
        title: "A ping that comes towards the rule",
        ..of(&ping::PING)
    },
    Template {
        code: "pmtu",
        title: "An ICMP error about a TCP connection: the path takes smaller packets only",
        sender: Who::Router,
        protocol: Some(Upper::Icmp),
        ..of(&path_mtu::UP)
    },
    Template {
        code: "icmp-error",
        title: "An ICMP error about a UDP query",
        sender: Who::Router,
        protocol: Some(Upper::Icmp),
        ..of(&error::ABOUT_QUERY)
    },
    Template { sender: Who::Server, ..of(&ftp::ACTIVE) },
    of(&ftp::PASSIVE),
    Template { sender: Who::Server, ..of(&tftp::TFTP) },
    Template { sender: Who::Server, ..of(&sip::CALL) },
    Template { sender: Who::Server, ..of(&irc::DCC) },
    Template { sender: Who::Server, ..of(&stray::OUT_OF_WINDOW) },
    of(&asymmetric::ASYMMETRIC),
    Template { sender: Who::Server, ..of(&stray::RESET) },
    Template { sender: Who::Router, ..of(&error::ABOUT_NOTHING) },
    Template {
        code: "reject-reset",
        title: "A connection attempt that another rule rejects with a reset",
        sender: Who::Server,
        server_port: 113,
        ..of(&tcp::ATTEMPT)
    },
    Template {
        code: "reject-error",
        title: "A query that another rule rejects with an ICMP error",
        sender: Who::Server,
        protocol: Some(Upper::Icmp),
        ..of(&dns::UNWELCOME)
    },
    of(&reboot::PICKED_UP),
    of(&flood::ATTEMPTS),
    of(&spoofed::LOOPBACK),
    Template { title: "A lone TCP segment with the flags that the rule names", ..of(&scan::LONE) },
    of(&neighbour::NEIGHBOUR),
    Template {
        code: "neighbour-client",
        title: "Neighbour discovery whose answer the rule sees",
        sender: Who::Server,
        ..of(&neighbour::NEIGHBOUR)
    },
    Template {
        code: "router-discovery-client",
        title: "Router discovery whose answer the rule sees",
        sender: Who::Server,
        ..of(&neighbour::ROUTER)
    },
    Template { title: "An ICMP message of the type that the rule names", ..of(&ping::MESSAGE) },
    Template {
        code: "other-client",
        title: "Packets of this protocol, there and back",
        sender: Who::Server,
        ..of(&tunnel::OTHER)
    },
    Template {
        code: "other-server",
        title: "Packets of this protocol, there and back",
        ..of(&tunnel::OTHER)
    },
];

/// A conversation of which a rule sees what the client sends.
const fn of(conversation: &'static Conversation) -> Template {
    Template {
        code: conversation.code,
        title: conversation.title,
        sender: Who::Client,
        protocol: conversation.protocol,
        server_port: conversation.server_port,
        conversation,
    }
}

/// The protocol number of a template's packets of interest; `None`: that of the rule.
#[must_use]
pub(crate) fn upper(template: &Template, family: Family) -> Option<u8> {
    Some(match template.protocol? {
        Upper::Tcp => 6,
        Upper::Udp => 17,
        Upper::Icmp if family == Family::V6 => 58,
        Upper::Icmp => 1,
        Upper::Icmpv6 => 58,
        Upper::Other(number) => number,
    })
}
