//! `policy`: whether IPsec protects the packet, and how: what it has been through on its way in, or
//! what is still to be done to it on its way out.
//!
//! Without `--strict` some transformation of the policy has to be as described; with it they are
//! compared one by one, as many as there are, in the order of `--next`, the innermost first: the one
//! that is done first to what leaves, and was undone last of what came in.

use crate::diagnostic::{Diagnostic, code};
use crate::evaluate::{PolicyDirection, PolicyMode, State, Transformation, Traversal, in_network};
use crate::explain::{Piece, Pieces, either};
use crate::extension::hostmask::HostMask;
use crate::extension::{
    Arguments, BOTH, Extension, Given, OptionSpec, flag, names, valued, values,
};
use crate::matches::Match;
use crate::model::Inverted;
use crate::packet_set::PacketSet;
use crate::verdict::Answer;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt::Write;
use keepstate_conntrack::Hook;
use keepstate_packet::Family;

const DIR: u8 = 0;
const POL: u8 = 1;
const STRICT: u8 = 2;
const REQID: u8 = 3;
const SPI: u8 = 4;
const PROTO: u8 = 5;
const MODE: u8 = 6;
const TUNNEL_SRC: u8 = 7;
const TUNNEL_DST: u8 = 8;
const NEXT: u8 = 9;
const OPTIONS: &[OptionSpec] = &[
    valued("dir", DIR),
    valued("pol", POL),
    flag("strict", STRICT),
    valued("reqid", REQID).inverted().repeated(),
    valued("spi", SPI).inverted().repeated(),
    valued("proto", PROTO).inverted().repeated(),
    valued("mode", MODE).inverted().repeated(),
    valued("tunnel-src", TUNNEL_SRC).inverted().repeated(),
    valued("tunnel-dst", TUNNEL_DST).inverted().repeated(),
    flag("next", NEXT).repeated(),
];

const MANUAL: &str = "\
Asks whether IPsec protects the packet. `--dir` has to be there:

- `--dir in`: what IPsec has taken apart before this hook (PREROUTING, INPUT, FORWARD);
- `--dir out`: what IPsec is going to do behind it (FORWARD, OUTPUT, POSTROUTING).
- `--pol ipsec` (also when nothing is said) or `--pol none`: it is protected, or not at all. With `none`
  nothing else is compared.

Of the protection, each with `!` before it where the opposite is wanted:

- `--reqid N`, `--spi N`: the numbers of the association;
- `--proto ah|esp|ipcomp`, `--mode tunnel|transport`;
- `--tunnel-src ADDRESS[/MASK]`, `--tunnel-dst ADDRESS[/MASK]`: the ends of the tunnel; with
  `--mode tunnel` only.

Without `--strict` it is enough that one of the transformations is as described. With `--strict` all are
compared, the innermost first; `--next` begins the description of the next one (4 at most).

    iptables -A INPUT -p udp --dport 1701 -m policy --dir in --pol ipsec --proto esp -j ACCEPT

A capture does not tell what IPsec has taken apart. The host file declares policies (`[[policy]]`); a
host that declares none has none, and every packet is `--pol none`.
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "policy",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Most transformations that are described.
pub const ELEMENTS_MAX: usize = 4;

const PROTOCOLS: [(u8, &str); 3] = [(51, "ah"), (50, "esp"), (108, "ipcomp")];
const MODES: [(PolicyMode, &str); 2] =
    [(PolicyMode::Transport, "transport"), (PolicyMode::Tunnel, "tunnel")];

/// An instance.
#[derive(Debug)]
pub struct Policy {
    family: Family,
    direction: PolicyDirection,
    /// `--pol none`.
    none: bool,
    strict: bool,
    elements: Vec<Element>,
}

/// What is wanted of one transformation.
#[derive(Debug, Default)]
struct Element {
    reqid: Option<Inverted<u32>>,
    spi: Option<Inverted<u32>>,
    protocol: Option<Inverted<u8>>,
    mode: Option<Inverted<PolicyMode>>,
    source: Option<Inverted<HostMask>>,
    destination: Option<Inverted<HostMask>>,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(DIR)?;
    let direction = match given.value.as_str() {
        "in" => PolicyDirection::In,
        "out" => PolicyDirection::Out,
        word => {
            arguments.unknown_word(
                word,
                given.value_span,
                "a direction",
                ["in", "out"].into_iter(),
            );
            return None;
        }
    };
    arguments.hooks = match direction {
        PolicyDirection::In => &[Hook::Prerouting, Hook::Input, Hook::Forward],
        PolicyDirection::Out => &[Hook::Forward, Hook::Output, Hook::Postrouting],
    };
    let none = match arguments.option(POL) {
        None => false,
        Some(given) => match given.value.as_str() {
            "none" => true,
            "ipsec" => false,
            word => {
                let words = ["none", "ipsec"].into_iter();
                arguments.unknown_word(word, given.value_span, "a policy", words);
                return None;
            }
        },
    };
    let strict = arguments.option(STRICT);
    if let (Some(given), true) = (strict, none) {
        return conflict(arguments, given, "`--pol none` has nothing that could be strict");
    }
    let mut elements = elements(arguments)?;
    if let (Some(given), None) = (arguments.option(NEXT), strict) {
        return conflict(arguments, given, "`--next` needs `--strict`");
    }
    if strict.is_some() && elements.iter().any(Element::is_empty) {
        let text = "with `--strict`, each element needs one of `--reqid`, `--spi`, `--proto`, \
                    `--mode`, `--tunnel-src` and `--tunnel-dst`";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    }
    if none {
        // Nothing else is looked at, nor kept.
        elements.clear();
    }
    let strict = strict.is_some();
    Some(Box::new(Policy { family: arguments.family, direction, none, strict, elements }))
}

fn conflict<T>(arguments: &mut Arguments<'_>, given: &Given, text: &str) -> Option<T> {
    arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, given.span, text));
    None
}

fn elements(arguments: &mut Arguments<'_>) -> Option<Vec<Element>> {
    let mut elements = Vec::from([Element::default()]);
    for given in arguments.given {
        if given.option.id == NEXT {
            if elements.len() == ELEMENTS_MAX {
                let text = format!("a policy has at most {ELEMENTS_MAX} elements");
                return conflict(arguments, given, &text);
            }
            elements.push(Element::default());
        } else {
            let element = elements.last_mut()?;
            element.take(arguments, given)?;
        }
    }
    let is_tunnel = |element: &Element| {
        element.mode.is_some_and(|mode| (mode.value == PolicyMode::Tunnel) != mode.inverted)
    };
    let has_ends = |element: &Element| element.source.is_some() || element.destination.is_some();
    if elements.iter().any(|element| has_ends(element) && !is_tunnel(element)) {
        let ids = [TUNNEL_SRC, TUNNEL_DST];
        let given = arguments.given.iter().find(|given| ids.contains(&given.option.id))?;
        return conflict(arguments, given, "ends of a tunnel need `--mode tunnel` beside them");
    }
    Some(elements)
}

impl Element {
    /// Takes an option of this element; none may be there twice.
    fn take(&mut self, arguments: &mut Arguments<'_>, given: &Given) -> Option<()> {
        let is_set = match given.option.id {
            REQID => self.reqid.is_some(),
            SPI => self.spi.is_some(),
            PROTO => self.protocol.is_some(),
            MODE => self.mode.is_some(),
            TUNNEL_SRC => self.source.is_some(),
            TUNNEL_DST => self.destination.is_some(),
            _ => return Some(()),
        };
        if is_set {
            let text = format!("`--{}` is there twice for one element", given.option.name);
            return conflict(arguments, given, &text);
        }
        let inverted = given.inverted;
        match given.option.id {
            REQID => self.reqid = Some(Inverted { inverted, value: arguments.number32(given)? }),
            SPI => self.spi = Some(Inverted { inverted, value: arguments.number32(given)? }),
            PROTO => {
                self.protocol = Some(Inverted { inverted, value: protocol(arguments, given)? })
            }
            MODE => self.mode = Some(Inverted { inverted, value: mode(arguments, given)? }),
            TUNNEL_SRC => {
                self.source = Some(Inverted { inverted, value: HostMask::parse(arguments, given)? })
            }
            _ => {
                self.destination =
                    Some(Inverted { inverted, value: HostMask::parse(arguments, given)? })
            }
        }
        Some(())
    }

    fn is_empty(&self) -> bool {
        self.reqid.is_none()
            && self.spi.is_none()
            && self.protocol.is_none()
            && self.mode.is_none()
            && self.source.is_none()
            && self.destination.is_none()
    }

    fn describes(&self, one: &Transformation) -> bool {
        fn is<T: PartialEq>(wanted: Option<Inverted<T>>, found: &T) -> bool {
            wanted.is_none_or(|wanted| (wanted.value == *found) != wanted.inverted)
        }
        let lies = |wanted: Option<Inverted<HostMask>>, found| {
            wanted.is_none_or(|end| in_network(&end.value.network, found) != end.inverted)
        };
        is(self.reqid, &one.reqid)
            && is(self.spi, &one.spi)
            && is(self.protocol, &one.protocol)
            && is(self.mode, &one.mode)
            && lies(self.source, one.tunnel_source)
            && lies(self.destination, one.tunnel_destination)
    }
}

fn protocol(arguments: &mut Arguments<'_>, given: &Given) -> Option<u8> {
    let number = values::number(&given.value, 255).and_then(|number| u8::try_from(number).ok());
    let found = number.or_else(|| names::protocol_number(&given.value));
    let known = found.filter(|found| PROTOCOLS.iter().any(|(number, _)| number == found));
    if known.is_none() {
        let names = PROTOCOLS.iter().map(|(_, name)| *name);
        arguments.unknown_word(&given.value, given.value_span, "a protocol of IPsec", names);
    }
    known
}

fn mode(arguments: &mut Arguments<'_>, given: &Given) -> Option<PolicyMode> {
    let found = MODES.iter().find(|(_, name)| *name == given.value);
    if found.is_none() {
        let names = MODES.iter().map(|(_, name)| *name);
        arguments.unknown_word(&given.value, given.value_span, "a mode of IPsec", names);
    }
    found.map(|(mode, _)| *mode)
}

impl Policy {
    fn describes(&self, done: &[Transformation]) -> bool {
        if !self.strict {
            let first = self.elements.first();
            return done.iter().any(|one| first.is_some_and(|element| element.describes(one)));
        }
        done.len() == self.elements.len()
            && done.iter().zip(&self.elements).all(|(one, element)| element.describes(one))
    }

    fn parts(&self, element: &Element, out: &mut String, form: Form) {
        let dashes = if form == Form::Save { "--" } else { "" };
        let not = |inverted: bool| either(inverted, " ", " ! ");
        if let Some(reqid) = element.reqid {
            let _ = write!(out, "{}{dashes}reqid {}", not(reqid.inverted), reqid.value);
        }
        if let Some(spi) = element.spi {
            let _ = write!(out, "{}{dashes}spi {:#x}", not(spi.inverted), spi.value);
        }
        if let Some(protocol) = element.protocol {
            let _ = write!(out, "{}{dashes}proto ", not(protocol.inverted));
            let name = PROTOCOLS.iter().find(|(number, _)| *number == protocol.value);
            let _ = match name.filter(|_| form != Form::Numeric) {
                Some((_, name)) => write!(out, "{name}"),
                None => write!(out, "{}", protocol.value),
            };
        }
        if let Some(mode) = element.mode {
            let _ = write!(out, "{}{dashes}mode {}", not(mode.inverted), mode.value.as_str());
        }
        for (name, end) in [("dst", element.destination), ("src", element.source)] {
            let Some(end) = end else { continue };
            let _ = write!(out, "{}{dashes}tunnel-{name} ", not(end.inverted));
            end.value.print(out, self.family);
        }
    }

    const fn head(&self) -> [&'static str; 2] {
        let direction = match self.direction {
            PolicyDirection::In => "in",
            PolicyDirection::Out => "out",
        };
        [direction, if self.none { "none" } else { "ipsec" }]
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Save,
    List,
    Numeric,
}

impl PolicyMode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Tunnel => "tunnel",
        }
    }
}

impl Match for Policy {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, _: &mut State) -> Answer {
        let Some(done) = traversal.host.policy(self.direction, traversal.packet) else {
            return Answer::Unknown;
        };
        if done.is_empty() || self.none {
            return (done.is_empty() == self.none).into();
        }
        self.describes(done).into()
    }

    fn fact(&self) -> &'static str {
        "the IPsec policies of the host ([[policy]])"
    }

    fn print(&self, out: &mut String) {
        let [direction, kind] = self.head();
        let _ = write!(out, " --dir {direction} --pol {kind}");
        out.push_str(if self.strict { " --strict" } else { "" });
        for (number, element) in self.elements.iter().enumerate() {
            out.push_str(if number > 0 { " --next" } else { "" });
            self.parts(element, out, Form::Save);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        let [direction, kind] = self.head();
        let _ = write!(out, " policy match dir {direction} pol {kind}");
        out.push_str(if self.strict { " strict" } else { "" });
        for (number, element) in self.elements.iter().enumerate() {
            if self.elements.len() > 1 {
                let _ = write!(out, " [{number}]");
            }
            self.parts(element, out, if numeric { Form::Numeric } else { Form::List });
        }
    }

    fn packet_set(&self) -> PacketSet {
        PacketSet::named(self)
    }

    fn explain(&self, out: &mut Pieces) {
        let when = match self.direction {
            PolicyDirection::In => ("IPsec has protected it on its way here", "came"),
            PolicyDirection::Out => ("IPsec is going to protect it on its way out", "leaves"),
        };
        if self.none {
            out.push(Piece::Condition(format!("it {} without any protection of IPsec", when.1)));
            return;
        }
        let mut text = String::from(when.0);
        if self.strict {
            text.push_str(", in exactly these steps");
        }
        for (number, element) in self.elements.iter().enumerate() {
            let mut words = String::new();
            self.parts(element, &mut words, Form::List);
            if !words.is_empty() {
                let then = if number > 0 { ", then" } else { " with" };
                text.push_str(then);
                text.push_str(&words.replace(" ! ", " not "));
            }
        }
        out.push(Piece::Condition(text));
    }
}

#[cfg(test)]
mod tests {
    use crate::evaluate::bench::{Known, forms, matched, refused, udp4};
    use crate::evaluate::{PolicyMode, Transformation};
    use alloc::{format, vec};
    use keepstate_conntrack::Hook;
    use keepstate_packet::{Address, Family};

    #[test]
    fn forms_v4() {
        for (given, saved, numeric, list) in [
            ("--dir in", "--dir in --pol ipsec", "dir in pol ipsec", "="),
            ("--dir in --pol none --reqid 1", "--dir in --pol none", "dir in pol none", "="),
            (
                "--dir in --proto ah --mode transport --spi 010 --reqid 0x10",
                "--dir in --pol ipsec --reqid 16 --spi 0x8 --proto ah --mode transport",
                "dir in pol ipsec reqid 16 spi 0x8 proto 51 mode transport",
                "dir in pol ipsec reqid 16 spi 0x8 proto ah mode transport",
            ),
            (
                "--dir in ! --mode transport ! --tunnel-src 1.2.3.4/24 --tunnel-dst 0/0",
                "--dir in --pol ipsec ! --mode transport --tunnel-dst 0.0.0.0/0 ! --tunnel-src 1.2.3.4/24",
                "dir in pol ipsec ! mode transport tunnel-dst 0.0.0.0/0 ! tunnel-src 1.2.3.4/24",
                "=",
            ),
            (
                "--dir in --mode tunnel --tunnel-src 1.2.3.4/255.0.255.0",
                "--dir in --pol ipsec --mode tunnel --tunnel-src 1.2.3.4/255.0.255.0",
                "dir in pol ipsec mode tunnel tunnel-src 1.2.3.4/255.0.255.0",
                "=",
            ),
            (
                "--reqid 1 --next --reqid 2 --strict --dir in",
                "--dir in --pol ipsec --strict --reqid 1 --next --reqid 2",
                "dir in pol ipsec strict [0] reqid 1 [1] reqid 2",
                "=",
            ),
        ] {
            let found = forms("filter", "INPUT", &format!("-m policy {given}"), Family::V4);
            let list = if list == "=" { numeric } else { list };
            let [numeric, list] = [numeric, list].map(|text| format!("policy match {text}"));
            assert_eq!(found, (format!("-m policy {saved}"), numeric, list));
        }
    }

    #[test]
    fn refusals() {
        let five = "--dir in --strict --reqid 1 --next --reqid 2 --next --reqid 3 --next --reqid 4 \
                    --next --reqid 5";
        let four = five.strip_suffix(" --next --reqid 5").unwrap();
        assert!(!refused("filter", "INPUT", &format!("-m policy {four}"), Family::V4));
        for rule in [
            "",
            "--pol none",
            "--dir IN",
            "--dir in --pol none --strict --reqid 1",
            "--dir in --strict",
            "--dir in --strict --reqid 1 --next",
            "--dir in --next --reqid 1",
            "--dir in --reqid 1 --reqid 2",
            "--dir in --proto tcp",
            "--dir in --proto ESP",
            "--dir in --mode beet",
            "--dir in --tunnel-src 1.2.3.4",
            "--dir in ! --mode tunnel --tunnel-src 1.2.3.4",
            "--dir in --reqid 4294967296",
            "! --dir in",
            "--dir in --dir out",
            "--dir in --strict --strict --reqid 1",
            five,
        ] {
            assert!(refused("filter", "INPUT", &format!("-m policy {rule}"), Family::V4), "{rule}");
        }
        assert!(refused("filter", "INPUT", "-m policy --dir out", Family::V4));
        assert!(refused("filter", "OUTPUT", "-m policy --dir in", Family::V6));
    }

    #[test]
    fn what_ipsec_does_is_compared() {
        let esp = Transformation {
            reqid: 1,
            spi: 0x100,
            protocol: 50,
            mode: PolicyMode::Tunnel,
            tunnel_source: Address::v4([10, 0, 0, 1]),
            tunnel_destination: Address::v4([10, 0, 0, 2]),
        };
        let ah = Transformation { reqid: 2, protocol: 51, mode: PolicyMode::Transport, ..esp };
        let packet = udp4([10, 0, 0, 1], [192, 0, 2, 1], 1, 2);
        for (rule, done, wanted) in [
            ("--pol none", vec![], true),
            ("--pol ipsec", vec![], false),
            ("--pol none", vec![esp], false),
            ("--pol ipsec", vec![esp], true),
            ("--proto ah", vec![esp, ah], true),
            ("--proto ah --reqid 1", vec![esp, ah], false),
            ("! --reqid 1", vec![esp], false),
            ("--mode tunnel --tunnel-src 10.0.0.0/24 ! --tunnel-dst 10.0.0.1", vec![esp], true),
            ("--mode tunnel --tunnel-src 10.0.1.0/24", vec![esp], false),
            ("--strict --reqid 1", vec![esp], true),
            ("--strict --reqid 1", vec![esp, ah], false),
        ] {
            let known = Known { policy: Some(done.clone()), ..Known::default() };
            for (hook, way) in [(Hook::Input, "in"), (Hook::Output, "out")] {
                let rule = format!("-m policy --dir {way} {rule}");
                assert_eq!(matched(hook, &rule, &packet, &known), Some(wanted), "{rule} {done:?}");
            }
        }
        let both = Known { policy: Some(vec![esp, ah]), ..Known::default() };
        for (hook, way) in [(Hook::Input, "in"), (Hook::Output, "out")] {
            for (order, wanted) in
                [("--reqid 1 --next --reqid 2", true), ("--reqid 2 --next --reqid 1", false)]
            {
                let rule = format!("-m policy --dir {way} --strict {order}");
                assert_eq!(matched(hook, &rule, &packet, &both), Some(wanted), "{rule}");
            }
        }
        let unknown = Known::default();
        assert_eq!(matched(Hook::Input, "-m policy --dir in", &packet, &unknown), None);
    }
}
