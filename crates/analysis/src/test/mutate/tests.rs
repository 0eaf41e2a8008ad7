//! Changes that are noticed, those that change nothing, and tests that are found.

use super::*;
use crate::test::read;
use crate::test::testing::Nowhere;

fn suites(rules: &str, packets: &str) -> Vec<Suite> {
    let text = format!(
        "# t\n```rules\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n{rules}\nCOMMIT\n```\n## x\n```packets\n{packets}\n```\n"
    );
    let suite = read("t.md", &text, &Nowhere);
    vec![suite.unwrap_or_else(|faults| panic!("{:?}\n{text}", faults))]
}

/// What no test notices: the place, and what was changed.
fn survivors(rules: &str, packets: &str) -> Vec<(String, String)> {
    let told = mutate(&suites(rules, packets), false, &mut |_, _| {});
    told.into_iter().flat_map(|one| one.survivors).map(|one| (one.place, one.change)).collect()
}

#[test]
fn what_no_test_looks_at_is_told() {
    let rules = "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT";
    let ping = "ping-client 10.0.0.1 > 192.0.2.1 -> never begins";
    let survivors = survivors(rules, ping);
    assert!(survivors.contains(&("filter:FORWARD:1".to_owned(), "without the rule".to_owned())));
    assert!(
        survivors.contains(&(
            "filter:INPUT:policy".to_owned(),
            "policy ACCEPT instead of DROP".to_owned()
        ))
    );
    assert!(!survivors.iter().any(|(place, _)| place == "filter:FORWARD:policy"), "ping sees it");
    let web = format!(
        "tcp 10.0.0.1:1 > 192.0.2.1:80 syn -> accept\ntcp 10.0.0.1:1 > 192.0.2.1:79 syn -> drop\n\
         tcp 10.0.0.1:1 > 192.0.2.1:81 syn -> drop\nudp 10.0.0.1:1 > 192.0.2.1:80 -> drop\n\
         tcp 10.0.0.1:1 > 100.127.253.1:80 syn -> drop\n{ping}"
    );
    assert_eq!(self::survivors(rules, &web), []);
}

#[test]
fn changes_that_change_nothing_are_not_told() {
    // The second rule is hidden by the first; the policy behind the last rule is never asked; the order of two
    // rules for different ports makes no difference.
    let rules = "-A INPUT -p tcp -m tcp --dport 1 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 2 -j ACCEPT\n\
                 -A INPUT -s 10.0.0.0/8 -j REJECT\n-A INPUT -s 10.1.0.0/16 -j ACCEPT\n-A INPUT -j DROP";
    let survivors = survivors(rules, "ping-client 10.0.0.1 > 192.0.2.1 -> never begins");
    let of = |place: &str| {
        survivors
            .iter()
            .filter(|(at, _)| at == place)
            .map(|(_, what)| what.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("filter:INPUT:policy"), Vec::<&str>::new());
    assert!(!of("filter:INPUT:4").contains(&"without the rule"), "{survivors:?}");
    assert!(!of("filter:INPUT:5").contains(&"without the rule"), "{survivors:?}");
    assert!(
        !of("filter:INPUT:1").iter().any(|change| change.starts_with("behind")),
        "{survivors:?}"
    );
    // These do: what is taken for the same must be the same.
    assert!(of("filter:INPUT:3").contains(&"without the rule"));
    assert!(of("filter:INPUT:4").contains(&"without `-s 10.1.0.0/16`"));
    assert!(of("filter:INPUT:5").contains(&"`-j DROP` becomes `-j ACCEPT`"));
}

#[test]
fn a_policy_that_a_return_leads_to_makes_a_difference() {
    let rules = "-A INPUT -s 10.0.0.1/32 -j RETURN\n-A INPUT -j ACCEPT";
    let survivors = survivors(rules, "ping-client 10.0.0.1 > 192.0.2.1 -> never begins");
    assert!(survivors.iter().any(|(place, _)| place == "filter:INPUT:policy"), "{survivors:?}");
}

#[test]
fn rules_keep_their_names_while_others_go() {
    // Were it the number that counts, the loss of the first rule would be noticed by `by`.
    let rules = "-A FORWARD -p udp -j ACCEPT\n-A FORWARD -p tcp -j ACCEPT";
    let packets = "tcp 10.0.0.1:1 > 192.0.2.1:80 syn -> accept by filter:FORWARD:2";
    let survivors = survivors(rules, packets);
    assert!(
        survivors.contains(&("filter:FORWARD:1".to_owned(), "without the rule".to_owned())),
        "{survivors:?}"
    );
    assert_eq!(
        Shift::Dropped((TableName::Filter, ChainIndex(1), 0))
            .origin((TableName::Filter, ChainIndex(1), 0))
            .2,
        1
    );
    assert_eq!(
        Shift::Swapped((TableName::Filter, ChainIndex(1), 0))
            .origin((TableName::Filter, ChainIndex(1), 1))
            .2,
        0
    );
    assert_eq!(
        Shift::Dropped((TableName::Filter, ChainIndex(1), 0))
            .origin((TableName::Filter, ChainIndex(2), 0))
            .2,
        0
    );
}

#[test]
fn suggested_tests_notice_what_was_not_noticed() {
    let rules = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 -A FORWARD -s 10.0.0.0/8 -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT\n\
                 -A FORWARD -i eth0 -p udp -j REJECT\n-A FORWARD -j LOG --log-prefix \"lost \"";
    let mut packets = "ping-client 10.0.0.1 > 192.0.2.1 -> never begins".to_owned();
    let before = suites(rules, &packets);
    let told = mutate(&before, true, &mut |_, _| {});
    let all: Vec<&Survivor> = told.iter().flat_map(|one| &one.survivors).collect();
    assert!(all.len() > 10, "{all:?}");
    for one in all.iter().filter(|one| one.noticed_by.is_none()) {
        let test = one.test.as_ref().unwrap_or_else(|| panic!("{one:?}"));
        let block = test.split("```packets\n").nth(1).and_then(|rest| rest.split("\n```").next());
        packets.push_str(&format!("\n+400d\n{}", block.expect("a block")));
    }
    assert_eq!(survivors(rules, &packets), [], "{packets}");
}

#[test]
fn the_number_of_changes_is_bounded_and_the_rest_counted() {
    let rule =
        "-A INPUT -s 10.0.0.1/32 -d 10.0.0.2/32 -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT\n";
    let source = format!("*filter\n{}COMMIT\n", rule.repeat(1_000));
    let ruleset = iptables_save::parse(&source, Family::V4).expect("rules");
    let text = RuleText {
        family: Family::V4,
        name: String::new(),
        source: source.clone(),
        lines_before: 0,
    };
    let found = mutants(&ruleset, &text, &Sheet::new(&ruleset, &source));
    assert_eq!(found.all.len(), MUTANTS_MAX);
    let looked_at = found.all.iter().map(|one| &one.place).collect::<BTreeSet<_>>().len();
    // The last of them may be looked at in part.
    let rest = 1_000 - looked_at;
    assert!((rest..=rest + 1).contains(&found.left_out), "{} of {rest}", found.left_out);
}

#[test]
fn a_sheet_says_what_its_rule_set_says() {
    let source = "*filter\n:INPUT DROP [0:0]\n:b - [0:0]\n:a - [0:0]\n-A INPUT -j b\n-A b -g a\n-A a -j ACCEPT\nCOMMIT\n*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n";
    let parse = |source: &str| iptables_save::parse(source, Family::V4).expect(source);
    let ruleset = parse(source);
    let again = parse(&Sheet::new(&ruleset, source).whole());
    let chains = |ruleset: &Ruleset| {
        let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
        chains
            .map(|chain| (chain.name.clone(), chain.policy, chain.rules.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(chains(&again), chains(&ruleset));
}
