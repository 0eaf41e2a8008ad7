//! Fixes carried out: edits of the text, each proven before it is kept.

use super::finding::{Edit, Expected, Finding};
use super::proof::{Proof, prove};
use super::{Wanted, lint, read};
use crate::algebra::Exhausted;
use crate::lints::LINTS;
use keepstate_packet::Family;
use keepstate_ruleset::labels::LabelNames;
use keepstate_ruleset::model::Ruleset;

/// How often a file is looked over anew, at most.
pub const ROUNDS_MAX: usize = 16;

/// What was done to a file.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// The text now.
    pub text: String,
    /// By code how many findings were mended, in the order in which that was done, with the proof.
    pub done: Vec<(&'static str, usize, Proof)>,
    /// Fixes that were not carried out: the code and why not.
    pub left: Vec<(&'static str, String)>,
}

/// How a file is to be changed.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Of what family its rules are.
    pub family: Family,
    /// The names of labels.
    pub labels: &'a LabelNames,
    /// Carries out fixes that change more than they say, too.
    pub unproven: bool,
}

/// Carries out the fixes of all findings that are wanted, kind after kind.
///
/// # Errors
/// The packet sets are too large. A text whose rules cannot be read is left as it is.
pub fn fix(
    source: &str,
    beside: Option<&Ruleset>,
    wanted: &Wanted,
    how: How<'_>,
) -> Result<Fixed, Exhausted> {
    let mut fixed = Fixed { text: source.into(), ..Fixed::default() };
    for kind in LINTS.iter().filter(|lint| wanted.wants(lint)) {
        let only = Wanted { only: vec![kind.code.into()], ..wanted.clone() };
        // The text before the last round, and how many findings it had.
        let mut last: Option<(String, usize)> = None;
        for _ in 0..ROUNDS_MAX {
            let Ok(ruleset) = read::ruleset(&fixed.text, how.family, how.labels) else { break };
            let found = lint(&fixed.text, &ruleset, beside, &only)?;
            let found: Vec<Finding> = found.into_iter().filter(|one| one.fix.is_some()).collect();
            if let Some((text, count)) = last.take()
                && found.len() >= count
            {
                fixed.text = text;
                fixed.done.pop();
                fixed
                    .left
                    .push((kind.code, "the finding is there afterwards just the same".into()));
                break;
            }
            if found.is_empty() {
                break;
            }
            last = Some((fixed.text.clone(), found.len()));
            if !fixed.kind(kind.code, &ruleset, &found, how)? {
                break;
            }
        }
    }
    fixed.left.dedup();
    Ok(fixed)
}

impl Fixed {
    /// Carries out fixes of a kind together; where that is not proven, one after the other. Whether anything was
    /// done.
    fn kind(
        &mut self,
        code: &'static str,
        old: &Ruleset,
        found: &[Finding],
        how: How<'_>,
    ) -> Result<bool, Exhausted> {
        let before = self.done.len();
        if self.attempt(code, old, found, how)?.is_none() {
            return Ok(true);
        }
        for one in found.iter().take(ROUNDS_MAX) {
            // Places of the others are other ones once a text has changed.
            if let Some(why) = self.attempt(code, old, std::slice::from_ref(one), how)? {
                self.left.push((code, why));
            } else {
                break;
            }
        }
        Ok(self.done.len() > before)
    }

    /// `None`: done; else why not.
    fn attempt(
        &mut self,
        code: &'static str,
        old: &Ruleset,
        found: &[Finding],
        how: How<'_>,
    ) -> Result<Option<String>, Exhausted> {
        let edits = found.iter().filter_map(|one| one.fix.as_ref()).flat_map(|fix| &fix.edits);
        let text = edited(&self.text, edits.cloned().collect());
        let new = match read::ruleset(&text, how.family, how.labels) {
            Ok(new) => new,
            Err(faults) => {
                let why = faults.first().map_or("", |fault| fault.text.as_str());
                return Ok(Some(format!("the rules could not be read afterwards: {why}")));
            }
        };
        let expected: Vec<Expected> =
            found.iter().filter_map(|one| Some(one.fix.as_ref()?.expected.clone())).collect();
        let proof = prove(old, &new, &expected)?;
        if !proof.is_expected && !how.unproven {
            let told = proof.told().join("; ");
            return Ok(Some(format!("it would change more than it says: {told}")));
        }
        self.text = text;
        self.done.push((code, found.len(), proof));
        Ok(None)
    }
}

/// A text with edits carried out; of edits that overlap, the first.
#[must_use]
pub fn edited(source: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut text = String::with_capacity(source.len());
    let mut at = 0;
    for edit in edits {
        let (start, end) = (edit.span.start as usize, edit.span.end as usize);
        let Some(before) = source.get(at..start) else { continue };
        text.push_str(before);
        text.push_str(&edit.text);
        at = end;
    }
    text.push_str(source.get(at..).unwrap_or(""));
    text
}
