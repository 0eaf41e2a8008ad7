//! The kernel as a router between two TAP devices, in the calling thread's network namespace.
//!
//! Writing a frame to a TAP device runs the whole receive path inside the write: PREROUTING,
//! conntrack, FORWARD, POSTROUTING, transmit. What can be read from the devices and from the
//! netlink sockets before the next write belongs to that packet and to no other.

use crate::ctnetlink::Ctnetlink;
use crate::observation::{EventView, Fate, Observation, Sent, Side};
use crate::parameters::Parameters;
use crate::peers;
use crate::probe::{self, Complaints, Mark, Probe, Record};
use keepstate_conntrack::expect::NewExpectation;
use keepstate_conntrack::policy::Declaration;
use keepstate_conntrack::table::Statistics;
use keepstate_conntrack::{CtStatus, Hook, Tuple, event::Snapshot};
use keepstate_datapath::sys::{raw, tap::Tap};
use keepstate_engine::{Tracking, route::ROUTER_MTU};
use keepstate_packet::{Address, Family, L4, Parsed, tcp};
use std::io::{self, Write as _};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::{fmt::Write as _, fs, thread, time::Duration};

/// Longest frame read from a device, bytes.
const FRAME_MAX: usize = 1 << 17;
/// Length of an Ethernet header.
const ETHERNET: usize = 14;

/// Hardware addresses: of the router's ends and of the neighbours beyond them.
pub const MAC_ROUTER: [[u8; 6]; 2] =
    [[0x02, 0x6d, 0x61, 0x74, 0, 0x1a], [0x02, 0x6d, 0x61, 0x74, 0, 0x1b]];
/// See [`MAC_ROUTER`].
pub const MAC_NEIGHBOUR: [[u8; 6]; 2] =
    [[0x02, 0x6d, 0x61, 0x74, 0, 0x0a], [0x02, 0x6d, 0x61, 0x74, 0, 0x0b]];

/// Which iptables loads the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// `iptables-nft`.
    #[default]
    Nft,
    /// `iptables-legacy`.
    Legacy,
}

/// How the router is set up; the default is the fixed router of `replay`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names of the interfaces: towards side A, towards side B.
    pub interfaces: [String; 2],
    /// Networks (`ADDRESS/LENGTH`) behind side A; everything else is behind side B.
    pub inside: Vec<String>,
    /// Which iptables loads the rules.
    pub backend: Backend,
    /// MTU of both interfaces, bytes.
    pub mtu: u32,
    /// Which packets are tracked: all, because the probe asks, or those whose rules ask; then nothing
    /// is said of states.
    pub tracking: Tracking,
    /// What reaches the host itself ends there: the host answers nothing, which is none of the filter's.
    pub is_silent: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interfaces: ["eth0".to_owned(), "eth1".to_owned()],
            inside: Vec::new(),
            backend: Backend::Nft,
            mtu: ROUTER_MTU,
            tracking: Tracking::Always,
            is_silent: false,
        }
    }
}

/// A router of the kernel.
#[derive(Debug)]
pub struct Kernel {
    config: Config,
    taps: [Tap; 2],
    indexes: [u32; 2],
    own: raw::Sender,
    probe: Probe,
    complaints: Complaints,
    conntrack: Ctnetlink,
    records: Vec<Record>,
    buffer: Vec<u8>,
    stray: Vec<EventView>,
    parameters: Parameters,
    stray_sent: Vec<Sent>,
    /// Fragments wait, or did: an answer may come when their time is up.
    answers_late: bool,
}

impl Kernel {
    /// Sets up the router in the calling thread's network namespace, which should be a new one
    /// ([`crate::namespace::with`]).
    ///
    /// # Errors
    /// When a device, `ip` or `nft` refuses.
    pub fn new(config: Config) -> io::Result<Self> {
        let [a, b] = &config.interfaces;
        let taps = [Tap::open(a)?, Tap::open(b)?];
        configure(&config)?;
        for family in [2, 10] {
            write_sysctl(&format!("net.netfilter.nf_log.{family}"), "nfnetlink_log")?;
        }
        if config.is_silent {
            run("nft", &["-f", "-"], probe::SILENT_HOST)?;
        }
        run("nft", &["-f", "-"], &probe::table(config.tracking))?;
        let index = |name: &str| -> io::Result<u32> {
            let listing = run("ip", &["-o", "link", "show", "dev", name], "")?;
            let number = listing.split(':').next().and_then(|number| number.trim().parse().ok());
            number.ok_or_else(|| io::Error::other(format!("no index of {name} in: {listing}")))
        };
        let indexes = [index(a)?, index(b)?];
        Ok(Self {
            taps,
            indexes,
            own: raw::Sender::open()?,
            probe: Probe::open()?,
            complaints: Complaints::open()?,
            conntrack: Ctnetlink::open()?,
            records: Vec::new(),
            buffer: vec![0; FRAME_MAX],
            stray: Vec::new(),
            parameters: Parameters::open()?,
            stray_sent: Vec::new(),
            answers_late: false,
            config,
        })
    }

    /// How it was set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sets a sysctl of conntrack by its name, with or without `net.netfilter.` before it, or one of
    /// `net.ipv4.ipfrag_*`, or a parameter of a module, `MODULE.PARAMETER`: no other router of this
    /// machine works until this one is done, and then the parameter is what it was.
    ///
    /// # Errors
    /// When the kernel does not know it or refuses the value.
    pub fn set_sysctl(&mut self, name: &str, value: &str) -> io::Result<()> {
        let name = name.replace('/', ".");
        let names = ["net.netfilter.", "net.ipv4."];
        let name = names.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
        if name.contains('.') {
            return self.parameters.set(name, value);
        }
        let prefix = if name.starts_with("ipfrag_") { "net.ipv4" } else { "net.netfilter" };
        write_sysctl(&format!("{prefix}.{name}"), value)
    }

    /// Sets the MTU of both interfaces.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn set_mtu(&mut self, mtu: u32) -> io::Result<()> {
        limit(&self.config, mtu)?;
        self.config.mtu = mtu;
        Ok(())
    }

    /// Whether the router tells of fragments whose time is up, before any rule could see that.
    ///
    /// # Errors
    /// When nft fails.
    pub fn silence_late_answers(&self, silent: bool) -> io::Result<()> {
        run("nft", &["-f", "-"], probe::late_answers(silent)).map(|_| ())
    }

    /// Brings the parameters of modules to these values, all others to what they were.
    pub(crate) fn set_parameters<'s>(
        &mut self,
        wanted: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> io::Result<()> {
        self.parameters.set_all(wanted)
    }

    /// Lets others set parameters first who wait for it; they put back what was there.
    pub(crate) fn give_way(&self) -> io::Result<()> {
        self.parameters.give_way()
    }

    /// The parameters of modules that tracking here has too.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        self.parameters.values()
    }

    /// Reads a sysctl of conntrack.
    ///
    /// # Errors
    /// When the kernel does not know it.
    pub fn sysctl(&self, name: &str) -> io::Result<String> {
        let text = fs::read_to_string(format!("/proc/sys/net/netfilter/{name}"))?;
        Ok(text.trim().to_owned())
    }

    /// Makes a timeout policy.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn add_timeout_policy(&self, declared: &Declaration) -> io::Result<()> {
        self.conntrack.add_timeout_policy(declared)
    }

    /// Puts a rule set in iptables-save form in place of all tables it names; with its counters,
    /// where all chains have them. In the place of LOG stands NFLOG with the same prefix: LOG writes
    /// to the log of the machine, and from no namespace but the first.
    ///
    /// # Errors
    /// With the text of iptables-restore when it refuses.
    pub fn load_rules(&self, family: Family, text: &str) -> io::Result<()> {
        let mut chains = text.lines().filter(|line| line.starts_with(':'));
        let options =
            if chains.all(|line| line.ends_with(']')) { &["-w", "-c"][..] } else { &["-w"] };
        let refused = |error: io::Error| {
            let line = refused_line(&error.to_string(), text).unwrap_or("");
            io::Error::new(error.kind(), format!("{error}: {line}"))
        };
        run(&self.tool(family, "restore"), options, &with_nflog(text)).map(|_| ()).map_err(refused)
    }

    /// Makes sets of ipset(8).
    ///
    /// # Errors
    /// When ipset refuses them.
    pub fn load_sets(&self, text: &str) -> io::Result<()> {
        run("ipset", &["restore"], text).map(|_| ())
    }

    /// The sets, as `ipset save` prints them.
    ///
    /// # Errors
    /// When ipset fails.
    pub fn save_sets(&self) -> io::Result<String> {
        run("ipset", &["save"], "")
    }

    /// The rule set with its counters, as iptables-save prints it.
    ///
    /// # Errors
    /// When iptables-save fails.
    pub fn save_rules(&self, family: Family) -> io::Result<String> {
        run(&self.tool(family, "save"), &["-c"], "")
    }

    fn tool(&self, family: Family, verb: &str) -> String {
        let tool = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        match self.config.backend {
            Backend::Nft => format!("{tool}-nft-{verb}"),
            Backend::Legacy => format!("{tool}-legacy-{verb}"),
        }
    }

    /// Pushes a packet (from the IP header on) into the router from `side`. `family` is what the
    /// link layer calls it.
    ///
    /// # Errors
    /// When a device or a netlink socket fails; `ENOBUFS` when reports were lost.
    pub fn push(&mut self, side: Side, family: Family, packet: &[u8]) -> io::Result<Observation> {
        self.discard_stray()?;
        let frame = frame(side, family, packet);
        self.taps[side as usize].write(&frame)?;
        self.observe(packet)
    }

    /// Has the router itself send a packet (from the IP header on). What leaves of it is
    /// [`Observation::generated`].
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn send(&mut self, packet: &[u8]) -> io::Result<Observation> {
        self.discard_stray()?;
        if let Ok(parsed) = Parsed::new(packet) {
            // What is dropped on its way is an error to a program.
            let _ = self.own.send(parsed.destination.ip(parsed.family), packet);
        }
        self.observe(packet)
    }

    /// What comes of `work` that has a packet go on which the kernel has held.
    ///
    /// # Errors
    /// As [`Self::push`], and those of `work`.
    pub fn release(
        &mut self,
        packet: &[u8],
        work: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Observation> {
        self.discard_stray()?;
        work()?;
        self.observe(packet)
    }

    /// All that the packet which came last has left behind.
    fn observe(&mut self, packet: &[u8]) -> io::Result<Observation> {
        self.records.clear();
        self.probe.drain(&mut self.records)?;
        // What the router tells itself is no way of the packet's.
        self.records.retain(|record| record.in_index != probe::LOOPBACK);
        let mut events = Vec::new();
        self.conntrack.drain(&mut events)?;
        let sent = self.sent()?;
        self.answers_late |= self.records.iter().any(|record| record.mark == Mark::Fragment);
        let (complaints, logged) = self.complaints.drain(&self.config.interfaces, self.indexes)?;
        let observed = observation(packet, &self.records, sent, events);
        Ok(Observation { complaints, logged, ..observed })
    }

    /// What has come since the last packet: timers' doing.
    fn discard_stray(&mut self) -> io::Result<()> {
        self.conntrack.drain(&mut self.stray)?;
        if self.answers_late {
            self.records.clear();
            self.probe.drain(&mut self.records)?;
            let sent = self.sent()?;
            self.stray_sent.extend(sent);
        }
        Ok(())
    }

    /// Lets all fragments that wait be given up, which takes so long when there are any, and what
    /// is said of them be forgotten.
    ///
    /// # Errors
    /// When a device or a socket fails.
    pub fn forget_fragments(&mut self, life: Duration) -> io::Result<()> {
        if std::mem::take(&mut self.answers_late) {
            thread::sleep(life);
            self.answers_late = true;
            self.stray_sent()?;
            self.answers_late = false;
        }
        Ok(())
    }

    /// Takes what the router sent outside of any packet: of fragments whose time was up.
    ///
    /// # Errors
    /// When a device or a socket fails.
    pub fn stray_sent(&mut self) -> io::Result<Vec<Sent>> {
        self.discard_stray()?;
        Ok(std::mem::take(&mut self.stray_sent))
    }

    /// Takes the events that came outside of any packet: expiry in the background, deletions.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn stray_events(&mut self) -> io::Result<Vec<EventView>> {
        self.discard_stray()?;
        Ok(std::mem::take(&mut self.stray))
    }

    /// All frames that the router sent and that are of the packet just pushed.
    fn sent(&mut self) -> io::Result<Vec<Sent>> {
        let mut sent = Vec::new();
        for side in [Side::A, Side::B] {
            let index = self.indexes[side as usize];
            if !self.records.iter().any(|record| record.out_index == index) {
                continue;
            }
            while let Some(length) = self.taps[side as usize].read(&mut self.buffer)? {
                let packet = self.buffer.get(ETHERNET..length).and_then(trim);
                sent.extend(packet.map(|packet| Sent { side, bytes: packet.to_vec() }));
            }
        }
        Ok(sent)
    }

    /// All connections and how long they have left.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn connections(&self) -> io::Result<Vec<Snapshot>> {
        self.conntrack.connections()
    }

    /// The counters of all processors together; `insert` counts what programs put into the table.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn statistics(&self) -> io::Result<Statistics> {
        self.conntrack.statistics()
    }

    /// One connection, by the tuple of its first packet.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn connection(&self, original: &Tuple) -> io::Result<Option<Snapshot>> {
        self.conntrack.connection(original)
    }

    /// All expectations: `original` is the expected tuple, `reply` its mask.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn expectations(&self) -> io::Result<Vec<Snapshot>> {
        Ok(self.expectations_inside()?.into_iter().map(|(one, _)| one).collect())
    }

    /// The same, each with the port inside that it is translated to, if it is.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn expectations_inside(&self) -> io::Result<Vec<(Snapshot, Option<u16>)>> {
        self.conntrack.expectations()
    }

    /// Makes connections that live for so many seconds.
    ///
    /// # Errors
    /// With the kernel's error number when it refuses one.
    pub fn create_connections(
        &self,
        mut tuples: impl Iterator<Item = Tuple>,
        status: CtStatus,
        seconds: u32,
    ) -> io::Result<()> {
        self.conntrack.create_connections(&mut tuples, status, seconds)
    }

    /// Makes an expectation from outside.
    ///
    /// # Errors
    /// With the kernel's error number when it refuses.
    pub fn create_expectation(&self, wanted: &NewExpectation) -> io::Result<()> {
        self.conntrack.create_expectation(wanted)
    }

    /// Gives an expectation so many seconds.
    ///
    /// # Errors
    /// With the kernel's error number when it refuses.
    pub fn change_expectation(&self, wanted: &NewExpectation, seconds: u32) -> io::Result<()> {
        self.conntrack.change_expectation(wanted, seconds)
    }

    /// Deletes the expectation that a packet with this tuple would fulfil.
    ///
    /// # Errors
    /// With the kernel's error number when it refuses.
    pub fn delete_expectation(&self, tuple: &Tuple) -> io::Result<()> {
        self.conntrack.delete_expectation(tuple)
    }

    /// Deletes all expectations, or those of the masters that have this helper.
    ///
    /// # Errors
    /// With the kernel's error number when it refuses.
    pub fn flush_expectations(&self, helper: Option<&str>) -> io::Result<()> {
        self.conntrack.flush_expectations(helper)
    }

    /// Forgets all connections, and their expectations with them.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.conntrack.flush()?;
        self.discard_stray()?;
        self.stray.clear();
        Ok(())
    }

    /// Forgets one connection.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn delete(&self, original: &Tuple) -> io::Result<()> {
        self.conntrack.delete(original)
    }
}

/// The rules with NFLOG to the group of the complaints in the place of LOG.
fn with_nflog(text: &str) -> String {
    let line = |line: &str| {
        let found =
            line.split_once(" -j LOG").filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
        let Some((rule, options)) = found else { return format!("{line}\n") };
        let prefix = options.split_once("--log-prefix ").map(|(_, rest)| {
            let end = match rest.strip_prefix('"') {
                Some(quoted) => quoted.find('"').map(|at| at + 2),
                None => rest.find(' '),
            };
            format!(" --nflog-prefix {}", rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest))
        });
        format!("{rule} -j NFLOG{}\n", prefix.unwrap_or_default())
    };
    text.lines().map(line).collect()
}

/// The line of a rule file that iptables-restore names when it refuses.
fn refused_line<'t>(said: &str, text: &'t str) -> Option<&'t str> {
    let digits = |word: &str| word.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    let number: usize =
        said.split("line").skip(1).find_map(|rest| digits(rest.split_whitespace().next()?))?;
    text.lines().nth(number.checked_sub(1)?)
}

fn frame(side: Side, family: Family, packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET + packet.len());
    frame.extend(MAC_ROUTER[side as usize]);
    frame.extend(MAC_NEIGHBOUR[side as usize]);
    frame.extend(match family {
        Family::V4 => [0x08, 0x00],
        Family::V6 => [0x86, 0xdd],
    });
    frame.extend(packet);
    frame
}

/// An IP packet without link-layer padding; `None` when it is none, or one that the router's own
/// timers send: over IPv6 all to groups (there is no multicast routing).
fn trim(bytes: &[u8]) -> Option<&[u8]> {
    const IGMP: u8 = 2;
    let length = |at: usize| bytes.get(at..at + 2).map(crate::attribute::be16).map(usize::from);
    let (length, group) = match bytes.first()? >> 4 {
        4 => (length(2)?, bytes.get(16)? & 0xf0 == 0xe0 && *bytes.get(9)? == IGMP),
        // Hop-by-hop options behind no length at all: the packet is as long as it is.
        6 if bytes.get(4..7)? == [0; 3] => (bytes.len(), *bytes.get(24)? == 0xff),
        6 => (length(4)? + 40, *bytes.get(24)? == 0xff),
        _ => return None,
    };
    (!group).then(|| bytes.get(..length).unwrap_or(bytes))
}

/// Source and destination of a packet's first bytes, and for IPv4 its protocol and identification:
/// enough to know it again after routing. What follows the header of an IPv6 fragment changes when
/// its datagram is put together.
fn key(head: &[u8]) -> impl Iterator<Item = &u8> {
    let six = head.first().is_some_and(|first| first >> 4 == 6);
    let ranges: &[Range<usize>] = if six { &[8..24, 24..40] } else { &[4..6, 9..10, 12..20] };
    ranges.iter().flat_map(|range| head.get(range.clone()).unwrap_or(&[]))
}

/// Whether a segment between the ends of the packet is another: IPv6 has no identification to tell them
/// apart by, and no rule changes these flags.
fn answers(packet: &[u8], sent: &[u8]) -> bool {
    const TOLD_BY: u8 = tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN;
    let flags = |bytes: &[u8]| match Parsed::new(bytes).map(|parsed| parsed.l4) {
        Ok(L4::Tcp(header)) => Some(header.flags & TOLD_BY),
        _ => None,
    };
    matches!((flags(packet), flags(sent)), (Some(a), Some(b)) if a != b)
}

fn observation(
    packet: &[u8],
    records: &[Record],
    sent: Vec<Sent>,
    events: Vec<EventView>,
) -> Observation {
    let tracked = records.iter().find_map(|record| match record.mark {
        Mark::Tracked(state, direction) => Some((state, direction)),
        Mark::Fragment | Mark::Passed | Mark::Answer | Mark::Leaving(_) => None,
    });
    let passed = tracked.is_some() || records.iter().any(|record| record.mark == Mark::Passed);
    let own = |record: &&Record| record.in_index == 0;
    let leaving = |record: &&Record| matches!(record.mark, Mark::Leaving(_));
    // The router's own timers (multicast listener reports) leave records as well, any time.
    // What meets INPUT is nothing else, whatever rules have made of its addresses.
    let pushed = |record: &&Record| {
        !own(record) && (record.hook == Hook::Input || key(&record.head).eq(key(packet)))
    };
    let leaves = records.iter().filter(leaving).find(pushed);
    let made: Vec<&Record> = records.iter().filter(leaving).filter(own).collect();
    let (generated, out): (Vec<_>, Vec<_>) = sent.into_iter().partition(|sent| {
        let is = |record: &&Record| key(&record.head).eq(key(&sent.bytes));
        made.iter().any(is)
            && (answers(packet, &sent.bytes)
                || !leaves.iter().any(|record| is(record) && key(packet).eq(key(&sent.bytes))))
    });
    let fate = if !out.is_empty() {
        Fate::Forwarded
    } else if leaves.is_some_and(|record| record.hook == Hook::Input) {
        Fate::Local
    } else if !passed && records.iter().any(|record| record.mark == Mark::Fragment) {
        Fate::Held
    } else {
        Fate::Dropped
    };
    let answer = records.iter().find(|record| record.mark == Mark::Answer);
    Observation {
        fate,
        drawn: answer.and_then(|answer| peers::drawn(&answer.head)),
        state: tracked.map(|(state, _)| state),
        direction: tracked.and_then(|(_, direction)| direction),
        status: leaves.and_then(|record| match record.mark {
            Mark::Leaving(status) => status,
            Mark::Fragment | Mark::Passed | Mark::Answer | Mark::Tracked(..) => None,
        }),
        out,
        generated,
        events,
        reason: None,
        unknown: false,
        complaints: Vec::new(),
        logged: Vec::new(),
        mark: leaves.map(|record| record.packet_mark),
    }
}

/// Sysctls of the router: forwarding on; redirects, address checks, rate limits and flow labels
/// drawn from a secret off; room for fragments that never become whole.
const ROUTER_SYSCTLS: [(&str, &str); 21] = [
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    ("net.ipv4.conf.all.accept_local", "0"),
    ("net.ipv4.conf.all.accept_redirects", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv4.icmp_msgs_per_sec", "1000000"),
    ("net.ipv4.icmp_msgs_burst", "1000000"),
    ("net.ipv6.icmp.ratelimit", "0"),
    ("net.ipv6.auto_flowlabels", "0"),
    ("net.ipv4.ipfrag_high_thresh", "268435456"),
    ("net.ipv6.ip6frag_high_thresh", "268435456"),
    ("net.netfilter.nf_conntrack_frag6_high_thresh", "268435456"),
    ("net.ipv6.conf.all.accept_ra", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
];

/// Sysctls that each interface has of its own.
const INTERFACE_SYSCTLS: [(&str, &str, &str); 4] = [
    ("ipv4", "rp_filter", "0"),
    ("ipv4", "send_redirects", "0"),
    ("ipv6", "forwarding", "1"),
    ("ipv6", "accept_dad", "0"),
];

fn configure(config: &Config) -> io::Result<()> {
    for (name, value) in ROUTER_SYSCTLS {
        // Some are read-only outside of the first user namespace, with the same value there.
        let _ = write_sysctl(name, value);
    }
    run("ip", &["-batch", "-"], &links(config))?;
    for device in &config.interfaces {
        for (family, name, value) in INTERFACE_SYSCTLS {
            let device = device.replace('.', "/");
            write_sysctl(&format!("net.{family}.conf.{device}.{name}"), value)?;
        }
        run("tc", &["qdisc", "replace", "dev", device, "root", "noqueue"], "")?;
    }
    // Only now: what IPv6 an interface has goes when it takes less than 1280 bytes.
    limit(config, config.mtu)
}

fn limit(config: &Config, mtu: u32) -> io::Result<()> {
    let device = |device: &String| format!("link set dev {device} mtu {mtu}\n");
    let batch: String = config.interfaces.iter().map(device).collect();
    run("ip", &["-batch", "-"], &batch).map(|_| ())
}

fn links(config: &Config) -> String {
    let mut batch = String::from("link set lo up\n");
    for (n, device) in config.interfaces.iter().enumerate() {
        let (v4, v6) = networks(n);
        let (own, neighbour) = (mac(MAC_ROUTER[n]), mac(MAC_NEIGHBOUR[n]));
        let _ = writeln!(
            batch,
            "link set dev {device} address {own} mtu {ROUTER_MTU} addrgenmode none\n\
             link set dev {device} txqueuelen 4000\n\
             addr add {v4}.1/30 dev {device}\n\
             addr add {v6}:1/64 dev {device} nodad\n\
             link set dev {device} up\n\
             neigh replace {v4}.2 lladdr {neighbour} dev {device} nud permanent\n\
             neigh replace {v6}:2 lladdr {neighbour} dev {device} nud permanent"
        );
    }
    let [a, b] = &config.interfaces;
    let ((a4, a6), (b4, b6)) = (networks(0), networks(1));
    let _ = writeln!(
        batch,
        "route add default via {b4}.2 dev {b}\nroute add default via {b6}:2 dev {b}"
    );
    for inside in &config.inside {
        let via = if inside.contains(':') { format!("{a6}:2") } else { format!("{a4}.2") };
        let _ = writeln!(batch, "route add {inside} via {via} dev {a}");
    }
    batch
}

/// The beginnings of the router's addresses towards side A (0) and B (1).
fn networks(side: usize) -> (&'static str, &'static str) {
    [("100.127.253", "fd4d:4154:a:"), ("100.127.254", "fd4d:4154:b:")][side]
}

/// Whether an address is one that the router has.
pub(crate) fn is_own(address: Address) -> bool {
    match address.0 {
        [100, 127, 253 | 254, host, ..] => host == 1,
        [0xfd, 0x4d, 0x41, 0x54, 0, 0x0a | 0x0b, rest @ ..] => {
            rest == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        }
        _ => false,
    }
}

/// Whether an address is the router's, or of its links.
pub(crate) fn is_router(address: Address) -> bool {
    matches!(address.0, [100, 127, 253 | 254, ..] | [0xfd, 0x4d, 0x41, 0x54, ..])
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}

fn write_sysctl(name: &str, value: &str) -> io::Result<()> {
    // As sysctl(8) has it: a slash stands for a dot within a name.
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path = format!("/proc/sys/{}", name.chars().map(swap).collect::<String>());
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|error| io::Error::new(error.kind(), format!("{name}={value}: {error}")))
}

/// Runs a program with `input` on its standard input; its standard output, or an error that says
/// what it wrote on standard error.
pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> io::Result<String> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{program}: {error}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input says why on standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "{program} {}: {}",
            arguments.join(" "),
            said.trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::with_nflog;

    #[test]
    fn nflog_takes_the_prefix_of_log() {
        for (log, nflog) in [
            ("-A a -j LOG", "-A a -j NFLOG"),
            ("-A a -p 6 -j LOG --log-prefix b --log-uid", "-A a -p 6 -j NFLOG --nflog-prefix b"),
            (
                "-A a -j LOG --log-uid --log-prefix \"b c \" ",
                "-A a -j NFLOG --nflog-prefix \"b c \"",
            ),
            ("-A a -j MARK", "-A a -j MARK"),
            ("-A a -j LOG_DROP", "-A a -j LOG_DROP"),
        ] {
            assert_eq!(with_nflog(log), format!("{nflog}\n"));
        }
    }
}
