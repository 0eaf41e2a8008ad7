//! The options of conntrack(8) as data: their names, and which verb takes which.

use super::getopt::{Long, Value};
use super::{Fault, TableKind, Verb};
use crate::flow::DCCP;
use alloc::format;
use keepstate_packet::{gre, icmp, icmpv6, sctp, tcp, udp};

/// An option that says something of a connection or of how it is shown. In the order in which
/// conntrack(8) looks for what is missing or not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "they are named like the options")]
pub enum OptionKind {
    OrigSrc,
    OrigDst,
    ReplySrc,
    ReplyDst,
    Protonum,
    Timeout,
    Status,
    Zero,
    EventMask,
    TupleSrc,
    TupleDst,
    MaskSrc,
    MaskDst,
    NatRange,
    Mark,
    Id,
    Family,
    SrcNat,
    DstNat,
    Output,
    Secmark,
    BufferSize,
    AnyNat,
    Zone,
    Label,
    LabelAdd,
    LabelDel,
    OrigZone,
    ReplyZone,
}

/// Whoever gives one of these sees labels.
pub(super) const ABOUT_LABELS: [OptionKind; 3] =
    [OptionKind::Label, OptionKind::LabelAdd, OptionKind::LabelDel];

/// The options with their letters, the names that errors give them, and whether they take a value.
const OPTIONS: [(OptionKind, u8, &str, Value); 29] = {
    use OptionKind as O;
    [
        (O::OrigSrc, b's', "src", Value::Needed),
        (O::OrigDst, b'd', "dst", Value::Needed),
        (O::ReplySrc, b'r', "reply-src", Value::Needed),
        (O::ReplyDst, b'q', "reply-dst", Value::Needed),
        (O::Protonum, b'p', "protonum", Value::Needed),
        (O::Timeout, b't', "timeout", Value::Needed),
        (O::Status, b'u', "status", Value::Needed),
        (O::Zero, b'z', "zero", Value::None),
        (O::EventMask, b'e', "event-mask", Value::Needed),
        (O::TupleSrc, b'[', "tuple-src", Value::Needed),
        (O::TupleDst, b']', "tuple-dst", Value::Needed),
        (O::MaskSrc, b'{', "mask-src", Value::Needed),
        (O::MaskDst, b'}', "mask-dst", Value::Needed),
        (O::NatRange, b'a', "nat-range", Value::Needed),
        (O::Mark, b'm', "mark", Value::Needed),
        (O::Id, b'i', "id", Value::Needed),
        (O::Family, b'f', "family", Value::Needed),
        (O::SrcNat, b'n', "src-nat", Value::Optional),
        (O::DstNat, b'g', "dst-nat", Value::Optional),
        (O::Output, b'o', "output", Value::Needed),
        (O::Secmark, b'c', "secmark", Value::Needed),
        (O::BufferSize, b'b', "buffer-size", Value::Needed),
        (O::AnyNat, b'j', "any-nat", Value::Optional),
        (O::Zone, b'w', "zone", Value::Needed),
        (O::Label, b'l', "label", Value::Needed),
        (O::LabelAdd, b'<', "label-add", Value::Needed),
        (O::LabelDel, b'>', "label-del", Value::Optional),
        (O::OrigZone, b'(', "orig-zone", Value::Needed),
        (O::ReplyZone, b')', "reply-zone", Value::Needed),
    ]
};

impl OptionKind {
    pub(super) fn of(letter: u16) -> Option<Self> {
        let of = |(_, known, ..): &&(Self, u8, &str, Value)| u16::from(*known) == letter;
        OPTIONS.iter().find(of).map(|(kind, ..)| *kind)
    }

    /// Its name in errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        OPTIONS.get(self as usize).map_or("", |(_, _, name, _)| name)
    }
}

/// A set of options, and of those that belong to a protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Given {
    bits: u32,
    /// By place in the list of the protocol.
    pub(super) of_protocol: u16,
}

impl Given {
    /// Whether an option was given.
    #[must_use]
    pub const fn has(&self, option: OptionKind) -> bool {
        self.bits & (1 << option as u8) != 0
    }

    pub(super) const fn set(&mut self, option: OptionKind) {
        self.bits |= 1 << option as u8;
    }

    /// Whether any of `options` was given.
    #[must_use]
    pub fn any(&self, options: &[OptionKind]) -> bool {
        options.iter().any(|option| self.has(*option))
    }
}

/// What a verb makes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Illegal,
    Needed,
    Allowed,
    /// One of several sets has to be complete.
    Coupled,
}

const fn rule(letter: u8) -> Rule {
    match letter {
        b'1' => Rule::Needed,
        b'2' => Rule::Allowed,
        b'3' => Rule::Coupled,
        _ => Rule::Illegal,
    }
}

/// What a verb makes of the options, in the order of [`OptionKind`]: `.` illegal, 1 needed, 2
/// allowed, 3 coupled.
const fn rules(verb: Verb, table: TableKind) -> &'static [u8; 29] {
    match (verb, table) {
        //                             sdrqptuze[]{}amifngocbjwl<>()
        (Verb::Create | Verb::Add, TableKind::Expect) => b"1122112..1111................",
        (Verb::Get | Verb::Delete, TableKind::Expect) => b"11221........................",
        (Verb::List, TableKind::Expect) => b"................2..2.........",
        (Verb::Event, TableKind::Expect) => b"...................2.........",
        (Verb::List, _) => b"22222.22...22.2.22222.222..22",
        (Verb::Create | Verb::Add, _) => b"3333112.......2..22....2.2.22",
        (Verb::Update, _) => b"2222222....22.222222....222..",
        (Verb::Delete, _) => b"2222222....22.222222...22..22",
        (Verb::Get, _) => b"33331..........2...2....2....",
        (Verb::Flush, TableKind::Conntrack) => b"................2............",
        (Verb::Event, _) => b"22222...2..22.2.222222222..22",
        // Tells of the options of a protocol.
        (Verb::Help, _) => b"....2........................",
        (Verb::None | Verb::Flush | Verb::Count | Verb::Stats | Verb::Version, _) => {
            b"............................."
        }
    }
}

/// An option of one protocol: its name, the name in errors, and what a verb makes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProtocolOption {
    pub(super) name: &'static str,
    pub(super) field: Field,
    /// For `-I`; `-G`; `-U`; what is listed, deleted or told of; `-I expect`; `-G expect` and
    /// `-D expect`.
    rules: &'static [u8; 6],
}

/// What an option of a protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Source,
    Destination,
    ReplySource,
    ReplyDestination,
    MaskSource,
    MaskDestination,
    TupleSource,
    TupleDestination,
    State,
    OriginalTag,
    ReplyTag,
    Role,
    IcmpType,
    IcmpCode,
    IcmpId,
}

const fn option(name: &'static str, field: Field, rules: &'static [u8; 6]) -> ProtocolOption {
    ProtocolOption { name, field, rules }
}

//                                                             I  G  U  LDE Ie GDe
const PORTS: [ProtocolOption; 8] = [
    option("sport", Field::Source, b"332211"),
    option("dport", Field::Destination, b"332211"),
    option("reply-port-src", Field::ReplySource, b"3322.1"),
    option("reply-port-dst", Field::ReplyDestination, b"3322.1"),
    option("mask-port-src", Field::MaskSource, b"....1."),
    option("mask-port-dst", Field::MaskDestination, b"....1."),
    option("tuple-port-src", Field::TupleSource, b"....1."),
    option("tuple-port-dst", Field::TupleDestination, b"....1."),
];

const STATE: ProtocolOption = option("state", Field::State, b"1222..");

const TCP: [ProtocolOption; 9] = {
    let [a, b, c, d, e, f, g, h] = PORTS;
    [a, b, c, d, e, f, STATE, g, h]
};

const SCTP: [ProtocolOption; 11] = {
    let [a, b, c, d, e, f, g, h] = PORTS;
    let original = option("orig-vtag", Field::OriginalTag, b"122.1.");
    let reply = option("reply-vtag", Field::ReplyTag, b"122.1.");
    [a, b, c, d, e, f, STATE, g, h, original, reply]
};

const DCCP_OPTIONS: [ProtocolOption; 10] = {
    let [a, b, c, d, e, f, g, h] = PORTS;
    [a, b, c, d, e, f, STATE, g, h, option("role", Field::Role, b"1...1.")]
};

const GRE: [ProtocolOption; 8] = [
    option("srckey", Field::Source, b"332211"),
    option("dstkey", Field::Destination, b"332211"),
    option("reply-key-src", Field::ReplySource, b"332211"),
    option("reply-key-dst", Field::ReplyDestination, b"332211"),
    option("mask-key-src", Field::MaskSource, b"....1."),
    option("mask-key-dst", Field::MaskDestination, b"....1."),
    option("tuple-key-src", Field::TupleSource, b"....1."),
    option("tuple-key-dst", Field::TupleDestination, b"....1."),
];

const ICMP: [ProtocolOption; 3] = [
    option("icmp-type", Field::IcmpType, b"1122.."),
    option("icmp-code", Field::IcmpCode, b"1122.."),
    option("icmp-id", Field::IcmpId, b"2222.."),
];

const ICMPV6: [ProtocolOption; 3] = [
    option("icmpv6-type", Field::IcmpType, b"1122.."),
    option("icmpv6-code", Field::IcmpCode, b"1122.."),
    option("icmpv6-id", Field::IcmpId, b"2222.."),
];

/// The options of a protocol.
pub(super) const fn of_protocol(protocol: u8) -> &'static [ProtocolOption] {
    match protocol {
        tcp::PROTOCOL => &TCP,
        udp::PROTOCOL | udp::PROTOCOL_LITE => &PORTS,
        sctp::PROTOCOL => &SCTP,
        DCCP => &DCCP_OPTIONS,
        gre::PROTOCOL => &GRE,
        icmp::PROTOCOL => &ICMP,
        icmpv6::PROTOCOL => &ICMPV6,
        _ => &[],
    }
}

/// The letters of the options of a protocol begin here.
pub(super) const PROTOCOL_LETTERS: u16 = 1000;

const fn long(name: &'static str, value: Value, letter: u8) -> Long {
    Long { name, value, letter: letter as u16 }
}

/// The long options, other than those of a protocol.
pub(super) const LONG: &[Long] = &[
    long("dump", Value::Optional, b'L'),
    long("create", Value::Optional, b'I'),
    long("add", Value::Optional, b'A'),
    long("delete", Value::Optional, b'D'),
    long("update", Value::Optional, b'U'),
    long("get", Value::Optional, b'G'),
    long("flush", Value::Optional, b'F'),
    long("event", Value::Optional, b'E'),
    long("counter", Value::Optional, b'C'),
    long("stats", Value::None, b'S'),
    long("version", Value::None, b'V'),
    long("help", Value::None, b'h'),
    long("orig-src", Value::Needed, b's'),
    long("src", Value::Needed, b's'),
    long("orig-dst", Value::Needed, b'd'),
    long("dst", Value::Needed, b'd'),
    long("reply-src", Value::Needed, b'r'),
    long("reply-dst", Value::Needed, b'q'),
    long("protonum", Value::Needed, b'p'),
    long("timeout", Value::Needed, b't'),
    long("status", Value::Needed, b'u'),
    long("zero", Value::None, b'z'),
    long("event-mask", Value::Needed, b'e'),
    long("tuple-src", Value::Needed, b'['),
    long("tuple-dst", Value::Needed, b']'),
    long("mask-src", Value::Needed, b'{'),
    long("mask-dst", Value::Needed, b'}'),
    long("nat-range", Value::Needed, b'a'),
    long("mark", Value::Needed, b'm'),
    long("secmark", Value::Needed, b'c'),
    long("id", Value::Needed, b'i'),
    long("family", Value::Needed, b'f'),
    long("src-nat", Value::Optional, b'n'),
    long("dst-nat", Value::Optional, b'g'),
    long("output", Value::Needed, b'o'),
    long("buffer-size", Value::Needed, b'b'),
    long("any-nat", Value::Optional, b'j'),
    long("zone", Value::Needed, b'w'),
    long("label", Value::Needed, b'l'),
    long("label-add", Value::Needed, b'<'),
    long("label-del", Value::Optional, b'>'),
    long("orig-zone", Value::Needed, b'('),
    long("reply-zone", Value::Needed, b')'),
];

/// The letters of the verbs.
pub(super) const VERBS: [(u8, Verb, Value); 12] = [
    (b'L', Verb::List, Value::Optional),
    (b'I', Verb::Create, Value::Optional),
    (b'A', Verb::Add, Value::Optional),
    (b'U', Verb::Update, Value::Optional),
    (b'D', Verb::Delete, Value::Optional),
    (b'G', Verb::Get, Value::Optional),
    (b'E', Verb::Event, Value::Optional),
    (b'F', Verb::Flush, Value::Optional),
    (b'C', Verb::Count, Value::Optional),
    (b'S', Verb::Stats, Value::None),
    (b'V', Verb::Version, Value::None),
    (b'h', Verb::Help, Value::None),
];

/// All letters.
pub(super) fn short() -> alloc::vec::Vec<(u8, Value)> {
    let options = OPTIONS.iter().map(|(_, letter, _, value)| (*letter, *value));
    VERBS.iter().map(|(letter, _, value)| (*letter, *value)).chain(options).collect()
}

/// Checks that a verb has what it needs and nothing that it does not take.
pub(super) fn check(verb: Verb, table: TableKind, given: &Given) -> Result<(), Fault> {
    let rules = rules(verb, table);
    let given_of = |(kind, ..): &(OptionKind, u8, &'static str, Value)| given.has(*kind);
    let options = OPTIONS.iter().zip(rules).map(|(option, letter)| {
        let (_, _, name, _) = option;
        (*name, rule(*letter), given_of(option))
    });
    let is_coupled = check_each(options)?;
    let half = |one, other| given.any(&[one, other]);
    let whole = |one, other| given.has(one) && given.has(other);
    let (src, dst) = (OptionKind::OrigSrc, OptionKind::OrigDst);
    let (reply_src, reply_dst) = (OptionKind::ReplySrc, OptionKind::ReplyDst);
    if !is_coupled || whole(src, dst) || whole(reply_src, reply_dst) {
        return Ok(());
    }
    Err(Fault::parameter(if half(reply_src, reply_dst) && !half(src, dst) {
        "you have to specify `--reply-src' and `--reply-dst'"
    } else {
        "you have to specify `--src' and `--dst'"
    }))
}

/// The same for the options of a protocol.
pub(super) fn check_protocol(
    protocol: u8,
    (verb, table): (Verb, TableKind),
    given: &Given,
) -> Result<(), Fault> {
    let column = match (verb, table) {
        (Verb::Create | Verb::Add, TableKind::Expect) => 4,
        (_, TableKind::Expect) => 5,
        (Verb::Create | Verb::Add, _) => 0,
        (Verb::Get, _) => 1,
        (Verb::Update, _) => 2,
        _ => 3,
    };
    let known = of_protocol(protocol);
    let has = |place: usize| given.of_protocol & (1 << place) != 0;
    let options = known.iter().enumerate().map(|(place, option)| {
        let letter = option.rules.get(column).copied().unwrap_or(b'.');
        (option.name, rule(letter), has(place))
    });
    let is_coupled = check_each(options)?;
    if !is_coupled || (has(0) && has(1)) || (has(2) && has(3)) {
        return Ok(());
    }
    let reply_only = (has(2) || has(3)) && !(has(0) || has(1));
    Err(Fault::parameter(match (protocol, reply_only) {
        (gre::PROTOCOL, false) => "you have to specify `--srckey' and `--dstkey'",
        (gre::PROTOCOL, true) => "you have to specify `--reply-src-key' and `--reply-dst-key'",
        (DCCP, true) => "you have to specify `--reply-port-src' and `--report-port-dst'",
        (_, false) => "you have to specify `--sport' and `--dport'",
        (_, true) => "you have to specify `--reply-src-port' and `--reply-dst-port'",
    }))
}

/// Whether some of the options are coupled.
fn check_each(options: impl Iterator<Item = (&'static str, Rule, bool)>) -> Result<bool, Fault> {
    let mut is_coupled = false;
    for (name, rule, given) in options {
        match (rule, given) {
            (Rule::Needed, false) => {
                let text = format!("You need to supply the `--{name}' option for this command");
                return Err(Fault::parameter(text));
            }
            (Rule::Illegal, true) => {
                let text = format!("Illegal option `--{name}' with this command");
                return Err(Fault::parameter(text));
            }
            _ => is_coupled |= rule == Rule::Coupled,
        }
    }
    Ok(is_coupled)
}
