//! SCTP in the notation of a packet: a tag, and chunks by their names.

use crate::fuzz::draft::{Chunk, SctpPacket};
use keepstate_packet::sctp::{INIT_LENGTH, chunk};

/// Chunks by their names.
const CHUNKS: [(&str, u8); 13] = [
    ("DATA", chunk::DATA),
    ("INIT", chunk::INIT),
    ("INIT-ACK", chunk::INIT_ACK),
    ("SACK", chunk::SACK),
    ("HEARTBEAT", chunk::HEARTBEAT),
    ("HEARTBEAT-ACK", chunk::HEARTBEAT_ACK),
    ("ABORT", chunk::ABORT),
    ("SHUTDOWN", chunk::SHUTDOWN),
    ("SHUTDOWN-ACK", chunk::SHUTDOWN_ACK),
    ("ERROR", chunk::ERROR),
    ("COOKIE-ECHO", chunk::COOKIE_ECHO),
    ("COOKIE-ACK", chunk::COOKIE_ACK),
    ("SHUTDOWN-COMPLETE", chunk::SHUTDOWN_COMPLETE),
];

/// Reads one word into the packet; false when it is none of SCTP's.
pub(super) fn detail(packet: &mut SctpPacket, name: &str, value: &str) -> Result<bool, String> {
    if let Some((_, kind)) = CHUNKS.iter().find(|(known, _)| *known == name) {
        packet.chunks.push(chunk_of(*kind, value)?);
        return Ok(true);
    }
    match (name, packet.chunks.last_mut()) {
        ("tag", _) => packet.tag = super::packet::read(value)?,
        ("length", Some(last)) => last.length_error = super::packet::read(value)?,
        ("len", Some(last)) => last.value.resize(super::packet::read(value)?, 0),
        _ => return Ok(false),
    }
    Ok(true)
}

/// `INIT=TAG` says which tag its sender wants to see, `ABORT=T` sets the T bit.
fn chunk_of(kind: u8, value: &str) -> Result<Chunk, String> {
    let mut chunk = Chunk { kind, flags: 0, length_error: 0, value: Vec::new() };
    match (kind, value) {
        (chunk::INIT | chunk::INIT_ACK, tag) => {
            chunk.value.extend(super::packet::read::<u32>(tag)?.to_be_bytes());
            chunk.value.resize(INIT_LENGTH, 0);
        }
        (chunk::ABORT | chunk::SHUTDOWN_COMPLETE, "T") => chunk.flags = chunk::T_BIT,
        (_, "") => {}
        _ => return Err(format!("{value}: this chunk takes no value")),
    }
    Ok(chunk)
}
