//! Commands of ufw and firewalld: which rule they make, which is then explained and run.

use crate::answer::{Answer, Topic};
use crate::experiment::Context;
use crate::rule::{self, Subject};
use keepstate_packet::Family;
use keepstate_ruleset::extension::names::service_port;

/// A command, read: the rule that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Whose command it is.
    tool: &'static str,
    /// Its chain in the tool's rules, and the built-in one that leads there.
    chain: &'static str,
    base: &'static str,
    words: Vec<String>,
    /// The protocols for which it makes a rule each; one is told.
    protocols: Vec<&'static str>,
    /// What could not be taken.
    left_out: Vec<String>,
}

/// Whether the line is such a command.
#[must_use]
pub fn is_line(line: &str) -> bool {
    read(line).is_some()
}

fn read(line: &str) -> Option<Made> {
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "sudo").collect();
    match words.split_first()? {
        (&"ufw", rest) => ufw(rest),
        (&"firewall-cmd", rest) => firewalld(rest),
        _ => None,
    }
}

/// `ufw [route] allow|deny|reject|limit [in|out [on IF]] [proto P] [from A [port N]] [to A [port N]]`, `ufw allow 22/tcp`.
fn ufw(words: &[&str]) -> Option<Made> {
    let mut words =
        words.iter().copied().filter(|word| !matches!(*word, "--force" | "insert" | "prepend"));
    let mut action = words.next()?;
    let routed = action == "route";
    if routed {
        action = words.next()?;
    }
    while action.parse::<u32>().is_ok() {
        action = words.next()?;
    }
    let target = match action {
        "allow" | "limit" => "ACCEPT",
        "deny" => "DROP",
        "reject" => "REJECT",
        _ => return None,
    };
    let mut made = Made {
        tool: "ufw",
        chain: if routed { "ufw-user-forward" } else { "ufw-user-input" },
        base: if routed { "FORWARD" } else { "INPUT" },
        words: Vec::new(),
        protocols: Vec::new(),
        left_out: Vec::new(),
    };
    let mut protocol: Option<&'static str> = None;
    let mut ports: Vec<(&str, String)> = Vec::new();
    let mut side = "-d";
    let mut out = false;
    while let Some(word) = words.next() {
        match word {
            "in" => out = false,
            "out" => {
                out = true;
                if !routed {
                    (made.chain, made.base) = ("ufw-user-output", "OUTPUT");
                }
            }
            "on" => {
                let option = if out { "-o" } else { "-i" };
                made.words.extend([option.to_string(), words.next()?.to_string()]);
            }
            "proto" => protocol = Some(transport(words.next()?)?),
            "from" | "to" => {
                side = if word == "from" { "-s" } else { "-d" };
                let address = words.next()?;
                if address != "any" {
                    made.words.extend([side.to_string(), address.to_string()]);
                }
            }
            "port" => {
                let option = if side == "-s" { "--sport" } else { "--dport" };
                ports.push((option, words.next()?.to_string()));
            }
            "comment" => break,
            simple => {
                let (port, named) = made.service(simple)?;
                ports.extend(port.map(|port| ("--dport", port)));
                protocol = protocol.or(named);
            }
        }
    }
    made.ports(protocol, &ports);
    if action == "limit" {
        made.left_out.push("the count of six attempts in thirty seconds (-m recent)".into());
    }
    made.words.extend(["-j".to_string(), target.to_string()]);
    Some(made)
}

fn transport(word: &str) -> Option<&'static str> {
    ["tcp", "udp", "sctp", "esp", "ah", "gre"].into_iter().find(|known| *known == word)
}

impl Made {
    /// `22/tcp`, `22`, `ssh`: the port and the protocol that is said with it.
    fn service(&mut self, text: &str) -> Option<(Option<String>, Option<&'static str>)> {
        let (port, named) =
            text.split_once('/').map_or((text, None), |(port, name)| (port, Some(name)));
        let named = match named {
            Some(name) => Some(transport(name)?),
            None => None,
        };
        if port.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b',')) {
            return Some((Some(port.to_string()), named));
        }
        let Some(number) = service_port(port, None) else {
            self.left_out.push(format!("the application profile {text}"));
            return Some((None, named));
        };
        Some((Some(number.to_string()), named.or(Some("tcp"))))
    }

    fn ports(&mut self, protocol: Option<&'static str>, ports: &[(&str, String)]) {
        let both = ["tcp", "udp"];
        self.protocols = match (protocol, ports.is_empty()) {
            (Some(one), _) => vec![one],
            (None, true) => return,
            (None, false) => both.to_vec(),
        };
        let Some(first) = self.protocols.first() else { return };
        self.words.extend(["-p".to_string(), (*first).to_string()]);
        for (option, port) in ports {
            let several = port.contains(',');
            let with = if several { "multiport" } else { *first };
            self.words.extend(["-m".to_string(), with.to_string()]);
            let option = if several { format!("{option}s") } else { (*option).to_string() };
            self.words.extend([option, port.clone()]);
        }
    }
}

/// `firewall-cmd [--permanent] [--zone=Z] --add-service=S | --add-port=N/P`.
fn firewalld(words: &[&str]) -> Option<Made> {
    let value = |name: &str| {
        let at = words.iter().position(|word| word.split('=').next() == Some(name))?;
        let same = words.get(at)?.split_once('=').map(|(_, value)| value);
        same.or_else(|| words.get(at + 1).copied())
    };
    let mut made = Made {
        tool: "firewalld",
        chain: "IN_public_allow",
        base: "INPUT",
        words: Vec::new(),
        protocols: Vec::new(),
        left_out: Vec::new(),
    };
    let (port, protocol) = match (value("--add-port"), value("--add-service")) {
        (Some(port), _) => {
            let (port, protocol) = port.split_once('/')?;
            (port.replace('-', ":"), transport(protocol)?)
        }
        (None, Some(service)) => {
            let name = match service {
                "dns" => "domain",
                "mdns" | "dhcpv6-client" => return None,
                other => other,
            };
            let protocol =
                if matches!(name, "ntp" | "tftp" | "snmp" | "ipsec") { "udp" } else { "tcp" };
            (service_port(name, None)?.to_string(), protocol)
        }
        (None, None) => return None,
    };
    if let Some(zone) = value("--zone").filter(|zone| *zone != "public") {
        made.left_out.push(format!("the name of the zone {zone} (told as public)"));
    }
    made.ports(Some(protocol), &[("--dport", port)]);
    made.words.extend(
        ["-m", "conntrack", "--ctstate", "NEW,UNTRACKED", "-j", "ACCEPT"].map(String::from),
    );
    Some(made)
}

/// Explains a command.
#[must_use]
pub fn explain(input: &str, line: &str) -> Option<Answer> {
    let made = read(line)?;
    let mut answer = Answer::new(input, "frontend-command");
    let around = match made.tool {
        "ufw" => {
            "Before the administrator's rules ufw accepts loopback and what belongs to connections that exist, \
             drops INVALID and lets ICMP errors and pings in (before.rules); behind them stands its default, \
             deny for what comes in and allow for what goes out, unless somebody has changed that."
        }
        _ => {
            "Before the zones firewalld accepts what belongs to connections that exist and loopback, and drops \
             INVALID; what no zone accepts is rejected. With its nftables backend the rule is the same in other \
             words. Without --permanent it goes with the next reload, with it alone it comes with that."
        }
    };
    answer.say(
        Topic::Form,
        "form.frontend",
        format!(
            "A command of {}. What is told here is the rule that it makes, in its chain {}; `iptables-save` or \
             `nft list ruleset` shows what stands there.",
            made.tool, made.chain
        ),
    );
    answer.say(Topic::Form, "form.frontend-around", around);
    if let [_, others @ ..] = made.protocols.as_slice()
        && !others.is_empty()
    {
        answer.say(
            Topic::Form,
            "form.frontend-protocols",
            format!(
                "It names no protocol: there is the same rule for {} as well.",
                others.join(" and ")
            ),
        );
    }
    if !made.left_out.is_empty() {
        let text = made.left_out.join("; ");
        answer.say(Topic::Fault, "fault.unread", format!("Left out here: {text}."));
        answer.assume("words", format!("The rule was taken without {text}."));
    }
    answer.assume(
        "family",
        "The same stands in its rules for IPv6, unless it names an address: run with IPv4.",
    );
    let subject = Subject {
        family: Family::V4,
        table: "filter".into(),
        chain: made.base.into(),
        words: made.words,
        base: None,
    };
    answer.assume(
        "chain",
        format!(
            "Its chain {} is called by {}: the rule is told and run as one of that.",
            made.chain, made.base
        ),
    );
    rule::explain(&mut answer, &subject, &Context::Alone);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_rules() {
        for (command, chain, wanted) in [
            ("ufw allow 22/tcp", "ufw-user-input", "-p tcp -m tcp --dport 22 -j ACCEPT"),
            ("sudo ufw deny out 25", "ufw-user-output", "-p tcp -m tcp --dport 25 -j DROP"),
            ("ufw allow ssh", "ufw-user-input", "-p tcp -m tcp --dport 22 -j ACCEPT"),
            (
                "ufw allow from 10.0.0.0/8 to any port 80,443 proto tcp",
                "ufw-user-input",
                "-s 10.0.0.0/8 -p tcp -m multiport --dports 80,443 -j ACCEPT",
            ),
            (
                "ufw route allow in on eth1 out on eth0",
                "ufw-user-forward",
                "-i eth1 -o eth0 -j ACCEPT",
            ),
            (
                "firewall-cmd --permanent --add-service=http",
                "IN_public_allow",
                "-p tcp -m tcp --dport 80 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT",
            ),
            (
                "firewall-cmd --zone public --add-port=5000-5010/udp",
                "IN_public_allow",
                "-p udp -m udp --dport 5000:5010 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT",
            ),
        ] {
            let made = read(command).expect(command);
            assert_eq!((made.chain, made.words.join(" ").as_str()), (chain, wanted), "{command}");
        }
        for other in ["ufw status", "ufw enable", "firewall-cmd --reload", "ufw"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
