//! Packets for tests, and a table to send them through.

use crate::table::{Drop, Template};
use crate::tuple::Direction;
use crate::{CtState, Hook, Sysctls, Table, Tracked};
use core::net::IpAddr;
use core::time::Duration;
use keepstate_packet::{Instant, Parsed, checksum};
use std::vec::Vec;

/// Nothing leaves where the packet leaves, and it is a broadcast when a prefix is given.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    pub(crate) broadcast_prefix: Option<u8>,
}

impl crate::Ways for Elsewhere {
    fn leaves_alike(&self, _: keepstate_packet::Address) -> bool {
        false
    }

    fn share_next_hop(&self, _: keepstate_packet::Address, _: keepstate_packet::Address) -> bool {
        false
    }

    fn broadcast_prefix(&self, _: keepstate_packet::Address) -> Option<u8> {
        self.broadcast_prefix
    }
}

/// A table, a clock, and the walk from PREROUTING to POSTROUTING.
pub(crate) struct Wire {
    pub(crate) table: Table,
    pub(crate) now: Instant,
    pub(crate) template: Template,
    /// Of the network to all of which packets go, as if the host sent them.
    pub(crate) broadcast_prefix: Option<u8>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self::with(Sysctls::default())
    }

    pub(crate) fn with(sysctls: Sysctls) -> Self {
        let now = Instant(1_000_000_000_000);
        Self {
            table: Table::new([1, 2], sysctls),
            now,
            template: Template::default(),
            broadcast_prefix: None,
        }
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
    }

    /// The hook of conntrack alone.
    pub(crate) fn track(&mut self, packet: &[u8]) -> Result<Tracked, Drop> {
        let parsed = Parsed::new(packet).expect("an IP packet");
        self.table.track_in(self.now, Hook::Prerouting, &parsed, packet, &self.template)
    }

    /// The whole walk.
    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<Tracked, Drop> {
        let parsed = Parsed::new(packet).expect("an IP packet");
        let mut tracked = self.track(packet)?;
        let helped = self.table.help(
            self.now,
            &tracked,
            &parsed,
            packet,
            &Elsewhere { broadcast_prefix: self.broadcast_prefix },
        );
        match helped.and_then(|_| self.table.confirm(self.now, &mut tracked)) {
            Ok(()) => Ok(tracked),
            Err(drop) => {
                self.table.discard(self.now, &tracked);
                Err(drop)
            }
        }
    }

    /// State and direction of a packet that arrives.
    pub(crate) fn state(&mut self, packet: &[u8]) -> (CtState, Option<Direction>) {
        let tracked = self.send(packet).expect("it arrives");
        (tracked.state, tracked.direction)
    }

    /// The connections as `conntrack -L -o extended` prints them.
    pub(crate) fn listing(&self) -> Vec<std::string::String> {
        use std::string::ToString;
        let connections = self.table.connections(self.now);
        let lines = connections.iter().filter_map(|conn| {
            let snapshot = self.table.snapshot(self.now, *conn)?;
            let children_count = self.table.children_count(*conn);
            Some(crate::listing::Extended { snapshot: &snapshot, children_count }.to_string())
        });
        lines.collect()
    }

    /// The events so far, as `conntrack -E` prints them.
    pub(crate) fn events(&mut self) -> Vec<std::string::String> {
        use std::string::ToString;
        let mut lines = Vec::new();
        while let Some(event) = self.table.poll_event() {
            match crate::listing::EventLine::new(&event) {
                Some(line) => lines.push(line.to_string()),
                None => lines.push(std::format!("{:?}", event.kind)),
            }
        }
        lines
    }
}

/// Two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

impl Peers {
    pub(crate) fn new(source: &str, destination: &str) -> Self {
        let ip = |text: &str| text.parse().expect("an address");
        Self { source: ip(source), destination: ip(destination) }
    }

    pub(crate) fn turned(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }

    /// An IP packet around an upper-layer one, checksums right.
    pub(crate) fn packet(self, protocol: u8, l4: &[u8]) -> Vec<u8> {
        let mut bytes = self.unfinished(protocol, l4);
        let parsed = Parsed::new(&bytes).expect("an IP packet");
        checksum::fill(&parsed, &mut bytes);
        bytes
    }

    /// The same with the upper-layer checksum as given.
    pub(crate) fn unfinished(self, protocol: u8, l4: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = (20 + l4.len() as u16).to_be_bytes();
                bytes.extend([0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = (l4.len() as u16).to_be_bytes();
                bytes.extend([0x60, 0, 0, 0, length[0], length[1], protocol, 64]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
            _ => panic!("one family"),
        }
        bytes.extend(l4);
        if self.source.is_ipv4() {
            checksum::fill_ipv4_header(&mut bytes);
        }
        bytes
    }

    pub(crate) fn udp(self, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        self.packet(17, &udp(ports, 8 + payload.len() as u16, payload))
    }

    pub(crate) fn tcp(
        self,
        ports: (u16, u16),
        flags: u8,
        numbers: (u32, u32),
        payload: &[u8],
    ) -> Vec<u8> {
        let mut l4 = Vec::new();
        l4.extend(ports.0.to_be_bytes());
        l4.extend(ports.1.to_be_bytes());
        l4.extend(numbers.0.to_be_bytes());
        l4.extend(numbers.1.to_be_bytes());
        l4.extend([0x50, flags, 0xfd, 0xe8, 0, 0, 0, 0]);
        l4.extend(payload);
        self.packet(6, &l4)
    }

    /// ICMP or ICMPv6 by family. `rest` are octets 4 to 8.
    pub(crate) fn icmp(self, kind: u8, code: u8, rest: u32, payload: &[u8]) -> Vec<u8> {
        let mut l4 = Vec::from([kind, code, 0, 0]);
        l4.extend(rest.to_be_bytes());
        l4.extend(payload);
        self.packet(if self.source.is_ipv4() { 1 } else { 58 }, &l4)
    }
}

/// A UDP header with this length field, checksum 0, and a payload.
pub(crate) fn udp(ports: (u16, u16), length: u16, payload: &[u8]) -> Vec<u8> {
    let mut l4 = Vec::new();
    l4.extend(ports.0.to_be_bytes());
    l4.extend(ports.1.to_be_bytes());
    l4.extend(length.to_be_bytes());
    l4.extend([0, 0]);
    l4.extend(payload);
    l4
}
