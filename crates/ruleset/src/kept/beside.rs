//! What rules name that stands in no rule, or only in others: sets, accounting objects, rate estimators.

use super::refusal::Why;
use super::{Kept, Refusal};
use crate::matches::nfacct::Accounts;
use crate::model::{Jump, Rule};
use crate::needs::{EstimatorUnfit, EstimatorsMade, Needs, SetUnfit};
use crate::sets::ipset::Sets;
use alloc::format;
use keepstate_packet::Family;

/// What there is; `None` where nobody asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    sets: Option<Sets>,
    accounts: Option<Accounts>,
    estimators: Option<EstimatorsMade>,
}

impl Beside {
    pub(super) const NOTHING: Self = Self { sets: None, accounts: None, estimators: None };
}

impl Kept {
    /// Has rules refused that name other sets than these.
    #[must_use]
    pub fn with_sets(mut self, sets: Sets) -> Self {
        self.beside.sets = Some(sets);
        self
    }

    /// Has rules refused that name other accounting objects than these.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Accounts) -> Self {
        self.beside.accounts = Some(accounts);
        self
    }

    /// Has rules refused that ask other rate estimators than these and those of rules put in from now on.
    #[must_use]
    pub fn with_estimators(mut self, estimators: EstimatorsMade) -> Self {
        self.beside.estimators = Some(estimators);
        self
    }

    /// Whether the sets that rules name are there, and for their family.
    pub(super) fn sets_fit(&self, rules: &[Rule]) -> Result<(), Refusal> {
        let Some(sets) = &self.beside.sets else { return Ok(()) };
        for used in &needs(rules).sets {
            let family = match used.check(sets) {
                Ok(()) => continue,
                Err(SetUnfit::Missing) => {
                    let text = format!("Set {} doesn't exist.\n", used.name);
                    return Err(Refusal::problem(text));
                }
                Err(SetUnfit::Family(Family::V4)) => "IPv4",
                Err(SetUnfit::Family(Family::V6)) => "IPv6",
            };
            return Err(Refusal::problem(format!(
                "The protocol family of set {} is {family}, which is not applicable.\n",
                used.name
            )));
        }
        Ok(())
    }

    /// Whether the kernel would have what rules that are put in name; what they make is there then.
    pub(super) fn takes(&mut self, rules: &[Rule], what: &str, chain: &str) -> Result<(), Refusal> {
        let variant = self.variant;
        let refused =
            |why: Why| Err(Refusal::failed(variant, what, why, &format!("rule in chain {chain}")));
        let needs = needs(rules);
        if let Some(accounts) = &self.beside.accounts
            && needs.accounts.iter().any(|used| accounts.named(&used.name).is_none())
        {
            return refused(Why::MISSING);
        }
        let Some(estimators) = &mut self.beside.estimators else { return Ok(()) };
        for used in &needs.estimators {
            match estimators.take(used) {
                Ok(()) => {}
                Err(EstimatorUnfit::Missing) => return refused(Why::MISSING),
                Err(EstimatorUnfit::Otherwise) => return refused(Why::INVALID),
            }
        }
        Ok(())
    }
}

fn needs(rules: &[Rule]) -> Needs {
    let mut needs = Needs::default();
    for rule in rules {
        rule.matches.iter().for_each(|one| one.need(&mut needs));
        if let Jump::Target(target) = &rule.target {
            target.need(&mut needs);
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::{Restore, Variant};
    use crate::labels::LabelNames;
    use crate::matches::nfacct::Account;
    use alloc::string::String;

    /// What a file comes to, all at once: the words of its refusal.
    fn restored(variant: Variant, rules: &str) -> String {
        let mut accounts = Accounts::default();
        accounts.add("test", Account::default()).unwrap();
        let kept = Kept::new(Family::V4, variant).with_accounts(accounts);
        let mut kept = kept.with_estimators(EstimatorsMade::default());
        let text = format!("*filter\n{rules}COMMIT\n");
        let (_, result) = kept.restore(&text, Restore::default(), LabelNames::NONE);
        match result {
            Ok(()) => String::new(),
            Err((refusal, line)) => refusal.text("iptables", variant, line, ("-", &text)),
        }
    }

    #[test]
    fn accounting_objects_have_to_be_there() {
        assert_eq!(restored(Variant::Nft, "-A INPUT -m nfacct --nfacct-name test\n"), "");
        let wrong = "-A INPUT -m nfacct --nfacct-name wrong\n";
        let nft = restored(Variant::Nft, wrong);
        assert!(
            nft.contains("RULE_APPEND failed (No such file or directory): rule in chain INPUT"),
            "{nft}"
        );
        let legacy = restored(Variant::Legacy, wrong);
        assert!(legacy.contains("line 2 failed"), "{legacy}");
    }

    #[test]
    fn estimators_have_to_be_made_first() {
        let make =
            "-A INPUT -j RATEEST --rateest-name A --rateest-interval 1s --rateest-ewmalog 4s\n";
        let other =
            "-A INPUT -j RATEEST --rateest-name A --rateest-interval 1s --rateest-ewmalog 8s\n";
        let ask = "-A INPUT -m rateest --rateest A --rateest-gt --rateest-pps 5\n";
        let put_first = "-I INPUT -m rateest --rateest A --rateest-gt --rateest-pps 5\n";
        let rows = [
            (format!("{make}{ask}{make}{put_first}"), ""),
            (format!("{ask}{make}"), "No such file or directory"),
            (format!("{make}{other}"), "Invalid argument"),
        ];
        for (rules, wanted) in rows {
            let found = restored(Variant::Nft, &rules);
            assert!(found.contains(wanted) && found.is_empty() == wanted.is_empty(), "{found}");
        }
    }
}
