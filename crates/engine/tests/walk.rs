//! The ways through the hooks, what is left behind, the queues and the commands.

mod traffic;

use keepstate_conntrack::{CtState, Direction, Hook, Sysctls, Tracked};
use keepstate_engine::transmit::TRANSMITS_MAX;
use keepstate_engine::{
    Cause, Command, CommandError, Engine, Event, Host, Network, Origin, Recorder, Reply, Timer,
    Verdict,
};
use keepstate_packet::{Address, Family, checksum};
use keepstate_ruleset::evaluate::{self, Decision};
use keepstate_ruleset::model::TableName;
use std::time::Duration;
use traffic::{START, name, packet, router, rules, send, tcp, udp};

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 53);

fn filter(lines: &str) -> String {
    format!(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{lines}COMMIT\n"
    )
}

fn query() -> Vec<u8> {
    udp(CLIENT, SERVER, b"query")
}

fn count(engine: &mut Engine) -> usize {
    let Ok(Reply::Connections(all)) = engine.handle_command(START, Command::List) else {
        panic!("a list is a list");
    };
    all.len()
}

#[test]
fn a_dropped_first_packet_leaves_nothing_behind() {
    let drop = rules(&filter("-A FORWARD -p udp -j DROP\n"));
    let mut engine = router(Sysctls::default(), vec![drop]);
    let disposition = send(&mut engine, START, &mut query(), 0);
    assert_eq!((disposition.verdict, disposition.hook), (Verdict::Drop, Some(Hook::Forward)));
    assert_eq!(disposition.tracked.map(|tracked| tracked.state), Some(CtState::New));
    assert_eq!((disposition.cause, disposition.output), (None, None));
    assert_eq!(count(&mut engine), 0);
    assert_eq!(engine.conntrack().count(), 0, "not even unconfirmed");
    assert!(engine.poll_event().is_none());
}

#[test]
fn a_reset_of_reject_closes_the_connection_and_is_related_to_it() {
    let mut engine = router(Sysctls::default(), vec![]);
    send(&mut engine, START, &mut tcp(CLIENT, SERVER, 0x02, (100, 0)), 0);
    send(&mut engine, START, &mut tcp(SERVER, CLIENT, 0x12, (500, 101)), 1);
    send(&mut engine, START, &mut tcp(CLIENT, SERVER, 0x10, (101, 501)), 0);
    let rejecting = "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n\
                     -A OUTPUT -m conntrack --ctstate RELATED -j ACCEPT\n-A OUTPUT -j DROP\n";
    let rejecting = Command::ReplaceRuleset(Box::new(rules(&filter(rejecting))));
    assert_eq!(engine.handle_command(START, rejecting), Ok(Reply::Done));
    let disposition = send(&mut engine, START, &mut tcp(CLIENT, SERVER, 0x18, (101, 501)), 0);
    assert_eq!(disposition.verdict, Verdict::Reject);
    assert_eq!(disposition.tracked.map(|t| t.state), Some(CtState::Established), "it was kept");
    let reset = engine.poll_transmit().expect("the reset, let out by the rule for RELATED");
    assert_eq!(&reset.bytes[12..20], &[192, 0, 2, 1, 10, 0, 0, 1]);
    let Ok(Reply::Connections(all)) = engine.handle_command(START, Command::List) else {
        panic!("a list is a list");
    };
    assert_eq!(all[0].1.protocol_state, Some("CLOSE"));
}

#[test]
fn an_endpoint_sends_through_output_and_receives_through_input() {
    let own = Network { family: Family::V4, address: Address::v4(CLIENT.0), prefix: 32 };
    let host = Host::endpoint(name("eth0"), vec![own]);
    let mut engine = Engine::new([1, 2], host, Sysctls::default(), vec![]);
    let sent = send(&mut engine, START, &mut query(), 0);
    assert_eq!((sent.verdict, sent.hook), (Verdict::Accept, Some(Hook::Postrouting)));
    assert!(sent.output.is_some());
    let mut bytes = udp(SERVER, CLIENT, b"answer");
    let before = bytes.clone();
    let received = send(&mut engine, START, &mut bytes, 0);
    assert_eq!((received.verdict, received.hook), (Verdict::Accept, Some(Hook::Input)));
    assert_eq!(received.tracked.and_then(|t| t.direction), Some(Direction::Reply));
    assert_eq!((received.output, bytes), (None, before), "delivered as it came");
    let other = send(&mut engine, START, &mut udp(SERVER, ([10, 9, 9, 9], 1), b""), 0);
    assert_eq!((other.verdict, other.cause), (Verdict::Drop, Some(Cause::NoRoute)));
}

#[test]
fn a_bump_in_the_wire_changes_nothing_and_speaks_for_the_destination() {
    let reject = rules(&filter("-A FORWARD -p udp -m udp --dport 99 -j REJECT\n"));
    let host = Host::wire(name("a"), name("b"));
    let mut engine = Engine::new([1, 2], host, Sysctls::default(), vec![reject]);
    // A router would drop it as a martian, and for its TTL.
    let mut bytes = udp(([127, 0, 0, 1], 5), ([127, 0, 0, 2], 6), b"");
    let before = bytes.clone();
    let passed = send(&mut engine, START, &mut bytes, 1);
    assert_eq!(passed.output.map(|output| output.interface.0), Some(0));
    assert_eq!(bytes, before);
    let rejected = send(&mut engine, START, &mut udp(CLIENT, (SERVER.0, 99), b""), 0);
    assert_eq!(rejected.verdict, Verdict::Reject);
    let answer = engine.poll_transmit().expect("an answer");
    assert_eq!(answer.interface.0, 0, "back where it came from");
    assert_eq!(&answer.bytes[12..16], &SERVER.0);
}

#[test]
fn addresses_of_loopback_speak_to_all_on_the_link_and_to_nobody_else() {
    let mut engine = router(Sysctls::default(), Vec::new());
    for (source, destination, expected) in [
        ([127, 255, 255, 255], [255; 4], None),
        ([127, 0, 0, 9], [255; 4], None),
        ([127, 0, 0, 1], [255; 4], Some(Cause::Martian)),
        ([127, 0, 0, 9], SERVER.0, Some(Cause::Martian)),
    ] {
        let seen = send(&mut engine, START, &mut udp((source, 5), (destination, 6), b""), 0);
        assert_eq!(seen.cause, expected, "{source:?} > {destination:?}");
    }
}

#[test]
fn packets_to_send_wait_in_a_queue_with_an_end() {
    let reject = rules(&filter("-A FORWARD -j REJECT\n"));
    let mut engine = router(Sysctls::default(), vec![reject]);
    for _ in 0..TRANSMITS_MAX + 2 {
        send(&mut engine, START, &mut query(), 0);
    }
    assert_eq!(engine.lost_counts().0, 2);
    let polled = core::iter::from_fn(|| engine.poll_transmit()).count();
    assert_eq!(polled, TRANSMITS_MAX);
}

#[test]
fn rules_log_and_count_and_a_swap_keeps_connections() {
    let log = filter("-A FORWARD -p udp -j LOG --log-prefix \"seen \"\n");
    let mut engine = router(Sysctls::default(), vec![rules(&log)]);
    send(&mut engine, START, &mut query(), 0);
    let lines: Vec<_> = core::iter::from_fn(|| engine.poll_event())
        .filter_map(|event| if let Event::Log(line) = event { Some(line.text) } else { None })
        .collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("seen IN=eth0 OUT=eth1 "), "{}", lines[0]);
    let Ok(Reply::Counters(counters)) = engine.handle_command(START, Command::Counters(Family::V4))
    else {
        panic!("counters are counters");
    };
    let forward = counters.iter().find(|chain| chain.chain == 1).expect("FORWARD");
    assert_eq!(forward.table, TableName::Filter);
    assert_eq!(forward.counters, [(1, 33), (1, 33)], "the rule, then the policy");
    let swap = Command::ReplaceRuleset(Box::new(rules(&filter("-A FORWARD -j ACCEPT\n"))));
    assert_eq!(engine.handle_command(START, swap), Ok(Reply::Done));
    let answered = send(&mut engine, START, &mut udp(SERVER, CLIENT, b"answer"), 1);
    assert_eq!(answered.tracked.map(|t| t.state), Some(CtState::Established));
}

#[test]
fn commands_reach_the_connections() {
    let mut engine = router(Sysctls::default(), vec![]);
    send(&mut engine, START, &mut query(), 0);
    send(&mut engine, START, &mut udp(CLIENT, (SERVER.0, 54), b""), 0);
    let Ok(Reply::Connections(all)) = engine.handle_command(START, Command::List) else {
        panic!("a list is a list");
    };
    let answer = all[0].1.reply;
    assert_eq!(engine.handle_command(START, Command::Delete(answer)), Ok(Reply::Deleted(1)));
    let gone = engine.handle_command(START, Command::Delete(answer));
    assert_eq!(gone, Err(CommandError::UnknownConnection));
    assert_eq!(engine.handle_command(START, Command::Flush), Ok(Reply::Deleted(1)));
    assert_eq!(count(&mut engine), 0);
    let none = engine.handle_command(START, Command::RemoveRuleset(Family::V6));
    assert_eq!(none, Err(CommandError::NoRuleset));
}

#[test]
fn time_passes_only_when_it_is_let_pass() {
    let mut engine = router(Sysctls::default(), vec![]);
    assert_eq!(engine.poll_timeout(), None, "nothing waits");
    send(&mut engine, START, &mut query(), 0);
    let (_, timer) = engine.poll_timeout().expect("a connection will expire");
    assert_eq!(timer, Timer::Expiry);
    while engine.poll_event().is_some() {}
    let later = START.plus(Duration::from_secs(31));
    engine.handle_timeout(later);
    assert!(matches!(engine.poll_event(), Some(Event::Conntrack(_))), "its end is told");
    assert_eq!(engine.conntrack().count(), 0);
    assert_eq!(engine.poll_timeout(), None);
}

#[test]
fn the_full_table_is_a_cause() {
    let sysctls = Sysctls { max: 1, ..Sysctls::default() };
    let mut engine = router(sysctls, vec![]);
    for (flags, interface, numbers) in
        [(0x02, 0, (100, 0)), (0x12, 1, (500, 101)), (0x10, 0, (101, 501))]
    {
        let (from, to) = if interface == 0 { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        send(&mut engine, START, &mut tcp(from, to, flags, numbers), interface);
    }
    let dropped = send(&mut engine, START, &mut query(), 0);
    assert_eq!((dropped.verdict, dropped.cause), (Verdict::Drop, Some(Cause::TableFull)));
    assert_eq!(dropped.reason(), Some("table-full"));
    assert_eq!(engine.cause_counts()[Cause::TableFull as usize], 1);
}

#[test]
fn what_the_way_out_cannot_take_is_cut_or_refused() {
    let mut host = Host::router(name("eth0"), name("eth1"));
    host.interfaces[1].mtu = 1000;
    let mut engine = Engine::new([1, 2], host, Sysctls::default(), vec![]);
    let whole = |flags: u8, length: usize| {
        let mut bytes = udp(CLIENT, SERVER, &vec![7; length - 28]);
        bytes[6] = flags;
        bytes[10..12].fill(0);
        let sum = checksum::compute(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    let fits = send(&mut engine, START, &mut whole(0, 1000), 0);
    assert!(fits.output.is_some());
    let cut = send(&mut engine, START, &mut whole(0, 1001), 0);
    assert_eq!((cut.verdict, cut.output), (Verdict::Accept, None));
    let pieces: Vec<_> = core::iter::from_fn(|| engine.poll_transmit()).collect();
    assert!(pieces.iter().all(|piece| piece.origin == Origin::Forwarded));
    let shapes: Vec<_> = pieces.iter().map(|p| (p.bytes.len(), [p.bytes[6], p.bytes[7]])).collect();
    assert_eq!(shapes, [(996, [0x20, 0]), (25, [0, 122])], "976 bytes, which are 122 units, first");
    let refused = send(&mut engine, START, &mut whole(0x40, 1001), 0);
    assert_eq!((refused.verdict, refused.cause), (Verdict::Drop, Some(Cause::TooBig)));
    let told = engine.poll_transmit().expect("the sender is told");
    assert_eq!(told.bytes[20..22], [3, 4]);
    assert_eq!(told.bytes[26..28], 1000_u16.to_be_bytes());
}

/// An error leaves in one piece, and one that could not quote an IP header does not.
#[test]
fn a_packet_that_becomes_longer_leaves_by_the_queue() {
    let mangle = |rule: &str| format!("*mangle\n{rule}\nCOMMIT\n");
    let lowering = rules(&mangle("-A FORWARD -p tcp -j TCPMSS --set-mss 500"));
    let mut engine = router(Sysctls::default(), vec![lowering]);
    let disposition = send(&mut engine, START, &mut tcp(CLIENT, SERVER, 0x02, (100, 0)), 0);
    assert_eq!((disposition.verdict, disposition.output), (Verdict::Accept, None));
    let longer = engine.poll_transmit().expect("the packet");
    assert_eq!(longer.origin, Origin::Forwarded);
    assert_eq!((longer.bytes.len(), &longer.bytes[40..]), (44, &[2, 4, 1, 0xf4][..]));
    let parsed = keepstate_packet::Parsed::new(&longer.bytes).unwrap();
    assert_eq!(checksum::verify(&parsed, &longer.bytes), checksum::Verified::Valid);
    // One of the same length is rewritten where it is, one that is dropped leaves nothing.
    let mut again = longer.bytes.clone();
    again[43] = 0xf5;
    let disposition = send(&mut engine, START, &mut again, 0);
    assert_eq!(disposition.output.map(|output| output.length), Some(44));
    assert_eq!(&again[40..], &[2, 4, 1, 0xf4]);
    assert!(engine.poll_transmit().is_none());
    let rule = "-A FORWARD -p tcp -j TCPMSS --set-mss 500\n-A POSTROUTING -j DROP";
    let dropping = Command::ReplaceRuleset(Box::new(rules(&mangle(rule))));
    assert_eq!(engine.handle_command(START, dropping), Ok(Reply::Done));
    let disposition = send(&mut engine, START, &mut tcp(CLIENT, SERVER, 0x02, (100, 0)), 0);
    assert_eq!((disposition.verdict, disposition.output), (Verdict::Drop, None));
    assert!(engine.poll_transmit().is_none());
}

#[test]
fn an_error_is_no_larger_than_the_way_back_takes() {
    let lengths = [(68, Some(68)), (296, Some(296)), (2000, Some(576)), (48, None)];
    for (mtu, length) in lengths {
        let mut host = Host::router(name("eth0"), name("eth1"));
        // Every answer leaves by eth1, where the default route goes.
        host.interfaces[1].mtu = mtu;
        let mut engine = Engine::new([1, 2], host, Sysctls::default(), vec![]);
        let mut spent = udp(CLIENT, SERVER, &[7; 1000]);
        spent[8] = 1;
        spent[10..12].fill(0);
        let sum = checksum::compute(&spent[..20]);
        spent[10..12].copy_from_slice(&sum.to_be_bytes());
        let dropped = send(&mut engine, START, &mut spent, 0);
        assert_eq!(dropped.cause, Some(Cause::TtlExceeded));
        assert_eq!(engine.poll_transmit().map(|told| told.bytes.len()), length, "MTU {mtu}");
    }
}

/// Writes down what it hears.
#[derive(Default)]
struct Heard(Vec<String>);

impl evaluate::Recorder for Heard {
    fn rule(&mut self, looked: evaluate::Looked<'_>, _: &evaluate::Traversal<'_>) {
        let failed = looked.failed.map(|(number, _)| number);
        self.0.push(format!("rule {} {failed:?}", looked.number));
    }
}

impl Recorder for Heard {
    fn hook(&mut self, hook: Hook) {
        self.0.push(format!("{hook:?}"));
    }
    fn tracked(&mut self, tracked: &Tracked) {
        self.0.push(format!("{:?}", tracked.state));
    }
    fn table_verdict(
        &mut self,
        table: TableName,
        _: keepstate_ruleset::verdict::Verdict,
        decision: Option<Decision>,
    ) {
        let by_rule = matches!(decision, Some(Decision::Rule { .. }));
        self.0.push(format!("{} by rule: {by_rule}", table.as_str()));
    }
    fn confirmed(&mut self, _: &Tracked) {
        self.0.push("confirmed".into());
    }
    fn answer(&mut self, bytes: &[u8]) {
        self.0.push(format!("answer of {} bytes", bytes.len()));
    }
    fn end(&mut self, verdict: Verdict, _: Option<Cause>) {
        self.0.push(format!("{verdict:?}"));
    }
}

#[test]
fn a_recorder_hears_the_whole_way() {
    let lines = "-A FORWARD -p udp -m udp --dport 99 -j REJECT\n-A FORWARD -p udp -j ACCEPT\n";
    let mut engine = router(Sysctls::default(), vec![rules(&filter(lines))]);
    let mut heard = Heard::default();
    engine.handle_packet_recorded(START, packet(&mut query(), 0), &mut heard);
    let expected = [
        "Prerouting",
        "New",
        "Forward",
        "rule 0 Some(1)",
        "rule 1 None",
        "filter by rule: true",
        "Postrouting",
        "confirmed",
        "Accept",
    ];
    assert_eq!(heard.0, expected);
    let mut heard = Heard::default();
    let mut rejected = udp(CLIENT, (SERVER.0, 99), b"");
    engine.handle_packet_recorded(START, packet(&mut rejected, 0), &mut heard);
    let expected = [
        "Prerouting",
        "New",
        "Forward",
        "rule 0 None",
        "filter by rule: true",
        "answer of 56 bytes",
        "Output",
        "Related",
        "filter by rule: false",
        "Postrouting",
        "Reject",
    ];
    assert_eq!(heard.0, expected);
}

#[test]
fn begun_anew_it_does_the_same_again() {
    let lines = "-A FORWARD -p udp -m limit --limit 1/min --limit-burst 2 -j LOG\n\
                 -A FORWARD -p tcp -j REJECT\n";
    let mut engine = router(Sysctls::default(), vec![rules(&filter(lines))]);
    let once = |engine: &mut Engine| {
        let mut seen: Vec<String> = Vec::new();
        for (_, mut bytes) in
            (0..3).flat_map(|n| [(n, query()), (n, tcp(CLIENT, SERVER, 2, (1, 0)))])
        {
            seen.push(format!("{:?}", send(engine, START, &mut bytes, 0)));
        }
        seen.extend(core::iter::from_fn(|| engine.poll_event()).map(|event| format!("{event:?}")));
        seen.extend(core::iter::from_fn(|| engine.poll_transmit()).map(|sent| format!("{sent:?}")));
        let counters = engine.handle_command(START, Command::Counters(Family::V4));
        seen.push(format!("{counters:?} {:?} {:?}", engine.cause_counts(), engine.poll_timeout()));
        seen
    };
    let first = once(&mut engine);
    assert!(first.iter().filter(|line| line.contains("Log")).count() == 2, "{first:#?}");
    send(&mut engine, START, &mut query(), 0);
    engine.restart();
    assert!(engine.poll_event().is_none() && engine.poll_timeout().is_none());
    assert_eq!(once(&mut engine), first);
}
