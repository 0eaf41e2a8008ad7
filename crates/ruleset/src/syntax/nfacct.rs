//! The accounting objects of nfacct(8), as `nfacct list` prints them and `nfacct restore` reads them: one a
//! line, `{ pkts = 00000000000000000004, bytes = 00000000000000000336 } = NAME;`, with
//! `, quota = N, mode = byte, overquota = no` before the brace where it has a quota. Lines that are empty or
//! begin with `#` are passed over.

use crate::matches::nfacct::{Account, AccountUnfit, Accounts, NAME_MAX, Quota, Unit};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

/// Why a file was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
}

/// Adds the objects of a text.
///
/// # Errors
/// The first line that is none, or cannot be added.
pub fn load(accounts: &mut Accounts, text: &str) -> Result<(), Fault> {
    for (line, row) in (1..).zip(text.lines()) {
        let row = row.trim();
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let fault = |text: String| Fault { line, text };
        let (name, account) = object(row)
            .ok_or_else(|| fault("not an accounting object as `nfacct list` prints it".into()))?;
        if name.len() > NAME_MAX {
            return Err(fault(format!("the name is longer than {NAME_MAX} bytes")));
        }
        accounts.add(name, account).map_err(|why| {
            fault(match why {
                AccountUnfit::Exists => format!("there is an object `{name}` already"),
                AccountUnfit::Full => "too many objects".into(),
            })
        })?;
    }
    Ok(())
}

fn object(row: &str) -> Option<(&str, Account)> {
    let (fields, name) = row.strip_prefix('{')?.strip_suffix(';')?.split_once("} =")?;
    let name = name.trim_start();
    if name.is_empty() {
        return None;
    }
    let mut found: Vec<(&str, &str)> = Vec::new();
    for field in fields.split(',') {
        let (key, value) = field.split_once('=')?;
        found.push((key.trim(), value.trim()));
    }
    let number = |digits: &str| digits.parse::<u64>().ok();
    let (packets, bytes, rest) = match found.as_slice() {
        [("pkts", packets), ("bytes", bytes), rest @ ..] => {
            (number(packets)?, number(bytes)?, rest)
        }
        _ => return None,
    };
    let quota = match rest {
        [] => None,
        [("quota", most), ("mode", mode), ("overquota", reached)] => Some(Quota {
            most: number(most)?,
            unit: match *mode {
                "byte" => Unit::Bytes,
                "packet" => Unit::Packets,
                _ => return None,
            },
            reached: match *reached {
                "yes" => true,
                "no" => false,
                _ => return None,
            },
        }),
        _ => return None,
    };
    Some((name, Account { packets, bytes, quota }))
}

/// Appends one object as `nfacct list` prints it.
pub fn print(out: &mut String, name: &str, account: &Account) {
    let _ = write!(out, "{{ pkts = {:020}, bytes = {:020}", account.packets, account.bytes);
    if let Some(quota) = account.quota {
        let unit = match quota.unit {
            Unit::Bytes => "byte",
            Unit::Packets => "packet",
        };
        let reached = if quota.reached { "yes" } else { "no" };
        let _ = write!(out, ", quota = {:020}, mode = {unit}, overquota = {reached}", quota.most);
    }
    let _ = writeln!(out, " }} = {name};");
}

/// All objects.
#[must_use]
pub fn print_all(accounts: &Accounts) -> String {
    let mut out = String::new();
    accounts.iter().for_each(|(name, account)| print(&mut out, name, account));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\
{ pkts = 00000000000000000004, bytes = 00000000000000000336 } = test;
{ pkts = 00000000000000000004, bytes = 00000000000000000336, quota = 00000000000000001000, mode = byte, overquota = no } = q1;
{ pkts = 18446744073709551615, bytes = 00000000000000000336, quota = 00000000000000000003, mode = packet, overquota = yes } = a b;
";

    #[test]
    fn what_is_listed_is_read() {
        let mut accounts = Accounts::default();
        load(&mut accounts, LISTED).unwrap();
        assert_eq!(print_all(&accounts), LISTED);
        let short = "# mine\n\n{ pkts = 4, bytes = 5 } = x;\n";
        let mut accounts = Accounts::default();
        load(&mut accounts, short).unwrap();
        let wanted = Account { packets: 4, bytes: 5, quota: None };
        assert_eq!(accounts.named("x"), Some(&wanted));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        let rows = [
            ("rubbish", "not an accounting object"),
            ("{ pkts = 4, bytes = 5 } = ;", "not an accounting object"),
            ("{ pkts = 4, bytes = 5 } = x", "not an accounting object"),
            ("{ pkts = 4, bytes = 18446744073709551616 } = x;", "not an accounting object"),
            ("{ pkts = 4, bytes = 5, quota = 5 } = x;", "not an accounting object"),
            (
                "{ pkts = 4, bytes = 5, quota = 5, mode = kilo, overquota = no } = x;",
                "not an accounting object",
            ),
            ("{ pkts = 4, bytes = 5 } = test;", "already"),
            ("{ pkts = 4, bytes = 5 } = aaaaaaaaaabbbbbbbbbbccccccccccdd;", "longer than 31"),
        ];
        for (row, wanted) in rows {
            let text = format!("{LISTED}{row}\n");
            let fault = load(&mut Accounts::default(), &text).unwrap_err();
            assert!(fault.line == 4 && fault.text.contains(wanted), "{row}: {fault:?}");
        }
    }
}
