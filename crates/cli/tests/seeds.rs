//! `keepstate verify --fuzz --seeds`: as root on Linux; elsewhere it says why it is skipped.

use std::process::Command;

/// The exit status where a privilege or a feature of the kernel is missing.
const UNAVAILABLE: i32 = 3;

#[test]
fn seeds_follow_each_other_and_are_summed() {
    let arguments = ["verify", "--fuzz", "--seed", "7", "--seeds", "2", "--packets", "300"];
    let run = Command::new(env!("CARGO_BIN_EXE_keepstate")).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    if run.status.code() == Some(UNAVAILABLE) {
        return eprintln!("skipped: {err}");
    }
    assert_eq!(run.status.code(), Some(0), "{out}{err}");
    let packets = |of: &str| -> u64 {
        let line = out.lines().find_map(|line| line.strip_prefix(of)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    let sums = [packets("seed 7 all:"), packets("seed 8 all:"), packets("2 seeds all:")];
    assert!(sums[0] >= 300 && sums[1] >= 300, "{out}");
    assert_eq!(sums[0] + sums[1], sums[2], "{out}");
}
