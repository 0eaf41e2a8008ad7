//! TCP flags by name.

const FLAGS: &[(u8, &str)] = &[
    (0x02, "SYN"),
    (0x01, "FIN"),
    (0x04, "RST"),
    (0x08, "PSH"),
    (0x20, "URG"),
    (0x40, "ECE"),
    (0x80, "CWR"),
    (0x10, "ACK"),
];

/// `SYN-ACK`; `no flags`.
#[must_use]
pub fn flags(bits: u8) -> String {
    let set: Vec<&str> =
        FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    if set.is_empty() { String::from("no flags") } else { set.join("-") }
}

/// Flags of a list as rules have it: `SYN,ACK`, `ALL`, `NONE`.
#[must_use]
pub fn bits(list: &str) -> u8 {
    let mut bits = 0;
    for word in list.split(',') {
        bits |= match word {
            "ALL" => 0x3f,
            _ => FLAGS.iter().find(|(_, name)| *name == word).map_or(0, |(bit, _)| *bit),
        };
    }
    bits
}

/// A state of the TCP tracker, as `conntrack -L` prints it.
#[must_use]
pub fn state(name: &str) -> Option<&'static str> {
    Some(match name {
        "NONE" => "nothing seen yet",
        "SYN_SENT" => "a SYN went out, no answer was seen yet",
        "SYN_SENT2" => "both sides have sent a SYN (simultaneous open), no SYN-ACK yet",
        "SYN_RECV" => "SYN and SYN-ACK were seen, the ACK that completes the handshake was not",
        "ESTABLISHED" => {
            "the handshake is complete (or the connection was picked up in mid-stream) and nobody \
             has closed it"
        }
        "FIN_WAIT" => "one side has sent its FIN, it is not acknowledged yet",
        "CLOSE_WAIT" => "one side's FIN is acknowledged, the other side may still send",
        "LAST_ACK" => "both sides have sent their FIN, the last ACK is due",
        "TIME_WAIT" => "closed by both sides; remembered so that late segments do no harm",
        "CLOSE" => "reset",
        _ => return None,
    })
}
