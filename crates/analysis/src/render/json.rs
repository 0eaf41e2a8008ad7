//! JSON: the answer as it is.

use super::Style;
use crate::answer::Answer;

pub(super) fn render(answer: &Answer, _style: &Style) -> String {
    match serde_json::to_string_pretty(answer) {
        Ok(mut text) => {
            text.push('\n');
            text
        }
        Err(error) => format!("{{\"error\": {:?}}}\n", error.to_string()),
    }
}
