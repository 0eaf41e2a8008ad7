//! The grammars of matches and targets: how the options of each are drawn, with values at every edge
//! and in every spelling, and how a packet is brought to the edge of what such options ask for.

pub(crate) mod beside;
mod connections;
mod facts;
mod headers;
mod ipv6;
mod payload;
mod ports;
mod state;
mod targets;

pub(super) use targets::synproxy;

use super::draft::Draft;
use super::random::Random;
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::extension::Extension;
use keepstate_ruleset::matches::MATCHES;
use keepstate_ruleset::model::TableName;
use keepstate_ruleset::targets::TARGETS;

/// Where a rule is to stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) family: Family,
    pub(crate) table: TableName,
    /// The only hook that it is reached from.
    pub(crate) hook: Hook,
    /// What `-p` names; empty without it.
    pub(crate) protocol: &'static str,
}

/// The grammar of one match or target.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// One of them has to be named by `-p`; empty when it does not matter.
    pub(crate) protocols: &'static [&'static str],
    /// Its options, with a blank before each word; `None` where it cannot stand.
    pub(crate) draw: fn(&mut Random, &Place) -> Option<String>,
    /// Brings a packet to the edge of these options.
    pub(crate) aim: fn(&mut Random, &mut Draft, &[&str]),
}

impl Entry {
    /// One that says nothing of protocols or packets.
    const fn new(name: &'static str, draw: fn(&mut Random, &Place) -> Option<String>) -> Self {
        Self { name, protocols: &[], draw, aim: |_, _, _| {} }
    }

    const fn of(self, protocols: &'static [&'static str]) -> Self {
        Self { protocols, ..self }
    }

    const fn aimed(self, aim: fn(&mut Random, &mut Draft, &[&str])) -> Self {
        Self { aim, ..self }
    }
}

/// Matches, a group a file.
const MATCH_GROUPS: [&[Entry]; 8] = [
    beside::MATCHES,
    connections::MATCHES,
    facts::MATCHES,
    headers::MATCHES,
    ipv6::MATCHES,
    payload::MATCHES,
    ports::MATCHES,
    state::MATCHES,
];

/// Matches and targets that are not drawn, and why not.
#[cfg(test)]
const EXCEPTIONS: [(&str, &str); 19] = [
    ("cgroup", "the kernel that judges takes no class, and groups belong to its machine"),
    ("cpu", "which processor takes a packet is the machine's choice"),
    ("ipvs", "there are no virtual servers"),
    ("osf", "the kernel has one list of fingerprints for all who run this; its own test has it"),
    ("rateest", "what it compares is measured over seconds; its own test has it"),
    ("set", "its sets are made beside the rules; their own test has them"),
    ("CONNSECMARK", "security marks belong to the machine's security module"),
    ("DNAT", "stands in the table nat, which is not walked"),
    ("LED", "the machine has no lamps"),
    ("MASQUERADE", "stands in the table nat, which is not walked"),
    ("NETMAP", "stands in the table nat, which is not walked"),
    ("NFQUEUE", "takes packets out of the walk; its own test has it"),
    ("QUEUE", "takes packets out of the walk"),
    ("REDIRECT", "stands in the table nat, which is not walked"),
    ("SECMARK", "security marks belong to the machine's security module"),
    ("SET", "its sets are made beside the rules; their own test has them"),
    ("SNAT", "stands in the table nat, which is not walked"),
    ("TEE", "sends copies of which the probe does not know whose they are; its own test has them"),
    ("TRACE", "switches on what the machine logs of every rule"),
];

/// Options that are not drawn, and why not.
#[cfg(test)]
const OPTION_EXCEPTIONS: [(&str, &str, &str); 6] = [
    ("bpf", "object-pinned", "its programs lie in the machine's BPF file system"),
    ("hashlimit", "hashlimit-rate-match", "measures over seconds"),
    ("hashlimit", "hashlimit-rate-interval", "measures over seconds"),
    ("CT", "helper", "the areas of rules and of helpers draw it"),
    ("CT", "timeout", "the area of rules draws it"),
    ("IDLETIMER", "alarm", "wakes the machine"),
];

/// The matches that may stand there.
pub(crate) fn matches(place: Place) -> impl Iterator<Item = &'static Entry> {
    let all = MATCH_GROUPS.into_iter().flatten();
    all.filter(move |entry| MATCHES.iter().any(|one| stands(one, entry.name, &place)))
}

/// The targets that may stand there.
pub(crate) fn targets(place: Place) -> impl Iterator<Item = &'static Entry> {
    let all = targets::TARGETS.iter();
    all.filter(move |entry| TARGETS.iter().any(|one| stands(one, entry.name, &place)))
}

/// The grammar of a match or target by its name.
pub(crate) fn entry(name: &str) -> Option<&'static Entry> {
    let mut all = MATCH_GROUPS.into_iter().flatten().chain(targets::TARGETS);
    all.find(|entry| entry.name == name)
}

fn stands<T>(extension: &Extension<T>, name: &str, place: &Place) -> bool {
    extension.name == name
        && extension.families.contains(&place.family)
        && (extension.tables.is_empty() || extension.tables.contains(&place.table))
        && (extension.hooks.is_empty() || extension.hooks.contains(&place.hook))
}

/// `!`, a quarter of the time.
fn not(random: &mut Random) -> &'static str {
    if random.chance(25) { " !" } else { "" }
}

/// A number up to `max` that likes the edges: of the range, of powers of two, of nothing.
fn number(random: &mut Random, max: u64) -> u64 {
    let power = 1u64.checked_shl(random.below(64) as u32).unwrap_or(0);
    let one = match random.below(8) {
        0 => 0,
        1 => 1,
        2 => max,
        3 => max.saturating_sub(1),
        4 => power,
        5 => power.wrapping_sub(1),
        _ => random.number(),
    };
    if one <= max { one } else { one % (max.saturating_add(1)).max(1) }
}

/// `LOW:HIGH` or a single number, of these numbers or of any up to `max`.
fn range(random: &mut Random, usual: &[u64], max: u64, between: &str) -> String {
    let mut one = || {
        if random.chance(70) { random.pick(usual) } else { number(random, max) }
    };
    let (a, b) = (one(), one());
    if random.chance(50) {
        return a.to_string();
    }
    format!("{}{between}{}", a.min(b), a.max(b))
}

/// The words behind one of these options.
fn behind<'w>(words: &[&'w str], options: &[&str]) -> Option<&'w str> {
    let at = words.iter().position(|word| options.contains(word))?;
    words.get(at + 1).copied()
}

/// A number at, or one beside, one of those in a text such as `22,80:90` or `0x10/0xff`.
fn near(random: &mut Random, text: &str) -> Option<u64> {
    let number = |word: &str| match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    };
    let numbers: Vec<u64> =
        text.split([',', ':', '-', '/', '=', '&', '@', '>', '<']).filter_map(number).collect();
    if numbers.is_empty() {
        return None;
    }
    let one = random.pick(&numbers);
    Some(beside(random, one))
}

/// The number itself half of the time, or one beside it.
fn beside(random: &mut Random, one: u64) -> u64 {
    match random.below(4) {
        0 => one.wrapping_add(1),
        1 => one.wrapping_sub(1),
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_has_a_grammar_or_a_reason_for_none() {
        let names = MATCHES.iter().map(|one| one.name);
        let targets = TARGETS.iter().map(|one| one.name);
        for name in names.chain(targets) {
            let excepted = EXCEPTIONS.iter().any(|(other, _)| *other == name);
            assert!(entry(name).is_some() != excepted, "{name}");
        }
    }

    /// The options of an extension that no draw has shown, whatever the place.
    fn never_drawn<T>(extension: &Extension<T>, random: &mut Random) -> Vec<&'static str> {
        let Some(entry) = entry(extension.name) else { return Vec::new() };
        let mut seen = std::collections::HashSet::new();
        let tables = [TableName::Raw, TableName::Mangle, TableName::Filter, TableName::Security];
        for family in extension.families {
            for (table, hook) in tables.iter().flat_map(|t| t.hooks().iter().map(move |h| (*t, *h)))
            {
                let place = Place { family: *family, table, hook, protocol: "" };
                if !stands(extension, entry.name, &place) {
                    continue;
                }
                for _ in 0..1500 {
                    let protocol =
                        entry.protocols.first().map_or("", |_| random.pick(entry.protocols));
                    let text = (entry.draw)(random, &Place { protocol, ..place });
                    let words = text.iter().flat_map(|text| text.split(' '));
                    seen.extend(
                        words.filter_map(|word| word.strip_prefix("--")).map(str::to_owned),
                    );
                }
            }
        }
        let drawn =
            |id| extension.options.iter().any(|other| other.id == id && seen.contains(other.name));
        let missing = extension.options.iter().filter(|option| !drawn(option.id));
        missing.map(|option| option.name).collect()
    }

    #[test]
    fn every_option_is_drawn_or_has_a_reason_not_to_be() {
        let mut random = Random::part(2, 1);
        let mut missing = Vec::new();
        for one in MATCHES {
            let options = never_drawn(one, &mut random);
            missing.extend(options.into_iter().map(|option| (one.name, option)));
        }
        for one in TARGETS {
            let options = never_drawn(one, &mut random);
            missing.extend(options.into_iter().map(|option| (one.name, option)));
        }
        missing.retain(|(name, option)| {
            !OPTION_EXCEPTIONS.iter().any(|(of, one, _)| (of, one) == (name, option))
        });
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn what_is_drawn_is_read() {
        let mut random = Random::part(1, 1);
        for family in [Family::V4, Family::V6] {
            let hooks =
                [(TableName::Mangle, Hook::Postrouting), (TableName::Raw, Hook::Prerouting)];
            for (table, hook) in hooks {
                let place = Place { family, table, hook, protocol: "" };
                for (kind, entry) in matches(place)
                    .map(|one| ("-m", one))
                    .chain(targets(place).map(|one| ("-j", one)))
                {
                    for _ in 0..400 {
                        let protocol = if entry.protocols.is_empty() {
                            ""
                        } else {
                            random.pick(entry.protocols)
                        };
                        let place = Place { protocol, ..place };
                        let Some(options) = (entry.draw)(&mut random, &place) else { continue };
                        let dash = if protocol.is_empty() { "" } else { " -p " };
                        let chain =
                            if hook == Hook::Prerouting { "PREROUTING" } else { "POSTROUTING" };
                        let name = entry.name;
                        let rule = format!("-A {chain}{dash}{protocol} {kind} {name}{options}");
                        let text = format!("*{}\n{rule}\nCOMMIT\n", table.as_str());
                        let read = keepstate_ruleset::syntax::iptables_save::parse(&text, family);
                        assert!(read.is_ok(), "{rule}: {read:?}");
                    }
                }
            }
        }
    }
}
