//! Reads the lines that listings are made of: those of `conntrack -L` with and without `-o`, of
//! `conntrack -E`, of `/proc/net`, and what [`super::write`] adds to them.

use super::read::ReadError;
use crate::CtStatus;
use crate::event::Announcement;
use crate::flow::{DCCP, Expected, Flow, Half, LABELS_BYTES, Labels, ProtocolInfo};
use crate::helpers::Name;
use crate::tuple::Tuple;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use keepstate_packet::{Address, Family, tcp, udp};

/// Most words of a line.
pub(super) const WORDS_MAX: usize = 128;

/// Reads a line of connections.
///
/// # Errors
/// [`ReadError`] when it is none, or says something twice or wrong.
pub fn flow_line(line: &str) -> Result<Flow, ReadError> {
    let mut reader = FlowReader::default();
    for (place, word) in line.split_whitespace().enumerate() {
        if place >= WORDS_MAX {
            return Err(ReadError::TooLong);
        }
        reader.word(word)?;
    }
    reader.finish()
}

#[derive(Debug, Default)]
struct FlowReader {
    flow: Flow,
    /// How many tuples have begun.
    halves: usize,
    /// Words before the first tuple.
    head: Vec<String>,
    unreplied: bool,
    assured: CtStatus,
    status: Option<CtStatus>,
    /// Of GRE, in `/proc`.
    gre: [Option<u32>; 2],
    vtags: [Option<u32>; 2],
    role: Option<u8>,
    /// Within `[start=...]`, whose date has blanks.
    in_date: bool,
}

impl FlowReader {
    fn word(&mut self, word: &str) -> Result<(), ReadError> {
        if self.in_date || word.starts_with("[start=") || word.starts_with("[stop=") {
            self.in_date = !word.ends_with(']');
            return Ok(());
        }
        if let Some(flag) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            return self.flag(flag);
        }
        match word.split_once('=') {
            Some((key, value)) => self.pair(key, value),
            None if self.halves == 0 => {
                self.head.push(word.to_string());
                Ok(())
            }
            None => Err(ReadError::Unexpected(word.to_string())),
        }
    }

    fn flag(&mut self, flag: &str) -> Result<(), ReadError> {
        match flag {
            "UNREPLIED" => self.unreplied = true,
            "ASSURED" => self.assured = self.assured | CtStatus::ASSURED,
            "OFFLOAD" => self.assured = self.assured | CtStatus::OFFLOAD,
            "HW_OFFLOAD" => self.assured = self.assured | CtStatus::HW_OFFLOAD,
            // What an event begins with, or tells of its cause.
            "NEW" | "UPDATE" | "DESTROY" | "USERSPACE" => {}
            _ if flag.starts_with(|c: char| c.is_ascii_digit()) => {}
            _ => return Err(ReadError::Unexpected(flag.to_string())),
        }
        Ok(())
    }

    fn half(&mut self) -> &mut Half {
        if self.halves < 2 { &mut self.flow.original } else { &mut self.flow.reply }
    }

    fn pair(&mut self, key: &str, value: &str) -> Result<(), ReadError> {
        if self.halves == 0 && matches!(key, "timeout" | "stream_timeout") {
            let place = if key == "timeout" { &mut self.gre[0] } else { &mut self.gre[1] };
            *place = Some(number(key, value.trim_end_matches(','))?);
            return Ok(());
        }
        match key {
            "src" => {
                self.halves += 1;
                if self.halves > 2 {
                    return Err(ReadError::Twice(key.to_string()));
                }
                let address = self.address(key, value)?;
                self.half().source = Some(address);
            }
            "dst" => {
                let address = self.address(key, value)?;
                self.half().destination = Some(address);
            }
            "sport" | "srckey" => self.half().source_port = Some(number(key, value)?),
            "dport" | "dstkey" => self.half().destination_port = Some(number(key, value)?),
            "type" => self.half().icmp_type = Some(number(key, value)?),
            "code" => self.half().icmp_code = Some(number(key, value)?),
            "id" if self.half().icmp_type.is_some() && self.half().icmp_id.is_none() => {
                self.half().icmp_id = Some(number(key, value)?);
            }
            "packets" | "bytes" => {
                let place = usize::from(self.halves > 1);
                if let Some(counters) = self.flow.counters.get_mut(place) {
                    let counters = counters.get_or_insert_default();
                    let count = if key == "packets" { &mut counters.0 } else { &mut counters.1 };
                    *count = value.parse().map_err(|_| ReadError::wrong(key, value))?;
                }
            }
            _ => return self.field(key, value),
        }
        Ok(())
    }

    /// What follows the tuples.
    fn field(&mut self, key: &str, value: &str) -> Result<(), ReadError> {
        let flow = &mut self.flow;
        match key {
            "mark" => flow.mark = Some(number(key, value)?),
            "secmark" => flow.secmark = Some(number(key, value)?),
            "secctx" => flow.secctx = Some(value.to_string()),
            "zone" => flow.zone = Some(number(key, value)?).filter(|id| *id != 0),
            "zone-orig" => flow.zone_of = [Some(number(key, value)?), flow.zone_of[1]],
            "zone-reply" => flow.zone_of = [flow.zone_of[0], Some(number(key, value)?)],
            "delta-time" => flow.age = Some(number(key, value)?),
            "helper" => flow.helper = Some(value.to_string()),
            "use" => flow.uses = Some(number(key, value)?),
            "id" => flow.id = Some(number(key, value)?),
            "status" => self.status = Some(CtStatus(number(key, value)?)),
            "labels" => {
                // Names say nothing without the file that numbers them.
                if let Some(digits) = value.strip_prefix("0x") {
                    flow.labels = Some(labels(key, digits)?);
                }
            }
            "started" => flow.started = Some(number(key, value)?),
            "orig-vtag" => self.vtags[0] = Some(number(key, value)?),
            "reply-vtag" => self.vtags[1] = Some(number(key, value)?),
            "role" => self.role = Some(number(key, value)?),
            "gre-timeout" => self.gre[0] = Some(number(key, value)?),
            "gre-stream-timeout" => self.gre[1] = Some(number(key, value)?),
            "master" => flow.master = Some(master(value)?),
            // Who caused an event.
            "portid" | "progname" => {}
            _ => return Err(ReadError::Unexpected(key.to_string())),
        }
        Ok(())
    }

    fn address(&mut self, key: &str, value: &str) -> Result<Address, ReadError> {
        let ip: IpAddr = value.parse().map_err(|_| ReadError::wrong(key, value))?;
        let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        if self.flow.family.is_some_and(|known| known != family) {
            return Err(ReadError::wrong(key, value));
        }
        self.flow.family = Some(family);
        Ok(Address::from(ip))
    }

    /// `[ipv4 2] tcp 6 [431998] [ESTABLISHED]`.
    fn finish(mut self) -> Result<Flow, ReadError> {
        if self.halves != 2 {
            return Err(ReadError::Missing("two directions"));
        }
        let head = core::mem::take(&mut self.head);
        let mut words = head.iter().map(String::as_str).peekable();
        if words.next_if(|word| matches!(*word, "ipv4" | "ipv6")).is_some() {
            words.next();
        }
        let _name = words.next().ok_or(ReadError::Missing("a protocol"))?;
        let protocol = words.next().ok_or(ReadError::Missing("a protocol's number"))?;
        let protocol = number("protocol", protocol)?;
        let flow = &mut self.flow;
        flow.protocol = Some(protocol);
        flow.timeout = words
            .next_if(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .map(|seconds| number("timeout", seconds))
            .transpose()?;
        let state = words.next();
        if let Some(extra) = words.next() {
            return Err(ReadError::Unexpected(extra.to_string()));
        }
        self.info(protocol, state)?;
        self.normalize(protocol);
        Ok(self.flow)
    }

    fn info(&mut self, protocol: u8, state: Option<&str>) -> Result<(), ReadError> {
        let known = state.map(|name| {
            ProtocolInfo::in_state(protocol, name).ok_or_else(|| ReadError::wrong("state", name))
        });
        let info = known.transpose()?.unwrap_or_default();
        let vtags = self.vtags;
        self.flow.info = match (info, self.gre, protocol) {
            (ProtocolInfo::Sctp { state, .. }, ..) => ProtocolInfo::Sctp { state, vtags },
            (ProtocolInfo::Dccp { state, .. }, ..) => ProtocolInfo::Dccp { state, role: self.role },
            (ProtocolInfo::None, [Some(timeout), Some(stream_timeout)], _) => {
                ProtocolInfo::Gre { timeout, stream_timeout }
            }
            (info, ..) => info,
        };
        Ok(())
    }

    /// What every connection has, whether its line says so or not.
    fn normalize(&mut self, protocol: u8) {
        let replied = if self.unreplied { CtStatus(0) } else { CtStatus::SEEN_REPLY };
        let shown = self.assured | replied | CtStatus::CONFIRMED;
        self.flow.status = Some(self.status.unwrap_or(shown));
        if protocol == DCCP {
            for half in [&mut self.flow.original, &mut self.flow.reply] {
                half.source_port.get_or_insert(0);
                half.destination_port.get_or_insert(0);
            }
        }
    }
}

/// Reads a line of expectations.
///
/// # Errors
/// [`ReadError`] when it is none, or says something wrong.
pub fn expectation_line(line: &str) -> Result<Expected, ReadError> {
    let line = line.replace("l3proto = ", "l3proto=");
    let mut reader = ExpectReader::default();
    for (place, word) in line.split_whitespace().enumerate() {
        if place >= WORDS_MAX {
            return Err(ReadError::TooLong);
        }
        reader.word(word)?;
    }
    reader.finish()
}

#[derive(Debug, Default)]
struct ExpectReader {
    expected: Expected,
    /// 0 the tuple, 1 its mask, 2 the master.
    part: usize,
    begun: bool,
}

impl ExpectReader {
    fn word(&mut self, word: &str) -> Result<(), ReadError> {
        if word.starts_with('[') && word.ends_with(']') {
            return Ok(());
        }
        if let Some((key, value)) = word.split_once('=') {
            self.begun = true;
            return self.pair(key, value);
        }
        if !self.begun {
            if word != "-" {
                self.expected.timeout = Some(number("timeout", word)?);
            }
            return Ok(());
        }
        let flags = [
            ("PERMANENT", Announcement::PERMANENT),
            ("INACTIVE", Announcement::INACTIVE),
            ("USERSPACE", Announcement::USERSPACE),
        ];
        let mut all = word.split(',');
        let known = |part| flags.iter().find(|(name, _)| *name == part).map(|(_, flag)| *flag);
        match all.clone().map(known).collect::<Option<Vec<u32>>>() {
            Some(bits) => bits.iter().for_each(|bit| self.expected.flags |= bit),
            // `/proc` ends with the helper and the name of the class.
            None => {
                let name = all.next().and_then(|word| word.split('/').next());
                self.expected.helper = name.map(ToString::to_string);
            }
        }
        Ok(())
    }

    fn pair(&mut self, key: &str, value: &str) -> Result<(), ReadError> {
        let expected = &mut self.expected;
        match key {
            "mask-src" => self.part = 1,
            "master-src" => self.part = 2,
            _ => {}
        }
        let half = match self.part {
            0 => &mut expected.tuple,
            1 => &mut expected.mask,
            _ => &mut expected.master,
        };
        match key {
            "l3proto" => {}
            "proto" => expected.protocol = Some(number(key, value)?),
            "master-proto" => expected.master_protocol = Some(number(key, value)?),
            "src" | "mask-src" | "master-src" | "dst" | "mask-dst" | "master-dst" => {
                let (family, address) = address(key, value)?;
                if expected.family.is_some_and(|known| known != family) {
                    return Err(ReadError::wrong(key, value));
                }
                expected.family = Some(family);
                match key.ends_with("src") {
                    true => half.source = Some(address),
                    false => half.destination = Some(address),
                }
            }
            "sport" | "srckey" => half.source_port = Some(number(key, value)?),
            "dport" | "dstkey" => half.destination_port = Some(number(key, value)?),
            "type" => half.icmp_type = Some(number(key, value)?),
            "code" => half.icmp_code = Some(number(key, value)?),
            "id" => half.icmp_id = Some(number(key, value)?),
            "class" => expected.class = number(key, value)?,
            "zone" => expected.zone = Some(number(key, value)?),
            "helper" => expected.helper = Some(value.to_string()),
            _ => return Err(ReadError::Unexpected(key.to_string())),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Expected, ReadError> {
        self.expected.protocol.ok_or(ReadError::Missing("proto="))?;
        let Half { source, destination, .. } = self.expected.tuple;
        if source.is_none() || destination.is_none() {
            return Err(ReadError::Missing("src= and dst="));
        }
        let has_master = !self.expected.master.is_empty();
        if has_master && self.expected.master_protocol.is_none() {
            // The line does not say; its helper would know, and most are of one protocol.
            let helper = self.expected.helper.as_deref();
            let base = helper.map(|name| Name::parse(name).map_or(name, |name| name.base));
            self.expected.master_protocol = Some(match base {
                Some("tftp" | "amanda" | "snmp" | "netbios-ns" | "RAS" | "sip") => udp::PROTOCOL,
                _ => tcp::PROTOCOL,
            });
        }
        Ok(self.expected)
    }
}

fn address(key: &str, value: &str) -> Result<(Family, Address), ReadError> {
    let ip: IpAddr = value.parse().map_err(|_| ReadError::wrong(key, value))?;
    Ok((if ip.is_ipv4() { Family::V4 } else { Family::V6 }, Address::from(ip)))
}

/// A number, in hexadecimal after 0x.
pub(super) fn number<T: TryFrom<u64>>(key: &str, value: &str) -> Result<T, ReadError> {
    let wrong = || ReadError::wrong(key, value);
    let parsed = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    let plain = !value.starts_with('+');
    parsed.ok().filter(|_| plain).and_then(|n| T::try_from(n).ok()).ok_or_else(wrong)
}

/// Labels, the highest bit first.
fn labels(key: &str, digits: &str) -> Result<Labels, ReadError> {
    let wrong = || ReadError::wrong(key, digits);
    let bits = u128::from_str_radix(digits, 16).map_err(|_| wrong())?;
    let bytes: [u8; LABELS_BYTES] = bits.to_le_bytes();
    Ok(Labels(bytes))
}

/// `tcp,192.0.2.1,192.0.2.2,50804,21`: a tuple in one word.
fn master(value: &str) -> Result<Tuple, ReadError> {
    let wrong = || ReadError::wrong("master", value);
    let mut parts = value.split(',');
    let mut next = || parts.next().ok_or_else(wrong);
    let protocol: u8 = number("master", next()?)?;
    let (family, source) = address("master", next()?)?;
    let (other, destination) = address("master", next()?)?;
    let source_port = number("master", next()?)?;
    let destination_port = number("master", next()?)?;
    if family != other {
        return Err(wrong());
    }
    Ok(Tuple { source, destination, source_port, destination_port, protocol, family })
}
