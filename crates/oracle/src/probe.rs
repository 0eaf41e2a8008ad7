//! The probe: a private nftables table that reports each packet's state through NFLOG, without
//! changing the packet, and the socket that reads the reports.
//!
//! `ct state`, `ct direction` and `ct status` choose a chain whose log prefix spells them, so one
//! record a stage is enough: one just behind conntrack's hook, one when the packet leaves.

use crate::attribute::{Attributes, Messages, Writer, be16, be32, text};
use crate::logged;
use keepstate_conntrack::{CtState, Direction, Hook};
use keepstate_datapath::sys::netlink::{self, RECEIVE_MAX, Socket};
use keepstate_engine::Tracking;
use std::{fmt::Write as _, io};

/// NFLOG group of the probe.
const GROUP: u16 = 7788;
/// Bytes of each packet in a record: enough to know it again after routing.
const SNAP: usize = 40;
/// Bytes of a SYN/ACK in a record: with the timestamps of SYNPROXY.
const ANSWER: usize = 80;
/// Room for one record.
const SLOT: usize = 512;
/// Receive queue, bytes: records of one packet wait there.
const QUEUE: u32 = 16 << 20;

/// `NFULNL_MSG_PACKET` and `NFULNL_MSG_CONFIG` of `NFNL_SUBSYS_ULOG`.
const MSG_PACKET: u16 = 0x400;
const MSG_CONFIG: u16 = 0x401;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST_ACK: u16 = 5;
/// `NFULA_*`.
const PACKET_HEADER: u16 = 1;
const PACKET_MARK: u16 = 2;
const INDEV: u16 = 4;
const OUTDEV: u16 = 5;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;

/// Status bits that the probe tells apart: EXPECTED, SEEN_REPLY, ASSURED, CONFIRMED, DYING, HELPER.
const STATUS_BITS: [u32; 6] = [1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 9, 1 << 13];

const STATES: [(&str, CtState, char); 3] = [
    ("new", CtState::New, 'N'),
    ("established", CtState::Established, 'E'),
    ("related", CtState::Related, 'R'),
];
const DIRECTIONS: [(&str, Direction, char); 2] =
    [("original", Direction::Original, 'o'), ("reply", Direction::Reply, 'r')];

fn log(prefix: &str) -> String {
    format!("log prefix \"{prefix}\" group {GROUP} snaplen {SNAP} queue-threshold 1")
}

/// Ends what has passed INPUT: what the host would answer is none of the filter's. It has to be there
/// before tracking is, or the connections of such packets would not be confirmed.
pub(crate) const SILENT_HOST: &str = "table inet keepstate_end {
chain input { type filter hook input priority 2147483647; policy drop; }
}
";

/// The nftables table. When packets are tracked only where rules need it, it does not ask for their
/// states: that would be a need.
pub(crate) fn table(tracking: Tracking) -> String {
    let mut t = String::from("table inet keepstate_probe {\n");
    let asking = if tracking == Tracking::Always { asking(&mut t) } else { NOT_ASKING.map(log) };
    let [behind, leaving] = asking;
    let _ = writeln!(
        t,
        "chain rx {{ type filter hook prerouting priority -450; policy accept;\n\
         ip frag-off & 0x3fff != 0 {rx}\n exthdr frag exists {rx}\n}}\n\
         chain pre {{ type filter hook prerouting priority -199; policy accept;\n{behind}\n}}",
        rx = log("f")
    );
    t.push_str("chain late {}\n");
    // Group membership reports of the router itself come by timers, and would be counted by rules.
    t.push_str(
        "chain own { type filter hook output priority -500; policy accept;\n\
         ip protocol igmp ip daddr 224.0.0.0/4 drop\n ip6 daddr ff00::/8 drop\n jump late\n",
    );
    // Before any rule and any other hook: not all of them get far.
    let _ = writeln!(
        t,
        "tcp flags & (syn | ack) == syn | ack log prefix \"m\" group {GROUP} snaplen {ANSWER} \
         queue-threshold 1\n}}"
    );
    for hook in ["input", "postrouting"] {
        let _ = writeln!(
            t,
            "chain {hook}_end {{ type filter hook {hook} priority 299; policy accept;\n\
             {leaving}\n}}"
        );
    }
    t.push_str("}\n");
    t
}

/// Prefixes behind conntrack's hook, if there is one, and where a packet leaves.
const NOT_ASKING: [&str; 2] = ["n", "s-"];

/// Chains that spell states, and what leads to them: behind conntrack's hook, and where a packet
/// leaves.
fn asking(t: &mut String) -> [String; 2] {
    let mut before = String::new();
    for (direction, _, d) in DIRECTIONS {
        let mut map = Vec::new();
        for (state, _, s) in STATES {
            let _ = writeln!(t, "chain p{s}{d} {{ {}; }}", log(&format!("p{s}{d}")));
            map.push(format!("{state} : goto p{s}{d}"));
        }
        let _ = writeln!(before, "ct direction {direction} ct state vmap {{ {} }}", map.join(", "));
    }
    for (name, prefix) in [("pI", "pI-"), ("pU", "pU-")] {
        let _ = writeln!(t, "chain {name} {{ {}; }}", log(prefix));
    }
    let mut elements = Vec::new();
    for status in (0..1u32 << STATUS_BITS.len()).map(spread) {
        let _ = writeln!(t, "chain s{status} {{ {}; }}", log(&format!("s{status}")));
        elements.push(format!("{status:#x} : goto s{status}"));
    }
    let _ = writeln!(
        t,
        "map status {{ type ct_status : verdict; elements = {{ {} }}; }}",
        elements.join(", ")
    );
    before.push_str("ct state vmap { invalid : goto pI, untracked : goto pU }");
    let leaving =
        format!("ct status & {:#x} vmap @status\n {}", spread(u32::MAX), log(NOT_ASKING[1]));
    [before, leaving]
}

/// Commands that have nothing of what the router says of fragments whose time is up reach its rules,
/// or all of it again.
pub(crate) const fn late_answers(silent: bool) -> &'static str {
    if silent {
        "add rule inet keepstate_probe late icmp type time-exceeded icmp code 1 drop\n\
         add rule inet keepstate_probe late icmpv6 type time-exceeded icmpv6 code 1 drop\n"
    } else {
        "flush chain inet keepstate_probe late\n"
    }
}

/// Bit n of `number` to the n-th status bit.
fn spread(number: u32) -> u32 {
    STATUS_BITS.iter().enumerate().map(|(n, bit)| bit * (number >> n & 1)).sum()
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A fragment came in.
    Fragment,
    /// Where conntrack's hook would stand, and nobody asks.
    Passed,
    /// Behind conntrack's hook.
    Tracked(CtState, Option<Direction>),
    /// A SYN/ACK of the router itself.
    Answer,
    /// At the end of INPUT or POSTROUTING, with the status of its connection.
    Leaving(Option<u32>),
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) mark: Mark,
    pub(crate) hook: Hook,
    pub(crate) in_index: u32,
    pub(crate) out_index: u32,
    pub(crate) packet_mark: u32,
    /// The first bytes of the packet, zero filled.
    pub(crate) head: [u8; ANSWER],
}

/// The socket of the probe.
#[derive(Debug)]
pub(crate) struct Probe {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Probe {
    /// Listens; the rules are loaded apart, with [`table`].
    pub(crate) fn open() -> io::Result<Self> {
        Self::of_group(GROUP)
    }

    fn of_group(group: u16) -> io::Result<Self> {
        let socket = Socket::open(netlink::NETFILTER, QUEUE)?;
        let mut mode = (ANSWER as u32).to_be_bytes().to_vec();
        mode.extend([2, 0]); // NFULNL_COPY_PACKET
        for (kind, value) in [(1, vec![1]), (2, mode), (5, 1u32.to_be_bytes().to_vec())] {
            let mut message = Writer::new(MSG_CONFIG, REQUEST_ACK, 0, group);
            message.attribute(kind, &value);
            crate::ctnetlink::request(&socket, &message.finish())?;
        }
        Ok(Self { socket, buffer: vec![0; SLOT * RECEIVE_MAX] })
    }

    /// Appends all records that wait.
    pub(crate) fn drain(&mut self, records: &mut Vec<Record>) -> io::Result<()> {
        self.receive(|attributes| records.extend(record(attributes)))
    }

    fn receive(&mut self, mut each: impl FnMut(Attributes<'_>)) -> io::Result<()> {
        let mut lengths = [0; RECEIVE_MAX];
        loop {
            let count = self.socket.receive_many(&mut self.buffer, SLOT, &mut lengths)?;
            for (datagram, length) in self.buffer.chunks(SLOT).zip(lengths).take(count) {
                let messages = Messages(&datagram[..length.min(SLOT)]);
                let packets = messages.filter(|message| message.kind == MSG_PACKET);
                packets.for_each(|message| each(message.attributes()));
            }
            if count < RECEIVE_MAX {
                return Ok(());
            }
        }
    }
}

/// What the kernel logs of packets that tracking finds INVALID (`nf_conntrack_log_invalid`) and of
/// those that helpers drop, where NFLOG is its logger.
#[derive(Debug)]
pub(crate) struct Complaints(Probe);

/// What the complaints begin with.
pub(crate) const COMPLAINT: &str = "nf_ct_";

/// Number of the loopback interface in every namespace.
pub(crate) const LOOPBACK: u32 = 1;

impl Complaints {
    /// NFLOG group of what names none.
    const GROUP: u16 = 0;

    /// Listens.
    pub(crate) fn open() -> io::Result<Self> {
        Probe::of_group(Self::GROUP).map(Self)
    }

    /// The complaints that wait, without what describes the packet, and what rules logged. The
    /// interfaces have these numbers.
    pub(crate) fn drain(
        &mut self,
        names: &[String; 2],
        indexes: [u32; 2],
    ) -> io::Result<(Vec<String>, Vec<String>)> {
        let (mut found, mut logged) = (Vec::new(), Vec::new());
        let name = |index: u32| {
            if index == LOOPBACK {
                return "lo";
            }
            let at = indexes.iter().position(|one| *one == index);
            at.and_then(|at| names.get(at)).map_or("", |name| name.as_str())
        };
        self.0.receive(|attributes| {
            let mut prefixes = attributes.filter(|(kind, _)| *kind == PREFIX);
            let prefix = prefixes.next().map_or("", |(_, value)| text(value));
            if prefix.starts_with(COMPLAINT) {
                found.push(prefix.trim_end().to_owned());
                return;
            }
            let number = |wanted| attributes.clone().find(|(kind, _)| *kind == wanted);
            let [inward, outward, mark] = [INDEV, OUTDEV, PACKET_MARK]
                .map(|kind| number(kind).map_or(0, |(_, value)| be32(value)));
            let payload = number(PAYLOAD).map_or(&[][..], |(_, value)| value);
            logged.extend(logged::of_packet(prefix, [name(inward), name(outward)], mark, payload));
        })?;
        Ok((found, logged))
    }
}

fn record(attributes: Attributes<'_>) -> Option<Record> {
    let mut record = Record {
        mark: Mark::Fragment,
        hook: Hook::Prerouting,
        in_index: 0,
        out_index: 0,
        packet_mark: 0,
        head: [0; ANSWER],
    };
    for (kind, value) in attributes {
        match kind {
            PACKET_HEADER => record.hook = hook(be16(value.get(2..).unwrap_or(&[])) >> 8)?,
            INDEV => record.in_index = be32(value),
            OUTDEV => record.out_index = be32(value),
            PACKET_MARK => record.packet_mark = be32(value),
            PREFIX => record.mark = mark(text(value))?,
            PAYLOAD => record.head.iter_mut().zip(value).for_each(|(to, from)| *to = *from),
            _ => {}
        }
    }
    Some(record)
}

fn hook(number: u16) -> Option<Hook> {
    let hooks = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
    hooks.into_iter().find(|hook| *hook as u16 == number)
}

fn mark(prefix: &str) -> Option<Mark> {
    let mut letters = prefix.chars();
    match letters.next()? {
        'f' => Some(Mark::Fragment),
        'n' => Some(Mark::Passed),
        'm' => Some(Mark::Answer),
        's' => Some(Mark::Leaving(letters.as_str().parse().ok())),
        'p' => {
            let state = match letters.next()? {
                'I' => CtState::Invalid,
                'U' => CtState::Untracked,
                letter => STATES.into_iter().find(|(_, _, s)| *s == letter)?.1,
            };
            let letter = letters.next()?;
            let direction = DIRECTIONS.into_iter().find(|(_, _, d)| *d == letter);
            Some(Mark::Tracked(state, direction.map(|(_, direction, _)| direction)))
        }
        _ => None,
    }
}
