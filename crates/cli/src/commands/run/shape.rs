//! The shapes of a live filter: a wire between two devices, a router between several.

use crate::host::{self, Described, OwnTraffic, interface_name};
use crate::rulesets::{self, Loaded};
use crate::{exit::Exit, terminal::Terminal};
use keepstate_conntrack::policy::Declaration;
use keepstate_datapath::af_packet::Wire;
use keepstate_datapath::router::{Config, Device, Devices, Local, Port, Router};
use keepstate_datapath::{Observer, run};
use keepstate_engine::{Engine, Host};
use keepstate_packet::InterfaceName;
use std::path::Path;
use std::{io, time::Duration};

/// What is to run.
#[derive(Debug)]
pub(super) enum Shape {
    /// What comes in on one leaves by the other.
    Wire([InterfaceName; 2]),
    /// By the routes of a host file.
    Router(Box<Described>),
}

impl Shape {
    pub(super) fn wire([a, b]: &[String; 2]) -> Result<Self, String> {
        if a == b {
            return Err("a wire has two different interfaces".to_owned());
        }
        Ok(Self::Wire([interface_name(a)?, interface_name(b)?]))
    }

    pub(super) fn router(path: &Path, terminal: &Terminal) -> Result<Self, Exit> {
        let described = host::load(path, terminal)?;
        if let Some(obstacle) = &described.links.obstacle {
            terminal.error(format_args!("{}: this is no router: {obstacle}", path.display()));
            return Err(Exit::Usage);
        }
        Ok(Self::Router(Box::new(described)))
    }

    /// Timeout policies beside those of the configuration.
    pub(super) fn declared(&self) -> &[Declaration] {
        match self {
            Self::Wire(_) => &[],
            Self::Router(described) => &described.declared,
        }
    }

    /// Refuses rules that cannot do here what they say.
    pub(super) fn check_rules(&self, loaded: &[Loaded], terminal: &Terminal) -> Result<(), Exit> {
        match self {
            // Between two devices without addresses there is no way to a gateway.
            Self::Wire(_) => {
                rulesets::without_copies(loaded, "between two devices no copies are sent", terminal)
            }
            Self::Router(_) => Ok(()),
        }
    }

    /// Opens the devices; the host for the engine goes with them.
    pub(super) fn open(self, duration: Option<Duration>, seed: u64) -> io::Result<(Opened, Host)> {
        let described = match self {
            Self::Wire(devices) => {
                let wire = Wire::open(devices, duration)?;
                return Ok((Opened::Wire(wire, devices), Host::wire(devices[0], devices[1])));
            }
            Self::Router(described) => *described,
        };
        let (links, mut host) = (described.links, described.host);
        let devices = Devices::open(&links.devices, duration)?;
        for (interface, mtu) in host.interfaces.iter_mut().zip(devices.mtus()) {
            interface.mtu = *mtu;
        }
        host.answers_echo = links.own_traffic == OwnTraffic::Answer;
        host.answers_tcp = host.answers_echo;
        let ports = devices.hardware().iter().zip(links.proxied);
        let config = Config {
            ports: ports.map(|(hardware, proxied)| Port { hardware: *hardware, proxied }).collect(),
            local: match links.own_traffic {
                OwnTraffic::Answer | OwnTraffic::Drop => Local::Router,
                OwnTraffic::Kernel => Local::Kernel,
            },
            neighbours: links.neighbours,
            seed,
        };
        let router = Box::new(Router::new(devices, config));
        Ok((Opened::Router(router, links.devices), host))
    }
}

/// What runs.
#[derive(Debug)]
pub(super) enum Opened {
    Wire(Wire, [InterfaceName; 2]),
    Router(Box<Router<Devices>>, Vec<Device>),
}

impl Opened {
    /// Says what begins, and what stands in its way.
    pub(super) fn greet(&self, engine: &Engine, terminal: &Terminal) {
        match self {
            Self::Wire(_, [a, b]) => {
                terminal.note(format_args!("filtering between {a} and {b}"));
            }
            Self::Router(_, devices) => {
                let names = engine.host().interfaces.iter().map(|one| one.name.to_string());
                let names: Vec<_> = names.collect();
                if devices.iter().any(|device| !device.is_tap) {
                    kernel_forwards(terminal);
                }
                terminal.note(format_args!("routing between {}", names.join(", ")));
            }
        }
    }

    pub(super) fn run<O: Observer>(
        &mut self,
        engine: &mut Engine,
        observer: &mut O,
    ) -> io::Result<()> {
        match self {
            Self::Wire(wire, _) => run(engine, wire, observer),
            Self::Router(router, _) => run(engine, router.as_mut(), observer),
        }
    }

    /// What was lost, and what a router has seen of its neighbours.
    pub(super) fn tell(&self, engine: &Engine, terminal: &Terminal) {
        let (names, statistics, unsent): (Vec<InterfaceName>, _, _) = match self {
            Self::Wire(wire, devices) => {
                (devices.to_vec(), wire.statistics().to_vec(), wire.unsent_count)
            }
            Self::Router(router, _) => {
                tell_neighbours(router, terminal);
                let names = engine.host().interfaces.iter().map(|one| one.name);
                (names.collect(), router.links().statistics(), router.counts().unsent)
            }
        };
        for (device, (_, lost)) in names.iter().zip(statistics) {
            if lost > 0 {
                terminal.warning(format_args!(
                    "{device}: {lost} frames came faster than they were taken"
                ));
            }
        }
        if unsent > 0 {
            terminal.warning(format_args!("{unsent} frames did not fit into a device"));
        }
    }
}

fn tell_neighbours(router: &Router<Devices>, terminal: &Terminal) {
    let counts = router.counts();
    terminal.note(format_args!(
        "neighbours: {} at the end, {} questions, {} answers given, {} did not answer; {} frames for \
         others",
        router.neighbour_count(),
        counts.asked,
        counts.answered,
        counts.neighbours.failed,
        counts.others
    ));
    let lost = counts.neighbours.overrun + counts.neighbours.full;
    if lost > 0 {
        terminal.warning(format_args!("{lost} packets lost, for too many waited for neighbours"));
    }
}

/// The kernel sees the same packets.
fn kernel_forwards(terminal: &Terminal) {
    for (file, sysctl) in [
        ("/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        ("/proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"),
    ] {
        if std::fs::read_to_string(file).is_ok_and(|text| text.trim() != "0") {
            terminal
                .warning(format_args!("this machine's kernel forwards, too: {sysctl} is not 0"));
        }
    }
}
