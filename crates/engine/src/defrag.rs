//! Defragmentation (priority -400 of PREROUTING and OUTPUT): tracking sees whole datagrams. Their
//! pieces are held until the last one has come; what goes on is cut again on the way out, so that
//! no piece is larger than the largest that came.
//!
//! A queue lives 30 seconds (IPv6: 60) from its first piece. A piece that is wholly there already
//! is a duplicate and changes nothing; one that overlaps others ends its queue, and over
//! IPv4 so does one that contradicts the length known by then. Observed on Linux 6.18; RFC 791, RFC 5722, RFC 8200 (4.5).

use crate::answer::seal_ipv4;
use crate::cause::Cause;
use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;
use keepstate_packet::{Address, Family, Instant, L4, Parsed, ipv4, ipv6};

/// Most datagrams that wait for pieces.
pub const QUEUES_MAX: usize = 1024;
/// Most bytes held, of all queues together (`net.ipv4.ipfrag_high_thresh`).
pub const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most pieces of one datagram: as many as 8 bytes each make the longest one.
pub const PIECES_MAX: usize = 8192;

const LIFE_V4: Duration = Duration::from_secs(30);
const LIFE_V6: Duration = Duration::from_secs(60);

/// No datagram is longer, headers included; over IPv6 its payload is not.
const LENGTH_MAX: usize = 65_535;
/// No IPv6 link carries less.
const MTU_MIN_V6: usize = 1280;
const FRAGMENT_HEADER: usize = 8;

/// What became of a fragment.
#[derive(Debug)]
pub(crate) enum Gathered {
    /// It waits for the others.
    Held,
    /// It ended its queue, or found no room.
    Discarded(Cause),
    /// It was the last one.
    Whole(Datagram),
    /// It is none that can be gathered; it goes on as it is.
    Alone,
}

/// A datagram put together.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) bytes: Vec<u8>,
    /// Size of its largest piece, in bytes with all headers; 0 when it came in one.
    largest: usize,
    /// Where it was cut: the end of each piece, counted from the IP header.
    cuts: Vec<usize>,
    identification: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: Address,
    destination: Address,
    identification: u32,
    /// IPv4's protocol; IPv6 keys have none.
    protocol: u8,
    family: Family,
}

#[derive(Debug)]
struct Queue {
    until: Instant,
    /// What stands before the data, of the first piece.
    head: Vec<u8>,
    data: Vec<u8>,
    /// Parts of `data` that are there, beginnings and ends in order. A piece joins the part before
    /// it only when it was last in the data so far, as on Linux: a later piece that is within one
    /// part is a duplicate, one across two parts overlaps.
    runs: Vec<(usize, usize)>,
    /// Where each piece ends, in order.
    cuts: Vec<usize>,
    /// Bytes that are there.
    present: usize,
    /// End of what came.
    length: usize,
    last_seen: bool,
    largest: usize,
    largest_unfragmentable: usize,
}

/// The queues.
#[derive(Debug, Default)]
pub(crate) struct Defrag {
    queues: BTreeMap<Key, Queue>,
    bytes: usize,
}

/// Why a queue does not take a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// It contradicts the length known by then, or is empty.
    Contradiction,
    /// It overlaps others.
    Overlap,
}

/// A fragment taken apart.
struct Piece<'a> {
    key: Key,
    /// Everything before the data, without IPv6's fragment header.
    head: Vec<u8>,
    data: &'a [u8],
    offset: usize,
    more: bool,
    unfragmentable: bool,
    size: usize,
}

impl Defrag {
    /// Takes a fragment.
    pub(crate) fn gather(&mut self, now: Instant, parsed: &Parsed, bytes: &[u8]) -> Gathered {
        let packet = parsed.packet(bytes);
        let piece = match parsed.family {
            Family::V4 => piece_v4(parsed, packet),
            Family::V6 => match piece_v6(parsed, packet) {
                Ok(piece) => piece,
                Err(cause) => return cause.map_or(Gathered::Alone, Gathered::Discarded),
            },
        };
        let Some(piece) = piece else { return Gathered::Alone };
        if parsed.family == Family::V6 && lacks_header(parsed, &piece) {
            return Gathered::Alone;
        }
        let end = piece.offset + piece.data.len();
        if parsed.family == Family::V6 {
            if end > LENGTH_MAX {
                return Gathered::Discarded(Cause::FragLimit);
            }
            if piece.more && end % 8 != 0 {
                self.remove(&piece.key);
                return Gathered::Alone;
            }
        }
        self.enter(now, &piece)
    }

    fn enter(&mut self, now: Instant, piece: &Piece<'_>) -> Gathered {
        if self.queues.get(&piece.key).is_some_and(|queue| queue.until <= now) {
            self.remove(&piece.key);
        }
        let is_new = !self.queues.contains_key(&piece.key);
        let full = self.bytes + piece.size > BYTES_MAX || is_new && self.queues.len() >= QUEUES_MAX;
        if full {
            return Gathered::Discarded(Cause::FragLimit);
        }
        let life = match piece.key.family {
            Family::V4 => LIFE_V4,
            Family::V6 => LIFE_V6,
        };
        let queue = self.queues.entry(piece.key).or_insert_with(|| Queue {
            until: now.plus(life),
            head: Vec::new(),
            data: Vec::new(),
            runs: Vec::new(),
            cuts: Vec::new(),
            present: 0,
            length: 0,
            last_seen: false,
            largest: 0,
            largest_unfragmentable: 0,
        });
        let before = queue.bytes();
        let entered = queue.enter(piece);
        // A duplicate completes nothing, even where it says that no more will come.
        let complete = entered == Ok(true) && queue.is_complete();
        self.bytes = self.bytes + queue.bytes() - before;
        match entered {
            // IPv6 leaves the queue as it was when only the length is contradicted.
            Err(Refused::Contradiction) if piece.key.family == Family::V6 => {
                Gathered::Discarded(Cause::FragOverlap)
            }
            Err(Refused::Contradiction | Refused::Overlap) => {
                self.remove(&piece.key);
                Gathered::Discarded(Cause::FragOverlap)
            }
            Ok(_) if complete => self.finish(piece.key),
            Ok(_) => Gathered::Held,
        }
    }

    fn finish(&mut self, key: Key) -> Gathered {
        let Some(queue) = self.remove(&key) else { return Gathered::Held };
        let Queue { head, data, largest, largest_unfragmentable, mut cuts, .. } = queue;
        cuts.iter_mut().for_each(|cut| *cut += head.len());
        let unfragmentable = largest_unfragmentable == largest;
        match whole(key, head, &data, unfragmentable) {
            Some(datagram) => Gathered::Whole(Datagram { largest, cuts, ..datagram }),
            None => Gathered::Discarded(Cause::FragLimit),
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Queue> {
        let queue = self.queues.remove(key)?;
        self.bytes = self.bytes.saturating_sub(queue.bytes());
        Some(queue)
    }

    /// Forgets datagrams whose time is up.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.queues.retain(|_, queue| queue.until > now);
        self.bytes = self.queues.values().map(Queue::bytes).sum();
    }

    /// Whether anything waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}

impl Queue {
    fn bytes(&self) -> usize {
        self.head.len() + self.data.len()
    }

    /// Takes a piece; false when it is a duplicate.
    fn enter(&mut self, piece: &Piece<'_>) -> Result<bool, Refused> {
        let (start, end) = (piece.offset, piece.offset + piece.data.len());
        // Only the last piece may end between units of eight; what another has beyond is left.
        let end = if piece.more { end & !7 } else { end };
        let contradicts = if piece.more {
            end > self.length && self.last_seen
        } else {
            end < self.length || self.last_seen && end != self.length
        };
        if contradicts || end > LENGTH_MAX || self.cuts.len() >= PIECES_MAX {
            return Err(Refused::Contradiction);
        }
        // Even an empty piece says where the datagram ends.
        self.last_seen |= !piece.more;
        self.length = self.length.max(end);
        if end == start {
            return Err(Refused::Contradiction);
        }
        if !self.place(start, end)? {
            return Ok(false);
        }
        self.present += end - start;
        self.cuts.insert(self.cuts.partition_point(|cut| *cut < end), end);
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        if let (Some(place), Some(data)) =
            (self.data.get_mut(start..end), piece.data.get(..end - start))
        {
            place.copy_from_slice(data);
        }
        if start == 0 {
            self.head.clone_from(&piece.head);
        }
        self.largest = self.largest.max(piece.size);
        if piece.unfragmentable {
            self.largest_unfragmentable = self.largest_unfragmentable.max(piece.size);
        }
        Ok(true)
    }

    /// Finds the place of a piece among those that are there; false for a duplicate.
    fn place(&mut self, start: usize, end: usize) -> Result<bool, Refused> {
        let tail = self.runs.last().map_or(0, |(_, tail)| *tail);
        if end > tail {
            match self.runs.last_mut() {
                Some(_) if start < tail => return Err(Refused::Overlap),
                Some(run) if start == tail => run.1 = end,
                Some(_) | None => self.runs.push((start, end)),
            }
            return Ok(true);
        }
        let at = self.runs.partition_point(|(_, run_end)| *run_end <= start);
        match self.runs.get(at) {
            Some((run_start, run_end)) if start >= *run_start && end <= *run_end => Ok(false),
            Some((run_start, _)) if end > *run_start => Err(Refused::Overlap),
            Some(_) | None => {
                self.runs.insert(at, (start, end));
                Ok(true)
            }
        }
    }

    /// Pieces do not overlap, so their sizes tell.
    fn is_complete(&self) -> bool {
        self.last_seen && self.present == self.length
    }
}

fn piece_v4<'a>(parsed: &Parsed, packet: &'a [u8]) -> Option<Piece<'a>> {
    let fragment = parsed.fragment?;
    let (head, data) = packet.split_at_checked(usize::from(parsed.header_length))?;
    Some(Piece {
        key: Key {
            source: parsed.source,
            destination: parsed.destination,
            identification: fragment.identification,
            protocol: parsed.protocol,
            family: Family::V4,
        },
        head: head.to_vec(),
        data,
        offset: usize::from(fragment.offset),
        more: fragment.more,
        unfragmentable: ipv4::dont_fragment(packet),
        size: packet.len(),
    })
}

/// `Err(None)`: there is no fragment header that could be taken out.
fn piece_v6<'a>(parsed: &Parsed, packet: &'a [u8]) -> Result<Option<Piece<'a>>, Option<Cause>> {
    let mut naming = 6;
    let found = ipv6::ExtensionHeaders::of(packet).find(|header| {
        let is_it = header.protocol == ipv6::FRAGMENT;
        naming = if is_it { naming } else { header.offset };
        is_it
    });
    let header = found.ok_or(None)?;
    if packet.len() < header.offset + FRAGMENT_HEADER {
        return Err(Some(Cause::Short));
    }
    let fragment = ipv6::fragment(packet, &header).ok_or(None)?;
    let (head, rest) = packet.split_at_checked(header.offset).ok_or(None)?;
    let mut head = head.to_vec();
    *head.get_mut(naming).ok_or(None)? = header.next_header;
    Ok(Some(Piece {
        key: Key {
            source: parsed.source,
            destination: parsed.destination,
            identification: fragment.identification,
            protocol: 0,
            family: Family::V6,
        },
        head,
        data: rest.get(FRAGMENT_HEADER..).unwrap_or(&[]),
        offset: usize::from(fragment.offset),
        more: fragment.more,
        unfragmentable: false,
        size: packet.len(),
    }))
}

/// The datagram; `None` when it is longer than one may be.
fn whole(key: Key, head: Vec<u8>, data: &[u8], unfragmentable: bool) -> Option<Datagram> {
    let mut bytes = head;
    let head_length = bytes.len();
    bytes.extend_from_slice(data);
    match key.family {
        Family::V4 => {
            let length = u16::try_from(bytes.len()).ok()?;
            let flags = if unfragmentable { ipv4::DONT_FRAGMENT } else { 0 };
            bytes.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
            bytes.get_mut(6..8)?.copy_from_slice(&flags.to_be_bytes());
            seal_ipv4(bytes.get_mut(..head_length)?);
        }
        Family::V6 => {
            let length = u16::try_from(bytes.len() - ipv6::HEADER_LENGTH).ok()?;
            bytes.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
        }
    }
    let identification = key.identification;
    Some(Datagram { bytes, largest: 0, cuts: Vec::new(), identification })
}

/// A first fragment has to hold all headers (RFC 8200, 4.5); Linux lets one go by that does not.
fn lacks_header(parsed: &Parsed, piece: &Piece<'_>) -> bool {
    let least = match parsed.protocol {
        _ if matches!(parsed.l4, L4::NoNextHeader | L4::BrokenChain) => 0,
        6 => 20,
        17 | 58 => 8,
        _ => 1,
    };
    piece.offset == 0 && (parsed.length - parsed.l4_offset) < least
}

/// Cuts a datagram that came in pieces; `None` when it leaves whole. It is cut where it was, or
/// where that does not fit into pieces as large as the largest was.
pub(crate) fn cut(datagram: &Datagram, parsed: &Parsed) -> Option<Vec<Vec<u8>>> {
    let bytes = parsed.packet(&datagram.bytes);
    match parsed.family {
        _ if datagram.largest == 0 => None,
        Family::V4 => {
            cut_v4(bytes, usize::from(parsed.header_length), datagram.largest, &datagram.cuts)
        }
        Family::V6 if bytes.len() > datagram.largest => cut_v6(bytes, datagram),
        Family::V6 => None,
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
    let fits = |(start, end)| end > start && end - start <= room && whole_units(end);
    if cuts.last() == Some(&length) && as_before.clone().all(fits) {
        return as_before.collect();
    }
    let room = (room & !7).max(8);
    let starts = (head_length..length).step_by(room);
    starts.map(|start| (start, length.min(start + room))).collect()
}

fn cut_v4(
    bytes: &[u8],
    head_length: usize,
    largest: usize,
    cuts: &[usize],
) -> Option<Vec<Vec<u8>>> {
    let head = bytes.get(..head_length)?;
    let room = largest.checked_sub(head_length)?;
    let spans = spans(bytes.len(), head_length, cuts, room).into_iter();
    let pieces = spans.map(|(start, end)| {
        let mut out = head.to_vec();
        if start > head_length {
            blank_options(&mut out);
        }
        let more = if end < bytes.len() { ipv4::MORE_FRAGMENTS } else { 0 };
        put(&mut out, 2, head_length + end - start);
        put(&mut out, 6, ((start - head_length) / 8) | usize::from(more));
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

fn cut_v6(bytes: &[u8], datagram: &Datagram) -> Option<Vec<Vec<u8>>> {
    let (head_length, naming) = unfragmentable_v6(bytes);
    let head = bytes.get(..head_length)?;
    let next_header = *head.get(naming)?;
    let room = datagram.largest.max(MTU_MIN_V6).checked_sub(head_length + FRAGMENT_HEADER)?;
    let spans = spans(bytes.len(), head_length, &datagram.cuts, room).into_iter();
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
fn unfragmentable_v6(bytes: &[u8]) -> (usize, usize) {
    let (mut length, mut naming, mut routed) = (ipv6::HEADER_LENGTH, 6, false);
    for header in ipv6::ExtensionHeaders::of(bytes) {
        match header.protocol {
            ipv6::HOP_BY_HOP => {}
            ipv6::ROUTING => routed = true,
            ipv6::DESTINATION_OPTIONS if !routed => {}
            _ => break,
        }
        naming = header.offset;
        length = header.offset + header.length;
    }
    (length.min(bytes.len()), naming)
}
