//! Programs in their written form, what the kernel would not take, and programs that run.

use super::super::testing::{Bench, answer, check, ipv4, ipv6, saved};
use super::*;

#[test]
fn texts() {
    for family in [Family::V4, Family::V6] {
        check(
            family,
            &[
                (
                    "-m bpf --bytecode \"4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0\"",
                    "=",
                    "match bpf 48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0\0",
                    "=",
                ),
                (
                    "-m bpf --bytecode \" 1, 6 0 0 1,\"",
                    "-m bpf --bytecode \"1,6 0 0 1\"",
                    "match bpf 6 0 0 1\0",
                    "=",
                ),
                (
                    "-m bpf --bytecode \"1,6 256 0 -1 \"",
                    "-m bpf --bytecode \"1,6 0 0 4294967295\"",
                    "match bpf 6 0 0 4294967295\0",
                    "=",
                ),
                (
                    "-m bpf --bytecode \"1,6 0 0 0x10\"",
                    "-m bpf --bytecode \"1,6 0 0 0\"",
                    "match bpf 6 0 0 0\0",
                    "=",
                ),
                ("-m bpf --bytecode \"1,22 0 0 1\"", "=", "match bpf 22 0 0 1\0", "="),
                (
                    "-m bpf --object-pinned /sys/fs/bpf/x",
                    "=",
                    "match bpf pinned /sys/fs/bpf/x",
                    "=",
                ),
                ("-m bpf", "", "", ""),
                ("-m bpf --object-pinned /x --bytecode \"1,6 0 0 1\"", "", "", ""),
                ("-m bpf --bytecode \"1 ,6 0 0 1\"", "", "", ""),
                ("-m bpf --bytecode \"2,6 0 0 1\"", "", "", ""),
                ("-m bpf --bytecode \"1,6 0 0 1,6 0 0 0\"", "", "", ""),
                ("-m bpf --bytecode \"0,\"", "", "", ""),
                ("-m bpf --bytecode 0", "", "", ""),
                ("-m bpf --bytecode 1", "", "", ""),
                ("-m bpf --bytecode 1,", "", "", ""),
                ("-m bpf --bytecode \"1,6 0 0\"", "", "", ""),
            ],
        );
    }
}

#[test]
fn programs_that_the_kernel_refuses() {
    for (program, what) in [
        ("1,7 0 0 1", "last one"),
        ("1,65536 0 0 1", "last one"),
        ("1,48 0 0 9", "last one"),
        ("1,14 0 0 1", "means nothing"),
        ("1,2054 0 0 1", "means nothing"),
        ("2,132 0 0 0,6 0 0 1", ""),
        ("2,21 5 0 9,6 0 0 1", "beyond"),
        ("2,21 0 1 9,6 0 0 1", "beyond"),
        ("2,21 0 0 9,6 0 0 1", ""),
        ("2,5 0 0 1,6 0 0 1", "beyond"),
        ("2,5 0 0 4294967295,6 0 0 1", "beyond"),
        ("2,5 0 0 0,6 0 0 1", ""),
        ("2,52 0 0 0,6 0 0 1", "zero"),
        ("2,148 0 0 0,6 0 0 1", "zero"),
        ("2,100 0 0 32,6 0 0 1", "31 bits"),
        ("2,116 0 0 31,6 0 0 1", ""),
        ("2,2 0 0 16,6 0 0 1", "15"),
        ("2,3 0 0 15,6 0 0 1", ""),
        ("2,96 0 0 3,6 0 0 1", "written"),
        ("3,2 0 0 3,96 0 0 3,6 0 0 1", ""),
        // One way leaves the store out.
        ("4,21 1 0 0,2 0 0 3,97 0 0 3,6 0 0 1", "written"),
        ("5,21 1 0 0,2 0 0 3,6 0 0 1,97 0 0 3,6 0 0 1", "written"),
        ("2,32 0 0 4294963203,6 0 0 1", "fact"),
        ("2,32 0 0 4294963260,6 0 0 1", ""),
        ("2,32 0 0 4294963264,6 0 0 1", "fact"),
        ("2,64 0 0 4294963264,6 0 0 1", ""),
    ] {
        let rule = format!("-m bpf --bytecode \"{program}\"");
        match saved(Family::V4, &rule) {
            Ok(text) => assert!(what.is_empty() && text == rule, "{program}: {text}"),
            Err(text) => assert!(!what.is_empty() && text.contains(what), "{program}: {text}"),
        }
    }
}

#[test]
fn a_program_of_64_instructions_is_the_longest() {
    let rule =
        |count| format!("-m bpf --bytecode \"{count},{}\"", ["6 0 0 1"].repeat(count).join(","));
    assert!(saved(Family::V4, &rule(INSTRUCTIONS_MAX)).is_ok());
    assert!(saved(Family::V4, &rule(INSTRUCTIONS_MAX + 1)).is_err());
    let path = |length| format!("-m bpf --object-pinned {}", "x".repeat(length));
    assert!(saved(Family::V4, &path(PATH_MAX)).is_ok());
    assert!(saved(Family::V4, &path(PATH_MAX + 1)).is_err());
}

/// What a program leaves in A is compared with a number.
fn leaves(program: &str, packet: &[u8], wanted: u32) -> bool {
    let count = program.split(',').count() + 3;
    let rule = format!("-m bpf --bytecode \"{count},{program},21 0 1 {wanted},6 0 0 1,6 0 0 0\"");
    let family = if packet[0] >> 4 == 4 { Family::V4 } else { Family::V6 };
    Bench::new(family, &rule).answer(packet) == Answer::Yes
}

#[test]
fn loads_and_calculations() {
    let packet = ipv4(17, &[1, 2, 3, 4, 5, 6, 7, 8]);
    for (program, wanted) in [
        ("32 0 0 20", 0x0102_0304),
        ("40 0 0 26", 0x0708),
        ("48 0 0 9", 17),
        ("177 0 0 0,64 0 0 4", 0x0506_0708),
        ("177 0 0 0,72 0 0 0", 0x0102),
        ("177 0 0 0,80 0 0 7", 8),
        ("1 0 0 4294967295,80 0 0 10", 17),
        ("48 0 0 4293918729", 17),
        ("128 0 0 0", 28),
        ("129 0 0 0,135 0 0 0", 28),
        ("0 0 0 7,2 0 0 15,0 0 0 0,96 0 0 15", 7),
        ("1 0 0 7,3 0 0 0,1 0 0 0,97 0 0 0,135 0 0 0", 7),
        ("0 0 0 7,4 0 0 4294967295", 6),
        ("0 0 0 7,20 0 0 8", u32::MAX),
        ("0 0 0 65536,36 0 0 65537", 65536),
        ("0 0 0 7,52 0 0 2", 3),
        ("0 0 0 7,148 0 0 4", 3),
        ("0 0 0 12,68 0 0 3", 15),
        ("0 0 0 12,84 0 0 10", 8),
        ("0 0 0 12,164 0 0 10", 6),
        ("0 0 0 3,100 0 0 31", 1 << 31),
        ("0 0 0 3,116 0 0 1", 1),
        ("1 0 0 33,0 0 0 1,108 0 0 0", 2),
        ("1 0 0 5,0 0 0 7,28 0 0 0", 2),
        ("0 0 0 1,132 0 0 0", u32::MAX),
        ("0 0 0 9,7 0 0 0,0 0 0 1,135 0 0 0", 9),
        ("0 0 0 9,1 0 0 12,32 0 0 4294963240", 5),
        ("32 0 0 4294963200", 0x0800),
        ("5 0 0 1,0 0 0 5,4 0 0 2", 2),
        ("0 0 0 5,21 0 1 5,0 0 0 6", 6),
        ("0 0 0 5,37 0 1 5,0 0 0 6", 5),
        ("0 0 0 5,53 0 1 5,0 0 0 6", 6),
        ("0 0 0 5,69 0 1 8,0 0 0 6", 5),
    ] {
        assert!(leaves(program, &packet, wanted), "{program}");
        assert!(!leaves(program, &packet, wanted ^ 1), "{program}");
    }
    assert!(leaves("32 0 0 4294963200", &ipv6(17, &[0; 8]), 0x86dd));
}

#[test]
fn what_lies_outside_ends_the_program_with_no_match() {
    let packet = ipv4(17, &[0; 8]);
    for program in [
        "2,48 0 0 28,6 0 0 1",
        "2,32 0 0 25,6 0 0 1",
        "2,48 0 0 4294967295,6 0 0 1",
        "2,48 0 0 2147483648,6 0 0 1",
        "2,177 0 0 28,6 0 0 1",
        "2,48 0 0 4293918748,6 0 0 1",
        "3,1 0 0 4294967295,80 0 0 0,6 0 0 1",
        // Divisions by X, which is 0.
        "2,60 0 0 0,6 0 0 1",
        "2,156 0 0 0,6 0 0 1",
    ] {
        let program = program.replace("48 0 0 4294967295", "80 0 0 4294967295");
        assert_eq!(answer(&format!("-m bpf --bytecode \"{program}\""), &packet), Answer::No);
    }
}

#[test]
fn facts_that_nobody_knows() {
    let packet = ipv4(17, &[0; 8]);
    let rule =
        |number: u32| format!("-m bpf --bytecode \"3,32 0 0 {number},21 0 1 9,6 0 0 1,6 0 0 0\"");
    let rule = |number: u32| rule(number).replace("\"3,", "\"4,");
    // Interface, receive queue, and the link-layer header of a frame that has none.
    for number in [BESIDE + 8, BESIDE + 24, LINK] {
        assert_eq!(answer(&rule(number), &packet), Answer::Unknown, "{number}");
    }
    assert_eq!(answer("-m bpf --object-pinned /sys/fs/bpf/x", &packet), Answer::Unknown);
    let mut bench = Bench::new(Family::V4, &rule(BESIDE + fact::CPU));
    assert_eq!(bench.answer(&packet), Answer::Unknown);
    bench.host.cpu = Some(9);
    assert_eq!(bench.answer(&packet), Answer::Yes);
    let mut bench = Bench::new(Family::V4, &rule(BESIDE + fact::MARK));
    assert_eq!(bench.answer(&packet), Answer::No);
    bench.mark = 9;
    assert_eq!(bench.answer(&packet), Answer::Yes);
}
