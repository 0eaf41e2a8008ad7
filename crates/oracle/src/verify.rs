//! Captures through both, packet by packet.

use crate::compare::{self, Difference};
use crate::follow::Follower;
use crate::kernel::{Config, Kernel};
use crate::model::Model;
use crate::namespace;
use crate::observation::{Observation, Side};
use crate::relocate::{Move, relocate};
use keepstate_conntrack::policy::Declaration;
use keepstate_datapath::clock::SystemClock;
use keepstate_datapath::pcap::Capture;
use keepstate_engine::Network;
use keepstate_packet::link::{Skipped, network_packet};
use keepstate_packet::{Family, Parsed, ipv6};
use keepstate_ruleset::syntax::iptables_save;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What to compare, and how the routers are set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Interfaces and networks.
    pub config: Config,
    /// Sysctls by name.
    pub sysctls: Vec<(String, String)>,
    /// Timeout policies.
    pub policies: Vec<Declaration>,
    /// Sets that rules name, as `ipset save` prints them; empty for none.
    pub sets: String,
    /// Accounting objects that rules name, as `nfacct list` prints them; empty for none.
    pub accounts: String,
    /// Fingerprints of `-m osf`, as in pf.os; empty for none.
    pub fingerprints: String,
    /// Rule sets for IPv4 and IPv6, iptables-save form; empty for none.
    pub rules: [String; 2],
    /// The networks of [`Config::inside`], to tell where packets come from.
    pub inside: Vec<Network>,
    /// Have those who answer a translated connection answer what they would have seen of it.
    pub nat_follow: bool,
    /// Addresses to change before anything else.
    pub moves: Vec<Move>,
    /// Most packets of each capture; `None` for all.
    pub packets_max: Option<u64>,
}

impl Setup {
    fn side(&self, parsed: Option<&Parsed>) -> Side {
        let is_inside = |parsed: &Parsed| {
            let holds = |network: &&Network| {
                network.family == parsed.family && network.contains(parsed.source)
            };
            self.inside.iter().any(|network| holds(&network))
        };
        if self.inside.is_empty() || parsed.is_none_or(is_inside) { Side::A } else { Side::B }
    }
}

/// Something that differs.
#[derive(Clone, Debug)]
pub struct Report {
    /// Capture.
    pub file: PathBuf,
    /// Number of the packet in its capture, from 0; `None` for what is compared at the end.
    pub packet: Option<u64>,
    /// The packet and what both said of it.
    pub seen: Option<(Vec<u8>, Observation, Observation)>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Counts of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Captures read.
    pub captures: u64,
    /// Packets compared.
    pub packets: u64,
    /// Frames that hold no whole IP packet, or one of IPv6 where links are too small for it.
    pub skipped: u64,
    /// Pieces of fragmented datagrams among the packets.
    pub fragments: u64,
    /// Packets and table entries that differ.
    pub differences: u64,
    /// Packets that met a match whose answer the engine did not know.
    pub unknown: u64,
    /// Those of them that differ: perhaps for that; they count as no differences.
    pub unknown_differ: u64,
}

/// Compares captures, each in a network namespace of its own: an empty connection table, and no
/// fragments that wait. Packets from the networks inside enter at side A, all others at side B;
/// without such networks all enter at side A. The engine's clock follows the kernel's, time of day
/// included.
///
/// # Errors
/// When the kernel or the engine refuses the setup, or a capture cannot be opened.
pub fn captures(
    setup: &Setup,
    files: &[PathBuf],
    mut report: impl FnMut(&Report) + Send,
) -> io::Result<Summary> {
    let mut summary = Summary::default();
    for file in files {
        namespace::with(|| {
            let mut kernel = Kernel::new(setup.config.clone())?;
            for (name, value) in &setup.sysctls {
                kernel.set_sysctl(name, value)?;
            }
            for declared in &setup.policies {
                kernel.add_timeout_policy(declared)?;
            }
            if !setup.sets.is_empty() {
                kernel.load_sets(&setup.sets)?;
            }
            kernel.load_accounts(&setup.accounts)?;
            let known = !setup.fingerprints.is_empty();
            let _loaded =
                known.then(|| kernel.load_fingerprints(&setup.fingerprints)).transpose()?;
            for (family, rules) in FAMILIES.into_iter().zip(&setup.rules) {
                if !rules.is_empty() {
                    kernel.load_rules(family, &with_all_chains(rules, family))?;
                }
            }
            let mut sysctls = kernel.parameters();
            sysctls.extend_from_slice(&setup.sysctls);
            let model = Model::new(&setup.config, &sysctls, &setup.rules);
            let mut model = model.map_err(io::Error::other)?;
            model.add_timeout_policies(&setup.policies).map_err(io::Error::other)?;
            model.load_sets(&setup.sets).map_err(io::Error::other)?;
            model.load_accounts(&setup.accounts).map_err(io::Error::other)?;
            model.load_fingerprints(&setup.fingerprints).map_err(io::Error::other)?;
            one(&mut kernel, &mut model, setup, file, &mut summary, &mut report)?;
            counters(&mut kernel, &mut model, setup, file, &mut summary, &mut report)
        })??;
        summary.captures += 1;
    }
    Ok(summary)
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The same rule set with every built-in chain declared: nf_tables counts for the policies of no
/// others. What cannot be read is left as it is, to be refused.
fn with_all_chains(rules: &str, family: Family) -> String {
    match iptables_save::parse(rules, family) {
        Ok(ruleset) => iptables_save::print(&ruleset, iptables_save::Print::default()),
        Err(_) => rules.to_owned(),
    }
}

/// Counters of all rules and policies after a capture.
fn counters(
    kernel: &mut Kernel,
    model: &mut Model,
    setup: &Setup,
    file: &Path,
    summary: &mut Summary,
    report: &mut impl FnMut(&Report),
) -> io::Result<()> {
    let mut differences = Vec::new();
    for (family, rules) in FAMILIES.into_iter().zip(&setup.rules) {
        if !rules.is_empty() {
            let theirs = compare::saved_counters(&kernel.save_rules(family)?);
            differences.extend(compare::counters(&theirs, &model.counters(family)));
        }
    }
    if !differences.is_empty() {
        summary.differences += differences.len() as u64;
        report(&Report { file: file.to_owned(), packet: None, seen: None, differences });
    }
    Ok(())
}

fn one(
    kernel: &mut Kernel,
    model: &mut Model,
    setup: &Setup,
    file: &Path,
    summary: &mut Summary,
    report: &mut impl FnMut(&Report),
) -> io::Result<()> {
    let mut capture = Capture::open(file)
        .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    let clock = SystemClock::start();
    let (mut number, mut follower) = (0, Follower::default());
    while setup.packets_max.is_none_or(|most| number < most)
        && let Some(frame) = capture.next_frame()
    {
        let packet = Some(number);
        number += 1;
        let captured = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        let Ok(inside) = network_packet(frame.link_type, frame.bytes).and_then(|inside| {
            let cut: Option<Skipped> = inside.cut_short(captured, frame.original_length);
            cut.map_or(Ok(inside), Err)
        }) else {
            summary.skipped += 1;
            continue;
        };
        if inside.family == Family::V6 && setup.config.mtu < ipv6::MTU_MIN {
            summary.skipped += 1;
            continue;
        }
        let mut bytes = inside.bytes.to_vec();
        relocate(&mut bytes, &setup.moves);
        let parsed = Parsed::new(&bytes).ok();
        let is_fragment = parsed.is_some_and(|parsed| parsed.fragment.is_some());
        summary.fragments += u64::from(is_fragment);
        summary.packets += 1;
        let mut side = setup.side(parsed.as_ref());
        model.set_time(clock.now());
        if setup.nat_follow {
            follower.follow(model.table(), model.now(), &mut side, &mut bytes);
        }
        let theirs = kernel.push(side, inside.family, &bytes)?;
        model.foretell(&bytes, &theirs, &[], &[]);
        let ours = model.push(side, inside.family, &bytes);
        let differences = compare::observations(&theirs, &ours);
        summary.unknown += u64::from(ours.unknown);
        if !differences.is_empty() {
            let counted =
                if ours.unknown { &mut summary.unknown_differ } else { &mut summary.differences };
            *counted += 1;
            let seen = Some((bytes, theirs, ours));
            report(&Report { file: file.to_owned(), packet, seen, differences });
        }
    }
    let theirs = kernel.connections()?;
    model.set_time(clock.now());
    let differences = compare::tables(theirs, model.connections());
    if !differences.is_empty() {
        summary.differences += differences.len() as u64;
        report(&Report { file: file.to_owned(), packet: None, seen: None, differences });
    }
    Ok(())
}
