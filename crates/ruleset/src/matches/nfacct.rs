//! `nfacct`: counts the packet in an accounting object of nfacct(8), which rules share by name.
//!
//! Source: iptables-extensions(8), nfacct(8), and what Linux was seen to do. Objects are made outside of the
//! rules, as sets are: [`Accounts`] has them, [`crate::syntax::nfacct`] reads and writes them. Surprises: the
//! match always matches, but where its object has a quota, which few know: then it matches once more than the
//! quota has been counted, this packet among it; `overquota` is said of just so many already. Two blanks stand before the name in what is saved.

use crate::evaluate::{State, Traversal};
use crate::explain::{Piece, Pieces};
use crate::extension::{Arguments, BOTH, Extension, OptionSpec, valued, values};
use crate::matches::Match;
use crate::needs::{AccountUse, Needs};
use crate::targets::rateest::{UNKNOWN_YET, place};
use crate::verdict::Answer;
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec::Vec};

const NAME: u8 = 0;
const OPTIONS: &[OptionSpec] = &[valued("nfacct-name", NAME)];

const MANUAL: &str = "\
# nfacct

Counts the packet and its bytes in an accounting object of nfacct(8): for traffic that several rules, tables or
both families are to count together, and for counters that outlive the rules.

`--nfacct-name NAME`
: The object, needed. It has to be there before the rule is. What is longer than 31 bytes is cut.

    nfacct add http
    iptables -A INPUT -p tcp --sport 80 -m nfacct --nfacct-name http
    iptables -A OUTPUT -p tcp --dport 80 -m nfacct --nfacct-name http

It matches whatever it counts, so that a rule with nothing behind it just counts. But an object may have a quota
(`nfacct add http byte 1000000`): then the rule matches only when more than that has been counted.
`keepstate` takes the objects from a file as `nfacct list` prints it (`--nfacct FILE`).
";

/// The entry.
pub const EXTENSION: Extension<Box<dyn Match>> = Extension {
    name: "nfacct",
    families: BOTH,
    tables: &[],
    hooks: &[],
    options: OPTIONS,
    manual: MANUAL,
    parse,
};

/// Longest name in bytes; the rest is cut off.
pub const NAME_MAX: usize = 31;
/// Most objects.
pub const ACCOUNTS_MAX: usize = 65_536;

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
}

/// A limit, above which the rules of an object match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// So many.
    pub most: u64,
    /// Of these.
    pub unit: Unit,
    /// So many were counted at some time.
    pub reached: bool,
}

/// An accounting object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Packets counted.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its limit.
    pub quota: Option<Quota>,
}

impl Account {
    /// Counts a packet; whether rules match.
    fn count(&mut self, bytes: u64) -> bool {
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(bytes);
        let Some(quota) = &mut self.quota else { return true };
        let counted = match quota.unit {
            Unit::Packets => self.packets,
            Unit::Bytes => self.bytes,
        };
        quota.reached |= counted >= quota.most;
        counted > quota.most
    }
}

/// Why there is no room for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountUnfit {
    /// There is one of that name.
    Exists,
    /// There are [`ACCOUNTS_MAX`] of them.
    Full,
}

/// The accounting objects, in the order in which they came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    all: Vec<(Box<str>, Account)>,
    places: BTreeMap<Box<str>, usize>,
}

impl Accounts {
    /// Makes an object.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn add(&mut self, name: &str, account: Account) -> Result<(), AccountUnfit> {
        let name: Box<str> = cut(name).into();
        if self.places.contains_key(&name) {
            return Err(AccountUnfit::Exists);
        }
        if self.all.len() >= ACCOUNTS_MAX {
            return Err(AccountUnfit::Full);
        }
        self.places.insert(name.clone(), self.all.len());
        self.all.push((name, account));
        Ok(())
    }

    /// Leaves those for which this holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.all.retain(|(name, _)| keep(name));
        let numbered = self.all.iter().enumerate();
        self.places = numbered.map(|(place, (name, _))| (name.clone(), place)).collect();
    }

    /// One by its name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Account> {
        self.all.get(*self.places.get(name)?).map(|(_, account)| account)
    }

    /// All, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.all.iter().map(|(name, account)| (&**name, account))
    }

    /// All, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Account)> {
        self.all.iter_mut().map(|(name, account)| (&**name, account))
    }
}

/// The name of an object, cut.
#[must_use]
pub fn cut(text: &str) -> &str {
    let end = (0..=NAME_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or("")
}

/// An instance.
#[derive(Debug)]
pub struct NfAcct {
    used: AccountUse,
}

fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Match>> {
    let given = arguments.required(NAME)?;
    if given.value.is_empty() {
        arguments.bad_value(given, "a name of at least one character");
        return None;
    }
    let used = AccountUse { name: cut(&given.value).into(), span: given.value_span };
    Some(Box::new(NfAcct { used }))
}

impl Match for NfAcct {
    fn name(&self) -> &'static str {
        EXTENSION.name
    }

    fn matches(&self, traversal: &mut Traversal<'_>, state: &mut State) -> Answer {
        let accounts = &mut traversal.stores.accounts;
        let found = place(&mut state.credit, || accounts.places.get(&self.used.name).copied());
        match found.and_then(|place| accounts.all.get_mut(place)) {
            Some((_, account)) => account.count(traversal.packet.length.into()).into(),
            None => Answer::Unknown,
        }
    }

    fn initial(&self) -> State {
        UNKNOWN_YET
    }

    fn need(&self, needs: &mut Needs) {
        needs.accounts.push(self.used.clone());
    }

    fn print(&self, out: &mut String) {
        out.push_str(" --nfacct-name  ");
        values::print_word(out, &self.used.name);
    }

    fn list(&self, out: &mut String, _: bool) {
        out.push_str(" nfacct-name  ");
        values::print_word(out, &self.used.name);
    }

    fn explain(&self, out: &mut Pieces) {
        out.push(Piece::Condition(format!(
            "it is counted in the accounting object `{}`, which holds for every packet unless the object \
             has a quota",
            self.used.name
        )));
        out.push(Piece::Note(
            "What was counted stands in no rule: `nfacct list` tells. An object with a quota lets the rule \
             match only when more has been counted than that."
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Stores;
    use crate::matches::testing::{self, check};
    use crate::syntax::iptables_save;
    use keepstate_packet::Family;

    #[test]
    fn texts() {
        let rows = &[
            ("-m nfacct --nfacct-name  test", "=", " nfacct-name  test", "="),
            (
                "-m nfacct --nfacct-name a.b",
                "-m nfacct --nfacct-name  \"a.b\"",
                " nfacct-name  \"a.b\"",
                "=",
            ),
            (
                "-m nfacct --nfacct-name aaaaaaaaaabbbbbbbbbbccccccccccdxyz",
                "-m nfacct --nfacct-name  aaaaaaaaaabbbbbbbbbbccccccccccd",
                " nfacct-name  aaaaaaaaaabbbbbbbbbbccccccccccd",
                "=",
            ),
            ("-m nfacct", "", "", ""),
            ("-m nfacct --nfacct-name \"\"", "", "", ""),
            ("-m nfacct ! --nfacct-name test", "", "", ""),
            ("-m nfacct --nfacct-name a --nfacct-name b", "", "", ""),
        ];
        check(Family::V4, rows);
        check(Family::V6, rows);
    }

    #[test]
    fn packets_are_counted_and_quotas_exceeded() {
        let text = "*filter\n-A INPUT -m nfacct --nfacct-name a\nCOMMIT\n";
        let ruleset = iptables_save::parse(text, Family::V4).unwrap();
        let quota = |most, unit| Some(Quota { most, unit, reached: false });
        // Each packet has 28 bytes.
        let rows = [
            (None, [Answer::Yes; 3]),
            (quota(2, Unit::Packets), [Answer::No, Answer::No, Answer::Yes]),
            (quota(55, Unit::Bytes), [Answer::No, Answer::Yes, Answer::Yes]),
            (quota(56, Unit::Bytes), [Answer::No, Answer::No, Answer::Yes]),
            (quota(0, Unit::Bytes), [Answer::Yes; 3]),
            (quota(u64::MAX, Unit::Packets), [Answer::No; 3]),
        ];
        for (quota, wanted) in rows {
            let mut stores = Stores::new(1);
            stores.accounts.add("a", Account { quota, ..Account::default() }).unwrap();
            let rule = &ruleset.tables[0].chains[0].rules[0];
            assert_eq!([(); 3].map(|()| testing::ask_with(rule, &mut stores)), wanted, "{quota:?}");
            let account = stores.accounts.named("a").unwrap();
            assert_eq!((account.packets, account.bytes), (3, 84));
            let reached = account.quota.is_some_and(|quota| quota.reached);
            assert_eq!(reached, quota.is_some_and(|quota| quota.most < 100));
        }
    }

    #[test]
    fn a_rule_whose_object_is_not_there_is_unknown() {
        let text = "*filter\n-A INPUT -m nfacct --nfacct-name a\nCOMMIT\n";
        let ruleset = iptables_save::parse(text, Family::V4).unwrap();
        let rule = &ruleset.tables[0].chains[0].rules[0];
        assert_eq!(testing::ask_with(rule, &mut Stores::new(1)), Answer::Unknown);
        let needs = ruleset.needs();
        assert_eq!(needs.accounts.iter().map(|used| &*used.name).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn so_many_objects_and_no_more() {
        let mut accounts = Accounts::default();
        for number in 0..ACCOUNTS_MAX {
            assert_eq!(accounts.add(&format!("{number}"), Account::default()), Ok(()));
        }
        assert_eq!(accounts.add("0", Account::default()), Err(AccountUnfit::Exists));
        assert_eq!(accounts.add("one more", Account::default()), Err(AccountUnfit::Full));
        accounts.retain(|name| name.ends_with("99"));
        assert_eq!(accounts.iter().next().map(|(name, _)| name), Some("99"));
        assert!(accounts.named("199").is_some() && accounts.named("0").is_none());
        assert_eq!(accounts.add("one more", Account::default()), Ok(()));
    }
}
