//! The page of a diagnostic code.

use crate::answer::{Answer, Topic};
use crate::recognise::diagnostic_code;
use keepstate_ruleset::diagnostic::{Code, page};

/// Explains `KS0123`; `None` when there is no such code.
#[must_use]
pub fn explain(text: &str) -> Option<Answer> {
    let code = Code(diagnostic_code(text)?);
    let page = page(code)?;
    let mut answer = Answer::new(text, "diagnostic-code");
    answer.say(Topic::Form, "form.code", format!("{code} is the code of a fault in a rule file."));
    for (index, paragraph) in page.split("\n\n").enumerate() {
        answer.say(
            Topic::Consequences,
            format!("page.{}", index + 1),
            if paragraph.starts_with("    ") {
                paragraph.into()
            } else {
                paragraph.replace('\n', " ")
            },
        );
    }
    Some(answer)
}
