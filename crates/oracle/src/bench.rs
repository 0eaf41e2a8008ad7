//! Both routers side by side.

use crate::compare::{self, Difference};
use crate::follow::Follower;
use crate::fuzz::coverage::{Before, Coverage};
use crate::fuzz::grammar::beside::ACCOUNTS;
use crate::fuzz::{INSIDE, Settings, Step, identifications, renumber, settings};
use crate::kernel::{Backend, Config, Kernel, is_own};
use crate::model::Model;
use crate::observation::{EventView, Fate, Observation, Sent, Side};
use crate::peers::Peers;
use keepstate_conntrack::event::{EventKind, Snapshot};
use keepstate_conntrack::nat::Announced;
use keepstate_conntrack::{CtState, Direction, Tuple};
use keepstate_datapath::clock::{self, SystemClock};
use keepstate_datapath::sys;
use keepstate_engine::Tracking;
use keepstate_packet::{Family, Parsed, icmp, icmpv6};
use std::{io, thread, time::Duration};

/// Most trials until one is not held up.
const TRIES_MAX: u32 = 5;

/// When the kernel has given up all fragments that wait under [`Settings`].
const FRAGMENT_LIFE: Duration = Duration::from_millis(3200);

/// A tick of the kernel's clock, and of the engine's.
const TICK: Duration = Duration::from_millis(4);

/// Later than this after a tick of the kernel's clock no packet is pushed where rules count by ticks: it
/// might be on its way when the next one comes.
const TICK_END: Duration = Duration::from_micros(2500);

/// What is learned of the clock's lag is forgotten after so many ticks, and as many again.
const LAG_TICKS: u32 = 50;

/// A trial that takes longer than this was held up.
const STALL: Duration = Duration::from_millis(500);

/// Both routers, under the same settings.
#[derive(Debug)]
pub(crate) struct Bench {
    kernel: Kernel,
    model: Model,
    settings: Settings,
    /// What is asked of them for every packet: reading the rules through takes longer than the packet.
    nature: Nature,
    /// Identifications of fragments that trials have used so far.
    identification: u32,
    /// The kernel's table is empty.
    clean: bool,
    /// The kernel's clock runs: the machine may stop this process for seconds.
    clock: SystemClock,
    /// What has expired on our side in this trial, of which the kernel's collector is yet to tell.
    reaped: Vec<EventView>,
    /// What the kernel's collector has told of between the packets of this trial, of which our side is
    /// yet to tell.
    collected: Vec<EventView>,
    /// When the trial began, by that clock.
    began: Duration,
    /// The kernel's tick in which it began, where rules count by ticks.
    first_tick: Option<Duration>,
    /// How far the clock that tells of ticks lags behind them: the least of late, and the least before that.
    tick_lag: [Duration; 2],
    /// When the newer of the two began, by the last tick.
    tick_lag_since: Duration,
    coverage: Coverage,
    /// The ends of the trial's conversations, where addresses are translated.
    follower: Follower,
}

/// What rules of some settings are like.
#[derive(Clone, Copy, Debug, Default)]
struct Nature {
    counts_by_ticks: bool,
    has_zones: bool,
    translates: bool,
}

impl Nature {
    fn of(settings: &Settings) -> Self {
        Self {
            counts_by_ticks: settings.counts_by_ticks(),
            has_zones: settings.has_zones(),
            translates: settings.translates(),
        }
    }
}

/// One scenario through both, up to the first packet that differs.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    pub(crate) observations: Vec<Option<(Observation, Observation)>>,
    pub(crate) differences: Vec<Difference>,
    /// A tick of the kernel's clock came while a packet was on its way, where rules count by ticks.
    pub(crate) is_torn: bool,
}

impl Bench {
    pub(crate) fn new() -> io::Result<Self> {
        let settings = Settings::default();
        let kernel = router(settings.tracking)?;
        let clock = SystemClock::start();
        let mut bench = Self {
            model: model(&kernel, &settings, &clock)?,
            kernel,
            settings,
            nature: Nature::default(),
            identification: 0,
            clean: false,
            reaped: Vec::new(),
            collected: Vec::new(),
            clock,
            began: Duration::ZERO,
            first_tick: None,
            tick_lag: [TICK; 2],
            tick_lag_since: Duration::ZERO,
            coverage: Coverage::default(),
            follower: Follower::default(),
        };
        bench.set_sysctls()?;
        Ok(bench)
    }

    /// What was shown to both.
    pub(crate) fn into_coverage(self) -> Coverage {
        self.coverage
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Brings both to these settings.
    pub(crate) fn load(&mut self, settings: &Settings) -> io::Result<()> {
        if self.settings == *settings {
            return self.kernel.give_way();
        }
        self.reload(settings)
    }

    /// The same, without the rules that the kernel refuses: what it took, and those rules.
    pub(crate) fn load_what_is_taken(
        &mut self,
        settings: &Settings,
    ) -> io::Result<(Settings, Vec<String>)> {
        let (mut settings, mut refused) = (settings.clone(), Vec::new());
        loop {
            let Err(error) = self.load(&settings) else { return Ok((settings, refused)) };
            let said = error.to_string();
            let family = usize::from(said.starts_with("ip6tables"));
            let lines = refused_lines(&said);
            let text = &settings.rules[family];
            let is_rule = |at: &usize| text.lines().nth(*at).is_some_and(|l| l.starts_with("-A"));
            if !lines.iter().any(is_rule) {
                return Err(error);
            }
            let (gone, kept): (Vec<_>, Vec<_>) =
                text.lines().enumerate().partition(|(at, _)| lines.contains(at));
            refused.extend(gone.iter().map(|(_, line)| format!("{line}: {said}")));
            let kept = kept.iter().map(|(_, line)| format!("{line}\n")).collect();
            settings.rules[family] = kept;
        }
    }

    /// The same, with all counters at zero whatever the settings were.
    pub(crate) fn reload(&mut self, settings: &Settings) -> io::Result<()> {
        let mut before = std::mem::replace(&mut self.settings, settings.clone());
        self.nature = Nature::of(settings);
        let always = [before.tracking, settings.tracking] == [Tracking::Always; 2];
        if always {
            self.kernel.flush()?;
        } else {
            // A kernel goes on tracking for a while when no rule asks for it any more.
            self.move_out(settings.tracking)?;
            before = Settings::default();
        }
        self.clean = true;
        self.set_sysctls()?;
        if before.mtu != settings.mtu {
            self.kernel.set_mtu(settings.mtu)?;
        }
        let families = [Family::V4, Family::V6];
        if before.rules.iter().any(|rules| shares_by_name(rules)) {
            // What rules of a name remember is there until no rule of either family has that name.
            for (family, rules) in families.into_iter().zip(&before.rules) {
                if !rules.is_empty() {
                    self.kernel.load_rules(family, &with_empty_tables(""))?;
                }
            }
        }
        for ((family, text), before) in families.into_iter().zip(&settings.rules).zip(&before.rules)
        {
            if text.is_empty() && before.is_empty() {
                continue;
            }
            self.kernel.load_rules(family, &with_empty_tables(text))?;
        }
        self.model = model(&self.kernel, settings, &self.clock)?;
        Ok(())
    }

    /// The same settings in another namespace, where connections lie elsewhere in the kernel's hash.
    pub(crate) fn renew(&mut self) -> io::Result<()> {
        let settings = std::mem::take(&mut self.settings);
        self.move_out(settings.tracking)?;
        self.reload(&settings)
    }

    /// Into a namespace of its own, with a router that has no settings yet.
    fn move_out(&mut self, tracking: Tracking) -> io::Result<()> {
        self.kernel.set_parameters(std::iter::empty())?;
        sys::namespace::unshare_net()?;
        self.kernel = router(tracking)?;
        Ok(())
    }

    fn set_sysctls(&mut self) -> io::Result<()> {
        for (name, value) in self.settings.values() {
            self.kernel.set_sysctl(name, value)?;
        }
        self.kernel.set_parameters(self.settings.parameters())
    }

    /// A trial that was not held up by the machine while it differed: the two clocks cannot be
    /// stopped together.
    pub(crate) fn settled_trial(&mut self, packets: &[Step]) -> io::Result<Trial> {
        let pauses: Duration = packets
            .iter()
            .map(|step| match step {
                Step::Sleep(duration) => *duration,
                Step::Packet { .. } | Step::Forget(_) => Duration::ZERO,
            })
            .sum();
        let mut tries = 0;
        loop {
            let trial = self.trial(packets)?;
            let took = self.clock.elapsed().saturating_sub(self.began);
            tries += 1;
            let held_up = took >= pauses + STALL || trial.is_torn;
            if trial.differences.is_empty() || !held_up || tries == TRIES_MAX {
                return Ok(trial);
            }
            if self.settings.has_memory() {
                let settings = self.settings.clone();
                self.reload(&settings)?;
            }
        }
    }

    /// Runs packets through both, from an empty table.
    pub(crate) fn trial(&mut self, packets: &[Step]) -> io::Result<Trial> {
        if !self.clean {
            self.kernel.flush()?;
        }
        self.clean = false;
        self.model.flush();
        self.reaped.clear();
        self.collected.clear();
        self.kernel.stray_events()?;
        // What one processor has counted another does not take back at once.
        let _stay = self.nature.counts_by_ticks.then(sys::tick::Stay::here);
        if packets.iter().any(|step| matches!(step, Step::Sleep(_))) {
            self.kernel.forget_fragments(FRAGMENT_LIFE)?;
            self.kernel.silence_late_answers(false)?;
            let trial = self.steps(packets);
            self.kernel.silence_late_answers(true)?;
            return trial;
        }
        self.steps(packets)
    }

    fn steps(&mut self, packets: &[Step]) -> io::Result<Trial> {
        let before = packets.iter().filter_map(|step| match step {
            Step::Packet { bytes, .. } => Some(bytes.as_slice()),
            Step::Sleep(_) | Step::Forget(_) => None,
        });
        let from = self.identification;
        self.identification = from.wrapping_add(identifications(before));
        self.began = self.clock.elapsed();
        self.model.set_elapsed(self.began);
        self.first_tick = None;
        let mut trial = Trial::default();
        let mut paused = false;
        let mut peers = Peers::new(packets, &self.settings.rules);
        self.follower = Follower::default();
        for (at, step) in packets.iter().enumerate() {
            match step {
                Step::Sleep(duration) => {
                    paused = true;
                    thread::sleep(*duration);
                    // Listing removes what has expired, which else happens at the kernel's leisure:
                    // until then an expired master's expectations are still there.
                    self.kernel.connections()?;
                    self.follow_clock();
                    let (kernel, ours) = (self.kernel.stray_sent()?, self.model.expire());
                    trial.differences = compare::late_answers(kernel, ours);
                    trial.observations.push(None);
                    if !trial.differences.is_empty() {
                        return Ok(trial);
                    }
                }
                Step::Forget(tuple) => {
                    trial.differences = self.forget(tuple)?;
                    trial.observations.push(None);
                    if !trial.differences.is_empty() {
                        return Ok(trial);
                    }
                }
                Step::Packet { side, bytes } => {
                    let renumbered = renumber(bytes, from);
                    let bytes = renumbered.as_ref().unwrap_or(bytes);
                    let adapted = peers.adapted(bytes);
                    let bytes = adapted.as_ref().unwrap_or(bytes);
                    let seen = self.one(*side, bytes, paused, &mut trial)?;
                    peers.hear(at, &seen.0.generated);
                    trial.observations.push(Some(seen));
                    if !trial.differences.is_empty() {
                        return Ok(trial);
                    }
                }
            }
        }
        trial.differences = self.compare_tables(&trial)?;
        Ok(trial)
    }

    /// Has both forget the connection that began with a packet like this, where there is one.
    fn forget(&mut self, written: &Tuple) -> io::Result<Vec<Difference>> {
        let original = self.follower.original(written);
        let found = match self.kernel.connection(&original) {
            // No connection begins with such a packet.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
            found => found?,
        };
        if found.is_none_or(|found| found.original != original) {
            return Ok(Vec::new());
        }
        self.kernel.stray_events()?;
        self.kernel.delete(&original)?;
        self.model.delete(&original);
        let (kernel, ours) = (self.kernel.stray_events()?, self.model.events());
        Ok(compare::stray(&kernel, &ours))
    }

    /// One packet through both, after a pause or not; what differs goes to the trial.
    fn one(
        &mut self,
        side: Side,
        bytes: &[u8],
        paused: bool,
        trial: &mut Trial,
    ) -> io::Result<(Observation, Observation)> {
        self.follow_clock();
        let tick = self.follow_ticks();
        let (mut side, mut bytes) = (side, bytes.to_vec());
        if self.nature.translates {
            let now = self.model.now();
            self.follower.follow(self.model.table(), now, &mut side, &mut bytes);
        }
        let own = self.nature.translates && is_sent_by_host(&bytes, self.settings.mtu);
        let mut kernel = if own {
            self.kernel.send(&bytes)?
        } else {
            self.kernel.push(side, family(&bytes), &bytes)?
        };
        let there = self.untold(&kernel, own)?;
        let expected = self.untold_expectations(&bytes, &kernel)?;
        self.model.foretell(&bytes, &kernel, there.as_deref().unwrap_or_default(), &expected);
        trial.is_torn |=
            tick.is_some_and(|tick| clock::last_tick().is_some_and(|(last, _)| last != tick));
        let mut ours =
            if own { self.model.push_own(family(&bytes), &bytes) } else { self.push(side, &bytes) };
        if there.is_some() {
            // A packet may have its own connection expire, and the kernel has just been made to list them.
            self.reaped.extend(self.model.reap().into_iter().filter(|event| is_end(event.kind)));
        }
        if paused {
            // Either reaps what has expired when it finds the time.
            kernel.events.retain(|event| !is_end(event.kind));
            ours.events.retain(|event| !is_end(event.kind));
        }
        self.collected.extend(self.kernel.stray_events()?);
        self.take_collected(&mut kernel, &mut ours);
        trial.differences = compare::observations(&kernel, &ours);
        if ours.unknown {
            // All that rules here ask for is declared of the router.
            trial.differences.push(Difference::new("unknown", &"", &"a fact"));
        }
        Ok((kernel, ours))
    }

    /// What is in the kernel's table and not known here, where a packet may have begun a translated connection
    /// there and nothing was told of it; `None` where the kernel was not asked.
    fn untold(&mut self, kernel: &Observation, own: bool) -> io::Result<Option<Vec<Snapshot>>> {
        let begins = matches!(kernel.state, Some(CtState::New | CtState::Related))
            && kernel.fate != Fate::Dropped;
        let told = kernel.events.iter().any(|event| event.kind == EventKind::New);
        if !self.nature.translates || told || !(begins || own) {
            return Ok(None);
        }
        let all = self.kernel.connections()?;
        // Listing them, the kernel removes those that have expired.
        self.reaped.extend(self.model.reap().into_iter().filter(|event| is_end(event.kind)));
        let table = self.model.table();
        let is_known = |one: &Snapshot| {
            let found = table.find(self.model.now(), &one.original, one.zone);
            found.and_then(|(conn, _)| table.tuple(conn, Direction::Reply)) == Some(one.reply)
        };
        Ok(Some(all.into_iter().filter(|one| !is_known(one)).collect()))
    }

    /// What the kernel expects that is not expected here, where a helper had the packet say something else,
    /// or may have had what reached the host itself say it, and nothing was told of what it announces.
    fn untold_expectations(
        &self,
        packet: &[u8],
        kernel: &Observation,
    ) -> io::Result<Vec<Announced>> {
        let told = kernel.events.iter().any(|event| event.kind == EventKind::ExpectNew);
        let payload =
            |bytes: &[u8]| Parsed::new(bytes).map_or(Vec::new(), |p| p.payload(bytes).to_vec());
        let says = |sent: &Sent| payload(&sent.bytes) != payload(packet);
        let unseen = kernel.fate == Fate::Local && kernel.events.is_empty();
        if !self.nature.translates || told || !(unseen || kernel.out.iter().any(says)) {
            return Ok(Vec::new());
        }
        let known = self.model.table().expectations(self.model.now());
        let is_known = |one: &Snapshot| known.iter().any(|own| own.original == one.original);
        let untold =
            self.kernel.expectations_inside()?.into_iter().filter(|(one, _)| !is_known(one));
        let mut untold: Vec<_> =
            untold.map(|(one, from)| Announced { tuple: one.original, from }).collect();
        // The list is in no order; the packet names them in that in which they were announced.
        let said: Vec<_> = kernel.out.iter().map(|sent| payload(&sent.bytes)).collect();
        let place = |one: &Announced| {
            let named = said.iter().filter_map(|said| named_at(said, &one.tuple)).min();
            named.unwrap_or(usize::MAX)
        };
        untold.sort_by_key(place);
        Ok(untold)
    }

    /// The kernel's collector comes when it sees fit. Where it tells of an end that is none of this
    /// packet's, what has expired here ends as well, and what both tell of is no difference; neither
    /// is an end here of which it has told before.
    fn take_collected(&mut self, kernel: &mut Observation, ours: &mut Observation) {
        let told = &kernel.events;
        ours.events.retain(|own| {
            let same = |event: &EventView| compare::same_view(event, own);
            let early = is_end(own.kind) && !told.iter().any(same);
            let found = self.collected.iter().position(|event| early && same(event));
            found.map(|at| self.collected.swap_remove(at)).is_none()
        });
        let foreign = |event: &EventView| {
            is_end(event.kind) && !ours.events.iter().any(|own| compare::same_view(event, own))
        };
        if !kernel.events.iter().any(foreign) {
            return;
        }
        self.reaped.extend(self.model.reap().into_iter().filter(|event| is_end(event.kind)));
        let reaped = &mut self.reaped;
        kernel.events.retain(|event| {
            let found =
                reaped.iter().position(|own| foreign(event) && compare::same_view(event, own));
            found.map(|at| reaped.swap_remove(at)).is_none()
        });
    }

    /// Pushes a packet into the engine, and counts what it comes upon there. Which connection it
    /// meets is not known ahead where rules put it into zones.
    fn push(&mut self, side: Side, bytes: &[u8]) -> Observation {
        let zoned = self.nature.has_zones;
        let before =
            if zoned { None } else { Before::of(self.model.table(), self.model.now(), bytes) };
        let ours = self.model.push(side, family(bytes), bytes);
        if self.nature.translates {
            self.coverage.translated(side, bytes, &ours);
        }
        if let Some(before) = &before {
            let after = Before::of(self.model.table(), self.model.now(), bytes);
            self.coverage.packet(before, after.as_ref(), bytes, &ours);
        }
        ours
    }

    /// Time stands still for the engine, as it does for the kernel between two of its ticks, unless
    /// this process was stopped or paused.
    fn follow_clock(&mut self) {
        if self.nature.counts_by_ticks
            && let Some((tick, _)) = clock::last_tick()
        {
            return self.reach_tick(tick);
        }
        let passed = self.clock.elapsed().saturating_sub(self.began);
        if passed > STALL {
            self.model.set_elapsed(self.began + passed);
        }
    }

    /// Where rules count by ticks of the kernel's clock, a tick of which much is left, and the engine's
    /// clock at as many ticks after the first.
    fn follow_ticks(&mut self) -> Option<Duration> {
        if !self.nature.counts_by_ticks {
            return None;
        }
        let tick = loop {
            let (last, ago) = clock::last_tick()?;
            if ago < self.learned_lag(last, ago) + TICK_END {
                break last;
            }
            // Not asleep: an idle processor has no ticks to tell of.
            std::hint::spin_loop();
        };
        self.reach_tick(tick);
        Some(tick)
    }

    /// By how much the clock that tells of ticks lags behind them at least: by as much for a while, but the
    /// kernel corrects its clock.
    fn learned_lag(&mut self, last: Duration, ago: Duration) -> Duration {
        if last.saturating_sub(self.tick_lag_since) > TICK * LAG_TICKS {
            self.tick_lag = [TICK, self.tick_lag[0]];
            self.tick_lag_since = last;
        }
        self.tick_lag[0] = self.tick_lag[0].min(ago);
        self.tick_lag[0].min(self.tick_lag[1])
    }

    /// The engine's clock at as many ticks after the trial's first.
    fn reach_tick(&mut self, tick: Duration) {
        let first = *self.first_tick.get_or_insert(tick);
        // The kernel's ticks are a little longer or shorter as it corrects its clock.
        let count = (tick.saturating_sub(first) + TICK / 2).as_nanos() / TICK.as_nanos();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.model.set_elapsed(self.began + TICK * count);
    }

    /// Counters of all rules since the settings were loaded.
    pub(crate) fn compare_counters(&mut self) -> io::Result<Vec<Difference>> {
        let mut found = Vec::new();
        for (n, family) in [Family::V4, Family::V6].into_iter().enumerate() {
            if !self.settings.rules[n].is_empty() {
                let kernel = compare::saved_counters(&self.kernel.save_rules(family)?);
                found.extend(compare::counters(&kernel, &self.model.counters(family)));
            }
        }
        Ok(found)
    }

    /// Every connection of the engine's table, and every one that the kernel has announced, looked
    /// up one by one: a dump would walk the hash of the whole machine.
    fn compare_tables(&mut self, trial: &Trial) -> io::Result<Vec<Difference>> {
        self.follow_clock();
        let ours = self.model.connections();
        if self.nature.has_zones {
            return Ok(compare::tables(self.kernel.connections()?, ours));
        }
        let mut originals: Vec<_> = ours.iter().map(|snapshot| snapshot.original).collect();
        for (kernel, _) in trial.observations.iter().flatten() {
            let new = kernel.events.iter().filter(|event| event.kind == EventKind::New);
            originals.extend(new.map(|event| event.snapshot.original));
        }
        originals.sort();
        originals.dedup();
        let mut kernel = Vec::new();
        for original in &originals {
            let found = self.kernel.connection(original)?;
            kernel.extend(found.filter(|found| found.original == *original));
        }
        for found in &kernel {
            // Flushing would walk that hash, too.
            self.kernel.delete(&found.original)?;
        }
        let found = compare::tables(kernel, ours);
        self.clean = found.is_empty();
        Ok(found)
    }
}

fn router(tracking: Tracking) -> io::Result<Kernel> {
    let kernel = Kernel::new(Config {
        inside: INSIDE.map(str::to_owned).to_vec(),
        backend: Backend::Nft,
        tracking,
        is_silent: true,
        ..Config::default()
    })?;
    for declared in settings::policies() {
        kernel.add_timeout_policy(&declared)?;
    }
    kernel.load_accounts(ACCOUNTS)?;
    kernel.silence_late_answers(true)?;
    Ok(kernel)
}

fn model(kernel: &Kernel, settings: &Settings, clock: &SystemClock) -> io::Result<Model> {
    let mut sysctls = kernel.parameters();
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    sysctls.extend(settings.values().map(owned));
    sysctls.extend_from_slice(&settings.sysctls);
    let mut model =
        Model::new(kernel.config(), &sysctls, &settings.rules).map_err(io::Error::other)?;
    model.add_timeout_policies(&settings::policies()).map_err(io::Error::other)?;
    model.load_accounts(ACCOUNTS).map_err(io::Error::other)?;
    model.set_start(clock.epoch());
    Ok(model)
}

/// Where a payload names the end of an expectation first, as H.323 writes it; `None` where it does not.
fn named_at(payload: &[u8], expected: &Tuple) -> Option<usize> {
    let address = expected.destination.0;
    let length = if expected.family == Family::V4 { 4 } else { 16 };
    let mut end = address.get(..length)?.to_vec();
    end.extend(expected.destination_port.to_be_bytes());
    payload.windows(end.len()).position(|window| window == end)
}

/// Whether rules remember something under a name.
fn shares_by_name(rules: &str) -> bool {
    rules.contains(" -m hashlimit ") || rules.contains(" -m recent ")
}

/// iptables-restore leaves tables alone that a file does not name; these have to be empty.
fn with_empty_tables(text: &str) -> String {
    let mut whole = text.to_owned();
    for table in ["raw", "mangle", "nat", "filter", "security"] {
        if !text.lines().any(|line| line.strip_prefix('*') == Some(table)) {
            whole += &format!("*{table}\nCOMMIT\n");
        }
    }
    whole
}

/// The lines that iptables-restore names where it refuses, from 0.
fn refused_lines(said: &str) -> Vec<usize> {
    let number = |rest: &str| -> Option<usize> {
        let digits = rest.trim_start_matches(':').trim_start();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<usize>().ok()?.checked_sub(1)
    };
    said.split("line").skip(1).filter_map(number).collect()
}

fn family(packet: &[u8]) -> Family {
    if packet.first().is_some_and(|first| first >> 4 == 6) { Family::V6 } else { Family::V4 }
}

/// Whether a packet is one that the host itself can send.
fn is_sent_by_host(packet: &[u8], mtu: u32) -> bool {
    let Ok(parsed) = Parsed::new(packet) else { return false };
    let header = match parsed.family {
        Family::V4 => 20,
        Family::V6 => 40,
    };
    is_own(parsed.source)
        && parsed.length as usize == packet.len()
        && packet.len() <= mtu as usize
        && parsed.l4_offset == header
        && parsed.fragment.is_none()
        && !tells_of_pieces(&parsed, packet)
}

/// Whether a packet says that the time of fragments is up, which the probe keeps from the rules.
fn tells_of_pieces(packet: &Parsed, bytes: &[u8]) -> bool {
    let up = match packet.family {
        Family::V4 => (icmp::PROTOCOL, [11, 1]),
        Family::V6 => (icmpv6::PROTOCOL, [3, 1]),
    };
    (packet.protocol, packet.l4_bytes(bytes).first_chunk()) == (up.0, Some(&up.1))
}

fn is_end(kind: EventKind) -> bool {
    matches!(kind, EventKind::Destroy | EventKind::ExpectDestroy)
}
