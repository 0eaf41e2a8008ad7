//! Defragmentation (priority -400 of PREROUTING and OUTPUT): tracking sees whole datagrams. Their
//! pieces are held until the last one has come; what goes on is cut again on the way out, so that
//! no piece is larger than the largest that came.
//!
//! A queue lives `ipfrag_time` or `nf_conntrack_frag6_timeout` from its first piece; when its time
//! is up and the first fragment is there, the sender is told: over IPv4 of what was for the host
//! itself. A piece that is wholly there already is a duplicate and changes nothing; one that
//! overlaps others ends its queue, and over IPv4 so does one that contradicts the length known by
//! then. All pieces have to agree on whether they know of congestion. Observed on Linux 6.18;
//! RFC 791, RFC 3168 (5.3), RFC 5722, RFC 8200 (4.5).

mod cut;
mod piece;
mod queue;

pub(crate) use cut::{cut, cut_to};

use crate::cause::Cause;
use crate::route::InterfaceIndex;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use keepstate_conntrack::sysctl::Fragments;
use keepstate_packet::{Address, Family, Instant, Parsed};
use piece::Piece;
use queue::{Entered, Queue};

/// Most bytes held of one family, as [`charge`] counts them, whatever `ipfrag_high_thresh` and
/// `nf_conntrack_frag6_high_thresh` say.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a queue costs on Linux, in bytes.
const fn queue_charge(family: Family) -> usize {
    match family {
        Family::V4 => 200,
        Family::V6 => 184,
    }
}

/// No IPv6 link carries less.
const MTU_MIN_V6: usize = 1280;
const FRAGMENT_HEADER: usize = 8;

/// What a packet of this length counts for against the limit, in bytes: as much as Linux has
/// allocated for one that came from a TAP device. That is its `sk_buff`, the packet behind some
/// headroom and the Ethernet header in whole cache lines, and what all copies share; in whole pages
/// where that does not fit into one.
#[must_use]
pub const fn charge(length: usize) -> usize {
    const SK_BUFF: usize = 256;
    const SHARED_INFO: usize = 320;
    const HEADROOM: usize = 66;
    const ETHERNET: usize = 14;
    const XDP_HEADROOM: usize = 256;
    const CACHE_LINE: usize = 64;
    const PAGE: usize = 4096;
    let frame = HEADROOM + ETHERNET + length;
    if (frame + XDP_HEADROOM).next_multiple_of(CACHE_LINE) + SHARED_INFO <= PAGE {
        SK_BUFF + frame.next_multiple_of(CACHE_LINE) + SHARED_INFO
    } else {
        SK_BUFF + (frame + SHARED_INFO).next_multiple_of(PAGE)
    }
}

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
    pub(crate) largest: usize,
    /// Where it was cut: the end of each piece, counted from the IP header.
    cuts: Vec<usize>,
    /// Length of the shortest headers that a piece behind the first came with.
    later_head_min: usize,
    identification: u32,
}

impl Datagram {
    /// What the host itself sends, to be cut into pieces of at most `most` bytes.
    pub(crate) const fn of_host(bytes: Vec<u8>, most: usize, identification: u32) -> Self {
        let later_head_min = usize::MAX;
        Self { bytes, largest: most, cuts: Vec::new(), later_head_min, identification }
    }

    /// It is not to be cut where it was.
    pub(crate) fn forget_cuts(&mut self) {
        self.cuts.clear();
    }

    /// The first `length` bytes from its upper-layer header on are drawn into the first piece, where
    /// there are so many. Where that ends between units of eight, all is cut anew.
    pub(crate) fn draw_header(&mut self, parsed: &Parsed, length: usize) {
        let end = parsed.l4_offset as usize + length;
        let is_cut = length > 0 && self.cuts.first().is_some_and(|cut| *cut < end);
        if is_cut && self.bytes.len() >= end {
            if length.is_multiple_of(8) {
                self.cuts.retain(|cut| *cut > end);
                self.cuts.insert(0, end);
            } else {
                self.forget_cuts();
            }
        }
    }
}

/// A datagram whose time is up.
#[derive(Debug)]
pub(crate) struct Expired {
    /// Its first piece, where it was there.
    pub(crate) first: Option<Vec<u8>>,
    /// Where the last piece came in; `None`: the host itself sent it.
    pub(crate) interface: Option<InterfaceIndex>,
    /// How many pieces were there.
    pub(crate) count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: Address,
    destination: Address,
    identification: u32,
    /// IPv4's protocol; IPv6 keys have none.
    protocol: u8,
    family: Family,
    /// The host itself sends it: OUTPUT.
    sent: bool,
    /// Where it came in, for IPv6 destinations that mean something else on each link.
    interface: Option<InterfaceIndex>,
}

impl Key {
    fn new(parsed: &Parsed, identification: u32) -> Self {
        Self {
            source: parsed.source,
            destination: parsed.destination,
            identification,
            protocol: 0,
            family: parsed.family,
            sent: false,
            interface: None,
        }
    }
}

/// The queues.
#[derive(Debug, Default)]
pub(crate) struct Defrag {
    queues: BTreeMap<Key, Queue>,
    /// The same by when their time is up.
    deadlines: BTreeSet<(Instant, Key)>,
    /// IPv4 senders of what waits.
    sources: BTreeMap<Address, Source>,
    /// What all queues of a family cost.
    charge_v4: usize,
    charge_v6: usize,
}

/// A sender that has queues.
#[derive(Debug, Default)]
struct Source {
    /// Fragments that came from it since it has.
    fragments: u32,
    queues: usize,
}

impl Defrag {
    /// Takes a fragment.
    pub(crate) fn gather(
        &mut self,
        now: Instant,
        limits: &Fragments,
        parsed: &Parsed,
        bytes: &[u8],
        interface: Option<InterfaceIndex>,
    ) -> Gathered {
        let piece = match Piece::new(parsed, bytes, interface) {
            Ok(piece) => piece,
            Err(cause) => return cause.map_or(Gathered::Alone, Gathered::Discarded),
        };
        let (high_thresh, timeout) = match parsed.family {
            Family::V4 => (limits.high_thresh, limits.timeout),
            Family::V6 => (limits.frag6_high_thresh, limits.frag6_timeout),
        };
        // Linux asks whether there is too much already, of what continues a datagram as well.
        let high_thresh = usize::try_from(high_thresh).unwrap_or(usize::MAX).min(BYTES_MAX);
        if high_thresh == 0 || *self.charge(parsed.family) > high_thresh {
            return Gathered::Discarded(Cause::FragLimit);
        }
        self.enter(&piece, now.plus(timeout.as_duration()), limits.max_dist)
    }

    fn enter(&mut self, piece: &Piece<'_>, until: Instant, max_dist: u32) -> Gathered {
        let key = piece.key;
        if !self.queues.contains_key(&key) {
            self.open(key, until);
        }
        let mark = self.mark(&key);
        let Some(queue) = self.queues.get_mut(&key) else { return Gathered::Held };
        let too_far = max_dist != 0 && mark.wrapping_sub(queue.seen_at) > max_dist;
        if key.family == Family::V4 && too_far && !queue.is_empty() {
            self.deadlines.remove(&(queue.until, key));
            self.deadlines.insert((until, key));
            let before = queue.charge;
            queue.restart(until);
            self.charge_v4 = self.charge_v4 + queue.charge - before;
        }
        queue.seen_at = mark;
        let entered = queue.enter(piece);
        if matches!(entered, Entered::Waits | Entered::Completes) {
            let cost = charge(piece.frame_length);
            queue.charge += cost;
            *self.charge(key.family) += cost;
        }
        match entered {
            Entered::Waits | Entered::Duplicate => Gathered::Held,
            Entered::Completes => match self.remove(&key).map(|queue| queue.whole(key)) {
                Some(Ok(datagram)) => Gathered::Whole(datagram),
                Some(Err(cause)) => Gathered::Discarded(cause),
                None => Gathered::Held,
            },
            Entered::TooFar => Gathered::Discarded(Cause::FragLimit),
            Entered::Uneven => {
                self.remove(&key);
                Gathered::Alone
            }
            // IPv6 leaves the queue as it was when only the length is contradicted.
            Entered::Contradicts if key.family == Family::V6 => {
                Gathered::Discarded(Cause::FragOverlap)
            }
            Entered::Contradicts | Entered::Overlaps => {
                self.remove(&key);
                Gathered::Discarded(Cause::FragOverlap)
            }
        }
    }

    fn open(&mut self, key: Key, until: Instant) {
        let queue = Queue::new(until, queue_charge(key.family));
        *self.charge(key.family) += queue.charge;
        self.queues.insert(key, queue);
        self.deadlines.insert((until, key));
        if key.family == Family::V4 {
            self.sources.entry(key.source).or_default().queues += 1;
        }
    }

    /// Counts one more fragment of a sender.
    fn mark(&mut self, key: &Key) -> u32 {
        let source = self.sources.get_mut(&key.source).filter(|_| key.family == Family::V4);
        let Some(source) = source else { return 0 };
        source.fragments = source.fragments.wrapping_add(1);
        source.fragments
    }

    fn charge(&mut self, family: Family) -> &mut usize {
        match family {
            Family::V4 => &mut self.charge_v4,
            Family::V6 => &mut self.charge_v6,
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Queue> {
        let queue = self.queues.remove(key)?;
        self.deadlines.remove(&(queue.until, *key));
        *self.charge(key.family) -= queue.charge;
        let source = self.sources.get_mut(&key.source).filter(|_| key.family == Family::V4);
        if let Some(source) = source {
            source.queues -= 1;
            if source.queues == 0 {
                self.sources.remove(&key.source);
            }
        }
        Some(queue)
    }

    /// Takes out a datagram whose time is up.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Expired> {
        let (until, key) = self.deadlines.first().copied()?;
        if until > now {
            return None;
        }
        let queue = self.remove(&key)?;
        Some(Expired {
            first: queue.first_piece(),
            interface: queue.interface,
            count: queue.count(),
        })
    }

    /// What all that waits costs, IPv4 and IPv6.
    pub(crate) fn charges(&self) -> [usize; 2] {
        [self.charge_v4, self.charge_v6]
    }

    /// Whether anything waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
