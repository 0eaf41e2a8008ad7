//! A bump in the wire: what comes in on one of two devices leaves by the other, if the filter lets
//! it. Neither needs an address.
//!
//! Frames that hold no IP (ARP and the like) pass untouched, and so does IPv6 neighbour discovery,
//! which is its ARP: a wire that kept neighbours from finding each other would be cut.
//!
//! A frame from a local sender may have an unfinished checksum, and may be a packet of up to 64
//! KiB that a device was to cut into segments. Such checksums are finished for the walk, so that
//! tracking can check them, and put back before the frame leaves: it leaves as it came, and what
//! was left to a device is still left to one.

use crate::{
    batch::{Arrival, Batch, Content},
    clock::SystemClock,
    offload,
    run::{Datapath, Outgoing, Received},
    sys::{
        packet::{self, Frame, OFFLOAD_LENGTH, Room, Socket},
        signal,
    },
};
use keepstate_engine::{Engine, InterfaceIndex};
use keepstate_packet::{InterfaceName, L4, Parsed, link::LinkType};
use std::{io, time::Duration};

/// Bytes of each device's receive queue.
const QUEUE: i32 = 16 << 20;

/// Longest wait for a packet, in milliseconds: how late a timeout can be, or the end.
const WAIT_MILLISECONDS: i32 = 100;

/// Two devices.
#[derive(Debug)]
pub struct Wire {
    sockets: [Socket; 2],
    room: Room,
    clock: SystemClock,
    duration: Option<Duration>,
    /// Room for one frame that gets its VLAN tag back.
    frame: Vec<u8>,
    /// Frames of packets that the filter made, one for each thing to send.
    answers: Vec<Vec<u8>>,
    /// Frames that the devices did not take.
    pub unsent_count: u64,
}

impl Wire {
    /// Opens the devices, which are interfaces 0 and 1 of the engine's host. Ends after
    /// `duration`, or when a signal asks for it ([`signal::catch_end`]).
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` when a device is not there.
    pub fn open(devices: [InterfaceName; 2], duration: Option<Duration>) -> io::Result<Self> {
        let open = |device: InterfaceName| {
            Socket::open(device.as_str(), QUEUE)
                .map_err(|error| io::Error::new(error.kind(), format!("{device}: {error}")))
        };
        Ok(Self {
            sockets: [open(devices[0])?, open(devices[1])?],
            room: Room::new(),
            clock: SystemClock::start(),
            duration,
            frame: Vec::new(),
            answers: Vec::new(),
            unsent_count: 0,
        })
    }

    /// Frames that came in and those lost because a queue was full, per device, since the last
    /// call.
    #[must_use]
    pub fn statistics(&self) -> [(u32, u32); 2] {
        [&self.sockets[0], &self.sockets[1]].map(|socket| socket.statistics().unwrap_or_default())
    }

    /// Takes what is there.
    fn take(&mut self, engine: &Engine, batch: &mut Batch) -> io::Result<()> {
        let checks = engine.conntrack().sysctls().checksum;
        for (index, socket) in self.sockets.iter().enumerate() {
            let room = (crate::batch::BATCH_MAX - batch.slots().len()).min(packet::FRAMES_MAX);
            match socket.receive(&mut self.room, room) {
                Ok(0) => continue,
                Ok(_) => {}
                // The device is down: it may come up again.
                Err(error) if error.kind() == io::ErrorKind::NetworkDown => continue,
                Err(error) => return Err(error),
            }
            let now = self.clock.now();
            for (received, bytes) in self.room.frames() {
                let (bytes, offload) = match received.vlan {
                    None => (bytes, received.offload),
                    Some(tag) => tagged(&mut self.frame, bytes, tag, received.offload),
                };
                let length = bytes.len() as u32;
                batch.push(&Arrival {
                    time: now,
                    stamp: now,
                    interface: Some(InterfaceIndex(index as u16)),
                    link_type: LinkType::ETHERNET,
                    original_length: length,
                    content: content(bytes),
                    offload: Some(offload),
                    bytes,
                });
                if checks {
                    offload::finish_last(batch, offload);
                }
            }
        }
        Ok(())
    }
}

impl Datapath for Wire {
    fn receive(&mut self, engine: &mut Engine, batch: &mut Batch) -> io::Result<Received> {
        if signal::end_asked() || self.duration.is_some_and(|end| self.clock.elapsed() >= end) {
            return Ok(Received::End);
        }
        self.take(engine, batch)?;
        if batch.slots().is_empty() {
            packet::wait(&self.sockets, WAIT_MILLISECONDS)?;
            self.take(engine, batch)?;
        }
        Ok(match batch.slots().is_empty() {
            true => Received::Idle(self.clock.now()),
            false => Received::Frames,
        })
    }

    fn send(
        &mut self,
        _engine: &mut Engine,
        batch: &mut Batch,
        outgoing: &[Outgoing],
    ) -> io::Result<()> {
        for outgoing in outgoing {
            if let Outgoing::Packet { slot, .. } = outgoing {
                batch.unfinish(*slot);
            }
        }
        let batch = &*batch;
        self.answers.clear();
        self.answers.extend(outgoing.iter().map(|outgoing| answer(batch, outgoing)));
        for (device, socket) in self.sockets.iter().enumerate() {
            let mut frames =
                [Frame { offload: [0; OFFLOAD_LENGTH], bytes: &[] }; packet::FRAMES_MAX];
            let mut count = 0;
            for (outgoing, answer) in outgoing.iter().zip(&self.answers) {
                let Some(frame) = frame(batch, outgoing, answer, device) else { continue };
                frames[count] = frame;
                count += 1;
                if count == frames.len() {
                    self.unsent_count += (count - socket.send(&frames)) as u64;
                    count = 0;
                }
            }
            self.unsent_count += (count - socket.send(&frames[..count])) as u64;
        }
        Ok(())
    }
}

/// The frame that `outgoing` is, if it leaves by this device.
fn frame<'a>(
    batch: &'a Batch,
    outgoing: &Outgoing,
    answer: &'a [u8],
    device: usize,
) -> Option<Frame<'a>> {
    let leaves = |interface: InterfaceIndex| usize::from(interface.0) == device;
    match outgoing {
        Outgoing::Packet { slot, interface, .. } if leaves(*interface) => {
            let slot = batch.slots().get(*slot)?;
            Some(Frame { offload: slot.offload.unwrap_or_default(), bytes: batch.frame(slot) })
        }
        Outgoing::Other { slot } => {
            let slot = batch.slots().get(*slot)?;
            let came_in = slot.interface?;
            (!leaves(came_in)).then(|| Frame {
                offload: slot.offload.unwrap_or_default(),
                bytes: batch.frame(slot),
            })
        }
        Outgoing::Answer { transmit, .. } if leaves(transmit.interface) => {
            Some(Frame { offload: [0; OFFLOAD_LENGTH], bytes: answer })
        }
        Outgoing::Packet { .. } | Outgoing::Delivered { .. } | Outgoing::Answer { .. } => None,
    }
}

/// The frame of a packet that the filter made: the link header of the frame it answers, its
/// hardware addresses exchanged. Empty for anything else.
fn answer(batch: &Batch, outgoing: &Outgoing) -> Vec<u8> {
    let Outgoing::Answer { slot, transmit } = outgoing else { return Vec::new() };
    let Some(slot) = batch.slots().get(*slot) else { return Vec::new() };
    let mut frame = batch.link_header(slot).to_vec();
    if let Some((destination, rest)) = frame.split_first_chunk_mut::<6>()
        && let Some((source, _)) = rest.split_first_chunk_mut::<6>()
        && slot.interface == Some(transmit.interface)
    {
        std::mem::swap(destination, source);
    }
    frame.extend_from_slice(&transmit.bytes);
    frame
}

/// What a frame holds for the filter.
fn content(bytes: &[u8]) -> Content {
    let content = Content::of(LinkType::ETHERNET, bytes, bytes.len() as u32);
    let Content::Ip { offset, .. } = content else { return content };
    match bytes.get(offset as usize..).map(Parsed::new) {
        Some(Ok(parsed)) if is_neighbour_discovery(&parsed) => Content::NeighbourDiscovery,
        _ => content,
    }
}

/// RFC 4861: solicitations and advertisements of routers and neighbours, redirects; a hop limit of
/// 255 shows that no router has passed them on.
fn is_neighbour_discovery(packet: &Parsed) -> bool {
    matches!(packet.l4, L4::Icmpv6(icmp) if (133..=137).contains(&icmp.kind)) && packet.ttl == 255
}

/// The frame with its VLAN tag where it was, built in `room`.
fn tagged<'a>(
    room: &'a mut Vec<u8>,
    bytes: &[u8],
    (protocol, tag): (u16, u16),
    mut offload: [u8; OFFLOAD_LENGTH],
) -> (&'a [u8], [u8; OFFLOAD_LENGTH]) {
    const ADDRESSES: usize = 12;
    const TAG: u16 = 4;
    let (addresses, rest) = bytes.split_at(bytes.len().min(ADDRESSES));
    room.clear();
    room.extend_from_slice(addresses);
    room.extend_from_slice(&protocol.to_be_bytes());
    room.extend_from_slice(&tag.to_be_bytes());
    room.extend_from_slice(rest);
    // Where the checksum begins, and how long the headers are, counts from the frame's start.
    for at in [2, 6] {
        let field = u16::from_ne_bytes([offload[at], offload[at + 1]]);
        if field > 0 {
            [offload[at], offload[at + 1]] = (field + TAG).to_ne_bytes();
        }
    }
    (room, offload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_tag_goes_back_to_its_place() {
        let mut offload = [0; OFFLOAD_LENGTH];
        offload[0] = offload::NEEDS_CHECKSUM;
        [offload[6], offload[7]] = 34_u16.to_ne_bytes();
        let frame: Vec<u8> = (0..20).collect();
        let mut room = Vec::new();
        let (bytes, moved) = tagged(&mut room, &frame, (0x8100, 0x2005), offload);
        assert_eq!(bytes[..12], frame[..12]);
        assert_eq!(bytes[12..16], [0x81, 0, 0x20, 5]);
        assert_eq!(bytes[16..], frame[12..]);
        assert_eq!(u16::from_ne_bytes([moved[6], moved[7]]), 38);
        assert_eq!(moved[2..6], [0; 4]);
    }

    #[test]
    fn neighbour_discovery_is_known_by_its_hop_limit() {
        let mut frame = vec![0; 14 + 40 + 24];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame[14] = 0x60;
        frame[14 + 5] = 24;
        frame[14 + 6] = 58;
        frame[14 + 7] = 255;
        frame[14 + 40] = 135;
        assert_eq!(content(&frame), Content::NeighbourDiscovery);
        frame[14 + 7] = 254;
        assert!(matches!(content(&frame), Content::Ip { .. }));
        frame[14 + 7] = 255;
        frame[14 + 40] = 128;
        assert!(matches!(content(&frame), Content::Ip { .. }));
        assert!(matches!(content(&frame[..13]), Content::Other(_)));
    }
}
