//! What the line of a chain declares beside its name: policy and counters.

use crate::model::{Chain, Policy};

/// `[PACKETS:BYTES]`.
pub(super) fn read_counters(text: &str) -> Option<(u64, u64)> {
    read_pair(text.strip_prefix('[')?.strip_suffix(']')?)
}

/// `PACKETS:BYTES`.
pub(super) fn read_pair(text: &str) -> Option<(u64, u64)> {
    let (packets, bytes) = text.split_once(':')?;
    leading_number(packets).zip(leading_number(bytes))
}

/// The digits at the beginning of a text, behind blanks, as strtoull(3) takes them: what follows
/// them does not count, and what is too large is the largest number.
fn leading_number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t']);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let digits = text.get(..end).filter(|digits| !digits.is_empty())?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Whether it is a policy.
pub(super) fn set_policy(chain: &mut Chain, policy: &str) -> bool {
    let policy = match policy {
        "ACCEPT" => Policy::Accept,
        "DROP" => Policy::Drop,
        _ => return false,
    };
    chain.policy = Some(policy);
    true
}
