//! A line of `conntrack -S`: counters of one processor.

use crate::answer::{Answer, Topic};

/// Most counters of a line that are read.
const COUNTERS_MAX: usize = 32;

/// The counters, what they count, and what to do about one that grows.
const COUNTERS: &[(&str, &str, Option<&str>)] = &[
    ("found", "searches for a free port of a translation that met one in use", None),
    ("searched", "look-ups (old kernels)", None),
    ("new", "connections begun (old kernels)", None),
    (
        "invalid",
        "packets that tracking could not make sense of: INVALID",
        Some(
            "`nf_conntrack_log_invalid` makes the kernel say why, and `keepstate replay` on a \
             capture names the reason of each.",
        ),
    ),
    ("ignore", "packets of a connection that was known already (old kernels)", None),
    ("delete", "connections deleted (old kernels)", None),
    ("delete_list", "connections put on the list of dying ones (old kernels)", None),
    ("insert", "connections put into the table from outside, by conntrack(8) and the like", None),
    (
        "insert_failed",
        "connections that could not be put into the table: somebody else had taken their tuple \
         meanwhile. Their packet is dropped",
        Some(
            "Two packets of one UDP flow that meet at the same time do it (DNS, A and AAAA asked at \
             once), the more so with NAT. Where clash_resolve grows instead, it was put right.",
        ),
    ),
    (
        "drop",
        "packets dropped because no connection could be made for them: the table was full, or they \
         lost a race for their tuple",
        Some(
            "Compare nf_conntrack_count with nf_conntrack_max. A table that fills up wants a larger \
             one, shorter timeouts, or fewer connections tracked (NOTRACK).",
        ),
    ),
    (
        "early_drop",
        "connections without [ASSURED] thrown out to make room for new ones",
        Some("The table is, or was, full: see drop."),
    ),
    (
        "error",
        "ICMP messages that were INVALID before a connection was looked for: broken, of an unknown \
         type, or errors about packets of no known connection",
        None,
    ),
    ("icmp_error", "ICMP errors that could not be handled (old kernels)", None),
    ("search_restart", "look-ups begun again because the table was resized meanwhile", None),
    (
        "clash_resolve",
        "connections that found their tuple taken meanwhile and were merged with the one that took \
         it. Nothing is lost by it",
        None,
    ),
    (
        "chaintoolong",
        "connections refused because the chain they belong into was too long",
        Some("The hash table is too small for the connections in it: nf_conntrack_buckets."),
    ),
    ("expect_new", "connections that fulfilled an expectation", None),
    ("expect_create", "expectations made", None),
    ("expect_delete", "expectations gone", None),
];

/// Whether a line begins like one of these.
#[must_use]
pub fn is_line(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let cpu = words.next().and_then(|word| word.strip_prefix("cpu="));
    let counter = words.next().and_then(|word| word.split_once('='));
    cpu.is_some_and(|cpu| cpu.parse::<u32>().is_ok())
        && counter.is_some_and(|(name, _)| COUNTERS.iter().any(|(known, ..)| *known == name))
}

/// Explains a line.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    if !is_line(line) {
        return None;
    }
    let mut answer = Answer::new(input, "conntrack-statistics");
    answer.say(
        Topic::Form,
        "form.statistics",
        "Counters of connection tracking on one processor, as `conntrack -S` prints them. They count \
         from the start of the machine (or of the network namespace), and the whole is the sum over \
         all processors.",
    );
    for word in line.split_whitespace().take(COUNTERS_MAX) {
        let Some((name, value)) = word.split_once('=') else { continue };
        let known = COUNTERS.iter().find(|(known, ..)| *known == name);
        let text = match (name, known) {
            ("cpu", _) => "the processor",
            (_, Some((_, text, _))) => text,
            _ => "a counter that is not known here",
        };
        answer.field(word.to_string(), text);
        let counted = value.parse::<u64>().is_ok_and(|value| value > 0);
        if let Some((_, _, Some(advice))) = known.filter(|_| counted) {
            answer.say(Topic::Mind, format!("mind.{name}"), format!("{name}: {advice}"));
        }
    }
    Some(answer)
}
