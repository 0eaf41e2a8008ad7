//! `NFLOG`: a copy of the packet for programs that listen to a group (ulogd2, tcpdump on `nflog:GROUP`).
//! The packet goes on to the next rule.
//!
//! Read and printed as iptables-nft does it: it makes a native `log` of the rule, so that a prefix may be
//! 127 bytes long and `--nflog-range`, which has never done anything, is gone from what is saved. A store
//! of iptables-legacy keeps the range, and cuts the prefix at 63. A prefix is written in the message even when it is empty; a size of 0 leaves
//! out the packet itself.

use crate::diagnostic::{Diagnostic, code};
use crate::effect::Effect;
use crate::evaluate::{Logged, State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, Given, OptionSpec, valued, values};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::{Family, InterfaceName, LinkInfo};

const GROUP: u8 = 0;
const PREFIX: u8 = 1;
const RANGE: u8 = 2;
const SIZE: u8 = 3;
const THRESHOLD: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    valued("nflog-group", GROUP),
    valued("nflog-prefix", PREFIX),
    valued("nflog-range", RANGE),
    valued("nflog-size", SIZE),
    valued("nflog-threshold", THRESHOLD),
];

const MANUAL: &str = "\
# NFLOG

Hands a copy of the packet to the programs that listen to a group of netlink messages, such as ulogd2 or
`tcpdump -i nflog:GROUP`; the packet goes on with the next rule. Where nobody listens nothing is written.
`keepstate replay --nflog FILE` writes the messages to a capture of link type NFLOG.

`--nflog-group GROUP`
: The group, 0 (the default) to 65535.

`--nflog-prefix TEXT`
: A text that goes with each copy, up to 127 bytes; iptables-legacy cuts it at 63.

`--nflog-size BYTES`
: At most so many bytes of the packet, counted from its IP header. 0 leaves the packet out. Without the option
  all of it, up to 65535.

`--nflog-threshold PACKETS`
: So many copies are gathered before the listener is told, 0 to 65535. It changes when they arrive, and
  nothing else.

`--nflog-range BYTES`
: Has never had an effect. It is read, and gone when the rules are saved; `--nflog-size` is what was meant.

    -A INPUT -m conntrack --ctstate INVALID -j NFLOG --nflog-group 5 --nflog-prefix \"invalid \"
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "NFLOG",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest prefix in bytes; the rest is cut off.
pub const PREFIX_MAX: usize = 127;
/// The same of iptables-legacy.
const PREFIX_MAX_LEGACY: usize = 63;
/// Most bytes of a packet that a message holds.
pub const COPIED_MAX: usize = 65_535;

/// An instance.
#[derive(Debug)]
pub struct Nflog {
    /// Group of listeners.
    pub group: u16,
    /// Goes with each copy.
    pub prefix: String,
    /// Most bytes of the packet; `None`: all.
    pub size: Option<u32>,
    /// Copies that are gathered before the listener is told.
    pub threshold: u16,
    /// `--nflog-range`, which iptables-legacy alone keeps.
    pub range: Option<u32>,
}

/// What listeners are told of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Group of listeners.
    pub group: u16,
    /// The rule's prefix.
    pub prefix: String,
    /// Family of the packet.
    pub family: Family,
    /// Where the rule stands.
    pub hook: Hook,
    /// The packet's mark, 0 for none.
    pub mark: u32,
    /// Where the packet came in.
    pub in_interface: Option<InterfaceName>,
    /// Where it leaves.
    pub out_interface: Option<InterfaceName>,
    /// What the link layer says of it.
    pub link: LinkInfo,
    /// Its length in bytes.
    pub length: u32,
    /// The first bytes of the packet, at most [`COPIED_MAX`].
    pub bytes: Vec<u8>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let group = number16(arguments, GROUP)?;
    let threshold = number16(arguments, THRESHOLD)?;
    let range = match arguments.option(RANGE) {
        None => None,
        Some(given) => Some(arguments.number32(given)?),
    };
    if range.is_some() && arguments.option(SIZE).is_some() {
        return arguments.exclusive(&[RANGE, SIZE]).and(None);
    }
    let size = match arguments.option(SIZE) {
        None => None,
        Some(given) => Some(arguments.number32(given)?),
    };
    let prefix = match arguments.option(PREFIX) {
        None => String::new(),
        Some(given) if arguments.legacy => prefix(arguments, given, PREFIX_MAX_LEGACY)?,
        Some(given) => prefix(arguments, given, PREFIX_MAX)?,
    };
    let range = range.filter(|range| arguments.legacy && *range != 0);
    Some(Box::new(Nflog { group, prefix, size, threshold, range }))
}

/// A number of 16 bits, 0 where the option is not given.
fn number16(arguments: &mut Arguments<'_>, id: u8) -> Option<u16> {
    let Some(given) = arguments.option(id) else { return Some(0) };
    u16::try_from(arguments.number(given, u16::MAX.into())?).ok()
}

/// A prefix of a log: something, on one line, cut at so many bytes.
pub(super) fn prefix(arguments: &mut Arguments<'_>, given: &Given, max: usize) -> Option<String> {
    let wrong = match given.value.as_str() {
        "" => "a log prefix has at least one character",
        text if text.contains('\n') => "a log prefix has no line break",
        text => {
            let length = max.min(text.len());
            let end = (0..=length).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            return Some(text.get(..end).unwrap_or("").into());
        }
    };
    arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, wrong));
    None
}

impl Nflog {
    /// Its options, each by `dashes` and its name.
    fn write(&self, out: &mut String, dashes: &str) {
        if !self.prefix.is_empty() {
            let _ = write!(out, " {dashes}nflog-prefix ");
            values::print_word(out, &self.prefix);
        }
        let mut option = |name: &str, value: u32| {
            let _ = write!(out, " {dashes}nflog-{name} {value}");
        };
        if self.group != 0 {
            option("group", self.group.into());
        }
        if let Some(range) = self.range {
            option("range", range);
        }
        if let Some(size) = self.size {
            option("size", size);
        }
        if self.threshold != 0 {
            option("threshold", self.threshold.into());
        }
    }
}

impl Target for Nflog {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let whole = traversal.packet.packet(traversal.bytes);
        let most = self.size.map_or(COPIED_MAX, |size| COPIED_MAX.min(size as usize));
        let copied = whole.get(..most).unwrap_or(whole);
        traversal.log.push(Logged::Nflog(Box::new(Message {
            group: self.group,
            prefix: self.prefix.clone(),
            family: traversal.packet.family,
            hook: traversal.hook,
            mark: traversal.mark,
            in_interface: traversal.in_interface.copied(),
            out_interface: traversal.out_interface.copied(),
            link: traversal.link,
            length: traversal.packet.length,
            bytes: copied.into(),
        })));
        Step::Continue
    }

    fn effect(&self) -> Effect {
        Effect::none()
    }

    fn print(&self, out: &mut String) {
        self.write(out, "--");
    }

    fn list(&self, out: &mut String, _: bool) {
        self.write(out, "");
    }

    fn explain(&self, out: &mut Pieces) {
        let what = match self.size {
            None => String::from("a copy of it"),
            Some(0) => String::from("a note of it without its bytes"),
            Some(size) => format!("a copy of its first {size} bytes"),
        };
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!(" with the prefix \"{prefix}\""),
        };
        out.push(Piece::Effect(format!(
            "hands {what}{prefix} to the programs that listen to NFLOG group {}; the next rule is \
             looked at",
            self.group
        )));
        out.push(Piece::Note(
            "Where no program listens to the group (ulogd2, tcpdump -i nflog:GROUP), nothing is written \
             anywhere."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::{COPIED_MAX, Message};
    use crate::evaluate::Logged;
    use crate::testing::{check, send};
    use alloc::{format, vec, vec::Vec};
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family::{V4, V6};

    const LONG: &str = "1234567890123456789012345678901234567890123456789012345678901234567890\
        123456789012345678901234567890123456789012345678901234567";

    #[test]
    fn texts() {
        let rows = &[
            ("-j NFLOG", "=", "", "="),
            ("-j NFLOG --nflog-group 0 --nflog-threshold 0", "-j NFLOG", "", "="),
            (
                "-j NFLOG --nflog-threshold 5 --nflog-size 10 --nflog-group 65535 --nflog-prefix \"a b\"",
                "-j NFLOG --nflog-prefix \"a b\" --nflog-group 65535 --nflog-size 10 --nflog-threshold 5",
                " nflog-prefix \"a b\" nflog-group 65535 nflog-size 10 nflog-threshold 5",
                "=",
            ),
            ("-j NFLOG --nflog-group 0x10", "-j NFLOG --nflog-group 16", " nflog-group 16", "="),
            ("-j NFLOG --nflog-group 010", "-j NFLOG --nflog-group 8", " nflog-group 8", "="),
            ("-j NFLOG --nflog-size 0", "=", " nflog-size 0", "="),
            ("-j NFLOG --nflog-size 4294967295", "=", " nflog-size 4294967295", "="),
            ("-j NFLOG --nflog-range 4294967295", "-j NFLOG", "", "="),
            ("-j NFLOG --nflog-prefix \"q\\\"u\\\\o\"", "=", " nflog-prefix \"q\\\"u\\\\o\"", "="),
            ("-j NFLOG --nflog-group 65536", "", "", ""),
            ("-j NFLOG --nflog-group -1", "", "", ""),
            ("-j NFLOG --nflog-group abc", "", "", ""),
            ("-j NFLOG ! --nflog-group 1", "", "", ""),
            ("-j NFLOG --nflog-group 1 --nflog-group 2", "", "", ""),
            ("-j NFLOG --nflog-range 4294967296", "", "", ""),
            ("-j NFLOG --nflog-range 5 --nflog-size 10", "", "", ""),
            ("-j NFLOG --nflog-size -1", "", "", ""),
            ("-j NFLOG --nflog-size 4294967296", "", "", ""),
            ("-j NFLOG --nflog-threshold 65536", "", "", ""),
            ("-j NFLOG --nflog-prefix \"\"", "", "", ""),
        ];
        check(V4, "filter", "FORWARD", rows);
        check(V6, "raw", "OUTPUT", rows);
    }

    #[test]
    fn a_prefix_is_cut_at_127_bytes() {
        assert_eq!(LONG.len(), super::PREFIX_MAX);
        let saved = |text: &str| {
            crate::testing::saved(
                V4,
                "nat",
                "PREROUTING",
                &format!("-j NFLOG --nflog-prefix {text}"),
            )
        };
        let whole = Ok(format!("-j NFLOG --nflog-prefix {LONG}"));
        assert_eq!(saved(LONG), whole);
        assert_eq!(saved(&format!("{LONG}8")), whole);
        // No character is cut in two.
        let cut = saved(&format!("{}é", &LONG[1..]));
        assert_eq!(cut, Ok(format!("-j NFLOG --nflog-prefix {}", &LONG[1..])));
    }

    fn packet(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[..20]
            .copy_from_slice(&[0x45, 0, 0, 0, 0, 1, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        bytes
    }

    fn message(options: &str, bytes: &[u8]) -> Message {
        let after = send("filter", Hook::Forward, &format!("-j NFLOG {options}"), bytes);
        match <[Logged; 1]>::try_from(after.log).unwrap() {
            [Logged::Nflog(message)] => *message,
            [Logged::Line(line)] => panic!("{line:?}"),
        }
    }

    #[test]
    fn the_first_bytes_are_copied() {
        let bytes = packet(30);
        let whole = message("--nflog-group 7 --nflog-prefix \"p \"", &bytes);
        assert_eq!((whole.group, whole.prefix.as_str(), whole.hook), (7, "p ", Hook::Forward));
        assert_eq!(whole.in_interface.unwrap().as_str(), "eth0");
        assert_eq!(whole.out_interface.unwrap().as_str(), "eth1");
        assert_eq!((whole.length, &whole.bytes), (30, &bytes));
        assert_eq!(message("--nflog-size 21", &bytes).bytes, bytes[..21]);
        assert_eq!(message("--nflog-size 31", &bytes).bytes, bytes);
        assert_eq!(message("--nflog-size 0", &bytes).bytes, []);
        let longest = packet(COPIED_MAX);
        assert_eq!(message("--nflog-size 4294967295", &longest).bytes, longest);
    }
}
