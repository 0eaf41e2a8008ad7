//! Every conversation of the library past this machine's kernel and past the engine, packet by packet:
//! verdicts, states, bytes and events are the same. Skips, saying so, where no namespace may be made.

use keepstate_analysis::conversation::{LIBRARY, Place, Played, Scene, Script, Spot, Who, play};
use keepstate_engine::{Host, InterfaceIndex, Network, Route};
use keepstate_oracle::kernel::{Config, Kernel};
use keepstate_oracle::model::Model;
use keepstate_oracle::observation::Side;
use keepstate_oracle::{compare, namespace};
use keepstate_packet::{Address, Family, InterfaceName};
use keepstate_ruleset::syntax::iptables_save;
use std::io;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// What is behind side A: the clients of the conversations.
const INSIDE: [&str; 3] = ["192.0.2.0/24", "192.168.1.0/24", "2001:db8:c0::/48"];

/// Rules of the gateway that everything passes: helpers, answers, what the inside begins.
fn stateful(family: Family) -> String {
    let helpers = [("tcp", 21, "ftp"), ("udp", 69, "tftp"), ("udp", 5060, "sip")];
    let of_v4 = [("tcp", 6667, "irc"), ("tcp", 1723, "pptp")];
    let mut out = String::from("*raw\n");
    for (protocol, port, helper) in
        helpers.iter().chain(of_v4.iter().filter(|_| family == Family::V4))
    {
        let rule = format!(
            "-A PREROUTING -p {protocol} -m {protocol} --dport {port} -j CT --helper {helper}\n"
        );
        out.push_str(&rule);
    }
    out.push_str(
        "COMMIT\n*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n\
         -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FORWARD -i eth0 -j ACCEPT\nCOMMIT\n",
    );
    out
}

fn masquerading() -> String {
    format!("*nat\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n{}", stateful(Family::V4))
}

/// The fixed router, the clients behind its first interface.
fn router() -> Host {
    let name = |text| InterfaceName::new(text).expect("a name");
    let mut host = Host::router(name("eth0"), name("eth1"));
    host.answers_tcp = true;
    for network in INSIDE {
        let (address, prefix) = network.split_once('/').expect("a network");
        let address: std::net::IpAddr = address.parse().expect("an address");
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let destination = Network {
            family,
            address: Address::from(address),
            prefix: prefix.parse().expect("a length"),
        };
        host.routes.push(Route::new(destination, InterfaceIndex(0)));
    }
    host
}

/// What comes to the router in a conversation, from which side.
fn packets(script: &Script, played: &Played, scene: &Scene) -> Vec<(Side, String, Vec<u8>)> {
    let side = |who| if scene.side(who) == Who::Client { Side::A } else { Side::B };
    let mut out = Vec::new();
    for (step, came) in script.steps.iter().zip(&played.steps) {
        if came.disposition.is_some() {
            out.push((side(step.from), step.label.clone(), came.bytes.clone()));
        }
        for brought in came.brought.iter().filter(|brought| brought.verdict.is_some()) {
            out.push((
                side(brought.from),
                String::from("of its own accord"),
                brought.bytes.clone(),
            ));
        }
    }
    out
}

/// Every conversation that a family speaks at this spot, under these rules, by both; how many packets.
fn compare_all(rules: [String; 2], spot: fn(Family) -> Option<Spot>) -> io::Result<u64> {
    namespace::with(|| {
        let inside = INSIDE.map(String::from).to_vec();
        let mut kernel = Kernel::new(Config { inside, ..Config::default() })?;
        for (family, text) in FAMILIES.into_iter().zip(&rules) {
            if !text.is_empty() {
                kernel.load_rules(family, text)?;
            }
        }
        let config = kernel.config().clone();
        let mut model = Model::new(&config, &[], &rules).map_err(io::Error::other)?;
        let mut count = 0;
        for (family, text) in FAMILIES.into_iter().zip(&rules) {
            for conversation in LIBRARY {
                let scene = spot(family).and_then(|spot| Scene::new(conversation, &spot));
                let Some(scene) = scene else { continue };
                let ours = match text.is_empty() {
                    true => Vec::new(),
                    false => vec![iptables_save::parse(text, family).expect("rules")],
                };
                let played = play(conversation, ours, &scene);
                let script = (conversation.script)(&scene.parties);
                for (side, label, bytes) in packets(&script, &played, &scene) {
                    let theirs = kernel.push(side, family, &bytes)?;
                    model.foretell(&bytes, &theirs, &[], &[]);
                    let ours = model.push(side, family, &bytes);
                    let differences = compare::observations(&theirs, &ours);
                    assert!(
                        differences.is_empty(),
                        "{} {family:?}, {label}: {differences:#?}\n{}",
                        conversation.code,
                        compare::hex(&bytes)
                    );
                    count += 1;
                }
                let differences = compare::tables(kernel.connections()?, model.connections());
                assert!(
                    differences.is_empty(),
                    "{} {family:?}: {differences:#?}",
                    conversation.code
                );
                kernel.flush()?;
                model.flush();
            }
        }
        Ok(count)
    })?
}

fn judged(name: &str, least: u64, ran: io::Result<u64>) {
    match ran {
        Ok(count) => {
            println!("{name}: {count} packets alike");
            assert!(count >= least, "{count} packets");
        }
        Err(error) => println!("skipped: {error}"),
    }
}

/// On the router, and what is said on the link of its first interface.
fn between(family: Family) -> Option<Spot> {
    Some(Spot { host: Some(router()), ..Spot::new(Place::Between, family) })
}

#[test]
fn the_kernel_sees_the_same_in_every_conversation() {
    let none = [String::new(), String::new()];
    judged("without rules", 400, compare_all(none, between));
}

#[test]
fn the_kernel_decides_the_same_with_helpers_and_states() {
    judged("stateful", 400, compare_all(FAMILIES.map(stateful), between));
}

#[test]
fn the_kernel_translates_the_same() {
    let spot = |family| {
        let gateway = Spot::masqueraded(family, "eth0", "eth1").filter(|_| family == Family::V4)?;
        Some(Spot { host: Some(router()), ..gateway })
    };
    judged("masquerading", 200, compare_all([masquerading(), String::new()], spot));
}

#[test]
fn the_kernel_tracks_what_is_said_on_a_link_the_same() {
    // The client's host sees it; here both sides' packets come in on one interface of the router.
    let spot = |family| Some(Spot::new(Place::On(Who::Client), family));
    judged("on a link", 400, compare_all([String::new(), String::new()], spot));
}
