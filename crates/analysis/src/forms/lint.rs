//! The page of a kind of finding.

use crate::answer::{Answer, Topic};
use crate::lint::lint_of;

/// Explains `rule-unreachable`; `None` when there is no such kind.
#[must_use]
pub fn explain(text: &str) -> Option<Answer> {
    let lint = lint_of(text.trim())?;
    let mut answer = Answer::new(text, "lint-code");
    answer.say(
        Topic::Form,
        "form.code",
        format!(
            "{} is a kind of finding of `keepstate lint`: {} ({}).",
            lint.code,
            lint.title,
            lint.severity.as_str()
        ),
    );
    for (index, paragraph) in lint.page.trim().split("\n\n").skip(1).enumerate() {
        let text = match paragraph.starts_with("    ") {
            true => paragraph.into(),
            false => paragraph.replace('\n', " "),
        };
        answer.say(Topic::Consequences, format!("page.{}", index + 1), text);
    }
    Some(answer)
}
