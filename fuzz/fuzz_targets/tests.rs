//! Test files, any text as somebody might write it: errors with their places, or tests that are played, never a
//! panic.
#![no_main]

use keepstate_analysis::render::{Style, TEST_RENDERERS};
use keepstate_analysis::test::told::{FileTold, Report};
use keepstate_analysis::test::{Hosted, Outside, read, run};
use keepstate_engine::Host;
use keepstate_packet::{Family, InterfaceName};
use libfuzzer_sys::fuzz_target;
use std::ops::Range;

const RULES: &str = include_str!("../../examples/tests/office.rules");
/// Packets of a file that are played; more say nothing new.
const PACKETS_MAX: u32 = 500;

/// One rule file under every name, one host.
struct One;

impl Outside for One {
    fn file(&self, _: &str, path: &str) -> Result<(String, String), String> {
        match path {
            "none" => Err("none".to_owned()),
            _ => Ok((path.to_owned(), RULES.to_owned())),
        }
    }

    fn host(&self, text: &str) -> Result<Hosted, (Option<Range<usize>>, String)> {
        if text.contains('#') {
            return Err((Some(0..text.len()), "no".to_owned()));
        }
        let name = |name| InterfaceName::new(name).expect("a name");
        Ok(Hosted { host: Host::router(name("eth0"), name("eth1")), declared: Vec::new() })
    }

    fn family(&self, _: &str, _: &str) -> Family {
        Family::V4
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = if text.contains("[[test]]") { "t.toml" } else { "t.md" };
    let suite = match read(name, text, &One) {
        Ok(suite) => suite,
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(fault.span.start <= fault.span.end && fault.span.end as usize <= text.len());
                assert!(!fault.render(name, text).is_empty());
            }
            return;
        }
    };
    let times = suite.tests.iter().flat_map(|test| &test.items).map(|item| item.times);
    if times.fold(0, u32::saturating_add) > PACKETS_MAX {
        return;
    }
    let tests = suite.tests.iter().filter_map(|test| run::run(&suite, test).ok()).collect();
    let report = Report { files: vec![FileTold { file: suite.name, tests }], mutations: Vec::new() };
    for renderer in TEST_RENDERERS {
        assert!(!(renderer.render)(&report, &Style::default()).is_empty());
    }
});
