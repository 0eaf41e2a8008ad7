//! Rule texts of every form as rule sets.

use super::linted::Form;
use keepstate_packet::Family;
use keepstate_ruleset::diagnostic::Diagnostic;
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::Ruleset;
use keepstate_ruleset::syntax::iptables_command::script;
use keepstate_ruleset::syntax::{iptables_list, iptables_save};

/// The rules of a family that a text holds.
///
/// # Errors
/// What is wrong with it.
pub fn ruleset(
    source: &str,
    family: Family,
    labels: &LabelNames,
) -> Result<Ruleset, Vec<Diagnostic>> {
    match Form::of(source) {
        Form::Script => {
            let script = script::run(source, labels);
            if !script.told {
                return Err(script.faults);
            }
            let kept = if family == Family::V4 { &script.v4 } else { &script.v6 };
            kept.ruleset_of_commands(labels)
        }
        Form::Listing => {
            iptables_list::parse(source, family, labels).map(|listing| listing.ruleset)
        }
        Form::Save => iptables_save::parse_with(source, family, labels),
    }
}
