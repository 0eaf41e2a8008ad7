//! A flood of fragments through both: who is refused, what still becomes whole, memory flat.

mod pieces;

use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::{Fate, Side};
use keepstate_packet::Family;
use pieces::piece;
use std::io;

/// As many bytes as may wait, of either family.
fn limits(high: usize) -> Vec<(String, String)> {
    let names = ["net.ipv4.ipfrag", "nf_conntrack_frag6"].into_iter();
    let pair = |name: &str, which, value: usize| (format!("{name}_{which}"), value.to_string());
    names.flat_map(|n| [pair(n, "low_thresh", 0), pair(n, "high_thresh", high)]).collect()
}

fn model(high: usize) -> Model {
    Model::new(&Config::default(), &limits(high), &Default::default()).expect("a model")
}

fn limit(kernel: &mut Kernel, high: usize) -> io::Result<()> {
    limits(high).iter().try_for_each(|(name, value)| kernel.set_sysctl(name, value))
}

fn with_kernel(work: impl FnOnce(&mut Kernel) -> io::Result<()> + Send) {
    let ran = namespace::with(|| Kernel::new(Config::default()).and_then(|mut k| work(&mut k)));
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => eprintln!("skipped: {error}"),
    }
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const LENGTHS: [u16; 10] = [8, 64, 320, 1480, 2800, 3400, 3440, 3600, 9000, 60_000];

/// What waits counts for as much in both: with room for exactly so much a datagram becomes whole,
/// with a byte less it is refused.
#[test]
fn pieces_cost_what_they_cost_the_kernel() {
    const WAITING: u16 = 10;
    const PLENTY: usize = 4 << 20;
    with_kernel(|kernel| {
        let mut number = 0;
        for family in FAMILIES {
            for length in LENGTHS {
                let mut alone = model(PLENTY);
                for n in 0..WAITING {
                    alone.push(Side::A, family, &piece(family, n, 0, length, true));
                }
                let cost = alone.fragment_charges().into_iter().sum::<usize>();
                for (high, fate) in [(cost, Fate::Forwarded), (cost - 1, Fate::Held)] {
                    limit(kernel, PLENTY)?;
                    let mut model = model(high);
                    let numbers = number..number + WAITING;
                    number += WAITING;
                    for n in numbers.clone() {
                        let packet = piece(family, n, 0, length, true);
                        kernel.push(Side::A, family, &packet)?;
                        model.push(Side::A, family, &packet);
                    }
                    limit(kernel, high)?;
                    let last = piece(family, numbers.start, length, 8, false);
                    let ours = model.push(Side::A, family, &last).fate;
                    let theirs = kernel.push(Side::A, family, &last)?.fate;
                    assert_eq!((theirs, ours), (fate, fate), "{family:?} {length}: {high} bytes");
                    // So that nothing is left for the next ones.
                    limit(kernel, PLENTY)?;
                    let left = if fate == Fate::Held { numbers } else { numbers.start + 1..number };
                    for n in left {
                        let whole =
                            kernel.push(Side::A, family, &piece(family, n, length, 8, false))?;
                        assert_eq!(whole.fate, Fate::Forwarded);
                    }
                }
            }
        }
        Ok(())
    });
}

/// First pieces of many datagrams until nothing more is taken, then the rest of all.
#[test]
fn a_flood_is_refused_as_the_kernel_refuses_it() {
    const HIGH: usize = 60_000;
    with_kernel(|kernel| {
        limit(kernel, HIGH)?;
        let mut model = model(HIGH);
        let (mut whole, mut refused) = (0, 0);
        for family in FAMILIES {
            for (round, length) in (0..).zip([8, 64, 320, 1480, 2800]) {
                let numbers = (round * 200..).take(if round == 0 { 40 } else { 90 });
                let firsts = numbers.clone().map(|n| piece(family, n, 0, length, true));
                let rests = numbers.map(|n| piece(family, n, length, 8, false));
                for packet in firsts.chain(rests) {
                    let theirs = kernel.push(Side::A, family, &packet)?;
                    let ours = model.push(Side::A, family, &packet);
                    assert_eq!(theirs.fate, ours.fate, "{family:?} {length}");
                    whole += u32::from(ours.fate == Fate::Forwarded);
                    refused += u32::from(ours.reason == Some("frag-limit"));
                    let held = model.fragment_charges();
                    assert!(held.iter().all(|held| *held <= HIGH + 4096), "{held:?}");
                }
            }
        }
        assert!(whole >= 80 && refused > 1000, "{whole} became whole, {refused} were refused");
        Ok(())
    });
}
