//! The algebra of packet sets: which packets reach a rule, which leave by it, and how, exactly.
//!
//! A [`Space`] is all that a packet and its circumstances can be, as far as the rules at hand look at them:
//! addresses, interfaces, protocol, ports, flags, ICMP types, connection state, marks, and one named unknown
//! for each condition that is not a matter of fields. A set of packets ([`Packets`]) is a decision diagram
//! over it, so equal sets are the same diagram, and "no packet" is a question without search.
//!
//! [`chain`] carries sets through the chains of a table, [`way`] through the tables of the hooks that a packet
//! passes; [`rows`] writes a set down as few lines, [`example`] names one packet of it.
//!
//! What is assumed: packets are well-formed; conditions that count, draw or look at what other packets have
//! left behind are unknowns that say yes or no as they like ([`Space::widest`] and [`Space::narrowest`] bound
//! a set from both sides); the state of a packet is any state.

mod bits;
pub mod chain;
mod current;
pub mod example;
mod near;
mod packets;
pub mod places;
pub mod possible;
pub mod rows;
pub mod space;
mod stretches;
mod sums;
mod telling;
pub mod way;
mod words;

pub use chain::{RuleAt, Walked};
pub use example::Example;
pub use rows::{Row, Rows};
pub use space::{Exhausted, Packets, Space};
pub use stretches::Apart;
pub use way::{Fate, Outcome, Way};
