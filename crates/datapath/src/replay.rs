//! Captures as a datapath: what comes in is read from files, what leaves goes to the observer.

use crate::{
    batch::{Arrival, Batch, Content},
    clock::CaptureClock,
    offload,
    pcap::{Capture, Fault},
    run::{Datapath, Outgoing, Received},
};
use keepstate_engine::{Engine, Interface, InterfaceIndex, Network, route::ROUTER_MTU};
use keepstate_packet::{
    Family, InterfaceName, L4, Parsed,
    checksum::{self, Verified},
};
use std::{collections::VecDeque, io, path::PathBuf};

/// What is done about checksums that were to be finished by a network card (`--checksum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// They are taken as they are.
    AsCaptured,
    /// One that holds just the sum of the pseudo-header, or an IPv4 header checksum of zero, is
    /// finished before the walk.
    FinishOffloaded,
}

/// How a capture becomes traffic.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where packets come in whose capture names no interface.
    pub interface: InterfaceIndex,
    /// Addresses of the host that the capture was taken on: packets from them go out.
    pub local: Vec<Network>,
    /// Which time packets get.
    pub clock: CaptureClock,
    /// What is done about unfinished checksums.
    pub checksums: Checksums,
}

/// Captures, one after the other.
#[derive(Debug)]
pub struct Replay {
    options: Options,
    current: Option<(PathBuf, Capture)>,
    waiting: VecDeque<PathBuf>,
    /// Captures that ended early.
    pub faults: Vec<(PathBuf, Fault)>,
    /// Packets whose unfinished checksum was finished.
    pub finished_checksum_count: u64,
    known: Option<(InterfaceName, InterfaceIndex)>,
}

impl Replay {
    /// Captures in order, `-` for stdin. Each is opened when its turn comes.
    #[must_use]
    pub fn new(options: Options, captures: Vec<PathBuf>) -> Self {
        Self {
            options,
            current: None,
            waiting: captures.into(),
            faults: Vec::new(),
            finished_checksum_count: 0,
            known: None,
        }
    }

    /// Reads one frame into the batch; false when there is no more.
    fn next(&mut self, engine: &mut Engine, batch: &mut Batch) -> bool {
        loop {
            let Some((path, capture)) = &mut self.current else {
                let Some(path) = self.waiting.pop_front() else { return false };
                match Capture::open(&path) {
                    Ok(capture) => self.current = Some((path, capture)),
                    Err(error) => self.faults.push((path, Fault::Read(error.to_string()))),
                }
                continue;
            };
            let Some(frame) = capture.next_frame() else {
                if let Some(fault) = capture.fault() {
                    self.faults.push((std::mem::take(path), fault.clone()));
                }
                self.current = None;
                continue;
            };
            let interface = match frame.interface {
                None => self.options.interface,
                Some(name) => match self.known {
                    Some((known, index)) if known == name => index,
                    _ => {
                        let index = declare(engine, name).unwrap_or(self.options.interface);
                        self.known = Some((name, index));
                        index
                    }
                },
            };
            batch.push(&Arrival {
                time: self.options.clock.at(frame.time),
                stamp: frame.time,
                interface: Some(interface),
                link_type: frame.link_type,
                original_length: frame.original_length,
                content: Content::of(frame.link_type, frame.bytes, frame.original_length),
                offload: None,
                bytes: frame.bytes,
            });
            return true;
        }
    }

    /// What the host of the capture knew of the packet last read.
    fn amend(&mut self, batch: &mut Batch) {
        if self.options.local.is_empty() && self.options.checksums == Checksums::AsCaptured {
            return;
        }
        let Some((slot, bytes)) = batch.last_packet_mut() else { return };
        if sent_by(&self.options.local, bytes) {
            slot.interface = None;
        }
        if self.options.checksums == Checksums::FinishOffloaded && finish_checksums(bytes) {
            self.finished_checksum_count += 1;
        }
    }
}

impl Datapath for Replay {
    fn receive(&mut self, engine: &mut Engine, batch: &mut Batch) -> io::Result<Received> {
        while !batch.is_full() && self.next(engine, batch) {
            self.amend(batch);
        }
        Ok(if batch.slots().is_empty() { Received::End } else { Received::Frames })
    }

    fn send(
        &mut self,
        _engine: &mut Engine,
        _batch: &mut Batch,
        _outgoing: &[Outgoing],
    ) -> io::Result<()> {
        Ok(())
    }
}

/// The interface of this name; a new one has no addresses.
fn declare(engine: &mut Engine, name: InterfaceName) -> Option<InterfaceIndex> {
    engine.declare_interface(Interface::new(name, ROUTER_MTU))
}

/// Whether the source address of a packet is one of `local`.
fn sent_by(local: &[Network], packet: &[u8]) -> bool {
    let (family, source) = match packet.first().map(|b| b >> 4) {
        Some(4) => (Family::V4, packet.get(12..16)),
        Some(6) => (Family::V6, packet.get(8..24)),
        _ => return false,
    };
    let Some(source) = source else { return false };
    local.iter().any(|network| {
        network.family == family && prefix_equal(source, &network.address.0, network.prefix)
    })
}

fn prefix_equal(a: &[u8], b: &[u8], bits: u8) -> bool {
    a.iter().zip(b).enumerate().all(|(at, (a, b))| {
        let bits = usize::from(bits).saturating_sub(at * 8).min(8);
        let mask = !(0xff_u16 >> bits) as u8;
        a & mask == b & mask
    })
}

/// Finishes what a network card was to finish: an upper-layer checksum that holds just the sum of
/// the pseudo-header, an IPv4 header checksum of zero. True when there was such a thing.
fn finish_checksums(bytes: &mut [u8]) -> bool {
    let header = finish_header_checksum(bytes);
    let Ok(parsed) = Parsed::new(bytes) else { return header };
    if checksum::verify(&parsed, bytes) != Verified::Offloaded {
        return header;
    }
    let field = match parsed.l4 {
        L4::Tcp(_) => 16,
        L4::Udp(_) => 6,
        L4::Icmpv6(_) => 2,
        _ => return header,
    };
    let end = (parsed.length as usize).min(bytes.len());
    let packet = bytes.get_mut(..end).unwrap_or(&mut []);
    offload::finish(packet, parsed.l4_offset as usize, field).is_some() || header
}

fn finish_header_checksum(bytes: &mut [u8]) -> bool {
    const FIELD: usize = 10;
    let Some(&first) = bytes.first() else { return false };
    let length = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || bytes.get(FIELD..FIELD + 2) != Some(&[0, 0]) {
        return false;
    }
    let Some(header) = bytes.get_mut(..length) else { return false };
    checksum::compute(header) != 0 && offload::finish(header, 0, FIELD).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_the_hosts_own_by_its_source() {
        let network = |family, ip: &str, prefix| Network {
            family,
            address: ip.parse::<std::net::IpAddr>().expect("an address").into(),
            prefix,
        };
        let local = [network(Family::V4, "10.1.2.64", 26), network(Family::V6, "fe80::", 10)];
        let v4 = |source: [u8; 4]| {
            let mut packet = [0; 20];
            packet[0] = 0x45;
            packet[12..16].copy_from_slice(&source);
            packet
        };
        assert!(sent_by(&local, &v4([10, 1, 2, 127])));
        assert!(!sent_by(&local, &v4([10, 1, 2, 128])));
        assert!(!sent_by(&local, &v4([10, 1, 2, 127])[..15]));
        let mut v6 = [0; 40];
        v6[0] = 0x60;
        v6[8] = 0xfe;
        v6[9] = 0xbf;
        assert!(sent_by(&local, &v6));
        v6[9] = 0xc0;
        assert!(!sent_by(&local, &v6));
    }
}
