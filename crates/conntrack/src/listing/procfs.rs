//! `/proc/net/nf_conntrack`.

use super::{layer3, line};
use crate::CtStatus;
use crate::flow::{Flow, Half, ProtocolInfo, protocol_name, states};
use core::fmt;
use keepstate_packet::{Address, Family, Instant, gre, icmp, icmpv6};

/// A connection as `/proc/net/nf_conntrack` shows it, without a line end. The reader of the file
/// holds one reference more than the table.
#[derive(Clone, Copy, Debug)]
pub struct ProcLine<'a> {
    /// The connection.
    pub flow: &'a Flow,
    /// The time of day, for its age.
    pub now: Option<Instant>,
}

impl fmt::Display for ProcLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = self.flow;
        let family = flow.family.unwrap_or(Family::V4);
        let protocol = flow.protocol.unwrap_or(0);
        let (l3_name, l3_number) = layer3(family);
        let l4_name = protocol_name(protocol).filter(|_| protocol != crate::flow::DCCP);
        write!(f, "{l3_name:<8} {l3_number} {:<8} {protocol} ", l4_name.unwrap_or("unknown"))?;
        let offloaded = flow.status().contains(CtStatus::OFFLOAD);
        if !offloaded {
            write!(f, "{} ", flow.timeout.unwrap_or(0))?;
            info(f, flow, protocol)?;
        }
        let [zone_original, zone_reply] = flow.zone_of;
        let [original, reply] = flow.counters;
        half(f, &flow.original, protocol, family)?;
        zone(f, "zone-orig", zone_original)?;
        line::counters(f, original)?;
        if !flow.status().contains(CtStatus::SEEN_REPLY) {
            f.write_str(" [UNREPLIED]")?;
        }
        f.write_str(" ")?;
        half(f, &flow.reply, protocol, family)?;
        zone(f, "zone-reply", zone_reply)?;
        line::counters(f, reply)?;
        if flow.status().contains(CtStatus::HW_OFFLOAD) {
            f.write_str(" [HW_OFFLOAD]")?;
        } else if offloaded {
            f.write_str(" [OFFLOAD]")?;
        } else if flow.status().contains(CtStatus::ASSURED) {
            f.write_str(" [ASSURED]")?;
        }
        tail(f, flow, self.now)
    }
}

fn info(f: &mut fmt::Formatter<'_>, flow: &Flow, protocol: u8) -> fmt::Result {
    if let ProtocolInfo::Gre { timeout, stream_timeout } = flow.info {
        return write!(f, "timeout={timeout}, stream_timeout={stream_timeout} ");
    }
    let state = flow.info.state().map(usize::from);
    match state.and_then(|state| states(protocol).get(state)) {
        Some(state) => write!(f, "{state} "),
        None => Ok(()),
    }
}

/// IPv6 addresses stand here in full.
pub(super) fn half(
    f: &mut fmt::Formatter<'_>,
    half: &Half,
    protocol: u8,
    family: Family,
) -> fmt::Result {
    write!(f, "src={} dst={}", Full(half.source, family), Full(half.destination, family))?;
    match (protocol, half.icmp_type, half.icmp_code) {
        (icmp::PROTOCOL | icmpv6::PROTOCOL, Some(kind), Some(code)) => {
            write!(f, " type={kind} code={code} id={}", half.icmp_id.unwrap_or(0))
        }
        (gre::PROTOCOL, ..) => {
            let (source, destination) = (half.source_port, half.destination_port);
            let (source, destination) = (source.unwrap_or(0), destination.unwrap_or(0));
            write!(f, " srckey=0x{source:x} dstkey=0x{destination:x}")
        }
        (crate::flow::DCCP, ..) => Ok(()),
        _ => line::ports(f, half, protocol),
    }
}

struct Full(Option<Address>, Family);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.unwrap_or_default();
        if self.1 == Family::V4 {
            return write!(f, "{}", address.ip(Family::V4));
        }
        for (place, octets) in address.0.chunks(2).enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            f.write_str(colon)?;
            octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        }
        Ok(())
    }
}

fn tail(f: &mut fmt::Formatter<'_>, flow: &Flow, now: Option<Instant>) -> fmt::Result {
    write!(f, " mark={}", flow.mark.unwrap_or(0))?;
    if let Some(context) = &flow.secctx {
        write!(f, " secctx={context}")?;
    }
    let one_way = flow.zone_of.iter().any(Option::is_some);
    if !one_way {
        write!(f, " zone={}", flow.zone.unwrap_or(0))?;
    }
    if let Some(age) = line::age(flow, now) {
        write!(f, " delta-time={age}")?;
    }
    write!(f, " use={}", flow.uses.unwrap_or(1).saturating_add(1))
}

fn zone(f: &mut fmt::Formatter<'_>, name: &str, zone: Option<u16>) -> fmt::Result {
    match zone {
        Some(zone) => write!(f, " {name}={zone}"),
        None => Ok(()),
    }
}
