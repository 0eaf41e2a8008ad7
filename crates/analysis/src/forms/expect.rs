//! An expectation as `conntrack -L expect`, `conntrack -E expect` and
//! `/proc/net/nf_conntrack_expect` print it.

use crate::answer::{Answer, Topic};
use crate::prose::{self, helpers, protocol};

/// Most words of a line that are read.
const WORDS_MAX: usize = 64;

/// An expectation line, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectLine {
    /// `[NEW]`, `[DESTROY]`.
    pub event: Option<String>,
    /// Seconds left.
    pub timeout: Option<u64>,
    /// Keys and values in order; the ports come three times: tuple, mask, master.
    pub pairs: Vec<(String, String)>,
    /// The helper.
    pub helper: Option<String>,
}

/// Reads a line; `None` when it is none.
#[must_use]
pub fn read(line: &str) -> Option<ExpectLine> {
    let mut out = ExpectLine::default();
    let line = line.replace("l3proto = ", "l3proto=");
    for word in line.split_whitespace().take(WORDS_MAX) {
        if let Some((key, value)) = word.split_once('=') {
            out.pairs.push((key.to_string(), value.to_string()));
        } else if let Some(event) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            out.event = Some(event.to_string());
        } else if out.pairs.is_empty() {
            out.timeout = out.timeout.or_else(|| word.parse().ok());
        } else if !word.starts_with("PERMANENT") && !word.starts_with("INACTIVE") {
            out.helper = Some(word.split('/').next().unwrap_or(word).to_string());
        }
    }
    if let Some((_, name)) = out.pairs.iter().find(|(key, _)| key == "helper") {
        out.helper = Some(name.clone());
    }
    let complete = out.value("src").is_some() && out.value("dst").is_some();
    (complete && out.value("proto").is_some()).then_some(out)
}

impl ExpectLine {
    fn value(&self, key: &str) -> Option<&str> {
        self.nth(key, 0)
    }

    fn nth(&self, key: &str, nth: usize) -> Option<&str> {
        self.pairs.iter().filter(|(known, _)| known == key).nth(nth).map(|(_, v)| v.as_str())
    }
}

/// Explains a line.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let read = read(line)?;
    let mut answer = Answer::new(input, "expect-line");
    let master = read.value("master-src").is_some();
    answer.say(
        Topic::Form,
        "form.expectation",
        match (read.event.as_deref(), master) {
            (Some("DESTROY"), _) => {
                "An event of `conntrack -E expect`: an expectation is gone, because its connection \
                 came or its time was up."
            }
            (Some(_), _) => "An event of `conntrack -E expect`: a helper has made an expectation.",
            (None, true) => {
                "An expectation, as `conntrack -L expect` prints it: a connection that a helper has \
                 read about in another one (its master) and that has not come yet."
            }
            (None, false) => {
                "An expectation, as /proc/net/nf_conntrack_expect prints it. That form does not show \
                 the masks nor the master: `conntrack -L expect` does."
            }
        },
    );
    fields(&mut answer, &read);
    consequences(&mut answer, &read);
    Some(answer)
}

fn fields(answer: &mut Answer, read: &ExpectLine) {
    if let Some(seconds) = read.timeout {
        answer.field(
            seconds.to_string(),
            format!("left until it is forgotten: {}", prose::seconds(seconds)),
        );
    }
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in &read.pairs {
        let times = seen.iter().filter(|known| **known == key.as_str()).count();
        seen.push(key);
        answer.field(format!("{key}={value}"), field_text(key, value, times));
    }
    if let Some(helper) = &read.helper
        && read.value("helper").is_none()
    {
        answer.field(helper.clone(), "the helper that made it");
    }
}

fn field_text(key: &str, value: &str, times: usize) -> String {
    let port = |which: &str| match (times, value) {
        (0, _) => format!("{which} port of the expected connection"),
        (1, "0") => format!("mask of the {which} port: any will do"),
        (1, "65535") => format!("mask of the {which} port: exactly this one"),
        (1, _) => format!("mask of the {which} port: the bits that count"),
        (_, _) => format!("{which} port of the master, as its first packet went"),
    };
    match key {
        "l3proto" => String::from("the network layer: 2 is IPv4, 10 is IPv6"),
        "proto" => match value.parse() {
            Ok(number) => format!("its protocol: {}", protocol::name(number)),
            Err(_) => String::from("its protocol"),
        },
        "src" => String::from("who will open it"),
        "dst" => String::from("to whom"),
        "sport" => port("source"),
        "dport" => port("destination"),
        "mask-src" | "mask-dst" => match value {
            "255.255.255.255" => String::from("exactly this address"),
            "0.0.0.0" | "::" => String::from("any address at all"),
            _ => String::from("the part of the address that counts"),
        },
        "master-src" | "master-dst" => String::from("the master: the connection it was read in"),
        "class" => {
            String::from("the helper's own class, each with its limits (FTP has one, SIP several)")
        }
        "helper" => String::from("the helper that made it"),
        "zone" => String::from("its zone"),
        _ => String::from("a field of the expectation"),
    }
}

fn consequences(answer: &mut Answer, read: &ExpectLine) {
    let number: u8 = read.value("proto").and_then(|proto| proto.parse().ok()).unwrap_or(0);
    let any_source = matches!(read.value("mask-src"), Some("0.0.0.0" | "::"));
    let source = if any_source { "anybody" } else { read.value("src").unwrap_or("?") };
    let source_port = match (read.nth("sport", 0), read.nth("sport", 1)) {
        (Some(port), Some(mask)) if mask != "0" => format!("port {port}"),
        _ => String::from("any port"),
    };
    let destination = read.value("dst").unwrap_or("?");
    let port = read.nth("dport", 0).unwrap_or("?");
    if read.event.as_deref() != Some("DESTROY") {
        answer.say(
            Topic::Consequences,
            "expect.related",
            format!(
                "The first {} packet from {source} (from {source_port}) to {destination} port {port} \
                 will be RELATED; it makes a connection whose master is this one, and all that \
                 follows is ESTABLISHED. Anything else about it is NEW.",
                protocol::name(number)
            ),
        );
        answer.say(
            Topic::Consequences,
            "expect.once",
            "It is used up by that connection, and goes when its time is up or its master goes.",
        );
        answer.say(
            Topic::Consequences,
            "expect.not-a-rule",
            "It opens nothing by itself: a rule has to accept RELATED where that packet passes.",
        );
    }
    master(answer, read);
    cautions(answer, read, any_source);
}

/// What the master says of who will open it.
fn master(answer: &mut Answer, read: &ExpectLine) {
    if let (Some(src), Some(dst)) = (read.value("master-src"), read.value("master-dst")) {
        let port = |nth| read.nth("dport", nth).unwrap_or("?");
        answer.say(
            Topic::Consequences,
            "expect.master",
            format!("It was read in the connection from {src} to {dst} port {}.", port(2)),
        );
        if read.value("dst") == Some(dst) {
            answer.say(
                Topic::Consequences,
                "expect.same-way",
                "It will be opened in the direction of its master (FTP: passive mode).",
            );
        } else {
            answer.say(
                Topic::Consequences,
                "expect.other-way",
                "It will be opened against the direction of its master, towards its client (FTP: \
                 active mode).",
            );
        }
    }
}

fn cautions(answer: &mut Answer, read: &ExpectLine, any_source: bool) {
    let destination = read.value("dst").unwrap_or("?");
    if any_source {
        answer.say(
            Topic::Mind,
            "mind.any-source",
            "Any source may use it: a port is open to the world for as long as it stands.",
        );
    }
    if let Some(helper) = read.helper.as_deref() {
        let known = helpers::named(helper);
        let what = known.map_or("connections", |known| known.what);
        answer.paste(
            Topic::Mind,
            "mind.narrow",
            format!("The helper {helper} expects {what}. A rule that lets in no more than that:"),
            vec![format!(
                "iptables -A INPUT -m helper --helper {helper} -m conntrack --ctstate RELATED -d \
                 {destination} -j ACCEPT"
            )],
        );
    }
}
