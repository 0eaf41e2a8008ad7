//! `REJECT`: drops the packet and tells its sender.

use crate::effect::Effect;
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued};
use crate::model::TableName;
use crate::targets::Target;
use crate::verdict::{RejectWith, Step, Verdict};
use alloc::{boxed::Box, format, string::String};
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

const WITH: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("reject-with", WITH)];

const MANUAL: &str = "\
Drops the packet and tells its sender. In INPUT, FORWARD and OUTPUT of the table filter.

- `--reject-with ANSWER`: `icmp-port-unreachable` (so it is if nothing is said), `icmp-net-unreachable`,
  `icmp-host-unreachable`, `icmp-proto-unreachable`, `icmp-net-prohibited`, `icmp-host-prohibited`,
  `icmp-admin-prohibited`; with IPv6 `icmp6-port-unreachable` (so it is if nothing is said),
  `icmp6-no-route`, `icmp6-adm-prohibited`, `icmp6-addr-unreachable`, `icmp6-policy-fail`,
  `icmp6-reject-route`; with `-p tcp` for both `tcp-reset`.

    iptables -A INPUT -p tcp --dport 113 -j REJECT --reject-with tcp-reset

Mind: a beginning of the word will do, and the first that fits is taken. ICMP errors, later fragments
and broadcasts are not answered. Answers to forged sources go to whoever was named: `DROP` is quieter.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "REJECT",
    families: BOTH,
    tables: &[TableName::Filter],
    hooks: &[Hook::Input, Hook::Forward, Hook::Output],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// A name, a shorter one, and the answer.
type Name = (&'static str, &'static str, RejectWith);

const IPV4: &[Name] = &[
    ("icmp-net-unreachable", "net-unreach", RejectWith::Icmp(0)),
    ("icmp-host-unreachable", "host-unreach", RejectWith::Icmp(1)),
    ("icmp-proto-unreachable", "proto-unreach", RejectWith::Icmp(2)),
    ("icmp-port-unreachable", "port-unreach", RejectWith::Icmp(3)),
    ("icmp-net-prohibited", "net-prohib", RejectWith::Icmp(9)),
    ("icmp-host-prohibited", "host-prohib", RejectWith::Icmp(10)),
    ("tcp-reset", "tcp-rst", RejectWith::TcpReset),
    ("icmp-admin-prohibited", "admin-prohib", RejectWith::Icmp(13)),
];

const IPV6: &[Name] = &[
    ("icmp6-no-route", "no-route", RejectWith::Icmpv6(0)),
    ("icmp6-adm-prohibited", "adm-prohibited", RejectWith::Icmpv6(1)),
    ("icmp6-addr-unreachable", "addr-unreach", RejectWith::Icmpv6(3)),
    ("icmp6-port-unreachable", "port-unreach", RejectWith::Icmpv6(4)),
    ("tcp-reset", "tcp-reset", RejectWith::TcpReset),
    ("icmp6-policy-fail", "policy-fail", RejectWith::Icmpv6(5)),
    ("icmp6-reject-route", "reject-route", RejectWith::Icmpv6(6)),
];

const fn names(family: Family) -> &'static [Name] {
    match family {
        Family::V4 => IPV4,
        Family::V6 => IPV6,
    }
}

/// An instance.
#[derive(Debug)]
pub struct Reject {
    /// The answer.
    pub with: RejectWith,
    family: Family,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let family = arguments.family;
    let default = match family {
        Family::V4 => RejectWith::Icmp(3),
        Family::V6 => RejectWith::Icmpv6(4),
    };
    let with = match arguments.option(WITH) {
        None => default,
        Some(given) => {
            let word = given.value.to_ascii_lowercase();
            let found = names(family).iter().find(|(long, short, _)| {
                !word.is_empty() && (long.starts_with(&word) || short.starts_with(&word))
            });
            let Some((_, _, with)) = found else {
                let all = names(family).iter().map(|(long, ..)| *long);
                arguments.unknown_word(&given.value, given.value_span, "an answer of REJECT", all);
                return None;
            };
            *with
        }
    };
    if with == RejectWith::TcpReset {
        arguments.needs_protocol(&[(6, "tcp")])?;
    }
    Some(Box::new(Reject { with, family }))
}

impl Reject {
    fn answer(&self) -> &'static str {
        names(self.family)
            .iter()
            .find(|(.., with)| *with == self.with)
            .map_or("", |(name, ..)| name)
    }
}

impl Target for Reject {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, _: &mut Traversal<'_>, _: &mut State) -> Step {
        Step::Verdict(Verdict::Reject(self.with))
    }

    fn effect(&self) -> Effect {
        Effect::verdict(Verdict::Reject(self.with))
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --reject-with ");
        out.push_str(self.answer());
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" reject-with ");
        out.push_str(self.answer());
    }

    fn explain(&self, out: &mut Pieces) {
        let answer = self.answer();
        out.push(Piece::Effect(match self.with {
            RejectWith::TcpReset => "drops it and answers with a TCP reset".into(),
            RejectWith::Icmp(code) => {
                format!("drops it and answers with ICMP type 3, code {code} ({answer})")
            }
            RejectWith::Icmpv6(code) => {
                format!("drops it and answers with ICMPv6 type 1, code {code} ({answer})")
            }
            RejectWith::Icmpv6HeaderField(_) => "drops it and answers with ICMPv6 type 4".into(),
        }));
        out.push(Piece::Note(match self.with {
            RejectWith::TcpReset => {
                "The sender sees \"connection refused\" at once, as if nothing listened there. A reset \
                 is never answered by a reset."
                    .into()
            }
            RejectWith::Icmp(_) | RejectWith::Icmpv6(_) | RejectWith::Icmpv6HeaderField(_) => {
                "The sender fails at once instead of waiting. ICMP errors are never answered with \
                 another one."
                    .into()
            }
        }));
    }
}
