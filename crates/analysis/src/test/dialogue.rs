//! A conversation of the library past the filter of a test: where its ends are, and what becomes of its packets.

use super::observe::{Connection, Observed};
use super::setup::towards;
use super::{Conversation, Fate};
use crate::conversation::{self, Fed, Place, Played, Scene, Spot, StepPlayed, Who};
use keepstate_conntrack::Hook;
use keepstate_engine::{Engine, Event, InterfaceIndex};
use keepstate_packet::{Address, Family, Instant, L4, Parsed};
use std::net::IpAddr;

/// A conversation that was played.
#[derive(Debug)]
pub struct Dialogue {
    /// What it came to; `None`: nobody knows.
    pub fate: Option<Fate>,
    /// What has become of each step; `None`: it was not sent, or did not come past the filter.
    pub steps: Vec<Option<Observed>>,
    /// The number of each step's packet among those that came to the filter.
    pub numbers: Vec<Option<usize>>,
    /// What came to the filter.
    pub fed: Vec<Fed>,
    labels: Vec<String>,
}

/// Plays a conversation past an engine from this time on. `probe`: the same filter, empty, which says where
/// connections to the server's name really go; none where nothing translates destinations.
pub fn play(
    engine: &mut Engine,
    probe: Option<&mut Engine>,
    conversation: &Conversation,
    now: Instant,
) -> Dialogue {
    let named = (conversation.server, conversation.parties.server_port);
    let way = probe.and_then(|probe| way(probe, conversation, named));
    let way = way.unwrap_or(Way { server: named, hides_client: false });
    let Some(scene) = scene(engine, conversation, way) else {
        return Dialogue::none();
    };
    let script = (conversation.of.script)(&scene.parties);
    let (played, fed) = conversation::play_from(engine, &script, &scene, now);
    let total = script.steps.len();
    let label = |(index, step): (usize, &conversation::Step)| {
        let (from, to) = (step.from.name(), step.to.name());
        format!("packet {} of {total}: {}, {from} to {to}", index + 1, step.label)
    };
    let labels = script.steps.iter().enumerate().map(label).collect();
    let steps = played.steps.iter().map(|step| observed(engine, step)).collect();
    let numbers = played.steps.iter().map(|step| step.before).collect();
    Dialogue { fate: fate(&played), steps, numbers, fed, labels }
}

fn fate(played: &Played) -> Option<Fate> {
    match played.fate {
        conversation::Fate::Passes => Some(Fate::Passes),
        conversation::Fate::Breaks { at } => Some(Fate::Breaks(at + 1)),
        conversation::Fate::HalfOpen { at } => Some(Fate::HalfOpen(at + 1)),
        conversation::Fate::Unknown { .. } => None,
    }
}

impl Dialogue {
    const fn none() -> Self {
        Self {
            fate: None,
            steps: Vec::new(),
            numbers: Vec::new(),
            fed: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// A packet in words: `packet 2 of 8: SYN-ACK, server to client`.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        self.labels.get(index).cloned().unwrap_or_default()
    }
}

/// The family of an address.
#[must_use]
pub const fn family_of(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// How many packets a conversation has at most; `None` where it is not spoken between its ends.
#[must_use]
pub fn steps_of(conversation: &Conversation) -> Option<usize> {
    let speaks = conversation.of.speaks(family_of(conversation.client));
    speaks.then(|| (conversation.of.script)(&conversation.parties).steps.len())
}

/// What translation makes of a conversation.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// The server's own address and port.
    server: (IpAddr, u16),
    /// The client is seen under another address.
    hides_client: bool,
}

/// What becomes of the first packet to the server's name, in a filter that knows of no other.
fn way(probe: &mut Engine, conversation: &Conversation, named: (IpAddr, u16)) -> Option<Way> {
    let scene = scene(probe, conversation, Way { server: named, hides_client: false })?;
    let mut script = (conversation.of.script)(&scene.parties);
    script.steps.truncate(1);
    let played = conversation::play_script(probe, &script, &scene);
    let step = played.steps.first()?;
    let (sent, left) = (Parsed::new(&step.bytes).ok()?, step.delivered.as_ref()?);
    let left = Parsed::new(left).ok()?;
    let port = match &left.l4 {
        L4::Tcp(header) => header.destination_port,
        L4::Udp(header) | L4::UdpLite(header) => header.destination_port,
        _ => named.1,
    };
    // What is said to a group, or to all, is translated by nobody.
    let is_named = sent.destination.ip(sent.family) == named.0;
    let server = if is_named { (left.destination.ip(left.family), port) } else { named };
    Some(Way { server, hides_client: sent.source != left.source })
}

/// Where the ends of a conversation are, seen from this filter.
fn scene(engine: &Engine, conversation: &Conversation, way: Way) -> Option<Scene> {
    let real = way.server;
    let family = family_of(conversation.client);
    let (client, server) = (conversation.client, real.0);
    let at = |address: IpAddr| towards(engine, family, Address::from(address));
    let name = |index: Option<InterfaceIndex>| {
        let interface = engine.host().interface(index.unwrap_or(InterfaceIndex(0)));
        interface.map(|one| one.name.to_string()).unwrap_or_default()
    };
    let (place, interfaces) = match (at(client), at(server)) {
        (None, there) => (Place::On(Who::Client), (name(there), String::new())),
        (there, None) => (Place::On(Who::Server), (name(there), String::new())),
        (one, other) => (Place::Between, (name(one), name(other))),
    };
    let named = (conversation.server, conversation.parties.server_port);
    let mut spot = Spot {
        client,
        server,
        interfaces,
        ports: (Some(conversation.parties.client_port), Some(real.1)),
        host: Some(engine.host().clone()),
        called: (real != named).then_some(named),
        is_together: place == Place::Between && at(client) == at(server),
        ..Spot::new(place, family)
    };
    // Nobody out there knows the way to an address that is hidden.
    spot.hidden = match (way.hides_client, real != named) {
        (true, _) => Some(Who::Client),
        (false, true) if is_private(server) => Some(Who::Server),
        _ => None,
    };
    let mut scene = Scene::new(conversation.of, &spot)?;
    let parties = &conversation.parties;
    scene.parties.data_port = parties.data_port;
    (scene.parties.icmp, scene.parties.flags) = (parties.icmp, parties.flags);
    scene.parties.protocol = parties.protocol;
    scene.mark = conversation.mark;
    if let Some(router) = conversation.router {
        scene.addresses.router = router;
    }
    Some(scene)
}

/// RFC 1918, RFC 4193.
const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// What the filter has done with a step, as with any packet.
fn observed(engine: &Engine, step: &StepPlayed) -> Option<Observed> {
    let disposition = step.disposition?;
    let hooks = match disposition.hook {
        None => Vec::new(),
        Some(Hook::Prerouting) => vec![Hook::Prerouting],
        Some(Hook::Input) => vec![Hook::Prerouting, Hook::Input],
        Some(Hook::Forward) => vec![Hook::Prerouting, Hook::Forward],
        Some(Hook::Output) => vec![Hook::Output],
        Some(Hook::Postrouting) => {
            let is_own = Parsed::new(&step.bytes)
                .is_ok_and(|packet| engine.is_own_address(packet.family, packet.source));
            match is_own {
                true => vec![Hook::Output, Hook::Postrouting],
                false => vec![Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            }
        }
    };
    let log = step.events.iter().filter_map(|event| match event {
        Event::Log(line) => Some(line.text.clone()),
        Event::Nflog(message) => Some(message.prefix.to_string()),
        Event::Conntrack(_) => None,
    });
    let out = disposition.output.map(|output| output.interface);
    Some(Observed {
        verdict: disposition.verdict,
        cause: disposition.cause,
        hooks,
        tracked: disposition.tracked,
        decided: disposition.rule,
        matched: step.hits.clone(),
        unknown: step.unknown(),
        mark: disposition.mark,
        connection: step.connection.as_ref().map(|snapshot| Connection::of(snapshot)),
        out,
        came: step.bytes.clone(),
        left: step.delivered.clone().unwrap_or_default(),
        answers: step
            .made
            .iter()
            .filter(|made| made.has_left)
            .map(|made| made.bytes.clone())
            .collect(),
        log: log.collect(),
    })
}
