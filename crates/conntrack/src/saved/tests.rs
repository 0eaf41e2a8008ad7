extern crate std;

use super::*;
use crate::listing::{Kind, ProcLine, SaveLine, Xml};
use alloc::string::ToString;

/// Printed by conntrack-tools 1.4.7 and Linux 6.18 of one FTP session.
const LISTED: &str = "\
tcp      6 431998 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=50804 dport=21 packets=5 bytes=274 src=10.0.0.1 dst=10.0.0.2 sport=21 dport=50804 packets=4 bytes=269 [ASSURED] mark=0 delta-time=1 helper=ftp use=2
udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=50692 dport=9999 packets=1 bytes=29 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=9999 dport=50692 packets=0 bytes=0 mark=0 delta-time=0 use=1
tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=55516 dport=51210 packets=3 bytes=164 src=10.0.0.1 dst=10.0.0.2 sport=51210 dport=55516 packets=2 bytes=116 [ASSURED] mark=0 delta-time=0 use=1
299 proto=6 src=10.0.0.2 dst=10.0.0.1 sport=0 dport=51210 mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.0.2 master-dst=10.0.0.1 sport=50804 dport=21 class=0 helper=ftp
";
const PROC: &str = "ipv4     2 tcp      6 431998 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=50804 dport=21 packets=5 bytes=274 src=10.0.0.1 dst=10.0.0.2 sport=21 dport=50804 packets=4 bytes=269 [ASSURED] mark=0 zone=0 delta-time=1 use=3";
const SAVE: &str = "-A -t 29 -u UNSET -s 10.0.0.1 -d 10.0.0.2 -r 10.0.0.2 -q 10.0.0.1 -p udp --sport 50692 --dport 9999 --reply-port-src 9999 --reply-port-dst 50692";
const XML: &str = "<flow><meta direction=\"original\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.0.2</src><dst>10.0.0.1</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>50804</sport><dport>21</dport></layer4><counters><packets>5</packets><bytes>274</bytes></counters></meta><meta direction=\"reply\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>10.0.0.1</src><dst>10.0.0.2</dst></layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>21</sport><dport>50804</dport></layer4><counters><packets>4</packets><bytes>269</bytes></counters></meta><meta direction=\"independent\"><state>ESTABLISHED</state><timeout>431998</timeout><mark>0</mark><use>2</use><id>2039155713</id><assured/><deltatime>1</deltatime></meta><helper>ftp</helper></flow>";

fn contents(text: &str) -> Contents {
    read(text).unwrap_or_else(|(line, error)| panic!("line {line}: {error}"))
}

#[test]
fn what_was_written_is_read_back_whole() {
    let mut before = contents(LISTED);
    // What no listing shows.
    before.flows[0].labels = Some(Labels([0b101; 16]));
    before.flows[0].started = Some(1_795_479_439_452_575_330);
    before.flows[1].status = Some(CtStatus::CONFIRMED | CtStatus::FIXED_TIMEOUT);
    before.flows[2].status = before.flows[2].status.map(|status| status | CtStatus::EXPECTED);
    before.flows[2].master = before.flows[0].tuple(Direction::Original);
    before.flows[0].age = None;
    let text = SavedTable::new(before.clone()).text();
    assert_eq!(contents(&text), before, "{text}");
}

#[test]
fn each_form_says_the_same_of_a_connection() {
    let listed = contents(LISTED).flows;
    let without_id = |flow: &Flow| Flow { id: None, ..flow.clone() };
    assert_eq!(without_id(&contents(XML).flows[0]), listed[0]);
    let from_proc = contents(PROC).flows.remove(0);
    let expected = Flow { helper: None, uses: Some(3), ..listed[0].clone() };
    assert_eq!(from_proc, expected);
    let saved = contents(SAVE).flows.remove(0);
    assert_eq!((saved.original, saved.reply), (listed[1].original, listed[1].reply));
    assert_eq!((saved.status, saved.timeout), (listed[1].status, listed[1].timeout));
}

#[test]
fn forms_are_printed_as_they_were_read() {
    let flows = contents(LISTED).flows;
    let proc = ProcLine { flow: &Flow { helper: None, ..flows[0].clone() }, now: None }.to_string();
    assert_eq!(proc, PROC);
    assert_eq!(SaveLine { flow: &flows[1], kind: Kind::Listed }.to_string(), SAVE);
    let numbered = Flow { id: Some(2_039_155_713), ..flows[0].clone() };
    let shown = crate::listing::Shown::default();
    assert_eq!(Xml { flow: &numbered, kind: Kind::Listed, shown }.to_string(), XML);
}

#[test]
fn broken_lines_are_named_with_their_place() {
    let error = |text: &str| read(text).expect_err(text);
    assert_eq!(error("\n\ntcp").0, 3);
    let cases = [
        ("tcp 6 src=1.1.1.1 dst=2.2.2.2", ReadError::Missing("two directions")),
        (
            "tcp 6 9 FOO src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2 src=2.2.2.2 dst=1.1.1.1 sport=2 dport=1",
            ReadError::Wrong("state".to_string(), "FOO".to_string()),
        ),
        (
            "udp 17 9 src=1.1.1.1 dst=2.2.2.2 sport=70000",
            ReadError::Wrong("sport".to_string(), "70000".to_string()),
        ),
        ("udp 17 9 src=1.1.1.1 dst=::1", ReadError::Wrong("dst".to_string(), "::1".to_string())),
        ("9 proto=6 src=1.1.1.1 dst=::1", ReadError::Wrong("dst".to_string(), "::1".to_string())),
        ("udp 17 9 src=1.1.1.1 dst=2.2.2.2 x=5", ReadError::Unexpected("x".to_string())),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), (1, expected), "{text}");
    }
}

#[test]
fn a_line_of_too_many_words_is_refused() {
    let words = |count: usize| "x=1 ".repeat(count);
    assert!(matches!(flow_line(&words(lines::WORDS_MAX + 1)), Err(ReadError::Unexpected(_))));
    let dates = alloc::format!("[start={}", "Tue ".repeat(lines::WORDS_MAX));
    assert_eq!(flow_line(&dates), Err(ReadError::Missing("two directions")));
    let dates = alloc::format!("[start={}", "Tue ".repeat(lines::WORDS_MAX + 1));
    assert_eq!(flow_line(&dates), Err(ReadError::TooLong));
}

#[test]
fn of_two_connections_with_one_tuple_the_first_stays() {
    let twice = alloc::format!("{PROC}\n{PROC}");
    let table = SavedTable::new(contents(&twice));
    assert_eq!(table.contents().flows.len(), 1);
    assert!(!table.is_changed());
}

#[test]
fn a_master_takes_its_expectations_along() {
    let mut table = SavedTable::new(contents(LISTED));
    let master = table.contents().flows[0].tuple(Direction::Original).expect("a whole tuple");
    assert_eq!(table.contents().expected.len(), 1);
    table.delete(&master, Zone::default()).expect("it is there");
    assert!(table.contents().expected.is_empty());
    assert!(table.is_changed());
    assert_eq!(table.delete(&master, Zone::default()), Err(Refusal::Missing));
}
