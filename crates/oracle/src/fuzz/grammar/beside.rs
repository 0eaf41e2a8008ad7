//! What names things that are made beside the rules.

use super::super::random::Random;
use super::{Entry, Place};

pub(super) const MATCHES: &[Entry] = &[Entry::new("nfacct", |random, _| {
    Some(format!(" --nfacct-name {}", random.pick(&["plain", "over", "under", "beyond"])))
})];

/// The accounting objects that rules name, as nfacct(8) lists them: what they say of a packet does not hang
/// on what was counted before it.
pub(crate) const ACCOUNTS: &str = "\
{ pkts = 0, bytes = 0 } = plain;
{ pkts = 0, bytes = 0, quota = 0, mode = packet, overquota = no } = over;
{ pkts = 0, bytes = 0, quota = 18446744073709551615, mode = byte, overquota = no } = under;
{ pkts = 0, bytes = 0, quota = 18446744073709551615, mode = packet, overquota = no } = beyond;
";

/// An estimator measures alike wherever it is named, else the kernel refuses it.
pub(super) fn rateest(random: &mut Random, _: &Place) -> Option<String> {
    let interval = random.pick(&["250ms", "500ms", "1s", "4s", "8s"]);
    let average = random.pick(&["16s", "100s", "2000s"]);
    Some(format!(
        " --rateest-name {interval}-{average} --rateest-interval {interval} --rateest-ewmalog {average}"
    ))
}
