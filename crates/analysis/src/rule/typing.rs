//! Words that are a letter off: what was meant, said, and explained in their place.

use super::{Subject, understand};
use crate::answer::{Answer, Topic};
use crate::prose::targets;
use keepstate_ruleset::targets::TARGETS;

/// Words that are put right in one rule.
const MENDED_MAX: usize = 4;

/// The rule as it was meant, as far as that is plain.
pub(super) fn mended(answer: &mut Answer, subject: &Subject) -> Subject {
    let mut meant = subject.clone();
    let built_in = ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"];
    if let Some(chain) = meant_by(&meant.chain, built_in.into_iter()) {
        said(answer, "chain", &meant.chain, chain);
        meant.chain = chain.to_string();
    }
    if let Some(at) = meant.words.iter().position(|word| matches!(word.as_str(), "-j" | "-g"))
        && let Some(word) = meant.words.get_mut(at + 1)
        && targets::is_chain(word)
    {
        let standard = ["ACCEPT", "DROP", "RETURN"].into_iter();
        let known = standard.chain(TARGETS.iter().map(|target| target.name));
        if let Some(target) = meant_by(word, known) {
            said(answer, "target", word, target);
            *word = target.to_string();
        }
    }
    for _ in 0..MENDED_MAX {
        let understood = understand(&meant);
        let Some(fault) = understood.faults.first() else { break };
        let at = fault.span.start as usize..fault.span.end as usize;
        let wrong = understood.source.get(at).unwrap_or("").trim();
        let help = fault.help.as_deref().unwrap_or("");
        let Some(right) =
            help.strip_prefix("did you mean `").and_then(|rest| rest.strip_suffix("`?"))
        else {
            break;
        };
        let Some(word) = meant.words.iter_mut().find(|word| word.as_str() == wrong) else { break };
        answer.say(
            Topic::Fault,
            format!("fault.{}", fault.code),
            format!("{}: {} (`{wrong}`).", fault.code, fault.text),
        );
        said(answer, "word", wrong, right);
        *word = right.to_string();
    }
    meant
}

fn said(answer: &mut Answer, what: &str, wrong: &str, right: &str) {
    let text = match what {
        "word" => format!("Meant is probably `{right}`: the rest is about the rule with that."),
        _ => format!(
            "There is no built-in {what} `{wrong}`; meant is probably {right}, and the rest is about the \
             rule with that. (A chain of your own may be called {wrong}.)"
        ),
    };
    answer.say(Topic::Fault, format!("fault.meant-{what}"), text);
    answer.assume("words", format!("`{wrong}` taken as `{right}`."));
}

/// The word that this one is a letter off from.
fn meant_by<'a>(word: &str, mut known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let is_known = known.clone().any(|one| one == word);
    if is_known || word.len() < 4 { None } else { known.find(|one| is_off_by_one(word, one)) }
}

/// Whether a letter too many, too few, another one, or two that changed places make the difference.
fn is_off_by_one(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = |(a, b): &(&u8, &u8)| a == b;
    let head = one.iter().zip(other).take_while(same).count();
    let (one, other) = (one.get(head..).unwrap_or(&[]), other.get(head..).unwrap_or(&[]));
    let tail = one.iter().rev().zip(other.iter().rev()).take_while(same).count();
    let shorn = |bytes: &[u8]| bytes.get(..bytes.len() - tail).unwrap_or(&[]).to_vec();
    match (shorn(one).as_slice(), shorn(other).as_slice()) {
        ([], [_]) | ([_], [] | [_]) => true,
        ([a, b], [c, d]) => (a, b) == (d, c),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_off() {
        for wrong in ["ACEPT", "ACCPET", "ACCEPTT", "ACCEPR"] {
            assert_eq!(meant_by(wrong, ["DROP", "ACCEPT"].into_iter()), Some("ACCEPT"), "{wrong}");
        }
        for other in ["ACCEPT", "ACT", "WEB", "ACCESS", "DROPS_ALL"] {
            assert_eq!(meant_by(other, ["DROP", "ACCEPT", "LED"].into_iter()), None, "{other}");
        }
    }
}
