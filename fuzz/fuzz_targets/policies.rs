//! Any text as timeout policies: no panic, and what is read is within its limits and of its protocol.
#![no_main]

use keepstate_conntrack::policy::{NAME_MAX, states, text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(source) = std::str::from_utf8(data) else { return };
    match text::parse(source) {
        Ok(declared) => {
            for one in declared {
                assert!((1..=NAME_MAX).contains(&one.name.as_str().len()));
                let states = states(one.protocol).len();
                assert!(one.values.iter().all(|(state, _)| usize::from(*state) < states));
            }
        }
        Err(fault) => assert!(fault.line <= source.lines().count()),
    }
});
