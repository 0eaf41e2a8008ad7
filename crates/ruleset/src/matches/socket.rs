//! `socket`: whether a program of this host has a socket open that the packet is for (PREROUTING and
//! INPUT; TCP, UDP and ICMP errors about them).
//!
//! A connection counts, and so does a socket bound to an address; one that listens at any address
//! counts with `--nowildcard` only. Of a program that listens, connections that it has accepted are
//! seen by the table of connections: they have had an answer.

use crate::evaluate::{Ends, State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, flag};
use crate::matches::Match;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use keepstate_conntrack::{CtState, CtStatus, Hook};
use keepstate_packet::{L4, tcp};

const TRANSPARENT: u8 = 0;
const NOWILDCARD: u8 = 1;
const RESTORE_SKMARK: u8 = 2;
const OPTIONS: &[OptionSpec] = &[
    flag("transparent", TRANSPARENT),
    flag("nowildcard", NOWILDCARD),
    flag("restore-skmark", RESTORE_SKMARK),
];

const MANUAL: &str = "\
Asks whether a program on this host has a socket open that the packet is for: a connection between
exactly these ends, or a socket that waits at the packet's destination. TCP and UDP, and ICMP errors
about such packets; in PREROUTING and INPUT only. It is made for transparent proxies.

- `--transparent`: the socket has `IP_TRANSPARENT` set; others are as if they were not there.
- `--nowildcard`: a socket that waits at any address (`*:80`) counts as well. Without, it does not, so
  that services of the host do not take what is to be forwarded.
- `--restore-skmark`: the packet gets the mark of the socket (`SO_MARK`), where the match says yes.

      iptables -t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1

A capture does not tell. The host file declares sockets (`[[socket]]` with `local`, `remote`,
`transparent`, `mark`); a connection that a listening program has accepted need not be declared. As long
as not `all_sockets = true` says that there are no others, the answer for a packet that none of them is
connected to is unknown.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "socket",
    families: BOTH,
    tables: &[],
    hooks: &[Hook::Prerouting, Hook::Input],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// An instance.
#[derive(Debug)]
pub struct SocketMatch {
    transparent: bool,
    nowildcard: bool,
    restore_mark: bool,
}

#[allow(clippy::unnecessary_wraps, reason = "parsers of extensions have this type")]
fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = |id| arguments.option(id).is_some();
    Some(Box::new(SocketMatch {
        transparent: given(TRANSPARENT),
        nowildcard: given(NOWILDCARD),
        restore_mark: given(RESTORE_SKMARK),
    }))
}

/// Whether the packet is of a connection that a listening socket has accepted, or is about to;
/// `None` where tracking has not looked at it.
pub(super) fn is_accepted(traversal: &Traversal<'_>) -> Option<bool> {
    match traversal.packet.l4 {
        L4::Tcp(header) if header.flags & (tcp::SYN | tcp::ACK) == tcp::SYN => Some(false),
        L4::Tcp(_) => {
            let tracked = traversal.tracked?;
            let known = !matches!(tracked.state, CtState::Invalid | CtState::Untracked);
            let status = traversal.conntrack.status(tracked.conn.filter(|_| known)?)?;
            Some(status.contains(CtStatus::SEEN_REPLY))
        }
        _ => Some(false),
    }
}

impl Match for SocketMatch {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let packet = &*traversal.packet;
        let ends = Ends::of_received(packet).or_else(|| Ends::of_error(packet, traversal.bytes));
        let Some(ends) = ends else { return Answer::No };
        let host = traversal.host;
        let socket = match host.receiver(&ends) {
            None => return Answer::Unknown,
            Some(None) => return Answer::No,
            Some(Some(socket)) => socket,
        };
        if self.transparent && !socket.is_transparent {
            return Answer::No;
        }
        let waits = !socket.is_connected() && socket.local.address.is_none();
        let is_wildcard = if waits && !self.nowildcard {
            match is_accepted(traversal) {
                Some(accepted) => !accepted,
                None => return Answer::Unknown,
            }
        } else {
            false
        };
        if self.restore_mark && !is_wildcard {
            traversal.mark = socket.mark;
        }
        (!is_wildcard).into()
    }

    fn fact(&self) -> &'static str {
        "the sockets that programs of the host have open ([[socket]])"
    }

    fn print(&self, out: &mut String) {
        for (given, name) in [
            (self.transparent, " --transparent"),
            (self.nowildcard, " --nowildcard"),
            (self.restore_mark, " --restore-skmark"),
        ] {
            out.push_str(if given { name } else { "" });
        }
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" socket");
        self.print(out);
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let kind = either(self.transparent, "a socket", "a transparent socket");
        let waiting = either(
            self.nowildcard,
            "connected, or waiting at exactly its destination address",
            "connected or waiting",
        );
        out.push(Piece::Condition(format!(
            "a program of this host has {kind} open that it is for ({waiting})"
        )));
        if self.restore_mark {
            out.push(Piece::Note(
                "Where it matches, the packet gets the mark of the socket.".into(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::bench::{Known, forms, matched, matched_and_marked, refused, udp4, udp6};
    use crate::evaluate::{End, Socket};
    use alloc::format;
    use keepstate_conntrack::Hook;
    use keepstate_packet::{Address, Family};

    #[test]
    fn forms_and_refusals() {
        for (given, saved, list) in [
            ("-m socket", "-m socket", "socket"),
            (
                "-m socket --restore-skmark --nowildcard --transparent",
                "-m socket --transparent --nowildcard --restore-skmark",
                "socket --transparent --nowildcard --restore-skmark",
            ),
        ] {
            let found = forms("mangle", "PREROUTING", given, Family::V6);
            assert_eq!(found, (saved.into(), list.into(), list.into()));
        }
        for (chain, rule) in [
            ("FORWARD", "-m socket"),
            ("OUTPUT", "-m socket"),
            ("INPUT", "-m socket ! --transparent"),
            ("INPUT", "-m socket --transparent --transparent"),
        ] {
            assert!(refused("filter", chain, rule, Family::V4), "{chain} {rule}");
        }
    }

    #[test]
    fn which_sockets_count() {
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 5000, 53);
        let here = Address::v4([192, 0, 2, 1]);
        let there =
            End { address: Some(Address::v4([10, 0, 0, 1])), port: Some(5000), family: None };
        let bound = |address| End { address, port: Some(53), family: None };
        let socket = |local, remote| Socket { protocol: 17, local, remote, ..Socket::default() };
        let anywhere = socket(bound(None), None);
        let specific = socket(bound(Some(here)), None);
        let connected = socket(bound(Some(here)), Some(there));
        let transparent = Socket { is_transparent: true, ..specific.clone() };
        for (rule, found, wanted) in [
            ("", &anywhere, false),
            ("--nowildcard", &anywhere, true),
            ("", &specific, true),
            ("", &connected, true),
            ("--transparent", &specific, false),
            ("--transparent", &transparent, true),
        ] {
            let known = Known { receiver: Some(Some(found.clone())), ..Known::default() };
            let answer = matched(Hook::Input, &format!("-m socket {rule}"), &packet, &known);
            assert_eq!(answer, Some(wanted), "{rule} {found:?}");
        }
        let none = Known { receiver: Some(None), ..Known::default() };
        assert_eq!(matched(Hook::Input, "-m socket", &packet, &none), Some(false));
        let unknown = Known::default();
        assert_eq!(matched(Hook::Input, "-m socket", &packet, &unknown), None);
        assert_eq!(matched(Hook::Input, "-m socket", &udp6(1, 2, 3, 4), &unknown), None);
        // Neither TCP nor UDP: no question.
        let mut other = packet.clone();
        other[9] = 47;
        assert_eq!(matched(Hook::Input, "-m socket", &other, &unknown), Some(false));
    }

    #[test]
    fn the_mark_of_the_socket_comes_back() {
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 5000, 53);
        let local = End { address: Some(Address::v4([192, 0, 2, 1])), ..End::default() };
        let socket = Socket { protocol: 17, local, mark: 9, ..Socket::default() };
        let known = Known { receiver: Some(Some(socket)), ..Known::default() };
        let asked = |rule| matched_and_marked(Hook::Input, rule, &packet, &known);
        assert_eq!(asked("-m socket --restore-skmark"), (Some(true), 9));
        assert_eq!(asked("-m socket"), (Some(true), 0));
        assert_eq!(asked("-m socket --restore-skmark --transparent"), (Some(false), 0));
    }
}
