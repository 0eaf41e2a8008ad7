//! `--helpers`: helpers assigned by port, as if the raw table began with the rules.

use crate::rulesets::Loaded;
use keepstate_conntrack::Hook;
use keepstate_packet::Family;
use keepstate_ruleset::{
    model::{Rule, Ruleset, Span, TableName},
    syntax::iptables_save,
};
use std::{path::PathBuf, str::FromStr};

/// The helpers this build has, at their usual ports.
const DEFAULT: &str = "tcp:21:ftp";

/// A list of `proto:port:helper`.
#[derive(Clone, Debug)]
pub(crate) struct Assignments(Vec<String>);

impl FromStr for Assignments {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = if text == "default" { DEFAULT } else { text };
        let rules: Vec<String> = text.split(',').map(rule).collect::<Result<_, _>>()?;
        let assignments = Self(rules);
        assignments.parse(Family::V4)?;
        Ok(assignments)
    }
}

/// One assignment as the end of a rule.
fn rule(text: &str) -> Result<String, String> {
    let wrong = || format!("{text} is not proto:port:helper, such as tcp:21:ftp");
    let mut parts = text.split(':');
    let (Some(protocol), Some(port), Some(helper), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let is_word = |word: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        !word.is_empty() && word.chars().all(known)
    };
    if ![protocol, helper].into_iter().all(is_word) || port.parse::<u16>().is_err() {
        return Err(wrong());
    }
    Ok(format!("-p {protocol} -m {protocol} --dport {port} -j CT --helper {helper}"))
}

impl Assignments {
    /// Puts the rules in front of those of both families' raw tables.
    pub(crate) fn put_first(&self, loaded: &mut Vec<Loaded>) {
        for family in [Family::V4, Family::V6] {
            let Ok(mut ours) = self.parse(family) else { continue };
            match loaded.iter_mut().find(|loaded| loaded.ruleset.family == family) {
                Some(loaded) => merge(&mut loaded.ruleset, ours),
                None => {
                    for table in &mut ours.tables {
                        let rules = table.chains.iter_mut().flat_map(|chain| &mut chain.rules);
                        rules.for_each(of_no_file);
                    }
                    let (path, source) = (PathBuf::new(), String::new());
                    loaded.push(Loaded { path, source, ruleset: ours });
                }
            }
        }
    }

    fn parse(&self, family: Family) -> Result<Ruleset, String> {
        let mut text = String::from("*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
        for chain in ["PREROUTING", "OUTPUT"] {
            for rule in &self.0 {
                text.push_str(&format!("-A {chain} {rule}\n"));
            }
        }
        text.push_str("COMMIT\n");
        iptables_save::parse(&text, family).map_err(|diagnostics| {
            diagnostics.first().map_or_else(String::new, |first| first.text.clone())
        })
    }
}

fn merge(theirs: &mut Ruleset, ours: Ruleset) {
    for table in ours.tables {
        let Some(place) = theirs.tables.iter_mut().find(|t| t.name == TableName::Raw) else {
            theirs.tables.push(table);
            continue;
        };
        for chain in table.chains {
            let hook: Option<Hook> = chain.hook;
            if let Some(place) = place.chains.iter_mut().find(|c| c.hook == hook) {
                let mut rules = chain.rules;
                rules.iter_mut().for_each(of_no_file);
                rules.append(&mut place.rules);
                place.rules = rules;
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
        assert_eq!(rule("tcp:2121:ftp").unwrap(), "-p tcp -m tcp --dport 2121 -j CT --helper ftp");
        for wrong in ["tcp:21", "tcp:70000:ftp", "tcp:21:ftp:x", "tcp:21:f p", ":21:ftp", ""] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
    }
}
