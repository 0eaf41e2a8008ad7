use super::*;
use crate::tuple::Direction::{Original, Reply};
use keepstate_packet::sctp::chunk as c;
use std::vec::Vec;

/// What the original direction and the reply direction want to see.
const CLIENT: u32 = 0xc11e;
const SERVER: u32 = 0x5e7;

struct Observer {
    state: State,
    confirmed: bool,
    association: Association,
}

type Chunked<'a> = (u8, u8, &'a [u8]);

fn packet_of(tag: u32, chunks: &[Chunked<'_>]) -> Vec<u8> {
    let mut bytes = [[3, 232, 0, 80], tag.to_be_bytes(), [0; 4]].concat();
    for (kind, flags, value) in chunks {
        bytes.extend([*kind, *flags]);
        bytes.extend((value.len() as u16 + 4).to_be_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn greeting(tag: u32) -> [u8; 16] {
    let mut value = [0; 16];
    value[..4].copy_from_slice(&tag.to_be_bytes());
    value
}

impl Observer {
    fn new() -> Self {
        Self { state: State::None, confirmed: false, association: Association::default() }
    }

    fn judge(&mut self, direction: Direction, bytes: &[u8]) -> Judged {
        let known = Known { state: self.state, direction, confirmed: self.confirmed };
        let judged = packet(&known, &mut self.association, bytes, |_, _| {});
        self.state = judged.state;
        self.confirmed |= judged.renews.is_ok();
        judged
    }

    fn sees(&mut self, direction: Direction, tag: u32, kinds: &[u8]) -> Judged {
        let chunks: Vec<Chunked<'_>> = kinds.iter().map(|kind| (*kind, 0, &[0; 8][..])).collect();
        self.judge(direction, &packet_of(tag, &chunks))
    }

    fn greets(&mut self, direction: Direction, tag: u32, kind: u8, initiate: u32) -> Judged {
        self.judge(direction, &packet_of(tag, &[(kind, 0, &greeting(initiate))]))
    }

    /// After the four packets of an opening.
    fn open() -> Self {
        let mut seen = Self::new();
        assert_eq!(seen.greets(Original, 0, c::INIT, CLIENT).state, State::Closed);
        assert_eq!(seen.greets(Reply, CLIENT, c::INIT_ACK, SERVER).state, State::CookieWait);
        assert_eq!(seen.sees(Original, SERVER, &[c::COOKIE_ECHO]).state, State::CookieEchoed);
        let last = seen.sees(Reply, CLIENT, &[c::COOKIE_ACK, c::SACK]);
        assert_eq!((last.state, last.established, last.changed), (State::Established, true, true));
        assert_eq!(seen.association.tags, [SERVER, CLIENT]);
        seen
    }
}

fn is_invalid(judged: &Judged, reason: Reason) -> bool {
    matches!(judged.renews, Err(invalid) if invalid.reason == reason)
}

#[test]
fn closes_from_either_side() {
    for (first, state) in [(Original, State::ShutdownSent), (Reply, State::ShutdownRecd)] {
        let mut seen = Observer::open();
        let tag = |direction| if direction == Original { SERVER } else { CLIENT };
        let other = first.invert();
        assert_eq!(seen.sees(first, tag(first), &[c::SHUTDOWN]).state, state);
        let answered = seen.sees(other, tag(other), &[c::SHUTDOWN_ACK]);
        assert_eq!(answered.state, State::ShutdownAckSent);
        let last = seen.sees(first, tag(first), &[c::SHUTDOWN_COMPLETE]);
        assert_eq!((last.state, last.renews), (State::Closed, Ok(true)));
    }
}

#[test]
fn only_the_agreed_tag_passes() {
    let mut seen = Observer::open();
    for tag in [0, CLIENT, SERVER + 1] {
        let wrong = seen.sees(Original, tag, &[c::DATA]);
        assert_eq!(wrong.renews, Err(Invalid { edge: Some(SERVER), ..OUT_OF_STATE }));
    }
    assert_eq!(seen.sees(Original, SERVER, &[c::DATA]).renews, Ok(true));
    assert_eq!(seen.sees(Reply, CLIENT, &[c::SACK, c::DATA]).renews, Ok(true));
}

#[test]
fn the_t_bit_asks_for_the_tag_of_the_other_side() {
    for kind in [c::ABORT, c::SHUTDOWN_COMPLETE] {
        for (flags, tag, fits) in
            [(0, SERVER, true), (0, CLIENT, false), (1, CLIENT, true), (1, SERVER, false)]
        {
            let mut seen = Observer::open();
            let judged = seen.judge(Original, &packet_of(tag, &[(kind, flags, &[])]));
            assert_eq!(judged.renews.is_ok(), fits, "{kind} {flags} {tag:x}");
            let over = fits && kind == c::ABORT;
            assert_eq!(seen.state == State::Closed, over);
        }
    }
}

#[test]
fn nothing_begins_with_data_or_with_a_last_word() {
    for kind in [c::DATA, c::SACK, c::ABORT, c::SHUTDOWN_COMPLETE, c::COOKIE_ACK, 0xc1] {
        assert!(is_invalid(&Observer::new().sees(Original, 0, &[kind]), Reason::InvalidState));
    }
    let late = Observer::new().sees(Original, 7, &[c::SHUTDOWN_ACK]);
    assert_eq!((late.state, late.renews), (State::ShutdownAckSent, Ok(true)));
    assert!(is_invalid(&Observer::new().greets(Original, 1, c::INIT, 2), Reason::InvalidState));
}

#[test]
fn some_chunks_stand_alone_and_the_cookies_first() {
    let alone = [c::INIT, c::INIT_ACK, c::SHUTDOWN_COMPLETE];
    for kind in [c::COOKIE_ECHO, c::COOKIE_ACK].into_iter().chain(alone) {
        let mut seen = Observer::open();
        assert!(is_invalid(&seen.sees(Original, SERVER, &[c::DATA, kind]), Reason::Malformed));
    }
    for kind in alone {
        let mut seen = Observer::open();
        assert!(is_invalid(&seen.sees(Original, SERVER, &[kind, c::DATA]), Reason::Malformed));
    }
    assert!(is_invalid(&Observer::open().sees(Original, SERVER, &[]), Reason::Malformed));
    let mut empty = packet_of(SERVER, &[(c::DATA, 0, &[])]);
    empty[15] = 0;
    assert!(is_invalid(&Observer::open().judge(Original, &empty), Reason::Malformed));
    assert!(is_invalid(&Observer::open().judge(Original, &empty[..11]), Reason::Short));
}

#[test]
fn what_earlier_chunks_did_stays_done() {
    let mut seen = Observer::open();
    let abort_with_t: Chunked<'_> = (c::ABORT, c::T_BIT, &[]);
    let packet = packet_of(SERVER, &[(c::SHUTDOWN, 0, &[0; 4]), abort_with_t]);
    let judged = seen.judge(Original, &packet);
    assert!(is_invalid(&judged, Reason::InvalidState));
    assert_eq!((judged.state, judged.changed), (State::ShutdownSent, true));
}

#[test]
fn a_repeated_init_renews_nothing() {
    let mut seen = Observer::new();
    assert_eq!(seen.greets(Original, 0, c::INIT, CLIENT).renews, Ok(true));
    assert_eq!(seen.greets(Original, 0, c::INIT, CLIENT).renews, Ok(false));
    let cut = packet_of(0, &[(c::INIT, 0, &greeting(CLIENT)[..12])]);
    assert!(is_invalid(&seen.judge(Original, &cut), Reason::Malformed));
}

#[test]
fn a_new_init_ack_may_answer_an_init_but_not_end_a_collision() {
    let mut seen = Observer::new();
    seen.greets(Original, 0, c::INIT, CLIENT);
    assert!(seen.greets(Reply, CLIENT, c::INIT_ACK, SERVER).renews.is_ok());
    assert!(seen.greets(Reply, CLIENT, c::INIT_ACK, SERVER + 1).renews.is_ok());
    assert_eq!(seen.association.tags, [SERVER + 1, CLIENT]);

    let mut collided = Observer::new();
    collided.greets(Original, 0, c::INIT, CLIENT);
    collided.greets(Reply, 0, c::INIT, SERVER);
    let other = collided.greets(Reply, CLIENT, c::INIT_ACK, SERVER + 1);
    assert!(is_invalid(&other, Reason::InvalidState));
    assert!(collided.greets(Reply, CLIENT, c::INIT_ACK, SERVER).renews.is_ok());

    let mut open = Observer::open();
    let unasked = open.greets(Reply, CLIENT, c::INIT_ACK, SERVER + 1);
    assert!(is_invalid(&unasked, Reason::InvalidState));
}

#[test]
fn another_path_begins_with_a_heartbeat() {
    let mut seen = Observer::new();
    assert_eq!(seen.sees(Original, SERVER, &[c::HEARTBEAT]).state, State::HeartbeatSent);
    let answered = seen.sees(Reply, CLIENT, &[c::HEARTBEAT_ACK]);
    assert_eq!((answered.state, answered.established), (State::Established, true));
    assert_eq!(seen.association.tags, [SERVER, CLIENT]);
    assert!(seen.sees(Original, SERVER, &[c::DATA]).renews.is_ok());
}

#[test]
fn a_foreign_heartbeat_counts_once_it_is_answered() {
    let mut seen = Observer::open();
    let (tag, answer) = (0xaaaa, 0xbbbb);
    assert!(is_invalid(&seen.sees(Reply, answer, &[c::HEARTBEAT_ACK]), Reason::InvalidState));
    let with_data = seen.sees(Original, tag, &[c::HEARTBEAT, c::DATA]);
    assert!(is_invalid(&with_data, Reason::InvalidState));
    assert_eq!(seen.sees(Original, tag, &[c::HEARTBEAT]).renews, Ok(false));
    let same_way = seen.sees(Original, tag, &[c::HEARTBEAT_ACK]);
    assert!(is_invalid(&same_way, Reason::InvalidState));
    assert_eq!(seen.sees(Reply, answer, &[c::HEARTBEAT_ACK]).renews, Ok(true));
    assert_eq!(seen.association.tags, [0, answer]);
    assert_eq!(seen.sees(Original, tag, &[c::HEARTBEAT]).renews, Ok(true));
    assert_eq!(seen.association.tags, [tag, answer]);
}
