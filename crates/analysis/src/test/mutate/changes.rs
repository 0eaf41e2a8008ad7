//! What can be changed in one rule, a place at a time.

use crate::rule::words::{OptionWords, RuleWords, TargetWords};
use std::net::{IpAddr, SocketAddr};

/// A rule with one change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) text: String,
    pub(super) rule: RuleWords,
}

/// Matches that change nothing.
const IDLE: [&str; 1] = ["comment"];
/// Options that hold ports.
const PORTS: [&str; 5] = ["--dport", "--sport", "--dports", "--sports", "--ports"];
/// Options that hold addresses to translate to.
const TRANSLATED: [&str; 4] = ["--to-destination", "--to-source", "--to-ports", "--to"];

/// All changes; the rules may be ones that nobody could load.
pub(super) fn of(rule: &RuleWords) -> Vec<Change> {
    let mut all = Vec::new();
    target(rule, &mut all);
    header(rule, &mut all);
    for at in 0..rule.matches.len() {
        of_match(rule, at, &mut all);
    }
    all
}

fn becomes(was: &str, is: &str) -> String {
    format!("`{was}` becomes `{is}`")
}

/// The target turned round, or what it writes changed.
fn target(rule: &RuleWords, all: &mut Vec<Change>) {
    let Some(target) = rule.target.as_ref().filter(|target| !target.goto) else { return };
    let others: &[&str] = match target.name.as_str() {
        "ACCEPT" => &["DROP"],
        "DROP" => &["ACCEPT", "REJECT"],
        "REJECT" => &["DROP", "ACCEPT"],
        "RETURN" => &["ACCEPT"],
        "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" => &["ACCEPT"],
        _ => &[],
    };
    for other in others {
        let instead = TargetWords { name: (*other).to_owned(), goto: false, options: Vec::new() };
        let text = becomes(&format!("-j {}", target.name), &format!("-j {other}"));
        all.push(Change { text, rule: RuleWords { target: Some(instead), ..rule.clone() } });
    }
    let mut retarget = |at: usize, value: String| {
        let mut changed = rule.clone();
        let Some(option) = changed.target.as_mut().and_then(|target| target.options.get_mut(at))
        else {
            return;
        };
        let was = option.text();
        option.values = vec![value];
        let text = becomes(&was, &option.text());
        all.push(Change { text, rule: changed });
    };
    for (at, option) in target.options.iter().enumerate() {
        let value = option.value();
        if TRANSLATED.contains(&option.name.as_str()) {
            translated(value).into_iter().for_each(|value| retarget(at, value));
        } else if option.name.contains("mark")
            && let Some(value) = other_mark(value)
        {
            retarget(at, value);
        }
    }
}

/// Another address, and another port.
fn translated(value: &str) -> Vec<String> {
    let next = |address: IpAddr| match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() ^ 1).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() ^ 1).into()),
    };
    if let Ok(address) = value.parse::<IpAddr>() {
        return vec![next(address).to_string()];
    }
    if let Ok(both) = value.parse::<SocketAddr>() {
        let other = SocketAddr::new(next(both.ip()), both.port());
        let port = SocketAddr::new(both.ip(), both.port() ^ 1);
        return vec![other.to_string(), port.to_string()];
    }
    value.parse::<u16>().map(|port| vec![(port ^ 1).to_string()]).unwrap_or_default()
}

/// `0x1/0xffffffff` with its last bit turned.
fn other_mark(value: &str) -> Option<String> {
    let (mark, mask) =
        value.split_once('/').map_or((value, None), |(mark, mask)| (mark, Some(mask)));
    let number = match mark.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => mark.parse().ok()?,
    };
    let mask = mask.map(|mask| format!("/{mask}")).unwrap_or_default();
    Some(format!("0x{:x}{mask}", number ^ 1))
}

fn header(rule: &RuleWords, all: &mut Vec<Change>) {
    for (at, option) in rule.header.iter().enumerate() {
        let was = option.text();
        let mut dropped = rule.clone();
        dropped.header.remove(at);
        all.push(Change { text: format!("without `{was}`"), rule: dropped });
        let mut others = vec![OptionWords { not: !option.not, ..option.clone() }];
        if matches!(option.name.as_str(), "-s" | "-d") {
            let values = networks(option.value()).into_iter();
            others
                .extend(values.map(|value| OptionWords { values: vec![value], ..option.clone() }));
        }
        for other in others {
            let mut changed = rule.clone();
            let text = becomes(&was, &other.text());
            if let Some(place) = changed.header.get_mut(at) {
                *place = other;
            }
            all.push(Change { text, rule: changed });
        }
    }
}

/// A network twice as large, and the halves of it.
fn networks(value: &str) -> Vec<String> {
    let (address, length) = value.split_once('/').map_or((value, None), |(a, l)| (a, Some(l)));
    let Ok(address) = address.parse::<IpAddr>() else { return Vec::new() };
    let longest: u32 = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length.map_or(Some(longest), |length| length.parse().ok()) else {
        return Vec::new();
    };
    let flipped = |bit: u32| match address {
        IpAddr::V4(address) => {
            IpAddr::V4((address.to_bits() ^ 1u32.checked_shl(31 - bit).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits() ^ 1u128.checked_shl(127 - bit).unwrap_or(0)).into())
        }
    };
    let mut all = Vec::new();
    if length > 1 {
        all.push(format!("{address}/{}", length - 1));
    }
    if length < longest {
        all.push(format!("{address}/{}", length + 1));
        all.push(format!("{}/{}", flipped(length), length + 1));
    }
    all
}

fn of_match(rule: &RuleWords, at: usize, all: &mut Vec<Change>) {
    let Some(one) = rule.matches.get(at).filter(|one| !IDLE.contains(&one.name.as_str())) else {
        return;
    };
    let options: Vec<String> = one.options.iter().map(OptionWords::text).collect();
    let text = format!("-m {} {}", one.name, options.join(" "));
    let mut dropped = rule.clone();
    dropped.matches.remove(at);
    all.push(Change { text: format!("without `{}`", text.trim_end()), rule: dropped });
    for (place, option) in one.options.iter().enumerate() {
        let was = option.text();
        let mut change = |instead: Option<OptionWords>| {
            let mut changed = rule.clone();
            let Some(one) = changed.matches.get_mut(at) else { return };
            let text = match instead {
                Some(instead) => {
                    let text = becomes(&was, &instead.text());
                    if let Some(option) = one.options.get_mut(place) {
                        *option = instead;
                    }
                    text
                }
                None => {
                    one.options.remove(place);
                    format!("without `{was}`")
                }
            };
            all.push(Change { text, rule: changed });
        };
        if one.options.len() > 1 {
            change(None);
        }
        change(Some(OptionWords { not: !option.not, ..option.clone() }));
        for value in values(option) {
            let mut values = option.values.clone();
            if let Some(first) = values.first_mut() {
                *first = value;
            }
            change(Some(OptionWords { values, ..option.clone() }));
        }
    }
}

/// Other values of an option: lists without one of theirs, ports wider and narrower.
fn values(option: &OptionWords) -> Vec<String> {
    let value = option.value();
    let name = option.name.as_str();
    let mut all = Vec::new();
    let listed = PORTS.contains(&name) || matches!(name, "--ctstate" | "--state" | "--ctstatus");
    let parts: Vec<&str> = value.split(',').collect();
    if listed && parts.len() > 1 {
        for at in 0..parts.len() {
            let mut rest = parts.clone();
            rest.remove(at);
            all.push(rest.join(","));
        }
    }
    if PORTS.contains(&name) {
        for (at, part) in parts.iter().enumerate() {
            for other in ports(part) {
                let mut changed: Vec<&str> = parts.clone();
                if let Some(place) = changed.get_mut(at) {
                    *place = &other;
                }
                all.push(changed.join(","));
            }
        }
    }
    // The type of an ICMP message: the next one.
    if matches!(name, "--icmp-type" | "--icmpv6-type")
        && let Ok(kind) = value.parse::<u8>()
    {
        all.push((kind ^ 1).to_string());
    }
    all
}

/// A port or a range a port wider and narrower at each end.
fn ports(part: &str) -> Vec<String> {
    let (low, high) = part.split_once(':').unwrap_or((part, part));
    let low = if low.is_empty() { Some(0) } else { low.parse::<u16>().ok() };
    let high = if high.is_empty() { Some(u16::MAX) } else { high.parse().ok() };
    let (Some(low), Some(high)) = (low, high) else { return Vec::new() };
    let shown = |low: u16, high: u16| match low == high {
        true => low.to_string(),
        false => format!("{low}:{high}"),
    };
    let mut all = Vec::new();
    if low > 0 {
        all.push(shown(low - 1, high));
    }
    if high < u16::MAX {
        all.push(shown(low, high + 1));
    }
    if low < high {
        all.push(shown(low + 1, high));
        all.push(shown(low, high - 1));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use keepstate_packet::Family;
    use keepstate_ruleset::syntax::iptables_command::split;

    fn changes(rule: &str) -> Vec<String> {
        let words = split(rule).expect(rule);
        let rule = RuleWords::read(Family::V4, "filter", "INPUT", &words);
        of(&rule).into_iter().map(|change| change.rule.save()).collect()
    }

    #[test]
    fn each_place_of_a_rule_is_changed() {
        let all = changes(
            "-s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
        );
        for wanted in [
            "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,RELATED -j DROP",
            "-A INPUT -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT ! -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.0.0.0/7 -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.0.0.0/9 -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.128.0.0/9 -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22:23 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 21:22 -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m conntrack --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT",
            "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22 -m conntrack ! --ctstate NEW,RELATED -j ACCEPT",
            "-A INPUT -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT",
        ] {
            assert!(all.iter().any(|one| one == wanted), "{wanted}\n{all:#?}");
        }
    }

    #[test]
    fn targets_write_something_else() {
        let to = |rule: &str| {
            changes(rule)
                .iter()
                .map(|rule| rule["-A INPUT ".len()..].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            to("-j DNAT --to-destination 10.0.0.2:80"),
            [
                "-j ACCEPT",
                "-j DNAT --to-destination 10.0.0.3:80",
                "-j DNAT --to-destination 10.0.0.2:81"
            ]
        );
        assert_eq!(
            to("-j MARK --set-xmark 0x1/0xffffffff"),
            ["-j MARK --set-xmark 0x0/0xffffffff"]
        );
        assert_eq!(to("-j MASQUERADE"), ["-j ACCEPT"]);
        assert_eq!(to("-j REJECT --reject-with tcp-reset"), ["-j DROP", "-j ACCEPT"]);
        assert_eq!(to("-m comment --comment x -j web"), Vec::<String>::new());
    }
}
