//! A bridge: frames through the rules of ebtables, from port to port.
//!
//! A frame that comes in at a port goes through BROUTING, PREROUTING of the table nat, and then through
//! FORWARD and POSTROUTING for each port that it leaves by, or through INPUT where it is for the host.
//! Where stations are is learned from the source addresses of frames, as Linux learns it (IEEE 802.1D
//! without spanning tree). What the host itself sends goes through OUTPUT of filter, then of nat
//! (iptables-nft registers them in that order), and POSTROUTING.
//!
//! Frames to the reserved group addresses 01:80:c2:00:00:01 to :0f stay with the host; one from a group
//! address is dropped. There is no snooping of multicast.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use keepstate_conntrack::{Hook, Sysctls, Table as Connections, table::Template};
use keepstate_packet::ethernet::{self, EthernetHeader};
use keepstate_packet::{Address, Family, Instant, InterfaceName, L4, LinkInfo, PacketType, Parsed};
use keepstate_ruleset::evaluate::{
    AddressType, Answered, Frame, HostFacts, Logged, Stores, TableState, Traversal, evaluate,
};
use keepstate_ruleset::model::{FrameRules, TableName};
use keepstate_ruleset::verdict::Verdict;

/// Most stations whose port is remembered.
pub const STATIONS_MAX: usize = 65_536;
/// How long a station is remembered after its last frame, in nanoseconds: 300 s.
pub const STATION_AGE: u64 = 300_000_000_000;
/// Most ports of a bridge, as in Linux.
pub const PORTS_MAX: usize = 1024;

/// A port of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: InterfaceName,
    /// Its own address.
    pub address: [u8; 6],
}

/// A frame that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The port, by its place.
    pub port: usize,
    /// The frame, from its Ethernet header on.
    pub bytes: Vec<u8>,
}

/// What became of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridged {
    /// What left, by port.
    pub sent: Vec<Sent>,
    /// What came to the host: INPUT let it in, or BROUTING had it routed.
    pub delivered: Option<Vec<u8>>,
    /// What rules wrote, oldest first.
    pub log: Vec<Logged>,
}

/// A bridge.
#[derive(Debug)]
pub struct Bridge {
    name: InterfaceName,
    address: [u8; 6],
    ports: Vec<Port>,
    rules: FrameRules,
    states: Vec<TableState>,
    stores: Stores,
    stations: BTreeMap<[u8; 6], (usize, Instant)>,
    /// Rules of a bridge ask nothing of it.
    connections: Connections,
}

/// A frame taken apart, on its way.
#[derive(Clone)]
struct Passing {
    link: LinkInfo,
    ethertype: u16,
    tag: Option<u16>,
    /// From behind the Ethernet header and the tag.
    bytes: Vec<u8>,
    mark: u32,
    answers: Vec<Answered>,
}

/// Rules of a bridge ask nothing of the host.
#[derive(Debug)]
struct NoFacts;

impl HostFacts for NoFacts {
    fn address_type(&self, _: Family, _: Address, _: Option<InterfaceName>) -> AddressType {
        AddressType::Unicast
    }
}

impl Passing {
    fn read(frame: &[u8]) -> Option<Self> {
        let header = EthernetHeader::read(frame)?;
        let rest = frame.get(ethernet::HEADER_LENGTH..)?;
        let (tag, ethertype, bytes) = match (header.ethertype, rest) {
            // Of a tagged frame Linux wants two bytes more than the tag.
            (ethernet::VLAN, [t0, t1, e0, e1, inner @ ..]) if inner.len() >= 2 => {
                (Some(u16::from_be_bytes([*t0, *t1])), u16::from_be_bytes([*e0, *e1]), inner)
            }
            (ethernet::VLAN, _) => return None,
            (ethertype, rest) => (None, ethertype, rest),
        };
        let link = LinkInfo {
            source: Some(header.source),
            destination: Some(header.destination),
            packet_type: PacketType::Unicast,
            segment: 0,
        };
        Some(Self { link, ethertype, tag, bytes: bytes.into(), mark: 0, answers: Vec::new() })
    }

    fn destination(&self) -> [u8; 6] {
        self.link.destination.unwrap_or_default()
    }

    fn frame(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(self.bytes.len() + ethernet::HEADER_LENGTH + 4);
        frame.extend(self.destination());
        frame.extend(self.link.source.unwrap_or_default());
        if let Some(tag) = self.tag {
            frame.extend(ethernet::VLAN.to_be_bytes());
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(self.ethertype.to_be_bytes());
        frame.extend(&self.bytes);
        frame
    }
}

impl Bridge {
    /// A bridge of these ports; further ones than [`PORTS_MAX`] are left out.
    #[must_use]
    pub fn new(
        name: InterfaceName,
        address: [u8; 6],
        mut ports: Vec<Port>,
        rules: FrameRules,
        seed: u64,
    ) -> Self {
        ports.truncate(PORTS_MAX);
        let states = rules.tables.iter().map(TableState::with_counters).collect();
        let connections = Connections::new([seed, 0], Sysctls { max: 1, ..Sysctls::default() });
        let stores = Stores::new(seed);
        let stations = BTreeMap::new();
        Self { name, address, ports, rules, states, stores, stations, connections }
    }

    /// The rules, and the counters of each table, in the same order.
    #[must_use]
    pub fn rules(&self) -> (&FrameRules, &[TableState]) {
        (&self.rules, &self.states)
    }

    /// Takes a frame that comes in at a port.
    pub fn handle_frame(&mut self, now: Instant, port: usize, frame: &[u8]) -> Bridged {
        let mut bridged = Bridged::default();
        let (Some(at), Some(mut passing)) = (self.ports.get(port).copied(), Passing::read(frame))
        else {
            return bridged;
        };
        let source = passing.link.source.unwrap_or_default();
        let group = |address: [u8; 6]| address[0] & 1 != 0;
        if group(source) || source == [0; 6] {
            return bridged;
        }
        passing.link.packet_type = self.packet_type(passing.destination(), at);
        let inward = [Some(&at.name), None];
        if reserved(passing.destination()) {
            if self.passes(
                (TableName::Filter, Hook::Input),
                now,
                inward,
                &mut passing,
                &mut bridged,
            ) {
                bridged.delivered = Some(passing.frame());
            }
            return bridged;
        }
        if !self.passes(
            (TableName::Broute, Hook::Prerouting),
            now,
            inward,
            &mut passing,
            &mut bridged,
        ) {
            bridged.delivered = Some(passing.frame());
            return bridged;
        }
        let goes_on = self.passes(
            (TableName::Nat, Hook::Prerouting),
            now,
            inward,
            &mut passing,
            &mut bridged,
        );
        for answer in passing.answers.drain(..) {
            bridged.sent.push(Sent { port, bytes: answer_frame(&answer) });
        }
        if !goes_on {
            return bridged;
        }
        self.learn(now, passing.link.source.unwrap_or_default(), port);
        let destination = passing.destination();
        let own =
            destination == self.address || self.ports.iter().any(|p| p.address == destination);
        if group(destination) || own {
            let mut copy = passing.clone();
            let to = [Some(&at.name), None];
            if self.passes((TableName::Filter, Hook::Input), now, to, &mut copy, &mut bridged) {
                bridged.delivered = Some(copy.frame());
            }
            if own {
                return bridged;
            }
        }
        for out in self.ways(now, destination, Some(port)) {
            let mut copy = passing.clone();
            self.leave(now, (Some(port), out), Hook::Forward, &mut copy, &mut bridged);
        }
        bridged
    }

    /// Takes a frame that the host itself sends by the bridge.
    pub fn handle_output(&mut self, now: Instant, frame: &[u8]) -> Bridged {
        let mut bridged = Bridged::default();
        let Some(passing) = Passing::read(frame) else { return bridged };
        for out in self.ways(now, passing.destination(), None) {
            let mut copy = passing.clone();
            self.leave(now, (None, out), Hook::Output, &mut copy, &mut bridged);
        }
        bridged
    }

    /// FORWARD or OUTPUT, POSTROUTING, and out.
    fn leave(
        &mut self,
        now: Instant,
        (from, to): (Option<usize>, usize),
        hook: Hook,
        passing: &mut Passing,
        bridged: &mut Bridged,
    ) {
        let from = from.and_then(|from| self.ports.get(from)).map(|port| port.name);
        let Some(out) = self.ports.get(to).map(|port| port.name) else { return };
        let mut stages = Vec::from([(TableName::Filter, hook)]);
        if hook == Hook::Output {
            stages.push((TableName::Nat, Hook::Output));
        }
        for stage in stages {
            if !self.passes(stage, now, [from.as_ref(), Some(&out)], passing, bridged) {
                return;
            }
        }
        let last = (TableName::Nat, Hook::Postrouting);
        if self.passes(last, now, [None, Some(&out)], passing, bridged) {
            bridged.sent.push(Sent { port: to, bytes: passing.frame() });
        }
    }

    /// To whom a frame is, as the port that it came in at finds.
    fn packet_type(&self, destination: [u8; 6], port: Port) -> PacketType {
        match destination {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => PacketType::Broadcast,
            [first, ..] if first & 1 != 0 => PacketType::Multicast,
            other if other == self.address || other == port.address => PacketType::Unicast,
            _ => PacketType::OtherHost,
        }
    }

    fn learn(&mut self, now: Instant, source: [u8; 6], port: usize) {
        let full = self.stations.len() >= STATIONS_MAX;
        if full && !self.stations.contains_key(&source) {
            self.stations.retain(|_, (_, seen)| now.0.saturating_sub(seen.0) < STATION_AGE);
            if self.stations.len() >= STATIONS_MAX {
                return;
            }
        }
        self.stations.insert(source, (port, now));
    }

    /// The ports that a frame leaves by: the one of its station, or all but where it came in.
    fn ways(&self, now: Instant, destination: [u8; 6], from: Option<usize>) -> Vec<usize> {
        let known = self.stations.get(&destination);
        let known = known.filter(|(_, seen)| now.0.saturating_sub(seen.0) < STATION_AGE);
        match known {
            Some((port, _)) if Some(*port) == from => Vec::new(),
            Some((port, _)) => Vec::from([*port]),
            None => (0..self.ports.len()).filter(|port| Some(*port) != from).collect(),
        }
    }

    /// Whether the chain of a table lets a frame on.
    fn passes(
        &mut self,
        (table, hook): (TableName, Hook),
        now: Instant,
        [in_interface, out_interface]: [Option<&InterfaceName>; 2],
        passing: &mut Passing,
        bridged: &mut Bridged,
    ) -> bool {
        let mut tables = self.rules.tables.iter().zip(&mut self.states);
        let Some((table, state)) = tables.find(|(one, _)| one.name == table) else { return true };
        let mut packet = packet_of(passing.ethertype, &passing.bytes);
        let bridge = Some(&self.name);
        let frame = Frame {
            ethertype: passing.ethertype,
            tag: passing.tag,
            logical_in: bridge.filter(|_| in_interface.is_some()),
            logical_out: bridge.filter(|_| out_interface.is_some()),
            bridge: Some(self.address),
            answers: Vec::new(),
        };
        let mut traversal = Traversal {
            now,
            hook,
            in_interface,
            out_interface,
            packet: &mut packet,
            bytes: &mut passing.bytes,
            link: passing.link,
            frame: Some(frame),
            mark: passing.mark,
            secmark: 0,
            priority: 0,
            traced: false,
            verified: false,
            unfinished: &mut None,
            tracked: None,
            template: &mut Template::default(),
            conntrack: &mut self.connections,
            host: &NoFacts,
            stores: &mut self.stores,
            log: &mut bridged.log,
            unknown: None,
        };
        let (verdict, _) = evaluate(table, state, &mut traversal, &mut ());
        let (link, mark) = (traversal.link, traversal.mark);
        let answers = traversal.frame.map(|frame| frame.answers).unwrap_or_default();
        (passing.link, passing.mark) = (link, mark);
        passing.answers.extend(answers);
        verdict == Verdict::Accept
    }
}

/// Addresses that no bridge forwards (IEEE 802.1D, 7.12.6), but for that of the spanning tree itself.
fn reserved(destination: [u8; 6]) -> bool {
    matches!(destination, [0x01, 0x80, 0xc2, 0, 0, last] if (1..=0x0f).contains(&last))
}

fn answer_frame(answer: &Answered) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ethernet::HEADER_LENGTH + answer.packet.len());
    frame.extend(answer.destination);
    frame.extend(answer.source);
    frame.extend(0x0806_u16.to_be_bytes());
    frame.extend(answer.packet);
    frame
}

/// What rules count of a frame: its bytes behind the Ethernet header; and its IP packet where it has
/// one.
fn packet_of(ethertype: u16, bytes: &[u8]) -> Parsed {
    let family = if ethertype == ethernet::IPV6 { Family::V6 } else { Family::V4 };
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let ip = matches!(ethertype, ethernet::IPV4 | ethernet::IPV6);
    match Parsed::of_family(family, bytes) {
        Ok(packet) if ip => Parsed { length, ..packet },
        _ => Parsed {
            family,
            protocol: 0,
            ttl: 0,
            tos: 0,
            source: Address::default(),
            destination: Address::default(),
            length,
            l4_offset: length,
            header_length: 0,
            has_options: false,
            fragment: None,
            l4: L4::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use keepstate_ruleset::model::NfProto;
    use keepstate_ruleset::syntax::frames;

    const STATIONS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0xa], [2, 0, 0, 0, 0, 0xb]];

    fn bridge(rules: &str) -> Bridge {
        let rules = frames::parse(rules, NfProto::Bridge).expect("rules");
        let name = |name: &str| InterfaceName::new(name).expect("a name");
        let port = |number: u8| Port {
            name: name(&format!("p{number}")),
            address: [2, 0, 0, 0, 1, number],
        };
        Bridge::new(name("br0"), [2, 0, 0, 0, 2, 0], vec![port(0), port(1), port(2)], rules, 1)
    }

    fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
        let mut frame = [to, from].concat();
        frame.extend([0x88, 0xb5, 1, 2, 3, 4]);
        frame
    }

    fn ports(bridged: &Bridged) -> Vec<usize> {
        bridged.sent.iter().map(|sent| sent.port).collect()
    }

    #[test]
    fn stations_are_learned_and_forgotten() {
        let mut bridge = bridge("*filter\n");
        let [a, b] = STATIONS;
        let first = bridge.handle_frame(Instant(0), 0, &frame(b, a));
        assert_eq!((ports(&first), first.delivered), (vec![1, 2], None));
        assert_eq!(ports(&bridge.handle_frame(Instant(1), 2, &frame(a, b))), [0]);
        assert_eq!(ports(&bridge.handle_frame(Instant(2), 0, &frame(b, a))), [2]);
        assert_eq!(ports(&bridge.handle_frame(Instant(3), 2, &frame(b, a))), []);
        let late = Instant(STATION_AGE + 1);
        assert_eq!(ports(&bridge.handle_frame(late, 0, &frame(b, a))), [1, 2]);
        let all = bridge.handle_frame(late, 0, &frame([0xff; 6], a));
        assert!(all.delivered.is_some() && all.sent.len() == 2);
        let lldp = bridge.handle_frame(late, 0, &frame([1, 0x80, 0xc2, 0, 0, 0xe], a));
        assert!(lldp.delivered.is_some() && lldp.sent.is_empty());
        assert_eq!(bridge.handle_frame(late, 0, &frame(b, [3, 0, 0, 0, 0, 1])), Bridged::default());
        assert_eq!(bridge.handle_frame(late, 9, &frame(b, a)), Bridged::default());
        assert_eq!(bridge.handle_frame(late, 0, &[0; 13]), Bridged::default());
    }

    #[test]
    fn stations_are_bounded() {
        let mut bridge = bridge("*filter\n");
        for number in 0..=STATIONS_MAX as u32 {
            let [_, b, c, d] = number.to_be_bytes();
            bridge.learn(Instant(0), [2, 0, 1, b, c, d], 1);
        }
        assert_eq!(bridge.stations.len(), STATIONS_MAX);
        bridge.learn(Instant(STATION_AGE), STATIONS[0], 0);
        assert_eq!(bridge.stations.len(), 1);
    }

    #[test]
    fn rules_decide_rewrite_and_answer() {
        let mut bridge = bridge(
            "*filter\n:FORWARD DROP\n:OUTPUT ACCEPT\n-A FORWARD -o p1 --mark 7 -j ACCEPT\n\
             *nat\n-A PREROUTING -i p0 -s 2:0:0:0:0:a -j mark --mark-set 7 --mark-target CONTINUE\n\
             -A PREROUTING -p ARP -j arpreply --arpreply-mac 2:0:0:0:0:99\n\
             -A PREROUTING -i p2 -j redirect\n\
             -A POSTROUTING -o p1 -j snat --to-src 2:0:0:0:0:c\n\
             *broute\n-A BROUTING -p 0x88b6 -j DROP\n",
        );
        let [a, b] = STATIONS;
        let out = bridge.handle_frame(Instant(0), 0, &frame(b, a));
        assert_eq!(ports(&out), [1]);
        assert_eq!(out.sent[0].bytes, frame(b, [2, 0, 0, 0, 0, 0xc]));
        assert_eq!(ports(&bridge.handle_frame(Instant(0), 1, &frame(a, b))), []);
        let here = bridge.handle_frame(Instant(0), 2, &frame(b, [2, 0, 0, 0, 0, 0xd]));
        assert_eq!(here.delivered, Some(frame([2, 0, 0, 0, 2, 0], [2, 0, 0, 0, 0, 0xd])));
        let mut routed = frame(b, a);
        routed[13] = 0xb6;
        assert_eq!(bridge.handle_frame(Instant(0), 0, &routed).delivered, Some(routed));
        let mut request = [[0xff; 6], a].concat();
        request.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        request.extend(a);
        request.extend([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        let answered = bridge.handle_frame(Instant(0), 1, &request);
        let mut answer = [a, [2, 0, 0, 0, 0, 0x99]].concat();
        answer.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 0x99, 10, 0, 0, 2]);
        answer.extend(a);
        answer.extend([10, 0, 0, 1]);
        assert_eq!(answered.sent, [Sent { port: 1, bytes: answer }]);
        assert_eq!(ports(&bridge.handle_output(Instant(0), &frame(a, b))), [0]);
    }
}
