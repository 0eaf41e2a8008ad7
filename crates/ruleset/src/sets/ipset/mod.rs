//! The sets of ipset(8): named collections of addresses, networks, ports, interfaces and the like,
//! which rules ask (`-m set`) and change (`-j SET`), and commands fill.
//!
//! [`types::SETS`] says what types there are. [`Sets`] holds the sets by name; one of both families
//! for all rule sets ([`crate::evaluate::Stores`]). An element is a row of bytes and, apart, of
//! extensions ([`entries`]); a hash finds it by the same hash and in the same order as the kernel's
//! ([`hash`]), so that a set filled alike is listed alike.
//!
//! Source: ipset(8), and the answers of a running kernel to the same commands and packets. Bounded by
//! [`ELEMENTS_MAX`], [`BUCKETS_MAX`], [`SETS_MAX`] and [`WORK_MAX`].

pub mod change;
pub mod create;
pub mod element;
pub mod entries;
pub mod hash;
mod list;
pub mod packet;
pub mod set;
mod store;
pub mod types;

pub use change::{Change, Request};
pub use create::Create;
pub use set::IpSet;
pub use store::Sets;

/// Most elements of all sets together.
pub const ELEMENTS_MAX: usize = 1 << 21;
/// Most buckets of all hashes together.
pub const BUCKETS_MAX: usize = 1 << 22;
/// Most sets.
pub const SETS_MAX: usize = 65_534;
/// Elements that all commands to a [`Sets`] may touch: a range counts for all that is in it.
pub const WORK_MAX: u64 = 1 << 25;
/// Most bytes of a set's name.
pub const NAME_MAX: usize = 31;

/// Why a command to sets was refused; as text, what ipset(8) says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Error {
    NoSet,
    SetExists,
    MaxSets,
    DestroyBusy,
    RenameExists,
    RenameReferenced,
    SwapSecond,
    SwapType,
    ElementExists,
    ElementMissing,
    InvalidCidr,
    InvalidNetmask,
    InvalidMarkmask,
    InvalidFamily,
    Timeout,
    Counter,
    Comment,
    Skbinfo,
    HashFull,
    HashElem,
    InvalidProto,
    HashRange,
    Range,
    RangeSize,
    ListName,
    ListLoop,
    ListReference,
    ListReferenceMissing,
    Invalid,
    NoMemory,
    RangeTooLarge,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoSet => "The set with the given name does not exist",
            Self::SetExists => "Set cannot be created: set with the same name already exists",
            Self::MaxSets => {
                "Kernel error received: maximal number of sets reached, cannot create more."
            }
            Self::DestroyBusy => "Set cannot be destroyed: it is in use by a kernel component",
            Self::RenameExists => "Set cannot be renamed: a set with the new name already exists",
            Self::RenameReferenced => "Set cannot be renamed: it is in use by another system",
            Self::SwapSecond => "Sets cannot be swapped: the second set does not exist",
            Self::SwapType => "The sets cannot be swapped: their type does not match",
            Self::ElementExists => "Element cannot be added to the set: it's already added",
            Self::ElementMissing => "Element cannot be deleted from the set: it's not added",
            Self::InvalidCidr => "The value of the CIDR parameter of the IP address is invalid",
            Self::InvalidNetmask => "The value of the netmask parameter is invalid",
            Self::InvalidMarkmask => "The value of the markmask parameter is invalid",
            Self::InvalidFamily => "Protocol family not supported by the set type",
            Self::Timeout => "Timeout cannot be used: set was created without timeout support",
            Self::Counter => {
                "Packet/byte counters cannot be used: set was created without counter support"
            }
            Self::Comment => "Comment cannot be used: set was created without comment support",
            Self::Skbinfo => {
                "Skbinfo mapping cannot be used: set was created without skbinfo support"
            }
            Self::HashFull => "Hash is full, cannot add more elements",
            Self::HashElem => "Null-valued element, cannot be stored in a hash type of set",
            Self::InvalidProto => "Invalid protocol specified",
            Self::HashRange => "Invalid range, covers the whole address space",
            Self::Range => "Element is out of the range of the set",
            Self::RangeSize => "The range you specified exceeds the size limit of the set type",
            Self::ListName => "Set to be added/deleted/tested as element does not exist.",
            Self::ListLoop => "Sets with list:set type cannot be added to the set.",
            Self::ListReference => {
                "The set to which you referred with 'before' or 'after' does not exist."
            }
            Self::ListReferenceMissing => {
                "The set to which you referred with 'before' or 'after' is not added to the set."
            }
            Self::Invalid => "Kernel error received: Invalid argument",
            Self::NoMemory => "Kernel error received: Cannot allocate memory",
            Self::RangeTooLarge => {
                "The specified range is too large, split it up into smaller ranges"
            }
        })
    }
}

/// What may still be taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Elements that may be touched.
    work: u64,
    /// Elements that may be added.
    elements: usize,
    /// Buckets that may be made.
    buckets: usize,
    /// Whether a hash may become larger.
    grows: bool,
    /// What a set of ours held may be held again, though a command could not put it there.
    trusted: bool,
}

impl Budget {
    fn spend(&mut self) -> Result<(), Error> {
        self.work = self.work.checked_sub(1).ok_or(Error::RangeTooLarge)?;
        Ok(())
    }
}
