//! Who is heard, asked and answered: the two protocols that find neighbours, over the one table.

use super::arp::{self, Heard};
use super::discovery;
use super::neighbours::{Key, Question, Said};
use super::{Links, Local, Port, Router};
use crate::batch::Batch;
use keepstate_engine::{Engine, InterfaceIndex, Network};
use keepstate_packet::icmpv6::{NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, PROTOCOL};
use keepstate_packet::{Address, Family, Instant, ethernet::HEADER_LENGTH, ipv6};

impl<L: Links> Router<L> {
    /// Tells all links where the router's addresses are, and those that it answers for.
    pub(super) fn announce(&mut self, engine: &mut Engine) {
        if self.local == Local::Kernel {
            return;
        }
        let now = self.links.now();
        let links = (0..self.ports.len()).map(|at| InterfaceIndex(at as u16));
        for link in links {
            let own = self.hardware(link);
            let address = |engine: &Engine, at| {
                let interface = engine.host().interface(link)?;
                interface.addresses.get(at).copied()
            };
            let mut at = 0;
            while let Some(network) = address(engine, at) {
                at += 1;
                match network.family {
                    Family::V4 => {
                        let frame = arp::announcement(own, network.address.v4_octets());
                        self.outbox.push_frame(link, &frame);
                    }
                    Family::V6 => {
                        let told = discovery::answer(own, None, network.address, true);
                        engine.send(now, told, Some(link));
                    }
                }
            }
        }
    }

    /// Answers what came in with the last frames.
    pub(super) fn answer_heard(&mut self, engine: &mut Engine, now: Instant) {
        for (link, heard) in std::mem::take(&mut self.heard) {
            self.hear_arp(engine, now, link, heard);
        }
        for (link, frame) in std::mem::take(&mut self.solicited) {
            let packet = frame.get(HEADER_LENGTH..).unwrap_or(&[]);
            if let Some(heard) = discovery::Heard::read(packet) {
                self.hear_discovery(engine, now, link, heard);
            }
        }
    }

    fn hear_arp(&mut self, engine: &Engine, now: Instant, link: InterfaceIndex, heard: Heard) {
        let [sender, target] = [heard.sender, heard.target].map(Address::v4);
        let is_own = |address| engine.is_own_address(Family::V4, address);
        let asks_us = heard.is_request && (is_own(target) || self.answers_for(link, &heard));
        let key = Key { interface: link, family: Family::V4, address: sender };
        // Somebody else who has an address of ours, or none, or one that is not on this link.
        let is_neighbour = !is_own(sender) && engine.is_on_link(Family::V4, link, sender);
        if is_neighbour {
            let overrides = heard.is_gratuitous() || !self.neighbours.is_locked(now, key);
            let said = match (heard.is_request, asks_us) {
                (true, true) => Said::Question,
                (true, false) => Said::News { overrides },
                (false, _) if is_own(target) => Said::Answer { overrides },
                (false, _) => Said::News { overrides },
            };
            let waiting = self.neighbours.hear(now, key, Some(heard.hardware), said);
            self.send_waiting(link, heard.hardware, waiting);
        }
        let answers = asks_us && (self.local == Local::Router || !is_own(target));
        if answers && (is_neighbour || heard.sender == [0; 4]) {
            self.outbox.push_frame(link, &arp::reply(self.hardware(link), &heard));
            self.counts.answered += 1;
        }
    }

    /// Whether the router answers for the target on behalf of another: not who has it itself.
    fn answers_for(&self, link: InterfaceIndex, heard: &Heard) -> bool {
        let port = self.ports.get(usize::from(link.0));
        let target = Address::v4(heard.target);
        !heard.is_gratuitous() && port.is_some_and(|port| proxies(port, Family::V4, target))
    }

    fn hear_discovery(
        &mut self,
        engine: &mut Engine,
        now: Instant,
        link: InterfaceIndex,
        heard: discovery::Heard,
    ) {
        const V6: Family = Family::V6;
        match heard {
            discovery::Heard::Solicitation { sender, hardware, target } => {
                let port = self.ports.get(usize::from(link.0));
                let is_address = engine.has_address(link, V6, target);
                let answers = match is_address || engine.is_subnet_router(link, target) {
                    true => self.local == Local::Router,
                    false => port.is_some_and(|port| proxies(port, V6, target)),
                };
                if let (Some(sender), Some(hardware)) = (sender, hardware)
                    && !engine.is_own_address(V6, sender)
                    && engine.is_on_link(V6, link, sender)
                {
                    let key = Key { interface: link, family: V6, address: sender };
                    let said = Said::Question;
                    let waiting = self.neighbours.hear(now, key, Some(hardware), said);
                    self.send_waiting(link, hardware, waiting);
                }
                if answers {
                    let own = self.hardware(link);
                    let answer = discovery::answer(own, sender, target, is_address);
                    engine.send(now, answer, Some(link));
                    self.counts.answered += 1;
                }
            }
            discovery::Heard::Advertisement { target, hardware, is_solicited, overrides } => {
                let key = Key { interface: link, family: V6, address: target };
                let said = match is_solicited {
                    true => Said::Answer { overrides },
                    false => Said::News { overrides },
                };
                let waiting = self.neighbours.hear(now, key, hardware, said);
                if let Some(hardware) = hardware {
                    self.send_waiting(link, hardware, waiting);
                }
            }
        }
    }

    /// A packet that has reached the router itself: neighbour discovery is heard.
    pub(super) fn take_delivered(
        &mut self,
        engine: &mut Engine,
        batch: &Batch,
        now: Instant,
        slot: usize,
    ) {
        let Some(slot) = batch.slots().get(slot) else { return };
        let Some(link) = slot.interface else { return };
        let packet = batch.packet(slot);
        if is_discovery(packet)
            && let Some(heard) = discovery::Heard::read(packet)
        {
            self.hear_discovery(engine, now, link, heard);
        }
    }

    /// Sends a question for a neighbour.
    pub(super) fn ask(&mut self, engine: &mut Engine, now: Instant, question: Question) {
        let Key { interface: link, family, address } = question.about;
        let own = self.hardware(link);
        let Some(source) = source(engine, link, family, address) else { return };
        self.counts.asked += 1;
        match family {
            Family::V4 => {
                let (source, target) = (source.v4_octets(), address.v4_octets());
                self.outbox.push_frame(link, &arp::request(own, source, target, question.to));
            }
            Family::V6 => {
                let packet = discovery::ask(own, source, address, question.to.is_some());
                engine.send(now, packet, Some(link));
            }
        }
    }
}

/// The address that the router asks for a neighbour from: one on the same network; over IPv6 rather a
/// link-local one (RFC 4861, 7.2.2: any of the interface); else any of the interface, over IPv4 any
/// at all.
fn source(
    engine: &Engine,
    link: InterfaceIndex,
    family: Family,
    target: Address,
) -> Option<Address> {
    let host = engine.host();
    let addresses = || {
        let here = host.interface(link).into_iter().flat_map(|one| &one.addresses);
        here.filter(move |network| network.family == family)
    };
    let local = |network: &&Network| family == Family::V6 && is_link_local(network.address);
    let found = addresses().find(local);
    let found = found.or_else(|| addresses().find(|network| network.contains(target)));
    let found = found.or_else(|| addresses().next()).or_else(|| {
        let mut all = host.interfaces.iter().flat_map(|one| &one.addresses);
        all.find(|network| network.family == family && family == Family::V4)
    });
    found.map(|network| network.address)
}

fn is_link_local(address: Address) -> bool {
    address.0[0] == 0xfe && address.0[1] & 0xc0 == 0x80
}

fn proxies(port: &Port, family: Family, address: Address) -> bool {
    port.proxied.iter().any(|network| network.family == family && network.contains(address))
}

/// Whether a packet, from the IPv6 header on, looks like a solicitation or an advertisement.
#[inline]
fn is_discovery(packet: &[u8]) -> bool {
    let kind = packet.get(ipv6::HEADER_LENGTH).copied();
    packet.get(6) == Some(&PROTOCOL)
        && matches!(kind, Some(NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT))
}

/// Whether a packet, from the IPv6 header on, asks for an address of another that the router answers
/// for. The engine's host has not joined the group that it is sent to.
#[inline]
pub(super) fn asks_for_proxied(port: &Port, packet: &[u8]) -> bool {
    if port.proxied.is_empty() || !is_discovery(packet) {
        return false;
    }
    let target = packet.get(ipv6::HEADER_LENGTH + 8..).and_then(<[u8]>::first_chunk);
    target.is_some_and(|target| proxies(port, Family::V6, Address::v6(*target)))
        && packet.get(ipv6::HEADER_LENGTH) == Some(&NEIGHBOUR_SOLICITATION)
}
