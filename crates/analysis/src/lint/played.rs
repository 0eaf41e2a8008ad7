//! Conversations past the rules of a file, and past the same rules with others in the place of one: what a finding
//! says of a connection, and what is to stand in a rule's place, is shown by the engine.

use super::linted::{Linted, Ruled};
use crate::algebra::space::{Group, Interface, Packets, Result};
use crate::algebra::{Example, Way};
use crate::conversation::{Content, Conversation, Place, Played, Scene, Script, Spot, Who};
use crate::experiment;
use crate::witness::usable;
use keepstate_conntrack::CtState;
use keepstate_engine::Verdict;
use keepstate_ruleset::model::{Ruleset, TableName};
use keepstate_ruleset::syntax::iptables_save::{self, Print};

/// Rules as they are run, and where a conversation meets them.
#[derive(Clone, Debug)]
pub struct Bed {
    /// The rules, as iptables-save prints them.
    pub text: String,
    /// Who speaks with whom, and by which interfaces.
    pub spot: Spot,
}

/// A conversation that was run.
#[derive(Debug)]
pub struct Run {
    /// The rules that it was run past.
    pub ruleset: Ruleset,
    /// What was to be said.
    pub script: Script,
    /// What became of it.
    pub played: Played,
}

impl Linted<'_> {
    /// All rules, as iptables-save prints them.
    #[must_use]
    pub fn printed(&self) -> String {
        iptables_save::print(self.ruleset, Print { legacy: true, ..Print::default() })
    }

    /// The same with these lines in the place of a rule.
    #[must_use]
    pub fn printed_with(&self, rule: &Ruled<'_>, lines: &[String]) -> Option<String> {
        let head = format!("-A {} ", rule.chain.name);
        let mut out = String::new();
        let (mut inside, mut number, mut done) = (false, 0, false);
        for line in self.printed().lines() {
            if let Some(table) = line.strip_prefix('*') {
                inside = table == rule.table.name.as_str();
            }
            let counts = inside && format!("{line} ").starts_with(&head);
            if counts && number == rule.at.number {
                out.extend(lines.iter().map(|line| format!("{line}\n")));
                done = true;
            } else {
                out.push_str(line);
                out.push('\n');
            }
            number += u32::from(counts);
        }
        done.then_some(out)
    }

    /// The same with a line before all rules of a table.
    #[must_use]
    pub fn printed_before(&self, table: TableName, line: &str) -> Option<String> {
        let printed = self.printed();
        let head = format!("*{}\n", table.as_str());
        let Some((before, rest)) = printed.split_once(&head) else {
            return Some(format!("{printed}{head}{line}\nCOMMIT\n"));
        };
        let declared: usize =
            rest.split_inclusive('\n').take_while(|l| l.starts_with(':')).map(str::len).sum();
        let (heads, rules) = rest.split_at_checked(declared)?;
        Some(format!("{before}{head}{heads}{line}\n{rules}"))
    }

    /// A connection whose first packet is one of these, as a place for conversations: by two interfaces where it is
    /// passed on, between hosts that there may be.
    pub fn spot(&self, way: Way, packets: &Packets) -> Result<Option<Spot>> {
        let mut set = packets.and(&self.outside()?)?.and(&way.packets(&self.space)?)?;
        if way == Way::Through {
            set = set.and(&self.crossing()?)?;
        }
        if way == Way::Out {
            // What the host says to itself is no conversation with another.
            set = set.less(&self.left_by("lo")?)?;
        }
        Ok(self.between_two(&set)?.and_then(|example| spot_of(&example, way)))
    }

    /// Packets that leave by another interface than they came in by.
    pub fn crossing(&self) -> Result<Packets> {
        let mut all = self.space.every();
        for (number, interface) in (0_u128..).zip(self.space.interfaces()) {
            let by = |group| self.space.all_of(group, &[(number, number)]);
            match interface {
                // Nothing is passed on by the loopback interface.
                Interface::Named(name) if name == "lo" => {
                    all = all.less(&by(Group::In)?)?.less(&by(Group::Out)?)?;
                }
                Interface::Named(_) | Interface::Beginning(_) => {
                    all = all.less(&by(Group::In)?.and(&by(Group::Out)?)?)?;
                }
                Interface::Other | Interface::None => {}
            }
        }
        Ok(all)
    }
}

fn spot_of(example: &Example, way: Way) -> Option<Spot> {
    if !example.unknowns.is_empty() {
        return None;
    }
    let family = example.family;
    let (client, server) = (example.source.ip(family), example.destination.ip(family));
    let near = example.in_interface.clone().or_else(|| example.out_interface.clone())?;
    let far = example.out_interface.clone().unwrap_or_else(|| String::from("eth1"));
    let place = match way {
        Way::In => Place::On(Who::Server),
        Way::Through => Place::Between,
        Way::Out => Place::On(Who::Client),
    };
    (usable(client) && usable(server) && client != server && near != "lo").then(|| Spot {
        client,
        server,
        interfaces: (near, far),
        ports: (Some(example.source_port), Some(example.destination_port)),
        ..Spot::new(place, family)
    })
}

impl Bed {
    /// Runs a conversation there; `change` may write into its scene first.
    #[must_use]
    pub fn run(&self, conversation: &Conversation, change: impl FnOnce(&mut Scene)) -> Option<Run> {
        let mut scene = Scene::new(conversation, &self.spot)?;
        change(&mut scene);
        let script = (conversation.script)(&scene.parties);
        let (ruleset, played) = experiment::play(&self.text, scene.family, &script, &scene).ok()?;
        Some(Run { ruleset, script, played })
    }

    /// The same with other rules.
    #[must_use]
    pub fn with(&self, text: String) -> Self {
        Self { text, ..self.clone() }
    }
}

impl Run {
    /// The step in which a rule lets something in as RELATED that is no ICMP error.
    #[must_use]
    pub fn related_by(&self, rule: &Ruled<'_>) -> Option<usize> {
        let table = self.ruleset.table(rule.table.name)?;
        let hit = (rule.table.name, table.chain_named(&rule.chain.name)?, rule.at.number);
        self.related().find(|at| self.played.steps.get(*at).is_some_and(|s| s.hits.contains(&hit)))
    }

    /// The steps that come as RELATED, ICMP errors not among them, and are let in.
    pub fn related(&self) -> impl Iterator<Item = usize> {
        let steps = self.played.steps.iter().zip(&self.script.steps).enumerate();
        steps.filter_map(|(at, (played, step))| {
            let related = played.tracked()?.state == CtState::Related;
            let is_error = matches!(step.content, Content::Error { .. });
            (related && !is_error && played.verdict()? == Verdict::Accept).then_some(at)
        })
    }

    /// A packet as it was sent, in words.
    #[must_use]
    pub fn packet(&self, at: usize) -> String {
        let bytes = self.played.steps.get(at).map_or(&[][..], |step| &step.bytes);
        crate::prose::packet::describe(bytes)
    }

    /// Who says in which words what a step reads out of an earlier one; none where nobody has to.
    #[must_use]
    pub fn said_before(&self, at: usize) -> Option<(Who, String)> {
        let reads = self.script.steps.get(at)?.reads?;
        let step = self.script.steps.get(reads.step)?;
        let data = match &step.content {
            Content::Tcp(segment) => &segment.data,
            Content::Udp { data, .. } => data,
            Content::Icmp { .. } | Content::Error { .. } | Content::Other { .. } => return None,
        };
        let text = String::from_utf8_lossy(data);
        let plain = |text: &str| text.chars().all(|c| !c.is_control());
        // Of many lines the one that names the port.
        let lines = text.lines().map(|line| line.trim_matches('\u{1}'));
        let telling = ["PORT", "EPRT", "227 ", "229 ", "DCC", "DATA ", "m=audio"];
        let line = lines
            .filter(|line| plain(&line.replace('\u{1}', "")))
            .find(|line| telling.iter().any(|word| line.contains(word)));
        let said = match line {
            Some(line) => format!("`{}`", line.replace('\u{1}', "^A")),
            None => format!("a message ({})", step.label),
        };
        Some((step.from, said))
    }
}
