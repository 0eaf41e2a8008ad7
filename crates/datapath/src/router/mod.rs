//! A router between two or more links: frames come in, packets walk through the engine, and leave for
//! the next hop that the host model's routes name, at the Ethernet address that the neighbour table
//! has for it.
//!
//! It answers for its own addresses, and for those of others where it is told to ([`Port::proxied`]):
//! ARP by itself, neighbour discovery as the host that the engine models, whose INPUT and OUTPUT
//! see it. What else is for itself goes no further than INPUT, but echo requests, which the engine
//! answers where the host model says so. With [`Local::Kernel`] this machine's kernel has the
//! addresses and answers; the router then only asks.
//!
//! Frames to other stations, with a VLAN tag, and of other protocols are not taken. A packet for one
//! host that came to all on the link is not forwarded (RFC 1122, 3.3.6). It sends no redirects and no
//! router advertisements, and has no multicast routes.
//!
//! - `links.rs`: the devices; `outbox.rs`: what leaves by them.
//! - `neighbours.rs`: the neighbour table; `hops.rs`: what saves asking it.
//! - `arp.rs`, `discovery.rs`: the words of the two protocols.
//! - `resolve.rs`: who is heard, asked and answered.

pub mod arp;
pub mod discovery;
mod hops;
pub mod links;
pub mod neighbours;
mod outbox;
mod resolve;

pub use links::{Device, Devices, Hardware, Links};

use crate::batch::{Arrival, BATCH_MAX, Batch, Content};
use crate::offload;
use crate::run::{Datapath, Outgoing, Received};
use crate::sys::packet::{FRAMES_MAX, OFFLOAD_LENGTH};
use arp::Heard;
use hops::Hops;
use keepstate_engine::{Command, Engine, InterfaceIndex, Network, Origin, Transmit};
use keepstate_packet::ethernet::{self, EthernetHeader, HEADER_LENGTH};
use keepstate_packet::{Address, Family, Instant, PacketType, link::LinkType};
use links::{Arrived, LinkState};
use neighbours::{Key, Neighbours, Waiting, Whereabouts};
use outbox::Outbox;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// Longest wait for a packet: how late a timeout can be, or the end.
const WAIT: Duration = Duration::from_millis(100);

/// Most packets that came to nothing whose senders are told at once; the others are not told.
pub const REPORTS_MAX: usize = 256;

/// Who answers for the router's own addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Local {
    /// The router.
    #[default]
    Router,
    /// This machine's kernel, which has them too.
    Kernel,
}

/// What the router is on one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Its Ethernet address there.
    pub hardware: Hardware,
    /// Addresses of others that it answers for there.
    pub proxied: Vec<Network>,
}

/// What a router is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// For each interface of the engine's host one.
    pub ports: Vec<Port>,
    /// Who answers for its addresses.
    pub local: Local,
    /// Neighbours that are always there.
    pub neighbours: Vec<(Key, Hardware)>,
    /// Spreads the times at which neighbours are asked again.
    pub seed: u64,
}

/// What a router has seen besides what the engine counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames to other stations, with a tag, or of other protocols.
    pub others: u64,
    /// ARP requests and neighbour solicitations that were answered.
    pub answered: u64,
    /// Questions for neighbours.
    pub asked: u64,
    /// Frames that a link did not take.
    pub unsent: u64,
    /// What the neighbour table has seen.
    pub neighbours: neighbours::Counts,
}

/// A router.
#[derive(Debug)]
pub struct Router<L> {
    links: L,
    ports: Vec<Port>,
    local: Local,
    neighbours: Neighbours,
    hops: Hops,
    outbox: Outbox,
    /// ARP that came in with the frames that are being taken.
    heard: Vec<(InterfaceIndex, Heard)>,
    /// Solicitations for addresses of others that came in with them.
    solicited: Vec<(InterfaceIndex, Vec<u8>)>,
    /// Links that have gone down.
    down: Vec<InterfaceIndex>,
    /// Room for packets that nobody can be told of.
    in_vain: Vec<Waiting>,
    /// Which link is the first to be asked for frames.
    turn: usize,
    counts: Counts,
    has_announced: bool,
}

impl<L: Links> Router<L> {
    /// A router between these links, which are the interfaces of the engine's host, in order.
    #[must_use]
    pub fn new(links: L, config: Config) -> Self {
        let mut neighbours = Neighbours::new(config.seed);
        for (key, hardware) in config.neighbours {
            neighbours.declare(key, hardware);
        }
        Self {
            links,
            ports: config.ports,
            local: config.local,
            neighbours,
            hops: Hops::new(),
            outbox: Outbox::default(),
            heard: Vec::new(),
            solicited: Vec::new(),
            down: Vec::new(),
            in_vain: Vec::new(),
            turn: 0,
            counts: Counts::default(),
            has_announced: false,
        }
    }

    /// Its links.
    #[must_use]
    pub fn links(&self) -> &L {
        &self.links
    }

    /// Its links, to be changed.
    pub fn links_mut(&mut self) -> &mut L {
        &mut self.links
    }

    /// What it has seen.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (unsent, neighbours) = (self.outbox.unsent_count, self.neighbours.counts);
        Counts { unsent, neighbours, ..self.counts }
    }

    /// How many neighbours it knows or asks for.
    #[must_use]
    pub fn neighbour_count(&self) -> usize {
        self.neighbours.len()
    }

    fn hardware(&self, link: InterfaceIndex) -> Hardware {
        self.ports.get(usize::from(link.0)).map_or([0; 6], |port| port.hardware)
    }

    /// Takes what is there, a link at a time, each time another one first.
    fn take(&mut self, batch: &mut Batch) -> io::Result<()> {
        let count = self.links.count();
        let now = self.links.now();
        for number in 0..count {
            let at = (self.turn + number) % count;
            let room = (BATCH_MAX - batch.slots().len()).min(FRAMES_MAX);
            let (Some(port), true) = (self.ports.get(at), room > 0) else { continue };
            let link = InterfaceIndex(at as u16);
            let (heard, solicited) = (&mut self.heard, &mut self.solicited);
            let others = &mut self.counts.others;
            let state = self.links.receive(at, room, |arrived| match sort(port, &arrived) {
                Sorted::Packet => push(batch, now, link, &arrived),
                Sorted::Arp(arp) => heard.push((link, arp)),
                Sorted::Solicitation => solicited.push((link, arrived.bytes.to_vec())),
                Sorted::Other => *others += 1,
            })?;
            if state == LinkState::WentDown {
                self.neighbours.forget(link);
                self.down.push(link);
            }
        }
        self.turn = (self.turn + 1) % count.max(1);
        Ok(())
    }

    /// What is due, and what the engine wants to send that belongs to no batch.
    fn settle(&mut self, engine: &mut Engine) {
        let now = self.links.now();
        for link in self.down.drain(..) {
            // It only counts what it has ended.
            let _ = engine.handle_command(now, Command::Unmasquerade(link, None));
        }
        self.neighbours.expire(now, &mut self.in_vain);
        let mut in_vain = std::mem::take(&mut self.in_vain);
        for packet in in_vain.iter_mut().take(REPORTS_MAX) {
            engine.report_unreachable(now, &mut packet.bytes, packet.came);
        }
        in_vain.clear();
        self.in_vain = in_vain;
        self.answer_heard(engine, now);
        self.speak(engine, now);
    }

    /// Asks for neighbours and sends what the engine wants to send, until there is neither.
    fn speak(&mut self, engine: &mut Engine, now: Instant) {
        loop {
            let questions = self.neighbours.take_questions();
            let is_silent = questions.is_empty();
            for question in questions {
                self.ask(engine, now, question);
            }
            while let Some(transmit) = engine.poll_transmit() {
                self.send_transmit(engine, now, transmit, [0; OFFLOAD_LENGTH]);
            }
            if is_silent {
                return;
            }
        }
    }

    /// Where a packet of this family to this address goes on a link: an Ethernet address, or the place
    /// where it waits for one; `None`: there is no room.
    #[inline]
    fn resolve(
        &mut self,
        engine: &Engine,
        now: Instant,
        link: InterfaceIndex,
        (family, destination): (Family, Address),
    ) -> Option<Whereabouts> {
        if let Some(place) = self.hops.find(link, family, destination)
            && let Some(found) = self.neighbours.at(now, place)
        {
            return Some(found);
        }
        if let Some(group) = group(engine, family, destination) {
            return Some(Whereabouts::Known(group));
        }
        let address = engine.next_hop(family, link, destination);
        let (found, place) = self.neighbours.find(now, Key { interface: link, family, address });
        if found != Whereabouts::Full {
            self.hops.note(link, family, destination, place);
        }
        Some(found)
    }

    /// Sends a frame of the batch on, or has it wait.
    #[inline]
    fn send_slot(
        &mut self,
        engine: &Engine,
        batch: &mut Batch,
        now: Instant,
        (index, link, length): (usize, InterfaceIndex, u32),
    ) {
        batch.unfinish(index);
        let Some(slot) = batch.slots().get(index) else { return };
        let (offload, came) = (slot.offload.unwrap_or_default(), slot.interface);
        let to_all = matches!(&slot.content, Content::Ip { link, .. }
            if link.packet_type != PacketType::Unicast);
        let packet = batch.packet(slot);
        let packet = packet.get(..length as usize).unwrap_or(packet);
        if to_all {
            return;
        }
        let Some(destination) = destination(packet) else { return };
        match self.resolve(engine, now, link, destination) {
            Some(Whereabouts::Known(to)) => {
                let header = outbox::header(self.hardware(link), to, packet);
                if let Some(frame) = batch.frame_mut(index)
                    && let Some(place) = frame.first_chunk_mut()
                {
                    *place = header;
                    self.outbox.push_slot(link, (index, HEADER_LENGTH + length as usize), offload);
                }
            }
            Some(Whereabouts::Asked(place)) => {
                self.neighbours.wait(place, Waiting { bytes: packet.to_vec(), offload, came });
            }
            Some(Whereabouts::Full) | None => {}
        }
    }

    fn send_transmit(
        &mut self,
        engine: &Engine,
        now: Instant,
        transmit: Transmit,
        offload: [u8; OFFLOAD_LENGTH],
    ) {
        let Transmit { origin, interface: link, bytes, .. } = transmit;
        let Some((family, destination)) = destination(&bytes) else { return };
        let destination = match origin {
            Origin::Copied(gateway) => gateway,
            Origin::Made | Origin::Forwarded => destination,
        };
        match self.resolve(engine, now, link, (family, destination)) {
            Some(Whereabouts::Known(to)) => {
                let stations = (self.hardware(link), to);
                self.outbox.push_packet(link, stations, &bytes, offload);
            }
            Some(Whereabouts::Asked(place)) => {
                self.neighbours.wait(place, Waiting { bytes, offload, came: None });
            }
            Some(Whereabouts::Full) | None => {}
        }
    }

    /// Sends a packet that the engine has made of one of the batch.
    fn send_answer(
        &mut self,
        engine: &Engine,
        batch: &Batch,
        now: Instant,
        (slot, mut transmit): (usize, Transmit),
    ) {
        let mut offload = [0; OFFLOAD_LENGTH];
        if let (Origin::Copied(_), Some(slot)) = (transmit.origin, batch.slots().get(slot)) {
            let left = slot.offload.unwrap_or_default();
            if offload::leave_segmented(left, &mut transmit.bytes) {
                offload = left;
            }
        }
        self.send_transmit(engine, now, transmit, offload);
    }

    /// Sends what has waited for a neighbour.
    fn send_waiting(&mut self, link: InterfaceIndex, to: Hardware, waiting: VecDeque<Waiting>) {
        let stations = (self.hardware(link), to);
        for packet in waiting {
            self.outbox.push_packet(link, stations, &packet.bytes, packet.offload);
        }
    }
}

impl<L: Links> Datapath for Router<L> {
    fn receive(&mut self, engine: &mut Engine, batch: &mut Batch) -> io::Result<Received> {
        if self.links.is_over() {
            return Ok(Received::End);
        }
        if !self.has_announced {
            self.has_announced = true;
            self.announce(engine);
        }
        self.take(batch)?;
        self.settle(engine);
        self.outbox.send(&mut self.links, batch);
        if batch.slots().is_empty() {
            let now = self.links.now();
            let due = self.neighbours.deadline().map_or(WAIT, |due| due.since(now));
            self.links.wait(due.min(WAIT))?;
            self.take(batch)?;
            self.settle(engine);
            self.outbox.send(&mut self.links, batch);
        }
        Ok(match batch.slots().is_empty() {
            true => Received::Idle(self.links.now()),
            false => Received::Frames,
        })
    }

    fn send(
        &mut self,
        engine: &mut Engine,
        batch: &mut Batch,
        outgoing: &[Outgoing],
    ) -> io::Result<()> {
        let now = self.links.now();
        for outgoing in outgoing {
            match outgoing {
                Outgoing::Packet { slot, interface, length } => {
                    self.send_slot(engine, batch, now, (*slot, *interface, *length));
                }
                Outgoing::Answer { slot, transmit } => {
                    self.send_answer(engine, batch, now, (*slot, transmit.clone()));
                }
                Outgoing::Delivered { slot } => self.take_delivered(engine, batch, now, *slot),
                Outgoing::Other { .. } => {}
            }
            if self.outbox.is_full() {
                self.outbox.send(&mut self.links, batch);
            }
        }
        self.speak(engine, now);
        self.outbox.send(&mut self.links, batch);
        Ok(())
    }
}

/// What a frame is to the router.
enum Sorted {
    /// A packet for the engine.
    Packet,
    /// What ARP says.
    Arp(Heard),
    /// Neighbour discovery asks for an address of another that the router answers for.
    Solicitation,
    /// Nothing.
    Other,
}

#[inline]
fn sort(port: &Port, arrived: &Arrived<'_>) -> Sorted {
    // A tag that names no VLAN only has a priority (802.1Q).
    let is_tagged = arrived.vlan.is_some_and(|(_, tag)| tag & 0x0fff != 0);
    let Some(header) = EthernetHeader::read(arrived.bytes).filter(|_| !is_tagged) else {
        return Sorted::Other;
    };
    if header.destination != port.hardware && header.destination[0] & 1 == 0 {
        return Sorted::Other;
    }
    let behind = arrived.bytes.get(HEADER_LENGTH..).unwrap_or(&[]);
    match header.ethertype {
        ethernet::IPV4 => Sorted::Packet,
        ethernet::IPV6 if resolve::asks_for_proxied(port, behind) => Sorted::Solicitation,
        ethernet::IPV6 => Sorted::Packet,
        arp::ETHERTYPE => Heard::read(behind).map_or(Sorted::Other, Sorted::Arp),
        _ => Sorted::Other,
    }
}

fn push(batch: &mut Batch, now: Instant, link: InterfaceIndex, arrived: &Arrived<'_>) {
    let length = arrived.bytes.len() as u32;
    let mut content = Content::of(LinkType::ETHERNET, arrived.bytes, length);
    if let Content::Ip { offset, link, .. } = &mut content {
        let packet = arrived.bytes.get(*offset as usize..).unwrap_or(&[]);
        link.segment = offload::segment(arrived.offload, packet);
    }
    batch.push(&Arrival {
        time: now,
        stamp: now,
        interface: Some(link),
        link_type: LinkType::ETHERNET,
        original_length: length,
        content,
        offload: Some(arrived.offload),
        bytes: arrived.bytes,
    });
    offload::finish_last(batch, arrived.offload);
}

/// Where a packet goes to.
#[inline]
fn destination(packet: &[u8]) -> Option<(Family, Address)> {
    match packet.first().map(|first| first >> 4) {
        Some(6) => Some((Family::V6, Address::v6(*packet.get(24..)?.first_chunk()?))),
        _ => Some((Family::V4, Address::v4(*packet.get(16..)?.first_chunk()?))),
    }
}

/// The Ethernet address of a group (RFC 1112, 6.4; RFC 2464, 7) or of all on the link.
fn group(engine: &Engine, family: Family, destination: Address) -> Option<Hardware> {
    match (family, destination.0) {
        (Family::V4, [224..=239, a, b, c, ..]) => Some([1, 0, 0x5e, a & 0x7f, b, c]),
        (Family::V4, _) => {
            engine.is_broadcast_address(family, destination).then_some(arp::BROADCAST)
        }
        (Family::V6, [0xff, .., a, b, c, d]) => Some([0x33, 0x33, a, b, c, d]),
        (Family::V6, _) => None,
    }
}

/// Whether an Ethernet address is one station's.
fn is_station(hardware: Hardware) -> bool {
    hardware[0] & 1 == 0 && hardware != [0; 6]
}

#[cfg(test)]
mod tests;
