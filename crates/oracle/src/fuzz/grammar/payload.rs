//! What looks for bytes anywhere in the packet.

use super::super::aim;
use super::super::draft::Draft;
use super::super::random::Random;
use super::{Entry, Place, behind, beside, not, number};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

pub(super) const MATCHES: &[Entry] = &[
    Entry::new("bpf", bpf),
    Entry::new("comment", comment),
    Entry::new("string", string).aimed(aim_string),
    Entry::new("u32", u32),
];

fn comment(random: &mut Random, _: &Place) -> Option<String> {
    let texts = ["x", "\"two words\"", "\"quoted \\\" mark\"", "it-is", "\"!\""];
    Some(format!(" --comment {}", random.pick(&texts)))
}

/// Patterns, and the same as bytes.
const PATTERNS: [(&str, &[u8]); 8] = [
    ("--string GET", b"GET"),
    ("--string a", b"a"),
    ("--string abcabcabd", b"abcabcabd"),
    ("--string AbAbAb", b"AbAbAb"),
    ("--hex-string |00|", b"\0"),
    ("--hex-string |0d0a|", b"\r\n"),
    ("--hex-string |ff00ff|x", b"\xff\0\xffx"),
    (
        "--string aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    ),
];

fn string(random: &mut Random, place: &Place) -> Option<String> {
    let mut text = format!(" --algo {}", random.pick(&["bm", "kmp"]));
    let made_here = is_of_packets_made_here(place);
    let from =
        random.pick(&[0, 1, 20, 28, 39, 40, 41, 60, 65_535]).max(if made_here { 12 } else { 0 });
    if made_here || random.chance(50) {
        text += &format!(" --from {from}");
        if random.chance(50) {
            text += &format!(" --to {}", (from + random.pick(&[0, 1, 3, 20, 1000])).min(65_535));
        }
    } else if random.chance(40) {
        text += &format!(" --to {}", random.pick(&[0, 1, 28, 40, 41, 43, 60, 100, 65_535]));
    }
    text += &format!("{} {}", not(random), random.pick(&PATTERNS).0);
    if random.chance(35) {
        text += " --icase";
    }
    Some(text)
}

fn aim_string(random: &mut Random, draft: &mut Draft, words: &[&str]) {
    let pattern = behind(words, &["--string", "--hex-string"]);
    let found = PATTERNS.iter().find(|(text, _)| text.split(' ').next_back() == pattern);
    let Some((_, pattern)) = found else { return };
    let mut pattern = pattern.to_vec();
    if random.chance(30) {
        pattern
            .iter_mut()
            .for_each(|byte| *byte ^= if byte.is_ascii_alphabetic() { 0x20 } else { 0 });
    }
    if random.chance(15) {
        pattern.pop();
    }
    let number = |option| behind(words, &[option]).and_then(|text| text.parse::<u64>().ok());
    let (from, to) = (number("--from"), number("--to"));
    let at = match (from, to, random.below(3)) {
        (Some(from), _, 0) => beside(random, from),
        // It has to begin before the end, or to end there.
        (_, Some(to), 1) => beside(random, to),
        (_, Some(to), _) => beside(random, to.saturating_sub(pattern.len() as u64)),
        (Some(from), ..) => from + random.below(30) as u64,
        (None, None, _) => random.below(100) as u64,
    };
    aim::put(random, draft, at as usize, &pattern);
}

/// Where fields stand that packets vary, by family: how to get there, and the values they have.
const PLACES: [(&str, &[u64]); 16] = [
    ("0>>28", &[4, 6]),
    ("0&0xFFFF", &[40, 52, 60]),
    ("4>>16", &[0, 65_535]),
    ("8>>24", &[63, 64, 128]),
    ("6&0xFF", &[1, 6, 17, 64]),
    ("12", &[0x0a01_0001, 0xc633_6401]),
    ("0>>22&0x3C@0>>16", &[80, 1024, 53]),
    ("0>>22&0x3C@0&0xFFFF", &[80, 1025, 53]),
    ("0>>22&0x3C@12>>26&0x3C@0>>24", &[0x47, 0]),
    ("0>>22&0x3C@12>>24&0xF0", &[0x50, 0x80]),
    ("8&0xFFFF<<4>>4", &[0, 5]),
    ("65531", &[0]),
    ("4294967295", &[0]),
    ("40>>16", &[80, 1024]),
    ("40&0xFFFF", &[80, 1025]),
    ("4>>16@40", &[0, 1]),
];

/// Whether packets that the router makes come by: the kernel draws their identification, which no rule
/// is to look at, nor at the checksum over it.
const fn is_of_packets_made_here(place: &Place) -> bool {
    matches!(place.hook, Hook::Output | Hook::Postrouting)
}

/// Those of them that read the identification, or the header's checksum.
const IDENTIFICATIONS: [&str; 3] = ["4>>16", "4>>16@40", "8&0xFFFF<<4>>4"];

fn u32(random: &mut Random, place: &Place) -> Option<String> {
    let made_here = is_of_packets_made_here(place);
    let mut tests = Vec::new();
    for _ in 0..=random.below(3) {
        let (place, values) = random.pick(&PLACES);
        if made_here && IDENTIFICATIONS.contains(&place) {
            continue;
        }
        let mut wanted = Vec::new();
        for _ in 0..=random.below(3) {
            let one = if random.chance(70) {
                let usual = random.pick(values);
                beside(random, usual) & 0xffff_ffff
            } else {
                number(random, 0xffff_ffff)
            };
            let other = number(random, 0xffff_ffff);
            wanted.push(match random.below(3) {
                0 => format!("{:#x}:{:#x}", one.min(other), one.max(other)),
                1 => format!("0:{one}"),
                _ => one.to_string(),
            });
        }
        tests.push(format!("{place}={}", wanted.join(",")));
    }
    (!tests.is_empty()).then(|| format!("{} --u32 {}", not(random), tests.join("&&")))
}

/// Programs in which `N` is a number to be drawn: of a field, of the length, of the transport, of
/// arithmetic and of memory.
const PROGRAMS: [&str; 8] = [
    "4,48 0 0 8,21 0 1 N,6 0 0 65535,6 0 0 0",
    "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0",
    "3,128 0 0 0,53 1 0 N,6 0 0 1,6 0 0 0",
    "5,177 0 0 0,72 0 0 2,37 0 1 N,6 0 0 1,6 0 0 0",
    "6,40 0 0 2,84 0 0 N,69 0 1 4,6 0 0 0,6 0 0 7,6 0 0 0",
    "6,32 0 0 12,2 0 0 3,97 0 0 3,29 0 1 0,6 0 0 0,6 0 0 1",
    "5,0 0 0 N,7 0 0 0,80 0 0 0,22 0 0 0,6 0 0 1",
    "2,32 0 0 N,6 0 0 1",
];

fn bpf(random: &mut Random, place: &Place) -> Option<String> {
    let mut program = random.pick(&PROGRAMS).to_owned();
    if program.starts_with("3,") {
        program = program.replacen('3', "4", 1);
    }
    if place.family == Family::V6 {
        program = program.replace("48 0 0 8", "48 0 0 7").replace("48 0 0 9", "48 0 0 6");
    }
    let constant = random.pick(&[0u32, 1, 20, 40, 60, 63, 64, 80, 1024, 65_535, 2_000_000_000]);
    Some(format!(" --bytecode \"{}\"", program.replace('N', &constant.to_string())))
}
