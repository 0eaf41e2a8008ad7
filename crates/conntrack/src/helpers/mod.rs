//! Conntrack helpers: they read what a connection says and announce the connections it asks for.
//!
//! A helper is a function of a packet of its connection. What it reads, what it remembers and what
//! it may do to the table is its `Helping`; entering an expectation, its limits and its life are
//! `crate::expect`'s.

pub mod amanda;
pub mod broadcast;
pub mod ftp;
pub mod h323;
pub mod irc;
pub mod pptp;
pub mod sane;
pub mod sip;
pub mod snmp;
pub mod tftp;

pub use crate::instance::{Instance, Name};

use crate::conn::ConnId;
use crate::helping::Helping;
use crate::sysctl::module::Modules;
use crate::table::{Drop, Table};
use core::time::Duration;
use keepstate_packet::{Family, Instant, tcp, udp};

/// A conntrack helper for connections of one protocol. A name can stand for several.
#[derive(Debug)]
pub struct Helper {
    /// Name (`-j CT --helper NAME`).
    pub name: &'static str,
    /// Protocol of the connections that it reads.
    pub protocol: u8,
    /// Port that it is commonly assigned to; 0 for none.
    pub port: u16,
    /// Families of the connections that a rule may assign it to.
    pub families: &'static [Family],
    /// The classes of its expectations.
    pub policies: &'static [Policy],
    /// What it remembers of a new connection.
    memory: fn() -> Memory,
    pub(crate) help: fn(&mut Helping<'_>) -> Result<(), Drop>,
}

/// What holds for the expectations of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name of the class.
    pub name: &'static str,
    /// Most expectations of this class for one master, 0 for no limit; the oldest gives way.
    pub max: u32,
    /// How long an expectation waits.
    pub timeout: Duration,
}

const BOTH: &[Family] = &[Family::V4, Family::V6];

/// The helpers.
pub static HELPERS: &[Helper] = &[
    Helper {
        name: "ftp",
        protocol: tcp::PROTOCOL,
        port: 21,
        families: BOTH,
        policies: &[ftp::POLICY],
        memory: || Memory::Ftp(ftp::Lines::default()),
        help: ftp::help,
    },
    Helper {
        name: "tftp",
        protocol: udp::PROTOCOL,
        port: 69,
        families: BOTH,
        policies: &[tftp::POLICY],
        memory: || Memory::Nothing,
        help: tftp::help,
    },
    Helper {
        name: "sip",
        protocol: udp::PROTOCOL,
        port: 5060,
        families: BOTH,
        policies: &sip::POLICIES,
        memory: || Memory::Sip(sip::Known::default()),
        help: sip::help_udp,
    },
    Helper {
        name: "sip",
        protocol: tcp::PROTOCOL,
        port: 5060,
        families: BOTH,
        policies: &sip::POLICIES,
        memory: || Memory::Sip(sip::Known::default()),
        help: sip::help_tcp,
    },
    Helper {
        name: "irc",
        protocol: tcp::PROTOCOL,
        port: 6667,
        families: &[Family::V4],
        policies: &[irc::POLICY],
        memory: || Memory::Nothing,
        help: irc::help,
    },
    Helper {
        name: "amanda",
        protocol: udp::PROTOCOL,
        port: 10_080,
        families: BOTH,
        policies: &[amanda::POLICY],
        memory: || Memory::Nothing,
        help: amanda::help,
    },
    Helper {
        name: "sane",
        protocol: tcp::PROTOCOL,
        port: 6566,
        families: BOTH,
        policies: &[sane::POLICY],
        memory: || Memory::Sane(sane::Asked::default()),
        help: sane::help,
    },
    Helper {
        name: "netbios-ns",
        protocol: udp::PROTOCOL,
        port: broadcast::NETBIOS_NS_PORT,
        families: &[Family::V4],
        policies: &[broadcast::NETBIOS_NS],
        memory: || Memory::Nothing,
        help: broadcast::help_netbios_ns,
    },
    Helper {
        name: "snmp",
        protocol: udp::PROTOCOL,
        port: broadcast::SNMP_PORT,
        families: &[Family::V4],
        policies: &[broadcast::SNMP],
        memory: || Memory::Nothing,
        help: broadcast::help_snmp,
    },
    Helper {
        name: "snmp_trap",
        protocol: udp::PROTOCOL,
        port: snmp::TRAP_PORT,
        families: &[Family::V4],
        policies: &[snmp::TRAP],
        memory: || Memory::Nothing,
        help: snmp::help,
    },
    Helper {
        name: "pptp",
        protocol: tcp::PROTOCOL,
        port: 1723,
        families: &[Family::V4],
        policies: &[pptp::POLICY],
        memory: || Memory::Pptp(pptp::Control::default()),
        help: pptp::help,
    },
    Helper {
        name: "RAS",
        protocol: udp::PROTOCOL,
        port: 1719,
        families: BOTH,
        policies: &[h323::ras::POLICY],
        memory: || Memory::Ras(h323::ras::Registration::default()),
        help: h323::ras::help,
    },
    Helper {
        name: "Q.931",
        protocol: tcp::PROTOCOL,
        port: 1720,
        families: BOTH,
        policies: &[h323::q931::POLICY],
        memory: || Memory::Tpkt(h323::tpkt::Call::default()),
        help: h323::q931::help,
    },
    Helper {
        name: "H.245",
        // Those that it is for come with call signalling; a rule may assign it to these.
        protocol: udp::PROTOCOL,
        port: 0,
        families: BOTH,
        policies: &[h323::h245::POLICY],
        memory: || Memory::Tpkt(h323::tpkt::Call::default()),
        help: h323::h245::help,
    },
];

/// What holds for the expectations of a class of a helper, as the parameters of its module ask for;
/// `None` when there is no such class.
pub(crate) fn policy(helper: Instance, class: u8, modules: &Modules) -> Option<Policy> {
    let helper = helper.helper()?;
    let policy = *helper.policies.get(usize::from(class))?;
    Some(match helper.name {
        "irc" => irc::policy(modules),
        "netbios-ns" => broadcast::netbios_ns(modules),
        "snmp" => broadcast::snmp(modules),
        _ => policy,
    })
}

/// What a helper remembers of a connection.
#[derive(Debug)]
pub(crate) enum Memory {
    Nothing,
    Ftp(ftp::Lines),
    Sip(sip::Known),
    Sane(sane::Asked),
    Pptp(pptp::Control),
    Ras(h323::ras::Registration),
    Tpkt(h323::tpkt::Call),
}

/// What a new connection's helper remembers of it.
pub(crate) fn first_memory(helper: Instance) -> Option<Memory> {
    helper.helper().map(|helper| (helper.memory)())
}

/// What helpers do when one of their connections leaves the table.
pub(crate) fn ended(table: &mut Table, now: Instant, conn: ConnId) {
    if let Some(Memory::Pptp(_)) = table.helped.get(&conn) {
        pptp::clear(table, now, conn);
    }
}
