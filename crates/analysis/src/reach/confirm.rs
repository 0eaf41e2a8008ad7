//! Witnesses run through the engine: a host is made whose interfaces and routes bring each packet the way that is
//! claimed, and the engine says what becomes of it.

use super::around;
use super::witness::Witness;
use crate::trace::notation::Reader;
use keepstate_conntrack::Sysctls;
use keepstate_engine::{
    Engine, Forwarding, Host, Interface, InterfaceIndex, Network, Packet, Route, Verdict,
};
use keepstate_packet::{Address, Family, Instant, InterfaceName, LinkInfo};
use keepstate_ruleset::model::Ruleset;
use std::collections::{BTreeMap, BTreeSet};

/// When each packet comes: 2023-11-14 22:13:20 UTC.
const BEGIN: Instant = Instant(1_700_000_000_000_000_000);
/// Keys the hash of the connection table: the same run every time.
const SEED: [u64; 2] = [0x6b65_6570, 0x7265_6163];
/// Room for one packet.
const CONNECTIONS: u32 = 64;
/// MTU of the interfaces, in bytes.
const MTU: u32 = 65_521;

/// A host for some of the witnesses.
#[derive(Default)]
struct Scene {
    /// Interfaces, by name, with their place.
    interfaces: BTreeMap<String, u16>,
    /// By destination: the interface that leads there; none: it is the host's own.
    routes: BTreeMap<u128, Option<String>>,
    /// Where packets come from that are not its own.
    sources: BTreeSet<u128>,
    /// The witnesses.
    witnesses: Vec<usize>,
}

impl Scene {
    /// Takes a witness in, unless another one needs the same address for something else.
    fn take(&mut self, number: usize, witness: &Witness, family: Family) -> bool {
        let source = around::number(family, witness.example.source);
        let came_to = around::number(family, witness.example.destination);
        let (to, leads) = (witness.routed_to, witness.outgoing.clone());
        let is_translated = witness.is_for_host && came_to != to;
        let mut routes = vec![(to, leads)];
        routes.extend(is_translated.then_some((came_to, None)));
        routes.extend((witness.way == "out").then_some((source, None)));
        let is_foreign = witness.way != "out";
        let clash = routes.iter().any(|(to, leads)| {
            self.routes.get(to).is_some_and(|known| known != leads)
                || leads.is_none() && (self.sources.contains(to) || is_foreign && *to == source)
        });
        let is_own = self.routes.get(&source).is_some_and(Option::is_none);
        if clash || is_foreign && is_own {
            return false;
        }
        for name in [&witness.incoming, &witness.outgoing].into_iter().flatten() {
            let place = u16::try_from(self.interfaces.len()).unwrap_or(u16::MAX);
            self.interfaces.entry(name.clone()).or_insert(place);
        }
        if is_foreign {
            self.sources.insert(source);
        }
        self.routes.extend(routes);
        self.witnesses.push(number);
        true
    }

    fn host(&self, family: Family) -> Host {
        let width = if family == Family::V4 { 32 } else { 128 };
        let one = |number: u128| Network {
            family,
            address: around::address(family, number),
            prefix: width,
        };
        let mut interfaces: Vec<(&String, u16)> =
            self.interfaces.iter().map(|(name, place)| (name, *place)).collect();
        interfaces.sort_by_key(|(_, place)| *place);
        let made = interfaces.iter().enumerate().filter_map(|(at, (name, _))| {
            let name = InterfaceName::new(name)?;
            let address = own_address(family, at);
            let addresses = vec![Network { family, address, prefix: width }];
            Some(Interface { addresses, group: Some(0), ..Interface::new(name, MTU) })
        });
        let made: Vec<_> = made.collect();
        let leads = |name: &Option<String>| {
            name.as_ref().and_then(|name| self.interfaces.get(name)).copied().map(InterfaceIndex)
        };
        let routes =
            self.routes.iter().filter_map(|(to, name)| Some(Route::new(one(*to), leads(name)?)));
        let mut routes: Vec<_> = routes.collect();
        // What a rule sends to one of several addresses goes where the first packet goes.
        let first = self.routes.values().find_map(leads);
        let all = Network { family, address: Address::default(), prefix: 0 };
        routes.extend(first.map(|interface| Route::new(all, interface)));
        let own = self.routes.iter().filter(|(_, leads)| leads.is_none()).map(|(to, _)| one(*to));
        Host {
            routes,
            local: own.collect(),
            is_declared: true,
            all_sockets: true,
            ..Host::new(made, Forwarding::Router)
        }
    }
}

/// The address of an interface of the scene, from the networks of the router that `replay` models.
fn own_address(family: Family, at: usize) -> Address {
    let at = u8::try_from(at).unwrap_or(u8::MAX);
    match family {
        Family::V4 => Address::v4([100, 127, 252, at]),
        Family::V6 => Address::v6([0xfd, 0x4d, 0x41, 0x54, 0, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 1, at]),
    }
}

/// Runs witnesses through engines; `load` makes their rule set.
pub(super) fn confirm(
    witnesses: &mut [&mut Witness],
    family: Family,
    mut load: impl FnMut() -> Option<Ruleset>,
) {
    let mut scenes: Vec<Scene> = Vec::new();
    for (number, witness) in witnesses.iter().enumerate() {
        let taken = scenes.iter_mut().any(|scene| scene.take(number, witness, family));
        if !taken {
            let mut scene = Scene::default();
            // One that needs an address for two things is not run.
            if scene.take(number, witness, family) {
                scenes.push(scene);
            }
        }
    }
    for scene in scenes {
        let Some(ruleset) = load() else { return };
        let sysctls = Sysctls { max: CONNECTIONS, ..Sysctls::default() };
        let mut engine = Engine::new(SEED, scene.host(family), sysctls, vec![ruleset]);
        for number in &scene.witnesses {
            let Some(witness) = witnesses.get_mut(*number) else { continue };
            let interface =
                witness.incoming.as_ref().and_then(|name| scene.interfaces.get(name)).copied();
            engine.restart();
            let passes = passes(&mut engine, witness, interface.map(InterfaceIndex));
            let hangs = !witness.if_true.is_empty() || !witness.if_false.is_empty();
            // Where it hangs on what the packet does not tell, another answer is none.
            let same = passes.map(|passes| passes == witness.passes);
            witness.confirmed = same.filter(|same| *same || !hangs);
        }
    }
}

/// Whether the engine lets a packet come to the end of its way; `None`: it cannot be told.
fn passes(
    engine: &mut Engine,
    witness: &Witness,
    interface: Option<InterfaceIndex>,
) -> Option<bool> {
    let mut reader = Reader::default();
    reader.lines(&witness.packet).ok()?;
    let mut written = reader.finish().pop()?;
    let disposition = engine.handle_packet(
        BEGIN,
        Packet {
            bytes: &mut written.bytes,
            interface,
            family: None,
            link: LinkInfo::default(),
            mark: 0,
        },
    );
    if disposition.unknown.is_some_and(|unknown| !unknown.is_settled) {
        return None;
    }
    Some(disposition.verdict == Verdict::Accept)
}
