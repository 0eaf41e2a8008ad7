//! For which rules there is something to try in their place, one entry a kind.

use crate::conversation::Who;
use crate::prose::targets::{self, Kind};
use crate::rule::words::{OptionWords, RuleWords};
use keepstate_packet::Family;

/// What may be tried in place of rules of a kind.
#[derive(Debug)]
pub struct Narrowing {
    /// Stable name.
    pub code: &'static str,
    /// To which rules it applies.
    pub applies: fn(&RuleWords) -> bool,
    /// What stands beside each of them.
    pub around: fn(&RuleWords) -> Around,
    /// What is tried in its place; commands without the program's name.
    pub alternatives: fn(&RuleWords) -> Vec<Alternative>,
    /// On which conversations.
    pub conversations: &'static [Tried],
}

/// What stands beside a rule.
#[derive(Debug, Default)]
pub struct Around {
    /// The chain of the table filter whose policy is DROP.
    pub drops: Option<String>,
    /// Commands before it.
    pub before: Vec<String>,
    /// Commands after it.
    pub after: Vec<String>,
}

/// What is tried in place of a rule.
#[derive(Debug)]
pub struct Alternative {
    /// What it is.
    pub text: String,
    /// Its commands.
    pub lines: Vec<String>,
}

/// A conversation to try.
#[derive(Debug)]
pub struct Tried {
    /// Its code.
    pub code: &'static str,
    /// Who sends the packets that the rule is to see.
    pub sender: Who,
    /// Port of the server, where it is not that of the rule or of the conversation.
    pub port: Option<u16>,
    /// Where it takes place.
    pub stage: Stage,
}

/// Where a conversation is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Where the rule sees it.
    Rule,
    /// The filter is a gateway that masquerades the client.
    Behind,
    /// The client is on the network of the server to which the rule leads, and calls it as all others do.
    Hairpin,
}

const fn sent_by(sender: Who, code: &'static str) -> Tried {
    Tried { code, sender, port: None, stage: Stage::Rule }
}

/// Begun by this host, or by whoever the rule lets answer.
const fn out(code: &'static str) -> Tried {
    sent_by(Who::Server, code)
}

/// Begun by others.
const fn incoming(code: &'static str) -> Tried {
    sent_by(Who::Client, code)
}

/// Every kind, the first that applies is tried.
pub const NARROWINGS: &[Narrowing] = &[
    Narrowing {
        code: "narrower.related",
        applies: |rule| {
            accepts(rule) && rule.names_state("RELATED") && rule.names_state("ESTABLISHED")
        },
        around: with_ftp,
        alternatives: instead_of_related,
        conversations: &[
            out("tcp"),
            out("dns"),
            out("ping"),
            sent_by(Who::Router, "pmtu"),
            out("ftp-active"),
            out("ftp-lure"),
            incoming("scan-ack"),
            incoming("scan-fin"),
        ],
    },
    Narrowing {
        code: "narrower.limit",
        applies: |rule| accepts(rule) && rule.has_match("limit") && rule.protocol() == Some(6),
        around: with_answers,
        alternatives: instead_of_limit,
        conversations: &[incoming("tcp"), incoming("attempts"), incoming("crowd")],
    },
    Narrowing {
        code: "narrower.stateless",
        applies: |rule| {
            let plain = ["tcp", "multiport", "comment", "iprange", "mac"];
            accepts(rule)
                && rule.protocol() == Some(6)
                && rule.options(&["--dport", "--dports"]).next().is_some()
                && rule.options(&["--tcp-flags", "--sport", "--sports"]).next().is_none()
                && rule.matches.iter().all(|m| plain.contains(&m.name.as_str()))
        },
        around: |rule| Around {
            drops: Some(rule.chain.clone()),
            before: other_side(rule).into_iter().collect(),
            after: Vec::new(),
        },
        alternatives: instead_of_stateless,
        conversations: &[
            incoming("tcp"),
            incoming("mid-stream"),
            incoming("scan-ack"),
            incoming("scan-fin"),
            incoming("attempts"),
        ],
    },
    Narrowing {
        code: "narrower.new",
        applies: |rule| {
            accepts(rule)
                && rule.names_state("NEW")
                && !rule.names_state("ESTABLISHED")
                && rule.protocol() == Some(6)
        },
        around: with_answers,
        alternatives: instead_of_new,
        conversations: &[
            incoming("tcp"),
            incoming("mid-stream"),
            incoming("scan-ack"),
            incoming("attempts"),
            incoming("crowd"),
        ],
    },
    Narrowing {
        code: "narrower.invalid",
        applies: |rule| drops(rule) && rule.names_state("INVALID") && rule.header.is_empty(),
        around: |_| Around::default(),
        alternatives: instead_of_invalid,
        conversations: &[
            incoming("tcp"),
            out("out-of-window"),
            Tried { stage: Stage::Behind, ..out("out-of-window") },
            incoming("scan-null"),
            sent_by(Who::Router, "stray-icmp-error"),
            incoming("asymmetric"),
        ],
    },
    Narrowing {
        code: "narrower.flags",
        applies: |rule| {
            let beginning =
                |option: &OptionWords| option.values.get(1).map(String::as_str) == Some("SYN");
            drops(rule) && rule.options(&["--tcp-flags"]).any(|option| !beginning(option))
        },
        around: |_| Around::default(),
        alternatives: instead_of_flags,
        conversations: &[
            incoming("tcp"),
            incoming("scan-null"),
            incoming("scan-fin"),
            incoming("scan-xmas"),
            incoming("scan-ack"),
        ],
    },
    Narrowing {
        code: "narrower.recent",
        applies: |rule| {
            drops(rule) && rule.options(&["--update", "--rcheck"]).any(|option| !option.not)
        },
        around: |rule| Around {
            before: crate::experiment::noted(rule).into_iter().collect(),
            ..Around::default()
        },
        alternatives: instead_of_recent,
        conversations: &[incoming("tcp"), incoming("attempts"), incoming("crowd")],
    },
    Narrowing {
        code: "narrower.masquerade",
        applies: |rule| rule.target_name() == "MASQUERADE" && rule.header("-o").is_some(),
        around: gateway,
        alternatives: instead_of_masquerade,
        conversations: &[
            incoming("tcp"),
            incoming("dns"),
            incoming("ping"),
            sent_by(Who::Router, "pmtu"),
            incoming("ftp-active"),
            incoming("out-of-window"),
        ],
    },
    Narrowing {
        code: "narrower.dnat",
        applies: |rule| {
            rule.target_name() == "DNAT" && rule.chain == "PREROUTING" && rule.protocol() == Some(6)
        },
        around: |_| Around::default(),
        alternatives: instead_of_dnat,
        conversations: &[incoming("tcp"), Tried { stage: Stage::Hairpin, ..incoming("tcp") }],
    },
    Narrowing {
        code: "narrower.reject",
        applies: |rule| {
            rule.target_name() == "REJECT" && rule.header.is_empty() && rule.states().is_none()
        },
        around: |_| Around::default(),
        alternatives: instead_of_reject,
        conversations: &[
            out("tcp"),
            out("dns"),
            incoming("tcp"),
            incoming("dns"),
            incoming("ping"),
        ],
    },
    Narrowing {
        code: "narrower.return",
        applies: |rule| {
            targets::kind(rule.target.as_ref()) == Kind::Return
                && rule.table == "filter"
                && crate::witness::Side::of_chain(&rule.chain).is_none()
        },
        around: in_chain,
        alternatives: instead_of_return,
        conversations: &[
            Tried { port: Some(22), ..incoming("tcp") },
            Tried { port: Some(443), ..incoming("tcp") },
        ],
    },
    Narrowing {
        code: "narrower.neighbour",
        applies: |rule| {
            let named = rule.options(&["--icmpv6-type"]).find(|option| !option.not);
            let discovery = ["133", "134", "135", "136"];
            accepts(rule) && named.is_some_and(|option| discovery.contains(&option.value()))
        },
        around: |rule| Around { drops: Some(rule.chain.clone()), ..Around::default() },
        alternatives: instead_of_neighbour,
        conversations: &[
            incoming("neighbour"),
            out("neighbour"),
            out("router-discovery"),
            incoming("neighbour-from-afar"),
            incoming("ping"),
        ],
    },
];

fn accepts(rule: &RuleWords) -> bool {
    rule.target_name() == "ACCEPT"
        && rule.table == "filter"
        && matches!(rule.chain.as_str(), "INPUT" | "FORWARD")
}

fn drops(rule: &RuleWords) -> bool {
    targets::kind(rule.target.as_ref()) == Kind::Drop
        && rule.table == "filter"
        && matches!(rule.chain.as_str(), "INPUT" | "FORWARD")
}

fn alternative(text: &str, lines: Vec<String>) -> Alternative {
    Alternative { text: text.to_string(), lines }
}

/// The header of the rule but its protocol: ` -i eth0`.
fn head(rule: &RuleWords) -> String {
    let options = rule.header.iter().filter(|option| option.name != "-p");
    options.map(|option| format!(" {}", option.text())).collect()
}

const fn icmp(rule: &RuleWords) -> &'static str {
    match rule.family {
        Family::V4 => "icmp",
        Family::V6 => "ipv6-icmp",
    }
}

/// What the side sends that the rule does not look at passes, on a router.
fn other_side(rule: &RuleWords) -> Option<String> {
    let out = rule.header("-o").filter(|option| !option.not);
    let far = out.map_or("eth1", |option| option.value());
    (rule.chain == "FORWARD").then(|| format!("-A FORWARD -i {far} -j ACCEPT"))
}

fn with_ftp(rule: &RuleWords) -> Around {
    let helper =
        |chain: &str| format!("-t raw -A {chain} -p tcp -m tcp --dport 21 -j CT --helper ftp");
    let mut before = vec![helper("PREROUTING")];
    if rule.chain == "INPUT" {
        before.push(helper("OUTPUT"));
    }
    before.extend(other_side(rule));
    Around { drops: Some(rule.chain.clone()), before, after: Vec::new() }
}

fn with_answers(rule: &RuleWords) -> Around {
    let chain = &rule.chain;
    let answers = format!("-A {chain} -m conntrack --ctstate ESTABLISHED -j ACCEPT");
    let before = other_side(rule).into_iter().chain([answers]).collect();
    Around { drops: Some(chain.clone()), before, after: Vec::new() }
}

fn instead_of_related(rule: &RuleWords) -> Vec<Alternative> {
    let (chain, head) = (&rule.chain, head(rule));
    let state = |more: &str, state: &str| {
        format!("-A {chain}{head}{more} -m conntrack --ctstate {state} -j ACCEPT")
    };
    let answers = state("", "ESTABLISHED");
    let errors = state(&format!(" -p {}", icmp(rule)), "RELATED");
    let data = state(" -p tcp -m tcp --dport 1024:65535 -m helper --helper ftp", "RELATED");
    vec![
        alternative(
            "Narrower: answers of every protocol, RELATED for ICMP errors and for what FTP's helper expects \
             above port 1023.",
            vec![answers.clone(), errors.clone(), data],
        ),
        alternative(
            "Narrower still, where no helper is used: answers and errors.",
            vec![answers, errors],
        ),
        alternative(
            "Without tracking: every TCP segment that asks for no connection. Weaker: whatever claims to be \
             an answer gets in, and of UDP and ICMP nothing does.",
            vec![format!(
                "-A {chain}{head} -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT"
            )],
        ),
    ]
}

/// The rule with other matches in the place of some.
fn with(rule: &RuleWords, without: &[&str], more: &str) -> String {
    let mut other = rule.clone();
    other.matches.retain(|m| !without.contains(&m.name.as_str()));
    let target = other.target.take().map(|target| target.name).unwrap_or_default();
    format!("{}{more} -j {target}", other.save())
}

fn by_source(rule: &RuleWords, asks: &str) -> String {
    let port = rule.options(&["--dport"]).next().map_or("all", |option| option.value());
    format!(
        " -m hashlimit {asks} --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name port-{}",
        port.replace(':', "-")
    )
}

fn instead_of_limit(rule: &RuleWords) -> Vec<Alternative> {
    let rate = rule.options(&["--limit"]).next().map_or("3/min", |option| option.value());
    let more = by_source(rule, &format!("--hashlimit-upto {rate}"));
    vec![
        alternative(
            "Each source has an allowance of its own: nobody can use up that of others.",
            vec![with(rule, &["limit"], &more)],
        ),
        alternative("Without the limit.", vec![with(rule, &["limit"], "")]),
    ]
}

fn instead_of_stateless(rule: &RuleWords) -> Vec<Alternative> {
    let syn = " -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW";
    let often = by_source(rule, "--hashlimit-upto 3/min");
    let answers = format!("-A {} -m conntrack --ctstate ESTABLISHED -j ACCEPT", rule.chain);
    vec![
        alternative(
            "With states: beginnings here, and one rule for what belongs to connections that exist.",
            vec![answers.clone(), with(rule, &[], syn)],
        ),
        alternative(
            "The same, and from each source three beginnings at once, then three a minute.",
            vec![answers, with(rule, &[], &format!("{syn}{often}"))],
        ),
    ]
}

fn instead_of_new(rule: &RuleWords) -> Vec<Alternative> {
    let syn = " -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";
    let often = by_source(rule, "--hashlimit-upto 3/min");
    vec![
        alternative(
            "Narrower: beginnings only. NEW alone takes a segment in mid-stream, too.",
            vec![with(rule, &[], syn)],
        ),
        alternative(
            "Narrower still: beginnings, and from each source three at once, then three a minute.",
            vec![with(rule, &[], &format!("{syn}{often}"))],
        ),
    ]
}

fn instead_of_invalid(rule: &RuleWords) -> Vec<Alternative> {
    let invalid = |chain: &str| format!("-A {chain} -m conntrack --ctstate INVALID -j DROP");
    let untracked =
        |option: &str| format!("-t raw -A PREROUTING -p tcp -m tcp --{option} 443 -j CT --notrack");
    vec![
        alternative(
            "Wider, on a gateway that translates: in both chains, since what is not translated back comes \
             to the gateway itself.",
            vec![invalid("INPUT"), invalid("FORWARD")],
        ),
        alternative(
            "Narrower, where paths are asymmetric: what takes them is not tracked (here: port 443), and so \
             never INVALID. No rule of states holds for it then, nor any translation.",
            vec![untracked("dport"), untracked("sport"), super::own_line(rule)],
        ),
        alternative("Without it.", Vec::new()),
    ]
}

fn instead_of_flags(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    let invalid = format!("-A {chain} -m conntrack --ctstate INVALID -j DROP");
    let beginning = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN";
    vec![
        alternative(
            "Wider and shorter: tracking knows all combinations that no sender makes, and segments of no \
             connection.",
            vec![invalid.clone()],
        ),
        alternative(
            "The same, and no connection begins with anything but a SYN (running ones are cut when the \
             filter forgets them).",
            vec![invalid, format!("-A {chain} {beginning} -m conntrack --ctstate NEW -j DROP")],
        ),
    ]
}

fn instead_of_recent(rule: &RuleWords) -> Vec<Alternative> {
    let more = by_source(rule, "--hashlimit-above 3/min");
    vec![
        alternative(
            "A rate for each source instead of a list: it holds more sources than the 100 of a list, and \
             whoever goes on trying is let in now and then.",
            vec![with(rule, &["recent"], &more)],
        ),
        alternative("Without it.", Vec::new()),
    ]
}

fn gateway(rule: &RuleWords) -> Around {
    let outside = rule.header("-o").map_or("eth1", |option| option.value());
    let inside = if outside == "eth0" { "eth1" } else { "eth0" };
    Around {
        drops: Some(String::from("FORWARD")),
        before: vec![
            String::from("-t raw -A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp"),
            String::from("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
            format!("-A FORWARD -i {inside} -o {outside} -j ACCEPT"),
        ],
        after: Vec::new(),
    }
}

fn instead_of_masquerade(rule: &RuleWords) -> Vec<Alternative> {
    let v4 = rule.family == Family::V4;
    let outside = rule.header("-o").map_or("eth1", |option| option.value());
    let inside = if v4 { "192.168.1.0/24" } else { "fd00:1::/64" };
    let public = crate::conversation::gateway(rule.family);
    let invalid = |chain: &str| format!("-I {chain} 1 -m conntrack --ctstate INVALID -j DROP");
    let own = super::own_line(rule);
    let mut tried = vec![
        alternative(
            "Narrower: what the inside network sends. Without -s it also hides whatever else is routed \
             through here, addresses that need no hiding among it.",
            vec![format!("-t nat -A POSTROUTING -s {inside} -o {outside} -j MASQUERADE")],
        ),
        alternative(
            "Where the public address never changes: the same, and connections outlive an interface that \
             goes down for a moment.",
            vec![format!("-t nat -A POSTROUTING -o {outside} -j SNAT --to-source {public}")],
        ),
        alternative(
            "With the two rules that no translation should be without (they go first in their chains).",
            vec![own, invalid("INPUT"), invalid("FORWARD")],
        ),
    ];
    if rule.header("-s").is_some() {
        tried.remove(0);
    }
    tried
}

fn instead_of_dnat(rule: &RuleWords) -> Vec<Alternative> {
    let Some((server, port)) = crate::witness::destination_of(rule) else { return Vec::new() };
    let called = rule.header("-d").filter(|option| !option.not);
    let public = crate::conversation::gateway(rule.family).to_string();
    let public = called.map_or(public, |option| option.value().to_string());
    let mut everywhere = rule.clone();
    everywhere.header.retain(|option| !matches!(option.name.as_str(), "-i" | "-d"));
    let option = |name: &str, value: &str| OptionWords {
        not: false,
        name: name.to_string(),
        values: vec![value.to_string()],
    };
    everywhere.header.insert(0, option("-d", &public));
    let dialled = rule.options(&["--dport"]).next().map(|option| option.value().to_string());
    let port = port.map(|port| port.to_string()).or(dialled);
    let port = port.map_or(String::new(), |port| format!(" -m tcp --dport {port}"));
    let network = match server {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(_) => format!("{server}/64"),
    };
    let hairpin =
        format!("-t nat -A POSTROUTING -s {network} -d {server} -p tcp{port} -j MASQUERADE");
    vec![
        alternative(
            "By the public address and from everywhere, and what the server's own network sends there is \
             masqueraded, so that the answers come back this way (hairpin).",
            vec![super::own_line(&everywhere), hairpin],
        ),
        alternative(
            "The same without the second: the server answers its neighbour directly, from an address that \
             it has not called.",
            vec![super::own_line(&everywhere)],
        ),
    ]
}

fn instead_of_reject(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    let answers = format!("-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
    let own = super::own_line(rule);
    let reset = format!("-A {chain} -p tcp -j REJECT --reject-with tcp-reset");
    vec![
        alternative(
            "As it is meant: last, behind a rule that lets answers in (and behind those for services).",
            vec![answers.clone(), own],
        ),
        alternative(
            "The same; TCP is refused as if nobody listened there (\"connection refused\").",
            vec![answers.clone(), reset, format!("-A {chain} -j REJECT")],
        ),
        alternative(
            "DROP: nobody is told, and whoever connects waits for two minutes.",
            vec![answers, format!("-A {chain} -j DROP")],
        ),
    ]
}

fn in_chain(rule: &RuleWords) -> Around {
    let chain = &rule.chain;
    Around {
        drops: Some(String::from("INPUT")),
        before: vec![
            String::from("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"),
            format!("-A INPUT -j {chain}"),
        ],
        after: vec![
            format!("-A {chain} -j DROP"),
            String::from("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"),
        ],
    }
}

fn instead_of_return(rule: &RuleWords) -> Vec<Alternative> {
    let mut accepting = rule.clone();
    if let Some(target) = &mut accepting.target {
        target.name = String::from("ACCEPT");
    }
    vec![
        alternative(
            "ACCEPT in its place: wider, for the rules behind the jump are not asked any more.",
            vec![accepting.save()],
        ),
        alternative("Without it.", Vec::new()),
    ]
}

fn instead_of_neighbour(rule: &RuleWords) -> Vec<Alternative> {
    let chain = &rule.chain;
    let of = |kind: u8, hops: &str| {
        format!("-A {chain} -p ipv6-icmp -m icmp6 --icmpv6-type {kind}{hops} -j ACCEPT")
    };
    let hops = " -m hl --hl-eq 255";
    let all = |hops: &str| [133, 134, 135, 136].map(|kind| of(kind, hops)).to_vec();
    vec![
        alternative(
            "All that a host needs on its link: to find routers and neighbours, and to be found.",
            all(hops),
        ),
        alternative(
            "The same without the hop limit: what somebody beyond a router has sent gets past the filter.",
            all(""),
        ),
        alternative(
            "All of ICMPv6: wider; with pings, errors and redirects.",
            vec![format!("-A {chain} -p ipv6-icmp -j ACCEPT")],
        ),
    ]
}
