use super::*;
use crate::evaluate::TableState;
use crate::matches::testing::{Bench, Row, answer, check, ipv4, ipv6, later_fragment};
use alloc::vec;
use keepstate_packet::{Address, Instant};

const ROWS: &[Row] = &[
    (
        "-m hashlimit --hashlimit 5 --hashlimit-name a",
        "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 5 --hashlimit-name a",
        " limit: up to 5/sec burst 5",
        "=",
    ),
    (
        "-m hashlimit ! --hashlimit-upto 60/MIN --hashlimit-mode dstport,,srcip --hashlimit-name a",
        "-m hashlimit --hashlimit-above 1/sec --hashlimit-burst 5 --hashlimit-mode srcip,dstport \
         --hashlimit-name a --hashlimit-htable-expire 60000",
        " limit: above 1/sec burst 5 mode srcip-dstport htable-expire 60000",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 400mb/s --hashlimit-burst 403mb --hashlimit-name a",
        "-m hashlimit --hashlimit-upto 402mb/s --hashlimit-burst 804mb --hashlimit-name a",
        " limit: up to 402mb/s burst 804mb",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 1500kb/s --hashlimit-name a --hashlimit-htable-expire 1000",
        "=",
        " limit: up to 1500kb/s htable-expire 1000",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 5kb/s --hashlimit-burst 6kb --hashlimit-name a",
        "-m hashlimit --hashlimit-upto 5kb/s --hashlimit-burst 10kb --hashlimit-name a",
        " limit: up to 5kb/s burst 10kb",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 500gb/s --hashlimit-name a",
        "-m hashlimit --hashlimit-upto 496b/s --hashlimit-name a",
        " limit: up to 496b/s",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 5kb/s --hashlimit-burst 5000mb --hashlimit-name a",
        "-m hashlimit --hashlimit-upto 5kb/s --hashlimit-burst 903mb --hashlimit-name a",
        " limit: up to 5kb/s burst 903mb",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 0x10 --hashlimit-name a",
        "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 16 --hashlimit-name a",
        " limit: up to 5/sec burst 16",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 10kb --hashlimit-mode srcip \
         --hashlimit-name a --hashlimit-srcmask 255.255.255.0 --hashlimit-htable-size 4294967295",
        "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 10240 --hashlimit-mode srcip \
         --hashlimit-name a --hashlimit-htable-size 1048576 --hashlimit-srcmask 24",
        " limit: up to 5/sec burst 10240 mode srcip htable-size 1048576 srcmask 24",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 10/sec --hashlimit-burst 5 --hashlimit-mode srcip \
         --hashlimit-name r3 --hashlimit-htable-expire 60000 --hashlimit-rate-match \
         --hashlimit-rate-interval 5",
        "=",
        " limit: up to 2/sec burst 5 mode srcip htable-expire 60000 rate-match rate-interval 5",
        "=",
    ),
    (
        "-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 37 --hashlimit-name a",
        "=",
        " limit: up to 1/hour burst 37",
        "=",
    ),
    ("-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 38 --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 1/day --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 0/sec --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 1000001/sec --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5/secondx --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5/ --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5/sec", "", "", ""),
    ("-m hashlimit --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-name a/b", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-name ..", "", "", ""),
    (
        "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 1000001 --hashlimit-name a",
        "",
        "",
        "",
    ),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst b --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5kb/s --hashlimit-burst 5 --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-mode none --hashlimit-name a", "", "", ""),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-srcmask 33 --hashlimit-name a", "", "", ""),
    (
        "-m hashlimit --hashlimit-upto 5/sec --hashlimit-htable-expire 0 --hashlimit-name a",
        "",
        "",
        "",
    ),
    ("-m hashlimit --hashlimit-upto 5/sec --hashlimit-above 5/sec --hashlimit-name a", "", "", ""),
    (
        "-m hashlimit --hashlimit-upto 60000000/min --hashlimit-rate-match --hashlimit-name a",
        "",
        "",
        "",
    ),
];

#[test]
fn rules() {
    check(Family::V4, ROWS);
    let rows: &[Row] = &[
        (
            "-m hashlimit --hashlimit-upto 5/sec --hashlimit-srcmask 128 --hashlimit-dstmask 48 \
             --hashlimit-name a",
            "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 5 --hashlimit-name a \
             --hashlimit-dstmask 48",
            " limit: up to 5/sec burst 5 dstmask 48",
            "=",
        ),
        (
            "-m hashlimit --hashlimit-upto 5/sec --hashlimit-srcmask 129 --hashlimit-name a",
            "",
            "",
            "",
        ),
    ];
    check(Family::V6, rows);
}

/// A minute's rate with a window is saved as a second's: that is how iptables does it, though it does
/// not read it back with the same expiry.
#[test]
fn a_window_takes_the_unit_of_the_rate() {
    let rule = "-m hashlimit --hashlimit-upto 7/hour --hashlimit-name a --hashlimit-rate-match";
    let saved = "-m hashlimit --hashlimit-upto 7/sec --hashlimit-burst 5 --hashlimit-name a \
                 --hashlimit-htable-expire 3600000 --hashlimit-rate-match --hashlimit-rate-interval 3600";
    let listed =
        " limit: up to 168/day burst 5 htable-expire 3600000 rate-match rate-interval 3600";
    check(Family::V4, &[(rule, saved, listed, "=")]);
}

const SECOND: u64 = 1_000_000_000;

fn from(last: u8, length: usize) -> Vec<u8> {
    let mut packet = ipv4(17, &vec![0; length - 20]);
    packet[15] = last;
    packet
}

/// When each packet comes (milliseconds), from which host, how long it is: whether it matches.
fn run(rule: &str, packets: &[(u64, u8, usize, Answer)]) {
    let mut bench = Bench::new(Family::V4, &format!("-m hashlimit {rule}"));
    let start = bench.now.0;
    for (number, (at, host, length, wanted)) in packets.iter().enumerate() {
        bench.now = Instant(start + at * (SECOND / 1000));
        assert_eq!(bench.answer(&from(*host, *length)), *wanted, "packet {number} of {rule}");
    }
}

#[test]
fn packets_by_rate() {
    use Answer::{Hotdrop, No, Yes};
    let rule =
        "--hashlimit-upto 5/sec --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name a";
    let short = 28;
    let rows = [
        (0, 1, short, Yes),
        (0, 1, short, Yes),
        (0, 2, short, Yes),
        (0, 1, short, No),
        (196, 1, short, No),
        (200, 1, short, Yes),
        (600, 1, short, Yes),
        (600, 1, short, Yes),
        (600, 1, short, No),
    ];
    run(rule, &rows);
    let full = "--hashlimit-upto 5/sec --hashlimit-mode srcip --hashlimit-name a \
                --hashlimit-htable-size 1 --hashlimit-htable-max 2";
    let rows = [
        (0, 1, short, Yes),
        (0, 2, short, Yes),
        (0, 3, short, Hotdrop),
        (900, 1, short, Yes),
        // Swept at the second, but 2 and not 1 had expired by then.
        (1004, 3, short, Yes),
        (1004, 4, short, Hotdrop),
    ];
    run(full, &rows);
    let above = "--hashlimit-above 1/min --hashlimit-burst 1 --hashlimit-name a";
    run(above, &[(0, 1, short, No), (0, 2, short, Yes)]);
    // Forgotten, it begins with its burst again.
    let fresh = "--hashlimit-upto 1/min --hashlimit-burst 1 --hashlimit-mode srcip --hashlimit-name a \
                 --hashlimit-htable-expire 300";
    run(fresh, &[(0, 1, short, Yes), (350, 1, short, No), (1004, 1, short, Yes)]);
}

/// As seen in Linux: 1 kb/s with packets of 28 and 1028 bytes.
#[test]
fn bytes_by_rate() {
    use Answer::{No, Yes};
    let rows = [
        (0, 1, 28, Yes),
        (0, 1, 1028, No),
        (28, 1, 1028, No),
        (32, 1, 1028, Yes),
        (32, 1, 1028, No),
    ];
    run("--hashlimit-upto 1kb/s --hashlimit-mode srcip --hashlimit-name a", &rows);
    // Filled up twice.
    let burst = "--hashlimit-upto 1kb/s --hashlimit-burst 2kb --hashlimit-name a";
    run(burst, &[(0, 1, 1028, Yes), (0, 1, 1028, Yes), (0, 1, 1028, Yes), (0, 1, 1028, No)]);
}

#[test]
fn windows() {
    use Answer::{No, Yes};
    let rule = "--hashlimit-upto 1/sec --hashlimit-burst 2 --hashlimit-name a --hashlimit-rate-match \
         --hashlimit-htable-expire 60000";
    let rows = [
        (0, 1, 28, Yes),
        (0, 1, 28, Yes),
        (0, 1, 28, Yes),
        (0, 1, 28, No),
        // The window before was above the rate.
        (1000, 1, 28, No),
        (2000, 1, 28, Yes),
        (3500, 1, 28, Yes),
    ];
    run(rule, &rows);
    let bytes =
        "--hashlimit-upto 1kb/s --hashlimit-burst 3kb --hashlimit-name a --hashlimit-rate-match";
    run(bytes, &[(0, 1, 84, Yes), (0, 1, 2000, Yes), (0, 1, 988, Yes), (0, 1, 28, No)]);
}

#[test]
fn what_has_no_ports_and_what_lost_them() {
    let rule = "-m hashlimit --hashlimit-upto 1/day --hashlimit-burst 1 --hashlimit-mode srcport,dstport \
                --hashlimit-name a";
    let of = |packet: &[u8]| ports(&Parsed::new(packet).unwrap(), packet);
    let eight = [0, 1, 0, 2, 0, 4, 0, 3];
    assert_eq!(of(&ipv4(17, &eight)), Some((1, 2)));
    assert_eq!(of(&ipv4(50, &eight)), Some((1, 2)));
    assert_eq!(of(&ipv4(51, &eight)), Some((4, 3)));
    assert_eq!(of(&ipv4(47, &eight)), Some((0, 0)));
    assert_eq!(of(&later_fragment(17, &eight)), Some((0, 0)));
    assert_eq!(of(&ipv4(132, &[0, 1])), None);
    assert_eq!(of(&ipv6(59, &[])), None);
    assert_eq!(of(&ipv6(60, &[17, 0])), None);
    assert_eq!(of(&ipv6(51, &[17, 1, 0, 2, 0, 4, 0, 3, 0, 0, 0, 1, 0, 10, 0, 20])), Some((10, 20)));
    assert_eq!(answer(rule, &ipv4(17, &[0, 1])), Answer::Hotdrop);
    let mut bench = Bench::new(Family::V4, rule);
    assert_eq!(bench.answer(&ipv4(17, &eight)), Answer::Yes);
    assert_eq!(bench.answer(&ipv4(50, &eight)), Answer::No);
}

#[test]
fn networks() {
    let address = Address::v4([10, 1, 2, 3]);
    assert_eq!(masked(address, 13)[..4], [10, 0, 0, 0]);
    assert_eq!(masked(address, 0), [0; 16]);
    assert_eq!(masked(Address::v6([0xff; 16]), 128), [0xff; 16]);
}

#[test]
fn rules_of_one_name_share_what_the_first_says() {
    let text = "*filter\n-A INPUT -m hashlimit --hashlimit-upto 1/min --hashlimit-burst 1 \
                --hashlimit-name s\n-A FORWARD -m hashlimit --hashlimit-upto 100/sec --hashlimit-burst 9 \
                --hashlimit-mode srcip --hashlimit-name s\nCOMMIT\n";
    let ruleset = crate::syntax::iptables_save::parse(text, Family::V4).unwrap();
    let mut stores = Stores::new(1);
    stores.declare([&ruleset].into_iter());
    let table = stores.hashlimit.of(Family::V4).named("s").unwrap();
    assert_eq!(table.config().rate, Rate::Packets { period: 60_000_000, burst: 1 });
    assert!(stores.hashlimit.of(Family::V6).named("s").is_none());
    assert_eq!(TableState::new(&ruleset.tables[0]).counters(crate::model::ChainIndex(0)).len(), 2);
    stores.declare(core::iter::empty());
    assert!(stores.hashlimit.of(Family::V4).named("s").is_none());
}
