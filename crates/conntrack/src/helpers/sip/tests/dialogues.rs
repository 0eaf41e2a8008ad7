//! Dialogues: what is expected as they go on.

use super::{DESCRIPTION, Dialogue, Heard};
use crate::event::{Announcement, EventKind};
use crate::helpers::Instance;
use crate::testing::{Peers, Wire};
use crate::tuple::Direction;
use crate::{CtState, CtStatus};
use Heard::{Drop, Expects, Pass};
use core::time::Duration;
use keepstate_packet::{Family, tcp, udp};
use std::vec::Vec;

const RTP: Heard = Expects(&[(1, 4000), (1, 4001)]);

fn dialogue() -> Dialogue {
    Dialogue::new(Family::V4, udp::PROTOCOL)
}

fn message(start: &str, cseq: &str, body: &[u8]) -> Vec<u8> {
    [start.as_bytes(), b"\r\nCSeq: ", cseq.as_bytes(), b"\r\n\r\n", body].concat()
}

fn invite(number: u32, body: &[u8]) -> Vec<u8> {
    message("INVITE sip:a SIP/2.0", &std::format!("{number} INVITE"), body)
}

fn register(number: u32, rest: &str) -> Vec<u8> {
    std::format!("REGISTER sip:a SIP/2.0\r\nCSeq: {number} REGISTER\r\n{rest}\r\n\r\n").into_bytes()
}

fn registered(code: u16, number: u32, rest: &str) -> Vec<u8> {
    std::format!("SIP/2.0 {code} x\r\nCSeq: {number} REGISTER\r\n{rest}\r\n\r\n").into_bytes()
}

/// Flags and time left of the one expectation.
fn only(dialogue: &Dialogue) -> (u32, Duration) {
    let all = dialogue.expectations();
    let [one] = all.as_slice() else { panic!("{all:?}") };
    (one.announcement.expect("an expectation").flags, one.timeout.expect("it has a timeout"))
}

#[test]
fn media_are_expected_from_the_other_end_to_this_one() {
    let mut call = dialogue();
    call.hears(0, &invite(1, DESCRIPTION), RTP);
    let all = call.expectations();
    for (n, e) in all.iter().enumerate() {
        assert_eq!(e.original.source, Peers::new("10.2.0.2", "10.1.0.2").source.into());
        assert_eq!((e.original.source_port, e.reply.source_port), (0, 0));
        assert_eq!(e.original.destination_port, 4000 + n as u16, "RTP first");
        assert_eq!(e.timeout, Some(Duration::from_secs(180)));
    }
    let back = Peers::new("10.2.0.2", "10.1.0.2");
    let (state, direction) = call.wire.state(&back.udp((7000, 4000), b"x"));
    assert_eq!((state, direction), (CtState::Related, Some(Direction::Original)));
    assert_eq!(call.expected(), [(1, 4001)], "it serves once");
}

#[test]
fn every_message_prolongs_its_connection() {
    let mut call = dialogue();
    call.hears(0, b"x", Pass);
    let left = |call: &Dialogue| {
        let [conn] = call.wire.table.connections(call.wire.now)[..] else { panic!("one") };
        call.wire.table.remaining(call.wire.now, conn)
    };
    assert_eq!(left(&call), Some(Duration::from_secs(3600)));
    call.wire.table.sysctls_mut().set("nf_conntrack_sip.sip_timeout", "100").expect("it is set");
    call.hears(1, b"x", Pass);
    assert_eq!(left(&call), Some(Duration::from_secs(100)));
    call.hears(1, b"", Pass);
    assert_eq!(left(&call), Some(Duration::from_secs(30)), "UDP's own");
}

#[test]
fn an_invite_begins_anew_and_a_refusal_of_it_ends_it() {
    let mut call = dialogue();
    let other = b"v=0\r\nc=IN IP4 {me}\r\nm=audio 5000\r\n";
    call.hears(0, &invite(1, DESCRIPTION), RTP);
    call.hears(0, &invite(2, other), Expects(&[(1, 5000), (1, 5001)]));
    call.hears(1, &message("SIP/2.0 486 Busy", "1 INVITE", b""), Expects(&[(1, 5000), (1, 5001)]));
    call.hears(1, &message("SIP/2.0 486 Busy", "2 UPDATE", b""), Pass);
    call.hears(0, &invite(3, DESCRIPTION), RTP);
    call.hears(1, &message("SIP/2.0 404 x", "3 INVITE", b""), Pass);
}

#[test]
fn bye_ends_media_and_update_adds_to_them() {
    let mut call = dialogue();
    let other = b"v=0\r\nc=IN IP4 {me}\r\nm=audio 5000\r\n";
    call.hears(0, &invite(1, DESCRIPTION), RTP);
    let both = Expects(&[(1, 4000), (1, 4001), (1, 5000), (1, 5001)]);
    call.hears(0, &message("UPDATE sip:a SIP/2.0", "2 UPDATE", other), both);
    call.hears(1, &message("BYE sip:a SIP/2.0", "1 BYE", b""), Pass);
}

#[test]
fn a_class_holds_four_and_images_two() {
    let mut call = dialogue();
    let media = b"v=0\r\nc=IN IP4 {me}\r\nm=audio 4000\r\nm=audio 4002\r\nm=audio 4004\r\n";
    let kept = [(1, 4002), (1, 4003), (1, 4004), (1, 4005)];
    call.say(0, &invite(1, media)).expect("it arrives");
    assert_eq!(call.expected(), kept, "the oldest give way");
    let images = b"v=0\r\nc=IN IP4 {me}\r\nm=image 6000\r\nm=image 6002\r\n";
    call.hears(0, &invite(2, images), Expects(&[(3, 6002), (3, 6003)]));
}

#[test]
fn what_another_call_expects_already_is_shared() {
    let mut call = dialogue();
    call.wire.table.sysctls_mut().sip.direct_media = false;
    call.hears(0, &invite(1, DESCRIPTION), RTP);
    let second = Peers::new("10.1.0.3", "10.2.0.2");
    let again = super::expanded(&invite(1, DESCRIPTION));
    call.wire.send(&second.udp((20_000, 5060), &again)).expect("it arrives");
    let owners: Vec<_> = call.expectations().iter().map(|e| e.master).collect();
    assert_eq!(owners.len(), 2);
    let first = Peers::new("10.1.0.2", "10.2.0.2").source.into();
    assert!(owners.iter().all(|master| master.is_some_and(|tuple| tuple.source == first)));
    // Only RTP is there already under this port: RTCP is as good as expected.
    let odd = super::expanded(&invite(2, b"v=0\r\nc=IN IP4 {me}\r\nm=video 4000\r\n"));
    call.wire.send(&second.udp((20_000, 5060), &odd)).expect("another class will do, too");
    assert_eq!(call.expectations().len(), 2);
}

#[test]
fn a_narrower_one_in_the_way_of_a_wider_drops_the_message() {
    let mut call = dialogue();
    call.hears(0, &invite(1, DESCRIPTION), RTP);
    call.wire.table.sysctls_mut().sip.direct_media = false;
    let second = Peers::new("10.1.0.3", "10.2.0.2");
    let text = super::expanded(&invite(1, b"v=0\r\nc=IN IP4 {me}\r\nm=video 4000\r\n"));
    assert!(call.wire.send(&second.udp((20_000, 5060), &text)).is_err());
    assert_eq!(call.expectations().len(), 2);
}

#[test]
fn an_invite_that_is_dropped_leaves_nothing_behind() {
    let mut call = dialogue();
    let bad = b"v=0\r\nc=IN IP4 {me}\r\nm=audio 4000\r\nm=audio 80\r\n";
    call.hears(0, &invite(1, bad), Drop);
    assert_eq!(call.wire.table.count(), 0);
    call.hears(0, b"x", Pass);
    assert!(call.say(0, &invite(1, bad)).is_err());
    assert_eq!(call.expected(), [(1, 4000), (1, 4001)], "of a connection that is there, it stays");
}

#[test]
fn a_registration_waits_for_its_answer_and_lasts_as_long_as_that_says() {
    let contact = "Contact: <sip:a@{me}:5070>";
    let both = Announcement::PERMANENT | Announcement::INACTIVE;
    let mut phone = dialogue();
    phone.say(0, &register(1, &std::format!("Expires: 60\r\n{contact}"))).expect("it arrives");
    assert_eq!(only(&phone), (both, Duration::from_secs(180)));
    phone.say(1, &registered(100, 1, contact)).expect("it arrives");
    assert_eq!(only(&phone).0, both, "nothing final");
    phone.say(1, &registered(404, 2, "")).expect("it arrives");
    assert_eq!(only(&phone).0, both, "of another request");
    phone.say(1, &registered(200, 1, &std::format!("{contact};expires=600"))).expect("it arrives");
    assert_eq!(only(&phone), (Announcement::PERMANENT, Duration::from_secs(600)));
    let wraps = std::format!("{contact};expires=17179870");
    phone.say(1, &registered(200, 1, &wraps)).expect("it arrives");
    assert_eq!(only(&phone).1, Duration::from_millis(816), "ticks wrap around");
}

#[test]
fn a_registration_ends_when_its_answer_says_so() {
    let contact = "Contact: <sip:a@{me}:5070>";
    let asked = register(1, &std::format!("Expires: 60\r\n{contact}"));
    for answer in [
        registered(404, 1, ""),
        registered(302, 1, contact),
        registered(200, 1, ""),
        registered(200, 1, "Contact: <sip:a@{me}:5071>;expires=60"),
        registered(200, 1, "Contact: <sip:a@1.2.3.4:5070>;expires=60"),
        registered(200, 1, &std::format!("{contact};expires=0")),
        registered(200, 1, &std::format!("Expires: 0\r\n{contact}")),
        registered(200, 1, &std::format!("{contact};transport=tcp;expires=60")),
    ] {
        let mut phone = dialogue();
        phone.hears(0, &asked, Expects(&[(0, 5070)]));
        phone.hears(1, &answer, Pass);
    }
    let mut phone = dialogue();
    phone.hears(0, &asked, Expects(&[(0, 5070)]));
    let second = "Contact: <sip:b@9.9.9.9>;expires=9, <sip:a@{me}:5070>;expires=9";
    phone.hears(1, &registered(200, 1, second), Expects(&[(0, 5070)]));
    phone.hears(
        1,
        &registered(200, 1, &std::format!("{contact};expires=x")),
        Heard::DropExpecting(&[(0, 5070)]),
    );
}

#[test]
fn calls_at_a_registered_contact_are_read_too() {
    let mut phone = dialogue();
    let contact = "Contact: <sip:a@{me}:5070>;expires=60";
    phone.hears(0, &register(1, contact), Expects(&[(0, 5070)]));
    let registrar = Peers::new("10.2.0.2", "10.1.0.2");
    phone.wire.template.helper = None;
    let call = super::expanded(&invite(1, b"v=0\r\nc=IN IP4 {you}\r\nm=audio 4000\r\n"));
    let before = phone.wire.state(&registrar.udp((5060, 5070), &call));
    assert_eq!(before.0, CtState::New, "not before it is registered");
    let mut phone = dialogue();
    phone.hears(0, &register(1, contact), Expects(&[(0, 5070)]));
    phone.hears(1, &registered(200, 1, contact), Expects(&[(0, 5070)]));
    phone.wire.template.helper = None;
    for port in [5060, 5061] {
        let tracked = phone.wire.send(&registrar.udp((port, 5070), &call)).expect("it arrives");
        assert_eq!(tracked.state, CtState::Related);
        let conn = tracked.conn.expect("it has one");
        assert_eq!(phone.wire.table.helper(conn), Some(crate::helpers::Name::usual("sip")));
        let status = phone.wire.table.status(conn).expect("it is there");
        assert!(status.contains(CtStatus::EXPECTED) && !status.contains(CtStatus::HELPER));
    }
    assert_eq!(phone.expected(), [(0, 5070), (1, 4000), (1, 4001)], "the second call shares");
    // Who was called cannot register.
    let text = super::expanded(&register(1, "Contact: <sip:b@{you}:5080>;expires=60"));
    phone.wire.send(&registrar.udp((5060, 5070), &text)).expect("it arrives");
    assert_eq!(phone.expected().len(), 3);
}

#[test]
fn the_options_say_who_may_call_and_send() {
    let any = keepstate_packet::Address::default();
    let contact = "Contact: <sip:a@{me}:5070>;expires=60";
    let elsewhere = b"v=0\r\nc=IN IP4 10.1.0.9\r\nm=audio 4000\r\n";
    let mut phone = dialogue();
    phone.hears(0, &invite(1, elsewhere), Pass);
    for name in ["sip_direct_media", "sip_direct_signalling"] {
        let name = std::format!("nf_conntrack_sip.{name}");
        phone.wire.table.sysctls_mut().set(&name, "0").expect("it is set");
    }
    phone.hears(0, &invite(2, elsewhere), RTP);
    phone.hears(0, &register(3, contact), Expects(&[(0, 5070), (1, 4000), (1, 4001)]));
    for e in phone.expectations() {
        assert_eq!((e.original.source, e.reply.source), (any, any), "from anywhere");
    }
}

#[test]
fn a_stream_is_read_only_once_it_is_answered_and_segment_by_segment() {
    let mut call = Dialogue::new(Family::V4, tcp::PROTOCOL);
    let text = b"INVITE sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\nl: {l}\r\n\r\n";
    let whole = super::expanded(&[text, DESCRIPTION].concat());
    let (one, two) = whole.split_at(60);
    call.hears(0, one, Pass);
    call.hears(0, two, Pass);
    call.hears(0, &whole, RTP);
}

/// Linux 6.18: it is expected for as long as that packet lives.
#[test]
fn what_the_reset_announces_goes_with_its_connection() {
    let mut wire = Wire::new();
    wire.template.helper = Instance::named("sip", Family::V4, tcp::PROTOCOL);
    let client = Peers::new("10.1.0.2", "10.2.0.2");
    wire.send(&client.tcp((1024, 5060), 0x10, (1, 1), b"")).expect("it arrives");
    let body = "v=0\r\nc=IN IP4 10.2.0.2\r\nm=audio 4000 RTP/AVP 0\r\n";
    let start = "INVITE sip:a SIP/2.0\r\nCSeq: 1 INVITE\r\nContent-Length:";
    let said = std::format!("{start} {}\r\n\r\n{body}", body.len());
    let reset = client.turned().tcp((5060, 1024), 0x14, (1, 1), said.as_bytes());
    wire.events();
    wire.send(&reset).expect("it arrives");
    let events: Vec<_> = std::iter::from_fn(|| wire.table.poll_event()).collect();
    let told: Vec<_> = events.iter().map(|event| event.kind).collect();
    let expectations = [
        EventKind::ExpectNew,
        EventKind::ExpectNew,
        EventKind::ExpectDestroy,
        EventKind::ExpectDestroy,
    ];
    assert_eq!(told, [&[EventKind::Destroy][..], &expectations].concat());
    assert_eq!(wire.table.expectations(wire.now), []);
}
