//! From a pasted text to an answer.

use crate::answer::{Answer, Fact, Topic};
use crate::experiment::Context;
use crate::forms;
use crate::recognise::{Form, first_line, recognise};
use crate::rule::{self, Subject};
use keepstate_packet::Family;
use keepstate_ruleset::syntax::iptables_command::{self, Command, Operation};
use keepstate_ruleset::syntax::iptables_list::{self, ListedRule};

/// Most bytes of a text that are explained.
pub const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// The text.
    pub text: &'a str,
    /// A rule file to hold a log or connection line against.
    pub rules: Option<&'a str>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unexplained {
    /// Nothing was given.
    Empty,
    /// More than [`TEXT_BYTES_MAX`] bytes.
    TooLong,
    /// It is none of the forms known here. With what it looks like, if anything.
    Unknown(Option<&'static str>),
    /// The file has no such line.
    NoSuchLine,
    /// The line is empty or a comment.
    NothingOnLine,
    /// No diagnostic has this code.
    NoSuchCode,
    /// No match or target has this name.
    NoSuchExtension(String),
}

impl core::fmt::Display for Unexplained {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing to explain: the text is empty"),
            Self::TooLong => write!(f, "the text is longer than {TEXT_BYTES_MAX} bytes"),
            Self::Unknown(None) => write!(f, "this is no text that can be explained here\n{KNOWN}"),
            Self::Unknown(Some(what)) => {
                write!(f, "this looks like {what}, which cannot be explained yet\n{KNOWN}")
            }
            Self::NoSuchLine => f.write_str("the file has no such line"),
            Self::NothingOnLine => f.write_str("there is no rule on this line"),
            Self::NoSuchExtension(text) => f.write_str(text),
            Self::NoSuchCode => f.write_str("no diagnostic has this code"),
        }
    }
}

impl core::error::Error for Unexplained {}

const KNOWN: &str = "help: paste a row of `iptables -L`, a line of `iptables -S` or iptables-save, \
                     an `iptables ...` command, a whole listing or rule file, a line of `conntrack \
                     -L`, `-E`, `-L expect` or `-S`, a `conntrack ...` command, a line of \
                     /proc/net/nf_conntrack, of the LOG target or of a trace, a rule of nftables, a \
                     command of ufw or firewalld, a part of a rule, `-m NAME` or `-j NAME` for a page of the manual, or a code such as KS0101";

/// Explains a text by itself.
///
/// # Errors
/// [`Unexplained`].
pub fn explain_text(text: &str) -> Result<Answer, Unexplained> {
    explain(&Question { text, rules: None })
}

/// Explains a text.
///
/// # Errors
/// [`Unexplained`].
pub fn explain(question: &Question<'_>) -> Result<Answer, Unexplained> {
    let text = question.text;
    if text.trim().is_empty() {
        return Err(Unexplained::Empty);
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Unexplained::TooLong);
    }
    let cleaned = without_web_page(text);
    let form = recognise(&cleaned).ok_or_else(|| unexplained(&cleaned))?;
    let line = first_line(&cleaned);
    let mut answer = of_form(form, text, &cleaned, line, question.rules)?;
    if matches!(form, Form::LogLine | Form::ConntrackLine | Form::ConntrackEvent | Form::ExpectLine)
    {
        in_short(&mut answer);
    }
    let others = cleaned.lines().filter(|line| !line.trim().is_empty()).count().saturating_sub(1);
    let whole = matches!(form, Form::SaveFile | Form::Listing | Form::Script)
        || form == Form::TraceLine && forms::trace::is_several(&cleaned);
    if others > 0 && !whole {
        answer.say(
            Topic::Form,
            "form.first-line",
            format!("There are {others} more lines; this is about the first one that says something: {line}"),
        );
    }
    Ok(answer)
}

/// Says first what follows from a line, of which each field is told.
fn in_short(answer: &mut Answer) {
    let mut lines: Vec<(&str, String)> = Vec::new();
    for section in &answer.sections {
        let (label, most) = match section.topic {
            Topic::Form => ("where", 1),
            Topic::Consequences => ("says", SAID_MAX),
            Topic::Mind => ("mind", 1),
            _ => continue,
        };
        let said = section.facts.iter().filter_map(|fact| match fact {
            Fact::Statement { code, text, .. } if label != "where" || code == "form.log-hook" => {
                Some(text)
            }
            Fact::Paste { text, .. } if label == "mind" => Some(text),
            _ => None,
        });
        let texts = said.take(most).map(|text| rule::short::sentence(text).trim_end_matches(':'));
        lines.extend(texts.map(|text| (label, text.to_string())));
    }
    for (label, text) in lines {
        answer.add(Topic::Short, Fact::Field { field: label.into(), text });
    }
}

/// What follows from a line, as many sentences at first.
const SAID_MAX: usize = 3;

fn unexplained(text: &str) -> Unexplained {
    match forms::manual::unknown(text) {
        Some(text) => Unexplained::NoSuchExtension(text),
        None => Unexplained::Unknown(looks_like(text)),
    }
}

fn of_form(
    form: Form,
    text: &str,
    cleaned: &str,
    line: &str,
    rules: Option<&str>,
) -> Result<Answer, Unexplained> {
    match form {
        Form::DiagnosticCode => forms::diagnostic::explain(line).ok_or(Unexplained::NoSuchCode),
        Form::LintCode => forms::lint::explain(line).ok_or(Unexplained::NoSuchCode),
        Form::ManualPage => forms::manual::explain(line).ok_or(Unexplained::Unknown(None)),
        Form::ListRow => list_row(text, line).ok_or(Unexplained::Unknown(None)),
        Form::SaveLine | Form::Command => command(text, line).ok_or(Unexplained::Unknown(None)),
        Form::SavePolicy | Form::ListChainHead => Ok(forms::policy::explain(text, line, None)),
        Form::SaveTable => forms::table::explain(text, line).ok_or(Unexplained::Unknown(None)),
        Form::SaveFile | Form::Listing | Form::Script => Ok(forms::file::explain(cleaned, form)),
        Form::ConntrackLine | Form::ConntrackEvent => {
            forms::conntrack::explain(text, line).ok_or(Unexplained::Unknown(None))
        }
        Form::ConntrackXml => {
            forms::conntrack_xml::explain(text, line).ok_or(Unexplained::Unknown(None))
        }
        Form::ConntrackCommand => {
            forms::conntrack_command::explain(text, line).ok_or(Unexplained::Unknown(None))
        }
        Form::ConntrackStatistics => {
            forms::statistics::explain(text, line).ok_or(Unexplained::Unknown(None))
        }
        Form::ExpectLine => forms::expect::explain(text, line).ok_or(Unexplained::Unknown(None)),
        Form::LogLine => forms::log::explain(text, line, rules).ok_or(Unexplained::Unknown(None)),
        Form::TraceLine if forms::trace::is_several(cleaned) => {
            Ok(forms::trace::explain_all(cleaned))
        }
        Form::TraceLine => forms::trace::explain(text, line).ok_or(Unexplained::Unknown(None)),
        Form::RulePart => forms::part::explain(text, line).ok_or(Unexplained::Unknown(None)),
        Form::NftRule => forms::nft::explain(text, line).ok_or(Unexplained::Unknown(None)),
        Form::FrontendCommand => {
            forms::frontends::explain(text, line).ok_or(Unexplained::Unknown(None))
        }
        Form::KernelMessage => forms::kernel::explain(text, line).ok_or(Unexplained::Unknown(None)),
    }
}

/// Explains line `line` (from 1) of a rule file, in the midst of that file.
///
/// # Errors
/// [`Unexplained`].
pub fn explain_line(source: &str, line: usize) -> Result<Answer, Unexplained> {
    if source.len() > TEXT_BYTES_MAX {
        return Err(Unexplained::TooLong);
    }
    let text = source.lines().nth(line.wrapping_sub(1)).ok_or(Unexplained::NoSuchLine)?;
    if text.trim().is_empty() || text.trim_start().starts_with('#') {
        return Err(Unexplained::NothingOnLine);
    }
    match forms::file::subject_of(source, line) {
        Some(subject) => Ok(forms::file::explain_rule(source, line, text, &subject)),
        None if text.starts_with(':') => {
            let above = source.lines().take(line).filter_map(|line| line.strip_prefix('*'));
            Ok(forms::policy::explain(text, text.trim(), above.last().map(str::trim)))
        }
        None => explain_text(text),
    }
}

/// What web pages do to a line: tags, no-break spaces, entities, typographic quotes.
fn without_web_page(text: &str) -> String {
    without_tags(text.trim_start_matches('\u{feff}'))
        .replace('\u{a0}', " ")
        .replace("&nbsp;", " ")
        .replace("&quot;", "\"")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
        .replace(['\u{201c}', '\u{201d}'], "\"")
}

/// Tags that rules are found between; one of the second kind ends a line.
const TAGS: [&[&str]; 2] = [
    &["td", "th", "b", "i", "em", "strong", "code", "tt", "span", "font", "a", "kbd"],
    &["tr", "table", "tbody", "thead", "pre", "p", "br", "div", "li", "ul", "ol"],
];

/// Without HTML's tags. Whatever else stands in angle brackets stays: it may be a part of a rule.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let (inside, behind) = after.split_once('>').unwrap_or(("", ""));
        let name = inside.trim_start_matches('/').split([' ', '/']).next().unwrap_or("");
        let is = |kind: &[&str]| kind.iter().any(|tag| tag.eq_ignore_ascii_case(name));
        let [within, ending] = TAGS.map(is);
        if within || ending {
            out.push(if ending { '\n' } else { ' ' });
            rest = behind;
        } else {
            out.push('<');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Kinds of text that people have and that are not read yet.
fn looks_like(text: &str) -> Option<&'static str> {
    let first = text.trim_start();
    let begins = |words: &[&str]| words.iter().any(|word| first.starts_with(word));
    let nft = ["table ip", "table inet", "add rule", "chain ", "ct state", "nft ", "meta "];
    let fields = ["tcp dport", "tcp sport", "udp dport", "udp sport", "ip saddr", "ip daddr"];
    let more = ["iif ", "iifname ", "oif ", "oifname ", "ip6 ", "type filter hook", "ct mark"];
    if begins(&nft) || begins(&fields) || begins(&more) {
        return Some("nftables (single rules are read, whole files are not)");
    }
    if begins(&["ufw ", "sudo ufw "]) {
        return Some("a command of ufw that makes no rule (what it has made, iptables-save shows)");
    }
    if begins(&["firewall-cmd ", "sudo firewall-cmd "]) {
        return Some("a command of firewalld (those with --add-service and --add-port are read)");
    }
    if begins(&["<?xml", "<conntrack", "<flow"]) {
        return Some("the XML output of conntrack");
    }
    if begins(&["{"]) {
        return Some("JSON");
    }
    if begins(&["create ", "add "]) && first.contains("hash:") {
        return Some("ipset");
    }
    None
}

fn list_row(input: &str, line: &str) -> Option<Answer> {
    let row = iptables_list::read_row(line)?;
    let mut answer = Answer::new(input, "iptables-list-row");
    form_of_row(&mut answer, &row);
    let family = if row.v6 { Family::V6 } else { Family::V4 };
    let words = iptables_command::split(&row.save_words())?;
    let (table, chain) = assumed_place(&mut answer, row.target.as_deref());
    let subject = Subject { family, table, chain, words, base: None };
    rule::explain(&mut answer, &subject, &Context::Alone);
    Some(answer)
}

/// A listing row says neither table nor chain.
fn assumed_place(answer: &mut Answer, target: Option<&str>) -> (String, String) {
    let (table, chain) = place_of(target);
    let taken =
        format!("The row says neither its table nor its chain: taken as {chain} of {table}.");
    let text = match chain {
        "INPUT" => format!(
            "{taken} In FORWARD the same holds for packets that pass through, in OUTPUT for those the \
             host sends."
        ),
        OWN_CHAIN => format!(
            "The row says neither its table nor its chain: taken as one of a chain of somebody's own, \
             here called {OWN_CHAIN}, in table {table}. In a built-in chain RETURN ends the chain, and \
             its policy decides."
        ),
        _ => format!("{taken} Such a target stands there, nearly always."),
    };
    answer.assume("chain", text);
    (table.to_string(), chain.to_string())
}

/// What a chain is called of which nobody has told the name.
const OWN_CHAIN: &str = "a-chain";

/// Where a rule with this target stands, mostly.
pub(crate) fn place_of(target: Option<&str>) -> (&'static str, &'static str) {
    match target {
        Some("CT" | "NOTRACK") => ("raw", "PREROUTING"),
        Some("DNAT" | "REDIRECT") => ("nat", "PREROUTING"),
        Some("SNAT" | "MASQUERADE") => ("nat", "POSTROUTING"),
        Some("TCPMSS") => ("mangle", "FORWARD"),
        Some("MARK" | "CONNMARK" | "TOS" | "DSCP" | "TTL" | "HL") => ("mangle", "PREROUTING"),
        Some("RETURN") => ("filter", OWN_CHAIN),
        _ => ("filter", "INPUT"),
    }
}

fn form_of_row(answer: &mut Answer, row: &ListedRule) {
    let program = if row.v6 { "ip6tables" } else { "iptables" };
    let options = match (&row.counters, row.number) {
        (Some(_), Some(_)) => " -v --line-numbers",
        (Some(_), None) => " -v",
        (None, Some(_)) => " --line-numbers",
        (None, None) => "",
    };
    answer.say(
        Topic::Form,
        "form.list-row",
        format!("A row of a listing, as `{program} -L{options}` prints it: one rule of a chain."),
    );
    if row.counters.is_none() {
        answer.say(
            Topic::Form,
            "form.no-interfaces",
            "Such a listing without -v has no interface columns and no counters: the rule may be \
             bound to an interface (-i lo, say) and this row would look the same. `iptables -S` or \
             iptables-save shows everything.",
        );
        answer.assume("interfaces", "No interface is named: the rule holds for all of them.");
    }
    if row.counters.is_some() && row.in_interface.is_none() {
        answer.say(
            Topic::Form,
            "form.interfaces-lost",
            "Its interface columns were lost on the way.",
        );
        answer.assume("interfaces", "The interface columns are lost: taken as any interface.");
    }
    lost_addresses(answer, row);
    answer.say(
        Topic::Form,
        "form.no-chain",
        "A row does not say which chain and table it is from, nor what stands before it and what \
         the chain's policy is.",
    );
    not_understood(answer, row);
}

fn lost_addresses(answer: &mut Answer, row: &ListedRule) {
    match (&row.source, &row.destination) {
        (None, None) => {
            answer.say(
                Topic::Form,
                "form.addresses-lost",
                "The source and destination columns are missing here, as when a listing is copied \
                 from a web page; usually both say `anywhere`.",
            );
            answer.assume(
                "addresses",
                "The address columns are lost: source and destination taken as anywhere.",
            );
        }
        (_, None) => {
            answer.say(
                Topic::Form,
                "form.address-lost",
                "One of the two address columns is missing; the one there is taken as the source.",
            );
            answer.assume("addresses", "The destination column is lost: taken as anywhere.");
        }
        _ => {}
    }
}

fn not_understood(answer: &mut Answer, row: &ListedRule) {
    for name in &row.unresolved {
        answer.assume(
            "names",
            format!("`{name}` is a name, not an address (list with -n): taken as anywhere."),
        );
    }
    if !row.unread.is_empty() {
        let words = row.unread.join(" ");
        answer.say(
            Topic::Fault,
            "fault.unread",
            format!("These words of the row are not understood and were left out: {words}"),
        );
        answer.assume("words", format!("The rule was taken without `{words}`."));
    }
}

fn command(input: &str, line: &str) -> Option<Answer> {
    let read = iptables_command::read(line)?;
    let form = if read.family.is_some() { "iptables-command" } else { "iptables-save-line" };
    let mut answer = Answer::new(input, form);
    if let Operation::Policy(policy) = &read.operation {
        return Some(forms::policy::of_command(answer, &read.chain, policy));
    }
    form_of_command(&mut answer, &read, line);
    if read.rule.is_empty() && !matches!(read.operation, Operation::Append | Operation::Insert(_)) {
        return Some(answer);
    }
    let subject = subject(&mut answer, &read);
    rule::explain(&mut answer, &subject, &Context::Alone);
    Some(answer)
}

/// The rule of a command, with what it leaves out assumed.
fn subject(answer: &mut Answer, read: &Command) -> Subject {
    let words = &read.rule;
    let looks_v6 = words.iter().any(|word| {
        matches!(word.as_str(), "icmpv6" | "ipv6-icmp" | "icmp6" | "--icmpv6-type" | "hl")
            || word.contains("icmp6-")
            || word.split('/').next().is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok())
    });
    let family = read.family.unwrap_or(if looks_v6 { Family::V6 } else { Family::V4 });
    if read.family.is_none() {
        let program = if family == Family::V6 { "ip6tables" } else { "iptables" };
        answer.assume(
            "family",
            format!(
                "It does not say whether it is for iptables or for ip6tables: taken for {program}."
            ),
        );
    }
    let table = read.table.clone().unwrap_or_else(|| assumed_table(answer, read).to_string());
    Subject { family, table, chain: read.chain.clone(), words: words.clone(), base: None }
}

fn assumed_table(answer: &mut Answer, read: &Command) -> &'static str {
    if read.family.is_some() {
        // A command without -t means filter, and no other.
        return "filter";
    }
    let target = read.rule.iter().skip_while(|word| *word != "-j").nth(1).map(String::as_str);
    let table = match (target, read.chain.as_str()) {
        (Some("CT" | "NOTRACK" | "TRACE"), _) => "raw",
        (Some("SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP"), _) => "nat",
        (_, "PREROUTING" | "POSTROUTING") => "mangle",
        (Some("TCPMSS" | "TTL" | "HL" | "DSCP" | "TOS"), _) => "mangle",
        _ => "filter",
    };
    answer.assume("table", format!("The line does not say its table: taken as {table}."));
    table
}

fn form_of_command(answer: &mut Answer, read: &Command, line: &str) {
    let chain = &read.chain;
    let text = if read.family.is_none() {
        String::from(
            "A line as `iptables -S` and iptables-save print it: one rule, complete, but without \
             its table (the `*filter` line above it) and what stands before and after it.",
        )
    } else {
        let does = match &read.operation {
            Operation::Append => format!("puts a rule at the end of {chain}"),
            Operation::Insert(1) => format!("puts a rule at the head of {chain}"),
            Operation::Insert(number) => format!("puts a rule at place {number} of {chain}"),
            Operation::Replace(number) => {
                format!("puts a rule in place of number {number} of {chain}")
            }
            Operation::Delete => format!("takes this rule out of {chain}; the rule itself"),
            Operation::DeleteNumber(number) => {
                format!("takes rule {number} out of {chain}; which one that is, the listing says")
            }
            Operation::Check => {
                format!("asks whether this rule stands in {chain}; the rule itself")
            }
            Operation::Policy(_) => format!("sets the policy of {chain}"),
            Operation::NewChain => format!("makes the chain {chain}, empty"),
            Operation::DeleteChain => String::from("deletes user chains that are empty and unused"),
            Operation::Flush if chain.is_empty() => {
                String::from("takes all rules out of all chains of the table; policies stay")
            }
            Operation::Flush => format!("takes all rules out of {chain}; its policy stays"),
            Operation::Zero => String::from("sets counters to zero"),
            Operation::List => String::from("lists rules"),
            Operation::Save => String::from("prints rules as commands"),
        };
        let program = if read.family == Some(Family::V6) { "ip6tables" } else { "iptables" };
        format!("An {program} command: it {does}.")
    };
    answer.say(Topic::Form, "form.command", text);
    if let Some((packets, bytes)) = read.counters {
        answer.say(
            Topic::Form,
            "form.counters",
            format!("Its counters when it was saved: {packets} packets, {bytes} bytes."),
        );
    }
    if line.contains("--wait") || line.contains(" -w") {
        answer.say(
            Topic::Form,
            "form.wait",
            "-w waits for another iptables that holds the lock, instead of failing.",
        );
    }
    if read.operation == Operation::Append && read.family.is_some() {
        answer.say(
            Topic::Form,
            "form.append",
            "-A puts it last: a rule before it that decides about the same packets wins.",
        );
    }
}
