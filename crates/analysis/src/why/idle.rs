//! Rules that do nothing by themselves, whatever comes to them: they only count.

use super::Place;
use crate::diff::{fates, reachable_from};
use keepstate_ruleset::model::{ChainIndex, Jump, Rule, Ruleset, Table};
use keepstate_ruleset::verdict::Step;

/// Why a rule does nothing, for one that does not.
pub(super) fn why(ruleset: &Ruleset, place: Place) -> Option<String> {
    let table = ruleset.table(place.table)?;
    let rule = place.rule(ruleset)?;
    if !fates::does(rule, table.name).is_empty() {
        return None;
    }
    match rule.target {
        Jump::None => Some("it has no target: it counts packets and decides nothing".to_string()),
        Jump::Jump(to) if is_idle(table, to) => {
            let chain = table.chain(to)?;
            Some(match chain.rules.as_slice() {
                [] => format!("chain {} has no rules: packets come straight back", chain.name),
                _ => format!("the rules of chain {} do nothing: packets come back", chain.name),
            })
        }
        _ => None,
    }
}

/// Whether packets come back from a chain as they went in.
fn is_idle(table: &Table, chain: ChainIndex) -> bool {
    let chains = reachable_from(table, [chain]);
    let mut rules = chains.iter().filter_map(|at| table.chain(*at)).flat_map(|chain| &chain.rules);
    rules.all(|rule| does_nothing(rule, table))
}

fn does_nothing(rule: &Rule, table: &Table) -> bool {
    let goes_on = matches!(
        rule.target,
        Jump::None | Jump::Jump(_) | Jump::Standard(Step::Return | Step::Continue)
    );
    goes_on && fates::does(rule, table.name).is_empty()
}
