//! `keepstate run`: live traffic between two devices. What its file holds is in its help.

use super::replay::{Tracking, interface_name, set_sysctl};
use crate::{
    beside,
    exit::Exit,
    helpers, policies,
    report::{Format, Names, Options, Report},
    rulesets, sets,
    terminal::Terminal,
};
use keepstate_conntrack::Sysctls;
use keepstate_datapath::{af_packet::Wire, sys::signal};
use keepstate_engine::{Engine, Host};
use keepstate_packet::{Family, InterfaceName};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

const CONFIG_HELP: &str = r#"CONFIG:
  interfaces = ["eth0", "eth1"]       what comes in on one leaves by the other
  rules = ["rules.v4", "rules.v6"]    beside this file, unless they are absolute
  timeout_policies = ["add timeout long inet tcp established 864000"]     as with nfct(8)
  ipset = ["sets"]                    as `ipset save` prints them, beside this file
  nfacct = ["objects"]                as `nfacct list` prints them, beside this file
  osf = ["pf.os"]                     fingerprints of operating systems (-m osf), beside this file
  connlabel_conf = "connlabel.conf"   names of labels (-m connlabel), beside this file
  [sysctl]
  nf_conntrack_tcp_loose = 0

Frames that hold no IP, and IPv6 neighbour discovery, pass untouched. The devices need no addresses,
and nothing else should forward between them."#;

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
    /// Which devices, which rules (TOML)
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    interfaces: [String; 2],
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
    let devices = config.devices().map_err(|error| usage(&error))?;
    let sysctls = config.sysctls(terminal)?;
    let loaded = config.load_rules(&arguments.config, terminal)?;
    // Between two devices without addresses there is no way to a gateway.
    rulesets::without_copies(&loaded, "between two devices no copies are sent", terminal)?;
    let declared = policies::of_commands(&config.timeout_policies);
    let declared = declared.map_err(|error| usage(&error))?;
    policies::check_rules(&declared, &loaded, terminal)?;
    let folder = arguments.config.parent().unwrap_or(Path::new(""));
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
    let duration = match arguments.duration.map(Duration::try_from_secs_f64) {
        None => None,
        Some(Ok(duration)) => Some(duration),
        Some(Err(error)) => {
            terminal.error(format_args!("--duration: {error}"));
            return Err(Exit::Usage);
        }
    };

    let io_error = |error: io::Error| {
        terminal.error(&error);
        unavailable(&error)
    };
    let options = Options {
        format: arguments.format,
        packets: arguments.packets,
        events: arguments.events,
        conntrack: arguments.conntrack,
        summary: !terminal.is_quiet(),
        write: arguments.write.as_deref(),
        nflog: None,
    };
    let mut report = Report::new(&options, terminal, Names::new(&loaded)).map_err(io_error)?;
    let rulesets = loaded.into_iter().map(|loaded| loaded.ruleset).collect();
    let host = Host::wire(devices[0], devices[1]);
    let mut engine = Engine::new(keys, host, sysctls, rulesets);
    engine.set_tracking(arguments.tracking().into());
    policies::add(engine.conntrack_mut(), &declared, terminal)?;
    engine.set_sets(sets);
    engine.set_accounts(accounts);
    engine.set_fingerprints(fingerprints);
    signal::catch_end().map_err(io_error)?;
    let mut wire = Wire::open(devices, duration).map_err(io_error)?;
    terminal.note(format_args!("filtering between {} and {}", devices[0], devices[1]));
    keepstate_datapath::run(&mut engine, &mut wire, &mut report).map_err(io_error)?;
    report.finish(&mut engine).map_err(io_error)?;
    tell(&wire, devices, terminal);
    Ok(())
}

impl Arguments {
    fn tracking(&self) -> Tracking {
        let shown = self.packets || self.events || self.conntrack || self.write.is_some();
        self.tracking.unwrap_or(if shown { Tracking::Always } else { Tracking::Needed })
    }
}

impl Config {
    fn devices(&self) -> Result<[InterfaceName; 2], String> {
        let [a, b] = &self.interfaces;
        if a == b {
            return Err("a wire has two different interfaces".to_owned());
        }
        Ok([interface_name(a)?, interface_name(b)?])
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

fn tell(wire: &Wire, devices: [InterfaceName; 2], terminal: &Terminal) {
    for (device, (_, lost)) in devices.iter().zip(wire.statistics()) {
        if lost > 0 {
            terminal
                .warning(format_args!("{device}: {lost} frames came faster than they were taken"));
        }
    }
    if wire.unsent_count > 0 {
        terminal.warning(format_args!("{} frames did not fit into a device", wire.unsent_count));
    }
}
