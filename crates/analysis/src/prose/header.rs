//! What the header options of a rule ask for, as clauses behind "a packet matches when".

use super::protocol;
use crate::rule::words::OptionWords;

/// The clause of a header option; `None` for one that asks for nothing.
#[must_use]
pub fn condition(option: &OptionWords) -> Option<String> {
    let value = single(option.value());
    let not = |yes: &str, no: &str| if option.not { no.to_string() } else { yes.to_string() };
    Some(match option.name.as_str() {
        "-s" => format!("its source {} {value}", not(in_word(value), out_word(value))),
        "-d" => format!("its destination {} {value}", not(in_word(value), out_word(value))),
        "-i" => format!("it {} {}", not("came in on", "did not come in on"), interface(value)),
        "-o" => format!("it {} {}", not("leaves by", "does not leave by"), interface(value)),
        "-p" => match protocol::number(value) {
            Some(0) => return None,
            Some(number) => format!("it {} {}", not("is", "is not"), protocol::name(number)),
            None => format!("its protocol {} {value}", not("is", "is not")),
        },
        "-f" => not(
            "it is a second or further fragment",
            "it is whole, or the first fragment of a packet",
        ),
        _ => return None,
    })
}

/// An address without the length that says that it is one.
fn single(value: &str) -> &str {
    let of = |length: &str, v6: bool| {
        value.strip_suffix(length).filter(|address| address.contains(':') == v6)
    };
    of("/32", false).or_else(|| of("/128", true)).unwrap_or(value)
}

fn in_word(value: &str) -> &'static str {
    if value.contains(['/', ',']) { "is in" } else { "is" }
}

fn out_word(value: &str) -> &'static str {
    if value.contains(['/', ',']) { "is not in" } else { "is not" }
}

fn interface(value: &str) -> String {
    match value.strip_suffix('+') {
        Some("") => String::from("any interface"),
        Some(head) => format!("an interface whose name begins with {head}"),
        None => format!("interface {value}"),
    }
}
