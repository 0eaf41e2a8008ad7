//! The articles on the five states, as a rule with its protocol meets them.

use super::{helpers, list, reasons};
use crate::rule::words::RuleWords;
use keepstate_packet::Family;

/// What an article is about, and the code of the fact.
pub type Article = (String, String);

/// Everything there is to say of a state in a rule: code and text, most important first.
#[must_use]
pub fn articles(state: &str, rule: &RuleWords) -> Vec<Article> {
    match state {
        "NEW" => new(rule),
        "ESTABLISHED" => established(rule),
        "RELATED" => related(rule),
        "INVALID" => invalid(rule),
        "UNTRACKED" => untracked(),
        "SNAT" => vec![article(
            "state.snat",
            "The source of the packet's connection is translated (SNAT, MASQUERADE). It is no state \
             of its own: the packet is NEW, ESTABLISHED or RELATED besides.",
        )],
        "DNAT" => vec![article(
            "state.dnat",
            "The destination of the packet's connection is translated (DNAT, REDIRECT). It is no \
             state of its own: the packet is NEW, ESTABLISHED or RELATED besides.",
        )],
        _ => Vec::new(),
    }
}

/// A state in half a sentence, as a rule with its protocol meets it.
#[must_use]
pub fn in_short(state: &str, rule: &RuleWords) -> Option<&'static str> {
    Some(match state {
        "NEW" if rule.admits_protocol(6) => {
            "it begins a connection, or nothing has come back in it yet; of TCP with a SYN or without"
        }
        "NEW" => "it begins a connection, or nothing has come back in it yet",
        "ESTABLISHED" => "it is of a connection of which packets of both directions were seen",
        "RELATED" if rule.protocol() == Some(6) => {
            "it begins a connection that a helper has read of in another one; ICMP errors are not TCP"
        }
        "RELATED" if matches!(rule.protocol(), Some(1 | 58)) => {
            "it is an error about a packet of a known connection"
        }
        "RELATED" => {
            "it is an ICMP error about a known connection, or begins one that a helper has read of in \
             another one"
        }
        "INVALID" => {
            "it is of no connection and can begin none, or contradicts its own (outside the window, odd \
             flags, a wrong checksum)"
        }
        "UNTRACKED" => "a rule of table raw has exempted it, or it is IPv6 neighbour discovery",
        _ => return None,
    })
}

fn article(code: &str, text: impl Into<String>) -> Article {
    (code.to_string(), text.into())
}

fn new(rule: &RuleWords) -> Vec<Article> {
    let mut out = vec![article(
        "state.new",
        "The packet belongs to no connection that tracking knows, and can begin one: it is the \
         first packet, or a further one in the same direction before anything came back. The \
         connection is kept only if this packet survives every hook; a dropped first packet leaves \
         nothing behind.",
    )];
    if rule.admits_protocol(6) {
        out.push(article(
            "state.new.not-syn",
            "For TCP, NEW is not the same as SYN: with nf_conntrack_tcp_loose=1 (the default) a \
             segment in mid-stream of a connection that tracking has not seen is NEW too. Who \
             means beginnings only adds --syn.",
        ));
    }
    out
}

fn established(rule: &RuleWords) -> Vec<Article> {
    let mut out = vec![article(
        "state.established",
        "The packet belongs to a connection of which packets were seen in both directions: a pair \
         of addresses and ports, the same pair turned round in the answers. It says nothing of the \
         TCP handshake: the SYN-ACK, the first packet that goes the other way, is ESTABLISHED \
         already, and UDP, ICMP echo and everything else that is answered has the state as well.",
    )];
    if rule.admits_protocol(6) {
        let here = if rule.names_state("INVALID") {
            "matches here as that"
        } else {
            "does not match here"
        };
        out.push(article(
            "state.established.window",
            format!(
                "For TCP the segment must also fit the window of the connection and the state it \
                 is in; one that does not is INVALID instead and {here}. (Data may overrun the \
                 receiver's window by as much as that window once was, where all else fits; \
                 nf_conntrack_tcp_be_liberal=1 lifts the window check, except for resets.)"
            ),
        ));
        out.push(article(
            "state.established.loose",
            "A connection whose beginning was not seen (after a restart of the filter, say) is \
             picked up in mid-stream while nf_conntrack_tcp_loose=1: its next packet is NEW, the \
             answer to that one ESTABLISHED.",
        ));
    }
    out
}

fn protocol_word(rule: &RuleWords) -> Option<&'static str> {
    match rule.protocol()? {
        6 => Some("tcp"),
        17 => Some("udp"),
        47 => Some("gre"),
        1 | 58 => Some("icmp"),
        _ => Some("other"),
    }
}

fn related(rule: &RuleWords) -> Vec<Article> {
    let errors = if rule.family == Family::V6 {
        "ICMPv6 errors (unreachable, packet too big, time exceeded, parameter problem)"
    } else {
        "ICMP errors (unreachable, source quench, redirect, time exceeded, parameter problem)"
    };
    let mut out = vec![article(
        "state.related",
        format!(
            "The packet belongs to something that a known connection has announced or caused: a \
             connection that a conntrack helper expects, {errors} that quote a \
             packet of a tracked connection, and the resets and errors that REJECT makes about one. \
             An expected connection is RELATED until something comes back in it, then ESTABLISHED \
             like any other."
        ),
    )];
    related_here(rule, errors, &mut out);
    if !expectable(rule) {
        return out;
    }
    out.push(article(
        "state.related.helpers-by-hand",
        "Helpers are not assigned by port number any more (off by default since Linux 4.7, and the \
         sysctl for it is gone from current kernels): without a rule with -j CT --helper nothing is \
         expected by anybody.",
    ));
    out
}

/// What the protocol of the rule leaves of it.
fn related_here(rule: &RuleWords, errors: &str, out: &mut Vec<Article>) {
    let code = "state.related.here";
    if let Some(helper) = rule.options(&["--helper"]).find(|option| !option.not) {
        let by = if helper.value().is_empty() { "a helper" } else { helper.value() };
        let what = match protocol_word(rule) {
            None => format!("{errors} about such connections and, of those that begin, only"),
            Some("icmp") => return out.push(article(code, format!(
                "Next to -m helper only errors about connections that {by} has announced are left."
            ))),
            Some(_) => String::from("only"),
        };
        return out.push(article(
            code,
            format!("Next to -m helper {what} connections that {by} has announced are left."),
        ));
    }
    match protocol_word(rule) {
        Some("tcp") => {
            out.push(article(
                "state.related.tcp-only-expected",
                format!(
                    "Next to -p tcp only two of those are left: connections that a helper expects \
                     (helpers whose expected connections are TCP: {}), and the TCP resets that \
                     REJECT --reject-with tcp-reset makes, which leave through OUTPUT{}. It does \
                     not match ICMP errors: they are ICMP packets, not TCP, whatever connection \
                     they are about.",
                    list(&helpers::names(Some("tcp"))),
                    if rule.chain == "OUTPUT" { ", this chain" } else { " and never come here" },
                ),
            ));
        }
        Some("icmp") => out.push(article(
            code,
            format!(
                "Next to -p {} exactly the errors are left: {errors}. No helper expects ICMP, and \
                 echo requests and replies are NEW and ESTABLISHED. An error about nothing that is \
                 tracked is INVALID (icmp-error-untracked).",
                if rule.family == Family::V6 { "ipv6-icmp" } else { "icmp" },
            ),
        )),
        Some(protocol @ ("udp" | "gre")) => out.push(article(
            code,
            format!(
                "Next to -p {protocol} only connections that a helper expects are left (helpers \
                 whose expected connections are {}: {}); ICMP errors are not {}.",
                protocol.to_uppercase(),
                list(&helpers::names(Some(protocol))),
                protocol.to_uppercase()
            ),
        )),
        Some(_) => out.push(article(
            code,
            "No helper expects connections of this protocol, and ICMP errors are ICMP: here \
             RELATED matches nothing.",
        )),
        None => out.push(article(
            code,
            format!(
                "The rule names no protocol, so all of it matches: errors, and whatever any helper \
                 expects ({}).",
                list(&helpers::names(None))
            ),
        )),
    }
}

/// Whether a helper may expect connections of the rule's protocol.
fn expectable(rule: &RuleWords) -> bool {
    [6, 17, 47].iter().any(|protocol| rule.admits_protocol(*protocol))
}

fn invalid(rule: &RuleWords) -> Vec<Article> {
    let mut out = vec![article(
        "state.invalid",
        "The packet belongs to no connection and can begin none, or it contradicts the one it seems \
         to belong to. It is a state that a rule may match, not a drop: without such a rule an \
         INVALID packet goes on like any other.",
    )];
    let kinds: Vec<String> = reasons::REASONS
        .iter()
        .filter(|reason| reason.protocols.iter().any(|p| rule.admits_protocol(*p)))
        .map(|reason| format!("{} ({})", reason.code, reason.short))
        .collect();
    out.push(article(
        "state.invalid.reasons",
        format!("What makes a packet INVALID: {}.", list(&kinds)),
    ));
    out
}

fn untracked() -> Vec<Article> {
    vec![article(
        "state.untracked",
        "Tracking was told to leave the packet alone (-j CT --notrack or NOTRACK in the raw \
         table), or does so by itself: IPv6 neighbour discovery and multicast listener discovery \
         are always UNTRACKED.",
    )]
}
