//! The INVALID story: what becomes of a connection behind a masquerading gateway when one segment of it
//! is INVALID. The same ends, the same packets, two rule sets.

mod traffic;

use keepstate_conntrack::{CtState, Hook, Reason, Sysctls};
use keepstate_engine::{Disposition, Engine, Host, InterfaceIndex, Network, Route, Verdict};
use keepstate_packet::tcp::RST;
use keepstate_packet::{Address, Family, Instant, L4, Parsed};
use std::time::Duration;
use traffic::endpoint::{Endpoint, State};
use traffic::{START, name, packet, rules};

const ORDINARY: &str = include_str!("../../../examples/rules/masquerade.rules");
const DROPS_INVALID: &str = include_str!("../../../examples/rules/masquerade-invalid.rules");

const CLIENT: ([u8; 4], u16) = ([192, 168, 1, 10], 40_000);
const SERVER: ([u8; 4], u16) = ([203, 0, 113, 80], 80);
const GATEWAY: [u8; 4] = [198, 51, 100, 7];

/// Far beyond what the client has announced, twice.
const ASTRAY: u32 = 100_000;

/// The gateway: eth0 inside, eth1 outside; its own TCP answers.
fn gateway(source: &str) -> Engine {
    let network =
        |octets, prefix| Network { family: Family::V4, address: Address::v4(octets), prefix };
    let mut host = Host::router(name("eth0"), name("eth1"));
    host.interfaces[0].addresses = vec![network([192, 168, 1, 1], 24)];
    host.interfaces[1].addresses = vec![network(GATEWAY, 24)];
    host.routes = vec![Route::new(network([0; 4], 0), InterfaceIndex(1))];
    host.answers_tcp = true;
    Engine::new([1, 2], host, Sysctls::default(), vec![rules(source)])
}

/// Both ends with the gateway between them.
struct Scene {
    engine: Engine,
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    /// Every packet that came to the gateway, from eth0 or eth1, and what it made of it.
    seen: Vec<(u16, Vec<u8>, Disposition)>,
    /// What the gateway itself has sent.
    made: Vec<Vec<u8>>,
}

impl Scene {
    fn new(source: &str) -> Self {
        Self {
            engine: gateway(source),
            now: START,
            client: Endpoint::new(CLIENT, 1_000),
            server: Endpoint::new(SERVER, 5_000),
            seen: Vec::new(),
            made: Vec::new(),
        }
    }

    /// Sends a packet from a side (0: the client), and all that it brings about, until nobody says
    /// anything any more.
    fn send(&mut self, side: u16, bytes: Vec<u8>) {
        let mut under_way = vec![(side, bytes)];
        while let Some((side, mut bytes)) = under_way.pop() {
            self.now = self.now.plus(Duration::from_millis(10));
            let came = bytes.clone();
            let disposition = self.engine.handle_packet(self.now, packet(&mut bytes, side));
            self.seen.push((side, came, disposition));
            let mut leaving = Vec::new();
            if let Some(output) = disposition.output {
                bytes.truncate(output.length as usize);
                leaving.push((output.interface.0, bytes));
            }
            while let Some(sent) = self.engine.poll_transmit() {
                self.made.push(sent.bytes.clone());
                leaving.push((sent.interface.0, sent.bytes));
            }
            for (to, bytes) in leaving {
                let end = if to == 0 { &mut self.client } else { &mut self.server };
                under_way.extend(end.hear(&bytes).map(|answer| (to, answer)));
            }
        }
        assert!(self.seen.len() < 100, "they do not talk for ever");
    }

    fn call(&mut self) {
        let syn = self.client.call(SERVER);
        self.send(0, syn);
        assert_eq!([self.client.state, self.server.state], [State::Open; 2]);
    }

    fn client_says(&mut self, data: &[u8]) {
        let segment = self.client.say(data);
        self.send(0, segment);
    }

    fn server_says(&mut self, data: &[u8]) {
        let segment = self.server.say(data);
        self.send(1, segment);
    }

    /// What the filter made of the stray segment.
    fn stray(&mut self) -> Disposition {
        let segment = self.server.say_astray(ASTRAY, b"stray");
        let number = self.seen.len();
        self.send(1, segment);
        self.seen[number].2
    }
}

/// Up to the stray segment, which is INVALID under any rules.
fn up_to_the_stray(source: &str) -> (Scene, Disposition) {
    let mut scene = Scene::new(source);
    scene.call();
    scene.client_says(b"GET / HTTP/1.1\r\n\r\n");
    scene.server_says(b"HTTP/1.1 200 OK\r\n");
    assert_eq!([scene.client.state, scene.server.state], [State::Open; 2]);
    assert!(scene.made.is_empty());
    let before = scene.server.send_next;
    let stray = scene.stray();
    let tracked = stray.tracked.expect("tracked");
    assert_eq!((tracked.state, tracked.conn), (CtState::Invalid, None));
    let invalid = tracked.invalid.expect("a reason");
    // One past the last number that the client has allowed: what it acknowledged, and its window.
    let edge = before + traffic::endpoint::WINDOW;
    let expected = (Reason::SeqOver, Some(edge), Some(before + ASTRAY - edge));
    assert_eq!((invalid.reason, invalid.edge, invalid.distance), expected);
    (scene, stray)
}

fn segment(bytes: &[u8]) -> ([u8; 4], [u8; 4], keepstate_packet::tcp::TcpHeader) {
    let parsed = Parsed::new(bytes).expect("a packet");
    let L4::Tcp(segment) = parsed.l4 else { panic!("no segment") };
    (parsed.source.v4_octets(), parsed.destination.v4_octets(), segment)
}

#[test]
fn the_gateway_ends_a_connection_that_it_does_not_know() {
    let (mut scene, stray) = up_to_the_stray(ORDINARY);
    // Not translated back: for the gateway itself, whose rules let it in.
    assert_eq!((stray.verdict, stray.hook), (Verdict::Accept, Some(Hook::Input)));
    let [reset] = &*scene.made else { panic!("one reset: {:?}", scene.made) };
    let (source, destination, header) = segment(reset);
    assert_eq!((source, destination), (GATEWAY, SERVER.0));
    assert_eq!((header.source_port, header.destination_port), (CLIENT.1, SERVER.1));
    // Exactly the number that the server waits for, as it told it itself.
    assert_eq!((header.flags, header.sequence), (RST, scene.client.send_next));
    assert_eq!([scene.client.state, scene.server.state], [State::Open, State::Reset]);
    // The client does not know yet. It learns it from the server, as soon as it says anything.
    let number = scene.seen.len();
    scene.client_says(b"GET /next HTTP/1.1\r\n\r\n");
    assert_eq!(scene.client.state, State::Reset);
    let (side, bytes, disposition) = &scene.seen[number + 1];
    let (source, _, header) = segment(bytes);
    assert_eq!((*side, source, header.flags), (1, SERVER.0, RST));
    assert_eq!(disposition.tracked.map(|tracked| tracked.state), Some(CtState::Established));
    assert_eq!(scene.seen.len(), number + 2, "nobody has anything more to say");
}

#[test]
fn where_invalid_is_dropped_the_connection_lives() {
    let (mut scene, stray) = up_to_the_stray(DROPS_INVALID);
    assert_eq!((stray.verdict, stray.hook), (Verdict::Drop, Some(Hook::Input)));
    assert!(scene.made.is_empty(), "nobody is told");
    scene.client_says(b"GET /next HTTP/1.1\r\n\r\n");
    scene.server_says(b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!([scene.client.state, scene.server.state], [State::Open; 2]);
    assert!(scene.server.heard.ends_with(b"GET /next HTTP/1.1\r\n\r\n"));
    assert!(scene.client.heard.ends_with(b"HTTP/1.1 204 No Content\r\n\r\n"));
}

#[test]
fn an_address_that_is_not_the_gateways_own_keeps_it_silent() {
    // What is not translated back is then for somebody else on the link, and meets FORWARD.
    let elsewhere = ORDINARY.replace("MASQUERADE", "SNAT --to-source 198.51.100.99");
    let (scene, stray) = up_to_the_stray(&elsewhere);
    assert_eq!((stray.verdict, stray.hook), (Verdict::Drop, Some(Hook::Forward)));
    assert!(scene.made.is_empty());
    assert_eq!([scene.client.state, scene.server.state], [State::Open; 2]);
}
