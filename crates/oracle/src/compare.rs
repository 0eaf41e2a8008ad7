//! Two observations, or two tables, side by side.

use crate::observation::{EventView, Fate, Observation, Sent};
use keepstate_conntrack::event::{EventKind, Snapshot};
use keepstate_conntrack::{CtStatus, Direction, Tuple, Zone};
use keepstate_packet::{Address, Family, ipv6};
use std::fmt::Debug;

/// How far the two views of a timeout may lie apart, seconds: each rounds in its own way.
pub const TIMEOUT_SLACK: u64 = 1;

/// One thing that the two views do not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What: `fate`, `state`, `bytes`, `event`, `table`, ...
    pub what: &'static str,
    /// The kernel's view.
    pub kernel: String,
    /// The engine's view.
    pub ours: String,
}

impl Difference {
    pub(crate) fn new(what: &'static str, kernel: &impl Debug, ours: &impl Debug) -> Self {
        Self { what, kernel: format!("{kernel:?}"), ours: format!("{ours:?}") }
    }
}

/// What the two observations of one packet do not share.
#[must_use]
pub fn observations(kernel: &Observation, ours: &Observation) -> Vec<Difference> {
    let mut found = Vec::new();
    let is_hidden = discarded_piece(kernel, ours) || dropped_behind_input(kernel, ours);
    if kernel.fate != ours.fate && !is_hidden {
        found.push(Difference::new("fate", &kernel.fate, &ours.fate));
    }
    if kernel.state != ours.state {
        found.push(Difference::new("state", &kernel.state, &ours.state));
    }
    if kernel.direction != ours.direction {
        found.push(Difference::new("direction", &kernel.direction, &ours.direction));
    }
    sent("bytes", &kernel.out, &ours.out, false, &mut found);
    sent("generated", &kernel.generated, &ours.generated, true, &mut found);
    events(&kernel.events, &ours.events, &mut found);
    if kernel.complaints != ours.complaints {
        found.push(Difference::new("log", &kernel.complaints, &ours.complaints));
    }
    if !same_lines(&kernel.logged, &ours.logged) {
        found.push(Difference::new("LOG", &kernel.logged, &ours.logged));
    }
    // Of pieces there are several, each with the mark of its datagram.
    if let (Some(theirs), Some(own)) = (kernel.mark, ours.mark)
        && theirs != own
    {
        found.push(Difference::new(
            "mark",
            &format_args!("{theirs:#x}"),
            &format_args!("{own:#x}"),
        ));
    }
    found
}

/// Where a line of LOG breaks off, or is one of ESP over IPv6, it does not come to the mark.
fn same_lines(kernel: &[String], ours: &[String]) -> bool {
    let unmarked = |line: &str| line.rsplit_once(" MARK=").map_or(0, |(before, _)| before.len());
    kernel.len() == ours.len()
        && kernel.iter().zip(ours).all(|(k, o)| k == o || k.get(..unmarked(k)) == Some(o.as_str()))
}

/// Nothing outside of the kernel tells a fragment that is held from one that was dropped before
/// tracking saw it.
fn discarded_piece(kernel: &Observation, ours: &Observation) -> bool {
    kernel.fate == Fate::Held && ours.fate == Fate::Dropped && ours.state.is_none()
}

/// Helpers come last in INPUT: what they drop there looks from outside like what reaches the host. The log
/// tells, and what becomes of the connection.
fn dropped_behind_input(kernel: &Observation, ours: &Observation) -> bool {
    (kernel.fate, ours.fate) == (Fate::Local, Fate::Dropped)
        && ours.reason == Some("helper-dropped")
}

/// What the two do not share of what they sent outside of any packet, in whatever order.
#[must_use]
pub fn late_answers(mut kernel: Vec<Sent>, mut ours: Vec<Sent>) -> Vec<Difference> {
    let order = |sent: &Sent| (sent.side as u8, masked(&sent.bytes, true));
    kernel.sort_by_key(order);
    ours.sort_by_key(order);
    let mut found = Vec::new();
    sent("late answer", &kernel, &ours, true, &mut found);
    found
}

/// What the two do not share of what they told outside of any packet.
#[must_use]
pub fn stray(kernel: &[EventView], ours: &[EventView]) -> Vec<Difference> {
    let mut found = Vec::new();
    events(kernel, ours, &mut found);
    found
}

fn sent(
    what: &'static str,
    kernel: &[Sent],
    ours: &[Sent],
    made: bool,
    found: &mut Vec<Difference>,
) {
    let alike = kernel.len() == ours.len()
        && kernel
            .iter()
            .zip(ours)
            .all(|(k, o)| k.side == o.side && masked(&k.bytes, made) == masked(&o.bytes, made));
    if !alike {
        found.push(Difference { what, kernel: packets(kernel), ours: packets(ours) });
    }
}

/// Where the fragment header of an IPv6 packet begins.
fn fragment_header(bytes: &[u8]) -> Option<usize> {
    bytes.first().filter(|first| **first >> 4 == 6)?;
    let mut headers = ipv6::ExtensionHeaders::of(bytes);
    headers.find(|header| header.protocol == ipv6::FRAGMENT).map(|header| header.offset)
}

fn packets(sent: &[Sent]) -> String {
    let one = |sent: &Sent| format!("{:?}:{}", sent.side, hex(&sent.bytes));
    sent.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A packet without what two runs of one kernel do not share: the identification of packets that
/// the router makes and of IPv6 fragments that it cuts, IPv4 timestamp options, and the header
/// checksums over them.
fn masked(bytes: &[u8], made: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(at) = fragment_header(&bytes).filter(|at| at + 8 <= bytes.len()) {
        bytes[at + 4..at + 8].fill(0);
    }
    if bytes.first().is_none_or(|first| first >> 4 != 4) || bytes.len() < 20 {
        return bytes;
    }
    if made {
        bytes[4..6].fill(0);
        bytes[10..12].fill(0);
    }
    let end = usize::from(bytes[0] & 15) * 4;
    if mask_times(&mut bytes) {
        bytes[10..12].fill(0);
    }
    // What an ICMP error quotes has been through the same options.
    let quoted = bytes.get_mut(end + 8..).filter(|quoted| made && quoted.len() >= 20);
    if quoted.is_some_and(mask_times) {
        bytes[end + 2..end + 4].fill(0);
        bytes[end + 18..end + 20].fill(0);
    }
    bytes
}

/// Blanks the times in the timestamp options of an IPv4 header; whether it has any.
fn mask_times(packet: &mut [u8]) -> bool {
    let end = usize::from(packet[0] & 15) * 4;
    let (mut at, mut found) = (20, false);
    while at + 1 < end.min(packet.len()) && packet[at] != 0 {
        let length = if packet[at] == 1 { 1 } else { usize::from(packet[at + 1]).max(2) };
        if packet[at] == 68 {
            found = true;
            let until = (at + length).min(packet.len());
            blank_times(&mut packet[at..until]);
        }
        at += length;
    }
    found
}

/// Blanks the words of a timestamp option that are times by where its pointer stands.
fn blank_times(option: &mut [u8]) {
    let [_, _, pointer, flags, ..] = *option else { return };
    let step = if matches!(flags & 15, 1 | 3) { 8 } else { 4 };
    let first = (4..4 + step).find(|at| at % step == (usize::from(pointer) + 3) % step);
    for time in (first.unwrap_or(4)..option.len()).step_by(step) {
        let until = option.len().min(time + 4);
        option[time..until].fill(0);
    }
}

fn events(kernel: &[EventView], ours: &[EventView], found: &mut Vec<Difference>) {
    let alike = kernel.len() == ours.len() && kernel.iter().zip(ours).all(|(k, o)| same_view(k, o));
    if !alike {
        let list = |events: &[EventView]| {
            let one = |e: &EventView| format!("[{:?}] {}", e.kind, connection(&e.snapshot));
            events.iter().map(one).collect::<Vec<_>>().join("; ")
        };
        found.push(Difference { what: "event", kernel: list(kernel), ours: list(ours) });
    }
}

/// Whether two events show the same.
pub(crate) fn same_view(kernel: &EventView, ours: &EventView) -> bool {
    kernel.kind == ours.kind && same_event(kernel.kind, &kernel.snapshot, &ours.snapshot)
}

/// Whether two events, or two entries of the table, show the same.
fn same_event(kind: EventKind, kernel: &Snapshot, ours: &Snapshot) -> bool {
    if matches!(kind, EventKind::ExpectNew | EventKind::ExpectDestroy) {
        return (kernel.original, kernel.reply) == (ours.original, ours.reply)
            && (kernel.master, kernel.helper) == (ours.master, ours.helper)
            && kernel.announcement == ours.announcement
            && same_timeout(kernel, ours);
    }
    kernel.original == ours.original
        && kernel.reply == ours.reply
        && same_zone(kernel.zone, ours.zone)
        && (kernel.status == ours.status || collected(kernel, ours))
        && kernel.mark == ours.mark
        && kernel.labels == ours.labels
        && kernel.secctx == ours.secctx
        && (kernel.timeout.is_none() || same_timeout(kernel, ours))
        && kernel.protocol_state == ours.protocol_state
        && kernel.tags == ours.tags
        && kernel.helper == ours.helper
        && kernel.master == ours.master
        && kernel.counters == ours.counters
        && kernel.age.is_some() == ours.age.is_some()
}

/// Whether the kernel's collector came between the packet and what is told of it: to a connection that
/// had no time left.
fn collected(kernel: &Snapshot, ours: &Snapshot) -> bool {
    let over = |snapshot: &Snapshot| snapshot.timeout.is_some_and(|left| left.is_zero());
    over(kernel) && over(ours) && kernel.status.0 == ours.status.0 | CtStatus::DYING.0
}

fn same_zone(a: Zone, b: Zone) -> bool {
    [Direction::Original, Direction::Reply].iter().all(|way| a.id_in(*way) == b.id_in(*way))
}

fn same_timeout(kernel: &Snapshot, ours: &Snapshot) -> bool {
    let seconds = |snapshot: &Snapshot| snapshot.timeout.map_or(0, |timeout| timeout.as_secs());
    seconds(kernel).abs_diff(seconds(ours)) <= TIMEOUT_SLACK
}

/// What the two tables do not share.
#[must_use]
pub fn tables(mut kernel: Vec<Snapshot>, mut ours: Vec<Snapshot>) -> Vec<Difference> {
    let key = |s: &Snapshot| (s.original, s.reply);
    // In several zones one tuple may be there more than once: those that agree are to meet.
    let zones = |s: &Snapshot| [Direction::Original, Direction::Reply].map(|way| s.zone.id_in(way));
    let order = |s: &Snapshot| (key(s), zones(s), s.status.0, s.protocol_state, s.mark, s.timeout);
    kernel.sort_by_key(order);
    ours.sort_by_key(order);
    let same = |k: &Snapshot, o: &Snapshot| same_event(EventKind::Update, k, o);
    let mut found = Vec::new();
    let (mut left, mut right) = (kernel.iter().peekable(), ours.iter().peekable());
    loop {
        let (k, o) = (left.peek().copied(), right.peek().copied());
        let pair = match (k, o) {
            (None, None) => return found,
            (Some(k), Some(o)) if key(k) == key(o) => (left.next(), right.next()),
            (Some(k), Some(o)) if key(k) < key(o) => (left.next(), None),
            (Some(_), None) => (left.next(), None),
            (_, Some(_)) => (None, right.next()),
        };
        let alike = matches!(pair, (Some(k), Some(o)) if same(k, o));
        if !alike {
            let show = |s: Option<&Snapshot>| s.map_or("none".to_owned(), connection);
            found.push(Difference { what: "table", kernel: show(pair.0), ours: show(pair.1) });
        }
    }
}

/// A tuple in a few words.
#[must_use]
pub fn tuple(t: &Tuple) -> String {
    let six = t.family == Family::V6;
    let end = |address: Address, port: u16| {
        let ip = address.ip(t.family);
        if six { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
    };
    let from = end(t.source, t.source_port);
    format!("{from} > {}", end(t.destination, t.destination_port))
}

/// A connection in one line.
#[must_use]
pub fn connection(s: &Snapshot) -> String {
    let mut text = format!("proto {} {}", s.original.protocol, tuple(&s.original));
    if s.original.invert() != Some(s.reply) {
        text += &format!(" reply {}", tuple(&s.reply));
    }
    text += &format!(" status {:#x}", s.status.0);
    if let Some(timeout) = s.timeout {
        text += &format!(" timeout {:.1}", timeout.as_secs_f64());
    }
    text += &s.protocol_state.map_or(String::new(), |state| format!(" {state}"));
    text += &s.helper.map_or(String::new(), |helper| format!(" helper {helper}"));
    text += &s.tags.map_or(String::new(), |[a, b]| format!(" tags {a:#x} {b:#x}"));
    if s.mark != 0 {
        text += &format!(" mark {:#x}", s.mark);
    }
    text += &s.announcement.map_or(String::new(), |a| {
        format!(" class {} flags {:#x} mask {}", a.class, a.flags, tuple(&s.reply))
    });
    if s.labels != 0 {
        text += &format!(" labels {:#x}", s.labels);
    }
    if s.zone.id != 0 {
        text += &format!(" zone {} directions {:#b}", s.zone.id, s.zone.directions);
    }
    text += s.age.map_or("", |_| " timestamped");
    text += &s.master.map_or(String::new(), |master| format!(" master {}", tuple(&master)));
    text += &s.counters.map_or(String::new(), |c| format!(" packets {}/{}", c[0].0, c[1].0));
    text
}

/// Packets and bytes by rule, from what `iptables-save -c` prints: `table chain number` and the
/// counters, policies of built-in chains as number `policy`.
#[must_use]
pub fn saved_counters(text: &str) -> Vec<Counter> {
    let counters = |word: &str| -> Option<(u64, u64)> {
        let (packets, bytes) = word.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
        Some((packets.parse().ok()?, bytes.parse().ok()?))
    };
    let mut found = Vec::new();
    let (mut table, mut before, mut number) = (String::new(), String::new(), 0);
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [name] if name.starts_with('*') => name[1..].clone_into(&mut table),
            [chain, policy, count] if chain.starts_with(':') && *policy != "-" => {
                let at = format!("{table} {} policy", &chain[1..]);
                found.extend(counters(count).map(|count| (at, count)));
            }
            [count, "-A", chain, ..] => {
                let at = format!("{table} {chain}");
                number = if at == before { number + 1 } else { 1 };
                found.extend(counters(count).map(|count| (format!("{at} {number}"), count)));
                before = at;
            }
            _ => {}
        }
    }
    found.sort();
    found
}

/// What the counters do not share. Only the kernel may have tables that no rule set names.
#[must_use]
pub fn counters(kernel: &[Counter], ours: &[Counter]) -> Vec<Difference> {
    let find = |list: &[Counter], name: &str| list.iter().find(|c| c.0 == name).map(|c| c.1);
    let mut found = Vec::new();
    for (name, count) in ours {
        let theirs = find(kernel, name);
        if theirs != Some(*count) {
            found.push(Difference {
                what: "counter",
                kernel: format!("{name}: {theirs:?}"),
                ours: format!("{name}: {count:?}"),
            });
        }
    }
    found
}

/// A rule or policy by name; its packets and bytes.
pub type Counter = (String, (u64, u64));

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_tuple_in_both_halves_of_a_zone_meets_itself() {
        let one = |direction, seconds| Snapshot {
            zone: Zone::one(1, direction),
            timeout: Some(Duration::from_secs(seconds)),
            ..crate::ctnetlink::empty()
        };
        let kernel = vec![one(Direction::Original, 300), one(Direction::Reply, 299)];
        let ours = vec![one(Direction::Original, 299), one(Direction::Reply, 300)];
        assert!(tables(kernel.clone(), ours).is_empty());
        let ours = vec![one(Direction::Original, 299), one(Direction::Original, 300)];
        assert_eq!(tables(kernel, ours).len(), 1);
    }
}
