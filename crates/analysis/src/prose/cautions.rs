//! What to mind: what goes wrong with rules of a kind, and what to write instead. One row each.

use super::targets::{self, Kind};
use crate::answer::{Answer, Topic};
use crate::rule::words::RuleWords;
use keepstate_packet::Family;

/// A caution.
#[derive(Debug)]
pub struct Caution {
    /// Stable name.
    pub code: &'static str,
    /// To which rules it applies.
    pub applies: fn(&RuleWords) -> bool,
    /// What is said.
    pub text: fn(&RuleWords) -> String,
    /// Lines to be pasted.
    pub lines: fn(&RuleWords) -> Vec<String>,
}

/// Adds the cautions that apply.
pub fn add(answer: &mut Answer, rule: &RuleWords) {
    let all = CAUTIONS.iter().chain(super::surroundings::CAUTIONS);
    for caution in all.filter(|caution| (caution.applies)(rule)) {
        let lines = (caution.lines)(rule);
        let text = (caution.text)(rule);
        if lines.is_empty() {
            answer.say(Topic::Mind, caution.code, text);
        } else {
            answer.paste(Topic::Mind, caution.code, text, lines);
        }
    }
}

pub(super) fn kind(rule: &RuleWords) -> Kind {
    targets::kind(rule.target.as_ref())
}

fn accepts(rule: &RuleWords, state: &str) -> bool {
    kind(rule) == Kind::Accept && rule.names_state(state)
}

pub(super) fn program(rule: &RuleWords) -> &'static str {
    if rule.family == Family::V6 { "ip6tables" } else { "iptables" }
}

fn icmp(rule: &RuleWords) -> &'static str {
    if rule.family == Family::V6 { "ipv6-icmp" } else { "icmp" }
}

fn v4_only(rule: &RuleWords) -> bool {
    rule.family == Family::V4
}

/// Whether the rule asks for ports.
pub(super) fn names_ports(rule: &RuleWords) -> bool {
    let options = ["--sport", "--dport", "--sports", "--dports", "--ports"];
    rule.options(&options).next().is_some()
}

/// Whether the rule is for some peers, ports or interfaces only.
fn narrow(rule: &RuleWords) -> bool {
    names_ports(rule) || ["-s", "-d", "-i", "-o"].iter().any(|flag| rule.header(flag).is_some())
}

pub(super) const NONE: fn(&RuleWords) -> Vec<String> = |_| Vec::new();

/// Every caution, the weightiest first.
pub const CAUTIONS: &[Caution] = &[
    Caution {
        code: "mind.helpers-by-hand",
        applies: |rule| {
            accepts(rule, "RELATED") && (rule.admits_protocol(6) || rule.admits_protocol(17))
        },
        text: |_| {
            String::from(
                "Helpers are assigned by hand. For FTP through this rule (RELATED connections) the \
                 control connection needs its helper, on a server or router in PREROUTING, for this \
                 host's own clients in OUTPUT:",
            )
        },
        lines: |rule| {
            ["PREROUTING", "OUTPUT"]
                .iter()
                .map(|chain| {
                    format!(
                        "{} -t raw -A {chain} -p tcp --dport 21 -j CT --helper ftp",
                        program(rule)
                    )
                })
                .collect()
        },
    },
    Caution {
        code: "mind.related-too-wide",
        applies: |rule| {
            accepts(rule, "RELATED")
                && !rule.has_match("helper")
                && (rule.admits_protocol(6) || rule.admits_protocol(17))
        },
        text: |_| {
            String::from(
                "RELATED is broad: whatever any assigned helper reads out of a payload opens a way \
                 in, to any port, and a helper believes what the peers say. Narrower: ESTABLISHED \
                 for everything, RELATED only as errors and only for the helpers you use.",
            )
        },
        // Where they are tried, they stand there.
        lines: |rule| {
            if crate::narrower::applies(rule) {
                return Vec::new();
            }
            let (program, chain) = (program(rule), &rule.chain);
            vec![
                format!("{program} -A {chain} -m conntrack --ctstate ESTABLISHED -j ACCEPT"),
                format!(
                    "{program} -A {chain} -p {} -m conntrack --ctstate RELATED -j ACCEPT",
                    icmp(rule)
                ),
                format!(
                    "{program} -A {chain} -p tcp --dport 1024: -m helper --helper ftp -m conntrack \
                     --ctstate RELATED -j ACCEPT"
                ),
            ]
        },
    },
    Caution {
        code: "mind.tcp-only",
        applies: |rule| {
            accepts(rule, "ESTABLISHED") && rule.protocol() == Some(6) && !names_ports(rule)
        },
        text: |_| {
            String::from(
                "The rule is for TCP only. Answers over UDP (DNS, NTP), answers to ping and ICMP \
                 errors need rules of their own, or this rule without -p tcp. Without the errors, \
                 path MTU discovery breaks and connections hang as soon as they carry much data:",
            )
        },
        lines: |rule| {
            let (program, chain) = (program(rule), &rule.chain);
            vec![
                format!("{program} -A {chain} -p udp -m conntrack --ctstate ESTABLISHED -j ACCEPT"),
                format!(
                    "{program} -A {chain} -p {} -m conntrack --ctstate RELATED,ESTABLISHED -j \
                     ACCEPT",
                    icmp(rule)
                ),
            ]
        },
    },
    Caution {
        code: "mind.pmtu",
        applies: |rule| accepts(rule, "RELATED") && matches!(rule.protocol(), Some(1 | 58)),
        text: |rule| {
            let kind = if rule.family == Family::V6 {
                "packet too big (ICMPv6 type 2), which IPv6 cannot do without: routers never \
                 fragment"
            } else {
                "fragmentation needed (type 3, code 4)"
            };
            format!(
                "This is the rule that keeps path MTU discovery alive: it lets in {kind}. It is \
                 narrow enough to be left as it is, since an error has to quote a packet of a \
                 connection that exists."
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.accepts-invalid",
        applies: |rule| accepts(rule, "INVALID"),
        text: |rule| {
            let negated = rule.options(&["--state", "--ctstate"]).any(|option| option.not);
            format!(
                "It accepts INVALID packets as well{}: segments that contradict their connection, \
                 scans with odd flags and ICMP errors about nothing. Rules behind it that drop \
                 INVALID never see them. If answers are meant, name the states:",
                if negated { ", since whatever is not named behind `!` matches" } else { "" }
            )
        },
        lines: |rule| {
            vec![format!(
                "{} -A {} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                program(rule),
                rule.chain
            )]
        },
    },
    Caution {
        code: "mind.invalid-and-nat",
        applies: |rule| {
            accepts(rule, "ESTABLISHED") && !rule.names_state("INVALID") && rule.chain != "OUTPUT"
        },
        text: |rule| {
            let place = if rule.chain == "FORWARD" {
                "On a gateway that translates addresses put it before this rule"
            } else {
                "Where addresses are translated for this host's connections, put it before this \
                 rule"
            };
            format!(
                "Segments that tracking finds INVALID do not match here; where nothing else drops \
                 them they go on, and NAT does not translate them: whoever gets such a segment \
                 knows no connection with that address and answers with a reset (\"connection reset \
                 by peer\" under load). {place}, unless paths are asymmetric:"
            )
        },
        lines: |rule| {
            vec![format!(
                "{} -I {} 1 -m conntrack --ctstate INVALID -j DROP",
                program(rule),
                rule.chain
            )]
        },
    },
    Caution {
        code: "mind.place-established",
        applies: |rule| accepts(rule, "ESTABLISHED") && !narrow(rule),
        text: |rule| {
            format!(
                "Its place in {}: near the head. Nearly every packet matches it, so what stands \
                 before it is paid for by all of them. What stands behind it is never asked about \
                 connections that exist: a new DROP rule there stops new connections and leaves \
                 the running ones alone, until they are deleted (conntrack -D); and while \
                 nf_conntrack_tcp_loose=1 a deleted TCP connection is picked up again if its next \
                 packet is accepted as NEW.",
                rule.chain
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.invalid-nat",
        applies: |rule| kind(rule) == Kind::Drop && rule.names_state("INVALID"),
        text: |rule| {
            format!(
                "Why people want it with NAT: an INVALID packet has no connection, so it is not \
                 translated. Under DNAT a late answer of the server then reaches the client from an \
                 address it never spoke to; under SNAT or MASQUERADE it stays addressed to the \
                 gateway and is delivered there. Either kernel answers with a RST that does fit the \
                 server's connection and kills it: \"connection reset by peer\" under load. And a \
                 late segment from inside would leave with its private address. {}",
                if rule.chain == "FORWARD" {
                    "In FORWARD the rule stops what passes through; what is delivered to the gateway \
                     itself needs the same rule in INPUT."
                } else if rule.chain == "INPUT" {
                    "In INPUT the rule stops what is delivered to this host; what it passes on needs \
                     the same rule in FORWARD."
                } else {
                    "It takes the rule in INPUT and in FORWARD to stop all of them."
                }
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.invalid-asymmetric",
        applies: |rule| kind(rule) == Kind::Drop && rule.names_state("INVALID"),
        text: |_| {
            String::from(
                "Where it does harm: if packets of one connection take two paths and this filter \
                 sees one direction only (two routers, direct server return, policy routing), \
                 tracking cannot follow the windows and whole connections become INVALID. Then make \
                 the path symmetric, or leave those packets untracked, or relax the window check \
                 (it stays for resets):",
            )
        },
        lines: |rule| {
            vec![
                String::from("sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1"),
                format!("{} -t raw -A PREROUTING -i IFACE -j CT --notrack", program(rule)),
            ]
        },
    },
    Caution {
        code: "mind.invalid-place",
        applies: |rule| kind(rule) == Kind::Drop && rule.names_state("INVALID"),
        text: |_| {
            String::from(
                "Its place: before rules that accept by address or port alone; a rule that accepts \
                 ESTABLISHED never takes an INVALID packet, so the order of those two does not \
                 matter. Which packets it drops is worth knowing: nf_conntrack_log_invalid=6 logs \
                 the reason for TCP, conntrack -S counts them.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.new-without-established",
        applies: |rule| accepts(rule, "NEW") && !rule.names_state("ESTABLISHED"),
        text: |_| {
            String::from(
                "The rule lets a connection begin and nothing more: the packets after the first \
                 answer are ESTABLISHED, and answers come the other way. It works only together \
                 with these (the second where that chain does not accept everything anyway):",
            )
        },
        lines: |rule| {
            let back = match rule.chain.as_str() {
                "INPUT" => Some("OUTPUT"),
                "OUTPUT" => Some("INPUT"),
                _ => None,
            };
            let both = core::iter::once(rule.chain.as_str()).chain(back);
            both.map(|chain| {
                format!("{} -A {chain} -m conntrack --ctstate ESTABLISHED -j ACCEPT", program(rule))
            })
            .collect()
        },
    },
    Caution {
        code: "mind.stateless",
        applies: |rule| {
            kind(rule) == Kind::Accept
                && rule.table == "filter"
                && rule.states().is_none()
                && rule.protocol() == Some(6)
                && rule.options(&["--tcp-flags"]).next().is_none()
        },
        text: |rule| {
            format!(
                "The rule does not ask for a state: it accepts INVALID segments{} as well, and scans \
                 with odd flags. Answers to what it accepts leave by another chain and need to be \
                 accepted there.",
                if names_ports(rule) { " to this port" } else { "" }
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.open-to-all",
        applies: |rule| {
            let any = rule.states().is_none_or(|states| states.contains(&"NEW"));
            kind(rule) == Kind::Accept
                && rule.table == "filter"
                && rule.chain != "OUTPUT"
                && any
                && rule.header.is_empty()
                && rule
                    .matches
                    .iter()
                    .all(|m| matches!(m.name.as_str(), "conntrack" | "state" | "comment"))
                && rule
                    .options(&["--ctdir", "--ctproto", "--ctstatus", "--ctexpire"])
                    .next()
                    .is_none()
        },
        text: |rule| {
            format!(
                "It names no address, port, protocol or interface and takes packets that begin \
                 connections: everybody may open anything, and of the rules behind it in {} none is \
                 asked about that.",
                rule.chain
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.loopback-martian",
        applies: |rule| {
            let named = |option: &str| rule.header(option);
            let loopback = ["-s", "-d"]
                .into_iter()
                .filter_map(named)
                .any(|option| !option.not && option.value().starts_with("127."));
            let arrives =
                rule.header("-i").is_some_and(|option| (option.value() == "lo") == option.not);
            loopback && arrives && matches!(rule.chain.as_str(), "INPUT" | "FORWARD")
        },
        text: |_| {
            String::from(
                "Routing drops a packet with such an address that comes in from outside before this \
                 chain (as a martian), unless net.ipv4.conf.IFACE.route_localnet=1: the rule is a \
                 second lock. It stands beside one that accepts what comes in by lo, and matters where \
                 that one asks for the address and not for the interface.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.source-port",
        applies: |rule| {
            kind(rule) == Kind::Accept
                && rule.states().is_none()
                && rule.options(&["--sport", "--sports", "--source-port"]).next().is_some()
                && rule.options(&["--dport", "--dports", "--destination-port"]).next().is_none()
        },
        text: |_| {
            String::from(
                "The source port is chosen by the sender: whoever sends from this port reaches \
                 every port behind the rule. If answers are meant, ask for ESTABLISHED instead.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.nd",
        applies: |rule| {
            rule.family == Family::V6 && rule.states().is_some() && rule.admits_protocol(58)
        },
        text: |_| {
            String::from(
                "IPv6 neighbour discovery is UNTRACKED and matches no other state. Under a policy \
                 of DROP it needs rules by type, with the hop limit that only a neighbour can send:",
            )
        },
        lines: |rule| {
            [133, 134, 135, 136]
                .iter()
                .map(|kind| {
                    format!(
                        "ip6tables -A {} -p ipv6-icmp --icmpv6-type {kind} -m hl --hl-eq 255 -j \
                         ACCEPT",
                        rule.chain
                    )
                })
                .collect()
        },
    },
    Caution {
        code: "mind.reject-flood",
        applies: |rule| rule.target_name() == "REJECT" && rule.chain != "OUTPUT",
        text: |_| {
            String::from(
                "Every rejected packet costs an answer, to a source address that may be forged: \
                 facing the Internet a limit is kind to others. ICMP answers are also rate-limited \
                 by the kernel (icmp_ratelimit), resets are not.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.reject-last",
        applies: |rule| {
            rule.target_name() == "REJECT" && rule.header.is_empty() && rule.states().is_none()
        },
        text: |rule| {
            format!(
                "It takes everything, answers to this host's own connections and ICMP errors among it: its \
                 place is the end of {}, behind the rules that let in answers, the loopback interface and \
                 services. A rule that is appended after it (-A) is never asked; insert before it (-I).",
                rule.chain
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.reject-told",
        applies: |rule| {
            rule.target_name() == "REJECT"
                && rule.target_option("--reject-with").is_some_and(|with| {
                    ["icmp-host-prohibited", "icmp-net-prohibited", "icmp-admin-prohibited"]
                        .contains(&with.value())
                })
        },
        text: |_| {
            String::from(
                "What the other side reads: a program that connects says \"No route to host\", though there \
                 is one. With tcp-reset, and over UDP with icmp-port-unreachable, it says \"Connection \
                 refused\", as if nobody listened.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.limit-needs-drop",
        applies: |rule| {
            kind(rule) == Kind::Accept
                && ["limit", "hashlimit"].iter().any(|name| rule.has_match(name))
        },
        text: |rule| {
            format!(
                "The rule accepts what is within the limit and stops nothing: what is above it goes on to \
                 the rules behind. A limit needs a rule or a policy that drops the rest, and no rule \
                 before it that accepts the same. Where {} accepts at its end, it changes nothing.",
                rule.chain
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.limit-packets",
        applies: |rule| {
            let counts = ["limit", "hashlimit"].iter().any(|name| rule.has_match(name));
            let begins = rule.names_state("NEW") && !rule.names_state("ESTABLISHED");
            let syn = rule.options(&["--tcp-flags"]).any(|option| !option.not);
            kind(rule) == Kind::Accept && counts && !begins && !syn && rule.protocol() != Some(1)
        },
        text: |_| {
            String::from(
                "It counts packets, not connections: where no rule before it accepts ESTABLISHED, the \
                 packets of one connection that is open use up the allowance, and its later ones are not \
                 accepted here. Asked for --ctstate NEW besides, it counts beginnings.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.recent-set",
        applies: |rule| rule.options(&["--update", "--rcheck", "--remove"]).next().is_some(),
        text: |_| {
            String::from(
                "It reads a list that another rule has to write: without a rule with --set and the same \
                 name before it, it never matches. Whoever can forge a source address can have others put on \
                 the list; --rttl makes that harder, a connection that is complete (ESTABLISHED, accepted \
                 before) is not asked.",
            )
        },
        lines: |rule| {
            let set = crate::experiment::noted(rule);
            set.map(|line| format!("{} {line}", program(rule))).into_iter().collect()
        },
    },
    Caution {
        code: "mind.scan-flags",
        applies: |rule| {
            let odd = |set: Option<&String>| {
                set.is_some_and(|set| {
                    !matches!(set.as_str(), "SYN" | "SYN,ACK" | "ACK,SYN" | "RST" | "ACK")
                })
            };
            kind(rule) == Kind::Drop
                && rule.options(&["--tcp-flags"]).any(|option| odd(option.values.get(1)))
        },
        text: |_| {
            String::from(
                "No sender makes such a combination; scanners do, since a closed port answers it with a \
                 reset and an open one is silent. Tracking finds all of them INVALID (bad-flags) already: \
                 where INVALID is dropped, this rule never sees one.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.neighbour-types",
        applies: |rule| {
            let named = rule.options(&["--icmpv6-type"]).find(|option| !option.not);
            let discovery = ["133", "134", "135", "136"];
            kind(rule) == Kind::Accept
                && named.is_some_and(|option| discovery.contains(&option.value()))
        },
        text: |_| {
            String::from(
                "One type is not enough: a host asks (135) and is asked, answers (136) and is answered, asks \
                 for routers (133) and hears of them (134). Neighbour discovery has no states: an answer \
                 is not ESTABLISHED, and each type needs its rule, in OUTPUT as well where that drops.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.masquerade-invalid",
        applies: |rule| matches!(rule.target_name(), "MASQUERADE" | "SNAT"),
        text: |_| {
            String::from(
                "What tracking finds INVALID is not translated back: it comes to the gateway itself, whose \
                 reset fits the connection and ends it (\"connection reset by peer\" under load). And it \
                 hides nothing from anybody: what may come in is for the filter table to say.",
            )
        },
        lines: |rule| {
            ["INPUT", "FORWARD"]
                .iter()
                .map(|chain| {
                    format!("{} -I {chain} 1 -m conntrack --ctstate INVALID -j DROP", program(rule))
                })
                .collect()
        },
    },
    Caution {
        code: "mind.forwarding",
        applies: |rule| {
            kind(rule) == Kind::Nat && rule.chain != "OUTPUT" && rule.target_name() != "REDIRECT"
        },
        text: |rule| {
            let v6 = rule.family == Family::V6;
            format!(
                "It takes forwarding to be on as well (sysctl net.{}), and rules of FORWARD that let the \
                 packets pass.",
                if v6 { "ipv6.conf.all.forwarding=1" } else { "ipv4.ip_forward=1" }
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.hairpin",
        applies: |rule| rule.target_name() == "DNAT" && rule.chain == "PREROUTING",
        text: |_| {
            String::from(
                "Clients on the server's own network cannot use the public address by this rule alone: the \
                 server answers them directly, from an address that they have not called, and their reset \
                 ends the connection. What they send has to be masqueraded as well (hairpin).",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.return-end",
        applies: |rule| {
            kind(rule) == Kind::Return
                && rule.header.is_empty()
                && rule.matches.is_empty()
                && crate::witness::Side::of_chain(&rule.chain).is_none()
        },
        text: |_| {
            String::from(
                "Without a match it ends the chain for everything: as its last rule it changes nothing, since \
                 the end of a user chain returns by itself; rules behind it are never asked.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.log-limit",
        applies: |rule| rule.target_name() == "LOG" && !rule.has_match("limit"),
        text: |_| {
            String::from(
                "One line a packet, without a limit: whoever can send packets can fill the log. \
                 Usual:",
            )
        },
        lines: |rule| {
            let mut limited = rule.clone();
            limited.matches.push(crate::rule::words::MatchWords {
                name: String::from("limit"),
                options: vec![crate::rule::words::OptionWords {
                    not: false,
                    name: String::from("--limit"),
                    values: vec![String::from("10/min")],
                }],
            });
            vec![format!("{} {}", program(rule), limited.save())]
        },
    },
    Caution {
        code: "mind.helper-needs-related",
        applies: |rule| kind(rule) == Kind::Helper,
        text: |rule| {
            let name = rule.target_option("--helper").map_or("", |option| option.value());
            format!(
                "Assigning {name} is half of it: the connections it expects arrive as RELATED and \
                 need a rule that accepts them, such as"
            )
        },
        lines: |rule| {
            let name = rule.target_option("--helper").map_or("", |option| option.value());
            vec![format!(
                "{} -A INPUT -m helper --helper {name} -m conntrack --ctstate RELATED -j ACCEPT",
                program(rule)
            )]
        },
    },
    Caution {
        code: "mind.helper-scope",
        applies: |rule| kind(rule) == Kind::Helper && rule.header("-d").is_none(),
        text: |_| {
            String::from(
                "A helper believes what the peers say. Without -d it listens to every server that \
                 anybody connects to on this port; name the servers you mean.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.notrack",
        applies: |rule| kind(rule) == Kind::Notrack,
        text: |_| {
            String::from(
                "Both directions have to be exempted: if only the query is untracked, the answer \
                 comes as NEW, the SYN-ACK of TCP as INVALID. Rules with --ctstate NEW or ESTABLISHED no longer match these \
                 packets; accept them by --ctstate UNTRACKED or by port. NAT does not touch them.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.raw-only",
        applies: |rule| rule.target_name() == "CT" || rule.target_name() == "NOTRACK",
        text: |_| {
            String::from(
                "It works in the raw table only, which comes before tracking (priority -300 \
                 against -200): PREROUTING for what arrives, OUTPUT for what this host sends.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.raw-before-tracking",
        applies: |rule| {
            let asked = ["conntrack", "state", "connmark", "helper", "connbytes", "connlabel"];
            rule.table == "raw" && asked.iter().any(|name| rule.has_match(name))
        },
        text: |_| {
            String::from(
                "The raw table comes before tracking: no packet has a connection there yet, each \
                 counts as INVALID, and no other state, status, mark or helper is found (but for \
                 what comes back over the loopback interface). Ask in mangle or filter.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.connmark",
        applies: |rule| rule.target_name() == "MARK",
        text: |_| {
            String::from(
                "The mark is the packet's and is gone with it: answers do not carry it. To mark a \
                 connection, save it with CONNMARK --save-mark and give it back to each packet with \
                 --restore-mark.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.icmp-all-drop",
        applies: |rule| {
            kind(rule) == Kind::Drop
                && matches!(rule.protocol(), Some(1 | 58))
                && rule.options(&["--icmp-type", "--icmpv6-type"]).next().is_none()
                && rule.states().is_none()
        },
        text: |_| {
            String::from(
                "It drops the errors with the pings: path MTU discovery, unreachable, time \
                 exceeded. Accept RELATED before it, or drop echo requests only.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.fragments",
        applies: |rule| v4_only(rule) && rule.header("-f").is_some(),
        text: |_| {
            String::from(
                "Where tracking runs, fragments are put together before any table sees them \
                 (priority -400, the raw table is -300): with conntrack in use -f matches nothing.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.nat-first-packet",
        applies: |rule| rule.table == "nat",
        text: |_| {
            String::from(
                "Rules of the nat table see only the first packet of a connection; what they decide \
                 holds for all its packets, in both directions, and answers are translated back \
                 without any rule. Counters here count connections.",
            )
        },
        lines: NONE,
    },
];
