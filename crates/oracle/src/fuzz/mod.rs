//! Generated conversations, made from a seed alone.
//!
//! A *scenario* is a few conversations mixed in time, spoilt here and there, and the settings they
//! run under; both are drawn from the seed, the area and the scenario's number, so any scenario
//! can be made again without those before it. Scenarios of one *epoch* share their settings.

mod aim;
pub mod coverage;
mod datagram;
mod dialogues;
pub(crate) mod draft;
mod extensions;
mod flow;
mod fragments;
mod gateway;
pub(crate) mod grammar;
mod mutate;
mod nat;
pub(crate) mod random;
pub mod report;
mod rules;
mod run;
mod sctp;
pub(crate) mod settings;
mod tcp;

pub use coverage::Coverage;
pub use flow::INSIDE;
pub(crate) use fragments::{identifications, renumber};
pub use run::{Finding, Outcome, Plan, Progress, run};
pub use settings::Settings;

use crate::observation::Side;
use dialogues::DIALOGUES;
use draft::Draft;
use keepstate_conntrack::Tuple;
use keepstate_packet::Parsed;
use random::Random;
use std::time::Duration;

/// Scenarios that share settings, at most.
pub const EPOCH: u64 = 64;
/// Most packets of one scenario.
pub const PACKETS_MAX: usize = 400;

/// What scenarios are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Area {
    /// Everything, mixed.
    #[default]
    All,
    /// TCP.
    Tcp,
    /// SCTP.
    Sctp,
    /// UDP and UDP-Lite.
    Udp,
    /// ICMP and ICMPv6, queries and errors about other conversations.
    Icmp,
    /// What helpers listen to, all of them.
    Helpers,
    /// What one helper listens to: a place in the list of dialogues.
    Helper(u8),
    /// Rule sets.
    Rules,
    /// Protocols without a tracker, and GRE.
    Generic,
    /// Timeouts of a second, and pauses that are longer.
    Expiry,
    /// Everything, in pieces.
    Fragments,
    /// The same where packets are tracked only when rules ask for it.
    Untracked,
    /// Rules of every match and target, and packets at their edges.
    Extensions,
    /// Address translation.
    Nat,
}

impl Area {
    /// The areas that are no single helper's, by their names.
    const WIDE: [(&'static str, Self); 13] = [
        ("all", Self::All),
        ("tcp", Self::Tcp),
        ("sctp", Self::Sctp),
        ("udp", Self::Udp),
        ("icmp", Self::Icmp),
        ("helpers", Self::Helpers),
        ("rules", Self::Rules),
        ("generic", Self::Generic),
        ("expiry", Self::Expiry),
        ("fragments", Self::Fragments),
        ("untracked", Self::Untracked),
        ("extensions", Self::Extensions),
        ("nat", Self::Nat),
    ];

    /// All areas by their names.
    pub fn names() -> impl Iterator<Item = (&'static str, Self)> {
        let dialogues = DIALOGUES.iter().zip(0..);
        Self::WIDE.into_iter().chain(dialogues.map(|(d, at)| (d.name, Self::Helper(at))))
    }

    /// Whether engine and kernel are to agree on all of it; where they are known to differ stands in
    /// docs/differences-from-linux.md.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self {
            Self::Helper(at) => DIALOGUES.get(usize::from(at)).is_some_and(|d| d.settled),
            _ => true,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::names().find(|(_, area)| *area == self).map_or("", |(name, _)| name)
    }

    /// Whether it is about helpers and nothing else.
    fn is_helpers(self) -> bool {
        matches!(self, Self::Helpers | Self::Helper(_))
    }

    /// Whether it is about one helper, which reads what it listens to under translation too.
    fn is_translated_helper(self) -> bool {
        match self {
            Self::Helper(at) => DIALOGUES.get(usize::from(at)).is_some_and(|d| d.translated),
            _ => false,
        }
    }

    /// What makes the scenarios of one area others than those of another with the same seed.
    fn salt(self) -> u64 {
        let name = self.name().bytes().take(8);
        name.fold(0, |salt: u64, byte| salt.rotate_left(8) ^ u64::from(byte))
    }
}

/// How long pauses are: no timeout of [`Settings::short`] ends near it, nor do the two seconds after
/// which UDP's connections are streams.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(1500), Duration::from_millis(1500), Duration::from_millis(2700)];

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A packet comes in.
    Packet {
        /// From where.
        side: Side,
        /// From the IP header on.
        bytes: Vec<u8>,
    },
    /// Time passes.
    Sleep(Duration),
    /// Somebody forgets the connection that began with a packet like this.
    Forget(Tuple),
}

/// Of so many scenarios of [`Area::All`] and [`Area::Fragments`] one is about expiry: pauses are
/// slow.
const EXPIRY_EVERY: u64 = 1024;

/// The settings of scenario `number`: those of its epoch.
#[must_use]
pub fn settings(seed: u64, area: Area, number: u64) -> Settings {
    let epoch = number / if area == Area::Extensions { EPOCH / 2 } else { EPOCH };
    let random = &mut Random::part(seed ^ area.salt(), epoch << 1);
    if about_expiry(area, number) { Settings::short(random) } else { Settings::draw(area, random) }
}

fn about_expiry(area: Area, number: u64) -> bool {
    let mixed = matches!(area, Area::All | Area::Fragments);
    area == Area::Expiry || mixed && number % EXPIRY_EVERY == EXPIRY_EVERY - 1
}

/// The packets of scenario `number`, which runs under these settings.
#[must_use]
pub fn steps(seed: u64, area: Area, number: u64, settings: &Settings) -> Vec<Step> {
    let mut random = Random::part(seed ^ area.salt(), number << 1 | 1);
    let random = &mut random;
    let mut conversations: Vec<_> =
        (0..=random.below(4)).map(|_| conversation(area, random)).collect();
    if about_expiry(area, number) && random.chance(50) {
        conversations.push(datagram::stream(random));
    }
    let mut drafts = interleave(conversations, random);
    if area == Area::Extensions {
        drafts = extensions::drafts(random, &settings.rules, drafts);
    } else {
        let percent = random.pick(&[0, 1, 3, 3, 10, 40]);
        mutate::mutate(&mut drafts, percent, random);
    }
    with_errors(&mut drafts, area, random);
    if area == Area::Extensions {
        extensions::spare_the_router(random, &mut drafts);
    }
    drafts.truncate(PACKETS_MAX);
    let mut sent: Vec<(Side, Vec<u8>)> = Vec::new();
    for draft in &drafts {
        let bytes = draft.bytes(&sent, random);
        let is_error = matches!(draft.body, draft::Body::Error { .. });
        if area == Area::Extensions && is_error && extensions::is_of_the_router(&bytes) {
            continue;
        }
        sent.push((draft.side, bytes));
    }
    if area == Area::Nat {
        // There are no neighbours to look for.
        sent.retain(|(_, bytes)| !gateway::is_of_a_neighbour(bytes));
    }
    let cut = area == Area::Nat && random.chance(12) && may_be_cut(settings);
    if cut || matches!(area, Area::Fragments | Area::Untracked) {
        sent = fragments::cut(sent, 40, random);
        sent.truncate(PACKETS_MAX);
    }
    if area == Area::Untracked {
        sent.retain(|(_, bytes)| !fragments::is_for_own_ipv6(bytes));
    }
    let packet = |(side, bytes)| Step::Packet { side, bytes };
    let mut steps: Vec<Step> = sent.into_iter().map(packet).collect();
    if area == Area::Nat && random.chance(8) && !settings.has_zones() {
        forget_some(&mut steps, random);
    }
    let waits = area == Area::Extensions && random.chance(4) && settings.has_memory();
    if waits || about_expiry(area, number) {
        steps.insert(random.below(steps.len() + 1), Step::Sleep(random.pick(&PAUSES)));
    }
    steps
}

/// Has connections forgotten while their packets go on.
fn forget_some(steps: &mut Vec<Step>, random: &mut Random) {
    for _ in 0..=random.below(2) {
        let at = random.below(steps.len() + 1);
        let begun = random.below(at.max(1));
        let Some(Step::Packet { bytes, .. }) = steps.get(begun) else { continue };
        let tuple = Parsed::new(bytes).ok().and_then(|parsed| Tuple::of(&parsed, bytes));
        if let Some(tuple) = tuple {
            steps.insert(at, Step::Forget(tuple));
        }
    }
}

/// Of an ICMPv6 error in pieces the kernel's NPT changes what is quoted as far as the first one goes.
fn may_be_cut(settings: &Settings) -> bool {
    let [_, six] = &settings.rules;
    !six.contains("NPT ") && !six.lines().any(settings::reads_upper_layer)
}

fn conversation(area: Area, random: &mut Random) -> Vec<Draft> {
    let kind = match area {
        Area::Nat if random.chance(60) => return gateway::conversation(random),
        Area::Tcp => 0,
        Area::Sctp => 50,
        Area::Udp => 60,
        Area::Icmp => random.pick(&[0, 50, 60, 75, 75, 75, 85, 98, 98]),
        Area::Helpers => 90,
        Area::Helper(at) => return (DIALOGUES[usize::from(at)].conversation)(random),
        Area::Generic => 99,
        Area::All
        | Area::Rules
        | Area::Expiry
        | Area::Fragments
        | Area::Untracked
        | Area::Nat
        | Area::Extensions => random.below(100),
    };
    match kind {
        0..50 => tcp::conversation(random),
        50..60 => sctp::conversation(random),
        60..75 => datagram::udp(random),
        75..85 => datagram::queries(random),
        85..89 => datagram::neighbours(random),
        89..97 if area == Area::Nat => dialogues::translated(random),
        89..97 => dialogues::any(random),
        _ => datagram::generic(random),
    }
}

/// Mixes conversations in time; each keeps its own order.
fn interleave(conversations: Vec<Vec<Draft>>, random: &mut Random) -> Vec<Draft> {
    let mut rest: Vec<_> = conversations.into_iter().map(|c| c.into_iter().peekable()).collect();
    let mut mixed = Vec::new();
    let sticky = random.chance(50);
    let mut at = 0;
    loop {
        rest.retain_mut(|conversation| conversation.peek().is_some());
        if rest.is_empty() {
            return mixed;
        }
        if !sticky || random.chance(20) {
            at = random.below(rest.len());
        }
        let at = at.min(rest.len() - 1);
        mixed.extend(rest[at].next());
    }
}

/// Puts ICMP errors about earlier packets in.
fn with_errors(drafts: &mut Vec<Draft>, area: Area, random: &mut Random) {
    let percent = match area {
        Area::Icmp => 25,
        Area::Nat => 10,
        Area::Generic | Area::Sctp => 8,
        Area::Rules | Area::All | Area::Expiry | Area::Fragments => 3,
        _ => 1,
    };
    let mut n = 1;
    while n < drafts.len() {
        if random.chance(percent) {
            let error = datagram::error(random, &drafts[n - 1]);
            drafts.insert(n, error);
            n += 1;
        }
        n += 1;
    }
}
