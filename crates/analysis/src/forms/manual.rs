//! The manual's page of a match or target: `-m conntrack`, `match conntrack`, `-j LOG`.

use crate::answer::{Answer, Fact, Topic};
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::nearest;
use keepstate_ruleset::extension::{BOTH, Extension};
use keepstate_ruleset::matches::MATCHES;
use keepstate_ruleset::model::{TableName, builtin_name};
use keepstate_ruleset::targets::TARGETS;

/// What of an extension is not its page.
struct Entry {
    kind: &'static str,
    name: &'static str,
    families: &'static [Family],
    tables: &'static [TableName],
    hooks: Vec<&'static str>,
    page: &'static str,
}

fn entry<T>(kind: &'static str, of: &Extension<T>) -> Entry {
    Entry {
        kind,
        name: of.name,
        families: of.families,
        tables: of.tables,
        hooks: of.hooks.iter().map(|hook| builtin_name(*hook)).collect(),
        page: of.manual,
    }
}

fn matches() -> Vec<Entry> {
    MATCHES.iter().map(|one| entry("match", one)).collect()
}

fn targets() -> Vec<Entry> {
    let standard = STANDARD.map(|(name, page)| Entry {
        kind: "target",
        name,
        families: BOTH,
        tables: &[],
        hooks: Vec::new(),
        page,
    });
    standard.into_iter().chain(TARGETS.iter().map(|one| entry("target", one))).collect()
}

/// The targets that every chain has, and that no extension makes.
const STANDARD: [(&str, &str); 3] = [
    (
        "ACCEPT",
        "\
Lets the packet through: no later rule of this table sees it at this hook. It has no options.

    iptables -A INPUT -i lo -j ACCEPT

Mind: tables and hooks that come after still have their say.
",
    ),
    (
        "DROP",
        "\
Throws the packet away without an answer. It has no options.

    iptables -A INPUT -m conntrack --ctstate INVALID -j DROP

Mind: the sender waits and tries again; `REJECT` tells it. Of a connection whose first packet is dropped
nothing is kept.
",
    ),
    (
        "RETURN",
        "\
Leaves the chain: the packet goes on behind the rule that sent it here; in a built-in chain the policy
decides. It has no options.

    iptables -A FORWARD -s 192.168.1.1 -j RETURN

Mind: a chain that was entered by `-g` has no rule to come back to but that which called the chain before.
",
    ),
];

/// Which page a text asks for: the list it is in, and the name.
fn asked(text: &str) -> Option<(Vec<Entry>, &str)> {
    let mut words = text.split_whitespace();
    let kind = words.next()?;
    let Some(name) = words.next() else {
        // A target is known by its capitals, a match is not.
        let all =
            if kind.starts_with(|c: char| c.is_ascii_uppercase()) { targets() } else { matches() };
        return all.iter().any(|one| one.name == kind).then_some((all, kind));
    };
    let list = match kind {
        "-m" | "--match" | "match" => matches(),
        "-j" | "--jump" | "target" => targets(),
        _ => return None,
    };
    let name = match name {
        "icmpv6" | "ipv6-icmp" => "icmp6",
        name => name,
    };
    words.next().is_none().then_some((list, name))
}

/// Whether a text asks for a page that there is.
#[must_use]
pub fn is_name(text: &str) -> bool {
    asked(text).is_some_and(|(list, name)| list.iter().any(|one| one.name == name))
}

/// For a text that asks for a page that there is not: what it may mean.
#[must_use]
pub fn unknown(text: &str) -> Option<String> {
    let (list, name) = asked(text)?;
    if list.iter().any(|one| one.name == name) {
        return None;
    }
    let near = nearest(name, list.iter().map(|one| one.name));
    let kind = list.first()?.kind;
    Some(match near {
        Some(near) => format!("no {kind} is called `{name}`; did you mean `{near}`?"),
        None => format!("no {kind} is called `{name}`"),
    })
}

/// The page; `None` when the text asks for none.
#[must_use]
pub fn explain(text: &str) -> Option<Answer> {
    let (list, name) = asked(text)?;
    let mut answer = Answer::new(text, "manual-page");
    let mut found = false;
    for one in list.iter().filter(|one| one.name == name) {
        found = true;
        answer.say(Topic::Form, "form.extension", head(one));
        page(&mut answer, one.page);
    }
    found.then_some(answer)
}

fn head(of: &Entry) -> String {
    let programs = match of.families {
        [Family::V4] => "iptables",
        [Family::V6] => "ip6tables",
        _ => "iptables and ip6tables",
    };
    let mut text = format!("The {} {} of {programs}", of.kind, of.name);
    if !of.tables.is_empty() {
        let names: Vec<&str> = of.tables.iter().map(|table| table.as_str()).collect();
        text.push_str(&format!(", in table {}", names.join(" and ")));
    }
    if !of.hooks.is_empty() {
        text.push_str(&format!(", where a chain is reached from {} alone", of.hooks.join(", ")));
    }
    text + "."
}

/// The blocks of a page: its options become fields, what is indented or fenced is to be pasted, the
/// rest is said: before the options what it is for, behind them what to mind.
fn page(answer: &mut Answer, text: &str) {
    let mut options = false;
    for (number, block) in blocks(text).into_iter().enumerate() {
        let code = format!("page.{}", number + 1);
        match block {
            Block::Option(line) => {
                options = true;
                let (field, text) = line
                    .split_once("`: ")
                    .or_else(|| line.split_once("): "))
                    .unwrap_or((&line, ""));
                answer.field(field.replace('`', ""), text);
            }
            Block::Lines(lines) => answer.paste(Topic::Mind, code, "For example:", lines),
            Block::Text(text) if options => {
                answer.say(Topic::Mind, code, sentence(text.trim_start_matches("Mind: ")));
            }
            Block::Text(text) => {
                let text = sentence(text.trim_start_matches("Mind: "));
                answer.add(Topic::Form, Fact::Statement { code, term: None, text });
            }
        }
    }
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

enum Block {
    Option(String),
    Lines(Vec<String>),
    Text(String),
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut fenced = false;
    let mut apart = true;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fence || line.trim().is_empty() || line.starts_with('#') && !fenced {
            apart = true;
            continue;
        }
        let item = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
        let code = fenced || line.starts_with("    ");
        match (item, code, blocks.last_mut(), apart) {
            (Some(item), false, ..) => blocks.push(Block::Option(item.into())),
            (_, true, Some(Block::Lines(lines)), _) => lines.push(line.trim().into()),
            // What goes on below an option is indented, too.
            (_, _, Some(Block::Option(text) | Block::Text(text)), false) => {
                text.push(' ');
                text.push_str(line.trim());
            }
            (_, true, ..) => blocks.push(Block::Lines(vec![line.trim().into()])),
            _ => blocks.push(Block::Text(line.trim().into())),
        }
        apart = false;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let mut answer = Answer::new("", "");
        let text = "What it\nis for.\n\n- `--one N`: the first,\n  still.\n- `--two`: the second.\n\n    \
                    iptables -A INPUT\n\nMind: this.\n\n```\n-A x\n```\n";
        page(&mut answer, text);
        let said: Vec<(&str, &str)> = answer.facts().map(|f| (f.code(), f.text())).collect();
        assert_eq!(
            said,
            [
                ("page.1", "What it is for."),
                ("--one N", "the first, still."),
                ("--two", "the second."),
                ("page.4", "For example:"),
                ("page.5", "This."),
                ("page.6", "For example:"),
            ]
        );
    }

    #[test]
    fn every_extension_is_found_by_its_name() {
        for (word, list) in [("-m", matches()), ("-j", targets())] {
            for one in list {
                let text = format!("{word} {}", one.name);
                assert!(is_name(&text), "{text}");
                assert!(explain(&text).unwrap().facts().count() > 2, "{text}");
            }
        }
        assert!(explain("match icmpv6").is_some());
        assert!(!is_name("-m conntrack --ctstate NEW"));
        assert_eq!(unknown("match contrack").unwrap().matches("conntrack").count(), 1);
        assert!(explain("conntrack").is_some() && explain("contrack").is_none());
        assert!(unknown("conntrack").is_none() && unknown("contrack").is_none());
    }
}
