//! A datagram that waits for pieces.

use super::piece::{FragmentHeader, Piece};
use super::{Datagram, Key};
use crate::answer::seal_ipv4;
use crate::cause::Cause;
use crate::route::InterfaceIndex;
use alloc::vec::Vec;
use keepstate_packet::{Family, Instant, ipv4, ipv6};

/// No IPv6 datagram has a longer payload.
const PAYLOAD_MAX_V6: usize = 65_535;

/// Congestion codepoints as bits of those seen: not capable, and experienced (RFC 3168, 5.3).
const NOT_CAPABLE: u8 = 1 << 0;
const EXPERIENCED: u8 = 1 << 3;

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) until: Instant,
    /// What its pieces cost, and itself.
    pub(super) charge: usize,
    /// How many fragments of its source there had been when its last piece came.
    pub(super) seen_at: u32,
    /// Where its last piece came in.
    pub(super) interface: Option<InterfaceIndex>,
    /// What stands before the data of the first piece, as it came.
    opening: Vec<u8>,
    fragment_header: Option<FragmentHeader>,
    /// By their places.
    pieces: Vec<Held>,
    /// Parts of the data that are there, beginnings and ends in order. A piece joins the part before
    /// it only when it was last in the data so far, as on Linux: a later piece that is within one
    /// part is a duplicate, one across two parts overlaps.
    runs: Vec<(usize, usize)>,
    /// Bytes that are there.
    present: usize,
    /// End of what came.
    length: usize,
    last_seen: bool,
    /// Size of the largest piece, and of the largest that was not to be fragmented.
    largest: usize,
    largest_unfragmentable: usize,
    /// Bit n: a piece with congestion codepoint n.
    congestion: u8,
}

/// A piece that is there.
#[derive(Debug)]
struct Held {
    start: usize,
    /// Length of its headers as it came.
    head_length: usize,
    data: Vec<u8>,
}

/// What a queue says to a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// It waits for others.
    Waits,
    /// It was there already: nothing changes, not even where it says that no more will come.
    Duplicate,
    /// With it the datagram is whole.
    Completes,
    /// It contradicts the length known by then, or is empty.
    Contradicts,
    /// It overlaps others.
    Overlaps,
    /// It ends beyond all payloads (IPv6).
    TooFar,
    /// More is to follow, but it does not end where more could begin (IPv6).
    Uneven,
}

impl Queue {
    /// An empty one, which costs `charge`.
    pub(super) fn new(until: Instant, charge: usize) -> Self {
        Self {
            until,
            charge,
            seen_at: 0,
            interface: None,
            opening: Vec::new(),
            fragment_header: None,
            pieces: Vec::new(),
            runs: Vec::new(),
            present: 0,
            length: 0,
            last_seen: false,
            largest: 0,
            largest_unfragmentable: 0,
            congestion: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Begins anew. The sizes of what came before are still those of its largest pieces, as on
    /// Linux.
    pub(super) fn restart(&mut self, until: Instant) {
        let (largest, largest_unfragmentable) = (self.largest, self.largest_unfragmentable);
        let anew = Self::new(until, super::queue_charge(Family::V4));
        *self = Self { largest, largest_unfragmentable, ..anew };
    }

    /// Takes a piece.
    pub(super) fn enter(&mut self, piece: &Piece<'_>) -> Entered {
        let data = piece.data();
        let (start, mut end) = (piece.offset, piece.offset + data.len());
        let six = piece.key.family == Family::V6;
        if six && end > PAYLOAD_MAX_V6 {
            return Entered::TooFar;
        }
        if piece.more && end % 8 != 0 {
            if six {
                return Entered::Uneven;
            }
            // Only the last piece may end between units of eight; what another has beyond is left.
            end &= !7;
        }
        let contradicts = if piece.more {
            end > self.length && self.last_seen
        } else {
            end < self.length || self.last_seen && end != self.length
        };
        if contradicts {
            return Entered::Contradicts;
        }
        // Even an empty piece says where the datagram ends.
        self.last_seen |= !piece.more;
        self.length = self.length.max(end);
        if end == start {
            return Entered::Contradicts;
        }
        match self.place(start, end) {
            Some(true) => {}
            Some(false) => return Entered::Duplicate,
            None => return Entered::Overlaps,
        }
        self.hold(piece, start, data.get(..end - start).unwrap_or(data));
        let complete = self.last_seen && self.present == self.length;
        if complete { Entered::Completes } else { Entered::Waits }
    }

    fn hold(&mut self, piece: &Piece<'_>, start: usize, data: &[u8]) {
        self.present += data.len();
        let at = self.pieces.partition_point(|held| held.start < start);
        let head_length = piece.data_at;
        self.pieces.insert(at, Held { start, head_length, data: data.to_vec() });
        if start == 0 {
            self.opening = piece.packet.get(..piece.data_at).unwrap_or(&[]).to_vec();
            self.fragment_header = piece.fragment_header;
        }
        self.interface = piece.interface;
        self.congestion |= 1 << piece.congestion();
        // Without what was left of it.
        let size = match piece.key.family {
            Family::V4 => piece.data_at + data.len(),
            Family::V6 => piece.packet.len(),
        };
        self.largest = self.largest.max(size);
        if piece.unfragmentable {
            self.largest_unfragmentable = self.largest_unfragmentable.max(size);
        }
    }

    /// Finds the place of a piece among those that are there: false for a duplicate, `None` where
    /// it overlaps. Pieces do not overlap, so their sizes tell when all are there.
    fn place(&mut self, start: usize, end: usize) -> Option<bool> {
        let tail = self.runs.last().map_or(0, |(_, tail)| *tail);
        if end > tail {
            match self.runs.last_mut() {
                Some(_) if start < tail => return None,
                Some(run) if start == tail => run.1 = end,
                Some(_) | None => self.runs.push((start, end)),
            }
            return Some(true);
        }
        let at = self.runs.partition_point(|(_, run_end)| *run_end <= start);
        match self.runs.get(at) {
            Some((run_start, run_end)) if start >= *run_start && end <= *run_end => Some(false),
            Some((run_start, _)) if end > *run_start => None,
            Some(_) | None => {
                self.runs.insert(at, (start, end));
                Some(true)
            }
        }
    }

    /// The first piece as it came; `None` when it is not there.
    pub(super) fn first_piece(&self) -> Option<Vec<u8>> {
        let first = self.pieces.first().filter(|held| held.start == 0)?;
        Some([self.opening.as_slice(), &first.data].concat())
    }

    /// The datagram.
    ///
    /// # Errors
    /// Why there is none: it is longer than any may be, or its pieces do not agree on congestion.
    pub(super) fn whole(self, key: Key) -> Result<Datagram, Cause> {
        let congestion = match self.congestion {
            seen if seen & NOT_CAPABLE != 0 && seen != NOT_CAPABLE => return Err(Cause::Malformed),
            seen if seen & EXPERIENCED != 0 => 3,
            _ => 0,
        };
        let Self { mut opening, pieces, largest, largest_unfragmentable, .. } = self;
        if let Some(FragmentHeader { offset, naming }) = self.fragment_header {
            let next_header = opening.get(offset).copied();
            // Linux 6.18 keeps eight bits of where that stands: behind long headers another octet is
            // overwritten, and what follows is taken for a fragment header that is not there.
            let naming = naming & 0xff;
            if let (Some(field), Some(next_header)) = (opening.get_mut(naming), next_header) {
                *field = next_header;
            }
            opening.truncate(offset);
        }
        let mut bytes = opening;
        let head_length = bytes.len();
        bytes.reserve_exact(self.length);
        let mut cuts = Vec::with_capacity(pieces.len());
        let later = pieces.iter().skip(1).map(|held| held.head_length);
        let later_head_min = later.min().unwrap_or(usize::MAX);
        for held in pieces {
            bytes.extend_from_slice(&held.data);
            cuts.push(bytes.len());
        }
        let unfragmentable = largest_unfragmentable == largest;
        seal(key.family, &mut bytes, head_length, congestion, unfragmentable)
            .ok_or(Cause::FragLimit)?;
        Ok(Datagram { bytes, largest, cuts, later_head_min, identification: key.identification })
    }
}

/// Makes the header that of the whole datagram; `None` when no datagram can be so long.
fn seal(
    family: Family,
    bytes: &mut [u8],
    head_length: usize,
    congestion: u8,
    unfragmentable: bool,
) -> Option<()> {
    match family {
        Family::V4 => {
            let length = u16::try_from(bytes.len()).ok()?;
            let flags = if unfragmentable { ipv4::DONT_FRAGMENT } else { 0 };
            bytes.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
            bytes.get_mut(6..8)?.copy_from_slice(&flags.to_be_bytes());
            *bytes.get_mut(1)? |= congestion;
            seal_ipv4(bytes.get_mut(..head_length)?);
        }
        Family::V6 => {
            let length = u16::try_from(bytes.len() - ipv6::HEADER_LENGTH).ok()?;
            bytes.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
            *bytes.get_mut(1)? |= congestion << 4;
        }
    }
    Some(())
}
