//! Connections in XML (`conntrack -L -o xml`).

use super::calendar::Date;
use super::{Ip, Kind, Shown, layer3};
use crate::CtStatus;
use crate::flow::{Flow, Half, ProtocolInfo, protocol_name, states};
use core::fmt;
use keepstate_packet::{Family, Instant, gre, tcp};

/// A connection as `-o xml` prints it: one `<flow>` element, without a line end. Its document is
/// [`Xml::HEAD`] before the first and [`Xml::FOOT`] after the last.
#[derive(Clone, Copy, Debug)]
pub struct Xml<'a> {
    /// The connection.
    pub flow: &'a Flow,
    /// Why it is printed.
    pub kind: Kind,
    /// What is shown besides; the network layer and the number always are.
    pub shown: Shown<'a>,
}

impl Xml<'_> {
    /// Before the first connection.
    pub const HEAD: &'static str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n";
    /// After the last.
    pub const FOOT: &'static str = "</conntrack>\n";
}

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, kind, shown } = self;
        f.write_str(open(*kind))?;
        let [zone_original, zone_reply] = flow.zone_of;
        let [original, reply] = flow.counters;
        direction(f, flow, ("original", &flow.original), (zone_original, original))?;
        direction(f, flow, ("reply", &flow.reply), (zone_reply, reply))?;
        independent(f, flow, shown)?;
        if let Some(instant) = shown.when {
            when(f, instant)?;
        }
        if let Some(helper) = &flow.helper {
            write!(f, "<helper>{helper}</helper>")?;
        }
        f.write_str("</flow>")
    }
}

/// The opening tag.
pub(super) const fn open(kind: Kind) -> &'static str {
    match kind {
        Kind::Listed => "<flow>",
        Kind::New => "<flow type=\"new\">",
        Kind::Update => "<flow type=\"update\">",
        Kind::Destroy => "<flow type=\"destroy\">",
    }
}

type Extras = (Option<u16>, Option<(u64, u64)>);

fn direction(
    f: &mut fmt::Formatter<'_>,
    flow: &Flow,
    (name, half): (&str, &Half),
    (zone, counters): Extras,
) -> fmt::Result {
    let family = flow.family.unwrap_or(Family::V4);
    let protocol = flow.protocol.unwrap_or(0);
    let (l3_name, l3_number) = layer3(family);
    write!(f, "<meta direction=\"{name}\">")?;
    write!(f, "<layer3 protonum=\"{l3_number}\" protoname=\"{l3_name}\">")?;
    addresses(f, half, family)?;
    let l4_name = protocol_name(protocol).unwrap_or("unknown");
    write!(f, "</layer3><layer4 protonum=\"{protocol}\" protoname=\"{l4_name}\">")?;
    ports(f, half, protocol)?;
    f.write_str("</layer4>")?;
    if let Some(zone) = zone {
        write!(f, "<zone>{zone}</zone>")?;
    }
    if let Some((packets, bytes)) = counters {
        write!(f, "<counters><packets>{packets}</packets><bytes>{bytes}</bytes></counters>")?;
    }
    f.write_str("</meta>")
}

/// `<src>192.0.2.1</src><dst>192.0.2.2</dst>`.
pub(super) fn addresses(f: &mut fmt::Formatter<'_>, half: &Half, family: Family) -> fmt::Result {
    let ip = |address| Ip(address, family);
    write!(f, "<src>{}</src><dst>{}</dst>", ip(half.source), ip(half.destination))
}

/// `<sport>1</sport><dport>2</dport>`, or the keys of GRE. Of ICMP nothing is shown.
pub(super) fn ports(f: &mut fmt::Formatter<'_>, half: &Half, protocol: u8) -> fmt::Result {
    let (Some(source), Some(destination)) = (half.source_port, half.destination_port) else {
        return Ok(());
    };
    match protocol {
        gre::PROTOCOL => {
            write!(f, "<srckey>{source:#x}</srckey><dstkey>{destination:#x}</dstkey>")
        }
        _ => write!(f, "<sport>{source}</sport><dport>{destination}</dport>"),
    }
}

/// What belongs to no direction.
fn independent(f: &mut fmt::Formatter<'_>, flow: &Flow, shown: &Shown<'_>) -> fmt::Result {
    f.write_str("<meta direction=\"independent\">")?;
    if let Some(state) = state(&flow.info) {
        write!(f, "<state>{state}</state>")?;
    }
    number(f, "timeout", flow.timeout)?;
    number(f, "mark", flow.mark)?;
    labels(f, flow, shown)?;
    number(f, "secmark", flow.secmark)?;
    if let Some(context) = &flow.secctx {
        write!(f, "<secctx>{context}</secctx>")?;
    }
    number(f, "zone", flow.zone.map(u32::from))?;
    number(f, "use", flow.uses)?;
    number(f, "id", flow.id)?;
    let is = |status| flow.status().contains(status);
    if is(CtStatus::ASSURED) {
        f.write_str("<assured/>")?;
    }
    if flow.status.is_some() && !is(CtStatus::SEEN_REPLY) {
        f.write_str("<unreplied/>")?;
    }
    timestamps(f, flow, shown)?;
    f.write_str("</meta>")
}

/// SCTP's states go by the names of TCP's, as in conntrack(8).
fn state(info: &ProtocolInfo) -> Option<&'static str> {
    let number = usize::from(info.state()?);
    let protocol = match info {
        ProtocolInfo::Dccp { .. } => crate::flow::DCCP,
        _ => tcp::PROTOCOL,
    };
    states(protocol).get(number).copied()
}

fn timestamps(f: &mut fmt::Formatter<'_>, flow: &Flow, shown: &Shown<'_>) -> fmt::Result {
    if shown.timestamps && (flow.started.is_some() || flow.stopped.is_some()) {
        f.write_str("<timestamp>")?;
        for (name, nanos) in [("start", flow.started), ("stop", flow.stopped)] {
            if let Some(nanos) = nanos {
                write!(f, "<{name}>{nanos}</{name}>")?;
            }
        }
        f.write_str("</timestamp>")?;
    }
    let until = flow.stopped.map(Instant);
    let age = match (flow.started, until, shown.now) {
        (Some(started), Some(until), _) => Some(until.0.saturating_sub(started) / 1_000_000_000),
        (Some(started), None, Some(now)) => {
            Some((now.0 / 1_000_000_000).saturating_sub(started / 1_000_000_000))
        }
        _ => flow.age,
    };
    match age {
        Some(age) => write!(f, "<deltatime>{age}</deltatime>"),
        None => Ok(()),
    }
}

fn labels(f: &mut fmt::Formatter<'_>, flow: &Flow, shown: &Shown<'_>) -> fmt::Result {
    let (Some(names), Some(labels)) = (shown.labels, flow.labels) else { return Ok(()) };
    let mut known = labels.bits().filter_map(|bit| names.name(bit)).peekable();
    if known.peek().is_none() {
        return Ok(());
    }
    f.write_str("<labels>")?;
    known.try_for_each(|name| write!(f, "<label>{name}</label>"))?;
    f.write_str("</labels>")
}

fn number(f: &mut fmt::Formatter<'_>, name: &str, value: Option<u32>) -> fmt::Result {
    match value {
        Some(value) => write!(f, "<{name}>{value}</{name}>"),
        None => Ok(()),
    }
}

/// When it happened; Sunday is day 1.
pub(super) fn when(f: &mut fmt::Formatter<'_>, instant: Instant) -> fmt::Result {
    let Date { year, month, day, weekday, hour, minute, second } = Date::of(instant);
    write!(f, "<when><hour>{hour}</hour><min>{minute}</min><sec>{second}</sec>")?;
    write!(f, "<wday>{}</wday><day>{day}</day><month>{month}</month>", weekday + 1)?;
    write!(f, "<year>{year}</year></when>")
}
