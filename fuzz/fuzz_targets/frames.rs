//! Any text as a file of arptables-save and ebtables-save: it is refused with places in it, or what it prints
//! reads back as the same rules; and it lists.
#![no_main]

use keepstate_ruleset::model::NfProto;
use keepstate_ruleset::syntax::frames::{FrameList, parse, print, print_list};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for family in [NfProto::Arp, NfProto::Bridge] {
        let rules = match parse(text, family) {
            Ok(rules) => rules,
            Err(faults) => {
                for fault in &faults {
                    assert!(fault.span.start <= fault.span.end);
                    assert!(fault.span.end as usize <= text.len());
                    let _ = fault.render("frames", text);
                }
                continue;
            }
        };
        let once = print(&rules, false);
        let again =
            parse(&once, family).unwrap_or_else(|e| panic!("{e:?}\nin what was printed:\n{once}"));
        assert_eq!(once, print(&again, false), "printing is a fixpoint");
        let how = FrameList { counters: true, numeric: true, numbers: true, exact: true };
        for table in &rules.tables {
            let _ = print_list(&rules, table.name, None, None, how);
        }
    }
});
