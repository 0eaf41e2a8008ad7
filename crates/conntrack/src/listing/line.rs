//! The usual form: a line a connection (`conntrack -L`, `conntrack -E`).

use super::calendar::Date;
use super::{Ip, Kind, Shown, layer3};
use crate::CtStatus;
use crate::flow::{Flow, Half, LabelNames, Labels, protocol_name, states};
use core::fmt;
use keepstate_packet::{Family, Instant, gre};

/// A connection as `conntrack -L` and `conntrack -E` print it, without a line end.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The connection.
    pub flow: &'a Flow,
    /// Why it is printed.
    pub kind: Kind,
    /// What is shown besides.
    pub shown: Shown<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, kind, shown } = self;
        f.write_str(match kind {
            Kind::Listed => "",
            Kind::New => "    [NEW] ",
            Kind::Update => " [UPDATE] ",
            Kind::Destroy => "[DESTROY] ",
        })?;
        let family = flow.family.unwrap_or(Family::V4);
        if shown.layer3 {
            let (name, number) = layer3(family);
            write!(f, "{name:<8} {number} ")?;
        }
        let protocol = flow.protocol.unwrap_or(0);
        write!(f, "{:<8} {protocol}", protocol_name(protocol).unwrap_or("unknown"))?;
        if let Some(timeout) = flow.timeout {
            write!(f, " {timeout}")?;
        }
        let state = flow.info.state().map(usize::from);
        if let Some(state) = state.and_then(|state| states(protocol).get(state)) {
            write!(f, " {state}")?;
        }
        body(f, flow, family)?;
        tail(f, flow, shown)
    }
}

/// Both directions, and what is known of answers.
pub(super) fn body(f: &mut fmt::Formatter<'_>, flow: &Flow, family: Family) -> fmt::Result {
    let protocol = flow.protocol.unwrap_or(0);
    let [zone_original, zone_reply] = flow.zone_of;
    let [original, reply] = flow.counters;
    half(f, &flow.original, protocol, family)?;
    zone(f, "zone-orig", zone_original)?;
    counters(f, original)?;
    if flow.status.is_some_and(|status| !status.contains(CtStatus::SEEN_REPLY)) {
        f.write_str(" [UNREPLIED]")?;
    }
    half(f, &flow.reply, protocol, family)?;
    zone(f, "zone-reply", zone_reply)?;
    counters(f, reply)?;
    let is = |status| flow.status().contains(status);
    if is(CtStatus::HW_OFFLOAD) {
        f.write_str(" [HW_OFFLOAD]")
    } else if is(CtStatus::OFFLOAD) {
        f.write_str(" [OFFLOAD]")
    } else if is(CtStatus::ASSURED) {
        f.write_str(" [ASSURED]")
    } else {
        Ok(())
    }
}

/// What follows the directions.
fn tail(f: &mut fmt::Formatter<'_>, flow: &Flow, shown: &Shown<'_>) -> fmt::Result {
    number(f, "mark", flow.mark)?;
    number(f, "secmark", flow.secmark)?;
    text(f, "secctx", flow.secctx.as_deref())?;
    zone(f, "zone", flow.zone)?;
    if let Some(age) = age(flow, shown.now) {
        write!(f, " delta-time={age}")?;
    }
    if shown.timestamps {
        date(f, "start", flow.started)?;
        date(f, "stop", flow.stopped)?;
    }
    text(f, "helper", flow.helper.as_deref())?;
    number(f, "use", flow.uses)?;
    if shown.id {
        number(f, "id", flow.id)?;
    }
    match (shown.labels, flow.labels) {
        (Some(names), Some(labels)) => write!(f, "{}", LabelList { names, labels }),
        _ => Ok(()),
    }
}

/// Whole seconds between two clock readings that are themselves cut to seconds.
pub(super) fn age(flow: &Flow, now: Option<Instant>) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000;
    match (flow.started, flow.stopped.or(now.map(|now| now.0))) {
        (Some(started), Some(until)) => Some((until / SECOND).saturating_sub(started / SECOND)),
        _ => flow.age,
    }
}

/// ` labels=one,two`; nothing when none is set.
#[derive(Clone, Copy, Debug)]
struct LabelList<'a> {
    names: &'a LabelNames,
    labels: Labels,
}

impl fmt::Display for LabelList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = " labels=";
        for name in self.labels.bits().filter_map(|bit| self.names.name(bit)) {
            write!(f, "{before}{name}")?;
            before = ",";
        }
        Ok(())
    }
}

fn half(f: &mut fmt::Formatter<'_>, half: &Half, protocol: u8, family: Family) -> fmt::Result {
    addresses(f, half, family)?;
    if let (Some(kind), Some(code)) = (half.icmp_type, half.icmp_code) {
        return write!(f, " type={kind} code={code} id={}", half.icmp_id.unwrap_or(0));
    }
    ports(f, half, protocol)
}

/// ` src=192.0.2.1 dst=192.0.2.2`.
pub(super) fn addresses(f: &mut fmt::Formatter<'_>, half: &Half, family: Family) -> fmt::Result {
    let ip = |address| Ip(address, family);
    write!(f, " src={} dst={}", ip(half.source), ip(half.destination))
}

/// ` sport=1 dport=2`; keys of GRE in hexadecimal.
pub(super) fn ports(f: &mut fmt::Formatter<'_>, half: &Half, protocol: u8) -> fmt::Result {
    let (Some(source), Some(destination)) = (half.source_port, half.destination_port) else {
        return Ok(());
    };
    match protocol {
        gre::PROTOCOL => write!(f, " srckey={source:#x} dstkey={destination:#x}"),
        _ => write!(f, " sport={source} dport={destination}"),
    }
}

pub(super) fn counters(f: &mut fmt::Formatter<'_>, counters: Option<(u64, u64)>) -> fmt::Result {
    match counters {
        Some((packets, bytes)) => write!(f, " packets={packets} bytes={bytes}"),
        None => Ok(()),
    }
}

fn zone(f: &mut fmt::Formatter<'_>, name: &str, zone: Option<u16>) -> fmt::Result {
    number(f, name, zone.map(u32::from))
}

fn number(f: &mut fmt::Formatter<'_>, name: &str, value: Option<u32>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {name}={value}"),
        None => Ok(()),
    }
}

fn text(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&str>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {name}={value}"),
        None => Ok(()),
    }
}

fn date(f: &mut fmt::Formatter<'_>, name: &str, nanos: Option<u64>) -> fmt::Result {
    match nanos {
        Some(nanos) => write!(f, " [{name}={}]", Date::of(Instant(nanos))),
        None => Ok(()),
    }
}
