//! What the host file says that no capture carries: sockets, IPsec policies, realms.

use super::Prefix;
use keepstate_engine::IpsecPolicy;
use keepstate_packet::{Address, Family};
use keepstate_ruleset::evaluate::{End, PolicyDirection, PolicyMode, Socket, Transformation};
use keepstate_ruleset::extension::values;
use serde::Deserialize;
use std::net::IpAddr;

/// A `[[socket]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SocketEntry {
    protocol: String,
    #[serde(default)]
    local: Option<String>,
    #[serde(default)]
    remote: Option<String>,
    #[serde(default)]
    uid: Option<u32>,
    #[serde(default)]
    gid: Option<u32>,
    #[serde(default)]
    groups: Vec<u32>,
    #[serde(default)]
    cgroup: Option<String>,
    #[serde(default)]
    classid: Option<u32>,
    #[serde(default)]
    transparent: bool,
    #[serde(default)]
    mark: u32,
}

impl SocketEntry {
    pub(super) fn socket(&self) -> Result<Socket, String> {
        let end = |text: Option<&str>| text.map(end).transpose();
        Ok(Socket {
            protocol: protocol(&self.protocol)?,
            local: end(self.local.as_deref())?.unwrap_or_default(),
            remote: end(self.remote.as_deref())?,
            uid: self.uid,
            gid: self.gid,
            groups: self.groups.clone(),
            cgroup: self.cgroup.clone(),
            classid: self.classid,
            is_transparent: self.transparent,
            mark: self.mark,
        })
    }
}

fn protocol(text: &str) -> Result<u8, String> {
    values::protocol(text).ok_or_else(|| format!("{text} is no protocol"))
}

/// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, `*:PORT` or `*`. A socket at `::` takes both families,
/// one at 0.0.0.0 IPv4.
fn end(text: &str) -> Result<End, String> {
    let wrong = || format!("{text} is not ADDRESS:PORT, [ADDRESS]:PORT, *:PORT or an address");
    let (address, port) = match text.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') || address.ends_with(']') => {
            (address, Some(port.parse().map_err(|_| wrong())?))
        }
        _ => (text, None),
    };
    if address == "*" {
        return Ok(End { port, ..End::default() });
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(address).parse().map_err(|_| wrong())?;
    Ok(match ip {
        IpAddr::V6(ip) if ip.is_unspecified() => End { port, ..End::default() },
        IpAddr::V4(ip) if ip.is_unspecified() => {
            End { family: Some(Family::V4), address: None, port }
        }
        ip => End { family: Some(family(ip)), address: Some(Address::from(ip)), port },
    })
}

const fn family(ip: IpAddr) -> Family {
    match ip {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// A `[[policy]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyEntry {
    direction: DirectionWord,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    protocol: Option<String>,
    steps: Vec<StepEntry>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DirectionWord {
    In,
    Out,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeWord {
    Transport,
    Tunnel,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProtocolWord {
    Ah,
    Esp,
    Ipcomp,
}

/// One of the `steps` of a policy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepEntry {
    protocol: ProtocolWord,
    mode: ModeWord,
    #[serde(default)]
    reqid: u32,
    #[serde(default)]
    spi: u32,
    #[serde(default)]
    tunnel_src: Option<IpAddr>,
    #[serde(default)]
    tunnel_dst: Option<IpAddr>,
}

/// Most steps of a policy, as in the kernel.
const STEPS_MAX: usize = 6;

impl PolicyEntry {
    pub(super) fn policy(&self) -> Result<IpsecPolicy, String> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(format!("a policy has 1 to {STEPS_MAX} steps"));
        }
        let network = |text: &Option<String>| {
            let parsed = text.as_ref().map(|text| text.parse::<Prefix>());
            Ok::<_, String>(parsed.transpose()?.map(|prefix| prefix.0))
        };
        Ok(IpsecPolicy {
            direction: match self.direction {
                DirectionWord::In => PolicyDirection::In,
                DirectionWord::Out => PolicyDirection::Out,
            },
            source: network(&self.from)?,
            destination: network(&self.to)?,
            protocol: self.protocol.as_deref().map(protocol).transpose()?,
            transformations: self.steps.iter().map(StepEntry::transformation).collect(),
        })
    }
}

impl StepEntry {
    fn transformation(&self) -> Transformation {
        let address = |ip: Option<IpAddr>| ip.map(Address::from).unwrap_or_default();
        Transformation {
            reqid: self.reqid,
            spi: self.spi,
            protocol: match self.protocol {
                ProtocolWord::Ah => 51,
                ProtocolWord::Esp => 50,
                ProtocolWord::Ipcomp => 108,
            },
            mode: match self.mode {
                ModeWord::Transport => PolicyMode::Transport,
                ModeWord::Tunnel => PolicyMode::Tunnel,
            },
            tunnel_source: address(self.tunnel_src),
            tunnel_destination: address(self.tunnel_dst),
        }
    }
}

/// `7` (of the destination), or `"3/7"` (of source and destination).
#[derive(Clone, Default, Deserialize)]
#[serde(untagged)]
pub(super) enum Realm {
    #[default]
    None,
    Destination(u16),
    Both(String),
}

impl Realm {
    pub(super) fn number(&self) -> Result<u32, String> {
        Ok(match self {
            Self::None => 0,
            Self::Destination(realm) => u32::from(*realm),
            Self::Both(text) => {
                let both = text.split_once('/');
                let both = both.and_then(|(from, to)| {
                    Some((from.parse::<u16>().ok()?, to.parse::<u16>().ok()?))
                });
                let (from, to) = both.ok_or_else(|| format!("{text} is not a realm FROM/TO"))?;
                u32::from(from) << 16 | u32::from(to)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_sockets() {
        let at = |family, address: Option<&str>, port| End {
            family,
            address: address.map(|address| Address::from(address.parse::<IpAddr>().unwrap())),
            port,
        };
        for (text, wanted) in [
            ("*", at(None, None, None)),
            ("*:22", at(None, None, Some(22))),
            ("0.0.0.0:22", at(Some(Family::V4), None, Some(22))),
            ("[::]:22", at(None, None, Some(22))),
            ("192.0.2.1", at(Some(Family::V4), Some("192.0.2.1"), None)),
            ("192.0.2.1:53", at(Some(Family::V4), Some("192.0.2.1"), Some(53))),
            ("2001:db8::1", at(Some(Family::V6), Some("2001:db8::1"), None)),
            ("[2001:db8::1]:53", at(Some(Family::V6), Some("2001:db8::1"), Some(53))),
        ] {
            assert_eq!(end(text), Ok(wanted), "{text}");
        }
        for text in ["", "host:22", "192.0.2.1:", "192.0.2.1:70000", "[::1", ":22"] {
            assert!(end(text).is_err(), "{text}");
        }
    }

    #[test]
    fn realms_of_routes() {
        assert_eq!(Realm::None.number(), Ok(0));
        assert_eq!(Realm::Destination(7).number(), Ok(7));
        assert_eq!(Realm::Both("3/7".into()).number(), Ok(0x0003_0007));
        assert!(Realm::Both("7".into()).number().is_err());
        assert!(Realm::Both("3/65536".into()).number().is_err());
    }
}
