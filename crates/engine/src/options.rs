//! IPv4 options (RFC 791, 3.1) as a router takes them in and passes them on: record route and
//! timestamp are filled in, source routes are refused (`accept_source_route` 0), and what
//! contradicts itself is answered with a parameter problem. Linux reads them after PREROUTING.

use alloc::vec::Vec;
use keepstate_packet::Instant;

/// Why a packet is dropped for its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Which octet of the packet is at fault; the sender is told.
    At(u8),
    /// A source route.
    SourceRoute,
}

/// Where the way out is to be recorded once it is known, as an offset into the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Of record route. The address with a timestamp stays that of an answer.
    slot: Option<u8>,
    changed: bool,
}

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const CIPSO: u8 = 134;
const STRICT_SOURCE_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;

const FIXED_HEADER: usize = 20;

/// One option on its way through [`take_in`].
struct Reader<'a> {
    header: &'a mut [u8],
    stamps: &'a dyn Fn([u8; 4]) -> bool,
    /// The address that answers to this packet would come from.
    address: [u8; 4],
    now: Instant,
    recorded: Recorded,
    seen: [bool; 3],
}

/// Reads the options of a header that has some, filling in what is to be filled in; checksums are
/// left for [`pass_on`]. `header` is the IPv4 header; `stamps`: whether a timestamp that is asked of
/// an address is to be given here.
pub(crate) fn take_in(
    header: &mut [u8],
    address: [u8; 4],
    stamps: &dyn Fn([u8; 4]) -> bool,
    now: Instant,
) -> Result<Recorded, Fault> {
    let recorded = Recorded::default();
    Reader { header, stamps, address, now, recorded, seen: [false; 3] }.read()
}

/// Records the way out, and mends the header checksum when anything was filled in.
pub(crate) fn pass_on(header: &mut [u8], recorded: &Recorded, out: [u8; 4]) {
    let at = recorded.slot.map_or(header.len(), usize::from);
    if let Some(slot) = header.get_mut(at..at + 4) {
        slot.copy_from_slice(&out);
    }
    if recorded.changed {
        crate::answer::seal_ipv4(header);
    }
}

/// The options of a packet that its answer has to do with. A source route is among them only where
/// a later option was found at fault: it would have ended the packet else.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noted<'a> {
    record_route: &'a [u8],
    timestamp: &'a [u8],
    source_route: &'a [u8],
    label: &'a [u8],
}

/// Finds them in a header that has been through [`take_in`]. The option that this found `fault`
/// with, as an offset into the header, and what follows it are left out.
pub(crate) fn noted(header: &[u8], fault: Option<usize>) -> Noted<'_> {
    let mut found = Noted::default();
    let mut at = FIXED_HEADER;
    while let Some(kind) = header.get(at).filter(|kind| **kind != END) {
        let length = match *kind {
            NO_OPERATION => 1,
            _ => usize::from(header.get(at + 1).copied().unwrap_or(0)),
        };
        let least = if *kind == NO_OPERATION { 1 } else { 2 };
        let option = header.get(at..at + length).filter(|option| option.len() >= least);
        let at_fault = fault.is_some_and(|fault| fault < at + length);
        match (*kind, option) {
            // Linux notes a label before it objects to it.
            (CIPSO, Some(option)) => found.label = option,
            (RECORD_ROUTE, Some(option)) if !at_fault => found.record_route = option,
            (TIMESTAMP, Some(option)) if !at_fault => found.timestamp = option,
            (LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE, Some(option)) if !at_fault => {
                found.source_route = option;
            }
            _ => {}
        }
        if option.is_none() || at_fault {
            break;
        }
        at += length;
    }
    found
}

impl Noted<'_> {
    /// The way back along a source route: what was visited, the last first, without the sender
    /// where it names itself first (RFC 1812, 5.2.4.1). Empty where the answer goes straight.
    fn way_back(&self, sender: [u8; 4]) -> Vec<[u8; 4]> {
        let next = usize::from(self.source_route.get(2).copied().unwrap_or(0));
        let end = next.saturating_sub(1).min(self.source_route.len());
        let visited = self.source_route.get(3..end).unwrap_or(&[]).rchunks_exact(4);
        let mut way: Vec<[u8; 4]> = visited.filter_map(|hop| hop.first_chunk().copied()).collect();
        if way.last() == Some(&sender) {
            way.pop();
        }
        way
    }

    /// Where an answer to `sender` goes first.
    pub(crate) fn next_hop(&self, sender: [u8; 4]) -> [u8; 4] {
        self.way_back(sender).first().copied().unwrap_or(sender)
    }

    /// The options of an answer from `source` to `sender`, padded to whole words: record route and
    /// timestamp, filled in once more with where the answer comes from, the source route turned
    /// round, and the security label. `None`: there is no room for all of an entry that was begun,
    /// and no answer.
    pub(crate) fn echo(
        &self,
        source: [u8; 4],
        sender: [u8; 4],
        stamps: &dyn Fn([u8; 4]) -> bool,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let mut kept = record_once_more(self.record_route, source)?;
        kept.extend(stamp_once_more(self.timestamp, source, stamps, now)?);
        if let (Some(kind), [_, beyond @ ..]) =
            (self.source_route.first(), self.way_back(sender).as_slice())
        {
            let hops = [beyond, &[sender]].concat();
            let length = u8::try_from(3 + 4 * hops.len()).ok()?;
            kept.extend([*kind, length, 4]);
            kept.extend(hops.as_flattened());
        }
        kept.extend_from_slice(self.label);
        kept.resize(kept.len().next_multiple_of(4), END);
        Some(kept)
    }
}

/// A record route with one more address, where it has room.
fn record_once_more(option: &[u8], address: [u8; 4]) -> Option<Vec<u8>> {
    let mut option = option.to_vec();
    if let Some(pointer) = pointer_with_room(&option) {
        option.get_mut(pointer - 1..pointer + 3)?.copy_from_slice(&address);
        *option.get_mut(2)? += 4;
    }
    Some(option)
}

/// A timestamp option with one more time, where it has room.
fn stamp_once_more(
    option: &[u8],
    address: [u8; 4],
    stamps: &dyn Fn([u8; 4]) -> bool,
    now: Instant,
) -> Option<Vec<u8>> {
    let mut option = option.to_vec();
    let Some(pointer) = pointer_with_room(&option) else { return Some(option) };
    let flags = option.get(3).copied().unwrap_or(0) & 0x0f;
    let entry = option.get(pointer - 1..pointer + 3);
    let time_at = match flags {
        0 => pointer - 1,
        1 => {
            option.get_mut(pointer - 1..pointer + 3)?.copy_from_slice(&address);
            pointer + 3
        }
        3 => {
            let addressed = stamps(entry?.first_chunk().copied()?);
            if !addressed || option.len() < pointer + 7 {
                return Some(option);
            }
            pointer + 3
        }
        _ => return Some(option),
    };
    option.get_mut(time_at..time_at + 4)?.copy_from_slice(&since_midnight(now));
    *option.get_mut(2)? += if flags == 0 { 4 } else { 8 };
    Some(option)
}

/// The pointer of an option that is not full: the place of the next entry, counted from 1.
fn pointer_with_room(option: &[u8]) -> Option<usize> {
    let pointer = usize::from(*option.get(2)?);
    (pointer > 0 && pointer <= option.len()).then_some(pointer)
}

/// Milliseconds of the day, as timestamp options hold them.
fn since_midnight(now: Instant) -> [u8; 4] {
    u32::try_from(now.0 / 1_000_000 % 86_400_000).unwrap_or(0).to_be_bytes()
}

fn fault(at: usize) -> Fault {
    Fault::At(u8::try_from(at).unwrap_or(u8::MAX))
}

impl Reader<'_> {
    fn read(mut self) -> Result<Recorded, Fault> {
        let mut source_route = false;
        let mut at = FIXED_HEADER;
        while at < self.header.len() {
            match self.octet(at) {
                END => {
                    self.clear_from(at);
                    break;
                }
                NO_OPERATION => at += 1,
                kind => {
                    let length = usize::from(self.header.get(at + 1).copied().unwrap_or(0));
                    if length < 2 || at + length > self.header.len() {
                        return Err(fault(at));
                    }
                    source_route |= matches!(kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE);
                    self.option(kind, at, length)?;
                    at += length;
                }
            }
        }
        if source_route { Err(Fault::SourceRoute) } else { Ok(self.recorded) }
    }

    fn octet(&self, at: usize) -> u8 {
        self.header.get(at).copied().unwrap_or(END)
    }

    fn set(&mut self, at: usize, octets: &[u8]) {
        if let Some(place) = self.header.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
            self.recorded.changed = true;
        }
    }

    fn clear_from(&mut self, at: usize) {
        let rest = self.header.get_mut(at..).unwrap_or_default();
        if rest.iter().any(|octet| *octet != END) {
            rest.fill(END);
            self.recorded.changed = true;
        }
    }

    fn once(&mut self, which: usize, at: usize) -> Result<(), Fault> {
        match self.seen.get_mut(which) {
            Some(seen) if !*seen => {
                *seen = true;
                Ok(())
            }
            _ => Err(fault(at)),
        }
    }

    fn option(&mut self, kind: u8, at: usize, length: usize) -> Result<(), Fault> {
        match kind {
            RECORD_ROUTE => {
                self.once(0, at)?;
                self.record_route(at, length)
            }
            TIMESTAMP => {
                self.once(1, at)?;
                self.timestamp(at, length)
            }
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => {
                if length < 3 {
                    return Err(fault(at + 1));
                }
                if self.octet(at + 2) < 4 {
                    return Err(fault(at + 2));
                }
                self.once(2, at)
            }
            ROUTER_ALERT if length < 4 => Err(fault(at + 1)),
            // No domain of interpretation is configured, so none is known.
            CIPSO if length < 8 => Err(fault(at + 1)),
            CIPSO => Err(fault(at + 2)),
            _ => Ok(()),
        }
    }

    fn record_route(&mut self, at: usize, length: usize) -> Result<(), Fault> {
        if length < 3 {
            return Err(fault(at + 1));
        }
        let pointer = usize::from(self.octet(at + 2));
        if pointer < 4 {
            return Err(fault(at + 2));
        }
        if pointer > length {
            return Ok(());
        }
        if pointer + 3 > length {
            return Err(fault(at + 2));
        }
        let slot = at + pointer - 1;
        self.set(slot, &self.address.clone());
        self.set(at + 2, &[self.octet(at + 2) + 4]);
        self.recorded.slot = u8::try_from(slot).ok();
        Ok(())
    }

    fn timestamp(&mut self, at: usize, length: usize) -> Result<(), Fault> {
        if length < 4 {
            return Err(fault(at + 1));
        }
        let pointer = usize::from(self.octet(at + 2));
        if pointer < 5 {
            return Err(fault(at + 2));
        }
        let (overflow, flags) = (self.octet(at + 3) >> 4, self.octet(at + 3) & 0x0f);
        if pointer > length {
            if flags == 3 {
                return Ok(());
            }
            if overflow == 15 {
                return Err(fault(at + 3));
            }
            self.set(at + 3, &[(overflow + 1) << 4 | flags]);
            return Ok(());
        }
        if pointer + 3 > length {
            return Err(fault(at + 2));
        }
        let slot = at + pointer - 1;
        let with_address = matches!(flags, 1 | 3);
        if with_address && pointer + 7 > length {
            return Err(fault(at + 2));
        }
        let addressed = self.header.get(slot..).and_then(|slot| slot.first_chunk::<4>().copied());
        let time_at = match flags {
            0 => slot,
            1 => {
                self.set(slot, &self.address.clone());
                slot + 4
            }
            3 if addressed.is_some_and(|address| (self.stamps)(address)) => slot + 4,
            _ => return Ok(()),
        };
        self.set(time_at, &since_midnight(self.now));
        let step = if with_address { 8 } else { 4 };
        self.set(at + 2, &[self.octet(at + 2) + step]);
        Ok(())
    }
}
