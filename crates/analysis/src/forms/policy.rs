//! The policy of a chain: `:INPUT DROP [0:0]`, `Chain INPUT (policy DROP)`, `iptables -P`.

use crate::answer::{Answer, Fact, Topic};
use crate::experiment;
use keepstate_packet::Family;
use keepstate_ruleset::syntax::iptables_list;

/// Explains a declaration of a chain in a rule file or a listing; `table` where the file says it.
#[must_use]
pub fn explain(input: &str, line: &str, table: Option<&str>) -> Answer {
    if let Some((chain, policy)) = iptables_list::read_chain_head(line) {
        let mut answer = Answer::new(input, "iptables-list-chain");
        let what = "The head of a chain in a listing; its rules stand below it.";
        answer.say(Topic::Form, "form.chain-head", what);
        return of_chain(answer, chain, policy, table);
    }
    let mut words = line.trim_start_matches(':').split_whitespace();
    let (chain, policy, counters) = (words.next(), words.next(), words.next());
    let mut answer = Answer::new(input, "iptables-save-chain");
    answer.say(Topic::Form, "form.chain", "A line of a rule file that declares a chain.");
    if let Some(counters) = counters.filter(|c| c.starts_with('[')) {
        answer.say(
            Topic::Form,
            "form.chain-counters",
            format!("{counters}: packets and bytes that the policy decided about, when saved."),
        );
    }
    of_chain(answer, chain.unwrap_or(""), policy.filter(|policy| *policy != "-"), table)
}

/// Explains `iptables -P CHAIN POLICY`.
#[must_use]
pub fn of_command(mut answer: Answer, chain: &str, policy: &str) -> Answer {
    answer.say(Topic::Form, "form.command", format!("A command: it sets the policy of {chain}."));
    of_chain(answer, chain, Some(policy), None)
}

fn of_chain(mut answer: Answer, chain: &str, policy: Option<&str>, table: Option<&str>) -> Answer {
    let Some(policy) = policy else {
        answer.say(
            Topic::Effect,
            "chain.user",
            format!(
                "{chain} is a user chain. It has no policy: a packet that no rule of it decides \
                 goes back to the rule behind the one that sent it here. It sees only what other \
                 rules send into it with -j or -g."
            ),
        );
        return answer;
    };
    let does = match policy {
        "DROP" => "dropped, and nobody is told",
        "ACCEPT" => "accepted: it goes on to the other tables and hooks",
        _ => "decided by the policy",
    };
    answer.say(
        Topic::Effect,
        "policy",
        format!(
            "{policy} is the policy of {chain}{}: a packet that reaches the end of the chain without \
             a decision (also by RETURN there) is {does}. The policy is the last thing asked, not \
             the first, and takes effect at once when it is set, for running connections too.",
            table.map_or(String::new(), |table| format!(" in the table {table}"))
        ),
    );
    if policy == "DROP" {
        answer.say(
            Topic::Mind,
            "mind.policy-drop",
            format!(
                "A policy of DROP outlives `iptables -F {chain}`: flushing the rules then locks \
                 everybody out, the administrator on ssh among them. Answers to the host's own \
                 connections need a rule for ESTABLISHED."
            ),
        );
    }
    let of_filter = matches!(chain, "INPUT" | "FORWARD" | "OUTPUT");
    if table.is_none() {
        answer.assume(
            "table",
            if of_filter {
                "The table is not named: taken as filter."
            } else {
                "The table is not named; raw, mangle and nat may have such a chain."
            },
        );
    }
    if table.unwrap_or("filter") != "filter" || !of_filter {
        return answer;
    }
    if table.is_some() {
        answer.assume("rules", "Run without the rules of the file, to show the policy alone.");
    }
    for shown in experiment::policy(Family::V4, chain, policy) {
        answer.add(Topic::Why, Fact::Experiment(Box::new(shown)));
    }
    answer
}
