//! A command line of conntrack(8), and the lines of `-o save`, which are commands without its name.

use crate::answer::{Answer, Topic};
use crate::prose::{self, protocol};
use keepstate_conntrack::command::{self, Command, OptionKind, TableKind, Verb};
use keepstate_conntrack::flow::{LabelNames, states};
use keepstate_conntrack::listing::StatusList;
use keepstate_ruleset::syntax::iptables_command;

/// Most words of a command that are read.
const WORDS_MAX: usize = 256;
/// Labels that a command names have numbers by their order: what they are called is not here.
const LABELS_MAX: u16 = 128;

/// The words behind the name of the program; `None` when this is no such command.
fn words(line: &str) -> Option<Vec<String>> {
    let all = iptables_command::split(line)?;
    let mut words = all.into_iter().take(WORDS_MAX).skip_while(|word| {
        matches!(word.as_str(), "$" | "#" | "sudo" | "doas" | "keepstate" | "then" | "do")
    });
    let first = words.next()?;
    let rest: Vec<String> = words.collect();
    // A rule would name its chain here, and a message go on in words.
    let has_option = rest.first().is_some_and(|word| word.starts_with('-'));
    if first.rsplit('/').next() == Some("conntrack") {
        return has_option.then_some(rest);
    }
    let is_verb = matches!(first.as_str(), "-A" | "-I" | "-U" | "-D");
    (is_verb && has_option).then(|| std::iter::once(first).chain(rest).collect())
}

/// Whether a line is such a command.
#[must_use]
pub fn is_command(line: &str) -> bool {
    words(line).is_some()
}

/// Explains a command.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let words = words(line)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut answer = Answer::new(input, "conntrack-command");
    if let Some(load) = command::Load::of(&words) {
        answer.say(
            Topic::Form,
            "form.load",
            format!(
                "It runs the commands in {}, a line each (`-o save` prints such lines). All are read \
                 before the first is run; then they run up to the first that fails.",
                if load.file == "-" { "standard input" } else { load.file }
            ),
        );
        return Some(answer);
    }
    let names = label_names(&words);
    let mut warnings = String::new();
    let command = match command::parse(&words, Some(&names), &mut warnings) {
        Ok(command) => command,
        Err(fault) => {
            let text = "A command of conntrack(8), which refuses it:";
            answer.say(Topic::Form, "form.conntrack-command", text);
            answer.say(Topic::Fault, "fault.conntrack", fault.text);
            answer.say(
                Topic::Fault,
                "fault.status",
                format!("Its exit status is {}.", fault.status),
            );
            return Some(answer);
        }
    };
    form(&mut answer, &command, line);
    fields(&mut answer, &command);
    effect(&mut answer, &command);
    cautions(&mut answer, &command, &words, &warnings);
    Some(answer)
}

/// Labels go by whatever name the command gives them.
fn label_names(words: &[&str]) -> LabelNames {
    let options = ["-l", "--label", "--label-add", "--label-del"];
    let values = words.iter().zip(words.iter().skip(1)).filter(|(o, _)| options.contains(*o));
    let mut names = LabelNames::default();
    for name in values.flat_map(|(_, value)| value.split(',')) {
        let bit = names.0.len() as u16;
        if names.bit(name).is_none() && bit < LABELS_MAX {
            names.0.push((bit, name.to_string()));
        }
    }
    names
}

fn form(answer: &mut Answer, command: &Command, line: &str) {
    let entries = match command.table {
        TableKind::Expect => "expectations",
        TableKind::Conntrack => "connections",
        TableKind::Dying => "connections that have left the table and are still held by somebody",
        TableKind::Unconfirmed => "connections whose first packet is still on its way",
    };
    let what = match command.verb {
        Verb::List => format!("It lists {entries}"),
        Verb::Get => String::from("It shows one entry, which it names whole"),
        Verb::Create => String::from("It makes an entry; that it is there already is an error"),
        Verb::Add => String::from("It makes an entry, unless it is there already"),
        Verb::Update => format!("It changes {entries}"),
        Verb::Delete => format!("It forgets {entries}"),
        Verb::Flush => format!("It forgets all {entries}"),
        Verb::Event => format!("It prints what happens to {entries}, until it is interrupted"),
        Verb::Count => format!("It prints how many {entries} there are"),
        Verb::Stats => String::from("It prints counters, a line a processor"),
        Verb::Version | Verb::Help | Verb::None => String::from("It prints how it is used"),
    };
    let program = if line.trim_start().starts_with('-') {
        "A line of `conntrack -o save`: a command of conntrack(8) without its name, for `conntrack \
         -R FILE`."
    } else {
        "A command of conntrack(8)."
    };
    answer.say(Topic::Form, "form.conntrack-command", format!("{program} {what}."));
}

/// What was given, in words.
fn fields(answer: &mut Answer, command: &Command) {
    let flow = &command.flow;
    let family = flow.family.unwrap_or(keepstate_packet::Family::V4);
    let masked = |mask: Option<keepstate_packet::Address>| {
        mask.map_or(String::new(), |mask| format!(" where {} has ones", mask.ip(family)))
    };
    let halves = [
        (flow.original.source, "-s", "source of the original direction, who began it"),
        (flow.original.destination, "-d", "destination of the original direction"),
        (flow.reply.source, "-r", "source of the replies; where it is not -d, that is translated"),
        (flow.reply.destination, "-q", "destination of the replies; where it is not -s, that is"),
    ];
    let masks = [command.masks.source, command.masks.destination, None, None];
    for ((address, option, text), mask) in halves.into_iter().zip(masks) {
        if let Some(address) = address {
            let text = format!("{text}{}", masked(mask));
            answer.field(format!("{option} {}", address.ip(family)), text);
        }
    }
    if let Some(number) = flow.protocol {
        answer.field(format!("-p {number}"), format!("the protocol, {}", protocol::name(number)));
    }
    let ports = [
        (flow.original.source_port, "--sport", "source port of the original direction"),
        (flow.original.destination_port, "--dport", "destination port of the original direction"),
        (flow.reply.source_port, "--reply-port-src", "source port of the replies"),
        (flow.reply.destination_port, "--reply-port-dst", "destination port of the replies"),
    ];
    for (port, option, text) in ports {
        if let Some(port) = port {
            answer.field(format!("{option} {port}"), text);
        }
    }
    if let (Some(kind), Some(code)) = (flow.original.icmp_type, flow.original.icmp_code) {
        answer.field(format!("type {kind} code {code}"), "of the ICMP query");
    }
    let state = flow.info.state().map(usize::from);
    let names = flow.protocol.map_or(&[][..], states);
    if let Some(state) = state.and_then(|state| names.get(state)) {
        answer.field(format!("--state {state}"), "state of its protocol");
    }
    numbers(answer, command);
}

fn numbers(answer: &mut Answer, command: &Command) {
    let flow = &command.flow;
    if let Some(timeout) = flow.timeout {
        let text = format!("how long it is to live: {}", prose::seconds(timeout.into()));
        answer.field(format!("-t {timeout}"), text);
    }
    if let Some(status) = flow.status {
        answer.field(
            format!("-u {}", StatusList(status)),
            "status: SEEN_REPLY, both directions were seen; ASSURED, not thrown out early; \
             FIXED_TIMEOUT, packets do not refresh it; EXPECTED, a helper announced it",
        );
    }
    if let Some(mark) = command.mark {
        let text = match command.verb {
            Verb::Update => {
                "the mark: the bits of the mask are cleared, then the value is XORed in"
            }
            Verb::Create | Verb::Add => "the mark",
            _ => "the mark, compared where the mask has ones",
        };
        let (value, mask) = (mark.value, mark.mask);
        let field =
            if mask == u32::MAX { format!("-m {value}") } else { format!("-m {value}/{mask:#x}") };
        answer.field(field, text);
    }
    let zones = [
        (flow.zone, "-w", "zone"),
        (flow.zone_of[0], "--orig-zone", "zone of the original direction"),
        (flow.zone_of[1], "--reply-zone", "zone of the reply direction"),
    ];
    for (zone, option, text) in zones {
        if let Some(zone) = zone {
            answer.field(format!("{option} {zone}"), text);
        }
    }
    let translated = [
        (OptionKind::SrcNat, "-n", "the source is translated"),
        (OptionKind::DstNat, "-g", "the destination is translated"),
        (OptionKind::AnyNat, "-j", "source or destination is translated"),
    ];
    for (option, letter, text) in translated {
        if command.given.has(option) {
            answer.field(letter, text);
        }
    }
}

fn effect(answer: &mut Answer, command: &Command) {
    let is_expect = command.table == TableKind::Expect;
    let text = match command.verb {
        Verb::Delete | Verb::Flush if is_expect => {
            "The connections that were announced are no longer RELATED when they come: they are NEW."
        }
        Verb::Delete | Verb::Flush => {
            "Rules see the next packet of such a connection as NEW, with all that NEW means: nat \
             rules are asked again, a firewall that lets in only ESTABLISHED drops it. A TCP segment \
             in mid-stream begins a connection while nf_conntrack_tcp_loose=1, and is INVALID \
             otherwise. Nobody at either end is told."
        }
        Verb::Create | Verb::Add if is_expect => {
            "The first packet that fits will be RELATED. The master has to be there, and to have a \
             helper."
        }
        Verb::Create | Verb::Add => {
            "Its packets are ESTABLISHED from the first one on if -u has SEEN_REPLY, and NEW until a \
             reply otherwise. No rule has accepted it: this is how a failover peer, or an \
             administrator, puts connections there."
        }
        Verb::Update => {
            "What is named is changed in every entry that fits; the rest stays. Rules see it with the \
             next packet."
        }
        _ => "Nothing is changed.",
    };
    answer.say(Topic::Effect, "effect.conntrack-command", text);
    let status = match command.verb {
        Verb::Update | Verb::Delete | Verb::Get => {
            "Exit status 0 when something fits, 1 when nothing does."
        }
        Verb::List | Verb::Event => "Exit status 0, also when nothing fits.",
        _ => {
            "Exit status 0 when it is done, 1 when the kernel refuses, 2 for a wrong command line."
        }
    };
    answer.say(Topic::Effect, "effect.status", status);
}

fn cautions(answer: &mut Answer, command: &Command, words: &[&str], warnings: &str) {
    for warning in warnings.lines() {
        answer.say(Topic::Mind, "mind.warning", format!("conntrack(8) warns: {warning}"));
    }
    let selects_all = command.flow == keepstate_conntrack::flow::Flow::default()
        && command.mark.is_none()
        && command.labels.is_none();
    if command.verb == Verb::Delete && selects_all {
        let text = "Nothing narrows it: every connection goes, as with -F.";
        answer.say(Topic::Mind, "mind.deletes-all", text);
    }
    if command.verb == Verb::Update && command.flow.family.is_none() {
        answer.say(
            Topic::Mind,
            "mind.no-family",
            "No address and no -f says which family: the kernel refuses such a change (\"Operation \
             not supported\"). Add -f ipv4 or -f ipv6.",
        );
    }
    let place = |option: &str| words.iter().position(|word| *word == option);
    if let (Some(mark), Some(status)) = (place("-m"), place("-u"))
        && mark < status
    {
        answer.say(
            Topic::Mind,
            "mind.mark-and-status",
            "conntrack(8) 1.4.7 takes the bits of -u for the mark when -u stands behind -m. Put -u \
             first.",
        );
    }
    if command.output.save {
        answer.say(
            Topic::Mind,
            "mind.save",
            "`-o save` leaves out marks, labels, helpers and counters.",
        );
    }
}
