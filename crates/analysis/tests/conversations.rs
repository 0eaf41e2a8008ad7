//! The library of conversations: each of them past a filter without rules, and past the rules that most
//! people have.

use keepstate_analysis::conversation::{
    Conversation, Due, Fate, LIBRARY, Nature, Place, Played, Received, STEPS_MAX, Scene, Script,
    Spot, TEMPLATES, Who, conversation, play,
};
use keepstate_analysis::experiment::state_name;
use keepstate_conntrack::Hook;
use keepstate_engine::Verdict;
use keepstate_packet::{Family, L4, Parsed, checksum::Verified};
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::syntax::iptables_save;
use std::collections::BTreeSet;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const PLACES: [Place; 3] = [Place::On(Who::Client), Place::On(Who::Server), Place::Between];

fn rules(source: &str, family: Family) -> Vec<Ruleset> {
    let parsed = iptables_save::parse(source, family);
    vec![parsed.unwrap_or_else(|faults| panic!("{source}\n{faults:?}"))]
}

fn script(conversation: &Conversation, scene: &Scene) -> Script {
    (conversation.script)(&scene.parties)
}

/// Every conversation at every place where it is spoken.
fn everywhere(mut work: impl FnMut(&'static Conversation, Family, Place, &Scene)) {
    for conversation in LIBRARY {
        for family in FAMILIES {
            for place in PLACES {
                if let Some(scene) = Scene::new(conversation, &Spot::new(place, family)) {
                    work(conversation, family, place, &scene);
                }
            }
        }
    }
}

/// As `code V4 Between: ...`, for messages.
fn told(conversation: &Conversation, scene: &Scene, played: &Played) -> String {
    let mut out =
        format!("{} {:?} {:?}: {:?}", conversation.code, scene.family, scene.place, played.fate);
    for (step, wanted) in played.steps.iter().zip(script(conversation, scene).steps) {
        let state = step.tracked().map(|tracked| state_name(tracked.state));
        out.push_str(&format!(
            "\n  {:>6} > {:<6} {:<36} {:?} {state:?} {:?} {:?}",
            wanted.from.name(),
            wanted.to.name(),
            wanted.label,
            step.verdict(),
            step.received,
            step.disposition.and_then(|disposition| disposition.reason()),
        ));
    }
    out
}

#[test]
fn the_list_is_in_order() {
    let codes: BTreeSet<&str> = LIBRARY.iter().map(|one| one.code).collect();
    assert_eq!(codes.len(), LIBRARY.len(), "codes are unique");
    for one in LIBRARY {
        assert!(!one.title.is_empty() && !one.title.ends_with('.'), "{}", one.code);
        assert!(one.when_broken.ends_with('.'), "{}: {}", one.code, one.when_broken);
        assert!(one.nature != Nature::Service || !one.services.is_empty(), "{}", one.code);
        assert_eq!(conversation(one.code).map(|found| found.code), Some(one.code));
    }
    for template in TEMPLATES {
        assert!(conversation(template.conversation.code).is_some(), "{}", template.code);
    }
    everywhere(|one, _, _, scene| {
        let script = script(one, scene);
        assert!((1..=STEPS_MAX).contains(&script.steps.len()), "{}", one.code);
        assert_eq!(script.steps[0].needs, Vec::new(), "{} begins", one.code);
        for (index, step) in script.steps.iter().enumerate() {
            assert!(step.when_lost.ends_with(['.', ')']), "{} {index}", one.code);
            let earlier = |need: &keepstate_analysis::conversation::Need| {
                use keepstate_analysis::conversation::Need;
                let (Need::Delivered(at) | Need::Lost(at)) = need;
                *at < index
            };
            assert!(step.needs.iter().all(earlier), "{} {index}", one.code);
        }
    });
}

#[test]
fn without_rules_everything_passes_and_every_packet_is_sound() {
    everywhere(|one, family, place, scene| {
        let played = play(one, Vec::new(), scene);
        let all = told(one, scene, &played);
        if one.code == "spoofed-loopback" {
            let reason = played.steps[0].disposition.and_then(|disposition| disposition.reason());
            assert!(place == Place::On(Who::Client) || reason == Some("martian"), "{all}");
            return;
        }
        assert_eq!(played.fate, Fate::Passes, "{all}");
        for (step, wanted) in played.steps.iter().zip(script(one, scene).steps) {
            if wanted.due == Due::Perhaps && !step.is_sent() {
                continue;
            }
            let expected =
                if !wanted.due.is_waited_for() { Received::Ignored } else { Received::Taken };
            assert_eq!(step.received, expected, "{all}");
            assert!(matches!(step.verdict(), None | Some(Verdict::Accept)), "{all}");
            let parsed = Parsed::new(&step.bytes).expect("a packet");
            assert_eq!(
                (parsed.family, parsed.length as usize),
                (family, step.bytes.len()),
                "{all}"
            );
            assert!(!matches!(parsed.l4, L4::Short | L4::BrokenChain), "{all}");
            let sum = keepstate_packet::checksum::verify(&parsed, &step.bytes);
            assert!(matches!(sum, Verified::Valid | Verified::NotApplicable), "{all}");
            let hook = step.chain(place);
            let local = if let Place::On(local) = place { Some(local) } else { None };
            let passes = step.disposition.is_some();
            let way = match (local, passes) {
                (_, false) => None,
                (None, _) => Some(Hook::Forward),
                (Some(local), _) if local == wanted.from => Some(Hook::Output),
                (Some(_), _) => Some(Hook::Input),
            };
            assert_eq!(hook, way, "{all}");
        }
    });
}

/// What everybody says, and the states that tracking gives it, where the filter stands on the client or
/// else between the two: `KEEPSTATE_BLESS=1` writes it anew.
#[test]
fn the_states_are_those_that_are_expected() {
    let mut found = String::new();
    for one in LIBRARY {
        for family in FAMILIES {
            let places = [Place::Between, Place::On(Who::Client)];
            let scene = places.iter().find_map(|place| Scene::new(one, &Spot::new(*place, family)));
            let Some(scene) = scene else { continue };
            let played = play(one, Vec::new(), &scene);
            let version = if family == Family::V4 { 4 } else { 6 };
            found.push_str(&format!("{} (IPv{version}): {}\n", one.code, one.title));
            for (step, wanted) in played.steps.iter().zip(script(one, &scene).steps) {
                let state = match (step.is_sent(), step.tracked()) {
                    (false, _) => "(not sent)",
                    (true, Some(tracked)) => state_name(tracked.state),
                    (true, None) => "(not seen here)",
                };
                let reason = step.disposition.and_then(|disposition| disposition.reason());
                let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
                let (from, to) = (wanted.from.name(), wanted.to.name());
                let label = &wanted.label;
                found.push_str(&format!("  {from:>6} > {to:<6}  {label:<40}  {state}{reason}\n"));
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/conversations.txt");
    if std::env::var_os("KEEPSTATE_BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    for (found, wanted) in found.lines().zip(wanted.lines()) {
        assert_eq!(found, wanted);
    }
    assert_eq!(found, wanted, "to accept: KEEPSTATE_BLESS=1 cargo test");
}

/// What most hosts have: answers come in, errors come in, and what is listed may begin. `client` and
/// `server` are the chains that see what the two send.
fn stateful(one: &Conversation, family: Family, place: Place) -> String {
    let icmp = if family == Family::V4 { "icmp" } else { "ipv6-icmp" };
    let (chain, from) = match place {
        Place::Between => ("FORWARD", " -i eth0"),
        Place::On(_) => ("INPUT", ""),
    };
    let mut out = String::new();
    if let Some(helper) = one.helper {
        let protocol = match one.protocol {
            Some(keepstate_analysis::conversation::Upper::Udp) => "udp",
            _ => "tcp",
        };
        out.push_str("*raw\n");
        for chain in ["PREROUTING", "OUTPUT"] {
            let port = one.server_port;
            out.push_str(&format!(
                "-A {chain} -p {protocol} --dport {port} -j CT --helper {helper}\n"
            ));
        }
        out.push_str("COMMIT\n");
    }
    out.push_str("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    out.push_str(&format!("-A {chain} -m conntrack --ctstate INVALID -j DROP\n"));
    out.push_str(&format!("-A {chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"));
    if family == Family::V6 {
        for kind in [130, 131, 132, 133, 134, 135, 136, 143] {
            out.push_str(&format!("-A {chain} -p {icmp} --icmpv6-type {kind} -j ACCEPT\n"));
        }
    }
    if place == Place::On(Who::Client) {
        // What every distribution lets in: leases, and names of the link.
        for port in [68, 546, 5353] {
            out.push_str(&format!("-A {chain} -p udp --dport {port} -j ACCEPT\n"));
        }
    } else {
        for service in one.services.iter().filter(|one| !matches!(one.protocol, 1 | 58)) {
            let (low, high) = service.ports;
            let ports = match service.protocol {
                6 | 17 => format!(" --dport {low}:{high}"),
                _ => String::new(),
            };
            let protocol = service.protocol;
            let new = "-m conntrack --ctstate NEW -j ACCEPT";
            out.push_str(&format!("-A {chain}{from} -p {protocol}{ports} {new}\n"));
        }
        if one.services.iter().any(|one| matches!(one.protocol, 1 | 58)) {
            let kind = if family == Family::V4 { "--icmp-type 8" } else { "--icmpv6-type 128" };
            out.push_str(&format!("-A {chain}{from} -p {icmp} {kind} -j ACCEPT\n"));
        }
    }
    out.push_str("COMMIT\n");
    out
}

#[test]
fn what_people_use_passes_the_rules_that_people_have() {
    everywhere(|one, family, place, scene| {
        if one.nature != Nature::Service {
            return;
        }
        let source = stateful(one, family, place);
        let played = play(one, rules(&source, family), scene);
        assert_eq!(played.fate, Fate::Passes, "{}\n{source}", told(one, scene, &played));
        if one.helper.is_some() {
            let unaided: String = source
                .lines()
                .filter(|line| !line.contains("--helper"))
                .fold(String::new(), |text, line| text + line + "\n");
            let played = play(one, rules(&unaided, family), scene);
            let opens_itself = place == Place::On(Who::Client) && one.code == "ftp-passive"
                || place == Place::On(Who::Server)
                    && matches!(one.code, "ftp-active" | "irc-dcc" | "tftp" | "sip" | "pptp");
            let fate = played.fate;
            let all = told(one, scene, &played);
            assert_eq!(fate == Fate::Passes, opens_itself, "without its helper: {all}");
        }
    });
}

#[test]
fn what_nobody_asked_for_is_stopped_by_them() {
    let mut stopped = BTreeSet::new();
    everywhere(|one, family, place, scene| {
        if one.nature == Nature::Service {
            return;
        }
        let source = stateful(one, family, place);
        let played = play(one, rules(&source, family), scene);
        let arrives = |step: &keepstate_analysis::conversation::StepPlayed| {
            step.tracked().is_some_and(|tracked| state_name(tracked.state) == "INVALID")
                && step.verdict() == Some(Verdict::Accept)
                && step.chain(place) != Some(Hook::Output)
        };
        assert!(!played.steps.iter().any(arrives), "{}", told(one, scene, &played));
        if played.fate != Fate::Passes && family == Family::V4 {
            stopped.insert(format!("{} {place:?}", one.code));
        }
    });
    // Everywhere else they pass: where the host itself begins them, and where they are allowed.
    let expected = [
        "asymmetric Between",
        "attempt Between",
        "attempt On(Server)",
        "attempts Between",
        "attempts On(Server)",
        "ftp-lure Between",
        "ftp-lure On(Server)",
        "icmp-message Between",
        "icmp-message On(Server)",
        "lone-segment Between",
        "lone-segment On(Server)",
        "pings Between",
        "pings On(Server)",
        "scan-ack Between",
        "scan-ack On(Server)",
        "scan-fin Between",
        "scan-fin On(Client)",
        "scan-fin On(Server)",
        "scan-null Between",
        "scan-null On(Client)",
        "scan-null On(Server)",
        "scan-syn Between",
        "scan-syn On(Server)",
        "scan-xmas Between",
        "scan-xmas On(Client)",
        "scan-xmas On(Server)",
        "spoofed-loopback On(Server)",
        "stray-icmp-error Between",
        "stray-icmp-error On(Client)",
        "stray-rst Between",
        "stray-rst On(Client)",
        "syn-flood Between",
        "syn-flood On(Server)",
        "udp-attempt Between",
        "udp-attempt On(Server)",
    ];
    assert_eq!(stopped, expected.map(String::from).into());
}

/// The conversation past these rules at this spot.
fn at(code: &str, source: &str, spot: &Spot) -> (Script, Played) {
    let one = conversation(code).expect(code);
    let scene = Scene::new(one, spot).expect(code);
    (script(one, &scene), play(one, rules(source, scene.family), &scene))
}

/// The label of the step at which it does not pass.
fn breaks(found: &(Script, Played)) -> Option<&str> {
    let at = found.1.fate.at()?;
    Some(&found.0.steps[at].label)
}

#[test]
fn dropping_icmp_errors_makes_a_black_hole_in_both_families() {
    for family in FAMILIES {
        let (icmp, label) = match family {
            Family::V4 => ("icmp", "frag needed, MTU 1400"),
            Family::V6 => ("ipv6-icmp", "packet too big, MTU 1400"),
        };
        for (code, place, chain) in [
            ("pmtu", Place::On(Who::Client), "INPUT"),
            ("pmtu", Place::Between, "FORWARD"),
            ("pmtu-server", Place::On(Who::Server), "INPUT"),
            ("pmtu-server", Place::Between, "FORWARD"),
        ] {
            let rule =
                |more: &str| format!("*filter\n-A {chain} -p {icmp}{more} -j DROP\nCOMMIT\n");
            let spot = Spot::new(place, family);
            for source in [rule(""), rule(" -m conntrack --ctstate RELATED")] {
                let found = at(code, &source, &spot);
                assert_eq!(breaks(&found), Some(label), "{source}");
                assert!(matches!(found.1.fate, Fate::Breaks { .. }), "both hang");
                assert!(found.1.steps.last().unwrap().is_sent(), "the same again");
            }
            let ping = if family == Family::V4 { " --icmp-type 8" } else { " --icmpv6-type 128" };
            assert_eq!(at(code, &rule(ping), &spot).1.fate, Fate::Passes, "echo alone is no harm");
        }
    }
}

#[test]
fn a_name_with_a_long_answer_needs_tcp() {
    let source = "*filter\n:OUTPUT DROP [0:0]\n-A OUTPUT -p udp --dport 53 -j ACCEPT\n\
                  -A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n";
    let spot = Spot::new(Place::On(Who::Client), Family::V4);
    assert_eq!(at("dns", source, &spot).1.fate, Fate::Passes);
    let found = at("dns-tcp", source, &spot);
    assert_eq!(breaks(&found), Some("SYN"));
    assert!(found.0.steps[2].when_lost.contains("too long for UDP"));
}

#[test]
fn a_login_that_is_forgotten_is_picked_up_where_its_next_packet_may_begin_a_connection() {
    let source = |new: &str| {
        format!(
            "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
             -A FORWARD -p tcp --dport 22 {new} -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n"
        )
    };
    let spot = Spot::new(Place::Between, Family::V4);
    for code in ["idle", "idle-forgotten"] {
        assert_eq!(at(code, &source(""), &spot).1.fate, Fate::Passes, "{code}");
    }
    assert_eq!(at("idle", &source("--syn"), &spot).1.fate, Fate::Passes);
    let found = at("idle-forgotten", &source("--syn"), &spot);
    assert_eq!(breaks(&found), Some("36 bytes, 6 days later"));
}

#[test]
fn an_announced_port_is_open_to_whoever_makes_a_client_announce_it() {
    let source = |narrow: &str| {
        format!(
            "*raw\n-A OUTPUT -p tcp --dport 21 -j CT --helper ftp\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n\
             -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n\
             -A INPUT{narrow} -m conntrack --ctstate RELATED -j ACCEPT\nCOMMIT\n"
        )
    };
    let spot = Spot::new(Place::On(Who::Client), Family::V4);
    assert_eq!(at("ftp-lure", &source(""), &spot).1.fate, Fate::Passes, "port 22 is reached");
    let narrow = source(" -p tcp --dport 1024: -m helper --helper ftp");
    assert_eq!(breaks(&at("ftp-lure", &narrow, &spot)), Some("SYN to port 22"));
    assert_eq!(at("ftp-active", &narrow, &spot).1.fate, Fate::Passes);
}

const MASQUERADE: &str = include_str!("../../../examples/rules/masquerade.rules");
const MASQUERADE_INVALID: &str = include_str!("../../../examples/rules/masquerade-invalid.rules");

#[test]
fn a_client_with_a_private_address_is_answered_only_where_it_is_translated() {
    let spot = Spot::masqueraded(Family::V4, "eth0", "eth1").unwrap();
    for code in ["tcp", "dns", "dns-tcp", "ping", "pmtu", "traceroute-udp", "ftp-passive", "ntp"] {
        let (script, played) = at(code, MASQUERADE, &spot);
        assert_eq!(played.fate, Fate::Passes, "{code}");
        let outside = keepstate_analysis::conversation::gateway(Family::V4);
        let first = played.steps[0].delivered.as_ref().unwrap();
        let parsed = Parsed::new(first).unwrap();
        assert_eq!(parsed.source.ip(Family::V4), outside, "{code} {}", script.steps[0].label);
    }
    let found = at("tcp", "*filter\nCOMMIT\n", &spot);
    assert_eq!((breaks(&found), found.1.steps[1].received), (Some("SYN-ACK"), Received::NoWay));
}

#[test]
fn ftp_through_a_translation_needs_its_helper_to_say_the_address_anew() {
    let spot = Spot::masqueraded(Family::V4, "eth0", "eth1").unwrap();
    let found = at("ftp-active", MASQUERADE, &spot);
    assert_eq!(breaks(&found), Some("data SYN"));
    let port = found.0.steps.iter().position(|step| step.label.starts_with("PORT")).unwrap();
    assert_eq!(found.1.steps[port + 2].received, Received::NoWay, "the private address");
    let helped =
        format!("*raw\n-A PREROUTING -p tcp --dport 21 -j CT --helper ftp\nCOMMIT\n{MASQUERADE}");
    let call = format!(
        "*raw\n-A PREROUTING -p tcp --dport 1723 -j CT --helper pptp\nCOMMIT\n{MASQUERADE}"
    );
    let tunnel = at("pptp", &call, &spot);
    assert_eq!(tunnel.1.fate, Fate::Passes, "its calls are numbered anew");
    let (script, played) = at("ftp-active", &helped, &spot);
    assert_eq!(played.fate, Fate::Passes);
    let text = String::from_utf8_lossy(played.steps[port].delivered.as_ref().unwrap()).into_owned();
    assert!(text.contains("PORT 198,51,100,7,"), "{}: {text}", script.steps[port].label);
    // The line has become longer, and nobody has noticed: each acknowledges what came to it.
    assert!(played.steps.iter().all(|step| step.brought.is_empty()));
}

#[test]
fn a_stray_segment_behind_a_translation_ends_the_connection_unless_it_is_dropped() {
    let spot = Spot::masqueraded(Family::V4, "eth0", "eth1").unwrap();
    let (script, played) = at("out-of-window", MASQUERADE, &spot);
    assert_eq!(played.fate, Fate::HalfOpen { at: 5 });
    let stray = &played.steps[4];
    assert_eq!(
        (stray.received, stray.chain(Place::Between)),
        (Received::Astray, Some(Hook::Input))
    );
    let [reset] = &stray.made[..] else { panic!("one reset: {:?}", stray.made) };
    assert!(reset.has_left && reset.ends && reset.to == Some(Who::Server));
    assert!(script.steps[5].when_lost.contains("connection reset by peer"));
    assert_eq!(at("out-of-window", MASQUERADE_INVALID, &spot).1.fate, Fate::Passes);
}

#[test]
fn a_forwarded_port_is_reached_from_outside_and_from_inside_only_with_a_hairpin() {
    let source = |hairpin: &str| {
        format!(
            "*nat\n-A PREROUTING -d 198.51.100.7 -p tcp --dport 443 -j DNAT --to-destination \
             192.168.1.20\n{hairpin}COMMIT\n"
        )
    };
    let outside = Spot::forwarded(Family::V4, "eth0", "eth1").unwrap();
    let inside = Spot::hairpin(Family::V4, "eth0", "eth1").unwrap();
    for code in ["tcp", "pmtu-server"] {
        assert_eq!(at(code, &source(""), &outside).1.fate, Fate::Passes, "{code}");
    }
    let found = at("tcp", &source(""), &inside);
    let answer = &found.1.steps[1];
    assert_eq!((breaks(&found), answer.received), (Some("SYN-ACK"), Received::Strange));
    assert!(answer.disposition.is_none(), "it goes to the client directly");
    assert!(answer.brought[0].ends, "the client's reset");
    let hairpin = "-A POSTROUTING -s 192.168.1.0/24 -d 192.168.1.20 -j MASQUERADE\n";
    assert_eq!(at("tcp", &source(hairpin), &inside).1.fate, Fate::Passes);
    let nobody = at("tcp", "*filter\nCOMMIT\n", &outside);
    assert_eq!(nobody.1.steps[0].received, Received::Astray, "the gateway itself is called");
    assert!(nobody.1.steps[0].made[0].ends, "and refuses");
}

#[test]
fn a_reset_that_is_dropped_leaves_one_end_believing() {
    let spot = Spot::new(Place::On(Who::Client), Family::V4);
    let source = "*filter\n-A INPUT -p tcp --tcp-flags RST RST -j DROP\nCOMMIT\n";
    let found = at("half-open", source, &spot);
    assert_eq!((breaks(&found), found.1.fate), (Some("RST"), Fate::HalfOpen { at: 6 }));
    let fin = "*filter\n-A INPUT -p tcp --tcp-flags FIN FIN -j DROP\nCOMMIT\n";
    assert_eq!(at("tcp", fin, &spot).1.fate, Fate::HalfOpen { at: 6 });
    let data = "*filter\n-A INPUT -p tcp -m length --length 1000: -j DROP\nCOMMIT\n";
    assert_eq!(at("tcp", data, &spot).1.fate, Fate::Breaks { at: 4 });
}

#[test]
fn what_a_program_is_to_decide_is_unknown() {
    let spot = Spot::new(Place::On(Who::Client), Family::V4);
    let source = "*filter\n-A INPUT -p tcp -j NFQUEUE\nCOMMIT\n";
    assert_eq!(at("tcp", source, &spot).1.fate, Fate::Breaks { at: 1 }, "no program reads it");
    let one = conversation("tcp").unwrap();
    let mut scene = Scene::new(one, &spot).unwrap();
    scene.host.queues = vec![0];
    let played = play(one, rules(source, Family::V4), &scene);
    assert_eq!(played.fate, Fate::Unknown { at: 1 });
    let owner = "*filter\n-A OUTPUT -m owner --uid-owner 0 -j DROP\nCOMMIT\n";
    assert_eq!(at("tcp", owner, &spot).1.fate, Fate::Unknown { at: 0 });
}
