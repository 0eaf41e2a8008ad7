//! `keepstate verify`: the same packets through this machine's own kernel.

use crate::host::Prefix;
use crate::setting::Tracking;
use crate::{
    beside,
    exit::Exit,
    helpers::{self, Assignments},
    policies, rulesets, sets,
    terminal::Terminal,
};
use keepstate_conntrack::{Sysctls, sysctl::module::Modules};
use keepstate_engine::{Network, route::ROUTER_MTU};
use keepstate_oracle::fuzz::{self, Area, Outcome, Plan, Progress, report};
use keepstate_oracle::kernel::Config;
use keepstate_oracle::relocate::Move;
use keepstate_oracle::verify::{self, Report, Setup};
use keepstate_oracle::{describe, namespace, observation::Side};
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::syntax::iptables_save::{self, Print};
use keepstate_ruleset::syntax::nfacct;
use std::{io, path::PathBuf};

/// Arguments of `keepstate verify`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rule set in iptables-save or ip6tables-save form; at most one a family
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// A sysctl by the kernel's own name, such as nf_conntrack_tcp_loose=0
    #[arg(long, value_name = "K=V")]
    sysctl: Vec<String>,
    /// Sets that rules name (-m set, -j SET), as `ipset save` prints them
    #[arg(long, value_name = "FILE")]
    ipset: Vec<PathBuf>,
    /// Accounting objects that rules name (-m nfacct), as `nfacct list` prints them
    #[arg(long, value_name = "FILE")]
    nfacct: Vec<PathBuf>,
    /// Fingerprints of operating systems for -m osf, such as /usr/share/xtables/pf.os
    #[arg(long, value_name = "FILE")]
    osf: Vec<PathBuf>,
    /// Timeout policies that rules name: commands of nfct(8), or what `nfct list timeout` prints
    #[arg(long, value_name = "FILE", conflicts_with = "fuzz")]
    timeout_policy: Vec<PathBuf>,
    /// Assign helpers behind the rules of the raw tables: `default` (each at its usual port), or
    /// proto:port:helper[,...] such as tcp:21:ftp; with --tracking needed none, unless they are given
    #[arg(
        long,
        value_name = "SPEC",
        default_value = "default",
        default_value_if("tracking", "needed", "")
    )]
    helpers: Assignments,
    /// Interface that packets enter on
    #[arg(long = "in", value_name = "IFACE", default_value = "eth0")]
    input: String,
    /// Interface that packets leave on
    #[arg(long = "out", value_name = "IFACE", default_value = "eth1")]
    output: String,
    /// A network behind the first interface: packets from it enter there, all others on the second
    /// one [default: all enter on the first]
    #[arg(long, value_name = "ADDR/LEN", conflicts_with = "fuzz")]
    inside: Vec<Prefix>,
    /// Have those who answer a translated connection answer what they would have seen of it: captures are
    /// of ends between which nothing is translated
    #[arg(long, conflicts_with = "fuzz")]
    nat_follow: bool,
    /// Change addresses first, such as 127.0.0.0/8=10.0.0.0/8: no router forwards loopback
    #[arg(long, value_name = "FROM=TO", value_parser = relocation, conflicts_with = "fuzz")]
    relocate: Vec<Move>,
    /// MTU of both interfaces; under 1280 they carry no IPv6, and its packets are skipped
    #[arg(long, value_name = "BYTES", default_value_t = ROUTER_MTU, conflicts_with = "fuzz",
          value_parser = clap::value_parser!(u32).range(68..=65521))]
    mtu: u32,
    /// What is tracked: all, or as Linux has it packets of a family whose rules ask for it; then no
    /// states are compared
    #[arg(long, value_enum, default_value_t = Tracking::Always, conflicts_with = "fuzz")]
    tracking: Tracking,
    /// Print at most so many differences
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Generated conversations instead of captures
    #[arg(long, conflicts_with_all = ["captures", "rules", "sysctl"])]
    fuzz: bool,
    /// All that is generated follows from it
    #[arg(long, value_name = "N", default_value_t = 1, requires = "fuzz")]
    seed: u64,
    /// So many seeds in turn, this one the first
    #[arg(long, value_name = "N", default_value_t = 1, requires = "fuzz", conflicts_with = "scenario",
          value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Packets to generate of each seed
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "fuzz")]
    packets: u64,
    /// What the conversations are about
    #[arg(long, value_name = "AREA", default_value = "all", requires = "fuzz",
          value_parser = clap::builder::PossibleValuesParser::new(Area::names().map(|(name, _)| name)))]
    only: String,
    /// Run this scenario of the seed and no other
    #[arg(long, value_name = "N", requires = "fuzz")]
    scenario: Option<u64>,
    /// Captures
    #[arg(value_name = "CAPTURE", required_unless_present = "fuzz")]
    captures: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    let result = if arguments.fuzz {
        generated(arguments, terminal)
    } else {
        match setup(arguments, terminal) {
            Ok(setup) => Ok(captured(arguments, &setup, terminal)),
            Err(exit) => return exit,
        }
    };
    match result {
        Ok(Ok(true)) => Exit::Clean,
        Ok(Ok(false)) => Exit::Findings,
        Ok(Err(fault)) => {
            terminal.error(fault.to_string());
            if privilege(&fault) { Exit::Unavailable } else { Exit::Usage }
        }
        Err(fault) => {
            terminal.error(format!("cannot make a network namespace: {fault}"));
            Exit::Unavailable
        }
    }
}

fn privilege(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound)
}

/// Each seed in a namespace of its own: nothing is left of the one before.
fn generated(arguments: &Arguments, terminal: &Terminal) -> io::Result<io::Result<bool>> {
    let area = Area::names().find(|(name, _)| *name == arguments.only);
    let area = area.map_or(Area::All, |(_, area)| area);
    let mut all = Outcome::default();
    for number in 0..arguments.seeds {
        let plan = Plan {
            seed: arguments.seed.wrapping_add(number),
            packets: arguments.packets,
            area,
            first: arguments.scenario.unwrap_or(0),
            only_first: arguments.scenario.is_some(),
            findings_max: arguments.limit,
        };
        let of_seed = format!("seed {} {}", plan.seed, arguments.only);
        let each = |progress: &Progress| {
            if progress.scenarios.is_multiple_of(256) {
                terminal.progress(reached(&of_seed, progress));
            }
        };
        let outcome = match namespace::with(|| fuzz::run(&plan, each))? {
            Ok(outcome) => outcome,
            Err(fault) => return Ok(Err(fault)),
        };
        for finding in outcome.findings.iter().chain(&outcome.unrepeated) {
            print!("{}", report::text(plan.seed, area, finding));
        }
        for refused in &outcome.refused {
            println!("refused by the kernel: {refused}");
        }
        println!("{}", reached(&of_seed, &outcome.progress));
        all.add(outcome);
    }
    if arguments.seeds > 1 {
        let of_all = format!("{} seeds {}", arguments.seeds, arguments.only);
        println!("{}", reached(&of_all, &all.progress));
    }
    print!("{}", all.coverage.text(area));
    Ok(Ok(all.findings.is_empty()))
}

fn reached(what: &str, progress: &Progress) -> String {
    let again = match progress.unrepeated {
        0 => String::new(),
        count => format!(", {count} once and not again"),
    };
    format!(
        "{what}: {} packets in {} scenarios, {} differ{again}",
        progress.packets, progress.scenarios, progress.findings
    )
}

fn captured(arguments: &Arguments, setup: &Setup, terminal: &Terminal) -> io::Result<bool> {
    let mut printed = 0;
    let summary = verify::captures(setup, &arguments.captures, |report| {
        if printed < arguments.limit {
            print!("{}", text(report));
        }
        printed += 1;
    })?;
    if printed > arguments.limit {
        terminal.note(format!("{} more differences not printed", printed - arguments.limit));
    }
    println!(
        "{} captures, {} packets compared ({} fragments), {} frames skipped, {} differences",
        summary.captures, summary.packets, summary.fragments, summary.skipped, summary.differences
    );
    if summary.unknown > 0 {
        println!(
            "{} packets met a match whose answer is unknown without a host file, {} of them differ",
            summary.unknown, summary.unknown_differ
        );
    }
    Ok(summary.differences == 0)
}

fn text(report: &Report) -> String {
    let place = report.packet.map_or("at the end".to_owned(), |n| format!("packet {n}"));
    let mut text = format!("{}: {place}\n", report.file.display());
    if let Some((bytes, kernel, ours)) = &report.seen {
        text += &format!("  {}\n", describe::packet(Side::A, bytes));
        text += &format!("      kernel {}\n", report::view(kernel));
        text += &format!("      ours   {}\n", report::view(ours));
        if ours.unknown {
            text += "  a rule asks for what no packet tells: passed over\n";
        }
    }
    for difference in &report.differences {
        text += &format!("  {} differs:\n", difference.what);
        text += &format!("      kernel {}\n      ours   {}\n", difference.kernel, difference.ours);
    }
    text
}

fn setup(arguments: &Arguments, terminal: &Terminal) -> Result<Setup, Exit> {
    let files = arguments.rules.iter().map(|path| (path, None));
    let mut loaded = rulesets::load_all(files, LabelNames::NONE, terminal)?;
    let why = "copies cannot be told from their packets here";
    rulesets::without_copies(&loaded, why, terminal)?;
    let sysctls = sysctls(arguments, terminal)?;
    let modules = modules(&sysctls);
    helpers::check_rules(&modules, &loaded, terminal)?;
    arguments.helpers.append_to(&mut loaded, &modules).map_err(|why| {
        terminal.error(format_args!("--helpers: {why}"));
        Exit::Usage
    })?;
    let policies = policies::read(&arguments.timeout_policy, terminal)?;
    policies::check_rules(&policies, &loaded, terminal)?;
    let sets = sets::read(&arguments.ipset, terminal)?;
    sets::check_rules(&sets::of_text(&sets, 0, terminal)?, &loaded, terminal)?;
    let accounts = beside::accounts(&arguments.nfacct, terminal)?;
    beside::check_rules(&accounts, &loaded, terminal)?;
    let accounts = nfacct::print_all(&accounts);
    let (fingerprints, _) = beside::fingerprints(&arguments.osf, terminal)?;
    let rules = [Family::V4, Family::V6].map(|family| {
        let ruleset = loaded.iter().map(|loaded| &loaded.ruleset).find(|r| r.family == family);
        ruleset.map_or_else(String::new, |ruleset| iptables_save::print(ruleset, Print::default()))
    });
    let inside: Vec<Network> = arguments.inside.iter().map(|prefix| prefix.0).collect();
    let config = Config {
        interfaces: [arguments.input.clone(), arguments.output.clone()],
        inside: inside.iter().map(network).collect(),
        mtu: arguments.mtu,
        tracking: arguments.tracking.into(),
        is_silent: true,
        ..Config::default()
    };
    let (moves, packets_max) = (arguments.relocate.clone(), None);
    let nat_follow = arguments.nat_follow;
    Ok(Setup {
        nat_follow,
        config,
        sysctls,
        policies,
        sets,
        accounts,
        fingerprints,
        rules,
        inside,
        moves,
        packets_max,
    })
}

fn sysctls(arguments: &Arguments, terminal: &Terminal) -> Result<Vec<(String, String)>, Exit> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            terminal.error(format_args!("--sysctl {text}: not NAME=VALUE"));
            Exit::Usage
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    arguments.sysctl.iter().map(pair).collect()
}

/// What modules have with these settings; whatever is wrong with one is found where it is set.
fn modules(settings: &[(String, String)]) -> Modules {
    let mut sysctls = Sysctls::default();
    for (name, value) in settings {
        let _ = sysctls.set(name, value);
    }
    sysctls.modules
}

fn network(network: &Network) -> String {
    format!("{}/{}", network.address.ip(network.family), network.prefix)
}

/// `FROM=TO`, two networks of one family.
fn relocation(text: &str) -> Result<Move, String> {
    let (from, to) = text.split_once('=').ok_or("not FROM=TO")?;
    let (Prefix(from), Prefix(to)) = (from.parse()?, to.parse()?);
    if from.family != to.family {
        return Err("networks of two families".to_owned());
    }
    Ok(Move { from, to })
}
