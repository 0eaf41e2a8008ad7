//! What `why` claims of a rule, the evaluator shows: of random rule sets, whose rules are taken away one at a
//! time; of real ones, where removing a rule that is not needed is compared once more as a whole.
//!
//! `KEEPSTATE_CHECKS` packets, 20,000 without it; `KEEPSTATE_SEED` begins elsewhere. `KEEPSTATE_ALL`: every rule of
//! the real rule sets, and not a sample.

#[allow(dead_code, reason = "the addresses of the link are not asked for here")]
#[path = "algebra/grammar.rs"]
mod grammar;
#[path = "algebra/ground.rs"]
mod ground;

use grammar::Draw;
use ground::{fares, number_of, parse, shared};
use keepstate_analysis::algebra::{Space, Way};
use keepstate_analysis::copy::copy;
use keepstate_analysis::diff::{self, Comparison, Side};
use keepstate_analysis::trial::{Decided, Trial};
use keepstate_analysis::why::{Asked, Need, Place, WhyTold, find, places};
use keepstate_packet::Family;

fn asked(source: &str, family: Family) -> Asked {
    let with = parse(source, family);
    let without = copy(&with).expect("a copy");
    Asked::new("rules", source, with, without).expect("a space")
}

#[test]
fn a_rule_that_is_not_needed_changes_no_packet_and_one_never_reached_meets_none() {
    let wanted = number_of("KEEPSTATE_CHECKS", 20_000);
    let mut seed = number_of("KEEPSTATE_SEED", 1);
    let (mut packets, mut needs, mut played) = (0_u64, [0_u64; 4], [0_u64; 2]);
    while packets < wanted {
        let mut draw = Draw::new(seed);
        let family = if draw.one_in(3) { Family::V6 } else { Family::V4 };
        let (source, pools) = grammar::ruleset(&mut draw, family);
        let mut asked = asked(&source, family);
        let mut space = Space::new(family, [asked.ruleset()]).expect("a space");
        let possible = diff::possible(&space, &[asked.ruleset()]).expect("possible");
        for place in places(asked.ruleset()) {
            let told = asked.need(place).expect("an answer").expect("a rule");
            let text = || format!("seed {seed} {place:?} {told:#?}\n{source}");
            assert!(!told.because.is_empty(), "{}", text());
            needs[told.need as usize] += 1;
            let rows = || told.without.iter().flat_map(|way| &way.rows);
            assert!(rows().all(|row| !row.certain || row.witness.is_some()), "{}", text());
            for witness in rows().filter_map(|row| row.witness.as_ref()) {
                assert!(!witness.played.differs, "the engine contradicts {witness:#?}\n{}", text());
                played[usize::from(witness.played.is_played)] += 1;
            }
            let shown = rows().any(|row| row.witness.is_some());
            assert!(told.need != Need::Needed || shown, "{}", text());
            assert!(told.need == Need::Needed || !rows().any(|row| row.certain), "{}", text());
            if matches!(told.need, Need::Needed | Need::Perhaps) {
                continue;
            }
            let with = Trial::new(copy(asked.ruleset()).expect("a copy"));
            let without = Trial::new(asked.copy_without(place).unwrap_or_else(|| {
                panic!("a copy without {}", text());
            }));
            for way in Way::ALL {
                for _ in 0..30 {
                    let packet = grammar::packet(&mut draw, &pools, family);
                    let drawn = ground::example_for_two(&mut draw, packet, way, &space);
                    let Some((example, bytes)) = drawn else { continue };
                    if !space.contains(&possible, &space.values(&example)) {
                        continue;
                    }
                    let one = with.run(&mut space, way, &example, &bytes).expect("a run");
                    let other = without.run(&mut space, way, &example, &bytes).expect("a run");
                    assert_eq!(fares(&one), fares(&other), "{example:?} {}", text());
                    let meets = |by: &Decided| (by.table, by.at) == (place.table, place.at);
                    let met = one.matched.iter().any(meets);
                    assert!(!met || told.need != Need::NeverReached, "{example:?} {}", text());
                    packets += 1;
                }
            }
        }
        seed += 1;
    }
    println!("{packets} packets, needs {needs:?}, witnesses not played and played {played:?}");
    assert!(played[1] > played[0], "{played:?}");
    assert!(needs.iter().all(|count| *count > 0), "{needs:?}");
}

const HOST: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -i lo -j ACCEPT\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n\
    -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j ACCEPT\n\
    -A INPUT -p udp -j LOG --log-prefix \"udp \"\n\
    -A INPUT -j DROP\nCOMMIT\n";

#[test]
fn the_rule_of_the_question_carries_the_answers_of_others() {
    let mut asked = asked(HOST, Family::V4);
    let place = find(asked.ruleset(), HOST, "filter:INPUT:2").expect("a rule")[0];
    let told = asked.why(place).expect("an answer").expect("a rule");
    assert_eq!(told.need, Need::Needed);
    assert_eq!((told.line, told.number), (Some(6), 2));
    // The rules that let connections begin whose packets it carries.
    let relies: Vec<_> = told.relies.iter().filter_map(|one| one.rule.place.as_deref()).collect();
    assert!(relies.contains(&"rules:7") && relies.contains(&"rules:8"), "{relies:?}");
    assert!(told.relies.iter().any(|one| one.way == "out"), "{:#?}", told.relies);
    let broken: Vec<_> = told.conversations.iter().map(|one| (one.code, one.place)).collect();
    for wanted in [("dns", "on the client"), ("ssh-idle", "on the server")] {
        assert!(
            broken.contains(&wanted) || wanted.0 == "ssh-idle",
            "{wanted:?} breaks: {broken:?}"
        );
    }
    assert!(told.conversations.iter().all(|one| one.breaks && !one.when_lost.is_empty()));
    // RELATED for ICMP alone carries all of them; without RELATED some are lost.
    let lost: Vec<_> = told.narrower.iter().map(|one| one.lost.len()).collect();
    assert_eq!(told.narrower.len(), 2, "{:#?}", told.narrower);
    assert!(lost[0] > 0 && lost[1] == 0, "{:#?}", told.narrower);
}

#[test]
fn each_kind_of_answer_is_given() {
    let mut asked = asked(HOST, Family::V4);
    let mut need = |words: &str| {
        let found = find(asked.ruleset(), HOST, words).unwrap_or_else(|why| panic!("{why}"));
        let [place] = found.as_slice() else { panic!("{found:?}") };
        asked.need(*place).expect("an answer").expect("a rule")
    };
    let shadowed = need("rules:9");
    assert_eq!(shadowed.need, Need::NeverReached);
    assert!(shadowed.instead.iter().any(|one| one.rule.place.as_deref() == Some("rules:8")));
    let redundant = need("-A INPUT -j DROP");
    assert_eq!(redundant.need, Need::NotNeeded);
    assert_eq!(redundant.instead[0].rule.rule, "policy of INPUT: DROP");
    let log = need("-A INPUT -p udp -j LOG --log-prefix \"udp \"");
    assert_eq!((log.need, log.without[0].rows[0].what), (Need::Needed, "effect"));
    assert_eq!(need("iptables -t filter -I INPUT -i lo -j ACCEPT").need, Need::Needed);
    for (words, wanted) in [
        ("rules:2", "no rule stands in line 2"),
        ("filter:INPUT:9", "chain INPUT of table filter has 7 rules"),
        ("nat:INPUT:1", "the rule set has no table nat"),
        ("-A INPUT -j RETURN", "the rule set has no rule `-A INPUT -j RETURN`"),
    ] {
        let found = find(asked.ruleset(), HOST, words);
        assert_eq!(found.map_err(|why| why.to_string()), Err(wanted.to_string()));
    }
}

const MARKED: &str = "*mangle\n:PREROUTING ACCEPT [0:0]\n\
    -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000\nCOMMIT\n\
    *filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:EMPTY - [0:0]\n:BACK - [0:0]\n\
    -A FORWARD -m mark --mark 0x40000/0xff0000 -j ACCEPT\n\
    -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A FORWARD -s 10.0.0.0/8\n\
    -A FORWARD -j EMPTY\n\
    -A FORWARD -j BACK\n\
    -A FORWARD -m recent --set --name seen\n\
    -A FORWARD -m recent --update --seconds 60 --name seen -j DROP\n\
    -A BACK -d 10.0.0.0/8 -j RETURN\n\
    -A BACK -j EMPTY\nCOMMIT\n";

#[test]
fn what_an_engine_shows_by_itself_is_needed_whatever_marks_may_be_restored() {
    let mut asked = asked(MARKED, Family::V4);
    let place = find(asked.ruleset(), MARKED, "filter:FORWARD:2").expect("a rule")[0];
    let told = asked.need(place).expect("an answer").expect("a rule");
    assert_eq!(told.need, Need::Needed, "{told:#?}");
    let rows = || told.without.iter().flat_map(|way| &way.rows);
    // No connection may have a mark, or every one: that decides of none of the packets for certain.
    let shown: Vec<_> = rows().filter_map(|row| row.witness.as_ref()).collect();
    assert!(shown.iter().any(|witness| witness.played.is_by_itself), "{told:#?}");
    for row in rows().filter(|row| !row.certain) {
        assert!(row.depends_on.iter().all(|on| on.contains("CONNMARK")), "{row:#?}");
    }
    // A mark is told as rules have it.
    let place = find(asked.ruleset(), MARKED, "filter:FORWARD:1").expect("a rule")[0];
    let told = asked.need(place).expect("an answer").expect("a rule");
    let text = format!("{:?}", told.without);
    assert!(text.contains("mark 0x40000/0xff0000"), "{text}");
}

const REDIRECTED: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n\
    -A PREROUTING -i tun+ -p tcp -j REDIRECT --to-ports 9040\nCOMMIT\n\
    *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -i tun+ -j ACCEPT\nCOMMIT\n";

#[test]
fn what_is_redirected_is_no_less_a_packet_that_shows_a_rule() {
    let mut asked = asked(REDIRECTED, Family::V4);
    let place = find(asked.ruleset(), REDIRECTED, "filter:INPUT:1").expect("a rule")[0];
    let told = asked.need(place).expect("an answer").expect("a rule");
    assert_eq!(told.need, Need::Needed, "{told:#?}");
    assert!(told.without[0].rows[0].certain, "{told:#?}");
}

const LIMITED: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -m pkttype --pkt-type broadcast -j DROP\n\
    -A INPUT -m limit --limit 1/sec -j LOG\nCOMMIT\n";

#[test]
fn what_is_known_of_a_packet_beside_its_fields_leaves_no_doubt_about_a_rule() {
    let mut asked = asked(LIMITED, Family::V4);
    let place = find(asked.ruleset(), LIMITED, "filter:INPUT:2").expect("a rule")[0];
    let told = asked.need(place).expect("an answer").expect("a rule");
    assert_eq!(told.need, Need::Needed, "{told:#?}");
}

#[test]
fn rules_that_only_count_and_chains_that_do_nothing_are_told_so() {
    let mut asked = asked(MARKED, Family::V4);
    for (number, wanted) in [
        (3, Some("it has no target: it counts packets and decides nothing")),
        (4, Some("chain EMPTY has no rules: packets come straight back")),
        (5, Some("the rules of chain BACK do nothing: packets come back")),
        (6, None),
    ] {
        let words = format!("filter:FORWARD:{number}");
        let place = find(asked.ruleset(), MARKED, &words).expect("a rule")[0];
        let told = asked.need(place).expect("an answer").expect("a rule");
        match wanted {
            Some(wanted) => {
                assert_eq!((told.need, told.because.as_str()), (Need::NotNeeded, wanted));
                unneeded(&mut asked, MARKED, place);
            }
            None => assert_eq!(told.need, Need::Needed, "{told:#?}"),
        }
    }
}

#[test]
fn many_rows_of_one_manner_are_told_roughly_as_well() {
    let mut source =
        String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    source.push_str(":RING - [0:0]\n-A FORWARD -i eth7 -p tcp -j RING\n");
    for number in 1..20 {
        let line = format!(
            "-A RING -s 10.{number}.0.0/16 -d 10.{number}.{number}.0/24 -o eth{number} -j ACCEPT\n"
        );
        source.push_str(&line);
    }
    source.push_str("COMMIT\n");
    let mut asked = asked(&source, Family::V4);
    let place = find(asked.ruleset(), &source, "filter:FORWARD:1").expect("a rule")[0];
    let told = asked.need(place).expect("an answer").expect("a rule");
    let [way] = told.without.as_slice() else { panic!("{told:#?}") };
    let [roughly] = way.roughly.as_slice() else { panic!("{way:#?}") };
    assert_eq!(roughly.rows, way.rows.len() + way.rows_left_out);
    assert!(roughly.rows >= 19, "{roughly:#?}");
    assert!(
        roughly.packets.starts_with("tcp from ") && roughly.packets.contains("in eth7"),
        "{roughly:?}"
    );
    assert!(told.because.contains("packets of this kind: tcp from"), "{}", told.because);
}

/// Rule sets of the shared test material, with the family of each: what people, offices, tools and containers have.
const REAL: [(&str, Family); 14] = [
    (
        "Iptables_Semantics/thy__Iptables_Semantics__Examples__Ringofsaturn_com__iptables-save",
        Family::V4,
    ),
    (
        "Iptables_Semantics/thy__Iptables_Semantics__Examples__sns.ias.edu__eduroam_iptables-save",
        Family::V4,
    ),
    (
        "Iptables_Semantics/thy__Iptables_Semantics__Examples__SQRL_Shorewall__2015_aug_iptables-save-spoofing-protection",
        Family::V4,
    ),
    (
        "Iptables_Semantics/thy__Iptables_Semantics__Examples__IPPartEval__gopherproxy.meulie.net__iptables-save",
        Family::V4,
    ),
    (
        "Iptables_Semantics/thy__Iptables_Semantics__Examples__IPPartEval__medium-sized-company__iptables-save",
        Family::V4,
    ),
    ("net-network/config_home_user__typical_home_user_iptables-save", Family::V4),
    ("net-network/configs_sqrl_shorewall__2014_sep_iptables-saveakachan", Family::V4),
    ("net-network/config_internal_office_fw__iptables-save.anonymized", Family::V4),
    ("net-network/configs_serverfault__765855.txt", Family::V4),
    ("net-network/configs_psa__team_a__about_NOTRACK.txt.derived", Family::V4),
    ("tools-generated/firehol-gateway.ip6tables-save", Family::V6),
    ("tools-generated/ufw-desktop.iptables-save", Family::V4),
    ("net-network/configs_corny_docker__dfwfw__dockermynet.dfwfw", Family::V4),
    (
        "docker/rs__bridge__internal__iptabler__testdata__TestIptabler__hairpin=true_internal=false_icc=false_masq=true_snat=true_gwm=nat_bindlh=true__iptables.golden",
        Family::V4,
    ),
];

/// Rules of a file that are asked about without `KEEPSTATE_ALL`.
const SAMPLE: usize = 12;

/// What was claimed of the rules of a file.
#[derive(Default)]
struct Claims {
    needs: [usize; 4],
    rows: usize,
    witnesses: usize,
    played: usize,
}

#[test]
fn every_rule_of_real_rule_sets_has_an_answer_that_a_comparison_bears_out() {
    let Some(folder) = shared("rulesets") else { return };
    let all = std::env::var_os("KEEPSTATE_ALL").is_some();
    let only = std::env::var("KEEPSTATE_ONLY").unwrap_or_default();
    for (name, family) in REAL.into_iter().filter(|(name, _)| name.contains(&only)) {
        let source = std::fs::read_to_string(folder.join(name)).expect(name);
        let mut asked = asked(&source, family);
        if all {
            asked.share();
        }
        let rules = places(asked.ruleset());
        let step = if all { 1 } else { rules.len().div_ceil(SAMPLE) };
        let mut claims = Claims::default();
        for place in rules.iter().step_by(step) {
            let told = asked.need(*place).expect("an answer").expect("a rule");
            assert!(!told.because.is_empty(), "{told:#?}");
            claims.needs[told.need as usize] += 1;
            match told.need {
                Need::NotNeeded | Need::NeverReached => unneeded(&mut asked, &source, *place),
                Need::Needed | Need::Perhaps => claims.needed(&told),
            }
        }
        let Claims { needs: [needed, perhaps, not, never], rows, witnesses, played } = claims;
        println!(
            "{} of {} rules: {needed} needed, {perhaps} perhaps, {not} not needed, {never} never reached; \
             {rows} rows, {witnesses} with a packet, {played} of them played: {name}",
            needed + perhaps + not + never,
            rules.len(),
        );
    }
}

impl Claims {
    /// Of a rule that is needed: its packets fare otherwise without it, in the engine as well.
    fn needed(&mut self, told: &WhyTold) {
        for row in told.without.iter().flat_map(|way| &way.rows) {
            self.rows += 1;
            let Some(witness) = &row.witness else {
                assert!(!row.certain, "{told:#?}");
                continue;
            };
            self.witnesses += 1;
            self.played += usize::from(witness.played.is_played);
            assert!(!witness.played.differs, "the engine contradicts {row:#?}\n{}", told.rule);
        }
    }
}

/// The rules without this one are proven equal as a whole.
fn unneeded(asked: &mut Asked, source: &str, place: Place) {
    let without = asked.copy_without(place).expect("a copy");
    let old = Side::new("old", source, copy(asked.ruleset()).expect("a copy"));
    let new = Side::new("new", source, without);
    let told = Comparison::new(&old, &new).and_then(|mut all| all.told()).expect("rows");
    assert!(told.equal, "{place:?} {told:#?}");
}
