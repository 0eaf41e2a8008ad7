//! Rules that programs write: what could be shorter in them, or does nothing, is no advice to anybody, for they are
//! written anew with the next start.

use super::finding::Finding;
use super::linted::{Linted, Ruled};
use crate::prose::chains::Makers;
use keepstate_conntrack::Hook;

/// Kinds that ask for rules to be tidied.
const TIDYING: [&str; 7] = [
    "duplicate-rule",
    "mergeable-ports",
    "never-in-chain",
    "parameters-missing",
    "port-part-dead",
    "rule-redundant",
    "rule-shadowed",
];
/// Chains that a program makes and leaves to people.
const LEFT_TO_PEOPLE: [&str; 1] = ["DOCKER-USER"];
/// Words of comments that programs put to their rules.
const COMMENTS: [&str; 4] = ["kubernetes ", "kube-system/", "cali:", "generated for LXD"];
/// Digits in the name of a bridge that Docker makes.
const BRIDGE_DIGITS: usize = 12;

/// Takes out what is not worth a word of rules that programs write.
pub(super) fn leave_out(linted: &Linted<'_>, found: &mut Vec<Finding>) {
    let makers = Makers::of_ruleset(linted.ruleset);
    let of_program = |finding: &Finding| {
        let mut here = linted.rules.iter().filter(|rule| rule.rule.span == finding.span).peekable();
        here.peek().is_some() && here.all(|rule| is_of_program(&makers, rule))
    };
    found.retain(|finding| !TIDYING.contains(&finding.lint.code) || !of_program(finding));
}

/// Whether a program has written a rule, by its chain, its comment or its interface.
fn is_of_program(makers: &Makers, rule: &Ruled<'_>) -> bool {
    let chain = &rule.chain.name;
    if rule.chain.hook.is_none() {
        return makers.maker(chain).is_some() && !LEFT_TO_PEOPLE.contains(&chain.as_str());
    }
    let leads = rule.rule.target.chains().into_iter().any(|(to, _)| {
        rule.table.chain(to).is_some_and(|chain| makers.maker(&chain.name).is_some())
    });
    let says = rule
        .words
        .options(&["--comment"])
        .any(|option| COMMENTS.iter().any(|words| option.value().starts_with(words)));
    let by = ["-i", "-o"].into_iter().filter_map(|side| rule.words.header(side));
    leads || says || by.into_iter().any(|option| is_of_program_interface(rule, option.value()))
}

/// Whether an interface has the name that libvirt or Docker gives the bridges that it writes rules for.
fn is_of_program_interface(rule: &Ruled<'_>, name: &str) -> bool {
    let digits = |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit());
    let hex =
        |rest: &str| rest.len() == BRIDGE_DIGITS && rest.chars().all(|c| c.is_ascii_hexdigit());
    // Docker asks for no ports where it does not translate.
    let passes = matches!(rule.chain.hook, Some(Hook::Forward | Hook::Postrouting));
    let bridge = name == "docker0" || name.strip_prefix("br-").is_some_and(hex);
    bridge && passes || name.strip_prefix("virbr").is_some_and(digits)
}
