//! Resets: which are believed.

use super::*;

#[test]
fn the_only_answer_being_a_reset_the_connection_goes() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    assert_eq!(scene.push(Reply, &segment(RST | ACK, 0, 100, 0)), Outcome::Kill);
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    assert_eq!(scene.push(Original, &segment(RST, 100, 0, 0)), Outcome::Kill);
}

#[test]
fn a_closed_port_may_answer_with_zeros() {
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    assert_eq!(scene.push(Reply, &segment(RST | ACK, 0, 0, 0)), Outcome::Kill);
    let mut scene = Scene::begin(Sysctls::default(), &segment(SYN, 99, 0, 0));
    let wrong = scene.invalid(Reply, &segment(RST | ACK, 0, 102, 0));
    assert_eq!(wrong, numbers(Reason::AckOver, 2, 100));
}

/// The client has acknowledged up to 500: that is where a reset of the server has to be.
#[test]
fn on_an_assured_connection_only_the_exact_number_closes() {
    let mut scene = Scene::established();
    scene.clone().accept(Reply, &segment(RST, 500, 0, 0), State::Close);
    scene.clone().accept(Reply, &segment(RST, 501, 0, 0), State::Established);
    let below = numbers(Reason::InvalidRst, 1, 500);
    assert_eq!(scene.clone().invalid(Reply, &segment(RST, 499, 0, 0)), below);
    scene.sysctls.tcp_ignore_invalid_rst = true;
    scene.accept(Reply, &segment(RST, 499, 0, 0), State::Established);
}

#[test]
fn a_reset_right_behind_its_own_data_closes() {
    let mut scene = Scene::established();
    scene.accept(Reply, &segment(ACK, 500, 100, 30), State::Established);
    let close = scene.accept(Reply, &segment(RST, 530, 0, 0), State::Close);
    assert_eq!(close.timeout, seconds(10));
    let mut scene = Scene::established();
    scene.accept(Reply, &segment(ACK, 500, 100, 30), State::Established);
    scene.accept(Original, &segment(ACK, 100, 500, 1), State::Established);
    let kept = scene.accept(Reply, &segment(RST, 530, 0, 0), State::Established);
    assert_eq!(kept.timeout, seconds(10), "the ends may know better, but not for long");
}

#[test]
fn a_reset_of_a_stray_syn_closes_whatever_its_number() {
    let mut scene = Scene::established();
    scene.out_of_step(Original, &segment(SYN, 900_000, 0, 0));
    scene.clone().accept(Reply, &segment(RST | ACK, 0, 900_001, 0), State::Close);
    let other = scene.invalid(Reply, &segment(RST | ACK, 0, 900_002, 0));
    assert_eq!(other.reason, Reason::AckOver);
}

#[test]
fn on_a_closing_connection_every_reset_closes() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(FIN | ACK, 100, 500, 0), State::FinWait);
    scene.accept(Reply, &segment(RST, 1 << 31, 1 << 30, 0), State::Close);
    assert_eq!(scene.timeout, seconds(10));
}

/// The one who reset may open again; the other is only listened to.
#[test]
fn a_syn_on_a_reset_connection() {
    let mut scene = Scene::established();
    scene.accept(Original, &segment(RST, 100, 500, 0), State::Close);
    assert_eq!(scene.clone().push(Original, &segment(SYN, 9000, 0, 0)), Outcome::Restart);
    let mut scene = Scene::established();
    scene.accept(Reply, &segment(RST, 500, 100, 0), State::Close);
    scene.out_of_step(Original, &segment(SYN, 9000, 0, 0));
    scene.accept(Reply, &segment(SYN | ACK, 7000, 9001, 0), State::SynRecv);
}
