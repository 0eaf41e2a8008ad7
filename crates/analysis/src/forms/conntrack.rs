//! A connection as `conntrack -L`, `-o extended`, `conntrack -E` and `/proc/net/nf_conntrack`
//! print it.

use crate::answer::{Answer, Fact, Topic};
use crate::prose::{self, helpers, icmp, protocol, sctp, tcp};
use keepstate_conntrack::{Sysctls, Timeout};
use std::net::IpAddr;

/// Most words of a line that are read.
const WORDS_MAX: usize = 128;

/// A connection line, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLine {
    /// `[NEW]`, `[UPDATE]`, `[DESTROY]`.
    pub event: Option<String>,
    /// `[1795414544.362072]`.
    pub time: Option<String>,
    /// `ipv4 2`, with `-o extended` and in `/proc`.
    pub l3: Option<String>,
    /// `tcp`.
    pub protocol: String,
    /// `6`.
    pub number: u8,
    /// Seconds left; none in a DESTROY event.
    pub timeout: Option<u64>,
    /// State of the protocol.
    pub state: Option<String>,
    /// Tuples of both directions, as they stand: keys and values.
    pub tuples: Vec<Vec<(String, String)>>,
    /// `UNREPLIED`, `ASSURED`, `OFFLOAD`, ...
    pub flags: Vec<String>,
    /// What follows the tuples: `mark`, `use`, `id`, `helper`, ...
    pub fields: Vec<(String, String)>,
}

const TUPLE_KEYS: &[&str] =
    &["src", "dst", "sport", "dport", "type", "code", "srckey", "dstkey", "packets", "bytes"];

/// Reads a line; `None` when it is none.
#[must_use]
pub fn read(line: &str) -> Option<ConnectionLine> {
    let mut out = ConnectionLine::default();
    let mut plain: Vec<&str> = Vec::new();
    for word in line.split_whitespace().take(WORDS_MAX) {
        if let Some(flag) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
            match flag {
                "NEW" | "UPDATE" | "DESTROY" => out.event = Some(flag.to_string()),
                _ if flag.starts_with(|c: char| c.is_ascii_digit()) => {
                    out.time = Some(flag.to_string());
                }
                _ => out.flags.push(flag.to_string()),
            }
        } else if let Some((key, value)) = word.split_once('=') {
            out.pair(key, value);
        } else if out.tuples.is_empty() {
            plain.push(word);
        }
    }
    out.head(&plain)?;
    let complete = out.tuples.first().is_some_and(|t| value(t, "dst").is_some());
    (complete && out.tuples.len() <= 2).then_some(out)
}

impl ConnectionLine {
    fn pair(&mut self, key: &str, value_text: &str) {
        let pair = (key.to_string(), value_text.to_string());
        if key == "src" {
            self.tuples.push(vec![pair]);
            return;
        }
        let of_icmp = |tuple: &Vec<(String, String)>| {
            key == "id" && value(tuple, "type").is_some() && value(tuple, "id").is_none()
        };
        match self.tuples.last_mut() {
            Some(tuple)
                if (TUPLE_KEYS.contains(&key) && value(tuple, key).is_none()) || of_icmp(tuple) =>
            {
                tuple.push(pair);
            }
            _ => self.fields.push(pair),
        }
    }

    /// `[ipv4 2] tcp 6 [431998] [ESTABLISHED]`.
    fn head(&mut self, words: &[&str]) -> Option<()> {
        let mut rest = words.iter();
        let mut word = *rest.next()?;
        if matches!(word, "ipv4" | "ipv6") {
            self.l3 = Some(format!("{word} {}", rest.next()?));
            word = rest.next()?;
        }
        self.protocol = word.to_string();
        self.number = rest.next()?.parse().ok()?;
        for word in rest {
            match word.parse() {
                Ok(seconds) if self.timeout.is_none() => self.timeout = Some(seconds),
                _ => self.state = Some((*word).to_string()),
            }
        }
        Some(())
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    fn is_offloaded(&self) -> bool {
        self.has("OFFLOAD") || self.has("HW_OFFLOAD")
    }
}

fn value<'a>(tuple: &'a [(String, String)], key: &str) -> Option<&'a str> {
    tuple.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// Explains a line.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let read = read(line)?;
    let mut answer =
        Answer::new(input, if read.event.is_some() { "conntrack-event" } else { "conntrack-line" });
    form(&mut answer, &read);
    fields(&mut answer, &read);
    direction(&mut answer, &read);
    translation(&mut answer, &read);
    end_of_life(&mut answer, &read);
    conversation(&mut answer, &read);
    cautions(&mut answer, &read);
    Some(answer)
}

fn form(answer: &mut Answer, read: &ConnectionLine) {
    let text = match read.event.as_deref() {
        Some("NEW") => {
            "An event of `conntrack -E`: a connection was put into the table. Its first packet has \
             survived every hook."
        }
        Some("UPDATE") => {
            "An event of `conntrack -E`: something about a connection changed (its state, its \
             status, its mark or helper)."
        }
        Some("DESTROY") => {
            "An event of `conntrack -E`: a connection left the table, timed out or deleted. From \
             now on its packets are NEW again, or INVALID."
        }
        _ if read.l3.is_some() => {
            "One connection, as `conntrack -L -o extended` and /proc/net/nf_conntrack print it."
        }
        _ => "One connection, as `conntrack -L` prints it.",
    };
    answer.say(Topic::Form, "form.connection", text);
    answer.say(
        Topic::Form,
        "form.connection-hides",
        "It does not say on which interfaces the packets travel, which rule accepted them, nor (for \
         TCP) the windows that decide about INVALID.",
    );
}

fn fields(answer: &mut Answer, read: &ConnectionLine) {
    if let Some(time) = &read.time {
        answer.field(format!("[{time}]"), "when it happened, seconds since 1970");
    }
    if let Some(event) = &read.event {
        answer.field(format!("[{event}]"), "the kind of event");
    }
    if let Some(l3) = &read.l3 {
        answer.field(l3.clone(), "the network layer and its number (AF_INET is 2, AF_INET6 is 10)");
    }
    let number = read.number;
    let name = protocol::name(number);
    answer.field(
        format!("{} {number}", read.protocol),
        format!("the protocol, {name}, and its number"),
    );
    if let Some(seconds) = read.timeout {
        let text = format!(
            "left until it is forgotten, unless a packet comes: {}",
            prose::seconds(seconds)
        );
        answer.field(seconds.to_string(), text);
    }
    if let Some(state) = &read.state {
        let known = if number == 132 { sctp::state(state) } else { tcp::state(state) };
        let text = known.unwrap_or("the tracker's own state");
        answer.field(state.clone(), format!("in the tracker's sense: {text}"));
    }
    let names =
        ["original direction, as the first packet went", "reply direction, as answers come"];
    for (tuple, which) in read.tuples.iter().zip(names) {
        let ends: Vec<String> = tuple
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "packets" | "bytes"))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        answer.field(ends.join(" "), format!("{which}{}", counters(tuple)));
    }
    for flag in &read.flags {
        answer.field(format!("[{flag}]"), flag_text(flag));
    }
    for (key, value) in &read.fields {
        answer.field(format!("{key}={value}"), field_text(key, value));
    }
}

fn counters(tuple: &[(String, String)]) -> String {
    let mut out = String::new();
    if let (Some(packets), Some(bytes)) = (value(tuple, "packets"), value(tuple, "bytes")) {
        out.push_str(&format!("; {packets} packets, {bytes} bytes"));
    }
    if let (Some(kind), Some(code)) = (value(tuple, "type"), value(tuple, "code")) {
        let v4 = value(tuple, "src").is_some_and(|src| !src.contains(':'));
        if let (Ok(kind), Ok(code)) = (kind.parse(), code.parse()) {
            out.push_str(&format!("; ICMP {}", icmp::name(v4, kind, code)));
        }
    }
    out
}

fn flag_text(flag: &str) -> &'static str {
    match flag {
        "UNREPLIED" => "no packet has come back yet",
        "ASSURED" => {
            "established beyond doubt: not thrown out early when the table fills up; without it the \
             entry is the first to go"
        }
        "OFFLOAD" => "forwarded by a flowtable, past the rules",
        "HW_OFFLOAD" => "forwarded by hardware, past the rules",
        _ => "a status flag",
    }
}

fn field_text(key: &str, value: &str) -> String {
    match key {
        "mark" => match value {
            "0" => String::from("the connection's mark: none"),
            _ => String::from("the connection's mark, set by CONNMARK; `-m connmark` matches it"),
        },
        "use" => String::from("references that the kernel holds to the entry"),
        "id" => String::from("the entry's number, for `conntrack -D --id`"),
        "zone" if value == "0" => String::from("its zone: 0, where everything is without a rule"),
        "zone" => String::from("its zone: equal tuples in two zones are two connections"),
        "zone-orig" => String::from(
            "its zone in the original direction (`-j CT --zone-orig`); the reply direction is in zone 0",
        ),
        "zone-reply" => String::from(
            "its zone in the reply direction (`-j CT --zone-reply`); the original one is in zone 0",
        ),
        "secctx" => String::from(
            "its security context, saved by CONNSECMARK or that of the connection that expected it",
        ),
        "delta-time" => {
            format!(
                "age (nf_conntrack_timestamp was on): {}",
                value.parse().map_or_else(|_| value.into(), prose::seconds)
            )
        }
        "helper" => match helpers::named(value) {
            Some(helper) => format!(
                "the helper that reads it; it expects {} over {}",
                helper.what,
                prose::list(helper.expects).to_uppercase()
            ),
            None => String::from("the helper that reads it"),
        },
        "labels" => String::from(
            "labels of 128 possible, set by `-m connlabel --label ... --set`; it had room for them as \
             a rule with connlabel was loaded when it was made",
        ),
        "stream_timeout" | "timeout" => String::from("the timeout that a GRE stream is given"),
        "portid" => String::from("the netlink port of the program that caused the event"),
        _ => String::from("a field of the tracker"),
    }
}

/// `192.0.2.1:80 > 192.0.2.2:5000`.
fn ends(tuple: &[(String, String)]) -> String {
    let end = |address: &str, port: &str| {
        let address = value(tuple, address).unwrap_or("?");
        match value(tuple, port) {
            Some(port) if address.contains(':') => format!("[{address}]:{port}"),
            Some(port) => format!("{address}:{port}"),
            None => address.to_string(),
        }
    };
    format!("{} > {}", end("src", "sport"), end("dst", "dport"))
}

/// Which packets have which state now.
fn direction(answer: &mut Answer, read: &ConnectionLine) {
    let (Some(original), Some(reply)) = (read.tuples.first(), read.tuples.get(1)) else {
        return;
    };
    if read.event.as_deref() == Some("DESTROY") {
        return;
    }
    let (forth, back) = (ends(original), ends(reply));
    zone(answer, read, &forth, &back);
    if read.has("UNREPLIED") {
        answer.say(
            Topic::Consequences,
            "states.unreplied",
            format!(
                "Packets {forth} are still NEW, all of them, until something comes back. The first \
                 packet {back} will be ESTABLISHED, and so is everything after it in both \
                 directions."
            ),
        );
    } else {
        answer.say(
            Topic::Consequences,
            "states.replied",
            format!("Packets {forth} and {back} are ESTABLISHED."),
        );
    }
    if read.number == 6 {
        answer.say(
            Topic::Consequences,
            "states.window",
            "For TCP, as long as they fit the window and the state; those that do not are INVALID.",
        );
    }
    if read.number == 132 {
        answer.say(
            Topic::Consequences,
            "states.tag",
            "For SCTP, as long as they carry the verification tag that the two ends agreed upon; \
             those that do not are INVALID.",
        );
    }
    answer.say(
        Topic::Consequences,
        "states.related",
        "ICMP errors that quote one of its packets are RELATED.",
    );
    if let Some((_, helper)) = read.fields.iter().find(|(key, _)| key == "helper") {
        answer.say(
            Topic::Consequences,
            "states.helper",
            format!("Connections that the helper {helper} reads out of it begin as RELATED."),
        );
    }
}

/// NAT shows where the reply is not the inverse of the original.
fn translation(answer: &mut Answer, read: &ConnectionLine) {
    let (Some(original), Some(reply)) = (read.tuples.first(), read.tuples.get(1)) else {
        return;
    };
    let end = |tuple: &[(String, String)], address: &str, port: &str| {
        let port = value(tuple, port).map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", value(tuple, address).unwrap_or("?"))
    };
    let (source, seen_as) = (end(original, "src", "sport"), end(reply, "dst", "dport"));
    let (destination, meant) = (end(original, "dst", "dport"), end(reply, "src", "sport"));
    if source != seen_as {
        answer.say(
            Topic::Consequences,
            "nat.source",
            format!(
                "Its source is translated (SNAT, MASQUERADE): {source} goes out as {seen_as}, and \
                 answers to {seen_as} are turned back into answers to {source}."
            ),
        );
    }
    if destination != meant {
        answer.say(
            Topic::Consequences,
            "nat.destination",
            format!(
                "Its destination is translated (DNAT, REDIRECT): what is sent to {destination} goes \
                 to {meant}, and its answers come back under the name of {destination}."
            ),
        );
    }
    if source == seen_as && destination == meant {
        answer.say(
            Topic::Consequences,
            "nat.none",
            "The reply is the exact inverse of the original: no address or port is translated.",
        );
    }
}

fn state_timeout(read: &ConnectionLine) -> Option<(&'static str, Timeout)> {
    let timeouts = Sysctls::default().timeouts;
    Some(match (read.number, read.state.as_deref()) {
        (6, Some("SYN_SENT" | "SYN_SENT2")) => ("tcp_timeout_syn_sent", timeouts.tcp_syn_sent),
        (6, Some("SYN_RECV")) => ("tcp_timeout_syn_recv", timeouts.tcp_syn_recv),
        (6, Some("ESTABLISHED")) => ("tcp_timeout_established", timeouts.tcp_established),
        (6, Some("FIN_WAIT")) => ("tcp_timeout_fin_wait", timeouts.tcp_fin_wait),
        (6, Some("CLOSE_WAIT")) => ("tcp_timeout_close_wait", timeouts.tcp_close_wait),
        (6, Some("LAST_ACK")) => ("tcp_timeout_last_ack", timeouts.tcp_last_ack),
        (6, Some("TIME_WAIT")) => ("tcp_timeout_time_wait", timeouts.tcp_time_wait),
        (6, Some("CLOSE")) => ("tcp_timeout_close", timeouts.tcp_close),
        (132, Some("CLOSED")) => ("sctp_timeout_closed", timeouts.sctp_closed),
        (132, Some("COOKIE_WAIT")) => ("sctp_timeout_cookie_wait", timeouts.sctp_cookie_wait),
        (132, Some("COOKIE_ECHOED")) => ("sctp_timeout_cookie_echoed", timeouts.sctp_cookie_echoed),
        (132, Some("ESTABLISHED")) => ("sctp_timeout_established", timeouts.sctp_established),
        (132, Some("SHUTDOWN_SENT")) => ("sctp_timeout_shutdown_sent", timeouts.sctp_shutdown_sent),
        (132, Some("SHUTDOWN_RECD")) => ("sctp_timeout_shutdown_recd", timeouts.sctp_shutdown_recd),
        (132, Some("SHUTDOWN_ACK_SENT")) => {
            ("sctp_timeout_shutdown_ack_sent", timeouts.sctp_shutdown_ack_sent)
        }
        (132, Some("HEARTBEAT_SENT")) => {
            ("sctp_timeout_heartbeat_sent", timeouts.sctp_heartbeat_sent)
        }
        (132, _) => return None,
        (17 | 136, _) if read.has("ASSURED") => ("udp_timeout_stream", timeouts.udp_stream),
        (17 | 136, _) => ("udp_timeout", timeouts.udp),
        (47, _) if read.has("ASSURED") => ("gre_timeout_stream", timeouts.gre_stream),
        (47, _) => ("gre_timeout", timeouts.gre),
        (1, _) => ("icmp_timeout", timeouts.icmp),
        (58, _) => ("icmpv6_timeout", timeouts.icmpv6),
        (6, _) => return None,
        _ => ("generic_timeout", timeouts.generic),
    })
}

fn end_of_life(answer: &mut Answer, read: &ConnectionLine) {
    let Some(left) = read.timeout else { return };
    if read.is_offloaded() {
        let text = "Its packets pass by without being tracked: they set no time, which is kept from running \
                    out as long as the flowtable has them, and no rule sees them. A FIN, a reset, or a while of \
                    silence gives it back to tracking.";
        answer.say(Topic::Consequences, "timeout", text);
        return;
    }
    let mut text = format!("If nothing more is seen, it goes in {}.", prose::seconds(left));
    if let Some((name, full)) = state_timeout(read) {
        let full = full.as_duration().as_secs();
        text.push_str(&format!(
            " A packet in this state sets the time to {} (nf_conntrack_{name}, by default)",
            prose::seconds(full)
        ));
        if left <= full {
            let ago = match full - left {
                0 => String::from("less than a second ago"),
                ago => format!("about {} ago", prose::seconds(ago)),
            };
            text.push_str(&format!("; the last one came {ago}."));
        } else {
            text.push_str("; more is left here than that, so the sysctl was raised or it was just in another state.");
        }
        answer.assume(
            "timeouts",
            "Default timeouts, and no timeout policy (`-j CT --timeout`); `sysctl -a | grep \
             nf_conntrack` and `nfct list timeout` show yours.",
        );
    }
    answer.say(Topic::Consequences, "timeout", text);
    let early = if read.has("ASSURED") {
        "[ASSURED]: a full table does not throw it out."
    } else {
        "Not [ASSURED]: when the table is full it may be thrown out before its time (early drop)."
    };
    answer.say(Topic::Consequences, "early-drop", early);
}

/// A conversation that leaves such a line behind, run between the same peers.
fn conversation(answer: &mut Answer, read: &ConnectionLine) {
    if answer.fact("nat.none").is_none() {
        return; // The engine translates nothing.
    }
    let shown = peers(read).and_then(|(client, server, ports)| {
        let code = match read.number {
            6 => "tcp-server",
            17 => "udp-server",
            1 | 58 => "ping-server",
            _ => return None,
        };
        crate::experiment::conversation(code, client, server, ports)
    });
    if let Some(shown) = shown {
        answer.add(Topic::Consequences, Fact::Experiment(Box::new(shown)));
    }
}

/// Addresses and ports of the original direction.
fn peers(read: &ConnectionLine) -> Option<(IpAddr, IpAddr, (u16, u16))> {
    let tuple = read.tuples.first()?;
    let client: IpAddr = value(tuple, "src")?.parse().ok()?;
    let server: IpAddr = value(tuple, "dst")?.parse().ok()?;
    let number = |key| value(tuple, key).and_then(|text| text.parse().ok());
    let ports = match (number("sport"), number("dport"), number("id")) {
        (Some(sport), Some(dport), _) => (sport, dport),
        (_, _, Some(id)) => (id, 0),
        _ => return None,
    };
    (client.is_ipv4() == server.is_ipv4()).then_some((client, server, ports))
}

fn cautions(answer: &mut Answer, read: &ConnectionLine) {
    let state = read.state.as_deref();
    // In a stream of events the answer may be on the next line.
    let listed = read.event.is_none();
    if listed && read.number == 6 && read.has("UNREPLIED") && state == Some("SYN_SENT") {
        answer.say(
            Topic::Mind,
            "mind.half-open",
            "A SYN without an answer: the server is silent, its answer is dropped before it gets \
             here, or it takes another path than the SYN did. Listening on the far side tells which.",
        );
    }
    if read.number == 6 && state == Some("ESTABLISHED") && read.has("UNREPLIED") {
        answer.say(
            Topic::Mind,
            "mind.one-way",
            "ESTABLISHED and [UNREPLIED] together: it was picked up in mid-stream and only one \
             direction passes here. That is asymmetric routing, or the other side is gone.",
        );
    }
    if read.number == 6
        && state == Some("ESTABLISHED")
        && !read.has("UNREPLIED")
        && !read.has("ASSURED")
        && !read.is_offloaded()
    {
        answer.say(
            Topic::Mind,
            "mind.not-assured",
            "ESTABLISHED and answered but not [ASSURED]: the final ACK of the handshake was not \
             seen to be followed, or only one direction advances.",
        );
    }
    let state = read.state.as_deref().unwrap_or("The state");
    if read.number == 6 {
        let text = format!(
            "{state} in this line is the TCP tracker's state; ESTABLISHED of --ctstate is about \
             packets and holds from the first answer on, in every TCP state."
        );
        answer.say(Topic::Mind, "mind.two-words", text);
    }
    if read.number == 132 {
        answer.say(
            Topic::Mind,
            "mind.two-words",
            format!("{state} in this line is the association's state; ESTABLISHED of --ctstate is about \
             packets and holds from the first answer on. An association is not picked up in the \
             middle: after `conntrack -D` or a restart of the filter its DATA is INVALID, until a \
             HEARTBEAT or a new handshake passes."),
        );
    }
    if read.event.as_deref() != Some("DESTROY") {
        answer.paste(
            Topic::Mind,
            "mind.delete",
            if read.protocol == "tcp" {
                "To forget this one connection, so that rules decide about it afresh (TCP is picked \
                 up again in mid-stream while nf_conntrack_tcp_loose=1 and a rule accepts NEW):"
            } else {
                "To forget this one connection, so that rules decide about it afresh:"
            },
            vec![delete_command(read)],
        );
    }
}

/// Whose packets are not its own although addresses and ports are.
fn zone(answer: &mut Answer, read: &ConnectionLine, forth: &str, back: &str) {
    let in_tuples = read.tuples.iter().flatten();
    let named = |wanted: &[&str]| {
        let mut all = read.fields.iter().chain(in_tuples.clone());
        all.find(|(key, _)| wanted.contains(&key.as_str()))
    };
    let Some((key, id)) = named(&["zone", "zone-orig", "zone-reply"]) else { return };
    if id == "0" {
        return;
    }
    let text = match key.as_str() {
        "zone" => format!(
            "Only packets that a rule of the raw table puts into zone {id} (`-j CT --zone {id}`), in \
             both directions, belong to it: any others between these ends are another connection."
        ),
        "zone-orig" => format!(
            "Packets {forth} belong to it only when a rule of the raw table puts them into zone {id} \
             (`-j CT --zone-orig {id}`); packets {back} are found in zone 0, by whatever interface \
             they come."
        ),
        _ => format!(
            "Packets {back} belong to it only when a rule of the raw table puts them into zone {id} \
             (`-j CT --zone-reply {id}`); packets {forth} are found in zone 0."
        ),
    };
    answer.say(Topic::Consequences, "states.zone", text);
}

fn delete_command(read: &ConnectionLine) -> String {
    let empty = Vec::new();
    let tuple = read.tuples.first().unwrap_or(&empty);
    // conntrack(8) prints `unknown` for a protocol that it has no name for, and takes its number.
    let mut out = match read.protocol.as_str() {
        "unknown" => format!("conntrack -D -p {}", read.number),
        name => format!("conntrack -D -p {name}"),
    };
    let ends = [("-s", "src"), ("-d", "dst"), ("--sport", "sport"), ("--dport", "dport")];
    let icmp = [("--icmp-type", "type"), ("--icmp-code", "code"), ("--icmp-id", "id")];
    let icmp6 = [("--icmpv6-type", "type"), ("--icmpv6-code", "code"), ("--icmpv6-id", "id")];
    let keys = [("--srckey", "srckey"), ("--dstkey", "dstkey")];
    let more: &[(&str, &str)] = match read.number {
        1 => &icmp,
        58 => &icmp6,
        47 => &keys,
        _ => &[],
    };
    for (option, key) in ends.iter().chain(more) {
        if let Some(value) = value(tuple, key) {
            out.push_str(&format!(" {option} {value}"));
        }
    }
    let fields = || read.fields.iter().chain(read.tuples.iter().flatten());
    for (key, option) in
        [("zone", "-w"), ("zone-orig", "--orig-zone"), ("zone-reply", "--reply-zone")]
    {
        if let Some((_, id)) = fields().find(|(known, id)| known == key && id != "0") {
            out.push_str(&format!(" {option} {id}"));
        }
    }
    out
}
