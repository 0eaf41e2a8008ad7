//! SYNPROXY from the first SYN to the data: who is sent what, and how numbers and clocks are translated.

mod traffic;

use keepstate_conntrack::{CtStatus, Sysctls};
use keepstate_engine::{Engine, Host, InterfaceIndex, Network, Origin, Route, Transmit, Verdict};
use keepstate_packet::tcp::{ACK, ECE, PSH, RST, SYN, TcpHeader, TcpOption, TcpOptions};
use keepstate_packet::{Address, Family, Parsed, checksum};
use std::time::Duration;
use traffic::{START, name, rules, send, tcp_with};

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 80);

/// MSS 1400, SACK, timestamps 1000 and 0, window scale 5.
const OFFER: [u8; 20] = [2, 4, 5, 120, 4, 2, 8, 10, 0, 0, 3, 232, 0, 0, 0, 0, 1, 3, 3, 5];

fn proxy(options: &str) -> Engine {
    let text = format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         -A PREROUTING -p tcp --syn -j CT --notrack\nCOMMIT\n\
         *filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         -A FORWARD -p tcp -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY {options}\n\
         -A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
    );
    let mut host = Host::router(name("eth0"), name("eth1"));
    let inside = Network { family: Family::V4, address: Address::v4(CLIENT.0), prefix: 24 };
    host.routes.push(Route::new(inside, InterfaceIndex(0)));
    let sysctls = Sysctls { tcp_loose: false, ..Sysctls::default() };
    Engine::new([1, 2], host, sysctls, vec![rules(&text)])
}

/// What is sent next: header, options, and by which interface.
fn sent(engine: &mut Engine) -> (TcpHeader, Vec<u8>, u16) {
    let Transmit { origin, interface, bytes, .. } = engine.poll_transmit().expect("a segment");
    assert_eq!(origin, Origin::Made);
    let parsed = Parsed::new(&bytes).expect("a packet");
    assert_eq!(checksum::verify(&parsed, &bytes), checksum::Verified::Valid);
    let segment = parsed.l4_bytes(&bytes);
    let header = TcpHeader::read(segment).expect("TCP");
    (header, segment[20..usize::from(header.header_length)].to_vec(), interface.0)
}

fn stamps(options: &[u8]) -> (u32, u32) {
    let all = TcpOptions::new(options).find_map(|option| match option {
        TcpOption::Timestamps { value, echo } => Some((value, echo)),
        _ => None,
    });
    all.expect("timestamps")
}

fn with_stamps(value: u32, echo: u32) -> Vec<u8> {
    let mut options = vec![1, 1, 8, 10];
    options.extend(value.to_be_bytes());
    options.extend(echo.to_be_bytes());
    options
}

#[test]
fn a_connection_is_opened_for_a_client_that_brings_its_cookie_back() {
    let mut engine = proxy("--sack-perm --timestamp --wscale 7 --mss 1460");
    let mut syn = tcp_with(CLIENT, SERVER, SYN, (100, 0), &OFFER);
    let disposition = send(&mut engine, START, &mut syn, 0);
    assert_eq!((disposition.verdict, disposition.output), (Verdict::Stolen, None));
    let (answer, options, to) = sent(&mut engine);
    assert_eq!((answer.flags, answer.acknowledgment, answer.window, to), (SYN | ACK, 101, 0, 0));
    let (clock, echo) = stamps(&options);
    assert_eq!((clock & 0x3f, echo), (5 | 1 << 4, 1000), "scale and SACK are in the clock");
    assert_eq!((&options[..6], &options[16..]), (&[2, 4, 5, 180, 4, 2][..], &[1, 3, 3, 7][..]));
    assert_eq!(engine.conntrack().count(), 0, "nothing is kept");

    let cookie = answer.sequence;
    let back = (101, cookie.wrapping_add(1));
    let mut ack = tcp_with(CLIENT, SERVER, ACK, back, &with_stamps(1001, clock));
    assert_eq!(send(&mut engine, START, &mut ack, 0).verdict, Verdict::Stolen);
    let (open, options, to) = sent(&mut engine);
    assert_eq!((open.flags, open.sequence, to), (SYN, 100, 1));
    assert_eq!(
        options[..6],
        [2, 4, 5, 20, 4, 2],
        "1300 is the next lower size that a cookie holds"
    );
    assert_eq!((stamps(&options), &options[16..]), ((1001, clock), &[1, 3, 3, 5][..]));

    let mut answer = with_stamps(50_000, 1001);
    answer.extend([2, 4, 5, 180, 1, 3, 3, 2]);
    let mut answer = tcp_with(SERVER, CLIENT, SYN | ACK, (7000, 101), &answer);
    assert_eq!(send(&mut engine, START, &mut answer, 1).verdict, Verdict::Stolen);
    let (ack, options, to) = sent(&mut engine);
    assert_eq!((ack.flags, ack.sequence, ack.acknowledgment, to), (ACK, 101, 7001, 1));
    // As Linux has it: the echo is the server's already, and is translated all the same.
    let shift = 50_000_u32.wrapping_sub(clock);
    assert_eq!(stamps(&options), (1001, shift.wrapping_add(50_000)));
    let (ack, options, to) = sent(&mut engine);
    assert_eq!((ack.flags, ack.sequence, ack.acknowledgment, to), (ACK, back.1, 101, 0));
    assert_eq!((ack.window, stamps(&options)), (8192 >> 2, (clock, 1001)));

    // From here on both count as if they had spoken to each other.
    let mut data = tcp_with(CLIENT, SERVER, ACK | PSH, back, &with_stamps(1002, clock));
    assert!(send(&mut engine, START, &mut data, 0).output.is_some());
    let header = TcpHeader::read(&data[20..]).expect("TCP");
    assert_eq!((header.sequence, header.acknowledgment), (101, 7001));
    assert_eq!(stamps(&data[40..52]), (1002, 50_000));
    let mut data = tcp_with(SERVER, CLIENT, ACK | PSH, (7001, 101), &with_stamps(50_009, 1002));
    assert!(send(&mut engine, START, &mut data, 1).output.is_some());
    let header = TcpHeader::read(&data[20..]).expect("TCP");
    assert_eq!((header.sequence, header.acknowledgment), (back.1, 101));
    assert_eq!(stamps(&data[40..52]), (clock.wrapping_add(9), 1002));
    let connections = engine.conntrack().connections(START);
    let status = engine.conntrack().status(connections[0]).expect("it is there");
    assert!(status.contains(CtStatus::SEQ_ADJUST | CtStatus::ASSURED));
}

#[test]
fn without_timestamps_only_the_size_is_kept() {
    let mut engine = proxy("--sack-perm --timestamp --wscale 7 --mss 1460 --ecn");
    let mut syn = tcp_with(CLIENT, SERVER, SYN | ECE | 0x80, (100, 0), &[4, 2, 3, 3, 5, 0, 0, 0]);
    send(&mut engine, START, &mut syn, 0);
    let (answer, options, _) = sent(&mut engine);
    assert_eq!((answer.flags, options), (SYN | ACK, Vec::new()), "it has offered no size");
    let back = (101, answer.sequence.wrapping_add(1));
    send(&mut engine, START, &mut tcp_with(CLIENT, SERVER, ACK, back, &[]), 0);
    let (open, options, _) = sent(&mut engine);
    assert_eq!((open.flags, options), (SYN, vec![2, 4, 2, 24]));
}

#[test]
fn who_brings_no_cookie_gets_nowhere() {
    let mut engine = proxy("--mss 1460");
    send(&mut engine, START, &mut tcp_with(CLIENT, SERVER, SYN, (100, 0), &[]), 0);
    let (answer, ..) = sent(&mut engine);
    let later = START.plus(Duration::from_secs(121));
    let cookie = answer.sequence.wrapping_add(1);
    for (now, number) in [(START, cookie.wrapping_add(4)), (START, 1), (later, cookie)] {
        let mut ack = tcp_with(CLIENT, SERVER, ACK, (101, number), &[]);
        assert_eq!(send(&mut engine, now, &mut ack, 0).verdict, Verdict::Drop);
    }
    assert!(engine.poll_transmit().is_none());
    assert_eq!(engine.conntrack().count(), 0);
}

#[test]
fn a_closed_port_resets_the_client_in_the_numbers_that_it_knows() {
    let mut engine = proxy("--mss 1460");
    send(&mut engine, START, &mut tcp_with(CLIENT, SERVER, SYN, (100, 0), &[]), 0);
    let cookie = sent(&mut engine).0.sequence;
    let back = (101, cookie.wrapping_add(1));
    send(&mut engine, START, &mut tcp_with(CLIENT, SERVER, ACK, back, &[]), 0);
    sent(&mut engine);
    // Asked again before the server has said anything, by a keep-alive.
    let again = (99, back.1);
    send(&mut engine, START, &mut tcp_with(CLIENT, SERVER, ACK, again, &[]), 0);
    let mut reset = tcp_with(SERVER, CLIENT, RST | ACK, (0, 101), &[]);
    assert!(send(&mut engine, START, &mut reset, 1).output.is_some());
    let header = TcpHeader::read(&reset[20..]).expect("TCP");
    assert_eq!((header.sequence, header.acknowledgment), (back.1, 101));
}

#[test]
fn a_bump_in_the_wire_sends_each_segment_to_its_side() {
    let text = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m conntrack --ctstate NEW,INVALID -j SYNPROXY\n\
                COMMIT\n";
    let host = Host::wire(name("a"), name("b"));
    let sysctls = Sysctls { tcp_loose: false, ..Sysctls::default() };
    let mut engine = Engine::new([1, 2], host, sysctls, vec![rules(text)]);
    send(&mut engine, START, &mut tcp_with(CLIENT, SERVER, SYN, (100, 0), &[]), 1);
    let (answer, _, to) = sent(&mut engine);
    assert_eq!((answer.flags, to), (SYN | ACK, 1));
    let back = (101, answer.sequence.wrapping_add(1));
    send(&mut engine, START, &mut tcp_with(CLIENT, SERVER, ACK, back, &[]), 1);
    let (open, _, to) = sent(&mut engine);
    assert_eq!((open.flags, to), (SYN, 0));
    send(&mut engine, START, &mut tcp_with(SERVER, CLIENT, SYN | ACK, (7000, 101), &[]), 0);
    assert_eq!([sent(&mut engine).2, sent(&mut engine).2], [0, 1]);
}
