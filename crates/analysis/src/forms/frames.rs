//! A file of ebtables-save or arptables-save, told chain by chain.

use crate::answer::{Answer, ChainTold, Fact, RuleTold, Topic};
use crate::forms::file::add_faults;
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::explain::{Piece, Pieces};
use keepstate_ruleset::extension::values;
use keepstate_ruleset::model::{Chain, FrameRules, Jump, NfProto, Policy, Rule, Table};
use keepstate_ruleset::standard;
use keepstate_ruleset::syntax::frames;

/// Rules that are told; the rest is counted.
const RULES_TOLD_MAX: usize = 20_000;

/// Explains a whole file.
#[must_use]
pub fn explain(text: &str, family: NfProto) -> Answer {
    let (name, what) = match family {
        NfProto::Bridge => (
            "ebtables-save-file",
            "A file of ebtables-save: rules for the Ethernet frames that pass a bridge of this host.",
        ),
        _ => (
            "arptables-save-file",
            "A file of arptables-save: rules for the ARP packets that come to this host or leave it.",
        ),
    };
    let mut answer = Answer::new(text, name);
    answer.say(Topic::Form, "form.file", what);
    match frames::parse(text, family) {
        Ok(rules) => {
            answer.say(Topic::Form, "form.loads", "keepstate can load all of it.");
            tell(&mut answer, &rules, text);
        }
        Err(faults) => add_faults(&mut answer, text, &faults),
    }
    answer
}

fn tell(answer: &mut Answer, rules: &FrameRules, text: &str) {
    let family = rules.family;
    let lines = Lines::of(text);
    let mut count = 0;
    for table in &rules.tables {
        for chain in &table.chains {
            let rest = RULES_TOLD_MAX.saturating_sub(count);
            let rules = chain.rules.iter().zip(1..).take(rest);
            let rules: Vec<RuleTold> = rules
                .map(|(rule, number)| RuleTold {
                    first: number,
                    last: number,
                    line: lines.line_at(rule.span.start),
                    comment: None,
                    text: sentence(table, rule),
                })
                .collect();
            count += rules.len();
            let policy = match chain.policy {
                Some(Policy::Accept) => Some("ACCEPT".to_owned()),
                Some(Policy::Drop) => Some("DROP".to_owned()),
                None => None,
            };
            let told = ChainTold {
                family: None,
                table: table.name.as_str().to_owned(),
                chain: chain.name.clone(),
                policy,
                purpose: purpose(family, chain),
                rules,
            };
            answer.add(Topic::Chains, Fact::Chain(Box::new(told)));
        }
    }
}

fn purpose(family: NfProto, chain: &Chain) -> Vec<String> {
    let what = match (family, chain.name.as_str()) {
        _ if chain.hook.is_none() => "A chain that rules lead to",
        (NfProto::Arp, "INPUT") => "ARP packets that come to this host",
        (NfProto::Arp, _) => "ARP packets that this host sends",
        (_, "BROUTING") => "Frames as they come in; what is dropped here is routed, not bridged",
        (_, "PREROUTING") => "Frames as they come in, before it is known where they go",
        (_, "INPUT") => "Frames to the host itself",
        (_, "FORWARD") => "Frames from port to port",
        (_, "OUTPUT") => "Frames that the host itself sends by the bridge",
        _ => "Frames as they leave by a port",
    };
    let count = match chain.rules.len() {
        0 => "no rules".to_owned(),
        1 => "one rule".to_owned(),
        count => format!("{count} rules"),
    };
    let end = match (chain.policy, chain.hook) {
        (Some(Policy::Accept), _) => "what no rule decides is accepted",
        (Some(Policy::Drop), _) => "what no rule decides is dropped",
        (None, _) => "what no rule decides goes back to the calling chain",
    };
    vec![format!("{what}: {count}; {end}.")]
}

/// What a rule does and when.
fn sentence(table: &Table, rule: &Rule) -> String {
    let mut pieces = Pieces::new();
    let header = &rule.header;
    for (way, wanted) in [("came in at", header.in_interface), ("leaves by", header.out_interface)]
    {
        let Some(wanted) = wanted else { continue };
        let other = if wanted.inverted { "another interface than " } else { "" };
        let name = values::interface_name(&wanted.value);
        pieces.push(Piece::Condition(format!("it {way} {other}{name}")));
    }
    for (way, wanted) in [("is from", rule.header.source), ("asks for", rule.header.destination)] {
        let Some(wanted) = wanted else { continue };
        let mut text = String::new();
        values::print_network(&mut text, &wanted.value, Family::V4);
        let other = if wanted.inverted { "another address than " } else { "" };
        pieces.push(Piece::Condition(format!("it {way} {other}{text}")));
    }
    rule.matches.iter().for_each(|one| one.explain(&mut pieces));
    let mut effects = Pieces::new();
    match &rule.target {
        Jump::None => effects.push(Piece::Effect("counts it and goes on".into())),
        target => standard::explain(target, table, &mut effects),
    }
    let condition = |piece: &Piece| match piece {
        Piece::Condition(text) => Some(text.clone()),
        _ => None,
    };
    let effect = |piece: &Piece| match piece {
        Piece::Effect(text) => Some(text.clone()),
        _ => None,
    };
    let conditions: Vec<String> = pieces.iter().filter_map(condition).collect();
    let does: Vec<String> = pieces.iter().chain(&effects).filter_map(effect).collect();
    let does = does.join(", then ");
    let mut text = match conditions.as_slice() {
        [] => format!("{does}: every frame"),
        conditions => format!("{does}, when {}", conditions.join(" and ")),
    };
    for piece in &pieces {
        if let Piece::Caution(caution) = piece {
            text.push_str(". ");
            text.push_str(caution.trim_end_matches('.'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains(answer: &Answer) -> Vec<&ChainTold> {
        let facts = answer.sections.iter().flat_map(|section| &section.facts);
        let mut all = Vec::new();
        for fact in facts {
            if let Fact::Chain(chain) = fact {
                all.push(&**chain);
            }
        }
        all
    }

    #[test]
    fn a_bridge_is_told_chain_by_chain() {
        let text = "# Generated by ebtables-save v1.8.11\n*filter\n:FORWARD DROP\n:arps RETURN\n\
                    -A FORWARD -p ARP -i port+ -j arps\n\
                    -A arps --arp-op Request --arp-ip-src 192.0.2.1 -p ARP --log -j ACCEPT\n";
        let answer = crate::explain::explain_text(text).expect("an answer");
        let chains = chains(&answer);
        let told: Vec<&RuleTold> = chains.iter().flat_map(|chain| &chain.rules).collect();
        assert_eq!(told[0].line, 5);
        assert!(told[0].text.contains("when it came in at port+ and it carries ARP"), "{told:?}");
        let text = &told[1].text;
        assert!(text.starts_with("writes a line about it"), "{text}");
        assert!(
            text.contains("then accepts it, when it carries ARP and it is a request"),
            "{text}"
        );
        let forward = chains.iter().find(|chain| chain.chain == "FORWARD").expect("FORWARD");
        assert_eq!(forward.policy.as_deref(), Some("DROP"));
        assert_eq!(
            forward.purpose,
            ["Frames from port to port: one rule; what no rule decides is dropped."]
        );
        let wrong = crate::explain::explain_text("*broute\n:BROUTING ACCEPT\n-A BROUTING -j x\n");
        assert!(self::chains(&wrong.expect("an answer")).is_empty());
    }
}
