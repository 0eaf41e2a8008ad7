//! The set types, as a table. A type is a way of storing (bitmap, hash, list) and the parts of an
//! element; everything that differs between types is a column here.

use super::Error;
use Part::{Iface, Ip, Mac, Mark, Net, Port, Set};
use keepstate_packet::Family;

/// A set type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetType {
    /// As in `create NAME TYPE`.
    pub name: &'static str,
    /// Older names that are still read.
    pub aliases: &'static [&'static str],
    /// How elements are laid out.
    pub layout: Layout,
    /// How they are stored.
    pub method: Method,
    /// What an element has, in the order in which it is written.
    pub parts: &'static [Part],
    /// Families it exists for; empty where addresses have no part in it.
    pub families: &'static [Family],
    /// The revision that is shown, the newest of kernel and tool.
    pub revision: u8,
    /// Size in memory of an empty set, in bytes, for IPv4 and IPv6; as the kernel counts it.
    pub empty_size: [u32; 2],
    /// Bytes of an element without extensions, for IPv4 and IPv6; as the kernel counts them.
    pub element_size: [u32; 2],
    /// Options of `create` beyond those of every type of its method.
    pub options: TypeOptions,
}

/// How elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One place for each of a range.
    Bitmap,
    /// A hash.
    Hash,
    /// A list.
    List,
}

/// A part of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An address.
    Ip,
    /// A network.
    Net,
    /// A protocol and its port; for `bitmap:port` a port alone.
    Port,
    /// A hardware address.
    Mac,
    /// A mark.
    Mark,
    /// An interface.
    Iface,
    /// A set.
    Set,
}

/// What a type has that others of its method have not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeOptions {
    /// `netmask`.
    pub netmask: bool,
    /// `bitmask`.
    pub bitmask: bool,
    /// `markmask`.
    pub markmask: bool,
    /// Whether netmask and bitmask stand at the end of the header line.
    pub masks_last: bool,
    /// The hardware address of an element may be left out.
    pub optional_mac: bool,
}

const NONE: TypeOptions = TypeOptions {
    netmask: false,
    bitmask: false,
    markmask: false,
    masks_last: false,
    optional_mac: false,
};
const MASKS: TypeOptions = TypeOptions { netmask: true, bitmask: true, ..NONE };
const MASKS_LAST: TypeOptions = TypeOptions { masks_last: true, ..MASKS };

/// Which layout; one a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the types")]
pub enum Layout {
    BitmapIp,
    BitmapIpMac,
    BitmapPort,
    HashIp,
    HashIpMark,
    HashIpPort,
    HashIpPortIp,
    HashIpPortNet,
    HashIpMac,
    HashMac,
    HashNet,
    HashNetPort,
    HashNetNet,
    HashNetPortNet,
    HashNetIface,
    ListSet,
}

const BOTH: &[Family] = &[Family::V4, Family::V6];
const V4: &[Family] = &[Family::V4];

const fn bitmap(name: &'static str, layout: Layout, parts: &'static [Part]) -> SetType {
    SetType {
        name,
        aliases: &[],
        layout,
        method: Method::Bitmap,
        parts,
        families: V4,
        revision: 3,
        empty_size: [80, 80],
        element_size: [0, 0],
        options: NONE,
    }
}

const fn hash(
    name: &'static str,
    layout: Layout,
    parts: &'static [Part],
    revision: u8,
    empty_size: [u32; 2],
    element_size: [u32; 2],
) -> SetType {
    SetType {
        name,
        aliases: &[],
        layout,
        method: Method::Hash,
        parts,
        families: BOTH,
        revision,
        empty_size,
        element_size,
        options: NONE,
    }
}

/// Every set type.
pub const SETS: &[SetType] = &[
    SetType {
        aliases: &["ipmap"],
        empty_size: [88, 88],
        options: TypeOptions { netmask: true, ..NONE },
        ..bitmap("bitmap:ip", Layout::BitmapIp, &[Ip])
    },
    SetType {
        aliases: &["macipmap"],
        element_size: [8, 8],
        options: TypeOptions { optional_mac: true, ..NONE },
        ..bitmap("bitmap:ip,mac", Layout::BitmapIpMac, &[Ip, Mac])
    },
    SetType {
        aliases: &["portmap"],
        empty_size: [72, 72],
        families: &[],
        ..bitmap("bitmap:port", Layout::BitmapPort, &[Port])
    },
    SetType {
        aliases: &["iphash"],
        options: MASKS,
        ..hash("hash:ip", Layout::HashIp, &[Ip], 6, [216, 224], [4, 16])
    },
    SetType {
        options: TypeOptions { markmask: true, ..NONE },
        ..hash("hash:ip,mark", Layout::HashIpMark, &[Ip, Mark], 3, [208, 224], [8, 20])
    },
    SetType {
        aliases: &["ipporthash"],
        options: MASKS_LAST,
        ..hash("hash:ip,port", Layout::HashIpPort, &[Ip, Port], 7, [216, 232], [8, 20])
    },
    SetType {
        aliases: &["ipportiphash"],
        ..hash("hash:ip,port,ip", Layout::HashIpPortIp, &[Ip, Port, Ip], 6, [208, 232], [12, 36])
    },
    SetType {
        aliases: &["ipportnethash"],
        ..hash(
            "hash:ip,port,net",
            Layout::HashIpPortNet,
            &[Ip, Port, Net],
            8,
            [464, 1256],
            [12, 36],
        )
    },
    hash("hash:ip,mac", Layout::HashIpMac, &[Ip, Mac], 1, [208, 224], [12, 24]),
    SetType { families: &[], ..hash("hash:mac", Layout::HashMac, &[Mac], 1, [208, 208], [8, 8]) },
    SetType {
        aliases: &["nethash"],
        ..hash("hash:net", Layout::HashNet, &[Net], 7, [456, 1240], [8, 20])
    },
    hash("hash:net,port", Layout::HashNetPort, &[Net, Port], 8, [456, 1240], [8, 20]),
    SetType {
        options: MASKS_LAST,
        ..hash("hash:net,net", Layout::HashNetNet, &[Net, Net], 4, [720, 2272], [12, 36])
    },
    hash("hash:net,port,net", Layout::HashNetPortNet, &[Net, Port, Net], 3, [720, 2272], [16, 40]),
    hash("hash:net,iface", Layout::HashNetIface, &[Net, Iface], 8, [488, 1264], [28, 40]),
    SetType {
        aliases: &["setlist"],
        method: Method::List,
        families: &[],
        element_size: [48, 48],
        ..bitmap("list:set", Layout::ListSet, &[Set])
    },
];

/// The type of this name, which may be an older one.
#[must_use]
pub fn set_type(name: &str) -> Option<&'static SetType> {
    SETS.iter().find(|one| one.name == name || one.aliases.contains(&name))
}

impl SetType {
    /// How many parts an element has: so many `src` and `dst` a rule has to give at least.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.parts.len()
    }

    /// Whether elements can be marked `nomatch`.
    #[must_use]
    pub fn has_nomatch(&self) -> bool {
        self.parts.contains(&Net)
    }

    /// Whether elements can be marked `wildcard`.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.parts.contains(&Iface)
    }

    /// What the contents of two sets must have in common for being swapped.
    pub(super) fn features(&self) -> u16 {
        let parts = self.parts.iter().enumerate().fold(0, |all, (at, part)| {
            all | match (part, at) {
                (Ip | Net, 0) => 1,
                (Ip | Net, _) => 2,
                (Port, _) => 4,
                (Mac, _) => 8,
                (Mark, _) => 16,
                (Iface, _) => 32,
                (Set, _) => 64,
            }
        });
        parts | if self.has_nomatch() { 128 } else { 0 }
    }

    /// The family of a set of this type: the one asked for, IPv4 where nothing is asked; `None` where
    /// addresses have no part in it.
    ///
    /// # Errors
    /// [`Error::InvalidFamily`].
    pub fn family(&self, asked: Option<Family>) -> Result<Option<Family>, Error> {
        if self.families.is_empty() {
            return Ok(None);
        }
        let family = asked.unwrap_or(Family::V4);
        if self.families.contains(&family) { Ok(Some(family)) } else { Err(Error::InvalidFamily) }
    }
}
