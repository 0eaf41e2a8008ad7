//! The four edges of the windows, one number inside and one outside of each, and what moves them.

use super::*;

/// After [`Scene::established`] each side has a window of 1000 and has sent nothing: the client
/// may send 100 to 1099, the server 500 to 1499.
#[test]
fn the_first_number_must_be_allowed() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(ACK, 1100, 500, 0), State::Established);
    let outside = Scene::established().push(Original, &segment(ACK, 1101, 500, 1));
    let invalid = numbers(Reason::SeqOver, 3, 1100);
    assert_eq!(outside, Outcome::Ignored(Ignored::Window(invalid)));
}

#[test]
fn a_sender_may_overrun_by_one_window_without_being_invalid() {
    // 998 bytes end at 2099; with the two that the count adds, one window past the edge.
    let inside = Scene::established().push(Original, &segment(ACK, 1101, 500, 998));
    assert!(matches!(inside, Outcome::Ignored(Ignored::Window(_))), "{inside:?}");
    let mut scene = Scene::established();
    let invalid = scene.invalid(Original, &segment(ACK, 1101, 500, 999));
    assert_eq!(invalid, numbers(Reason::SeqOver, 1, 1100));
    assert_eq!(scene.peer(Original).end, 100, "nothing was taken over");
}

#[test]
fn what_overran_may_be_acknowledged() {
    let mut scene = Scene::established();
    scene.push(Original, &segment(ACK, 1101, 500, 100));
    assert_eq!(scene.peer(Original).end, 1201);
    scene.accept(Reply, &segment(ACK, 500, 1201, 0), State::Established);
}

#[test]
fn only_what_was_sent_may_be_acknowledged() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(ACK, 100, 500, 50), State::Established);
    assert_eq!(
        scene.clone().invalid(Reply, &segment(ACK, 500, 151, 0)),
        numbers(Reason::AckOver, 1, 150)
    );
    scene.accept(Reply, &segment(ACK, 500, 150, 0), State::Established);
}

#[test]
fn an_old_segment_is_ignored_one_window_back() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(ACK, 100, 500, 1000), State::Established);
    scene.accept(Reply, &segment(ACK, 500, 1100, 0), State::Established);
    scene.accept(Original, &segment(ACK, 1100, 500, 500), State::Established);
    // Sent up to 1600, the server's window is 1000: an end below 600 is too old.
    scene.clone().accept(Original, &segment(ACK, 599, 500, 1), State::Established);
    let old = scene.push(Original, &segment(ACK, 598, 500, 1));
    assert_eq!(old, Outcome::Ignored(Ignored::Window(numbers(Reason::SeqUnder, 1, 600))));
}

#[test]
fn an_old_acknowledgment_is_ignored_66000_back() {
    let mut scene = Scene::established();
    let edge = 500_u32.wrapping_sub(66_000);
    scene.clone().accept(Original, &segment(ACK, 100, edge, 0), State::Established);
    let old = scene.push(Original, &segment(ACK, 100, edge.wrapping_sub(1), 0));
    assert_eq!(old, Outcome::Ignored(Ignored::Window(numbers(Reason::AckUnder, 1, edge))));
}

#[test]
fn the_edges_hold_across_zero() {
    let start = u32::MAX - 50;
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, start, 0, 0));
    scene.accept(Reply, &segment(SYN | ACK, u32::MAX, start + 1, 0), State::SynRecv);
    scene.accept(Original, &segment(ACK, start + 1, 0, 0), State::Established);
    let edge = start.wrapping_add(1001);
    scene.clone().accept(Original, &segment(ACK, edge, 0, 0), State::Established);
    let outside = segment(ACK, edge.wrapping_add(1), 0, 2000);
    assert_eq!(scene.invalid(Original, &outside), numbers(Reason::SeqOver, 1, edge));
    scene.accept(Original, &segment(ACK, start + 1, 0, 200), State::Established);
    scene.accept(Reply, &segment(ACK, 0, 150, 0), State::Established);
}

/// Both sides offer a scale: the window of the SYN-ACK itself is not scaled, later ones are.
#[test]
fn windows_are_scaled_when_both_sides_ask_for_it() {
    for (answer, scales, allowed) in [
        (&[3, 3, 2, 1][..], [4, 2], 100 + 4000),
        (&[1, 1, 1, 1], [0, 0], 100 + 1000),
        (&[], [0, 0], 1100),
    ] {
        let syn = with_options(segment(SYN, 99, 0, 0), &[3, 3, 4, 1]);
        let mut scene = Scene::begin(Sysctls::default(), &syn);
        let syn_ack = with_options(segment(SYN | ACK, 499, 100, 0), answer);
        scene.accept(Reply, &syn_ack, State::SynRecv);
        assert_eq!([scene.peer(Original).scale, scene.peer(Reply).scale], scales);
        assert_eq!(scene.peer(Original).max_end, 1100);
        scene.accept(Original, &segment(ACK, 100, 500, 0), State::Established);
        scene.accept(Reply, &segment(ACK, 500, 100, 0), State::Established);
        assert_eq!(scene.peer(Original).max_end, allowed);
    }
}

#[test]
fn a_closed_window_allows_a_probe_of_one_byte() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(ACK, 100, 500, 1000), State::Established);
    let closed = Segment { window: 0, ..segment(ACK, 500, 1100, 0) };
    scene.accept(Reply, &closed, State::Established);
    scene.accept(Original, &segment(ACK, 1101, 500, 0), State::Established);
    let beyond = scene.push(Original, &segment(ACK, 1102, 500, 0));
    assert_eq!(beyond, Outcome::Ignored(Ignored::Window(numbers(Reason::SeqOver, 2, 1101))));
}

#[test]
fn sack_acknowledges_only_what_was_sent_and_only_if_permitted() {
    let mut block = vec![1, 1, 5, 10];
    block.extend(900_u32.to_be_bytes());
    block.extend(1000_u32.to_be_bytes());
    for (permitted, valid) in [(&[4_u8, 2, 1, 1][..], false), (&[1, 1, 1, 1], true)] {
        let syn = with_options(segment(SYN, 99, 0, 0), permitted);
        let mut scene = Scene::begin(Sysctls::default(), &syn);
        scene.accept(Reply, &segment(SYN | ACK, 499, 100, 0), State::SynRecv);
        scene.accept(Original, &segment(ACK, 100, 500, 0), State::Established);
        let outcome = scene.push(Reply, &with_options(segment(ACK, 500, 100, 0), &block));
        assert_eq!(matches!(outcome, Outcome::Accept(_)), valid, "{outcome:?}");
    }
}

#[test]
fn the_answer_to_an_unseen_keep_alive_fits_in_mid_stream() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(ACK, 100, 500, 0));
    scene.accept(Reply, &segment(ACK, 500, 101, 0), State::Established);
    assert_eq!(scene.peer(Original).end, 101);
}

#[test]
fn be_liberal_lets_everything_in_but_moves_no_window() {
    let mut scene = Scene::established();
    scene.sysctls.tcp_be_liberal = true;
    let before = scene.record;
    scene.accept(Original, &segment(ACK, 1 << 31, 1 << 30, 10), State::Established);
    assert_eq!(scene.record.peers, before.peers);
}

/// Two SACK blocks half the sequence space apart end just below the acknowledgment: the window
/// grows to 2^32 - 1, an overrun wraps it to 0, and the side counts as silent, its scale kept.
#[test]
fn a_window_that_wraps_to_zero_begins_again_with_its_scale() {
    let options: &[u8] = &[4, 2, 3, 3, 5, 1];
    let syn = with_options(segment(SYN, 99, 0, 0), options);
    let mut scene = Scene::begin(Sysctls::default(), &syn);
    let syn_ack = with_options(segment(SYN | ACK, 499, 100, 0), options);
    scene.accept(Reply, &syn_ack, State::SynRecv);
    scene.accept(Original, &segment(ACK, 100, 500, 0), State::Established);
    let mut blocks = vec![1, 1, 5, 18];
    for edge in [100 + (1_u32 << 31), 99] {
        blocks.extend(0_u32.to_be_bytes());
        blocks.extend(edge.to_be_bytes());
    }
    let closed = Segment { window: 0, ..segment(ACK, 500, 100, 0) };
    scene.accept(Reply, &with_options(closed, &blocks), State::Established);
    assert_eq!(scene.peer(Reply).max_window, u32::MAX);
    let edge = scene.peer(Original).max_end;
    scene.accept(Original, &segment(ACK, edge, 500, 1), State::Established);
    assert_eq!(scene.peer(Reply).max_window, 0);
    scene.accept(Reply, &segment(ACK, 500, edge + 1, 0), State::Established);
    assert_eq!(scene.peer(Reply).max_window, 1000 << 5);
}
