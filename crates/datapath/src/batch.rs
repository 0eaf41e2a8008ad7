//! Packets on their way through the loop, up to [`BATCH_MAX`] at a time, in one buffer that is
//! used again for every batch.

use crate::offload;
use keepstate_engine::{InterfaceIndex, Packet};
use keepstate_packet::{
    Family, Instant, LinkInfo, PacketType,
    link::{self, LinkType, Skipped},
};
use std::ops::Range;

/// Most packets in a batch.
pub const BATCH_MAX: usize = 64;

/// One frame of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// When it is handled.
    pub time: Instant,
    /// When it was seen, which a frozen clock does not follow.
    pub stamp: Instant,
    /// Where it came in; `None`: the host itself sent it.
    pub interface: Option<InterfaceIndex>,
    /// Link type of the frame.
    pub link_type: LinkType,
    /// Length on the wire in bytes.
    pub original_length: u32,
    /// What it holds.
    pub content: Content,
    /// The kernel's `struct virtio_net_hdr`, for a frame from a device: what is left to do for its
    /// checksum and its segmentation.
    pub offload: Option<[u8; 10]>,
    /// What stood in its checksum field, when it was unfinished and has been finished for the walk.
    pub unfinished: Option<Unfinished>,
    start: u32,
    end: u32,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// An IP packet.
    Ip {
        /// Bytes of the frame before the IP header.
        offset: u32,
        /// Bytes of the frame from the IP header on, link-layer padding included.
        length: u32,
        /// Family that the link layer names.
        family: Family,
        /// What the link layer says of it.
        link: LinkInfo,
    },
    /// IPv6 neighbour discovery, which a bump in the wire passes on.
    NeighbourDiscovery,
    /// Nothing for the filter.
    Other(Skipped),
}

/// A checksum that a sender had left to its network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Bytes of the frame before what it covers.
    pub start: u32,
    /// Bytes from there to its field.
    pub field: u32,
    /// What the field held.
    pub before: [u8; 2],
}

impl Content {
    /// What a frame holds of which `bytes` were captured, and which had `original_length` bytes on
    /// the wire.
    #[inline]
    #[must_use]
    pub fn of(link_type: LinkType, bytes: &[u8], original_length: u32) -> Self {
        let packet = match link::network_packet(link_type, bytes) {
            Ok(packet) => packet,
            Err(skipped) => return Self::Other(skipped),
        };
        match packet.cut_short(bytes.len() as u32, original_length) {
            Some(skipped) => Self::Other(skipped),
            None => Self::Ip {
                offset: packet.offset as u32,
                length: packet.bytes.len() as u32,
                family: packet.family,
                link: packet.link,
            },
        }
    }
}

/// A frame and where it goes into a batch.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When it is handled.
    pub time: Instant,
    /// When it was seen.
    pub stamp: Instant,
    /// Where it came in.
    pub interface: Option<InterfaceIndex>,
    /// Link type of the frame.
    pub link_type: LinkType,
    /// Length on the wire in bytes.
    pub original_length: u32,
    /// What it holds.
    pub content: Content,
    /// See [`Slot::offload`].
    pub offload: Option<[u8; 10]>,
    /// The frame.
    pub bytes: &'a [u8],
}

/// A batch.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Vec::new(), slots: Vec::with_capacity(BATCH_MAX) }
    }

    /// Forgets its frames.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
    }

    /// Whether there is no room for a further frame.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slots.len() >= BATCH_MAX
    }

    /// The frames.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Adds a frame; one beyond [`BATCH_MAX`] is not taken.
    pub fn push(&mut self, arrival: &Arrival<'_>) -> Option<&mut Slot> {
        if self.is_full() {
            return None;
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(arrival.bytes);
        self.slots.push(Slot {
            time: arrival.time,
            stamp: arrival.stamp,
            interface: arrival.interface,
            link_type: arrival.link_type,
            original_length: arrival.original_length,
            content: arrival.content,
            offload: arrival.offload,
            unfinished: None,
            start,
            end: self.bytes.len() as u32,
        });
        self.slots.last_mut()
    }

    /// The bytes of a frame, link header included.
    #[must_use]
    pub fn frame(&self, slot: &Slot) -> &[u8] {
        self.bytes.get(slot.start as usize..slot.end as usize).unwrap_or(&[])
    }

    /// The link header of a frame that holds an IP packet; else all of it.
    #[must_use]
    pub fn link_header(&self, slot: &Slot) -> &[u8] {
        let frame = self.frame(slot);
        match slot.content {
            Content::Ip { offset, .. } => frame.get(..offset as usize).unwrap_or(frame),
            Content::NeighbourDiscovery | Content::Other(_) => frame,
        }
    }

    /// A frame from its IP header on; empty when it holds none.
    #[must_use]
    pub fn packet(&self, slot: &Slot) -> &[u8] {
        self.bytes.get(slot.packet()).unwrap_or(&[])
    }

    /// The last frame from its IP header on, and its slot, to be changed.
    pub(crate) fn last_packet_mut(&mut self) -> Option<(&mut Slot, &mut [u8])> {
        let slot = self.slots.last_mut()?;
        let bytes = self.bytes.get_mut(slot.packet())?;
        Some((slot, bytes))
    }

    /// Has the checksum of the last frame finished by `finish`, which gets the frame.
    pub(crate) fn finish_last(&mut self, finish: impl FnOnce(&mut [u8]) -> Option<Unfinished>) {
        if let Some(slot) = self.slots.last_mut()
            && let Some(frame) = self.bytes.get_mut(slot.start as usize..slot.end as usize)
        {
            slot.unfinished = finish(frame);
        }
    }

    /// Leaves the checksum of frame number `index` unfinished again: its field holds the sum of the
    /// pseudo-header, of the addresses that the packet has now.
    pub(crate) fn unfinish(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(unfinished) = slot.unfinished.take() else { return };
        let packet = slot.packet();
        let Some(frame) = self.bytes.get_mut(slot.start as usize..slot.end as usize) else {
            return;
        };
        let at = packet.start - slot.start as usize;
        let (start, field) = (unfinished.start as usize, unfinished.field as usize);
        let sum = offload::pseudo_header(frame.get(at..).unwrap_or(&[]), start.wrapping_sub(at));
        offload::restore(frame, start, field, sum.unwrap_or(unfinished.before));
    }

    /// Frame number `index`, to be changed.
    pub(crate) fn frame_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let slot = self.slots.get(index)?;
        self.bytes.get_mut(slot.start as usize..slot.end as usize)
    }

    /// Frame number `index`, as the engine takes it.
    pub fn engine_packet(&mut self, index: usize) -> Option<(Instant, Packet<'_>)> {
        let slot = self.slots.get(index)?;
        let bytes = self.bytes.get_mut(slot.packet())?;
        Some((slot.time, slot.engine_packet(bytes)?))
    }

    /// Frames number `first` to `end`, all of them IP, as the engine takes them; the rest of the
    /// array is empty packets.
    pub(crate) fn engine_packets(&mut self, first: usize, end: usize) -> [Packet<'_>; BATCH_MAX] {
        let mut slots = self.slots.get(first..end).unwrap_or(&[]).iter();
        let mut rest = self.bytes.as_mut_slice();
        let mut at = 0;
        std::array::from_fn(|_| {
            let Some(slot) = slots.next() else { return empty_packet(&mut []) };
            let packet = slot.packet();
            let bytes = rest.split_off_mut(..packet.end - at).unwrap_or(&mut []);
            let bytes = bytes.get_mut(packet.start - at..).unwrap_or(&mut []);
            at = packet.end;
            slot.engine_packet(bytes).unwrap_or_else(|| empty_packet(&mut []))
        })
    }
}

const fn empty_packet(bytes: &mut [u8]) -> Packet<'_> {
    let packet_type = PacketType::Unicast;
    let link = LinkInfo { source: None, destination: None, packet_type, segment: 0 };
    Packet { bytes, interface: None, family: None, link, mark: 0 }
}

impl Slot {
    fn engine_packet<'a>(&self, bytes: &'a mut [u8]) -> Option<Packet<'a>> {
        let Content::Ip { family, link, .. } = self.content else { return None };
        Some(Packet { bytes, interface: self.interface, family: Some(family), link, mark: 0 })
    }

    /// Where its packet lies in the buffer.
    fn packet(&self) -> Range<usize> {
        match self.content {
            Content::Ip { offset, length, .. } => {
                let start = self.start as usize + offset as usize;
                start..start + length as usize
            }
            Content::NeighbourDiscovery | Content::Other(_) => {
                self.start as usize..self.start as usize
            }
        }
    }
}
