//! Any text as a file of `ipset save`: it is refused, or what it prints reads back as the same sets.
#![no_main]

use keepstate_packet::Instant;
use keepstate_ruleset::sets::ipset::{ELEMENTS_MAX, Sets};
use keepstate_ruleset::syntax::ipset::command::Output;
use keepstate_ruleset::syntax::ipset::print::{Print, print};
use keepstate_ruleset::syntax::ipset::run::load;
use libfuzzer_sys::fuzz_target;

/// Elements that are worth printing twice.
const PRINTED_MAX: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let now = Instant(1_000_000_000);
    let mut sets = Sets::new(1);
    if let Err(fault) = load(&mut sets, text, now, false) {
        assert!(fault.line <= text.split('\n').count());
    }
    let count: usize = sets.iter().map(|set| set.count()).sum();
    assert!(count <= ELEMENTS_MAX);
    if count > PRINTED_MAX {
        return;
    }
    let how = Print { output: Output::Save, exact: true, ..Print::save() };
    let once = print(&sets, None, how, now);
    let mut again = Sets::new(2);
    load(&mut again, &once, now, true).unwrap_or_else(|e| panic!("{e:?}\nin what was printed:\n{once}"));
    assert_eq!(once, print(&again, None, how, now), "printing is a fixpoint");
});
