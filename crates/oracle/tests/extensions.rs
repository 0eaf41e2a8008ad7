//! Rules of every match and target, and packets at their edges, through the engine and the kernel; a
//! short run here, long ones with `keepstate verify --fuzz --only extensions`, or with
//! `KEEPSTATE_SEED`, `KEEPSTATE_PACKETS` and `KEEPSTATE_SCENARIO`.

use keepstate_oracle::fuzz::{Area, Plan, report, run};
use keepstate_oracle::namespace;
use std::env;

#[test]
fn every_match_and_target_as_the_kernel_has_it() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let scenario = number("KEEPSTATE_SCENARIO");
    let plan = Plan {
        seed: number("KEEPSTATE_SEED").unwrap_or(1),
        packets: number("KEEPSTATE_PACKETS").unwrap_or(10_000),
        area: Area::Extensions,
        first: scenario.unwrap_or(0),
        only_first: scenario.is_some(),
        findings_max: 5,
    };
    let outcome = match namespace::with(|| run(&plan, |_| {})) {
        Ok(outcome) => outcome.expect("the kernel takes what is drawn"),
        Err(why) => {
            println!("skipped: no network namespace ({why})");
            return;
        }
    };
    for finding in &outcome.findings {
        println!("{}", report::text(plan.seed, plan.area, finding));
    }
    for one in &outcome.refused {
        println!("refused: {one}");
    }
    println!("{:?}", outcome.progress);
    assert!(outcome.findings.is_empty(), "{} scenarios differ", outcome.findings.len());
}
