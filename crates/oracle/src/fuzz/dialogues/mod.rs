//! What the programs say to each other that conntrack helpers listen to, one file a helper: real
//! dialogues, the connections they announce, and some that are not as announced.

mod amanda;
mod datagrams;
mod ftp;
mod h323;
mod irc;
mod pptp;
mod sane;
mod sip;
mod snmp;
mod stream;
mod tftp;

use super::draft::Draft;
use super::random::Random;
use keepstate_packet::Family;

/// The dialogue of a helper.
pub(crate) struct Dialogue {
    /// Name of the area (`verify --fuzz --only NAME`).
    pub(crate) name: &'static str,
    /// To which connections rules assign which helper.
    assignments: &'static [Assignment],
    pub(crate) conversation: fn(&mut Random) -> Vec<Draft>,
    /// What its helpers read: the runs say which of them they have shown.
    pub(crate) messages: &'static [Messages],
    /// False while engine and kernel are known to differ (docs/differences-from-linux.md): then only
    /// `--only NAME` draws it.
    pub(crate) settled: bool,
    /// What its helpers say is written anew in packets that are translated: else no rules assign them
    /// beside a table nat.
    pub(crate) translated: bool,
}

/// The kinds of message that one helper reads, and how to tell them apart.
#[derive(Debug)]
pub(crate) struct Messages {
    /// Name of the helper in listings.
    pub(crate) helper: &'static str,
    /// The kinds, as the protocol's own document calls them.
    pub(crate) kinds: &'static [&'static str],
    /// The kind of what a packet of the helper's connections carries behind its TCP or UDP header;
    /// `None` for anything else.
    pub(crate) kind: fn(&[u8]) -> Option<&'static str>,
}

/// Protocol, port and helper, and the families that know it.
type Assignment = (&'static str, u16, &'static str, &'static [Family]);

const BOTH: &[Family] = &[Family::V4, Family::V6];

/// The dialogues.
pub(crate) static DIALOGUES: &[Dialogue] = &[
    Dialogue {
        name: "ftp",
        assignments: &[("tcp", 21, "ftp", BOTH)],
        conversation: ftp::conversation,
        messages: &[ftp::MESSAGES],
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "h323",
        assignments: &[
            ("udp", 1719, "RAS", BOTH),
            ("tcp", 1720, "Q.931", BOTH),
            ("udp", 1718, "H.245", BOTH),
        ],
        conversation: h323::conversation,
        messages: &h323::MESSAGES,
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "sip",
        assignments: &[("udp", 5060, "sip", BOTH), ("tcp", 5060, "sip", BOTH)],
        conversation: sip::conversation,
        messages: &[sip::MESSAGES],
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "tftp",
        assignments: &[("udp", 69, "tftp", BOTH)],
        conversation: tftp::conversation,
        messages: &[tftp::MESSAGES],
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "irc",
        assignments: &[("tcp", 6667, "irc", &[Family::V4])],
        conversation: irc::conversation,
        messages: &[irc::MESSAGES],
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "amanda",
        assignments: &[("udp", 10_080, "amanda", BOTH)],
        conversation: amanda::conversation,
        messages: &[amanda::MESSAGES],
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "sane",
        assignments: &[("tcp", 6566, "sane", BOTH)],
        conversation: sane::conversation,
        messages: &[sane::MESSAGES],
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "pptp",
        assignments: &[("tcp", 1723, "pptp", &[Family::V4])],
        conversation: pptp::conversation,
        messages: &[pptp::MESSAGES],
        settled: true,
        translated: true,
    },
    Dialogue {
        name: "snmp",
        assignments: &[
            ("udp", 161, "snmp", &[Family::V4]),
            ("udp", 162, "snmp_trap", &[Family::V4]),
        ],
        conversation: snmp::conversation,
        messages: &snmp::MESSAGES,
        settled: true,
        translated: true,
    },
];

/// The rules of the raw table that assign every helper to its port, or those that may stand beside a table
/// nat.
pub(crate) fn rules(family: Family, translates: bool) -> impl Iterator<Item = String> {
    let drawn = DIALOGUES.iter().filter(move |dialogue| dialogue.translated || !translates);
    let all = drawn.flat_map(|dialogue| dialogue.assignments);
    let here = all.filter(move |(.., families)| families.contains(&family));
    here.map(|(protocol, port, helper, _)| {
        format!("-A PREROUTING -p {protocol} -m {protocol} --dport {port} -j CT --helper {helper}")
    })
}

/// A dialogue of any helper.
pub(crate) fn any(random: &mut Random) -> Vec<Draft> {
    let settled: Vec<_> = DIALOGUES.iter().filter(|dialogue| dialogue.settled).collect();
    (settled[random.below(settled.len())].conversation)(random)
}

/// A dialogue of a helper that reads it under translation too.
pub(crate) fn translated(random: &mut Random) -> Vec<Draft> {
    let drawn: Vec<_> = DIALOGUES.iter().filter(|dialogue| dialogue.translated).collect();
    (drawn[random.below(drawn.len())].conversation)(random)
}

/// A text of which one in twenty has a wrong character, one the wrong case, one is cut, and one is
/// there twice.
fn spoilt(random: &mut Random, text: String) -> String {
    match random.below(20) {
        0 if !text.is_empty() => {
            let at = random.below(text.len());
            let with = random.pick(&['0', '9', ',', '|', ' ', '(', ')', 'x', '.', ':', '\r', '\n']);
            text.char_indices().map(|(n, c)| if n == at { with } else { c }).collect()
        }
        1 => text.to_lowercase(),
        2 if !text.is_empty() => {
            let end = random.below(text.len());
            text.char_indices().take_while(|(at, _)| *at < end).map(|(_, c)| c).collect()
        }
        3 => format!("{text}{text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_alone() {
        let mut random = Random::part(1, 0);
        let texts: Vec<_> = (0..4_000).map(|_| spoilt(&mut random, "é é".to_owned())).collect();
        for cut in ["", "é", "é "] {
            assert!(texts.iter().any(|text| text == cut), "{cut:?}");
        }
    }
}
