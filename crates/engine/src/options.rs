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

/// Where the way out is to be recorded once it is known, as offsets into the packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Slots of record route and of a timestamp with addresses.
    slots: [Option<u8>; 2],
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
    own: &'a dyn Fn([u8; 4]) -> bool,
    /// The address that answers to this packet would come from.
    address: [u8; 4],
    now: Instant,
    recorded: Recorded,
    seen: [bool; 3],
}

/// Reads the options of a header that has some, filling in what is to be filled in; checksums are
/// left for [`pass_on`]. `header` is the IPv4 header.
pub(crate) fn take_in(
    header: &mut [u8],
    address: [u8; 4],
    own: &dyn Fn([u8; 4]) -> bool,
    now: Instant,
) -> Result<Recorded, Fault> {
    let recorded = Recorded::default();
    let mut reader = Reader { header, own, address, now, recorded, seen: [false; 3] };
    let mut source_route = false;
    let mut at = FIXED_HEADER;
    while at < reader.header.len() {
        match reader.octet(at) {
            END => {
                reader.clear_from(at);
                break;
            }
            NO_OPERATION => at += 1,
            kind => {
                let length = usize::from(reader.header.get(at + 1).copied().unwrap_or(0));
                if length < 2 || at + length > reader.header.len() {
                    return Err(fault(at));
                }
                source_route |= matches!(kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE);
                reader.option(kind, at, length)?;
                at += length;
            }
        }
    }
    if source_route { Err(Fault::SourceRoute) } else { Ok(reader.recorded) }
}

/// Records the way out, and mends the header checksum when anything was filled in.
pub(crate) fn pass_on(header: &mut [u8], recorded: &Recorded, out: [u8; 4]) {
    for slot in recorded.slots.iter().flatten() {
        let at = usize::from(*slot);
        if let Some(slot) = header.get_mut(at..at + 4) {
            slot.copy_from_slice(&out);
        }
    }
    if recorded.changed {
        crate::answer::seal_ipv4(header);
    }
}

/// The options of an answer to a packet with options, padded to whole words: its record route and
/// timestamp, filled in once more with where the answer comes from, and its security label.
/// `header` has been through [`take_in`]; what follows the option that it objected to is left out.
pub(crate) fn echo(header: &[u8], source: [u8; 4], now: Instant) -> Vec<u8> {
    let mut kept = Vec::from([0; FIXED_HEADER]);
    let mut seen = [false; 2];
    let mut label = &[][..];
    let mut at = FIXED_HEADER;
    while let Some(kind) = header.get(at) {
        let length = match *kind {
            END => break,
            NO_OPERATION => 1,
            _ => usize::from(header.get(at + 1).copied().unwrap_or(0)),
        };
        let Some(option) = header.get(at..at + length).filter(|option| !option.is_empty()) else {
            break;
        };
        let which = match *kind {
            RECORD_ROUTE => 0,
            TIMESTAMP => 1,
            CIPSO => {
                label = option;
                break;
            }
            _ => {
                at += length;
                continue;
            }
        };
        let pointer = option.get(2).map_or(0, |pointer| usize::from(*pointer));
        let first = 4 + which;
        let room = pointer >= first && (pointer > length || pointer + 3 <= length);
        match seen.get_mut(which) {
            Some(seen) if !*seen && room => *seen = true,
            _ => break,
        }
        kept.extend_from_slice(option);
        at += length;
    }
    // Room for the next entry was made sure of above; a timestamp that has none for its address
    // stays as it is.
    let _ = take_in(&mut kept, source, &|address| address == source, now);
    kept.extend_from_slice(label);
    kept.resize(kept.len().next_multiple_of(4), END);
    kept.split_off(FIXED_HEADER)
}

fn fault(at: usize) -> Fault {
    Fault::At(u8::try_from(at).unwrap_or(u8::MAX))
}

impl Reader<'_> {
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
                self.once(2, at)?;
                if length < 3 {
                    return Err(fault(at + 1));
                }
                if self.octet(at + 2) < 4 { Err(fault(at + 2)) } else { Ok(()) }
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
        self.recorded.slots[0] = u8::try_from(slot).ok();
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
            if overflow == 15 && flags != 3 {
                return Err(fault(at + 3));
            }
            if flags != 3 {
                self.set(at + 3, &[(overflow + 1) << 4 | flags]);
            }
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
                self.recorded.slots[1] = u8::try_from(slot).ok();
                slot + 4
            }
            3 if addressed.is_some_and(|address| (self.own)(address)) => slot + 4,
            _ => return Ok(()),
        };
        let since_midnight = self.now.0 / 1_000_000 % 86_400_000;
        self.set(time_at, &u32::try_from(since_midnight).unwrap_or(0).to_be_bytes());
        let step = if with_address { 8 } else { 4 };
        self.set(at + 2, &[self.octet(at + 2) + step]);
        Ok(())
    }
}
