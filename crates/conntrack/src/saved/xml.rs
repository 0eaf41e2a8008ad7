//! Reads the XML that conntrack(8) prints: an element a connection, nothing nested deeper than it
//! prints it. No entities, no attributes but its own.

use super::lines::number;
use super::read::{ENTRIES_MAX, ReadError};
use crate::CtStatus;
use crate::event::Announcement;
use crate::flow::{Contents, Expected, Flow, Half, ProtocolInfo, states};
use alloc::string::{String, ToString};
use core::net::IpAddr;
use keepstate_packet::{Address, Family, sctp, tcp};

/// A line of a document: its frame, or elements.
pub(super) fn entry(line: &str, contents: &mut Contents) -> Result<(), ReadError> {
    let frame = ["<?xml", "<conntrack>", "</conntrack>", "<expect>", "</expect>"];
    if frame.iter().any(|start| line.starts_with(start)) && !line.contains("<flow") {
        return Ok(());
    }
    let mut rest = line;
    while let Some(start) = rest.find("<flow") {
        let element = rest.get(start..).unwrap_or("");
        let end = element.find("</flow>").ok_or(ReadError::Missing("</flow>"))?;
        let (element, after) = element.split_at(end);
        if element.contains("<expected>") {
            contents.expected.push(expectation_xml(element)?);
        } else {
            contents.flows.push(flow_xml(element)?);
        }
        if contents.flows.len() > ENTRIES_MAX || contents.expected.len() > ENTRIES_MAX {
            return Err(ReadError::TooMany);
        }
        rest = after;
    }
    Ok(())
}

/// What stands between `<name>` (or `<name attributes>`) and `</name>`, the first time.
fn inner<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let at = rest.find('<')?;
        rest = rest.get(at + 1..)?;
        let Some(after) = rest.strip_prefix(name) else { continue };
        if !after.starts_with(['>', ' ']) {
            continue;
        }
        let (_, body) = after.split_once('>')?;
        let close = alloc::format!("</{name}>");
        return body.split_once(close.as_str()).map(|(inner, _)| inner);
    }
}

/// An attribute of the first element of this name.
fn attribute<'a>(text: &'a str, element: &str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&*alloc::format!("<{element} "))?;
    let (tag, _) = rest.split_once('>')?;
    let (_, value) = tag.split_once(&*alloc::format!("{name}=\""))?;
    value.split_once('"').map(|(value, _)| value)
}

/// Reads a `<flow>` element of connections.
///
/// # Errors
/// [`ReadError`] when it is none.
pub fn flow_xml(element: &str) -> Result<Flow, ReadError> {
    let mut metas = element.split("<meta direction=\"").skip(1);
    let mut meta = |name: &'static str| {
        let text = metas.next().filter(|meta| meta.starts_with(name));
        text.ok_or(ReadError::Missing("a direction"))
    };
    let (original, reply, rest) = (meta("original")?, meta("reply")?, meta("independent")?);
    let protocol = attribute(original, "layer4", "protonum");
    let protocol = protocol.ok_or(ReadError::Missing("layer4"))?;
    let protocol: u8 = number("protonum", protocol)?;
    let mut family = None;
    let mut flow = Flow {
        protocol: Some(protocol),
        original: half(original, &mut family)?,
        reply: half(reply, &mut family)?,
        counters: [counters(original)?, counters(reply)?],
        zone_of: [value(original, "zone")?, value(reply, "zone")?],
        timeout: value(rest, "timeout")?,
        mark: value(rest, "mark")?,
        secmark: value(rest, "secmark")?,
        secctx: word(rest, "secctx")?,
        zone: value(rest, "zone")?,
        uses: value(rest, "use")?,
        id: value(rest, "id")?,
        age: value(rest, "deltatime")?,
        started: value(rest, "start")?,
        stopped: value(rest, "stop")?,
        helper: word(rest, "helper")?,
        ..Flow::default()
    };
    flow.family = family;
    if let Some(name) = inner(rest, "state") {
        flow.info = state(protocol, name)?;
    }
    let bit = |tag, status| if rest.contains(tag) { status } else { CtStatus(0) };
    let replied = if rest.contains("<unreplied/>") { CtStatus(0) } else { CtStatus::SEEN_REPLY };
    let assured = bit("<assured/>", CtStatus::ASSURED);
    flow.status = Some(CtStatus::CONFIRMED | replied | assured);
    Ok(flow)
}

/// SCTP's states go by the names of TCP's.
fn state(protocol: u8, name: &str) -> Result<ProtocolInfo, ReadError> {
    let wrong = || ReadError::wrong("state", name);
    if protocol == sctp::PROTOCOL {
        let state = states(tcp::PROTOCOL).iter().position(|known| *known == name);
        let state = Some(state.ok_or_else(wrong)? as u8);
        return Ok(ProtocolInfo::Sctp { state, vtags: [None; 2] });
    }
    ProtocolInfo::in_state(protocol, name).ok_or_else(wrong)
}

fn value<T: TryFrom<u64>>(text: &str, name: &str) -> Result<Option<T>, ReadError> {
    inner(text, name).map(|value| number(name, value)).transpose()
}

/// A name: one word.
fn word(text: &str, name: &str) -> Result<Option<String>, ReadError> {
    let Some(word) = inner(text, name) else { return Ok(None) };
    if word.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(ReadError::wrong(name, word));
    }
    Ok(Some(word.to_string()))
}

fn counters(meta: &str) -> Result<Option<(u64, u64)>, ReadError> {
    let (packets, bytes) = (value(meta, "packets")?, value(meta, "bytes")?);
    Ok(packets.zip(bytes))
}

fn addresses(text: &str, family: &mut Option<Family>) -> Result<Half, ReadError> {
    let mut address = |name: &'static str| {
        let text = inner(text, name).ok_or(ReadError::Missing("an address"))?;
        let ip: IpAddr = text.parse().map_err(|_| ReadError::wrong(name, text))?;
        let of = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        if *family.get_or_insert(of) != of {
            return Err(ReadError::wrong(name, text));
        }
        Ok(Address::from(ip))
    };
    let (source, destination) = (Some(address("src")?), Some(address("dst")?));
    Ok(Half { source, destination, ..Half::default() })
}

fn ports(text: &str) -> Result<Half, ReadError> {
    let either = |one, other| Ok(value(text, one)?.or(value(text, other)?));
    Ok(Half {
        source_port: either("sport", "srckey")?,
        destination_port: either("dport", "dstkey")?,
        ..Half::default()
    })
}

fn half(meta: &str, family: &mut Option<Family>) -> Result<Half, ReadError> {
    let Half { source, destination, .. } = addresses(meta, family)?;
    let layer4 = inner(meta, "layer4").unwrap_or("");
    Ok(Half { source, destination, ..ports(layer4)? })
}

/// Reads a `<flow>` element of expectations.
///
/// # Errors
/// [`ReadError`] when it is none.
pub fn expectation_xml(element: &str) -> Result<Expected, ReadError> {
    let layer3 = inner(element, "layer3").ok_or(ReadError::Missing("layer3"))?;
    let layer4 = inner(element, "layer4").unwrap_or("");
    let protocol = attribute(element, "layer4", "protonum");
    let protocol = protocol.ok_or(ReadError::Missing("layer4"))?;
    let mut family = None;
    let mut part = |name| -> Result<Half, ReadError> {
        let text = inner(layer3, name).ok_or(ReadError::Missing("addresses"))?;
        let Half { source, destination, .. } = addresses(text, &mut family)?;
        Ok(Half { source, destination, ..ports(inner(layer4, name).unwrap_or(""))? })
    };
    let (tuple, mask, master) = (part("expected")?, part("mask")?, part("master")?);
    let meta = inner(element, "meta").unwrap_or("");
    let flag = |tag, bit| if meta.contains(tag) { bit } else { 0 };
    Ok(Expected {
        family,
        protocol: Some(number("protonum", protocol)?),
        tuple,
        mask,
        master_protocol: Some(tcp::PROTOCOL),
        master,
        timeout: value(meta, "timeout")?,
        flags: flag("<permanent/>", Announcement::PERMANENT)
            | flag("<inactive/>", Announcement::INACTIVE)
            | flag("<userspace/>", Announcement::USERSPACE),
        class: value(meta, "class")?.unwrap_or(0),
        helper: word(meta, "helper-name")?,
        zone: value(meta, "zone")?,
        id: None,
    })
}
