use super::*;

fn read(text: &str) -> Vec<Written> {
    let mut reader = Reader::default();
    reader.lines(text).unwrap_or_else(|fault| panic!("{fault}"));
    reader.finish()
}

fn fault(text: &str) -> Fault {
    Reader::default().lines(text).expect_err(text)
}

#[test]
fn interface_first_or_last_or_not_at_all() {
    let name = |name| Way::Interface(InterfaceName::new(name).expect("a name"));
    for (text, way) in [
        ("tcp 10.0.0.5:1234 > 192.0.2.1:80 syn in eth0", name("eth0")),
        ("eth0 tcp 10.0.0.5:1234 > 192.0.2.1:80 SYN", name("eth0")),
        ("host tcp 10.0.0.5:1234 > 192.0.2.1:80 SYN", Way::Host),
        ("tcp 10.0.0.5:1234 > 192.0.2.1:80 syn", Way::Unsaid),
        ("eth0 tcp 10.0.0.5:1234 > 192.0.2.1:80 SYN -> NEW original accept", name("eth0")),
    ] {
        let [one] = &*read(text) else { panic!("{text}") };
        assert_eq!((one.way, one.bytes.len()), (way, 40), "{text}");
    }
}

#[test]
fn time_and_comments() {
    let text = "# first\nudp 10.0.0.1:1 > 10.0.0.2:2\n\n# lost\n\n+31s\n# the\n# second\n\
                udp 10.0.0.2:2 > 10.0.0.1:1 \"yes\"\nudp 10.0.0.2:2 > 10.0.0.1:1 mark=0x7\n";
    let written = read(text);
    let notes: Vec<_> = written.iter().map(|one| one.note.as_deref()).collect();
    assert_eq!(notes, [Some("first"), Some("the second"), None]);
    let times: Vec<_> = written.iter().map(|one| one.at.as_millis()).collect();
    assert_eq!(times, [0, 31_000, 31_010]);
    assert_eq!(written.iter().map(|one| one.mark).collect::<Vec<_>>(), [0, 0, 7]);
    assert!(written[1].bytes.ends_with(b"yes"));
}

#[test]
fn errors_point_at_the_place() {
    for (text, line, column, says) in [
        ("tpc 10.0.0.1:1 > 10.0.0.2:2", 1, 5, "10.0.0.1:1: no protocol"),
        ("tcp 10.0.0.1:1 10.0.0.2:2 syn ack", 1, 16, "want `>`"),
        ("tcp 10.0.0.1:1 > 10.0.0.2", 1, 18, "want ADDRESS:PORT"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2 sny", 1, 29, "no word for a segment"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2 seq=5000000000", 1, 33, "not a number"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2 \"open", 1, 34, "a quote without an end"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2 \"\\q\"", 1, 30, "no such escape"),
        ("udp 10.0.0.1:1 > [2001:db8::1]:2", 1, 18, "different families"),
        ("\n\n  icmp 10.0.0.1 > 10.0.0.2 3/3 about=1", 3, 38, "quotes no earlier packet"),
        ("+5", 1, 1, "want +NUMBER"),
        ("tcp 10.0.0.1:1 >", 1, 17, "want [INTERFACE] PROTOCOL"),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 len=65535", 1, 1, "65,535 bytes"),
    ] {
        let fault = fault(text);
        assert_eq!((fault.line, fault.column), (line, column), "{text}: {fault}");
        assert!(fault.text.contains(says), "{text}: {}", fault.text);
    }
    let shown = fault("tcp 10.0.0.1:1 > 10.0.0.2:2 sny").to_string();
    assert!(shown.ends_with("2:2 sny\n                                ^"), "{shown}");
}

#[test]
fn not_more_than_is_kept() {
    let one = "udp 10.0.0.1:1 > 10.0.0.2:2\n";
    assert_eq!(read(&one.repeat(PACKETS_MAX)).len(), PACKETS_MAX);
    assert_eq!(fault(&one.repeat(PACKETS_MAX + 1)).line, PACKETS_MAX + 1);
    let long = "udp 10.0.0.1:1 > 10.0.0.2:2 len=60000\n";
    assert!(fault(&long.repeat(BYTES_MAX / 60_000 + 1)).text.contains("MiB"));
}
