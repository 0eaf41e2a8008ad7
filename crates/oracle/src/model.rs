//! The engine as a router of the same make as [`crate::kernel::Kernel`].

use crate::kernel::{Config, MAC_NEIGHBOUR, MAC_ROUTER};
use crate::logged;
use crate::observation::{EventView, Fate, Observation, Sent, Side};
use crate::probe::COMPLAINT;
use keepstate_conntrack::event::{EventKind, Snapshot};
use keepstate_conntrack::nat::{Announced, Outcome};
use keepstate_conntrack::policy::Declaration;
use keepstate_conntrack::{CtStatus, Hook, Sysctls, Table, Tuple};
use keepstate_engine::{
    Cause, Command, Disposition, Engine, Event, Host, InterfaceIndex, Network, Origin, Packet,
    Reply, Route, Tracking, Verdict, command::ChainCounters,
};
use keepstate_packet::{Family, Instant, InterfaceName, LinkInfo, PacketType, Parsed};
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::sets::ipset::Sets;
use keepstate_ruleset::syntax::ipset::{
    print::{self, Print},
    run,
};
use keepstate_ruleset::syntax::iptables_save;
use std::{net::IpAddr, time::Duration};

/// The engine's clock when it starts: not 0, so that nothing mistakes it for "never".
const START: Instant = Instant(1_000_000_000_000_000_000);
/// Keys the engine's hash.
const SEED: [u64; 2] = [0x6b65_6570, 0x7374_6174];

/// The engine and its clock.
#[derive(Debug)]
pub struct Model {
    pub(crate) engine: Engine,
    /// When its clock began.
    start: Instant,
    now: Instant,
    chains: Vec<(Family, Chains)>,
    /// As [`Config::tracking`] has it.
    tells_states: bool,
}

impl Model {
    /// The router of this configuration. `rules` are those of IPv4 and IPv6, in
    /// iptables-save form; an empty text is no rule set.
    ///
    /// # Errors
    /// The faults of a rule set, a network, a sysctl or an interface name.
    pub fn new(
        config: &Config,
        sysctls: &[(String, String)],
        rules: &[String; 2],
    ) -> Result<Self, String> {
        let name = |name: &String| {
            InterfaceName::new(name).ok_or_else(|| format!("{name}: not an interface name"))
        };
        let [a, b] = &config.interfaces;
        let mut host = Host::router(name(a)?, name(b)?);
        host.interfaces.iter_mut().for_each(|interface| interface.mtu = config.mtu);
        // What settimeofday(2) says of it; systems of today say nothing.
        host.minutes_west = Some(0);
        // No program listens there, and the kernel says so, unless it is told to keep silent.
        host.answers_tcp = !config.is_silent;
        for network in &config.inside {
            let destination =
                parse_network(network).ok_or_else(|| format!("{network}: not a network"))?;
            host.routes.push(Route::new(destination, InterfaceIndex(0)));
        }
        let mut model = Self::of_host(host, sysctls, rules)?;
        model.engine.set_tracking(config.tracking);
        model.tells_states = config.tracking == Tracking::Always;
        Ok(model)
    }

    /// A host with the addresses `local` (`ADDRESS/LENGTH`) on one interface: packets from them are
    /// its own. The rest as [`Self::new`].
    ///
    /// # Errors
    /// As those of [`Self::new`].
    pub fn endpoint(
        interface: &str,
        local: &[String],
        sysctls: &[(String, String)],
        rules: &[String; 2],
    ) -> Result<Self, String> {
        let name = InterfaceName::new(interface)
            .ok_or_else(|| format!("{interface}: not an interface name"))?;
        let network =
            |text: &String| parse_network(text).ok_or_else(|| format!("{text}: not a network"));
        let local = local.iter().map(network).collect::<Result<_, _>>()?;
        Self::of_host(Host::endpoint(name, local), sysctls, rules)
    }

    /// A host as it is declared. The rest as [`Self::new`].
    ///
    /// # Errors
    /// The faults of a rule set or a sysctl.
    pub fn of_host(
        host: Host,
        sysctls: &[(String, String)],
        rules: &[String; 2],
    ) -> Result<Self, String> {
        let mut settings = Sysctls::default();
        for (key, value) in sysctls {
            settings.set(key, value).map_err(|error| format!("sysctl {key}={value}: {error:?}"))?;
        }
        let (mut rulesets, mut names) = (Vec::new(), Vec::new());
        for (text, family) in rules.iter().zip([Family::V4, Family::V6]) {
            if !text.is_empty() {
                let ruleset = iptables_save::parse(text, family)
                    .map_err(|faults| format!("{family:?} rules: {faults:?}"))?;
                names.push((family, chains(&ruleset)));
                rulesets.push(ruleset);
            }
        }
        let engine = Engine::new(SEED, host, settings, rulesets);
        Ok(Self { engine, start: START, now: START, chains: names, tells_states: true })
    }

    /// The connection table.
    #[must_use]
    pub fn table(&self) -> &Table {
        self.engine.conntrack()
    }

    /// The engine's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Makes timeout policies.
    ///
    /// # Errors
    /// When one is refused.
    pub fn add_timeout_policies(&mut self, declared: &[Declaration]) -> Result<(), String> {
        for one in declared {
            let added = self.engine.conntrack_mut().add_timeout_policy(one);
            added.map_err(|refused| format!("{}: {refused:?}", one.name.as_str()))?;
        }
        Ok(())
    }

    /// Makes sets of ipset(8); their time begins with the first packet.
    ///
    /// # Errors
    /// What is refused.
    pub fn load_sets(&mut self, text: &str) -> Result<(), String> {
        let mut sets = Sets::waiting(SEED[0]);
        run::load(&mut sets, text, Instant::default(), false)
            .map_err(|fault| format!("sets, line {}: {}", fault.line, fault.text))?;
        self.engine.set_sets(sets);
        Ok(())
    }

    /// The sets, as `ipset save` prints them.
    #[must_use]
    pub fn save_sets(&self) -> String {
        print::print(self.engine.sets(), None, Print::save(), Instant::default())
    }

    /// Lets time pass.
    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
        self.engine.handle_timeout(self.now);
    }

    /// Has the clock begin at a time: rules may ask for the time of day.
    pub fn set_start(&mut self, start: Instant) {
        (self.start, self.now) = (start, start);
    }

    /// Sets the clock: time since the model was made, or since whatever the caller counts from.
    pub fn set_elapsed(&mut self, elapsed: Duration) {
        self.now = self.start.plus(elapsed);
    }

    /// Sets the clock to the time of day, which rules may ask for; it never goes back.
    pub fn set_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Removes what has expired; what it sends then, of fragments whose time was up.
    pub fn expire(&mut self) -> Vec<Sent> {
        self.engine.handle_timeout(self.now);
        self.events();
        self.sent().map(|(_, sent)| sent).collect()
    }

    /// Removes connections and expectations that have expired, and tells of them.
    pub(crate) fn reap(&mut self) -> Vec<EventView> {
        self.engine.conntrack_mut().expire(self.now, usize::MAX);
        self.events()
    }

    fn sent(&mut self) -> impl Iterator<Item = (Origin, Sent)> {
        let next = || self.engine.poll_transmit();
        std::iter::from_fn(next)
            .map(|sent| (sent.origin, Sent { side: side_of(sent.interface), bytes: sent.bytes }))
    }

    /// Has the engine choose as the kernel has chosen, where either draws at random and the kernel's choice
    /// is one that the engine could make: `kernel` is what it made of `packet`, which is pushed next, `there`
    /// the connections that it has where it is not known to have told of all, `expected` the expectations.
    pub fn foretell(
        &mut self,
        packet: &[u8],
        kernel: &Observation,
        there: &[Snapshot],
        expected: &[Announced],
    ) {
        let new = kernel.events.iter().filter(|event| event.kind == EventKind::New);
        let mut outcomes: Vec<_> = new.map(|event| outcome(&event.snapshot)).collect();
        // Not every connection is told of.
        outcomes.extend(there.iter().map(outcome));
        let tuple = |bytes: &[u8]| Tuple::of(&Parsed::new(bytes).ok()?, bytes);
        let original = tuple(packet);
        if let ([], [sent]) = (outcomes.as_slice(), kernel.out.as_slice())
            && let (Some(original), Some(seen)) = (original, tuple(&sent.bytes))
            && original != seen
        {
            let outcome = |reply| Outcome { original, reply, changes_source: false };
            outcomes.extend(seen.invert().map(outcome));
        }
        outcomes.extend(original.and_then(|original| self.clashing(&original, kernel)));
        let announced = kernel.events.iter().filter(|event| event.kind == EventKind::ExpectNew);
        let announced =
            announced.map(|event| Announced { tuple: event.snapshot.original, from: None });
        let announced: Vec<_> = announced.chain(expected.iter().copied()).collect();
        let conntrack = self.engine.conntrack_mut();
        conntrack.foretell(&outcomes);
        conntrack.foretell_expected(&announced);
        self.engine.foretell_cookie(kernel.drawn);
    }

    /// The outcome of a packet that was dropped because what it announces is expected already: there its
    /// draw is seen.
    fn clashing(&self, original: &Tuple, kernel: &Observation) -> Option<Outcome> {
        let is_clash = |line: &String| line.ends_with("cannot add expectation");
        if kernel.fate != Fate::Dropped || !kernel.complaints.iter().any(is_clash) {
            return None;
        }
        let all = self.table().expectations(self.now);
        let expected = all.iter().map(|one| one.original).find(|expected| {
            (expected.family, expected.protocol) == (original.family, original.protocol)
        })?;
        let reply = Tuple { source_port: 0, ..expected };
        Some(Outcome { original: *original, reply, changes_source: true })
    }

    /// Pushes a packet (from the IP header on) into the router from `side`. `family` is what the
    /// link layer calls it.
    pub fn push(&mut self, side: Side, family: Family, packet: &[u8]) -> Observation {
        let mut bytes = packet.to_vec();
        let link = LinkInfo {
            source: Some(MAC_NEIGHBOUR[side as usize]),
            destination: Some(MAC_ROUTER[side as usize]),
            packet_type: PacketType::Unicast,
            segment: 0,
        };
        let packet = Packet {
            bytes: &mut bytes,
            interface: Some(InterfaceIndex(side as u16)),
            family: Some(family),
            link,
            mark: 0,
        };
        let disposition = self.engine.handle_packet(self.now, packet);
        self.observe(&disposition, &bytes)
    }

    /// Has the host itself send a packet (from the IP header on): as [`crate::kernel::Kernel::send`] tells
    /// of it.
    pub fn push_own(&mut self, family: Family, packet: &[u8]) -> Observation {
        let mut bytes = packet.to_vec();
        let (link, family) = (LinkInfo::default(), Some(family));
        let packet = Packet { bytes: &mut bytes, interface: None, family, link, mark: 0 };
        let disposition = self.engine.handle_packet(self.now, packet);
        let mut seen = self.observe(&disposition, &bytes);
        seen.generated.extend(std::mem::take(&mut seen.out));
        seen.generated.sort_by_key(|sent| sent.side as u8);
        let fate = Fate::Dropped;
        Observation { fate, state: None, direction: None, mark: None, ..seen }
    }

    /// What became of the packet that was pushed last, whose bytes are these now.
    fn observe(&mut self, disposition: &Disposition, bytes: &[u8]) -> Observation {
        let output = disposition.output;
        let (events, complaints, logged) = self.told();
        let mut out: Vec<_> = output
            .map(|output| Sent {
                side: side_of(output.interface),
                bytes: bytes.get(..output.length as usize).unwrap_or(bytes).to_vec(),
            })
            .into_iter()
            .collect();
        let mut generated = Vec::new();
        for (origin, sent) in self.sent() {
            let into = if origin == Origin::Forwarded { &mut out } else { &mut generated };
            into.push(sent);
        }
        // The kernel's are read off one side, then off the other.
        generated.sort_by_key(|sent| sent.side as u8);
        let fate = fate(disposition, !out.is_empty());
        let tracked = disposition.tracked.filter(|_| self.tells_states);
        Observation {
            fate,
            drawn: None,
            state: tracked.map(|tracked| tracked.state),
            direction: tracked.and_then(|tracked| tracked.direction),
            status: None,
            out,
            generated,
            events,
            complaints,
            logged,
            mark: (disposition.verdict == Verdict::Accept).then_some(disposition.mark),
            reason: disposition.reason(),
            unknown: disposition.unknown.is_some_and(|unknown| !unknown.is_settled),
        }
    }

    /// Has a packet come in on an interface of the host; its verdict.
    pub fn push_on(&mut self, interface: InterfaceIndex, family: Family, packet: &[u8]) -> Verdict {
        self.pass(Some(interface), family, packet)
    }

    /// Has the host itself send a packet; whether it leaves.
    pub fn send(&mut self, family: Family, packet: &[u8]) -> bool {
        self.pass(None, family, packet) == Verdict::Accept
    }

    fn pass(
        &mut self,
        interface: Option<InterfaceIndex>,
        family: Family,
        packet: &[u8],
    ) -> Verdict {
        let mut bytes = packet.to_vec();
        let link = LinkInfo::default();
        let packet = Packet { bytes: &mut bytes, interface, family: Some(family), link, mark: 0 };
        self.engine.handle_packet(self.now, packet).verdict
    }

    /// The events that wait.
    pub fn events(&mut self) -> Vec<EventView> {
        self.told().0
    }

    /// The events that wait, what was logged of INVALID packets, and what rules logged.
    fn told(&mut self) -> (Vec<EventView>, Vec<String>, Vec<String>) {
        let (mut events, mut complaints, mut logged) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Conntrack(event) => {
                    events.push(EventView { kind: event.kind, snapshot: event.snapshot });
                }
                Event::Nflog(_) => {}
                Event::Log(line) => {
                    let complaint = line.text.split(" IN=").next().unwrap_or_default();
                    if complaint.starts_with(COMPLAINT) {
                        complaints.push(complaint.trim_end().to_owned());
                    } else {
                        logged.extend(logged::of_line(&line.text));
                    }
                }
            }
        }
        (events, complaints, logged)
    }

    /// All connections.
    pub fn connections(&mut self) -> Vec<Snapshot> {
        let reply = self.engine.handle_command(self.now, Command::List);
        let Ok(Reply::Connections(all)) = reply else { return Vec::new() };
        all.into_iter().map(|(_, snapshot)| snapshot).collect()
    }

    /// The engine's connection table, to work on from outside, and its time.
    pub fn table_mut(&mut self) -> (&mut Table, Instant) {
        (self.engine.conntrack_mut(), self.now)
    }

    /// All expectations, oldest first.
    pub fn expectations(&mut self) -> Vec<Snapshot> {
        let reply = self.engine.handle_command(self.now, Command::ListExpectations);
        let Ok(Reply::Expectations(all)) = reply else { return Vec::new() };
        all
    }

    /// Forgets the connection with this tuple in its original direction, if it is there.
    pub fn delete(&mut self, original: &Tuple) {
        // Gone already is as good.
        let _ = self.engine.handle_command(self.now, Command::Delete(*original));
    }

    /// Puts a rule set in iptables-save form in place of the one of its family; counters begin at
    /// zero, connections stay.
    ///
    /// # Errors
    /// The faults of the rule set.
    pub fn load_rules(&mut self, family: Family, text: &str) -> Result<(), String> {
        let ruleset = iptables_save::parse(text, family)
            .map_err(|faults| format!("{family:?} rules: {faults:?}"))?;
        self.chains.retain(|(of, _)| *of != family);
        self.chains.push((family, chains(&ruleset)));
        let command = Command::ReplaceRuleset(Box::new(ruleset));
        let replaced = self.engine.handle_command(self.now, command);
        replaced.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Sets a sysctl of conntrack by its name.
    ///
    /// # Errors
    /// When it is unknown or the value is refused.
    pub fn set_sysctl(&mut self, name: &str, value: &str) -> Result<(), String> {
        let set = self.engine.conntrack_mut().sysctls_mut().set(name, value);
        set.map_err(|error| format!("{name}={value}: {error}"))
    }

    /// What the fragments that wait count for, in bytes: IPv4, IPv6.
    #[must_use]
    pub fn fragment_charges(&self) -> [usize; 2] {
        self.engine.fragment_charges()
    }

    /// Forgets all connections, and fragments that wait.
    pub fn flush(&mut self) {
        self.engine.forget_fragments();
        // Flushing has nothing that it could refuse.
        let _ = self.engine.handle_command(self.now, Command::Flush);
        self.events();
    }

    /// The counters of a family's rules and policies, as [`crate::compare::saved_counters`] names
    /// them.
    pub fn counters(&mut self, family: Family) -> Vec<(String, (u64, u64))> {
        let reply = self.engine.handle_command(self.now, Command::Counters(family));
        let Ok(Reply::Counters(all)) = reply else { return Vec::new() };
        let names = self.chains.iter().find(|(of, _)| *of == family).map(|(_, names)| names);
        let mut found = Vec::new();
        for ChainCounters { table, chain, counters } in all {
            let name = names.and_then(|names| {
                names.iter().find(|(of, index, ..)| (*of, *index) == (table, chain))
            });
            let Some((_, _, name, built_in)) = name else { continue };
            let rules = counters.len().saturating_sub(1);
            for (n, count) in counters.into_iter().enumerate() {
                if n < rules {
                    found.push((format!("{} {name} {}", table.as_str(), n + 1), count));
                } else if *built_in {
                    found.push((format!("{} {name} policy", table.as_str()), count));
                }
            }
        }
        found.sort();
        found
    }
}

/// Table, index, name of each chain, and whether it is built in.
type Chains = Vec<(TableName, u32, String, bool)>;

fn chains(ruleset: &Ruleset) -> Chains {
    let mut all = Vec::new();
    for table in &ruleset.tables {
        for (index, chain) in (0..).zip(&table.chains) {
            all.push((table.name, index, chain.name.clone(), chain.hook.is_some()));
        }
    }
    all
}

fn outcome(told: &Snapshot) -> Outcome {
    let changes_source = told.status.contains(CtStatus::SRC_NAT);
    Outcome { original: told.original, reply: told.reply, changes_source }
}

/// What became of a packet, as it is seen from outside.
fn fate(disposition: &Disposition, leaves: bool) -> Fate {
    match disposition.verdict {
        Verdict::Accept if leaves => Fate::Forwarded,
        Verdict::Accept if disposition.hook == Some(Hook::Input) => Fate::Local,
        // The kernel is asked before helpers, shifts and the end of INPUT have their say.
        Verdict::Drop
            if disposition.hook == Some(Hook::Input)
                && matches!(
                    disposition.cause,
                    Some(
                        Cause::HelperDropped
                            | Cause::NatClash
                            | Cause::TableFull
                            | Cause::Malformed
                    )
                ) =>
        {
            Fate::Local
        }
        // From outside, what waits behind PREROUTING is as if it were dropped there.
        Verdict::Held if disposition.hook.is_some() => Fate::Dropped,
        Verdict::Held => Fate::Held,
        Verdict::Accept | Verdict::Drop | Verdict::Reject | Verdict::Queue | Verdict::Stolen => {
            Fate::Dropped
        }
    }
}

fn side_of(interface: InterfaceIndex) -> Side {
    if interface.0 == 0 { Side::A } else { Side::B }
}

fn parse_network(text: &str) -> Option<Network> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    Some(Network { family, address: address.into(), prefix: prefix.parse().ok()? })
}
