//! What became of a packet, and what is in the connection table, in the words of the notation.

use crate::observation::{Fate, Observation, Sent};
use keepstate_conntrack::{CtState, Direction, event::Snapshot, listing::Extended};
use keepstate_packet::{L4, Parsed};

/// State, direction, fate, answers, and the reason in parentheses where there is one.
pub(super) fn observation(seen: &Observation) -> String {
    let state = match seen.state {
        None => "-",
        Some(CtState::New) => "NEW",
        Some(CtState::Established) => "ESTABLISHED",
        Some(CtState::Related) => "RELATED",
        Some(CtState::Invalid) => "INVALID",
        Some(CtState::Untracked) => "UNTRACKED",
    };
    let mut words = vec![state.to_owned()];
    words.extend(seen.direction.map(|direction| match direction {
        Direction::Original => "original".to_owned(),
        Direction::Reply => "reply".to_owned(),
    }));
    words.push(
        match seen.fate {
            Fate::Forwarded => "accept",
            Fate::Dropped => "drop",
            Fate::Local => "local",
            Fate::Held => "held",
        }
        .to_owned(),
    );
    words.extend(seen.generated.iter().map(answer));
    words.extend(seen.reason.map(|reason| format!("({reason})")));
    words.join(" ")
}

/// The same as far as the kernel shows it: without the reason, and a fragment that ended its
/// datagram as one that is held, since neither comes out.
pub(super) fn as_the_kernel_shows(text: &str) -> String {
    match text.split_once(" (") {
        Some((seen, reason)) if is_of_a_fragment(reason) => seen.replace("drop", "held"),
        Some((seen, _)) => seen.to_owned(),
        None => text.to_owned(),
    }
}

/// Whether a reason code tells of putting datagrams together.
pub(super) fn is_of_a_fragment(reason: &str) -> bool {
    reason.starts_with("frag-")
}

fn answer(sent: &Sent) -> String {
    let Ok(parsed) = Parsed::new(&sent.bytes) else { return "answer ?".to_owned() };
    let at = |offset| sent.bytes.get(parsed.l4_offset as usize + offset).copied().unwrap_or(0);
    match &parsed.l4 {
        L4::Tcp(tcp) => {
            let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
            let set = |(bit, _): &(usize, &str)| tcp.flags >> bit & 1 == 1;
            let flags: Vec<&str> = names.into_iter().enumerate().filter(set).map(|f| f.1).collect();
            format!("answer tcp {}", flags.join(" "))
        }
        L4::Icmp(_) => format!("answer icmp {}/{}", at(0), at(1)),
        L4::Icmpv6(_) => format!("answer icmpv6 {}/{}", at(0), at(1)),
        other => format!("answer {other:?}"),
    }
}

/// The lines of the connection table, sorted, without what a reader has to look past: the family,
/// the time left, the references.
pub(super) fn table(connections: Vec<Snapshot>) -> Vec<String> {
    let mut lines: Vec<String> = connections
        .into_iter()
        .map(|connection| {
            let snapshot = &Snapshot { timeout: None, age: None, ..connection };
            let text = Extended { snapshot, children_count: 0 }.to_string();
            let words = text.split_whitespace().skip(2);
            words.filter(|word| !word.starts_with("use=")).collect::<Vec<_>>().join(" ")
        })
        .collect();
    lines.sort();
    lines
}
