//! For which rules there is something to try in their place, one entry a kind.

use super::instead::{
    gateway, in_chain, instead_of_dnat, instead_of_flags, instead_of_icmp, instead_of_invalid,
    instead_of_limit, instead_of_limited_pings, instead_of_masquerade, instead_of_neighbour,
    instead_of_new, instead_of_new_all, instead_of_not_loopback, instead_of_not_syn,
    instead_of_rate, instead_of_recent, instead_of_reject, instead_of_reject_port,
    instead_of_related, instead_of_return, instead_of_stateless, other_side, with_answers,
    with_ftp,
};
use crate::conversation::Who;
use crate::prose::targets::{self, Kind};
use crate::rule::words::{OptionWords, RuleWords};

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
        code: "narrower.limit-pings",
        applies: |rule| {
            let types = ["8", "8/0", "128", "128/0"];
            let named = rule.options(&["--icmp-type", "--icmpv6-type"]).next();
            accepts(rule)
                && rule.has_match("limit")
                && matches!(rule.protocol(), Some(1 | 58))
                && named.is_none_or(|one| !one.not && types.contains(&one.value()))
        },
        around: |rule| Around {
            drops: Some(rule.chain.clone()),
            before: other_side(rule).into_iter().collect(),
            after: Vec::new(),
        },
        alternatives: instead_of_limited_pings,
        conversations: &[incoming("ping"), incoming("pings"), incoming("ping-crowd")],
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
        code: "narrower.new-all",
        applies: |rule| {
            let states = ["conntrack", "state", "comment"];
            accepts(rule)
                && rule.names_state("NEW")
                && !rule.names_state("ESTABLISHED")
                && rule.header("-p").is_none()
                && rule.matches.iter().all(|m| states.contains(&m.name.as_str()))
        },
        around: with_answers,
        alternatives: instead_of_new_all,
        conversations: &[
            Tried { port: Some(22), ..incoming("tcp") },
            Tried { port: Some(3306), ..incoming("tcp") },
            incoming("dns"),
            incoming("ping"),
            incoming("scan-ack"),
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
        code: "narrower.not-syn",
        applies: |rule| {
            drops(rule)
                && rule.names_state("NEW")
                && !rule.names_state("ESTABLISHED")
                && rule.options(&["--tcp-flags"]).any(|option| option.not && asks_for_syn(option))
        },
        around: |_| Around::default(),
        alternatives: instead_of_not_syn,
        conversations: &[
            incoming("tcp"),
            incoming("mid-stream"),
            incoming("scan-ack"),
            incoming("scan-fin"),
        ],
    },
    Narrowing {
        code: "narrower.flags",
        applies: |rule| {
            drops(rule) && rule.options(&["--tcp-flags"]).any(|option| !asks_for_syn(option))
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
        code: "narrower.rate",
        applies: |rule| {
            let above = ["--hashlimit-above", "--connlimit-above"];
            drops(rule)
                && rule.protocol() == Some(6)
                && rule.options(&above).any(|option| !option.not)
        },
        around: |_| Around::default(),
        alternatives: instead_of_rate,
        conversations: &[incoming("tcp"), incoming("attempts"), incoming("crowd")],
    },
    Narrowing {
        code: "narrower.masquerade",
        applies: |rule| rule.target_name() == "MASQUERADE" && rule.chain == "POSTROUTING",
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
        code: "narrower.reject-port",
        applies: |rule| {
            let plain = ["tcp", "multiport", "comment"];
            drops(rule)
                && rule.protocol() == Some(6)
                && rule.options(&["--dport", "--dports"]).next().is_some()
                && rule.matches.iter().all(|m| plain.contains(&m.name.as_str()))
        },
        around: |_| Around::default(),
        alternatives: instead_of_reject_port,
        conversations: &[incoming("tcp"), incoming("scan-syn")],
    },
    Narrowing {
        code: "narrower.not-loopback",
        applies: |rule| {
            let outside =
                rule.header("-i").is_some_and(|option| option.not && option.value() == "lo");
            drops(rule) && rule.chain == "INPUT" && outside && rule.states().is_none()
        },
        around: |_| Around::default(),
        alternatives: instead_of_not_loopback,
        conversations: &[
            out("tcp"),
            out("dns"),
            incoming("tcp"),
            incoming("ping"),
            incoming(crate::witness::SPOOFED),
        ],
    },
    Narrowing {
        code: "narrower.reject",
        applies: |rule| {
            let bare = rule.header.iter().all(|option| option.name == "-p")
                && rule.matches.iter().all(|m| m.name == "comment");
            bare && drops(rule)
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
        code: "narrower.icmp",
        applies: |rule| {
            accepts(rule)
                && matches!(rule.protocol(), Some(1 | 58))
                && rule.matches.iter().all(|m| m.name == "comment")
        },
        around: with_answers,
        alternatives: instead_of_icmp,
        conversations: &[
            incoming("ping"),
            out("ping"),
            sent_by(Who::Router, "pmtu"),
            sent_by(Who::Router, "stray-icmp-error"),
            out("neighbour"),
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

/// Whether `--tcp-flags` asks for a SYN alone.
fn asks_for_syn(option: &OptionWords) -> bool {
    option.values.get(1).map(String::as_str) == Some("SYN")
}
