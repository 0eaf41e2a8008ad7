//! The rules that a script adds, as those of a filter between the host and its peer.

use crate::compare::Counter;
use std::fmt::Write as _;

/// A rule as the script wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    table: String,
    chain: String,
    words: Vec<String>,
}

/// All rules of a script so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

/// What a command of iptables wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// The rules have changed.
    Load,
    /// The rules of this chain, or of all, as `-S` prints them; with counters for `-v`.
    Print { chain: Option<String>, counters: bool },
    /// Nothing.
    Nothing,
}

/// Each chain of a host, the chain of the filter that does its work, and for whose packets.
const CHAINS: [(&str, &str, &str); 4] = [
    ("INPUT", "FORWARD", "-i eth1"),
    ("OUTPUT", "FORWARD", "-i eth0"),
    ("FORWARD", "FORWARD", ""),
    ("PREROUTING", "PREROUTING", "-i eth1"),
];

/// Where a chain's rules go; raw and mangle see what the host sends in PREROUTING here.
fn place(table: &str, chain: &str) -> Option<(&'static str, &'static str)> {
    match (table, chain) {
        ("raw" | "mangle", "OUTPUT") => Some(("PREROUTING", "-i eth0")),
        ("raw", "INPUT" | "FORWARD") | ("filter", "PREROUTING") => None,
        _ => CHAINS.iter().find(|(name, ..)| *name == chain).map(|(_, to, of)| (*to, *of)),
    }
}

impl Rules {
    /// Takes the arguments of one iptables command.
    pub(super) fn command(&mut self, arguments: &[String]) -> Result<Wants, String> {
        let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        words.retain(|word| !matches!(*word, "-w" | "-n" | "-x"));
        let counters = words.contains(&"-v");
        words.retain(|word| *word != "-v");
        let table = match words.iter().position(|word| *word == "-t") {
            Some(at) if at + 1 < words.len() => {
                let name = words[at + 1].to_owned();
                words.drain(at..=at + 1);
                name
            }
            _ => "filter".to_owned(),
        };
        let rule = |chain: &str, words: &[&str]| Rule {
            table: table.clone(),
            chain: chain.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        match words[..] {
            ["-A", chain, ref rest @ ..] => self.rules.push(rule(chain, rest)),
            ["-I", chain, ref rest @ ..] => {
                let number = rest.first().and_then(|word| word.parse::<usize>().ok());
                let rest = &rest[usize::from(number.is_some())..];
                let at = self.position(&table, chain, number.unwrap_or(1));
                self.rules.insert(at.unwrap_or(self.rules.len()), rule(chain, rest));
            }
            ["-D", chain, ref rest @ ..] => {
                let by_number = match rest {
                    [number] => number.parse().ok().and_then(|n| self.position(&table, chain, n)),
                    _ => None,
                };
                let wanted = rule(chain, rest);
                let at = by_number.or_else(|| self.rules.iter().position(|rule| *rule == wanted));
                self.rules.remove(at.ok_or("no such rule")?);
            }
            ["-P", chain, policy] => {
                self.rules.push(rule(chain, &["-j", policy]));
            }
            ["-F"] => self.rules.retain(|rule| rule.table != table),
            ["-F", chain] => {
                self.rules.retain(|rule| (&*rule.table, &*rule.chain) != (&table, chain))
            }
            ["-S" | "-L"] => return Ok(Wants::Print { chain: None, counters }),
            ["-S" | "-L", chain] => {
                return Ok(Wants::Print { chain: Some(chain.to_owned()), counters });
            }
            ["-V" | "--version"] => return Ok(Wants::Nothing),
            _ => return Err(format!("iptables {}: not understood", words.join(" "))),
        }
        let last = self.rules.iter().find(|rule| place(&rule.table, &rule.chain).is_none());
        match last {
            Some(rule) => Err(format!("{} {}: nothing does its work here", rule.table, rule.chain)),
            None => Ok(Wants::Load),
        }
    }

    fn position(&self, table: &str, chain: &str, number: usize) -> Option<usize> {
        let of = |(_, rule): &(usize, &Rule)| rule.table == table && rule.chain == chain;
        let mut places = self.rules.iter().enumerate().filter(of);
        places.nth(number.checked_sub(1)?).map(|(at, _)| at)
    }

    /// The filter's rule set in iptables-save form.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (table, chains) in [
            ("raw", &["PREROUTING", "OUTPUT"][..]),
            ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
            ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
        ] {
            let _ = writeln!(text, "*{table}");
            for chain in chains {
                let _ = writeln!(text, ":{chain} ACCEPT [0:0]");
            }
            for rule in self.rules.iter().filter(|rule| rule.table == table) {
                if let Some((chain, of)) = place(table, &rule.chain) {
                    let _ = writeln!(text, "-A {chain} {of} {}", written(&rule.words));
                }
            }
            text += "COMMIT\n";
        }
        text
    }

    /// The rules as `-S` prints them; `all` are the counters of the filter's rules.
    pub(super) fn listing(
        &self,
        chain: Option<&str>,
        counters: bool,
        all: &[Counter],
    ) -> Vec<String> {
        let mut numbers: Vec<(String, usize)> = Vec::new();
        let mut lines = Vec::new();
        for rule in &self.rules {
            let Some((to, _)) = place(&rule.table, &rule.chain) else { continue };
            let at = format!("{} {to}", rule.table);
            let number = match numbers.iter_mut().find(|(known, _)| *known == at) {
                Some((_, number)) => {
                    *number += 1;
                    *number
                }
                None => {
                    numbers.push((at.clone(), 1));
                    1
                }
            };
            if chain.is_some_and(|chain| chain != rule.chain) || rule.table != "filter" {
                continue;
            }
            let name = format!("{at} {number}");
            let (packets, bytes) =
                all.iter().find(|(known, _)| *known == name).map_or((0, 0), |(_, count)| *count);
            let target = rule.words.iter().position(|word| word == "-j");
            let (matches, target) = rule.words.split_at(target.unwrap_or(rule.words.len()));
            let mut line = format!("-A {} {}", rule.chain, matches.join(" "));
            if counters {
                let _ = write!(line, " -c {packets} {bytes}");
            }
            lines.push(format!("{line} {}", target.join(" ")).trim_end().to_owned());
        }
        lines
    }
}

/// The words of a rule for the filter: interfaces are those of the place, and matches that `-p`
/// brings along are named.
fn written(words: &[String]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "-i" | "-o" | "--in-interface" | "--out-interface") {
            words.next();
            continue;
        }
        let before = out.last().is_some_and(|last| last == "-p");
        out.push(if word.contains(' ') { format!("\"{word}\"") } else { word.clone() });
        if before && matches!(word.as_str(), "tcp" | "udp") {
            out.extend(["-m".to_owned(), word.clone()]);
        }
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn chains_of_a_host_become_one_of_a_filter() {
        let mut rules = Rules::default();
        for line in [
            "-A INPUT -p tcp -m conntrack --ctstate INVALID -j DROP",
            "-A OUTPUT -m conntrack --ctstate INVALID -j DROP",
            "-t raw -A PREROUTING -i tun0 -j CT --notrack",
        ] {
            assert_eq!(rules.command(&words(line)), Ok(Wants::Load), "{line}");
        }
        let text = rules.text();
        assert!(text.contains("-A FORWARD -i eth1 -p tcp -m tcp -m conntrack --ctstate INVALID"));
        assert!(text.contains("-A FORWARD -i eth0 -m conntrack --ctstate INVALID -j DROP"));
        assert!(text.contains("-A PREROUTING -i eth1 -j CT --notrack"));
        let counters =
            [("filter FORWARD 1".to_owned(), (4, 160)), ("filter FORWARD 2".to_owned(), (0, 0))];
        assert_eq!(
            rules.listing(Some("INPUT"), true, &counters),
            ["-A INPUT -p tcp -m conntrack --ctstate INVALID -c 4 160 -j DROP"]
        );
        assert_eq!(
            rules.listing(Some("OUTPUT"), true, &counters),
            ["-A OUTPUT -m conntrack --ctstate INVALID -c 0 0 -j DROP"]
        );
        let again = "-D INPUT -p tcp -m conntrack --ctstate INVALID -j DROP";
        assert_eq!(rules.command(&words(again)), Ok(Wants::Load));
        assert!(rules.command(&words(again)).is_err());
        assert!(rules.command(&words("-X")).is_err());
    }
}
