//! What `diff` claims, the evaluator shows: random rule sets and changed copies, packets drawn at the edges of
//! their rules. A packet outside the sets fares alike with both, one inside as the set says, and every witness
//! that is told does what is told of it.
//!
//! `KEEPSTATE_CHECKS` packets, 60,000 without it; `KEEPSTATE_SEED` begins elsewhere.

#[allow(dead_code, reason = "the addresses of the link are not asked for here")]
#[path = "algebra/grammar.rs"]
mod grammar;
#[allow(dead_code, reason = "files of other rules are read by other tests")]
#[path = "algebra/ground.rs"]
mod ground;

use grammar::{Draw, Packet};
use ground::{fares, number_of, parse};
use keepstate_analysis::algebra::space::{Packets, Unknown};
use keepstate_analysis::algebra::{Example, Space, Way};
use keepstate_analysis::diff::{Aspect, Comparison, RowTold, Side, WitnessTold};
use keepstate_analysis::trace::notation::{Reader, Way as Written};
use keepstate_analysis::trial::Ran;
use keepstate_conntrack::{CtState, Hook};
use keepstate_packet::{Family, Parsed, tcp};
use keepstate_ruleset::model::Jump;
use keepstate_ruleset::syntax::iptables_save;

fn side(name: &str, source: &str, family: Family) -> Side {
    Side::new(name, source, parse(source, family))
}

/// A copy with a few lines taken away, doubled, moved or changed.
fn changed(draw: &mut Draw, source: &str, family: Family) -> String {
    for _ in 0..20 {
        let mut lines: Vec<String> = source.lines().map(String::from).collect();
        for _ in 0..1 + draw.below(3) {
            let rules: Vec<usize> =
                (0..lines.len()).filter(|at| lines[*at].starts_with("-A")).collect();
            if rules.is_empty() {
                break;
            }
            let at = rules[draw.below(rules.len() as u64) as usize];
            let other = rules[draw.below(rules.len() as u64) as usize];
            match draw.below(6) {
                0 => {
                    lines.remove(at);
                }
                1 => lines.swap(at, other),
                2 => lines.insert(other, lines[at].clone()),
                3 => lines[at] = lines[at].replace("-j ACCEPT", "-j DROP"),
                4 => lines[at] = lines[at].replace("-j DROP", "-j REJECT"),
                _ => lines[at] = lines[at].replace("NEW", "INVALID").replace("tcp", "udp"),
            }
        }
        let text = lines.join("\n") + "\n";
        if iptables_save::parse(&text, family).is_ok() {
            return text;
        }
    }
    source.to_string()
}

#[derive(Default, Debug)]
struct Sum {
    packets: u64,
    differ: u64,
    sets: u64,
    equal: u64,
    witnesses: u64,
    played: u64,
    rows: u64,
}

#[test]
fn a_packet_fares_differently_exactly_where_diff_says_so() {
    let wanted = number_of("KEEPSTATE_CHECKS", 60_000);
    let mut seed = number_of("KEEPSTATE_SEED", 1);
    let mut sum = Sum::default();
    while sum.packets < wanted {
        let mut draw = Draw::new(seed);
        let family = if draw.one_in(3) { Family::V6 } else { Family::V4 };
        // Some of them translate.
        let (source, pools) = match draw.one_in(4) {
            true => grammar::gateway(&mut draw, family),
            false => grammar::ruleset(&mut draw, family),
        };
        let copy = changed(&mut draw, &source, family);
        let text = || format!("seed {seed}\n--- old\n{source}--- new\n{copy}");
        let (old, new) = (side("old", &source, family), side("new", &copy, family));
        let mut comparison = Comparison::new(&old, &new).expect("a comparison");
        let told = comparison.told().expect("rows");
        sum.equal += u64::from(told.equal);
        for row in told.ways.iter().flat_map(|way| &way.rows) {
            sum.rows += 1;
            sum.witnesses += u64::from(row.witness.is_some());
            assert!(!row.certain || row.witness.is_some(), "{row:?} {}", text());
            if let Some(witness) = &row.witness {
                sum.played += u64::from(witness.played.is_played);
                assert!(!witness.played.differs, "the engine contradicts {row:#?} {}", text());
            }
        }
        let ways = comparison.ways.clone();
        for (way, differences) in ways {
            let bounds: Vec<_> = differences
                .iter()
                .map(|one| (&one.aspect, bounds(&comparison.space, &one.packets)))
                .collect();
            sum.sets += bounds.len() as u64;
            let shown: Vec<_> = told
                .ways
                .iter()
                .filter(|told| told.way == format!("{way:?}").to_lowercase())
                .flat_map(|told| told.rows.iter().filter_map(|row| row.witness.as_ref()))
                .collect();
            // Where nothing differs, fewer will do.
            let count = if shown.is_empty() { PACKETS / 5 } else { PACKETS };
            for _ in 0..count {
                let which = draw.below(shown.len() as u64) as usize;
                let packet = match shown.is_empty() || draw.one_in(2) {
                    true => grammar::packet(&mut draw, &pools, family),
                    false => beside(&mut draw, shown[which]),
                };
                let Some((example, bytes)) = drawn(&mut draw, packet, way, &comparison) else {
                    continue;
                };
                let space = &mut comparison.space;
                let one = old.trial.run(space, way, &example, &bytes).expect("a run");
                let other = new.trial.run(space, way, &example, &bytes).expect("a run");
                if restores_a_mark(&old, &one) || restores_a_mark(&new, &other) {
                    continue;
                }
                let values = space.values(&example);
                let mut allowed = false;
                for (aspect, (low, high)) in &bounds {
                    let is = shows(aspect, &example, &one, &other);
                    let (low, high) = (space.contains(low, &values), space.contains(high, &values));
                    assert!(
                        !low || is,
                        "{aspect:?} is certain, but {one:?} {other:?}\n{example:?}\n{}",
                        text()
                    );
                    allowed |= high;
                }
                let differs = fares(&one) != fares(&other);
                assert!(
                    allowed || !differs,
                    "{way:?}: nothing is said of {one:?} {other:?}\n{example:?}\n{}",
                    text()
                );
                sum.packets += 1;
                sum.differ += u64::from(differs);
            }
        }
        seed += 1;
    }
    println!("{sum:#?}");
    assert!(sum.differ * 50 > sum.packets, "some differ: {sum:?}");
    assert!(sum.equal > 0 && sum.witnesses * 2 > sum.rows, "{sum:?}");
}

const PACKETS: usize = 150;

fn shows(aspect: &Aspect, came: &Example, old: &Ran, new: &Ran) -> bool {
    let mark = |ran: &Ran, hook| ran.marks.iter().find(|(at, _)| *at == hook).map(|(_, m)| *m);
    match aspect {
        Aspect::Verdict(one, other) => (old.verdict, new.verdict) == (*one, *other),
        Aspect::Mark(hook, one, other) => {
            let (Some(before), Some(after)) = (mark(old, *hook), mark(new, *hook)) else {
                return false;
            };
            before != after && one.fits(came.mark, before) && other.fits(came.mark, after)
        }
        Aspect::Ttl(one, other) => {
            let (before, after) = (old.ttl.into(), new.ttl.into());
            let came = came.ttl.into();
            before != after && one.fits(came, before) && other.fits(came, after)
        }
        Aspect::Tos(one, other) => {
            let (before, after) = (old.tos.into(), new.tos.into());
            let came = came.tos.into();
            before != after && one.fits(came, before) && other.fits(came, after)
        }
        Aspect::Translation(..) | Aspect::Effect(..) => true,
    }
}

/// The set whatever targets write of which only the range is known, and for some of what they may write.
fn bounds(space: &Space, packets: &Packets) -> (Packets, Packets) {
    let open = |unknown: &Unknown| match unknown {
        Unknown::Named(_, number) => *number != 0,
        Unknown::Written(..) => true,
        Unknown::Opaque(place) => place.contains("outcome"),
        Unknown::FirstOfRelated => false,
    };
    (space.narrowest_of(packets, open).expect("low"), space.widest_of(packets, open).expect("high"))
}

/// A packet that differs from a witness a little, or not at all.
fn beside(draw: &mut Draw, witness: &WitnessTold) -> Packet {
    let mut reader = Reader::default();
    reader.lines(&witness.packet).expect("the notation");
    let written = reader.finish().remove(0);
    let mut bytes = written.bytes;
    let v4 = bytes[0] >> 4 == 4;
    let (header, addresses) = if v4 { (20, 12) } else { (40, 8) };
    let ttl = if v4 { 8 } else { 7 };
    if draw.one_in(2) {
        let at = match draw.below(4) {
            0 => addresses + draw.below((header - addresses) as u64) as usize,
            1 => ttl,
            _ => header + draw.below(14) as usize,
        };
        let bit = 1 << draw.below(8);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= bit;
        }
    }
    let (out, state) = match witness.circumstances.split_once(", ") {
        Some((out, state)) => (out.strip_prefix("out ").map(String::from), state),
        None => (None, witness.circumstances.as_str()),
    };
    let state = match state {
        "NEW" => CtState::New,
        "ESTABLISHED" => CtState::Established,
        "RELATED" => CtState::Related,
        "INVALID" => CtState::Invalid,
        _ => CtState::Untracked,
    };
    let any = [CtState::New, CtState::Established, CtState::Related, CtState::Invalid];
    Packet {
        bytes,
        in_interface: match written.way {
            Written::Interface(name) => Some(name.to_string()),
            Written::Host | Written::Unsaid => None,
        },
        out_interface: out,
        mark: written.mark ^ u32::from(draw.one_in(6)),
        mac: 0,
        state: if draw.one_in(4) { any[draw.below(4) as usize] } else { state },
    }
}

/// A packet that there can be, and what matches say of it that no packet decides.
fn drawn(
    draw: &mut Draw,
    packet: Packet,
    way: Way,
    comparison: &Comparison<'_>,
) -> Option<(Example, Vec<u8>)> {
    let space = &comparison.space;
    let drawn = ground::example_for_two(draw, packet, way, space)?;
    if drawn.0.protocol == tcp::PROTOCOL && !is_segment(&drawn.1) {
        return None;
    }
    space.contains(&comparison.possible, &space.values(&drawn.0)).then_some(drawn)
}

/// Whether the header of a segment ends within it: targets drop what they cannot read.
fn is_segment(bytes: &[u8]) -> bool {
    let Ok(parsed) = Parsed::new(bytes) else { return false };
    let at = parsed.l4_offset as usize;
    let length = bytes.get(at + 12).map(|byte| usize::from(byte >> 4) * 4);
    let is_whole = length.is_some_and(|length| length >= 20 && at + length <= bytes.len());
    is_whole || parsed.fragment.is_some()
}

/// The evaluator alone has no connections, whose marks might be restored.
fn restores_a_mark(side: &Side, ran: &Ran) -> bool {
    let tables = &side.trial.ruleset().tables;
    ran.matched.iter().any(|by| {
        let table = tables.iter().find(|table| table.name == by.table);
        let rule = table.and_then(|table| {
            table.chains.get(by.at.chain.0 as usize)?.rules.get(by.at.number as usize)
        });
        let target = rule.map(|rule| &rule.target);
        matches!(target, Some(Jump::Target(target)) if target.name() == "CONNMARK")
    })
}

#[test]
fn what_is_added_to_a_hop_limit_hangs_on_what_it_was() {
    let of = |rules: &str| format!("*mangle\n:POSTROUTING ACCEPT [0:0]\n{rules}COMMIT\n");
    let equal = |old: &str, new: &str| {
        let (old, new) = (side("old", &of(old), Family::V4), side("new", &of(new), Family::V4));
        Comparison::new(&old, &new).expect("a comparison").told().expect("rows").equal
    };
    let add = "-A POSTROUTING -j TTL --ttl-inc 1\n";
    let [set, three, take, more] = [
        "-A POSTROUTING -j TTL --ttl-set 2\n",
        "-A POSTROUTING -j TTL --ttl-set 3\n",
        "-A POSTROUTING -j TTL --ttl-dec 5\n",
        "-A POSTROUTING -j TTL --ttl-inc 255\n",
    ];
    assert!(!equal(&format!("{set}{add}"), add));
    assert!(equal(&format!("{set}{add}"), three));
    // It stays within what the field holds.
    assert!(equal(&format!("{set}{take}"), "-A POSTROUTING -j TTL --ttl-set 0\n"));
    assert!(equal(&format!("{set}{more}"), "-A POSTROUTING -j TTL --ttl-set 255\n"));
}

#[test]
fn a_hop_is_taken_before_a_packet_is_forwarded() {
    let of =
        |verdict: &str| format!("*filter\n-A FORWARD -m ttl --ttl-eq 64 -j {verdict}\nCOMMIT\n");
    let (old, new) = (side("old", &of("DROP"), Family::V4), side("new", &of("REJECT"), Family::V4));
    let told = Comparison::new(&old, &new).and_then(|mut all| all.told()).expect("rows");
    let rows: Vec<_> = told.ways.iter().map(|way| way.rows.len()).collect();
    assert_eq!(rows, [0, 1, 0]);
    assert!(told.ways[1].rows[0].packets.contains("ttl 65"), "{:?}", told.ways[1].rows[0]);
}

#[test]
fn before_routing_packets_leave_by_no_interface_and_behind_it_they_still_came_in_by_one() {
    let of = |hook: &str, asks: &str| {
        format!("*mangle\n:far - [0:0]\n-A {hook} -j far\n-A far {asks} -j DROP\nCOMMIT\n")
    };
    let none = "*mangle\nCOMMIT\n";
    let rows = |rules: &str| -> Vec<usize> {
        let (old, new) = (side("old", rules, Family::V4), side("new", none, Family::V4));
        let told = Comparison::new(&old, &new).and_then(|mut all| all.told()).expect("rows");
        told.ways.iter().map(|way| way.rows.len()).collect()
    };
    assert_eq!(rows(&of("PREROUTING", "-o eth0")), [0, 0, 0]);
    assert_eq!(rows(&of("PREROUTING", "! -o eth0")), [1, 1, 0]);
    assert_eq!(rows(&of("POSTROUTING", "-i eth0")), [0, 1, 0]);
    assert_eq!(rows(&of("POSTROUTING", "! -i eth0")), [0, 1, 1]);
}

#[test]
fn marks_are_told_at_the_hook_from_which_on_they_differ() {
    let mark = |tcp: u8, udp: u8| {
        let rule = |hook, protocol, mark| {
            format!("-A {hook} -p {protocol} -j MARK --set-xmark {mark}/0xffffffff\n")
        };
        let (first, later) = (rule("PREROUTING", "tcp", tcp), rule("FORWARD", "udp", udp));
        side("rules", &format!("*mangle\n{first}{later}COMMIT\n"), Family::V4)
    };
    let (old, new) = (mark(1, 1), mark(2, 2));
    let comparison = Comparison::new(&old, &new).expect("a comparison");
    let through = comparison.ways.iter().find(|(way, _)| *way == Way::Through).expect("a way");
    let hooks: Vec<Hook> = through
        .1
        .iter()
        .filter_map(|one| match one.aspect {
            Aspect::Mark(hook, ..) => Some(hook),
            _ => None,
        })
        .collect();
    assert_eq!(hooks, [Hook::Prerouting, Hook::Forward]);
}

#[test]
fn what_does_not_matter_is_proven_equal() {
    let old = "*filter\n:INPUT DROP [0:0]\n:web - [0:0]\n\
               -A INPUT -i lo -j ACCEPT\n\
               -A INPUT -p tcp -m tcp --dport 80:443 -j web\n\
               -A INPUT -s 10.0.0.0/8 -j ACCEPT\n\
               -A web -s 192.0.2.0/24 -j DROP\n-A web -j ACCEPT\nCOMMIT\n";
    for new in [
        // Reordered, renamed, split, joined, redundant.
        "*filter\n:INPUT DROP [0:0]\n:http - [0:0]\n\
         -A INPUT -i lo -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 80:443 -j http\n\
         -A INPUT -s 10.128.0.0/9 -j ACCEPT\n-A INPUT -s 10.0.0.0/9 -j ACCEPT\n\
         -A http ! -s 192.0.2.0/24 -j ACCEPT\n-A http -j DROP\nCOMMIT\n",
        "*filter\n:INPUT ACCEPT [0:0]\n\
         -A INPUT -i lo -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 80:200 ! -s 192.0.2.0/24 -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 201:443 ! -s 192.0.2.0/24 -j ACCEPT\n\
         -A INPUT -p tcp -m tcp --dport 80:443 -j DROP\n\
         -A INPUT -s 10.0.0.0/8 -j ACCEPT\n-A INPUT -s 10.1.0.0/16 -j ACCEPT\n\
         -A INPUT -j DROP\n-A INPUT -j ACCEPT\nCOMMIT\n",
    ] {
        let (one, other) = (side("old", old, Family::V4), side("new", new, Family::V4));
        let told = Comparison::new(&one, &other).and_then(|mut all| all.told()).expect("rows");
        assert!(told.equal, "{told:#?}");
    }
}

#[test]
fn a_table_that_is_missing_accepts() {
    let old = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
    let (one, other) = (side("old", old, Family::V4), side("new", "", Family::V4));
    let told = Comparison::new(&one, &other).and_then(|mut all| all.told()).expect("rows");
    let rows: Vec<_> = told.ways.iter().map(|way| (way.way, way.rows.len())).collect();
    assert_eq!(rows, [("in", 1), ("through", 0), ("out", 0)]);
    let row = &told.ways[0].rows[0];
    assert_eq!((row.old.as_str(), row.new.as_str()), ("drop", "accept"));
    let witness = row.witness.as_ref().expect("a witness");
    assert_eq!(witness.new.rule, "no table there: ACCEPT");
    assert_eq!(witness.old.place.as_deref(), Some("old:2"));
}

#[test]
fn translations_marks_and_lines_of_the_log_are_compared() {
    let text = |nat: &str, mark: &str, log: &str| {
        format!(
            "*mangle\n-A PREROUTING -p tcp -m tcp --dport 22 -j MARK --set-mark {mark}\nCOMMIT\n\
             *nat\n-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination {nat}\nCOMMIT\n\
             *filter\n:FORWARD DROP [0:0]\n-A FORWARD -d 10.0.0.1 -j ACCEPT\n\
             -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
             -A FORWARD -p tcp -m tcp --dport 22 -j ACCEPT\n\
             -A FORWARD -p udp -j LOG --log-prefix \"{log}\"\nCOMMIT\n"
        )
    };
    let old = side("old", &text("10.0.0.1", "1", "a"), Family::V4);
    let what = |new: &str| {
        let new = side("new", new, Family::V4);
        let told = Comparison::new(&old, &new).and_then(|mut all| all.told()).expect("rows");
        let rows = told.ways.into_iter().flat_map(|way| {
            let name = way.way;
            way.rows.into_iter().map(move |row| (name, row.what, row.certain))
        });
        // Whether a packet that is RELATED is the first of a connection is not told by its fields.
        rows.filter(|(.., certain)| *certain).collect::<Vec<_>>()
    };
    assert_eq!(what(&text("10.0.0.1", "1", "a")), []);
    // The new destination is not let through; on the way in it is only another translation.
    assert_eq!(
        what(&text("10.0.0.2", "1", "a")),
        [("in", "translation", true), ("through", "verdict", true)]
    );
    assert_eq!(
        what(&text("10.0.0.1", "2", "a")),
        [("in", "mark", true), ("through", "mark", true)]
    );
    assert_eq!(what(&text("10.0.0.1", "1", "b")), [("through", "effect", true)]);
}

#[test]
fn what_routing_gives_to_the_host_contradicts_nothing_that_is_said_of_forwarded_packets() {
    let rules = |forward: &str| {
        format!(
            "*nat\n-A PREROUTING -j DNAT --to-destination 255.255.255.255\nCOMMIT\n\
             *filter\n{forward}COMMIT\n"
        )
    };
    let drop = "-A FORWARD -p tcp -m conntrack --ctstate NEW -j DROP\n";
    let (old, new) = (side("old", &rules(drop), Family::V4), side("new", &rules(""), Family::V4));
    let told = Comparison::new(&old, &new).and_then(|mut all| all.told()).expect("rows");
    let witness = told.ways[1].rows[0].witness.as_ref().expect("a witness");
    assert!(!witness.played.differs, "{witness:#?}");
}

#[test]
fn what_is_new_behind_another_is_not_played_against_table_nat() {
    let rules = |forward: &str| {
        format!(
            "*nat\n-A PREROUTING -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK RST -j DNAT --to-destination 192.0.2.7\n\
             COMMIT\n*filter\n{forward}COMMIT\n"
        )
    };
    let drop = "-A FORWARD -d 192.0.2.7 -m conntrack --ctstate NEW -j DROP\n";
    let (old, new) = (side("old", &rules(drop), Family::V4), side("new", &rules(""), Family::V4));
    let told = Comparison::new(&old, &new).and_then(|mut all| all.told()).expect("rows");
    let is_of_resets = |row: &&RowTold| row.packets.contains("RST") && row.packets.contains("NEW");
    let row = told.ways[1].rows.iter().find(is_of_resets).expect("a row");
    let played = &row.witness.as_ref().expect("a witness").played;
    assert!(!played.is_played && !played.differs, "{played:?}");
    assert!(told.assumed.iter().any(|one| one.contains("the first of its connection")));
}

#[test]
fn a_mark_that_a_restored_one_replaces_stays_where_there_is_no_connection() {
    let rules = |mark: &str| {
        format!(
            "*mangle\n{mark}-A PREROUTING -j CONNMARK --restore-mark\nCOMMIT\n\
             *filter\n-A FORWARD -m mark --mark 0x19 -j DROP\nCOMMIT\n"
        )
    };
    let old = side("old", &rules("-A PREROUTING -j MARK --set-mark 0x19\n"), Family::V4);
    let new = side("new", &rules(""), Family::V4);
    let told = Comparison::new(&old, &new).and_then(|mut all| all.told()).expect("rows");
    let through = told.ways.iter().find(|way| way.way == "through").expect("a way");
    let shown = through.rows.iter().find(|row| row.what == "verdict" && row.certain);
    let shown = shown.unwrap_or_else(|| panic!("{:#?}", through.rows));
    assert_eq!((shown.old.as_str(), shown.new.as_str()), ("drop", "accept"));
    assert!(shown.packets.contains("INVALID"), "{shown:#?}");
}
