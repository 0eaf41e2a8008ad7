//! Why a pair of addresses is open in an upper closure and closed here, from the rules.

use super::compare::Compared;
use super::{V4, rules};
use keepstate_analysis::algebra::rows::addresses;
use keepstate_analysis::algebra::space::{Group, Interface, NODES_MAX, Packets};
use keepstate_analysis::algebra::{Apart, Space};
use keepstate_analysis::reach::matrix::Between;
use keepstate_analysis::reach::sets::Pairs;
use keepstate_analysis::reach::{Around, Reach, Service, Shown, Toward};
use keepstate_conntrack::Hook;
use keepstate_packet::{sctp, tcp};
use keepstate_ruleset::diagnostic::Lines;
use keepstate_ruleset::model::{ChainIndex, HeaderMatch, Jump, Policy, Rule, Table, TableName};
use keepstate_ruleset::packet_set::{Field, PacketSet};
use keepstate_ruleset::syntax::iptables_save::print_rule;
use keepstate_ruleset::verdict::{Step, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Interfaces that are listed one by one.
const NAMES_MAX: usize = 4;

pub(crate) struct Evidence<'e> {
    pub(crate) reach: &'e Reach<'e>,
    pub(crate) source: &'e str,
    pub(crate) table: TableName,
    pub(crate) port: u16,
}

/// Why one pair is closed here, and which rule opens it where interfaces are forgotten.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Why {
    opened: String,
    /// By rule the interfaces where it decides.
    closed: Vec<(String, Vec<String>)>,
}

impl Evidence<'_> {
    /// Of all pairs that are open in the first alone: those with the same reasons together.
    pub(crate) fn told(&self, compared: &Compared) -> String {
        let asked = compared.joint.iter().map(|one| (one.first, one.first)).collect();
        let around = Around { asked, ..self.reach.around.clone() };
        let service = Service::of_ports(tcp::PROTOCOL, self.port, self.port);
        let services = [service];
        let (ruleset, opener) = (self.reach.ruleset, self.reach.opener);
        let reach = Reach::of_services(ruleset, around, opener, &services).expect("sets");
        let pairs = reach.pairs(&services[0], &reach.space.every()).expect("pairs");
        Evidence { reach: &reach, ..*self }.groups(compared, &pairs)
    }

    fn groups(&self, compared: &Compared, pairs: &Pairs) -> String {
        let mut all: BTreeMap<Why, Vec<(usize, usize)>> = BTreeMap::new();
        for pair in &compared.only_first {
            let (from, to) = (compared.joint[pair.0].first, compared.joint[pair.1].first);
            all.entry(self.why(from, to, pairs)).or_default().push(*pair);
        }
        let mut groups: Vec<_> = all.into_iter().collect();
        groups.sort_by_key(|(_, pairs)| std::cmp::Reverse(pairs.len()));
        let mut text = String::new();
        for (why, pairs) in groups {
            self.group(&mut text, &why, &pairs, compared);
        }
        text
    }

    fn group(&self, text: &mut String, why: &Why, pairs: &[(usize, usize)], compared: &Compared) {
        let (from, to) = pairs[0];
        let [from, to] = [from, to].map(|at| &compared.joint[at]);
        let shown = |values: &_| {
            let text = addresses(V4, values).replace(',', ", ");
            if text.len() < 80 {
                text
            } else {
                format!("{}, ...", addresses(V4, &vec![values_first(values)]))
            }
        };
        let more = match pairs.len() {
            1 => String::new(),
            more => format!(" and {} more pairs of classes", more - 1),
        };
        let _ = writeln!(text, "- {} > {}{more}", shown(&from.values), shown(&to.values));
        let _ = writeln!(text, "  - open there: {}", why.opened);
        for (rule, names) in &why.closed {
            let _ = writeln!(text, "  - closed here, {}: {rule}", interfaces(names));
        }
        let _ = writeln!(text, "  - {}", self.confirmed(from.first, to.first));
    }

    /// The packets between two addresses, by an interface.
    fn between(&self, from: u128, to: u128) -> Packets {
        let space = &self.reach.space;
        let field = |field, number| space.all_of(Group::Field(field), &[(number, number)]);
        let pair = field(Field::Source, from).expect("sets");
        pair.and(&field(Field::Destination, to).expect("sets")).expect("sets")
    }

    fn why(&self, from: u128, to: u128, pairs: &Pairs) -> Why {
        let (reach, space) = (self.reach, &self.reach.space);
        let lines = Lines::of(self.source);
        let asked = pairs.asked.and(&self.between(from, to)).expect("sets");
        let mut closed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (place, interface) in space.interfaces().iter().enumerate() {
            let name = match interface {
                Interface::None => continue,
                Interface::Named(name) => format!("`{name}`"),
                Interface::Beginning(name) => format!("`{name}+`"),
                Interface::Other => "any other interface".into(),
            };
            let place = place as u128;
            let here = space.all_of(Group::In, &[(place, place)]).expect("sets");
            let here = asked.and(&here).expect("sets");
            let typical = reach.typical(&here).expect("sets");
            let one = if typical.is_empty() { here } else { typical };
            let rule = match reach.witness(&one, &lines).expect("sets") {
                None => String::from("no source like that is behind it"),
                Some(witness) => {
                    assert!(!witness.passes, "{}", witness.packet);
                    let rule = witness.decided().expect("a rule");
                    match rule.line {
                        Some(line) => format!("`{}` (line {line})", rule.text),
                        None => rule.text.clone(),
                    }
                }
            };
            closed.entry(rule).or_default().push(name);
        }
        Why { opened: self.opened(from, to, &lines), closed: closed.into_iter().collect() }
    }

    /// What the engine says of a packet of the pair.
    fn confirmed(&self, from: u128, to: u128) -> String {
        let lines = Lines::of(self.source);
        let load = || Some(rules(self.source, self.table));
        let shown = Shown { lines: &lines, load: &load };
        let service = Service::of_ports(tcp::PROTOCOL, self.port, self.port);
        let between = Between {
            from: vec![(from, from)],
            to: vec![(to, to)],
            among: self.reach.space.every(),
            is_square: false,
        };
        let matrix = self.reach.matrix(&service, &between, &shown).expect("sets");
        let witness = matrix.closed.expect("a packet");
        match witness.confirmed {
            Some(true) => format!("the engine drops `{}`, too", witness.packet),
            Some(false) => panic!("the engine says otherwise: {witness:?}"),
            None => format!("`{}` is not run: no router takes such addresses", witness.packet),
        }
    }

    /// The rule that lets the pair through where `-i`, `-o` and what no field decides are forgotten.
    fn opened(&self, from: u128, to: u128, lines: &Lines) -> String {
        let ruleset = self.reach.ruleset;
        let hook = match (self.table, self.reach.around.toward) {
            (TableName::Raw, _) => Hook::Prerouting,
            (_, Toward::Host) => Hook::Input,
            (_, Toward::Beyond) => Hook::Forward,
        };
        let table = ruleset.table(self.table).expect("the table");
        let mut apart = Apart::new(V4);
        apart.add_values(&vec![(from, from)]);
        apart.add_values(&vec![(to, to)]);
        let mut space = Space::apart([ruleset], apart, NODES_MAX).expect("a space");
        let field = |field, number| PacketSet::In(field, vec![(number, number)]);
        let address = |number: u128| number << 96;
        let packet = PacketSet::All(vec![
            field(Field::Source, address(from)),
            field(Field::Destination, address(to)),
            field(Field::Protocol, tcp::PROTOCOL.into()),
            field(Field::DestinationPort, self.port.into()),
            field(Field::SourcePort, super::CLIENT.into()),
            field(Field::State, keepstate_ruleset::matches::conntrack::NEW.into()),
            field(Field::TcpFlags, tcp::SYN.into()),
            field(Field::LaterFragment, 0),
        ]);
        let packet = space.packets(&packet, "pair").expect("sets");
        let base = table.builtin(hook).expect("a chain");
        let networks = &self.reach.around.networks;
        let mut forgetful = Forgetful { table, space, packet, from, networks };
        match forgetful.chain(base, true) {
            Some(Said::Opened(rule, chain)) => {
                let text = print_rule(V4, table, &chain, rule);
                let line = lines.line(rule.span).unwrap_or(0);
                let forgotten = if is_sctp(rule) { "`-p sctp` is" } else { "interfaces are" };
                format!("`{text}` (line {line}) where {forgotten} forgotten")
            }
            Some(Said::Closed(rule, chain)) => {
                let text = print_rule(V4, table, &chain, rule);
                let line = lines.line(rule.span).unwrap_or(0);
                format!("their closure has no rule for `{text}` (line {line})")
            }
            Some(Said::ByPolicy) => String::from("although the policy closes it"),
            None => String::from("by the policy where interfaces are forgotten"),
        }
    }
}

fn values_first(values: &keepstate_analysis::algebra::rows::Values) -> (u128, u128) {
    values.first().copied().unwrap_or_default()
}

fn interfaces(names: &[String]) -> String {
    match names.len() {
        0..=NAMES_MAX => format!("in by {}", names.join(", ")),
        more => format!("in by {} and {} more", names[..NAMES_MAX].join(", "), more - NAMES_MAX),
    }
}

/// Its simple firewall has no SCTP.
fn is_sctp(rule: &Rule) -> bool {
    rule.header.protocol.is_some_and(|one| !one.inverted && one.value == sctp::PROTOCOL)
}

/// A packet through rules of which interfaces and unknowns are forgotten in favour of it.
struct Forgetful<'f> {
    table: &'f Table,
    space: Space,
    packet: Packets,
    from: u128,
    networks: &'f [(String, keepstate_analysis::algebra::rows::Values)],
}

enum Said<'f> {
    Opened(&'f Rule, String),
    /// Without doubt.
    Closed(&'f Rule, String),
    ByPolicy,
}

impl<'f> Forgetful<'f> {
    /// `is_sure`: whether the packet comes here without doubt.
    fn chain(&mut self, index: ChainIndex, is_sure: bool) -> Option<Said<'f>> {
        let table = self.table;
        let chain = table.chain(index)?;
        for rule in &chain.rules {
            let (may, must) = self.matches(rule);
            if !may {
                continue;
            }
            let must = must && is_sure;
            match &rule.target {
                Jump::Standard(Step::Verdict(Verdict::Accept)) => {
                    return Some(Said::Opened(rule, chain.name.clone()));
                }
                Jump::Standard(Step::Return) if must => return None,
                Jump::Standard(Step::Verdict(_)) if must => {
                    return Some(Said::Closed(rule, chain.name.clone()));
                }
                Jump::Target(target) if must && target.name() == "REJECT" => {
                    return Some(Said::Closed(rule, chain.name.clone()));
                }
                Jump::Jump(to) | Jump::Goto(to) => {
                    match self.chain(*to, must) {
                        None => {}
                        // Who sends it there is what tells.
                        Some(Said::Closed(..)) => {
                            return Some(Said::Closed(rule, chain.name.clone()));
                        }
                        said => return said,
                    }
                }
                _ => {}
            }
        }
        (is_sure && chain.policy == Some(Policy::Drop)).then_some(Said::ByPolicy)
    }

    /// Whether a rule may match, and whether it does without doubt.
    fn matches(&mut self, rule: &Rule) -> (bool, bool) {
        let HeaderMatch { in_interface, out_interface, .. } = rule.header;
        let mut header = HeaderMatch { in_interface: None, out_interface: None, ..rule.header };
        if is_sctp(rule) {
            header.protocol = None;
        }
        let mut asked = vec![PacketSet::of_header(&header)];
        let matches = rule.matches.iter().filter(|one| one.name() != "sctp");
        asked.extend(matches.map(|one| one.packet_set()));
        let asked = self.space.packets(&PacketSet::All(asked), "rule").expect("sets");
        let both = self.packet.and(&asked).expect("sets");
        let has_interfaces = in_interface.is_some() || out_interface.is_some();
        let must =
            !has_interfaces && !is_sctp(rule) && self.packet.is_within(&asked).expect("sets");
        // Only sources that are behind it come in by an interface.
        let is_elsewhere = in_interface.filter(|one| !one.inverted).is_some_and(|one| {
            let place = self.space.interface_ranges(&one);
            let mut here = self.networks.iter().filter(|(name, _)| {
                let number = self.space.interface_number(name);
                place == [(number, number)]
            });
            here.next().is_some_and(|(_, values)| {
                !values.iter().any(|(low, high)| (*low..=*high).contains(&self.from))
            })
        });
        (!both.is_empty() && !is_elsewhere, must)
    }
}
