//! Connections as the commands that would make them (`conntrack -L -o save`).

use super::{Ip, Kind};
use crate::CtStatus;
use crate::flow::{Flow, Half, ProtocolInfo, protocol_name, states};
use core::fmt;
use keepstate_packet::{Family, gre, icmpv6};

/// A connection as `-o save` prints it, without a line end. It leaves out marks, labels, helpers
/// and counters, as conntrack(8) does.
#[derive(Clone, Copy, Debug)]
pub struct SaveLine<'a> {
    /// The connection.
    pub flow: &'a Flow,
    /// Why it is printed.
    pub kind: Kind,
}

/// The status bits that `-u` has words for.
pub(crate) const STATUS_WORDS: [(CtStatus, &str); 6] = [
    (CtStatus::ASSURED, "ASSURED"),
    (CtStatus::SEEN_REPLY, "SEEN_REPLY"),
    (CtStatus(0), "UNSET"),
    (CtStatus::FIXED_TIMEOUT, "FIXED_TIMEOUT"),
    (CtStatus::EXPECTED, "EXPECTED"),
    (CtStatus::OFFLOAD, "OFFLOAD"),
];

impl fmt::Display for SaveLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = self.flow;
        f.write_str(match self.kind {
            Kind::Listed | Kind::New => "-A",
            Kind::Update => "-U",
            Kind::Destroy => "-D",
        })?;
        if let Some(timeout) = flow.timeout {
            write!(f, " -t {timeout}")?;
        }
        if let Some(status) = flow.status {
            write!(f, " -u {}", StatusList(status))?;
        }
        zones(f, flow)?;
        addresses(f, flow)?;
        protocol(f, flow)
    }
}

/// The status bits that `-u` has words for, in the order of their bits: `SEEN_REPLY,ASSURED`.
#[derive(Clone, Copy, Debug)]
pub struct StatusList(pub CtStatus);

impl fmt::Display for StatusList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for bit in 0..32 {
            let status = CtStatus(1 << bit);
            let word = STATUS_WORDS.iter().find(|(known, _)| *known == status);
            if let Some((_, word)) = word.filter(|_| self.0.contains(status)) {
                write!(f, "{before}{word}")?;
                before = ",";
            }
        }
        if before.is_empty() { f.write_str("UNSET") } else { Ok(()) }
    }
}

fn zones(f: &mut fmt::Formatter<'_>, flow: &Flow) -> fmt::Result {
    let [original, reply] = flow.zone_of;
    for (option, zone) in [("-w", flow.zone), ("--orig-zone", original), ("--reply-zone", reply)] {
        if let Some(zone) = zone {
            write!(f, " {option} {zone}")?;
        }
    }
    Ok(())
}

fn addresses(f: &mut fmt::Formatter<'_>, flow: &Flow) -> fmt::Result {
    let family = flow.family.unwrap_or(Family::V4);
    let ip = |address| Ip(address, family);
    let reply_source = if flow.is_destination_translated() { "-g" } else { "-r" };
    let reply_destination = if flow.is_source_translated() { "-n" } else { "-q" };
    write!(f, " -s {} -d {}", ip(flow.original.source), ip(flow.original.destination))?;
    write!(f, " {reply_source} {}", ip(flow.reply.source))?;
    write!(f, " {reply_destination} {}", ip(flow.reply.destination))
}

fn protocol(f: &mut fmt::Formatter<'_>, flow: &Flow) -> fmt::Result {
    let protocol = flow.protocol.unwrap_or(0);
    match protocol_name(protocol) {
        Some(name) => write!(f, " -p {name}")?,
        None => write!(f, " -p {protocol}")?,
    }
    if let Half { icmp_type: Some(kind), icmp_code: Some(code), icmp_id, .. } = flow.original {
        let name = if protocol == icmpv6::PROTOCOL { "icmpv6" } else { "icmp" };
        let id = icmp_id.unwrap_or(0);
        return write!(f, " --{name}-type {kind} --{name}-code {code} --{name}-id {id}");
    }
    let keys = ["--srckey", "--dstkey", "--reply-key-src", "--reply-key-dst"];
    let ports = ["--sport", "--dport", "--reply-port-src", "--reply-port-dst"];
    let names = if protocol == gre::PROTOCOL { keys } else { ports };
    let (there, back) = (&flow.original, &flow.reply);
    let values =
        [there.source_port, there.destination_port, back.source_port, back.destination_port];
    for (name, value) in names.iter().zip(values) {
        // Those of DCCP are always 0, and 0 is left out.
        if let Some(value) = value.filter(|value| *value != 0 || protocol != crate::flow::DCCP) {
            write!(f, " {name} {value}")?;
        }
    }
    let state = flow.info.state().map(usize::from);
    if let Some(state) = state.and_then(|state| states(protocol).get(state)) {
        write!(f, " --state {state}")?;
    }
    match flow.info {
        ProtocolInfo::Sctp { vtags: [original, reply], .. } => {
            for (name, value) in [("--orig-vtag", original), ("--reply-vtag", reply)] {
                if let Some(value) = value {
                    write!(f, " {name} {value}")?;
                }
            }
            Ok(())
        }
        ProtocolInfo::Dccp { role: Some(role), .. } => {
            write!(f, " --role {}", if role == 0 { "client" } else { "server" })
        }
        _ => Ok(()),
    }
}
