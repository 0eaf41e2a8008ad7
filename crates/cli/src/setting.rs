//! What a verb is told of the filter that it runs: rules, host, sysctls and what rules name.

use crate::{
    beside,
    exit::Exit,
    helpers::{self, Assignments},
    host::{self, OwnTraffic, Prefix, interface_name},
    policies,
    rulesets::{self, Loaded},
    sets,
    terminal::Terminal,
};
use keepstate_conntrack::policy::Declaration;
use keepstate_conntrack::{Sysctls, sysctl::SysctlError};
use keepstate_engine::{Engine, Host, InterfaceIndex, Network};
use keepstate_packet::{Family, InterfaceName};
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::matches::{nfacct::Accounts, osf::Fingerprints};
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::sets::ipset::Sets;
use std::path::PathBuf;

/// What a host file may say.
pub(crate) const HOST_HELP: &str = r#"Without --host and --local the filter is a router: eth0 has 100.127.253.1/30 and fd4d:4154:a::1/64,
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

/// The arguments, the same for every verb.
#[derive(Clone, clap::Args)]
pub(crate) struct Setting {
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
    /// A sysctl of tracking by its kernel name, such as nf_conntrack_tcp_loose=0
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// Sets that rules name (-m set, -j SET), as `ipset save` prints them; their time begins with the
    /// first packet. Where one is not given, `reach` leaves open whether a packet is in it and `trace`
    /// takes it to be empty; what replays captures refuses the rules
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
    /// Assign helpers behind the rules of the raw tables: `default` (each at its usual port), or
    /// proto:port:helper[,...] such as tcp:21:ftp
    #[arg(long, value_name = "SPEC")]
    helpers: Option<Assignments>,
    /// What is tracked: all, or as Linux has it packets of a family whose rules ask for it
    #[arg(long, value_enum, default_value_t = Tracking::Always)]
    tracking: Tracking,
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

/// Everything that they ask for, ready to run.
pub(crate) struct Prepared {
    loaded: Vec<Loaded>,
    sysctls: Sysctls,
    host: Host,
    declared: Vec<Declaration>,
    own_traffic: OwnTraffic,
    interface: InterfaceIndex,
    local: Vec<Network>,
    sets: Sets,
    accounts: Accounts,
    fingerprints: Fingerprints,
    tracking: Tracking,
}

impl Setting {
    /// Whether the host is described in full.
    pub(crate) const fn describes_host(&self) -> bool {
        self.host.is_some()
    }

    /// The host's own addresses, where nothing but those is said.
    pub(crate) fn local(&self) -> Option<Vec<Network>> {
        let local = || self.local.iter().map(|prefix| prefix.0).collect();
        (!self.local.is_empty()).then(local)
    }

    /// Reads the rule files, once more.
    pub(crate) fn rules(&self, terminal: &Terminal) -> Option<Vec<Loaded>> {
        load_rules(self, terminal).ok()
    }

    /// The rule files, whichever family they are named for.
    pub(crate) fn rule_files(&self) -> Vec<PathBuf> {
        self.rules.iter().chain(&self.rules4).chain(&self.rules6).cloned().collect()
    }

    /// The same with this rule file and no other.
    pub(crate) fn with_rules(&self, file: PathBuf) -> Self {
        Self { rules: vec![file], rules4: None, rules6: None, ..self.clone() }
    }

    /// The names of labels.
    pub(crate) fn labels(&self, terminal: &Terminal) -> Result<LabelNames, Exit> {
        rulesets::label_names(self.connlabel_conf.as_deref(), terminal)
    }

    /// Reads the files and makes sure that they fit together.
    pub(crate) fn prepare(&self, terminal: &Terminal) -> Result<Prepared, Exit> {
        self.prepare_with(None, terminal)
    }

    /// The same; sets that no file gives are empty ones where `instead` says to the reader what that means.
    pub(crate) fn prepare_with(
        &self,
        instead: Option<&str>,
        terminal: &Terminal,
    ) -> Result<Prepared, Exit> {
        let mut loaded = load_rules(self, terminal)?;
        let sysctls = sysctls(self, terminal)?;
        helpers::check_rules(&sysctls.modules, &loaded, terminal)?;
        if let Some(assignments) = &self.helpers {
            assignments.append_to(&mut loaded, &sysctls.modules).map_err(|why| {
                terminal.error(format_args!("--helpers: {why}"));
                Exit::Usage
            })?;
        }
        let Hosted { host, mut declared, own_traffic, interface, local } = hosted(self, terminal)?;
        declared.extend(policies::read(&self.timeout_policy, terminal)?);
        policies::check_rules(&declared, &loaded, terminal)?;
        let text = sets::read(&self.ipset, terminal)?;
        let mut sets = sets::of_text(&text, SEED[0], terminal)?;
        if let Some(instead) = instead {
            sets::add_missing(&mut sets, &loaded, instead, terminal)?;
        }
        sets::check_rules(&sets, &loaded, terminal)?;
        let accounts = beside::accounts(&self.nfacct, terminal)?;
        beside::check_rules(&accounts, &loaded, terminal)?;
        let (_, fingerprints) = beside::fingerprints(&self.osf, terminal)?;
        let tracking = self.tracking;
        Ok(Prepared {
            loaded,
            sysctls,
            host,
            declared,
            own_traffic,
            interface,
            local,
            sets,
            accounts,
            fingerprints,
            tracking,
        })
    }
}

impl Prepared {
    /// The rule files.
    pub(crate) fn loaded(&self) -> &[Loaded] {
        &self.loaded
    }

    /// The host.
    pub(crate) const fn host(&self) -> &Host {
        &self.host
    }

    /// Puts a rule set in the place of the one of its family.
    pub(crate) fn replace_ruleset(&mut self, ruleset: Ruleset) {
        let own = self.loaded.iter_mut().find(|file| file.ruleset.family == ruleset.family);
        if let Some(own) = own {
            own.ruleset = ruleset;
        }
    }

    /// The sysctls, to change them yet.
    pub(crate) const fn sysctls_mut(&mut self) -> &mut Sysctls {
        &mut self.sysctls
    }

    /// Where packets come in of which it is not said.
    pub(crate) const fn interface(&self) -> InterfaceIndex {
        self.interface
    }

    /// Addresses whose packets are the host's own.
    pub(crate) fn own_addresses(&self) -> Vec<Network> {
        self.local.clone()
    }

    /// Has the host answer for itself, as its file says that it does.
    pub(crate) fn let_host_answer(&mut self) {
        self.host.answers_echo = self.own_traffic != OwnTraffic::Drop;
        self.host.answers_tcp = self.host.answers_echo;
    }

    /// The filter.
    pub(crate) fn engine(self, terminal: &Terminal) -> Result<Engine, Exit> {
        let rulesets = self.loaded.into_iter().map(|loaded| loaded.ruleset).collect();
        let mut engine = Engine::new(SEED, self.host, self.sysctls, rulesets);
        engine.set_tracking(self.tracking.into());
        policies::add(engine.conntrack_mut(), &self.declared, terminal)?;
        engine.set_sets(self.sets);
        engine.set_accounts(self.accounts);
        engine.set_fingerprints(self.fingerprints);
        Ok(engine)
    }
}

/// Replays are to be repeatable, so nothing is drawn at random.
const SEED: [u64; 2] = [0x6b65_6570_7374_6174, 0x6520_7265_706c_6179];

fn load_rules(arguments: &Setting, terminal: &Terminal) -> Result<Vec<Loaded>, Exit> {
    let any = arguments.rules.iter().map(|path| (path, None));
    let v4 = arguments.rules4.iter().map(|path| (path, Some(Family::V4)));
    let v6 = arguments.rules6.iter().map(|path| (path, Some(Family::V6)));
    let labels = arguments.labels(terminal)?;
    rulesets::load_all(any.chain(v4).chain(v6), &labels, terminal)
}

fn sysctls(arguments: &Setting, terminal: &Terminal) -> Result<Sysctls, Exit> {
    let mut sysctls = Sysctls::default();
    for setting in &arguments.sysctl {
        let Some((name, value)) = setting.split_once('=') else {
            terminal.error(format_args!("--sysctl {setting}: not NAME=VALUE"));
            return Err(Exit::Usage);
        };
        set_sysctl(&mut sysctls, name.trim(), value.trim(), terminal)?;
    }
    Ok(sysctls)
}

/// Sets one sysctl, or says why not.
pub(crate) fn set_sysctl(
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

/// The host that the filter stands on.
struct Hosted {
    host: Host,
    declared: Vec<Declaration>,
    own_traffic: OwnTraffic,
    interface: InterfaceIndex,
    local: Vec<Network>,
}

fn hosted(arguments: &Setting, terminal: &Terminal) -> Result<Hosted, Exit> {
    let local: Vec<Network> = arguments.local.iter().map(|prefix| prefix.0).collect();
    let incoming = arguments.incoming.or_else(|| InterfaceName::new("eth0")).unwrap_or_default();
    let outgoing = arguments.outgoing.or_else(|| InterfaceName::new("eth1")).unwrap_or_default();
    let own_traffic = OwnTraffic::default();
    let (host, declared, own_traffic) = match &arguments.host {
        Some(path) => {
            let described = host::load(path, terminal)?;
            (described.host, described.declared, described.links.own_traffic)
        }
        None if local.is_empty() => (Host::router(incoming, outgoing), Vec::new(), own_traffic),
        None => (Host::endpoint(incoming, local.clone()), Vec::new(), own_traffic),
    };
    let interface = host::incoming(&host, arguments.incoming).ok_or_else(|| {
        terminal.error(format_args!("--in {incoming}: the host has no such interface"));
        Exit::Usage
    })?;
    // The host's own addresses make a packet of the capture its own, too, when it does not route.
    let local = host::own_addresses(&host, local);
    Ok(Hosted { host, declared, own_traffic, interface, local })
}
