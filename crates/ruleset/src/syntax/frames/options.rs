//! The options of the rule itself: short form, which, long form.

use crate::extension::{OptionSpec, flag, valued};
use crate::model::NfProto;
use crate::syntax::iptables_save::options::Main;

/// An option of the rule.
pub type Entry = (char, Main, OptionSpec);

const fn hard(short: char, main: Main, name: &'static str) -> Entry {
    (short, main, valued(name, main as u8))
}

const fn tested(short: char, main: Main, name: &'static str) -> Entry {
    (short, main, valued(name, main as u8).inverted())
}

const fn plain(short: char, main: Main, name: &'static str) -> Entry {
    (short, main, flag(name, main as u8))
}

/// Those of arptables(8).
const ARP: &[Entry] = &[
    hard('A', Main::Append, "append"),
    hard('D', Main::Delete, "delete"),
    hard('C', Main::Check, "check"),
    hard('I', Main::Insert, "insert"),
    hard('R', Main::Replace, "replace"),
    plain('L', Main::List, "list"),
    plain('S', Main::ListRules, "list-rules"),
    plain('F', Main::Flush, "flush"),
    plain('Z', Main::Zero, "zero"),
    hard('N', Main::NewChain, "new-chain"),
    plain('X', Main::DeleteChain, "delete-chain"),
    ('E', Main::RenameChain, valued("rename-chain", Main::RenameChain as u8).pair()),
    ('P', Main::Policy, valued("policy", Main::Policy as u8).pair()),
    plain('h', Main::Help, "help"),
    plain('V', Main::Version, "version"),
    tested('s', Main::Source, "source-ip"),
    tested('\0', Main::Source, "src-ip"),
    tested('d', Main::Destination, "destination-ip"),
    tested('\0', Main::Destination, "dst-ip"),
    tested('\0', Main::SourceMac, "source-mac"),
    tested('\0', Main::SourceMac, "src-mac"),
    tested('\0', Main::DestinationMac, "destination-mac"),
    tested('\0', Main::DestinationMac, "dst-mac"),
    tested('l', Main::HLength, "h-length"),
    tested('p', Main::Protocol, "protocol"),
    tested('\0', Main::Opcode, "opcode"),
    tested('\0', Main::HType, "h-type"),
    tested('\0', Main::ProtoType, "proto-type"),
    tested('i', Main::InInterface, "in-interface"),
    tested('o', Main::OutInterface, "out-interface"),
    hard('j', Main::Jump, "jump"),
    hard('t', Main::Table, "table"),
    ('c', Main::SetCounters, valued("set-counters", Main::SetCounters as u8).pair()),
    plain('n', Main::Numeric, "numeric"),
    plain('v', Main::Verbose, "verbose"),
    plain('x', Main::Exact, "exact"),
    plain('\0', Main::LineNumbers, "line-numbers"),
    hard('M', Main::Modprobe, "modprobe"),
];

/// Those of ebtables(8).
const BRIDGE: &[Entry] = &[
    hard('A', Main::Append, "append"),
    hard('D', Main::Delete, "delete"),
    hard('C', Main::ChangeCounters, "change-counters"),
    hard('\0', Main::Check, "check"),
    hard('I', Main::Insert, "insert"),
    plain('L', Main::List, "list"),
    plain('F', Main::Flush, "flush"),
    plain('Z', Main::Zero, "zero"),
    hard('N', Main::NewChain, "new-chain"),
    plain('X', Main::DeleteChain, "delete-chain"),
    hard('E', Main::RenameChain, "rename-chain"),
    hard('P', Main::Policy, "policy"),
    plain('\0', Main::InitTable, "init-table"),
    plain('h', Main::Help, "help"),
    plain('V', Main::Version, "version"),
    tested('p', Main::Protocol, "protocol"),
    tested('\0', Main::Protocol, "proto"),
    tested('s', Main::Source, "source"),
    tested('\0', Main::Source, "src"),
    tested('d', Main::Destination, "destination"),
    tested('\0', Main::Destination, "dst"),
    tested('i', Main::InInterface, "in-interface"),
    tested('\0', Main::InInterface, "in-if"),
    tested('o', Main::OutInterface, "out-interface"),
    tested('\0', Main::OutInterface, "out-if"),
    tested('\0', Main::LogicalIn, "logical-in"),
    tested('\0', Main::LogicalOut, "logical-out"),
    hard('j', Main::Jump, "jump"),
    hard('t', Main::Table, "table"),
    hard('c', Main::SetCounters, "set-counters"),
    plain('v', Main::Verbose, "verbose"),
    hard('M', Main::Modprobe, "modprobe"),
    plain('\0', Main::Concurrent, "concurrent"),
    plain('\0', Main::LineNumbers, "Ln"),
    plain('\0', Main::ListCounters, "Lc"),
    plain('\0', Main::ListCommands, "Lx"),
    plain('\0', Main::ListMac2, "Lmac2"),
];

/// The options of the rule itself, and the commands.
#[must_use]
pub const fn of(family: NfProto) -> &'static [Entry] {
    match family {
        NfProto::Bridge => BRIDGE,
        _ => ARP,
    }
}
