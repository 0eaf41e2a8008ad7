//! `SNPT` (IPv6): translates the prefix of the source, statelessly and so that no checksum changes (RFC
//! 6296). Its counterpart for the destination is [`super::dnpt`].
//!
//! What surprises: the two prefixes may differ in length, and the longer length is that of both. Whether
//! the packet's address lies in the prefix is not asked. In an ICMPv6 error the destination of the
//! packet that it quotes is translated too, where it lies in the prefix. A packet whose identifier is
//! all ones behind a long prefix is dropped, and the ICMPv6 error about that goes to the new prefix.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, Extension, Given, OptionSpec, valued, values};
use crate::model::{Network, TableName};
use crate::packet_set::Field;
use crate::targets::Target;
use crate::verdict::{RejectWith, Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use keepstate_conntrack::Hook;
use keepstate_packet::rewrite::End;
use keepstate_packet::{Address, Family, icmpv6, ipv6};

pub(super) const SRC: u8 = 0;
pub(super) const DST: u8 = 1;
const OPTIONS: &[OptionSpec] = &[valued("src-pfx", SRC), valued("dst-pfx", DST)];

const MANUAL: &str = "\
# SNPT

Replaces the prefix of the IPv6 source address, packet by packet and without connection tracking, and goes on
with the next rule (network prefix translation, RFC 6296). It stands in table mangle, in POSTROUTING and INPUT
and in user chains that only these lead to. `DNPT` is the way back.

`--src-pfx PREFIX/LENGTH`
: The prefix inside.

`--dst-pfx PREFIX/LENGTH`
: The prefix that takes its place. At most 64 bits, as the other; bits behind the length are to be zero.

    -t mangle -A POSTROUTING -s fd00:1::/48 -o eth0 -j SNPT --src-pfx fd00:1::/48 --dst-pfx 2001:db8:1::/48
    -t mangle -A PREROUTING -d 2001:db8:1::/48 -i eth0 -j DNPT --src-pfx 2001:db8:1::/48 --dst-pfx fd00:1::/48

Both are needed. Sixteen bits behind the prefix change as well, so that checksums stay right: with prefixes of
up to 48 bits those of the subnet, otherwise the first of the interface identifier that are not all ones. Match
the prefix with `-s` yourself. Connection tracking sees both forms of the addresses as different connections:
take such packets out of tracking.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "SNPT",
    families: &[Family::V6],
    tables: &[TableName::Mangle],
    hooks: &[Hook::Input, Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// The translation from one prefix to another; shared with `DNPT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Npt {
    /// The prefix replaced.
    pub from: Network,
    /// The prefix that takes its place.
    pub to: Network,
    /// One's complement sum of the first less that of the second.
    adjustment: u16,
}

impl Npt {
    /// Longest prefix, in bits.
    const LENGTH_MAX: u32 = 64;

    pub(super) fn parse(arguments: &mut Arguments<'_>) -> Option<Self> {
        let (from, to) = (arguments.required(SRC), arguments.required(DST));
        let (from, to) = (Self::prefix(arguments, from?)?, Self::prefix(arguments, to?)?);
        let adjustment = folded(sum(from.address) + sum(complement(to.address)));
        Some(Self { from, to, adjustment })
    }

    fn prefix(arguments: &mut Arguments<'_>, given: &Given) -> Option<Network> {
        let text = given.value.as_str();
        let (address, mask) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let length = match mask.map(|mask| (mask, values::number(mask, 128))) {
            None => Some(128),
            Some((_, Some(length))) => u32::try_from(length).ok(),
            Some((mask, None)) => values::address(mask, Family::V6)
                .map(|mask| values::prefix_length(mask, Family::V6).unwrap_or(128)),
        };
        let read = values::address(address, Family::V6).zip(length);
        let Some((address, length)) = read else {
            arguments.bad_value(given, "an IPv6 prefix: PREFIX/LENGTH");
            return None;
        };
        let mask = values::prefix_mask(length, Family::V6);
        let beyond = number(address) & !number(mask) != 0;
        if length > Self::LENGTH_MAX || beyond {
            let why = match beyond {
                true => "has bits behind its length",
                false => "is longer than 64 bits",
            };
            let text = format!("the prefix `{text}` {why}: the kernel refuses it");
            arguments.fault(Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text));
            return None;
        }
        Some(Network { address, mask })
    }

    /// The address in the other prefix; the error has only its prefix replaced, as there are no 16 bits
    /// that could make up for the change.
    fn map(&self, address: Address) -> Result<Address, Address> {
        const SUBNET: usize = 3;
        let mask = number(self.from.mask) | number(self.to.mask);
        let mapped = number(address) & !mask | number(self.to.address) & mask;
        let mut octets = mapped.to_be_bytes();
        let (words, _) = octets.as_chunks_mut::<2>();
        let (first, adjustable) = match mask.leading_ones() {
            ..=48 => (SUBNET, SUBNET + 1),
            _ => (SUBNET + 1, words.len()),
        };
        let mut candidates = words.iter_mut().take(adjustable).skip(first);
        let has_subnet = first == SUBNET;
        let Some(word) = candidates.find(|word| has_subnet || **word != [0xff; 2]) else {
            return Err(Address(octets));
        };
        let sum = folded(u32::from(u16::from_be_bytes(*word)) + u32::from(self.adjustment));
        *word = if sum == u16::MAX { [0; 2] } else { sum.to_be_bytes() };
        Ok(Address(octets))
    }

    /// Translates one end of the packet, and the other end of one that an ICMPv6 error quotes.
    pub(super) fn act(&self, traversal: &mut Traversal<'_>, end: End) -> Step {
        const SOURCE_AT: usize = 8;
        const DESTINATION_AT: usize = 24;
        let (at, quoted_at) = match end {
            End::Source => (SOURCE_AT, DESTINATION_AT),
            End::Destination => (DESTINATION_AT, SOURCE_AT),
        };
        let quoted = self.quoted(traversal, quoted_at);
        let packet = &mut *traversal.packet;
        let address = match end {
            End::Source => &mut packet.source,
            End::Destination => &mut packet.destination,
        };
        let mapped = self.map(*address);
        let (Ok(new) | Err(new)) = mapped;
        *address = new;
        put(traversal.bytes, at, new);
        if mapped.is_err() {
            let with = RejectWith::Icmpv6HeaderField(at as u8);
            return Step::Verdict(Verdict::Reject(with));
        }
        if let Some((at, Ok(mapped) | Err(mapped))) =
            quoted.map(|(at, address)| (at, self.map(address)))
        {
            put(traversal.bytes, at, mapped);
        }
        Step::Continue
    }

    /// An address of the packet that an ICMPv6 error quotes, if it lies in the prefix, and where.
    fn quoted(&self, traversal: &Traversal<'_>, at: usize) -> Option<(usize, Address)> {
        let packet = &*traversal.packet;
        let message = packet.l4_bytes(traversal.bytes);
        // Errors of the types that RFC 4443 defines, not those it keeps for experiments.
        const DEFINED: core::ops::RangeInclusive<u8> = 1..=4;
        // Behind extension headers it does not look for them.
        let is_error = packet.protocol == icmpv6::PROTOCOL
            && packet.l4_offset as usize == ipv6::HEADER_LENGTH
            && message.first().is_some_and(|kind| DEFINED.contains(kind));
        let header = message.get(8..8 + ipv6::HEADER_LENGTH).filter(|_| is_error)?;
        let octets = *header.get(at..)?.first_chunk::<16>()?;
        let within = u128::from_be_bytes(octets) & number(self.from.mask);
        let at = packet.l4_offset as usize + 8 + at;
        (within == number(self.from.address)).then_some((at, Address(octets)))
    }

    pub(super) fn print(&self, out: &mut String) {
        for (option, prefix) in [("src-pfx", &self.from), ("dst-pfx", &self.to)] {
            if prefix.mask != Address::default() {
                values::print_option(out, false, option);
                out.push(' ');
                values::print_network(out, prefix, Family::V6);
            }
        }
    }

    pub(super) fn list(&self, out: &mut String, name: &str) {
        out.push(' ');
        out.push_str(name);
        for (option, prefix) in [(" src-pfx ", &self.from), (" dst-pfx ", &self.to)] {
            out.push_str(option);
            values::print_network(out, prefix, Family::V6);
        }
    }

    pub(super) fn explain(&self, out: &mut Pieces, what: &str) {
        let text = |prefix| {
            let mut text = String::new();
            values::print_network(&mut text, prefix, Family::V6);
            text
        };
        out.push(Piece::Effect(format!(
            "replaces the prefix {} of its {what} with {} and goes on with the next rule; no checksum \
             changes, since 16 bits behind the prefix make up for it",
            text(&self.from),
            text(&self.to)
        )));
        out.push(Piece::Caution(
            "The address is translated whether it has the first prefix or not: the rule has to match \
             it."
                .into(),
        ));
        if self.from.mask == Address::default() || self.to.mask == Address::default() {
            out.push(Piece::Caution(
                "iptables-save leaves out a prefix of no bits, and what it saves cannot be loaded."
                    .into(),
            ));
        }
    }
}

const fn number(address: Address) -> u128 {
    u128::from_be_bytes(address.0)
}

fn complement(address: Address) -> Address {
    Address((!number(address)).to_be_bytes())
}

/// One's complement sum of 16-bit words, not folded.
fn sum(address: Address) -> u32 {
    address.0.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum()
}

const fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

fn put(bytes: &mut [u8], at: usize, address: Address) {
    if let Some(field) = bytes.get_mut(at..at + 16) {
        field.copy_from_slice(&address.0);
    }
}

/// An instance.
#[derive(Debug)]
pub struct Snpt(pub Npt);

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    Some(Box::new(Snpt(Npt::parse(arguments)?)))
}

impl Target for Snpt {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        self.0.act(traversal, End::Source)
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::any(Field::Source), Change::Bytes]))
    }

    fn print(&self, out: &mut String) {
        self.0.print(out);
    }

    fn list(&self, out: &mut String, _: bool) {
        self.0.list(out, EXTENSION.name);
    }

    fn explain(&self, out: &mut Pieces) {
        self.0.explain(out, "source");
    }
}

#[cfg(test)]
mod tests;
