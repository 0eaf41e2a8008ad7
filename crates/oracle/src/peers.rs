//! Peers that go by what they have seen: where SYNPROXY answers in the place of a server, its number is
//! not the one that the conversation was written with, and what the client acknowledges from then on
//! is counted from there. The kernel's answer decides for both routers.

use crate::fuzz::Step;
use crate::observation::Sent;
use keepstate_packet::tcp::{self, TcpOption, TcpOptions};
use keepstate_packet::{L4, Parsed, rewrite};
use keepstate_ruleset::targets::synproxy::cookies::{Ends, Foretold};
use std::collections::BTreeMap;

/// The peers of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// By the client's view of each connection: the places and numbers of the SYN/ACKs that were written
    /// for its server.
    written: BTreeMap<Ends, Vec<(usize, u32)>>,
    /// What each client has been answered with.
    heard: BTreeMap<Ends, Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    /// What is added to the numbers that the client acknowledges.
    by: u32,
    /// The time it was answered with.
    stamp: Option<u32>,
    /// What is added to the times that it echoes, once it has echoed one.
    clock: Option<u32>,
}

impl Peers {
    /// The peers of these packets, under these rules.
    pub(crate) fn new(steps: &[Step], rules: &[String; 2]) -> Self {
        let mut peers = Self::default();
        if !rules.iter().any(|rules| rules.contains("-j SYNPROXY")) {
            return peers;
        }
        for (at, step) in steps.iter().enumerate() {
            let Step::Packet { bytes, .. } = step else { continue };
            if let Some((ends, number, _)) = syn_ack(bytes) {
                peers.written.entry(ends).or_default().push((at, number));
            }
        }
        peers
    }

    /// A packet as its sender would send it after what it has heard; `None` for no other than was
    /// written.
    pub(crate) fn adapted(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.heard.is_empty() {
            return None;
        }
        let mut parsed = Parsed::new(bytes).ok()?;
        let L4::Tcp(header) = parsed.l4 else { return None };
        let heard = self.heard.get_mut(&ends(&parsed, &header, false))?;
        if header.flags & tcp::ACK == 0 {
            return None;
        }
        let mut bytes = bytes.to_vec();
        let by = heard.by;
        acknowledge(&mut parsed, &mut bytes, |number| number.wrapping_add(by));
        let (end, mut at) = (usize::from(header.header_length), tcp::HEADER_LENGTH_MIN);
        while let Some((kind, length)) = option(&parsed, &bytes, at, end) {
            if (kind, length) == (8, 10)
                && let Some(stamp) = heard.stamp
            {
                let echo = word(&parsed, &bytes, at + 6);
                let clock = *heard.clock.get_or_insert_with(|| stamp.wrapping_sub(echo));
                put_word(&mut parsed, &mut bytes, at + 6, echo.wrapping_add(clock));
            }
            at += length;
        }
        Some(bytes)
    }

    /// Takes note of what a router has sent in answer to packet `at`.
    pub(crate) fn hear(&mut self, at: usize, generated: &[Sent]) {
        if self.written.is_empty() {
            return;
        }
        for (ends, cookie, stamp) in generated.iter().filter_map(|sent| syn_ack(&sent.bytes)) {
            let written = self.written.get(&ends).map_or(&[][..], Vec::as_slice);
            let next = written.iter().find(|(place, _)| *place > at).or(written.last());
            if let Some((_, number)) = next {
                let by = cookie.wrapping_sub(*number);
                self.heard.insert(ends, Heard { by, stamp, clock: None });
            }
        }
    }
}

/// Has a segment acknowledge other numbers than it does, in the blocks of SACK options too.
pub(crate) fn acknowledge(parsed: &mut Parsed, bytes: &mut [u8], other: impl Fn(u32) -> u32) {
    let L4::Tcp(header) = parsed.l4 else { return };
    if header.flags & tcp::ACK == 0 {
        return;
    }
    put_word(parsed, bytes, 8, other(header.acknowledgment));
    let (end, mut at) = (usize::from(header.header_length), tcp::HEADER_LENGTH_MIN);
    while let Some((kind, length)) = option(parsed, bytes, at, end) {
        if kind == 5 {
            for edge in (at + 2..at + length).step_by(4).filter(|edge| edge + 4 <= at + length) {
                let number = word(parsed, bytes, edge);
                put_word(parsed, bytes, edge, other(number));
            }
        }
        at += length;
    }
}

/// Kind and length of the option at a place of a header that ends there; none behind the last one that
/// can be read.
fn option(parsed: &Parsed, bytes: &[u8], at: usize, end: usize) -> Option<(u8, usize)> {
    match parsed.l4_bytes(bytes).get(at..end)? {
        [0, ..] | [] => None,
        [1, ..] => Some((1, 1)),
        [kind, length, rest @ ..] => {
            let length = usize::from(*length);
            (2..=rest.len() + 2).contains(&length).then_some((*kind, length))
        }
        [_] => None,
    }
}

fn word(parsed: &Parsed, bytes: &[u8], at: usize) -> u32 {
    let found = parsed.l4_bytes(bytes).get(at..).and_then(<[u8]>::first_chunk);
    found.copied().map_or(0, u32::from_be_bytes)
}

fn put_word(parsed: &mut Parsed, bytes: &mut [u8], at: usize, value: u32) {
    rewrite::set_l4_bytes(parsed, bytes, at, &value.to_be_bytes());
}

/// What the kernel has drawn for a SYN/ACK of its own, of which this is the beginning.
pub(crate) fn drawn(head: &[u8]) -> Option<Foretold> {
    let length = match head.first()? >> 4 {
        4 => usize::from(*head.get(3)?),
        _ => 40 + usize::from(*head.get(5)?),
    };
    let (_, cookie, stamp) = syn_ack(head.get(..length)?)?;
    Some(Foretold { cookie, stamp })
}

/// The time of a segment and the one that it echoes.
fn stamps(packet: &Parsed, bytes: &[u8]) -> Option<(u32, u32)> {
    TcpOptions::of(packet, bytes).find_map(|option| match option {
        TcpOption::Timestamps { value, echo } => Some((value, echo)),
        _ => None,
    })
}

/// A SYN/ACK: the client's view of the connection, number and time.
fn syn_ack(bytes: &[u8]) -> Option<(Ends, u32, Option<u32>)> {
    let parsed = Parsed::new(bytes).ok()?;
    let L4::Tcp(header) = &parsed.l4 else { return None };
    let both = tcp::SYN | tcp::ACK;
    if header.flags & (both | tcp::RST | tcp::FIN) != both {
        return None;
    }
    let stamp = stamps(&parsed, bytes).map(|(value, _)| value);
    Some((ends(&parsed, header, true), header.sequence, stamp))
}

fn ends(packet: &Parsed, header: &tcp::TcpHeader, reversed: bool) -> Ends {
    let (own, other) =
        ((packet.source, header.source_port), (packet.destination, header.destination_port));
    let ((source, source_port), (destination, destination_port)) =
        if reversed { (other, own) } else { (own, other) };
    Ends { family: packet.family, source, destination, source_port, destination_port }
}
