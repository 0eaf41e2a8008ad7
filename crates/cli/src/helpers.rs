//! `--helpers`: helpers assigned by port, as if the raw tables ended with the rules; and whether the
//! helpers that rules name are registered.

use crate::rulesets::{self, Loaded};
use crate::{exit::Exit, terminal::Terminal};
use keepstate_conntrack::{helpers::Instance, sysctl::module::Modules};
use keepstate_packet::Family;
use keepstate_ruleset::{
    diagnostic::{Diagnostic, code},
    model::{Rule, Ruleset, Span, TableName},
    needs::HelperUse,
    syntax::iptables_save,
};
use std::{path::PathBuf, str::FromStr};

/// Helpers and the ports that they are assigned to.
#[derive(Clone, Debug)]
pub(crate) enum Assignments {
    /// All that are registered, each to its port.
    Registered,
    These(Vec<Assignment>),
}

#[derive(Clone, Debug)]
pub(crate) struct Assignment {
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
            return Ok(Self::Registered);
        }
        let words = text.split(',').filter(|word| !word.is_empty());
        words.map(assignment).collect::<Result<_, _>>().map(Self::These)
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
    if !FAMILIES.iter().any(|family| Instance::named(helper, *family, number).is_some()) {
        return Err(format!("there is no helper {helper} for {protocol}"));
    }
    Ok(Assignment { protocol: number, port, helper: helper.to_owned() })
}

impl Assignments {
    /// Puts the rules behind those of both families' raw tables, where the kernel would take them:
    /// some helpers are for one family only.
    pub(crate) fn append_to(
        &self,
        loaded: &mut Vec<Loaded>,
        modules: &Modules,
    ) -> Result<(), String> {
        let all = self.all(modules)?;
        for family in FAMILIES {
            let Some(mut ours) = raw_table(&all, family) else { continue };
            for table in &mut ours.tables {
                table.chains.iter_mut().flat_map(|chain| &mut chain.rules).for_each(of_no_file);
            }
            match loaded.iter_mut().find(|loaded| loaded.ruleset.family == family) {
                Some(loaded) => append(&mut loaded.ruleset, ours),
                None => {
                    let (path, source) = (PathBuf::new(), String::new());
                    loaded.push(Loaded { path, source, ruleset: ours, is_part: false });
                }
            }
        }
        Ok(())
    }

    fn all(&self, modules: &Modules) -> Result<Vec<Assignment>, String> {
        let these = match self {
            Self::Registered => {
                return Ok(Instance::registered(modules).filter_map(usual).collect());
            }
            Self::These(these) => these,
        };
        for one in these {
            let unfit = Instance::called(&one.helper).find(|of| !of.is_registered(modules));
            if let Some((text, help)) = unfit.map(unregistered) {
                return Err(format!("{text}: {help}"));
            }
        }
        Ok(these.clone())
    }
}

fn usual((instance, port): (Instance, u16)) -> Option<Assignment> {
    let protocol = instance.helper()?.protocol;
    Some(Assignment { protocol, port, helper: instance.name().to_string() })
}

/// The raw table of one family with nothing else in it; `None` when no helper is for it.
fn raw_table(assignments: &[Assignment], family: Family) -> Option<Ruleset> {
    let known = |one: &&Assignment| Instance::named(&one.helper, family, one.protocol).is_some();
    let rules: Vec<String> = assignments.iter().filter(known).map(Assignment::rule).collect();
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

/// Whether modules with these parameters register what rules name; each that they do not is told.
pub(crate) fn check_rules(
    modules: &Modules,
    loaded: &[Loaded],
    terminal: &Terminal,
) -> Result<(), Exit> {
    rulesets::check(loaded, terminal, |file| {
        let needs = file.ruleset.needs();
        let unfit = needs.helpers.iter().filter(|used| !used.instance.is_registered(modules));
        let fault = |used: &HelperUse| {
            let (text, help) = unregistered(used.instance);
            Diagnostic::new(code::KERNEL_REFUSES, used.span, text).help(help)
        };
        unfit.map(fault).collect()
    })
}

/// What is wrong with a helper that is not registered, and what would help.
fn unregistered(instance: Instance) -> (String, String) {
    let parameter = instance.parameter().unwrap_or_default();
    let text = format!("the helper `{}` is not registered by {parameter}", instance.name());
    let example = instance.example().unwrap_or_default();
    (text, format!("--sysctl {parameter}={example}"))
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
        let mut loaded = vec![Loaded { path: PathBuf::new(), source, ruleset, is_part: false }];
        let default = "default".parse::<Assignments>().unwrap();
        default.append_to(&mut loaded, &Modules::default()).unwrap();
        assert_eq!(loaded.len(), 2, "the other family has a table as well");
        let text = iptables_save::print(&loaded[0].ruleset, iptables_save::Print::default());
        let rules: Vec<&str> = text.lines().filter(|line| line.contains("PREROUTING -")).collect();
        assert!(rules[0].contains("NOTRACK"), "{rules:?}");
        assert_eq!(rules.len(), 1 + Instance::registered(&Modules::default()).count());
    }
}
