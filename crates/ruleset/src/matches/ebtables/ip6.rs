//! `ip6`: the fields of an IPv6 packet that passes a bridge.
//!
//! The protocol is the one behind extension headers; a fragment behind the first has no ports.

use super::icmp_ranges::Messages;
use super::ip::{Upper, byte, explain_networks, port_range, protocol};
use crate::evaluate::{State, Traversal, in_network};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::matches::icmp6;
use crate::model::{Inverted, Network};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Family, L4, Parsed};

const SOURCE: u8 = 0;
const DESTINATION: u8 = 1;
const TCLASS: u8 = 2;
const PROTOCOL: u8 = 3;
const SPORT: u8 = 4;
const DPORT: u8 = 5;
const ICMP_TYPE: u8 = 6;
const OPTIONS: &[OptionSpec] = &[
    valued("ip6-source", SOURCE).inverted().repeated(),
    valued("ip6-src", SOURCE).inverted().repeated(),
    valued("ip6-destination", DESTINATION).inverted().repeated(),
    valued("ip6-dst", DESTINATION).inverted().repeated(),
    valued("ip6-tclass", TCLASS).inverted().repeated(),
    valued("ip6-protocol", PROTOCOL).inverted().repeated(),
    valued("ip6-proto", PROTOCOL).inverted().repeated(),
    valued("ip6-source-port", SPORT).inverted().repeated(),
    valued("ip6-sport", SPORT).inverted().repeated(),
    valued("ip6-destination-port", DPORT).inverted().repeated(),
    valued("ip6-dport", DPORT).inverted().repeated(),
    valued("ip6-icmp-type", ICMP_TYPE).inverted().repeated(),
];

const MANUAL: &str = "\
Fields of an IPv6 packet. Needs `-p IPv6`.

- `[!] --ip6-source ADDRESS[/MASK]` (`--ip6-src`), `[!] --ip6-destination ADDRESS[/MASK]` (`--ip6-dst`).
- `[!] --ip6-tclass N`: the whole traffic class.
- `[!] --ip6-protocol PROTOCOL` (`--ip6-proto`): the one behind extension headers, by name or number.
- `[!] --ip6-source-port PORT[:PORT]` (`--ip6-sport`), `[!] --ip6-destination-port PORT[:PORT]`
  (`--ip6-dport`): need `--ip6-proto` tcp, udp, udplite, sctp or dccp, without `!`.
- `[!] --ip6-icmp-type TYPE[:TYPE][/CODE[:CODE]]|NAME`: needs `--ip6-proto ipv6-icmp`.

    ebtables -A FORWARD -p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type router-advertisement -i ! uplink -j DROP

Mind: router advertisements from a port where no router is are the usual reason for such a rule.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ip6",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Ip6 {
    source: Option<Inverted<Network>>,
    destination: Option<Inverted<Network>>,
    tclass: Option<Inverted<u8>>,
    upper: Upper,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let source = values::frame_network(arguments, SOURCE, Family::V6)?;
    let destination = values::frame_network(arguments, DESTINATION, Family::V6)?;
    let tclass = byte(arguments, TCLASS, "Problem with specified IPv6 traffic class '{}'")?;
    let protocol = protocol(arguments, PROTOCOL)?;
    let source_port = port_range(arguments, SPORT)?;
    let destination_port = port_range(arguments, DPORT)?;
    let icmp = Messages::parse(arguments, ICMP_TYPE, ("ICMPv6", icmp6::NAMES))?;
    arguments.needs_ethertype(&[(0x86dd, "IPv6")])?;
    let upper = Upper { protocol, source_port, destination_port, icmp };
    upper.judge(arguments, (58, "ipv6-icmp"))?;
    Some(Box::new(Ip6 { source, destination, tclass, upper }))
}

impl Match for Ip6 {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let bytes = &*traversal.bytes;
        let Ok(packet) = Parsed::of_family(Family::V6, bytes) else { return Answer::No };
        let network = |wanted: Option<Inverted<Network>>, address| {
            wanted.is_none_or(|wanted| in_network(&wanted.value, address) != wanted.inverted)
        };
        let tclass = |wanted: Inverted<u8>| (packet.tos == wanted.value) != wanted.inverted;
        let addressed = network(self.source, packet.source)
            && network(self.destination, packet.destination)
            && self.tclass.is_none_or(tclass);
        let later = packet.l4 == L4::Fragment;
        let upper = bytes.get(packet.l4_offset as usize..).filter(|_| !later);
        (addressed && self.upper.matches(packet.protocol, upper)).into()
    }

    fn print(&self, out: &mut String) {
        values::print_frame_network(out, "ip6-src", self.source, Family::V6);
        values::print_frame_network(out, "ip6-dst", self.destination, Family::V6);
        if let Some(Inverted { inverted, value }) = self.tclass {
            values::print_option(out, inverted, "ip6-tclass");
            let _ = write!(out, " 0x{value:02X}");
        }
        self.upper.print(out, "ip6-");
        if let Some(Inverted { inverted, value }) = self.upper.icmp {
            values::print_option(out, inverted, "ip6-icmp-type");
            value.print(out, icmp6::NAMES);
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        explain_networks(out, self.source, self.destination, Family::V6);
        if let Some(Inverted { inverted, value }) = self.tclass {
            let verb = either(inverted, "is", "is not");
            out.push(Piece::Condition(format!("its traffic class {verb} 0x{value:02x}")));
        }
        self.upper.explain(out);
        if let Some(Inverted { inverted, value }) = self.upper.icmp {
            let (verb, words) = (either(inverted, "is", "is not"), value.words(icmp6::NAMES));
            out.push(Piece::Condition(format!("its ICMPv6 message {verb} {words}")));
        }
    }
}
