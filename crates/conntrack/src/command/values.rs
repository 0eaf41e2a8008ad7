//! Values of options, read as the C library reads them: numbers end where digits do and wrap,
//! IPv4 addresses may have fewer than four parts.

use super::{EventMask, Fault, Masked, OptionKind, Output};
use crate::CtStatus;
use crate::flow::{LabelNames, Labels};
use crate::listing::STATUS_WORDS;
use alloc::format;
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};
use keepstate_packet::{Address, Family};

/// strtoul(3): the number at the start, saturating and negated by a minus, and what follows it.
/// Base 0 takes the base from a prefix, as C does.
pub(super) fn unsigned(text: &str, base: u32) -> (u64, &str) {
    let trimmed = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let hexadecimal = hexadecimal.filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
    let (base, digits) = match (base, hexadecimal) {
        (0 | 16, Some(rest)) => (16, rest),
        (0, None) if digits.starts_with('0') => (8, digits),
        (0, None) => (10, digits),
        (base, _) => (base, digits),
    };
    let end = digits.find(|c: char| !c.is_digit(base)).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    if number.is_empty() {
        return (0, text);
    }
    let mut value = 0_u64;
    for digit in number.chars().filter_map(|c| c.to_digit(base)) {
        match value.checked_mul(base.into()).and_then(|v| v.checked_add(digit.into())) {
            Some(next) => value = next,
            None => return (u64::MAX, rest),
        }
    }
    (if negative { value.wrapping_neg() } else { value }, rest)
}

/// strtoul(3) into 32 bits.
pub(super) fn number(text: &str) -> u32 {
    unsigned(text, 0).0 as u32
}

/// atoi(3): no base but ten.
pub(super) fn decimal(text: &str) -> u32 {
    unsigned(text, 10).0 as u32
}

/// The same in 16 bits, as ports are read.
pub(super) fn port(text: &str) -> u16 {
    decimal(text) as u16
}

/// `VALUE[/MASK]`.
pub(super) fn masked(text: &str) -> Masked {
    let (value, rest) = unsigned(text, 0);
    let mask = rest.strip_prefix('/').map_or(u32::MAX, number);
    Masked { value: value as u32, mask }
}

/// An address of either family.
pub(super) fn address(text: &str) -> Result<(Family, Address), Fault> {
    let fault = || Fault::parameter(format!("Invalid IP address `{text}'"));
    if let Some(v4) = ipv4(text) {
        return Ok((Family::V4, Address::v4(v4.octets())));
    }
    let v6: Ipv6Addr = text.parse().map_err(|_| fault())?;
    Ok((Family::V6, Address::v6(v6.octets())))
}

/// inet_aton(3): one to four parts, the last one taking what room is left.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let text = text.split(|c: char| c.is_ascii_whitespace()).next()?;
    let count = text.split('.').count();
    let mut address = 0_u32;
    for (place, part) in text.split('.').enumerate() {
        let digits = part.starts_with(|c: char| c.is_ascii_digit());
        let (value, rest) = unsigned(part, 0);
        let is_last = place + 1 == count;
        let room = if is_last { 8 * (5_u32.checked_sub(count as u32)?) } else { 8 };
        if !digits || !rest.is_empty() || value >> room != 0 || place > 3 {
            return None;
        }
        let shift = if is_last { 0 } else { 24 - 8 * place as u32 };
        address |= (value as u32).checked_shl(shift)?;
    }
    Some(Ipv4Addr::from(address))
}

/// `ADDRESS[/LENGTH]`: the address and its length, yet to be read.
pub(super) fn network(text: &str) -> Result<(Family, Address, Option<&str>), Fault> {
    let (address_text, length) = match text.split_once('/') {
        Some((address, length)) if !address.is_empty() => (address, Some(length)),
        _ => (text, None),
    };
    let whole = |_| Fault::parameter(format!("Invalid IP address `{text}'"));
    let (family, address) = address(address_text).map_err(whole)?;
    Ok((family, address, length))
}

/// The mask that a length stands for; none for the longest, which is as good.
pub(super) fn mask(family: Family, length: &str) -> Result<Option<Address>, Fault> {
    let longest = if family == Family::V4 { 32 } else { 128 };
    let (length, rest) = unsigned(length, 10);
    let wrong = || Fault::parameter("Invalid netmask");
    let length = u32::try_from(length).ok().filter(|l| *l <= longest && rest.is_empty());
    let length = length.ok_or_else(wrong)?;
    Ok((length != longest).then(|| prefix(length)))
}

/// The mask with this many leading ones.
fn prefix(length: u32) -> Address {
    let ones = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Address(ones.to_be_bytes())
}

/// `ADDRESS[:PORT]`, or `[ADDRESS]:PORT`, of a translation.
pub(super) fn translation(text: &str) -> Result<(Family, Address, Option<u16>), Fault> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    let split = bracketed.or_else(|| {
        let (address, port) = text.split_once(':')?;
        (!port.contains(':')).then_some((address, port))
    });
    let Some((address_text, port)) = split else {
        let (family, address) = address(text)?;
        return Ok((family, address, None));
    };
    if port.is_empty() {
        return Err(Fault::parameter("No port specified after `:'"));
    }
    let wrong = || Fault::parameter(format!("Invalid port `{port}'"));
    let (number, rest) = unsigned(port, 10);
    let is_number = rest.is_empty() && port.starts_with(|c: char| c.is_ascii_digit());
    let number = u16::try_from(number).ok().filter(|_| is_number).ok_or_else(wrong)?;
    let (family, address) = address(address_text)?;
    Ok((family, address, Some(number)))
}

/// A list of words, each of which may be cut short; the first that begins like it counts.
fn words(
    text: &str,
    warnings: &mut String,
    known: &[&str],
    mut take: impl FnMut(usize),
) -> Result<(), Fault> {
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (word, after) = match text.split_once(',') {
            Some((word, after)) => (word, Some(after)),
            None => (text, None),
        };
        let begins = |name: &str| {
            name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        let bad = || Fault::parameter(format!("Bad parameter `{text}'"));
        if word.is_empty() {
            return Err(bad());
        }
        if let Some((name, option)) =
            [("SRC_NAT", "--src-nat"), ("DST_NAT", "--dst-nat")].iter().find(|(n, _)| begins(n))
        {
            warnings.push_str(&format!("WARNING: ignoring {name}, use {option} instead\n"));
        } else {
            take(known.iter().position(|name| begins(name)).ok_or_else(bad)?);
        }
        rest = after;
    }
    Ok(())
}

/// `-u`.
pub(super) fn status(text: &str, warnings: &mut String) -> Result<CtStatus, Fault> {
    let mut status = CtStatus(0);
    let names = STATUS_WORDS.map(|(_, name)| name);
    let [assured, seen, unset, fixed, expected, offload] = names;
    let names = [assured, seen, unset, fixed, expected, offload, "HW_OFFLOAD"];
    words(text, warnings, &names, |place| {
        let bits = STATUS_WORDS.get(place).map_or(CtStatus::HW_OFFLOAD, |(bits, _)| *bits);
        status = status | bits;
    })?;
    Ok(status)
}

/// `-e`.
pub(super) fn events(text: &str, warnings: &mut String) -> Result<EventMask, Fault> {
    let mut mask = EventMask { new: false, updates: false, destroy: false };
    words(text, warnings, &["ALL", "NEW", "UPDATES", "DESTROY"], |place| match place {
        0 => mask = EventMask::ALL,
        1 => mask.new = true,
        2 => mask.updates = true,
        _ => mask.destroy = true,
    })?;
    Ok(mask)
}

/// `-o`, added to what was asked for before.
pub(super) fn output(text: &str, output: &mut Output, warnings: &mut String) -> Result<(), Fault> {
    let known =
        ["xml", "extended", "timestamp", "id", "ktimestamp", "labels", "userspace", "save", "proc"];
    words(text, warnings, &known, |place| {
        let wanted = match place {
            0 => &mut output.xml,
            1 => &mut output.extended,
            2 => &mut output.timestamp,
            3 => &mut output.id,
            4 => &mut output.ktimestamp,
            5 => &mut output.labels,
            6 => &mut output.userspace,
            7 => &mut output.save,
            _ => &mut output.proc,
        };
        *wanted = true;
    })?;
    let others = Output { save: false, userspace: false, ..*output };
    if output.save && others != Output::default() {
        return Err(Fault::other(
            "cannot combine save output with any other output type, use -o save only",
        ));
    }
    Ok(())
}

/// `-l`, `--label-add`, `--label-del`. Labels that no connection can have are told apart by
/// `false`: the kernel refuses them.
pub(super) fn labels(text: &str, names: &LabelNames) -> Result<(Labels, bool), Fault> {
    let mut labels = Labels::default();
    let mut possible = true;
    for name in text.split(',') {
        let unknown = || Fault::parameter(format!("unknown label '{name}'"));
        let bit = names.bit(name).ok_or_else(unknown)?;
        possible &= labels.set(bit);
    }
    Ok((labels, possible))
}

/// The lines of `connlabel.conf`: a number, a blank, a name. The first of two that name the same
/// bit, or have the same name, counts.
pub(super) fn label_names(text: &str) -> LabelNames {
    let mut names = LabelNames::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(bit), Some(name), None) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Ok(bit) = bit.parse() else { continue };
        if names.name(bit).is_none() && names.bit(name).is_none() {
            names.0.push((bit, String::from(name)));
        }
    }
    names
}

/// `-f`.
pub(super) fn family(text: &str) -> Result<Family, Fault> {
    match text {
        "ipv4" => Ok(Family::V4),
        "ipv6" => Ok(Family::V6),
        _ => Err(Fault::parameter(format!("`{text}' unsupported protocol"))),
    }
}

/// That an address cannot be given with a length.
pub(super) fn no_length(option: OptionKind) -> Fault {
    Fault::parameter(format!("CIDR notation unavailable for `--{}'", option.name()))
}
