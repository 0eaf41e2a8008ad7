//! Any lines as commands of iptables on tables of its own, as a restore file and as a shell script:
//! each is carried out or refused, and the tables read back as what was written.
#![no_main]

use keepstate_packet::Family;
use keepstate_ruleset::kept::{Kept, Restore, Variant, ask};
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::Span;
use keepstate_ruleset::syntax::iptables_command::{script, split};
use keepstate_ruleset::syntax::iptables_save::words::Word;
use libfuzzer_sys::fuzz_target;

fn again(kept: &Kept) {
    let text = kept.text();
    let read = Kept::read(&text, kept.family, kept.variant)
        .unwrap_or_else(|line| panic!("line {line} of what was written:\n{text}"));
    assert_eq!(read.text(), text);
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for (family, variant) in [(Family::V4, Variant::Nft), (Family::V6, Variant::Legacy)] {
        let mut kept = Kept::new(family, variant);
        for line in text.lines().take(40) {
            let Some(words) = split(line) else { continue };
            let word = |text: String| Word { text, span: Span::default(), quoted: false };
            let words: Vec<Word> = words.into_iter().map(word).collect();
            let before = kept.text();
            let done = ask(&words, line, family, variant)
                .and_then(|asked| kept.apply(&asked, LabelNames::NONE, true));
            // The legacy variant makes a table when it is asked for.
            if done.is_err() && variant == Variant::Nft {
                assert_eq!(kept.text(), before, "what is refused changes nothing");
            }
        }
        again(&kept);
        let _ = kept.restore(text, Restore { noflush: true, ..Restore::default() }, LabelNames::NONE);
        again(&kept);
    }
    let script = script::run(text, LabelNames::NONE);
    again(&script.v4);
    again(&script.v6);
    let _ = script.v4.ruleset_of_commands(LabelNames::NONE);
});
