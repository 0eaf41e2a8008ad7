//! SCTP packets: `sctp: INIT[flgs=0, tag=1, a_rwnd=1500, os=1, is=1, tsn=1]; ...`. The verification
//! tag is what the other side asked for in its INIT or INIT_ACK.

use super::segments::{End, Ends, number};
use crate::fuzz::draft::{Body, Chunk, SctpPacket};
use keepstate_packet::sctp::{INIT_LENGTH, chunk};

/// Chunks by the names that scripts use.
const CHUNKS: [(&str, u8); 13] = [
    ("DATA", chunk::DATA),
    ("INIT", chunk::INIT),
    ("INIT_ACK", chunk::INIT_ACK),
    ("SACK", chunk::SACK),
    ("HEARTBEAT", chunk::HEARTBEAT),
    ("HEARTBEAT_ACK", chunk::HEARTBEAT_ACK),
    ("ABORT", chunk::ABORT),
    ("SHUTDOWN", chunk::SHUTDOWN),
    ("SHUTDOWN_ACK", chunk::SHUTDOWN_ACK),
    ("ERROR", chunk::ERROR),
    ("COOKIE_ECHO", chunk::COOKIE_ECHO),
    ("COOKIE_ACK", chunk::COOKIE_ACK),
    ("SHUTDOWN_COMPLETE", chunk::SHUTDOWN_COMPLETE),
];

/// Reads what stands behind `sctp`: perhaps a tag in parentheses, and the chunks.
pub(super) fn packet(ends: &mut Ends, from: End, text: &str) -> Result<Body, String> {
    let (head, chunks) = text.split_once(':').ok_or("want `sctp: CHUNK[...]`")?;
    let mut packet = SctpPacket {
        ports: (ends.ports[from as usize], ends.ports[from.other() as usize]),
        ..SctpPacket::default()
    };
    packet.tag = ends.tags[from.other() as usize];
    for text in split(chunks)? {
        let (name, inner) = text.split_once('[').unwrap_or((text, "]"));
        let fields = inner.strip_suffix(']').ok_or_else(|| format!("{text}: want `]`"))?;
        let chunk = read(name.trim(), fields)?;
        match chunk.kind {
            chunk::INIT | chunk::INIT_ACK => {
                let tag = chunk.value.first_chunk().map_or(0, |tag| u32::from_be_bytes(*tag));
                ends.tags[from as usize] = tag;
                if chunk.kind == chunk::INIT {
                    packet.tag = 0;
                }
            }
            chunk::ABORT | chunk::SHUTDOWN_COMPLETE if chunk.flags & chunk::T_BIT != 0 => {
                packet.tag = ends.tags[from as usize];
            }
            _ => {}
        }
        packet.chunks.push(chunk);
    }
    let head = head.trim().trim_matches(['(', ')']);
    if let Some(tag) = head.split(',').find_map(|pair| pair.trim().strip_prefix("tag=")) {
        packet.tag = number(tag)?;
    }
    Ok(Body::Sctp(packet))
}

/// The chunks, which `;` parts outside of brackets.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut depth, mut from, mut chunks) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            ';' if depth == 0 => {
                chunks.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    chunks.push(text[from..].trim());
    if depth == 0 { Ok(chunks) } else { Err(format!("{text}: brackets do not close")) }
}

fn read(name: &str, fields: &str) -> Result<Chunk, String> {
    let kind = CHUNKS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    let value = |key: &str| {
        fields.split(',').find_map(|field| field.trim().strip_prefix(key)?.strip_prefix('='))
    };
    let kind = match (kind, value("type")) {
        (Some(kind), _) => kind,
        (None, Some(kind)) => number(kind)?,
        (None, None) => return Err(format!("{name}: not a chunk")),
    };
    let flags = match value("flgs") {
        None | Some("...") => 0,
        Some(text) if text.contains('T') => chunk::T_BIT,
        // The bits of DATA, which nothing here looks at.
        Some(text) => number(text).unwrap_or(0),
    };
    let mut body = Vec::new();
    if matches!(kind, chunk::INIT | chunk::INIT_ACK) {
        let tag: u32 = number(value("tag").ok_or("want tag=N")?)?;
        body.extend(tag.to_be_bytes());
        body.resize(INIT_LENGTH, 0);
    } else if let Some(length) = value("len").filter(|length| *length != "...") {
        body.resize(number::<usize>(length)?.saturating_sub(4), 0);
    }
    Ok(Chunk { kind, flags, length_error: 0, value: body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepstate_packet::Family;

    #[test]
    fn tags_follow_from_the_handshake() {
        let mut ends = Ends::new(Family::V4, End::Host);
        let mut tag = |from, text: &str| match packet(&mut ends, from, text).unwrap() {
            Body::Sctp(packet) => (packet.tag, packet.chunks.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(tag(End::Host, ": INIT[flgs=0, tag=1, a_rwnd=1500, os=1, is=1, tsn=1]"), (0, 1));
        assert_eq!(tag(End::Peer, ": INIT_ACK[flgs=0, tag=2, tsn=1, STATE_COOKIE[len=4]]"), (1, 1));
        assert_eq!(tag(End::Host, ": COOKIE_ECHO[flgs=0, len=8]; DATA[flgs=BE, len=20]"), (2, 2));
        assert_eq!(tag(End::Peer, ": ABORT[flgs=T]"), (2, 1));
        assert_eq!(tag(End::Peer, "(tag=77): SHUTDOWN[flgs=0, cum_tsn=0]"), (77, 1));
        assert!(packet(&mut ends, End::Host, ": FOO[]").is_err());
    }
}
