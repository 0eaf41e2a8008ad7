//! What the kernel itself writes into its log about filtering, tracking and routing: no line of a rule.

use crate::answer::{Answer, Topic};

/// A message: words that it holds, what it means, what to do.
struct Message {
    holds: &'static [&'static str],
    code: &'static str,
    means: &'static str,
    todo: &'static str,
    lines: &'static [&'static str],
}

const MESSAGES: &[Message] = &[
    Message {
        holds: &["table full, dropping packet"],
        code: "kernel.table-full",
        means: "The connection table holds as many connections as nf_conntrack_max allows: the first packet of a \
                new one was dropped, before any rule but those of the raw table saw it. Connections that exist go \
                on. Before it drops, the kernel looks among a few entries for one without [ASSURED] to throw out \
                (early drop).",
        todo: "See how full it is and of what (many in one state, from one address?). Then a larger table, shorter \
               timeouts, or packets left untracked that need no state:",
        lines: &[
            "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
            "conntrack -S",
            "sysctl -w net.netfilter.nf_conntrack_max=524288",
        ],
    },
    Message {
        holds: &["automatic helper assignment", "turned off"],
        code: "kernel.helper-off",
        means: "A connection to the usual port of a helper (21 of FTP, say) has begun, and no rule assigns one: \
                helpers are not assigned by port any more (off by default since Linux 4.7; current kernels have no \
                other way than a rule). What the helper would have announced is NEW instead of RELATED, and is \
                dropped where only RELATED is accepted.",
        todo: "Assign it by a rule, on a router or server in PREROUTING, for this host's own clients in OUTPUT:",
        lines: &[
            "iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp",
            "iptables -t raw -A OUTPUT -p tcp --dport 21 -j CT --helper ftp",
        ],
    },
    Message {
        holds: &["martian source"],
        code: "kernel.martian-source",
        means: "Routing has dropped a packet for its source address, between PREROUTING and INPUT or FORWARD, \
                whatever the rules say: by this host's routes that source would not be answered by the interface \
                that it came in on (rp_filter), or it is an address that nobody can have there (127.0.0.0/8, one of \
                this host's own, broadcast). The line has the destination first, then the source, then the \
                interface.",
        todo: "Forged, or answers would take another way (asymmetric routing). rp_filter=2 accepts a source that \
               any interface leads to:",
        lines: &["sysctl net.ipv4.conf.all.rp_filter", "ip route get SOURCE"],
    },
    Message {
        holds: &["martian destination"],
        code: "kernel.martian-destination",
        means: "Routing has dropped a packet for its destination address, whatever the rules say: nobody can have \
                it there (0.0.0.0/8, 127.0.0.0/8 from outside, 240.0.0.0/4).",
        todo: "",
        lines: &[],
    },
    Message {
        holds: &["Possible SYN flooding"],
        code: "kernel.syn-flood",
        means: "More SYNs came to a listening port of this host than its backlog holds. The kernel answers the rest \
                with SYN cookies (net.ipv4.tcp_syncookies), which keeps nothing until the handshake is complete. \
                Rules have let those SYNs through: it is no message of the filter.",
        todo: "A program that is slow to accept looks the same as an attack. On the filter SYNPROXY, or a hashlimit \
               on --syn, keeps them from the program.",
        lines: &[],
    },
    Message {
        holds: &["neighbour", "table overflow"],
        code: "kernel.neighbour-table",
        means: "This host knows as many neighbours on its links (ARP, neighbour discovery) as gc_thresh3 allows: \
                packets to others are dropped after all rules.",
        todo: "A scan of a large network of its own does it, too:",
        lines: &["sysctl net.ipv4.neigh.default.gc_thresh3"],
    },
];

fn message(line: &str) -> Option<&'static Message> {
    MESSAGES.iter().find(|message| message.holds.iter().all(|words| line.contains(words)))
}

/// Whether the line is such a message.
#[must_use]
pub fn is_line(line: &str) -> bool {
    message(line).is_some()
}

/// Explains it.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let message = message(line)?;
    let mut answer = Answer::new(input, "kernel-message");
    answer.say(
        Topic::Form,
        "form.kernel-message",
        "A message of the kernel itself, in its log (dmesg); no rule with -j LOG has written it.",
    );
    answer.say(Topic::Consequences, message.code, message.means);
    if !message.todo.is_empty() {
        let lines = message.lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        match lines.is_empty() {
            true => answer.say(Topic::Mind, "mind.kernel-message", message.todo),
            false => answer.paste(Topic::Mind, "mind.kernel-message", message.todo, lines),
        }
    }
    Some(answer)
}
