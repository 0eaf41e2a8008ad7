//! A line of the LOG target: every field, the packet put together again, and what tracking and a
//! rule file make of it.

use crate::answer::{Answer, Outcome, Topic};
use crate::conversation::{Addresses, Content, Parties, Script, Segment, Step, Who};
use crate::experiment::{Refusal, run};
use crate::prose::{icmp, protocol, reasons};
use crate::witness::{Place, Scene};
use keepstate_engine::{
    Host,
    route::{InterfaceIndex, Network, Route},
};
use keepstate_packet::tcp::{TcpOption, TcpOptions};
use keepstate_packet::{Address, Family, InterfaceName, LinkInfo};
use std::net::IpAddr;

/// Most words of a line that are read.
const WORDS_MAX: usize = 256;

/// A line, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLine {
    /// What stands before `IN=`: time, host, the rule's prefix.
    pub head: String,
    /// Fields in order: names and values; flags have no value.
    pub fields: Vec<(String, Option<String>)>,
    /// The fields of the packet that an ICMP error quotes.
    pub quoted: Vec<(String, Option<String>)>,
}

/// Reads a line; `None` when it is none.
#[must_use]
pub fn read(line: &str) -> Option<LogLine> {
    fields(line).filter(|read| read.value("OUT").is_some())
}

/// The packet that the fields of a line tell of, in a sentence.
#[must_use]
pub fn packet_of(line: &str) -> Option<String> {
    packet_text(&fields(line)?)
}

fn fields(line: &str) -> Option<LogLine> {
    let at = line.find("IN=")?;
    let mut out = LogLine { head: line.get(..at)?.trim_end().to_string(), ..LogLine::default() };
    let mut inside = false;
    for word in line.get(at..)?.split_whitespace().take(WORDS_MAX) {
        let opens = word.starts_with('[') && word.contains("SRC=");
        inside |= opens;
        let closes = inside && word.ends_with(']');
        let bare = if inside { word.trim_matches(['[', ']']) } else { word };
        if !bare.is_empty() {
            let field = match bare.split_once('=') {
                Some((name, value)) => (name.to_string(), Some(value.to_string())),
                None => (bare.to_string(), None),
            };
            if inside { out.quoted.push(field) } else { out.fields.push(field) }
        }
        inside &= !closes;
    }
    Some(out)
}

impl LogLine {
    /// The value of a field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    fn flag(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, value)| known == name && value.is_none())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.value(name)?.parse().ok()
    }

    /// The prefix of the rule: what stands before `IN=`, without what syslog put there.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let rest = self.head.rsplit_once("kernel:").map_or(self.head.as_str(), |(_, rest)| rest);
        let rest = rest.trim_start();
        match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((time, rest))
                if time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b' ')) =>
            {
                rest.trim()
            }
            _ => rest.trim(),
        }
    }
}

fn value<'a>(fields: &'a [(String, Option<String>)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_deref())
}

/// Explains a line; with `rules`, also which rule of that file logs such a line and what becomes
/// of the packet.
#[must_use]
pub fn explain(input: &str, line: &str, rules: Option<&str>) -> Option<Answer> {
    let read = read(line)?;
    let mut answer = Answer::new(input, "log-line");
    form(&mut answer, &read);
    for (name, value) in &read.fields {
        answer.field(shown(name, value.as_deref()), field_text(name, value.as_deref(), &read));
    }
    if !read.quoted.is_empty() {
        let words: Vec<String> =
            read.quoted.iter().map(|(name, value)| shown(name, value.as_deref())).collect();
        answer.field(
            "[...]",
            format!("the packet that the ICMP error is about: {}", words.join(" ")),
        );
    }
    packet(&mut answer, &read);
    match complaint(read.prefix()) {
        Some(Complaint::Tracking(_, text)) => found_invalid(&mut answer, text),
        Some(Complaint::Helper(..)) => {}
        None => {
            tracking(&mut answer, &read, rules);
            answer.say(
                Topic::Mind,
                "mind.log-no-verdict",
                "LOG decides nothing: the packet went on to the next rule. What became of it this \
                 line does not say, unless the prefix does (\"DROP: \" is only what somebody wrote \
                 there).",
            );
        }
    }
    Some(answer)
}

/// What the kernel logs of its own accord, and whose text it is.
enum Complaint<'a> {
    /// Tracking, of a protocol.
    Tracking(u8, &'a str),
    /// A helper.
    Helper(&'a str, &'a str),
}

fn complaint(prefix: &str) -> Option<Complaint<'_>> {
    let (subject, text) = prefix.strip_prefix("nf_ct_")?.split_once(": ")?;
    // Kernels before 4.17 named the tracker and not its number.
    const NAMES: [(&str, u8); 6] =
        [("tcp", 6), ("udp", 17), ("udplite", 136), ("icmp", 1), ("icmpv6", 58), ("sctp", 132)];
    let named = NAMES.iter().find(|(name, _)| *name == subject).map(|(_, number)| *number);
    let number = subject.strip_prefix("proto_").and_then(|number| number.parse().ok()).or(named);
    match number {
        Some(protocol) => Some(Complaint::Tracking(protocol, text)),
        None => text.strip_prefix("dropping packet: ").map(|why| Complaint::Helper(subject, why)),
    }
}

/// Whether the packet that the text is about passes all the same.
fn passes(text: &str) -> bool {
    ["ignored", "more than expected", "lower timeout"].iter().any(|word| text.contains(word))
}

/// The reason that tracking's text stands for, by words that it holds.
fn reason_of(text: &str) -> Option<&'static reasons::ReasonProse> {
    const TEXTS: &[(&str, &str)] = &[
        ("SEQ is over", "seq-over"),
        ("SEQ is under", "seq-under"),
        ("ACK is over", "ack-over"),
        ("ACK is under", "ack-under"),
        ("invalid rst", "invalid-rst"),
        ("invalid RST", "invalid-rst"),
        ("flag combination", "bad-flags"),
        ("checksum", "bad-checksum"),
        ("bad CRC", "bad-checksum"),
        ("short ", "short"),
        ("truncated", "malformed"),
        ("invalid icmp type", "icmp-unknown"),
        ("invalid new", "invalid-state"),
        ("invalid, state", "invalid-state"),
        ("Invalid, old_state", "invalid-state"),
        ("verification tag", "invalid-state"),
    ];
    let (_, code) = TEXTS.iter().find(|(words, _)| text.contains(words))?;
    reasons::REASONS.iter().find(|reason| reason.code == *code)
}

/// What follows from tracking's own line.
fn found_invalid(answer: &mut Answer, text: &str) {
    if passes(text) {
        answer.say(
            Topic::Consequences,
            "log.passes",
            "The packet passes in the state of its connection, and its connection stays as it was.",
        );
        return;
    }
    if let Some(reason) = reason_of(text) {
        answer.say(
            Topic::Consequences,
            "log.reason",
            format!("The reason is {}: {}.", reason.code, reason.short),
        );
    }
    answer.say(
        Topic::Consequences,
        "log.invalid",
        "The packet is INVALID: no rule for NEW, ESTABLISHED or RELATED takes it, and NAT leaves it \
         as it is.",
    );
    answer.say(
        Topic::Mind,
        "mind.log-invalid",
        "The line is no verdict: the packet went on to the rules. It is gone only where one of them \
         drops INVALID, or nothing accepts it.",
    );
    answer.paste(
        Topic::Mind,
        "mind.log-invalid.rule",
        "Seen often for one peer, it points to segments that pass by here unseen (asymmetric \
         routing), to hardware that changes sequence numbers, or to a connection that was forgotten \
         too early. Who wants to see less of it turns the log off:",
        vec![String::from("sysctl -w net.netfilter.nf_conntrack_log_invalid=0")],
    );
}

fn shown(name: &str, value: Option<&str>) -> String {
    value.map_or_else(|| name.to_string(), |value| format!("{name}={value}"))
}

/// What tracking and its helpers say of packets: the kernel logs these of its own accord.
fn is_complaint(answer: &mut Answer, prefix: &str) -> bool {
    let (subject, why) = match complaint(prefix) {
        None => return false,
        Some(Complaint::Helper(subject, why)) => (subject, why),
        Some(Complaint::Tracking(number, text)) => {
            let protocol = protocol::name(number);
            let so = if passes(text) { "It passes all the same" } else { "That makes it INVALID" };
            answer.say(
            Topic::Form,
            "form.log-invalid",
            format!(
                "A kernel log line of connection tracking ({protocol}): as it looked at the packet \
                 it found `{text}`, before any rule but those of the raw table. {so}. The sysctl \
                 nf_conntrack_log_invalid asks for these lines."
            ),
        );
            return true;
        }
    };
    answer.say(
        Topic::Form,
        "form.log-helper",
        format!(
            "A kernel log line of the conntrack helper {subject}: it drops the packet, behind all \
             rules, and says why: `{why}`. What it announces could not be read whole, or not be \
             expected; most senders send it again."
        ),
    );
    true
}

fn form(answer: &mut Answer, read: &LogLine) {
    if is_complaint(answer, read.prefix()) {
        return;
    }
    answer.say(
        Topic::Form,
        "form.log",
        "A kernel log line of the LOG target: one packet at the moment a rule with -j LOG matched \
         it.",
    );
    answer.say(
        Topic::Form,
        "form.log-hides",
        "It does not say the chain, the rule nor the conntrack state; TCP sequence numbers and \
         options only with --log-tcp-sequence and --log-tcp-options.",
    );
    if !read.prefix().is_empty() {
        answer.say(
            Topic::Form,
            "form.log-prefix",
            format!("`{}` is the --log-prefix of the rule.", read.prefix()),
        );
    }
    let (from, to) = (read.value("IN").unwrap_or(""), read.value("OUT").unwrap_or(""));
    let hook = match (from.is_empty(), to.is_empty()) {
        (false, true) => "INPUT or PREROUTING: it came in and has no way out (yet)",
        (true, false) => "OUTPUT or POSTROUTING: this host sent it",
        (false, false) => "FORWARD (or POSTROUTING): it passes through this host",
        (true, true) => "unknown: both interfaces are empty",
    };
    answer.say(Topic::Form, "form.log-hook", format!("By its interfaces the chain was {hook}."));
}

fn field_text(name: &str, value: Option<&str>, read: &LogLine) -> String {
    let text = value.unwrap_or("");
    let fixed = match name {
        "IN" | "OUT" if read.value("IN") == Some("") && read.value("OUT") == Some("") => {
            "not told: older kernels name no interface where tracking complains"
        }
        "IN" if text.is_empty() => "no interface: it came from this host itself",
        "IN" => "interface it came in on",
        "OUT" if text.is_empty() => "no interface: it stays on this host, or is not routed yet",
        "OUT" => "interface it leaves by",
        "PHYSIN" => "bridge port it came in on",
        "PHYSOUT" => "bridge port it leaves by",
        "SRC" => "source address",
        "DST" => "destination address",
        "TOS" => "type of service, the ECN and precedence bits taken out",
        "PREC" => "precedence bits of the type of service",
        "TC" => "traffic class",
        "HOPLIMIT" => "hop limit left",
        "FLOWLBL" => "flow label",
        "CE" => "the reserved flag of the IP header is set",
        "DF" => "don't fragment: a router that cannot pass it on whole has to say so",
        "MF" => "more fragments follow",
        "SPT" => "source port",
        "DPT" => "destination port",
        "ACK" if value.is_some() => "acknowledgment number",
        "WINDOW" => "receive window announced, before scaling",
        "RES" => "reserved bits with ECN's CWR and ECE",
        "URGP" => "urgent pointer",
        "SYN" => "begins a connection",
        "ACK" => "acknowledges: not the first packet of a connection",
        "FIN" => "its sender has nothing more to send",
        "RST" => "breaks the connection off",
        "PSH" => "to be handed to the program at once",
        "URG" => "the urgent pointer counts",
        "CWR" | "ECE" => "congestion notification",
        "OPT" => "TCP options, as they stand in the header:",
        "UID" => "user whose program sent it",
        "GID" => "group whose program sent it",
        "MARK" => "the packet's mark",
        "GATEWAY" => "the router that the redirect names",
        "MTU" => "the largest packet that the next hop takes",
        "INCOMPLETE" => "cut short here",
        _ => "",
    };
    if !fixed.is_empty() {
        return fixed.to_string();
    }
    match name {
        "MAC" => mac_text(text),
        "LEN" => String::from(
            "length in bytes (of the IP packet; behind SPT and DPT of UDP: of the datagram)",
        ),
        "TTL" => ttl_text(text),
        "ID" => String::from("identification (of the IP packet; behind TYPE: of the echo request)"),
        "FRAG" => String::from("fragment offset, in units of 8 bytes"),
        "SEQ" => String::from("sequence number"),
        "PROTO" => match text.parse() {
            Ok(number) => protocol::name(number),
            Err(_) => String::from("protocol"),
        },
        "TYPE" | "CODE" => {
            let v4 = read.value("SRC").is_some_and(|src| !src.contains(':'));
            let kind = read.number("TYPE").unwrap_or(0);
            let code = read.number("CODE").unwrap_or(0);
            format!("ICMP: {}", icmp::name(v4, kind, code))
        }
        _ => options(name)
            .unwrap_or_else(|| String::from("not a field of the LOG target known here")),
    }
}

/// TCP options in words, from `(020405B4...)`.
fn options(text: &str) -> Option<String> {
    let digits = text.strip_prefix('(')?.strip_suffix(')')?;
    let bytes: Option<Vec<u8>> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect();
    let words: Vec<String> = TcpOptions::new(&bytes?)
        .map(|option| match option {
            TcpOption::MaximumSegmentSize(size) => format!("maximum segment size {size}"),
            TcpOption::WindowScale(scale) => format!("window scale {scale}"),
            TcpOption::SackPermitted => String::from("SACK permitted"),
            TcpOption::Sack(_) => String::from("SACK"),
            TcpOption::Timestamps { value, echo } => format!("timestamp {value}, echo of {echo}"),
            TcpOption::Other { kind, .. } => format!("option {kind}"),
        })
        .collect();
    Some(words.join("; "))
}

/// Destination, source, type of the Ethernet frame.
fn mac_text(text: &str) -> String {
    let octets: Vec<&str> = text.split(':').collect();
    match (octets.get(..6), octets.get(6..12), octets.get(12..14)) {
        (Some(to), Some(from), Some(kind)) => format!(
            "the Ethernet header: to {}, from {}, type 0x{}",
            to.join(":"),
            from.join(":"),
            kind.concat()
        ),
        _ if text.is_empty() => String::from("no link-layer header"),
        _ => String::from("the link-layer header"),
    }
}

/// How far away the sender is, by the initial values that systems use.
fn ttl_text(text: &str) -> String {
    let Ok(left) = text.parse::<u8>() else { return String::from("hops left") };
    let begun = [64, 128, 255].into_iter().find(|begun| left <= *begun).unwrap_or(255);
    format!("hops left; a sender that began with {begun} is {} hops away", begun - left)
}

/// The packet in a sentence.
fn packet(answer: &mut Answer, read: &LogLine) {
    if let Some(text) = packet_text(read) {
        answer.say(Topic::Consequences, "log.packet", text);
    }
}

fn packet_text(read: &LogLine) -> Option<String> {
    let (source, destination) = (read.value("SRC")?, read.value("DST")?);
    let end = |address: &str, port: Option<&str>| match port {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.to_string(),
    };
    let flags: Vec<&str> = ["SYN", "FIN", "RST", "PSH", "URG", "ACK"]
        .into_iter()
        .filter(|flag| read.flag(flag))
        .collect();
    let flags = if flags.is_empty() { String::from("no flags") } else { flags.join("-") };
    let protocol = read.value("PROTO").unwrap_or("");
    let protocol = if protocol.is_empty() && read.flag("SYN") { "TCP" } else { protocol };
    let what = match protocol {
        "TCP" | "6" => format!("A TCP segment ({flags})"),
        "UDP" | "17" => String::from("A UDP datagram"),
        protocol if protocol.contains("ICMP") || protocol == "1" || protocol == "58" => {
            let kind = read.number("TYPE").unwrap_or(0);
            format!(
                "An ICMP {}",
                icmp::name(!source.contains(':'), kind, read.number("CODE").unwrap_or(0))
            )
        }
        "" => String::from("A packet"),
        other => format!("A {other} packet"),
    };
    // xtables-monitor has other names for the ports.
    let port = |name, other| read.value(name).or_else(|| read.value(other));
    Some(format!(
        "{what} from {} to {}.",
        end(source, port("SPT", "SPORT")),
        end(destination, port("DPT", "DPORT"))
    ))
}

/// The packet and a scene around it; `None` when the line lacks addresses.
fn scene(read: &LogLine) -> Option<(Scene, Script)> {
    let source: IpAddr = read.value("SRC")?.parse().ok()?;
    let destination: IpAddr = read.value("DST")?.parse().ok()?;
    if source.is_ipv4() != destination.is_ipv4() {
        return None;
    }
    let family = if source.is_ipv4() { Family::V4 } else { Family::V6 };
    let (from, to) = (read.value("IN").unwrap_or(""), read.value("OUT").unwrap_or(""));
    let place = match (from.is_empty(), to.is_empty()) {
        (false, false) => Place::Between,
        (true, false) => Place::On(Who::Client),
        _ => Place::On(Who::Server),
    };
    let near = InterfaceName::new(if from.is_empty() { to } else { from })?;
    let full = |address: IpAddr| Network {
        family,
        address: Address::from(address),
        prefix: if address.is_ipv4() { 32 } else { 128 },
    };
    let host = match place {
        Place::Between => {
            let mut host = Host::router(near, InterfaceName::new(to)?).undeclared();
            let route = |address, index| Route::new(full(address), InterfaceIndex(index));
            host.routes.extend([route(source, 0), route(destination, 1)]);
            host
        }
        Place::On(Who::Client) => Host::endpoint(near, vec![full(source)]),
        Place::On(_) => Host::endpoint(near, vec![full(destination)]),
    };
    let addresses = Addresses { client: source, server: destination, router: source };
    let scene = Scene {
        place,
        family,
        addresses,
        host,
        interfaces: (near.as_str().to_string(), to.to_string()),
        sender: Who::Client,
        router_beside: Who::Server,
        parties: Parties {
            client_port: 0,
            server_port: 0,
            data_port: 0,
            server: destination,
            client: source,
            icmp: None,
            flags: None,
            protocol: 0,
        },
        mark: 0,
        link: LinkInfo::default(),
        called: None,
        hidden: None,
        is_together: false,
        sets: String::new(),
    };
    let step = Step::new(Who::Client, Who::Server, String::new(), content(read)?);
    Some((scene, Script { steps: vec![step] }))
}

/// What the packet carried, as far as the line says.
fn content(read: &LogLine) -> Option<Content> {
    let flags = [("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32)];
    Some(match read.value("PROTO")? {
        "TCP" | "6" => Content::Tcp(Segment {
            source_port: read.number("SPT")?,
            destination_port: read.number("DPT")?,
            sequence: read.number("SEQ").unwrap_or(1000),
            acknowledgment: read.number("ACK").unwrap_or(0),
            flags: flags.iter().filter(|(name, _)| read.flag(name)).map(|(_, bit)| *bit).sum(),
            data: Vec::new(),
        }),
        "UDP" | "17" => Content::Udp {
            source_port: read.number("SPT")?,
            destination_port: read.number("DPT")?,
            data: vec![0; 16],
        },
        "ICMP" | "ICMPv6" | "1" | "58" if read.quoted.is_empty() => Content::Icmp {
            kind: read.number("TYPE")?,
            code: read.number("CODE")?,
            rest: u32::from(last_number(read, "ID")) << 16 | 1,
            data: vec![0; 32],
        },
        _ => return None,
    })
}

fn last_number(read: &LogLine, name: &str) -> u16 {
    let found = read.fields.iter().rev().find(|(known, _)| known == name);
    found.and_then(|(_, value)| value.as_deref()?.parse().ok()).unwrap_or(0)
}

/// Runs the packet through an engine that knows of no connection.
fn tracking(answer: &mut Answer, read: &LogLine, rules: Option<&str>) {
    if !read.quoted.is_empty() {
        answer.say(
            Topic::Consequences,
            "log.quoted",
            "An ICMP error takes its state from the packet that it quotes (in brackets): RELATED \
             when that belongs to a connection that tracking knows, INVALID otherwise.",
        );
    }
    let Some((scene, script)) = scene(read) else { return };
    let empty = "*filter\nCOMMIT\n";
    if let Ok(outcomes) = run(empty, scene.family, None, &script, &scene)
        && let Some(outcome) = outcomes.first()
    {
        answer.say(Topic::Consequences, "log.state", state_text(outcome, read));
        answer.assume(
            "packet",
            "The packet was put together from the line: payload and options are not known.",
        );
    }
    let Some(rules) = rules else { return };
    who_logs(answer, read, rules);
    match run(rules, scene.family, None, &script, &scene) {
        Ok(outcomes) => {
            if let Some(outcome) = outcomes.first() {
                answer.say(
                    Topic::Consequences,
                    "log.rules",
                    format!(
                        "Run through the rules given, as the first packet of all: {} at {}, decided \
                         by {}.",
                        outcome.verdict.unwrap_or("?"),
                        outcome.hook.unwrap_or("no hook"),
                        outcome.decided_by.as_deref().unwrap_or("no rule")
                    ),
                );
                for line in &outcome.log {
                    answer.say(
                        Topic::Consequences,
                        "log.again",
                        format!("On its way these rules log: {line}"),
                    );
                }
            }
        }
        Err(Refusal::Fault(fault)) => {
            answer.say(
                Topic::Fault,
                "fault.rules",
                format!("The rules cannot be loaded: {fault}."),
            );
        }
        Err(Refusal::Unknown(unknown)) => {
            answer.say(
                Topic::Consequences,
                "log.unknown",
                format!("What these rules do with it hangs on what no packet tells: {unknown}."),
            );
        }
    }
}

fn state_text(outcome: &Outcome, read: &LogLine) -> String {
    let state = outcome.state.unwrap_or("without a state");
    let reason = outcome.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let begins = read.flag("SYN") && !read.flag("ACK");
    let or = if begins || !matches!(read.value("PROTO"), Some("TCP" | "UDP")) {
        ""
    } else {
        "; if it belongs to a connection that tracking knows and that was answered, ESTABLISHED"
    };
    format!(
        "The engine, knowing of no connection, finds it {state}{reason}{or}. (The line itself does \
         not say.)"
    )
}

/// The rules that write lines with this prefix.
fn who_logs(answer: &mut Answer, read: &LogLine, rules: &str) {
    let prefix = read.prefix();
    let writes = |line: &&str| {
        line.contains("-j LOG")
            && (prefix.is_empty() != line.contains("--log-prefix"))
            && (prefix.is_empty() || line.contains(prefix.trim_end()))
    };
    for (index, line) in rules.lines().enumerate().filter(|(_, line)| writes(line)).take(4) {
        answer.say(
            Topic::Consequences,
            "log.rule",
            format!("Line {} of the rules writes such lines: {}", index + 1, line.trim()),
        );
    }
}
