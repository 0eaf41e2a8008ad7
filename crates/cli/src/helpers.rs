//! `--helpers`: helpers assigned by port, as if the raw tables ended with the rules.

use crate::rulesets::Loaded;
use keepstate_conntrack::helpers::{self, HELPERS};
use keepstate_packet::Family;
use keepstate_ruleset::{
    model::{Rule, Ruleset, Span, TableName},
    syntax::iptables_save,
};
use std::{path::PathBuf, str::FromStr};

/// Helpers and the ports that they are assigned to.
#[derive(Clone, Debug)]
pub(crate) struct Assignments(Vec<Assignment>);

#[derive(Clone, Debug)]
struct Assignment {
    protocol: u8,
    port: u16,
    helper: String,
}

/// The protocols that have ports to assign a helper to.
const PROTOCOLS: [(&str, u8); 2] = [("tcp", 6), ("udp", 17)];
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl FromStr for Assignments {
    type Err = String;

    /// `default`, or a list of `proto:port:helper`, which may be empty.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self::usual());
        }
        let words = text.split(',').filter(|word| !word.is_empty());
        words.map(assignment).collect::<Result<_, _>>().map(Self)
    }
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let wrong = || format!("{text} is not proto:port:helper, such as tcp:21:ftp");
    let [protocol, port, helper] = text.split(':').collect::<Vec<_>>()[..] else {
        return Err(wrong());
    };
    let (_, number) =
        PROTOCOLS.into_iter().find(|(name, _)| *name == protocol).ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    if !FAMILIES.iter().any(|family| helpers::index_of(helper, *family, number).is_some()) {
        return Err(format!("there is no helper {helper} for {protocol}"));
    }
    Ok(Assignment { protocol: number, port, helper: helper.to_owned() })
}

impl Assignments {
    /// Every helper at the port that its protocol is known by.
    fn usual() -> Self {
        let usual = HELPERS.iter().filter(|helper| helper.port != 0).map(|helper| Assignment {
            protocol: helper.protocol,
            port: helper.port,
            helper: helper.name.to_owned(),
        });
        Self(usual.collect())
    }

    /// Puts the rules behind those of both families' raw tables, where the kernel would take them:
    /// some helpers are for one family only.
    pub(crate) fn append_to(&self, loaded: &mut Vec<Loaded>) {
        for family in FAMILIES {
            let Some(mut ours) = self.ruleset(family) else { continue };
            for table in &mut ours.tables {
                table.chains.iter_mut().flat_map(|chain| &mut chain.rules).for_each(of_no_file);
            }
            match loaded.iter_mut().find(|loaded| loaded.ruleset.family == family) {
                Some(loaded) => append(&mut loaded.ruleset, ours),
                None => {
                    let (path, source) = (PathBuf::new(), String::new());
                    loaded.push(Loaded { path, source, ruleset: ours });
                }
            }
        }
    }

    /// The raw table of one family with nothing else in it; `None` when no helper is for it.
    fn ruleset(&self, family: Family) -> Option<Ruleset> {
        let known =
            |one: &&Assignment| helpers::index_of(&one.helper, family, one.protocol).is_some();
        let rules: Vec<String> = self.0.iter().filter(known).map(Assignment::rule).collect();
        if rules.is_empty() {
            return None;
        }
        let mut text = String::from("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
        for chain in ["PREROUTING", "OUTPUT"] {
            for rule in &rules {
                text.push_str(&format!("-A {chain} {rule}\n"));
            }
        }
        text.push_str("COMMIT\n");
        iptables_save::parse(&text, family).ok()
    }
}

impl Assignment {
    /// As the end of a rule.
    fn rule(&self) -> String {
        let Self { protocol, port, helper } = self;
        let named = PROTOCOLS.into_iter().find(|(_, number)| number == protocol);
        let protocol = named.map_or("all", |(name, _)| name);
        format!("-p {protocol} -m {protocol} --dport {port} -j CT --helper {helper}")
    }
}

fn append(theirs: &mut Ruleset, ours: Ruleset) {
    for table in ours.tables {
        let Some(place) = theirs.tables.iter_mut().find(|t| t.name == TableName::Raw) else {
            theirs.tables.push(table);
            continue;
        };
        place.declared = true;
        for mut chain in table.chains {
            match place.chains.iter_mut().find(|other| other.hook == chain.hook) {
                Some(place) => place.rules.append(&mut chain.rules),
                None => place.chains.push(chain),
            }
        }
    }
}

fn of_no_file(rule: &mut Rule) {
    rule.span = Span::default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_become_raw_rules_and_nothing_else() {
        let rule = |text| assignment(text).map(|one| one.rule());
        assert_eq!(rule("tcp:2121:ftp").unwrap(), "-p tcp -m tcp --dport 2121 -j CT --helper ftp");
        for wrong in ["tcp:21", "tcp:70000:ftp", "tcp:21:ftp:x", "tcp:21:f p", ":21:ftp", ""] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
        assert!(rule("udp:21:ftp").is_err(), "no kernel has one");
    }

    #[test]
    fn they_stand_behind_the_rules_of_a_file() {
        let source = "*raw\n-A PREROUTING -j NOTRACK\nCOMMIT\n".to_owned();
        let ruleset = iptables_save::parse(&source, Family::V4).unwrap();
        let mut loaded = vec![Loaded { path: PathBuf::new(), source, ruleset }];
        "default".parse::<Assignments>().unwrap().append_to(&mut loaded);
        assert_eq!(loaded.len(), 2, "the other family has a table as well");
        let text = iptables_save::print(&loaded[0].ruleset, iptables_save::Print::default());
        let rules: Vec<&str> = text.lines().filter(|line| line.contains("PREROUTING -")).collect();
        assert!(rules[0].contains("NOTRACK"), "{rules:?}");
        let assigned = HELPERS.iter().filter(|h| h.port != 0 && h.families.contains(&Family::V4));
        assert_eq!(rules.len(), 1 + assigned.count());
    }
}
