//! Making a set of what `create` says.

use super::Error;
use super::change::{IpRange, host_length, masked, number};
use super::element::width;
use super::entries::{Entries, Extensions};
use super::hash::{BITS_MAX, HashTable};
use super::set::{Header, Index, IpSet};
use super::types::{Layout, Method, SetType};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use keepstate_packet::{Address, Family};

/// Most places of a bitmap.
const PLACES_MAX: u32 = 65_536;
/// Fewest buckets of a hash, as a power of two.
const BITS_MIN: u8 = 6;
const HASHSIZE_DEFAULT: u32 = 1024;
const MAXELEM_DEFAULT: u32 = 65_536;
const BUCKETSIZE_MAX: u8 = 12;
const LIST_SIZE_DEFAULT: u32 = 8;
const LIST_SIZE_MIN: u32 = 4;

/// What `create` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Type.
    pub kind: &'static SetType,
    /// `family`.
    pub family: Option<Family>,
    /// `timeout counters comment skbinfo`.
    pub extensions: Extensions,
    /// `range` of addresses.
    pub ips: IpRange,
    /// `range` of ports.
    pub ports: (u16, u16),
    /// `netmask`.
    pub netmask: Option<u8>,
    /// `bitmask`.
    pub bitmask: Option<Address>,
    /// `markmask`.
    pub markmask: Option<u32>,
    /// `hashsize`.
    pub hashsize: Option<u32>,
    /// `maxelem`.
    pub maxelem: Option<u32>,
    /// `bucketsize`.
    pub bucketsize: Option<u8>,
    /// `initval`.
    pub initval: Option<u32>,
    /// `forceadd`.
    pub forceadd: bool,
    /// `size`.
    pub size: Option<u32>,
}

impl Create {
    /// A set of this type with everything at its default.
    #[must_use]
    pub fn new(kind: &'static SetType) -> Self {
        Self {
            kind,
            family: None,
            extensions: Extensions::default(),
            ips: IpRange::default(),
            ports: (0, 0),
            netmask: None,
            bitmask: None,
            markmask: None,
            hashsize: None,
            maxelem: None,
            bucketsize: None,
            initval: None,
            forceadd: false,
            size: None,
        }
    }

    /// The set; `random` keys a hash that says nothing of it.
    pub(super) fn set(&self, name: String, random: u32) -> Result<IpSet, Error> {
        let family = self.kind.family(self.family)?;
        let laid_out = family.unwrap_or(Family::V4);
        let mut header = Header { markmask: u32::MAX, ..Header::default() };
        let index = match self.kind.method {
            Method::Bitmap => {
                self.range(&mut header)?;
                Index::Bitmap(BTreeMap::new())
            }
            Method::Hash => {
                self.masks(&mut header, laid_out)?;
                header.maxelem = self.maxelem.unwrap_or(MAXELEM_DEFAULT);
                header.forceadd = self.forceadd;
                let table = HashTable::new(self.bits()?, self.initval.unwrap_or(random), {
                    let size = self.bucketsize.unwrap_or(BUCKETSIZE_MAX);
                    size.clamp(2, BUCKETSIZE_MAX).next_multiple_of(2)
                });
                Index::Hash { table, nets: Default::default() }
            }
            Method::List => {
                header.size = self.size.unwrap_or(LIST_SIZE_DEFAULT).max(LIST_SIZE_MIN);
                Index::List(Vec::new())
            }
        };
        let entries = Entries::new(width(self.kind.layout, laid_out), self.extensions);
        Ok(IpSet { name, kind: self.kind, family, header, entries, index })
    }

    fn bits(&self) -> Result<u8, Error> {
        let size = self.hashsize.unwrap_or(HASHSIZE_DEFAULT).max(1);
        let bits = size.checked_next_power_of_two().map_or(u32::BITS, u32::trailing_zeros);
        let bits = u8::try_from(bits).map_err(|_| Error::NoMemory)?;
        if bits > BITS_MAX { Err(Error::NoMemory) } else { Ok(bits.max(BITS_MIN)) }
    }

    fn masks(&self, header: &mut Header, family: Family) -> Result<(), Error> {
        let whole = host_length(family);
        if let Some(netmask) = self.netmask {
            if netmask == 0 || netmask > whole {
                return Err(Error::InvalidNetmask);
            }
            header.netmask = Some(netmask).filter(|netmask| *netmask != whole);
        }
        if let Some(bitmask) = self.bitmask {
            if bitmask == Address::default() {
                return Err(Error::InvalidNetmask);
            }
            let all = masked(Address([0xff; 16]), whole, family);
            header.bitmask = Some(bitmask).filter(|bitmask| *bitmask != all);
        }
        if let Some(markmask) = self.markmask {
            if markmask == 0 {
                return Err(Error::InvalidMarkmask);
            }
            header.markmask = markmask;
        }
        Ok(())
    }

    /// The range of a bitmap.
    fn range(&self, header: &mut Header) -> Result<(), Error> {
        if self.kind.layout == Layout::BitmapPort {
            let (from, to) = self.ports;
            header.range = (from.min(to).into(), from.max(to).into());
            return Ok(());
        }
        let from = number(self.ips.from);
        let (mut first, mut last) = match (self.ips.to.map(number), self.ips.cidr) {
            (Some(to), _) => (from.min(to), from.max(to)),
            (None, Some(cidr)) if cidr < 32 => {
                let rest = u32::MAX.checked_shr(cidr.into()).unwrap_or(0);
                (from & !rest, from | rest)
            }
            _ => return Err(Error::InvalidCidr),
        };
        let mut places = u64::from(last - first) + 1;
        if let Some(netmask) = self.netmask {
            if netmask == 0 || netmask > 32 {
                return Err(Error::InvalidNetmask);
            }
            let rest = u32::MAX.checked_shr(netmask.into()).unwrap_or(0);
            (first, last) = (first & !rest, last | rest);
            if netmask < 32 {
                let around = prefix_around(first, last);
                let everything = first == 0 && last == u32::MAX;
                if (around == 0 && !everything) || netmask <= around {
                    return Err(Error::Range);
                }
                header.netmask = Some(netmask);
            }
            places = (u64::from(last - first) + 1) >> (32 - netmask.min(32));
        }
        if places > PLACES_MAX.into() {
            return Err(Error::RangeSize);
        }
        header.range = (first, last);
        Ok(())
    }
}

/// Length of the longest prefix, up to 31, that `last` has in common with `first` so that nothing is
/// left of `first` behind it; 0 for none.
fn prefix_around(first: u32, last: u32) -> u8 {
    let fits = |length: &u8| last & (u32::MAX << (32 - u32::from(*length))) == first;
    (1..=31).rev().find(fits).unwrap_or(0)
}
