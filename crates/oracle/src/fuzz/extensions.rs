//! Rule sets of every match and target, and packets aimed at the edges of their rules.
//!
//! A rule set goes over all tables that are walked; chains call later ones, so that there is no circle
//! and no long way. Most rules end nothing: a rule's counter tells whether it matched.

use super::draft::{Body, Draft};
use super::flow::{self, Flow};
use super::grammar::{self, Entry, Place};
use super::random::Random;
use super::{aim, mutate};
use crate::observation::Side;
use keepstate_conntrack::Hook;
use keepstate_packet::tcp::{ACK, SYN};
use keepstate_packet::{Address, Family};
use keepstate_ruleset::model::TableName;
use std::fmt::Write as _;

/// Most rules of one chain.
pub(crate) const RULES_MAX: usize = 2000;
/// Most rules of a chain where rules remember packets: such a rule set is loaded for every scenario.
const WITH_MEMORY_MAX: usize = 12;
/// Most jumps out of one chain: a packet may take all of them, and those of the chains behind.
const JUMPS_MAX: usize = 3;
/// How many of a hundred rule sets have SYNPROXY as its manual has it.
const PROXIED_PERCENT: usize = 12;
/// Most user chains behind one built-in chain.
const USERS_MAX: usize = 6;

/// Matches that remember packets.
const WITH_MEMORY: [&str; 6] = ["connlimit", "hashlimit", "limit", "quota", "recent", "statistic"];

const PROTOCOLS: [&str; 12] =
    ["", "", "", "tcp", "tcp", "udp", "udplite", "sctp", "dccp", "esp", "ah", "ipcomp"];

/// Whether a rule of a set remembers packets that it has seen.
pub(crate) fn has_memory(rules: &str) -> bool {
    WITH_MEMORY.iter().any(|name| rules.contains(&format!(" -m {name} ")))
}

/// The rule sets of both families.
pub(super) fn rulesets(random: &mut Random) -> [String; 2] {
    let with_memory = random.chance(25);
    let most = match random.below(20) {
        _ if with_memory => WITH_MEMORY_MAX,
        0 => RULES_MAX,
        1..4 => 300,
        4..12 => 40,
        _ => 10,
    };
    let is_proxied = random.chance(PROXIED_PERCENT);
    [Family::V4, Family::V6].map(|family| {
        let mut rules =
            Rules { random, family, with_memory, most, is_proxied, text: String::new() };
        for table in [TableName::Raw, TableName::Mangle, TableName::Filter, TableName::Security] {
            let percent = match table {
                TableName::Raw | TableName::Security => 40,
                TableName::Mangle => 70,
                TableName::Filter | TableName::Nat | TableName::Broute => 90,
            };
            let needed = is_proxied && matches!(table, TableName::Raw | TableName::Filter);
            if needed || rules.random.chance(percent) {
                rules.table(table);
            }
        }
        rules.text
    })
}

struct Rules<'r> {
    random: &'r mut Random,
    family: Family,
    with_memory: bool,
    /// Most rules of a chain; one chain of a rule set may have as many.
    most: usize,
    /// SYNPROXY stands as its manual has it.
    is_proxied: bool,
    text: String,
}

/// A chain, and which ones it may call.
struct Chain<'c> {
    place: Place,
    name: &'c str,
    callees: &'c [String],
    is_user: bool,
}

impl Rules<'_> {
    fn table(&mut self, table: TableName) {
        let mut users: Vec<(Hook, Vec<String>)> = Vec::new();
        let _ = writeln!(self.text, "*{}", table.as_str());
        for hook in table.hooks() {
            let drops = table == TableName::Filter && self.random.chance(5);
            let policy = if drops { "DROP" } else { "ACCEPT" };
            let _ = writeln!(self.text, ":{} {policy} [0:0]", chain_name(*hook));
        }
        for hook in table.hooks() {
            let count = if self.random.chance(50) { 0 } else { self.random.below(USERS_MAX + 1) };
            let names = (0..count).map(|n| format!("{}-{n}", chain_name(*hook).to_lowercase()));
            let names: Vec<String> = names.collect();
            for name in &names {
                let _ = writeln!(self.text, ":{name} - [0:0]");
            }
            users.push((*hook, names));
        }
        for (hook, names) in &users {
            let place = Place { family: self.family, table, hook: *hook, protocol: "" };
            let chain = Chain { place, name: chain_name(*hook), callees: names, is_user: false };
            if self.is_proxied {
                self.proxy(table, *hook);
            }
            self.chain(&chain);
            for (n, name) in names.iter().enumerate() {
                self.chain(&Chain { place, name, callees: &names[n + 1..], is_user: true });
            }
        }
        self.text.push_str("COMMIT\n");
    }

    /// SYNs are not tracked, and what is of no connection meets SYNPROXY.
    fn proxy(&mut self, table: TableName, hook: Hook) {
        match (table, hook) {
            (TableName::Raw, Hook::Prerouting) => {
                self.text.push_str("-A PREROUTING -p tcp --syn -j CT --notrack\n");
            }
            (TableName::Filter, Hook::Forward) => {
                let options = grammar::synproxy(self.random);
                let _ = writeln!(
                    self.text,
                    "-A FORWARD -p tcp -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY{options}"
                );
            }
            _ => {}
        }
    }

    fn chain(&mut self, chain: &Chain<'_>) {
        let passed =
            matches!(chain.place.hook, Hook::Prerouting | Hook::Forward | Hook::Postrouting);
        let usual = if passed { 12 } else { 5 };
        let mut length = self.random.below(usual.min(self.most) + 1);
        if passed && self.most > usual && self.random.chance(20) {
            length = self.random.below(self.most + 1);
            if self.most == RULES_MAX {
                // One such chain is enough.
                length = RULES_MAX;
                self.most = usual;
            }
        }
        let mut jumps = 0;
        for _ in 0..length {
            let calls = jumps < JUMPS_MAX && !chain.callees.is_empty() && self.random.chance(25);
            jumps += usize::from(calls);
            self.rule(chain, length, calls);
        }
    }

    fn rule(&mut self, chain: &Chain<'_>, length: usize, calls: bool) {
        let mut place = chain.place;
        let target = if calls { None } else { self.entry(grammar::targets(place), 50) };
        let count = self.random.pick(&[0, 1, 1, 1, 1, 2, 2, 3]);
        let mut matches: Vec<&Entry> = Vec::new();
        let mut wanted: Option<&[&'static str]> =
            target.map(|one| one.protocols).filter(|p| !p.is_empty());
        for _ in 0..count {
            let Some(one) = self.entry(grammar::matches(place), 100) else { break };
            let needs = self.protocols(one);
            let memory = WITH_MEMORY.contains(&one.name);
            if memory && !self.with_memory || matches.iter().any(|other| other.name == one.name) {
                continue;
            }
            match (wanted, needs) {
                (None, needs) if !needs.is_empty() => wanted = Some(needs),
                (Some(wanted), needs) if !needs.is_empty() && needs != wanted => continue,
                _ => {}
            }
            matches.push(one);
        }
        place.protocol = match wanted {
            Some(some) => self.random.pick(some),
            None => self.random.pick(&PROTOCOLS),
        };
        if wanted.is_none() && place.protocol.is_empty() && self.random.chance(10) {
            place.protocol = if self.family == Family::V4 { "icmp" } else { "ipv6-icmp" };
        }
        let mut text = format!("-A {}", chain.name);
        if !place.protocol.is_empty() {
            let not = if wanted.is_none() && matches.is_empty() && target.is_none() {
                self.not()
            } else {
                ""
            };
            if not.is_empty() {
                let _ = write!(
                    text,
                    " {} {}",
                    self.random.pick(&["-p", "-p", "--protocol"]),
                    place.protocol
                );
            } else {
                let _ = write!(text, "{not} -p {}", place.protocol);
                place.protocol = "";
            }
        }
        self.header(&mut text, place.hook);
        for one in matches {
            if let Some(options) = (one.draw)(self.random, &place) {
                let _ = write!(text, " -m {}{options}", one.name);
            }
        }
        text += &self.target(chain, place, target, length, calls);
        self.text.push_str(&text);
        self.text.push('\n');
    }

    /// The protocols that `-p` has to name. Over IPv6 the authentication header is an extension header.
    fn protocols(&self, entry: &Entry) -> &'static [&'static str] {
        if entry.name == "ah" && self.family == Family::V6 { &[] } else { entry.protocols }
    }

    fn entry(
        &mut self,
        all: impl Iterator<Item = &'static Entry>,
        percent: usize,
    ) -> Option<&'static Entry> {
        let all: Vec<&'static Entry> = all.collect();
        (!all.is_empty() && self.random.chance(percent)).then(|| self.random.pick(&all))
    }

    fn not(&mut self) -> &'static str {
        if self.random.chance(20) { " !" } else { "" }
    }

    fn header(&mut self, text: &mut String, hook: Hook) {
        let networks: &[&str] = match self.family {
            Family::V4 => &[
                "10.1.0.0/16",
                "198.51.100.1",
                "10.1.0.0/31",
                "198.51.100.2/31",
                "10.1.0.1/255.0.0.255",
                "0.0.0.0/1",
                "10.1.0.3/32",
            ],
            Family::V6 => &[
                "fd00:a::/32",
                "2001:b::1",
                "fd00:a::2/127",
                "2001:b::/126",
                "::/1",
                "fd00:a::1/ffff::ffff",
            ],
        };
        for names in [["-s", "--source"], ["-d", "--destination"]] {
            if self.random.chance(12) {
                let name = self.random.pick(&names);
                let _ = write!(text, "{} {name} {}", self.not(), self.random.pick(networks));
            }
        }
        let devices = ["eth0", "eth1", "eth+", "+", "lo", "eth00"];
        let inward = matches!(hook, Hook::Prerouting | Hook::Input | Hook::Forward);
        if self.random.chance(8) && inward {
            let name = self.random.pick(&["-i", "--in-interface"]);
            let _ = write!(text, "{} {name} {}", self.not(), self.random.pick(&devices));
        }
        let outward = matches!(hook, Hook::Forward | Hook::Output | Hook::Postrouting);
        if self.random.chance(8) && outward {
            let name = self.random.pick(&["-o", "--out-interface"]);
            let _ = write!(text, "{} {name} {}", self.not(), self.random.pick(&devices));
        }
        if self.family == Family::V4 && self.random.chance(3) {
            let _ = write!(text, "{} -f", self.not());
        }
    }

    fn target(
        &mut self,
        chain: &Chain<'_>,
        place: Place,
        target: Option<&Entry>,
        length: usize,
        calls: bool,
    ) -> String {
        if calls {
            let how = self.random.pick(&["-j", "-j", "-g"]);
            let to = &chain.callees[self.random.below(chain.callees.len())];
            return format!(" {how} {to}");
        }
        // Rules behind one that ends the way of all packets are looked at by none.
        let ends = self.random.below(length.max(30)) < 2;
        if ends {
            return self
                .random
                .pick(&[" -j ACCEPT", " -j DROP", " -j RETURN", " -j ACCEPT"])
                .to_owned();
        }
        if chain.is_user && self.random.chance(4) {
            return " -j RETURN".to_owned();
        }
        let Some(target) = target else { return String::new() };
        let stops = ["REJECT", "TPROXY", "NOTRACK", "CT"].contains(&target.name);
        if stops && self.random.below(length.max(10)) >= 4 {
            return String::new();
        }
        let options = (target.draw)(self.random, &place);
        options.map_or(String::new(), |options| format!(" -j {}{options}", target.name))
    }
}

/// The built-in chain of a hook.
const fn chain_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "PREROUTING",
        Hook::Input => "INPUT",
        Hook::Forward => "FORWARD",
        Hook::Output => "OUTPUT",
        Hook::Postrouting => "POSTROUTING",
    }
}

/// Packets for these rule sets: of conversations and alone, brought to the edges of rules.
pub(super) fn drafts(random: &mut Random, rules: &[String; 2], talk: Vec<Draft>) -> Vec<Draft> {
    let lines = [0, 1].map(|family: usize| {
        rules[family].lines().filter(|line| line.starts_with("-A")).collect::<Vec<&str>>()
    });
    let mut drafts = talk;
    if is_proxied(rules) {
        answer_late(random, &mut drafts);
    }
    mutate::mutate(&mut drafts, random.pick(&[0, 0, 3, 10]), random);
    // Where rules remember, they are loaded for this scenario alone.
    let more = if rules.iter().any(|rules| has_memory(rules)) { 250 } else { 100 };
    for _ in 0..20 + random.below(more) {
        let at = random.below(drafts.len() + 1);
        let one = alone(random);
        drafts.insert(at, one);
    }
    for draft in &mut drafts {
        let of_family = &lines[usize::from(draft.network.family == Family::V6)];
        for _ in 0..random.pick(&[0, 1, 1, 1, 2, 3]) {
            if !of_family.is_empty() {
                let line = random.pick(of_family);
                aim_at(random, draft, line);
            }
        }
    }
    drafts
}

/// Whether SYNPROXY stands in these rules as its manual has it.
pub(super) fn is_proxied(rules: &[String; 2]) -> bool {
    rules.iter().any(|rules| rules.contains(" --ctstate INVALID,UNTRACKED -j SYNPROXY"))
}

/// Has servers answer only once their clients have: so do those behind SYNPROXY.
fn answer_late(random: &mut Random, drafts: &mut [Draft]) {
    let segment = |draft: &Draft| match &draft.body {
        Body::Tcp(segment) => Some(segment.clone()),
        _ => None,
    };
    // From the end: what has been put off is not met again.
    for at in (0..drafts.len()).rev() {
        let Some(answer) = segment(&drafts[at]) else { continue };
        if answer.flags & (SYN | ACK) != SYN | ACK || random.chance(15) {
            continue;
        }
        let ports = (answer.destination_port, answer.source_port);
        let network = drafts[at].network;
        let is_next = |draft: &Draft| {
            segment(draft).is_some_and(|one| (one.source_port, one.destination_port) == ports)
                && draft.network.source == network.destination
                && draft.network.destination == network.source
        };
        let next = (at + 1..drafts.len()).find(|next| is_next(&drafts[*next]));
        if let Some(next) = next {
            drafts[at..=next].rotate_left(1);
            if random.chance(80) {
                drafts[at..next].rotate_right(1);
            }
        }
    }
}

/// A packet of nobody's conversation.
fn alone(random: &mut Random) -> Draft {
    let flow = Flow::new(random, &[80, 443, 53, 21, 2905]);
    let end = random.below(2);
    let network = flow.network(end, random);
    let mut draft = Draft::new(flow.sides[end], network, 0xff, Body::Raw(Vec::new()));
    let icmp = if flow.family == Family::V4 { 1 } else { 58 };
    let protocol = random.pick(&[6, 6, 6, 17, 17, 132, 33, icmp, 50, 51, 108, 136]);
    aim::be(random, &mut draft, protocol);
    if random.chance(80) {
        aim::set_port(&mut draft, 0, flow.ports[end]);
        aim::set_port(&mut draft, 1, flow.ports[1 - end]);
    }
    if random.chance(3) {
        for_the_router(random, &mut draft);
    }
    draft
}

/// What goes to the router itself becomes such as it takes without a word, and nothing comes from its
/// links, where it would look for a neighbour to answer.
pub(super) fn spare_the_router(random: &mut Random, drafts: &mut [Draft]) {
    for draft in drafts {
        let family = draft.network.family;
        if is_near(family, draft.network.source) {
            draft.network.source = flow::address(family, draft.side, 1);
        }
        if is_near(family, draft.network.destination) {
            for_the_router(random, draft);
        }
    }
}

/// Whether a packet that took its addresses from another is from one of the router's links, or to it.
pub(super) fn is_of_the_router(bytes: &[u8]) -> bool {
    let (family, [source, destination]) = match bytes {
        [first, ..] if first >> 4 == 4 => {
            let at = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied().map(Address::v4);
            (Family::V4, [at(12), at(16)])
        }
        _ => {
            let at = |at: usize| bytes.get(at..)?.first_chunk::<16>().copied().map(Address::v6);
            (Family::V6, [at(8), at(24)])
        }
    };
    [source, destination].into_iter().flatten().any(|one| is_near(family, one))
}

/// Whether an address is on one of the router's own links.
fn is_near(family: Family, address: Address) -> bool {
    match family {
        Family::V4 => matches!(address.v4_octets(), [100, 127, 253 | 254, _]),
        Family::V6 => address.0[..4] == [0xfd, 0x4d, 0x41, 0x54],
    }
}

/// To the router itself, such as it takes without a word.
fn for_the_router(random: &mut Random, draft: &mut Draft) {
    let network = &mut draft.network;
    let answer = match network.family {
        Family::V4 => (1, 0),
        Family::V6 => (58, 129),
    };
    let own: Address = match (network.family, draft.side) {
        (Family::V4, Side::A) => Address::v4([100, 127, 253, 1]),
        (Family::V4, Side::B) => Address::v4([100, 127, 254, 1]),
        (Family::V6, side) => {
            let mut octets = flow::address(Family::V6, side, 1).0;
            octets[..8].copy_from_slice(&[0xfd, 0x4d, 0x41, 0x54, 0, 0x0a + side as u8, 0, 0]);
            Address::v6(octets)
        }
    };
    network.destination = own;
    draft.protocol = answer.0;
    draft.options.clear();
    draft.first_header = None;
    let payload = random.bytes(20);
    draft.body = Body::Icmp { kind: answer.1, code: 0, rest: [0, 1, 0, 1], payload };
}

/// Brings a packet to the edge of a rule, where it can be brought there.
fn aim_at(random: &mut Random, draft: &mut Draft, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let named = |options: &[&str]| {
        let at = words.iter().position(|word| options.contains(word))?;
        words.get(at + 1).copied()
    };
    if let Some(protocol) = named(&["-p", "--protocol"]).and_then(aim::protocol)
        && draft.protocol != protocol
    {
        if random.chance(60) {
            return;
        }
        aim::be(random, draft, protocol);
    }
    for (options, is_source) in [(["-s", "--source"], true), (["-d", "--destination"], false)] {
        if let Some(network) = named(&options) {
            aim::set_address(random, draft, is_source, network);
        }
    }
    let begins = |word: &&str| matches!(*word, "-m" | "-j");
    let starts: Vec<usize> = (0..words.len()).filter(|at| begins(&words[*at])).collect();
    for (n, at) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(words.len());
        let entry = words.get(at + 1).and_then(|name| grammar::entry(name));
        if let Some(entry) = entry {
            (entry.aim)(random, draft, &words[at + 2..end]);
        }
    }
}
