//! `cgroup`: the control group of the program whose packet it is.
//!
//! Without a socket the match says no, also behind `!`; the answer to a SYN has none. In INPUT only
//! connections of the host's own programs are known by then (early demultiplexing): a packet for a
//! socket that merely listens has none.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{Ends, Sender, Socket, State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::{L4, Parsed, tcp};

const PATH: u8 = 0;
const CLASS: u8 = 1;
const OPTIONS: &[OptionSpec] =
    &[valued("path", PATH).inverted(), valued("cgroup", CLASS).inverted()];

const MANUAL: &str = "\
Asks for the control group of the program that sent the packet (OUTPUT, POSTROUTING) or that it is for
(INPUT; there only of connections that are open already). One of

- `[!] --path PATH`: the group of version 2 that the socket was made in, or one below it. `PATH` is
  relative to the root of the hierarchy: `system.slice/ssh.service`. The kernel refuses one that is not
  there when the rules are loaded.
- `[!] --cgroup CLASS`: the number of `net_cls` (version 1), 32 bits.

A packet without a socket matches neither, nor their opposites behind `!`.

    iptables -A OUTPUT -p tcp --sport 80 -m cgroup ! --path system.slice/nginx.service -j DROP

A capture does not tell. The host file declares sockets (`[[socket]]` with `cgroup` or `classid`).
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "cgroup",
    families: BOTH,
    tables: &[],
    hooks: &[Hook::Input, Hook::Output, Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest path, bytes.
pub const PATH_MAX: usize = 511;

/// An instance.
#[derive(Debug)]
pub enum Cgroup {
    /// A group of version 2 and what is below it.
    Path(Inverted<String>),
    /// A class of version 1.
    Class(Inverted<u32>),
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    match (arguments.option(PATH), arguments.option(CLASS)) {
        (Some(_), Some(_)) => {
            arguments.exclusive(&[PATH, CLASS])?;
            None
        }
        (None, None) => {
            let text = "`cgroup` needs `--path` or `--cgroup`";
            arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
            None
        }
        (Some(given), None) if given.value.len() > PATH_MAX => {
            arguments.bad_value(given, &format!("a path of up to {PATH_MAX} bytes"));
            None
        }
        (Some(given), None) => {
            let value = given.value.clone();
            Some(Box::new(Cgroup::Path(Inverted { inverted: given.inverted, value })))
        }
        (None, Some(given)) => {
            let value = arguments.number32(given)?;
            Some(Box::new(Cgroup::Class(Inverted { inverted: given.inverted, value })))
        }
    }
}

/// Whether a group is another one or below it.
fn is_below(group: &str, wanted: &str) -> bool {
    let mut names = group.split('/').filter(|name| !name.is_empty());
    let mut wanted = wanted.split('/').filter(|name| !name.is_empty());
    wanted.all(|name| names.next() == Some(name))
}

impl Cgroup {
    fn of_socket(&self, socket: &Socket) -> Answer {
        match self {
            // Every group is below the root.
            Self::Path(wanted) if is_below("", &wanted.value) => (!wanted.inverted).into(),
            Self::Path(wanted) => socket.cgroup.as_ref().map_or(Answer::Unknown, |group| {
                (is_below(group, &wanted.value) != wanted.inverted).into()
            }),
            Self::Class(wanted) => socket.classid.map_or(Answer::Unknown, |class| {
                ((class == wanted.value) != wanted.inverted).into()
            }),
        }
    }
}

/// Whether it is the answer to a SYN: of a connection that no socket has yet.
fn is_half_open(packet: &Parsed) -> bool {
    const BOTH: u8 = tcp::SYN | tcp::ACK;
    matches!(packet.l4, L4::Tcp(header) if header.flags & BOTH == BOTH)
}

/// Whether it is an acknowledgement without data: the one that completes a handshake comes before the
/// connection has its socket.
fn may_complete_handshake(traversal: &Traversal<'_>) -> bool {
    let packet = &*traversal.packet;
    let L4::Tcp(header) = packet.l4 else { return false };
    let plain = header.flags & (tcp::ACK | tcp::SYN | tcp::FIN | tcp::RST) == tcp::ACK;
    plain && packet.length <= packet.l4_offset + u32::from(header.header_length)
}

impl Match for Cgroup {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = &*traversal.packet;
        if traversal.hook == Hook::Input {
            let Some(ends) = Ends::of_received(packet) else { return Answer::No };
            return match traversal.host.receiver(&ends) {
                None => Answer::Unknown,
                Some(None) => Answer::No,
                Some(Some(socket)) if socket.is_connected() => self.of_socket(socket),
                // One that listens: whether it has accepted this one, the table of connections knows.
                Some(Some(socket)) => match super::socket::is_accepted(traversal) {
                    Some(true) if !may_complete_handshake(traversal) => self.of_socket(socket),
                    Some(true) | None => Answer::Unknown,
                    Some(false) => Answer::No,
                },
            };
        }
        if is_half_open(packet) {
            return Answer::No;
        }
        match traversal.host.sender(packet) {
            None => Answer::Unknown,
            Some(Sender::Nobody) => Answer::No,
            // In whose group the kernel's sockets are hangs on who made the network namespace.
            Some(Sender::Kernel) => self.of_socket(&Socket::default()),
            Some(Sender::Socket(socket)) => self.of_socket(socket),
        }
    }

    fn fact(&self) -> &'static str {
        "the control group of the program ([[socket]] with `cgroup` or `classid`)"
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Path(wanted) => {
                values::print_option(out, wanted.inverted, "path");
                out.push(' ');
                values::print_word(out, &wanted.value);
            }
            Self::Class(wanted) => {
                values::print_option(out, wanted.inverted, "cgroup");
                let _ = write!(out, " {}", wanted.value);
            }
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        let _ = match self {
            Self::Path(Inverted { inverted, value }) => {
                write!(out, " cgroup {}{value}", either(*inverted, "", "! "))
            }
            Self::Class(Inverted { inverted, value }) => {
                write!(out, " cgroup {}{value}", either(*inverted, "", "! "))
            }
        };
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let text = match self {
            Self::Path(wanted) => format!(
                "it is of a socket whose program {} in the control group {}",
                either(wanted.inverted, "is", "is not"),
                if is_below("", &wanted.value) {
                    "/ (the root: every one is)"
                } else {
                    &wanted.value
                }
            ),
            Self::Class(wanted) => format!(
                "it is of a socket whose net_cls class {} {}",
                either(wanted.inverted, "is", "is not"),
                wanted.value
            ),
        };
        out.push(Piece::Condition(text));
        out.push(Piece::Note(
            "On the way in only packets of connections that are open already have a socket here: the \
             first packet to a program that listens never matches."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::Socket;
    use crate::evaluate::bench::{Known, Whose, forms, matched, refused, udp4};
    use alloc::format;
    use keepstate_conntrack::Hook;
    use keepstate_packet::Family;

    #[test]
    fn forms_and_refusals() {
        for (given, saved, list) in [
            ("--cgroup 0x10", "--cgroup 16", "cgroup 16"),
            ("! --cgroup 1", "! --cgroup 1", "cgroup ! 1"),
            ("--path /", "--path \"/\"", "cgroup /"),
            ("! --path a/b", "! --path \"a/b\"", "cgroup ! a/b"),
        ] {
            let found = forms("filter", "OUTPUT", &format!("-m cgroup {given}"), Family::V4);
            assert_eq!(found, (format!("-m cgroup {saved}"), list.into(), list.into()));
        }
        let long = format!("--path {}", "x".repeat(super::PATH_MAX + 1));
        assert!(!refused(
            "filter",
            "OUTPUT",
            &format!("-m cgroup {}", &long[..long.len() - 1]),
            Family::V4
        ));
        for rule in
            ["", "--cgroup 1 --path /", "--cgroup 4294967296", "--cgroup 1:2", long.as_str()]
        {
            assert!(
                refused("filter", "OUTPUT", &format!("-m cgroup {rule}"), Family::V4),
                "{rule}"
            );
        }
        assert!(refused("filter", "FORWARD", "-m cgroup --cgroup 1", Family::V4));
    }

    #[test]
    fn groups_hold_what_is_below_them() {
        let ssh = Whose::Socket(Socket {
            cgroup: Some("/system.slice/ssh.service".into()),
            classid: Some(7),
            ..Socket::default()
        });
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        for (rule, whose, wanted) in [
            ("--path system.slice", &ssh, Some(true)),
            ("--path /system.slice/ssh.service/", &ssh, Some(true)),
            ("--path system.slice/ssh", &ssh, Some(false)),
            ("! --path system.slice/ssh", &ssh, Some(true)),
            ("--path system.slice/ssh.service/x", &ssh, Some(false)),
            ("--path /", &ssh, Some(true)),
            ("--path /", &Whose::Kernel, Some(true)),
            ("--path a", &Whose::Kernel, None),
            ("--cgroup 7", &ssh, Some(true)),
            ("! --cgroup 7", &ssh, Some(false)),
            ("! --cgroup 7", &Whose::Nobody, Some(false)),
            ("! --path a", &Whose::Nobody, Some(false)),
            ("--cgroup 7", &Whose::Unknown, None),
        ] {
            let known = Known { sender: whose.clone(), ..Known::default() };
            let found = matched(Hook::Output, &format!("-m cgroup {rule}"), &packet, &known);
            assert_eq!(found, wanted, "{rule} {whose:?}");
        }
    }
}
