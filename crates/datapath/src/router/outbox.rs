//! Frames on their way out: which link, which bytes, in order.

use super::links::{Hardware, Links};
use crate::batch::Batch;
use crate::sys::packet::{FRAMES_MAX, Frame, OFFLOAD_LENGTH};
use keepstate_engine::InterfaceIndex;
use keepstate_packet::ethernet::{self, HEADER_LENGTH};
use std::ops::Range;

/// Bytes of frames beside those of a batch that are gathered before they are sent.
const ROOM: usize = 1 << 18;

/// What is to leave by a link.
#[derive(Clone, Debug)]
struct Departure {
    link: u16,
    offload: [u8; OFFLOAD_LENGTH],
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    /// The first bytes of a frame of the batch.
    OfBatch { slot: usize, length: usize },
    /// In [`Outbox::frames`].
    Made(Range<usize>),
}

/// What is to leave.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    departures: Vec<Departure>,
    frames: Vec<u8>,
    /// Frames that a link did not take.
    pub(super) unsent_count: u64,
}

impl Outbox {
    /// A frame of the batch, its header written; `length` bytes of it.
    pub(super) fn push_slot(
        &mut self,
        link: InterfaceIndex,
        (slot, length): (usize, usize),
        offload: [u8; OFFLOAD_LENGTH],
    ) {
        let bytes = Bytes::OfBatch { slot, length };
        self.departures.push(Departure { link: link.0, offload, bytes });
    }

    /// A packet, from the IP header on, from one station to another.
    pub(super) fn push_packet(
        &mut self,
        link: InterfaceIndex,
        (own, to): (Hardware, Hardware),
        packet: &[u8],
        offload: [u8; OFFLOAD_LENGTH],
    ) {
        let start = self.frames.len();
        self.frames.extend_from_slice(&header(own, to, packet));
        self.frames.extend_from_slice(packet);
        let bytes = Bytes::Made(start..self.frames.len());
        self.departures.push(Departure { link: link.0, offload, bytes });
    }

    /// A whole frame.
    pub(super) fn push_frame(&mut self, link: InterfaceIndex, frame: &[u8]) {
        let start = self.frames.len();
        self.frames.extend_from_slice(frame);
        let bytes = Bytes::Made(start..self.frames.len());
        let offload = [0; OFFLOAD_LENGTH];
        self.departures.push(Departure { link: link.0, offload, bytes });
    }

    /// Whether it holds so much that it should be sent.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() > ROOM
    }

    /// Sends all, link by link.
    pub(super) fn send<L: Links>(&mut self, links: &mut L, batch: &Batch) {
        if self.departures.is_empty() {
            return;
        }
        for link in 0..links.count() {
            let mut frames = [Frame { offload: [0; OFFLOAD_LENGTH], bytes: &[] }; FRAMES_MAX];
            let mut count = 0;
            for departure in &self.departures {
                if usize::from(departure.link) != link {
                    continue;
                }
                let bytes = match &departure.bytes {
                    Bytes::Made(range) => self.frames.get(range.clone()).unwrap_or(&[]),
                    Bytes::OfBatch { slot, length } => {
                        let frame = batch.slots().get(*slot).map_or(&[][..], |s| batch.frame(s));
                        frame.get(..*length).unwrap_or(frame)
                    }
                };
                frames[count] = Frame { offload: departure.offload, bytes };
                count += 1;
                if count == frames.len() {
                    self.unsent_count += (count - links.send(link, &frames)) as u64;
                    count = 0;
                }
            }
            if count > 0 {
                self.unsent_count += (count - links.send(link, &frames[..count])) as u64;
            }
        }
        self.departures.clear();
        self.frames.clear();
    }
}

/// The Ethernet header of a packet.
#[inline]
pub(super) fn header(own: Hardware, to: Hardware, packet: &[u8]) -> [u8; HEADER_LENGTH] {
    let ethertype = match packet.first().map(|first| first >> 4) {
        Some(6) => ethernet::IPV6,
        _ => ethernet::IPV4,
    };
    let mut header = [0; HEADER_LENGTH];
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&own);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    header
}
