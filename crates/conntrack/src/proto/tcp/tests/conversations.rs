//! Whole conversations: handshakes, closing, picking up, reopening, timeouts.

use super::super::{rejected, shortened};
use super::*;

#[test]
fn a_connection_opens_and_closes() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    assert_eq!((scene.state, scene.timeout), (State::SynSent, seconds(120)));
    let steps = [
        (Reply, segment(SYN | ACK, 499, 100, 0), State::SynRecv, 60),
        (Original, segment(ACK, 100, 500, 0), State::Established, 432_000),
        (Original, segment(ACK, 100, 500, 10), State::Established, 300),
        (Reply, segment(ACK, 500, 110, 0), State::Established, 432_000),
        (Original, segment(FIN | ACK, 110, 500, 0), State::FinWait, 120),
        (Reply, segment(ACK, 500, 111, 0), State::CloseWait, 60),
        (Reply, segment(FIN | ACK, 500, 111, 0), State::LastAck, 30),
        (Original, segment(ACK, 111, 501, 0), State::TimeWait, 120),
    ];
    for (direction, segment, state, timeout) in steps {
        scene.accept(direction, &segment, state);
        assert_eq!(scene.timeout, seconds(timeout), "{segment:?}");
    }
    assert!(scene.status.contains(CtStatus::ASSURED));
    assert!(scene.peer(Original).has(Peer::CLOSE_INIT) && !scene.peer(Reply).has(Peer::CLOSE_INIT));
    assert_eq!(scene.push(Original, &segment(SYN, 5000, 0, 0)), Outcome::Restart);
    assert_eq!(scene.push(Reply, &segment(SYN, 5000, 0, 0)), Outcome::Restart);
}

#[test]
fn what_begins_a_connection() {
    let loose = Sysctls::default();
    let strict = Sysctls { tcp_loose: false, ..Sysctls::default() };
    for (flags, in_loose, in_strict) in [
        (SYN, None, None),
        (ACK, None, Some(Reason::NotSyn)),
        (SYN | ACK, Some(Reason::InvalidState), Some(Reason::InvalidState)),
        (FIN | ACK, Some(Reason::InvalidState), Some(Reason::InvalidState)),
        (RST, Some(Reason::InvalidState), Some(Reason::InvalidState)),
    ] {
        let first = segment(flags, 99, 0, 0);
        let reason = |sysctls| new_connection(sysctls, &first).err().map(|invalid| invalid.reason);
        assert_eq!((reason(&loose), reason(&strict)), (in_loose, in_strict), "{flags:#04x}");
    }
}

#[test]
fn picked_up_in_mid_stream_both_sides_are_taken_as_they_come() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(ACK, 100, 500, 10));
    assert_eq!((scene.state, scene.timeout), (State::Established, seconds(300)));
    scene.accept(Original, &segment(ACK, 1 << 31, 9, 10), State::Established);
    assert_eq!(scene.timeout, seconds(300), "no reply yet");
    let reply = scene.accept(Reply, &segment(ACK, 1 << 30, 110, 0), State::Established);
    assert!(!reply.assured, "the first reply only shows that there are two");
    let next = scene.accept(Original, &segment(ACK, 110, 1 << 30, 0), State::Established);
    assert!(next.assured);
    assert_eq!(scene.timeout, seconds(432_000));
}

#[test]
fn data_in_the_syn_may_be_acknowledged_with_the_syn_ack() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 20));
    scene.accept(Reply, &segment(SYN | ACK, 499, 120, 0), State::SynRecv);
    scene.accept(Original, &segment(ACK, 120, 500, 0), State::Established);
}

#[test]
fn both_sides_may_open_at_once() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    scene.accept(Reply, &segment(SYN, 499, 0, 0), State::SynSent2);
    assert_eq!(scene.timeout, seconds(120));
    scene.accept(Original, &segment(SYN | ACK, 99, 500, 0), State::SynRecv);
    let both = scene.accept(Reply, &segment(ACK, 500, 100, 0), State::Established);
    assert!(both.assured);
}

#[test]
fn a_reply_ack_alone_does_not_complete_a_handshake() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    scene.accept(Reply, &segment(SYN | ACK, 499, 100, 0), State::SynRecv);
    scene.accept(Reply, &segment(ACK, 500, 100, 0), State::SynRecv);
}

#[test]
fn a_repeated_syn_does_not_keep_an_unanswered_entry_alive() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    let again = scene.accept(Original, &segment(SYN, 99, 0, 0), State::SynSent);
    assert_eq!(again.timeout, None);
}

#[test]
fn a_syn_with_higher_numbers_renews_an_unanswered_attempt() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    scene.accept(Original, &segment(SYN, 70_000, 0, 0), State::SynSent);
    assert_eq!(scene.peer(Original).end, 70_001);
    scene.accept(Reply, &segment(SYN | ACK, 499, 70_001, 0), State::SynRecv);
}

#[test]
fn a_syn_out_of_step_proves_right_by_its_syn_ack() {
    let mut scene = Scene::established();
    let syn = with_options(segment(SYN, 900_000, 0, 0), &[3, 3, 6, 4, 2, 1, 1, 1]);
    scene.out_of_step(Original, &syn);
    scene.out_of_step(Reply, &segment(SYN | ACK, 700_000, 900_000, 0));
    scene.out_of_step(Original, &syn);
    let syn_ack = with_options(segment(SYN | ACK, 700_000, 900_001, 0), &[3, 3, 2, 1]);
    scene.accept(Reply, &syn_ack, State::SynRecv);
    assert_eq!((scene.peer(Original).scale, scene.peer(Reply).scale), (6, 2));
    assert!(scene.peer(Original).has(Peer::SACK_PERMITTED));
    scene.accept(Original, &segment(ACK, 900_001, 700_001, 5), State::Established);
}

/// The state is SYN_RECV before and after, yet the kernel tells of a change.
#[test]
fn a_handshake_begun_anew_in_syn_recv_counts_as_a_change() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    scene.accept(Reply, &segment(SYN | ACK, 499, 100, 0), State::SynRecv);
    scene.out_of_step(Original, &segment(SYN, 7000, 0, 0));
    let seen = Seen::new(scene.state, Reply, scene.status);
    let syn_ack = segment(SYN | ACK, 900, 7001, 0);
    let outcome = packet(&scene.sysctls, &seen, &mut scene.record, &syn_ack);
    let expected =
        Accept { state: State::SynRecv, timeout: seconds(60), assured: false, changed: true };
    assert_eq!(outcome, Outcome::Accept(expected));
}

#[test]
fn an_ack_before_the_syn_ack_is_ignored_and_its_reset_obeyed() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    scene.out_of_step(Reply, &segment(ACK, 8000, 7000, 0));
    // The challenged client resets with the number the challenge named.
    scene.accept(Original, &segment(RST, 7000, 0, 0), State::Close);
}

#[test]
fn a_challenge_ack_in_last_ack_is_not_the_last_ack() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(FIN | ACK, 100, 500, 0), State::FinWait);
    scene.accept(Reply, &segment(FIN | ACK, 500, 101, 0), State::LastAck);
    scene.out_of_step(Original, &segment(SYN, 900_000, 0, 0));
    let challenge = scene.push(Reply, &segment(ACK, 501, 101, 0));
    assert_eq!(challenge, Outcome::Ignored(Ignored::ChallengeAck));
    scene.accept(Reply, &segment(ACK, 501, 101, 0), State::TimeWait);
}

#[test]
fn the_same_ack_again_and_again_shortens_the_timeout() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(ACK, 100, 500, 5), State::Established);
    scene.sysctls.timeouts.tcp_max_retrans = Timeout::seconds(200);
    for expected in [300, 300, 200, 200] {
        scene.accept(Original, &segment(ACK, 100, 500, 5), State::Established);
        assert_eq!(scene.timeout, seconds(expected));
    }
    scene.accept(Reply, &segment(ACK, 500, 105, 0), State::Established);
    assert_eq!(scene.timeout, seconds(432_000));
}

#[test]
fn the_count_of_retransmissions_wraps() {
    let mut scene = Scene::established();
    for _ in 0..256 {
        scene.accept(Original, &segment(ACK, 100, 500, 0), State::Established);
    }
    assert_eq!(scene.record.last.retransmissions, 0);
    assert_eq!(scene.timeout, seconds(432_000));
}

#[test]
fn a_closed_window_shortens_the_timeout() {
    let mut scene = Scene::established();
    scene.sysctls.timeouts.tcp_max_retrans = Timeout::seconds(200);
    let closed = Segment { window: 0, ..segment(ACK, 500, 100, 0) };
    scene.accept(Reply, &closed, State::Established);
    assert_eq!(scene.timeout, seconds(200));
}

#[test]
fn a_close_outside_of_the_window_after_the_other_side_closed_shortens() {
    let mut scene = Scene::established();
    let lost = segment(FIN | ACK, 1 << 31, 500, 0);
    let outcome = |scene: &mut Scene, direction, segment| match scene.push(direction, segment) {
        Outcome::Invalid { invalid, shorten } => (invalid.reason, shorten),
        other => panic!("not INVALID: {other:?}"),
    };
    assert_eq!(outcome(&mut scene, Original, &lost), (Reason::SeqOver, None));
    assert_eq!(outcome(&mut scene, Original, &lost), (Reason::SeqOver, None), "same side");
    let answer = segment(FIN | ACK, 1 << 31, 100, 0);
    assert_eq!(outcome(&mut scene, Reply, &answer), (Reason::SeqOver, seconds(300)));
    scene.status = scene.status | CtStatus::FIXED_TIMEOUT;
    assert_eq!(outcome(&mut scene, Reply, &answer), (Reason::SeqOver, None));
}

#[test]
fn only_a_long_timeout_is_shortened() {
    let s = core::time::Duration::from_secs;
    let t = Timeout::seconds;
    assert!(shortened(s(120), t(100)));
    assert!(!shortened(s(119), t(100)));
    assert!(!shortened(s(300), t(300)));
    assert!(shortened(s(120), t(-1)), "over at once");
}

#[test]
fn a_reset_by_reject_closes_once() {
    let sysctls = Sysctls::default();
    let accept = rejected(&sysctls, State::Established).expect("was open");
    assert_eq!((accept.state, accept.timeout), (State::Close, seconds(10)));
    assert_eq!(rejected(&sysctls, State::Close), None);
}
