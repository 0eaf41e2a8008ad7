//! `owner`: whose program made the packet (OUTPUT and POSTROUTING).
//!
//! A packet of no program (it is forwarded, the filter made it, or it is the kernel's own) fulfils
//! what is asked behind `!` and nothing else. The kernel's own packets have a socket all the same.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{Sender, Socket, State, Traversal};
use crate::explain::{Piece, Pieces, either};
use crate::extension::{
    Arguments, BOTH, Extension, Given, OptionSpec, flag, names, valued, values,
};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use keepstate_conntrack::Hook;

const UID: u8 = 0;
const GID: u8 = 1;
const SOCKET_EXISTS: u8 = 2;
const SUPPL_GROUPS: u8 = 3;
const OPTIONS: &[OptionSpec] = &[
    valued("uid-owner", UID).inverted(),
    valued("gid-owner", GID).inverted(),
    flag("socket-exists", SOCKET_EXISTS).inverted(),
    flag("suppl-groups", SUPPL_GROUPS),
];

const MANUAL: &str = "\
Asks whose program on this host made the packet. In OUTPUT and POSTROUTING only: nobody knows whose
program waits for a packet that comes in.

- `[!] --uid-owner USER`: a user by name or number, or a range of numbers, `1000-1999`.
- `[!] --gid-owner GROUP`: a group by name or number, or a range of numbers.
- `--suppl-groups`: behind `--gid-owner`; the further groups of the program count as well.
- `[!] --socket-exists`: the packet is a socket's, whosoever.

Forwarded packets, resets that the filter sends and connections that no program has accepted yet belong
to nobody, and ICMP errors to the kernel: they fulfil what is asked behind `!`, and nothing else.

    iptables -A OUTPUT -p tcp --dport 25 -m owner ! --uid-owner 101 -j REJECT

A capture does not tell whose a packet is. The host file declares sockets (`[[socket]]` with `uid`,
`gid`, `groups`); without them the answer is unknown and the packet is marked so. Of names only those
that every Debian system has are read: the numbers of others differ from machine to machine.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "owner",
    families: BOTH,
    tables: &[],
    hooks: &[Hook::Output, Hook::Postrouting],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// The largest number of a user or group; the one above it means none.
const ID_MAX: u64 = u32::MAX as u64 - 1;

/// The first and the last number of a range.
type Range = (u32, u32);

/// An instance.
#[derive(Debug)]
pub struct Owner {
    uid: Option<Inverted<Range>>,
    gid: Option<Inverted<Range>>,
    /// `--socket-exists` is given; whether behind `!`.
    socket: Option<bool>,
    groups: bool,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    if arguments.option(UID).or(arguments.option(GID)).or(arguments.option(SOCKET_EXISTS)).is_none()
        && arguments.option(SUPPL_GROUPS).is_none()
    {
        let text = "`owner` needs `--uid-owner`, `--gid-owner` or `--socket-exists`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    }
    let place = |id| arguments.given.iter().position(|given| given.option.id == id);
    let groups = arguments.option(SUPPL_GROUPS);
    if let Some(given) = groups
        && place(GID).is_none_or(|gid| Some(gid) > place(SUPPL_GROUPS))
    {
        let text = "`--suppl-groups` needs `--gid-owner` before it";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, given.span, text));
        return None;
    }
    let (user, group) = (arguments.option(UID), arguments.option(GID));
    let mut read = |given: Option<&Given>, names, what| match given {
        None => Some(None),
        Some(given) => range(arguments, given, names, what)
            .map(|value| Some(Inverted { inverted: given.inverted, value })),
    };
    let uid = read(user, names::USERS, "user")?;
    let gid = read(group, names::GROUPS, "group")?;
    let socket = arguments.option(SOCKET_EXISTS).map(|given| given.inverted);
    Some(Box::new(Owner { uid, gid, socket, groups: groups.is_some() }))
}

fn range(
    arguments: &mut Arguments<'_>,
    given: &Given,
    names: &[(u32, &str)],
    what: &str,
) -> Option<Range> {
    let number = |text: &str| {
        let number = values::number(text, ID_MAX)?;
        u32::try_from(number).ok()
    };
    if let Some((id, _)) = names.iter().find(|(_, name)| *name == given.value) {
        return Some((*id, *id));
    }
    let found = match given.value.split_once('-') {
        None => number(&given.value).map(|id| (id, id)),
        Some((low, high)) => number(low).zip(number(high)),
    };
    match found {
        Some((low, high)) if low > high => {
            let text =
                format!("the range {low}-{high} begins above its end: the kernel refuses it");
            let fault = Diagnostic::new(code::KERNEL_REFUSES, given.value_span, text);
            arguments.fault(fault.help(format!("--{} {high}-{low}", given.option.name)));
            None
        }
        Some(range) => Some(range),
        None => {
            let text = format!("`{}` is no number of a {what}, and no known name", given.value);
            let fault = Diagnostic::new(code::BAD_VALUE, given.value_span, text);
            arguments.fault(fault.help(
                "numbers are the same on every machine, and iptables-save prints them: the name \
                 may be one of the machine that the rules are from",
            ));
            None
        }
    }
}

impl Owner {
    /// Of a packet that no program made, with a socket or without.
    fn of_nobody(&self, has_socket: bool) -> Answer {
        let socket = self.socket.is_none_or(|inverted| inverted != has_socket);
        let inverted = |wanted: Option<Inverted<Range>>| wanted.is_none_or(|one| one.inverted);
        (socket && inverted(self.uid) && inverted(self.gid)).into()
    }

    fn of_socket(&self, socket: &Socket) -> Answer {
        let exists: Answer = self.socket.is_none_or(|inverted| !inverted).into();
        let within = |(low, high): Range, id: u32| (low..=high).contains(&id);
        let uid = match (self.uid, socket.uid) {
            (None, _) => Answer::Yes,
            (Some(_), None) => Answer::Unknown,
            (Some(wanted), Some(uid)) => (within(wanted.value, uid) != wanted.inverted).into(),
        };
        let further =
            |wanted: Range| self.groups && socket.groups.iter().any(|id| within(wanted, *id));
        let gid = match (self.gid, socket.gid) {
            (None, _) => Answer::Yes,
            (Some(wanted), _) if further(wanted.value) => (!wanted.inverted).into(),
            (Some(_), None) => Answer::Unknown,
            (Some(wanted), Some(gid)) => (within(wanted.value, gid) != wanted.inverted).into(),
        };
        exists.and(uid).and(gid)
    }

    fn parts(&self) -> [(&'static str, Option<Inverted<Range>>); 2] {
        [("UID", self.uid), ("GID", self.gid)]
    }
}

impl Match for Owner {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        match traversal.host.sender(traversal.packet) {
            None => Answer::Unknown,
            // What belongs to nobody has no further groups, and `!` does not turn that.
            Some(Sender::Nobody) if self.groups => Answer::No,
            Some(Sender::Nobody) => self.of_nobody(false),
            Some(Sender::Kernel) => self.of_nobody(true),
            Some(Sender::Socket(socket)) => self.of_socket(socket),
        }
    }

    fn fact(&self) -> &'static str {
        "the program that sent the packet ([[socket]] with `uid` and `gid`)"
    }

    fn print(&self, out: &mut String) {
        if let Some(inverted) = self.socket {
            values::print_option(out, inverted, "socket-exists");
        }
        for (name, wanted) in [("uid-owner", self.uid), ("gid-owner", self.gid)] {
            if let Some(wanted) = wanted {
                values::print_option(out, wanted.inverted, name);
                print_range(out, wanted.value);
            }
        }
        out.push_str(if self.groups { " --suppl-groups" } else { "" });
    }

    fn list(&self, out: &mut String, numeric: bool) {
        if let Some(inverted) = self.socket {
            out.push_str(either(inverted, " owner socket exists", " ! owner socket exists"));
        }
        for (kind, wanted) in self.parts() {
            let Some(wanted) = wanted else { continue };
            let not = either(wanted.inverted, "", " !");
            let _ = write!(out, "{not} owner {kind} match");
            match name_of(kind, wanted.value).filter(|_| !numeric) {
                Some(name) => {
                    out.push(' ');
                    out.push_str(name);
                }
                None => print_range(out, wanted.value),
            }
        }
        out.push_str(if self.groups { " incl. suppl. groups" } else { "" });
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        if let Some(inverted) = self.socket {
            let some = either(inverted, "a socket", "no socket");
            out.push(Piece::Condition(format!("{some} of this host sent it")));
        }
        for (kind, wanted) in self.parts() {
            let Some(wanted) = wanted else { continue };
            let whose = if kind == "UID" { "user" } else { "group" };
            let (low, high) = wanted.value;
            let id = match name_of(kind, wanted.value) {
                Some(name) => format!("{whose} {low} ({name})"),
                None if low == high => format!("{whose} {low}"),
                None => format!("one of the {whose}s {low} to {high}"),
            };
            let verb = either(wanted.inverted, "belongs", "does not belong");
            let further = if kind == "GID" && self.groups {
                ", or has it as one of its further groups"
            } else {
                ""
            };
            out.push(Piece::Condition(format!("the program that sent it {verb} to {id}{further}")));
        }
        let inverted = self.parts().into_iter().filter_map(|(_, wanted)| wanted);
        if inverted.into_iter().all(|wanted| wanted.inverted) && self.socket != Some(false) {
            out.push(Piece::Note(
                "Packets of no program (forwarded ones, resets and errors that the kernel sends) \
                 match as well."
                    .into(),
            ));
        }
    }
}

fn print_range(out: &mut String, (low, high): Range) {
    let _ = if low == high { write!(out, " {low}") } else { write!(out, " {low}-{high}") };
}

fn name_of(kind: &str, (low, high): Range) -> Option<&'static str> {
    let names = if kind == "UID" { names::USERS } else { names::GROUPS };
    names.iter().find(|(id, _)| *id == low && low == high).map(|(_, name)| *name)
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
        for (given, saved, numeric, list) in [
            ("--uid-owner root", "--uid-owner 0", "owner UID match 0", "owner UID match root"),
            ("--uid-owner 010", "--uid-owner 8", "owner UID match 8", "owner UID match mail"),
            ("--uid-owner 5-5", "--uid-owner 5", "owner UID match 5", "owner UID match games"),
            ("--uid-owner 0-4294967294", "=", "owner UID match 0-4294967294", "="),
            (
                "--gid-owner nogroup",
                "--gid-owner 65534",
                "owner GID match 65534",
                "owner GID match nogroup",
            ),
            (
                "! --gid-owner 3 --suppl-groups",
                "=",
                "! owner GID match 3 incl. suppl. groups",
                "! owner GID match sys incl. suppl. groups",
            ),
            ("! --socket-exists", "=", "! owner socket exists", "="),
            (
                "--gid-owner 4-6 ! --uid-owner 12345 --socket-exists",
                "--socket-exists ! --uid-owner 12345 --gid-owner 4-6",
                "owner socket exists ! owner UID match 12345 owner GID match 4-6",
                "=",
            ),
        ] {
            let found = forms("filter", "OUTPUT", &format!("-m owner {given}"), Family::V4);
            let saved = if saved == "=" { given } else { saved };
            let list = if list == "=" { numeric } else { list };
            assert_eq!(found, (format!("-m owner {saved}"), numeric.into(), list.into()));
        }
        for rule in [
            "",
            "--suppl-groups",
            "--suppl-groups --gid-owner 1",
            "--uid-owner 10-0",
            "--uid-owner 1-",
            "--uid-owner nosuch",
            "--uid-owner 4294967295",
            "--uid-owner -1",
            "--uid-owner 1-5x",
            "--uid-owner 1 --uid-owner 2",
            "--suppl-groups --uid-owner 1",
        ] {
            assert!(refused("filter", "OUTPUT", &format!("-m owner {rule}"), Family::V4), "{rule}");
        }
        for (table, chain) in [("filter", "INPUT"), ("filter", "FORWARD"), ("raw", "PREROUTING")] {
            assert!(refused(table, chain, "-m owner --uid-owner 1", Family::V6), "{table} {chain}");
        }
    }

    #[test]
    fn whose_packet_it_is_decides() {
        let of = |uid, gid, groups: &[u32]| {
            Whose::Socket(Socket { uid, gid, groups: groups.to_vec(), ..Socket::default() })
        };
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        let alice = of(Some(1000), Some(100), &[4, 27]);
        for (rule, whose, wanted) in [
            ("--uid-owner 1000", &alice, Some(true)),
            ("--uid-owner 1001", &alice, Some(false)),
            ("! --uid-owner 1001-2000", &alice, Some(true)),
            ("--uid-owner 999-1000 --gid-owner 27", &alice, Some(false)),
            ("--uid-owner 999-1000 --gid-owner 27 --suppl-groups", &alice, Some(true)),
            ("! --gid-owner 27 --suppl-groups", &alice, Some(false)),
            ("! --gid-owner 28 --suppl-groups", &alice, Some(true)),
            ("--socket-exists", &alice, Some(true)),
            ("! --socket-exists", &alice, Some(false)),
            ("--uid-owner 0", &of(None, Some(5), &[]), None),
            ("--uid-owner 0 --gid-owner 4", &of(None, Some(5), &[]), Some(false)),
            ("--socket-exists", &of(None, None, &[]), Some(true)),
            ("--uid-owner 0", &Whose::Nobody, Some(false)),
            ("! --uid-owner 0", &Whose::Nobody, Some(true)),
            ("! --uid-owner 0 --gid-owner 0", &Whose::Nobody, Some(false)),
            ("! --gid-owner 0 --suppl-groups", &Whose::Nobody, Some(false)),
            ("! --gid-owner 0 --suppl-groups", &Whose::Kernel, Some(true)),
            ("! --socket-exists", &Whose::Nobody, Some(true)),
            ("--socket-exists", &Whose::Nobody, Some(false)),
            ("--socket-exists", &Whose::Kernel, Some(true)),
            ("--socket-exists ! --uid-owner 0", &Whose::Kernel, Some(true)),
            ("--socket-exists --uid-owner 0", &Whose::Kernel, Some(false)),
            ("! --socket-exists", &Whose::Kernel, Some(false)),
            ("--uid-owner 0", &Whose::Unknown, None),
        ] {
            let known = Known { sender: whose.clone(), ..Known::default() };
            let found = matched(Hook::Output, &format!("-m owner {rule}"), &packet, &known);
            assert_eq!(found, wanted, "{rule} {whose:?}");
        }
    }
}
