//! What to mind of what stands around a rule: the other rules that it needs, its place among them, what the host is to
//! be set to, and what would do the same without a rule.

use super::cautions::{Caution, NONE, kind, names_ports, program};
use super::targets::Kind;
use crate::rule::words::RuleWords;
use keepstate_packet::Family;

/// Whether the rule takes segments that ask for no connection and are of none.
fn is_not_syn(rule: &RuleWords) -> bool {
    let syn = |set: Option<&String>| set.is_some_and(|set| set == "SYN");
    kind(rule) == Kind::Drop
        && rule.names_state("NEW")
        && rule.options(&["--tcp-flags"]).any(|option| option.not && syn(option.values.get(1)))
}

/// Whether the rule notes addresses and lets packets go on.
fn notes(rule: &RuleWords) -> bool {
    rule.options(&["--set"]).any(|option| !option.not) && rule.has_match("recent")
}

/// Every caution, the weightiest first.
pub const CAUTIONS: &[Caution] = &[
    Caution {
        code: "mind.not-syn-why",
        applies: is_not_syn,
        text: |_| {
            String::from(
                "Why people want it: NEW is not the same as SYN. Without such a rule a scan with ACKs goes \
                 through whatever accepts NEW, and a connection that the filter does not remember is taken \
                 up in its midst. A lone SYN-ACK or RST is INVALID and not NEW: this rule does not take it.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.not-syn-harm",
        applies: is_not_syn,
        text: |_| {
            String::from(
                "Where it does harm: when the filter forgets (a restart, conntrack -F, a fail-over to another \
                 router) or sees one direction only, every connection that was open is cut, silently. For \
                 all ports and without a rule the same is said by a sysctl; the segments are INVALID then:",
            )
        },
        lines: |_| vec![String::from("sysctl -w net.netfilter.nf_conntrack_tcp_loose=0")],
    },
    Caution {
        code: "mind.recent-notes",
        applies: notes,
        text: |_| {
            String::from(
                "It notes and decides nothing: it is half of a pair, and a rule that asks about the same list \
                 has to stand behind it. What is noted is who begins connections, whether the password was \
                 right or wrong, and all who come through one translating router are one source. \
                 /proc/net/xt_recent/NAME shows the list; `echo -ADDRESS` into it takes one out.",
            )
        },
        lines: |rule| {
            let asks = crate::experiment::asking(rule);
            asks.map(|line| format!("{} {line}", program(rule))).into_iter().collect()
        },
    },
    Caution {
        code: "mind.recent-update",
        applies: |rule| rule.options(&["--update"]).any(|option| !option.not),
        text: |_| {
            String::from(
                "--update notes the packet that it stops as well: whoever goes on trying stays out until he \
                 has been silent for so long. With --rcheck in its place only what --set has noted counts.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.by-source",
        applies: |rule| {
            kind(rule) == Kind::Drop
                && rule.options(&["--hashlimit-above", "--connlimit-above"]).next().is_some()
        },
        text: |rule| {
            let what = if rule.has_match("connlimit") {
                "Connections that are open already stay; only what would be one too many is stopped, and it \
                 is let in again as soon as one is closed."
            } else {
                "What is below the rate does not match and goes on to the rules behind, which have to accept \
                 it. Without --ctstate NEW it counts packets, those of open connections among them."
            };
            format!(
                "{what} All who come through one translating router share its address; whoever has many \
                 addresses (a /64 of IPv6) has many allowances."
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.masquerade-everywhere",
        applies: |rule| {
            rule.target_name() == "MASQUERADE" && rule.header("-o").is_none_or(|option| option.not)
        },
        text: |rule| {
            let hidden = match rule.header("-o") {
                Some(_) => "As it names only where it does not apply",
                None => "As it stands (a listing without -v hides a -o that may be there)",
            };
            format!(
                "{hidden}, it translates whatever leaves by any other interface, inwards too: a server behind \
                 this router sees the router in place of its clients, in its logs and its own rules."
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.log-goes-on",
        applies: |rule| {
            kind(rule) == Kind::Log && rule.table == "filter" && rule.target_name() != "TRACE"
        },
        text: |rule| {
            let dropped = match rule.has_match("limit") {
                true => {
                    " What is above the limit is written nowhere, and fares as the rest: the limit is no \
                     protection but for the log."
                }
                false => "",
            };
            format!(
                "It writes and lets go on, whatever its prefix says: to log what is dropped it stands right \
                 before the rule or the policy that drops, for the same packets.{dropped} A prefix has room \
                 for 29 characters with LOG, 63 with NFLOG."
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.mss-why",
        applies: |rule| rule.target_name() == "TCPMSS",
        text: |_| {
            String::from(
                "What it is for: a line with a smaller MTU (PPPoE, a tunnel) and somebody beyond it who throws \
                 away the ICMP errors that would say so. Then small things work, and every transfer of size \
                 hangs. It helps TCP only, and connections that begin after it was put in; where the errors \
                 arrive (RELATED is accepted) it is not needed.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.local-only",
        applies: |rule| {
            let outside =
                rule.header("-i").is_some_and(|option| option.not && option.value() == "lo");
            outside && kind(rule) == Kind::Drop && names_ports(rule)
        },
        text: |rule| {
            let own = if rule.family == Family::V6 { "::1" } else { "127.0.0.1" };
            format!(
                "It keeps a service for this host's own programs. The same without a rule: let the program \
                 listen on {own} only; then nobody else reaches it while the rules are being changed, either."
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.not-loopback-all",
        applies: |rule| {
            let outside =
                rule.header("-i").is_some_and(|option| option.not && option.value() == "lo");
            let bare = rule.header.len() == 1 && rule.matches.is_empty();
            outside && kind(rule) == Kind::Drop && bare
        },
        text: |rule| {
            format!(
                "It takes everything that comes from outside, answers to this host's own connections among it: \
                 its place is the end of {}, behind the rules for answers and services.",
                rule.chain
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.loopback-needed",
        applies: |rule| {
            kind(rule) == Kind::Accept
                && ["-i", "-o"].into_iter().any(|option| {
                    rule.header(option).is_some_and(|option| !option.not && option.value() == "lo")
                })
        },
        text: |_| {
            String::from(
                "What programs of this host say to each other goes out by lo and comes in by lo: INPUT and \
                 OUTPUT see it, whatever addresses it has, the host's public ones too. Without such a rule \
                 under a policy of DROP, a local resolver (127.0.0.53), a database or X11 on localhost, and \
                 much else stops working after timeouts. Nobody outside can send by lo, so it opens nothing.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.icmp-all",
        applies: |rule| {
            kind(rule) == Kind::Accept
                && matches!(rule.protocol(), Some(1 | 58))
                && rule.matches.iter().all(|m| m.name == "comment")
        },
        text: |rule| {
            String::from(match rule.family {
                Family::V4 => {
                    "It lets in more than pings and errors: redirects and timestamp and address mask queries, \
                     too. Those the kernel answers or follows as its own settings say (accept_redirects). \
                     Errors about connections that exist are RELATED and pass by the rule for states."
                }
                Family::V6 => {
                    "For IPv6 this is close to what it takes: neighbour discovery, packet too big and the other \
                     errors. It lets in redirects and pings besides."
                }
            })
        },
        lines: NONE,
    },
    Caution {
        code: "mind.set-contents",
        applies: |rule| rule.has_match("set"),
        text: |_| {
            String::from(
                "The set has to exist before the rule can be loaded, at boot as well (ipset restore, then \
                 iptables-restore), and changes of the set hold at once. Connections that are open are not \
                 ended where a rule before this one accepts ESTABLISHED.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.owner-sockets",
        applies: |rule| rule.has_match("owner"),
        text: |_| {
            String::from(
                "Only what programs of this host send has an owner, so the match stands in OUTPUT and \
                 POSTROUTING. Packets that the kernel makes (resets, ICMP errors, answers to pings) have none, \
                 and what a container sends comes by FORWARD.",
            )
        },
        lines: NONE,
    },
    Caution {
        code: "mind.mark-for-routing",
        applies: |rule| {
            matches!(rule.target_name(), "MARK" | "CONNMARK") && rule.chain == "PREROUTING"
        },
        text: |_| {
            String::from(
                "A mark does nothing by itself. To route by it, `ip rule add fwmark MARK table TABLE`; a strict \
                 rp_filter on the interface that answers come in by drops them otherwise.",
            )
        },
        lines: NONE,
    },
];
