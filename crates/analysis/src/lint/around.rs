//! What the rules say of the networks around the host: which addresses are its own, which networks are behind which
//! interface, and which interfaces lead outside. It is a guess, good enough to name packets by.

use super::linted::{Linted, Ruled, decision};
use crate::algebra::rows::Values;
use crate::algebra::rows::tidy;
use crate::reach::around::{number, range, unroutable};
use crate::rule::words::OptionWords;
use crate::witness::network;
use keepstate_conntrack::Hook;
use keepstate_packet::{Address, Family};
use keepstate_ruleset::effect::Change;
use keepstate_ruleset::model::{Jump, TableName};
use keepstate_ruleset::packet_set::Field;
use keepstate_ruleset::verdict::Verdict;
use std::net::IpAddr;

/// Most addresses that a translation may choose from for them to be taken for the host's own.
const OWN_MAX: u128 = 256;

/// Interfaces, by number, and addresses.
pub(super) type Behind = (Values, Values);

/// What the rules say.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// Addresses of the host, and those that it takes for others.
    pub own: Values,
    /// Networks that are behind these interfaces.
    pub behind: Vec<Behind>,
    /// Networks that are not.
    pub elsewhere: Vec<Behind>,
    /// Interfaces of which it is said that what leaves by others is hidden.
    pub inside: Values,
    /// Interfaces behind which others are hidden.
    pub outer: Values,
    /// Private networks that are named as sources of what is hidden.
    pub inner: Values,
    /// Rules see to it that packets come in where their source is.
    pub checks_sources: bool,
}

/// Private addresses (RFC 1918, RFC 6598, RFC 4193), and those of a link (RFC 3927, RFC 4291).
#[must_use]
pub(crate) fn private(family: Family) -> Values {
    let words: &[&str] = match family {
        Family::V4 => {
            &["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
        }
        Family::V6 => &["fc00::/7", "fe80::/10"],
    };
    words.iter().filter_map(|word| range(word, family).ok()).collect()
}

/// Addresses that packets are told apart by, whether rules name them or not.
#[must_use]
pub(super) fn asked(family: Family) -> Values {
    // The address of who has none.
    [unroutable(family), private(family), vec![(0, 0)]].concat()
}

impl Around {
    /// What the rules of a file say.
    pub(super) fn of(linted: &Linted<'_>) -> Self {
        let mut around = Self::default();
        for rule in &linted.rules {
            around.checks_sources |= rule.words.has_match("rpfilter");
            match rule.words.target_name() {
                "SNAT" | "MASQUERADE" => around.hides(linted, rule),
                "DNAT" | "REDIRECT" if rule.chain.hook == Some(Hook::Prerouting) => {
                    around.own.extend(header(linted, rule, "-d").filter(is_single));
                }
                _ if decision(rule.rule) == Some(Verdict::Accept) => around.accepts(linted, rule),
                _ => {}
            }
        }
        let v4 = linted.is_v4();
        let mut no_host = unroutable(linted.ruleset.family);
        // Every host of every link has one of those.
        no_host.extend(range("fe80::/10", linted.ruleset.family).ok());
        around.own.retain(|(low, high)| {
            let stands_for_network = v4 && low == high && matches!(low & 0xff, 0 | 0xff);
            !stands_for_network && !no_host.iter().any(|(from, to)| (from..=to).contains(&low))
        });
        tidy(&mut around.own);
        tidy(&mut around.inner);
        tidy(&mut around.outer);
        around
    }

    /// A rule that hides sources behind an address of the host.
    fn hides(&mut self, linted: &Linted<'_>, rule: &Ruled<'_>) {
        let family = linted.ruleset.family;
        if let Jump::Target(target) = &rule.rule.target {
            for change in target.effect().writes {
                let Change::Among(Field::Source, ranges) = change else { continue };
                let numbers = ranges.iter().map(|(low, high)| {
                    let of = |one: u128| number(family, Address(one.to_be_bytes()));
                    (of(*low), of(*high))
                });
                self.own.extend(numbers.filter(|(low, high)| high - low < OWN_MAX));
            }
        }
        if translates_own(rule) {
            // What the host itself sends, it may send anywhere.
            return;
        }
        let source = header(linted, rule, "-s");
        let leads = leader(linted, rule);
        let Some(out) = leads.words.header("-o") else { return };
        let Some(plain) = leads.rule.header.out_interface else { return };
        let numbers = linted.space.interface_ranges(&keepstate_ruleset::model::Inverted {
            inverted: false,
            value: plain.value,
        });
        if out.not {
            self.inside.extend(numbers.iter().copied());
            self.behind.extend(source.map(|source| (numbers, vec![source])));
            return;
        }
        // What goes to a network inside with the host's address is a hairpin.
        let is_private = |option: &OptionWords| {
            network(option.value()).is_some_and(|(address, _)| is_private(address))
        };
        if rule.words.header("-d").is_some_and(|option| !option.not && is_private(option)) {
            return;
        }
        self.outer.extend(numbers.iter().copied());
        let inside = rule.words.header("-s").filter(|option| !option.not && is_private(option));
        self.inner.extend(source.filter(|_| inside.is_some()));
        self.elsewhere.extend(source.map(|source| (numbers, vec![source])));
    }

    /// A rule that accepts something: it is where it is expected.
    fn accepts(&mut self, linted: &Linted<'_>, rule: &Ruled<'_>) {
        if rule.table.name != TableName::Filter {
            return;
        }
        let own = match rule.chain.hook {
            Some(Hook::Input) => header(linted, rule, "-d"),
            Some(Hook::Output) => header(linted, rule, "-s"),
            _ => None,
        };
        self.own.extend(own.filter(is_single));
        for (interface, address, pattern) in [
            ("-i", "-s", rule.rule.header.in_interface),
            ("-o", "-d", rule.rule.header.out_interface),
        ] {
            let Some(pattern) = pattern.filter(|pattern| !pattern.inverted) else { continue };
            let is_loopback = rule.words.header(interface).is_some_and(|one| one.value() == "lo");
            let Some(addresses) = header(linted, rule, address).filter(|_| !is_loopback) else {
                continue;
            };
            self.behind.push((linted.space.interface_ranges(&pattern), vec![addresses]));
        }
    }
}

/// Where a rule says by which interface: itself, or the only rule that leads to its chain.
fn leader<'l, 'a>(linted: &'l Linted<'a>, rule: &'l Ruled<'a>) -> &'l Ruled<'a> {
    if rule.words.header("-o").is_some() || rule.chain.hook.is_some() {
        return rule;
    }
    let leads = |one: &&Ruled<'_>| {
        one.table.name == rule.table.name
            && one.rule.target.chains().iter().any(|(to, _)| *to == rule.at.chain)
    };
    let mut leaders = linted.rules.iter().filter(leads);
    match (leaders.next(), leaders.next()) {
        (Some(only), None) => only,
        _ => rule,
    }
}

/// Whether a rule is for what the host itself sends.
pub(crate) fn translates_own(rule: &Ruled<'_>) -> bool {
    rule.words.options(&["--src-type"]).any(|option| !option.not && option.value() == "LOCAL")
}

/// A network of the header of a rule, as a range of numbers.
fn header(linted: &Linted<'_>, rule: &Ruled<'_>, name: &str) -> Option<(u128, u128)> {
    let option = rule.words.header(name).filter(|option| !option.not)?;
    let (address, mask) = network(option.value())?;
    let family = linted.ruleset.family;
    let [low, mask] = [address, mask].map(|one| number(family, Address::from(one)));
    let rest = !mask & crate::reach::around::last(family);
    // A mask that is no prefix names many ranges; one of nothing, all.
    let is_network = rest & rest.wrapping_add(1) == 0 && mask != 0;
    is_network.then_some((low & mask, low & mask | rest))
}

const fn is_single((low, high): &(u128, u128)) -> bool {
    *low == *high
}

/// RFC 1918; RFC 4193.
pub(crate) const fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_private(),
        IpAddr::V6(six) => six.segments()[0] & 0xfe00 == 0xfc00,
    }
}
