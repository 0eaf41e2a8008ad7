//! What stands around a test: rules, host, sysctls, sets.

use super::markdown::span;
use keepstate_conntrack::Sysctls;
use keepstate_conntrack::policy::Declaration;
use keepstate_engine::{Engine, Host, InterfaceIndex, Network, Route, Tracking};
use keepstate_packet::{Address, Family, Instant, InterfaceName};
use keepstate_ruleset::diagnostic::{Diagnostic, code};
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::sets::ipset::Sets;
use keepstate_ruleset::syntax::{ipset::run, iptables_save};
use std::ops::Range;

/// Keys what is hashed and drawn: the same run every time.
const SEED: [u64; 2] = [0x6b65_6570_7374_6174, 0x6520_7465_7374_7321];

/// `nf_conntrack_max` where a test says nothing of it: more than the packets of one can open.
const CONNECTIONS_MAX: u32 = 16_384;

/// What a test file asks of the machine that it is read on.
pub trait Outside {
    /// A file that is named in the test file `from`: its name for people, and its text.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn file(&self, from: &str, path: &str) -> Result<(String, String), String>;

    /// A host file (TOML).
    ///
    /// # Errors
    /// What is wrong with it, and in which bytes where that is known.
    fn host(&self, text: &str) -> Result<Hosted, (Option<Range<usize>>, String)>;

    /// Whose rules a file holds.
    fn family(&self, name: &str, text: &str) -> Family;
}

/// What a host file says.
#[derive(Clone, Debug)]
pub struct Hosted {
    /// The host.
    pub host: Host,
    /// Its timeout policies.
    pub declared: Vec<Declaration>,
}

/// A rule set as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// Whose packets it is for.
    pub family: Family,
    /// The file.
    pub name: String,
    /// The rules.
    pub source: String,
    /// Lines of the file before them.
    pub lines_before: u32,
}

/// What stands around a test.
#[derive(Debug)]
pub struct Setup {
    /// At most one a family.
    pub rules: Vec<RuleText>,
    /// What they say, in the same order.
    pub rulesets: Vec<Ruleset>,
    /// The host that the filter stands on.
    pub host: Host,
    /// Timeout policies that rules name.
    pub declared: Vec<Declaration>,
    /// Sysctls of tracking.
    pub sysctls: Sysctls,
    /// Sets that rules name, as `ipset save` prints them.
    pub sets: String,
    /// What is tracked.
    pub tracking: Tracking,
}

impl Setup {
    /// What the rules of a family say.
    #[must_use]
    pub fn ruleset(&self, family: Family) -> Option<&Ruleset> {
        self.rulesets.iter().find(|ruleset| ruleset.family == family)
    }

    /// The filter, with this rule set in place of its own of the same family.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn engine(&self, instead: Option<Ruleset>) -> Result<Engine, String> {
        let mut rulesets = Vec::new();
        for text in &self.rules {
            if instead.as_ref().is_some_and(|other| other.family == text.family) {
                continue;
            }
            let parsed = iptables_save::parse(&text.source, text.family);
            rulesets.push(parsed.map_err(|_| format!("{} cannot be read", text.name))?);
        }
        rulesets.extend(instead);
        let mut sysctls = self.sysctls.clone();
        // No test opens as many connections, and a small table is begun anew in less time.
        if sysctls.max == Sysctls::default().max {
            sysctls.max = CONNECTIONS_MAX;
        }
        let mut engine = Engine::new(SEED, self.host.clone(), sysctls, rulesets);
        engine.set_tracking(self.tracking);
        for one in &self.declared {
            let added = engine.conntrack_mut().add_timeout_policy(one);
            added.map_err(|_| {
                format!("timeout policy `{}`: taken, or one too many", one.name.as_str())
            })?;
        }
        engine.set_sets(sets(&self.sets)?);
        Ok(engine)
    }
}

/// The sets of a text; their time begins with the first packet.
pub(crate) fn sets(text: &str) -> Result<Sets, String> {
    let mut sets = Sets::waiting(SEED[0]);
    run::load(&mut sets, text, Instant::default(), false)
        .map_err(|fault| format!("line {} of the sets: {}", fault.line, fault.text))?;
    Ok(sets)
}

/// Rules that name a set which is not there, or is not for them.
pub(super) fn unfit(ruleset: &Ruleset, sets: &Sets) -> Vec<Diagnostic> {
    let uses = ruleset.needs().sets;
    let fault = |used: &keepstate_ruleset::needs::SetUse| {
        used.check(sets).err()?;
        let text = format!("there is no set {} that this rule could ask", used.name);
        let span = span(used.span.start as usize, used.span.end as usize);
        let fault = Diagnostic::new(code::UNKNOWN_NAME, span, text);
        Some(fault.help("`Sets: FILE` above the test gives the sets, as `ipset save` prints them"))
    };
    uses.iter().filter_map(fault).collect()
}

/// The router of `spec/`: what private addresses have lies behind eth0, everything else behind eth1.
pub(super) fn router() -> Host {
    let name = |name| InterfaceName::new(name).unwrap_or_default();
    let mut host = Host::router(name("eth0"), name("eth1"));
    let v4 = |octets, prefix| Network { family: Family::V4, address: Address::v4(octets), prefix };
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    let inside = [
        v4([10, 0, 0, 0], 8),
        v4([172, 16, 0, 0], 12),
        v4([192, 168, 0, 0], 16),
        Network { family: Family::V6, address: Address::v6(octets), prefix: 8 },
    ];
    host.routes.extend(inside.map(|network| Route::new(network, InterfaceIndex(0))));
    host
}

/// The interface behind which an address lies; `None`: the host itself has it.
#[must_use]
pub fn towards(engine: &Engine, family: Family, address: Address) -> Option<InterfaceIndex> {
    if engine.is_own_address(family, address) {
        return None;
    }
    let host = engine.host();
    let links = (0..).zip(&host.interfaces).flat_map(|(index, interface)| {
        interface.addresses.iter().map(move |network| (*network, InterfaceIndex(index)))
    });
    let routes = host.routes.iter().map(|route| (route.destination, route.interface));
    let fits = |(network, _): &(Network, InterfaceIndex)| {
        network.family == family && network.contains(address)
    };
    let mut best: Option<(Network, InterfaceIndex)> = None;
    for one in links.chain(routes).filter(fits) {
        if best.is_none_or(|(network, _)| network.prefix < one.0.prefix) {
            best = Some(one);
        }
    }
    Some(best.map_or(InterfaceIndex(0), |(_, interface)| interface))
}
