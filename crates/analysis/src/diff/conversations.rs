//! Conversations that pass with the one rule set and break with the other: played past both by the engine, where
//! the packets are that fare differently, and at the places where people usually stand.

use super::told::ConversationTold;
use crate::algebra::{Example, Way};
use crate::conversation::{
    Conversation, Fate, LIBRARY, Nature, Place, Played, Scene, Script, Spot, Upper, Who,
    play_script,
};
use keepstate_conntrack::Sysctls;
use keepstate_engine::{Command, Engine, Host};
use keepstate_packet::{Family, Instant, InterfaceName};
use keepstate_ruleset::matches::conntrack as ct;
use keepstate_ruleset::model::{InterfacePattern, Inverted, Jump, Ruleset, TableName};

/// Most conversations that are told.
pub const CONVERSATIONS_MAX: usize = 40;
/// Most packets around which conversations are built.
const AROUND_MAX: usize = 12;
/// Most pairs of interfaces between which it is translated.
const GATEWAYS_MAX: usize = 4;
/// Connections that an engine may keep for them.
const CONNECTIONS_MAX: u32 = 1024;
/// Keys the hash of the connection table: the same run every time.
const SEED: [u64; 2] = [0x6b65_6570, 0x7374_6174];

/// Two filters past which conversations are played.
#[derive(Debug)]
pub struct Pair {
    engines: [Engine; 2],
    family: Family,
    /// Interfaces inside and outside of a gateway that translates.
    gateways: Vec<(String, String)>,
}

impl Pair {
    /// With the old rules and with the new ones.
    #[must_use]
    pub fn new(old: Ruleset, new: Ruleset) -> Self {
        let family = old.family;
        let gateways = gateways([&old, &new]);
        // Each conversation has a host of its own.
        let [near, far] = ["eth0", "eth1"].map(|name| InterfaceName::new(name).unwrap_or_default());
        let host = Host::router(near, far);
        let engine = |ruleset| {
            let sysctls = Sysctls { max: CONNECTIONS_MAX, ..Sysctls::default() };
            Engine::new(SEED, host.clone(), sysctls, vec![ruleset])
        };
        Self { engines: [engine(old), engine(new)], family, gateways }
    }

    /// Puts a rule set in the place of one of the two.
    pub fn replace_new(&mut self, new: Ruleset) {
        let [_, engine] = &mut self.engines;
        let command = Command::ReplaceRuleset(Box::new(new));
        // The engine refuses no rule set that has been parsed.
        let _ = engine.handle_command(Instant::default(), command);
    }

    fn play(&mut self, script: &Script, scene: &Scene) -> [Played; 2] {
        let [old, new] = &mut self.engines;
        [old, new].map(|engine| {
            engine.set_host(scene.host.clone());
            play_script(engine, script, scene)
        })
    }

    /// The conversations that fare differently: those at the usual places, and those that have packets like
    /// these.
    pub fn differing(&mut self, around: &[(Way, Example)]) -> Vec<ConversationTold> {
        let mut found: Vec<ConversationTold> = Vec::new();
        for (conversation, spot) in spots(self.family, around, &self.gateways) {
            if found.len() >= CONVERSATIONS_MAX {
                break;
            }
            let known = |one: &ConversationTold| {
                one.code == conversation.code && one.place == place_name(&spot)
            };
            if found.iter().any(known) {
                continue;
            }
            let Some(scene) = Scene::new(conversation, &spot) else { continue };
            let script = (conversation.script)(&scene.parties);
            let [old, new] = self.play(&script, &scene);
            let passes = |played: &Played| played.fate == Fate::Passes;
            if passes(&old) != passes(&new) {
                found.push(told(conversation, &spot, &scene, &script, [&old, &new]));
            }
        }
        found.sort_by_key(|one| (one.conversation.nature != Nature::Service, !one.breaks));
        found
    }

    /// Whether a conversation that was told of passes with the new rules.
    pub(crate) fn passes(&mut self, told: &ConversationTold) -> bool {
        let Some(scene) = Scene::new(told.conversation, &told.spot) else { return false };
        let script = (told.conversation.script)(&scene.parties);
        let [_, new] = self.play(&script, &scene);
        new.fate == Fate::Passes
    }
}

/// Interfaces inside and outside, by the rules that translate sources and by what other rules name.
fn gateways(rulesets: [&Ruleset; 2]) -> Vec<(String, String)> {
    let rules = |table: TableName| {
        let tables = rulesets.into_iter().filter_map(move |ruleset| ruleset.table(table));
        tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules)
    };
    let name = |pattern: Option<Inverted<InterfacePattern>>| {
        let pattern = pattern.filter(|one| !one.inverted && one.value.length >= 16)?.value;
        let end = pattern.name.iter().position(|byte| *byte == 0).unwrap_or(16);
        Some(String::from_utf8_lossy(pattern.name.get(..end)?).into_owned())
    };
    let named: Vec<String> = rules(TableName::Filter)
        .flat_map(|rule| [name(rule.header.in_interface), name(rule.header.out_interface)])
        .flatten()
        .filter(|name| name != "lo")
        .collect();
    let mut all = Vec::new();
    for rule in rules(TableName::Nat) {
        let Jump::Target(target) = &rule.target else { continue };
        if !matches!(target.name(), "MASQUERADE" | "SNAT" | "DNAT" | "REDIRECT" | "NETMAP") {
            continue;
        }
        let outside = name(rule.header.out_interface).or_else(|| name(rule.header.in_interface));
        let outside = outside.unwrap_or_else(|| String::from("eth0"));
        let inside = named.iter().find(|name| **name != outside).cloned();
        let usual = if outside == "eth1" { "eth0" } else { "eth1" };
        let pair = (inside.unwrap_or_else(|| String::from(usual)), outside);
        if !all.contains(&pair) && all.len() < GATEWAYS_MAX {
            all.push(pair);
        }
    }
    all
}

/// Where conversations are tried.
fn spots(
    family: Family,
    around: &[(Way, Example)],
    gateways: &[(String, String)],
) -> Vec<(&'static Conversation, Spot)> {
    let mut all = Vec::new();
    for (way, packet) in around.iter().take(AROUND_MAX) {
        for sender in [Who::Client, Who::Server] {
            let Some(spot) = spot(*way, packet, sender) else { continue };
            for conversation in LIBRARY {
                let port = match sender {
                    Who::Client => packet.destination_port,
                    Who::Server | Who::Router => packet.source_port,
                };
                if conversation.stands_for(packet.protocol, port) {
                    let mut exact = spot.clone();
                    if has_ports(packet.protocol) {
                        exact.ports = match sender {
                            Who::Client => (Some(packet.source_port), Some(port)),
                            Who::Server | Who::Router => {
                                (Some(packet.destination_port), Some(port))
                            }
                        };
                    }
                    all.push((*conversation, exact));
                }
                if concerns(conversation, packet) {
                    all.push((*conversation, spot.clone()));
                }
            }
        }
    }
    for (inside, outside) in gateways {
        let spots =
            [Spot::masqueraded(family, inside, outside), Spot::forwarded(family, inside, outside)];
        for spot in spots.into_iter().flatten() {
            all.extend(LIBRARY.iter().map(|conversation| (*conversation, spot.clone())));
        }
    }
    for conversation in LIBRARY {
        for place in [Place::On(Who::Client), Place::On(Who::Server), Place::Between] {
            all.push((*conversation, Spot::new(place, family)));
        }
    }
    all
}

const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 132 | 136)
}

/// Whether a conversation may have packets like this one.
fn concerns(conversation: &Conversation, packet: &Example) -> bool {
    let icmp = matches!(packet.protocol, 1 | 58);
    match conversation.protocol {
        _ if icmp => true,
        None => true,
        Some(Upper::Tcp) => packet.protocol == 6,
        Some(Upper::Udp) => packet.protocol == 17,
        Some(Upper::Icmp | Upper::Icmpv6) => false,
        Some(Upper::Other(number)) => packet.protocol == number,
    }
}

/// A place at which one of the two sends such a packet.
fn spot(way: Way, packet: &Example, sender: Who) -> Option<Spot> {
    let [source, destination] =
        [packet.source, packet.destination].map(|address| address.ip(packet.family));
    if source == destination || packet.state == ct::INVALID && sender == Who::Server {
        return None;
    }
    let receiver = if sender == Who::Client { Who::Server } else { Who::Client };
    let place = match way {
        Way::In => Place::On(receiver),
        Way::Through => Place::Between,
        Way::Out => Place::On(sender),
    };
    let name = |name: &Option<String>| name.clone();
    let (incoming, outgoing) = (name(&packet.in_interface), name(&packet.out_interface));
    let interfaces = match (way, sender) {
        (Way::In, _) => (incoming.clone()?, incoming?),
        (Way::Out, _) => (outgoing.clone()?, outgoing?),
        (Way::Through, Who::Client) => (incoming?, outgoing?),
        (Way::Through, _) => (outgoing?, incoming?),
    };
    let (client, server) = match sender {
        Who::Client => (source, destination),
        Who::Server | Who::Router => (destination, source),
    };
    Some(Spot { client, server, interfaces, ..Spot::new(place, packet.family) })
}

const fn place_name(spot: &Spot) -> &'static str {
    match spot.place {
        Place::Between if spot.host.is_some() && spot.called.is_some() => {
            "a gateway with the server behind it"
        }
        Place::Between if spot.host.is_some() => "a gateway with the client behind it",
        Place::On(Who::Client) => "on the client",
        Place::On(Who::Server) => "on the server",
        Place::On(Who::Router) | Place::Between => "between them",
    }
}

fn told(
    conversation: &'static Conversation,
    spot: &Spot,
    scene: &Scene,
    script: &Script,
    played: [&Played; 2],
) -> ConversationTold {
    let [old, new] = played.map(|played| played.fate);
    let worse = new.at().or_else(|| old.at()).unwrap_or(0);
    let step = script.steps.get(worse);
    ConversationTold {
        conversation,
        spot: spot.clone(),
        code: conversation.code,
        title: conversation.title,
        place: place_name(spot),
        scene: scene.text(),
        old: fate(old, script),
        new: fate(new, script),
        breaks: old == Fate::Passes,
        half_open: matches!(new, Fate::HalfOpen { .. }),
        when_lost: step.map_or("", |step| step.when_lost),
        when_broken: conversation.when_broken,
    }
}

fn fate(fate: Fate, script: &Script) -> String {
    let at = |index: usize| {
        script.steps.get(index).map_or_else(String::new, |step| {
            let (from, to) = (step.from.name(), step.to.name());
            format!("packet {} ({from} > {to}, {})", index + 1, step.label)
        })
    };
    match fate {
        Fate::Passes => "passes".to_string(),
        Fate::Breaks { at: index } => format!("breaks at {}", at(index)),
        Fate::HalfOpen { at: index } => format!("is left half open at {}", at(index)),
        Fate::Unknown { at: index } => format!("hangs on more than rules at {}", at(index)),
    }
}
