//! What is tracked only when rules ask for it.

mod traffic;

use keepstate_conntrack::{CtState, Hook, Sysctls};
use keepstate_engine::{Command, Engine, Tracking, Verdict};
use keepstate_packet::{Family, Parsed};
use traffic::{START, fragments, router, rules, send, tcp, udp};

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 53);
/// The router's own address on its first interface.
const ROUTER: ([u8; 4], u16) = ([100, 127, 253, 1], 53);
const ASKING: &str = "*filter\n:FORWARD ACCEPT [0:0]\n\
    -A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n";
const NOT_ASKING: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j NOTRACK\nCOMMIT\n\
    *filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n\
    -A INPUT -p udp -m length --length 128 -j DROP\nCOMMIT\n";

fn engine(source: Option<&str>) -> Engine {
    let mut engine = router(Sysctls::default(), source.map(rules).into_iter().collect());
    engine.set_tracking(Tracking::WhenNeeded);
    engine
}

#[test]
fn nothing_is_tracked_or_held_when_no_rule_asks() {
    for source in [None, Some(NOT_ASKING)] {
        let mut engine = engine(source);
        let whole = udp(CLIENT, SERVER, &[7; 100]);
        for mut packet in fragments(&whole, 9, &[40, 80]).into_iter().chain([whole]) {
            let length = packet.len() as u32;
            let passed = send(&mut engine, START, &mut packet, 0);
            assert_eq!((passed.verdict, passed.tracked), (Verdict::Accept, None));
            assert_eq!(passed.output.map(|output| output.length), Some(length));
        }
        assert_eq!((engine.conntrack().count(), engine.fragment_charges()), (0, [0, 0]));
        assert_eq!(engine.poll_timeout(), None);
    }
}

#[test]
fn rules_of_one_family_have_only_that_one_tracked() {
    let engine = engine(Some(ASKING));
    assert!(engine.is_tracking(Family::V4) && !engine.is_tracking(Family::V6));
}

#[test]
fn another_rule_set_begins_and_ends_tracking() {
    let mut engine = engine(None);
    let mut states = |command| {
        engine.handle_command(START, command).expect("it is done");
        let mut packet = udp(CLIENT, SERVER, b"?");
        send(&mut engine, START, &mut packet, 0).tracked.map(|tracked| tracked.state)
    };
    let replaced = |source| Command::ReplaceRuleset(Box::new(rules(source)));
    assert_eq!(states(replaced(ASKING)), Some(CtState::New));
    assert_eq!(states(replaced(NOT_ASKING)), None);
    assert_eq!(states(replaced(ASKING)), Some(CtState::New), "the connection is still there");
    assert_eq!(states(Command::RemoveRuleset(Family::V4)), None);
    assert_eq!(engine.conntrack().count(), 1);
}

/// What passed while nobody tracked has moved the windows.
#[test]
fn windows_are_forgotten_where_tracking_begins_anew() {
    const ACK: u8 = 0x10;
    let later = |engine: &mut Engine| {
        let mut packet = tcp(CLIENT, SERVER, ACK, (50_000_000, 60_000_000));
        send(engine, START, &mut packet, 0).verdict
    };
    let mut engine = engine(Some(ASKING));
    let opening = [
        (tcp(CLIENT, SERVER, 2, (100, 0)), 0),
        (tcp(SERVER, CLIENT, 0x12, (500, 101)), 1),
        (tcp(CLIENT, SERVER, ACK, (101, 501)), 0),
    ];
    for (mut packet, interface) in opening {
        assert_eq!(send(&mut engine, START, &mut packet, interface).verdict, Verdict::Accept);
    }
    assert_eq!(later(&mut engine), Verdict::Drop);
    for source in [NOT_ASKING, ASKING] {
        let command = Command::ReplaceRuleset(Box::new(rules(source)));
        engine.handle_command(START, command).expect("it is done");
    }
    assert_eq!(later(&mut engine), Verdict::Accept);
    assert_eq!(engine.conntrack().count(), 1);
}

#[test]
fn input_sees_whole_datagrams_that_nothing_has_tracked() {
    for (data, verdict) in [(100, Verdict::Drop), (104, Verdict::Accept)] {
        let mut engine = engine(Some(NOT_ASKING));
        let mut pieces = fragments(&udp(CLIENT, ROUTER, &vec![7; data]), 9, &[40]);
        let held = send(&mut engine, START, &mut pieces[1], 0);
        assert_eq!((held.verdict, held.hook), (Verdict::Held, Some(Hook::Prerouting)));
        let whole = send(&mut engine, START, &mut pieces[0], 0);
        assert_eq!((whole.verdict, whole.hook, whole.tracked), (verdict, Some(Hook::Input), None));
        assert_eq!(engine.fragment_charges(), [0, 0]);
    }
}

/// A piece that is larger than the way out takes is cut on, and its pieces belong where it did.
#[test]
fn pieces_are_cut_where_they_are_too_large() {
    let mut host = router(Sysctls::default(), vec![]).host().clone();
    host.interfaces.iter_mut().for_each(|interface| interface.mtu = 68);
    let mut engine = Engine::new([1, 2], host, Sysctls::default(), vec![]);
    engine.set_tracking(Tracking::WhenNeeded);
    let whole = udp(CLIENT, SERVER, &[7; 200]);
    for mut piece in fragments(&whole, 9, &[104]) {
        assert_eq!(send(&mut engine, START, &mut piece, 0).verdict, Verdict::Accept);
    }
    let sent: Vec<_> = core::iter::from_fn(|| engine.poll_transmit()).collect();
    let place = |bytes: &[u8]| {
        let fragment = Parsed::new(bytes).expect("a packet").fragment.expect("a piece");
        (fragment.offset, bytes.len() - 20, fragment.more)
    };
    let places: Vec<_> = sent.iter().map(|sent| place(&sent.bytes)).collect();
    let first = [(0, 48, true), (48, 48, true), (96, 8, true)];
    let second = [(104, 48, true), (152, 48, true), (200, 8, false)];
    assert_eq!(places, [first, second].concat());
}
