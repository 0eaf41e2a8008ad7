//! Any text as a listing: it is refused with places in it, or what is read prints as a rule file that
//! reads back, and as a listing that does.
#![no_main]

use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::syntax::iptables_list::{self, List, print_list};
use keepstate_ruleset::syntax::iptables_save::{Print, parse, print};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let family = iptables_list::family_of(text);
    let listing = match iptables_list::parse(text, family, LabelNames::NONE) {
        Ok(listing) => listing,
        Err(faults) => {
            for fault in &faults {
                assert!(fault.span.start <= fault.span.end && fault.span.end as usize <= text.len());
                let _ = fault.render("listing", text);
            }
            return;
        }
    };
    for note in &listing.notes {
        let _ = note.render_note("listing", text);
    }
    let once = print(&listing.ruleset, Print::default());
    parse(&once, family).unwrap_or_else(|e| panic!("{e:?}\nin what was printed:\n{once}"));
    let how = List { verbose: true, numeric: true, exact: true, ..List::default() };
    for table in &listing.ruleset.tables {
        let listed = print_list(&listing.ruleset, table.name, None, how);
        let _ = iptables_list::parse(&listed, family, LabelNames::NONE);
    }
});
