use super::*;
use crate::evaluate::Stores;
use crate::matches::testing::{self, Row, ipv4};
use crate::syntax::iptables_save;
use alloc::vec::Vec;
use keepstate_packet::Family::V4;

#[test]
fn texts() {
    let rows: &[Row] = &[
        ("-p tcp -m osf --genre Linux", "=", " OS fingerprint match Linux", "="),
        ("-p tcp -m osf ! --genre Linux", "=", " OS fingerprint match ! Linux", "="),
        ("-p tcp -m osf --genre Linux --ttl 0", "=", " OS fingerprint match Linux", "="),
        ("-p tcp -m osf --genre Linux --ttl 2 --log 1", "=", " OS fingerprint match Linux", "="),
        (
            "-p tcp -m osf --log 2 --ttl 0x1 --genre Linux",
            "-p tcp -m osf --genre Linux --ttl 1 --log 2",
            " OS fingerprint match Linux",
            "=",
        ),
        ("-p tcp -m osf --genre Windows:XP", "=", " OS fingerprint match Windows:XP", "="),
        (
            "-p tcp -m osf --genre aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "-p tcp -m osf --genre aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            " OS fingerprint match aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "=",
        ),
        ("-m osf --genre Linux", "", "", ""),
        ("-p udp -m osf --genre Linux", "", "", ""),
        ("! -p tcp -m osf --genre Linux", "", "", ""),
        ("-p tcp -m osf", "", "", ""),
        ("-p tcp -m osf --ttl 1", "", "", ""),
        ("-p tcp -m osf --genre Linux --ttl 3", "", "", ""),
        ("-p tcp -m osf --genre Linux --log 3", "", "", ""),
        ("-p tcp -m osf --genre Linux ! --ttl 1", "", "", ""),
    ];
    testing::check(V4, rows);
    assert!(testing::saved(Family::V6, "-p tcp -m osf --genre Linux").is_err());
    let output = "*filter\n-A OUTPUT -p tcp -m osf --genre Linux\nCOMMIT\n";
    assert!(iptables_save::parse(output, V4).is_err());
}

const MSS: &[u8] = &[2, 4, 5, 180];
const SACK: &[u8] = &[4, 2];
const TIME: &[u8] = &[8, 10, 0, 0, 0, 1, 0, 0, 0, 0];
const SCALE: &[u8] = &[3, 3, 7];
const NOP: &[u8] = &[1];

/// A segment with these options, from port 4660 to port 80.
fn segment(flags: u8, window: u16, ttl: u8, options: &[&[u8]]) -> Vec<u8> {
    let options = options.concat();
    let mut tcp = Vec::from([0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0]);
    tcp.extend([((20 + options.len()) as u8 / 4) << 4, flags]);
    tcp.extend(window.to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend(options);
    let mut packet = ipv4(6, &tcp);
    (packet[6], packet[8]) = (0x40, ttl);
    packet
}

fn ask(file: &str, options: &str, packet: &[u8]) -> (bool, Vec<String>) {
    let text = format!("*filter\n-A INPUT -p tcp -m osf {options}\nCOMMIT\n");
    let ruleset = iptables_save::parse(&text, V4).unwrap();
    let mut fingerprints = Fingerprints::default();
    fingerprints.load(file).unwrap();
    let mut stores = Stores::new(1);
    stores.fingerprints = alloc::sync::Arc::new(fingerprints);
    let rule = &ruleset.tables[0].chains[0].rules[0];
    let (answer, log) = testing::ask_packet_with(rule, packet, &mut stores);
    let lines = log.into_iter().map(|line| match line {
        Logged::Line(line) => line.text.split('\n').next().unwrap().into(),
        Logged::Nflog(_) => panic!("{line:?}"),
    });
    (answer == Answer::Yes, lines.collect())
}

const LINUX: &str = "S4:64:1:60:M*,S,T,N,W7:Linux:2.6::Linux 2.6 (newer, 3)\n";

/// As seen with Linux: what matches of `--genre Linux` with TTLs of level 0, 1 and 2.
#[test]
fn packets_as_they_were_seen() {
    let usual = [MSS, SACK, TIME, NOP, SCALE];
    let with_size = |size: u16| {
        let [high, low] = size.to_be_bytes();
        [2, 4, high, low]
    };
    let (size1400, size0) = (with_size(1400), with_size(0));
    let of_1400 = [&size1400[..], SACK, TIME, NOP, SCALE];
    let rows: Vec<(Vec<u8>, [bool; 3])> = [
        (segment(0x02, 5840, 64, &usual), [true; 3]),
        (segment(0x12, 5840, 64, &usual), [true; 3]),
        (segment(0x06, 5840, 64, &usual), [true; 3]),
        (segment(0x10, 5840, 64, &usual), [false; 3]),
        (segment(0x02, 5841, 64, &usual), [false; 3]),
        (segment(0x02, 5840, 63, &usual), [false, true, true]),
        (segment(0x02, 5840, 65, &usual), [false, false, true]),
        (segment(0x02, 5840, 1, &usual), [false, true, true]),
        (segment(0x02, 5840, 64, &[MSS, SACK, TIME, NOP, &[3, 3, 9]]), [true; 3]),
        (segment(0x02, 5840, 64, &[MSS, SACK, TIME, NOP, &[3, 2, 7]]), [true; 3]),
        (segment(0x02, 5840, 64, &[&[2, 3, 5, 180], SACK, TIME, NOP, SCALE]), [true; 3]),
        (segment(0x02, 5840, 64, &[MSS, SACK, TIME, SCALE, NOP]), [false; 3]),
        (segment(0x02, 5600, 64, &of_1400), [true; 3]),
        (segment(0x02, 5840, 64, &of_1400), [true; 3]),
        (segment(0x02, 4 * 1448, 64, &of_1400), [true; 3]),
        (segment(0x02, 4 * 1412, 64, &of_1400), [false; 3]),
        (segment(0x02, 0, 64, &[&size0, SACK, TIME, NOP, SCALE]), [true; 3]),
    ]
    .into();
    for (packet, wanted) in rows {
        for (level, wanted) in wanted.into_iter().enumerate() {
            for not in ["", "! "] {
                let options = format!("{not}--genre Linux --ttl {level}");
                assert_eq!(ask(LINUX, &options, &packet).0, wanted, "{options} {packet:?}");
            }
        }
    }
    let whole = segment(0x02, 5840, 64, &usual);
    let mut fragmentable = whole.clone();
    fragmentable[6] = 0;
    let mut longer = whole.clone();
    longer.push(0);
    longer[3] += 1;
    for packet in [fragmentable, longer] {
        assert!(!ask(LINUX, "--genre Linux", &packet).0, "{packet:?}");
    }
    assert!(!ask("", "--genre Linux", &whole).0);
    assert!(!ask(LINUX, "--genre Windows", &whole).0);
    // Beyond its end a header says nothing.
    let mut cut = whole;
    cut.truncate(50);
    (cut[3], cut[33]) = (50, 2);
    assert!(!ask(LINUX, "--genre Linux", &cut).0);
}

#[test]
fn windows_of_every_kind() {
    let rows = [
        ("*", 7, true),
        ("0", 7, true),
        ("7", 7, true),
        ("7", 8, false),
        ("%8", 16, true),
        ("%8", 0, true),
        ("%8", 17, false),
        ("S2", 2920, true),
        ("T2", 3000, true),
        ("T2", 2 * 1488, true),
        ("T2", 2920, false),
        ("nonsense", 9, true),
    ];
    for (window, found, wanted) in rows {
        let file = format!("{window}:64:1:44:M*:\t\tX:1:2:details\n");
        let packet = segment(0x02, found, 64, &[MSS]);
        assert_eq!(ask(&file, "--genre X", &packet).0, wanted, "{window} {found}");
    }
}

#[test]
fn what_fits_is_logged() {
    let file = format!("{LINUX}*:66:1:60:M,S,T,N,W:Other:1:a b:\n");
    let packet = segment(0x02, 5840, 64, &[MSS, SACK, TIME, NOP, SCALE]);
    let linux = "Linux [2.6:] : 10.0.0.1:4660 -> 192.0.2.1:80 hops=0";
    let other = "Other [1:a b] : 10.0.0.1:4660 -> 192.0.2.1:80 hops=2";
    let unknown = "Remote OS is not known: 10.0.0.1:4660 -> 192.0.2.1:80";
    let ask = |options, packet| ask(&file, options, packet);
    let wanted = |found: bool, lines: &[&str]| {
        (found, lines.iter().map(|line| (*line).into()).collect::<Vec<String>>())
    };
    assert_eq!(ask("--genre Nope --ttl 2 --log 0", &packet), wanted(true, &[linux, other]));
    assert_eq!(ask("--genre Nope --ttl 2 --log 1", &packet), wanted(true, &[linux]));
    assert_eq!(ask("--genre Nope --log 2", &packet), wanted(true, &[linux]));
    assert_eq!(ask("--genre Linux --ttl 2", &packet), wanted(true, &[]));
    let bare = segment(0x02, 5840, 64, &[]);
    assert_eq!(ask("--genre Linux --log 0", &bare), wanted(false, &[unknown]));
    // What is no SYN is not looked at.
    let other = segment(0x10, 5840, 64, &[]);
    assert_eq!(ask("--genre Linux --log 0", &other), wanted(false, &[]));
}

#[test]
fn lines_are_read_as_the_tool_reads_them() {
    let one = |row: &str| {
        let mut read = Fingerprints::default();
        read.load(row).map(|()| read.iter().next().cloned())
    };
    let rows = [
        ("123:300:5:70000:M70000 , N:Li nux :2.6:sub:d", (44, true, 4464, 2), "Li nux "),
        ("123 : 64 : 0 : * : m1,X,?8,,N: @Linux: 2.6:sub:d", (64, false, 0, 1), "Linux"),
        ("123:0x40:1:60:.:*Linux:2.6:sub:d", (0, true, 60, 0), "Linux"),
    ];
    for (row, (ttl, df, length, options), genre) in rows {
        let found = one(row).unwrap().unwrap();
        let about = (found.ttl, found.dont_fragment, found.length, found.options.len());
        assert_eq!((about, found.genre.as_str()), ((ttl, df, length, options), genre), "{row}");
    }
    for row in ["", "# 1:2:3:4:5:6:7:8:9"] {
        assert_eq!(one(row), Ok(None), "{row}");
    }
    let nops = alloc::vec!["N"; OPTIONS_OVER].join(",");
    for row in [
        "123:64:1:60:M1:Linux:2.6:sub",
        "123:64:1:60:M1:Linux:2.6:sub:d:more",
        "%0:64:1:60:M1:Linux:2.6:sub:d",
        &format!("1:64:1:60:{nops}:Linux:2.6:sub:d"),
        &format!("1:64:1:60:M:Linux:2.6:sub:{}", "d".repeat(1024)),
    ] {
        assert!(one(row).is_err(), "{row}");
    }
    // Twice is once, and another value of an option makes another one.
    let mut twice = Fingerprints::default();
    twice.load(&format!("{LINUX}{LINUX}")).unwrap();
    assert_eq!(twice.iter().count(), 1);
    for (number, other) in ["W6", "W%7", "W*"].into_iter().enumerate() {
        twice.load(&LINUX.replace("W7", other)).unwrap();
        assert_eq!(twice.iter().count(), number + 2, "{other}");
    }
}

const OPTIONS_OVER: usize = fingerprints::OPTIONS_MAX + 1;

#[test]
fn so_many_fingerprints_and_no_more() {
    let mut all = String::new();
    for number in 1..=fingerprints::FINGERPRINTS_MAX {
        let _ = writeln!(all, "{}:64:1:60:M:L{}:2.6::d", number % 65_536, number / 65_536);
    }
    let mut read = Fingerprints::default();
    assert_eq!(read.load(&all), Ok(()));
    assert!(read.load("1:1:1:1:M:one more:::d\n").is_err());
}
