//! Files as nobody writes them: lines lost, doubled, out of order, cut off, with words of others. Whatever can be read
//! is looked over and mended without a panic; what cannot is refused. `KEEPSTATE_CHECKS` files, 400 without it.

use super::case;
use keepstate_analysis::lint::fix::{How, fix};
use keepstate_analysis::lint::{Wanted, lint, read};
use keepstate_analysis::lints::LINTS;
use keepstate_analysis::render::lint::{File, json, text};
use keepstate_analysis::render::{Style, sarif};
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::syntax::iptables_save::family_of;

/// A stream of numbers that is the same in every run (an LCG; Knuth, MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

fn bent(numbers: &mut Numbers, texts: &[String]) -> String {
    let own = &texts[numbers.below(texts.len())];
    let mut lines: Vec<String> = own.lines().map(String::from).collect();
    for _ in 0..=numbers.below(5) {
        let at = numbers.below(lines.len());
        let to = numbers.below(lines.len());
        let Some(line) = lines.get(at).cloned() else { continue };
        match numbers.below(9) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(to, line),
            2 => lines.swap(at, to),
            3 => lines[at] = line.chars().take(numbers.below(line.len() + 1)).collect(),
            4 => {
                let mut words: Vec<&str> = line.split(' ').collect();
                let (from, to) = (numbers.below(words.len()), numbers.below(words.len()));
                words.swap(from, to);
                lines[at] = words.join(" ");
            }
            5 => lines[at] = line.replace("ACCEPT", "DROP"),
            6 => lines[at] = line.replace("INPUT", "FORWARD"),
            7 => lines[at] = format!("{line} # \u{7f}\u{202e}\u{1F525}"),
            _ => {
                let other = &texts[numbers.below(texts.len())];
                let others: Vec<&str> = other.lines().collect();
                lines.insert(to, others[numbers.below(others.len())].into());
            }
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn nothing_that_can_be_read_makes_it_panic() {
    let count = std::env::var("KEEPSTATE_CHECKS").ok().and_then(|text| text.parse().ok());
    let texts: Vec<String> = LINTS.iter().map(|lint| case(lint.code).found).collect();
    let mut numbers = Numbers(6);
    let (mut looked, mut found, mut fixed) = (0, 0, 0);
    for number in 0..count.unwrap_or(400) {
        let source = bent(&mut numbers, &texts);
        let family = family_of(&source);
        let Ok(ruleset) = read::ruleset(&source, family, LabelNames::NONE) else { continue };
        let findings = lint(&source, &ruleset, None, &Wanted::default()).unwrap();
        looked += 1;
        found += findings.len();
        let file = File { name: "bent", source: &source, findings: &findings };
        let style = Style { width: 40 + number % 100, ..Style::default() };
        assert_eq!(text(&file, &style).is_empty(), findings.is_empty());
        assert!(json(std::slice::from_ref(&file)).starts_with('['));
        assert!(sarif::render(&[file]).contains("\"2.1.0\""));
        if number % 8 == 0 && findings.iter().any(|one| one.fix.is_some()) {
            let how = How { family, labels: LabelNames::NONE, unproven: false };
            fixed += fix(&source, None, &Wanted::default(), how).unwrap().done.len();
        }
    }
    println!("{looked} files looked over, {found} findings, {fixed} fixes");
    assert!(looked > 50 && found > 50 && fixed > 5, "{looked} {found} {fixed}");
}
