//! A connection or an expectation as `conntrack -o xml` prints it: read, and told as its line is.

use super::{conntrack, expect};
use crate::answer::{Answer, Topic};
use keepstate_conntrack::flow::{Expected, Flow};
use keepstate_conntrack::listing::expectation::ExpectationLine;
use keepstate_conntrack::listing::{Kind, Line, Shown};
use keepstate_conntrack::saved::{expectation_xml, flow_xml};

/// Explains the first element of a line.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let (_, element) = line.split_once("<flow")?;
    let element = format!("<flow{element}");
    let kind = match element.split_once('>')?.0 {
        tag if tag.contains("\"new\"") => Kind::New,
        tag if tag.contains("\"update\"") => Kind::Update,
        tag if tag.contains("\"destroy\"") => Kind::Destroy,
        _ => Kind::Listed,
    };
    let (mut answer, as_line) = if element.contains("<expected>") {
        let expected: Expected = expectation_xml(&element).ok()?;
        let line = ExpectationLine { expected: &expected, kind }.to_string();
        (expect::explain(input, &line)?, line)
    } else {
        let flow: Flow = flow_xml(&element).ok()?;
        let shown = Shown { layer3: true, id: true, ..Shown::default() };
        let line = Line { flow: &flow, kind, shown }.to_string();
        (conntrack::explain(input, &line)?, line)
    };
    answer.say(
        Topic::Form,
        "form.xml",
        "It is in XML (`-o xml`). The same as a line, which is what the fields below are of:",
    );
    answer.paste(Topic::Form, "form.xml-line", String::from("As a line:"), vec![as_line]);
    if line.contains("protonum=\"132\"") {
        answer.say(
            Topic::Mind,
            "mind.xml-sctp",
            "In XML conntrack(8) gives the states of SCTP the names of TCP's with the same number: \
             FIN_WAIT there is ESTABLISHED. Here it is put right.",
        );
    }
    Some(answer)
}
