//! `keepstate conntrack` beside conntrack(8): the command files of conntrack-tools, commands drawn
//! at random, and listings of the same traffic, through the kernel and through us. Skips, saying
//! so, without the shared test material, without the tool, or where no namespace may be made.

use keepstate_conntrack::command::{Command as Asked, parse, run};
use keepstate_conntrack::saved::{self, SavedTable};
use keepstate_datapath::pcap::Capture;
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::namespace;
use keepstate_oracle::observation::Side;
use keepstate_packet::{Family, Parsed, link::network_packet};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const KEEPSTATE: &str = env!("CARGO_BIN_EXE_keepstate");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder for the files of one test, with a link called `conntrack`.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    std::os::unix::fs::symlink(KEEPSTATE, folder.join("conntrack")).expect("a link");
    folder
}

/// Runs the link with the words of a shell-like line, on the folder's table.
fn by_link(folder: &Path, line: &str, input: &str) -> Output {
    let mut child = Command::new(folder.join("conntrack"))
        .args(line.split_whitespace())
        .env("KEEPSTATE_TABLE", folder.join("table"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the link");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("an end")
}

/// What sed(1) makes of a text.
fn edited(script: &str, text: &str) -> String {
    if script.trim().is_empty() {
        return text.to_owned();
    }
    let sed = Command::new("sed").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut sed = sed.expect("sed");
    sed.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    String::from_utf8(sed.wait_with_output().expect("an end").stdout).expect("a text")
}

/// The command files: `command ; OK|BAD` runs it, `command ;` alone is a line of input for the next
/// one, `command ; |s/a/b/g` hands its output on, edited. `KEEPSTATE_CONNTRACK_FILES` names another
/// folder of them.
#[test]
fn the_command_files_of_conntrack_tools_pass() {
    let shared = root().join("../shared/suites/conntrack-tools-1.4.8/testsuite");
    let files = std::env::var_os("KEEPSTATE_CONNTRACK_FILES").map_or(shared, PathBuf::from);
    let Ok(entries) = fs::read_dir(&files) else {
        return eprintln!("skipped: {} is not there", files.display());
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let folder = scratch("command-files");
    fs::write(folder.join("table"), "").expect("a table");
    let (mut count, mut wrong) = (0, String::new());
    for path in &paths {
        let text = fs::read_to_string(path).expect("readable");
        let mut input = String::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with(['#', ' ']) {
                continue;
            }
            let (command, expected) = line.split_once(';').expect("a semicolon");
            let expected = expected.trim_start();
            if expected.is_empty() {
                input += &format!("{command}\n");
                continue;
            }
            let output = by_link(&folder, command, &std::mem::take(&mut input));
            if let Some(script) = expected.strip_prefix('|') {
                input = edited(script, &String::from_utf8_lossy(&output.stdout));
                continue;
            }
            count += 1;
            if output.status.success() != expected.starts_with("OK") {
                let said = String::from_utf8_lossy(&output.stderr);
                wrong += &format!("{}:{number}: {command}: {said}", path.display());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 100, "{count} commands");
}

#[test]
fn changes_are_written_back_and_only_changes() {
    let folder = scratch("written-back");
    let table = folder.join("table");
    let missing = by_link(&folder, "-L", "");
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    let made =
        by_link(&folder, "-I -s 192.0.2.1 -d 192.0.2.2 -p udp --sport 1 --dport 2 -t 30", "");
    assert!(made.status.success(), "{made:?}");
    let text = fs::read_to_string(&table).expect("made");
    assert_eq!(saved::read(&text).expect("readable").flows.len(), 1);
    fs::write(&table, format!("{text}# a remark\n")).expect("written");
    assert!(by_link(&folder, "-L", "").status.success());
    assert!(fs::read_to_string(&table).expect("there").ends_with("# a remark\n"));
    let short = by_link(&folder, "--out xml -L", "");
    assert!(String::from_utf8_lossy(&short.stdout).contains("<flow>"), "{short:?}");
    assert!(by_link(&folder, "-D -p udp", "").status.success());
    assert_eq!(SavedTable::default().text(), fs::read_to_string(&table).expect("there"));
    fs::write(&table, "udp 17 x\n").expect("written");
    let broken = by_link(&folder, "-L", "");
    assert_eq!(broken.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&broken.stderr).contains("table:1: "), "{broken:?}");
}

/// Runs the real tool in the namespace of the calling thread.
fn real(words: &[&str]) -> Option<Output> {
    Command::new("conntrack").args(words).stdin(Stdio::null()).output().ok()
}

/// Without numbers that are drawn, and with timeouts as they were set: time has passed on one side.
fn settled(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if line.contains(" use=") && words.last().is_some_and(|word| word.starts_with("id=")) {
        words.pop();
    }
    let before = words.iter().position(|word| word.contains("proto=") || word.starts_with("src="));
    let of_expectation = line.contains("proto=");
    let is_line = !line.starts_with('<') && !line.starts_with('-');
    if let Some(at) = before.filter(|_| is_line) {
        let is_number = |word: &&mut String| word.parse::<u64>().is_ok();
        let count = words[..at].iter().filter(|word| word.parse::<u64>().is_ok()).count();
        let mut numbers = words[..at].iter_mut().filter(is_number);
        let timeout = if of_expectation { numbers.next() } else { numbers.next_back() };
        if let Some(timeout) = timeout.filter(|_| of_expectation || count > 1) {
            *timeout = round(timeout);
        }
    }
    if let Some(at) = words.iter().position(|word| word == "-t") {
        words[at + 1] = round(&words[at + 1]);
    }
    let mut text = words.join(" ");
    if let Some((before, rest)) = text.clone().split_once("<timeout>")
        && let Some((seconds, after)) = rest.split_once('<')
    {
        text = format!("{before}<timeout>{}<{after}", round(seconds));
    }
    if let Some((before, rest)) = text.clone().rsplit_once("</use><id>")
        && let Some((_, after)) = rest.split_once('<')
    {
        text = format!("{before}</use><id><{after}");
    }
    text
}

/// Up to the next minute, so that a slow machine has time; `verify` compares timeouts closely.
fn round(seconds: &str) -> String {
    seconds.parse::<u64>().map_or(seconds.to_owned(), |s| s.next_multiple_of(60).to_string())
}

/// Events, in their order.
fn in_order(text: &[u8], words: &[&str]) -> Vec<String> {
    let has_id = words.iter().any(|word| word.contains("id"));
    let cut = |line: &str| match line.rsplit_once(" id=") {
        Some((before, _)) if has_id => before.to_owned(),
        _ => line.split_once("<id>").map_or(line, |(before, _)| before).to_owned(),
    };
    String::from_utf8_lossy(text).lines().map(|line| cut(&settled(line))).collect()
}

fn lines(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().filter(|line| !line.starts_with("keepstate: warning: "));
    let mut lines: Vec<String> = lines.map(settled).collect();
    lines.sort();
    lines
}

/// Helpers by protocol and port, and whether they are there for IPv6.
const HELPERS: [(&str, u16, &str, bool); 12] = [
    ("tcp", 21, "ftp", true),
    ("udp", 69, "tftp", true),
    ("udp", 137, "netbios-ns", false),
    ("udp", 161, "snmp", false),
    ("udp", 1719, "RAS", true),
    ("tcp", 1720, "Q.931", true),
    ("tcp", 1723, "pptp", false),
    ("udp", 5060, "sip", true),
    ("tcp", 5060, "sip", true),
    ("tcp", 6566, "sane", true),
    ("tcp", 6667, "irc", false),
    ("udp", 10080, "amanda", true),
];

/// The rules that assign them.
fn assigned(family: Family) -> String {
    let of_family = HELPERS.iter().filter(|(.., both)| *both || family == Family::V4);
    let rule = |(protocol, port, helper, _): &(&str, u16, &str, bool)| {
        format!(
            "-A PREROUTING -p {protocol} -m {protocol} --dport {port} -j CT --helper {helper}\n"
        )
    };
    format!("*raw\n{}COMMIT\n", of_family.map(rule).collect::<String>())
}

/// Pushes a capture into the router, as a replay does.
fn push(kernel: &mut Kernel, capture: &Path) {
    let mut capture = Capture::open(capture).expect("a capture");
    while let Some(frame) = capture.next_frame() {
        let Ok(inside) = network_packet(frame.link_type, frame.bytes) else { continue };
        let Ok(parsed) = Parsed::new(inside.bytes) else { continue };
        kernel.push(Side::A, parsed.family, inside.bytes).expect("pushed");
    }
}

fn ours(capture: &Path, words: &[&str]) -> Output {
    let helpers = HELPERS.map(|(protocol, port, helper, _)| format!("{protocol}:{port}:{helper}"));
    let helpers = helpers.join(",");
    let options = ["--clock", "frozen", "--helpers", &helpers, "--sysctl", "nf_conntrack_acct=1"];
    Command::new(KEEPSTATE)
        .arg("conntrack")
        .args(options)
        .arg("--replay")
        .arg(capture)
        .args(words)
        .output()
        .expect("keepstate")
}

const LISTINGS: [&[&str]; 19] = [
    &["-L"],
    &["-L", "-o", "extended"],
    &["-L", "-o", "extended,id"],
    &["-L", "-o", "xml"],
    &["-L", "-o", "save"],
    &["-L", "-p", "tcp", "-u", "ASSURED"],
    &["-L", "-f", "ipv6"],
    &["-L", "-o", "xml,extended,id,labels"],
    &["-L", "-o", "timestamp,userspace,labels"],
    &["-L", "-g"],
    &["-L", "-p", "udp", "-o", "save"],
    &["-L", "dying"],
    &["-L", "expect"],
    &["-L", "expect", "-o", "xml"],
    &["-L", "expect", "-o", "extended,id"],
    &["-L", "expect", "-o", "save"],
    &["-L", "expect", "-f", "ipv6"],
    &["-C"],
    &["-C", "expect"],
];

/// What takes away what it shows, each something else.
const CHANGES: [&[&str]; 5] = [
    &["-U", "-s", "192.0.2.251", "-m", "5"],
    &["-F", "expect"],
    &["-D", "-p", "tcp", "-u", "ASSURED", "-o", "xml"],
    &["-D", "-p", "udp", "-o", "save"],
    &["-F"],
];

/// The real tool telling events.
struct Listener {
    child: Child,
}

impl Listener {
    /// Has it begun to listen when this returns.
    fn new(words: &[&str]) -> Self {
        let child = Command::new("conntrack")
            .arg("-E")
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("conntrack");
        let listener = Self { child };
        listener.wait_until(|socket, _| socket.is_some());
        listener
    }

    /// What it has told when nothing is left to be told.
    fn finish(self) -> Output {
        self.wait_until(|socket, is_asleep| socket == Some(0) && is_asleep);
        let number = self.child.id().to_string();
        let told = Command::new("kill").args(["-INT", &number]).status().expect("kill");
        assert!(told.success());
        self.child.wait_with_output().expect("an end")
    }

    /// Waits for something of the bytes in its socket, once that listens, and of its sleeping.
    fn wait_until(&self, is_so: impl Fn(Option<u64>, bool) -> bool) {
        let number = self.child.id().to_string();
        loop {
            let sockets = fs::read_to_string("/proc/thread-self/net/netlink").expect("sockets");
            let files = fs::read_dir(format!("/proc/{number}/fd")).into_iter().flatten().flatten();
            let links = files.filter_map(|file| fs::read_link(file.path()).ok());
            let own: Vec<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
            // Address, protocol (12: netfilter), port, groups, bytes that wait, ..., inode.
            let waiting = sockets.lines().find_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let listens = words[1] == "12" && words[3] != "00000000";
                let is_ours = || own.contains(&format!("socket:[{}]", words[words.len() - 1]));
                (listens && is_ours()).then(|| words[4].parse::<u64>().expect("a number"))
            });
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).expect("it runs");
            assert!(!stat.contains(") Z "), "conntrack -E has ended");
            let is_asleep = stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'));
            if is_so(waiting, is_asleep) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// Ways to be told of events.
const TOLD: [&[&str]; 15] = [
    &[],
    &["-o", "extended,id"],
    &["-o", "xml"],
    &["-o", "save"],
    &["-p", "tcp", "-e", "NEW,DESTROY"],
    &["-e", "UPDATES", "-o", "extended"],
    &["-e", "UPDATES", "-o", "xml,id"],
    &["-e", "NEW", "-p", "udp", "-o", "save"],
    &["-e", "DESTROY", "-o", "userspace"],
    &["-f", "ipv6", "-o", "labels"],
    &["-p", "tcp", "--state", "ESTABLISHED"],
    &["expect"],
    &["expect", "-o", "xml"],
    &["expect", "-o", "extended,id"],
    &["expect", "-o", "save"],
];

/// Those of the repository, and small ones of the shared test material, where it is there.
fn captures() -> Vec<PathBuf> {
    let bytes_max = std::env::var("KEEPSTATE_LISTED_BYTES").ok();
    let bytes_max = bytes_max.map_or(BYTES_MAX, |bytes| bytes.parse().expect("a number"));
    let mut all = Vec::new();
    for folder in ["examples/captures", "../shared/captures"] {
        let Ok(entries) = fs::read_dir(root().join(folder)) else {
            eprintln!("skipped: {folder} is not there");
            continue;
        };
        let small = |path: &PathBuf| {
            let name = path.to_string_lossy();
            let is_capture = name.ends_with(".pcap") || name.ends_with(".cap");
            is_capture && path.metadata().is_ok_and(|data| data.len() < bytes_max)
        };
        all.extend(entries.flatten().map(|entry| entry.path()).filter(small));
    }
    all.sort();
    all
}

/// Captures beyond this are left to `verify`, unless `KEEPSTATE_LISTED_BYTES` says otherwise.
const BYTES_MAX: u64 = 2_000;

#[test]
fn the_same_traffic_is_listed_and_told_alike() {
    if real(&["--version"]).is_none() {
        return eprintln!("skipped: conntrack is not installed");
    }
    let mut wrong = String::new();
    for capture in captures() {
        let name = capture.display();
        let ran = namespace::with(|| {
            let mut kernel = Kernel::new(Config::default())?;
            kernel.set_sysctl("nf_conntrack_acct", "1")?;
            kernel.load_rules(Family::V4, &assigned(Family::V4))?;
            kernel.load_rules(Family::V6, &assigned(Family::V6))?;
            let listeners = TOLD.map(Listener::new);
            push(&mut kernel, &capture);
            let events = listeners.map(Listener::finish);
            let listed = LISTINGS.map(|words| (words, real(words).expect("conntrack")));
            let proc = fs::read("/proc/thread-self/net/nf_conntrack")?;
            let proc_expect = fs::read("/proc/thread-self/net/nf_conntrack_expect")?;
            let counted = real(&["-S"]).expect("conntrack").stdout;
            let changed = CHANGES.map(|words| (words, real(words).expect("conntrack")));
            let listed: Vec<_> = listed.into_iter().chain(changed).collect();
            Ok::<_, std::io::Error>((events, listed, proc, proc_expect, counted))
        });
        let (events, listed, proc, proc_expect, counted) = match ran {
            Ok(Ok(seen)) => seen,
            Ok(Err(error)) | Err(error) => return eprintln!("skipped: {error}"),
        };
        let mut compare = |what: &str, ours: &[String], theirs: &[String]| {
            if ours != theirs {
                let only = |one: &[String], other: &[String]| {
                    let only = one.iter().filter(|line| !other.contains(line));
                    only.take(3).cloned().collect::<Vec<_>>().join("\n    ")
                };
                let (ours, theirs) = (only(ours, theirs), only(theirs, ours));
                wrong += &format!("{name} {what}\n  ours\n    {ours}\n  theirs\n    {theirs}\n");
            }
        };
        for (words, theirs) in &listed {
            let ours = ours(&capture, words);
            let what = words.join(" ");
            compare(&what, &lines(&ours.stdout), &lines(&theirs.stdout));
            compare(&what, &lines(&ours.stderr), &lines(&theirs.stderr));
            assert_eq!(ours.status, theirs.status, "{name} {words:?}");
        }
        compare("-S", &counters(&ours(&capture, &["-S"]).stdout), &counters(&counted));
        for (words, theirs) in TOLD.iter().zip(&events) {
            let ours = ours(&capture, &[&["-E"], *words].concat());
            let what = format!("-E {}", words.join(" "));
            compare(&what, &in_order(&ours.stdout, words), &in_order(&theirs.stdout, words));
            compare(&what, &lines(&ours.stderr), &lines(&theirs.stderr));
        }
        let as_proc = ours(&capture, &["-L", "-o", "proc"]);
        compare("/proc", &lines(&as_proc.stdout), &lines(&proc));
        let as_proc = ours(&capture, &["-L", "expect", "-o", "proc"]);
        compare("/proc of expectations", &lines(&as_proc.stdout), &lines(&proc_expect));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What all processors have counted.
fn counters(text: &[u8]) -> Vec<String> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for word in String::from_utf8_lossy(text).split_whitespace() {
        let (name, value) = word.split_once('=').expect("a counter");
        if name != "cpu" {
            *sums.entry(name.to_owned()).or_default() += value.parse::<u64>().expect("a number");
        }
    }
    sums.iter().map(|(name, sum)| format!("{name}={sum}")).collect()
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % bound
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

fn address(random: &mut Random, six: bool) -> &'static str {
    match six {
        false => random.of(&["1.1.1.1", "1.1.1.2", "2.2.2.2", "2.2.2.3"]),
        true => random.of(&["fe80::1", "fe80::2", "2001:db8::1", "::1.2.3.4"]),
    }
}

/// A protocol and what distinguishes its connections.
fn protocol(random: &mut Random, six: bool, whole: bool) -> String {
    let port = |random: &mut Random| random.of(&["10", "20", "30"]);
    let names = ["tcp", "tcp", "udp", "udp", "udplite", "sctp", "gre", "icmp", "99", "esp", "dccp"];
    let name = match random.of(&names) {
        "icmp" if six => "icmpv6",
        name => name,
    };
    let mut text = format!(" -p {name}");
    let mut say = |random: &mut Random, option: &str, value: &str| {
        if whole || random.one_in(3) {
            text += &format!(" --{option} {value}");
        }
    };
    match name {
        "tcp" | "udp" | "udplite" | "sctp" | "dccp" => {
            let (source, destination) = (port(random), port(random));
            say(random, "sport", source);
            say(random, "dport", destination);
            if random.one_in(12) {
                let options =
                    ["reply-port-src", "reply-port-dst", "tuple-port-src", "mask-port-dst"];
                let option = random.of(&options);
                say(random, option, source);
            }
            if name == "tcp" {
                let state = random.of(&["ESTABLISHED", "SYN_SENT", "CLOSE", "LISTEN"]);
                say(random, "state", state);
            }
            if name == "sctp" {
                let state = random.of(&["ESTABLISHED", "CLOSED"]);
                say(random, "state", state);
                if whole {
                    say(random, "orig-vtag", "7");
                    say(random, "reply-vtag", "0x10");
                }
            }
        }
        "gre" => {
            say(random, "srckey", "0x10");
            say(random, "dstkey", "5");
        }
        "icmp" | "icmpv6" => {
            let kind = if six { "128" } else { random.of(&["8", "13", "3"]) };
            say(random, &format!("{name}-type"), kind);
            say(random, &format!("{name}-code"), "0");
            let id = random.of(&["7", "9"]);
            say(random, &format!("{name}-id"), id);
        }
        _ => {}
    }
    text
}

fn some_command(random: &mut Random) -> String {
    let verb = random.of(&["-I", "-I", "-I", "-A", "-L", "-L", "-U", "-D", "-G", "-C"]);
    if random.one_in(60) {
        return random.of(&OTHERS).to_owned();
    }
    if verb == "-C" {
        return verb.to_owned();
    }
    let mut parts = addresses(random, verb);
    let six = parts.iter().any(|part| part.contains("::"));
    let whole = matches!(verb, "-I" | "-A" | "-G");
    if whole || random.one_in(2) {
        let whole = whole && !random.one_in(25);
        parts.push(protocol(random, six, whole));
    }
    parts.extend(details(random, verb).map(str::to_owned));
    parts.push(random.of(&["", "", " -o extended", " -o xml", " -o save", " -o id"]).to_owned());
    parts.push(random.of(&ODD).to_owned());
    if verb != "-I" && random.one_in(8) {
        parts.push(random.of(&MASKS).to_owned());
    }
    // What depends on the order of options, depends on it here, too.
    if random.one_in(3) {
        (1..parts.len()).for_each(|at| parts.swap(at, random.below(at as u64 + 1) as usize));
    }
    format!("{verb}{}", parts.concat())
}

/// Commands of their own.
const OTHERS: [&str; 9] = [
    "-F -f ipv6",
    "-V expect",
    "-V dying",
    "-S unconfirmed",
    "-Lexpect",
    "-D expect -s 1.1.1.1 -d 2.2.2.2 -p icmp",
    "-D expect -s fe80::1 -d fe80::2 -p icmpv6",
    "-I expect -s 1.1.1.1 -d 2.2.2.2 -p dccp --sport 1 --dport 2",
    "-h -p tcp -z",
];

/// What belongs to other commands, is misspelled, or has its value in the wrong place.
const ODD: [&str; 30] = [
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    " -z",
    " -e NEW",
    " -c 5",
    " --label-add x",
    " -n9.9.9.9",
    " --dst-nat=9.9.9.9:x",
    " -g 9.9.9.9:+5",
    " -g 9.9.9.9:70000",
    " -f ipv6",
    " --role Cl",
    " --sta",
    " -b 5",
    " --dump=expect",
    " -V foo",
    " -u UNSET,A",
    " -l one",
    " --label-del one --label-add two",
    " -a 1.1.1.1",
];

/// Ranges of addresses, with the address and without.
const MASKS: [&str; 6] = [
    " --mask-src 255.255.255.0",
    " --mask-dst 255.255.0.0",
    " --src 1.1.1.9/24",
    " --orig-dst=2.2.2.9/0",
    " --mask-src ffff::",
    " -z --mask-dst 0.0.0.0",
];

fn addresses(random: &mut Random, verb: &str) -> Vec<String> {
    let six = random.one_in(7);
    let whole = matches!(verb, "-I" | "-A" | "-G");
    let mut parts = Vec::new();
    for (option, likely) in [("-s", true), ("-d", true), ("-r", false), ("-q", false)] {
        let said = if likely {
            whole && !random.one_in(30) || random.one_in(3)
        } else {
            random.one_in(12)
        };
        if said {
            let mut part = format!(" {option} {}", address(random, six));
            if !whole && likely && random.one_in(4) {
                part += random.of(&["/24", "/8", "/0", "/32", "/33"]);
            }
            parts.push(part);
        }
    }
    parts
}

/// What is said besides who talks to whom.
fn details(random: &mut Random, verb: &str) -> impl Iterator<Item = &'static str> + use<> {
    let lists: &[&[&'static str]] = match verb {
        "-I" | "-A" => &[
            &[" -t 600", " -t 900", " -t 90000", " -t 07000", ""],
            &["", "", " -u SEEN_REPLY", " -u SEEN_REPLY,ASSURED", " -u UNSET"],
            &["", "", " -m 5", " -m 0x10"],
            &["", "", "", "", " -w 5", " --orig-zone 1", " --reply-zone 2"],
            &["", "", "", "", "", " -n 9.9.9.9", " -g 8.8.8.8:88"],
        ],
        "-L" | "-D" => &[
            &["", "", " -u ASSURED", " -u SEEN_REPLY", " -u EXPECTED"],
            &["", "", " -m 5", " -m 1/1", " -m 0"],
            &["", "", "", " -w 5", " --orig-zone 0", " --reply-zone 2"],
            &["", "", "", " -n", " -g", " -j", " -n 9.9.9.9"],
            &["", "", "", " -f ipv4", " -f ipv6"],
        ],
        "-U" => &[
            &[
                " -m 7",
                " -m 0x100/0xff",
                " -u ASSURED",
                " -u ASSURED -m 3",
                " -u EXPECTED",
                " -t 600",
            ],
            &["", "", "", " -n 9.9.9.9", " -g 8.8.8.8:88"],
        ],
        _ => &[],
    };
    lists.iter().map(|list| random.of(list)).collect::<Vec<_>>().into_iter()
}

#[test]
fn commands_drawn_at_random_are_answered_alike() {
    let ran = namespace::with(|| {
        real(&["-F"]).filter(|output| output.status.success()).map(|_| {
            let (mut table, mut random) = (SavedTable::default(), Random(7));
            for _ in 0..3000 {
                let line = some_command(&mut random);
                // There conntrack(8) takes what -u says for the mark.
                if line.find(" -m ") < line.rfind(" -u ") && line.contains(" -m ") {
                    continue;
                }
                let words: Vec<&str> = line.split_whitespace().collect();
                let theirs = real(&words).expect("conntrack");
                let mut printed = run::Printed::default();
                match parse(&words, None, &mut printed.err) {
                    Ok(command) => {
                        run::run(&Asked::clone(&command), &mut table, None, None, &mut printed)
                    }
                    Err(fault) => printed.fail(&fault),
                }
                // When it changes several connections, conntrack(8) takes the answer to one question for
                // that to the next; what it did shows in the next listing.
                let one = |text: &str| printed.err.matches(text).count() == 1;
                let several = !printed.err.contains(": 0 flow") && !one(": 1 flow")
                    || printed.err.matches("Operation failed").count() > 1;
                if line.starts_with("-U") && several {
                    continue;
                }
                assert_eq!(lines(printed.out.as_bytes()), lines(&theirs.stdout), "{line}");
                assert_eq!(printed.err, String::from_utf8_lossy(&theirs.stderr), "{line}");
                assert_eq!(Some(i32::from(printed.status)), theirs.status.code(), "{line}");
            }
        })
    });
    if !matches!(ran, Ok(Some(()))) {
        eprintln!("skipped: conntrack cannot work in a namespace here");
    }
}
