//! Random commands of ipset(8) put to the real tool, in a namespace of its own, and to ours: what is
//! printed, what is complained of and how each ends must be the same, and so must be what is saved
//! and listed, the order of hashes and sizes in memory included. Skips without root or ipset.

use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::namespace;
use keepstate_oracle::observation::Side;
use keepstate_packet::{Family, Instant};
use keepstate_ruleset::sets::ipset::Sets;
use keepstate_ruleset::syntax::ipset::run::Run;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

/// Set types that this kernel may lack are compared where it has them.
const TYPES: [&str; 16] = [
    "bitmap:ip",
    "bitmap:ip,mac",
    "bitmap:port",
    "hash:ip",
    "hash:ip,mark",
    "hash:ip,port",
    "hash:ip,port,ip",
    "hash:ip,port,net",
    "hash:ip,mac",
    "hash:mac",
    "hash:net",
    "hash:net,port",
    "hash:net,net",
    "hash:net,port,net",
    "hash:net,iface",
    "list:set",
];

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 16) as usize % limit
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

/// Standard output, standard error, exit status.
type Said = (String, String, i32);

fn real(words: &[String], input: Option<&str>) -> Said {
    let mut child = Command::new("ipset")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ipset runs");
    let mut stdin = child.stdin.take().expect("piped");
    let _ = stdin.write_all(input.unwrap_or("").as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("ipset ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap_or(-1))
}

fn ours(sets: &mut Sets, now: Instant, words: &[String], input: Option<&str>) -> Said {
    let mut run = Run::new(sets, now);
    run.arguments(words);
    if let Some(input) = input {
        run.restore(input);
    }
    let printed = run.printed;
    (printed.out, printed.err, printed.status.into())
}

/// What differs from run to run: seconds that are left, and keys of hashes where none was given.
fn steady(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if let (true, Some((before, rest))) =
            (line.starts_with("<member>"), line.split_once("<timeout>"))
            && !rest.starts_with("0<")
        {
            let behind = rest.split_once('<').map_or("", |(_, behind)| behind);
            let _ = writeln!(out, "{before}<timeout>N<{behind}");
            continue;
        }
        let mut words = line.split(' ').peekable();
        while let Some(word) = words.next() {
            // The real tool may print behind a bitmask the prefix of an element that it printed before.
            let is_mask = word.contains(':') || word.contains('.');
            let word = match word.split_once('/') {
                Some((mask, _)) if is_mask && line.contains(&format!(" bitmask {word}")) => mask,
                _ => word,
            };
            out.push_str(word);
            let Some(next) = words.peek() else { break };
            out.push(' ');
            let seconds = word == "timeout" && line.starts_with("add ") && *next != "0";
            if seconds {
                out.push('N');
                words.next();
                if words.peek().is_some() {
                    out.push(' ');
                }
            }
        }
        out.push('\n');
    }
    out
}

fn words(line: &str) -> Vec<String> {
    keepstate_ruleset::syntax::ipset::words::of_line(line)
}

fn ip(random: &mut Random, v6: bool) -> String {
    if v6 {
        let odd = ["::", "::1", "2001:db8::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4"];
        return match random.below(12) {
            0 => random.pick(&odd).to_owned(),
            1 => format!("2001:db8::{:x}:{:x}", random.below(65536), random.below(65536)),
            _ => format!("2001:db8::{:x}", random.below(12)),
        };
    }
    let odd = ["0.0.0.0", "255.255.255.255", "10.1", "1", "::1", "10.0.0.256", "10.0.0.0", "x"];
    match random.below(14) {
        0 => random.pick(&odd).to_owned(),
        1 => format!("10.{}.{}.{}", random.below(2), random.below(256), random.below(256)),
        _ => format!("10.0.{}.{}", random.below(3), random.below(9)),
    }
}

/// An address, a range or a network.
fn ips(random: &mut Random, v6: bool) -> String {
    match random.below(10) {
        0 | 1 => {
            let lengths = if v6 {
                ["0", "1", "32", "64", "112", "126", "127", "128", "129", "x"]
            } else {
                ["0", "1", "22", "24", "28", "29", "30", "31", "32", "33"]
            };
            format!("{}/{}", ip(random, v6), random.pick(&lengths[1..]))
        }
        2 if random.chance(20) => format!("{}/0", ip(random, v6)),
        2 => {
            let third = random.below(3);
            let (low, high) = (random.below(20), random.below(20));
            format!("10.0.{third}.{low}-10.0.{}.{high}", third + random.below(2) % (3 - third))
        }
        _ => ip(random, v6),
    }
}

fn port(random: &mut Random) -> String {
    let odd = [
        "80",
        "0",
        "65535",
        "65536",
        "http",
        "tcp:22",
        "udp:53",
        "sctp:9",
        "udplite:7",
        "gre:0",
        "gre:1",
        "icmp:ping",
        "icmp:3/4",
        "icmp:7/7",
        "icmp:256/0",
        "icmp:x",
        "0:0",
        "255:0",
        "icmpv6:ping",
        "ipv6-icmp:1/5",
        "tcp:http-81",
        "nosuch",
        "tcp:nosuch",
        "nosuch:1",
        "6:5",
        "80-83",
        "83-80",
        "udp:1-3",
        "esp:0",
        "1:0/0",
        "58:128/0",
        "tcp:",
        "5-",
        "-5",
        "0x10",
        "udp:domain",
        "TCP:4",
        "253:0",
    ];
    if random.chance(50) { format!("{}", random.below(6)) } else { random.pick(&odd).to_owned() }
}

fn mac(random: &mut Random) -> String {
    let odd = ["00:00:00:00:00:00", "1:2:3:4:5:6", "ff:FF:ff:ff:ff:ff", "1:2:3:4:5", "x"];
    if random.chance(20) {
        random.pick(&odd).to_owned()
    } else {
        format!("02:00:00:00:00:{:02x}", random.below(6))
    }
}

fn iface(random: &mut Random) -> String {
    let all = ["eth0", "eth1", "eth", "e", "physdev:eth0", "lo", "abcdefghijklmno", "physdev:"];
    if random.chance(2) { "abcdefghijklmnop".to_owned() } else { random.pick(&all).to_owned() }
}

fn element(random: &mut Random, kind: &str, v6: bool) -> String {
    let (method, parts) = kind.split_once(':').expect("a type");
    if method == "list" {
        return random.pick(&["s0", "s1", "s2", "s3", "l", "nosuch"]).to_owned();
    }
    if kind == "bitmap:port" {
        let all =
            ["10", "11", "12-14", "9", "20", "21", "19-22", "tcp:13", "udp:tftp", "x", "15-12"];
        return random.pick(&all).to_owned();
    }
    let mut out = String::new();
    for (at, part) in parts.split(',').enumerate() {
        if kind == "bitmap:ip,mac" && part == "mac" && random.chance(40) {
            break;
        }
        if at > 0 {
            out.push(',');
        }
        out += &match part {
            "ip" | "net" => ips(random, v6),
            "port" => port(random),
            "mac" => mac(random),
            "mark" => random.pick(&["1", "0x10", "0xffffffff", "4294967296", "0"]).to_owned(),
            _ => iface(random),
        };
    }
    if random.chance(2) {
        out.push_str(random.pick(&[",", ",1", ",1,2", "-", "/"]));
    }
    out
}

fn extensions(random: &mut Random, has: &[bool; 4], out: &mut String) {
    let mut maybe = |random: &mut Random, has: bool, text: &str, odd: &str| {
        let chance = if has { 30 } else { 1 };
        if random.chance(chance) {
            let text = if random.chance(5) { odd } else { text };
            let _ = write!(out, " {text}");
        }
    };
    maybe(random, has[0], "timeout 500", "timeout 0");
    maybe(random, has[0], "timeout 2000", "timeout 2147484");
    let counts = format!("packets {}", random.below(1000));
    maybe(random, has[1], &counts, "packets 18446744073709551615");
    maybe(random, has[1], "bytes 0x77", "bytes x");
    maybe(random, has[2], "comment \"some text\"", "comment \"\"");
    maybe(random, has[3], "skbmark 0x1/0xff", "skbmark 5");
    maybe(random, has[3], "skbprio 1:10", "skbprio 1");
    maybe(random, has[3], "skbqueue 3", "skbqueue 65536");
}

/// A set, and what to know of it.
struct Made {
    line: String,
    kind: &'static str,
    v6: bool,
    extensions: [bool; 4],
}

fn create(random: &mut Random, name: &str) -> Made {
    let kind = TYPES[random.below(TYPES.len())];
    let method = kind.split(':').next().expect("a type");
    let v6 = method == "hash" && kind != "hash:mac" && random.chance(40);
    let mut line = format!("create {name} {kind}");
    let mut extensions: [bool; 4] = std::array::from_fn(|_| random.chance(30));
    if method == "list" {
        // The kernel takes comments of a list off its size when it comes to it.
        extensions[2] = false;
    }
    match (method, kind) {
        (_, "bitmap:port") => line += " range 10-20",
        ("bitmap", _) => {
            let all = ["10.0.0.0/24", "10.0.0.3-10.0.1.7", "10.0.0.0/16", "10.0.0.0/30"];
            let _ = write!(line, " range {}", random.pick(&all));
        }
        ("hash", _) => {
            if v6 {
                line += " family inet6";
            }
            let _ = write!(line, " initval {}", random.below(5));
            if random.chance(30) {
                let _ = write!(line, " hashsize {}", random.pick(&["1", "64", "65", "2048"]));
            }
            if random.chance(20) {
                let _ = write!(line, " maxelem {}", random.pick(&["0", "1", "5", "20", "x"]));
            }
            if random.chance(20) {
                let _ = write!(line, " bucketsize {}", random.pick(&["2", "3", "4", "14", "256"]));
            }
        }
        _ => {}
    }
    let masked = matches!(kind, "hash:ip" | "hash:ip,port" | "hash:net,net" | "bitmap:ip");
    if masked && random.chance(30) {
        let all = if v6 { ["64", "127", "128", "0"] } else { ["24", "31", "32", "33"] };
        let _ = write!(line, " netmask {}", random.pick(&all));
    } else if masked && kind != "bitmap:ip" && random.chance(30) {
        let all = if v6 { ["ffff::", "::ffff"] } else { ["255.255.0.255", "255.255.255.255"] };
        let _ = write!(line, " bitmask {}", random.pick(&all));
    }
    let names = ["timeout 1000", "counters", "comment", "skbinfo"];
    for (name, has) in names.iter().zip(extensions) {
        if has {
            let _ = write!(line, " {name}");
        }
    }
    Made { line, kind, v6, extensions }
}

/// A scenario: a few sets, then commands to them.
fn scenario(random: &mut Random) -> Vec<String> {
    let mut lines = Vec::new();
    let mut sets: BTreeMap<&str, Made> = BTreeMap::new();
    for name in ["s0", "s1", "s2", "l"] {
        let mut made = create(random, name);
        if name == "l" {
            made = Made { line: "create l list:set".into(), kind: "list:set", v6: false, ..made };
            made.extensions = [false; 4];
        }
        lines.push(made.line.clone());
        sets.insert(name, made);
    }
    let names = ["s0", "s0", "s1", "s1", "s2", "l", "nosuch"];
    for _ in 0..30 {
        let name = random.pick(&names);
        let (kind, v6, has) = match sets.get(name) {
            Some(made) => (made.kind, made.v6, made.extensions),
            None => ("hash:ip", false, [false; 4]),
        };
        let verb = random.pick(&["add", "add", "add", "add", "del", "test", "test"]);
        let mut line = match random.below(30) {
            0 => format!("flush {name}"),
            1 => format!("rename {name} {}", random.pick(&["s3", "s0", "s1"])),
            2 => format!("swap {name} {}", random.pick(&["s0", "s1", "s2", "nosuch"])),
            3 => format!("destroy {name}"),
            4 => {
                let name = random.pick(&["s0", "s1", "s2", "s3"]);
                create(random, name).line
            }
            5 => format!("list {name} {}", random.pick(&["-t", "-o xml", "-n", "-o save", "-o x"])),
            6 => "list -n".into(),
            _ => {
                let mut line = format!("{verb} {name} {}", element(random, kind, v6));
                if verb == "add" {
                    // What a bitmap counted before at a place shows again in the kernel: both are given.
                    let bitmap = has[1] && kind.starts_with("bitmap");
                    extensions(random, &[has[0], has[1] && !bitmap, has[2], has[3]], &mut line);
                    if bitmap && !line.contains(" packets") && !line.contains(" bytes") {
                        let _ = write!(line, " packets {} bytes 7", random.below(9));
                    }
                }
                if kind.contains("net") && random.chance(15) {
                    line += " nomatch";
                }
                if kind.contains("iface") && random.chance(15) {
                    line += " wildcard";
                }
                if kind == "list:set" && random.chance(30) {
                    let place = random.pick(&["before", "after"]);
                    let _ = write!(line, " {place} {}", random.pick(&["s0", "s1", "s2", "nosuch"]));
                }
                line
            }
        };
        if random.chance(15) {
            line += random.pick(&[" -exist", " -!", " -q", " -exist -q"]);
        }
        lines.push(line);
    }
    lines
}

/// Whether a set is of a type that this kernel has.
fn has_type(kind: &str) -> bool {
    let range = match kind {
        "bitmap:port" => "range 1-2",
        "bitmap:ip" | "bitmap:ip,mac" => "range 1.0.0.0/24",
        _ => "",
    };
    let made = real(&words(&format!("create probe {kind} {range}")), None).2 == 0;
    real(&words("destroy probe"), None);
    made
}

fn environment(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn without_ipset() -> bool {
    let missing = Command::new("ipset").arg("version").output().is_err();
    if missing {
        eprintln!("skipped: no ipset here");
    }
    missing
}

#[test]
fn commands_end_and_print_as_with_the_real_tool() {
    if without_ipset() {
        return;
    }
    let seed = environment("KEEPSTATE_IPSET_SEED", 1) as u64;
    let scenarios = environment("KEEPSTATE_IPSET_SCENARIOS", 40);
    let ran = namespace::with(|| {
        if real(&words("list -n"), None).2 != 0 {
            return Err("the kernel has no sets");
        }
        let missing: Vec<&str> = TYPES.into_iter().filter(|kind| !has_type(kind)).collect();
        for number in 0..scenarios as u64 {
            real(&words("flush"), None);
            real(&words("destroy"), None);
            let mut random = Random(seed << 32 | number);
            compare(&scenario(&mut random), &missing, number);
        }
        Ok(())
    });
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => eprintln!("skipped: {reason}"),
        Err(error) => eprintln!("skipped: {error}"),
    }
}

/// Puts the lines to both. Types that the kernel lacks are left out.
fn compare(lines: &[String], missing: &[&str], number: u64) {
    let lacking = |line: &str| {
        let kind = line.split(' ').nth(2).unwrap_or("");
        line.starts_with("create") && missing.contains(&kind)
    };
    let mut sets = Sets::new(1);
    let now = Instant(1_000_000_000_000);
    let mut past = String::new();
    for line in lines.iter().filter(|line| !lacking(line)) {
        let all = words(line);
        let theirs = real(&all, None);
        let here = ours(&mut sets, now, &all, None);
        let _ = writeln!(past, "{line}");
        if theirs.2 == -1 {
            return; // It crashed.
        }
        if theirs.1.contains("It's a bug") {
            assert_eq!(theirs.2, here.2, "scenario {number}\n{past}");
            continue;
        }
        let same = (steady(&theirs.0), &theirs.1, theirs.2) == (steady(&here.0), &here.1, here.2);
        assert!(same, "scenario {number}\n{past}\nreal {theirs:#?}\nours {here:#?}");
    }
    for form in ["save", "list"] {
        let (theirs, ..) = real(&words(form), None);
        let (here, ..) = ours(&mut sets, now, &words(form), None);
        let shown = |text: &str| without_expiry(&steady(text));
        let (theirs, here) = (shown(&theirs), shown(&here));
        let differs = theirs.lines().zip(here.lines()).find(|(theirs, here)| theirs != here);
        assert!(theirs == here, "scenario {number}\n{past}\n{form}: real and ours {differs:?}");
    }
    let (saved, ..) = real(&words("save"), None);
    real(&words("flush"), None);
    real(&words("destroy"), None);
    let mut again = Sets::new(2);
    let theirs = real(&words("restore"), Some(&saved));
    let here = ours(&mut again, now, &words("restore"), Some(&saved));
    assert_eq!(theirs, here, "scenario {number}: restore of\n{saved}");
    let (theirs, ..) = real(&words("save"), None);
    let (here, ..) = ours(&mut again, now, &words("save"), None);
    if theirs_is_whole(&theirs, &saved) {
        assert!(steady(&theirs) == steady(&here), "scenario {number}: save of\n{saved}");
    }
}

/// A file that is refused in the middle is applied in pieces, whose length is the tool's own business.
fn theirs_is_whole(again: &str, saved: &str) -> bool {
    again.lines().count() == saved.lines().count()
}

/// Listings for people: members have no `add` before them. What a hash that has grown takes up is
/// the kernel's own business.
fn without_expiry(text: &str) -> String {
    const SMALL: usize = 20_000;
    let mut out = String::new();
    for line in text.lines() {
        let size = line.strip_prefix("Size in memory: ").and_then(|size| size.parse().ok());
        if size.is_some_and(|size: usize| size > SMALL) {
            continue;
        }
        let cut = line.find(" timeout ").filter(|_| !line.starts_with("Header"));
        let rest = cut.map_or("", |at| {
            let behind = &line[at + 9..];
            behind.find(' ').map_or("", |end| &behind[end..])
        });
        let _ = writeln!(out, "{}{rest}", cut.map_or(line, |at| &line[..at]));
    }
    out
}

/// Sets of every kind that packets can be in, and rules that ask and change them.
const PACKET_SETS: &str = "\
create ip hash:ip hashsize 64 initval 1 counters
add ip 10.1.0.1
add ip 10.1.0.2 packets 7 bytes 100
create net hash:net initval 1 counters
add net 10.1.0.0/29
add net 10.1.0.4/30 nomatch
create ipport hash:ip,port initval 1 netmask 31
add ipport 10.2.0.2,udp:53
add ipport 10.2.0.4,tcp:80
add ipport 10.2.0.2,icmp:8/0
create ports bitmap:port range 50-90
add ports 53
create bip bitmap:ip range 10.1.0.0/28 counters
add bip 10.1.0.5-10.1.0.7
create ipmac bitmap:ip,mac range 10.1.0.0/28
add ipmac 10.1.0.3
add ipmac 10.1.0.4,02:00:00:00:00:07
create three hash:ip,port,net initval 1 counters
add three 10.1.0.1,udp:53,10.2.0.0/30
create triple hash:ip,port,ip initval 1
create netport hash:net,port initval 1
add netport 10.2.0.0/30,udp:53
add netport 10.2.0.0/29,tcp:80 nomatch
create iface hash:net,iface initval 1
add iface 10.1.0.0/30,t wildcard
add iface 10.0.0.0/8,nosuch
create skb hash:ip initval 1 skbinfo
add skb 10.1.0.1 skbmark 0x5/0xff skbprio 1:2
add skb 10.1.0.6 skbmark 0x70
create seen hash:ip initval 1 counters timeout 600
create gone hash:ip initval 1
add gone 10.1.0.0/29
create sixes hash:ip -6 initval 1
create list list:set counters
add list sixes
add list three
add list bip
add list ip
create few hash:ip,port initval 1 maxelem 3 counters
";

const PACKET_RULES: [&str; 22] = [
    "-m set --match-set ip src",
    "-m set ! --match-set ip src",
    "-m set --match-set ip src --packets-gt 9",
    "-m set --match-set ip src ! --update-counters --bytes-lt 900",
    "-m set --match-set net src",
    "-m set --match-set net src --return-nomatch",
    "-m set --match-set net src ! --packets-eq 3",
    "-m set --match-set ipport dst,dst",
    "-m set --match-set ipport dst",
    "-m set --match-set ports dst",
    "-m set --match-set ports src,dst,src,dst",
    "-m set --match-set ipmac src,src",
    "-m set --match-set three src,dst,dst",
    "-m set --match-set netport dst,dst",
    "-m set --match-set iface src,src",
    "-m set --match-set list src,dst,dst",
    "-m set --match-set list src ! --update-subcounters",
    "-j SET --add-set seen src",
    "-j SET --add-set seen dst --exist --timeout 500",
    "-j SET --add-set triple src,dst,dst --del-set gone src",
    "-j SET --add-set few src,src",
    "-j SET --add-set net dst",
];

fn packet(random: &mut Random) -> Vec<u8> {
    let protocol = [17, 17, 6, 1, 47][random.below(5)];
    let mut payload = vec![0; 20 + random.below(40)];
    let port = |random: &mut Random| [53_u16, 80, 60, 7][random.below(4)].to_be_bytes();
    match protocol {
        1 => payload[0] = [8, 0, 3][random.below(3)],
        _ => {
            payload[..2].copy_from_slice(&port(random));
            payload[2..4].copy_from_slice(&port(random));
        }
    }
    if protocol == 6 {
        (payload[12], payload[13]) = (0x50, 2);
    }
    let length = (20 + payload.len()) as u16;
    let [high, low] = length.to_be_bytes();
    let mut bytes = vec![0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
    bytes.extend([10, 1, 0, random.below(9) as u8 + 1, 10, 2, 0, random.below(9) as u8 + 1]);
    if random.chance(5) {
        bytes[7] = 9; // A later fragment.
    }
    let sum: u32 = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[test]
fn packets_are_in_sets_as_in_the_kernel_and_leave_the_same_behind() {
    if without_ipset() {
        return;
    }
    // nf_tables counts for the policies of chains that are declared.
    let mut rules = String::from("*mangle\n");
    for chain in ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] {
        let _ = writeln!(rules, ":{chain} ACCEPT [0:0]");
    }
    for (number, rule) in PACKET_RULES.iter().enumerate() {
        let _ = writeln!(rules, "-A PREROUTING -m comment --comment {number} {rule}");
    }
    rules += "-A PREROUTING -j SET --map-set skb src --map-mark\n\
              -A PREROUTING -m mark --mark 0x70 -j DROP\nCOMMIT\n";
    let ran = namespace::with(|| -> std::io::Result<()> {
        if !has_type("hash:net,iface") {
            println!("skipped: the kernel has no sets");
            return Ok(());
        }
        let config = Config::default();
        let mut kernel = Kernel::new(config.clone())?;
        kernel.load_sets(PACKET_SETS)?;
        kernel.load_rules(Family::V4, &rules)?;
        let own = [rules.clone(), String::new()];
        let mut model = Model::new(&config, &[], &own).expect("a model");
        model.load_sets(PACKET_SETS).expect("sets");
        let mut random = Random(5);
        for number in 0..600 {
            let bytes = packet(&mut random);
            let theirs = kernel.push(Side::A, Family::V4, &bytes)?;
            let here = model.push(Side::A, Family::V4, &bytes);
            assert_eq!(theirs.fate, here.fate, "packet {number}: {bytes:?}");
        }
        let theirs = kernel.save_rules(Family::V4)?;
        let counted = keepstate_oracle::compare::saved_counters(&theirs);
        let differ = keepstate_oracle::compare::counters(&counted, &model.counters(Family::V4));
        assert!(differ.is_empty(), "{differ:#?}");
        let hit = counted.iter().filter(|(_, (packets, _))| (1..600).contains(packets)).count();
        assert!(hit >= 15, "only {hit} rules tell packets apart");
        let sorted = |text: &str| {
            let mut lines: Vec<String> = steady(text).lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&kernel.save_sets()?), sorted(&model.save_sets()));
        Ok(())
    });
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error}"),
        Err(error) => eprintln!("skipped: {error}"),
    }
}
