//! Words into a [`Command`].

use super::getopt::{Found, Long, Value, Words};
use super::options::{self, Field, LONG, OptionKind, PROTOCOL_LETTERS, VERBS};
use super::{Command, Fault, Output, TableKind, Verb, protocols, values};
use crate::flow::{Half, LabelNames, ProtocolInfo, Translation};
use crate::tuple;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use keepstate_packet::{Family, gre, icmp, icmpv6, sctp, tcp};

/// Reads the words of a command line, without the name of the program. `label_names` is what
/// `connlabel.conf` says, `None` when there is no such file. What conntrack(8) warns of is appended
/// to `warnings`.
///
/// # Errors
/// [`Fault`] for what conntrack(8) refuses.
pub fn parse(
    words: &[&str],
    label_names: Option<&LabelNames>,
    warnings: &mut String,
) -> Result<Command, Fault> {
    parse_after(Output::default(), words, label_names, warnings)
}

/// The same for a line of a file, whose lines before have asked for `output`.
pub(super) fn parse_after(
    output: Output,
    words: &[&str],
    label_names: Option<&LabelNames>,
    warnings: &mut String,
) -> Result<Command, Fault> {
    let mut reader = Reader {
        words: Words::new(words),
        command: Command { output, ..Command::default() },
        family: None,
        long: Vec::new(),
        reply_is_icmp: false,
        label_names,
        warnings,
    };
    let short = options::short();
    loop {
        let long = core::mem::take(&mut reader.long);
        let found = reader.words.next(&short, &[LONG, &long]);
        reader.long = long;
        let Some(found) = found else { break };
        reader.option(&found?)?;
    }
    reader.finish()
}

/// What conntrack(8) says where there is no `connlabel.conf`.
const NO_LABEL_NAMES: &str = "nfct_labelmap_new: No such file or directory\n";

struct Reader<'a, 'w> {
    words: Words<'w>,
    command: Command,
    family: Option<Family>,
    /// The options of the protocol.
    long: Vec<Long>,
    /// Whether an option of ICMP stood behind an address of the reply, which is then of ICMP, too.
    reply_is_icmp: bool,
    label_names: Option<&'a LabelNames>,
    warnings: &'a mut String,
}

impl Reader<'_, '_> {
    fn option(&mut self, found: &Found<'_>) -> Result<(), Fault> {
        if let Some((_, verb, _)) = VERBS.iter().find(|(l, ..)| u16::from(*l) == found.letter) {
            return self.verb(*verb);
        }
        if found.letter >= PROTOCOL_LETTERS {
            let place = usize::from(found.letter - PROTOCOL_LETTERS);
            return self.protocol_option(place, found.value.unwrap_or(""));
        }
        let Some(kind) = OptionKind::of(found.letter) else { return Ok(()) };
        if kind == OptionKind::NatRange {
            self.warnings.push_str("WARNING: ignoring -a, deprecated option.\n");
            return Ok(());
        }
        self.command.given.set(kind);
        self.value(kind, found)
    }

    fn verb(&mut self, verb: Verb) -> Result<(), Fault> {
        let table = self.words.optional().map_or(Ok(TableKind::Conntrack), table)?;
        check_table(verb, table)?;
        if self.command.verb != Verb::None {
            return Err(Fault::parameter("Invalid commands combination"));
        }
        self.command.verb = verb;
        self.command.table = table;
        Ok(())
    }

    fn value(&mut self, kind: OptionKind, found: &Found<'_>) -> Result<(), Fault> {
        use OptionKind as O;
        let text = found.value.unwrap_or("");
        let command = &mut self.command;
        let flow = &mut command.flow;
        match kind {
            O::OrigSrc | O::OrigDst | O::ReplySrc | O::ReplyDst => return self.address(kind, text),
            O::TupleSrc | O::TupleDst | O::MaskSrc | O::MaskDst => return self.address(kind, text),
            O::SrcNat | O::DstNat | O::AnyNat => {
                let text = self.words.optional();
                return text.map_or(Ok(()), |text| self.translation(kind, text));
            }
            O::Label | O::LabelAdd => return self.labels(kind, found.value),
            O::LabelDel => {
                let text = self.words.optional();
                return self.labels(kind, text);
            }
            O::Protonum => return self.protocol(text),
            O::Family => return self.set_family(values::family(text)?),
            O::Timeout => {
                flow.timeout = Some(values::decimal(text));
                command.expected.timeout = flow.timeout;
            }
            O::Status => {
                let status = values::status(text, self.warnings)?;
                if command.status_mask.0 == 0 {
                    command.status_mask = status;
                }
                flow.status = Some(flow.status() | status);
            }
            O::EventMask => {
                let more = values::events(text, self.warnings)?;
                command.events = Some(match command.events {
                    None => more,
                    Some(mask) => super::EventMask {
                        new: mask.new | more.new,
                        updates: mask.updates | more.updates,
                        destroy: mask.destroy | more.destroy,
                    },
                });
            }
            O::Mark => command.mark = Some(values::masked(text)),
            O::Id => flow.id = Some(values::number(text)),
            O::Output => {
                values::output(text, &mut command.output, self.warnings)?;
                if command.output.labels && self.label_names.is_none() {
                    self.warnings.push_str(NO_LABEL_NAMES);
                }
            }
            O::Secmark => flow.secmark = Some(values::number(text)),
            O::Zone => flow.zone = Some(values::number(text) as u16),
            O::OrigZone => flow.zone_of = [Some(values::number(text) as u16), flow.zone_of[1]],
            O::ReplyZone => flow.zone_of = [flow.zone_of[0], Some(values::number(text) as u16)],
            O::BufferSize => command.buffer_size = Some(values::decimal(text)),
            O::Zero | O::NatRange => {}
        }
        Ok(())
    }

    fn set_family(&mut self, family: Family) -> Result<(), Fault> {
        if self.family.is_some_and(|known| known != family) {
            return Err(Fault::parameter("mismatched address family"));
        }
        self.family = Some(family);
        Ok(())
    }

    fn address(&mut self, kind: OptionKind, text: &str) -> Result<(), Fault> {
        use OptionKind as O;
        let (family, address, length) = values::network(text)?;
        self.set_family(family)?;
        let takes_length = matches!(kind, O::OrigSrc | O::OrigDst | O::TupleSrc | O::TupleDst);
        if length.is_some() && !takes_length {
            return Err(values::no_length(kind));
        }
        let mask = length.map_or(Ok(None), |length| values::mask(family, length))?;
        let command = &mut self.command;
        let place = match kind {
            O::OrigSrc => &mut command.flow.original.source,
            O::OrigDst => &mut command.flow.original.destination,
            O::ReplySrc => &mut command.flow.reply.source,
            O::ReplyDst => &mut command.flow.reply.destination,
            O::TupleSrc => &mut command.expected.tuple.source,
            O::TupleDst => &mut command.expected.tuple.destination,
            O::MaskSrc => &mut command.masks.source,
            _ => &mut command.masks.destination,
        };
        *place = Some(address);
        if let Some(mask) = mask {
            let is_source = matches!(kind, O::OrigSrc | O::TupleSrc);
            let masks = &mut command.masks;
            let place = if is_source { &mut masks.source } else { &mut masks.destination };
            *place = Some(mask);
            command.given.set(if is_source { O::MaskSrc } else { O::MaskDst });
        }
        Ok(())
    }

    fn translation(&mut self, kind: OptionKind, text: &str) -> Result<(), Fault> {
        let (family, address, port) = values::translation(text)?;
        self.set_family(family)?;
        let translation = Some(Translation { address: Some(address), port });
        let [source, destination] = &mut self.command.flow.nat;
        if matches!(kind, OptionKind::SrcNat | OptionKind::AnyNat) {
            *source = translation;
        }
        if matches!(kind, OptionKind::DstNat | OptionKind::AnyNat) {
            *destination = translation;
        }
        Ok(())
    }

    fn labels(&mut self, kind: OptionKind, text: Option<&str>) -> Result<(), Fault> {
        let given = &self.command.given;
        if given.has(OptionKind::LabelAdd) && given.has(OptionKind::LabelDel) {
            let text = "cannot use --label-add and --label-del at the same time";
            return Err(Fault::other(text));
        }
        let none = LabelNames::default();
        let names = self.label_names.unwrap_or_else(|| {
            self.warnings.push_str(NO_LABEL_NAMES);
            &none
        });
        let (labels, possible) = match text {
            Some(text) => values::labels(text, names)?,
            None => (crate::flow::Labels([0xff; crate::flow::LABELS_BYTES]), true),
        };
        let command = &mut self.command;
        command.impossible_label |= !possible;
        let place = match kind {
            OptionKind::Label => &mut command.labels,
            OptionKind::LabelAdd => &mut command.label_add,
            _ => &mut command.label_del,
        };
        let known = place.get_or_insert_default();
        labels.bits().for_each(|bit| {
            known.set(bit);
        });
        Ok(())
    }

    fn protocol(&mut self, text: &str) -> Result<(), Fault> {
        let unsupported = || Fault::parameter(format!("`{text}' unsupported protocol"));
        let (protocol, has_options) = protocols::number(text).ok_or_else(unsupported)?;
        self.command.flow.protocol = Some(protocol);
        self.command.expected.protocol = Some(protocol);
        let options = if has_options { options::of_protocol(protocol) } else { &[] };
        for (place, option) in options.iter().enumerate() {
            let letter = PROTOCOL_LETTERS + place as u16;
            let long = |name| Long { name, value: Value::Needed, letter };
            self.long.push(long(option.name));
            self.long.extend(other_name(option.name).map(long));
        }
        Ok(())
    }

    fn protocol_option(&mut self, place: usize, text: &str) -> Result<(), Fault> {
        let protocol = self.command.flow.protocol.unwrap_or(0);
        let Some(option) = options::of_protocol(protocol).get(place) else { return Ok(()) };
        self.command.given.of_protocol |= 1 << place;
        let command = &mut self.command;
        let (flow, expected) = (&mut command.flow, &mut command.expected);
        let port = || match protocol {
            gre::PROTOCOL => values::number(text) as u16,
            _ => values::port(text),
        };
        let octet = || values::port(text) as u8;
        if matches!(option.field, Field::IcmpType | Field::IcmpCode | Field::IcmpId) {
            self.reply_is_icmp |= is_described(&flow.reply);
        }
        match option.field {
            Field::Source => flow.original.source_port = Some(port()),
            Field::Destination => flow.original.destination_port = Some(port()),
            Field::ReplySource => flow.reply.source_port = Some(port()),
            Field::ReplyDestination => flow.reply.destination_port = Some(port()),
            Field::MaskSource => expected.mask.source_port = Some(port()),
            Field::MaskDestination => expected.mask.destination_port = Some(port()),
            Field::TupleSource => expected.tuple.source_port = Some(port()),
            Field::TupleDestination => expected.tuple.destination_port = Some(port()),
            Field::IcmpType => {
                // conntrack(8) knows what answers by the family of the original addresses, and only
                // when they were said before.
                let kind = octet();
                let family = self.family.filter(|_| is_described(&flow.original));
                let of_family = family.map(|family| match family {
                    Family::V4 => icmp::PROTOCOL,
                    Family::V6 => icmpv6::PROTOCOL,
                });
                let answer = of_family.and_then(|protocol| tuple::inverse_type(protocol, kind));
                flow.original.icmp_type = Some(kind);
                flow.reply.icmp_type = Some(answer.unwrap_or(u8::MAX));
            }
            Field::IcmpCode => flow.original.icmp_code = Some(octet()),
            Field::IcmpId => flow.original.icmp_id = Some(values::port(text)),
            Field::State => flow.info = with_state(flow.info, protocol, text)?,
            Field::OriginalTag | Field::ReplyTag => {
                let (state, [original, reply]) = match flow.info {
                    ProtocolInfo::Sctp { state, vtags } => (state, vtags),
                    _ => (None, [None; 2]),
                };
                let tag = Some(values::decimal(text));
                let is_original = option.field == Field::OriginalTag;
                let vtags = if is_original { [tag, reply] } else { [original, tag] };
                flow.info = ProtocolInfo::Sctp { state, vtags };
            }
            Field::Role => {
                let unknown = || Fault::parameter(format!("Unknown DCCP role `{text}'"));
                let begins = |role: &&str| {
                    role.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
                };
                let role = ["client", "server"].iter().position(begins);
                let role = Some(role.ok_or_else(unknown)? as u8);
                flow.info = ProtocolInfo::Dccp { state: flow.info.state(), role };
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Command, Fault> {
        let command = &mut self.command;
        let (verb, table) = (command.verb, command.table);
        use OptionKind as O;
        if command.given.has(O::AnyNat) && command.given.any(&[O::SrcNat, O::DstNat]) {
            let text = "cannot specify `--src-nat' or `--dst-nat' with `--any-nat'";
            return Err(Fault::parameter(text));
        }
        command.flow.family = self.family;
        command.expected.family = self.family;
        options::check(verb, table, &command.given)?;
        // Who asks for help need not say more.
        let asks = !self.long.is_empty() && verb != Verb::Help;
        if let Some(protocol) = command.flow.protocol.filter(|_| asks) {
            let of_table = (verb, table);
            options::check_protocol(protocol, of_table, &command.given)?;
        }
        if table == TableKind::Expect {
            let Half { source, destination, .. } = command.masks;
            command.expected.mask = Half { source, destination, ..command.expected.mask };
        }
        let reply = &mut command.flow.reply;
        if is_described(reply) && reply.icmp_type.is_some() && !self.reply_is_icmp {
            reply.icmp_type = Some(u8::MAX);
        }
        Ok(self.command)
    }
}

fn is_described(half: &Half) -> bool {
    half.source.is_some() || half.destination.is_some()
}

/// Not every verb can be used with every table.
fn check_table(verb: Verb, table: TableKind) -> Result<(), Fault> {
    if matches!(table, TableKind::Dying | TableKind::Unconfirmed) && verb != Verb::List {
        let text = "Can't do that command with tables `dying' and `unconfirmed'";
        return Err(Fault::parameter(text));
    }
    if table == TableKind::Expect && matches!(verb, Verb::Update | Verb::Add) {
        let name = if verb == Verb::Update { "update" } else { "add" };
        return Err(Fault::parameter(format!("Can't do --{name} on expectations")));
    }
    Ok(())
}

/// A table, by the start of its name.
fn table(word: &str) -> Result<TableKind, Fault> {
    let known = [
        ("expect", TableKind::Expect),
        ("conntrack", TableKind::Conntrack),
        ("dying", TableKind::Dying),
        ("unconfirmed", TableKind::Unconfirmed),
    ];
    let found = known.iter().find(|(name, _)| name.starts_with(word));
    found.map(|(_, table)| *table).ok_or_else(|| Fault::parameter(format!("unknown type `{word}'")))
}

/// What else an option of a protocol is called.
fn other_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "sport" => "orig-port-src",
        "dport" => "orig-port-dst",
        "srckey" => "orig-key-src",
        "dstkey" => "orig-key-dst",
        _ => return None,
    })
}

fn with_state(info: ProtocolInfo, protocol: u8, name: &str) -> Result<ProtocolInfo, Fault> {
    // The name of the last state before kernels had SYN_SENT2 there.
    let name = if protocol == tcp::PROTOCOL && name == "LISTEN" { "SYN_SENT2" } else { name };
    let (what, protocol_name) = match protocol {
        tcp::PROTOCOL => ("unknown", "TCP"),
        sctp::PROTOCOL => ("unknown", "SCTP"),
        _ => ("Unknown", "DCCP"),
    };
    let unknown = || {
        let text = format!("{what} {protocol_name} state `{name}'");
        Fault::parameter(text)
    };
    // Those that came to SCTP later are unknown to conntrack(8).
    let known = !(protocol == sctp::PROTOCOL && name.starts_with("HEARTBEAT"));
    let new = ProtocolInfo::in_state(protocol, name).filter(|_| known).ok_or_else(unknown)?;
    Ok(match (info, new) {
        (ProtocolInfo::Sctp { vtags, .. }, ProtocolInfo::Sctp { state, .. }) => {
            ProtocolInfo::Sctp { state, vtags }
        }
        (ProtocolInfo::Dccp { role, .. }, ProtocolInfo::Dccp { state, .. }) => {
            ProtocolInfo::Dccp { state, role }
        }
        (_, new) => new,
    })
}
