//! The pages of the manual: every match and target has one, it names every option, and its examples
//! are rules that load.

use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::{Code, code};
use keepstate_ruleset::extension::OptionSpec;
use keepstate_ruleset::matches::MATCHES;
use keepstate_ruleset::model::{TableName, builtin_name};
use keepstate_ruleset::syntax::iptables_save::parse;
use keepstate_ruleset::targets::TARGETS;

struct Page {
    word: String,
    options: &'static [OptionSpec],
    families: &'static [Family],
    text: &'static str,
}

fn pages() -> Vec<Page> {
    let matches = MATCHES.iter().map(|one| Page {
        word: format!("-m {}", one.name),
        options: one.options,
        families: one.families,
        text: one.manual,
    });
    let targets = TARGETS.iter().map(|one| Page {
        word: format!("-j {}", one.name),
        options: one.options,
        families: one.families,
        text: one.manual,
    });
    matches.chain(targets).collect()
}

/// What stands on the page to be copied: commands, and rules without their chain.
fn examples(text: &str) -> Vec<&str> {
    let starts = ["iptables -", "ip6tables -", "-", "! -"];
    let lines = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::trim_start);
    lines.filter(|line| starts.iter().any(|start| line.starts_with(start))).collect()
}

const ABSENT: [Code; 2] = [code::MATCH_UNSUPPORTED, code::TARGET_UNSUPPORTED];

/// Whether a rule loads where it says, or, where it says nothing, in some chain of some table.
fn loads(example: &str, families: &[Family]) -> Result<(), String> {
    let (family, words) =
        match (example.strip_prefix("iptables "), example.strip_prefix("ip6tables ")) {
            (Some(words), _) => (Some(Family::V4), words),
            (_, Some(words)) => (Some(Family::V6), words),
            _ => (None, example),
        };
    let (table, rule) = match words.strip_prefix("-t ").and_then(|rest| rest.split_once(' ')) {
        Some((table, rule)) => (Some(table), rule),
        None => (family.map(|_| "filter"), words),
    };
    let mut first = None;
    for family in families.iter().filter(|one| family.is_none_or(|family| family == **one)) {
        for name in TableName::ALL.into_iter().filter(|n| table.is_none_or(|t| t == n.as_str())) {
            for hook in name.hooks() {
                let chain = if rule.starts_with("-A ") {
                    String::new()
                } else {
                    format!("-A {} ", builtin_name(*hook))
                };
                let source = format!("*{}\n{chain}{rule}\nCOMMIT\n", name.as_str());
                match parse(&source, *family) {
                    Ok(_) => return Ok(()),
                    // A match or target beside it is one that is not here.
                    Err(faults) if faults.iter().all(|fault| ABSENT.contains(&fault.code)) => {
                        return Ok(());
                    }
                    Err(faults) => {
                        first.get_or_insert_with(|| faults[0].render("example", &source));
                    }
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| "of another family".into()))
}

#[test]
fn every_extension_has_a_page_with_all_its_options_and_an_example_that_loads() {
    let mut problems = Vec::new();
    for page in pages() {
        let mut problem = |text: String| problems.push(format!("{}: {text}", page.word));
        if page.text.trim().is_empty() {
            problem("no page".into());
            continue;
        }
        for option in page.options {
            let name = format!("--{}", option.name);
            let ends = |rest: &str| {
                !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            };
            let whole = page.text.match_indices(&name);
            if !whole.into_iter().any(|(at, _)| ends(&page.text[at + name.len()..])) {
                problem(format!("{name} is not on its page"));
            }
        }
        let examples = examples(page.text);
        let own = |line: &&str| {
            line.contains(&page.word) || page.options.iter().any(|o| line.contains(o.name))
        };
        if !examples.iter().any(own) {
            problem("no example".into());
        }
        for example in examples {
            if let Err(error) = loads(example, page.families) {
                problem(format!("`{example}` does not load: {error}"));
            }
        }
    }
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn pages_of_ebtables_and_arptables_have_all_options_and_an_example_that_loads() {
    use keepstate_ruleset::kept::{Kept, Variant, ask};
    use keepstate_ruleset::labels::LabelNames;
    use keepstate_ruleset::model::NfProto;
    use keepstate_ruleset::syntax::iptables_save::words::words;
    use keepstate_ruleset::{matches, targets};
    let matches = matches::ebtables::MATCHES.iter().map(|one| (one.options, one.manual));
    let bridge = targets::ebtables::TARGETS.iter().map(|one| (one.options, one.manual));
    let arp = targets::arptables::TARGETS.iter().map(|one| (one.options, one.manual));
    // As it was once called.
    let old = ["set-mark"];
    for (options, text) in matches.chain(bridge).chain(arp) {
        for option in options {
            let told = text.contains(&format!("--{}", option.name)) || old.contains(&option.name);
            assert!(told, "--{}: {text}", option.name);
        }
        let joined = text.replace("\\\n", " ");
        let examples = joined.lines().filter_map(|line| line.strip_prefix("    "));
        let mut count = 0;
        for example in examples {
            let (tool, rest) = example.split_once(' ').expect("a command");
            let family = match tool {
                "ebtables" => NfProto::Bridge,
                "arptables" => NfProto::Arp,
                _ => continue,
            };
            let words = words(rest, 0, &mut Vec::new());
            let asked = ask(&words, rest, family, Variant::Nft);
            let asked = asked.unwrap_or_else(|refusal| panic!("{example}: {refusal:?}"));
            let mut kept = Kept::new(family, Variant::Nft);
            let done = kept.apply(&asked, LabelNames::NONE, true);
            assert!(done.is_ok(), "{example}: {done:?}");
            count += 1;
        }
        assert!(count > 0, "no example: {text}");
    }
}
