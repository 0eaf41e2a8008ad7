//! `keepstate run`: live traffic, between two devices or through a router. What its file holds is in
//! its help.

mod shape;

use crate::setting::{Tracking, set_sysctl};
use crate::{
    beside,
    exit::Exit,
    helpers, policies,
    report::{Format, Names, Options, Report},
    rulesets, sets,
    terminal::Terminal,
};
use keepstate_conntrack::Sysctls;
use keepstate_datapath::sys::signal;
use keepstate_engine::Engine;
use keepstate_packet::Family;
use serde::Deserialize;
use shape::Shape;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

const CONFIG_HELP: &str = r#"CONFIG:
  interfaces = ["eth0", "eth1"]       what comes in on one leaves by the other
  host = "host.toml"                  or a router, as this host file describes it, beside this file
  rules = ["rules.v4", "rules.v6"]    beside this file, unless they are absolute
  timeout_policies = ["add timeout long inet tcp established 864000"]     as with nfct(8)
  ipset = ["sets"]                    as `ipset save` prints them, beside this file
  nfacct = ["objects"]                as `nfacct list` prints them, beside this file
  osf = ["pf.os"]                     fingerprints of operating systems (-m osf), beside this file
  connlabel_conf = "connlabel.conf"   names of labels (-m connlabel), beside this file
  [sysctl]
  nf_conntrack_tcp_loose = 0

With `interfaces`, frames that hold no IP, and IPv6 neighbour discovery, pass untouched. The devices
need no addresses, and nothing else should forward between them.

A host file is that of `replay`; for a router it may also say:
  own_traffic = "answer"              what is for the router itself and INPUT lets through: echo requests
                                      are answered, TCP that no [[socket]] takes is reset, the rest is
                                      dropped; "drop": nothing is answered but who asks for its Ethernet
                                      address; "kernel": not even that, for this machine's kernel has the
                                      addresses, too
  [[interface]]
  name = "eth0"
  mtu = 1500                          that of the device without
  addresses = ["192.0.2.1/24", "fe80::1/64", "2001:db8::1/64"]
  hardware = "02:00:00:00:00:01"      the router's Ethernet address there; that of the device without
  tap = true                          a TAP device that is made, or taken if it is there
  proxy = ["192.0.2.64/28"]           addresses that it answers for in ARP and neighbour discovery,
                                      beside its own: those of SNAT and DNAT that nobody else has
  [[route]]
  to = "0.0.0.0/0"
  via = "192.0.2.254"                 the gateway
  interface = "eth0"
  [[neighbour]]                       one that is not to be asked for
  address = "192.0.2.7"
  hardware = "02:00:00:00:00:07"
  interface = "eth0"

The kernel sees what comes in on the router's devices as well. So that it neither forwards nor answers it,
it has no addresses there (`ip addr flush dev eth0`) and does not forward (`sysctl net.ipv4.ip_forward=0
net.ipv6.conf.all.forwarding=0`), or the devices are in a network namespace of their own."#;

/// Arguments of `keepstate run`.
#[derive(clap::Args)]
#[command(after_help = CONFIG_HELP)]
pub(crate) struct Arguments {
    /// End after so many seconds; else SIGINT or SIGTERM end it
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Print a line for every packet
    #[arg(long)]
    packets: bool,
    /// Print what happens to connections, as `conntrack -E -o timestamp` does
    #[arg(long)]
    events: bool,
    /// Print the connections that are there at the end, as `conntrack -L -o extended` does
    #[arg(long)]
    conntrack: bool,
    /// Write a pcapng file: each packet with a comment that says what became of it
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// What is tracked: all, or as Linux has it packets of a family whose rules ask for it [default:
    /// needed; always with --packets, --events, --conntrack and --write, which show states]
    #[arg(long, value_enum)]
    tracking: Option<Tracking>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Be the router that this host file describes, whatever CONFIG says of interfaces
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// Which devices, which rules (TOML)
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    interfaces: Option<[String; 2]>,
    #[serde(default)]
    host: Option<PathBuf>,
    #[serde(default)]
    rules: Vec<PathBuf>,
    #[serde(default)]
    rules4: Option<PathBuf>,
    #[serde(default)]
    rules6: Option<PathBuf>,
    #[serde(default)]
    sysctl: BTreeMap<String, toml::Value>,
    #[serde(default)]
    ipset: Vec<PathBuf>,
    #[serde(default)]
    nfacct: Vec<PathBuf>,
    #[serde(default)]
    osf: Vec<PathBuf>,
    #[serde(default)]
    timeout_policies: Vec<String>,
    #[serde(default)]
    connlabel_conf: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Exit {
    match filter(arguments, terminal) {
        Ok(()) => Exit::Clean,
        Err(exit) => exit,
    }
}

fn filter(arguments: &Arguments, terminal: &Terminal) -> Result<(), Exit> {
    let usage = |error: &dyn std::fmt::Display| {
        terminal.error(format_args!("{}: {error}", arguments.config.display()));
        Exit::Usage
    };
    let text = std::fs::read_to_string(&arguments.config).map_err(|error| usage(&error))?;
    let config: Config = toml::from_str(&text).map_err(|error| usage(&error))?;
    let folder = arguments.config.parent().unwrap_or(Path::new(""));
    let shape = config.shape(folder, arguments.host.as_deref(), terminal)?;
    let shape = shape.map_err(|error| usage(&error))?;
    let sysctls = config.sysctls(terminal)?;
    let loaded = config.load_rules(&arguments.config, terminal)?;
    shape.check_rules(&loaded, terminal)?;
    let mut declared = policies::of_commands(&config.timeout_policies);
    declared.iter_mut().for_each(|declared| declared.extend_from_slice(shape.declared()));
    let declared = declared.map_err(|error| usage(&error))?;
    policies::check_rules(&declared, &loaded, terminal)?;
    let files: Vec<_> = config.ipset.iter().map(|path| folder.join(path)).collect();
    let keys = seed().map_err(|error| usage(&error))?;
    let sets = sets::of_text(&sets::read(&files, terminal)?, keys[0], terminal)?;
    sets::check_rules(&sets, &loaded, terminal)?;
    let files: Vec<_> = config.nfacct.iter().map(|path| folder.join(path)).collect();
    let accounts = beside::accounts(&files, terminal)?;
    beside::check_rules(&accounts, &loaded, terminal)?;
    let files: Vec<_> = config.osf.iter().map(|path| folder.join(path)).collect();
    let (_, fingerprints) = beside::fingerprints(&files, terminal)?;
    helpers::check_rules(&sysctls.modules, &loaded, terminal)?;
    let duration = arguments.duration(terminal)?;

    let io_error = |error: io::Error| {
        terminal.error(&error);
        unavailable(&error)
    };
    let options = arguments.options(terminal);
    let mut report = Report::new(&options, terminal, Names::new(&loaded)).map_err(io_error)?;
    let rulesets = loaded.into_iter().map(|loaded| loaded.ruleset).collect();
    signal::catch_end().map_err(io_error)?;
    let (mut opened, host) = shape.open(duration, keys[1]).map_err(io_error)?;
    let mut engine = Engine::new(keys, host, sysctls, rulesets);
    engine.set_tracking(arguments.tracking().into());
    policies::add(engine.conntrack_mut(), &declared, terminal)?;
    engine.set_sets(sets);
    engine.set_accounts(accounts);
    engine.set_fingerprints(fingerprints);
    opened.greet(&engine, terminal);
    opened.run(&mut engine, &mut report).map_err(io_error)?;
    report.finish(&mut engine).map_err(io_error)?;
    opened.tell(&engine, terminal);
    Ok(())
}

impl Arguments {
    fn tracking(&self) -> Tracking {
        let shown = self.packets || self.events || self.conntrack || self.write.is_some();
        self.tracking.unwrap_or(if shown { Tracking::Always } else { Tracking::Needed })
    }

    fn duration(&self, terminal: &Terminal) -> Result<Option<Duration>, Exit> {
        self.duration.map(Duration::try_from_secs_f64).transpose().map_err(|error| {
            terminal.error(format_args!("--duration: {error}"));
            Exit::Usage
        })
    }

    fn options(&self, terminal: &Terminal) -> Options<'_> {
        Options {
            format: self.format,
            packets: self.packets,
            events: self.events,
            conntrack: self.conntrack,
            summary: !terminal.is_quiet(),
            write: self.write.as_deref(),
            nflog: None,
        }
    }
}

impl Config {
    /// What is to run; the second error is one of this file.
    fn shape(
        &self,
        folder: &Path,
        host: Option<&Path>,
        terminal: &Terminal,
    ) -> Result<Result<Shape, String>, Exit> {
        let host = match (host, &self.host) {
            (Some(host), _) => Some(host.to_owned()),
            (None, host) => host.as_ref().map(|host| folder.join(host)),
        };
        Ok(match (host, &self.interfaces) {
            (Some(path), _) => return Shape::router(&path, terminal).map(Ok),
            (None, Some(devices)) => Shape::wire(devices),
            (None, None) => Err("neither `interfaces` nor `host`: nothing to run on".to_owned()),
        })
    }

    fn sysctls(&self, terminal: &Terminal) -> Result<Sysctls, Exit> {
        let mut sysctls = Sysctls::default();
        for (name, value) in &self.sysctl {
            let value = match value {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            set_sysctl(&mut sysctls, name, &value, terminal)?;
        }
        Ok(sysctls)
    }

    fn load_rules(
        &self,
        config: &Path,
        terminal: &Terminal,
    ) -> Result<Vec<rulesets::Loaded>, Exit> {
        let folder = config.parent().unwrap_or(Path::new(""));
        let any = self.rules.iter().map(|path| (path, None));
        let v4 = self.rules4.iter().map(|path| (path, Some(Family::V4)));
        let v6 = self.rules6.iter().map(|path| (path, Some(Family::V6)));
        let files: Vec<_> =
            any.chain(v4).chain(v6).map(|(path, family)| (folder.join(path), family)).collect();
        let conf = self.connlabel_conf.as_ref().map(|path| folder.join(path));
        let labels = rulesets::label_names(conf.as_deref(), terminal)?;
        rulesets::load_all(files.iter().map(|(path, family)| (path, *family)), &labels, terminal)
    }
}

/// Keys for the hash of connections, so that nobody can aim at one bucket.
fn seed() -> io::Result<[u64; 2]> {
    let mut bytes = [[0; 8]; 2];
    let mut random = std::fs::File::open("/dev/urandom")?;
    for part in &mut bytes {
        io::Read::read_exact(&mut random, part)?;
    }
    Ok(bytes.map(u64::from_ne_bytes))
}

/// A privilege or a device that is not there is another matter than wrong usage.
fn unavailable(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => Exit::Unavailable,
        _ => Exit::Usage,
    }
}
