//! All services of rules whose packet sets are too large for all services at once: some of the services after the
//! others. What is too large even so is named.

use super::answer::{Answer, Question, Unanswered};
use super::around::Around;
use super::service::Service;
use super::services::{Alike, joined, told_apart};
use super::sets::{Opener, Reach};
use crate::algebra::space::NODES_MAX;
use keepstate_ruleset::model::Ruleset;

/// Most nodes for the diagrams of a part.
const NODES_OF_PART: usize = NODES_MAX / 4;
/// Services of the first part.
const FIRST: usize = 32;
/// Most parts that are tried.
const PARTS_MAX: usize = 32;

/// Answers a question about all services.
///
/// # Errors
/// When the question does not fit, or each service alone is too large.
pub fn in_parts(
    ruleset: &Ruleset,
    around: &Around,
    opener: Opener,
    question: &Question,
) -> Result<Answer, Unanswered> {
    let services = told_apart(ruleset);
    let mut answer: Option<Answer> = None;
    let mut rows: Vec<Alike> = Vec::new();
    let (mut at, mut size, mut too_large) = (0, FIRST, Vec::new());
    let mut grows = true;
    for _ in 0..PARTS_MAX {
        let rest = services.get(at..).unwrap_or_default();
        let part = rest.get(..size).unwrap_or(rest);
        if part.is_empty() {
            break;
        }
        match told(ruleset, around, opener, question, part) {
            Ok((told, empty)) => {
                rows.extend(told);
                answer.get_or_insert(empty);
                at += part.len();
                size = if grows { part.len() * 2 } else { part.len() };
            }
            Err(Unanswered::Question(text)) => return Err(Unanswered::Question(text)),
            Err(Unanswered::Exhausted) if part.len() > 1 => {
                (size, grows) = (part.len() / 2, false);
            }
            Err(Unanswered::Exhausted) => {
                too_large.extend(part.iter().cloned());
                at += 1;
            }
        }
    }
    too_large.extend(services.get(at..).into_iter().flatten().cloned());
    let mut answer = answer.ok_or(Unanswered::Exhausted)?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.open));
    answer.services = rows;
    answer.untold = joined(&too_large);
    Ok(answer)
}

/// The rows of some services, and an answer without them.
fn told(
    ruleset: &Ruleset,
    around: &Around,
    opener: Opener,
    question: &Question,
    part: &[Service],
) -> Result<(Vec<Alike>, Answer), Unanswered> {
    let reach = Reach::within(ruleset, around.clone(), opener, part, NODES_OF_PART)?;
    let between = reach.ends(question, None)?;
    Ok((reach.alike(part, &between)?, reach.begin(question)))
}
