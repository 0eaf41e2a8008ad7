//! What targets do, as kinds; and the prose of the targets that every table has.

use crate::rule::words::{RuleWords, TargetWords};

/// What kind of thing a target does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ends the walk of the table, the packet goes on.
    Accept,
    /// Ends the packet: DROP, REJECT.
    Drop,
    /// Back to the caller or to the policy.
    Return,
    /// Writes and goes on.
    Log,
    /// Sets a mark and goes on.
    Mark,
    /// Assigns a helper.
    Helper,
    /// Takes the packet out of tracking.
    Notrack,
    /// A user chain.
    Chain,
    /// No target: counts.
    Nothing,
    /// Translates addresses.
    Nat,
    /// Anything else.
    Other,
}

/// The kind of a target.
#[must_use]
pub fn kind(target: Option<&TargetWords>) -> Kind {
    let Some(target) = target else { return Kind::Nothing };
    let has = |name: &str| target.options.iter().any(|option| option.name == name);
    match target.name.as_str() {
        "ACCEPT" => Kind::Accept,
        "DROP" | "REJECT" => Kind::Drop,
        "RETURN" => Kind::Return,
        "LOG" | "NFLOG" | "ULOG" | "TRACE" => Kind::Log,
        "MARK" | "CONNMARK" | "DSCP" | "TOS" | "CLASSIFY" => Kind::Mark,
        "CT" if has("--helper") => Kind::Helper,
        "CT" if has("--notrack") || target.options.is_empty() => Kind::Notrack,
        "CT" => Kind::Other,
        "NOTRACK" => Kind::Notrack,
        "SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" => Kind::Nat,
        name if name.bytes().all(|b| b.is_ascii_uppercase()) && KNOWN.contains(&name) => {
            Kind::Other
        }
        _ => Kind::Chain,
    }
}

/// Whether a word behind `-j` is the name of a chain.
#[must_use]
pub fn is_chain(name: &str) -> bool {
    let target = TargetWords { name: name.to_string(), goto: false, options: Vec::new() };
    kind(Some(&target)) == Kind::Chain
}

/// Targets of iptables that are no chains, besides those named above.
const KNOWN: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLUSTERIP",
    "CONNSECMARK",
    "DNPT",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "NFQUEUE",
    "QUEUE",
    "RATEEST",
    "SECMARK",
    "SET",
    "SNPT",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TPROXY",
    "TTL",
];

/// What the built-in targets, chains and the absence of a target do: code and text.
#[must_use]
pub fn effect(rule: &RuleWords) -> Option<(&'static str, String)> {
    let table = &rule.table;
    let chain = &rule.chain;
    let target = rule.target.as_ref();
    Some(match (kind(target), target.map(|t| t.name.as_str())) {
        (Kind::Accept, _) => ("target.accept", accept(table, chain)),
        (Kind::Drop, Some("DROP")) => (
            "target.drop",
            String::from(
                "The packet ends here, no further rule, chain or table sees it, and nobody is \
                 told: its sender waits for its own timeout. If it was to begin a connection, \
                 tracking forgets that too.",
            ),
        ),
        (Kind::Return, _) => (
            "target.return",
            if crate::witness::Side::of_chain(chain).is_some() {
                format!(
                    "The walk of {chain} ends and its policy decides. (In a user chain it would go \
                     on behind the rule that jumped there.)"
                )
            } else {
                format!(
                    "The walk of {chain} ends; it goes on behind the rule that jumped here (with \
                     -g: behind the jump before that, or at the policy)."
                )
            },
        ),
        (Kind::Chain, Some(name)) if target.is_some_and(|t| t.goto) => (
            "target.goto",
            format!(
                "The packet goes into the chain {name} and does not come back here: if no rule \
                 there decides, it goes on where {chain} itself was called from, or at the policy."
            ),
        ),
        (Kind::Chain, Some(name)) => (
            "target.jump",
            format!(
                "The packet goes through the chain {name}. If no rule there decides, or one says \
                 RETURN, it comes back and the next rule of {chain} is looked at."
            ),
        ),
        (Kind::Nothing, _) => (
            "target.none",
            String::from(
                "There is no target: the rule counts packets and bytes, and the next rule is \
                 looked at.",
            ),
        ),
        _ => return None,
    })
}

fn accept(table: &str, chain: &str) -> String {
    format!(
        "The packet leaves the {table} table at this hook: later rules of {chain}{} are not \
         looked at, and its policy does not apply. It is not the last word: the other tables at \
         this hook and the hooks after it still see the packet and may still drop it.",
        if crate::witness::Side::of_chain(chain).is_some() {
            ""
        } else {
            ", and of the chains that led here,"
        }
    )
}
