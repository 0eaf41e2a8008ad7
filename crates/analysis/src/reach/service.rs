//! Services: what somebody wants to open.

use crate::algebra::space::{Group, Packets, Result, Space};
use keepstate_packet::{Family, icmp, icmpv6, sctp, tcp, udp};
use keepstate_ruleset::extension::names;
use keepstate_ruleset::extension::values;
use keepstate_ruleset::packet_set::Field;
use std::fmt;

/// DCCP (RFC 4340).
const DCCP: u8 = 33;
/// Protocols that have ports where TCP has them.
pub(super) const WITH_PORTS: [u8; 5] =
    [tcp::PROTOCOL, udp::PROTOCOL, DCCP, sctp::PROTOCOL, udp::PROTOCOL_LITE];

/// The first packet of what somebody wants to open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Upper-layer protocol.
    pub protocol: u8,
    /// Destination ports from and to, of protocols that have some; in order and apart. None: all.
    pub ports: Vec<(u16, u16)>,
    /// Types and codes of ICMP from and to, the type in the upper byte.
    pub icmp: Option<(u16, u16)>,
}

impl Service {
    /// `tcp/22`, `udp/53`, `tcp/8000-8100`, `22` (TCP), `ssh`, `icmp` (an echo request), `icmp/13`, `gre`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str, family: Family) -> std::result::Result<Self, String> {
        let wanted = || {
            format!(
                "{text}: want a service such as tcp/22, udp/53, tcp/8000-8100, ssh, icmp, icmp/13/0 or gre"
            )
        };
        let (name, rest) = match text.split_once(['/', ':']) {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        if rest.is_none()
            && let Some(port) = port(name, Some(tcp::PROTOCOL)).filter(|_| protocol(name).is_none())
        {
            return Ok(Self::of_ports(tcp::PROTOCOL, port, port));
        }
        if matches!(name, "icmp" | "icmpv6" | "ipv6-icmp" | "ping") {
            return Self::of_icmp(rest, family).ok_or_else(wanted);
        }
        let protocol = protocol(name).or_else(|| name.parse().ok()).ok_or_else(wanted)?;
        let Some(rest) = rest else {
            return Ok(Self { protocol, ports: Vec::new(), icmp: None });
        };
        if !WITH_PORTS.contains(&protocol) {
            return Err(format!("{text}: {name} has no ports"));
        }
        let (low, high) = match rest.split_once('-') {
            // Names of services may have a hyphen, too.
            Some((low, high)) if port(rest, Some(protocol)).is_none() => (low, high),
            _ => (rest, rest),
        };
        let ports = [low, high].map(|word| port(word, Some(protocol)));
        match ports {
            [Some(low), Some(high)] if low <= high => Ok(Self::of_ports(protocol, low, high)),
            _ => Err(wanted()),
        }
    }

    /// Ports of a protocol.
    #[must_use]
    pub fn of_ports(protocol: u8, low: u16, high: u16) -> Self {
        Self { protocol, ports: vec![(low, high)], icmp: None }
    }

    fn of_icmp(rest: Option<&str>, family: Family) -> Option<Self> {
        let (protocol, echo) = match family {
            Family::V4 => (icmp::PROTOCOL, 8_u16),
            Family::V6 => (icmpv6::PROTOCOL, 128),
        };
        let (low, high) = match rest {
            None => (echo << 8, echo << 8),
            Some(rest) => {
                let (kind, code) = match rest.split_once('/') {
                    None => (rest, None),
                    Some((kind, code)) => (kind, Some(code.parse::<u8>().ok()?)),
                };
                let kind = u16::from(kind.parse::<u8>().ok()?) << 8;
                code.map_or((kind, kind | 0xff), |code| {
                    (kind | u16::from(code), kind | u16::from(code))
                })
            }
        };
        Some(Self { protocol, ports: Vec::new(), icmp: Some((low, high)) })
    }

    /// Whether its packets have ports.
    #[must_use]
    pub fn has_ports(&self) -> bool {
        WITH_PORTS.contains(&self.protocol)
    }

    /// Its packets.
    pub fn packets(&self, space: &Space) -> Result<Packets> {
        let protocol = u128::from(self.protocol);
        let mut all = space.all_of(Group::Field(Field::Protocol), &[(protocol, protocol)])?;
        if !self.ports.is_empty() {
            let ports: Vec<_> = self
                .ports
                .iter()
                .map(|(low, high)| (u128::from(*low), u128::from(*high)))
                .collect();
            all = all.and(&space.all_of(Group::Field(Field::DestinationPort), &ports)?)?;
        }
        if let Some((low, high)) = self.icmp {
            let types = [(u128::from(low), u128::from(high))];
            all = all.and(&space.all_of(Group::Field(Field::Icmp), &types)?)?;
        }
        Ok(all)
    }
}

fn protocol(name: &str) -> Option<u8> {
    names::protocol_number(name)
}

fn port(word: &str, protocol: Option<u8>) -> Option<u16> {
    values::port(word, protocol)
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match names::protocol_name(self.protocol) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "protocol {}", self.protocol)?,
        }
        for (place, (low, high)) in self.ports.iter().enumerate() {
            f.write_str(if place == 0 { "/" } else { "," })?;
            match low == high {
                true => write!(f, "{low}")?,
                false => write!(f, "{low}-{high}")?,
            }
        }
        match self.icmp {
            None => Ok(()),
            Some((0x800 | 0x8000, _)) => f.write_str(" echo-request"),
            Some((low, high)) if low == high => write!(f, "/{}/{}", low >> 8, low & 0xff),
            Some((low, _)) => write!(f, "/{}", low >> 8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_as_people_write_them() {
        let shown = |text: &str| Service::parse(text, Family::V4).map(|one| one.to_string());
        for (text, expected) in [
            ("tcp/22", "tcp/22"),
            ("22", "tcp/22"),
            ("ssh", "tcp/22"),
            ("udp/domain", "udp/53"),
            ("tcp/8000-8100", "tcp/8000-8100"),
            ("icmp", "icmp echo-request"),
            ("icmp/13", "icmp/13"),
            ("icmp/3/4", "icmp/3/4"),
            ("gre", "gre"),
            ("tcp", "tcp"),
            ("sctp/80", "sctp/80"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["gre/5", "tcp/0x", "tcp/9-8", "what", "", "icmp/x"] {
            assert!(shown(text).is_err(), "{text}");
        }
        let six = Service::parse("icmp", Family::V6).unwrap();
        assert_eq!((six.protocol, six.icmp), (58, Some((0x8000, 0x8000))));
    }
}
