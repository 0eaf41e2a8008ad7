//! `SYNPROXY`: answers a SYN in place of the server, and opens the connection to it only once the client has
//! shown, by sending back a cookie, that it is there (RFC 4987, 3.6 is the idea).
//!
//! Here it says which packets it takes out of the walk: a SYN, the ACK that should bring the cookie, and any
//! segment that is cut or has a wrong checksum. What is sent for them is the engine's part; the two sides of
//! the connection count differently from then on ([`keepstate_conntrack::seqadj`]). The kernel refuses a rule that is
//! not for TCP.

pub mod cookies;

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag, valued};
use crate::needs::Needs;
use crate::targets::Target;
use crate::verdict::{Announced, Step, Verdict};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::checksum::{self, Verified};
use keepstate_packet::{L4, tcp};

const SACK: u8 = 0;
const TIMESTAMP: u8 = 1;
const WSCALE: u8 = 2;
const MSS: u8 = 3;
const ECN: u8 = 4;
const OPTIONS: &[OptionSpec] = &[
    flag("sack-perm", SACK),
    flag("timestamp", TIMESTAMP),
    valued("wscale", WSCALE),
    valued("mss", MSS),
    flag("ecn", ECN),
];

const MANUAL: &str = "\
# SYNPROXY

Answers the SYN of a client in place of the server, with a cookie for a sequence number, and opens the
connection to the server once the client has sent the cookie back: a flood of SYNs from forged addresses does
not reach it, and leaves no connections in the table. The options say what the server would announce; let them
be what it does announce (watch one of its SYN/ACKs).

`--mss SIZE`
: Its maximum segment size in bytes.

`--wscale SHIFT`
: Its window scale, 0 to 14 (RFC 7323); iptables takes any number and keeps its lowest 8 bits, 16 of a size.

`--sack-perm`
: It takes selective acknowledgements.

`--timestamp`
: It takes timestamps; without them, the options of the client cannot be kept in the cookie.

`--ecn`
: It takes explicit congestion notification.

The SYN must not be tracked, and an ACK out of nowhere must be INVALID (`nf_conntrack_tcp_loose` 0):

    -t raw -A PREROUTING -p tcp --dport 80 --syn -j CT --notrack
    -A FORWARD -p tcp --dport 80 -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460
    -A FORWARD -m conntrack --ctstate INVALID -j DROP

It needs `-p tcp` and stands in INPUT or FORWARD. Sequence numbers, and timestamps where there are any, are
translated in all packets of the connection from then on.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "SYNPROXY",
    families: BOTH,
    tables: &[],
    hooks: &[Hook::Input, Hook::Forward],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct Synproxy(pub Announced);

/// Values of more bits than the kernel keeps are cut, as iptables does it.
fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let has = |id| arguments.option(id).is_some();
    let (sack_permitted, timestamp, ecn) = (has(SACK), has(TIMESTAMP), has(ECN));
    let mut announced = Announced::default().with(sack_permitted, timestamp, ecn);
    if let Some(given) = arguments.option(WSCALE) {
        announced = announced.with_window_scale((arguments.number32(given)? & 0xff) as u8);
    }
    if let Some(given) = arguments.option(MSS) {
        announced = announced.with_mss((arguments.number32(given)? & 0xffff) as u16);
    }
    arguments.needs_protocol(&[(tcp::PROTOCOL, "tcp")])?;
    Some(Box::new(Synproxy(announced)))
}

impl Synproxy {
    /// Its options, each by `dashes` and its name.
    fn write(&self, out: &mut String, dashes: &str) {
        let mut flag = |given: bool, name: &str| {
            if given {
                let _ = write!(out, " {dashes}{name}");
            }
        };
        flag(self.0.sack_permitted(), "sack-perm");
        flag(self.0.timestamp(), "timestamp");
        if let Some(scale) = self.0.window_scale() {
            let _ = write!(out, " {dashes}wscale {scale}");
        }
        if let Some(mss) = self.0.mss() {
            let _ = write!(out, " {dashes}mss {mss}");
        }
        if self.0.ecn() {
            let _ = write!(out, " {dashes}ecn");
        }
    }
}

impl Target for Synproxy {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        const OPENING: u8 = tcp::FIN | tcp::SYN | tcp::RST | tcp::ACK;
        let (packet, bytes) = (&*traversal.packet, &*traversal.bytes);
        let L4::Tcp(header) = &packet.l4 else { return Step::Verdict(Verdict::Drop) };
        let length = usize::from(header.header_length);
        let whole = tcp::HEADER_LENGTH_MIN <= length && length <= packet.l4_bytes(bytes).len();
        traversal.verified =
            traversal.verified || checksum::verify(packet, bytes) == Verified::Valid;
        if !whole || !traversal.verified {
            return Step::Verdict(Verdict::Drop);
        }
        match header.flags & OPENING {
            tcp::SYN | tcp::ACK => Step::Verdict(Verdict::Synproxy(self.0)),
            _ => Step::Continue,
        }
    }

    fn need(&self, needs: &mut Needs) {
        needs.tracking = true;
    }

    fn effect(&self) -> Effect {
        let steps = [Step::Verdict(Verdict::Synproxy(self.0)), Step::Continue];
        Effect { steps: Vec::from(steps), writes: Vec::new() }
    }

    fn print(&self, out: &mut String) {
        self.write(out, "--");
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" SYNPROXY");
        self.write(out, "");
        out.push(' ');
    }

    fn explain(&self, out: &mut Pieces) {
        let announced = [
            self.0.mss().map(|mss| format!("a maximum segment size of {mss}")),
            self.0.window_scale().map(|scale| format!("a window scale of {scale}")),
            self.0.sack_permitted().then(|| String::from("selective acknowledgements")),
            self.0.timestamp().then(|| String::from("timestamps")),
            self.0.ecn().then(|| String::from("congestion notification")),
        ];
        let announced: Vec<String> = announced.into_iter().flatten().collect();
        let announcing = match announced.as_slice() {
            [] => String::new(),
            announced => format!(", announcing {}", announced.join(", ")),
        };
        out.push(Piece::Effect(format!(
            "answers a SYN in place of the server{announcing}, and opens the connection to the server \
             once the client has shown that it is there; anything but a SYN or the ACK after it goes on \
             with the next rule"
        )));
        out.push(Piece::Note(
            "The SYN has to come untracked (-t raw -A PREROUTING ... --syn -j CT --notrack) and the ACK \
             INVALID (sysctl nf_conntrack_tcp_loose=0): the rule is used with -m conntrack --ctstate \
             INVALID,UNTRACKED, and one that drops INVALID follows."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, send};
    use crate::verdict::{Announced, Verdict};
    use alloc::vec::Vec;
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family::{V4, V6};

    #[test]
    fn texts() {
        let rows = &[
            ("-p tcp -j SYNPROXY", "=", " SYNPROXY ", "="),
            (
                "-p tcp -j SYNPROXY --ecn --mss 1460 --wscale 7 --timestamp --sack-perm",
                "-p tcp -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460 --ecn",
                " SYNPROXY sack-perm timestamp wscale 7 mss 1460 ecn ",
                "=",
            ),
            ("-p tcp -j SYNPROXY --mss 0", "=", " SYNPROXY mss 0 ", "="),
            (
                "-p 6 -j SYNPROXY --mss 70000",
                "-p tcp -j SYNPROXY --mss 4464",
                " SYNPROXY mss 4464 ",
                "=",
            ),
            (
                "-p tcp -j SYNPROXY --wscale 256",
                "-p tcp -j SYNPROXY --wscale 0",
                " SYNPROXY wscale 0 ",
                "=",
            ),
            ("-p tcp -j SYNPROXY --wscale 4294967296", "", "", ""),
            ("-p tcp -j SYNPROXY --wscale -1", "", "", ""),
            ("-p tcp -j SYNPROXY --mss 10x", "", "", ""),
            ("-p tcp -j SYNPROXY --mss 1 --mss 2", "", "", ""),
            ("-j SYNPROXY --mss 1460", "", "", ""),
            ("! -p tcp -j SYNPROXY --mss 1460", "", "", ""),
            ("-p udp -j SYNPROXY --mss 1460", "", "", ""),
        ];
        check(V4, "filter", "FORWARD", rows);
        check(V6, "mangle", "INPUT", rows);
        check(V4, "filter", "OUTPUT", &[("-p tcp -j SYNPROXY --mss 1460", "", "", "")]);
        check(V4, "raw", "PREROUTING", &[("-p tcp -j SYNPROXY --mss 1460", "", "", "")]);
    }

    fn segment(flags: u8) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            [0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2].into();
        bytes.extend([0, 1, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 1, 0, 0, 0, 0, 0]);
        // Pseudo-header and segment of zeros but for the flags.
        let sum =
            2 * 0x0a00 + 1 + 2 + 6 + 20 + 1 + 80 + 1 + 2 + 0x0100 + (0x5000 | u16::from(flags));
        bytes[36..38].copy_from_slice(&(!sum).to_be_bytes());
        bytes
    }

    #[test]
    fn a_segment_with_a_wrong_checksum_is_dropped() {
        let mut bytes = segment(0x11);
        bytes[36] ^= 1;
        let after = send("filter", Hook::Forward, "-p tcp -j SYNPROXY", &bytes);
        assert_eq!(after.verdict, Verdict::Drop);
    }

    #[test]
    fn a_segment_without_a_whole_header_is_dropped() {
        for offset in [0x40, 0x60] {
            let mut bytes = segment(0x04);
            bytes[32] = offset;
            let sum = u16::from_be_bytes([bytes[36], bytes[37]]);
            let sum = sum.wrapping_add(0x5000).wrapping_sub(u16::from(offset) << 8);
            bytes[36..38].copy_from_slice(&sum.to_be_bytes());
            let after = send("filter", Hook::Forward, "-p tcp -j SYNPROXY", &bytes);
            assert_eq!(after.verdict, Verdict::Drop, "{offset:#x}");
        }
    }

    #[test]
    fn what_opens_a_connection_ends_here() {
        let verdict = |flags: u8| {
            send("filter", Hook::Forward, "-p tcp -j SYNPROXY --mss 1460", &segment(flags)).verdict
        };
        for flags in [0x02, 0x10, 0x18, 0xc2] {
            let announced = Announced::default().with_mss(1460);
            assert_eq!(verdict(flags), Verdict::Synproxy(announced), "{flags:#x}");
        }
        for flags in [0x00, 0x03, 0x04, 0x11, 0x12, 0x14] {
            assert_eq!(verdict(flags), Verdict::Accept, "{flags:#x}");
        }
    }
}
