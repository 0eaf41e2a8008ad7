//! The index against a list.

use super::*;
use proptest::prelude::*;

/// Hashes that fall into few buckets, so that runs overflow and wrap around.
fn hash() -> impl Strategy<Value = u64> {
    (prop_oneof![0_u64..3, 14_u64..16], 0_u64..4).prop_map(|(bucket, print)| bucket << 32 | print)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_finds_what_was_entered_and_nothing_else(
        steps in prop::collection::vec((hash(), any::<bool>()), 1..200)
    ) {
        let mut index = Index::new(1);
        prop_assert_eq!(index.buckets(), 16);
        let mut model: Vec<(u64, u32)> = Vec::new();
        for (slot, (hash, adds)) in steps.into_iter().enumerate() {
            let of_hash = model.iter().position(|(h, _)| *h == hash);
            match (adds, of_hash) {
                (false, Some(at)) => {
                    let (hash, slot) = model.remove(at);
                    index.remove(hash, slot);
                }
                _ if model.len() < 100 => {
                    prop_assert!(index.insert(hash, slot as u32));
                    model.push((hash, slot as u32));
                }
                _ => {}
            }
            for (hash, slot) in &model {
                prop_assert_eq!(index.find(*hash, |found| found == *slot), Some(*slot));
            }
            let mut seen = Vec::new();
            index.find(hash, |slot| {
                seen.push(slot);
                false
            });
            let all = |slot: &u32| model.iter().any(|(h, s)| s == slot && *h as u32 == hash as u32);
            prop_assert!(seen.iter().all(all), "only entries with the fingerprint are looked at");
        }
        for (hash, slot) in model.drain(..) {
            index.remove(hash, slot);
        }
        prop_assert!(index.words.iter().all(|word| *word == 0), "no marks are left behind");
    }
}

#[test]
fn a_run_of_full_buckets_has_an_end() {
    let mut index = Index::new(1000);
    assert!(index.buckets() > PROBES_MAX);
    for slot in 0..(PROBES_MAX * ENTRIES) as u32 {
        assert!(index.insert(0, slot));
    }
    assert!(!index.insert(0, 1_000_000));
    assert!(index.insert((PROBES_MAX as u64) << 32, 1_000_001), "beyond it there is room");
}

#[test]
fn buckets_are_cache_lines() {
    let index = Index::new(1 << 20);
    assert_eq!(index.line(0).as_ptr().align_offset(64), 0);
    assert_eq!(index.buckets() * ENTRIES / 2 / (1 << 20), 1, "load of at most one half");
}
