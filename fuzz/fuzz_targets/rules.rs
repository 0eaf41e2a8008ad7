//! Any text as a rule file: it is refused, or what it prints reads back as the same rules.
#![no_main]

use keepstate_packet::Family;
use keepstate_ruleset::syntax::iptables_save::{Print, parse, print};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for family in [Family::V4, Family::V6] {
        let Ok(ruleset) = parse(text, family) else { continue };
        let once = print(&ruleset, Print::default());
        let again =
            parse(&once, family).unwrap_or_else(|e| panic!("{e:?}\nin what was printed:\n{once}"));
        assert_eq!(once, print(&again, Print::default()), "printing is a fixpoint");
    }
});
