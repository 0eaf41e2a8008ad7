//! `ip`: the fields of an IPv4 packet that passes a bridge.
//!
//! Ports are those of TCP, UDP, UDP-Lite, SCTP and DCCP; a fragment behind the first has none, and no
//! type of ICMP or IGMP, and does not match a rule that asks for them.

use super::icmp_ranges::{IGMP, Messages};
use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{State, Traversal, in_network};
use crate::explain::{Piece, Pieces, either, range};
use crate::extension::{Arguments, Extension, OptionSpec, names, valued, values};
use crate::matches::Match;
use crate::matches::icmp;
use crate::model::{Inverted, Network};
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_packet::{Address, Family};

const SOURCE: u8 = 0;
const DESTINATION: u8 = 1;
const TOS: u8 = 2;
const PROTOCOL: u8 = 3;
const SPORT: u8 = 4;
const DPORT: u8 = 5;
const ICMP_TYPE: u8 = 6;
const IGMP_TYPE: u8 = 7;
const OPTIONS: &[OptionSpec] = &[
    valued("ip-source", SOURCE).inverted().repeated(),
    valued("ip-src", SOURCE).inverted().repeated(),
    valued("ip-destination", DESTINATION).inverted().repeated(),
    valued("ip-dst", DESTINATION).inverted().repeated(),
    valued("ip-tos", TOS).inverted().repeated(),
    valued("ip-protocol", PROTOCOL).inverted().repeated(),
    valued("ip-proto", PROTOCOL).inverted().repeated(),
    valued("ip-source-port", SPORT).inverted().repeated(),
    valued("ip-sport", SPORT).inverted().repeated(),
    valued("ip-destination-port", DPORT).inverted().repeated(),
    valued("ip-dport", DPORT).inverted().repeated(),
    valued("ip-icmp-type", ICMP_TYPE).inverted().repeated(),
    valued("ip-igmp-type", IGMP_TYPE).inverted().repeated(),
];

const MANUAL: &str = "\
Fields of an IPv4 packet. Needs `-p IPv4`.

- `[!] --ip-source ADDRESS[/MASK]` (`--ip-src`), `[!] --ip-destination ADDRESS[/MASK]` (`--ip-dst`).
- `[!] --ip-tos N`: the whole TOS byte.
- `[!] --ip-protocol PROTOCOL` (`--ip-proto`): by name or number.
- `[!] --ip-source-port PORT[:PORT]` (`--ip-sport`), `[!] --ip-destination-port PORT[:PORT]`
  (`--ip-dport`): need `--ip-proto` tcp, udp, udplite, sctp or dccp, without `!`.
- `[!] --ip-icmp-type TYPE[:TYPE][/CODE[:CODE]]|NAME`: needs `--ip-proto icmp`.
- `[!] --ip-igmp-type TYPE[:TYPE]|NAME`: needs `--ip-proto igmp`.

    ebtables -A FORWARD -p IPv4 --ip-proto udp --ip-sport 67 -i ! uplink -j DROP

Mind: a bridge does not put fragments together; those behind the first have no ports and pass a rule
that asks for them.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "ip",
    families: &[],
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Ip {
    source: Option<Inverted<Network>>,
    destination: Option<Inverted<Network>>,
    tos: Option<Inverted<u8>>,
    upper: Upper,
    igmp: Option<Inverted<Messages>>,
}

/// The part behind the header, which `ip6` asks for too.
#[derive(Debug, Default)]
pub(super) struct Upper {
    pub(super) protocol: Option<Inverted<u8>>,
    pub(super) source_port: Option<Inverted<(u16, u16)>>,
    pub(super) destination_port: Option<Inverted<(u16, u16)>>,
    pub(super) icmp: Option<Inverted<Messages>>,
}

/// What has ports.
const WITH_PORTS: [u8; 5] = [6, 17, 136, 132, 33];

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let source = values::frame_network(arguments, SOURCE, Family::V4)?;
    let destination = values::frame_network(arguments, DESTINATION, Family::V4)?;
    let tos = byte(arguments, TOS, "Problem with specified IP tos")?;
    let protocol = protocol(arguments, PROTOCOL)?;
    let source_port = port_range(arguments, SPORT)?;
    let destination_port = port_range(arguments, DPORT)?;
    let icmp = Messages::parse(arguments, ICMP_TYPE, ("ICMP", icmp::NAMES))?;
    let igmp = Messages::parse(arguments, IGMP_TYPE, ("IGMP", IGMP))?;
    arguments.needs_ethertype(&[(0x0800, "IPv4")])?;
    let upper = Upper { protocol, source_port, destination_port, icmp };
    upper.judge(arguments, (1, "icmp"))?;
    if igmp.is_some() {
        needs_protocol(arguments, protocol, &[2], "igmp")?;
    }
    let both = icmp.is_some() && igmp.is_some();
    if both {
        arguments.exclusive(&[ICMP_TYPE, IGMP_TYPE])?;
    }
    Some(Box::new(Ip { source, destination, tos, upper, igmp }))
}

/// A byte; `{}` in what the tool says is its value.
#[allow(clippy::option_option, reason = "not given, or given wrongly")]
pub(super) fn byte(
    arguments: &mut Arguments<'_>,
    id: u8,
    says: &str,
) -> Option<Option<Inverted<u8>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match values::number(&given.value, 255) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value: value as u8 })),
        None => {
            arguments.wrong(given, "a number from 0 to 255", says.replace("{}", &given.value));
            None
        }
    }
}

/// A protocol above IP.
#[allow(clippy::option_option, reason = "not given, or given wrongly")]
pub(super) fn protocol(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<Inverted<u8>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    match values::protocol(&given.value) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
        None => {
            let says = format!("unknown protocol \"{}\" specified", given.value);
            arguments.wrong(given, "a protocol", says);
            None
        }
    }
}

/// A port or a range of them.
#[allow(clippy::option_option, reason = "not given, or given wrongly")]
pub(super) fn port_range(
    arguments: &mut Arguments<'_>,
    id: u8,
) -> Option<Option<Inverted<(u16, u16)>>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let before = arguments.faults.len();
    match arguments.ports(given, None) {
        Some(value) => Some(Some(Inverted { inverted: given.inverted, value })),
        None => {
            for fault in arguments.faults.iter_mut().skip(before) {
                if fault.code == code::RANGE_BACKWARDS {
                    fault.says = Some("invalid portrange (min > max)".into());
                }
            }
            None
        }
    }
}

/// Reports a rule that is not for one of these protocols alone.
fn needs_protocol(
    arguments: &mut Arguments<'_>,
    protocol: Option<Inverted<u8>>,
    allowed: &[u8],
    name: &str,
) -> Option<()> {
    if protocol.is_some_and(|one| !one.inverted && allowed.contains(&one.value)) {
        return Some(());
    }
    let text = format!("`{}` needs the protocol {name} for this", arguments.name);
    let fault = Diagnostic::new(code::PROTOCOL_NEEDED, arguments.span, text);
    arguments.fault(fault);
    None
}

impl Upper {
    /// What does not fit its protocol.
    pub(super) fn judge(&self, arguments: &mut Arguments<'_>, icmp: (u8, &str)) -> Option<()> {
        if self.source_port.is_some() || self.destination_port.is_some() {
            let name = "tcp, udp, udplite, sctp or dccp";
            needs_protocol(arguments, self.protocol, &WITH_PORTS, name)?;
        }
        if self.icmp.is_some() {
            needs_protocol(arguments, self.protocol, &[icmp.0], icmp.1)?;
        }
        Some(())
    }

    /// Whether bytes of the upper layer of this protocol are meant; none where there are none.
    pub(super) fn matches(&self, protocol: u8, bytes: Option<&[u8]>) -> bool {
        let wanted = self.protocol;
        if wanted.is_some_and(|wanted| (wanted.value == protocol) == wanted.inverted) {
            return false;
        }
        let port = |wanted: Option<Inverted<(u16, u16)>>, at: usize| {
            let found = || bytes?.get(at..)?.first_chunk().map(|port| u16::from_be_bytes(*port));
            wanted.is_none_or(|Inverted { inverted, value: (low, high) }| {
                found().is_some_and(|port| (low..=high).contains(&port) != inverted)
            })
        };
        let message = |wanted: Inverted<Messages>| match bytes {
            Some([kind, code, ..]) => wanted.value.contains(*kind, *code) != wanted.inverted,
            _ => false,
        };
        port(self.source_port, 0) && port(self.destination_port, 2) && self.icmp.is_none_or(message)
    }

    pub(super) fn print(&self, out: &mut String, before: &str) {
        if let Some(Inverted { inverted, value }) = self.protocol {
            values::print_option(out, inverted, before);
            let _ = match names::protocol_name(value) {
                Some(name) => write!(out, "proto {name}"),
                None if value == 0 => write!(out, "proto ip"),
                None => write!(out, "proto {value}"),
            };
        }
        for (name, wanted) in [("sport", self.source_port), ("dport", self.destination_port)] {
            let Some(Inverted { inverted, value: (low, high) }) = wanted else { continue };
            values::print_option(out, inverted, before);
            out.push_str(name);
            values::print_range(out, low, high);
        }
    }

    pub(super) fn explain(&self, out: &mut Pieces) {
        let verb = |inverted| either(inverted, "is", "is not");
        if let Some(Inverted { inverted, value }) = self.protocol {
            let name = names::protocol_name(value);
            let name = name.map_or_else(|| format!("protocol {value}"), String::from);
            out.push(Piece::Condition(format!("it {} {name}", verb(inverted))));
        }
        for (name, wanted) in [("source", self.source_port), ("destination", self.destination_port)]
        {
            let Some(Inverted { inverted, value: (low, high) }) = wanted else { continue };
            let (verb, ports) = (verb(inverted), range(low, high));
            out.push(Piece::Condition(format!("its {name} port {verb} {ports}")));
        }
        if self.source_port.is_some() || self.destination_port.is_some() {
            out.push(Piece::Note(
                "Fragments behind the first have no ports and do not match; a bridge does not put \
                 them together."
                    .into(),
            ));
        }
    }
}

impl Match for Ip {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let bytes = &*traversal.bytes;
        let Some(header) = bytes.first_chunk::<20>() else { return Answer::No };
        let [start, tos, .., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
        let network = |wanted: Option<Inverted<Network>>, address: [u8; 4]| {
            wanted.is_none_or(|wanted| {
                in_network(&wanted.value, Address::v4(address)) != wanted.inverted
            })
        };
        let tos_fits = |wanted: Inverted<u8>| (tos == wanted.value) != wanted.inverted;
        let addressed = network(self.source, [s0, s1, s2, s3])
            && network(self.destination, [d0, d1, d2, d3])
            && self.tos.is_none_or(tos_fits);
        if !addressed {
            return Answer::No;
        }
        let [.., flags, offset, _, protocol, _, _, _, _, _, _, _, _, _, _] = *header;
        let later = (flags & 0x1f, offset) != (0, 0);
        let upper = bytes.get(usize::from(start & 0xf) * 4..).filter(|_| !later);
        let igmp = |wanted: Inverted<Messages>| match upper {
            Some([kind, ..]) => wanted.value.contains(*kind, 0) != wanted.inverted,
            _ => false,
        };
        (self.upper.matches(protocol, upper) && self.igmp.is_none_or(igmp)).into()
    }

    fn print(&self, out: &mut String) {
        values::print_frame_network(out, "ip-src", self.source, Family::V4);
        values::print_frame_network(out, "ip-dst", self.destination, Family::V4);
        if let Some(Inverted { inverted, value }) = self.tos {
            values::print_option(out, inverted, "ip-tos");
            let _ = write!(out, " 0x{value:02X}");
        }
        self.upper.print(out, "ip-");
        if let Some(Inverted { inverted, value }) = self.upper.icmp {
            values::print_option(out, inverted, "ip-icmp-type");
            value.print(out, icmp::NAMES);
        }
        if let Some(Inverted { inverted, value }) = self.igmp {
            values::print_option(out, inverted, "ip-igmp-type");
            value.print(out, IGMP);
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        self.print(out);
    }

    fn explain(&self, out: &mut Pieces) {
        explain_networks(out, self.source, self.destination, Family::V4);
        if let Some(Inverted { inverted, value }) = self.tos {
            let verb = either(inverted, "is", "is not");
            out.push(Piece::Condition(format!("its TOS byte {verb} 0x{value:02x}")));
        }
        self.upper.explain(out);
        for (name, wanted, names) in
            [("ICMP", self.upper.icmp, icmp::NAMES), ("IGMP", self.igmp, IGMP)]
        {
            let Some(Inverted { inverted, value }) = wanted else { continue };
            let (verb, words) = (either(inverted, "is", "is not"), value.words(names));
            out.push(Piece::Condition(format!("its {name} message {verb} {words}")));
        }
    }
}

pub(super) fn explain_networks(
    out: &mut Pieces,
    source: Option<Inverted<Network>>,
    destination: Option<Inverted<Network>>,
    family: Family,
) {
    for (way, wanted) in [("from", source), ("to", destination)] {
        let Some(Inverted { inverted, value }) = wanted else { continue };
        let mut text = String::new();
        values::print_network(&mut text, &value, family);
        let verb = either(inverted, "comes", "does not come");
        let verb = if way == "to" { either(inverted, "goes", "does not go") } else { verb };
        out.push(Piece::Condition(format!("its packet {verb} {way} {text}")));
    }
}
