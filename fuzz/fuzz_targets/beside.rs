//! Any text as accounting objects of nfacct(8) and as fingerprints of systems: no panic, what is read is within
//! its limits, and what is printed is read again.
#![no_main]

use keepstate_ruleset::matches::nfacct::{self, Accounts};
use keepstate_ruleset::matches::osf::fingerprints::{Fingerprints, NAME_MAX, OPTIONS_MAX};
use keepstate_ruleset::syntax;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let lines = source.lines().count();
    let mut accounts = Accounts::default();
    match syntax::nfacct::load(&mut accounts, source) {
        Ok(()) => {
            assert!(accounts.iter().all(|(name, _)| (1..=nfacct::NAME_MAX).contains(&name.len())));
            let printed = syntax::nfacct::print_all(&accounts);
            let mut again = Accounts::default();
            syntax::nfacct::load(&mut again, &printed).expect("what was printed");
            assert_eq!(again, accounts);
        }
        Err(fault) => assert!((1..=lines).contains(&fault.line)),
    }
    let mut fingerprints = Fingerprints::default();
    match fingerprints.load(source) {
        Ok(()) => {
            for one in fingerprints.iter() {
                assert!(one.options.len() <= OPTIONS_MAX);
                let names = [&one.genre, &one.version, &one.subtype];
                assert!(names.into_iter().all(|name| name.len() <= NAME_MAX));
            }
        }
        Err(fault) => assert!((1..=lines).contains(&fault.line)),
    }
});
