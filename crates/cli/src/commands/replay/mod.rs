//! `keepstate replay`: captures through the filter.

use crate::{
    beside,
    exit::Exit,
    helpers::{self, Assignments},
    host::{self, Prefix, interface_name},
    policies,
    report::{self, Format, Names, Report},
    rulesets::{self, Loaded},
    sets,
    terminal::Terminal,
};
use keepstate_conntrack::policy::Declaration;
use keepstate_conntrack::{Sysctls, flow::Contents, saved::SavedTable, sysctl::SysctlError};
use keepstate_datapath::{
    clock::CaptureClock,
    pcap::Capture,
    replay::{Checksums, Options, Replay},
};
use keepstate_engine::{Engine, Host, Network};
use keepstate_packet::{Family, Instant, InterfaceName};
use keepstate_ruleset::matches::{nfacct::Accounts, osf::Fingerprints};
use keepstate_ruleset::sets::ipset::Sets;
use std::path::PathBuf;

const HOST_HELP: &str = r#"Without --host and --local the filter is a router: eth0 has 100.127.253.1/30 and fd4d:4154:a::1/64,
eth1 has 100.127.254.1/30, fd4d:4154:b::1/64 and the default routes.

--host FILE:
  forwarding = "router"               or "wire" (a bump between the first two), or "off"
  local = ["192.0.2.9/32"]            addresses besides those of the interfaces
  [[interface]]
  name = "eth0"
  mtu = 1500
  addresses = ["192.0.2.1/24", "2001:db8::1/64"]
  group = 5                           -m devgroup; 0 without
  bridge_ports = ["eth1", "eth2"]     of a bridge; each port has its own [[interface]]
  hardware, tap, proxy                and [[neighbour]], own_traffic: see `keepstate run`
  [[route]]
  to = "0.0.0.0/0"
  interface = "eth0"
  via = "192.0.2.254"                 the gateway; without, the destination is on the link
  realm = 7                           -m realm; or "FROM/TO"; 0 without
  [[socket]]                          a program's; -m owner, socket, cgroup
  protocol = "tcp"
  local = "192.0.2.1:22"              or "*:22", "[2001:db8::1]:22"; anything without
  remote = "198.51.100.7:443"         of one that is connected
  uid = 0                             also gid, groups = [4, 27], cgroup = "/system.slice/ssh.service",
                                      classid, transparent = true, mark
  [[policy]]                          IPsec; -m policy; none without
  direction = "in"                    or "out"
  from = "10.1.0.0/16"                also to, protocol; anything without
  steps = [{ protocol = "esp", mode = "tunnel", reqid = 1, spi = 256,
             tunnel_src = "198.51.100.7", tunnel_dst = "192.0.2.1" }]     the innermost first
  all_sockets = true                  there are no other sockets; above the first [[...]]
  queues = [0, 1]                     queues that a program listens to (-j NFQUEUE); likewise
  cpu = 0                             the processor that works on packets; above the first [[...]], too
  minutes_west = -60                  the kernel's time zone (-m time --kerneltz); likewise
  timeout_policies = ["add timeout long inet tcp established 864000"]   above the first [[...]]"#;

/// Arguments of `keepstate replay`.
#[derive(clap::Args)]
#[command(after_help = HOST_HELP)]
pub(crate) struct Arguments {
    /// Rule set as iptables-save or ip6tables-save prints it, one a family; which of the two is
    /// seen by its first comment, its name (rules.v6) or its content
    #[arg(short, long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Rule set for IPv4, whatever it looks like
    #[arg(long, value_name = "FILE")]
    rules4: Option<PathBuf>,
    /// Rule set for IPv6, whatever it looks like
    #[arg(long, value_name = "FILE")]
    rules6: Option<PathBuf>,
    /// The host the filter stands on: interfaces, addresses, routes (TOML)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["local", "outgoing"])]
    host: Option<PathBuf>,
    /// An address, or network, of the host that the capture was taken on
    #[arg(long, value_name = "ADDR/LEN")]
    local: Vec<Prefix>,
    /// Interface on which packets come in, where the capture names none [default: eth0]
    #[arg(long = "in", value_name = "IFACE", value_parser = interface_name)]
    incoming: Option<InterfaceName>,
    /// Interface towards the default route [default: eth1]
    #[arg(long = "out", value_name = "IFACE", value_parser = interface_name)]
    outgoing: Option<InterfaceName>,
    /// Whose time passes
    #[arg(long, value_enum, default_value_t = Clock::Capture)]
    clock: Clock,
    /// A sysctl of tracking by its kernel name, such as nf_conntrack_tcp_loose=0
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// Sets that rules name (-m set, -j SET), as `ipset save` prints them; their time begins with the
    /// first packet
    #[arg(long, value_name = "FILE")]
    ipset: Vec<PathBuf>,
    /// Accounting objects that rules name (-m nfacct), as `nfacct list` prints them
    #[arg(long, value_name = "FILE")]
    nfacct: Vec<PathBuf>,
    /// Fingerprints of operating systems for -m osf, such as /usr/share/xtables/pf.os
    #[arg(long, value_name = "FILE")]
    osf: Vec<PathBuf>,
    /// Timeout policies that rules name (CT --timeout): commands such as `nfct add timeout long inet
    /// tcp established 864000`, or what `nfct list timeout` prints
    #[arg(long, value_name = "FILE")]
    timeout_policy: Vec<PathBuf>,
    /// Names of labels (-m connlabel), as in /etc/xtables/connlabel.conf of the machine with the rules
    #[arg(long, value_name = "FILE")]
    connlabel_conf: Option<PathBuf>,
    /// Write a pcapng file: each packet with a comment that says what became of it
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Write a pcapng file of link type NFLOG: what NFLOG rules hand to those who listen
    #[arg(long, value_name = "FILE")]
    nflog: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the connections that are there at the end, as `conntrack -L -o extended` does
    #[arg(long)]
    conntrack: bool,
    /// Write the connections and expectations that are there at the end to a file, for `keepstate
    /// conntrack --saved FILE`
    #[arg(long, value_name = "FILE")]
    pub(super) save_table: Option<PathBuf>,
    /// Print what happens to connections, as `conntrack -E -o timestamp` does
    #[arg(long)]
    events: bool,
    /// What to do about checksums: check them as the kernel does, do not check them, or forgive
    /// those that a network card was to finish
    #[arg(long, value_enum, default_value_t = Checksum::Verify)]
    checksum: Checksum,
    /// Assign helpers behind the rules of the raw tables: `default` (each at its usual port), or
    /// proto:port:helper[,...] such as tcp:21:ftp
    #[arg(long, value_name = "SPEC")]
    helpers: Option<Assignments>,
    /// What is tracked: all, or as Linux has it packets of a family whose rules ask for it
    #[arg(long, value_enum, default_value_t = Tracking::Always)]
    tracking: Tracking,
    /// Captures, in order: pcap or pcapng, gzipped or not; `-` is stdin
    #[arg(value_name = "CAPTURE", required = true)]
    captures: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Clock {
    /// The capture's
    Capture,
    /// None: no time passes
    Frozen,
}

/// Which packets are tracked, and put together for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tracking {
    /// All, so that each has a state
    Always,
    /// Those of a family that a rule asks about connections of
    Needed,
}

impl From<Tracking> for keepstate_engine::Tracking {
    fn from(tracking: Tracking) -> Self {
        match tracking {
            Tracking::Always => Self::Always,
            Tracking::Needed => Self::WhenNeeded,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Checksum {
    /// A wrong one makes a packet INVALID
    Verify,
    /// They are not looked at (nf_conntrack_checksum=0)
    Ignore,
    /// Those that hold just the sum of the pseudo-header are finished first
    Auto,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match replay(arguments, terminal) {
        Ok(()) => Exit::Clean,
        Err(exit) => exit,
    }
}

/// Everything that the arguments ask for, ready to run.
struct Prepared {
    loaded: Vec<Loaded>,
    sysctls: Sysctls,
    host: Host,
    declared: Vec<Declaration>,
    sets: Sets,
    accounts: Accounts,
    fingerprints: Fingerprints,
    options: Options,
}

impl Prepared {
    fn new(arguments: &Arguments, terminal: &Terminal) -> Result<Self, Exit> {
        let mut loaded = load_rules(arguments, terminal)?;
        let sysctls = sysctls(arguments, terminal)?;
        helpers::check_rules(&sysctls.modules, &loaded, terminal)?;
        if let Some(assignments) = &arguments.helpers {
            assignments.append_to(&mut loaded, &sysctls.modules).map_err(|why| {
                terminal.error(format_args!("--helpers: {why}"));
                Exit::Usage
            })?;
        }
        let (host, mut declared, options) = host_and_options(arguments, terminal)?;
        declared.extend(policies::read(&arguments.timeout_policy, terminal)?);
        policies::check_rules(&declared, &loaded, terminal)?;
        let text = sets::read(&arguments.ipset, terminal)?;
        let sets = sets::of_text(&text, SEED[0], terminal)?;
        sets::check_rules(&sets, &loaded, terminal)?;
        let accounts = beside::accounts(&arguments.nfacct, terminal)?;
        beside::check_rules(&accounts, &loaded, terminal)?;
        let (_, fingerprints) = beside::fingerprints(&arguments.osf, terminal)?;
        check_captures(arguments, terminal)?;
        Ok(Self { loaded, sysctls, host, declared, sets, accounts, fingerprints, options })
    }

    fn engine(self, arguments: &Arguments, terminal: &Terminal) -> Result<(Engine, Replay), Exit> {
        let rulesets = self.loaded.into_iter().map(|loaded| loaded.ruleset).collect();
        let mut engine = Engine::new(SEED, self.host, self.sysctls, rulesets);
        engine.set_tracking(arguments.tracking.into());
        policies::add(engine.conntrack_mut(), &self.declared, terminal)?;
        engine.set_sets(self.sets);
        engine.set_accounts(self.accounts);
        engine.set_fingerprints(self.fingerprints);
        Ok((engine, Replay::new(self.options, arguments.captures.clone())))
    }
}

/// Runs the captures through a filter and tells an observer; nothing is printed but warnings.
pub(super) fn engine_after(
    arguments: &Arguments,
    terminal: &Terminal,
    observer: &mut impl keepstate_datapath::Observer,
) -> Result<Engine, Exit> {
    let (mut engine, mut datapath) =
        Prepared::new(arguments, terminal)?.engine(arguments, terminal)?;
    let result = keepstate_datapath::run(&mut engine, &mut datapath, observer);
    tell(&datapath, terminal);
    match result {
        Ok(()) => Ok(engine),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Exit::Clean),
        Err(error) => {
            terminal.error(error);
            Err(Exit::Usage)
        }
    }
}

fn replay(arguments: &Arguments, terminal: &Terminal) -> Result<(), Exit> {
    let prepared = Prepared::new(arguments, terminal)?;
    let quiet = terminal.is_quiet();
    let options_of_report = report::Options {
        format: arguments.format,
        packets: arguments.format == Format::Jsonl || !quiet,
        events: arguments.events,
        conntrack: arguments.conntrack,
        summary: !quiet,
        write: arguments.write.as_deref(),
        nflog: arguments.nflog.as_deref(),
    };
    let report = Report::new(&options_of_report, terminal, Names::new(&prepared.loaded));
    let mut report = report.map_err(|error| {
        terminal.error(error);
        Exit::Usage
    })?;
    let (mut engine, mut datapath) = prepared.engine(arguments, terminal)?;
    let result = keepstate_datapath::run(&mut engine, &mut datapath, &mut report);
    let latest = report.latest();
    let result = result.and_then(|()| report.finish(&mut engine));
    if let (Ok(()), Some(path)) = (&result, &arguments.save_table) {
        super::conntrack::save(path, &table_of(&engine, latest), terminal)?;
    }
    tell(&datapath, terminal);
    match result {
        Ok(()) => Ok(()),
        // Whoever reads our output has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            terminal.error(error);
            Err(Exit::Usage)
        }
    }
}

/// The table of an engine, to be asked from outside.
pub(super) fn table_of(engine: &Engine, now: Instant) -> SavedTable {
    let table = engine.conntrack();
    SavedTable::new(Contents::of(table, now)).with_statistics(vec![*table.statistics()])
}

/// What went wrong with captures, and what was done about them.
fn tell(replay: &Replay, terminal: &Terminal) {
    for (path, fault) in &replay.faults {
        terminal.warning(format_args!("{}: {fault}", path.display()));
    }
    if replay.finished_checksum_count > 0 {
        terminal.warning(format_args!(
            "{} packets had a checksum that their network card was to finish: finished",
            replay.finished_checksum_count
        ));
    }
}

/// Replays are to be repeatable, so nothing is drawn at random.
const SEED: [u64; 2] = [0x6b65_6570_7374_6174, 0x6520_7265_706c_6179];

fn load_rules(arguments: &Arguments, terminal: &Terminal) -> Result<Vec<Loaded>, Exit> {
    let any = arguments.rules.iter().map(|path| (path, None));
    let v4 = arguments.rules4.iter().map(|path| (path, Some(Family::V4)));
    let v6 = arguments.rules6.iter().map(|path| (path, Some(Family::V6)));
    let labels = rulesets::label_names(arguments.connlabel_conf.as_deref(), terminal)?;
    rulesets::load_all(any.chain(v4).chain(v6), &labels, terminal)
}

fn sysctls(arguments: &Arguments, terminal: &Terminal) -> Result<Sysctls, Exit> {
    let mut sysctls = Sysctls::default();
    for setting in &arguments.sysctl {
        let Some((name, value)) = setting.split_once('=') else {
            terminal.error(format_args!("--sysctl {setting}: not NAME=VALUE"));
            return Err(Exit::Usage);
        };
        set_sysctl(&mut sysctls, name.trim(), value.trim(), terminal)?;
    }
    if arguments.checksum == Checksum::Ignore {
        sysctls.checksum = false;
    }
    Ok(sysctls)
}

/// Sets one sysctl, or says why not.
pub(super) fn set_sysctl(
    sysctls: &mut Sysctls,
    name: &str,
    value: &str,
    terminal: &Terminal,
) -> Result<(), Exit> {
    sysctls.set(name, value).map_err(|error| {
        let why = match error {
            SysctlError::UnknownName => "tracking has no such sysctl",
            SysctlError::BadValue => "not a value that the kernel would take",
            SysctlError::ReadOnly => "it can only be read",
            SysctlError::PortTaken => "two helpers would have the same port",
        };
        terminal.error(format_args!("sysctl {name} = {value}: {why}"));
        Exit::Usage
    })
}

fn host_and_options(
    arguments: &Arguments,
    terminal: &Terminal,
) -> Result<(Host, Vec<Declaration>, Options), Exit> {
    let local: Vec<Network> = arguments.local.iter().map(|prefix| prefix.0).collect();
    let incoming = arguments.incoming.or_else(|| InterfaceName::new("eth0")).unwrap_or_default();
    let outgoing = arguments.outgoing.or_else(|| InterfaceName::new("eth1")).unwrap_or_default();
    let (host, declared) = match &arguments.host {
        Some(path) => {
            let described = host::load(path, terminal)?;
            (described.host, described.declared)
        }
        None if local.is_empty() => (Host::router(incoming, outgoing), Vec::new()),
        None => (Host::endpoint(incoming, local.clone()), Vec::new()),
    };
    let interface = host::incoming(&host, arguments.incoming).ok_or_else(|| {
        terminal.error(format_args!("--in {incoming}: the host has no such interface"));
        Exit::Usage
    })?;
    let clock = match arguments.clock {
        Clock::Capture => CaptureClock::capture(),
        Clock::Frozen => CaptureClock::frozen(),
    };
    let checksums = match arguments.checksum {
        Checksum::Auto => Checksums::FinishOffloaded,
        Checksum::Verify | Checksum::Ignore => Checksums::AsCaptured,
    };
    // The host's own addresses make a packet of the capture its own, too, when it does not route.
    let local = host::own_addresses(&host, local);
    Ok((host, declared, Options { interface, local, clock, checksums }))
}

/// Says at once which captures cannot be read, before time is spent on the others.
fn check_captures(arguments: &Arguments, terminal: &Terminal) -> Result<(), Exit> {
    let mut result = Ok(());
    for path in arguments.captures.iter().filter(|path| path.as_os_str() != "-") {
        if let Err(error) = Capture::open(path) {
            terminal.error(format_args!("{}: {error}", path.display()));
            result = Err(Exit::Usage);
        }
    }
    result
}
