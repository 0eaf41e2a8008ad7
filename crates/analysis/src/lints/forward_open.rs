//! A translating gateway that forwards everything, inwards too.

use crate::algebra::Way;
use crate::algebra::space::{Packets, Result};
use crate::lint::finding::{Finding, Lint, Severity};
use crate::lint::linted::{Linted, Ruled, decision};
use crate::lints::refused_somewhere;
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{ChainIndex, Jump, Table, TableName};
use keepstate_ruleset::verdict::Verdict;

/// The lint.
pub(super) const LINT: Lint = Lint {
    code: "forward-open",
    severity: Severity::Warning,
    title: "a translating gateway that forwards everything, inwards too",
    page: include_str!("forward_open.md"),
    run,
};

fn run(linted: &mut Linted<'_>, found: &mut Vec<Finding>) -> Result<()> {
    if linted.policy_is_elsewhere() {
        return Ok(());
    }
    let Some((table, chain, base)) = linted.base(TableName::Filter, Way::Through.hook()) else {
        return Ok(());
    };
    let outers = outer(linted);
    let Some(first) = outers.first() else { return Ok(()) };
    let name = name(first);
    let listed: Vec<_> = linted.chain_rules(table.name, chain).filter(|r| says_who(r)).collect();
    // A file that filters nothing but says nothing of it either may be loaded beside another.
    let filters = refused_somewhere(linted, Way::In)?
        || !listed.is_empty() && !listed.iter().any(|rule| lets_in(rule, name));
    if refused_somewhere(linted, Way::Through)? || !filters {
        return Ok(());
    }
    let inward = linted
        .passed(Way::Through)
        .and(&linted.in_states(ct::NEW)?)?
        .and(&linted.entered_by(name)?)?
        .and(&linted.crossing()?)?;
    let Some(packet) = linted.plainest(&inward)? else { return Ok(()) };
    let opens = linted.accepter(Way::Through, &packet)?;
    let by = opens.as_ref().map_or_else(String::new, |one| format!(" by {}", one.words()));
    let place = match linted.place(TableName::Filter, base) {
        none if none.end == none.start => first.rule.span,
        place => place,
    };
    let text = format!("{} forwards whatever comes, from outside to inside too", base.name);
    let mut finding = Finding::new(place, text);
    let help = if outers.len() > 1 {
        for rule in &outers {
            finding =
                finding.label(rule.rule.span, format!("hides what leaves by {}", self::name(rule)));
        }
        let names: Vec<&str> = outers.iter().map(|rule| self::name(rule)).collect();
        format!(
            "which of {} leads outside the file does not say; what comes in there is to be let in by -m conntrack \
             --ctstate RELATED,ESTABLISHED, and new connections by it dropped behind that",
            crate::lints::and(&names)
        )
    } else {
        if place != first.rule.span {
            finding = finding.label(first.rule.span, format!("{name} is the outer side"));
        }
        let advice = advice(linted, (table, chain), name, &inward)?;
        let named = opens.as_ref().and_then(|one| one.rule).map(|rule| rule.rule.span);
        for rule in advice.open.iter().filter(|rule| Some(rule.rule.span) != named) {
            finding = finding.label(rule.rule.span, "lets in what comes from there");
        }
        advice.help
    };
    finding = finding.decided_by(opens.as_ref(), "lets in what comes from there");
    let evidence = format!(
        "{} is accepted{by}; nothing that is forwarded is refused",
        crate::lint::plain::words(&packet)
    );
    found.push(finding.evidence(evidence).help(help));
    Ok(())
}

fn name<'r>(rule: &'r Ruled<'_>) -> &'r str {
    rule.words.header("-o").map_or("", |option| option.value())
}

/// The rules that hide what leaves by an interface, one for each: those of the interface by which connections are let in
/// that lead on, where there are such.
fn outer<'l, 'a>(linted: &'l Linted<'a>) -> Vec<&'l Ruled<'a>> {
    let mut all: Vec<&Ruled<'_>> = Vec::new();
    for rule in linted.with_target(&["MASQUERADE", "SNAT"]).filter(|rule| hides(rule)) {
        if !all.iter().any(|one| name(one) == name(rule)) {
            all.push(rule);
        }
    }
    let leads_on = |name: &str| {
        linted.with_target(&["DNAT"]).any(|rule| {
            rule.words.header("-i").is_some_and(|option| !option.not && option.value() == name)
        })
    };
    if all.iter().any(|rule| leads_on(name(rule))) {
        all.retain(|rule| leads_on(name(rule)));
    }
    all
}

/// What to put where.
struct Advice<'l, 'a> {
    help: String,
    /// Rules that accept what comes from outside, whatever it is for.
    open: Vec<&'l Ruled<'a>>,
}

/// Rules that refuse new connections from outside, above those that would accept them, and below those that let some in
/// on purpose.
fn advice<'l, 'a>(
    linted: &'l Linted<'a>,
    (table, chain): (&Table, ChainIndex),
    outer: &str,
    inward: &Packets,
) -> Result<Advice<'l, 'a>> {
    let (mut open, mut purposely): (Vec<&Ruled<'_>>, Vec<u32>) = (Vec::new(), Vec::new());
    for rule in linted.chain_rules(table.name, chain) {
        let leads = matches!(rule.rule.target, Jump::Jump(_) | Jump::Goto(_));
        let accepts = decision(rule.rule) == Some(Verdict::Accept);
        let taken = linted.taken(rule)?;
        if leads && taken.and(inward)?.is_empty() || rule.asked.and(inward)?.is_empty() {
            continue;
        }
        // A chain may ask for more than what leads to it.
        if accepts && is_by_interface(rule) || leads && inward.is_within(&taken)? {
            open.push(rule);
        } else if (leads || accepts) && !open.is_empty() {
            purposely.push(linted.line(rule.rule.span));
        }
    }
    let translated = linted.with_target(&["DNAT"]).any(|rule| rule.table.name == TableName::Nat);
    let mut rules =
        vec![format!("-A FORWARD -i {outer} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")];
    if translated {
        // What is forwarded to inner hosts on purpose goes on.
        rules.push(format!("-A FORWARD -i {outer} -m conntrack --ctstate DNAT -j ACCEPT"));
    }
    rules.push(format!("-A FORWARD -i {outer} -j DROP"));
    let own = |rule: &Ruled<'_>| {
        rule.words.header("-i").is_some_and(|option| !option.not && option.value() == outer)
    };
    let mut help = match open.first() {
        // Behind those it would do nothing.
        Some(first) if own(first) && open.len() == 1 && purposely.is_empty() => {
            format!("in the place of {}", first.line)
        }
        None => String::from("at the end of FORWARD"),
        Some(first) => format!("above line {}", linted.line(first.rule.span)),
    };
    if !purposely.is_empty() {
        purposely.dedup();
        let lines: Vec<String> = purposely.iter().map(u32::to_string).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        help.push_str(&format!(
            ", and what line{} {} let{} in on purpose above that",
            if lines.len() == 1 { "" } else { "s" },
            crate::lints::and(&lines),
            if lines.len() == 1 { "s" } else { "" }
        ));
    }
    help.push_str(&format!(":\n{}", rules.join("\n")));
    Ok(Advice { help, open })
}

/// Whether a rule asks for nothing but interfaces.
fn is_by_interface(rule: &Ruled<'_>) -> bool {
    let header = &rule.words.header;
    rule.words.matches.iter().all(|one| one.name == "comment")
        && header.iter().all(|option| ["-i", "-o"].contains(&option.name.as_str()))
}

/// Whether a rule accepts some packets of all that are forwarded: by interface, address, port or state.
fn says_who(rule: &Ruled<'_>) -> bool {
    let all = rule.words.header.is_empty() && rule.words.matches.is_empty();
    decision(rule.rule) == Some(Verdict::Accept) && !all
}

/// Whether a rule lets new connections in by an interface on purpose.
fn lets_in(rule: &Ruled<'_>, name: &str) -> bool {
    let by = rule.words.header("-i").is_some_and(|option| !option.not && option.value() == name);
    by && rule.words.states().is_none_or(|states| states.contains(&"NEW"))
}

/// Whether a rule hides what leaves by an interface behind this host's address there.
fn hides(rule: &Ruled<'_>) -> bool {
    let outer = rule.words.header("-o");
    rule.table.name == TableName::Nat
        && outer.is_some_and(|option| !option.not && !option.value().ends_with('+'))
        && rule.words.header("-d").is_none_or(|option| option.not)
        && rule.words.options(&["--src-type"]).next().is_none()
}
