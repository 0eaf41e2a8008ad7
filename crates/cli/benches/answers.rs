//! How long the answers take: `reach`, `why` of one rule, `lint` and `diff` as people run them, each in a process of
//! its own, on the real rule sets of the shared test material, on 10,000 rules against a changed copy, and on rules
//! made to be hard.
//!
//! `cargo bench --profile release -p keepstate-cli --bench answers [-- PART...]`, the parts being `shared`, `copies`
//! and `hard`.

use keepstate_datapath::clock::SystemClock;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Rules of the made ones.
const RULES: u32 = 10_000;
/// After so long a command is ended, and said to have taken longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many of the slowest are printed.
const SLOWEST: usize = 12;

/// What a command did.
struct Taken {
    seconds: f64,
    /// Its status; none: it was ended.
    status: Option<i32>,
    said: String,
}

fn run(words: &[&str]) -> Taken {
    let clock = SystemClock::start();
    let mut child = Command::new(env!("CARGO_BIN_EXE_keepstate"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keepstate");
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status.code().unwrap_or(-1)),
            None if clock.elapsed() > PATIENCE => {
                let _ = child.kill();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let seconds = clock.elapsed().as_secs_f64();
    let output = child.wait_with_output().expect("output");
    let said = String::from_utf8_lossy(&output.stderr);
    Taken { seconds, status, said: said.lines().next().unwrap_or_default().to_string() }
}

fn told(name: &str, taken: &Taken) {
    let status = taken.status.map_or_else(|| String::from("ended"), |status| status.to_string());
    println!("{:8.2} s  status {status:5}  {name}  {}", taken.seconds, taken.said);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let is_asked = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("answers");
    std::fs::create_dir_all(&folder).expect("a folder");
    if is_asked("copies") {
        copies(&folder);
    }
    if is_asked("hard") {
        hard(&folder);
    }
    if is_asked("shared") {
        shared();
    }
}

// --- the shared rule sets

fn shared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = ["../shared", "../../shared"].map(|up| root.join(up).join("rulesets"));
    let Some(folder) = found.into_iter().find(|path| path.exists()) else {
        println!("skipped: no shared test material (rulesets)");
        return;
    };
    let mut all: Vec<(f64, String)> = Vec::new();
    let mut count = 0;
    for path in files(&folder) {
        let name = path.display().to_string();
        let Some((place, rules)) = middle(&path) else { continue };
        count += 1;
        let rule = format!("{name}:{place}");
        let of_file = ["--rules", name.as_str()];
        let questions: [(&str, Vec<&str>); 4] = [
            ("reach", [&["reach"], &of_file[..]].concat()),
            ("reach tcp/22", [&["reach"], &of_file[..], &["--service", "tcp/22"]].concat()),
            ("why", vec!["why", &rule]),
            ("lint", vec!["lint", &name]),
        ];
        for (question, words) in questions {
            let taken = run(&words);
            let fails = !matches!(taken.status, Some(0 | 1));
            let line = format!("{question:12}  {rules:5} rules  {name}");
            if fails {
                told(&line, &taken);
            }
            all.push((taken.seconds, line));
        }
    }
    all.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    println!("{count} rule sets; the slowest answers:");
    for (seconds, line) in all.iter().take(SLOWEST) {
        println!("{seconds:8.2} s  {line}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut open = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        match path.is_dir() {
            true => {
                let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                open.extend(entries.map(|entry| entry.path()));
            }
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// The line of the rule in the middle, and how many rules there are; of rule files that are read.
fn middle(path: &Path) -> Option<(usize, usize)> {
    let text = std::fs::read_to_string(path).ok()?;
    if !text.lines().any(|line| line.starts_with('*')) {
        return None;
    }
    let name = path.display().to_string();
    if run(&["check", &name]).status != Some(0) {
        return None;
    }
    let rules = (1..).zip(text.lines()).filter(|(_, line)| line.starts_with("-A "));
    let lines: Vec<usize> = rules.map(|(at, _)| at).collect();
    Some((*lines.get(lines.len() / 2)?, lines.len()))
}

// --- 10,000 rules against a changed copy

fn copies(folder: &Path) {
    let plain = plain();
    let old = write(folder, "plain", &plain);
    for (name, changed) in [
        ("one rule gone", changed(&plain, 10_000, |_| None)),
        ("10 rules changed", changed(&plain, 1_000, |line| Some(line.replace("ACCEPT", "DROP")))),
        ("100 rules changed", changed(&plain, 100, |line| Some(line.replace("ACCEPT", "DROP")))),
        (
            "1,000 ports changed",
            changed(&plain, 10, |line| Some(line.replace("--dport ", "--dport 1"))),
        ),
        ("policy changed", plain.replace(":FORWARD DROP", ":FORWARD ACCEPT")),
    ] {
        let new = write(folder, "changed", &changed);
        told(&format!("diff, {RULES} rules, {name}"), &run(&["diff", &old, &new]));
    }
    told(&format!("diff, {RULES} rules, the same"), &run(&["diff", &old, &old]));
    for (question, words) in questions(&old) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        told(&format!("{question}, {RULES} rules"), &run(&words));
    }
}

fn questions(path: &str) -> Vec<(&'static str, Vec<String>)> {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let text = std::fs::read_to_string(path).expect("rules");
    let line = text.lines().count() / 2;
    vec![
        ("reach", words(&["reach", "--rules", path])),
        ("reach tcp/22", words(&["reach", "--rules", path, "--service", "tcp/22"])),
        ("why", words(&["why", &format!("{path}:{line}")])),
        ("lint", words(&["lint", path])),
    ]
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(format!("{name}.rules"));
    std::fs::write(&path, text).expect("rules");
    path.display().to_string()
}

/// Every so manieth of the rules that accept is made another, or is gone.
fn changed(text: &str, every: usize, change: impl Fn(&str) -> Option<String>) -> String {
    let mut seen = every / 2;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("-A ") && line.ends_with("ACCEPT") && line.contains("--dport") {
            seen += 1;
            if seen.is_multiple_of(every) {
                lines.extend(change(line));
                continue;
            }
        }
        lines.push(line.to_string());
    }
    lines.join("\n") + "\n"
}

/// Numbers that are the same every time (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((number ^ (number >> 31)) % u64::from(end)) as u32
    }
}

const BEGIN: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n";
const STATE: &str = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";

/// As sites have them: hosts behind a router, a port each.
fn plain() -> String {
    let mut draw = Draw(1);
    let mut text = format!("{BEGIN}{STATE}");
    let ports = [22, 25, 53, 80, 123, 143, 443, 993, 3306, 5432, 8080];
    for number in 0..RULES {
        let (net, host) = (number / 250 % 40, number % 250 + 1);
        let port = ports[draw.below(ports.len() as u32) as usize];
        let source = match draw.below(3) {
            0 => String::from("-i eth0"),
            1 => format!("-s 192.168.{}.0/24", draw.below(32)),
            _ => format!("-s 172.16.{}.0/28", draw.below(32)),
        };
        let _ = writeln!(
            text,
            "-A FORWARD {source} -d 10.0.{net}.{host}/32 -p tcp -m tcp --dport {port} -j ACCEPT"
        );
    }
    text + "COMMIT\n"
}

// --- rules made to be hard

fn hard(folder: &Path) {
    for (name, rules) in [
        ("overlapping at random", random(RULES, 1)),
        ("overlapping at random, 1,000", random(1_000, 3)),
        ("chains of chains", chains()),
        ("negated sources", negated()),
        ("masks that are no prefixes", masks()),
        ("limits", limits()),
        ("marks set and asked", marks()),
    ] {
        let file = name.replace([' ', ','], "-");
        let path = write(folder, &file, &rules);
        for (question, words) in questions(&path) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            told(&format!("{question}, {name}"), &run(&words));
        }
        let new = write(
            folder,
            "changed",
            &changed(&rules, 40, |line| Some(line.replace("ACCEPT", "DROP"))),
        );
        told(&format!("diff in many places, {name}"), &run(&["diff", &path, &new]));
    }
}

fn verdict(draw: &mut Draw) -> &'static str {
    ["ACCEPT", "ACCEPT", "DROP"][draw.below(3) as usize]
}

/// Sources, destinations, ports and interfaces of every size that lie across each other.
fn random(rules: u32, seed: u64) -> String {
    let mut draw = Draw(seed);
    let mut text = format!("{BEGIN}{STATE}");
    for _ in 0..rules {
        let mut network = || {
            let length = 8 + draw.below(25);
            let bits = draw.below(u32::MAX) & u32::MAX << (32 - length);
            let octets =
                (10 << 24 | bits >> 4 & 0x00ff_ffff & (u32::MAX << (32 - length))).to_be_bytes();
            format!("{}.{}.{}.{}/{length}", octets[0], octets[1], octets[2], octets[3])
        };
        let (source, destination) = (network(), network());
        let (low, width) = (draw.below(60_000), draw.below(5_000));
        let side = match draw.below(4) {
            0 => format!("-i eth{} ", draw.below(20)),
            1 => format!("-o eth{} ", draw.below(20)),
            _ => String::new(),
        };
        let verdict = verdict(&mut draw);
        let _ = writeln!(
            text,
            "-A FORWARD -s {source} -d {destination} {side}-p tcp -m tcp --dport {low}:{} -j {verdict}",
            low + width
        );
    }
    text + "COMMIT\n"
}

/// Each chain leads to the next by two rules, and returns.
fn chains() -> String {
    const DEPTH: u32 = 250;
    let mut draw = Draw(5);
    let mut text = String::from(BEGIN);
    for number in 0..DEPTH {
        let _ = writeln!(text, ":c{number} - [0:0]");
    }
    text.push_str(STATE);
    text.push_str("-A FORWARD -j c0\n");
    for number in 0..DEPTH {
        for _ in 0..RULES / DEPTH - 2 {
            let (a, b, port) = (draw.below(256), draw.below(256), draw.below(65_536));
            let verdict = verdict(&mut draw);
            let _ = writeln!(
                text,
                "-A c{number} -s 10.{a}.{b}.0/24 -p tcp -m tcp --dport {port} -j {verdict}"
            );
        }
        if number + 1 < DEPTH {
            let _ =
                writeln!(text, "-A c{number} -s 10.{}.0.0/16 -j c{}", draw.below(256), number + 1);
            let _ =
                writeln!(text, "-A c{number} -d 10.{}.0.0/16 -j c{}", draw.below(256), number + 1);
        }
    }
    text + "COMMIT\n"
}

fn negated() -> String {
    let mut draw = Draw(7);
    let mut text = format!("{BEGIN}{STATE}");
    for _ in 0..RULES {
        let [a, b, c, d] = [(); 4].map(|()| draw.below(256));
        let (port, verdict) = (draw.below(65_536), verdict(&mut draw));
        let _ = writeln!(
            text,
            "-A FORWARD ! -s 10.{a}.{b}.0/24 -d 10.{c}.{d}.0/24 -p tcp -m tcp --dport {port} -j {verdict}"
        );
    }
    text + "COMMIT\n"
}

fn masks() -> String {
    let mut draw = Draw(9);
    let mut text = format!("{BEGIN}{STATE}");
    for _ in 0..RULES / 10 {
        let mut network = || {
            let octets = [(); 8].map(|()| draw.below(256));
            let [a, b, c, d, e, f, g, h] = octets;
            format!("{}.{}.{}.{}/{e}.{f}.{g}.{h}", a & e, b & f, c & g, d & h)
        };
        let (source, destination) = (network(), network());
        let verdict = verdict(&mut draw);
        let _ = writeln!(
            text,
            "-A FORWARD -s {source} -d {destination} -p tcp -m tcp --dport 1: -j {verdict}"
        );
    }
    text + "COMMIT\n"
}

/// Each rule hangs on a match that no field decides.
fn limits() -> String {
    let mut draw = Draw(11);
    let mut text = format!("{BEGIN}{STATE}");
    for _ in 0..RULES / 10 {
        let (a, b, port) = (draw.below(256), draw.below(256), draw.below(1_024));
        let _ = writeln!(
            text,
            "-A FORWARD -s 10.{a}.0.0/16 -d 10.0.{b}.0/24 -p tcp -m tcp --dport {port} -m limit --limit {}/sec -j {}",
            1 + draw.below(100),
            verdict(&mut draw)
        );
    }
    text + "COMMIT\n"
}

fn marks() -> String {
    let mut draw = Draw(13);
    let mut text = String::from("*mangle\n:PREROUTING ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n");
    for _ in 0..RULES / 20 {
        let (a, b) = (draw.below(256), draw.below(32));
        let _ = writeln!(
            text,
            "-A PREROUTING -s 10.{a}.0.0/16 -m mark --mark 0x{:x}/0x{:x} -j MARK --set-xmark 0x{:x}/0x{:x}",
            0,
            1_u32 << draw.below(32),
            1_u32 << b,
            1_u32 << b
        );
    }
    let _ = write!(text, "COMMIT\n{BEGIN}{STATE}");
    for _ in 0..RULES / 20 {
        let bit = 1_u32 << draw.below(32);
        let (port, verdict) = (draw.below(1_024), verdict(&mut draw));
        let _ = writeln!(
            text,
            "-A FORWARD -m mark --mark {bit:#x}/{bit:#x} -p tcp -m tcp --dport {port} -j {verdict}"
        );
    }
    text + "COMMIT\n"
}
