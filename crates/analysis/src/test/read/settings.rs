//! What a file says of the filter that its tests are for: `Key: value` lines and blocks.

use super::super::markdown::{Piece, span};
use super::super::setup::{self, Outside, RuleText, Setup};
use keepstate_conntrack::Sysctls;
use keepstate_conntrack::sysctl::SysctlError;
use keepstate_engine::{Host, Network, Tracking};
use keepstate_packet::{Address, Family, InterfaceName};
use keepstate_ruleset::diagnostic::{Diagnostic, Lines, code};
use keepstate_ruleset::model::Span;
use keepstate_ruleset::syntax::iptables_save;
use std::net::IpAddr;

/// What stands before a colon.
const KEYS: [&str; 8] =
    ["Rules", "Rules6", "Host", "Sysctl", "Local", "Sets", "Tracking", "Host answers"];

/// Most sysctls, addresses and files that a section has.
const VALUES_MAX: usize = 1_000;

/// Where something is written: in another file, or here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text<'s> {
    File(Piece<'s>),
    Here(Piece<'s>),
}

/// What is said above a test; what is said further down takes the place of what stands above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings<'s> {
    rules: Option<(Text<'s>, Option<Family>)>,
    rules6: Option<Text<'s>>,
    host: Option<Text<'s>>,
    local: Vec<Piece<'s>>,
    sysctls: Vec<Piece<'s>>,
    sets: Option<Text<'s>>,
    needed: bool,
    answers: bool,
}

/// The key and the value of a line that is a setting: `Rules: FILE`, perhaps behind `-` or `*`, the value
/// perhaps in backquotes, or the target of a link.
pub(super) fn key(line: Piece<'_>) -> Option<(Piece<'_>, Piece<'_>)> {
    let mut bare = line.trimmed();
    if bare.text.starts_with("- ") || bare.text.starts_with("* ") {
        bare = bare.from(2).trimmed();
    }
    let colon = bare.text.find(':')?;
    let key = bare.to(colon);
    if !KEYS.contains(&key.text) {
        return None;
    }
    let mut value = bare.from(colon + 1).trimmed();
    if let Some(link) = value.text.strip_prefix('[')
        && let Some(at) = link.find("](")
        && value.text.ends_with(')')
    {
        value = value.from(at + 3).to(value.text.len() - at - 4);
    }
    let ticks = value.text.len() > 1 && value.text.starts_with('`') && value.text.ends_with('`');
    if ticks {
        value = value.from(1).to(value.text.len() - 2);
    }
    Some((key, value))
}

fn fault(span: Span, text: impl Into<String>) -> Diagnostic {
    Diagnostic::new(code::TEST_FILE, span, text)
}

impl<'s> Settings<'s> {
    /// A line `Key: value`.
    pub(super) fn line(&mut self, key: Piece<'s>, value: Piece<'s>) -> Result<(), Diagnostic> {
        if value.text.is_empty() {
            return Err(fault(key.span(), format!("nothing stands behind `{}:`", key.text)));
        }
        let words = [("yes", true), ("no", false)];
        match key.text {
            "Rules" => self.rules = Some((Text::File(value), None)),
            "Rules6" => self.rules6 = Some(Text::File(value)),
            "Host" => (self.host, self.local) = (Some(Text::File(value)), Vec::new()),
            "Sets" => self.sets = Some(Text::File(value)),
            "Sysctl" => self.sysctl(value)?,
            "Local" => self.local(value)?,
            "Tracking" => self.needed = chosen(value, &[("always", false), ("needed", true)])?,
            _ => self.answers = chosen(value, &words)?,
        }
        Ok(())
    }

    /// A block under this word.
    pub(super) fn block(&mut self, word: Piece<'s>, text: Piece<'s>) -> Result<(), Diagnostic> {
        let lines = || {
            let mut at = text.at;
            text.text.split('\n').map(move |line| {
                let piece = Piece { text: line, at }.trimmed();
                at += line.len() + 1;
                piece
            })
        };
        let lines = || lines().filter(|line| !line.text.is_empty() && !line.text.starts_with('#'));
        match word.text {
            "rules" | "iptables-save" => {
                self.rules = Some((Text::Here(text), Some(Family::V4)));
            }
            "rules6" | "ip6tables-save" => self.rules6 = Some(Text::Here(text)),
            "host" | "toml" => (self.host, self.local) = (Some(Text::Here(text)), Vec::new()),
            "ipset" => self.sets = Some(Text::Here(text)),
            "sysctl" => lines().try_for_each(|line| self.sysctl(line))?,
            _ => lines().try_for_each(|line| self.local(line))?,
        }
        Ok(())
    }

    fn sysctl(&mut self, line: Piece<'s>) -> Result<(), Diagnostic> {
        if self.sysctls.len() >= VALUES_MAX {
            return Err(fault(line.span(), format!("more than {VALUES_MAX} sysctls")));
        }
        let Some((name, value)) = line.text.split_once('=') else {
            return Err(fault(line.span(), format!("{}: want NAME=VALUE", line.text)));
        };
        Sysctls::default().set(name.trim(), value.trim()).map_err(|error| {
            let why = match error {
                SysctlError::UnknownName => "tracking has no such sysctl",
                SysctlError::BadValue => "not a value that the kernel would take",
                SysctlError::ReadOnly => "it can only be read",
                SysctlError::PortTaken => "two helpers would have the same port",
            };
            fault(line.span(), format!("sysctl {}: {why}", line.text))
        })?;
        self.sysctls.push(line);
        Ok(())
    }

    fn local(&mut self, line: Piece<'s>) -> Result<(), Diagnostic> {
        if self.local.len() >= VALUES_MAX {
            return Err(fault(line.span(), format!("more than {VALUES_MAX} addresses")));
        }
        if network(line.text).is_none() {
            return Err(fault(
                line.span(),
                format!("{}: want ADDRESS or ADDRESS/LENGTH", line.text),
            ));
        }
        self.host = None;
        self.local.push(line);
        Ok(())
    }

    /// The filter that all of it describes.
    pub(super) fn build(
        &self,
        file: &str,
        fence: Piece<'_>,
        outside: &dyn Outside,
        lines: &Lines,
    ) -> Result<Setup, Vec<Diagnostic>> {
        let mut faults = Vec::new();
        let mut setup = Setup {
            rules: Vec::new(),
            rulesets: Vec::new(),
            host: setup::router(),
            declared: Vec::new(),
            sysctls: Sysctls::default(),
            sets: String::new(),
            tracking: if self.needed { Tracking::WhenNeeded } else { Tracking::Always },
        };
        let build = Build { file, outside, lines };
        if let Some((text, family)) = self.rules {
            build.rules(&mut setup, text, family, &mut faults);
        }
        if let Some(text) = self.rules6 {
            build.rules(&mut setup, text, Some(Family::V6), &mut faults);
        }
        if self.rules.is_none() && self.rules6.is_none() {
            let text = "no rules stand above this test";
            let help = "`Rules: FILE` names them, or a block `rules` holds them";
            faults.push(fault(fence.span(), text).help(help));
        }
        if let Some(text) = self.host {
            build.host(&mut setup, text, &mut faults);
        }
        if !self.local.is_empty() {
            let networks = self.local.iter().filter_map(|line| network(line.text)).collect();
            let name = InterfaceName::new("eth0").unwrap_or_default();
            setup.host = Host::endpoint(name, networks);
        }
        (setup.host.answers_echo, setup.host.answers_tcp) = (self.answers, self.answers);
        for line in &self.sysctls {
            if let Some((name, value)) = line.text.split_once('=') {
                // Each was tried alone; together they may yet disagree.
                if setup.sysctls.set(name.trim(), value.trim()).is_err() {
                    faults.push(fault(line.span(), format!("sysctl {}: refused", line.text)));
                }
            }
        }
        if let Some(text) = self.sets {
            build.sets(&mut setup, text, &mut faults);
        }
        build.fit(&setup, [self.rules.map(|(text, _)| text), self.rules6], &mut faults);
        if faults.is_empty() { Ok(setup) } else { Err(faults) }
    }
}

fn chosen<T: Copy>(value: Piece<'_>, words: &[(&str, T)]) -> Result<T, Diagnostic> {
    let found = words.iter().find(|(word, _)| *word == value.text).map(|(_, chosen)| *chosen);
    found.ok_or_else(|| {
        let names: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        fault(value.span(), format!("{}: want {}", value.text, names.join(" or ")))
    })
}

/// `ADDRESS` or `ADDRESS/LENGTH`.
fn network(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let ip: IpAddr = address.parse().ok()?;
    let (family, longest) = if ip.is_ipv4() { (Family::V4, 32) } else { (Family::V6, 128) };
    let prefix = match length {
        None => longest,
        Some(length) => length.parse().ok().filter(|length| *length <= longest)?,
    };
    Some(Network { family, address: Address::from(ip), prefix })
}

struct Build<'b> {
    file: &'b str,
    outside: &'b dyn Outside,
    lines: &'b Lines,
}

impl Build<'_> {
    /// A name for people, the text, and how many lines stand before it.
    fn text(&self, text: Text<'_>, faults: &mut Vec<Diagnostic>) -> Option<(String, String, u32)> {
        match text {
            Text::Here(piece) => {
                let before = self.lines.line_at(piece.span().start).saturating_sub(1);
                Some((self.file.to_owned(), piece.text.to_owned(), before))
            }
            Text::File(path) => match self.outside.file(self.file, path.text) {
                Ok((name, text)) => Some((name, text, 0)),
                Err(why) => {
                    faults.push(fault(path.span(), why));
                    None
                }
            },
        }
    }

    fn rules(
        &self,
        setup: &mut Setup,
        text: Text<'_>,
        family: Option<Family>,
        faults: &mut Vec<Diagnostic>,
    ) {
        let Some((name, source, lines_before)) = self.text(text, faults) else { return };
        let family = family.unwrap_or_else(|| self.outside.family(&name, &source));
        if setup.rules.iter().any(|other| other.family == family) {
            let (Text::File(piece) | Text::Here(piece)) = text;
            faults.push(fault(piece.span(), "there are rules of this family above already"));
            return;
        }
        match iptables_save::parse(&source, family) {
            Ok(ruleset) => {
                setup.rulesets.push(ruleset);
                setup.rules.push(RuleText { family, name, source, lines_before });
            }
            Err(wrong) => faults.extend(placed(text, &name, &source, wrong)),
        }
    }

    fn host(&self, setup: &mut Setup, text: Text<'_>, faults: &mut Vec<Diagnostic>) {
        let Some((name, source, _)) = self.text(text, faults) else { return };
        match self.outside.host(&source) {
            Ok(hosted) => (setup.host, setup.declared) = (hosted.host, hosted.declared),
            Err((place, why)) => faults.push(match (text, place) {
                (Text::Here(piece), Some(place)) => {
                    fault(span(piece.at + place.start, piece.at + place.end), why)
                }
                (Text::Here(piece), None) => fault(piece.span(), why),
                (Text::File(path), place) => {
                    let line = place.map(|place| {
                        format!(":{}", Lines::of(&source).line_at(span(place.start, 0).start))
                    });
                    fault(path.span(), format!("{name}{}: {why}", line.unwrap_or_default()))
                }
            }),
        }
    }

    fn sets(&self, setup: &mut Setup, text: Text<'_>, faults: &mut Vec<Diagnostic>) {
        let Some((_, source, _)) = self.text(text, faults) else { return };
        let (Text::File(piece) | Text::Here(piece)) = text;
        match setup::sets(&source) {
            Ok(_) => setup.sets = source,
            Err(why) => faults.push(fault(piece.span(), why)),
        }
    }

    /// Rules that name what is not there.
    fn fit(&self, setup: &Setup, texts: [Option<Text<'_>>; 2], faults: &mut Vec<Diagnostic>) {
        let Ok(sets) = setup::sets(&setup.sets) else { return };
        for (ruleset, text) in setup.rulesets.iter().zip(texts.into_iter().flatten()) {
            let source = setup.rules.iter().find(|text| text.family == ruleset.family);
            let Some(source) = source else { continue };
            let wrong = setup::unfit(ruleset, &sets);
            faults.extend(placed(text, &source.name, &source.source, wrong));
        }
        if faults.is_empty()
            && let Err(why) = setup.engine(None)
        {
            let Some(Text::File(piece) | Text::Here(piece)) = texts.into_iter().flatten().next()
            else {
                return;
            };
            faults.push(fault(piece.span(), why));
        }
    }
}

/// Faults of rules: in this file at their places, those of another file with their own text.
fn placed(text: Text<'_>, name: &str, source: &str, faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let moved = |one: Span, by: usize| span(one.start as usize + by, one.end as usize + by);
    let placed = |mut one: Diagnostic| match text {
        Text::Here(piece) => {
            one.span = moved(one.span, piece.at);
            one.labels.iter_mut().for_each(|label| label.span = moved(label.span, piece.at));
            one
        }
        Text::File(path) => fault(path.span(), one.render(name, source).trim_end().to_owned()),
    };
    faults.into_iter().map(placed).collect()
}
