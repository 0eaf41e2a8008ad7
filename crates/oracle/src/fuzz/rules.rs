//! Random rule sets in iptables-save form, such as both the kernel and the engine load.

use super::random::Random;
use super::{dialogues, nat};
use keepstate_packet::Family;
use std::fmt::Write as _;

/// Most rules of one chain.
const RULES_MAX: usize = 7;
/// How many of a hundred tables nat are a gateway's, and something behind it.
const GATEWAY_PERCENT: usize = 40;
/// User chains of the filter table; later ones are called from earlier ones.
const USER_CHAINS: [&str; 3] = ["one", "two", "three"];

/// A rule set. `dropping` is how many rules in a hundred end a packet's way.
pub(crate) fn ruleset(
    random: &mut Random,
    family: Family,
    dropping: usize,
    translates: bool,
) -> String {
    let mut rules = Rules { random, family, dropping, translates, text: String::new() };
    rules.raw();
    rules.mangle();
    rules.filter();
    if translates {
        rules.nat();
    }
    if rules.random.chance(20) {
        rules.table("security", &["FORWARD"], 2, false);
    }
    rules.text
}

/// The rules that assign helpers, and no others.
pub(crate) fn helpers_only(family: Family) -> String {
    assigning(family, false)
}

fn assigning(family: Family, translates: bool) -> String {
    let rules: Vec<_> = dialogues::rules(family, translates).collect();
    let rules = rules.join("\n");
    format!("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}\nCOMMIT\n")
}

/// The rules that assign helpers, and those of a gateway.
pub(crate) fn helped_gateway(random: &mut Random, family: Family) -> String {
    let mut text = assigning(family, true);
    let chains = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"];
    text.push_str("*nat\n");
    chains.iter().for_each(|chain| text.push_str(&format!(":{chain} ACCEPT [0:0]\n")));
    if random.chance(GATEWAY_PERCENT) {
        text.push_str(&nat::gateway(random, family));
    }
    for chain in chains {
        text.push_str(&nat::rules(random, family, chain, |_| String::new()));
    }
    text + "COMMIT\n"
}

/// Rules that ask for tracking or do not. Of a later IPv6 fragment iptables-nft looks for ports in the
/// IPv6 header.
pub(crate) fn perhaps_asking(random: &mut Random, family: Family, dropping: usize) -> String {
    const ASKING: [&str; 5] = [" -m state", " -m conn", " -m helper", " -j CT ", " -j CONN"];
    match (family, random.chance(50)) {
        (Family::V6, true) => String::new(),
        (Family::V6, false) => helpers_only(family),
        (Family::V4, false) => ruleset(random, family, dropping, false),
        (Family::V4, true) => {
            let rules = ruleset(random, family, dropping, false);
            let asks = |line: &str| {
                ASKING.iter().any(|asking| line.contains(asking)) && !line.contains("--notrack")
            };
            rules.lines().filter(|line| !asks(line)).map(|line| format!("{line}\n")).collect()
        }
    }
}

struct Rules<'r> {
    random: &'r mut Random,
    family: Family,
    dropping: usize,
    translates: bool,
    text: String,
}

impl Rules<'_> {
    fn raw(&mut self) {
        let translates = self.translates;
        self.text.push_str("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
        if self.random.chance(if translates { 90 } else { 70 }) {
            let percent = if translates && self.random.chance(75) { 0 } else { 25 };
            for rule in dialogues::rules(self.family, translates) {
                let more = if self.random.chance(percent) {
                    self.random.pick(&[
                        " --zone 2",
                        " --zone-orig 1",
                        " --zone-reply 2",
                        " --zone mark",
                        " --expevents new",
                        " --ctevents new,destroy --expevents new",
                        " --ctevents helper",
                    ])
                } else {
                    ""
                };
                self.line(&format!("{rule}{more}"));
            }
        }
        if self.random.chance(15) {
            let matches = self.matches("PREROUTING", "raw");
            let value = self.random.below(4);
            self.line(&format!("-A PREROUTING{matches} -j MARK --set-xmark {value:#x}/0xffffffff"));
        }
        let most = if self.random.chance(40) { 4 } else { 1 };
        for _ in 0..self.random.below(most + 1) {
            let rule = self.template();
            self.line(&rule);
        }
        if self.random.chance(10) {
            let matches = self.matches("PREROUTING", "raw");
            self.line(&format!("-A PREROUTING{matches} -j DROP"));
        }
        self.line("COMMIT");
    }

    /// A rule that attaches a template, or keeps others from it.
    fn template(&mut self) -> String {
        if self.random.chance(25) {
            let matches = self.matches("PREROUTING", "raw");
            let target = self.random.pick(&["CT --notrack", "CT --notrack", "NOTRACK", "ACCEPT"]);
            return format!("-A PREROUTING{matches} -j {target}");
        }
        let mut options = String::new();
        let policy = self.random.chance(35).then(|| self.policy());
        let matches = match &policy {
            Some((protocol, name)) => {
                let _ = write!(options, " --timeout {name}");
                format!(" -p {protocol}")
            }
            None => self.matches("PREROUTING", "raw"),
        };
        if self.random.chance(30) {
            let events = [
                "new,destroy",
                "reply,assured,mark",
                "new,related,destroy,reply,assured,protoinfo,helper,mark,natseqinfo,secmark",
                "assured",
                "protoinfo,related",
                "new",
                "destroy",
            ];
            let _ = write!(options, " --ctevents {}", self.random.pick(&events));
        }
        if self.random.chance(15) {
            options.push_str(" --expevents new");
        }
        if options.is_empty() || self.random.chance(30) {
            let option = self.random.pick(&["zone", "zone", "zone-orig", "zone-reply"]);
            let _ =
                write!(options, " --{option} {}", self.random.pick(&["1", "2", "65535", "mark"]));
        }
        format!("-A PREROUTING{matches} -j CT{options}")
    }

    /// A protocol and the name of a timeout policy for it.
    fn policy(&mut self) -> (&'static str, String) {
        let family = match self.family {
            Family::V4 => "inet",
            Family::V6 => "inet6",
        };
        let (protocol, name) = self.random.pick(&[
            ("tcp", "tcp-a"),
            ("tcp", "tcp-b"),
            ("tcp", "tcp-b"),
            ("udp", "udp-a"),
            ("udp", "udp-b"),
            ("udplite", "udplite-a"),
            ("sctp", "sctp-a"),
            ("icmp", "icmp-a"),
            ("ipv6-icmp", "icmpv6-a"),
            ("gre", "gre-a"),
            ("esp", "generic-a"),
            ("253", "generic-a"),
        ]);
        // Of the other one the kernel makes connections that end as they begin.
        let name = if self.translates && name == "udp-b" { "udp-a" } else { name };
        (protocol, format!("{name}-{family}"))
    }

    fn nat(&mut self) {
        self.line("*nat");
        let chains = ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"];
        chains.iter().for_each(|chain| self.line(&format!(":{chain} ACCEPT [0:0]")));
        if self.random.chance(GATEWAY_PERCENT) {
            let text = nat::gateway(self.random, self.family);
            self.text.push_str(&text);
        }
        for chain in chains {
            let (family, dropping) = (self.family, self.dropping);
            let text = nat::rules(self.random, family, chain, |random| {
                let (translates, text) = (true, String::new());
                let mut rules = Rules { random, family, dropping, translates, text };
                rules.matches(chain, "nat")
            });
            self.text.push_str(&text);
        }
        self.line("COMMIT");
    }

    fn mangle(&mut self) {
        let prefixes = self.translates && self.family == Family::V6 && self.random.chance(15);
        if prefixes || self.random.chance(60) {
            self.table("mangle", &["PREROUTING", "FORWARD", "POSTROUTING"], 3, false);
        }
        if prefixes {
            // Before the others, which may end the way of a packet.
            let at = self.rules_begin();
            self.text.insert_str(at, nat::PREFIXES);
        }
    }

    /// Where the rules of the table that was written last begin.
    fn rules_begin(&self) -> usize {
        let table = self.text.rfind('*').unwrap_or(0);
        let chains = self.text[table..].rfind("\n:").map_or(table, |at| table + at + 1);
        self.text[chains..].find('\n').map_or(self.text.len(), |at| chains + at + 1)
    }

    fn filter(&mut self) {
        self.table("filter", &["FORWARD"], RULES_MAX, true);
    }

    fn table(&mut self, table: &str, chains: &[&str], most: usize, users: bool) {
        let built_in: &[&str] = match table {
            "mangle" => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
            _ => &["INPUT", "FORWARD", "OUTPUT"],
        };
        let _ = writeln!(self.text, "*{table}");
        for chain in built_in {
            let drop = users && *chain == "FORWARD" && self.random.chance(self.dropping / 2);
            let policy = if drop { "DROP" } else { "ACCEPT" };
            let _ = writeln!(self.text, ":{chain} {policy} [0:0]");
        }
        let users: &[&str] = if users && self.random.chance(60) { &USER_CHAINS } else { &[] };
        for chain in users {
            let _ = writeln!(self.text, ":{chain} - [0:0]");
        }
        for chain in chains {
            for _ in 0..self.random.below(most + 1) {
                self.rule(table, chain, users);
            }
        }
        for (n, chain) in users.iter().enumerate() {
            for _ in 0..self.random.below(4) {
                self.rule(table, chain, &users[n + 1..]);
            }
        }
        self.line("COMMIT");
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn rule(&mut self, table: &str, chain: &str, callees: &[&str]) {
        let matches = self.matches(chain, table);
        let target = self.target(table, &matches, callees);
        let user = USER_CHAINS.contains(&chain);
        let target = if target == " -j RETURN" && !user { String::new() } else { target };
        self.line(&format!("-A {chain}{matches}{target}"));
    }

    fn target(&mut self, table: &str, matches: &str, callees: &[&str]) -> String {
        if !callees.is_empty() && self.random.chance(35) {
            let how = if self.random.chance(75) { "-j" } else { "-g" };
            return format!(" {how} {}", self.random.pick(callees));
        }
        if self.random.chance(self.dropping) {
            return if table == "filter" { self.ending(matches) } else { " -j DROP".to_owned() };
        }
        let value = self.random.below(4);
        match (table, self.random.below(10)) {
            ("mangle", 0..2) => format!(" -j MARK --set-xmark {value:#x}/0xffffffff"),
            ("mangle", 2..4) => format!(" -j CONNMARK --set-xmark {value:#x}/0xff"),
            ("mangle", 4) => " -j CONNMARK --save-mark".to_owned(),
            ("mangle", 5) => " -j CONNMARK --restore-mark".to_owned(),
            ("mangle", 6) => format!(" -j MARK --set-xmark {value:#x}/0x3"),
            (_, 7) => " -j LOG --log-prefix \"fuzz \"".to_owned(),
            (_, 8) => String::new(),
            (_, 9) => " -j RETURN".to_owned(),
            _ => " -j ACCEPT".to_owned(),
        }
    }

    /// DROP or REJECT.
    fn ending(&mut self, matches: &str) -> String {
        let reset = matches.starts_with(" -p tcp");
        let with: &[&str] = match self.family {
            Family::V4 => &[
                "icmp-port-unreachable",
                "icmp-host-unreachable",
                "icmp-net-unreachable",
                "icmp-proto-unreachable",
                "icmp-net-prohibited",
                "icmp-host-prohibited",
                "icmp-admin-prohibited",
            ],
            Family::V6 => &[
                "icmp6-port-unreachable",
                "icmp6-no-route",
                "icmp6-adm-prohibited",
                "icmp6-addr-unreachable",
                "icmp6-policy-fail",
                "icmp6-reject-route",
            ],
        };
        match self.random.below(10) {
            0..5 => " -j DROP".to_owned(),
            5..8 if reset => " -j REJECT --reject-with tcp-reset".to_owned(),
            _ => format!(" -j REJECT --reject-with {}", self.random.pick(with)),
        }
    }

    fn matches(&mut self, chain: &str, table: &str) -> String {
        let mut text = String::new();
        let protocol = self.protocol(&mut text);
        self.header(&mut text, chain);
        for _ in 0..self.random.below(3) {
            let one = self.extension(protocol, table, chain);
            text.push_str(&one);
        }
        text
    }

    fn protocol(&mut self, text: &mut String) -> &'static str {
        let icmp = if self.family == Family::V4 { "icmp" } else { "ipv6-icmp" };
        let protocol = self.random.pick(&["", "", "tcp", "tcp", "udp", icmp]);
        if !protocol.is_empty() {
            let _ = write!(text, " -p {protocol}");
        }
        protocol
    }

    fn not(&mut self) -> &'static str {
        if self.random.chance(20) { " !" } else { "" }
    }

    fn header(&mut self, text: &mut String, chain: &str) {
        let networks: &[&str] = match self.family {
            Family::V4 => &["10.1.0.0/16", "198.51.100.1/32", "10.1.0.1/32", "198.51.100.0/24"],
            Family::V6 => &["fd00:a::/32", "2001:b::1/128", "fd00:a::2/128", "2001:b::/32"],
        };
        for option in ["-s", "-d"] {
            if self.random.chance(20) {
                let _ = write!(text, "{} {option} {}", self.not(), self.random.pick(networks));
            }
        }
        let devices = ["eth0", "eth1", "eth+", "lo"];
        if self.random.chance(12) && !matches!(chain, "OUTPUT" | "POSTROUTING") {
            let _ = write!(text, "{} -i {}", self.not(), self.random.pick(&devices));
        }
        if self.random.chance(12) && matches!(chain, "FORWARD" | "POSTROUTING") {
            let _ = write!(text, "{} -o {}", self.not(), self.random.pick(&devices));
        }
    }

    fn extension(&mut self, protocol: &str, table: &str, chain: &str) -> String {
        let not = self.not();
        match self.random.below(23) {
            0..3 => self.state(),
            3..6 => self.conntrack(table),
            6 => format!(" -m mark{not} --mark {:#x}/{:#x}", self.random.below(4), 3),
            7 => {
                format!(" -m connmark{not} --mark {:#x}", self.random.below(4))
            }
            8 => {
                let low = self.random.below(100);
                format!(" -m length{not} --length {low}:{}", low + self.random.below(1400))
            }
            9 => match self.family {
                Family::V4 => format!(" -m ttl --ttl-{} {}", self.random.pick(&["lt", "gt"]), 64),
                Family::V6 => format!(" -m hl --hl-{} {}", self.random.pick(&["lt", "gt"]), 64),
            },
            10 => {
                let name = self.random.pick(&["ftp", "ftp", "tftp", "sip", "irc"]);
                format!(" -m helper{not} --helper \"{name}\"")
            }
            11 if self.family == Family::V4 => {
                format!(" -m iprange{not} --src-range 10.1.0.1-10.1.0.1")
            }
            12 if chain == "FORWARD" || chain == "PREROUTING" => {
                format!(" -m mac{not} --mac-source 02:6d:61:74:00:0a")
            }
            13 => " -m pkttype --pkt-type unicast".to_owned(),
            14 => {
                let kinds: &[&str] = match self.family {
                    Family::V4 => &["UNICAST", "LOCAL", "BROADCAST", "MULTICAST"],
                    Family::V6 => &["UNICAST", "LOCAL", "MULTICAST"],
                };
                let kind = self.random.pick(kinds);
                format!(" -m addrtype{not} --{}-type {kind}", self.random.pick(&["src", "dst"]))
            }
            15 => format!(" -m limit --limit 1/day --limit-burst {}", 1 + self.random.below(60)),
            16 => self.amount(),
            17 | 18 => {
                let set = if self.random.chance(50) { " --set" } else { "" };
                let label = self.random.pick(&["0", "1", "63", "64", "127"]);
                format!(" -m connlabel{not} --label \"{label}\"{set}")
            }
            _ => self.of_protocol(protocol),
        }
    }

    /// How much a connection has carried.
    fn amount(&mut self) -> String {
        let not = self.not();
        let (mode, range) = self.random.pick(&[
            ("packets", "2"),
            ("packets", "3:5"),
            ("packets", "0:4"),
            ("bytes", "200"),
            ("bytes", "100:1000"),
            ("avgpkt", "60:80"),
            ("avgpkt", "41"),
        ]);
        let of = self.random.pick(&["original", "reply", "both"]);
        format!(
            " -m connbytes{not} --connbytes {range} --connbytes-mode {mode} --connbytes-dir {of}"
        )
    }

    fn state(&mut self) -> String {
        let sets = [
            "NEW",
            "RELATED,ESTABLISHED",
            "INVALID",
            "ESTABLISHED",
            "RELATED",
            "UNTRACKED",
            "INVALID,NEW",
        ];
        format!(" -m state{} --state {}", self.not(), self.random.pick(&sets))
    }

    fn conntrack(&mut self, table: &str) -> String {
        let not = self.not();
        let network = match self.family {
            Family::V4 => "10.1.0.0/16",
            Family::V6 => "fd00:a::/32",
        };
        let what = match self.random.below(9) {
            0 => format!(
                " --ctstate {}",
                self.random.pick(&["NEW", "RELATED", "INVALID", "RELATED,ESTABLISHED"])
            ),
            1 => format!(" --ctproto {}", self.random.pick(&["6", "17", "1", "58"])),
            2 => format!(" --ctorigsrc {network}"),
            3 => format!(" --ctrepldst {network}"),
            4 => format!(" --ctorigdstport {}", self.random.pick(&[80, 443, 53, 21])),
            5 => format!(" --ctreplsrcport {}", self.random.pick(&[80, 443, 53, 21])),
            6 => format!(
                " --ctstatus {}",
                self.random.pick(&["SEEN_REPLY", "ASSURED", "EXPECTED", "CONFIRMED", "NONE"])
            ),
            7 => {
                return format!(
                    " -m conntrack --ctdir {}",
                    self.random.pick(&["ORIGINAL", "REPLY"])
                );
            }
            _ if table == "raw" => String::from(" --ctstate NEW,UNTRACKED"),
            // Far from where a timeout starts: the clocks of the two differ by milliseconds. For a
            // connection that is not yet confirmed the kernel's answer depends on its uptime.
            _ => {
                let range = self.random.pick(&["15:110", "20:200", "280:500000"]);
                return format!(" -m conntrack --ctstatus CONFIRMED{not} --ctexpire {range}");
            }
        };
        format!(" -m conntrack{not}{what}")
    }

    fn of_protocol(&mut self, protocol: &str) -> String {
        let not = self.not();
        match protocol {
            "tcp" => match self.random.below(5) {
                0 => format!(
                    " -m tcp{not} --dport {}",
                    self.random.pick(&["80", "443", "1024:1026", "21"])
                ),
                1 => format!(
                    " -m tcp{not} --sport {}",
                    self.random.pick(&["80", "443", "1024:1026", "21"])
                ),
                2 => format!(
                    " -m tcp{not} --tcp-flags {}",
                    self.random.pick(&[
                        "FIN,SYN,RST,ACK SYN",
                        "RST RST",
                        "FIN,ACK FIN,ACK",
                        "PSH,ACK PSH"
                    ])
                ),
                3 => format!(" -m tcp{not} --tcp-option {}", self.random.pick(&[3, 5, 8])),
                _ => format!(" -m multiport{not} --dports 80,443,1024:1025"),
            },
            "udp" => match self.random.below(2) {
                0 => format!(
                    " -m udp{not} --dport {}",
                    self.random.pick(&["53", "123", "1024:1026"])
                ),
                _ => " -m multiport --ports 53,1025".to_owned(),
            },
            "icmp" => format!(
                " -m icmp{not} --icmp-type {}",
                self.random.pick(&["8", "3", "3/1", "11", "0"])
            ),
            "ipv6-icmp" => {
                format!(
                    " -m icmp6{not} --icmpv6-type {}",
                    self.random.pick(&["128", "129", "1/4", "135", "3"])
                )
            }
            _ => " -m comment --comment \"any protocol\"".to_owned(),
        }
    }
}
