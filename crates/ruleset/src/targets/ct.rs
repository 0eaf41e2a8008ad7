//! `CT`: what tracking is to do with the packet, decided before it sees it: nothing at all, a
//! helper, a zone, which events are told.

use super::notrack;
use crate::diagnostic::{Diagnostic, code, nearest};
use crate::effect::{Change, Effect};
use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{
    Arguments, BOTH, Extension, Given, OptionSpec, flag, names, valued, values,
};
use crate::model::TableName;
use crate::needs::{HelperUse, Needs, PolicyUse};
use crate::targets::Target;
use crate::verdict::Step;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::helpers::{HELPERS, Instance};
use keepstate_conntrack::policy::{NAME_MAX, Name};
use keepstate_conntrack::{Zone, table::Template};
use keepstate_packet::Family;

const NOTRACK: u8 = 0;
const HELPER: u8 = 1;
const TIMEOUT: u8 = 2;
const CTEVENTS: u8 = 3;
const EXPEVENTS: u8 = 4;
const ZONE: u8 = 5;
const ZONE_ORIG: u8 = 6;
const ZONE_REPLY: u8 = 7;
const OPTIONS: &[OptionSpec] = &[
    flag("notrack", NOTRACK),
    valued("helper", HELPER),
    valued("timeout", TIMEOUT),
    valued("ctevents", CTEVENTS),
    valued("expevents", EXPEVENTS),
    valued("zone", ZONE),
    valued("zone-orig", ZONE_ORIG),
    valued("zone-reply", ZONE_REPLY),
];

const MANUAL: &str = "\
What tracking is to do with the packet, decided before tracking sees it. In the table raw.

- `--notrack`: nothing: the packet is UNTRACKED.
- `--helper NAME`: the helper of this name watches the connection, if the packet begins one; needs the
  helper's protocol (`-p tcp` for `ftp`).
- `--timeout NAME`: the connection lives by the timeout policy of this name; needs `-p`.
- `--ctevents EVENT[,EVENT...]`: these events alone are told of the connection: `new`, `related`,
  `destroy`, `reply`, `assured`, `protoinfo`, `helper`, `mark`, `natseqinfo`, `secmark`.
- `--expevents new`: the same of what the connection expects.
- `--zone N|mark`: its connections are looked for in zone N, 0 to 65535, or in that which the packet's
  mark numbers. The same addresses and ports in another zone are another connection.
- `--zone-orig N|mark`: so it is for the original direction alone.
- `--zone-reply N|mark`: for the reply direction alone.

    iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp

Mind: of all CT and NOTRACK rules that a packet meets the first one decides. Helpers are never assigned
by themselves: without such a rule there is no RELATED data connection. A policy is made with `nfct add
timeout`; keepstate reads it from `--timeout-policy FILE`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Target>> = Extension {
    name: "CT",
    families: BOTH,
    tables: &[TableName::Raw],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Events in the order of their bits.
const EVENTS: [&str; 10] = [
    "new",
    "related",
    "destroy",
    "reply",
    "assured",
    "protoinfo",
    "helper",
    "mark",
    "natseqinfo",
    "secmark",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ZoneId {
    Number(u16),
    /// The packet's mark is the number.
    Mark,
}

/// An instance.
#[derive(Debug)]
pub struct Ct {
    notrack: bool,
    helper: Option<HelperUse>,
    timeout: Option<PolicyUse>,
    ctevents: u16,
    expevents: u16,
    zone: ZoneId,
    /// Bit 0 original, bit 1 reply; 0 and 3 are both.
    directions: u8,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let mut target = Ct {
        notrack: false,
        helper: None,
        timeout: None,
        ctevents: 0,
        expevents: 0,
        zone: ZoneId::Number(0),
        directions: 0,
    };
    for given in arguments.given {
        match given.option.id {
            NOTRACK => target.notrack = true,
            HELPER => target.helper = Some(helper(arguments, given)?),
            CTEVENTS => target.ctevents = events(arguments, given, &EVENTS)?,
            EXPEVENTS => target.expevents = events(arguments, given, &["new"])?,
            TIMEOUT => target.timeout = Some(policy(arguments, given)?),
            id => {
                target.zone = zone(arguments, given)?;
                target.directions |= match id {
                    ZONE_ORIG => 1,
                    ZONE_REPLY => 2,
                    _ => 3,
                };
            }
        }
    }
    Some(Box::new(target))
}

fn helper(arguments: &mut Arguments<'_>, given: &Given) -> Option<HelperUse> {
    let name = given.value.as_str();
    let of_name = || Instance::called(name).filter_map(Instance::helper);
    if of_name().next().is_none() {
        let text = format!("no helper is called `{name}`");
        let fault = Diagnostic::new(code::UNKNOWN_NAME, given.value_span, text);
        let near = nearest(name, HELPERS.iter().map(|helper| helper.name));
        arguments.fault(match near {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault,
        });
        return None;
    }
    let protocols: Vec<_> = of_name()
        .map(|helper| (helper.protocol, names::protocol_name(helper.protocol).unwrap_or("")))
        .collect();
    let protocol = arguments.needs_protocol(&protocols)?;
    let named = Instance::named(name, arguments.family, protocol);
    if named.is_none() {
        let family = match arguments.family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let text = format!("helper `{name}` does not read connections over {family}");
        arguments.fault(Diagnostic::new(code::BAD_VALUE, given.value_span, text));
    }
    named.map(|instance| HelperUse { instance, span: given.value_span })
}

fn policy(arguments: &mut Arguments<'_>, given: &Given) -> Option<PolicyUse> {
    let Some(name) = Name::new(&given.value).filter(|name| values::is_plain(name.as_str())) else {
        let what = format!("a name: 1 to {NAME_MAX} bytes, no blanks, no quotes");
        arguments.bad_value(given, &what);
        return None;
    };
    let Some(protocol) = arguments.protocol() else {
        let text = "`CT --timeout` needs a protocol: a policy is for the connections of one";
        let fault = Diagnostic::new(code::PROTOCOL_NEEDED, given.span, text);
        arguments.fault(fault.help("-p tcp"));
        return None;
    };
    Some(PolicyUse { name, protocol, span: given.value_span })
}

fn events(arguments: &mut Arguments<'_>, given: &Given, possible: &[&'static str]) -> Option<u16> {
    let mut bits = 0;
    for (word, span) in arguments.list(given) {
        let Some(at) = possible.iter().position(|name| *name == word) else {
            arguments.unknown_word(word, span, "an event", possible.iter().copied());
            return None;
        };
        bits |= 1 << at;
    }
    Some(bits)
}

fn zone(arguments: &mut Arguments<'_>, given: &Given) -> Option<ZoneId> {
    if given.value == "mark" {
        return Some(ZoneId::Mark);
    }
    let id = arguments.number(given, 65_535)?;
    u16::try_from(id).ok().map(ZoneId::Number)
}

fn event_names(bits: u16) -> Vec<&'static str> {
    let named = EVENTS.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
    named.map(|(_, name)| *name).collect()
}

/// How a helper comes by a name of its own.
fn explain_instance(instance: Instance, out: &mut Pieces) {
    if let (Some(parameter), Some(_)) = (instance.parameter(), instance.name().number) {
        out.push(Piece::Note(format!(
            "It does the same as the helper {}, under the name of an instance for another port: the \
             kernel has it where the module parameter {parameter} asks for it, else it refuses the \
             rule. The rule alone decides which connections it watches.",
            instance.name().base
        )));
    }
}

impl Ct {
    /// Its options, each behind a blank and `dashes`: rules and listings differ in these alone.
    fn words(&self, out: &mut String, dashes: &str) {
        if self.notrack {
            let _ = write!(out, " {dashes}notrack");
        }
        if let Some(used) = self.helper {
            let _ = write!(out, " {dashes}helper {}", used.instance.name());
        }
        if let Some(used) = &self.timeout {
            let _ = write!(out, " {dashes}timeout {}", used.name.as_str());
        }
        if self.ctevents != 0 {
            let _ = write!(out, " {dashes}ctevents {}", event_names(self.ctevents).join(","));
        }
        if self.expevents != 0 {
            let _ = write!(out, " {dashes}expevents {}", event_names(self.expevents).join(","));
        }
        let option = match self.directions {
            1 => "zone-orig",
            2 => "zone-reply",
            _ => "zone",
        };
        let _ = match self.zone {
            ZoneId::Number(0) => Ok(()),
            ZoneId::Number(id) => write!(out, " {dashes}{option} {id}"),
            ZoneId::Mark => write!(out, " {dashes}{option} mark"),
        };
    }
}

impl Target for Ct {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn act(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Step {
        let (id, zone_is_mark) = match self.zone {
            ZoneId::Number(id) => (id, false),
            ZoneId::Mark => (0, true),
        };
        let template = Template {
            notrack: self.notrack,
            zone: Zone { id, directions: self.directions },
            zone_is_mark,
            helper: self.helper.map(|used| used.instance),
            timeout: self.timeout.and_then(|used| traversal.conntrack.timeout_policy(&used.name)),
            event_masks: (self.ctevents | self.expevents != 0)
                .then_some((self.ctevents, self.expevents)),
            attached: true,
            is_proxied: false,
        };
        notrack::attach(traversal, template);
        Step::Continue
    }

    fn need(&self, needs: &mut Needs) {
        // What is only kept from tracking needs none.
        needs.tracking |= !self.notrack;
        needs.policies.extend(self.timeout);
        needs.helpers.extend(self.helper);
    }

    fn effect(&self) -> Effect {
        Effect::change(Vec::from([Change::Template { untracked: self.notrack }]))
    }

    fn print(&self, out: &mut String) {
        self.words(out, "--");
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" CT");
        self.words(out, "");
    }

    fn explain(&self, out: &mut Pieces) {
        if self.notrack {
            return notrack::explain(out);
        }
        if let Some(used) = self.helper {
            out.push(Piece::Effect(format!(
                "has the conntrack helper {} watch its connection, if it begins one",
                used.instance.name()
            )));
            out.push(Piece::Term("helper"));
            out.push(Piece::Note(
                "The helper reads what the two ends say to each other and announces the connections \
                 they agree on; their first packets are then RELATED."
                    .into(),
            ));
            explain_instance(used.instance, out);
        }
        if self.zone != ZoneId::Number(0) {
            let zone = match self.zone {
                ZoneId::Number(id) => format!("zone {id}"),
                ZoneId::Mark => "the zone that its mark numbers".into(),
            };
            let direction = match self.directions {
                1 => "the original direction of ",
                2 => "the reply direction of ",
                _ => "",
            };
            out.push(Piece::Effect(format!(
                "has tracking look for {direction}its connection in {zone}: the same addresses and \
                 ports in another zone are another connection"
            )));
        }
        out.push(Piece::Note(
            "The first CT or NOTRACK rule that a packet meets decides, all others leave it as it is; \
             everything but a zone counts only for a packet that begins a connection."
                .into(),
        ));
        if let Some(used) = &self.timeout {
            out.push(Piece::Effect(format!(
                "has the connection that it begins live by the timeout policy {} instead of the \
                 sysctls",
                used.name.as_str()
            )));
            out.push(Piece::Note(
                "A timeout policy is made with `nfct add timeout NAME ...`; for keepstate it is \
                 declared with --timeout-policy FILE."
                    .into(),
            ));
        }
        if self.ctevents | self.expevents != 0 {
            let list = |bits| match event_names(bits).join(", ") {
                names if names.is_empty() => String::from("none"),
                names => names,
            };
            out.push(Piece::Effect(format!(
                "limits the events told of the connection that it begins to: {}; and those of what \
                 that connection expects to: {}",
                list(self.ctevents),
                list(self.expevents)
            )));
            out.push(Piece::Note(
                "Naming some events of one kind silences all others of both kinds.".into(),
            ));
        }
    }
}
