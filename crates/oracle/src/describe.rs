//! One line about a packet, for people who read differences.

use crate::observation::Side;
use keepstate_conntrack::proto::sctp::Kind;
use keepstate_packet::sctp::{self, Chunks, SctpHeader};
use keepstate_packet::{Family, L4, Parsed};

/// The packet in one line.
#[must_use]
pub fn packet(side: Side, bytes: &[u8]) -> String {
    let arrow = if side == Side::A { "A>B" } else { "B>A" };
    let Ok(p) = Parsed::new(bytes) else {
        return format!("{arrow} {} bytes that are no IP packet", bytes.len());
    };
    let (source, destination) = (p.source.ip(p.family), p.destination.ip(p.family));
    let l4 = match &p.l4 {
        L4::Tcp(t) => {
            let flags: String = "FSRPAUEC"
                .chars()
                .enumerate()
                .filter_map(|(n, flag)| (t.flags >> n & 1 == 1).then_some(flag))
                .collect();
            let header = usize::from(t.header_length);
            let start = p.l4_offset as usize;
            let payload = (p.length as usize).saturating_sub(start + header);
            let options = bytes.get(start + 20..start + header).unwrap_or(&[]);
            format!(
                "TCP {} > {} [{flags}] seq {} ack {} win {} len {payload} options {}",
                t.source_port,
                t.destination_port,
                t.sequence,
                t.acknowledgment,
                t.window,
                crate::compare::hex(options)
            )
        }
        L4::Udp(u) => format!("UDP {} > {} length {}", u.source_port, u.destination_port, u.length),
        L4::UdpLite(u) => {
            format!("UDP-Lite {} > {} coverage {}", u.source_port, u.destination_port, u.length)
        }
        L4::Other if p.protocol == sctp::PROTOCOL => association(p.l4_bytes(bytes)),
        L4::Other => format!("protocol {}", p.protocol),
        other => format!("{other:?}"),
    };
    let ttl = bytes.get(if p.family == Family::V4 { 8 } else { 7 }).copied().unwrap_or(0);
    format!("{arrow} {source} > {destination} ttl {ttl} length {} {l4}", p.length)
}

/// Ports, tag and chunks of an SCTP packet.
fn association(packet: &[u8]) -> String {
    let Some(header) = SctpHeader::read(packet) else { return "SCTP cut".to_owned() };
    let chunks: Vec<String> = Chunks::of(packet)
        .map(|chunk| {
            let name = match Kind::of(chunk.kind) {
                Kind::Other => format!("{:#x}", chunk.kind),
                kind => kind.name().to_owned(),
            };
            format!("{name} flags {} length {}", chunk.flags, chunk.length)
        })
        .collect();
    let (source, destination) = (header.source_port, header.destination_port);
    let tag = header.verification_tag;
    format!("SCTP {source} > {destination} tag {tag:#x} [{}]", chunks.join(", "))
}
