//! The committed corpus of the fuzz target `tracker`: the packets of `spec/*.md`, a file each, in
//! the form that the target reads. `KEEPSTATE_BLESS=1` writes it.

use keepstate_oracle::observation::Side;
use keepstate_oracle::spec::{self, Case, What};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

/// The target puts every address into 10.0.0.0/30 or 2001:db8::/126; written like that from the
/// start, what payloads and quoted packets say of addresses is true there as well.
const ADDRESSES: [(&str, &str); 9] = [
    ("198.51.100.", "10.0.0."),
    ("198,51,100,", "10,0,0,"),
    ("203.0.113.9", "10.0.0.3"),
    ("100.127.253.1", "10.0.0.3"),
    ("fd00:a::", "2001:db8::"),
    ("2001:b::9", "2001:db8::3"),
    ("2001:b::", "2001:db8::"),
    ("fd4d:4154:a::9", "2001:db8::1"),
    ("fd4d:4154:a::", "2001:db8::"),
];

/// Between two cases so much time passes that little is left of the first: 63 squared eighths of a
/// second, as the target counts.
const PAUSE_MAX: u8 = 63;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file's cases one after the other: for each packet an octet (bit 0 the side, bit 1 IPv6, the
/// rest the pause before it), its length, its bytes.
fn seed(cases: &[Case]) -> Vec<u8> {
    let mut seed = Vec::new();
    for case in cases {
        let mut packets = spec::packets(case).into_iter();
        let mut pause = PAUSE_MAX;
        for step in &case.steps {
            match &step.what {
                What::Table(_) => {}
                What::Pause(time) => pause = eighths(*time),
                What::Packet(_) => {
                    let (side, bytes) = packets.next().expect("a packet for each line");
                    let Ok(length) = u8::try_from(bytes.len()) else { continue };
                    let six = bytes.first().is_some_and(|first| first >> 4 == 6);
                    seed.push(pause << 2 | u8::from(six) << 1 | u8::from(side == Side::B));
                    seed.push(length);
                    seed.extend(bytes);
                    pause = 0;
                }
            }
        }
    }
    seed
}

fn eighths(time: Duration) -> u8 {
    let squared = time.as_millis() / 125;
    (0..PAUSE_MAX).find(|n| u128::from(*n).pow(2) >= squared).unwrap_or(PAUSE_MAX)
}

#[test]
fn the_tracker_is_fuzzed_from_the_packets_of_the_specs() {
    let corpus = root().join("fuzz/corpus/tracker");
    let mut written = Vec::new();
    for entry in fs::read_dir(root().join("spec")).expect("spec/") {
        let path = entry.expect("entry").path();
        let name = path.file_stem().expect("name").to_string_lossy().into_owned();
        if name == "README" {
            continue;
        }
        let mut text = fs::read_to_string(&path).expect("readable");
        for (from, to) in ADDRESSES {
            text = text.replace(from, to);
        }
        let cases = spec::parse(&text).unwrap_or_else(|f| panic!("{name}:{}: {}", f.line, f.text));
        let seed = seed(&cases);
        assert!(seed.len() > 100, "{name}: packets are missing");
        let place = corpus.join(&name);
        if env::var_os("KEEPSTATE_BLESS").is_some() {
            fs::create_dir_all(&corpus).expect("folder");
            fs::write(&place, &seed).expect("writable");
        }
        assert!(
            fs::read(&place).is_ok_and(|committed| committed == seed),
            "fuzz/corpus/tracker/{name} is not what spec/{name}.md makes: KEEPSTATE_BLESS=1"
        );
        written.push(name);
    }
    for entry in fs::read_dir(corpus).expect("corpus") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        assert!(written.contains(&name), "fuzz/corpus/tracker/{name} belongs to no spec");
    }
}
