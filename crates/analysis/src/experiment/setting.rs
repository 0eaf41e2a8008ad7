//! The rule sets an experiment compares: the rule with as little around it as lets a conversation
//! meet it, and the same without it.

use super::Context;
use super::run::RuleAt;
use crate::conversation::templates_upper;
use crate::conversation::{Template, Who};
use crate::prose::targets::{self, Kind};
use crate::rule::words::{MatchWords, OptionWords, RuleWords};
use crate::witness::{SPOOFED, Scene};
use keepstate_packet::Family;

/// What stands around the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Policy of the rule's chain, where the rule stands in the filter table.
    pub policy_drop: bool,
    /// Rules of the filter table before it.
    pub before: Vec<String>,
    /// Rules of the filter table after it.
    pub after: Vec<String>,
    /// Rules of the rule's own table before it, where that is not the filter table.
    pub own: Vec<String>,
    /// Rules of the raw table.
    pub raw: Vec<String>,
    /// Rules of the nat table.
    pub nat: Vec<String>,
    /// Whether a file of the reader's own is around it instead.
    pub file: bool,
}

/// A rule set under a name.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) source: String,
    pub(super) rule_at: RuleAt,
}

/// What kind of target the rule has.
#[must_use]
pub fn kind_of(rule: &RuleWords) -> Kind {
    targets::kind(rule.target.as_ref())
}

impl Setting {
    /// The rules around, for people.
    pub(super) fn shown(&self, rule: &RuleWords) -> Vec<String> {
        if self.file {
            return Vec::new();
        }
        let chain = filter_chain(rule);
        let policy = if self.policy_drop { "DROP" } else { "ACCEPT" };
        let mut lines = Vec::new();
        if rule.table == "filter" || self.policy_drop {
            lines.push(format!("*filter  :{chain} {policy} [0:0]"));
        }
        lines.extend(self.raw.iter().map(|line| format!("*raw     {line}")));
        lines.extend(self.nat.iter().map(|line| format!("*nat     {line}")));
        lines.extend(self.before.iter().map(|line| format!("*filter  {line}")));
        lines.extend(self.own.iter().map(|line| format!("*{:<7} {line}", rule.table)));
        lines.extend(way_in(rule).map(|line| format!("*{:<7} {line}", rule.table)));
        let here = format!("*{:<7} {}  <==", rule.table, rule.save());
        lines.push(here);
        lines.extend(self.after.iter().map(|line| format!("*filter  {line}")));
        lines
    }
}

/// Whether a conversation can say something about a rule.
pub(super) fn applies(rule: &RuleWords, template: &Template) -> bool {
    let protocol_fits = match templates_upper(template, rule.family) {
        Some(protocol) => rule.admits_protocol(protocol),
        None => rule.protocol().is_some_and(|p| !matches!(p, 1 | 6 | 17 | 58)),
    };
    let states = rule.states();
    let asks = |state: &str| states.as_ref().is_some_and(|states| states.contains(&state));
    let lone_flags = rule
        .options(&["--tcp-flags"])
        .any(|option| option.values.get(1).map(String::as_str) != Some("SYN"));
    let icmp_named = rule.options(&["--icmp-type", "--icmpv6-type"]).next().is_some();
    let expected = rule.options(&["--ctstatus"]).any(|option| option.value().contains("EXPECTED"));
    let helper_wanted = matches!(kind_of(rule), Kind::Helper)
        || asks("RELATED")
        || rule.has_match("helper")
        || expected;
    if kind_of(rule) == Kind::Nat || rule.table == "nat" {
        let shown = matches!(template.code, "tcp-server" | "udp-server" | "ping-server");
        return protocol_fits && shown && kind_of(rule) == Kind::Nat;
    }
    let wanted = match template.code {
        code if asks_for_dnat(rule) => matches!(code, "tcp-server" | "udp-server"),
        "ftp-active" | "ftp-passive" => {
            helper_wanted
                && rule.target_name() != "DROP"
                && names_helper(rule).is_none_or(|n| n == "ftp")
        }
        "tftp" | "sip" | "irc-dcc" => names_helper(rule) == template.helper(),
        "attempts" => counts(rule),
        SPOOFED => claims_loopback(rule),
        "out-of-window" | "asymmetric" | "stray-rst" | "stray-icmp-error" => asks("INVALID"),
        "mid-stream" => asks("NEW") && rule.options(&["--tcp-flags", "--syn"]).any(|o| o.not),
        "lone-segment" => lone_flags,
        "reject-reset" | "reject-error" => {
            asks("RELATED") && rule.chain == "OUTPUT" && kind_of(rule) == Kind::Accept
        }
        "icmp-message" => icmp_named && !icmp_covered(rule),
        "neighbour" => rule.family == Family::V6,
        "icmp-error" => asks("RELATED") || (!asks("INVALID") && icmp_is_error(rule)),
        _ => true,
    };
    let left_out = super::expected(rule, template.code);
    (protocol_fits || left_out)
        && wanted
        && !(matches!(kind_of(rule), Kind::Nothing) && states.is_none() && asking(rule).is_none())
}

/// Numbers up to this one are come to in a conversation of one client's attempts.
const COUNT_MAX: u32 = 8;

/// The rule with smaller numbers, where its own are larger than the attempts of one client that are told.
pub(crate) fn smaller(rule: &RuleWords) -> Option<RuleWords> {
    let mut other = rule.clone();
    let mut changed = false;
    for option in other.matches.iter_mut().flat_map(|m| &mut m.options) {
        let Some(value) = option.values.first_mut() else { continue };
        let number = value.parse::<u32>().ok();
        let less = match (option.name.as_str(), number, value.split_once('/')) {
            ("--connlimit-above" | "--connlimit-upto" | "--hitcount", Some(number), _)
            | ("--limit-burst" | "--hashlimit-burst", Some(number), _)
                if number > COUNT_MAX =>
            {
                "3"
            }
            // One attempt comes a second.
            ("--limit" | "--hashlimit-upto" | "--hashlimit-above", _, Some((_, per)))
                if per.starts_with('s') =>
            {
                "3/minute"
            }
            _ => continue,
        };
        *value = less.to_string();
        changed = true;
    }
    changed.then_some(other)
}

/// Whether the rule is about connections that DNAT has led elsewhere.
pub(crate) fn asks_for_dnat(rule: &RuleWords) -> bool {
    let named = |option: &OptionWords| {
        !option.not && option.value().split(',').any(|state| state == "DNAT")
    };
    rule.chain == "FORWARD" && rule.options(&["--ctstate", "--ctstatus"]).any(named)
}

/// The rule that leads there, in a scene in which the client calls another address than the server's.
fn leading(rule: &RuleWords, scene: &Scene) -> Option<String> {
    let (address, port) = scene.called.filter(|_| rule.table != "nat")?;
    let protocol = if rule.protocol() == Some(17) { "udp" } else { "tcp" };
    let to = std::net::SocketAddr::new(scene.addresses.server, scene.parties.server_port);
    Some(format!(
        "-A PREROUTING -d {address} -p {protocol} -m {protocol} --dport {port} -j DNAT --to-destination {to}"
    ))
}

/// The helper that the rule assigns, or asks for.
fn names_helper(rule: &RuleWords) -> Option<&str> {
    let asked = rule.options(&["--helper"]).find(|option| !option.not).map(|option| option.value());
    asked.or_else(|| rule.target_option("--helper").map(|option| option.value()))
}

/// Whether the rule is about packets from outside with an address of the loopback network.
fn claims_loopback(rule: &RuleWords) -> bool {
    let named = |option: &str, head: &str| {
        rule.header(option).is_some_and(|option| !option.not && option.value().starts_with(head))
    };
    (named("-s", "127.") || named("-d", "127.")) && !named("-i", "lo")
}

/// Whether what the rule says hangs on how many packets came before.
pub(super) fn counts(rule: &RuleWords) -> bool {
    const COUNTING: [&str; 6] = ["limit", "hashlimit", "recent", "connlimit", "quota", "statistic"];
    COUNTING.iter().any(|name| rule.has_match(name))
}

/// The ICMP type that the rule names.
fn icmp_type(rule: &RuleWords) -> Option<u8> {
    let option = rule.options(&["--icmp-type", "--icmpv6-type"]).find(|option| !option.not)?;
    let (kind, _) = crate::prose::icmp::number(rule.family == Family::V4, option.value())?;
    Some(kind)
}

/// Whether the rule names no ICMP type, or that of an error.
fn icmp_is_error(rule: &RuleWords) -> bool {
    let v4 = rule.family == Family::V4;
    icmp_type(rule).is_none_or(|kind| crate::prose::icmp::is_error(v4, kind))
}

/// Whether a conversation of its own shows the ICMP type that the rule names.
fn icmp_covered(rule: &RuleWords) -> bool {
    let echo = matches!(icmp_type(rule), Some(0 | 8 | 128 | 129 | 135 | 136));
    icmp_is_error(rule) || echo
}

/// The chain that packets enter: the rule's own, or INPUT for a rule of a user chain.
pub(super) fn base_chain(rule: &RuleWords) -> &str {
    match rule.chain.as_str() {
        chain @ ("INPUT" | "FORWARD" | "OUTPUT" | "PREROUTING" | "POSTROUTING") => chain,
        _ => "INPUT",
    }
}

/// The chain of the filter table through which the packets of interest go.
fn filter_chain(rule: &RuleWords) -> &str {
    match base_chain(rule) {
        "PREROUTING" => "INPUT",
        "POSTROUTING" => "OUTPUT",
        chain => chain,
    }
}

/// The settings to try, the barest first.
pub(super) fn settings(
    rule: &RuleWords,
    template: &Template,
    scene: &Scene,
    context: &Context<'_>,
) -> Vec<Setting> {
    if let Context::File { .. } = context {
        return vec![Setting { file: true, ..Setting::default() }];
    }
    let kind = kind_of(rule);
    let chain = filter_chain(rule);
    let mut base = Setting { policy_drop: kind == Kind::Accept, ..Setting::default() };
    if kind == Kind::Return {
        let here = if base_chain(rule) == rule.chain { chain } else { rule.chain.as_str() };
        base.after.push(format!("-A {here} -j DROP"));
        return vec![base];
    }
    base.before.extend(noted(rule));
    base.after.extend(asking(rule));
    if restores_mark(rule) {
        let mark = "-m conntrack --ctstate NEW -j CONNMARK --set-xmark 0x1/0xffffffff";
        base.own.push(format!("-A {} {mark}", base_chain(rule)));
    }
    base.nat.extend(leading(rule, scene));
    if let Some(helper) = template.helper()
        && kind != Kind::Helper
    {
        let raw = match scene.place {
            crate::witness::Place::On(Who::Client) => "OUTPUT",
            _ => "PREROUTING",
        };
        base.raw.push(format!(
            "-A {raw} -p tcp -m tcp --dport {} -j CT --helper {helper}",
            scene.parties.server_port
        ));
    }
    if matches!(kind, Kind::Helper | Kind::Notrack) {
        base.policy_drop = true;
        base.before.extend(other_side(chain, scene));
        base.before
            .push(format!("-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"));
        base.before.extend(begin(rule, chain, template, scene));
        return vec![base];
    }
    let marks = rule.target_name() == "MARK" || restores_mark(rule);
    if marks && rule.table != "filter" {
        // A line of LOG shows the mark that a packet carries.
        let log = "-m mark ! --mark 0x0 -j LOG --log-prefix \"marked: \"";
        base.after.push(format!("-A {chain} {log}"));
    }
    if kind != Kind::Accept {
        return vec![base];
    }
    if rule.table != "filter" {
        base.policy_drop = false;
        return vec![base];
    }
    accepting(rule, chain, template, scene, &base)
}

/// Whether the rule gives packets the mark that their connection keeps.
fn restores_mark(rule: &RuleWords) -> bool {
    rule.target_name() == "CONNMARK" && rule.target_option("--restore-mark").is_some()
}

/// The rule that notes what one with `-m recent --update` or `--rcheck` asks about.
pub(crate) fn noted(rule: &RuleWords) -> Option<String> {
    Some(beside(rule, &["--update", "--rcheck"], &[("--set", None)])?.save())
}

/// A rule that asks about what one with `-m recent --set` notes and lets go on.
pub(crate) fn asking(rule: &RuleWords) -> Option<String> {
    let asks = [("--update", None), ("--seconds", Some("60")), ("--hitcount", Some("4"))];
    let goes_on = matches!(kind_of(rule), Kind::Nothing | Kind::Log);
    let other = beside(rule, &["--set"], &asks).filter(|_| goes_on)?;
    Some(format!("{} -j DROP", other.save()))
}

/// The rule, without its target, that does something else with the list of `-m recent`.
fn beside(rule: &RuleWords, has: &[&str], does: &[(&str, Option<&str>)]) -> Option<RuleWords> {
    let recent = rule.matches.iter().find(|m| {
        let named = |option: &OptionWords| has.contains(&option.name.as_str());
        m.name == "recent" && m.options.iter().any(named)
    })?;
    let option = |(name, value): &(&str, Option<&str>)| OptionWords {
        not: false,
        name: (*name).to_string(),
        values: value.iter().map(|value| (*value).to_string()).collect(),
    };
    let kept = ["--name", "--mask", "--rsource", "--rdest"];
    let list = recent.options.iter().filter(|option| kept.contains(&option.name.as_str()));
    let options = does.iter().map(option).chain(list.cloned()).collect();
    let mut other = rule.clone();
    other.matches.retain(|m| m.name != "recent");
    other.matches.push(MatchWords { name: String::from("recent"), options });
    other.target = None;
    Some(other)
}

/// For a rule that accepts, under a policy that drops: what lets the rest of a conversation pass.
fn accepting(
    rule: &RuleWords,
    chain: &str,
    template: &Template,
    scene: &Scene,
    base: &Setting,
) -> Vec<Setting> {
    let other = other_side(chain, scene);
    let begin = begin(rule, chain, template, scene);
    let answers = format!("-A {chain} -m conntrack --ctstate ESTABLISHED -j ACCEPT");
    let with = |lines: Vec<String>| {
        let mut setting = base.clone();
        setting.before.extend(lines);
        setting
    };
    if matches!(template.code, "reject-reset" | "reject-error") {
        let reject = match template.code {
            "reject-reset" => {
                "-A INPUT -p tcp -m tcp --dport 113 -j REJECT --reject-with tcp-reset"
            }
            _ => "-A INPUT -p udp -m udp --dport 99 -j REJECT",
        };
        return vec![with(vec![reject.to_string()])];
    }
    let middle = template.helper().is_some()
        || template.sender == Who::Router
        || matches!(template.code, "out-of-window" | "stray-rst");
    if middle {
        // What is of interest comes in the midst of a connection that works.
        let lines = other.into_iter().chain([answers]).chain(begin);
        return vec![with(lines.collect())];
    }
    let mut out = vec![with(Vec::new())];
    if let Some(other) = &other {
        out.push(with(vec![other.clone()]));
    }
    if let Some(begin) = &begin {
        out.push(with(other.iter().cloned().chain([begin.clone()]).collect()));
    }
    out.push(with(other.iter().cloned().chain([answers.clone()]).collect()));
    if let Some(begin) = begin {
        out.push(with(other.into_iter().chain([answers, begin]).collect()));
    }
    out
}

/// On a router: what the other side sends passes.
fn other_side(chain: &str, scene: &Scene) -> Option<String> {
    (chain == "FORWARD").then(|| format!("-A FORWARD -i {} -j ACCEPT", scene.interfaces.1))
}

/// Lets the conversation begin, where it begins on the side of the packets of interest.
fn begin(rule: &RuleWords, chain: &str, template: &Template, scene: &Scene) -> Option<String> {
    if template.sender != Who::Client {
        return None;
    }
    let protocol = match templates_upper(template, rule.family)? {
        6 => "tcp",
        17 => "udp",
        1 => "icmp",
        _ => "ipv6-icmp",
    };
    let port = match protocol {
        "tcp" | "udp" => format!(" -m {protocol} --dport {}", scene.parties.server_port),
        _ => String::new(),
    };
    Some(format!("-A {chain} -p {protocol}{port} -m conntrack --ctstate NEW -j ACCEPT"))
}

/// The rule sets to compare.
pub(super) fn variants(rule: &RuleWords, setting: &Setting, context: &Context<'_>) -> Vec<Variant> {
    if let Context::File { source, line } = context {
        let without = without_line(source, *line);
        return vec![
            Variant { name: "as it is", source: (*source).to_string(), rule_at: Some(*line) },
            Variant { name: "without the rule", source: without, rule_at: None },
        ];
    }
    let text = rule.save();
    let mut out = vec![
        variant("with the rule", rule, setting, Some(&text)),
        variant("without it", rule, setting, None),
    ];
    if !setting.raw.is_empty() && kind_of(rule) == Kind::Accept {
        let bare = Setting { raw: Vec::new(), ..setting.clone() };
        out.push(variant("with it, no helper", rule, &bare, Some(&text)));
    }
    let instead = match (kind_of(rule), rule.target_name()) {
        (Kind::Drop, "DROP") if !rule.names_state("INVALID") => {
            Some(("with REJECT instead", "REJECT"))
        }
        (Kind::Drop, "REJECT") => Some(("with DROP instead", "DROP")),
        _ => None,
    };
    if let Some((name, target)) = instead {
        let mut other = rule.clone();
        if let Some(words) = &mut other.target {
            words.name = target.to_string();
            words.options.clear();
        }
        out.push(variant(name, &other, setting, Some(&other.save())));
    }
    out
}

/// The file with one line blanked, so that all others keep their numbers.
fn without_line(source: &str, line: usize) -> String {
    let mut out = String::with_capacity(source.len());
    for (index, text) in source.lines().enumerate() {
        if index + 1 != line {
            out.push_str(text);
        }
        out.push('\n');
    }
    out
}

fn variant(name: &'static str, rule: &RuleWords, setting: &Setting, text: Option<&str>) -> Variant {
    let mut lines: Vec<String> = Vec::new();
    let mut rule_at = None;
    if rule.table != "filter" {
        table(&mut lines, rule, &setting.own, text, &mut rule_at);
    }
    if !setting.raw.is_empty() {
        lines.push(String::from("*raw"));
        lines.extend(setting.raw.iter().cloned());
        lines.push(String::from("COMMIT"));
    }
    if !setting.nat.is_empty() {
        lines.push(String::from("*nat"));
        lines.extend(setting.nat.iter().cloned());
        lines.push(String::from("COMMIT"));
    }
    lines.push(String::from("*filter"));
    let dropping = filter_chain(rule);
    for chain in ["INPUT", "FORWARD", "OUTPUT"] {
        let policy = if setting.policy_drop && chain == dropping { "DROP" } else { "ACCEPT" };
        lines.push(format!(":{chain} {policy} [0:0]"));
    }
    if rule.table == "filter" {
        lines.extend(user_chains(rule));
        lines.extend(setting.before.iter().cloned());
        lines.extend(way_in(rule));
        if let Some(text) = text {
            lines.push(text.to_string());
            rule_at = Some(lines.len());
        }
    } else {
        lines.extend(setting.before.iter().cloned());
    }
    lines.extend(setting.after.iter().cloned());
    lines.push(String::from("COMMIT"));
    let mut source = lines.join("\n");
    source.push('\n');
    Variant { name, source, rule_at }
}

/// A table other than filter, with the rule in it.
fn table(
    lines: &mut Vec<String>,
    rule: &RuleWords,
    before: &[String],
    text: Option<&str>,
    rule_at: &mut RuleAt,
) {
    lines.push(format!("*{}", rule.table));
    lines.extend(user_chains(rule));
    lines.extend(before.iter().cloned());
    lines.extend(way_in(rule));
    if let Some(text) = text {
        lines.push(text.to_string());
        *rule_at = Some(lines.len());
    }
    lines.push(String::from("COMMIT"));
}

/// Declarations of the user chains that the rule stands in or jumps to; empty ones.
fn user_chains(rule: &RuleWords) -> Vec<String> {
    let mut names = Vec::new();
    if base_chain(rule) != rule.chain {
        names.push(rule.chain.as_str());
    }
    if kind_of(rule) == Kind::Chain && rule.target_name() != rule.chain {
        names.push(rule.target_name());
    }
    names.iter().map(|name| format!(":{name} - [0:0]")).collect()
}

/// For a rule of a user chain: the jump that leads to it.
fn way_in(rule: &RuleWords) -> Option<String> {
    (base_chain(rule) != rule.chain).then(|| format!("-A {} -j {}", base_chain(rule), rule.chain))
}

/// The rule sets that show what a policy does: itself and the other one.
pub(super) fn policies(chain: &str, policy: &str) -> Vec<Variant> {
    let other = if policy == "DROP" { "ACCEPT" } else { "DROP" };
    [("as it is", policy), ("with the other policy", other)]
        .into_iter()
        .map(|(name, policy)| Variant {
            name,
            source: format!("*filter\n:{chain} {policy} [0:0]\nCOMMIT\n"),
            rule_at: None,
        })
        .collect()
}
