//! Cutting on the way out.

use super::{Datagram, FRAGMENT_HEADER, MTU_MIN_V6};
use crate::answer::seal_ipv4;
use crate::cause::Cause;
use alloc::vec::Vec;
use keepstate_packet::{Family, Parsed, ipv4, ipv6};

/// The offset of a fragment in the field that it shares with the flags, in units of eight octets.
const OFFSET: u16 = 0x1fff;

/// Cuts a datagram that came in pieces; none when it leaves whole. It is cut where it was, or,
/// where that does not fit, into pieces as large as the largest was and as the way out takes.
pub(crate) fn cut(
    datagram: &Datagram,
    parsed: &Parsed,
    mtu: u32,
) -> Result<Option<Vec<Vec<u8>>>, Cause> {
    let bytes = parsed.packet(&datagram.bytes);
    match parsed.family {
        _ if datagram.largest == 0 => Ok(None),
        Family::V4 => {
            let most = datagram.largest.min(mtu as usize);
            let head_length = usize::from(parsed.header_length);
            Ok(cut_v4(bytes, head_length, most, &datagram.cuts))
        }
        Family::V6 if bytes.len() > datagram.largest => {
            cut_v6(bytes, datagram).map(Some).ok_or(Cause::Malformed)
        }
        Family::V6 => Ok(None),
    }
}

/// Cuts an IPv4 packet into pieces of at most `most` bytes.
pub(crate) fn cut_to(packet: &[u8], parsed: &Parsed, most: u32) -> Vec<Vec<u8>> {
    cut_v4(packet, usize::from(parsed.header_length), most as usize, &[]).unwrap_or_default()
}

/// Beginning and end of the data of each piece, of a packet of `length` bytes whose data begins at
/// `head_length`; `room` is what a piece can hold.
fn spans(length: usize, head_length: usize, cuts: &[usize], room: usize) -> Vec<(usize, usize)> {
    let starts = || core::iter::once(head_length).chain(cuts.iter().copied());
    let as_before = starts().zip(cuts.iter().copied());
    let whole_units = |end: usize| end == length || (end - head_length).is_multiple_of(8);
    // The first piece may have held nothing but what stands in every IPv6 fragment.
    let fits = |(start, end)| end >= start && end - start <= room && whole_units(end);
    if cuts.last() == Some(&length) && as_before.clone().all(fits) {
        return as_before.collect();
    }
    let step = (room & !7).max(8);
    let mut spans = Vec::with_capacity((length - head_length) / step + 1);
    let mut start = head_length;
    while start < length {
        // Only the last piece may end between units of eight.
        let end = if length - start <= room { length } else { start + step };
        spans.push((start, end.min(length)));
        start = end;
    }
    spans
}

fn cut_v4(
    bytes: &[u8],
    head_length: usize,
    largest: usize,
    cuts: &[usize],
) -> Option<Vec<Vec<u8>>> {
    let head = bytes.get(..head_length)?;
    // What is cut may be a piece itself.
    let field = u16::from_be_bytes(*head.get(6..8)?.first_chunk()?);
    let (offset, more_follow) = (field & OFFSET, field & ipv4::MORE_FRAGMENTS);
    let room = largest.checked_sub(head_length)?;
    let spans = spans(bytes.len(), head_length, cuts, room);
    // What was not to be cut further keeps that where it is cut anew.
    let anew = spans.iter().map(|(_, end)| end).ne(cuts);
    let alone = if anew && ipv4::dont_fragment(bytes) { ipv4::DONT_FRAGMENT } else { 0 };
    let pieces = spans.into_iter().map(|(start, end)| {
        let mut out = head.to_vec();
        if start > head_length && offset == 0 {
            blank_options(&mut out);
        }
        let more = if end < bytes.len() { ipv4::MORE_FRAGMENTS } else { more_follow };
        let at = usize::from(offset) + (start - head_length) / 8;
        put(&mut out, 2, head_length + end - start);
        put(&mut out, 6, at | usize::from(more | alone));
        seal_ipv4(&mut out);
        out.extend_from_slice(bytes.get(start..end).unwrap_or(&[]));
        out
    });
    Some(pieces.collect())
}

/// Writes a field of a fragment, which is no longer than the datagram was.
fn put(header: &mut [u8], at: usize, number: usize) {
    if let Some(field) = header.get_mut(at..at + 2) {
        field.copy_from_slice(&u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
    }
}

/// Options without the copied bit stand in the first fragment only (RFC 791, 3.1).
fn blank_options(header: &mut [u8]) {
    const COPIED: u8 = 0x80;
    const NO_OPERATION: u8 = 1;
    let mut at = ipv4::HEADER_LENGTH_MIN;
    while let Some(kind) = header.get(at).copied() {
        let length = match kind {
            0 => break,
            NO_OPERATION => 1,
            _ => usize::from(header.get(at + 1).copied().unwrap_or(0)),
        };
        let Some(option) = header.get_mut(at..at + length).filter(|one| !one.is_empty()) else {
            break;
        };
        if kind & COPIED == 0 {
            option.fill(NO_OPERATION);
        }
        at += length;
    }
}

/// How much longer than those it came with the headers of a piece may be where it is cut as before:
/// Linux writes them in front of the data where it lies. Drivers leave 64 bytes there, the Ethernet
/// header was 14; 16 are for that on the way out, 8 for the fragment header.
const HEADROOM: usize = 64 + 14 - 16 - FRAGMENT_HEADER;

fn cut_v6(bytes: &[u8], datagram: &Datagram) -> Option<Vec<Vec<u8>>> {
    let first_piece = datagram.cuts.first().copied().unwrap_or(bytes.len());
    let (head_length, naming) = unfragmentable_v6(bytes, first_piece)?;
    let head = bytes.get(..head_length)?;
    let next_header = *head.get(naming)?;
    let room = datagram.largest.max(MTU_MIN_V6).checked_sub(head_length + FRAGMENT_HEADER)?;
    let has_room = head_length <= datagram.later_head_min.saturating_add(HEADROOM);
    let cuts = if has_room { datagram.cuts.as_slice() } else { &[] };
    let spans = spans(bytes.len(), head_length, cuts, room).into_iter();
    let pieces = spans.map(|(start, end)| {
        let mut out = head.to_vec();
        put(&mut out, 4, head_length - ipv6::HEADER_LENGTH + FRAGMENT_HEADER + end - start);
        if let Some(field) = out.get_mut(naming) {
            *field = ipv6::FRAGMENT;
        }
        out.extend_from_slice(&[next_header, 0, 0, 0]);
        put(&mut out, head_length + 2, (start - head_length) | usize::from(end < bytes.len()));
        out.extend_from_slice(&datagram.identification.to_be_bytes());
        out.extend_from_slice(bytes.get(start..end).unwrap_or(&[]));
        out
    });
    Some(pieces.collect())
}

/// The length of what stands in every fragment, and where the field is that names what follows:
/// hop-by-hop options, routing, destination options unless they stand behind a routing header.
/// `None` when it does not end within the first piece.
fn unfragmentable_v6(bytes: &[u8], first_piece: usize) -> Option<(usize, usize)> {
    let (mut length, mut naming, mut routed) = (ipv6::HEADER_LENGTH, 6, false);
    while length <= first_piece {
        match *bytes.get(naming)? {
            ipv6::HOP_BY_HOP => {}
            ipv6::ROUTING => routed = true,
            ipv6::DESTINATION_OPTIONS if !routed => {}
            _ => return Some((length, naming)),
        }
        let units = *bytes.get(length + 1).filter(|_| length + 2 <= first_piece)?;
        naming = length;
        length += 8 * (usize::from(units) + 1);
    }
    None
}
