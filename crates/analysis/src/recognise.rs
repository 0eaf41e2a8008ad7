//! What kind of text was pasted.

use crate::forms::{conntrack_command, frontends, kernel, manual, nft, part, statistics, table};
use keepstate_ruleset::syntax::iptables_command::{self, script};
use keepstate_ruleset::syntax::iptables_list;

/// A kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `KS0123`.
    DiagnosticCode,
    /// `rule-unreachable`: a kind of finding of `keepstate lint`.
    LintCode,
    /// `-m NAME`, `match NAME`, `-j NAME`, `target NAME`: a page of the manual.
    ManualPage,
    /// A file as `iptables-save` writes it.
    SaveFile,
    /// A listing as `iptables -L` prints it, with its chain heads.
    Listing,
    /// Several `iptables` commands or `-A` lines.
    Script,
    /// One row of a listing.
    ListRow,
    /// The head of a chain in a listing.
    ListChainHead,
    /// `-A CHAIN ...`, as `iptables -S` and `iptables-save` print it.
    SaveLine,
    /// `:CHAIN POLICY [packets:bytes]`.
    SavePolicy,
    /// `*TABLE`, `COMMIT`.
    SaveTable,
    /// An `iptables` or `ip6tables` command.
    Command,
    /// `conntrack -L`, `-o extended`, or `/proc/net/nf_conntrack`.
    ConntrackLine,
    /// `conntrack -E`.
    ConntrackEvent,
    /// `conntrack -o xml`, an element.
    ConntrackXml,
    /// A command of conntrack(8), or a line of `conntrack -o save`.
    ConntrackCommand,
    /// `conntrack -S`.
    ConntrackStatistics,
    /// `conntrack -L expect`, `-E expect`, or `/proc/net/nf_conntrack_expect`.
    ExpectLine,
    /// A line of the LOG target.
    LogLine,
    /// A line of a trace.
    TraceLine,
    /// A message of the kernel itself.
    KernelMessage,
    /// A rule of nftables.
    NftRule,
    /// A command of ufw or firewalld.
    FrontendCommand,
    /// Some words of a rule: `-m state --state NEW`.
    RulePart,
}

/// Recognises a text; `None` when it is nothing that is known here.
#[must_use]
pub fn recognise(text: &str) -> Option<Form> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    let more = lines.next().is_some();
    if !more && diagnostic_code(first).is_some() {
        return Some(Form::DiagnosticCode);
    }
    if !more && crate::lint::lint_of(first).is_some() {
        return Some(Form::LintCode);
    }
    if more {
        return whole(text).or_else(|| one(first_line(text)));
    }
    one(first).or_else(|| part::is_part(first).then_some(Form::RulePart))
}

/// The first line that is of a known form by itself; of a text of one line, that line.
#[must_use]
pub fn first_line(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("");
    if one(first).is_some() {
        return first;
    }
    lines.find(|line| one(line).is_some()).unwrap_or(first)
}

/// The number of a diagnostic code.
#[must_use]
pub fn diagnostic_code(text: &str) -> Option<u16> {
    let text = text.trim().trim_start_matches("error[").trim_end_matches(']');
    let digits = text.strip_prefix("KS").or_else(|| text.strip_prefix("ks"))?;
    (digits.len() == 4).then(|| digits.parse().ok()).flatten()
}

fn whole(text: &str) -> Option<Form> {
    let lines = || text.lines().map(str::trim);
    if iptables_list::is_listing(text) {
        return Some(Form::Listing);
    }
    let is_script = script::is_script(text);
    if is_script && text.starts_with("#!") {
        return Some(Form::Script);
    }
    // Patterns of `case` begin so, too.
    if lines().any(|line| line.starts_with('*') && line.len() > 1) {
        return Some(if is_script { Form::Script } else { Form::SaveFile });
    }
    let commands = lines().filter(|line| command(line)).take(2).count();
    (commands > 1).then_some(Form::Script)
}

fn command(line: &str) -> bool {
    !line.starts_with('#') && iptables_command::read(line).is_some()
}

fn one(line: &str) -> Option<Form> {
    let has = |word: &str| line.split_whitespace().any(|w| w.starts_with(word));
    if line.is_empty() {
        return None;
    }
    if manual::is_name(line) {
        return Some(Form::ManualPage);
    }
    if line.contains("<flow") && line.contains("<layer3 ") {
        return Some(Form::ConntrackXml);
    }
    if conntrack_command::is_command(line) {
        return Some(Form::ConntrackCommand);
    }
    if statistics::is_line(line) {
        return Some(Form::ConntrackStatistics);
    }
    if line.contains("TRACE: ") || line.starts_with("trace id ") || line.starts_with("PACKET: ") {
        return Some(Form::TraceLine);
    }
    if kernel::is_line(line) {
        return Some(Form::KernelMessage);
    }
    if line.contains("IN=") && line.contains("OUT=") {
        return Some(Form::LogLine);
    }
    if has("master-src=") || has("mask-src=") || line.contains("l3proto = ") {
        return Some(Form::ExpectLine);
    }
    if has("src=") && has("dst=") {
        let event = ["[NEW]", "[UPDATE]", "[DESTROY]"].iter().any(|kind| line.contains(kind));
        return Some(if event { Form::ConntrackEvent } else { Form::ConntrackLine });
    }
    if nft::is_line(line) {
        return Some(Form::NftRule);
    }
    if frontends::is_line(line) {
        return Some(Form::FrontendCommand);
    }
    if iptables_list::read_chain_head(line).is_some() {
        return Some(Form::ListChainHead);
    }
    if line.starts_with(':') && line.split_whitespace().count() >= 2 {
        return Some(Form::SavePolicy);
    }
    if table::is_line(line) {
        return Some(Form::SaveTable);
    }
    if let Some(read) = iptables_command::read(line) {
        return Some(if read.family.is_none() { Form::SaveLine } else { Form::Command });
    }
    iptables_list::read_row(line).map(|_| Form::ListRow)
}
