//! Random rule lines in every spelling, through the reader and printer and through this machine's
//! iptables: what one takes the other takes, and both print the same.

mod material;

use keepstate_packet::Family;
use keepstate_ruleset::syntax::iptables_save::{Print, parse, print};
use material::Tool;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Words of a rule; `{}` in an option is replaced by one of its values.
type Choice<'a> = (&'a str, &'a [&'a str]);

const PORTS: &[&str] =
    &["22", "0", "65535", "1024:", ":53", "80:443", "ssh", "domain:http", "7:7", "010", "0x50"];

const HEADERS: &[Choice<'_>] = &[
    ("! -s {}", &["10.0.0.1", "10.1.2.3/8", "192.0.2.0/255.255.255.0", "1.2.3.4/255.0.255.0"]),
    ("-s {}", &["10.0.0.1,10.0.0.2/24", "0/0", "172.16/12", "10.2.3.4/31", "1.1.1.1/0.0.0.255"]),
    ("--src {}", &["any/0", "1.2.3.4.5/0.0.0.0", "300.0.0.0/1"]),
    ("--destination {}", &["10.0.0.1", "198.51.100.0/24,203.0.113.7", "255.255.255.255"]),
    ("! --dst {}", &["224.0.0.0/4", "10.0.0.0/9"]),
    ("-i {}", &["eth0", "eth+", "+", "a.very-long_nam", "wg0"]),
    ("! --in-interface {}", &["lo", "ppp+"]),
    ("-f", &[]),
    ("! --fragments", &[]),
];

const HEADERS6: &[Choice<'_>] = &[
    ("! -s {}", &["fe80::/10", "::1", "2001:db8::1/64", "2001:db8::/ffff:ffff::"]),
    ("-s {}", &["2001:db8::1,2001:db8::2/127", "::/0", "::ffff:1.2.3.4", "0/0", "::1:2", "::3"]),
    ("-d {}", &["ff02::1", "2001:DB8:0:0::/33", "fe80::1/ffff::ff"]),
    ("-i {}", &["eth0", "eth+"]),
];

const OF_TCP: &[Choice<'_>] = &[
    ("--dport {}", PORTS),
    ("! --sport {}", PORTS),
    ("--source-port {} --syn", PORTS),
    ("! --syn", &[]),
    ("--tcp-flags {} SYN,ACK", &["ALL", "SYN,ACK,FIN,RST", "syn,ack", "URG,PSH,SYN,ACK"]),
    ("! --tcp-flags ALL {}", &["NONE", "FIN", "FIN,PSH,URG", "FIN,"]),
    ("! --tcp-option {}", &["8", "255", "0x3"]),
    ("-m multiport --dports {}", &["22", "1,2,3:9,http", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"]),
    ("-m multiport ! --sports {}", &["5:6,7", "65535"]),
    ("-m multiport --ports {}", &["80,443"]),
];

const OF_UDP: &[Choice<'_>] = &[
    (
        "--dport {}",
        &[
            "53", "0:1023", "domain", "1024:", ":", "ssh", "ssh:tftp", "nosuch", "053", "0x50",
            "09:010",
        ],
    ),
    ("! --sport {}", &["53", "67:68"]),
    ("-m multiport --destination-ports {}", &["53,123", "500,4500", "7:7", "7:8,ssh", "ntp"]),
];

const OF_ICMP: &[Choice<'_>] = &[
    ("--icmp-type {}", &["8", "echo-request", "3/4", "any", "ttl-exceeded", "echo-re", "redirect"]),
    ("! --icmp-type {}", &["host-unreachable", "0x8/0", "TOS-host-redirect", "255", "pong"]),
];

const OF_ICMP6: &[Choice<'_>] = &[
    ("--icmpv6-type {}", &["128", "echo-request", "1/4", "packet-too-big", "136", "neighbour-s"]),
    ("! --icmpv6-type {}", &["redirect", "port-unreachable", "3/0"]),
];

const OF_ANY: &[Choice<'_>] = &[
    (
        "-m state --state {}",
        &["NEW", "new,established", "INVALID,UNTRACKED", "RELATED,ESTABLISHED"],
    ),
    ("-m conntrack ! --ctstate {}", &["NEW", "SNAT,DNAT", "invalid", "ESTABLISHED,RELATED,NEW"]),
    ("-m conntrack --ctproto {} --ctdir ORIGINAL", &["tcp", "17", "icmp", "255"]),
    ("-m conntrack --ctstatus {}", &["NONE", "ASSURED,EXPECTED", "confirmed", "SEEN_REPLY"]),
    ("-m conntrack ! --ctexpire {} --ctdir reply", &["0", "1:10", "100:", ":5"]),
    ("-m conntrack --ctorigsrcport {}", &["1", "5:9", ":7", "9:", "010", "tftp"]),
    ("-m conntrack ! --ctrepldstport {}", &["1", "80:90"]),
    ("-m mark --mark {}", &["1", "0x10/0xff", "010", "4294967295/0xf0", "0"]),
    ("-m connlabel --label {}", &["0", "127", "0x10", "010 --set", "\"5\"", "128", "x"]),
    (
        "-m connlimit --connlimit-above {}",
        &["0", "3", "0x10 --connlimit-mask 24", "3 --connlimit-daddr", "-1", "4294967296"],
    ),
    ("-m connlimit ! --connlimit-upto {} --connlimit-saddr --connlimit-mask 0", &["3"]),
    ("-m connlimit --connlimit-upto {} --connlimit-mask 16", &["3", "4294967295"]),
    ("-m connlabel ! --label {} --set", &["3", "99"]),
    (
        "-m connbytes --connbytes {} --connbytes-mode packets --connbytes-dir both",
        &["0", ":", "5:", ":5", "7:7", "0x10:020", "9:3", "18446744073709551615", "-1:0"],
    ),
    (
        "-m connbytes ! --connbytes {} --connbytes-dir reply --connbytes-mode avgpkt",
        &["5", "5:9", "5:5", "0:18446744073709551615", "1:18446744073709551616"],
    ),
    ("-m connmark ! --mark {}", &["1", "0x10/0xff", "7/7"]),
    (
        "-m comment --comment {}",
        &[
            "x",
            "\"two words\"",
            "\"q\\\"uote\"",
            "\"back\\\\slash\"",
            "it's",
            "a:b",
            "-t",
            "--table",
        ],
    ),
    (
        "-m limit --limit {}",
        &["3/hour", "10/sec", "7/day", "90/min", "100/m", "61/minute", "5", "10000/s"],
    ),
    ("-m limit --limit 1/s --limit-burst {}", &["1", "5", "10000", "0"]),
    ("-m helper --helper {}", &["ftp", "\"\"", "ftp-2121"]),
    ("-m pkttype ! --pkt-type {}", &["multicast", "unicast", "BROADCAST", "otherhost"]),
    ("-m length --length {}", &["40", "0:100", "1500:", ":5", "0x10"]),
    ("-mlength --length {}", &["40"]),
    ("{}", &["-n", "--line-numbers", "-w", "-M x"]),
    ("-m mac --mac-source {}", &["00:11:22:AA:bb:cc", "0:1:2:3:4:5"]),
    ("-m addrtype ! --src-type {}", &["LOCAL", "unicast,multicast"]),
    ("-m addrtype --dst-type {} --limit-iface-in", &["LOCAL", "MULTICAST"]),
];

const OF_V4: &[Choice<'_>] = &[
    ("-m ttl --ttl-eq {}", &["1", "0x40"]),
    ("-m ttl --ttl-lt {}", &["5"]),
    ("-m iprange --src-range {}", &["10.0.0.1-10.0.0.9", "10.0.0.1"]),
    ("-m iprange ! --dst-range {} --src-range 1.1.1.1-2.2.2.2", &["10.0.0.1-10.0.0.9"]),
    ("-m conntrack --ctorigsrc {} ! --ctorigdst 10.0.0.1", &["10.0.0.0/8", "1.2.3.4/24"]),
    ("-m addrtype --dst-type {}", &["BROADCAST", "UNSPEC,PROHIBIT", "BLACKHOLE"]),
];

const OF_V6: &[Choice<'_>] = &[
    ("-m hl ! --hl-eq {}", &["255"]),
    ("-m hl --hl-gt {}", &["1"]),
    ("-m iprange --src-range {}", &["2001:db8::1-2001:db8::ff"]),
    ("-m conntrack --ctrepldst {}", &["fe80::1/64", "::1"]),
];

const TARGETS: &[Choice<'_>] = &[
    ("-j {}", &["ACCEPT", "DROP", "RETURN", "chain", "other-chain"]),
    ("-g {}", &["chain", "other-chain"]),
    ("-j LOG --log-level {}", &["info", "4", "7", "emerg", "0"]),
    (
        "-j LOG --log-prefix {} --log-tcp-options",
        &["x", "\"two words: \"", "abcdefghijklmnopqrstuvwxyz0123456789"],
    ),
    ("-j LOG --log-ip-options --log-uid --log-macdecode --log-tcp-sequence", &[]),
    ("-j MARK --set-mark {}", &["1", "0x1/0xff", "0xffffffff"]),
    ("-j MARK --{}-mark 0x5", &["and", "or", "xor", "set-x"]),
    ("-j CONNMARK --set-xmark {}", &["1", "0x1/0xff"]),
    ("-j CONNMARK --{}-mark", &["save", "restore"]),
    ("-j CONNMARK --save-mark --nfmask {} --ctmask 0xff", &["1", "0xffffffff"]),
    ("-j CONNMARK --restore-mark --mask {}", &["0xf0", "255"]),
    ("-j CONNMARK --{}-mark 7", &["and", "or", "xor"]),
    ("", &[]),
];

fn choose(random: &mut Random, from: &[Choice<'_>]) -> String {
    let (form, values) = from[random.below(from.len())];
    if values.is_empty() { form.into() } else { form.replace("{}", random.pick(values)) }
}

fn line(random: &mut Random, family: Family) -> String {
    let mut words = Vec::new();
    let mut seen = Vec::new();
    let v4 = family == Family::V4;
    for _ in 0..random.below(3) {
        let header = choose(random, if v4 { HEADERS } else { HEADERS6 });
        let option = header.trim_start_matches("! ").trim_start_matches('-').chars().next();
        if !seen.contains(&option) {
            seen.push(option);
            words.push(header);
        }
    }
    let icmp = if v4 { "icmp" } else { "icmpv6" };
    let protocol = random.pick(&["", "tcp", "udp", "6", "UDP", "icmp", "gre", "47"]);
    let protocol = if protocol == "icmp" { icmp } else { protocol };
    if !protocol.is_empty() {
        words.push(format!("-p {protocol}"));
    }
    if random.chance(60) {
        match protocol {
            "tcp" | "6" => words.push(choose(random, OF_TCP)),
            "udp" | "UDP" => words.push(choose(random, OF_UDP)),
            "icmp" => words.push(choose(random, OF_ICMP)),
            "icmpv6" => words.push(choose(random, OF_ICMP6)),
            _ => {}
        }
    }
    for _ in 0..random.below(3) {
        let from = if random.chance(80) {
            OF_ANY
        } else if v4 {
            OF_V4
        } else {
            OF_V6
        };
        words.push(choose(random, from));
    }
    if protocol == "tcp" && random.chance(10) {
        words.push("-j REJECT --reject-with tcp-reset".into());
    } else if random.chance(15) {
        let v4 = ["icmp-host-prohibited", "net-unreach", "icmp-port-unreachable"];
        let v6 = ["icmp6-adm-prohibited", "no-route", "icmp6-port-unreachable"];
        let with = random.pick(if family == Family::V4 { &v4 } else { &v6 });
        words.push(format!("-j REJECT --reject-with {with}"));
    } else {
        words.push(choose(random, TARGETS));
    }
    let counters = if random.chance(20) { "[12:3456] " } else { "" };
    let text = format!("{counters}-A INPUT {}", words.join("  "));
    // Now and then a mistake.
    if random.chance(4) { text.replacen("--", "-- ", 1) } else { text }
}

fn file(lines: &[String]) -> String {
    let rules: String = lines.iter().map(|line| format!("{line}\n")).collect();
    format!("*filter\n:INPUT DROP [7:8]\n:other-chain - [0:0]\n:chain - [0:0]\n{rules}COMMIT\n")
}

fn ours(family: Family, tool: Tool, lines: &[String]) -> Option<String> {
    let ruleset = parse(&file(lines), family).ok()?;
    Some(print(&ruleset, Print { counters: true, legacy: tool == Tool::Legacy }))
}

/// Adds the smallest files within `lines` for which the two differ.
fn judge(family: Family, tool: Tool, lines: &[String], problems: &mut Vec<String>) {
    let ours = ours(family, tool, lines);
    let theirs = material::restore_and_save(family, tool, &file(lines), true);
    match (&ours, &theirs) {
        (Some(ours), Ok(theirs)) if ours == theirs => return,
        (None, Err(_)) if lines.len() == 1 => return,
        _ => {}
    }
    if lines.len() > 1 {
        let (left, right) = lines.split_at(lines.len() / 2);
        judge(family, tool, left, problems);
        judge(family, tool, right, problems);
        return;
    }
    let line = &lines[0];
    let differing = |text: &str| {
        text.lines().filter(|line| line.contains("-A INPUT")).collect::<Vec<_>>().join(" | ")
    };
    problems.push(match (ours, theirs) {
        (Some(ours), Ok(theirs)) => {
            format!("{line}\n  ours:   {}\n  theirs: {}", differing(&ours), differing(&theirs))
        }
        (Some(_), Err(error)) => format!("{line}\n  they refuse: {}", error.trim()),
        (None, _) => {
            let faults = parse(&file(lines), family).unwrap_err();
            format!("{line}\n  we refuse: {}", faults[0].text)
        }
    });
}

/// Lines where a tool of version 1.8.9 is itself at fault, or its backends differ.
fn known(family: Family, tool: Tool, line: &str) -> bool {
    match tool {
        // It puts zeros in place of the counters of IPv6 rules; merges two `-m tcp` in a row.
        Tool::Nft => {
            family == Family::V6 && line.starts_with('[') || line.matches("-m tcp").count() > 1
        }
        // It keeps "not up to" as it is written, and its kernel part refuses a burst of none.
        Tool::Legacy => line.contains("! --sport :") || line.contains("--limit-burst 0"),
    }
}

#[test]
fn random_rules_are_taken_and_printed_as_iptables_does() {
    if !material::iptables_works() {
        return println!("skipped: iptables in a namespace needs root");
    }
    let count: usize =
        std::env::var("KEEPSTATE_RANDOM_RULES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut random = Random(0x0123_4567_89AB_CDEF);
    let mut problems = Vec::new();
    for family in [Family::V4, Family::V6] {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let line = line(&mut random, family);
            let taken = ours(family, Tool::Nft, std::slice::from_ref(&line)).is_some();
            if taken { good.push(line) } else { bad.push(line) }
        }
        println!("{} rules taken, {} refused", good.len(), bad.len());
        for tool in [Tool::Nft, Tool::Legacy] {
            let lines: Vec<String> =
                good.iter().filter(|line| !known(family, tool, line)).cloned().collect();
            judge(family, tool, &lines, &mut problems);
        }
        for line in bad.iter().take(60) {
            judge(family, Tool::Nft, std::slice::from_ref(line), &mut problems);
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}
