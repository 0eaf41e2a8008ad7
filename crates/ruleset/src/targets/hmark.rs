//! `HMARK`: sets the mark to a number computed from addresses, ports and protocol, the same for both
//! directions and all packets of a connection.
//!
//! The number is Bob Jenkins' hash of three words (lookup3.c, 2006, public domain) over the smaller
//! address, the larger one and both ports, the larger one first; an IPv6 address counts as its four words
//! under exclusive or. Of an ICMP error it is that of the packet quoted. Fragments have no ports, nor has
//! ICMP (with `--hmark-tuple ct`, ICMPv6 has). What is masked away counts as zero.
//!
//! In a listing a whole IPv6 address has no length (`src-prefix  rnd`), and all end in a blank.

use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{BOTH, Extension, OptionSpec, valued};
use crate::needs::Needs;
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::{Direction, Tracked};
use keepstate_packet::{Address, Family, icmp, icmpv6, ipv6};

mod parse;
#[cfg(test)]
mod tests;

const SRC_PREFIX: u8 = 0;
const DST_PREFIX: u8 = 1;
const SPORT_MASK: u8 = 2;
const DPORT_MASK: u8 = 3;
const SPI_MASK: u8 = 4;
const SPORT: u8 = 5;
const DPORT: u8 = 6;
const SPI: u8 = 7;
const PROTO_MASK: u8 = 8;
const RND: u8 = 9;
const MOD: u8 = 10;
const OFFSET: u8 = 11;
const TUPLE: u8 = 12;
const OPTIONS: &[OptionSpec] = &[
    valued("hmark-tuple", TUPLE),
    valued("hmark-mod", MOD),
    valued("hmark-offset", OFFSET),
    valued("hmark-rnd", RND),
    valued("hmark-src-prefix", SRC_PREFIX),
    valued("hmark-dst-prefix", DST_PREFIX),
    valued("hmark-sport-mask", SPORT_MASK),
    valued("hmark-dport-mask", DPORT_MASK),
    valued("hmark-spi-mask", SPI_MASK),
    valued("hmark-sport", SPORT),
    valued("hmark-dport", DPORT),
    valued("hmark-spi", SPI),
    valued("hmark-proto-mask", PROTO_MASK),
];

const MANUAL: &str = "\
# HMARK

Computes a number from what tells connections apart, sets the packet's mark to it, and goes on with the next rule:
to spread connections over several ways out (`ip rule ... fwmark`). Both directions of a connection get the same.

`--hmark-tuple LIST`
: What counts, joined by commas: `src`, `dst` (addresses), `sport`, `dport` (ports), `spi` (of ESP and AH), `proto`
  (protocol), and `ct`: addresses and ports are those of the connection before any translation, and packets without a
  connection are left alone.

`--hmark-mod N`
: How many numbers there are, at least 1. Needed.

`--hmark-rnd SEED`
: A 32-bit seed; another one gives another distribution. Needed.

`--hmark-offset N`
: Added to the number: marks are N to N + mod - 1.

`--hmark-src-prefix LENGTH`, `--hmark-dst-prefix LENGTH`
: Only so many bits of the address count. Instead of `src`, `dst`.

`--hmark-sport-mask BITS`, `--hmark-dport-mask BITS`, `--hmark-spi-mask BITS`, `--hmark-proto-mask BITS`
: Only these bits count. Instead of `sport`, `dport`, `spi`, `proto`. Ports and SPI exclude each other.

`--hmark-sport BITS`, `--hmark-dport BITS`, `--hmark-spi BITS`
: These bits are set first.

    -t mangle -A PREROUTING -j HMARK --hmark-tuple ct,src,dst,proto --hmark-mod 2 --hmark-offset 10 --hmark-rnd 0xdeadbeef

Anybody who knows the seed can choose ports that all get the same number.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "HMARK",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse: parse::parse,
};

/// An instance. Options that were not given are none and count as zero.
#[derive(Debug)]
pub struct Hmark {
    family: Family,
    /// Bits of the source address that count.
    src_prefix: Option<u32>,
    dst_prefix: Option<u32>,
    sport_mask: Option<u16>,
    dport_mask: Option<u16>,
    spi_mask: Option<u32>,
    sport: Option<u16>,
    dport: Option<u16>,
    spi: Option<u32>,
    proto_mask: Option<u16>,
    rnd: u32,
    modulus: u32,
    offset: Option<u32>,
    /// Addresses and ports are those of the connection.
    ct: bool,
}

/// What is hashed.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed {
    source: u32,
    destination: u32,
    /// The source port above, the destination port below; an SPI.
    ports: u32,
    protocol: u8,
}

impl Hmark {
    /// An address as it counts.
    fn address(&self, address: Address, prefix: Option<u32>) -> u32 {
        let mask = u128::MAX.checked_shl(128 - prefix.unwrap_or(0)).unwrap_or(0);
        let bits = u128::from_be_bytes(address.0) & mask;
        let words = bits.to_be_bytes();
        let words = words.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        words.fold(0, |all, word| all ^ word)
    }

    /// Ports as they count.
    fn ports(&self, ports: u32) -> u32 {
        let joined = |high: Option<u16>, low: Option<u16>| {
            u32::from(high.unwrap_or(0)) << 16 | u32::from(low.unwrap_or(0))
        };
        let mask = joined(self.sport_mask, self.dport_mask) | self.spi_mask.unwrap_or(0);
        let set = joined(self.sport, self.dport) | self.spi.unwrap_or(0);
        let ports = ports & mask | set;
        let (source, destination) = (ports >> 16, ports & 0xffff);
        source.max(destination) << 16 | source.min(destination)
    }

    fn of_connection(&self, traversal: &Traversal<'_>) -> Option<Hashed> {
        let tracked = traversal.tracked?;
        if *tracked == Tracked::TEMPLATE {
            return Some(Hashed { ports: self.ports(0), ..Hashed::default() });
        }
        let conn = tracked.conn?;
        let original = traversal.conntrack.tuple(conn, Direction::Original)?;
        let reply = traversal.conntrack.tuple(conn, Direction::Reply)?;
        let ports = u32::from(original.source_port) << 16 | u32::from(reply.source_port);
        let has_ports = original.protocol != icmp::PROTOCOL;
        Some(Hashed {
            source: self.address(original.source, self.src_prefix),
            destination: self.address(reply.source, self.dst_prefix),
            ports: if has_ports { self.ports(ports) } else { 0 },
            protocol: original.protocol,
        })
    }

    fn of_packet(&self, packet: &[u8]) -> Option<Hashed> {
        let found = match self.family {
            Family::V4 => upper_v4(packet)?,
            Family::V6 => match upper_v6(packet)? {
                Some(found) => found,
                None => return Some(Hashed::default()),
            },
        };
        let ports_at = match (found.protocol, found.fragment) {
            (6 | 17 | 33 | 50 | 132 | 136, false) => Some(found.at),
            (51, false) => Some(found.at + 4),
            _ => None,
        };
        let ports = ports_at.and_then(|at| packet.get(at..)?.first_chunk::<4>());
        Some(Hashed {
            source: self.address(found.source, self.src_prefix),
            destination: self.address(found.destination, self.dst_prefix),
            ports: ports.map_or(0, |ports| self.ports(u32::from_be_bytes(*ports))),
            protocol: found.protocol,
        })
    }

    fn mark(&self, hashed: &Hashed) -> u32 {
        let (low, high) =
            (hashed.source.min(hashed.destination), hashed.source.max(hashed.destination));
        let hash = jenkins(low, high, hashed.ports, self.rnd);
        let hash = hash ^ u32::from(u16::from(hashed.protocol) & self.proto_mask.unwrap_or(0));
        let scaled = (u64::from(hash) * u64::from(self.modulus)) >> 32;
        (scaled as u32).wrapping_add(self.offset.unwrap_or(0))
    }
}

/// What a packet, or the one that an ICMP error quotes, is.
struct Upper {
    source: Address,
    destination: Address,
    protocol: u8,
    /// Where its upper-layer header begins, from the IP header of the packet.
    at: usize,
    fragment: bool,
}

fn upper_v4(packet: &[u8]) -> Option<Upper> {
    let outer = header_v4(packet, 0)?;
    let message = packet.get(outer.at..).unwrap_or(&[]);
    let quotes = outer.protocol == icmp::PROTOCOL
        && message.len() >= icmp::HEADER_LENGTH
        && message.first().is_some_and(|kind| icmp::is_error(*kind));
    if quotes { header_v4(packet, outer.at + icmp::HEADER_LENGTH) } else { Some(outer) }
}

fn header_v4(packet: &[u8], at: usize) -> Option<Upper> {
    const NOT_WHOLE: u16 = 0x3fff;
    let header = packet.get(at..)?.first_chunk::<20>()?;
    let address = |at: usize| {
        let octets = header.get(at..).and_then(|rest| rest.first_chunk::<4>());
        Address::v4(octets.copied().unwrap_or_default())
    };
    Some(Upper {
        source: address(12),
        destination: address(16),
        protocol: header[9],
        at: at + usize::from(header[0] & 0x0f) * 4,
        fragment: u16::from_be_bytes([header[6], header[7]]) & NOT_WHOLE != 0,
    })
}

/// None: the packet is left alone; none within: its headers are broken, all of it counts as zero.
fn upper_v6(packet: &[u8]) -> Option<Option<Upper>> {
    let Some(outer) = header_v6(packet, 0) else { return Some(None) };
    let message = packet.get(outer.at..).unwrap_or(&[]);
    let quotes = outer.protocol == icmpv6::PROTOCOL
        && !outer.fragment
        && message.len() >= icmp::HEADER_LENGTH
        && message.first().is_some_and(|kind| icmpv6::is_error(*kind) && *kind != 0);
    if !quotes {
        return Some(Some(outer));
    }
    let at = outer.at + icmp::HEADER_LENGTH;
    // What is quoted is looked into only where it says that it is IPv6.
    packet.get(at).filter(|first| **first >> 4 == 6)?;
    header_v6(packet, at).map(Some)
}

/// An authentication header is what the packet carries.
fn header_v6(packet: &[u8], start: usize) -> Option<Upper> {
    let packet = packet.get(start..)?;
    let header = packet.first_chunk::<{ ipv6::HEADER_LENGTH }>()?;
    let address = |at: usize| {
        let octets = header.get(at..).and_then(|rest| rest.first_chunk::<16>());
        Address::v6(octets.copied().unwrap_or_default())
    };
    let (source, destination) = (address(8), address(24));
    let upper =
        |protocol, at, fragment| Upper { source, destination, protocol, at: start + at, fragment };
    let mut headers = ipv6::ExtensionHeaders::of(packet);
    let mut fragment = false;
    for header in headers.by_ref() {
        if header.protocol == ipv6::AUTHENTICATION {
            return Some(upper(header.protocol, header.offset, fragment));
        }
        // Of a routing header Linux reads four bytes before it goes on; without them the chain is broken.
        if header.protocol == ipv6::ROUTING {
            packet.get(header.offset..header.offset + 4)?;
        }
        if header.protocol == ipv6::FRAGMENT {
            fragment = true;
            let later = ipv6::fragment(packet, &header).is_some_and(|one| one.offset != 0);
            if later && ipv6::is_extension_header(header.next_header) {
                return None;
            }
            if later {
                return Some(upper(header.next_header, header.offset, true));
            }
        }
    }
    let (protocol, at) = headers.rest();
    (!ipv6::is_extension_header(protocol)).then(|| upper(protocol, at, fragment))
}

/// The final mixing of lookup3.c over three words.
const fn jenkins(a: u32, b: u32, c: u32, seed: u32) -> u32 {
    const WORDS: u32 = 3;
    let start = seed.wrapping_add(0xdead_beef).wrapping_add(WORDS << 2);
    let (mut a, mut b, mut c) =
        (a.wrapping_add(start), b.wrapping_add(start), c.wrapping_add(start));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

impl Target for Hmark {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let hashed = match self.ct {
            true => self.of_connection(traversal),
            false => self.of_packet(traversal.packet.packet(traversal.bytes)),
        };
        if let Some(hashed) = hashed {
            traversal.mark = self.mark(&hashed);
        }
        Step::Continue
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking |= self.ct;
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::any(Field::Mark)]))
    }

    fn print(&self, out: &mut String) {
        let lengths = [("src", self.src_prefix), ("dst", self.dst_prefix)];
        for (end, length) in lengths.iter().filter_map(|(end, one)| Some((end, (*one)?))) {
            let _ = write!(out, " --hmark-{end}-prefix {length}");
        }
        for (name, value, width) in self.values() {
            let _ = write!(out, " --hmark-{name} {value:#0width$x}");
        }
        let _ = write!(out, " --hmark-rnd {:#010x} --hmark-mod {}", self.rnd, self.modulus);
        if let Some(offset) = self.offset {
            let _ = write!(out, " --hmark-offset {offset}");
        }
        if self.ct {
            out.push_str(" --hmark-tuple ct");
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = write!(out, " HMARK mod {} ", self.modulus);
        if let Some(offset) = self.offset {
            let _ = write!(out, "+ {offset:#x} ");
        }
        if self.ct {
            out.push_str("ct, ");
        }
        let lengths = [("src", self.src_prefix), ("dst", self.dst_prefix)];
        for (end, length) in lengths.iter().filter_map(|(end, one)| Some((end, (*one)?))) {
            let _ = match (self.family, length) {
                (Family::V6, 128) => write!(out, "{end}-prefix  "),
                _ => write!(out, "{end}-prefix {length} "),
            };
        }
        for (name, value, _) in self.values() {
            let _ = write!(out, "{name} {value:#x} ");
        }
        let _ = write!(out, "rnd {:#x} ", self.rnd);
    }

    fn explain(&self, out: &mut Pieces) {
        let counts = [
            (self.src_prefix.is_some(), "source address"),
            (self.dst_prefix.is_some(), "destination address"),
            (self.sport_mask.or(self.sport).is_some(), "source port"),
            (self.dport_mask.or(self.dport).is_some(), "destination port"),
            (self.spi_mask.or(self.spi).is_some(), "SPI"),
            (self.proto_mask.is_some(), "protocol"),
        ];
        let counts: Vec<&str> =
            counts.iter().filter(|(given, _)| *given).map(|(_, name)| *name).collect();
        let of = if self.ct { "of its connection " } else { "" };
        let first = self.offset.unwrap_or(0);
        let last = first.wrapping_add(self.modulus - 1);
        let counts = if counts.is_empty() { String::from("nothing") } else { counts.join(", ") };
        out.push(Piece::Effect(format!(
            "sets its mark to one of {first} to {last}, computed {of}from {counts}, and goes on with the \
             next rule"
        )));
        out.push(Piece::Note(
            "The same connection gets the same mark, in both directions where both ends count alike."
                .into(),
        ));
    }
}

impl Hmark {
    /// What was given of ports, SPI and protocol: name, value, and the width that it is saved with.
    fn values(&self) -> impl Iterator<Item = (&'static str, u32, usize)> {
        let wide = |value: Option<u16>| value.map(u32::from);
        let all = [
            ("sport-mask", wide(self.sport_mask), 6),
            ("dport-mask", wide(self.dport_mask), 6),
            ("spi-mask", self.spi_mask, 10),
            ("sport", wide(self.sport), 6),
            ("dport", wide(self.dport), 6),
            ("spi", self.spi, 10),
            ("proto-mask", wide(self.proto_mask), 4),
        ];
        all.into_iter().filter_map(|(name, value, width)| Some((name, value?, width)))
    }
}
