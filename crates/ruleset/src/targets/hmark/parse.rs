//! The options of HMARK.

use super::{
    DPORT, DPORT_MASK, DST_PREFIX, Hmark, MOD, OFFSET, PROTO_MASK, RND, SPI, SPI_MASK, SPORT,
    SPORT_MASK, SRC_PREFIX, TUPLE,
};
use crate::diagnostic::{Diagnostic, code};
use crate::extension::{Arguments, values};
use crate::targets::Target;
use alloc::{boxed::Box, format};
use keepstate_packet::Family;

/// Words of `--hmark-tuple` and the option that each stands for.
const WORDS: [(&str, u8); 7] = [
    ("src", SRC_PREFIX),
    ("dst", DST_PREFIX),
    ("sport", SPORT_MASK),
    ("dport", DPORT_MASK),
    ("spi", SPI_MASK),
    ("proto", PROTO_MASK),
    ("ct", TUPLE),
];

pub(super) fn parse(arguments: &mut Arguments<'_>) -> Option<Box<dyn Target>> {
    let named = tuple(arguments)?;
    let whole = |id: u8, given: Option<u64>, all: u64| given.or(named(id).then_some(all));
    let narrow = |value: Option<u64>| value.and_then(|value| u16::try_from(value).ok());
    let wide = |value: Option<u64>| value.and_then(|value| u32::try_from(value).ok());
    let bits = if arguments.family == Family::V4 { 32 } else { 128 };
    let mut number = |id, max| match arguments.option(id) {
        None => Some(None),
        Some(given) => arguments.number(given, max).map(Some),
    };
    let (short, long) = (u64::from(u16::MAX), u64::from(u32::MAX));
    let (sport_mask, dport_mask) = (number(SPORT_MASK, short)?, number(DPORT_MASK, short)?);
    let (sport, dport) = (number(SPORT, short)?, number(DPORT, short)?);
    let (spi_mask, spi) = (number(SPI_MASK, long)?, number(SPI, long)?);
    let (proto_mask, rnd) = (number(PROTO_MASK, short)?, number(RND, long)?);
    let (modulus, offset) = (number(MOD, long)?, number(OFFSET, long)?);
    let (src, dst) = (prefix(arguments, SRC_PREFIX)?, prefix(arguments, DST_PREFIX)?);
    arguments.required(MOD)?;
    arguments.required(RND)?;
    if modulus == Some(0) {
        let given = arguments.required(MOD)?;
        arguments.bad_value(given, "a number from 1 to 4294967295");
        return None;
    }
    let hmark = Hmark {
        family: arguments.family,
        src_prefix: wide(whole(SRC_PREFIX, src, bits)),
        dst_prefix: wide(whole(DST_PREFIX, dst, bits)),
        sport_mask: narrow(whole(SPORT_MASK, sport_mask, short)),
        dport_mask: narrow(whole(DPORT_MASK, dport_mask, short)),
        spi_mask: wide(whole(SPI_MASK, spi_mask, long)),
        sport: narrow(sport),
        dport: narrow(dport),
        spi: wide(spi),
        proto_mask: narrow(whole(PROTO_MASK, proto_mask, short)),
        rnd: wide(rnd)?,
        modulus: wide(modulus)?,
        offset: wide(offset),
        ct: named(TUPLE),
    };
    check(arguments, &hmark)?;
    Some(Box::new(hmark))
}

/// Reads `--hmark-tuple`: which of the options it stands for.
fn tuple(arguments: &mut Arguments<'_>) -> Option<impl Fn(u8) -> bool + use<>> {
    let mut named = 0_u32;
    if let Some(given) = arguments.option(TUPLE) {
        for (word, span) in arguments.list(given) {
            let found = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            let Some((name, id)) = found else {
                let names = WORDS.iter().map(|(name, _)| *name);
                arguments.unknown_word(word, span, "a part of the tuple", names);
                return None;
            };
            if let Some(twice) = arguments.option(*id).filter(|_| *id != TUPLE) {
                let text = format!("`{name}` says what `--{}` says", twice.option.name);
                let fault = Diagnostic::new(code::OPTION_CONFLICT, span, text);
                arguments.fault(fault.label(twice.span, "it is here"));
                return None;
            }
            named |= 1 << id;
        }
    }
    Some(move |id: u8| named & 1 << id != 0)
}

/// A length, or a mask; one that is no prefix stands for the whole address.
fn prefix(arguments: &mut Arguments<'_>, id: u8) -> Option<Option<u64>> {
    let Some(given) = arguments.option(id) else { return Some(None) };
    let family = arguments.family;
    let bits = if family == Family::V4 { 32 } else { 128 };
    if let Some(length) = values::number(&given.value, bits) {
        return Some(Some(length));
    }
    let Some(mask) = values::host_address(&given.value, family) else {
        arguments.bad_value(given, &format!("a length of 0 to {bits}, or a mask"));
        return None;
    };
    Some(Some(values::prefix_length(mask, family).map_or(bits, u64::from)))
}

/// What does not go together, and that something counts.
fn check(arguments: &mut Arguments<'_>, hmark: &Hmark) -> Option<()> {
    let masks = hmark.sport_mask.or(hmark.dport_mask).is_some() && hmark.spi_mask.is_some();
    let set = hmark.sport.or(hmark.dport).is_some() && hmark.spi.is_some();
    if masks || set {
        let text = "`HMARK` looks at ports or at an SPI, not at both";
        arguments.fault(Diagnostic::new(code::OPTION_CONFLICT, arguments.span, text));
        return None;
    }
    let counts = hmark.ct || hmark.values().next().is_some();
    if !counts && hmark.src_prefix.or(hmark.dst_prefix).is_none() {
        let text = "`HMARK` needs `--hmark-tuple`, or options that say what counts";
        arguments.fault(Diagnostic::new(code::OPTION_MISSING, arguments.span, text));
        return None;
    }
    Some(())
}
